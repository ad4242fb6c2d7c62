"""What the checks of one run look at, and how they are run: each in its turn, whatever the others found."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks.interface import Finding, fail, skip
from xcomctl.metadata.tables import Tables
from xcomctl.model.redaction import redact, redact_mapping
from xcomctl.model.settings import Settings
from xcomctl.model.suspects import Observation
from xcomctl.model.verdicts import Check, Status
from xcomctl.model.verification import RUN

#: Names that a check's data holds, of however many it found.
MOST_NAMED = 200
#: Names that a sentence has.
NAMED = 5


@dataclass
class RunSubject:
    """One run in one context. ``connection`` can only read. ``safe_point`` may raise.

    ``base_path`` is empty where none resolves and none was named. ``handed_over`` collects the instances that got a path, by name.
    """

    connection: Any
    tables: Tables
    dag_id: str
    run_id: str
    settings: Settings
    phase: str
    base_path: str
    observations: tuple[Observation, ...] = ()
    safe_point: Callable[[], None] = lambda: None
    progress: Callable[[str], None] = lambda message: None
    shared: dict[str, Any] = field(default_factory=dict)
    handed_over: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class RunCheck:
    """One check of a run: an id that never changes, what is true when it is OK, and the function."""

    id: str
    title: str
    run: Callable[[RunSubject], Optional[Finding]]


def run_all(checks: Sequence[RunCheck], subject: RunSubject) -> Iterator[Check]:
    """The outcomes, as they come. A check that crashes is a fail; what the context lacks is a skip, and so is a database
    that does not answer: that is no reason for a kill-switch."""
    for each in checks:
        subject.safe_point()
        subject.progress(each.id)
        started = time.monotonic()
        try:
            found = each.run(subject)
        except AirflowUnusable as error:
            found = skip(error.message, error.hint)
        except Exception as error:
            found = _crashed(error)
        if found is not None:
            yield Check(
                id=each.id,
                category=RUN,
                title=each.title,
                status=found.status,
                detail=redact(found.detail),
                hint=redact(found.hint) if found.status is not Status.OK else "",
                duration_ms=round((time.monotonic() - started) * 1000, 1),
                data=redact_mapping(found.data),
            )


def _crashed(error: Exception) -> Finding:
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, DBAPIError):
        said = str(error).strip().splitlines() or ["no reason given"]
        return skip(f"the metadata database did not answer: {type(error).__name__}: {said[0]}", "airflow db check")
    return fail(f"the check itself failed: {type(error).__name__}: {error}", crashed=True)


def named(names: Sequence[str], most: int = NAMED) -> str:
    """The first few names, and how many more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
