"""Which versions are removed; what a real store makes of it is in the live tests."""

from __future__ import annotations

from typing import Any

import pytest

from xcomctl.store.versions import erase


class Pages:
    """Answers as S3 gives them, in two pages."""

    def __init__(self, errors: list[dict[str, str]] | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._errors = errors

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def call_s3(self, method: str, **arguments: Any) -> dict[str, Any]:
        self.asked.append((method, arguments))
        if method == "delete_objects":
            return {"Errors": self._errors} if self._errors else {}
        if "KeyMarker" in arguments:
            return {"DeleteMarkers": [{"Key": "x/gone", "VersionId": "2", "IsLatest": True}]}
        return {
            "Versions": [
                {"Key": "x/gone", "VersionId": "1", "IsLatest": False},
                {"Key": "x/alive", "VersionId": "3", "IsLatest": True},
                {"Key": "x/back", "VersionId": "5", "IsLatest": True},
            ],
            "DeleteMarkers": [{"Key": "x/back", "VersionId": "4", "IsLatest": False}],
            "IsTruncated": True,
            "NextKeyMarker": "x/gone",
            "NextVersionIdMarker": "1",
        }


def test_all_of_what_was_deleted_goes_and_nothing_that_is_there() -> None:
    fs = Pages()
    assert erase(fs, "bucket/x") == ""
    assert [method for method, _ in fs.asked] == ["list_object_versions", "list_object_versions", "delete_objects"]
    assert fs.asked[1][1]["KeyMarker"] == "x/gone"
    assert fs.asked[2][1]["Delete"]["Objects"] == [
        {"Key": "x/gone", "VersionId": "1"},
        {"Key": "x/gone", "VersionId": "2"},
    ]


def test_what_may_not_be_removed_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert erase(Pages([{"Code": "AccessDenied", "Message": "no"}]), "bucket/x") == "AccessDenied: no"

    def refuse(self: Pages, method: str, **arguments: Any) -> dict[str, Any]:
        raise PermissionError("not listed either")

    monkeypatch.setattr(Pages, "call_s3", refuse)
    assert erase(Pages(), "bucket/x") == "PermissionError: not listed either"


def test_other_file_systems_have_none() -> None:
    assert erase(object(), "/folder") == ""
