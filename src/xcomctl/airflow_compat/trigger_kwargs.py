"""What the triggers of deferred tasks were given, which Airflow keeps encrypted in its metadata database."""

from __future__ import annotations

import json
from typing import Any

from xcomctl.airflow_compat import loading


def decrypted(stored: str) -> Any:
    """The kwargs as plain JSON, as Airflow serialised them. Raises ``ValueError`` where they cannot be read.

    They may not be encrypted: Airflow's migrations left some as they were.
    """
    if not stored.startswith("{"):
        fernet = loading.module("airflow.models.crypto").get_fernet()
        try:
            stored = fernet.decrypt(stored.encode()).decode()
        except Exception as error:  # of cryptography, whatever it is of: another key, or none
            raise ValueError(f"cannot be decrypted: {type(error).__name__}") from None
    return json.loads(stored)
