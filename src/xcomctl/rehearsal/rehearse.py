"""One rehearsal from nothing to a report: build, start, play, look, clean up, record."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import xcomctl
from xcomctl.deployment.interrupts import interruptible, uninterruptible
from xcomctl.errors import UserError
from xcomctl.journal.interface import Where
from xcomctl.journal.local import now, this_actor
from xcomctl.journal.open import opened
from xcomctl.model.fingerprint import Fingerprint
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.redaction import redact
from xcomctl.model.rehearsal import SCENARIOS, Failure, RehearsalReport, Step
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, RUNBOOK_THRESHOLD, THRESHOLD, settings_for
from xcomctl.model.verdicts import Verdict, verdict_of
from xcomctl.rehearsal import itinerary
from xcomctl.rehearsal.environments import Environment
from xcomctl.rehearsal.sandbox.deployment import Sandbox
from xcomctl.rehearsal.sandbox.errors import SandboxError
from xcomctl.rehearsal.scenarios.interface import DAG_ID, SECOND_DAG_ID, Stage, cell_sizes
from xcomctl.rehearsal.timeline import ObservationMissing, Timeline
from xcomctl.report.progress import Progress

#: What the operating system may refuse without xcomctl being at fault.
_REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENOMEM})

#: The versions that an entry of the journal repeats; the others are in the report that it names.
_JOURNALLED = ("xcomctl", "airflow", "apache-airflow-providers-common-io")


@dataclass(frozen=True)
class Plan:
    """What to rehearse. ``environment`` is called inside the rehearsal's first step, since it may have to be built."""

    environment: Callable[[Callable[[str], None]], Environment]
    store: str = "s3"
    threshold: int = RUNBOOK_THRESHOLD
    sizes: tuple[int, ...] = ()
    keep: bool = False
    scenarios: tuple[str, ...] = tuple(SCENARIOS)


def rehearse(plan: Plan, progress: Progress) -> tuple[RehearsalReport, str | None]:
    """Play the rehearsal and clean up; the report, and how to reach the sandbox if it was kept.

    Whatever the sandbox or Airflow does wrong is in the report; only a defect of xcomctl itself raises, and then
    too nothing is left behind.
    """
    rehearsal = Rehearsal(plan, progress)
    with interruptible():
        try:
            rehearsal.play()
        finally:
            with uninterruptible():
                try:
                    progress.close()
                finally:
                    rehearsal.close()
    return rehearsal.report(), rehearsal.kept


