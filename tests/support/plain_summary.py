"""Counting: what one pytest process found and what each of its files took, and what all parts of a run amount to."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from statistics import fmean

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
    #: Seconds by test file (its name), and under :data:`SHARED` what all of them share.
    spent: Mapping[str, float] = field(default_factory=dict)


#: What the fixtures of a whole session took, less what single files did there.
SHARED = "shared"


@dataclass(frozen=True)
class Area:
    """Live tests that were given a budget together: by the beginnings of their files' names."""

    name: str
    budget_s: float
    files: tuple[str, ...]

    def seconds(self, spent: Mapping[str, float]) -> float:
        """What its files took of a part."""
        return sum(seconds for file, seconds in spent.items() if file.removeprefix("test_").startswith(self.files))


def render(
    results: Iterable[PartResult],
    *,
    areas: Iterable[Area] = (),
    total_s: float | None = None,
    total_budget_s: float | None = None,
) -> str:
    """A line per part, one per area, the total (less than their sum where some ran at once), and the plain closing line."""
    results = list(results)
    lines = [_row(result.name, result.seconds, result.budget_s, result) for result in results]
    if total_s is not None:
        lines.append(_row("total", total_s, total_budget_s, None))
    total = sum((result.counts for result in results), Counts())
    return "\n".join(["", *lines, *_areas(results, list(areas)), "", str(total)])


def _areas(results: list[PartResult], areas: list[Area]) -> list[str]:
    """What each area took of the parts that it is in, and what it costs: they run side by side, so by their mean."""
    parts = [result for result in results if result.spent]
    if not parts or not areas:
        return []
    shared = {result.name: result.spent.get(SHARED, 0) for result in parts}
    lines = ["", "of " + " and ".join(shared) + ":", _row("what is shared", fmean(shared.values()), None, None, shared)]
    for area in areas:
        each = {result.name: area.seconds(result.spent) for result in parts}
        lines.append(_row(area.name, fmean(each.values()), area.budget_s, None, each))
    return lines


def _row(
    name: str,
    seconds: float,
    budget_s: float | None,
    result: PartResult | None,
    each: Mapping[str, float] | None = None,
) -> str:
    budget = "" if budget_s is None else f" of {budget_s:4.0f} s" + (" OVER" if seconds > budget_s else "")
    found = "" if result is None or result.counts == Counts() else str(result.counts)
    if each is not None:
        found = ", ".join(f"{part} {spent:.0f} s" for part, spent in each.items())
    remark = "" if result is None or not result.remark else f" ({result.remark})"
    return f"{name:16}{seconds:7.1f} s{budget:16}{found}{remark}".rstrip()


COUNTER = "xcomctl-counts"


class Counter:
    """The pytest plugin that counts each test once, by the worst that happened to it, and what each file took."""

    _RANK = ("passed", "skipped", "failed")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.worst: dict[str, str] = {}
        self.spent: dict[str, float] = {SHARED: 0.0}
        self._of_the_session = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        """What a fixture of the session takes is nobody's own, though the first test that needs it waits for it."""
        started = time.monotonic()
        try:
            return (yield)
        finally:
            if fixturedef.scope == "session":
                self._of_the_session += time.monotonic() - started

    def visited(self, module: str, seconds: float) -> None:
        """Of what fixtures of the session took, so much was for the tests of one module."""
        self._spend(f"{module.rpartition('.')[2]}.py", seconds)
        self.spent[SHARED] -= seconds

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how one phase of one test ended, and what it took."""
        self._spend(PurePath(report.nodeid.partition("::")[0]).name, report.duration - self._of_the_session)
        self._spend(SHARED, self._of_the_session)
        self._of_the_session = 0.0
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
        self.path.write_text(json.dumps({**asdict(counts), "spent": self.spent}), encoding="utf-8")

    def _spend(self, file: str, seconds: float) -> None:
        self.spent[file] = self.spent.get(file, 0.0) + seconds

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
        config.pluginmanager.register(Counter(path), COUNTER)


def counter_of(config: pytest.Config) -> Counter | None:
    """What counts in this session, if the runner has asked for it."""
    found = config.pluginmanager.get_plugin(COUNTER)
    return found if isinstance(found, Counter) else None
