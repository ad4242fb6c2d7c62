"""The options of ``xcomctl logs``, logcli's own names where they mean the same; and what they come to."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from xcomctl.cli import contexts

if TYPE_CHECKING:
    from xcomctl.assess.log_query import Window
    from xcomctl.assess.loki_login import Options
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.deployment.kubectl import Kubectl

_T = TypeVar("_T")

#: As in :data:`xcomctl.assess.log_presets.PRESETS`, which is not imported for a help text.
PRESETS = ("xcom-errors", "path-handed-over", "store-errors")
#: As in :data:`xcomctl.assess.log_query.STREAMS`.
_STREAMS = ("stdout", "stderr", "all")
_HOUR_NS = 3600 * 10**9
_DAY_NS = 24 * _HOUR_NS


class _NotHere(argparse.Action):
    """An option of logcli's that would show a secret to everybody on the machine, or trust anybody."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        parser.error(f"{option} is not taken here: {self.const}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all of them."""
    what = parser.add_argument_group("what")
    what.add_argument("positional", nargs="?", metavar="QUERY", help="a LogQL query, such as '{namespace=\"airflow\"} |= \"error\"'")  # fmt: skip
    what.add_argument("--query", metavar="QUERY", help="the same as an option")
    what.add_argument("--preset", choices=PRESETS, metavar="NAME", help="a ready-made query instead, about the namespace of -n, or the namespace or selector of -D: " + ", ".join(PRESETS))  # fmt: skip
    what.add_argument("--list-presets", action="store_true", help="show the ready-made queries")
    what.add_argument("--labels", nargs="?", const="", metavar="LABEL", help="no lines: which labels there are, or the values of this one; with a query, of its streams")  # fmt: skip
    what.add_argument("--stream", choices=_STREAMS, default="stdout", help="which stream of the containers, by the label `stream`; what has no such label counts as stdout (default: stdout)")  # fmt: skip
    what.add_argument("--expect-none", action="store_true", help="a gate: fail if any line is found, and prove first that there could be one")  # fmt: skip
    when = parser.add_argument_group("when")
    when.add_argument("--since", metavar="DURATION", type=_duration, help="so long before the end: 15m, 1h30m, 7d (default: 1h)")  # fmt: skip
    when.add_argument("--from", dest="start", metavar="TIME", type=_instant, help="from this time on: RFC 3339, or seconds since the epoch")  # fmt: skip
    when.add_argument("--to", dest="end", metavar="TIME", type=_instant, help="before this time (default: now)")
    when.add_argument("-f", "--follow", "-t", "--tail", action="store_true", help="and then what comes, until Ctrl-C (default: from now on)")  # fmt: skip
    when.add_argument("--limit", metavar="N", type=_limit, help="the first N lines (default, and 0: all)")
    order = when.add_mutually_exclusive_group()
    order.add_argument("--forward", action="store_true", help="oldest first (default)")
    order.add_argument("--backward", action="store_true", help="newest first")
    place = parser.add_argument_group("where Loki is (default: the Service labelled app.kubernetes.io/name=loki)")
    place.add_argument("--url", "--addr", metavar="URL", help="its address (or LOKI_ADDR)")
    place.add_argument("--service", metavar="[NS/]NAME[:PORT]", type=_service, help="the Service to forward a port to")
    contexts.add_deployment_options(place, "a deployment of xcomctl.toml: its Loki, its namespace, its base path")
    place.add_argument("-n", "--namespace", metavar="NS", help="the namespace of Airflow: what --preset is about, and where Loki is looked for if not everywhere")  # fmt: skip
    place.add_argument("--context", dest="kube_context", metavar="NAME", help="the kube context (default: kubectl's current one)")  # fmt: skip
    place.add_argument("--kubeconfig", metavar="FILE", type=Path, help="as kubectl takes it")
    login = parser.add_argument_group(
        "login of Loki (its password is in LOKI_PASSWORD, or a token in LOKI_BEARER_TOKEN; sent to LOKI_ADDR, or to what an "
        "option names)"
    )
    login.add_argument("--org-id", metavar="TENANT", help="the tenant (or LOKI_ORG_ID)")
    login.add_argument("--username", metavar="NAME", help="the user (or LOKI_USERNAME)")
    login.add_argument("--bearer-token-file", metavar="FILE", type=Path, help="a file with a token (or LOKI_BEARER_TOKEN_FILE)")  # fmt: skip
    login.add_argument("--ca-cert", metavar="FILE", type=Path, help="the CA of its certificate (or LOKI_CA_CERT_PATH)")
    for option, why in (
        ("--password", "others on the machine could read it; export LOKI_PASSWORD"),
        ("--bearer-token", "others on the machine could read it; export LOKI_BEARER_TOKEN, or --bearer-token-file"),
    ):
        login.add_argument(option, action=_NotHere, const=why, help=argparse.SUPPRESS)
    login.add_argument("--tls-skip-verify", action=_NotHere, nargs=0, const="give the CA: --ca-cert FILE", help=argparse.SUPPRESS)  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", choices=("text", "jsonl", "raw", "json", "default"), default="text", help="text (logcli's default), the lines alone (raw), a record a line (jsonl), or one object with the verdict (json)")  # fmt: skip
    output.add_argument("--no-labels", action="store_true", help="text without labels")
    output.add_argument("--include-label", metavar="LABEL", action="append", default=[], help="text with this label instead of those that tell (repeatable)")  # fmt: skip
    output.add_argument("--exclude-label", metavar="LABEL", action="append", default=[], help="text without this label (repeatable)")  # fmt: skip
    output.add_argument("-q", "--quiet", action="store_true", help="say nothing on standard error but what goes wrong")


def check(args: argparse.Namespace) -> None:
    """Leave for a usage error where options do not go together; ``query`` and ``output`` are what is meant, afterwards."""
    args.output = "text" if args.output == "default" else args.output
    if args.query is not None and args.positional is not None:
        args.usage_error("the query is there twice: leave out --query")
    args.query = args.query if args.query is not None else args.positional
    if args.query is not None and args.preset is not None:
        args.usage_error("--preset is a query: leave out one of the two")
    if args.list_presets:
        return
    if args.query is None and args.preset is None and args.labels is None:
        args.usage_error("which lines? give a QUERY or --preset NAME (--list-presets shows them), or --labels")
    if args.namespace and args.deployment:
        args.usage_error("-n names a namespace: leave out -D, or -n")
    if args.deployment and (args.kube_context or args.kubeconfig):
        args.usage_error("--context and --kubeconfig go without -D: a deployment says them in its file")
    if args.url is not None and args.service is not None:
        args.usage_error("--url or --service: one of them")
    if args.since is not None and args.start is not None:
        args.usage_error("--since counts back from the end: leave it out, or --from")
    args.limit = args.limit or None
    for option in ("expect_none", "end", "backward"):
        if args.follow and getattr(args, option):
            name = {"end": "--to"}.get(option, f"--{option.replace('_', '-')}")
            args.usage_error(f"--follow comes to no end: leave it out, or {name}")
    if args.follow and args.output == "json":
        args.usage_error("--follow comes to no end, and JSON needs one: -o jsonl")
    if args.labels is not None and (args.follow or args.expect_none or args.output == "raw"):
        args.usage_error("--labels gives no lines: leave out --follow, --expect-none and -o raw")


def labels_command(args: argparse.Namespace, window: Window) -> str:
    """The command that shows which labels the same Loki has in that time, to be printed: without secrets."""
    from xcomctl.assess.loki_login import without_login
    from xcomctl.model.loki_query import moment

    given = {
        "-D": args.deployment, "--config": args.config, "-n": args.namespace, "--context": args.kube_context,
        "--kubeconfig": args.kubeconfig, "--service": args.service, "--org-id": args.org_id,
        "--url": without_login(args.url)[0] if args.url else None, "--username": args.username,
        "--bearer-token-file": args.bearer_token_file, "--ca-cert": args.ca_cert,
    }  # fmt: skip
    # The same time, or the day that ends now: in the last minutes a stream may just have said nothing.
    when: tuple[str, ...] = ("--since", "24h")
    if args.start is not None or args.end is not None or window.end_ns - window.start_ns > _DAY_NS:
        when = ("--from", moment(window.start_ns), "--to", moment(window.end_ns))
    words = [word for option, value in given.items() if value is not None for word in (option, str(value))]
    return shlex.join(["xcomctl", "logs", "--labels", *when, *words])


def selector_of(args: argparse.Namespace, chosen: Deployment | None) -> str | None:
    """The streams of an Airflow: of the namespace that is named, else what the deployment's Loki calls them, else of its
    namespace."""
    from xcomctl.assess.log_presets import quoted

    namespace = args.namespace
    if namespace is None and chosen is not None:
        if chosen.loki is not None and chosen.loki.selector is not None:
            return chosen.loki.selector
        namespace = chosen.pods.kubectl.namespace if chosen.pods is not None else None
    return None if namespace is None else f"{{namespace={quoted(namespace)}}}"


def window_of(args: argparse.Namespace) -> Window:
    """The time that is meant; leaves for a usage error where there is none."""
    from xcomctl.assess.log_query import window

    try:
        # What is followed begins now, unless something else is said.
        return window(args.since, args.start, args.end, 1 if args.follow else _HOUR_NS)
    except ValueError as error:
        args.usage_error(str(error))
        raise


def login_options(args: argparse.Namespace) -> Options:
    """What they say about where Loki is and who we are to it."""
    from xcomctl.assess.loki_login import Options

    return Options(args.url, args.service, args.org_id, args.username, args.bearer_token_file, args.ca_cert)


def deployment_of(args: argparse.Namespace) -> Deployment | None:
    """``-D``, or its variable unless a namespace is named."""
    from xcomctl.deployment.deployments import NAME_VARIABLE, load

    name = args.deployment or (None if args.namespace else os.environ.get(NAME_VARIABLE))
    return load(name, args.config) if name else None


def kubectl_of(args: argparse.Namespace, chosen: Deployment | None) -> Kubectl:
    """What leads to the cluster: in the deployment's namespace, the one that is named, or that of the kube context."""
    from xcomctl.assess.loki_login import in_its_namespace
    from xcomctl.deployment.kubectl import Kubectl

    if chosen is not None and chosen.pods is not None:
        return chosen.pods.kubectl
    if args.namespace:
        return Kubectl(args.namespace, args.kube_context, args.kubeconfig)
    return in_its_namespace(args.kube_context, args.kubeconfig)


def _duration(text: str) -> int:
    from xcomctl.assess.log_query import duration

    return _checked(duration, text)


def _instant(text: str) -> int:
    from xcomctl.assess.log_query import instant

    return _checked(instant, text)


def _service(text: str) -> str:
    from xcomctl.deployment.loki_services import parse_name

    _checked(parse_name, text)
    return text


def _limit(text: str) -> int:
    if text == "0":
        return 0
    return contexts.count(text, "lines")


def _checked(parse: Callable[[str], _T], text: str) -> _T:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
