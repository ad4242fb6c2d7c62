"""Who would get path strings if the backend were reverted to ``inline`` now: unfinished runs, and readers of finished ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Optional

from xcomctl.metadata import risk
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import FINISHED_RUN_STATES, iso
from xcomctl.model.references import Owner
from xcomctl.model.refs import AtRiskRun
from xcomctl.model.requests import ALIAS, REFERENCE
from xcomctl.references.scan import kind_of, scan


def unfinished(connection: Any, tables: Tables, base_path: str, dag_id: Optional[str] = None) -> Iterator[AtRiskRun]:
    """The runs that are not over and hold references or aliases, with their instances that may still read.

    Driven by those runs, which are few however many XComs there are.
    """
    for runs in _batches(risk.unfinished_runs(connection, tables, dag_id)):
        counts: dict[int, list[int]] = {run.id: [0, 0] for run in runs}
        for row in risk.urls_of_runs(connection, tables, list(counts)):
            kind = kind_of(row.text, base_path, Owner(row.dag_id, row.run_id, row.task_id))
            if kind in (REFERENCE, ALIAS):
                counts[row.dag_run_id][kind == ALIAS] += 1
        for run in runs:
            references, aliases = counts[run.id]
            if references or aliases:
                waiting = risk.waiting_instances(connection, tables, run.dag_id, run.run_id)
                yield AtRiskRun(run.dag_id, run.run_id, run.state, iso(run.started), references, aliases, waiting)


def finished(connection: Any, tables: Tables, base_path: str, dag_id: Optional[str] = None) -> Iterator[AtRiskRun]:
    """The runs that are over and still hold references: each may be read. A scan of all XComs; streams run by run."""
    rows = (
        item
        for item in scan(connection, tables, base_path, dag_id)
        if item.run_state in FINISHED_RUN_STATES and item.kind in (REFERENCE, ALIAS)
    )
    for (of_dag, run_id), items in itertools.groupby(rows, key=lambda item: (item.dag_id, item.run_id)):
        kinds = {REFERENCE: 0, ALIAS: 0}
        first = None
        for item in items:
            first = first or item
            kinds[item.kind] += 1
        assert first is not None
        yield AtRiskRun(of_dag, run_id, first.run_state, first.run_start, kinds[REFERENCE], kinds[ALIAS])


def _batches(runs: Iterable[risk.Run]) -> Iterator[Sequence[risk.Run]]:
    runs = iter(runs)
    while batch := list(itertools.islice(runs, risk.RUNS_AT_ONCE)):
        yield batch
