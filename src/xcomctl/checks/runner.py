"""Runs checks in their order: what they need first, with the time that each may take, and survives what they raise."""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, Optional, TypeVar

from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks.interface import (
    CheckSpec,
    Finding,
    Subject,
    TimedOut,
    Unusable,
    fail,
    skip,
)
from xcomctl.model.preflight import FUNCTIONAL, IN_TASK, PreflightOptions, category_of
from xcomctl.model.redaction import REDACTED, redact, redact_mapping
from xcomctl.model.verdicts import Check, Status

_T = TypeVar("_T")


#: How often somebody is asked whether a check is still wanted, and how long it may take to end once it is not.
_ASK_EVERY_S = 0.25
_END_S = 4.0


class SelectionError(ValueError):
    """``--only`` or ``--skip`` names something that is not there, or that was not asked for."""


def select(specs: Sequence[CheckSpec], options: PreflightOptions) -> list[CheckSpec]:
    """The checks that were asked for. Raises :class:`SelectionError`."""
    only, skipped = _named(specs, options.only), _named(specs, options.skip)
    chosen = []
    for spec in specs:
        named = spec.id in options.only
        if spec.id in skipped or (only and spec.id not in only):
            continue
        if not _is_asked(spec, options):
            if named:
                raise SelectionError(f"{spec.id} runs only with {spec.asked_by}")
            continue
        chosen.append(spec)
    if not chosen:
        asked = next((spec.asked_by for spec in specs if spec.id in only and spec.asked_by), "")
        raise SelectionError("no check is left to run" + (f"; some run only with {asked}" if asked else ""))
    return chosen


def _is_asked(spec: CheckSpec, options: PreflightOptions) -> bool:
    if options.in_task and not spec.in_task:
        return False
    if spec.asked_by == FUNCTIONAL:
        return options.functional
    if spec.asked_by == IN_TASK:
        return options.in_task
    return True


def _named(specs: Sequence[CheckSpec], names: Iterable[str]) -> set[str]:
    """The ids that the names stand for: ids, and categories (``round-trip`` for ``round trip``)."""
    found: set[str] = set()
    ids = {spec.id for spec in specs}
    for name in names:
        category = category_of(name)
        if name in ids:
            found.add(name)
        elif category is not None:
            found.update(spec.id for spec in specs if spec.category == category)
        else:
            raise SelectionError(f"there is no check {name!r} and no category of that name")
    return found


def needed(specs: Sequence[CheckSpec], selected: Sequence[CheckSpec]) -> list[CheckSpec]:
    """The selected checks and whatever they need, in the order of the catalogue."""
    by_id = {spec.id: spec for spec in specs}
    found = {spec.id for spec in selected}
    pending = list(found)
    while pending:
        for other in by_id[pending.pop()].needs:
            if other not in found:
                found.add(other)
                pending.append(other)
    return [spec for spec in specs if spec.id in found]


def run(specs: Sequence[CheckSpec], selected: Sequence[CheckSpec], subject: Subject) -> Iterator[Check]:
    """The outcomes of the selected checks, as they come. What they need runs too, without being reported."""
    by_id = {spec.id: spec for spec in specs}
    wanted = {spec.id for spec in selected}
    for spec in needed(specs, selected):
        check = _outcome(spec, by_id, wanted, subject)
        if check is not None:
            subject.outcomes[spec.id] = check
            if spec.id in wanted:
                yield check


def _outcome(
    spec: CheckSpec, by_id: Mapping[str, CheckSpec], wanted: Container[str], subject: Subject
) -> Optional[Check]:
    subject.progress(spec.id, None, None)  # outside the guard: this is where a run is stopped
    started = time.monotonic()
    try:
        if not spec.applies(subject):
            return None
        found = _unmet(spec, by_id, wanted, subject) or _found(spec, subject)
    except (Unusable, AirflowUnusable) as error:
        found = fail(error.message, error.hint)
    except TimedOut:
        found = fail(
            f"no answer within {subject.options.timeout_s:g} s",
            "is it reachable from this context? allow more with --timeout",
            timed_out=True,
        )
    except Exception as error:
        found = fail(f"the check itself failed: {type(error).__name__}: {error}", crashed=True)
    if found is None:
        return None
    hint = found.hint if found.status is not Status.OK else ""
    return Check(
        id=spec.id,
        category=spec.category,
        title=spec.title,
        status=found.status,
        detail=without_secrets(found.detail, subject.secrets),
        hint=without_secrets(hint, subject.secrets),
        duration_ms=round((time.monotonic() - started) * 1000, 1),
        data=_data_without_secrets(found.data, subject.secrets),
    )


def _unmet(
    spec: CheckSpec, by_id: Mapping[str, CheckSpec], wanted: Container[str], subject: Subject
) -> Optional[Finding]:
    for other in spec.needs:
        outcome = subject.outcome(other)
        if outcome is not None and outcome.status in (Status.FAIL, Status.SKIP):
            root = subject.outcome(outcome.data.get("needs", other)) or outcome
            what = "failed" if root.status is Status.FAIL else "could not be measured"
            if root.id in wanted:  # it says itself why, and what mends it
                return skip(f"needs {root.id}, which {what}", needs=root.id)
            return skip(f"needs {root.id}, which {what}: {root.detail}", root.hint, needs=root.id)
        if outcome is None and other in by_id and not _applies(by_id[other], subject):
            return skip(f"needs {other}, and there is nothing of the kind here", needs=other)
    return None


def _applies(spec: CheckSpec, subject: Subject) -> bool:
    try:
        return spec.applies(subject)
    except Exception:
        return False  # then the check itself was reported as failed


def _found(spec: CheckSpec, subject: Subject) -> Optional[Finding]:
    if not spec.waits:
        return spec.run(subject)
    return within(subject.options.timeout_s, lambda: spec.run(subject), subject.safe_point)


def within(seconds: float, work: Callable[[], _T], safe_point: Callable[[], None] = lambda: None) -> _T:
    """The result of ``work``, which runs in a thread. Raises :class:`TimedOut`, and leaves the thread to itself then.

    Nothing else can be done about a client that waits for a server in a system call; the agent's end does not wait
    for such threads. ``safe_point`` is called now and then; once it raises, what is healthy may still come to its end
    (and remove what it wrote), what hangs is left.
    """
    box: queue.Queue[Callable[[], _T]] = queue.Queue()

    def put() -> None:
        try:
            result = work()
            box.put(lambda: result)
        except BaseException as error:
            box.put(functools.partial(_raise, error))

    threading.Thread(target=put, name="xcomctl-check", daemon=True).start()
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimedOut
        with contextlib.suppress(queue.Empty):
            return box.get(timeout=min(left, _ASK_EVERY_S))()
        try:
            safe_point()
        except BaseException:
            with contextlib.suppress(queue.Empty):
                box.get(timeout=min(left, _END_S))
            raise


def _raise(error: BaseException) -> Any:
    raise error


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """The text without what must not be said, and without what looks like a secret."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return redact(text)


def _data_without_secrets(data: Mapping[str, Any], secrets: Sequence[str]) -> dict[str, Any]:
    return redact_mapping({name: _replaced(value, secrets) for name, value in data.items()})


def _replaced(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return without_secrets(value, secrets)
    if isinstance(value, Mapping):
        return {str(name): _replaced(entry, secrets) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replaced(entry, secrets) for entry in value]
    return value
