"""Values of any shape in the database: no command crashes on one, and nothing is fetched from outside the base path."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.commands import Done, together, xcomctl
from tests.support.object_store import PASS, gateway, owner
from tests.support.preflight import offload
from tests.support.rows import column_value, gone_dag, xcoms_of
from tests.support.walk import KEPT, Walk, literal
from xcomctl.model.settings import PATH

DAG, TASK = "stored_shapes", "task"
#: Every character that a keyboard has, blanks and line ends among them, and what a URL, a shell and SQL make something of.
RUN = f"run {string.printable}%2F..%00+ü🚀"
SECRET = "this lies outside of the base path"
UUID = "01234567-89ab-cdef-0123-456789abcdef"
OF_RUN = ("-d", DAG, "-r", RUN)
COMMANDS = {
    "pull": ("pull", *OF_RUN, "-o", "json"),
    "pull --full": ("pull", *OF_RUN, "--full"),
    "pull --to": ("pull", *OF_RUN, "-o", "jsonl", "--to"),
    "refs": ("refs", "-o", "json"),
    "refs --foreign": ("refs", "--foreign", "--dangling", "-d", DAG),
    "refs --objects": ("refs", "--objects", *OF_RUN, "-o", "json"),
    "refs --at-risk": ("refs", "--at-risk", "-o", "json"),
    "verify": ("verify", *OF_RUN, "-o", "json"),
    "status": ("status", "-o", "json"),
}
#: Characters of a text that is large, and far from what does not fit.
HUGE = 3_000_000
#: Just readable for one Python or the next, for a reader or a writer, and for none.
DEPTHS = (90, 300, 450, 480, 700, 900, 975, 10_000)


def texts(walk: Walk) -> dict[str, str]:
    """Stored texts, by key; every one whose key begins with ``out_`` leads to the secret, or anywhere out of the base path."""
    base = walk.base_path
    folder = f"{base}/{DAG}/{RUN}/{TASK}"
    bucket = base.partition("@")[2]
    return {
        "out_traversal": f"{base}/../outside/secret.json",
        "out_traversal_inside": f"{folder}/../../../../outside/secret.json",
        "out_own_shape_with_dots": f"{base}/{DAG}/../../outside/{UUID}",
        "out_dot": f"{base}/./{DAG}/x/{UUID}",
        "out_doubled_and_dots": f"{base}//../outside/secret.json",
        "out_other_scheme": f"s3a://{base.partition('://')[2]}/../outside/secret.json",
        "out_other_connection": f"s3://nobody@{bucket}/../../{bucket.partition('/')[0]}/outside/secret.json",
        "out_line_break": f"{base[:7]}\n{base[7:]}/../outside/secret.json",
        "doubled": f"{base}//{DAG}/{UUID}",
        "outside": f"{base.rpartition('/')[0]}/outside/secret.json",
        "prefix": f"{base}x/{DAG}/run/task/{UUID}",
        "out_base": base,
        "out_slash": f"{base}/",
        "etc": "file:///etc/passwd",
        "broken_url": "s3://[",
        "no_host": "http://\u2100.com/x",
        "own": f"{folder}/{UUID}",
        "layout_of_3_4": f"{folder}/ti-{UUID}/return_value.json",
        "long": f"{base}/" + "x" * 20_000,
        "as_long_as_a_name": f"{base}/" + "x" * 1_100,
        "printable": string.printable,
        "escapes": "\x1b[31m\u202e\x07",
        "emoji": "🚀" * 100,
    }


def shapes(walk: Walk) -> dict[str, str]:
    """The values as SQL, by key."""
    base = walk.base_path

    def column(expression: str) -> str:
        return f"convert_to({expression}, 'UTF8')" if walk.line == "2" else f"({expression})::jsonb"

    found = {key: column(literal(json.dumps(text))) for key, text in texts(walk).items()}
    found["huge"] = column(f"'\"' || repeat('y', {HUGE}) || '\"'")
    for depth in DEPTHS:
        found[f"deep_{depth}"] = column(f"repeat('[', {depth}) || repeat(']', {depth})")
        found[f"deep_objects_{depth}"] = column(f"repeat('{{\"a\":', {depth}) || '1' || repeat('}}', {depth})")
    found.update({f"digits_{count}": column(f"repeat('1', {count})") for count in (400, 4_250, 9_000)})
    found["infinite"] = column("repeat('1', 400) || '.5'")
    found["null"] = column("'null'")
    unknown = {"__classname__": "no.such.Class", "__version__": 1, "__data__": {}}
    found["unknown_class"] = column(literal(json.dumps(unknown)))
    if walk.line == "2":
        raw = {
            "invalid_utf8": b"\xff\xfe\x00abc",
            "half_a_text": b'"s3://x',
            "lone_surrogate": b'"a\\ud800b"',
            "lone_surrogate_in_path": f'"{base}/\\ud800/x"'.encode(),
            "nul": b'"a\\u0000b"',
            "out_nul": json.dumps(f"{base}/a\x00b/{UUID}").encode(),
            "other_encoding": json.dumps(f"{base}/{DAG}/x").encode("utf-16"),
            "nan": b'{"a": [NaN, -Infinity, -0.0]}',
            "not_json": b"<html>",
            "pickle_that_exits": b"\x80\x02cos\n_exit\nK\x07\x85R.",
            "nothing": b"",
        }
        found.update({key: f"decode('{value.hex()}', 'hex')" for key, value in raw.items()})
    return found


@dataclass(frozen=True)
class Seen:
    """How every command ended on all of them, and what they asked of the store meanwhile."""

    stored: dict[str, str]
    done: dict[str, Done]
    asked: list[str]
    folder: Path


@pytest.fixture(scope="module")
def seen(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """All of them in one run of a DAG that Airflow does not know, a secret beside the base path, and a store that is watched."""
    bucket, _, prefix = walk.base_path.partition("@")[2].partition("/")
    keys = (f"{prefix.rpartition('/')[0]}outside/secret.json".lstrip("/"), "outside/secret.json")
    values = shapes(walk)
    folder = tmp_path_factory.mktemp("pulled") / "values"
    assert walk.sandbox.store is not None and walk.sandbox.store.connection is not None
    connection = walk.sandbox.store.connection
    asked: list[str] = []

    def watch(line: str) -> str:
        asked.append(line)
        return PASS

    with owner(walk) as owned, gateway(owned) as front:
        front.rule = watch
        extra = {**json.loads(connection["extra"]), "endpoint_url": front.endpoint}
        record = {"conn_type": "aws", "login": connection["login"], "password": connection["password"], "extra": extra}
        variables = offload(walk, **{f"AIRFLOW_CONN_{connection['connection_id'].upper()}": json.dumps(record)})

        def run(name: str) -> Done:
            more = (str(folder),) if name == "pull --to" else ()
            return xcomctl(walk, *COMMANDS[name], *more, variables=variables)

        for key in keys:
            assert "error" not in owned("put_object", Bucket=bucket, Key=key, Body=json.dumps(SECRET))
        try:
            with gone_dag(walk, DAG, RUN, TASK), xcoms_of(walk, DAG, RUN, TASK, values):
                done = together({name: (lambda name=name: run(name)) for name in COMMANDS})
        finally:
            for key in keys:
                owned("delete_object", Bucket=bucket, Key=key)
    yield Seen(values, done, asked, folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_crashes_and_none_looks_outside(seen: Seen, command: str) -> None:
    done = seen.done[command].orderly()
    assert SECRET not in done.out + done.err
    assert "root:" not in done.out
    if COMMANDS[command][-1] == "json":
        assert done.record["schema"].startswith("xcomctl.")
    assert "the check itself failed" not in done.out
    assert "\x1b" not in done.out


def test_nothing_outside_the_base_path_was_asked_for(walk: Walk, seen: Seen) -> None:
    place = "/" + walk.base_path.partition("@")[2]
    paths = [unquote(line.split(" ")[1].partition("?")[0]) for line in seen.asked]
    objects = [path for path in paths if path.strip("/") != place.strip("/").partition("/")[0]]
    assert objects, seen.asked  # or nothing was watched
    for path in objects:
        assert path.startswith(f"{place}/") and not {".", ".."} & set(path.split("/")), path
    assert not any("secret" in line for line in seen.asked)


def test_pull_tells_for_each_what_became_of_it(walk: Walk, seen: Seen) -> None:
    found = {each["key"]: each for each in seen.done["pull"].record["xcoms"]}
    assert set(found) == set(seen.stored)
    outside = {key for key, each in found.items() if each["problem"] == "outside the base path"}
    assert outside == {key for key in seen.stored if key.startswith("out_")}
    # One name that the store cannot have does not make the others unknown.
    dangling = {"own", "layout_of_3_4", "doubled", "long", "as_long_as_a_name"}
    dangling |= {"lone_surrogate_in_path"} if walk.line == "2" else set()
    assert {key for key, each in found.items() if each["problem"] == "dangling"} == dangling
    values = texts(walk)
    for key in ("outside", "etc", "broken_url", "no_host", "printable", "escapes", "emoji"):
        assert (found[key]["problem"], found[key]["value"]) == ("", values[key])
    assert found["huge"]["elided"] and found["huge"]["value_bytes"] == HUGE + 2
    assert found["deep_90"]["value"] and found["deep_10000"]["problem"] == "unreadable"
    assert found["deep_300"]["text"].startswith("[[") and "value" not in found["deep_300"]
    assert found["digits_400"]["value"] == int("1" * 400) and found["digits_9000"]["problem"] == "unreadable"
    assert (found["infinite"]["type"], found["infinite"]["text"]) == ("float", "inf")
    if walk.line == "2":
        assert found["pickle_that_exits"]["problem"] == "pickled"
        damaged = ("invalid_utf8", "half_a_text", "not_json", "nothing", "other_encoding")
        assert {found[key]["problem"] for key in damaged} == {"unreadable"}
        assert found["nan"]["text"] == "{'a': [nan, -inf, -0.0]}"
        assert found["lone_surrogate"]["value"] == "a\ud800b"


def test_values_are_written_below_the_folder_and_whole(walk: Walk, seen: Seen) -> None:
    items = [each for each in seen.done["pull --to"].lines[:-1] if not each["problem"]]
    written = {path for path in seen.folder.rglob("*") if path.is_file()}
    assert {Path(each["file"]) for each in items} == written and len(written) == len(items)
    values = texts(walk)
    assert (seen.folder / TASK / "_" / "huge.json").stat().st_size == HUGE + 3
    for key in ("printable", "emoji", "outside"):
        assert json.loads((seen.folder / TASK / "_" / f"{key}.json").read_text()) == values[key]
    assert (seen.folder / TASK / "_" / "deep_300.repr.txt").read_text() == "[" * 300 + "]" * 300 + "\n"


def test_refs_still_tells_of_every_reference(seen: Seen) -> None:
    totals = seen.done["refs"].record["totals"]
    assert (totals["unasked"], totals["store_error"]) == (0, "")
    assert totals["reference_bytes"] == sum(KEPT)
    assert totals["outside"] and totals["dangling"]


def test_no_file_beside_a_folder_is_opened_whatever_the_base_path_is_written_like(walk: Walk, tmp_path: Path) -> None:
    """The backend of both lines opens the secret for the first two: the class is not asked for any of them."""
    base, secret = tmp_path / "base", tmp_path / "secret.json"
    (base / "local:").mkdir(parents=True)
    secret.write_text(json.dumps(SECRET))
    dots = "/".join([".."] * (len(base.parts) + 1))
    values = {
        "plain": f"file://{base}/../secret.json",
        "inside": f"file://{base}/local:/../../secret.json",
        "other_scheme": f"local://{base}/{dots}{secret}",
        "one_slash": f"file:{base}/../secret.json",
        "line_break": f"fi\nle://{base}/../secret.json",
    }
    columns = {key: column_value(walk, value) for key, value in values.items()}

    def pull(path: str) -> Callable[[], Done]:
        variables = offload(walk, **{PATH.env: path})
        return lambda: xcomctl(
            walk, "pull", "-d", DAG, "-r", "files", "-o", "json", variables=variables, fresh=True
        ).orderly()

    with gone_dag(walk, DAG, "files", TASK), xcoms_of(walk, DAG, "files", TASK, columns):
        done = together({"folder": pull(f"file://{base}"), "misconfigured": pull(f"file:{base}")})
    for each in done.values():
        assert each.code == 3 and SECRET not in each.out + each.err
        assert {item["problem"] for item in each.record["xcoms"]} == {"outside the base path"}
