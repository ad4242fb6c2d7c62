"""A measurement of sizes in words and rows, said once for every renderer.

Texts from outside are printable and without secrets in what :func:`sections` gives; escaping is each renderer's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from xcomctl.model.redaction import redact
from xcomctl.model.size import Effect, Interval, Place, SizeAnswer, SizeReport
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.report import check_words, units
from xcomctl.report.text import printable

#: The section that holds the distribution: a histogram in text, a plot in a page.
DISTRIBUTION = "distribution"
_KEY = "return_value"
_LONGEST_NAME = 250
_WORDS = {
    Verdict.OK: "measured",
    Verdict.WARNINGS: "measured, with warnings",
    Verdict.FAILED: "failed",
    Verdict.INCONCLUSIVE: "inconclusive: something could not be measured",
    Verdict.REFUSED: "refused",
    Verdict.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True)
class Section:
    """A part of what is told: sentences, a table under them, notes under that.

    ``right`` are columns that are aligned there, ``strong`` the row to look at, ``statuses`` a status per row whose first
    cell is it. ``commands`` are to be typed.
    """

    id: str
    title: str
    lines: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    right: tuple[int, ...] = ()
    strong: int | None = None
    statuses: tuple[Status, ...] = ()
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def name(self) -> int:
        """The column that names a row: the first that is aligned on the left."""
        return next(index for index in range(len(self.rows[0])) if index not in self.right)


def headline(report: SizeReport) -> str:
    """Whose XComs, where, when."""
    named = f"{said(report.deployment)}: " if report.deployment else ""
    return f"{named}how large the XComs are, {units.moment(said(report.at))}"


def verdict_line(report: SizeReport) -> str:
    """How it ended, and the threshold that is suggested."""
    verdict = verdict_of(report)
    words = _WORDS[verdict] if verdict else said(report.verdict)
    suggested = report.answer.suggested
    advice = "no threshold is suggested" if suggested is None else f"suggested threshold {_bytes(suggested)}"
    return f"{words} (exit {report.exit_code}): {advice}"


def next_steps(report: SizeReport) -> tuple[str, ...]:
    """Commands to type next."""
    return tuple(said(command) for command in report.next_steps)


def sections(report: SizeReport) -> Iterator[Section]:
    """Everything that was measured, in the order in which it is told."""
    answer = report.answer
    yield Section("what", "", rows=tuple(_what(report)))
    if answer.values:
        yield from _figures(answer)
        yield from _effects(report)
        yield from _places(answer)
        yield from _growth(answer)
    else:
        yield Section("values", "Values", lines=(_nothing(answer),))
    yield from _disk(answer)
    if answer.values:
        yield from _accuracy(answer)
    yield from _trip(report)
    if answer.warnings:
        yield Section("warnings", "Warnings", lines=tuple(said(warning) for warning in answer.warnings))


def said(text: object) -> str:
    """A text from outside: one line, printable, without secrets."""
    return redact(printable(str(text)))


def _what(report: SizeReport) -> Iterator[tuple[str, str]]:
    answer, query = report.answer, report.query
    airflow = f"Airflow {said(answer.line)}.x, resolves {said(answer.phase)}"
    now = f" from {_bytes(answer.threshold)} on" if answer.threshold is not None else ""
    yield "context", f"{said(report.context)}: {airflow}{now}"
    replica = query.get("database_url")
    yield "database", said(answer.dialect) + (f", a replica: {said(replica)}" if replica else ", the context's own")
    filters = [f"pushed since {said(query['since'])}"] if query.get("since") else []
    filters += [f"DAG {_cut(query['dag_id'])}"] if query.get("dag_id") else []
    filters += [f"runs that are {' or '.join(said(each) for each in query['states'])}"] if query.get("states") else []
    yield "filters", ", ".join(filters) or "none: every XCom"
    took = f"{units.count(answer.statements, 'statement')}, {units.seconds(answer.seconds)} in the database"
    drawn = answer.sampled
    if drawn is None:
        yield "read", f"all of it: {took}"
    else:
        yield (
            "read",
            (
                f"a sample of {units.share(drawn.share)}, by {said(drawn.method)}: {units.count(drawn.rows, 'row')} in "
                f"{units.count(drawn.groups, 'group')}, {took}"
            ),
        )
        yield "marked ~", "estimated from the sample; ranges are confidence intervals of about 95 %"
    yield (
        "sizes",
        (
            "exact, as the backend compares them"
            if answer.exact
            else "near: as the database writes the values; the backend's may differ"
        ),
    )


def _figures(answer: SizeAnswer) -> Iterator[Section]:
    about, drawn, there = about_mark(answer), answer.sampled, answer.offloaded
    rows = [
        ("all", about + units.number(answer.values), about + units.size(answer.bytes), ""),
        ("inline", about + units.number(answer.inline), about + units.size(answer.inline_bytes), ""),
    ]
    if drawn is not None:
        rows[0] = (*rows[0][:3], f"{_range(drawn.values, units.number)}; {_range(drawn.bytes, units.size)}")
    if there is not None:
        rows.append(("offloaded", units.number(there.references), units.size(there.bytes), _objects(answer)))
    rows.append(("NULL", about + units.number(answer.nulls), "", "rows without a value"))
    if answer.pickled or answer.line == "2":
        words = "no size that the backend would compare" if answer.pickled else ""
        rows.append(("pickled", about + units.number(answer.pickled), about + units.size(answer.pickled_bytes), words))
    notes = ("The bytes of what is offloaded are those of its objects.",) if there is not None else ()
    yield Section(
        "values", "Values", heads=("", "values", "bytes", ""), rows=tuple(rows), right=(1, 2), notes=notes
    )  # fmt: skip
    sizes = [("min", answer.smallest, None)]
    sizes += [(units.quantile(each.q), each.bytes, each.interval) for each in answer.quantiles]  # type: ignore[misc]
    sizes.append(("max", answer.largest, None))
    named = tuple(
        (name, about + units.size(size), about + units.number(size), _range(interval, units.size))
        for name, size, interval in sizes if size is not None
    )  # fmt: skip
    keep = 4 if any(row[3] for row in named) else 3
    heads = ("", "size", "bytes", "95 % interval")[:keep]
    yield Section("sizes", "Sizes", heads=heads, rows=tuple(row[:keep] for row in named), right=(1, 2))
    values, total = sum(each.values for each in answer.histogram), sum(each.bytes for each in answer.histogram)
    if values:
        yield Section(
            DISTRIBUTION, "Distribution", heads=("size", "values", "of values", "bytes", "of bytes"), right=(1, 2, 3, 4),
            rows=tuple(
                (f"{short_size(each.low)} to {short_size(each.high)}", about + units.number(each.values), units.share(each.values / values),
                 about + units.size(each.bytes), units.share(each.bytes / (total or 1)))
                for each in answer.histogram
            ),
        )  # fmt: skip


def _objects(answer: SizeAnswer) -> str:
    there = answer.offloaded
    assert there is not None
    if there.store_error:
        return (
            f"{units.number(there.unasked)} without a known size, the store did not answer: {said(there.store_error)}"
        )
    parts = [f"the largest {units.size(there.largest)}"] if there.references else []
    parts += [f"{there.compressed:,} compressed: their values' sizes are not known"] if there.compressed else []
    parts += [f"{there.dangling:,} dangling"] if there.dangling else []
    parts += [f"{there.unasked:,} not looked at"] if there.unasked else []
    return ", ".join(parts)


def _effects(report: SizeReport) -> Iterator[Section]:
    answer, asked = report.answer, report.query.get("thresholds") or ()
    # Besides what was asked for, what the context resolves is among them.
    known = [
        ("now" if each.threshold == answer.threshold and each.threshold not in asked else "asked for", each)
        for each in answer.thresholds
    ]
    known += [(_cut(each.name), each.effect) for each in answer.suggestions]
    known.sort(key=lambda pair: -pair[1].threshold)
    floor = answer.floor
    lowest = f"No threshold may be lower than {_bytes(floor.bytes)}"
    lowest += (f": the largest skipmixin_key, of {_cut(floor.skipmixin_of)}, has {_bytes(floor.skipmixin_bytes)}, and the scheduler "
               "reads it past the backend." if floor.skipmixin_bytes else ".")  # fmt: skip
    notes = [lowest, *_effect_notes(effect for _, effect in known)]
    if known:
        days = known[0][1].days
        yield Section(
            "thresholds", "Thresholds",
            lines=(f"What would leave the database at each; objects and requests by the last {units.days(days)}:",),
            heads=("threshold", "", "values", "of values", "bytes", "of bytes", "objects /day", "requests /day"),
            rows=tuple(_effect_row(name, each) for name, each in known), right=(0, 2, 3, 4, 5, 6, 7),
            strong=next((index for index, (_, each) in enumerate(known) if each.threshold == answer.suggested), None),
            notes=tuple(notes),
        )  # fmt: skip
    if answer.suggestions:
        yield Section(
            "suggestions", "Suggestions", heads=("", "threshold", "reason"),
            rows=tuple((_cut(each.name), units.number(each.threshold), said(each.reason)) for each in answer.suggestions),
            right=(1,), strong=next(
                (index for index, each in enumerate(answer.suggestions) if each.threshold == answer.suggested), None
            ),
        )  # fmt: skip


def _effect_row(name: str, each: Effect) -> tuple[str, ...]:
    about = "~" if each.interval is not None else ""
    uncertain = f"+{units.number(each.uncertain)}?" if each.uncertain else ""
    return (
        units.number(each.threshold), name, f"{about}{units.number(each.values)}{uncertain}", about + units.share(each.share),
        about + units.size(each.bytes), about + units.share(each.bytes_share), about + units.rate(each.objects_per_day),
        about + units.rate(each.requests_per_day),
    )  # fmt: skip


def _effect_notes(effects: Iterable[Effect]) -> Iterator[str]:
    for each in effects:
        parts = [f"{_range(each.interval, units.number)} values"] if each.interval is not None else []
        parts += [f"{units.number(each.offloaded)} of them are objects now"] if each.offloaded else []
        if each.measured:
            parts.append(f"{units.count(each.measured, 'value')} near it fetched and measured")
        parts += [f"{each.uncertain:,} more may be as large, and cannot be told"] if each.uncertain else []
        parts += ["below the floor: too low to use"] if each.below_floor else []
        if parts:
            yield f"{units.number(each.threshold)}: {'; '.join(parts)}."


def _places(answer: SizeAnswer) -> Iterator[Section]:
    above = (
        "" if answer.suggested is None else f"Above: of at least {_bytes(answer.suggested)}, the suggested threshold."
    )
    heads = ("DAG and task", "values", "bytes", "largest", *(["values above", "bytes above"] if above else []))
    for name, title, places in (
        ("top-bytes", "Most bytes", answer.top_bytes),
        ("top-above", f"Most values of at least {_bytes(answer.suggested)}", answer.top_above if above else ()),
    ):
        if places:
            yield Section(
                name, title, heads=heads, right=(1, 2, 3, 4, 5)[: len(heads) - 1],
                rows=tuple(_place_row(each)[: len(heads)] for each in places),
                notes=(above,) if above and places is answer.top_bytes else (),
            )  # fmt: skip


def _place_row(each: Place) -> tuple[str, ...]:
    about = "~" if each.estimated else ""
    key = "" if each.key == _KEY else f" [{_cut(each.key)}]"
    return (
        f"{_cut(each.dag_id)}.{_cut(each.task_id)}{key}", about + units.number(each.values), about + units.size(each.bytes),
        units.size(each.largest), units.number(each.above), units.size(each.above_bytes),
    )  # fmt: skip


def _growth(answer: SizeAnswer) -> Iterator[Section]:
    about = about_mark(answer)
    if answer.windows:
        yield Section(
            "growth", "Growth", heads=("pushed in the last", "values", "bytes", "values /day", "bytes /day"),
            rows=tuple(
                (units.days(each.days), about + units.number(each.values), about + units.size(each.bytes),
                 about + units.rate(each.values / each.days), about + units.size(round(each.bytes / each.days)))
                for each in answer.windows
            ),
            right=(1, 2, 3, 4), notes=("Of what is still there.",),
        )  # fmt: skip


def _disk(answer: SizeAnswer) -> Iterator[Section]:
    if answer.table_bytes is None:
        line = "The database does not tell what the table takes on disk."
    else:
        line = f"The table takes {units.size(answer.table_bytes)} with its indexes"
        if answer.database_bytes:
            line += f", {units.share(answer.table_bytes / answer.database_bytes)} of the database's {units.size(answer.database_bytes)}"
        line += "."
    yield Section("disk", "On disk", lines=(line,))


def _accuracy(answer: SizeAnswer) -> Iterator[Section]:
    found = answer.accuracy
    if found is None:
        return
    lines = [said(bound) for bound in found.bounds]
    if found.sampled and found.exact == found.sampled:
        lines.append(
            f"{units.count(found.sampled, 'value')} fetched and measured: all had just the size that the database says."
        )
    elif found.sampled:
        lines.append(
            f"{units.count(found.sampled, 'value')} fetched and measured: {units.number(found.exact)} had just the size that the "
            f"database says; the backend's is between {found.smallest:.4g} and {found.largest:.4g} times that, in sum "
            f"{found.total:.5g} times."
        )  # fmt: skip
    if found.unread:
        lines.append(f"{units.count(found.unread, 'value')} could not be decoded.")
    yield Section("accuracy", "How exact", lines=tuple(lines))


def _trip(report: SizeReport) -> Iterator[Section]:
    title = "What could not make the trip"
    if report.checks_at is None:
        deployment = f" -D {said(report.deployment)}" if report.deployment else ""
        known = any("--trip" in command for command in report.next_steps)
        commands = () if known else (f"xcomctl size --trip{deployment}",)
        yield Section("trip", title, lines=("Nobody looked. xcomctl size --trip counts them.",), commands=commands)
        return
    where = (
        f"Found by {said(report.checks_from)}, {units.moment(said(report.checks_at))}:" if report.checks_from else ""
    )
    if not report.checks:
        yield Section("trip", title, lines=(where, "nothing was checked") if where else ("nothing was checked",))
        return
    yield Section(
        "trip", title, lines=(where,) if where else (), heads=("", "count", "check", ""), right=(1,),
        rows=tuple((check_words.label(check.status), _count(check), said(check.id), said(check_words.told(check)))
                   for check in report.checks),
        statuses=tuple(check.status for check in report.checks),
        commands=tuple(said(check.hint) for check in report.checks if check.hint and check.status is Status.SKIP),
    )  # fmt: skip


def _count(check: Check) -> str:
    found = check.data.get("count")
    return units.number(found if isinstance(found, int) else None)


def _nothing(answer: SizeAnswer) -> str:
    others = [f"{units.count(answer.nulls, 'row')} without a value"] if answer.nulls else []
    others += [units.count(answer.pickled, "pickled value")] if answer.pickled else []
    there = answer.offloaded
    others += [units.count(there.references, "reference")] if there is not None and there.references else []
    return "No XCom has a value whose size is known" + (f"; there are {', '.join(others)}." if others else ".")


def verdict_of(report: SizeReport) -> Verdict | None:
    """The verdict, ``None`` for one that this version does not know."""
    return next((verdict for verdict in Verdict if verdict.value == report.verdict), None)


def about_mark(answer: SizeAnswer) -> str:
    """What stands before a figure from a sample."""
    return "~" if answer.sampled is not None else ""


def _bytes(size: int | None) -> str:
    return units.count(size, "byte") if size else "0 bytes"


def short_size(size: int) -> str:
    """A size without needless decimals: ``10 kB``."""
    return units.size(size).replace(".0 ", " ")


def _range(interval: Interval | None, shown: Callable[[int | None], str]) -> str:
    if interval is None:
        return ""
    low = shown(round(interval.low))
    return f"at least {low}" if interval.high is None else f"{low} to {shown(round(interval.high))}"


def _cut(text: object) -> str:
    name = said(text)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
