"""The options that say which contexts a command is about, the same for every command."""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xcomctl.cli import carriers, pods

if TYPE_CHECKING:
    from xcomctl.assess.fleet import Fleet
    from xcomctl.deployment.deployments import ApiEntry, Deployment
    from xcomctl.deployment.reach.interface import Reach
    from xcomctl.errors import UserError
    from xcomctl.journal.interface import Where

_SIZES = {"": 1, "B": 1, "K": 10**3, "KB": 10**3, "M": 10**6, "MB": 10**6, "G": 10**9, "GB": 10**9, "T": 10**12, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip
_SPANS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"([0-9]{1,6})([smhdw])")
_SIZE = re.compile(r"([0-9]+)\s*([A-Za-z]*)")
#: The options of a command that takes a deployment and no contexts, as if none was given.
NOTHING: dict[str, Any] = {"via": [], "python": None, **pods.NOTHING}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--via``, ``--python``, ``-D`` and ``--config``, and what names pods."""
    group = parser.add_argument_group("which contexts (default: the Python that runs xcomctl)")
    group.add_argument(
        "--via",
        metavar="'PREFIX'",
        action="append",
        default=[],
        help="a context behind a command, such as 'docker compose exec -T scheduler' (repeatable: one column each)",
    )
    group.add_argument(
        "--python",
        metavar="PATH",
        help="the Python that has Airflow: over there with --via and -n, else on this machine",
    )
    add_deployment_options(group, "a deployment of xcomctl.toml, all its contexts")
    pods.add_options(parser)


def add_deployment_options(group: Any, what: str) -> None:
    """Add ``-D``, with this help, and ``--config``."""
    named = group.add_argument("-D", "--deployment", metavar="NAME", help=what)
    named.completer = _deployments
    group.add_argument("--config", metavar="FILE", type=Path, help="the xcomctl.toml (default: the nearest one)")


def deployment(args: argparse.Namespace) -> Deployment | None:
    """The deployment that the options or the environment name, ``None`` for none. Raises ``DeploymentError``."""
    from xcomctl.deployment.deployments import NAME_VARIABLE, load

    pods.check(args)
    named = named_here(args)
    if args.deployment and named:
        args.usage_error("a deployment says itself which contexts it has: leave out --via and --python, or -D")
    # The variable stands in for -D alone: who names a context means that one.
    name = args.deployment or (None if named else os.environ.get(NAME_VARIABLE))
    return load(name, args.config) if name else None


def named_here(args: argparse.Namespace) -> bool:
    """Whether the command line itself names contexts, without a deployment."""
    return bool(args.via or args.python or args.namespace)


def reaches(args: argparse.Namespace, chosen: Deployment | None) -> list[Reach]:
    """The way into every context that was chosen; none for a deployment without contexts.

    Raises :class:`~xcomctl.errors.UserError` and leaves for a usage error.
    """
    from xcomctl.deployment.reach.command import CommandReach
    from xcomctl.deployment.reach.local import LocalReach

    if chosen is not None:
        return [*chosen.reaches(), *pods.of_deployment(args, chosen)]
    if args.namespace is not None:
        return pods.reaches(args)
    if args.component or args.all_pods:
        args.usage_error("--component and --all-pods go with -n or with a deployment that has a namespace")
    if args.via:
        found: list[Reach] = []
        for prefix in args.via:
            try:
                found.append(CommandReach.parse(prefix, python=args.python or "python"))
            except ValueError as error:
                args.usage_error(f"--via {prefix!r}: {error}")
        return found
    return [LocalReach(Path(args.python or sys.executable), label="local")]


def reaches_beside(api: ApiEntry | None, args: argparse.Namespace, chosen: Deployment | None) -> list[Reach]:
    """The way into every context for a command that can do with the REST API alone: none where only that is named.

    Managed Airflow gives no way into a context. Raises :class:`~xcomctl.errors.UserError` where there is neither.
    """
    found = [] if api is not None and not (named_here(args) or chosen) else reaches(args, chosen)
    if not found and api is None:
        raise _without_contexts(chosen)
    return found


def _without_contexts(chosen: Deployment | None) -> UserError:
    from xcomctl.errors import UserError

    assert chosen is not None  # the command line always names a context
    return UserError(*chosen.without_contexts())


def spelled(args: argparse.Namespace) -> str:
    """The options that name the same contexts and the same journal, to be put behind a command that is printed; without
    secrets."""
    from xcomctl.model.redaction import redact

    words: list[str] = []
    for prefix in args.via:
        words += ["--via", redact(prefix)]
    words += pods.spelled(args)
    words += ["--python", args.python] if args.python else []
    return _named(args) + _typed(words) + _configured(args) + spelled_journal(args)


def spelled_record(args: argparse.Namespace) -> str:
    """The options that name the same deployment and the same journal, for a command that asks no context."""
    return _named(args) + _configured(args) + spelled_journal(args)


def spelled_journal(args: argparse.Namespace) -> str:
    """``--journal`` as it was given, to be put behind a command; without secrets, empty if there is none."""
    from xcomctl.model.redaction import redact

    return _typed(["--journal", redact(args.journal)]) if args.journal else ""


def _named(args: argparse.Namespace) -> str:
    return _typed(["-D", args.deployment]) if args.deployment else ""


def _configured(args: argparse.Namespace) -> str:
    return _typed(["--config", str(args.config)]) if args.config else ""


def _typed(words: Sequence[str]) -> str:
    return "".join(f" {shlex.quote(word)}" for word in words)


def carrier_option(args: argparse.Namespace, chosen: Deployment | None) -> str:
    """The option that names the file with the settings, to be put before :func:`spelled`: empty where ``-D`` in there names
    a deployment that has its own."""
    from xcomctl.model.way_out import ANY_CARRIER

    named = carriers.files(args, None) if getattr(args, "carrier", None) else None
    if named is not None:
        return named.options
    if chosen is None or chosen.carrier is None:
        return ANY_CARRIER
    return "" if args.deployment else chosen.carrier.options


def fleet(args: argparse.Namespace, chosen: Deployment | None) -> Fleet:
    """Every context that was chosen. Raises :class:`~xcomctl.errors.UserError` for a deployment that has none."""
    from xcomctl.assess.fleet import Fleet

    return Fleet(some_reaches(args, chosen), log(args.verbose))


def some_reaches(args: argparse.Namespace, chosen: Deployment | None) -> list[Reach]:
    """The way into every context that was chosen. Raises as :func:`fleet`."""
    found = reaches(args, chosen)
    if not found:
        raise _without_contexts(chosen)
    return found


def log(verbose: bool) -> Callable[[str, str], None]:
    """What to do with the lines that contexts log: show them on standard error, or nothing."""

    def show(context: str, line: str) -> None:
        if verbose:
            print(f"{context} | {line}", file=sys.stderr)

    return show


def journal(args: argparse.Namespace, chosen: Deployment | None) -> Where:
    """The journal that the options or the deployment name, a file or a URL; ``None`` for the user's own."""
    given: str | None = args.journal
    return given or (chosen.journal if chosen is not None else None)


