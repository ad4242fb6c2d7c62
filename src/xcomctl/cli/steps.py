"""The options that say what a step of the phases is to be: shared by ``plan`` and ``flip``."""

from __future__ import annotations

import argparse
import datetime
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.cli import carriers, contexts
from xcomctl.model.phases import Phase
from xcomctl.model.plan import VALUES

if TYPE_CHECKING:
    from xcomctl.change.steps import Asked
    from xcomctl.deployment.carriers.interface import Carrier
    from xcomctl.deployment.deployments import Deployment

#: PostgreSQL and MySQL hold no more bytes in one value.
_MOST = 10**9
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_AGE = re.compile(r"(\d+)([smhd])")


def targets() -> list[str]:
    """The phases that a change may aim at."""
    return [phase.value for phase in Phase if phase.is_target]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the target, the carrier and its settings, what gates a step, and what gets it past one."""
    what = parser.add_argument_group("what to write")
    what.add_argument("--to", metavar="PHASE", required=True, choices=targets(), help="the phase: inline, dual-read or offload")  # fmt: skip
    carriers.add_options(what)
    what.add_argument("--path", metavar="URL", help="base path, such as s3://CONNECTION@BUCKET/xcom")
    what.add_argument("--threshold", metavar="BYTES", type=threshold, help="values from here up go into the store")
    what.add_argument("--compression", metavar="CODEC", help="compression of objects; an empty one switches it off")
    gates = parser.add_argument_group("what a step is gated by")
    gates.add_argument("--rehearsal", metavar="FILE", type=Path, help="the report.json of a rehearsal (default: the journal's)")  # fmt: skip
    gates.add_argument("--preflight", metavar="FILE", type=Path, help="the JSON of a pre-flight (default: the journal's)")  # fmt: skip
    gates.add_argument("--max-age", metavar="AGE", type=age, help="how old these two may be, such as 12h (default: 7d)")
    gates.add_argument("--accept", metavar="DAG.TASK", action="append", default=[], help="let this task run on past the barrier (repeatable, recorded)")  # fmt: skip
    gates.add_argument("--deployed-at", metavar="TIME", type=contexts.time, help="when the settings that resolve now were rolled out, where processes hide what they started with (2.x; default: what was said to the last wait)")  # fmt: skip
    gates.add_argument("--fleet-stopped", action="store_true", help="every component is stopped, which is checked: any step is one deploy then")  # fmt: skip
    gates.add_argument("--unsafe-no-rehearsal", metavar="REASON", help="go up without a rehearsal (recorded)")
    gates.add_argument("--keep-finished", metavar="REASON", help="go to inline though finished runs hold references, which then are path strings (recorded)")  # fmt: skip
    gates.add_argument(
        "--values", metavar="COUNT", type=_values, default=VALUES,
        help=f"how many objects to read, the newest, for values that fit only in the store (default: {VALUES}; 0: none)",
    )  # fmt: skip


def asked(args: argparse.Namespace, chosen: Deployment | None) -> Asked:
    """What the command line says about the steps."""
    from xcomctl.change.carrier_edit import NOTHING
    from xcomctl.change.readiness import MAX_AGE, Given
    from xcomctl.change.steps import Asked
    from xcomctl.deployment.deployments import SettingsEntry

    contexts.check_tasks(args, "accept")
    for option in ("unsafe_no_rehearsal", "keep_finished"):
        given = getattr(args, option)
        if given is not None and not given.strip():
            args.usage_error(f"--{option.replace('_', '-')} needs a reason")
    return Asked(
        given=SettingsEntry(args.path, args.threshold, args.compression),
        planned=chosen.settings if chosen is not None else NOTHING,
        readiness=Given(args.rehearsal, args.preflight, args.max_age or MAX_AGE),
        accepted=tuple(args.accept),
        deployed_at=args.deployed_at,
        fleet_stopped=args.fleet_stopped,
        unsafe=args.unsafe_no_rehearsal,
        keep_finished=args.keep_finished,
        values=args.values,
        fix=args.fix,
        options=contexts.spelled(args),
        step_options="".join(f" {shlex.quote(word)}" for word in carriers.typed(args))
        + _typed(args, "path", "threshold", "compression"),
        gate_options=_about_gates(args),
    )


def carrier(args: argparse.Namespace, chosen: Deployment | None) -> Carrier | None:
    """The carrier that is named, ``None`` for none. Raises ``CarrierError`` for one that is none."""
    named = carriers.files(args, chosen)
    return None if named is None else named.open()


def age(text: str) -> datetime.timedelta:
    """How long ago, such as ``12h``, for argparse."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 12h or 7d")
    try:
        return datetime.timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text!r} is too long an age") from None


def threshold(text: str) -> int:
    """A threshold in bytes, for argparse."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes, from 0 to {_MOST:,}")
    return number


def _values(text: str) -> int:
    return 0 if text.strip() == "0" else contexts.count(text, "objects")


def _about_gates(args: argparse.Namespace) -> str:
    words = ["--fleet-stopped"] if args.fleet_stopped else []
    for task in args.accept:
        words += ["--accept", task]
    words += ["--deployed-at", args.deployed_at.isoformat()] if args.deployed_at is not None else []
    words += ["--max-age", f"{args.max_age.total_seconds():.0f}s"] if args.max_age is not None else []
    said = "".join(f" {shlex.quote(word)}" for word in words)
    return said + _typed(args, "rehearsal", "preflight", "unsafe_no_rehearsal", "keep_finished")


def _typed(args: argparse.Namespace, *names: str) -> str:
    """What was given on the command line of these, as options of a command that is printed; what is secret in it has to
    be typed again."""
    from xcomctl.model.redaction import redact

    words: list[str] = []
    for name in names:
        value = getattr(args, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", redact(str(value))]
    return "".join(f" {shlex.quote(word)}" for word in words)
