from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.report import samples
from xcomctl.errors import UserError
from xcomctl.model.rehearsal import RehearsalReport
from xcomctl.report.rehearsal_files import ReportError, write_report


@pytest.mark.parametrize("sample", [*samples.ALL, "hostile"])
def test_writes_three_files_and_nothing_else(tmp_path: Path, sample: str) -> None:
    report = getattr(samples, sample)()
    folder = tmp_path / "deep" / "rehearsal-1"
    paths = write_report(report, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json", "report.md"]
    assert {paths.json, paths.markdown, paths.html} == set(folder.iterdir())
    if sample != "hostile":  # it has a NaN, which equals nothing
        assert RehearsalReport.from_json(json.loads(paths.json.read_text("utf-8"))).to_json() == report.to_json()
    assert write_report(samples.passed(), folder) == paths


def test_says_in_one_sentence_why_it_could_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"^Could not write the folder .*file.*: ") as caught:
        write_report(samples.passed(), tmp_path / "file" / "x")
    assert isinstance(caught.value, UserError)
    assert caught.value.hint


def test_a_file_that_cannot_be_replaced_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "report.md").mkdir()
    with pytest.raises(ReportError, match=r"report\.md: Is a directory"):
        write_report(samples.passed(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]
