"""preflight_list: every check there is. Needs no Airflow."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext
from xcomctl.checks.catalogue import CHECKS
from xcomctl.model.preflight import CatalogueAnswer, CatalogueEntry


def run(context: RequestContext) -> CatalogueAnswer:
    """Answer the request."""
    return CatalogueAnswer(
        tuple(CatalogueEntry(spec.id, spec.category, spec.title, spec.asked_by, spec.in_task) for spec in CHECKS)
    )
