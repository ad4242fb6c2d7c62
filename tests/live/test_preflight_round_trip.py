"""The round trip on a real Airflow: exactly the known defects of the line, and a difference that was planted.

One context resolves the offload already and answers for it by itself; another resolves ``inline``, so that a child
with the target's settings answers, in which a class of the test's own is configured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.preflight import Asked, Context, context, offload
from tests.support.rows import column_value, gone_dag, xcoms_of
from tests.support.walk import THRESHOLD, Walk
from xcomctl.model import requests
from xcomctl.model.verdicts import Check, Status
from xcomctl.roundtrip.control_flow import corpus
from xcomctl.roundtrip.folder import PREFIX, new_folder

INLINE, OFFLOAD = "round_trip_inline", "round_trip_offload"
DAG, RUN, TASK = "round_trip_checks", "manual__2026-06-06", "producer"

JSON_TEXTS = {
    "digits-text", "padded-digits-text", "decimal-text", "exponent-text", "true-text", "null-text", "nan-text",
    "infinity-text", "object-text", "array-text", "quoted-text",
}  # fmt: skip
KEYS = {"tuple-keys", "tuple-keys-below", "date-keys", "datetime-keys"}

#: What differs on each line, by defect: from the database, and from the store.
EXPECTED = {
    ("2", INLINE): {("F4", ""): JSON_TEXTS, ("F7", ""): {"own-path"}},
    ("2", OFFLOAD): {("F2", "undecodable"): {"offset-datetime"}},
    ("3", INLINE): {
        ("F5", "keys refused"): KEYS,
        ("F38", ""): {"git-url", "git-prose"},
        ("F38", "no target"): {"cache-prose"},
        ("F7", ""): {"own-path"},
    },
    ("3", OFFLOAD): {
        ("F5", "keys refused"): KEYS,
        ("F5", "keys spelled"): {"bool-keys", "none-key"},
        ("F5", "tuples"): {"tuple-in-list", "tuple-in-dict"},
        ("F2", "undecodable"): {"offset-datetime"},
    },
}
#: What only the store can hold: no JSON column takes them (F37), the bytes of 2.x do.
ONLY_IN_STORE = {"2": set(), "3": {"nan", "infinity", "minus-infinity"}}

#: Values of a class that Airflow brings along, and this environment does not.
AIRFLOW_TIMES = {"pendulum-utc", "pendulum-zone"}
#: Stored values of the line, the check that counts them, and the words that the round trip has for them.
AFFECTED = {
    "2": ("metadata_json_strings", "20260606", "F4", "common-io<1.5.4"),
    "3": ("metadata_schemes", "git: fix the build", "F38", "install the package that the error names"),
}

PLANTED = f"""
from airflow.providers.common.io.xcom import backend

class Shouting(backend.XComObjectStorageBackend):
    @staticmethod
    def deserialize_value(result):
        found = backend.XComObjectStorageBackend.deserialize_value(result)
        return found.upper() if found == "section.load_defi_top5" else found

# As in a provider that would keep it elsewhere: nothing can be made to forget it.
backend._get_threshold = lambda: {THRESHOLD}
"""


#: Loses something of what it reads from the store, and nothing of what is in the database.
CORRUPTING = """
from airflow.providers.common.io.xcom import backend

class Corrupting(backend.XComObjectStorageBackend):
    @staticmethod
    def deserialize_value(result):
        found = backend.XComObjectStorageBackend.deserialize_value(result)
        return found[:-1] if found == [1, 2, 3] and "xcomctl_preflight" in str(result.value) else found
