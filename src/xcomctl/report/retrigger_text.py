"""A re-trigger as text: what has to run again and why, what is only listed, and how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

from xcomctl.model.retrigger import OTHER, SuspectInstance, SuspectRun
from xcomctl.model.retriggered import Found, Outcome
from xcomctl.model.suspects import instance_name
from xcomctl.model.verdicts import Verdict
from xcomctl.report import units
from xcomctl.report.rows import Rows
from xcomctl.report.text import printable

#: Instances of a run, and runs and windows, that are shown.
_INSTANCES, _SHOWN = 20, 20


def render_found(found: Found, notes: Sequence[str], stream: TextIO) -> None:
    """Write what a look found. ``notes`` are sentences about what the look rests on."""
    line = _writer(stream)
    windows = found.answer.windows
    for window in windows[:_SHOWN]:
        end = "now" if window.end is None else units.moment(window.end)
        line(f"{window.phase} from {units.moment(window.start)} to {end}: {window.because}")
    _more(len(windows), line)
    if not windows:
        line("no context was seen under inline or misconfigured; --since and --until name a time that nobody recorded")
    clear = [(run, run.to_clear) for run in found.runs if run.to_clear]
    for run, instances in clear[:_SHOWN]:
        held = run.held_by(found.kill)
        line("")
        line(f"{run.dag_id} {run.run_id}, {run.state}{_holds(run)}: {_to_clear(instances, held)}")
        _table(instances, stream)
        for warning in run.warnings:
            line(f"WARN  {warning}")
        if held:
            line(
                f"WARN  {_named(held)} {'runs' if len(held) == 1 else 'run'} now: nothing of this run is cleared until it has ended,"
            )
            line(f"      so wait for it and call again, or --kill {run.dag_id}.{held[0].task_id}")
    _more(len(clear), line)
    proven = [(run, each) for run in found.runs for each in run.instances if each.proofs]
    if proven:
        line("")
        line("path strings that were left behind:")
        for run, each in proven[:_SHOWN]:
            line(f"  {run.dag_id} {run.run_id} {each.name}: {'; '.join(each.proofs)}")
        _more(len(proven), line)
    others = [(run, each) for run in found.runs for each in run.instances if each.role == OTHER and not each.clear]
    if others:
        line("")
        line(
            "started in a window, in runs that held no reference: they can have read other runs' (--include DAG.TASK clears them)"
        )
        for run, each in others[:_SHOWN]:
            line(f"  {run.dag_id} {run.run_id} {each.name}, {each.state}")
        _more(len(others), line)
    if found.answer.confs:
        line("")
        line("the conf of these runs holds a path string, and keeps it however often they run: trigger them anew")
        for conf in found.answer.confs[:_SHOWN]:
            line(f"  {conf.dag_id} {conf.run_id}")
        _more(len(found.answer.confs), line)
    if found.answer.unknown:
        line(
            f"WARN  when {units.count(found.answer.unknown, 'instance')} really started is not known (airflow db clean removes the rows)"
        )
    for note in (*found.answer.warnings, *notes):
        line(f"WARN  {note}")
    line("")
    line(_sum(found))


def _sum(found: Found) -> str:
    runs = found.clearable
    instances = sum(len(run.to_clear) for run in runs)
    held = f"; {units.count(len(found.held), 'run')} left until what runs there has ended" if found.held else ""
    if not runs:
        return f"nothing to clear{held}"
    return f"to clear: {units.count(instances, 'instance')} of {units.count(len(runs), 'run')}{held}"


def render_outcome(outcome: Outcome, verdict: Verdict, steps: Iterable[str], stream: TextIO) -> None:
    """Write how it went."""
    line = _writer(stream)
    for run, cleared in outcome.cleared:
        if cleared.running:
            line(f"SKIP  {run.dag_id} {run.run_id}: {', '.join(cleared.running)} began to run, so nothing was cleared")
        else:
            line(f"OK    {run.dag_id} {run.run_id}: {units.count(len(cleared.instances), 'instance')} cleared")
        for warning in cleared.warnings:
            line(f"WARN  {warning}")
    for each in outcome.watched:
        word = {Verdict.OK: "OK   ", Verdict.FAILED: "FAIL "}.get(each.verdict, "SKIP ")
        said = "green again" if each.verdict is Verdict.OK else f"is {each.state or 'not there any more'}"
        line(f"{word} {each.dag_id} {each.run_id}: {said}")
    for dag_id, run_id in outcome.paused:
        line(f"SKIP  {dag_id} {run_id}: the DAG is paused, so nothing of it runs")
    line(f"retrigger: {verdict.value}")
    for step in steps:
        line(f"→ {step}")


def _table(instances: Sequence[SuspectInstance], stream: TextIO) -> None:
    rows = Rows(stream, ("  TASK", "MAP", "STATE", "STARTED", "WHY"))
    for each in instances[:_INSTANCES]:
        index = "" if each.map_index < 0 else str(each.map_index)
        started = "" if each.started is None else units.moment(each.started)
        rows.add(f"  {each.task_id}", index, each.state or "none", started, f"{each.role}: {each.why}")
    rows.flush()
    if len(instances) > _INSTANCES:
        stream.write(f"  and {len(instances) - _INSTANCES} more (--output json has them all)\n")


def _holds(run: SuspectRun) -> str:
    said = [units.count(run.references, "reference")] if run.references else []
    said += [units.count(run.aliases, "alias", "aliases")] if run.aliases else []
    return f", holds {' and '.join(said)}" if said else ""


def _to_clear(instances: Sequence[SuspectInstance], held: Sequence[SuspectInstance]) -> str:
    return f"{units.count(len(instances), 'instance')} to clear{', later' if held else ''}"


def _named(instances: Sequence[SuspectInstance]) -> str:
    return ", ".join(instance_name(each.task_id, each.map_index) for each in instances[:_SHOWN])


def _writer(stream: TextIO) -> Callable[[str], None]:
    def line(text: str) -> None:
        stream.write(f"{printable(text)}\n")

    return line


def _more(count: int, line: Callable[[str], None]) -> None:
    if count > _SHOWN:
        line(f"  and {count - _SHOWN} more (--output json has them all)")
