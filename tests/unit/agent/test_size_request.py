"""What of a replica's URL may be a part of its password."""

from __future__ import annotations

import pytest

from xcomctl.agent.requests.size import _secrets


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://u:ab@sesame@h/db", {"ab@sesame", "ab", "sesame"}),
        ("postgresql://u:a%40b@h/db", {"a%40b", "a@b", "a", "b"} - {"a", "b"}),
        ("postgresql://h/db?user=u&password=pa@ss&sslmode=require", {"pa@ss", "pa", "ss"}),
        ("mysql+pymysql://h/db?passwd=one:two", {"one:two", "one", "two"}),
    ],
)
def test_every_part_that_a_driver_may_quote_is_known(url, parts):
    assert parts <= set(_secrets(url))


def test_where_there_is_none_nothing_is_taken_out():
    assert _secrets("postgresql://u@h/db?sslmode=require") == _secrets("sqlite:////x.db") == []
