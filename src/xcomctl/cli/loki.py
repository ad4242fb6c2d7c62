"""The Loki of the chosen deployment, for commands that show a row of it."""

from __future__ import annotations

import argparse
import os
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcomctl.assess.log_signals import Asking
    from xcomctl.deployment.deployments import Deployment


def asking(args: argparse.Namespace, chosen: Deployment | None, base_path: str | None = None) -> Asking | None:
    """What to ask it for; ``None`` for a deployment that has none, and without a deployment."""
    if chosen is None or chosen.loki is None:
        return None
    from xcomctl.assess.log_signals import Asking
    from xcomctl.assess.loki_login import ADDRESS_VARIABLE

    kubectl = chosen.pods.kubectl if chosen.pods is not None else None
    words = ["-D", chosen.name, *(["--config", str(args.config)] if args.config else [])]
    # The command that is printed takes the deployment's Loki too.
    program = f"env -u {ADDRESS_VARIABLE} xcomctl" if os.environ.get(ADDRESS_VARIABLE) else "xcomctl"
    return Asking(chosen.loki, kubectl, base_path or chosen.settings.path, f"{program} logs {shlex.join(words)}")
