"""``xcomctl rehydrate``: references back into the database, so that ``inline`` hands over values and not path strings."""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from xcomctl.cli import contexts, steps
from xcomctl.model import rehydrate as words
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.assess.fleet import Fleet
    from xcomctl.change.rehydrate import Rehydrate, Spelled
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.journal.lock import Lock
    from xcomctl.model.rehydrate import RehydrateQuery, Row
    from xcomctl.model.rehydrated import After, Before
    from xcomctl.report.progress import Progress

NAME = "rehydrate"
#: Rows that are kept for the text, of each kind; JSON has them all.
_KEPT = 5


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="write what references point to back into the database",
        description="Reads the object of every reference and writes its value into the row, in a transaction of its own and "
        "only if the row still holds that reference, and only if readers get for it what they get from the object. What "
        "cannot be written stays a reference and is named. Objects are never deleted. Killed at any point it can be called "
        "again.",
        epilog="Exit codes: 0 nothing is left, or with --verify inline is safe now; 2 usage; 3 something is left that blocks "
        "inline, or was pushed again; 5 the store or the database could not be asked, or with --quiesced something was up; 6 "
        "refused, or another change is under way; 130 interrupted.",
    )
    which = parser.add_argument_group("which references (default: all under the base path)")
    which.add_argument("--runs", choices=(words.ALL, words.UNFINISHED), default=words.ALL, help="of all runs (default), or of those that are not over")  # fmt: skip
    which.add_argument("-d", "--dag-id", metavar="DAG", help="of this DAG")
    which.add_argument("-r", "--run-id", metavar="RUN", help="of this run (with --dag-id)")
    which.add_argument("--older-than", metavar="AGE", type=steps.age, help="pushed longer ago than this, such as 12h or 30d")  # fmt: skip
    contexts.add_base_path_option(which)
    how = parser.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="read every object, say what would be written and what would be left, and write nothing")  # fmt: skip
    how.add_argument("-y", "--yes", action="store_true", help="write without asking")
    how.add_argument("--max-bytes", metavar="BYTES", type=contexts.size, default=words.MAX_BYTES, help="write at most so much in all (default: 10GiB)")  # fmt: skip
    how.add_argument("--max-value-bytes", metavar="BYTES", type=contexts.size, default=words.MAX_VALUE_BYTES, help="leave larger values in the store (default: 64MiB; on 3.x every pull of one passes through the api-server)")  # fmt: skip
    how.add_argument("--jobs", metavar="N", type=_jobs, default=words.JOBS, help=f"rows in work at a time, each with a database connection of its own (default: {words.JOBS}; at most {words.MOST_JOBS})")  # fmt: skip
    how.add_argument("--quiesced", action="store_true", help="every component is stopped and nothing runs any more, which is checked: also writes values that a reader with the backend would see as something else (2.x: strings that parse as JSON)")  # fmt: skip
    check = parser.add_argument_group("only a look")
    check.add_argument("--verify", action="store_true", help="say whether inline is safe now, and nothing else")
    check.add_argument("--accept", metavar="DAG.TASK", action="append", default=[], help="with --verify: its aliases may stay, and it may run on (repeatable)")  # fmt: skip
    check.add_argument("--keep-finished", metavar="REASON", help="with --verify: references of finished runs may stay")
    contexts.add_options(parser)
    contexts.add_output_options(parser, "json")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    _check(args)
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    progress = progress_for(sys.stderr)
    try:
        with contexts.fleet(args, chosen) as fleet:
            return (_verify if args.verify else _rehydrate)(args, chosen, fleet, progress)
    finally:
        progress.close()


def _check(args: argparse.Namespace) -> None:
    if args.run_id and not args.dag_id:
        args.usage_error("--run-id goes with --dag-id: run ids are those of a DAG")
    part = args.runs != words.ALL or args.dag_id or args.older_than or args.quiesced or args.dry_run or args.yes
    if args.verify and part:
        args.usage_error(
            "--verify looks at everything and writes nothing: it goes with --accept and --keep-finished alone"
        )
    if not args.verify and (args.accept or args.keep_finished is not None):
        args.usage_error("--accept and --keep-finished go with --verify, and with xcomctl flip")
    if args.keep_finished is not None and not args.keep_finished.strip():
        args.usage_error("--keep-finished needs a reason")
    contexts.check_tasks(args, "accept")


def _query(args: argparse.Namespace, chosen: Deployment | None) -> RehydrateQuery:
    from xcomctl.model.rehydrate import RehydrateQuery

    before = None
    if args.older_than is not None:
        before = (datetime.datetime.now(datetime.UTC) - args.older_than).isoformat()
    return RehydrateQuery(
        **contexts.base_path_params(args, chosen),
        runs=args.runs,
        dag_id=args.dag_id,
        run_id=args.run_id,
        before=before,
        write=not args.dry_run,
        no_readers=args.quiesced,
        jobs=args.jobs,
        max_bytes=args.max_bytes,
        max_value_bytes=args.max_value_bytes,
        look=False,
    )


