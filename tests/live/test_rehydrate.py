"""References back into the database, for real: every value, every compression, races, kills, a store that fails."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

import hypothesis
import psutil
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from tests.support.commands import typed, xcomctl
from tests.support.deploys import rolled_out
from tests.support.faulty_store import CUT, GARBAGE, NOT_FOUND, STATUS, TRUNCATED, FaultyStore, faulty_store
from tests.support.rehydrating import (
    TASK,
    Came,
    Held,
    Rehydrating,
    assert_back,
    assert_raced,
    assert_survives,
    rehydrating,
)
from tests.support.rows import column_value, copies_of, gone_dag, locked
from tests.support.struck import child, wait_for_entry
from tests.support.walk import Walk, literal, sql
from xcomctl.model.phases import Phase
from xcomctl.model.rehydrate import (
    CHANGED,
    DANGLING,
    DOES_NOT_FIT,
    JSON_STRING,
    KEY_ORDER,
    LARGE_FLOAT,
    LOCKED,
    NEGATIVE_ZERO,
    PATH_STRING,
    READ_RAISES,
    TOO_LARGE,
    UNDECODABLE,
    UNREAD,
)
from xcomctl.model.settings import settings_for
from xcomctl.rehydrate.run import DONE, READ, SWAPPED

DAG = "gone_rehydrate"
COMPRESSIONS = ("", "gzip", "bz2", "xz")
#: What is pushed where the value does not matter; its keys are in JSONB's order.
VALUE = {"body": "x" * 3000, "rows": [1, "é", None]}


@pytest.fixture(scope="module")
def there(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehydrating]:
    """A context in ``dual-read``, in which Airflow stays loaded."""
    with context(walk, tmp_path_factory.mktemp("rehydrate")) as found:
        yield found


@contextmanager
def context(walk: Walk, folder: Path, **variables: str) -> Iterator[Rehydrating]:
    environment = {**walk.env, **settings_for(Phase.DUAL_READ, path=walk.base_path, threshold=20_000), **variables}
    with rehydrating(walk.python, environment, folder / "log") as found:
        yield found


@contextmanager
def pushed(
    walk: Walk, there: Rehydrating, run_id: str, ids: list[str] | None = None, **more
) -> Iterator[dict[str, str]]:
    """Rows of a run of their own that hold references; what a reader got for each before."""
    with gone_dag(walk, DAG, run_id, TASK):
        yield there.push(run_id, ids or [], **more)


def of(run_id: str) -> dict[str, str]:
    return {"dag_id": DAG, "run_id": run_id}


# --- every value, every compression -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(walk: Walk, there: Rehydrating) -> dict[str, tuple[dict[str, str], dict[str, Held], Came, dict[str, Held]]]:
    """Each compression: what was read from the store, the rows before, what came of it, the rows after."""
    found = {}
    for compression in COMPRESSIONS:
        run_id = f"corpus_{compression}"
        with pushed(walk, there, run_id, there.corpus(), compression=compression) as read:
            before = there.held(run_id)
            came = there.run(jobs=4, **of(run_id))
            found[compression] = read, before, came, there.held(run_id)
    return found


def test_every_value_of_the_corpus_is_what_the_backend_gave_for_it(walk, whole):
    """But for what is reported, row by row; and nothing but the value of a row changes."""
    for compression, (read, before, came, after) in whole.items():
        assert came.answer["references"] == len(before) > 90, compression
        assert_back(read, before, came, after)


def test_what_is_left_and_what_the_column_changes_is_named(walk, whole):
    told = [came.why() for _, _, came, _ in whole.values()]
    assert all(each == told[0] for each in told[1:])
    expected = {JSON_STRING, PATH_STRING, READ_RAISES} if walk.line == "2" else {
        DOES_NOT_FIT, PATH_STRING, LARGE_FLOAT, NEGATIVE_ZERO, KEY_ORDER, READ_RAISES,
    }  # fmt: skip
    assert set(told[0]) == expected
    _, _, came, _ = whole["gzip"]
    assert came.answer["rows"] + sum(came.answer["left"].values()) == came.answer["references"]
    assert came.answer["verified_by"] == ["BaseXCom", "XComObjectStorageBackend"]


def test_one_request_to_the_store_for_each_reference(whole):
    for _, _, came, _ in whole.values():
        assert came.answer["requests"] == came.answer["references"]


def test_strings_that_parse_as_json_are_written_once_nobody_reads_with_the_backend(walk, there):
    with pushed(walk, there, "quiet", values={"digits": "20260606", "object": '{"a": 1}'}) as read:
        came = there.run(**of("quiet"))
        assert came.why() == ({JSON_STRING: ["digits", "object"]} if walk.line == "2" else {})
        there.run(no_readers=True, **of("quiet"))
        assert {key: held.base for key, held in there.held("quiet").items()} == read


# --- what becomes of what cannot be written ------------------------------------------------------------------------------


def test_what_is_too_large_missing_or_another_run_s_is_left_and_named(walk, there):
    with pushed(walk, there, "left", values={"small": VALUE, "large": "x" * 50_000, "gone": [1], "alias": VALUE}):
        rows = there.held("left")
        elsewhere = json.loads(rows["alias"].stored).replace(f"/{TASK}/", "/another/")
        put(walk, "left", "alias", elsewhere)
        walk.sandbox.store.delete(json.loads(rows["gone"].stored))
        came = there.run(max_value_bytes=10_000, **of("left"))
        assert came.why() == {TOO_LARGE: ["large"], DANGLING: ["gone"], "alias": ["alias"]}
        assert came.answer["rows"] == 1 and "10,000" in next(
            row["detail"] for row in came.rows if row["key"] == "large"
        )
        after = there.held("left")
        assert after["small"].base == after["small"].backend != rows["small"].base
        assert {key: after[key].stored for key in ("large", "gone")} == {
            key: rows[key].stored for key in ("large", "gone")
        }


def test_no_more_is_written_than_may_be(walk, there):
    with pushed(walk, there, "budget", values={f"k{number}": "x" * 1000 for number in range(6)}):
        came = there.run(max_bytes=3500, jobs=2, **of("budget"))
        assert came.answer["rows"] == 3 and came.answer["left"] == {"over_max_bytes": 3}
        assert there.run(**of("budget")).answer["rows"] == 3


def test_a_dry_run_says_the_same_and_writes_nothing(walk, there):
    with pushed(walk, there, "dry", values={"small": VALUE, "large": "x" * 50_000}):
        before = there.held("dry")
        dry = there.run(write=False, max_value_bytes=10_000, **of("dry"))
        assert there.held("dry") == before
        wet = there.run(max_value_bytes=10_000, **of("dry"))
        for name in ("references", "rows", "bytes", "largest_bytes", "left"):
            assert dry.answer[name] == wet.answer[name], name


# --- somebody else does something with the same rows ---------------------------------------------------------------------

POINTS = (READ, SWAPPED, DONE)
DEEDS = ("push_again", "purge", "delete")


@hypothesis.settings(
    max_examples=12, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    race=st.dictionaries(
        st.sampled_from([f"k{number}" for number in range(6)]),
        st.tuples(st.sampled_from(POINTS), st.sampled_from(DEEDS)),
        min_size=1,
    ),
    jobs=st.integers(1, 4),
)
@example(race={f"k{number}": (point, deed) for number, (point, deed) in enumerate(product(POINTS, DEEDS[:2]))}, jobs=4)
@example(race={f"k{number}": (point, "delete") for number, point in enumerate(POINTS)}, jobs=1)
def test_a_race_loses_no_newer_value_and_leaves_no_half_one(walk, there, race, jobs):
    """Whatever happens between two steps of a row: it ends as if one had come wholly before the other."""
    with pushed(walk, there, "race", values={f"k{number}": VALUE for number in range(6)}) as read:
        before = there.held("race")
        came = there.run(race=race, jobs=jobs, **of("race"))
        assert_raced(read, before, race, came, there.held("race"))


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_is_deleted_takes_its_rows_with_it_and_nobody_waits_for_long(walk, there, point):
    with pushed(walk, there, "deleted", values={f"k{number}": VALUE for number in range(6)}):
        came = there.run(race={"k2": (point, "delete_run")}, jobs=2, **of("deleted"))
        assert (came.error, there.held("deleted")) == ("", {})
        # What was not written before that is gone, and nothing of it is taken for changed or for left.
        assert (came.answer["rows"] + came.answer["gone"], came.rows) == (6, [])


@pytest.mark.first_line_only
def test_newer_content_under_the_same_reference_is_not_mistaken_for_the_older(walk, there):
    """Airflow 3.4 pushes again to the same object, as no 2.x does: the timestamp tells."""
    with pushed(walk, there, "overwritten", values={"k": VALUE}):
        came = there.run(race={"k": (READ, "overwrite")}, **of("overwritten"))
        assert came.why() == {CHANGED: ["k"]}
        assert there.run(**of("overwritten")).answer["rows"] == 1
        assert "newer" in there.held("overwritten")["k"].base


def test_a_row_that_somebody_has_locked_is_left_and_nobody_waits_for_us(walk, there):
    with pushed(walk, there, "locked", values={"mine": VALUE, "theirs": VALUE}):
        with locked(walk, "run_id = 'locked' AND key = 'theirs'"):
            came = there.run(**of("locked"))
        assert came.why() == {LOCKED: ["theirs"]} and came.answer["rows"] == 1
        assert there.run(**of("locked")).answer["rows"] == 1


# --- killed --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_it_is_called_again_and_nothing_is_lost(walk, there, tmp_path, point):
    values = {f"k{number:02}": {**VALUE, "number": number} for number in range(12)}
    with pushed(walk, there, "killed", values=values) as read, context(walk, tmp_path) as doomed:
        assert_survives(there, doomed, read, point, **of("killed"))


# --- a store that fails --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def through(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FaultyStore, Rehydrating]]:
    """A context that reaches the walk's store through one that fails on demand."""
    connection = walk.sandbox.store.connection
    extra = json.loads(connection["extra"])
    with faulty_store(extra["endpoint_url"]) as store:
        # botocore repeats requests by itself, with pauses of seconds; s3fs does all the same.
        extra |= {"endpoint_url": store.endpoint, "config_kwargs": {"retries": {"max_attempts": 0}}}
        record = {"conn_type": "aws", "login": connection["login"], "password": connection["password"], "extra": extra}
        name = f"AIRFLOW_CONN_{connection['connection_id'].upper()}"
        with context(walk, tmp_path_factory.mktemp("faulty"), **{name: json.dumps(record)}) as found:
            yield store, found


