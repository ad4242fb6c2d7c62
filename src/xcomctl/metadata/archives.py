"""Tables in which XComs survive their deletion (F32): what ``airflow db clean`` archives, and the upgrade to 3.x."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

from xcomctl.metadata.tables import Tables, xcom_table
from xcomctl.model.phases import Line

#: ``airflow.utils.db_cleanup``'s prefix, the table's name and a time; and where the upgrade to 3.x puts pickles.
DB_CLEAN = "_airflow_deleted__xcom__"
UPGRADE = "_xcom_archive"


def find(connection: Any, tables: Tables, schema: Optional[str]) -> list[Tables]:
    """The archives, each as tables in which it stands in ``xcom``'s place, by name.

    An archive keeps the columns that ``xcom`` had when it was made, so its line is told by the column's own type: one
    from before an upgrade holds bytes. One that lacks a column that is read is left out.
    """
    import sqlalchemy as sa

    inspector = sa.inspect(connection)
    found = []
    for name in sorted(inspector.get_table_names(schema=schema)):
        if name == UPGRADE or name.startswith(DB_CLEAN):
            columns = {column["name"]: column["type"] for column in inspector.get_columns(name, schema=schema)}
            line = Line.AF2 if isinstance(columns.get("value"), sa.LargeBinary) else Line.AF3
            table = xcom_table(line, sa.MetaData(schema=schema), name)
            if {column.name for column in table.c} <= set(columns):
                found.append(dataclasses.replace(tables, line=line, xcom=table))
    return found
