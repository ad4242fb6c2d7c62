"""Where Loki is and who we are to it, from the options, the environment and the deployment.

The variables are logcli's. A login belongs to what named the address: a password that the environment holds for one Loki
is never sent to the one that a deployment names, nor to one that was merely found.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from xcomctl.deployment import loki_services
from xcomctl.deployment.kubectl import PROGRAM, Kubectl, KubectlError
from xcomctl.deployment.loki_entry import LokiEntry
from xcomctl.deployment.port_forward import PortForward
from xcomctl.errors import UserError
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.clients.loki import Address, Login

#: Told what is found and what goes on.
Say = Callable[[str], None]

ADDRESS_VARIABLE = "LOKI_ADDR"
_TENANT, _USERNAME, _PASSWORD = "LOKI_ORG_ID", "LOKI_USERNAME", "LOKI_PASSWORD"
_TOKEN, _TOKEN_FILE = "LOKI_BEARER_TOKEN", "LOKI_BEARER_TOKEN_FILE"
_CA_FILE = "LOKI_CA_CERT_PATH"


@dataclass(frozen=True)
class Options:
    """What the command line says; ``None`` where it says nothing. ``service`` is ``[NAMESPACE/]NAME[:PORT]``."""

    url: str | None = None
    service: str | None = None
    tenant: str | None = None
    username: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True)
class Where:
    """An address, or a Service to forward a port to. ``told`` says what named it. Without either, look for one."""

    told: str
    url: str | None = None
    service: str | None = None
    entry: LokiEntry | None = None


def where(options: Options, entry: LokiEntry | None, environment: Mapping[str, str] = os.environ) -> Where:
    """What names Loki: the option, ``LOKI_ADDR``, the deployment; else nothing does."""
    if options.url is not None:
        return Where("--url", url=options.url)
    if options.service is not None:
        return Where("--service", service=options.service)
    if environment.get(ADDRESS_VARIABLE):
        return Where(ADDRESS_VARIABLE, url=environment[ADDRESS_VARIABLE])
    if entry is not None:
        named = entry.service
        if named is not None and entry.namespace is not None and "/" not in named:
            named = f"{entry.namespace}/{named}"
        return Where("the deployment", url=entry.url, service=named, entry=entry)
    return Where("")


@contextmanager
def address(place: Where, kubectl: Kubectl | None, say: Say) -> Iterator[Address]:
    """The way to Loki for as long as the block lasts. ``kubectl`` leads to the cluster in which one is looked for.

    Raises :class:`~xcomctl.errors.UserError`: no such address, no Loki in reach, several of them.
    """
    if place.url is not None:
        url, _ = without_login(place.url)
        say(f"Loki at {url}" + (f" ({place.told})" if place.told != "--url" else ""))
        from xcomctl.clients.loki import FixedAddress

        yield FixedAddress(url)
        return
    if shutil.which(PROGRAM) is None:
        raise UserError(
            f"there is no {PROGRAM} on this machine to reach a Loki with, and no address of one",
            f"--url URL, or {ADDRESS_VARIABLE}; in xcomctl.toml: [deployments.NAME.loki] with url",
        )
    with ExitStack() as stack:
        try:
            kubectl = kubectl or in_its_namespace()
            if kubectl.context is None and (current := kubectl.current_context()):
                say(f"in the kube context {current}")
            forward = stack.enter_context(_forward(place, kubectl, say))
        except KubectlError as error:
            if "--url" not in error.hint:
                error.hint = f"{error.hint}; or give Loki's own address: --url".removeprefix("; ")
            raise
        yield forward


def login(
    place: Where, options: Options, environment: Mapping[str, str] = os.environ, say: Say = lambda text: None
) -> Login:
    """Who we are to it; ``say`` is told which login is there and is not sent.

    Raises :class:`~xcomctl.errors.UserError` for a file that cannot be read, or two logins at once.
    """
    from xcomctl.clients.loki import Login

    entry = place.entry
    tenant, ca_file = (entry.tenant, entry.ca_file) if entry is not None else (
        environment.get(_TENANT) or None, _path(environment.get(_CA_FILE))
    )  # fmt: skip
    found = Login(tenant=options.tenant or tenant, ca_file=options.ca_file or ca_file)
    wanted = _PASSWORD
    if options.username is not None or options.token_file is not None:
        # Who says who he is has the password for it in the variable, or in the one that the deployment names.
        token = None if options.token_file is None else _read(options.token_file, "the bearer token")
        wanted = (entry.password_env if entry is not None else None) or _PASSWORD
        password = environment.get(wanted) or None if options.username is not None else None
        found = replace(found, username=options.username, password=password, token=token)
    elif entry is not None:
        password, token = _named(entry.password_env, environment), _named(entry.token_env, environment)
        wanted = entry.password_env or _PASSWORD
        found = replace(found, username=entry.username, password=password, token=token)
    elif _is_meant_for(place, environment):
        token = environment.get(_TOKEN) or None
        if token is None and (token_file := _path(environment.get(_TOKEN_FILE))) is not None:
            token = _read(token_file, "the bearer token")
        username, password = environment.get(_USERNAME) or None, environment.get(_PASSWORD) or None
        found = replace(found, username=username, password=password, token=token)
    elif kept := [each for each in (_PASSWORD, _TOKEN, _TOKEN_FILE) if environment.get(each)]:
        say(_not_sent(kept, place))
    within = without_login(place.url)[1] if place.url is not None else None
    if within is not None:
        found = replace(found, username=within[0], password=within[1])
    if found.ca_file is not None and not found.ca_file.is_file():
        raise UserError(f"there is no CA file {found.ca_file}", f"--ca-cert FILE, or {_CA_FILE}")
    if found.username and found.token:
        raise UserError("there are two logins for Loki, a user and a bearer token", "leave one of them out")
    if found.username and not found.password:
        if within is not None:  # a token may stand where a user does
            raise UserError(
                "there is a user in the address of Loki and no password",
                f"leave it out; --username NAME and export {_PASSWORD}, or a token: --bearer-token-file FILE",
            )
        raise UserError(f"there is no password for Loki's user {found.username}", f"export {wanted}")
    return found


def _is_meant_for(place: Where, environment: Mapping[str, str]) -> bool:
    """Whether the environment's login is for this Loki: ``LOKI_ADDR`` names it, or nothing does but an option."""
    address = environment.get(ADDRESS_VARIABLE)
    if place.url is None and place.service is None:
        return False
    if not address or place.told == ADDRESS_VARIABLE:
        return True
    try:
        return place.url is not None and without_login(place.url)[0] == without_login(address)[0]
    except UserError:
        return False


