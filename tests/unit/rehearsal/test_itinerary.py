"""What is played in which order: shared phases, adjacent steps on the soft way, and scenarios that stand alone."""

from __future__ import annotations

import itertools

import pytest

from xcomctl.model.phases import Phase
from xcomctl.model.rehearsal import SCENARIOS
from xcomctl.model.transitions import step_between
from xcomctl.rehearsal import itinerary
from xcomctl.rehearsal.scenarios import runbook


def phases(*scenarios: str) -> list[Phase]:
    return [leg.phase for leg in itinerary.legs(scenarios)]


def test_every_scenario_has_acts_and_no_act_is_of_another() -> None:
    assert {act.scenario for act in itinerary.acts(SCENARIOS)} - {""} == set(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_alone_is_played_with_what_all_have_in_common(scenario: str) -> None:
    assert {act.scenario for act in itinerary.acts([scenario])} == {scenario, ""}


def test_what_is_in_common_is_played_in_offload_before_anything_else_there() -> None:
    for scenarios in ([], *([name] for name in SCENARIOS), list(SCENARIOS)):
        there = [act for act in itinerary.acts(scenarios) if act.leg.phase is Phase.OFFLOAD]
        assert there[0].scenario == ""


def test_the_soft_way_takes_adjacent_steps_alone() -> None:
    assert phases("soft") == [Phase.INLINE, Phase.DUAL_READ, Phase.OFFLOAD, Phase.DUAL_READ, Phase.INLINE]
    assert all(step_between(*pair) for pair in itertools.pairwise(phases("soft")))


def test_the_runbook_flips_and_reverts_as_it_says() -> None:
    assert phases("runbook") == [Phase.INLINE, Phase.OFFLOAD, Phase.INLINE]


def test_phases_are_shared() -> None:
    """A restart is what costs: together the scenarios need fewer than one by one."""
    assert len(phases(*SCENARIOS)) - 1 == 8
    assert sum(len(phases(name)) - 1 for name in SCENARIOS) > 8
    assert phases("runbook", "soft")[-1] is Phase.INLINE


def test_no_leg_leads_to_the_phase_that_it_comes_from() -> None:
    for size in range(len(SCENARIOS) + 1):
        for scenarios in itertools.combinations(SCENARIOS, size):
            found = phases(*scenarios)
            assert all(one is not two for one, two in itertools.pairwise(found)), scenarios


def test_steps_have_names_of_their_own() -> None:
    legs = itinerary.legs(SCENARIOS)
    assert len({leg.id for leg in legs}) == len(legs)


def test_what_the_runbook_leaves_behind_was_not_rehydrated_before() -> None:
    """Its finished run offloads after the soft way has come to its end."""
    for scenarios in (["runbook", "soft"], list(SCENARIOS)):
        acts = itinerary.acts(scenarios)
        out = max(number for number, act in enumerate(acts) if act.scenario == "soft")
        assert out < next(number for number, act in enumerate(acts) if act.play is runbook.offload)
