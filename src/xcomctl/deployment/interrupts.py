"""Ends by signal that leave nothing behind: while something stands that has to be removed, and while it is removed."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, with everything cleaned up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handling(interrupt, *_heeded(signal.SIGTERM, signal.SIGHUP)):
        yield


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Let the block come to its end first: what it makes could not be removed while it is being made."""
    came: list[int] = []
    try:
        with _handling(
            lambda number, frame: came.append(number), *_heeded(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        ):
            yield
    finally:
        if came:
            raise KeyboardInterrupt


@contextlib.contextmanager
def uninterruptible() -> Iterator[None]:
    """Cleaning up ends by itself before long; a second Ctrl-C must not leave half of it."""
    with _handling(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield


def _heeded(*signals: signal.Signals) -> list[signal.Signals]:
    """Without those that are ignored, as SIGHUP is under nohup: they stay so."""
    return [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]


@contextlib.contextmanager
def _handling(
    handler: Callable[[int, FrameType | None], Any] | signal.Handlers, *signals: signal.Signals
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; what runs in a test's thread goes without
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
