"""Pods as evidence: which are old, whose they are, and what is not known of them."""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.kube import binaries, cluster
from tests.support.kube.containers import Image
from tests.support.kube.samples import AIRFLOW, container, official, pod
from tests.support.kube.tools import tools
from xcomctl.change import pods_seen
from xcomctl.change.evidence import merged
from xcomctl.change.pods_seen import PodsSeen, phase_by_spec
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.kubectl import Kubectl
from xcomctl.deployment.pods import Pod, label_value
from xcomctl.deployment.reach.kubernetes import Wanted, find
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.model.barrier import HostingProcess, LeftInstance, Passage, QueuedInstance, judge
from xcomctl.model.barrier_evidence import BarrierAnswer, InFlightAnswer, Job, PodOwner
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Line, Phase

RUN = "manual__2016-01-01T01:00:00+01:00"
STEP = {"kubernetes_pod_operator": "True", "dag_id": "d", "task_id": "t", "run_id": label_value(RUN)}
BACKEND, STORED = "AIRFLOW__CORE__XCOM_BACKEND", "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
DUAL_READ = {BACKEND: OBJECT_STORAGE_BACKEND, f"{STORED}PATH": "s3://c@b/x", f"{STORED}THRESHOLD": "-1"}


def at(minute: int) -> str:
    return f"2026-06-06T12:{minute:02}:00Z"


def made(name: str, labels: dict[str, str], env: dict[str, str] | None = None, created: int = 20, **more) -> Pod:
    content = pod(name, labels, [container(labels.get("component", "base"), env, **more)])
    content["metadata"].update(creationTimestamp=at(created), uid=name)
    content["status"] = {"phase": "Running", "containerStatuses": [{"name": labels.get("component", "base"), "state": {"running": {"startedAt": at(created)}}}]}  # fmt: skip
    return Pod.of(content)


def seen(*tasks: Pod, unasked: tuple[Pod, ...] = (), failures: tuple[str, ...] = ()) -> PodsSeen:
    return PodsSeen(frozenset({"airflow"}), tasks, unasked, failures)


ANSWERS = {"scheduler": BarrierAnswer("3.3.2", "s-0", "dual-read", "it is", (HostingProcess("scheduler", "s-0", 1, at(10), "dual-read"),))}  # fmt: skip
FLIGHT = InFlightAnswer(at(31), 360.0, jobs=(Job("scheduler", "s-0", at(10), None, at(30)),))
IN_PODS = replace(FLIGHT, in_pods="[core] executor is KubernetesExecutor", pod_namespace="airflow", only_pods=True)


def judged(shown: PodsSeen | None, flight: InFlightAnswer = IN_PODS):
    return judge(Phase.DUAL_READ, merged(ANSWERS, flight, Phase.DUAL_READ, None, shown))


def test_pods_that_are_seen_let_it_pass_and_an_old_one_blocks():
    assert judged(None).passage == Passage.INCONCLUSIVE.value
    assert judged(seen()).passed and judged(seen(made("new", STEP))).passed
    old = judged(seen(made("old", STEP, created=5)))
    assert (old.passage, [each.name for each in old.blockers]) == (Passage.BLOCKED.value, ["old"])
    assert "delete the pod old" in old.blockers[0].ways_out


def test_a_pod_has_the_ids_of_its_instance_and_is_as_old_as_who_made_it():
    owner, left = PodOwner("d", RUN, "t", -1, at(12)), LeftInstance("d", RUN, "t", -1, "cleared", at(13), at(4))
    flight = replace(IN_PODS, pod_owners=(owner,))
    (record,) = pods_seen.pods(seen(made("p", STEP)), flight)
    assert (record.dag_id, record.run_id, record.task, record.creator_began) == ("d", RUN, "d.t", at(12))
    assert judged(seen(made("p", STEP)), flight).passed
    (record,) = pods_seen.pods(seen(made("p", STEP)), replace(flight, left=(left,)))
    assert record.creator_began == at(4)
    of_old = judged(seen(made("p", STEP)), replace(flight, pod_owners=(replace(owner, began=at(5)),)))
    assert of_old.blockers[0].reason == f"was created by a process that started before the change, for d.t of {RUN}"
    # The executor's pods are made by a scheduler, whose own start is evidence enough.
    executors = {**STEP, "kubernetes_executor": "True"}
    del executors["kubernetes_pod_operator"]
    (record,) = pods_seen.pods(seen(made("p", executors)), replace(flight, left=(left,)))
    assert (record.task, record.creator_began) == ("d.t", None)


def test_a_mapped_instance_has_its_own_pod_and_an_unknown_one_its_labels():
    mapped = made("p", {**STEP, "map_index": "3"})
    (record,) = pods_seen.pods(seen(mapped), replace(IN_PODS, queued=(QueuedInstance("d", RUN, "t", 2, at(3)),)))
    assert (record.run_id, record.map_index) == (label_value(RUN), 3)
    (record,) = pods_seen.pods(seen(mapped), replace(IN_PODS, queued=(QueuedInstance("d", RUN, "t", 3, at(3)),)))
    assert (record.run_id, record.map_index) == (RUN, 3)


