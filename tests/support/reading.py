"""Objects as a context's own Airflow reads them: its Python, its file system, and a connection from its environment.

    python reading.py    by the Python that has Airflow: one call per line, and one line of what came of it

Run as a program it imports nothing of ours but what it is about.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SOURCE = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Came:
    """What came of a read: the size and the SHA-256 of what was read, or the error.

    ``kinds`` are the names of the error's class and of those above it, ``calls`` what ``Contents`` counted, ``peak`` the
    most that was in memory meanwhile, in bytes.
    """

    size: int = 0
    sha256: str = ""
    kinds: tuple[str, ...] = ()
    error: str = ""
    calls: int = 0
    peak: int = 0

    def is_(self, data: bytes) -> bool:
        """Whether it read exactly this."""
        return (self.kinds, self.size, self.sha256) == ((), len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Together:
    """What came of reads by several threads: ``held`` is how many had an object at once, ``peak`` as in :class:`Came`."""

    came: list[Came]
    held: int
    peak: int


class Reading:
    """A context that reads and writes objects."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def write(self, base_path: str, relative: str, data: bytes, compression: str | None = None) -> None:
        """Write an object as the backend does it. ``compression`` is ``None`` to write the bytes as they are."""
        content = base64.b64encode(data).decode()
        self._call("write", base_path=base_path, relative=relative, data=content, compression=compression)

    def etag(self, base_path: str, relative: str) -> str:
        """The ETag that S3 tells, without quotes."""
        return str(self._call("etag", base_path=base_path, relative=relative)["etag"])

    def read(self, base_path: str, relative: str, limit: int | None = None, *, measured: bool = False) -> Came:
        """Read an object. Memory is looked at when asked for."""
        return _came(self._call("read", base_path=base_path, relative=relative, limit=limit, measured=measured))

    def read_together(self, base_path: str, relatives: list[str], *, meet: bool) -> Together:
        """Read objects, each by a thread of its own. They keep them for a moment, or until all have theirs (``meet``)."""
        answer = self._call("read_together", base_path=base_path, relatives=relatives, meet=meet)
        return Together([_came(each) for each in answer["came"]], answer["held"], answer["peak"])

    def codecs(self) -> dict[str, str]:
        """The compressions that there are, by the suffixes that name them."""
        return self._call("codecs")

    def _call(self, name: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "bug" not in answer, answer["bug"]
        return answer


def _came(answer: dict[str, Any]) -> Came:
    return Came(**{**answer, "kinds": tuple(answer.get("kinds", ()))})


@contextmanager
def reading(python: Path, home: Path, connections: Mapping[str, Mapping[str, Any]]) -> Iterator[Reading]:
    """A context with these connections, by their ids."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(_SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in connections.items()},
    }
    with (
        (home / "reading.log").open("w") as log,
        subprocess.Popen(
            [str(python), __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            env=environment, cwd=home,
        ) as process,
    ):  # fmt: skip
        assert process.stdin is not None
        try:
            yield Reading(process)
        finally:
            process.stdin.close()


class _Served:
    """The far side."""

    def __init__(self) -> None:
        self._contents: dict[str, Any] = {}

    def write(self, base_path: str, relative: str, data: str, compression: str | None) -> dict[str, Any]:
        store = self._of(base_path)._store
        path = f"{store.root}/{relative}"
        if store.is_local:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with store.fs.open(path, "wb", compression=compression) as file:
            file.write(base64.b64decode(data))
        return {}

    def etag(self, base_path: str, relative: str) -> dict[str, Any]:
        store = self._of(base_path)._store
        return {
            "etag": store.s3("head_object", Bucket=store.bucket, Key=f"{store.prefix}/{relative}")["ETag"].strip('"')
        }

    def read(self, base_path: str, relative: str, limit: int | None, measured: bool) -> dict[str, Any]:
        contents = self._of(base_path)
        before = contents.requests
        if measured:
            tracemalloc.start()
        try:
            answer = _told(contents.read(self._reference(base_path, relative), limit))
        except Exception as error:
            answer = _failed(error)
        if measured:
            answer["peak"] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return {**answer, "calls": contents.requests - before}

    def read_together(self, base_path: str, relatives: list[str], meet: bool) -> dict[str, Any]:
        contents = self._of(base_path)
        all_there, lock = threading.Barrier(len(relatives)), threading.Lock()
        holding: set[int] = set()
        held = 0
        answers: list[dict[str, Any]] = [{} for _ in relatives]

        def read(number: int) -> None:
            nonlocal held
            try:
                with contents.opened(self._reference(base_path, relatives[number])) as data:
                    with lock:
                        holding.add(number)
                        held = max(held, len(holding))
                    if meet:
                        all_there.wait(60)
                    else:
                        time.sleep(0.05)
                    answers[number] = _told(data)
                    with lock:
                        holding.remove(number)
            except Exception as error:
                answers[number] = _failed(error)

        threads = [threading.Thread(target=read, args=(number,)) for number in range(len(relatives))]
        tracemalloc.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return {"came": answers, "held": held, "peak": peak}

    def codecs(self) -> dict[str, Any]:
        import fsspec.compression
        import fsspec.utils

        return {suffix: name for suffix, name in fsspec.utils.compressions.items() if fsspec.compression.compr[name]}

    def _of(self, base_path: str) -> Any:
        from xcomctl.store.content import Contents

        if base_path not in self._contents:
            self._contents[base_path] = Contents(base_path)
        return self._contents[base_path]

    def _reference(self, base_path: str, relative: str) -> Any:
        from xcomctl.model.references import classify

        reference = classify(f"{base_path}/{relative}", base_path).reference
        assert reference is not None, relative
        assert reference.relative == relative
        return reference


def _told(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _failed(error: Exception) -> dict[str, Any]:
    return {"kinds": [each.__name__ for each in type(error).__mro__], "error": str(error)}


def _serve() -> None:
    served = _Served()
    answers, sys.stdout = sys.stdout, sys.stderr  # Airflow may say something
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = getattr(served, name)(**arguments)
        except Exception as error:
            answer = {"bug": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
