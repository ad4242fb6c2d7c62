"""What a scenario is given: the sandbox, the phase that it is in, and the way into the next one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from xcomctl.assess.fleet import Fleet
from xcomctl.change.barrier import Barriers, Evaluated
from xcomctl.clients.airflow_api import DagRun
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.phases import Phase
from xcomctl.model.rehearsal import StrategyResult
from xcomctl.model.settings import settings_for
from xcomctl.rehearsal.sandbox.airflow import HOLD_POOL, SECOND_HOLD_POOL
from xcomctl.rehearsal.sandbox.deployment import Sandbox
from xcomctl.rehearsal.timeline import CurrentStep, Timeline

DAG_ID = "diagnostic__s42"
#: The same DAG once more, with a hold point of its own: a run of it is still held when those of the other go on.
SECOND_DAG_ID = "diagnostic__s42_second"
PRODUCER = "discriminate_cell"
CONSUMERS = ("compare_cells", "summarise")
HOLD = "hold"

#: Of the reference DAG, in bytes: what a cell's dict has at the least, and what a consumer records per cell.
SMALLEST_CELL = 200
RECORD_BYTES = 400

#: No run of the reference DAG takes longer on a machine that works, in seconds.
RUN_TIMEOUT_S = 300.0


def cell_sizes(threshold: int) -> tuple[int, ...]:
    """Sizes of the cells in bytes: a few kB, near the threshold, one byte below it, on it, above it."""
    small = (size for size in (2_000, 3_000, 5_000, 8_000, 40_000) if size < threshold // 2)
    return (*small, threshold * 15 // 16, threshold - 1, threshold, threshold * 5 // 4)


def size_problem(sizes: tuple[int, ...], threshold: int) -> str | None:
    """Why values of these sizes could not show the break, in a sentence; ``None`` if they can."""
    if min(sizes) < SMALLEST_CELL:
        return f"a value of the reference DAG has at least {SMALLEST_CELL} bytes"
    if max(sizes) < threshold or min(sizes) >= threshold:
        return f"the sizes need one below the threshold of {threshold} bytes, and one from it up"
    if len(sizes) > threshold // RECORD_BYTES:
        # What the consumers record about the cells has to stay inline itself.
        return f"with a threshold of {threshold} bytes there is room for {threshold // RECORD_BYTES} sizes"
    return None


#: The kernel tells when it booted, and so when a process started, in whole seconds.
_PROCESS_CLOCK = timedelta(seconds=1)


@dataclass(frozen=True)
class Leg:
    """A stretch of a rehearsal in one phase. ``id`` and ``title`` are those of the step that leads there.

    ``deploy`` is how it leads there: by an edit of the carrier and a restart, unless something else is said.
    """

    id: str
    title: str
    phase: Phase
    deploy: Callable[[Stage, CurrentStep], None] | None = None


@dataclass
class Findings:
    """What scenarios add to the report besides their steps and observations."""

    strategies: list[StrategyResult] = field(default_factory=list)
    orphans: list[Mapping[str, Any]] = field(default_factory=list)
    stranded: int | None = None
    restarts_s: list[float] = field(default_factory=list)
    #: What Airflow resolved in the phase ``offload``, once it was there.
    offload: requests.Resolution | None = None


@dataclass
class Stage:
    """The sandbox with what a scenario needs around it. Call :meth:`close` at the end."""

    sandbox: Sandbox
    timeline: Timeline
    threshold: int
    sizes: tuple[int, ...]
    findings: Findings = field(default_factory=Findings)
    #: The phase that every process of Airflow was started in.
    phase: Phase = Phase.INLINE
    #: The runs that were triggered, in that order.
    runs: list[str] = field(default_factory=list)
    #: When the latest move into another phase began, on the timeline and on the clock.
    moved_s: float = 0.0
    moved_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: When it was over.
    arrived_s: float = 0.0
    _target: Phase = Phase.INLINE
    _fleet: Fleet | None = None
    _closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def base_path(self) -> str:
        """Where XComs are offloaded to."""
        assert self.sandbox.store is not None
        return self.sandbox.store.path

    @property
    def fleet(self) -> Fleet:
        """The one context of the sandbox: an agent in Airflow's environment, as it is in this phase."""
        if self._fleet is None:
            self._fleet = self._closing.enter_context(Fleet([self.sandbox.reach()], lambda name, line: None))
        return self._fleet

    @property
    def agent(self) -> AgentSession:
        """The agent of the phase, started when it is first asked for."""
        return self.fleet.contexts[0].session

    @property
    def journal(self) -> Path:
        """The journal of what is done to the sandbox."""
        return self.sandbox.folder / "rehearsal.jsonl"

    def close(self) -> None:
        """End the agent and the phase."""
        self.timeline.add_span("phase", self.phase.value, self.arrived_s)
        self._close_agent()

    def move_to(self, leg: Leg) -> None:
        """Deploy the phase of a leg, as one step; nothing to do where Airflow is in it."""
        if leg.phase is self.phase:
            return
        self.timeline.add_span("phase", self.phase.value, self.arrived_s)
        self._close_agent()
        self.moved_s, self.moved_at = self.timeline.now(), datetime.now(UTC)
        self._target = leg.phase
        with self.timeline.step(leg.id, leg.title.format(threshold=self.threshold)) as step:
            if leg.deploy is not None:
                leg.deploy(self, step)
            else:
                self.sandbox.configure(settings_for(leg.phase, path=self.base_path, threshold=self.threshold))
                self.restart(step.waiting)
        self.phase, self.arrived_s = leg.phase, self.timeline.now()

    def restart(self, waiting: Callable[[str], None]) -> None:
        """Restart every process of Airflow with what the carrier says; the time is part of the report."""
        with self.timeline.span("restart", f"restart into {self._target.value}"):
            self.findings.restarts_s.append(round(self.sandbox.restart(waiting), 1))

    def barrier(
        self, waiting: Callable[[str], None], following: Phase | None = None, fleet: Fleet | None = None
    ) -> Evaluated:
        """The barrier of the phase that Airflow is in, before a step to ``following``, evaluated now.

        ``fleet`` looks from another environment than that of this phase.
        """
        # Processes of 2.x hide what they started with. We know it: whatever was there before the move was stopped.
        known_since = self.moved_at - _PROCESS_CLOCK
        barriers = Barriers(fleet or self.fleet, self.journal, deployment=None, deployed_at=known_since)
        return barriers.evaluate(self.phase, following=following, waiting=waiting)

    def conf(self) -> dict[str, Any]:
        """The parameters of every run of the reference DAG."""
        return {"crypto_group": "defi_top5", "cell_sizes": list(self.sizes)}

    def hold(self, held: bool, dag_id: str = DAG_ID) -> None:
        """Close the hold point between producers and consumers, or open it."""
        slots = 0 if held else 1
        pool = HOLD_POOL if dag_id == DAG_ID else SECOND_HOLD_POOL
        self.sandbox.airflow.api.set_pool(pool, slots, "Hold point of the rehearsal: 0 slots hold, 1 releases.")

    def trigger(self, run_id: str, dag_id: str = DAG_ID) -> None:
        """Start a run of the reference DAG."""
        self.sandbox.airflow.api.trigger(dag_id, run_id, self.conf())
        self.runs.append(run_id)

    def wait_for_run(self, run_id: str, waiting: Callable[[str], None], dag_id: str = DAG_ID) -> DagRun:
        """Wait until the run is over. Raises a :class:`~xcomctl.errors.UserError` if that takes too long."""
        api = self.sandbox.airflow.api

        def over() -> bool:
            counts: dict[str, int] = {}
            for instance in api.task_instances(dag_id, run_id):
                counts[instance.state or "not started"] = counts.get(instance.state or "not started", 0) + 1
            states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
            waiting(f"run {run_id}: {states}")
            return api.run(dag_id, run_id).finished

        self.sandbox.family.wait_until(over, f"run {run_id}", timeout_s=RUN_TIMEOUT_S, poll_s=0.5)
        return api.run(dag_id, run_id)

    def wait_for_hold(self, run_id: str, waiting: Callable[[str], None], dag_id: str = DAG_ID) -> None:
        """Wait until every producer of the run is done, the hold point holds it, and no task of it runs."""
        api = self.sandbox.airflow.api

        def held() -> bool:
            instances = api.task_instances(dag_id, run_id)
            producers = [i for i in instances if i.task_id == PRODUCER]
            done = sum(i.state == "success" for i in producers)
            hold = next((i.state for i in instances if i.task_id == HOLD), None)
            waiting(f"the producers: {done} of {len(self.sizes)} done, {HOLD} is {hold or 'not scheduled'}")
            idle = not any(i.state in ("running", "queued") for i in instances)
            return idle and done == len(self.sizes) and hold == "scheduled"

        self.sandbox.family.wait_until(held, "the run to reach the hold point", timeout_s=RUN_TIMEOUT_S, poll_s=0.5)

    @contextlib.contextmanager
    def store_stopped(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """The store's server is stopped, and started again on what it holds."""
        store = self.sandbox.store
        assert store is not None and store.server is not None
        waiting("the store to stop")
        store.server.stop()
        with self.timeline.span("broken", "the store is stopped"):
            try:
                yield
            finally:
                waiting("the store to start again")
                store.server.start()

    def run_and_wait(self, run_id: str, waiting: Callable[[str], None]) -> DagRun:
        """Trigger a run of the reference DAG and wait until it is over."""
        with self.timeline.span("run", run_id):
            self.trigger(run_id)
            return self.wait_for_run(run_id, waiting)

    def _close_agent(self) -> None:
        self._fleet = None
        self._closing.close()


@dataclass(frozen=True)
class Act:
    """What a scenario does on one leg. ``scenario`` is its name; empty for what every rehearsal does that gets there."""

    leg: Leg
    scenario: str
    play: Callable[[Stage], None]
    """Raises :class:`~xcomctl.rehearsal.timeline.ObservationMissing` where the world did not comply."""
