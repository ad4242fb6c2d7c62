"""``python -m tests.support.protocol``: what goes wrong without each line, and that nothing does with all of them."""

from __future__ import annotations

from tests.support.protocol.cases import NECESSARY, SUFFICIENT

for line, case in NECESSARY.items():
    print(f"Without: {line.value}\n{case.explore(frozenset({line}))}\n")
for case in SUFFICIENT:
    print(case.explore())
