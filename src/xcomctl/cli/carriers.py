"""The options that name the file that carries the settings, or the values files that do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcomctl.deployment.carriers.named import CarrierFiles
    from xcomctl.deployment.deployments import Deployment


def add_options(group: argparse._ArgumentGroup, otherwise: str = "") -> None:
    """Add ``--carrier``, and how it is edited; ``otherwise`` is what happens without one."""
    default = f"default: the deployment's{'; ' if otherwise else ''}{otherwise}"
    add_carrier_option(group, f"the file that carries the settings: .env, airflow.cfg, Helm values or a compose file; repeat it for several values files, as with helm -f ({default})")  # fmt: skip
    group.add_argument("--edit-winner", action="store_true", help="edit the place that wins where a setting stands in several, and where it is if components lack it")  # fmt: skip
    group.add_argument("--fix", action="store_true", help="correct names that Airflow does not read, and values that Helm would render as 1.6e+06")  # fmt: skip


def add_carrier_option(group: argparse._ArgumentGroup, text: str) -> None:
    """Add ``--carrier`` alone."""
    group.add_argument("--carrier", metavar="FILE", type=Path, action="append", default=[], help=text)


def files(args: argparse.Namespace, chosen: Deployment | None) -> CarrierFiles | None:
    """The files that are named, ``None`` for none."""
    from xcomctl.deployment.carriers.named import CarrierFiles

    paths = tuple(args.carrier) or (chosen.carrier.paths if chosen is not None and chosen.carrier is not None else ())
    return CarrierFiles(paths, getattr(args, "edit_winner", False)) if paths else None


def typed(args: argparse.Namespace) -> list[str]:
    """What was given on the command line of these, as words of a command that is printed."""
    words = [word for path in args.carrier for word in ("--carrier", str(path))]
    return words + [option for option in ("--edit-winner", "--fix") if getattr(args, option[2:].replace("-", "_"))]
