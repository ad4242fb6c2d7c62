"""What happened when: steps, measured spans and required observations, in the order in which they happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from xcomctl.model.redaction import redact
from xcomctl.model.rehearsal import Span, Step
from xcomctl.model.verdicts import Check, Status
from xcomctl.report.progress import Progress, StepHandle


class ObservationMissing(Exception):
    """A step ended without something that it is required to observe."""

    def __init__(self, step: str, checks: list[Check]) -> None:
        super().__init__("; ".join(f"{check.id}: {check.detail}" for check in checks))
        self.step = step
        self.checks = checks


@dataclass
class CurrentStep:
    """The step that runs now: tells what it waits for, and records what it observed."""

    id: str
    handle: StepHandle
    _clock: Callable[[], float]
    checks: list[Check] = field(default_factory=list)
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._since = self._clock()

    def waiting(self, what: str) -> None:
        """Show what the step waits for now."""
        self.handle.waiting(what)

    def require(
        self, id: str, title: str, seen: bool, detail: str, hint: str = "", data: Mapping[str, Any] | None = None
    ) -> None:
        """Record a required observation: ok if it was ``seen``, else the rehearsal fails at the end of this step."""
        self._record(id, title, Status.OK if seen else Status.FAIL, detail, "" if seen else hint, data)

    def warn(self, id: str, title: str, detail: str, hint: str, data: Mapping[str, Any] | None = None) -> None:
        """Record something that a person has to know, and that is not a failure of the rehearsal."""
        self._record(id, title, Status.WARN, detail, hint, data)

    def _record(
        self, id: str, title: str, status: Status, detail: str, hint: str, data: Mapping[str, Any] | None
    ) -> None:
        now = self._clock()
        took = (now - self._since) * 1000
        self._since = now
        self.checks.append(Check(id, self.id, title, status, redact(detail), hint, round(took, 1), dict(data or {})))


class Timeline:
    """Records a rehearsal while it runs. Times are seconds since it was made."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.started = datetime.now(UTC)
        self._began = time.monotonic()
        self.steps: list[Step] = []
        self.spans: list[Span] = []
        self.checks: list[Check] = []
        #: The scenario that the steps belong to which begin from now on.
        self.scenario = ""
        self.open_steps: list[str] = []

    def now(self) -> float:
        """Seconds since the rehearsal began."""
        return time.monotonic() - self._began

    @property
    def latest_step(self) -> str | None:
        """The step that runs now or did not end well; between two steps the one that ended last."""
        if self.open_steps:
            return self.open_steps[-1]
        return self.steps[-1].id if self.steps else None

    @contextmanager
    def step(self, id: str, title: str) -> Iterator[CurrentStep]:
        """Run a step. Raises :class:`ObservationMissing` if one of its required observations was not made."""
        began = self.now()
        self.open_steps.append(id)
        status, why = Status.FAIL, ""
        current: CurrentStep | None = None
        try:
            with self.progress.step(id, title) as handle:
                current = CurrentStep(id, handle, self.now)
                yield current
                failed = [check for check in current.checks if check.status is Status.FAIL]
                if failed:
                    raise ObservationMissing(id, failed)
            status = Status.WARN if any(c.status is Status.WARN for c in current.checks) else Status.OK
            self.open_steps.remove(id)
        except BaseException as error:
            why = redact(str(error)) or type(error).__name__
            if isinstance(error, KeyboardInterrupt):
                status, why = Status.SKIP, "interrupted"
            raise
        finally:
            self.checks += current.checks if current is not None else []
            took = round(began, 3), round(self.now(), 3)
            self.steps.append(Step(id, title, status, *took, why, self.scenario))

    @contextmanager
    def span(self, lane: str, label: str) -> Iterator[None]:
        """Measure a stretch of time, also when it ends with an exception."""
        began = self.now()
        try:
            yield
        finally:
            self.add_span(lane, label, began)

    def add_span(self, lane: str, label: str, start_s: float, end_s: float | None = None) -> None:
        """Record a stretch of time that ends now, or at ``end_s``."""
        self.spans.append(Span(lane, label, round(start_s, 3), round(self.now() if end_s is None else end_s, 3)))
