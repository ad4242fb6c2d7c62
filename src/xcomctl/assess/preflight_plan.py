"""What a pre-flight is going to do: what is asked of which context, and which way leads to the task."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xcomctl.assess.drift import CHECK_ID as DRIFT
from xcomctl.assess.preflight import Ask, Preflight, UsageError, catalogue, report_of
from xcomctl.clients.airflow_api import without_login
from xcomctl.deployment.deployments import ApiEntry, Deployment
from xcomctl.deployment.reach.interface import Reach
from xcomctl.errors import UserError
from xcomctl.model.phases import Phase
from xcomctl.model.preflight import PreflightOptions, PreflightReport
from xcomctl.model.redaction import redact
from xcomctl.report.progress import Progress

#: What says what a context resolves, for whoever asks for nothing but the comparison.
_COMPARED = ("config_backend", "config_path", "config_threshold", "config_compression")


@dataclass(frozen=True)
class PreflightPlan:
    """``options`` are what is asked for. ``task_way`` leads to the task: an API, a context, or nothing asked for.

    ``deployment`` is the name from ``xcomctl.toml``.
    """

    options: PreflightOptions
    reaches: tuple[Reach, ...]
    task_way: ApiEntry | Reach | None = None
    deployment: str | None = None

    def lines(self) -> list[str]:
        """The plan in words, for ``--dry-run``."""
        where = [redact(reach.name) for reach in self.reaches] + (["a task"] if self.task_way is not None else [])
        said = [f"would run the checks in: {'; '.join(where)}"]
        if self.options.functional:
            said.append("would write, read and delete objects below the path (--functional-s3)")
        if isinstance(self.task_way, ApiEntry):
            said.append(f"would trigger a run of the canary DAG through {redact(without_login(self.task_way.url))}")
        elif self.task_way is not None:
            said.append(f"would trigger a run of the canary DAG through {redact(self.task_way.name)}")
        return [*said, "would record the result in the journal; nothing else is written"]


def plan(
    options: PreflightOptions,
    deployment: Deployment | None,
    reaches: Sequence[Reach],
    api: ApiEntry | None,
) -> PreflightPlan:
    """The plan for what the command line says; ``reaches`` are the contexts that it names or stands in.

    What a deployment plans stands in for what the command line leaves open, where something is planned at all. The
    task is reached through the API that is given or that the deployment has, else through the first context. An API
    alone will do: managed Airflow gives no way into a context. Raises :class:`UserError`.
    """
    if deployment is not None:
        options = _with_settings(options, deployment)
        api = api or deployment.api
    if not options.in_task:
        api = None
    if not reaches and api is None:
        assert deployment is not None  # the command line always names a context
        raise UserError(*deployment.without_contexts())
    way: ApiEntry | Reach | None = (api or reaches[0]) if options.in_task else None
    return PreflightPlan(options, tuple(reaches), way, deployment.name if deployment is not None else None)


def execute(
    planned: PreflightPlan,
    progress: Progress,
    log: Callable[[str, str], None],
    *,
    task_timeout_s: float,
    fail_on_warn: bool = False,
) -> PreflightReport:
    """Do it. Raises :class:`~xcomctl.assess.preflight.UsageError`."""
    way, several = planned.task_way, len(planned.reaches) > 1
    options = dataclasses.replace(planned.options, in_task=False)
    outside: PreflightOptions | None = _without_drift(options, several or way is not None)
    # Names are the agents' to understand; only what has to be divided between contexts needs them here.
    entries = catalogue() if several or way is not None else ()
    stop = threading.Event()
    others: dict[str, Ask] = {}
    if way is not None:
        from xcomctl.assess import in_task, task_context  # with the client of the REST API, which nobody else needs

        outside, inside = task_context.split(_without_drift(options, True), entries)
        if isinstance(way, ApiEntry):
            others[in_task.NAME] = task_context.through_api(way, inside, task_timeout_s, stop)
        else:
            others[in_task.NAME] = task_context.through_context(way, inside, task_timeout_s, stop)
    contexts = Preflight(outside, planned.reaches, progress, log, entries=entries, others=others, stop=stop).run()
    return report_of(planned.options, contexts, fail_on_warn=fail_on_warn)


def _without_drift(options: PreflightOptions, several: bool) -> PreflightOptions:
    """The options for a context: the comparison of contexts is not its business, what is compared is."""
    only = tuple(name for name in options.only if name != DRIFT)
    if options.only and not only:
        if not several:
            raise UsageError(f"{DRIFT} compares contexts, and there is one", "name several with --via, or a deployment")
        only = _COMPARED
    return dataclasses.replace(options, only=only, skip=tuple(name for name in options.skip if name != DRIFT))


def _with_settings(options: PreflightOptions, deployment: Deployment) -> PreflightOptions:
    if not options.planned and options.phase not in (Phase.DUAL_READ.value, Phase.OFFLOAD.value):
        return options
    settings = deployment.settings
    return dataclasses.replace(
        options,
        expect_path=settings.path if options.expect_path is None else options.expect_path,
        expect_threshold=(
            settings.threshold
            if options.expect_threshold is None and options.phase != Phase.DUAL_READ.value
            else options.expect_threshold
        ),
        expect_compression=settings.compression if options.expect_compression is None else options.expect_compression,
    )
