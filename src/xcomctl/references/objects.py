"""Every stored URL with its object, or every object with its row; and what the whole comes to."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.metadata.ordered import AGAIN_AT_ONCE, UrlRow, unchanged, url_rows
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import FINISHED_RUN_STATES, iso
from xcomctl.model.references import (
    Kind,
    Owner,
    Reference,
    classify,
    escapes,
    is_alias,
    normalized_base,
    written_under,
)
from xcomctl.model.refs import (
    DANGLING,
    NOT_ASKED,
    OUTSIDE,
    PRESENT,
    UNREFERENCED,
    YOUNG_S,
    RefItem,
    RefsQuery,
    RefTotals,
)
from xcomctl.model.requests import ALIAS, FOREIGN, REFERENCE
from xcomctl.references.join import Candidate, Disorder, Found, Pair, join
from xcomctl.store.listing import Listing
from xcomctl.store.lookup import Lookup

#: Other base paths that are remembered by name.
_BASES = 5


@dataclass(frozen=True)
class Classified:
    """A row, what its URL is, and its path taken apart where it is under the base path."""

    row: UrlRow
    kind: str
    reference: Optional[Reference] = None


def classified(row: UrlRow, base_path: str) -> Optional[Classified]:
    """What a row's URL is, ``None`` when it is none."""
    found = judged(row.text, base_path, Owner(row.dag_id, row.run_id, row.task_id))
    return None if found is None else Classified(row, *found)


def judged(text: str, base_path: str, owner: Owner) -> Optional[tuple[str, Optional[Reference]]]:
    """What a stored URL of that owner is, and its path taken apart where it is under the base path; ``None`` for no URL."""
    found = classify(text, base_path)
    if found.reference is not None:
        if escapes(found.reference):
            return OUTSIDE, found.reference
        return ALIAS if is_alias(found.reference, owner) else REFERENCE, found.reference
    return (FOREIGN, None) if found.kind is Kind.FOREIGN else None


