"""The exact next command: the first thing that is wrong, by how much it hurts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xcomctl.assess.resolution import Expected
from xcomctl.model import way_out
from xcomctl.model.phases import Phase
from xcomctl.model.status import StatusAnswer
from xcomctl.model.verdicts import Check, Status
from xcomctl.model.verification import KILL_SWITCH

#: What comes first when several rows are not OK: by the beginning of their ids.
_ORDER = (
    "phase", "signal_path_string", "store", "drift", "last_scan", "failed_after_push", "signal_xcom_errors",
    "signal_settings", "references_unfinished", "signal_control_flow", "last_rehearsal",
)  # fmt: skip


def next_step(
    checks: Sequence[Check], answers: Mapping[str, StatusAnswer | None], expected: Expected, options: str
) -> tuple[str, str]:
    """The command or line, and the row it is about; empty when there is nothing to do."""
    for status in (Status.FAIL, Status.SKIP, Status.WARN):
        found = [check for check in checks if check.status is status]
        for check in sorted(found, key=_rank):
            step = _step(check, answers, expected, options)
            if step:
                return step, f"{check.id}: {check.detail}"
    return "", ""


def _rank(check: Check) -> int:
    return next((index for index, name in enumerate(_ORDER) if check.id.startswith(name)), len(_ORDER))


def _step(check: Check, answers: Mapping[str, StatusAnswer | None], expected: Expected, options: str) -> str:
    if check.status is not Status.FAIL:
        return check.hint
    if check.detail.startswith(KILL_SWITCH) or check.id == "signal_path_string":
        resolutions = [answer.resolution for answer in answers.values() if answer is not None]
        phases = [each.phase for each in resolutions]
        worst = next((phase for phase in ("misconfigured", "unknown", "inline") if phase in phases), Phase.INLINE.value)
        path = expected.path or next((str(each.path.value) for each in resolutions if each.path.value), None)
        return next(way_out.steps(worst, path, options))
    if check.id.startswith("store"):
        # Small values keep flowing under dual-read, and reads of references fail loud and are tried again.
        phases = [answer.resolution.phase for answer in answers.values() if answer is not None]
        if Phase.OFFLOAD.value in phases:
            return f"{check.hint}; if it stays away: {next(way_out.steps(Phase.OFFLOAD.value, None, options))}"
    return check.hint
