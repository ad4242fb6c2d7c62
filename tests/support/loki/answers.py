"""How Loki writes what it says: streams with their values, and durations of Go and of Prometheus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.loki.store import Entry, Stream

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


def streams_of(chosen: Sequence[tuple[Stream, Entry]], categorized: bool) -> list[dict[str, Any]]:
    """The result of a range query: values by stream; structured metadata is among the labels unless it is asked for apart."""
    result: dict[tuple[int, tuple[tuple[str, str], ...]], list[list[Any]]] = {}
    streams: dict[int, Stream] = {}
    for stream, (at_ns, line, metadata) in chosen:
        streams[id(stream)] = stream
        value: list[Any] = [str(at_ns), line]
        if categorized:
            value.append({"structuredMetadata": dict(metadata)} if metadata else {})
        result.setdefault((id(stream), () if categorized else metadata), []).append(value)
    return [
        {"stream": labels_of(streams[number].labels, metadata), "values": values}
        for (number, metadata), values in result.items()
    ]


def labels_of(labels: Mapping[str, str], metadata: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Both together."""
    return {**labels, **dict(metadata)}


def go_duration(length_ns: int) -> str:
    """As ``time.Duration`` prints it: ``744h0m0s``."""
    seconds, rest = divmod(length_ns, _SECOND_NS)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    if hours:
        return f"{hours}h{minutes}m{seconds}{fraction}s"
    return f"{minutes}m{seconds}{fraction}s" if minutes else f"{seconds}{fraction}s"


def prometheus_duration(length_ns: int) -> str:
    """As ``model.Duration`` prints it, in milliseconds at the finest: ``30d1h``."""
    left = length_ns // 1_000_000
    text = ""
    for unit, ms in (("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000),
                     ("m", 60_000), ("s", 1000), ("ms", 1)):  # fmt: skip
        if unit in ("y", "w") and left % ms:  # only where nothing is left over
            continue
        count, left = divmod(left, ms)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
