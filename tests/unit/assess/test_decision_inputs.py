"""What a decision rests on is somebody's file: damaged in any way it is one sentence, and its secrets stay behind."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.assess import decision_samples as made
from tests.unit.report import size_samples
from xcomctl.assess.decision import Asked, decide
from xcomctl.assess.decision_choice import Said
from xcomctl.assess.decision_inputs import About, Given, gather
from xcomctl.errors import UserError
from xcomctl.journal.local import LocalJournal, entry_now
from xcomctl.model.decision import Evidence
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.verdicts import Verdict

RECORDS: dict[str, Callable[[], dict[str, Any]]] = {
    "size": made.size,
    "preflight": made.preflight,
    "rehearsal": made.rehearsal,
    "plan": lambda: made.plan(up=True),
}
NOTHING: Callable[[], tuple[JournalEntry, ...]] = tuple


def seen(entries: list[JournalEntry], deployment: str | None = None, threshold: int | None = None) -> Evidence:
    return gather(Given(), lambda: entries, About(deployment, threshold), "the.jsonl")


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda record: "{", "is no JSON"),
        (lambda record: "[]", "a JSON list"),
        (lambda record: "[" * 100_000, "is no JSON"),
        (lambda record: json.dumps({**record, "schema": "xcomctl.other/1"}), "its schema is xcomctl.other/1"),
        (lambda record: json.dumps({**record, "schema": record["schema"].replace("/1", "/2")}), "and this xcomctl reads"),
        (lambda record: json.dumps({"schema": record["schema"]}), "is missing"),
        (lambda record: json.dumps({**record, "at": "yesterday", "finished": "yesterday"}), "yesterday"),
        (lambda record: json.dumps({name: value for name, value in record.items() if name != "schema"}), "names no schema"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_it_should_be_is_one_sentence(tmp_path, kind, damage, said):
    record, path = RECORDS[kind](), tmp_path / "in.json"
    path.write_text(damage(record))
    with pytest.raises(UserError) as refused:
        gather(Given(**{kind: path}), NOTHING, About(), "j")
    assert refused.value.verdict is Verdict.REFUSED and said in refused.value.message
    assert str(path) in refused.value.message and "\n" not in refused.value.message


def test_a_file_that_is_not_there_or_binary(tmp_path):
    for path, said in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UserError, match=said):
            gather(Given(size=path), NOTHING, About(), "j")
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is no JSON"):
        gather(Given(size=tmp_path / "x"), NOTHING, About(), "j")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


GIVEN = {kind: record() for kind, record in RECORDS.items()}
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.just([None]), st.just({"a": [1]}),
)  # fmt: skip


@given(st.data())
def test_whatever_one_value_of_a_file_is_it_is_a_record_or_a_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    kind = data.draw(st.sampled_from(sorted(GIVEN)))
    record = copy.deepcopy(GIVEN[kind])
    place = data.draw(st.sampled_from(list(places(record))))
    inner = record
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = data.draw(ODD)
    (folder / "in.json").write_text(json.dumps(record))
    asked = Asked(
        folder / "record.md", Given(**{kind: folder / "in.json"}), Said(), timedelta(days=7), None, None, "j", NOTHING
    )  # fmt: skip
    try:
        decide(asked)
    except UserError as error:
        assert not (folder / "record.md").exists() and "\n" not in error.message
    else:
        assert (folder / "record.md").read_bytes()


@pytest.mark.parametrize("kind", ["preflight", "rehearsal", "plan"])
def test_a_verdict_that_is_none_is_one_sentence(tmp_path, kind):
    (tmp_path / "in.json").write_text(json.dumps({**RECORDS[kind](), "verdict": "fine"}))
    with pytest.raises(UserError, match="'fine'"):
        gather(Given(**{kind: tmp_path / "in.json"}), NOTHING, About(), "j")


def test_a_plan_down_is_refused(tmp_path):
    (tmp_path / "down").write_text(json.dumps(made.plan(up=False)))
    with pytest.raises(UserError, match="is a plan down") as refused:
        gather(Given(plan=tmp_path / "down"), NOTHING, About(), "j")
    assert refused.value.verdict is Verdict.REFUSED


def test_what_names_no_deployment_is_known_where_one_is_asked_for(tmp_path):
    for kind, record in (("size", {**made.size(), "deployment": None}), ("preflight", made.preflight()), ("rehearsal", made.rehearsal()), ("plan", made.plan(up=True))):  # fmt: skip
        (tmp_path / kind).write_text(json.dumps(record))
    files = Given(*(tmp_path / kind for kind in ("size", "preflight", "rehearsal", "plan")))

    def unnamed(deployment: str | None) -> set[str]:
        return {name for name, each in gather(files, NOTHING, About(deployment), "j").sources.items() if each.unnamed}

    assert unnamed("prod") == {"measured", "preflight"} and unnamed(None) == set()


# -- the journal


def entry(action: str, deployment: str | None, verdict: Verdict | None = Verdict.OK, **more: Any) -> JournalEntry:
    return entry_now(action, deployment, verdict=verdict, **more)


def test_the_newest_of_this_deployment_counts():
    entries = [
        entry("size", "prod", data=made.size()),
        entry("size", "prod", data=size_samples.one().to_json()),
        entry("size", "dev", data=made.size()),
        entry("size", "prod", None, data={}),
    ]
    found = seen(entries, "prod")
    assert found.size is not None and found.size.answer.values == 1
    assert "entry of" in found.sources["measured"].where
    assert seen(entries).size is None


def test_a_measurement_of_everything_is_taken_before_a_sample_and_that_before_a_part():
    whole, sample, part = entry("size", None, data=made.size()), made.size(query={"sample": 0.05}), made.size(query={"dag_id": "x"})  # fmt: skip
    entries = [whole, entry("size", None, data=sample), entry("size", None, data=part)]
    for kept, query in ((entries, None), (entries[1:], {"sample": 0.05}), (entries[2:], {"dag_id": "x"})):
        found = seen(kept).size
        assert found is not None and (query is None or found.query == query)
        assert query is not None or found.query["thresholds"] == [1_000_000, 2_000]


def preflight_data(**options: Any) -> dict[str, Any]:
    return {
        "options": {"functional": True, **options},
        "contexts": [{"name": "scheduler", "phase": "inline", "target": {"path": "s3://a@b/c", "threshold": 20_000}}],
        "checks": [
            {"context": "scheduler", "id": "config_path", "status": "fail"},
            {"context": "scheduler", "id": "metadata_json_strings", "status": "fail", "count": 14},
        ],
    }


def test_a_pre_flight_of_the_journal_has_the_outcomes_alone_and_a_spot_check_does_not_hide_it():
    entries = [
        entry("preflight", "prod", Verdict.FAILED, data=preflight_data(), versions={"airflow": "3.3.2"}),
        entry("preflight", "prod", data=preflight_data(only=["store"])),
    ]
    flown = seen(entries, "prod").preflight
    assert flown is not None and flown.verdict == "failed" and not flown.whole
    assert flown.checks[0][1].id == "config_path" and flown.versions["airflow"] == "3.3.2"
    assert [check.detail for _, check in flown.checks] == ["", "14 values"]
    spot = seen(entries[1:], "prod").preflight
    assert spot is not None and spot.options.only == ("store",)


def rehearsed(path: Path | None, record: dict[str, Any]) -> JournalEntry:
    data = {"fingerprint": record["fingerprint"], "scenarios": record["scenarios"], "report": str(path), "steps": []}
    return entry("rehearse", None, data=data, after=record["settings"])


def test_a_rehearsal_of_the_journal_lacks_what_the_ways_down_cost_unless_its_report_still_lies_there(tmp_path):
    record, path = made.rehearsal(), tmp_path / "report.json"
    lacking = seen([rehearsed(path, record)], "prod").rehearsal
    assert lacking is not None and lacking.report is None and lacking.verdict == "ok"
    path.write_text(json.dumps(record))
    whole = seen([rehearsed(path, record)], "prod").rehearsal
    assert whole is not None and whole.report is not None and len(whole.report.strategies) == 2
    path.write_text(json.dumps(made.rehearsal(threshold=20_000)))
    other = seen([rehearsed(path, record)], "prod").rehearsal
    assert other is not None and other.report is None, "another rehearsal was taken for it"


def test_the_newest_rehearsal_of_this_threshold_is_taken_before_a_newer_one_of_another():
    entries = [rehearsed(None, made.rehearsal(threshold=each)) for each in (1_600_000, 20_000, 1_600_000, 10_000)]

    def taken(threshold: int | None) -> str:
        return seen(entries, None, threshold).sources["rehearsal"].where

    assert entries[1].at in taken(20_000) and entries[2].at in taken(1_600_000)
    assert entries[3].at in taken(30_000) and entries[3].at in taken(None)
    measured = entry("size", None, data=made.size())
    assert entries[2].at in seen([*entries, measured]).sources["rehearsal"].where, "the suggestion is what it is about"


def test_a_rehearsal_of_such_a_base_path_is_taken_before_one_of_another():
    record = made.rehearsal()
    local = {**record, "fingerprint": {**record["fingerprint"], "path_scheme": "file"}}
    entries = [rehearsed(None, record), rehearsed(None, local)]
    for path, index in (("s3://a@b/c", 0), ("file:///x", 1), (None, 1)):
        found = gather(Given(), lambda: entries, About(None, 1_600_000, path), "j")
        assert entries[index].at in found.sources["rehearsal"].where


@pytest.mark.parametrize(
    "bad",
    [
        entry("size", None, data={"schema": "xcomctl.size/2"}),
        entry("size", None, data={}),
        entry("preflight", None, data={"contexts": 3, "checks": []}),
        entry("preflight", None, data={**preflight_data(), "checks": ["x"]}),
        entry("rehearse", None, data={"scenarios": 3}),
    ],
)
def test_a_damaged_entry_is_one_sentence(bad):
    with pytest.raises(UserError) as refused:
        seen([bad])
    assert refused.value.verdict is Verdict.REFUSED and "journal the.jsonl" in refused.value.message


def test_the_journal_is_not_read_where_every_file_is_named(tmp_path):
    for kind, record in RECORDS.items():
        (tmp_path / kind).write_text(json.dumps(record()))

    def entries() -> tuple[JournalEntry, ...]:
        raise AssertionError("it was read")

    given = Given(*(tmp_path / kind for kind in ("size", "preflight", "rehearsal")))
    assert gather(given, entries, About(), "j").size is not None


def test_no_secret_gets_past_the_door(tmp_path):
    secret = "hunter2hunter2"
    record = made.preflight()
    record["checks"][0]["detail"] = f"postgresql://me:{secret}@db/airflow and aws_secret_access_key={secret}"
    record["contexts"][0]["target"]["path"] = f"s3://key:{secret}@bucket/xcom"
    plan = made.plan(up=True)
    plan["steps"][0]["commands"] = [
        f"xcomctl flip --path s3://key:{secret}@bucket/xcom",
        f"export AIRFLOW_CONN_X={secret}",
    ]
    for name, value in (("p", record), ("u", plan)):
        (tmp_path / name).write_text(json.dumps(value))
    given = Given(preflight=tmp_path / "p", plan=tmp_path / "u")
    journal = LocalJournal(tmp_path / "none")
    asked = Asked(tmp_path / "record.md", given, Said(20_000), timedelta(days=7), None, None, journal.name, lambda: tuple(journal.entries()))  # fmt: skip
    outcome = decide(asked)
    assert b"***" in outcome.after and secret not in (tmp_path / "record.md").read_text()
    assert secret not in json.dumps(outcome.to_json())
