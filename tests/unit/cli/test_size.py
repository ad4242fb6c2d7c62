"""``xcomctl size``: what its options mean; all else is in the live tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from xcomctl.cli import size
from xcomctl.cli.main import build_parser
from xcomctl.model.size import SizeQuery


def query(*arguments: str) -> SizeQuery:
    return size._query(build_parser(["size"]).parse_args(["size", *arguments]), None)


def test_unless_something_is_said_everything_is_measured(monkeypatch):
    monkeypatch.delenv(size.DATABASE_VARIABLE, raising=False)
    assert query() == SizeQuery()


def test_everything_that_is_said_arrives(monkeypatch):
    monkeypatch.setenv(size.DATABASE_VARIABLE, "postgresql://of-the-environment/db")
    found = query(
        "-d", "dag", "--since", "30d", "--state", "success", "--state", "failed", "--quantile", "0.99", "--threshold",
        "10_000,16kB", "--threshold", "10000,2MB", "--sample", "5%", "--timeout", "60", "--no-store",
        "--base-path", "s3://store@bucket/xcom",
    )  # fmt: skip
    assert found.since is not None
    assert abs(datetime.now(UTC) - timedelta(days=30) - datetime.fromisoformat(found.since)) < timedelta(minutes=1)
    assert found == SizeQuery(
        since=found.since, dag_id="dag", states=("success", "failed"), quantile=0.99, thresholds=(10_000, 16_000, 2_000_000),
        sample=0.05, timeout_s=60.0, database_url="postgresql://of-the-environment/db", store=False,
        base_path="s3://store@bucket/xcom",
    )  # fmt: skip
    assert query("--database-url", "postgresql://named/db").database_url == "postgresql://named/db"


def test_all_of_the_table_is_no_sample():
    assert query("--sample", "100").sample is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("--quantile", "1"),
        ("--quantile", "99.9"),
        ("--sample", "0"),
        ("--sample", "5 of 100"),
        ("--threshold", "much"),
        ("--threshold", "10000,"),
        ("--threshold", "-1"),
        ("--since", "yesterday"),
        ("--timeout", "0"),
    ],
)
def test_what_is_none_of_them_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        query(*arguments)
    assert left.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_no_password_of_a_replica_gets_into_the_report():
    from xcomctl.assess import size as assess
    from xcomctl.model.size import Floor, SizeAnswer

    answer = SizeAnswer(
        at="2026-06-06T12:00:00+00:00", airflow="2.11.2", line="2", dialect="postgresql", phase="inline", base_path=None, threshold=None, exact=True,
        values=0, bytes=0, inline=0, inline_bytes=0, smallest=None, largest=None, nulls=0, pickled=0, pickled_bytes=0,
        table_bytes=None, database_bytes=None, floor=Floor(10_000, 0),
    )  # fmt: skip
    asked = SizeQuery(database_url="postgresql://reader:sesame@replica/airflow")
    found = assess.report(asked, answer, "local", None, None, assess.Spelled())
    assert "sesame" not in str(found.to_json()) and "replica" in str(found.query["database_url"])
    assert (found.verdict, found.exit_code, found.next_steps, found.checks_at) == ("ok", 0, (), None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--trip", "-d", "dag"), "--trip looks at every XCom"),
        (("--trip", "--since", "3d"), "--trip looks at every XCom"),
        (("--trip", "--database-url", "postgresql://r/db"), "the context's own database"),
        (("--html", "/no/such/folder/x.html"), "there is no folder /no/such/folder"),
        (("--threshold", "9" * 400), "is no size"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_measured(arguments, said, capsys):
    from xcomctl.cli.main import main

    with pytest.raises(SystemExit) as left:
        main(["size", *arguments])
    assert left.value.code == 2
    assert said in capsys.readouterr().err
