"""The steps that both kill-switches share: the edit of the carrier, the deploy, and the look at every context."""

from __future__ import annotations

import shlex

from xcomctl.change import deploy, emergency, gates
from xcomctl.change.carrier_edit import CarrierEdit, edit_for, wanted_for
from xcomctl.change.emergency import Emergency, Rollback
from xcomctl.change.killswitch import Begin, Outcome, Step, Work, at_risk, default_base_path
from xcomctl.change.observed import held
from xcomctl.deployment.carriers.interface import Carrier
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.deployment.helm import HelmError
from xcomctl.errors import UserError
from xcomctl.model.killswitch import CONFIRM, DEPLOY, REVERT, Way
from xcomctl.model.phases import Line, Phase
from xcomctl.model.plan import is_in_the_way
from xcomctl.model.redaction import redact
from xcomctl.model.references import covers
from xcomctl.model.settings import PATH
from xcomctl.model.verdicts import Verdict
from xcomctl.report import units

#: What an emergency leaves that edits nothing (F42), and why it does not.
_FLIPS_AGAIN = "the values in your repository stay, and the next deploy flips again"
_UNNAMED = "no carrier is named (--carrier FILE)"


class Revert(Step):
    """Has the carrier say the target, or somebody who edits what xcomctl cannot."""

    id = REVERT
    title = "Edit the carrier"
    previewed = True

    def prepare(self, work: Work) -> list[str]:
        """The difference, or the lines to set by hand.

        In an emergency what cannot be gone back to is refused before anything is written, and a carrier that cannot be
        edited is in the way of nothing.
        """
        if work.wanted.emergency is not None:
            _plan_rollback(work, work.wanted.emergency)
        if why := _unedited(work):
            return [f"{why}: {_FLIPS_AGAIN}"]
        if work.wanted.carrier is None:
            _keeps_what_finished_runs_hold(work, _by_hand(work).get(PATH.env))
            lines = [f'  {name}="{value}"' for name, value in _by_hand(work).items()]
            return ["no carrier is named (--carrier FILE): set by hand, for every component:", *lines]
        _, edit = _edit(work, work.wanted.carrier)
        _keeps_what_finished_runs_hold(work, edit.after.path)
        notes = [f"note: {redact(note)}" for note in edit.notes]
        if not edit.edit.changes:
            return [f"{work.wanted.carrier} says {work.way.target.value} already", *notes]
        return [str(work.wanted.carrier), *edit.edit.diff.splitlines(), *notes]

    def asks(self, work: Work) -> bool:
        """Whether there is anything to write."""
        if work.wanted.carrier is None or _unedited(work):
            return False
        return _edit(work, work.wanted.carrier)[1].edit.changes

    def perform(self, work: Work, begin: Begin) -> Outcome:
        """Write it."""
        target = work.way.target.value
        _holds_nothing(work)
        if why := _unedited(work):
            if not work.begun.begun(REVERT):
                begin(data={"by_hand": True})
            return Outcome(f"{why}: {_FLIPS_AGAIN}")
        if work.wanted.carrier is None:
            if not work.begun.begun(REVERT):  # whoever is called again may have done it by now
                begin(after=_by_hand(work), data={"by_hand": True})
            return Outcome(f"{target} is written by hand")
        files = work.wanted.carrier
        carrier, edit = _edit(work, files)
        data = {"carrier": str(files)}
        if not edit.edit.changes:
            # An edit was written by a call that could not say so any more: this is when it had been at the latest.
            mine = bool(work.begun.begun(REVERT)) and work.begun.done(REVERT) is None
            after = edit.after.to_json() if mine else None
            return Outcome(f"{files} says {target} already", after=after, data=data)
        begin(before=edit.before.to_json(), after=edit.after.to_json(), data=data)
        carrier.write(edit.edit)
        work.edited = True
        return Outcome(f"{files} says {target}: EDITED, NOT DEPLOYED", after=edit.after.to_json(), data=data)


