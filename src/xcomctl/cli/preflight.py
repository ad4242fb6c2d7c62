"""``xcomctl preflight``: proves in the real contexts that a flip will work there."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xcomctl.cli import api, contexts, pods
from xcomctl.model.phases import Phase
from xcomctl.model.preflight import (
    DEFAULT_TASK_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    FUNCTIONAL,
    IN_TASK,
    PreflightOptions,
)
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.assess.preflight_plan import PreflightPlan
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.deployment.reach.interface import Reach
    from xcomctl.model.preflight import PreflightReport
    from xcomctl.report.progress import Progress

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
    expected.add_argument(
        "--expect-compression", metavar="CODEC", help="what xcom_objectstorage_compression has to resolve to"
    )
    expected.add_argument("--phase", choices=_TARGETS, help="the phase that the settings have to amount to")
    expected.add_argument(
        "--planned",
        action="store_true",
        help="the expectations are planned and not deployed yet: judge them, and only show what resolves now",
    )
    which = parser.add_argument_group("which checks")
    which.add_argument(
        FUNCTIONAL,
        action="store_true",
        help="try the store with objects below the path, which are removed again (also for gs, abfs and file)",
    )
    which.add_argument(IN_TASK, action="store_true", help="also run the checks as a task, with the canary DAG")
    which.add_argument(
        "--step-pod",
        action="store_true",
        help="also run the checks in a short-lived pod made as tasks' pods are (with -n), which is removed again",
    )
    which.add_argument("--pod-template", metavar="FILE", type=Path, help="make that pod of this pod template instead")
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
        "--timeout", metavar="SECONDS", type=contexts.seconds, default=DEFAULT_TIMEOUT_S,
        help="what a check may wait for the store, a secrets backend, or the database's first answer (default: 30)",
    )  # fmt: skip
    contexts.add_options(parser)
    task = parser.add_argument_group("with --in-task")
    api.add_options(task, "trigger and read through this REST API (default: through a context)")
    task.add_argument("--task-timeout", metavar="SECONDS", type=contexts.seconds, default=DEFAULT_TASK_TIMEOUT_S, help="how long the task may take to answer (default: 300)")  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o", "--output", choices=("text", "json", "junit"), default="text", help="format (default: text)"
    )
    output.add_argument("-q", "--quiet", action="store_true", help="show problems only")
    output.add_argument("-v", "--verbose", action="store_true", help="show what the contexts log, on standard error")
    output.add_argument("--journal", metavar="FILE", help="journal to record it in, a file or a URL")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    if args.list:
        return _list(args)
    if args.api and not args.in_task:
        args.usage_error("--api goes with --in-task")
    from xcomctl.assess import preflight_plan
    from xcomctl.assess.preflight import record
    from xcomctl.errors import UserError
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    in_pod = _step_pod(args, chosen)
    through = api.entry(args)
    # Managed Airflow gives no way into a context; its API alone is named then.
    reaches = (
        [] if through is not None and not (contexts.named_here(args) or chosen) else contexts.reaches(args, chosen)
    )
    planned = preflight_plan.plan(_options(args), chosen, reaches, through)
    if args.dry_run:
        started = (
            ["would start a pod, run the checks in it too, and remove it (--step-pod)"] if in_pod is not None else []
        )
        print("\n".join([*started, *planned.lines()]))
        return Verdict.OK.exit_code
    progress = progress_for(sys.stderr)
    with contextlib.ExitStack() as stack:
        if in_pod is not None:
            planned = dataclasses.replace(planned, reaches=(*planned.reaches, stack.enter_context(in_pod)))
        report = _executed(args, planned, progress)
    # On the way, these two told each agent what it is.
    asked = dataclasses.replace(report.options, in_task=args.in_task, step_pod=args.step_pod)
    report = dataclasses.replace(report, options=asked)
    _render(report, args)
    try:
        record(report, planned.deployment, contexts.journal(args, chosen))
    except UserError as error:
        # A pod's disk may be read-only, and what was measured is true all the same; a gate will miss the entry.
        print(f"xcomctl: warning: not recorded: {error.message}", file=sys.stderr)
    return report.verdict.exit_code


def _step_pod(args: argparse.Namespace, chosen: Deployment | None) -> AbstractContextManager[Reach] | None:
    """The pod that ``--step-pod`` asks for, not started yet; ``None`` where none is asked for."""
    if not args.step_pod:
        if args.pod_template is not None:
            args.usage_error("--pod-template goes with --step-pod")
        return None
    named = pods.wanted(args, chosen)
    if named is None:
        args.usage_error("--step-pod starts a pod in a namespace: -n, or a deployment that has one")
    assert named is not None
    from xcomctl.deployment.step_pod import step_pod

    return step_pod(named, pods.teller(args), args.pod_template)


def _executed(args: argparse.Namespace, planned: PreflightPlan, progress: Progress) -> PreflightReport:
    from xcomctl.assess import preflight_plan
    from xcomctl.assess.preflight import UsageError

    try:
        return preflight_plan.execute(
            planned,
            progress,
            contexts.log(args.verbose),
            task_timeout_s=args.task_timeout,
            fail_on_warn=args.fail_on_warn,
        )
    except UsageError as error:
        args.usage_error(f"{error.message} ({error.hint})")
        raise
    finally:
        progress.close()


def _options(args: argparse.Namespace) -> PreflightOptions:
    return PreflightOptions(
        connection_id=args.conn_id,
        expect_backend=args.expect_backend,
        expect_path=args.expect_path,
        expect_threshold=args.expect_threshold,
        expect_compression=args.expect_compression,
        phase=args.phase,
        planned=args.planned,
        functional=args.functional_s3,
        strict=args.strict,
        in_task=args.in_task,
        timeout_s=args.timeout,
        only=tuple(name for names in args.only for name in names),
        skip=tuple(name for names in args.skip for name in names),
    )


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


def _list(args: argparse.Namespace) -> int:
    from xcomctl.assess.preflight import catalogue

    entries = catalogue()
    if args.output == "json":
        json.dump({"schema": LIST_SCHEMA, "checks": [entry.to_json() for entry in entries]}, sys.stdout, indent=2)
        print()
        return 0
    if args.output != "text":
        args.usage_error("--list gives text or json")
    width = max(len(entry.id) for entry in entries)
    category = ""
    for entry in entries:
        if entry.category != category:
            category = entry.category
            print(category)
        print(f"  {entry.id:{width}}  {entry.title}" + (f" ({entry.asked_by})" if entry.asked_by else ""))
    return 0


def _check_ids(prefix: str, **_: Any) -> list[str]:
    from xcomctl.assess.preflight import catalogue

    entries = catalogue()
    names = [entry.id for entry in entries] + sorted({entry.category.replace(" ", "-") for entry in entries})
    return [name for name in names if name.startswith(prefix)]


def _ids(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of bytes") from None
