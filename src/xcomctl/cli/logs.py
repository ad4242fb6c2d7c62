"""``xcomctl logs``: lines of logs out of Loki, none lost and none twice; and the gate that none is found."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from xcomctl.cli.logs_options import (
    add_options,
    check,
    deployment_of,
    kubectl_of,
    labels_command,
    login_options,
    selector_of,
    window_of,
)
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.assess.log_query import Asked, Window
    from xcomctl.assess.logs import Found
    from xcomctl.clients.loki import Loki
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.report.log_lines import Lines

NAME = "logs"
#: Seconds between two words about how far a long query is.
_TELL_EVERY_S = 10.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="lines of logs out of Loki, none lost and none twice",
        description="Reads the lines of a LogQL query, or of a ready-made one (--preset), whatever Loki's limits are, and says "
        "so when any may be missing. Finds Loki in the cluster and forwards a port to it for as long as it runs, or talks to "
        "its address. Reads only.",
        epilog="Exit codes: 0 ok; 2 usage, also several Lokis; 5 lines may be missing, or Loki cannot be asked; 6 the query is "
        "none, or the address. With --expect-none: 0 nothing was found where something could be; 3 lines were found; 5 "
        "the selector sees no line at all, or lines may be missing. 130 interrupted, as --follow ends.",
    )
    add_options(parser)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    check(args)
    if args.list_presets:
        return _list_presets(args)
    from xcomctl.assess.loki_login import address, login, where
    from xcomctl.clients.loki import Loki
    from xcomctl.deployment.interrupts import interruptible
    from xcomctl.deployment.loki_services import SeveralLokis

    chosen = deployment_of(args)
    asked = None if args.labels is not None and not (args.query or args.preset) else _asked(args, chosen)
    window = window_of(args)
    options = login_options(args)
    place = where(options, chosen.loki if chosen is not None else None)
    who = login(place, options, say=_teller(args))
    try:
        with (
            interruptible(),
            address(place, kubectl_of(args, chosen) if place.url is None else None, _teller(args)) as way,
            Loki(way, who, say=_teller(args)) as loki,
        ):
            if args.labels is not None:
                return _labels(loki, asked, window, args)
            assert asked is not None  # there is a query, or check() has left
            return _lines(loki, asked, window, args)
    except SeveralLokis as error:
        args.usage_error(f"{error.message}; {error.hint}")
        raise


def _lines(loki: Loki, asked: Asked, window: Window, args: argparse.Namespace) -> int:
    from xcomctl.assess import logs

    tell = _teller(args)
    tell(f"{asked.query} {'from now on' if args.follow and not (args.since or args.start) else window.said}")
    if asked.remark:
        tell(asked.remark)
    found = logs.Found(asked, window)
    writer = _writer(args)
    if args.follow:
        try:
            for line in logs.followed(loki, found, args.limit):
                writer.add(line)
        except KeyboardInterrupt:
            _say_missing(loki.incomplete)
            raise
    else:
        if args.expect_none:
            found.newest_ns = logs.newest(loki, asked.selector, window)
        if found.newest_ns != 0:
            direction = logs.BACKWARD if args.backward else logs.FORWARD
            with _progress(found, args):
                for line in logs.read(loki, found, direction=direction, limit=args.limit):
                    writer.add(line)
        found.incomplete = tuple(dict.fromkeys([*found.incomplete, *loki.incomplete]))
    return _ended(loki, found, writer, args)


def _ended(loki: Loki, found: Found, writer: Lines, args: argparse.Namespace) -> int:
    from xcomctl.assess import logs

    gate = logs.checks(found, labels_command(args, found.window)) if args.expect_none else ()
    verdict = logs.gate_verdict(gate) if gate else found.verdict
    writer.end(logs.to_json(found, gate, verdict))
    if gate and args.output != "json":
        from xcomctl.report.logs_text import render_gate

        render_gate(gate, verdict, sys.stdout if args.output == "text" else sys.stderr)
    tell = _teller(args)
    if not gate:
        _say_missing(found.missing)
        if not found.lines and not found.missing:
            _nothing(loki, found, args)
    if found.at_limit:
        tell(f"there are more lines than --limit {args.limit}")
    return verdict.exit_code


def _say_missing(sentences: Iterable[str]) -> None:
    """However quiet the rest is."""
    for sentence in dict.fromkeys(sentences):
        _say(f"warning: lines may be missing: {sentence}")


def _nothing(loki: Loki, found: Found, args: argparse.Namespace) -> None:
    """Whether no line means anything: what the bare selector sees."""
    from xcomctl.assess import logs
    from xcomctl.errors import UserError
    from xcomctl.model.loki_query import moment

    try:
        newest = logs.newest(loki, found.asked.selector, found.window)
    except UserError:
        return  # what was asked for was answered
    if newest:
        _teller(args)(f"no lines; {found.asked.selector} sees some in that time, the newest of {moment(newest)}")
    else:
        _say(f"warning: no lines, and that says nothing: {found.asked.selector} sees no line at all in that time")


def _labels(loki: Loki, asked: Asked | None, window: Window, args: argparse.Namespace) -> int:
    """Which labels there are, or the values of one; of the query's streams where there is one."""
    from xcomctl.model.redaction import redact_mapping
    from xcomctl.report.logs_text import render_labels, render_names

    values: dict[str, list[str]] = {}
    if asked is not None:
        for labels in loki.series(asked.selector, window.start_ns, window.end_ns):
            for name, value in labels.items():
                values.setdefault(name, []).append(value)
        values = {name: sorted(set(each)) for name, each in values.items()}
        if args.labels:
            values = {args.labels: values.get(args.labels, [])}
    else:
        names = [args.labels] if args.labels else loki.labels(window.start_ns, window.end_ns)
        values = {name: loki.label_values(name, window.start_ns, window.end_ns) for name in names}
    shown = redact_mapping(values)
    if args.output in ("json", "jsonl"):
        print(json.dumps(shown, indent=2 if args.output == "json" else None))
    elif args.labels:
        render_names(next(iter(shown.values())), sys.stdout)
    else:
        render_labels(shown, sys.stdout)
    if loki.incomplete:
        _say(f"warning: {'; '.join(loki.incomplete)}")
        return Verdict.INCONCLUSIVE.exit_code
    if not any(values.values()):
        _say(f"warning: no stream{f' of {asked.selector}' if asked is not None else ''} {window.said}")
    return Verdict.OK.exit_code


