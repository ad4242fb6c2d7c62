# PYTHON_ARGCOMPLETE_OK
"""The command line as a whole: which commands there are, and how any of them ends."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, Protocol, cast

from xcomctl import __version__
from xcomctl.errors import UserError
from xcomctl.model.verdicts import Verdict

#: Modules of this package, in the order of ``--help``. Each has ``register(subparsers)``, which adds one command and
#: sets ``run`` (arguments to exit code) as its default; what ``run`` needs it imports when it runs.
COMMANDS = (
    "status", "refs", "pull", "logs", "preflight", "probe", "size", "rehearse", "plan", "flip", "wait", "killswitch", "rehydrate", "retrigger", "verify",
    "journal", "decide", "dags", "rbac", "completion",
)  # fmt: skip

EXIT_UNEXPECTED = 1
EXIT_USAGE = 2


class Command(Protocol):
    """What a module of this package offers."""

    def register(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add the command to the command line."""


class Parser(argparse.ArgumentParser):
    """A parser whose help is in colour on a terminal, and plain (and quickly imported) anywhere else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # An abbreviation that works today is ambiguous tomorrow, in somebody's script.
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def format_help(self) -> str:
        """The help text."""
        if _wants_colour():
            from rich_argparse import RichHelpFormatter

            self.formatter_class = RichHelpFormatter
        return super().format_help()


def build_parser(commands: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """The command line with these commands, or with all. Imports the commands, but nothing that they need to run."""
    anywhere = argparse.ArgumentParser(add_help=False)
    anywhere.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an unexpected error"
    )
    parser = Parser(
        prog="xcomctl",
        parents=[anywhere],
        description="Flips Apache Airflow's XCom backend to object storage, proves that it works, and flips it back.",
        epilog="Exit codes: 0 ok; 1 unexpected; 2 usage; 3 failed; 4 warnings, with --fail-on-warn; 5 inconclusive; "
        "6 refused or locked; 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"xcomctl {__version__}")
    subparsers: argparse._SubParsersAction[Any] = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", prog="xcomctl"
    )
    for name in COMMANDS if commands is None else commands:
        cast(Command, importlib.import_module(f"xcomctl.cli.{name}")).register(subparsers)
    for command in subparsers.choices.values():
        _add_debug(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; its exit code. A usage error leaves through ``SystemExit``, as argparse does it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error does: stored texts hold anything
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(build_parser())
    words = sys.argv[1:] if argv is None else argv
    parser = build_parser(_named(words))
    args = parser.parse_args(words)
    if not hasattr(args, "run"):
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except UserError as error:
        from xcomctl.model.redaction import redact

        _say(f"error: {redact(error.message)}", *([f"hint: {redact(error.hint)}"] if error.hint else []))
        return error.verdict.exit_code
    except KeyboardInterrupt:
        _say("interrupted")
        return Verdict.INTERRUPTED.exit_code
    except BrokenPipeError:
        # Whoever read our output has left. Nothing more can be said there, not even by the interpreter's own flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNEXPECTED
    except ModuleNotFoundError as error:
        # A script in a bare checkout, run by a Python that is no Airflow's: it lacks what xcomctl has from there.
        name = (error.name or "").partition(".")[0]
        if name in ("", "xcomctl"):
            return _unexpected(error, debug=getattr(args, "debug", False))
        _say(
            f"error: {sys.executable} has no {name}, which xcomctl needs and every Airflow brings along",
            "hint: run it with the Python of an Airflow, or install xcomctl",
        )
        return Verdict.INCONCLUSIVE.exit_code
    except Exception as error:
        return _unexpected(error, debug=getattr(args, "debug", False))
    return code


def _named(words: Sequence[str]) -> Sequence[str] | None:
    """The one command that a command line is about, so that no other has to be imported; ``None`` where it lists all."""
    first = next((word for word in words if word != "--debug"), None)
    return (first,) if first in COMMANDS else None


def entry() -> None:
    """The console script."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(Verdict.INTERRUPTED.exit_code)


def _unexpected(error: Exception, *, debug: bool) -> int:
    from xcomctl.model.redaction import redact

    if debug:
        import traceback

        _say(redact("".join(traceback.format_exception(error)).rstrip()))
    else:
        lines = str(error).splitlines()
        what = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        _say(f"unexpected error: {redact(what)}", "hint: run it again with --debug and report what it prints")
    return EXIT_UNEXPECTED


def _add_debug(parser: argparse.ArgumentParser) -> None:
    """Let ``--debug`` stand after the command too, and after a command of a command."""
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _add_debug(command)


def _wants_colour() -> bool:
    environment = os.environ
    return sys.stdout.isatty() and "NO_COLOR" not in environment and environment.get("TERM", "dumb") != "dumb"


def _say(*lines: str) -> None:
    for line in lines:
        print(f"xcomctl: {line}" if line is lines[0] else line, file=sys.stderr)
