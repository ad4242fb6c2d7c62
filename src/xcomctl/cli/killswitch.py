"""``xcomctl killswitch``: end an incident, softly unless the backend itself is broken."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xcomctl.cli import api, carriers, contexts, loki, pods

if TYPE_CHECKING:
    from xcomctl.change.emergency import Emergency
    from xcomctl.change.killswitch import Wanted
    from xcomctl.change.killswitch_decision import Decision
    from xcomctl.change.killswitch_view import View
    from xcomctl.deployment.deployments import Deployment
    from xcomctl.model.killswitch_report import KillswitchReport

NAME = "killswitch"
_TIMEOUT_S = 3600.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        NAME,
        help="end an incident: back to dual-read in one deploy, or (--hard) to inline where the backend is broken",
        description="Says what it sees and which way it recommends. Soft, the default: nothing more is offloaded, every "
        "reference goes on to resolve, no task breaks; --to inline goes on from there, once everything is back in the database. "
        "Hard, for a backend that does not import: pauses the DAGs, reverts, "
        "waits for what still runs with older settings, writes references back into the database where the store answers, clears what pushed or may have read references, unpauses, and watches "
        "until green. Each step is shown, asked for and journaled; calling it again goes on where it stopped.",
        epilog="Exit codes: 0 done, or nothing to do; 2 usage; 3 a step failed; 5 something could not be seen or was not over "
        "in time; 6 refused, not confirmed, or locked; 130 interrupted.",
    )
    what = parser.add_argument_group("what to do")
    what.add_argument("--hard", action="store_true", help="at once to inline: for a backend that cannot be imported")
    what.add_argument("--to", metavar="PHASE", choices=("dual-read", "inline"), default="dual-read", help="dual-read (default), or on from there to inline: wait, rehydrate, revert, each step asked")  # fmt: skip
    carriers.add_options(what, "without one the lines to set by hand are shown")
    what.add_argument("--path", metavar="URL", help="the base path to write, where it resolves nowhere (default: the carrier's, else the deployment's)")  # fmt: skip
    what.add_argument("--deploy", metavar="'COMMAND'", type=_command, help="run this deploy (default: wait until you have deployed)")  # fmt: skip
    what.add_argument("--emergency", action="store_true", help="of a Helm release: helm rollback to the last revision that says the target, instead of a deploy; shows what else goes back (with -n or a deployment's namespace)")  # fmt: skip
    what.add_argument("--timeout", metavar="SECONDS", type=contexts.seconds, default=_TIMEOUT_S, help="how long each wait may take (default: 3600)")  # fmt: skip
    what.add_argument("--max-bytes", metavar="BYTES", type=contexts.size, help="write at most so much back into the database (default: 10GiB; above it --to inline is refused, and with --hard finished runs keep their references)")  # fmt: skip
    what.add_argument("-y", "--yes", action="store_true", help="answer every question with yes")
    what.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    what.add_argument("--abandon", action="store_true", help="end one that was begun: put the DAGs back as they were, and do nothing else")  # fmt: skip
    hard = parser.add_argument_group("with --hard")
    hard.add_argument("--only-at-risk", action="store_true", help="pause only the DAGs whose unfinished runs hold references (default: all)")  # fmt: skip
    hard.add_argument("--clear", metavar="DAG.TASK", action="append", default=[], help="this task may be killed where it still runs (repeatable)")  # fmt: skip
    hard.add_argument("--past-barrier", metavar="REASON", help="go on although not everything that may run can be seen (recorded; not on the way of --to inline)")  # fmt: skip
    contexts.add_base_path_option(hard)
    contexts.add_options(parser)
    through = parser.add_argument_group("through Airflow's REST API")
    api.add_options(through, "pause and unpause through this API (default: through a context)")
    contexts.add_output_options(parser, "json")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Run the command; its exit code."""
    contexts.check_tasks(args, "clear")
    if args.hard and args.to == "inline":
        args.usage_error("--hard leads to inline at once: leave out --to")
    if args.abandon and (args.hard or args.dry_run or args.emergency):
        args.usage_error("--abandon goes alone: it ends what was begun")
    if args.emergency and args.deploy:
        args.usage_error("--emergency is the deploy: leave out --deploy")
    chosen = contexts.deployment(args)
    if args.emergency and pods.wanted(args, chosen) is None:
        args.usage_error("--emergency rolls a Helm release back: name its namespace (-n), or a deployment that has one")
    from xcomctl.assess.api_login import connect
    from xcomctl.change import killswitch_view
    from xcomctl.change.agents import Agents
    from xcomctl.change.killswitch_run import Desk, Switch
    from xcomctl.change.pauses import ApiPauses
    from xcomctl.errors import UserError
    from xcomctl.model.killswitch import Way
    from xcomctl.model.verdicts import Verdict
    from xcomctl.report.confirmation import confirm
    from xcomctl.report.killswitch_text import plan_lines, sees_lines
    from xcomctl.report.progress import progress_for
    from xcomctl.report.text import printable

    as_json = args.output == "json"

    def show(line: str) -> None:
        print(printable(line), file=sys.stderr if as_json else sys.stdout, flush=True)

    def announce(decision: Decision, titles: Sequence[str]) -> None:
        assert decision.way is not None
        since = None if decision.resumes is None else decision.resumes.since
        for line in plan_lines(decision.recommendation, decision.way, titles, since):
            show(line)

    progress = progress_for(sys.stderr)
    with contextlib.ExitStack() as stack:
        stack.callback(progress.close)
        entry = api.entry(args)
        client = stack.enter_context(connect(entry)) if entry is not None else None
        agents = stack.enter_context(Agents(lambda: contexts.some_reaches(args, chosen), contexts.log(args.verbose)))
        with progress.step("look", "See what there is") as step:
            view = killswitch_view.look(agents, contexts.base_path_params(args, chosen), step.waiting, carriers.files(args, chosen))  # fmt: skip
            view = _with_logs(args, view, chosen, step.waiting)
        for line in sees_lines(view.sees):
            show(line)
        desk = Desk(lambda question: confirm(question, yes=args.yes), show, progress)
        wanted = replace(
            _wanted(args, chosen),
            pauses=None if client is None else ApiPauses(client),
            emergency=_emergency(args, chosen) if args.emergency else None,
        )
        name = chosen.name if chosen is not None else None
        switch = Switch(agents, contexts.journal(args, chosen), name, view, wanted, desk)
        how: dict[str, Any] = {"hard": args.hard, "announce": announce, "to_inline": args.to == "inline"}
        if args.abandon:
            report = switch.abandon()
        elif args.dry_run:
            report = switch.preview(**how)
        else:
            report = switch.play(**how)
        if args.to == "inline" and report.ended and report.way is Way.SOFT and report.verdict is Verdict.OK:
            try:
                with progress.step("look", "See what there is now") as step:
                    view = killswitch_view.look(agents, contexts.base_path_params(args, chosen), step.waiting)
                report = replace(replace(switch, view=view).play(**how), before=report)
            except UserError as error:  # what is done stays done, and is told
                _end(args, replace(switch, view=view).then_exit(report, error.verdict), wanted)
                raise
    return _end(args, report, wanted)


