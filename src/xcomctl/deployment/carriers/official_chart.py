"""Where the official chart (https://airflow.apache.org, ``apache/airflow`` ``chart/``) takes settings from.

Read in its templates (``_helpers.yaml``, ``configmaps/``, ``scheduler/``, ``workers/``, ``files/pod-template-file``): a
container's ``env`` is ``env:``, then ``extraEnv:``, then the component's own ``env:``; ``extraEnvFrom:`` is its ``envFrom``,
over which ``env`` wins; ``config:`` becomes ``airflow.cfg``, with the names of sections and keys as they stand, over which
every variable wins. Among the pods is the template of task pods. Of several ``envFrom`` sources the last wins (Kubernetes).
``workers.celery`` and ``workers.kubernetes`` (from 1.19) replace the ``env`` of ``workers`` where theirs is not empty.
Each of ``extraConfigMaps:`` is a hook (``pre-install,pre-upgrade``, deleted before it is made again) unless it says
``useHelmHooks: false`` (from 1.15; before that each is one whatever it says). ``extraSecrets`` and the chart's jobs have
the same flag, and carry no settings.
Not verified: which of two equal names in one container's ``env`` counts. Kubernetes takes the last when a pod starts, and
its merge patches keep one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from xcomctl.deployment.carriers.places import EVERY, Form, Home
from xcomctl.deployment.carriers.survey import First, Survey, in_text, listed, opaque
from xcomctl.deployment.carriers.yaml_layers import Branch, Document, Leaf, is_null
from xcomctl.deployment.carriers.yaml_nodes import Mapping, Node, Scalar, Sequence
from xcomctl.deployment.carriers.yaml_values import BOOLEANS, Way

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
#: What a source of ``envFrom`` is called, and what it is.
_CONFIG_MAP = "configMapRef"
_REFERENCES = {_CONFIG_MAP: "ConfigMap", "secretRef": "Secret"}
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
    document, parent = values.last[:2] if values.parts else (last, None)
    first = reached[-1] if reached else homes[0]
    needed, unread = _needed(values, homes), tuple(_unread(values, prefix))
    unclear = tuple(_opaque(values, prefix))
    return Survey(root, tuple(homes), needed, (First(first, document, parent),), unread=unread, opaque=unclear)


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
    sources = [name for kind, name in _sources(values) if kind == _CONFIG_MAP]
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
        found: Iterable[Home] = ()
        if isinstance(data, Branch):
            source, _, key = data.last
            found = [Home(where, Form.VARIABLES, Way.MANIFEST, reaches, rank, source, key, data)]
        elif data is not None:
            found = in_text(where, data, Form.VARIABLES, reaches, rank)
        hook = _hook(content, f"{prefix}extraConfigMaps.{name}")
        yield from (replace(home, config_map=True, hook=hook) for home in found)


def _hook(content: Branch, where: str) -> str:
    """The place of a ConfigMap that Helm makes by a hook: unless its flag is false to a template, or by its own annotation."""
    flag, annotations = content.get("useHelmHooks"), content.branch("annotations")
    annotated = annotations is not None and "helm.sh/hook" in annotations.names()
    if isinstance(flag, Leaf) and _is_false(flag.value) and not annotated:
        return ""
    source, mapping, key = content.last
    return source.at(key or mapping, where)


def _is_false(value: Node) -> bool:
    """Whether a template takes a value for false, as Helm reads it (3.17.2 and 4.3.1, tried)."""
    if not isinstance(value, Scalar):
        return False
    if value.style:
        return not value.text
    return is_null(value) or value.text == "0" or BOOLEANS.get(value.text) == "false"


def _sources(values: Branch) -> Iterator[tuple[str, str]]:
    """The sources in ``extraEnvFrom``, in order, each by its key and its name; one with a prefix gives other variables."""
    for home in in_text("", values.leaf("extraEnvFrom"), Form.LIST, EVERY, 0):
        assert isinstance(home.value, Sequence)
        for item in home.value.items:
            for kind in _REFERENCES if isinstance(item, Mapping) and item.get("prefix") is None else ():
                reference = item.get(kind) if isinstance(item, Mapping) else None
                name = reference.get("name") if isinstance(reference, Mapping) else None
                if isinstance(name, Scalar):
                    yield kind, _spelled(home.document.text[name.start : name.end])


def _unread(values: Branch, prefix: str) -> Iterator[str]:
    """What reaches every component too, and stands elsewhere or cannot be read."""
    leaf = values.leaf("extraEnvFrom")
    if leaf is not None and not leaf.is_null and not list(in_text("", leaf, Form.LIST, EVERY, 0)):
        yield f"{prefix}extraEnvFrom cannot be read as it stands, and what its sources set is not known here"
    maps = values.branch("extraConfigMaps")
    here = {_spelled(name) for name in maps.names()} if maps is not None else set()
    for kind, name in _sources(values):
        if kind != _CONFIG_MAP or name not in here:
            yield f"{prefix}extraEnvFrom also takes the {_REFERENCES[kind]} {name}, which is not read here"


def _opaque(values: Branch, prefix: str) -> Iterator[str]:
    """What every component takes and a template may make anything of."""
    yield from opaque(f"{prefix}extraEnv", values.leaf("extraEnv"))
    sources, maps = [name for kind, name in _sources(values) if kind == _CONFIG_MAP], values.branch("extraConfigMaps")
    for name in maps.names() if maps is not None else ():
        content = maps.branch(name) if maps is not None else None
        if content is not None and _spelled(name) in sources:
            yield from opaque(f"{prefix}extraConfigMaps.{name}.data", content.leaf("data"))


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
