"""``xcomctl preflight``: proves in the real contexts that a flip will work there."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xcomctl.cli import contexts
from xcomctl.model.phases import Phase
from xcomctl.model.preflight import DEFAULT_TIMEOUT_S, PreflightOptions
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.assess.preflight import Ask
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.deployment.reach.interface import Reach
    from xcomctl.model.preflight import CatalogueAnswer, PreflightReport

NAME = "preflight"
LIST_SCHEMA = "xcomctl.preflight-list/1"
_TARGETS = tuple(phase.value for phase in Phase if phase.is_target)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="prove, inside the real contexts, that a flip will work there",
        description="Checks provider, configuration, connection, store, metadata and round trip inside a context of "
        "Airflow. Presence is never proof: what counts is what Airflow resolves there, and what works. Every option is "
        "optional; nothing is written unless --functional-s3 is given, and then only objects that are removed again.",
        epilog="Exit codes: 0 no fail and no skip; 2 usage; 3 a check failed; 4 a warning, with --fail-on-warn; 5 "
        "something that was asked for could not be measured.",
    )
    expected = parser.add_argument_group("what is expected")
    expected.add_argument("--conn-id", metavar="ID", help="the connection that the path has to name")
    expected.add_argument("--expect-backend", metavar="CLASS", help="what [core] xcom_backend has to resolve to")
    expected.add_argument("--expect-path", metavar="URL", help="what xcom_objectstorage_path has to resolve to")
    expected.add_argument(
        "--expect-threshold", metavar="BYTES", type=_whole, help="what xcom_objectstorage_threshold has to resolve to"
    )
    expected.add_argument("--phase", choices=_TARGETS, help="the phase that the settings have to amount to")
    expected.add_argument(
        "--planned",
        action="store_true",
        help="the expectations are planned and not deployed yet: judge them, and only show what resolves now",
    )
    which = parser.add_argument_group("which checks")
    which.add_argument(
        "--functional-s3",
        action="store_true",
        help="try the store with objects below the path, which are removed again (also for gs, abfs and file)",
    )
    which.add_argument("--in-task", action="store_true", help="also run the checks as a task, with the canary DAG")
    only = which.add_argument("--only", metavar="ID", action="append", type=_ids, default=[], help="only this check or category (repeatable)")  # fmt: skip
    skip = which.add_argument("--skip", metavar="ID", action="append", type=_ids, default=[], help="leave out this check or category (repeatable)")  # fmt: skip
    only.completer = skip.completer = _check_ids  # type: ignore[attr-defined]
    which.add_argument("--list", action="store_true", help="list the checks, and do nothing")
    which.add_argument("--dry-run", action="store_true", help="say what would be run where, and do nothing")
    judged = parser.add_argument_group("how it is judged")
    judged.add_argument(
        "--strict", action="store_true", help="known upstream defects are fails, affected values or not"
    )
    judged.add_argument("--fail-on-warn", action="store_true", help="exit with 4 when there are warnings")
    judged.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, default=DEFAULT_TIMEOUT_S,
        help="what a check may wait for store, database or secrets backend (default: 30)",
    )  # fmt: skip
    contexts.add_options(parser)
    task = parser.add_argument_group("with --in-task")
    task.add_argument(
        "--api", metavar="URL", help="trigger and read through this REST API (default: through a context)"
    )
    task.add_argument("--api-user", metavar="NAME", help="login of the API; its password is in XCOMCTL_API_PASSWORD, or a token in XCOMCTL_API_TOKEN")  # fmt: skip
    task.add_argument("--task-timeout", metavar="SECONDS", type=_seconds, default=300.0, help="how long the task may take to answer (default: 300)")  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o", "--output", choices=("text", "json", "junit"), default="text", help="format (default: text)"
    )
    output.add_argument("-q", "--quiet", action="store_true", help="show problems only")
    output.add_argument("-v", "--verbose", action="store_true", help="show what the contexts log, on standard error")
    output.add_argument("--journal", metavar="FILE", type=Path, help="journal to record it in")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    if args.list:
        return _list(args.output)
    if args.api and not args.in_task:
        args.usage_error("--api goes with --in-task")
    chosen = contexts.deployment(args)
    options = _options(args, chosen)
    # Managed Airflow gives no way into a context: the API alone will do then.
    api_only = args.in_task and args.api and not (args.via or args.python or chosen)
    reaches = [] if api_only else contexts.reaches(args, chosen)
    if not reaches and not api_only:
        assert chosen is not None
        raise contexts.no_contexts(chosen)
    if args.dry_run:
        return _dry_run(args, options, [reach.name for reach in reaches])

    from xcomctl.assess.preflight import Preflight, UsageError, record
    from xcomctl.errors import UserError
    from xcomctl.report.progress import progress_for

    progress = progress_for(sys.stderr)
    try:
        asked, others = _with_task(args, options, chosen, reaches) if args.in_task else (options, {})
        report = Preflight(
            asked or options,
            reaches if asked else [],
            progress,
            _log(args.verbose),
            others=others,
            fail_on_warn=args.fail_on_warn,
        ).run()
    except UsageError as error:
        args.usage_error(f"{error.message} ({error.hint})")
        raise
    finally:
        progress.close()
    _render(report, args)
    try:
        record(report, chosen.name if chosen else None, args.journal or (chosen.journal if chosen else None))
    except UserError as error:
        # A pod's disk may be read-only, and what was measured is true all the same; a gate will miss the entry.
        print(f"xcomctl: warning: not recorded: {error.message}", file=sys.stderr)
    return report.verdict.exit_code


def _options(args: argparse.Namespace, chosen: Deployment | None) -> PreflightOptions:
    options = PreflightOptions(
        connection_id=args.conn_id,
        expect_backend=args.expect_backend,
        expect_path=args.expect_path,
        expect_threshold=args.expect_threshold,
        phase=args.phase,
        planned=args.planned,
        functional=args.functional_s3,
        strict=args.strict,
        timeout_s=args.timeout,
        only=tuple(name for names in args.only for name in names),
        skip=tuple(name for names in args.skip for name in names),
    )
    if chosen is not None and (args.planned or args.phase in (Phase.DUAL_READ.value, Phase.OFFLOAD.value)):
        # What the deployment plans stands in for what the command line leaves open.
        if options.expect_path is None:
            options = dataclasses.replace(options, expect_path=chosen.settings.path)
        if options.expect_threshold is None and args.phase != Phase.DUAL_READ.value:
            options = dataclasses.replace(options, expect_threshold=chosen.settings.threshold)
    return options


def _with_task(
    args: argparse.Namespace, options: PreflightOptions, chosen: Deployment | None, reaches: Sequence[Reach]
) -> tuple[PreflightOptions | None, dict[str, Ask]]:
    """What the other contexts are asked for, and the task as one more of them: through the API, else the first one."""
    from xcomctl.assess import in_task, task_context
    from xcomctl.deployment.deployments import ApiEntry

    outside, inside = task_context.split(options, _catalogue().checks)
    api = chosen.api if chosen else None
    if args.api:
        api = ApiEntry(args.api, args.api_user, task_context.PASSWORD_VARIABLE, task_context.TOKEN_VARIABLE)
    if api is not None:
        ask = task_context.through_api(api, inside, args.task_timeout)
    else:
        ask = task_context.through_context(reaches[0], inside, args.task_timeout)
    return outside, {in_task.NAME: ask}


def _render(report: PreflightReport, args: argparse.Namespace) -> None:
    if args.output == "json":
        from xcomctl.model.redaction import redact_mapping

        json.dump(redact_mapping(report.to_json()), sys.stdout, indent=2)
        print()
    elif args.output == "junit":
        from xcomctl.report.junit import render_junit

        suites = [(context.name, context.checks) for context in report.contexts]
        render_junit(
            f"xcomctl {NAME}", [*suites, *([("all contexts", report.fleet)] if report.fleet else [])], sys.stdout
        )
    else:
        from xcomctl.report.preflight_text import render_preflight

        render_preflight(report, sys.stdout, quiet=args.quiet)


def _log(verbose: bool) -> Any:
    def show(context: str, line: str) -> None:
        if verbose:
            print(f"{context} | {line}", file=sys.stderr)

    return show


def _list(output: str) -> int:
    answer = _catalogue()
    if output == "json":
        json.dump({"schema": LIST_SCHEMA, **answer.to_json()}, sys.stdout, indent=2)
        print()
        return 0
    width = max(len(entry.id) for entry in answer.checks)
    category = ""
    for entry in answer.checks:
        if entry.category != category:
            category = entry.category
            print(category)
        print(f"  {entry.id:{width}}  {entry.title}" + (f" ({entry.asked_by})" if entry.asked_by else ""))
    return 0


def _catalogue() -> CatalogueAnswer:
    """Asked of an agent, like everything about checks: it needs no Airflow to list them."""
    from xcomctl.assess.preflight import catalogue
    from xcomctl.deployment.reach.local import LocalReach

    return catalogue(LocalReach(Path(sys.executable), label="xcomctl's own Python"))


def _dry_run(args: argparse.Namespace, options: PreflightOptions, names: Sequence[str]) -> int:
    where = [*names, *(["a task of the DAG xcomctl_canary"] if args.in_task else [])]
    print("would run the checks in: " + "; ".join(where))
    if options.functional:
        print("would write, read and delete objects below the path (--functional-s3)")
    if args.in_task:
        print(
            f"would trigger a run of xcomctl_canary {'through ' + args.api if args.api else 'through the first context'}"
        )
    print("would record the result in the journal; nothing else is written")
    print(f"the checks: xcomctl {NAME} --list")
    return Verdict.OK.exit_code


def _check_ids(prefix: str, **_: Any) -> list[str]:
    entries = _catalogue().checks
    names = [entry.id for entry in entries] + sorted({entry.category.replace(" ", "-") for entry in entries})
    return [name for name in names if name.startswith(prefix)]


def _ids(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of bytes") from None


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
