"""The decision record: gather what it rests on, judge it, bring the file up to date. Nothing else is changed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from xcomctl.assess import decision_terms as terms_of
from xcomctl.assess.decision_choice import Said, choose
from xcomctl.assess.decision_inputs import About, Given, gather
from xcomctl.assess.decision_judged import judge
from xcomctl.assess.decision_risks import risks
from xcomctl.assess.decision_terms import Terms
from xcomctl.deployment.carriers.interface import replace_content
from xcomctl.errors import UserError
from xcomctl.model import decision
from xcomctl.model.decision import Choice, DecisionRecord, Evidence
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.readiness import MAX_AGE_DAYS
from xcomctl.model.redaction import redact
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.report import decision_sections
from xcomctl.report.decision_file import DecisionFileError, Merged, merge, parse, recall, with_state

_T = TypeVar("_T")
#: Stands at the end of a plot of ours; a file without it is not written over.
_OURS = "<!-- written by xcomctl decide -->"
#: How this command begins.
_THIS = "xcomctl decide"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_MARKDOWN = (".md", ".markdown")


@dataclass(frozen=True)
class Asked:
    """What the command line says.

    ``deployment`` is the name of ``-D``, ``planned_path`` the base path of its settings, ``journal`` where that is kept and
    ``entries`` reads it. ``contexts``, ``journal_option`` and ``carrier`` are options for the commands that are printed.
    """

    out: Path
    given: Given
    said: Said
    max_age: timedelta
    deployment: str | None
    planned_path: str | None
    journal: str
    entries: Callable[[], Sequence[JournalEntry]]
    contexts: str = ""
    journal_option: str = ""
    carrier: str = ""
    restore: bool = False
    adopt: bool = False
    dry_run: bool = False

    def again(self, given: Given) -> str:
        """This command with these files, and without what is said only once."""
        words = [*shlex.split(_THIS), "--out", str(self.out)]
        for option in ("size", "preflight", "rehearsal", "plan"):
            path = getattr(given, option)
            words += [f"--{option}", str(path)] if path is not None else []
        if self.max_age != timedelta(days=MAX_AGE_DAYS):
            seconds = round(self.max_age.total_seconds())
            length, unit = next(each for each in _UNITS if seconds % each[0] == 0)
            words += ["--max-age", f"{seconds // length}{unit}"]
        return f"{redact(shlex.join(words))}{self.contexts}"


@dataclass(frozen=True)
class Outcome:
    """What became of the file: ``new``, ``updated`` or ``unchanged`` (or would, in a dry run); ``before`` and ``after`` are
    its contents. ``chart`` is the plot's file, ``None`` for none."""

    path: Path
    state: str
    before: bytes
    after: bytes
    checks: tuple[Check, ...]
    choice: Choice
    kept: tuple[str, ...]
    left_out: tuple[str, ...]
    unknown: tuple[str, ...]
    chart: Path | None
    next_steps: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """A failed input outweighs one that is missing or stale; either is never reported as ok."""
        seen = {check.status for check in self.checks}
        if Status.FAIL in seen:
            return Verdict.FAILED
        return Verdict.INCONCLUSIVE if seen - {Status.OK} or not seen else Verdict.OK

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain JSON values; ``docs/decision-record.md`` says what they mean."""
        decided = self.choice.decided
        return {
            "schema": decision.SCHEMA,
            "verdict": self.verdict.value,
            "exit_code": self.verdict.exit_code,
            "path": str(self.path),
            "state": self.state,
            "chart": None if self.chart is None else str(self.chart),
            "threshold": self.choice.threshold,
            "suggested": self.choice.suggested,
            "decided": None if decided is None else decided.to_json(),
            "checks": [check.to_json() for check in self.checks],
            "kept": list(self.kept),
            "left_out": list(self.left_out),
            "unknown": list(self.unknown),
            "next_steps": list(self.next_steps),
        }


def decide(asked: Asked) -> Outcome:
    """Write the file, or in a dry run only say what would be written.

    Raises :class:`~xcomctl.errors.UserError` (refused) for inputs that are damaged and for a file that cannot be brought up
    to date; then nothing was written.
    """
    before = _content(asked.out)
    text = _text(asked.out, before)
    is_new = not text.strip("\ufeff \t\r\n")
    parts = _told(asked.out, lambda: parse("" if is_new else text))
    state = _told(asked.out, lambda: recall(text))
    threshold = asked.said.threshold if asked.said.threshold is not None else state.threshold
    about = About(asked.deployment, threshold, asked.planned_path)
    evidence = gather(asked.given, asked.entries, about, asked.journal)
    now = datetime.now(UTC)
    choice = choose(asked.said, state, evidence, now.date())
    record = _record(asked, evidence, choice, now)
    has_values = evidence.size is not None and evidence.size.answer.values > 0
    shown = is_new or asked.restore or asked.adopt or decision.MEASURED in {part.name for part in parts}
    chart = _chart_path(asked.out) if has_values and shown else None
    record = replace(record, chart=chart.name if chart is not None else "")
    bodies = decision_sections.render(record)
    if is_new:
        merged = Merged(decision_sections.new_file(record, bodies))
    else:
        merged = _told(asked.out, lambda: merge(text, bodies, restore=asked.restore, adopt=asked.adopt))
    after = with_state(merged.text, choice.state).encode("utf-8", "surrogateescape")
    drawing = _drawing(chart, evidence, choice) if chart is not None else None
    state_word = "new" if is_new else "unchanged" if after == before else "updated"
    if not asked.dry_run:
        _make_folder(asked.out)
        if chart is not None and drawing is not None:
            replace_content(chart, *drawing)  # first, since the file shows it
        replace_content(asked.out, before, after)
    checks = _checks(record, merged)
    return Outcome(
        asked.out, state_word, before or b"", after, checks, choice, merged.kept, merged.left_out, merged.unknown,
        chart, _next_steps(record, checks, asked),
    )  # fmt: skip


def _record(asked: Asked, evidence: Evidence, choice: Choice, now: datetime) -> DecisionRecord:
    name = terms_of.deployment(evidence, asked.deployment)
    path = terms_of.base_path(evidence, asked.planned_path)
    terms = Terms(choice.threshold, name, path, asked.max_age, now, asked.contexts, asked.journal_option)
    again = asked.again(asked.given)
    judged = judge(evidence, choice, terms, again)
    return DecisionRecord(
        name, path, choice, evidence, judged, risks(evidence, choice, judged, terms), "", asked.contexts, asked.carrier, again
    )  # fmt: skip


def _checks(record: DecisionRecord, merged: Merged) -> tuple[Check, ...]:
    """One for each section that rests on something. What is missing for one that a person deleted is not missed; whether
    somebody decided always counts."""
    return tuple(
        each.check
        for name, each in record.judged.items()
        if name == decision.DECISION
        or name not in merged.left_out
        or name in record.evidence.sources
        or each.check.status is not Status.SKIP
    )


def _next_steps(record: DecisionRecord, checks: tuple[Check, ...], asked: Asked) -> tuple[str, ...]:
    """What makes the inputs that are missing or do not count, what mends the pre-flight, and then this command again."""
    named = {check.id for check in checks if check.status is not Status.OK}
    flown = record.evidence.preflight
    found = list(flown.next_steps) if decision.PREFLIGHT in named and flown is not None else []
    # What is only incomplete is mended by this command itself, with one file more.
    remade = {
        name: commands
        for name, each in record.judged.items()
        if name in named and (commands := [step for step in each.commands if not step.startswith(_THIS)])
    }
    for commands in remade.values():
        found += commands
    if found or decision.REHEARSAL in named:
        found.append(asked.again(_still_counts(record.evidence, asked.given, remade.keys())))
    elif decision.DECISION in named:
        found.append(record.judged[decision.DECISION].check.hint)
    return tuple(dict.fromkeys(step for step in found if step))


def _still_counts(evidence: Evidence, given: Given, remade: Collection[str]) -> Given:
    """The files that still count: what is made anew is in the journal, and a plan in a file of its own."""
    seen = evidence.rehearsal
    lacking = Path(seen.named or "report.json") if seen is not None and seen.report is None else None
    return Given(
        None if {decision.MEASURED, decision.THRESHOLDS} & set(remade) else given.size,
        None if decision.PREFLIGHT in remade else given.preflight,
        None if decision.REHEARSAL in remade else given.rehearsal or lacking,
        Path(terms_of.PLAN_FILE) if decision.PLAN_UP in remade else given.plan,
    )


def _content(path: Path) -> bytes | None:
    """What is in the file, ``None`` where there is none. Raises :class:`UserError` (refused)."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "--out names a file", Verdict.REFUSED) from error


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}", "choose another --out", Verdict.REFUSED) from error


