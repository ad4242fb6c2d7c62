"""A Loki for tests: its HTTP API, limits, refusals and texts as the real one documents them, and faults on demand."""

from tests.support.loki.rules import Fault, Rules
from tests.support.loki.server import FakeLoki, fake_loki

__all__ = ["FakeLoki", "Fault", "Rules", "fake_loki"]
