"""A rehearsal as one self-contained HTML page: no network, no script; light and dark; phone, desktop and paper."""

from __future__ import annotations

from xcomctl.model.rehearsal import RehearsalReport
from xcomctl.report import check_words, units
from xcomctl.report import rehearsal_story as story
from xcomctl.report.html_page import rendered
from xcomctl.report.rehearsal_timeline import describe, lay_out

#: The two charts in the page: narrower than this many CSS pixels the second one is shown.
_WIDE_PLOT_PX = 600.0
_NARROW_PLOT_PX = 284.0
_ORPHANS_SHOWN = 50


def to_html(report: RehearsalReport) -> str:
    """The whole report as one HTML document. Every text is escaped: nothing in a report can become markup."""
    return rendered(
        "rehearsal.html.j2",
        report=report,
        check_words=check_words,
        story=story,
        units=units,
        told=story.break_story(report),
        wide=lay_out(report.timeline, plot_px=_WIDE_PLOT_PX, ticks=8),
        narrow=lay_out(report.timeline, plot_px=_NARROW_PLOT_PX, ticks=4),
        timeline_words=describe(report.timeline),
        orphans_shown=_ORPHANS_SHOWN,
    )
