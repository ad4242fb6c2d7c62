"""What reading many lines out of Loki costs, against its floor in the same run.

The floor is ⌈lines ÷ limit⌉ requests, as if no two lines had the same time, whose JSON is only parsed. The Loki is the fake
of the tests, in a process of its own; seven lines share each nanosecond. Figures, no assertion.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path

from xcomctl.clients.loki import FixedAddress, Login, Loki

ROOT = Path(__file__).parents[1]
QUERY = '{namespace="airflow"}'
#: 2026-06-06T12:00:00Z in nanoseconds.
START = 1_780_747_200 * 1_000_000_000
PER_NS = 7
LIMIT = 5000

SERVER = """
import sys
from tests.support.loki import fake_loki
lines, start, per_ns = map(int, sys.argv[1:])
with fake_loki() as loki:
    for pod in range(3):
        entries = ((start + n // per_ns * 1000, f"line {n} " + "x" * 150) for n in range(lines) if n % 3 == pod)
        loki.push({"namespace": "airflow", "pod": f"pod-{pod}", "stream": "stdout"}, entries)
    print(loki.url, flush=True)
    sys.stdin.read()
"""


def floor(url: str, lines: int) -> float:
    """Seconds of as many requests as there are pages at least, parsed and forgotten."""
    import httpx

    started = time.perf_counter()
    with httpx.Client(trust_env=False, timeout=60) as client:
        for page in range(math.ceil(lines / LIMIT)):
            at = START + page * LIMIT // PER_NS * 1000
            params: dict[str, str | int] = {
                "query": QUERY, "start": at, "end": START + lines * 1000, "limit": LIMIT, "direction": "forward",
            }  # fmt: skip
            client.get(f"{url}/loki/api/v1/query_range", params=params).raise_for_status().json()
    return time.perf_counter() - started


def read(url: str, lines: int) -> tuple[float, int]:
    """Seconds of reading every line, and the requests for it."""
    started = time.perf_counter()
    with Loki(FixedAddress(url), Login(), say=lambda text: print(text, file=sys.stderr)) as loki:
        found = sum(1 for _ in loki.lines(QUERY, START, START + lines * 1000))
        if found != lines or loki.incomplete:
            raise SystemExit(f"{found} of {lines} lines: {loki.incomplete}")
        return time.perf_counter() - started, loki.requests


def main() -> None:
    """Both in turn, so that both see the same machine; prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000, help="lines (default: 100000)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default: 5)")
    args = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(args.lines), str(START), str(PER_NS)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        url = server.stdout.readline().strip()
        floors, reads = [], []
        requests = 0
        floor(url, args.lines)  # warm: what is imported once
        for _ in range(args.rounds):
            floors.append(floor(url, args.lines))
            taken, requests = read(url, args.lines)
            reads.append(taken)
    finally:
        server.communicate()  # it ends with its input
    least = math.ceil(args.lines / LIMIT)
    record = {
        "lines": args.lines,
        "lines_per_s": round(args.lines / statistics.median(reads)),
        "requests": requests,
        "requests_floor": least,
        "requests_to_floor": round(requests / least, 2),
        "seconds_to_floor": round(statistics.median(reads) / statistics.median(floors), 2),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