@dataclass
class Scan:
    """One scan. :meth:`items` has to be read to its end; then :attr:`totals` are whole.

    ``open_connection`` gives read-only connections of their own. ``places`` are ``xcom`` and the archives to look into.
    ``state_store`` is a path of the state store that may lie on the same prefix (F33). ``seen`` is called for every row
    and object, and may raise.
    """

    query: RefsQuery
    base_path: str
    open_connection: Callable[[], contextlib.AbstractContextManager[Any]]
    places: Sequence[Tables]
    state_store: Optional[str] = None
    seen: Callable[[], None] = lambda: None
    totals: RefTotals = field(init=False)

    def __post_init__(self) -> None:
        self.base_path = normalized_base(self.base_path)
        self._counts: dict[str, int] = {}
        self._by_dag: dict[str, int] = {}
        self._bases: list[str] = []
        self._store_error = ""
        self._listing: Optional[Listing] = None
        self._lookup: Optional[Lookup] = None
        self._disorder = False
        self._state_prefix = self._below_base(self.state_store)
        self._waiting: list[RefItem] = []

    def items(self) -> Iterator[RefItem]:
        """What the query asks for, as it comes. A store that fails ends in ``store_error``, rows go on."""
        query = self.query
        named = self._named_out_of_order() if self._sees_lonely else frozenset()
        # An object of a DAG's folder may be named by any row: then all rows are looked at.
        rows_of = (None, None, False) if query.objects else (query.dag_id, query.run_id, query.unfinished_only)
        with url_rows(self.open_connection, self.places, *rows_of) as rows, self.open_connection() as again:
            self._again = again
            dangling: list[tuple[Classified, RefItem]] = []
            for pair in self._pairs(rows, named):
                if pair.row is None:
                    yield from self._lonely(pair)
                    continue
                item = self._item(pair.row, pair.object)
                if item.state == DANGLING:
                    dangling.append((pair.row, item))
                    if len(dangling) >= AGAIN_AT_ONCE:
                        yield from self._really(dangling)
                        dangling = []
                    continue
                yield from self._counted(pair.row, item)
            yield from self._really(dangling)
        self.totals = self._total()

    # -- the two streams

    def _pairs(self, rows: Iterable[UrlRow], named: frozenset[str]) -> Iterator[Pair[Classified]]:
        """Rows with their objects. Foreign URLs and what leads out of the base path have none, and never ask."""
        if not self.query.store:
            for row in self._urls(rows):
                yield Pair(row, None)
            return
        under = f"{self._under()}/" if self._under() else ""
        foreign: list[Classified] = []
        taken: list[Classified] = []  # the row that is being joined

        def candidates() -> Iterator[Candidate[Classified]]:
            for each in self._urls(rows):
                if each.reference is None or each.kind == OUTSIDE:
                    foreign.append(each)
                    continue
                listed = each.reference.relative.startswith(under)
                if self.query.objects and not listed:
                    continue
                plain = each.reference.uri == each.reference.object_uri
                taken.append(each)
                yield Candidate(each, each.reference.relative, each.row.in_order and listed and plain)

        def with_foreign(pairs: Iterator[Pair[Classified]]) -> Iterator[Pair[Classified]]:
            for pair in pairs:
                if pair.row is not None:
                    taken.clear()
                yield pair
                while foreign:
                    yield Pair(foreign.pop(), None)
            while foreign:
                yield Pair(foreign.pop(), None)

        source = candidates()
        try:
            self._listing, self._lookup = Listing(self.base_path, self._under()), Lookup(self.base_path)
            objects = self._objects(self._listing)
            yield from with_foreign(
                join(source, objects, self._ask, unreferenced=self._sees_lonely, named_elsewhere=named)
            )
        except Disorder:
            self._disorder = True
        except AirflowUnusable as error:  # no connection, or a store that fails: the rows are known all the same
            self._store_error = error.message
            yield from (Pair(row, None) for row in [*taken, *foreign])
            foreign.clear()
            for candidate in source:
                yield Pair(candidate.row, None)
            yield from (Pair(row, None) for row in foreign)

    def _urls(self, rows: Iterable[UrlRow]) -> Iterator[Classified]:
        for row in rows:
            self.seen()
            found = classified(row, self.base_path)
            if found is not None:
                yield found

    def _objects(self, listing: Listing) -> Iterator[Found]:
        start = len(self.base_path.rstrip("/")) + 1
        for each in listing:
            self.seen()
            self._add("objects")
            self._add("object_bytes", each.size)
            yield Found(each.uri[start:], each.size, each.modified)

    def _ask(self, key: str) -> Optional[Found]:
        assert self._lookup is not None
        found = self._lookup.info(key)
        return None if found is None else Found(key, found.size, found.modified)

    def _under(self) -> str:
        return "/".join(part for part in (self.query.dag_id, self.query.run_id if self.query.dag_id else None) if part)

    @property
    def _sees_lonely(self) -> bool:
        """Whether every row is looked at that might name an object of the listing."""
        query = self.query
        return query.store and (query.objects or not (query.dag_id or query.run_id or query.unfinished_only))

    def _named_out_of_order(self) -> frozenset[str]:
        """The keys of rows that come out of order: they are few, and their objects are not unreferenced."""
        keys = set()
        with url_rows(self.open_connection, self.places, out_of_order=self.base_path) as rows:
            for each in self._urls(rows):
                found = each.reference
                if found is not None and (not each.row.in_order or found.uri != found.object_uri):
                    keys.add(found.relative)
        return frozenset(keys)

    # -- what each comes to

    def _item(self, each: Classified, found: Optional[Found]) -> RefItem:
        row = each.row
        state = PRESENT
        if found is None:
            asked = self.query.store and not self._store_error and each.kind in (REFERENCE, ALIAS)
            state = DANGLING if asked else NOT_ASKED
        base = written_under(row.text, Owner(row.dag_id, row.run_id, row.task_id)) if each.kind == FOREIGN else None
        return RefItem(
            kind=each.kind,
            uri=row.text,
            state=state,
            size=None if found is None else found.size,
            modified=None if found is None else iso(found.modified),
            source=row.source,
            dag_id=row.dag_id,
            run_id=row.run_id,
            task_id=row.task_id,
            map_index=row.map_index,
            key=row.key,
            timestamp=iso(row.timestamp),
            run_state=row.run_state,
            ti_state=row.ti_state,
            written_under=base,
        )

    def _really(self, dangling: list[tuple[Classified, RefItem]]) -> Iterator[RefItem]:
        """Of the references without an object those whose rows are what they were. Nobody pushes into an archive."""
        live = [each.row for each, _ in dangling if each.row.source == self._xcom]
        same = {id(row) for row in unchanged(self._again, self.places[0], live)} if live else set()
        for each, item in dangling:
            if each.row.source != self._xcom or id(each.row) in same:
                self._add("dangling")
                yield from self._counted(each, item)

    @property
    def _xcom(self) -> str:
        return str(self.places[0].xcom.name)

    def _counted(self, each: Classified, item: RefItem) -> Iterator[RefItem]:
        archived = each.row.source != self._xcom
        if each.kind == REFERENCE:
            self._add("archived" if archived else "references")
            if not archived:
                self._add("reference_bytes", item.size or 0)
                self._add("unfinished", each.row.run_state not in FINISHED_RUN_STATES)
                self._by_dag[each.row.dag_id] = self._by_dag.get(each.row.dag_id, 0) + 1
        elif each.kind == FOREIGN and item.written_under is None:
            self._add("urls")
        else:
            self._add({ALIAS: "aliases", FOREIGN: "foreign", OUTSIDE: "outside"}[each.kind])
        if item.written_under is not None and item.written_under not in self._bases and len(self._bases) < _BASES:
            self._bases.append(item.written_under)
        self._add("unasked", self.query.store and item.state == NOT_ASKED and each.kind in (REFERENCE, ALIAS))
        if self.query.objects:
            wanted = item.state == PRESENT
        else:
            # A URL that no backend wrote is a value and nothing else: only who asks for foreign ones sees it.
            wanted = item.kind in self.query.only if item.kind == FOREIGN else self._wanted(item)
        if wanted:
            yield item

    def _wanted(self, item: RefItem) -> bool:
        only = self.query.only
        return not only or item.kind in only or item.state in only

    def _lonely(self, pair: Pair[Classified]) -> Iterator[RefItem]:
        found = pair.object
        assert found is not None
        if self._state_prefix is not None and found.key.startswith(self._state_prefix):
            self._add("state_objects")
            return
        self._add("unreferenced")
        self._add("unreferenced_bytes", found.size)
        age = None if found.modified is None else _now() - found.modified
        self._add("young", age is not None and age.total_seconds() < YOUNG_S)
        uri = f"{self.base_path.rstrip('/')}/{found.key}"
        if self.query.objects:
            yield RefItem(UNREFERENCED, uri, PRESENT, found.size, iso(found.modified))

    def _add(self, name: str, number: int = 1) -> None:
        self._counts[name] = self._counts.get(name, 0) + int(number)

    def _below_base(self, path: Optional[str]) -> Optional[str]:
        if not path:
            return None
        other, prefix = normalized_base(path), f"{self.base_path.rstrip('/')}/"
        return f"{other[len(prefix) :]}/" if other.startswith(prefix) else None

    def _total(self) -> RefTotals:
        counts = dict(self._counts)
        listed = self._listing is not None and not self._store_error
        known = {spec.name for spec in dataclasses.fields(RefTotals)}
        whole = {}
        if listed and self._sees_lonely and not self._disorder:
            whole = dict.fromkeys(("objects", "object_bytes", "unreferenced", "unreferenced_bytes"), 0)
        for name in ("objects", "object_bytes", "unreferenced", "unreferenced_bytes"):
            if name in counts and name not in whole:
                del counts[name]  # of a listing that was not read to its end
        error = self._store_error
        if self._disorder:
            # What was missed before the disorder showed may lie further on in the listing.
            counts["unasked"] = counts.get("unasked", 0) + counts.pop("dangling", 0)
            error = "the store does not list its keys in order: what dangles and what no row names cannot be told"
        return RefTotals(
            base_path=self.base_path,
            **{**whole, **{name: value for name, value in counts.items() if name in known}},
            foreign_bases=tuple(self._bases),
            tables=tuple(str(place.xcom.name) for place in self.places),
            by_dag=tuple(sorted(self._by_dag.items())),
            list_requests=self._listing.requests if self._listing is not None else 0,
            head_requests=self._lookup.requests if self._lookup is not None else 0,
            store_error=error,
            warnings=(),
        )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
