"""The HTML report in a real browser. Run with ``make test-full PART=browser``; it fails where the browser is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.report import samples
from xcomctl.report.rehearsal_html import to_html

PAGES = [*samples.ALL, "hostile"]


@pytest.fixture
def opened(opening: Callable[..., Any]) -> Callable[..., Any]:
    """Opens one sample's report."""
    return lambda sample, *args, **more: opening(to_html(getattr(samples, sample)()), *args, **more)


@pytest.mark.parametrize("sample", PAGES)
@pytest.mark.parametrize("width", [320, 390, 800, 1100])
def test_opens_quietly_and_does_not_overflow(opened: Callable[..., Any], sample: str, width: int) -> None:
    with opened(sample, width) as seen:
        assert seen.said == []
        assert [url for url in seen.requested if not url.startswith(("file:", "data:"))] == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "shown"), [(390, "narrow"), (1100, "wide")])
def test_timeline_is_drawn_and_its_labels_stay_inside(opened: Callable[..., Any], width: int, shown: str) -> None:
    with opened("passed", width) as seen:
        charts = seen.page.locator("svg.chart:visible")
        assert charts.count() == 1
        assert shown in charts.get_attribute("class").split()
        assert charts.get_attribute("aria-label").startswith("Timeline of ")
        lanes = charts.locator("text.lane").all_text_contents()
        assert lanes == ["sandbox", "phase", "restart", "run", "broken"]
        boxes = charts.evaluate(
            "svg => [...svg.querySelectorAll('g.bar text')].map(text => {"
            " const one = text.getBoundingClientRect(), bar = text.parentNode.querySelector('rect').getBoundingClientRect();"
            " return [one.left, one.right, bar.left, bar.right, text.classList.contains('in') ? 1 : 0] })"
        )
        assert len(boxes) == len(samples.passed().timeline)
        for left, right, bar_left, bar_right, inside in boxes:
            assert left >= 0
            assert right <= width
            assert not inside or (left >= bar_left and right <= bar_right)
        assert "57 s" in charts.locator("g.bar.broken title").text_content()


def test_text_is_large_enough_on_a_phone(opened: Callable[..., Any]) -> None:
    with opened("passed", 390) as seen:
        sizes = seen.page.evaluate(
            "[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && e.textContent.trim())"
            ".map(e => parseFloat(getComputedStyle(e).fontSize))"
        )
        assert min(sizes) >= 11


def test_light_dark_and_contrast(opened: Callable[..., Any]) -> None:
    shots = []
    for scheme in ("light", "dark"):
        with opened("failed", scheme=scheme) as seen:
            shots.append(seen.page.screenshot(full_page=True))
            assert seen.low_contrast() == []
    assert shots[0] != shots[1]


def test_prints(opened: Callable[..., Any]) -> None:
    with opened("passed", scheme="dark") as seen:
        seen.page.emulate_media(media="print", color_scheme="dark")
        assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert seen.page.pdf(format="A4").startswith(b"%PDF")
