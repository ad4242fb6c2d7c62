"""The two gates of a step up: a rehearsal of what is planned, and a pre-flight that passed, neither of them too old."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from xcomctl.change.gates import CATEGORY
from xcomctl.errors import UserError
from xcomctl.journal.interface import Where
from xcomctl.model import preflight, rehearsal
from xcomctl.model.fingerprint import Fingerprint, Severity, compare
from xcomctl.model.journal_entry import JournalEntry, parse_time
from xcomctl.model.phases import Phase
from xcomctl.model.readiness import MAX_AGE_DAYS, PASSED, REQUIRED
from xcomctl.model.redaction import redact
from xcomctl.model.settings import Settings
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.report import units

#: How old a rehearsal and a pre-flight may be.
MAX_AGE = timedelta(days=MAX_AGE_DAYS)

_REHEARSAL, _PREFLIGHT = "gate_rehearsal", "gate_preflight"
_REHEARSAL_TITLE = "a rehearsal of what is planned passed"
_PREFLIGHT_TITLE = "a pre-flight of what is planned passed"


@dataclass(frozen=True)
class Rehearsed:
    """A rehearsal: when it ended, how, what it played, with what. ``source`` is where that is said."""

    at: datetime
    verdict: str | None
    fingerprint: Mapping[str, Any]
    scenarios: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Preflown:
    """A pre-flight: when it ended, how, with which options, and what each context's target was."""

    at: datetime
    verdict: str | None
    options: Mapping[str, Any]
    contexts: Mapping[str, Mapping[str, Any]]
    source: str


@dataclass(frozen=True)
class Given:
    """Files that stand in for the journal, and how old what they say may be."""

    rehearsal: Path | None = None
    preflight: Path | None = None
    max_age: timedelta = MAX_AGE


def rehearse_command(airflow: str, threshold: int, journal: Where) -> str:
    """The rehearsal of a step, recorded in the journal that its gate looks into."""
    where = "" if journal is None else f" --journal {shlex.quote(redact(str(journal)))}"
    return f"xcomctl rehearse --airflow {airflow} --threshold {threshold}{where}"


def rehearsal_gate(found: Iterator[Rehearsed], planned: Fingerprint, max_age: timedelta, hint: str) -> Check:
    """Whether one of these rehearsals, from the newest, is one of what is planned. The reason is the newest one's, ``hint``
    the command that makes one; another version of the provider takes its pins: ``--requirements``."""
    first: Check | None = None
    for each in found:
        check = _judged_rehearsal(each, planned, max_age)
        if check.status is not Status.FAIL:
            return check
        first = first or check
    if first is None:
        return Check(_REHEARSAL, CATEGORY, _REHEARSAL_TITLE, Status.FAIL, "none is in the journal", hint)
    return Check(_REHEARSAL, CATEGORY, _REHEARSAL_TITLE, Status.FAIL, first.detail, hint, data=first.data)


def preflight_gate(
    found: Iterator[Preflown],
    target: Phase,
    wanted: Settings,
    planned_threshold: int | None,
    contexts: frozenset[str],
    max_age: timedelta,
    hint: str,
) -> Check:
    """Whether one of these pre-flights, from the newest, tried what is to be written. ``hint`` is the command that does.

    One with the threshold of the planned offload will do for ``dual-read``, which differs in that alone.
    """
    first = ""
    for each in found:
        why, warnings = _judged_preflight(each, target, wanted, planned_threshold, contexts, max_age)
        if not why:
            status = Status.WARN if warnings else Status.OK
            said = "; ".join([f"passed {_ago(each.at)} ({each.source})", *warnings])
            skipped = list(each.options.get("skip") or ())
            return Check(
                _PREFLIGHT, CATEGORY, _PREFLIGHT_TITLE, status, said, data={"at": each.at.isoformat(), "skip": skipped}
            )
        first = first or why
    return Check(_PREFLIGHT, CATEGORY, _PREFLIGHT_TITLE, Status.FAIL, first or "none is in the journal", hint)


def rehearsals(given: Given, entries: Sequence[JournalEntry]) -> Iterator[Rehearsed]:
    """The rehearsals among the journal's entries from the newest, or the one in the file. Raises :class:`UserError`."""
    if given.rehearsal is not None:
        record = _read(given.rehearsal, rehearsal.SCHEMA, "--rehearsal", "the report.json that xcomctl rehearse writes")
        yield Rehearsed(
            _time(record, "finished", given.rehearsal),
            record.get("verdict"),
            record.get("fingerprint") or {},
            tuple(record.get("scenarios") or ()),
            str(given.rehearsal),
        )
        return
    # A rehearsal belongs to no deployment: what it was made with is compared.
    for entry in (entry for entry in reversed(entries) if entry.action == "rehearse"):
        verdict = None if entry.verdict is None else entry.verdict.value
        scenarios = tuple(entry.data.get("scenarios") or ())
        yield Rehearsed(parse_time(entry.at), verdict, entry.data.get("fingerprint") or {}, scenarios, "the journal")


