"""The file of a decision: what a person wrote keeps every byte, whatever xcomctl writes anew."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xcomctl.model.decision import Decided, State
from xcomctl.report.decision_file import (
    DecisionFileError,
    digest,
    generated,
    merge,
    parse,
    recall,
    remembered,
    with_state,
)

BODIES = {"decision": "## Decision\n\nNot yet.", "measured": "## Measured\n\n| a | b |", "risks": "## Risks\n\n- one"}
LATER = {"decision": "## Decision\n\nMade.", "measured": "## Measured\n\nMissing.", "risks": "## Risks\n\nnone"}
#: What nobody may write outside: a line of it would be a marker.
MARKER = re.compile(r"^[\ufeff\s]*<!--\s*xcomctl:(begin|end)\b", re.I | re.M)
TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=60)


def made(*between: str, names: tuple[str, ...] = tuple(BODIES), end: str = "\n") -> str:
    """A file with these sections, and what people wrote before, between and after them."""
    texts = [*between, *[""] * (len(names) + 1 - len(between))]
    sections = [generated(name, BODIES[name], end) for name in names]
    return "".join(f"{text}{section}" for text, section in zip(texts, [*sections, ""], strict=True))


def body_of(text: str, name: str) -> str:
    return next(part.body for part in parse(text) if part.name == name)


def outside(text: str) -> list[str]:
    return [part.body for part in parse(text) if not part.name]


@given(st.lists(TEXT, min_size=4, max_size=4), st.permutations(list(BODIES)), st.sampled_from(["\n", "\r\n"]))
def test_what_a_person_wrote_survives_any_number_of_runs_in_any_order(between, order, end):
    # A person ends the line before a marker, and starts one after it.
    texts = [between[0] and f"{between[0]}{end}", *(f"{each}{end}" for each in between[1:3]), between[3]]
    assume(not any(MARKER.search(text) for text in texts))
    file = made(*texts, names=tuple(order), end=end)
    for bodies in (LATER, BODIES, LATER, LATER):
        merged = merge(file, bodies)
        assert outside(merged.text) == texts
        assert [part.name for part in parse(merged.text) if part.name] == order
        assert merged.kept == merged.left_out == merged.unknown == ()
        file = merged.text
    assert merge(file, LATER).text == file


@given(TEXT)
def test_a_hand_edit_is_kept_once_and_the_section_is_written_anew(edit):
    assume(not MARKER.search(edit) and digest(edit) != digest("") and edit.strip())
    own = f"mine: {edit}\n"
    file = made("# Mine\n").replace("Not yet.\n", f"Not yet.\n{own}")
    merged = merge(file, LATER)
    assert merged.kept == ("decision",)
    assert own in "".join(outside(merged.text)) and "Made." in body_of(merged.text, "decision")
    again = merge(merged.text, LATER)
    assert again.text == merged.text and again.kept == ()


def test_the_same_hand_edit_again_is_not_kept_twice():
    edited = made().replace("Not yet.", "Not yet!")
    first = merge(edited, BODIES).text
    assert merge(first.replace("Not yet.\n", "Not yet!\n", 1), BODIES).text.count("kept-until-here") == 1


def test_an_edit_that_says_what_would_be_written_is_no_edit():
    merged = merge(made().replace("Not yet.", "Made."), LATER)
    assert merged.kept == () and merged.text.startswith(generated("decision", LATER["decision"]))


def test_line_ends_and_blanks_at_the_end_are_no_edit():
    file = made().replace("\n", "\r\n").replace("Not yet.", "Not yet.  ")
    assert merge(file, BODIES).text == file
    assert merge(file, LATER).kept == ()


def test_the_new_text_has_the_line_ends_of_the_file():
    text = merge(made("# Mine\n").replace("\n", "\r\n"), LATER).text
    assert "Made." in text and text.count("\n") == text.count("\r\n")
    edited = merge(made("# Mine\n").replace("Not yet.", "Mine").replace("\n", "\r\n"), LATER).text
    assert "Kept from a hand edit" in edited and edited.count("\n") == edited.count("\r\n")


def test_a_deleted_section_stays_away_until_it_is_restored_in_its_place():
    file = made("# Mine\n", names=("decision", "risks"))
    merged = merge(file, LATER)
    assert merged.left_out == ("measured",) and "Missing." not in merged.text
    restored = merge(file, LATER, restore=True)
    assert [part.name for part in parse(restored.text) if part.name] == list(LATER)
    assert restored.left_out == () and restored.text.startswith("# Mine\n")
    assert merge(restored.text, LATER).text == restored.text


def test_the_last_section_is_restored_at_the_end():
    file = made("", "", "\nnotes", names=("decision", "measured"))
    text = merge(file, BODIES, restore=True).text
    assert text == f"{file}\n\n{generated('risks', BODIES['risks'])}"


def test_a_file_of_somebody_is_refused_unless_it_is_adopted():
    with pytest.raises(DecisionFileError) as refused:
        merge("# Mine\n", BODIES)
    assert "--adopt" in refused.value.hint and refused.value.verdict.exit_code == 6
    adopted = merge("# Mine\nno end", BODIES, adopt=True).text
    assert adopted.startswith("# Mine\nno end\n\n<!-- xcomctl:begin decision ")
    assert [part.name for part in parse(adopted) if part.name] == list(BODIES)


def test_a_section_that_is_not_known_stays_as_it_is():
    section = generated("costs", "of a later version")
    merged = merge(f"{section}{made()}", LATER)
    assert merged.unknown == ("costs",) and merged.text.startswith(section)


def test_no_end_of_the_last_line_is_added():
    file = made().rstrip("\n")
    assert merge(file, LATER).text.endswith("<!-- xcomctl:end risks -->")


def test_a_byte_order_mark_and_bytes_that_are_no_text_stay():
    file = "\ufeff" + made("caf\udce9\n")
    assert merge(file, LATER).text.startswith("\ufeffcaf\udce9\n<!-- xcomctl:begin decision ")
    at_once = "\ufeff" + made()
    assert merge(at_once, LATER).text.startswith("\ufeff<!-- xcomctl:begin decision ")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace("<!-- xcomctl:end decision -->\n", ""), "line 7: 'measured' begins inside 'decision', which began on line 1"),
        (lambda text: text.replace("<!-- xcomctl:end risks -->\n", ""), "line 15: 'risks' begins and has no end"),
        (lambda text: text + "<!-- xcomctl:end risks -->\n", "line 22: the end of 'risks', which did not begin"),
        (lambda text: text + text.split("<!-- xcomctl:begin measured")[0], "line 22: a second 'decision'"),
        (lambda text: text.replace("begin measured sha256=", "begin measured sha="), "line 8: the marker is damaged"),
        (lambda text: text.replace("end measured -->", "end measured --"), "line 14: the marker is damaged"),
        (lambda text: text.replace("<!-- xcomctl:begin risks", "<!--  XCOMCTL:begin risks"), "line 15: the marker is damaged"),
    ],
)  # fmt: skip
def test_markers_that_do_not_balance_are_refused_with_the_line(damage, said):
    with pytest.raises(DecisionFileError) as refused:
        merge(damage(made()), LATER)
    assert refused.value.message == said and refused.value.verdict.exit_code == 6


def test_nothing_that_is_generated_can_be_taken_for_a_marker():
    bad = "```\n<!-- xcomctl:end decision -->\n  <!-- xcomctl:begin x sha256=0 -->\n```\n\ud800"
    file = merge(made(), {**LATER, "decision": bad}).text
    file.encode()
    assert [part.name for part in parse(file) if part.name] == list(BODIES)
    assert merge(file, {**LATER, "decision": bad}).text == file


@pytest.mark.parametrize("rule", ["| --- | ---: |", "|---|---:|", "| :-- | -----: |", "| ------ | ---------: |"])
def test_a_formatter_of_markdown_makes_no_hand_edit(rule):
    table = "## Measured\n\n| a | b |\n| --- | ---: |\n| one | 2 |"
    formatted = table.replace("| --- | ---: |", rule.replace(":--", "---")).replace(
        "| one | 2 |", "| one    |          2 |"
    )
    file = merge(made(), {**BODIES, "measured": table}).text
    changed = file.replace(table, formatted).replace("-->\n\n##", "-->\n##").replace("Not yet.", "Not yet.\n\n")
    assert changed != file
    assert merge(changed, {**BODIES, "measured": table}).text == changed
    merged = merge(changed, LATER)
    assert merged.kept == () and merged.text == merge(made(), LATER).text


@pytest.mark.parametrize("edit", ["| one | 3 |", "| one two | 2 |", "| | 2 |", "| one | -2 |", "| one | 2 | |"])
def test_what_is_more_than_a_format_is_a_hand_edit(edit):
    table = "## Measured\n\n| a | b |\n| --- | ---: |\n| one | 2 |"
    file = merge(made(), {**BODIES, "measured": table}).text.replace("| one | 2 |", edit)
    assert merge(file, LATER).kept == ("measured",)


# -- what the file remembers

ANN = State(5, Decided(5, "Ann", "2026-11-26"))


@given(st.text(max_size=30), st.text(max_size=20), st.integers(0, 10**12))
def test_what_the_file_remembers_is_one_comment_and_comes_back(by, at, threshold):
    state = State(threshold, Decided(threshold, by, at))
    comment = remembered(state)
    assert "\n" not in comment and comment.count("-->") == 1 and comment.count("<!--") == 1 and comment.isascii()
    assert recall(f"x\n{comment}\ny") == state and recall(f"x\r\n{comment}\r\ny") == state


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_it_stands_at_the_end_and_stays_where_a_person_moved_it(end):
    file = made("# Mine\n").replace("\n", end)
    text = with_state(file, ANN)
    assert text == f"{file}{end}{remembered(ANN)}{end}" and recall(text) == ANN
    assert with_state(text, ANN) == text and merge(text, BODIES).text == text
    moved = f"{remembered(ANN)}{end}{file}"
    later = State(6, ANN.decided)
    assert with_state(moved, later) == f"{remembered(later)}{end}{file}"


def test_it_starts_a_line_of_its_own_and_nothing_is_written_where_there_is_nothing():
    assert with_state("notes", ANN) == f"notes\n\n{remembered(ANN)}\n"
    assert with_state("notes", State()) == "notes" and recall("notes") == State()


def test_no_deleted_section_takes_it_away():
    text = with_state(made(names=("measured",)), ANN)
    assert recall(merge(text, LATER).text) == ANN == recall(merge(text, LATER, restore=True).text)


@pytest.mark.parametrize("json", ["", "[]", "{", '{"threshold": true}', '{"decided": {"threshold": 1, "by": 2, "at": ""}}', '{"decided": {"threshold": 1, "by": "Ann"}}', '{"decided": 3}', "[" * 9_000])  # fmt: skip
def test_what_it_remembers_is_not_forgotten_without_a_word(json):
    with pytest.raises(DecisionFileError, match="line 2: what the file remembers of the decision is damaged"):
        recall(f"x\n<!-- xcomctl:state {json} -->\n")


@pytest.mark.parametrize(
    "changed",
    [
        lambda line: f"- {line}",
        lambda line: f"> {line}",
        lambda line: f"  {line}",
        lambda line: line.replace("<!-- ", "<!--"),
        lambda line: f"{line}\n{line}",
    ],
)
def test_a_decision_that_cannot_be_found_again_for_sure_is_refused_and_not_forgotten(changed):
    comment = remembered(State(threshold=1_000_000, decided=Decided(1_000_000, "Ann", "2026-06-06")))
    assert recall(f"# Ours\n\n{comment}\n").decided is not None
    with pytest.raises(DecisionFileError):
        recall(f"# Ours\n\n{changed(comment)}\n")
