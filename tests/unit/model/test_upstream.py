"""Everything upstream of a task."""

from __future__ import annotations

from xcomctl.model.upstream import transitive


def test_upstream_is_transitive_and_ends_where_it_ends():
    found = transitive({"a": ["b"], "b": ["c", "d"], "c": ["e"], "d": ["e"], "e": [], "alone": []})
    assert found["e"] == {"a", "b", "c", "d"}
    assert found["b"] == {"a"}
    assert found["a"] == found["alone"] == frozenset()


def test_tasks_that_are_named_as_downstream_alone_and_circles_are_no_trouble():
    assert transitive({"a": ["b"]})["b"] == {"a"}
    assert transitive({"a": ["b"], "b": ["a"]})["a"] == {"a", "b"}
