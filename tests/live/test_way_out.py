"""``xcomctl killswitch`` on the walk, soft and on from there to ``inline``: killed on the way and called again, nothing is lost.

What is rehydrated lies below a base path of its own, so that what the walk left behind stays.
"""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.support.switching import MINE, Switching, actions, switching
from tests.support.walk import THRESHOLD, Walk
from xcomctl.model import settings
from xcomctl.model.killswitch import Way
from xcomctl.model.phases import BASE_XCOM
from xcomctl.model.settings import BACKEND

pytestmark = pytest.mark.other_line_only

RUN, JOURNAL = "killswitch-exit", "way-out"
#: Where a call is killed with the step done and nothing of it recorded; the others in the hard one (``test_killswitch.py``).
ON_THE_WAY = ("settle", "rehydrate", "deploy", "wait", "late", "watch")


def soft(switching: Switching) -> dict[str, Any]:
    """Killed with the carrier edited and nothing recorded, then again."""
    seen: dict[str, Any] = {"dry": switching.call(JOURNAL, "--dry-run", "-o", "json")}
    seen["untouched"] = switching.settings()
    seen["killed"] = switching.call(JOURNAL, killed="killswitch.revert:unrecorded")
    seen["edited"] = switching.settings()
    seen["done"] = switching.call(JOURNAL, "-o", "json")
    seen["references"] = switching.references(RUN)
    seen["exit"] = switching.call(JOURNAL, "--to", "inline", "--dry-run", "-o", "json")
    return seen


def exit_way(switching: Switching) -> dict[str, Any]:
    """On from ``dual-read``, killed with each step done and nothing of it recorded."""
    seen: dict[str, Any] = {}
    seen["calls"] = {
        step: switching.call(JOURNAL, "--to", "inline", killed=f"killswitch.{step}:unrecorded") for step in ON_THE_WAY
    }
    seen["done"] = switching.call(JOURNAL, "--to", "inline", "-o", "json")
    switching.release(RUN)
    api = switching.walk.sandbox.airflow.api
    seen["references"], seen["settings"] = switching.references(RUN), switching.settings()
    seen["tasks"] = [(each.state, each.try_number) for each in api.task_instances(MINE, RUN)]
    return seen


@pytest.fixture(scope="module")
def seen(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything, once."""
    with switching(walk, tmp_path_factory.mktemp("way-out")) as mine:
        mine.offload(f"{walk.base_path}/killswitch", RUN)
        # In one journal: 2.x hides since when its processes have dual-read, and there it is on record.
        found = {"soft": {**soft(mine), "journal": mine.entries(JOURNAL)}}
        return {**found, "exit": {**exit_way(mine), "journal": mine.entries(JOURNAL)}}


def test_soft_says_what_it_sees_and_would_do_and_a_dry_run_does_nothing(seen: dict[str, Any]) -> None:
    dry = seen["soft"]["dry"].orderly()
    assert dry.code == 0 and dry.record["dry_run"] is True
    assert (dry.record["recommended"]["way"], dry.record["target"]) == ("soft", "dual-read")
    assert dry.record["sees"]["runs_at_risk"] >= 1 and dry.record["sees"]["store_up"]
    assert [step["status"] for step in dry.record["steps"]] == ["to do"] * 3
    assert f'+{settings.THRESHOLD.env}="-1"' in dry.err
    assert seen["soft"]["untouched"][settings.THRESHOLD.env] == str(THRESHOLD)


def test_soft_is_gone_on_with_after_a_kill_and_every_context_has_it(seen: dict[str, Any]) -> None:
    found = seen["soft"]
    assert found["killed"].code == -signal.SIGKILL
    assert found["edited"][settings.THRESHOLD.env] == "-1"
    done = found["done"].orderly()
    assert (done.code, done.record["verdict"], done.record["way"]) == (0, "ok", "soft"), done.out
    assert done.record["resumes"] == found["journal"][0]["at"]
    assert [step["status"] for step in done.record["steps"]] == ["done"] * 3
    assert "running processes with it" in done.record["steps"][-1]["detail"]
    assert any(step.startswith("xcomctl killswitch --to inline") for step in done.record["next_steps"])
    onwards = found["exit"].orderly()
    assert (onwards.code, onwards.record["way"], onwards.record["target"]) == (0, "exit", "inline")
    assert [step["id"] for step in onwards.record["steps"]][:3] == ["settle", "rehydrate", "revert"]
    assert (
        actions(found["journal"])[-1] == "killswitch" and found["journal"][0]["before"] != found["journal"][0]["after"]
    )
    # The lock of the one that was killed was taken over, and that is on record.
    assert any("took_over" in each["data"] for each in found["journal"])


def test_soft_touches_no_reference(seen: dict[str, Any]) -> None:
    assert seen["soft"]["references"] == 1


def test_on_to_inline_no_kill_loses_anything_and_nothing_runs_again(seen: dict[str, Any]) -> None:
    found = seen["exit"]
    for step, done in found["calls"].items():
        assert done.code == -signal.SIGKILL, (step, done.code, done.out, done.err)
    done = found["done"].orderly()
    assert (done.code, done.record["verdict"], done.record["way"]) == (0, "ok", "exit"), done.out
    assert {step["status"] for step in done.record["steps"]} == {"done"}
    assert found["references"] == 0 and found["settings"][BACKEND.env] == BASE_XCOM
    assert set(found["tasks"]) == {("success", 1)}


def test_on_to_inline_every_step_is_on_record_however_often_it_was_begun(seen: dict[str, Any]) -> None:
    journal = seen["exit"]["journal"]
    told = [each for each in journal if each["action"] == "killswitch.rehydrate" and each["verdict"]]
    assert [each["verdict"] for each in told] == ["ok"]  # it was done by a call that could not say so any more
    assert {f"killswitch.{step}" for step in Way.EXIT.steps} <= set(actions(journal))
    assert actions(journal)[-1] == "killswitch"
