"""A whole measurement on a real SQLite in both forms of the column: what is in it, also where the table holds nothing
that anybody would call a value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.run_database import BASE, Database, at, text
from xcomctl.metadata import sizes as stored_sizes
from xcomctl.metadata import texts
from xcomctl.metadata.sizes import INLINE, Group
from xcomctl.model.phases import Line
from xcomctl.model.refs import RefItem
from xcomctl.model.size import Bin, SizeQuery, Window
from xcomctl.model.size_bounds import QUANTILES
from xcomctl.sizing import doubt, measure
from xcomctl.sizing.answer import Summary
from xcomctl.sizing.measure import Measured, Measuring

DAY = 24 * 60


@pytest.fixture(params=list(Line))
def database(request) -> Iterator[Database]:
    found = Database(request.param)
    yield found
    found.engine.dispose()


def push(
    database: Database, stored: str | bytes | None, key: str = "k", *, task: str = "a", minutes: float = 0, run: int = 5
) -> None:
    """A row with just that in its column: text, or the bytes of it."""
    kept = stored.encode() if isinstance(stored, str) and database.tables.line is Line.AF2 else stored
    database.add(
        "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
        "VALUES (?, ?, -1, ?, 'dag', 'run', ?, ?)",
        run, task, key, kept, text(minutes),
    )  # fmt: skip


class Found:
    """A measurement and its answer."""

    def __init__(self, database: Database, query: SizeQuery, items: tuple[RefItem, ...] = ()) -> None:
        self.told: list[str] = []
        with database.engine.connect() as connection:
            measuring = Measuring(connection, database.tables, query, at(0), BASE, self.told.append)
            self.counted: Measured = measuring.inline()
            if items:
                self.counted.offloaded = measuring.objects(items)
            floor = measuring.floor()
            if query.sample is None:
                self.counted.near = measuring.doubt.near(query.thresholds)
            self.counted.accuracy = measuring.doubt.accuracy(self.counted.sizes, self.counted.share)
        self.summary = Summary(self.counted, floor, database.tables.line is Line.AF2)
        self.fields: dict[str, Any] = self.summary.fields(query.quantile, query.thresholds, None)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


def found(database: Database, *items: RefItem, **query: Any) -> Found:
    return Found(database, SizeQuery(**query), items)


# --- nothing that anybody would call a value


def is_empty(answer: Found) -> bool:
    no_values = (answer["values"], answer["bytes"], answer["inline"], answer["inline_bytes"]) == (0, 0, 0, 0)
    no_sizes = (answer["smallest"], answer["largest"], answer["suggested"]) == (None, None, None)
    lists = ("quantiles", "histogram", "curve", "top_bytes", "top_above", "suggestions")
    nothing_per_day = all((each.values, each.bytes) == (0, 0) for each in answer["windows"])
    return no_values and no_sizes and all(answer[name] == () for name in lists) and nothing_per_day


def test_an_empty_table(database):
    answer = found(database, thresholds=(10_000, 20_000))
    assert is_empty(answer)
    assert (answer["nulls"], answer["pickled"], answer["floor"].bytes) == (0, 0, 10_000)
    for effect in answer["thresholds"]:
        assert (effect.values, effect.share, effect.bytes_share, effect.objects_per_day) == (0, 0, 0, 0)
        assert effect.exact
    assert (answer["accuracy"].sampled, answer["accuracy"].unread, answer["accuracy"].total) == (0, 0, 1.0)
    assert bool(answer["accuracy"].bounds) is (database.tables.line is Line.AF3)


def test_an_empty_table_of_which_a_sample_was_asked_for(database):
    answer = found(database, sample=0.05, thresholds=(10_000,))
    assert is_empty(answer)
    sampled = answer.summary.sampled(0.05, "runs")
    assert sampled is not None
    assert (sampled.rows, sampled.values.low, sampled.values.high) == (0, 0, None)
    assert answer["thresholds"][0].exact is False


def test_one_row(database):
    push(database, '"' + "x" * 11_998 + '"', "return_value", minutes=-2 * DAY)
    answer = found(database, thresholds=(11_999, 12_000, 12_001))
    assert (answer["values"], answer["bytes"], answer["smallest"], answer["largest"]) == (1, 12_000, 12_000, 12_000)
    assert [each.bytes for each in answer["quantiles"]] == [12_000] * len(QUANTILES)
    assert answer["histogram"] == (Bin(10_000, 20_000, 1, 12_000),)
    (place,) = answer["top_bytes"]
    assert (place.task_id, place.key, place.values, place.bytes, place.above) == ("a", "return_value", 1, 12_000, 0)
    assert answer["windows"] == (Window(1, 0, 0), Window(7, 1, 12_000), Window(30, 1, 12_000))
    assert [(each.values, each.bytes, each.exact) for each in answer["thresholds"]] == [
        (1, 12_000, True), (1, 12_000, True), (0, 0, True),
    ]  # fmt: skip
    assert [each.threshold for each in answer["suggestions"]] == [15_000, 12_000, 10_000]
    effect = answer["thresholds"][0]
    assert (effect.share, effect.bytes_share, effect.days, effect.objects_per_day) == (1.0, 1.0, 1, 0)
    push(database, '"' + "x" * 11_998 + '"', "older", minutes=-8 * DAY)
    (effect,) = found(database, thresholds=(12_000,))["thresholds"][:1]
    assert effect.days == 7
    assert effect.objects_per_day == pytest.approx(1 / 7) and effect.requests_per_day == pytest.approx(6 / 7)


def test_what_was_pushed_a_day_goes_by_no_longer_time_than_was_asked_for(database):
    for hour in range(100):
        push(database, '"' + "x" * 20_000 + '"', str(hour), minutes=-60 * hour)
    for hours, windows, days in ((12, [0.5], 0.5), (72, [1, 3], 1), (10 * 24, [1, 7, 10], 1)):
        answer = found(database, since=at(-60 * hours - 1).isoformat(), thresholds=(10_000,))
        assert [each.days for each in answer["windows"]] == pytest.approx(windows, rel=0.01), hours
        (effect,) = answer["thresholds"]
        assert effect.days == pytest.approx(days, rel=0.01) and effect.objects_per_day == pytest.approx(25, abs=1.5), (
            hours
        )


def test_only_nulls(database):
    for number in range(4):
        push(database, None, str(number))
    answer = found(database, thresholds=(10_000,))
    assert is_empty(answer)
    assert (answer["nulls"], answer["pickled"], answer["thresholds"][0].values) == (4, 0, 0)


@pytest.mark.parametrize("database", [Line.AF2], indirect=True)
def test_only_pickles(database):
    for number in range(3):
        push(database, b"\x80\x04" + b"x" * 20_000 + b".", str(number))
    answer = found(database, thresholds=(10_000,))
    assert is_empty(answer)
    assert (answer["pickled"], answer["pickled_bytes"], answer["nulls"]) == (3, 60_009, 0)
    assert answer["thresholds"][0].values == 0


@pytest.mark.parametrize("database", [Line.AF2], indirect=True)
def test_bytes_that_are_no_json_are_as_many_bytes_as_they_are(database):
    for number, stored in enumerate((b"\xff" * 15_000, b"{", b"", b"\x00")):
        push(database, stored, str(number))
    answer = found(database, thresholds=(10_000, 1))
    assert (answer["values"], answer["bytes"], answer["smallest"], answer["largest"]) == (4, 15_002, 0, 15_000)
    assert [(each.values, each.exact) for each in answer["thresholds"]] == [(1, True), (3, True)]
    assert (answer["accuracy"].sampled, answer["accuracy"].unread) == (0, 3)  # and one has no byte


NESTED = '[{"__classname__": "builtins.tuple", "__version__": 1, "__data__": [' + '"' + "x" * 12_000 + '"' + "]}]"
DEEP = "[" * 20_000 + '"builtins.tuple"' + "]" * 20_000


@pytest.mark.parametrize("database", [Line.AF3], indirect=True)
def test_text_that_is_no_json_or_nested_too_deeply_is_uncertain_where_it_may_matter(database):
    rows = {"broken": "{" + '"builtins.tuple"' + "x" * 12_000, "deep": DEEP, "nested": NESTED, "plain": '"' + "x" * 12_000 + '"', "short": "{"}  # fmt: skip
    for key, stored in rows.items():
        push(database, stored, key)
    truth = len(json.dumps([["x" * 12_000]]))
    answer = found(database, thresholds=(12_000, truth, truth + 1, 100_000))
    assert (answer["values"], answer["bytes"]) == (5, sum(map(len, rows.values())))
    assert (answer["accuracy"].sampled, answer["accuracy"].unread, answer["accuracy"].exact) == (2, 3, 1)
    judged = [(each.values, each.uncertain, each.measured, each.exact) for each in answer["thresholds"]]
    assert judged == [(2, 2, 1, False), (1, 2, 1, False), (0, 2, 1, False), (0, 1, 1, False)]


@pytest.mark.parametrize("database", [Line.AF3], indirect=True)
def test_only_text_that_nobody_can_read(database):
    for number in range(3):
        push(database, "nope" * number, str(number))
    answer = found(database, thresholds=(10_000,))
    assert (answer["values"], answer["accuracy"].sampled, answer["accuracy"].unread) == (3, 0, 2)  # and one has no byte
    assert (answer["accuracy"].total, answer["thresholds"][0].exact) == (1.0, True)


# --- what the database's figures are worth (3.x)


@pytest.mark.parametrize("database", [Line.AF3], indirect=True)
def test_a_wrapper_that_json_dumps_does_not_write_is_left_out_at_a_threshold(database):
    for number in range(5):
        push(database, NESTED, str(number))
    truth = len(json.dumps([["x" * 12_000]]))
    answer = found(database, thresholds=(truth, truth + 1, len(NESTED)))
    assert [(each.values, each.bytes, each.measured, each.uncertain, each.exact) for each in answer["thresholds"]] == [
        (5, 5 * truth, 5, 0, True), (0, 0, 5, 0, True), (0, 0, 5, 0, True),
    ]  # fmt: skip
    accuracy = answer["accuracy"]
    assert (accuracy.exact, accuracy.smallest, accuracy.largest) == (0, truth / len(NESTED), truth / len(NESTED))
    assert accuracy.total == pytest.approx(truth / len(NESTED))


@pytest.mark.parametrize("database", [Line.AF3], indirect=True)
def test_of_many_values_some_are_looked_at_and_large_ones_besides(database, monkeypatch):
    for number in range(60):
        push(database, NESTED if number < 2 else "1234", str(number))
    whole = found(database)["accuracy"]
    assert (whole.sampled, whole.exact) == (60, 58)
    monkeypatch.setattr(doubt, "_LOOKED_AT", 20)
    assert found(database)["accuracy"].sampled == 20 + 2
    monkeypatch.setattr(doubt, "_LONGEST", 1_000)
    assert found(database)["accuracy"].sampled == 20


@pytest.mark.parametrize("database", [Line.AF3], indirect=True)
def test_beyond_the_cap_values_are_uncertain_and_not_guessed(database, monkeypatch):
    monkeypatch.setattr(doubt, "MEASURED_AT_MOST", 2)
    for number in range(5):
        push(database, NESTED, str(number))
    push(database, '"' + "x" * 20_000 + '"', "plain")
    (effect,) = found(database, thresholds=(12_010,))["thresholds"]
    assert (effect.values, effect.measured, effect.uncertain, effect.exact) == (1, 2, 3, False)
    monkeypatch.setattr(doubt, "MEASURED_AT_MOST", 5)
    (effect,) = found(database, thresholds=(12_010,))["thresholds"]
    assert (effect.values, effect.measured, effect.uncertain, effect.exact) == (1, 5, 0, True)


def test_without_thresholds_and_in_a_sample_nothing_is_fetched_for_them(database, monkeypatch):
    push(database, '"x"')
    monkeypatch.setattr(texts, "near_select", lambda *_: 1 // 0)
    assert found(database)["thresholds"] == ()
    (effect,) = found(database, thresholds=(10_000,), sample=0.9)["thresholds"]
    assert not effect.exact


# --- everything together


def test_a_known_distribution_with_objects_places_and_windows(database):
    for number in range(1, 101):
        push(database, '"' + "x" * (number * 200 - 2) + '"', str(number), minutes=-DAY * (number % 3) * 3)
    push(database, f'"{BASE}/dag/run/a/x"', "reference")
    push(database, None, "null")
    push(database, '{"followed": ["b"]}' + " " * 40_000, "skipmixin_key", task="branch")
    items = (
        RefItem("reference", f"{BASE}/dag/run/a/x", "present", 30_000, None, "xcom", "dag", "run", "a", -1, "k", at(-60).isoformat(), "success"),
        RefItem("reference", f"{BASE}/dag/run/b/x.gz", "present", 70_000, None, "xcom", "dag", "run", "b", -1, "k", at(0).isoformat(), "success"),
        RefItem("reference", f"{BASE}/dag/run/c/x", "dangling", None, None, "xcom", "dag", "run", "c", -1, "k", at(0).isoformat(), "success"),
        RefItem("reference", f"{BASE}/dag/run/d/x", "not asked", None, None, "xcom", "dag", "run", "d", -1, "k", None, None),
    )  # fmt: skip
    answer = found(database, *items, thresholds=(15_000, 9_000))
    assert (answer["values"], answer["inline"], answer["nulls"]) == (102, 101, 1)
    assert answer["inline_bytes"] == sum(range(200, 20_001, 200)) + 40_019
    assert answer["bytes"] == answer["inline_bytes"] + 30_000
    assert answer["quantiles"][0].bytes == 51 * 200 and answer["largest"] == 40_019
    offloaded = answer["offloaded"]
    assert (offloaded.references, offloaded.bytes, offloaded.largest) == (4, 100_000, 70_000)
    assert (offloaded.compressed, offloaded.dangling, offloaded.unasked) == (1, 1, 1)
    high, low = answer["thresholds"]
    assert (high.values, high.offloaded, high.below_floor) == (26 + 2, 1, True)  # 15,000 … 20,000, the key, the object
    assert (low.values, low.offloaded, low.below_floor) == (56 + 2, 1, True)
    assert answer["floor"].bytes == 2 * 40_019 and answer["floor"].skipmixin_of == "dag.branch"
    assert [each.values for each in answer["windows"]] == [33 + 2, 33 + 34 + 33 + 2, 102]
    assert high.days == 1  # nothing is older than a week
    assert answer["top_bytes"][0].key == "skipmixin_key"
    assert {place.key for place in answer["top_bytes"][1:3]} == {"k", "100"}
    assert sum(each.values for each in answer["histogram"]) == sum(each.values for each in answer["curve"]) == 102
    assert not answer.counted.warnings


def item(number: int, size: int, **more: Any) -> RefItem:
    return RefItem("reference", f"{BASE}/dag/r{number}/a/x", "present", size, None, "xcom", "dag", f"r{number}", "a", -1, "k", **more)  # fmt: skip


def test_objects_of_a_sample_stand_for_as_many_as_its_values_do(database):
    """All references are known, and a quarter of the values: counted beside each other, each object would be four."""
    for run in range(1, 1001):
        push(database, '"' + "x" * (run % 97) + '"', run=run)
        database.add(
            "INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (?, 'dag', ?, 'success')", 1000 + run, f"r{run}"
        )
    database.add("UPDATE xcom SET dag_run_id = dag_run_id + 1000")
    items = tuple(item(number, 50_000) for number in range(1, 1001))
    answer = found(database, *items, sample=0.25, thresholds=(20_000,))
    (effect,) = answer["thresholds"]
    assert answer["offloaded"].references == 1000
    assert 800 < effect.offloaded < 1200 and effect.values == effect.offloaded
    assert 800 < answer["inline"] < 1200 and answer["values"] == pytest.approx(2000, rel=0.2)
    sampled = answer.summary.sampled(0.25, "runs")
    assert sampled is not None and sampled.values.high is not None
    assert sampled.values.low < 2000 < sampled.values.high
    assert sampled.rows * 4 == answer["inline"]
    assert effect.interval is not None and effect.interval.high is not None
    assert effect.interval.low <= 1000 <= effect.interval.high


def test_objects_are_those_of_what_was_asked_for(database):
    items = (
        item(1, 100, timestamp=at(-60).isoformat(), run_state="success"),
        item(2, 200, timestamp=at(5).isoformat(), run_state="failed"),
        item(3, 400),
    )
    for query, size in (({}, 700), ({"since": at(0).isoformat()}, 200), ({"states": ("success", "running")}, 100)):
        assert found(database, *items, **query)["offloaded"].bytes == size


def test_small_values_of_a_large_table_have_their_places_from_a_sample(database, monkeypatch):
    monkeypatch.setattr(measure, "MOST_GROUPS", 200)
    for run in range(1, 401):
        database.add(
            "INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (?, 'dag', ?, 'success')", 1000 + run, f"r{run}"
        )
        push(database, '"' + "x" * 98 + '"', "small", run=1000 + run)
    for number in range(3):
        push(database, '"' + "x" * 9_998 + '"', f"large {number}")
    answer = found(database)
    by_key = {place.key: place for place in answer["top_bytes"]}
    assert set(by_key) == {"small", "large 0", "large 1", "large 2"}
    assert by_key["small"].estimated and 200 < by_key["small"].values < 600
    assert all(not place.estimated and place.values == 1 for key, place in by_key.items() if key != "small")
    assert answer["values"] == 403 and "a sample of small values" in answer.told
    assert not answer.counted.warnings


def test_a_value_that_is_smaller_than_its_place_told_suggests_is_not_counted_there_twice(database, monkeypatch):
    """PostgreSQL goes by the bytes that are stored: some smaller values come with their place, and some large without."""
    told = [
        Group(4_500, INLINE, 0, ("dag", "a", "k"), None, 1),  # in the sample of small values
        Group(8_000, INLINE, 0, ("dag", "b", "k"), None, 2),
        Group(9_000, INLINE, 0, None, None, 3),
        Group(10, INLINE, 0, None, None, 500),
    ]
    monkeypatch.setattr(measure, "MOST_GROUPS", 0)
    push(database, "1")
    monkeypatch.setattr(stored_sizes, "groups", lambda _, __, asked: told if asked.place_from else [])
    answer = found(database)
    assert [(place.task_id, place.values) for place in answer["top_bytes"]] == [("b", 2)]
    assert answer["values"] == 506
    (warning,) = answer.counted.warnings
    assert warning.startswith("3 large values")


def test_what_is_done_next_is_told_and_telling_may_end_it(database):
    push(database, '"x"')
    told = found(database, thresholds=(10_000,)).told
    assert "the sizes of about 1 XComs" in told and "the largest skipmixin_key" in told
    assert ("values near 10,000 bytes" in told) == (database.tables.line is Line.AF3)

    def gone(_: str) -> None:
        raise KeyboardInterrupt

    with database.engine.connect() as connection:
        measuring = Measuring(connection, database.tables, SizeQuery(), at(0), None, gone)
        with pytest.raises(KeyboardInterrupt):
            measuring.inline()


def test_a_sample_of_nothing_missed_nothing(database):
    def is_empty(**query: Any) -> bool:
        with database.engine.connect() as connection:
            measuring = Measuring(
                connection, database.tables, SizeQuery(sample=0.05, **query), at(0), BASE, lambda _: None
            )
            measuring.inline()
            return measuring.is_empty

    assert is_empty()
    push(database, "1")
    assert not is_empty() and is_empty(dag_id="another")
