"""``xcomctl size`` on the walk: figures that Airflow's own classes and SQL agree with, and what cannot be measured."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from tests.support.commands import Done, together, unreachable, xcomctl
from tests.support.preflight import offload
from tests.support.rows import column_value, copies_of, gone_dag, xcoms_of
from tests.support.sized import Pushed, pushed
from tests.support.walk import KEPT, Walk, answer, psql, sql
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.size import Effect, SizeAnswer, SizeQuery
from xcomctl.rehearsal.scenarios.interface import DAG_ID

RUN, TASK = "manual__1", "task"
#: Values with all that makes a size on 3.x other than the database says. JSONB forgets what the :data:`DOUBTFUL` were.
VALUES = {
    "ascii": "'x' * 12_000",
    "two_byte": "'é' * 3_000",
    "three_byte": "'日本' * 1_500",
    "four_byte": "'😀' * 1_200",
    "mixed": "{'k': 'a' * 9_000, 'ü': ['ü€😀' * 40, None, True]}",
    "escapes": "'\\n\"\\\\\\t\\x01' * 1_500",
    "delete": "'\\x7f' * 2_000",
    "nested": "{'a': [1, 2.5, None, {'b': {'c': 'd' * 9_000}}]}",
    "integers": "list(range(4_000))",
    "big_integers": "[10**40 + 1 + n for n in range(400)]",
    "integers_of_20_digits": "[12345678901234567891] * 500",
    "floats": "[n / 7 for n in range(1, 900)]",
    "small_floats": "[1e-7 * n for n in range(1, 900)]",
    "tuples": "[(n, n + 1) for n in range(800)]",
    "tuple": "tuple(range(3_000))",
    "tuple_of_tuples": "tuple((n, (n,)) for n in range(200))",
    "named_tuples": "[Point(n, (n,)) for n in range(300)]",
    "keys": "{n: 'value' for n in range(900)} | {True: 'true', None: 'none', 1.5: 'float'}",
    "dates": "[datetime.datetime(2026, 6, 6, n % 24, tzinfo=datetime.timezone.utc) for n in range(90)]",
    "decimals": "[decimal.Decimal(n) / 7 for n in range(90)]",
    "set": "set(range(1_500))",
    "null": "None",
    "huge_floats": "[1.5e300] * 500",
    "floats_of_17_digits": "[float(2**60 + 2**9 * n) for n in range(600)]",
    "negative_zeros": "[-0.0] * 2_500",
}
DOUBTFUL = {"huge_floats", "floats_of_17_digits", "negative_zeros"}


@pytest.fixture(scope="module")
def agent(walk: Walk) -> Iterator[AgentSession]:
    """One agent in a context that offloads."""
    with AgentSession(walk.warm.reach({**walk.env, **offload(walk)})) as agent:
        yield agent


def measured(agent: AgentSession, **query: Any) -> SizeAnswer:
    """One measurement."""
    return SizeAnswer.from_json(agent.request(requests.SIZE, SizeQuery(**query).to_json()))


@contextlib.contextmanager
def numbered(walk: Walk, dag_id: str, last: int) -> Iterator[None]:
    """Strings of 1 to so many characters, each two bytes more as JSON."""
    text = "repeat('x', n)"
    value = f"convert_to('\"' || {text} || '\"', 'UTF8')" if walk.line == "2" else f"to_jsonb({text})"
    with gone_dag(walk, dag_id, RUN, TASK):
        sql(
            walk,
            "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
            f"SELECT r.id, '{TASK}', -1, 'key_' || n, r.dag_id, r.run_id, {value}, "
            f"now() - CASE WHEN n <= 100 THEN interval '2 hours' ELSE interval '3 days' END "
            f"FROM dag_run r, generate_series(1, {last}) n WHERE r.dag_id = '{dag_id}'",
        )
        yield


# -- value by value


@pytest.fixture(scope="module")
def compared(walk: Walk, agent: AgentSession) -> dict[str, tuple[Pushed, dict[int, Effect], SizeAnswer]]:
    """For each value what Airflow's own backend did with it at three thresholds, and what ``size`` says of these."""
    with contextlib.ExitStack() as stack:
        dags = {f"sized_{name}": value for name, value in VALUES.items()}
        for dag_id in dags:
            stack.enter_context(gone_dag(walk, dag_id, RUN, TASK))
        done = pushed(walk.python, {**walk.env, **offload(walk)}, dags, RUN)
        found = {}
        for dag_id, each in done.items():
            told = measured(agent, dag_id=dag_id, thresholds=tuple(each.offloaded), store=False)
            effects = {effect.threshold: effect for effect in told.thresholds if effect.threshold in each.offloaded}
            found[dag_id.removeprefix("sized_")] = (each, effects, told)
        return found


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_offloaded_by_the_backend_where_size_says_so(
    walk: Walk, compared: dict[str, tuple[Pushed, dict[int, Effect], SizeAnswer]], name: str
) -> None:
    each, effects, told = compared[name]
    assert told.values == 1, told
    assert list(each.offloaded.values()) == [True, True, False], "the backend offloads from its threshold on"
    said = {threshold: "uncertain" if effect.uncertain else effect.values == 1 for threshold, effect in effects.items()}
    if walk.line == "3" and name in DOUBTFUL:
        # What JSONB forgot is told as such, and never guessed: each threshold is uncertain or right.
        assert all(said[threshold] in ("uncertain", went) for threshold, went in each.offloaded.items()), said
        assert "uncertain" in said.values() and not all(effect.exact for effect in effects.values())
        return
    assert said == each.offloaded
    assert all(effect.exact for effect in effects.values())
    if walk.line == "2":
        assert (told.exact, told.largest) == (True, each.size)


