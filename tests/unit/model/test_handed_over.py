"""Path strings where data is expected: only what ends as the backend ends a path, wherever it stands."""

from __future__ import annotations

import json

import pytest

from xcomctl.model.handed_over import holds_path, path_in

BASE = "s3://store@bucket/xcom"
UUID = "01234567-89ab-cdef-0123-456789abcdef"
PATHS = [
    f"{BASE}/dag/manual__2026-06-06T12:00:00+00:00/task/{UUID}",
    f"{BASE}/dag/a run, with spaces/task/{UUID}.gz",
    f"{BASE}/dag/a/run/of/slashes/group.task/{UUID}",
    f"{BASE}/dag/run/task/ti-{UUID}/return_value.json",
    f"{BASE}/dag/run/task/write-{UUID}/a%2Fb.json.gz",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_found_wherever_it_stands(path):
    assert path_in(path, BASE) == path
    assert path_in(f"echo '{path}' && ls", f"{BASE}/") == path
    assert path_in(json.dumps({"env": {"X": [path]}}), BASE) == path
    assert path_in(f"{BASE}/readme.txt\n{path}", BASE) == path
    for value in ([1, {"a": (path,)}], {path: 1}, {"a": [{"b": f"cat {path}"}]}, path):
        assert holds_path(value, BASE)


@pytest.mark.parametrize(
    "text",
    [
        "", BASE, f"{BASE}/", f"{BASE}/dag/run/task/report.csv", f"s3://other/dag/run/task/{UUID}",
        f"{BASE}x/dag/run/task/{UUID}", f"{BASE}/{UUID}", f"{BASE}/dag/{UUID}", f"ls {BASE}/dag and {UUID}",
    ],
)  # fmt: skip
def test_a_text_about_the_base_path_is_none(text):
    assert path_in(text, BASE) is None
    assert not holds_path([text, {"a": text}], BASE)


def test_without_a_base_path_nothing_is_known():
    assert path_in(PATHS[0], "") is None and not holds_path(PATHS[0], "")


def test_a_value_that_is_nested_deep_or_long_is_looked_into():
    value: object = PATHS[0]
    for _ in range(50_000):
        value = [value]
    assert holds_path(value, BASE)
    # A pattern that tried again at every character would never come back from these.
    for text in (f"{BASE}/" * 50_000, f"{BASE}/" + "a/" * 1_000_000, f"{BASE}/" + "a" * 2_000_000):
        assert path_in(text, BASE) is None
