"""``xcomctl killswitch`` on the walk, killed on the way and called again: soft and on to ``inline``, and hard with a backend
that does not import.

After the walk the fleet is put into ``offload`` once more, with a run at the hold point. On one line calls of hard are killed
right after a step was announced, on the other right before it is recorded that it was done; there the way on to ``inline``
is killed so at the steps that both have: together, at each step of the journal. What is rehydrated lies below a base path of its own, so that what the walk left behind stays. On the first line
hard rehydrates; on the other its store does not answer, and the producer runs again. What is the desk's alone, and soft, are
proven on the first line, the way on to ``inline`` on the other.
"""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import dags
from tests.support.commands import Done, api_options, unreachable, xcomctl
from tests.support.deploys import deploying, reading
from tests.support.rows import gone_dag
from tests.support.walk import THRESHOLD, Walk, literal, sql
from xcomctl.deployment.carriers.env_file import EnvFile
from xcomctl.model import settings
from xcomctl.model.killswitch import Way
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.settings import BACKEND, settings_for

MINE, RUN, SIZE = "switched_consumers", "killswitch-held", 3 * THRESHOLD
EXIT_RUN = "killswitch-exit"
#: DAGs of one file: paused before, and not.
PAUSED_BEFORE, NOT_PAUSED = "killswitch_was_paused", "killswitch_was_not"
TWO_DAGS = f"""
from datetime import datetime, timezone

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

for name in ({PAUSED_BEFORE!r}, {NOT_PAUSED!r}):
    globals()[name] = DAG(name, schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc), catchup=False)
"""
#: Has the backend's import fail, as a package that is missing or does not fit does.
BROKEN = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == {OBJECT_STORAGE_BACKEND.rpartition(".")[0]!r}:
            raise ImportError("cannot import name 'gone' from 'a_package'")

