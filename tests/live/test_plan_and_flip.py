"""``xcomctl plan`` and ``xcomctl flip`` on the walk: what refuses a step, what lets it pass, and that a kill loses nothing."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.commands import Done, together, xcomctl
from tests.support.deploys import rolled_out
from tests.support.walk import OFFLOADED, THRESHOLD, Walk, literal, sql
from xcomctl.deployment.carriers.opened import open_carrier
from xcomctl.model.phases import BASE_XCOM
from xcomctl.model.settings import BACKEND, PATH
from xcomctl.model.settings import THRESHOLD as THRESHOLD_SETTING
from xcomctl.rehearsal.scenarios.soft import EXIT_RUN, SOFT_RUN

#: Another threshold than the walk's, for a step up that needs a rehearsal and a pre-flight of its own.
OTHER = 2 * THRESHOLD


class Desk:
    """Copies of the sandbox's carrier, so that no edit reaches it, and a journal of its own."""

    def __init__(self, walk: Walk, name: str) -> None:
        self._walk = walk
        self.folder = walk.sandbox.folder / name
        self.folder.mkdir()
        self.journal = self.folder / "journal.jsonl"
        #: 2.x hides what its processes started with, unless they are told not to.
        self.known = ("--deployed-at", rolled_out(walk)) if walk.line == "2" else ()

    def carrier(self, name: str) -> Path:
        """A copy of what carries the sandbox's settings now."""
        copy = self.folder / f"{name}.env"
        shutil.copy(self._walk.sandbox.airflow.carrier, copy)
        return copy

    def run(self, command: str, *arguments: str, **how: Any) -> Callable[[], Done]:
        """A command to be called later, with the desk's journal."""
        options = (*arguments, *(self.known if command in ("plan", "flip") else ()))
        return lambda: xcomctl(self._walk, command, *options, **{"journal": self.journal, **how})

    def apart(self, name: str, *arguments: str) -> Callable[[], Done]:
        """A flip with a journal of its own, whose lock is not in the way of others."""
        return self.run("flip", *arguments, journal=self.folder / f"{name}.jsonl")


def while_it_offloads(walk: Walk) -> dict[str, Any]:
    """Plans and flips from ``offload``, where a finished run holds references."""
    desk = Desk(walk, "flips-offload")
    killed, mine = desk.carrier("killed"), desk.carrier("mine")
    before = mine.read_bytes()
    elsewhere = f"{walk.base_path}-elsewhere"
    flown = desk.folder / "preflight.json"
    seen: dict[str, Any] = together(
        {
            "plan": desk.run("plan", "--to", "inline", "--carrier", str(mine), "-o", "json"),
            "not adjacent": desk.apart("not-adjacent", "--to", "inline", "--carrier", str(mine), "-y"),
            "moved": desk.apart("moved", "--to", "dual-read", "--path", elsewhere, "--carrier", str(mine), "-y", "-o", "json"),
            "not rehearsed": desk.apart("not-rehearsed", "--to", "offload", "--threshold", str(OTHER), "--carrier", str(mine), "-y", "-o", "json"),
            "pre-flight": desk.run("preflight", "--planned", "--phase", "offload", "--expect-threshold", str(OTHER), "-o", "json"),
        }
    )  # fmt: skip
    seen["untouched"] = mine.read_bytes() == before
    flown.write_text(seen["pre-flight"].out)
    up = ("--to", "offload", "--threshold", str(OTHER), "--unsafe-no-rehearsal", "a test", "--preflight", str(flown))
    down = ("--to", "dual-read", "--carrier", str(killed), "-y")
    seen |= together(
        {
            "up": desk.run("flip", *up, "--carrier", str(mine), "-y", "-o", "json"),
            "nobody": desk.apart("nobody", "--to", "dual-read", "--carrier", str(desk.carrier("asked"))),
        }
    )
    # One after the other: each of them holds the journal's lock, and dies with it.
    seen["killed"] = [desk.run("flip", *down, killed_after=entries)() for entries in (1, 2)]
    seen["again"] = desk.run("flip", *down, "-o", "json", fresh=True)()
    seen["after"] = open_carrier(killed).settings()
    seen["mine"] = open_carrier(mine).settings()
    seen["journal"] = Done(0, desk.journal.read_text(), "")
    return seen


