"""Contexts, references and runs as the gates are given them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xcomctl.change.barrier import Evaluated
from xcomctl.change.evidence import Gathered
from xcomctl.change.observed import Held, Standing
from xcomctl.model.barrier import Barrier, Blocker, Evidence, Passage
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Line, phase_of
from xcomctl.model.refs import AtRiskRun, RefTotals
from xcomctl.model.requests import Resolution, ResolvedSetting
from xcomctl.model.settings import SETTINGS, Settings, settings_from
from xcomctl.model.status import StatusAnswer, StoreState

PATH = "s3://store@bucket/xcom"
OFFLOAD = {"backend": OBJECT_STORAGE_BACKEND, "path": PATH, "threshold": 20_000}
DUAL_READ = {**OFFLOAD, "threshold": -1}


def resolution(**values: Any) -> Resolution:
    """What a context resolves whose environment sets these."""
    found = {
        setting.name: ResolvedSetting(values.get(setting.name), setting.env if setting.name in values else None)
        for setting in SETTINGS
    }
    as_text = {
        name: ResolvedSetting(None if each.value is None else str(each.value), each.source)
        for name, each in found.items()
    }
    phase = phase_of(settings_from(line=Line.AF3, **as_text))
    return Resolution(**found, class_path=None, class_error=None, phase=phase.phase.value, reason=phase.reason)


def answer(**values: Any) -> StatusAnswer:
    """A context of Airflow 3.3.2."""
    return StatusAnswer("3.3.2", "3", "3.12", "host", {"common.io": "1.11.0"}, resolution(**values), StoreState(True))


def standing(**contexts: dict[str, Any]) -> Standing:
    """The contexts by their names, each with what it resolves."""
    return Standing({name: answer(**values) for name, values in contexts.items()}, {})


def settings(**values: Any) -> Settings:
    """Settings that a step would leave."""
    return Settings(values.get("backend"), values.get("path"), values.get("threshold"), None, values.get("compression"))


def held(
    *runs: AtRiskRun,
    finished_runs: int | None = None,
    store: bool = False,
    passed_on: Mapping[str, Mapping[str, int]] | None = None,
    **totals: Any,
) -> Held:
    """What is stored: by these runs, with these totals. ``passed_on`` are the aliases of a run by ``DAG.TASK``."""
    counted = sum(run.finished for run in runs) if finished_runs is None else finished_runs
    known = (
        {each.run_id: {"dag.task": each.aliases} for each in runs if each.aliases} if passed_on is None else passed_on
    )
    aliases = {("dag", run_id): tasks for run_id, tasks in known.items()}
    return Held(RefTotals(PATH, **totals), runs, counted, store, aliases, totals.get("outside", 0))


def run(run_id: str, state: str, references: int = 1, aliases: int = 0) -> AtRiskRun:
    """A run that holds something."""
    return AtRiskRun("dag", run_id, state, None, references, aliases)


def evaluated(passage: Passage = Passage.PASSED, *, target: str = "dual-read", **more: Any) -> Evaluated:
    """A barrier."""
    barrier = Barrier(target, passage.value, "2026-06-06T12:00:00Z", **more)
    return Evaluated(barrier, Gathered(Evidence("2026-06-06T13:00:00Z", ("one",), ()), outlives=None))  # type: ignore[arg-type]


def blocker(name: str) -> Blocker:
    """Something that is not over."""
    return Blocker("running", name, "is running since before the change", "2026-06-06T11:00:00Z")
