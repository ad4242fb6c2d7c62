"""What is said of each section: whether its input is there, new enough and about the same, and how it ended."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping

from xcomctl.assess import decision_terms as terms_of
from xcomctl.assess.decision_inputs import narrowed_to
from xcomctl.assess.decision_terms import Terms
from xcomctl.model import decision
from xcomctl.model.decision import Choice, Evidence, Judged, PlanSeen, effect_of
from xcomctl.model.fingerprint import Difference, Fingerprint, compare, fingerprint_of, minor
from xcomctl.model.readiness import PASSED, REQUIRED
from xcomctl.model.settings import THRESHOLD_FLOOR
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.report import units

CATEGORY = "decision"
#: What begins so counts, as far as it goes.
_INCOMPLETE = "incomplete: "


def judge(evidence: Evidence, choice: Choice, terms: Terms, again: str) -> dict[str, Judged]:
    """What is said of every section that rests on something, by name. ``again`` is the command that writes the file anew."""
    looks: Mapping[str, Callable[[], Judged]] = {
        decision.DECISION: lambda: _decision(choice, evidence, again),
        decision.MEASURED: lambda: _measured(evidence, terms),
        decision.THRESHOLDS: lambda: _thresholds(evidence, choice, terms),
        decision.PREFLIGHT: lambda: _preflight(evidence, terms),
        decision.REHEARSAL: lambda: _rehearsal(evidence, choice, terms, again),
        decision.PLAN_UP: lambda: _plan(evidence.up, terms),
    }
    return {name: looks[name]() for name in decision.JUDGED}


def _decision(choice: Choice, evidence: Evidence, again: str) -> Judged:
    name = decision.DECISION
    if choice.threshold is None:
        return Judged(_check(name, Status.SKIP, "no threshold is chosen", again), (), ())
    shown = f"{units.number(choice.threshold)} bytes"
    if (floor := _below_floor(choice, evidence)) is not None:
        return Judged(_check(name, Status.FAIL, f"{shown} is below the floor of {units.number(floor)} bytes", again))
    if choice.decided is None:
        return Judged(_check(name, Status.SKIP, f"{shown}, not decided yet", f"{again} --decided-by NAME"))
    return Judged(_check(name, Status.OK, f"{shown}, decided by {choice.decided.by} on {choice.decided.at}"))


def _measured(evidence: Evidence, terms: Terms) -> Judged:
    report = evidence.size
    if report is None:
        return _missing(
            decision.MEASURED, "no measurement is in the journal, and no file was named", terms.size_command()
        )
    said = [*terms.too_old(report.at), *terms.another_deployment(report.deployment)]
    said += terms.another_path(terms_of.size_path(evidence))
    if narrowed := narrowed_to(report.query):
        said.append(f"narrowed to {narrowed}")
    flown = evidence.preflight.versions.get("airflow") if evidence.preflight is not None else None
    if isinstance(flown, str) and flown and minor(flown) != minor(report.answer.airflow):
        said.append(f"on Airflow {report.answer.airflow}, and the pre-flight found {flown}")
    if report.verdict == Verdict.INCONCLUSIVE.value:
        said.append(f"{_INCOMPLETE}not every size, or not every check of it, could be told")
    elif report.verdict not in PASSED:
        said.append(f"it ended {report.verdict}")
    told = f"{units.count(report.answer.values, 'value')}, {units.size(report.answer.bytes)}"
    return _seen(decision.MEASURED, said, told, terms.size_command())


def _thresholds(evidence: Evidence, choice: Choice, terms: Terms) -> Judged:
    name, report = decision.THRESHOLDS, evidence.size
    if report is None:
        return _missing(name, "nothing was measured", terms.size_command())
    said = [*terms.too_old(report.at), *terms.another_deployment(report.deployment)]
    effect = effect_of(report, choice.threshold)
    if choice.threshold is not None and effect is None:
        said.append(f"what {units.number(choice.threshold)} bytes do was not measured")
    # What is uncertain was looked at, and cannot be told better; of a sample on 2.x the interval says all there is.
    elif effect is not None and not (report.answer.exact or effect.exact or effect.uncertain):
        said.append(f"{_INCOMPLETE}not measured exactly near {units.number(effect.threshold)} bytes")
    judged = _seen(name, said, f"{len(report.answer.suggestions)} suggested, {len(report.answer.thresholds)} asked for", terms.size_command())  # fmt: skip
    if (floor := _below_floor(choice, evidence)) is not None:
        check = _check(name, Status.FAIL, f"the chosen one is below the floor of {units.number(floor)} bytes (F36)")
        return Judged(check, judged.said, judged.commands)
    return judged


def _preflight(evidence: Evidence, terms: Terms) -> Judged:
    name, seen = decision.PREFLIGHT, evidence.preflight
    if seen is None:
        return _missing(name, "no pre-flight is in the journal, and no file was named", terms.preflight_command())
    said = [*terms.too_old(seen.at)]
    for path in terms_of.preflight_paths(seen):
        said += terms.another_path(path)
    for threshold in terms_of.preflight_thresholds(seen):
        said += terms.another_threshold(threshold)
    if not seen.targets:
        said.append("without a context that answered")
    if seen.options.only:
        said.append(f"of {', '.join(seen.options.only)} alone")
    return _ended(name, seen.verdict, said, f"of {units.moment(seen.at)}", terms.preflight_command())


def _rehearsal(evidence: Evidence, choice: Choice, terms: Terms, again: str) -> Judged:
    name, seen, airflow = decision.REHEARSAL, evidence.rehearsal, airflow_of(evidence)
    command = terms.rehearse_command(airflow)
    if seen is None:
        return _missing(name, "no rehearsal is in the journal, and no file was named", command)
    said = [*terms.too_old(seen.at)]
    threshold = seen.fingerprint.get("threshold", seen.settings.get("threshold"))
    said += terms.another_threshold(threshold)
    said += _other_versions(evidence)
    found, _ = differences(evidence, choice.threshold)
    said += [f"made differently: {each.sentence}" for each in found if each.field in ("backend", "compression")]
    missing = [each for each in REQUIRED if each not in seen.scenarios]
    if missing:
        said.append(f"without {' and '.join(missing)}")
    if seen.report is None:
        if not said:
            command = f"{again} --rehearsal {shlex.quote(seen.named or 'report.json')}"
        said.append(
            f"{_INCOMPLETE}the journal keeps no observations, and not what the ways down cost; its report.json does"
        )
    return _ended(name, seen.verdict, said, f"of {units.moment(seen.at)}", command)


def _plan(seen: PlanSeen | None, terms: Terms) -> Judged:
    name, command = decision.PLAN_UP, terms.plan_command()
    if seen is None:
        return _missing(name, "no plan was named (a plan is not in the journal)", command)
    said = [*terms.too_old(seen.at), *terms.another_deployment(seen.deployment)]
    for path in terms_of.plan_paths(seen):
        said += terms.another_path(path)
    for threshold in terms_of.plan_thresholds(seen):
        said += terms.another_threshold(threshold)
    if seen.verdict != Verdict.OK.value:
        said.append(f"{seen.verdict}: its next step could not be taken then")
    way = f"{seen.start or 'not one phase'} → {seen.target}"
    return _seen(name, said, f"{way}, {units.count(len(seen.steps), 'step')}", command)


def airflow_of(evidence: Evidence) -> str | None:
    """The version of Airflow to rehearse: that of the contexts as far as an input tells, else the one that was rehearsed."""
    rehearsed = evidence.rehearsal.fingerprint.get("airflow") if evidence.rehearsal is not None else None
    return _versions(evidence).get("airflow") or (rehearsed if isinstance(rehearsed, str) and rehearsed else None)


def differences(evidence: Evidence, threshold: int | None) -> tuple[list[Difference], str]:
    """What was rehearsed against what the pre-flight tried, as the gate of a flip sees it; and why that cannot be told."""
    flown, rehearsed = evidence.preflight, evidence.rehearsal
    if flown is None or rehearsed is None or threshold is None or not flown.targets:
        return [], ""
    target = flown.targets[0]
    try:
        planned = fingerprint_of(
            str(target.get("backend")), str(target.get("path") or ""), threshold, target.get("compression") or None,
            str(flown.versions.get("airflow", "")), str(flown.versions.get("common_io", "")),
        )  # fmt: skip
        return compare(Fingerprint.from_json(rehearsed.fingerprint), planned), ""
    except (ValueError, TypeError) as error:
        return [], str(error)


def _other_versions(evidence: Evidence) -> Iterator[str]:
    assert evidence.rehearsal is not None
    runs = _versions(evidence)
    for name, shown in (("airflow", "Airflow"), ("common_io", "common-io")):
        rehearsed, running = evidence.rehearsal.fingerprint.get(name), runs.get(name)
        if isinstance(rehearsed, str) and running and minor(rehearsed) != minor(running):
            yield f"with {shown} {rehearsed}, and the contexts run {running}"


def _versions(evidence: Evidence) -> dict[str, str]:
    """Airflow's and the provider's version, of the pre-flight, else of the measurement, else of a plan."""
    sources: list[object] = [evidence.preflight.versions] if evidence.preflight is not None else []
    sources += [{"airflow": evidence.size.answer.airflow}] if evidence.size is not None else []
    sources += evidence.up.contexts.values() if evidence.up is not None else ()
    found: dict[str, str] = {}
    for each in sources:
        if isinstance(each, Mapping):
            for name in ("airflow", "common_io"):
                if name not in found and isinstance(each.get(name), str) and each[name]:
                    found[name] = each[name]
    return found


def _below_floor(choice: Choice, evidence: Evidence) -> int | None:
    floor = evidence.size.answer.floor.bytes if evidence.size is not None else THRESHOLD_FLOOR
    return floor if choice.threshold is not None and choice.threshold < floor else None


def _missing(name: str, why: str, command: str) -> Judged:
    return Judged(_check(name, Status.SKIP, why, command), (f"Missing: {why}.",), (command,))


def _seen(name: str, said: list[str], told: str, command: str) -> Judged:
    """Of what is there: well, or stale, or incomplete by these reasons."""
    if not said:
        return Judged(_check(name, Status.OK, told))
    reasons = tuple(dict.fromkeys(said))
    sentences = tuple(
        f"{each[0].upper()}{each[1:]}." if each.startswith(_INCOMPLETE) else f"Does not count: {each}."
        for each in reasons
    )
    return Judged(_check(name, Status.WARN, "; ".join(reasons), command), sentences, (command,))


def _ended(name: str, verdict: str, said: list[str], told: str, command: str) -> Judged:
    """Of what has a verdict of its own: failed, or without a result, or as :func:`_seen`."""
    judged = _seen(name, said, f"{verdict}, {told}", command)
    if verdict in PASSED:
        return judged
    status = Status.FAIL if verdict == Verdict.FAILED.value else Status.SKIP
    check = _check(name, status, "; ".join([f"{verdict}, {told}", *said]), command)
    return Judged(check, judged.said, (command,))


def _check(name: str, status: Status, detail: str, hint: str = "") -> Check:
    return Check(name, CATEGORY, decision.TITLES[name], status, detail, hint)
