"""``xcomctl flip``: one adjacent step, written into the carrier; nothing is deployed."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xcomctl.cli import contexts, steps
from xcomctl.model.phases import Phase

if TYPE_CHECKING:
    from xcomctl.change.flip import Flip
    from xcomctl.journal.lock import Lock

NAME = "flip"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="take one step of the phases in the carrier, when everything that gates it is passed",
        description="Edits the file that carries the settings, in place and nothing else in it, from the phase that the "
        "contexts resolve to the one next to it. Refuses until the step before is over; upwards without a rehearsal and "
        "a pre-flight of what is planned; to inline while a row holds a reference. Never deploys. With --output patch it "
        "writes nothing: what would change goes to standard output for git apply or patch -p1, the rest to standard error.",
        epilog="Exit codes: 0 edited, or nothing to edit; 2 usage; 5 the contexts could not be asked; 6 refused, or locked.",
    )
    steps.add_options(parser)
    contexts.add_options(parser)
    output = contexts.add_output_options(parser, "json", "patch")
    output.add_argument("-y", "--yes", action="store_true", help="do not ask")
    output.add_argument("--dry-run", action="store_true", help="show what would be written, and write nothing")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    from xcomctl.change import flip
    from xcomctl.change.observed import standing, versions
    from xcomctl.change.steps import Steps
    from xcomctl.journal.local import this_actor
    from xcomctl.journal.open import opened
    from xcomctl.report.confirmation import confirm
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    looks_only = args.dry_run or args.output == "patch"
    asked = replace(steps.asked(args, chosen), reads_only=looks_only)
    carrier = steps.carrier(args, chosen)
    if carrier is None:
        args.usage_error("name the file that carries the settings: --carrier FILE, or carrier in xcomctl.toml")
    assert carrier is not None
    name, journal = (chosen.name if chosen is not None else None), contexts.journal(args, chosen)
    target, options = Phase(args.to), asked.options
    said = {
        key: value
        for key, value in (
            ("unsafe_no_rehearsal", args.unsafe_no_rehearsal),
            ("keep_finished", args.keep_finished),
            ("accepted", list(args.accept)),
            ("fleet_stopped", args.fleet_stopped),
        )
        if value
    }
    progress = progress_for(sys.stderr)
    with contextlib.ExitStack() as stack:
        stack.callback(progress.close)
        held: Lock | None = None
        if not looks_only:
            held = stack.enter_context(opened(journal).lock(this_actor(), NAME, name))
        fleet = stack.enter_context(contexts.fleet(args, chosen))
        with progress.step("contexts", "What every context resolves") as step:
            where = standing(fleet, step.waiting, asked.planned.path)
        with progress.step("gates", f"What stands in the way of {target.value}") as step:
            looker = Steps(fleet, journal, name, where, asked, step.waiting)
            written = flip.last(journal, name, carrier, target) is not None
            found = flip.look(
                where, looker, carrier, target, said,
                written=written, fleet_stopped=args.fleet_stopped, options=options,
            )  # fmt: skip
        progress.close()
        if found.refused:
            return _end(args, found, "refused", options, name)
        if found.already:
            finished = held is not None and flip.finish(found, journal, name)
            return _end(args, found, "already", options, name, finished=finished)
        if args.output == "patch":
            return _patch(args, found, options)
        if args.dry_run:
            return _end(args, found, "dry-run", options, name)
        assert held is not None
        _show(args, found, sys.stderr if args.output == "json" else sys.stdout)
        confirm(f"write this into {carrier.shown}?", yes=args.yes)
        held.renew()
        flip.write(found, journal, name, held, versions(where.answers))
        return _end(args, found, "edited", options, name)


def _patch(args: argparse.Namespace, found: Flip, options: str) -> int:
    """The patch on standard output as it is, byte for byte, and what comes next on standard error."""
    from xcomctl.change import flip
    from xcomctl.deployment.carriers.patch import patch
    from xcomctl.report.flip_text import render_end

    content = patch(found.carrier, found.edit.edit)
    _show(args, found, sys.stderr)
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.flush()
    sentences = ["nothing was written; with the patch merged and deployed to every component, next would be:"]
    following = flip.next_steps(found.target, options, fleet_stopped=args.fleet_stopped)
    print(file=sys.stderr)
    render_end("PATCH", sentences, list(following), sys.stderr)
    return 0


def _show(args: argparse.Namespace, found: Flip, stream: Any) -> None:
    from xcomctl.report.flip_text import render_gates

    step = found.looked.step if found.looked is not None else None
    title = f"{step.start.value if step else found.target.value} → {found.target.value}"
    render_gates(title, found.gates, "" if found.refused else found.edit.edit.diff, stream)


def _end(
    args: argparse.Namespace, found: Flip, state: str, options: str, deployment: str | None, *, finished: bool = False
) -> int:
    from xcomctl.change import flip

    record = flip.record(found, state, options, deployment, fleet_stopped=args.fleet_stopped)
    if args.output == "json":
        from xcomctl.model.redaction import redact_mapping

        json.dump(redact_mapping(record), sys.stdout, indent=2)
        print()
        return int(record["exit_code"])
    from xcomctl.report.flip_text import render_end

    stream = sys.stderr if args.output == "patch" else sys.stdout
    if state in ("refused", "dry-run"):
        _show(args, found, stream)
    if found.looked is not None:
        print(file=stream)
    path, target = found.carrier.shown, found.target.value
    headline, sentences = {
        "edited": (flip.EDITED, [f"{path} says {target} now; deploy it to every component, then:"]),
        "already": (
            "NOTHING TO WRITE",
            [f"{path} says {target} already; deploy it to every component if that was not done, then:"],
        ),
        "refused": ("REFUSED", [f"{path} was not touched"]),
        "dry-run": ("DRY RUN", ["nothing was written; with everything deployed, next would be:"]),
    }[state]
    if state in ("edited", "already") and args.fleet_stopped:
        sentences = [f"{path} says {target} now; deploy it everywhere, and only then start the components"]
    if finished:
        sentences.append("the journal says now that it is written: the flip before this one was interrupted")
    commands = [] if state == "refused" else record["next_steps"]
    render_end(headline, sentences, commands, stream)
    return int(record["exit_code"])
