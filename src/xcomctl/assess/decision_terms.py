"""What the inputs of a decision have to agree on: the threshold, the deployment, the base path; and the commands that make them."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from xcomctl.model.decision import Evidence, PlanSeen, PreflightSeen
from xcomctl.model.journal_entry import parse_time
from xcomctl.report import units

#: What the plan's file is called in the commands that are printed.
PLAN_FILE = "plan-up.json"
#: How far ahead of ours another machine's clock may be.
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Terms:
    """What each input is held against. ``None`` is not compared.

    ``contexts`` are the options behind a command that name the contexts and the journal, ``journal`` those for the journal alone.
    """

    threshold: int | None
    deployment: str | None
    base_path: str | None
    max_age: timedelta
    now: datetime
    contexts: str = ""
    journal: str = ""

    def too_old(self, at: str) -> Iterator[str]:
        """A sentence for what is older than it may be, or of a time that has not come."""
        if parse_time(at) - self.now > _SKEW:
            yield f"dated in the future, of {units.moment(at)}: a clock is wrong"
        if self.now - parse_time(at) > self.max_age:
            yield f"stale, of {units.moment(at)}: older than {units.ago(self.max_age.total_seconds())} (--max-age)"

    def another_deployment(self, name: str | None) -> Iterator[str]:
        """A sentence for what is about another deployment."""
        if self.deployment is not None and name is not None and name != self.deployment:
            yield f"about the deployment {name}, and this is about {self.deployment}"

    def another_path(self, path: str | None) -> Iterator[str]:
        """A sentence for what is about another base path."""
        if self.base_path and path and path.rstrip("/") != self.base_path.rstrip("/"):
            yield f"about the base path {path}, and this is about {self.base_path}"

    def another_threshold(self, threshold: Any) -> Iterator[str]:
        """A sentence for what is about another threshold."""
        if self.threshold is not None and isinstance(threshold, int) and threshold != self.threshold:
            yield f"about the threshold {units.number(threshold)}, and {units.number(self.threshold)} is chosen"

    # -- commands

    def size_command(self) -> str:
        """The measurement, of what the chosen threshold does too."""
        return f"xcomctl size{self._threshold('--threshold')}{self.contexts}"

    def preflight_command(self) -> str:
        """The pre-flight of the offload that is decided on."""
        path = f" --expect-path {shlex.quote(self.base_path)}" if self.base_path else ""
        planned = "xcomctl preflight --planned --phase offload"
        return f"{planned}{path}{self._threshold('--expect-threshold')} --functional-s3{self.contexts}"

    def rehearse_command(self, airflow: str | None) -> str:
        """The rehearsal, with that version of Airflow."""
        version = f" --airflow {shlex.quote(airflow)}" if airflow else ""
        return f"xcomctl rehearse{version}{self._threshold('--threshold')}{self.journal}"

    def plan_command(self) -> str:
        """The plan up, into a file: it is in no journal."""
        path = f" --path {shlex.quote(self.base_path)}" if self.base_path else ""
        return f"xcomctl plan --to offload{path}{self._threshold('--threshold')}{self.contexts} -o json > {PLAN_FILE}"

    def _threshold(self, option: str) -> str:
        return "" if self.threshold is None else f" {option} {self.threshold}"


def base_path(evidence: Evidence, planned: str | None) -> str | None:
    """The base path that the decision is about: the deployment's, else the pre-flight's, the measurement's, the plan's."""
    candidates = [planned]
    candidates += preflight_paths(evidence.preflight) if evidence.preflight is not None else []
    candidates.append(size_path(evidence))
    candidates += plan_paths(evidence.up) if evidence.up is not None else []
    return next((path for path in candidates if path), None)


def deployment(evidence: Evidence, named: str | None) -> str | None:
    """The deployment that it is about: the one that was named, else the first that an input names."""
    candidates = [named, *(each.deployment for each in (evidence.size, evidence.up) if each is not None)]
    return next((name for name in candidates if name), None)


def size_path(evidence: Evidence) -> str | None:
    """The base path whose objects were measured."""
    if evidence.size is None:
        return None
    answer, asked = evidence.size.answer, evidence.size.query.get("base_path")
    if answer.offloaded is not None:
        return answer.base_path
    return asked if isinstance(asked, str) else None


def preflight_paths(seen: PreflightSeen) -> list[str]:
    """The base paths that a pre-flight tried."""
    return _texts([each.get("path") for each in seen.targets])


def preflight_thresholds(seen: PreflightSeen) -> list[int]:
    """The thresholds that it tried."""
    found = (each.get("threshold") for each in seen.targets)
    return list(dict.fromkeys(each for each in found if isinstance(each, int)))


def plan_paths(seen: PlanSeen) -> list[str]:
    """The base paths of a plan: those in its commands, else those that the contexts resolve."""
    asked = options_in(seen, "--path", "--expect-path")
    if asked:
        return asked
    settings = [each.get("settings") for each in seen.contexts.values() if isinstance(each, dict)]
    paths = [each.get("path") for each in settings if isinstance(each, dict)]
    return _texts([each.get("value") for each in paths if isinstance(each, dict)])


def plan_thresholds(seen: PlanSeen) -> list[int]:
    """The thresholds in the commands of a plan, and the one that its gate on the rehearsal was asked for."""
    planned = [gate.data.get("planned") for step in seen.steps for gate in step.gates if gate.id == "gate_rehearsal"]
    found = [each.get("threshold") for each in planned if isinstance(each, dict)]
    found += [int(each) for each in options_in(seen, "--threshold", "--expect-threshold") if each.isdecimal()]
    return list(dict.fromkeys(each for each in found if isinstance(each, int)))


def options_in(seen: PlanSeen, *names: str) -> list[str]:
    """What these options are given in the commands of a plan, each once."""
    found = []
    for command in (command for step in seen.steps for command in step.commands):
        try:
            words = shlex.split(command)
        except ValueError:
            continue
        found += [value for name, value in itertools.pairwise(words) if name in names]
    return list(dict.fromkeys(found))


def _texts(values: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(value for value in values if isinstance(value, str) and value))
