"""The runbook's commands, as they are printed, with their placeholders filled in: at the desk, and with a pod's Python."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import ROOT, Done
from tests.support.kube.production import NAMESPACE, RELEASE, Production, production
from tests.support.loki.server import fake_loki
from tests.support.object_store import owner
from tests.support.walk import OFFLOADED, THRESHOLD, Walk
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.settings import settings_for
from xcomctl.rehearsal.scenarios.runbook import OFFLOAD_RUN

RUNBOOK = Path(__file__).parents[1] / "data" / "runbook.txt"
_COMMAND = re.compile(
    r"^\s*(?:# OR emergency: )?(?P<line>(?:POD=\$\(kubectl|kubectl -n|helm rollback|python scripts/)\S*.*)$"
)
_IN_A_CELL = re.compile(r"(python scripts/\S+\.py(?: --\S+ …)*)")
#: What the runbook leaves open, and what is not read by anybody: a comment.
PLACEHOLDERS = ("<s3_conn>", "<bucket>", "<bytes>", "<run_id>", "<scheduler-pod>", "<release>", "<previous-revision>")


def commands(text: str) -> list[str]:
    """Every command of a text, with the lines that it goes on over: by a backslash, or within its quotes.

    As they are copied from a page: without what indents the block that they stand in.
    """
    found: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        match = _COMMAND.match(line)
        if match is None:
            found += [cell for cell in _IN_A_CELL.findall(line) if line.startswith(("Object-store", "Round-trip"))]
            continue
        said = match["line"]
        while said.endswith("\\") or _is_open(said):
            said += "\n" + next(lines).removeprefix(line[: match.start("line")])
        found.append(said)
    return found


def _is_open(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:
        return True
    return False


COMMANDS = commands(RUNBOOK.read_text(encoding="utf-8"))


def one(*parts: str) -> str:
    """The one command that has all of these in it."""
    (found,) = [each for each in COMMANDS if all(part in each for part in parts)]
    return found


def test_every_command_was_found() -> None:
    programs = [re.split(r"[ =]", each)[0] for each in COMMANDS]
    assert programs == [
        "python",
        "POD",
        "kubectl",
        "python",
        "python",
        "kubectl",
        "python",
        "python",
        "helm",
        "kubectl",
    ]
    scripts = {word for each in COMMANDS for word in re.findall(r"scripts/\w+\.py", each)}
    assert scripts == {f"scripts/{name}.py" for name in ("xcom_flip_preflight", "loki_query", "airflow_xcom_pull", "xcom_roundtrip_probe")}  # fmt: skip


@pytest.fixture(scope="module")
def prod(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """After the flip; the first revision has none of the settings."""
    with production(walk, tmp_path_factory.mktemp("runbook")) as prod:
        prod.write({})
        prod.deploy()
        prod.write(settings_for(Phase.OFFLOAD, walk.base_path, THRESHOLD))
        prod.deploy()
        yield prod


def filled(walk: Walk, command: str) -> str:
    connection, _, bucket = walk.base_path.removeprefix("s3://").removesuffix("/xcom").partition("@")
    values = {
        "<s3_conn>": connection, "<bucket>": bucket, "<bytes>": str(THRESHOLD), "<run_id>": OFFLOAD_RUN,
        "<release>": RELEASE, "<previous-revision>": "1", "<scheduler-pod>": '"$POD"',
        "--expect-path … --expect-threshold …": f"--expect-path {walk.base_path} --expect-threshold {THRESHOLD}",
    }  # fmt: skip
    for placeholder, value in values.items():
        command = command.replace(placeholder, value)
    assert not re.search(r"<[a-z_-]+>|…", command), command
    return command


def at_the_desk(prod: Production, command: str) -> Done:
    return prod.shell(f"{one('POD=$(')}\n{filled(prod.walk, command)}")


def in_a_pod(prod: Production, command: str) -> Done:
    """With a journal of its own, as a pod's home has one."""
    return prod.inside(f"XDG_STATE_HOME={prod.desk.folder} {filled(prod.walk, command)}", folder=ROOT)


def test_the_scheduler_resolves(prod: Production) -> None:
    done = at_the_desk(prod, one("xcom_objectstorage_threshold"))
    assert done.code == 0, done.err
    said = done.out.splitlines()
    assert [line for line in said if line in (prod.walk.base_path, str(THRESHOLD), OBJECT_STORAGE_BACKEND.rpartition(".")[2])] == [
        prod.walk.base_path, str(THRESHOLD), "XComObjectStorageBackend",
    ]  # fmt: skip


def test_the_pre_flight_passes(prod: Production) -> None:
    done = in_a_pod(prod, one("xcom_flip_preflight.py", "--conn-id"))
    assert done.code == 0, done.out + done.err
    assert "FAIL" not in done.out


