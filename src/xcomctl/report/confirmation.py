"""Asking before something is changed: the plan was shown, and somebody says yes."""

from __future__ import annotations

import sys
from typing import TextIO

from xcomctl.errors import UserError
from xcomctl.model.verdicts import Verdict
from xcomctl.report.text import printable

_YES = ("y", "yes")


class NotConfirmed(UserError):
    """Nobody said yes, so nothing was changed."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, Verdict.REFUSED)


def confirm(question: str, *, yes: bool, stdin: TextIO | None = None, stderr: TextIO | None = None) -> None:
    """Return if the question is answered with yes, by ``yes`` (``-y``) or at the terminal.

    The question goes to standard error, so that standard output stays what programs read. Raises :class:`NotConfirmed`
    for any other answer, and where nobody can be asked.
    """
    if yes:
        return
    stdin, stderr = stdin or sys.stdin, stderr or sys.stderr
    if not stdin.isatty():
        raise NotConfirmed(f"nobody can be asked here: {printable(question)}", "-y answers with yes")
    stderr.write(f"{printable(question)} [y/N] ")
    stderr.flush()
    if stdin.readline().strip().lower() not in _YES:
        raise NotConfirmed("not confirmed: nothing was changed")
