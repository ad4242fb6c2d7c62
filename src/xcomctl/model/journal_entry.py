"""One entry of the journal: what was done, by whom, with what, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Optional

from xcomctl.model.verdicts import Verdict

SCHEMA = "xcomctl.journal/1"


@dataclass(frozen=True)
class Actor:
    """Who acted: login name, the desk's host name, and the process id of xcomctl there."""

    user: str
    host: str
    pid: int


@dataclass(frozen=True)
class JournalEntry:
    """One thing that was done or measured. A revert is an entry like any other; nothing is ever rewritten.

    ``at`` is the UTC time of writing in ISO 8601 with microseconds. ``action`` names it in the command's words
    (``rehearse``, ``flip``, ``killswitch.pause``). ``deployment`` is the name from ``xcomctl.toml``, ``None`` for
    an ad hoc one. ``versions`` maps what matters to its version (``xcomctl``, ``airflow``, ``common_io``).
    ``before`` and ``after`` are the settings or states around a change, ``None`` where nothing changed. ``plan`` is the
    hash (hex) of the plan that the step belongs to, ``None`` for what follows no plan. ``verdict`` is ``None`` for an
    entry that announces what is about to be done. ``data`` is the action's own; plain JSON.
    """

    action: str
    actor: Actor
    at: str
    deployment: Optional[str] = None
    versions: Mapping[str, str] = field(default_factory=dict)
    before: Optional[Mapping[str, Any]] = None
    after: Optional[Mapping[str, Any]] = None
    plan: Optional[str] = None
    verdict: Optional[Verdict] = None
    data: Mapping[str, Any] = field(default_factory=dict)
    schema: str = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """The entry as plain JSON values, in the order of a line of the journal."""
        return {
            "schema": self.schema,
            "at": self.at,
            "action": self.action,
            "deployment": self.deployment,
            "actor": {"user": self.actor.user, "host": self.actor.host, "pid": self.actor.pid},
            "versions": dict(self.versions),
            "before": None if self.before is None else dict(self.before),
            "after": None if self.after is None else dict(self.after),
            "plan": self.plan,
            "verdict": None if self.verdict is None else self.verdict.value,
            "data": dict(self.data),
        }

    @classmethod
    def from_json(cls, record: Any) -> JournalEntry:
        """The inverse of :meth:`to_json`; fields that this version does not know are ignored.

        Raises ``ValueError`` with a sentence for anything that is no entry of this schema.
        """
        if not isinstance(record, Mapping):
            raise ValueError(f"not a {SCHEMA} entry: a JSON {type(record).__name__}")
        if record.get("schema") != SCHEMA:
            raise ValueError(f"not a {SCHEMA} entry: its schema is {record.get('schema')!r}")
        try:
            actor = record["actor"]
            verdict = record.get("verdict")
            entry = cls(
                action=_checked("action", record["action"], str),
                actor=Actor(
                    user=_checked("actor.user", actor["user"], str),
                    host=_checked("actor.host", actor["host"], str),
                    pid=_checked("actor.pid", actor["pid"], int),
                ),
                at=_checked("at", record["at"], str),
                deployment=_optional("deployment", record.get("deployment"), str),
                versions=_checked("versions", record.get("versions", {}), dict),
                before=_optional("before", record.get("before"), dict),
                after=_optional("after", record.get("after"), dict),
                plan=_optional("plan", record.get("plan"), str),
                verdict=None if verdict is None else Verdict(verdict),
                data=_checked("data", record.get("data", {}), dict),
            )
            parse_time(entry.at)
        except KeyError as error:
            raise ValueError(f"not a {SCHEMA} entry: {error.args[0]} is missing") from None
        except TypeError as error:
            raise ValueError(f"not a {SCHEMA} entry: {error}") from None
        return entry


def _checked(name: str, value: Any, wanted: type) -> Any:
    if not isinstance(value, wanted):
        raise ValueError(f"not a {SCHEMA} entry: {name} is {value!r}")
    return value


def _optional(name: str, value: Any, wanted: type) -> Any:
    return None if value is None else _checked(name, value, wanted)


def timestamp(moment: datetime) -> str:
    """A moment as the journal writes it: UTC, microseconds, ``Z``. Raises ``ValueError`` for one without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """The moment that a journal's time stands for, in UTC. Raises ``ValueError`` for a text that is none."""
    moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text!r}")
    return moment.astimezone(timezone.utc)
