"""The person's own ``kubectl``, led to one namespace: every other module asks the cluster through here.

What goes wrong is one sentence: no kubectl, no cluster, no such context, not logged in, not allowed, no answer.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xcomctl.deployment import rbac
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.model.redaction import redact

PROGRAM = "kubectl"
#: Seconds that the API server may take for one answer, and kubectl with its credential plugin for all of it.
REQUEST_TIMEOUT_S = 20
_TIMEOUT_S = 60

#: ``pods is forbidden: User "ops" cannot list resource "pods" in API group "" in the namespace "prod"``
_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"(?: in API group "(?P<group>[^"]*)")?'
)
_NO_CONTEXT = re.compile(r'context "([^"]*)" does not exist|context was not found for specified context: (\S+)')
#: What kubectl ends with, among lines that its libraries log.
_LAST_WORD = re.compile(
    r"^(?:error:|Error from server|Error in configuration:|Unable to connect|The connection to the server)"
)
_LOGGED = re.compile(r"^[EWI]\d{4} ")


class KubectlError(AgentError):
    """kubectl could not do what it was asked for."""


class Forbidden(KubectlError):
    """RBAC forbids it. ``verb`` and ``resource`` are what is missing, such as ``create`` and ``pods/exec``."""

    def __init__(self, message: str, hint: str, verb: str, resource: str) -> None:
        super().__init__(message, hint)
        self.verb, self.resource = verb, resource


class NotThere(KubectlError):
    """What was asked for does not exist."""


@dataclass(frozen=True)
class Kubectl:
    """``kubectl -n NAMESPACE``. ``context`` and ``kubeconfig``: ``None`` for kubectl's own (its current context)."""

    namespace: str
    context: str | None = None
    kubeconfig: Path | None = None

    def argv(self, *words: str) -> list[str]:
        """The command line for these words."""
        led = ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig is not None else []
        led += ["--context", self.context] if self.context is not None else []
        return [PROGRAM, *led, "-n", self.namespace, *words]

    def shown(self, *words: str) -> str:
        """The same as a person types it."""
        return shlex.join(self.argv(*words))

    def get(self, *words: str) -> dict[str, Any]:
        """``kubectl get … -o json``. Raises :class:`KubectlError`."""
        said = self.run("get", *words, "-o", "json")
        try:
            found: dict[str, Any] = json.loads(said)
        except ValueError:
            raise KubectlError(f"kubectl get {' '.join(words)} gave no JSON") from None
        return found

    def run(self, *words: str, stdin: str = "", shielded: bool = False) -> str:
        """What kubectl prints. ``shielded``: Ctrl-C at the terminal does not reach it. Raises :class:`KubectlError`."""
        done = self._done(words, stdin, shielded)
        if done.returncode:
            raise explained(done.stderr.splitlines(), self) or KubectlError(f"kubectl {words[0]} failed: {_said(done)}")
        return done.stdout

    def may(self, verb: str, resource: str) -> bool:
        """``kubectl auth can-i``. Raises :class:`KubectlError` where the cluster does not say."""
        plural, _, subresource = resource.partition("/")  # to can-i, what follows a slash is a name
        done = self._done(("auth", "can-i", verb, plural, *([f"--subresource={subresource}"] if subresource else [])))
        answer = done.stdout.strip().partition(" ")[0]
        if answer not in ("yes", "no"):
            raise explained(done.stderr.splitlines(), self) or KubectlError(f"kubectl auth can-i failed: {_said(done)}")
        return answer == "yes"

    def require(self, *rights: tuple[str, str]) -> None:
        """Raise :class:`Forbidden` for the first of these verbs and resources that is not allowed."""
        for verb, resource in rights:
            if not self.may(verb, resource):
                raise forbidden("you", verb, resource, self)

    def current_context(self) -> str:
        """The kube context that this leads to; empty in a pod, which has none. Raises :class:`KubectlError`."""
        if self.context is not None:
            return self.context
        done = self._done(("config", "current-context"))
        return done.stdout.strip() if done.returncode == 0 else ""

    def _done(self, words: Sequence[str], stdin: str = "", shielded: bool = False) -> subprocess.CompletedProcess[str]:
        command = self.argv(*words[:1], *([] if words[0] == "config" else [f"--request-timeout={REQUEST_TIMEOUT_S}s"]), *words[1:])  # fmt: skip
        try:
            return subprocess.run(
                command, input=stdin, capture_output=True, timeout=_TIMEOUT_S, encoding="utf-8", errors="replace", check=False, start_new_session=shielded
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _no_answer(f"within {_TIMEOUT_S} s", self) from None
        except OSError as error:
            message, hint = missing()
            raise KubectlError(f"{message}: {os.strerror(error.errno or 0)}", hint) from error


def missing() -> tuple[str, str]:
    """Message and hint for a machine without kubectl."""
    return f"there is no {PROGRAM} to run on this machine", "install kubectl, or reach the pods another way: --via"


def explained(lines: Sequence[str], kubectl: Kubectl) -> KubectlError | None:
    """What kubectl says for itself, if it does: none of it comes from what it ran in a pod."""
    last = next((line for line in reversed(lines) if _LAST_WORD.match(line) and not _LOGGED.match(line)), None)
    if last is None:
        return None
    said = redact(last.removeprefix("error: ").strip())
    if found := _FORBIDDEN.search(last):
        resource = f"{found['resource']}.{found['group']}" if found["group"] else found["resource"]
        return forbidden(found["user"], found["verb"], resource, kubectl)
    if "Unauthorized" in last or "provide credentials" in last:
        return KubectlError(
            f"the cluster does not know who you are (401): {said}",
            "log in again as for kubectl (aws sso login, gcloud auth login, az login, …), then: "
            + kubectl.shown("get", "pods"),
        )
    if found := _NO_CONTEXT.search(last):
        return KubectlError(f"there is no kube context {found[1] or found[2]!r}", "kubectl config get-contexts")
    if "(NotFound)" in last:
        return NotThere(said.removeprefix("Error from server (NotFound): "), kubectl.shown("get", "pods"))
    if "localhost:8080" in last:
        return KubectlError(
            "kubectl knows of no cluster", "kubectl config get-contexts; or name one: --context, --kubeconfig"
        )
    if "Timeout" in last or "deadline exceeded" in last or "timed out" in last:
        return _no_answer(f"({said})", kubectl)
    if last.startswith(("Unable to connect", "The connection to the server")):
        return KubectlError(f"kubectl cannot reach the cluster: {said}", "kubectl cluster-info")
    return KubectlError(f"kubectl: {said}")


def forbidden(user: str, verb: str, resource: str, kubectl: Kubectl) -> Forbidden:
    """The refusal of RBAC, by the verb and the resource that are missing."""
    change = "" if rbac.is_read((verb, resource)) else " --change"
    return Forbidden(
        f"{user} may not {verb} {resource} in the namespace {kubectl.namespace} (403)",
        f"what is needed, for whoever may grant it: xcomctl rbac{change} -n {shlex.quote(kubectl.namespace)}",
        verb,
        resource,
    )


def _no_answer(how: str, kubectl: Kubectl) -> KubectlError:
    return KubectlError(f"the cluster gave kubectl no answer {how}", kubectl.shown("get", "pods"))


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines()
    return redact(lines[-1]) if lines else f"exit status {done.returncode}"