def test_the_pre_flight_of_the_signals_passes(prod: Production) -> None:
    done = in_a_pod(prod, one("xcom_flip_preflight.py", "…"))
    assert done.code == 0, done.out + done.err


def test_the_lines_about_xcoms_are_read_from_loki(prod: Production) -> None:
    """As it is printed, with a pod's Python: lines that it finds, and only these; nothing where there is nothing."""
    with fake_loki() as loki:
        now = time.time_ns() - 10**9
        loki.push({"namespace": NAMESPACE}, [(now, "all is well"), (now + 1, "cannot store the XCom")])
        line = f"LOKI_ADDR={loki.url} {one('loki_query.py')}"
        done = prod.inside(line, folder=ROOT)
        assert done.code == 0 and done.out.count("\n") == 1 and "cannot store the XCom" in done.out, done.out + done.err
        loki.clear()
        done = prod.inside(line, folder=ROOT)
        assert (done.code, done.out) == (0, "") and "that says nothing" in done.err


def test_the_run_is_read_back(prod: Production) -> None:
    done = in_a_pod(prod, one("airflow_xcom_pull.py"))
    assert done.code == 0, done.err
    assert re.search(r"^discriminate_cell\[\d\] return_value ", done.out, re.MULTILINE) and "\n5 of 1" in done.out, (
        done.out
    )


def test_control_flow_is_told_by_its_colour(prod: Production) -> None:
    done = in_a_pod(prod, next(each for each in COMMANDS if "xcom_roundtrip_probe.py" in each))
    # Red for what is known of this provider on this line, and named; the runbook's gate says so by the exit code.
    known = {"2": "F4", "3": "F5"}[prod.walk.line]
    assert "control-flow: RED" in done.out and known in done.out and done.code == 3, done.out + done.err


def test_the_listing_of_objects_sees_no_connection_of_the_metadata_database_on_3(prod: Production) -> None:
    """F39: where `aws_default` is in the metadata database, the same line lists the objects on 2.x, and on 3.x asks AWS itself."""
    walk = prod.walk
    assert walk.sandbox.store is not None and walk.sandbox.store.connection is not None
    kept = walk.sandbox.store.connection
    command = ["airflow", "connections", "add", "aws_default", "--conn-type", "aws", "--conn-login", kept["login"],
               "--conn-password", kept["password"], "--conn-extra", kept["extra"]]  # fmt: skip
    added = prod.inside(f"{shlex.join(command)}; airflow connections list -o json >/dev/null")
    assert added.code == 0, added.err
    bucket, key = "cvntrade-artifacts", f"xcom/diagnostic__s42/{OFFLOAD_RUN}/discriminate_cell/one"
    with owner(walk) as owned:
        owned("create_bucket", Bucket=bucket)
        assert "error" not in owned("put_object", Bucket=bucket, Key=key, Body="{}")
        try:
            done = at_the_desk(prod, one("offloaded objects for this DAG"))
        finally:
            owned("delete_object", Bucket=bucket, Key=key)
            prod.inside("airflow connections delete aws_default")
    # One object; where it sees the connection, the line counts the folders above it, too.
    if walk.line == "2":
        assert done.code == 0 and "offloaded objects for this DAG: 4" in done.out, done.out + done.err
        assert f"{OFFLOAD_RUN}/discriminate_cell/one" in done.out
    else:
        assert done.code != 0 and "cvntrade-artifacts.s3.amazonaws.com" in done.err, done.out + done.err
    # Ours does not mislead, and counts what the rows name.
    ours = prod.xcomctl("refs", "--objects", "-d", "diagnostic__s42", "-o", "json")
    assert ours.record["totals"]["objects"] >= len(OFFLOADED)


def test_the_emergency_as_it_is_printed_and_the_look_at_what_it_left(prod: Production) -> None:
    back = at_the_desk(prod, one("helm rollback"))
    assert back.code == 0, back.err
    for component in ("scheduler", "worker"):
        rolled = prod.desk.kubectl(
            "-n", NAMESPACE, "rollout", "status", f"deployment/{RELEASE}-{component}", "--timeout=60s"
        )
        assert rolled.returncode == 0, rolled.stderr
    done = at_the_desk(prod, one("airflow config get-value core xcom_backend"))
    assert done.code == 0, done.err
    # Nothing is set any more: on 3.x Airflow's own class has another name than the runbook expects (F48); both are `inline`.
    expected = {"2": BASE_XCOM, "3": "airflow.sdk.execution_time.xcom.BaseXCom"}[prod.walk.line]
    assert done.out.strip().splitlines()[-1] == expected
    resolved = prod.xcomctl("status", "-o", "json")
    assert [json.loads(resolved.out)["contexts"][0]["resolution"]["phase"]] == ["inline"]
