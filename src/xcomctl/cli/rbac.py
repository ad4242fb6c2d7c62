"""``xcomctl rbac``: the least Role that xcomctl needs in a cluster, and whether one has it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.deployment.rbac import Subject

NAME = "rbac"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="the least Role that xcomctl needs in a cluster",
        description="Prints the least Role, and for --user, --group or --serviceaccount its RoleBinding, as YAML for "
        "whoever may grant it: xcomctl rbac -n NS --group on-call | kubectl apply -f -. Asks no cluster, unless --check "
        "is given.",
        epilog="Exit codes: 0 ok; 2 usage; with --check 3 a right is missing, 5 the cluster does not say.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--change", action="store_true", help="for commands that change something, too (default: for reading)")  # fmt: skip
    what.add_argument("--logs", action="store_true", help="for `xcomctl logs` alone, in the namespace of Loki")
    parser.add_argument("-n", "--namespace", metavar="NS", help="the namespace of Airflow; with --logs that of Loki")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--user", metavar="NAME", help="who gets it")
    who.add_argument("--group", metavar="NAME", help="who gets it")
    who.add_argument("--serviceaccount", metavar="NS:NAME", help="what gets it")
    asked = parser.add_argument_group("with --check")
    asked.add_argument(
        "--check", action="store_true", help="print no Role: ask the cluster which of the rights you have"
    )
    asked.add_argument("--context", dest="kube_context", metavar="NAME", help="the kube context (default: kubectl's current one, which is named)")  # fmt: skip
    asked.add_argument("--kubeconfig", metavar="FILE", type=Path, help="as kubectl takes it")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    from xcomctl.deployment import rbac

    if args.check:
        return _check(args)
    if args.kube_context is not None or args.kubeconfig is not None:
        args.usage_error("--context and --kubeconfig go with --check: a Role is printed without a cluster")
    print(rbac.manifest(change=args.change, namespace=args.namespace, subject=_subject(args), logs=args.logs), end="")
    return Verdict.OK.exit_code


def _check(args: argparse.Namespace) -> int:
    from xcomctl.deployment import rbac
    from xcomctl.deployment.kubectl import Kubectl

    if args.namespace is None:
        args.usage_error("--check is about a namespace: -n NS")
    kubectl = Kubectl(args.namespace, args.kube_context, args.kubeconfig)
    if args.kube_context is None and (current := kubectl.current_context()):
        print(f"xcomctl: namespace {args.namespace} in the kube context {current}", file=sys.stderr)
    missing = False
    for rule in rbac.logs_rules() if args.logs else rbac.rules(change=args.change):
        for verb, resource in rule.rights:
            has = kubectl.may(verb, resource)
            missing |= not has
            print(f"{'OK  ' if has else 'FAIL'}  {verb} {resource}: {rule.why}")
    return (Verdict.FAILED if missing else Verdict.OK).exit_code


def _subject(args: argparse.Namespace) -> Subject | None:
    from xcomctl.deployment.rbac import Subject

    if args.serviceaccount is not None:
        namespace, _, name = args.serviceaccount.partition(":")
        if not namespace or not name:
            args.usage_error(f"--serviceaccount {args.serviceaccount!r} is not of the form NS:NAME")
        return Subject("ServiceAccount", name, namespace)
    for kind in ("user", "group"):
        if getattr(args, kind) is not None:
            return Subject(kind.capitalize(), getattr(args, kind))
    return None
