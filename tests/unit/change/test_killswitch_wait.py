"""The barrier as a step: who may go on although not everything is seen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.change.samples import evaluated
from tests.unit.change.test_killswitch import Desk, Holding, desk
from xcomctl.change import killswitch_wait
from xcomctl.change.killswitch_wait import STEPS
from xcomctl.model.barrier import Passage
from xcomctl.model.killswitch import Way
from xcomctl.model.verdicts import Verdict

__all__ = ["desk"]


class Unseen:
    """Barriers of a fleet of which not everything is seen."""

    def __init__(self, *what: Any) -> None: ...

    def evaluate(self, *what: Any, **more: Any) -> Any:
        return evaluated(Passage.INCONCLUSIVE, target="inline", unknown=("a host that no context covers",))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("way", "verdict"), [(Way.HARD, Verdict.OK), (Way.EXIT, Verdict.INCONCLUSIVE)])
def test_by_daylight_nobody_goes_past_a_barrier(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: Any, way: Way, verdict: Verdict
) -> None:
    monkeypatch.setattr(killswitch_wait, "Barriers", Unseen)
    work = desk.work(way, past_barrier="it is fine", timeout_s=0.0)
    work.agents = Holding()
    outcome = step.perform(work, lambda **more: None)
    assert outcome.verdict is verdict
    assert ("past_barrier" in outcome.data) == (way is Way.HARD) and "--past-barrier" not in outcome.hint


def test_the_hard_one_says_how_to_go_past_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(killswitch_wait, "Barriers", Unseen)
    work = desk.work(Way.HARD, timeout_s=0.0)
    work.agents = Holding()
    assert "--past-barrier REASON" in STEPS[0].perform(work, lambda **more: None).hint
