"""The screen: which row turns for what, and the one next command."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from xcomctl.assess.recent import Recent
from xcomctl.assess.resolution import Expected
from xcomctl.assess.status import Seen, report, signature
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.errors import UserError
from xcomctl.journal.local import LocalJournal, now, this_actor
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND
from xcomctl.model.refs import AtRiskRun
from xcomctl.model.requests import Resolution, ResolvedSetting
from xcomctl.model.settings import SETTINGS
from xcomctl.model.status import (
    DatabaseState,
    Elsewhere,
    FailedTask,
    RunningProcess,
    StatusAnswer,
    StatusReport,
    StoreState,
)
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.report.status_text import render_status

PATH = "s3://aws_default@artifacts/xcom"
OFFLOAD = Resolution(
    ResolvedSetting(OBJECT_STORAGE_BACKEND, "AIRFLOW__CORE__XCOM_BACKEND"), ResolvedSetting(PATH, "airflow.cfg"),
    ResolvedSetting(1_600_000, "airflow.cfg"), ResolvedSetting("", "airflow.cfg"), OBJECT_STORAGE_BACKEND, None,
    "offload", "the threshold is 1600000",
)  # fmt: skip
INLINE = replace(OFFLOAD, backend=ResolvedSetting(BASE_XCOM, "airflow.cfg"), class_path=BASE_XCOM, phase="inline")
ANSWERS = StoreState(True, 4.5)
DUAL_READ = replace(OFFLOAD, threshold=ResolvedSetting(-1, "airflow.cfg"), phase="dual-read")
STALE = RunningProcess("scheduler", 7, "inline", None, "backend nothing")
MOVED = DatabaseState(unfinished_runs=1, elsewhere=(Elsewhere(PATH, 2, "dag", "manual__1"),))
RUN = AtRiskRun("dag", "manual__1", "running", None, 2, 0, {"scheduled": 1})
BACKEND, WHERE, LIMIT = (f"    {setting.env}: " for setting in SETTINGS[:3])
DATABASE = DatabaseState(unfinished_runs=3, base_path=PATH, references=2, at_risk_runs=1, at_risk=(RUN,))


def answer(resolution: Resolution = OFFLOAD, store: StoreState = ANSWERS, **fields) -> StatusAnswer:
    return StatusAnswer("3.3.2", "3", "3.12.7", "pod-1", {"common.io": "1.11.0"}, resolution, store, **fields)


def screen(
    *answers: StatusAnswer | None, database: DatabaseState | None = DATABASE, recent: Recent | None = None, **more
) -> StatusReport:
    named = {f"context-{number}": each for number, each in enumerate(answers or (answer(),), 1)}
    problems = {name: AgentError("no agent", "look there") for name, each in named.items() if each is None}
    return report(
        Seen(named, problems, database), more.pop("expected", Expected()), recent or Recent(path="journal"), **more
    )


def row(found: StatusReport, check_id: str) -> Status:
    return next(check.status for check in found.checks if check.id == check_id)


def test_nothing_is_wrong():
    found = screen()
    assert found.verdict is Verdict.OK
    assert [check.id for check in found.checks if check.category == "signals"] == [
        "signal_xcom_errors", "signal_path_string", "signal_settings", "signal_control_flow",
    ]  # fmt: skip
    assert found.next_step == "xcomctl status --full"  # nobody has scanned yet


@pytest.mark.parametrize(
    ("found", "id", "status", "step"),
    [
        (screen(answer(INLINE)), "phase", Status.FAIL, "set AIRFLOW__CORE__XCOM_BACKEND="),
        (screen(answer(INLINE), database=replace(DATABASE, references=0)), "phase", Status.OK, "xcomctl status --full"),
        (screen(answer(replace(OFFLOAD, phase="misconfigured"))), "phase", Status.FAIL, "set AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH="),
        (screen(answer(replace(OFFLOAD, class_path=None, class_error="no"))), "phase", Status.FAIL, "killswitch --hard"),
        (
            screen(answer(replace(OFFLOAD, backend=ResolvedSetting("no.Such", "x"), class_path=None, phase="unknown"))),
            "phase", Status.FAIL, "set AIRFLOW__CORE__XCOM_BACKEND=",
        ),
        # Every variable is gone, and with them the path: the references are still there, and nobody reads them (F1).
        (
            screen(answer(replace(INLINE, path=ResolvedSetting("", "x"))), database=MOVED), "phase", Status.FAIL,
            f"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH={PATH} and",
        ),
        # The base path was moved (F3): the old one reads them again.
        (
            screen(answer(replace(OFFLOAD, path=ResolvedSetting("s3://b/new", "x")))), "phase", Status.FAIL,
            f"set AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH={PATH} and",
        ),
        (screen(database=replace(DATABASE, elsewhere=(Elsewhere("s3://other@b/x", 1, "d", "r"),))), "phase", Status.FAIL, "xcomctl refs --foreign"),
        (screen(answer(processes=1)), "running", Status.OK, "xcomctl status --full"),
        (screen(answer(running=(STALE,))), "signal_path_string", Status.FAIL, "restart scheduler (pid 7) in context-1"),
        (screen(answer(running=(STALE,))), "running", Status.FAIL, "restart scheduler (pid 7) in context-1"),
        (screen(answer(running=(STALE,)), database=DatabaseState(base_path=PATH)), "running", Status.WARN, "restart scheduler (pid 7) in context-1"),
        (screen(answer(running=(replace(STALE, phase=None),))), "running", Status.WARN, "xcomctl status --full"),
        (screen(answer(), None), "phase", Status.OK, "look there"),
        (screen(answer(store=StoreState(False, message="refused"))), "store", Status.FAIL, 'THRESHOLD="-1"'),
        (screen(answer(), answer(INLINE), database=replace(DATABASE, references=0)), "drift", Status.FAIL, "give every component"),
        (screen(database=None), "references_unfinished", Status.SKIP, ""),
        (screen(database=DatabaseState(unfinished_runs=3)), "references_unfinished", Status.OK, "xcomctl status --full"),
        (screen(database=DatabaseState(error="no answer")), "at_risk", Status.SKIP, "airflow db check"),
        (screen(database=replace(DATABASE, aliases=1)), "signal_path_string", Status.WARN, "xcomctl verify -d dag -r manual__1"),
        (
            screen(database=replace(DATABASE, failed_count=1, failed=(FailedTask("d", "r 1", "t", -1, "failed", 1),))),
            "failed_after_push", Status.WARN, "xcomctl status --full",
        ),
        (screen(expected=Expected(path="s3://other/x")), "signal_settings", Status.FAIL, "--expect-path s3://other/x"),
        (screen(expected=Expected(path=PATH + "/", threshold=1_600_000)), "signal_settings", Status.OK, "xcomctl status --full"),
        # What is planned for offload is no fault before the flip and after the soft way out; what is asked for is.
        (screen(answer(DUAL_READ), expected=Expected(threshold=1_600_000)), "signal_settings", Status.OK, "xcomctl status --full"),
        (screen(answer(INLINE), database=DatabaseState(), expected=Expected(path="s3://other/x")), "signal_settings", Status.OK, "xcomctl status --full"),
        (screen(answer(DUAL_READ), expected=Expected(threshold=5), asked=Expected(threshold=5)), "signal_settings", Status.FAIL, "--expect-threshold 5"),
        (screen(scan_problem=UserError("no base path", "name it: --base-path URL")), "last_scan", Status.SKIP, "name it"),
    ],
)  # fmt: skip
def test_the_row_turns_and_the_next_step_is_about_the_worst(found, id, status, step):
    assert row(found, id) is status
    assert step in found.next_step


@pytest.mark.parametrize(
    ("content", "status", "said", "hint"),
    [
        (f'{BACKEND}"{OBJECT_STORAGE_BACKEND}"\n{WHERE}"{PATH}"\n{LIMIT}"20000"\n', Status.OK, "says offload", ""),
        (f'{BACKEND}"{OBJECT_STORAGE_BACKEND}"\n{WHERE}"{PATH}"\n{LIMIT}"-1"\n', Status.WARN,
         "says dual-read; context-1 resolves offload", "xcomctl wait --to dual-read -D prod"),
        (f'{BACKEND}"{OBJECT_STORAGE_BACKEND}"\n{WHERE}"{PATH}"\n{LIMIT}1600000\n', Status.WARN,
         "Helm renders it as 1.6e+06", "xcomctl flip --to offload --fix --carrier"),
        (f'{BACKEND}"{OBJECT_STORAGE_BACKEND}"\n{WHERE.replace("COMMON_", "COMMON.")}"{PATH}"\n', Status.WARN,
         "dots and dashes are underscores", "--fix"),
        # It says `misconfigured` until it is mended, and `dual-read` then: that is where to go.
        (f'{BACKEND}"{OBJECT_STORAGE_BACKEND}"\n{WHERE.replace("COMMON_", "COMMON.")}"{PATH}"\n{LIMIT}"-1"\n', Status.WARN,
         "says misconfigured", "xcomctl flip --to dual-read --fix --carrier"),
        (f'{BACKEND}"{OBJECT_STORAGE_BACKEND}"\n{LIMIT.replace("THRESHOLD", "TRESHOLD")}"-1"\n', Status.WARN,
         "says misconfigured", "values.yaml:5 airflow.config.AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_TRESHOLD: write AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"),
        (f'{BACKEND}"my.Own"\n{LIMIT}1600000\n', Status.WARN, "says unknown", "write '1600000', in quotes"),
        ("a: [", Status.SKIP, "no valid YAML", ""),
    ],
)  # fmt: skip
def test_the_carrier_beside_what_resolves(tmp_path, content, status, said, hint):
    path = tmp_path / "values.yaml"
    path.write_text(f"airflow:\n  users: []\n  config:\n{content}" if status is not Status.SKIP else content)
    found = screen(carrier=CarrierFiles((path,)), options=" -D prod")
    check = next(check for check in found.checks if check.id == "carrier")
    assert (check.status, said in check.detail, hint in check.hint) == (status, True, True)


@pytest.mark.parametrize("content", [f'{BACKEND}"my.Own"\n', f'{BACKEND}"{OBJECT_STORAGE_BACKEND}"\n'])
def test_no_phase_is_waited_for_that_is_none(tmp_path, content):
    path = tmp_path / "values.yaml"
    path.write_text(f"airflow:\n  users: []\n  config:\n{content}")
    check = next(each for each in screen(carrier=CarrierFiles((path,))).checks if each.id == "carrier")
    assert (check.status, check.hint) == (Status.WARN, "") and "context-1 resolves offload" in check.detail


def test_what_cannot_be_corrected_is_named(tmp_path):
    path = tmp_path / "airflow.cfg"
    path.write_text("[core]\nxcom_backend_ = a.B\nxcombackend = c.D\n")
    check = next(each for each in screen(carrier=CarrierFiles((path,))).checks if each.id == "carrier")
    assert check.status is Status.WARN and "--to" not in check.hint and "[core] xcom_backend" in check.hint


def test_a_carrier_that_is_not_named_has_no_row():
    assert "carrier" not in {check.id for check in screen().checks}


def entry(action: str, verdict: Verdict = Verdict.OK, **data) -> JournalEntry:
    return JournalEntry(action, this_actor(), now(), verdict=verdict, data=data)


def probe(target: str | None = "offload", colour: str = "green", name: str = "context-1") -> JournalEntry:
    return entry("probe", contexts=[{"name": name, "target_phase": target, "control_flow": colour}])


def checks(found: StatusReport) -> dict[str, Check]:
    """The rows of the screen by their ids; of several contexts the last one's."""
    return {check.id: check for check in found.checks}


