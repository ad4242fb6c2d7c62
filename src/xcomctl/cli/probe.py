"""``xcomctl probe``: whether values come back from the backend as they do from BaseXCom."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from xcomctl.cli import api, contexts
from xcomctl.model.phases import Phase
from xcomctl.model.preflight import DEFAULT_TASK_TIMEOUT_S, DEFAULT_TIMEOUT_S
from xcomctl.model.probe import CONTROL_FLOW, DATA, ProbeQuery
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.model.probe import ProbeReport

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
        epilog="Exit codes: 0 control flow is green; 2 usage; 3 it is red, or something was left behind; 5 something "
        "could not be put through. Differences in data are yellow and fail nothing.",
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
    planned.add_argument("--compression", metavar="CODEC", help="with this compression; empty for none")
    planned.add_argument("--planned", action="store_true", help="what the deployment of xcomctl.toml plans, where no option says otherwise")  # fmt: skip
    planned.add_argument("--timeout", metavar="SECONDS", type=contexts.seconds, default=DEFAULT_TIMEOUT_S, help="what a question may take (default: 30)")  # fmt: skip
    contexts.add_options(parser)
    task = parser.add_argument_group("with --run")
    api.add_options(task, "trigger and read through this REST API (default: through a context)")
    task.add_argument("--once", action="store_true", help="no second run for pulls from an earlier one")
    task.add_argument("--task-timeout", metavar="SECONDS", type=contexts.seconds, help="how long a run may take (default: 300)")  # fmt: skip
    contexts.add_output_options(parser, "json", "junit")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    if (args.api or args.api_user or args.once or args.task_timeout) and not args.through_run:
        args.usage_error("--api, --api-user, --once and --task-timeout go with --run")
    from xcomctl.assess import probe
    from xcomctl.errors import UserError
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    query = probe.with_plan(_query(args), chosen, planned=args.planned)
    if args.planned and query.path is None and query.threshold is None and query.phase is None:
        args.usage_error("--planned needs to know what is planned: -D NAME, or --phase, --path and --threshold")
    entry = api.entry(args, chosen) if args.through_run else None
    through = (
        probe.ThroughRun(entry, args.task_timeout or DEFAULT_TASK_TIMEOUT_S, args.once) if args.through_run else None
    )
    reaches = contexts.reaches_beside(entry, args, chosen)
    if args.dry_run:
        print("\n".join(probe.lines(reaches, query, through)))
        return Verdict.OK.exit_code
    progress = progress_for(sys.stderr)
    try:
        reports = probe.execute(reaches, query, through, progress, contexts.log(args.verbose))
    finally:
        progress.close()
    _render(reports, args.output)
    try:
        probe.record(reports, chosen.name if chosen is not None else None, contexts.journal(args, chosen))
    except UserError as error:
        print(f"xcomctl: warning: not recorded: {error.message}", file=sys.stderr)
    return probe.verdict(reports).exit_code


def _query(args: argparse.Namespace) -> ProbeQuery:
    return ProbeQuery(
        path=args.path,
        threshold=args.threshold,
        compression=args.compression,
        phase=args.phase,
        store=not args.no_store,
        classes=tuple(_CORPORA[name] for name in _CORPORA if not args.only or name in args.only),
        timeout_s=args.timeout,
    )


def _render(reports: list[ProbeReport], output: str) -> None:
    if output == "json":
        from xcomctl.assess.probe import document
        from xcomctl.model.redaction import redact_mapping

        json.dump(redact_mapping(document(reports)), sys.stdout, indent=2)
        print()
    elif output == "junit":
        from xcomctl.report.junit import render_junit
        from xcomctl.report.probe_checks import checks_of

        render_junit(f"xcomctl {NAME}", [(report.context, checks_of(report)) for report in reports], sys.stdout)
    else:
        from xcomctl.report.probe_text import render_probe

        render_probe(reports, sys.stdout)
