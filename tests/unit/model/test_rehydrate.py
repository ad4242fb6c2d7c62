"""What is asked of a rehydrate, what becomes of a row, and the verdict of the whole."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from xcomctl.model import rehydrate as words
from xcomctl.model.refs import RefTotals
from xcomctl.model.rehydrate import (
    ALIAS,
    CHANGED,
    COLUMN_WORDS,
    DANGLING,
    KEY_ORDER,
    LOCKED,
    UNFINISHED,
    UNREAD,
    WORDS,
    RehydrateAnswer,
    RehydrateQuery,
    Row,
)
from xcomctl.model.rehydrated import After, Before
from xcomctl.model.verdicts import Verdict

BASE = "s3://store@bucket/xcom"
ROW = Row(DANGLING, "dag", "run", "task", 3, "key", f"{BASE}/x", "why", "success")
ANSWER = RehydrateAnswer(BASE, True, 5, 3, 300, 200)


@pytest.mark.parametrize(
    "record",
    [
        RehydrateQuery(),
        RehydrateQuery(BASE, BASE, UNFINISHED, "dag", "run", "2026-06-06T12:00:00+00:00", True, True, 2, 10, 5, True),
        ROW,
        replace(ROW, detail="", run_state=None),
        ANSWER,
        RehydrateAnswer(BASE, False, 9, 3, 300, 200, {ALIAS: 2}, 1, {KEY_ORDER: 3}, 4, ("A", "B"), 7, "it is down", ("w",)),
    ],
)  # fmt: skip
def test_records_survive_the_wire(record: Any) -> None:
    assert type(record).from_json(json.loads(json.dumps(record.to_json()))) == record


def test_an_older_side_that_says_less_is_understood() -> None:
    assert RehydrateQuery.from_json({"unknown": 1}) == RehydrateQuery()
    assert RehydrateAnswer.from_json({"base_path": BASE, "write": False}) == RehydrateAnswer(BASE, False)
    with pytest.raises(ValueError, match="base_path"):
        RehydrateAnswer.from_json({"write": True})


def test_what_nobody_said_is_left_out() -> None:
    given = RehydrateQuery(base_path=BASE, write=False).given()
    assert (given["base_path"], given["write"]) == (BASE, False) and not {"dag_id", "run_id", "before"} & set(given)


def test_nothing_is_written_and_no_reader_is_presumed_dead_unless_that_is_said() -> None:
    query = RehydrateQuery()
    assert (query.write, query.no_readers, query.runs) == (False, False, "all")


def test_every_word_is_said_and_says_whether_the_row_still_holds_its_reference() -> None:
    constants = {value for name, value in vars(words).items() if name.isupper() and isinstance(value, str)}
    assert {*WORDS, *COLUMN_WORDS} == constants - {words.ALL, words.UNFINISHED}
    assert all(replace(ROW, why=why).left for why in WORDS)
    assert not any(replace(ROW, why=why).left for why in (KEY_ORDER, *COLUMN_WORDS))


def test_what_stands_to_be_done_counts_aliases_too() -> None:
    assert Before({}, RefTotals(BASE, references=3, aliases=2, foreign=9), ()).rows == 5


@pytest.mark.parametrize(
    ("answer", "left", "verdict"),
    [
        # A part of them: what of it is left.
        ({}, None, Verdict.OK),
        ({"gone": 2}, None, Verdict.OK),
        ({"changed_by_column": {KEY_ORDER: 3}}, None, Verdict.OK),
        ({"left": {ALIAS: 1}}, None, Verdict.FAILED),
        ({"left": {LOCKED: 1}}, None, Verdict.FAILED),
        ({"left": {CHANGED: 2}}, None, Verdict.FAILED),  # what it holds now may be a reference again
        ({"left": {CHANGED: 2, ALIAS: 1}}, None, Verdict.FAILED),
        # All of them: what any row holds afterwards.
        ({}, {}, Verdict.OK),
        ({"left": {CHANGED: 1}}, {}, Verdict.OK),
        ({"left": {DANGLING: 1}}, {}, Verdict.OK),  # cleared meanwhile
        ({}, {"references": 1}, Verdict.FAILED),
        ({}, {"aliases": 1}, Verdict.FAILED),
        ({}, {"pickled": 1}, Verdict.FAILED),
        ({}, {"foreign": 1, "urls": 5, "archived": 3}, Verdict.OK),
        # A store that does not answer: not known, whatever else there is.
        ({"store_error": "no"}, None, Verdict.INCONCLUSIVE),
        ({"left": {UNREAD: 1, ALIAS: 1}}, None, Verdict.INCONCLUSIVE),
        ({"left": {UNREAD: 1}}, {"references": 1}, Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict(answer: dict[str, Any], left: dict[str, int] | None, verdict: Verdict) -> None:
    totals = None if left is None else RefTotals(BASE, **left)  # type: ignore[arg-type]
    assert After(replace(ANSWER, **answer), 1.0, totals).verdict is verdict
    # Who was up meanwhile may have read something else, whatever is left.
    assert After(replace(ANSWER, **answer), 1.0, totals, "it ran").verdict is Verdict.INCONCLUSIVE
