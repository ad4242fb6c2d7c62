"""What a request works with: its parameters, a way to emit items and progress, and whether to stop."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any, Callable, Optional, Protocol

from xcomctl.model import frames, requests

#: A frame of items is sent when it holds this many, is this large, or its first item has waited this long.
ITEMS_PER_FRAME = 256
BYTES_PER_FRAME = 256 * 1024
SECONDS_PER_FRAME = 0.25


class RequestError(Exception):
    """A request cannot be answered, for a reason that the person at the desk can do something about."""

    def __init__(self, message: str, hint: str = "", reason: str = requests.USER_ERROR) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.reason = reason


class Stopped(BaseException):
    """The desk has gone or has lost interest: end at this safe point. Nothing that catches errors catches this."""


class Item(Protocol):
    """What travels as an item."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""


class RequestContext:
    """One request in progress. ``write`` sends the bytes of a frame."""

    def __init__(
        self,
        request_id: int,
        params: Mapping[str, Any],
        write: Callable[[bytes], None],
        stop: threading.Event,
    ) -> None:
        self._id = request_id
        self._params = params
        self._write = write
        self._stop = stop
        self._items: list[str] = []
        self._items_size = 0
        self._first_item_at = 0.0

    @property
    def params(self) -> Mapping[str, Any]:
        """All parameters, for a request that has a record of its own for them."""
        return self._params

    def check(self) -> None:
        """A safe point: raises :class:`Stopped` if the request should end here."""
        if self._stop.is_set():
            raise Stopped

    def emit(self, item: Item) -> None:
        """Send one item (soon, together with its neighbours). A safe point."""
        self.check()
        text = json.dumps(item.to_json(), separators=(",", ":"))
        now = time.monotonic()
        if not self._items:
            self._first_item_at = now
        self._items.append(text)
        self._items_size += len(text)
        if (
            len(self._items) >= ITEMS_PER_FRAME
            or self._items_size >= BYTES_PER_FRAME
            or now - self._first_item_at >= SECONDS_PER_FRAME
        ):
            self.flush()

    def progress(self, message: str, done: Optional[int] = None, total: Optional[int] = None) -> None:
        """Tell the desk how far this is. A safe point."""
        self.check()
        self.flush()
        self._write(
            frames.encode({"kind": frames.PROGRESS, "id": self._id, "message": message, "done": done, "total": total})
        )

    def flush(self) -> None:
        """Send the items that wait for company."""
        if self._items:
            head = json.dumps({"kind": frames.ITEM, "id": self._id})
            text = f'{head[:-1]},"items":[{",".join(self._items)}]}}'
            self._items.clear()
            self._items_size = 0
            self._write(frames.encode_text(text))

    def text(self, name: str, default: Optional[str] = None, *, required: bool = False) -> Optional[str]:
        """A parameter that is a string. Empty counts as not given."""
        value = self._params.get(name)
        if value is None or value == "":
            if required:
                raise RequestError(f"the request needs {name!r}")
            return default
        if not isinstance(value, str):
            raise RequestError(f"{name!r} must be a string")
        return value

    def flag(self, name: str) -> bool:
        """A parameter that is a boolean, false unless given."""
        value = self._params.get(name, False)
        if not isinstance(value, bool):
            raise RequestError(f"{name!r} must be true or false")
        return value

    def number(self, name: str, default: int) -> int:
        """A parameter that is a whole number."""
        value = self._params.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise RequestError(f"{name!r} must be a whole number")
        return value

    def raw(self, name: str, default: Any = None) -> Any:
        """A parameter of any shape; who asks checks it."""
        return self._params.get(name, default)
