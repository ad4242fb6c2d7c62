"""One step of the phases: what it would write, and what stands in its way now. ``plan`` shows it, ``flip`` takes it."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from xcomctl.assess.fleet import Fleet
from xcomctl.change import gates, readiness
from xcomctl.change.barrier import ACTION, Barriers, Evaluated, stood_still
from xcomctl.change.carrier_edit import NOTHING, CarrierEdit, edit_for, planned_threshold, settings_after, wanted_for
from xcomctl.change.observed import Held, Standing, facts, held
from xcomctl.change.readiness import Given
from xcomctl.deployment.carriers.interface import Carrier
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.journal.interface import Where
from xcomctl.journal.open import opened
from xcomctl.model.fingerprint import fingerprint_of
from xcomctl.model.journal_entry import JournalEntry, parse_time
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.plan import VALUES, StepFactsAnswer, StepFactsQuery
from xcomctl.model.redaction import redact
from xcomctl.model.references import covers
from xcomctl.model.settings import SETTINGS, THRESHOLD_FLOOR, Settings, format_threshold
from xcomctl.model.transitions import Direction, PhaseStep
from xcomctl.model.verdicts import Check, Status

Waiting = Callable[[str], None]

#: How far up a phase is; for one step over several with the whole fleet stopped.
_HEIGHT = {Phase.MISCONFIGURED: 0, Phase.INLINE: 0, Phase.DUAL_READ: 1, Phase.OFFLOAD: 2}


@dataclass(frozen=True)
class Asked:
    """What the person says about the steps. ``options`` name the contexts in commands that are printed, ``step_options``
    the carrier and the settings in those of a step, ``gate_options`` what is said about the gates of the next one.
    ``reads_only``: nothing is written, not even into the journal.

    ``given`` are settings of the command line, ``planned`` those of ``xcomctl.toml``. ``unsafe`` is why there is no
    rehearsal, ``keep_finished`` why references of finished runs may stay. ``fix`` has misspelt names corrected.
    """

    given: SettingsEntry = NOTHING
    planned: SettingsEntry = NOTHING
    readiness: Given = field(default_factory=Given)
    accepted: tuple[str, ...] = ()
    deployed_at: datetime.datetime | None = None
    fleet_stopped: bool = False
    unsafe: str | None = None
    keep_finished: str | None = None
    values: int = VALUES
    reads_only: bool = False
    fix: bool = False
    options: str = ""
    step_options: str = ""
    gate_options: str = ""


@dataclass(frozen=True)
class Looked:
    """A step as it stands now: what it would leave, its gates, and what they rest on (``None``: not looked at)."""

    step: PhaseStep
    wanted: Settings
    gates: tuple[Check, ...]
    barrier: Evaluated | None = None
    held: Held | None = None
    facts: StepFactsAnswer | None = None


class Steps:
    """Looks at steps of one deployment, of whose contexts it is known where they stand."""

    def __init__(
        self, fleet: Fleet, journal: Where, deployment: str | None, standing: Standing, asked: Asked, waiting: Waiting
    ) -> None:
        self._fleet, self._journal, self._deployment = fleet, journal, deployment
        self._standing, self._asked, self._waiting = standing, asked, waiting

    def edit(self, carrier: Carrier, target: Phase) -> CarrierEdit:
        """The edit that a step makes. Raises :class:`~xcomctl.deployment.carriers.interface.CarrierError`."""
        asked = self._asked
        return edit_for(carrier, target, self._standing.line, asked.given, asked.planned, fix=asked.fix)

    def wanted(self, target: Phase) -> Settings:
        """What a step would leave in a carrier that says what the contexts resolve. Raises as :meth:`edit`."""
        present, line = _present(self._standing), self._standing.line
        return settings_after(wanted_for(target, line, self._asked.given, self._asked.planned, present), present, line)

    def look(
        self, step: PhaseStep, wanted: Settings, edit: CarrierEdit | None = None, *, sizes: bool = False
    ) -> Looked:
        """Everything that stands in the way of a step, asked now, in the order in which it has to be asked.

        ``sizes``: where references are looked at, ask the store for those of their objects too.
        Raises :class:`~xcomctl.errors.UserError` where the journal or a file cannot be read, or the metadata database
        cannot be asked.
        """
        found: list[Check] = [] if edit is None else [gates.carrier(self._standing, edit)]
        repairs = step.direction is Direction.REPAIR and not self._asked.fleet_stopped
        passed = None if repairs else self._barrier(step)
        stored = self._held(step, wanted, sizes)
        if self._asked.fleet_stopped and passed is not None:
            passed = stood_still(passed, self._barriers(None).evaluate_stopped(self._waiting))
        if passed is not None:
            found.append(gates.barrier(passed, self._asked.options))
        found.append(gates.base_path(self._standing, wanted, stored))
        known: StepFactsAnswer | None = None
        if step.direction is Direction.UP:
            found += self._up(step, wanted)
        elif step.target is Phase.INLINE:
            found.append(gates.references(stored, self._asked.keep_finished, self._asked.options, self._asked.accepted))
        if step.target is Phase.OFFLOAD:
            found.append(gates.threshold(wanted))
            self._waiting("the values above the threshold")
            known = facts(self._fleet, StepFactsQuery(threshold=wanted.threshold), self._waiting)
        elif step.direction is Direction.DOWN and step.start is Phase.OFFLOAD and self._asked.values:
            self._waiting("values that fit only in the store")
            query = StepFactsQuery(values=self._asked.values, base_path=self._standing.path)
            known = facts(self._fleet, query, self._waiting)
            found.append(gates.values_fit(known))
        return Looked(step, wanted, tuple(found), passed, stored, known)

    def passed(self, phase: Phase) -> Check:
        """Whether nothing is left that runs with settings from before a phase in which the contexts are."""
        self._waiting("the barrier")
        return gates.barrier(self._barriers(phase).evaluate(phase, waiting=self._waiting), self._asked.options)

    @property
    def gate_options(self) -> str:
        """What was said about the gates of the next step, as options."""
        return self._asked.gate_options

    @property
    def base_path(self) -> str | None:
        """Where references are: what resolves, else what is to be written, else what is planned."""
        return self._standing.path or self._asked.given.path or self._asked.planned.path

    def commands(
        self, step: PhaseStep, wanted: Settings | None, passed: Collection[str], gate_options: str = ""
    ) -> Iterator[str]:
        """The commands of a step, less those of the gates that are passed. ``gate_options`` are about the others."""
        if step.direction is Direction.UP:
            threshold = self._planned_threshold()
            if "gate_rehearsal" not in passed and threshold is not None and threshold >= THRESHOLD_FLOOR:
                yield readiness.rehearse_command(self._standing.any.airflow, threshold, self._journal)
            if "gate_preflight" not in passed and wanted is not None:
                yield self.preflight_command(step.target, wanted)
        elif step.target is Phase.INLINE and "gate_references" not in passed:
            yield f"xcomctl rehydrate{self._asked.options}"
        yield f"xcomctl flip --to {step.target.value}{self._asked.step_options}{gate_options}{self._asked.options}"
        yield "# deploy the carrier to every component"
        yield f"xcomctl wait --to {step.target.value}{self._asked.options}"

    def preflight_command(self, target: Phase, wanted: Settings) -> str:
        """The pre-flight that this step is gated by, to be typed."""
        words = ["xcomctl", "preflight", "--planned", "--phase", target.value]
        if wanted.path is not None:
            words += ["--expect-path", redact(wanted.path)]
        if target is Phase.OFFLOAD and wanted.threshold is not None:
            words += ["--expect-threshold", format_threshold(wanted.threshold)]
            words += ["--expect-compression", wanted.compression] if wanted.compression is not None else []
        return f"{shlex.join([*words, '--functional-s3'])}{self._asked.options}"

    # -- the parts

    def _barrier(self, step: PhaseStep) -> Evaluated:
        self._waiting("the barrier")
        barriers = self._barriers(step.start)
        if self._asked.fleet_stopped:
            return barriers.evaluate_stopped(self._waiting)
        waited = self._last_wait(step.start)
        accepted = (*self._asked.accepted, *((waited.data.get("accepted") or ()) if waited is not None else ()))
        return barriers.evaluate(step.start, accepted, step.target, self._waiting)

    def _barriers(self, target: Phase | None) -> Barriers:
        deployed_at = self._asked.deployed_at
        waited = None if deployed_at is not None or target is None else self._last_wait(target)
        if waited is not None and waited.data.get("deployed_at"):
            deployed_at = parse_time(str(waited.data["deployed_at"]))
        return Barriers(self._fleet, self._journal, self._deployment, deployed_at, reads_only=self._asked.reads_only)

    def _last_wait(self, target: Phase) -> JournalEntry | None:
        """The last ``wait``, if it was for this phase: what was accepted and said there holds for the step that follows."""
        waits = (
            each for each in reversed(self._entries) if each.action == ACTION and each.deployment == self._deployment
        )
        last = next(waits, None)
        return last if last is not None and last.data.get("target") == target.value else None

    @cached_property
    def _entries(self) -> Sequence[JournalEntry]:
        """The journal as it was when it was first asked for: a shared one is an object for each entry."""
        return tuple(opened(self._journal).entries())

    def _held(self, step: PhaseStep, wanted: Settings, sizes: bool) -> Held | None:
        """What is stored, where the step depends on it: towards ``inline``, and where the base path changes."""
        old = self._standing.path
        moves = old is not None and not (wanted.path is not None and covers(wanted.path, old))
        path = self.base_path or wanted.path
        if (step.target is not Phase.INLINE and not moves) or path is None:
            return None
        return held(self._fleet, path, self._waiting, store=sizes)

    def _up(self, step: PhaseStep, wanted: Settings) -> list[Check]:
        asked, seen = self._asked, self._standing.any
        threshold = wanted.threshold if step.target is Phase.OFFLOAD else self._planned_threshold()
        if asked.unsafe is not None:
            said = f"there is none, since {asked.unsafe}"
            first = Check("gate_rehearsal", gates.CATEGORY, "a rehearsal of what is planned passed", Status.WARN, said)
        elif threshold is None:
            why = "which threshold is planned is said nowhere, so no rehearsal can be one of it"
            hint = "--threshold BYTES, or threshold in the deployment's [settings] in xcomctl.toml"
            first = Check(
                "gate_rehearsal", gates.CATEGORY, "a rehearsal of what is planned passed", Status.FAIL, why, hint
            )
        else:
            compression = asked.given.compression or wanted.compression or asked.planned.compression
            planned = fingerprint_of(
                OBJECT_STORAGE_BACKEND, wanted.path or "", threshold, compression, seen.airflow,
                seen.providers.get("common.io", ""),
            )  # fmt: skip
            found = readiness.rehearsals(asked.readiness, self._entries)
            hint = readiness.rehearse_command(seen.airflow, threshold, self._journal)
            first = readiness.rehearsal_gate(found, planned, asked.readiness.max_age, hint)
        second = readiness.preflight_gate(
            readiness.preflights(asked.readiness, self._entries, self._deployment),
            step.target,
            wanted,
            threshold,
            frozenset(self._standing.answers),
            asked.readiness.max_age,
            self.preflight_command(step.target, wanted),
        )
        return [first, second]

    def _planned_threshold(self) -> int | None:
        return planned_threshold(self._standing.line, self._asked.given, self._asked.planned, _present(self._standing))


def at_once(start: Phase, target: Phase) -> PhaseStep:
    """The step over any distance that a fleet which stands still may take."""
    if start is Phase.MISCONFIGURED:
        return PhaseStep(start, target, Direction.REPAIR if target is not Phase.OFFLOAD else Direction.UP)
    return PhaseStep(start, target, Direction.UP if _HEIGHT[target] > _HEIGHT[start] else Direction.DOWN)


def _present(standing: Standing) -> Mapping[str, str]:
    """What the contexts resolve, as variables."""
    found = {}
    for setting in SETTINGS:
        resolved = getattr(standing.resolution, setting.name)
        if resolved.source is not None and resolved.value is not None:
            found[setting.env] = str(resolved.value)
    return found
