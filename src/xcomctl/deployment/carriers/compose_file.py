"""docker compose files: the ``environment`` of the services that run Airflow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from xcomctl.deployment.carriers import compose_services
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.survey import Survey
from xcomctl.deployment.carriers.yaml_carrier import YamlCarrier
from xcomctl.deployment.carriers.yaml_layers import Branch, Document

_SERVICES = re.compile(rb"(?m)^(?:\xef\xbb\xbf)?services[ \t]*:")


def is_compose(path: Path, content: bytes) -> bool:
    """Whether YAML is a compose file: it has ``services`` at the top."""
    return path.suffix in (".yaml", ".yml") and _SERVICES.search(content) is not None


class ComposeFile(YamlCarrier):
    """One compose file. Overrides of several files are not laid over each other."""

    kind: ClassVar[str] = "compose file"
    names: ClassVar[str] = "*.yaml and *.yml with services of docker compose"

    @classmethod
    def is_one(cls, path: Path, content: bytes) -> bool:
        """Whether it is YAML with ``services`` at the top."""
        return is_compose(path, content)

    def _surveyed(self, root: Branch, last: Document) -> Survey:
        if len(self.paths) > 1:
            raise CarrierError(
                f"{self.shown}: only Helm values are read as several files", "name the one that carries the settings"
            )
        found = compose_services.survey(root, last)
        if not found.homes:
            raise CarrierError(
                f"{self.shown} has no service that runs Airflow", "name the file with Airflow's services"
            )
        return found
