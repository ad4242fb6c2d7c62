"""What may be shown of the values of a Helm release: they hold secrets under many names, and in texts of YAML."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import secrets
from collections.abc import Mapping
from io import StringIO
from typing import Any

from xcomctl.model.redaction import REDACTED, is_secret_name, redact

#: What the charts make Secrets of, whatever the names in it.
_SECRET_KEYS = frozenset({"extraSecrets", "stringData", "connections", "connectionsTemplates"})
#: Tells two secrets that differ from each other, in this process alone.
_SALT = secrets.token_bytes(16)


def difference(before: bytes, after: bytes) -> str:
    """What changes between two values as ``helm get values`` prints them: unified, one line of context, without secrets.

    A secret that changes is seen to change, and no more. Content that is no YAML differs as a whole, or not at all.
    """
    lines = difflib.unified_diff(_lines(before), _lines(after), "a/values", "b/values", n=1, lineterm="")
    return "\n".join(line.rstrip() for line in lines)


def _lines(content: bytes) -> list[str]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.scalarstring import LiteralScalarString

    try:
        values = YAML(typ="safe").load(content)
    except YAMLError:
        return [_tag(content.decode("utf-8", "replace"))]

    def masked(value: Any, is_secret: bool) -> Any:
        if isinstance(value, Mapping):
            named = value.get("name")
            of_pair = isinstance(named, str) and is_secret_name(named)
            return {
                key: masked(each, is_secret or key in _SECRET_KEYS or is_secret_name(str(key)) or (of_pair and key != "name"))
                for key, each in value.items()
            }  # fmt: skip
        if isinstance(value, list):
            return [masked(each, is_secret) for each in value]
        if value is None or isinstance(value, bool) or value == "":
            return value
        if is_secret:
            return _tag(str(value))
        return text(value) if isinstance(value, str) else value

    def text(value: str) -> Any:
        """A text, which may be YAML itself."""
        if "\n" not in value:
            return redact(value)
        held = None
        with contextlib.suppress(YAMLError):
            held = YAML(typ="safe").load(value)
        shown = written(masked(held, False)) if isinstance(held, (Mapping, list)) else redact(value)
        return LiteralScalarString(shown)

    def written(value: Any) -> str:
        yaml, out = YAML(), StringIO()
        yaml.width = 4096
        yaml.dump(value, out)
        return out.getvalue()

    return written(masked(values, False)).splitlines() if values is not None else []


def _tag(secret: str) -> str:
    return f"{REDACTED} ({hashlib.sha256(_SALT + secret.encode()).hexdigest()[:6]})"
