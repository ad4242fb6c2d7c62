"""Helm values of the official Airflow chart and of the User-Community chart, also as a dependency of another chart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from xcomctl.deployment.carriers import community_chart, official_chart
from xcomctl.deployment.carriers.compose_file import is_compose
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.survey import Survey
from xcomctl.deployment.carriers.yaml_carrier import YamlCarrier
from xcomctl.deployment.carriers.yaml_layers import Branch, Document, Leaf
from xcomctl.deployment.carriers.yaml_nodes import Scalar, Sequence

SUFFIXES = (".yaml", ".yml")


class HelmValues(YamlCarrier):
    """One or several values files of a release; which chart they are for is told by their keys."""

    kind: ClassVar[str] = "Helm values"
    names: ClassVar[str] = "*.yaml and *.yml with the values of an Airflow chart"

    @classmethod
    def is_one(cls, path: Path, content: bytes) -> bool:
        """Whether it is YAML and no compose file; reading refuses YAML that is something else."""
        return path.suffix in SUFFIXES and not is_compose(path, content)

    def hooked(self) -> tuple[str, ...]:
        """Sentences about settings that take effect from a ConfigMap which Helm makes by a hook, one for each ConfigMap.

        A rollback runs no such hook: what the ConfigMap says stays, and is deleted where it was none until then.
        """
        winners = (place for each in self._effects.values() for place in each.places)
        return tuple(
            f"{at} is a Helm hook, which a rollback does not bring back (useHelmHooks: false makes it a part of the release)"
            for at in dict.fromkeys(place.home.hook for place in winners if place.home.hook)
        )

    def _surveyed(self, root: Branch, last: Document) -> Survey:
        _refuse_other(root, last)
        airflow = root.branch("airflow")
        keys = set(root.names())
        if airflow is not None and (inner := airflow.branch("airflow")) is not None:
            return community_chart.survey(root, inner, "airflow.airflow", last)
        if airflow is not None and _is_official_inside(airflow):
            return official_chart.survey(root, airflow, "airflow.", last)
        if airflow is not None:
            return community_chart.survey(root, airflow, "airflow", last)
        if keys and not keys & official_chart.KEYS:
            raise CarrierError(
                f"{self.shown} has no key of an Airflow chart's values: {', '.join(sorted(keys)[:5])}",
                "name the values of the official chart, of the User-Community chart, or a compose file",
            )
        return official_chart.survey(root, root, "", last)


def _is_official_inside(airflow: Branch) -> bool:
    """Whether ``airflow:`` holds the official chart's values, as those of a dependency, or is the community chart's own."""
    keys = set(airflow.names())
    if keys & community_chart.KEYS:
        return False
    if keys & (official_chart.KEYS - {"config", "executor", "extraEnv"}):
        return True
    config, extra = airflow.branch("config"), airflow.get("extraEnv")
    sections = config is not None and any(isinstance(config.get(name), Branch) for name in config.names())
    text = isinstance(extra, Leaf) and isinstance(extra.value, Scalar) and extra.value.style == "|"
    return (sections or text) and not (isinstance(extra, Leaf) and isinstance(extra.value, Sequence))


def _refuse_other(root: Branch, last: Document) -> None:
    kind, version = root.scalar("kind"), root.scalar("apiVersion")
    if kind is not None and version is not None:
        raise CarrierError(
            f"{last.path} is a manifest of Kubernetes ({re.sub(r'[^A-Za-z]', '', kind)}), and no Helm values",
            "name the values that it is rendered from; what is applied by hand is edited by hand",
        )
    if version is not None and root.scalar("name") is not None and root.scalar("version") is not None:
        raise CarrierError(f"{last.path} is a Chart.yaml, and no Helm values", "name the values.yaml beside it")
