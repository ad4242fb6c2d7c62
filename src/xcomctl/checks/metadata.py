"""What the metadata database holds: whether it answers, and inline values that the flip would change, refuse or mistake.

The checks of stored URLs are in :mod:`xcomctl.checks.stored_urls`.
"""

from __future__ import annotations

import functools
import os
from typing import Optional

from xcomctl.airflow_compat import configuration, database, loading, schemes
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks import stored_urls
from xcomctl.checks.interface import CheckSpec, Finding, Subject, fail, ok, skip, warn
from xcomctl.checks.scans import DB_CLEAN, already, examples, is_flip, many, scanning, short, spec
from xcomctl.metadata import revisions, values
from xcomctl.metadata.differences import parsed_again, refused_key
from xcomctl.metadata.reading import read_only
from xcomctl.metadata.tally import Tally
from xcomctl.model.phases import Line, Phase
from xcomctl.model.preflight import METADATA
from xcomctl.model.references import scheme_of
from xcomctl.model.settings import SKIPMIXIN_ROOM, THRESHOLD, env_name, floor_for, format_threshold

#: From this common-io on, 2.x parses inline strings a second time (F4).
PARSES_AGAIN = (1, 5, 4)

_PICKLING = env_name("core", "enable_xcom_pickling")
_TRUE = ("t", "true", "1")  # what Airflow's getboolean takes


# -- the database


def _database(subject: Subject) -> Finding:
    loading.airflow()  # that there is none is another matter than an Airflow without a database
    try:
        engine = database.engine()
    except AirflowUnusable as error:
        return skip(error.message, f"{error.hint}, or leave these out: --skip metadata", no_database=True)
    subject.keep_secret(engine.url.password)
    dialect = engine.dialect.name
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


def _is_flip_of_2(subject: Subject) -> bool:
    return is_flip(subject) and subject.line is Line.AF2


def _is_flip_of_3(subject: Subject) -> bool:
    return is_flip(subject) and subject.line is Line.AF3


# -- pickles (F24)


def _pickling(subject: Subject) -> Finding:
    setting = (configuration.option("core", "enable_xcom_pickling", "False") or "").strip()
    source = _PICKLING if _PICKLING in os.environ else "airflow.cfg or Airflow's default"
    with scanning(subject, "pickles") as scan:
        count, unfinished = values.pickled_counts(scan.connection, scan.tables)
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
            f"clear the tasks that wrote them, or remove old ones: {DB_CLEAN}",
            **data,
        )
    return ok(f"[core] enable_xcom_pickling is {setting!r} ({source}), and no stored XCom is a pickle", **data)


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

    with scanning(subject, "JSON in strings") as scan:
        found = scan.tally(values.json_like_strings(scan.connection, scan.tables), kind)
    if not found.count:
        return ok("no inline string is JSON text, which the backend would parse a second time", **found.to_json())
    return fail(
        f"{many(found, 'inline string')} that the backend would parse as JSON, expected none: their readers get"
        f" another type{examples(found)}{already(subject, 'their readers get it now')}",
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

    with scanning(subject, "schemes of strings") as scan:
        found = scan.tally(values.string_heads(scan.connection, scan.tables), kind)
    if not found.count:
        return ok("no inline string begins like a URL of a file system that is not installed", **found.to_json())
    named = "; ".join(f"{scheme}: gives {short(subject, error)}" for scheme, error in sorted(failing.items()))
    return fail(
        f"{many(found, 'inline string')} that the backend takes for a URL (no // is needed), expected none: every read"
        f" of them fails{examples(found)}. {named}{already(subject, 'reads of them fail now')}",
        "install the package that the message names, or let the task put other words before the colon; accepted by name:"
        " --skip metadata_schemes",
        **found.to_json(),
        schemes=sorted(failing),
    )


def _keys(subject: Subject) -> Finding:
    def kind(row: values.InlineRow) -> Optional[str]:
        key = refused_key(row.value)
        return None if key is None else f"key {key!r}"

    with scanning(subject, "keys of dicts") as scan:
        found = scan.tally(values.values_with_telling_keys(scan.connection, scan.tables), kind)
    if not found.count:
        return ok("no inline dict has a key that looks like a tuple or a date", **found.to_json())
    return warn(
        f"{many(found, 'inline value')} with keys that look like tuples or dates: where the task's own keys are that"
        f" and not text, its push raises TypeError under the backend{examples(found)}"
        f"{already(subject, 'such pushes fail now')}",
        "make text of such keys in the task, {str(key): value …}; looked at and fine: --skip metadata_keys",
        **found.to_json(),
    )


# -- the scheduler's own XCom (F36)


def _is_offload(subject: Subject) -> bool:
    return subject.target_phase is Phase.OFFLOAD


def _skipmixin(subject: Subject) -> Finding:
    threshold = subject.target.threshold
    assert threshold is not None  # it is what makes it offload
    with scanning(subject, values.SKIPMIXIN_KEY) as scan:
        row = values.largest_skipmixin(scan.connection, scan.tables)
    if row is None:
        return ok("no skipmixin_key is stored", largest=0, threshold=threshold)
    tally = Tally(functools.partial(short, subject))
    tally.add(row, f"{row.value:,} bytes")
    needed = SKIPMIXIN_ROOM * row.value
    data = {"largest": row.value, "threshold": threshold, "examples": list(tally.examples)}
    seen = f"the largest skipmixin_key has {row.value:,} bytes ({row.dag_id}.{row.task_id})"
    better = format_threshold(floor_for(needed))
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


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec(
        "metadata_database", METADATA, "the metadata database answers, with a known schema", _database,
        waits=True, in_task=False,
    ),
    spec("metadata_pickling", "XComs are JSON, not pickles", _pickling, _is_flip_of_2),
    *stored_urls.CHECKS,
    spec("metadata_json_strings", "no inline string would be parsed as JSON", _json_strings, _parses_again),
    spec("metadata_schemes", "no inline string has a scheme that cannot be opened", _schemes, _is_flip_of_3),
    spec("metadata_keys", "no inline dict suggests keys that the backend refuses", _keys, _is_flip_of_3),
    spec("metadata_skipmixin", "the threshold is far above the largest skipmixin_key", _skipmixin, _is_offload),
)  # fmt: skip
