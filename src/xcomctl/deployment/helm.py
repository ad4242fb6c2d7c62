"""The person's own ``helm``, led to one namespace: which revisions a release has had, and back to one of them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime

from xcomctl.deployment.agent_errors import AgentError
from xcomctl.deployment.kubectl import Forbidden, Kubectl, explained
from xcomctl.model.redaction import redact

PROGRAM = "helm"
#: Seconds for one answer, and for a rollback, which runs the chart's hooks of one.
_TIMEOUT_S = 60
_ROLLBACK_TIMEOUT_S = 600
#: What a revision is called that was in effect, or is: only what once worked is gone back to.
_STOOD = ("deployed", "superseded")


class HelmError(AgentError):
    """helm could not do what it was asked for."""


class NoRelease(HelmError):
    """There is no release of this name in the namespace."""


@dataclass(frozen=True)
class Revision:
    """One line of ``helm history``. ``updated`` is as helm writes it, ``chart`` its name and version."""

    number: int
    status: str
    chart: str
    updated: str = ""
    description: str = ""

    @property
    def stood(self) -> bool:
        """Whether it was in effect once, or is."""
        return self.status in _STOOD

    @property
    def deployed(self) -> bool:
        """Whether it is in effect, as far as Helm knows."""
        return self.status == "deployed"

    @property
    def is_over(self) -> bool:
        """Whether the operation that made it came to an end."""
        return not self.status.startswith("pending")

    @property
    def is_rollback(self) -> bool:
        """Whether it was made by a rollback: then no hook of an upgrade ran."""
        return self.description.startswith("Rollback to ")

    def age_s(self) -> float | None:
        """Seconds since it was made, ``None`` where Helm does not say when."""
        try:  # Go writes nanoseconds, and Python reads six digits of them
            at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", self.updated))
        except ValueError:
            return None
        return (datetime.now(UTC) - at).total_seconds() if at.tzinfo is not None else None


@dataclass(frozen=True)
class Helm:
    """``helm`` for the cluster and the namespace that ``kubectl`` is led to."""

    kubectl: Kubectl

    def argv(self, *words: str) -> list[str]:
        """The command line for these words."""
        kubectl = self.kubectl
        led = ["--kubeconfig", str(kubectl.kubeconfig)] if kubectl.kubeconfig is not None else []
        led += ["--kube-context", kubectl.context] if kubectl.context is not None else []
        return [PROGRAM, *words, "-n", kubectl.namespace, *led]

    def history(self, release: str) -> tuple[Revision, ...]:
        """The revisions that Helm remembers (10 by its default), the oldest first. Raises :class:`HelmError`."""
        said = self._run("history", release, "-o", "json")
        try:
            return tuple(
                Revision(
                    int(each["revision"]),
                    str(each["status"]),
                    str(each.get("chart", "")),
                    str(each.get("updated", "")),
                    str(each.get("description", "")),
                )
                for each in sorted(json.loads(said), key=lambda each: int(each["revision"]))
            )
        except (ValueError, KeyError, TypeError):
            raise HelmError(f"helm history {release} gave no history") from None

    def values(self, release: str, revision: int, *, whole: bool = False) -> bytes:
        """The values of a revision as YAML: those that were given, or the ``whole`` with the chart's own.

        Raises :class:`HelmError`.
        """
        words = ("get", "values", release, "--revision", str(revision), "-o", "yaml")
        return self._run(*words, *(("--all",) if whole else ())).encode()

    def rollback_words(self, release: str, revision: int) -> tuple[str, ...]:
        """What a rollback is called with."""
        return ("rollback", release, str(revision))

    def rollback(self, release: str, revision: int) -> None:
        """Back to a revision, as a new one. Raises :class:`HelmError`.

        Ctrl-C waits for it: broken off midway it would leave the release pending, and no deploy gets past that. Helm's own
        time-out ends it in an orderly way.
        """
        words = (*self.rollback_words(release, revision), "--timeout", f"{_ROLLBACK_TIMEOUT_S}s")
        command = self.argv(*words)
        try:
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", start_new_session=True) as process:  # fmt: skip
                try:
                    _, stderr = process.communicate()
                except KeyboardInterrupt:
                    process.communicate()
                    raise
        except OSError as error:
            raise _missing(error) from error
        if process.returncode:
            raise self._failure(words, stderr)

    def _run(self, *words: str) -> str:
        command = self.argv(*words)
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, encoding="utf-8", errors="replace", check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise HelmError(f"helm {words[0]} gave no answer within {_TIMEOUT_S:g} s", shlex.join(command)) from None
        except OSError as error:
            raise _missing(error) from error
        if done.returncode:
            raise self._failure(words, done.stderr)
        return done.stdout

    def _failure(self, words: tuple[str, ...], stderr: str) -> AgentError:
        lines = [line.removeprefix("Error: ").strip() for line in stderr.splitlines() if line.strip()]
        last = redact(lines[-1]) if lines else "it did not say why"
        if "release: not found" in last:
            return NoRelease(
                f"Helm knows no release {words[1] if words[0] != 'get' else words[2]!r} in the namespace {self.kubectl.namespace}",
                f"{shlex.join(self.argv('list', '--all'))}; it is named by --release",
            )
        # What the API server says is the same for both programs.
        said = explained([f"error: {last}"], self.kubectl)
        if isinstance(said, Forbidden):
            return HelmError(said.message, "helm keeps releases in Secrets: call it as somebody who may deploy")
        return HelmError(f"helm {words[0]} failed: {last}", shlex.join(self.argv(*words)))


def _missing(error: OSError) -> HelmError:
    return HelmError(f"there is no {PROGRAM} to run on this machine: {os.strerror(error.errno or 0)}", "install helm, or edit the values and deploy: --carrier FILE")  # fmt: skip
