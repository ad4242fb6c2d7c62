"""Measures the sizes of XComs: the statements that are run, and what they come to together."""

from __future__ import annotations

import dataclasses
import datetime
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.metadata import sizes as stored
from xcomctl.metadata import values
from xcomctl.metadata.sizes import Asked, Draw, Group, Which
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import about_how_many
from xcomctl.model.refs import DANGLING, RefItem
from xcomctl.model.size import Accuracy, Floor, Offloaded, SizeQuery
from xcomctl.model.size_bounds import WINDOWS_DAYS
from xcomctl.sizing import ladder, suggest
from xcomctl.sizing.doubt import LARGE_FROM, Doubt, Near, Tell
from xcomctl.sizing.intervals import GROUPS
from xcomctl.sizing.places import Places
from xcomctl.sizing.sizes import Sizes
from xcomctl.store.content import compression_of

#: Groups of a statement that may come: with this many rows or large values each may have its place told.
MOST_GROUPS = 150_000
#: Rows of the sample that says of which tasks small values are.
_SAMPLED = 40_000


@dataclass
class Measured:
    """What was counted. With a sample (``share``) counts are the sample's own. ``span_days``: only what was pushed in so many
    days was asked for."""

    sizes: Sizes = field(default_factory=Sizes)
    places: Places = field(default_factory=Places)
    share: float = 1.0
    span_days: Optional[float] = None
    inline: int = 0
    inline_bytes: int = 0
    nulls: int = 0
    pickled: int = 0
    pickled_bytes: int = 0
    references: int = 0
    #: Whether there are some, although a sample has none.
    some_references: bool = False
    #: Strings that look like references, and are not under the base path.
    reference_like: int = 0
    near: dict[int, Near] = field(default_factory=dict)
    accuracy: Optional[Accuracy] = None
    offloaded: Optional[Offloaded] = None
    warnings: list[str] = field(default_factory=list)


