"""The HTML report in a real browser. Run with ``make test-full PART=browser``; it fails where the browser is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.report import samples
from xcomctl.report.rehearsal_html import to_html

CHROMIUM = Path(os.environ.get("XCOMCTL_CHROMIUM", "/usr/bin/chromium"))
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
PAGES = [*samples.ALL, "hostile"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing. Install it: apt-get install -y chromium", pytrace=False)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("playwright is missing. Install it: .venv/bin/uv pip install playwright", pytrace=False)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield started
        started.close()


class Opened:
    """One report, opened: the page, what the console said, what was requested."""

    def __init__(self, browser: Any, folder: Path, sample: str, width: int = 1100, scheme: str = "light") -> None:
        file = folder / f"{sample}.html"
        file.write_text(to_html(getattr(samples, sample)()), encoding="utf-8")
        self.said: list[str] = []
        self.requested: list[str] = []
        self.page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}).new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(file.as_uri())

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.context.close()


@pytest.mark.parametrize("sample", PAGES)
@pytest.mark.parametrize("width", [320, 390, 800, 1100])
def test_opens_quietly_and_does_not_overflow(browser: Any, tmp_path: Path, sample: str, width: int) -> None:
    with Opened(browser, tmp_path, sample, width) as opened:
        assert opened.said == []
        assert [url for url in opened.requested if not url.startswith(("file:", "data:"))] == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "shown"), [(390, "narrow"), (1100, "wide")])
def test_timeline_is_drawn_and_its_labels_stay_inside(browser: Any, tmp_path: Path, width: int, shown: str) -> None:
    with Opened(browser, tmp_path, "passed", width) as opened:
        charts = opened.page.locator("svg.chart:visible")
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


def test_text_is_large_enough_on_a_phone(browser: Any, tmp_path: Path) -> None:
    with Opened(browser, tmp_path, "passed", 390) as opened:
        sizes = opened.page.evaluate(
            "[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && e.textContent.trim())"
            ".map(e => parseFloat(getComputedStyle(e).fontSize))"
        )
        assert min(sizes) >= 11


def test_light_dark_and_contrast(browser: Any, tmp_path: Path) -> None:
    shots = []
    for scheme in ("light", "dark"):
        with Opened(browser, tmp_path, "failed", scheme=scheme) as opened:
            shots.append(opened.page.screenshot(full_page=True))
            assert opened.page.evaluate(CONTRAST) == []
    assert shots[0] != shots[1]


#: Texts whose contrast with what is behind them is below 4.5 : 1 (WCAG AA).
CONTRAST = """
() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
                       return .2126 * r + .7152 * g + .0722 * b };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
                        if (c.length < 4 || c[3] === 1) return c } return [255, 255, 255] };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05) };
  const bad = [];
  for (const e of document.querySelectorAll('main *')) {
    if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const bar = e.matches('text.in') && e.parentNode.querySelector('rect');
    const style = getComputedStyle(e), front = parse(e instanceof SVGElement ? style.fill : style.color);
    const back = bar ? parse(getComputedStyle(bar).fill) : behind(e);
    if (e.tagName !== 'title' && ratio(front.slice(0, 3), back.slice(0, 3)) < 4.5) bad.push([e.tagName, e.textContent.trim().slice(0, 40)]);
  }
  return bad;
}
"""


def test_prints(browser: Any, tmp_path: Path) -> None:
    with Opened(browser, tmp_path, "passed", scheme="dark") as opened:
        opened.page.emulate_media(media="print", color_scheme="dark")
        assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert opened.page.pdf(format="A4").startswith(b"%PDF")
