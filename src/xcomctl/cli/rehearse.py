"""``xcomctl rehearse``: the runbook's mandatory rehearsal, on a throwaway Airflow."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.errors import UserError
from xcomctl.model.rehearsal import NEEDS_SERVER, SCENARIOS
from xcomctl.model.settings import RUNBOOK_THRESHOLD, THRESHOLD_FLOOR

if TYPE_CHECKING:
    from xcomctl.rehearsal.environments import Environment

NAME = "rehearse"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="flip, break, re-trigger and heal on a throwaway Airflow, and report what it cost",
        description="Starts PostgreSQL, an S3 server and Airflow on loopback in a temporary folder, flips the XCom "
        "backend to object storage, and goes every way down under a run in flight: the runbook's bare revert with its "
        "re-trigger, the hard kill-switch, the soft one. Observes what breaks and that it heals, and what a stopped store, a "
        "deleted object and a half-removed configuration do. Nothing outside that folder is touched; nothing is left behind.",
        epilog="Exit codes: 0 every required observation was made; 3 one was not; 5 something could not be measured; "
        "6 refused (an Airflow that is too old); 130 interrupted. The report is written in every case.",
    )
    which = parser.add_argument_group("which Airflow")
    one = which.add_mutually_exclusive_group()
    one.add_argument("--env", metavar="PATH", type=Path, help="rehearse the Airflow in this virtual environment")
    one.add_argument(
        "--airflow",
        metavar="VERSION",
        help="build an environment with this version, with uv (default: the Airflow beside xcomctl, else the newest "
        "version that xcomctl was tested with)",
    )
    which.add_argument("--python", metavar="VERSION", help="Python for --airflow: a version, or the path of one")
    which.add_argument(
        "--requirements", metavar="FILE", type=Path, help="requirements that --airflow installs too: your own pins"
    )
    what = parser.add_argument_group("what is rehearsed")
    what.add_argument(
        "--only",
        metavar="SCENARIO",
        action="append",
        choices=tuple(SCENARIOS),
        default=[],
        help="play this scenario alone (repeatable; default: all): " + ", ".join(SCENARIOS),
    )
    what.add_argument(
        "--threshold",
        metavar="BYTES",
        type=_threshold,
        default=RUNBOOK_THRESHOLD,
        help="offload threshold (default: 1600000)",
    )
    what.add_argument("--store", choices=("s3", "file"), default="s3", help="where objects go (default: s3)")
    what.add_argument(
        "--cell-sizes",
        metavar="BYTES,BYTES",
        type=_sizes,
        default=(),
        help="sizes of the values that the reference DAG pushes (default: chosen around the threshold)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", choices=("text", "json"), default="text", help="format of standard output")
    output.add_argument("--out", metavar="DIR", type=Path, help="folder of the report (default: rehearsal-<time>)")
    output.add_argument("--journal", metavar="FILE", help="journal to record it in, a file or a URL")
    output.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    sandbox = parser.add_argument_group("the sandbox")
    keep = sandbox.add_mutually_exclusive_group()
    keep.add_argument("--keep", action="store_true", help="leave the sandbox up, and say how to reach and stop it")
    keep.add_argument("--stop", metavar="DIR", type=Path, help="end a sandbox that was kept, or left by a kill")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    if args.stop is not None:
        return _stop(args.stop, args.dry_run)
    if (args.python or args.requirements) and not args.airflow:
        args.usage_error("--python and --requirements go with --airflow VERSION")
    from xcomctl.rehearsal.sandbox.errors import require_extra

    require_extra()
    from xcomctl.rehearsal.scenarios.interface import size_problem

    if args.cell_sizes and (problem := size_problem(args.cell_sizes, args.threshold)):
        args.usage_error(f"--cell-sizes: {problem}")
    scenarios = _scenarios(args)
    if args.dry_run:
        print(_dry_run(args, scenarios))
        return 0

    from xcomctl.rehearsal.rehearse import Plan, record, rehearse
    from xcomctl.rehearsal.sandbox.deployment import abandoned
    from xcomctl.report.progress import progress_for
    from xcomctl.report.rehearsal_files import prepare_folder, write_report

    for folder in abandoned():
        print(f"note: a rehearsal that was killed left {folder}; end it with: xcomctl rehearse --stop {shlex.quote(str(folder))}",
              file=sys.stderr)  # fmt: skip
    # The folder first: better to hear now than in six minutes that the report cannot be written.
    folder = prepare_folder(args.out or Path(f"rehearsal-{time.strftime('%Y%m%dT%H%M%S')}"))
    plan = Plan(_environment(args), args.store, args.threshold, args.cell_sizes, args.keep, scenarios)
    report, kept = rehearse(plan, progress_for(sys.stderr))
    # Written first, since whoever reads our output may have left; shown even if the disk has filled up meanwhile.
    written: str | UserError
    try:
        paths = write_report(report, folder)
        journalled = record(report, folder, args.journal)
        written = f"Report: {paths.html}, {paths.markdown.name}, {paths.json.name}; recorded in {journalled}"
    except UserError as error:
        written = error
    if args.output == "json":
        json.dump(report.to_json(), sys.stdout, indent=2)
        print()
    else:
        from xcomctl.report.terminal import render_rehearsal

        render_rehearsal(report, sys.stdout)
    if kept:
        print(f"\n{kept}", file=sys.stderr)
    if isinstance(written, UserError):
        raise written
    if args.output == "text":
        print(f"\n{written}")
    return report.verdict.exit_code


def _scenarios(args: argparse.Namespace) -> tuple[str, ...]:
    """What is played, in the order of the list: what ``--only`` names, else all that the store allows."""
    impossible = NEEDS_SERVER if args.store == "file" else frozenset()
    if named := impossible.intersection(args.only):
        args.usage_error(f"--only {', '.join(sorted(named))} needs a store that can be stopped: not with --store file")
    return tuple(name for name in SCENARIOS if name in (args.only or SCENARIOS) and name not in impossible)


def _environment(args: argparse.Namespace) -> Callable[[Callable[[str], None]], Environment]:
    from xcomctl.rehearsal import environments

    def find(waiting: Callable[[str], None]) -> Environment:
        path = args.env or (environments.beside_us() if args.airflow is None else None)
        if path is not None:
            return environments.existing(path, store=args.store)
        return environments.build(
            args.airflow or environments.DEFAULT_VERSION,
            python=args.python,
            requirements=args.requirements,
            store=args.store,
            waiting=waiting,
        )

    return find


def _dry_run(args: argparse.Namespace, scenarios: tuple[str, ...]) -> str:
    from xcomctl.rehearsal import environments

    beside = environments.beside_us()
    if args.env or (beside and not args.airflow):
        airflow = f"use the Airflow in {args.env or beside}"
    else:
        airflow = f"build an environment with Airflow {args.airflow or environments.DEFAULT_VERSION}, or take it from the cache"
    store = "an S3 server (SeaweedFS)" if args.store == "s3" else "a folder"
    steps = [
        airflow,
        f"start PostgreSQL, {store} and Airflow on free loopback ports, in one temporary folder",
        f"play, with a threshold of {args.threshold:,} bytes and in this order of phases: {_phases(scenarios)}",
        *(f"{name}: {SCENARIOS[name]}" for name in scenarios),
        "end every process and remove the folder" if not args.keep else "leave the sandbox up",
        f"write report.json, report.md and report.html to {args.out or 'rehearsal-<time>/'}, and record it in the journal",
    ]
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def _phases(scenarios: tuple[str, ...]) -> str:
    from xcomctl.rehearsal import itinerary

    return ", ".join(leg.phase.value for leg in itinerary.legs(scenarios))


def _stop(folder: Path, dry_run: bool) -> int:
    from xcomctl.rehearsal.sandbox.errors import require_extra

    require_extra()
    from xcomctl.rehearsal.sandbox.deployment import stop_sandbox

    ended = stop_sandbox(folder, dry_run=dry_run)
    print(f"{'Would end' if dry_run else 'Ended'} {ended} servers and {'remove' if dry_run else 'removed'} {folder}.")
    return 0


def _threshold(text: str) -> int:
    value = _bytes(text)
    if value < THRESHOLD_FLOOR:
        raise argparse.ArgumentTypeError(
            f"{value} is below the floor of {THRESHOLD_FLOOR} bytes, where Airflow's own control flow gets offloaded"
        )
    return value


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_bytes(part) for part in text.split(","))


def _bytes(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of bytes") from None
