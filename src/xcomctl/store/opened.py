"""A base path's file system, opened for a look at what it allows: its requests are counted, nothing is remembered."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Optional

from xcomctl.airflow_compat.paths import new_file_system
from xcomctl.model.references import normalized_base

#: What is left of a store's message; some answer with a page.
_MESSAGE_LENGTH = 300


@dataclass(frozen=True)
class Tried:
    """One thing that was tried. ``error`` is what it raised, ``None`` when it was done; ``result`` what it gave.

    ``requests`` counts what was asked of the store for it, ``None`` where fsspec does not let us see that.
    """

    result: Any
    error: Optional[Exception]
    latency_ms: float = 0.0
    requests: Optional[int] = None

    @property
    def message(self) -> str:
        """The error in one line."""
        return "" if self.error is None else message_of(self.error)

    @property
    def refused(self) -> bool:
        """Whether the identity may not do it."""
        return self.error is not None and is_refusal(self.error)

    @property
    def missing(self) -> bool:
        """Whether the store says that there is no such thing."""
        return isinstance(self.error, FileNotFoundError)


class Store:
    """The file system of a base path, made as Airflow makes it, for one look. Raises what making it raises.

    ``root`` is the base path in it, ``bucket`` and ``prefix`` its first name and the rest; a local folder has no
    bucket.
    """

    def __init__(self, base_path: str) -> None:
        self.base_path = normalized_base(base_path)
        self.fs, self.root = new_file_system(base_path)
        self._requests = 0
        self.is_s3 = hasattr(self.fs, "call_s3") and hasattr(self.fs, "split_path")
        self.is_local = not self.is_s3 and "file" in _protocols(self.fs)
        bucket, _, prefix = self.root.partition("/") if not self.root.startswith("/") else ("", "", self.root)
        self.bucket, self.prefix = bucket, prefix
        if self.is_s3:
            self._count_requests()

    @property
    def requests(self) -> int:
        """Calls of the S3 API so far, ``0`` elsewhere: fsspec does not let us see those of other file systems."""
        return self._requests

    def uri(self, below: str) -> str:
        """What is below the base path, as a URI."""
        return f"{self.base_path.rstrip('/')}/{below}"

    def s3(self, method: str, **arguments: Any) -> Any:
        """One call of the S3 API by botocore's name, through the file system's own client."""
        from fsspec.asyn import sync

        return sync(self.fs.loop, self.fs._call_s3, method, **arguments)

    def attempt(self, work: Callable[[], Any]) -> Tried:
        """What came of something, and the milliseconds that it took."""
        self.fs.invalidate_cache()
        before = self._requests
        started = time.monotonic()
        try:
            result, error = work(), None
        except Exception as raised:
            result, error = None, raised
        took = round((time.monotonic() - started) * 1000, 1)
        return Tried(result, error, took, self._requests - before if self.is_s3 else None)

    def _count_requests(self) -> None:
        call = self.fs._call_s3

        async def counted(method: str, *args: Any, **kwargs: Any) -> Any:
            self._requests += 1
            return await call(method, *args, **kwargs)

        self.fs._call_s3 = counted


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def is_refusal(error: Optional[BaseException]) -> bool:
    """Whether an error says that the identity may not do it: each file system has a type of its own for that."""
    status = getattr(error, "status_code", getattr(error, "code", None))
    return isinstance(error, PermissionError) or str(status) in ("401", "403")


def message_of(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split()) or "no reason given"
    return f"{type(error).__name__}: {text[:_MESSAGE_LENGTH]}{'…' if len(text) > _MESSAGE_LENGTH else ''}"
