"""Lifecycle rules as S3 gives them, and folders; buckets themselves are asked in the live tests."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xcomctl.store.bucket import Presence, lifecycle_rules, place, shortest_expiry


def rules(prefix: str, *given: dict[str, Any]) -> list[tuple[str, int | None, bool]]:
    found = lifecycle_rules({"Rules": [{"Status": "Enabled", **rule} for rule in given]}, prefix)
    return [(rule.id, rule.days, rule.whole) for rule in found]


def expiring(days: int, **rule: Any) -> dict[str, Any]:
    return {"ID": "r", "Expiration": {"Days": days}, **rule}


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"Filter": {"Prefix": "airflow/xcom/"}}, [("r", 9, True)]),
        ({"Filter": {"Prefix": "airflow/"}}, [("r", 9, True)]),
        ({"Filter": {"Prefix": "airflow/xc"}}, [("r", 9, True)]),
        ({"Filter": {}}, [("r", 9, True)]),
        ({"Prefix": "airflow/xcom"}, [("r", 9, True)]),
        ({"Filter": {"And": {"Prefix": "airflow/xcom/", "ObjectSizeGreaterThan": 5}}}, [("r", 9, False)]),
        ({"Filter": {"ObjectSizeLessThan": 5}}, [("r", 9, False)]),
        ({"Filter": {"Prefix": "airflow/xcom/dag/"}}, [("r", 9, False)]),
        ({"Filter": {"Prefix": "airflow/xcomx/"}}, []),
        ({"Filter": {"Prefix": "other/"}}, []),
        ({"Filter": {"Tag": {"Key": "a", "Value": "b"}}}, []),
        ({"Filter": {"And": {"Prefix": "airflow/", "Tags": [{"Key": "a", "Value": "b"}]}}}, []),
        ({"Status": "Disabled", "Filter": {"Prefix": "airflow/xcom/"}}, []),
    ],
)
def test_which_rules_concern_a_prefix(rule: dict[str, Any], found: list[Any]) -> None:
    assert rules("airflow/xcom", expiring(9, **rule)) == found


def test_a_bare_bucket_is_covered_by_the_whole_bucket_s_rules_alone() -> None:
    assert rules("", expiring(9)) == [("r", 9, True)]
    assert rules("", expiring(9, Filter={"Prefix": "a/"})) == [("r", 9, False)]


def test_what_a_rule_does() -> None:
    dated, kept = lifecycle_rules(
        {
            "Rules": [
                {"Status": "Enabled", "ID": "dated", "Expiration": {"Date": "2027-01-01"}},
                {"Status": "Enabled", "Filter": {"Prefix": "x/"}, "NoncurrentVersionExpiration": {"NoncurrentDays": 3}},
            ]
        },
        "x",
    )
    assert (dated.days, dated.dated) == (None, "2027-01-01")
    assert (kept.id, kept.days, kept.noncurrent_days) == ("x/", None, 3)


def test_the_shortest_expiry_counts() -> None:
    found = lifecycle_rules(
        {"Rules": [{"Status": "Enabled", **expiring(days), "ID": str(days)} for days in (30, 7, 90)]}, "x"
    )
    shortest = shortest_expiry(found)
    assert shortest is not None
    assert shortest.days == 7
    assert shortest_expiry([]) is None


def test_a_folder_is_judged_by_its_nearest_ancestor_and_never_made(tmp_path: Path) -> None:
    def asked(folder: Path) -> Any:
        return place(SimpleNamespace(is_s3=False, is_local=True, root=str(folder)))  # type: ignore[arg-type]

    there = asked(tmp_path / "a" / "b")
    assert (there.presence, there.name) == (Presence.THERE, str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert asked(tmp_path / "file" / "b").presence is Presence.FAILED