def _with_logs(args: argparse.Namespace, view: View, chosen: Deployment | None, waiting: Callable[[str], None]) -> View:
    """What the deployment's Loki says of the last hour, for whoever decides; the kill-switch itself does not go by it."""
    asking = loki.asking(args, chosen, view.sees.base_path)
    if asking is None:
        return view
    from xcomctl.assess import log_signals
    from xcomctl.model.verdicts import Status

    found = log_signals.row(asking, log_signals.last(3600), "logs", Status.WARN, waiting)
    said = f"{found.status.value.upper()} {found.detail}"
    return replace(view, sees=replace(view.sees, logs=said))


def _end(args: argparse.Namespace, report: KillswitchReport, wanted: Wanted) -> int:
    _render(replace(report, next_steps=tuple(_next_steps(args, report, wanted))), args.output == "json")
    return report.verdict.exit_code


def _wanted(args: argparse.Namespace, chosen: Deployment | None) -> Wanted:
    from xcomctl.change.killswitch import Wanted
    from xcomctl.deployment.deployments import SettingsEntry
    from xcomctl.model.rehydrate import MAX_BYTES

    return Wanted(
        carrier=carriers.files(args, chosen),
        fix=args.fix,
        given=SettingsEntry(path=args.path),
        planned=chosen.settings if chosen is not None else SettingsEntry(),
        deploy=args.deploy,
        timeout_s=args.timeout,
        only_at_risk=args.only_at_risk,
        clear=tuple(args.clear),
        past_barrier=args.past_barrier,
        max_bytes=args.max_bytes or MAX_BYTES,
        base_path=args.base_path,
        options=contexts.spelled(args),
    )


