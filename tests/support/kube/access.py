"""Who may do what: one user, whose rules a test sets in the form of a Role's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

USER = "ops"
ADMIN: tuple[Mapping[str, Any], ...] = ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},)


@dataclass(frozen=True)
class Attempt:
    """What somebody wants to do. ``resource`` is ``pods`` or, with a subresource, ``pods/exec``."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    def refusal(self) -> str:
        """The sentence of the API server."""
        plural = self.resource.partition("/")[0]
        place = f' in the namespace "{self.namespace}"' if self.namespace else " at the cluster scope"
        what = f'{plural} "{self.name}"' if self.name else plural
        return (
            f'{what} is forbidden: User "{USER}" cannot {self.verb} resource "{self.resource}" '
            f'in API group "{self.group}"{place}'
        )


class Access:
    """The rules of a Role, for every namespace unless some are named, and what is denied in spite of them."""

    def __init__(self) -> None:
        self.rules: Sequence[Mapping[str, Any]] = ADMIN
        #: Pairs of a verb and a resource: ``("create", "pods/exec")``.
        self.denied: set[tuple[str, str]] = set()
        #: Where the rules hold, as those of a Role; ``None``: everywhere.
        self.namespaces: set[str] | None = None

    def allows(self, attempt: Attempt) -> bool:
        """Whether it is allowed."""
        if (attempt.verb, attempt.resource) in self.denied:
            return False
        if self.namespaces is not None and attempt.namespace not in self.namespaces:
            return False
        return any(
            _names(rule["apiGroups"], attempt.group)
            and _names(rule["resources"], attempt.resource)
            and _names(rule["verbs"], attempt.verb)
            for rule in self.rules
        )


def _names(listed: Sequence[str], value: str) -> bool:
    return value in listed or "*" in listed
