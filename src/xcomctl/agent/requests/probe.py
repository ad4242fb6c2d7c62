"""probe: both corpora through BaseXCom and through the target's class, from the database and from the store."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.preflight import Asker
from xcomctl.airflow_compat import loading
from xcomctl.airflow_compat.connections import connection_id
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks.interface import Subject, TimedOut, Unusable
from xcomctl.checks.runner import within
from xcomctl.model import requests
from xcomctl.model.phases import Line, Phase, path_problem, phase_of
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.probe import CONTROL_FLOW, DATA, INLINE, OFFLOADED, ProbeAnswer, ProbeDifference, ProbeQuery
from xcomctl.model.requests import ControlFlowAnswer, ReadAnswer
from xcomctl.model.transitions import ValueForm
from xcomctl.roundtrip import control_flow, data
from xcomctl.roundtrip.folder import new_folder, remove
from xcomctl.roundtrip.readiness import VALUES_AT_ONCE, Readiness, values_at_once
from xcomctl.roundtrip.told import told
from xcomctl.roundtrip.write import OWNER
from xcomctl.store.opened import message_of

#: Where no path can be one, texts "under the base path" are made for this.
_NO_PATH = "s3://xcomctl_probe@probe/xcom"
#: Seconds for the removal of what a question wrote that was not answered.
_REMOVAL_S = 10.0
_NOTHING_STORED = "nothing was put into the store: "


def run(context: RequestContext) -> ProbeAnswer:
    """Answer the request."""
    query = ProbeQuery.from_json(context.params)
    options = PreflightOptions(
        expect_path=query.path,
        expect_threshold=query.threshold,
        expect_compression=query.compression,
        phase=query.phase,
        timeout_s=query.timeout_s,
    )
    asker = Asker(options, context.check)
    subject = Subject(options, asker.ask, context.progress, context.check)
    try:
        context.progress("importing Airflow")
        asker.prepare(subject, True)
        return Probe(context, query, subject).answer()
    finally:
        asker.close()


class Probe:
    """One probe: what was put through so far."""

    def __init__(self, context: RequestContext, query: ProbeQuery, subject: Subject) -> None:
        self._context, self._query, self._subject = context, query, subject
        self._counts: dict[str, int] = {}
        self._only_backend: dict[str, None] = {}
        self._neither: dict[str, None] = {}
        self._unmeasured: dict[str, None] = {}
        self._left: list[str] = []
        self._notes: list[str] = []
        self._problem = ""
        self._at_once = VALUES_AT_ONCE
        path = subject.target.path
        self._path: str = path if path is not None and path_problem(path) is None else _NO_PATH

    def answer(self) -> ProbeAnswer:
        """Put everything through."""
        subject = self._subject
        phase = subject.target_phase
        try:
            resolved = subject.under_target(requests.RESOLVE)
            self._problem = str(resolved.get("class_error") or "")
            if not self._problem:
                self._through(phase)
        except (Unusable, AirflowUnusable) as error:
            self._unmeasured[error.message] = None
        except TimedOut:
            self._unmeasured[f"no answer within {self._query.timeout_s:g} s: allow more with --timeout"] = None
        return ProbeAnswer(
            airflow=loading.version(),
            common_io=loading.providers().get("common.io", ""),
            phase=phase_of(subject.resolved).phase.value,
            target_phase=phase.value,
            path=subject.target.path or "",
            overridden=tuple(sorted(subject.overrides)),
            counts=self._counts,
            only_backend=tuple(self._only_backend),
            left_out=data.left_out() if DATA in self._query.classes else (),
            problem=self._problem,
            unmeasured=tuple(self._unmeasured),
            left_behind=tuple(self._left),
            notes=tuple(self._notes),
            neither=tuple(self._neither),
        )

    def _through(self, phase: Phase) -> None:
        with_store = False
        if phase is Phase.INLINE:
            self._notes.append(
                "this is BaseXCom itself, so nothing can differ from it; what is planned is probed with "
                "--phase offload --path URL"
            )
        elif phase is Phase.MISCONFIGURED:
            self._notes.append(f"misconfigured: {phase_of(self._subject.target).reason}")
            if self._path == _NO_PATH:
                self._reference()
            self._notes.append(f"{_NOTHING_STORED}there is none that these settings can use")
        elif not self._query.store:
            self._notes.append(f"{_NOTHING_STORED}--no-store; no text under the base path was read either")
        else:
            with_store = self._store_is_ready()
        self._all(INLINE, with_store)
        if with_store:
            self._all(OFFLOADED, with_store)

    def _reference(self) -> None:
        """What a reader gets of a reference under whatever path there was: no path resolves, so it cannot be followed."""
        reference = f"{_NO_PATH}/{OWNER.dag_id}/{OWNER.run_id}/{OWNER.task_id}/{uuid4()}"
        stored: Mapping[str, Any] = {"json": reference}
        if self._subject.line is Line.AF2:
            stored = {"base64": base64.b64encode(json.dumps(reference).encode()).decode("ascii")}
        form = {"value_id": ValueForm.LARGE.value, "stored": stored}
        answer = self._subject.under_target(requests.ROUNDTRIP_READ, stored=[form], base_path=_NO_PATH)
        (read,) = ReadAnswer.from_json(answer).read
        if read.error is not None:
            got = f"{read.error['type']}: {read.error['message']}"
            sentence = f"a reference raises {got}"
        else:
            got = f"{read.type} {read.excerpt}"
            sentence = "a reference comes back as its path string" if read.got_reference else f"a reference gives {got}"
        self._context.emit(
            ProbeDifference(
                CONTROL_FLOW, INLINE, "reference", reference, "what its object holds", got, sentence, "F6",
                "no base path, so no reference is followed",
                "F6: set AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH, the path that the references are under",
            )
        )  # fmt: skip

    def _store_is_ready(self) -> bool:
        """Whether values go into the store: only where its path's connection resolves, and all works that they need."""
        if self._path == _NO_PATH:
            self._unmeasured[f"{_NOTHING_STORED}{path_problem(self._subject.target.path)}"] = None
            return False
        if ":" in (connection_id(self._path) or ""):
            # Airflow would look for a connection of that name, and write the password into its log.
            self._unmeasured[f"{_NOTHING_STORED}its path carries a password"] = None
            return False
        self._context.progress("whether the store takes an object")
        readiness = Readiness(self._path)
        try:
            problem = within(self._query.timeout_s, readiness.look, self._context.check)
        except AirflowUnusable as error:
            problem = error.message
        except TimedOut:
            problem = f"no answer within {self._query.timeout_s:g} s"
        self._left += [readiness.left_behind] if readiness.left_behind else []
        if problem:
            self._unmeasured[f"{_NOTHING_STORED}{problem}"] = None
        self._at_once = values_at_once(self._query.timeout_s, readiness.slowest_ms)
        return not problem

    def _all(self, way: str, with_store: bool) -> None:
        for corpus in self._query.classes:
            values = control_flow.corpus(self._path, new_folder()) if corpus == CONTROL_FLOW else data.corpus()
            ids = [value.id for value in values if with_store or not value.asks_store]
            del values  # some are large, and these are not those that are put through
            for start in range(0, len(ids), self._at_once):
                self._context.progress(f"{corpus.replace('_', ' ')}, {way}", start, len(ids))
                found = self._asked(way, with_store, ids[start : start + self._at_once])
                self._counts[f"{corpus}/{way}"] = self._counts.get(f"{corpus}/{way}", 0) + found.values
                self._only_backend.update(dict.fromkeys(found.only_backend))
                self._neither.update(dict.fromkeys(found.neither))
                self._left += found.left_behind
                if found.unmeasured:
                    self._unmeasured[found.unmeasured] = None
                for each in found.differences:
                    self._context.emit(told(corpus, way, each))

    def _asked(self, way: str, with_store: bool, ids: Sequence[str]) -> ControlFlowAnswer:
        threshold, folder = self._subject.target.threshold, new_folder()
        try:
            answer = self._subject.under_target(
                requests.CONTROL_FLOW,
                base_path=self._path,
                threshold=-1 if threshold is None else threshold,
                offloaded=way == OFFLOADED,
                with_store=with_store,
                folder=folder,
                values=list(ids),
            )
        except (TimedOut, Unusable):
            if with_store:
                self._left += self._removed(folder)
            raise
        return ControlFlowAnswer.from_json(answer)

    def _removed(self, folder: str) -> Sequence[str]:
        """What may be left of a question that was not answered, after it was removed from here."""
        uri = f"{self._path.rstrip('/')}/{folder}"
        self._context.progress(f"removing {uri}")
        try:
            left: Sequence[str] = within(min(self._query.timeout_s, _REMOVAL_S), lambda: remove(self._path, folder))
        except Exception as error:
            return (f"{uri} ({message_of(error)})",)
        return left
