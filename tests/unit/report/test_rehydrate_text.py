"""A rehydrate as text: golden files, what could not be told, and text from elsewhere."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest

from xcomctl.model.refs import RefTotals
from xcomctl.model.rehydrate import (
    ALIAS,
    CHANGED,
    COLUMN_WORDS,
    DANGLING,
    DOES_NOT_FIT,
    KEY_ORDER,
    LARGE_FLOAT,
    UNFINISHED,
    UNREAD,
    WORDS,
    RehydrateAnswer,
    RehydrateQuery,
    Row,
)
from xcomctl.model.rehydrated import After, Before
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.report.rehydrate_text import render, render_plan, render_verify

GOLDEN = Path(__file__).parent / "golden"
BASE = "s3://store@bucket/xcom"
TOTALS = RefTotals(BASE, references=1_204, reference_bytes=3_100_000_000, aliases=2, dangling=1)
BEFORE = Before({"scheduler": "dual-read", "worker": "dual-read"}, TOTALS, ("worker did not answer: no",))
ANSWER = RehydrateAnswer(
    BASE, True, 1_206, 1_200, 3_000_000_000, 61_000_000,
    left={DANGLING: 1, DOES_NOT_FIT: 3, ALIAS: 2}, gone=1, changed_by_column={KEY_ORDER: 812, LARGE_FLOAT: 1},
    verified_by=("BaseXCom", "XComObjectStorageBackend"), requests=1_207, warnings=("the schema is unknown",),
)  # fmt: skip
#: Nothing is in the column then, to be read back from there.
DRY = replace(ANSWER, write=False, verified_by=(), changed_by_column={})
WELL = replace(ANSWER, left={}, changed_by_column={}, gone=0, warnings=(), rows=1_204, references=1_204)


def row(why: str, task_id: str = "task", map_index: int = -1, detail: str = "") -> Row:
    return Row(why, "etl", "scheduled__2026-06-06", task_id, map_index, "return_value", f"{BASE}/x", detail, "success")


KEPT = {
    DANGLING: [row(DANGLING)],
    DOES_NOT_FIT: [row(DOES_NOT_FIT, "numbers", index, "it holds NaN") for index in range(2)],
    ALIAS: [row(ALIAS, f"passes_{name}", detail="clear the task that passed it on: it then gets the value") for name in "ab"],
    KEY_ORDER: [row(KEY_ORDER)],
}  # fmt: skip
COMMANDS = ("xcomctl refs --dangling -D prod  # clear the tasks that pushed them, so that they push again",)


def shown(width: int | None, *written: object, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    for each in written:
        if isinstance(each, After):
            render(each, KEPT, COMMANDS, stream, width=width)
        elif isinstance(each, tuple):
            render_verify(each, Verdict.FAILED, stream, width=width)
        else:
            render_plan(BEFORE, each, stream, width=width)  # type: ignore[arg-type]
        stream.write("\n")
    stream.flush()
    return raw.getvalue().decode(encoding)


def lines(after: After) -> list[str]:
    stream = io.StringIO()
    render(after, {}, (), stream)
    return [line.strip() for line in stream.getvalue().splitlines()]


ALL = RehydrateQuery(write=True)
PART = RehydrateQuery(runs=UNFINISHED, dag_id="etl", run_id="r 1", before="2026-06-06T12:00:00+00:00", max_bytes=10**9)
LEFT = RefTotals(BASE, references=4, aliases=2)
CHECKS = (
    Check("gate_phase", "gates", "every context is in dual-read", Status.OK, "2 contexts"),
    Check("gate_references", "gates", "no row of xcom holds a reference", Status.FAIL, "1 run not over", "xcomctl rehydrate"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("rehydrate-80.txt", lambda: shown(80, ALL, After(ANSWER, 83.4, LEFT))),
        ("rehydrate-48-ascii.txt", lambda: shown(48, PART, After(ANSWER, 83.4, LEFT), encoding="ascii")),
        ("rehydrate-piped.txt", lambda: shown(None, PART, After(DRY, 83.4))),
        ("rehydrate-verify-80.txt", lambda: shown(80, CHECKS)),
    ],
)
def test_golden(name: str, found) -> None:  # type: ignore[no-untyped-def]
    path = GOLDEN / name
    text = found()
    if os.environ.get("XCOMCTL_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_every_reason_and_every_change_of_the_column_is_told_with_its_word() -> None:
    answer = replace(ANSWER, left=dict.fromkeys(WORDS, 1), changed_by_column=dict.fromkeys(COLUMN_WORDS, 1))
    said = "\n".join(lines(After(answer, 1.0)))
    for why, words in (*WORDS.items(), *COLUMN_WORDS.items()):
        assert f"1 {words} ({why})" in said


@pytest.mark.parametrize(
    ("after", "end"),
    [
        (After(WELL, 1.0, RefTotals(BASE)), "no row holds a reference any more (exit 0)"),
        (After(WELL, 1.0), "nothing of these is left (exit 0)"),
        (After(replace(WELL, write=False), 1.0), "nothing would be left (exit 0)"),
        (After(ANSWER, 1.0), "something of these blocks inline (exit 3)"),
        (After(replace(WELL, left={CHANGED: 2}), 1.0), "something of these was pushed again meanwhile (exit 3)"),
        (After(replace(WELL, left={CHANGED: 2, ALIAS: 1}), 1.0), "something of these blocks inline (exit 3)"),
        (
            After(WELL, 1.0, RefTotals(BASE), "it ran"),
            "inconclusive: something was up while values were written: it ran (exit 5)",
        ),
        (
            After(WELL, 1.0, RefTotals(BASE, references=1, pickled=3)),
            "left in all, and blocking inline: 1 reference, 3 pickled XComs (exit 3)",
        ),
        (After(replace(WELL, store_error="down"), 1.0), "inconclusive: the store did not give everything (exit 5)"),
        (After(replace(ANSWER, left={UNREAD: 1}), 1.0, LEFT), "inconclusive: the store did not give everything (exit 5)"),
    ],
)  # fmt: skip
def test_the_last_line_says_what_the_exit_code_means(after: After, end: str) -> None:
    assert lines(after)[-1] == end


def test_where_nothing_was_done_nothing_is_said_of_it() -> None:
    said = lines(After(RehydrateAnswer(BASE, True), 0.2, RefTotals(BASE)))
    assert said == ["no references rehydrated: 0 B of JSON, in 0.2 s", "", "no row holds a reference any more (exit 0)"]


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict.OK, "inline is safe now (exit 0)"),
        (Verdict.FAILED, "inline is NOT safe now (exit 3)"),
        (Verdict.INCONCLUSIVE, "could not be told (exit 5)"),
    ],
)
def test_whether_inline_is_safe_is_the_last_line(verdict: Verdict, said: str) -> None:
    stream = io.StringIO()
    render_verify(CHECKS[:1], verdict, stream)
    assert stream.getvalue().splitlines()[-1].endswith(said)


def test_text_from_elsewhere_stays_text_and_secrets_stay_secret() -> None:
    nasty = "\x1b[2J\u202e"
    totals = replace(TOTALS, base_path=f"s3://key:hunter2@bucket/{nasty}")
    stream = io.StringIO()
    render_plan(Before({f"na{nasty}me": nasty}, totals, (f"{nasty} s3://key:hunter2@bucket",)), PART, stream)
    answer = replace(ANSWER, store_error=f"{nasty} s3://key:hunter2@bucket", warnings=(nasty,))
    named = Row(DANGLING, nasty, nasty, nasty, 1, nasty, "", f"s3://key:hunter2@bucket {nasty}")
    render(After(answer, 1.0, TOTALS), {DANGLING: [named]}, (f"xcomctl {nasty}",), stream)
    assert "\x1b" not in stream.getvalue() and "\u202e" not in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