def _rehydrate(args: argparse.Namespace, chosen: Deployment | None, fleet: Fleet, progress: Progress) -> int:
    import contextlib

    from xcomctl.change import rehydrate
    from xcomctl.change.rehydrate import SCHEMA, Rehydrate
    from xcomctl.errors import UserError
    from xcomctl.report import rehydrate_text
    from xcomctl.report.streamed import JsonObject

    name = chosen.name if chosen is not None else None
    command = Rehydrate(fleet, contexts.journal(args, chosen), name, _query(args, chosen), contexts.spelled(args))
    lines = JsonObject(sys.stdout, SCHEMA, "rows") if args.output == "json" else None
    kept: dict[str, list[Row]] = {}
    spelled = _spelled(args, chosen)
    begun: Before | None = None

    def each(row: Row) -> None:
        if lines is not None:
            lines.add(row.to_json())
        elif len(kept.setdefault(row.why, [])) < _KEPT:
            kept[row.why].append(row)

    try:
        with contextlib.ExitStack() as changing:
            lock = None if args.dry_run else changing.enter_context(command.lock())
            with progress.step("look", "Look at what is stored") as step:
                before = _looked(args, command, spelled.base_path, step.waiting)
            if lines is None or not args.yes:
                progress.close()
                rehydrate_text.render_plan(before, command.query, sys.stderr if lines is not None else sys.stdout)
            if lock is not None:
                _confirm(args, command, before)
                command.announce(before, lock)
            begun = before
            after = _played(command, each, progress, before, lock)
    except (UserError, KeyboardInterrupt) as error:
        if lines is not None and begun is not None:
            known = error if isinstance(error, UserError) else UserError("interrupted", "", Verdict.INTERRUPTED)
            again = [rehydrate.same_again(command.query, spelled)]
            lines.end(rehydrate.record(begun, known, name, command.query, again))
        raise
    progress.close()
    following = rehydrate.next_steps(after, command.query, spelled, before.readers)
    if lines is not None:
        lines.end(rehydrate.record(before, after, name, command.query, following))
    else:
        rehydrate_text.render(after, kept, following, sys.stdout)
    return after.verdict.exit_code


def _looked(args: argparse.Namespace, command: Rehydrate, base_path: str, waiting: Callable[[str], None]) -> Before:
    """Everything that has to be known before. ``--quiesced``: at its beginning and at its end nothing may be up."""
    if args.quiesced:
        command.refuse_unless_quiet(waiting)
    before = command.with_readers(command.look(waiting), waiting, base_path)
    if args.quiesced:
        command.refuse_unless_quiet(waiting)
    return before


def _played(
    command: Rehydrate, each: Callable[[Row], None], progress: Progress, before: Before, lock: Lock | None
) -> After:
    """Do it; where rows are written, say in the journal how it ended, also where it is broken off."""
    total = before.rows if command.query.before is None else None
    if lock is None:
        with progress.step("rehydrate", "Read every object") as step:
            return command.play(each, step.waiting, total)
    after: After | None = None
    try:
        with progress.step("rehydrate", "Write values back into the database") as step:
            after = command.play(each, step.waiting, total, lock.renew)
    finally:
        command.record(after, Verdict.INCONCLUSIVE if after is None else after.verdict)
    return after


def _confirm(args: argparse.Namespace, command: Rehydrate, before: Before) -> None:
    from xcomctl.report import units
    from xcomctl.report.confirmation import confirm
    from xcomctl.report.rehydrate_text import at_most

    if not before.rows:
        return
    sys.stdout.flush()
    values = units.count(before.totals.references, "value")
    confirm(f"write {at_most(command.query)}{values} into the database?", yes=args.yes)


def _spelled(args: argparse.Namespace, chosen: Deployment | None) -> Spelled:
    from xcomctl.change.rehydrate import Spelled

    return Spelled(
        _which(args), contexts.base_path_option(args), contexts.spelled(args), contexts.carrier_option(args, chosen)
    )


def _verify(args: argparse.Namespace, chosen: Deployment | None, fleet: Fleet, progress: Progress) -> int:
    from xcomctl.change import rehydrate
    from xcomctl.change.carrier_edit import NOTHING
    from xcomctl.change.steps import Asked
    from xcomctl.deployment.deployments import SettingsEntry
    from xcomctl.model.plan import is_in_the_way
    from xcomctl.model.redaction import redact_mapping
    from xcomctl.report import rehydrate_text

    planned = chosen.settings if chosen is not None else NOTHING
    asked = Asked(
        given=SettingsEntry(args.base_path, None, None),
        planned=planned,
        accepted=tuple(args.accept),
        keep_finished=args.keep_finished,
        reads_only=True,
        options=contexts.spelled(args),
    )
    name = chosen.name if chosen is not None else None
    with progress.step("verify", "Look whether inline is safe now") as step:
        checks = rehydrate.verified(fleet, contexts.journal(args, chosen), name, asked, step.waiting)
    progress.close()
    verdict = rehydrate.verdict_of(checks)
    if args.output == "json":
        following = list(dict.fromkeys(check.hint for check in checks if check.hint and is_in_the_way(check)))
        document = {
            "schema": rehydrate.VERIFY_SCHEMA,
            "deployment": name,
            "verdict": verdict.value,
            "exit_code": verdict.exit_code,
            "checks": [check.to_json() for check in checks],
            "next_steps": following,
        }
        json.dump(redact_mapping(document), sys.stdout, indent=2)
        print()
    else:
        rehydrate_text.render_verify(checks, verdict, sys.stdout)
    return verdict.exit_code


def _which(args: argparse.Namespace) -> str:
    """The options that ask for the same rows again."""
    said = [] if args.runs == words.ALL else ["--runs", args.runs]
    said += ["-d", args.dag_id] if args.dag_id else []
    said += ["-r", args.run_id] if args.run_id else []
    said += ["--older-than", f"{args.older_than.total_seconds():.0f}s"] if args.older_than is not None else []
    return f"{_typed(said)}{contexts.base_path_option(args)}{' --quiesced' if args.quiesced else ''}"


def _typed(words: Sequence[str]) -> str:
    return "".join(f" {shlex.quote(word)}" for word in words)


def _jobs(text: str) -> int:
    number = contexts.count(text, "rows")
    if number > words.MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {words.MOST_JOBS} rows")
    return number
