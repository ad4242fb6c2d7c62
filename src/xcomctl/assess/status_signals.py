"""The runbook's four signals, each with its command: what says whether a back-out is needed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xcomctl.assess.recent import PROBE, Recent, age_s
from xcomctl.assess.resolution import Expected
from xcomctl.assess.status_rows import (
    STALE_S,
    age,
    failures_unknown,
    handed_by_running,
    handed_over,
    missing,
    row,
    same_path,
    verify_command,
)
from xcomctl.model.phases import Phase
from xcomctl.model.redaction import redact
from xcomctl.model.requests import Resolution
from xcomctl.model.status import SIGNALS, DatabaseState, StatusAnswer
from xcomctl.model.verdicts import Check, Status


def signals(
    answers: Mapping[str, StatusAnswer | None],
    database: DatabaseState | None,
    recent: Recent,
    expected: Expected,
    asked: Expected,
    options: str,
) -> Iterator[Check]:
    """The four signals that say whether a back-out is needed, as the runbook lists them.

    ``expected`` is what is planned, ``asked`` what the command line itself expects, whatever the phase.
    """
    yield _errors(database, options)
    yield _path_string(answers, database, options)
    yield _settings(answers, expected, asked, options)
    yield _control_flow(answers, recent, options)


def _errors(database: DatabaseState | None, options: str) -> Check:
    command = f"xcomctl verify -d DAG -r RUN{options}"
    found = missing("signal_xcom_errors", SIGNALS, database)
    if found is not None:
        return _signal("signal_xcom_errors", found.status, found.detail, command, found.hint)
    assert database is not None
    if database.failed_count:
        first = database.failed[0]
        command = verify_command(first.dag_id, first.run_id, options)
    said = f"XCom write/read errors, tasks failing on xcom_pull: {database.failed_count} in the last hour"
    unknown = failures_unknown(database)
    if unknown:
        return _signal("signal_xcom_errors", Status.SKIP, f"{said}; {unknown}", command)
    return _signal("signal_xcom_errors", Status.WARN if database.failed_count else Status.OK, said, command)


def _path_string(answers: Mapping[str, StatusAnswer | None], database: DatabaseState | None, options: str) -> Check:
    title = "a downstream task receives an s3://… string"
    look = f"xcomctl refs --aliases{options}"
    found = missing("signal_path_string", SIGNALS, database)
    if found is not None:
        return _signal("signal_path_string", found.status, found.detail, look, found.hint)
    assert database is not None
    if database.elsewhere:
        look = verify_command(database.elsewhere[0].dag_id, database.elsewhere[0].run_id, options)
    elif database.at_risk:
        look = verify_command(database.at_risk[0].dag_id, database.at_risk[0].run_id, options)
    handing = {
        name: max(handed_over(answer, database), handed_by_running(answer, database))
        for name, answer in answers.items()
        if answer is not None
    }
    if any(handing.values()):
        names = ", ".join(name for name, count in handing.items() if count)
        said = f"{max(handing.values()):,} references in unfinished runs do not resolve in {names}"
        return _signal("signal_path_string", Status.FAIL, f"{title}: {said}", look)
    if database.aliases:
        return _signal("signal_path_string", Status.WARN, f"{title}: {database.aliases:,} were passed on", look)
    return _signal("signal_path_string", Status.OK, f"{title}: nothing points to it", look)


def _settings(answers: Mapping[str, StatusAnswer | None], expected: Expected, asked: Expected, options: str) -> Check:
    title = "object-store path effective vs expected"
    found = {name: answer.resolution for name, answer in answers.items() if answer is not None}
    if not found:
        return _signal(
            "signal_settings", Status.SKIP, f"{title}: no context answers", _expecting(expected, None, options)
        )
    first = next(iter(found.values()))
    command = _expecting(expected, first, options)
    wrong = [
        f"{name} has {resolution.path.value or 'no path'}, {resolution.threshold.value}"
        for name, resolution in found.items()
        if not _as_expected(resolution, expected, asked)
    ]
    wanted = f"expected {expected.path or 'any path'}, {'any' if expected.threshold is None else expected.threshold}"
    if wrong:
        return _signal("signal_settings", Status.FAIL, f"{title}: {'; '.join(wrong)}; {wanted}", command)
    said = f"{first.path.value or 'no path'}, {first.threshold.value}"
    if expected.path is None and expected.threshold is None:
        said += ", nothing is expected" if len(found) == 1 else ""
    elif first.phase in (Phase.INLINE.value, Phase.DUAL_READ.value) and asked == Expected():
        said += (
            f"; planned: {expected.path or 'any path'}, {'any' if expected.threshold is None else expected.threshold}"
        )
    else:
        said += ", as expected"
    return _signal("signal_settings", Status.OK, f"{title}: {said}", command)


def _as_expected(found: Resolution, expected: Expected, asked: Expected) -> bool:
    counts = expected.counting(asked, found.phase)
    return (counts.path is None or (found.path.value is not None and same_path(found.path.value, counts.path))) and (
        counts.threshold is None or found.threshold.value == counts.threshold
    )


def _expecting(expected: Expected, found: Resolution | None, options: str) -> str:
    """The runbook's own command, filled in: with what is expected, else with what the first context resolves."""
    path = expected.path or (found.path.value if found is not None else None) or "URL"
    threshold = expected.threshold
    if threshold is None:
        threshold = found.threshold.value if found is not None else None
    return (
        f"python scripts/xcom_flip_preflight.py --expect-path {shlex.quote(str(path))} "
        f"--expect-threshold {'BYTES' if threshold is None else threshold}{options}"
    )


def _control_flow(answers: Mapping[str, StatusAnswer | None], recent: Recent, options: str) -> Check:
    title = "round-trip regression on control flow"
    command = f"xcomctl probe{options}"
    probe = recent.latest.get(PROBE)
    if probe is None:
        return _signal("signal_control_flow", Status.WARN, f"{title}: never probed", command)
    contexts = [each for each in probe.data.get("contexts") or () if isinstance(each, Mapping)]
    colours = {str(each.get("control_flow")) for each in contexts}
    colour = "red" if "red" in colours else "unknown" if colours != {"green"} else "green"
    otherwise = _probed_otherwise(answers, contexts)
    status = Status.OK if colour == "green" and not otherwise and age_s(probe) <= STALE_S else Status.WARN
    said = "; ".join((f"{title}: {colour.upper()}, {age(probe)} ago", *otherwise))
    return _signal("signal_control_flow", status, said, command)


def _probed_otherwise(
    answers: Mapping[str, StatusAnswer | None], contexts: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Of which contexts a probe says nothing as they are now: it was of another phase, or of other contexts.

    Under ``inline`` there is nothing that it could miss: BaseXCom itself reads, and what is planned is probed from there.
    """
    targets = {str(each.get("name")): each.get("target_phase") for each in contexts}
    alike: dict[str, list[str]] = {}
    for name, answer in answers.items():
        if answer is None or answer.resolution.phase == Phase.INLINE.value:
            continue
        target, found = targets.get(name), answer.resolution.phase
        if target != found:
            alike.setdefault("not probed" if target is None else f"probed as {target}, and {found} now", []).append(
                name
            )
    return tuple(f"{', '.join(names)}: {what}" for what, names in alike.items())


def _signal(check_id: str, status: Status, detail: str, command: str, hint: str | None = None) -> Check:
    """A signal always has its command, however it stands. ``hint`` is what mends it, where that is something else."""
    return row(check_id, SIGNALS, status, detail, command if hint is None else hint, {"command": redact(command)})
