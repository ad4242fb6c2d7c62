"""What becomes of a value: a table of what helm 3.17.2 and 4.3.1 rendered, which were the same."""

from __future__ import annotations

import pytest

from xcomctl.deployment.carriers.yaml_nodes import parsed
from xcomctl.deployment.carriers.yaml_values import Reading, Way, as_written, reading, scalar_text

#: As written; what ``quote`` and ``toString`` made of it; whether that is something else than it looks like.
RENDERED = [
    ("1600000", "1.6e+06", True),
    ("999999", "999999", False),
    ("1_600_000", "1.6e+06", True),
    ("1000000", "1e+06", True),
    ("1234567", "1.234567e+06", True),
    ("1e6", "1e+06", True),
    ("0x186A00", "1.6e+06", True),
    ("0o6065000", "1.6e+06", True),
    ("1600000.0", "1.6e+06", True),
    ("+1600000", "1.6e+06", True),
    ("-1", "-1", False),
    ("-1600000", "-1.6e+06", True),
    ('"1600000"', "1600000", False),
    ("'1600000'", "1600000", False),
    ("!!str 1600000", "1600000", False),
    ("1.5", "1.5", False),
    (".5e7", "5e+06", True),
    ("010", "8", False),
    ("0b1101", "13", False),
    ("1_000", "1000", False),
    ("12345678901234567890", "1.2345678901234567e+19", True),
    ("yes", "true", True),
    ("y", "true", True),
    ("off", "false", True),
    ("16:00", "16:00", False),
    ("s3://c@b/x", "s3://c@b/x", False),
    ("1600000 # why", "1.6e+06", True),
]


@pytest.mark.parametrize(("written", "rendered", "odd"), RENDERED)
def test_what_helm_prints(written: str, rendered: str, odd: bool) -> None:
    for way in (Way.PRINTED, Way.CONFIG):
        found = reading(parsed(written), way)
        assert (found.value, bool(found.unfit), found.unknown) == (rendered, odd, "")


@pytest.mark.parametrize(
    ("written", "way", "expected"),
    [
        ("1600000", Way.MANIFEST, Reading("1600000", unfit="it is a number, and Kubernetes takes strings alone")),
        ("true", Way.MANIFEST, Reading("true", unfit="it is a boolean, and Kubernetes takes strings alone")),
        ("1600000", Way.COMPOSE, Reading("1600000")),
        ("true", Way.COMPOSE, Reading("true", unfit="it is a boolean, which compose refuses")),
        ("s3://c@b/a$$b", Way.COMPOSE, Reading("s3://c@b/a$b")),
        ("${P}", Way.COMPOSE, Reading(None, unknown="it names another variable")),
        ("", Way.COMPOSE, Reading(None, unknown="it comes from the environment of whoever runs compose")),
        ("s3://c@b/a%%2Fb", Way.CONFIG, Reading("s3://c@b/a%2Fb")),
        ("s3://$(BUCKET)/x", Way.PRINTED, Reading(None, unknown="it names another variable")),
        ("'{{ .Values.x }}'", Way.CONFIG, Reading(None, unknown="it is templated")),
        ("~", Way.PRINTED, Reading(None)),
        # No numbers, though they begin as some.
        ("0x_", Way.PRINTED, Reading("0x_")),
        ("9" * 400, Way.PRINTED, Reading("9" * 400)),
        ("[a]", Way.PRINTED, Reading(None, unknown="it is no plain text")),
        ("!vault x", Way.PRINTED, Reading(None, unknown="it is tagged")),
    ],
)
def test_the_other_ways(written: str, way: Way, expected: Reading) -> None:
    node = parsed(f"k: {written}\n")
    assert node is not None
    assert reading(node.entries[0][1], way) == expected  # type: ignore[attr-defined]


def test_a_percent_sign_that_airflow_cannot_read() -> None:
    assert "%%" in reading(parsed("s3://c@b/a%2Fb"), Way.CONFIG).unknown


@pytest.mark.parametrize(
    "value", ["s3://c@b/a%2Fb", "-1", "", "it's", 'a"b\\c', "yes", "a: b", "x #y", "a:", "null", "$x"]
)
@pytest.mark.parametrize("style", ["", "'", '"'])
@pytest.mark.parametrize("way", Way)
def test_what_is_written_is_read_again(value: str, style: str, way: Way) -> None:
    node = parsed(f"[{scalar_text(as_written(value, way), style)}]")
    assert node is not None
    assert reading(node.items[0], way) == Reading(value)  # type: ignore[attr-defined]
