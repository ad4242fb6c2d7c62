"""The sections as a Markdown reader shows them: every figure is there, and nothing that came from outside is markup."""

from __future__ import annotations

import html as entities
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.unit.report import samples, size_samples
from xcomctl.model import decision
from xcomctl.model.decision import (
    Choice,
    Decided,
    DecisionRecord,
    Evidence,
    Judged,
    PlanSeen,
    PreflightSeen,
    RehearsalSeen,
    Source,
    State,
)
from xcomctl.model.plan import LATER, REFUSED, PlannedStep
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.rehearsal import StrategyResult
from xcomctl.model.verdicts import Check, Status
from xcomctl.report import size_story
from xcomctl.report.decision_sections import new_file, render
from xcomctl.report.markdown import escape, table

HOSTILE = samples.HOSTILE + " --> <!-- xcomctl:end risks --> ``` a\\|b a_b_c ![x](y)"
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def shown(markdown: str) -> str:
    """As a reader's HTML."""
    return READER.render(markdown)


def record(evidence: Evidence, threshold: int | None = 1_600_000, decided: Decided | None = None, said: str = "") -> DecisionRecord:  # fmt: skip
    choice = Choice(threshold, said or "because", 1_600_000, decided, None, State(threshold, decided))
    judged = {
        name: Judged(Check(name, "decision", title, Status.OK, said), (said,) if said else (), (said,) if said else ())
        for name, title in decision.TITLES.items()
    }
    return DecisionRecord("prod", "s3://a@b/c", choice, evidence, judged, (said,) if said else (), "a b.svg", " -D prod", "", "xcomctl decide")  # fmt: skip


def everything(text: str) -> Evidence:
    """Evidence in which every text is that text."""
    check = Check(text, text, text, Status.FAIL, text, text, data={"count": 1})
    step = PlannedStep(text, text, "up", REFUSED, text, (check,), (text,), {}, (text,))
    plan = PlanSeen("2026-11-20T00:00:00Z", text, "refused", text, text, text, {}, (step, replace(step, state=LATER, gates=())), (text,))  # fmt: skip
    report = samples.hostile() if text == HOSTILE else samples.failed()
    return Evidence(
        replace(size_samples.hostile(), context=text, query={"since": text, "dag_id": text, "states": [text]}, checks=(check,)),
        PreflightSeen(text, "failed", {}, PreflightOptions(skip=(text,)), ({"name": text, "target": {"path": text, "threshold": text, "compression": text}}, {"name": text}), ((text, check), (None, check)), True),
        RehearsalSeen(text, "failed", {text: text}, {"digest": text, "airflow": text}, (text,), report),
        plan, {decision.MEASURED: Source(text, text, text, text, unnamed=True)},
    )  # fmt: skip


def test_what_came_from_outside_is_never_markup():
    bodies = render(replace(record(everything(HOSTILE), decided=Decided(1_600_000, HOSTILE, HOSTILE), said=HOSTILE), deployment=HOSTILE, base_path=HOSTILE))  # fmt: skip
    for name, body in bodies.items():
        html = shown(body).replace("<!-- xcomctl:state ", "")
        html = re.sub(r'<img src="a%2520b.svg"|<img src="a%20b.svg"', "", html)
        for bad in ("<script", "<img", "href=", "\x1b", "\u202e", "<!-- xcomctl:end risks"):
            assert bad not in html, (name, bad)


def test_a_table_has_its_columns_whatever_is_in_it():
    for body in render(record(everything(HOSTILE), said=HOSTILE)).values():
        for whole in re.findall(r"<table>.*?</table>", shown(body), re.DOTALL):
            rows = [len(re.findall(r"<t[hd]\b", row)) for row in re.findall(r"<tr>.*?</tr>", whole, re.DOTALL)]
            assert len(set(rows)) == 1 and rows[0] > 1


