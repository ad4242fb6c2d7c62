"""A pre-flight as text and as JUnit: golden files, hostile text, quiet."""

from __future__ import annotations

import io
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support import preflight_samples as samples
from xcomctl.model.preflight import ContextReport, PreflightReport
from xcomctl.model.verdicts import Status
from xcomctl.report.junit import render_junit
from xcomctl.report.preflight_text import render_preflight

GOLDEN = Path(__file__).parent / "golden"


def text(report: PreflightReport, **options: bool) -> str:
    stream = io.StringIO()
    render_preflight(report, stream, width=100, **options)
    return stream.getvalue()


def junit(report: PreflightReport) -> str:
    stream = io.StringIO()
    render_junit("xcomctl preflight", [(each.name, each.checks) for each in report.contexts], stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("preflight-one.txt", lambda: text(samples.one())),
        ("preflight-quiet.txt", lambda: text(samples.one(), quiet=True)),
        ("preflight-several.txt", lambda: text(samples.several())),
        ("preflight.junit.xml", lambda: junit(samples.several())),
    ],
)
def test_golden(name: str, shown) -> None:  # type: ignore[no-untyped-def]
    path = GOLDEN / name
    found = shown()
    if os.environ.get("XCOMCTL_UPDATE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_quiet_shows_problems_and_the_verdict_alone() -> None:
    shown = text(samples.several(), quiet=True)
    assert "Contexts" not in shown
    assert "FAIL  config_path" in shown
    assert shown.rstrip().endswith("3 OK") or "Pre-flight failed (exit 3)" in shown


def test_junit_counts_are_those_of_its_cases() -> None:
    root = ElementTree.fromstring(junit(samples.several()))
    for suite in root:
        assert int(suite.attrib["tests"]) == len(suite)
        assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))


def test_text_from_elsewhere_stays_text() -> None:
    nasty = samples.check("config_path", Status.FAIL, "\x1b[2J<&\x00\ud800]]>\u202e", "do \x07 this")
    report = samples.report(ContextReport("na\x1bme", (nasty,), samples.answer()))
    assert "\x1b" not in text(report)
    root = ElementTree.fromstring(junit(report))
    assert root.find("testsuite/testcase/failure") is not None
