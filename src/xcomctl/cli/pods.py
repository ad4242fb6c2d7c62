"""The options that say which pods of a cluster a command is about, the same for every command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.deployment.reach.interface import Reach
    from xcomctl.deployment.reach.kubernetes import Wanted

#: Options that go with ``-n``, by their names in the namespace of the arguments; a deployment says them in its file.
_WITH_NAMESPACE = {
    "container": "-c",
    "kube_context": "--context",
    "kubeconfig": "--kubeconfig",
    "release": "--release",
}
#: All of them, as if none was given.
NOTHING: dict[str, Any] = {"namespace": None, "component": [], "all_pods": False, **dict.fromkeys(_WITH_NAMESPACE)}
#: How long the tab key may wait for kubectl.
_COMPLETION_S = 2


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``-n`` and what goes with it."""
    from xcomctl.deployment.pods import COMPONENTS

    group: Any = parser.add_argument_group("pods, by your own kubectl")
    group.add_argument(
        "-n", "--namespace", metavar="NS",
        help="the pods of the Airflow in this namespace, one column per component, of the current kube context",
    )  # fmt: skip
    group.add_argument("--component", metavar="NAME", action="append", default=[], choices=COMPONENTS, help="only this component: " + ", ".join(COMPONENTS) + " (repeatable)")  # fmt: skip
    group.add_argument(
        "-c", "--container", metavar="NAME", help="the container with Airflow, where its name does not tell"
    )
    context = group.add_argument("--context", dest="kube_context", metavar="NAME", help="the kube context (default: kubectl's current one, which is named)")  # fmt: skip
    context.completer = _contexts
    group.add_argument("--kubeconfig", metavar="FILE", type=Path, help="as kubectl takes it")
    group.add_argument("--release", metavar="NAME", help="the Helm release, where the namespace has several of Airflow")
    group.add_argument("--all-pods", action="store_true", help="one column per pod (default: the newest pod of a component stands for it)")  # fmt: skip


def check(args: argparse.Namespace) -> None:
    """Leave for a usage error where options do not go together; ``-D`` and its variable count as a deployment."""
    beside = [option for option in ("via", "deployment") if getattr(args, option)]
    if args.namespace is not None and beside:
        args.usage_error("-n names the pods of a namespace: leave out --via and -D, or -n")
    for name, option in _WITH_NAMESPACE.items():
        if getattr(args, name) is not None and args.namespace is None:
            args.usage_error(f"{option} goes with -n; a deployment says it in its file")


def reaches(args: argparse.Namespace) -> list[Reach]:
    """The way into what ``-n`` and its options name. Raises :class:`~xcomctl.errors.UserError`."""
    named = wanted(args, None)
    assert named is not None  # there is a namespace
    if args.kube_context is None and (current := named.kubectl.current_context()):
        teller(args)(f"namespace {args.namespace} in the kube context {current}")
    return _found(named, args)


def of_deployment(args: argparse.Namespace, chosen: Deployment) -> list[Reach]:
    """The way into a deployment's pods: all of them, or the components that the command line names.

    Raises :class:`~xcomctl.errors.UserError`, and leaves for a usage error where it has none.
    """
    if chosen.pods is None:
        if args.component or args.all_pods:
            args.usage_error(
                f"--component and --all-pods are about pods, and the deployment {chosen.name!r} has no namespace"
            )
        return []
    named = replace(chosen.pods, every_pod=chosen.pods.every_pod or args.all_pods)
    return _found(replace(named, components=tuple(args.component)) if args.component else named, args)


def wanted(args: argparse.Namespace, chosen: Deployment | None) -> Wanted | None:
    """What is wanted of a cluster, ``None`` where no pods are named."""
    from xcomctl.deployment.kubectl import Kubectl
    from xcomctl.deployment.reach.kubernetes import Wanted

    if args.namespace is None:
        return chosen.pods if chosen is not None else None
    kubectl = Kubectl(args.namespace, args.kube_context, args.kubeconfig)
    return Wanted(kubectl, tuple(args.component), args.release, args.container, args.python or "python", args.all_pods)


def spelled(args: argparse.Namespace) -> list[str]:
    """The options that name the same pods again."""
    words = ["-n", args.namespace] if args.namespace is not None else []
    for component in args.component:
        words += ["--component", component]
    for name, option in _WITH_NAMESPACE.items():
        value = getattr(args, name)
        words += [option, str(value)] if value is not None else []
    return [*words, *(["--all-pods"] if args.all_pods else [])]


def _found(named: Wanted, args: argparse.Namespace) -> list[Reach]:
    from xcomctl.deployment.reach.kubernetes import find

    return list(find(named, teller(args)))


def teller(args: argparse.Namespace) -> Callable[[str], None]:
    """Says a line on standard error, each one once in the life of a command."""
    told: set[str] = args.__dict__.setdefault("_told", set())

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            print(f"xcomctl: {text}", file=sys.stderr)

    return tell


def _contexts(prefix: str, **_: Any) -> list[str]:
    import subprocess

    try:
        done = subprocess.run(
            ["kubectl", "config", "get-contexts", "-o", "name"], capture_output=True, text=True, timeout=_COMPLETION_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [name for name in done.stdout.split() if name.startswith(prefix)]
