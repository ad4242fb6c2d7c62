"""Whether the process that took a lock is known to be gone.

A number alone does not name a process: numbers are used again, and each container counts its own. So a lock carries
the machine (its boot, and the namespace that numbers its processes) and the moment that the process started. Where
these cannot be told, as outside Linux, nobody is known to be gone, and the lock's expiry decides.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process, told apart from every other one. ``machine`` and ``started`` are empty where they cannot be told."""

    pid: int
    machine: str
    started: str

    @classmethod
    def running(cls, pid: int) -> Process:
        """A process that runs here."""
        return cls(pid, _machine(), _started(pid) or "")

    @property
    def is_gone(self) -> bool:
        """Whether it ran on this machine and has ended. A zombie has; what cannot be known is not gone."""
        if not self.machine or not self.started or self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # somebody else's process is a process
        started = _started(self.pid)
        return started is not None and started != self.started


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When the process started, in the kernel's ticks since the boot; empty for a zombie, ``None`` if it is not told."""
    try:
        # The program's name is in parentheses and may hold anything, parentheses too.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # The first thread of a killed process is a zombie while the others still finish what the kernel does for them.
    return "" if fields[0] in "ZX" and int(fields[17]) <= 1 else fields[19]
