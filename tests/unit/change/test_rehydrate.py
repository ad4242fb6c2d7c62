"""What to type after a rehydrate, the verdict of a look, and what names a plan."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any, cast

import pytest

from xcomctl.assess.fleet import Fleet
from xcomctl.change.rehydrate import Rehydrate, Spelled, next_steps, record, verdict_of
from xcomctl.cli.main import build_parser
from xcomctl.errors import UserError
from xcomctl.model.refs import RefTotals
from xcomctl.model.rehydrate import (
    ALIAS,
    CHANGED,
    DANGLING,
    DIFFERS,
    DOES_NOT_FIT,
    JSON_STRING,
    LOCKED,
    MAX_BYTES,
    MAX_VALUE_BYTES,
    OUTSIDE,
    OVER_MAX_BYTES,
    PATH_STRING,
    TOO_LARGE,
    UNDECODABLE,
    UNFINISHED,
    UNREAD,
    WORDS,
    RehydrateAnswer,
    RehydrateQuery,
)
from xcomctl.model.rehydrated import After, Before
from xcomctl.model.verdicts import Check, Status, Verdict

BASE = "s3://store@bucket/xcom"
NOTHING = RefTotals(BASE)
WRITE = RehydrateQuery(write=True)


def after(totals: RefTotals | None = NOTHING, store_error: str = "", **left: int) -> After:
    return After(RehydrateAnswer(BASE, True, left=left, store_error=store_error), 1.0, totals)


def steps(found: After, query: RehydrateQuery = WRITE, again: str = "") -> list[str]:
    printed = next_steps(found, query, Spelled(again, contexts=" -D prod", carrier=" --carrier values.env"))
    assert all(" -D prod" in each for each in printed)
    return printed


def test_once_nothing_is_left_the_way_is_inline():
    assert steps(after()) == ["xcomctl flip --to inline --carrier values.env -D prod"]
    stopped = steps(after(), replace(WRITE, no_readers=True))
    assert stopped == ["xcomctl flip --to inline --fleet-stopped --carrier values.env -D prod"]


@pytest.mark.parametrize(
    "found",
    [
        after(None),  # a part of them: nobody has looked at the others
        after(replace(NOTHING, references=3)),  # pushed meanwhile
        after(replace(NOTHING, pickled=3)),
    ],
)
def test_whether_inline_is_safe_is_asked_where_that_is_not_known(found: After):
    assert steps(found) == ["xcomctl rehydrate --verify -D prod"]


@pytest.mark.parametrize(
    ("why", "command"),
    [
        (CHANGED, "xcomctl rehydrate -d dag -D prod  # again"),
        (LOCKED, "xcomctl rehydrate -d dag -D prod  # again"),
        (TOO_LARGE, "xcomctl rehydrate -d dag --max-value-bytes BYTES -D prod"),
        (OVER_MAX_BYTES, "xcomctl rehydrate -d dag --max-bytes BYTES -D prod"),
        (DANGLING, "xcomctl refs --dangling -D prod"),
        (UNDECODABLE, "xcomctl refs -D prod  # clear"),
        (ALIAS, "xcomctl refs --aliases -D prod"),
        (JSON_STRING, "xcomctl rehydrate -d dag --quiesced -D prod"),
        (DOES_NOT_FIT, "xcomctl refs -D prod"),
        (PATH_STRING, "xcomctl refs -D prod"),
        (DIFFERS, "xcomctl refs -D prod"),
        (OUTSIDE, "xcomctl refs -D prod  # clear"),
        (UNREAD, "xcomctl status -D prod"),
    ],
)
def test_whatever_is_left_has_the_command_that_mends_it(why: str, command: str):
    (step,) = steps(after(replace(NOTHING, references=1), **{why: 1}), again=" -d dag")
    assert step.startswith(command)


def test_no_reason_is_without_a_way_on_and_none_leads_to_inline():
    for why in WORDS:
        printed = steps(after(replace(NOTHING, references=1), **{why: 1}))
        assert printed and not any("flip" in each for each in printed)
    everything = steps(after(None, **dict.fromkeys(WORDS, 1)))
    assert len(everything) == len(set(everything)) == 8


@pytest.mark.parametrize("why", [CHANGED, LOCKED, DANGLING])
def test_what_was_left_and_is_gone_by_the_end_is_no_ones_concern(why: str):
    assert steps(after(NOTHING, **{why: 1})) == ["xcomctl flip --to inline --carrier values.env -D prod"]
    assert steps(after(None, **{why: 1})) != ["xcomctl rehydrate --verify -D prod"]


def test_who_may_have_got_path_strings_comes_first():
    spelled = Spelled(" -d dag --base-path X", " --base-path X", " -D prod", " --carrier FILE")
    first, *others = next_steps(after(), WRITE, spelled, 2)
    assert first.startswith("xcomctl retrigger --base-path X -D prod  #") and len(others) == 1
    assert next_steps(after(None), replace(WRITE, write=False), spelled, 2)[0].startswith("xcomctl rehydrate")
    assert next_steps(after(None), WRITE, spelled) == ["xcomctl rehydrate --verify --base-path X -D prod"]


def test_where_something_was_up_meanwhile_nothing_leads_to_inline():
    (step,) = steps(replace(after(), disturbed="it ran"), replace(WRITE, no_readers=True))
    assert step.startswith("xcomctl status -D prod")


def test_a_dry_run_leads_to_the_same_call_within_the_same_bounds():
    dry = replace(WRITE, write=False, max_bytes=5, max_value_bytes=MAX_VALUE_BYTES)
    assert steps(after(None), dry, " -d dag") == ["xcomctl rehydrate -d dag --max-bytes 5 -D prod"]
    wide = replace(dry, max_bytes=MAX_BYTES, max_value_bytes=7)
    assert steps(after(None, dangling=1), wide)[0] == "xcomctl rehydrate --max-value-bytes 7 -D prod"
    assert len(steps(after(None, dangling=1), wide)) == 2


def test_where_the_store_gave_up_it_is_looked_at_first():
    (step,) = steps(after(None, "it is down"), replace(WRITE, write=False))
    assert step.startswith("xcomctl status -D prod")


def test_every_command_that_is_printed_can_be_typed():
    for query in (WRITE, replace(WRITE, write=False, max_bytes=5), replace(WRITE, no_readers=True)):
        for found in (after(), after(None), after(None, **dict.fromkeys(set(WORDS) - {UNREAD}, 1))):
            spelled = Spelled(" -d dag -r 'run 1'", " --base-path s3://b/x", "", " --carrier values.env")
            for step in next_steps(found, query, spelled, 1):
                words = shlex.split(step.replace("BYTES", "1GiB"), comments=True)
                assert build_parser().parse_args(words[1:]).run is not None


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ((), Verdict.OK),
        ((Status.OK, Status.WARN), Verdict.OK),
        ((Status.OK, Status.SKIP), Verdict.INCONCLUSIVE),
        ((Status.SKIP, Status.FAIL), Verdict.FAILED),
    ],
)
def test_inline_is_safe_only_where_nothing_failed_and_everything_was_seen(statuses: Any, verdict: Verdict):
    assert verdict_of(tuple(Check("gate_x", "gates", "x", status) for status in statuses)) is verdict


def command(query: RehydrateQuery) -> Rehydrate:
    return Rehydrate(cast(Fleet, None), None, "prod", query, "")


@pytest.mark.parametrize(
    ("query", "whole"),
    [
        (WRITE, True),
        (replace(WRITE, no_readers=True, max_bytes=5), True),
        (replace(WRITE, runs=UNFINISHED), False),
        (replace(WRITE, dag_id="dag"), False),
        (replace(WRITE, before="2026-06-06T12:00:00Z"), False),
    ],
)
def test_only_who_asked_for_all_of_them_learns_whether_any_is_left(query: RehydrateQuery, whole: bool):
    assert command(query).whole is whole


def test_the_journal_tells_one_plan_from_another():
    queries = (WRITE, replace(WRITE, dag_id="dag"), replace(WRITE, write=False), replace(WRITE, max_bytes=5))
    assert len({command(query).hash for query in queries}) == len(queries)
    assert command(WRITE).hash == command(RehydrateQuery(write=True)).hash


def test_what_is_told_to_programs_says_what_was_left_in_all_or_that_nobody_looked():
    before = Before({"scheduler": "dual-read"}, NOTHING, ("s3://key:hunter2@bucket",))
    told = record(before, after(replace(NOTHING, references=2, pickled=1)), "prod", WRITE, ["a"])
    assert (told["verdict"], told["exit_code"], told["dry_run"], told["next_steps"]) == ("failed", 3, False, ["a"])
    assert told["left_in_all"] == {"references": 2, "aliases": 0, "pickled": 1}
    assert "hunter2" not in str(told) and "base_path" not in told["query"]
    assert record(before, after(None), None, WRITE, [])["left_in_all"] is None
    broken = record(before, UserError("s3://key:hunter2@bucket is gone"), None, WRITE, ["a"])
    assert (broken["verdict"], broken["exit_code"], broken["answer"]) == ("inconclusive", 5, None)
    assert broken["error"].endswith("is gone") and "hunter2" not in broken["error"]
