"""Named defects explain what they did, and nothing that resembles it; the live tests show that they are real."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from xcomctl.model.phases import Line
from xcomctl.roundtrip.compare import CAME_BACK, PUSH_RAISED, READ_RAISED, Pair, Passage
from xcomctl.roundtrip.control_flow import Value
from xcomctl.roundtrip.defects import DEFECTS, Setting, by_name, named

BASE = "s3://store@bucket/xcom"
REFERENCE = f"{BASE}/d/r/t/5bd0bc03-9ef8-4a0c-9a54-6ac4a9e8a83d"
OWN = f"{BASE}/own.json"
ZONED = datetime.datetime(2026, 6, 6, tzinfo=datetime.timezone(datetime.timedelta(hours=5)))

AF2 = Setting(Line.AF2, "1.11.0", BASE, offloaded=False)
AF2_STORE = Setting(Line.AF2, "1.11.0", BASE, offloaded=True)
AF2_BEFORE = Setting(Line.AF2, "1.5.3", BASE, offloaded=False)
AF3 = Setting(Line.AF3, "1.11.0", BASE, offloaded=False)
AF3_STORE = Setting(Line.AF3, "1.11.0", BASE, offloaded=True)

NO_TUPLE_KEYS = TypeError("keys must be str, int, float, bool or None, not tuple")
NOT_INSTALLED = ImportError("Install pygit2 to browse local git repos")


def back(value: Any) -> Passage:
    return Passage(CAME_BACK, value)


def pair(value: Any, base: Any, backend: Passage, **options: Any) -> Pair:
    """A value, what BaseXCom gives (a passage or a value), what the backend made of it."""
    return Pair(Value("id", value, **options), base if isinstance(base, Passage) else back(base), backend)


def name(found: Pair, setting: Setting) -> tuple[str | None, str]:
    defect, sentence = named(found, setting)
    assert found.differs
    assert sentence
    return (None, "") if defect is None else (defect.id, defect.kind)


@pytest.mark.parametrize(
    ("expected", "found", "setting"),
    [
        (("F4", ""), pair("20260606", "20260606", back(20260606)), AF2),
        (("F4", ""), pair("null", "null", back(None)), AF2),
        (("F4", ""), pair("NaN", "NaN", back(float("nan"))), AF2),
        (("F4", ""), pair('{"a": 1}', '{"a": 1}', back({"a": 1})), AF2),
        (("F5", "keys refused"), pair({(1, 2): 1}, {"(1, 2)": 1}, Passage(PUSH_RAISED, error=NO_TUPLE_KEYS)), AF3),
        (("F5", "keys refused"), pair([{(1, 2): 1}], [{"(1, 2)": 1}], Passage(PUSH_RAISED, error=NO_TUPLE_KEYS)), AF3),
        (("F5", "tuples"), pair([(1, 2)], [(1, 2)], back([[1, 2]])), AF3_STORE),
        (("F5", "tuples"), pair([({True: 1},)], [({"True": 1},)], back([[{"true": 1}]])), AF3_STORE),
        (("F5", "keys spelled"), pair({True: 1}, {"True": 1}, back({"true": 1})), AF3_STORE),
        (("F38", ""), pair("git: fix", "git: fix", Passage(READ_RAISED, error=NOT_INSTALLED)), AF3),
        (
            ("F38", "no target"),
            pair("filecache: x", "filecache: x", Passage(READ_RAISED, error=IndexError("No target path found"))),
            AF3,
        ),
        (("F7", ""), pair(OWN, OWN, back([7]), objects={OWN: b"[7]"}), AF2),
        (("F7", ""), pair(OWN, OWN, back([7]), objects={OWN: b"[7]"}), AF3),
        (("F7", ""), pair(OWN, OWN, Passage(READ_RAISED, error=FileNotFoundError())), AF2_BEFORE),
        (("F7", ""), pair(BASE, BASE, Passage(READ_RAISED, error=IsADirectoryError())), AF3),
        (
            ("F2", "undecodable"),
            pair(ZONED, Passage(READ_RAISED, error=ValueError("zone")), Passage(CAME_BACK, REFERENCE, stored=REFERENCE)),
            AF3_STORE,
        ),
    ],
)  # fmt: skip
def test_a_defect_has_its_name(expected: tuple[str, str], found: Pair, setting: Setting) -> None:
    assert name(found, setting) == expected


@pytest.mark.parametrize(
    ("found", "setting"),
    [
        # As F4, but not what the text spells, not on this line, not from the database, not with this version.
        (pair("20260606", "20260606", back(20260607)), AF2),
        (pair("20260606", "20260606", back(20260606.0)), AF2),
        (pair("20260606", "20260606", back(20260606)), AF3),
        (pair("20260606", "20260606", back(20260606)), AF2_STORE),
        (pair("20260606", "20260606", back(20260606)), AF2_BEFORE),
        (pair("load_a", "load_a", back(None)), AF2),
        (pair(20260606, 20260606, back("20260606")), AF2),
        (pair("true", "true", Passage(READ_RAISED, error=ValueError())), AF2),
        # As F5, but another error, other keys, another line, not offloaded, or not what the encoder makes of it.
        (pair({(1, 2): 1}, {"(1, 2)": 1}, Passage(PUSH_RAISED, error=TypeError("cannot pickle"))), AF3),
        (pair({(1, 2): 1}, {"(1, 2)": 1}, Passage(PUSH_RAISED, error=ValueError(str(NO_TUPLE_KEYS)))), AF3),
        (pair({(1, 2): 1}, {"(1, 2)": 1}, Passage(READ_RAISED, error=NO_TUPLE_KEYS)), AF3),
        (pair({(1, 2): 1}, {"(1, 2)": 1}, Passage(PUSH_RAISED, error=NO_TUPLE_KEYS)), AF2),
        (pair({"a": 1}, {"a": 1}, Passage(PUSH_RAISED, error=NO_TUPLE_KEYS)), AF3),
        (pair([(1, 2)], [(1, 2)], back([[1, 2]])), AF3),
        (pair([(1, 2)], [(1, 2)], back([[1, 2]])), AF2_STORE),
        (pair([(1, 2)], [(1, 2)], back([[2, 1]])), AF3_STORE),
        (pair((1, 2), (1, 2), back([2, 1])), AF3_STORE),
        (pair({True: 1}, {"True": 1}, back({"yes": 1})), AF3_STORE),
        (pair({"a": (1,)}, "something else", back({"a": [1]})), AF3_STORE),
        # As F38, but another error, no scheme, another line, or from the store.
        (pair("git: fix", "git: fix", Passage(READ_RAISED, error=RuntimeError())), AF3),
        (pair("filecache: x", "filecache: x", Passage(READ_RAISED, error=IndexError("list index"))), AF3),
        (pair("load_a", "load_a", Passage(READ_RAISED, error=NOT_INSTALLED)), AF3),
        (pair("git: fix", "git: fix", Passage(READ_RAISED, error=NOT_INSTALLED)), AF3_STORE),
        (pair("git: fix", "git: fix", Passage(READ_RAISED, error=NOT_INSTALLED)), AF2),
        # As F7, but other content, outside the base path, or a missing file in a version that catches it.
        (pair(OWN, OWN, back([8]), objects={OWN: b"[7]"}), AF3),
        (pair(OWN, OWN, back([7])), AF3),
        (pair("s3://else/own.json", "s3://else/own.json", back([7]), objects={"s3://else/own.json": b"[7]"}), AF3),
        (pair(OWN, OWN, Passage(READ_RAISED, error=FileNotFoundError())), AF3),
        (pair(OWN, OWN, Passage(READ_RAISED, error=PermissionError())), AF3),
        # As F2, but BaseXCom hands the value over.
        (pair([1], [1], Passage(CAME_BACK, REFERENCE, stored=REFERENCE)), AF3_STORE),
        (pair([1], Passage(READ_RAISED, error=OSError()), Passage(CAME_BACK, REFERENCE, stored=REFERENCE)), AF3_STORE),
    ],
)  # fmt: skip
def test_what_resembles_a_defect_has_no_name(found: Pair, setting: Setting) -> None:
    assert name(found, setting) == (None, "")


@pytest.mark.parametrize(
    "found",
    [
        pair("20260606", "20260606", back("20260606")),
        pair(float("nan"), float("nan"), back(float("nan"))),
        pair(float("nan"), Passage(PUSH_RAISED, error=ValueError()), Passage(PUSH_RAISED, error=TypeError())),
        pair(float("nan"), Passage(PUSH_RAISED, error=ValueError()), back(float("nan"))),
        pair(OWN, OWN, Passage(CAME_BACK, OWN, stored=OWN)),
    ],
)
def test_the_same_and_what_only_the_backend_can_do_are_no_differences(found: Pair) -> None:
    assert not found.differs
    assert found.only_backend == (found.base.reached == PUSH_RAISED and found.backend.reached == CAME_BACK)


def test_what_fails_later_than_before_is_a_difference() -> None:
    found = pair(1, Passage(PUSH_RAISED, error=ValueError()), Passage(READ_RAISED, error=ValueError()))
    assert found.differs
    assert not found.only_backend


def test_names_are_unique_and_lead_back_to_their_defects() -> None:
    assert len({(defect.id, defect.kind) for defect in DEFECTS}) == len(DEFECTS)
    for defect in DEFECTS:
        assert by_name(defect.id, defect.kind) is defect
        assert defect.title and defect.hint
