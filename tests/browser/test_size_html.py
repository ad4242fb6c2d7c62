"""The page of a measurement in a real browser. Run with ``make test-full PART=browser``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.report import size_samples
from xcomctl.report import units
from xcomctl.report.size_html import to_html

PAGES = [*size_samples.ALL, "hostile"]
WITH_PLOT = [name for name in PAGES if name != "empty"]
SHOWN = "svg.chart:visible"


@pytest.fixture
def opened(opening: Callable[..., Any]) -> Callable[..., Any]:
    """Opens one sample's page."""
    return lambda sample, *args, **more: opening(to_html(getattr(size_samples, sample)()), *args, **more)


def told(seen: Any) -> str:
    """The readout, blanks as blanks."""
    return " ".join(seen.page.locator(".readout").inner_text().split())


def points(seen: Any) -> list[list[Any]]:
    found: list[list[Any]] = json.loads(seen.page.locator("#plot").get_attribute("data-points"))
    return found


def point_at(seen: Any, left: float) -> None:
    """Move the pointer over the plot, so many percent from the left."""
    box = seen.page.locator(SHOWN).bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] * left / 100, box["y"] + box["height"] / 2)


@pytest.mark.parametrize("sample", PAGES)
@pytest.mark.parametrize("width", [320, 390, 800, 1100])
def test_opens_quietly_and_does_not_overflow(opened: Callable[..., Any], sample: str, width: int) -> None:
    with opened(sample, width) as seen:
        assert seen.said == []
        assert [url for url in seen.requested if not url.startswith(("file:", "data:"))] == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("sample", WITH_PLOT)
@pytest.mark.parametrize(("width", "shown"), [(320, "narrow"), (390, "narrow"), (800, "wide"), (1100, "wide")])
def test_the_plot_is_drawn_and_its_labels_stay_apart(
    opened: Callable[..., Any], sample: str, width: int, shown: str
) -> None:
    with opened(sample, width) as seen:
        chart = seen.page.locator(SHOWN)
        assert chart.count() == 1
        assert shown in chart.get_attribute("class").split()
        boxes = chart.evaluate(
            "svg => [...svg.querySelectorAll('path')].map(path => [path.getTotalLength(), path.getBoundingClientRect().width])"
        )
        assert len(boxes) == 2
        assert all(length > 0 and wide > 0 for length, wide in boxes)
        labels = chart.evaluate(
            "svg => [...svg.querySelectorAll('text')].map(text => { const box = text.getBoundingClientRect();"
            " return [text.textContent, box.left, box.right, box.top, box.bottom] })"
        )
        for index, (one, left, right, top, bottom) in enumerate(labels):
            assert left >= 0, one
            assert right <= width, one
            for other, *box in labels[index + 1 :]:
                apart = right <= box[0] + 1 or box[1] <= left + 1 or bottom <= box[2] + 2 or box[3] <= top + 2
                assert apart, (one, other)


def test_pointing_shows_the_figures_of_that_size(opened: Callable[..., Any]) -> None:
    report = size_samples.typical()
    bins = report.answer.histogram
    with opened("typical") as seen:
        at_rest = told(seen)
        assert at_rest.startswith("At the suggested threshold of 1,600,000 bytes 1,069 values, 1.9 GB")
        assert seen.page.locator(f"{SHOWN} .cursor").evaluate("line => getComputedStyle(line).visibility") == "hidden"
        left = next(point[0] for point in points(seen) if point[1] == "100 kB")
        point_at(seen, left)
        above = [each for each in bins if each.low >= 100_000]
        below = 1 - sum(each.values for each in above) / report.answer.values
        bytes_below = 1 - sum(each.bytes for each in above) / report.answer.bytes
        assert told(seen) == (
            f"100 kB: {units.share(below)} of the values are smaller, with {units.share(bytes_below)} of the bytes. "
            f"If the threshold were here: {units.count(sum(each.values for each in above), 'value')}, "
            f"{units.size(sum(each.bytes for each in above))}, would leave the database."
        )
        cursor = seen.page.locator(f"{SHOWN} .cursor")
        assert cursor.get_attribute("x1") == f"{left:g}%"
        assert cursor.evaluate("line => getComputedStyle(line).visibility") == "visible"
        seen.page.mouse.move(2, 2)
        assert told(seen) == at_rest
        assert seen.said == []


