"""Rows counted by size: on a real SQLite in both forms of the column, on a real PostgreSQL by either SQLAlchemy, and
compiled for every database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.lines import output_on
from tests.support.run_database import BASE, Database, at, text
from xcomctl.metadata import disk, sizes
from xcomctl.metadata.sizes import INLINE, PICKLED, REFERENCE, REFERENCE_LIKE, Asked, Draw, Group, Which
from xcomctl.model.phases import Line

DAY = 24 * 60
WINDOWS = (at(-DAY), at(-7 * DAY), at(-30 * DAY))
ALL = Asked(Which(), WINDOWS)


@pytest.fixture(params=list(Line))
def database(request) -> Iterator[Database]:
    found = Database(request.param)
    found.add("INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (9, 'other', 'later', 'running')")
    yield found
    found.engine.dispose()


def push(
    database: Database, stored: str | bytes | None, *, task: str = "a", key: str = "k", minutes: float | None = 0,
    run: int = 5, map_index: int = -1,
) -> None:  # fmt: skip
    """A row with just that in its column: text, or the bytes of it."""
    kept = stored.encode() if isinstance(stored, str) and database.tables.line is Line.AF2 else stored
    dag_id, run_id = ("other", "later") if run == 9 else ("dag", "run")
    database.add(
        "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        run, task, map_index, key, dag_id, run_id, kept, None if minutes is None else text(minutes),
    )  # fmt: skip


def counted(database: Database, asked: Asked = ALL) -> list[Group]:
    with database.engine.connect() as connection:
        return list(sizes.groups(connection, database.tables, asked))


def by_size(database: Database, asked: Asked = ALL) -> Counter[tuple[int | None, int]]:
    found = Counter[tuple[int | None, int]]()
    for group in counted(database, asked):
        found[group.size, group.kind] += group.values
    return found


def test_values_references_and_nulls_are_told_apart_by_their_beginning(database):
    rows = {
        "a": '"x"', "b": '"y"', "c": "null", "d": '{"é": "日"}', "e": f'"{BASE}/dag/run/e/x"', "f": f'"{BASE}"',
        "g": f'"{BASE}x/y"', "h": f'["{BASE}/x"]', "i": f'" {BASE}/x"', "j": None,
    }  # fmt: skip
    for task, stored in rows.items():
        push(database, stored, task=task)
    expected = Counter((None if each is None else len(each.encode()), INLINE) for each in rows.values())
    like = expected - Counter({(len(str(rows["e"])), INLINE): 1}) + Counter({(len(str(rows["e"])), REFERENCE_LIKE): 1})
    assert by_size(database) == like
    reference = len(str(rows["e"]))
    expected[reference, INLINE] -= 1
    expected[reference, REFERENCE] += 1
    told = Asked(Which(), WINDOWS, base_path=BASE)
    assert by_size(database, told) == +expected
    assert by_size(database, Asked(Which(), WINDOWS, base_path=f"{BASE}/")) == +expected


def test_a_base_path_that_is_not_ascii_is_found_as_it_is_written(database):
    push(database, '"file:///z\\u00fc/a\\"b/dag/run/t/x"')
    push(database, '"file:///zu/dag/run/t/x"', task="b")
    found = by_size(database, Asked(Which(), WINDOWS, base_path='file:///zü/a"b'))
    assert found == {(34, REFERENCE): 1, (24, REFERENCE_LIKE): 1}  # under another base path


@pytest.mark.parametrize("database", [Line.AF2], indirect=True)
def test_pickles_are_told_apart_and_bytes_that_are_no_json_counted(database):
    for number, stored in enumerate((b"\x80\x04K\x01.", b"\x80\x05N.", b"\xff\xfe", b"{", b"", b"\x00\x00\x00")):
        push(database, stored, key=str(number))
    found = by_size(database, Asked(Which(), WINDOWS, base_path=BASE))
    assert found == {(5, PICKLED): 1, (4, PICKLED): 1, (2, INLINE): 1, (1, INLINE): 1, (0, INLINE): 1, (3, INLINE): 1}


def test_a_text_with_a_nul_is_counted_to_its_end(database):
    push(database, '"a\x00b"')
    assert by_size(database) == {(5, INLINE): 1}


def test_ages_go_by_the_beginnings_of_the_windows(database):
    pushed = {0: 0, -DAY: 0, -DAY - 1: 1, -7 * DAY: 1, -8 * DAY: 2, -30 * DAY: 2, -30 * DAY - 1: 3, None: 3}
    for number, minutes in enumerate(pushed):
        push(database, "1", key=str(number), minutes=minutes)
    assert Counter({group.age: group.values for group in counted(database, Asked(Which(), WINDOWS, place_from=9))}) == {
        0: 2, 1: 2, 2: 2, 3: 2,
    }  # fmt: skip


def test_large_values_alone_have_their_place_told(database):
    for size in (9, 10, 11):
        push(database, f'"{"x" * (size - 2)}"', task=f"t{size}", key="a\x01b")
        push(database, f'"{"x" * (size - 2)}"', task=f"t{size}", key="k")
    push(database, None, task="none")
    everything = {(group.size, group.place, group.values) for group in counted(database)}
    keys = [(size, f"t{size}", key) for size in (9, 10, 11) for key in ("a\x01b", "k")]
    assert everything == {(size, ("dag", task, key), 1) for size, task, key in keys} | {(None, ("dag", "none", "k"), 1)}
    found = {
        (group.size, group.place, group.values) for group in counted(database, Asked(Which(), WINDOWS, place_from=10))
    }
    large = {(size, ("dag", task, key), 1) for size, task, key in keys if size >= 10}
    assert found == large | {(9, None, 2), (None, None, 1)}


def test_rows_of_one_size_and_place_are_one_group(database):
    for index in range(7):
        push(database, "[1, 2]", map_index=index)
    assert counted(database) == [Group(6, INLINE, 0, ("dag", "a", "k"), None, 7)]


def test_since_a_time_of_a_dag_of_runs_in_a_state(database):
    for number, run in enumerate((5, 5, 5, 9, 9)):
        push(database, "1" * (number + 1), run=run, key=str(number), minutes=number)
    push(database, "1" * 6, run=77, minutes=9)  # its run is gone

    def found(*which: object) -> list[int | None]:
        return sorted(size or 0 for size, _ in by_size(database, Asked(Which(*which), WINDOWS)))

    assert found() == [1, 2, 3, 4, 5, 6]
    assert found(at(2)) == [3, 4, 5, 6]
    assert found(None, "dag") == [1, 2, 3, 6]
    assert found(None, "other") == [4, 5]
    assert found(None, None, ("running",)) == [4, 5]
    assert found(None, None, ("running", "success")) == [1, 2, 3, 4, 5]
    assert found(at(1), "dag", ("success",)) == [2, 3]
    assert found(None, "dag", ("running",)) == []


def test_a_sample_takes_whole_runs_spread_over_all_of_them(database):
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM dag_run")
        for run in range(1, 401):
            connection.exec_driver_sql(
                "INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (?, 'dag', ?, 'x')", (run, run)
            )
    for run in range(1, 401):
        for key in "ab":
            push(database, f'"{"x" * run}"', run=run, key=key)

    def drawn(share: float) -> dict[int, int]:
        """By the number of a run, which is how long its values are."""
        found = [
            (0 if group.size is None else group.size - 2, group.group, group.values)
            for group in counted(database, Asked(Which(), WINDOWS, place_from=9999, draw=Draw(share, 20)))
        ]
        assert all(group == run % 20 for run, group, _ in found)
        return {run: values for run, _, values in found}

    half, tenth, everything = drawn(0.5), drawn(0.1), drawn(1.0)
    assert set(everything) == set(range(1, 401))
    assert {*half.values(), *tenth.values(), *everything.values()} == {2}
    assert 180 <= len(half) <= 220 and 30 <= len(tenth) <= 50
    assert set(tenth) < set(half)  # the same runs, and more
    assert all(20 <= sum(start < run <= start + 50 for run in half) <= 30 for start in range(0, 400, 50))
    assert {run % 20 for run in half} == set(range(20))


def test_rows_are_counted_and_no_more_than_that(database):
    for index in range(5):
        push(database, "1", map_index=index)
    push(database, None, map_index=6)
    with database.engine.connect() as connection:
        assert [
            sizes.rows_up_to(connection, database.tables, Asked(Which(), WINDOWS), most) for most in (3, 6, 7, None)
        ] == [3, 6, 6, 6]


def test_sqlite_tells_the_size_of_the_database_alone(database):
    with database.engine.connect() as connection:
        found = disk.on_disk(connection, database.tables)
    assert found.table is None and found.database is not None
    assert found.database >= 4096


# --- the statement


COMPILE = """
import datetime, re
from sqlalchemy.dialects import mysql, postgresql, sqlite
from xcomctl.metadata import disk, sizes, texts
from xcomctl.metadata.sizes import Asked, Draw, Which
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line
noon = datetime.datetime(2026, 6, 6, 12, tzinfo=datetime.timezone.utc)
windows = (noon, noon, noon)
ASKED = (
    Asked(Which(), windows),
    Asked(Which(noon, "d", ("running", "queued")), windows, 8000, "s3://b/x", None, (16,)),
    Asked(Which(noon, "d", ("running",)), windows, 8000, "s3://b/x", Draw(0.05, 20), (13,)),
)
def said(statement, dialect):
    text = " ".join(str(statement.compile(dialect=dialect)).split()).replace("`", "").replace('"', "")
    return text.replace("airflow.", "")
