"""An edit as a patch, applied by the programs that people apply it with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.carriers.patch import patch
from xcomctl.model.phases import Phase
from xcomctl.model.settings import BACKEND, PATH, settings_for

VALUES = Path(__file__).parents[3] / "data" / "values"
WANTED = settings_for(Phase.OFFLOAD, "s3://xcom_s3@artifacts/xcom", 1_600_000)
APPLIERS = {
    "git": ["git", "apply", "-p1"],
    "patch": ["patch", "-p1", "--binary", "--fuzz=0"],
}


@pytest.mark.parametrize("applier", APPLIERS)
@pytest.mark.parametrize("name", ["env-inline", "env-crlf", "env-bom-no-line-end", "compose-anchor", "no-env"])
def test_it_applies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, applier: str, name: str) -> None:
    if shutil.which(applier) is None:
        pytest.fail(f"{applier} is not installed: apt-get install {applier}")
    file = tmp_path / "infra" / "values.yaml"
    file.parent.mkdir()
    shutil.copy(VALUES / f"{name}.yaml", file)
    monkeypatch.chdir(tmp_path)
    carrier = CarrierFiles((Path("infra/values.yaml"),)).open()
    edit = carrier.edit(WANTED)
    content = patch(carrier, edit)
    assert content.startswith(b"--- a/infra/values.yaml\n+++ b/infra/values.yaml\n")
    assert file.read_bytes() == edit.before
    subprocess.run(APPLIERS[applier], input=content, check=True, cwd=tmp_path, capture_output=True)
    assert file.read_bytes() == edit.after


def test_several_files_are_one_patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("config:\n  core:\n    xcom_backend: a.B\n")
    Path("b.yaml").write_text("config:\n  common.io:\n    xcom_objectstorage_path: s3://c@b/x\n")
    carrier = CarrierFiles((Path("a.yaml"), Path("b.yaml"))).open()
    edit = carrier.edit({BACKEND.env: "c.D", PATH.env: "s3://c@b/y"})
    subprocess.run(["git", "apply"], input=patch(carrier, edit), check=True, capture_output=True)
    assert ["c.D" in Path("a.yaml").read_text(), "s3://c@b/y" in Path("b.yaml").read_text()] == [True, True]


def test_a_secret_two_lines_away_is_left_out_and_one_beside_it_is_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    far = f"fernetKey: abcdef\nuid: 1\nenv:\n- name: {BACKEND.env}\n  value: a.B\n"
    path.write_text(far)
    carrier = CarrierFiles((path,)).open()
    content = patch(carrier, carrier.edit({BACKEND.env: "c.D"}))
    assert b"abcdef" not in content and b"+  value: c.D" in content
    path.write_text(f"env:\n- name: DB_PASSWORD\n  value: hunter2\n- name: {BACKEND.env}\n  value: a.B\n")
    carrier = CarrierFiles((path,)).open()
    assert "hunter2" not in carrier.edit({BACKEND.env: "c.D"}).diff
    path.write_text(f"env:\n- value: a.B\n  name: {BACKEND.env}\n- name: DB_PASSWORD\n  value: hunter2\n")
    carrier = CarrierFiles((path,)).open()
    assert "hunter2" not in carrier.edit({BACKEND.env: "c.D"}).diff
    beside = f"env:\n- name: DB_PASSWORD\n  value: hunter2\n- value: a.B\n  name: {BACKEND.env}\n"
    path.write_text(beside)
    carrier = CarrierFiles((path,)).open()
    with pytest.raises(CarrierError, match="would show a secret"):
        patch(carrier, carrier.edit({BACKEND.env: "c.D"}))
    assert path.read_text() == beside
