from __future__ import annotations

from dataclasses import dataclass

from xcomctl.metadata.tally import EXAMPLES, Tally


@dataclass(frozen=True)
class Row:
    dag_id: str = "dag"
    run_id: str = "run"
    task_id: str = "task"
    map_index: int = -1
    key: str = "return_value"
    run_state: str | None = "success"


def test_rows_are_counted_and_unfinished_runs_once_each():
    tally = Tally(str)
    for state in ("success", "failed", "running", "queued", None):
        for _ in range(3):
            tally.add(Row(run_id=f"run_{state}", run_state=state), "x")
    assert (tally.count, tally.unfinished_runs) == (15, 3)
    assert tally.to_json()["count"] == 15 and tally.to_json()["unfinished_runs"] == 3


def test_examples_are_few_different_and_as_they_may_be_shown():
    shown: list[str] = []

    def show(text: str) -> str:
        shown.append(text)
        return text[:3]

    tally = Tally(show)
    for number in range(1_000):
        tally.add(Row(run_id=f"run_{number}", task_id=f"task_{number // 10}"), f"{number:03} and more")
    assert [each["task_id"] for each in tally.examples] == [f"task_{number}" for number in range(EXAMPLES)]
    assert tally.examples[1] == {
        "dag_id": "dag", "run_id": "run_10", "task_id": "task_1", "map_index": -1, "key": "return_value", "excerpt": "010",
    }  # fmt: skip
    assert len(shown) == EXAMPLES, "making it fit to be shown is not paid for every row"


def test_nothing_is_zero():
    assert Tally(str).to_json() == {"count": 0, "unfinished_runs": 0, "examples": []}
