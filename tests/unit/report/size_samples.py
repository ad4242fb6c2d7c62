"""Measurements that hang together: sums of bins are the totals, effects and quantiles follow from the bins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from xcomctl.model.size import (
    AGGRESSIVE,
    MODERATE,
    NEAR_INERT,
    Accuracy,
    Bin,
    Effect,
    Floor,
    Interval,
    Offloaded,
    Place,
    Quantile,
    Sampled,
    SizeAnswer,
    SizeQuery,
    SizeReport,
    Suggestion,
    Window,
)
from xcomctl.model.size_bounds import QUANTILES
from xcomctl.model.verdicts import Check, Status

HOSTILE = "</script><script>alert(1)</script>\" onload='x' | `b` \x1b[31mred \u202egnp"
AT = "2026-11-20T09:12:44+00:00"
STEPS = [0, *(step * 10**power for power in range(8) for step in (1, 2, 5))]
#: Values per step from 0, 1, 2, 5, 10 … bytes to 10 MB: a hump below 1 kB, one at 20 kB, a long tail.
COUNTS = (
    0, 1_210, 48_300, 9_400, 22_800, 61_000, 142_300, 311_400, 268_900, 131_000, 52_200, 21_800, 18_400, 30_700, 21_200,
    8_050, 2_610, 1_480, 802, 2_300, 118, 31,
)  # fmt: skip


def histogram(counts: Sequence[int] = COUNTS) -> tuple[Bin, ...]:
    """Bins of 1, 2, 5, 10 … bytes, from the first to the last with a value."""
    bins = [
        Bin(low, high, count, count * round(math.sqrt(max(low, 1) * high)))
        for (low, high), count in zip(itertools.pairwise(STEPS), counts, strict=False)
    ]
    used = [index for index, each in enumerate(bins) if each.values]
    return tuple(bins[used[0] : used[-1] + 1]) if used else ()


def curve(bins: Sequence[Bin]) -> tuple[Bin, ...]:
    """Finer steps with the same sums; those without a value are missing, as they are in a measurement."""
    fine = []
    for each in bins:
        edges = sorted({each.low, *(round(max(each.low, 1) * (each.high / max(each.low, 1)) ** (part / 5)) for part in range(5)), each.high})  # fmt: skip
        pairs = list(itertools.pairwise(edges))
        for index, (low, high) in enumerate(pairs):
            part = [
                total * (index + 1) // len(pairs) - total * index // len(pairs) for total in (each.values, each.bytes)
            ]
            fine.append(Bin(low, high, *part))
    return tuple(each for each in fine if each.values)


def effect(bins: Sequence[Bin], threshold: int, **more: object) -> Effect:
    """What a threshold does, bins that it cuts counted by the part above it."""
    values, size = 0.0, 0.0
    for each in bins:
        part = min(1.0, max(0.0, (each.high - max(threshold, each.low)) / (each.high - each.low)))
        values, size = values + part * each.values, size + part * each.bytes
    all_values, all_bytes = sum(each.values for each in bins) or 1, sum(each.bytes for each in bins) or 1
    per_day = values / 60
    found = Effect(
        threshold=threshold, values=round(values), bytes=round(size), uncertain=0, measured=0, share=values / all_values,
        bytes_share=size / all_bytes, offloaded=0, days=30, objects_per_day=round(per_day, 2), bytes_per_day=round(size / 60, 1),
        requests_per_day=round(6 * per_day, 2), exact=True,
    )  # fmt: skip
    return replace(found, **more)  # type: ignore[arg-type]


def suggestions(bins: Sequence[Bin], change: Callable[[Effect], Effect] = lambda each: each) -> tuple[Suggestion, ...]:
    """Three of them, as a production would get."""
    return tuple(
        Suggestion(name, threshold, reason, change(effect(bins, threshold)))
        for name, threshold, reason in (
            (NEAR_INERT, 1_600_000, "just above p99.9: almost nothing moves, and what moves is what weighs"),
            (MODERATE, 250_000, "takes 90 % of the bytes out of the database with the fewest objects"),
            (AGGRESSIVE, 50_000, "what is smaller weighs less than the requests that it would cost"),
        )
    )


def quantiles(bins: Sequence[Bin]) -> tuple[Quantile, ...]:
    """Where the quantiles lie, values spread evenly in their step."""
    values = sum(each.values for each in bins)
    found = []
    for q in QUANTILES:
        below = 0
        for each in bins:
            if below + each.values >= q * values:
                found.append(Quantile(q, each.low + int((each.high - each.low) * (q * values - below) / each.values)))
                break
            below += each.values
    return tuple(found) if values else ()


CHECKS = (
    Check("metadata_json_strings", "metadata", "no inline string would be parsed as JSON", Status.FAIL,
          "14 inline strings (in 3 unfinished runs) that the backend would parse as JSON, expected none: their readers get another type",
          "let the task return the value itself instead of JSON text", data={"count": 14}),
    Check("metadata_own_paths", "metadata", "no task's own string lies under the base path", Status.OK,
          "no inline string lies under s3://aws_default@artifacts/xcom", data={"count": 0}),
    Check("size_fits_only_in_store", "metadata", "every offloaded value fits the column", Status.SKIP,
          "3 objects could not be read: the store did not answer", "xcomctl refs --dangling"),
)  # fmt: skip

PLACES = (
    Place("diagnostic__s42", "discriminate_cell", "return_value", 9_120, 4_410_000_000, 9_411_204, 940, 1_900_000_000),
    Place("billing_export", "collect_invoices", "return_value", 88_200, 1_930_000_000, 6_020_117, 118, 402_000_000),
    Place("crypto_group", "load", "frames", 20_400, 702_000_000, 1_102_004, 0, 0),
)


def answer(counts: Sequence[int] = COUNTS) -> SizeAnswer:
    """What a 2.x production would answer."""
    bins = histogram(counts)
    values, size = sum(each.values for each in bins), sum(each.bytes for each in bins)
    return SizeAnswer(
        at=AT, airflow="2.11.2", line="2", dialect="postgresql", phase="inline", base_path=None, threshold=None, exact=True, values=values, bytes=size,
        inline=values, inline_bytes=size, smallest=1, largest=9_411_204, nulls=412, pickled=0, pickled_bytes=0,
        table_bytes=6_120_000_000, database_bytes=14_800_000_000, floor=Floor(10_000, 1_204, "branching.pick"),
        quantiles=quantiles(bins), histogram=bins, curve=curve(bins), top_bytes=PLACES, top_above=PLACES[:2],
        windows=(Window(1, 21_004, 211_000_000), Window(7, 150_111, 1_440_000_000), Window(30, 660_402, 6_200_000_000)),
        thresholds=(effect(bins, 1_000_000), effect(bins, 2_000, below_floor=True)), suggestions=suggestions(bins),
        suggested=1_600_000, statements=6, seconds=41.7,
    )  # fmt: skip


def _report(found: SizeAnswer, query: SizeQuery = SizeQuery(), **more: object) -> SizeReport:  # noqa: B008 (frozen)
    report = SizeReport(
        at=AT, verdict="ok", exit_code=0, context="scheduler", deployment="prod", query=query.to_json(), answer=found,
        next_steps=("xcomctl rehearse --threshold 1600000", "xcomctl decide --out docs/decisions/offload.md"),
    )  # fmt: skip
    return replace(report, **more)  # type: ignore[arg-type]


def typical() -> SizeReport:
    """A plausible 2.x production; pre-flight's checks were run at the same time."""
    return _report(
        answer(), SizeQuery(thresholds=(1_000_000, 2_000)), checks=CHECKS[:2], checks_at=AT, checks_from="this measurement",
        verdict="warnings", exit_code=4,
    )  # fmt: skip


