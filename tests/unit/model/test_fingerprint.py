from __future__ import annotations

import json
from dataclasses import replace

import pytest

from xcomctl.model.fingerprint import Fingerprint, Severity, compare, fingerprint_of, minor
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND

MADE = fingerprint_of(OBJECT_STORAGE_BACKEND, "s3://c@bucket/xcom", 1_600_000, "", "3.3.2", "1.11.0")

CASES = [
    ("backend", "my.Backend", Severity.REFUSE),
    ("threshold", 1_600_001, Severity.REFUSE),
    ("airflow", "3.2.9", Severity.REFUSE),
    ("airflow", "2.3.2", Severity.REFUSE),
    ("airflow", "3.3.1", Severity.WARN),
    ("common_io", "1.10.0", Severity.REFUSE),
    ("common_io", "1.11.1", Severity.WARN),
    ("path_scheme", "gs", Severity.WARN),
    ("compression", "gzip", Severity.WARN),
]


def test_equal_ones_differ_in_nothing():
    assert compare(MADE, MADE) == []
    assert (MADE.path_scheme, MADE.compression) == ("s3", None)


@pytest.mark.parametrize(("field", "value", "severity"), CASES)
def test_one_difference(field, value, severity):
    planned = replace(MADE, **{field: value})
    [difference] = compare(MADE, planned)
    assert (difference.field, difference.severity, difference.planned) == (field, severity, value)
    assert str(value) in difference.sentence
    assert (planned.digest != MADE.digest) is (severity is Severity.REFUSE)


def test_what_refuses_comes_first():
    planned = replace(MADE, compression="gzip", threshold=5, common_io="1.11.9")
    assert [each.severity for each in compare(MADE, planned)] == [Severity.REFUSE, Severity.WARN, Severity.WARN]


def test_json_and_its_digest():
    record = json.loads(json.dumps(MADE.to_json()))
    assert Fingerprint.from_json(record) == MADE
    with pytest.raises(ValueError, match="digest"):
        Fingerprint.from_json({**record, "threshold": 5})
    for broken in (
        {},
        {**record, "schema": "x"},
        {key: record[key] for key in record if key != "airflow"},
        {**record, "threshold": "5"},
    ):
        with pytest.raises(ValueError):
            Fingerprint.from_json(broken)


def test_minor():
    assert [minor(text) for text in ("3.3.2", "3.10.0rc1", "1.11", "2.11.2+local", "dev")] == [
        "3.3",
        "3.10",
        "1.11",
        "2.11",
        "dev",
    ]
