"""The file of a decision: what xcomctl writes stands between markers, everything else is a person's and keeps every byte.

A marker carries the SHA-256 of what was written, so that a part that somebody edited by hand is told from one that was
not: its text is kept below the new one. Line ends, blanks and the length of rules do not count, since editors, formatters
of Markdown and Git change those on their own.

What the file remembers is a comment outside of these parts, so that no deleted section takes it away.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xcomctl.errors import UserError
from xcomctl.model.decision import State
from xcomctl.model.verdicts import Verdict

_LOOKS_LIKE_ONE = re.compile(r"<!--\s*xcomctl:(?:begin|end)\b(?!-)", re.IGNORECASE)
_BEGIN = re.compile(r"<!-- xcomctl:begin ([a-z][a-z0-9-]{0,40}) sha256=([0-9a-f]{64}) -->")
_END = re.compile(r"<!-- xcomctl:end ([a-z][a-z0-9-]{0,40}) -->")
#: What a formatter changes: blanks (those of a cell too), lengths of rules, empty lines.
_SHAPE = ((re.compile(r"[ \t\r]+"), " "), (re.compile(r" ?\| ?"), "|"), (re.compile("-{2,}"), "-"), (re.compile(r"(?: ?\n ?)+"), "\n"))  # fmt: skip
_STATE = "<!-- xcomctl:state "
_REMEMBERED = re.compile(rf"^{_STATE}[^\r\n]*", re.MULTILINE)
#: The same, wherever it stands and however it was changed.
_LIKE_STATE = re.compile(r"<!--\s*xcomctl:state\b")
#: Lines with their ends; nothing but a line feed ends one.
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_MEND = "mend the markers by hand (your version control has them), or write another file"


class DecisionFileError(UserError):
    """The file cannot be brought up to date without guessing what is whose; nothing was written."""

    def __init__(self, message: str, hint: str = _MEND) -> None:
        super().__init__(message, hint, Verdict.REFUSED)


@dataclass(frozen=True)
class Part:
    """One stretch of the file. A person's has no ``name`` and is its ``body``; ``begin`` and ``end`` are lines with markers."""

    body: str
    name: str = ""
    begin: str = ""
    end: str = ""
    checksum: str = ""

    @property
    def is_edited(self) -> bool:
        """Whether a generated part is no longer what was written there."""
        return bool(self.name) and digest(self.body) != self.checksum


@dataclass(frozen=True)
class Merged:
    """The new text, and by name: hand edits that were ``kept``, sections that are ``left_out``, and sections of ours that
    this version does not know."""

    text: str
    kept: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def parse(text: str) -> list[Part]:
    """The parts of a file in their order; joined they are the file. Raises :class:`DecisionFileError` naming the line."""
    parts: list[Part] = []
    outside: list[str] = []
    inside: list[str] = []
    begin, name, checksum, began = "", "", "", 0
    for number, raw in enumerate(_LINE.findall(text), 1):
        mark = raw.removeprefix("\ufeff").strip()
        if not _LOOKS_LIKE_ONE.match(mark):
            (inside if name else outside).append(raw)
            continue
        opens, closes = _BEGIN.fullmatch(mark), _END.fullmatch(mark)
        if opens is None and closes is None:
            raise DecisionFileError(f"line {number}: the marker is damaged")
        if opens is not None:
            if name:
                raise DecisionFileError(
                    f"line {number}: {opens[1]!r} begins inside {name!r}, which began on line {began}"
                )
            if any(part.name == opens[1] for part in parts):
                raise DecisionFileError(f"line {number}: a second {opens[1]!r}")
            parts.append(Part("".join(outside)))
            outside, inside = [], []
            begin, name, checksum, began = raw, opens[1], opens[2], number
        elif closes is not None:
            if closes[1] != name:
                raise DecisionFileError(f"line {number}: the end of {closes[1]!r}, which did not begin")
            parts.append(Part("".join(inside), name, begin, raw, checksum))
            name = ""
    if name:
        raise DecisionFileError(f"line {began}: {name!r} begins and has no end")
    parts.append(Part("".join(outside)))
    return parts


def remembered(state: State) -> str:
    """What the file remembers, as a comment; empty where there is nothing."""
    if state == State():
        return ""
    # In ASCII and without the signs that end a comment, or that JSON could hide a marker in.
    text = json.dumps(state.to_json(), sort_keys=True)
    for sign in "<>-&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f"{_STATE}{text} -->"


def recall(text: str) -> State:
    """The inverse of :func:`remembered`, from the text of the file. Raises :class:`DecisionFileError` for what is damaged: a
    decision is not forgotten without a word."""
    like = list(_LIKE_STATE.finditer(text))
    if not like:
        return State()
    if len(like) > 1:
        line = text.count("\n", 0, like[1].start()) + 1
        raise DecisionFileError(
            f"line {line}: the file remembers a decision twice", "keep the one that holds, and delete the other"
        )
    found = _REMEMBERED.search(text) or like[0]
    try:
        state = State.from_json(json.loads(found[0].removeprefix(_STATE).strip().removesuffix("-->")))
        decided = state.decided
        numbers = [state.threshold, None if decided is None else decided.threshold]
        texts = () if decided is None else (decided.by, decided.at)
        # Nothing to remember is no comment.
        whole = state != State() and all(each is None or type(each) is int for each in numbers)
        if whole and all(isinstance(each, str) for each in texts):
            return state
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    line = text.count("\n", 0, found.start()) + 1
    raise DecisionFileError(f"line {line}: what the file remembers of the decision is damaged")


