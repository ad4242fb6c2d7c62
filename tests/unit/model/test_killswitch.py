"""What is next, from what the journal tells; and the way that is recommended, from what is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xcomctl.model.journal_entry import Actor, JournalEntry
from xcomctl.model.killswitch import ACTION, Way, remaining, unfinished
from xcomctl.model.killswitch_report import Sees, recommend
from xcomctl.model.phases import Phase
from xcomctl.model.verdicts import Verdict

ME = Actor("ann", "desk", 7)
HARD = ("pause", "revert", "deploy", "confirm", "wait", "rehydrate", "clear", "unpause", "watch")
EXIT = ("settle", "rehydrate", "revert", "deploy", "confirm", "wait", "late", "clear", "watch")


def entry(
    step: str = "", verdict: Verdict | None = None, plan: str = "p", deployment: str | None = "prod", **data
) -> JournalEntry:
    action = f"{ACTION}.{step}" if step else ACTION
    return JournalEntry(action, ME, "2026-06-06T12:00:00.000000Z", deployment, plan=plan, verdict=verdict, data=data)


def begun(way: str = "hard", plan: str = "p", **more) -> JournalEntry:
    return entry(plan=plan, way=way, **more)


def done(*steps: str) -> list[JournalEntry]:
    return [each for step in steps for each in (entry(step), entry(step, Verdict.OK))]


def left(entries: list[JournalEntry], resolved: bool = False) -> tuple[str, ...]:
    found = unfinished(entries, "prod")
    assert found is not None
    return remaining(found, resolved)


def test_nothing_was_begun():
    assert unfinished([], "prod") is None
    assert unfinished([entry("pause"), entry(verdict=Verdict.OK)], "prod") is None


def test_one_that_ended_is_not_gone_on_with():
    assert unfinished([begun(), *done(*HARD), entry(verdict=Verdict.OK)], "prod") is None
    assert unfinished([begun(), entry("pause"), entry(verdict=Verdict.REFUSED, abandoned=True)], "prod") is None


def test_another_deployments_kill_switch_is_not_ours():
    assert unfinished([begun()], None) is None
    found = unfinished([begun(), replace(begun("soft", "q"), deployment="other")], "prod")
    assert found is not None and found.way is Way.HARD


def test_the_last_one_counts():
    entries = [begun("soft"), *done("revert"), begun("hard", "q"), entry("pause", plan="q")]
    found = unfinished(entries, "prod")
    assert found is not None and (found.way, found.plan) == (Way.HARD, "q")
    assert [each.action for each in found.entries] == [ACTION, f"{ACTION}.pause"]


@pytest.mark.parametrize("number", range(len(HARD) * 2 + 1))
def test_after_a_kill_at_any_entry_no_step_that_was_not_done_is_left_out(number: int):
    entries = [begun(), *done(*HARD)][: number + 1]
    finished = [HARD[index] for index in range(number // 2)]
    steps = left(entries, resolved="confirm" in finished)
    missing = [step for step in HARD if step not in finished]
    again = ["revert", "deploy", "confirm"] if "confirm" not in finished else []
    assert steps == tuple(step for step in HARD if step in missing or step in again)


@pytest.mark.parametrize("count", range(4, len(HARD)))
def test_what_was_confirmed_and_holds_no_more_is_done_again_from_the_pause_on(count: int):
    entries = [begun(), *done(*HARD[:count])]
    assert left(entries, resolved=True) == HARD[count:]
    assert left(entries, resolved=False) == HARD
    soft = [begun("soft"), *done(*HARD[1:4])]
    assert left(soft, resolved=True) == () and left(soft, resolved=False) == HARD[1:4]


@pytest.mark.parametrize("number", range(1, len(HARD) * 2 + 1))
def test_done_again_nothing_counts_that_was_done_the_first_time(number: int):
    first = [begun(), *done(*HARD[:8]), entry("watch", Verdict.FAILED)]
    entries = [*first, *done(*HARD)[:number]]
    finished = number // 2
    steps = left(entries, resolved=finished >= 4)
    # Paused again, from the edit on until that is confirmed; then from the first that was not done.
    assert steps == HARD[finished if finished >= 4 else min(finished, 1) :]
    # Also where somebody deployed it meanwhile, what is paused now is unpaused at the end.
    assert set(HARD[max(finished, 1) :]) <= set(left(entries, resolved=True))


def test_dags_that_an_end_which_was_broken_off_unpaused_are_paused_again():
    entries = [begun(), *done("pause", "revert"), entry("unpause")]
    assert left(entries) == HARD
    assert left([*entries, entry("unpause", Verdict.OK)]) == HARD
    assert left([*entries, *done("pause")]) == HARD[1:]


def test_a_round_begins_where_dags_are_paused_anew():
    first = [begun(), entry("pause"), *done("pause", "unpause"), entry("watch", Verdict.FAILED)]
    found = unfinished(first, "prod")
    assert found is not None and found.round.entries == tuple(first[1:])
    again = [entry("pause"), entry("unpause"), entry("pause")]
    found = unfinished([*first, *again], "prod")
    assert found is not None and found.round.entries == tuple(again)


def test_a_step_that_failed_is_still_to_be_done_and_a_second_call_is_no_new_one():
    entries = [begun(), *done("pause"), entry("revert"), entry("revert", Verdict.FAILED), entry(resumes="then")]
    assert left(entries) == HARD[1:]
    found = unfinished(entries, "prod")
    assert found is not None and found.since == entries[0].at
    assert len(found.begun("revert")) == 1 and found.done("revert") is None and found.done("pause") is not None


def test_soft_goes_to_dual_read_and_hard_to_inline():
    assert (Way.SOFT.target, Way.SOFT.steps) == (Phase.DUAL_READ, ("revert", "deploy", "confirm"))
    assert (Way.HARD.target, Way.HARD.steps) == (Phase.INLINE, HARD)
    assert (Way.EXIT.target, Way.EXIT.steps) == (Phase.INLINE, EXIT)


# --- from dual-read to inline


@pytest.mark.parametrize("number", range(len(EXIT) * 2 + 1))
def test_an_exit_killed_at_any_entry_leaves_out_no_step_that_was_not_done(number: int):
    entries = [begun("exit"), *done(*EXIT)][: number + 1]
    finished = EXIT[: number // 2]
    steps = left(entries, resolved="confirm" in finished)
    # From the edit on until every context says inline; what was settled and rehydrated before it stands.
    again = EXIT[2:5] if "confirm" not in finished else ()
    assert steps == tuple(step for step in EXIT if step not in finished or step in again)


def test_an_exit_whose_inline_is_gone_again_begins_with_the_barrier_of_dual_read():
    """Somebody went up again meanwhile: there may be references again."""
    entries = [begun("exit"), *done(*EXIT[:5])]
    assert left(entries, resolved=True) == EXIT[5:]
    assert left(entries, resolved=False) == EXIT
    assert left([*entries, *done("settle")], resolved=False) == EXIT[1:]
    # Rehydrated again, and not edited again since: what follows is done again as well.
    assert left([*entries, *done("settle", "rehydrate")], resolved=True) == EXIT[2:]


def test_an_exit_whose_rehydrate_left_something_is_gone_on_with_there():
    entries = [begun("exit"), *done("settle"), entry("rehydrate"), entry("rehydrate", Verdict.FAILED)]
    assert left(entries) == EXIT[1:]
    assert left([*entries, entry("rehydrate", Verdict.INCONCLUSIVE), *done("rehydrate")]) == EXIT[2:]


def test_an_exit_pauses_nothing_so_nothing_is_put_back():
    found = unfinished([begun("exit"), *done("settle")], "prod")
    assert found is not None and not found.unpaused and found.round.entries == found.entries


# --- what is recommended

OFFLOAD = Sees({"scheduler": ("offload",)}, store_up=("scheduler",), runs_at_risk=0)


@pytest.mark.parametrize(
    ("sees", "way", "said"),
    [
        (OFFLOAD, "soft", "one deploy ends it"),
        (replace(OFFLOAD, store_up=(), store_down={"scheduler": "does not answer"}), "soft", "no reason for inline"),
        (replace(OFFLOAD, unimportable={"scheduler": "ImportError: no"}), "hard", "does not import (ImportError: no)"),
        (replace(OFFLOAD, phases={"scheduler": ("misconfigured",)}), "soft", "misconfigured hands path strings"),
        (replace(OFFLOAD, phases={"a": ("dual-read",), "b": ("offload",)}), "soft", "one deploy"),
        # Edited and deployed by halves: what runs counts.
        (replace(OFFLOAD, phases={"a": ("dual-read", "offload")}), "soft", "one deploy"),
        (replace(OFFLOAD, phases={"a": ("dual-read",)}), None, "dual-read already"),
        (replace(OFFLOAD, phases={"a": ("dual-read",)}, carrier="dual-read"), None, "dual-read already"),
        # Rolled back, and the next deploy flips again (F42).
        (replace(OFFLOAD, phases={"a": ("dual-read",)}, carrier="offload"), "soft", "the carrier says offload"),
        (replace(OFFLOAD, phases={"a": ("inline",)}), None, "nothing to switch off"),
        (replace(OFFLOAD, phases={"a": ("inline",)}, handed_over=3), "soft", "3 references"),
        # What would be unsafe, or is not known, is never nothing.
        (replace(OFFLOAD, phases={"a": ("inline",), "b": ("offload",)}), "soft", "beside another phase"),
        (replace(OFFLOAD, phases={"a": ("dual-read", "inline")}), "soft", "beside another phase"),
        (replace(OFFLOAD, phases={"a": ("inline",)}, runs_at_risk=None), None, "not known"),
        (replace(OFFLOAD, phases={"a": ("inline",)}, silent={"b": "no answer"}), None, "b did not"),
        (replace(OFFLOAD, phases={"a": ("dual-read",)}, silent={"b": "no answer"}), None, "b did not"),
        (replace(OFFLOAD, phases={"a": ("inline",), "b": ("offload",)}, unimportable={"b": "x"}), "hard", "does not import"),
        (replace(OFFLOAD, phases={"a": ("inline",)}, unimportable={"a": "x"}), None, "own class"),
        (replace(OFFLOAD, phases={"a": ("offload",), "b": ("unknown",)}, unimportable={"b": "x"}), None, "does not know"),
        (replace(OFFLOAD, phases={}, silent={"a": "no answer"}), None, "no context answers"),
    ],
)  # fmt: skip
def test_soft_is_recommended_unless_the_backend_does_not_import(sees: Sees, way: str | None, said: str):
    found = recommend(sees)
    assert found.way == way and said in found.because


def test_a_phase_resolves_where_every_context_says_so():
    there = Sees({"a": ("dual-read",), "b": ("dual-read",)})
    assert there.resolves(Phase.DUAL_READ) and not there.resolves(Phase.INLINE)
    for other in ({"silent": {"c": "no"}}, {"unimportable": {"a": "no"}}, {"phases": {"a": ("dual-read", "offload")}}):
        assert not replace(there, **other).resolves(Phase.DUAL_READ)
