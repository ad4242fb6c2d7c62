"""Where each span of the timeline is drawn: positions in percent of a plot's width, rows without overlaps. No drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from xcomctl.model.rehearsal import Span
from xcomctl.report import units

#: Lanes from top to bottom; unknown ones follow in order of appearance.
LANES = ("sandbox", "phase", "restart", "run", "broken")

_TICKS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_PHASES = ("misconfigured", "dual-read", "offload", "inline")
_CHAR_PX = 6.3
_GAP_PX = 6.0
_LEAST_BAR_PX = 3.0
_LANE_CHARS = 11


@dataclass(frozen=True)
class Bar:
    """One span, placed. ``left`` and ``width`` are percent of the plot; ``row`` counts from 0 over the whole chart.

    ``text_at`` is where the label goes: ``inside`` the bar, ``after`` it, or ``before`` it. ``kind`` is a style:
    the lane, and for phases the phase.
    """

    kind: str
    label: str
    tooltip: str
    left: float
    width: float
    row: int
    text_at: str


@dataclass(frozen=True)
class Lane:
    """One lane: its name, its first row and how many rows it has."""

    name: str
    first_row: int
    rows: int


@dataclass(frozen=True)
class Tick:
    """One mark on the seconds axis; ``left`` in percent."""

    label: str
    left: float


@dataclass(frozen=True)
class Chart:
    """A laid-out timeline."""

    lanes: tuple[Lane, ...]
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    broken: tuple[tuple[float, float], ...]
    rows: int


def lay_out(spans: Iterable[Span], *, plot_px: float, ticks: int) -> Chart | None:
    """Place the spans for a plot at least ``plot_px`` wide with about ``ticks`` marks; None if there is nothing to place.

    Labels stand inside their bar where they fit, else beside it; labels and bars never overlap in a plot that is
    ``plot_px`` wide or wider. Spans with times that are no numbers are left out; negative ones are cut at 0.
    """
    usable = [span for span in spans if math.isfinite(span.start_s) and math.isfinite(span.end_s) and span.end_s >= 0]
    if not usable:
        return None
    total = max(max(span.end_s for span in usable), 1.0)
    names = [*LANES, *dict.fromkeys(span.lane for span in usable if span.lane not in LANES)]
    lanes: list[Lane] = []
    bars: list[Bar] = []
    row = 0
    for name in names:
        mine = sorted((span for span in usable if span.lane == name), key=lambda span: (span.start_s, -span.end_s))
        if not mine:
            continue
        ends: list[float] = []
        for span in mine:
            bar, begins, stops = _place(span, total, plot_px)
            free = next((index for index, end in enumerate(ends) if begins >= end), len(ends))
            if free == len(ends):
                ends.append(0.0)
            ends[free] = stops
            bars.append(Bar(*bar[:5], row=row + free, text_at=bar[5]))
        lanes.append(Lane(_cut(name, _LANE_CHARS), row, len(ends)))
        row += len(ends)
    broken = tuple((bar.left, bar.width) for bar in bars if bar.kind == "broken")
    return Chart(tuple(lanes), tuple(bars), tuple(_ticks(total, ticks)), broken, row)


def describe(spans: Iterable[Span]) -> str:
    """The timeline in one sentence, for those who do not see it."""
    spans = [span for span in spans if math.isfinite(span.start_s) and math.isfinite(span.end_s)]
    total = max((span.end_s for span in spans), default=0.0)
    parts = [
        f"{span.label} from {units.seconds(span.start_s)} to {units.seconds(span.end_s)}"
        for span in spans
        if span.lane in ("phase", "broken")
    ]
    return f"Timeline of {units.seconds(total)}. " + ("; ".join(parts) + "." if parts else "No phase was reached.")


def _place(span: Span, total: float, plot_px: float) -> tuple[tuple[str, str, str, float, float, str], float, float]:
    start, end = max(0.0, span.start_s), max(span.start_s, span.end_s, 0.0)
    px = plot_px / total
    left_px, width_px = start * px, max((end - start) * px, _LEAST_BAR_PX)
    left_px = min(left_px, plot_px - width_px)
    right_px = left_px + width_px
    label = _cut(span.label, int((plot_px * 0.6) / _CHAR_PX))
    text_px = len(label) * _CHAR_PX
    begins, stops, text_at = left_px, right_px + 2, "inside"
    if text_px + 2 * _GAP_PX > width_px:
        if right_px + _GAP_PX + text_px <= plot_px:
            text_at, stops = "after", right_px + 2 * _GAP_PX + text_px
        elif left_px - _GAP_PX - text_px >= 0:
            text_at, begins = "before", left_px - _GAP_PX - text_px
        else:
            label = _cut(label, max(1, int((width_px - 2 * _GAP_PX) / _CHAR_PX)))
    tooltip = (
        f"{span.lane}: {span.label}\n{units.seconds(span.end_s - span.start_s)}, "
        f"from {units.seconds(start)} to {units.seconds(end)}"
    )
    placed = (
        _kind(span),
        label,
        tooltip,
        round(100 * left_px / plot_px, 3),
        round(100 * width_px / plot_px, 3),
        text_at,
    )
    return placed, begins, stops


def _kind(span: Span) -> str:
    if span.lane == "phase":
        return next((f"phase-{phase}" for phase in _PHASES if phase in span.label.lower()), "phase")
    return span.lane if span.lane in LANES else "other"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(0, most - 1)].rstrip() + "…"


def _ticks(total: float, wanted: int) -> Iterable[Tick]:
    step = next((step for step in _TICKS_S if total / step <= wanted), None) or math.ceil(total / wanted / 3600) * 3600
    at = 0
    while at <= total:
        yield Tick(f"{at} s", round(100 * at / total, 3))
        at += step
