"""Where the distribution is drawn, and that what is drawn is an SVG whatever the names are."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tests.unit.report import size_samples
from xcomctl.model.size import Bin, SizeAnswer
from xcomctl.report.size_chart import describe, draw, lay_out, standalone_svg

WITH_VALUES = [name for name in [*size_samples.ALL, "hostile"] if name != "empty"]
SVG = "{http://www.w3.org/2000/svg}"


def answer(sample: str) -> SizeAnswer:
    return getattr(size_samples, sample)().answer  # type: ignore[no-any-return]


@pytest.mark.parametrize("sample", WITH_VALUES)
def test_samples_hang_together(sample: str) -> None:
    found = answer(sample)
    for bins in (found.histogram, found.curve):
        assert sum(each.values for each in bins) == found.values
        assert sum(each.bytes for each in bins) == found.bytes
        assert all(one.high <= two.low for one, two in itertools.pairwise(bins))


@pytest.mark.parametrize("sample", WITH_VALUES)
@pytest.mark.parametrize("plot_px", [218.0, 640.0])
def test_curves_rise_from_none_to_all(sample: str, plot_px: float) -> None:
    found = answer(sample)
    chart = lay_out(found, plot_px=plot_px)
    assert chart is not None
    first, last = chart.points[0], chart.points[-1]
    assert (first.below, first.below_bytes, first.above, first.above_bytes) == (0, 0, found.values, found.bytes)
    assert (last.below, last.below_bytes, last.above, last.above_bytes) == (1, 1, 0, 0)
    for one, two in itertools.pairwise(chart.points):
        assert one.left <= two.left
        assert one.below <= two.below
        assert one.above >= two.above
    assert all(0 <= each.left <= 100 for each in (*chart.points, *chart.marks))
    assert sum(bar.share for bar in chart.bars) == pytest.approx(1)
    assert sum(bar.bytes_share for bar in chart.bars) == pytest.approx(1)


def test_the_axis_is_logarithmic_with_a_tick_per_power_of_ten() -> None:
    chart = lay_out(answer("typical"), plot_px=640)
    assert chart is not None
    assert [label for label, _ in chart.ticks] == ["1 B", "10 B", "100 B", "1 kB", "10 kB", "100 kB", "1 MB", "10 MB"]
    steps = [two[1] - one[1] for one, two in itertools.pairwise(chart.ticks)]
    assert max(steps) - min(steps) < 0.01
    suggested = next(mark for mark in chart.marks if mark.kind == "suggested")
    assert suggested.left == pytest.approx(100 * math.log10(1_600_000) / 7, abs=0.01)
    narrow = lay_out(answer("typical"), plot_px=218)
    assert narrow is not None
    assert [label for label, _ in narrow.ticks if label] == ["1 B", "100 B", "10 kB", "1 MB"]


def test_what_leaves_at_a_point_is_what_the_bins_say() -> None:
    found = answer("typical")
    chart = lay_out(found, plot_px=640)
    assert chart is not None
    at = {point.size: point for point in chart.points}
    for each in found.histogram:
        above = [other for other in found.histogram if other.low >= each.low]
        assert at[each.low].above == sum(other.values for other in above)
        assert at[each.low].above_bytes == sum(other.bytes for other in above)


def test_a_step_without_values_leaves_the_curve_level() -> None:
    found = replace(answer("one"), values=4, bytes=1_021, curve=(Bin(10, 20, 2, 21), Bin(500, 600, 2, 1_000)))
    chart = lay_out(found, plot_px=640)
    assert chart is not None
    assert [(point.size, point.below) for point in chart.points] == [(10, 0), (20, 0.5), (500, 0.5), (600, 1)]


@pytest.mark.parametrize("sample", WITH_VALUES)
@pytest.mark.parametrize("plot_px", [218.0, 640.0, 800.0])
def test_labels_stay_in_the_plot_apart_and_clear_of_lines(sample: str, plot_px: float) -> None:
    chart = lay_out(answer(sample), plot_px=plot_px)
    assert chart is not None
    spans = []
    for mark in chart.marks:
        at, wide = mark.left * plot_px / 100, len(mark.label) * 6.4 + 10
        spans.append((mark, (at - wide, at) if mark.before else (at, at + wide)))
        assert spans[-1][1][0] >= -0.5
        assert spans[-1][1][1] <= plot_px + 0.5
    for (one, (left, right)), (two, (start, stop)) in itertools.permutations(spans, 2):
        assert one.row != two.row or right <= start + 0.5 or stop <= left + 0.5
        line = two.left * plot_px / 100
        assert not (left + 1 < line < right - 1 and two.row < one.row), (one.label, two.label)
    assert chart.rows == 1 + max(mark.row for mark in chart.marks)


def test_one_threshold_with_several_names_is_marked_once() -> None:
    chart = lay_out(answer("offloaded"), plot_px=640)
    assert chart is not None
    assert [(mark.kind, mark.label) for mark in chart.marks] == [
        ("floor", "floor 10 kB"), ("mark", "aggressive 50 kB"), ("mark", "moderate 250 kB"), ("mark", "now 1 MB"),
        ("suggested", "suggested, near-inert 1.6 MB"),
    ]  # fmt: skip


def test_a_label_too_long_for_the_plot_keeps_its_first_name() -> None:
    chart = lay_out(answer("one"), plot_px=218)
    assert chart is not None
    assert [mark.label for mark in chart.marks] == ["suggested 10 kB"]


def test_curves_go_from_edge_to_edge() -> None:
    chart = lay_out(answer("one"), plot_px=640)
    assert chart is not None
    for path in re.findall(r'<path class="[a-z]+-line" d="M([^"]*)"', draw(chart, plot=200)):
        corners = path.split("L")
        assert corners[0] == "0.0 1000.00"
        assert corners[-1] == "1000.0 0.00"


def test_odd_bins_are_survived() -> None:
    assert lay_out(answer("empty"), plot_px=640) is None
    found = replace(answer("one"), histogram=(Bin(0, 1, 1, 0), Bin(5, 5, 0, 0)), curve=(Bin(0, 1, 1, 0),))
    chart = lay_out(found, plot_px=640)
    assert chart is not None
    assert "nan" not in draw(chart, plot=200)
    huge = replace(answer("one"), histogram=(Bin(1, 10**15, 10**12, 10**18),), curve=())
    assert lay_out(huge, plot_px=218) is not None


@pytest.mark.parametrize("sample", [*size_samples.ALL, "hostile"])
def test_the_picture_is_xml_and_needs_nothing_else(sample: str) -> None:
    svg = standalone_svg(answer(sample))
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg",
        "title",
        "style",
        "rect",
        "line",
        "path",
        "text",
    }
    assert not [name for each in root.iter() for name in each.attrib if name.startswith("on") or "href" in name]
    assert "url(" not in svg
    assert "@import" not in svg
    assert "prefers-color-scheme:dark" in svg
    if sample != "empty":
        paths = [each.attrib["d"] for each in root.iter(f"{SVG}path")]
        assert len(paths) == 2
        assert all(re.fullmatch(r"M[\d.]+ [\d.]+(L[\d.]+ [\d.]+)+", path) for path in paths)


def test_the_picture_is_the_same_each_time() -> None:
    assert standalone_svg(size_samples.typical().answer) == standalone_svg(size_samples.typical().answer)


def test_it_is_told_in_words() -> None:
    words = describe(answer("typical"))
    assert words.startswith("Distribution of 1,156,001 values, 7.4 GB. 50 % are at most 194 B, ")
    assert "99.99 % are at most 2.8 MB" in words
    assert "suggested, near-inert 1.6 MB" in words
