"""Several values files as one carrier, as ``helm -f A -f B`` lays them over each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.model.settings import BACKEND, PATH, THRESHOLD


@pytest.fixture
def files(tmp_path: Path):
    def make(*contents: str) -> CarrierFiles:
        paths = []
        for number, content in enumerate(contents):
            paths.append(tmp_path / f"{number}.yaml")
            paths[-1].write_text(content)
        return CarrierFiles(tuple(paths))

    return make


def texts(named: CarrierFiles) -> list[str]:
    return [path.read_text() for path in named.paths]


def written(named: CarrierFiles, changes: dict[str, str | None]) -> list[str]:
    carrier = named.open()
    carrier.write(carrier.edit(changes))
    return texts(named)


def test_mappings_merge_and_the_last_file_wins(files) -> None:
    named = files(
        "config:\n  core:\n    xcom_backend: a.B\n    parallelism: 1\n", "config:\n  core:\n    xcom_backend: c.D\n"
    )
    assert named.open().settings() == {BACKEND.env: "c.D"}
    below, above = written(named, {BACKEND.env: "e.F", PATH.env: "s3://c@b/x"})
    assert "a.B" in below and "parallelism: 1" in below
    assert above == "config:\n  core:\n    xcom_backend: e.F\n  common.io:\n    xcom_objectstorage_path: s3://c@b/x\n"


def test_what_only_the_first_file_says_is_edited_there(files) -> None:
    named = files("config:\n  core:\n    xcom_backend: a.B\n", "executor: CeleryExecutor\n")
    assert written(named, {BACKEND.env: "e.F"}) == [
        "config:\n  core:\n    xcom_backend: e.F\n",
        "executor: CeleryExecutor\n",
    ]


def test_one_change_may_touch_several_files(files) -> None:
    named = files(
        "config:\n  core:\n    xcom_backend: a.B\n", "config:\n  common.io:\n    xcom_objectstorage_threshold: '-1'\n"
    )
    before = texts(named)
    carrier = named.open()
    edit = carrier.edit({BACKEND.env: "e.F", THRESHOLD.env: "20000"})
    carrier.write(edit)
    assert ["e.F" in texts(named)[0], "20000" in texts(named)[1]] == [True, True]
    assert edit.diff.count("@@") == 4
    named.open().write(edit.inverse())
    assert texts(named) == before


def test_a_list_replaces_the_one_below(files) -> None:
    named = files(
        f"env:\n- name: {BACKEND.env}\n  value: a.B\n- name: {PATH.env}\n  value: s3://c@b/x\n",
        f"env:\n- name: {BACKEND.env}\n  value: c.D\n",
    )
    assert named.open().settings() == {BACKEND.env: "c.D"}  # the path is gone, whatever the first file says
    below, above = written(named, {PATH.env: "s3://c@b/y"})
    assert "s3://c@b/x" in below
    assert above.endswith(f"- name: {PATH.env}\n  value: s3://c@b/y\n")


def test_null_takes_out_what_is_below_and_is_where_it_is_written_again(files) -> None:
    named = files("config:\n  core:\n    xcom_backend: a.B\n", "config:\n  core:\n    xcom_backend:  # none\n")
    assert named.open().settings() == {}
    below, above = written(named, {BACKEND.env: "e.F"})
    assert "a.B" in below and above == "config:\n  core:\n    xcom_backend: e.F  # none\n"


def test_a_first_setting_goes_into_the_file_that_wins(files) -> None:
    below, above = written(files("executor: CeleryExecutor\n", "images: {}\n"), {BACKEND.env: "e.F"})
    assert below == "executor: CeleryExecutor\n" and above.startswith("images: {}\nenv:\n")


def test_a_file_that_changed_meanwhile_leaves_every_file_alone(files) -> None:
    named = files(
        "config:\n  core:\n    xcom_backend: a.B\n", "config:\n  common.io:\n    xcom_objectstorage_threshold: '-1'\n"
    )
    carrier = named.open()
    edit = carrier.edit({BACKEND.env: "e.F", THRESHOLD.env: "20000"})
    for changed in named.paths:
        content = changed.read_text()
        changed.write_text(content + "# mine\n")
        before = texts(named)
        with pytest.raises(CarrierError, match="changed by somebody else"):
            carrier.write(edit)
        assert texts(named) == before
        changed.write_text(content)


def test_what_was_written_is_put_back_when_the_next_file_cannot_be(files, monkeypatch) -> None:
    from xcomctl.deployment.carriers import interface

    named = files(
        "config:\n  core:\n    xcom_backend: a.B\n", "config:\n  common.io:\n    xcom_objectstorage_threshold: '-1'\n"
    )
    before, carrier = texts(named), named.open()
    edit = carrier.edit({BACKEND.env: "e.F", THRESHOLD.env: "20000"})
    replace = interface.replace_content

    def full(path: Path, old: bytes, new: bytes) -> None:
        if path == named.paths[1]:
            raise CarrierError(f"cannot write {path}: No space left on device")
        replace(path, old, new)

    monkeypatch.setattr(interface, "replace_content", full)
    with pytest.raises(CarrierError, match="No space left"):
        carrier.write(edit)
    assert texts(named) == before


def test_killed_between_two_files_it_comes_to_the_same_end(files) -> None:
    named = files(
        "config:\n  core:\n    xcom_backend: a.B\n", "config:\n  common.io:\n    xcom_objectstorage_threshold: '-1'\n"
    )
    changes: dict[str, str | None] = {BACKEND.env: "e.F", THRESHOLD.env: "20000"}
    edit = named.open().edit(changes)
    named.paths[0].write_bytes(edit.others[0].after)
    assert written(named, changes) == [edit.others[0].after.decode(), edit.after.decode()]


def test_only_helm_values_are_laid_over_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("A=1\n")
    (tmp_path / "b.yaml").write_text("env: []\n")
    with pytest.raises(CarrierError, match=r"only Helm values are read as several files, and .*a\.env is none"):
        CarrierFiles((tmp_path / "a.env", tmp_path / "b.yaml")).open()
    (tmp_path / "c.yaml").write_text("services:\n  airflow: {image: x}\n")
    with pytest.raises(CarrierError, match="only Helm values"):
        CarrierFiles((tmp_path / "b.yaml", tmp_path / "c.yaml")).open()
