"""What a check is, what it finds, and what checks of one run share.

A check is data: an id that never changes, its category, a title and a function. The function looks at the
:class:`Subject` and returns a :class:`Finding`, or ``None`` when there is nothing of the kind to look at here (a
lifecycle rule on ``file://``): then the check is not part of the report at all.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from xcomctl.airflow_compat import configuration, loading
from xcomctl.model.phases import Line, Phase, phase_of
from xcomctl.model.preflight import PreflightOptions, overrides, target_settings
from xcomctl.model.requests import ResolvedSetting
from xcomctl.model.settings import Settings, settings_from
from xcomctl.model.verdicts import Check, Status


@dataclass(frozen=True)
class Finding:
    """What a check found. ``hint`` is the command or line that mends it. ``data`` holds plain JSON values."""

    status: Status
    detail: str
    hint: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def ok(detail: str, **data: Any) -> Finding:
    """All is as it should be."""
    return Finding(Status.OK, detail, data=data)


def warn(detail: str, hint: str = "", **data: Any) -> Finding:
    """Something to know that does not stand in the way."""
    return Finding(Status.WARN, detail, hint, data)


def fail(detail: str, hint: str = "", **data: Any) -> Finding:
    """Something stands in the way: what was expected, what there is, where it comes from."""
    return Finding(Status.FAIL, detail, hint, data)


def skip(detail: str, hint: str = "", **data: Any) -> Finding:
    """It could not be measured, and why."""
    return Finding(Status.SKIP, detail, hint, data)


class Unusable(Exception):
    """The process with the target's settings cannot answer; ``message`` is Airflow's own, or says what happened."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class TimedOut(Exception):
    """Something outside did not answer in the time that a check may take."""


#: Asks a process whose settings are the target's: name and parameters of an agent's request, seconds; its answer.
#: Raises :class:`Unusable` and :class:`TimedOut`.
UnderTarget = Callable[[str, Mapping[str, Any], float], Mapping[str, Any]]


class Subject:
    """What the checks of one run look at. What it gives is looked up once.

    ``under_target`` asks a process whose settings are the target's, see :data:`UnderTarget`. ``progress`` tells the
    person what is being done (message, done, total) and is a safe point at which a run may be stopped; ``safe_point``
    is the same without a word, for while something is waited for.
    """

    def __init__(
        self,
        options: PreflightOptions,
        under_target: UnderTarget,
        progress: Callable[[str, Optional[int], Optional[int]], None],
        safe_point: Callable[[], None] = lambda: None,
    ) -> None:
        self.options = options
        self._ask_target = under_target
        self.progress = progress
        self.safe_point = safe_point
        self.outcomes: dict[str, Check] = {}
        #: What the checks of one category keep for one another, under a name of their own.
        self.shared: dict[str, Any] = {}
        self._secrets: set[str] = set()

    @functools.cached_property
    def line(self) -> Line:
        """Airflow's line."""
        return loading.line()

    @functools.cached_property
    def settings(self) -> Mapping[str, ResolvedSetting]:
        """The four settings as they resolve in this context, by their short names, each with its source."""
        loading.airflow()
        return configuration.resolve_settings()

    @functools.cached_property
    def resolved(self) -> Settings:
        """The same, read as this line reads them."""
        return settings_from(line=self.line, **self.settings)

    @functools.cached_property
    def target(self) -> Settings:
        """The settings that the flip would leave."""
        return target_settings(self.options, self.resolved)

    @functools.cached_property
    def target_phase(self) -> Phase:
        """The phase that the target amounts to."""
        return phase_of(self.target).phase

    @functools.cached_property
    def overrides(self) -> Mapping[str, str]:
        """The variables that turn what resolves into the target; empty when it already does."""
        return overrides(self.target, self.resolved)

    def outcome(self, check_id: str) -> Optional[Check]:
        """What an earlier check of this run found, ``None`` if it did not run."""
        return self.outcomes.get(check_id)

    def passed(self, check_id: str) -> bool:
        """Whether an earlier check ran and did not fail."""
        found = self.outcomes.get(check_id)
        return found is not None and found.status in (Status.OK, Status.WARN)

    def under_target(self, request: str, **params: Any) -> Mapping[str, Any]:
        """The answer of a process whose settings are the target's. Raises :class:`Unusable`, :class:`TimedOut`."""
        return self._ask_target(request, params, self.options.timeout_s)

    def keep_secret(self, *texts: Optional[str]) -> None:
        """These texts must not leave the context in anything that a check says. Very short ones cannot be told apart."""
        self._secrets.update(text for text in texts if text and len(text) >= 4)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be said, the longest first."""
        return tuple(sorted(self._secrets, key=len, reverse=True))


def always(subject: Subject) -> bool:
    """Applies everywhere."""
    return True


@dataclass(frozen=True)
class CheckSpec:
    """One check. ``title`` says what is true when it is OK.

    ``needs`` are ids of checks without whose success this one means nothing. ``applies`` tells whether there is
    anything to look at, from settings alone. ``asked_by`` is the option without which it does not run (``FUNCTIONAL``, ``IN_TASK``). A check that
    ``waits`` for something outside (store, database, secrets backend) is given up after the time that the options
    allow. ``in_task``: also runs as a task. ``under_target``: asks a process with the target's settings, which then
    starts before the first check.
    """

    id: str
    category: str
    title: str
    run: Callable[[Subject], Optional[Finding]]
    needs: tuple[str, ...] = ()
    applies: Callable[[Subject], bool] = always
    asked_by: str = ""
    waits: bool = False
    in_task: bool = True
    under_target: bool = False
