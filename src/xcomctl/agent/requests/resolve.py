"""resolve: the four settings, the class, and the phase that they amount to."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext
from xcomctl.airflow_compat import configuration, loading, xcom_class
from xcomctl.checks.near_misses import found_here
from xcomctl.model.phases import phase_of
from xcomctl.model.requests import Resolution
from xcomctl.model.settings import settings_from


def run(context: RequestContext) -> Resolution:
    """Answer the request."""
    loading.airflow()
    settings = configuration.resolve_settings()
    context.check()
    class_path, class_error = xcom_class.class_path()
    found = phase_of(settings_from(line=loading.line(), **settings))
    return Resolution(
        class_path=class_path,
        class_error=class_error,
        phase=found.phase.value,
        reason=found.reason,
        near_misses=tuple(f"{miss.name} is not read ({miss.reason})" for miss in found_here()),
        **settings,
    )