@pytest.mark.parametrize(
    ("fields", "status", "said", "step"),
    [
        ({"failed_unknown": 7}, Status.SKIP, "upstream of 7", "airflow dags list"),
        ({"failed_unknown": 7, "failed_count": 1}, Status.SKIP, "1 instances failed", "xcomctl verify -d d -r r"),
        ({"failed_more": True}, Status.SKIP, "more failed than were looked at", "airflow dags list"),
        ({"failed_more": True, "failed_count": 2}, Status.WARN, "at least 2 instances", "xcomctl status --full"),
    ],
)
def test_failures_of_which_nobody_knows_what_lies_upstream_are_not_ok(fields, status, said, step):
    database = replace(DATABASE, failed=(FailedTask("d", "r", "t", -1, "failed", 1),), **fields)
    found = screen(database=database)
    assert (row(found, "failed_after_push"), row(found, "signal_xcom_errors")) == (status, status)
    assert said in checks(found)["failed_after_push"].detail
    assert found.next_step.startswith(step)
    assert (found.verdict is Verdict.INCONCLUSIVE) == (status is Status.SKIP)


@pytest.mark.parametrize(
    ("last", "status", "said", "hint"),
    [
        (("verify", Verdict.OK, {"verdict": "validated"}), Status.OK, "validated, ", ""),
        (
            ("verify", Verdict.FAILED, {"verdict": "KILL-SWITCH", "run": {"dag_id": "d", "run_id": "r 1"}}), Status.WARN,
            "KILL-SWITCH, ", "xcomctl verify -d d -r 'r 1' -D prod",
        ),
        (("verify", Verdict.INCONCLUSIVE, {"run": {}}), Status.WARN, "inconclusive", "xcomctl verify -D prod"),
        (("preflight", Verdict.OK, {}), Status.OK, "ok, ", ""),
        (("preflight", Verdict.FAILED, {}), Status.WARN, "failed, ", "xcomctl preflight -D prod"),
    ],
)  # fmt: skip
def test_what_ended_badly_when_it_was_last_done_is_not_ok(last, status, said, hint):
    action, verdict, data = last
    check = checks(screen(recent=after(replace(entry(action, verdict), data=data)), options=" -D prod"))[
        f"last_{action}"
    ]
    assert (check.status, check.detail.startswith(said), check.hint) == (status, True, hint), check


