"""The lines that end an incident, in one place: what to set, what to clear, what to look at afterwards."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Optional

from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.settings import BACKEND, PATH, THRESHOLD

#: Task instances that are named in one line.
_NAMED = 10
#: The option of a carrier that nobody has named yet.
ANY_CARRIER = " --carrier FILE"
#: A command about contexts as a hint has it: it ends its line, or its remark stands behind it.
_ABOUT_CONTEXTS = re.compile(r"\bxcomctl (?:preflight|probe|pull|refs|status)\b.*?(?=  # |$)", re.MULTILINE)


def settings_lines(phase: str, path: Optional[str]) -> Iterator[str]:
    """What to set so that every reference resolves and nothing more is offloaded: ``dual-read``.

    From ``offload`` that is the threshold alone, from ``misconfigured`` the path comes first, from anything else the
    backend too.
    """
    known = (Phase.OFFLOAD.value, Phase.DUAL_READ.value)
    if phase not in (*known, Phase.MISCONFIGURED.value):
        yield f"{BACKEND.env}={OBJECT_STORAGE_BACKEND}"
    if phase not in known:
        yield f"{PATH.env}={path or 's3://CONNECTION@BUCKET/xcom'}"
    if phase != Phase.DUAL_READ.value:
        yield f'{THRESHOLD.env}="-1"'


def steps(phase: str, path: Optional[str], contexts: str, carrier: str = ANY_CARRIER) -> Iterator[str]:
    """The kill-switch: one deploy, then a look. ``contexts`` are the options that name them, ``carrier`` the one for the
    file that carries the settings: empty where the deployment that these name has its own.

    From a class that nobody knows it is by hand alone: what that class wrote, the kill-switch cannot tell.
    """
    lines = list(settings_lines(phase, path))
    if lines:
        command = "" if phase == Phase.UNKNOWN.value else f"xcomctl killswitch{carrier}{contexts}  # or "
        yield (
            f"{command}set {' and '.join(lines)} for every component, and deploy: references go on to resolve, nothing more "
            "is offloaded"
        )
    yield f"xcomctl status{contexts}"


def hard_step(contexts: str, carrier: str = ANY_CARRIER) -> str:
    """The kill-switch for a backend that does not import. ``contexts`` and ``carrier`` as in :func:`steps`."""
    return (
        f"xcomctl killswitch --hard{carrier}{contexts}  # no setting mends a backend that does not import; why it does "
        f"not: xcomctl preflight --only provider{contexts}"
    )


def after_soft(contexts: str, carrier: str, *, handed_over: bool) -> Iterator[str]:
    """What is left once ``dual-read`` is everywhere. ``carrier`` are the options that name the file. ``handed_over``: path strings were handed to tasks before."""
    if handed_over:
        yield f"xcomctl retrigger{contexts}  # what got path strings before"
    yield f"xcomctl status{contexts}"
    yield f"xcomctl wait --to {Phase.DUAL_READ.value}{contexts}"
    yield (
        f"xcomctl killswitch --to {Phase.INLINE.value}{carrier}{contexts}  # by daylight, and only to take the "
        "provider out: references go back into the database first"
    )


def after_inline(contexts: str) -> Iterator[str]:
    """What is left once everything is ``inline`` and green."""
    yield f"xcomctl status{contexts}"
    yield f"xcomctl refs --at-risk{contexts}  # what finished runs keep: a task of theirs that is cleared alone gets the path"


def clear_steps(dag_id: str, run_id: str, instances: Sequence[str], contexts: str = "") -> Iterator[str]:
    """What to clear once every context resolves references again: who got a path string, and what lies downstream.

    ``contexts`` are the options that name them.
    """
    if instances:
        named = ", ".join(instances[:_NAMED]) + (
            f" and {len(instances) - _NAMED} more" if len(instances) > _NAMED else ""
        )
        yield (
            f"then clear {named} of {dag_id} {run_id}, with everything downstream, also where it succeeded "
            f"(only_failed=false): xcomctl retrigger{of_run(dag_id, run_id)}{contexts}"
        )


def pull_step(dag_id: str, run_id: str, contexts: str) -> str:
    """How to look at the values of a run."""
    return f"xcomctl pull{of_run(dag_id, run_id)}{contexts}"


def of_run(dag_id: str, run_id: str) -> str:
    """The options that name a run."""
    return f" -d {shlex.quote(dag_id)} -r {shlex.quote(run_id)}"


def with_contexts(hint: str, contexts: str) -> str:
    """A hint whose commands name the contexts too: what made it, in one of them, does not know how they are named."""
    return _ABOUT_CONTEXTS.sub(lambda command: command[0] + contexts, hint)


def once(lines: Iterable[str]) -> tuple[str, ...]:
    """Each line once, in their order."""
    return tuple(dict.fromkeys(lines))
