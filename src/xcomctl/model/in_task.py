"""A pre-flight that runs as a task: what the desk and the canary DAG have to agree on.

The run's ``conf`` carries the options, the task's return value carries the answer. That value has to come back whatever
the settings of the task's process are. So it is one plain JSON object (on 2.x a JSON *string* may be parsed again, F4),
and it stays below the floor of thresholds (:data:`MAX_ANSWER_BYTES`), since what is offloaded is shown as a reference.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.model.preflight import PreflightAnswer
from xcomctl.model.settings import THRESHOLD_FLOOR
from xcomctl.model.verdicts import Check, Status

DAG_ID = "xcomctl_canary"
TASK_ID = "preflight"
#: The key of the run's ``conf`` whose value is :class:`xcomctl.model.preflight.PreflightOptions` as JSON.
CONF_OPTIONS = "options"

SCHEMA = "xcomctl.in_task/1"
#: What the answer may have in bytes of JSON, as the object-storage backend measures it.
MAX_ANSWER_BYTES = THRESHOLD_FLOOR - 1_000
#: What precedes the answer in the task's log, on a line of its own: it is still there when the push fails.
LOG_MARK = "xcomctl-answer: "

#: The answer; the same as Airflow shows a returned value; where a log folds.
_NOISE = (LOG_MARK, "Returned value was: ", "::group::", "::endgroup::")
#: Providers that are worth their bytes when room is scarce.
_TELLING = frozenset({"common.io", "amazon", "google", "microsoft.azure"})
#: How long a detail may be, in characters, in the attempts to make the answer small enough; those of checks that are
#: OK are cut first.
_CUTS = ((400, 120), (200, 60), (100, 0), (40, 0))


@dataclass(frozen=True)
class InTaskAnswer:
    """What came back. ``version`` and ``digest`` tell which xcomctl ran; ``shortened`` that details were cut off."""

    checks: tuple[Check, ...]
    answer: PreflightAnswer
    version: str
    digest: str
    shortened: bool = False


def packed(checks: Sequence[Check], answer: PreflightAnswer, version: str, digest: str) -> dict[str, Any]:
    """The answer as the task returns it: small, plain JSON. Data are left out first, then details are shortened."""
    found = _compressed(checks, answer, version, digest, False)
    if _size(found) <= MAX_ANSWER_BYTES:
        return found
    bare = [_cut(check, None, None) for check in checks]
    answer = PreflightAnswer.from_json(
        {**answer.to_json(), "providers": {name: v for name, v in answer.providers.items() if name in _TELLING}}
    )
    found = _compressed(bare, answer, version, digest, True)
    for cut, cut_ok in _CUTS:
        if _size(found) <= MAX_ANSWER_BYTES:
            break
        found = _compressed([_cut(check, cut, cut_ok) for check in bare], answer, version, digest, True)
    return found


def unpacked(value: Any) -> Optional[InTaskAnswer]:
    """The answer that a task returned, ``None`` when the value is none."""
    if not isinstance(value, Mapping) or value.get("schema") != SCHEMA:
        return None
    try:
        body = json.loads(zlib.decompress(base64.b64decode(value["body"])))
        return InTaskAnswer(
            checks=tuple(Check.from_json(record) for record in body["checks"]),
            answer=PreflightAnswer.from_json(body["answer"]),
            version=str(value["xcomctl"]),
            digest=str(value["digest"]),
            shortened=bool(value["shortened"]),
        )
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error):
        return None


def in_log(log: str) -> Optional[InTaskAnswer]:
    """The answer that a task wrote into its log, ``None`` when there is none, or not all of it."""
    for line in reversed(log.splitlines()):
        _, mark, text = line.partition(LOG_MARK)
        if mark:
            try:
                return unpacked(json.JSONDecoder().raw_decode(text)[0])
            except ValueError:
                return None
    return None


def without_answer(log: str) -> list[str]:
    """The lines of a task's log that tell a person something: neither the answer nor where a log folds."""
    return [line.rstrip() for line in log.splitlines() if line.strip() and not any(each in line for each in _NOISE)]


def _compressed(
    checks: Sequence[Check], answer: PreflightAnswer, version: str, digest: str, shortened: bool
) -> dict[str, Any]:
    body = json.dumps({"checks": [check.to_json() for check in checks], "answer": answer.to_json()}, default=str)
    return {
        "schema": SCHEMA,
        "xcomctl": version,
        "digest": digest,
        "shortened": shortened,
        "body": base64.b64encode(zlib.compress(body.encode(), 9)).decode("ascii"),
    }


def _size(value: Mapping[str, Any]) -> int:
    return len(json.dumps(value))


def _cut(check: Check, length: Optional[int], length_ok: Optional[int]) -> Check:
    limit = length_ok if check.status is Status.OK else length
    return Check(
        id=check.id,
        category=check.category,
        title=check.title,
        status=check.status,
        detail=_shortened(check.detail, limit),
        hint=_shortened(check.hint, None if limit is None else 2 * limit),
        duration_ms=check.duration_ms,
    )


def _shortened(text: str, limit: Optional[int]) -> str:
    return text if limit is None or len(text) <= limit else text[:limit] + "…"