def add_output_options(parser: argparse.ArgumentParser, *formats: str) -> Any:
    """Add ``-o`` with these formats after text, ``-v`` and ``--journal``; the group, for more."""
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", choices=("text", *formats), default="text", help="format (default: text)")
    group.add_argument("-v", "--verbose", action="store_true", help="show what the contexts log, on standard error")
    group.add_argument("--journal", metavar="FILE", help="the journal, a file or a URL (default: the deployment's, else the user's own)")  # fmt: skip
    return group


def base_path_params(args: argparse.Namespace, chosen: Deployment | None) -> dict[str, str]:
    """What a request about references is told of the base path: ``--base-path``, and what to take where none resolves."""
    params = {}
    if args.base_path:
        params["base_path"] = args.base_path
    if chosen is not None and chosen.settings.path:
        params["default_base_path"] = chosen.settings.path
    return params


def add_base_path_option(group: Any) -> None:
    """Add ``--base-path``."""
    group.add_argument(
        "--base-path", metavar="URL", help="where XComs are offloaded to (default: what the context resolves)"
    )


def base_path_option(args: argparse.Namespace) -> str:
    """``--base-path`` as it was given, to be put behind a command that is printed; without secrets, empty if there is none."""
    from xcomctl.model.redaction import redact

    return f" --base-path {shlex.quote(redact(args.base_path))}" if args.base_path else ""


def count(text: str, what: str) -> int:
    """A number of something, at least 1, for argparse."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of {what}")
    return number


def size(text: str) -> int:
    """A size in bytes, such as ``64MiB``, for argparse."""
    match = _SIZE.fullmatch(text.strip())
    unit = None if match is None else _SIZES.get(match[2].upper())
    if match is None or unit is None or not 1 <= int(match[1][:20]) * unit < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 64MiB or 10GB")
    return int(match[1]) * unit


def seconds(text: str) -> float:
    """A time limit in seconds, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def check_tasks(args: argparse.Namespace, *options: str) -> None:
    """Leave for a usage error unless what was given to these options names a task each: ``DAG.TASK``."""
    for option in options:
        for task in getattr(args, option):
            if not all(task.partition(".")):
                args.usage_error(f"--{option} {task!r} is not of the form DAG.TASK")


def time(text: str) -> datetime.datetime:
    """A moment with a zone, for argparse."""
    from xcomctl.model.journal_entry import parse_time

    try:
        return parse_time(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time with a zone, such as 2026-06-06T12:00:00Z") from None


def since(text: str) -> datetime.datetime:
    """How long ago, such as ``3d``, or a moment (in UTC, if it has no zone), for argparse."""
    span = _SPAN.fullmatch(text.strip())
    try:
        if span is not None:
            return datetime.datetime.now(datetime.UTC) - datetime.timedelta(**{_SPANS[span[2]]: int(span[1])})
        moment = datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 2h, 3d, or such as 2026-06-06T12:00") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def _deployments(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> Sequence[str]:
    from xcomctl.deployment.deployments import names

    return [name for name in names(getattr(parsed_args, "config", None)) if name.startswith(prefix)]
