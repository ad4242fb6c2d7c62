"""Where the User-Community Airflow Helm Chart (``airflow-helm/charts``) takes settings from.

Read in version 8.9.0: ``airflow.config`` is a mapping of variables that becomes a Secret by ``toString``
(``templates/config/secret-config-envs.yaml``), the ``envFrom`` of every pod; ``airflow.extraEnv`` is written by ``toYaml``
into the ``env`` of every pod, the template of task pods included, and wins. No component has an ``env`` of its own.
"""

from __future__ import annotations

from xcomctl.deployment.carriers.places import EVERY, Form, Home
from xcomctl.deployment.carriers.survey import First, Survey, listed
from xcomctl.deployment.carriers.yaml_layers import Branch, Document, Leaf
from xcomctl.deployment.carriers.yaml_values import Way

#: Keys under ``airflow:`` that the official chart has not.
KEYS = frozenset({
    "clusterDomain", "connections", "connectionsTemplates", "dbMigrations", "extraPipPackages", "fernetKey", "image",
    "kubernetesPodTemplate", "legacyCommands", "localSettings", "pools", "sync", "users", "usersTemplates", "variables",
    "webserverSecretKey",
})  # fmt: skip


def survey(root: Branch, airflow: Branch, where: str, last: Document) -> Survey:
    """The homes in its ``airflow:``, whose path is ``where``."""
    config = airflow.get("config")
    source, key, value = last, None, None
    if isinstance(config, Branch):
        source, _, key = config.last
        value = config
    elif isinstance(config, Leaf):
        source, key = config.document, config.key
    homes = [
        Home(f"{where}.config", Form.VARIABLES, Way.PRINTED, EVERY, 0, source, key, value if key else None),
        *listed(last, f"{where}.extraEnv", airflow.leaf("extraEnv"), EVERY, 1, Way.MANIFEST),
    ]
    return Survey(root, tuple(homes), (), (First(homes[0], *airflow.last[:2]),))
