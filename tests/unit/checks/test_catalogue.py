"""The catalogue as a whole: ids that are stable, in an order in which what is needed comes first."""

from __future__ import annotations

from xcomctl.checks.catalogue import CHECKS
from xcomctl.model.preflight import CATEGORIES, CONFIG, FUNCTIONAL, IN_TASK


def test_ids_are_unique_and_tell_a_word_from_an_option() -> None:
    ids = [spec.id for spec in CHECKS]
    assert len(set(ids)) == len(ids)
    assert all(check_id.isidentifier() and check_id.islower() for check_id in ids)


def test_the_ids_that_the_runbook_names_are_there() -> None:
    ids = {spec.id for spec in CHECKS if spec.category == CONFIG}
    assert {"config_backend", "config_path", "config_threshold"} <= ids


def test_what_a_check_needs_comes_before_it() -> None:
    seen: set[str] = set()
    for spec in CHECKS:
        assert set(spec.needs) <= seen, (spec.id, spec.needs)
        seen.add(spec.id)


def test_every_check_says_what_it_is() -> None:
    for spec in CHECKS:
        assert spec.category in CATEGORIES
        assert spec.title and not spec.title.endswith(".")
        assert spec.asked_by in ("", FUNCTIONAL, IN_TASK)
