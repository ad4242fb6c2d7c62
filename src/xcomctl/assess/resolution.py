"""Layer A: whether a context resolves the settings, by what Airflow gives there; presence is never proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xcomctl.deployment.agent_errors import AgentError
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.model.phases import BASE_XCOM_SPELLINGS, OBJECT_STORAGE_BACKEND, Phase, path_problem
from xcomctl.model.preflight import CONTEXT, ContextReport, PreflightAnswer
from xcomctl.model.redaction import redact
from xcomctl.model.requests import Resolution, ResolvedSetting
from xcomctl.model.settings import BACKEND, PATH, SETTINGS, THRESHOLD, Setting, format_threshold
from xcomctl.model.status import RUN_NO_TASKS, RunningProcess, StatusAnswer
from xcomctl.model.suspects import HANDS_PATHS_OVER
from xcomctl.model.verdicts import Check, Status
from xcomctl.model.verification import KILL_SWITCH, RESOLUTION, VerifiedContext
from xcomctl.report import units

ANSWERS = "context_answers"


@dataclass(frozen=True)
class Expected:
    """What has to resolve; ``None`` for anything that works."""

    backend: str = OBJECT_STORAGE_BACKEND
    path: str | None = None
    threshold: int | None = None

    def or_planned(self, planned: SettingsEntry | None) -> Expected:
        """What was asked for, and for the rest what the deployment plans."""
        if planned is None:
            return self
        threshold = planned.threshold if self.threshold is None else self.threshold
        return Expected(self.backend, self.path or planned.path, threshold)

    def counting(self, asked: Expected, phase: str) -> Expected:
        """What of it counts in a phase: what was ``asked`` for always, what is merely planned where it applies.

        A planned path applies once references are read, a planned threshold in ``offload`` alone: after the first step up,
        and after the soft way down, -1 is what has to resolve.
        """
        return Expected(
            self.backend,
            asked.path if phase == Phase.INLINE.value else self.path,
            self.threshold if phase == Phase.OFFLOAD.value else asked.threshold,
        )


def checks(found: Resolution, expected: Expected, asked: Expected | None = None) -> Iterator[Check]:
    """What is to be said about one context's resolution.

    ``expected`` is what is planned, ``asked`` the part of it that the command line insists on: all of it by default.
    """
    yield _settings(found, expected, expected if asked is None else asked)
    yield _class(found, expected)
    if found.near_misses:
        bad = _path_problem(found) is not None or found.phase in (Phase.MISCONFIGURED.value, Phase.INLINE.value)
        yield Check(
            "resolution_names", RESOLUTION, "no name of a setting is misspelt",
            Status.FAIL if bad else Status.WARN, "; ".join(found.near_misses),
            "xcomctl preflight --only config_near_misses",
        )  # fmt: skip


def _settings(found: Resolution, planned: Expected, asked: Expected) -> Check:
    problems, hints = [], []
    expected = planned.counting(asked, found.phase)
    problem = _path_problem(found)
    if problem is not None:
        problems.append(problem)
        hints.append(f"{PATH.env}={planned.path or 's3://CONNECTION@BUCKET/xcom'}")
    elif expected.path is not None and str(found.path.value).rstrip("/") != expected.path.rstrip("/"):
        problems.append(f"the path resolves to {found.path.value} ({found.path.source}), expected {expected.path}")
        hints.append(f"{PATH.env}={expected.path}")
    if found.threshold.error is not None:
        problems.append(f"the threshold does not resolve: {found.threshold.error}")
        hints.append(
            f'{THRESHOLD.env}="{format_threshold(expected.threshold if expected.threshold is not None else -1)}"'
        )
    elif expected.threshold is not None and found.threshold.value != expected.threshold:
        problems.append(
            f"the threshold resolves to {found.threshold.value} ({found.threshold.source}), expected {expected.threshold}"
        )
        hints.append(f'{THRESHOLD.env}="{format_threshold(expected.threshold)}"')
    title = "path and threshold resolve"
    if problems:
        return Check(
            "resolution_settings", RESOLUTION, title, Status.FAIL, redact(f"{KILL_SWITCH}: {'; '.join(problems)}"),
            redact("\n".join(hints)), data={"phase": found.phase},
        )  # fmt: skip
    detail = f"path {_shown(found, PATH)}, threshold {_shown(found, THRESHOLD)}: {found.phase}"
    if planned.threshold is not None and expected.threshold is None:
        detail += f"; the planned threshold {planned.threshold} is for {Phase.OFFLOAD.value}"
    return Check("resolution_settings", RESOLUTION, title, Status.OK, redact(detail), data={"phase": found.phase})


def _class(found: Resolution, expected: Expected) -> Check:
    title = "XCom is the expected class"
    if found.class_path is None:
        return Check(
            "resolution_class", RESOLUTION, title, Status.FAIL,
            redact(f"{KILL_SWITCH}: XCom does not import: {found.class_error}"),
            "correct [core] xcom_backend; xcomctl preflight --only provider",
        )  # fmt: skip
    if not _same_class(found.class_path, expected.backend):
        name, wanted = found.class_path.rpartition(".")[2], expected.backend.rpartition(".")[2]
        if name == wanted:  # of another module
            name, wanted = found.class_path, expected.backend
        return Check(
            "resolution_class", RESOLUTION, title, Status.FAIL,
            f"{KILL_SWITCH}: XCom is {name}, expected {wanted}: this context is {found.phase}"
            + (", so readers of references get path strings" if found.phase == Phase.INLINE.value else ""),
            f"{BACKEND.env}={expected.backend}",
        )  # fmt: skip
    return Check("resolution_class", RESOLUTION, title, Status.OK, f"XCom is {found.class_path.rpartition('.')[2]}")


def _same_class(one: str, wanted: str) -> bool:
    """Airflow's own class has several names (F48); a name without its module is compared as one."""
    if "." not in wanted:
        return one.rpartition(".")[2] == wanted
    return one == wanted or {one, wanted} <= set(BASE_XCOM_SPELLINGS)


