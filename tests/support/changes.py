"""What changes things, as it is called by whoever kills it and calls it again: the flips, the kill-switches, re-trigger."""

from __future__ import annotations

import contextlib
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from tests.support import dags
from tests.support.commands import Done, Typed, api_options, run, typed
from tests.support.deploys import reading, rolled_out
from tests.support.rows import column_value
from tests.support.stood_up import StoodUp
from tests.support.struck import entries_of
from tests.support.walk import THRESHOLD, literal, sql
from xcomctl.change.carrier_edit import edit_for
from xcomctl.deployment.carriers.airflow_cfg import AirflowCfg
from xcomctl.deployment.carriers.opened import open_carrier
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.model.phases import Line, Phase
from xcomctl.model.settings import settings_for

MINE, FINISHED, SIZE = "killed_consumers", "finished", 3 * THRESHOLD
CFG = """# kept by hand
[core]
executor = LocalExecutor

[common.io]
# what is large goes there
"""


class Change(ABC):
    """Something that changes things, begun once: called and killed until it comes to its end."""

    #: The phase that it begins in.
    phase: ClassVar[Phase]

    def __init__(self, site: StoodUp, folder: Path, number: int | None) -> None:
        self.site, self.folder, self.number = site, folder, number
        self.journal = folder / "journal.jsonl"
        site.to(self.phase)
        self.pauses = pauses(site)
        #: References of the finished run, before it and after.
        self.held = self.left_finished = references(site, FINISHED)

    #: What carries the settings, and the bytes that it has before and after.
    carrier: Path
    before: bytes
    after: bytes

    @contextlib.contextmanager
    def begun(self) -> Iterator[Typed]:
        """The command as it is called, again and again."""
        yield self.command()

    @abstractmethod
    def command(self) -> Typed:
        """It, with everything as it is before."""

    @abstractmethod
    def ended(self, done: Done) -> None:
        """Assert that it came to its end."""

    def edits(self, carrier: Path, target: Phase, threshold: int | None = None) -> None:
        """It edits this carrier, so that it says the target."""
        line = Line(self.site.line)
        edit = edit_for(open_carrier(carrier), target, line, SettingsEntry(threshold=threshold)).edit
        self.carrier, self.before, self.after = carrier, edit.before, edit.after


class Flip(Change):
    """One step, written into a copy of the carrier, or into an ``airflow.cfg`` that says the same."""

    target: ClassVar[Phase]
    kind: ClassVar[str]

    def command(self) -> Typed:
        up = self.target is Phase.OFFLOAD
        carrier = self.folder / self.kind
        if self.kind == ".env":
            shutil.copy(self.site.carrier, carrier)
        else:
            carrier.write_text(CFG)
            cfg = AirflowCfg.read(carrier)
            cfg.write(cfg.edit(settings_for(self.phase, self.site.base_path, THRESHOLD)))
        self.edits(carrier, self.target, THRESHOLD if up else None)
        assert self.before != self.after
        more: tuple[str, ...] = ("--deployed-at", rolled_out(self.site)) if self.site.line == "2" else ()
        if up:
            more += ("--threshold", str(THRESHOLD), "--unsafe-no-rehearsal", "a test", "--preflight", self._preflight())
        return typed(
            self.site, "flip", "--to", self.target.value, "--carrier", str(carrier), "-y", "-o", "json", *more,
            journal=self.journal,
        )  # fmt: skip

    def ended(self, done: Done) -> None:
        assert done.record["state"] in ("edited", "already")
        # Written once, and told once, however often it was begun.
        told = [entry for entry in entries_of(self.journal) if entry.action == "flip" and entry.verdict is not None]
        assert len(told) == 1, told

    def _preflight(self) -> str:
        """One of what is planned; made once for each site."""
        kept = self.site.sandbox.folder / "preflight.json"
        if not kept.exists():
            planned = ("--planned", "--phase", "offload", "--expect-threshold", str(THRESHOLD), "-o", "json")
            done = run(typed(self.site, "preflight", *planned, journal=kept.with_suffix(".jsonl"))).orderly()
            assert done.code == 0, done.out
            kept.write_text(done.out)
        return str(kept)


def flip(start: Phase, to: Phase, carrier: str) -> type[Flip]:
    """Such a step."""

    class Chosen(Flip):
        phase, target, kind = start, to, carrier

    return Chosen


class Killswitch(Change):
    """With a run in flight, whose consumers wait for the hold point until everything is deployed."""

    phase = Phase.OFFLOAD
    target: ClassVar[Phase]
    options: ClassVar[tuple[str, ...]] = ()
    #: References of the run at its end.
    left: ClassVar[int]

    @contextlib.contextmanager
    def begun(self) -> Iterator[Typed]:
        self.run = f"{type(self).__name__.lower()}-{self.number}"
        try:
            self.site.hold(True)
            dags.hold_run(self.site, MINE, self.run, SIZE)
            self.offloaded()
            self.edits(self.site.carrier, self.target)
            assert references(self.site, self.run) == 1
            with self.site.deploying() as self.deploy:
                yield self.command()
        finally:
            self.site.hold(False)  # also where nothing came to be deployed

    def offloaded(self) -> None:
        """What is done before, once the run holds its reference."""

    def command(self) -> Typed:
        return typed(
            self.site, "killswitch", *self.options, "--carrier", str(self.carrier), "--deploy", self.deploy, "-y", "-o", "json",
            "--timeout", "240", "--via", reading(self.carrier), "--python", str(self.site.python),
            variables={}, journal=self.journal,
        )  # fmt: skip

    def ended(self, done: Done) -> None:
        assert done.record["verdict"] == "ok"
        told = {entry.action for entry in entries_of(self.journal) if entry.verdict is not None}
        assert {"killswitch", "killswitch.revert", "killswitch.deploy", "killswitch.confirm"} <= told
        dags.wait_for_run(self.site, MINE, self.run)
        assert green(self.site, self.run)
        assert references(self.site, self.run) == self.left


