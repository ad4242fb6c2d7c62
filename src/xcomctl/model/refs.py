"""References joined with their objects, and the runs at risk: what is asked of an agent, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from xcomctl.model.requests import Record

SCHEMA = "xcomctl.refs/1"
AT_RISK_SCHEMA = "xcomctl.refs-at-risk/1"
#: The journal's action for a scan of everything.
SCAN = "scan"

#: Under the base path by its letters, but with a name such as ``..`` in it: never opened.
OUTSIDE = "outside"
#: An object that no row names.
UNREFERENCED = "unreferenced"

#: What is known of a reference's object.
PRESENT, DANGLING, NOT_ASKED = "present", "dangling", "not asked"

#: An object may be so old, in seconds, before its row is there: the backend writes the object first (F30).
YOUNG_S = 3600.0


@dataclass(frozen=True)
class RefsQuery(Record):
    """What to look at. Everything is optional.

    ``base_path`` is what the context resolves unless given. ``dag_id`` and ``run_id`` narrow rows and objects,
    ``unfinished_only`` the rows. ``objects``: emit objects, with the row that names each, instead of rows. ``archives``:
    look into the tables of ``airflow db clean`` and of the upgrade to 3.x too. ``store``: ask the store. ``only`` are
    the kinds and states to emit; empty for all.
    """

    base_path: Optional[str] = None
    dag_id: Optional[str] = None
    run_id: Optional[str] = None
    unfinished_only: bool = False
    objects: bool = False
    archives: bool = True
    store: bool = True
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefItem(Record):
    """A row that holds a URL, with its object; or an object that no row names (then the row's fields are ``None``).

    ``kind`` is ``reference``, ``alias``, ``foreign``, ``outside`` or ``unreferenced``. ``source`` is the table. ``uri``
    is the string as stored. ``state`` tells of the object: ``present``, ``dangling`` (missing, and the row, read again,
    is unchanged) or ``not asked``. ``size`` is in bytes, ``modified`` and ``timestamp`` are ISO 8601 in UTC.
    ``written_under`` is the base path under which the backend wrote a foreign one, ``None`` for any other URL.
    """

    kind: str
    uri: str
    state: str
    size: Optional[int] = None
    modified: Optional[str] = None
    source: Optional[str] = None
    dag_id: Optional[str] = None
    run_id: Optional[str] = None
    task_id: Optional[str] = None
    map_index: int = -1
    key: Optional[str] = None
    timestamp: Optional[str] = None
    run_state: Optional[str] = None
    ti_state: Optional[str] = None
    written_under: Optional[str] = None


@dataclass(frozen=True)
class RefTotals(Record):
    """What a whole scan came to.

    ``references`` are those of ``xcom``, ``archived`` those of its archives, ``aliases``, ``foreign``, ``outside`` and
    ``dangling`` those of all tables; ``by_dag`` counts the references of each DAG. ``urls`` are foreign URLs that no backend wrote: plain values. ``foreign_bases`` are
    some of the base paths that foreign references were written under. ``pickled`` rows could not be looked into.
    ``unasked`` references are known by no object because the store did not answer, or not in the order of keys, with the
    reason in ``store_error``; of the latter some were emitted as ``dangling`` before that showed.
    ``objects`` and ``object_bytes`` are what was listed, ``unreferenced`` and ``unreferenced_bytes`` what of that no row
    names (``young`` of these may get theirs yet), ``state_objects`` what belongs to the state store on the same prefix.
    ``None``: not looked for. ``list_requests`` and ``head_requests`` count what was asked of the store.
    """

    base_path: str
    references: int = 0
    reference_bytes: int = 0
    unfinished: int = 0
    archived: int = 0
    aliases: int = 0
    foreign: int = 0
    foreign_bases: tuple[str, ...] = ()
    urls: int = 0
    outside: int = 0
    dangling: int = 0
    unasked: int = 0
    pickled: int = 0
    tables: tuple[str, ...] = ()
    by_dag: tuple[tuple[str, int], ...] = ()
    objects: Optional[int] = None
    object_bytes: Optional[int] = None
    unreferenced: Optional[int] = None
    unreferenced_bytes: Optional[int] = None
    young: int = 0
    state_objects: int = 0
    list_requests: int = 0
    head_requests: int = 0
    store_error: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class AtRiskQuery(Record):
    """Whose runs hold references. ``unfinished_only`` leaves the finished ones out."""

    base_path: Optional[str] = None
    dag_id: Optional[str] = None
    unfinished_only: bool = False


@dataclass(frozen=True)
class AtRiskRun(Record):
    """A run whose readers would get path strings if the backend were reverted to ``inline`` now.

    ``references`` and ``aliases`` are what it holds. ``waiting`` are its task instances that may still read, by state.
    """

    dag_id: str
    run_id: str
    state: Optional[str]
    started: Optional[str]
    references: int
    aliases: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the run is over."""
        return self.state in ("success", "failed")


@dataclass(frozen=True)
class AtRiskAnswer(Record):
    """Totals over the runs. ``finished_*`` are ``None`` when only unfinished runs were looked at."""

    base_path: str
    unfinished_runs: int
    unfinished_references: int
    finished_runs: Optional[int] = None
    finished_references: Optional[int] = None
    warnings: tuple[str, ...] = ()
