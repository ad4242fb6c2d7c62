"""``python -m tests.support.protocol``: what goes wrong without each line, that nothing does with all of them, but for one."""

from __future__ import annotations

from tests.support.protocol import explore, worlds
from tests.support.protocol.cases import NECESSARY, SUFFICIENT

for line, case in NECESSARY.items():
    print(f"Without: {line.value}\n{case.explore(frozenset({line}))}\n")
for case in SUFFICIENT:
    print(case.explore())
print(f"What the barrier does not see on 2.x:\n{explore.explore(worlds.CLEARED_IN_THE_QUEUE)}")
