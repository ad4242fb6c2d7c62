"""References and their objects at the desk: one scan in the first context that can answer, and what it comes to."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xcomctl.assess.fleet import Fleet, told
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.journal.interface import Where
from xcomctl.journal.local import entry_now
from xcomctl.journal.open import opened
from xcomctl.model import requests
from xcomctl.model.redaction import redact_mapping
from xcomctl.model.refs import DANGLING, SCAN, AtRiskAnswer, AtRiskQuery, AtRiskRun, RefItem, RefsQuery, RefTotals
from xcomctl.model.requests import FOREIGN
from xcomctl.model.verdicts import Verdict

Waiting = Callable[[str], None]


@dataclass(frozen=True)
class Scanned:
    """A scan that is over: its totals, the seconds it took, the context that answered."""

    totals: RefTotals
    seconds: float
    context: str


def scan(
    fleet: Fleet,
    query: RefsQuery,
    more: Mapping[str, Any],
    each: Callable[[RefItem], None],
    waiting: Waiting,
    *,
    heavy: bool = False,
) -> Scanned:
    """Ask for what the query says; ``each`` gets every item as it comes. ``more`` are further parameters. A scan of the
    objects is heavy in any case.

    Raises :class:`~xcomctl.deployment.agent_errors.AgentError`.
    """
    started = time.monotonic()

    def ask(session: AgentSession) -> Scanned:
        stream = session.stream(requests.REFERENCE_OBJECTS, {**query.to_json(), **more}, told(waiting))
        for record in stream:
            each(RefItem.from_json(record))
        totals = RefTotals.from_json(stream.result())
        return Scanned(totals, round(time.monotonic() - started, 1), session.reach.name)

    return fleet.with_database(ask, heavy=heavy or query.objects)


def at_risk(
    fleet: Fleet, query: AtRiskQuery, more: Mapping[str, Any], each: Callable[[AtRiskRun], None], waiting: Waiting
) -> AtRiskAnswer:
    """Ask for the runs at risk; ``each`` gets every run as it comes, unfinished ones first."""

    def ask(session: AgentSession) -> AtRiskAnswer:
        stream = session.stream(requests.AT_RISK, {**query.to_json(), **more}, told(waiting))
        for record in stream:
            each(AtRiskRun.from_json(record))
        return AtRiskAnswer.from_json(stream.result())

    return fleet.with_database(ask)


def is_whole(query: RefsQuery) -> bool:
    """Whether a scan says how many references and objects there are at all: what ``status`` looks for."""
    return query.store and query.archives and not (query.dag_id or query.run_id or query.unfinished_only)


def verdict(query: RefsQuery, totals: RefTotals) -> Verdict:
    """What a scan amounts to: a store that did not answer is inconclusive; dangling references fail who asked for them.

    What was missing before a store failed may be there: nobody is told to clear a task for that.
    """
    if query.store and totals.store_error:
        return Verdict.INCONCLUSIVE
    if DANGLING in query.only and totals.dangling:
        return Verdict.FAILED
    if totals.dangling or totals.foreign or totals.outside or totals.pickled or totals.warnings:
        return Verdict.WARNINGS
    return Verdict.OK


def next_steps(totals: RefTotals, query: RefsQuery, options: str) -> Iterator[str]:
    """What to type next, the most urgent first, about the same DAG or run. ``options`` name the contexts and the base path."""
    of = f" -d {shlex.quote(query.dag_id)}" if query.dag_id else ""
    of += f" -r {shlex.quote(query.run_id)}" if query.run_id else ""
    of += options
    if totals.dangling:
        yield f"xcomctl refs --dangling{of}  # then clear the tasks that pushed them, so that they push again"
    if totals.foreign:
        yield f"xcomctl refs --foreign{of}  # readers get these as path strings: keep {totals.foreign_bases[0]}"
    if totals.aliases:
        yield f"xcomctl refs --aliases{of}  # tasks that passed a path string on"
    if totals.outside:
        yield f"xcomctl refs{of} -o json  # references with '..' or empty names in their path: nothing opens them"


def record(scanned: Scanned, deployment: str | None, where: Where) -> str:
    """Append a whole scan to the journal, where ``status`` finds it; the journal's name.

    Raises :class:`~xcomctl.journal.errors.JournalError`.
    """
    journal = opened(where)
    totals = redact_mapping(scanned.totals.to_json())
    found = Verdict.OK
    if scanned.totals.store_error:
        found = Verdict.INCONCLUSIVE
    elif scanned.totals.dangling:
        found = Verdict.FAILED
    journal.append(
        entry_now(
            SCAN,
            deployment,
            verdict=found,
            data={"base_path": totals["base_path"], "totals": totals, "seconds": scanned.seconds},
        )
    )
    return journal.name


def only(*, dangling: bool, foreign: bool, aliases: bool) -> tuple[str, ...]:
    """The kinds and states that the command line asks for."""
    asked = ((DANGLING, dangling), (FOREIGN, foreign), (requests.ALIAS, aliases))
    return tuple(name for name, wanted in asked if wanted)
