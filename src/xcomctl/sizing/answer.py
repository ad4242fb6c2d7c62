"""What was counted, as the answer that travels: quantiles, histogram, effects of thresholds, suggestions, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.model.size import Bin, Effect, Floor, Interval, Quantile, Sampled, Window
from xcomctl.model.size_bounds import QUANTILES, READ_REQUESTS, WINDOWS_DAYS, WRITE_REQUESTS
from xcomctl.sizing import intervals, suggest
from xcomctl.sizing.doubt import Near
from xcomctl.sizing.measure import Measured
from xcomctl.sizing.sizes import Above


@dataclass(frozen=True)
class Summary:
    """What is read from :class:`Measured`. ``exact``: the database's figures are the backend's own (2.x)."""

    found: Measured
    floor: Floor
    exact: bool

    def suggested(self, quantile: float) -> tuple[int, ...]:
        """The thresholds that are suggested."""
        return tuple(
            each.threshold for each in suggest.suggestions(self.found.sizes, quantile, self.floor, self._effect)
        )

    def fields(self, quantile: float, thresholds: Sequence[int], resolved: Optional[int]) -> dict[str, Any]:
        """Fields of a :class:`~xcomctl.model.size.SizeAnswer` that follow from the counts."""
        found, sizes = self.found, self.found.sizes
        suggestions = suggest.suggestions(sizes, quantile, self.floor, self._effect)
        suggested = suggestions[0].threshold if suggestions else None
        asked = list(dict.fromkeys([*thresholds, *([] if resolved is None else [resolved])]))
        quantiles = dict.fromkeys(sorted({*QUANTILES, quantile}))
        return {
            "values": self._scaled(sizes.values),
            "bytes": self._scaled(sizes.bytes),
            "inline": self._scaled(found.inline),
            "inline_bytes": self._scaled(found.inline_bytes),
            "smallest": sizes.smallest,
            "largest": sizes.largest,
            "nulls": self._scaled(found.nulls),
            "pickled": self._scaled(found.pickled),
            "pickled_bytes": self._scaled(found.pickled_bytes),
            "floor": self.floor,
            "quantiles": tuple(self._quantile(q) for q in quantiles) if sizes.values else (),
            "histogram": tuple(self._bin(each) for each in sizes.histogram()),
            "curve": tuple(self._bin(each) for each in sizes.curve()),
            "top_bytes": found.places.by_bytes(suggested or self.floor.bytes),
            "top_above": found.places.by_above(suggested or self.floor.bytes),
            "windows": self._windows(),
            "thresholds": tuple(self._effect(each) for each in asked),
            "suggestions": suggestions,
            "suggested": suggested,
            "accuracy": found.accuracy,
            "offloaded": found.offloaded,
        }

    def sampled(self, share: Optional[float], method: str) -> Optional[Sampled]:
        """How a sample was drawn, with the intervals of the totals; ``None`` where everything was read."""
        if share is None:
            return None
        found = self.found
        values, total = found.sizes.in_groups()
        return Sampled(
            share=share,
            method=method,
            rows=found.inline + found.nulls + found.pickled + found.references,
            groups=intervals.GROUPS,
            values=intervals.of_total(values, share),
            bytes=intervals.of_total(total, share),
        )

    def _scaled(self, count: float) -> int:
        return round(count / self.found.share)

    def _bin(self, each: Bin) -> Bin:
        return Bin(each.low, each.high, self._scaled(each.values), self._scaled(each.bytes))

    def _quantile(self, q: float) -> Quantile:
        sizes = self.found.sizes
        size = sizes.quantile(q)
        if self.found.share == 1:
            return Quantile(q, size)
        up_to, _ = sizes.in_groups(high=size + 1)
        everything, _ = sizes.in_groups()
        return Quantile(q, size, intervals.of_quantile(q, up_to, everything, sizes.quantile))

    def _windows(self) -> tuple[Window, ...]:
        everything, span = self.found.sizes.above(0), self.found.span_days
        counted = zip(WINDOWS_DAYS, everything.recent, everything.recent_bytes)
        known = [each for each in counted if span is None or each[0] <= span]
        if span is not None and span < WINDOWS_DAYS[-1] and (not known or known[-1][0] < span):
            known.append((span, everything.values, everything.bytes))  # type: ignore[arg-type]
        return tuple(Window(days, self._scaled(many), self._scaled(total)) for days, many, total in known)

    def _rates(self, above: Above) -> tuple[float, float, float]:
        """By how many days the figures per day go, and what was pushed in these, in values and bytes: by a week if there is
        anything older, else by a day, or by all that was asked for where that is less."""
        span = self.found.span_days
        if span is not None and span < WINDOWS_DAYS[0]:
            return span, above.values, above.bytes
        everything = self.found.sizes.above(0)
        index = 1 if everything.recent[1] < everything.values else 0
        return WINDOWS_DAYS[index], above.recent[index], above.recent_bytes[index]

    def _effect(self, threshold: int) -> Effect:
        found, sizes = self.found, self.found.sizes
        above, everything = sizes.above(threshold), sizes.above(0)
        near = found.near.get(threshold)
        change = near or Near()
        values, total = above.values + change.values, above.bytes + change.bytes
        days, recent, recent_bytes = self._rates(above)
        per_day = self._scaled(recent) / days
        return Effect(
            threshold=threshold,
            values=self._scaled(values),
            bytes=self._scaled(total),
            uncertain=change.uncertain,
            measured=change.measured,
            share=values / everything.values if everything.values else 0.0,
            bytes_share=min(1.0, total / everything.bytes) if everything.bytes else 0.0,
            offloaded=self._scaled(above.offloaded),
            days=days,
            objects_per_day=per_day,
            bytes_per_day=self._scaled(recent_bytes) / days,
            requests_per_day=per_day * (WRITE_REQUESTS + READ_REQUESTS),
            exact=found.share == 1 and (self.exact or (near is not None and not change.uncertain)),
            below_floor=threshold < self.floor.bytes,
            interval=self._interval(threshold),
        )

    def _interval(self, threshold: int) -> Optional[Interval]:
        if self.found.share == 1:
            return None
        part, _ = self.found.sizes.in_groups(low=threshold)
        return intervals.of_total(part, self.found.share)
