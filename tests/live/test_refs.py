"""``xcomctl refs`` on the walk: references and objects side by side, what dangles, archives, who is at risk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from tests.support.commands import Done, together, unreachable, xcomctl
from tests.support.object_store import owner
from tests.support.preflight import offload
from tests.support.rows import column_value, copies_of, gone_dag, xcoms_of
from tests.support.walk import KEPT, LEFT, OFFLOADED, Walk, literal, sql
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.refs import RefItem, RefsQuery, RefTotals
from xcomctl.rehearsal.scenarios.interface import DAG_ID, HOLD
from xcomctl.rehearsal.scenarios.runbook import IN_FLIGHT_RUN, OFFLOAD_RUN
from xcomctl.rehearsal.scenarios.soft import SOFT_RUN

#: Rows of the two scans whose memory is compared, and what the further 9,000 may cost.
FEW, MANY = 1_000, 10_000
SLOPE_BYTES = 6_000_000
UUID = "01234567-89ab-cdef-0123-456789abcdef"


def in_flight(walk: Walk) -> Done:
    """Who is at risk while a run is held between its producers and its consumers."""
    return xcomctl(walk, "refs", "--at-risk", "-o", "json")


VISITS = {"in_flight": (in_flight,)}


@pytest.fixture(scope="module")
def agent(walk: Walk) -> Iterator[AgentSession]:
    """One agent in a context that offloads."""
    with AgentSession(walk.warm.reach({**walk.env, **offload(walk)})) as agent:
        yield agent


def scan(agent: AgentSession, **query: Any) -> tuple[list[RefItem], RefTotals]:
    """One scan: its items and its totals."""
    stream = agent.stream(requests.REFERENCE_OBJECTS, RefsQuery(**query).to_json())
    items = [RefItem.from_json(record) for record in stream]
    assert stream.answer is not None
    return items, RefTotals.from_json(stream.answer)


@contextmanager
def missing_object(walk: Walk) -> Iterator[str]:
    """One object of the walk's offloaded run is away; its URI."""
    bucket, _, prefix = walk.base_path.partition("@")[2].partition("/")
    with owner(walk) as owned:
        key = owned.keys(bucket, f"{prefix}/{DAG_ID}/{OFFLOAD_RUN}/")[0]
        aside = f"aside/{key}"
        source = {"Bucket": bucket, "Key": key}
        assert "error" not in owned("copy_object", Bucket=bucket, Key=aside, CopySource=source)
        owned("delete_object", Bucket=bucket, Key=key)
        try:
            yield f"{walk.base_path}/{key[len(prefix) + 1 :]}"
        finally:
            assert "error" not in owned(
                "copy_object", Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": aside}
            )
            owned("delete_object", Bucket=bucket, Key=aside)


