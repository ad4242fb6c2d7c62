"""Every order in which a few workers can take turns: for what has to be right in whatever order its steps come.

A worker is a function that calls ``pause()`` before each step that others can see. It runs in a thread of its own, and
one worker alone runs at any time, from one pause to the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

Worker = Callable[[], None]


class _Turn:
    def __init__(self, work: Worker, back: threading.Semaphore) -> None:
        self.go = threading.Semaphore(0)
        self.back = back
        self.done = False
        self.error: BaseException | None = None
        self._work = work
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        _HERE.turn = self
        self.go.acquire()
        try:
            self._work()
        except BaseException as error:
            self.error = error
        self.done = True
        self.back.release()


_HERE = threading.local()


def pause() -> None:
    """Let the others go on first, if this order says so. Outside of a worker it does nothing."""
    turn: _Turn | None = getattr(_HERE, "turn", None)
    if turn is not None:
        turn.back.release()
        turn.go.acquire()


def orders(workers: Callable[[], Sequence[Worker]], preemptions: int) -> Iterator[list[int]]:
    """Run fresh workers in one order after the other; each order, as who had the turn, once its run is over.

    All orders in which nobody is interrupted more than ``preemptions`` times in total, where another one wanted the
    turn. What a worker raises is raised.
    """
    untried: list[tuple[list[int], int]] = [([], preemptions)]
    while untried:
        prefix, left = untried.pop()
        order: list[int] = []
        back = threading.Semaphore(0)
        turns = [_Turn(work, back) for work in workers()]
        for turn in turns:
            turn.thread.start()
        while ready := [number for number, turn in enumerate(turns) if not turn.done]:
            before = order[-1] if order else -1
            if len(order) < len(prefix):
                chosen = prefix[len(order)]
            else:
                chosen = before if before in ready else ready[0]
                cost = int(before in ready)
                if left >= cost:
                    untried += [([*order, other], left - cost) for other in ready if other != chosen]
            order.append(chosen)
            turns[chosen].go.release()
            back.acquire()
        for turn in turns:
            turn.thread.join()
            if turn.error is not None:
                raise turn.error
        yield order
