"""Where docker compose takes settings from: the ``environment`` of each service that runs Airflow.

What several services share by an anchor (``x-airflow-common: &common``, ``<<: *common``) stands once and is edited there.
``environment`` wins over ``env_file``, a file of its own that is not read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from xcomctl.deployment.carriers.places import Form, Home
from xcomctl.deployment.carriers.survey import First, Survey, texts
from xcomctl.deployment.carriers.yaml_layers import Branch, Document, Leaf
from xcomctl.deployment.carriers.yaml_nodes import MERGE, Mapping, Sequence
from xcomctl.deployment.carriers.yaml_values import Way

#: Images of what stands beside Airflow, and words in the names of what runs its image and hosts nothing that resolves XComs.
_BESIDE = ("postgres", "redis", "valkey", "mysql", "mariadb", "rabbitmq", "statsd", "nginx", "minio", "git-sync")
_ASIDE = frozenset({"init", "cli", "flower", "debug"})


def survey(root: Branch, last: Document) -> Survey:
    """The homes of its services."""
    services = root.branch("services")
    homes, needed, firsts, notes = [], [], [], []
    for name in services.names() if services is not None else ():
        service = services.branch(name) if services is not None else None
        if service is None or not _is_airflow(name, service):
            continue
        home = _environment(name, service, last)
        homes.append(home)
        if not set(re.split(r"[^a-z0-9]+", name.lower())) & _ASIDE:
            needed.append((name,))
            firsts.append(_first(home, service))
        if (files := service.get("env_file")) is not None:
            named = ", ".join(_files(files))
            notes.append(f"service {name} also reads {named}, which is a carrier of its own and is not read here")
    return Survey(root, tuple(homes), tuple(needed), tuple(firsts), tuple(notes))


def _is_airflow(name: str, service: Branch) -> bool:
    """By its variables, its image or its name; a database or a broker that is called after Airflow is none."""
    environment = service.get("environment")
    names = environment.names() if isinstance(environment, Branch) else texts(environment.value) if environment else []
    if any(each.startswith("AIRFLOW") for each in names):
        return True
    image = (service.scalar("image") or "").lower().rpartition("/")[2]
    return "airflow" in image or ("airflow" in name.lower() and not image.startswith(_BESIDE))


def _environment(name: str, service: Branch, last: Document) -> Home:
    found, where = service.get("environment"), f"services.{name}.environment"
    if isinstance(found, Branch):
        source, _, key = found.last
        return Home(where, Form.VARIABLES, Way.COMPOSE, name, 0, source, key, found)
    if isinstance(found, Leaf) and isinstance(found.value, Sequence):
        return Home(where, Form.ASSIGNMENTS, Way.COMPOSE, name, 0, found.document, found.key, found.value)
    key = found.key if isinstance(found, Leaf) else None
    return Home(where, Form.VARIABLES, Way.COMPOSE, name, 0, found.document if found else last, key, None)


def _first(home: Home, service: Branch) -> First:
    """The mapping that services share, if this one merges it, else its own."""
    own = home.value if isinstance(home.value, Branch) else service
    document, mapping, _ = own.last
    shared = next(_merged(mapping), None)
    if shared is not None and isinstance(home.value, Branch):
        key = home.key
        shared_value = Branch(((document, shared, None),))
        return First(
            Home(home.where, home.form, home.way, home.reaches, 0, document, key, shared_value), document, shared
        )
    return First(home, document, shared or mapping)


def _merged(mapping: Mapping) -> Iterator[Mapping]:
    """The mappings that are merged into one, the innermost first."""
    for key, value in mapping.entries:
        if key.text == MERGE:
            for each in value.items if isinstance(value, Sequence) else (value,):
                if isinstance(each, Mapping):
                    yield from _merged(each)
                    yield each


def _files(found: Branch | Leaf) -> list[str]:
    return [text for text in texts(found.value) if text] if isinstance(found, Leaf) else ["a file"]
