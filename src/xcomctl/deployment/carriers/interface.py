"""What every carrier can do: be read, say which settings it holds, be edited without touching anything else."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import secrets
import stat
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from xcomctl.errors import UserError
from xcomctl.journal.objects import sync_folder
from xcomctl.model.phases import Line, Phase, phase_of
from xcomctl.model.redaction import is_secret_name, redact
from xcomctl.model.settings import NearMiss, settings_of
from xcomctl.model.verdicts import Verdict

#: A variable in a list as Kubernetes has it, name and value in lines of their own.
_NAMED_VALUE = re.compile(
    r"""(?m)\bname:[ \t]*["']?(?P<name>[\w.-]+)["']?[ \t]*\r?\n[ \t]*value:[ \t]*(?P<value>\S[^\r\n]*)"""
)
_VALUE_NAMED = re.compile(r"""(?m)\bvalue:[ \t]*(?P<value>\S[^\r\n]*)\r?\n[ \t]*name:[ \t]*["']?(?P<name>[\w.-]+)""")


class CarrierError(UserError):
    """A carrier that cannot be read, edited or written; nothing was changed. ``hint`` says what mends it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, Verdict.REFUSED)


@dataclass(frozen=True)
class FileEdit:
    """What an edit makes of one file."""

    path: Path
    before: bytes
    after: bytes


@dataclass(frozen=True)
class Edit:
    """A change to a carrier that has not been written: its content before and after, and what to show of it.

    ``diff`` is a unified diff without secrets, for people; it is empty when nothing changes. It is not meant to be
    applied: ``after`` is. A carrier of several files has those besides its own ``path`` in ``others``.
    """

    before: bytes
    after: bytes
    diff: str
    others: tuple[FileEdit, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after or any(other.before != other.after for other in self.others)

    def then(self, later: Edit, names: Sequence[str]) -> Edit:
        """This edit and one that was made from what it leaves, as one; ``names`` are those of the files, its own last."""
        pairs = zip(self.others, later.others, strict=True)
        others = tuple(FileEdit(first.path, first.before, second.after) for first, second in pairs)
        files = [*((each.before, each.after) for each in others), (self.before, later.after)]
        diffs = [unified_diff(*file, name) for file, name in zip(files, names, strict=True)]
        return Edit(self.before, later.after, "\n".join(filter(None, diffs)), others)

    def inverse(self) -> Edit:
        """The edit that restores, byte for byte, what this one changes."""
        others = tuple(FileEdit(other.path, other.after, other.before) for other in self.others)
        diffs = [unified_diff(each.before, each.after, each.path.name) for each in others]
        diffs.append(unified_diff(self.after, self.before))
        return Edit(self.after, self.before, "\n".join(filter(None, diffs)), others)


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

    @abstractmethod
    def __init__(self, path: Path, content: bytes) -> None:
        """The carrier with that content. Raises :class:`CarrierError` for what cannot be understood."""

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

    def doubts(self) -> tuple[str, ...]:
        """Why that may not be what every component gets; empty where it is."""
        return ()

    def phase(self, line: Line) -> Phase:
        """The phase that these amount to, for an Airflow of that line."""
        return phase_of(settings_of(self.settings(), line)).phase

    @abstractmethod
    def near_misses(self) -> tuple[NearMiss, ...]:
        """Names in the file that look like a setting and that Airflow does not read (F13)."""

    @abstractmethod
    def corrections(self) -> tuple[str, ...]:
        """What to write by hand for each near miss, and for each value that does not arrive: ``FILE:LINE`` first."""

    @abstractmethod
    def edit(self, changes: Mapping[str, str | None]) -> Edit:
        """The edit that sets these variables, ``None`` taking one out; everything else keeps its bytes.

        An edit that changes nothing is no error. Raises :class:`CarrierError` for what it cannot do exactly.
        """

    @abstractmethod
    def fix(self) -> Edit:
        """The edit that writes the correct name of every near miss, and takes out one whose setting is there already.

        Values that would not arrive as they stand (F35) are written so that they do. Raises :class:`CarrierError` where
        two names were meant to be one setting and say different things.
        """

    def after(self, edit: Edit) -> Self:
        """The carrier as it would be with an edit of its own written. Raises :class:`CarrierError` as reading does."""
        return type(self)(self.path, edit.after)

    def notes(self) -> tuple[str, ...]:
        """What whoever edits has to know about how the settings stand there: differences, places that are not read."""
        return ()

    def unfit(self) -> dict[str, str]:
        """Settings whose value does not arrive as it stands, by variable, and what happens to it (F35)."""
        return {}

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files, the one that wins last."""
        return (self.path,)

    @property
    def shown(self) -> str:
        """Its files as messages name them."""
        return ", ".join(str(path) for path in self.paths)

    @property
    def name(self) -> str:
        """What the journal calls it, wherever the command is typed."""
        return ", ".join(str(path.absolute()) for path in self.paths)

    def write(self, edit: Edit) -> None:
        """Replace the content of its files by what the edit makes of them: all or nothing, mode and owner kept.

        A symbolic link is followed. Raises :class:`CarrierError` if a file is no longer what the edit was made from, or
        cannot be written; what was written of several files is put back then. Killed between two files, the same
        change asked for again writes the rest.
        """
        files = [*edit.others, FileEdit(self.path, edit.before, edit.after)]
        for file in files[:-1]:
            require_unchanged(file.path, file.before)
        written: list[FileEdit] = []
        try:
            for file in files:
                replace_content(file.path, file.before, file.after)
                written.append(file)
        except CarrierError:
            for file in reversed(written):
                with contextlib.suppress(CarrierError):
                    replace_content(file.path, file.after, file.before)
            raise


