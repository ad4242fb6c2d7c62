"""Which kill-switch is played: what was asked for, what was begun before, and where nothing helps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xcomctl.change.killswitch_decision import decide
from xcomctl.errors import UserError
from xcomctl.model.journal_entry import Actor, JournalEntry
from xcomctl.model.killswitch import ACTION, Begun, Way
from xcomctl.model.killswitch_report import Sees
from xcomctl.model.verdicts import Verdict

OFFLOAD = Sees({"scheduler": ("offload",)}, runs_at_risk=0)
BROKEN = replace(OFFLOAD, unimportable={"scheduler": "ImportError"})
ENTRY = JournalEntry(ACTION, Actor("ann", "desk", 7), "2026-06-06T12:00:00Z", plan="p")
SOFT_BEGUN, HARD_BEGUN = Begun(Way.SOFT, "p", ENTRY.at, (ENTRY,)), Begun(Way.HARD, "p", ENTRY.at, (ENTRY,))

CONFIRMED = JournalEntry(f"{ACTION}.confirm", ENTRY.actor, ENTRY.at, plan="p", verdict=Verdict.OK)
HARD_CONFIRMED = Begun(Way.HARD, "p", ENTRY.at, (ENTRY, CONFIRMED))


@pytest.mark.parametrize(
    ("sees", "begun", "hard", "way", "resumes"),
    [
        (OFFLOAD, None, False, Way.SOFT, False),
        (OFFLOAD, None, True, Way.HARD, False),
        (BROKEN, None, True, Way.HARD, False),
        (replace(OFFLOAD, phases={"a": ("dual-read",)}), None, True, Way.HARD, False),
        (replace(OFFLOAD, phases={"a": ("misconfigured",)}), None, False, Way.SOFT, False),
        (replace(OFFLOAD, phases={"a": ("dual-read",)}), None, False, None, False),
        (replace(OFFLOAD, phases={"a": ("inline",)}), None, False, None, False),
        # Called again after its end: there is nothing left to do.
        (replace(OFFLOAD, phases={"a": ("inline",)}), None, True, None, False),
        # What was begun is gone on with, wherever it stands by now.
        (replace(OFFLOAD, phases={"a": ("dual-read",)}), SOFT_BEGUN, False, Way.SOFT, True),
        (replace(OFFLOAD, phases={"a": ("inline",)}), HARD_BEGUN, False, Way.HARD, True),
        (replace(OFFLOAD, phases={"a": ("inline",)}), HARD_BEGUN, True, Way.HARD, True),
        # A hard one that got as far as inline, in which not everything is any more, is played again if that is asked for.
        (OFFLOAD, HARD_CONFIRMED, True, Way.HARD, True),
        (replace(OFFLOAD, phases={"a": ("inline",)}), HARD_CONFIRMED, False, Way.HARD, True),
        # Inline beside a context in which nothing imports.
        (replace(BROKEN, phases={"a": ("inline",), "scheduler": ("offload",)}), None, True, Way.HARD, False),
        (replace(OFFLOAD, phases={"a": ("inline",), "b": ("offload",)}), None, False, Way.SOFT, False),
        # A soft one that does not help is left behind.
        (BROKEN, SOFT_BEGUN, True, Way.HARD, False),
    ],
)
def test_what_is_played(sees: Sees, begun: Begun | None, hard: bool, way: Way | None, resumes: bool) -> None:
    found = decide(sees, begun, hard=hard)
    assert (found.way, found.resumes is not None) == (way, resumes)


DUAL_READ = replace(OFFLOAD, phases={"a": ("dual-read",)})
EXIT_BEGUN = Begun(Way.EXIT, "p", ENTRY.at, (ENTRY,))


@pytest.mark.parametrize(
    ("sees", "begun", "way", "resumes"),
    [
        (DUAL_READ, None, Way.EXIT, False),
        # To dual-read first: the same call goes on from there.
        (OFFLOAD, None, Way.SOFT, False),
        (replace(OFFLOAD, phases={"a": ("misconfigured",)}), None, Way.SOFT, False),
        (replace(OFFLOAD, phases={"a": ("dual-read",), "b": ("offload",)}), None, Way.SOFT, False),
        (replace(OFFLOAD, phases={"a": ("dual-read", "offload")}), None, Way.SOFT, False),
        (replace(OFFLOAD, phases={"a": ("inline",)}), None, None, False),
        # What was begun is gone on with, wherever it stands by now.
        (DUAL_READ, SOFT_BEGUN, Way.SOFT, True),
        (DUAL_READ, EXIT_BEGUN, Way.EXIT, True),
        (OFFLOAD, EXIT_BEGUN, Way.EXIT, True),
        (replace(OFFLOAD, phases={"a": ("inline",)}), EXIT_BEGUN, Way.EXIT, True),
        (replace(OFFLOAD, phases={"a": ("inline",)}), HARD_BEGUN, Way.HARD, True),
    ],
)
def test_to_inline_leads_on_from_dual_read(sees: Sees, begun: Begun | None, way: Way | None, resumes: bool) -> None:
    found = decide(sees, begun, hard=False, to_inline=True)
    assert (found.way, found.resumes is not None) == (way, resumes)


@pytest.mark.parametrize("silent", [{"silent": {"b": "no answer"}}, {"unimportable": {"a": "no"}}])
def test_to_inline_leads_on_only_where_every_context_is_seen_in_dual_read(silent: dict[str, dict[str, str]]) -> None:
    with pytest.raises(UserError):
        decide(replace(DUAL_READ, **silent), None, hard=False, to_inline=True)  # type: ignore[arg-type]


def test_a_hard_one_leaves_an_exit_behind() -> None:
    found = decide(replace(DUAL_READ, unimportable={"a": "no"}), EXIT_BEGUN, hard=True)
    assert (found.way, found.resumes) == (Way.HARD, None)


@pytest.mark.parametrize(
    ("sees", "hard", "verdict", "hint"),
    [
        (BROKEN, False, Verdict.REFUSED, "killswitch --hard"),
        (replace(OFFLOAD, phases={"a": ("unknown",)}), False, Verdict.REFUSED, "by hand"),
        (replace(OFFLOAD, phases={"a": ("unknown",)}), True, Verdict.REFUSED, "by hand"),
        (replace(OFFLOAD, phases={"a": ("inline",)}, handed_over=2), True, Verdict.REFUSED, "xcomctl retrigger"),
        # What runs is not inline yet, and nobody knows of a kill-switch that would go on with it.
        (replace(OFFLOAD, phases={"a": ("inline", "offload")}), True, Verdict.REFUSED, "xcomctl killswitch"),
        (replace(BROKEN, phases={"scheduler": ("inline",)}), True, Verdict.REFUSED, "xcomctl preflight"),
        (replace(BROKEN, phases={"scheduler": ("inline",)}), False, Verdict.REFUSED, "xcomctl preflight"),
        (replace(OFFLOAD, phases={"a": ("inline",)}, runs_at_risk=None), False, Verdict.INCONCLUSIVE, "xcomctl status"),
        (replace(OFFLOAD, phases={"a": ("inline",)}, runs_at_risk=None), True, Verdict.INCONCLUSIVE, "xcomctl status"),
        (
            replace(OFFLOAD, phases={"a": ("dual-read",)}, silent={"b": "no"}),
            False,
            Verdict.INCONCLUSIVE,
            "xcomctl status",
        ),
        (replace(OFFLOAD, phases={}, silent={"a": "no answer"}), False, Verdict.INCONCLUSIVE, "xcomctl status"),
    ],
)
def test_what_is_refused_and_the_way_on(sees: Sees, hard: bool, verdict: Verdict, hint: str) -> None:
    with pytest.raises(UserError) as refused:
        decide(sees, None, hard=hard)
    assert refused.value.verdict is verdict and hint in refused.value.hint


def test_a_hard_one_whose_end_is_gone_again_is_not_gone_on_with_unless_hard_is_asked_for() -> None:
    with pytest.raises(UserError, match="not every context is inline any more") as refused:
        decide(OFFLOAD, HARD_CONFIRMED, hard=False)
    assert refused.value.verdict is Verdict.REFUSED
    assert "--abandon" in refused.value.hint and "--hard" in refused.value.hint


def test_in_an_emergency_nobody_has_to_answer():
    silent = Sees({}, silent={"scheduler": "no pod is Ready"})
    found = decide(silent, None, hard=False, emergency=True)
    assert found.way is Way.SOFT and "the release's values say counts" in found.recommendation.because
    # The pod that is Ready is one of before, and new ones do not come up.
    stuck = Sees({"scheduler": ("inline",)}, runs_at_risk=0, rollouts=("deployment/s is being rolled out",))
    assert decide(stuck, None, hard=False, emergency=True).way is Way.SOFT
    with pytest.raises(UserError, match="a rollout is not over"):
        decide(stuck, None, hard=False)
    for hard, emergency in ((True, True), (False, False)):
        with pytest.raises(UserError):
            decide(silent, None, hard=hard, emergency=emergency)
