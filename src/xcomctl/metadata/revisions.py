"""The schema revisions (Alembic) that xcomctl was tested with, by the Airflow version that it was tested with."""

from __future__ import annotations

from typing import Any, Optional

#: Revision → the Airflow version in whose database this package's queries were exercised.
KNOWN = {
    "5f2621c13b39": "2.11.2",
    "d2f4e1b3c5a7": "3.3.2",
}


def current(connection: Any, schema: Optional[str] = None) -> Optional[str]:
    """The database's revision, ``None`` for a database without Airflow's tables."""
    import sqlalchemy

    if not sqlalchemy.inspect(connection).has_table("alembic_version", schema=schema):
        return None
    table = sqlalchemy.table("alembic_version", sqlalchemy.column("version_num"), schema=schema)
    found = [str(row[0]) for row in connection.execute(sqlalchemy.select(table.c.version_num))]
    return found[0] if len(found) == 1 else ",".join(sorted(found)) or None


def warning(revision: Optional[str]) -> Optional[str]:
    """The sentence for a schema that xcomctl was not tested with; ``None`` for a known one."""
    if revision in KNOWN:
        return None
    if revision is None:
        return "the metadata database holds no schema revision: is it Airflow's?"
    return f"xcomctl was not tested with the schema revision {revision}: what it reads may be wrong, writes are refused"


def refusal(revision: Optional[str]) -> Optional[str]:
    """Why nothing is written into a database of this schema; ``None`` for a known one."""
    if revision in KNOWN:
        return None
    known = ", ".join(f"{each} (Airflow {version})" for each, version in KNOWN.items())
    return f"the metadata database has the schema revision {revision or 'of no Airflow'}, and writes were tried with {known} alone"
