"""What is said of each section: missing, stale, about something else, failed; and which risks follow."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any

import pytest

from tests.support.preflight_samples import PATH, WRONG_PATH, check
from tests.unit.assess import decision_samples as made
from xcomctl.assess import decision_terms
from xcomctl.assess.decision_choice import Said, choose
from xcomctl.assess.decision_judged import judge
from xcomctl.assess.decision_risks import risks
from xcomctl.assess.decision_terms import Terms
from xcomctl.model import decision
from xcomctl.model.decision import Evidence, Judged, PlanSeen, PreflightSeen, RehearsalSeen, State
from xcomctl.model.size import SizeReport
from xcomctl.model.verdicts import Status, Verdict

OK, WARN, FAIL, SKIP = Status.OK, Status.WARN, Status.FAIL, Status.SKIP
READERS: Mapping[str, Any] = {
    "size": SizeReport.from_json, "preflight": PreflightSeen.from_json, "rehearsal": RehearsalSeen.from_json,
    "up": PlanSeen.from_json,
}  # fmt: skip


def judged(said: Said = Said(by="Ann"), **changes: Any) -> tuple[dict[str, Judged], tuple[str, ...]]:  # noqa: B008
    """What is said where everything is well but for what is given: a record, or ``None`` for what is missing."""
    records = {
        "size": made.size(), "preflight": made.preflight(), "rehearsal": made.rehearsal(), "up": made.plan(up=True),
        **changes,
    }  # fmt: skip
    evidence = Evidence(**{name: READERS[name](record) for name, record in records.items() if record is not None})
    now = datetime.datetime.now(UTC)
    choice = choose(said, State(), evidence, now.date())
    path = decision_terms.base_path(evidence, None)
    name = decision_terms.deployment(evidence, made.NAME)
    terms = Terms(choice.threshold, name, path, timedelta(days=7), now, " -D prod")
    found = judge(evidence, choice, terms, "xcomctl decide --out x.md")
    return found, risks(evidence, choice, found, terms)


def bad(found: dict[str, Judged]) -> dict[str, Status]:
    return {name: each.check.status for name, each in found.items() if each.check.status is not OK}


def test_all_is_well():
    found, open_risks = judged()
    assert bad(found) == {} and tuple(found) == decision.JUDGED
    assert not any("Does not count" in risk or "differs" in risk for risk in open_risks)


@pytest.mark.parametrize(
    ("missing", "sections", "command"),
    [
        ("size", {"measured": SKIP, "thresholds": SKIP}, "xcomctl size --threshold 1600000 -D prod"),
        ("preflight", {"preflight": SKIP}, f"xcomctl preflight --planned --phase offload --expect-path {PATH} --expect-threshold 1600000 --functional-s3 -D prod"),
        ("rehearsal", {"rehearsal": SKIP}, "xcomctl rehearse --airflow 3.3.2 --threshold 1600000"),
        ("up", {"plan-up": SKIP}, f"xcomctl plan --to offload --path {PATH} --threshold 1600000 -D prod -o json > plan-up.json"),
    ],
)  # fmt: skip
def test_what_is_missing_says_what_makes_it(missing, sections, command):
    found, open_risks = judged(Said(made.THRESHOLD, "Ann"), **{missing: None})
    assert bad(found) == sections
    for name in sections:
        assert found[name].commands == (command,) and found[name].said[0].startswith("Missing: ")
        assert any(risk.startswith(decision.TITLES[name]) for risk in open_risks)


OLD = made.ago(days=8)


def measured_on(airflow: str) -> dict[str, Any]:
    record = made.size()
    return {**record, "answer": {**record["answer"], "airflow": airflow}}


def of_class(name: str) -> dict[str, Any]:
    record = made.preflight()
    for context in record["contexts"]:
        context["target"]["backend"] = name
    return record


@pytest.mark.parametrize(
    ("changes", "section", "said"),
    [
        ({"size": made.size(OLD)}, "measured", "stale"),
        ({"preflight": made.preflight(at=OLD)}, "preflight", "stale"),
        ({"rehearsal": made.rehearsal(OLD)}, "rehearsal", "stale"),
        ({"up": made.plan(up=True, at=OLD)}, "plan-up", "stale"),
        ({"preflight": made.preflight(threshold=20_000)}, "preflight", "about the threshold 20,000, and 1,600,000 is chosen"),
        ({"preflight": made.preflight(only=("store",))}, "preflight", "of store alone"),
        ({"rehearsal": made.rehearsal(threshold=20_000)}, "rehearsal", "about the threshold 20,000"),
        ({"rehearsal": made.rehearsal(airflow="3.2.9")}, "rehearsal", "with Airflow 3.2.9, and the contexts run 3.3.2"),
        ({"rehearsal": made.rehearsal(scenarios=("runbook",))}, "rehearsal", "without soft"),
        ({"up": made.plan(up=True, threshold=20_000)}, "plan-up", "about the threshold 20,000"),
        ({"up": made.plan(up=True, deployment="dev")}, "plan-up", "about the deployment dev, and this is about prod"),
        ({"size": made.size(made.ago(days=-1))}, "measured", "dated in the future"),
        ({"up": made.plan(up=True, at=made.ago(hours=-1))}, "plan-up", "dated in the future"),
        ({"size": made.size(verdict="failed")}, "measured", "it ended failed"),
        ({"size": made.size(verdict="refused")}, "measured", "it ended refused"),
        ({"size": made.size(query={"dag_id": "load", "states": ["success", "failed"]})}, "measured", "narrowed to the DAG load, runs that are success or failed"),
        ({"size": made.size(query={"since": "2026-11-01"})}, "measured", "narrowed to what was pushed since 2026-11-01"),
        ({"size": measured_on("2.11.2")}, "measured", "on Airflow 2.11.2, and the pre-flight found 3.3.2"),
        ({"size": measured_on("2.11.2"), "preflight": None}, "rehearsal", "with Airflow 3.3.2, and the contexts run 2.11.2"),
        ({"rehearsal": made.rehearsal(codec="gzip")}, "rehearsal", "made differently: compression: rehearsed with gzip, planned with none"),
        ({"preflight": of_class("my.Backend")}, "rehearsal", "made differently: backend: rehearsed with"),
        ({"preflight": made.preflight(path="s3://other@x/y")}, "plan-up", "about the base path"),
    ],
)  # fmt: skip
def test_what_does_not_count_says_why(changes, section, said):
    found, open_risks = judged(**changes)
    assert found[section].check.status is WARN
    assert said in " ".join(found[section].said) and found[section].said[0].startswith("Does not count: ")
    assert found[section].commands and any(said in risk for risk in open_risks)


def test_a_trailing_slash_is_the_same_base_path():
    assert bad(judged(preflight=made.preflight(path=f"{PATH}/"))[0]) == {}


def test_a_refused_plan_is_not_ok():
    record = {**made.plan(up=True), "verdict": Verdict.REFUSED.value}
    assert bad(judged(up=record)[0]) == {"plan-up": WARN}


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("failed", FAIL), ("inconclusive", SKIP), ("interrupted", SKIP), ("refused", SKIP), ("warnings", OK)],
)
def test_how_pre_flight_and_rehearsal_ended(verdict, status):
    for name, record in (("preflight", made.preflight()), ("rehearsal", made.rehearsal())):
        found, _ = judged(**{name: {**record, "verdict": verdict}})
        assert found[name].check.status is status and set(bad(found)) == ({name} if status is not OK else set())


def test_a_measurement_that_could_not_tell_every_size_is_incomplete():
    found, _ = judged(size=made.size(verdict="inconclusive"))
    assert bad(found) == {"measured": WARN} and found["measured"].said[0].startswith("Incomplete: ")


def test_below_the_floor_is_a_fail_with_or_without_a_measurement():
    found, open_risks = judged(Said(2_000, "Ann"))
    assert found["decision"].check.status is found["thresholds"].check.status is FAIL
    assert any("below the floor" in risk for risk in open_risks)
    assert judged(Said(2_000, "Ann"), size=None)[0]["decision"].check.status is FAIL


def test_a_threshold_that_was_not_measured():
    found, open_risks = judged(Said(1_234_567, "Ann"))
    assert (
        found["thresholds"].check.status is WARN
        and "1,234,567 bytes do was not measured" in found["thresholds"].said[0]
    )
    assert "The threshold is 1,234,567 bytes, and the measurement suggests 1,600,000." in open_risks


def test_nobody_decided():
    found, open_risks = judged(Said())
    assert bad(found) == {"decision": SKIP} and "Nobody has decided yet." in open_risks


def test_the_risks_of_a_pre_flight_that_failed_and_left_something_out():
    _, found = judged(preflight=made.preflight(WRONG_PATH, check("store_write", SKIP, "no store"), skip=("metadata",), functional=False))  # fmt: skip
    said = "\n".join(found)
    for part in (f"Pre-flight FAIL config_path in scheduler: {WRONG_PATH.detail}", "SKIP store_write in scheduler: no store",
                 "leave out metadata", "did not try the store"):  # fmt: skip
        assert part in said


def test_a_rehearsal_of_another_patch_version_or_without_a_fingerprint_is_a_risk():
    assert any(
        "airflow: rehearsed with 3.3.1, planned with 3.3.2" in risk
        for risk in judged(rehearsal=made.rehearsal(airflow="3.3.1"))[1]
    )
    record = made.rehearsal()
    _, open_risks = judged(rehearsal={**record, "fingerprint": {}})
    assert any("cannot be compared" in risk for risk in open_risks)


def test_values_that_cannot_make_the_trip_uncertain_ones_and_a_sample_are_risks():
    from tests.unit.report import size_samples

    _, typical = judged()
    assert any("metadata_json_strings (14)" in risk for risk in typical)
    for sample, word in ((size_samples.sampled, "sample"), (size_samples.uncertain, "may reach the threshold")):
        record = {**sample().to_json(), "at": made.ago(hours=1), "deployment": made.NAME}
        assert any(word in risk for risk in judged(size=record)[1]), word


@pytest.mark.parametrize(
    ("line", "effect", "is_told"),
    [
        ("3", {"exact": False}, True),
        ("3", {"exact": False, "uncertain": 2}, False),  # looked at, and cannot be told better
        ("3", {"exact": True}, False),
        ("2", {"exact": False}, False),  # a sample
    ],
)
def test_on_3_a_threshold_near_which_nobody_measured_is_incomplete(line, effect, is_told):
    record = made.size()
    record["answer"]["exact"] = line == "2"
    for each in record["answer"]["suggestions"]:
        each["effect"].update(effect)
    found, _ = judged(size=record)
    assert bad(found) == ({"thresholds": WARN} if is_told else {})
    if is_told:
        assert found["thresholds"].said == ("Incomplete: not measured exactly near 1,600,000 bytes.",)
        assert found["thresholds"].commands == ("xcomctl size --threshold 1600000 -D prod",)


def test_an_exact_figure_counts_whichever_list_it_stands_in():
    record = made.size()
    asked = {**record["answer"]["suggestions"][0]["effect"], "exact": False}
    record["answer"]["thresholds"].append(asked)
    assert bad(judged(size=record)[0]) == {}


@pytest.mark.parametrize(
    ("there", "airflow"),
    [({"size": None, "up": None}, "3.3.2"), ({"preflight": None, "up": None}, "3.3.2"), ({"size": None, "preflight": None}, "3.3.2"), ({"size": None, "preflight": None, "up": None, "rehearsal": made.rehearsal(OLD, airflow="3.1.0")}, "3.1.0")],
)  # fmt: skip
def test_the_rehearsal_that_is_printed_is_of_the_airflow_that_is_known(there, airflow):
    found, _ = judged(Said(made.THRESHOLD, "Ann"), **{"rehearsal": made.rehearsal(OLD), **there})
    assert found["rehearsal"].commands == (f"xcomctl rehearse --airflow {airflow} --threshold 1600000",)


def test_a_gate_of_the_plan_that_failed_is_a_risk():
    _, open_risks = judged(up=made.plan(up=True, gate=check("gate_rehearsal", FAIL, "none")))
    assert "Plan inline → dual-read, FAIL gate_rehearsal: none" in open_risks
