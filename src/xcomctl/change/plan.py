"""The way from where the contexts are to a phase, with what stands in the way of the first step now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from xcomctl.assess.fleet import Fleet
from xcomctl.change.observed import Held, Standing, held, value_checks
from xcomctl.change.steps import Looked, Steps
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.deployment.carriers.interface import Carrier
from xcomctl.errors import UserError
from xcomctl.journal.local import now
from xcomctl.model.phases import Line, Phase
from xcomctl.model.plan import LATER, PlannedStep, PlanReport, state_of
from xcomctl.model.preflight import METADATA, PreflightOptions
from xcomctl.model.redaction import redact
from xcomctl.model.settings import SETTINGS, Settings
from xcomctl.model.transitions import Direction, PhaseStep, route
from xcomctl.model.verdicts import Check, Status
from xcomctl.report.progress import Progress

_TITLES = {
    (Phase.INLINE, Phase.DUAL_READ): "resolve references, write nothing into the store yet",
    (Phase.DUAL_READ, Phase.OFFLOAD): "write large values into the store",
    (Phase.OFFLOAD, Phase.DUAL_READ): "write nothing more into the store; every reference goes on to resolve",
    (Phase.DUAL_READ, Phase.INLINE): "take the provider out: Airflow's own class, which resolves no reference",
    (Phase.MISCONFIGURED, Phase.DUAL_READ): "mend the settings, so that every reference resolves again",
}
#: What a step costs that is not measured yet, by name.
_UNKNOWN = None


@dataclass(frozen=True)
class Planner:
    """What a plan is made of. ``carrier`` is the file that the steps would edit, ``None`` for none named."""

    fleet: Fleet
    steps: Steps
    standing: Standing
    carrier: Carrier | None = None
    deployment: str | None = None

    def plan(self, target: Phase, progress: Progress) -> PlanReport:
        """The plan. Raises :class:`UserError` where the first step cannot even be looked at."""
        start = self.standing.phase
        if start is None or start is Phase.UNKNOWN:
            why = self.standing.problem if start is None else self.standing.resolution.reason
            return self._report(None, target, why, {})
        way = route(start, target)
        if not way:
            observed = self._observed(*self._stored(None, progress))
            return self._report(start, target, f"every context is {target.value} already", observed)
        with progress.step("step", f"What stands in the way of {way[0].target.value}"):
            edit = self.steps.edit(self.carrier, way[0].target) if self.carrier is not None else None
            wanted = edit.after if edit is not None else self.steps.wanted(way[0].target)
            looked = self.steps.look(way[0], wanted, edit, sizes=True)
        stored, problem = self._stored(looked.held, progress)
        observed = self._observed(stored, problem)
        values = self._values(looked, progress)
        first = self._first(looked, values, stored)
        later = tuple(self._later(step, stored) for step in way[1:])
        observed["barrier"] = None if looked.barrier is None else looked.barrier.barrier.to_json()
        observed["running"] = [] if looked.barrier is None else [
            each.to_json() for each in looked.barrier.gathered.evidence.running
        ]  # fmt: skip
        return replace(self._report(start, target, f"every context is {start.value}", observed), steps=(first, *later))

    # -- what is seen

    def _stored(self, seen: Held | None, progress: Progress) -> tuple[Held | None, str]:
        """What is stored under the base path that resolves, with the sizes of objects; and why it is not known.

        ``seen`` is what the look at the step needed to know of it already.
        """
        path = self.steps.base_path
        if seen is not None or path is None:
            return seen, "" if seen is not None else "no base path resolves, and none is named"
        with progress.step("references", "What is stored, and by which runs") as step:
            try:
                return held(self.fleet, path, step.waiting, store=True), ""
            except AgentError as error:
                return None, redact(error.message)

    def _values(self, looked: Looked, progress: Progress) -> tuple[Check, ...]:
        """The inline values that the backend would change, refuse or mistake: the scans of the pre-flight (F4, F5, F38)."""
        if looked.step.direction is not Direction.UP:
            return ()
        options = PreflightOptions(
            phase=looked.step.target.value,
            planned=True,
            expect_path=looked.wanted.path,
            expect_threshold=looked.wanted.threshold,
            only=(METADATA,),
        )
        with progress.step("values", "Values that the backend would change, refuse or mistake") as step:
            checks = value_checks(self.fleet, options, step.waiting)
        accepted = {
            name
            for gate in looked.gates
            if gate.id == "gate_preflight" and gate.status is not Status.FAIL
            for name in gate.data.get("skip", ())
        }
        return tuple(_accepted(check) if accepted & {check.id, check.category} else check for check in checks)

    def _observed(self, stored: Held | None, problem: str) -> dict[str, Any]:
        seen = {
            name: {
                "phase": answer.resolution.phase,
                "reason": answer.resolution.reason,
                "airflow": answer.airflow,
                "common_io": answer.providers.get("common.io"),
                "settings": {setting.name: getattr(answer.resolution, setting.name).to_json() for setting in SETTINGS},
                "store": answer.store.to_json(),
            }
            for name, answer in self.standing.answered.items()
        }
        return {
            "contexts": seen,
            "references": None if stored is None else stored.totals.to_json(),
            "references_unknown": problem,
            "unfinished_runs": [] if stored is None else [run.to_json() for run in stored.unfinished],
            "finished_runs": None if stored is None else stored.finished_runs,
        }

    # -- what follows

    def _first(self, looked: Looked, values: tuple[Check, ...], stored: Held | None) -> PlannedStep:
        step, gates = looked.step, (*looked.gates, *values)
        passed = {gate.id for gate in gates if gate.status in (Status.OK, Status.WARN)}
        estimates: dict[str, Any] = {}
        if looked.facts is not None and looked.facts.above is not None:
            above = looked.facts.above
            estimates = {"values_above_threshold": above.rows, "bytes_above_threshold": above.bytes,
                         "values_in_all": above.rows_in_all, "exact": above.exact}  # fmt: skip
        elif step.direction is Direction.DOWN:
            estimates = _held_estimates(stored)
        return PlannedStep(
            step.start.value, step.target.value, step.direction.value, state_of(gates), _title(step), gates,
            tuple(self.steps.commands(step, looked.wanted, passed, self.steps.gate_options)), estimates, tuple(self._notes(step)),
        )  # fmt: skip

    def _later(self, step: PhaseStep, stored: Held | None) -> PlannedStep:
        notes = [*self._notes(step)]
        if step.direction is Direction.UP:
            notes.append("gated then by the barrier before it, by the same rehearsal, and by a pre-flight of its own")
        elif step.target is Phase.INLINE:
            notes.append("gated then by the barrier before it, and by the references: refused while any row holds one")
        estimates = _held_estimates(stored) if step.direction is Direction.DOWN else {}
        try:
            wanted: Settings | None = self.steps.wanted(step.target)
        except UserError as error:
            wanted = None
            notes.append(f"{error.message}: {error.hint}")
        # The rehearsal is the same one for every step up.
        commands = tuple(self.steps.commands(step, wanted, ("gate_rehearsal",)))
        return PlannedStep(
            step.start.value, step.target.value, step.direction.value, LATER, _title(step), (), commands, estimates,
            tuple(notes),
        )  # fmt: skip

    def _notes(self, step: PhaseStep) -> Iterator[str]:
        if step.target is Phase.OFFLOAD:
            shown = self.standing.line is Line.AF3
            yield (
                "clients of the REST API, and the UI, "
                + (
                    "see references where they saw large values"
                    if shown
                    else "see references unless they ask with deserialize=true"
                )
            )
        if step.target is Phase.INLINE:
            yield "refused while any row holds a reference: xcomctl rehydrate writes their values back into the database"
        if step.start is Phase.OFFLOAD:
            yield "new values go into the database from here on: it grows by what is offloaded now"
        if step.direction is Direction.REPAIR:
            yield "tasks that ran while it was misconfigured may have got path strings: xcomctl retrigger --dry-run shows them"

    def _report(self, start: Phase | None, target: Phase, because: str, observed: Mapping[str, Any]) -> PlanReport:
        return PlanReport(
            now(), self.deployment, None if start is None else start.value, target.value, because,
            observed or self._observed(None, "not looked at"), warnings=self.standing.warnings,
        )  # fmt: skip


def _title(step: PhaseStep) -> str:
    return _TITLES[step.start, step.target]


def _held_estimates(stored: Held | None) -> dict[str, Any]:
    """What would have to move back into the database before ``inline``. ``None`` for what the store did not tell."""
    if stored is None:
        return {"references": _UNKNOWN, "bytes": _UNKNOWN}
    totals = stored.totals
    known = stored.store and not totals.store_error and not totals.unasked
    return {
        "references": totals.references,
        "bytes": totals.reference_bytes if known else _UNKNOWN,
        "dangling": totals.dangling if known else _UNKNOWN,
        "aliases": totals.aliases,
    }


def _accepted(check: Check) -> Check:
    """A check that the pre-flight left out by name: what it finds is known and accepted."""
    if check.status is not Status.FAIL:
        return check
    return replace(check, status=Status.WARN, detail=f"accepted by name in the pre-flight: {check.detail}", hint="")
