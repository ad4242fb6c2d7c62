"""``xcomctl verify`` at the desk: what it expects of contexts, and the commands that it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xcomctl.assess import verify
from xcomctl.assess.resolution import Expected
from xcomctl.cli.main import main
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND
from xcomctl.model.verdicts import Check, Status

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


@pytest.mark.parametrize(("more", "carrier"), [('carrier = "values.env"', ""), ("", " --carrier FILE")])
def test_the_way_out_names_the_deployment_and_a_carrier_where_it_has_none(
    more: str, carrier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = Check("config_drift", "resolution", "title", Status.FAIL, "they differ", "xcomctl preflight --only config")
    monkeypatch.setattr(verify, "layer_a", lambda *of: ([], (failed,)))
    assert on_deployment(tmp_path, "-o", "json", more=more) == 3
    first, status, hint = json.loads(capsys.readouterr().out)["next_steps"]
    named = f" -D prod --config {tmp_path / 'xcomctl.toml'} --journal {tmp_path / 'journal.jsonl'}"
    assert first.startswith(f"xcomctl killswitch{carrier}{named}  # or set ")
    assert (status, hint) == (f"xcomctl status{named}", f"xcomctl preflight --only config{named}")