class Rehearsal:
    """One rehearsal, of which a report can be made wherever it stopped."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self.plan = plan
        self.timeline = Timeline(progress)
        self.environment: Environment | None = None
        self.sandbox: Sandbox | None = None
        self.stage: Stage | None = None
        self.verdict = Verdict.INCONCLUSIVE
        self.failure: Failure | None = None
        self.kept: str | None = None
        #: The scenarios that were played to their end.
        self.played: set[str] = set()

    def play(self) -> None:
        """Start the sandbox and play every scenario; how it went is in ``verdict`` and ``failure``."""
        try:
            self._play()
        except KeyboardInterrupt:
            self.verdict = Verdict.INTERRUPTED

    def _play(self) -> None:
        try:
            self._start()
            self._play_acts()
            self.verdict = verdict_of(self.timeline.checks)
        except ObservationMissing as missing:
            death = self._death()
            if death is not None:
                self._give_up(death)
            else:
                hint = next((check.hint for check in missing.checks if check.hint), "")
                self.failure = _failure(missing.step, str(missing), hint, self._log_that_matters())
                self.verdict = Verdict.FAILED
        except UserError as error:
            self._give_up(self._death() or error)
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise
            where = f" {error.filename}" if error.filename else ""
            self._give_up(self._death() or SandboxError(f"The host refused{where}: {os.strerror(error.errno)}."))

    def close(self) -> None:
        """End the sandbox and remove its folder, or leave it up if the plan says so and it is usable."""
        if self.sandbox is None:
            return
        if self.plan.keep and self.stage is not None and self.verdict in (Verdict.OK, Verdict.FAILED):
            self.kept = self.sandbox.keep()
            return
        with self.timeline.span("sandbox", "clean up"):
            try:
                self.sandbox.stop()
            except SandboxError as error:
                self.verdict = Verdict.INCONCLUSIVE
                self.failure = self.failure or Failure("clean_up", error.message, error.hint)

    def report(self) -> RehearsalReport:
        """The record of what happened until now."""
        timeline, stage = self.timeline, self.stage
        stopped_at = None if self.verdict is Verdict.OK else timeline.latest_step
        report = RehearsalReport(
            verdict=self.verdict,
            started=timeline.started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=self._versions(),
            settings=self._settings(),
            fingerprint=self._fingerprint(),
            steps=tuple(timeline.steps),
            checks=tuple(timeline.checks),
            timeline=tuple(timeline.spans),
            peak_memory_bytes=(self.sandbox.peak_memory_bytes or None) if self.sandbox is not None else None,
            failure=self.failure,
            stopped_at=stopped_at,
            next_steps=self._next_steps(),
            planned=self.plan.scenarios,
        )
        if stage is None:
            return report
        return replace(
            report,
            scenarios=tuple(name for name in SCENARIOS if name in self.played),
            strategies=tuple(sorted(stage.findings.strategies, key=lambda each: list(SCENARIOS).index(each.name))),
            orphans=tuple(stage.findings.orphans),
            stranded=stage.findings.stranded,
            restarts_s=tuple(stage.findings.restarts_s),
        )

    def _play_acts(self) -> None:
        assert self.stage is not None
        stage, acts = self.stage, itinerary.acts(self.plan.scenarios)
        with contextlib.closing(stage):
            for number, act in enumerate(acts):
                self.timeline.scenario = act.scenario
                stage.move_to(act.leg)
                act.play(stage)
                if act.scenario and act.scenario not in {later.scenario for later in acts[number + 1 :]}:
                    self.played.add(act.scenario)

    def _start(self) -> None:
        plan, timeline = self.plan, self.timeline
        with timeline.span("sandbox", "set up"):
            with timeline.step("environment", "Find or build the Airflow environment") as step:
                self.environment = plan.environment(step.waiting)
            self.sandbox = Sandbox.create(self.environment, plan.store)
            self.sandbox.start(settings_for(Phase.INLINE), dag_files(), timeline)
        self.stage = Stage(self.sandbox, timeline, plan.threshold, plan.sizes or cell_sizes(plan.threshold))

    def _death(self) -> SandboxError | None:
        """The death of a server, if one died: it explains whatever else was noticed first."""
        if self.sandbox is not None:
            try:
                self.sandbox.family.require_alive()
            except SandboxError as death:
                return death
        return None

    def _give_up(self, error: UserError) -> None:
        """Record why nothing more could be measured."""
        self.verdict = error.verdict
        self.failure = _failure(self.timeline.latest_step or "environment", error.message, error.hint, error.log)

    def _log_that_matters(self, lines: int = 15) -> tuple[str, ...]:
        """The end of the logs of the tasks that failed in the latest run with failures, else of the newest log."""
        if self.sandbox is None:
            return ()
        api = self.sandbox.airflow.api
        collected: list[str] = []
        for run_id in reversed(self.stage.runs if self.stage is not None else ()):
            with contextlib.suppress(UserError):  # a run that was not triggered, a log that is not written yet
                failed = [i for i in api.task_instances(DAG_ID, run_id) if i.state == "failed"]
                for instance in failed[:3]:
                    collected.append(f"-- {run_id} {instance.task_id} [{instance.map_index}]")
                    collected += api.task_log(DAG_ID, run_id, instance).splitlines()[-lines:]
            if collected:
                break
        return tuple(collected) or self.sandbox.family.newest_log_lines(lines)

    def _versions(self) -> dict[str, str]:
        versions = {"xcomctl": xcomctl.__version__}
        if self.environment is not None:
            versions |= {"airflow": self.environment.airflow, "python": self.environment.python_version}
            versions |= {
                name: version
                for name, version in self.environment.packages.items()
                if name not in ("apache-airflow", "apache-airflow-core")  # both are `airflow` above
            }
        if self.sandbox is not None and self.sandbox.database is not None:
            versions["postgresql"] = self.sandbox.database.version
        if self.sandbox is not None and self.sandbox.store is not None:
            versions["store"] = self.sandbox.store.version
        return versions

    def _settings(self) -> dict[str, Any]:
        if self.sandbox is None or self.sandbox.store is None:
            return {}
        return {
            BACKEND.name: OBJECT_STORAGE_BACKEND,
            PATH.name: self.sandbox.store.path,
            THRESHOLD.name: self.plan.threshold,
            COMPRESSION.name: None,
        }

    def _fingerprint(self) -> dict[str, Any]:
        """Of what Airflow resolved in the phase ``offload``; empty if the rehearsal never got there."""
        offload = self.stage.findings.offload if self.stage is not None else None
        if offload is None or self.environment is None:
            return {}
        return Fingerprint(
            backend=str(offload.backend.value),
            threshold=int(offload.threshold.value),
            compression=offload.compression.value or None,
            path_scheme=urlsplit(str(offload.path.value)).scheme,
            airflow=self.environment.airflow,
            common_io=self.environment.packages["apache-airflow-providers-common-io"],
        ).to_json()

    def _next_steps(self) -> tuple[str, ...]:
        if self.verdict is Verdict.OK:
            return (f"xcomctl dags export -d {DAG_ID} DAGS_FOLDER", "xcomctl journal")
        if self.verdict is Verdict.FAILED and not self.plan.keep:
            return ("xcomctl rehearse --keep",)
        return ()


def dag_files() -> dict[str, str]:
    """The DAG files of a rehearsal: the reference DAG, and the same one more with a hold point of its own."""
    source = resources.files(xcomctl).joinpath("dags", f"{DAG_ID}.py").read_text()
    second = source.replace(DAG_ID, SECOND_DAG_ID).replace("XCOMCTL_HOLD_POOL", "XCOMCTL_SECOND_HOLD_POOL")
    return {f"{DAG_ID}.py": source, f"{SECOND_DAG_ID}.py": second}


def _failure(step: str, message: str, hint: str, log: tuple[str, ...]) -> Failure:
    """What goes into the report of a failure; what a server or a task logged may hold anything."""
    return Failure(step, redact(message), redact(hint), tuple(redact(line) for line in log))


def record(report: RehearsalReport, folder: Path, where: Where) -> str:
    """Append the rehearsal to the journal (default: the user's own), where a later gate looks for it; its name.

    Raises :class:`~xcomctl.journal.errors.JournalError`.
    """
    journal = opened(where)
    journal.append(
        JournalEntry(
            action="rehearse",
            actor=this_actor(),
            at=now(),
            versions={name: report.versions[name] for name in _JOURNALLED if name in report.versions},
            after=report.settings,
            verdict=report.verdict,
            data={
                "fingerprint": dict(report.fingerprint),
                "scenarios": list(report.scenarios),
                "report": str((folder / "report.json").absolute()),
                "steps": [_outcome(step) for step in report.steps],
            },
        )
    )
    return journal.name


def _outcome(step: Step) -> dict[str, Any]:
    return {"id": step.id, "status": step.status.value, "seconds": round(step.end_s - step.start_s, 1)}
