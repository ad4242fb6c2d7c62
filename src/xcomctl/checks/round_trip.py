"""Round trip: what the backend hands to a task is what BaseXCom hands to it, in value and in type."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from xcomctl.airflow_compat.connections import connection_id
from xcomctl.checks.interface import CheckSpec, Finding, Subject, TimedOut, fail, ok, skip, warn
from xcomctl.model import requests
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Phase, phase_of
from xcomctl.model.preflight import FUNCTIONAL, ROUND_TRIP
from xcomctl.model.requests import ControlFlowAnswer, Difference
from xcomctl.model.verdicts import Status
from xcomctl.roundtrip import defects
from xcomctl.roundtrip.control_flow import corpus
from xcomctl.roundtrip.folder import new_folder
from xcomctl.roundtrip.readiness import VALUES_AT_ONCE, values_at_once

#: How many values of a kind are shown; ``data`` holds all of them.
EXAMPLES = 3

_WITHOUT_STORE = (
    "; strings under the base path were left out: reading them asks the store, which takes --functional-s3 and "
    "permissions of the store that pass"
)
#: Without these the store cannot be blamed on a value: writing asks for the object and lists first.
_STORE_STEPS = ("store_put", "store_head", "store_get", "store_list", "store_delete")


def run_inline(subject: Subject) -> Optional[Finding]:
    """Small values: what is stored in the database and read by the backend."""
    with_store = subject.options.functional and all(map(subject.passed, _STORE_STEPS))
    return _round_trip(subject, "small", offloaded=False, with_store=with_store)


def run_offload(subject: Subject) -> Optional[Finding]:
    """The same values above the threshold: each goes into the store and comes back from it."""
    return _round_trip(subject, "offloaded", offloaded=True, with_store=True)


def _round_trip(subject: Subject, which: str, offloaded: bool, with_store: bool) -> Finding:
    target, folder = subject.target, new_folder()
    if ":" in (connection_id(target.path or "") or ""):
        # Airflow would look for a connection of that name, and write the password into its log.
        return skip("needs connection_id, which failed", needs="connection_id")
    ids = [value.id for value in corpus(target.path or "", folder) if with_store or not value.asks_store]
    answers: list[ControlFlowAnswer] = []
    at_once = _at_once(subject) if with_store else VALUES_AT_ONCE
    for start in range(0, len(ids), at_once):
        subject.progress(f"{which} values through both classes", start, len(ids))
        try:
            answer = subject.under_target(
                requests.CONTROL_FLOW,
                base_path=target.path,
                threshold=target.threshold,
                offloaded=offloaded,
                with_store=with_store,
                folder=folder,
                values=ids[start : start + at_once],
            )
        except TimedOut:
            return _timed_out(subject, f"{start} of {len(ids)} values", f"{target.path}/{folder}" if with_store else "")
        answers.append(ControlFlowAnswer.from_json(answer))
    return judged(subject, _joined(answers), which, "" if with_store else _WITHOUT_STORE)


def _at_once(subject: Subject) -> int:
    """So many values that their requests take half of the time that there is, by what the store's own steps took."""
    found = [outcome.data for outcome in map(subject.outcome, _STORE_STEPS) if outcome is not None]
    slowest = max((data.get("latency_ms", 0) / (data.get("requests") or 1) for data in found), default=0)
    return values_at_once(subject.options.timeout_s, slowest)


def _timed_out(subject: Subject, done: str, folder: str) -> Finding:
    left = f"; objects may be left below {folder}" if folder else ""
    return fail(
        f"no answer within {subject.options.timeout_s:g} s after {done}{left}",
        "allow more with --timeout" + (f", and remove {folder}" if folder else ""),
        timed_out=True,
    )


