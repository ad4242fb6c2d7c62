"""Values of any shape in the database: no command crashes on one, and nothing is fetched from outside the base path."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator

import pytest

from tests.support.commands import Done, together, xcomctl
from tests.support.object_store import owner
from tests.support.preflight import offload
from tests.support.rows import gone_dag, xcoms_of
from tests.support.walk import Walk, literal

DAG, TASK = "stored_shapes", "task"
#: Every character that a keyboard has, and what a URL, a shell and SQL make something of.
RUN = f"run {string.printable.strip()}%2F..%00+ü🚀"
SECRET = "this lies outside of the base path"
UUID = "01234567-89ab-cdef-0123-456789abcdef"
HUGE, DEEP = 3_000_000, 10_000
COMMANDS = {
    "pull": ("pull", "-d", DAG, "-r", RUN, "-o", "json"),
    "pull --full": ("pull", "-d", DAG, "-r", RUN, "--full", "-o", "jsonl"),
    "pull, as text": ("pull", "-d", DAG, "-r", RUN),
    "refs": ("refs", "-d", DAG, "-o", "json"),
    "refs --dangling": ("refs", "--dangling", "-o", "json"),
    "refs --objects": ("refs", "--objects", "-d", DAG, "-r", RUN, "-o", "json"),
    "refs --at-risk": ("refs", "--at-risk", "-o", "json"),
    "verify": ("verify", "-d", DAG, "-r", RUN, "-o", "json"),
    "status": ("status", "-o", "json"),
}


def shapes(walk: Walk) -> dict[str, str]:
    """The values as SQL, by key."""
    base = walk.base_path
    folder = f"{base}/{DAG}/{RUN}/{TASK}"
    texts = {
        "traversal": f"{base}/../outside/secret.json",
        "traversal_inside": f"{folder}/../../../../outside/secret.json",
        "own_shape_with_dots": f"{base}/{DAG}/../../outside/{UUID}",
        "dot": f"{base}/./{DAG}/x/{UUID}",
        "doubled": f"{base}//{DAG}/{UUID}",
        "outside": f"{base.rpartition('/')[0]}/outside/secret.json",
        "prefix": f"{base}x/{DAG}/run/task/{UUID}",
        "base": base,
        "slash": f"{base}/",
        "etc": "file:///etc/passwd",
        "broken_url": "s3://[",
        "own": f"{folder}/{UUID}",
        "layout_of_3_4": f"{folder}/ti-{UUID}/return_value.json",
        "long": f"{base}/" + "x" * 20_000,
        "printable": string.printable,
        "emoji": "🚀" * 100,
    }
    column = (
        (lambda text: f"convert_to({literal(text)}, 'UTF8')")
        if walk.line == "2"
        else (lambda text: f"{literal(text)}::jsonb")
    )
    found = {key: column(json.dumps(text)) for key, text in texts.items()}
    # Made in the database: no argument of a command is so long.
    made = "convert_to({}, 'UTF8')" if walk.line == "2" else "({})::jsonb"
    found["huge"] = made.format(f"'\"' || repeat('y', {HUGE}) || '\"'")
    found["deep"] = made.format(f"repeat('[', {DEEP}) || repeat(']', {DEEP})")
    found["deep_objects"] = made.format(f"repeat('{{\"a\":', {DEEP // 2}) || '1' || repeat('}}', {DEEP // 2})")
    found["large_number"] = column("1" * 400)
    found["null"] = column("null")
    if walk.line == "2":
        raw = {
            "invalid_utf8": b"\xff\xfe\x00abc",
            "half_a_text": b'"s3://x',
            "lone_surrogate": b'"a\\ud800b"',
            "nul": b'"a\\u0000b"',
            "nul_in_path": json.dumps(f"{base}/a\x00b/{UUID}").encode(),
            "nan": b"NaN",
            "not_json": b"<html>",
            "pickle_that_exits": b"\x80\x02cos\n_exit\nK\x07\x85R.",
            "nothing": b"",
            "unknown_class": b'{"__classname__": "no.such.Class", "__version__": 1, "__data__": {}}',
        }
        found.update({key: f"decode('{value.hex()}', 'hex')" for key, value in raw.items()})
    else:
        found["unknown_class"] = column('{"__classname__": "no.such.Class", "__version__": 1, "__data__": {}}')
    return found


@pytest.fixture(scope="module")
def done(walk: Walk) -> Iterator[dict[str, Done]]:
    """Every command over all of them, in one run of a DAG that Airflow does not know; a secret lies beside the base path."""
    bucket, _, prefix = walk.base_path.partition("@")[2].partition("/")
    keys = (f"{prefix.rpartition('/')[0]}outside/secret.json".lstrip("/"), "outside/secret.json")
    variables = offload(walk)
    with owner(walk) as owned:
        for key in keys:
            assert "error" not in owned("put_object", Bucket=bucket, Key=key, Body=json.dumps(SECRET))
        try:
            with gone_dag(walk, DAG, RUN, TASK), xcoms_of(walk, DAG, RUN, TASK, shapes(walk)):
                yield together(
                    {
                        name: (lambda arguments=arguments: xcomctl(walk, *arguments, variables=variables).orderly())
                        for name, arguments in COMMANDS.items()
                    }
                )
        finally:
            for key in keys:
                owned("delete_object", Bucket=bucket, Key=key)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_crashes_and_none_looks_outside(done: dict[str, Done], command: str) -> None:
    found = done[command]
    assert SECRET not in found.out + found.err
    assert "root:" not in found.out
    assert "the check itself failed" not in found.out
    if COMMANDS[command][-1] == "json":
        assert found.record["schema"].startswith("xcomctl.")


def test_pull_tells_for_each_what_became_of_it(walk: Walk, done: dict[str, Done]) -> None:
    found = {each["key"]: each for each in done["pull"].record["xcoms"]}
    assert set(found) == set(shapes(walk))
    outside = {key for key, each in found.items() if each["problem"] == "outside the base path"}
    assert {"traversal", "traversal_inside", "own_shape_with_dots", "dot"} <= outside
    assert found["own"]["problem"] == "dangling"
    assert (found["outside"]["problem"], found["outside"]["value"]) == (
        "",
        f"{walk.base_path.rpartition('/')[0]}/outside/secret.json",
    )
    assert found["huge"]["elided"] and found["huge"]["value_bytes"] == HUGE + 2
    assert found["deep"]["problem"] == "unreadable"
    if walk.line == "2":
        assert found["pickle_that_exits"]["problem"] == "pickled"
        assert "nul_in_path" in outside
        assert {found[key]["problem"] for key in ("invalid_utf8", "half_a_text", "not_json", "nothing")} == {
            "unreadable"
        }
