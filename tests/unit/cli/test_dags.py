"""``xcomctl dags``: writes what ships, and overwrites nothing by accident."""

import ast
import base64
import json
from pathlib import Path

import pytest

from xcomctl.cli.main import main
from xcomctl.deployment import bundle, dag_files
from xcomctl.model import in_task

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


# -- the canary, which carries xcomctl

CANARY = "xcomctl_canary"


@pytest.mark.parametrize("name", ["canary", CANARY])
def test_the_canary_by_name_goes_to_the_current_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["dags", "export", name]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"{CANARY}.py"]
    assert capsys.readouterr().out == f"written    {CANARY}.py\n"


def test_names_come_before_the_folder(tmp_path: Path) -> None:
    assert main(["dags", "export", "canary", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"{CANARY}.py"]
    assert main(["dags", "export", DAG, "canary", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{DAG}.py", f"{CANARY}.py"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["canry"], "neither a DAG of xcomctl (canary, "),
        (["canry", "."], "'canry' is no DAG of xcomctl"),
        (["-"], "- takes one file"),
    ],
)
def test_a_name_that_is_none_is_a_usage_error(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dags", "export", *words])
    assert ended.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_the_canary_carries_what_lies_below_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dags", "export", "canary", "-"]) == 0
    exported = ast.parse(capsys.readouterr().out)
    constants = {
        node.targets[0].id: node.value.value  # type: ignore[attr-defined]
        for node in exported.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    assert base64.b64decode(constants["ARCHIVE"]) == bundle.pack()
    assert constants["DIGEST"] == bundle.digest()
    # What a DAG processor runs every few seconds imports nothing of it.
    imported = {
        name
        for node in exported.body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module])
    }
    assert imported <= {"__future__", "base64", "io", "sys", "zipfile", "datetime", "pathlib"}


def test_the_dag_that_is_asked_for_is_the_one_that_is_exported() -> None:
    text = dag_files.content(in_task.DAG_ID).decode()
    assert f'dag_id="{in_task.DAG_ID}"' in text
    assert f'task_id="{in_task.TASK_ID}"' in text
    assert f'conf.get("{in_task.CONF_OPTIONS}")' in text
