"""Rehydrate: what is asked for, what becomes of each row, and what the whole comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from xcomctl.model.requests import Record

#: No larger value goes into the database unless that is asked for: on 3.x every later pull of it passes through the api-server.
MAX_VALUE_BYTES = 64 * 1024 * 1024
#: What one call writes at most unless more is asked for.
MAX_BYTES = 10 * 1024 * 1024 * 1024
#: How many rows are in work at a time, and at most: each has a connection of its own to the database.
JOBS, MOST_JOBS = 4, 32

#: Which runs: all, or those that are not over.
ALL, UNFINISHED = "all", "unfinished"

# --- why a row is left as it is -----------------------------------------------------------------------------------------

#: Its path names another run or task: the object is not this row's. Clearing its task mends it.
ALIAS = "alias"
#: Its path leads out of the base path; nothing opens it.
OUTSIDE = "outside"
#: Its object is missing.
DANGLING = "dangling"
#: What the object holds is no JSON, or is damaged.
UNDECODABLE = "undecodable"
#: Its value is larger than one may be.
TOO_LARGE = "too_large"
#: With its value more would be written than may be.
OVER_MAX_BYTES = "over_max_bytes"
#: The column cannot hold its value (F37).
DOES_NOT_FIT = "does_not_fit"
#: 2.x: a string that parses as JSON, which a reader under the backend would get as something else (F47).
JSON_STRING = "json_string"
#: A string that a reader under the backend would take for a path (F7), or not be able to read at all (F38).
PATH_STRING = "path_string"
#: Read back, it was not what the object holds; the row was put back.
DIFFERS = "differs"
#: The row was pushed again meanwhile: what it holds now is newer.
CHANGED = "changed"
#: Somebody else held a lock on the row all the time.
LOCKED = "locked"
#: The store did not give the object.
UNREAD = "unread"

#: Each of them in words, in the order in which they are told.
WORDS: Mapping[str, str] = {
    DANGLING: "whose object is missing",
    UNDECODABLE: "whose object holds no JSON, or is damaged",
    UNREAD: "whose object the store did not give",
    DOES_NOT_FIT: "whose value the column cannot hold",
    JSON_STRING: "whose value is a string that parses as JSON",
    PATH_STRING: "whose value is a string that would be taken for a path",
    TOO_LARGE: "whose value is larger than one may be",
    OVER_MAX_BYTES: "that would have exceeded the bytes that may be written",
    DIFFERS: "for which a reader would get something else",
    LOCKED: "whose row somebody else had locked",
    CHANGED: "that were pushed again meanwhile",
    ALIAS: "that name another run or task",
    OUTSIDE: "whose path leads out of the base path",
}

# --- what the column itself makes of a value ----------------------------------------------------------------------------

#: JSONB has no floats: from 1e16 on a whole one comes back as an int, and -0.0 as 0.0; nor an order of keys.
LARGE_FLOAT, NEGATIVE_ZERO, KEY_ORDER = "large_float", "negative_zero", "key_order"
#: No class makes the value of it again, from the store neither: there 2.x hands the path over instead of the error.
READ_RAISES = "read_raises"

#: What is told of rehydrated rows, in words.
COLUMN_WORDS: Mapping[str, str] = {
    LARGE_FLOAT: "with a float of 1e16 or more, which comes back as an int",
    NEGATIVE_ZERO: "with -0.0, which comes back as 0.0",
    KEY_ORDER: "with objects whose keys come back in another order",
    READ_RAISES: "whose read raises, as that of the object does",
}


@dataclass(frozen=True)
class RehydrateQuery(Record):
    """Which references, and within which bounds.

    ``before`` (ISO 8601): only what was pushed before. ``write`` false: everything but the update. ``no_readers``: nothing
    that reads with the backend is alive, so values that only such a reader would see as something else are written too.
    ``look``: nothing but whether it would be refused.
    ``base_path`` and ``default_base_path`` are as for every request about references.
    """

    base_path: Optional[str] = None
    default_base_path: Optional[str] = None
    runs: str = ALL
    dag_id: Optional[str] = None
    run_id: Optional[str] = None
    before: Optional[str] = None
    write: bool = False
    no_readers: bool = False
    jobs: int = JOBS
    max_bytes: int = MAX_BYTES
    max_value_bytes: int = MAX_VALUE_BYTES
    look: bool = False


@dataclass(frozen=True)
class Row(Record):
    """A row that was left, or that the column changed: ``why`` is one of this module's words, ``detail`` a sentence."""

    why: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    uri: str
    detail: str = ""
    run_state: Optional[str] = None

    @property
    def left(self) -> bool:
        """Whether it still holds its reference."""
        return self.why in WORDS


@dataclass(frozen=True)
class RehydrateAnswer(Record):
    """What came of it.

    ``references`` were looked at, aliases among them. ``rows`` of them were rehydrated (or would have been) with ``bytes`` of JSON, the
    largest of ``largest_bytes``. ``left`` counts the others by reason, ``gone`` rows
    were deleted meanwhile, ``changed_by_column`` are rehydrated rows that the column's type makes something else of.
    ``pickled`` rows could not be looked into. ``verified_by`` names the classes that read each value.
    ``requests`` were made to the store. ``store_error``: why the rest was given up.
    """

    base_path: str
    write: bool
    references: int = 0
    rows: int = 0
    bytes: int = 0
    largest_bytes: int = 0
    left: Mapping[str, int] = field(default_factory=dict)
    gone: int = 0
    changed_by_column: Mapping[str, int] = field(default_factory=dict)
    pickled: int = 0
    verified_by: tuple[str, ...] = ()
    requests: Optional[int] = None
    store_error: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def left_rows(self) -> int:
        """How many rows still hold their reference."""
        return sum(self.left.values())
