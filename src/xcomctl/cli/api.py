"""The options that say where Airflow's REST API is, the same for every command."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xcomctl.deployment.deployments import ApiEntry, Deployment


def add_options(group: Any, what: str) -> None:
    """Add ``--api`` and ``--api-user``; ``what`` says what is done through it, and what else if it is not given."""
    group.add_argument("--api", metavar="URL", help=what)
    group.add_argument("--api-user", metavar="NAME", help="login of the API; its password is in XCOMCTL_API_PASSWORD, or a token in XCOMCTL_API_TOKEN")  # fmt: skip


def entry(args: argparse.Namespace, chosen: Deployment | None = None) -> ApiEntry | None:
    """The API that the options name, else the deployment's, ``None`` for none."""
    if not args.api:
        return chosen.api if chosen is not None else None
    from xcomctl.assess.api_login import entry_for

    return entry_for(args.api, args.api_user)
