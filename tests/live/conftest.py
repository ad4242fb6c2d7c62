"""One sandbox per Airflow line: started once, walked through the whole rehearsal once; live assertions hang on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.plain_summary import counter_of
from tests.support.visits import Visiting, visits_of
from tests.support.walk import SIZES, THRESHOLD, WALKED, Walk
from tests.support.warm import WarmContexts
from xcomctl.rehearsal import environments
from xcomctl.rehearsal.rehearse import Plan, Rehearsal
from xcomctl.report.progress import progress_for

#: The line on which tests run that need to run on one line only (marker ``first_line_only``; ``other_line_only`` for those
#: of which there is more time on another one).
FIRST_LINE = "3.3"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what one line proves for both."""
    first = config.getoption("--airflow") == FIRST_LINE
    once = [item for item in items if item.get_closest_marker("other_line_only" if first else "first_line_only")]
    if once:
        config.hook.pytest_deselected(items=once)
        items[:] = [item for item in items if item not in once]


@pytest.fixture(scope="session")
def walk(request: pytest.FixtureRequest, airflow_env: Path) -> Iterator[Walk]:
    """The short rehearsal, all of it, with the visits of the tests that were collected; the sandbox stays up."""
    plan = Plan(
        lambda waiting: environments.existing(airflow_env, store="s3"),
        threshold=THRESHOLD,
        sizes=SIZES,
        scenarios=WALKED,
    )
    visits = visits_of(getattr(item, "module", None) for item in request.session.items)
    with WarmContexts(airflow_env / "bin" / "python") as warm:
        visiting = Visiting(progress_for(sys.__stderr__), visits, lambda: Walk(rehearsal, rehearsal.report(), {}, warm))
        rehearsal = Rehearsal(plan, visiting)
        try:
            rehearsal.play()
            if counter := counter_of(request.config):
                for visit, seconds in visiting.seconds.items():
                    counter.visited(visit.__module__, seconds)
            yield Walk(rehearsal, rehearsal.report(), visiting.outcomes, warm)
        finally:
            rehearsal.close()
