"""``.env`` files, as docker compose and the dotenv libraries read them.

One assignment per line: an optional ``export``, a name, ``=``, a value. A value in single quotes is literal, one in
double quotes knows ``\\n \\r \\t \\\\ \\" \\$``, both may run over several lines; a bare value ends at `` #`` or at
the end of the line. The last of several assignments wins. ``${…}`` is left as it stands. (``docker run --env-file``
and systemd read quotes differently; a file for those is no ``.env`` carrier.)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from xcomctl.deployment.carriers.interface import Carrier, CarrierError, Edit, read_content, unified_diff
from xcomctl.deployment.carriers.text_lines import line_end_of, without_lines
from xcomctl.model.settings import SETTINGS, THRESHOLD, NearMiss, near_miss, near_misses

_BOM = "\ufeff"
_HEAD = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[^\s=#'\"]+)[ \t]*=[ \t]*")
_SINGLE = re.compile(r"'(?P<body>[^']*)'")
_DOUBLE = re.compile(r'"(?P<body>(?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE = re.compile(r"(?P<body>[^\r\n]*?)(?=[ \t]+#|[ \t]*\r?(?:\n|\Z))")
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
#: Bare, and the same to a shell, to compose and to dotenv.
_PLAIN = re.compile(r"[\w./:@%+,=~-]*", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Assignment:
    """One assignment: its name and value, its first line (from 1), and where it stands in the text.

    ``start`` and ``end`` are the offsets of its lines, line end included; ``value_start`` and ``value_end`` those of
    the value with its quotes. ``quote`` is the quotation mark, empty for a bare value.
    """

    name: str
    value: str
    line: int
    start: int
    end: int
    value_start: int
    value_end: int
    quote: str


class EnvFile(Carrier):
    """A ``.env`` file. Undecodable bytes survive an edit; only what is edited has to be text."""

    kind: ClassVar[str] = ".env"
    names: ClassVar[str] = ".env, .env.* or *.env"

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self._content = content
        self._text = content.decode("utf-8", "surrogateescape")
        self._assignments = tuple(_parse(self._text))

    @classmethod
    def is_one(cls, path: Path, content: bytes) -> bool:
        """Whether it is called ``.env``, ``.env.SOMETHING`` or ``SOMETHING.env``."""
        return path.name == ".env" or path.name.startswith(".env.") or path.suffix == ".env"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The ``.env`` file at that path. Raises :class:`CarrierError` if it cannot be read or is no such text."""
        content = read_content(Path(path))
        if b"\0" in content:
            raise CarrierError(f"{path} is no .env file: it holds null bytes", "save it as UTF-8")
        return cls(Path(path), content)

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """Every assignment of the file, in order, duplicates included."""
        return self._assignments

    def variables(self) -> dict[str, str]:
        """Every variable of the file with its value; ``${…}`` is not expanded."""
        return {each.name: each.value for each in self._assignments}

    def settings(self) -> dict[str, str]:
        """The values of those of the four settings that the file sets, by environment variable."""
        found = self.variables()
        return {setting.env: found[setting.env] for setting in SETTINGS if setting.env in found}

    def near_misses(self) -> tuple[NearMiss, ...]:
        """Names in the file that look like a setting and that Airflow does not read, each once."""
        return near_misses(dict.fromkeys(each.name for each in self._assignments))

    def corrections(self) -> tuple[str, ...]:
        """The right name for each near miss, with its line."""
        found = ((each.line, near_miss(each.name)) for each in self._assignments)
        return tuple(f"{self.path}:{line}: write {miss.correction}" for line, miss in found if miss is not None)

    def edit(self, changes: Mapping[str, str | None]) -> Edit:
        """The edit that sets these variables, ``None`` taking one out; everything else keeps its bytes.

        An assignment that is there keeps its place, its ``export``, its quotes and its comment; a new one goes to the
        end. The threshold is always quoted (F35). Raises :class:`CarrierError` for a variable that the file assigns
        twice, for a quote that is never closed, and for a name or value that such a file cannot hold.
        """
        text = self._text
        for name, value in changes.items():
            text = _set(text, name, value, self.path)
        self._require_effect(changes, text)
        after = text.encode("utf-8", "surrogateescape")
        return Edit(self._content, after, unified_diff(self._content, after, self.path.name))

    def fix(self) -> Edit:
        """The edit that writes the correct name of every near miss, and takes out one whose setting is assigned already.

        Raises :class:`CarrierError` where several assignments were meant to be one setting.
        """
        text, there = self._text, set(self.settings())
        wrong = [(each, miss) for each in self._assignments if (miss := near_miss(each.name)) is not None]
        for meant in {miss.meant for _, miss in wrong} - there:
            lines = [str(each.line) for each, miss in wrong if miss.meant == meant]
            if len(lines) > 1:
                raise CarrierError(
                    f"{self.path} means {meant} in more than one line: {' and '.join(lines)}", "keep one of them"
                )
        for each, miss in reversed(wrong):
            if miss.meant in there:
                text = without_lines(text, each.start, each.end)
            else:
                head = _HEAD.match(self._text, each.start)
                assert head is not None
                text = text[: head.start("name")] + miss.meant + text[head.end("name") :]
        after = text.encode("utf-8", "surrogateescape")
        return Edit(self._content, after, unified_diff(self._content, after, self.path.name))

    def _require_effect(self, changes: Mapping[str, str | None], text: str) -> None:
        # A quote that is never closed, anywhere in the file, can swallow what follows it, a new line of ours included.
        wanted = {**self.variables(), **changes}
        if {each.name: each.value for each in _parse(text)} != {k: v for k, v in wanted.items() if v is not None}:
            open_quotes = [each.line for each in self._assignments if not each.quote and each.value[:1] in ("'", '"')]
            where = f" in line {open_quotes[0]}" if open_quotes else ""
            raise CarrierError(
                f"{self.path} cannot be edited exactly: a quote{where} is not closed", "close the quote, and call again"
            )