def test_what_the_database_says_of_3_x_is_told_to_be_off_by_as_much_as_it_is(
    walk: Walk, compared: dict[str, tuple[Pushed, dict[int, Effect], SizeAnswer]]
) -> None:
    for name, (each, _, told) in compared.items():
        accuracy = told.accuracy
        assert accuracy is not None and told.largest is not None and accuracy.sampled == 1, name
        if walk.line == "2":
            assert told.exact and (accuracy.exact, accuracy.bounds) == (1, ())
            continue
        low, high = (round(told.largest * ratio) for ratio in (accuracy.smallest, accuracy.largest))
        assert low <= each.size <= high, name
        assert (low == high) == (name not in DOUBTFUL), name


# -- distributions


def test_a_distribution_with_known_quantiles(walk: Walk, agent: AgentSession) -> None:
    with numbered(walk, "sized_numbered", 1000):
        told = measured(agent, dag_id="sized_numbered", thresholds=(503, 1_002, 1_003), store=False)
        recent = measured(
            agent, dag_id="sized_numbered", store=False, since=str(sql(walk, "SELECT to_char(now() AT TIME ZONE 'UTC' - interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI:SS+00:00')")[0][0])
        )  # fmt: skip
        none = measured(agent, dag_id="sized_numbered", states=("failed",), store=False)
        all_of_it = measured(agent, dag_id="sized_numbered", states=("failed", "success"), store=False)
        sampled = measured(agent, dag_id="sized_numbered", sample=0.9999, store=False)
    assert {each.q: each.bytes for each in told.quantiles} == {
        0.5: 502, 0.9: 902, 0.95: 952, 0.99: 992, 0.999: 1_001, 0.9999: 1_002,
    }  # fmt: skip
    assert (told.values, told.bytes, told.smallest, told.largest) == (1000, 502_500, 3, 1_002)
    assert [effect.values for effect in told.thresholds[:3]] == [500, 1, 0]
    assert sum(each.values for each in told.histogram) == sum(each.values for each in told.curve) == 1000
    assert [each.values for each in told.windows] == [100, 1000, 1000]
    assert [(place.key, place.bytes) for place in told.top_bytes] == [(f"key_{n}", n + 2) for n in range(1000, 990, -1)]
    assert (recent.values, recent.largest) == (100, 102)
    assert (none.values, none.quantiles, none.suggestions) == (0, (), ())
    assert all_of_it.values == 1000
    assert sampled.sampled is not None and sampled.values >= 500 and sampled.quantiles[0].interval is not None


def test_rows_that_are_no_values(walk: Walk, agent: AgentSession) -> None:
    columns = {"null": "NULL", "one": column_value(walk, 1)}
    if walk.line == "2":
        columns |= {"pickle": "'\\x80049501'::bytea", "corrupt": "'\\x7b22ff'::bytea"}
    with gone_dag(walk, "sized_odd", RUN, TASK), xcoms_of(walk, "sized_odd", RUN, TASK, columns):
        told = measured(agent, dag_id="sized_odd", thresholds=(10_000,), store=False)
        done = xcomctl(walk, "size", "-d", "sized_odd", variables=offload(walk)).orderly()
    assert told.nulls == 1
    assert (told.pickled, told.pickled_bytes) == ((1, 4) if walk.line == "2" else (0, 0))
    assert told.values == (2 if walk.line == "2" else 1)
    assert told.accuracy is not None and told.accuracy.unread == (1 if walk.line == "2" else 0)
    assert done.code == 0, done.err
    if walk.line == "2":
        assert "1 value could not be decoded" in done.out and "pickled" in done.out, done.out


