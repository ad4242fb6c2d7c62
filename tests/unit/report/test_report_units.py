from __future__ import annotations

import pytest

from xcomctl.report import units
from xcomctl.report.text import ascii_only, first_line, printable


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"), (float("nan"), "n/a"), (-1, "0 s"), (0, "0 s"), (0.04, "0.0 s"), (8.24, "8.2 s"), (9.94, "9.9 s"),
        (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (102, "1 min 42 s"), (3599.7, "1 h 00 min"), (3725, "1 h 02 min"),
    ],
)  # fmt: skip
def test_seconds(value: float | None, text: str) -> None:
    assert units.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_600_000, "1.6 MB"), (99_940, "99.9 kB"),
        (99_960, "100 kB"), (999_960, "1.0 MB"), (5_104_388, "5.1 MB"), (10**18, "1000 PB"),
    ],
)  # fmt: skip
def test_size(value: int | None, text: str) -> None:
    assert units.size(value) == text


def test_counts_memory_and_moments() -> None:
    assert units.memory(4 * 1024**3) == "4.0 GiB"
    assert [units.count(value, "task") for value in (None, 0, 1, 1200)] == ["n/a", "no tasks", "1 task", "1,200 tasks"]
    assert units.count(2, "entry", "entries") == "2 entries"
    assert units.moment("2026-06-06T05:12:09.5+02:00") == "2026-06-06 03:12:09 UTC"
    assert units.moment("yesterday") == "yesterday"
    assert units.between("2026-06-06T00:00:00+00:00", "2026-06-06T00:01:00Z") == 60
    assert units.between("2026-06-06T00:00:00", "2026-06-06T00:01:00Z") is None
    assert units.elapsed(8.9) == "8 s"


def test_text_is_safe_to_show() -> None:
    assert printable("a\x1b[2Jb\u202ec\td\ne") == "a\\x1b[2Jb\\u202ec    d e"
    assert printable("naïve 数据 …") == "naïve 数据 …"
    assert ascii_only("wait … → é “x”") == 'wait ... -> \\xe9 "x"'
    assert first_line("\n  boom\nmore") == "boom"
