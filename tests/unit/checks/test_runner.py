"""How checks are selected, run, timed and survived."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks import interface
from xcomctl.checks.interface import CheckSpec, Finding, Subject, Unusable
from xcomctl.checks.runner import SelectionError, run, select, within
from xcomctl.model.preflight import CONFIG, FUNCTIONAL, IN_TASK, STORE, PreflightOptions
from xcomctl.model.verdicts import Check, Status


def spec(check_id: str, finding: Finding | Exception | None = None, **fields: Any) -> CheckSpec:
    def found(subject: Subject) -> Finding | None:
        if isinstance(finding, Exception):
            raise finding
        return finding

    return CheckSpec(**{"id": check_id, "category": CONFIG, "title": f"{check_id} is fine", "run": found, **fields})


FINE = interface.ok("fine")


def subject(**options: Any) -> Subject:
    def nobody(request: str, params: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        raise AssertionError("not asked for")

    return Subject(PreflightOptions(**options), nobody, lambda message, done, total: None)


def outcomes(*specs: CheckSpec, asked: Subject | None = None, selected: list[CheckSpec] | None = None) -> list[Check]:
    return list(run(specs, list(specs) if selected is None else selected, asked or subject()))


def test_outcomes_carry_what_the_check_is_and_what_it_found() -> None:
    (check,) = outcomes(spec("one", interface.fail("expected 1, got 2", "set it to 1", data_is="here")))
    assert (check.id, check.category, check.title) == ("one", CONFIG, "one is fine")
    assert (check.status, check.detail, check.hint) == (Status.FAIL, "expected 1, got 2", "set it to 1")
    assert check.data == {"data_is": "here"}
    assert check.duration_ms is not None and check.duration_ms >= 0


def test_what_is_ok_needs_no_hint() -> None:
    broken, fine = outcomes(
        spec("broken", interface.fail("no", "this mends it")), spec("fine", Finding(Status.OK, "fine", "mend it"))
    )
    assert (broken.hint, fine.hint) == ("this mends it", "")


def test_what_is_not_there_is_not_reported() -> None:
    assert outcomes(spec("nothing", None), spec("elsewhere", FINE, applies=lambda subject: False)) == []


def test_what_a_failed_check_established_is_not_tried() -> None:
    broken, next_one, last = outcomes(
        spec("bucket", interface.fail("no bucket", "create it")),
        spec("put", FINE, needs=("bucket",)),
        spec("get", FINE, needs=("put",)),
    )
    assert broken.status is Status.FAIL
    assert (next_one.status, next_one.detail) == (Status.SKIP, "needs bucket, which failed")
    # The root of it is named, not the link before.
    assert (last.status, last.detail) == (Status.SKIP, "needs bucket, which failed")
    # It is said once what mends it.
    assert [check.hint for check in (broken, next_one, last)] == ["create it", "", ""]


def test_what_could_not_be_measured_carries_on_as_such() -> None:
    _, after, last = outcomes(
        spec("database", interface.skip("no database")),
        spec("rows", FINE, needs=("database",)),
        spec("trip", FINE, needs=("rows",)),
    )
    for check in (after, last):
        assert (check.status, check.detail) == (Status.SKIP, "needs database, which could not be measured")


def test_a_warning_stands_in_nobodys_way() -> None:
    assert [check.status for check in outcomes(spec("a", interface.warn("hm")), spec("b", FINE, needs=("a",)))] == [
        Status.WARN,
        Status.OK,
    ]


def test_what_is_needed_runs_without_being_asked_for_and_without_being_shown() -> None:
    specs = [
        spec("bucket", interface.fail("no bucket", "create it")), spec("put", FINE, needs=("bucket",)), spec("other", FINE)
    ]  # fmt: skip
    (only,) = outcomes(*specs, selected=[specs[1]])
    assert (only.id, only.status) == ("put", Status.SKIP)
    assert (only.detail, only.hint) == ("needs bucket, which failed: no bucket", "create it")


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (AirflowUnusable("no such connection", "airflow connections add"), "no such connection"),
        (Unusable("cannot import", "airflow connections add"), "cannot import"),
        (ZeroDivisionError("division by zero"), "the check itself failed: ZeroDivisionError: division by zero"),
    ],
)
def test_a_check_that_raises_is_a_fail_and_the_others_run(error: Exception, detail: str) -> None:
    raised, after = outcomes(spec("raises", error), spec("after", FINE))
    assert (raised.status, raised.detail) == (Status.FAIL, detail)
    assert after.status is Status.OK


def test_what_hangs_is_a_fail_after_the_time_it_has() -> None:
    def hang(subject: Subject) -> Finding:
        time.sleep(60)
        raise AssertionError("nobody waits that long")

    started = time.monotonic()
    hung, after = outcomes(
        spec("hangs", run=hang, waits=True), spec("after", FINE, needs=("hangs",)), asked=subject(timeout_s=0.2)
    )
    assert time.monotonic() - started < 30
    assert (hung.status, hung.detail) == (Status.FAIL, "no answer within 0.2 s")
    assert "--timeout" in hung.hint
    assert after.status is Status.SKIP


def test_within_hands_on_results_and_errors() -> None:
    assert within(10, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(10, lambda: 1 // 0)


class Enough(BaseException):
    """Nobody waits any more."""


def no_more() -> None:
    raise Enough


def test_a_check_that_nobody_waits_for_may_come_to_its_end() -> None:
    done = []

    def clean_up() -> None:
        time.sleep(0.6)
        done.append("removed")

    with pytest.raises(Enough):
        within(60, clean_up, no_more)
    assert done == ["removed"]


def test_one_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xcomctl.checks.runner._END_S", 0.3)
    started = time.monotonic()
    with pytest.raises(Enough):
        within(60, lambda: time.sleep(60), no_more)
    assert time.monotonic() - started < 30


def test_secrets_that_a_check_learnt_are_in_nothing_that_is_said() -> None:
    asked = subject()
    asked.keep_secret("hunter2-and-more", "ab", None)
    (check,) = outcomes(
        spec(
            "a", interface.fail("got hunter2-and-more", "use hunter2-and-more", seen=["hunter2-and-more", {"k": "ab"}])
        ),
        asked=asked,
    )
    assert "hunter2" not in f"{check.to_json()}"
    assert (check.detail, check.hint) == ("got ***", "use ***")
    assert check.data == {"seen": ["***", {"k": "ab"}]}


def test_selection_by_id_and_by_category() -> None:
    specs = [spec("a"), spec("b", category=STORE), spec("c", category="round trip")]

    def chosen(**options: Any) -> str:
        return "".join(each.id for each in select(specs, PreflightOptions(**options)))

    assert chosen() == "abc"
    assert chosen(only=("b",)) == "b"
    assert chosen(only=("round-trip", "a")) == "ac"
    assert chosen(skip=("round trip",)) == "ab"
    assert chosen(only=("store", "a"), skip=("a",)) == "b"


def test_what_has_to_be_asked_for_is_not_run_otherwise() -> None:
    specs = [spec("a"), spec("put", asked_by=FUNCTIONAL), spec("task", asked_by=IN_TASK)]

    def chosen(**options: Any) -> list[str]:
        return [each.id for each in select(specs, PreflightOptions(**options))]

    assert chosen() == ["a"]
    assert chosen(functional=True) == ["a", "put"]
    assert chosen(in_task=True) == ["a", "task"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"only": ("nonsense",)}, "no check 'nonsense'"),
        ({"skip": ("nonsense",)}, "no check 'nonsense'"),
        ({"only": ("put",)}, "--functional-s3"),
        ({"only": ("store",)}, "--functional-s3"),
        ({"only": ("a",), "skip": ("a",)}, "no check is left"),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    specs = [spec("a"), spec("put", category=STORE, asked_by=FUNCTIONAL)]
    with pytest.raises(SelectionError, match=said):
        select(specs, PreflightOptions(**options))


def test_a_check_without_a_task_side_is_left_out_of_a_task() -> None:
    specs = [spec("a"), spec("rows", in_task=False)]
    assert [each.id for each in select(specs, PreflightOptions(in_task=True))] == ["a"]