class Deploy(Step):
    """Runs the person's own deploy, where one is given, or in an emergency Helm's rollback."""

    id = DEPLOY
    title = "Deploy"
    previewed = True

    def prepare(self, work: Work) -> list[str]:
        """The command, or what is expected of whoever deploys."""
        if (asked := work.wanted.emergency) is not None:
            found = _plan_rollback(work, asked)
            if found is None:
                return [f"the revision of {asked.release} that is deployed says {work.way.target.value} already"]
            return list(found.lines(asked))
        if work.wanted.deploy is not None:
            return [f"run: {redact(work.wanted.deploy)}"]
        limit = units.seconds(work.wanted.timeout_s)
        return [f"deploy now, and restart every component: this waits up to {limit} until each resolves {work.way.target.value}"]  # fmt: skip

    def asks(self, work: Work) -> bool:
        """Whether a command would be run."""
        return work.wanted.deploy is not None or work.rollback is not None

    def perform(self, work: Work, begin: Begin) -> Outcome:
        """Run it, unless every context has the change already."""
        if work.wanted.emergency is not None:
            return self._roll_back(work, work.wanted.emergency, begin)
        if work.wanted.deploy is None:
            return Outcome("deployed by somebody else")
        if not work.edited:  # somebody else, or a call that was killed, may have deployed it
            work.waiting("a look at what resolves before it")
            seen = deploy.look(work.agents.anew(), work.way.target, work.edited_at)
            if not any(each.problem for each in seen):
                return Outcome("every context has the change already")
        begin(data={"command": work.wanted.deploy})
        work.waiting("the deploy")
        deploy.run(work.wanted.deploy)
        return Outcome("the deploy ended well")

    def _roll_back(self, work: Work, asked: Emergency, begin: Begin) -> Outcome:
        """As it was shown, if nobody deployed in the meantime."""
        found = work.rollback
        if found is None:
            return Outcome(f"the revision of {asked.release} that is deployed says {work.way.target.value} already")
        latest = asked.helm.history(asked.release)[-1]
        if latest != found.now:
            raise UserError(
                f"{asked.release} is at revision {latest.number} ({latest.status}) by now: somebody has deployed",
                "call again",
                Verdict.REFUSED,
            )
        begin(data={"command": emergency.command(asked, found.to), "release": asked.release, "from": found.now.number, "to": found.to.number})  # fmt: skip
        work.waiting("helm's rollback")
        try:
            asked.helm.rollback(asked.release, found.to.number)
        except HelmError as error:
            raise deploy.DeployFailed(error.message, "mend it, and call again: what is done stays done") from error
        return Outcome(f"{asked.release} is as in revision {found.to.number}", notes=tuple(found.warnings()))


class Confirm(Step):
    """Waits until every context has the change."""

    id = CONFIRM
    title = "Confirm in every context"

    def prepare(self, work: Work) -> list[str]:
        """Nothing is changed."""
        return []

    def asks(self, work: Work) -> bool:
        """Nothing is changed."""
        return False

    def perform(self, work: Work, begin: Begin) -> Outcome:
        """Look until they have, or the time is over."""
        target = work.way.target
        seen = deploy.wait(work.agents, target, work.edited_at, work.wanted.timeout_s, work.waiting)
        data = {"contexts": [{"name": each.context, "phase": each.phase} for each in seen if each.phase is not None]}
        contexts = [each for each in seen if each.is_context]
        missing = [f"{each.context} {each.problem}" for each in seen if each.problem]
        if missing:
            verdict = Verdict.INCONCLUSIVE if any(each.phase is None for each in seen) else Verdict.FAILED
            without = sum(bool(each.problem) for each in contexts)
            said = f"{without} of {len(contexts)} contexts do not have {target.value}"
            if not without:
                said = f"{target.value} in every context, and not every rollout is over"
            return Outcome(
                said, verdict, tuple(missing),
                "deploy there and restart what is named, then call again", data=data,
            )  # fmt: skip
        running = sum(each.processes for each in seen)
        alive = f"; {units.count(running, 'running process', 'running processes')} with it" if running else ""
        return Outcome(f"{target.value} in {units.count(len(contexts), 'context')}{alive}", data=data)