def uncertain() -> SizeReport:
    """3.x: the database's sizes are near the backend's, and some values are too near a threshold to tell."""
    found = answer()

    def near(each: Effect) -> Effect:
        return replace(each, exact=False, uncertain=3, measured=212)

    accuracy = Accuracy(
        1_000, 968, 0.981, 1.42, 1.0031, 2,
        ("Text that is not ASCII is stored in fewer bytes than the backend counts: up to 3 times fewer.",
         "The database writes numbers in its own way: a float may be longer or shorter."),
    )  # fmt: skip
    return _report(
        replace(
            found, line="3", exact=False, phase="dual-read", suggestions=suggestions(found.histogram, near),
            thresholds=(near(found.thresholds[0]),), accuracy=accuracy, nulls=0,
            warnings=("2 values could not be decoded: they count as large as the database says",),
        ),
        SizeQuery(since="2026-11-01T00:00:00+00:00", dag_id="diagnostic__s42", states=("success", "running"), thresholds=(1_000_000,)),
        verdict="inconclusive", exit_code=5, deployment=None, checks=CHECKS, checks_at=AT, checks_from="this measurement",
    )  # fmt: skip


def sampled() -> SizeReport:
    """A sample of 5 %, asked of a replica."""
    found = answer()

    def bounded(each: Effect) -> Effect:
        return replace(each, interval=Interval(each.values * 0.9, each.values * 1.1))

    known = tuple(
        replace(each, interval=Interval(each.bytes * 0.96, each.bytes * 1.05 if each.q < 0.9999 else None))
        for each in found.quantiles
    )
    return _report(
        replace(
            found, quantiles=known, suggestions=suggestions(found.histogram, bounded),
            thresholds=tuple(bounded(each) for each in found.thresholds[:1]),
            top_bytes=tuple(replace(each, estimated=index != 1) for index, each in enumerate(PLACES)),
            sampled=Sampled(0.05, "pages of the table", 57_704, 20, Interval(1_121_000, 1_187_000), Interval(5.1e9, 5.9e9)),
        ),
        SizeQuery(sample=0.05, database_url="postgresql://airflow@replica-1/airflow", timeout_s=120.0),
    )  # fmt: skip


