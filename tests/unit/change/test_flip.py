"""One step in the carrier: which steps there are, and that a kill at any point loses nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.change.samples import DUAL_READ, OFFLOAD, PATH, standing
from xcomctl.change import flip
from xcomctl.change.carrier_edit import edit_for
from xcomctl.change.flip import Flip, Refused, step_to
from xcomctl.change.observed import Standing
from xcomctl.change.steps import Looked
from xcomctl.deployment.carriers.opened import open_carrier
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.errors import UserError
from xcomctl.journal.local import LocalJournal, this_actor
from xcomctl.journal.open import opened
from xcomctl.model.phases import Line, Phase
from xcomctl.model.transitions import Direction, PhaseStep
from xcomctl.model.verdicts import Check, Status, Verdict

PHASES = {Phase.INLINE: {}, Phase.DUAL_READ: DUAL_READ, Phase.OFFLOAD: OFFLOAD}


def step(start, target, **how):
    return step_to(standing(one=PHASES[start]), target, **{"fleet_stopped": False, "options": " -D prod", **how})


@pytest.mark.parametrize(
    ("start", "target", "direction"),
    [
        (Phase.INLINE, Phase.DUAL_READ, Direction.UP),
        (Phase.DUAL_READ, Phase.OFFLOAD, Direction.UP),
        (Phase.OFFLOAD, Phase.DUAL_READ, Direction.DOWN),
        (Phase.DUAL_READ, Phase.INLINE, Direction.DOWN),
        (Phase.OFFLOAD, Phase.OFFLOAD, Direction.UP),  # another threshold is gated like the first one
        (Phase.DUAL_READ, Phase.DUAL_READ, Direction.DOWN),
    ],
)
def test_adjacent_steps(start, target, direction):
    assert step(start, target) == PhaseStep(start, target, direction)


@pytest.mark.parametrize(("start", "target"), [(Phase.INLINE, Phase.OFFLOAD), (Phase.OFFLOAD, Phase.INLINE)])
def test_any_other_step_is_refused_with_the_plan_unless_the_whole_fleet_stands_still(start, target):
    with pytest.raises(Refused) as refused:
        step(start, target)
    assert "dual-read" in refused.value.hint and f"xcomctl plan --to {target.value} -D prod" in refused.value.hint
    direction = Direction.UP if target is Phase.OFFLOAD else Direction.DOWN
    assert step(start, target, fleet_stopped=True) == PhaseStep(start, target, direction)


def test_there_is_no_step_from_contexts_that_disagree_do_not_answer_or_have_a_class_that_nobody_knows():
    elsewhere = standing(one=DUAL_READ, two={**DUAL_READ, "path": "s3://store@bucket/other"})
    assert "s3://store@bucket/other" in elsewhere.problem
    for where in (standing(one={}, two=DUAL_READ), standing(one={"backend": "my.Backend"}), elsewhere):
        with pytest.raises(Refused):
            step_to(where, Phase.DUAL_READ, fleet_stopped=True, options="")
    silent = Standing({**standing(one={}).answers, "two": None}, {"two": "no agent"})
    with pytest.raises(UserError) as told:
        step_to(silent, Phase.DUAL_READ, fleet_stopped=True, options="")
    assert told.value.verdict is Verdict.INCONCLUSIVE and "two did not answer: no agent" in told.value.message


class Gated:
    """Steps whose gates are of no matter, and what they were asked about."""

    def __init__(self, carrier):
        self._carrier, self.looked = carrier, []

    def edit(self, carrier, target):
        return edit_for(carrier, target, Line.AF3, SettingsEntry(PATH, 20_000))

    def look(self, step, wanted, edit=None):
        self.looked.append((step, edit))
        return Looked(step, wanted, (Check("gate_rehearsal", "gates", "", Status.FAIL, "none"),))


@pytest.mark.parametrize("written", [False, True])
def test_a_carrier_that_somebody_else_edited_is_gated_and_one_that_we_wrote_is_not_again(tmp_path, written):
    path = tmp_path / "airflow.env"
    path.write_text("")
    carrier = open_carrier(path)
    carrier.write(edit_for(carrier, Phase.DUAL_READ, Line.AF3, SettingsEntry(PATH)).edit)
    steps = Gated(carrier := open_carrier(path))
    found = flip.look(
        standing(one={}), steps, carrier, Phase.DUAL_READ, {}, written=written, fleet_stopped=False, options=""
    )
    assert (found.already, found.refused, len(steps.looked)) == (True, not written, int(not written))
    there = flip.look(
        standing(one=DUAL_READ), steps, carrier, Phase.DUAL_READ, {}, written=False, fleet_stopped=False, options=""
    )
    assert there.already and not there.refused


def test_one_that_says_what_is_no_step_is_refused(tmp_path):
    path = tmp_path / "airflow.env"
    path.write_text("")
    carrier = open_carrier(path)
    carrier.write(edit_for(carrier, Phase.OFFLOAD, Line.AF3, SettingsEntry(PATH, 20_000)).edit)
    carrier = open_carrier(path)
    with pytest.raises(Refused):
        flip.look(
            standing(one={}), Gated(carrier), carrier, Phase.OFFLOAD, {}, written=False, fleet_stopped=False, options=""
        )


@pytest.fixture
def ready(tmp_path):
    """A step that may be taken, and its journal."""
    path = tmp_path / "airflow.env"
    path.write_text("# mine\nA=1\n")
    carrier = open_carrier(path)
    edit = edit_for(carrier, Phase.DUAL_READ, Line.AF3, SettingsEntry(PATH))
    taken = PhaseStep(Phase.INLINE, Phase.DUAL_READ, Direction.UP)
    gates = (Check("gate_rehearsal", "gates", "", Status.WARN, "there is none, since it burns"),)
    found = Flip(carrier, Phase.DUAL_READ, edit, Looked(taken, edit.after, gates), {"unsafe_no_rehearsal": "it burns"})
    return found, tmp_path / "journal.jsonl"


def taken(found, journal):
    with opened(journal).lock(this_actor(), "flip", "prod") as held:
        flip.write(found, journal, "prod", held, {"airflow": "3.3.2"})


def test_what_is_written_is_announced_first_and_told_afterwards(ready):
    found, journal = ready
    taken(found, journal)
    announced, written = opened(journal).entries()
    assert (announced.verdict, written.verdict) == (None, Verdict.OK)
    assert announced.plan == written.plan == found.hash
    assert announced.data["unsafe_no_rehearsal"] == "it burns"
    assert announced.before["backend"] is None and announced.after["path"] == written.after["path"] == PATH
    assert announced.data["gates"] == [
        {"id": "gate_rehearsal", "status": "warn", "detail": "there is none, since it burns"}
    ]
    assert PATH in found.carrier.path.read_text()


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1])
def test_killed_after_an_entry_it_is_called_again_and_ends_the_same(ready, monkeypatch, after):
    """The end of the process is an exception here; real kills of real processes are a live test's."""
    found, journal = ready
    append, seen = LocalJournal.append, []

    def dying(self, entry):
        if len(seen) == after:
            raise Killed
        seen.append(entry)
        append(self, entry)

    monkeypatch.setattr(LocalJournal, "append", dying)
    with pytest.raises(Killed):
        taken(found, journal)
    monkeypatch.setattr(LocalJournal, "append", append)
    again = open_carrier(found.carrier.path)
    edit = edit_for(again, Phase.DUAL_READ, Line.AF3, SettingsEntry(PATH))
    assert edit.edit.changes is (after == 0)
    if edit.edit.changes:
        taken(replace(found, carrier=again, edit=edit), journal)
    else:
        assert flip.finish(replace(found, carrier=again, edit=edit, looked=None), journal, "prod")
    assert not flip.finish(replace(found, carrier=again, edit=edit, looked=None), journal, "prod")
    announced, written = opened(journal).entries()
    assert (announced.verdict, written.verdict, written.plan) == (None, Verdict.OK, announced.plan)
    assert again.path.read_text() == found.edit.edit.after.decode()


def test_a_carrier_is_the_same_one_wherever_it_is_named(ready, monkeypatch):
    found, journal = ready
    monkeypatch.chdir(found.carrier.path.parent)
    here = open_carrier(found.carrier.path.name)
    taken(replace(found, carrier=here), journal)
    assert flip.last(journal, "prod", found.carrier, Phase.DUAL_READ).verdict is Verdict.OK
    assert flip.last(journal, "prod", found.carrier, Phase.OFFLOAD) is None
    assert flip.last(journal, None, found.carrier, Phase.DUAL_READ) is None


def test_the_end_of_another_deployments_flip_is_not_told(ready):
    found, journal = ready
    with opened(journal).lock(this_actor(), "flip", "prod") as held:
        flip.write(found, journal, "prod", held, {})
    assert not flip.finish(found, journal, "staging")
