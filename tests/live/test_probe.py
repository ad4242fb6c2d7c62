"""``xcomctl probe`` on the walk: red for exactly the known defects of the line, green under inline, and through real tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.commands import Done, api_options, script, together, unreachable, xcomctl
from tests.support.dags import forget_dag, parse_now
from tests.support.object_store import owner
from tests.support.preflight import offload
from tests.support.visits import beside
from tests.support.walk import Walk
from xcomctl.cli.main import main
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND
from xcomctl.model.probe import DAG_ID
from xcomctl.model.settings import BACKEND, PATH

REFUSED_KEYS = {"date-keys", "datetime-keys", "tuple-keys", "tuple-keys-below"}
#: Which values differ for which reason, from the database and above the threshold: the rows of the list of failures.
EXPECTED = {
    "2": {
        ("inline", "F4"): {
            "digits-text", "padded-digits-text", "decimal-text", "exponent-text", "true-text", "null-text", "nan-text",
            "infinity-text", "object-text", "array-text", "quoted-text",
        },
        ("inline", "F7"): {"own-path"},
        ("offloaded", "F2"): {"offset-datetime"},
    },
    "3": {
        ("inline", "F5"): REFUSED_KEYS,
        ("inline", "F38"): {"cache-prose", "git-prose", "git-url"},
        ("inline", "F7"): {"own-path"},
        ("offloaded", "F5"): {*REFUSED_KEYS, "bool-keys", "none-key", "tuple-in-dict", "tuple-in-list"},
        ("offloaded", "F2"): {"offset-datetime"},
    },
}  # fmt: skip
#: The defects that tasks of a real run meet; strings under the base path are left out there.
IN_RUN = {"2": {"F4", "F2"}, "3": {"F5", "F38", "F2"}}
LINES = {
    "2": 'control_flow: "20260606" comes back as int 20260606 (second JSON decode, common-io 1.5.4+ on Airflow 2.x)',
    "3": "control_flow: {(1, 2): 'a'} cannot be pushed (keys must be str, int, float, bool or None, not tuple)",
}


@beside
def through_tasks(walk: Walk) -> Done:
    """The exported DAG, run for real in ``offload``, by the API on 3.x and by a context on 2.x. All of it is gone after."""
    folder = walk.sandbox.airflow.folder / "dags"
    assert main(["dags", "export", "probe", str(folder)]) == 0
    # The classes are probed elsewhere: as few of their values here as can be.
    arguments = ["--run", "--once", "--no-store", "--only", "data", "-o", "json", "--python", str(walk.python)]
    environment = walk.sandbox.airflow.environment()
    if walk.line == "3":
        options, variables = api_options(walk)
        arguments += options
        environment |= variables
    try:
        parse_now(walk, folder / f"{DAG_ID}.py")
        walk.sandbox.airflow.wait_for_dag(DAG_ID, lambda what: None)
        return xcomctl(walk, "probe", *arguments, variables=environment)
    finally:
        forget_dag(walk, DAG_ID)


VISITS = {"offload": (through_tasks,)}


@pytest.fixture(scope="module")
def probed(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """The probe in several contexts; ``flipped`` is everything, where the context offloads."""
    state = tmp_path_factory.mktemp("probe")

    def probe(*arguments: str, fresh: bool = False, **variables: str) -> Callable[[], Done]:
        return lambda: xcomctl(
            walk, "probe", *arguments, variables=variables, journal=state / "journal.jsonl", fresh=fresh
        ).orderly()

    planned = ("--phase", "dual-read", "--path", walk.base_path, "--only", "control-flow", "--no-store", "-o", "json")
    found = together(
        {
            "flipped": probe("-o", "json", fresh=True, **offload(walk)),
            "script": lambda: script(
                walk, "xcom_roundtrip_probe.py", [], {**offload(walk), "XDG_STATE_HOME": str(state)}
            ),
            "inline": probe(),
            "planned": probe(*planned),
            "unreachable": probe("-o", "json", "--only", "control-flow", **offload(walk, **unreachable(walk))),
            "unimportable": probe("--only", "data", fresh=True, **offload(walk, **{BACKEND.env: "no.such.Backend"})),
            "pathless": probe("--only", "data", fresh=True, **{BACKEND.env: OBJECT_STORAGE_BACKEND, PATH.env: ""}),
        }
    )
    found["journal"] = Done(0, (state / "xcomctl" / "journal.jsonl").read_text(), "")
    return found


@pytest.fixture(scope="module")
def flipped(probed: dict[str, Done]) -> Done:
    return probed["flipped"]


def differences(done: Done) -> list[dict[str, Any]]:
    (context,) = done.record["contexts"]
    return list(context["differences"])


def test_red_for_exactly_the_known_defects_of_the_line(walk: Walk, flipped: Done) -> None:
    assert flipped.code == 3
    (context,) = flipped.record["contexts"]
    assert (context["control_flow"], context["data"]) == ("red", "green")
    found = differences(flipped)
    ids: dict[tuple[str, str], set[str]] = {}
    for each in found:
        ids.setdefault((each["way"], each["defect"]), set()).add(each["value_id"])
    assert ids == EXPECTED[walk.line]
    assert all(each["because"] and each["corpus"] == "control_flow" for each in found)
    # Classes of a task's own come back, where Airflow knows how to keep them.
    kept = {"dataclass", "dataclasses", "attrs", "pydantic"}
    assert not kept & {*context["answer"]["neither"], *context["answer"]["only_backend"]}
    counts = context["answer"]["counts"]
    assert counts["control_flow/inline"] == counts["control_flow/offloaded"] >= 99
    assert counts["data/inline"] == counts["data/offloaded"] >= 18


def test_nothing_is_left_in_the_store(walk: Walk, flipped: Done) -> None:
    assert flipped.code == 3
    bucket, _, prefix = walk.base_path.partition("@")[2].partition("/")
    with owner(walk) as owned:
        assert owned.keys(bucket, f"{prefix}/xcomctl_") == []


def test_the_script_works_without_arguments(walk: Walk, probed: dict[str, Done]) -> None:
    done = probed["script"]
    assert done.code == 3, done.err
    assert done.out.splitlines()[-2:] == ["control-flow: RED", "data: GREEN"]
    assert LINES[walk.line] in done.out
    (entry,) = probed["journal"].lines
    assert (entry["action"], entry["data"]["contexts"][0]["control_flow"]) == ("probe", "red")


def test_green_under_inline_and_says_why(probed: dict[str, Done]) -> None:
    done = probed["inline"]
    assert done.code == 0, done.err
    assert "this is BaseXCom itself" in done.out
    assert done.out.splitlines()[-2:] == ["control-flow: GREEN", "data: GREEN"]


def test_what_is_planned_is_probed_from_inline(walk: Walk, probed: dict[str, Done]) -> None:
    (context,) = probed["planned"].record["contexts"]
    assert (context["answer"]["phase"], context["answer"]["target_phase"]) == ("inline", "dual-read")
    assert BACKEND.env in context["answer"]["overridden"]
    expected = {defect for way, defect in EXPECTED[walk.line] if way == "inline"} - {"F7"}
    assert {each["defect"] for each in differences(probed["planned"])} == expected
    assert context["data"] == "unknown"


def test_a_store_that_does_not_answer_is_not_blamed_on_values(probed: dict[str, Done]) -> None:
    (context,) = probed["unreachable"].record["contexts"]
    assert any("nothing was put into the store" in each for each in context["answer"]["unmeasured"])
    assert {each["way"] for each in differences(probed["unreachable"])} == {"inline"}


def test_a_class_that_does_not_import_and_a_missing_path_are_red(probed: dict[str, Done]) -> None:
    wrong = probed["unimportable"]
    assert wrong.code == 3 and "control-flow: RED" in wrong.out and "no.such.Backend" in wrong.out
    pathless = probed["pathless"]
    assert pathless.code == 3 and "comes back as its path string" in pathless.out


def test_real_tasks_meet_the_same_defects_and_no_others(walk: Walk) -> None:
    done: Done = walk.seen(through_tasks)
    done.orderly()
    (context,) = done.record["contexts"]
    run = context["run"]
    assert run["unmeasured"] == [], run
    assert {each["defect"] for each in run["differences"]} == IN_RUN[walk.line]
    steps = {name.partition("/")[2] for name, count in run["counts"].items() if count}
    assert steps == {
        "another task",
        "mapped task",
        "map input",
        "resumed by a trigger",
        "pushed once resumed",
        "above the threshold",
    }
    assert any("include_prior_dates were not tried" in note for note in run["notes"])
    if walk.line == "3":  # what JSONB itself does to values is told apart (F37)
        assert {note.split()[3] for note in run["notes"] if "column" in note} == {
            "large-float",
            "minus-zero",
            "null-character",
            "lone-surrogate",
        }
