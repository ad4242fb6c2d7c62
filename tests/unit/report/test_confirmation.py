"""Asking before a change: only yes is yes, and who cannot be asked has not agreed."""

from __future__ import annotations

import io

import pytest

from xcomctl.model.verdicts import Verdict
from xcomctl.report.confirmation import NotConfirmed, confirm


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", ["y\n", "Yes\n", " y \n"])
def test_yes_goes_on(answer):
    asked = io.StringIO()
    confirm("write it?", yes=False, stdin=Terminal(answer), stderr=asked)
    assert asked.getvalue() == "write it? [y/N] "


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yess\n", "of course\n"])
def test_everything_else_refuses(answer):
    with pytest.raises(NotConfirmed) as refused:
        confirm("write it?", yes=False, stdin=Terminal(answer), stderr=io.StringIO())
    assert refused.value.verdict is Verdict.REFUSED


def test_a_pipe_is_not_asked_and_needs_the_option():
    with pytest.raises(NotConfirmed) as refused:
        confirm("write it?", yes=False, stdin=io.StringIO("y\n"), stderr=io.StringIO())
    assert "-y" in refused.value.hint
    confirm("write it?", yes=True, stdin=io.StringIO(""))