def unified_diff(before: bytes, after: bytes, name: str = "") -> str:
    """What changes between two contents, for people: unified, one line of context, without secrets."""
    old, new = shown_lines(before), shown_lines(after)
    if not old[-1] and not new[-1]:  # both end their last line: what follows it is no line
        old, new = old[:-1], new[:-1]
    lines = difflib.unified_diff(
        old,
        new,
        f"a/{name}" if name else "before",
        f"b/{name}" if name else "after",
        n=1,
        lineterm="",
    )
    return "\n".join(lines)


def shown_lines(content: bytes) -> list[str]:
    """The lines of a content without its secrets, one for one."""
    text = _NAMED_VALUE.sub(_hidden, _VALUE_NAMED.sub(_hidden, content.decode("utf-8", "replace")))
    return redact(text).replace("\r\n", "\n").split("\n")


def _hidden(match: re.Match[str]) -> str:
    if not is_secret_name(match["name"]):
        return match[0]
    start = match.start("value") - match.start()
    return f"{match[0][:start]}***{match[0][start + len(match['value']) :]}"


def read_content(path: Path) -> bytes:
    """The bytes of a carrier. Raises :class:`CarrierError` with a sentence instead of an ``OSError``."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CarrierError(f"there is no carrier at {path}", "name an existing file with --carrier") from None
    except OSError as error:
        raise CarrierError(f"cannot read {path}: {error.strerror}") from error


def require_unchanged(path: Path, before: bytes | None) -> None:
    """Raise :class:`CarrierError` if a file's content is not ``before``; ``None`` is a file that is not there."""
    try:
        found: bytes | None = path.read_bytes()
    except FileNotFoundError as error:
        if before is not None:
            raise CarrierError(f"cannot write {path}: {error.strerror}") from error
        found = None
    except OSError as error:
        raise CarrierError(f"cannot write {path}: {error.strerror}") from error
    if found != before:
        raise CarrierError(f"{path} was changed by somebody else in the meantime", "look at it, and edit again")


def replace_content(path: Path, before: bytes | None, after: bytes) -> None:
    """Replace a file's content by way of a new file in the same folder, a flush to disk and a rename.

    ``before`` is ``None`` for a file that is not there yet. Raises :class:`CarrierError`, with the file untouched, if its
    content is not ``before`` or anything fails.
    """
    draft: Path | None = None
    try:
        target = path.resolve(strict=before is not None)
        require_unchanged(path, before)
        if before == after:
            return
        status = target.stat() if before is not None else None
        name = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        # A new file gets the mode that the process gives to files; another one's is the owner's alone until it is set.
        mode = 0o666 if status is None else 0o600
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        draft = name
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            own = os.fstat(file.fileno())
            if status is not None:
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
