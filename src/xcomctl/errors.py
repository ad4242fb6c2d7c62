"""What the desk raises when the person at the keyboard can do something about it."""

from __future__ import annotations

from xcomctl.model.verdicts import Verdict


class UserError(Exception):
    """A failure that one clear sentence explains; the command line prints it without a traceback.

    ``message`` is that sentence. ``hint`` is the command or the line that mends it. ``verdict`` decides the exit
    code: by default nothing could be measured, which is never the same as ok. ``log`` holds the lines of a server's
    or a far side's log that matter, oldest first.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        verdict: Verdict = Verdict.INCONCLUSIVE,
        log: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.verdict = verdict
        self.log = log