def test_nothing_wrong_is_written_whatever_the_store_gives(walk, there, through):
    store, doubtful = through
    faults = {"s503": (STATUS, UNREAD), "cut": (CUT, UNREAD), "truncated": (TRUNCATED, UNDECODABLE),
              "garbage": (GARBAGE, UNDECODABLE), "missing": (NOT_FOUND, DANGLING)}  # fmt: skip
    values = {key: {"of": key, **VALUE} for key in (*faults, "well", "busy")}
    with pushed(walk, there, "faulty", values=values) as read, ExitStack() as failing:
        before = there.held("faulty")
        objects = {key: json.loads(held.stored).rpartition("/")[2] for key, held in before.items()}
        for key, (kind, _) in faults.items():
            failing.enter_context(store.failing(kind, objects[key]))
        failing.enter_context(store.failing(STATUS, objects["busy"], times=2))
        came = doubtful.run(jobs=4, **of("faulty"))
        assert {row["key"]: row["why"] for row in came.rows} == {key: why for key, (_, why) in faults.items()}
        after = there.held("faulty")
        assert {key: after[key].base for key in ("well", "busy")} == {key: read[key] for key in ("well", "busy")}
        assert all(after[key] == before[key] for key in faults)
    with pushed(walk, there, "faulty", values=values) as read:
        assert doubtful.run(**of("faulty")).answer["rows"] == len(values)
        assert {key: held.base for key, held in there.held("faulty").items()} == read


