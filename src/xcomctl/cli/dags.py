"""``xcomctl dags``: the DAG files that ship with the tool, listed and written out."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from xcomctl.deployment import dag_files
from xcomctl.errors import UserError
from xcomctl.model.verdicts import Verdict

NAME = "dags"
SCHEMA = "xcomctl.dags/1"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(NAME, help="list or export the DAG files that ship with xcomctl")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, prog=f"xcomctl {NAME}")

    listing = actions.add_parser("list", help="name each DAG file and say what it is for")
    listing.add_argument("-o", "--output", choices=("text", "json"), default="text", help="format (default: text)")
    listing.set_defaults(run=run_list)

    export = actions.add_parser(
        "export",
        help="write DAG files to a folder, or one to standard output",
        usage="%(prog)s [options] [DAG ...] [FOLDER]",
        description="Writes DAG files to a folder, by default the current one. A file there that differs is left "
        "alone, and nothing is written, unless --force is given.",
    )
    words = export.add_argument(
        "words",
        metavar="DAG|FOLDER",
        nargs="+",
        help=f"what to write ({', '.join(dag_files.names())}; default: all), and last an existing folder, or - for "
        "standard output",
    )
    words.completer = _complete  # type: ignore[attr-defined]
    export.add_argument(
        "-d",
        "--dag-id",
        metavar="DAG",
        action="append",
        default=[],
        choices=sorted({*dag_files.names(), *dag_files.shipped()}),
        help="only this one (repeatable)",
    )
    export.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    export.add_argument("--force", action="store_true", help="overwrite files that differ")
    export.set_defaults(run=run_export, usage_error=export.error)


def run_list(args: argparse.Namespace) -> int:
    """Run ``dags list``; its exit code."""
    rows = [(name, dag_files.summary(name)) for name in dag_files.shipped()]
    if args.output == "json":
        json.dump({"schema": SCHEMA, "dags": [{"name": name, "summary": text} for name, text in rows]}, sys.stdout)
        print()
    else:
        width = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            print(f"{name:{width}}  {text}")
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Run ``dags export``; its exit code."""
    asked, target = _split(args.words, args.usage_error)
    dag_ids = sorted({name for name in map(dag_files.named, [*asked, *args.dag_id]) if name} or dag_files.shipped())
    if target == "-":
        if len(dag_ids) != 1:
            args.usage_error(f"- takes one file; choose it by its name: {', '.join(dag_files.names())}")
        sys.stdout.write(dag_files.content(dag_ids[0]).decode())
        return 0
    folder = Path(target)
    if not folder.is_dir():
        args.usage_error(f"{folder} is neither a DAG of xcomctl ({', '.join(dag_files.names())}) nor a folder")
    planned = [(folder / f"{dag_id}.py", dag_files.content(dag_id)) for dag_id in dag_ids]
    states = [_state(path, content) for path, content in planned]
    changed = [str(path) for (path, _), state in zip(planned, states, strict=True) if state == "differs"]
    if changed and not args.force and not args.dry_run:
        raise UserError(
            f"{', '.join(changed)} differs from the file that ships with this xcomctl; nothing was written",
            "look at it, then add --force to overwrite it",
            Verdict.REFUSED,
        )
    for (path, content), state in zip(planned, states, strict=True):
        if state == "same":
            print(f"unchanged  {path}")
        elif args.dry_run:
            refused = state == "differs" and not args.force
            print(f"{'differs, needs --force' if refused else 'would write'}  {path}")
        else:
            _write(content, path)
            print(f"written    {path}")
    return 0


def _split(words: list[str], usage_error: Callable[[str], NoReturn]) -> tuple[list[str], str]:
    """Names of DAGs, and the folder behind them: the current one when only names are given."""
    *asked, last = words
    if dag_files.named(last):
        asked, last = words, "."
    for word in asked:
        if dag_files.named(word) is None:
            usage_error(f"{word!r} is no DAG of xcomctl; there are {', '.join(dag_files.names())}")
    return asked, last


def _complete(prefix: str, **_: Any) -> list[str]:
    from argcomplete.completers import DirectoriesCompleter

    return [*(name for name in dag_files.names() if name.startswith(prefix)), *DirectoriesCompleter()(prefix)]


def _state(path: Path, content: bytes) -> str:
    if not path.exists() and not path.is_symlink():
        return "missing"
    return "same" if path.is_file() and path.read_bytes() == content else "differs"


def _write(content: bytes, target: Path) -> None:
    """Write so that a DAG processor that looks at this moment sees the old file or the new one, never half of it."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        temporary.chmod(0o644)
        temporary.replace(target)
    except OSError as error:
        raise UserError(f"{target} could not be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
