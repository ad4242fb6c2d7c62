"""Reads whole objects below one base path, decompressed as the backend does it: whole and undamaged, or not at all.

What a store promises of an object is held against what it gave: the length of the answer's body, its MD5 where the ETag
is one, and the checksum that a newer client looks at by itself. Where there is none of these (a folder), a changed byte is
noticed by the compression's own checksum alone; zstd and lz4 have none as fsspec writes them.

Memory is bounded: by a limit for one object, and across threads by having large ones in memory one at a time.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Optional

from xcomctl.model.references import Reference
from xcomctl.store.opened import Store, message_of

#: In bytes. Of objects that are larger, as stored or decompressed, one at a time is in memory.
LARGE = 4 << 20
#: How much is read at a time, in bytes.
_PIECE = 1 << 20
#: What the client raises when the body of an answer ends too early, or is not what its checksum says. By name: they are
#: of three packages, and not every version has them all.
_CUT = ("ClientPayloadError", "IncompleteReadError", "ResponseStreamingError")
_WRONG = "FlexibleChecksumError"
#: An ETag that may be an MD5: that of an object in parts has a dash and their number behind it.
_MD5 = re.compile(r'"?([0-9a-fA-F]{32})"?')
#: S3's buckets in one availability zone: their ETags look like an MD5 and are none.
_DIRECTORY_BUCKET = "--x-s3"


class TooLarge(Exception):
    """An object, as stored or decompressed, has more than ``limit`` bytes: it was not read any further."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it has more than {limit:,} bytes")
        self.limit = limit


class Damaged(Exception):
    """What the store gave is not what was written: cut, changed, or no such compressed data. Says which."""


class Cut(Damaged):
    """What the store gave ended too early, each time: it may be whole when it is asked for again."""


@dataclass
class _Answer:
    """What the store said of an object: its ``length`` and its ``md5`` where it told them, and what it gave of it.

    ``data`` is ``None`` for an object that is larger than what was asked for. ``given`` counts bytes.
    """

    length: Optional[int] = None
    md5: Optional[str] = None
    given: int = 0
    data: Optional[bytes] = None


class Contents:
    """The contents of objects, for any number of threads. Making it raises what making the file system raises."""

    def __init__(self, base_path: str) -> None:
        self._store = Store(base_path)
        self._large = threading.RLock()
        self._opened = 0
        self._counting = threading.Lock()
        if self._store.is_s3:
            self._store.fs.connect()  # or threads that come at the same time would each make a client

    @property
    def requests(self) -> int:
        """Calls to the store so far; where fsspec does not let us see them, how many objects were opened.

        What the file system's client repeats by itself is one call.
        """
        return self._store.requests if self._store.is_s3 else self._opened

    def read(self, reference: Reference, limit: Optional[int] = None) -> bytes:
        """The JSON of an object, as :meth:`opened` gives it. For objects of which few are kept at a time."""
        with self.opened(reference, limit) as data:
            return data

    @contextmanager
    def opened(self, reference: Reference, limit: Optional[int] = None) -> Iterator[bytes]:
        """The JSON of an object, its suffix says how it is compressed; empty for an empty object, whatever its suffix.

        A large one, see :data:`LARGE`, is no other thread's turn until the block ends. One request to the store, and for
        a large object on S3 a second one when its turn has come.

        Raises :class:`TooLarge` for more than ``limit`` bytes, :class:`Damaged`, ``FileNotFoundError`` when there is no
        such object or bucket, and whatever else the file system raises when the store fails.
        """
        with _Turn(self._large) as turn:
            yield self._read(reference, limit, turn)

    def _read(self, reference: Reference, limit: Optional[int], turn: _Turn) -> bytes:
        path = f"{self._store.root}/{reference.relative}"
        stored = (self._from_s3 if self._store.is_s3 else self._from_file)(path, limit, turn)
        return _decompressed(stored, path, limit, turn) if stored else b""

    def _from_s3(self, path: str, limit: Optional[int], turn: _Turn) -> bytes:
        # The body of a large object is not waited for with an open connection, which the store might end meanwhile.
        answer = self._asked(path, LARGE if limit is None else min(limit, LARGE))
        if answer.data is None and (limit is None or (answer.length or 0) <= limit):
            turn.take()
            answer = self._asked(path, limit)
        if answer.data is None:
            assert limit is not None
            raise TooLarge(limit)
        if answer.length is not None and answer.given != answer.length:
            raise _cut(answer)
        if answer.md5 is not None and hashlib.md5(answer.data, usedforsecurity=False).hexdigest() != answer.md5:
            raise Damaged("the store gave other bytes than were written: their MD5 is not the object's ETag")
        return answer.data

    def _asked(self, path: str, most: Optional[int]) -> _Answer:
        """One object from S3, unless it has more than ``most`` bytes; what does not arrive is asked for again."""
        from fsspec.asyn import sync

        answer = _Answer()

        async def ask() -> None:
            await self._ask(path, most, answer)

        try:
            sync(self._store.fs.loop, _patiently, self._store.fs, ask)
        except Exception as error:
            if type(error).__name__ in _CUT:
                raise _cut(answer) from error
            if type(error).__name__ == _WRONG:
                raise Damaged(f"the store gave other bytes than were written: {message_of(error)}") from error
            raise
        return answer

    async def _ask(self, path: str, most: Optional[int], answer: _Answer) -> None:
        fs = self._store.fs
        bucket, key, version = fs.split_path(path)
        versioned = {"VersionId": version} if version else {}
        answer.given, answer.data = 0, None
        response = await fs._call_s3("get_object", Bucket=bucket, Key=key, **versioned)
        answer.length, answer.md5 = response.get("ContentLength"), md5_of(response, bucket)
        body = response["Body"]
        try:
            if most is not None and (answer.length or 0) > most:
                return
            gathered = _Gathered(most)
            while not gathered.full:
                piece = await body.read(gathered.wanted)
                if not piece:
                    answer.data = gathered.joined()
                    return
                gathered.add(piece)
                answer.given = gathered.size
        finally:
            body.close()

    def _from_file(self, path: str, limit: Optional[int], turn: _Turn) -> bytes:
        with self._counting:
            self._opened += 1
        self._store.fs.invalidate_cache()
        with self._store.fs.open(path, "rb") as file:
            length = getattr(file, "size", None)
            if limit is not None and (length or 0) > limit:
                raise TooLarge(limit)
            data = _all(file.read, limit, turn)
        if length is not None and len(data) < length:
            raise _cut(_Answer(length, given=len(data)))
        return data


