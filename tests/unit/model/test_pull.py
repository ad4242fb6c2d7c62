"""What JSON says all of, and the digest that the reference DAG knows too."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.model.pull import DEEPEST, digest, is_plain_json

DAG = Path(__file__).parents[3] / "src" / "xcomctl" / "dags" / "diagnostic__s42.py"


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "a", [1, {"a": [None]}], {"": {}}])
def test_plain(value):
    assert is_plain_json(value)


@pytest.mark.parametrize("value", [(1,), {1: 2}, float("nan"), [float("inf")], {"a": {1}}, b"x", [[(1,)]]])
def test_not_plain(value):
    assert not is_plain_json(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_plain_survives_json(value):
    assert is_plain_json(value) and json.loads(json.dumps(value)) == value


@pytest.mark.parametrize(("levels", "plain"), [(DEEPEST, True), (DEEPEST + 1, False), (20_000, False)])
def test_nesting_beyond_what_every_python_reads_is_no_error(levels, plain):
    value: object = 1
    for _ in range(levels):
        value = [value]
    assert is_plain_json(value) == plain
    assert (digest(value) is None) == (levels == 20_000)


@pytest.mark.parametrize("value", [{"b": 1, "a": [1.5, None]}, "größe", ("t", 1), {"x": {1, 2}}])
def test_the_digest_is_that_of_the_reference_dag(value):
    tree = ast.parse(DAG.read_text())
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "describe")
    names: dict[str, object] = {}
    exec(
        compile(ast.Module([*[n for n in tree.body if isinstance(n, ast.Import)], function], []), "dag", "exec"), names
    )
    assert names["describe"](value)["digest"] == digest(value)