def test_a_store_that_gives_nothing_is_given_up(walk, there, through):
    store, doubtful = through
    with pushed(walk, there, "down", values={f"k{number:02}": VALUE for number in range(30)}):
        before = there.held("down")
        with store.failing(STATUS, "/down/"):
            came = doubtful.run(jobs=8, **of("down"))
        assert came.answer["store_error"] and came.answer["references"] < 30 and came.answer["rows"] == 0
        assert there.held("down") == before


# --- the command ---------------------------------------------------------------------------------------------------------


def test_the_command_shows_asks_writes_and_records(walk, there, tmp_path):
    dual_read = settings_for(Phase.DUAL_READ, path=walk.base_path, threshold=20_000)
    scope = ("-d", DAG, "-r", "typed")
    how = {"variables": dual_read, "journal": tmp_path / "journal.jsonl"}
    with pushed(walk, there, "typed", values={"small": VALUE, "large": "x" * 50_000}) as read:
        # Whether it would be refused is answered without a look at any row.
        asked = there.run(look=True, **of("typed"))
        assert (asked.error, asked.answer["references"], asked.rows) == ("", 0, [])
        dry = xcomctl(walk, "rehydrate", *scope, "--dry-run", **how).orderly()
        assert dry.code == 0 and "2 references would be rehydrated" in dry.out and "the database grows" in dry.out
        unasked = xcomctl(walk, "rehydrate", *scope, **how).orderly()
        assert unasked.code == 6 and there.held("typed")["small"].base != read["small"]
        part = xcomctl(walk, "rehydrate", *scope, "--max-value-bytes", "10kB", "-y", "-o", "json", **how).orderly()
        assert (part.code, part.record["verdict"]) == (3, "failed")
        assert [(row["why"], row["key"]) for row in part.record["rows"]] == [(TOO_LARGE, "large")]
        assert any("--max-value-bytes" in step for step in part.record["next_steps"])
        # On the first line another test's context is a fresh one.
        whole = xcomctl(walk, "rehydrate", *scope, "-y", fresh=walk.line == "2", **how).orderly()
        assert whole.code == 0 and "nothing of these is left" in whole.out
        assert {key: held.base for key, held in there.held("typed").items()} == read
        again = xcomctl(walk, "rehydrate", *scope, "-y", **how).orderly()
        assert again.code == 0 and "no references rehydrated" in again.out
    entries = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    told = [(each["action"], each["verdict"]) for each in entries if each["action"] == "rehydrate"]
    assert told == [("rehydrate", None), ("rehydrate", "failed"), *[("rehydrate", None), ("rehydrate", "ok")] * 2]


