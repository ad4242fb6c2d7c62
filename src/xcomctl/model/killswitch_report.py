"""What a kill-switch sees, the way that it recommends, and what became of it: the report, and the decision. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.model.killswitch import Way
from xcomctl.model.phases import Phase
from xcomctl.model.refs import AtRiskRun
from xcomctl.model.requests import Record
from xcomctl.model.verdicts import Verdict

SCHEMA = "xcomctl.killswitch/1"
#: What became of a step.
DONE, FAILED, TO_DO = "done", "failed", "to do"
#: The worst first: what hands paths over before what only goes on to write references.
_WORST = (Phase.UNKNOWN, Phase.INLINE, Phase.MISCONFIGURED, Phase.OFFLOAD, Phase.DUAL_READ)


@dataclass(frozen=True)
class Sees(Record):
    """What is seen before anything is done.

    ``phases`` maps each context to the phases there: of a fresh process, and of those that run with others.
    ``unimportable`` and ``store_down`` map contexts to the reason, ``silent`` those that did not answer; ``store_up`` are
    those where the store answers, and in others it was not asked. ``base_path`` is where references lie as it resolves,
    ``held_under`` the one path under which those of unfinished runs resolve, if there is one. ``handed_over`` counts references of unfinished runs whose readers get path strings now. The numbers of runs and references are
    ``None`` where the metadata database does not tell; ``at_risk`` are some of these runs. ``carrier`` is the phase that the
    carrier says, where one is named and can be read; ``rollouts`` are workloads that are not through with the last change;
    ``logs`` is what the deployment's Loki says, if it has one.
    """

    phases: Mapping[str, tuple[str, ...]]
    unimportable: Mapping[str, str] = field(default_factory=dict)
    store_down: Mapping[str, str] = field(default_factory=dict)
    store_up: tuple[str, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    base_path: Optional[str] = None
    held_under: Optional[str] = None
    handed_over: int = 0
    runs_at_risk: Optional[int] = None
    references_at_risk: Optional[int] = None
    at_risk: tuple[AtRiskRun, ...] = ()
    carrier: Optional[str] = None
    rollouts: tuple[str, ...] = ()
    logs: Optional[str] = None

    @property
    def worst(self) -> Optional[Phase]:
        """The phase to leave, ``None`` if no context answered."""
        there = {phase for phases in self.phases.values() for phase in phases}
        return next((phase for phase in _WORST if phase.value in there), None)

    @property
    def inline_alone(self) -> bool:
        """Whether every context that answered is ``inline``, and nothing else runs there."""
        return all(tuple(each) == (Phase.INLINE.value,) for each in self.phases.values())

    def resolves(self, phase: Phase) -> bool:
        """Whether every context answers and has this phase alone, and its class imports."""
        alone = all(tuple(each) == (phase.value,) for each in self.phases.values())
        return alone and not self.silent and not self.unimportable


@dataclass(frozen=True)
class Recommendation(Record):
    """``way`` is ``None`` where no kill-switch helps; ``because`` is the reason, ``hint`` what to do instead.

    Without a ``hint`` there is nothing to do.
    """

    way: Optional[str]
    because: str
    hint: str = ""


def recommend(sees: Sees) -> Recommendation:
    """The way to recommend: soft, unless a backend cannot be imported. A store that does not answer is no reason."""
    worst = sees.worst
    if worst is None:
        return Recommendation(None, "no context answers, so nothing is known", "xcomctl status")
    if worst is Phase.UNKNOWN:
        hint = "set [core] xcom_backend by hand, and call again"
        return Recommendation(None, "the XCom backend is a class that xcomctl does not know", hint)
    if sees.unimportable and sees.inline_alone:
        name, error = next(iter(sees.unimportable.items()))
        return Recommendation(
            None, f"inline, and in {name} Airflow's own class does not import ({error})", "xcomctl preflight"
        )
    if sees.unimportable:
        name, error = next(iter(sees.unimportable.items()))
        return Recommendation(
            Way.HARD.value,
            f"in {name} the backend does not import ({error}): what starts there fails, and no setting of dual-read mends it",
        )
    if worst is Phase.MISCONFIGURED:
        return Recommendation(
            Way.SOFT.value, "misconfigured hands path strings to tasks; under dual-read every reference resolves again"
        )
    if worst is Phase.INLINE and sees.handed_over:
        return Recommendation(
            Way.SOFT.value,
            f"inline hands {sees.handed_over:,} references of unfinished runs to tasks as path strings; under dual-read "
            "they resolve",
        )
    if worst is Phase.INLINE and not sees.inline_alone:
        return Recommendation(
            Way.SOFT.value,
            "inline beside another phase hands what that one writes as references to tasks as path strings; under dual-read "
            "everywhere they resolve",
        )
    if worst in (Phase.INLINE, Phase.DUAL_READ) and sees.silent:
        names = ", ".join(sees.silent)
        return Recommendation(None, f"{worst.value} where contexts answer, and {names} did not", "xcomctl status")
    if worst in (Phase.INLINE, Phase.DUAL_READ) and sees.rollouts:
        why = f"{worst.value} where pods are Ready, and a rollout is not over: {sees.rollouts[0]}"
        return Recommendation(None, why, "xcomctl status")
    if worst is Phase.INLINE and sees.runs_at_risk is None:
        why = "inline, and what unfinished runs hold is not known: no context could read the metadata database"
        return Recommendation(None, why, "xcomctl status")
    if worst is Phase.INLINE:
        return Recommendation(None, "inline, and no unfinished run holds a reference: there is nothing to switch off")
    if worst is Phase.DUAL_READ and sees.carrier not in (None, Phase.DUAL_READ.value):
        return Recommendation(
            Way.SOFT.value,
            f"dual-read already, and the carrier says {sees.carrier}: the next deploy would bring that (F42)",
        )
    if worst is Phase.DUAL_READ:
        return Recommendation(None, "dual-read already: nothing more is offloaded, and every reference resolves")
    if sees.store_down:
        return Recommendation(
            Way.SOFT.value,
            "a store that does not answer is no reason for inline: under dual-read small values go on, and reads of "
            "references fail loud and are tried again; under inline the same reads succeed with a path string",
        )
    return Recommendation(
        Way.SOFT.value,
        "one deploy ends it: nothing more is offloaded, every reference goes on to resolve, and no task breaks",
    )


@dataclass(frozen=True)
class Played(Record):
    """A step and what became of it: ``status`` is ``done``, ``failed`` or ``to do``."""

    id: str
    title: str
    status: str
    detail: str = ""
    notes: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True)
class KillswitchReport:
    """``way`` is ``None`` where nothing was to be done. ``resumes`` is when the one began that was gone on with.

    ``ended`` is whether it came to its end, also where not every run is green then: it is not gone on with. ``before`` is
    the one that the same call played first. ``rollback`` is that of an emergency. ``flips_again``: it is in effect, and the
    values in the repository still say what was rolled back (F42).
    """

    sees: Sees
    recommendation: Recommendation
    way: Optional[Way]
    verdict: Verdict
    steps: tuple[Played, ...] = ()
    resumes: Optional[str] = None
    dry_run: bool = False
    abandoned: bool = False
    ended: bool = False
    next_steps: tuple[str, ...] = ()
    before: Optional[KillswitchReport] = None
    rollback: Optional[dict[str, Any]] = None
    flips_again: bool = False

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict.value,
            "exit_code": self.verdict.exit_code,
            "sees": self.sees.to_json(),
            "recommended": self.recommendation.to_json(),
            "way": None if self.way is None else self.way.value,
            "target": None if self.way is None else self.way.target.value,
            "resumes": self.resumes,
            "dry_run": self.dry_run,
            "abandoned": self.abandoned,
            "ended": self.ended,
            "rollback": self.rollback,
            "flips_again": self.flips_again,
            "steps": [each.to_json() for each in self.steps],
            "next_steps": list(self.next_steps),
            "before": None if self.before is None else self.before.to_json(),
        }
