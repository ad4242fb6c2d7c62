"""Where the Loki of a deployment is: the table ``loki`` of ``xcomctl.toml``, which holds no secrets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from xcomctl.deployment.loki_services import parse_name
from xcomctl.model.loki_query import selector_of

KEYS = ("url", "tenant", "username", "password_env", "token_env", "ca_file", "service", "namespace", "selector")


class Table(Protocol):
    """The table, as it is read."""

    def knows(self, *keys: str) -> None:
        """Refuse every other key."""

    def text(self, key: str) -> str | None:
        """A string, ``None`` where there is none."""


@dataclass(frozen=True)
class LokiEntry:
    """``url``, or ``service`` (``[NAMESPACE/]NAME[:PORT]``) in ``namespace`` of the deployment's cluster; neither: whatever is
    labelled as Loki there. ``password_env`` and ``token_env`` name the variables that hold them. ``selector`` is which streams
    are this Airflow's, where the namespace of the deployment does not tell, or is called otherwise by what collects the logs."""

    url: str | None = None
    tenant: str | None = None
    username: str | None = None
    password_env: str | None = None
    token_env: str | None = None
    ca_file: Path | None = None
    service: str | None = None
    namespace: str | None = None
    selector: str | None = None


def read(table: Table, folder: Path) -> LokiEntry:
    """The entry; a file in it lies beside ``folder``'s ``xcomctl.toml``. Raises what the table raises, and ``ValueError``."""
    table.knows(*KEYS)
    found = {key: table.text(key) for key in KEYS}
    if found["url"] is not None and (found["service"] is not None or found["namespace"] is not None):
        raise ValueError("it has a url, and a service or namespace to forward a port to: one of them")
    if found["service"] is not None:
        namespace, _, _ = parse_name(found["service"])
        if namespace is not None and found["namespace"] not in (None, namespace):
            raise ValueError(f"its service is in {namespace}, and its namespace is {found['namespace']}")
    if (selector := found["selector"]) is not None:
        found["selector"] = selector = selector.strip()
        if selector_of(selector) != selector or not selector[1:-1].strip():
            raise ValueError(f"""its selector {selector!r} is no stream selector such as '{{job="airflow"}}'""")
    ca_file = found.pop("ca_file")
    return LokiEntry(**found, ca_file=None if ca_file is None else folder / Path(ca_file).expanduser())
