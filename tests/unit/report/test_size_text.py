"""A measurement as text: golden files, and what holds for every one of them."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.report import size_samples
from xcomctl.model.size import Bin, SizeReport
from xcomctl.report.size_story import sections
from xcomctl.report.size_text import histogram, render
from xcomctl.report.units import share

GOLDEN = Path(__file__).parent / "golden"


def text(report: SizeReport, width: int | None = None, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    render(report, stream, width=width)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("sample", size_samples.ALL)
@pytest.mark.parametrize(
    ("suffix", "width", "encoding"), [("80", 80, "utf-8"), ("piped", None, "utf-8"), ("48-ascii", 48, "ascii")]
)
def test_golden(sample: str, suffix: str, width: int | None, encoding: str) -> None:
    path = GOLDEN / f"size-{sample}-{suffix}.txt"
    found = text(size_samples.ALL[sample](), width, encoding)
    if os.environ.get("XCOMCTL_UPDATE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8"), f"differs from {path}; XCOMCTL_UPDATE_GOLDEN=1 writes it anew"


@pytest.mark.parametrize("sample", [*size_samples.ALL, "hostile"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_only_commands_are_wider_than_the_page(sample: str, width: int) -> None:
    lines = text(getattr(size_samples, sample)(), width).splitlines()
    assert [line for line in lines if len(line) > width and "→" not in line] == []


@pytest.mark.parametrize("width", [48, 60, 80])
@pytest.mark.parametrize("sample", ["sampled", "uncertain", "offloaded"])
def test_no_figure_is_lost_on_a_narrow_page(sample: str, width: int) -> None:
    """What does not fit side by side goes below: nothing is cut, no number is broken over two lines."""
    report = size_samples.ALL[sample]()
    words = text(report, width).split()
    figures = {
        word
        for section in sections(report)
        for row in section.rows
        for index in section.right
        for word in row[index].split()
        if section.id != "distribution"
    }
    assert len(figures) > 20
    assert figures - set(words) == set()


def test_a_pipe_has_one_line_for_one_thing() -> None:
    lines = text(size_samples.typical()).splitlines()
    assert any("14 inline strings" in line and "another type" in line and "FAIL" in line for line in lines)
    assert any(line.split()[:3] == ["1,600,000", "near-inert", "1,069"] for line in lines)


def test_texts_from_elsewhere_stay_texts_and_hold_no_secret() -> None:
    shown = text(size_samples.hostile(), 80)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "hunter2" not in shown
    assert "postgresql://airflow:***@replica/airflow" in shown
    assert len(max(shown.splitlines(), key=len)) < 300


def test_what_is_estimated_is_marked_and_what_was_counted_is_not() -> None:
    shown = text(size_samples.sampled(), 120)
    assert "~1,156,001" in shown
    assert "1,121,000 to 1,187,000" in shown
    assert "at least 2.7 MB" in shown
    places = next(section for section in sections(size_samples.sampled()) if section.id == "top-bytes")
    rows = {row[0]: row[1] for row in places.rows}
    assert rows["diagnostic__s42.discriminate_cell"] == "~9,120"
    assert rows["billing_export.collect_invoices"] == "88,200"
    assert "~" not in text(size_samples.typical(), 120)


def test_the_threshold_that_is_resolved_is_not_one_that_was_asked_for() -> None:
    report = size_samples.offloaded()
    assert report.answer.threshold == 1_000_000
    names = {}
    for each in (report, replace(report, query={**report.query, "thresholds": [1_000_000]})):
        rows = next(section.rows for section in sections(each) if section.id == "thresholds")
        names[len(names)] = next(row[1] for row in rows if row[0] == "1,000,000")
    assert names == {0: "now", 1: "asked for"}


def test_what_is_uncertain_is_told() -> None:
    shown = text(size_samples.uncertain(), 80)
    assert "1,069+3?" in shown
    assert "212 values near it fetched and measured; 3 more may be as large" in " ".join(shown.split())
    assert "between 0.981 and 1.42 times that, in sum 1.0031 times" in " ".join(shown.split())


def test_the_trip_says_how_to_find_out() -> None:
    assert "→ xcomctl size --trip -D prod\n" in text(size_samples.sampled(), 80)
    told = replace(size_samples.sampled(), next_steps=("xcomctl size --trip -n airflow",))
    assert [line for line in text(told, 80).splitlines() if "→" in line] == ["  → xcomctl size --trip -n airflow"]
    assert "→ xcomctl refs --dangling\n" in text(size_samples.uncertain(), 80)
    assert "let the task return" not in text(size_samples.typical(), 80)
    nothing = replace(size_samples.typical(), checks=())
    assert "nothing was checked" in text(nothing, 80)


def test_an_empty_table_is_a_sentence() -> None:
    shown = text(size_samples.empty(), 80)
    assert "No XCom has a value whose size is known; there are 3 rows without a value." in shown
    for heading in ("Sizes", "Distribution", "Thresholds", "Growth", "Most bytes"):
        assert f"\n{heading}\n" not in shown
    assert "no threshold is suggested" in " ".join(shown.split())


@pytest.mark.parametrize("width", [40, 60, 78, 120])
def test_the_histogram_keeps_to_its_width(width: int) -> None:
    answer = size_samples.typical().answer
    lines = histogram(answer, width)
    assert len(lines) == 1 + len(answer.histogram)
    assert {len(line) for line in lines} == {width}
    bars = [line.count("█") for line in lines[1:]]
    assert (
        max(bars)
        == bars[[each.values for each in answer.histogram].index(max(each.values for each in answer.histogram))]
    )
    assert all("█" in line or "▏" in line for line in lines[1:])


def test_the_histogram_of_nothing() -> None:
    assert histogram(size_samples.empty().answer, 80) == []
    gap = replace(size_samples.one().answer, histogram=(Bin(1, 2, 1, 1), Bin(2, 5, 0, 0), Bin(5, 10, 3, 21)))
    assert "█" not in histogram(gap, 60)[2]
    assert "▏" not in histogram(gap, 60)[2]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 %"), (1, "100 %"), (0.384, "38.4 %"), (0.5, "50 %"), (0.99987, "99.987 %"), (0.0012, "0.12 %"), (1e-9, "< 0.001 %"),
     (1 - 1e-11, "> 99.999999 %"), (float("nan"), "n/a"), (0.999, "99.9 %"), (0.09999999, "10 %")],
)  # fmt: skip
def test_shares(value: float, shown: str) -> None:
    assert share(value) == shown
