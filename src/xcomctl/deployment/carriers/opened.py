"""Which kind of carrier a file is: the one list of the formats that xcomctl can edit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from xcomctl.deployment.carriers.airflow_cfg import AirflowCfg
from xcomctl.deployment.carriers.compose_file import ComposeFile
from xcomctl.deployment.carriers.env_file import EnvFile
from xcomctl.deployment.carriers.helm_values import HelmValues
from xcomctl.deployment.carriers.interface import Carrier, CarrierError, read_content
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.carriers.yaml_carrier import YamlCarrier
from xcomctl.model.settings import SETTINGS

#: Every format, in the order in which a file is tried.
CARRIERS: tuple[type[Carrier], ...] = (EnvFile, AirflowCfg, ComposeFile, HelmValues)


def open_files(files: CarrierFiles, wanted: Mapping[str, str] | None = None) -> Carrier:
    """The carrier in these files, as :func:`open_carrier` opens one; several have to be Helm values."""
    *under, last = ((path, read_content(path)) for path in files.paths)
    if not under:
        carrier = open_carrier(last[0], wanted)
        return type(carrier)(*last, (), files.edit_winner) if isinstance(carrier, YamlCarrier) else carrier
    others = [str(path) for path, content in (*under, last) if not HelmValues.is_one(path, content)]
    if others:
        raise CarrierError(
            f"only Helm values are read as several files, and {' and '.join(others)} is none", "name one file"
        )
    return HelmValues(*last, tuple(under), files.edit_winner)


def open_carrier(path: str | os.PathLike[str], wanted: Mapping[str, str] | None = None) -> Carrier:
    """The carrier in that file.

    ``wanted`` are the variables that are about to be written, for the message to whoever has to do it by hand. Raises
    :class:`CarrierError` for a file that cannot be read, one that is of no format known here, and one that is but
    cannot be understood.
    """
    path = Path(path)
    content = read_content(path)
    for kind in CARRIERS:
        if kind.is_one(path, content):
            return kind.read(path)
    known = "; ".join(kind.names for kind in CARRIERS)
    raise CarrierError(f"{path} is no carrier that xcomctl can edit; it knows {known}", _by_hand(wanted))


def _by_hand(wanted: Mapping[str, str] | None) -> str:
    """What to write where we cannot, in quotes: an unquoted threshold does not survive every YAML (F35)."""
    if wanted is None:
        return f"set by hand, for every component: {', '.join(setting.env for setting in SETTINGS)}"
    lines = (f'  {name}="{value}"' for name, value in wanted.items())
    return "\n".join(["set by hand, for every component:", *lines])
