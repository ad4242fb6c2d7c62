from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

import pytest

from tests.unit.report import samples
from xcomctl.model.rehearsal import Span
from xcomctl.report.rehearsal_html import to_html
from xcomctl.report.rehearsal_markdown import to_markdown
from xcomctl.report.rehearsal_timeline import lay_out

VOID = {"meta", "link", "br", "col", "hr", "img", "input"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and insists that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize("sample", [*samples.ALL, "hostile"])
def test_is_well_formed_and_self_contained(sample: str) -> None:
    html = to_html(getattr(samples, sample)())
    reader = read(html)
    assert not {"script", "img", "iframe", "object", "a", "style@import"} & set(reader.tags)
    assert {value for name, value in reader.attributes if name in ("src", "href", "action")} == {"data:,"}
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value for name, value in reader.attributes if name == "aria-labelledby"} <= set(ids)


def test_hostile_text_stays_text() -> None:
    html = to_html(samples.hostile())
    assert "<script" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "<script>alert(1)</script>" in "".join(read(html).text)
    tags, tame = (
        set(read(html).tags),
        set(read(to_html(samples.passed())).tags) | set(read(to_html(samples.failed())).tags),
    )
    assert tags <= tame


def test_hostile_text_is_no_markup_in_markdown() -> None:
    markdown = to_markdown(samples.hostile())
    outside_code = re.sub(r"(`{2,})(?!`).*?(?<!`)\1(?!`)", "", re.sub(r"(?sm)^(`{3,})\w*\n.*?^\1$", "", markdown))
    assert "<script" not in outside_code
    assert not re.search(r"(?<!\\)\]\(javascript", outside_code)
    assert "\x1b" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| FAIL |")]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [4, 5]


def test_the_break_is_told_in_words() -> None:
    text = " ".join(" ".join(read(to_html(samples.passed())).text).split())
    assert "the consumer got a path string instead of its data" in text
    assert samples.RECEIVED in text
    assert "ended as success. Nothing turned red there" in text


def test_no_break_is_claimed_where_none_was_seen() -> None:
    for sample in ("failed", "interrupted", "inconclusive"):
        assert "got a path string instead" not in to_html(samples.ALL[sample]())
    assert "The break was not reached" in to_html(samples.interrupted())


@pytest.mark.parametrize("width", [284.0, 600.0])
def test_bars_and_labels_never_overlap(width: float) -> None:
    spans = [Span("run", f"run number {index}", index * 3.0, index * 3.0 + 1 + index % 7) for index in range(40)]
    chart = lay_out([*spans, Span("sandbox", "x", 0, 200)], plot_px=width, ticks=8)
    assert chart is not None
    rows: dict[int, list[tuple[float, float]]] = {}
    for bar in chart.bars:
        left, right, text = bar.left * width / 100, (bar.left + bar.width) * width / 100, len(bar.label) * 6.3
        left, right = (
            (left - text if bar.text_at == "before" else left),
            (right + text if bar.text_at == "after" else right),
        )
        assert left >= -0.5
        assert right <= width + 0.5
        rows.setdefault(bar.row, []).append((left, right))
    for extents in rows.values():
        extents.sort()
        assert all(one[1] <= two[0] + 0.5 for one, two in itertools.pairwise(extents))


def test_odd_times_are_survived() -> None:
    assert lay_out([], plot_px=600, ticks=8) is None
    assert lay_out([Span("run", "x", float("nan"), 2)], plot_px=600, ticks=8) is None
    chart = lay_out(
        [Span("run", "x", -5, -0.0), Span("new lane", "y", 5, 2), Span("run", "z", 0, 1e6)], plot_px=300, ticks=4
    )
    assert chart is not None
    assert [lane.name for lane in chart.lanes] == ["run", "new lane"]
    assert len(chart.ticks) <= 6
