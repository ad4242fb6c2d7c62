"""The values of a run: what a task that pulls them gets, whether that is what was pushed, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.airflow_compat import xcom_class
from xcomctl.checks.interface import Finding, fail, ok, skip, warn
from xcomctl.checks.run_interface import MOST_NAMED, NAMED, RunCheck, RunSubject
from xcomctl.metadata.xcoms import Narrow, count_of_run, rows_of_run
from xcomctl.model import pull, way_out
from xcomctl.model.handed_over import holds_path
from xcomctl.model.phases import Phase
from xcomctl.model.references import Owner, classify
from xcomctl.model.suspects import instance_name
from xcomctl.model.verification import PUSHED_KEY, is_pushed_digest
from xcomctl.references.values import Reader
from xcomctl.store.listing import Listing

_VALUE_KEY = "return_value"
_VALUES = "values"
#: What becomes of a reference that a reader gets no value for, and what mends it; the worst first. ``{of_run}`` names the run.
_WAYS_OUT = {
    pull.DANGLING: "xcomctl refs --dangling{of_run}  # and clear the tasks that pushed what is missing",
    pull.PATH_HANDED_OVER: "mend what resolves in this context: the objects are there",
    pull.FOREIGN: "xcomctl refs --foreign{of_run}  # and set the base path that they were written under",
    pull.OUTSIDE: "look at the tasks that pushed these: no backend writes such a path",
}


@dataclass
class Names:
    """How many, and the first of them by name: a run may have any number."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """One more."""
        self.count += 1
        if self.count <= MOST_NAMED:
            self.first.append(name)

    def __str__(self) -> str:
        more = self.count - NAMED
        return ", ".join(self.first[:NAMED]) + (f" and {more} more" if more > 0 else "")


@dataclass
class Values:
    """One pass over the XComs of a run; a value is let go before the next one is read.

    ``compared`` counts the values whose digest was pushed beside them. ``details`` has the first sentence of each problem.
    """

    xcoms: int = 0
    references: int = 0
    problems: dict[str, Names] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    aliases: Names = field(default_factory=Names)
    inside: Names = field(default_factory=Names)
    bypassed: Names = field(default_factory=Names)
    compared: int = 0
    different: Names = field(default_factory=Names)
    #: What waits for its other half, by task and map index: digests of values, and those that were pushed.
    digests: dict[tuple[str, int], Optional[str]] = field(default_factory=dict)
    pushed: dict[tuple[str, int], str] = field(default_factory=dict)


def values_of(subject: RunSubject) -> Values:
    """The pass, made once."""
    found = subject.shared.get(_VALUES)
    if found is None:
        found = subject.shared[_VALUES] = _read(subject)
    assert isinstance(found, Values)
    return found


def _read(subject: RunSubject) -> Values:
    xcom_class.resolved_class()
    reader = Reader(subject.base_path, subject.phase)
    found = Values()
    of_run = (subject.connection, subject.tables, subject.dag_id, subject.run_id)
    with_digests = count_of_run(*of_run, Narrow(key=PUSHED_KEY)) > 0
    threshold = subject.settings.threshold if subject.phase == Phase.OFFLOAD.value else None
    for row in rows_of_run(*of_run):
        subject.safe_point()
        instance = instance_name(row.task_id, row.map_index)
        name = f"{instance} {row.key}"
        resolved = reader.read(row, Owner(subject.dag_id, subject.run_id, row.task_id))
        found.xcoms += 1
        found.references += resolved.place == pull.OBJECT
        if resolved.alias:
            found.aliases.add(name)
            subject.handed_over[instance] = None
        if resolved.problem:
            found.problems.setdefault(resolved.problem, Names()).add(name)
            found.details.setdefault(resolved.problem, f"{name}: {resolved.detail}")
            continue
        if holds_path(resolved.value, subject.base_path):
            found.inside.add(name)
            subject.handed_over[instance] = None
        if resolved.place == pull.INLINE and threshold is not None and row.stored_bytes >= threshold:
            found.bypassed.add(name)
        if with_digests:
            _compare(found, (row.task_id, row.map_index), row.key, resolved.value)
    return found


def _compare(found: Values, place: tuple[str, int], key: str, value: Any) -> None:
    """Keep one half, or compare it with the other one."""
    if key == _VALUE_KEY:
        found.digests[place] = pull.digest(value)
    elif key == PUSHED_KEY and is_pushed_digest(value):
        found.pushed[place] = value["digest"]
    if place in found.digests and place in found.pushed:
        got, wanted = found.digests.pop(place), found.pushed.pop(place)
        if got is not None:
            found.compared += 1
            if got != wanted:
                found.different.add(instance_name(*place))


def _references(subject: RunSubject) -> Finding:
    found = values_of(subject)
    bad = [name for name in _WAYS_OUT if name in found.problems]
    data = {"references": found.references, "problems": {name: names.count for name, names in found.problems.items()}}
    if bad:
        said = "; ".join(f"{found.problems[name].count} {name} ({found.problems[name]})" for name in bad)
        return fail(
            f"of {found.references} references: {said}. {found.details[bad[0]]}",
            "\n".join(_WAYS_OUT[name].format(of_run=way_out.of_run(subject.dag_id, subject.run_id)) for name in bad),
            **data,
        )
    if pull.UNREACHABLE in found.problems:
        return skip(
            f"{found.problems[pull.UNREACHABLE].count} of {found.references} references could not be asked for: "
            f"{found.details[pull.UNREACHABLE]}",
            "is the store reachable from this context? xcomctl preflight --only store,connection",
            **data,
        )
    if not found.references:
        return ok("no value of this run is a reference", **data)
    return ok(f"{found.references} references resolve through the backend", **data)


def _readable(subject: RunSubject) -> Finding:
    found = values_of(subject)
    unreadable, pickled = found.problems.get(pull.UNREADABLE), found.problems.get(pull.PICKLED)
    if unreadable is not None:
        detail = found.details[pull.UNREADABLE]
        return fail(
            f"{unreadable.count} of {found.xcoms} XComs cannot be read: {detail}", "xcomctl probe", xcoms=found.xcoms
        )
    if pickled is not None:
        said = f"{pickled.count} of {found.xcoms} XComs are pickles, which are not opened: loading one runs it"
        return skip(said, xcoms=found.xcoms)
    rest = sum(names.count for names in found.problems.values())
    if rest:
        return skip(f"{found.xcoms - rest} of {found.xcoms} XComs were read; of the others references_resolve tells")
    return ok(f"{found.xcoms} XComs are readable", xcoms=found.xcoms)


def _equal(subject: RunSubject) -> Finding:
    found = values_of(subject)
    missing = f"; of {len(found.pushed)} the value was not there to compare" if found.pushed else ""
    if not found.compared:
        return ok(
            "no digest of what was pushed is known: the reference DAG pushes them, this run has none to compare"
            + missing
        )
    if found.different.count:
        return fail(
            f"{found.different.count} of {found.compared} values are not what was pushed: {found.different}{missing}",
            way_out.pull_step(subject.dag_id, subject.run_id, f" --key {_VALUE_KEY}"),
            different=found.different.first,
        )
    return ok(
        f"{found.compared} values equal what was pushed, by digest{missing}",
        compared=found.compared,
        missing=len(found.pushed),
    )


def _bypassed(subject: RunSubject) -> Optional[Finding]:
    if subject.phase != Phase.OFFLOAD.value:
        return None
    found = values_of(subject).bypassed
    if not found.count:
        return ok("no inline value is above the threshold")
    return warn(
        f"{found.count} inline values are above the threshold: they did not go through the backend, as what a trigger "
        f"pushes does not (F12), or were pushed under other settings: {found}",
        xcoms=found.first,
    )


def _offload(subject: RunSubject) -> Finding:
    if not subject.base_path:
        return skip("no base path resolves, so no object can be looked for", "xcomctl preflight --only config")
    listing = Listing(subject.base_path, f"{subject.dag_id}/{subject.run_id}")
    objects = size = 0
    tasks: dict[str, int] = {}
    for each in listing:
        subject.safe_point()
        objects += 1
        size += each.size
        reference = classify(each.uri, subject.base_path).reference
        task = reference.task_id if reference is not None and reference.task_id is not None else "?"
        tasks[task] = tasks.get(task, 0) + 1
    data = {"objects": objects, "bytes": size, "tasks": tasks, "requests": listing.requests}
    if objects:
        by_task = ", ".join(f"{task} {count}" for task, count in sorted(tasks.items()))
        return ok(f"{objects} objects of this run, {size:,} bytes: {by_task}", **data)
    if subject.phase != Phase.OFFLOAD.value:  # that nothing was offloaded says nothing of offload then (F14)
        return ok(f"0 objects of this run; this context is {subject.phase} and offloads nothing", **data)
    large = values_of(subject).bypassed
    if large.count:
        return skip(
            f"0 objects of this run, although {large.count} of its values are above the threshold and lie inline ({large}): "
            "what pushed them had other settings than this context, or it bypasses the backend (F12). This run shows no "
            "offload",
            "has every component restarted? xcomctl preflight --only config_running  # else verify a run whose tasks return "
            "large values",
            **data,
        )
    return ok("0 objects of this run: everything stayed inline, near-inert confirmed", **data)


def paths_in_values(subject: RunSubject) -> list[str]:
    """What the values themselves tell of paths that were handed over."""
    found = values_of(subject)
    said = []
    if found.aliases.count:
        said.append(f"aliases, path strings pushed as values: {found.aliases}")
    if found.inside.count:
        said.append(f"paths inside values: {found.inside}")
    return said


CHECKS = (
    RunCheck("references_resolve", "every reference of the run resolves", _references),
    RunCheck("values_equal_pushed", "values are what was pushed, where that is known", _equal),
    RunCheck("trajectory_readable", "every XCom of the run is readable", _readable),
    RunCheck("offload_confirmed", "the objects of this run are in the store", _offload),
    RunCheck("bypassed_backend", "what is large went through the backend", _bypassed),
)
