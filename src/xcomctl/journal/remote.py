"""The journal on a URL: one object per entry, for whoever shares a deployment.

    URL/entries/20260606T120000.000001Z-5f0c9d4e7a1b2c3d.json
    URL/locks/prod@000000000042.json

The names of entries sort by time, and an entry is written once. Its name is never older than the newest one that is
there, so that a desk whose clock lags does not put what it does before what it has seen; the entry itself says what its
clock said. ``file://`` is a folder; any other scheme is fsspec's, which takes its credentials from the environment.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from xcomctl.journal.errors import JournalError
from xcomctl.journal.interface import DamagedLine, Journal, decoded, encoded
from xcomctl.journal.objects import FolderObjects, Objects
from xcomctl.model.journal_entry import JournalEntry, parse_time
from xcomctl.model.redaction import redact
from xcomctl.model.verdicts import Verdict
from xcomctl.report.text import first_line

#: The extra of ours that brings a scheme's package.
_EXTRAS = {
    "s3": "journal-s3", "s3a": "journal-s3", "gs": "journal-gcs", "gcs": "journal-gcs",
    "abfs": "journal-abfs", "abfss": "journal-abfs", "az": "journal-abfs",
}  # fmt: skip
#: What creates an object only where there is none, in one request: S3's and Azure's ``If-None-Match: *``, Google's
#: ``ifGenerationMatch=0``; memory is one process's own. Elsewhere fsspec's ``mode="create"`` looks first and writes then.
_CONDITIONAL = frozenset({*_EXTRAS, "memory"})
#: What has folders that have to be made. An object store has none: there it would make a bucket of a misspelt name.
_FOLDERS = frozenset({"sftp", "ssh", "smb", "ftp", "hdfs", "webhdfs"})
_STAMP = "%Y%m%dT%H%M%S.%fZ"
#: How many objects are asked for at a time.
_BATCH = 100


class RemoteJournal(Journal):
    """A journal below a URL, at which there need not be anything yet."""

    def __init__(self, url: str) -> None:
        self._url = url
        if not url.partition("://")[2].strip("/"):
            raise JournalError(f"the journal {self.name} names no place", "such as s3://bucket/xcomctl")
        self._entries = self._objects("entries")

    @property
    def name(self) -> str:
        """The URL without its secrets."""
        return redact(self._url)

    def append(self, entry: JournalEntry) -> None:
        """Write one entry as an object of its own. Raises :class:`JournalError`."""
        data = encoded(entry) + b"\n"
        at = parse_time(entry.at)
        newest = next(filter(None, map(_moment, reversed(self._entries.names()))), None)
        if newest is not None and newest >= at:
            at = newest + timedelta(microseconds=1)
        self._entries.write(f"{at.strftime(_STAMP)}-{secrets.token_hex(8)}.json", data)

    def read(self) -> Iterator[JournalEntry | DamagedLine]:
        """The entries from the oldest to the newest; what else lies there is damaged. Raises :class:`JournalError`."""
        names = self._entries.names()
        for number, (name, data) in enumerate(zip(names, self._entries.read(names), strict=True), 1):
            if data is None:
                yield DamagedLine(number, "", "the object was removed", False, name)
            else:
                yield decoded(number, data, whole=data.endswith(b"\n"), name=name)

    def _locks(self) -> Objects:
        return self._objects("locks")

    def _objects(self, below: str) -> Objects:
        scheme, _, path = self._url.rstrip("/").partition("://")
        if scheme in ("file", "local"):
            return FolderObjects(Path(path).expanduser() / below, self.name)
        return RemoteObjects(f"{scheme}://{path}/{below}", self.name)


class RemoteObjects:
    """Objects below a URL, by fsspec's file system for its scheme."""

    def __init__(self, url: str, name: str) -> None:
        self._name = name
        self._fs, self._root = self._file_system(url)
        protocols = self._fs.protocol
        self._schemes = {protocols} if isinstance(protocols, str) else set(protocols)
        self._proven = False

    def names(self) -> list[str]:
        """The names of all objects, sorted."""
        with self._told("read"):
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(self._root, detail=False)
            except FileNotFoundError:
                return []
        # An object store may show the "folder" itself.
        return sorted(name for path in found if (name := str(path).rstrip("/").rpartition("/")[2]) != self._folder)

    def read(self, names: Sequence[str]) -> Iterator[bytes | None]:
        """The contents in the order of the names, many at a time; ``None`` for what is not there."""
        for start in range(0, len(names), _BATCH):
            batch = [self._path(name) for name in names[start : start + _BATCH]]
            with self._told("read"):
                contents = self._fs.cat_ranges(batch, None, None, on_error="return")
            for content in contents:
                if isinstance(content, FileNotFoundError):
                    yield None
                elif isinstance(content, Exception):
                    raise self._sentence("read", content) from content
                else:
                    yield bytes(content)

    def write(self, name: str, data: bytes) -> None:
        """Write an object under a name that nobody else uses."""
        with self._told("write"):
            if self._schemes & _FOLDERS:
                self._fs.makedirs(self._root, exist_ok=True)
            self._fs.pipe_file(self._path(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Write an object if there is none of that name.

        Raises :class:`JournalError` where that cannot be relied on: a file system that cannot do it, and a store or a
        package that ignores the condition, which is tried once on an object of its own.
        """
        if not self._proven:
            self._prove()
        return self._create(name, data)

    def delete(self, names: Iterable[str]) -> None:
        """Remove the objects."""
        for name in names:
            with self._told("write"), suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name))

    def _create(self, name: str, data: bytes) -> bool:
        with self._told("write"):
            try:
                self._fs.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
            except Exception as error:
                # Each store says "there is one" in its own words, some before it can be read, and an answer may be lost:
                # then what lies there tells.
                if not _is_condition_failed(error) and next(self.read([name])) is None:
                    raise
                return False
        return True

    def _prove(self) -> None:
        """Create an object that stays: if that succeeds, it must fail now."""
        other = "--journal FILE, or a journal on s3://, gs://, abfs:// or file://"
        if not self._schemes & _CONDITIONAL:
            raise JournalError(
                f"two changes cannot be kept apart on {self._name}: its file system does not create an object only "
                "where there is none",
                other,
                Verdict.REFUSED,
            )
        proof = "conditional-create"
        if self._create(proof, b"{}") and self._create(proof, b"{}"):
            raise JournalError(
                f"two changes cannot be kept apart on {self._name}: the store, or the package that speaks to it, "
                "overwrites an object that was to be created only where there is none",
                other,
                Verdict.REFUSED,
            )
        self._proven = True

    @property
    def _folder(self) -> str:
        return self._root.rpartition("/")[2]

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _file_system(self, url: str) -> tuple[Any, str]:
        extra = _EXTRAS.get(url.partition("://")[0])
        if "::" in url:
            raise JournalError(f"cannot open the journal {self._name}: one file system, not several behind each other")
        try:
            from fsspec.core import url_to_fs

            fs, root = url_to_fs(url)
        except ImportError as error:
            package = f"pip install 'xcomctl[{extra}]'" if extra else "pip install fsspec, and what it names"
            raise JournalError(f"cannot open the journal {self._name}: {first_line(str(error))}", package) from error
        except Exception as error:
            raise self._sentence("open", error) from error
        return fs, str(root)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Whatever a package raises, in one sentence: each has its own errors, for credentials, networks and answers."""
        try:
            yield
        except JournalError:
            raise
        except Exception as error:
            raise self._sentence(what, error) from error

    def _sentence(self, what: str, error: Exception) -> JournalError:
        why = first_line(redact(str(error)))
        if isinstance(error, OSError) and error.strerror:
            why = first_line(redact(error.strerror))
        return JournalError(f"cannot {what} the journal {self._name}: {why or type(error).__name__}")


def _is_condition_failed(error: BaseException) -> bool:
    """Whether a store refused because there is such an object, or because somebody creates it at this moment.

    S3 answers with 412 or 409 (PutObject, "conditional writes"), GCS and Azure with 412 and 409 too.
    """
    response = getattr(error, "response", None)
    told = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
    codes = {str(code) for code in (told, getattr(error, "code", None), getattr(error, "status_code", None))}
    cause = error.__cause__ or error.__context__
    return bool(codes & {"409", "412"}) or (cause is not None and _is_condition_failed(cause))


def _moment(name: str) -> datetime | None:
    try:
        return datetime.strptime(name.partition("-")[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
