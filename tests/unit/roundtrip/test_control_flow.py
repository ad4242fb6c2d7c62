"""The corpus: ids that stay unique, values that are made anew, sizes that the inline round trip relies on."""

from __future__ import annotations

import json

from xcomctl.model import describe
from xcomctl.model.references import Kind, classify
from xcomctl.roundtrip.control_flow import LONGEST_JSON, corpus
from xcomctl.roundtrip.folder import is_folder, new_folder

BASE = "s3://store@bucket/" + "deep/" * 150 + "xcom"


def test_ids_are_unique_and_every_value_differs_from_every_other() -> None:
    values = corpus(BASE, new_folder())
    assert len({value.id for value in values}) == len(values)
    assert len({describe.digest(value.value) for value in values}) == len(values)


def test_a_task_that_changes_a_value_changes_no_other_corpus() -> None:
    folder = new_folder()
    before = [describe.digest(value.value) for value in corpus(BASE, folder)]
    for value in corpus(BASE, folder):
        if isinstance(value.value, (dict, list, set)):
            value.value.clear()
    assert [describe.digest(value.value) for value in corpus(BASE, folder)] == before


def test_no_value_is_longer_than_the_threshold_that_keeps_them_all_inline() -> None:
    for value in corpus(BASE, new_folder()):
        assert len(json.dumps(repr(value.value)).encode()) < LONGEST_JSON, value.id


def test_what_asks_the_store_is_what_lies_under_the_base_path() -> None:
    for value in corpus(BASE, new_folder()):
        under = isinstance(value.value, str) and classify(value.value, BASE).kind is Kind.REFERENCE
        assert value.asks_store == under, value.id
        for uri in value.objects:
            assert is_folder(uri[len(BASE) + 1 :].split("/")[0])


def test_only_names_of_its_own_making_are_folders() -> None:
    assert is_folder(new_folder())
    assert new_folder() != new_folder()
    for name in ("", "xcomctl_preflight_", "mine", new_folder() + "/..", new_folder() + "x", f"{new_folder()}\n"):
        assert not is_folder(name), name
