"""What a pre-flight is going to do: contexts, the way to the task, and what a deployment plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xcomctl.assess.preflight_plan import PreflightPlan, plan
from xcomctl.deployment.deployments import ApiEntry, ContextEntry, Deployment, SettingsEntry
from xcomctl.deployment.reach.command import CommandReach
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.errors import UserError
from xcomctl.model.preflight import PreflightOptions

HERE = LocalReach(Path("/usr/bin/python3"), label="local")
API = ApiEntry("https://airflow.example.org")
PLANNED = SettingsEntry("s3://c@b/xcom", 1_600_000, "gzip")


def deployment(**fields: Any) -> Deployment:
    return Deployment("staging", Path("xcomctl.toml"), **fields)


def planned(chosen: Deployment | None = None, api: ApiEntry | None = None, **options: Any) -> PreflightPlan:
    reaches = [HERE] if chosen is None else chosen.reaches()
    return plan(PreflightOptions(**options), chosen, [] if api and chosen is None else reaches, api)


def test_a_task_is_reached_through_the_api_that_is_given_else_the_deployments_else_a_context() -> None:
    contexts = (ContextEntry("scheduler", None, "/x"),)
    other = ApiEntry("https://other.example.org")
    assert planned(in_task=True).task_way is HERE
    assert planned(in_task=True, api=API).task_way is API
    assert planned(deployment(contexts=contexts, api=API), in_task=True).task_way is API
    assert planned(deployment(contexts=contexts, api=API), in_task=True, api=other).task_way is other
    assert planned(deployment(contexts=contexts), in_task=True).task_way.name == "scheduler"  # type: ignore[union-attr]
    assert planned(deployment(contexts=contexts, api=API)).task_way is None


def test_an_api_alone_is_enough_for_a_task_and_for_nothing_else() -> None:
    assert planned(deployment(api=API), in_task=True).reaches == ()
    for chosen, in_task in ((deployment(api=API), False), (deployment(), True), (deployment(), False)):
        with pytest.raises(UserError, match="has no contexts"):
            planned(chosen, in_task=in_task)


def test_what_is_planned_stands_in_for_what_is_left_open() -> None:
    chosen = deployment(contexts=(ContextEntry("a", None, "/x"),), settings=PLANNED)
    filled = planned(chosen, planned=True).options
    assert (filled.expect_path, filled.expect_threshold, filled.expect_compression) == (
        "s3://c@b/xcom",
        1_600_000,
        "gzip",
    )
    assert planned(chosen, phase="offload", expect_threshold=20_000).options.expect_threshold == 20_000
    assert planned(chosen, phase="dual-read").options.expect_threshold is None
    untouched = planned(chosen).options
    assert (untouched.expect_path, untouched.expect_threshold, untouched.expect_compression) == (None, None, None)


def test_the_words_are_those_of_what_will_be_done_and_hold_no_secret() -> None:
    secret = ApiEntry("http://ops:planted-api-1c1c@airflow.example.org")
    prefix = CommandReach.parse("env DATABASE_PASSWORD=planted-prefix-2d2d docker exec x")
    said = "\n".join(plan(PreflightOptions(in_task=True, functional=True), None, [prefix], secret).lines())
    assert "planted" not in said
    assert "docker exec x" in said or "***" in said
    assert "airflow.example.org" in said
    assert "--functional-s3" in said
    assert "through local" in "\n".join(planned(in_task=True).lines())
    assert "canary" not in "\n".join(planned().lines())
