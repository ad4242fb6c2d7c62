"""What ``rehydrate`` shows on a terminal: the plan, what became of the rows, whether ``inline`` is safe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from xcomctl.model.redaction import redact
from xcomctl.model.rehydrate import CHANGED, COLUMN_WORDS, UNFINISHED, WORDS, RehydrateQuery, Row
from xcomctl.model.rehydrated import After, Before
from xcomctl.model.verdicts import Check, Verdict
from xcomctl.report import units
from xcomctl.report.page import VERDICT_STYLE, Page
from xcomctl.report.text import printable

_SAFE = {
    Verdict.OK: "inline is safe now",
    Verdict.FAILED: "inline is NOT safe now",
    Verdict.INCONCLUSIVE: "inconclusive: whether inline is safe could not be told",
}


def render_plan(before: Before, query: RehydrateQuery, stream: TextIO, *, width: int | None = None) -> None:
    """Write what stands to be done. Raises what the stream raises."""
    page = Page(stream, width)
    totals = before.totals
    of = f" of {query.dag_id}{f' {query.run_id}' if query.run_id else ''}" if query.dag_id else ""
    runs = " in runs that are not over" if query.runs == UNFINISHED else ""
    page.heading(
        printable(
            f"{at_most(query)}{units.count(totals.references, 'reference')}{of}{runs} below {redact(totals.base_path)}, "
            f"{units.size(totals.reference_bytes)} of objects"
        )
    )
    page.paragraph(printable("; ".join(f"{name}: {phase}" for name, phase in before.phases.items())))
    if query.before is not None:
        page.paragraph(f"of these only what was pushed before {units.moment(query.before)}")
    if totals.aliases:
        page.paragraph(
            f"{units.count(totals.aliases, 'alias', 'aliases')} will be left: another run's or task's objects"
        )
    if totals.dangling:
        page.paragraph(f"{totals.dangling:,} will be left: their objects are missing")
    for note in before.notes:
        page.paragraph(printable(redact(f"note: {note}")))
    page.paragraph(
        f"at most {units.memory(query.max_bytes)} in all and {units.memory(query.max_value_bytes)} for a value go into the "
        f"database, {query.jobs} rows at a time; objects stay where they are"
    )
    page.flush()


def at_most(query: RehydrateQuery) -> str:
    """What to say before a number of references: how old these are was not looked at."""
    return "at most " if query.before is not None else ""


def render(
    after: After,
    kept: Mapping[str, Sequence[Row]],
    commands: Sequence[str],
    stream: TextIO,
    *,
    width: int | None = None,
) -> None:
    """Write what became of the rows, some of each kind by name, and what to type next. Raises what the stream raises."""
    page = Page(stream, width)
    answer = after.answer
    done = "rehydrated" if answer.write else "would be rehydrated"
    grown = f"{units.size(answer.bytes)} of JSON"
    page.heading(f"{units.count(answer.rows, 'reference')} {done}: {grown}, in {units.seconds(after.seconds)}")
    if answer.rows:
        page.paragraph(
            f"the largest value has {units.size(answer.largest_bytes)}"
            + (
                ""
                if answer.write
                else f"; the database grows by about {units.size(answer.bytes)}, by less where it compresses"
            )
        )
    if answer.verified_by and answer.rows:
        page.paragraph(f"{' and '.join(answer.verified_by)} read the same from each row as from its object")
    if answer.gone:
        page.paragraph(f"{units.count(answer.gone, 'row')} deleted meanwhile")
    if answer.store_error:
        page.paragraph(
            printable(redact(f"given up: the store did not give one object after another: {answer.store_error}"))
        )
    if answer.left_rows:
        page.heading(
            f"{units.count(answer.left_rows, 'row')} {'left' if answer.write else 'would be left'} as references"
        )
        for why, said in WORDS.items():
            _rows(page, answer.left.get(why, 0), f"{said} ({why})", kept.get(why, ()))
    if answer.changed_by_column:
        page.heading("what the column itself makes of values, as of any inline one")
        for why, said in COLUMN_WORDS.items():
            _rows(page, answer.changed_by_column.get(why, 0), f"{said} ({why})", kept.get(why, ()))
    for warning in answer.warnings:
        page.paragraph(printable(f"warning: {warning}"))
    page.heading(f"{_end(after)} (exit {after.verdict.exit_code})", VERDICT_STYLE.get(after.verdict))
    for command in commands:
        page.verbatim(f"→ {printable(command)}", "bold")
    page.flush()


def render_verify(checks: Sequence[Check], verdict: Verdict, stream: TextIO, *, width: int | None = None) -> None:
    """Write what stands in the way of ``inline``, and whether it is safe. Raises what the stream raises."""
    page = Page(stream, width)
    ids = max((len(check.id) for check in checks), default=0)
    for check in checks:
        page.check(check, id_width=ids)
    page.heading(f"{_SAFE[verdict]} (exit {verdict.exit_code})", VERDICT_STYLE.get(verdict))
    page.flush()


def _rows(page: Page, count: int, said: str, rows: Sequence[Row]) -> None:
    if not count:
        return
    page.paragraph(f"{count:,} {said}")
    for row in rows:
        mapped = f"[{row.map_index}]" if row.map_index >= 0 else ""
        detail = f": {row.detail}" if row.detail else ""
        page.verbatim(printable(redact(f"  {row.dag_id} {row.run_id} {row.task_id}{mapped} {row.key}{detail}")))
    if count > len(rows):
        page.verbatim(f"  and {count - len(rows):,} more (-o json names all)")


def _end(after: After) -> str:
    answer = after.answer
    if after.disturbed:
        return printable(redact(f"inconclusive: something was up while values were written: {after.disturbed}"))
    if after.verdict is Verdict.INCONCLUSIVE:
        return "inconclusive: the store did not give everything"
    totals = after.left
    if totals is None:
        if after.verdict is Verdict.OK:
            return "nothing would be left" if not answer.write else "nothing of these is left"
        if answer.left_rows == answer.left.get(CHANGED, 0):
            return "something of these was pushed again meanwhile"
        return "something of these blocks inline"
    left = [
        units.count(number, noun, plural)
        for number, noun, plural in (
            (totals.references, "reference", ""),
            (totals.aliases, "alias", "aliases"),
            (totals.outside, "path out of the base path", "paths out of the base path"),
            (totals.pickled, "pickled XCom", ""),
        )
        if number
    ]
    return f"left in all, and blocking inline: {', '.join(left)}" if left else "no row holds a reference any more"
