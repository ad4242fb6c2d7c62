"""The tasks of a probe run: what the probe DAG calls once it has made this xcomctl importable.

Each checking task returns a small dict; the last one puts them together, writes the answer into its log, where no XCom
backend is in between, and returns it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from xcomctl.airflow_compat import configuration, loading, xcom_class
from xcomctl.model import probe
from xcomctl.model.phases import Phase, path_problem, phase_of
from xcomctl.model.settings import settings_from
from xcomctl.roundtrip.control_flow import Value
from xcomctl.roundtrip.in_run import MAPPED, Pulled, push_all

#: Where no path resolves, texts "under the base path" are made for this.
_NO_PATH = "s3://xcomctl_probe@probe/xcom"
#: The key under which stands what was pushed: all ids, and the errors by the ids of those that could not be.
PUSHED = "xcomctl_pushed"


def push(ti: Any) -> None:
    """Push both corpora, each value under its id, and then what that came to."""
    _begin()
    ids, errors = push_all(lambda key, value: ti.xcom_push(key=key, value=value), _base_path())
    ti.xcom_push(key=PUSHED, value={"ids": ids, "errors": errors})


def push_offloaded(ti: Any) -> None:
    """The same with every value above the threshold, which this process lowers to 0 for as long as it pushes them.

    Where the deployment offloads nothing, nothing is pushed but the reason.
    """
    _begin()
    why = _no_offload()
    if why:
        ti.xcom_push(key=PUSHED, value={"why": why})
        return
    try:
        with xcom_class.threshold_of(0):
            ids, errors = push_all(lambda key, value: ti.xcom_push(key=key, value=value), _base_path())
    except xcom_class.ThresholdFixed as error:
        ti.xcom_push(key=PUSHED, value={"why": error.message})
        return
    ti.xcom_push(key=PUSHED, value={"ids": ids, "errors": errors})


def pull(ti: Any, task_id: str, step: str, map_index: Optional[int] = None) -> dict[str, Any]:
    """Pull what a task of this run pushed, one map index of it where it was mapped."""
    _begin()
    found = _pulled(step)
    indexes = {} if map_index is None else {"map_indexes": map_index}
    pushed = ti.xcom_pull(task_ids=task_id, key=PUSHED, **indexes)
    found.all(lambda key: ti.xcom_pull(task_ids=task_id, key=key, **indexes), _mapping(pushed))
    return _part(found, step)


def pull_offloaded(ti: Any, task_id: str) -> dict[str, Any]:
    """Pull what that task pushed above the threshold; under the deployment's own settings, as any task would."""
    _begin()
    step = "above the threshold"
    pushed = _mapping(ti.xcom_pull(task_ids=task_id, key=PUSHED))
    if pushed.get("why"):
        return {"step": step, "notes": [f"{step}: not tried, {pushed['why']}"]}
    found = _pulled(step, 0)
    found.all(lambda key: ti.xcom_pull(task_ids=task_id, key=key), pushed)
    return _part(found, step)


def pull_prior(ti: Any, task_id: str) -> dict[str, Any]:
    """Pull what that task pushed in an earlier run of this DAG; it has not begun in this one.

    The file may have carried another xcomctl then: what that one did not know is not looked for.
    """
    _begin()
    step = "prior dates"
    found = _pulled(step)
    pushed = ti.xcom_pull(task_ids=task_id, key=PUSHED, include_prior_dates=True)
    if pushed is None:
        return {"step": step, "prior": False}
    found.all(lambda key: ti.xcom_pull(task_ids=task_id, key=key, include_prior_dates=True), _mapping(pushed))
    return {**_part(found, step), "prior": True}


def mapped() -> list[Any]:
    """What is mapped over."""
    return list(MAPPED)


def expanded(item: Any, map_index: int) -> dict[str, Any]:
    """Compare one map input with what was mapped over."""
    _begin()
    step = "map input"
    found = _pulled(step)
    found.one(Value(f"mapped-{map_index}", MAPPED[map_index]), lambda key: item)
    return _part(found, step)


def report(run_id: str, parts: Iterable[Any], digest: str = "") -> dict[str, str]:
    """All of it together. A part that is no dict is a task that gave no answer. ``digest``: of the file's xcomctl."""
    _begin()
    counts: dict[str, int] = {}
    differences: list[probe.ProbeDifference] = []
    notes: dict[str, None] = {}
    unmeasured: list[str] = []
    prior = False
    for part in parts:
        if not isinstance(part, Mapping):
            unmeasured.append("a task of the run gave no answer: look at the run's log")
            continue
        prior = prior or bool(part.get("prior"))
        for corpus, count in dict(part.get("counts") or {}).items():
            name = f"{corpus}/{part['step']}"
            counts[name] = counts.get(name, 0) + int(count)
        differences += [probe.ProbeDifference.from_json(each) for each in part.get("differences") or ()]
        notes.update(dict.fromkeys(f"the metadata column: {each}" for each in part.get("column") or ()))
        notes.update(dict.fromkeys(str(each) for each in part.get("notes") or ()))
    answer = probe.ProbeRunAnswer(run_id, counts, tuple(differences), tuple(notes), tuple(unmeasured), prior, digest)
    value = probe.packed(answer)
    print(probe.LOG_MARK + json.dumps(value), flush=True)
    return value


def _begin() -> None:
    loading.in_task()


def _base_path() -> str:
    path = configuration.resolve_settings()["path"].value
    return _NO_PATH if path_problem(path) is not None else str(path)


def _no_offload() -> str:
    """Why nothing goes into the store here, in words that follow a comma; empty where values do."""
    settings = settings_from(line=loading.line(), **configuration.resolve_settings())
    found = phase_of(settings)
    return "" if found.phase is Phase.OFFLOAD else f"since this deployment is in {found.phase.value}"


def _pulled(step: str, threshold: Optional[int] = None) -> Pulled:
    """``threshold`` is the one that the values were pushed under, unless it is the deployment's own."""
    if threshold is None:
        threshold = configuration.resolve_settings()["threshold"].value
    xcom_class.resolved_class()
    return Pulled(_base_path(), threshold if isinstance(threshold, int) else -1, step)


def _mapping(pushed: Any) -> Mapping[str, Any]:
    if not isinstance(pushed, Mapping):
        raise RuntimeError(f"what the pushes came to came back as {type(pushed).__name__}, not as a dict")
    return pushed


def _part(found: Pulled, step: str) -> dict[str, Any]:
    differences = [each.to_json() for each in found.differences]
    return {"step": step, "counts": dict(found.counts), "differences": differences, "column": found.column}
