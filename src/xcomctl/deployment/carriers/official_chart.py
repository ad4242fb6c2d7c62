"""Where the official chart (https://airflow.apache.org, ``apache/airflow`` ``chart/``) takes settings from.

Read in its templates (``_helpers.yaml``, ``configmaps/``, ``scheduler/``, ``workers/``, ``files/pod-template-file``): a
container's ``env`` is ``env:``, then ``extraEnv:``, then the component's own ``env:``; ``extraEnvFrom:`` is its ``envFrom``,
over which ``env`` wins; ``config:`` becomes ``airflow.cfg``, with the names of sections and keys as they stand, over which
every variable wins. Among the pods is the template of task pods. Of several ``envFrom`` sources the last wins (Kubernetes).
``workers.celery`` and ``workers.kubernetes`` (from 1.19) replace the ``env`` of ``workers`` where theirs is not empty.
Not verified: which of two equal names in one container's ``env`` counts. Kubernetes takes the last when a pod starts, and
its merge patches keep one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from xcomctl.deployment.carriers.places import EVERY, Form, Home
from xcomctl.deployment.carriers.survey import First, Survey, in_text, listed
from xcomctl.deployment.carriers.yaml_layers import Branch, Document, Leaf
from xcomctl.deployment.carriers.yaml_nodes import Mapping, Scalar, Sequence
from xcomctl.deployment.carriers.yaml_values import Way

#: Keys that tell its values from other YAML, where the community chart has something else or nothing.
KEYS = frozenset({
    "airflowHome", "airflowLocalSettings", "airflowVersion", "apiServer", "cleanup", "config", "createUserJob",
    "dagProcessor", "dags", "data", "defaultAirflowRepository", "defaultAirflowTag", "env", "executor", "extraConfigMaps",
    "extraEnv", "extraEnvFrom", "extraSecrets", "fernetKeySecretName", "images", "logs", "migrateDatabaseJob",
    "podTemplate", "scheduler", "secret", "triggerer", "webserver", "workers",
})  # fmt: skip
#: Components with an ``env`` of their own that resolve the backend, and those where it does not matter if they lack it.
_COMPONENTS = ("scheduler", "workers", "triggerer", "dagProcessor", "apiServer", "webserver")
_OTHERS = ("workers.celery", "workers.kubernetes", "cleanup", "createUserJob", "databaseCleanup", "flower",
           "migrateDatabaseJob")  # fmt: skip
_CONFIG, _FROM, _ENV, _EXTRA, _OWN = 0, 1, 1_000, 1_001, 1_002


def survey(root: Branch, values: Branch, prefix: str, last: Document) -> Survey:
    """The homes in its ``values``, which stand under ``prefix`` of the files' ``root`` (empty for the root itself).

    ``last`` is the file that wins.
    """
    homes = [
        *_env(values, prefix, last),
        *in_text(f"{prefix}extraEnv", values.leaf("extraEnv"), Form.LIST, EVERY, _EXTRA),
        *_config(values, prefix),
        *_config_maps(values, prefix),
    ]
    for component in (*_COMPONENTS, *_OTHERS):
        own = values.branch(*component.split("."))
        leaf = own.leaf("env") if own is not None else None
        homes += listed(last, f"{prefix}{component}.env", leaf, component, _OWN, Way.PRINTED)
    reached = [home for home in homes if home.reaches == EVERY and home.rank >= _FROM and home.rank < _ENV]
    parent = values.last[1] if values.parts else None
    first = reached[-1] if reached else homes[0]
    return Survey(root, tuple(homes), _needed(values, homes), (First(first, last, parent),))


def _env(values: Branch, prefix: str, last: Document) -> Iterator[Home]:
    """The list for every component, also where there is none yet."""
    found = values.get("env")
    leaf = found if isinstance(found, Leaf) else None
    source, key = (leaf.document, leaf.key) if leaf is not None else (last, None)
    value = leaf.value if leaf is not None and (leaf.is_null or isinstance(leaf.value, Sequence)) else None
    yield Home(f"{prefix}env", Form.LIST, Way.PRINTED, EVERY, _ENV, source, key, value)


def _config(values: Branch, prefix: str) -> Iterator[Home]:
    config = values.branch("config")
    if config is not None:
        source, _, key = config.last
        yield Home(f"{prefix}config", Form.SECTIONS, Way.CONFIG, EVERY, _CONFIG, source, key, config)


def _config_maps(values: Branch, prefix: str) -> Iterator[Home]:
    """ConfigMaps whose content stands in the values: those that ``extraEnvFrom`` names reach every component."""
    sources = [_spelled(name) for name in _sources(values)]
    maps = values.branch("extraConfigMaps")
    for name in maps.names() if maps is not None else ():
        content = maps.branch(name) if maps is not None else None
        if content is None:
            continue
        spelled = _spelled(name)
        reaches = EVERY if spelled in sources else f"ConfigMap {name}"
        rank = _FROM + (sources.index(spelled) if spelled in sources else 0)
        where = f"{prefix}extraConfigMaps.{name}.data"
        data = content.get("data")
        if isinstance(data, Branch):
            source, _, key = data.last
            yield Home(where, Form.VARIABLES, Way.MANIFEST, reaches, rank, source, key, data)
        elif data is not None:
            yield from in_text(where, data, Form.VARIABLES, reaches, rank)


def _sources(values: Branch) -> list[str]:
    """The names of the ConfigMaps in ``extraEnvFrom``, in order; one with a prefix gives other variables."""
    names = []
    for home in in_text("", values.leaf("extraEnvFrom"), Form.LIST, EVERY, 0):
        assert isinstance(home.value, Sequence)
        for item in home.value.items:
            reference = item.get("configMapRef") if isinstance(item, Mapping) and item.get("prefix") is None else None
            name = reference.get("name") if isinstance(reference, Mapping) else None
            if isinstance(name, Scalar):
                names.append(home.document.text[name.start : name.end])
    return names


def _spelled(name: str) -> str:
    """A name that may be a template, in one spelling."""
    return re.sub(r"\{\{-?\s*(.*?)\s*-?\}\}", r"{{\1}}", name.strip().strip("'\""))


def _needed(values: Branch, homes: list[Home]) -> tuple[tuple[str, ...], ...]:
    def on(component: str) -> bool:
        own = values.branch(component)
        return own is None or own.scalar("enabled") not in ("false", "no", "off", "False")

    needed: list[tuple[str, ...]] = [("scheduler",)]
    if values.scalar("executor") not in ("LocalExecutor", "SequentialExecutor"):
        needed.append(("workers", "workers.celery", "workers.kubernetes"))
    needed += [("triggerer",)] if on("triggerer") else []
    processor = values.branch("dagProcessor")
    said = processor.scalar("enabled") if processor is not None else None
    if on("dagProcessor") and (said is not None or not (values.scalar("airflowVersion") or "").startswith("2.")):
        needed.append(("dagProcessor",))
    needed.append(("apiServer", "webserver"))
    for home in homes:
        if home.reaches in ("workers.celery", "workers.kubernetes") and isinstance(home.value, Sequence):
            needed += [(home.reaches,)] if home.value.items else []
    return tuple(needed)
