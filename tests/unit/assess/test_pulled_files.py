"""Values as files: names that lead nowhere else, files that are whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.assess.pulled_files import Files, place_of, safe_name
from xcomctl.errors import UserError
from xcomctl.model.pull import PulledItem


def item(**fields) -> PulledItem:
    return PulledItem(
        **{
            "task_id": "task",
            "map_index": -1,
            "key": "key",
            "pushed": None,
            "place": "inline",
            "stored_bytes": 1,
            **fields,
        }
    )


@given(st.text())
def test_any_name_is_one_name_of_a_file(name):
    safe = safe_name(name)
    assert safe and "/" not in safe and not safe.startswith(".") and safe.isascii() and len(safe) <= 200
    assert Path("/folder", safe).parent == Path("/folder")


@given(st.text(max_size=50), st.text(max_size=50))
def test_two_names_are_two_files(one, other):
    assert (safe_name(one) == safe_name(other)) == (one == other)


@pytest.mark.parametrize("name", ["..", ".", "../../etc/passwd", "a/b", "\x00", "", "~", "x" * 5000, "é" * 300])
def test_what_leads_elsewhere_stays_here(name, tmp_path):
    path = place_of(item(task_id=name, key=name, is_json=True, has_json=True, json=1), tmp_path)
    assert path.resolve().is_relative_to(tmp_path)
    Files(tmp_path, force=False).write(item(task_id=name, key=name, is_json=True, has_json=True, json=1))
    assert path.read_text() == "1\n"


def test_files_are_kept_unless_forced_and_leave_no_half_ones(tmp_path):
    files = Files(tmp_path, force=False)
    path = files.write(item(is_json=True, has_json=True, json={"a": 1}))
    assert path is not None and path.suffix == ".json"
    assert files.write(item(is_json=True, has_json=True, json=2)) is None and files.kept == [path]
    assert Files(tmp_path, force=True).write(item(is_json=True, has_json=True, json=2)) == path
    assert path.read_text() == "2\n"
    assert Files(tmp_path, force=True).write(item(text="(1, 2)")).name == "key.repr.txt"
    assert not list(tmp_path.rglob(".xcomctl-*"))


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="not a folder"):
        Files(tmp_path / "file", force=True)
