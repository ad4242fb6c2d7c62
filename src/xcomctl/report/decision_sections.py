"""Every generated section of a decision record, by its name; and a new file, with the places in which people write."""

from __future__ import annotations

from collections.abc import Mapping

from xcomctl.model import decision
from xcomctl.model.decision import DecisionRecord
from xcomctl.model.settings import PATH
from xcomctl.report import decision_figures as figures
from xcomctl.report import decision_trials as trials
from xcomctl.report import units
from xcomctl.report.decision_file import generated
from xcomctl.report.markdown import block, bullets, escape, join, table

#: How the first cut-over of the runbook wrote it.
_DOTTED = PATH.env.replace("COMMON_IO", "COMMON.IO")
_INTRODUCTION = (
    "What stands between markers of `xcomctl` is written anew by `xcomctl decide`. Everything else is yours and stays as "
    "it is, wherever it stands; sections may be moved, or deleted."
)
#: What stands before a generated section in a new file.
_BEFORE: Mapping[str, str] = {
    decision.MEASURED: "## Context\n\n<!-- Why now? Which DAGs, which database, what hurts? -->\n\n"
    "## Alternatives considered\n\n<!-- Leave it as it is, smaller values, another backend, another threshold: why not? -->\n",
    decision.SOURCES: "### Risks that we add\n\n<!-- One a line: what may go wrong, who looks after it. -->\n\n"
    "## Consequences\n\n<!-- What has to be watched, paid, cleaned up from now on? Who can no longer read values in the UI? -->\n",
}
_NOTES = "## Notes\n\n<!-- Anything else. -->\n"


def render(record: DecisionRecord) -> dict[str, str]:
    """The Markdown of each section, without markers, in the order of a new file."""
    made = {
        decision.DECISION: figures.decided,
        decision.MEASURED: figures.measured,
        decision.THRESHOLDS: figures.thresholds,
        decision.PREFLIGHT: trials.preflight,
        decision.REHEARSAL: trials.rehearsal,
        decision.PLAN_UP: trials.plan_up,
        decision.PLAN_DOWN: trials.plan_down,
        decision.WARNING: warning,
        decision.RISKS: risks,
        decision.SOURCES: sources,
    }
    return {name: made[name](record) for name in decision.SECTIONS}


def warning(record: DecisionRecord) -> str:
    """The root cause of the runbook's first cut-over, which nothing keeps from happening again."""
    return join(
        [
            f"## {decision.TITLES[decision.WARNING]}",
            "The settings of `[common.io]` go into variables with an underscore. Airflow makes the name of the section "
            "upper case and replaces its dot. A variable with the literal dot is present in the environment and invisible to "
            "`conf.get` (F13).",
            f"| | Variable | What Airflow makes of it |\n| --- | --- | --- |\n| right | `{PATH.env}` | read |\n"
            f"| wrong | `{_DOTTED}` | never read |",
            "Then the backend runs without its path and threshold. Newer providers fall back to an empty path and to -1 and "
            "offload nothing, without a word; older ones crash when the backend starts. The flip looks live and is not.",
            "**Verify resolution, never presence.** That `env | grep` finds a variable proves nothing. What every context "
            "resolves, and any near miss of a name:",
            block([f"xcomctl preflight --only config{record.contexts}", f"xcomctl status{record.contexts}"], "sh"),
        ]
    )


def risks(record: DecisionRecord) -> str:
    """What is open, as it follows from the inputs."""
    found = record.risks
    said = f"{units.count(len(found), 'risk')}, as they follow from what this rests on." if found else "None follows from what this rests on."  # fmt: skip
    return join([f"## {decision.TITLES[decision.RISKS]}", said[0].upper() + said[1:], bullets(found)])


def sources(record: DecisionRecord) -> str:
    """Where each input is from; and that there is none."""
    rows = []
    for name in (decision.MEASURED, decision.PREFLIGHT, decision.REHEARSAL, decision.PLAN_UP):
        source = record.evidence.sources.get(name)
        if source is None:
            rows.append((decision.TITLES[name], "missing", "", "", ""))
        else:
            where = f"{source.where}; it names no deployment" if source.unnamed else source.where
            rows.append((decision.TITLES[name], where, units.moment(source.at), source.verdict, source.schema))
    return join(
        [
            f"## {decision.TITLES[decision.SOURCES]}",
            table(("For", "From", "When", "Verdict", "Schema"), rows),
            "Written by:",
            block([record.again], "sh"),
        ]
    )


def new_file(record: DecisionRecord, bodies: Mapping[str, str]) -> str:
    """The text of a new file with these sections, in their order."""
    whose = f" of {record.deployment}" if record.deployment else ""
    blocks = [f"# {escape(f'Decision: large XComs{whose} into the object store')}\n", f"{_INTRODUCTION}\n"]
    for name, body in bodies.items():
        blocks += [_BEFORE[name]] if name in _BEFORE else []
        blocks.append(generated(name, body))
    return "\n".join([*blocks, _NOTES])
