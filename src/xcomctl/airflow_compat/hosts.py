"""What Airflow calls this host, and how long a process may live on that its instance does not know of any more."""

from __future__ import annotations

import datetime

from xcomctl.airflow_compat import configuration, loading
from xcomctl.model.barrier import HEARTBEAT_TIMEOUT, KILL_GRACE
from xcomctl.model.phases import Line

#: The options (``config.yml`` of 2.11 and 3.3), in seconds: without a heartbeat for so long an instance is given up, and a
#: task that is told to end may take so long.
_TIMEOUT = {Line.AF2: "scheduler_zombie_task_threshold", Line.AF3: "task_instance_heartbeat_timeout"}
_GRACE = "killed_task_cleanup_time"


def hostname() -> str:
    """The host's name as Airflow writes it into its tables (``[core] hostname_callable``)."""
    name: str = loading.module("airflow.utils.net").get_hostname()
    return name


def outlives() -> float:
    """Seconds after which a process has ended whose instance was taken from it: heartbeat time-out plus kill grace."""
    timeout = _seconds("scheduler", _TIMEOUT[loading.line()], HEARTBEAT_TIMEOUT)
    return timeout + _seconds("core", _GRACE, KILL_GRACE)


def _seconds(section: str, key: str, default: datetime.timedelta) -> float:
    text = configuration.option(section, key)
    try:
        return float(text) if text is not None else default.total_seconds()
    except ValueError:
        return default.total_seconds()
