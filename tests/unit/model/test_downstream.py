"""What lies downstream of instances, by map index where tasks are mapped together."""

from __future__ import annotations

from xcomctl.model.downstream import Structure, downstream_of

#: ``a`` leads to a mapped group of ``b`` and ``c``, that to ``d``; ``m`` is mapped by itself.
DAG = Structure(
    {"a": ("b",), "b": ("c",), "c": ("d",), "d": (), "m": ("d",), "e": ("e2",), "e2": ()}, {"b": "g", "c": "g"}
)


def test_everything_below_however_far_each_with_what_leads_there():
    assert downstream_of(DAG, [("a", -1)]) == {("b", None): "a", ("c", None): "b", ("d", None): "c"}
    assert downstream_of(DAG, [("d", -1)]) == {}


def test_tasks_of_one_mapped_group_go_together_by_their_index():
    assert downstream_of(DAG, [("b", 2)]) == {("c", 2): "b", ("d", None): "c"}
    assert downstream_of(DAG, [("b", 2), ("b", 0)]) == {("c", 2): "b", ("c", 0): "b", ("d", None): "c"}


def test_what_is_behind_a_task_that_is_mapped_by_itself_is_so_as_a_whole():
    assert downstream_of(DAG, [("m", 1)]) == {("d", None): "m"}


def test_a_task_that_the_dag_has_no_more_leads_nowhere():
    assert downstream_of(DAG, [("gone", -1)]) == {}
