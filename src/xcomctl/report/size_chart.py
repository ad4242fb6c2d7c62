"""The distribution of sizes drawn as SVG: bars per step, two cumulative curves, thresholds marked. Pure functions.

Sizes run along a logarithmic axis, in percent of the plot's width; what a plot needs in pixels is only where its words go.
The vertical axis is a share, of the values and of their bytes, for bars and curves alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from xcomctl.model.redaction import redact
from xcomctl.model.size import Bin, SizeAnswer
from xcomctl.report import units
from xcomctl.report.text import printable

#: Who reads the chart without seeing it, or without colours, finds the same words in the legend.
VALUES, BYTES = "values of at most this size", "their bytes"

_CHAR_PX = 6.4
_GAP_PX = 5.0
_TICK_PX = 52.0
_ROW_PX = 17
_AXIS_PX = 24
_NAME_CHARS = 24
_SHARES = (0, 25, 50, 75, 100)
_LEAST_BAR = 0.4

_LIGHT = {
    "text": "fill:#1c2128", "soft": "fill:#57606a", "halo": "stroke:#ffffff", "sheet": "fill:#ffffff", "grid": "stroke:#e3e7ec",
    "values-line": "stroke:#0b62c4", "values-bar": "fill:#a9cdf2", "values-text": "fill:#0b5cb8",
    "bytes-line": "stroke:#b35900", "bytes-bar": "fill:#f3cb9b", "bytes-text": "fill:#9a4b00",
    "mark": "stroke:#6b7480", "suggested": "stroke:#c01f2b", "suggested-text": "fill:#b01b26", "floor": "stroke:#9aa3ad",
    "cursor": "stroke:#1c2128",
}  # fmt: skip
_DARK = {
    "text": "fill:#e4e9ef", "soft": "fill:#98a2ae", "halo": "stroke:#151a21", "sheet": "fill:#151a21", "grid": "stroke:#2a323c",
    "values-line": "stroke:#6cb2ff", "values-bar": "fill:#24476b", "values-text": "fill:#7dbaff",
    "bytes-line": "stroke:#f0a24a", "bytes-bar": "fill:#5c4320", "bytes-text": "fill:#f3ad5e",
    "mark": "stroke:#8b95a1", "suggested": "stroke:#ff7d76", "suggested-text": "fill:#ff8f88", "floor": "stroke:#5f6975",
    "cursor": "stroke:#e4e9ef",
}  # fmt: skip
_STYLE = """.xd text{font-size:12px;font-variant-numeric:tabular-nums}.xd .soft{font-size:11px}
.xd .halo{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}.xd .hit{fill:transparent}
.xd path,.xd .line{fill:none;vector-effect:non-scaling-stroke}.xd .grid{stroke-width:1}
.xd .values-line,.xd .bytes-line{stroke-width:2;stroke-linejoin:round}.xd .bytes-line{stroke-dasharray:6 3}
.xd .mark{stroke-width:1}.xd .floor{stroke-dasharray:2 3}.xd .suggested{stroke-width:2}.xd .suggested-text{font-weight:600}
.xd .cursor{stroke-width:1;visibility:hidden}.xd .cursor.on{visibility:visible}"""


@dataclass(frozen=True)
class Point:
    """The start of a step of the curve: what is below ``size`` bytes, and what is not; ``left`` in percent.

    ``below`` and ``below_bytes`` are shares in [0, 1] of ``values`` and ``bytes`` in all; ``above`` and ``above_bytes``
    are how many have at least that size.
    """

    size: int
    left: float
    below: float
    below_bytes: float
    above: int
    above_bytes: int


@dataclass(frozen=True)
class Bar:
    """One step of the histogram: ``left`` and ``width`` in percent, shares in [0, 1], and its figures in words."""

    left: float
    width: float
    share: float
    bytes_share: float
    tooltip: str


@dataclass(frozen=True)
class Mark:
    """A threshold: ``left`` in percent, its label, the row of that from the top, and whether it stands left of its line.

    ``kind`` is a style: ``suggested``, ``mark`` or ``floor``.
    """

    kind: str
    threshold: int
    label: str
    left: float
    row: int
    before: bool


@dataclass(frozen=True)
class Chart:
    """A laid-out distribution; ``ticks`` are labels (empty between two that have one) and where, in percent."""

    bars: tuple[Bar, ...]
    points: tuple[Point, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[tuple[str, float], ...]
    rows: int


def lay_out(answer: SizeAnswer, *, plot_px: float, chosen: int | None = None) -> Chart | None:
    """Place the distribution for a plot at least ``plot_px`` wide; None where no value has a size.

    ``chosen`` is a threshold (bytes) that is marked besides the measurement's own.
    """
    bars = tuple(each for each in answer.histogram if each.high > each.low)
    steps = tuple(each for each in answer.curve or bars if each.high > each.low and each.values > 0)
    if not steps:
        return None
    marked = _thresholds(answer, chosen)
    sizes = [each.low for each in (*steps, *bars)] + [threshold for threshold, _, _ in marked]
    ends = [each.high for each in (*steps, *bars)] + [threshold for threshold, _, _ in marked]
    first = math.floor(math.log10(max(1, min(sizes))))
    last = max(math.ceil(math.log10(max(1, *ends)) - 1e-9), first + 1)

    def left(size: float) -> float:
        place = 100 * (math.log10(max(1.0, size)) - first) / (last - first)
        return round(min(100.0, max(0.0, place)), 3)

    values, total = _totals(bars)
    every = next(step for step in (1, 2, 3, 6, 12) if plot_px * step / (last - first) >= _TICK_PX or step == 12)
    ticks = tuple(
        (_exact(10**power) if (power - first) % every == 0 else "", left(10**power)) for power in range(first, last + 1)
    )
    marks = _place(marked, left, plot_px)
    return Chart(
        bars=tuple(_bar(each, left, values, total, approximate=answer.sampled is not None) for each in bars),
        points=tuple(_points(steps, left)),
        marks=marks,
        ticks=ticks,
        rows=1 + max((mark.row for mark in marks), default=-1),
    )


def _totals(bins: Iterable[Bin]) -> tuple[int, int]:
    bins = tuple(bins)
    return max(1, sum(each.values for each in bins)), max(1, sum(each.bytes for each in bins))


def _bar(step: Bin, left: Callable[[float], float], values: int, total: int, *, approximate: bool) -> Bar:
    begins = left(step.low)
    about = "~" if approximate else ""
    tooltip = (
        f"{units.size(step.low)} to {units.size(step.high)}\n{about}{units.count(step.values, 'value')}, "
        f"{about}{units.size(step.bytes)}"
    )
    return Bar(begins, round(left(step.high) - begins, 3), step.values / values, step.bytes / total, tooltip)


def _points(steps: Sequence[Bin], left: Callable[[float], float]) -> Iterable[Point]:
    """A point at both ends of each step: where steps are missing the curve is level."""
    values, total = _totals(steps)
    below, below_bytes, reached = 0, 0, -1

    def point(size: int) -> Point:
        above, above_bytes = values - below, max(0, total - below_bytes)
        return Point(size, left(size), below / values, min(1.0, below_bytes / total), above, above_bytes)

    for step in sorted(steps, key=lambda each: each.low):
        if step.low != reached:
            yield point(step.low)
        below, below_bytes, reached = below + step.values, below_bytes + step.bytes, step.high
        yield point(step.high)


def _thresholds(answer: SizeAnswer, chosen: int | None = None) -> list[tuple[int, str, str]]:
    """What is marked: the threshold, what it is called, its style. One that has several names is marked once."""
    names: dict[int, list[str]] = {}
    for each in answer.suggestions:
        names.setdefault(each.threshold, []).append(_cut(printable(redact(each.name))))
    if answer.suggested is not None:
        names.setdefault(answer.suggested, []).insert(0, "suggested")
    if chosen is not None and chosen not in names:
        names[chosen] = ["chosen"]
    if answer.threshold is not None and answer.threshold > 0:
        names.setdefault(answer.threshold, []).append("now")
    if answer.floor.bytes > 0:
        names.setdefault(answer.floor.bytes, []).append("floor")

    def kind(threshold: int) -> str:
        if threshold == answer.suggested:
            return "suggested"
        return "floor" if names[threshold] == ["floor"] else "mark"

    return [(threshold, ", ".join(names[threshold]), kind(threshold)) for threshold in sorted(names) if threshold > 0]


def _place(marked: Sequence[tuple[int, str, str]], left: Callable[[float], float], plot_px: float) -> tuple[Mark, ...]:
    """Labels in rows so that none overlaps another, and no line runs through one as long as there is room for that.

    From right to left: a label stands right of its line where it ends before the next line, else left of it, and below
    every label that its line would run through.
    """
    placed: list[Mark] = []
    taken: list[tuple[int, float, float]] = []
    edge = plot_px
    for threshold, name, kind in reversed(marked):
        at, size = left(threshold) * plot_px / 100, _exact(threshold)
        names = (f"{name} {size}", f"{name.partition(', ')[0]} {size}", size)
        label = next((each for each in names if _text_px(each) <= max(at, plot_px - at)), size)
        wide = _text_px(label)
        before = at + wide > edge and (at >= wide or at + wide > plot_px)
        begins, ends = (at - wide, at) if before else (at, at + wide)
        row = 1 + max((row for row, start, stop in taken if start < ends and stop > begins), default=-1)
        taken.append((row, begins, ends))
        placed.append(Mark(kind, threshold, label, left(threshold), row, before))
        edge = at
    return tuple(reversed(placed))


def _text_px(label: str) -> float:
    return len(label) * _CHAR_PX + 2 * _GAP_PX


def _exact(size: int) -> str:
    """``10 kB`` for what is just that, where another size is ``10.0 kB``."""
    said = units.size(size)
    return said.replace(".0 ", " ") if len(str(size).rstrip("0")) <= 2 else said


def _cut(text: str) -> str:
    return text if len(text) <= _NAME_CHARS else text[: _NAME_CHARS - 1] + "…"


def describe(answer: SizeAnswer, chosen: int | None = None) -> str:
    """The distribution in one sentence, for those who do not see it; ``chosen`` as in :func:`lay_out`."""
    points = ", ".join(f"{100 * each.q:.8g} % are at most {units.size(each.bytes)}" for each in answer.quantiles)
    marked = ", ".join(f"{name} {_exact(threshold)}" for threshold, name, _ in _thresholds(answer, chosen))
    return (
        f"Distribution of {units.count(answer.values, 'value')}, {units.size(answer.bytes)}."
        + (f" {points}." if points else "")
        + (f" Marked: {marked}." if marked else "")
    )


def height(chart: Chart, plot: int) -> int:
    """The height in pixels of a chart that is drawn with a plot of so many."""
    return chart.rows * _ROW_PX + 6 + plot + _AXIS_PX


def style(*, dark: bool = True) -> str:
    """The rules of style of what :func:`draw` draws; with ``dark`` those for a dark screen too."""
    light = "".join(f".xd .{name}{{{rule}}}" for name, rule in _LIGHT.items())
    night = "".join(f".xd .{name}{{{rule}}}" for name, rule in _DARK.items())
    return f"{_STYLE}\n{light}\n" + (f"@media screen and (prefers-color-scheme:dark){{{night}}}\n" if dark else "")


def draw(chart: Chart, *, plot: int) -> str:
    """The marks of an SVG with a plot ``plot`` pixels high, as wide as what it is put into; names left of the plot."""
    top = chart.rows * _ROW_PX + 6
    bottom = top + plot
    parts: list[str] = []
    for share in _SHARES:
        y = bottom - plot * share / 100
        parts.append(f'<line class="grid" x1="0" x2="100%" y1="{y:g}" y2="{y:g}"/>')
        parts.append(f'<text class="soft" x="-7" y="{y + 4:g}" text-anchor="end">{share} %</text>')
    for index, (label, at) in enumerate(chart.ticks):
        parts.append(f'<line class="grid" x1="{at}%" x2="{at}%" y1="{top}" y2="{bottom + (5 if label else 0)}"/>')
        if label:
            anchor = "start" if index == 0 else "end" if index == len(chart.ticks) - 1 else "middle"
            parts.append(
                f'<text class="soft" x="{at}%" y="{bottom + 18}" text-anchor="{anchor}">{escape(label)}</text>'
            )
    for bar in chart.bars:
        for offset, kind, share_of in ((0.06, "values-bar", bar.share), (0.5, "bytes-bar", bar.bytes_share)):
            if share_of > 0:
                tall = max(100 * share_of, _LEAST_BAR) * plot / 100
                parts.append(
                    f'<rect class="{kind}" x="{bar.left + offset * bar.width:.3f}%" width="{0.44 * bar.width:.3f}%" '
                    f'y="{bottom - tall:.2f}" height="{tall:.2f}"/>'
                )
    parts.append(
        f'<svg y="{top}" width="100%" height="{plot}" viewBox="0 0 1000 1000" preserveAspectRatio="none" overflow="visible">'
        f'<path class="values-line" d="{_path(chart.points, lambda point: point.below)}"/>'
        f'<path class="bytes-line" d="{_path(chart.points, lambda point: point.below_bytes)}"/></svg>'
    )
    for mark in chart.marks:
        y = mark.row * _ROW_PX + 2
        parts.append(f'<line class="{mark.kind}" x1="{mark.left}%" x2="{mark.left}%" y1="{y}" y2="{bottom}"/>')
    for mark in chart.marks:
        gap, anchor = (-_GAP_PX, "end") if mark.before else (_GAP_PX, "start")
        words = "suggested-text" if mark.kind == "suggested" else "text"
        parts.append(
            f'<text class="{words} halo" x="{mark.left}%" dx="{gap:g}" y="{mark.row * _ROW_PX + 13}" '
            f'text-anchor="{anchor}">{escape(mark.label)}</text>'
        )
    for bar in chart.bars:
        parts.append(
            f'<rect class="hit" x="{bar.left}%" width="{bar.width}%" y="{top}" height="{plot}">'
            f"<title>{escape(bar.tooltip)}</title></rect>"
        )
    parts.append(f'<line class="cursor" x1="0" x2="0" y1="{top}" y2="{bottom}"/>')
    return "\n".join(parts)


def _path(points: Sequence[Point], share: Callable[[Point], float]) -> str:
    """From one edge of the plot to the other: nothing is smaller than the first point, or larger than the last."""
    places = [(0.0, 0.0), *((point.left, share(point)) for point in points), (100.0, share(points[-1]))]
    return "M" + "L".join(f"{10 * left:.1f} {1000 - 1000 * part:.2f}" for left, part in places)


def standalone_svg(answer: SizeAnswer, chosen: int | None = None) -> str:
    """The distribution as an SVG file of its own, light or dark as the reader's screen is; ``chosen`` as in :func:`lay_out`."""
    left, right, top, plot, wide = 58, 22, 62, 280, 880
    chart = lay_out(answer, plot_px=wide - left - right, chosen=chosen)
    title = "How large the XComs are" if chart else "No XCom has a value whose size is known"
    tall = top + height(chart, plot) + 8 if chart else 60
    inner = ""
    if chart:
        inner = (
            f'<line class="line values-line" x1="{left}" x2="{left + 26}" y1="46" y2="46"/>'
            f'<text class="values-text" x="{left + 33}" y="50">{VALUES}</text>'
            f'<line class="line bytes-line" x1="{left + 230}" x2="{left + 256}" y1="46" y2="46"/>'
            f'<text class="bytes-text" x="{left + 263}" y="50">{BYTES}</text>\n'
            f'<svg x="{left}" y="{top}" width="{wide - left - right}" height="{height(chart, plot)}" overflow="visible">\n'
            f"{draw(chart, plot=plot)}\n</svg>\n"
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="xd" width="{wide}" height="{tall}" viewBox="0 0 {wide} {tall}" '
        "role=\"img\" font-family=\"system-ui, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif\">\n"
        f"<title>{escape(describe(answer, chosen))}</title>\n<style>{style()}</style>\n"
        f'<rect class="sheet" width="{wide}" height="{tall}" rx="6"/>\n'
        f'<text class="text" x="16" y="26" font-weight="600">{title}</text>\n{inner}</svg>\n'
    )