def _path_problem(found: Resolution) -> str | None:
    if found.path.error is not None:
        return f"the path does not resolve: {found.path.error}"
    return path_problem(None if found.path.value is None else str(found.path.value))


def _shown(found: Resolution, setting: Setting) -> str:
    resolved: ResolvedSetting = getattr(found, setting.name)
    return f"{resolved.value} ({resolved.source})"


def running(answer: StatusAnswer) -> Check | None:
    """Whether the processes that run there started with what a fresh one resolves; ``None`` where none is seen (F41).

    What a fresh process resolves is what the next start will have; tasks get what their scheduler or worker started with.
    """
    title = "running processes started with what resolves"
    hidden = [each for each in answer.running if each.phase is None]
    differing = [each for each in answer.running if each.phase is not None]
    of_tasks = [each for each in differing if each.component not in RUN_NO_TASKS]
    handing = [each for each in of_tasks if each.phase in HANDS_PATHS_OVER]
    unknown = f"what {_processes(hidden)} started with cannot be read" if hidden else ""
    if handing or differing:
        said = "; ".join(
            f"{_processes([each])} started in {each.phase}: {each.differs}" for each in handing or differing
        )
        status = Status.FAIL if handing else Status.SKIP if of_tasks else Status.WARN
        detail = f"{KILL_SWITCH}: {said}: its tasks get path strings for references" if handing else said
        return Check(
            "resolution_running", RESOLUTION, title, status, redact("; ".join(filter(None, (detail, unknown)))),
            f"restart {_processes(handing or differing)}, to start with what resolves there",
        )  # fmt: skip
    if not answer.processes:
        return Check("resolution_running", RESOLUTION, title, Status.WARN, unknown) if hidden else None
    detail = f"{units.count(answer.processes, 'process', 'processes')} started with what resolves"
    return Check("resolution_running", RESOLUTION, title, Status.OK, "; ".join(filter(None, (detail, unknown))))


def phases(answer: StatusAnswer) -> dict[str, str]:
    """The phases of what starts tasks there, with whose they are: of the running processes where these can be asked."""
    differing = {
        each.phase: f"running {each.component}"
        for each in answer.running
        if each.phase is not None and each.component not in RUN_NO_TASKS
    }
    return differing or {answer.resolution.phase: "now"}


def _processes(found: Sequence[RunningProcess]) -> str:
    return ", ".join(f"{each.component} (pid {each.pid})" for each in found)


def unanswered(error: AgentError) -> Check:
    """The check that stands for a context which did not answer."""
    return Check(
        ANSWERS, CONTEXT, "the context answers", Status.SKIP, redact(error.message), redact(error.hint),
        data={"log": [redact(line) for line in error.log]} if error.log else {},
    )  # fmt: skip


def as_report(context: VerifiedContext, answer: StatusAnswer | None) -> ContextReport:
    """The context as the comparison of contexts takes it."""
    if answer is None:
        return ContextReport(context.name, context.checks)
    found = answer.resolution
    return ContextReport(
        context.name,
        context.checks,
        PreflightAnswer(
            airflow=answer.airflow,
            line=answer.line,
            python=answer.python,
            hostname=answer.hostname,
            providers=answer.providers,
            settings={setting.name: getattr(found, setting.name).to_json() for setting in SETTINGS},
            phase=found.phase,
            target={},
        ),
    )
