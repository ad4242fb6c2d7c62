"""Schemes of base paths: which of them lead into the same store."""

from __future__ import annotations

#: Schemes that the providers open with one and the same file system, by the one that is named for it.
_SYNONYMS = {
    "s3a": "s3", "s3n": "s3",
    "gcs": "gs",
    "abfss": "abfs", "adl": "abfs",
    "local": "file",
}  # fmt: skip


def store_scheme(scheme: str) -> str:
    """The one scheme that stands for all that lead into the same store: ``s3`` for ``s3a``; unknown ones stay."""
    scheme = scheme.lower()
    return _SYNONYMS.get(scheme, scheme)
