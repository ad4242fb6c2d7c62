"""What has to be unpaused so that DAGs are as they were, and what somebody else did to them meanwhile."""

from __future__ import annotations

import pytest

from xcomctl.change.pauses import Restored, to_restore


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ({"a": True, "b": True, "old": True}, Restored(unpaused=("a", "b"))),
        ({"a": False, "b": True, "old": True}, Restored(unpaused=("b",), unpaused_before=("a",))),
        ({"b": True, "old": True}, Restored(unpaused=("b",), gone=("a",))),
        ({"a": True, "b": True, "old": False}, Restored(unpaused=("a", "b"), unpaused_by_others=("old",))),
        # What came meanwhile is nobody's business here, paused or not.
        ({"a": True, "b": True, "old": True, "new": True}, Restored(unpaused=("a", "b"))),
    ],
)
def test_only_what_was_paused_for_it_is_unpaused(now: dict[str, bool], found: Restored) -> None:
    assert to_restore({"b", "a"}, {"old"}, now) == found


def test_a_second_time_there_is_nothing_left_to_do() -> None:
    assert to_restore({"a"}, (), {"a": False}).unpaused == ()


def test_what_an_earlier_call_unpaused_is_nobody_elses_doing() -> None:
    found = to_restore({"a", "b"}, (), {"a": False, "b": False}, unpaused_by_us=("a",))
    assert found == Restored(unpaused_before=("b",))
