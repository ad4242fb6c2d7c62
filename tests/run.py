"""``make test`` and ``make test-full``: runs parts one after the other and says what each found and cost.

A part that fails does not stop the next one. The exit code is 0 only if nothing failed.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support import measurements
from tests.support.plain_summary import Counts, PartResult, render

ROOT = Path(__file__).parents[1]
#: Seconds that all parts of `make test` may take together, environments included.
BUDGET_S = 32 * 60
_NO_TESTS = 5


@dataclass(frozen=True)
class Part:
    """One process: pytest, or a command that counts as one test."""

    name: str
    command: tuple[str, ...]
    budget_s: float | None = None
    pytest: bool = True
    keeps_figures: bool = False


def parts() -> list[Part]:
    """The parts of ``make test``, in their order."""
    return [
        Part("lint", ("-m", "tests.lint", "--only", "lint"), 30, pytest=False),
        Part("types", ("-m", "tests.lint", "--only", "types"), 60, pytest=False),
        Part("unit", ("-m", "pytest", "-q", "tests/unit"), 240),
        # The first line also proves what needs proving on one line only.
        *(Part(f"live-{line}", ("-m", "pytest", "-q", "tests/live", f"--airflow={line}"), budget_s)
          for line, budget_s in (("3.3", 960), ("2.11", 600))),
    ]  # fmt: skip


def full_parts() -> list[Part]:
    """The parts of ``make test-full``: one per ``tests/full/test_PART.py``, and ``browser`` (``tests/browser``).

    A file may say what it may cost: ``BUDGET_S = 600``.
    """
    found = [
        Part(path.stem.removeprefix("test_").replace("_", "-"), ("-m", "pytest", "-q", str(path.relative_to(ROOT))),
             _declared_budget(path), keeps_figures=True)
        for path in sorted((ROOT / "tests" / "full").glob("test_*.py"))
    ]  # fmt: skip
    if any((ROOT / "tests" / "browser").glob("test_*.py")):
        found.append(Part("browser", ("-m", "pytest", "-q", "tests/browser"), keeps_figures=True))
    return found


def run_part(part: Part) -> PartResult:
    """Run one part and count."""
    print(f"\n=== {part.name} ===", flush=True)
    with tempfile.TemporaryDirectory(prefix="xcomctl-tests-") as folder:
        counts_file, figures_file = Path(folder, "counts.json"), Path(folder, "figures.jsonl")
        command = [sys.executable, *part.command, *([f"--counts={counts_file}"] if part.pytest else [])]
        environment = dict(os.environ)
        if part.keeps_figures:
            environment[measurements.VARIABLE] = str(figures_file)
        started = time.monotonic()
        code = _wait(subprocess.Popen(command, cwd=ROOT, env=environment))
        seconds = time.monotonic() - started
        counts, remark = _counted(counts_file, code) if part.pytest else (Counts(*_one(code)), "")
        if part.keeps_figures:
            result = {"seconds": round(seconds, 1), "passed": counts.passed, "failed": counts.failed,
                      "skipped": counts.skipped}  # fmt: skip
            written = measurements.write(part.name, measurements.collected(figures_file), result)
            print(f"figures: {written.relative_to(ROOT)}")
    return PartResult(part.name, seconds, counts, part.budget_s, remark)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait, also while an interrupted part (the terminal interrupts it too) takes its servers down."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def _one(code: int) -> tuple[int, int]:
    return (1, 0) if code == 0 else (0, 1)


def _counted(path: Path, code: int) -> tuple[Counts, str]:
    """What pytest counted; if it ended badly without a failed test, or found no test, that is a failure too."""
    counts = Counts(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Counts()
    if code == _NO_TESTS or (code == 0 and counts == Counts()):
        return counts + Counts(failed=1), "no tests were found"
    if code != 0 and counts.failed == 0:
        return counts + Counts(failed=1), f"pytest ended with {code}"
    return counts, ""


def _declared_budget(path: Path) -> float | None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["BUDGET_S"]:
            return float(ast.literal_eval(node.value))
    return None


def main(argv: list[str] | None = None) -> int:
    """Run what the arguments ask for; the exit code."""
    parser = argparse.ArgumentParser(prog="tests.run", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the long parts, one at a time")
    parser.add_argument("--part", metavar="NAME", action="append", help="only this part (repeatable)")
    parser.add_argument("--spent", metavar="NAME=S", action="append", default=[], help="time that was spent before")
    args = parser.parse_args(argv)

    available = {part.name: part for part in (full_parts() if args.full else parts())}
    wanted = args.part or ([] if args.full else list(available))
    unknown = [name for name in wanted if name not in available]
    if unknown or not wanted:
        named = [repr(name) for name in unknown if name]
        print(f"no such part: {', '.join(named)}" if named else "which part?", file=sys.stderr)
        print("parts: " + (", ".join(available) or "none yet"), file=sys.stderr)
        return 2

    results = []
    for spent in args.spent:
        name, _, seconds = spent.partition("=")
        results.append(PartResult(name, float(seconds), Counts()))
    interrupted = False
    for name in wanted:
        try:
            results.append(run_part(available[name]))
        except KeyboardInterrupt:
            interrupted = True
            results.append(PartResult(name, 0, Counts(failed=1), remark="interrupted"))
            break
    whole = None if args.full or args.part else BUDGET_S
    print(render(results, total_budget_s=whole), flush=True)
    if interrupted:
        return 130
    return 1 if any(result.counts.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
