"""A rehearsal's folder: report.json, report.md, report.html."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from xcomctl.errors import UserError
from xcomctl.model.rehearsal import RehearsalReport
from xcomctl.report.rehearsal_html import to_html
from xcomctl.report.rehearsal_markdown import to_markdown


class ReportError(UserError):
    """A report could not be written: ``message`` says which and why in one sentence, ``hint`` what to do."""


@dataclass(frozen=True)
class Paths:
    """Where the three files are."""

    json: Path
    markdown: Path
    html: Path


def prepare_folder(folder: str | os.PathLike[str]) -> Path:
    """Create the folder of a report if it is missing. Raises :class:`ReportError` if nothing can be written there."""
    home = Path(folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _told(error, f"the folder {home}") from error
    return home


def write_report(report: RehearsalReport, folder: str | os.PathLike[str]) -> Paths:
    """Write the three files into the folder, which is created if missing; files of the same names are replaced.

    Each file appears whole or not at all, the record (JSON) first. A partial report is written like any other.
    Raises :class:`ReportError` if the folder or a file cannot be written.
    """
    home = prepare_folder(folder)
    paths = Paths(home / "report.json", home / "report.md", home / "report.html")
    _replace(paths.json, json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n")
    _replace(paths.markdown, to_markdown(report))
    _replace(paths.html, to_html(report))
    return paths


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise _told(error, str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _told(error: OSError, what: str) -> ReportError:
    return ReportError(
        f"Could not write {what}: {error.strerror or error}.",
        "Make room or choose a folder that you may write to.",
    )
