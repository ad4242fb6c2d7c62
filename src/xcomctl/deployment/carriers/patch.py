"""An edit as a patch, for people who open a pull request instead of writing the file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from xcomctl.deployment.carriers.interface import Carrier, CarrierError, Edit, FileEdit, shown_lines

#: Lines of context, the most first: fewer where one of them holds a secret. ``git apply`` wants at least one.
_CONTEXT = (3, 2, 1)
#: A secret's name with nothing behind it, as in Airflow's own compose file: ``AIRFLOW__CORE__FERNET_KEY: ''``.
_EMPTY = re.compile(r"""[:=][ \t]*(?:''|"")?[ \t]*$""")


def patch(carrier: Carrier, edit: Edit) -> bytes:
    """The unified diff that ``git apply`` and ``patch -p1`` make the edit from, with paths from the current folder.

    Nothing in it is redacted, or it would not apply. Raises :class:`CarrierError` where a line that it has to show holds
    a secret.
    """
    files = [*edit.others, FileEdit(carrier.path, edit.before, edit.after)]
    return b"".join(_of(file) for file in files if file.before != file.after)


def _of(file: FileEdit) -> bytes:
    name = _relative(file.path)
    for context in _CONTEXT:
        lines = list(_lines(file, name, context))
        if not _tells(file, lines):
            return b"".join(lines)
    raise CarrierError(
        f"the patch of {file.path} would show a secret that stands beside what changes",
        "write the file here instead: leave out --output patch",
    )


def _relative(path: Path) -> str:
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name


def _lines(file: FileEdit, name: str, context: int) -> Iterator[bytes]:
    before, after = _split(file.before), _split(file.after)
    found = difflib.diff_bytes(
        difflib.unified_diff, before, after, f"a/{name}".encode(), f"b/{name}".encode(), n=context, lineterm=b"\n"
    )
    for line in found:
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"


def _split(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    whole = [line + b"\n" for line in lines[:-1]]
    return [*whole, lines[-1]] if lines[-1] else whole


def _tells(file: FileEdit, lines: list[bytes]) -> bool:
    """Whether a line of the patch is one that is never shown as it is."""
    hidden = set()
    for content in (file.before, file.after):
        plain = content.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
        pairs = zip(plain, shown_lines(content), strict=True)
        hidden |= {line for line, shown in pairs if line != shown and not _EMPTY.search(line)}
    return any(line[1:].decode("utf-8", "replace").rstrip("\r\n") in hidden for line in lines)