@pytest.mark.parametrize(
    ("shown", "flight", "said"),
    [
        (seen(), replace(IN_PODS, pod_namespace="tasks"), "starts pods in the namespace tasks, and those of airflow"),
        (seen(), replace(IN_PODS, pod_namespace="*"), "starts pods in several namespaces"),
        (
            seen(),
            replace(IN_PODS, pod_owners=(PodOwner("d", RUN, "t", 1, None),)),
            f"no pod of d.t[1] of {RUN} is seen",
        ),
        (seen(failures=("forbidden",)), FLIGHT, "forbidden"),
        (
            seen(unasked=(made("s-1", official("scheduler")),)),
            FLIGHT,
            "s-1 (Running, not Ready) of scheduler was not asked",
        ),
    ],
)
def test_what_is_not_known_of_pods_is_said(shown: PodsSeen, flight: InFlightAnswer, said: str):
    found = judged(shown, flight)
    assert found.passage == Passage.INCONCLUSIVE.value and any(said in each for each in found.unknown)


def test_a_pod_that_nobody_asked_is_judged_by_its_spec():
    flight = replace(FLIGHT, jobs=(*FLIGHT.jobs, Job("scheduler", "s-1.airflow.svc", at(20), None, at(30))))
    assert judged(None, flight).passage == Passage.INCONCLUSIVE.value  # a host that we do not see
    assert judged(seen(unasked=(made("s-1", official("scheduler"), DUAL_READ),)), flight).passed
    old = {**DUAL_READ, f"{STORED}THRESHOLD": "1600000"}
    blocked = judged(seen(unasked=(made("s-1", official("scheduler"), old),)), flight)
    assert blocked.blockers[0].reason == "still runs as offload" and "scheduler on s-1" in blocked.blockers[0].name
    pending = made("w-0", official("worker"), {BACKEND: "airflow.models.xcom.BaseXCom"})
    waiting = copy.deepcopy(dict(pending.content))
    waiting["status"] = {"phase": "Pending"}
    assert judged(seen(unasked=(Pod.of(waiting),)), FLIGHT).blockers[0].reason == "still runs as inline"


@pytest.mark.parametrize(
    ("env", "more", "phase"),
    [
        (DUAL_READ, {}, Phase.DUAL_READ),
        ({BACKEND: "airflow.models.xcom.BaseXCom"}, {}, Phase.INLINE),
        ({BACKEND: "mine.XCom"}, {}, Phase.UNKNOWN),
        ({}, {"envFrom": [{"configMapRef": {"name": "settings"}}]}, None),
        ({BACKEND: OBJECT_STORAGE_BACKEND}, {}, None),  # path and threshold come from elsewhere
        ({**DUAL_READ, BACKEND: "$(BACKEND)"}, {}, None),
    ],
)
def test_what_a_spec_tells(env: dict[str, str], more: dict[str, object], phase: Phase | None):
    assert phase_by_spec(made("p", official("worker"), env, **more), Line.AF3) is phase


def test_the_executors_own_pod_of_a_task_is_not_that_of_its_step():
    its = {key: value for key, value in STEP.items() if key != "kubernetes_pod_operator"} | {
        "kubernetes_executor": "True"
    }
    flight = replace(IN_PODS, pod_owners=(PodOwner("d", RUN, "t", -1, at(12)),))
    assert "no pod of d.t of" in judged(seen(made("p", its)), flight).unknown[0]
    assert judged(seen(made("p", its), made("q", STEP)), flight).passed


def test_hosts_of_an_executor_that_starts_other_things_than_pods():
    ran = replace(IN_PODS, hosts=("celery-7",))
    assert judged(seen(), ran).passed  # a pod that is gone
    mixed = judged(seen(), replace(ran, only_pods=False))
    assert mixed.passage == Passage.INCONCLUSIVE.value and "tasks ran lately on celery-7" in mixed.unknown[0]
    steps_alone = replace(ran, in_pods="steps run in pods: d.t", pod_namespace="", only_pods=False)
    assert "task host on celery-7 is covered by no context" in judged(seen(), steps_alone).unknown[0]


def test_labels_are_made_as_airflow_makes_them():
    assert label_value("plain-1.2_x") == "plain-1.2_x"
    # From the tests of the provider cncf.kubernetes.
    assert label_value(RUN) == "manual__2016-01-01T0100000100-da4d1ce7b"
    assert len(label_value("x" * 100)) == 63


def test_a_cluster_is_looked_at_after_its_contexts_were_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert pods_seen.look([LocalReach(Path(sys.executable))]) is None
    image = Image({"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})
    with cluster.running(tmp_path / "cluster", {AIRFLOW: image}) as kube:
        for name, value in tools(kube, binaries.OLDER, tmp_path / "desk").environment.items():
            monkeypatch.setenv(name, value)
        kube.put(
            pod("s-0", official("scheduler"), [container("scheduler")]),
            pod("w-0", official("worker"), [container("worker")], nodeSelector={"a": "b"}),
            pod("web", official("webserver"), [container("webserver")]),
            pod("step", STEP, [container("base")]),
            pod("over", STEP, [container("base", command=["true"])], restartPolicy="Never"),
        )
        kube.wait_for("Succeeded", "over")
        reaches = find(Wanted(Kubectl("airflow")), lambda text: None)
        with AgentSession(reaches[0]):
            shown = pods_seen.look(reaches)
        assert shown is not None and shown.namespaces == {"airflow"}
        assert [each.name for each in shown.tasks] == ["step"] and [each.name for each in shown.unasked] == ["w-0"]
        kube.access.denied = {("list", "pods")}
        shown = pods_seen.look(reaches)
        assert shown is not None and "ops may not list pods in the namespace airflow" in shown.failures[0]
