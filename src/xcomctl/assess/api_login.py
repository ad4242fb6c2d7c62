"""The REST API of a deployment, with the credentials that are in the environment."""

from __future__ import annotations

import os

from xcomctl.clients.airflow_api import AirflowApi, without_login
from xcomctl.deployment.deployments import ApiEntry
from xcomctl.errors import UserError

#: What the variables are called that hold the credentials of ``--api URL``.
PASSWORD_VARIABLE = "XCOMCTL_API_PASSWORD"  # noqa: S105 — a name
TOKEN_VARIABLE = "XCOMCTL_API_TOKEN"  # noqa: S105


def entry_for(url: str, username: str | None) -> ApiEntry:
    """What the command line names."""
    return ApiEntry(url, username, PASSWORD_VARIABLE, TOKEN_VARIABLE)


def connect(entry: ApiEntry) -> AirflowApi:
    """A session with the API: a token, or a user and a password. Raises :class:`~xcomctl.errors.UserError`."""
    token, password = _secret(entry.token_env), _secret(entry.password_env)
    if not token and not (entry.username and password):
        raise UserError(
            f"there is no login for the API at {without_login(entry.url)}",
            f"export {entry.token_env or TOKEN_VARIABLE}, or give the user's name and export "
            f"{entry.password_env or PASSWORD_VARIABLE}",
        )
    return AirflowApi.detect(entry.url, username=entry.username or "", password=password, token=token)


def _secret(variable: str | None) -> str:
    return os.environ.get(variable, "") if variable else ""
