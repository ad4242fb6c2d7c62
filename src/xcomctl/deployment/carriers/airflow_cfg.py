"""``airflow.cfg``, as Airflow itself reads it.

``AirflowConfigParser`` is Python's ``ConfigParser`` with keys that keep their case (2.11.2 and 3.3.2, tried). So remarks
have lines of their own (one behind a value is part of it), quotes are part of the value too, a line that is indented
deeper continues the value above, ``%`` is written ``%%``, and a section or key that stands there twice keeps Airflow from
starting. It expands ``$NAME`` and ``~`` in what it reads, which is left as it stands here.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from configparser import (
    ConfigParser,
    DuplicateOptionError,
    DuplicateSectionError,
    Error,
    InterpolationError,
    MissingSectionHeaderError,
    ParsingError,
)
from pathlib import Path
from typing import ClassVar, Self

from xcomctl.deployment.carriers.ini_lines import IniLine, LineKind, end_of_section, ini_lines
from xcomctl.deployment.carriers.interface import Carrier, CarrierError, Edit, read_content, unified_diff
from xcomctl.deployment.carriers.text_lines import ends_with_line_end, line_end_of, without_lines
from xcomctl.model.settings import SETTINGS, NearMiss, Setting, near_miss_in_file
from xcomctl.report.text import printable

#: Sections that tell an Airflow's file from any other INI.
_SECTIONS = re.compile(rb"(?m)^\s*\[(?:core|common\.io|database|scheduler)\]")
#: The lines that a new option is aligned with.
_INDENTED = (LineKind.OPTION, LineKind.HEADER)


class _Parser(ConfigParser):
    """The parser that ``AirflowConfigParser`` is, without its environment variables and defaults."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