"""


@pytest.fixture(scope="module")
def flipped(walk: Walk) -> Iterator[Context]:
    """A context that resolves the offload."""
    with context(walk, offload(walk), warm=True) as flipped:
        yield flipped


@pytest.fixture(scope="module")
def found(flipped: Context) -> Asked:
    """All of it, with the store."""
    return flipped.preflight(functional=True, only=(INLINE, OFFLOAD))


def by_defect(check: Check) -> dict[tuple[str | None, str], set[str]]:
    """The ids of the values that differ, by what is the reason."""
    names: dict[tuple[str | None, str], set[str]] = {}
    for each in map(requests.Difference.from_json, check.data["differences"]):
        names.setdefault((each.defect, each.kind), set()).add(each.value_id)
    return names


@pytest.mark.parametrize("id", [INLINE, OFFLOAD])
def test_exactly_the_known_defects_of_the_line_differ_and_warn(walk: Walk, found: Asked, id: str) -> None:
    check = found[id]
    assert by_defect(check) == EXPECTED[walk.line, id]
    assert check.status is Status.WARN
    here = {value.id for value in corpus(walk.base_path, new_folder())}
    assert check.data["values"] == len(here | AIRFLOW_TIMES)
    assert set(check.data["only_backend"]) == (ONLY_IN_STORE[walk.line] if id == OFFLOAD else set())
    for defect, _ in EXPECTED[walk.line, id]:
        assert f"{defect}: " in check.hint
        assert f" by {defect}, " in check.detail
    assert "for no known reason" not in check.detail


def test_the_values_themselves_are_told(walk: Walk, found: Asked) -> None:
    told = {
        "2": ("'20260606' comes back as int 20260606", "(whether stored values are affected was not measured: "),
        "3": (
            "{(1, 2): 'a'} cannot be pushed (keys must be str, ",
            "'git: fix the build' raises ImportError on read (",
        ),
    }
    for words in told[walk.line]:
        assert words in found[INLINE].detail
    assert "comes back as the path of its object, where BaseXCom raises " in found[OFFLOAD].detail


def test_nothing_is_left_in_the_store(walk: Walk, flipped: Context, found: Asked) -> None:
    stream = flipped.session.stream(requests.OBJECTS, {"base_path": walk.base_path})
    uris = [str(item["uri"]) for item in stream]
    assert uris  # the walk's own
    assert [uri for uri in uris if PREFIX in uri] == []


def test_without_the_store_strings_under_the_base_path_are_left_out_and_a_strict_one_fails(
    walk: Walk, flipped: Context
) -> None:
    check = flipped.preflight(only=(INLINE,), strict=True)[INLINE]
    assert check.status is Status.FAIL
    names = {name: ids for name, ids in EXPECTED[walk.line, INLINE].items() if name[0] != "F7"}
    assert by_defect(check) == names
    assert "strings under the base path were left out" in check.detail
    for defect, _ in names:
        assert f"{defect}: " in check.hint


def test_a_defect_that_stored_values_meet_fails_with_their_number(walk: Walk, flipped: Context) -> None:
    counted, text, defect, hint = AFFECTED[walk.line]
    with gone_dag(walk, DAG, RUN, TASK):
        before = flipped.preflight(only=(counted, INLINE))
        with xcoms_of(walk, DAG, RUN, TASK, {key: column_value(walk, text) for key in ("one", "other")}):
            after = flipped.preflight(only=(counted, INLINE))
    assert before[INLINE].status is Status.WARN
    assert f"stored values affected: none, says {counted}" in before[INLINE].detail
    assert after[INLINE].status is Status.FAIL
    assert f"stored values affected: 2, see {counted}" in after[INLINE].detail
    assert f"{defect}: " in after[INLINE].hint
    assert hint in after[INLINE].hint
    assert by_defect(after[INLINE]) == by_defect(before[INLINE])


def test_a_planted_difference_in_what_the_store_gives_fails(walk: Walk, tmp_path: Path) -> None:
    (tmp_path / "corrupting.py").write_text(CORRUPTING)
    with context(walk, {"PYTHONPATH": str(tmp_path)}) as place:
        found = place.preflight(
            functional=True,
            only=(INLINE, OFFLOAD),
            expect_backend="corrupting.Corrupting",
            expect_path=walk.base_path,
            expect_threshold=THRESHOLD,
        )
    small, offloaded = found[INLINE], found[OFFLOAD]
    assert by_defect(small) == EXPECTED[walk.line, INLINE]
    assert offloaded.status is Status.FAIL
    assert by_defect(offloaded) == {**EXPECTED[walk.line, OFFLOAD], (None, ""): {"mapped-list"}}
    assert (
        "1 for no known reason: [1, 2, 3] comes back as list [1, 2], from BaseXCom list [1, 2, 3]" in offloaded.detail
    )
    assert offloaded.hint.startswith("do not flip: report these values with the versions of Airflow and common-io")


def test_a_planted_difference_has_no_name_and_fails_and_a_fixed_threshold_is_inconclusive(
    walk: Walk, tmp_path: Path
) -> None:
    (tmp_path / "planted.py").write_text(PLANTED)
    with context(walk, {"PYTHONPATH": str(tmp_path)}) as place:
        found = place.preflight(
            functional=True,
            only=(INLINE, OFFLOAD),
            expect_backend="planted.Shouting",
            expect_path=walk.base_path,
            expect_threshold=THRESHOLD,
        )
    assert found.answer.overridden, "the planted class is configured in a child"
    small, offloaded = found[INLINE], found[OFFLOAD]
    assert small.status is Status.FAIL
    assert by_defect(small) == {**EXPECTED[walk.line, INLINE], (None, ""): {"branch-id"}}
    assert "1 for no known reason: 'section.load_defi_top5' comes back as str 'SECTION.LOAD_DEFI_TOP5'" in small.detail
    assert small.hint.startswith("do not flip: ")
    assert offloaded.status is Status.SKIP
    assert "keeps its threshold where it cannot be set" in offloaded.detail