@pytest.mark.first_line_only
def test_an_agent_that_is_told_to_end_stops_after_the_row_that_it_writes(walk, there, tmp_path):
    dual_read = settings_for(Phase.DUAL_READ, path=walk.base_path, threshold=20_000)
    journal, rows = tmp_path / "journal.jsonl", 400
    with pushed(walk, there, "stopped", values={"one": VALUE}) as read:
        reference = column_value(walk, json.loads(there.held("stopped")["one"].stored))
        copies_of(walk, DAG, "stopped", TASK, "one", 0, rows - 1)

        def held() -> list[int]:
            """All rows, those with the reference, and how many different values there are."""
            counts = f"count(*), count(*) FILTER (WHERE value = {reference}), count(DISTINCT value)"
            return [int(each) for each in sql(walk, f"SELECT {counts} FROM xcom WHERE run_id = 'stopped'")[0]]

        assert held() == [rows, rows, 1]
        command = typed(
            walk, "rehydrate", "-d", DAG, "-r", "stopped", "-y", variables=dual_read, journal=journal, fresh=True
        )
        with child(command, tmp_path / "output") as desk:
            wait_for_entry(desk, journal)
            (agent,) = psutil.Process(desk.pid).children()
            while held()[1] == rows and desk.poll() is None:
                time.sleep(0.05)
            agent.terminate()
            code = desk.wait(60)
        said = (tmp_path / "output").read_text()
        assert code == 5 and "Traceback" not in said, (code, said)
        there_are, kept, different = held()
        assert (there_are, different) == (rows, 2) and 0 < kept < rows
        again = xcomctl(walk, "rehydrate", "-d", DAG, "-r", "stopped", "-y", variables=dual_read, journal=journal)
        assert again.orderly().code == 0
        assert held() == [rows, 0, 1]
        assert there.held("stopped")["one"].base == read["one"]


def test_it_says_whether_inline_is_safe(walk, tmp_path):
    """The walk ends inline, beside references of a finished run that the runbook left behind."""
    unsafe = xcomctl(
        walk, "rehydrate", "--verify", "--base-path", walk.base_path, "-o", "json", journal=tmp_path / "j"
    ).orderly()
    assert (unsafe.code, unsafe.check("gate_references")["status"]) == (3, "fail")
    assert any("xcomctl rehydrate" in step for step in unsafe.record["next_steps"])
    # Something that is older than inline may still push a reference.
    since = ("--deployed-at", rolled_out(walk))
    assert xcomctl(walk, "wait", "--to", "inline", *since, journal=tmp_path / "j").orderly().code == 0
    keep = ("--base-path", walk.base_path, "--keep-finished", "a test")
    kept = xcomctl(walk, "rehydrate", "--verify", *keep, journal=tmp_path / "j").orderly()
    assert kept.code == 0 and "inline is safe now" in kept.out


def test_more_than_may_be_written_is_refused_before_anything_is(walk, there, tmp_path):
    dual_read = settings_for(Phase.DUAL_READ, path=walk.base_path, threshold=20_000)
    with pushed(walk, there, "refused", values={"k": VALUE}):
        done = xcomctl(
            walk, "rehydrate", "-d", DAG, "--max-bytes", "100", "-y", variables=dual_read, journal=tmp_path / "j"
        ).orderly()
        assert done.code == 6 and "--max-bytes" in done.err
        busy = xcomctl(walk, "rehydrate", "--quiesced", "-y", variables=dual_read, journal=tmp_path / "j").orderly()
        assert busy.code in (5, 6) and "--quiesced" in busy.err


def put(walk: Walk, run_id: str, key: str, text: str) -> None:
    """Another string in a row."""
    sql(
        walk,
        f"UPDATE xcom SET value = {column_value(walk, text)} WHERE run_id = {literal(run_id)} AND key = {literal(key)}",
    )
