"""Whether a task of a run got a path string as if it were data: by what is left of it, and by when the task started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from xcomctl.checks.interface import Finding, fail, ok, skip, warn
from xcomctl.checks.run_interface import RunCheck, RunSubject, instance_name, named
from xcomctl.checks.run_values import paths_in_values
from xcomctl.metadata import starts, traces
from xcomctl.metadata.risk import first_reference, others_hold_references
from xcomctl.model.suspects import windows


def _handed_over(subject: RunSubject) -> Finding:
    if not subject.base_path:
        return skip("no base path resolves, so no path under it can be recognised", "xcomctl preflight --only config")
    said = paths_in_values(subject)
    for what, found in (
        ("rendered templates", traces.rendered(*_of(subject))),
        ("what deferred tasks are resumed with", traces.next_kwargs(*_of(subject))),
    ):
        names = [instance_name(*each) for each in found]
        if names:
            said.append(f"{what} of {named(names)}")
            subject.handed_over.update(dict.fromkeys(names))
    runs = traces.confs_of_others(*_of(subject))
    if runs:
        said.append(f"the conf of runs: {named([f'{dag_id} {run_id}' for dag_id, run_id in runs])}")
    where = "values, rendered templates, next_kwargs and the confs of other runs"
    if said:
        return fail(
            f"path strings under the base path were handed over in {'; '.join(said)}",
            "clear these tasks once every context resolves references",
            handed_over=list(subject.handed_over), runs=[list(each) for each in runs],
        )  # fmt: skip
    note = (
        "; the kwargs of triggers are encrypted, and were not looked into"
        if traces.has_triggers(*_of(subject)[:3])
        else ""
    )
    return ok(f"no path string in {where}{note}")


def _of(subject: RunSubject) -> tuple[Any, Any, str, str, str]:
    return subject.connection, subject.tables, subject.dag_id, subject.run_id, subject.base_path


def _started(subject: RunSubject) -> Finding:
    lives = [
        (life.start, life.end)
        for life in starts.lifetimes(subject.connection, subject.tables)
        if life.job_type != "TriggererJob"
    ]
    bad = windows(subject.observations, lives)
    instances = starts.starts_of(subject.connection, subject.tables, subject.dag_id, subject.run_id)
    unknown = [instance_name(each.task_id, each.map_index) for each in instances if each.started is None]
    first = first_reference(*_of(subject)) if subject.base_path else None
    suspects, because = _suspects(instances, bad, first)
    if suspects:
        subject.handed_over.update(dict.fromkeys(suspects))
        return fail(
            f"{len(suspects)} instances started while the run held references and {because}: {named(suspects)}; their "
            "readers got path strings, whatever the tasks' states say",
            "clear these tasks once every context resolves references",
            suspects=suspects,
        )
    if not bad:
        if unknown and first is not None:
            return ok(
                f"no window of inline or misconfigured is known; the starts of {len(unknown)} instances are not either"
            )
        return ok("no context was seen under inline or misconfigured in the lifetime of a scheduler")
    inside, _ = _suspects(instances, bad, None, any_time=True)
    if inside and subject.base_path and others_hold_references(*_of(subject)):
        return warn(
            f"{named(inside)} started under {bad[0].phase} ({bad[0].because}) while other runs hold references: a pull by "
            "run_id, dag_id or include_prior_dates got a path string",
            "xcomctl refs --at-risk",
            started=inside,
        )
    if unknown and first is not None:
        return skip(
            f"when {named(unknown)} started is not known (airflow db clean removes the log rows), and {bad[0].because}",
            "look at these tasks' logs",
        )
    return ok("no instance of the run started under inline or misconfigured while it held references")


def _suspects(
    instances: Sequence[starts.Start], bad: Sequence[Any], first: Optional[Any], any_time: bool = False
) -> tuple[list[str], str]:
    """Who started in a window, after the run's first reference was there; and what the window rests on."""
    if not any_time and first is None:
        return [], ""
    found, because = [], ""
    for each in instances:
        if each.started is None or (first is not None and each.started <= first):
            continue
        window = next((window for window in bad if window.holds(each.started)), None)
        if window is not None:
            found.append(instance_name(each.task_id, each.map_index))
            because = window.because
    return sorted(found), because


CHECKS = (
    RunCheck("no_path_handed_over", "no path string was handed over as a value", _handed_over),
    RunCheck("started_under_inline", "no reader started under a phase that hands paths over", _started),
)
