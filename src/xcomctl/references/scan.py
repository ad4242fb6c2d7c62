"""Finds references, aliases and foreign URLs among the stored XComs, with the state of their runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from xcomctl.metadata.expressions import LONGEST_URL
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import iso, url_like_rows
from xcomctl.model.references import Kind, Owner, classify, is_alias
from xcomctl.model.requests import ALIAS, FOREIGN, REFERENCE, ReferenceItem


def kind_of(text: str, base_path: str, owner: Owner) -> Optional[str]:
    """``reference``, ``alias`` or ``foreign``; ``None`` for a plain string or one too long to name an object."""
    if len(text) > LONGEST_URL:
        return None
    found = classify(text, base_path)
    if found.kind is Kind.FOREIGN:
        return FOREIGN
    if found.kind is Kind.REFERENCE and found.reference is not None:
        return ALIAS if is_alias(found.reference, owner) else REFERENCE
    return None


def scan(
    connection: Any,
    tables: Tables,
    base_path: str,
    dag_id: Optional[str] = None,
    run_id: Optional[str] = None,
    unfinished_only: bool = False,
) -> Iterator[ReferenceItem]:
    """Every stored URL, in the order of runs. Streams: memory is constant in the number of rows."""
    for row in url_like_rows(connection, tables, dag_id, run_id, unfinished_only):
        kind = kind_of(row.text, base_path, Owner(row.dag_id, row.run_id, row.task_id))
        if kind is not None:
            yield ReferenceItem(
                kind=kind,
                dag_id=row.dag_id,
                run_id=row.run_id,
                task_id=row.task_id,
                map_index=row.map_index,
                key=row.key,
                uri=row.text,
                timestamp=iso(row.timestamp),
                run_state=row.run_state,
                run_start=iso(row.run_start),
                run_end=iso(row.run_end),
                ti_state=row.ti_state,
            )
