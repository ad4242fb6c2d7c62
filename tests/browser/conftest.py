"""A real browser, and pages opened in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path(os.environ.get("XCOMCTL_CHROMIUM", "/usr/bin/chromium"))
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, headless."""
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


@pytest.fixture
def opening(browser: Any, tmp_path: Path) -> Callable[..., Opened]:
    """Opens an HTML text: ``with opening(html, width, scheme=…) as seen``."""
    return lambda html, *args, **more: Opened(browser, tmp_path / "page.html", html, *args, **more)


class Opened:
    """One page, opened: the page, what the console said, what was requested. ``more`` is for the browser's context."""

    def __init__(
        self, browser: Any, file: Path, html: str, width: int = 1100, *, scheme: str = "light", **more: Any
    ) -> None:
        file.write_text(html, encoding="utf-8")
        self.said: list[str] = []
        self.requested: list[str] = []
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, **more)
        self.page = context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(file.as_uri())

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.context.close()

    def low_contrast(self) -> list[Any]:
        """Texts that are hard to read."""
        found: list[Any] = self.page.evaluate(CONTRAST)
        return found


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
