"""Which workloads behind contexts are not through with the last change."""

from __future__ import annotations

from collections.abc import Sequence

from xcomctl.deployment.kubectl import Forbidden, KubectlError
from xcomctl.deployment.reach.interface import Reach
from xcomctl.deployment.reach.kubernetes import KubernetesReach
from xcomctl.deployment.workloads import unfinished, workloads

#: Components that start or host tasks or run their code.
HOSTING = ("scheduler", "worker", "triggerer", "dag-processor")
#: How it is said of rollouts that one may not look at.
UNSEEN = "may not be seen"


def rollouts(reaches: Sequence[Reach]) -> list[tuple[str, str]]:
    """The workloads behind these contexts that are not through with the last change, or cannot be seen, and why.

    The pods of a rollout that stands still may be all there is: one with the old settings, and one that does not come up.
    """
    there = dict.fromkeys(
        (each.wanted.kubectl, each.wanted.release) for each in reaches if isinstance(each, KubernetesReach)
    )
    said: list[tuple[str, str]] = []
    for cluster, release in there:
        try:
            said += unfinished(workloads(cluster, release), HOSTING)
        except KubectlError as error:
            how = UNSEEN if isinstance(error, Forbidden) else "cannot be seen now"
            said.append((f"the rollouts in the namespace {cluster.namespace}", f"{how}: {error.message}"))
    return said
