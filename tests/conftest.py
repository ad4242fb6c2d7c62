"""What every tier of the tests shares: which Airflow line, and where a measured figure goes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support import measurements

# Tests assert nothing on wall time, neither how long an example takes nor how long it takes to make one: CI is busy.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

# Whoever runs the tests in the background of a shell script has SIGINT ignored, here and in every child.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.support.plain_summary"]

ROOT = Path(__file__).parents[1]
#: Folders whose tests need a real Airflow and real servers.
LIVE = ("live", "full")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--airflow``, the line that the live tests run against."""
    parser.addoption("--airflow", metavar="LINE", default="3.3", help="Airflow line of the live tests (default: 3.3)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in the live folders."""
    for item in items:
        inside = item.path.relative_to(ROOT / "tests").parts if item.path.is_relative_to(ROOT / "tests") else ("",)
        if inside[0] in LIVE:
            item.add_marker("live")


@pytest.fixture(scope="session")
def airflow_line(request: pytest.FixtureRequest) -> str:
    """The Airflow line under test: ``3.3`` or ``2.11``."""
    return str(request.config.getoption("--airflow"))


@pytest.fixture(scope="session")
def airflow_env(airflow_line: str) -> Path:
    """The virtual environment of that line."""
    folder = ROOT / ".venvs" / f"airflow-{airflow_line}"
    if not (folder / "bin" / "python").exists():
        pytest.fail(f"{folder.relative_to(ROOT)} does not exist; run: make envs", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def measure() -> Callable[[str, Any], None]:
    """Note a figure under a name; ``make test-full`` writes it to ``docs/measurements``."""
    return measurements.note
