"""What the checks that scan the metadata database share: how they read it, what they count, and how they say it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Callable, Optional

from xcomctl.airflow_compat import database
from xcomctl.checks.interface import CheckSpec, Finding, Subject
from xcomctl.checks.runner import without_secrets
from xcomctl.metadata.reading import cancellable, read_only
from xcomctl.metadata.tables import Tables, tables
from xcomctl.metadata.tally import Tally
from xcomctl.metadata.xcoms import about_how_many
from xcomctl.model.phases import Phase, phase_of
from xcomctl.model.preflight import METADATA

#: Characters that an example shows of a value.
EXCERPT = 60
#: Rows between two signs of life.
PROGRESS_EVERY = 1000

#: Removes old XComs. It knows nothing of objects (F28).
DB_CLEAN = "airflow db clean --tables xcom --clean-before-timestamp 'YYYY-MM-DD' (the objects of references stay in the store as orphans)"

#: The phases that a flip leads to.
FLIPPED = (Phase.DUAL_READ, Phase.OFFLOAD)


def spec(id: str, title: str, run: Callable[[Subject], Finding], applies: Callable[[Subject], bool]) -> CheckSpec:
    """A check that scans: it takes as long as the table is large, so it is not given up after a time."""
    return CheckSpec(id, METADATA, title, run, needs=("metadata_database",), applies=applies, in_task=False)


def is_flip(subject: Subject) -> bool:
    """Whether the target has the backend."""
    return subject.target_phase in FLIPPED


# -- reading


@dataclass(frozen=True)
class Scan:
    """One pass over the XComs. ``connection`` can only read. ``what`` is what the person is told meanwhile."""

    subject: Subject
    connection: Any
    tables: Tables
    what: str

    def signs_of_life(self) -> Callable[[], None]:
        """What to call for every row."""
        rows = 0

        def seen() -> None:
            nonlocal rows
            rows += 1
            if rows % PROGRESS_EVERY == 0:
                self.subject.progress(self.what, rows, None)

        return seen

    def tally(self, rows: Iterable[Any], excerpt: Callable[[Any], Optional[str]]) -> Tally:
        """Counts the rows for which ``excerpt`` says something."""
        tally = Tally(functools.partial(short, self.subject))
        seen = self.signs_of_life()
        for row in rows:
            seen()
            said = excerpt(row)
            if said is not None:
                tally.add(row, said)
        return tally


@contextlib.contextmanager
def scanning(subject: Subject, what: str) -> Iterator[Scan]:
    """A scan for ``what``, named with its size before the database sets to work; cancelled when the run is stopped."""
    with read_only(database.engine()) as connection:
        schema = tables(subject.line, database.schema())
        rows = about_how_many(connection, schema)
        saying = f"scanning {'the' if rows is None else f'about {rows:,}'} XComs for {what}"
        subject.progress(saying, None, None)
        with cancellable(connection, lambda: subject.progress(saying, None, None)):
            yield Scan(subject, connection, schema, saying)


# -- what findings say


def short(subject: Subject, text: str) -> str:
    """What may be shown of a text. Secrets first: a cut one would not be recognised."""
    text = " ".join(without_secrets(text, subject.secrets).split())
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"


def many(tally: Tally, what: str) -> str:
    """``3 inline strings (in 1 unfinished run)``."""
    runs = f"{tally.unfinished_runs or 'no'} unfinished run{'' if tally.unfinished_runs < 2 else 's'}"
    return f"{tally.count:,} {what}{'' if tally.count == 1 else 's'} (in {runs})"


def examples(tally: Tally) -> str:
    """The examples, as the end of a sentence."""
    return "; such as " + "; ".join(
        f"{each['dag_id']}.{each['task_id']} {each['key']!r}: {each['excerpt']}" for each in tally.examples
    )


def already(subject: Subject, consequence: str) -> str:
    """What that means today, where the context resolves the backend already."""
    phase = phase_of(subject.resolved).phase
    return f". This context resolves {phase.value} already: {consequence}" if phase in FLIPPED else ""
