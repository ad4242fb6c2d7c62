from __future__ import annotations

import json
from itertools import pairwise, product
from pathlib import Path

import pytest

from xcomctl.model.phases import Line, Phase, phase_of
from xcomctl.model.settings import SETTINGS, ResolvedSetting, settings_from
from xcomctl.model.transitions import (
    EXPECTATIONS,
    HARD_KILLSWITCH_STARTS,
    LARGE_FORMS,
    SETUPS,
    STEPS,
    Direction,
    Misconfiguration,
    Outcome,
    Stored,
    ValueForm,
    coexistence,
    environment,
    expectations,
    route,
    sample,
    step_between,
    what_reader_gets,
    writes,
)

BASE = "file:///var/xcom"
OBSERVED = json.loads((Path(__file__).parent / "observed_phase_table.json").read_text())["observed"]


def test_every_cell_is_what_the_real_classes_did():
    seen = {
        (line, writer, reader, form): outcome
        for form, lines in OBSERVED.items()
        for line, outcomes in lines.items()
        for outcome, writers in outcomes.items()
        for writer, readers in writers.items()
        for reader in readers.split()
    }
    table = {(e.line.value, e.writer.value, e.reader.value, e.form.value): e.outcome.value for e in EXPECTATIONS}
    assert table == seen
    assert len(EXPECTATIONS) == len(table) == len(Line) * len(SETUPS) ** 2 * len(ValueForm)


@pytest.mark.parametrize("line", Line)
def test_adjacent_phases_never_hand_over_a_path_and_no_other_pair_is_safe(line):
    phases = [setup for setup in SETUPS if isinstance(setup, Phase)]
    for one, other in product(phases, phases):
        paths = any(
            what_reader_gets(writer, reader, form, line) is Outcome.PATH
            for writer, reader in ((one, other), (other, one))
            for form in ValueForm
        )
        assert coexistence(one, other).safe is not paths
        assert coexistence(one, other) == coexistence(one, other)
        assert coexistence(one, other).safe is coexistence(other, one).safe
        if one is not other:
            assert coexistence(one, other).safe is (step_between(one, other) is not None)


def test_inline_beside_offload_is_the_unsafe_pair():
    assert not coexistence(Phase.INLINE, Phase.OFFLOAD).safe
    assert coexistence(Phase.INLINE, Phase.DUAL_READ).safe
    assert coexistence(Phase.DUAL_READ, Phase.OFFLOAD).safe


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("doubtful", [Phase.MISCONFIGURED, Phase.UNKNOWN])
def test_nothing_is_safe_beside_what_is_not_understood(phase, doubtful):
    assert not coexistence(phase, doubtful).safe


@pytest.mark.parametrize("line", Line)
@pytest.mark.parametrize(
    "kind", [kind for kind in Misconfiguration if kind is not Misconfiguration.THRESHOLD_UNREADABLE]
)
def test_a_misconfigured_reader_gets_the_path(line, kind):
    for form in LARGE_FORMS:
        assert what_reader_gets(Phase.OFFLOAD, kind, form, line) is Outcome.PATH


@pytest.mark.parametrize("line", Line)
def test_dual_read_writes_no_reference_and_reads_every_one(line):
    for form in ValueForm:
        assert writes(Phase.DUAL_READ, form, line) in (Stored.VALUE, Stored.NOTHING)
        assert what_reader_gets(Phase.OFFLOAD, Phase.DUAL_READ, form, line) is what_reader_gets(
            Phase.OFFLOAD, Phase.OFFLOAD, form, line
        )