def while_finished_runs_hold_references(walk: Walk) -> dict[str, Done]:
    """The gate of ``inline``, in ``dual-read``: with a run in flight, and as if every run were over."""
    desk = Desk(walk, "flips-dual-read")
    options = ("--to", "inline", "--carrier", str(desk.carrier("mine")), "-o", "json")
    keep = ("--keep-finished", "they are purged tonight")
    seen = {"in flight": desk.apart("in-flight", *options, *keep, "--dry-run")()}
    state = f"UPDATE dag_run SET state = '{{}}' WHERE run_id = {literal(EXIT_RUN)}"
    sql(walk, state.format("success"))
    try:
        seen |= together(
            {
                "plan": desk.run("plan", *options, fresh=True),
                "refused": desk.apart("refused", *options, "-y"),
                "kept": desk.apart("kept", *options, *keep, "--dry-run"),
                "stopped": desk.apart("stopped", *options, "--fleet-stopped", "-y"),
                "unsafe": desk.run("rehydrate", "--verify", "-o", "json"),
            }
        )
    finally:
        sql(walk, state.format("running"))
    return seen


VISITS = {"offload": (while_it_offloads,), "soft": (while_finished_runs_hold_references,)}


def gates(record: dict[str, Any]) -> dict[str, str]:
    """The status of each gate."""
    return {each["id"].removeprefix("gate_"): each["status"] for each in record["checks"]}


def test_a_plan_says_where_everything_is_and_which_steps_lead_on(walk: Walk) -> None:
    done: Done = walk.seen(while_it_offloads)["plan"].orderly()
    plan = done.record
    assert (done.code, plan["verdict"], plan["start"], plan["target"]) == (0, "ok", "offload", "inline"), done.out
    first, second = plan["steps"]
    assert [(each["start"], each["target"], each["state"]) for each in plan["steps"]] == [
        ("offload", "dual-read", "ready"), ("dual-read", "inline", "later"),
    ]  # fmt: skip
    assert {each["id"]: each["status"] for each in first["gates"]} == {
        "gate_carrier": "ok", "gate_barrier": "ok", "gate_base_path": "ok", "gate_values_fit": "ok",
    }  # fmt: skip
    held = {"references": len(OFFLOADED), "bytes": sum(OFFLOADED), "dangling": 0, "aliases": 0}
    assert first["estimates"] == second["estimates"] == held
    assert plan["observed"]["finished_runs"] == 1 and plan["observed"]["unfinished_runs"] == []
    assert [each.split()[:4] for each in plan["next_steps"]] == [
        ["xcomctl", "flip", "--to", "dual-read"], ["xcomctl", "wait", "--to", "dual-read"],
    ]  # fmt: skip


def test_steps_that_are_refused_leave_the_carrier_alone(walk: Walk) -> None:
    seen = walk.seen(while_it_offloads)
    for name in ("not adjacent", "moved", "not rehearsed"):
        assert seen[name].orderly().code == 6, seen[name].out
    assert seen["untouched"]
    assert "offload → dual-read → inline" in seen["not adjacent"].err
    moved = seen["moved"].record
    assert gates(moved)["base_path"] == "fail"
    (gate,) = [each for each in moved["checks"] if each["id"] == "gate_base_path"]
    assert f"{len(OFFLOADED)} references" in gate["detail"] and walk.base_path in gate["hint"]
    assert {name: gates(seen["not rehearsed"].record)[name] for name in ("rehearsal", "preflight")} == {
        "rehearsal": "fail", "preflight": "fail",
    }  # fmt: skip
    nobody = seen["nobody"].orderly()
    assert nobody.code == 6 and "-y" in nobody.err


def test_a_step_up_with_a_pre_flight_of_what_is_planned_and_a_reason_for_no_rehearsal(walk: Walk) -> None:
    seen = walk.seen(while_it_offloads)
    assert seen["pre-flight"].orderly().code == 0, seen["pre-flight"].out
    done = seen["up"].orderly()
    assert (done.code, done.record["state"]) == (0, "edited"), done.out
    assert gates(done.record)["rehearsal"] == "warn" and gates(done.record)["preflight"] == "warn"
    assert seen["mine"][THRESHOLD_SETTING.env] == str(OTHER)
    announced = next(each for each in seen["journal"].lines if each["action"] == "flip")
    assert announced["data"]["unsafe_no_rehearsal"] == "a test"
    assert announced["before"]["threshold"] == THRESHOLD and announced["after"]["threshold"] == OTHER


