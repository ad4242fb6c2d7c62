"""``xcomctl size``: how large the XComs are, and which threshold that suggests."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.cli import contexts
from xcomctl.model.size_bounds import DEFAULT_QUANTILE, DEFAULT_TIMEOUT_S

if TYPE_CHECKING:
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.model.size import SizeQuery, SizeReport

NAME = "size"
#: Holds the URL of a replica, so that no password stands in a command line.
DATABASE_VARIABLE = "XCOMCTL_DATABASE_URL"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="measure how large XComs are, and suggest a threshold",
        description="Measures every XCom as the object-storage backend would compare it with its threshold: quantiles, a "
        "histogram, the tasks that push most, growth, and for each threshold what would leave the database. One "
        "aggregate in the metadata database; reads only, and fetches no value but a thousand to check on, and those near a threshold.",
        epilog="Exit codes: 0 ok; 2 usage; 4 something to look at, with --fail-on-warn; 5 the database or the store could "
        "not be asked, or not in time.",
    )
    which = parser.add_argument_group("which XComs (default: all)")
    which.add_argument("-d", "--dag-id", metavar="DAG", help="of this DAG")
    which.add_argument(
        "--since", metavar="TIME", type=contexts.since, help="pushed since then: 12h, 30d, or such as 2026-06-06T12:00"
    )
    which.add_argument("--state", metavar="STATE", action="append", default=[], help="of runs in this state, such as success (repeatable)")  # fmt: skip
    how = parser.add_argument_group("what to find out")
    how.add_argument("--quantile", metavar="Q", type=_quantile, default=DEFAULT_QUANTILE, help="suggest a threshold that this share of the values stays below (default: 0.999)")  # fmt: skip
    how.add_argument("--threshold", metavar="N,…", type=_thresholds, action="append", default=[], help="what these thresholds would do, in bytes; values near them are measured exactly")  # fmt: skip
    how.add_argument("--trip", action="store_true", help="count values that could not make the trip either way, as pre-flight does: several scans more")  # fmt: skip
    contexts.add_base_path_option(how)
    how.add_argument("--no-store", action="store_true", help="do not ask the store for the sizes of objects")
    cost = parser.add_argument_group("what it may cost")
    cost.add_argument("--sample", metavar="PERCENT", type=_share, help="read so much of the table, such as 5%%; figures have an interval then")  # fmt: skip
    cost.add_argument("--timeout", metavar="SECONDS", type=contexts.seconds, default=DEFAULT_TIMEOUT_S, help="end a statement that takes longer (default: %(default)g)")  # fmt: skip
    cost.add_argument("--database-url", metavar="URL", help=f"ask this database instead of the context's own: a read replica (better in {DATABASE_VARIABLE}: a command line is seen by others)")  # fmt: skip
    contexts.add_options(parser)
    output = contexts.add_output_options(parser, "json")
    output.add_argument("--html", metavar="FILE", type=Path, help="write a page with the distribution drawn, too")
    output.add_argument("--fail-on-warn", action="store_true", help="exit with 4 when there is something to look at")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    from xcomctl.assess import size
    from xcomctl.errors import UserError
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    query = _query(args, chosen)
    _check(args, query)
    progress = progress_for(sys.stderr)
    try:
        with contexts.fleet(args, chosen) as fleet:
            with progress.step("size", "Measure the XComs") as step:
                answer, context = size.measure(fleet, query, step.waiting)
            tripped = None
            if args.trip:
                with progress.step("trip", "Look for values that could not make the trip") as step:
                    tripped = size.trip(fleet, answer, step.waiting)
    finally:
        progress.close()
    options = size.Spelled(
        contexts.base_path_option(args) + contexts.spelled(args),
        _which(args),
        ", from the same replica" if query.database_url else "",
        contexts.spelled_record(args),
        contexts.spelled_journal(args),
    )
    named, where = chosen.name if chosen is not None else None, contexts.journal(args, chosen)
    if not (args.dag_id or args.since or args.state):
        with contextlib.suppress(UserError):  # a journal that cannot be read is told below, where it is written
            tripped = tripped or size.tripped_before(where, named)
    report = size.report(query, answer, context, named, tripped, options, fail_on_warn=args.fail_on_warn)
    try:
        size.record(report, where)
    except UserError as error:
        print(f"xcomctl: warning: not recorded: {error.message}", file=sys.stderr)
    _show(report, args)
    return report.exit_code


def _query(args: argparse.Namespace, chosen: Deployment | None) -> SizeQuery:
    from xcomctl.model.size import SizeQuery

    return SizeQuery(
        since=None if args.since is None else args.since.isoformat(),
        dag_id=args.dag_id,
        states=tuple(args.state),
        quantile=args.quantile,
        thresholds=tuple(dict.fromkeys(each for given in args.threshold for each in given)),
        sample=args.sample,
        timeout_s=args.timeout,
        database_url=args.database_url or os.environ.get(DATABASE_VARIABLE) or None,
        store=not args.no_store,
        **contexts.base_path_params(args, chosen),
    )


def _check(args: argparse.Namespace, query: SizeQuery) -> None:
    if args.trip and (args.dag_id or args.since or args.state):
        args.usage_error(
            "--trip looks at every XCom, as pre-flight does: leave out --dag-id, --since and --state, or --trip"
        )
    if args.trip and query.database_url:
        args.usage_error(
            f"--trip asks the context's own database: leave out --database-url and {DATABASE_VARIABLE}, or --trip"
        )
    if args.html is not None and not args.html.absolute().parent.is_dir():
        args.usage_error(f"--html {args.html}: there is no folder {args.html.absolute().parent}")


def _which(args: argparse.Namespace) -> str:
    """The options that say which XComs, to be put behind a command that is printed."""
    words = ["-d", args.dag_id] if args.dag_id else []
    words += ["--since", args.since.isoformat()] if args.since is not None else []
    for state in args.state:
        words += ["--state", state]
    words += ["--quantile", f"{args.quantile:g}"] if args.quantile != DEFAULT_QUANTILE else []
    words += ["--no-store"] if args.no_store else []
    return "".join(f" {shlex.quote(word)}" for word in words)


def _show(report: SizeReport, args: argparse.Namespace) -> None:
    from xcomctl.errors import UserError

    if args.output == "json":
        from xcomctl.model.redaction import redact_mapping

        json.dump(redact_mapping(report.to_json()), sys.stdout, indent=2)
        print()
    else:
        from xcomctl.report.size_text import render

        render(report, sys.stdout)
    if args.html is None:
        return
    from xcomctl.report.size_html import to_html

    try:
        args.html.write_text(to_html(report), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{args.html} cannot be written: {error.strerror or error}", "name another file: --html FILE"
        ) from None
    print(f"written: {args.html}", file=sys.stderr)


def _quantile(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no quantile between 0 and 1, such as 0.999")
    return value


def _thresholds(text: str) -> tuple[int, ...]:
    return tuple(contexts.size(part.replace("_", "")) for part in text.split(","))


def _share(text: str) -> float | None:
    try:
        percent = float(text.strip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 < percent <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no part of the table, such as 5%")
    return None if percent == 100 else percent / 100
