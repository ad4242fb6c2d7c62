"""The records on the wire: there and back, and what is missing is named."""

from __future__ import annotations

import json

import pytest

from xcomctl.agent import registry
from xcomctl.agent.context import RequestError
from xcomctl.model import requests
from xcomctl.model.requests import (
    ClearAnswer,
    ClearedInstance,
    Identity,
    Read,
    ReadAnswer,
    Resolution,
    ResolvedSetting,
    WriteAnswer,
    Written,
)

RECORDS = [
    Identity(
        "3.11.7", "/python", "3.3.2", "3", {"common.io": "1.11.0"}, "2.1.9", "sqlite", None, False, "host", 7, ("w",)
    ),
    Resolution(
        ResolvedSetting("a.B", "AIRFLOW__CORE__XCOM_BACKEND"),
        ResolvedSetting(None, None),
        ResolvedSetting("1.6e+06", "airflow.cfg", "ValueError: no"),
        ResolvedSetting("", "provider default"),
        None,
        "ImportError: no",
        "misconfigured",
        "because",
    ),
    ClearAnswer((ClearedInstance("t", -1, None), ClearedInstance("t", 3, "success")), "queued"),
    WriteAnswer(
        (Written("small", "value", {"json": 1}), Written("x", "nothing", None, error={"type": "E", "message": ""}))
    ),
    ReadAnswer((Read("small", "value", "int", "ab", "1", True, False),)),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_there_and_back(record: requests.Record) -> None:
    assert type(record).from_json(json.loads(json.dumps(record.to_json()))) == record


def test_unknown_fields_are_ignored_and_missing_ones_named() -> None:
    assert ResolvedSetting.from_json({"value": 1, "source": None, "later": 2}) == ResolvedSetting(1, None)
    with pytest.raises(ValueError, match="'source' is missing"):
        ResolvedSetting.from_json({"value": 1})


def test_every_request_has_a_module_that_imports_without_airflow() -> None:
    assert set(registry.MODULES) == set(requests.REQUESTS)
    for name in requests.REQUESTS:
        assert callable(registry.handler(name))
    with pytest.raises(RequestError, match="knows no request 'nope'"):
        registry.handler("nope")
