"""Lines are counted as they are given, and that none is found proves something only where one could be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.loki import FakeLoki, Fault, Rules, fake_loki
from xcomctl.assess import logs
from xcomctl.assess.log_query import ALL, Window, asked
from xcomctl.clients.loki import FixedAddress, Login, Loki
from xcomctl.errors import UserError
from xcomctl.model.verdicts import Status, Verdict

LOOK = "xcomctl logs --labels"

QUERY = '{app="a"} |= "bad"'
NOON_NS = 1_780_747_200_000_000_000
WINDOW = Window(NOON_NS, NOON_NS + 9_000_000_000)


@pytest.fixture
def server() -> Iterator[FakeLoki]:
    with fake_loki(Rules(max_entries=3, publishes_limits=False)) as running:
        running.push({"app": "a"}, [(NOON_NS + number, f"bad {number}") for number in range(7)])
        running.push({"app": "b"}, [(NOON_NS + 3_000_000_000, "good")])
        yield running


def ask(
    server: FakeLoki, query: str = QUERY, limit: int | None = None, *, gate: bool = True
) -> tuple[logs.Found, list[str]]:
    with Loki(FixedAddress(server.url), Login(), say=lambda text: None, pause=lambda seconds: None) as loki:
        found = logs.Found(asked(query, ALL), WINDOW)
        if gate:
            found.newest_ns = logs.newest(loki, found.asked.selector, WINDOW)
        return found, [line.text for line in logs.read(loki, found, limit=limit)]


def verdict_and_statuses(found: logs.Found) -> tuple[Verdict, dict[str, Status]]:
    gate = logs.checks(found, LOOK)
    return logs.gate_verdict(gate), {check.id: check.status for check in gate}


def test_lines_are_counted(server: FakeLoki) -> None:
    found, texts = ask(server)
    assert texts == [f"bad {number}" for number in range(7)]
    assert (found.lines, found.first_ns, found.last_ns) == (7, NOON_NS, NOON_NS + 6)
    assert found.newest_ns == NOON_NS + 6 and found.verdict is Verdict.OK and not found.at_limit


@pytest.mark.parametrize(("limit", "there_are_more"), [(1, True), (6, True), (7, False), (8, False)])
def test_a_limit_says_whether_there_are_more(server: FakeLoki, limit: int, there_are_more: bool) -> None:
    found, texts = ask(server, limit=limit)
    assert len(texts) == found.lines == min(limit, 7) and found.at_limit is there_are_more


def test_the_gate(server: FakeLoki) -> None:
    assert verdict_and_statuses(ask(server)[0]) == (
        Verdict.FAILED, {logs.SEEN: Status.OK, logs.NONE_FOUND: Status.FAIL, logs.COMPLETE: Status.OK},
    )  # fmt: skip
    assert verdict_and_statuses(ask(server, '{app="b"} |= "bad"')[0]) == (
        Verdict.OK, {logs.SEEN: Status.OK, logs.NONE_FOUND: Status.OK, logs.COMPLETE: Status.OK},
    )  # fmt: skip
    wrong, _ = ask(server, '{app="wrong"} |= "bad"')
    assert wrong.newest_ns == 0
    assert verdict_and_statuses(wrong) == (
        Verdict.INCONCLUSIVE, {logs.SEEN: Status.SKIP, logs.NONE_FOUND: Status.SKIP, logs.COMPLETE: Status.OK},
    )  # fmt: skip
    assert "F46" in logs.checks(wrong, LOOK)[0].detail and "--labels" in logs.checks(wrong, LOOK)[0].hint


def test_what_breaks_in_the_middle_is_never_clean(server: FakeLoki) -> None:
    """The first page came; the second does not, however often it is asked for."""
    met = 0

    class SecondPage(Fault):
        def strikes(self, path: str) -> bool:
            nonlocal met
            met += "/query_range" in path
            return met > 2  # the one that is refused for its limit, and the first page

    with server.failing(SecondPage(status=503, body="gone")):
        found, texts = ask(server, gate=False)
    assert 0 < len(texts) < 7 and found.missing and found.verdict is Verdict.INCONCLUSIVE
    assert len(found.missing) == len(set(found.missing))
    verdict, statuses = verdict_and_statuses(found)
    assert verdict is Verdict.FAILED and statuses[logs.COMPLETE] is Status.SKIP  # what was found was found
    found.lines, found.newest_ns = 0, 5
    assert logs.gate_verdict(logs.checks(found, LOOK)) is Verdict.INCONCLUSIVE


def test_a_refusal_in_the_middle_is_told_once(server: FakeLoki) -> None:
    """A final one ends with a full stop where it stands alone."""
    met = 0

    class SecondPage(Fault):
        def strikes(self, path: str) -> bool:
            nonlocal met
            met += "/query_range" in path
            return met > 2

    with server.failing(SecondPage(status=403, body="no more.")):
        found, texts = ask(server, gate=False)
    assert texts and found.stopped is not None and found.stopped.message.endswith(".")
    assert len(found.missing) == 1 and "no more" in found.missing[0]


@pytest.mark.parametrize("told", [True, False])
def test_the_gate_says_whether_it_is_known_how_far_back_loki_looks(server: FakeLoki, told: bool) -> None:
    server.rules.publishes_limits = told
    found, _ = ask(server)
    complete = logs.checks(found, LOOK)[-1]
    assert found.lookback_unknown is not told and complete.data == {"lookback_unknown": not told}
    assert ("does not tell" in complete.detail) is not told


def test_a_loki_that_does_not_answer_is_no_answer(server: FakeLoki) -> None:
    with server.failing(Fault(status=401, body="who?", path="/")), pytest.raises(UserError):
        ask(server)


def test_what_is_followed_is_given_once_and_up_to_a_limit(server: FakeLoki) -> None:
    with Loki(FixedAddress(server.url), Login(), say=lambda text: None, pause=lambda seconds: None) as loki:
        found = logs.Found(asked(QUERY, ALL), WINDOW)
        texts = [line.text for line in logs.followed(loki, found, 7)]
    assert texts == [f"bad {number}" for number in range(7)] and found.at_limit and found.lines == 7


def test_json_has_the_question_and_the_verdict(server: FakeLoki) -> None:
    found, _ = ask(server)
    gate = logs.checks(found, LOOK)
    record = logs.to_json(found, gate, logs.gate_verdict(gate))
    assert record["query"] == QUERY and record["selector"] == '{app="a"}' and record["count"] == 7
    assert (record["from"], record["to"]) == ("2026-06-06T12:00:00Z", "2026-06-06T12:00:09Z")
    assert (record["verdict"], record["exit_code"]) == ("failed", 3)
    assert [check["id"] for check in record["checks"]] == [logs.SEEN, logs.NONE_FOUND, logs.COMPLETE]