# -- the command as it is typed


@pytest.fixture(scope="module")
def typed(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """The command in several forms."""
    folder = tmp_path_factory.mktemp("size")

    def size(name: str, *arguments: str, fresh: bool = False, **variables: str) -> Callable[[], Done]:
        return lambda: xcomctl(
            walk, "size", *arguments, variables=offload(walk, **variables), journal=folder / f"{name}.jsonl",
            fresh=fresh,
        ).orderly()  # fmt: skip

    database = walk.sandbox.database
    assert database is not None
    replica = f"{database.url.rpartition('/')[0]}/elsewhere"
    another_database(walk)
    found = together(
        {
            "json": size("json", "-o", "json", "--threshold", "20000,1_600_000", fresh=True),
            "text": size("text", "--html", str(folder / "size.html"), "--quantile", "0.9"),
            "empty": size("empty", "-d", "no_such_dag"),
            "empty_sample": size("empty_sample", "-d", "no_such_dag", "--sample", "5%"),
            "trip": size("trip", "--trip", "-o", "json"),
            "replica": size("replica", "-o", "json", XCOMCTL_DATABASE_URL=replica),
            "no_database": size(
                "no_database", "--database-url", "postgresql+psycopg2://u:open@sesame@127.0.0.1:1/none"
            ),
            "no_url": size("no_url", "--database-url", "nonsense"),
            "unreachable": size("unreachable", "-o", "json", **unreachable(walk)),
        }
    )
    found["late"] = late(walk, size("late", "--timeout", "1"))
    found["page"] = Done(0, (folder / "size.html").read_text(), "")
    found["journal"] = Done(0, (folder / "json.jsonl").read_text(), "")
    found["journals"] = Done(0, "".join(each.read_text() for each in folder.glob("*.jsonl")), database.password)
    return found


def another_database(walk: Walk) -> None:
    """A database beside Airflow's, with what is read of a replica, and three XComs."""
    argv, environment = psql(walk)
    kind, value = ("bytea", "'[1]'") if walk.line == "2" else ("jsonb", "'[1]'")
    revision = sql(walk, "SELECT version_num FROM alembic_version")[0][0]
    sql(walk, "CREATE DATABASE elsewhere")
    for statement in (
        f"CREATE TABLE alembic_version AS SELECT '{revision}'::text AS version_num",
        "CREATE TABLE dag_run (id int, dag_id text, run_id text, state text)",
        f"CREATE TABLE xcom (dag_run_id int, task_id text, map_index int, key text, dag_id text, run_id text, value {kind}, "
        "timestamp timestamptz)",
        f"INSERT INTO xcom SELECT 1, 'task', n, 'key', 'dag', 'run', {value}, now() FROM generate_series(1, 3) n",
    ):
        words = [
            "elsewhere" if word == "airflow" and argv[index - 1] == "-d" else word for index, word in enumerate(argv)
        ]
        subprocess.run([*words, "-c", statement], env=environment, check=True, timeout=60)


def late(walk: Walk, command: Callable[[], Done]) -> Done:
    """The command while somebody else holds the whole table."""
    argv, environment = psql(walk)
    with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("BEGIN; LOCK TABLE xcom IN ACCESS EXCLUSIVE MODE; SELECT 'held';\n")
        process.stdin.flush()
        assert process.stdout.readline() == "held\n"
        try:
            return command()
        finally:
            process.stdin.close()


def test_inline_values_and_objects_are_counted_together(walk: Walk, typed: dict[str, Done]) -> None:
    done = typed["json"]
    told = SizeAnswer.from_json(done.record["answer"])
    size = "octet_length(value)" if walk.line == "2" else "octet_length(value::text)"
    path = walk.base_path.replace("'", "''")
    text = "convert_from(value, 'UTF8')" if walk.line == "2" else "value::text"
    rows, total = answer(walk, f"SELECT count(*), sum({size}) FROM xcom WHERE {text} NOT LIKE '\"{path}/%'").split("\t")
    # Other tests' rows come and go beside this one; the run that was offloaded is nobody's but the walk's.
    assert abs(told.inline - int(rows)) <= 50 and abs(told.inline_bytes - int(total)) <= 2_000_000
    assert told.offloaded is not None
    assert (told.offloaded.references, told.offloaded.bytes, told.offloaded.largest) == (
        len(KEPT),
        sum(KEPT),
        max(KEPT),
    )
    assert (told.offloaded.dangling, told.offloaded.unasked, told.offloaded.store_error) == (0, 0, "")
    assert told.values == told.inline + len(KEPT)
    effects = {effect.threshold: effect for effect in told.thresholds}
    assert effects[20_000].offloaded == len(KEPT) and effects[20_000].values >= len(KEPT)
    assert effects[1_600_000].values == 0 or effects[1_600_000].values < effects[20_000].values
    assert told.table_bytes is not None and told.database_bytes is not None and told.table_bytes < told.database_bytes
    assert told.threshold == effects[20_000].threshold
    (entry,) = typed["journal"].lines
    assert (entry["action"], entry["data"]["answer"]["values"]) == ("size", told.values)


def test_text_and_page_show_the_distribution(typed: dict[str, Done]) -> None:
    out, page = typed["text"].out, typed["page"].out
    for word in ("p99.9", "near-inert", "moderate", "aggressive", "xcomctl rehearse --airflow"):
        assert word in out, out
    assert "near-inert" in page and "<svg" in page
    assert DAG_ID in out and DAG_ID in page


def test_nothing_to_measure_is_said_in_a_sentence(typed: dict[str, Done]) -> None:
    for name in ("empty", "empty_sample"):
        done = typed[name]
        assert done.code == 0, done.err
        assert "No XCom has a value" in done.out, done.out


def test_a_replica_is_asked_instead_and_no_password_is_told(typed: dict[str, Done]) -> None:
    assert typed["replica"].code == 0, typed["replica"].err
    assert typed["replica"].record["answer"]["inline"] == 3
    assert typed["replica"].record["query"]["database_url"].startswith("127.0.0.1:")
    journals, password = typed["journals"].out, typed["journals"].err
    assert password and password not in journals + typed["replica"].out + typed["replica"].err
    for name in ("no_database", "no_url"):
        done = typed[name]
        assert done.code == 5, done.err
        assert "sesame" not in done.out + done.err and "database" in done.err


def test_a_statement_that_takes_too_long_is_inconclusive(typed: dict[str, Done]) -> None:
    done = typed["late"]
    assert done.code == 5, (done.out, done.err)
    assert "--timeout" in done.err and "--sample" in done.err


def test_a_store_that_does_not_answer_is_inconclusive(typed: dict[str, Done]) -> None:
    done = typed["unreachable"]
    assert done.code == 5, done.err
    offloaded = done.record["answer"]["offloaded"]
    assert offloaded["unasked"] == len(KEPT) and offloaded["store_error"]


def test_what_could_not_make_the_trip_is_counted(walk: Walk, typed: dict[str, Done]) -> None:
    counts = {each["id"]: each["data"].get("count") for each in typed["trip"].record["checks"]}
    ids = {"metadata_json_strings"} if walk.line == "2" else {"metadata_keys", "metadata_schemes"}
    assert ids | {"metadata_own_paths"} <= set(counts), counts
    assert None not in counts.values()


@pytest.mark.first_line_only
def test_memory_hardly_grows_with_the_rows(walk: Walk, measure: Callable[[str, Any], None]) -> None:
    dag = "sized_memory"
    with (
        gone_dag(walk, dag, RUN, TASK),
        xcoms_of(walk, dag, RUN, TASK, {"one": column_value(walk, "x" * 5_000)}),
        walk.sandbox.agent() as agent,
    ):
        process = psutil.Process(agent.hello["pid"])

        def after(total: int, start: int) -> int:
            copies_of(walk, dag, RUN, TASK, "one", start, total - 1)
            assert measured(agent, dag_id=dag, store=False).values == total
            return process.memory_info().rss

        after(1_000, 0)  # what is imported once
        few = after(1_001, 999)
        many = after(10_000, 1_000)
    measure("size_memory_slope_bytes", many - few)
    # Each row has a key of its own, which is remembered, up to a bound.
    assert many - few < 25_000_000


def test_a_dag_and_the_states_of_its_runs(walk: Walk, agent: AgentSession) -> None:
    told = measured(agent, dag_id=DAG_ID, states=("success",))
    assert told.offloaded is not None and told.offloaded.references == len(KEPT)
    assert {place.dag_id for place in told.top_bytes} == {DAG_ID}
