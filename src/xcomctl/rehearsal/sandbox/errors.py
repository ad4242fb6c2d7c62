"""What can go wrong with a sandbox. None of it is a finding about XComs: the rehearsal is inconclusive."""

from __future__ import annotations

from xcomctl.errors import UserError


class SandboxError(UserError):
    """The sandbox could not be started, or did not survive."""


class ServerDied(SandboxError):
    """A server of the sandbox ended while it was needed."""
