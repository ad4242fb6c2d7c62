"""``xcomctl dags``: writes what ships, and overwrites nothing by accident."""

import ast
import json
from pathlib import Path

import pytest

from xcomctl.cli.main import main

DAG = "diagnostic__s42"


def test_list_says_what_each_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dags", "list"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(DAG))
    assert "XCom" in line.removeprefix(DAG)


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dags", "list", "-o", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["schema"] == "xcomctl.dags/1"
    assert DAG in [dag["name"] for dag in listed["dags"]]


def test_export_to_a_folder_then_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dags", "export", str(tmp_path)]) == 0
    file = tmp_path / f"{DAG}.py"
    ast.parse(file.read_text())
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.suffix for path in tmp_path.iterdir()] == [".py"] * len(list(tmp_path.iterdir()))
    capsys.readouterr()
    assert main(["dags", "export", str(tmp_path)]) == 0
    assert "unchanged" in capsys.readouterr().out


def test_export_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dags", "export", "-d", DAG, "-"]) == 0
    assert f'"""``{DAG}``' in capsys.readouterr().out


def test_a_changed_file_is_left_alone_without_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / f"{DAG}.py"
    file.write_text("# mine\n")
    assert main(["dags", "export", str(tmp_path)]) == 6
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_text() == "# mine\n"
    assert "--force" in capsys.readouterr().err
    assert main(["dags", "export", "--dry-run", str(tmp_path)]) == 0
    assert "needs --force" in capsys.readouterr().out
    assert file.read_text() == "# mine\n"
    assert main(["dags", "export", "--force", str(tmp_path)]) == 0
    assert file.read_text() != "# mine\n"


def test_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dags", "export", "--dry-run", str(tmp_path)]) == 0
    assert "would write" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["no/such/folder", __file__])
def test_a_target_that_is_no_folder_is_a_usage_error(target: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dags", "export", target])
    assert ended.value.code == 2
