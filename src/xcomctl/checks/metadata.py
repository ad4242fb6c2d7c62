"""What the metadata database holds: references, and inline values that the flip would change, refuse or mistake."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Callable, Optional

from xcomctl.airflow_compat import configuration, database, loading, schemes
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks.interface import CheckSpec, Finding, Subject, fail, ok, skip, warn
from xcomctl.checks.runner import without_secrets
from xcomctl.metadata import revisions, values
from xcomctl.metadata.differences import parsed_again, refused_key
from xcomctl.metadata.reading import read_only
from xcomctl.metadata.tables import Tables, tables
from xcomctl.metadata.tally import Tally
from xcomctl.model.phases import Line, Phase, path_problem, phase_of
from xcomctl.model.preflight import METADATA
from xcomctl.model.references import scheme_of
from xcomctl.model.settings import THRESHOLD, THRESHOLD_FLOOR, env_name, format_threshold
from xcomctl.references.scan import Survey, survey

#: Characters that an example shows of a value.
EXCERPT = 60
#: Rows between two signs of life.
PROGRESS_EVERY = 1000
#: From this common-io on, 2.x parses inline strings a second time (F4).
PARSES_AGAIN = (1, 5, 4)
#: The threshold is at least this many times the largest ``skipmixin_key`` (F36), and better twice that.
SKIPMIXIN_ROOM = 2

_PICKLING = env_name("core", "enable_xcom_pickling")
_FLIPPED = (Phase.DUAL_READ, Phase.OFFLOAD)
_TRUE = ("t", "true", "1")  # what Airflow's getboolean takes
_ELSEWHERE = "ask in a scheduler's context, which has one, or leave these out: --skip metadata"


# -- the database


def _database(subject: Subject) -> Finding:
    try:
        engine = database.engine()
    except AirflowUnusable as error:
        return skip(error.message, _ELSEWHERE)
    subject.keep_secret(engine.url.password)
    dialect = engine.dialect.name
    # Airflow's default when nothing is set is a SQLite file. Asking would create it.
    if dialect == "sqlite" and not Path(engine.url.database or "").exists():
        return skip(
            f"this context has no metadata database: Airflow's default, {engine.url.database}, does not exist",
            _ELSEWHERE,
        )
    try:
        with read_only(engine) as connection:
            revision = revisions.current(connection, database.schema())
    except Exception as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        return fail(
            f"the metadata database ({dialect}) does not answer: {type(error).__name__}: {reason}", "airflow db check"
        )
    if revision is None:
        return fail(
            f"the metadata database ({dialect}) answers and holds no schema revision of Airflow's",
            "airflow db migrate, if it is the right one: AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        )
    known = revisions.warning(revision)
    if known is not None:
        return warn(
            known,
            "compare a few counts with what you know of the deployment before you trust them",
            dialect=dialect,
            revision=revision,
        )
    return ok(f"{dialect}, schema revision {revision}, as Airflow {revisions.KNOWN[revision]} has it",
              dialect=dialect, revision=revision)  # fmt: skip


@contextlib.contextmanager
def _opened(subject: Subject) -> Iterator[tuple[Any, Tables]]:
    """A connection that can only read, and the tables."""
    with read_only(database.engine()) as connection:
        yield connection, tables(subject.line, database.schema())


# -- what findings say


def _tallied(subject: Subject, what: str, rows: Iterable[Any], excerpt: Callable[[Any], Optional[str]]) -> Tally:
    """Counts the rows for which ``excerpt`` says something, with signs of life."""
    tally = Tally(functools.partial(_short, subject))
    seen = _signs_of_life(subject, what)
    for row in rows:
        seen()
        said = excerpt(row)
        if said is not None:
            tally.add(row, said)
    return tally


def _signs_of_life(subject: Subject, what: str) -> Callable[[], None]:
    rows = 0

    def seen() -> None:
        nonlocal rows
        rows += 1
        if rows % PROGRESS_EVERY == 0:
            subject.progress(what, rows, None)

    return seen


def _short(subject: Subject, text: str) -> str:
    """What may be shown of a text. Secrets first: a cut one would not be recognised."""
    text = " ".join(without_secrets(text, subject.secrets).split())
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"


def _many(tally: Tally, what: str) -> str:
    """``3 inline strings (in 1 unfinished run)``."""
    runs = f"{tally.unfinished_runs or 'no'} unfinished run{'' if tally.unfinished_runs < 2 else 's'}"
    return f"{tally.count:,} {what}{'' if tally.count == 1 else 's'} (in {runs})"


def _examples(tally: Tally) -> str:
    return "; such as " + "; ".join(
        f"{each['dag_id']}.{each['task_id']} {each['key']!r}: {each['excerpt']}" for each in tally.examples
    )


def _already(subject: Subject, consequence: str) -> str:
    phase = phase_of(subject.resolved).phase
    return f". This context resolves {phase.value} already: {consequence}" if phase in _FLIPPED else ""


def _is_flip(subject: Subject) -> bool:
    return subject.target_phase in _FLIPPED


def _is_flip_of_3(subject: Subject) -> bool:
    return _is_flip(subject) and subject.line is Line.AF3


# -- pickles (F24)


def _is_flip_of_2(subject: Subject) -> bool:
    return _is_flip(subject) and subject.line is Line.AF2


def _pickling(subject: Subject) -> Finding:
    setting = (configuration.option("core", "enable_xcom_pickling", "False") or "").strip()
    source = _PICKLING if _PICKLING in os.environ else "airflow.cfg or Airflow's default"
    with _opened(subject) as (connection, xcoms):
        count, unfinished = values.pickled_counts(connection, xcoms)
    data = {"count": count, "unfinished_runs": unfinished}
    stored = f"{count:,} stored XComs are pickles (in {unfinished:,} unfinished runs)"
    if setting.lower() in _TRUE:
        return fail(
            f"[core] enable_xcom_pickling is {setting!r} ({source}), expected False: references are stored pickled and"
            f" cannot be told from values; {stored}",
            f"{_PICKLING}=False, and first clear or let expire what is pickled: it cannot be read then",
            **data,
        )
    if count:
        return warn(
            f"{stored}, and pickling is off ({source}): every read of them fails, before the flip as after it",
            "clear the tasks that wrote them, or remove old ones: airflow db clean --tables xcom",
            **data,
        )
    return ok(f"[core] enable_xcom_pickling is {setting!r} ({source}), and no stored XCom is a pickle", **data)


# -- references and other URLs (F3, F7, F44)


@functools.lru_cache(maxsize=1)  # two checks look at it: one pass for both
def _urls(subject: Subject) -> Survey:
    path = subject.target.path
    base_path = "" if path is None or path_problem(path) is not None else path
    with _opened(subject) as (connection, xcoms):
        return survey(
            connection,
            xcoms,
            base_path,
            shown=functools.partial(_short, subject),
            seen=_signs_of_life(subject, "stored URLs"),
        )


def _can_be_reached(subject: Subject) -> bool:
    return subject.target_phase in (Phase.INLINE, *_FLIPPED)


def _references(subject: Subject) -> Finding:
    found = _urls(subject)
    base_path = subject.target.path
    data = {
        **found.foreign.to_json(),
        "references": found.references.count,
        "references_in_unfinished_runs": found.references.unfinished_runs,
        "base_paths": list(found.bases),
        "urls": found.urls,
    }
    resolving = f"{_many(found.references, 'reference')} under {base_path}"
    if subject.target_phase is Phase.INLINE:
        return _references_under_inline(found, data)
    if found.foreign.count:
        return fail(
            f"{_many(found.foreign, 'reference')} under {', '.join(found.bases)}, expected all under {base_path}: every"
            f" pull of such a one gives the path string{_examples(found.foreign)}. {resolving}",
            f"keep xcom_objectstorage_path={found.bases[0]} (or a folder above it) until they are gone, or write them back"
            " under that path with `xcomctl rehydrate`, and have `xcomctl retrigger` run again what cannot be",
            **data,
        )
    return ok(f"{resolving}, none under another path; {found.urls:,} other URLs are plain values", **data)


def _references_under_inline(found: Survey, data: Mapping[str, Any]) -> Finding:
    count = found.references.count + found.aliases.count + found.foreign.count
    data = {**data, "count": count}
    if not count:
        return ok(f"no reference is stored; {found.urls:,} URLs are plain values", **data)
    tally = next(each for each in (found.references, found.foreign, found.aliases) if each.count)
    return fail(
        f"{count:,} references are stored, expected none for inline: Airflow's own class gives every reader of them the"
        f" path string{_examples(tally)}",
        "xcomctl rehydrate",
        **{**data, "examples": list(tally.examples)},
    )


def _own_paths(subject: Subject) -> Finding:
    found = _urls(subject)
    own, aliases = found.own_paths, found.aliases
    base_path = subject.target.path
    data = {
        **(own if own.count else aliases).to_json(),
        "count": own.count + aliases.count,
        "own_paths": own.count,
        "aliases": aliases.count,
    }
    said = []
    if own.count:
        said.append(
            f"{_many(own, 'string')} under {base_path} that the backend did not write: a reader would get the file's"
            f" content, and a retry would delete the file{_examples(own)}"
        )
    if aliases.count:
        said.append(
            f"{_many(aliases, 'reference')} of another run or task, passed on as a value: purging one deletes the"
            f" object of the task that wrote it{_examples(aliases)}"
        )
    if not said:
        return ok(f"no string under {base_path} is anything but its own task's reference", **data)
    hint = (
        "have the tasks write their files outside the prefix, or give the backend one of its own" if own.count else ""
    )
    if aliases.count:
        hint += ("; " if hint else "") + "clear the tasks that passed a path on, so that they pass the value"
    return fail(". ".join(said), f"{hint}; accepted by name: --skip metadata_own_paths", **data)


# -- inline values


def _parses_again(subject: Subject) -> bool:
    if not _is_flip_of_2(subject):
        return False
    version = loading.providers().get("common.io", "")
    numbers = tuple(int(number) for number in version.split(".")[:3] if number.isdigit())
    return numbers >= PARSES_AGAIN


def _json_strings(subject: Subject) -> Finding:
    def kind(row: values.InlineRow) -> Optional[str]:
        becomes = parsed_again(row.value)
        return None if becomes is None else f"a string of {len(row.value):,} characters → {becomes}"

    with _opened(subject) as (connection, xcoms):
        found = _tallied(subject, "JSON in strings", values.json_like_strings(connection, xcoms), kind)
    if not found.count:
        return ok("no inline string is JSON text, which the backend would parse a second time", **found.to_json())
    return fail(
        f"{_many(found, 'inline string')} that the backend would parse as JSON, expected none: their readers get"
        f" another type{_examples(found)}{_already(subject, 'their readers get it now')}",
        "let the task return the value itself instead of JSON text; accepted by name: --skip metadata_json_strings",
        **found.to_json(),
    )


def _schemes(subject: Subject) -> Finding:
    failing: dict[str, str] = {}

    def kind(row: values.InlineRow) -> Optional[str]:
        scheme = scheme_of(row.value.partition(":")[0] + ":")
        error = schemes.unreadable(scheme) if scheme is not None else None
        if error is None:
            return None
        failing.setdefault(str(scheme), error)
        return f"a string that begins with {scheme}:"

    with _opened(subject) as (connection, xcoms):
        found = _tallied(subject, "schemes of strings", values.string_heads(connection, xcoms), kind)
    if not found.count:
        return ok("no inline string begins like a URL of a file system that is not installed", **found.to_json())
    named = "; ".join(f"{scheme}: gives {_short(subject, error)}" for scheme, error in sorted(failing.items()))
    return fail(
        f"{_many(found, 'inline string')} that the backend takes for a URL (no // is needed), expected none: every read"
        f" of them fails{_examples(found)}. {named}{_already(subject, 'reads of them fail now')}",
        "install the package that the message names, or let the task put other words before the colon; accepted by name:"
        " --skip metadata_schemes",
        **found.to_json(),
        schemes=sorted(failing),
    )


def _keys(subject: Subject) -> Finding:
    def kind(row: values.InlineRow) -> Optional[str]:
        key = refused_key(row.value)
        return None if key is None else f"key {key!r}"

    with _opened(subject) as (connection, xcoms):
        found = _tallied(subject, "keys of dicts", values.values_with_telling_keys(connection, xcoms), kind)
    if not found.count:
        return ok("no inline dict has a key that looks like a tuple or a date", **found.to_json())
    return warn(
        f"{_many(found, 'inline value')} with keys that look like tuples or dates: where the task's own keys are that"
        f" and not text, its push raises TypeError under the backend{_examples(found)}"
        f"{_already(subject, 'such pushes fail now')}",
        "make text of such keys in the task, {str(key): value …}; looked at and fine: --skip metadata_keys",
        **found.to_json(),
    )


# -- the scheduler's own XCom (F36)


def _is_offload(subject: Subject) -> bool:
    return subject.target_phase is Phase.OFFLOAD


def _skipmixin(subject: Subject) -> Finding:
    threshold = subject.target.threshold
    assert threshold is not None  # it is what makes it offload
    with _opened(subject) as (connection, xcoms):
        row = values.largest_skipmixin(connection, xcoms)
    if row is None:
        return ok("no skipmixin_key is stored", largest=0, threshold=threshold)
    tally = Tally(functools.partial(_short, subject))
    tally.add(row, f"{row.value:,} bytes")
    needed = SKIPMIXIN_ROOM * row.value
    data = {"largest": row.value, "threshold": threshold, "examples": list(tally.examples)}
    seen = f"the largest skipmixin_key has {row.value:,} bytes ({row.dag_id}.{row.task_id})"
    better = format_threshold(max(THRESHOLD_FLOOR, SKIPMIXIN_ROOM * needed))
    hint = f'{THRESHOLD.env}="{better}"'
    if threshold < needed:
        return fail(
            f"{seen}, so the threshold has to be {needed:,} at least, and is {threshold:,}: the scheduler reads this XCom"
            " past the backend, and a skipped branch would run",
            hint,
            **data,
        )
    if threshold < SKIPMIXIN_ROOM * needed:
        return warn(f"{seen}; the threshold of {threshold:,} leaves little room for it to grow", hint, **data)
    return ok(f"{seen}, far below the threshold of {threshold:,}", **data)


def _spec(id: str, title: str, run: Callable[[Subject], Finding], applies: Callable[[Subject], bool]) -> CheckSpec:
    return CheckSpec(id, METADATA, title, run, needs=("metadata_database",), applies=applies, in_task=False)


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec(
        "metadata_database", METADATA, "the metadata database answers, with a known schema", _database,
        waits=True, in_task=False,
    ),
    _spec("metadata_pickling", "XComs are JSON, not pickles", _pickling, _is_flip_of_2),
    _spec("metadata_references", "every stored reference resolves under the path", _references, _can_be_reached),
    _spec("metadata_own_paths", "no task's own string is under the path", _own_paths, _is_flip),
    _spec("metadata_json_strings", "no inline string would be parsed as JSON", _json_strings, _parses_again),
    _spec("metadata_schemes", "no inline string has a scheme that cannot be opened", _schemes, _is_flip_of_3),
    _spec("metadata_keys", "no inline dict suggests keys that the backend refuses", _keys, _is_flip_of_3),
    _spec("metadata_skipmixin", "the threshold is far above the largest skipmixin_key", _skipmixin, _is_offload),
)  # fmt: skip
