"""``xcomctl wait``: until everything that began with the old settings is over."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from xcomctl.cli import contexts, steps
from xcomctl.model.phases import Phase

if TYPE_CHECKING:
    from xcomctl.change.agents import Agents
    from xcomctl.change.barrier import Barriers, Evaluated
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.report.progress import Progress

NAME = "wait"
SCHEMA = "xcomctl.wait/1"
_TIMEOUT_S = 3600.0
_POLL_S = 5.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="wait until everything that began with the old settings is over",
        description="The barrier between two steps: every process that starts or hosts tasks is up in the new phase, the "
        "last old one is gone, and no task instance that began before is left. Reads only, and records the result.",
        epilog="Exit codes: 0 passed; 2 usage; 3 blocked when the time is over; 5 something could not be seen.",
    )
    what = parser.add_argument_group("what to wait for")
    what.add_argument(
        "--to", metavar="PHASE", required=True, choices=steps.targets(), help="the phase that was deployed: inline, dual-read or offload"
    )  # fmt: skip
    what.add_argument("--timeout", metavar="SECONDS", type=contexts.seconds, default=_TIMEOUT_S, help="how long to wait (default: 3600)")  # fmt: skip
    what.add_argument("--once", action="store_true", help="look once, and do not wait")
    what.add_argument(
        "--accept", metavar="DAG.TASK", action="append", default=[],
        help="let this task run on: it neither reads nor writes what the next step is about (repeatable, recorded)",
    )  # fmt: skip
    what.add_argument(
        "--deployed-at", metavar="TIME", type=contexts.time,
        help="when the new settings were rolled out (ISO 8601 with a zone), for processes that hide what they started with, "
        "as those of 2.x do: taken at your word, and recorded",
    )  # fmt: skip
    what.add_argument("--dry-run", action="store_true", help="say what would be looked at, and do nothing")
    contexts.add_options(parser)
    contexts.add_output_options(parser, "json")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    contexts.check_tasks(args, "accept")
    from xcomctl.change.agents import Agents
    from xcomctl.errors import UserError
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    if args.dry_run:
        named = "; ".join(reach.name for reach in contexts.reaches(args, chosen))
        print(f"would look at the processes in: {named}\nwould look at what is in flight, until nothing older is left")
        print("would record the result in the journal; nothing else is written")
        return 0
    progress = progress_for(sys.stderr)
    try:
        with Agents(lambda: contexts.some_reaches(args, chosen), contexts.log(args.verbose)) as agents:
            barriers, found = _waited(args, chosen, agents, progress)
            progress.close()
            _render(args, found)
            try:
                barriers.record(Phase(args.to), found)
            except UserError as error:
                print(f"xcomctl: warning: not recorded: {error.message}", file=sys.stderr)
    finally:
        progress.close()
    return found.verdict.exit_code


def _waited(
    args: argparse.Namespace, chosen: Deployment | None, agents: Agents, progress: Progress
) -> tuple[Barriers, Evaluated]:
    """The barrier once it is passed, or as it is when the time is over; and what it was evaluated by."""
    from xcomctl.change.barrier import Barriers

    deadline = time.monotonic() + args.timeout
    where, name = contexts.journal(args, chosen), chosen.name if chosen is not None else None
    with progress.step("wait", f"Wait until nothing older than {args.to} is left") as step:
        while True:
            barriers = Barriers(agents.fleet(), where, name, args.deployed_at)
            found = barriers.evaluate(Phase(args.to), args.accept, waiting=step.waiting)
            if found.barrier.passed or args.once or time.monotonic() >= deadline:
                return barriers, found
            blockers, unknown = found.barrier.blockers, found.barrier.unknown
            first = blockers[0].name if blockers else unknown[0]
            count = len(blockers) + len(unknown)
            step.waiting(f"{first}{f' and {count - 1} more' if count > 1 else ''}")
            time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
            if unknown:  # a context that resolves something else, or is gone, may be another one by now
                agents.anew()


def _render(args: argparse.Namespace, found: Evaluated) -> None:
    from xcomctl.report.wait_text import next_steps, render_wait

    options = contexts.spelled(args)
    if args.output == "json":
        from xcomctl.model.redaction import redact_mapping

        record = {
            "schema": SCHEMA,
            "verdict": found.verdict.value,
            "exit_code": found.verdict.exit_code,
            "barrier": found.barrier.to_json(),
            "processes": [each.to_json() for each in found.gathered.evidence.processes if each.ended is None],
            "warnings": list(found.gathered.warnings),
            "next_steps": next_steps(found.barrier, options),
        }
        json.dump(redact_mapping(record), sys.stdout, indent=2)
        print()
    else:
        render_wait(found.barrier, found.gathered.warnings, options, sys.stdout)
