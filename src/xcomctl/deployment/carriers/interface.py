"""What every carrier can do: be read, say which settings it holds, be edited without touching anything else."""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from xcomctl.errors import UserError
from xcomctl.journal.objects import sync_folder
from xcomctl.model.redaction import redact
from xcomctl.model.settings import NearMiss
from xcomctl.model.verdicts import Verdict


class CarrierError(UserError):
    """A carrier that cannot be read, edited or written; nothing was changed. ``hint`` says what mends it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, Verdict.REFUSED)


@dataclass(frozen=True)
class Edit:
    """A change to a carrier that has not been written: its content before and after, and what to show of it.

    ``diff`` is a unified diff without secrets, for people; it is empty when nothing changes. It is not meant to be
    applied: ``after`` is.
    """

    before: bytes
    after: bytes
    diff: str

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after

    def inverse(self) -> Edit:
        """The edit that restores, byte for byte, what this one changes."""
        return Edit(self.after, self.before, unified_diff(self.after, self.before))


class Carrier(ABC):
    """A file that carries the settings, as it was when it was read.

    Names in what it takes and gives are those of environment variables, whatever the format calls them.
    """

    #: What people call the format.
    kind: ClassVar[str]
    #: How such files are called, for people who look for the right name.
    names: ClassVar[str]
    #: Where it was read from, as the person named it (a symbolic link stays one).
    path: Path

    @classmethod
    @abstractmethod
    def is_one(cls, path: Path, content: bytes) -> bool:
        """Whether a file is of this format, by its name and, where that leaves it open, by its content."""

    @classmethod
    @abstractmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The carrier in that file. Raises :class:`CarrierError` if it cannot be read or understood."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """The values of those of the four settings that the file sets, by environment variable."""

    @abstractmethod
    def near_misses(self) -> tuple[NearMiss, ...]:
        """Names in the file that look like a setting and that Airflow does not read (F13)."""

    @abstractmethod
    def edit(self, changes: Mapping[str, str | None]) -> Edit:
        """The edit that sets these variables, ``None`` taking one out; everything else keeps its bytes.

        An edit that changes nothing is no error. Raises :class:`CarrierError` for what it cannot do exactly.
        """

    def write(self, edit: Edit) -> None:
        """Replace the file's content by ``edit.after``: all of it or nothing, mode and owner kept.

        A symbolic link is followed. Raises :class:`CarrierError` if the file is no longer what the edit was made
        from, or cannot be written.
        """
        replace_content(self.path, edit.before, edit.after)


def unified_diff(before: bytes, after: bytes, name: str = "") -> str:
    """What changes between two contents, for people: unified, one line of context, without secrets."""
    lines = difflib.unified_diff(
        _shown(before),
        _shown(after),
        f"a/{name}" if name else "before",
        f"b/{name}" if name else "after",
        n=1,
        lineterm="",
    )
    return "\n".join(lines)


def _shown(content: bytes) -> list[str]:
    return redact(content.decode("utf-8", "replace")).replace("\r\n", "\n").split("\n")


def read_content(path: Path) -> bytes:
    """The bytes of a carrier. Raises :class:`CarrierError` with a sentence instead of an ``OSError``."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CarrierError(f"there is no carrier at {path}", "name an existing file with --carrier") from None
    except OSError as error:
        raise CarrierError(f"cannot read {path}: {error.strerror}") from error


def replace_content(path: Path, before: bytes, after: bytes) -> None:
    """Replace a file's content by way of a new file in the same folder, a flush to disk and a rename.

    Raises :class:`CarrierError`, with the file untouched, if its content is not ``before`` or anything fails.
    """
    draft: Path | None = None
    try:
        target = path.resolve(strict=True)
        if target.read_bytes() != before:
            raise CarrierError(f"{path} was changed by somebody else in the meantime", "look at it, and edit again")
        if before == after:
            return
        status = target.stat()
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        draft = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            own = os.fstat(file.fileno())
            if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            # After the owner: changing that clears bits of the mode.
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        draft = None
        sync_folder(target.parent)
    except OSError as error:
        raise CarrierError(f"cannot write {path}: {error.strerror}") from error
    finally:
        if draft is not None:
            with contextlib.suppress(OSError):
                draft.unlink()
