"""What becomes of a value on its way from YAML into a container's environment or its ``airflow.cfg``.

Helm reads every number as a float64, and ``quote``, ``toString`` and a bare ``{{ }}`` print those from a million up with
an exponent, ``toYaml`` does not (3.17.2 and 4.3.1, tried; F35). Kubernetes takes nothing but strings for a variable.
"""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from decimal import Decimal

from xcomctl.deployment.carriers.yaml_layers import is_null
from xcomctl.deployment.carriers.yaml_nodes import Node, Scalar

#: What stands in for a letter of a ``{{ … }}`` in a string that holds YAML; see :mod:`.templated_text`.
MASK = "\ue000"

#: What YAML 1.1 takes for a boolean, as Helm and compose do, and what it is.
BOOLEANS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"), "true"),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"), "false"),
}
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_VARIABLE = re.compile(r"\$(?:\{|[A-Za-z_])")


class Way(enum.Enum):
    """How a value travels."""

    #: Through ``quote`` or ``toString`` into a variable.
    PRINTED = "printed"
    #: Through ``toString`` and ``tpl`` into ``airflow.cfg``, where a percent sign is written ``%%``.
    CONFIG = "config"
    #: As it is written, into a manifest.
    MANIFEST = "manifest"
    #: Read by docker compose, where a dollar sign is written ``$$``.
    COMPOSE = "compose"


@dataclass(frozen=True)
class Reading:
    """What Airflow gets: ``value``, or ``None`` where that is not known (``unknown`` says why) or nothing is set.

    ``unfit`` says what happens to a value that is not written as a string.
    """

    value: str | None
    unknown: str = ""
    unfit: str = ""


def reading(node: Node | None, way: Way) -> Reading:
    """What Airflow gets of a value."""
    if not isinstance(node, Scalar):
        return Reading(None, unknown="it is no plain text" if node is not None else "there is none")
    text = node.text
    if MASK in text or (way is not Way.COMPOSE and "{{" in text):
        return Reading(None, unknown="it is templated")
    if node.tag not in ("", "!", "tag:yaml.org,2002:str"):
        return Reading(None, unknown="it is tagged")
    number, odd = (text, "") if node.style or node.tag else _printed(text, way)
    if way is Way.COMPOSE:
        if number is None:
            return Reading(None, unknown="it comes from the environment of whoever runs compose")
        if _VARIABLE.search(text.replace("$$", "")):
            return Reading(None, unknown="it names another variable")
        return Reading(number.replace("$$", "$"), unfit=odd)
    if way is Way.CONFIG and number is not None:
        if re.search(r"%(?!%)", number.replace("%%", "")):
            return Reading(None, unknown="a percent sign is written %% there, and Airflow cannot read it")
        return Reading(number.replace("%%", "%"), unfit=odd)
    if number is not None and "$(" in number:
        return Reading(None, unknown="it names another variable")
    return Reading(number, unfit=odd)


def as_written(value: str, way: Way) -> str:
    """The text that makes Airflow get a value."""
    if way is Way.CONFIG:
        return value.replace("%", "%%")
    return value.replace("$", "$$") if way is Way.COMPOSE else value


def _printed(text: str, way: Way) -> tuple[str | None, str]:
    """A plain scalar as it arrives (``None`` for null), and what is wrong with it."""
    if is_null(Scalar(0, 0, False, text, "", "")):
        return None, ""
    kind, arrives = "", text
    number = _integer(text) if _INTEGER.fullmatch(text) else None
    if text in BOOLEANS:
        kind, arrives = "a boolean", BOOLEANS[text]
    elif number is not None:
        kind = "a number"
        as_float = _go_float(float(number))
        arrives = str(number) if way in (Way.MANIFEST, Way.COMPOSE) else as_float
        if way is Way.COMPOSE or (arrives == str(number) and way is not Way.MANIFEST):
            kind = ""
    elif _FLOAT.fullmatch(text) and ("inf" in text.lower() or math.isfinite(float(text))):  # else too large for Go
        kind, arrives = "a number", _go_float(float(text))
        if "e" not in arrives and way is not Way.MANIFEST:
            kind = ""
    if not kind:
        return arrives, ""
    if way is Way.MANIFEST:
        return arrives, f"it is {kind}, and Kubernetes takes strings alone"
    if way is Way.COMPOSE and kind == "a boolean":
        return arrives, "it is a boolean, which compose refuses"
    return (arrives, f"Helm renders it as {arrives}") if arrives != text else (arrives, "")


def _integer(text: str) -> int | None:
    """The number, ``None`` for what only looks like one, or is larger than any that Go has."""
    try:
        number = _parsed(text)
        float(number)
    except (ValueError, OverflowError):
        return None
    return number


def _parsed(text: str) -> int:
    digits = text.replace("_", "").lower()
    sign, digits = (-1, digits[1:]) if digits[0] == "-" else (1, digits.lstrip("+"))
    if re.fullmatch(r"0[0-7]+", digits):
        return sign * int(digits, 8)
    if re.fullmatch(r"[0-9]+", digits):
        return sign * int(digits)
    return sign * int(digits, 0)


def _go_float(number: float) -> str:
    """A float64 as Go's ``%v`` prints it: the fewest digits, with an exponent from a million up and below 0.0001."""
    if number != number or number in (float("inf"), float("-inf")):
        return {float("inf"): "+Inf", float("-inf"): "-Inf"}.get(number, "NaN")
    exact = Decimal(repr(number)).normalize()
    power = exact.adjusted()
    if number == 0 or -4 <= power < 6:
        return format(exact, "f")
    sign, digits, _ = exact.as_tuple()
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


#: Plain, and a string to every YAML and in brackets too.
_SAFE = re.compile(r"[A-Za-z_](?:[\w./:@%+=-]*[\w/])?", re.ASCII)


def scalar_text(value: str, style: str, *, quoted: bool = False) -> str:
    """A value as a YAML scalar, in the quotes that were there where they can hold it; ``quoted`` insists on quotes."""
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    plain = _SAFE.fullmatch(value) is not None and value not in BOOLEANS and value.lower() != "null"
    if style == "" and plain and not quoted:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