sys.meta_path.insert(0, Missing())
"""
CHANGING = ("pause", "revert", "deploy", "clear", "unpause")
HARD = ("pause", "revert", "deploy", "confirm", "wait", "rehydrate", "clear", "unpause", "watch")
#: Where a call is killed with the step done and nothing of it recorded: what both have is killed once; soft is in its revert.
UNRECORDED = ("pause", "confirm", "rehydrate", "clear", "unpause")
ON_THE_WAY = ("settle", "rehydrate", "deploy", "wait", "late", "watch")
GONE, GONE_RUN, GONE_TASK = "killswitch_gone", "manual__1", "old"


class Switching:
    """The commands, as they are typed; one journal for each of the two kill-switches."""

    def __init__(self, walk: Walk, deploy: str, folder: Path) -> None:
        self.walk, self.folder = walk, folder
        self._deploy = deploy
        (folder / "broken").mkdir()
        (folder / "broken" / "sitecustomize.py").write_text(BROKEN)
        self.carrier = walk.sandbox.airflow.carrier
        self.api, self.login = api_options(walk)
        #: What has the store not answer.
        self.away: dict[str, str] = {}
        #: Whether the backend does not import.
        self.broken = False

    def journal(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def call(self, name: str, *arguments: str, killed: str | None = None) -> Done:
        """In a context that has what the carrier says when it is asked, and is loaded already unless its backend is broken."""
        via, door = self.walk.warm.carried(self.carrier)
        if self.broken:
            via, door = (
                shlex.join([*shlex.split(reading(self.carrier)), "env", f"PYTHONPATH={self.folder / 'broken'}"]),
                {},
            )
        where = ["--via", via, "--python", str(self.walk.python)]
        return xcomctl(
            self.walk, "killswitch", "--carrier", str(self.carrier), "--deploy", self._deploy, "--timeout", "240", "-y",
            *arguments, *where,
            variables={**self.walk.sandbox.airflow.environment(), **self.login, **self.away, **door}, journal=self.journal(name), killed_after=killed,
        )  # fmt: skip

    def pauses(self) -> dict[str, bool]:
        return self.walk.sandbox.airflow.api.pauses()

    def settings(self) -> dict[str, str]:
        return EnvFile.read(self.carrier).settings()

    def references(self, run_id: str = RUN) -> int:
        of_it = f"dag_id = {literal(MINE)} AND run_id = {literal(run_id)}"
        value = "convert_from(value, 'UTF8')" if self.walk.line == "2" else "value #>> '{}'"
        rows = sql(self.walk, f"SELECT count(*) FROM xcom WHERE {of_it} AND {value} LIKE '%{self.walk.base_path}/%'")
        return int(rows[0][0])


def soft(switching: Switching) -> dict[str, Any]:
    """Killed with the carrier edited and nothing recorded, then again."""
    seen: dict[str, Any] = {"dry": switching.call("soft", "--dry-run", "-o", "json")}
    seen["untouched"] = switching.settings()
    seen["killed"] = switching.call("soft", killed="killswitch.revert:unrecorded")
    seen["edited"] = switching.settings()
    seen["done"] = switching.call("soft", "-o", "json")
    seen["references"] = switching.references()
    seen["exit"] = switching.call("soft", "--to", "inline", "--dry-run", "-o", "json")
    return seen


def exit_way(switching: Switching) -> dict[str, Any]:
    """Soft, then on to ``inline``, killed with each step done and nothing of it recorded."""
    seen: dict[str, Any] = {"held": switching.references(EXIT_RUN), "soft": switching.call("exit_way")}
    seen["calls"] = {
        step: switching.call("exit_way", "--to", "inline", killed=f"killswitch.{step}:unrecorded")
        for step in ON_THE_WAY
    }
    seen["done"] = switching.call("exit_way", "--to", "inline", "-o", "json")
    switching.walk.rehearsal.stage.hold(False)
    dags.wait_for_run(switching.walk, MINE, EXIT_RUN)
    api = switching.walk.sandbox.airflow.api
    seen["references"], seen["settings"] = switching.references(EXIT_RUN), switching.settings()
    seen["tasks"] = [(each.state, each.try_number) for each in api.task_instances(MINE, EXIT_RUN)]
    return seen


def hard(switching: Switching) -> dict[str, Any]:
    """Killed at each step, then again. What still runs with old settings blocks, until it is named."""
    walk = switching.walk
    moment = "unrecorded" if walk.line == "3" else "announced"
    switching.broken = True
    if walk.line == "2":
        switching.away = unreachable(walk)
    seen: dict[str, Any] = {"before": switching.pauses(), "settings": switching.settings()}
    if moment == "unrecorded":
        seen["refused"] = switching.call("hard")
    kills = ["killswitch:announced"] if moment == "announced" else []
    kills += [f"killswitch.{step}:{moment}" for step in (UNRECORDED if moment == "unrecorded" else CHANGING)]
    calls: dict[str, Done] = {}
    for kill in kills:
        step = kill.partition(":")[0].rpartition(".")[2]
        if step == ("rehydrate" if moment == "unrecorded" else "clear"):
            switching.broken = False
            seen["blocked"], seen["restarting"] = blocked(switching)
        switching.broken = len(calls) < 2  # and imports again from then on
        through = switching.api if step == "unpause" else ()
        calls[kill] = switching.call("hard", "--hard", *through, killed=kill)
        seen[f"pauses after {step}"] = switching.pauses()
        seen[f"settings after {step}"] = switching.settings()
    walk.rehearsal.stage.hold(False)
    seen["calls"] = calls
    seen["done"] = switching.call("hard", "-o", "json")
    dags.wait_for_run(walk, MINE, RUN)
    seen["after"] = switching.pauses()
    seen["run"] = walk.sandbox.airflow.api.run(MINE, RUN).state
    seen["value"] = {each.task_id: each.state for each in walk.sandbox.airflow.api.task_instances(MINE, RUN)}
    seen["references"] = switching.references()
    if moment == "unrecorded":
        seen["once more"] = switching.call("hard", "-o", "json")
    return seen


def blocked(switching: Switching) -> tuple[Done, str]:
    """A task runs since long ago: it is not killed unless it is named. What it is then, as Airflow has it."""
    walk, of_it = switching.walk, f"dag_id = {literal(GONE)}"
    with gone_dag(walk, GONE, GONE_RUN, GONE_TASK):
        # 2.x tells a process to end by its job.
        more = ", job_id = 999999, try_number = 1" if walk.line == "2" else ""
        sql(walk, f"UPDATE task_instance SET state = 'running'{more} WHERE {of_it}")
        sql(
            walk,
            "INSERT INTO log (dttm, dag_id, run_id, task_id, map_index, event) VALUES (now() - interval '1 day', "
            f"{literal(GONE)}, {literal(GONE_RUN)}, {literal(GONE_TASK)}, -1, 'running')",
        )
        try:
            waits = switching.call("hard", "--timeout", "1", "-o", "json")
            switching.call("hard", "--timeout", "1", "--clear", f"{GONE}.{GONE_TASK}")
            return waits, sql(walk, f"SELECT state FROM task_instance WHERE {of_it}")[0][0]
        finally:
            sql(walk, f"DELETE FROM log WHERE {of_it}")


@pytest.fixture(scope="module")
def seen(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Everything, once. Afterwards the fleet is ``inline`` as it was, and nothing of it is left."""
    stage, airflow = walk.rehearsal.stage, walk.sandbox.airflow
    assert stage is not None
    file = airflow.folder / "dags" / "killswitch_two.py"
    before = EnvFile.read(airflow.carrier).settings()
    try:
        file.write_text(TWO_DAGS)
        dags.add(walk, MINE)

        def offloading(base_path: str, run_id: str) -> None:
            """With a run at the hold point."""
            walk.sandbox.redeploy(settings_for(Phase.OFFLOAD, base_path, THRESHOLD), lambda what: None)
            airflow.wait_for_dag(PAUSED_BEFORE, lambda what: None)
            airflow.api.set_paused(PAUSED_BEFORE, True)
            stage.hold(True)
            dags.hold_run(walk, MINE, run_id, SIZE)

        own = f"{walk.base_path}/killswitch"
        with deploying(walk.sandbox) as deploy:
            switching = Switching(walk, deploy, tmp_path_factory.mktemp("killswitch"))
            found: dict[str, Any] = {}
            if walk.line == "2":
                offloading(own, EXIT_RUN)
                found["exit_way"] = exit_way(switching)
            offloading(own if walk.line == "3" else walk.base_path, RUN)
            found["held"] = switching.references()
            for play in (soft, hard) if walk.line == "3" else (hard,):
                found[play.__name__] = play(switching)
            for play in (play for play in (exit_way, soft, hard) if play.__name__ in found):
                lines = switching.journal(play.__name__).read_text().splitlines()
                found[play.__name__]["journal"] = [json.loads(line) for line in lines]
        yield found
    finally:
        stage.hold(False)
        file.unlink(missing_ok=True)
        dags.forget_dag(walk, MINE)
        for name in (PAUSED_BEFORE, NOT_PAUSED):
            dags.forget_dag(walk, name)
        if EnvFile.read(airflow.carrier).settings() != before:
            walk.sandbox.redeploy(before, lambda what: None)


