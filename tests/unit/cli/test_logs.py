"""``xcomctl logs`` as it is typed, against a Loki at an address and one behind a cluster's Service."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import waiting
from tests.support.kube import binaries, cluster, samples
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.tools import tools
from tests.support.loki import FakeLoki, Fault, fake_loki
from xcomctl.cli.main import main
from xcomctl.model.loki_query import moment

ROOT = Path(__file__).parents[3]
RUNBOOK = '{namespace="cvntrade"} |~ "(?i)xcom|AirflowConfigException|XComObjectStorage"'
LABELS = {"namespace": "cvntrade", "pod": "scheduler-0", "container": "scheduler", "stream": "stdout"}
SECOND_NS = 10**9
VARIABLES = (
    "LOKI_ADDR", "LOKI_ORG_ID", "LOKI_USERNAME", "LOKI_PASSWORD", "LOKI_BEARER_TOKEN", "LOKI_BEARER_TOKEN_FILE",
    "LOKI_CA_CERT_PATH", "XCOMCTL_DEPLOYMENT", "XCOMCTL_CONFIG",
)  # fmt: skip
DEPLOYMENT = """
[deployments.prod]
namespace = "cvntrade"
context = "fake"

[deployments.prod.settings]
path = "s3://c@b/xcom"

[deployments.prod.loki]
"""


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with fake_loki() as running:
        yield running


@pytest.fixture
def here(loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> FakeLoki:
    """A Loki with ten lines of now, at the address of the environment."""
    now_ns = time.time_ns() - 60 * SECOND_NS
    loki.push(LABELS, [(now_ns + number, f"fine {number}") for number in range(8)])
    loki.push(LABELS, [(now_ns + 8, "XCom error: bad 1")])
    loki.push({**LABELS, "stream": "stderr"}, [(now_ns + 9, "xcom error: bad 2")])
    monkeypatch.setenv("LOKI_ADDR", loki.url)
    return loki


@pytest.fixture
def kube(tmp_path: Path, loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with cluster.running(tmp_path / "cluster", {samples.AIRFLOW: Image()}) as running:
        running.put(*samples.loki(loki.port))
        use(running, binaries.NEWER, tmp_path / "desk", monkeypatch)
        yield running


until = functools.partial(waiting.until, timeout_s=120, every_s=0.01)


def use(kube: Cluster, version: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tools(kube, version, folder)
    found.use(monkeypatch)


def kubectls(parent: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [each for each in psutil.Process(parent).children(recursive=True) if each.name() == "kubectl"]
    return []


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["logs", *words])
    assert caught.value.code == 2
    return capsys.readouterr().err


# -- lines


def test_the_lines_of_a_query(here: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "--query", RUNBOOK, "--since", "15m", "-o", "raw"]) == 0
    said = capsys.readouterr()
    assert said.out == "XCom error: bad 1\n"
    assert f"Loki at {here.url} (LOKI_ADDR)" in said.err and 'stream!="stderr"' in said.err
    assert main(["logs", RUNBOOK, "--stream", "all", "-q"]) == 0
    said = capsys.readouterr()
    assert [line.split(" ", 1)[1] for line in said.out.splitlines()] == [
        "scheduler-0/scheduler XCom error: bad 1", "scheduler-0/scheduler xcom error: bad 2",
    ] and said.err == ""  # fmt: skip
    assert main(["logs", RUNBOOK, "--stream", "stderr", "-o", "jsonl", "--backward"]) == 0
    (record,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert record["line"] == "xcom error: bad 2" and record["labels"]["stream"] == "stderr"


def test_the_runbooks_line_as_it_is_printed(here: FakeLoki) -> None:
    text = (ROOT / "tests" / "data" / "runbook.txt").read_text(encoding="utf-8")
    start = text.index("python scripts/loki_query.py --since")
    line = " ".join(each.strip().removesuffix("\\") for each in text[start:].splitlines()[:2])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(line, shell=True, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("\n") == 1 and "bad 1" in done.stdout, done.stderr
    (query,) = {each["query"] for each in here.queries()}
    assert query == RUNBOOK.replace("{", '{stream!="stderr", ', 1)


def test_a_time_a_limit_and_an_order(loki: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    noon_ns = 1_780_747_200 * SECOND_NS
    loki.push(LABELS, [(noon_ns + number, f"line {number}") for number in range(10)])
    words = ["logs", '{namespace="cvntrade"}', "--url", f"{loki.url}/", "-o", "raw"]
    assert main([*words, "--from", moment(noon_ns + 2), "--to", str(noon_ns + 5)]) == 0
    assert capsys.readouterr().out.split("\n")[:-1] == ["line 2", "line 3", "line 4"]
    assert main([*words, "--to", "2026-06-06T12:00:01Z", "--since", "1h", "--backward", "--limit", "2"]) == 0
    said = capsys.readouterr()
    assert said.out == "line 9\nline 8\n" and "there are more lines than --limit 2" in said.err
    assert main([*words, "--to", "2026-06-06T12:00:01Z", "--since", "1h", "--limit", "10"]) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 10 and "more lines" not in said.err


def test_no_lines_say_whether_that_means_anything(here: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", '{namespace="cvntrade"} |= "nowhere"']) == 0
    assert 'no lines; {stream!="stderr", namespace="cvntrade"} sees some' in capsys.readouterr().err
    assert main(["logs", '{namespace="wrong"} |= "nowhere"', "-q"]) == 0
    assert "no lines, and that says nothing" in capsys.readouterr().err


def test_what_may_be_missing_is_exit_5(here: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    here.rules.max_query_lookback_ns = 600 * SECOND_NS
    assert main(["logs", '{namespace="cvntrade"}', "--since", "2h", "-q"]) == 5
    said = capsys.readouterr()
    assert said.out.count("fine") == 8 and "lines may be missing" in said.err and "max_query_lookback" in said.err


def test_a_loki_that_refuses_is_one_sentence(here: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", '{namespace="cvntrade"} |~ "("', "-q"]) == 6
    said = capsys.readouterr().err
    assert said.startswith("xcomctl: error: Loki refused the query") and "Traceback" not in said
    with here.failing(Fault(status=302, headers={"Location": "https://sso.example.org/login?token=hidden"}, path="/")):
        assert main(["logs", '{namespace="cvntrade"}', "-q"]) == 5
    said = capsys.readouterr().err
    assert "hidden" not in said and "login page" in said


def test_tenants_and_logins_of_the_environment(here: FakeLoki, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    here.rules.login = ("ops", "hunter2-ops")
    assert main(["logs", '{namespace="cvntrade"}', "-q"]) == 5
    assert "LOKI_PASSWORD" in capsys.readouterr().err
    monkeypatch.setenv("LOKI_USERNAME", "ops")
    monkeypatch.setenv("LOKI_PASSWORD", "hunter2-ops")
    assert main(["logs", '{namespace="cvntrade"}']) == 0
    said = capsys.readouterr()
    assert said.out.count("fine") == 8 and "hunter2" not in said.err
    here.rules.login, here.rules.tenants = None, True
    assert main(["logs", '{namespace="cvntrade"}', "-q"]) == 5
    assert "--org-id" in capsys.readouterr().err
    here.tenant("ops").push(LABELS, [(time.time_ns() - SECOND_NS, "theirs")])
    assert main(["logs", '{namespace="cvntrade"}', "-o", "raw", "--org-id", "ops"]) == 0
    assert capsys.readouterr().out == "theirs\n"


# -- the gate


def test_the_gate(here: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", '{namespace="cvntrade"} |= "nowhere"', "--expect-none"]) == 0
    assert "OK    logs_none_found" in capsys.readouterr().out
    assert main(["logs", RUNBOOK, "--expect-none"]) == 3
    out = capsys.readouterr().out
    assert "XCom error: bad 1\n" in out and "FAIL  logs_none_found" in out and "found (exit 3)" in out
    before = len(here.queries())
    assert main(["logs", '{namespace="cvntrde"} |= "nowhere"', "--expect-none"]) == 5
    out = capsys.readouterr().out
    assert "SKIP  logs_selector" in out and "F46" in out and "→ xcomctl logs --labels --since 24h\n" in out
    assert len(here.queries()) == before + 1  # a question that proves nothing is not asked


def test_the_gate_in_other_forms(here: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", RUNBOOK, "--expect-none", "-o", "json"]) == 3
    record = json.loads(capsys.readouterr().out)
    assert (record["schema"], record["verdict"], record["exit_code"], record["count"]) == (
        "xcomctl.logs/1",
        "failed",
        3,
        1,
    )
    assert [line["line"] for line in record["lines"]] == ["XCom error: bad 1"]
    assert {check["id"]: check["status"] for check in record["checks"]} == {
        "logs_selector": "ok", "logs_none_found": "fail", "logs_complete": "ok",
    }  # fmt: skip
    assert main(["logs", RUNBOOK, "--expect-none", "-o", "raw"]) == 3
    said = capsys.readouterr()
    assert said.out == "XCom error: bad 1\n" and "FAIL  logs_none_found" in said.err
    assert main(["logs", '{namespace="x"}', "-o", "json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["lines"], record["checks"], record["verdict"]) == ([], [], "ok")


def test_the_gate_is_never_passed_by_what_may_be_missing(here: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    here.rules.max_query_lookback_ns = 600 * SECOND_NS
    assert main(["logs", '{namespace="cvntrade"} |= "nowhere"', "--since", "2h", "--expect-none", "-o", "json"]) == 5
    record = json.loads(capsys.readouterr().out)
    assert record["missing"] and record["verdict"] == "inconclusive"


# -- presets, labels


def test_presets_are_about_a_namespace(here: FakeLoki, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "--preset xcom-errors is about a namespace" in refused(capsys, "--preset", "xcom-errors")
    assert main(["logs", "--preset", "xcom-errors", "-n", "cvntrade", "-o", "raw"]) == 0
    assert capsys.readouterr().out == "XCom error: bad 1\n"
    (tmp_path / "xcomctl.toml").write_text(f'{DEPLOYMENT}url = "{here.url}"\n')
    assert main(["logs", "--preset", "xcom-errors", "-D", "prod", "--stream", "all", "-o", "raw"]) == 0
    assert capsys.readouterr().out.count("bad") == 2
    assert main(["logs", "--preset", "path-handed-over", "-D", "prod"]) == 0
    assert r"s3://c@b/xcom/" in here.queries()[-2]["query"]
    assert main(["logs", "--list-presets", "-n", "cvntrade"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("xcom-errors", "path-handed-over", "store-errors", '{namespace="cvntrade"}'))


def test_labels(here: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "--labels"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["namespace", "1", "cvntrade"] in rows and ["stream", "2", "stderr,", "stdout"] in rows
    assert main(["logs", "--labels", "stream"]) == 0
    assert capsys.readouterr().out == "stderr\nstdout\n"
    assert main(["logs", "--labels", "--query", '{namespace="cvntrade"} |= "x"', "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        **{name: [value] for name, value in LABELS.items()}, "stream": ["stderr", "stdout"],
    }  # fmt: skip
    assert main(["logs", "--labels", "pod", "--query", '{namespace="wrong"}']) == 0
    said = capsys.readouterr()
    assert said.out == "" and "no stream" in said.err


def test_labels_that_loki_looks_back_no_further_for_are_told(
    here: FakeLoki, capsys: pytest.CaptureFixture[str]
) -> None:
    here.rules.max_query_lookback_ns = 600 * SECOND_NS
    assert main(["logs", "--labels", "--since", "2h"]) == 5
    said = capsys.readouterr()
    assert "namespace" in said.out and "max_query_lookback" in said.err


# -- usage


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "which lines?"),
        (("{}", "--query", "{}"), "the query is there twice"),
        (("{}", "--preset", "xcom-errors"), "leave out one of the two"),
        (("{}", "-n", "a", "-D", "b"), "leave out -D, or -n"),
        (("{}", "-D", "b", "--context", "c"), "--context and --kubeconfig go without -D"),
        (("{}", "--url", "http://l", "--service", "x"), "one of them"),
        (("{}", "--since", "5m", "--from", "now"), "leave it out, or --from"),
        (("{}", "--from", "now", "--to", "2026-06-06T12:00:00Z"), "there is no time from"),
        (("{}", "--since", "yesterday"), "is no duration such as 15m"),
        (("{}", "--to", "yesterday"), "is no time such as"),
        (("{}", "--limit", "-1"), "is not a number of lines"),
        (("{}", "-f", "--expect-none"), "--follow comes to no end: leave it out, or --expect-none"),
        (("{}", "-f", "--to", "now"), "leave it out, or --to"),
        (("{}", "-f", "-o", "json"), "-o jsonl"),
        (("{}", "--service", "not a service"), "is not of the form"),
        (("--labels", "--expect-none"), "--labels gives no lines"),
        (("{}", "--password", "hunter2"), "export LOKI_PASSWORD"),
        (("{}", "--bearer-token", "hunter2"), "export LOKI_BEARER_TOKEN"),
        (("{}", "--tls-skip-verify"), "--ca-cert FILE"),
        (("{}", "--forward", "--backward"), "not allowed with"),
        (("{}", "--preset", "nonsense"), "invalid choice"),
    ],
)
def test_usage(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, *words)
    assert said in error and "hunter2" not in error


def test_what_is_no_query_or_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "sum(rate({a=`b`}[5m]))", "--url", "http://127.0.0.1:1"]) == 6
    assert "no query for log lines" in capsys.readouterr().err
    assert main(["logs", '{a="b"}', "--url", "loki:3100"]) == 6
    assert "is no address of a Loki" in capsys.readouterr().err


# -- in a cluster


def test_it_finds_loki_and_forwards_a_port(kube: Cluster, loki: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    loki.push(LABELS, [(time.time_ns() - SECOND_NS, "here")])
    assert main(["logs", '{namespace="cvntrade"}', "-o", "raw"]) == 0
    said = capsys.readouterr()
    assert said.out == "here\n" and "Loki is service/loki in monitoring" in said.err and "kube context fake" in said.err
    assert kube.forwards == ["loki-0"] and not kubectls(os.getpid())
    assert main(["logs", '{namespace="cvntrade"}', "-o", "raw", "--service", "monitoring/loki", "-n", "cvntrade"]) == 0
    assert capsys.readouterr().out == "here\n"


def test_a_deployment_says_where_its_loki_is(kube: Cluster, loki: FakeLoki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    loki.push(LABELS, [(time.time_ns() - SECOND_NS, "xcom error")])
    (tmp_path / "xcomctl.toml").write_text(f'{DEPLOYMENT}service = "loki"\nnamespace = "monitoring"\n')
    assert main(["logs", "--preset", "xcom-errors", "-D", "prod", "-o", "raw"]) == 0
    said = capsys.readouterr()
    assert said.out == "xcom error\n" and "service/loki in monitoring (the deployment)" in said.err
    (tmp_path / "xcomctl.toml").write_text(DEPLOYMENT)
    assert main(["logs", "--preset", "xcom-errors", "-D", "prod", "-o", "raw"]) == 0
    assert capsys.readouterr().out == "xcom error\n"


def test_several_lokis_are_a_usage_error(kube: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    kube.put(*samples.loki(1, "second", "apps"))
    said = refused(capsys, '{a="b"}')
    assert "several Lokis are in reach: apps/second, monitoring/loki" in said and "--service apps/second" in said


def test_no_loki_in_reach(kube: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    kube.access.denied = {("list", "services")}
    assert main(["logs", '{a="b"}']) == 5
    said = capsys.readouterr().err
    assert "may not list services" in said and "--url" in said
    assert not kubectls(os.getpid())


def test_a_namespace_of_lokis_is_the_only_one_that_counts(kube: Cluster, loki: FakeLoki, tmp_path: Path) -> None:
    kube.put(*samples.loki(1, "second", "apps"))
    (tmp_path / "xcomctl.toml").write_text(f'{DEPLOYMENT}namespace = "monitoring"\n')
    assert main(["logs", "--preset", "xcom-errors", "-D", "prod"]) == 0
    assert kube.forwards == ["loki-0"]


def test_without_a_kubectl_an_address_is_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["logs", '{a="b"}']) == 5
    said = capsys.readouterr().err
    assert "no kubectl on this machine" in said and "LOKI_ADDR" in said


def test_without_a_cluster_an_address_is_wanted(kube: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert main(["logs", '{a="b"}']) == 5
    said = capsys.readouterr().err
    assert "kubectl knows of no cluster" in said and "--url" in said


def test_what_is_followed_says_what_is_missing(here: FakeLoki, capsys: pytest.CaptureFixture[str]) -> None:
    here.rules.max_query_lookback_ns = 600 * SECOND_NS
    assert main(["logs", '{namespace="cvntrade"}', "-f", "--since", "2h", "--limit", "8", "-q"]) == 5
    assert "max_query_lookback" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_is_followed_comes_once_and_nothing_is_left(kube: Cluster, loki: FakeLoki, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "xcomctl", "logs", '{namespace="cvntrade"}', "-f", "-o", "raw"]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout is not None
    until(lambda: loki.queries(), "it does not ask")
    (process,) = kubectls(program.pid)
    for line in ("one", "two"):
        loki.push(LABELS, [(time.time_ns(), line)])
        assert program.stdout.readline() == f"{line}\n"
    program.send_signal(number)
    rest, errors = program.communicate()
    assert rest == "" and program.returncode == (-9 if number == signal.SIGKILL else 130), errors
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "kubectl is left")


@pytest.mark.parametrize("age", binaries.VERSIONS)
def test_every_line_once_while_the_port_forward_is_killed(
    kube: Cluster, loki: FakeLoki, age: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 lines of four streams; each nanosecond has several, so that pages end among lines of one."""
    use(kube, age, tmp_path / "desk-of-age", monkeypatch)
    start_ns, count = time.time_ns() - 600 * SECOND_NS, 100_000
    expected = [(start_ns + number // 7, number % 4, f"line {number}") for number in range(count)]
    for stream in range(4):
        loki.push(
            {**LABELS, "pod": f"worker-{stream}"}, [(at, text) for at, which, text in expected if which == stream]
        )
    command = [sys.executable, "-m", "xcomctl", "logs", '{namespace="cvntrade"}', "-o", "raw"]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    killed: list[int] = []

    def kill() -> None:
        """kubectl itself, its connection, and kubectl again, each once more pages were asked for."""
        for pages in (3, 8, 13):
            until(lambda pages=pages: len(loki.queries()) >= pages or program.poll() is not None, "it does not go on")
            if pages == 8:
                killed.append(kube.cut_forwards())
            else:
                killed.extend(1 for process in kubectls(program.pid) if process.kill() is None)

    killer = threading.Thread(target=kill)
    killer.start()
    out, errors = program.communicate()
    killer.join()
    assert program.returncode == 0, errors
    assert killed == [1, 1, 1] and len(kube.forwards) >= 4, (killed, errors)
    assert errors.count("was made anew") >= 3
    # In order of time, and among lines of one nanosecond in order of their streams.
    assert out.splitlines() == [text for _, _, text in sorted(expected, key=lambda each: each[:2])]
    assert not kubectls(os.getpid())
