"""Everything that the barrier is judged by (DESIGN §2), gathered from every context and from the metadata database."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from xcomctl.assess.fleet import Context, Fleet
from xcomctl.change import pods_seen
from xcomctl.change.pods_seen import PodsSeen
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.journal.local import now
from xcomctl.model import requests
from xcomctl.model.barrier import Evidence, HostingProcess, Pod
from xcomctl.model.barrier_evidence import BarrierAnswer, BarrierQuery, InFlightAnswer, Job
from xcomctl.model.journal_entry import parse_time, timestamp
from xcomctl.model.phases import Line, Phase
from xcomctl.model.redaction import redact

#: One command that runs every component, each of which has a row in ``job``.
STANDALONE = "standalone"
#: What a host on which tasks started lately is called, where nothing else is known of it.
TASK_HOST = "task host"
#: What a process may have lived on after the last heartbeat that it wrote.
_AFTER_BEAT = datetime.timedelta(seconds=30)


@dataclass(frozen=True)
class Gathered:
    """The evidence. ``outlives`` is how long a process may live on without its instance, as this Airflow is configured."""

    evidence: Evidence
    outlives: datetime.timedelta
    warnings: tuple[str, ...] = ()


def gather(
    fleet: Fleet, target: Phase | None, waiting: Callable[[str], None], deployed_at: datetime.datetime | None = None
) -> Gathered:
    """Ask every context for its processes, then the first one that has it for the metadata database.

    ``target`` and ``deployed_at`` are explained at :func:`merged`.
    Raises :class:`AgentError` where no context has the database: without it nothing is known of tasks.
    """

    def one(context: Context) -> BarrierAnswer | AgentError:
        try:
            query = BarrierQuery(database=False).to_json()
            return BarrierAnswer.from_json(context.session.request(requests.BARRIER, query))
        except AgentError as error:
            return error

    def in_flight(session: AgentSession) -> InFlightAnswer:
        found = BarrierAnswer.from_json(session.request(requests.BARRIER, BarrierQuery().to_json())).in_flight
        assert found is not None  # it was asked for
        return found

    waiting("the processes of Airflow")
    answers = dict(zip((context.name for context in fleet.contexts), fleet.each(one), strict=True))
    waiting("what is in flight")
    flight = fleet.with_database(in_flight)
    seen = pods_seen.look([context.reach for context in fleet.contexts])
    evidence = merged(answers, flight, target, deployed_at, seen)
    return Gathered(evidence, datetime.timedelta(seconds=flight.outlives_s), flight.warnings)


def merged(
    answers: Mapping[str, BarrierAnswer | AgentError],
    flight: InFlightAnswer,
    target: Phase | None,
    deployed_at: datetime.datetime | None = None,
    seen: PodsSeen | None = None,
) -> Evidence:
    """One picture of it. A context that has the API's processes and no others neither starts nor hosts tasks.

    ``target`` is the phase that everything should be in, ``None`` where nothing should be up at all.

    Where a process writes its title over its environment (2.x), what it started with cannot be read. ``deployed_at`` is
    somebody's word for when the settings were rolled out that a fresh process resolves: one that started later has them,
    and one that started before does not. ``seen`` is what the clusters show whose pods are contexts.
    """
    answered = {name: answer for name, answer in answers.items() if isinstance(answer, BarrierAnswer)}
    failed = {name: answer for name, answer in answers.items() if not isinstance(answer, BarrierAnswer)}
    unknown = [f"{name} did not answer: {redact(error.message)}" for name, error in failed.items()]
    hosting = {name: answer for name, answer in answered.items() if answer.processes or not answer.others}
    unknown += [
        f"{name} resolves {answer.phase} now, so what starts there next is not {target.value}: {answer.reason}"
        for name, answer in hosting.items()
        if target is not None and answer.phase != target.value
    ]
    processes = [
        replace(each, context=name, phase=_phase(each, answer, deployed_at))
        for name, answer in answered.items()
        for each in answer.processes
    ]
    covered = {answer.hostname for answer in answered.values()}
    if seen is not None:
        line = Line.AF2 if any(answer.airflow.startswith("2.") for answer in answered.values()) else Line.AF3
        of_pods = list(pods_seen.processes(seen, flight, line))
        processes += of_pods
        covered |= {each.host for each in of_pods}
        unknown += pods_seen.unknown(seen, flight, line)
    processes += _of_jobs(flight.jobs, processes, covered)
    known = covered | {job.host for job in flight.jobs}
    if flight.in_pods and seen is None:
        unknown.append(flight.in_pods)
    elif not flight.only_pods:  # where everything runs in pods, the hosts are theirs
        elsewhere = [host for host in flight.hosts if host not in known]
        if flight.pod_namespace:
            unknown += [
                f"tasks ran lately on {host}: a pod that is gone, or a host that we do not see" for host in elsewhere
            ]
        else:
            processes += [HostingProcess(TASK_HOST, host) for host in elsewhere]
    pods: tuple[Pod, ...] | None = None if flight.in_pods else ()
    if seen is not None:
        pods = None if seen.failures else pods_seen.pods(seen, flight)
    return Evidence(
        now=now(),
        contexts=tuple(hosting),
        processes=tuple(processes),
        running=flight.running,
        queued=flight.queued,
        left=flight.left,
        pods=pods,
        unknown=tuple(unknown),
    )


def _phase(process: HostingProcess, answer: BarrierAnswer, deployed_at: datetime.datetime | None) -> str | None:
    if process.phase is not None or process.started is None or deployed_at is None:
        return process.phase
    return answer.phase if parse_time(process.started) >= deployed_at else Phase.UNKNOWN.value


def without_rows(evidence: Evidence) -> tuple[HostingProcess, ...]:
    """The living processes of a kind of which no table says when an earlier one ended (Celery's pool masters)."""
    with_rows = {each.component for each in evidence.processes if each.context is None or each.ended is not None}
    living = (each for each in evidence.processes if each.ended is None and each.context is not None)
    return tuple(each for each in living if each.component not in with_rows | _WITH_ROWS)


#: Components that write a row into ``job``.
_WITH_ROWS = frozenset({"scheduler", "triggerer", "dag-processor", "dags backfill"})


def _of_jobs(jobs: Sequence[Job], processes: Sequence[HostingProcess], covered: set[str]) -> Iterator[HostingProcess]:
    """What the rows of ``job`` add: what has ended, and what lives where no context sees it."""
    counts: dict[tuple[str, str], int] = {}
    for process in processes:
        counts[process.component, process.host] = counts.get((process.component, process.host), 0) + 1
    # The newest first, so that of two rows on one host the newer one is the process that is there.
    for job in sorted(jobs, key=lambda each: parse_time(each.started), reverse=True):
        place = (job.component, job.host)
        gone = HostingProcess(job.component, job.host, started=job.started, ended=job.ended)
        if job.ended is not None:
            yield gone
        elif job.host not in covered:
            yield gone  # alive, and of no context
        elif counts.get(place, 0) > 0:
            counts[place] -= 1
        elif (STANDALONE, job.host) not in counts:
            # Whatever the row says: every process there is seen, and this one is not among them.
            yield replace(gone, ended=_end(job))


def _end(job: Job) -> str:
    return timestamp(parse_time(job.last_beat or job.started) + _AFTER_BEAT)
