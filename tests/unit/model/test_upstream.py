"""Everything upstream of a task, from a serialised DAG as either line writes it."""

from __future__ import annotations

from xcomctl.metadata.structure import upstream_in
from xcomctl.model.upstream import transitive


def test_upstream_is_transitive_and_ends_where_it_ends():
    found = transitive({"a": ["b"], "b": ["c", "d"], "c": ["e"], "d": ["e"], "e": [], "alone": []})
    assert found["e"] == {"a", "b", "c", "d"}
    assert found["b"] == {"a"}
    assert found["a"] == found["alone"] == frozenset()


def test_a_serialised_dag_of_either_line():
    tasks = [
        {"__type": "operator", "__var": {"task_id": "a", "downstream_task_ids": ["b"]}},
        {"__var": {"task_id": "b"}},
    ]
    assert upstream_in({"__version": 1, "dag": {"tasks": tasks}}) == {"a": frozenset(), "b": {"a"}}
    old = [{"task_id": "a", "downstream_task_ids": ["b"]}, {"task_id": "b"}]
    assert upstream_in({"dag": {"tasks": old}}) == {"a": frozenset(), "b": {"a"}}
    for unknown in ({}, {"dag": {}}, {"dag": {"tasks": [1]}}, []):
        assert upstream_in(unknown) is None
