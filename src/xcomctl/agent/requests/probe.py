"""probe: both corpora through BaseXCom and through the target's class, from the database and from the store."""

from __future__ import annotations

from collections.abc import Sequence

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.preflight import Asker
from xcomctl.airflow_compat import loading
from xcomctl.airflow_compat.connections import connection_id
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks.interface import Subject, TimedOut, Unusable
from xcomctl.checks.runner import within
from xcomctl.model import requests
from xcomctl.model.phases import Phase, path_problem, phase_of
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.probe import CONTROL_FLOW, DATA, INLINE, OFFLOADED, ProbeAnswer, ProbeQuery
from xcomctl.model.requests import ControlFlowAnswer
from xcomctl.roundtrip import control_flow, data
from xcomctl.roundtrip.folder import new_folder
from xcomctl.roundtrip.told import told
from xcomctl.store.lookup import Lookup

#: Values in one question: a stop is noticed between two of them.
AT_ONCE = 16
#: Where no path can be one, texts "under the base path" are made for this.
_NO_PATH = "s3://xcomctl_probe@probe/xcom"


def run(context: RequestContext) -> ProbeAnswer:
    """Answer the request."""
    query = ProbeQuery.from_json(context.params)
    options = PreflightOptions(
        expect_path=query.path, expect_threshold=query.threshold, phase=query.phase, timeout_s=query.timeout_s
    )
    asker = Asker(options, context.check)
    subject = Subject(options, asker.ask, context.progress, context.check)
    try:
        context.progress("importing Airflow")
        asker.prepare(subject, True)
        return _Probe(context, query, subject).answer()
    finally:
        asker.close()


class _Probe:
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
        path = subject.target.path
        self._path: str = path if path is not None and path_problem(path) is None else _NO_PATH

    def answer(self) -> ProbeAnswer:
        """Put everything through."""
        subject, query = self._subject, self._query
        phase = subject.target_phase
        if phase is Phase.MISCONFIGURED:
            self._problem = f"{phase_of(subject.target).reason}: whoever reads a reference gets its path string"
        with_store = query.store and self._store_is_asked(phase)
        try:
            resolved = subject.under_target(requests.RESOLVE)
            class_error = str(resolved.get("class_error") or "")
            self._problem = class_error or self._problem
            if not class_error:
                self._all(INLINE, with_store)
                if with_store:
                    self._all(OFFLOADED, with_store)
        except (Unusable, AirflowUnusable) as error:
            self._problem = error.message
        except TimedOut:
            self._unmeasured[f"no answer within {query.timeout_s:g} s: is the store reachable from this context?"] = (
                None
            )
        return ProbeAnswer(
            airflow=loading.version(),
            common_io=loading.providers().get("common.io", ""),
            phase=phase_of(subject.resolved).phase.value,
            target_phase=phase.value,
            path=subject.target.path or "",
            overridden=tuple(sorted(subject.overrides)),
            counts=self._counts,
            only_backend=tuple(self._only_backend),
            left_out=data.left_out() if DATA in query.classes else (),
            problem=self._problem,
            unmeasured=tuple(self._unmeasured),
            left_behind=tuple(self._left),
            notes=tuple(self._notes),
            neither=tuple(self._neither),
        )

    def _store_is_asked(self, phase: Phase) -> bool:
        """Whether values go into the store: only where the target reads from it, and its connection resolves."""
        if phase is Phase.INLINE:
            self._notes.append(
                "this is BaseXCom itself, so nothing can differ from it; what is planned is probed with "
                "--planned --phase offload --path URL"
            )
            return False
        if phase not in (Phase.DUAL_READ, Phase.OFFLOAD, Phase.UNKNOWN) or self._path == _NO_PATH:
            self._unmeasured[f"nothing was put into the store: {path_problem(self._subject.target.path)}"] = None
            return False
        if ":" in (connection_id(self._path) or ""):
            # Airflow would look for a connection of that name, and write the password into its log.
            self._unmeasured["nothing was put into the store: its path carries a password"] = None
            return False
        try:
            # A store that does not answer says nothing about values. Nothing has this name, and that is an answer.
            within(self._query.timeout_s, lambda: Lookup(self._path).info(f"{new_folder()}/none"), self._context.check)
        except AirflowUnusable as error:
            self._unmeasured[f"nothing was put into the store: {error.message}"] = None
            return False
        except TimedOut:
            self._unmeasured[f"nothing was put into the store: no answer within {self._query.timeout_s:g} s"] = None
            return False
        return True

    def _all(self, way: str, with_store: bool) -> None:
        for corpus in self._query.classes:
            values = control_flow.corpus(self._path, new_folder()) if corpus == CONTROL_FLOW else data.corpus()
            ids = [value.id for value in values if with_store or not value.asks_store]
            for start in range(0, len(ids), AT_ONCE):
                self._context.progress(f"{corpus.replace('_', ' ')}, {way}", start, len(ids))
                found = self._asked(way, with_store, ids[start : start + AT_ONCE])
                self._counts[f"{corpus}/{way}"] = self._counts.get(f"{corpus}/{way}", 0) + found.values
                self._only_backend.update(dict.fromkeys(found.only_backend))
                self._neither.update(dict.fromkeys(found.neither))
                self._left += found.left_behind
                if found.unmeasured:
                    self._unmeasured[found.unmeasured] = None
                for each in found.differences:
                    self._context.emit(told(corpus, way, each))

    def _asked(self, way: str, with_store: bool, ids: Sequence[str]) -> ControlFlowAnswer:
        threshold = self._subject.target.threshold
        return ControlFlowAnswer.from_json(
            self._subject.under_target(
                requests.CONTROL_FLOW,
                base_path=self._path,
                threshold=-1 if threshold is None else threshold,
                offloaded=way == OFFLOADED,
                with_store=with_store,
                folder=new_folder(),
                values=list(ids),
            )
        )
