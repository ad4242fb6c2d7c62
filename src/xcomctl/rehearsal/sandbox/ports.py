"""Free loopback ports."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Sequence

from xcomctl.rehearsal.sandbox.errors import SandboxError

#: Servers with a gRPC twin listen on HTTP + 10000 as well (SeaweedFS), so both have to be free.
GRPC_OFFSET = 10_000

# Below Linux' ephemeral range (32768 and up): a port that we picked but have not bound yet is not handed by the
# kernel to some outgoing connection in the meantime.
_FIRST, _LAST = 12_000, 22_000


def _bindable(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def free_ports(names: Sequence[str], ports: range = range(_FIRST, _LAST)) -> dict[str, int]:
    """A free loopback port for each name, out of ``ports``; the port plus 10000 is free too.

    Raises :class:`SandboxError` when there are not enough.
    """
    chosen: dict[str, int] = {}
    candidates = random.sample(ports, min(len(ports), 2_000))
    for name in names:
        for port in candidates:
            if port not in chosen.values() and _bindable(port) and _bindable(port + GRPC_OFFSET):
                chosen[name] = port
                break
        else:
            raise SandboxError(
                f"No free port for {name} between {ports.start} and {ports.stop - 1} on 127.0.0.1.",
                "See what listens there with: ss -ltnp",
            )
    return chosen