def after(*entries: JournalEntry) -> Recent:
    return Recent({each.action: each for each in entries}, path="journal")


@pytest.mark.parametrize(
    ("resolution", "probed", "status", "said"),
    [
        (OFFLOAD, probe(), Status.OK, "GREEN, "),
        (OFFLOAD, probe(colour="red"), Status.WARN, "RED"),
        # BaseXCom itself cannot differ from BaseXCom: that says nothing once values are offloaded.
        (OFFLOAD, probe("inline"), Status.WARN, "context-1: probed as inline, and offload now"),
        (DUAL_READ, probe("offload"), Status.WARN, "context-1: probed as offload, and dual-read now"),
        (OFFLOAD, probe(name="elsewhere"), Status.WARN, "context-1: not probed"),
        (OFFLOAD, probe(None), Status.WARN, "context-1: not probed"),
        (OFFLOAD, replace(probe(), at="2026-01-01T00:00:00+00:00"), Status.WARN, "GREEN"),
        # What is planned is probed before the flip.
        (INLINE, probe("offload"), Status.OK, "GREEN"),
        (INLINE, probe("inline"), Status.OK, "GREEN"),
    ],
)
def test_a_probe_counts_for_the_phase_that_it_was_of_and_for_a_day(resolution, probed, status, said):
    found = screen(answer(resolution), recent=after(probed))
    check = checks(found)["signal_control_flow"]
    assert (check.status, said in check.detail) == (status, True), check.detail
    assert check.data["command"] == "xcomctl probe"


