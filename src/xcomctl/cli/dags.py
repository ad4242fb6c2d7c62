"""``xcomctl dags``: the DAG files that ship with the tool, listed and written out."""

from __future__ import annotations

import argparse
import ast
import json
import os
import sys
import tempfile
from pathlib import Path

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
        description="Writes DAG files to a folder. A file there that differs is left alone, and nothing is written, "
        "unless --force is given.",
    )
    export.add_argument("target", metavar="FOLDER", help="an existing folder, or - for standard output")
    export.add_argument(
        "-d", "--dag-id", metavar="DAG", action="append", choices=sorted(_shipped()), help="only this one (repeatable)"
    )
    export.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    export.add_argument("--force", action="store_true", help="overwrite files that differ")
    export.set_defaults(run=run_export, usage_error=export.error)


def run_list(args: argparse.Namespace) -> int:
    """Run ``dags list``; its exit code."""
    rows = [(name, _summary(path)) for name, path in sorted(_shipped().items())]
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
    shipped = _shipped()
    names = sorted(set(args.dag_id or shipped))
    if args.target == "-":
        if len(names) != 1:
            args.usage_error(f"- takes one file; choose it with --dag-id: {', '.join(names)}")
        sys.stdout.write(shipped[names[0]].read_text(encoding="utf-8"))
        return 0
    folder = Path(args.target)
    if not folder.is_dir():
        args.usage_error(f"{folder} is not a folder")
    planned = [(_state(shipped[name], folder / shipped[name].name), shipped[name]) for name in names]
    changed = [str(folder / source.name) for state, source in planned if state == "differs"]
    if changed and not args.force and not args.dry_run:
        raise UserError(
            f"{', '.join(changed)} differs from the file that ships with xcomctl; nothing was written",
            "look at it, then add --force to overwrite it",
            Verdict.REFUSED,
        )
    for state, source in planned:
        target = folder / source.name
        if state == "same":
            print(f"unchanged  {target}")
            continue
        if args.dry_run:
            refused = state == "differs" and not args.force
            print(f"{'differs, needs --force' if refused else 'would write'}  {target}")
            continue
        _write(source.read_bytes(), target)
        print(f"written    {target}")
    return 0


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in (Path(__file__).parent.parent / "dags").glob("*.py")}


def _summary(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = text.partition("\n\n")[0].replace("\n", " ").strip()
    return first.removeprefix(f"``{path.stem}``:").strip()


def _state(source: Path, target: Path) -> str:
    if not target.exists() and not target.is_symlink():
        return "missing"
    return "same" if target.is_file() and target.read_bytes() == source.read_bytes() else "differs"


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
