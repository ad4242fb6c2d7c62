"""When the checks of the store apply and how they word what is missing; what they find is for the live tests."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from xcomctl.checks import store as store_checks
from xcomctl.checks.catalogue import CHECKS as CATALOGUE
from xcomctl.checks.interface import CheckSpec, Subject, TimedOut, ok
from xcomctl.checks.runner import run
from xcomctl.checks.store import CHECKS, LARGEST_TRIED, LARGEST_TRIED_IN_TASK
from xcomctl.model.phases import Line
from xcomctl.model.preflight import CONFIG, CONNECTION, FUNCTIONAL, STORE, PreflightOptions
from xcomctl.model.requests import ResolvedSetting
from xcomctl.model.verdicts import Status
from xcomctl.roundtrip import canary as offloaded
from xcomctl.store.bucket import Place, Presence
from xcomctl.store.canary import Outcome, Step
from xcomctl.store.opened import Tried

BY_ID = {spec.id: spec for spec in CHECKS}
STEPS = ("put", "head", "get", "list", "delete")


def never(*_: Any) -> dict[str, Any]:
    raise AssertionError("the target was asked")


def subject(
    path: str = "s3://conn@bucket/xcom", threshold: int = 20_000, asked: Any = never, **options: Any
) -> Subject:
    made = Subject(PreflightOptions(expect_path=path, expect_threshold=threshold, **options), asked, lambda *_: None)
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
    [
        ("s3://c@b/x", 20_000, set(BY_ID)),
        ("s3://c@b/x", -1, set(BY_ID) - {"store_offload"}),
        ("", 20_000, {"store_bucket"}),
    ],
)
def test_which_apply(path: str, threshold: int, applying: set[str]) -> None:
    assert {spec.id for spec in CHECKS if spec.applies(subject(path, threshold))} == applying


@pytest.mark.parametrize("path", ["", "no/scheme"])
def test_without_a_path_the_first_check_of_what_was_asked_for_says_so(path: str) -> None:
    looked_at = subject(path, functional=True, connection_id="store")
    specs = [spec for spec in CATALOGUE if spec.category in (CONNECTION, STORE) and spec.asked_by in ("", FUNCTIONAL)]
    fine = CheckSpec("config_class", CONFIG, "what the others need, and only Airflow can tell", lambda _: ok("fine"))
    checks = list(run([fine, *specs], specs, looked_at))
    assert [(check.id, check.status) for check in checks] == [
        ("connection_id", Status.SKIP),
        ("store_bucket", Status.SKIP),
    ]
    for check in checks:
        assert check.detail.startswith("there is no base path to look at: ")
        assert check.hint == "--expect-path s3://store@BUCKET/xcom"


@pytest.mark.parametrize(
    ("threshold", "in_task", "hint"),
    [
        (LARGEST_TRIED + 1, False, "--in-task: a task tries up to 67,108,864"),
        (LARGEST_TRIED_IN_TASK + 1, False, ""),
        (LARGEST_TRIED_IN_TASK + 1, True, ""),
    ],
)
def test_a_value_too_large_to_try_is_skipped_before_anything_is_asked(threshold: int, in_task: bool, hint: str) -> None:
    finding = BY_ID["store_offload"].run(subject(threshold=threshold, in_task=in_task))
    assert finding is not None
    assert (finding.status, finding.hint) == (Status.SKIP, hint)


def test_a_task_tries_a_larger_one() -> None:
    with pytest.raises(AssertionError, match="the target was asked"):
        BY_ID["store_offload"].run(subject(threshold=LARGEST_TRIED + 1, in_task=True))


@pytest.mark.parametrize("removal", ["gone", "refused", "hangs"])
def test_a_backend_that_hangs_names_what_may_be_left(monkeypatch: pytest.MonkeyPatch, removal: str) -> None:
    asked: dict[str, Any] = {}

    def hangs(name: str, params: Any, timeout_s: float) -> dict[str, Any]:
        asked.update(params)
        raise TimedOut

    def remove(store: Any, run_id: str) -> str | None:
        assert run_id == asked["run_id"]
        if removal == "hangs":
            time.sleep(5)
        return "s3://an-object" if removal == "refused" else None

    monkeypatch.setattr(offloaded, "remove", remove)
    looked_at = subject(asked=hangs, timeout_s=0.2)
    looked_at.shared["store.opened"] = SimpleNamespace(uri=lambda below: f"s3://conn@bucket/xcom/{below}")
    finding = BY_ID["store_offload"].run(looked_at)
    assert finding is not None
    folder = f"s3://conn@bucket/xcom/xcomctl_preflight/{asked['run_id']}"
    left = {"gone": None, "refused": "s3://an-object", "hangs": folder}[removal]
    assert (finding.status, finding.data) == (Status.FAIL, {"timed_out": True, "left_behind": left})
    assert (left or folder) in finding.detail
    assert finding.hint == "allow more with --timeout" + (f", and remove {left}" if left else "")


@pytest.mark.parametrize(
    ("base_path", "hint"),
    [
        ("s3://c@b/x", "aws s3 mb s3://b"),
        ("gs://c@b/x", "gcloud storage buckets create gs://b"),
        ("abfs://c@b/x", "az storage container create --name b --account-name ACCOUNT"),
        ("hdfs://c@b/x", "'b', with the tool of whatever hdfs:// stands for"),
    ],
)
def test_how_a_bucket_is_made(monkeypatch: pytest.MonkeyPatch, base_path: str, hint: str) -> None:
    store = SimpleNamespace(base_path=base_path, is_s3=base_path.startswith("s3"), is_local=False)
    monkeypatch.setattr(store_checks, "Store", lambda path: store)
    missing = Place(Presence.MISSING, "b", Tried(None, FileNotFoundError("no")))
    monkeypatch.setattr(store_checks.bucket, "place", lambda opened: missing)
    finding = BY_ID["store_bucket"].run(subject(base_path))
    assert finding is not None
    assert finding.hint == f"correct the bucket's name, or create it: {hint}"


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
