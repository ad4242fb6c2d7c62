"""The phases of XCom storage, and which one a context's resolved settings amount to (DESIGN §1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Optional
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from xcomctl.model.settings import Settings


class Line(str, Enum):
    """A major line of Airflow. What a backend does with one and the same value differs between the two."""

    AF2 = "2"
    AF3 = "3"


class Phase(str, Enum):
    """What the settings make of reads and writes. Only the first three are ever a target."""

    INLINE = "inline"
    DUAL_READ = "dual-read"
    OFFLOAD = "offload"
    MISCONFIGURED = "misconfigured"
    UNKNOWN = "unknown"

    @property
    def is_target(self) -> bool:
        """Whether a change may aim at this phase."""
        return self in (Phase.INLINE, Phase.DUAL_READ, Phase.OFFLOAD)


#: What a carrier says for ``inline``: importable on both lines, and what the runbook writes and expects.
BASE_XCOM = "airflow.models.xcom.BaseXCom"
#: The class of the common.io provider; importable on both lines.
OBJECT_STORAGE_BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
#: What ``[core] xcom_backend`` resolves to when nothing sets it (``config.yml`` of 2.11 and 3.3).
DEFAULT_BASE_XCOM: Mapping[Line, str] = {
    Line.AF2: "airflow.models.xcom.BaseXCom",
    Line.AF3: "airflow.sdk.execution_time.xcom.BaseXCom",
}
#: Every name by which Airflow imports its own class: all of them are ``inline`` (F48). The last one is where 3.x
#: defines the class. The ``airflow.sdk`` names cannot be imported on 2.x, which is the context's class error to tell.
BASE_XCOM_SPELLINGS = frozenset({*DEFAULT_BASE_XCOM.values(), BASE_XCOM, "airflow.sdk.bases.xcom.BaseXCom"})

#: Schemes of stores that live in a path instead of a bucket, a container or a host.
_LOCAL_SCHEMES = frozenset({"file", "local", "memory"})


@dataclass(frozen=True)
class PhaseFinding:
    """A phase and the sentence that says why it is that one."""

    phase: Phase
    reason: str


def phase_of(settings: Settings) -> PhaseFinding:
    """The phase that resolved settings amount to.

    It judges the settings alone: whether the class can be imported and the store reached is for a context to tell,
    and a threshold above the floor (F36) is a gate, not a phase. An empty class name is ``inline``, since Airflow
    then falls back to its own class (observed on 2.11.2 and 3.3.2).
    """
    backend = settings.backend
    if not backend:
        return PhaseFinding(Phase.INLINE, "no XCom backend is set, so Airflow uses its own class")
    if backend in BASE_XCOM_SPELLINGS:
        return PhaseFinding(Phase.INLINE, f"the XCom backend is Airflow's own class, {backend}")
    if backend != OBJECT_STORAGE_BACKEND:
        return PhaseFinding(Phase.UNKNOWN, f"the XCom backend is {backend}, which xcomctl does not know")
    problem = path_problem(settings.path)
    if problem is not None:
        return PhaseFinding(Phase.MISCONFIGURED, problem)
    threshold = settings.threshold
    if threshold is None:
        return PhaseFinding(
            Phase.MISCONFIGURED, f"the threshold {settings.threshold_raw!r} is not a whole number, so every push fails"
        )
    if threshold < 0:
        return PhaseFinding(
            Phase.DUAL_READ, f"the threshold is {threshold}: everything is written inline, references are read"
        )
    return PhaseFinding(
        Phase.OFFLOAD, f"the threshold is {threshold}: values of {threshold} bytes and more go into the store"
    )


def path_problem(path: Optional[str]) -> Optional[str]:
    """Why a base path cannot be one, in a sentence; ``None`` when it can.

    ``None`` stands for a setting that does not resolve. Only the form is judged: a path that names a missing bucket
    or connection is well-formed (F20, F21).
    """
    if path is None:
        return "xcom_objectstorage_path does not resolve, so no reference is read"
    if not path.strip():
        return "xcom_objectstorage_path is empty, so no reference is read"
    try:
        parts = urlsplit(path)
        host = parts.netloc.rpartition("@")[2]
    except ValueError as error:
        return f"xcom_objectstorage_path {path!r} is no URL: {error}"
    if not parts.scheme or "://" not in path:
        return f"xcom_objectstorage_path {path!r} has no scheme, so no reference is read and large values are lost"
    if parts.scheme in _LOCAL_SCHEMES:
        if not (host + parts.path).strip("/"):
            return f"xcom_objectstorage_path {path!r} names no folder"
    elif not host:
        return f"xcom_objectstorage_path {path!r} names no bucket"
    return None
