from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

import pytest

from tests.unit.report import samples
from xcomctl.model.verdicts import Check, Status
from xcomctl.report.terminal import render_checks, render_rehearsal


class AsciiStream(io.StringIO):
    encoding = "latin-1"


@pytest.mark.parametrize("sample", [*samples.ALL, "hostile"])
@pytest.mark.parametrize("width", [20, 30, 80, 120, None])
def test_ascii_and_narrow(sample: str, width: int | None) -> None:
    stream = AsciiStream()
    render_rehearsal(getattr(samples, sample)(), stream, width=width)
    text = stream.getvalue()
    assert text.isascii()
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_fits_80_columns_except_what_is_there_to_copy() -> None:
    stream = io.StringIO()
    render_rehearsal(samples.passed(), stream, width=80)
    assert [line for line in stream.getvalue().splitlines() if len(line) > 80 and "s3://" not in line] == []


def test_piped_has_one_line_per_check_and_the_same_words() -> None:
    narrow, piped = io.StringIO(), io.StringIO()
    render_rehearsal(samples.passed(), narrow, width=80)
    render_rehearsal(samples.passed(), piped)
    assert sorted(narrow.getvalue().split()) == sorted(piped.getvalue().split())
    assert any("offload_exact_values" in line and "inline" in line for line in piped.getvalue().splitlines())


def test_checks_show_status_id_detail_and_the_hint_below() -> None:
    stream = io.StringIO()
    checks = [
        Check("a_ok", "one", "title of a", Status.OK),
        Check("b_fail", "one", "t", Status.FAIL, "detail of b", "kubectl mend [bold]b[/bold]"),
        Check("c_skip", "two", "t", Status.SKIP, "no cluster"),
    ]
    render_checks(checks, stream, width=80)
    assert stream.getvalue().splitlines() == [
        "  one",
        "    OK    a_ok    title of a",
        "    FAIL  b_fail  detail of b",
        "          → kubectl mend [bold]b[/bold]",
        "  two",
        "    SKIP  c_skip  no cluster",
        "  1 OK, 1 FAIL, 1 SKIP",
    ]
    quiet = io.StringIO()
    render_checks(checks, quiet, quiet=True, width=80)
    assert "a_ok" not in quiet.getvalue()
    assert "1 OK, 1 FAIL, 1 SKIP" in quiet.getvalue()


def test_no_checks_say_so() -> None:
    stream = io.StringIO()
    render_checks([], stream)
    assert stream.getvalue() == "  nothing was checked\n"


def _on_a_terminal(**environment: str) -> str:
    code = (
        "import sys; from tests.unit.report import samples; from xcomctl.report.terminal import render_rehearsal;"
        "render_rehearsal(samples.passed(), sys.stdout)"
    )
    near, far = pty.openpty()
    try:
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TERM": "xterm-256color",
            **environment,
        }
        running = subprocess.Popen([sys.executable, "-c", code], stdout=far, env=env)
        os.close(far)
        seen = b""
        while True:
            try:
                chunk = os.read(near, 65536)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
        assert running.wait(20) == 0
    finally:
        os.close(near)
    return seen.decode()


def test_colour_on_a_terminal_only_and_not_with_no_color() -> None:
    assert "\x1b[32m" in _on_a_terminal()
    assert "\x1b[32m" not in _on_a_terminal(NO_COLOR="1")
    assert "\x1b" not in _on_a_terminal(TERM="dumb")


def test_importing_the_renderers_imports_neither_rich_nor_jinja2() -> None:
    code = (
        "import sys, xcomctl.report.terminal, xcomctl.report.progress, xcomctl.report.rehearsal_files;"
        "sys.exit(bool({'rich', 'jinja2'} & set(sys.modules)))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ).returncode
        == 0
    )