def actions(journal: list[dict[str, Any]], verdict: str | None = "ok") -> list[str]:
    return [each["action"] for each in journal if each["verdict"] == verdict]


# --- soft


@pytest.mark.first_line_only
def test_soft_says_what_it_sees_and_would_do_and_a_dry_run_does_nothing(seen: dict[str, Any]) -> None:
    dry = seen["soft"]["dry"].orderly()
    assert dry.code == 0 and dry.record["dry_run"] is True
    assert (dry.record["recommended"]["way"], dry.record["target"]) == ("soft", "dual-read")
    assert dry.record["sees"]["runs_at_risk"] >= 1 and dry.record["sees"]["store_up"]
    assert [step["status"] for step in dry.record["steps"]] == ["to do"] * 3
    assert f'+{settings.THRESHOLD.env}="-1"' in dry.err
    assert seen["soft"]["untouched"][settings.THRESHOLD.env] == str(THRESHOLD)


@pytest.mark.first_line_only
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


@pytest.mark.first_line_only
def test_soft_touches_no_reference(seen: dict[str, Any]) -> None:
    assert seen["soft"]["references"] == seen["held"] == 1


# --- on to inline


@pytest.mark.other_line_only
def test_on_to_inline_no_kill_loses_anything_and_nothing_runs_again(seen: dict[str, Any]) -> None:
    found = seen["exit_way"]
    assert found["held"] == 1 and found["soft"].orderly().code == 0
    for step, done in found["calls"].items():
        assert done.code == -signal.SIGKILL, (step, done.code, done.out, done.err)
    done = found["done"].orderly()
    assert (done.code, done.record["verdict"], done.record["way"]) == (0, "ok", "exit"), done.out
    assert {step["status"] for step in done.record["steps"]} == {"done"}
    assert found["references"] == 0 and found["settings"][BACKEND.env] == BASE_XCOM
    assert set(found["tasks"]) == {("success", 1)}


@pytest.mark.other_line_only
def test_on_to_inline_every_step_is_on_record_however_often_it_was_begun(seen: dict[str, Any]) -> None:
    journal = seen["exit_way"]["journal"]
    told = [each for each in journal if each["action"] == "killswitch.rehydrate" and each["verdict"]]
    assert [each["verdict"] for each in told] == ["ok"]  # it was done by a call that could not say so any more
    assert {f"killswitch.{step}" for step in Way.EXIT.steps} <= set(actions(journal))
    assert actions(journal)[-1] == "killswitch"


# --- hard


