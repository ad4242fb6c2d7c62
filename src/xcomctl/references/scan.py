"""Finds references, aliases and foreign URLs among the stored XComs, with the state of their runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from xcomctl.metadata.expressions import LONGEST_URL
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.tally import Tally
from xcomctl.metadata.xcoms import iso, url_like_rows
from xcomctl.model.references import Kind, Layout, Owner, classify, is_alias, written_under
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


#: Other base paths that are remembered by name: more than one or two mean that nobody tidied up after a change.
OTHER_BASES = 5


@dataclass
class Survey:
    """What the stored URLs are to a base path.

    ``references`` resolve under it. ``aliases`` do too, but name another run or task. ``own_paths`` are under it and no
    path that the backend gives (F7). ``foreign`` were written by the backend under another base path or connection:
    ``bases`` names some of these. ``urls`` counts what is a value and nothing else.
    """

    references: Tally
    aliases: Tally
    own_paths: Tally
    foreign: Tally
    bases: list[str] = field(default_factory=list)
    urls: int = 0


def survey(
    connection: Any,
    tables: Tables,
    base_path: str,
    shown: Callable[[str], str],
    seen: Callable[[], None],
) -> Survey:
    """What every stored URL is, in one pass. With an empty base path nothing is under it.

    ``shown`` makes of a URL what an example may show of it. ``seen`` is called for every row. Streams: memory is
    constant in the number of rows.
    """
    found = Survey(Tally(shown), Tally(shown), Tally(shown), Tally(shown))
    for row in url_like_rows(connection, tables):
        seen()
        owner = Owner(row.dag_id, row.run_id, row.task_id)
        classified = classify(row.text, base_path)
        if classified.reference is not None:
            if classified.reference.layout is Layout.OTHER:
                kind = found.own_paths
            else:
                kind = found.aliases if is_alias(classified.reference, owner) else found.references
            kind.add(row, row.text)
        elif classified.kind is Kind.FOREIGN:
            base = written_under(row.text, owner)
            if base is None:
                found.urls += 1
                continue
            found.foreign.add(row, row.text)
            if base not in found.bases and len(found.bases) < OTHER_BASES:
                found.bases.append(base)
    return found
