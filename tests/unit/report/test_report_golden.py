"""What people get to see, compared with files. ``XCOMCTL_UPDATE_GOLDEN=1`` writes them anew: then read the diff."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.report import samples
from xcomctl.model.rehearsal import RehearsalReport
from xcomctl.report.rehearsal_html import to_html
from xcomctl.report.rehearsal_markdown import to_markdown
from xcomctl.report.terminal import render_checks, render_rehearsal

GOLDEN = Path(__file__).parent / "golden"


class Stream(io.StringIO):
    """A stream in memory with an encoding of its own."""

    encoding = "utf-8"


class AsciiStream(Stream):
    encoding = "ascii"


def _terminal(report: RehearsalReport) -> str:
    stream = Stream()
    render_rehearsal(report, stream, width=80)
    return stream.getvalue()


def _piped(report: RehearsalReport) -> str:
    stream = Stream()
    render_rehearsal(report, stream)
    return stream.getvalue()


def _ascii(report: RehearsalReport) -> str:
    stream = AsciiStream()
    render_rehearsal(report, stream, width=48)
    return stream.getvalue()


def _quiet_checks(report: RehearsalReport) -> str:
    stream = Stream()
    render_checks(report.checks, stream, quiet=True, width=80)
    return stream.getvalue()


RENDERERS: dict[str, Callable[[RehearsalReport], str]] = {
    "80.txt": _terminal, "piped.txt": _piped, "48.ascii.txt": _ascii, "quiet.txt": _quiet_checks,
    "md": to_markdown, "html": to_html,
}  # fmt: skip


def normalised(text: str) -> str:
    """Without what no reader sees: trailing blanks, runs of empty lines."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())) + "\n"


@pytest.mark.parametrize("suffix", RENDERERS)
@pytest.mark.parametrize("sample", samples.ALL)
def test_golden(sample: str, suffix: str) -> None:
    seen = normalised(RENDERERS[suffix](samples.ALL[sample]()))
    path = GOLDEN / f"{sample}.{suffix}"
    if os.environ.get("XCOMCTL_UPDATE_GOLDEN"):
        path.write_text(seen, encoding="utf-8")
    assert seen == path.read_text(encoding="utf-8"), f"differs from {path}; XCOMCTL_UPDATE_GOLDEN=1 writes it anew"
