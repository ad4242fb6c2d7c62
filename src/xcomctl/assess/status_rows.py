"""The rows of the screen: each says what there is, how old that is, and the command that goes on from there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xcomctl.assess.recent import PREFLIGHT, REHEARSE, VERIFY, Recent, age_s
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.errors import UserError
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import Phase
from xcomctl.model.redaction import redact
from xcomctl.model.references import normalized_base
from xcomctl.model.refs import SCAN
from xcomctl.model.status import (
    CONTEXTS,
    JOURNAL,
    REFERENCES,
    TASKS,
    DatabaseState,
    RunningProcess,
    StatusAnswer,
    path_strings,
)
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.model.verification import KILL_SWITCH
from xcomctl.report import units

#: A scan older than this, in seconds, is stale.
STALE_S = 86_400.0
#: Where what lies upstream of a task is to be had from, when it is not known.
_STILL_PARSED = "airflow dags list  # is the DAG still parsed?"
_NO_DATABASE = "no context that answers has the metadata database"


def rollout(name: str, problem: str) -> Check:
    """A workload that is not through with the last change: what its newest pod that is Ready resolves may be of before."""
    return row("rollout", CONTEXTS, Status.WARN, f"{name} {problem}", "")


def phase(
    name: str, answer: StatusAnswer | None, problem: AgentError | None, database: DatabaseState | None, options: str
) -> Check:
    """What a context resolves, and whether that hands paths over now."""
    if answer is None:
        said = f"{name}: {problem.message if problem is not None else 'no answer'}"
        return row("phase", CONTEXTS, Status.SKIP, said, problem.hint if problem is not None else "")
    found = answer.resolution
    who = f"{name}: Airflow {answer.airflow}, common-io {answer.providers.get('common.io', 'not installed')}"
    if found.class_path is None:
        return row("phase", CONTEXTS, Status.FAIL, f"{KILL_SWITCH}: {who}; XCom does not import: {found.class_error}", f"xcomctl preflight --only provider{options}")  # fmt: skip
    misses = f"; {'; '.join(found.near_misses)}" if found.near_misses else ""
    handed = handed_over(answer, database)
    lost = f"; {handed:,} references are in unfinished runs: their readers get path strings" if handed else ""
    if found.phase in (Phase.MISCONFIGURED.value, Phase.UNKNOWN.value):
        return row("phase", CONTEXTS, Status.FAIL, f"{KILL_SWITCH}: {who}; {found.phase}: {found.reason}{misses}{lost}", f"xcomctl verify{options}")  # fmt: skip
    if handed:
        under = "" if found.phase == Phase.INLINE.value else f" under {found.path.value}"
        return row("phase", CONTEXTS, Status.FAIL, f"{KILL_SWITCH}: {who}; {found.phase}{under}{lost}{misses}", f"xcomctl verify{options}")  # fmt: skip
    status = Status.WARN if found.near_misses else Status.OK
    hint = f"xcomctl preflight --only config_near_misses{options}" if found.near_misses else ""
    return row("phase", CONTEXTS, status, f"{name}: {found.phase} (Airflow {answer.airflow}){misses}", hint)


def handed_over(answer: StatusAnswer, database: DatabaseState | None) -> int:
    """How many references of unfinished runs the readers of a context get as path strings."""
    found = answer.resolution
    if found.class_path is None:  # nothing starts there
        return 0
    return path_strings(found.phase, None if found.path.value is None else str(found.path.value), database)


def handed_by_running(answer: StatusAnswer, database: DatabaseState | None) -> int:
    """The same for processes that started with other settings: what they get counts, whatever a fresh one resolves."""
    return max((path_strings(each.phase, each.path, database) for each in answer.running), default=0)


def running(name: str, answer: StatusAnswer, database: DatabaseState | None) -> Check | None:
    """Whether the processes that run there started with what a fresh one resolves; ``None`` where none is seen (F41)."""
    differing = [each for each in answer.running if each.phase is not None]
    hidden = [each for each in answer.running if each.phase is None]
    if not answer.processes and not answer.running:
        return None
    unknown = f"what {_named(hidden)} started with cannot be read" if hidden else ""
    if not differing:
        if not answer.processes:
            return row("running", CONTEXTS, Status.WARN, f"{name}: {unknown}")
        said = f"{units.count(answer.processes, 'process', 'processes')} started with this"
        return row("running", CONTEXTS, Status.OK, f"{name}: {said}{'; ' if unknown else ''}{unknown}")
    alike: dict[str, list[RunningProcess]] = {}
    for each in differing:
        alike.setdefault(f"{each.phase}: {each.differs}", []).append(each)
    parts = [f"{_named(group)} started in {differs}" for differs, group in alike.items()]
    handed = handed_by_running(answer, database)
    lost = [f"{handed:,} references are in unfinished runs: their readers get path strings"] if handed else []
    said = "; ".join([*parts, *lost, *([unknown] if unknown else [])])
    return row(
        "running", CONTEXTS, Status.FAIL if handed else Status.WARN, f"{name}: {said}",
        f"restart {_named(differing)} in {name}",
    )  # fmt: skip


def _named(processes: Sequence[RunningProcess]) -> str:
    return ", ".join(f"{each.component} (pid {each.pid})" for each in processes)


def store(name: str, answer: StatusAnswer, options: str) -> Check:
    """Whether the store answers from there."""
    state = answer.store
    if state.reachable is None:
        status = Status.OK if answer.resolution.phase == Phase.INLINE.value else Status.SKIP
        return row("store", CONTEXTS, status, f"{name}: {state.message}")
    if state.reachable:
        return row("store", CONTEXTS, Status.OK, f"{name}: answers in {state.latency_ms} ms")
    needed = answer.resolution.phase in (Phase.OFFLOAD.value, Phase.DUAL_READ.value)
    return row(
        "store", CONTEXTS, Status.FAIL if needed else Status.WARN, f"{name}: {state.message}",
        f"xcomctl preflight --only connection,store --functional-s3{options}",
    )  # fmt: skip


def references(database: DatabaseState | None, options: str) -> Check:
    """References in unfinished runs: exact, and now."""
    found = missing("references_unfinished", REFERENCES, database)
    if found is not None:
        return found
    assert database is not None
    said = f"no base path resolves; {units.count(database.unfinished_runs, 'unfinished run')}"
    if database.base_path is not None:
        aliases = f", {database.aliases:,} aliases" if database.aliases else ""
        said = f"{database.references:,} references{aliases} in {database.at_risk_runs:,} of {database.unfinished_runs:,} unfinished runs"
    if database.elsewhere:
        others = ", ".join(f"{each.references:,} under {each.base_path or 'others'}" for each in database.elsewhere)
        look = (
            "--foreign"
            if database.base_path is not None
            else f"--base-path {shlex.quote(database.elsewhere[0].base_path)}"
        )
        return row("references_unfinished", REFERENCES, Status.WARN, f"{said}; {others}", f"xcomctl refs {look}{options}")  # fmt: skip
    return row(
        "references_unfinished", REFERENCES, Status.WARN if database.aliases else Status.OK, said,
        f"xcomctl refs --aliases{options}" if database.aliases else "",
    )  # fmt: skip


def at_risk(database: DatabaseState | None, recent: Recent, options: str) -> Check:
    """Who would get path strings if somebody reverted now."""
    found = missing("at_risk", REFERENCES, database)
    if found is not None:
        return found
    assert database is not None
    scan = recent.latest.get(SCAN)
    finished = f"finished runs: not counted (xcomctl refs --at-risk{options})"
    if scan is not None:
        totals = _totals(scan)
        rest = max(0, int(totals.get("references") or 0) - int(totals.get("unfinished") or 0))
        finished = f"finished runs hold {rest:,} references, {age(scan)} ago"
    named = ", ".join(f"{run.dag_id} {run.run_id} ({run.references:,})" for run in database.at_risk)
    more = "…" if database.at_risk_runs > len(database.at_risk) else ""
    runs = f": {named}{more}" if named else ""
    return row(
        "at_risk", REFERENCES, Status.OK,
        f"a revert now would break {units.count(database.at_risk_runs, 'unfinished run')}{runs}; {finished}",
    )  # fmt: skip


def last_scan(recent: Recent, database: DatabaseState | None, options: str, problem: UserError | None = None) -> Check:
    """Totals and dangling from the last full scan, with its age. ``problem`` is why one that was asked for failed."""
    scan = recent.latest.get(SCAN)
    command = f"xcomctl status --full{options}"
    failed = f"the scan did not come to its end: {problem.message}; " if problem is not None else ""
    if problem is not None and problem.hint:
        command = problem.hint
    if scan is None:
        said = f"{failed}nobody has scanned all references yet"
        return row("last_scan", REFERENCES, Status.WARN if problem is None else Status.SKIP, said, command)
    totals = _totals(scan)
    said = (
        f"{failed}{age(scan)} ago: {int(totals.get('references') or 0):,} references, {int(totals.get('dangling') or 0):,} dangling, "
        f"{int(totals.get('foreign') or 0):,} foreign, {int(totals.get('aliases') or 0):,} aliases"
    )
    if totals.get("objects") is not None:
        said += f"; {int(totals['objects']):,} objects, {units.size(int(totals.get('object_bytes') or 0))}"
    untold = totals.get("store_error")
    if totals.get("dangling") and not untold:
        return row("last_scan", REFERENCES, Status.FAIL, said, f"xcomctl refs --dangling{options}")
    if problem is not None:
        return row("last_scan", REFERENCES, Status.SKIP, said, command)
    if untold:
        return row("last_scan", REFERENCES, Status.WARN, f"{said}; what dangles is not known: {untold}", command)
    under = totals.get("base_path")
    if database is not None and database.base_path is not None and under and not same_path(under, database.base_path):
        return row("last_scan", REFERENCES, Status.WARN, f"{said}; that was under {under}", command)
    if age_s(scan) > STALE_S:
        return row("last_scan", REFERENCES, Status.WARN, said, command)
    return row("last_scan", REFERENCES, Status.OK, said)


def same_path(one: Any, other: str) -> bool:
    """Whether two base paths are the same one."""
    return normalized_base(str(one)) == normalized_base(other)


def failed(database: DatabaseState | None, signatures: Mapping[str, int] | None, options: str) -> Check:
    """Instances that failed in the last hour with an upstream that pushed."""
    found = missing("failed_after_push", TASKS, database)
    if found is not None:
        return found
    assert database is not None
    more = "at least " if database.failed_more else ""
    unknown = failures_unknown(database)
    if not database.failed_count:
        return row(
            "failed_after_push", TASKS, Status.SKIP if unknown else Status.OK,
            f"no task is known to have failed in the last hour after one upstream pushed; {unknown}" if unknown
            else "no task failed in the last hour after one upstream pushed", _STILL_PARSED,
        )  # fmt: skip
    if signatures is None:
        why = "errors unknown (no log endpoint: --api URL)"
    else:
        why = "; ".join(f"{count} × {text}" for text, count in sorted(signatures.items(), key=lambda pair: -pair[1]))
    first = database.failed[0]
    return row(
        "failed_after_push", TASKS, Status.SKIP if unknown else Status.WARN,
        f"{more}{database.failed_count} instances failed in the last hour after one upstream pushed: {why}"
        + (f"; {unknown}" if unknown else ""),
        verify_command(first.dag_id, first.run_id, options),
        {"failed": [each.to_json() for each in database.failed]},
    )  # fmt: skip


def failures_unknown(database: DatabaseState) -> str:
    """Of how many failures of the last hour it is not known whether they came after a push; empty where of none."""
    if database.failed_unknown:
        return (
            f"what lies upstream of {database.failed_unknown} that failed is not known: their DAG is not serialised, "
            "or without these tasks"
        )
    if database.failed_more and not database.failed_count:
        return "more failed than were looked at"
    return ""


def verify_command(dag_id: str, run_id: str, options: str) -> str:
    """How to look closer at a run."""
    return f"xcomctl verify -d {shlex.quote(dag_id)} -r {shlex.quote(run_id)}{options}"


def journal(recent: Recent, options: str) -> Iterator[Check]:
    """The last rehearsal, how the last pre-flight and verification ended, and what was done of late."""
    if recent.error:
        yield row("journal", JOURNAL, Status.WARN, recent.error, "xcomctl status --journal FILE")
        return
    rehearsal = recent.latest.get(REHEARSE)
    if rehearsal is None:
        yield row("last_rehearsal", JOURNAL, Status.WARN, "nobody has rehearsed yet", "xcomctl rehearse")
    else:
        played = ", ".join(str(name) for name in rehearsal.data.get("scenarios", ()))
        yield _ended(
            "last_rehearsal", rehearsal, _verdict(rehearsal), "xcomctl rehearse", f": {played}" if played else ""
        )
    preflight, verify = recent.latest.get(PREFLIGHT), recent.latest.get(VERIFY)
    if preflight is not None:
        yield _ended("last_preflight", preflight, _verdict(preflight), f"xcomctl preflight{options}")
    if verify is not None:
        run = verify.data.get("run")
        run = run if isinstance(run, Mapping) else {}
        again = f"xcomctl verify{options}"
        if run.get("dag_id") and run.get("run_id"):  # there is none where the contexts alone were verified
            again = verify_command(str(run["dag_id"]), str(run["run_id"]), options)
        yield _ended("last_verify", verify, str(verify.data.get("verdict") or _verdict(verify)), again)
    entries = ", ".join(f"{each.action} {_verdict(each)} {age(each)} ago" for each in recent.last)
    yield row("journal", JOURNAL, Status.OK, entries or f"no entry in {recent.path}")


def _ended(check_id: str, entry: JournalEntry, said: str, again: str, more: str = "") -> Check:
    """How something ended when it was last done: a warning unless well, with the command that does it again."""
    status = Status.OK if entry.verdict is Verdict.OK else Status.WARN
    return row(check_id, JOURNAL, status, f"{said}, {age(entry)} ago{more}", again)


def missing(check_id: str, category: str, database: DatabaseState | None) -> Check | None:
    """The row that stands for what cannot be known without the database; ``None`` when it answers."""
    if database is None:
        return row(check_id, category, Status.SKIP, _NO_DATABASE)
    if database.error:
        return row(check_id, category, Status.SKIP, database.error, "airflow db check")
    return None


def _totals(scan: JournalEntry) -> Mapping[str, Any]:
    found = scan.data.get("totals")
    return found if isinstance(found, Mapping) else {}


def age(entry: JournalEntry) -> str:
    """How old an entry is, in words."""
    return units.ago(age_s(entry))


def _verdict(entry: JournalEntry) -> str:
    return "begun" if entry.verdict is None else entry.verdict.value


def row(
    check_id: str, category: str, status: Status, detail: str, hint: str = "", data: Mapping[str, Any] | None = None
) -> Check:
    """A row. One that is OK needs no hint. Secrets are taken out."""
    return Check(
        check_id, category, check_id.replace("_", " "), status, redact(detail),
        "" if status is Status.OK else redact(hint), data=dict(data or {}),
    )  # fmt: skip
