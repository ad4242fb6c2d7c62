"""Pre-flight: what was asked for, the target that follows from it, what one context answered, and the report.

The settings that matter are of two kinds. *Resolved* is what a context's configuration gives now. The *target* is what
the flip would make of it: what was expected on the command line, where that says something, and what resolves where it
does not. Functional checks are about the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.model.phases import BASE_XCOM, BASE_XCOM_SPELLINGS, OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.requests import Record, ResolvedSetting
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, THRESHOLD, Settings, format_threshold
from xcomctl.model.verdicts import Check, Verdict, verdict_of

SCHEMA = "xcomctl.preflight/1"

#: The categories of checks, in the order in which they run and are shown.
PROVIDER = "provider"
CONFIG = "config"
CONNECTION = "connection"
STORE = "store"
METADATA = "metadata"
ROUND_TRIP = "round trip"
#: Not a category to choose from: whether a context answered at all.
CONTEXT = "context"
CATEGORIES = (PROVIDER, CONFIG, CONNECTION, STORE, METADATA, ROUND_TRIP)

#: Seconds that a check which waits for something outside may take.
DEFAULT_TIMEOUT_S = 30.0
#: Seconds that a task may take to answer, its wait for a worker included.
DEFAULT_TASK_TIMEOUT_S = 300.0

#: The options without which some checks do not run.
FUNCTIONAL = "--functional-s3"
IN_TASK = "--in-task"


def category_of(name: str) -> Optional[str]:
    """The category that a name on the command line stands for (``round-trip``), ``None`` for one that is none."""
    spelled = name.replace("-", " ").replace("_", " ")
    return spelled if spelled in CATEGORIES else None


@dataclass(frozen=True)
class PreflightOptions(Record):
    """What a pre-flight is asked for; the parameters of the request.

    ``expect_*`` is what the configuration has to resolve to; an empty compression is none at all. ``phase`` is the :class:`~xcomctl.model.phases.Phase`
    that is wanted. With ``planned`` the expectations are not deployed yet: they are judged in themselves, and what
    resolves now is only shown. ``functional`` allows objects to be written below the path (and removed).
    ``connection_id`` is what the path's connection has to be. ``only`` and ``skip`` hold ids and categories.
    ``in_task`` tells the agent's side that it is a task, ``step_pod`` that it is a pod as steps run in. With ``strict`` a named upstream defect fails, too.
    """

    connection_id: Optional[str] = None
    expect_backend: Optional[str] = None
    expect_path: Optional[str] = None
    expect_threshold: Optional[int] = None
    expect_compression: Optional[str] = None
    phase: Optional[str] = None
    planned: bool = False
    functional: bool = False
    strict: bool = False
    in_task: bool = False
    step_pod: bool = False
    timeout_s: float = DEFAULT_TIMEOUT_S
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    @property
    def wanted_phase(self) -> Optional[Phase]:
        """``phase`` as a :class:`Phase`. Raises ``ValueError`` for a name that is none."""
        return None if self.phase is None else Phase(self.phase)


def target_settings(options: PreflightOptions, resolved: Settings) -> Settings:
    """The settings that the flip would leave: the expectations, and what resolves now where there are none.

    Whoever expects a path or a threshold, or wants ``dual-read`` or ``offload``, expects the object-storage backend
    with it; whoever wants ``inline``, Airflow's own class, under the name that resolves already if one does.
    ``dual-read`` is the threshold -1 unless another is expected.
    """
    phase = options.wanted_phase
    offloading = phase in (Phase.DUAL_READ, Phase.OFFLOAD)
    backend = options.expect_backend
    if backend is None and phase is Phase.INLINE:
        own = not resolved.backend or resolved.backend in BASE_XCOM_SPELLINGS
        backend = resolved.backend if own else BASE_XCOM
    elif backend is None:
        implied = offloading or options.expect_path is not None or options.expect_threshold is not None
        backend = OBJECT_STORAGE_BACKEND if implied else resolved.backend
    threshold, raw = resolved.threshold, resolved.threshold_raw
    if options.expect_threshold is not None:
        threshold, raw = options.expect_threshold, format_threshold(options.expect_threshold)
    elif phase is Phase.DUAL_READ:
        threshold, raw = -1, "-1"
    path = options.expect_path if options.expect_path is not None else resolved.path
    compression = options.expect_compression if options.expect_compression is not None else resolved.compression
    return Settings(backend, path, threshold, raw, compression)


def overrides(target: Settings, resolved: Settings) -> dict[str, str]:
    """The environment variables that turn what resolves into the target; empty when it already does."""
    wanted: dict[str, str] = {}
    if (target.backend or "") != (resolved.backend or "") and target.backend:
        wanted[BACKEND.env] = target.backend
    if target.path is not None and target.path != resolved.path:
        wanted[PATH.env] = target.path
    if target.threshold is not None and target.threshold != resolved.threshold:
        wanted[THRESHOLD.env] = format_threshold(target.threshold)
    if (target.compression or "") != (resolved.compression or ""):
        wanted[COMPRESSION.env] = target.compression or ""
    return wanted


@dataclass(frozen=True)
class CatalogueEntry(Record):
    """One check as ``--list`` shows it.

    ``asked_by`` is the option without which it does not run, empty for none. ``in_task``: it also runs as a task;
    one that is asked for by ``--in-task`` runs there alone.
    """

    id: str
    category: str
    title: str
    asked_by: str = ""
    in_task: bool = True


@dataclass(frozen=True)
class CatalogueAnswer(Record):
    """Every check, in the order in which they run."""

    checks: tuple[CatalogueEntry, ...]

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        return tuple(CatalogueEntry.from_json(entry) for entry in value)


@dataclass(frozen=True)
class PreflightAnswer(Record):
    """What a context is, besides its checks.

    ``settings`` are the four as they resolve, by their short names. ``target`` is :meth:`Settings.to_json`'s. ``phase`` is the resolved phase. ``overridden`` names the variables that functional
    checks had to override.
    """

    airflow: str
    line: str
    python: str
    hostname: str
    providers: Mapping[str, str]
    settings: Mapping[str, Any]
    phase: str
    target: Mapping[str, Any]
    overridden: tuple[str, ...] = ()

    def setting(self, name: str) -> ResolvedSetting:
        """One of the four as it resolves, by its short name."""
        return ResolvedSetting.from_json(self.settings[name])


@dataclass(frozen=True)
class ContextReport:
    """One context: its name, its checks, and what it is (``None`` when it did not get as far as saying so)."""

    name: str
    checks: tuple[Check, ...]
    answer: Optional[PreflightAnswer] = None


@dataclass(frozen=True)
class PreflightReport:
    """A whole pre-flight. ``fleet`` holds the checks that are about all contexts together."""

    options: PreflightOptions
    contexts: tuple[ContextReport, ...]
    fleet: tuple[Check, ...] = ()
    fail_on_warn: bool = False
    next_steps: tuple[str, ...] = ()
    at: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check of every context, then those of the fleet."""
        return (*(check for context in self.contexts for check in context.checks), *self.fleet)

    @property
    def verdict(self) -> Verdict:
        """What the checks amount to. A context of which nothing is known makes it inconclusive."""
        found = verdict_of(self.checks, fail_on_warn=self.fail_on_warn)
        if found is not Verdict.FAILED and any(not context.checks for context in self.contexts):
            return Verdict.INCONCLUSIVE
        return found

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; ``docs/preflight-report.md`` says what they mean."""
        checks = [{**check.to_json(), "context": context.name} for context in self.contexts for check in context.checks]
        checks += [{**check.to_json(), "context": None} for check in self.fleet]
        return {
            "schema": SCHEMA,
            "at": self.at,
            "verdict": self.verdict.value,
            "exit_code": self.verdict.exit_code,
            "versions": dict(self.versions),
            "options": self.options.to_json(),
            "contexts": [
                {"name": context.name, **(context.answer.to_json() if context.answer is not None else {})}
                for context in self.contexts
            ],
            "checks": checks,
            "next_steps": list(self.next_steps),
        }
