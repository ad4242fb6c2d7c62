"""References, objects and runs at risk as rows of text, and what they come to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TextIO

from xcomctl.model.redaction import redact
from xcomctl.model.refs import DANGLING, OUTSIDE, UNREFERENCED, AtRiskAnswer, AtRiskRun, RefItem, RefTotals
from xcomctl.model.requests import ALIAS, FOREIGN
from xcomctl.report import units
from xcomctl.report.rows import Rows
from xcomctl.report.text import printable

_WORDS = {ALIAS: "ALIAS", FOREIGN: "FOREIGN", OUTSIDE: "OUTSIDE", UNREFERENCED: "UNREFERENCED"}
#: DAGs that are named with their counts.
_DAGS = 10


def reference_rows(stream: TextIO) -> Rows:
    """The table of references."""
    return Rows(stream, ("DAG", "RUN", "TASK", "KEY", "SIZE", "AGE", "RUN STATE", "OBJECT"))


def add_reference(rows: Rows, item: RefItem, base_path: str) -> None:
    """One row: an object that no row names has dashes in place of its owner."""
    marks = [_WORDS[item.kind]] if item.kind in _WORDS else []
    marks += ["DANGLING"] if item.state == DANGLING else []
    task = item.task_id or "-"
    rows.add(
        item.dag_id or "-",
        item.run_id or "-",
        task if item.map_index < 0 else f"{task}[{item.map_index}]",
        item.key or "-",
        units.size(item.size) if item.size is not None else "-",
        age(item.timestamp or item.modified),
        (item.run_state or "no run") if item.dag_id else "-",
        " ".join([*marks, _shown(item, base_path)]),
    )


def _shown(item: RefItem, base_path: str) -> str:
    """Where it lies: the object's name where the owner's columns say the rest, else the whole URL."""
    base = f"{base_path.rstrip('/')}/"
    own = f"{base}{item.dag_id}/{item.run_id}/{item.task_id}/"
    shown = f"…/{item.uri[len(own) :]}" if item.dag_id and item.uri.startswith(own) else item.uri
    source = item.source or "xcom"
    return shown if source == "xcom" else f"{shown} (in {source})"


def render_totals(totals: RefTotals, stream: TextIO) -> None:
    """What the scan came to, a line for each thing that there is."""
    lines = [
        f"{units.count(totals.references, 'reference')} under {totals.base_path}"
        + (f", {units.size(totals.reference_bytes)}" if totals.reference_bytes else "")
        + f"; in unfinished runs: {totals.unfinished:,}"
    ]
    if len(totals.by_dag) > 1:
        most = sorted(totals.by_dag, key=lambda pair: -pair[1])
        named = ", ".join(f"{dag_id} {count:,}" for dag_id, count in most[:_DAGS])
        lines.append(f"by DAG: {named}" + (f", and {len(most) - _DAGS} more" if len(most) > _DAGS else ""))
    others = (
        (totals.dangling, "dangling (the object is missing: readers get the path string)"),
        (totals.aliases, "aliases (a path string that a task passed on)"),
        (totals.foreign, f"foreign, written under {', '.join(totals.foreign_bases)}: readers get the path string"),
        (totals.outside, "with a path that leads out of the base path: never opened"),
        (totals.archived, f"in archives: {', '.join(totals.tables[1:])}"),
        (totals.pickled, "pickled XComs, which are not opened"),
        (totals.urls, "other URLs, which are values and nothing else"),
    )
    lines += [f"{count:,} {what}" for count, what in others if count]
    if totals.objects is not None:
        lines.append(f"{units.count(totals.objects, 'object')}, {units.size(totals.object_bytes)}")
    if totals.unreferenced:
        young = f"; {totals.young:,} of them younger than an hour, which may get their rows yet" if totals.young else ""
        lines.append(
            f"{totals.unreferenced:,} objects, {units.size(totals.unreferenced_bytes)}, that no row names{young}"
        )
    if totals.state_objects:
        lines.append(f"{units.count(totals.state_objects, 'object')} of the state store on the same prefix")
    if totals.store_error:
        lines.append(f"the store could not be asked about {totals.unasked:,} of them: {totals.store_error}")
    lines += totals.warnings
    lines.append(f"requests to the store: {totals.list_requests:,} LIST, {totals.head_requests:,} HEAD")
    stream.write("\n".join(redact(printable(line)) for line in lines) + "\n")


def risk_rows(stream: TextIO) -> Rows:
    """The table of runs at risk."""
    return Rows(stream, ("DAG", "RUN", "STATE", "STARTED", "REFERENCES", "ALIASES", "WHO WOULD GET PATH STRINGS"))


def add_risk(rows: Rows, run: AtRiskRun) -> None:
    """One row."""
    rows.add(
        run.dag_id,
        run.run_id,
        run.state or "-",
        f"{age(run.started)} ago",
        f"{run.references:,}",
        f"{run.aliases:,}",
        _readers(run),
    )


def _readers(run: AtRiskRun) -> str:
    if not run.finished:
        return ", ".join(f"{count} {state}" for state, count in run.waiting.items()) or "nothing left that reads"
    # include_prior_dates goes by date, and past runs in which its task pushed nothing: no finished run is too old for it.
    return "a task cleared alone, a pull by run_id, dag_id or include_prior_dates, a late callback"


def render_at_risk(answer: AtRiskAnswer, stream: TextIO) -> None:
    """What it came to."""
    lines = [
        f"{units.count(answer.unfinished_runs, 'unfinished run')} at risk, "
        f"{units.count(answer.unfinished_references, 'reference')} under {answer.base_path}"
    ]
    if answer.finished_runs is not None:
        lines.append(
            f"{units.count(answer.finished_runs, 'finished run')} that could still be read, "
            f"{units.count(answer.finished_references, 'reference')}"
        )
    stream.write("\n".join(redact(printable(line)) for line in [*lines, *answer.warnings]) + "\n")


def age(moment: str | None) -> str:
    """How long ago; a dash for no time."""
    if moment is None:
        return "-"
    return units.ago((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
