"""What the desk asks and what the agent answers: the names of the requests, their items and their answers.

A request has a name and a mapping of parameters; its result is a stream of *items* (for some requests) and one
*answer*. Both are plain JSON on the wire; the dataclasses here are their shape, shared by both ends.

=================  =====================  ==========================  =============================
request            items                  answer                      parameters
=================  =====================  ==========================  =============================
identify           --                     :class:`Identity`           --
resolve            --                     :class:`Resolution`         --
references         :class:`ReferenceItem` :class:`ReferencesAnswer`   dag_id, run_id, unfinished_only, base_path
xcoms              :class:`XcomItem`      :class:`XcomsAnswer`        dag_id, run_id, values_below
objects            :class:`ObjectItem`    :class:`ObjectsAnswer`      base_path, under
clear              --                     :class:`ClearAnswer`        dag_id, run_id, tasks, spare_running, kill
roundtrip_write    --                     :class:`WriteAnswer`        values, base_path, threshold
roundtrip_read     --                     :class:`ReadAnswer`         stored, base_path, threshold
preflight          Check                  PreflightAnswer             those of PreflightOptions (model/preflight.py)
preflight_list     --                     CatalogueAnswer             --
control_flow       --                     :class:`ControlFlowAnswer`  base_path, threshold, offloaded, with_store, folder, values
offload_canary     --                     :class:`CanaryAnswer`       base_path, threshold, run_id
trigger            --                     :class:`TriggerAnswer`      dag_id, run_id, conf
task_run           --                     :class:`TaskRunAnswer`      dag_id, run_id, task_id, log
run_state          --                     RunStateAnswer              dag_id, run_id (model/verification.py)
reference_objects  RefItem                RefsAnswer                  those of RefsQuery (model/refs.py)
at_risk            AtRiskRun              AtRiskAnswer                those of AtRiskQuery (model/refs.py)
pull               PulledItem             PulledAnswer                those of PullQuery (model/pull.py)
probe              Difference             ProbeAnswer                 those of ProbeQuery (model/probe.py)
run_review         Check                  RunReviewAnswer             those of RunReviewQuery (model/verification.py)
status             --                     StatusAnswer                those of StatusQuery (model/status.py)
barrier            --                     BarrierAnswer               those of BarrierQuery (model/barrier_evidence.py)
pauses             --                     PausesAnswer                those of PausesQuery (model/pauses.py)
suspects           SuspectRun             SuspectsAnswer              those of SuspectsQuery (model/retrigger.py)
step_facts         --                     StepFactsAnswer             those of StepFactsQuery (model/plan.py)
rehydrate          Row                    RehydrateAnswer             those of RehydrateQuery (model/rehydrate.py)
size               --                     SizeAnswer                  those of SizeQuery (model/size.py)
=================  =====================  ==========================  =============================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional, TypeVar

#: Raised when frames or the meaning of a request change; both ends come from one xcomctl, so this only guards
#: against a stray agent that answers where ours should.
PROTOCOL = 1

IDENTIFY = "identify"
RESOLVE = "resolve"
REFERENCES = "references"
XCOMS = "xcoms"
OBJECTS = "objects"
CLEAR = "clear"
ROUNDTRIP_WRITE = "roundtrip_write"
ROUNDTRIP_READ = "roundtrip_read"
PREFLIGHT = "preflight"
PREFLIGHT_LIST = "preflight_list"
CONTROL_FLOW = "control_flow"
OFFLOAD_CANARY = "offload_canary"
TRIGGER = "trigger"
TASK_RUN = "task_run"
REFERENCE_OBJECTS = "reference_objects"
AT_RISK = "at_risk"
PULL = "pull"
PROBE = "probe"
RUN_REVIEW = "run_review"
RUN_STATE = "run_state"
STATUS = "status"
BARRIER = "barrier"
PAUSES = "pauses"
SUSPECTS = "suspects"
STEP_FACTS = "step_facts"
REHYDRATE = "rehydrate"
SIZE = "size"

#: Every request that an agent of this version knows.
REQUESTS = (
    IDENTIFY, RESOLVE, REFERENCES, XCOMS, OBJECTS, CLEAR, ROUNDTRIP_WRITE, ROUNDTRIP_READ, PREFLIGHT, PREFLIGHT_LIST,
    CONTROL_FLOW, OFFLOAD_CANARY, TRIGGER, TASK_RUN, REFERENCE_OBJECTS, AT_RISK, PULL, PROBE, RUN_REVIEW, RUN_STATE,
    STATUS, BARRIER, PAUSES, SUSPECTS, STEP_FACTS, REHYDRATE, SIZE,
)  # fmt: skip

#: Why a request failed, the ``reason`` field of an error frame.
USER_ERROR = "user"
USAGE = "usage"
UNEXPECTED = "unexpected"
UNKNOWN_REQUEST = "unknown-request"
NO_AIRFLOW = "no-airflow"
AIRFLOW_TOO_OLD = "airflow-too-old"
STOPPED = "stopped"
#: It is not done there, whatever is asked.
REFUSED = "refused"
#: The context has no metadata database: another one may.
NO_DATABASE = "no-database"

_R = TypeVar("_R", bound="Record")


class Record:
    """A dataclass that travels as JSON. Fields that the reader does not know are ignored."""

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values; nested records become objects, tuples become arrays."""
        return {spec.name: _plain(getattr(self, spec.name)) for spec in dataclasses.fields(self)}  # type: ignore[arg-type]

    def given(self) -> dict[str, Any]:
        """The same without what is ``None``, which is what nobody said."""
        return {name: value for name, value in self.to_json().items() if value is not None}

    @classmethod
    def from_json(cls: type[_R], record: Mapping[str, Any]) -> _R:
        """The inverse of :meth:`to_json`. Raises ``ValueError`` naming what is missing."""
        known: dict[str, Any] = {}
        for spec in dataclasses.fields(cls):  # type: ignore[arg-type]
            if spec.name in record:
                known[spec.name] = cls._read_field(spec.name, record[spec.name])
            elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
                raise ValueError(f"not a {cls.__name__}: {spec.name!r} is missing")
        return cls(**known)

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        """How one field is read; arrays become tuples, records with nested records extend this."""
        return tuple(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return value


@dataclass(frozen=True)
class Identity(Record):
    """Who answers: the interpreter, its Airflow, its metadata database.

    ``line`` is ``"2"`` or ``"3"``. ``dialect`` is SQLAlchemy's name of the database (``postgresql``, ``sqlite``,
    ``mysql``), ``None`` when the context has none. ``schema_revision`` is Alembic's; ``schema_known`` tells whether
    xcomctl was tested with it.
    """

    python: str
    executable: str
    airflow: str
    line: str
    providers: Mapping[str, str]
    sqlalchemy: str
    dialect: Optional[str]
    schema_revision: Optional[str]
    schema_known: bool
    hostname: str
    pid: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResolvedSetting(Record):
    """What Airflow's configuration resolves one setting to.

    ``value`` is the string (or, for the threshold, the number) that the backend would use; ``None`` when nothing is
    set and there is no default. When reading it raises, ``error`` says so in Airflow's own words and ``value`` is the
    text that was found, if any. ``source`` is the name of the environment variable, ``airflow.cfg``,
    ``airflow default`` or ``provider default``; ``None`` when nothing sets it.
    """

    value: Any
    source: Optional[str]
    error: Optional[str] = None


@dataclass(frozen=True)
class Resolution(Record):
    """What a context resolves: the four settings, the class, and the phase that they amount to.

    ``class_path`` is ``module.QualName`` of the class that Airflow's import resolved, ``None`` with
    ``class_error`` when that import fails. ``phase`` is a :class:`xcomctl.model.phases.Phase` value, ``reason`` a
    sentence for it. ``near_misses`` are sentences about names that look like one of the settings and are not read (F13).
    """

    backend: ResolvedSetting
    path: ResolvedSetting
    threshold: ResolvedSetting
    compression: ResolvedSetting
    class_path: Optional[str]
    class_error: Optional[str]
    phase: str
    reason: str
    near_misses: tuple[str, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name in ("backend", "path", "threshold", "compression"):
            return ResolvedSetting.from_json(value)
        return super()._read_field(name, value)


#: The ``kind`` of a :class:`ReferenceItem`.
REFERENCE = "reference"
FOREIGN = "foreign"
ALIAS = "alias"


@dataclass(frozen=True)
class ReferenceItem(Record):
    """One stored URL-like string: a reference, an alias or a foreign one, with the state of its run and task.

    Times are ISO 8601 in UTC. ``map_index`` is -1 for an unmapped task.
    """

    kind: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    uri: str
    timestamp: Optional[str]
    run_state: Optional[str]
    run_start: Optional[str]
    run_end: Optional[str]
    ti_state: Optional[str]


@dataclass(frozen=True)
class ReferencesAnswer(Record):
    """Totals of a scan. ``runs`` counts the runs that hold a reference; ``pickled`` rows could not be looked into."""

    references: int
    foreign: int
    aliases: int
    runs: int
    pickled: int = 0
    base_path: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class XcomItem(Record):
    """One XCom of a run.

    ``stored_bytes`` is exact on 2.x (the bytes in the column); on 3.x it is the length in UTF-8 of the JSON text
    that the database gives for the column. ``reference`` is the URI when the row is a reference or an alias,
    ``value`` the decoded JSON when it is smaller than what was asked for, ``has_value`` tells the two meanings of
    ``null`` apart. ``pickled`` rows (2.x) have neither.
    """

    task_id: str
    map_index: int
    key: str
    stored_bytes: int
    reference: Optional[str]
    value: Any
    timestamp: Optional[str]
    has_value: bool = False
    pickled: bool = False


@dataclass(frozen=True)
class XcomsAnswer(Record):
    """Totals over the XComs of one run."""

    xcoms: int
    stored_bytes: int
    references: int
    pickled: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObjectItem(Record):
    """One object under the base path: where, how large, and when it was last written (ISO 8601, UTC)."""

    uri: str
    size: int
    modified: Optional[str]


@dataclass(frozen=True)
class ObjectsAnswer(Record):
    """Totals of a listing. ``requests`` counts the listing's calls to the store, ``None`` where that is not known."""

    objects: int
    bytes: int
    base_path: str = ""
    requests: Optional[int] = None


@dataclass(frozen=True)
class ClearedInstance(Record):
    """One task instance that was cleared, and the state that it was in."""

    task_id: str
    map_index: int
    state_before: Optional[str]


@dataclass(frozen=True)
class ClearAnswer(Record):
    """What was cleared, and the state of the run afterwards.

    ``running`` names what runs and was to be spared: then nothing was cleared.
    """

    cleared: tuple[ClearedInstance, ...]
    run_state: Optional[str]
    warnings: tuple[str, ...] = ()
    running: tuple[str, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "cleared":
            return tuple(ClearedInstance.from_json(entry) for entry in value)
        return super()._read_field(name, value)


@dataclass(frozen=True)
class Written(Record):
    """What the real class's ``serialize_value`` made of one value of the corpus.

    ``value_id`` is a :class:`xcomctl.model.transitions.ValueForm`, ``kind`` a :class:`xcomctl.model.transitions.Stored`.
    ``stored`` is the stored form as the column holds it, encoded for the wire: ``{"base64": …}`` for 2.x's bytes,
    ``{"json": …}`` for 3.x's JSON value. ``error`` is ``{"type": …, "message": …}`` when it raised; then ``stored``
    is ``None``. ``reference`` is the URI when the value went into the store, the path when it went astray.
    """

    value_id: str
    kind: str
    stored: Optional[Mapping[str, Any]]
    reference: Optional[str] = None
    error: Optional[Mapping[str, str]] = None


@dataclass(frozen=True)
class WriteAnswer(Record):
    """The outcome for every value that was asked for, in that order."""

    written: tuple[Written, ...]

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        return tuple(Written.from_json(entry) for entry in value)


@dataclass(frozen=True)
class Read(Record):
    """What the real class's ``deserialize_value`` made of one stored form.

    ``outcome`` is the :class:`xcomctl.model.transitions.Outcome` that was observed, ``None`` when what came back is
    none of those that the form can have. ``equal`` compares with the value of that id, type by type at every depth;
    ``got_reference`` is true when the reader got the stored path itself, as a string. ``digest`` is canonical
    (see :mod:`xcomctl.roundtrip.describe`).
    """

    value_id: str
    outcome: Optional[str]
    type: Optional[str]
    digest: Optional[str]
    excerpt: Optional[str]
    equal: bool
    got_reference: bool
    error: Optional[Mapping[str, str]] = None


@dataclass(frozen=True)
class ReadAnswer(Record):
    """The outcome for every stored form that was sent, in that order."""

    read: tuple[Read, ...]

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        return tuple(Read.from_json(entry) for entry in value)


@dataclass(frozen=True)
class Difference(Record):
    """One value that does not come back from the backend as it does from BaseXCom.

    ``value_id`` names it, ``excerpt`` shows it. ``got`` is what came instead (or the error), ``base`` what BaseXCom
    gives. ``defect`` is the id of a known upstream defect, ``None`` for one that nobody has named, ``kind`` tells its
    forms apart where it has several; ``sentence`` says what happens.
    """

    value_id: str
    excerpt: str
    base: str
    got: str
    sentence: str
    defect: Optional[str] = None
    kind: str = ""


@dataclass(frozen=True)
class ControlFlowAnswer(Record):
    """How many values went through, and those that came back otherwise.

    ``only_backend`` are the ids of values that BaseXCom cannot hand over and the backend can, ``neither`` those that
    neither can: no difference that a flip would make to anything that works. ``unmeasured`` says why nothing went through. ``left_behind`` are objects that
    could not be removed, or the reason why that is not known.
    """

    values: int
    differences: tuple[Difference, ...]
    only_backend: tuple[str, ...] = ()
    unmeasured: str = ""
    left_behind: tuple[str, ...] = ()
    neither: tuple[str, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "differences":
            return tuple(Difference.from_json(entry) for entry in value)
        return super()._read_field(name, value)


@dataclass(frozen=True)
class CanaryAnswer(Record):
    """A value above the threshold through the real backend: what happened to it.

    ``reference`` is the URI that was stored, ``None`` when the value stayed inline. ``problem`` is empty when it was
    offloaded, came back equal and was purged; else it says which of these did not happen, with the store's own message.
    ``step`` is that step (``write``, ``read``, ``purge``). ``steps_ms`` are the milliseconds of each step that was done.
    ``left_behind`` is the URI of an object that could not be removed.
    """

    reference: Optional[str]
    value_bytes: int
    object_bytes: Optional[int]
    steps_ms: Mapping[str, float]
    problem: str = ""
    step: str = ""
    left_behind: Optional[str] = None


@dataclass(frozen=True)
class TriggerAnswer(Record):
    """Whether a run was started: only of a DAG that Airflow knows and that is not paused."""

    known: bool
    paused: bool


@dataclass(frozen=True)
class TaskRunAnswer(Record):
    """The states of a run and of one task in it, ``None`` where there is none yet; its log if that was asked for."""

    run_state: Optional[str]
    task_state: Optional[str]
    log: str = ""