def test_killed_after_each_entry_of_the_journal_and_called_again(walk: Walk) -> None:
    seen = walk.seen(while_it_offloads)
    assert [each.code for each in seen["killed"]] == [-signal.SIGKILL] * 2
    again = seen["again"].orderly()
    assert (again.code, again.record["state"]) == (0, "already"), again.out
    assert seen["after"][THRESHOLD_SETTING.env] == "-1"
    assert seen["after"][PATH.env] == walk.base_path
    entries = [
        each for each in seen["journal"].lines if each["action"] == "flip" and "killed.env" in each["data"]["carrier"]
    ]
    # Announced, killed; announced again, written, told, killed.
    assert [each["verdict"] for each in entries] == [None, None, "ok"]
    assert entries[1]["data"]["took_over"]["action"] == "flip"  # of the one that was killed
    assert len({each["plan"] for each in entries}) == 1


def test_inline_is_refused_while_finished_runs_hold_references(walk: Walk) -> None:
    seen = walk.seen(while_finished_runs_hold_references)
    assert {name: done.orderly().code for name, done in seen.items()} == {
        "in flight": 6, "plan": 6, "refused": 6, "kept": 0, "stopped": 6, "unsafe": 3,
    }, {name: done.out for name, done in seen.items()}  # fmt: skip
    (gate,) = [each for each in seen["refused"].record["checks"] if each["id"] == "gate_references"]
    assert gate["status"] == "fail" and "--keep-finished" in gate["hint"]
    assert gate["data"]["unfinished_runs"] == [] and any(SOFT_RUN in each for each in gate["data"]["kept"])
    (gate,) = [each for each in seen["in flight"].record["checks"] if each["id"] == "gate_references"]
    assert len(gate["data"]["unfinished_runs"]) == 1 and gate["hint"].startswith("xcomctl rehydrate")
    assert any(step.startswith("xcomctl rehydrate") for step in seen["plan"].record["steps"][0]["commands"])
    assert {each["id"]: each["status"] for each in seen["unsafe"].record["checks"]}["gate_references"] == "fail"
    kept = seen["kept"].record
    assert (kept["state"], gates(kept)["references"]) == ("dry-run", "warn")
    assert f"+{BACKEND.env}={BASE_XCOM}" in kept["diff"]
    # Everything is up, so nobody can say that the fleet stands still; and the references hold it back all the same.
    stopped = gates(seen["stopped"].record)
    assert (stopped["barrier"], stopped["references"]) == ("fail", "fail")
    assert seen["plan"].record["steps"][0]["state"] == "refused"


def test_with_the_whole_fleet_stopped_any_step_is_one_deploy(walk: Walk) -> None:
    desk = Desk(walk, "flips-stopped")
    planned = ("--path", walk.base_path, "--threshold", str(THRESHOLD))
    flown, mine = desk.folder / "preflight.json", desk.carrier("mine")
    tried = desk.run(
        "preflight", "--planned", "--phase", "offload", "--expect-path", walk.base_path,
        "--expect-threshold", str(THRESHOLD), "--skip", "metadata", "-o", "json",
    )()  # fmt: skip
    flown.write_text(tried.out)
    airflow = walk.sandbox.airflow
    airflow.stop()
    try:
        done = desk.run(
            "flip", "--to", "offload", "--fleet-stopped", "--unsafe-no-rehearsal", "a test", "--preflight", str(flown),
            "--carrier", str(mine), *planned, "-y", "-o", "json",
        )().orderly()  # fmt: skip
    finally:
        airflow.start(lambda what: None)
    assert (done.code, done.record["state"], done.record["start"]) == (0, "edited", "inline"), done.out
    (gate,) = [each for each in done.record["checks"] if each["id"] == "gate_barrier"]
    assert (gate["status"], gate["data"]["barrier"]["target"]) == ("ok", "stopped")
    assert open_carrier(mine).settings()[THRESHOLD_SETTING.env] == str(THRESHOLD)
    assert not any("xcomctl wait" in each for each in done.record["next_steps"])
