"""What the differences of a round trip amount to: only what is named, and hits nothing alive, is a warning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from xcomctl.checks import round_trip
from xcomctl.checks.interface import Subject, TimedOut
from xcomctl.checks.round_trip import CHECKS, judged
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.requests import ControlFlowAnswer, Difference
from xcomctl.model.settings import Settings
from xcomctl.model.verdicts import Check, Status
from xcomctl.roundtrip.control_flow import corpus

BASE = "s3://store@bucket/xcom"
STEPS = ("store_put", "store_head", "store_get", "store_list", "store_delete")

F4 = Difference("digits-text", "'7'", "str '7'", "int 7", "'7' comes back as int 7", "F4")
TUPLES = Difference("tuple-in-list", "[(1,)]", "list", "list", "[(1,)] comes back as [[1]]", "F5", "tuples")
KEYS = Difference("date-keys", "{}", "dict", "TypeError", "{} cannot be pushed", "F5", "keys refused")
UNNAMED = Difference("branch-id", "'a'", "str 'a'", "str 'A'", "'a' comes back as str 'A'")


class Fixed(Subject):
    """A subject with settled settings, whose target answers what the test says and notes what it was asked."""

    def __init__(self, *answers: ControlFlowAnswer | Exception, target: Settings | None = None, **options: Any) -> None:
        super().__init__(PreflightOptions(**options), self._answer, lambda message, done, total: None)
        self.__dict__["target"] = target or Settings(OBJECT_STORAGE_BACKEND, BASE, 20_000, "20000")
        self.asked: list[Mapping[str, Any]] = []
        self._answers = list(answers)

    def _answer(self, name: str, params: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        assert (name, timeout_s) == ("control_flow", self.options.timeout_s)
        self.asked.append(params)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer.to_json()

    def found(self, check_id: str, status: Status = Status.OK, **data: Any) -> Subject:
        self.outcomes[check_id] = Check(check_id, "metadata", "title", status, data=data)
        return self


def answer(*differences: Difference, **more: Any) -> ControlFlowAnswer:
    return ControlFlowAnswer(50, differences, **more)


def test_no_difference_is_ok_and_says_how_many_values_there_were() -> None:
    found = judged(Fixed(answer()), answer(only_backend=("nan",)), "small")
    assert found.status is Status.OK
    assert found.detail == "50 small values come back as from BaseXCom, in value and type"
    assert found.data == {"values": 50, "differences": [], "only_backend": ["nan"]}


def test_a_named_defect_warns_and_a_missing_measurement_is_said() -> None:
    found = judged(Fixed(answer()), answer(F4), "small")
    assert found.status is Status.WARN
    assert "1 by F4, " in found.detail
    assert F4.sentence in found.detail
    assert "whether stored values are affected was not measured: metadata_json_strings did not run" in found.detail
    assert "common-io<1.5.4" in found.hint
    assert found.data["differences"] == [F4.to_json()]


def test_a_named_defect_fails_when_it_hits_stored_values() -> None:
    subject = Fixed(answer()).found("metadata_json_strings", Status.FAIL, count=12)
    found = judged(subject, answer(F4), "small")
    assert found.status is Status.FAIL
    assert "stored values affected: 12, see metadata_json_strings" in found.detail


def test_what_stored_values_only_suggest_stays_a_warning_with_their_number() -> None:
    subject = Fixed(answer()).found("metadata_keys", Status.WARN, count=12)
    found = judged(subject, answer(KEYS), "small")
    assert found.status is Status.WARN
    assert "stored values that may be affected: 12, see metadata_keys" in found.detail


@pytest.mark.parametrize(
    ("status", "data", "words"),
    [
        (Status.OK, {"count": 0}, "stored values affected: none, says metadata_json_strings"),
        (Status.SKIP, {"count": 3}, "was not measured"),
        (Status.FAIL, {"crashed": True}, "was not measured"),
    ],
)
def test_a_named_defect_warns_when_none_is_known_to_be_hit(status: Status, data: dict[str, Any], words: str) -> None:
    found = judged(Fixed(answer()).found("metadata_json_strings", status, **data), answer(F4), "small")
    assert found.status is Status.WARN
    assert words in found.detail


def test_another_defects_stored_values_do_not_count() -> None:
    found = judged(Fixed(answer()).found("metadata_json_strings", count=9), answer(TUPLES), "offloaded")
    assert found.status is Status.WARN
    assert "what is stored already is not affected" in found.detail


def test_a_named_defect_fails_when_strict() -> None:
    assert judged(Fixed(answer(), strict=True), answer(TUPLES), "offloaded").status is Status.FAIL


def test_an_unnamed_difference_fails_and_each_is_told() -> None:
    other = Difference("one", "1", "int 1", "int 2", "1 comes back as int 2")
    found = judged(Fixed(answer()), answer(F4, UNNAMED, other), "small")
    assert found.status is Status.FAIL
    assert f"2 for no known reason: {UNNAMED.sentence}; {other.sentence}\n1 by F4" in found.detail
    assert found.hint.startswith("do not flip: ")


def test_three_examples_of_a_kind_are_shown_and_all_are_in_the_data() -> None:
    many = [Difference(str(n), f"'{n}'", "", "", f"text {n} changes", "F4") for n in range(5)]
    found = judged(Fixed(answer()), answer(*many), "small")
    assert "5 by F4" in found.detail
    assert [f"text {n} changes" in found.detail for n in range(5)] == [True, True, True, False, False]
    assert len(found.data["differences"]) == 5


def test_a_threshold_that_cannot_be_set_is_inconclusive() -> None:
    found = judged(Fixed(answer()), ControlFlowAnswer(0, (), unmeasured="no such function"), "offloaded")
    assert (found.status, found.detail) == (Status.SKIP, "no such function")


def test_an_object_that_stays_is_a_fail_whatever_came_back() -> None:
    found = judged(Fixed(answer()), answer(F4, left_behind=(f"{BASE}/x",)), "offloaded")
    assert found.status is Status.FAIL
    assert f"{BASE}/x" in found.detail


@pytest.mark.parametrize(
    ("functional", "failed", "with_store"),
    [(True, None, True), (False, None, False), *((True, step, False) for step in STEPS)],
)
def test_small_values_ask_the_store_only_where_that_was_allowed_and_works(
    functional: bool, failed: str | None, with_store: bool
) -> None:
    subject = Fixed(answer(), functional=functional)
    for step in STEPS:
        subject.found(step, Status.FAIL if step == failed else Status.OK)
    found = round_trip.run_inline(subject)
    assert found is not None
    params = subject.asked[0]
    asked = {name for each in subject.asked for name in each["values"]}
    own = {value.id for value in corpus(BASE, params["folder"]) if value.asks_store}
    assert asked & own == (own if with_store else set())
    assert params["with_store"] == with_store
    assert ("--functional-s3" in found.detail) != with_store
    assert (params["offloaded"], params["base_path"], params["threshold"]) == (False, BASE, 20_000)


def test_offloaded_values_are_asked_for_in_batches_of_one_folder() -> None:
    subject = Fixed(answer(), answer(TUPLES), answer(only_backend=("nan",)), functional=True)
    found = round_trip.run_offload(subject)
    assert found is not None
    assert found.status is Status.WARN
    assert len({params["folder"] for params in subject.asked}) == 1
    assert all(params["offloaded"] for params in subject.asked)
    asked = [name for params in subject.asked for name in params["values"]]
    assert asked == [value.id for value in corpus(BASE, subject.asked[0]["folder"])]
    assert max(len(params["values"]) for params in subject.asked) == round_trip.VALUES_AT_ONCE
    assert found.data["values"] == 50 * len(subject.asked)


@pytest.mark.parametrize(
    ("latency_ms", "requests", "timeout_s", "at_once"),
    [
        (0.0, None, 30.0, 16),
        (10.0, 1, 30.0, 16),
        (300.0, 1, 30.0, 7),
        (600.0, 2, 30.0, 7),
        (300.0, 1, 120.0, 16),
        (5_000.0, 1, 30.0, 1),
    ],
)
def test_the_farther_the_store_the_fewer_values_at_once(
    latency_ms: float, requests: int | None, timeout_s: float, at_once: int
) -> None:
    subject = Fixed(answer(), functional=True, timeout_s=timeout_s)
    subject.found("store_put", latency_ms=latency_ms, requests=requests).outcomes["store_get"] = Check(
        "store_get", "store", "title", Status.OK, data={"latency_ms": latency_ms / 2, "requests": requests}
    )
    round_trip.run_offload(subject)
    assert len(subject.asked[0]["values"]) == at_once
    assert at_once == 1 or latency_ms * 6 * at_once / (requests or 1) < timeout_s * 500


def test_the_store_is_not_blamed_on_values_while_a_permission_is_missing() -> None:
    (spec,) = [spec for spec in CHECKS if spec.id == "round_trip_offload"]
    assert set(STEPS) < set(spec.needs)


def test_a_store_that_hangs_half_way_names_what_may_be_left() -> None:
    subject = Fixed(answer(), TimedOut(), functional=True, timeout_s=7.0)
    found = round_trip.run_offload(subject)
    assert found is not None
    assert found.status is Status.FAIL
    assert "no answer within 7 s after 16 of " in found.detail
    assert f"{BASE}/{subject.asked[0]['folder']}" in found.detail
    assert "--timeout" in found.hint


@pytest.mark.parametrize(
    ("target", "applying"),
    [
        (Settings(BASE_XCOM, BASE, 20_000, "20000"), set()),
        (Settings(OBJECT_STORAGE_BACKEND, BASE, -1, "-1"), {"round_trip_inline"}),
        (Settings(OBJECT_STORAGE_BACKEND, BASE, 0, "0"), {"round_trip_inline", "round_trip_offload"}),
        (Settings("mine.Backend", BASE, 0, "0"), {"round_trip_inline", "round_trip_offload"}),
        (Settings(OBJECT_STORAGE_BACKEND, "", 0, "0"), set()),
        (Settings("mine.Backend", "", 0, "0"), set()),
    ],
)
def test_each_applies_to_the_phases_it_is_about(target: Settings, applying: set[str]) -> None:
    subject = Fixed(answer(), target=target)
    assert {spec.id for spec in CHECKS if spec.applies(subject)} == applying
