"""Lines of logs, and what none of them proves: that nothing was found says something only where something could be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xcomctl.assess.log_query import Asked, Window
from xcomctl.errors import UserError
from xcomctl.model.loki_query import moment
from xcomctl.model.verdicts import Check, Status, Verdict, verdict_of

if TYPE_CHECKING:
    from xcomctl.clients.loki import Line, Loki

SCHEMA = "xcomctl.logs/1"
#: Ids of the checks of a gate.
SEEN, NONE_FOUND, COMPLETE = "logs_selector", "logs_none_found", "logs_complete"
_CATEGORY = "logs"
FORWARD, BACKWARD = "forward", "backward"


@dataclass
class Found:
    """What was read: how many lines, the first and last of them as they came, and what may be missing.

    ``newest_ns``: of the newest line that the bare selector has in that time, where that was looked at; 0 for none.
    ``stopped``: why the reading did not come to its end. ``lookback_unknown``: Loki did not say how far it looks back;
    ``incomplete`` says so where the time is long and its oldest part was not seen.
    """

    asked: Asked
    window: Window
    lines: int = 0
    first_ns: int = 0
    last_ns: int = 0
    newest_ns: int | None = None
    at_limit: bool = False
    stopped: UserError | None = None
    incomplete: Sequence[str] = field(default_factory=tuple)
    lookback_unknown: bool = False

    @property
    def missing(self) -> list[str]:
        """In sentences, why lines may be missing."""
        why = self.stopped.message.rstrip(".") if self.stopped is not None else ""
        told = not why or any(why in sentence for sentence in self.incomplete)
        return [*self.incomplete, *([] if told else [why])]

    @property
    def verdict(self) -> Verdict:
        """Without a gate: lines are no fault, and what may be missing is inconclusive."""
        return Verdict.INCONCLUSIVE if self.missing else Verdict.OK


def newest(loki: Loki, selector: str, window: Window) -> int:
    """When the newest line is that these streams have in that time; 0 for none."""
    line = next(iter(loki.lines(selector, window.start_ns, window.end_ns, direction=BACKWARD, limit=1)), None)
    return 0 if line is None else line.at_ns


def read(loki: Loki, found: Found, *, direction: str = FORWARD, limit: int | None = None) -> Iterator[Line]:
    """The lines, counted in ``found``. What goes wrong in the middle is kept there: the lines before it were given."""
    window = found.window
    try:
        # One more than is wanted tells whether there are more.
        wanted = None if limit is None else limit + 1
        lines = loki.lines(found.asked.query, window.start_ns, window.end_ns, direction=direction, limit=wanted)
        for line in lines:
            if limit is not None and found.lines == limit:
                found.at_limit = True
                break
            _count(found, line)
            yield line
    except UserError as error:
        if not found.lines:
            raise
        found.stopped = error
    found.incomplete = tuple(loki.incomplete)
    found.lookback_unknown = loki.lookback_unknown


def followed(loki: Loki, found: Found, limit: int | None, *, late_s: float = 30.0) -> Iterator[Line]:
    """The lines as they come, until whoever reads them leaves, ``limit`` is reached, or Loki is given up.

    What reaches Loki more than ``late_s`` after lines with a later time may be left out.
    """
    try:
        for line in loki.follow(found.asked.query, found.window.start_ns, late_s=late_s):
            _count(found, line)
            yield line
            if found.lines == limit:
                found.at_limit = True
                return
    finally:
        found.incomplete = tuple(dict.fromkeys(loki.incomplete))


def _count(found: Found, line: Line) -> None:
    if not found.lines:
        found.first_ns = line.at_ns
    found.lines += 1
    found.last_ns = line.at_ns


def checks(found: Found, look: str) -> tuple[Check, ...]:
    """The gate ``--expect-none``: that the selector sees lines, that the query finds none, and that none may be missing.

    ``look`` is the command that shows which labels there are.
    """
    return (*_looked_at(found, look), _complete(found))


def _looked_at(found: Found, look: str) -> Iterable[Check]:
    title = "the selector sees lines in that time"
    selector, when = found.asked.selector, found.window.said
    if not found.newest_ns and not found.lines:
        detail = f"{selector} sees no line at all {when}: a wrong label also finds nothing (F46)"
        yield Check(SEEN, _CATEGORY, title, Status.SKIP, detail, look, data={"selector": selector})
        yield Check(NONE_FOUND, _CATEGORY, "no line is found", Status.SKIP, "not looked for: it would prove nothing")
        return
    at = moment(found.newest_ns or found.last_ns)
    yield Check(SEEN, _CATEGORY, title, Status.OK, f"{selector} sees lines, the newest of {at}", data={"selector": selector, "newest": at})  # fmt: skip
    if found.lines:
        many = "1 line" if found.lines == 1 else f"{found.lines:,} lines"
        detail = f"{many} {when}, of {moment(found.first_ns)}" + (f" to {moment(found.last_ns)}" if found.lines > 1 else "")  # fmt: skip
        more = ", and more: --limit" if found.at_limit else ""
        yield Check(NONE_FOUND, _CATEGORY, "no line is found", Status.FAIL, detail + more, data={"lines": found.lines})
    else:
        yield Check(NONE_FOUND, _CATEGORY, "no line is found", Status.OK, f"no line {when}", data={"lines": 0})


def _complete(found: Found) -> Check:
    title = "no line may be missing"
    if found.missing:
        return Check(COMPLETE, _CATEGORY, title, Status.SKIP, "; ".join(found.missing), data={"missing": found.missing})
    detail = "all was read" + (", as far back as Loki looks, which it does not tell" if found.lookback_unknown else "")
    return Check(COMPLETE, _CATEGORY, title, Status.OK, detail, data={"lookback_unknown": found.lookback_unknown})


def gate_verdict(of: Sequence[Check]) -> Verdict:
    """A line that was found fails the gate, whatever may be missing beside it."""
    return verdict_of(of)


def to_json(found: Found, gate: Sequence[Check], verdict: Verdict) -> dict[str, Any]:
    """What follows the lines in JSON: the question, the counts, the checks of a gate and the verdict."""
    return {
        "query": found.asked.query,
        "selector": found.asked.selector,
        "from": moment(found.window.start_ns),
        "to": moment(found.window.end_ns),
        "count": found.lines,
        "at_limit": found.at_limit,
        "missing": found.missing,
        "checks": [check.to_json() for check in gate],
        "verdict": verdict.value,
        "exit_code": verdict.exit_code,
        "next_steps": [check.hint for check in gate if check.hint and check.status is not Status.OK],
    }
