"""All the way from ``offload`` to ``inline`` by the commands as a person types them, each step asked for and answered.

``killswitch --to inline`` with a run in flight, a value that a late process pushes while ``inline`` is deployed, and on 2.x
a value that only ``rehydrate --quiesced`` can write: then with everything stopped, and the flip after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import dags
from tests.support.changes import FINISHED, MINE, SIZE, green, pauses, references, tries, values
from tests.support.commands import ROOT, Done, Typed, run, typed
from tests.support.deploys import reading
from tests.support.rehydrating import TASK, rehydrating
from tests.support.resumable import once
from tests.support.rows import column_value, of_gone_dag
from tests.support.stood_up import StoodUp
from tests.support.struck import entries_of, untold
from tests.support.walk import THRESHOLD, literal, sql
from xcomctl.journal.local import LocalJournal
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import BASE_XCOM, Phase
from xcomctl.model.rehydrate import JSON_STRING
from xcomctl.model.settings import settings_for

BUDGET_S = 900
HELD = "held"
#: A run whose value is a string that parses as JSON, above the threshold.
STRINGS_DAG, STRINGS = "gone_rehydrate", "strings"
LIKE_JSON = json.dumps({"a": "x" * 2 * THRESHOLD})
#: More answers than there are questions.
YES = b"y\n" * 40


class Way:
    """What is typed on the way, in one sandbox and with one journal."""

    def __init__(self, site: StoodUp, folder: Path) -> None:
        self.site, self.journal = site, folder / "journal.jsonl"
        self.reference = values(site, FINISHED)["produce"]
        assert self.reference.startswith(site.base_path)

    def deployed(self) -> None:
        """Under ``dual-read`` the run in flight goes on to its end: the next deploy would end what runs in a LocalExecutor."""
        if BASE_XCOM in self.site.carrier.read_text():
            self.push_late()
        else:
            self.site.hold(False)
            dags.wait_for_run(self.site, MINE, HELD)

    def push_late(self) -> None:
        """While ``inline`` is deployed a process from before pushes, as a reference, what it has pushed before."""
        of_it = f"dag_id = {literal(MINE)} AND run_id = {literal(FINISHED)} AND task_id = 'produce'"
        value = column_value(self.site, self.reference)
        sql(self.site, f"UPDATE xcom SET value = {value} WHERE {of_it} AND key = 'return_value'")

    def killswitch(self, deploy: str, *more: str) -> Typed:
        return self.typed(
            "killswitch", "--to", "inline", "--carrier", str(self.site.carrier), "--deploy", deploy, "--timeout", "240", *more,
        )  # fmt: skip

    def typed(self, command: str, *arguments: str) -> Typed:
        """In a context that has what the carrier says when it is asked."""
        return typed(
            self.site, command, *arguments, "--via", reading(self.site.carrier), "--python", str(self.site.python),
            variables={}, journal=self.journal,
        )  # fmt: skip

    def entries(self, action: str) -> list[JournalEntry]:
        """What it was told with how it ended."""
        return [entry for entry in entries_of(self.journal) if entry.action == action and entry.verdict is not None]


def answered(command: Typed) -> Done:
    """Run it at a terminal that answers every question with yes."""
    near, far = pty.openpty()
    try:
        os.write(near, YES)
        done = subprocess.run(
            list(command.argv), env=dict(command.environment), cwd=ROOT, stdin=far, capture_output=True, text=True, timeout=600
        )  # fmt: skip
    finally:
        os.close(near)
        os.close(far)
    return Done(done.returncode, done.stdout, done.stderr).orderly()


@contextlib.contextmanager
def like_json(site: StoodUp, folder: Path) -> Iterator[Callable[[], str]]:
    """Offload such a string; what BaseXCom makes of its row."""
    environment = {**site.env, **settings_for(Phase.OFFLOAD, site.base_path, THRESHOLD)}
    with rehydrating(site.python, environment, folder / "log") as there:
        for statement in of_gone_dag(site.line, STRINGS_DAG, STRINGS, TASK)[0]:
            sql(site, statement)
        there.push(STRINGS, values={"k": LIKE_JSON})

        def read() -> str:
            return there.held(STRINGS)["k"].base

        assert site.base_path in read()
        yield read


def questions(done: Done) -> int:
    return done.err.count("[y/N]")


def steps(record: dict[str, Any]) -> dict[str, str]:
    return {step["id"]: step["status"] for step in record["steps"]}


def down(line: str, folder: Path) -> dict[str, Any]:
    """Play it."""
    source = dags.SOURCE.replace(dags.DAG_ID, MINE)
    with StoodUp(ROOT / ".venvs" / f"airflow-{line}", {f"{MINE}.py": source}) as site:
        site.sandbox.airflow.api.trigger(MINE, FINISHED, {"size": SIZE})
        dags.wait_for_run(site, MINE, FINISHED)
        before = pauses(site)
        site.hold(True)
        dags.hold_run(site, MINE, HELD, SIZE)
        assert (references(site, FINISHED), references(site, HELD)) == (2, 1)
        with like_json(site, folder) as read:
            way = Way(site, folder)
            with site.deploying(way.deployed) as deploy:
                asked = by_command(way, deploy)
            assert read() == f"str({LIKE_JSON!r})"
        # The run went on under ``dual-read``; nothing ran twice, and every value is in the database.
        dags.wait_for_run(site, MINE, HELD)
        assert green(site, HELD)
        assert set(tries(site, HELD).values()) == set(tries(site, FINISHED).values()) == {1}
        assert values(site, FINISHED)["produce"] == values(site, FINISHED)["pass_on"] == "x" * SIZE
        assert references(site, FINISHED) == references(site, HELD) == 0
        assert pauses(site) == before
        assert untold(entries_of(way.journal)) == []
        assert LocalJournal(way.journal).locks() == []
        status = run(way.typed("status", "--full", "-o", "json")).orderly()
        assert [each["resolution"]["phase"] for each in status.record["contexts"]] == ["inline"], status.out
        late = way.entries("killswitch.late")[-1].data["answer"]
        assert (late["rows"], late["left"]) == (1, {})
        return asked


def by_command(way: Way, deploy: str) -> dict[str, Any]:
    """The commands, one after the other."""
    ended = answered(way.killswitch(deploy, "-o", "json"))
    found = {"questions": questions(ended)}
    if way.site.line == "2":
        found |= quiesced(way, ended)
        ended = answered(way.killswitch(deploy, "-o", "json"))
        found["questions_again"] = questions(ended)
    assert (ended.code, ended.record["way"], ended.record["verdict"]) == (0, "exit", "ok"), (ended.out, ended.err)
    assert set(steps(ended.record).values()) == {"done"}, ended.out
    told = way.entries("killswitch.rehydrate")
    found["rows"] = sum(entry.data["answer"]["rows"] for entry in told if "answer" in entry.data)
    found["seconds"] = round(sum(entry.data.get("seconds", 0.0) for entry in told), 1)
    # One before it begins and one for each step that changes something: nothing is done that nobody said yes to.
    assert found["questions"] >= 5, ended.err
    return found


def quiesced(way: Way, stuck: Done) -> dict[str, Any]:
    """What no encoding serves in both phases blocks ``inline``: it is written while nothing is up."""
    site = way.site
    assert (stuck.code, steps(stuck.record)["rehydrate"], steps(stuck.record)["revert"]) == (3, "failed", "to do")
    assert BASE_XCOM not in site.carrier.read_text()
    left = answered(way.typed("rehydrate", "-o", "json"))
    assert left.code == 3
    assert [row["why"] for row in left.record["rows"]] == [JSON_STRING]
    assert "--quiesced" in left.record["next_steps"][0]
    early = answered(way.typed("rehydrate", "--quiesced"))
    assert early.code == 6
    assert "is up" in early.err
    site.sandbox.airflow.stop()
    done = answered(way.typed("rehydrate", "--quiesced", "-o", "json"))
    assert (done.code, done.record["answer"]["rows"]) == (0, 1), (done.out, done.err)
    (flip,) = done.record["next_steps"]
    assert shlex.split(flip)[:5] == ["xcomctl", "flip", "--to", "inline", "--fleet-stopped"]
    flipped = answered(way.typed("flip", "--to", "inline", "--fleet-stopped", "--carrier", str(site.carrier)))
    assert flipped.code == 0
    assert "EDITED, NOT DEPLOYED" in flipped.out
    site.sandbox.airflow.start(lambda what: None)
    way.push_late()
    return {"quiesced_rows": done.record["answer"]["rows"]}


@pytest.mark.parametrize("line", ["3.3", "2.11"])
def test_all_the_way_down_by_the_commands(line: str, tmp_path: Path, measure: Callable[[str, Any], None]) -> None:
    measure(line, once("way-down", line, lambda: down(line, tmp_path)))