def _writer(args: argparse.Namespace) -> Lines:
    from xcomctl.assess.logs import SCHEMA
    from xcomctl.report import log_lines

    if args.output == "json":
        return log_lines.JsonReport(sys.stdout, SCHEMA)
    if args.output == "jsonl":
        return log_lines.JsonLogLines(sys.stdout, flush=args.follow)
    if args.output == "raw":
        return log_lines.RawLines(sys.stdout, flush=args.follow)
    labels = [] if args.no_labels else args.include_label or None
    return log_lines.TextLines(sys.stdout, labels=labels, without=args.exclude_label, flush=args.follow)


@contextlib.contextmanager
def _progress(found: Found, args: argparse.Namespace) -> Iterator[None]:
    """Says now and then how far a long query is, where nothing else does: the lines themselves, on a terminal."""
    if args.quiet:
        yield
        return
    from xcomctl.model.loki_query import moment

    over = threading.Event()

    def tell() -> None:
        before = 0
        while not over.wait(_TELL_EVERY_S):
            if found.lines == before or not sys.stdout.isatty():
                far = f"{found.lines:,} lines, at {moment(found.last_ns)}" if found.lines else "no lines yet"
                with contextlib.suppress(OSError, ValueError):
                    print(f"xcomctl: {far}", file=sys.stderr)
            before = found.lines

    teller = threading.Thread(target=tell, name="xcomctl-logs", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _asked(args: argparse.Namespace, chosen: Deployment | None) -> Asked:
    from xcomctl.assess.log_presets import PRESETS
    from xcomctl.assess.log_query import ALL, asked

    query = args.query
    if args.preset:
        selector = selector_of(args, chosen)
        if selector is None:
            args.usage_error(
                f"--preset {args.preset} is about a namespace: -n NS, or -D with a deployment that has one, or a selector of "
                "its Loki"
            )
        made = {each.name: each.query for each in PRESETS}[args.preset]
        query = made(str(selector), chosen.settings.path if chosen is not None else None)
    # Labels are looked for in all of them: which streams there are is what is asked.
    return asked(query, ALL if args.labels is not None else args.stream)


def _list_presets(args: argparse.Namespace) -> int:
    from xcomctl.assess.log_presets import PRESETS, preset
    from xcomctl.report.rows import Rows

    rows = Rows(sys.stdout, ("PRESET", "TELLS OF", "QUERY"))
    for each in PRESETS:
        rows.add(each.name, each.what, preset(each.name, args.namespace or "NS", None))
    rows.flush()
    return Verdict.OK.exit_code


def _teller(args: argparse.Namespace) -> Callable[[str], None]:
    return (lambda text: None) if args.quiet else _say


def _say(text: str) -> None:
    from xcomctl.model.redaction import redact

    sys.stdout.flush()
    print(f"xcomctl: {redact(text)}", file=sys.stderr)
