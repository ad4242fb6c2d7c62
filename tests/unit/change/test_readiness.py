"""The gates of a step up: which rehearsal and which pre-flight count."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.change.samples import DUAL_READ, OFFLOAD, PATH, settings
from xcomctl.change import readiness
from xcomctl.change.readiness import Given, Preflown, Rehearsed
from xcomctl.errors import UserError
from xcomctl.journal.local import this_actor
from xcomctl.journal.open import opened
from xcomctl.model.fingerprint import fingerprint_of
from xcomctl.model.journal_entry import JournalEntry, timestamp
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.verdicts import Status, Verdict

WEEK = timedelta(days=7)
PLANNED = fingerprint_of(OBJECT_STORAGE_BACKEND, PATH, 20_000, None, "3.3.2", "1.11.0")


def ago(**much):
    return datetime.now(UTC) - timedelta(**much)


def rehearsed(at=None, verdict="ok", scenarios=("runbook", "soft"), **differs):
    values = {"threshold": 20_000, "airflow": "3.3.2", "common_io": "1.11.0", "path": PATH, **differs}
    made = fingerprint_of(
        OBJECT_STORAGE_BACKEND, values["path"], values["threshold"], None, values["airflow"], values["common_io"]
    )
    return Rehearsed(at or ago(hours=1), verdict, made.to_json(), scenarios, "the journal")


def gate(*found):
    return readiness.rehearsal_gate(iter(found), PLANNED, WEEK, "the command")


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (rehearsed(threshold=1_600_000), "threshold: rehearsed with 1600000, planned with 20000"),
        (rehearsed(airflow="3.2.1"), "airflow: rehearsed with 3.2.1"),
        (rehearsed(common_io="1.10.0"), "common_io"),
        (rehearsed(verdict="failed"), "did not pass: failed"),
        (rehearsed(verdict=None), "did not pass"),
        (rehearsed(at=ago(days=8)), "older than 7 d"),
        (rehearsed(scenarios=("runbook",)), "did not play soft"),
        (Rehearsed(ago(hours=1), "ok", {}, ("runbook", "soft"), "the journal"), "no fingerprint"),
    ],
)
def test_a_rehearsal_of_something_else_or_none_refuses_with_the_command(found, says):
    check = gate(found)
    assert (check.status, check.hint) == (Status.FAIL, "the command")
    assert says in check.detail


def test_a_patch_or_a_scheme_that_differs_is_a_warning():
    assert gate(rehearsed()).status is Status.OK
    for found in (
        rehearsed(airflow="3.3.1"),
        rehearsed(path="file:///tmp/xcom"),
        rehearsed(verdict="warnings", airflow="3.3.0"),
    ):
        assert gate(found).status is Status.WARN


def test_an_older_rehearsal_that_matches_counts_and_else_the_newest_ones_reason_is_told():
    assert gate(rehearsed(threshold=5), rehearsed(at=ago(days=2))).status is Status.OK
    check = gate(rehearsed(threshold=5), rehearsed(verdict="failed"))
    assert "rehearsed with 5" in check.detail
    assert gate().detail == "none is in the journal"


def test_the_command_records_where_the_gate_looks():
    assert readiness.rehearse_command("3.3.2", 20_000, None) == "xcomctl rehearse --airflow 3.3.2 --threshold 20000"
    command = readiness.rehearse_command("3.3.2", 20_000, "s3://b/a journal")
    assert command.endswith(" --journal 's3://b/a journal'")


def preflown(at=None, verdict="ok", contexts=None, **options):
    targets = {"one": settings(**OFFLOAD).to_json()} if contexts is None else contexts
    return Preflown(at or ago(hours=1), verdict, {"functional": True, **options}, targets, "the journal")


def preflight(*found, target=Phase.OFFLOAD, wanted=None, contexts=("one",)):
    return readiness.preflight_gate(
        iter(found), target, wanted or settings(**OFFLOAD), 20_000, frozenset(contexts), WEEK, "the command"
    )


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (preflown(verdict="failed"), "did not pass: failed"),
        (preflown(verdict="inconclusive"), "did not pass"),
        (preflown(at=ago(days=8)), "older than 7 d"),
        (preflown(only=["metadata"]), "looked at metadata alone"),
        (preflown(contexts={"one": settings(**DUAL_READ).to_json()}), "tried the threshold -1 in one, and 20000"),
        (preflown(contexts={"one": {**settings(**OFFLOAD).to_json(), "path": "s3://b/x"}}), "tried the path s3://b/x"),
        (preflown(contexts={"one": settings(**OFFLOAD).to_json(), "two": {}}), "in two"),  # it did not answer
        (preflown(contexts={}), "names no context"),
        (preflown(contexts={"another": settings(**OFFLOAD).to_json()}), "asked another, and none of one"),
    ],
)
def test_a_pre_flight_of_something_else_or_none_refuses_with_the_command(found, says):
    check = preflight(found)
    assert (check.status, check.hint) == (Status.FAIL, "the command")
    assert says in check.detail


def test_a_codec_that_was_not_tried_is_not_known_to_be_installed():
    tried = preflown(contexts={"one": settings(**OFFLOAD, compression="gzip").to_json()})
    assert preflight(tried, wanted=settings(**OFFLOAD, compression="gzip")).status is Status.OK
    other = preflight(tried, wanted=settings(**OFFLOAD, compression="zstd"))
    assert other.status is Status.FAIL and "tried the compression gzip in one, and zstd is planned" in other.detail
    assert preflight(preflown(), wanted=settings(**OFFLOAD, compression="zstd")).status is Status.FAIL
    assert preflight(preflown(), wanted=settings(**OFFLOAD, compression="")).status is Status.OK  # none is none
    # Nothing is compressed in dual-read.
    assert preflight(tried, target=Phase.DUAL_READ, wanted=settings(**DUAL_READ)).status is Status.OK


def test_for_dual_read_one_of_the_planned_offload_will_do():
    wanted = settings(**DUAL_READ)
    for tried in (OFFLOAD, DUAL_READ):
        found = preflown(contexts={"one": settings(**tried).to_json()})
        assert preflight(found, target=Phase.DUAL_READ, wanted=wanted).status is Status.OK
    other = preflown(contexts={"one": {**settings(**OFFLOAD).to_json(), "threshold": 99}})
    assert preflight(other, target=Phase.DUAL_READ, wanted=wanted).status is Status.FAIL


def test_what_was_left_out_or_not_asked_is_told():
    check = preflight(preflown(skip=["metadata_keys"], functional=False), contexts=("one", "two"))
    assert check.status is Status.WARN
    assert check.data["skip"] == ["metadata_keys"]
    for words in ("metadata_keys", "--functional-s3", "not asked there: two"):
        assert words in check.detail


def test_the_journals_entries_from_the_newest_those_of_the_deployment(tmp_path):
    where = tmp_path / "journal.jsonl"
    kept = opened(where)
    for number, (action, deployment) in enumerate(
        [("preflight", "prod"), ("preflight", "other"), ("rehearse", None), ("preflight", "prod"), ("wait", "prod")]
    ):
        data = {"options": {"n": number}, "contexts": [{"name": "one", "target": {}}], "scenarios": ["soft"]}
        at = timestamp(ago(hours=10 - number))
        kept.append(JournalEntry(action, this_actor(), at, deployment, verdict=Verdict.OK, data=data))
    entries = list(kept.entries())
    assert [each.options["n"] for each in readiness.preflights(Given(), entries, "prod")] == [3, 0]
    assert [each.scenarios for each in readiness.rehearsals(Given(), entries)] == [("soft",)]


def test_files_stand_in_for_the_journal(tmp_path):
    report, flown = tmp_path / "report.json", tmp_path / "preflight.json"
    report.write_text(json.dumps({
        "schema": "xcomctl.rehearsal/1", "finished": timestamp(ago(hours=1)), "verdict": "ok",
        "fingerprint": PLANNED.to_json(), "scenarios": ["runbook", "soft"],
    }))  # fmt: skip
    flown.write_text(json.dumps({
        "schema": "xcomctl.preflight/1", "at": timestamp(ago(hours=1)), "verdict": "ok", "options": {"functional": True},
        "contexts": [{"name": "one", "target": settings(**OFFLOAD).to_json()}],
    }))  # fmt: skip
    given = Given(report, flown)
    assert gate(*readiness.rehearsals(given, [])).status is Status.OK
    assert preflight(*readiness.preflights(given, [], None)).status is Status.OK


@pytest.mark.parametrize(
    "content", [None, "no json", "[]", '{"schema": "xcomctl.probe/1"}', '{"schema": "xcomctl.rehearsal/1"}']
)
def test_a_file_that_is_none_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as refused:
        list(readiness.rehearsals(Given(rehearsal=path), []))
    assert refused.value.verdict is Verdict.REFUSED and str(path) in refused.value.message
