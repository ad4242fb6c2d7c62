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
    """An iterator over the objects under a base path. :attr:`requests` counts the calls to the store so far."""

    def __init__(self, base_path: str, under: str = "") -> None:
        self.base_path = normalized_base(base_path)
        #: Calls that list, as far as fsspec lets us see them.
        self.requests = 0
        self._path = object_path(base_path)
        self._under = under.strip("/")
        self._root = str(self._path.path).rstrip("/")

    def __iter__(self) -> Iterator[StoredObject]:
        """The objects, in the store's order."""
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
        """Folder by folder: one folder's entries and the names of the folders still to come are in memory."""
        start = f"{self._root}/{self._under}" if self._under else self._root
        pending = [start]
        while pending:
            folder = pending.pop()
            self.requests += 1
            try:
                entries = fs.ls(folder, detail=True, refresh=True)
            except FileNotFoundError:
                continue
            except Exception as error:
                raise self._failed(error) from error
            finally:
                fs.invalidate_cache()
            folders = []
            for entry in entries:
                name = str(entry["name"]).rstrip("/")
                if entry["type"] == "directory":
                    if name != folder.rstrip("/"):
                        folders.append(name)
                elif entry["type"] == "file":
                    yield StoredObject(self._uri(self._below_root(name)), int(entry["size"] or 0), _modified(entry))
            pending.extend(sorted(folders, reverse=True))

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


def _modified(entry: dict[str, Any]) -> Optional[datetime.datetime]:
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
