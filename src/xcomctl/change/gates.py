"""What stands between two steps, each as a check: whether it is passed, and if not, what would unblock it (DESIGN §1).

What could not be told (``skip``) keeps a step from being taken as a failure does.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence

from xcomctl.change.barrier import Evaluated
from xcomctl.change.carrier_edit import CarrierEdit
from xcomctl.change.observed import Held, Standing
from xcomctl.model.barrier import STOPPED
from xcomctl.model.phases import Phase, path_problem
from xcomctl.model.plan import StepFactsAnswer
from xcomctl.model.redaction import redact
from xcomctl.model.references import covers
from xcomctl.model.refs import AtRiskRun
from xcomctl.model.settings import THRESHOLD, THRESHOLD_FLOOR, Settings
from xcomctl.model.verdicts import Check, Status
from xcomctl.report import units

CATEGORY = "gates"
#: Blockers and runs that are named in a sentence.
_NAMED = 5


def barrier(found: Evaluated, options: str) -> Check:
    """Whether the step before this one is over. ``options`` name the contexts in commands."""
    judged = found.barrier
    stopped = judged.target == STOPPED
    title = "the whole fleet stands still" if stopped else f"the barrier of the step to {judged.target} is passed"
    said = [f"{each.name} {each.reason}" for each in judged.blockers] + list(judged.unknown)
    detail = "; ".join(said[:_NAMED]) + (f" and {len(said) - _NAMED} more" if len(said) > _NAMED else "")
    data = {"barrier": judged.to_json()}
    if judged.passed:
        accepted = [each.name for each in judged.accepted]
        if accepted:
            return _gate("barrier", title, Status.WARN, f"accepted by name: {', '.join(accepted)}", data=data)
        since = "" if judged.moment is None else f", since {units.moment(judged.moment)}"
        return _gate("barrier", title, Status.OK, f"passed{since}", data=data)
    hint = "stop every component, then ask again" if stopped else f"xcomctl wait --to {judged.target}{options}"
    return _gate("barrier", title, Status.FAIL if judged.blockers else Status.SKIP, detail, hint, data)


def base_path(standing: Standing, wanted: Settings, held: Held | None) -> Check:
    """Whether references that resolve now go on to resolve: a changed base path, or connection in it, leaves them (F3).

    ``held`` is what is stored under the path that resolves now. Where none does, what unfinished runs hold tells.
    """
    title = "the base path stays, or nothing is stored under the old one"
    old, new = standing.path, wanted.path
    if old is None:
        return _new_base_path(title, new, standing.held_under)
    if new is not None and path_problem(new) is None and covers(new, old):
        return _gate(
            "base_path", title, Status.OK, f"it is {redact(new)}" + ("" if new == old else f", above {redact(old)}")
        )
    assert held is not None  # a path that changes was looked at
    stored = held.totals.references + held.totals.archived
    said = f"{redact(old)} becomes {redact(str(new))}"
    if held.totals.pickled:
        why = f"{said}, and {units.count(held.totals.pickled, 'pickled XCom')} cannot be looked into"
        return _gate("base_path", title, Status.SKIP, why, "xcomctl preflight --only metadata_pickling")
    if not stored:
        return _gate("base_path", title, Status.OK, f"{said}, and no reference is stored under the old one")
    why = f"{said}, and {units.count(stored, 'reference')} under the old one would be handed over as path strings"
    return _gate("base_path", title, Status.FAIL, why, f"--path {shlex.quote(redact(old))}, or one above it")


def _new_base_path(title: str, new: str | None, held_under: str | None) -> Check:
    """The same where none resolves now: then a path is mistyped more easily than it is compared."""
    said = f"no base path resolves now; it becomes {redact(str(new))}"
    if new is None or held_under is None or covers(new, held_under):
        return _gate("base_path", title, Status.OK, said)
    why = f"{said}, and references of unfinished runs lie under {redact(held_under)}: they would not resolve"
    return _gate("base_path", title, Status.FAIL, why, f"--path {shlex.quote(redact(held_under))}, or one above it")


def carrier(standing: Standing, edit: CarrierEdit) -> Check:
    """Whether the file says what the contexts resolve: else it is not the one that they read, or is not deployed yet."""
    title = "the carrier says what the contexts resolve"
    says, resolved = edit.phase_before.phase, standing.phase
    if says is resolved:
        path = edit.before.path
        if says is not Phase.INLINE and path != standing.path and standing.path is not None:
            why = f"its base path is {redact(str(path))}, and they resolve {redact(standing.path)}"
            return _gate("carrier", title, Status.FAIL, why, "deploy it, or name the file that they read: --carrier")
        if edit.notes:
            return _gate("carrier", title, Status.WARN, f"both are {says.value}, and {redact('; '.join(edit.notes))}")
        return _gate("carrier", title, Status.OK, f"both are {says.value}")
    source = standing.resolution.backend.source
    why = (
        f"it says {says.value} ({edit.phase_before.reason}), and they resolve {resolved.value if resolved else 'no one phase'}"
        + (f", from {source}" if source else "")
    )
    return _gate("carrier", title, Status.FAIL, why, "deploy it first, or name the file that they read: --carrier")


def threshold(wanted: Settings) -> Check:
    """Whether the threshold leaves Airflow's own control flow in the database (F36)."""
    title = f"the threshold is at least {THRESHOLD_FLOOR:,} bytes"
    number = wanted.threshold or 0
    if number >= THRESHOLD_FLOOR:
        return _gate("threshold", title, Status.OK, f"{number:,} bytes")
    why = f"{number:,} bytes: the scheduler reads skipmixin_key past the backend, and a skipped branch would run"
    return _gate("threshold", title, Status.FAIL, why, f"--threshold {THRESHOLD_FLOOR} or more ({THRESHOLD.env})")


