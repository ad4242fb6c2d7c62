"""What a rehearsal was made with, and whether that is close enough to what is planned (the gate of ``flip``)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Optional
from urllib.parse import urlsplit

SCHEMA = "xcomctl.fingerprint/1"


class Severity(str, Enum):
    """What a difference means for the gate."""

    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True)
class Difference:
    """One field in which what was rehearsed and what is planned differ, with both values."""

    field: str
    severity: Severity
    rehearsed: Any
    planned: Any

    @property
    def sentence(self) -> str:
        """The difference for a person."""
        return f"{self.field}: rehearsed with {_shown(self.rehearsed)}, planned with {_shown(self.planned)}"


def _shown(value: Any) -> str:
    return "none" if value is None or value == "" else str(value)


@dataclass(frozen=True)
class Fingerprint:
    """The settings of the offload that was rehearsed, and the versions that it was rehearsed on.

    ``backend`` is the class path, ``threshold`` in bytes of JSON, ``compression`` a codec or ``None``,
    ``path_scheme`` the scheme of the base path (``s3``). ``airflow`` and ``common_io`` are full versions
    (``3.3.2``). Secrets and the path itself are not part of it.
    """

    backend: str
    threshold: int
    compression: Optional[str]
    path_scheme: str
    airflow: str
    common_io: str

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over what has to be the same: backend, threshold, Airflow's and the provider's minor version.

        Equal digests are what :func:`compare` finds nothing to refuse in.
        """
        strict = [self.backend, self.threshold, minor(self.airflow), minor(self.common_io)]
        return hashlib.sha256(json.dumps(strict, separators=(",", ":")).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The fingerprint as plain JSON values, with its digest for those who only compare."""
        return {
            "schema": SCHEMA,
            "backend": self.backend,
            "threshold": self.threshold,
            "compression": self.compression,
            "path_scheme": self.path_scheme,
            "airflow": self.airflow,
            "common_io": self.common_io,
            "digest": self.digest,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Fingerprint:
        """The inverse of :meth:`to_json`. Raises ``ValueError`` for a record that is none, or was altered."""
        if record.get("schema") != SCHEMA:
            raise ValueError(f"not a {SCHEMA}: schema is {record.get('schema')!r}")
        missing = [name for name in cls.__dataclass_fields__ if name not in record]
        if missing:
            raise ValueError(f"not a {SCHEMA}: {', '.join(missing)} missing")
        if isinstance(record["threshold"], bool) or not isinstance(record["threshold"], int):
            raise ValueError(f"not a {SCHEMA}: the threshold {record['threshold']!r} is no whole number")
        made = cls(**{name: record[name] for name in cls.__dataclass_fields__})
        if "digest" in record and record["digest"] != made.digest:
            raise ValueError("the fingerprint's digest does not belong to its fields")
        return made


def fingerprint_of(
    backend: str, path: str, threshold: int, compression: Optional[str], airflow: str, common_io: str
) -> Fingerprint:
    """The fingerprint of an offload with that base path (of which only the scheme is kept)."""
    return Fingerprint(
        backend=backend,
        threshold=threshold,
        compression=compression or None,
        path_scheme=urlsplit(path).scheme,
        airflow=airflow,
        common_io=common_io,
    )


def compare(rehearsed: Fingerprint, planned: Fingerprint) -> list[Difference]:
    """Every difference that matters, those that refuse first.

    Another backend, another threshold, another minor version of Airflow or of the provider: refuse. Another patch
    version, another scheme of the base path, another compression: warn.
    """
    found: list[Difference] = []

    def differ(field: str, severity: Severity) -> None:
        found.append(Difference(field, severity, getattr(rehearsed, field), getattr(planned, field)))

    for field in ("backend", "threshold"):
        if getattr(rehearsed, field) != getattr(planned, field):
            differ(field, Severity.REFUSE)
    for field in ("airflow", "common_io"):
        before, after = getattr(rehearsed, field), getattr(planned, field)
        if minor(before) != minor(after):
            differ(field, Severity.REFUSE)
        elif before != after:
            differ(field, Severity.WARN)
    if rehearsed.path_scheme != planned.path_scheme:
        differ("path_scheme", Severity.WARN)
    if (rehearsed.compression or None) != (planned.compression or None):
        differ("compression", Severity.WARN)
    return sorted(found, key=lambda difference: difference.severity is not Severity.REFUSE)


def minor(version: str) -> str:
    """The first two numbers of a version: ``3.3`` of ``3.3.2``, ``3.4`` of ``3.4.0rc1``; the text itself if it has none."""
    match = re.match(r"\s*v?(\d+)\.(\d+)", version)
    return f"{int(match.group(1))}.{int(match.group(2))}" if match else version
