"""Lists objects page by page: memory does not grow with their number."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.airflow_compat.paths import object_path
from xcomctl.model.references import normalized_base


class StoreFailed(AirflowUnusable):
    """The store did not do what it was asked."""


@dataclass(frozen=True)
class StoredObject:
    """One object: its URI as a reference would name it, its size in bytes, when it was last written."""

    uri: str
    size: int
    modified: Optional[datetime.datetime]


class Listing:
    """An iterator over the objects under a base path, in the order of their keys' bytes.

    S3 lists general purpose buckets like that; file systems are walked so. :attr:`requests` counts the calls to the
    store so far.
    """

    def __init__(self, base_path: str, under: str = "") -> None:
        self.base_path = normalized_base(base_path)
        #: Calls that list, as far as fsspec lets us see them.
        self.requests = 0
        self._path = object_path(base_path)
        self._under = under.strip("/")
        self._root = str(self._path.path).rstrip("/")

    def __iter__(self) -> Iterator[StoredObject]:
        """The objects."""
        fs = self._path.fs
        if hasattr(fs, "call_s3") and hasattr(fs, "split_path"):
            return self._s3_pages(fs)
        return self._walk(fs)

    def _s3_pages(self, fs: Any) -> Iterator[StoredObject]:
        """Flat pages of a thousand keys."""
        bucket, key, _ = fs.split_path(self._root)
        folder = f"{key}/" if key else ""
        prefix = folder + (f"{self._under}/" if self._under else "")
        options: dict[str, Any] = {}
        while True:
            self.requests += 1
            try:
                page = fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **options)
            except Exception as error:
                raise self._failed(error) from error
            for entry in page.get("Contents") or ():
                name = entry["Key"]
                if not (name.endswith("/") and not entry["Size"]):  # what consoles create as "folders"
                    yield StoredObject(self._uri(name[len(folder) :]), int(entry["Size"]), entry.get("LastModified"))
            if not page.get("IsTruncated"):
                return
            options = {"ContinuationToken": page["NextContinuationToken"]}

    def _walk(self, fs: Any) -> Iterator[StoredObject]:
        """Folder by folder: the entries of the folders on the way down are in memory.

        A folder sorts as its name with the slash that every key in it has there, or ``a-b`` would come after ``a/b``.
        """
        start = f"{self._root}/{self._under}" if self._under else self._root
        pending: list[tuple[str, Any]] = [(start, None)]
        while pending:
            name, entry = pending.pop()
            if entry is not None:
                yield StoredObject(self._uri(self._below_root(name)), int(entry["size"] or 0), modified_of(entry))
                continue
            inside = []
            for each in self._entries(fs, name):
                below = str(each["name"]).rstrip("/")
                if each["type"] == "directory" and below != name.rstrip("/"):
                    inside.append((f"{below}/", None))
                elif each["type"] == "file":
                    inside.append((below, each))
            pending.extend(sorted(inside, key=lambda pair: pair[0], reverse=True))

    def _entries(self, fs: Any, folder: str) -> list[Any]:
        self.requests += 1
        try:
            return list(fs.ls(folder.rstrip("/"), detail=True, refresh=True))
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._failed(error) from error
        finally:
            fs.invalidate_cache()

    def _failed(self, error: Exception) -> StoreFailed:
        return StoreFailed(
            f"{self.base_path} cannot be listed: {type(error).__name__}: {error}",
            "check the bucket's name, the connection's endpoint and credentials, and the permission to list",
        )

    def _below_root(self, name: str) -> str:
        plain = name.lstrip("/")
        root = self._root.lstrip("/")
        return plain[len(root) :].lstrip("/") if plain.startswith(root) else plain

    def _uri(self, relative: str) -> str:
        return f"{self.base_path.rstrip('/')}/{relative}"


def exists(uri: str) -> bool:
    """Whether the object is there, asked afresh."""
    path = object_path(uri)
    path.fs.invalidate_cache()
    return bool(path.fs.exists(path.path))


def modified_of(entry: dict[str, Any]) -> Optional[datetime.datetime]:
    """When a file was last written, from whatever its file system calls that."""
    for name in ("LastModified", "last_modified", "updated", "mtime", "created"):
        found = entry.get(name)
        if isinstance(found, datetime.datetime):
            return found
        if isinstance(found, (int, float)):
            return datetime.datetime.fromtimestamp(found, datetime.timezone.utc)
        if isinstance(found, str):
            try:
                return datetime.datetime.fromisoformat(found.replace("Z", "+00:00"))
            except ValueError:
                continue
    return None
