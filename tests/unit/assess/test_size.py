"""What a measurement amounts to, and what the journal knows of values that could not make the trip."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.unit.report import size_samples
from xcomctl.assess import size
from xcomctl.assess.preflight import record, report_of
from xcomctl.journal.open import opened
from xcomctl.model.preflight import METADATA, ContextReport, PreflightOptions
from xcomctl.model.size import SizeAnswer, SizeQuery
from xcomctl.model.verdicts import Check, Status, Verdict

OPTIONS = size.Spelled(
    contexts=" -D prod --base-path s3://c@b/xcom",
    which=" -d dag",
    remark=", from there",
    record=" -D prod",
    journal=" --journal j",
)


def answer(**changed: object) -> SizeAnswer:
    return dataclasses.replace(size_samples.typical().answer, **{"warnings": (), "pickled": 0, **changed})  # type: ignore[arg-type]


def check(id: str, status: Status, **data: object) -> Check:
    return Check(id, METADATA, "", status, data=data)


def preflight(where: Path, deployment: str | None, *checks: Check) -> None:
    record(report_of(PreflightOptions(), [ContextReport("scheduler", checks)]), deployment, str(where))


def test_what_the_newest_preflight_of_the_deployment_counted_is_known(tmp_path):
    where = tmp_path / "journal.jsonl"
    assert size.tripped_before(str(where), "prod") is None
    preflight(where, "prod", check("metadata_keys", Status.WARN, count=7), check("config_path", Status.FAIL, count=1))
    preflight(where, "other", check("metadata_keys", Status.WARN, count=9))
    preflight(where, "prod", check("store_put", Status.OK))  # looked at no values
    found = size.tripped_before(str(where), "prod")
    assert found is not None
    assert [(each.id, each.status, each.data["count"]) for each in found.checks] == [("metadata_keys", Status.WARN, 7)]
    assert found.at == next(each.at for each in opened(str(where)).entries())


@pytest.mark.parametrize(
    ("changed", "checks", "verdict"),
    [
        ({}, (), Verdict.OK),
        ({}, (check("a", Status.OK, count=0),), Verdict.OK),
        ({}, (check("a", Status.WARN, count=1),), Verdict.WARNINGS),
        ({}, (check("a", Status.FAIL, count=1),), Verdict.WARNINGS),
        ({}, (check("a", Status.SKIP),), Verdict.INCONCLUSIVE),
        ({"warnings": ("odd",)}, (), Verdict.WARNINGS),
        ({"pickled": 1}, (), Verdict.WARNINGS),
    ],
)
def test_the_verdict(changed, checks, verdict):
    found = answer(**changed, thresholds=(), offloaded=None)
    assert size.verdict(found, checks) is verdict


def test_a_size_that_the_store_did_not_give_is_inconclusive_and_one_that_dangles_a_warning():
    there = size_samples.offloaded().answer.offloaded
    assert there is not None
    well = dataclasses.replace(there, store_error="", unasked=0, dangling=0)
    for changed, verdict in (
        ({}, Verdict.OK),
        ({"unasked": 1}, Verdict.INCONCLUSIVE),
        ({"store_error": "no answer"}, Verdict.INCONCLUSIVE),
        ({"dangling": 1}, Verdict.WARNINGS),
    ):
        found = answer(thresholds=(), offloaded=dataclasses.replace(well, **changed))
        assert size.verdict(found, ()) is verdict, changed


def test_a_threshold_that_is_too_low_or_not_certain_is_a_warning():
    effect = size_samples.typical().answer.suggestions[0].effect
    for changed in ({"below_floor": True}, {"uncertain": 1}):
        found = answer(thresholds=(dataclasses.replace(effect, **changed),), offloaded=None)
        assert size.verdict(found, ()) is Verdict.WARNINGS


@pytest.mark.parametrize("fail_on_warn", [False, True])
def test_warnings_are_an_exit_code_for_who_asked_for_it_alone(fail_on_warn):
    found = size.report(
        SizeQuery(), answer(warnings=("odd",)), "local", "prod", None, OPTIONS, fail_on_warn=fail_on_warn
    )
    assert (found.verdict, found.exit_code) == ("warnings", 4 if fail_on_warn else 0)


def test_what_to_type_next_names_the_same_contexts_and_the_same_journal():
    def doubtful(**changed: object) -> SizeAnswer:
        known = answer(**changed)
        less = [
            dataclasses.replace(each, effect=dataclasses.replace(each.effect, exact=False))
            for each in known.suggestions
        ]
        return dataclasses.replace(known, exact=False, suggestions=tuple(less))

    sure = list(size.next_steps(answer(exact=True), SizeQuery(), True, OPTIONS))
    assert sure == [
        "xcomctl rehearse --airflow 2.11.2 --threshold 1600000 --journal j",
        "xcomctl decide --out docs/decisions/offload.md -D prod",
    ]
    near = list(size.next_steps(doubtful(), SizeQuery(), False, OPTIONS))
    assert near[0].startswith("xcomctl size --threshold 1600000 -d dag -D prod --base-path s3://c@b/xcom  #")
    assert near[0].endswith("exactly, from there")
    assert near[1].startswith("xcomctl size --trip -D prod")
    told = list(size.next_steps(doubtful(), SizeQuery(thresholds=(1_600_000,)), True, OPTIONS))
    assert not any("size" in step for step in told)
    assert list(size.next_steps(answer(suggested=None), SizeQuery(), False, OPTIONS)) == []
    assert "everything" in next(size.next_steps(answer(), SizeQuery(sample=0.05), True, OPTIONS))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("postgresql+psycopg2://u:secret@replica:5432/airflow?sslmode=require", "replica:5432"),
        ("postgresql://u:it's se/cr@et@replica/airflow", "replica"),
        ("mysql+pymysql://replica/airflow", "replica"),
        ("sqlite:////home/secret.db", "another database"),
        ("nonsense", "nonsense"),
    ],
)
def test_of_a_replica_s_url_the_host_alone_is_told(url, host):
    assert size.host_of(url) == host
    found = size.report(SizeQuery(database_url=url), answer(), "local", None, None, OPTIONS)
    assert found.query["database_url"] == host


def test_a_sample_that_drew_nothing_is_inconclusive():
    drawn = size_samples.sampled().answer.sampled
    assert drawn is not None
    found = answer(thresholds=(), offloaded=None, sampled=dataclasses.replace(drawn, rows=0))
    assert size.verdict(found, ()) is Verdict.INCONCLUSIVE


def test_what_an_earlier_preflight_found_is_shown_and_not_judged_again():
    earlier = size.Tripped(
        (check("metadata_keys", Status.FAIL, count=3),), "2026-01-01T00:00:00+00:00", "a pre-flight in the journal"
    )
    found = size.report(SizeQuery(), answer(thresholds=(), offloaded=None), "local", None, earlier, OPTIONS)
    assert (found.verdict, found.checks_at) == ("ok", earlier.at) and found.checks == earlier.checks


def test_not_even_the_host_is_told_where_a_password_stands_behind_it():
    assert size.host_of("postgresql://h/db?user=u&password=pa@ss") == "another database"
    assert size.host_of("postgresql://u@h/db?PASSFILE=/x") == "another database"
