"""``xcomctl decide``: the decision on paper, generated from the JSON of the other commands and kept up to date."""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.cli import contexts, steps
from xcomctl.model.readiness import MAX_AGE_DAYS

if TYPE_CHECKING:
    from xcomctl.assess.decision import Asked, Outcome

NAME = "decide"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="write down the decision: what was measured, tried and planned, which threshold, who decided",
        description="Writes a decision record in Markdown from what the other commands found, and brings it up to date when "
        "it is called again: what it wrote itself stands between markers and is written anew, everything else is kept. Asks "
        "no context, and changes nothing but the file and the plot beside it.",
        epilog="Exit codes: 0 written, and everything was there and fresh; 2 usage; 3 pre-flight or rehearsal failed, or the "
        "threshold is below the floor; 5 an input is missing, stale or about something else, or nobody has decided; 6 "
        "refused: a damaged input, or a file that cannot be brought up to date.",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="the record, such as docs/decisions/2026-11-offload.md")  # fmt: skip
    rests = parser.add_argument_group("what it rests on (default: the newest in the journal)")
    rests.add_argument("--size", metavar="FILE", type=Path, help="the JSON of a measurement (size -o json)")
    rests.add_argument("--preflight", metavar="FILE", type=Path, help="the JSON of a pre-flight (preflight -o json)")
    rests.add_argument("--rehearsal", metavar="FILE", type=Path, help="the report.json of a rehearsal")
    rests.add_argument("--plan", metavar="FILE", type=Path, help="the JSON of the plan up (plan --to offload -o json; no plan is in the journal)")  # fmt: skip
    rests.add_argument("--max-age", metavar="AGE", type=steps.age, default=datetime.timedelta(days=MAX_AGE_DAYS), help=f"how old these may be, such as 12h (default: {MAX_AGE_DAYS}d)")  # fmt: skip
    decided = parser.add_argument_group("the decision")
    decided.add_argument("--threshold", metavar="BYTES", type=steps.threshold, help="the threshold that is chosen (default: the one in the file, else the measurement's suggestion)")  # fmt: skip
    decided.add_argument("--decided-by", metavar="NAME", type=_name, help="who decides on it; the file remembers it")
    decided.add_argument("--decided-at", metavar="DATE", type=_date, help="when, such as 2026-11-26 (default: today)")
    file = parser.add_argument_group("the file")
    file.add_argument("--restore", action="store_true", help="put back the sections that were deleted")
    file.add_argument("--adopt", action="store_true", help="append the sections to a file that has none")
    file.add_argument("--dry-run", action="store_true", help="show what would change, and write nothing")
    contexts.add_deployment_options(parser, "a deployment of xcomctl.toml: whose journal and settings, and what the commands name")  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", choices=("text", "json"), default="text", help="format (default: text)")
    output.add_argument("--journal", metavar="FILE", help="the journal, a file or a URL (default: the deployment's, else the user's own)")  # fmt: skip
    parser.set_defaults(run=run, usage_error=parser.error, **contexts.NOTHING)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    if args.decided_at is not None and args.decided_by is None:
        args.usage_error("--decided-at goes with --decided-by")
    if args.out.suffix.lower() == ".svg":
        args.usage_error("--out names the Markdown file; the plot is written beside it")
    from xcomctl.assess.decision import decide

    outcome = decide(_asked(args))
    if args.output == "json":
        from xcomctl.model.redaction import redact_mapping

        more = {"dry_run": True, "diff": _diff(outcome)} if args.dry_run else {"dry_run": False}
        json.dump(redact_mapping({**outcome.to_json(), **more}), sys.stdout, indent=2)
        print()
    else:
        from xcomctl.report.decision_text import render

        if args.dry_run and (diff := _diff(outcome)):
            print(diff)
        render(_what(outcome, args.dry_run), outcome.checks, _notes(outcome), outcome.verdict, outcome.next_steps, sys.stdout)  # fmt: skip
    return outcome.verdict.exit_code


def _asked(args: argparse.Namespace) -> Asked:
    from xcomctl.assess.decision import Asked
    from xcomctl.assess.decision_choice import Said
    from xcomctl.assess.decision_inputs import Given
    from xcomctl.journal.open import opened
    from xcomctl.model.redaction import redact

    chosen = contexts.deployment(args)
    where = contexts.journal(args, chosen)
    journal = opened(where)
    return Asked(
        out=args.out,
        given=Given(args.size, args.preflight, args.rehearsal, args.plan),
        said=Said(args.threshold, args.decided_by, args.decided_at),
        max_age=args.max_age,
        deployment=chosen.name if chosen is not None else None,
        planned_path=redact(chosen.settings.path) if chosen is not None and chosen.settings.path else None,
        journal=journal.name,
        entries=lambda: tuple(journal.entries()),
        contexts=contexts.spelled(args),
        journal_option="" if where is None else f" --journal {shlex.quote(redact(str(where)))}",
        carrier=contexts.carrier_option(args, chosen),
        restore=args.restore,
        adopt=args.adopt,
        dry_run=args.dry_run,
    )


def _what(outcome: Outcome, dry_run: bool) -> str:
    if dry_run:
        said = {"new": "would be written, new", "updated": "would be updated", "unchanged": "would stay as it is"}
    else:
        said = {"new": "written", "updated": "updated", "unchanged": "unchanged"}
    beside = f", with {outcome.chart.name}" if outcome.chart is not None else ""
    return f"{outcome.path} {said[outcome.state]}{beside}"


def _notes(outcome: Outcome) -> list[str]:
    from xcomctl.model.decision import TITLES

    notes = []
    if outcome.kept:
        kept = ", ".join(TITLES.get(name, name) for name in outcome.kept)
        notes.append(f"Kept from a hand edit, below the new text: {kept}.")
    if outcome.left_out:
        notes.append(
            f"Deleted in the file, so left out: {', '.join(TITLES[name] for name in outcome.left_out)} (--restore)."
        )
    if outcome.unknown:
        notes.append(f"Not known to this xcomctl, so left as they are: {', '.join(outcome.unknown)}.")
    return notes


def _diff(outcome: Outcome) -> str:
    from xcomctl.deployment.carriers.interface import unified_diff
    from xcomctl.report.text import printable

    return printable(unified_diff(outcome.before, outcome.after, str(outcome.path)), keep_newlines=True)


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it names nobody")
    return text.strip()


def _date(text: str) -> str:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-11-26") from None
    return text
