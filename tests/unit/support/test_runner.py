"""The runner of ``make test`` counts honestly: what was not seen to pass has failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import run
from tests.support.plain_summary import Counts, PartResult, render

MODULE = """
import pytest

@pytest.fixture
def broken_at_setup():
    raise RuntimeError

@pytest.fixture
def broken_at_teardown():
    yield
    raise RuntimeError

def test_passes(): pass
def test_fails(): assert False
def test_error_at_setup(broken_at_setup): pass
def test_error_at_teardown(broken_at_teardown): pass
def test_skipped(): pytest.skip("why")
@pytest.mark.xfail
def test_expected_to_fail(): assert False
"""


def counted(folder: Path, text: str) -> tuple[Counts, str]:
    (folder / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    counts = folder / "counts.json"
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.plain_summary", f"--counts={counts}",
         f"--rootdir={folder}", f"-c{folder}/pytest.ini", str(folder)],
        cwd=run.ROOT, capture_output=True, env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    return run._counted(counts, ended.returncode)


def test_each_test_counts_once_by_the_worst_that_happened(tmp_path: Path) -> None:
    assert counted(tmp_path, MODULE) == (Counts(passed=1, failed=3, skipped=2), "")


@pytest.mark.parametrize(
    ("text", "remark"),
    [("", "no tests were found"), ("import no_such_module", ""), ("import os; os._exit(9)", "pytest ended with 9"),
     ("import os\ndef test_it(): os._exit(0)", "no tests were found")],
)  # fmt: skip
def test_what_was_not_seen_to_pass_has_failed(tmp_path: Path, text: str, remark: str) -> None:
    assert counted(tmp_path, text) == (Counts(failed=1), remark)


def test_a_bad_end_after_good_tests_has_failed(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    path.write_text(json.dumps({"passed": 3, "failed": 0, "skipped": 0}))
    assert run._counted(path, 3) == (Counts(passed=3, failed=1), "pytest ended with 3")


def test_the_closing_line_stands_alone() -> None:
    results = [PartResult("unit", 2, Counts(3, 1), 1), PartResult("live", 1, Counts(1, 0, 2))]
    lines = render(results, total_s=6, total_budget_s=5).splitlines()
    assert lines[-1] == "4 passed, 1 failed, 2 skipped"
    assert lines[-3].split() == ["total", "6.0", "s", "of", "5", "s", "OVER"]
    assert "OVER" in next(line for line in lines if line.startswith("unit"))
    assert render([PartResult("unit", 2, Counts(3))]).splitlines()[-1] == "3 passed, 0 failed"


@pytest.mark.parametrize("arguments", [["--part", "nope"], ["--full"], ["--full", "--part", ""]])
def test_an_unknown_part_lists_the_parts(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(arguments) == 2
    assert "parts: " in capsys.readouterr().err


def of_seconds(name: str, seconds: float, quick: bool = False) -> run.Part:
    """A part that prints where it begins and where it ends."""
    code = f"import time; print('{name} begins', flush=True); time.sleep({seconds}); print('{name} ends')"
    return run.Part(name, ("-c", code), pytest=False, quick=quick)


def test_parts_beside_one_another_are_shown_whole_and_in_their_order(capfd: pytest.CaptureFixture[str]) -> None:
    parts = [of_seconds("slow", 0.6), of_seconds("first", 0, quick=True), of_seconds("fast", 0)]
    results, interrupted = run.run_parts(parts, 2)
    assert [(result.name, result.counts) for result in results] == [
        (name, Counts(passed=1)) for name in ("first", "slow", "fast")
    ]
    assert not interrupted
    shown = [line for line in capfd.readouterr().out.splitlines() if line]
    for name in ("first", "slow", "fast"):
        at = shown.index(f"=== {name} ===")
        assert shown[at : at + 3] == [f"=== {name} ===", f"{name} begins", f"{name} ends"]


def test_a_part_that_fails_beside_another_fails_alone(capfd: pytest.CaptureFixture[str]) -> None:
    failing = run.Part("failing", ("-c", "import sys; print('why', file=sys.stderr); sys.exit(1)"), pytest=False)
    results, _ = run.run_parts([of_seconds("slow", 0.2), failing], 2)
    assert [(result.name, result.counts.failed) for result in results] == [("slow", 0), ("failing", 1)]
    assert "why" in capfd.readouterr().out
