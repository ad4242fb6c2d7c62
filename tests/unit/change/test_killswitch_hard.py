"""The end of a hard kill-switch: what it cleared is done with, for a re-trigger as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.change.test_killswitch import view
from xcomctl.change import retrigger
from xcomctl.change.agents import Agents
from xcomctl.change.killswitch import Wanted, Work, begin_anew
from xcomctl.change.killswitch_hard import Watch
from xcomctl.journal.local import LocalJournal, now, this_actor
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.killswitch import Way
from xcomctl.model.verdicts import Verdict
from xcomctl.model.verification import RunStateAnswer


class Context:
    """A fleet and its one context, which answers that every run is in this state."""

    def __init__(self, state: str) -> None:
        self._state = state

    def fleet(self) -> Context:
        return self

    def with_database(self, ask: Any, *, heavy: bool = False) -> Any:
        return ask(self)

    def request(self, *what: Any) -> Any:
        return RunStateAnswer(self._state).to_json()


def watched(journal: LocalJournal, state: str) -> Verdict:
    begun = begin_anew(Way.HARD, view(), None, {})
    journal.append(begun.first)
    for verdict in (None, Verdict.OK):
        data = {"dag_id": "dag", "run_id": "run"}
        journal.append(JournalEntry(retrigger.RUN, this_actor(), now(), plan="cleared", verdict=verdict, data=data))
    agents = cast(Agents, Context(state))
    work = Work(Way.HARD, agents, view(), Wanted(timeout_s=0.0), journal.path, None, begun)
    return Watch().perform(work, lambda **more: None).verdict


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("success", Verdict.OK), ("failed", Verdict.FAILED), ("running", Verdict.INCONCLUSIVE)],
)
def test_no_re_trigger_goes_on_with_what_a_kill_switch_cleared(tmp_path: Path, state: str, verdict: Verdict) -> None:
    journal = LocalJournal(tmp_path / "journal.jsonl")
    assert watched(journal, state) is verdict
    assert retrigger.unfinished(journal, None, ("any",)) == []
    end = list(journal.entries())[-1]
    assert (end.action, end.verdict, end.data["runs"]) == (
        retrigger.ACTION, verdict, [{"dag_id": "dag", "run_id": "run", "state": state}],
    )  # fmt: skip
