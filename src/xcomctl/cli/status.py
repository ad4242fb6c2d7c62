"""``xcomctl status``: the one screen at three in the morning."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from xcomctl.cli import api, carriers, contexts, loki

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xcomctl.assess.fleet import Fleet
    from xcomctl.assess.status import Seen
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.errors import UserError
    from xcomctl.model.status import FailedTask, StatusReport
    from xcomctl.model.verdicts import Check
    from xcomctl.report.progress import Progress

NAME = "status"
#: What a context resolves is read when its agent starts, so a watch starts the agents anew after so many seconds.
_FRESH_S = 60.0
_WATCH_S = 10.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="the one screen: phases, references, store, failed tasks, what to do next",
        description="Shows the phase of every context, the references in unfinished runs, whether the store answers, what "
        "failed after a push, who is at risk if somebody reverted now, what was rehearsed and measured of late, and the "
        "exact next command. Reads only.",
        epilog="Exit codes: 0 ok; 2 usage; 3 act now; 4 a warning, with --fail-on-warn; 5 something could not be measured.",
    )
    what = parser.add_argument_group("what to look at")
    what.add_argument("--full", action="store_true", help="scan all references and objects now, and record that")
    what.add_argument(
        "--watch",
        metavar="SECONDS",
        type=contexts.seconds,
        nargs="?",
        const=_WATCH_S,
        help="look again and again (default: every 10)",
    )
    what.add_argument(
        "--expect-path", metavar="URL", help="what the path has to resolve to (default: the deployment's)"
    )
    what.add_argument("--expect-threshold", metavar="BYTES", type=int, help="what the threshold has to resolve to")
    carriers.add_carrier_option(what, "also say what this file says (repeatable for several values files; default: the deployment's)")  # fmt: skip
    contexts.add_base_path_option(what)
    contexts.add_options(parser)
    through = parser.add_argument_group("through Airflow's REST API")
    api.add_options(
        through, "read the logs of failed tasks there (default: the deployment's; else errors stay unknown)"
    )
    output = contexts.add_output_options(parser, "json")
    output.add_argument("--fail-on-warn", action="store_true", help="exit with 4 when there are warnings")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    progress = progress_for(sys.stderr)
    try:
        if args.watch is None:
            with contexts.fleet(args, chosen) as fleet:
                report = _look(args, chosen, fleet, progress, full=args.full)
                progress.close()
                _render(report, args.output, again=False)
                return report.verdict.exit_code
        return _watch(args, chosen, progress)
    finally:
        progress.close()


def _watch(args: argparse.Namespace, chosen: Deployment | None, progress: Progress) -> int:
    """Until Ctrl-C, which leaves through ``KeyboardInterrupt``."""
    full = args.full
    while True:
        with contexts.fleet(args, chosen) as fleet:
            until = time.monotonic() + _FRESH_S
            while True:
                report = _look(args, chosen, fleet, progress, full=full)
                full = False
                progress.close()
                _render(report, args.output, again=True)
                time.sleep(args.watch)
                # One that could not be asked may be there again.
                if time.monotonic() >= until or None in report.contexts.values():
                    break


def _look(
    args: argparse.Namespace, chosen: Deployment | None, fleet: Fleet, progress: Progress, *, full: bool
) -> StatusReport:
    from xcomctl.assess import status
    from xcomctl.assess.recent import Recent
    from xcomctl.assess.resolution import Expected

    asked = Expected(path=args.expect_path, threshold=args.expect_threshold)
    expected = asked.or_planned(chosen.settings if chosen is not None else None)
    name = chosen.name if chosen is not None else None
    journal = contexts.journal(args, chosen)
    more = contexts.base_path_params(args, chosen)
    problem = _scan(fleet, more, name, journal, progress) if full else None
    options = contexts.spelled(args)
    with progress.step("status", "Look") as step:
        seen = status.ask(fleet, more, step.waiting)
        signatures = _signatures(args, chosen, seen.failed, step.waiting)
        logs = _logs(args, chosen, seen, step.waiting)
        return status.report(
            seen, expected, Recent.read(journal, name), asked=asked, scan_problem=problem, deployment=name,
            signatures=signatures, carrier=carriers.files(args, chosen), fail_on_warn=args.fail_on_warn, options=options,
            carrier_option=contexts.carrier_option(args, chosen), logs=logs,
        )  # fmt: skip


def _logs(args: argparse.Namespace, chosen: Deployment | None, seen: Seen, waiting: Any) -> Check | None:
    """The row of the deployment's Loki, about the last hour as the other signals are."""
    asking = loki.asking(args, chosen, seen.database.base_path if seen.database is not None else None)
    if asking is None:
        return None
    from xcomctl.assess import log_signals
    from xcomctl.model.status import SIGNALS
    from xcomctl.model.verdicts import Status

    return log_signals.row(asking, log_signals.last(3600), SIGNALS, Status.WARN, waiting)


def _signatures(
    args: argparse.Namespace, chosen: Deployment | None, failed: tuple[FailedTask, ...], waiting: Any
) -> Mapping[str, int] | None:
    """The errors of what failed, where there is an API to read logs from; ``None`` where there is nothing to read."""
    from xcomctl.assess import status
    from xcomctl.assess.api_login import connect
    from xcomctl.errors import UserError

    entry = api.entry(args, chosen)
    if entry is None or not failed:
        return None
    waiting("the logs of what failed")
    try:
        with connect(entry) as client:
            return status.failed_logs(client, failed)
    except UserError as error:
        return {f"unknown: {error.message}": len(failed)}


def _scan(
    fleet: Fleet, more: Mapping[str, str], name: str | None, journal: Any, progress: Progress
) -> UserError | None:
    """Scan everything and record that; why there is no such scan, when there is none: the screen is wanted all the same."""
    from xcomctl.assess import refs
    from xcomctl.errors import UserError
    from xcomctl.model.refs import DANGLING, RefsQuery

    # Nothing but what dangles has to travel; the totals are of everything.
    query = RefsQuery(only=(DANGLING,))
    try:
        with progress.step("scan", "Scan all references and objects") as step:
            refs.record(refs.scan(fleet, query, more, lambda item: None, step.waiting), name, journal)
    except UserError as error:
        return error
    return None


def _render(report: StatusReport, output: str, *, again: bool) -> None:
    if output == "json":
        from xcomctl.model.redaction import redact_mapping

        json.dump(redact_mapping(report.to_json()), sys.stdout, indent=None if again else 2)
        print(flush=True)
        return
    from xcomctl.report.status_text import render_status

    if again and sys.stdout.isatty():
        print("\x1b[H\x1b[2J", end="")
    render_status(report, sys.stdout)
    if again and not sys.stdout.isatty():
        print(flush=True)
