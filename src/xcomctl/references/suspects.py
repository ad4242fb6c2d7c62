"""Who may have got a path string: run by run, from what started in the windows and from what was left behind."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Optional

from xcomctl.airflow_compat import trigger_kwargs
from xcomctl.metadata import risk, started, starts, traces
from xcomctl.metadata.started import RunRow
from xcomctl.metadata.starts import Start
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import FINISHED_RUN_STATES, url_like_rows
from xcomctl.model.downstream import Structure
from xcomctl.model.handed_over import holds_path, path_in
from xcomctl.model.journal_entry import parse_time
from xcomctl.model.references import Owner
from xcomctl.model.requests import ALIAS, REFERENCE
from xcomctl.model.retrigger import RUNNING, WAITING, HeldBefore, Span, SuspectRun, SuspectsQuery
from xcomctl.model.suspects import Window, suspects, windows
from xcomctl.references import rerun
from xcomctl.references.rerun import Known, Place
from xcomctl.references.scan import kind_of

_Spans = list[tuple[datetime.datetime, Optional[datetime.datetime]]]


class _Spell(NamedTuple):
    start: datetime.datetime
    end: Optional[datetime.datetime]


@dataclass
class Look:
    """One look at a deployment. ``connection`` can only read; ``base_path`` is normalised.

    ``first`` is when the first reference that any run holds, or held, was pushed, ``None`` for none; ``aliases`` are the
    runs in which a task passed a path string on. ``stored`` counts the references and aliases that are there now,
    ``holds_longest`` is the run with the first of these. ``structure_of`` gives the DAG of a run. ``unknown`` counts instances whose real
    start no row tells, ``unread_triggers`` triggers whose kwargs cannot be read here.
    """

    connection: Any
    tables: Tables
    base_path: str
    query: SuspectsQuery
    structure_of: Callable[[str, str], Optional[Structure]]
    bad: tuple[Window, ...] = ()
    first: Optional[datetime.datetime] = None
    aliases: dict[tuple[str, str], None] = field(default_factory=dict)
    stored: int = 0
    holds_longest: Optional[HeldBefore] = None
    unknown: int = 0
    unread_triggers: int = 0

    def windows(self) -> tuple[Window, ...]:
        """The windows of the phases that hand paths over: what was seen, for the lives of the schedulers; and what is given."""
        lives = [
            (life.start, life.end)
            for life in starts.lifetimes(self.connection, self.tables)
            if life.job_type != "TriggererJob"
        ]
        found = {(each.start, each.end): each for each in windows(self.query.observations, lives)}
        self.bad = (*(span.window for span in self.query.windows), *found.values())
        return self.bad

    def scan(self) -> None:
        """Look at every stored URL, once. Where none is left, windows end when the last reference was rehydrated."""
        held = self._held.values()
        self.first = min((each.start for each in held), default=None)
        oldest: Optional[datetime.datetime] = None
        for row in url_like_rows(self.connection, self.tables):
            kind = kind_of(row.text, self.base_path, Owner(row.dag_id, row.run_id, row.task_id))
            if kind == ALIAS and path_in(row.text, self.base_path) is not None:
                self.aliases[row.dag_id, row.run_id] = None
                self.stored += 1
            if kind == REFERENCE:
                self.stored += 1
            if kind == REFERENCE and row.timestamp is not None:
                pushed = _utc(row.timestamp)
                if oldest is None or pushed < oldest:
                    oldest = pushed
                    self.holds_longest = HeldBefore(row.dag_id, row.run_id, pushed.isoformat())
        if oldest is not None:
            self.first = oldest if self.first is None else min(self.first, oldest)
        ends = [each.end for each in held if each.end is not None]
        if ends and len(ends) == len(held) and not self.stored:
            self.bad = tuple(_until(self.bad, max(ends)))

    def runs(self) -> Iterator[RunRow]:
        """The runs that are worth a closer look, each once. As many as had something going on in the windows."""
        seen: set[tuple[str, str]] = set()
        for key in self._names():
            narrowed = (self.query.dag_id in (None, key[0])) and (self.query.run_id in (None, key[1]))
            if key in seen or not narrowed:
                continue
            seen.add(key)
            row = started.run_of(self.connection, self.tables, *key)
            if row is not None:
                yield row

    def _names(self) -> Iterator[tuple[str, str]]:
        query = self.query
        for each in query.held:
            yield each.dag_id, each.run_id
        if query.dag_id is not None and query.run_id is not None:
            yield query.dag_id, query.run_id
        yield from self.aliases
        if query.producers:
            for run in risk.unfinished_runs(self.connection, self.tables, query.dag_id):
                yield run.dag_id, run.run_id
        if self.bad and self.first is not None:
            # Read before anything else is asked on this connection: MySQL's streams one result at a time.
            yield from list(
                started.runs_started_in(
                    self.connection, self.tables, _merged(self.bad), self.first, query.dag_id, query.run_id
                )
            )

    def at(self, run: RunRow) -> Optional[SuspectRun]:
        """A closer look at one run; ``None`` where nothing of it matters."""
        of_run = (self.connection, self.tables, run.dag_id, run.run_id)
        states = started.states_of(*of_run)
        begun = {(each.task_id, each.map_index): each for each in starts.starts_of(*of_run)}
        pushed, proofs, counts, first = self._values(run, states, begun)
        bad: Sequence[Window] = self.bad
        before = self._held.get((run.dag_id, run.run_id))
        if before is not None:
            # What holds nothing any more hands nothing over, whatever the phase.
            bad = bad if first is not None or before.end is None else _until(bad, before.end)
            first = before.start if first is None else min(_utc(first), before.start)
        found = suspects(rerun.ran(begun), bad, first)
        self._traces(run, proofs)
        producers = self.query.producers and (
            bool(found.started or found.ran_on or proofs) or run.state not in FINISHED_RUN_STATES
        )
        if not (found.started or found.ran_on or found.inside or proofs or (producers and pushed)):
            return None
        if first is not None:
            self.unknown += sum(each.started is None for each in begun.values())
        structure = self.structure_of(run.dag_id, run.run_id)
        known = Known(
            run.dag_id,
            states,
            begun,
            {place: tuple(said) for place, said in proofs.items()},
            {place: tuple(keys) for place, keys in pushed.items()},
            structure,
        )
        instances = rerun.instances(known, found, self.query, self.first, producers=producers)
        if not instances:
            return None
        missing = () if structure is not None else (
            "Airflow has no such DAG any more: what is downstream is not known, and nothing that is cleared runs",
        )  # fmt: skip
        return SuspectRun(
            run.dag_id, run.run_id, run.state, *counts, instances, run.paused, rerun.partly(known, instances), missing,
            None if first is None else _utc(first).isoformat(),
        )  # fmt: skip

    @functools.cached_property
    def _held(self) -> dict[tuple[str, str], _Spell]:
        """When runs whose references were rehydrated held some."""
        return {
            (each.dag_id, each.run_id): _Spell(
                parse_time(each.first), None if each.until is None else parse_time(each.until)
            )
            for each in self.query.held
        }

    def _values(
        self, run: RunRow, states: Mapping[Place, Optional[str]], begun: Mapping[Place, Start]
    ) -> tuple[dict[Place, list[str]], dict[Place, list[str]], tuple[int, int], Optional[datetime.datetime]]:
        """Keys of references by who pushed them, proofs, how many references and aliases, and when the first was pushed.

        What an instance left that runs again, or waits to, is on its way out: 2.x removes it some time after the start.
        The time of a reference counts all the same, since until then others can read it.
        """
        pushed: dict[Place, list[str]] = {}
        proofs: dict[Place, list[str]] = {}
        references = aliases = 0
        first = None
        for row in risk.urls_of_runs(self.connection, self.tables, [run.id]):
            kind = kind_of(row.text, self.base_path, Owner(row.dag_id, row.run_id, row.task_id))
            place = (row.task_id, row.map_index)
            stays = _stays(states.get(place), begun.get(place), row.timestamp)
            if kind == REFERENCE:
                references += 1
                if stays:
                    pushed.setdefault(place, []).append(row.key)
            elif kind == ALIAS and path_in(row.text, self.base_path) is not None:
                aliases += 1
                if not stays:
                    continue
                proofs.setdefault(place, []).append(f"its value {row.key} is a path string")
            else:
                continue
            if row.timestamp is not None:
                first = row.timestamp if first is None else min(first, row.timestamp)
        for task_id, index, key, value in traces.in_values(self.connection, self.tables, run.id, self.base_path):
            if not isinstance(value, str):
                proofs.setdefault((task_id, index), []).append(f"a path string inside its value {key}")
        return pushed, proofs, (references, aliases), first

    def _traces(self, run: RunRow, proofs: dict[Place, list[str]]) -> None:
        """Add what was left besides values."""
        of_run = (self.connection, self.tables, run.dag_id, run.run_id)
        for what, places in (
            ("its rendered templates", traces.rendered(*of_run, self.base_path)),
            ("its next_kwargs", traces.next_kwargs(*of_run, self.base_path)),
        ):
            for place in places:
                proofs.setdefault(place, []).append(f"a path string in {what}")
        for task_id, index, stored in traces.trigger_kwargs(*of_run):
            try:
                kwargs = trigger_kwargs.decrypted(stored)
            except ValueError:
                self.unread_triggers += 1
            else:
                if holds_path(kwargs, self.base_path):
                    proofs.setdefault((task_id, index), []).append("a path string in the kwargs of its trigger")


def _stays(state: Optional[str], start: Optional[Start], pushed: Optional[datetime.datetime]) -> bool:
    """Whether what an instance pushed then is not removed anyway, since it has not begun again and is not about to."""
    if state in WAITING:
        return False
    if state not in RUNNING or start is None or start.started is None or pushed is None:
        return True
    return pushed > start.started


def spans(bad: Sequence[Window]) -> tuple[Span, ...]:
    """The windows as they are answered, the earliest first."""
    return tuple(Span.of(each) for each in sorted(bad, key=lambda window: window.start))


def _until(bad: Sequence[Window], end: datetime.datetime) -> list[Window]:
    """The windows as far as they lie before a moment."""
    return [
        dataclasses.replace(each, end=end if each.end is None else min(each.end, end))
        for each in bad
        if each.start < end
    ]


def _merged(bad: Sequence[Window]) -> _Spans:
    """The windows' times, those that overlap as one."""
    merged: _Spans = []
    for window in sorted(bad, key=lambda each: each.start):
        last = merged[-1] if merged else None
        if last is not None and (last[1] is None or window.start <= last[1]):
            end = None if last[1] is None or window.end is None else max(last[1], window.end)
            merged[-1] = (last[0], end)
        else:
            merged.append((window.start, window.end))
    return merged


def _utc(moment: datetime.datetime) -> datetime.datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.timezone.utc)
