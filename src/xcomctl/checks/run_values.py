"""The values of a run: what a task that pulls them gets, whether that is what was pushed, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.airflow_compat import xcom_class
from xcomctl.checks.interface import Finding, fail, ok, skip, warn
from xcomctl.checks.run_interface import RunCheck, RunSubject, instance_name, named
from xcomctl.metadata.xcoms import rows_of_run
from xcomctl.model import pull
from xcomctl.model.phases import Phase
from xcomctl.model.references import Layout, Owner, classify
from xcomctl.model.verification import PUSHED_KEY
from xcomctl.references.values import Reader
from xcomctl.store.listing import Listing

_VALUE_KEY = "return_value"
_VALUES = "values"


@dataclass
class Values:
    """One pass over the XComs of a run; a value is let go before the next one is read."""

    xcoms: int = 0
    references: int = 0
    problems: dict[str, list[str]] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    bypassed: list[str] = field(default_factory=list)
    digests: dict[tuple[str, int], Optional[str]] = field(default_factory=dict)
    pushed: dict[tuple[str, int], str] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)


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
    for row in rows_of_run(subject.connection, subject.tables, subject.dag_id, subject.run_id):
        subject.safe_point()
        name = f"{instance_name(row.task_id, row.map_index)} {row.key}"
        resolved = reader.read(row, Owner(subject.dag_id, subject.run_id, row.task_id))
        found.xcoms += 1
        found.references += resolved.place == pull.OBJECT
        if resolved.alias:
            found.aliases.append(name)
            subject.handed_over[instance_name(row.task_id, row.map_index)] = None
        if resolved.problem:
            found.problems.setdefault(resolved.problem, []).append(name)
            found.details.append(f"{name}: {resolved.detail}")
            continue
        if resolved.place == pull.INLINE:
            if _holds_path(resolved.value, subject.base_path):
                found.inside.append(name)
                subject.handed_over[instance_name(row.task_id, row.map_index)] = None
            threshold = subject.settings.threshold
            if subject.phase == Phase.OFFLOAD.value and threshold is not None and row.stored_bytes >= threshold:
                found.bypassed.append(name)
        else:
            found.owners.add(row.task_id)
        place = (row.task_id, row.map_index)
        if row.key == _VALUE_KEY:
            found.digests[place] = pull.digest(resolved.value)
        elif row.key == PUSHED_KEY and isinstance(resolved.value, Mapping):
            digest = resolved.value.get("digest")
            if isinstance(digest, str):
                found.pushed[place] = digest
    return found


def _holds_path(value: Any, base_path: str) -> bool:
    """Whether a value holds a path as the backend writes it, at any depth: somebody got one and kept it."""
    if not base_path:
        return False
    base = f"{base_path.rstrip('/')}/"
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str) and base in each:
            text = each[each.index(base) :].split()[0].rstrip("\"',.;)]}>")
            reference = classify(text, base_path).reference
            if reference is not None and reference.layout is not Layout.OTHER:
                return True
        elif isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, (list, tuple, set, frozenset)):
            waiting += each
    return False


def _references(subject: RunSubject) -> Finding:
    found = values_of(subject)
    bad = {name: names for name, names in found.problems.items() if name in (
        pull.DANGLING, pull.PATH_HANDED_OVER, pull.FOREIGN, pull.OUTSIDE
    )}  # fmt: skip
    data = {"references": found.references, "problems": {name: len(names) for name, names in found.problems.items()}}
    if bad:
        said = "; ".join(f"{len(names)} {problem} ({named(names)})" for problem, names in bad.items())
        return fail(
            f"of {found.references} references: {said}. {found.details[0]}",
            "xcomctl refs --dangling, and clear the tasks that pushed what is missing",
            **data,
        )
    if pull.UNREACHABLE in found.problems:
        return skip(
            f"{len(found.problems[pull.UNREACHABLE])} of {found.references} references could not be asked for: "
            f"{found.details[0]}",
            "is the store reachable from this context? xcomctl preflight --only store,connection",
            **data,
        )
    if not found.references:
        return ok("no value of this run is a reference", **data)
    return ok(f"{found.references} references resolve through the backend", **data)


def _readable(subject: RunSubject) -> Finding:
    found = values_of(subject)
    unreadable = found.problems.get(pull.UNREADABLE, [])
    pickled = found.problems.get(pull.PICKLED, [])
    if unreadable:
        detail = next(each for each in found.details if each.startswith(unreadable[0]))
        return fail(
            f"{len(unreadable)} of {found.xcoms} XComs cannot be read: {detail}", "xcomctl probe", xcoms=found.xcoms
        )
    if pickled:
        return warn(f"{len(pickled)} of {found.xcoms} XComs are pickles, which are not opened", xcoms=found.xcoms)
    rest = sum(len(names) for names in found.problems.values())
    if rest:
        return skip(f"{found.xcoms - rest} of {found.xcoms} XComs were read; of the others references_resolve tells")
    return ok(f"{found.xcoms} XComs are readable", xcoms=found.xcoms)


def _equal(subject: RunSubject) -> Finding:
    found = values_of(subject)
    known = [place for place in found.pushed if found.digests.get(place) is not None]
    if not known:
        return ok("no digest of what was pushed is known: the reference DAG pushes them, this run has none to compare")
    different = [instance_name(*place) for place in known if found.digests[place] != found.pushed[place]]
    if different:
        return fail(
            f"{len(different)} of {len(known)} values are not what was pushed: {named(different)}",
            f"xcomctl pull -d {subject.dag_id} -r '{subject.run_id}' --key {_VALUE_KEY}",
            different=different,
        )
    return ok(f"{len(known)} values equal what was pushed, by digest", compared=len(known))


def _bypassed(subject: RunSubject) -> Optional[Finding]:
    if subject.phase != Phase.OFFLOAD.value:
        return None
    found = values_of(subject).bypassed
    if not found:
        return ok("no inline value is above the threshold")
    return warn(
        f"{len(found)} inline values are above the threshold: they did not go through the backend, as what a trigger "
        f"pushes does not (F12), or were pushed under other settings: {named(found)}",
        xcoms=found,
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
    return ok("0 objects of this run: everything stayed inline, near-inert confirmed", **data)


def paths_in_values(subject: RunSubject) -> list[str]:
    """What the values themselves tell of paths that were handed over."""
    found = values_of(subject)
    said = []
    if found.aliases:
        said.append(f"aliases, path strings pushed as values: {named(found.aliases)}")
    if found.inside:
        said.append(f"paths inside values: {named(found.inside)}")
    return said


CHECKS = (
    RunCheck("references_resolve", "every reference of the run resolves", _references),
    RunCheck("values_equal_pushed", "values are what was pushed, where that is known", _equal),
    RunCheck("trajectory_readable", "every XCom of the run is readable", _readable),
    RunCheck("offload_confirmed", "the objects of this run are in the store", _offload),
    RunCheck("bypassed_backend", "what is large went through the backend", _bypassed),
)
