"""Whether a task of a run got a path string as if it were data: by what is left of it, and by when the task started."""

from __future__ import annotations

from typing import Any

from xcomctl.airflow_compat import trigger_kwargs
from xcomctl.checks.interface import Finding, fail, ok, skip, warn
from xcomctl.checks.run_interface import MOST_NAMED, RunCheck, RunSubject, named
from xcomctl.checks.run_values import paths_in_values
from xcomctl.metadata import starts, traces
from xcomctl.metadata.risk import first_reference, others_hold_references
from xcomctl.model.handed_over import CONFS_STAY, holds_path
from xcomctl.model.suspects import Ran, instance_name, suspects, windows

#: What to do where no base path resolves.
_PATH_HINT = "xcomctl preflight --only config  # or name it: --expect-path URL"


def _handed_over(subject: RunSubject) -> Finding:
    if not subject.base_path:
        return skip("no base path resolves, so no path under it can be recognised", _PATH_HINT)
    said = paths_in_values(subject)
    in_triggers, unread = _triggers(subject)
    for what, found in (
        ("rendered templates", traces.rendered(*_of(subject))),
        ("what deferred tasks are resumed with", traces.next_kwargs(*_of(subject))),
        ("the kwargs of the triggers", in_triggers),
    ):
        names = [instance_name(*each) for each in found]
        if names:
            said.append(f"{what} of {named(names)}")
            subject.handed_over.update(dict.fromkeys(names))
    own = traces.own_conf(*_of(subject))
    others = traces.confs_of_others(*_of(subject))
    if own:
        said.append("the conf of this run itself")
    if others:
        said.append(f"the conf of runs: {named([f'{dag_id} {run_id}' for dag_id, run_id in others])}")
    if said:
        runs = [(subject.dag_id, subject.run_id)] * own + others
        return fail(
            f"path strings under the base path were handed over in {'; '.join(said)}",
            f"clear these tasks once every context resolves references{CONFS_STAY if runs else ''}",
            handed_over=list(subject.handed_over)[:MOST_NAMED], runs=[list(each) for each in runs],
        )  # fmt: skip
    where = "values, rendered templates, next_kwargs, the kwargs of triggers, and the confs of this and of other runs"
    if unread:
        return skip(
            f"no path string in {where}, but those of the triggers of {named(unread)} cannot be decrypted",
            "is this context's [core] fernet_key the deployment's?",
        )
    return ok(f"no path string in {where}")


def _triggers(subject: RunSubject) -> tuple[list[tuple[str, int]], list[str]]:
    """The instances that wait for a trigger with such a path in its kwargs, and those whose kwargs cannot be read, by name."""
    found, unread = [], []
    of_run = (subject.connection, subject.tables, subject.dag_id, subject.run_id)
    for task_id, map_index, stored in traces.trigger_kwargs(*of_run):
        try:
            kwargs = trigger_kwargs.decrypted(stored)
        except ValueError:
            unread.append(instance_name(task_id, map_index))
        else:
            if holds_path(kwargs, subject.base_path):
                found.append((task_id, map_index))
    return found, unread


def _of(subject: RunSubject) -> tuple[Any, Any, str, str, str]:
    return subject.connection, subject.tables, subject.dag_id, subject.run_id, subject.base_path


def _started(subject: RunSubject) -> Finding:
    lives = [
        (life.start, life.end)
        for life in starts.lifetimes(subject.connection, subject.tables)
        if life.job_type != "TriggererJob"
    ]
    bad = windows(subject.observations, lives)
    if bad and not subject.base_path:
        return skip(
            f"{bad[0].because}, and no base path is known under which the run could hold references", _PATH_HINT
        )
    instances = starts.starts_of(subject.connection, subject.tables, subject.dag_id, subject.run_id)
    unknown = [instance_name(each.task_id, each.map_index) for each in instances if each.started is None]
    first = first_reference(*_of(subject)) if subject.base_path else None
    found = suspects(map(_ran, instances), bad, first)
    if found.started:
        names = sorted(found.started)
        subject.handed_over.update(dict.fromkeys(names))
        return fail(
            f"{len(names)} instances started while the run held references and {found.started[names[0]].because}: "
            f"{named(names)}; their readers got path strings, whatever the tasks' states say",
            "clear these tasks once every context resolves references",
            suspects=names[:MOST_NAMED], because=found.started[names[0]].because,
        )  # fmt: skip
    if not bad:
        if unknown and first is not None:
            return ok(
                f"no window of inline or misconfigured is known; the starts of {len(unknown)} instances are not either"
            )
        return ok("no context was seen under inline or misconfigured in the lifetime of a scheduler")
    if unknown and first is not None:
        return skip(
            f"when {named(unknown)} started is not known (airflow db clean removes the log rows), and {bad[0].because}",
            "look at these tasks' logs",
        )
    if found.ran_on:
        names = sorted(found.ran_on)
        return warn(
            f"{named(names)} started before the run held a reference and ran on when it did, and "
            f"{found.ran_on[names[0]].because}: what is not downstream of the value may still pull it, and gets a path string",
            "look at what these tasks pull",
            started=names[:MOST_NAMED],
        )
    if found.inside and others_hold_references(*_of(subject)):
        names = sorted(found.inside)
        window = found.inside[names[0]]
        return warn(
            f"{named(names)} started under {window.phase} ({window.because}) while other runs hold references: a pull by "
            "run_id, dag_id or include_prior_dates got a path string",
            "xcomctl refs --at-risk",
            started=names[:MOST_NAMED],
        )
    return ok("no instance of the run started under inline or misconfigured while it held references")


def _ran(each: starts.Start) -> Ran:
    moments = tuple(moment for moment in (each.began, each.started) if moment is not None)
    return Ran(instance_name(each.task_id, each.map_index), moments, each.ended)


CHECKS = (
    RunCheck("no_path_handed_over", "no path string was handed over as a value", _handed_over),
    RunCheck("started_under_inline", "no reader started under a phase that hands paths over", _started),
)