@pytest.fixture(scope="module")
def typed(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """The command as it is typed, in several forms."""
    folder = tmp_path_factory.mktemp("refs")

    def refs(name: str, *arguments: str, fresh: bool = False, **variables: str) -> Callable[[], Done]:
        journal = folder / f"{name}.jsonl"
        return lambda: xcomctl(
            walk, "refs", *arguments, variables=offload(walk, **variables), journal=journal, fresh=fresh
        ).orderly()

    def dangling() -> Done:
        with missing_object(walk) as uri:
            done = refs("dangling", "--dangling", "-o", "json")()
        assert uri in done.out
        return done

    found = {"dangling": dangling()}
    found |= together(
        {
            "json": refs("json", "-o", "json", fresh=True),
            "text": refs("text", "-d", DAG_ID, "-r", OFFLOAD_RUN),
            "objects": refs("objects", "--objects", "-d", DAG_ID, "-o", "jsonl"),
            "unreachable": refs("unreachable", "-o", "json", **unreachable(walk)),
        }
    )
    found["journal"] = Done(0, (folder / "json.jsonl").read_text(), "")
    return found


def test_every_reference_meets_its_object_in_one_listing(typed: dict[str, Done]) -> None:
    done = typed["json"]
    assert done.code == 0, done.err
    found = done.record["references"]
    assert sorted(each["size"] for each in found) == sorted(KEPT)
    assert {(each["dag_id"], each["run_id"], each["run_state"], each["state"]) for each in found} == {
        (DAG_ID, OFFLOAD_RUN, "success", "present")
    }
    totals = done.record["totals"]
    assert (totals["references"], totals["reference_bytes"]) == (len(KEPT), sum(KEPT))
    # What runs again and what is rehydrated leaves its objects behind, which no row names any more; other visits leave theirs.
    assert totals["objects"] - totals["unreferenced"] == len(KEPT)
    assert totals["unreferenced"] >= len(LEFT)
    assert (totals["list_requests"], totals["head_requests"]) == (1, 0)
    (entry,) = typed["journal"].lines
    assert (entry["action"], entry["data"]["totals"]["references"]) == ("scan", len(KEPT))


def test_text_names_what_there_is_and_what_it_comes_to(typed: dict[str, Done]) -> None:
    out = typed["text"].out
    assert out.splitlines()[0].split() == ["DAG", "RUN", "TASK", "KEY", "SIZE", "AGE", "RUN", "STATE", "OBJECT"]
    assert sum(OFFLOAD_RUN in line for line in out.splitlines()) == len(OFFLOADED)
    assert "requests to the store: 1 LIST, 0 HEAD" in out


def test_objects_of_a_dag_and_the_rows_that_name_them(typed: dict[str, Done]) -> None:
    *items, end = typed["objects"].lines
    named = [each for each in items if each["kind"] == "reference"]
    lonely = [each for each in items if each["kind"] == "unreferenced"]
    assert (len(named), len(lonely)) == (len(KEPT), len(LEFT))
    assert {each["uri"].split("/")[-3] for each in lonely} == {IN_FLIGHT_RUN, SOFT_RUN}
    assert end["totals"]["young"] == len(LEFT)  # their rows might yet come, for all that the listing tells


def test_what_dangles_is_named_and_fails(typed: dict[str, Done]) -> None:
    done = typed["dangling"]
    assert done.code == 3
    assert [each["state"] for each in done.record["references"]] == ["dangling"]
    assert done.record["totals"]["dangling"] == 1
    assert any("refs --dangling" in step for step in done.record["next_steps"])


def test_a_store_that_does_not_answer_leaves_the_rows(typed: dict[str, Done]) -> None:
    done = typed["unreachable"]
    assert done.code == 5
    assert len(done.record["references"]) == done.record["totals"]["unasked"] == len(KEPT)
    assert done.record["totals"]["store_error"]
    assert done.record["totals"]["dangling"] == 0


def test_aliases_foreign_urls_and_what_leads_out_of_the_base_path(walk: Walk, agent: AgentSession) -> None:
    values = {
        "alias": f"{walk.base_path}/other/run/task/{UUID}",
        "foreign": f"s3://elsewhere/xcom/gone/manual__1/task/{UUID}",
        "url": "https://example.org/report.json",
        "outside": f"{walk.base_path}/../secret.json",
        "own": f"{walk.base_path}/gone/manual__1/task/{UUID}",
    }
    columns = {key: column_value(walk, value) for key, value in values.items()}
    with gone_dag(walk, "gone", "manual__1", "task"), xcoms_of(walk, "gone", "manual__1", "task", columns):
        everything, totals = scan(agent, dag_id="gone")
        foreign, _ = scan(agent, dag_id="gone", only=("foreign",))
    assert {each.key: (each.kind, each.state) for each in everything} == {
        "alias": ("alias", "dangling"),
        "own": ("reference", "dangling"),
        "outside": ("outside", "not asked"),
    }
    assert {each.key: each.written_under for each in foreign} == {"foreign": "s3://elsewhere/xcom", "url": None}
    assert totals.foreign_bases == ("s3://elsewhere/xcom",)


def test_the_layout_of_3_4_meets_its_object_too(walk: Walk, agent: AgentSession) -> None:
    below = f"gone/manual__1/task/ti-{UUID}/return_value.json"
    bucket, _, prefix = walk.base_path.partition("@")[2].partition("/")
    stored = {"new": column_value(walk, f"{walk.base_path}/{below}")}
    with owner(walk) as owned, gone_dag(walk, "gone", "manual__1", "task"):
        assert "error" not in owned("put_object", Bucket=bucket, Key=f"{prefix}/{below}", Body="[1, 2, 3]")
        try:
            with xcoms_of(walk, "gone", "manual__1", "task", stored):
                (found,), totals = scan(agent, dag_id="gone")
        finally:
            owned("delete_object", Bucket=bucket, Key=f"{prefix}/{below}")
    assert (found.kind, found.state, found.size) == ("reference", "present", len("[1, 2, 3]"))
    assert totals.head_requests == 0


def test_archives_are_looked_into_pickles_without_unpickling(walk: Walk, agent: AgentSession) -> None:
    path = f"{walk.base_path}/{DAG_ID}/{OFFLOAD_RUN}/summarise/{UUID}"
    head = b"\x80\x04\x95" + (len(path) + 4).to_bytes(8, "little")
    pickled = head + b"\x8c" + bytes([len(path)]) + path.encode() + b"\x94."
    columns = "dag_run_id, task_id, map_index, key, dag_id, run_id, timestamp"
    of_run = f"FROM xcom WHERE run_id = {literal(OFFLOAD_RUN)}"
    sql(walk, f"CREATE TABLE _airflow_deleted__xcom__20260101000000 AS SELECT * {of_run}")
    sql(
        walk,
        f"CREATE TABLE _xcom_archive AS SELECT {columns}, decode('{pickled.hex()}', 'hex') AS value {of_run} LIMIT 1",
    )
    try:
        found, totals = scan(agent)
        without, bare = scan(agent, archives=False)
    finally:
        sql(walk, "DROP TABLE _airflow_deleted__xcom__20260101000000, _xcom_archive")
    sources = [each.source for each in found]
    assert sources.count("_airflow_deleted__xcom__20260101000000") == len(OFFLOADED)
    assert [each.uri for each in found if each.source == "_xcom_archive"] == [path]
    assert {each.source for each in without} == {"xcom"}
    assert totals.references == bare.references == len(KEPT)


def test_the_run_in_flight_comes_first_among_those_at_risk(walk: Walk) -> None:
    done: Done = walk.seen(in_flight)
    assert done.code == 0, done.err
    runs = done.record["runs"]
    # Other visits may have runs in flight too: whatever is unfinished comes before all that is finished.
    unfinished = [each["state"] in ("queued", "running") for each in runs]
    assert unfinished == sorted(unfinished, reverse=True)
    assert done.record["totals"]["unfinished_runs"] == sum(unfinished) >= 1
    (ours,) = [each for each in runs if each["run_id"] == IN_FLIGHT_RUN]
    assert (ours["state"], ours["references"]) == ("running", len(OFFLOADED))
    assert ours["waiting"].get("scheduled") == 1, HOLD
    (finished,) = [each for each in runs if each["run_id"] == OFFLOAD_RUN]
    assert finished["state"] not in ("queued", "running")


@pytest.mark.first_line_only
def test_memory_does_not_grow_with_the_rows(walk: Walk, measure: Callable[[str, Any], None]) -> None:
    dag, run, task = "refs_memory", "manual__1", "task"
    value = column_value(walk, f"{walk.base_path}/{dag}/{run}/{task}/{UUID}")
    with gone_dag(walk, dag, run, task), xcoms_of(walk, dag, run, task, {"one": value}), walk.sandbox.agent() as agent:
        process = psutil.Process(agent.hello["pid"])

        def peak(total: int, start: int) -> tuple[int, int]:
            copies_of(walk, dag, run, task, "one", start, total - 1)
            most = count = 0
            stream = agent.stream(requests.REFERENCE_OBJECTS, {"base_path": walk.base_path, "dag_id": dag})
            for _ in stream:
                count += 1
                if count % 250 == 0:
                    most = max(most, process.memory_info().rss)
            assert stream.answer is not None
            assert stream.answer["dangling"] == total
            return most, count

        peak(FEW, 0)  # what is imported once
        few, _ = peak(FEW, FEW - 1)
        many, count = peak(MANY, FEW - 1)
    measure("refs_memory_slope_bytes", many - few)
    assert count == MANY
    assert many - few < SLOPE_BYTES
