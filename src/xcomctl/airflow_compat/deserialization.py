"""Which classes Airflow makes again from stored values: it imports none that it is not told of."""

from __future__ import annotations

from collections.abc import Iterable

from xcomctl.airflow_compat import loading

#: Where the lines keep it: 3.2 and later, and what came before.
_MODULES = ("airflow.sdk.serde", "airflow.serialization.serde")


def allow(names: Iterable[str]) -> None:
    """Let this process read values of these classes, given by their full names; no other process, and no setting.

    What Airflow's own ``allow_class`` does (3.3), which asks for the classes themselves.
    """
    for name in _MODULES:
        try:
            found = loading.module(name)
        except ModuleNotFoundError:
            continue
        allowed = getattr(found, "_extra_allowed", None)
        if isinstance(allowed, set):
            allowed.update(names)
            return
