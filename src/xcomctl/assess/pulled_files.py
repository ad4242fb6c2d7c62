"""Pulled values as files: one each, under names that any file system takes, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from xcomctl.errors import UserError
from xcomctl.model.pull import PulledItem
from xcomctl.model.verdicts import Verdict

#: Bytes of a name that every file system takes, with room for a suffix.
_LONGEST = 200
_SAFE = re.compile(r"[A-Za-z0-9_.-]")


def safe_name(name: str) -> str:
    """The name with every other character percent-encoded; never empty, hidden, or one that leads elsewhere.

    What would be too long is cut and told apart by a digest.
    """
    encoded = "".join(
        char if _SAFE.fullmatch(char) else "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        for char in name
    )
    if encoded.startswith("."):
        encoded = "%2E" + encoded[1:]
    if len(encoded) > _LONGEST:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        encoded = f"{encoded[: _LONGEST - 17].rpartition('%')[0] or encoded[: _LONGEST - 17]}-{digest}"
    return encoded or "%00"


def place_of(item: PulledItem, folder: Path) -> Path:
    """Where a value is written: ``TASK/INDEX/KEY.json``, ``_`` for a task that is not mapped; text where JSON is too little."""
    index = "_" if item.map_index < 0 else str(item.map_index)
    suffix = ".json" if item.is_json else ".repr.txt"
    return folder / safe_name(item.task_id) / index / f"{safe_name(item.key)}{suffix}"


class Files:
    """Writes values below a folder, which is made. Files that are there are kept unless ``force``.

    Raises :class:`~xcomctl.errors.UserError` for a folder that is none.
    """

    def __init__(self, folder: Path, *, force: bool) -> None:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is not a folder", "name another one: --to DIR", Verdict.REFUSED)
        self._folder = folder
        self._force = force
        self.written = 0
        self.kept: list[Path] = []

    def write(self, item: PulledItem) -> Path | None:
        """Write one value; its path, ``None`` when a file was there and was kept. Raises :class:`UserError`."""
        path = place_of(item, self._folder)
        if path.exists() and not self._force:
            self.kept.append(path)
            return None
        content = json.dumps(item.json) + "\n" if item.has_json else item.text + "\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}", "free space, or name another folder") from error
        self.written += 1
        return path


def _write(path: Path, data: bytes) -> None:
    """The whole file under its name, or nothing: also when killed in between."""
    descriptor, temporary = tempfile.mkstemp(prefix=".xcomctl-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
