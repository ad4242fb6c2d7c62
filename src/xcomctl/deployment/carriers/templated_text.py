"""Strings of values that hold YAML with Go templates in it, such as the official chart's ``extraEnv: |``.

They are read where they stand in the file, so that what is found in them has the file's own offsets. Each ``{{ … }}`` is
replaced, letter by letter, by a letter that no person writes; a line of nothing else becomes a remark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xcomctl.deployment.carriers.yaml_layers import scalars
from xcomctl.deployment.carriers.yaml_nodes import Node, Scalar, YamlProblem, last_offset, parsed
from xcomctl.deployment.carriers.yaml_values import MASK

_ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_LINE = re.compile(r"(?m)^([ \t]*)(\ue000)((?:[ \t\ue000])*)(?=\r?$)")
_WORD = re.compile(r"\{\{-?\s*(?:/\*.*?\*/\s*)?(\w*)", re.DOTALL)
_BLOCK = re.compile(
    r"[-\s]*(?:/\*.*?\*/|(?:if|else|end|range|with|define|block|break|continue)\b|\$\w*(?:\s*,\s*\$\w+)?\s*:?=(?!=))",
    re.DOTALL,
)
_OPENS = frozenset({"if", "range", "with", "define", "block"})


@dataclass(frozen=True)
class Held:
    """What a string holds: its YAML (``None`` for nothing), and where a template decides whether a text is there.

    ``prints`` is whether a template writes whole lines of it.
    """

    node: Node | None
    conditional: tuple[tuple[int, int], ...]
    prints: bool = False

    def is_conditional(self, node: Node) -> bool:
        """Whether a template decides about a node, or about a part of it."""
        return any(start < last_offset(node) and node.start < end for start, end in self.conditional)


def held(text: str, scalar: Scalar) -> Held | None:
    """The YAML that a block string of a file holds; ``None`` where its letters do not stand in the file as they are.

    Raises :class:`YamlProblem` with the line of the string in which it is no YAML.
    """
    if scalar.style != "|":
        return None
    start = text.find("\n", scalar.start, scalar.end) + 1
    if start == 0:
        return Held(None, ())
    inner = text[start : scalar.end]
    conditional, opened = [], []
    for action in _ACTION.finditer(inner):
        word = _WORD.match(action[0])
        if word is not None and word[1] in _OPENS:
            opened.append(action.end())
        elif word is not None and word[1] == "end" and opened:
            conditional.append((start + opened.pop(), start + action.start()))
    conditional += [(start + begun, scalar.end) for begun in opened]
    try:
        node = parsed(_masked(inner), start)
        return Held(node, tuple(conditional), _prints(inner, start, node))
    except YamlProblem as problem:
        line = problem.line + text.count("\n", 0, start)
        raise YamlProblem(problem.message, line, problem.hint) from None


def _prints(text: str, base: int, node: Node | None) -> bool:
    """Whether an action that is no part of a block, an assignment, a remark or a value has a line for itself."""
    values = [(scalar.start - base, scalar.end - base) for scalar in scalars(node)] if node is not None else []
    for action in _ACTION.finditer(text):
        before, after = text[: action.start()].rpartition("\n")[2], text[action.end() :].partition("\n")[0]
        alone = not before.strip() and not after.strip() and _BLOCK.match(action[0][2:]) is None
        if alone and not any(start <= action.start() < end for start, end in values):
            return True
    return False


def _masked(text: str) -> str:
    plain = _ACTION.sub(lambda action: re.sub(r"[^\r\n]", MASK, action[0]), text)
    return _LINE.sub(lambda line: f"{line[1]}#{line[3]}", plain)