def with_state(text: str, state: State) -> str:
    """The text of a file that remembers this: in the place where it did before, else at its end."""
    comment, end = remembered(state), line_end(text)
    if _REMEMBERED.search(text):
        return _REMEMBERED.sub(lambda _: comment, text, count=1)
    if not comment:
        return text
    return f"{text}{'' if text.endswith(chr(10)) else end}{end}{comment}{end}"


def merge(text: str, bodies: Mapping[str, str], *, restore: bool = False, adopt: bool = False) -> Merged:
    """The file with these bodies, by name and in the order of a new file.

    A section that is not there stays away unless ``restore``, which puts it before the next one that is there. ``adopt``
    appends all to a file that has none. Raises :class:`DecisionFileError`.
    """
    parts = parse(text)
    end = line_end(text)
    present = [part.name for part in parts if part.name]
    if not present:
        if not adopt:
            raise DecisionFileError(
                "the file holds no section of xcomctl, so all of it is somebody's",
                "--adopt appends the sections to it, or write another file",
            )
        restore = True
    kept: list[str] = []
    outside = _plain("".join(part.body for part in parts if not part.name))
    merged = [_updated(part, bodies, end, outside, kept) for part in parts]
    missing = [name for name in bodies if name not in present]
    if restore:
        for name in missing:
            merged = _inserted(merged, parts, name, list(bodies), bodies[name], end)
            parts = parse("".join(merged))
            merged = [f"{part.begin}{part.body}{part.end}" for part in parts]
    unknown = tuple(name for name in present if name not in bodies)
    return Merged("".join(merged), tuple(kept), () if restore else tuple(missing), unknown)


def generated(name: str, body: str, end: str = "\n") -> str:
    """A section with its markers, in lines that end so."""
    inner = _inner(body)
    whole = f"<!-- xcomctl:begin {name} sha256={digest(inner)} -->\n{inner}<!-- xcomctl:end {name} -->\n"
    return whole.replace("\n", end)


def digest(body: str) -> str:
    """The SHA-256 (hex) of a body, whatever its line ends and blanks."""
    return hashlib.sha256(_plain(body).encode("utf-8", "surrogateescape")).hexdigest()


def line_end(text: str) -> str:
    """How the lines of a text end: as its first one does."""
    return "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"


def _updated(part: Part, bodies: Mapping[str, str], end: str, outside: str, kept: list[str]) -> str:
    whole = f"{part.begin}{part.body}{part.end}"
    if not part.name or part.name not in bodies:
        return whole
    inner = _inner(bodies[part.name])
    same = _plain(inner) == _plain(part.body)
    if same and not part.is_edited:
        return whole
    begin = part.begin.replace(part.checksum, digest(inner))
    body = part.body if same else inner.replace("\n", end)
    if (
        same
        or not part.is_edited
        or not part.body.strip()
        or f"\n{_plain(part.body).strip()}\n" in f"\n{outside.strip()}\n"
    ):
        return f"{begin}{body}{part.end}"
    kept.append(part.name)
    last = part.end if part.end.endswith("\n") else f"{part.end}{end}"
    note = (
        f"\n<!-- xcomctl:kept {part.name} -->\n> **Kept from a hand edit** of the section above, which xcomctl wrote anew. "
        "Move what is yours out of here, and delete the rest.\n\n"
    )
    return (
        f"{begin}{body}{last}{note.replace(chr(10), end)}{part.body}<!-- xcomctl:kept-until-here {part.name} -->{end}"
    )


def _inserted(
    merged: Sequence[str], parts: Sequence[Part], name: str, order: Sequence[str], body: str, end: str
) -> list[str]:
    """With one section more: before the next one in the order of a new file that is there, else at the end."""
    following = set(order[order.index(name) + 1 :])
    place = next((index for index, part in enumerate(parts) if part.name in following), None)
    section = generated(name, body, end)
    if place is not None:
        return [*merged[:place], section, end, *merged[place:]]
    whole = "".join(merged)
    gap = "" if not whole.strip("\ufeff") or whole.endswith(end * 2) else end if whole.endswith("\n") else end * 2
    return [whole, gap, section]


def _inner(body: str) -> str:
    """A body as it stands between its markers: nothing in it can be taken for one, and UTF-8 can hold it."""
    lines = body.encode("utf-8", "backslashreplace").decode().strip("\n").replace("\r", "").split("\n")
    return "\n".join(["", *_harmless(lines), "", ""])


def _harmless(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield line.replace("<!--", "<! --", 1) if _LOOKS_LIKE_ONE.match(line.strip()) else line


def _plain(text: str) -> str:
    for found, same in _SHAPE:
        text = found.sub(same, text)
    return text.strip()