def _parse(text: str) -> Iterator[Assignment]:
    position = len(_BOM) if text.startswith(_BOM) else 0
    line = 1
    while position < len(text):
        found = _assignment_at(text, position, line)
        newline = text.find("\n", position)
        end = found.end if found is not None else len(text) if newline < 0 else newline + 1
        if found is not None:
            yield found
        line += text.count("\n", position, end)
        position = end


def _assignment_at(text: str, start: int, line: int) -> Assignment | None:
    head = _HEAD.match(text, start)
    if head is None:
        return None
    for pattern, quote in ((_SINGLE, "'"), (_DOUBLE, '"')):
        body = pattern.match(text, head.end())
        rest = _REST.match(text, body.end()) if body is not None else None
        if body is not None and rest is not None:
            value = body["body"] if quote == "'" else _unescaped(body["body"])
            return Assignment(head["name"], value, line, start, rest.end(), head.end(), body.end(), quote)
    body = _BARE.match(text, head.end())
    rest = _REST.match(text, body.end()) if body is not None else None
    if body is None or rest is None:
        return None
    value = body["body"]
    after_equals = text.index("=", start) + 1
    if value.startswith("#") and head.end() > after_equals:  # `NAME= # remark`: nothing but the remark
        return Assignment(head["name"], "", line, start, _line_end(text, start), after_equals, after_equals, "")
    return Assignment(head["name"], value, line, start, rest.end(), head.end(), body.end(), "")


def _line_end(text: str, start: int) -> int:
    newline = text.find("\n", start)
    return len(text) if newline < 0 else newline + 1


def _unescaped(body: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), body)


def _set(text: str, name: str, value: str | None, path: Path) -> str:
    if _NAME.fullmatch(name) is None:
        raise CarrierError(f"{name!r} is no name of a variable", "")
    if value is not None and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        raise CarrierError(f"the value for {name} is no text that a .env file can hold")
    found = [each for each in _parse(text) if each.name == name]
    if len(found) > 1:
        lines = " and ".join(str(each.line) for each in found)
        raise CarrierError(
            f"{path} assigns {name} more than once, in lines {lines}",
            f"the last one wins: keep line {found[-1].line}, delete the other, and call again",
        )
    if not found:
        return text if value is None else _append(text, name, value)
    old = found[0]
    if old.quote == "" and text[old.value_start : old.value_end].startswith(("'", '"')):
        raise CarrierError(f"{path} line {old.line}: the quote of {name} is not closed", f"mend line {old.line}")
    if value is None:
        return without_lines(text, old.start, old.end)
    if value == old.value and (old.quote or not _must_be_quoted(name)):
        return text
    return text[: old.value_start] + _rendered(name, value, old.quote) + text[old.value_end :]


def _must_be_quoted(name: str) -> bool:
    return name == THRESHOLD.env


def _rendered(name: str, value: str, quote: str) -> str:
    """The value as it stands behind ``=``, in the wanted quotes where they can hold it."""
    simple = _PLAIN.fullmatch(value) is not None
    if quote == "" and simple and not _must_be_quoted(name):
        return value
    in_single = "'" not in value and "\r" not in value
    if quote == "'" and in_single:
        return f"'{value}'"
    if in_single and not simple and any(letter in value for letter in '"\\$`'):
        return f"'{value}'"
    escaped = re.sub(r'([\\"$])', r"\\\1", value).replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _append(text: str, name: str, value: str) -> str:
    """A new last line, in the file's own line ends; a missing line end at the end of the file stays missing."""
    newline = line_end_of(text)
    assignment = f"{name}={_rendered(name, value, '')}"
    if text in ("", _BOM) or text.endswith("\n"):
        return text + assignment + newline
    return text + newline + assignment
