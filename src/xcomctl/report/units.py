"""Numbers as people read them. Every renderer formats through this module, so that one figure looks the same everywhere."""

from __future__ import annotations

import math
from datetime import UTC, datetime

#: What stands where a figure was not measured.
NOT_MEASURED = "n/a"


def seconds(value: float | None) -> str:
    """A duration given in seconds: ``8.2 s``, ``42 s``, ``1 min 42 s``, ``1 h 02 min``; ``n/a`` for None or NaN."""
    if value is None or not math.isfinite(value):
        return NOT_MEASURED
    if value <= 0:
        return "0 s"
    whole = round(value)
    if value < 9.95:
        return f"{value:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def ago(value: float) -> str:
    """How long ago something was, given in seconds, in its largest unit: ``42 s``, ``3 min``, ``5 h``, ``12 d``."""
    whole = max(0, int(value))
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= 2 * length or (unit == "d" and whole >= length):
            return f"{whole // length} {unit}"
    return f"{whole} s"


def days(value: float) -> str:
    """A number of days: ``7 days``, ``1 day``, ``2.5 days``; what is less than one in hours: ``12 hours``."""
    if value < 1:
        return count(max(1, round(24 * value)), "hour")
    return f"{value:.3g} day{'' if value == 1 else 's'}"


def elapsed(value: float) -> str:
    """A duration that still runs, in whole seconds gone by: ``8 s``, ``1 min 42 s``."""
    whole = max(0, int(value))
    return f"{whole} s" if whole < 60 else seconds(whole)


def size(value: int | None) -> str:
    """A number of stored bytes in decimal units, as thresholds are written: ``512 B``, ``1.6 MB``; ``n/a`` for None."""
    return NOT_MEASURED if value is None else _scaled(value, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))


def memory(value: int | None) -> str:
    """A number of bytes of memory in binary units: ``3.1 GiB``; ``n/a`` for None."""
    return NOT_MEASURED if value is None else _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def share(value: float) -> str:
    """A share in [0, 1] in percent: ``38.4 %``, ``< 0.001 %``. What is not all is never rounded to that: ``99.987 %``."""
    if not math.isfinite(value):
        return NOT_MEASURED
    percent = 100 * value
    apart = min(percent, 100 - percent)
    if apart <= 0:
        return "0 %" if percent <= 0 else "100 %"
    if percent < 0.001:
        return "< 0.001 %"
    digits = min(6, max(1, 1 - math.floor(math.log10(apart))))
    figure = f"{percent:.{digits}f}".rstrip("0").rstrip(".")
    return "> 99.999999 %" if figure == "100" else f"{figure} %"


def quantile(q: float) -> str:
    """The name of a quantile: ``p50``, ``p99.9``."""
    return f"p{100 * q:.8g}"


def rate(per_day: float) -> str:
    """How many a day: whole from ten on; what is less keeps a digit, and what is less than that is not none."""
    if per_day >= 9.95 or per_day <= 0:
        return number(round(per_day))
    return f"{per_day:.1f}" if per_day >= 0.05 else "< 0.1"


def number(value: int | None) -> str:
    """A whole number with thousands separated: ``1,600,000``; ``n/a`` for None."""
    return NOT_MEASURED if value is None else f"{value:,}"


def count(value: int | None, noun: str, plural: str = "") -> str:
    """A count with its noun: ``1 task``, ``1,200 tasks``, ``no tasks``; ``n/a`` for None.

    ``plural`` is for nouns that do not form it with an ``s``.
    """
    if value is None:
        return NOT_MEASURED
    many = plural or f"{noun}s"
    if value == 0:
        return f"no {many}"
    return f"{value:,} {noun if value == 1 else many}"


def moment(iso: str) -> str:
    """An ISO 8601 moment as ``2026-06-06 03:12:09 UTC``; a text that is not one comes back unchanged."""
    try:
        parsed = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    if parsed.tzinfo is not None:
        parsed = parsed.astimezone(UTC)
    return parsed.strftime("%Y-%m-%d %H:%M:%S UTC")


def between(started: str, finished: str) -> float | None:
    """Seconds between two ISO 8601 moments; None if either is not one, or if they run backwards."""
    try:
        elapsed = (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    except (ValueError, TypeError):
        return None
    return elapsed if elapsed >= 0 else None


def _scaled(value: int, base: int, units: tuple[str, ...]) -> str:
    amount, index = float(abs(value)), 0
    # 999.95 would be printed as 1000.0: it belongs to the next unit.
    while amount >= base - 0.05 and index < len(units) - 1:
        amount, index = amount / base, index + 1
    sign = "-" if value < 0 else ""
    figure = f"{amount:.0f}" if index == 0 or amount >= 99.95 else f"{amount:.1f}"
    return f"{sign}{figure} {units[index]}"
