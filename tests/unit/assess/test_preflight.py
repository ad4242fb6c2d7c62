"""The pre-flight at the desk: contexts that answer, die, hang or are not there; the journal."""

from __future__ import annotations

import dataclasses
import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import preflight_samples as samples
from xcomctl.assess.preflight import ANSWERS, Preflight, UsageError, catalogue, record, report_of
from xcomctl.deployment.reach.command import CommandReach
from xcomctl.deployment.reach.interface import Reach
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.errors import UserError
from xcomctl.journal.local import LocalJournal
from xcomctl.model.preflight import METADATA, CatalogueEntry, ContextReport, PreflightOptions, PreflightReport
from xcomctl.model.verdicts import Status, Verdict
from xcomctl.report.progress import PlainProgress

#: A Python without Airflow: this one.
BARE = LocalReach(Path(sys.executable), label="bare")


def preflight(reaches: Sequence[Reach], **fields: Any) -> PreflightReport:
    options = PreflightOptions(**fields.pop("options", {}))
    run = Preflight(options, reaches, PlainProgress(io.StringIO()), lambda context, line: None, **fields)
    return report_of(options, run.run())


def test_a_context_without_airflow_is_inconclusive_with_the_reason() -> None:
    report = preflight([BARE])
    (check,) = report.checks
    assert (check.id, check.status) == (ANSWERS, Status.SKIP)
    assert "there is no Airflow" in check.detail
    assert check.hint
    assert report.verdict is Verdict.INCONCLUSIVE


def test_contexts_that_cannot_be_reached_do_not_hide_the_others() -> None:
    dead = CommandReach(("sh", "-c", "echo it is over >&2; exit 3"), label="dead")
    missing = CommandReach(("no-such-command-here",), label="missing")
    report = preflight([dead, BARE, missing])
    assert [context.name for context in report.contexts] == ["dead", "bare", "missing"]
    said = {context.name: context.checks[0] for context in report.contexts}
    assert "it is over" in said["dead"].detail
    assert said["dead"].data["log"] == ["it is over"]
    assert "no-such-command-here" in said["missing"].detail
    assert report.fleet[0].status is Status.SKIP
    assert report.verdict is Verdict.INCONCLUSIVE


def test_a_secret_in_a_prefix_is_in_no_name() -> None:
    prefix = f"env DATABASE_PASSWORD=hunter2hunter2 {shlex.quote(sys.executable)}"
    report = preflight([CommandReach.parse(prefix, python=sys.executable)])
    assert "hunter2" not in str(report.to_json())


def test_contexts_of_one_name_stay_apart() -> None:
    report = preflight([BARE, CommandReach(("sh", "-c", "exit 3"), label="other"), BARE])
    assert [context.name for context in report.contexts] == ["bare (1)", "other", "bare (2)"]


def test_a_selection_that_makes_no_sense_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no check 'nonsense'"):
        preflight([BARE], options={"only": ("nonsense",)})


def test_another_kind_of_context_is_a_column_like_any_other() -> None:
    def ask(waiting: Any) -> ContextReport:
        waiting("the task")
        return ContextReport("task", (samples.FINE,), samples.answer())

    def refuse(waiting: Any) -> ContextReport:
        raise UserError("the DAG is paused", "unpause it")

    report = preflight([], others={"task": ask, "paused": refuse})
    assert [context.checks[0].status for context in report.contexts] == [Status.OK, Status.SKIP]
    assert report.contexts[1].checks[0].hint == "unpause it"


def test_the_catalogue_needs_no_airflow() -> None:
    ids = [entry.id for entry in catalogue()]
    assert len(set(ids)) == len(ids) > 20
    assert "config_drift" in ids


def test_it_is_recorded_with_what_a_gate_asks_for(tmp_path: Path) -> None:
    path = record(samples.several(), "staging", tmp_path / "journal.jsonl")
    (entry,) = LocalJournal(path).entries()
    assert (entry.action, entry.deployment, entry.verdict) == ("preflight", "staging", Verdict.FAILED)
    assert entry.data["options"]["expect_path"] == samples.PATH
    assert entry.data["contexts"][0]["target"]["threshold"] == 1_600_000
    assert {"context": "scheduler", "id": "store_lifecycle", "status": "warn"} in entry.data["checks"]


def test_the_report_names_what_mends_it_once() -> None:
    report = samples.report(
        ContextReport("a", (samples.WRONG_PATH,), samples.answer()),
        ContextReport("b", (samples.WRONG_PATH,), samples.answer()),
    )
    assert report.verdict is Verdict.FAILED
    record_of = report.to_json()
    assert record_of["exit_code"] == 3
    assert [check["context"] for check in record_of["checks"]] == ["a", "b"]


