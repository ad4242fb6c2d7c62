"""The table of DESIGN §1, observed on the real classes of both lines against a real store.

``xcomctl.model.transitions`` says, for every (writer, reader, form), what a push leaves in the database and what a pull
gives. Here every writer pushes every form once, and every reader pulls what each writer left. One agent does both for a
setup, and two at most are busy at a time, since importing Airflow costs seconds of CPU.

The fixture ``walk`` has ``line`` (``"2"`` or ``"3"``), ``python``, ``env`` and ``base_path``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.model import describe, requests
from xcomctl.model.phases import Line, Phase
from xcomctl.model.requests import Read, ReadAnswer, Resolution, WriteAnswer, Written
from xcomctl.model.settings import SETTINGS
from xcomctl.model.transitions import (
    SETUPS,
    Expectation,
    Misconfiguration,
    Outcome,
    Setup,
    Stored,
    ValueForm,
    environment,
    expectations,
    sample,
)
from xcomctl.roundtrip.write import OWNER

#: Large enough for every small form, small enough to be quick.
THRESHOLD = 4096
AGENTS_AT_ONCE = 2

Forms = dict[ValueForm, Written]
Reads = dict[tuple[Setup, ValueForm], Read]


@dataclass(frozen=True)
class Observed:
    """What was seen on one line."""

    line: Line
    base_path: str
    resolved: Mapping[Setup, Resolution]
    written: Mapping[Setup, Forms]
    read: Mapping[Setup, Reads]


@pytest.fixture(scope="module")
def no_litter() -> Iterator[None]:
    """2.x with an empty path writes below the root directory, where that is allowed: take it away again."""
    litter = Path("/") / OWNER.dag_id
    was_there = litter.exists()
    yield
    if not was_there:
        shutil.rmtree(litter, ignore_errors=True)


@pytest.fixture(scope="module")
def observed(walk: Any, no_litter: None, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Every setup has pushed every form, and pulled what every setup pushed."""
    folder = tmp_path_factory.mktemp("phase-table")
    base_path = f"{walk.base_path.rstrip('/')}/phase-table"
    with ExitStack() as ends, ThreadPoolExecutor(AGENTS_AT_ONCE) as pool:
        agents = [ends.enter_context(closing(_session(walk, base_path, folder, setup))) for setup in SETUPS]
        pushed = dict(zip(SETUPS, pool.map(partial(_push, base_path), agents), strict=True))
        written = {setup: forms for setup, (_, forms) in pushed.items()}
        pulled = dict(zip(SETUPS, pool.map(partial(_pull, base_path, written), agents), strict=True))
    return Observed(
        line=Line(walk.line),
        base_path=base_path,
        resolved={setup: resolution for setup, (resolution, _) in pushed.items()},
        written=written,
        read=pulled,
    )


def _session(walk: Any, base_path: str, folder: Path, setup: Setup) -> AgentSession:
    own = {setting.env for setting in SETTINGS}
    env = {name: value for name, value in walk.env.items() if name not in own}
    env.update(environment(setup, base_path, THRESHOLD, str(folder / "schemeless")))
    # The working directory is for what a misconfigured backend writes beside the process that runs it.
    return AgentSession(LocalReach(Path(walk.python), env, label=f"{walk.line}.x {setup.value}", cwd=folder))


def _push(base_path: str, agent: AgentSession) -> tuple[Resolution, Forms]:
    agent.start()
    resolution = Resolution.from_json(agent.request(requests.RESOLVE))
    answer = WriteAnswer.from_json(
        agent.request(requests.ROUNDTRIP_WRITE, {"base_path": base_path, "threshold": THRESHOLD})
    )
    return resolution, {ValueForm(each.value_id): each for each in answer.written}


def _pull(base_path: str, written: Mapping[Setup, Forms], agent: AgentSession) -> Reads:
    asked = [(writer, form, each) for writer, forms in written.items() for form, each in forms.items() if each.stored]
    stored = [{"value_id": form.value, "stored": each.stored} for _, form, each in asked]
    answer = ReadAnswer.from_json(
        agent.request(requests.ROUNDTRIP_READ, {"stored": stored, "base_path": base_path, "threshold": THRESHOLD})
    )
    return {(writer, form): read for (writer, form, _), read in zip(asked, answer.read, strict=True)}


