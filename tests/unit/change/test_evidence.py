"""One picture of what contexts and tables say: who is there, who is gone, and who is not seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xcomctl.change.evidence import TASK_HOST, merged, without_rows
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.model.barrier import HostingProcess, Passage, RunningInstance, judge
from xcomctl.model.barrier_evidence import BarrierAnswer, InFlightAnswer, Job
from xcomctl.model.journal_entry import parse_time
from xcomctl.model.phases import Phase


def at(minute: int) -> str:
    return f"2026-06-06T12:{minute:02}:00.000000Z"


def context(*components: str, host: str = "scheduler-0", phase: str = "dual-read", others: int = 0) -> BarrierAnswer:
    processes = tuple(
        HostingProcess(component, host, number, at(10), phase) for number, component in enumerate(components, 1)
    )
    return BarrierAnswer("3.3.2", host, phase, f"it is {phase}", processes, others)


def job(component: str, started: int, ended: int | None = None, host: str = "scheduler-0", beat: int = 30) -> Job:
    return Job(component, host, at(started), None if ended is None else at(ended), at(beat))


def flight(*jobs: Job, **more: object) -> InFlightAnswer:
    return replace(InFlightAnswer(at(31), 360.0, jobs=jobs), **more)


def barrier(answers, found, target=Phase.DUAL_READ):
    return judge(target, merged(answers, found, target))


def test_processes_with_their_rows_pass_and_the_moment_is_when_the_last_old_one_was_gone():
    answers = {"scheduler": context("scheduler", "triggerer")}
    found = flight(job("scheduler", 11), job("triggerer", 11), job("scheduler", 1, ended=12))
    judged = barrier(answers, found)
    assert (judged.passage, judged.moment) == (Passage.PASSED.value, at(12))


def test_a_row_that_beats_where_no_context_looks_is_a_host_that_we_do_not_see():
    answers = {"scheduler": context("scheduler")}
    judged = barrier(answers, flight(job("scheduler", 11), job("triggerer", 2, host="triggerer-0")))
    assert judged.passage == Passage.INCONCLUSIVE.value
    assert "triggerer on triggerer-0" in judged.unknown[0]


def test_a_row_that_beats_where_its_process_is_not_is_of_one_that_was_killed():
    judged = barrier({"scheduler": context("scheduler")}, flight(job("scheduler", 11), job("scheduler", 1, beat=14)))
    assert (judged.passage, judged.moment) == (Passage.PASSED.value, "2026-06-06T12:14:30.000000Z")


def test_one_command_that_runs_every_component_has_all_their_rows():
    found = flight(job("scheduler", 11), job("triggerer", 11), job("dag-processor", 11))
    evidence = merged({"local": context("standalone")}, found, Phase.DUAL_READ)
    assert [each.component for each in evidence.processes] == ["standalone"]


@pytest.mark.parametrize("in_pods", ["", "[core] executor is KubernetesExecutor"])
def test_a_host_on_which_tasks_started_lately_and_no_context_is(in_pods):
    found = flight(job("scheduler", 11), hosts=("worker-7", "scheduler-0"), in_pods=in_pods)
    evidence = merged({"scheduler": context("scheduler")}, found, Phase.DUAL_READ)
    hosts = [each.host for each in evidence.processes if each.component == TASK_HOST]
    # The names of pods are names of hosts: what is not seen then is pods.
    assert (hosts, evidence.pods) == (([], None) if in_pods else (["worker-7"], ()))
    assert judge(Phase.DUAL_READ, evidence).passage == Passage.INCONCLUSIVE.value


def test_a_context_that_serves_the_api_alone_is_none_that_tasks_start_in():
    answers = {"api": context(others=2, host="api-0"), "scheduler": context("scheduler")}
    assert merged(answers, flight(job("scheduler", 11)), Phase.DUAL_READ).contexts == ("scheduler",)
    assert barrier(answers, flight(job("scheduler", 11))).passed


def test_what_starts_next_with_other_settings_is_not_passed():
    answers = {"scheduler": replace(context("scheduler"), phase="inline", reason="somebody reverted")}
    judged = barrier(answers, flight(job("scheduler", 11)))
    assert (judged.passage, "somebody reverted" in judged.unknown[0]) == (Passage.INCONCLUSIVE.value, True)


def test_a_context_that_does_not_answer_is_named():
    answers = {"scheduler": context("scheduler"), "worker": AgentError("no such pod")}
    judged = barrier(answers, flight(job("scheduler", 11)))
    assert judged.unknown == ("worker did not answer: no such pod",)


def test_a_task_that_runs_since_before_is_in_the_way():
    running = RunningInstance("dag", "run", "task", -1, "running", at(9), "scheduler-0")
    judged = barrier({"scheduler": context("scheduler")}, flight(job("scheduler", 11), running=(running,)))
    assert (judged.passage, judged.blockers[0].task) == (Passage.BLOCKED.value, "dag.task")


def test_pool_masters_have_no_row_that_says_when_an_earlier_one_ended():
    answers = {"scheduler": context("scheduler"), "worker": context("celery worker", host="worker-0")}
    evidence = merged(answers, flight(job("scheduler", 11)), Phase.DUAL_READ)
    assert [each.component for each in without_rows(evidence)] == ["celery worker"]


@pytest.mark.parametrize(
    ("deployed", "passage"), [(9, Passage.PASSED), (11, Passage.BLOCKED), (None, Passage.INCONCLUSIVE)]
)
def test_a_process_that_hides_what_it_started_with_goes_by_when_the_settings_were_rolled_out(deployed, passage):
    hiding = context("scheduler")
    hiding = replace(hiding, processes=tuple(replace(each, phase=None) for each in hiding.processes))
    moment = None if deployed is None else parse_time(at(deployed))
    evidence = merged({"scheduler": hiding}, flight(job("scheduler", 11)), Phase.DUAL_READ, moment)
    judged = judge(Phase.DUAL_READ, evidence)
    assert judged.passage == passage.value
    if passage is Passage.INCONCLUSIVE:
        assert "--deployed-at" in judged.unknown[0]
