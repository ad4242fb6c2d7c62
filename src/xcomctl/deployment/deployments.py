"""``xcomctl.toml``: named deployments, so that a command says ``-D NAME`` instead of the ways into each context.

Everything in the file is optional, and there are no secrets in it: a login names the environment variables that hold
them. A name that the file does not know is refused, since a misspelt one would silently mean nothing.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.kubectl import Kubectl
from xcomctl.deployment.loki_entry import LokiEntry
from xcomctl.deployment.loki_entry import read as read_loki
from xcomctl.deployment.pods import COMPONENTS
from xcomctl.deployment.reach.command import CommandReach
from xcomctl.deployment.reach.interface import Reach
from xcomctl.deployment.reach.kubernetes import Wanted
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.errors import UserError
from xcomctl.journal.open import is_url

FILE = "xcomctl.toml"
#: Names the deployment when ``-D`` does not, and the file when ``--config`` does not.
NAME_VARIABLE = "XCOMCTL_DEPLOYMENT"
FILE_VARIABLE = "XCOMCTL_CONFIG"
#: What may stand beside ``namespace``.
_OF_PODS = ("context", "kubeconfig", "components", "container", "release", "python", "all_pods")


class DeploymentError(UserError):
    """``xcomctl.toml`` cannot be used; the message names the file and the key."""


@dataclass(frozen=True)
class ContextEntry:
    """One place where this deployment's Airflow resolves its configuration.

    ``via`` is a command prefix, ``None`` for this machine. ``python`` is the interpreter with Airflow over there.
    """

    name: str
    via: str | None
    python: str | None

    def reach(self) -> Reach:
        """The way into it. Raises ``ValueError`` for a prefix that is no command line."""
        if self.via is not None:
            return CommandReach.parse(self.via, python=self.python or "python", label=self.name)
        if self.python is None:
            raise ValueError("it has neither `via` nor `python`")
        return LocalReach(Path(self.python).expanduser(), label=self.name)


@dataclass(frozen=True)
class ApiEntry:
    """Where the REST API is. ``username``, and the names of the variables that hold the password or a token."""

    url: str
    username: str | None = None
    password_env: str | None = None
    token_env: str | None = None


@dataclass(frozen=True)
class SettingsEntry:
    """What is planned: base path, threshold in bytes, compression; ``None`` where the file says nothing."""

    path: str | None = None
    threshold: int | None = None
    compression: str | None = None


@dataclass(frozen=True)
class Deployment:
    """One deployment of ``xcomctl.toml``. ``journal`` is the file or the URL that its journal is kept in, ``carrier`` the
    file that carries its settings, or several values files, the one that wins last; ``pods`` what is wanted of a cluster
    beside ``contexts``."""

    name: str
    file: Path
    contexts: tuple[ContextEntry, ...] = ()
    settings: SettingsEntry = SettingsEntry()
    api: ApiEntry | None = None
    journal: Path | str | None = None
    carrier: CarrierFiles | None = None
    pods: Wanted | None = None
    loki: LokiEntry | None = None

    def without_contexts(self) -> tuple[str, str]:
        """Message and hint for a command that needs a context where this deployment has none."""
        return (
            f"the deployment {self.name!r} in {self.file} has no contexts",
            f"[[deployments.{self.name}.contexts]] with name and via; or namespace and context, for pods",
        )

    def reaches(self) -> list[Reach]:
        """The way into every one of ``contexts``. Raises :class:`DeploymentError`."""
        found = []
        for entry in self.contexts:
            try:
                found.append(entry.reach())
            except ValueError as error:
                raise DeploymentError(f"{self.file}: the context {entry.name!r} of {self.name!r}: {error}") from error
        return found


def find_file(given: Path | None = None, start: Path | None = None) -> Path | None:
    """The file: the one given, else ``$XCOMCTL_CONFIG``, else the nearest ``xcomctl.toml`` from here upwards."""
    if given is not None:
        return given
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named)
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder / FILE
    return None


def load(name: str, file: Path | None = None) -> Deployment:
    """The deployment of that name. Raises :class:`DeploymentError`."""
    path = find_file(file)
    if path is None:
        raise DeploymentError(
            f"there is no {FILE} here or above, so no deployment {name!r}", "write one, or name it: --config FILE"
        )
    everything = _read(path)
    tables = everything.table("deployments")
    if name not in tables.content:
        known = ", ".join(sorted(tables.content)) or "none"
        raise DeploymentError(f"{path} has no deployment {name!r}; it has {known}", f"[deployments.{name}]")
    return _deployment(name, path, tables.table(name))


def names(file: Path | None = None) -> list[str]:
    """The deployments that there are, for completion; none when the file cannot be read."""
    path = find_file(file)
    try:
        return sorted(_read(path).table("deployments").content) if path is not None else []
    except DeploymentError:
        return []


def _deployment(name: str, path: Path, table: _Table) -> Deployment:
    table.knows("contexts", "settings", "api", "loki", "journal", "carrier", "namespace", *_OF_PODS)
    contexts = []
    for position, entry in enumerate(table.tables("contexts"), 1):
        entry.knows("name", "via", "python")
        via, python = entry.text("via"), entry.text("python")
        contexts.append(ContextEntry(entry.text("name") or via or f"context {position}", via, python))
    doubled = {entry.name for entry in contexts if sum(other.name == entry.name for other in contexts) > 1}
    if doubled:
        raise DeploymentError(f"{path}: two contexts of {name!r} are called {min(doubled)!r}", "name them apart")
    settings = table.table("settings")
    settings.knows("path", "threshold", "compression")
    api = None
    if "api" in table.content:
        entry = table.table("api")
        entry.knows("url", "username", "password_env", "token_env")
        url = entry.text("url")
        if url is None:
            raise DeploymentError(f"{path}: [deployments.{name}.api] has no url")
        api = ApiEntry(url, entry.text("username"), entry.text("password_env"), entry.text("token_env"))
    journal, carrier = table.text("journal"), table.texts("carrier")
    return Deployment(
        name=name,
        file=path,
        contexts=tuple(contexts),
        settings=SettingsEntry(settings.text("path"), settings.number("threshold"), settings.text("compression")),
        api=api,
        # A file lies beside the one that names it, wherever the command is typed.
        journal=journal if journal is None or is_url(journal) else path.parent / Path(journal).expanduser(),
        carrier=CarrierFiles(tuple(path.parent / Path(each).expanduser() for each in carrier)) if carrier else None,
        pods=_pods(name, path, table),
        loki=_loki(name, path, table),
    )


def _loki(name: str, path: Path, table: _Table) -> LokiEntry | None:
    """Its kube context is the deployment's, so it takes a url or a namespace of Airflow's."""
    if "loki" not in table.content:
        return None
    try:
        found = read_loki(table.table("loki"), path.parent)
    except ValueError as error:
        raise DeploymentError(f"{path}: [deployments.{name}.loki]: {error}") from error
    if found.url is None and "namespace" not in table.content:
        raise DeploymentError(
            f"{path}: [deployments.{name}.loki] has no url, and {name!r} names no cluster to look for one",
            'url = "https://…"; or namespace and context of the deployment',
        )
    return found


def _pods(name: str, path: Path, table: _Table) -> Wanted | None:
    """What is said of pods. A name like ``staging`` must not mean whichever cluster kubectl is at: the context is pinned."""
    namespace = table.text("namespace")
    if namespace is None:
        for key in _OF_PODS:
            if key in table.content:
                raise DeploymentError(
                    f"{path}: {key} of {name!r} is about pods, and there is no namespace", 'namespace = "…"'
                )
        return None
    context, kubeconfig = table.text("context"), table.text("kubeconfig")
    if context is None:
        raise DeploymentError(
            f"{path}: {name!r} has a namespace and no context, so it would be in whichever cluster kubectl is at",
            'context = "…": kubectl config get-contexts lists them',
        )
    wanted = table.texts("components")
    for component in wanted:
        if component not in COMPONENTS:
            raise DeploymentError(
                f"{path}: {component!r} is no component of Airflow", f"known are {', '.join(COMPONENTS)}"
            )
    return Wanted(
        Kubectl(namespace, context, None if kubeconfig is None else path.parent / Path(kubeconfig).expanduser()),
        components=wanted,
        release=table.text("release"),
        container=table.text("container"),
        python=table.text("python") or "python",
        every_pod=table.flag("all_pods"),
    )


@dataclass(frozen=True)
class _Table:
    """A table of the file, with its place for messages."""

    file: Path
    place: str
    content: Mapping[str, Any]

    def knows(self, *keys: str) -> None:
        for key in self.content:
            if key not in keys:
                close = difflib.get_close_matches(key, keys, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(keys)}"
                raise DeploymentError(f"{self.file}: [{self.place}] has a key {key!r} that means nothing", hint)

    def table(self, key: str) -> _Table:
        return self._checked(key, self.content.get(key, {}), f"{self.place}.{key}" if self.place else key)

    def tables(self, key: str) -> list[_Table]:
        found = self.content.get(key, [])
        if not isinstance(found, list):
            raise DeploymentError(f"{self.file}: {self.place}.{key} must be an array: [[{self.place}.{key}]]")
        return [self._checked(key, entry, f"{self.place}.{key}") for entry in found]

    def text(self, key: str) -> str | None:
        value = self.content.get(key)
        if value is None or isinstance(value, str):
            return value
        raise DeploymentError(f"{self.file}: {self.place}.{key} must be a string")

    def texts(self, key: str) -> tuple[str, ...]:
        """One string, or an array of them."""
        value = self.content.get(key, [])
        found = [value] if isinstance(value, str) else value
        if isinstance(found, list) and all(isinstance(each, str) for each in found):
            return tuple(found)
        raise DeploymentError(f"{self.file}: {self.place}.{key} must be a string, or an array of strings")

    def number(self, key: str) -> int | None:
        value = self.content.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise DeploymentError(f"{self.file}: {self.place}.{key} must be a whole number")

    def flag(self, key: str) -> bool:
        value = self.content.get(key, False)
        if isinstance(value, bool):
            return value
        raise DeploymentError(f"{self.file}: {self.place}.{key} must be true or false")

    def _checked(self, key: str, value: Any, place: str) -> _Table:
        if not isinstance(value, Mapping):
            raise DeploymentError(f"{self.file}: {place} must be a table: [{place}]")
        return _Table(self.file, place, value)


def _read(path: Path) -> _Table:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeploymentError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeploymentError(f"{path} is no TOML: {error}") from error
    table = _Table(path, "", content)
    table.knows("deployments")
    return table
