"""What a kill-switch sees before it does anything: the screen of ``status``, also where the backend does not import."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from xcomctl.assess import status
from xcomctl.assess.status import Seen
from xcomctl.assess.status_rows import handed_over
from xcomctl.change.agents import Agents
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.model.killswitch_report import Sees
from xcomctl.model.phases import BASE_XCOM, Line
from xcomctl.model.redaction import redact
from xcomctl.model.settings import BACKEND
from xcomctl.model.status import RUN_NO_TASKS, StatusAnswer, one_path

#: Where the configured class does not import, Airflow's own functions, and the connections in the metadata database, work
#: for a process with Airflow's own class alone.
WITH_BASE_XCOM: Mapping[str, str] = {BACKEND.env: BASE_XCOM}


@dataclass(frozen=True)
class View:
    """What the contexts answered, and what that amounts to."""

    seen: Seen
    sees: Sees

    @property
    def line(self) -> Line | None:
        """The line of the first context that answered."""
        return next((Line(each.line) for each in self.seen.answers.values() if each is not None), None)

    @property
    def variables(self) -> Mapping[str, str]:
        """What an agent has to be started with for Airflow's functions to work."""
        return WITH_BASE_XCOM if self.sees.unimportable else {}


def look(
    agents: Agents, more: Mapping[str, Any], waiting: Callable[[str], None], carrier: CarrierFiles | None = None
) -> View:
    """Ask every context; again with Airflow's own class where the configured one does not import."""
    seen = status.ask(agents.anew(), more, waiting)
    view = viewed(seen)
    if view.sees.unimportable:
        waiting("the same with Airflow's own class, since the configured one does not import")
        view = viewed(seen, status.ask(agents.anew(WITH_BASE_XCOM), more, waiting))
    if carrier is None or view.line is None:
        return view
    with contextlib.suppress(CarrierError):  # the step that edits it says what is wrong with it
        opened = carrier.open()
        if opened.doubts():
            return view
        says = opened.phase(view.line)
        view = dataclasses.replace(view, sees=dataclasses.replace(view.sees, carrier=says.value))
    return view


def viewed(seen: Seen, beyond: Seen | None = None) -> View:
    """The view of what contexts answered. ``beyond`` is what they answer with Airflow's own class."""
    found = (beyond or seen).database
    database = None if found is None or found.error else found
    phases, unimportable, down, up = {}, {}, {}, []
    for name, answer in seen.answers.items():
        if answer is None:
            continue
        phases[name] = _phases(answer)
        if answer.resolution.class_path is None:
            unimportable[name] = redact(answer.resolution.class_error or "no reason given")
        asked = answer if beyond is None else beyond.answers.get(name)
        if asked is not None and asked.store.reachable is False:
            down[name] = asked.store.message
        elif asked is not None and asked.store.reachable:
            up.append(name)
    sees = Sees(
        phases=phases,
        unimportable=unimportable,
        store_down=down,
        store_up=tuple(up),
        silent={name: redact(error.message) for name, error in seen.problems.items()},
        base_path=None if database is None else database.base_path,
        held_under=None if database is None else one_path(database),
        handed_over=max((handed_over(each, database) for each in seen.answers.values() if each is not None), default=0),
        runs_at_risk=None if database is None else database.at_risk_runs,
        references_at_risk=None if database is None else database.references,
        at_risk=() if database is None else database.at_risk,
        rollouts=tuple(" ".join(each) for each in seen.rollouts),
    )
    return View(dataclasses.replace(seen, database=found), sees)


def _phases(answer: StatusAnswer) -> tuple[str, ...]:
    running = (each.phase for each in answer.running if each.phase is not None and each.component not in RUN_NO_TASKS)
    return tuple(dict.fromkeys((answer.resolution.phase, *running)))
