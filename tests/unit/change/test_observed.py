"""What is stored, from what an agent tells: totals, some of the runs, and aliases by the task that passed them on."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from tests.unit.change.samples import PATH, run
from xcomctl.change import observed
from xcomctl.model import requests
from xcomctl.model.refs import OUTSIDE, AtRiskAnswer, AtRiskRun, RefItem, RefTotals
from xcomctl.model.requests import ALIAS, Record


class Stream:
    """Records, and then a result."""

    def __init__(self, records: list[Any], result: Record) -> None:
        self._records, self._result = records, result

    def __iter__(self) -> Iterator[Any]:
        return iter([each.to_json() for each in self._records])

    def result(self) -> Any:
        return self._result.to_json()


class Answering:
    """A fleet and its one context, which holds these rows and runs."""

    def __init__(self, items: list[RefItem], runs: list[AtRiskRun]) -> None:
        self.reach = SimpleNamespace(name="one")
        self.asked: dict[str, Any] = {}
        self._streams = {
            requests.REFERENCE_OBJECTS: Stream(items, RefTotals(PATH, aliases=len(items))),
            requests.AT_RISK: Stream(runs, AtRiskAnswer(PATH, 0, 0)),
        }

    def with_database(self, ask: Any, *, heavy: bool = False) -> Any:
        return ask(self)

    def stream(self, request: str, params: Any, tell: Any) -> Stream:
        self.asked[request] = params
        return self._streams[request]


def held(items: list[RefItem], runs: list[AtRiskRun], *, store: bool = False) -> tuple[observed.Held, Answering]:
    fleet = Answering(items, runs)
    return observed.held(fleet, PATH, lambda what: None, store=store), fleet  # type: ignore[arg-type]


def alias(
    run_id: str | None, task_id: str | None, map_index: int = -1, kind: str = ALIAS, source: str = "xcom"
) -> RefItem:
    dag_id = None if run_id is None else "dag"
    where = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    return RefItem(kind, f"{PATH}/x", "not asked", source=source, **where)  # type: ignore[arg-type]


def test_aliases_are_counted_by_run_and_task():
    items = [
        alias("one", "a"), alias("one", "b", 0), alias("one", "b", 1), alias("two", "a"),
        alias("two", "a", kind=OUTSIDE), alias(None, None), alias("two", "c", source="_xcom_archive"),
        alias("two", "a", kind=OUTSIDE, source="_xcom_archive"),
    ]  # fmt: skip
    found, fleet = held(items, [run("one", "running", 0, 3)])
    assert found.aliases == {("dag", "one"): {"dag.a": 1, "dag.b": 2}, ("dag", "two"): {"dag.a": 1}}
    assert (found.blocking.aliases, found.blocking.outside) == (4, 1)
    asked = fleet.asked[requests.REFERENCE_OBJECTS]
    assert (asked["base_path"], asked["store"], set(asked["only"])) == (PATH, False, {OUTSIDE, ALIAS})
    assert fleet.asked[requests.AT_RISK]["base_path"] == PATH


def test_every_unfinished_run_is_kept_and_some_of_the_finished_ones():
    runs = [run(str(number), "success") for number in range(50)] + [run(str(number), None) for number in range(50, 90)]
    found, _ = held([], runs, store=True)
    assert (len(found.unfinished), len(found.finished), found.finished_runs, found.store) == (40, 20, 50, True)
    assert found.aliases == {}