class Soft(Killswitch):
    """No reference is lost."""

    target, left = Phase.DUAL_READ, 1


class ToInline(Killswitch):
    """No reference is left anywhere, of finished runs either, and nothing runs again."""

    target, left = Phase.INLINE, 0
    #: Steps that are told, besides those of every way.
    told: ClassVar[frozenset[str]]

    def __init__(self, site: StoodUp, folder: Path, number: int | None) -> None:
        super().__init__(site, folder, number)
        self.left_finished = 0

    def ended(self, done: Done) -> None:
        super().ended(done)
        assert set(tries(self.site, self.run).values()) == {1}
        assert values(self.site, FINISHED)["pass_on"] == "x" * SIZE
        told = {entry.action for entry in entries_of(self.journal) if entry.verdict is not None}
        assert {f"killswitch.{step}" for step in {"rehydrate", "wait", "clear", "watch"} | self.told} <= told


class Exit(ToInline):
    """From ``dual-read``, with the run in flight since ``offload``."""

    options = ("--to", "inline")
    told = frozenset({"settle", "late"})

    def offloaded(self) -> None:
        self.site.to(Phase.DUAL_READ)
        if self.site.line == "2":  # whose processes hide since when they have it: a person says so
            at = rolled_out(self.site)
            waited = typed(self.site, "wait", "--to", "dual-read", "--deployed-at", at, journal=self.journal)
            assert run(waited).orderly().code == 0


class Hard(ToInline):
    """At once, with the DAGs paused meanwhile."""

    options = ("--hard",)
    told = frozenset({"pause", "unpause"})


class Retrigger(Change):
    """Of a run whose consumers have got a path string, as far as the rows tell: it is put there afterwards."""

    phase = Phase.INLINE

    def command(self) -> Typed:
        site, run_id = self.site, "retriggered"
        if not values(site, run_id):
            site.sandbox.airflow.api.trigger(MINE, run_id, {"size": SIZE})
            dags.wait_for_run(site, MINE, run_id)
        self.carrier = site.carrier
        self.before = self.after = site.carrier.read_bytes()
        reference = f"{site.base_path}/{MINE}/{run_id}/produce/01234567-89ab-cdef-0123-456789abcdef"
        of_it = f"dag_id = {literal(MINE)} AND run_id = {literal(run_id)} AND task_id = 'produce'"
        sql(site, f"UPDATE xcom SET value = {column_value(site, reference)} WHERE {of_it} AND key = 'return_value'")
        assert references(site, run_id) == 1
        self.run, self.tries = run_id, tries(site, run_id)
        # Through a context, or through the REST API.
        through, login = api_options(site) if self.number == 1 else ([], {})
        return typed(
            site, "retrigger", "-d", MINE, "-r", run_id, "--producers", "--base-path", site.base_path, "-y", "-o", "json",
            *through, "--python", str(site.python),
            variables={**site.sandbox.airflow.environment(), **login}, journal=self.journal,
        )  # fmt: skip

    def ended(self, done: Done) -> None:
        assert done.record["verdict"] == "ok"
        assert green(self.site, self.run)
        assert references(self.site, self.run) == 0
        # Each ran once more, however often that was asked for.
        assert tries(self.site, self.run) == {task: count + 1 for task, count in self.tries.items()}


KINDS: Mapping[str, type[Change]] = {
    "flip down .env": flip(Phase.OFFLOAD, Phase.DUAL_READ, ".env"),
    "flip down airflow.cfg": flip(Phase.OFFLOAD, Phase.DUAL_READ, "airflow.cfg"),
    "flip up .env": flip(Phase.DUAL_READ, Phase.OFFLOAD, ".env"),
    "flip up airflow.cfg": flip(Phase.DUAL_READ, Phase.OFFLOAD, "airflow.cfg"),
    "soft": Soft,
    "exit": Exit,
    "hard": Hard,
    "retrigger": Retrigger,
}


# --- what the rows say, whether or not the API is up


def pauses(site: StoodUp) -> dict[str, str]:
    """Which DAGs are paused."""
    return dict(sql(site, "SELECT dag_id, is_paused FROM dag"))


def values(site: StoodUp, run_id: str) -> dict[str, Any]:
    """What the tasks of a run returned, as it is stored."""
    text = "convert_from(value, 'UTF8')" if site.line == "2" else "value::text"
    of_it = f"dag_id = {literal(MINE)} AND run_id = {literal(run_id)} AND key = 'return_value'"
    return {
        task_id: json.loads(value) for task_id, value in sql(site, f"SELECT task_id, {text} FROM xcom WHERE {of_it}")
    }


def references(site: StoodUp, run_id: str) -> int:
    """How many of them are references."""
    return sum(str(value).startswith(f"{site.base_path}/") for value in values(site, run_id).values())


def tries(site: StoodUp, run_id: str) -> dict[str, int]:
    """How often each task of a run was tried."""
    return {each.task_id: each.try_number for each in site.sandbox.airflow.api.task_instances(MINE, run_id)}


def green(site: StoodUp, run_id: str) -> bool:
    """Whether a run has ended well, and every consumer got the value itself."""
    found = values(site, run_id)
    assert found["trust"] == SIZE and found["pass_on"] == "x" * SIZE and found["render"] == "x" * 200, found
    return site.sandbox.airflow.api.run(MINE, run_id).state == "success"