def test_the_keyboard_goes_from_point_to_point(opened: Callable[..., Any]) -> None:
    with opened("typical") as seen:
        plot = seen.page.locator("#plot")
        known = points(seen)
        plot.focus()
        seen.page.keyboard.press("Home")
        assert told(seen).startswith(f"{known[0][1]}: 0 % of the values are smaller")
        seen.page.keyboard.press("ArrowLeft")
        seen.page.keyboard.press("ArrowRight")
        assert told(seen).startswith(f"{known[1][1]}: ")
        seen.page.keyboard.press("End")
        assert "100 % of the values are smaller" in told(seen)
        assert "no values, 0 B, would leave" in told(seen)
        assert plot.get_attribute("aria-valuenow") == str(len(known) - 1) == plot.get_attribute("aria-valuemax")
        seen.page.keyboard.press("Escape")
        assert told(seen).startswith("At the suggested threshold")
        seen.page.keyboard.press("ArrowRight")
        start = float(plot.get_attribute("data-start"))
        nearest = min(known, key=lambda point: abs(point[0] - start))
        assert told(seen).startswith(f"{known[known.index(nearest) + 1][1]}: ")


def test_a_finger_will_do(opened: Callable[..., Any]) -> None:
    with opened("typical", 390, has_touch=True) as seen:
        box = seen.page.locator(SHOWN).bounding_box()
        seen.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        middle = min(points(seen), key=lambda point: abs(point[0] - 50))
        assert told(seen).startswith(f"{middle[1]}: ")
        assert seen.said == []


def test_the_page_is_whole_without_its_script(opened: Callable[..., Any]) -> None:
    with opened("typical", java_script_enabled=False) as seen:
        assert told(seen).startswith("At the suggested threshold of 1,600,000 bytes")
        assert seen.page.locator("#plot").get_attribute("role") is None
        titles = seen.page.locator(f"{SHOWN} .hit title").all_text_contents()
        assert len(titles) == len(size_samples.typical().answer.histogram)
        assert "100 kB to 200 kB\n2,610 values, 369 MB" in titles


def test_what_is_hostile_does_nothing(opened: Callable[..., Any]) -> None:
    with opened("hostile") as seen:
        assert seen.page.locator("script").count() == 1
        assert "alert(1)" in seen.page.locator("main").inner_text()
        point_at(seen, 50)
        assert "would leave the database" in told(seen)
        assert seen.said == []


def test_another_script_is_refused(opening: Callable[..., Any]) -> None:
    """The policy is there and works: a script that is not the page's own does not run."""
    html = to_html(size_samples.typical()).replace("</main>", '</main><script>document.title = "taken"</script>', 1)
    with opening(html) as seen:
        assert seen.page.title() != "taken"
        assert any("Content Security Policy" in line for line in seen.said)


def test_text_is_large_enough_on_a_phone(opened: Callable[..., Any]) -> None:
    with opened("typical", 390) as seen:
        sizes = seen.page.evaluate(
            "[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && e.textContent.trim())"
            ".map(e => parseFloat(getComputedStyle(e).fontSize))"
        )
        assert min(sizes) >= 11


@pytest.mark.parametrize("sample", ["typical", "sampled", "uncertain"])
def test_light_dark_and_contrast(opened: Callable[..., Any], sample: str) -> None:
    shots = []
    for scheme in ("light", "dark"):
        with opened(sample, scheme=scheme) as seen:
            shots.append(seen.page.screenshot(full_page=True))
            assert seen.low_contrast() == []
    assert shots[0] != shots[1]


def test_prints(opened: Callable[..., Any]) -> None:
    with opened("typical", scheme="dark") as seen:
        seen.page.emulate_media(media="print", color_scheme="dark")
        assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert (
            seen.page.locator(f"{SHOWN} text.text").first.evaluate("e => getComputedStyle(e).fill") == "rgb(28, 33, 40)"
        )
        assert seen.page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_of_its_own_is_one(opening: Callable[..., Any], scheme: str) -> None:
    """As a Markdown page embeds it: loaded as an image, with a size of its own."""
    from base64 import b64encode

    from xcomctl.report.size_chart import standalone_svg

    svg = b64encode(standalone_svg(size_samples.hostile().answer).encode()).decode()
    with opening(f'<img src="data:image/svg+xml;base64,{svg}">', scheme=scheme) as seen:
        assert seen.page.locator("img").evaluate("image => [image.complete, image.naturalWidth]") == [True, 880]
        assert seen.said == []
