"""Layer A: whether a context resolves the settings, by what Airflow gives there; presence is never proof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xcomctl.deployment.agent_errors import AgentError
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Phase, path_problem
from xcomctl.model.preflight import CONTEXT, ContextReport, PreflightAnswer
from xcomctl.model.redaction import redact
from xcomctl.model.requests import Identity, Resolution, ResolvedSetting
from xcomctl.model.settings import PATH, SETTINGS, THRESHOLD, Setting, format_threshold
from xcomctl.model.verdicts import Check, Status
from xcomctl.model.verification import KILL_SWITCH, RESOLUTION, VerifiedContext

ANSWERS = "context_answers"


@dataclass(frozen=True)
class Expected:
    """What has to resolve; ``None`` for anything that works."""

    backend: str = OBJECT_STORAGE_BACKEND
    path: str | None = None
    threshold: int | None = None


def checks(found: Resolution, expected: Expected) -> Iterator[Check]:
    """What is to be said about one context's resolution."""
    yield _settings(found, expected)
    yield _class(found, expected)
    if found.near_misses:
        bad = _path_problem(found) is not None or found.phase in (Phase.MISCONFIGURED.value, Phase.INLINE.value)
        yield Check(
            "resolution_names", RESOLUTION, "no name of a setting is misspelt",
            Status.FAIL if bad else Status.WARN, "; ".join(found.near_misses),
            "xcomctl preflight --only config_near_misses",
        )  # fmt: skip


def _settings(found: Resolution, expected: Expected) -> Check:
    problems, hints = [], []
    problem = _path_problem(found)
    if problem is not None:
        problems.append(problem)
        hints.append(f"{PATH.env}={expected.path or 's3://CONNECTION@BUCKET/xcom'}")
    elif expected.path is not None and found.path.value != expected.path:
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
    return Check("resolution_settings", RESOLUTION, title, Status.OK, redact(detail), data={"phase": found.phase})


def _class(found: Resolution, expected: Expected) -> Check:
    title = "XCom is the expected class"
    if found.class_path is None:
        return Check(
            "resolution_class", RESOLUTION, title, Status.FAIL,
            redact(f"{KILL_SWITCH}: XCom does not import: {found.class_error}"),
            "correct [core] xcom_backend; xcomctl preflight --only provider",
        )  # fmt: skip
    name, wanted = found.class_path.rpartition(".")[2], expected.backend.rpartition(".")[2]
    if name != wanted:
        return Check(
            "resolution_class", RESOLUTION, title, Status.FAIL,
            f"{KILL_SWITCH}: XCom is {name}, expected {wanted}: this context is {found.phase}"
            + (", so readers of references get path strings" if found.phase == Phase.INLINE.value else ""),
            f"AIRFLOW__CORE__XCOM_BACKEND={expected.backend}",
        )  # fmt: skip
    return Check("resolution_class", RESOLUTION, title, Status.OK, f"XCom is {name}")


def _path_problem(found: Resolution) -> str | None:
    if found.path.error is not None:
        return f"the path does not resolve: {found.path.error}"
    return path_problem(None if found.path.value is None else str(found.path.value))


def _shown(found: Resolution, setting: Setting) -> str:
    resolved: ResolvedSetting = getattr(found, setting.name)
    return f"{resolved.value} ({resolved.source})"


def unanswered(error: AgentError) -> Check:
    """The check that stands for a context which did not answer."""
    return Check(
        ANSWERS, CONTEXT, "the context answers", Status.SKIP, redact(error.message), redact(error.hint),
        data={"log": [redact(line) for line in error.log]} if error.log else {},
    )  # fmt: skip


def as_report(context: VerifiedContext, identity: Identity | None) -> ContextReport:
    """The context as the comparison of contexts takes it."""
    found = context.resolution
    if found is None or identity is None:
        return ContextReport(context.name, context.checks)
    return ContextReport(
        context.name,
        context.checks,
        PreflightAnswer(
            airflow=identity.airflow,
            line=identity.line,
            python=identity.python,
            hostname=identity.hostname,
            providers=identity.providers,
            settings={setting.name: getattr(found, setting.name).to_json() for setting in SETTINGS},
            phase=found.phase,
            target={},
        ),
    )
