"""Values through Airflow's own class and through the resolved one, and what differs: in value, in type, in errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.airflow_compat import xcom_class
from xcomctl.model import describe
from xcomctl.model.references import Owner
from xcomctl.roundtrip import wire
from xcomctl.roundtrip.control_flow import Value

#: How far a value got.
PUSH_RAISED = "push raised"
READ_RAISED = "read raised"
CAME_BACK = "came back"


@dataclass(frozen=True)
class Passage:
    """What became of a value: how far it got, what came back, or the error.

    ``stored`` is the string that the column holds, ``None`` when it holds something else.
    """

    reached: str
    value: Any = None
    error: Optional[Exception] = None
    stored: Optional[str] = None

    @property
    def shown(self) -> str:
        """What a person is told of it: type and beginning of the value, or the error."""
        if self.error is None:
            return f"{describe.type_name(self.value)} {describe.excerpt(self.value)}"
        return f"{self.reached}: {type(self.error).__name__}: {self.error}"[: describe.EXCERPT]


@dataclass(frozen=True)
class Pair:
    """One value's two passages: ``base`` through Airflow's own class, ``backend`` through the resolved one."""

    value: Value
    base: Passage
    backend: Passage

    @property
    def path_handed_over(self) -> bool:
        """Whether the backend gave the path of the object in place of what the object holds."""
        path = self.backend.stored
        return self.backend.reached == CAME_BACK and path is not None and path == self.backend.value != self.value.value

    @property
    def only_backend(self) -> bool:
        """Whether the backend hands over what BaseXCom cannot. Nothing that works now depends on it."""
        return self.base.reached != CAME_BACK and self.backend.reached == CAME_BACK and not self.path_handed_over

    @property
    def neither(self) -> bool:
        """Whether BaseXCom cannot hand it over, and the backend cannot either."""
        return self.base.reached != CAME_BACK and self.backend.reached != CAME_BACK

    @property
    def differs(self) -> bool:
        """Whether the flip changes what a task gets, or makes something fail that does not, or later or not at all."""
        if self.base.reached == CAME_BACK:
            return self.backend.reached != CAME_BACK or not describe.same(self.base.value, self.backend.value)
        return self.path_handed_over or (self.base.reached == PUSH_RAISED and self.backend.reached == READ_RAISED)


def pairs(values: Sequence[Value], owner: Owner) -> Iterator[Pair]:
    """Each value's passages. What the resolved class puts into the store stays there."""
    base_class, backend_class = xcom_class.base_class(), xcom_class.resolved_class()
    for value in values:
        yield Pair(value, passage(value, base_class, owner), passage(value, backend_class, owner))


def passage(value: Value, by: Any, owner: Owner) -> Passage:
    """One value through a class's push, what the column makes of the stored form, and that class's pull."""
    try:
        stored = wire.encode(
            xcom_class.serialize(
                value.value,
                key=value.id,
                dag_id=owner.dag_id,
                run_id=owner.run_id,
                task_id=owner.task_id,
                by=by,
            )
        )
    except Exception as error:
        return Passage(PUSH_RAISED, error=error)
    column = wire.decode(stored)
    try:
        got = xcom_class.deserialize(column, by=by)
    except Exception as error:
        return Passage(READ_RAISED, error=error, stored=_text(column))
    return Passage(CAME_BACK, got, stored=_text(column))


def _text(column: Any) -> Optional[str]:
    """The string in the column as a reader without the backend sees it, whatever its form (pickled on 2.x, F24)."""
    try:
        seen = xcom_class.deserialize(column, by=xcom_class.base_class())
    except Exception:
        return None  # what BaseXCom cannot read is no path
    return seen if isinstance(seen, str) else None