def _line(work: Work) -> Line:
    line = work.view.line or (work.rollback.line if work.rollback is not None else None)
    if line is None:
        raise UserError(
            "no context answers, so the line of Airflow is not known", f"xcomctl status{work.wanted.options}"
        )
    return line


def _plan_rollback(work: Work, asked: Emergency) -> Rollback | None:
    """What is gone back to: a revision under whose base path everything that is held resolves."""

    def unsuited(path: str | None) -> str:
        try:
            _reads_what_is_held(work, path)
            _keeps_what_finished_runs_hold(work, path)
        except UserError as error:
            return error.message
        return ""

    work.rollback = emergency.planned(asked, work.way.target, work.view.line, unsuited)
    return work.rollback


def _unedited(work: Work) -> str:
    """Why an emergency edits no file, empty where it does, and in every other case."""
    if work.wanted.emergency is None:
        return ""
    if work.wanted.carrier is None:
        return _UNNAMED
    try:
        _, edit = _edit(work, work.wanted.carrier)
        _keeps_what_finished_runs_hold(work, edit.after.path)
    except UserError as error:
        return f"{work.wanted.carrier} is not edited: {error.message}"
    return ""


def _edit(work: Work, files: CarrierFiles) -> tuple[Carrier, CarrierEdit]:
    """The edit as the files stand now."""
    carrier = files.open()
    edit = edit_for(carrier, work.way.target, _line(work), work.wanted.given, _planned(work), fix=work.wanted.fix)
    _reads_what_is_held(work, edit.after.path)
    return carrier, edit


def _by_hand(work: Work) -> dict[str, str]:
    wanted = wanted_for(work.way.target, _line(work), work.wanted.given, _planned(work))
    _reads_what_is_held(work, wanted.get(PATH.env))
    return wanted


def _reads_what_is_held(work: Work, path: str | None) -> None:
    """Refuse a path under which references of unfinished runs do not resolve (F3)."""
    held = work.view.sees.held_under
    if work.way is Way.SOFT and held is not None and path is not None and not covers(path, held):
        raise UserError(
            f"under {path} references of unfinished runs do not resolve: they lie under {held}",
            f"--path {shlex.quote(held)}",
            Verdict.REFUSED,
        )


def _keeps_what_finished_runs_hold(work: Work, path: str | None) -> None:
    """Refuse a path that leaves behind what resolves now, also what finished runs hold (F3).

    Where the path of now leaves behind what unfinished runs hold, these count.
    """
    base_path, held = work.view.sees.base_path, work.view.sees.held_under
    if work.way is not Way.SOFT or base_path is None or path is None or covers(path, base_path):
        return
    if held is not None and not covers(base_path, held):
        return
    runs = at_risk(work, base_path, unfinished_only=False)
    if runs:
        held_by = units.count(len(runs), "run")
        raise UserError(
            f"under {path} references of {held_by} do not resolve, finished ones among them: they lie under {base_path}",
            f"--path {shlex.quote(base_path)}",
            Verdict.REFUSED,
        )


def _holds_nothing(work: Work) -> None:
    """Refuse to leave ``dual-read`` while any row holds a reference: asked now, behind its barrier."""
    if work.way is not Way.EXIT:
        return
    for base_path in dict.fromkeys(filter(None, (work.wanted.base_path, default_base_path(work)))):
        stored = held(work.agents.fleet(), base_path, work.waiting, store=False)
        gate = gates.references(stored, None, work.wanted.options)
        if is_in_the_way(gate):
            raise UserError(f"{gate.title}? {gate.detail}", gate.hint, Verdict.REFUSED)


def _planned(work: Work) -> SettingsEntry:
    """What the deployment plans; where it names no path, the one under which references lie."""
    planned = work.wanted.planned
    if planned.path is not None or work.way.target is Phase.INLINE:
        return planned
    sees = work.view.sees
    return SettingsEntry(sees.held_under or sees.base_path, planned.threshold, planned.compression)


#: The steps of the soft kill-switch, and those in the middle of the hard one.
STEPS: tuple[Step, ...] = (Revert(), Deploy(), Confirm())