def preflights(given: Given, entries: Sequence[JournalEntry], deployment: str | None) -> Iterator[Preflown]:
    """The pre-flights of the deployment among the journal's entries from the newest, or the one in the file. Raises :class:`UserError`."""
    if given.preflight is not None:
        record = _read(given.preflight, preflight.SCHEMA, "--preflight", "what xcomctl preflight -o json writes")
        contexts = {each["name"]: each.get("target") or {} for each in record.get("contexts") or ()}
        yield Preflown(
            _time(record, "at", given.preflight), record.get("verdict"), record.get("options") or {}, contexts,
            str(given.preflight),
        )  # fmt: skip
        return
    ours = (each for each in reversed(entries) if each.action == "preflight" and each.deployment == deployment)
    for entry in ours:
        verdict = None if entry.verdict is None else entry.verdict.value
        contexts = {each["name"]: each.get("target") or {} for each in entry.data.get("contexts") or ()}
        yield Preflown(parse_time(entry.at), verdict, entry.data.get("options") or {}, contexts, "the journal")


def _judged_rehearsal(each: Rehearsed, planned: Fingerprint, max_age: timedelta) -> Check:
    def judged(status: Status, detail: str) -> Check:
        data = {"at": each.at.isoformat(), "fingerprint": dict(each.fingerprint), "planned": planned.to_json()}
        return Check(_REHEARSAL, CATEGORY, _REHEARSAL_TITLE, status, detail, data=data)

    when = f"the rehearsal {_ago(each.at)} ({each.source})"
    if each.verdict not in PASSED:
        return judged(Status.FAIL, f"{when} did not pass: {each.verdict}")
    if _is_old(each.at, max_age):
        return judged(Status.FAIL, f"{when} is older than {units.ago(max_age.total_seconds())} (--max-age)")
    missing = [name for name in REQUIRED if name not in each.scenarios]
    if missing:
        return judged(Status.FAIL, f"{when} did not play {' and '.join(missing)}")
    try:
        differences = compare(Fingerprint.from_json(each.fingerprint), planned)
    except ValueError as error:
        return judged(Status.FAIL, f"{when} has no fingerprint that can be compared: {error}")
    said = "; ".join(difference.sentence for difference in differences)
    if any(difference.severity is Severity.REFUSE for difference in differences):
        return judged(Status.FAIL, f"{when} is one of something else: {said}")
    return judged(
        Status.WARN if said else Status.OK, f"passed {_ago(each.at)} ({each.source}){'; ' if said else ''}{said}"
    )


def _judged_preflight(
    each: Preflown,
    target: Phase,
    wanted: Settings,
    planned_threshold: int | None,
    contexts: frozenset[str],
    max_age: timedelta,
) -> tuple[str, list[str]]:
    """Why it does not count, empty if it does; and what to know about it."""
    when = f"the pre-flight {_ago(each.at)} ({each.source})"
    if each.options.get("only"):
        return f"{when} looked at {', '.join(each.options['only'])} alone", []
    if each.verdict not in PASSED:
        return f"{when} did not pass: {each.verdict}", []
    if _is_old(each.at, max_age):
        return f"{when} is older than {units.ago(max_age.total_seconds())} (--max-age)", []
    thresholds = {wanted.threshold} | ({planned_threshold} if target is Phase.DUAL_READ else set())
    for name, tried in each.contexts.items():
        for what, was, wants in (
            ("class", tried.get("backend"), {wanted.backend}),
            ("path", tried.get("path"), {wanted.path}),
            ("threshold", tried.get("threshold"), thresholds),
            ("compression", tried.get("compression") or "none", {wanted.compression or "none"}),
        ):
            if what == "compression" and target is not Phase.OFFLOAD:
                continue  # nothing is compressed then, whatever the codec
            if was not in wants:
                meant = " or ".join(str(one) for one in sorted(wants, key=str))
                return f"{when} tried the {what} {was} in {name}, and {meant} is planned", []
    if not each.contexts:
        return f"{when} names no context", []
    warnings = []
    if each.options.get("skip"):
        warnings.append(f"left out there, so accepted: {', '.join(each.options['skip'])}")
    if not each.options.get("functional"):
        warnings.append("the store was not tried there (--functional-s3)")
    if not contexts & set(each.contexts):
        return f"{when} asked {', '.join(sorted(each.contexts))}, and none of {', '.join(sorted(contexts))}", []
    unseen = sorted(contexts - set(each.contexts))
    if unseen:
        warnings.append(f"not asked there: {', '.join(unseen)}")
    return "", warnings


def _is_old(at: datetime, max_age: timedelta) -> bool:
    return datetime.now(UTC) - at > max_age


def _ago(at: datetime) -> str:
    return f"{units.ago(max(0.0, (datetime.now(UTC) - at).total_seconds()))} ago"


def _read(path: Path, schema: str, option: str, what: str) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", f"{option} names {what}", Verdict.REFUSED) from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}", f"{option} names {what}", Verdict.REFUSED) from error
    if not isinstance(record, dict) or record.get("schema") != schema:
        raise UserError(f"{path} is no {schema}", f"{option} names {what}", Verdict.REFUSED)
    return record


def _time(record: Mapping[str, Any], name: str, path: Path) -> datetime:
    try:
        return parse_time(str(record[name]))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} does not say when: {name} {error}", "make a new one", Verdict.REFUSED) from error