def test_the_known_differences_between_the_lines():
    def gets(form, line, writer=Phase.INLINE, reader=Phase.DUAL_READ):
        return what_reader_gets(writer, reader, form, line)

    assert gets(ValueForm.JSON_TEXT, Line.AF2) is Outcome.JSON_PARSED
    assert gets(ValueForm.JSON_TEXT, Line.AF3) is Outcome.VALUE
    assert gets(ValueForm.LARGE_JSON_TEXT, Line.AF2, Phase.OFFLOAD) is Outcome.VALUE
    assert gets(ValueForm.TUPLE_KEYS, Line.AF3, Phase.DUAL_READ) is Outcome.PUSH_RAISES
    assert gets(ValueForm.TUPLE_KEYS, Line.AF3) is Outcome.KEYS_AS_TEXT
    assert gets(ValueForm.UNOPENABLE_URL, Line.AF3) is Outcome.READ_RAISES
    assert gets(ValueForm.UNOPENABLE_URL, Line.AF2) is Outcome.VALUE
    assert gets(ValueForm.OWN_PATH, Line.AF3) is Outcome.OBJECT


@pytest.mark.parametrize("setup", [Phase.MISCONFIGURED, Phase.UNKNOWN])
def test_what_is_not_one_setup_is_refused(setup):
    with pytest.raises(ValueError):
        writes(setup, ValueForm.SMALL, Line.AF3)
    with pytest.raises(ValueError):
        what_reader_gets(Phase.INLINE, setup, ValueForm.SMALL, Line.AF3)
    with pytest.raises(ValueError):
        environment(setup, BASE, 1000, "/tmp")


@pytest.mark.parametrize("line", Line)
@pytest.mark.parametrize("setup", SETUPS)
def test_the_environment_of_a_setup_resolves_to_its_phase(setup, line):
    variables = environment(setup, BASE, 1000, "/var/scratch")
    resolved = [ResolvedSetting(variables.get(setting.env, setting.default), None) for setting in SETTINGS]
    expected = setup if isinstance(setup, Phase) else Phase.MISCONFIGURED
    assert phase_of(settings_from(*resolved, line)).phase is expected


def test_steps():
    assert {step.target for step in STEPS} == {phase for phase in Phase if phase.is_target}
    assert step_between(Phase.INLINE, Phase.OFFLOAD) is None
    assert step_between(Phase.OFFLOAD, Phase.INLINE) is None
    for start, target in product(Phase, Phase):
        step = step_between(start, target)
        if step is not None and step.direction is not Direction.REPAIR:
            back = step_between(target, start)
            assert back is not None and {step.direction, back.direction} == {Direction.UP, Direction.DOWN}
    assert Phase.UNKNOWN not in HARD_KILLSWITCH_STARTS


@pytest.mark.parametrize("start", [phase for phase in Phase if phase is not Phase.UNKNOWN])
@pytest.mark.parametrize("target", [phase for phase in Phase if phase.is_target])
def test_a_route_is_made_of_adjacent_steps(start, target):
    way = route(start, target)
    places = [start, *(step.target for step in way)]
    assert places[-1] is target and len(set(places)) == len(places) <= 3
    assert [(step.start, step.target) for step in way] == list(pairwise(places))


@pytest.mark.parametrize(
    ("start", "target"),
    [(Phase.UNKNOWN, Phase.INLINE), (Phase.INLINE, Phase.MISCONFIGURED), (Phase.OFFLOAD, Phase.UNKNOWN)],
)
def test_no_route(start, target):
    with pytest.raises(ValueError):
        route(start, target)


@pytest.mark.parametrize("form", ValueForm)
def test_every_outcome_of_a_form_has_its_expected_value(form):
    made = sample(form, BASE, 1000)
    for cell in EXPECTATIONS:
        if cell.form is form and cell.outcome not in (
            Outcome.PATH,
            Outcome.STRAY_PATH,
            Outcome.PUSH_RAISES,
            Outcome.READ_RAISES,
        ):
            made.expected(cell.outcome)
    if form is not ValueForm.TUPLE_KEYS:
        size = len(json.dumps(made.value).encode())
        assert (size >= 1000) is (form in LARGE_FORMS)


def test_a_threshold_below_the_small_forms_is_refused():
    with pytest.raises(ValueError):
        sample(ValueForm.OWN_PATH, BASE, 40)
    assert {cell.line for cell in expectations(Line.AF3)} == {Line.AF3}


def test_silence():
    assert {outcome for outcome in Outcome if not outcome.is_silent} == {
        Outcome.VALUE,
        Outcome.PUSH_RAISES,
        Outcome.READ_RAISES,
    }