def _may_not_write_to_root(observed: Observed, cell: Expectation) -> bool:
    """An unprivileged process cannot go astray below ``/``: 2.x with an empty path then fails to push."""
    return (
        os.geteuid() != 0
        and observed.line is Line.AF2
        and cell.writer is Misconfiguration.PATH_EMPTY
        and cell.stored is Stored.STRAY_PATH
        and observed.written[cell.writer][cell.form].kind == Stored.NOTHING.value
    )


def test_every_setup_resolves_to_its_phase(observed: Observed) -> None:
    """What a context resolves is classified as the setup that its environment was made for."""
    wrong = {}
    for setup, resolution in observed.resolved.items():
        expected = Phase.MISCONFIGURED if isinstance(setup, Misconfiguration) else setup
        if resolution.phase != expected.value or resolution.class_error is not None:
            wrong[setup.value] = resolution
    assert wrong == {}


def test_what_a_push_leaves(observed: Observed) -> None:
    """The stored form of every value under every setup."""
    wrong = [
        (cell.writer.value, cell.form.value, cell.stored.value, observed.written[cell.writer][cell.form])
        for cell in expectations(observed.line)
        if cell.reader is Phase.INLINE
        and observed.written[cell.writer][cell.form].kind != cell.stored.value
        and not _may_not_write_to_root(observed, cell)
    ]
    assert wrong == []


def test_what_a_pull_gives(observed: Observed) -> None:
    """Every cell: writer × reader × form."""
    wrong = []
    seen = 0
    for cell in expectations(observed.line):
        if cell.stored is Stored.NOTHING:
            assert cell.outcome is Outcome.PUSH_RAISES
            assert observed.written[cell.writer][cell.form].error is not None
            continue
        if _may_not_write_to_root(observed, cell):
            continue
        seen += 1
        read = observed.read[cell.reader].get((cell.writer, cell.form))
        if read is None or read.outcome != cell.outcome.value:
            wrong.append((cell.writer.value, cell.reader.value, cell.form.value, cell.outcome.value, read))
    assert wrong == []
    assert seen > 0


def test_the_value_that_arrives_is_the_expected_one_to_the_digest(observed: Observed) -> None:
    """Where the table says that data arrives, it is that data, types included, by a digest made here."""
    kept = {
        Outcome.VALUE,
        Outcome.JSON_PARSED,
        Outcome.TUPLES_AS_LISTS,
        Outcome.KEYS_AS_TEXT,
        Outcome.KEYS_AS_JSON,
        Outcome.OBJECT,
    }
    digests = {
        (form, outcome): describe.digest(value)
        for form in ValueForm
        for chosen in (sample(form, observed.base_path, THRESHOLD),)
        for outcome, value in ((Outcome.VALUE, chosen.value), *chosen.changed.items())
    }
    wrong = [
        (cell.writer.value, cell.reader.value, cell.form.value)
        for cell in expectations(observed.line)
        if cell.outcome in kept
        and observed.read[cell.reader][cell.writer, cell.form].digest != digests[cell.form, cell.outcome]
    ]
    assert wrong == []


def test_a_bare_revert_hands_out_the_reference(observed: Observed) -> None:
    """F1, spelled out: what ``offload`` wrote, ``inline`` gets as the path string itself, and ``dual-read`` as data."""
    reference = observed.written[Phase.OFFLOAD][ValueForm.LARGE].reference
    assert reference is not None and reference.startswith(observed.base_path + "/")
    inline = observed.read[Phase.INLINE][Phase.OFFLOAD, ValueForm.LARGE]
    assert inline.got_reference and inline.type == "str" and inline.digest == describe.digest(reference)
    assert observed.read[Phase.DUAL_READ][Phase.OFFLOAD, ValueForm.LARGE].equal
