"""The runner of ``make test`` counts honestly: what was not seen to pass has failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import run
from tests.support.plain_summary import SHARED, Area, Counts, PartResult, render

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


def counted(folder: Path, text: str) -> tuple[Counts, dict[str, float], str]:
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
    counts, _, remark = counted(tmp_path, MODULE)
    assert (counts, remark) == (Counts(passed=1, failed=3, skipped=2), "")


@pytest.mark.parametrize(
    ("text", "remark"),
    [("", "no tests were found"), ("import no_such_module", ""), ("import os; os._exit(9)", "pytest ended with 9"),
     ("import os\ndef test_it(): os._exit(0)", "no tests were found")],
)  # fmt: skip
def test_what_was_not_seen_to_pass_has_failed(tmp_path: Path, text: str, remark: str) -> None:
    counts, _, told = counted(tmp_path, text)
    assert (counts, told) == (Counts(failed=1), remark)


def test_a_bad_end_after_good_tests_has_failed(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    path.write_text(json.dumps({"passed": 3, "failed": 0, "skipped": 0}))
    assert run._counted(path, 3) == (Counts(passed=3, failed=1), {}, "pytest ended with 3")


SLOW = """
import time, pytest
from tests.support.plain_summary import counter_of

@pytest.fixture(scope="session")
def server(request):
    time.sleep(0.4)
    counter_of(request.config).visited("tests.live.test_another", 0.1)

@pytest.fixture(scope="module")
def own(server):
    time.sleep(0.2)

def test_slow(own): time.sleep(0.2)
"""


def test_what_a_session_shares_is_not_booked_on_the_file_that_came_first(tmp_path: Path) -> None:
    _, spent, _ = counted(tmp_path, SLOW)
    assert set(spent) == {SHARED, "test_it.py", "test_another.py"}
    assert spent["test_another.py"] == pytest.approx(0.1)
    # At least what each has slept; and what is booked on one is not on the other.
    assert spent[SHARED] >= 0.3 and spent["test_it.py"] >= 0.4
    assert sum(spent.values()) >= 0.8


def test_an_area_costs_what_its_parts_spent_on_it_side_by_side() -> None:
    areas = [Area("pulls", 14, ("pull",)), Area("others", 1, ("refs", "x"))]
    results = [
        PartResult("live-a", 50, Counts(1), spent={"test_pull.py": 20.0, "test_pull_more.py": 6.0, SHARED: 9.0}),
        PartResult("live-b", 50, Counts(1), spent={"test_pull.py": 3.0, "test_refs.py": 0.5, SHARED: 7.0}),
        PartResult("lint", 1, Counts(1)),
    ]
    lines = render(results, areas=areas).splitlines()
    at = lines.index("of live-a and live-b:")
    assert [" ".join(line.split()) for line in lines[at + 1 : at + 4]] == [
        "what is shared 8.0 s live-a 9 s, live-b 7 s",
        "pulls 14.5 s of 14 s OVER live-a 26 s, live-b 3 s",
        "others 0.2 s of 1 s live-a 0 s, live-b 0 s",
    ]
    assert lines[-1] == "3 passed, 0 failed"
    assert render(results[2:], areas=areas).splitlines()[-3].split()[0] == "lint"


def test_each_area_names_files_that_there_are() -> None:
    files = [path.name.removeprefix("test_") for path in (run.ROOT / "tests" / "live").glob("test_*.py")]
    for beginning in (each for area in run.AREAS for each in area.files):
        assert any(file.startswith(beginning) for file in files), beginning
    assert all(sum(file.startswith(area.files) for area in run.AREAS) <= 1 for file in files)


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


def test_a_long_part_has_those_with_it_that_go_on_from_its_name():
    available = {"matrix": 1, "matrix-kubernetes": 1, "preflight-matrix": 1, "kills-change": 1}
    assert run._with_its_own("matrix", available) == ["matrix", "matrix-kubernetes"]
    assert run._with_its_own("kills-change", available) == ["kills-change"]
    assert run._with_its_own("", available) == [""]
