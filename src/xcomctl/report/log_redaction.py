"""Secrets out of lines of logs, of which there may be millions: most can hold none, and are not searched for one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from xcomctl.model.redaction import redact, redact_mapping

#: One of these is in every text that :func:`~xcomctl.model.redaction.redact` changes, in lower case.
_WORDS = (
    "pass", "pwd", "secret", "token", "credential", "key", "sig", "accessid", "authorization", "cookie", "bearer",
    "airflow_conn", "akia", "asia", "aroa", "aida", "eyj", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
    "xox", "ya29", "ſ",  # which counts as an s where case does not
)  # fmt: skip
#: Streams of which it is remembered what is shown of their labels.
_REMEMBERED = 1000
#: Or a user in a URL.
_USER = re.compile(r"://[^\s\"'<>]*@")


def redacted(text: str) -> str:
    """What :func:`~xcomctl.model.redaction.redact` makes of it."""
    return redact(text) if may_hold_one(text) else text


class Labels:
    """Labels without their secrets, also by name. Lines of one page share those of their stream: each is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Mapping[str, str], dict[str, Any]]] = {}

    def redacted(self, labels: Mapping[str, str]) -> dict[str, Any]:
        """What :func:`~xcomctl.model.redaction.redact_mapping` makes of them; not to be changed."""
        known = self._known.get(id(labels))  # what is remembered holds on to the labels, so that no others get their id
        if known is not None and known[0] is labels:
            return known[1]
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        made = redact_mapping(labels)
        self._known[id(labels)] = labels, made
        return made


def may_hold_one(text: str) -> bool:
    """Whether it is worth looking. False for no text that holds what is taken for a secret."""
    lower = text.lower()
    return any(word in lower for word in _WORDS) or ("://" in lower and _USER.search(lower) is not None)