for dialect in (postgresql.dialect(), mysql.dialect(), sqlite.dialect()):
    for line in (tables(Line.AF2), tables(Line.AF3, "airflow")):
        for asked in ASKED:
            text = said(sizes.groups_select(line, dialect.name, asked), dialect)
            assert len(re.findall(r"FROM xcom\\b", text)) == 1 and "JOIN xcom" not in text, text
            names = "size, kind, age, place" + (", grp" if asked.draw else "")
            assert text.endswith(" GROUP BY " + names), text
            assert ("TABLESAMPLE" in text) == (asked.draw is not None and dialect.name == "postgresql"), text
            print("ok")
            if line.line is Line.AF3:
                for statement in (
                    texts.some_select(line, dialect.name, asked, 10, 1000),
                    texts.near_select(line, dialect.name, asked, (50000, 20000), 10),
                ):
                    text = said(statement, dialect)
                    assert len(re.findall(r"FROM xcom\\b", text)) == 1 and "JOIN xcom" not in text, text
                    print("ok")
                # A value is written as text once, however often its text is looked at.
                written = len(re.findall(r"CAST\\((xcom|drawn)\\.value AS (TEXT|CHAR)", text))
                assert written == 1, (written, text)
        for statement in disk.on_disk_selects(line, dialect.name):
            assert statement is not None or dialect.name == "sqlite"
            assert statement is None or "SELECT" in said(statement, dialect)
            print("ok")
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_the_statements_compile_for_every_database_on_the_sqlalchemy_of_each_line(line):
    assert output_on(line, COMPILE).split() == ["ok"] * (18 + 18 + 12)


