"""``flip``: one adjacent step, written into the carrier when everything that gates it is passed. It deploys nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xcomctl.change.carrier_edit import CarrierEdit
from xcomctl.change.observed import Standing
from xcomctl.change.steps import Looked, Steps, at_once
from xcomctl.deployment.carriers.interface import Carrier
from xcomctl.errors import UserError
from xcomctl.journal.interface import Where
from xcomctl.journal.local import entry_now
from xcomctl.journal.lock import Lock
from xcomctl.journal.open import opened
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import Phase
from xcomctl.model.plan import digest, is_in_the_way
from xcomctl.model.transitions import Direction, PhaseStep, route, step_between
from xcomctl.model.verdicts import Check, Verdict

ACTION = "flip"
SCHEMA = "xcomctl.flip/1"
EDITED = "EDITED, NOT DEPLOYED"


class Refused(UserError):
    """A step that is none, or that leads from nowhere known."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, Verdict.REFUSED)


@dataclass(frozen=True)
class Flip:
    """A step that was looked at: ``looked`` is ``None`` where the carrier says the target already."""

    carrier: Carrier
    target: Phase
    edit: CarrierEdit
    looked: Looked | None
    asked: Mapping[str, Any]

    @property
    def gates(self) -> tuple[Check, ...]:
        """What was asked of it."""
        return () if self.looked is None else self.looked.gates

    @property
    def already(self) -> bool:
        """Whether the carrier says the target, so that there is nothing to write."""
        return self.looked is None or not self.edit.edit.changes

    @property
    def refused(self) -> bool:
        """Whether something is in its way."""
        return any(is_in_the_way(gate) for gate in self.gates)

    @property
    def hash(self) -> str:
        """What names this plan in the journal: the file, what is written, and the step."""
        return digest(
            {
                "action": ACTION,
                "carrier": self.carrier.name,
                "after": self.edit.after.to_json(),
                "target": self.target.value,
            }
        )


def step_to(standing: Standing, target: Phase, *, fleet_stopped: bool, options: str) -> PhaseStep:
    """The step from where the contexts are. Raises :class:`Refused`, with the steps that do lead there, and ``UserError``
    where a context did not answer."""
    start = standing.phase
    if standing.problems:
        raise UserError(f"it is not known where the contexts are: {standing.problem}", f"xcomctl status{options}")
    if start is None:
        raise Refused(f"there is no one phase to step from: {standing.problem}", f"xcomctl status{options}")
    if start is Phase.UNKNOWN:
        raise Refused(f"there is no step from unknown: {standing.resolution.reason}", f"xcomctl status{options}")
    if start is target:
        # Another threshold or path: the same gates as for getting there.
        return PhaseStep(start, target, Direction.UP if target is Phase.OFFLOAD else Direction.DOWN)
    step = step_between(start, target)
    if step is not None:
        return step
    if fleet_stopped:
        return at_once(start, target)
    way = " → ".join([start.value, *(each.target.value for each in route(start, target))])
    raise Refused(
        f"{start.value} → {target.value} is no single step: old and new processes would hand path strings over",
        f"one step at a time: {way} (xcomctl plan --to {target.value}{options}); or stop every component: --fleet-stopped",
    )


def look(
    standing: Standing,
    steps: Steps,
    carrier: Carrier,
    target: Phase,
    asked: Mapping[str, Any],
    *,
    written: bool,
    **how: Any,
) -> Flip:
    """The flip as it stands now. Raises :class:`UserError`: :class:`Refused` for what is no step.

    Where the contexts resolve the target already, or a flip of ours wrote it (``written``), and the carrier says it, nothing
    is asked. One that says it for another reason was not gated: what is to be deployed is looked at all the same.
    """
    edit = steps.edit(carrier, target)
    says = not edit.edit.changes or (target is Phase.INLINE and edit.phase_before.phase is target)
    if says and (written or standing.phase is target):
        return Flip(carrier, target, edit, None, asked)
    step = step_to(standing, target, **how)
    return Flip(carrier, target, edit, steps.look(step, edit.after, None if says else edit), asked)


