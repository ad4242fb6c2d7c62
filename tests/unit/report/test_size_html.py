"""The page of a measurement: golden files, well-formed, self-contained, one script that is allowed by its digest."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.report import size_samples
from tests.unit.report.test_report_golden import normalised
from tests.unit.report.test_report_html import read
from xcomctl.model.size import Bin, SizeReport
from xcomctl.report.size_html import to_html
from xcomctl.report.size_story import sections

GOLDEN = Path(__file__).parent / "golden"
PAGES = [*size_samples.ALL, "hostile"]


def page(sample: str) -> str:
    return to_html(getattr(size_samples, sample)())


@pytest.mark.parametrize("sample", ["sampled", "empty"])
def test_golden(sample: str) -> None:
    seen = normalised(page(sample))
    path = GOLDEN / f"size-{sample}.html"
    if os.environ.get("XCOMCTL_UPDATE_GOLDEN"):
        path.write_text(seen, encoding="utf-8")
    assert seen == path.read_text(encoding="utf-8"), f"differs from {path}; XCOMCTL_UPDATE_GOLDEN=1 writes it anew"


@pytest.mark.parametrize("sample", PAGES)
def test_is_well_formed_and_self_contained(sample: str) -> None:
    text = page(sample)
    reader = read(text)
    assert not {"img", "iframe", "object", "a", "form"} & set(reader.tags)
    assert {value for name, value in reader.attributes if name in ("src", "href", "action")} == {"data:,"}
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "url(" not in text
    assert "@import" not in text
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value for name, value in reader.attributes if name == "aria-labelledby"} <= set(ids)


@pytest.mark.parametrize("sample", PAGES)
def test_the_policy_allows_the_one_script_by_its_digest(sample: str) -> None:
    text = page(sample)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == text.count("<script") == (0 if sample == "empty" else 1)
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])  # type: ignore[index]
    allowed = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert allowed["script-src"] == f"'sha256-{digest}'"


def test_hostile_text_stays_text() -> None:
    text = page("hostile")
    reader = read(text)
    assert reader.tags.count("script") == 1
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "hunter2" not in text
    assert "</script><script>alert(1)</script>" in "".join(reader.text)
    assert set(reader.tags) <= set(read(page("typical")).tags)
    assert {name for name, _ in reader.attributes} <= {name for name, _ in read(page("typical")).attributes}


@pytest.mark.parametrize("sample", size_samples.ALL)
def test_everything_that_the_text_says_is_there(sample: str) -> None:
    report: SizeReport = size_samples.ALL[sample]()
    shown = " ".join(" ".join(read(to_html(report)).text).split())
    for section in sections(report):
        for words in (section.title, *section.lines, *section.notes, *section.commands):
            assert words in shown
        for row in section.rows:
            for cell in row:
                assert cell in shown


def test_the_points_are_json_with_their_figures() -> None:
    known = dict(read(page("typical")).attributes)
    points = json.loads(known["data-points"] or "")
    assert points[0][1:] == ["1 B", "0\u00a0%", "0\u00a0%", "1,156,001 values", "7.4 GB"]
    assert points[-1][1:] == ["10.0 MB", "100\u00a0%", "100\u00a0%", "no values", "0 B"]
    assert [point[0] for point in points] == sorted(point[0] for point in points)
    sampled = json.loads(dict(read(page("sampled")).attributes)["data-points"] or "")
    assert all(figure.startswith("~") for figure in sampled[40][2:])


def test_a_bar_tells_its_figures_without_a_script() -> None:
    report = size_samples.one()
    bins = (Bin(20, 50, 1, 42), Bin(50, 100, 0, 0))
    text = to_html(replace(report, answer=replace(report.answer, histogram=bins)))
    assert text.count("<title>20 B to 50 B\n1 value, 42 B</title>") == 2  # wide and narrow
    assert text.count("<title>50 B to 100 B\nno values, 0 B</title>") == 2


def test_an_empty_table_has_no_plot() -> None:
    text = page("empty")
    assert "<svg" not in text
    assert "No XCom has a value whose size is known; there are 3 rows without a value." in text
