"""What Airflow calls this host, and how long a process may live on that its instance does not know of any more."""

from __future__ import annotations

from xcomctl.airflow_compat import configuration, loading
from xcomctl.model.phases import Line

#: The options and their defaults (``config.yml`` of 2.11 and 3.3), in seconds: without a heartbeat for so long an
#: instance is given up, and a task that is told to end may take so long.
_TIMEOUT = {
    Line.AF2: ("scheduler_zombie_task_threshold", 300),
    Line.AF3: ("task_instance_heartbeat_timeout", 300),
}
_GRACE = ("killed_task_cleanup_time", 60)


def hostname() -> str:
    """The host's name as Airflow writes it into its tables (``[core] hostname_callable``)."""
    name: str = loading.module("airflow.utils.net").get_hostname()
    return name


def outlives() -> float:
    """Seconds after which a process has ended whose instance was taken from it: heartbeat time-out plus kill grace."""
    timeout, grace = _TIMEOUT[loading.line()], _GRACE
    return _seconds("scheduler", *timeout) + _seconds("core", *grace)


def _seconds(section: str, key: str, default: int) -> float:
    text = configuration.option(section, key)
    try:
        return float(text) if text is not None else float(default)
    except ValueError:
        return float(default)
