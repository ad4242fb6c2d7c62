"""``xcomctl retrigger``: what may have got path strings runs again, until it is green."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
from typing import TYPE_CHECKING

from xcomctl.cli import api, contexts
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.change.retrigger_command import Retrigger
    from xcomctl.model.retrigger import SuspectsQuery

NAME = "retrigger"
_TIMEOUT_S = 3600.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="let what may have got path strings run again",
        description="Finds the task instances that started while their context was inline or misconfigured, in runs that "
        "held references, and everything downstream of them; shows them, asks, clears them whatever their state, and waits "
        "until their runs are green. What runs is never killed unless it is named.",
        epilog="Exit codes: 0 green again, or nothing to clear; 2 usage; 3 a run is not green; 5 something still runs or could "
        "not be seen in time; 6 refused, or another change is under way.",
    )
    what = parser.add_argument_group(
        "what runs again (default: what the journal, the contexts and the schedulers' lives tell)"
    )
    what.add_argument("-d", "--dag-id", metavar="DAG", help="of this DAG alone")
    what.add_argument("-r", "--run-id", metavar="RUN", help="of this run alone (with --dag-id)")
    what.add_argument("--since", metavar="TIME", type=contexts.time, help="path strings were handed over since then (ISO 8601 with a zone)")  # fmt: skip
    what.add_argument("--until", metavar="TIME", type=contexts.time, help="and until then, which was the end of it")
    what.add_argument(
        "--producers",
        action="store_true",
        help="also what pushed the references, so that its values come anew: where xcomctl rehydrate cannot write them back",
    )
    what.add_argument("--include", metavar="DAG.TASK", action="append", default=[], help="this task's instances of other runs that started then (repeatable)")  # fmt: skip
    what.add_argument("--include-others", action="store_true", help="all instances of other runs that started then")
    what.add_argument("--kill", metavar="DAG.TASK", action="append", default=[], help="this task may be killed where it runs (repeatable)")  # fmt: skip
    contexts.add_base_path_option(what)
    how = parser.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="show what would be cleared, and do nothing")
    how.add_argument("-y", "--yes", action="store_true", help="clear without asking")
    how.add_argument("--timeout", metavar="SECONDS", type=contexts.seconds, default=_TIMEOUT_S, help="how long to wait for the runs (default: 3600)")  # fmt: skip
    how.add_argument("--no-wait", action="store_true", help="do not wait for the runs")
    contexts.add_options(parser)
    through = parser.add_argument_group("through Airflow's REST API")
    api.add_options(through, "clear and watch through this API (default: the deployment's, else through a context)")
    through.add_argument("--through", choices=("api", "context"), help="clear through this one, whatever else is known")
    contexts.add_output_options(parser, "json")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    _check(args)
    from xcomctl.assess.api_login import connect
    from xcomctl.change.retrigger_command import Retrigger
    from xcomctl.journal.open import opened
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    entry = api.entry(args, chosen)
    if args.through == "api" and entry is None:
        args.usage_error("--through api needs to know where the API is: --api URL, or a deployment that has one")
    name = chosen.name if chosen is not None else None
    journal = opened(contexts.journal(args, chosen))
    base_path = contexts.base_path_params(args, chosen)
    progress = progress_for(sys.stderr)
    try:
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(connect(entry)) if entry is not None else None
            fleet = stack.enter_context(contexts.fleet(args, chosen))
            command = Retrigger(fleet, journal, name, client, args.through)
            with contextlib.ExitStack() as changing:
                lock = None if args.dry_run else changing.enter_context(command.lock())
                with progress.step("look", "Look for what may have got path strings") as step:
                    command.look(_query(args, base_path), args.kill, step.waiting)
                progress.close()
                _show(args, command)
                if lock is not None and command.found.clearable:
                    command.refuse()
                    _confirm(args, command)
                    with progress.step("clear", "Clear what has to run again") as step:
                        command.clear(lock, step.waiting)
            if not args.dry_run and command.began:
                with progress.step("watch", "Wait for the runs") as step:
                    command.watch(0.0 if args.no_wait else args.timeout, step.waiting)
                command.record()
    finally:
        progress.close()
    return _end(args, command)


def _check(args: argparse.Namespace) -> None:
    if args.run_id and not args.dag_id:
        args.usage_error("--run-id goes with --dag-id: run ids are those of a DAG")
    if args.until and not args.since:
        args.usage_error("--until goes with --since")
    if args.since and args.until and args.until < args.since:
        args.usage_error("--until is before --since")
    contexts.check_tasks(args, "include", "kill")


def _query(args: argparse.Namespace, base_path: dict[str, str]) -> SuspectsQuery:
    from xcomctl.model.phases import Phase
    from xcomctl.model.retrigger import SuspectsQuery, span

    given = f"--since {args.since.isoformat()} says so" if args.since else ""
    return SuspectsQuery(
        base_path=base_path.get("base_path"),
        default_base_path=base_path.get("default_base_path"),
        windows=(span(args.since, args.until, Phase.INLINE.value, given),) if args.since else (),
        dag_id=args.dag_id,
        run_id=args.run_id,
        producers=args.producers,
        include=tuple(args.include),
        include_others=args.include_others,
    )


def _show(args: argparse.Namespace, command: Retrigger) -> None:
    if args.output == "json" and (args.yes or args.dry_run):
        return  # the document at the end has it
    from xcomctl.report.retrigger_text import render_found

    render_found(command.found, command.notes, sys.stderr if args.output == "json" else sys.stdout)


def _confirm(args: argparse.Namespace, command: Retrigger) -> None:
    from xcomctl.report.confirmation import confirm

    sys.stdout.flush()
    instances = sum(len(run.to_clear) for run in command.found.clearable)
    confirm(f"clear {instances} task instances of {len(command.found.clearable)} runs?", yes=args.yes)


def _end(args: argparse.Namespace, command: Retrigger) -> int:
    verdict = Verdict.OK if args.dry_run else command.verdict
    steps = command.next_steps(_spelled(args), contexts.spelled(args), dry_run=args.dry_run)
    if args.output == "json":
        from xcomctl.model.redaction import redact_mapping

        end = {"dry_run": args.dry_run, "verdict": verdict.value, "exit_code": verdict.exit_code, "next_steps": steps}
        json.dump(redact_mapping({**command.to_json(), **end}), sys.stdout, indent=2)
        print()
    elif args.dry_run:
        print("\n".join([*(f"→ {step}" for step in steps), "nothing was changed (--dry-run)"]))
    else:
        from xcomctl.report.retrigger_text import render_outcome

        render_outcome(command.outcome, verdict, steps, sys.stdout)
    return verdict.exit_code


def _spelled(args: argparse.Namespace) -> str:
    """The options that make the same choice again, without secrets."""
    from xcomctl.model.redaction import redact

    words = ["-d", args.dag_id] if args.dag_id else []
    words += ["-r", args.run_id] if args.run_id else []
    for option in ("since", "until"):
        moment = getattr(args, option)
        words += [f"--{option}", moment.isoformat()] if moment else []
    words += ["--producers"] if args.producers else []
    for option in ("include", "kill"):
        for task in getattr(args, option):
            words += [f"--{option}", task]
    words += ["--include-others"] if args.include_others else []
    for option in ("base_path", "through", "api", "api_user"):
        given = getattr(args, option)
        words += [f"--{option.replace('_', '-')}", redact(given)] if given else []
    return "".join(f" {shlex.quote(word)}" for word in words) + contexts.spelled(args)
