"""Versions that deletes leave behind in a bucket that keeps them: those of our own objects are removed as well."""

from __future__ import annotations

from typing import Any

from xcomctl.store.opened import message_of

#: How many versions one request may name.
_AT_ONCE = 1000


def erase(fs: Any, path: str) -> str:
    """Remove every version of the deleted objects at or below a path of ours; why some stay, empty if none does.

    Other file systems than S3's do not show their versions. Nothing depends on it: the objects are gone, and identities
    may delete objects without being allowed to delete versions. ``store_versioning`` is who tells.
    """
    if not (hasattr(fs, "call_s3") and hasattr(fs, "split_path")):
        return ""
    bucket, key, _ = fs.split_path(path)
    try:
        versions = _of_deleted(fs, bucket, key)
        for start in range(0, len(versions), _AT_ONCE):
            listed = {"Objects": versions[start : start + _AT_ONCE], "Quiet": True}
            refused = fs.call_s3("delete_objects", Bucket=bucket, Delete=listed).get("Errors")
            if refused:
                return f"{refused[0].get('Code')}: {refused[0].get('Message')}"
    except Exception as error:
        return message_of(error)
    return ""


def _of_deleted(fs: Any, bucket: str, prefix: str) -> list[dict[str, str]]:
    """Key and version of all that is left of objects that were deleted, their delete markers among it."""
    found: list[dict[str, str]] = []
    deleted: set[str] = set()
    options: dict[str, str] = {}
    while True:
        page = fs.call_s3("list_object_versions", Bucket=bucket, Prefix=prefix, **options)
        markers = page.get("DeleteMarkers") or []
        deleted.update(each["Key"] for each in markers if each["IsLatest"])
        found += [
            {"Key": each["Key"], "VersionId": each["VersionId"]} for each in (page.get("Versions") or []) + markers
        ]
        if not page.get("IsTruncated"):
            return [each for each in found if each["Key"] in deleted]
        options = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
