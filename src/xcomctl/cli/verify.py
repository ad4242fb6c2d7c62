"""``xcomctl verify``: after a flip, whether every context resolves it and a real run went through."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from xcomctl.cli import api, contexts, loki
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND
from xcomctl.model.verdicts import Verdict

if TYPE_CHECKING:
    from xcomctl.assess.fleet import Fleet
    from xcomctl.assess.verify import Runs
    from xcomctl.clients.airflow_api import AirflowApi
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.model.verdicts import Check
    from xcomctl.model.verification import RunReviewQuery, VerifyReport
    from xcomctl.report.progress import Progress

NAME = "verify"
_TIMEOUT_S = 1800.0
#: Seconds for which Loki is asked without a run, as in the runbook.
_LOOK_BACK_S = 900.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="after a flip: every context resolves it, and a real run went through",
        description="Layer A: in every context, Airflow resolves path and threshold, and XCom is the expected class. Layer "
        "B, with --dag-id or --run-id: a real run succeeded, its references resolve, its values are what was pushed, and no "
        "task got a path string. The verdict is validated, KILL-SWITCH, or inconclusive. Nothing is written but the run "
        "that --dag-id triggers.",
        epilog="Exit codes: 0 validated; 2 usage; 3 KILL-SWITCH; 5 inconclusive.",
    )
    run_group = parser.add_argument_group("which run (default: none, resolution alone)")
    run_group.add_argument("-d", "--dag-id", metavar="DAG", help="trigger a run of this DAG and watch it")
    run_group.add_argument("-r", "--run-id", metavar="RUN", help="look at this run of it, which somebody triggered")
    run_group.add_argument("--conf", metavar="JSON", type=_object, default={}, help="the triggered run's conf")
    run_group.add_argument("--timeout", metavar="SECONDS", type=contexts.seconds, default=_TIMEOUT_S, help="how long the run may take (default: 1800)")  # fmt: skip
    run_group.add_argument("--logs", action="store_true", help="also look for XCom errors and path strings in the logs of its tasks")  # fmt: skip
    run_group.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    expected = parser.add_argument_group(
        "what has to resolve (default: what the deployment plans for the phase that resolves)"
    )
    expected.add_argument("--expect-backend", metavar="CLASS", default=OBJECT_STORAGE_BACKEND, help="the XCom class (default: XComObjectStorageBackend)")  # fmt: skip
    expected.add_argument("--expect-path", metavar="URL", help="the base path")
    expected.add_argument("--expect-threshold", metavar="BYTES", type=int, help="the threshold")
    contexts.add_options(parser)
    through = parser.add_argument_group("through Airflow's REST API")
    api.add_options(through, "trigger and watch through this API (default: the deployment's, else through a context)")
    output = contexts.add_output_options(parser, "json", "junit")
    output.add_argument("-q", "--quiet", action="store_true", help="show problems only")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    if args.run_id and not args.dag_id:
        args.usage_error("--run-id goes with --dag-id: run ids are those of a DAG")
    if args.conf and (args.run_id or not args.dag_id):
        args.usage_error("--conf goes with --dag-id, of a run that is triggered")
    if args.logs and not args.dag_id:
        args.usage_error("--logs goes with a run: --dag-id")
    from xcomctl.errors import UserError
    from xcomctl.report.progress import progress_for

    chosen = contexts.deployment(args)
    if args.dry_run:
        print("\n".join(_plan(args, chosen)))
        return Verdict.OK.exit_code
    progress = progress_for(sys.stderr)
    from xcomctl.assess import verify

    try:
        report = _verify(args, chosen, progress)
    except verify.Interrupted as error:
        progress.close()
        print(f"xcomctl: {error}", file=sys.stderr)
        raise
    finally:
        progress.close()
    _render(report, args)
    try:
        verify.record(report, chosen.name if chosen is not None else None, contexts.journal(args, chosen))
    except UserError as error:
        print(f"xcomctl: warning: not recorded: {error.message}", file=sys.stderr)
    return report.exit_code


def _plan(args: argparse.Namespace, chosen: Deployment | None) -> list[str]:
    entry = api.entry(args, chosen)
    reaches = contexts.reaches_beside(entry, args, chosen)
    named = "; ".join(reach.name for reach in reaches)
    said = [f"would ask what resolves in: {named}" if named else "would ask no context what resolves: none was named"]
    if args.dag_id:
        way = "the REST API" if entry is not None else reaches[0].name
        what = (
            f"watch and look at {args.run_id}"
            if args.run_id
            else f"trigger a run of {args.dag_id}, watch and look at it,"
        )
        said.append(f"would {what} through {way}")
    return [*said, "would record the result in the journal; nothing else is written"]


def _verify(args: argparse.Namespace, chosen: Deployment | None, progress: Progress) -> VerifyReport:
    import contextlib

    from xcomctl.assess import verify
    from xcomctl.assess.api_login import connect
    from xcomctl.assess.fleet import Fleet
    from xcomctl.assess.resolution import Expected
    from xcomctl.journal.local import now
    from xcomctl.model.verdicts import Check, Status
    from xcomctl.model.verification import RESOLUTION, VerifyReport

    asked = Expected(args.expect_backend, args.expect_path, args.expect_threshold)
    expected = asked.or_planned(chosen.settings if chosen is not None else None)
    entry = api.entry(args, chosen)
    reaches = contexts.reaches_beside(entry, args, chosen)
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(connect(entry)) if entry is not None and args.dag_id else None
        fleet = stack.enter_context(Fleet(reaches, contexts.log(args.verbose)))
        if reaches:
            found, fleet_checks = verify.layer_a(fleet, expected, asked, progress)
        else:
            none = "no context was named, so what resolves was not looked at"
            found = []
            fleet_checks = (Check("context_answers", RESOLUTION, "the context answers", Status.SKIP, none, "--via 'PREFIX' or -D NAME"),)  # fmt: skip
        report = VerifyReport(tuple(found), fleet_checks, at=now())
        handed: tuple[str, ...] = ()
        if args.dag_id:
            report, handed = _with_run(args, chosen, fleet, client, report, expected.path, progress)
        report = _with_loki(args, chosen, report, expected.path, progress)
    carrier = contexts.carrier_option(args, chosen)
    return verify.with_next_steps(report, contexts.spelled(args), handed, expected.path, carrier)


def _with_loki(
    args: argparse.Namespace,
    chosen: Deployment | None,
    report: VerifyReport,
    base_path: str | None,
    progress: Progress,
) -> VerifyReport:
    """The row of the deployment's Loki: about the time of the run, else about the last quarter of an hour, as the runbook
    looks."""
    asking = loki.asking(args, chosen, base_path)
    if asking is None:
        return report
    import dataclasses

    from xcomctl.assess import log_signals
    from xcomctl.model.verdicts import Status

    began, ended = report.run.get("began"), report.run.get("ended")
    window = log_signals.last(_LOOK_BACK_S) if began is None else log_signals.around(began, ended)
    with progress.step("loki", "Look into Loki") as step:
        found = log_signals.row(asking, window, "logs", Status.FAIL, step.waiting, settled_after=ended)
    if args.dag_id:
        return dataclasses.replace(report, run_checks=(*report.run_checks, found))
    return dataclasses.replace(report, fleet=(*report.fleet, found))


def _with_run(
    args: argparse.Namespace,
    chosen: Deployment | None,
    fleet: Fleet,
    client: AirflowApi | None,
    report: VerifyReport,
    base_path: str | None,
    progress: Progress,
) -> tuple[VerifyReport, tuple[str, ...]]:
    import dataclasses

    from xcomctl.assess import verify
    from xcomctl.errors import UserError

    run_id = args.run_id or verify.new_run_id()
    checks: list[Check] = []
    state = began = ended = None
    answer = None
    try:
        with progress.step("run", f"Run {run_id}") as step:
            seen = _runs(fleet, client, lambda runs: _through(runs, args, run_id, step.waiting))
            state, began, ended = seen.run_state, seen.began, seen.ended
    except UserError as error:
        checks.append(verify.unmeasured("run_succeeded", "the run succeeded", error.message, error.hint))
    else:
        with progress.step("review", "Look at the run") as step:
            if fleet.contexts:
                query = _query(args, chosen, report, run_id, base_path, logs=args.logs and client is None)
                reviewed = verify.layer_b(fleet, query, step.waiting)
                checks += reviewed.checks
                answer = reviewed.answer
            if client is not None:
                base_path = base_path or (answer.base_path if answer is not None else None)
                checks += _through_api(client, args, run_id, base_path, not fleet.contexts, step.waiting)
    run = {
        "dag_id": args.dag_id,
        "run_id": run_id,
        "state": state,
        "triggered": not args.run_id,
        "began": began,
        "ended": ended,
    }
    handed = answer.handed_over if answer is not None else _handed_over(checks)
    return dataclasses.replace(report, run=run, run_checks=tuple(checks)), tuple(handed)


def _through_api(
    client: AirflowApi, args: argparse.Namespace, run_id: str, base_path: str | None, alone: bool, waiting: Any
) -> Iterator[Check]:
    from xcomctl.assess import verify, verify_api
    from xcomctl.errors import UserError

    try:
        if alone:
            yield from verify_api.checks_of(client, args.dag_id, run_id, base_path)
        if args.logs:
            waiting("the logs of its tasks")
            yield verify_api.logs(client, args.dag_id, run_id, base_path)
    except UserError as error:
        yield verify.unmeasured("run_review", "the run can be looked at", error.message, error.hint)


def _handed_over(checks: Iterable[Check]) -> list[str]:
    return [name for check in checks for name in check.data.get("handed_over") or ()]


def _runs(fleet: Fleet, client: AirflowApi | None, work: Any) -> Any:
    from xcomctl.assess.verify import AgentRuns, ApiRuns

    if client is not None:
        return work(ApiRuns(client))
    return fleet.with_database(lambda session: work(AgentRuns(session)))


def _through(runs: Runs, args: argparse.Namespace, run_id: str, waiting: Any) -> Any:
    from xcomctl.assess import verify

    if args.run_id:
        return verify.watch(runs, args.dag_id, run_id, args.timeout, waiting)
    return verify.triggered(runs, args.dag_id, run_id, args.conf, args.timeout, waiting)


def _query(
    args: argparse.Namespace,
    chosen: Deployment | None,
    report: VerifyReport,
    run_id: str,
    base_path: str | None,
    *,
    logs: bool,
) -> RunReviewQuery:
    from xcomctl.assess import verify
    from xcomctl.journal.open import opened
    from xcomctl.model.verification import RunReviewQuery

    names = {context.name for context in report.contexts}
    journal = opened(contexts.journal(args, chosen))
    before = verify.observed_before(journal, chosen.name if chosen is not None else None, names)
    seen = (*before, *verify.observed_now(report.contexts))
    return RunReviewQuery(args.dag_id, run_id, seen, default_base_path=base_path, logs=logs)


def _render(report: VerifyReport, args: argparse.Namespace) -> None:
    if args.output == "json":
        from xcomctl.model.redaction import redact_mapping

        json.dump(redact_mapping(report.to_json()), sys.stdout, indent=2)
        print()
    elif args.output == "junit":
        from xcomctl.report.junit import render_junit

        suites: list[Any] = [(each.name, each.checks) for each in report.contexts]
        suites += [("all contexts", report.fleet)] if report.fleet else []
        suites += [(shlex.join((report.run["dag_id"], report.run["run_id"])), report.run_checks)] if report.run else []
        render_junit(f"xcomctl {NAME}", suites, sys.stdout)
    else:
        from xcomctl.report.verify_text import render_verify

        render_verify(report, sys.stdout, quiet=args.quiet)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object")
    return value
