"""Stored URLs: references that would not resolve (F3), and strings that are mistaken for references (F7, F44)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from xcomctl.checks.interface import CheckSpec, Finding, Subject, fail, ok
from xcomctl.checks.scans import DB_CLEAN, FLIPPED, examples, is_flip, many, scanning, short, spec
from xcomctl.model.phases import Phase, path_problem
from xcomctl.model.settings import PATH, THRESHOLD
from xcomctl.references.scan import Survey, survey


@functools.lru_cache(maxsize=1)  # two checks look at it: one pass for both
def _urls(subject: Subject) -> Survey:
    path = subject.target.path
    base_path = "" if path is None or path_problem(path) is not None else path
    with scanning(subject, "stored URLs") as scan:
        return survey(
            scan.connection,
            scan.tables,
            base_path,
            shown=functools.partial(short, subject),
            seen=scan.signs_of_life(),
        )


#: How references go, while they still resolve and no further ones are written.
_GONE = f"Clear the tasks that wrote them, so that they store their values inline, or remove those that nobody reads: {DB_CLEAN}"


def _can_be_reached(subject: Subject) -> bool:
    return subject.target_phase in (Phase.INLINE, *FLIPPED)


def _references(subject: Subject) -> Finding:
    found = _urls(subject)
    base_path = subject.target.path
    data = {
        **found.foreign.to_json(),
        "references": found.references.count,
        "references_in_unfinished_runs": found.references.unfinished_runs,
        "base_paths": list(found.bases),
        "urls": found.urls,
    }
    resolving = f"{many(found.references, 'reference')} under {base_path}"
    if subject.target_phase is Phase.INLINE:
        return _references_under_inline(found, data)
    if found.foreign.count:
        return fail(
            f"{many(found.foreign, 'reference')} under {', '.join(found.bases)}, expected all under {base_path}: every"
            f" pull of such a one gives the path string{examples(found.foreign)}. {resolving}",
            f'keep {PATH.env}={found.bases[0]} (or a folder above it), with {THRESHOLD.env}="-1", until none is left. {_GONE}',
            **data,
        )
    return ok(f"{resolving}, none under another path; {found.urls:,} other URLs are plain values", **data)


def _references_under_inline(found: Survey, data: Mapping[str, Any]) -> Finding:
    count = found.references.count + found.aliases.count + found.foreign.count
    data = {**data, "count": count}
    if not count:
        return ok(f"no reference is stored; {found.urls:,} URLs are plain values", **data)
    tally = next(each for each in (found.references, found.foreign, found.aliases) if each.count)
    return fail(
        f"{count:,} references are stored, expected none for inline: Airflow's own class gives every reader of them the"
        f" path string{examples(tally)}",
        f'stay under dual-read, {THRESHOLD.env}="-1" with the backend kept, until none is left. {_GONE}',
        **{**data, "examples": list(tally.examples)},
    )


def _own_paths(subject: Subject) -> Finding:
    found = _urls(subject)
    own, aliases = found.own_paths, found.aliases
    base_path = subject.target.path
    data = {
        **(own if own.count else aliases).to_json(),
        "count": own.count + aliases.count,
        "own_paths": own.count,
        "aliases": aliases.count,
    }
    said = []
    if own.count:
        said.append(
            f"{many(own, 'string')} under {base_path} that the backend did not write: a reader would get the file's"
            f" content, and a retry would delete the file{examples(own)}"
        )
    if aliases.count:
        said.append(
            f"{many(aliases, 'reference')} of another run or task, passed on as a value: purging one deletes the"
            f" object of the task that wrote it{examples(aliases)}"
        )
    if not said:
        return ok(f"no string under {base_path} is anything but its own task's reference", **data)
    hint = (
        "have the tasks write their files outside the prefix, or give the backend one of its own" if own.count else ""
    )
    if aliases.count:
        hint += ("; " if hint else "") + "clear the tasks that passed a path on, so that they pass the value"
    return fail(". ".join(said), f"{hint}; accepted by name: --skip metadata_own_paths", **data)


CHECKS: tuple[CheckSpec, ...] = (
    spec("metadata_references", "every stored reference resolves under the path", _references, _can_be_reached),
    spec("metadata_own_paths", "no task's own string is under the path", _own_paths, is_flip),
)
