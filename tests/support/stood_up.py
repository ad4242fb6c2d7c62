"""A sandbox that goes through no rehearsal: started in ``offload``, and deployed into whatever phase a test needs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

from tests.support.walk import THRESHOLD, Site
from xcomctl.model.phases import Phase
from xcomctl.model.settings import settings_for
from xcomctl.rehearsal import environments
from xcomctl.rehearsal.sandbox import deploys, objectstore
from xcomctl.rehearsal.sandbox.airflow import HOLD_POOL
from xcomctl.rehearsal.sandbox.deployment import Sandbox, Waiting


class _Steps:
    @contextlib.contextmanager
    def step(self, id: str, title: str) -> Iterator[Waiting]:
        yield self

    def waiting(self, what: str) -> None:
        """Nobody watches."""


class StoodUp(Site):
    """It is up as long as the block lasts. ``dags`` are file names and sources, each file called like a DAG in it."""

    def __init__(self, environment: Path, dags: Mapping[str, str]) -> None:
        self._sandbox = Sandbox.create(environments.existing(environment, store="s3"), "s3")
        self._dags = dags
        self._deployed = b""

    def __enter__(self) -> Self:
        path = f"s3://{objectstore.CONNECTION_ID}@{objectstore.BUCKET}/xcom"
        try:
            self.sandbox.start(settings_for(Phase.OFFLOAD, path, THRESHOLD), self._dags, _Steps())
            assert self.base_path == path
            self._deployed = self.carrier.read_bytes()
            self.hold(False)
        except BaseException:
            self.sandbox.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.stop()

    @property
    def sandbox(self) -> Sandbox:
        """It."""
        return self._sandbox

    @property
    def carrier(self) -> Path:
        """What carries its settings."""
        return self.sandbox.airflow.carrier

    def to(self, phase: Phase) -> None:
        """Deploy that phase, unless it is deployed."""
        self.sandbox.configure(settings_for(phase, self.base_path, THRESHOLD))
        self._deploy()

    def hold(self, held: bool) -> None:
        """Close the hold point between producers and consumers, or open it."""
        self.sandbox.airflow.api.set_pool(HOLD_POOL, 0 if held else 1, "a test's hold point")

    @contextlib.contextmanager
    def deploying(self, then: Callable[[], object] = lambda: None) -> Iterator[str]:
        """A person's own deploy as a command, which opens the hold point at its end. Every deploy ends with the block.

        As those of people do, it restarts nothing where nothing was changed since the last one. ``then`` is called once
        Airflow is up again.
        """

        def deploy() -> None:
            self._deploy()
            then()
            self.hold(False)

        with deploys.deploying(self.sandbox.folder, deploy) as command:
            yield command

    def _deploy(self) -> None:
        content = self.carrier.read_bytes()
        if content != self._deployed:
            self._deployed = b""  # whatever becomes of it
            self.sandbox.restart(lambda what: None)
            self._deployed = content