def test_warnings_count_when_they_are_asked_to() -> None:
    contexts = (ContextReport("a", (samples.NO_RULE,), samples.answer()),)
    assert samples.report(*contexts).verdict is Verdict.OK
    assert samples.report(*contexts, fail_on_warn=True).verdict is Verdict.WARNINGS


def test_a_context_of_which_nothing_is_known_is_never_ok() -> None:
    contexts = (ContextReport("a", (samples.FINE,), samples.answer()), ContextReport("b", ()))
    assert samples.report(*contexts).verdict is Verdict.INCONCLUSIVE


# -- one database for all contexts

ENTRIES = (CatalogueEntry("config_path", "config", ""), CatalogueEntry("metadata_references", METADATA, ""))
ROWS = samples.check("metadata_references", Status.OK, "none", category=METADATA)
NO_DATABASE = dataclasses.replace(ROWS, status=Status.SKIP, detail="no database here", data={"no_database": True})


class Scripted(Preflight):
    """Contexts that answer as scripted, and what each was asked for."""

    def __init__(self, having: Sequence[str], names: Sequence[str], options: PreflightOptions) -> None:
        reaches = [LocalReach(Path("/nowhere"), label=name) for name in names]
        super().__init__(options, reaches, PlainProgress(io.StringIO()), lambda *_: None, entries=ENTRIES)
        self.having = having
        self.asked: dict[str, list[bool]] = {}

    def _ask(self, name: str, reach: Reach, options: PreflightOptions) -> ContextReport:
        metadata = METADATA not in options.skip and (not options.only or bool({METADATA, ROWS.id} & set(options.only)))
        others = not options.only or bool(set(options.only) - {METADATA, ROWS.id})
        self.asked.setdefault(name, []).append(metadata)
        found = [samples.FINE] if others else []
        if metadata:
            found.append(ROWS if name in self.having else NO_DATABASE)
        return ContextReport(name, tuple(found), samples.answer())


def scripted(having: Sequence[str], *names: str, **options: Any) -> tuple[Scripted, dict[str, list[str]]]:
    run = Scripted(having, names, PreflightOptions(**options))
    return run, {report.name: [check.id for check in report.checks] for report in run.run()}


def test_the_database_is_scanned_once_for_all() -> None:
    run, found = scripted(["a", "b", "c"], "a", "b", "c")
    assert found == {"a": ["config_backend", ROWS.id], "b": ["config_backend"], "c": ["config_backend"]}
    assert run.asked == {"a": [True], "b": [False], "c": [False]}


def test_where_the_first_context_has_no_database_another_one_answers() -> None:
    run, found = scripted(["c"], "a", "b", "c")
    assert found == {"a": ["config_backend"], "b": ["config_backend"], "c": ["config_backend", ROWS.id]}
    assert run.asked == {"a": [True], "b": [False, True], "c": [False, True]}


def test_where_none_has_a_database_it_stays_unmeasured() -> None:
    _, found = scripted([], "a", "b")
    assert found == {"a": ["config_backend", ROWS.id], "b": ["config_backend"]}


def test_a_selection_of_it_alone_asks_no_more_contexts_than_it_takes() -> None:
    run, found = scripted(["b"], "a", "b", "c", only=("metadata_references",))
    assert found == {"b": [ROWS.id]}
    assert run.asked == {"a": [True], "b": [True]}
    assert scripted(["a"], "a", "b", skip=(METADATA,))[1] == {"a": ["config_backend"], "b": ["config_backend"]}


def test_drift_may_be_left_out() -> None:
    contexts = [ContextReport("a", (), samples.answer()), ContextReport("b", (), samples.answer(path=""))]
    assert [check.id for check in report_of(PreflightOptions(), contexts).fleet] == ["config_drift"]
    assert report_of(PreflightOptions(only=("config",)), contexts).fleet
    for options in ({"only": ("metadata",)}, {"skip": ("config_drift",)}, {"skip": ("config",)}):
        assert report_of(PreflightOptions(**options), contexts).fleet == ()  # type: ignore[arg-type]


def test_what_mends_the_drift_is_a_next_step_too() -> None:
    contexts = [ContextReport("a", (), samples.answer()), ContextReport("b", (), samples.answer(path=""))]
    assert "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH" in report_of(PreflightOptions(), contexts).next_steps[0]
