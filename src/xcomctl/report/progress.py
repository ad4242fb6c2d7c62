"""Progress while something long runs: a live display on a terminal, plain lines anywhere else.

>>> progress = progress_for()
>>> with progress.step("restart", "Restart Airflow with the new settings") as step:
...     step.waiting("the scheduler's heartbeat")
...     step.note("3 processes restarted")
>>> progress.close()

Progress is never what fails a command: a closed or full stream silences it.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
import time
from asyncio import CancelledError
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TextIO

from xcomctl.model.redaction import redact
from xcomctl.report import units
from xcomctl.report.text import ascii_only, first_line, holds_unicode, is_terminal, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

#: Plain lines say after this many seconds that the wait goes on.
REMIND_AFTER_S = 10.0
#: A wait whose description changes at every poll is printed at most this often.
CHANGE_AFTER_S = 2.0

_SHOW_CURSOR = "\x1b[?25h"
_STYLES = {"OK": "green", "FAIL": "bold red", "STOP": "yellow"}


class StepHandle(Protocol):
    """What the code inside a step tells about itself."""

    def waiting(self, what: str) -> None:
        """The step now waits for ``what`` (``the scheduler's heartbeat``); an empty text ends the wait. Call it freely."""

    def note(self, text: str) -> None:
        """One line worth keeping, shown with the step."""


class Progress(Protocol):
    """Shows steps as they run. Steps may nest; any thread may use a handle."""

    def step(self, id: str, title: str) -> AbstractContextManager[StepHandle]:
        """Run one step in a ``with`` block; an exception marks it failed (Ctrl-C: interrupted) and travels on."""

    def close(self) -> None:
        """End the display and give the terminal back. May be called more than once."""


def progress_for(stream: TextIO | None = None) -> Progress:
    """The progress that suits the stream (default: ``sys.stderr``): live on a terminal, else plain lines."""
    stream = stream if stream is not None else sys.stderr
    return LiveProgress(stream) if is_terminal(stream) else PlainProgress(stream)


class _Step:
    """One running step: its own context manager and handle."""

    def __init__(self, owner: _Base, step_id: str, title: str) -> None:
        self._owner = owner
        self.id = printable(step_id)
        self.title = printable(title)
        self.started = self.wait_started = self.wait_said = 0.0
        self.wait = ""
        self.wait_is_said = True
        self.notes: list[str] = []

    def __enter__(self) -> _Step:
        self.started = self._owner.clock()
        self._owner.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome, why = "OK", ""
        if kind is not None and issubclass(kind, KeyboardInterrupt | CancelledError):
            outcome = "STOP"
        elif kind is not None:
            outcome, why = "FAIL", first_line(redact(str(error))) or kind.__name__
        self._owner.end(self, outcome, why)

    def waiting(self, what: str) -> None:
        what = printable(redact(what)).strip().removeprefix("waiting for ").rstrip(" .…")
        with self._owner.lock:
            if what != self.wait:
                self.wait, self.wait_started, self.wait_is_said = what, self._owner.clock(), not what
                self._owner.wait_changed(self)

    def note(self, text: str) -> None:
        with self._owner.lock:
            self.notes.append(printable(redact(text)))
            self._owner.noted(self)


class _Base:
    """What both displays share: the clock, the lock, the running steps."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream
        self.clock = clock
        self.lock = threading.RLock()
        self.running: list[_Step] = []
        self.began = clock()
        self._unicode = holds_unicode(stream)

    def __enter__(self) -> _Base:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def step(self, id: str, title: str) -> AbstractContextManager[StepHandle]:
        """See :class:`Progress`."""
        return _Step(self, id, title)

    def close(self) -> None:
        """See :class:`Progress`."""

    def begin(self, step: _Step) -> None:
        with self.lock:
            self.running.append(step)

    def end(self, step: _Step, outcome: str, why: str) -> None:
        with self.lock:
            if step in self.running:
                self.running.remove(step)

    def wait_changed(self, step: _Step) -> None:
        """Called with the lock held, after the step's wait changed."""

    def noted(self, step: _Step) -> None:
        """Called with the lock held, after a note was added."""

    def shown(self, text: str) -> str:
        """The text as the stream's encoding can take it."""
        return text if self._unicode else ascii_only(text)


class PlainProgress(_Base):
    """Lines such as ``[  42 s] restart: waiting for the scheduler's heartbeat …``; no control characters, no colour."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, tick_s: float = 0.5) -> None:
        """``clock`` gives seconds; ``tick_s`` is how often long waits are looked at (0: only when :meth:`tick` is called)."""
        super().__init__(stream, clock)
        self._tick_s = tick_s
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None

    def begin(self, step: _Step) -> None:
        """The step starts: shown at once."""
        with self.lock:
            super().begin(step)
            self._line(step, step.title)
            if self._ticker is None and self._tick_s > 0:
                self._stop = threading.Event()
                self._ticker = threading.Thread(
                    target=self._run, args=(self._stop,), name="xcomctl-progress", daemon=True
                )
                self._ticker.start()

    def end(self, step: _Step, outcome: str, why: str) -> None:
        """The step ended with ``OK``, ``FAIL`` or ``STOP``; ``why`` is the reason of a fail."""
        with self.lock:
            super().end(step, outcome, why)
            took = units.seconds(self.clock() - step.started)
            said = {"OK": f"OK in {took}", "STOP": f"interrupted after {took}"}.get(
                outcome, f"FAIL after {took}: {why}"
            )
            self._line(step, said)
            if not self.running:
                self.close()

    def close(self) -> None:
        """See :class:`Progress`."""
        with self.lock:
            self._stop.set()
            self._ticker = None

    def wait_changed(self, step: _Step) -> None:
        """Say the new wait, unless the last one was said just now."""
        if step.wait and (not step.wait_said or self.clock() - step.wait_said >= CHANGE_AFTER_S):
            self._say_wait(step)

    def noted(self, step: _Step) -> None:
        """Say the note."""
        self._line(step, step.notes[-1])

    def tick(self) -> None:
        """Say what is waited for, where a wait went on for long or was held back."""
        with self.lock:
            for step in self.running:
                quiet = self.clock() - step.wait_said
                if step.wait and quiet >= (REMIND_AFTER_S if step.wait_is_said else CHANGE_AFTER_S):
                    self._say_wait(step)

    def _say_wait(self, step: _Step) -> None:
        now = self.clock()
        long = f" {units.elapsed(now - step.wait_started)}" if step.wait_is_said else ""
        self._line(step, f"waiting for {step.wait} …{long}")
        step.wait_said, step.wait_is_said = now, True

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self._tick_s):
            self.tick()

    def _line(self, step: _Step, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(self.shown(f"[{self.clock() - self.began:4.0f} s] {step.id}: {text}\n"))
            self.stream.flush()


class LiveProgress(_Base):
    """Steps done scroll up as lines; what runs now, what it waits for and how long already is redrawn in place below.

    The display lives only while a step runs, so an exception that leaves the step gives the terminal back even if
    nobody calls :meth:`close`.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds."""
        super().__init__(stream, clock)
        self._console: Console | None = None
        self._live: Live | None = None
        self._hidden = False
        self._switching = threading.RLock()

    def begin(self, step: _Step) -> None:
        """The step starts: shown at once."""
        with self.lock:
            super().begin(step)
        with self._switching, contextlib.suppress(OSError, ValueError):
            if self._live is not None:
                self._live.refresh()
            elif self.running:  # another thread may have ended the step meanwhile
                self._live = self._new_live()
                self._live.start()

    def end(self, step: _Step, outcome: str, why: str) -> None:
        """The step ended with ``OK``, ``FAIL`` or ``STOP``; ``why`` is the reason of a fail."""
        with self.lock:
            depth = self.running.index(step) if step in self.running else 0
            super().end(step, outcome, why)
        try:
            with self._switching:
                if not self.running:
                    self.close()
        finally:
            self._print_done(step, outcome, why, depth)

    def close(self) -> None:
        """See :class:`Progress`."""
        with self._switching:
            live, self._live = self._live, None
            if live is not None:
                with contextlib.suppress(OSError, ValueError):
                    live.stop()
                    self._hidden = False
                    atexit.unregister(self._show_cursor)

    # Two locks. `lock` guards what is shown; rich's refresh thread holds rich's own lock and then asks for it (see
    # _frame), so it is never held while rich is called. `_switching` is held while a display starts or stops, so that
    # two threads do not do that at once; the refresh thread never asks for it.

    def _new_live(self) -> Live:
        from rich.live import Live

        self._hidden = True
        atexit.register(self._show_cursor)
        return Live(
            console=self._terminal(),
            get_renderable=self._frame,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,  # data goes to stdout, which may be a file
            redirect_stderr=self.stream is sys.stderr,
            vertical_overflow="ellipsis",
        )

    def _show_cursor(self) -> None:
        # The last resort: a second Ctrl-C may have interrupted the orderly end.
        if self._hidden:
            with contextlib.suppress(OSError, ValueError):
                self.stream.write(_SHOW_CURSOR)
                self.stream.flush()

    def _terminal(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                file=self.stream, force_terminal=True, highlight=False, markup=False, emoji=False, soft_wrap=False
            )
        return self._console

    def _print_done(self, step: _Step, outcome: str, why: str, depth: int) -> None:
        took = units.seconds(self.clock() - step.started)
        lines: list[Text] = [self._row(outcome, _STYLES[outcome], took, step.title, depth)]
        extra = list(step.notes)
        if outcome == "STOP":
            extra.append("interrupted" + (f" while waiting for {step.wait}" if step.wait else ""))
        elif why:
            extra.append(why)
        for note in extra:
            lines.append(self._text(("", ""), (" " * (19 + 2 * depth), ""), (note, "" if note == why else "dim")))
        with contextlib.suppress(OSError, ValueError):
            self._terminal().print(*lines, sep="\n")

    def _row(self, mark: str, style: str, took: str, title: str, depth: int = 0) -> Text:
        return self._text((f" {mark:<4} ", style), (f"{took:>11}  ", "dim"), ("  " * depth + title, ""))

    def _text(self, *parts: tuple[str, str]) -> Text:
        from rich.text import Text

        return Text.assemble(*((self.shown(text), style) for text, style in parts), overflow="fold")

    def _frame(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        now = self.clock()
        spinner = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if self._unicode else "-\\|/"
        mark = spinner[int(now * 8) % len(spinner)]
        rows: list[Text] = []
        with self.lock:
            for depth, step in enumerate(self.running):
                rows.append(self._row(f"  {mark}", "cyan", units.elapsed(now - step.started), step.title, depth))
                indent = " " * (19 + 2 * depth)
                rows.extend(self._text((indent, ""), (note, "dim")) for note in step.notes[-2:])
                if step.wait:
                    waited = units.elapsed(now - step.wait_started)
                    rows.append(self._text((indent, ""), (f"waiting for {step.wait} … ", ""), (waited, "bold")))
        if rows:
            rows.append(self._text((f"{units.elapsed(now - self.began):>17}  since the start", "dim")))
        for row in rows:
            # One row each, whatever the width: a height that jumps is what flickers.
            row.no_wrap, row.overflow = True, "ellipsis" if self._unicode else "crop"
        return Group(*rows) if rows else Text("")
