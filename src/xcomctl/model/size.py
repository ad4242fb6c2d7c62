"""How large the XComs are, what a threshold would do, and which one to choose: what is asked, what comes of it.

Sizes are in bytes and as the object-storage backend compares them: the length of ``json.dumps(value, cls=XComEncoder)``,
before compression. On 2.x the column holds exactly that. On 3.x it holds JSON that the database writes in its own way, so
its length is near the backend's and not always the same (:class:`Accuracy` says by how much).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional, TypeVar

from xcomctl.model.requests import Record
from xcomctl.model.size_bounds import DEFAULT_QUANTILE, DEFAULT_TIMEOUT_S
from xcomctl.model.verdicts import Check

SCHEMA = "xcomctl.size/1"
#: The journal's action.
ACTION = "size"

_R = TypeVar("_R", bound=Record)


@dataclass(frozen=True)
class SizeQuery(Record):
    """What to measure, and how.

    ``since`` (ISO 8601) leaves out what was pushed before, ``dag_id`` other DAGs, ``states`` runs in other states.
    ``thresholds`` are looked at one by one, the values near them exactly (3.x; those of suggestions too, where there are few rows). ``sample`` is the share of the table to read, in
    (0, 1), ``None`` for all of it. ``timeout_s`` ends each statement. ``database_url`` is asked instead of the context's
    own database: a replica of it. ``store``: look at the objects behind references, under ``base_path``, or what the
    context resolves, or ``default_base_path``; without one there are none.
    """

    since: Optional[str] = None
    dag_id: Optional[str] = None
    states: tuple[str, ...] = ()
    quantile: float = DEFAULT_QUANTILE
    thresholds: tuple[int, ...] = ()
    sample: Optional[float] = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    database_url: Optional[str] = None
    store: bool = True
    base_path: Optional[str] = None
    default_base_path: Optional[str] = None


@dataclass(frozen=True)
class Interval(Record):
    """A 95 % confidence interval of a figure from a sample. ``high`` is ``None`` where the sample cannot bound it."""

    low: float
    high: Optional[float]


@dataclass(frozen=True)
class Quantile(Record):
    """The smallest size that at least this share of the values do not exceed (``q`` 0.999: p99.9)."""

    q: float
    bytes: int
    interval: Optional[Interval] = None

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        return _maybe(Interval, value) if name == "interval" else super()._read_field(name, value)


@dataclass(frozen=True)
class Bin(Record):
    """Values of ``low`` bytes and more, below ``high``: how many, and their bytes."""

    low: int
    high: int
    values: int
    bytes: int


@dataclass(frozen=True)
class Place(Record):
    """The values of one DAG, task and key. ``above`` and ``above_bytes`` are those that reach the suggested threshold.

    ``estimated``: what is small of it was counted in a sample.
    """

    dag_id: str
    task_id: str
    key: str
    values: int
    bytes: int
    largest: int
    above: int
    above_bytes: int
    estimated: bool = False


@dataclass(frozen=True)
class Window(Record):
    """What was pushed in the last ``days`` and is still there; divided by ``days``, the growth per day."""

    days: float
    values: int
    bytes: int


@dataclass(frozen=True)
class Effect(Record):
    """What a threshold does: ``values`` of at least that many bytes, and their ``bytes``, would leave the database.

    ``exact``: every value was compared as the backend compares it; where that is not so, ``values`` go by the database's
    own figures. ``measured`` values near the threshold were fetched and measured (3.x, where it was asked for), and of
    ``uncertain`` ones, which are not in ``values``, that could not tell. ``share`` and ``bytes_share`` are of all values. ``offloaded`` of them are objects now.
    ``objects_per_day`` and ``bytes_per_day`` go by the last ``days``; ``requests_per_day`` are those to write these objects
    and to read each once. ``below_floor``: too low to use. ``interval`` is that of ``values`` in a sample.
    """

    threshold: int
    values: int
    bytes: int
    uncertain: int
    measured: int
    share: float
    bytes_share: float
    offloaded: int
    days: float
    objects_per_day: float
    bytes_per_day: float
    requests_per_day: float
    exact: bool
    below_floor: bool = False
    interval: Optional[Interval] = None

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        return _maybe(Interval, value) if name == "interval" else super()._read_field(name, value)


#: The names of suggestions, from the one that moves least.
NEAR_INERT, MODERATE, AGGRESSIVE = "near-inert", "moderate", "aggressive"


@dataclass(frozen=True)
class Suggestion(Record):
    """A threshold, and in one line why that one."""

    name: str
    threshold: int
    reason: str
    effect: Effect

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        return Effect.from_json(value) if name == "effect" else super()._read_field(name, value)


@dataclass(frozen=True)
class Floor(Record):
    """No threshold may be lower (F36): ``bytes``, since the largest ``skipmixin_key`` has ``skipmixin_bytes`` (0: none)."""

    bytes: int
    skipmixin_bytes: int
    skipmixin_of: str = ""


@dataclass(frozen=True)
class Accuracy(Record):
    """How far the database's figures may be off (3.x), and how far they were on ``sampled`` values.

    ``exact`` of these had just the size that the database says. ``smallest`` and ``largest`` are the backend's size divided
    by the database's, ``total`` that of their sums; ``unread`` could not be decoded. ``bounds`` are sentences.
    """

    sampled: int
    exact: int
    smallest: float
    largest: float
    total: float
    unread: int
    bounds: tuple[str, ...]


@dataclass(frozen=True)
class Offloaded(Record):
    """References under the base path and their objects. ``compressed`` ones say nothing of their value's size.

    ``bytes`` are stored; ``largest`` is the largest object. ``store_error`` says why ``unasked`` sizes are not known.
    """

    references: int
    bytes: int
    largest: int
    compressed: int
    dangling: int
    unasked: int
    store_error: str = ""


@dataclass(frozen=True)
class Sampled(Record):
    """How a sample was drawn: of which share, in which way, how many rows of the table it held, in how many groups."""

    share: float
    method: str
    rows: int
    groups: int
    values: Interval
    bytes: Interval

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        return Interval.from_json(value) if name in ("values", "bytes") else super()._read_field(name, value)


@dataclass(frozen=True)
class SizeAnswer(Record):
    """What one context measured.

    ``values`` and ``bytes`` are of every value whose size is known: ``inline`` ones and ``offloaded.references`` with an
    uncompressed object. ``smallest`` and ``largest`` are ``None`` where there is no value. ``nulls`` are rows without a
    value, ``pickled`` rows (2.x, with ``pickled_bytes``) have no size that the backend would compare.
    ``table_bytes`` (with its indexes and TOAST) and ``database_bytes`` are on disk, ``None`` where the database does not tell.
    ``exact``: sizes are the backend's own (2.x). ``base_path`` is the one that references
    were looked for under, ``None`` for none; ``threshold`` what the context offloads from, ``None`` where it does not.
    ``statements`` were run, ``seconds`` spent in the database.
    """

    at: str
    airflow: str
    line: str
    dialect: str
    phase: str
    base_path: Optional[str]
    threshold: Optional[int]
    exact: bool
    values: int
    bytes: int
    inline: int
    inline_bytes: int
    smallest: Optional[int]
    largest: Optional[int]
    nulls: int
    pickled: int
    pickled_bytes: int
    table_bytes: Optional[int]
    database_bytes: Optional[int]
    floor: Floor
    quantiles: tuple[Quantile, ...] = ()
    histogram: tuple[Bin, ...] = ()
    curve: tuple[Bin, ...] = ()
    top_bytes: tuple[Place, ...] = ()
    top_above: tuple[Place, ...] = ()
    windows: tuple[Window, ...] = ()
    thresholds: tuple[Effect, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    suggested: Optional[int] = None
    accuracy: Optional[Accuracy] = None
    offloaded: Optional[Offloaded] = None
    sampled: Optional[Sampled] = None
    statements: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name in _NESTED:
            kind = _NESTED[name]
            return tuple(kind.from_json(each) for each in value) if isinstance(value, list) else _maybe(kind, value)
        return super()._read_field(name, value)


_NESTED: Mapping[str, Any] = {
    "floor": Floor,
    "quantiles": Quantile,
    "histogram": Bin,
    "curve": Bin,
    "top_bytes": Place,
    "top_above": Place,
    "windows": Window,
    "thresholds": Effect,
    "suggestions": Suggestion,
    "accuracy": Accuracy,
    "offloaded": Offloaded,
    "sampled": Sampled,
}


@dataclass(frozen=True)
class SizeReport(Record):
    """The answer, in which context, and what could not make the trip either way, as pre-flight's checks found it.

    ``checks`` are these checks, each with ``count`` in its data; empty with ``checks_at`` ``None`` where nobody looked.
    ``checks_from`` says where they are from: this run, or a pre-flight in the journal. ``query`` is the
    :class:`SizeQuery` without secrets, ``deployment`` a name, if there is one.
    """

    at: str
    verdict: str
    exit_code: int
    context: str
    deployment: Optional[str]
    query: Mapping[str, Any]
    answer: SizeAnswer
    checks: tuple[Check, ...] = ()
    checks_at: Optional[str] = None
    checks_from: str = ""
    next_steps: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values, with its schema."""
        return {"schema": SCHEMA, **super().to_json(), "checks": [check.to_json() for check in self.checks]}

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "answer":
            return SizeAnswer.from_json(value)
        if name == "checks":
            return tuple(Check.from_json(each) for each in value)
        return super()._read_field(name, value)


def _maybe(kind: type[_R], value: Any) -> Optional[_R]:
    return None if value is None else kind.from_json(value)