def judged(subject: Subject, found: ControlFlowAnswer, which: str, left_out: str = "") -> Finding:
    """What the differences amount to: an unnamed one fails, a named defect warns unless it hits something alive."""
    data = _data(found)
    if found.left_behind:
        return fail(
            f"objects of the round trip could not be removed: {', '.join(found.left_behind[:EXAMPLES])}",
            "remove them, and see what store_delete says",
            **data,
        )
    if found.unmeasured:
        return skip(found.unmeasured)
    measured = f"{found.values} {which} values"
    if not found.differences:
        return ok(f"{measured} come back as from BaseXCom, in value and type{left_out}", **data)
    unnamed = [each for each in found.differences if each.defect is None]
    groups: dict[tuple[str, str], list[Difference]] = {}
    for each in found.differences:
        if each.defect is not None:
            groups.setdefault((each.defect, each.kind), []).append(each)
    parts, hints, status = [], [], Status.WARN
    if unnamed:
        status = Status.FAIL
        parts.append(f"{len(unnamed)} for no known reason: " + "; ".join(each.sentence for each in unnamed))
        hints.append("do not flip: report these values with the versions of Airflow and common-io")
    for name, differences in groups.items():
        defect = defects.by_name(*name)
        affected, said = _affected(subject, defect)
        if affected or subject.options.strict:
            status = Status.FAIL
        examples = "; ".join(each.sentence for each in differences[:EXAMPLES])
        parts.append(f"{len(differences)} by {defect.id}, {defect.title}{said}: {examples}")
        hint = f"{defect.id}: {defect.hint}"
        hints += [hint] if hint not in hints else []
    head = f"{len(found.differences)} of {measured} come back otherwise than from BaseXCom{left_out}"
    make = fail if status is Status.FAIL else warn
    return make("\n".join([head, *parts]), "\n".join(hints), **data)


def _affected(subject: Subject, defect: defects.Defect) -> tuple[bool, str]:
    """Whether the defect changes values that are stored now, and the words for it."""
    if not defect.affected:
        return False, " (what is stored already is not affected, what is pushed from then on is)"
    outcome = subject.outcome(defect.affected)
    count = outcome.data.get("count") if outcome is not None and outcome.status is not Status.SKIP else None
    if not isinstance(count, int):
        return False, f" (whether stored values are affected was not measured: {defect.affected} did not run)"
    if count and outcome is not None and outcome.status is not Status.FAIL:  # it cannot tell for sure
        return False, f" (stored values that may be affected: {count}, see {defect.affected})"
    if count:
        return True, f" (stored values affected: {count}, see {defect.affected})"
    return False, f" (stored values affected: none, says {defect.affected})"


def _joined(answers: Sequence[ControlFlowAnswer]) -> ControlFlowAnswer:
    return ControlFlowAnswer(
        values=sum(answer.values for answer in answers),
        differences=tuple(each for answer in answers for each in answer.differences),
        only_backend=tuple(each for answer in answers for each in answer.only_backend),
        unmeasured=next((answer.unmeasured for answer in answers if answer.unmeasured), ""),
        left_behind=tuple(each for answer in answers for each in answer.left_behind),
    )


def _data(found: ControlFlowAnswer) -> Mapping[str, Any]:
    return {
        "values": found.values,
        "differences": [each.to_json() for each in found.differences],
        "only_backend": list(found.only_backend),
    }


def _phase(subject: Subject) -> Phase:
    """The target's phase; a class that is not known is taken for one that is built on the provider's."""
    if subject.target_phase is not Phase.UNKNOWN:
        return subject.target_phase
    return phase_of(dataclasses.replace(subject.target, backend=OBJECT_STORAGE_BACKEND)).phase


def _reads(subject: Subject) -> bool:
    return _phase(subject) in (Phase.DUAL_READ, Phase.OFFLOAD)


def _offloads(subject: Subject) -> bool:
    return _phase(subject) is Phase.OFFLOAD


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec(
        "round_trip_inline",
        ROUND_TRIP,
        "small values come back from the backend as they do from BaseXCom",
        run_inline,
        needs=("provider_backend_class",),
        applies=_reads,
        under_target=True,
    ),
    CheckSpec(
        "round_trip_offload",
        ROUND_TRIP,
        "values come back from the store as they do from BaseXCom",
        run_offload,
        needs=("provider_backend_class", "store_bucket", *_STORE_STEPS),
        applies=_offloads,
        asked_by=FUNCTIONAL,
        under_target=True,
    ),
)