def references(held: Held | None, keep_finished: str | None, options: str, accepted: Collection[str] = ()) -> Check:
    """Whether no row holds a reference, so that ``inline`` hands none over as a path string.

    ``keep_finished`` is why those of finished runs may stay, ``accepted`` names tasks (``DAG.TASK``) whose aliases may. What cannot be looked into is not known to hold none, nor is
    anything where no base path is known (``held`` is ``None``).
    """
    title = "no row of xcom holds a reference"
    if held is None:
        why = "no base path resolves and none is named, so nothing can be told to be a reference"
        return _gate("references", title, Status.SKIP, why, "--path URL, or path in the deployment's [settings]")
    totals = held.blocking
    stays = {run: sum(tasks.get(task, 0) for task in set(accepted)) for run, tasks in held.aliases.items()}
    aliases = totals.aliases - sum(stays.values())
    unfinished = [f"{run.dag_id} {run.run_id} ({_held(run)})" for run in held.unfinished if _blocks(run, stays)]
    finished = [f"{run.dag_id} {run.run_id}" for run in held.finished if _blocks(run, stays)]
    data = {
        "references": totals.references,
        "unfinished_references": totals.unfinished,
        "archived": totals.archived,
        "aliases": totals.aliases,
        "outside": totals.outside,
        "foreign": totals.foreign,
        "unfinished_runs": unfinished,
        "finished_runs": held.finished_runs,
        "kept": finished,
    }
    if totals.pickled:
        why = f"{units.count(totals.pickled, 'pickled XCom')} cannot be looked into, and may hold some"
        return _gate("references", title, Status.SKIP, why, "xcomctl preflight --only metadata_pickling", data)
    if totals.outside:
        why = f"{units.count(totals.outside, 'row')} hold a path that leads out of the base path: nothing opens it, and inline hands it over"
        return _gate(
            "references", title, Status.FAIL, why, f"xcomctl refs{options}  # clear the tasks that pushed them", data
        )
    if not totals.references and not aliases:
        if totals.aliases:
            named = ", ".join(sorted({task for tasks in held.aliases.values() for task in tasks}))
            why = f"0 references; {units.count(totals.aliases, 'alias', 'aliases')} accepted by name: {named}"
            return _gate("references", title, Status.WARN, why, data=data)
        return _gate("references", title, Status.OK, "0 references, 0 aliases", data=data)
    if unfinished:
        why = f"{units.count(len(unfinished), 'run')} not over: {_some(unfinished)}"
        hint = f"xcomctl rehydrate{options}"
        return _gate("references", title, Status.FAIL, why, hint, data)
    said = (
        f"{units.count(totals.references, 'reference')} and {units.count(aliases, 'alias', 'aliases')} in "
        f"{units.count(held.finished_runs, 'finished run')}: {_some(finished)}"
    )
    if keep_finished is not None:
        why = f"{said}; kept, since {keep_finished}: whoever reads them gets path strings"
        return _gate("references", title, Status.WARN, why, data=data)
    hint = f"xcomctl rehydrate{options}  # or name why they may stay: --keep-finished REASON"
    return _gate("references", title, Status.FAIL, said, hint, data)


def values_fit(facts: StepFactsAnswer) -> Check:
    """Whether what is pushed into the store now fits in the column (F37): else its producers fail from here on."""
    title = "what is offloaded now fits in the metadata database"
    data = facts.to_json()
    if facts.column != "jsonb":
        return _gate(
            "values_fit",
            title,
            Status.OK,
            f"the column is {facts.column}, which takes whatever JSON there is",
            data=data,
        )
    seen = f"{facts.looked_at:,} of {facts.references:,} objects were read, the newest"
    if facts.misfit_count:
        named = _some([f"{each.dag_id}.{each.task_id} key {each.key} {each.reason}" for each in facts.misfits])
        why = f"{units.count(facts.misfit_count, 'value')} would not: {named} ({seen}); pushing such fails under dual-read"
        return _gate("values_fit", title, Status.WARN, why, "let the task return what JSONB can hold (F37)", data)
    if facts.unread:
        why = f"{seen}; {facts.unread:,} could not be: {facts.unread_why}"
        return _gate("values_fit", title, Status.WARN, why, "xcomctl refs --dangling", data)
    return _gate("values_fit", title, Status.OK, f"{seen}: all do", data=data)


def _blocks(run: AtRiskRun, accepted: Mapping[tuple[str, str], int]) -> bool:
    return bool(run.references) or run.aliases > accepted.get((run.dag_id, run.run_id), 0)


def _held(run: AtRiskRun) -> str:
    said = units.count(run.references, "reference")
    return said if not run.aliases else f"{said}, {units.count(run.aliases, 'alias', 'aliases')}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _gate(
    id: str, title: str, status: Status, detail: str, hint: str = "", data: Mapping[str, object] | None = None
) -> Check:
    return Check(f"gate_{id}", CATEGORY, title, status, detail, hint, data=data or {})
