"""A measurement of sizes as one self-contained HTML page: no network; light and dark; phone, desktop and paper.

One script, allowed by its digest, tells the figures under the pointer. Without it every bar still has its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable

from xcomctl.model.size import SizeAnswer, SizeReport
from xcomctl.model.verdicts import Verdict
from xcomctl.report import check_words, size_chart, size_story, units
from xcomctl.report.html_page import rendered

#: The two charts in the page: (style, least width of the plot in CSS pixels, its height). A narrow screen has the second.
_CHARTS = (("wide", 640.0, 280), ("narrow", 218.0, 230))


def to_html(report: SizeReport) -> str:
    """The whole measurement as one HTML document. Every text is escaped: nothing in a report can become markup."""
    from markupsafe import Markup

    answer = report.answer
    laid_out = [(name, size_chart.lay_out(answer, plot_px=plot_px), plot) for name, plot_px, plot in _CHARTS]
    # What size_chart draws is markup already, escaped there.
    charts = [
        (name, size_chart.height(chart, plot), Markup(size_chart.draw(chart, plot=plot)))  # noqa: S704
        for name, chart, plot in laid_out
        if chart is not None
    ]
    first = laid_out[0][1]
    known = {verdict.value for verdict in Verdict}
    return rendered(
        "size.html.j2",
        digest=_digest,
        report=report,
        badge=report.verdict if report.verdict in known else Verdict.INCONCLUSIVE.value,
        sections=list(size_story.sections(report)),
        charts=charts,
        chart_style=Markup(size_chart.style()),  # noqa: S704
        legend=(size_chart.VALUES, size_chart.BYTES),
        words=size_chart.describe(answer),
        points=json.dumps(list(_points(answer, first)), separators=(",", ":")),
        start=next((mark.left for mark in (first.marks if first else ()) if mark.kind == "suggested"), 50),
        at_rest=_at_rest(answer),
        size_story=size_story,
        label=check_words.label,
    )


def _points(answer: SizeAnswer, chart: size_chart.Chart | None) -> Iterable[tuple[float, str, str, str, str, str]]:
    """Where each point of the curve is, in percent, and its figures as they are shown."""
    about = "~" if answer.sampled is not None else ""
    for each in chart.points if chart is not None else ():
        yield (
            each.left, units.size(each.size), about + _share(each.below), about + _share(each.below_bytes),
            about + units.count(each.above, "value"), about + units.size(each.above_bytes),
        )  # fmt: skip


def _at_rest(answer: SizeAnswer) -> str:
    """What is told while nothing is pointed at: the suggested threshold."""
    for each in answer.suggestions:
        if each.threshold == answer.suggested:
            about, effect = "~" if each.effect.interval is not None else "", each.effect
            return (
                f"At the suggested threshold of {units.number(each.threshold)} bytes {about}{units.count(effect.values, 'value')}, "
                f"{about}{units.size(effect.bytes)}, would leave the database: {_share(effect.share)} of the values, "
                f"{_share(effect.bytes_share)} of the bytes."
            )  # fmt: skip
    return "No threshold is suggested."


def _share(value: float) -> str:
    """A share within a sentence, which does not end its line between the figure and its sign."""
    return units.share(value).replace(" %", "\u00a0%")


def _digest(script: str) -> str:
    """How a Content-Security-Policy names a script that is allowed: by the SHA-256 of its very text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