# --- a real PostgreSQL with the SQLAlchemy of each line


POSTGRES = """
import datetime, json, warnings
from collections import Counter
import sqlalchemy as sa
from xcomctl.metadata import disk, sizes, texts
from xcomctl.metadata.reading import limit_statements, read_only
from xcomctl.metadata.sizes import INLINE, PICKLED, REFERENCE, REFERENCE_LIKE, Asked, Draw, Which
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line

warnings.simplefilter("error")
BASE = "s3://store@bucket/xcom"
NOON = datetime.datetime(2026, 6, 6, 12, tzinfo=datetime.timezone.utc)
WINDOWS = tuple(NOON - datetime.timedelta(days=days) for days in (1, 7, 30))
engine = sa.create_engine(URL)
with engine.begin() as connection:
    connection.execute(sa.text("CREATE SCHEMA IF NOT EXISTS airflow"))
    version = tuple(connection.dialect.server_version_info)


def md5s(many, seed):
    return f"(SELECT string_agg(md5({seed} || '.' || i), '') FROM generate_series(1, {many}) i)"


for line, schema in ((Line.AF2, None), (Line.AF3, None), (Line.AF3, "airflow")):
    ours = tables(line, schema)
    ours.xcom.metadata.drop_all(engine)
    ours.xcom.metadata.create_all(engine)
    table, runs = (f"{schema}.{name}" if schema else name for name in ("xcom", "dag_run"))
    kept = "convert_to({}, 'UTF8')" if line is Line.AF2 else "CAST({} AS jsonb)"

    def fill(statement, **values):
        with engine.begin() as connection:
            connection.execute(sa.text(statement), values)

    def push(number, expression, days=0, key="k"):
        stored = "NULL" if expression is None else kept.format(expression)
        fill(f"INSERT INTO {table} VALUES (1, 't{number}', -1, :key, 'd', 'r', {stored}, :at)",
             key=key, at=NOON - datetime.timedelta(days=days))

    def counted(**asked):
        with read_only(engine, snapshot=True) as connection:
            limit_statements(connection, 60)
            asked = {"which": Which(), "windows": WINDOWS, "version": version, **asked}
            return list(sizes.groups(connection, ours, Asked(**asked)))

    fill(f"INSERT INTO {runs} (id, dag_id, run_id, state) VALUES (1, 'd', 'r', 'success')")
    push(1, "'1'", 0)
    push(2, "'22'", 1)
    push(3, "'333'", 7.5)
    push(4, "'[1, 2]'", 31)
    push(5, None)
    push(6, f"'\\"{BASE}/d/r/t/x\\"'")
    push(7, f"'\\"{BASE}y/d/r/t/x\\"'")
    push(8, "'\\"é\\"'", key="a\\x01b")
    long = f"'\\"{BASE}/' || repeat('x', 20000) || '\\"'"
    push(9, long)
    url = len(BASE) + 10
    found = {(g.size, g.kind, g.age, g.place, g.group, g.values) for g in counted(base_path=BASE)}
    place = lambda number, key="k": ("d", f"t{number}", key)
    assert found == {
        (1, INLINE, 0, place(1), None, 1), (2, INLINE, 0, place(2), None, 1), (3, INLINE, 2, place(3), None, 1),
        (6, INLINE, 3, place(4), None, 1), (None, INLINE, 0, place(5), None, 1), (url, REFERENCE, 0, place(6), None, 1),
        (url + 1, REFERENCE_LIKE, 0, place(7), None, 1), (4, INLINE, 0, place(8, "a\\x01b"), None, 1),
        (len(BASE) + 20003, REFERENCE, 0, place(9), None, 1),
    }, found
    assert [g.values for g in counted() if g.kind == REFERENCE_LIKE] == [1, 1]
    assert {g.size for g in counted() if g.kind == REFERENCE_LIKE} == {url, url + 1}
    assert sum(g.values for g in counted(which=Which(states=("success",)))) == 9
    assert sum(g.values for g in counted(which=Which(states=("failed",)))) == 0
    assert {g.age for g in counted(which=Which(since=NOON - datetime.timedelta(days=2), dag_id="d"))} == {0}
    assert counted(which=Which(dag_id="e")) == []
    if line is Line.AF2:
        with engine.begin() as connection:
            connection.execute(ours.xcom.update().where(ours.xcom.c.task_id == "t1").values(value=b"\\x80\\x04N."))
        assert {g.size for g in counted(base_path=BASE) if g.kind == PICKLED} == {4}

    # Which values have their place told: those that are stored in many bytes, and compressed ones; not one that is
    # stored in next to nothing.
    fill(f"TRUNCATE {table}")
    push(1, "'1'")
    push(2, "'\\"' || " + md5s(400, "2") + " || '\\"'")             # 12,802 bytes that cannot be compressed
    push(3, "'\\"' || repeat('x', 100000) || '\\"'")                # compressed to some 1,200
    push(4, "'\\"' || repeat('x', 8100) || '\\"'")                  # compressed to some 100
    push(5, "'\\"' || repeat('x', 1500) || '\\"'")
    push(6, "'[' || repeat('1e300, ', 60) || '1]'" if line is Line.AF3 else "'22'")   # 18 kB of text in less than 1 kB
    told = {g.place[1]: g.size for g in counted(place_from=8000) if g.place}
    rest = sorted(g.size for g in counted(place_from=8000) if not g.place)
    if line is Line.AF2:
        assert told == {"t2": 12802, "t3": 100002, "t4": 8102} and rest == [1, 2, 1502], (told, rest)
    else:
        assert told == {"t2": 12802, "t3": 100002}, told
        assert rest == [1, 1502, 8102, 60 * 303 + 3], rest
    older = {g.place[1] for g in counted(place_from=8000, version=(13, 9)) if g.place}
    assert older == (set(told) if line is Line.AF2 else {*told, "t6"}), older
    assert {g.place[1] for g in counted()} == {"t1", "t2", "t3", "t4", "t5", "t6"}

    # A sample, of hundreds of pages.
    fill(f"TRUNCATE {table}")
    stored = kept.format("'\\"' || repeat(md5(CAST(n AS text)), 6) || '\\"'")
    fill(f"INSERT INTO {table} SELECT n % 50, 't' || n, -1, 'k', 'd', 'r', {stored}, :at FROM generate_series(1, 16000) n", at=NOON)
    for share, low, high in ((0.5, 4000, 12000), (0.1, 200, 4000)):
        for which in (Which(), Which(None, "d", ("success",))):
            found = counted(place_from=8000, draw=Draw(share, 20), which=which)
            rows = sum(g.values for g in found) * (50 if which.states else 1)
            assert low < rows < high, rows
            groups = {g.group for g in found}
            assert groups <= set(range(20)) and len(groups) > 5, groups
            assert {g.size for g in found} == {194}
    everything = counted(place_from=8000, draw=Draw(1.0, 20))
    assert sum(g.values for g in everything) == 16000 and {g.group for g in everything} == set(range(20))

    with read_only(engine, snapshot=True) as connection:
        limit_statements(connection, 60)
        known = disk.on_disk(connection, ours)
        assert 16000 * 194 < known.table < known.database, known
        # What cannot be asked is not known, and ends nothing.
        odd = sa.table('no"table', *(sa.column(name) for name in ("value",)))
        import dataclasses
        odd.schema = None
        unknown = disk.on_disk(connection, dataclasses.replace(ours, xcom=odd))
        assert (unknown.table, unknown.database) == (None, known.database), unknown
        assert connection.execute(sa.text("SHOW statement_timeout")).scalar() == "1min"  # the transaction is the same
        assert all(sizes.rows_up_to(connection, ours, Asked(Which(dag_id="d"), WINDOWS), most) == (most or 16000) for most in (100, None))
        if line is Line.AF3:
            asked = Asked(Which(dag_id="d"), WINDOWS, draw=Draw(0.5, 20), version=version)
            some = list(texts.some(connection, ours, asked, 7, 200))
            assert [each.size for each in some] == [len(each.text) for each in some] == [194] * 7
            assert list(texts.some(connection, ours, asked, 7, 193)) == []
            assert list(texts.some(connection, ours, dataclasses.replace(asked, place_from=195), 7, 200)) == []
    print(line.value, schema)
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_a_real_postgresql_with_either_sqlalchemy(line, postgres_url):
    assert output_on(line, f"URL = {postgres_url!r}\n{POSTGRES}").splitlines() == ["2 None", "3 None", "3 airflow"]


def test_whether_there_is_any_reference_among_what_was_asked_for(database):
    told = Asked(Which(), WINDOWS, base_path=BASE)
    push(database, '"x"')
    with database.engine.connect() as connection:
        assert not sizes.any_reference(connection, database.tables, told)
    push(database, f'"{BASE}/dag/run/e/x"', task="e")
    with database.engine.connect() as connection:
        assert sizes.any_reference(connection, database.tables, told)
        other = Asked(Which(dag_id="another"), WINDOWS, base_path=BASE)
        assert not sizes.any_reference(connection, database.tables, other)
