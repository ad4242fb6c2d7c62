"""Whether the place for a base path is there, without ever making it; how long it keeps objects."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Optional

from xcomctl.store.opened import Store, Tried


class Presence(Enum):
    """What is known about a bucket."""

    THERE = "there"
    MISSING = "missing"
    #: The store would not say: this is not the same as missing.
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Place:
    """The bucket, container or folder below which objects would lie. ``tried`` is the request that told."""

    presence: Presence
    name: str
    tried: Tried
    #: Whether the first question was refused and another one told.
    indirectly: bool = False


def place(store: Store) -> Place:
    """Whether the bucket (container, folder) is there. Only asks."""
    if store.is_s3:
        return _s3_bucket(store)
    if store.is_local:
        return _folder(store)
    if not store.bucket:  # ``memory://``
        return Place(Presence.THERE, store.base_path, Tried(None, None))
    tried = store.attempt(lambda: store.fs.info(store.bucket))
    return Place(_presence(tried), store.bucket, tried)


def _s3_bucket(store: Store) -> Place:
    tried = store.attempt(lambda: store.s3("head_bucket", Bucket=store.bucket))
    if not tried.refused:
        return Place(_presence(tried), store.bucket, tried)
    # Without the permission to list, HEAD is refused. This is what s3fs asks next, and its refusal has a reason.
    tried = store.attempt(lambda: store.s3("get_bucket_location", Bucket=store.bucket))
    return Place(_presence(tried), store.bucket, tried, indirectly=True)


def _folder(store: Store) -> Place:
    nearest = Path(store.root)
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        error: Optional[Exception] = NotADirectoryError(f"{nearest} is no folder")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        error = PermissionError(f"{nearest} is not writable for uid {os.geteuid()}")
    else:
        error = None
    tried = Tried(None, error)
    return Place(_presence(tried), str(nearest), tried)


def _presence(tried: Tried) -> Presence:
    if tried.error is None:
        return Presence.THERE
    if tried.missing:
        return Presence.MISSING
    return Presence.REFUSED if tried.refused else Presence.FAILED


@dataclass(frozen=True)
class Rule:
    """A lifecycle rule that is about a prefix or a part of it. ``days`` after which objects expire, ``None`` for never.

    ``noncurrent_days`` is the same for the versions that a delete leaves behind. ``whole`` tells whether the rule
    covers the prefix as a whole. ``dated`` rules expire everything from a day on.
    """

    id: str
    days: Optional[int]
    noncurrent_days: Optional[int]
    whole: bool
    dated: Optional[str] = None


def lifecycle_rules(configuration: Mapping[str, Any], prefix: str) -> list[Rule]:
    """The enabled rules of an S3 lifecycle configuration that concern the objects below a prefix.

    Rules that select by tags concern none of them: the backend writes no tags.
    """
    found = []
    folder = prefix.rstrip("/") + "/" if prefix else ""
    for rule in configuration.get("Rules") or ():
        if rule.get("Status") != "Enabled":
            continue
        condition = rule.get("Filter") or {}
        combined = condition.get("And") or {}
        if condition.get("Tag") or combined.get("Tags"):
            continue
        start = str(condition.get("Prefix") or combined.get("Prefix") or rule.get("Prefix") or "")
        if not (folder.startswith(start) or start.startswith(folder)):
            continue
        expiration = rule.get("Expiration") or {}
        dated = expiration.get("Date")
        found.append(
            Rule(
                id=str(rule.get("ID") or start or "(whole bucket)"),
                days=expiration.get("Days"),
                noncurrent_days=(rule.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays"),
                whole=folder.startswith(start) and not _by_size(condition, combined),
                dated=None if dated is None else str(dated),
            )
        )
    return found


def _by_size(*conditions: Mapping[str, Any]) -> bool:
    return any("ObjectSizeGreaterThan" in each or "ObjectSizeLessThan" in each for each in conditions)


def shortest_expiry(rules: Iterable[Rule]) -> Optional[Rule]:
    """The rule that expires objects soonest after they were written, ``None`` when none does."""
    expiring = [rule for rule in rules if rule.days is not None]
    return min(expiring, key=lambda rule: rule.days or 0, default=None)
