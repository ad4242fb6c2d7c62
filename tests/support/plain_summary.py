"""Counting: what one pytest process found, and what all parts of a run amount to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Counts:
    """How many tests ended how. An error in a fixture or while collecting is a failure."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


@dataclass(frozen=True)
class PartResult:
    """What one part found, and what it cost."""

    name: str
    seconds: float
    counts: Counts
    budget_s: float | None = None
    remark: str = ""


def render(results: Iterable[PartResult], *, total_s: float | None = None, total_budget_s: float | None = None) -> str:
    """A line per part, the total (less than their sum where some ran at the same time), and the plain closing line."""
    results = list(results)
    lines = [_row(result.name, result.seconds, result.budget_s, result) for result in results]
    if total_s is not None:
        lines.append(_row("total", total_s, total_budget_s, None))
    total = sum((result.counts for result in results), Counts())
    return "\n".join(["", *lines, "", str(total)])


def _row(name: str, seconds: float, budget_s: float | None, result: PartResult | None) -> str:
    budget = "" if budget_s is None else f" of {budget_s:4.0f} s" + (" OVER" if seconds > budget_s else "")
    found = "" if result is None or result.counts == Counts() else str(result.counts)
    remark = "" if result is None or not result.remark else f" ({result.remark})"
    return f"{name:14}{seconds:7.1f} s{budget:16}{found}{remark}".rstrip()


class Counter:
    """The pytest plugin that counts each test once, by the worst that happened to it."""

    _RANK = ("passed", "skipped", "failed")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.worst: dict[str, str] = {}
        self.started = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how one phase of one test ended."""
        if report.when == "call" or report.outcome != "passed":
            self._note(report.nodeid, report.outcome)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that could not be collected, or that was skipped as a whole."""
        if report.outcome != "passed":
            self._note(report.nodeid, report.outcome)

    def pytest_sessionfinish(self) -> None:
        """Write the counts for the runner."""
        outcomes = list(self.worst.values())
        counts = Counts(**{name: outcomes.count(name) for name in self._RANK})
        self.path.write_text(json.dumps(asdict(counts)), encoding="utf-8")

    def _note(self, nodeid: str, outcome: str) -> None:
        before = self.worst.get(nodeid, outcome)
        self.worst[nodeid] = max(before, outcome, key=self._RANK.index)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--counts``, which ``tests.run`` passes."""
    parser.addoption("--counts", metavar="FILE", type=Path, help="write how many tests ended how to FILE, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Count when the runner asks for it."""
    path = config.getoption("--counts")
    if path is not None:
        config.pluginmanager.register(Counter(path), "xcomctl-counts")