def _not_sent(kept: list[str], place: Where) -> str:
    held = f"{' and '.join(kept)} {'is' if len(kept) == 1 else 'are'}"
    if place.told:
        return f"{held} for {ADDRESS_VARIABLE}, and not sent to {place.told}: --username or --bearer-token-file says who you are there"  # fmt: skip
    return f"{held} not sent to a Loki that nobody named: --service NAMESPACE/NAME, --username or --bearer-token-file"


def _forward(place: Where, kubectl: Kubectl, say: Say) -> PortForward:
    if place.service is not None:
        namespace, name, port = loki_services.parse_name(place.service)
        service = loki_services.named(replace(kubectl, namespace=namespace or kubectl.namespace), name, port)
        say(f"Loki is service/{service.name} in {service.namespace} ({place.told})")
    else:
        only = place.entry.namespace if place.entry is not None else None
        looked_in = replace(kubectl, namespace=only or kubectl.namespace)
        service = loki_services.find(looked_in, say, everywhere=only is None)
    return service.forward(kubectl, say)


def in_its_namespace(context: str | None = None, kubeconfig: Path | None = None) -> Kubectl:
    """That kube context, kubectl's current one without, in the namespace that it names."""
    anywhere = Kubectl("default", context, kubeconfig)
    try:
        named = anywhere.run("config", "view", "--minify", "-o", "jsonpath={..namespace}").strip()
    except KubectlError:  # no such context, as in a pod: what is asked next says so
        named = ""
    return replace(anywhere, namespace=named or anywhere.namespace)


def without_login(text: str) -> tuple[str, tuple[str, str] | None]:
    """An address without the user in it and without a slash at its end, and that user with his password.

    Raises :class:`~xcomctl.errors.UserError`, which shows none of what may be his.
    """
    try:
        parts = urlsplit(text.strip())
        parts.port  # noqa: B018 — raises for one that is no number
    except ValueError:
        parts = urlsplit("")
    # An @ behind the host is a password with a slash in it, and what is taken for the host is a user.
    strange = parts.query or parts.fragment or "@" in parts.path
    if parts.scheme not in ("http", "https") or not parts.hostname or strange:
        shown = re.sub(r"(?s)^(\s*[A-Za-z][A-Za-z0-9+.-]*://)?.*(?:@|%40)", r"\1", text)
        hint = "such as http://localhost:3100, without /loki/api"
        if shown != text:
            hint += "; in a user and his password write %2F for a slash, %40 for @; or --username NAME"
        raise UserError(f"{shown!r} is no address of a Loki", hint, Verdict.REFUSED)
    user = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    host = parts.netloc.rpartition("@")[2]
    path = re.sub(r"/+(?:loki/api(?:/v1)?/*)?$", "", parts.path + "/")
    return urlunsplit((parts.scheme, host, path, "", "")), user


def _named(variable: str | None, environment: Mapping[str, str]) -> str | None:
    if variable is None:
        return None
    if not environment.get(variable):
        raise UserError(f"the deployment's login for Loki is in {variable}, which is not set", f"export {variable}")
    return environment[variable]


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _read(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"cannot read {what} from {file}: {why}") from error
