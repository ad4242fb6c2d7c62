"""Free ports are free, distinct, and their absence is one sentence."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from xcomctl.rehearsal.sandbox.errors import SandboxError
from xcomctl.rehearsal.sandbox.ports import GRPC_OFFSET, free_ports


def test_ports_are_distinct_and_free_with_their_twins() -> None:
    chosen = free_ports(["a", "b", "c"])
    assert len(set(chosen.values())) == 3
    for port in chosen.values():
        for number in (port, port + GRPC_OFFSET):
            with socket.socket() as server:
                server.bind(("127.0.0.1", number))


def test_a_port_whose_twin_is_taken_is_passed_over() -> None:
    (port,) = free_ports(["a"]).values()
    with socket.socket() as twin:
        twin.bind(("127.0.0.1", port + GRPC_OFFSET))
        twin.listen()
        with pytest.raises(SandboxError):
            free_ports(["a"], range(port, port + 1))


def test_no_free_port_is_one_sentence_and_names_who_wanted_it() -> None:
    (first,) = free_ports(["a"]).values()
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", first))
        server.listen()
        with pytest.raises(SandboxError, match=f"No free port for postgres between {first} and {first}") as caught:
            free_ports(["postgres"], range(first, first + 1))
    assert caught.value.hint == "See what listens there with: ss -ltnp"
