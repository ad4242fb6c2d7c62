"""``xcomctl journal``: what was done and measured, oldest first."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.journal.local import DamagedLine
    from xcomctl.model.journal_entry import JournalEntry

NAME = "journal"
SCHEMA = "xcomctl.journal-list/1"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="list what was done and measured, oldest first",
        description="Lists the entries of the journal, oldest first.",
    )
    parser.add_argument("--journal", metavar="FILE", type=Path, help="the journal (default: the user's own)")
    parser.add_argument("--action", metavar="NAME", help="only this action and its parts (rehearse, flip, …)")
    parser.add_argument("--last", metavar="N", type=_count, help="only the newest N of them")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="format (default: text)")
    parser.add_argument("--fail-on-warn", action="store_true", help="exit with 4 if a line of it is damaged")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    from xcomctl.journal.local import DamagedLine, LocalJournal

    damaged: list[DamagedLine] = []

    def wanted() -> Iterable[JournalEntry]:
        for line in journal.read():
            if isinstance(line, DamagedLine):
                damaged.append(line)
            elif args.action is None or f"{line.action}.".startswith(f"{args.action}."):
                yield line

    journal = LocalJournal(args.journal)
    entries = wanted() if args.last is None else deque(wanted(), maxlen=args.last)
    if args.output == "json":
        listed = [entry.to_json() for entry in entries]
        lines = [{"line": line.number, "reason": line.reason, "torn": line.torn} for line in damaged]
        json.dump({"schema": SCHEMA, "journal": str(journal.path), "entries": listed, "damaged": lines}, sys.stdout)
        print()
    else:
        empty = True
        for entry in entries:
            empty = False
            print(_row(entry))
        if empty:
            print(f"no entry in {journal.path}", file=sys.stderr)
    for line in damaged:
        print(f"warning: {journal.path}, line {line.number}: {line.reason}", file=sys.stderr)
    return Verdict.WARNINGS.exit_code if damaged and args.fail_on_warn else 0


def _row(entry: JournalEntry) -> str:
    from xcomctl.report.text import printable

    verdict = "begun" if entry.verdict is None else entry.verdict.value
    versions = " ".join(f"{name}={version}" for name, version in entry.versions.items())
    columns = (
        f"{entry.at[:19]}Z",
        f"{entry.action:16}",
        f"{verdict:12}",
        f"{entry.actor.user}@{entry.actor.host}",
        entry.deployment or "",
        versions,
    )
    return printable("  ".join(column for column in columns if column).rstrip())


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a number of entries")
    return number