class _Turn:
    """The turn of large objects: taken at most once, and given back at the end of the block."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._taken = False

    def take(self) -> None:
        """Wait for it, unless it is taken."""
        if not self._taken:
            self._lock.acquire()
            self._taken = True

    def __enter__(self) -> _Turn:
        return self

    def __exit__(self, *_: object) -> None:
        if self._taken:
            self._lock.release()


class _Gathered:
    """Bytes that arrive in pieces: at most ``most`` of them, and one more that tells that there are more."""

    def __init__(self, most: Optional[int]) -> None:
        self._most = most
        self._into = io.BytesIO()  # grows in place, and gives its bytes away without a copy
        self.size = 0

    @property
    def wanted(self) -> int:
        """How many bytes to read next."""
        return _PIECE if self._most is None else min(_PIECE, self._most + 1 - self.size)

    @property
    def full(self) -> bool:
        """Whether there are more than ``most``."""
        return self._most is not None and self.size > self._most

    def add(self, piece: bytes) -> None:
        """Add what was read."""
        self._into.write(piece)
        self.size += len(piece)

    def joined(self) -> bytes:
        """All of them."""
        return self._into.getvalue()


def _all(read: Callable[[int], bytes], limit: Optional[int], turn: _Turn) -> bytes:
    """All that there is to read; the turn is taken when it is large. Raises :class:`TooLarge`, and what reading does."""
    gathered = _Gathered(limit)
    while True:
        piece = read(gathered.wanted)
        if not piece:
            return gathered.joined()
        gathered.add(piece)
        if gathered.full:
            assert limit is not None
            raise TooLarge(limit)
        if gathered.size > LARGE:
            turn.take()


def compression_of(path: str) -> Optional[str]:
    """How the object of that name is compressed, by its suffix as the backend tells it; ``None`` if it is not."""
    import fsspec.utils

    name: Optional[str] = fsspec.utils.infer_compression(path)
    return name


def _decompressed(stored: bytes, path: str, limit: Optional[int], turn: _Turn) -> bytes:
    """An object's content by the suffix of its name. Raises :class:`TooLarge` and :class:`Damaged`."""
    import fsspec.compression

    name = compression_of(path)
    if name is None:
        return stored
    try:
        stream = fsspec.compression.compr[name](io.BytesIO(stored), mode="rb")
        data = _all(stream.read, limit, turn)
        if type(stream).__module__.startswith("zstandard") and not _whole(stored):
            raise EOFError("the frame is cut")
    except (TooLarge, MemoryError):
        raise
    except Exception as error:  # each codec has errors of its own
        raise Damaged(f"it is no whole {name} data: {message_of(error)}") from error
    return data


def _whole(stored: bytes) -> bool:
    """Whether zstd's frame ends where the data does: the package ``zstandard`` reads a cut one without a word."""
    import zstandard

    frame = zstandard.ZstdDecompressor().decompressobj()
    for start in range(0, len(stored), _PIECE // 16):
        if not frame.eof:
            frame.decompress(stored[start : start + _PIECE // 16])
    return bool(frame.eof)


async def _patiently(fs: Any, ask: Callable[[], Any]) -> None:
    """Ask as ``s3fs`` itself reads an object: again when the store is busy, or when the body does not arrive."""
    try:
        from s3fs.core import _error_wrapper
    except ImportError:
        await ask()
    else:
        await _error_wrapper(ask, retries=fs.retries)


def md5_of(response: Any, bucket: str) -> Optional[str]:
    """The MD5 of an object's bytes in hex, when the ETag of S3's answer is that; ``None`` where it is something else."""
    encrypted = str(response.get("ServerSideEncryption") or "").startswith("aws:kms")
    if encrypted or response.get("SSECustomerAlgorithm") or bucket.endswith(_DIRECTORY_BUCKET):
        return None
    found = _MD5.fullmatch(str(response.get("ETag") or ""))
    return found.group(1).lower() if found else None


def _cut(answer: _Answer) -> Cut:
    promised = "" if answer.length is None else f" of {answer.length:,}"
    return Cut(f"the store gave {answer.given:,}{promised} bytes, and no more")
