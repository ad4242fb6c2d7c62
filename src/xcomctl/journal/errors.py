"""What the journal and its lock raise."""

from __future__ import annotations

from xcomctl.errors import UserError
from xcomctl.model.verdicts import Verdict


class JournalError(UserError):
    """The journal cannot be read or written. ``hint`` says what mends it."""


class Locked(UserError):
    """Another change of the same deployment is under way; the message says whose, since when and until when."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint, Verdict.REFUSED)


class LockLost(UserError):
    """The lock expired under its holder and somebody else took it over. What is left of the change must not be done."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint, Verdict.REFUSED)
