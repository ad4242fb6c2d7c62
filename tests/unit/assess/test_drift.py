"""Drift: who has what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.preflight_samples import PATH, answer
from xcomctl.assess.drift import CHECK_ID, drift
from xcomctl.model.phases import BASE_XCOM, DEFAULT_BASE_XCOM, Line
from xcomctl.model.preflight import ContextReport
from xcomctl.model.verdicts import Check, Status


def of(**contexts: Any) -> Check:
    found = drift([ContextReport(name, (), each) for name, each in contexts.items()])
    assert found is not None and found.id == CHECK_ID
    return found


def test_one_context_is_no_fleet() -> None:
    assert drift([ContextReport("scheduler", (), answer())]) is None


def test_the_same_everywhere() -> None:
    assert of(scheduler=answer(), worker=answer()).status is Status.OK


@pytest.mark.parametrize(
    ("setting", "value", "said", "variable"),
    [
        ("path", "", f"xcom_objectstorage_path: {PATH} in scheduler, nothing in worker", "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"),
        ("threshold", -1, "xcom_objectstorage_threshold: 1600000 in scheduler, -1 in worker", "_THRESHOLD"),
        ("backend", BASE_XCOM, "BaseXCom in worker", "AIRFLOW__CORE__XCOM_BACKEND"),
        ("compression", "gzip", "xcom_objectstorage_compression: nothing in scheduler, gzip in worker", "_COMPRESSION"),
    ],
)  # fmt: skip
def test_a_difference_names_who_has_what(setting: str, value: Any, said: str, variable: str) -> None:
    found = of(scheduler=answer(), worker=answer(**{setting: value}))
    assert found.status is Status.FAIL
    assert said in found.detail
    assert variable in found.hint
    assert set(found.data) == {setting}


def test_two_against_one() -> None:
    found = of(scheduler=answer(), worker=answer(path="x"), triggerer=answer())
    assert f"{PATH} in scheduler and triggerer, x in worker" in found.detail


def test_names_of_airflows_own_class_are_one_value() -> None:
    spelled = {"backend": BASE_XCOM}, {"backend": DEFAULT_BASE_XCOM[Line.AF3]}, {"backend": ""}
    assert of(a=answer(**spelled[0]), b=answer(**spelled[1]), c=answer(**spelled[2])).status is Status.OK


def test_spellings_that_mean_the_same_are_one_value() -> None:
    assert of(a=answer(), b=answer(path=f"{PATH}/"), c=answer(compression=None)).status is Status.OK
    assert of(a=answer(threshold="-1"), b=answer(threshold=-1), c=answer(threshold=None)).status is Status.OK


def test_what_differs_is_named_in_the_first_spelling() -> None:
    found = of(a=answer(path=f"{PATH}/"), b=answer(path="x"), c=answer())
    assert (found.status, f"{PATH}/ in a and c, x in b" in found.detail) == (Status.FAIL, True)


def test_what_cannot_be_read_is_a_value_of_its_own() -> None:
    found = of(a=answer(), b=answer(errors={"threshold": "ValueError: 1.6e+06"}))
    assert "unreadable (ValueError: 1.6e+06) in b" in found.detail


def test_other_versions_are_a_warning() -> None:
    found = of(a=answer(), b=answer(airflow="3.2.0"))
    assert (found.status, "Airflow 3.2.0" in found.detail) == (Status.WARN, True)


def test_what_did_not_answer_is_not_reported_as_equal() -> None:
    found = of(a=answer(), b=answer(), c=None)
    assert (found.status, "1 did not answer" in found.detail) == (Status.SKIP, True)
    assert of(a=answer(), b=None).status is Status.SKIP


def test_a_difference_counts_whoever_is_silent() -> None:
    assert of(a=answer(), b=answer(path=""), c=None).status is Status.FAIL
