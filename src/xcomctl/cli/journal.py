"""``xcomctl journal``: what was done and measured, oldest first, and who holds the lock."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from xcomctl.cli import contexts
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.journal.interface import DamagedLine
    from xcomctl.journal.lock import LockState
    from xcomctl.model.journal_entry import JournalEntry

NAME = "journal"
SCHEMA = "xcomctl.journal-list/1"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="list what was done and measured, oldest first",
        description="Lists the entries of the journal, oldest first, and says if a change is under way now: who holds "
        "the lock, for what, and until when.",
        epilog="Exit codes: 0 ok; 2 usage; 4 something in it is damaged, with --fail-on-warn; 5 it cannot be read.",
    )
    contexts.add_deployment_options(parser, "a deployment of xcomctl.toml: what was done to it, in its journal")
    parser.add_argument("--journal", metavar="FILE", help="the journal, a file or a URL (default: the deployment's, else the user's own)")  # fmt: skip
    parser.add_argument("--action", metavar="NAME", help="only this action and its parts (rehearse, flip, …)")
    parser.add_argument("--since", metavar="WHEN", type=contexts.since, help="only what was done since: 2h, 3d, or an ISO 8601 time (UTC)")  # fmt: skip
    parser.add_argument("--last", metavar="N", type=_count, help="only the newest N of them")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="format (default: text)")
    parser.add_argument("--fail-on-warn", action="store_true", help="exit with 4 if an entry of it is damaged")
    parser.set_defaults(run=run, usage_error=parser.error, **contexts.NOTHING)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    from xcomctl.journal.errors import JournalError
    from xcomctl.journal.interface import DamagedLine
    from xcomctl.journal.open import opened
    from xcomctl.report.text import ascii_only, holds_unicode, printable

    chosen = contexts.deployment(args)
    journal = opened(contexts.journal(args, chosen))
    damaged: list[DamagedLine] = []

    def wanted() -> Iterable[JournalEntry]:
        for line in journal.read():
            if isinstance(line, DamagedLine):
                damaged.append(line)
            elif _is_wanted(line, args, None if chosen is None else chosen.name):
                yield line

    locks: list[LockState] | None = None
    try:
        locks = [lock for lock in journal.locks() if chosen is None or lock.deployment == chosen.name]
    except JournalError as error:  # what was done can be read all the same
        print(f"warning: {error.message}", file=sys.stderr)
    entries = wanted() if args.last is None else deque(wanted(), maxlen=args.last)
    if args.output == "json":
        listed = {
            "schema": SCHEMA,
            "journal": journal.name,
            "locks": None
            if locks is None
            else [{**lock.to_json(), "abandoned": lock.abandoned or None} for lock in locks],
            "entries": [entry.to_json() for entry in entries],
            "damaged": [
                {"line": line.number, "object": line.name or None, "reason": line.reason, "torn": line.torn}
                for line in damaged
            ],
        }
        json.dump(listed, sys.stdout)
        print()
    else:
        spelled = str if holds_unicode(sys.stdout) else ascii_only
        for lock in locks or ():
            print(spelled(_lock_row(lock)))
        empty = True
        for entry in entries:
            empty = False
            print(spelled(_row(entry)))
        if empty:
            print(f"no entry in {journal.name}", file=sys.stderr)
    for line in damaged:
        print(f"warning: {journal.name}, {printable(line.place)}: {printable(line.reason)}", file=sys.stderr)
    return Verdict.WARNINGS.exit_code if (damaged or locks is None) and args.fail_on_warn else 0


def _is_wanted(entry: JournalEntry, args: argparse.Namespace, deployment: str | None) -> bool:
    from xcomctl.model.journal_entry import parse_time

    if args.action is not None and not f"{entry.action}.".startswith(f"{args.action}."):
        return False
    if args.since is not None and parse_time(entry.at) < args.since:
        return False
    # What belongs to no deployment, such as a rehearsal, counts for every one.
    return deployment is None or entry.deployment in (deployment, None)


def _lock_row(lock: LockState) -> str:
    from xcomctl.report import units

    whose = "" if lock.deployment is None else f"the deployment {lock.deployment!r}, "
    if lock.abandoned:
        return f"left behind: {whose}{lock.words}; {lock.abandoned}, so the next change takes the lock over"
    return f"locked: {whose}{lock.words}; expires at {units.moment(lock.expires)} unless it is renewed"


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
        _phases(entry),
        "" if entry.plan is None else f"plan {entry.plan[:8]}",
        versions,
    )
    return printable("  ".join(column for column in columns if column).rstrip())


def _phases(entry: JournalEntry) -> str:
    """``inline → dual-read`` for a step, ``→ dual-read`` for what names its end alone; empty for anything else."""
    start, target = entry.data.get("start"), entry.data.get("target")
    if not isinstance(target, str):
        return ""
    return f"{start} → {target}" if isinstance(start, str) else f"→ {target}"


def _count(text: str) -> int:
    return contexts.count(text, "entries")
