"""``xcomctl refs``: references with their objects, objects with their references, and the runs at risk."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from xcomctl.cli import contexts
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.assess.fleet import Fleet
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.model.refs import AtRiskRun, RefItem
    from xcomctl.report.progress import Progress

NAME = "refs"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="list references with their objects, what dangles, and who is at risk",
        description="Lists the XComs that are references, each with its object, size, age and the state of its run, and "
        "says what the whole comes to. One pass over the metadata database and one listing of the store, whatever their "
        "size. Reads only.",
        epilog="Exit codes: 0 ok; 2 usage; 3 with --dangling, if there is one; 4 something to look at, with "
        "--fail-on-warn; 5 the store or the database could not be asked.",
    )
    which = parser.add_argument_group("which references (default: all under the base path)")
    which.add_argument("-d", "--dag-id", metavar="DAG", help="of this DAG")
    which.add_argument("-r", "--run-id", metavar="RUN", help="of this run (with --dag-id)")
    which.add_argument("--unfinished", action="store_true", help="of runs that are not over")
    which.add_argument("--dangling", action="store_true", help="whose object is missing")
    which.add_argument("--aliases", action="store_true", help="whose path names another run or task")
    which.add_argument("--foreign", action="store_true", help="URLs that are not under the base path")
    other = which.add_mutually_exclusive_group()
    other.add_argument(
        "--objects", action="store_true", help="the other direction: objects, and the row that names each"
    )
    other.add_argument("--at-risk", action="store_true", help="runs whose readers would get path strings if the backend were reverted now")  # fmt: skip
    which.add_argument("--no-archives", action="store_true", help="leave out the tables in which db clean and the upgrade to 3.x keep rows")  # fmt: skip
    which.add_argument("--no-store", action="store_true", help="do not ask the store: no sizes")
    which.add_argument("--limit", metavar="N", type=_count, help="show the first N; the totals are of all")
    contexts.add_base_path_option(which)
    contexts.add_options(parser)
    output = contexts.add_output_options(parser, "json", "jsonl")
    output.add_argument("--fail-on-warn", action="store_true", help="exit with 4 when there is something to look at")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    _check(args)
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    progress = progress_for(sys.stderr)
    try:
        with contexts.fleet(args, chosen) as fleet:
            found = (_at_risk if args.at_risk else _references)(args, chosen, fleet, progress)
    finally:
        progress.close()
    if found is Verdict.WARNINGS and not args.fail_on_warn:
        return Verdict.OK.exit_code
    return found.exit_code


def _check(args: argparse.Namespace) -> None:
    if args.run_id and not args.dag_id:
        args.usage_error("--run-id goes with --dag-id: run ids are those of a DAG")
    kinds = [name for name in ("dangling", "aliases", "foreign") if getattr(args, name)]
    if args.at_risk and (kinds or args.run_id or args.limit or args.unfinished or args.no_store or args.no_archives):
        args.usage_error("--at-risk goes with --dag-id alone")
    if args.objects and (kinds or args.unfinished or args.no_store):
        args.usage_error("--objects goes with --dag-id and --run-id alone")
    if args.dangling and args.no_store:
        args.usage_error("--dangling asks the store: leave out --no-store")


def _references(args: argparse.Namespace, chosen: Deployment | None, fleet: Fleet, progress: Progress) -> Verdict:
    from xcomctl.assess import refs
    from xcomctl.errors import UserError
    from xcomctl.model.refs import SCHEMA, RefsQuery
    from xcomctl.report import refs_text
    from xcomctl.report.streamed import JsonLines, JsonObject

    query = RefsQuery(
        dag_id=args.dag_id,
        run_id=args.run_id,
        unfinished_only=args.unfinished,
        objects=args.objects,
        archives=not args.no_archives,
        store=not args.no_store,
        only=refs.only(dangling=args.dangling, foreign=args.foreign, aliases=args.aliases),
    )
    rows = refs_text.reference_rows(sys.stdout) if args.output == "text" else None
    lines: Any = None
    if rows is None:
        lines = JsonLines(sys.stdout) if args.output == "jsonl" else JsonObject(sys.stdout, SCHEMA, "references")
    shown = 0

    def each(item: RefItem) -> None:
        nonlocal shown
        shown += 1
        if args.limit is not None and shown > args.limit:
            return
        if rows is not None:
            _make_room(progress)
            refs_text.add_reference(rows, item, _base_of(item))
        else:
            lines.add(item.to_json())

    with progress.step("scan", "Scan the metadata database and the store") as step:
        scanned = refs.scan(fleet, query, contexts.base_path_params(args, chosen), each, step.waiting)
    totals = scanned.totals
    found = refs.verdict(query, totals)
    steps = list(refs.next_steps(totals, query, contexts.base_path_option(args) + contexts.spelled(args)))
    if rows is not None:
        progress.close()
        rows.flush()
        if args.limit is not None and shown > args.limit:
            print(f"{args.limit:,} of {shown:,} shown (--limit)")
        refs_text.render_totals(totals, sys.stdout)
        for each_step in steps:
            print(f"→ {each_step}")
    else:
        end = {"totals": totals.to_json(), "matching": shown, "seconds": scanned.seconds, "verdict": found.value,
               "exit_code": found.exit_code, "next_steps": steps}  # fmt: skip
        lines.end({"schema": SCHEMA, **end} if args.output == "jsonl" else end)
    if refs.is_whole(query):
        try:
            refs.record(scanned, chosen.name if chosen is not None else None, contexts.journal(args, chosen))
        except UserError as error:
            print(f"xcomctl: warning: not recorded: {error.message}", file=sys.stderr)
    return found


def _at_risk(args: argparse.Namespace, chosen: Deployment | None, fleet: Fleet, progress: Progress) -> Verdict:
    from xcomctl.assess import refs
    from xcomctl.model.refs import AT_RISK_SCHEMA, AtRiskQuery
    from xcomctl.report import refs_text
    from xcomctl.report.streamed import JsonLines, JsonObject

    rows = refs_text.risk_rows(sys.stdout) if args.output == "text" else None
    lines: Any = None
    if rows is None:
        lines = JsonLines(sys.stdout) if args.output == "jsonl" else JsonObject(sys.stdout, AT_RISK_SCHEMA, "runs")

    def each(found: AtRiskRun) -> None:
        if rows is not None:
            refs_text.add_risk(rows, found)
        else:
            lines.add(found.to_json())

    with progress.step("scan", "Look for runs that hold references") as step:
        query = AtRiskQuery(dag_id=args.dag_id)
        answer = refs.at_risk(fleet, query, contexts.base_path_params(args, chosen), each, step.waiting)
    found = Verdict.WARNINGS if answer.unfinished_runs else Verdict.OK
    if rows is not None:
        progress.close()
        rows.flush()
        refs_text.render_at_risk(answer, sys.stdout)
    else:
        end = {"totals": answer.to_json(), "verdict": found.value, "exit_code": found.exit_code}
        lines.end({**({"schema": AT_RISK_SCHEMA} if args.output == "jsonl" else {}), **end})
    return found


def _make_room(progress: Progress) -> None:
    """Rows and a live display do not go together on one terminal."""
    if sys.stdout.isatty():
        progress.close()


def _base_of(item: RefItem) -> str:
    """The base path of a reference of the row's own, as far as its URL tells."""
    own = f"/{item.dag_id}/{item.run_id}/{item.task_id}/"
    return item.uri[: item.uri.rfind(own)] if item.dag_id and own in item.uri else ""


def _count(text: str) -> int:
    return contexts.count(text, "rows")
