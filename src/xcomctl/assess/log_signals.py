"""What the Loki of a deployment says of the last minutes: one row of ``status``, ``verify`` and the kill-switch."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xcomctl.assess import log_presets, logs
from xcomctl.assess.log_query import ALL, SECOND_NS, Window, asked, instant
from xcomctl.assess.loki_login import Options, address, login, where
from xcomctl.errors import UserError
from xcomctl.model.loki_query import moment
from xcomctl.model.redaction import redact
from xcomctl.model.verdicts import Check, Status

if TYPE_CHECKING:
    from xcomctl.clients.loki import Loki
    from xcomctl.deployment.kubectl import Kubectl
    from xcomctl.deployment.loki_entry import LokiEntry

CHECK_ID = "logs_loki"
TITLE = "Loki has no line about an XCom that failed"
#: Lines of one preset that are counted; that there are more is told.
_MOST = 1000
#: Seconds for one answer, how often it is asked for, and seconds for all of it: a screen is waited for, and so is an emergency.
_TIMEOUT_S = 10.0
_ATTEMPTS = 2
_DEADLINE_S = 20.0
#: Seconds by which clocks may differ, and for which the last lines of a run may take to arrive.
_SLACK_S = 60.0
_SETTLES_S = 15.0
_POLL_S = 1.0


@dataclass(frozen=True)
class Asking:
    """A deployment's Loki, and which lines are its Airflow's: those of the cluster's namespace, or of the entry's selector.

    ``base_path`` is where XComs are offloaded to, if it is known; ``command`` is ``xcomctl logs`` with that deployment.
    """

    entry: LokiEntry
    kubectl: Kubectl | None
    base_path: str | None
    command: str

    @property
    def selector(self) -> str:
        """The streams. Raises :class:`UserError` where nothing tells."""
        if self.entry.selector is not None:
            return self.entry.selector
        if self.kubectl is not None:
            return f"{{namespace={log_presets.quoted(self.kubectl.namespace)}}}"
        raise UserError(
            "which lines are this Airflow's is not known: the deployment has no namespace",
            """in its table loki: selector = '{job="airflow"}'""",
        )


def last(seconds: float) -> Window:
    """The time up to now."""
    now = time.time_ns()
    return Window(now - int(seconds * SECOND_NS), now)


def around(began: str, ended: str | None) -> Window:
    """The time of a run, as far as clocks agree."""
    end = time.time_ns() if ended is None else instant(ended)
    return Window(instant(began) - int(_SLACK_S * SECOND_NS), end + int(_SLACK_S * SECOND_NS))


def row(
    asking: Asking,
    window: Window,
    category: str,
    found: Status,
    waiting: Callable[[str], None],
    settled_after: str | None = None,
) -> Check:
    """The row. ``found`` is what lines of a preset come to; whatever could not be read, or could not have been found, is a
    skip: never clean. ``settled_after`` is a time of which a later line has to be there before none says anything.

    It takes no longer than a screen is waited for, whatever Loki does: what goes on then ends with the command.
    """
    began = time.monotonic()
    answers: queue.SimpleQueue[tuple[Status, str, str, dict[str, object]]] = queue.SimpleQueue()
    asked_in = threading.Thread(
        target=lambda: answers.put(_answer(asking, window, found, waiting, settled_after)),
        name="xcomctl-loki",
        daemon=True,
    )
    asked_in.start()
    deadline_s = _DEADLINE_S + (_SETTLES_S if settled_after is not None else 0)
    try:
        status, detail, hint, data = answers.get(timeout=deadline_s)
    except queue.Empty:
        status, detail, data = Status.SKIP, f"it gave no answer within {deadline_s:.0f} s", {}
        hint = f"{asking.command} --labels"
    took_ms = round((time.monotonic() - began) * 1000, 1)
    return Check(CHECK_ID, category, TITLE, status, f"Loki: {detail}", hint, took_ms, data)


def _answer(
    asking: Asking, window: Window, found: Status, waiting: Callable[[str], None], settled_after: str | None
) -> tuple[Status, str, str, dict[str, object]]:
    try:
        status, detail, data = _counted(asking, window, found, waiting, settled_after)
    except UserError as error:
        return Status.SKIP, redact(error.message), redact(error.hint), {}
    except Exception as error:  # as any check that crashes
        return Status.FAIL, redact(f"unexpected {type(error).__name__}: {error}"), "", {}
    when = f"--from {moment(window.start_ns)} --to {moment(window.end_ns)}"
    hint = "" if status is Status.OK else f"{asking.command} --preset {data['first']} --stream all {when}"
    return status, detail, hint, data


def _counted(
    asking: Asking, window: Window, status: Status, waiting: Callable[[str], None], settled_after: str | None
) -> tuple[Status, str, dict[str, object]]:
    from xcomctl.clients.loki import Loki

    selector = asking.selector
    # What the environment names is somebody's own Loki, and not the deployment's.
    place = where(Options(), asking.entry, {})
    who = login(place, Options(), os.environ)
    waiting("Loki")
    with (
        address(place, asking.kubectl, waiting) as way,
        Loki(way, who, say=waiting, timeout_s=_TIMEOUT_S, attempts=_ATTEMPTS) as loki,
    ):
        settled = settled_after is None or _settles(loki, selector, window, instant(settled_after), waiting)
        counts = {each.name: _count(loki, each, selector, asking.base_path, window) for each in log_presets.PRESETS}
        there = {name: counted for name, counted in counts.items() if counted.lines}
        data: dict[str, object] = {"lines": {name: counted.lines for name, counted in counts.items()}}
        if there:
            said = ", ".join(f"{_many(counted)} of {name}" for name, counted in there.items())
            return status, f"{said} {window.said}", {**data, "first": next(iter(there))}
        if missing := [sentence for counted in counts.values() for sentence in counted.missing]:
            raise UserError(
                f"lines may be missing: {missing[0]}", f"{asking.command} --preset xcom-errors --stream all"
            )
        if not logs.newest(loki, selector, window):
            raise UserError(
                f"{selector} sees no line at all {window.said}: a wrong label also finds nothing (F46)",
                f"{asking.command} --labels",
            )
        if not settled:
            raise UserError(
                f"no line of {selector} is newer than the run's end, so its last ones may not have arrived yet",
                "call again",
            )
    return Status.OK, f"no line of {', '.join(counts)} {window.said}", data


def _settles(loki: Loki, selector: str, window: Window, ended_ns: int, waiting: Callable[[str], None]) -> bool:
    """Whether a line later than that arrives: then those before it have, as far as one can tell."""
    deadline = time.monotonic() + _SETTLES_S
    while logs.newest(loki, selector, Window(ended_ns, window.end_ns)) == 0:
        if time.monotonic() >= deadline:
            return False
        waiting("the run's last lines to arrive in Loki")
        time.sleep(_POLL_S)
    return True


def _count(loki: Loki, preset: log_presets.Preset, selector: str, base_path: str | None, window: Window) -> logs.Found:
    found = logs.Found(asked(preset.query(selector, base_path), ALL), window)
    for _ in logs.read(loki, found, limit=_MOST):
        pass
    return found


def _many(found: logs.Found) -> str:
    more = " and more" if found.at_limit else ""
    return f"{found.lines:,}{more} {'line' if found.lines == 1 else 'lines'}"
