"""The table of faults names checks and tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from xcomctl.agent.requests.run_review import CHECKS as OF_A_RUN
from xcomctl.assess.drift import CHECK_ID
from xcomctl.checks.catalogue import CHECKS
from xcomctl.model.rehydrate import WORDS as LEFT_AS

#: Layer A of verify.
OF_A_CONTEXT = {"resolution_settings", "resolution_class", "resolution_names"}

ROOT = Path(__file__).parents[3]
ROWS = [
    line.split("|")[1:-1] for line in (ROOT / "docs" / "failures.md").read_text().splitlines() if line.startswith("| F")
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip() for row in ROWS])
def test_a_row_names_what_is_there(row: list[str]) -> None:
    _, _, _, checks, tests = row
    ids = re.findall(r"`([^`]+)`", checks)
    assert ids and set(ids) <= {spec.id for spec in (*CHECKS, *OF_A_RUN)} | {CHECK_ID, *OF_A_CONTEXT, *LEFT_AS}
    named = re.findall(r"`([^`]+)::([^`]+)`", tests)
    assert named
    for file, function in named:
        tree = ast.parse((ROOT / file).read_text())
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in functions, (file, function)
    # Each check is at least named in one of the files that the row points to.
    text = "".join((ROOT / file).read_text() for file, _ in named)
    for check_id in ids:
        assert check_id in text or check_id.upper() in text, check_id


def test_every_fault_that_is_looked_for_has_a_row() -> None:
    """The rows of the project's list that name a fault of configuration, or one that a run shows."""
    listed = {number for row in ROWS for number in re.findall(r"F(\d+)", row[0])}
    wanted = {
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        17,
        18,
        19,
        20,
        21,
        22,
        23,
        24,
        25,
        33,
        35,
        36,
        38,
        39,
        41,
        44,
        45,
        48,
    }
    assert {str(number) for number in wanted} <= listed
