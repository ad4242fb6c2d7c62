"""``xcomctl pull``: a run's XComs as its tasks would get them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xcomctl.cli import contexts

if TYPE_CHECKING:
    from xcomctl.model.pull import PulledItem

NAME = "pull"
#: Bytes of JSON beyond which a value is left out of JSON output unless it is asked for.
_VALUES_BELOW = 64 * 1024
#: Characters of one that is left out.
_EXCERPT = 400


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="read a run's XComs as its tasks would get them",
        description="Reads the XComs of a run through the backend, in the order in which they were pushed: inline values, "
        "and references with where their objects lie, their size and a digest. A reference that does not resolve is an "
        "error that names the object. Reads only.",
        epilog="Exit codes: 0 ok; 2 usage; 3 a task would not get its value; 4 an alias or another warning, with "
        "--fail-on-warn; 5 the store or the database could not be asked, or a value not shown (a pickle is not opened); "
        "6 the folder is none.",
    )
    which = parser.add_argument_group("which XComs")
    which.add_argument("-d", "--dag-id", metavar="DAG", required=True, help="the DAG")
    which.add_argument("-r", "--run-id", metavar="RUN", required=True, help="its run")
    which.add_argument("--task-id", metavar="TASK", action="append", default=[], help="of this task (repeatable)")
    which.add_argument("--key", metavar="KEY", help="under this key")
    which.add_argument("--map-index", metavar="N", type=int, help="of this map index (-1: not mapped)")
    which.add_argument("--limit", metavar="N", type=_count, help="the first N")
    contexts.add_base_path_option(which)
    contexts.add_options(parser)
    output = contexts.add_output_options(parser, "json", "jsonl")
    output.add_argument("--full", action="store_true", help="whole values, however large")
    output.add_argument("--to", metavar="DIR", type=Path, help="write each value to a file: DIR/TASK/INDEX/KEY.json")
    output.add_argument("--force", action="store_true", help="with --to: replace files that are there")
    output.add_argument("--dry-run", action="store_true", help="with --to: name the files, and write nothing")
    output.add_argument("--fail-on-warn", action="store_true", help="exit with 4 when there are warnings")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    if (args.force or args.dry_run) and args.to is None:
        args.usage_error("--force and --dry-run go with --to")
    from xcomctl.assess import pull
    from xcomctl.assess.pulled_files import Files, place_of
    from xcomctl.model.pull import SCHEMA, PullQuery
    from xcomctl.model.verdicts import Verdict
    from xcomctl.report import pull_text
    from xcomctl.report.progress import progress_for
    from xcomctl.report.streamed import JsonLines, JsonObject

    files = Files(args.to, force=args.force) if args.to is not None and not args.dry_run else None
    whole = args.full or files is not None
    query = PullQuery(
        args.dag_id, args.run_id, tuple(args.task_id), args.key, args.map_index, args.limit,
        None if whole else _VALUES_BELOW,
    )  # fmt: skip
    chosen = contexts.deployment(args)
    lines: Any = None
    if args.output != "text":
        lines = JsonLines(sys.stdout) if args.output == "jsonl" else JsonObject(sys.stdout, SCHEMA, "xcoms")
    tally = pull.Tally()
    progress = progress_for(sys.stderr)

    def each(item: PulledItem) -> None:
        tally.add(item)
        path = None
        if args.to is not None and not item.problem:
            path = files.write(item) if files is not None else place_of(item, args.to)
        if lines is not None:
            lines.add(_record(item, args.full, path))
        elif args.to is not None and not item.problem:
            pull_text.render_file(item, _done(path, args.dry_run), sys.stdout)
        else:
            if sys.stdout.isatty():
                progress.close()
            pull_text.render_item(item, sys.stdout, full=args.full)

    try:
        with contexts.fleet(args, chosen) as fleet, progress.step("pull", f"Read the XComs of {args.run_id}") as step:
            answer = pull.pull(fleet, query, contexts.base_path_params(args, chosen), each, step.waiting)
    finally:
        progress.close()
    counts = {"inline": tally.inline, "objects": tally.objects, "aliases": tally.aliases}
    verdict = pull.verdict(tally, answer)
    if verdict is Verdict.WARNINGS and not args.fail_on_warn:
        verdict = Verdict.OK
    steps = list(pull.next_steps(tally, answer, query, contexts.spelled(args)))
    if lines is None:
        kept = len(files.kept) if files is not None else 0
        pull_text.render_end(answer, counts, tally.problems, tally.object_bytes, kept, steps, sys.stdout)
    else:
        end = {
            "run": {"dag_id": args.dag_id, "run_id": args.run_id, "state": answer.run_state},
            "count": answer.xcoms,
            "shown": answer.shown,
            "phase": answer.phase,
            "base_path": answer.base_path,
            "warnings": list(answer.warnings),
            **counts,
            "object_bytes": tally.object_bytes,
            "problems": dict(tally.problems),
            "verdict": verdict.value,
            "exit_code": verdict.exit_code,
            "next_steps": steps,
        }
        lines.end({"schema": SCHEMA, **end} if args.output == "jsonl" else end)
    return verdict.exit_code


def _record(item: PulledItem, full: bool, path: Path | None) -> dict[str, Any]:
    """An item for programs: ``value`` where JSON says all of it, ``text`` where it does not or was left out.

    ``redacted``: the value holds what looks like a secret, which the output does not show.
    """
    from xcomctl.model.redaction import redact_mapping

    record = item.to_json()
    has_json = record.pop("has_json")
    value = record.pop("json")
    large = not full and (item.value_bytes or 0) > _VALUES_BELOW  # it came for a file
    if has_json and not large:
        record["value"] = redact_mapping({"value": value})["value"]
        record["redacted"] = record["value"] != value
        if full or item.whole_text:
            del record["text"], record["whole_text"]
    elif large:
        record.update(text=item.text[:_EXCERPT], whole_text=False, elided=True)
    if path is not None:
        record["file"] = str(path)
    return record


def _done(path: Path | None, dry_run: bool) -> str:
    if path is None:
        return "kept the file that was there"
    return f"would be written to {path}" if dry_run else str(path)


def _count(text: str) -> int:
    return contexts.count(text, "XComs")
