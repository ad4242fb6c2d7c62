"""What ``xcomctl --help`` costs, against a bare interpreter in the same run. Figures, no assertion."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def seconds(command: list[str]) -> float:
    """How long one run of a command takes."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Run both in turn, so that both see the same machine, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="runs of each (default: 15)")
    runs = parser.parse_args().runs
    bare, helped = [sys.executable, "-c", "pass"], [sys.executable, "-m", "xcomctl", "--help"]
    seconds(bare), seconds(helped)  # warm: byte code and file cache
    pairs = [(seconds(bare), seconds(helped)) for _ in range(runs)]
    bare_s, help_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"python -c pass    {bare_s * 1000:7.1f} ms")
    print(f"xcomctl --help    {help_s * 1000:7.1f} ms")
    print(f"ratio             {help_s / bare_s:7.1f}")


if __name__ == "__main__":
    main()