def _told(path: Path, done: Callable[[], _T]) -> _T:
    """What is done with the file's text; an error names the file."""
    try:
        return done()
    except DecisionFileError as error:
        raise DecisionFileError(f"{path}: {error.message}", error.hint) from None


def _text(path: Path, before: bytes | None) -> str:
    """What the file says; bytes that are no UTF-8 survive. Raises :class:`DecisionFileError` for what is no text."""
    if before is not None and b"\0" in before:
        raise DecisionFileError(f"{path} is no text in UTF-8", "--out names a Markdown file")
    return (before or b"").decode("utf-8", "surrogateescape")


def _chart_path(out: Path) -> Path:
    return out.with_suffix(".svg") if out.suffix.lower() in _MARKDOWN else out.with_name(f"{out.name}.svg")


def _drawing(path: Path, evidence: Evidence, choice: Choice) -> tuple[bytes | None, bytes]:
    """What the plot's file holds and what it is to hold. Raises :class:`UserError` (refused) for somebody else's file."""
    from xcomctl.report.size_chart import standalone_svg

    assert evidence.size is not None
    before = _content(path)
    if before is not None and before.strip() and _OURS.encode() not in before:
        raise UserError(f"{path} is there already and is not ours", "move it away, or choose another --out", Verdict.REFUSED)  # fmt: skip
    drawn = f"{standalone_svg(evidence.size.answer, choice.threshold).rstrip()}\n{_OURS}\n"
    return before, drawn.encode("utf-8", "backslashreplace")
