"""``xcomctl probe``: whether values come back from the backend as they do from BaseXCom."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from xcomctl.cli import api, contexts
from xcomctl.model.phases import Phase
from xcomctl.model.preflight import DEFAULT_TASK_TIMEOUT_S, DEFAULT_TIMEOUT_S
from xcomctl.model.probe import CONTROL_FLOW, DATA, SCHEMA, ProbeQuery
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.assess.fleet import Fleet
    from xcomctl.deployment.deployments import ApiEntry
    from xcomctl.model.probe import ProbeReport, ProbeRunAnswer
    from xcomctl.report.progress import Progress

NAME = "probe"
_CORPORA = {"control-flow": CONTROL_FLOW, "data": DATA}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="put values through the backend and compare what comes back",
        description="Puts two corpora through the XCom classes of a context: values that steer a DAG, and data. Each goes "
        "into the database and, where the phase reads from the store, into the store; what comes back is compared with "
        "what BaseXCom gives, in value and type. Objects are written below the base path and removed again. Works "
        "without arguments.",
        epilog="Exit codes: 0 control flow is green; 2 usage; 3 it is not, or something was left behind; 5 something "
        "could not be put through.",
    )
    which = parser.add_argument_group("what to put through")
    which.add_argument("--only", choices=tuple(_CORPORA), action="append", help="only this corpus")
    which.add_argument("--no-store", action="store_true", help="write nothing: from the database alone")
    which.add_argument("--run", action="store_true", dest="through_run", help="also through the tasks of a real run, with the probe DAG")  # fmt: skip
    which.add_argument("--dry-run", action="store_true", help="say what would be done where, and do nothing")
    planned = parser.add_argument_group("under which settings (default: those that resolve)")
    planned.add_argument("--phase", choices=tuple(phase.value for phase in Phase if phase.is_target), help="as in this phase")  # fmt: skip
    planned.add_argument("--path", metavar="URL", help="with this base path")
    planned.add_argument("--threshold", metavar="BYTES", type=int, help="with this threshold")
    planned.add_argument("--planned", action="store_true", help="what the deployment of xcomctl.toml plans")
    planned.add_argument("--timeout", metavar="SECONDS", type=contexts.seconds, default=DEFAULT_TIMEOUT_S, help="what a question may take (default: 30)")  # fmt: skip
    contexts.add_options(parser)
    task = parser.add_argument_group("with --run")
    api.add_options(task, "trigger and read through this REST API (default: through a context)")
    task.add_argument("--once", action="store_true", help="no second run for pulls from an earlier one")
    task.add_argument("--task-timeout", metavar="SECONDS", type=contexts.seconds, default=DEFAULT_TASK_TIMEOUT_S, help="how long a run may take (default: 300)")  # fmt: skip
    contexts.add_output_options(parser, "json")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    if (args.api or args.once) and not args.through_run:
        args.usage_error("--api and --once go with --run")
    from xcomctl.assess import probe
    from xcomctl.errors import UserError
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    planned = chosen.settings if chosen is not None and args.planned else None
    query = ProbeQuery(
        path=args.path or (planned.path if planned is not None else None),
        threshold=args.threshold
        if args.threshold is not None
        else (planned.threshold if planned is not None else None),
        phase=args.phase,
        store=not args.no_store,
        classes=tuple(_CORPORA[name] for name in _CORPORA if not args.only or name in args.only),
        timeout_s=args.timeout,
    )
    entry = api.entry(args, chosen) if args.through_run else None
    progress = progress_for(sys.stderr)
    try:
        with contexts.fleet(args, chosen) as fleet:
            if args.dry_run:
                through = "" if not args.through_run else entry.url if entry is not None else fleet.contexts[0].name
                print("\n".join(probe.lines([context.name for context in fleet.contexts], query, through)))
                return Verdict.OK.exit_code
            reports = probe.probe(fleet, query, progress)
            if args.through_run:
                reports = _with_run(reports, _through_tasks(fleet, entry, args, progress))
    finally:
        progress.close()
    found = probe.verdict(reports)
    _render(reports, found, args.output)
    try:
        probe.record(reports, chosen.name if chosen is not None else None, contexts.journal(args, chosen))
    except UserError as error:
        print(f"xcomctl: warning: not recorded: {error.message}", file=sys.stderr)
    return found.exit_code


def _with_run(reports: list[ProbeReport], found: ProbeRunAnswer) -> list[ProbeReport]:
    """A real run is of the whole deployment; it stands with the first context."""
    import dataclasses

    return [dataclasses.replace(reports[0], run=found), *reports[1:]]


def _through_tasks(
    fleet: Fleet, entry: ApiEntry | None, args: argparse.Namespace, progress: Progress
) -> ProbeRunAnswer:
    timeout_s, once = args.task_timeout, args.once
    from xcomctl.assess.api_login import connect
    from xcomctl.assess.in_task import AgentWay, RestWay
    from xcomctl.assess.probe_run import through_tasks
    from xcomctl.errors import UserError
    from xcomctl.model.probe import DAG_ID, REPORT_TASK, ProbeRunAnswer

    with progress.step("run", "Probe through the tasks of a real run") as step:
        try:
            if entry is not None:
                with connect(entry) as client:
                    return through_tasks(RestWay(client, DAG_ID, REPORT_TASK), timeout_s, step.waiting, once=once)
            return fleet.with_database(
                lambda session: through_tasks(
                    AgentWay(session, timeout_s, DAG_ID, REPORT_TASK), timeout_s, step.waiting, once=once
                )
            )
        except UserError as error:
            return ProbeRunAnswer("no run", unmeasured=(error.message,))


def _render(reports: list[ProbeReport], found: Verdict, output: str) -> None:
    if output == "json":
        from xcomctl.model.redaction import redact_mapping

        record = {
            "schema": SCHEMA,
            "verdict": found.value,
            "exit_code": found.exit_code,
            "contexts": [report.to_json() for report in reports],
            "next_steps": list(dict.fromkeys(step for report in reports for step in report.to_json()["next_steps"])),
        }
        json.dump(redact_mapping(record), sys.stdout, indent=2)
        print()
        return
    from xcomctl.report.probe_text import render_probe

    render_probe(reports, sys.stdout)
