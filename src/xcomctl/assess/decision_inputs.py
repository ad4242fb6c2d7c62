"""What a decision rests on: the JSON of other commands, from files or from the journal. Secrets are taken out at the door."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from xcomctl.assess.decision_shapes import misfit
from xcomctl.errors import UserError
from xcomctl.model import decision, plan, preflight, rehearsal, size
from xcomctl.model.decision import Evidence, PlanSeen, PreflightSeen, RehearsalSeen, Source
from xcomctl.model.journal_entry import JournalEntry, parse_time
from xcomctl.model.redaction import redact, redact_mapping
from xcomctl.model.size import SizeReport
from xcomctl.model.verdicts import Verdict
from xcomctl.report import units

_T = TypeVar("_T")
_SCHEMA = re.compile(r"(xcomctl\.[\w-]+)/(\d{1,9})")
#: What makes each input, by its schema.
_MAKES = {
    size.SCHEMA: "xcomctl size -o json",
    preflight.SCHEMA: "xcomctl preflight -o json",
    rehearsal.SCHEMA: "xcomctl rehearse, as report.json",
    plan.SCHEMA: "xcomctl plan -o json",
}


@dataclass(frozen=True)
class Given:
    """The files that were named; what has none is looked for in the journal, but for a plan, which is not in it."""

    size: Path | None = None
    preflight: Path | None = None
    rehearsal: Path | None = None
    plan: Path | None = None

    @property
    def needs_journal(self) -> bool:
        """Whether something has to be looked for there."""
        return None in (self.size, self.preflight, self.rehearsal)


@dataclass(frozen=True)
class About:
    """Which of several entries is the one. ``deployment`` is that of ``-D``; ``threshold`` (bytes, ``None``: the suggested
    one) and ``base_path`` are those of the rehearsal that is looked for first."""

    deployment: str | None = None
    threshold: int | None = None
    base_path: str | None = None


def gather(given: Given, entries: Callable[[], Sequence[JournalEntry]], about: About, journal: str) -> Evidence:
    """Everything that is there. ``entries`` reads the journal, which ``journal`` names; it is asked only if needed.

    Raises :class:`UserError` (refused) for what cannot be read or is not what it should be.
    """
    kept = entries() if given.needs_journal else ()
    sources: dict[str, Source] = {}

    def one(section: str, path: Path | None, schema: str, made: Callable[[Mapping[str, Any]], _T], found: Callable[[], Mapping[str, Any] | None]) -> _T | None:  # fmt: skip
        record = found() if path is None else _record(path, schema)
        if record is None:
            return None
        if path is None:
            where = f"the journal {redact(journal)}, entry of {record[_WRITTEN]}"
            require_schema(record.get("schema", schema), schema, where)
        else:
            where = redact(f"the file {path}")
        seen = read(record, schema, where, made)
        said: Any = seen
        # A rehearsal belongs to none; in the journal the entry says it.
        named = path is None or schema == rehearsal.SCHEMA or getattr(said, "deployment", None)
        sources[section] = Source(where, said.at, said.verdict, schema, about.deployment is not None and not named)
        return seen

    measured = one(decision.MEASURED, given.size, size.SCHEMA, _measurement, lambda: _newest_size(kept, about.deployment))  # fmt: skip
    flown = one(decision.PREFLIGHT, given.preflight, preflight.SCHEMA, PreflightSeen.from_json, lambda: _newest_preflight(kept, about.deployment))  # fmt: skip
    threshold = about.threshold if about.threshold is not None or measured is None else measured.answer.suggested
    path = about.base_path or next((str(each["path"]) for each in flown.targets if each.get("path")), None) if flown is not None else about.base_path  # fmt: skip
    rehearsed = one(decision.REHEARSAL, given.rehearsal, rehearsal.SCHEMA, RehearsalSeen.from_json, lambda: _newest_rehearsal(kept, threshold, path))  # fmt: skip
    if rehearsed is not None and given.rehearsal is None:
        rehearsed = _followed(rehearsed)
    up = one(decision.PLAN_UP, given.plan, plan.SCHEMA, PlanSeen.from_json, lambda: None)
    if up is not None and not up.is_up:
        raise UserError(f"{given.plan} is a plan down", "--plan takes the plan up: xcomctl plan --to offload -o json", Verdict.REFUSED)  # fmt: skip
    return Evidence(measured, flown, rehearsed, up, sources)


def _measurement(record: Mapping[str, Any]) -> SizeReport:
    found = SizeReport.from_json(record)
    states = found.query.get("states") or ()
    if not isinstance(states, list | tuple) or not all(isinstance(each, str) for each in states):
        raise ValueError(f"query.states is {states!r}, and has to be an array of texts")
    if any(window.days <= 0 for window in found.answer.windows):
        raise ValueError("a window of answer.windows has no days")
    return found


def read(record: Mapping[str, Any], schema: str, where: str, made: Callable[[Mapping[str, Any]], _T]) -> _T:
    """The record as ``made`` makes it. Raises :class:`UserError` for one that is damaged."""
    try:
        seen = made(record)
        wrong = misfit(seen)
        if not wrong:
            parse_time(getattr(seen, "at"))  # noqa: B009 - each of them has one
            return seen
    except KeyError as error:
        wrong = f"{error.args[0]} is missing"
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        wrong = str(error)
    raise UserError(f"{where} is a damaged {schema}: {wrong}", f"make it anew: {_MAKES[schema]}", Verdict.REFUSED)


def _record(path: Path, schema: str) -> dict[str, Any]:
    hint = f"it is made by {_MAKES[schema]}"
    try:
        found = json.loads(path.read_bytes())
        found = redact_mapping(found) if isinstance(found, dict) else found
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", hint, Verdict.REFUSED) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON: {error}", hint, Verdict.REFUSED) from error
    if not isinstance(found, dict):
        raise UserError(f"{path} is no {schema}: a JSON {type(found).__name__}", hint, Verdict.REFUSED)
    require_schema(found.get("schema"), schema, str(path))
    return found


def require_schema(said: Any, schema: str, where: str) -> None:
    """Raise :class:`UserError` (refused) for another schema, and for a newer number of this one."""
    if said == schema:
        return
    hint = f"it is made by {_MAKES[schema]}"
    theirs = _SCHEMA.fullmatch(said) if isinstance(said, str) else None
    name, _, number = schema.partition("/")
    if theirs is not None and theirs[1] == name and int(theirs[2]) > int(number):
        raise UserError(f"{where} is a {said}, and this xcomctl reads {schema}", "take a newer xcomctl, or make it anew with this one", Verdict.REFUSED)  # fmt: skip
    what = f"its schema is {said}" if isinstance(said, str) else "it names no schema"
    raise UserError(f"{where} is no {schema}: {redact(what)}", hint, Verdict.REFUSED)


# -- the journal: the newest of each, in the words of the command's JSON as far as an entry tells it

#: When the entry was written, in a record that was made of one.
_WRITTEN = "written"


def narrowed_to(query: Mapping[str, Any]) -> str:
    """What a measurement left out the rest for, such as ``the DAG load``; empty if it looked at everything."""
    states = query.get("states")
    said = [f"what was pushed since {query['since']}"] if query.get("since") else []
    said += [f"the DAG {query['dag_id']}"] if query.get("dag_id") else []
    said += [f"runs that are {' or '.join(map(str, states))}"] if isinstance(states, list | tuple) and states else []
    return ", ".join(said)


def _newest_size(entries: Sequence[JournalEntry], deployment: str | None) -> dict[str, Any] | None:
    """The newest measurement of everything that is no sample, else the newest of everything, else the newest."""
    ours = list(_of(entries, size.ACTION, deployment))

    def rank(entry: JournalEntry) -> int:
        query = entry.data.get("query")
        if not isinstance(query, Mapping):
            return 0
        return 2 if narrowed_to(query) else 1 if query.get("sample") else 0

    entry = min(ours, key=rank, default=None)  # of those that are equal the first: they are from the newest
    return None if entry is None else {**redact_mapping(entry.data), _WRITTEN: entry.at}


def _newest_preflight(entries: Sequence[JournalEntry], deployment: str | None) -> dict[str, Any] | None:
    """The newest pre-flight that looked at everything, else the newest. Of its checks the journal keeps the outcomes alone."""
    ours = _of(entries, "preflight", deployment)
    entry = min(ours, key=lambda each: bool(_options(each).get("only")), default=None)
    if entry is None:
        return None
    return redact_mapping({
        _WRITTEN: entry.at,
        "at": entry.at,
        "verdict": _verdict(entry),
        "versions": entry.versions,
        "options": _options(entry),
        "contexts": entry.data.get("contexts"),
        "checks": [_outcome(each) for each in entry.data.get("checks") or ()],
        "whole": False,
    })  # fmt: skip


def _newest_rehearsal(entries: Sequence[JournalEntry], threshold: int | None, path: str | None) -> dict[str, Any] | None:  # fmt: skip
    """The newest rehearsal of that threshold and of such a base path, else the newest; it belongs to no deployment. What the
    ways down cost is in its report alone."""

    def is_another(entry: JournalEntry) -> bool:
        made = entry.data.get("fingerprint")
        if not isinstance(made, Mapping) or (threshold is not None and made.get("threshold") != threshold):
            return True
        return path is not None and made.get("path_scheme") != path.partition("://")[0]

    all_of_them = (each for each in reversed(entries) if each.action == "rehearse" and each.verdict is not None)
    entry = min(all_of_them, key=is_another, default=None)
    if entry is None:
        return None
    named = entry.data.get("report")
    return redact_mapping({
        _WRITTEN: entry.at,
        "at": entry.at,
        "verdict": _verdict(entry),
        "settings": entry.after or {},
        "fingerprint": entry.data.get("fingerprint") or {},
        "scenarios": entry.data.get("scenarios") or (),
        "named": named if isinstance(named, str) else "",
    })  # fmt: skip


def _followed(seen: RehearsalSeen) -> RehearsalSeen:
    """With the report that the journal's entry names, where it still lies there and is the same rehearsal's.

    ``at`` stays the entry's, so that what the file says does not depend on where it is made.
    """
    if not seen.named:
        return seen
    try:
        whole = read(_record(Path(seen.named), rehearsal.SCHEMA), rehearsal.SCHEMA, seen.named, RehearsalSeen.from_json)
    except (UserError, ValueError):  # a path with a NUL
        return seen
    mine, its = (seen.fingerprint, seen.verdict, seen.scenarios), (whole.fingerprint, whole.verdict, whole.scenarios)
    return replace(whole, at=seen.at, named=seen.named) if mine == its else seen


def _outcome(each: Any) -> Any:
    """A check as the journal keeps it, with what a check needs to be one; what is none stays as it is."""
    if not isinstance(each, Mapping):
        return each
    count = each.get("count")
    told = units.count(count, "value") if type(count) is int else ""
    return {"category": "", "title": "", "detail": told, **each}


def _of(entries: Sequence[JournalEntry], action: str, deployment: str | None) -> Iterator[JournalEntry]:
    """The entries of that action and deployment that have an outcome, from the newest."""
    return (
        each
        for each in reversed(entries)
        if each.action == action and each.deployment == deployment and each.verdict is not None
    )


def _options(entry: JournalEntry) -> Mapping[str, Any]:
    found = entry.data.get("options")
    return found if isinstance(found, Mapping) else {}


def _verdict(entry: JournalEntry) -> str:
    return (entry.verdict or Verdict.INCONCLUSIVE).value
