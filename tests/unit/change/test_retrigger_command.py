"""What the command refuses, and what it says to type next."""

from __future__ import annotations

import shlex

import pytest

from xcomctl.change.retrigger_command import still, verify_step
from xcomctl.model.retrigger import OTHER, PRODUCER, SUSPECT, SuspectInstance, SuspectRun
from xcomctl.model.retriggered import Watched

INLINE = ("scheduler is inline",)


def run(*roles: str, references: int = 0, aliases: int = 0) -> SuspectRun:
    instances = tuple(SuspectInstance(role, -1, "success", role, "why", clear=True) for role in roles)
    return SuspectRun("dag", "run", "success", references, aliases, instances)


@pytest.mark.parametrize(
    ("found", "producers", "refused"),
    [
        (run(SUSPECT, references=1), False, True),
        (run(SUSPECT, PRODUCER, references=1), True, False),
        (run(SUSPECT, aliases=1), False, True),
        (run(SUSPECT), False, False),
        (run(OTHER), False, True),  # it reads the reference of a run that keeps it
        (run(OTHER, PRODUCER, references=1), True, True),
    ],
)
def test_what_would_get_a_path_again_is_not_cleared(found, producers, refused):
    assert (still([run(), found], INLINE, producers=producers) is not None) == refused
    assert still([found], (), producers=producers) is None


def test_others_are_named_and_producers_are_no_way_out_for_them():
    message, hint = still([run(OTHER)], INLINE, producers=False) or ("", "")
    assert "gets path strings again" in message and "dag.other" in message
    assert "dual-read" in hint and "--producers" not in hint
    assert "--producers" in (still([run(SUSPECT, references=1)], INLINE, producers=False) or ("", ""))[1]


def test_the_command_to_look_at_a_run_is_one_that_a_shell_takes_as_it_is():
    name = "manual__2026-06-06T12:00:00+00:00 (again)"
    words = shlex.split(verify_step(Watched("dag", name, "failed"), " -D prod"))
    assert words == ["xcomctl", "verify", "-d", "dag", "-r", name, "-D", "prod"]