def _emergency(args: argparse.Namespace, chosen: Deployment | None) -> Emergency:
    """The release to roll back. Raises :class:`~xcomctl.errors.UserError`."""
    from xcomctl.change.emergency import Emergency
    from xcomctl.deployment.helm import Helm
    from xcomctl.deployment.reach.kubernetes import release

    named = pods.wanted(args, chosen)
    assert named is not None  # else it was refused
    return Emergency(Helm(named.kubectl), release(named))


def _next_steps(args: argparse.Namespace, report: KillswitchReport, wanted: Wanted) -> list[str]:
    from xcomctl.model import way_out
    from xcomctl.model.killswitch import Way
    from xcomctl.model.phases import Phase
    from xcomctl.model.verdicts import Verdict

    options = contexts.spelled(args)
    if report.flips_again and report.way is not Way.SOFT:
        return ["set xcom_backend in the values to Airflow's own class, or take it out, and commit that: the next deploy flips again"]  # fmt: skip
    if report.flips_again:
        return [
            f"xcomctl killswitch --emergency --carrier FILE{options}  # and commit what it edits: nothing is deployed again"
        ]
    if report.dry_run or (report.verdict is not Verdict.OK and not report.ended):
        return [_again(args, report)]
    if report.way is None or report.abandoned:
        return [f"xcomctl status{options}"]
    if report.way is not Way.SOFT:
        return list(way_out.after_inline(options))
    carrier = " --carrier FILE" if wanted.carrier is None else wanted.carrier.options
    handed_over = report.sees.worst in (Phase.MISCONFIGURED, Phase.INLINE)
    return list(way_out.after_soft(options, carrier, handed_over=handed_over))


def _again(args: argparse.Namespace, report: KillswitchReport) -> str:
    """The command that goes on; what is secret in it has to be typed again."""
    from xcomctl.model.killswitch import Way
    from xcomctl.model.redaction import redact

    on = ["--to", "inline"] if args.to == "inline" else []
    words = ["--abandon"] if args.abandon else ["--hard"] if report.way is Way.HARD else on
    where = ("api", "api_user")  # the journal and the file are spelled with the contexts
    of_steps = () if args.abandon else ("path", "deploy", "base_path", "past_barrier")
    words += [] if args.abandon else carriers.typed(args)
    for option in (*of_steps, *where):
        value = getattr(args, option)
        words += [f"--{option.replace('_', '-')}", redact(str(value))] if value else []
    if not args.abandon:
        words += ["--timeout", f"{args.timeout:g}"] if args.timeout != _TIMEOUT_S else []
        words += ["--max-bytes", str(args.max_bytes)] if args.max_bytes else []
        words += ["--emergency"] if args.emergency else []
        words += ["--only-at-risk"] if args.only_at_risk else []
        for task in args.clear:
            words += ["--clear", task]
    return f"xcomctl killswitch{''.join(f' {shlex.quote(word)}' for word in words)}{contexts.spelled(args)}"


def _render(report: KillswitchReport, as_json: bool) -> None:
    if as_json:
        from xcomctl.model.redaction import redact_mapping

        json.dump(redact_mapping(report.to_json()), sys.stdout, indent=2)
        print()
    else:
        from xcomctl.report.killswitch_text import render_result

        render_result(report, sys.stdout)


def _command(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    if not words:
        raise argparse.ArgumentTypeError("the command is empty")
    return text
