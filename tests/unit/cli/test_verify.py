"""``xcomctl verify`` at the desk: what it expects of contexts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xcomctl.assess import verify
from xcomctl.assess.resolution import Expected
from xcomctl.cli.main import main
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND

PLANNED = "s3://store@bucket/xcom"
TOML = """
[deployments.prod]
MORE
[[deployments.prod.contexts]]
name = "scheduler"
via = "false"
[deployments.prod.settings]
path = "s3://store@bucket/xcom"
threshold = 1600000
"""


def on_deployment(tmp_path: Path, *arguments: str, more: str = "") -> int:
    """The command on a deployment whose one context does not answer."""
    config = tmp_path / "xcomctl.toml"
    config.write_text(TOML.replace("MORE", more))
    journal = str(tmp_path / "journal.jsonl")
    return main(["verify", "-D", "prod", "--config", str(config), "--journal", journal, *arguments])


@pytest.mark.parametrize(
    ("arguments", "path", "threshold", "asked_path", "asked_threshold"),
    [
        ([], PLANNED, 1_600_000, None, None),
        (["--expect-threshold", "0"], PLANNED, 0, None, 0),
        (["--expect-path", "s3://other/x"], "s3://other/x", 1_600_000, "s3://other/x", None),
    ],
)
def test_what_is_planned_is_told_from_what_is_typed(
    arguments: list[str], path: str, threshold: int, asked_path: str | None, asked_threshold: int | None,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: list[Expected] = []

    def layer_a(
        fleet: object, expected: Expected, asked: Expected, progress: object
    ) -> tuple[list[Any], tuple[Any, ...]]:
        seen.extend((expected, asked))
        return [], ()

    monkeypatch.setattr(verify, "layer_a", layer_a)
    assert on_deployment(tmp_path, *arguments) == 5
    assert seen == [
        Expected(OBJECT_STORAGE_BACKEND, path, threshold),
        Expected(OBJECT_STORAGE_BACKEND, asked_path, asked_threshold),
    ]