def write(flip: Flip, journal: Where, deployment: str | None, held: Lock, versions: Mapping[str, str]) -> None:
    """Announce it in the journal, write the carrier, and say in the journal that it is written.

    Killed in between, it is called again: a carrier that is written is not written twice. Raises :class:`UserError`
    where the lock was lost, or the journal or the carrier cannot be written.
    """
    assert flip.looked is not None
    kept = opened(journal)
    before, after = flip.edit.before.to_json(), flip.edit.after.to_json()
    step = flip.looked.step
    data: dict[str, Any] = {
        "carrier": flip.carrier.name,
        "start": step.start.value,
        "target": step.target.value,
        "gates": [{"id": gate.id, "status": gate.status.value, "detail": gate.detail} for gate in flip.gates],
        **flip.asked,
    }
    if held.took_over is not None:
        data["took_over"] = held.took_over.to_json()
    kept.append(entry_now(ACTION, deployment, versions=versions, plan=flip.hash, before=before, after=after, data=data))
    held.renew()
    flip.carrier.write(flip.edit.edit)
    kept.append(_written(flip, deployment, flip.hash, versions))


def last(journal: Where, deployment: str | None, carrier: Carrier, target: Phase) -> JournalEntry | None:
    """The last entry of a flip of this carrier, if it is one to this target. Raises ``JournalError``."""
    found: JournalEntry | None = None
    for entry in opened(journal).entries():
        if (entry.action, entry.deployment, entry.data.get("carrier")) == (ACTION, deployment, carrier.name):
            found = entry
    return found if found is not None and found.data.get("target") == target.value else None


def finish(flip: Flip, journal: Where, deployment: str | None) -> bool:
    """Say in the journal that a flip is written which was killed before it could; whether there was one."""
    announced = last(journal, deployment, flip.carrier, flip.target)
    if announced is None or announced.verdict is not None:
        return False
    opened(journal).append(_written(flip, deployment, announced.plan, {}))
    return True


def _written(flip: Flip, deployment: str | None, plan: str | None, versions: Mapping[str, str]) -> JournalEntry:
    data = {"carrier": flip.carrier.name, "target": flip.target.value, "written": True}
    after = flip.edit.after.to_json()
    return entry_now(ACTION, deployment, versions=versions, plan=plan, after=after, verdict=Verdict.OK, data=data)


def next_steps(target: Phase, options: str, *, fleet_stopped: bool = False) -> Iterator[str]:
    """The two commands that follow the deploy."""
    if fleet_stopped:
        yield f"xcomctl status{options}"
    else:
        yield f"xcomctl wait --to {target.value}{options}"
    following = {
        Phase.DUAL_READ: f"xcomctl probe{options}",
        Phase.OFFLOAD: f"xcomctl verify --dag-id diagnostic__s42{options}",
        Phase.INLINE: f"xcomctl rehydrate --verify{options}  # what a late process still wrote",
    }
    yield following[target]


def record(flip: Flip, state: str, options: str, deployment: str | None, *, fleet_stopped: bool) -> dict[str, Any]:
    """The flip as plain JSON values; ``docs/change-reports.md`` says what they mean."""
    verdict = Verdict.REFUSED if state == "refused" else Verdict.OK
    refused = [gate.hint for gate in flip.gates if is_in_the_way(gate) and gate.hint]
    following = refused if state == "refused" else list(next_steps(flip.target, options, fleet_stopped=fleet_stopped))
    return {
        "schema": SCHEMA,
        "deployment": deployment,
        "verdict": verdict.value,
        "exit_code": verdict.exit_code,
        "state": state,
        "start": None if flip.looked is None else flip.looked.step.start.value,
        "target": flip.target.value,
        "carrier": flip.carrier.shown,
        "diff": flip.edit.edit.diff,
        "before": flip.edit.before.to_json(),
        "after": flip.edit.after.to_json(),
        "checks": [gate.to_json() for gate in flip.gates],
        "next_steps": following,
    }