class AirflowCfg(Carrier):
    """An ``airflow.cfg``. It carries the four settings alone; undecodable bytes elsewhere survive an edit."""

    kind: ClassVar[str] = "airflow.cfg"
    names: ClassVar[str] = "airflow.cfg, or *.cfg and *.ini with Airflow's sections"

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self._content = content
        self._text = content.decode("utf-8", "surrogateescape")
        self._lines = ini_lines(self._text)
        self._parser = self._parsed()
        self._settings = self._read_settings()

    @classmethod
    def is_one(cls, path: Path, content: bytes) -> bool:
        """Whether it is called ``airflow.cfg``, or is another ``.cfg`` or ``.ini`` with sections of Airflow's."""
        return path.name == "airflow.cfg" or (path.suffix in (".cfg", ".ini") and _SECTIONS.search(content) is not None)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The ``airflow.cfg`` at that path.

        Raises :class:`CarrierError` if it cannot be read, if Airflow could not read it or one of the four settings in
        it, and if ``[DEFAULT]`` gives one of them to every section.
        """
        return cls(Path(path), read_content(Path(path)))

    def settings(self) -> dict[str, str]:
        """The values of those of the four settings that the file sets, by environment variable, ``%…`` resolved."""
        return dict(self._settings)

    def near_misses(self) -> tuple[NearMiss, ...]:
        """Sections and keys that look like a setting and that Airflow does not read, in their order."""
        options = (line for line in self._lines if line.kind is LineKind.OPTION)
        found = (near_miss_in_file(line.section, line.key) for line in options)
        return tuple(miss for miss in found if miss is not None)

    def corrections(self) -> tuple[str, ...]:
        """The right section and key for each near miss, with its line."""
        options = (line for line in self._lines if line.kind is LineKind.OPTION)
        found = ((line.number, near_miss_in_file(line.section, line.key)) for line in options)
        return tuple(f"{self.path}:{number}: write {miss.correction}" for number, miss in found if miss is not None)

    def edit(self, changes: Mapping[str, str | None]) -> Edit:
        """The edit that sets these of the four variables, ``None`` taking one out; everything else keeps its bytes.

        An option that is there keeps its place and the blanks around its value; a new one goes to the end of its
        section, a new section to the end of the file. Raises :class:`CarrierError` for any other variable, for a value
        that runs over several lines, there or wanted, and where indentation makes the edit mean something else.
        """
        text = self._text
        wanted = _raw(self._parser)
        for name, value in changes.items():
            setting = self._setting(name)
            if value == self._settings.get(name):
                continue
            written = None if value is None else self._written(setting, value)
            text = self._with(text, setting, written)
            options = wanted.setdefault(setting.section, dict(self._parser.defaults()))
            if written is None:
                del options[setting.key]
            else:
                options[setting.key] = written
        self._require_effect(wanted, text)
        after = text.encode("utf-8", "surrogateescape")
        return Edit(self._content, after, unified_diff(self._content, after, self.path.name))

    def fix(self) -> Edit:
        """The edit that writes every near miss under the correct section and key, or takes it out if that is there.

        Raises :class:`CarrierError` where several lines were meant to be one setting.
        """
        text, there = self._text, dict(self._settings)
        while (found := _first_near_miss(ini_lines(text))) is not None:
            line, miss = found
            setting = self._setting(miss.meant)
            written = text[line.value_start : line.value_end]
            if miss.meant not in self._settings and there.get(miss.meant, written) != written:
                raise CarrierError(
                    f"{self.path} means [{setting.section}] {setting.key} more than once, as {printable(miss.name)} too",
                    "keep one of them",
                )
            text = without_lines(text, line.start, line.end) if miss.meant in there else self._moved(text, line, setting, written)  # fmt: skip
            there.setdefault(miss.meant, written)
        after = text.encode("utf-8", "surrogateescape")
        self.after(edit := Edit(self._content, after, unified_diff(self._content, after, self.path.name)))
        return edit

    def _moved(self, text: str, line: IniLine, setting: Setting, written: str) -> str:
        """A misspelt option where it is, if its section is right, else in the section that Airflow reads."""
        if line.section == setting.section:
            start = line.start + len(line.indent)
            return text[:start] + setting.key + text[start + len(line.key) :]
        return self._with(without_lines(text, line.start, line.end), setting, written)

    # --- reading ----------------------------------------------------------------------------------------------------

    def _parsed(self) -> _Parser:
        """What Airflow reads. No message quotes the file: a line of it may hold a password."""
        try:
            return _parse(self._text)
        except DuplicateSectionError as error:
            numbers = self._numbers(LineKind.HEADER, error.section)
            message = f"{self.path} has the section [{printable(error.section)}] more than once, in lines {numbers}"
            raise CarrierError(f"{message}: Airflow does not start with it", "make them one section") from None
        except DuplicateOptionError as error:
            numbers = self._numbers(LineKind.OPTION, error.section, error.option)
            place = f"[{error.section}] {error.option}"
            message = f"{self.path} sets {printable(place)} more than once, in lines {numbers}"
            raise CarrierError(f"{message}: Airflow does not start with it", "keep one of them") from None
        except MissingSectionHeaderError as error:
            if self._text.startswith("\ufeff"):
                raise CarrierError(
                    f"{self.path} begins with a byte order mark: Airflow does not start with it",
                    "save it as UTF-8 without one",
                ) from None
            raise CarrierError(
                f"{self.path} line {error.lineno} stands in no section: Airflow does not start with it",
                "put a section's [header] above it",
            ) from None
        except ParsingError as error:
            numbers = " and ".join(str(number) for number, _ in error.errors)
            raise CarrierError(
                f"{self.path}: no key and value in line {numbers}: Airflow does not start with it",
                "write key = value, or make it a remark with #",
            ) from None

    def _numbers(self, kind: LineKind, section: str, key: str = "") -> str:
        found = (line for line in self._lines if line.kind is kind and (line.section, line.key) == (section, key))
        return " and ".join(str(line.number) for line in found)

    def _read_settings(self) -> dict[str, str]:
        found = {}
        for setting in SETTINGS:
            if setting.key in self._parser.defaults():
                numbers = self._numbers(LineKind.OPTION, self._parser.default_section, setting.key)
                raise CarrierError(
                    f"{self.path} line {numbers}: [DEFAULT] gives {setting.key} to every section that there is",
                    f"move it to [{setting.section}]",
                )
            if not self._parser.has_option(setting.section, setting.key):
                continue
            try:
                found[setting.env] = self._parser.get(setting.section, setting.key)
            except InterpolationError:
                line = _option(self._lines, setting)
                raise CarrierError(
                    f"{self.path} line {line.number if line else '?'}: Airflow cannot read the value of {setting.key}",
                    "a percent sign is written %%",
                ) from None
        return found

    # --- editing ----------------------------------------------------------------------------------------------------

    def _setting(self, name: str) -> Setting:
        for setting in SETTINGS:
            if setting.env == name:
                return setting
        raise CarrierError(f"{name} is none of the settings that {self.path} can carry")

    def _written(self, setting: Setting, value: str) -> str:
        """A value as it stands in the file.

        The threshold too is plain digits: what quotes protect it from (F35) is YAML, and here Airflow would read them
        as part of the number and fail every push (tried on both lines).
        """
        unfit = value != value.strip() or "\n" in value or "\r" in value
        if unfit or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise CarrierError(f"the value for {setting.key} is no text that an airflow.cfg can hold")
        return value.replace("%", "%%")

    def _with(self, text: str, setting: Setting, written: str | None) -> str:
        """The text with an option set, or without it."""
        lines = ini_lines(text)
        old = _option(lines, setting)
        if old is None:
            return text if written is None else _added(text, lines, setting, written)
        for line in lines[old.number :]:
            if line.kind is LineKind.CONTINUATION:
                raise CarrierError(
                    f"{self.path}: the value of {setting.key} in line {old.number} goes on in line {line.number}, "
                    "since that one is indented",
                    f"write it in one line, or begin line {line.number} further to the left",
                )
            if line.kind not in (LineKind.BLANK, LineKind.REMARK):
                break
        if written is None:
            return without_lines(text, old.start, old.end)
        return text[: old.value_start] + written + text[old.value_end :]

    def _require_effect(self, wanted: Mapping[str, Mapping[str, str]], text: str) -> None:
        # A new line can take in what is indented below it, or be taken in by the line above.
        try:
            if _raw(_parse(text)) == wanted:
                return
        except Error:
            pass
        raise CarrierError(
            f"{self.path} cannot be edited exactly: the indentation of its lines would make Airflow read something else",
            "begin every section and every key in the first column, and call again",
        )


def _parse(text: str) -> _Parser:
    parser = _Parser()
    parser.read_file(io.StringIO(text, newline=None))
    return parser


def _raw(parser: _Parser) -> dict[str, dict[str, str]]:
    """Every option as it is written, by section."""
    return {section: dict(parser.items(section, raw=True)) for section in parser.sections()}


def _first_near_miss(lines: list[IniLine]) -> tuple[IniLine, NearMiss] | None:
    """The first misspelt option. Raises :class:`CarrierError` for one whose value goes on in the next line."""
    for line in lines:
        miss = near_miss_in_file(line.section, line.key) if line.kind is LineKind.OPTION else None
        if miss is not None:
            if lines[line.number : line.number + 1] and lines[line.number].kind is LineKind.CONTINUATION:
                raise CarrierError(f"the value of {printable(miss.name)} in line {line.number} goes on in the next line", "write it in one line")  # fmt: skip
            return line, miss
    return None


def _option(lines: list[IniLine], setting: Setting) -> IniLine | None:
    for line in lines:
        if line.kind is LineKind.OPTION and (line.section, line.key) == (setting.section, setting.key):
            return line
    return None


def _added(text: str, lines: list[IniLine], setting: Setting, written: str) -> str:
    """A new option below the last line of its section; a missing line end at the end of the file stays missing."""
    end = line_end_of(text)
    option = f"{setting.key} = {written}"
    above = end_of_section(lines, setting.section)
    if above is None:
        header = f"[{setting.section}]{end}{option}"
        if not lines:
            return text + header + end
        gap = "" if lines[-1].kind is LineKind.BLANK else end
        return text + gap + header + end if ends_with_line_end(text) else text + end + gap + header
    head, tail = text[: above.end], text[above.end :]
    indent = next(line.indent for line in reversed(lines[: above.number]) if line.kind in _INDENTED)
    if ends_with_line_end(head):
        return head + indent + option + end + tail
    return head + end + indent + option
