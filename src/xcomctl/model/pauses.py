"""Which DAGs are paused: what is asked, and what one context with the metadata database answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from xcomctl.model.requests import Record


@dataclass(frozen=True)
class PausesQuery(Record):
    """``paused`` ``None``: tell the states of all active DAGs. Else make ``dag_ids`` that."""

    dag_ids: tuple[str, ...] = ()
    paused: Optional[bool] = None


@dataclass(frozen=True)
class PausesAnswer(Record):
    """``states`` are those of all active DAGs afterwards, by id. ``missing`` were to be set and are not there any more.

    ``backfills`` are the DAGs of which a 2.x ``airflow dags backfill`` is under way: it starts tasks, paused or not.
    """

    states: Mapping[str, bool] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    backfills: tuple[str, ...] = ()