@pytest.mark.first_line_only
def test_a_backend_that_does_not_import_is_what_hard_is_for(seen: dict[str, Any]) -> None:
    refused = seen["hard"]["refused"].orderly()
    assert refused.code == 6
    assert "does not import" in refused.out and "cannot import name 'gone'" in refused.err
    assert "xcomctl killswitch --hard" in refused.err
    assert seen["hard"]["settings"][BACKEND.env] == OBJECT_STORAGE_BACKEND


def test_each_call_was_killed_where_it_should_be(seen: dict[str, Any]) -> None:
    for kill, done in seen["hard"]["calls"].items():
        assert done.code == -signal.SIGKILL, (kill, done.code, done.out, done.err)


def test_the_dags_are_paused_before_anything_else_and_put_back_at_the_end(seen: dict[str, Any], walk: Walk) -> None:
    hard_one = seen["hard"]
    before, after = hard_one["before"], hard_one["after"]
    assert before[PAUSED_BEFORE] is True and before[NOT_PAUSED] is False and before[MINE] is False
    assert all(hard_one["pauses after clear"].values())
    if walk.line == "3":  # all of it was done, and the tool was killed before it could say so
        assert all(hard_one["pauses after pause"].values())
        assert hard_one["settings after pause"] == hard_one["settings"]
    else:  # it was announced, and nothing done
        assert hard_one["pauses after pause"] == before
    assert after == before


def test_the_end_is_the_same_whatever_was_killed(seen: dict[str, Any], walk: Walk) -> None:
    hard_one = seen["hard"]
    done = hard_one["done"].orderly()
    assert (done.code, done.record["verdict"], done.record["way"]) == (0, "ok", "hard"), done.out
    assert hard_one["run"] == "success"
    assert set(hard_one["value"].values()) == {"success"}
    assert hard_one["references"] == 0
    assert hard_one["settings after clear"][BACKEND.env] == BASE_XCOM
    finished = [
        each for each in hard_one["journal"] if each["action"] == "killswitch.clear" and each["verdict"] == "ok"
    ]
    # The walk's own finished runs keep theirs, below its own base path.
    assert bool(finished[-1]["data"]["finished_with_references"]) == (walk.line == "2")


def test_what_the_store_holds_goes_back_and_its_producer_runs_again_only_where_it_does_not_answer(
    seen: dict[str, Any], walk: Walk
) -> None:
    of_step = [each for each in seen["hard"]["journal"] if each["action"] == "killswitch.rehydrate" and each["verdict"]]
    cleared = [each for each in seen["hard"]["journal"] if each["action"] == "retrigger.run" and each["verdict"]]
    if walk.line == "3":
        assert sum(each["data"]["answer"]["rows"] for each in of_step if "answer" in each["data"]) <= 1
        assert any(
            each["verdict"] is None for each in seen["hard"]["journal"] if each["action"] == "killswitch.rehydrate"
        )
        assert cleared == []
    else:
        assert "does not give them" in of_step[-1]["data"]["detail"]
        assert [each["data"]["run_id"] for each in cleared] == [RUN]


def test_every_step_is_on_record(seen: dict[str, Any]) -> None:
    journal = seen["hard"]["journal"]
    assert {f"killswitch.{step}" for step in HARD} <= set(actions(journal))
    assert {f"killswitch.{step}" for step in CHANGING} <= set(actions(journal, None))
    assert actions(journal)[-1] == "killswitch"
    assert len({each["plan"] for each in journal if each["action"].startswith("killswitch")}) == 1
    first = next(each for each in journal if each["action"] == "killswitch.pause")
    assert (
        first["verdict"] is None and PAUSED_BEFORE in first["before"]["paused"] and MINE in first["before"]["unpaused"]
    )


def test_what_still_runs_is_waited_for_and_killed_only_when_it_is_named(seen: dict[str, Any]) -> None:
    waits = seen["hard"]["blocked"].orderly()
    assert waits.code == 3
    (failed,) = [step for step in waits.record["steps"] if step["status"] == "failed"]
    assert failed["id"] == "wait" and any(f"{GONE}.{GONE_TASK}" in note for note in failed["notes"])
    assert "--clear DAG.TASK" in failed["hint"]
    assert seen["hard"]["restarting"] != "running"
    cleared = [each for each in seen["hard"]["journal"] if each["data"].get("cleared")]
    assert [each["action"] for each in cleared] == ["killswitch.wait"]


@pytest.mark.first_line_only
def test_one_that_ended_is_not_gone_on_with(seen: dict[str, Any]) -> None:
    again = seen["hard"]["once more"].orderly()
    assert again.code == 0 and again.record["way"] is None and again.record["steps"] == []
    assert "nothing to switch off" in again.record["recommended"]["because"]
