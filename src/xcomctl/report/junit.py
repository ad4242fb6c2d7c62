"""Checks as JUnit XML, for the CI systems that show it: a suite per context, a case per check.

There is no standard; the shape is the one that Jenkins, GitLab and GitHub's reporters read (``testsuites``,
``testsuite``, ``testcase`` with ``failure`` or ``skipped``). A warning is a passed case whose text is in ``system-out``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO
from xml.etree import ElementTree

from xcomctl.model.verdicts import Check, Status
from xcomctl.report import check_words
from xcomctl.report.text import printable

#: A suite's name and its checks.
Suite = tuple[str, Sequence[Check]]


def render_junit(name: str, suites: Iterable[Suite], stream: TextIO) -> None:
    """Write one document; ``name`` is that of all suites together. Raises what the stream raises."""
    root = ElementTree.Element("testsuites", name=name)
    for suite_name, checks in suites:
        suite = ElementTree.SubElement(root, "testsuite", {"name": _text(suite_name), **_counts(checks)})
        for check in checks:
            case = ElementTree.SubElement(
                suite, "testcase", classname=_text(check.category), name=_text(check.id), time=_seconds(check)
            )
            _outcome(case, check)
    ElementTree.indent(root)
    # Said by hand: the library would name the locale's encoding.
    stream.write(f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n')


def _outcome(case: ElementTree.Element, check: Check) -> None:
    said = check_words.told(check) + (f"\n→ {check.hint}" if check.hint else "")
    if check.status is Status.FAIL:
        ElementTree.SubElement(case, "failure", message=_text(check_words.told(check))).text = _text(said)
    elif check.status is Status.SKIP:
        ElementTree.SubElement(case, "skipped", message=_text(check_words.told(check))).text = _text(said)
    else:
        ElementTree.SubElement(case, "system-out").text = _text(f"{check_words.label(check.status)} {said}")


def _counts(checks: Sequence[Check]) -> dict[str, str]:
    statuses = [check.status for check in checks]
    return {
        "tests": str(len(checks)),
        "failures": str(statuses.count(Status.FAIL)),
        "skipped": str(statuses.count(Status.SKIP)),
        "errors": "0",
        "time": f"{sum(check.duration_ms or 0 for check in checks) / 1000:.3f}",
    }


def _seconds(check: Check) -> str:
    return f"{(check.duration_ms or 0) / 1000:.3f}"


def _text(text: str) -> str:
    """XML knows no control characters at all, not even escaped."""
    return printable(text, keep_newlines=True)
