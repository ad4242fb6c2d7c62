"""What findings of the category say, and when its checks apply; what they find is for the live tests."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from xcomctl.airflow_compat import loading
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks import metadata, scans, stored_urls
from xcomctl.checks.interface import Subject
from xcomctl.cli.main import COMMANDS
from xcomctl.metadata.tally import Tally
from xcomctl.metadata.values import InlineRow
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Line
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.requests import ResolvedSetting
from xcomctl.model.verdicts import Status
from xcomctl.references.scan import Survey

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


def scan(made: Subject) -> scans.Scan:
    """A scan that reads from nowhere."""
    return scans.Scan(made, connection=None, tables=None, what="rows")


def test_examples_are_short_and_without_secrets_that_were_cut_in_two():
    made = subject()
    made.keep_secret("correct-horse-battery-staple")
    long = "x" * 45
    rows = {0: f"{long} correct-horse-battery-staple", 1: f"s3://key:{long * 2}@bucket/x", 2: "a\n b", 3: "y" * 61}
    tally = scan(made).tally(map(row, rows), lambda each: rows[each.value])
    assert [each["excerpt"] for each in tally.examples] == [
        f"{long} ***",
        "s3://key:***@bucket/x",
        "a b",
        "y" * 59 + "…",
    ]
    assert "dag.task_2 'return_value': a b" in scans.examples(tally)


def test_counts_are_in_words_and_rows_that_say_nothing_are_none():
    made = subject()
    tally = scan(made).tally((row(n, "running") for n in range(2_500)), lambda each: "x" if each.value < 2 else None)
    assert scans.many(tally, "row") == "2 rows (in 2 unfinished runs)"
    assert made.said == [("rows", 1_000, None), ("rows", 2_000, None)]
    one = scan(made).tally([row(0, "running")], str)
    assert scans.many(one, "row") == "1 row (in 1 unfinished run)"
    none = scan(made).tally([row(0), row(1)], str)
    assert scans.many(none, "row") == "2 rows (in no unfinished run)"


class Reported(BaseException):
    """Stands for the end of a run."""


@pytest.mark.parametrize(("estimate", "said"), [(1_234_567, "about 1,234,567 XComs"), (None, "the XComs")])
def test_a_scan_says_its_size_before_the_database_sets_to_work_and_is_cancelled_there(
    monkeypatch, tmp_path, estimate, said
):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    monkeypatch.setattr(scans.database, "engine", lambda: engine)
    monkeypatch.setattr(scans.database, "schema", lambda: None)
    monkeypatch.setattr(scans, "about_how_many", lambda *_: estimate)
    made = subject()
    told: list[str] = []

    def progress(message: str, done: int | None, total: int | None) -> None:
        told.append(message)
        if len(told) > 1:
            raise Reported

    made.progress = progress
    endless = (
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000000) SELECT max(n) FROM c"
    )
    with scans.scanning(made, "keys of dicts") as scan:
        assert told == [f"scanning {said} for keys of dicts"] and scan.what == told[0]
        with pytest.raises(sa.exc.OperationalError, match="interrupted"):
            scan.connection.execute(sa.text(endless))
    engine.dispose()


def test_that_there_is_no_database_is_told_apart_from_one_that_is_broken(monkeypatch, tmp_path):
    made = subject()
    monkeypatch.setattr(loading, "airflow", lambda: None)
    engines = {
        "none": None,
        "default": sa.create_engine(f"sqlite:///{tmp_path / 'airflow.db'}"),
        "broken": sa.create_engine(f"sqlite:///{tmp_path}"),  # a folder
    }

    def found(name: str) -> metadata.Finding:
        settings = SimpleNamespace(engine=engines[name], configure_vars=lambda: None, configure_orm=lambda: None)
        monkeypatch.setattr(metadata.database.loading, "module", lambda module: settings)
        monkeypatch.setattr(metadata.database, "schema", lambda: None)
        return metadata._database(made)

    for name in ("none", "default"):
        finding = found(name)
        assert (finding.status, dict(finding.data)) == (Status.SKIP, {"no_database": True})
    finding = found("broken")
    assert finding.status is Status.FAIL and "no_database" not in finding.data
    # No Airflow at all is no reason to ask another context for the database.
    monkeypatch.setattr(loading, "airflow", lambda: (_ for _ in ()).throw(AirflowUnusable("there is no Airflow")))
    with pytest.raises(AirflowUnusable, match="no Airflow"):
        found("none")


@pytest.mark.parametrize("line", list(Line))
@pytest.mark.parametrize("target", [20_000, None])
def test_hints_can_be_followed_with_what_there_is(monkeypatch, line, target):
    """Airflow's command as it wants to be typed, and no command of ours that is not there."""
    made = subject(line, threshold=20_000) if target else subject(line, backend=BASE_XCOM)
    survey = Survey(*(Tally(str) for _ in range(4)))
    foreign = row(1)
    survey.foreign.add(foreign, "s3://old@bucket/xcom/dag/run_1/task_1/x")
    survey.bases.append("s3://old@bucket/xcom")
    monkeypatch.setattr(stored_urls, "_urls", lambda _: survey)
    finding = stored_urls._references(made)
    assert finding.status is Status.FAIL
    assert "airflow db clean --tables xcom --clean-before-timestamp '" in finding.hint
    assert "orphans" in finding.hint
    assert 'AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD="-1"' in finding.hint
    for name in re.findall(r"xcomctl ([a-z]+)", finding.hint):
        assert name in COMMANDS
