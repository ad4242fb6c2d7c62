"""``make test`` and ``make test-full``: runs parts and says what each found and cost.

What is quick comes first, one part after the other. Of the others two run at a time: most of the time a live test waits
for one process, and a second core has nothing to do. A part that fails does not stop the next one. The exit code is 0 only
if nothing failed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.support import measurements
from tests.support.plain_summary import Area, Counts, PartResult, render

ROOT = Path(__file__).parents[1]
#: Seconds that `make test` may take, environments included.
BUDGET_S = 36 * 60
#: How many parts run at a time, of those that may run beside another one.
JOBS = min(2, os.cpu_count() or 1)
SANDBOXES = "tests/live/test_rehearse_command.py"
#: What the live tests of each of these may cost, the unit tests and the walk apart.
AREAS = (
    Area("pre-flight", 300, ("preflight",)),
    Area("after the flip", 300, ("refs", "pull", "probe", "verify", "status", "stored_shapes")),
    Area("up and down", 300, ("plan", "wait", "killswitch", "retrigger", "carriers", "journal")),
    Area("rehydrate", 240, ("rehydrate", "way_out", "store_contents")),
    Area("pods and Helm", 300, ("kubernetes", "runbook", "values")),
    Area("logs", 120, ("logs",)),
    Area("sizes", 120, ("size", "decide")),
)
_NO_TESTS = 5


@dataclass(frozen=True)
class Part:
    """One process: pytest, or a command that counts as one test.

    ``quick`` ones come first, each by itself; of those ``in_areas`` it is told what each of :data:`AREAS` took.
    """

    name: str
    command: tuple[str, ...]
    budget_s: float | None = None
    pytest: bool = True
    keeps_figures: bool = False
    quick: bool = False
    in_areas: bool = False


def parts() -> list[Part]:
    """The parts of ``make test``, in their order: of those that run beside one another, the longest first."""
    return [
        Part("lint", ("-m", "tests.lint", "--only", "lint"), 30, pytest=False, quick=True),
        Part("types", ("-m", "tests.lint", "--only", "types"), 60, pytest=False, quick=True),
        # The first line also proves what needs proving on one line only; what has sandboxes of its own is a part by itself.
        *(Part(f"live-{line}", ("-m", "pytest", "-q", "tests/live", f"--ignore={SANDBOXES}", f"--airflow={line}"), budget_s,
                in_areas=True)
          for line, budget_s in (("3.3", 1800), ("2.11", 1320))),
        Part("sandbox", ("-m", "pytest", "-q", SANDBOXES), 480),
        Part("unit", ("-m", "pytest", "-q", "tests/unit"), 300),
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


def _with_its_own(name: str, available: Iterable[str]) -> list[str]:
    return [name, *(each for each in available if name and each.startswith(f"{name}-"))]


_printing = threading.Lock()


@contextlib.contextmanager
def _shown(part: Part, alone: bool) -> Iterator[BinaryIO | None]:
    """Where a part's output goes: to the terminal (``None``); unless it is alone, to a file that is shown at its end."""
    title = f"\n=== {part.name} ==="
    if alone:
        print(title, flush=True)
        yield None
        return
    with tempfile.TemporaryFile() as output:
        try:
            yield output
        finally:
            output.seek(0)
            with _printing:
                print(f"{title}\n{output.read().decode(errors='replace').rstrip()}", flush=True)


def run_part(part: Part, *, alone: bool = True) -> PartResult:
    """Run one part and count."""
    with tempfile.TemporaryDirectory(prefix="xcomctl-tests-") as folder, _shown(part, alone) as output:
        counts_file, figures_file = Path(folder, "counts.json"), Path(folder, "figures.jsonl")
        command = [sys.executable, *part.command, *([f"--counts={counts_file}"] if part.pytest else [])]
        environment = dict(os.environ)
        if part.keeps_figures:
            environment[measurements.VARIABLE] = str(figures_file)
        started = time.monotonic()
        code = _wait(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output))
        seconds = time.monotonic() - started
        counts, spent, remark = _counted(counts_file, code) if part.pytest else (Counts(*_one(code)), {}, "")
        if part.keeps_figures:
            result = {"seconds": round(seconds, 1), "passed": counts.passed, "failed": counts.failed,
                      "skipped": counts.skipped}  # fmt: skip
            written = measurements.write(part.name, measurements.collected(figures_file), result)
            print(f"figures: {written.relative_to(ROOT)}")
    return PartResult(part.name, seconds, counts, part.budget_s, remark, spent if part.in_areas else {})


def run_parts(parts: Sequence[Part], jobs: int) -> tuple[list[PartResult], bool]:
    """Run parts, so many at a time; what was found, in their order, and whether Ctrl-C ended it."""
    beside = [part for part in parts if not part.quick] if jobs > 1 else []
    if len(beside) < 2:
        beside = []
    results = []
    for part in parts:
        if part not in beside:
            try:
                results.append(run_part(part))
            except KeyboardInterrupt:
                return [*results, PartResult(part.name, 0, Counts(failed=1), remark="interrupted")], True
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(run_part, part, alone=False) for part in beside]
        try:
            return results + [future.result() for future in futures], False
        except KeyboardInterrupt:  # the terminal has interrupted what runs, which takes its servers down
            begun = [future for future in futures if not future.cancel()]
            return results + [future.result() for future in begun], True


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait, also while an interrupted part (the terminal interrupts it too) takes its servers down."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def _one(code: int) -> tuple[int, int]:
    return (1, 0) if code == 0 else (0, 1)


def _counted(path: Path, code: int) -> tuple[Counts, dict[str, float], str]:
    """What pytest counted and what files took; if it ended badly without a failed test, or found none, that is a failure."""
    written = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    spent = written.pop("spent", {})
    counts = Counts(**written)
    if code == _NO_TESTS or (code == 0 and counts == Counts()):
        return counts + Counts(failed=1), spent, "no tests were found"
    if code != 0 and counts.failed == 0:
        return counts + Counts(failed=1), spent, f"pytest ended with {code}"
    return counts, spent, ""


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
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=JOBS, help="parts that run at a time (here: %(default)s)"
    )
    parser.add_argument("--spent", metavar="NAME=S", action="append", default=[], help="time that was spent before")
    args = parser.parse_args(argv)

    available = {part.name: part for part in (full_parts() if args.full else parts())}
    wanted = args.part or ([] if args.full else list(available))
    # A long part has those with it that go on from its name: `matrix` has `matrix-kubernetes`.
    wanted = [each for name in wanted for each in (_with_its_own(name, available) if args.full else [name])]
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
    started = time.monotonic()
    # A long part has its figures taken, so nothing runs beside it.
    found, interrupted = run_parts([available[name] for name in wanted], 1 if args.full else args.jobs)
    total = sum(result.seconds for result in results) + time.monotonic() - started
    results += found
    whole = {} if args.full or args.part else {"total_s": total, "total_budget_s": BUDGET_S}
    print(render(results, areas=() if args.full else AREAS, **whole), flush=True)
    if interrupted:
        return 130
    return 1 if any(result.counts.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
