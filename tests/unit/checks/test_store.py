"""When the checks of the store apply and how they word what is missing; what they find is for the live tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from xcomctl.checks.interface import FUNCTIONAL, Subject
from xcomctl.checks.store import CHECKS, LARGEST_TRIED
from xcomctl.model.phases import Line
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.requests import ResolvedSetting
from xcomctl.model.verdicts import Status
from xcomctl.store.canary import Outcome, Step

BY_ID = {spec.id: spec for spec in CHECKS}
STEPS = ("put", "head", "get", "list", "delete")


def subject(path: str = "s3://conn@bucket/xcom", threshold: int = 20_000) -> Subject:
    def never(*_: Any) -> dict[str, Any]:
        raise AssertionError("the target was asked")

    made = Subject(PreflightOptions(expect_path=path, expect_threshold=threshold), never, lambda *_: None)
    made.line = Line.AF3
    made.settings = {name: ResolvedSetting(None, None) for name in ("backend", "path", "threshold", "compression")}
    return made


def played(base_path: str, steps: dict[str, Step], current: str | None = None) -> Subject:
    """A context whose canary came to this."""
    made = subject(base_path)
    made.shared["store.opened"] = SimpleNamespace(
        base_path=base_path, bucket="bucket", prefix="xcom", is_s3=base_path.startswith("s3")
    )
    made.shared["store.canary"] = SimpleNamespace(
        steps=steps, current=current, left_behind=True, uri=f"{base_path}/xcomctl-preflight/1"
    )
    return made


def test_all_are_asked_for_and_need_the_bucket() -> None:
    assert {spec.asked_by for spec in CHECKS} == {FUNCTIONAL}
    assert all("store_bucket" in spec.needs for spec in CHECKS if spec.id != "store_bucket")


@pytest.mark.parametrize(
    ("path", "threshold", "applying"),
    [("s3://c@b/x", 20_000, set(BY_ID)), ("s3://c@b/x", -1, set(BY_ID) - {"store_offload"}), ("", 20_000, set())],
)
def test_which_apply(path: str, threshold: int, applying: set[str]) -> None:
    assert {spec.id for spec in CHECKS if spec.applies(subject(path, threshold))} == applying


def test_a_value_too_large_to_try_is_skipped_before_anything_is_asked() -> None:
    finding = BY_ID["store_offload"].run(subject(threshold=LARGEST_TRIED + 1))
    assert finding is not None
    assert finding.status is Status.SKIP


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("base_path", "objects", "listing"),
    [
        ("s3://conn@bucket/xcom", "on arn:aws:s3:::bucket/xcom/*", "s3:ListBucket on arn:aws:s3:::bucket"),
        ("gs://conn@bucket/xcom", "on the bucket bucket", "storage.objects.list on the bucket bucket"),
        ("abfs://conn@bucket/xcom", "on abfs://conn@bucket/xcom", "list on abfs://conn@bucket/xcom"),
    ],
)
def test_a_refusal_names_the_permission(base_path: str, objects: str, listing: str, step: str) -> None:
    finding = BY_ID[f"store_{step}"].run(played(base_path, {step: Step(Outcome.REFUSED, None, "Access Denied.")}))
    assert finding is not None
    assert finding.status is Status.FAIL
    assert finding.hint == f"grant {listing}" if step == "list" else finding.hint.endswith(objects)
    assert "Access Denied." in finding.detail
    assert ("this object may stay behind" in finding.detail) is (step == "delete")


def test_what_came_after_the_hang_is_not_tried() -> None:
    looked_at = played("s3://conn@bucket/xcom", {"put": Step(Outcome.ALLOWED)}, current="get")
    found = {step: BY_ID[f"store_{step}"].run(looked_at) for step in ("put", "get", "delete")}
    assert {step: finding.status for step, finding in found.items() if finding is not None} == {
        "put": Status.OK,
        "get": Status.FAIL,
        "delete": Status.SKIP,
    }
    assert found["delete"] is not None
    assert "s3://conn@bucket/xcom/xcomctl-preflight/1" in found["delete"].detail


def test_what_proves_nothing_is_not_ok() -> None:
    finding = BY_ID["store_get"].run(
        played("gs://conn@bucket/xcom", {"get": Step(Outcome.UNPROVEN, None, "there is no object")})
    )
    assert finding is not None
    assert finding.status is Status.SKIP
