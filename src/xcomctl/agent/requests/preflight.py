"""preflight: the checks of this context, one item each."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

from xcomctl.agent import target
from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.airflow_compat import connections, handover, loading, xcom_class
from xcomctl.checks.catalogue import CHECKS
from xcomctl.checks.interface import CheckSpec, Subject
from xcomctl.checks.runner import SelectionError, needed, select, within
from xcomctl.checks.runner import run as run_checks
from xcomctl.model import requests
from xcomctl.model.phases import phase_of
from xcomctl.model.preflight import PreflightAnswer, PreflightOptions
from xcomctl.model.redaction import redact_mapping
from xcomctl.model.verdicts import Check


def run(context: RequestContext) -> PreflightAnswer:
    """Answer the request."""

    def report(check: Check) -> None:
        context.emit(check)
        context.flush()

    options, selected = chosen(context.params)
    return examine(options, selected, context.progress, context.check, report)


def examine(
    options: PreflightOptions,
    selected: Sequence[CheckSpec],
    progress: Callable[[str, Optional[int], Optional[int]], None],
    safe_point: Callable[[], None],
    report: Callable[[Check], None],
) -> PreflightAnswer:
    """Run the checks, hand over each outcome as it comes, and say what the context is.

    ``progress`` tells what is being done. ``safe_point`` is called while something is waited for, and may raise.
    """
    asker = Asker(options, safe_point)
    subject = Subject(options, asker.ask, progress, safe_point)
    try:
        progress("importing Airflow", None, None)
        asker.prepare(subject, any(spec.under_target for spec in needed(CHECKS, selected)))
        for check in run_checks(CHECKS, selected, subject):
            report(check)
        return answer(subject)
    finally:
        asker.close()


def chosen(params: Mapping[str, Any]) -> tuple[PreflightOptions, list[CheckSpec]]:
    """Options and checks for the request's parameters. Raises :class:`RequestError`."""
    try:
        options = PreflightOptions.from_json(params)
        options.wanted_phase  # noqa: B018 — raises for a phase that is none
        return options, select(CHECKS, options)
    except (SelectionError, ValueError) as error:
        raise RequestError(f"{error}", "xcomctl preflight --list", requests.USAGE) from error


def answer(subject: Subject) -> PreflightAnswer:
    """What the context is."""
    return PreflightAnswer(
        airflow=loading.version(),
        line=subject.line.value,
        python=platform.python_version(),
        hostname=platform.node(),
        providers=loading.providers(),
        settings=redact_mapping({name: setting.to_json() for name, setting in subject.settings.items()}),
        phase=phase_of(subject.resolved).phase.value,
        target=redact_mapping(subject.target.to_json()),
        overridden=tuple(sorted(subject.overrides)),
    )


class Asker:
    """Decides who answers for the target: this process when it resolves the target already, else a child."""

    def __init__(self, options: PreflightOptions, safe_point: Callable[[], None]) -> None:
        self._options = options
        self._safe_point = safe_point
        self._subject: Optional[Subject] = None
        self._child: Optional[target.Child] = None

    def prepare(self, subject: Subject, will_be_asked: bool) -> None:
        """Start what will have to answer, so that it imports Airflow meanwhile."""
        self._subject = subject
        if will_be_asked and subject.overrides and not self._options.in_task:
            self._child = self._new_child(subject)
            xcom_class.class_path()  # the longest import that is still to come here: while the child does the same

    def ask(self, name: str, params: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        """See :data:`xcomctl.checks.interface.UnderTarget`."""
        assert self._subject is not None
        if not self._subject.overrides:
            return target.here(name, params, timeout_s, self._safe_point)
        if self._child is None:
            self._child = self._new_child(self._subject)
        return self._child.request(name, params, timeout_s)

    def _new_child(self, subject: Subject) -> target.Child:
        if not self._options.in_task:
            return target.Child(subject.overrides, self._safe_point)
        conn_id = connections.connection_id(subject.target.path or "")
        handed = within(self._options.timeout_s, lambda: handover.variables(conn_id))
        return target.Child({**subject.overrides, **handed}, self._safe_point, in_task=True)

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.close()
