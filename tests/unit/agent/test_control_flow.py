"""What the request makes of one value's two passages, and what it refuses."""

from __future__ import annotations

import threading

import pytest

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests import control_flow
from xcomctl.agent.requests.control_flow import difference
from xcomctl.model.phases import Line
from xcomctl.model.requests import Difference
from xcomctl.roundtrip.compare import CAME_BACK, PUSH_RAISED, Pair, Passage
from xcomctl.roundtrip.control_flow import Value
from xcomctl.roundtrip.defects import Setting
from xcomctl.roundtrip.folder import new_folder

BASE, FOLDER = "s3://store@bucket/xcom", new_folder()
STORED = Setting(Line.AF3, "1.11.0", BASE, offloaded=True)


def pair(stored: str | None, offloaded: str = "a") -> Pair:
    return Pair(Value("text", "a"), Passage(CAME_BACK, "a"), Passage(CAME_BACK, offloaded, stored=stored))


def test_a_value_that_went_into_the_store_and_came_back_is_no_difference() -> None:
    assert difference(pair(f"{BASE}/{FOLDER}/r/t/x"), STORED, FOLDER) is None


@pytest.mark.parametrize("stored", [None, "a", f"{BASE}/{FOLDER}x/r/t/x", f"{BASE}/other/r/t/x"])
def test_a_value_that_should_have_gone_into_the_store_and_did_not_is_an_unnamed_one(stored: str | None) -> None:
    found = difference(pair(stored), STORED, FOLDER)
    assert found is not None
    assert found.defect is None
    assert found.sentence == "'a' stays in the database although every value has to go into the store"


def test_a_push_that_fails_stores_nothing_and_is_judged_by_its_error() -> None:
    refused = Passage(PUSH_RAISED, error=RuntimeError("no"))
    found = difference(Pair(Value("text", "a"), Passage(CAME_BACK, "a"), refused), STORED, FOLDER)
    assert found == Difference(
        "text", "'a'", "str 'a'", "push raised: RuntimeError: no", "'a' push raised: RuntimeError: no, from BaseXCom str 'a'"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "needs 'folder'"),
        ({"folder": "own_dag"}, "no folder of a round trip"),
        ({"folder": FOLDER, "values": ["nothing"]}, "'values' must be a list of ids"),
        ({"folder": FOLDER, "values": ["own-path"]}, "'values' must be a list of ids"),
    ],
)
def test_what_is_not_ours_is_refused_before_anything_is_written(params: dict[str, object], message: str) -> None:
    context = RequestContext(1, {"base_path": BASE, **params}, lambda frame: None, threading.Event())
    with pytest.raises(RequestError, match=message):
        control_flow.run(context)
