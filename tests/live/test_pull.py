"""``xcomctl pull`` on the walk: values as a task would get them, and errors that name the object instead of strings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.test_refs import missing_object
from tests.support.commands import Done, script, together, unreachable, xcomctl
from tests.support.preflight import offload
from tests.support.walk import OFFLOADED, SIZES, Walk
from xcomctl.model.phases import BASE_XCOM
from xcomctl.model.settings import BACKEND
from xcomctl.rehearsal.scenarios.interface import DAG_ID, PRODUCER
from xcomctl.rehearsal.scenarios.runbook import OFFLOAD_RUN

RUN = ("-d", DAG_ID, "-r", OFFLOAD_RUN)


@pytest.fixture(scope="module")
def pulled(walk: Walk) -> dict[str, Done]:
    """The run, pulled under several circumstances."""

    def pull(*arguments: str, fresh: bool = False, **variables: str) -> Callable[[], Done]:
        return lambda: xcomctl(
            walk, "pull", *RUN, *arguments, variables=offload(walk, **variables), fresh=fresh
        ).orderly()

    with missing_object(walk) as uri:
        missing = pull()()
        assert f"ERROR dangling: the object {uri} is missing" in missing.out
    cells = ("--key", "return_value", "--task-id", PRODUCER)
    nowhere = ("-d", DAG_ID, "-r", f"{OFFLOAD_RUN}x")
    found = together(
        {
            "script": lambda: script(
                walk,
                "airflow_xcom_pull.py",
                ["--dag-id", DAG_ID, "--run-id", OFFLOAD_RUN, "--limit", "5"],
                offload(walk),
            ),
            "full": pull("-o", "json", "--full", fresh=True),
            "one": pull(*cells, "--map-index", str(len(SIZES) - 1), "-o", "jsonl"),
            "inline": pull(*cells, "-o", "json", **{BACKEND.env: BASE_XCOM}),
            "unreachable": pull("-o", "json", **unreachable(walk)),
            "nowhere": lambda: xcomctl(walk, "pull", *nowhere, variables=offload(walk)).orderly(),
        }
    )
    return {**found, "missing": missing}


def test_the_runbooks_line_works_as_printed(pulled: dict[str, Done]) -> None:
    done = pulled["script"]
    assert done.code == 0, done.err
    assert done.out.startswith("plan_cells return_value  inline")
    assert "5 of " in done.out and "read under offload" in done.out


def test_values_come_in_the_order_of_their_pushes_and_equal_what_was_pushed(pulled: dict[str, Done]) -> None:
    done = pulled["full"]
    assert done.code == 0, done.err
    items = done.record["xcoms"]
    assert [each["pushed"] for each in items] == sorted(each["pushed"] for each in items)
    pushed = {each["map_index"]: each["value"]["digest"] for each in items if each["key"] == "pushed"}
    values = {each["map_index"]: each for each in items if (each["task_id"], each["key"]) == (PRODUCER, "return_value")}
    assert {index: each["digest"] for index, each in values.items()} == pushed
    lay = {each["object_bytes"]: each["uri"] for each in values.values() if each["place"] == "object"}
    assert sorted(lay) == sorted(OFFLOADED)
    assert all(f"/{DAG_ID}/{OFFLOAD_RUN}/{PRODUCER}/" in uri for uri in lay.values())
    for each in values.values():
        assert hashlib.sha256(json.dumps(each["value"], sort_keys=True).encode()).hexdigest() == each["digest"]


def test_large_values_are_left_out_unless_they_are_asked_for(pulled: dict[str, Done]) -> None:
    items = pulled["one"].lines
    (item, end) = items
    assert (item["map_index"], item["value_bytes"]) == (len(SIZES) - 1, SIZES[-1])
    assert ("value" in item) == (SIZES[-1] <= 64 * 1024)
    assert (end["schema"], end["shown"]) == ("xcomctl.pull/1", 1)


def test_under_inline_a_reference_is_an_error_that_names_its_object(pulled: dict[str, Done]) -> None:
    done = pulled["inline"]
    assert done.code == 3
    bad = [each for each in done.record["xcoms"] if each["problem"]]
    assert len(bad) == len(OFFLOADED)
    for each in bad:
        assert each["problem"] == "path handed over" and each["uri"] in each["detail"] and "inline" in each["detail"]
        assert "value" not in each


def test_a_missing_object_is_an_error_that_names_it(pulled: dict[str, Done]) -> None:
    assert pulled["missing"].code == 3
    assert "not what a task should get: 1 dangling" in pulled["missing"].out


def test_a_store_that_does_not_answer_is_inconclusive(pulled: dict[str, Done]) -> None:
    done = pulled["unreachable"]
    assert done.code == 5
    assert {each["problem"] for each in done.record["xcoms"]} == {"", "store unreachable"}


@pytest.mark.first_line_only
def test_values_as_files_are_kept_unless_told(walk: Walk, tmp_path: Path) -> None:
    folder = tmp_path / "values"

    def pull(*arguments: str) -> Done:
        return xcomctl(walk, "pull", *RUN, "--to", str(folder), *arguments, variables=offload(walk)).orderly()

    assert "would be written to" in pull("--dry-run").out
    assert not folder.exists()
    assert pull().code == 0
    file = folder / PRODUCER / str(len(SIZES) - 1) / "return_value.json"
    assert len(json.dumps(json.loads(file.read_text()))) == SIZES[-1]
    file.write_text("mine")
    assert "kept" in pull().out
    assert file.read_text() == "mine"


def test_a_run_that_is_not_there_is_a_sentence_with_those_that_are(pulled: dict[str, Done]) -> None:
    done = pulled["nowhere"]
    assert done.code == 5
    assert f"has no run '{OFFLOAD_RUN}x'" in done.err and OFFLOAD_RUN in done.err.partition("such as")[2]
    assert len([line for line in done.err.splitlines() if line.startswith("xcomctl: error")]) == 1
