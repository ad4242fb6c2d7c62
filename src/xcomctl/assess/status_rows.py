"""The rows of the screen: each says what there is, how old that is, and the command that goes on from there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from xcomctl.assess.recent import PREFLIGHT, PROBE, REHEARSE, VERIFY, Recent, age_s
from xcomctl.assess.resolution import Expected
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import Phase
from xcomctl.model.redaction import redact
from xcomctl.model.refs import SCAN
from xcomctl.model.status import CONTEXTS, JOURNAL, REFERENCES, SIGNALS, TASKS, DatabaseState, StatusAnswer
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.model.verification import KILL_SWITCH
from xcomctl.report import units

#: A scan older than this, in seconds, is stale.
STALE_S = 86_400.0
_NO_DATABASE = "no context that answers has the metadata database"


def phase(
    name: str,
    answer: StatusAnswer | None,
    problem: AgentError | None,
    database: DatabaseState | None,
    expected: Expected,
) -> Check:
    """What a context resolves, and whether that hands paths over now."""
    if answer is None:
        said = f"{name}: {problem.message if problem is not None else 'no answer'}"
        return _row("phase", CONTEXTS, Status.SKIP, said, problem.hint if problem is not None else "")
    found = answer.resolution
    who = f"{name}: Airflow {answer.airflow}, common-io {answer.providers.get('common.io', 'not installed')}"
    if found.class_path is None:
        return _row("phase", CONTEXTS, Status.FAIL, f"{KILL_SWITCH}: {who}; XCom does not import: {found.class_error}", "xcomctl preflight --only provider")  # fmt: skip
    misses = f"; {'; '.join(found.near_misses)}" if found.near_misses else ""
    if found.phase in (Phase.MISCONFIGURED.value, Phase.UNKNOWN.value):
        return _row("phase", CONTEXTS, Status.FAIL, f"{KILL_SWITCH}: {who}; {found.phase}: {found.reason}{misses}", "xcomctl verify")  # fmt: skip
    if found.phase == Phase.INLINE.value and database is not None and database.references:
        return _row(
            "phase", CONTEXTS, Status.FAIL,
            f"{KILL_SWITCH}: {who}; inline while {database.references:,} references are in unfinished runs: their readers get "
            f"path strings{misses}", "xcomctl verify",
        )  # fmt: skip
    status = Status.WARN if found.near_misses else Status.OK
    hint = "xcomctl preflight --only config_near_misses" if found.near_misses else ""
    return _row("phase", CONTEXTS, status, f"{found.phase}; {who}{misses}", hint)


def store(name: str, answer: StatusAnswer) -> Check:
    """Whether the store answers from there."""
    state = answer.store
    if state.reachable is None:
        status = Status.OK if answer.resolution.phase == Phase.INLINE.value else Status.SKIP
        return _row("store", CONTEXTS, status, f"{name}: {state.message}")
    if state.reachable:
        return _row("store", CONTEXTS, Status.OK, f"{name}: answers in {state.latency_ms} ms")
    needed = answer.resolution.phase in (Phase.OFFLOAD.value, Phase.DUAL_READ.value)
    return _row(
        "store", CONTEXTS, Status.FAIL if needed else Status.WARN, f"{name}: does not answer: {state.message}",
        "xcomctl preflight --only connection,store --functional-s3",
    )  # fmt: skip


def references(database: DatabaseState | None) -> Check:
    """References in unfinished runs: exact, and now."""
    found = _missing("references_unfinished", REFERENCES, database)
    if found is not None:
        return found
    assert database is not None
    if database.no_base_path:
        return _row("references_unfinished", REFERENCES, Status.WARN, "no base path resolves, so none can be recognised", "--base-path URL")  # fmt: skip
    aliases = f", {database.aliases:,} aliases" if database.aliases else ""
    return _row(
        "references_unfinished", REFERENCES, Status.WARN if database.aliases else Status.OK,
        f"{database.references:,} references{aliases} in {database.at_risk_runs:,} of {database.unfinished_runs:,} unfinished runs",
        "xcomctl refs --aliases" if database.aliases else "",
    )  # fmt: skip


def at_risk(database: DatabaseState | None, recent: Recent) -> Check:
    """Who would get path strings if somebody reverted now."""
    found = _missing("at_risk", REFERENCES, database)
    if found is not None:
        return found
    assert database is not None
    scan = recent.latest.get(SCAN)
    finished = "finished runs: not counted"
    if scan is not None:
        totals = _totals(scan)
        rest = max(0, int(totals.get("references") or 0) - int(totals.get("unfinished") or 0))
        finished = f"finished runs hold {rest:,} references, {_age(scan)} ago"
    named = ", ".join(f"{run.dag_id} {run.run_id} ({run.references:,})" for run in database.at_risk)
    more = "…" if database.at_risk_runs > len(database.at_risk) else ""
    runs = f": {named}{more}" if named else ""
    return _row(
        "at_risk", REFERENCES, Status.OK,
        f"a revert now would break {database.at_risk_runs:,} unfinished runs{runs}; {finished} (xcomctl refs --at-risk)",
    )  # fmt: skip


def last_scan(recent: Recent, options: str) -> Check:
    """Totals and dangling from the last full scan, with its age."""
    scan = recent.latest.get(SCAN)
    command = f"xcomctl status --full{options}"
    if scan is None:
        return _row("last_scan", REFERENCES, Status.WARN, "nobody has scanned all references yet", command)
    totals = _totals(scan)
    said = (
        f"{_age(scan)} ago: {int(totals.get('references') or 0):,} references, {int(totals.get('dangling') or 0):,} dangling, "
        f"{int(totals.get('foreign') or 0):,} foreign, {int(totals.get('aliases') or 0):,} aliases"
    )
    if totals.get("objects") is not None:
        said += f"; {int(totals['objects']):,} objects, {units.size(int(totals.get('object_bytes') or 0))}"
    if totals.get("dangling"):
        return _row("last_scan", REFERENCES, Status.FAIL, said, f"xcomctl refs --dangling{options}")
    if totals.get("store_error"):
        return _row("last_scan", REFERENCES, Status.WARN, f"{said}; the store did not answer", command)
    if age_s(scan) > STALE_S:
        return _row("last_scan", REFERENCES, Status.WARN, said, command)
    return _row("last_scan", REFERENCES, Status.OK, said)


def failed(database: DatabaseState | None, signatures: Mapping[str, int] | None, options: str) -> Check:
    """Instances that failed in the last hour with an upstream that pushed."""
    found = _missing("failed_after_push", TASKS, database)
    if found is not None:
        return found
    assert database is not None
    more = "at least " if database.failed_more else ""
    unknown = f"; of {database.failed_unknown} more the DAG is not serialised" if database.failed_unknown else ""
    if not database.failed_count:
        return _row(
            "failed_after_push", TASKS, Status.OK, f"no task failed in the last hour after one upstream pushed{unknown}"
        )
    if signatures is None:
        why = "errors unknown (no log endpoint: --api URL)"
    else:
        why = "; ".join(f"{count} × {text}" for text, count in sorted(signatures.items(), key=lambda pair: -pair[1]))
    first = database.failed[0]
    return _row(
        "failed_after_push", TASKS, Status.WARN,
        f"{more}{database.failed_count} instances failed in the last hour after one upstream pushed{unknown}: {why}",
        f"xcomctl verify -d {shlex.quote(first.dag_id)} -r {shlex.quote(first.run_id)}{options}",
        {"failed": [each.to_json() for each in database.failed]},
    )  # fmt: skip


def signals(
    answers: Mapping[str, StatusAnswer | None],
    database: DatabaseState | None,
    recent: Recent,
    expected: Expected,
    options: str,
) -> Iterator[Check]:
    """The four signals that say whether a back-out is needed, as the runbook lists them."""
    yield _errors(database, options)
    yield _path_string(answers, database, options)
    yield _settings(answers, expected)
    yield _control_flow(recent, options)


def _errors(database: DatabaseState | None, options: str) -> Check:
    title = "XCom write/read errors, tasks failing on xcom_pull"
    command = f"xcomctl verify -d DAG -r RUN{options}"
    missing = _missing("signal_xcom_errors", SIGNALS, database)
    if missing is not None:
        return missing
    assert database is not None
    if database.failed_count:
        first = database.failed[0]
        command = f"xcomctl verify -d {shlex.quote(first.dag_id)} -r {shlex.quote(first.run_id)}{options}"
    status = Status.WARN if database.failed_count else Status.OK
    return _row(
        "signal_xcom_errors", SIGNALS, status, f"{title}: {database.failed_count} in the last hour ({command})", command
    )


def _path_string(answers: Mapping[str, StatusAnswer | None], database: DatabaseState | None, options: str) -> Check:
    title = "a downstream task receives an s3://… string"
    missing = _missing("signal_path_string", SIGNALS, database)
    if missing is not None:
        return missing
    assert database is not None
    handing = [
        name
        for name, answer in answers.items()
        if answer is not None and answer.resolution.phase in (Phase.INLINE.value, Phase.MISCONFIGURED.value)
    ]
    run = database.at_risk[0] if database.at_risk else None
    look = f"xcomctl verify -d {shlex.quote(run.dag_id)} -r {shlex.quote(run.run_id)}{options}" if run else f"xcomctl refs --aliases{options}"  # fmt: skip
    if handing and database.references:
        said = f"{', '.join(handing)} hand paths over, and {database.references:,} references are in unfinished runs"
        return _row("signal_path_string", SIGNALS, Status.FAIL, f"{title}: {said} ({look})", look)
    if database.aliases:
        return _row(
            "signal_path_string",
            SIGNALS,
            Status.WARN,
            f"{title}: {database.aliases:,} tasks passed one on ({look})",
            look,
        )
    return _row("signal_path_string", SIGNALS, Status.OK, f"{title}: nothing points to it ({look})")


def _settings(answers: Mapping[str, StatusAnswer | None], expected: Expected) -> Check:
    title = "path and threshold, effective vs expected"
    found = {name: answer.resolution for name, answer in answers.items() if answer is not None}
    path, threshold = expected.path or "URL", expected.threshold if expected.threshold is not None else "BYTES"
    command = f"python scripts/xcom_flip_preflight.py --expect-path {shlex.quote(path)} --expect-threshold {threshold}"
    if not found:
        return _row("signal_settings", SIGNALS, Status.SKIP, f"{title}: no context answers")
    wrong = [
        f"{name} has {resolution.path.value or 'no path'}, {resolution.threshold.value}"
        for name, resolution in found.items()
        if (expected.path is not None and resolution.path.value != expected.path)
        or (expected.threshold is not None and resolution.threshold.value != expected.threshold)
    ]
    if wrong:
        return _row("signal_settings", SIGNALS, Status.FAIL, f"{title}: {'; '.join(wrong)} ({command})", command)
    first = next(iter(found.values()))
    said = f"{first.path.value or 'no path'}, {first.threshold.value}"
    if expected.path is None and expected.threshold is None:
        return _row("signal_settings", SIGNALS, Status.OK, f"{title}: {said}; nothing is expected ({command})")
    return _row("signal_settings", SIGNALS, Status.OK, f"{title}: {said}, as expected ({command})")


def _control_flow(recent: Recent, options: str) -> Check:
    title = "round-trip regression on control flow"
    command = f"xcomctl probe{options}"
    probe = recent.latest.get(PROBE)
    if probe is None:
        return _row("signal_control_flow", SIGNALS, Status.WARN, f"{title}: never probed ({command})", command)
    contexts = [each for each in probe.data.get("contexts") or () if isinstance(each, Mapping)]
    colours = {str(each.get("control_flow")) for each in contexts}
    colour = "red" if "red" in colours else "unknown" if colours != {"green"} else "green"
    said = f"{title}: {colour.upper()}, {_age(probe)} ago ({command})"
    return _row("signal_control_flow", SIGNALS, Status.OK if colour == "green" else Status.WARN, said, command)


def journal(recent: Recent) -> Iterator[Check]:
    """The last rehearsal, and what was done of late."""
    if recent.error:
        yield _row("journal", JOURNAL, Status.WARN, recent.error, "--journal FILE")
        return
    rehearsal = recent.latest.get(REHEARSE)
    if rehearsal is None:
        yield _row("last_rehearsal", JOURNAL, Status.WARN, "nobody has rehearsed yet", "xcomctl rehearse")
    else:
        status = Status.OK if rehearsal.verdict is Verdict.OK else Status.WARN
        yield _row(
            "last_rehearsal", JOURNAL, status, f"{_verdict(rehearsal)}, {_age(rehearsal)} ago", "xcomctl rehearse"
        )
    for kind in (PREFLIGHT, VERIFY):
        entry = recent.latest.get(kind)
        if entry is not None:
            yield _row(f"last_{kind}", JOURNAL, Status.OK, f"{_verdict(entry)}, {_age(entry)} ago")
    entries = ", ".join(f"{each.action} {_verdict(each)} {_age(each)} ago" for each in recent.last)
    yield _row("journal", JOURNAL, Status.OK, entries or f"no entry in {recent.path}")


def _missing(check_id: str, category: str, database: DatabaseState | None) -> Check | None:
    if database is None:
        return _row(check_id, category, Status.SKIP, _NO_DATABASE)
    if database.error:
        return _row(check_id, category, Status.SKIP, database.error, "airflow db check")
    return None


def _totals(scan: JournalEntry) -> Mapping[str, Any]:
    found = scan.data.get("totals")
    return found if isinstance(found, Mapping) else {}


def _age(entry: JournalEntry) -> str:
    return units.ago(age_s(entry))


def _verdict(entry: JournalEntry) -> str:
    return "begun" if entry.verdict is None else entry.verdict.value


def _row(
    check_id: str, category: str, status: Status, detail: str, hint: str = "", data: Mapping[str, Any] | None = None
) -> Check:
    return Check(
        check_id, category, check_id.replace("_", " "), status, redact(detail),
        "" if status is Status.OK else redact(hint), data=dict(data or {}),
    )  # fmt: skip
