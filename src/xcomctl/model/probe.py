"""The round-trip probe: what is asked, what differed, and what the whole comes to."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.model.preflight import DEFAULT_TIMEOUT_S
from xcomctl.model.requests import Record
from xcomctl.model.verdicts import Verdict

SCHEMA = "xcomctl.probe/1"

#: The two corpora. A difference in control flow sends a DAG another way.
CONTROL_FLOW, DATA = "control_flow", "data"
#: How a value went: into the database, into the store, and through tasks of a real run.
INLINE, OFFLOADED, RUN = "inline", "offloaded", "run"

GREEN, RED, YELLOW, UNKNOWN = "green", "red", "yellow", "unknown"

#: The DAG of ``--run``, its last task, and the key under which its parameters stand in the run's configuration.
DAG_ID, REPORT_TASK = "xcomctl_probe", "report"
#: Before its answer in a task's log: where no XCom backend is in between.
LOG_MARK = "xcomctl-probe: "
RUN_SCHEMA = "xcomctl.probe_run/1"


@dataclass(frozen=True)
class ProbeQuery(Record):
    """What to put through, and under which settings.

    ``path``, ``threshold``, ``compression`` and ``phase`` are those of a flip that is planned; ``None`` for what
    resolves. ``store`` allows objects below the path, which are removed again. ``classes`` are the corpora.
    """

    path: Optional[str] = None
    threshold: Optional[int] = None
    phase: Optional[str] = None
    store: bool = True
    classes: tuple[str, ...] = (CONTROL_FLOW, DATA)
    timeout_s: float = DEFAULT_TIMEOUT_S
    compression: Optional[str] = None


@dataclass(frozen=True)
class ProbeDifference(Record):
    """One value that comes back otherwise than from BaseXCom.

    ``corpus`` is ``control_flow`` or ``data``, ``way`` is ``inline``, ``offloaded`` or ``run``. ``step`` names the
    passage of a run (``mapped``, ``prior dates`` …). ``base`` is what BaseXCom gives, ``got`` what came instead.
    ``defect`` is the row of the list of failures that explains it, ``None`` for one that nobody has named; ``because``
    is that in a few words, ``hint`` what to do about it.
    """

    corpus: str
    way: str
    value_id: str
    excerpt: str
    base: str
    got: str
    sentence: str
    defect: Optional[str] = None
    because: str = ""
    hint: str = ""
    step: str = ""

    @property
    def line(self) -> str:
        """It in one line: ``control_flow: "20260606" comes back as int 20260606 (second JSON decode, …)``."""
        because = f" ({self.because})" if self.because else " (for no known reason)"
        where = f"{self.way}, {self.step}: " if self.step else "above the threshold: " if self.way == OFFLOADED else ""
        return f"{self.corpus}: {where}{self.sentence}{because}"


@dataclass(frozen=True)
class ProbeAnswer(Record):
    """What one context answered.

    ``counts`` are the values that went each way, by ``corpus/way``. ``only_backend`` are ids of values that BaseXCom
    cannot hand over and the backend can, ``neither`` of those that neither can; ``left_out`` are values for which a
    library is missing. ``problem`` says why the
    class of the target does not even import. ``unmeasured`` are reasons why something was not put through.
    ``left_behind`` are objects that could not be removed.
    """

    airflow: str
    common_io: str
    phase: str
    target_phase: str
    path: str
    overridden: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    only_backend: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    problem: str = ""
    unmeasured: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    neither: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProbeRunAnswer(Record):
    """What the tasks of a real run found.

    ``counts`` are the values by corpus and step. ``run_id`` is the run that stays behind, two of them with a comma between,
    empty where none was started. ``prior`` tells whether an
    earlier run was there to pull from with ``include_prior_dates``. ``digest`` tells which xcomctl the DAG file carries.
    """

    run_id: str
    counts: Mapping[str, int] = field(default_factory=dict)
    differences: tuple[ProbeDifference, ...] = ()
    notes: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    prior: bool = False
    digest: str = ""

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "differences":
            return tuple(ProbeDifference.from_json(entry) for entry in value)
        return super()._read_field(name, value)


def packed(answer: ProbeRunAnswer) -> dict[str, str]:
    """The answer of a run as its last task returns it: one plain JSON object, small."""
    body = json.dumps(answer.to_json()).encode()
    return {"schema": RUN_SCHEMA, "body": base64.b64encode(zlib.compress(body, 9)).decode("ascii")}


def unpacked(value: Any) -> Optional[ProbeRunAnswer]:
    """The inverse of :func:`packed`; ``None`` for anything else."""
    if not isinstance(value, Mapping) or value.get("schema") != RUN_SCHEMA:
        return None
    try:
        return ProbeRunAnswer.from_json(json.loads(zlib.decompress(base64.b64decode(str(value["body"])))))
    except (KeyError, TypeError, ValueError, zlib.error):
        return None


def in_log(log: str) -> Optional[ProbeRunAnswer]:
    """The answer that the last task wrote into its log, ``None`` when there is none, or not all of it."""
    for line in reversed(log.splitlines()):
        _, mark, text = line.partition(LOG_MARK)
        if mark:
            try:
                return unpacked(json.JSONDecoder().raw_decode(text)[0])
            except ValueError:
                return None
    return None


@dataclass(frozen=True)
class ProbeReport:
    """A whole probe of one context.

    ``answer`` is ``None`` where the context gave none, for the reason ``silent``; without a reason no context was asked,
    and there is the ``run`` alone. ``classes`` are the corpora that were asked for.
    """

    context: str
    answer: Optional[ProbeAnswer]
    differences: tuple[ProbeDifference, ...] = ()
    run: Optional[ProbeRunAnswer] = None
    silent: str = ""
    classes: tuple[str, ...] = (CONTROL_FLOW, DATA)

    @property
    def control_flow(self) -> str:
        """``green``, ``red``, or ``unknown`` when not all of it was put through, or nothing."""
        return self._colour(CONTROL_FLOW, RED)

    @property
    def data(self) -> str:
        """``green``, ``yellow``, or ``unknown``."""
        return self._colour(DATA, YELLOW)

    @property
    def colours(self) -> tuple[tuple[str, str], ...]:
        """The corpora that were asked for, as they are called on the command line, with their colours.

        Control flow that is red is told in any case: it is what a class that does not import comes to.
        """
        each = (("control-flow", CONTROL_FLOW, self.control_flow), ("data", DATA, self.data))
        return tuple((name, colour) for name, corpus, colour in each if corpus in self._asked or colour == RED)

    @property
    def _asked(self) -> tuple[str, ...]:
        return self.classes if self.run is None else (CONTROL_FLOW, DATA)  # a run has both corpora

    @property
    def all_differences(self) -> tuple[ProbeDifference, ...]:
        """Those of the classes, then those of the run."""
        return (*self.differences, *(self.run.differences if self.run is not None else ()))

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Why something that was asked for was not put through."""
        return (
            *((self.silent,) if self.silent else ()),
            *(self.answer.unmeasured if self.answer is not None else ()),
            *(self.run.unmeasured if self.run is not None else ()),
        )

    @property
    def verdict(self) -> Verdict:
        """Control flow that is not green fails; what was asked for and not put through is inconclusive."""
        if self.control_flow == RED or (self.answer is not None and self.answer.left_behind):
            return Verdict.FAILED
        unknown = any(colour == UNKNOWN for _, colour in self.colours)
        return Verdict.INCONCLUSIVE if self.unmeasured or unknown else Verdict.OK

    def _colour(self, corpus: str, bad: str) -> str:
        if self.answer is not None and self.answer.problem:
            return bad
        if any(each.corpus == corpus for each in self.all_differences):
            return bad
        counts = [found.counts for found in (self.answer, self.run) if found is not None]
        counted = any(name.startswith(f"{corpus}/") and count for each in counts for name, count in each.items())
        return GREEN if counted and not self.unmeasured else UNKNOWN

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; ``docs/probe-report.md`` says what they mean."""
        return {
            "context": self.context,
            "verdict": self.verdict.value,
            "exit_code": self.verdict.exit_code,
            "control_flow": self.control_flow,
            "data": self.data,
            "asked": list(self._asked),
            "answer": None if self.answer is None else self.answer.to_json(),
            "silent": self.silent,
            "run": None if self.run is None else self.run.to_json(),
            "differences": [each.to_json() for each in self.differences],
            "next_steps": list(next_steps(self.all_differences)),
        }


def next_steps(differences: Iterable[ProbeDifference]) -> tuple[str, ...]:
    """What to do about differences, each once."""
    return tuple(dict.fromkeys(each.hint for each in differences if each.hint))
