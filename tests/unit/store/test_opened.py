"""What an error of any file system amounts to."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcomctl.store.folders import missing_folders, remove_empty
from xcomctl.store.opened import is_refusal, message_of


class HttpError(Exception):
    def __init__(self, **fields: int) -> None:
        super().__init__("no")
        self.__dict__.update(fields)


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (PermissionError("Access Denied."), True),
        (HttpError(code=403), True),
        (HttpError(status_code=401), True),
        (HttpError(status_code=404), False),
        (FileNotFoundError("403"), False),
        (OSError(5, "InternalError"), False),
    ],
)
def test_a_refusal_is_told_from_other_errors(error: Exception, refused: bool) -> None:
    assert is_refusal(error) is refused


def test_a_message_is_one_line_that_ends() -> None:
    assert message_of(ValueError("a\n  b")) == "ValueError: a b"
    assert message_of(ValueError()) == "ValueError: no reason given"
    assert len(message_of(ValueError("x" * 9_999))) < 400


def test_folders_of_our_own_go_and_others_stay(tmp_path: Path) -> None:
    deepest = tmp_path / "a" / "b" / "c"
    missing = missing_folders(deepest)
    assert missing == [deepest, deepest.parent, deepest.parent.parent]
    deepest.mkdir(parents=True)
    (tmp_path / "a" / "theirs").touch()
    remove_empty(missing)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["theirs"]
    remove_empty(missing)
    assert (tmp_path / "a").exists()
