"""Names in the environment and in ``airflow.cfg`` that look like one of the settings and are none (F13)."""

from __future__ import annotations

import os

from xcomctl.airflow_compat import configuration
from xcomctl.checks.interface import CheckSpec, Finding, Subject, fail, ok, warn
from xcomctl.model.preflight import CONFIG
from xcomctl.model.settings import NearMiss, near_miss_in_file, near_misses


def found_here() -> list[NearMiss]:
    """The near misses of this context: its variables', then those of its ``airflow.cfg``."""
    in_file = (near_miss_in_file(section, key) for section, key in configuration.options_in_file())
    return [*near_misses(sorted(os.environ)), *(miss for miss in in_file if miss is not None)]


def _near_misses(subject: Subject) -> Finding:
    misses = found_here()
    if not misses:
        return ok("no name looks like one of the settings and is none")
    said = "; ".join(f"{miss.name} is not read ({miss.reason})" for miss in misses)
    hint = "; ".join(
        f"remove {miss.name}, {miss.meant} is set" if miss.meant in os.environ else f"{miss.name} → {miss.correction}"
        for miss in misses
    )
    data = {"names": [miss.name for miss in misses], "meant": [miss.meant for miss in misses]}
    if all(miss.meant in os.environ for miss in misses):
        return warn(said, hint, **data)
    return fail(said, hint, **data)


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec("config_near_misses", CONFIG, "no name of a setting is misspelt", _near_misses),
)
