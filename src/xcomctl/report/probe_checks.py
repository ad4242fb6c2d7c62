"""A probe as checks: one for each corpus that was asked for, and one for what was left behind."""

from __future__ import annotations

from xcomctl.model.probe import CONTROL_FLOW, GREEN, RED, YELLOW, ProbeReport, next_steps
from xcomctl.model.verdicts import Check, Status

CATEGORY = "probe"
_STATUS = {GREEN: Status.OK, YELLOW: Status.WARN, RED: Status.FAIL}


def checks_of(report: ProbeReport) -> list[Check]:
    """The checks of one context. Ids are stable: ``probe_control_flow``, ``probe_data``, ``probe_left_behind``."""
    checks = []
    for name, colour in report.colours:
        corpus = name.replace("-", "_")
        found = [each for each in report.all_differences if each.corpus == corpus]
        problem = report.answer.problem if report.answer is not None else ""
        said = [problem] if problem else [each.line for each in found]
        if colour not in _STATUS:
            said = list(report.unmeasured) or ["nothing of it was put through"]
        words = name.replace("-", " ") if corpus == CONTROL_FLOW else "data"
        checks.append(
            Check(
                f"probe_{corpus}",
                CATEGORY,
                f"{words} comes back as it does from BaseXCom",
                _STATUS.get(colour, Status.SKIP),
                "\n".join(said),
                "\n".join(next_steps(found)),
                data={"differences": len(found)},
            )
        )
    if report.answer is not None and report.answer.left_behind:
        left = report.answer.left_behind
        checks.append(
            Check(
                "probe_left_behind", CATEGORY, "nothing is left in the store", Status.FAIL,
                f"could not be removed: {', '.join(left)}", "remove them, and see what store_delete of preflight says",
                data={"left_behind": list(left)},
            )
        )  # fmt: skip
    return checks