@given(
    st.lists(
        st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Cf", "Co", "Cn", "Zl", "Zp")), max_size=12),
        min_size=2,
        max_size=2,
    )
)
def test_a_cell_shows_exactly_its_text(cells):
    page = shown(table(("a", "b"), [cells]))
    found = [entities.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<td>(.*?)</td>", page)]
    assert [cell.strip() for cell in found] == [cell.strip() for cell in cells]


@pytest.mark.parametrize(
    "text", ["---", "===", "- - -", "+", "# x", "1. x", "- x", "> x", "~~~", "```", "    x", "<b>", "*a*", "a\\"]
)
def test_a_paragraph_is_a_paragraph(text):
    html = shown(f"above\n{escape(text)}\n")
    assert re.fullmatch(r"<p>above\n[^\n]*</p>\n", html) and not re.search(r"<(?!/?p>)", html)


def test_every_way_down_is_a_row_with_what_it_cost():
    ways = (
        StrategyResult("runbook", 1, 14, 57.1, 7, 12_055_388, 0),
        StrategyResult("soft", 0, 0, 0.0, 0, 0, 5_000_000, 2.4),
    )
    report = replace(samples.passed(), strategies=ways)
    seen = RehearsalSeen(report.finished, "ok", {}, {"digest": "0123"}, ("runbook", "soft"), report)
    body = render(record(Evidence(rehearsal=seen)))[decision.REHEARSAL]
    assert "| runbook | 1 | 14 | 57 s | 7 (12.1 MB) | 0 B |" in body
    assert "| soft | 0 | 0 | 0 s | 0 | 5.0 MB (2.4 s) |" in body
    assert "| hard (not rehearsed) | n/a | n/a | n/a | n/a | n/a |" in body
    assert "0123" in body


def test_without_the_report_there_is_no_table_of_ways_down():
    seen = RehearsalSeen("2026-11-20T00:00:00Z", "ok", {}, {}, ("runbook",))
    assert "Way back" not in render(record(Evidence(rehearsal=seen)))[decision.REHEARSAL]


@pytest.mark.parametrize("sample", size_samples.ALL)
def test_every_figure_of_a_measurement_is_told(sample):
    report = size_samples.ALL[sample]()
    bodies = render(record(Evidence(size=report)))
    body = bodies[decision.MEASURED]
    assert ("<a%20b.svg>" in body) is bool(report.answer.values)
    assert ("```text" in body) is bool(report.answer.histogram and report.answer.values)
    page = entities.unescape(shown(f"{body}\n\n{bodies[decision.THRESHOLDS]}"))
    for section in size_story.sections(report):
        for cell in (cell for row in section.rows for cell in row if section.id != size_story.DISTRIBUTION):
            assert f">{cell}<" in page or f">{cell}, chosen<" in page, (section.id, cell)
        for text in (*section.lines, *section.notes, *section.commands):
            assert text in page, section.id


def test_the_chosen_threshold_is_marked_and_told_with_its_interval():
    report = size_samples.sampled()
    bodies = render(record(Evidence(size=report)))
    assert bodies[decision.THRESHOLDS].count("chosen") == 1 and "| near-inert, chosen |" in bodies[decision.THRESHOLDS]
    assert "### Thresholds" not in bodies[decision.THRESHOLDS] and "### Thresholds" not in bodies[decision.MEASURED]
    effect = next(each.effect for each in report.answer.suggestions if each.threshold == 1_600_000)
    moved = next(line for line in bodies[decision.DECISION].splitlines() if line.startswith("| Leaves the database |"))
    assert f"\\~{effect.values:,} values" in moved and "962 to 1,176 values" in moved
    assert "Leaves the database" not in render(record(Evidence(size=report), 1_234_567))[decision.DECISION]
    nothing = replace(report, answer=replace(report.answer, suggestions=(), thresholds=()))
    assert "No threshold was suggested" in render(record(Evidence(size=nothing)))[decision.THRESHOLDS]


def test_not_decided_is_in_bold_and_decided_says_by_whom():
    assert "**Not decided yet.**" in render(record(Evidence()))[decision.DECISION]
    assert "**Not decided yet: no threshold is chosen.**" in render(record(Evidence(), None))[decision.DECISION]
    body = render(record(Evidence(), decided=Decided(1_600_000, "Ann", "2026-11-26")))[decision.DECISION]
    assert "Not decided" not in body and "| Decided by | Ann |" in body and "2026-11-26" in body


def test_a_caution_is_in_bold_with_its_command():
    body = render(record(Evidence(), said="Missing: xyz."))[decision.PLAN_UP]
    assert "**Missing: xyz.**" in body and "```sh\nMissing: xyz.\n```" in body


def test_the_plan_with_its_gates_and_commands():
    gate = Check("gate_barrier", "gate", "over", Status.FAIL, "a task runs", "xcomctl wait")
    step = PlannedStep(
        "inline", "dual-read", "up", REFUSED, "resolve references", (gate,), ("xcomctl flip --to dual-read", "# deploy")
    )
    plan = PlanSeen(
        "2026-11-20T00:00:00Z", "prod", "refused", "inline", "offload", "every context is inline", {}, (step,)
    )
    body = render(record(Evidence(up=plan)))[decision.PLAN_UP]
    assert (
        "### 1. inline → dual-read: refused now" in body
        and "| FAIL | gate_barrier | a task runs | xcomctl wait |" in body
    )
    assert "```sh\nxcomctl flip --to dual-read\n# deploy\n```" in body
    assert "nothing to do then" in render(record(Evidence(up=replace(plan, steps=()))))[decision.PLAN_UP]


def test_the_plan_down_says_what_the_kill_switch_says_step_by_step():
    body = render(replace(record(Evidence()), carrier=" --carrier f"))[decision.PLAN_DOWN]
    blocks = [text.splitlines() for text in re.findall(r"```sh\n(.*?)\n```", body, re.DOTALL)]
    soft, flip, in_one_go, by_steps = ([line.split("  #")[0] for line in lines] for lines in blocks)
    assert soft == [
        "xcomctl killswitch --carrier f -D prod",
        "xcomctl status -D prod",
        "xcomctl wait --to dual-read -D prod",
    ]
    assert flip == ["xcomctl flip --to dual-read --carrier f -D prod"]
    assert in_one_go == ["xcomctl killswitch --to inline --carrier f -D prod"]
    assert by_steps[:4] == ["xcomctl rehydrate -D prod", "xcomctl flip --to inline --carrier f -D prod", "# deploy the carrier to every component", "xcomctl wait --to inline -D prod"]  # fmt: skip
    assert body.index("offload → dual-read") < body.index("killswitch") < body.index("dual-read → inline")


def test_a_source_that_names_no_deployment_says_so():
    source = Source("the file s.json", "2026-11-20T00:00:00Z", "ok", "xcomctl.size/1", unnamed=True)
    for unnamed in (True, False):
        sources = {decision.MEASURED: replace(source, unnamed=unnamed)}
        body = render(record(Evidence(sources=sources)))[decision.SOURCES]
        assert ("| the file s.json; it names no deployment |" in body) is unnamed


def test_the_standing_warning_shows_the_dot_and_the_command():
    body = render(record(Evidence()))[decision.WARNING]
    assert "`AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH`" in body and "`AIRFLOW__COMMON_IO__" in body
    assert "xcomctl preflight --only config -D prod" in body and "Verify resolution, never presence" in body


def test_a_new_file_has_every_section_and_places_for_people():
    named = replace(record(Evidence()), deployment="*x*")
    text = new_file(named, render(named))
    html = shown(text)
    for heading in (
        *decision.TITLES.values(),
        "Context",
        "Alternatives considered",
        "Risks that we add",
        "Consequences",
        "Notes",
    ):
        assert f">{heading}</h" in html
    assert "<h1>Decision: large XComs of *x* into the object store</h1>" in html