class Measuring:
    """One measurement over an open connection. ``tell`` says what is done next, and may raise."""

    def __init__(
        self,
        connection: Any,
        tables: Tables,
        query: SizeQuery,
        now: datetime.datetime,
        base_path: Optional[str],
        tell: Tell,
    ) -> None:
        self._connection, self._tables, self._query, self._tell = connection, tables, query, tell
        # In UTC: two databases of three compare times without their zones.
        since = None if query.since is None else _in_utc(query.since)
        version = getattr(connection.dialect, "server_version_info", None) or ()
        self._asked = Asked(
            which=Which(since, query.dag_id, query.states),
            windows=tuple(now - datetime.timedelta(days=days) for days in WINDOWS_DAYS),
            base_path=base_path,
            version=tuple(version) if connection.dialect.name == "postgresql" else (),
        )
        span = None if since is None else max((now - since).total_seconds(), 1.0) / 86_400
        self._found = Measured(share=query.sample or 1.0, span_days=span)
        self._rows: Optional[int] = None
        self._unnamed = 0

    def inline(self) -> Measured:
        """Count what the table holds."""
        asked, found = self._asked, self._found
        self._rows = self._how_many()
        rows = self._rows * found.share
        if self._query.sample is not None:
            asked = dataclasses.replace(asked, draw=Draw(self._query.sample, GROUPS))
        if rows > MOST_GROUPS:
            asked = dataclasses.replace(asked, place_from=self._with_small_places())
        part = f"{found.share:.3g} of " if found.share < 1 else ""
        self._tell(f"the sizes of {part}about {self._rows:,} XComs")
        for group in stored.groups(self._connection, self._tables, asked):
            self._count(group, asked)
        if found.share < 1 and not found.references and self._asked.base_path is not None and self._query.store:
            self._tell("whether there is any reference")  # a sample may have seen none of a few
            found.some_references = stored.any_reference(self._connection, self._tables, self._asked)
        if found.reference_like:
            found.warnings.append(
                f"{round(found.reference_like / found.share):,} strings look like references and are not under "
                f"{self._asked.base_path or 'a base path, as none is known'}: they are counted as values of a few bytes (--base-path)"
            )
        if self._unnamed:
            found.warnings.append(
                f"{self._unnamed:,} large values are stored in so few bytes that their task was not looked up"
            )
        if found.places.forgotten:
            found.warnings.append("more places than are remembered: those with the fewest bytes are not in the lists")
        return found

    def _how_many(self) -> int:
        """About how many rows were asked for. Few are counted; a planner's word is taken for many, if all were asked for."""
        few = stored.rows_up_to(self._connection, self._tables, self._asked, MOST_GROUPS + 1)
        if few <= MOST_GROUPS:
            return few
        known = about_how_many(self._connection, self._tables) or 0
        if known > MOST_GROUPS:
            return known
        return stored.rows_up_to(self._connection, self._tables, self._asked, None)

    def _with_small_places(self) -> int:
        """Of what places small values are, from a sample; where large ones begin."""
        assert self._rows is not None
        share = min(1.0, _SAMPLED / self._rows)
        self._tell("a sample of small values")
        asked = dataclasses.replace(self._asked, draw=Draw(share, GROUPS))
        seen = [
            (group.size, group.place, group.values)
            for group in stored.groups(self._connection, self._tables, asked)
            if group.kind == stored.INLINE and group.size is not None and group.place is not None
        ]
        large_from = LARGE_FROM  # or higher, where there are too many
        while sum(many for size, _, many in seen if size >= large_from) > MOST_GROUPS * share:
            large_from = ladder.round_up(large_from + 1)
        for size, place, many in seen:
            if size < large_from:
                self._found.places.add(place, size, many / share, estimated=True)
        return large_from

    def _count(self, group: Group, asked: Asked) -> None:
        found = self._found
        if group.size is None:
            found.nulls += group.values
        elif group.kind == stored.PICKLED:
            found.pickled += group.values
            found.pickled_bytes += group.values * group.size
        elif group.kind == stored.REFERENCE:
            found.references += group.values
        else:
            found.reference_like += group.values if group.kind == stored.REFERENCE_LIKE else 0
            found.inline += group.values
            found.inline_bytes += group.values * group.size
            found.sizes.add(group.size, group.age, group.values, group=group.group)
            if group.place is None:
                self._unnamed += group.values if group.size >= asked.place_from else 0
            elif group.size >= asked.place_from:
                values = group.values / found.share
                found.places.add(group.place, group.size, values, estimated=found.share < 1)

    @property
    def is_empty(self) -> bool:
        """Whether there is no row of what was asked for: then none was missed by a sample."""
        return self._rows == 0

    @property
    def is_small(self) -> bool:
        """Whether all rows together are so few that a further look at them costs next to nothing."""
        return (self._rows or 0) <= MOST_GROUPS

    @property
    def doubt(self) -> Doubt:
        """What tells how far the figures are off."""
        return Doubt(self._connection, self._tables, self._asked, self._rows or 0, self._tell)

    def objects(self, items: Iterable[RefItem]) -> Offloaded:
        """Count the objects of references by their size, beside the values. A compressed one does not tell its value's."""
        found = Counter[str]()
        largest = 0
        for item in items:
            if not self._is_asked_for(item):
                continue
            found["references"] += 1
            if item.size is None:
                found["dangling" if item.state == DANGLING else "unasked"] += 1
                continue
            largest = max(largest, item.size)
            found["bytes"] += item.size
            if compression_of(item.uri) is not None:
                found["compressed"] += 1
                continue
            drawn, group = self._draw(item)
            if drawn:
                self._found.sizes.add(item.size, self._age(item.timestamp), 1, offloaded=True, group=group)
            if item.dag_id is not None and item.task_id is not None and item.key is not None:
                self._found.places.add((item.dag_id, item.task_id, item.key), item.size, 1)
        return Offloaded(
            references=found["references"],
            bytes=found["bytes"],
            largest=largest,
            compressed=found["compressed"],
            dangling=found["dangling"],
            unasked=found["unasked"],
        )

    def _draw(self, item: RefItem) -> tuple[bool, Optional[int]]:
        """Whether the sample has a reference's run, and in which group. All references are known, but sizes are counted
        beside those of sampled values, so each has to stand for as many."""
        if self._query.sample is None:
            return True, None
        number = zlib.crc32(f"{item.dag_id} {item.run_id}".encode("utf-8", "backslashreplace"))
        return number < self._found.share * 2**32, number % GROUPS

    def _is_asked_for(self, item: RefItem) -> bool:
        which = self._asked.which
        at = None if item.timestamp is None else _in_utc(item.timestamp)
        recent = which.since is None or (at is not None and at >= which.since)
        return recent and (not which.states or item.run_state in which.states)

    def _age(self, timestamp: Optional[str]) -> int:
        at = None if timestamp is None else _in_utc(timestamp)
        ages = (index for index, since in enumerate(self._asked.windows) if at is not None and at >= since)
        return next(ages, len(self._asked.windows))

    def floor(self) -> Floor:
        """The lowest threshold that is safe (F36)."""
        self._tell("the largest skipmixin_key")
        row = values.largest_skipmixin(self._connection, self._tables)
        return suggest.floor_of(0) if row is None else suggest.floor_of(row.value, f"{row.dag_id}.{row.task_id}")


def _in_utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).astimezone(datetime.timezone.utc)
