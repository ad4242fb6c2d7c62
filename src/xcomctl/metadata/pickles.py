"""The text in a pickle that is nothing but a text, read without unpickling: a pickle is a program."""

from __future__ import annotations

import pickletools
from typing import Optional

_TEXT = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
_AROUND = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "STOP"})
#: Nothing longer is a reference.
_LONGEST = 64 * 1024


def text_in(data: bytes) -> Optional[str]:
    """The string that loading the pickle would give, ``None`` for one that is anything else, or no pickle.

    With pickling on, 2.x stores a reference like that (F24). Only opcodes that make a string are understood, so that
    nothing is ever executed or imported.
    """
    if len(data) > _LONGEST:
        return None
    found: Optional[str] = None
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in _TEXT and found is None:
                found = argument
            elif opcode.name not in _AROUND:
                return None
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError):
        return None
    return found
