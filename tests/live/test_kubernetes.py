"""Pods that are real Airflow environments, released with the real helm, reached with the real kubectl: the pre-flight in four
components, the step pod, heavy work beside the scheduler, and the emergency."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.commands import Done
from tests.support.kube import kinds
from tests.support.kube.production import COMPONENTS, NAMESPACE, RELEASE, Production, production
from tests.support.walk import KEPT, THRESHOLD, Walk
from xcomctl.model import settings
from xcomctl.model.phases import Phase
from xcomctl.model.settings import settings_for
from xcomctl.rehearsal.scenarios.interface import DAG_ID

FOUR = ("scheduler", "worker", "triggerer", "dag-processor")
STEP_POD = "xcomctl-step-"
CARRIES = settings.THRESHOLD.env


def pods_of(prod: Production) -> set[str]:
    return {pod["metadata"]["name"] for pod in prod.kube.all(kinds.POD, NAMESPACE)}


def execs_in(prod: Production, start: int) -> set[str]:
    """The pods in which something was started since, by component."""
    names = {name for name, _, _ in prod.kube.execs[start:]}
    return {
        "step pod" if name.startswith(STEP_POD) else name.rsplit("-", 2)[0].removeprefix(f"{RELEASE}-")
        for name in names
    }


@pytest.fixture(scope="module")
def seen(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Everything, once: up in two deploys, one of them with a component that drifted; twice down with Helm's rollback."""
    found: dict[str, Any] = {}
    with production(walk, tmp_path_factory.mktemp("kubernetes")) as prod:
        offload = settings_for(Phase.OFFLOAD, walk.base_path, THRESHOLD)
        prod.write(settings_for(Phase.DUAL_READ, walk.base_path))
        prod.deploy()
        prod.write(offload, f'triggerer:\n  env:\n    - name: {CARRIES}\n      value: "5"\n')
        prod.deploy()
        preflight = ("--phase", "offload", "--expect-threshold", str(THRESHOLD), "-o", "json")
        found["drifted"] = prod.xcomctl("preflight", *preflight, components=FOUR)
        prod.write(offload)
        prod.deploy()
        before, began = pods_of(prod), len(prod.kube.execs)
        found["step pod"] = prod.xcomctl("preflight", "--step-pod", "--functional-s3", *preflight)
        found["execs of the step pod"] = execs_in(prod, began)
        began = len(prod.kube.execs)
        found["rehydrate"] = prod.xcomctl("rehydrate", "--dry-run", "-o", "json")
        found["objects"] = prod.xcomctl("refs", "--objects", "-d", DAG_ID, "-o", "json")
        found["heavy"] = prod.kube.execs[began:]
        prod.kube.access.denied.add(("create", "pods"))
        found["forbidden"] = prod.xcomctl("rehydrate", "--dry-run")
        prod.kube.access.denied.clear()
        found["pods"] = before, pods_of(prod)
        prod.write(offload, "workers:\n  env:\n    - name: MORE\n      value: than that\n")
        prod.deploy()
        two = ("scheduler", "worker")
        found["dry"] = prod.xcomctl("killswitch", "--emergency", "--dry-run", components=two)
        found["history before"] = history(prod)
        found["emergency"] = prod.xcomctl("killswitch", "--emergency", "-y", "-o", "json", components=two)
        found["threshold"] = [prod.inside(f"printenv {CARRIES}", component).out.strip() for component in COMPONENTS]
        found["status"] = prod.xcomctl("status", "--carrier", str(prod.values), "-o", "json", components=two)
        kept = prod.values.with_name("kept.yaml")
        kept.write_bytes(prod.values.read_bytes())
        found["as it is printed"] = prod.xcomctl(
            "killswitch", "--emergency", "--carrier", str(kept), "-y", components=two
        )
        found["kept"] = kept.read_text()
        prod.deploy()  # what the repository still says
        found["flipped again"] = prod.inside(f"printenv {CARRIES}").out.strip()
        found["edited too"] = prod.xcomctl("killswitch", "--emergency", "--carrier", str(prod.values), "-y", "-o", "json", components=two)  # fmt: skip
        found["values"] = prod.values.read_text()
        prod.deploy()
        found["stays"] = prod.inside(f"printenv {CARRIES}").out.strip()
        found["history"] = history(prod)
        found["left"] = pods_of(prod)
        yield found


