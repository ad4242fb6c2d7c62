"""Versions that are known to be bad together, as data: which Airflow, which package, what happens, and the way out."""

from __future__ import annotations

import re
from dataclasses import dataclass

COMMON_IO = "apache-airflow-providers-common-io"
UNIVERSAL_PATHLIB = "universal-pathlib"


@dataclass(frozen=True)
class KnownBad:
    """Versions that go wrong together. ``failure`` is the row of the list of failures.

    ``airflow`` and ``versions`` are ranges as pip writes them, of Airflow and of ``package``; an empty one holds every
    version. ``sentence`` says what goes wrong, ``fix`` is the requirement that pip has to be given.
    """

    failure: str
    airflow: str
    package: str
    versions: str
    sentence: str
    fix: str

    def matches(self, airflow: str, version: str) -> bool:
        """Whether these two versions are in the ranges."""
        return _within(airflow, self.airflow) and _within(version, self.versions)


#: What is known of common-io. The ranges of a row are those in which the fault was seen or reported, no wider.
COMMON_IO_KNOWN_BAD = (
    KnownBad(
        "F9", "==3.0.1", COMMON_IO, "", "pulls of mapped tasks hand the path to the task, not the value",
        "apache-airflow>=3.0.5,<4",
    ),
    KnownBad(
        "F9", ">=3.0.3,<=3.0.4", COMMON_IO, "", "xcom_pull without a map index hands the path to the task, not the value",
        "apache-airflow>=3.0.5,<4",
    ),
    KnownBad(
        "F10", ">=2.9.0,<=2.9.1", COMMON_IO, "", "stored references lose the connection id",
        "apache-airflow>=2.9.2,<3",
    ),
    KnownBad(
        "F11", ">=3.0.0", COMMON_IO, "<=1.5.3", "small values come back in a second pair of quotes",
        f"{COMMON_IO}>=1.5.4",
    ),
    KnownBad(
        "F16", "<3.0.0", COMMON_IO, ">=1.6.1,<=1.6.2", "the backend imports in a circle, and no component starts",
        f"{COMMON_IO}>=1.6.3",
    ),
)  # fmt: skip

#: What is known of universal_pathlib, on which Airflow's paths are built.
UNIVERSAL_PATHLIB_KNOWN_BAD = tuple(
    KnownBad(
        "F19", airflow, UNIVERSAL_PATHLIB, ">=0.3", "every object storage path runs into the recursion limit",
        f"{UNIVERSAL_PATHLIB}>=0.2.2,<0.3",
    )
    for airflow in (">=3.0.0,<=3.1.0", ">=2.9.0,<=2.10.5")
)  # fmt: skip


def numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version, to be compared."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def missing_object_gives_path(common_io: str) -> bool:
    """Whether a pull hands over the path string where the object is gone (F2); earlier versions raise."""
    return numbers(common_io) >= (1, 6, 2)


def _within(version: str, range_: str) -> bool:
    """Whether a version lies in a range. A pre-release counts as what it is to become, a local build as its base."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    return not range_ or SpecifierSet(range_).contains(Version(version).base_version)
