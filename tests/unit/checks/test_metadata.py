"""What findings of the category say, and when its checks apply; what they find is for the live tests."""

from __future__ import annotations

import pytest

from xcomctl.airflow_compat import loading
from xcomctl.checks import metadata
from xcomctl.checks.interface import Subject
from xcomctl.metadata.values import InlineRow
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Line
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.requests import ResolvedSetting

PATH = "s3://conn@bucket/xcom"


def subject(
    line: Line = Line.AF3, threshold: int = -1, backend: str = OBJECT_STORAGE_BACKEND, path: str = PATH
) -> Subject:
    """A context that resolves this."""
    said: list[tuple] = []
    made = Subject(PreflightOptions(), under_target=lambda *_: {}, progress=lambda *args: said.append(args))
    made.said = said
    made.line = line
    made.settings = {
        "backend": ResolvedSetting(backend, "AIRFLOW__CORE__XCOM_BACKEND"),
        "path": ResolvedSetting(path, "airflow.cfg"),
        "threshold": ResolvedSetting(threshold, "airflow.cfg"),
        "compression": ResolvedSetting("", "airflow.cfg"),
    }
    return made


def row(number: int, state: str = "success") -> InlineRow:
    return InlineRow("dag", f"run_{number}", f"task_{number}", -1, "return_value", state, number)


@pytest.mark.parametrize(
    ("made", "ids"),
    [
        (subject(), "references own_paths schemes keys"),
        (subject(threshold=20_000), "references own_paths schemes keys skipmixin"),
        (subject(Line.AF2), "pickling references own_paths json_strings"),
        (subject(Line.AF2, threshold=20_000), "pickling references own_paths json_strings skipmixin"),
        (subject(backend=BASE_XCOM), "references"),
        (subject(Line.AF2, backend=BASE_XCOM), "references"),
        (subject(path=""), ""),
        (subject(backend="my.Backend"), ""),
    ],
)
def test_which_checks_apply(monkeypatch, made, ids):
    monkeypatch.setattr(loading, "providers", lambda: {"common.io": "1.11.0"})
    applying = [spec.id.removeprefix("metadata_") for spec in metadata.CHECKS if spec.applies(made)]
    assert applying == ["database", *ids.split()]
    assert not any(spec.in_task for spec in metadata.CHECKS)


@pytest.mark.parametrize(
    ("version", "parses"),
    [("1.5.3", False), ("1.5.4", True), ("1.6.0rc1", True), ("1.11.0", True), ("2.0.0", True), ("1.4.2", False)],
)
def test_which_common_io_parses_strings_again(monkeypatch, version, parses):
    monkeypatch.setattr(loading, "providers", lambda: {"common.io": version})
    assert metadata._parses_again(subject(Line.AF2)) is parses


def test_examples_are_short_and_without_secrets_that_were_cut_in_two():
    made = subject()
    made.keep_secret("correct-horse-battery-staple")
    long = "x" * 45
    rows = {0: f"{long} correct-horse-battery-staple", 1: f"s3://key:{long * 2}@bucket/x", 2: "a\n b", 3: "y" * 61}
    tally = metadata._tallied(made, "rows", map(row, rows), lambda each: rows[each.value])
    assert [each["excerpt"] for each in tally.examples] == [
        f"{long} ***",
        "s3://key:***@bucket/x",
        "a b",
        "y" * 59 + "…",
    ]
    assert "dag.task_2 'return_value': a b" in metadata._examples(tally)


def test_counts_are_in_words_and_rows_that_say_nothing_are_none():
    made = subject()
    tally = metadata._tallied(
        made, "rows", (row(n, "running") for n in range(2_500)), lambda each: "x" if each.value < 2 else None
    )
    assert metadata._many(tally, "row") == "2 rows (in 2 unfinished runs)"
    assert made.said == [("rows", 1_000, None), ("rows", 2_000, None)]
    one = metadata._tallied(made, "rows", [row(0, "running")], str)
    assert metadata._many(one, "row") == "1 row (in 1 unfinished run)"
    none = metadata._tallied(made, "rows", [row(0), row(1)], str)
    assert metadata._many(none, "row") == "2 rows (in no unfinished run)"
