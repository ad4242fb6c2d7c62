"""``xcomctl plan``: the way to a phase, what stands in the way of the next step, and the commands."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

from xcomctl.cli import contexts, steps
from xcomctl.model.phases import Phase

NAME = "plan"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="the steps to a phase, what stands in the way of the next one, and the commands",
        description="Looks at what every context resolves, what runs, what is stored and by which runs, and says which "
        "steps lead to a phase, in which order, and what would refuse the next one now. Changes nothing.",
        epilog="Exit codes: 0 the next step can be taken, or there is none; 2 usage; 5 something it depends on could not "
        "be seen; 6 the next step is refused.",
    )
    steps.add_options(parser)
    contexts.add_options(parser)
    contexts.add_output_options(parser, "json")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    from xcomctl.change.observed import standing
    from xcomctl.change.plan import Planner
    from xcomctl.change.steps import Steps
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    asked = replace(steps.asked(args, chosen), reads_only=True)
    carrier = steps.carrier(args, chosen)
    name = chosen.name if chosen is not None else None
    progress = progress_for(sys.stderr)
    try:
        with contexts.fleet(args, chosen) as fleet:
            with progress.step("contexts", "What every context resolves") as step:
                where = standing(fleet, step.waiting, asked.planned.path)
            looker = Steps(fleet, contexts.journal(args, chosen), name, where, asked, lambda what: None)
            planner = Planner(fleet, looker, where, carrier, name)
            report = planner.plan(Phase(args.to), progress)
    finally:
        progress.close()
    if args.output == "json":
        from xcomctl.model.redaction import redact_mapping

        json.dump(redact_mapping(report.to_json()), sys.stdout, indent=2)
        print()
    else:
        from xcomctl.report.plan_text import render_plan

        render_plan(report, sys.stdout)
    return report.verdict.exit_code