def offloaded() -> SizeReport:
    """A deployment that offloads already."""
    found = answer()
    there = Offloaded(1_402, 3_050_000_000, 9_411_204, 40, 2, 0)
    now = tuple(replace(each, effect=replace(each.effect, offloaded=1_300)) for each in found.suggestions)
    return _report(
        replace(
            found, phase="offload", base_path="s3://aws_default@artifacts/xcom", threshold=1_000_000, offloaded=there, inline=found.values - 1_360,
            inline_bytes=found.bytes - 2_980_000_000, suggestions=now, thresholds=found.thresholds[:1], pickled=7, pickled_bytes=18_200,
        ),
        checks=CHECKS[1:2], checks_at="2026-11-18T07:00:00+00:00", checks_from="a pre-flight in the journal",
    )  # fmt: skip


def empty() -> SizeReport:
    """A table without a value."""
    found = replace(
        answer(()), smallest=None, largest=None, top_bytes=(), top_above=(), floor=Floor(10_000, 0), thresholds=(),
        suggestions=(), suggested=None, windows=(Window(1, 0, 0), Window(7, 0, 0), Window(30, 0, 0)), nulls=3,
        table_bytes=49_152, database_bytes=None,
    )  # fmt: skip
    return _report(found, verdict="inconclusive", exit_code=5, next_steps=(), deployment=None)


def one() -> SizeReport:
    """A table with one value of 42 bytes."""
    bins = (Bin(20, 50, 1, 42),)
    place = Place("hello", "say", "return_value", 1, 42, 42, 0, 0)
    found = replace(
        answer((0,) * 6 + (1,)), values=1, bytes=42, inline=1, inline_bytes=42, smallest=42, largest=42, histogram=bins,
        curve=(Bin(42, 47, 1, 42),), quantiles=tuple(Quantile(q, 42) for q in QUANTILES), top_bytes=(place,), top_above=(),
        windows=(Window(1, 1, 42),), nulls=0, thresholds=(), suggested=10_000, floor=Floor(10_000, 0), database_bytes=None,
        suggestions=(Suggestion(NEAR_INERT, 10_000, "the floor: every value is smaller", replace(
            effect(bins, 10_000), objects_per_day=0.0, requests_per_day=0.0)),),
    )  # fmt: skip
    return _report(found, deployment=None)


def hostile() -> SizeReport:
    """Texts from outside that want to be markup, commands to a terminal, or just very long; and a password."""
    found = answer()
    place = Place(f"d{HOSTILE}", f"t\n{HOSTILE}", HOSTILE, 9, 900, 100, 1, 100)
    long = Place("very_" * 400, "long_" * 50, "return_value", 9, 900, 100, 1, 100, estimated=True)
    check = Check("metadata_json_strings", f"c{HOSTILE}", HOSTILE, Status.FAIL, f"{HOSTILE} password=hunter2", HOSTILE, data={"count": HOSTILE})  # fmt: skip
    bad = replace(found.suggestions[1], name=HOSTILE, reason=HOSTILE)
    return _report(
        replace(
            found, top_bytes=(place, long), top_above=(long, place), suggestions=(found.suggestions[0], bad), phase=HOSTILE,
            floor=Floor(10_000, 2_000, HOSTILE), warnings=(HOSTILE,), dialect=HOSTILE, line=HOSTILE,
            offloaded=Offloaded(1, 1, 1, 0, 0, 1, HOSTILE),
            accuracy=Accuracy(1, 1, 1.0, 1.0, 1.0, 0, (HOSTILE,)),
        ),
        SizeQuery(database_url="postgresql://airflow:hunter2@replica/airflow", dag_id=HOSTILE, since=HOSTILE, states=(HOSTILE,)),
        context=HOSTILE, deployment=HOSTILE, checks=(check,), checks_at=HOSTILE, checks_from=HOSTILE,
        next_steps=(HOSTILE, "xcomctl decide --password hunter2"), verdict=HOSTILE,
    )  # fmt: skip


ALL = {
    "typical": typical, "uncertain": uncertain, "sampled": sampled, "offloaded": offloaded, "empty": empty, "one": one,
}  # fmt: skip