def test_what_the_journal_says(tmp_path: Path):
    journal = LocalJournal(tmp_path / "journal.jsonl")
    journal.append(entry("scan", totals={"references": 9, "unfinished": 2, "dangling": 0}))
    journal.append(entry("scan", totals={"references": 10, "unfinished": 2, "dangling": 3}))
    journal.append(probe())
    journal.append(entry("rehearse"))
    found = screen(recent=Recent.read(journal.path, None))
    assert row(found, "last_scan") is Status.FAIL and "3 dangling" in found.because
    assert row(found, "signal_control_flow") is row(found, "last_rehearsal") is Status.OK
    assert found.next_step == "xcomctl refs --dangling"
    assert "finished runs hold 8 references" in next(check.detail for check in found.checks if check.id == "at_risk")
    # Another deployment's entries say nothing here, but for rehearsals.
    other = Recent.read(journal.path, "staging")
    assert set(other.latest) == {"rehearse"}


def test_a_scan_of_another_base_path_says_nothing_here(tmp_path: Path):
    journal = LocalJournal(tmp_path / "journal.jsonl")
    journal.append(entry("scan", totals={"base_path": "s3://b/old", "references": 9, "dangling": 0}))
    found = screen(recent=Recent.read(journal.path, None))
    assert row(found, "last_scan") is Status.WARN
    journal.append(entry("scan", totals={"base_path": f"{PATH}/", "references": 9, "dangling": 0}))
    assert row(screen(recent=Recent.read(journal.path, None)), "last_scan") is Status.OK


def test_a_scan_whose_store_failed_tells_nobody_to_clear_tasks():
    failed = entry("scan", totals={"references": 9, "dangling": 3, "store_error": "it lists out of order"})
    found = screen(recent=after(failed, probe()))
    check = checks(found)["last_scan"]
    assert (check.status, check.hint) == (Status.WARN, "xcomctl status --full")
    assert check.detail.endswith("what dangles is not known: it lists out of order")


def test_every_signal_has_its_command_however_it_stands():
    for found in (screen(), screen(None, database=None), screen(answer(INLINE))):
        for check in found.checks:
            if check.category == "signals":
                assert str(check.data["command"]).startswith(("xcomctl ", "python scripts/")), check


def test_a_journal_that_cannot_be_read_is_a_warning(tmp_path: Path):
    found = screen(recent=Recent.read(tmp_path, None))
    assert row(found, "journal") is Status.WARN


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            "x\nFileNotFoundError: s3://b/xcom/0a1b2c3d-0000-0000-0000-000000000000 at 0xdeadbeef\nend",
            "FileNotFoundError: s3://b/xcom/… at …",
        ),
        (
            "botocore.exceptions.ClientError: An error (403) for 'key'",
            "botocore.exceptions.ClientError: An error (…) for …",
        ),
        ("all is well", "no exception in the log"),
    ],
)
def test_errors_by_their_signatures(log, expected):
    assert signature(log) == expected


@pytest.mark.parametrize("width", [80, None])
def test_the_screen_as_text(width):
    stream = io.StringIO()
    render_status(screen(answer(INLINE), answer(), None), stream, width=width)
    text = stream.getvalue()
    assert "act now (exit 3)" in text
    assert re.search(r"FAIL +phase +KILL-SWITCH", text)
    assert "→ xcomctl killswitch --carrier FILE  # or set AIRFLOW__CORE__XCOM_BACKEND=" in text
    if width is not None:
        assert all(len(line) <= width for line in text.splitlines() if not line.lstrip().startswith("→"))