def history(prod: Production) -> list[tuple[int, str]]:
    said = prod.desk.helm("history", RELEASE, "-n", NAMESPACE, "-o", "json").stdout
    return [(each["revision"], each["description"]) for each in json.loads(said)]


def test_of_four_components_the_one_that_drifted_is_named(seen: dict[str, Any]) -> None:
    drifted: Done = seen["drifted"]
    assert drifted.code == 3
    assert [context["name"] for context in drifted.record["contexts"]] == list(FOUR)
    (drift,) = [check for check in drifted.record["checks"] if check["id"] == "config_drift"]
    assert drift["status"] == "fail" and "triggerer" in drift["detail"]


def test_the_step_pod_is_a_column_with_the_operators_own_limit_and_is_gone(seen: dict[str, Any]) -> None:
    done: Done = seen["step pod"]
    assert done.code == 0, done.err
    assert done.record["options"]["step_pod"]
    assert [context["name"] for context in done.record["contexts"]] == ["scheduler", "step pod"]
    found = {(check["context"], check["id"]): check["status"] for check in done.record["checks"] if check["context"]}
    # As in the scheduler: a warning says what comes back otherwise, and F4 is 2.x's.
    for functional in ("store_offload", "round_trip_inline", "round_trip_offload"):
        assert found["step pod", functional] == found["scheduler", functional] != "fail"
    assert ("scheduler", "provider_pod_operator") not in found
    assert seen["execs of the step pod"] == {"scheduler", "step pod"}
    before, after = seen["pods"]
    assert before == after and not any(name.startswith(STEP_POD) for name in seen["left"])


def test_heavy_work_is_done_beside_the_scheduler(seen: dict[str, Any]) -> None:
    assert (
        seen["rehydrate"].record["answer"]["references"] == seen["objects"].record["totals"]["references"] == len(KEPT)
    )
    assert seen["objects"].code == 0 and seen["objects"].record["totals"]["objects"] >= len(KEPT)
    assert {name.startswith(STEP_POD) for name, _, _ in seen["heavy"]} == {True, False}


def test_without_the_right_to_create_pods_it_is_said_what_is_missing(seen: dict[str, Any]) -> None:
    done: Done = seen["forbidden"]
    assert done.code == 5
    assert "may not create pods in the namespace cvntrade (403)" in done.err and "xcomctl rbac --change" in done.err


def test_the_emergency_says_what_else_goes_back(seen: dict[str, Any]) -> None:
    dry: Done = seen["dry"]
    assert dry.code == 0, dry.err
    assert f"run: helm rollback {RELEASE} 1 -n {NAMESPACE}" in dry.out
    assert "  -    value: than that\n" in dry.out and "revision 2 is passed over: " in dry.out
    assert len(seen["history before"]) == 4


def test_it_is_done_in_every_pod_and_the_next_deploy_flips_again(seen: dict[str, Any]) -> None:
    done: Done = seen["emergency"]
    assert done.code == 3, done.err
    assert done.record["flips_again"] and done.record["ended"]
    assert [step["status"] for step in done.record["steps"]] == ["done"] * 3
    assert seen["threshold"] == ["-1"] * len(COMPONENTS)
    assert seen["flipped again"] == str(THRESHOLD)
    rollback = done.record["rollback"]
    assert (rollback["from"], rollback["to"]) == (4, 1) and "than that" in rollback["diff"]
    (step,) = done.record["next_steps"]
    assert step.startswith("xcomctl killswitch --emergency --carrier FILE")


def test_what_it_prints_keeps_what_is_deployed(seen: dict[str, Any]) -> None:
    done: Done = seen["as it is printed"]
    assert done.code == 0, done.out + done.err
    assert f'{CARRIES}: "-1"' in seen["kept"] and "says dual-read already" in done.out


def test_with_the_carrier_it_stays(seen: dict[str, Any]) -> None:
    done: Done = seen["edited too"]
    assert done.code == 0, (done.out, done.err)
    assert not done.record["flips_again"] and f'{CARRIES}: "-1"' in seen["values"]
    assert seen["stays"] == "-1"
    # The second one goes back to what the first one left: the newest revision that says it.
    assert [said for _, said in seen["history"] if said.startswith("Rollback")] == ["Rollback to 1", "Rollback to 5"]
