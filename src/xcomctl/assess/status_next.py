"""The exact next command: the first thing that is wrong, by how much it hurts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xcomctl.assess.resolution import Expected
from xcomctl.model import way_out
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.status import DatabaseState, StatusAnswer, one_path
from xcomctl.model.verdicts import Check, Status

#: What comes first when several rows are not OK: by the beginning of their ids.
_ORDER = (
    "phase", "running", "signal_path_string", "store", "drift", "last_scan", "failed_after_push", "signal_xcom_errors",
    "last_verify", "signal_settings", "references_unfinished", "signal_control_flow", "last_preflight", "last_rehearsal",
)  # fmt: skip
#: Where more than the path has to be set, the worst first.
_WORST = (Phase.UNKNOWN.value, Phase.INLINE.value, Phase.MISCONFIGURED.value)


def next_step(
    checks: Sequence[Check],
    answers: Mapping[str, StatusAnswer | None],
    database: DatabaseState | None,
    expected: Expected,
    options: str,
    carrier: str = way_out.ANY_CARRIER,
) -> tuple[str, str]:
    """The command or line, and the row it is about; empty when there is nothing to do. ``options`` and ``carrier`` as in
    :func:`~xcomctl.model.way_out.steps`."""
    for status in (Status.FAIL, Status.SKIP, Status.WARN):
        found = [check for check in checks if check.status is status]
        for check in sorted(found, key=_rank):
            step = _step(check, answers, database, expected, options, carrier)
            if step:
                return step, f"{check.id}: {check.detail}"
    return "", ""


def _rank(check: Check) -> int:
    return next((index for index, name in enumerate(_ORDER) if check.id.startswith(name)), len(_ORDER))


def _step(
    check: Check,
    answers: Mapping[str, StatusAnswer | None],
    database: DatabaseState | None,
    expected: Expected,
    options: str,
    carrier: str,
) -> str:
    if check.status is not Status.FAIL:
        return check.hint
    resolutions = [answer.resolution for answer in answers.values() if answer is not None]
    phases = [each.phase for each in resolutions]
    if check.id in ("phase", "signal_path_string"):
        if any(each.class_path is None and each.backend.value == OBJECT_STORAGE_BACKEND for each in resolutions):
            # The class is the right one and does not import: no setting mends that.
            return way_out.hard_step(options, carrier)
        held = None if database is None else one_path(database)
        if held is None and database is not None and database.elsewhere:
            return f"xcomctl refs --foreign{options}"  # under no one path do all of them resolve
        path = held or expected.path or next((str(each.path.value) for each in resolutions if each.path.value), None)
        worst = next((phase for phase in _WORST if phase in phases), Phase.MISCONFIGURED.value)
        return next(way_out.steps(worst, path, options, carrier))
    if check.id == "store" and Phase.OFFLOAD.value in phases:
        # Small values keep flowing under dual-read, and reads of references fail loud and are tried again.
        return f"{check.hint}; if it stays away: {next(way_out.steps(Phase.OFFLOAD.value, None, options, carrier))}"
    return check.hint
