"""What the runs that are not over hold, in totals: found through these few runs, never by a scan of all XComs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata import risk
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import iso
from xcomctl.model.references import Owner, written_under
from xcomctl.model.refs import AtRiskRun
from xcomctl.model.requests import ALIAS, FOREIGN, REFERENCE
from xcomctl.model.status import Elsewhere
from xcomctl.references.scan import kind_of

#: Other base paths that are told apart; what is under more of them is counted together.
_OTHER_BASES = 10


@dataclass(frozen=True)
class Held:
    """``runs`` are not over; ``at_risk_runs`` of these hold ``references`` or ``aliases``, ``at_risk`` are some of them.

    ``elsewhere`` is what they hold under other base paths, as judged by the tail of a URL.
    """

    runs: int
    references: int
    aliases: int
    at_risk_runs: int
    at_risk: tuple[AtRiskRun, ...]
    elsewhere: tuple[Elsewhere, ...]


def held(connection: Any, tables: Tables, base_path: Optional[str], examples: int) -> Held:
    """The totals of unfinished runs. Without a base path every URL that the backend wrote is ``elsewhere``."""
    found = risk.unfinished_runs(connection, tables)
    references = aliases = at_risk_runs = 0
    named: list[AtRiskRun] = []
    elsewhere: dict[str, Elsewhere] = {}
    for runs in _batches(found):
        counts: dict[int, list[int]] = {run.id: [0, 0] for run in runs}
        for row in risk.urls_of_runs(connection, tables, list(counts)):
            owner = Owner(row.dag_id, row.run_id, row.task_id)
            kind = kind_of(row.text, base_path or "", owner)
            if kind in (REFERENCE, ALIAS):
                counts[row.dag_run_id][kind == ALIAS] += 1
            elif kind == FOREIGN:
                other = written_under(row.text, owner)
                if other is not None:
                    _add(elsewhere, other, row)
        for run in runs:
            here, passed_on = counts[run.id]
            if here or passed_on:
                at_risk_runs += 1
                references += here
                aliases += passed_on
                if len(named) < examples:
                    waiting = risk.waiting_instances(connection, tables, run.dag_id, run.run_id)
                    named.append(
                        AtRiskRun(run.dag_id, run.run_id, run.state, iso(run.started), here, passed_on, waiting)
                    )
    return Held(len(found), references, aliases, at_risk_runs, tuple(named), tuple(elsewhere.values()))


def _add(elsewhere: dict[str, Elsewhere], base_path: str, row: risk.Url) -> None:
    name = base_path if base_path in elsewhere or len(elsewhere) < _OTHER_BASES else ""
    before = elsewhere.get(name)
    if before is None:
        elsewhere[name] = Elsewhere(name, 1, row.dag_id, row.run_id)
    else:
        elsewhere[name] = Elsewhere(name, before.references + 1, before.dag_id, before.run_id)


def _batches(runs: Sequence[risk.Run]) -> Iterator[Sequence[risk.Run]]:
    for start in range(0, len(runs), risk.RUNS_AT_ONCE):
        yield runs[start : start + risk.RUNS_AT_ONCE]
