"""Who gets path strings: a phase, its path, and what unfinished runs hold where."""

from __future__ import annotations

import pytest

from xcomctl.model.status import DatabaseState, Elsewhere, StatusAnswer, one_path, path_strings

BASE = "s3://aws_default@artifacts/xcom"


def held(references: int = 2, base_path: str | None = BASE, **elsewhere: int) -> DatabaseState:
    """``references`` under the base path, and more under base paths that are named by their last folder."""
    others = tuple(
        Elsewhere(f"s3://aws_default@artifacts/{name}", count, "dag", "run") for name, count in elsewhere.items()
    )
    return DatabaseState(references=references, base_path=base_path, elsewhere=others)


@pytest.mark.parametrize(
    ("phase", "path", "database", "count"),
    [
        ("offload", BASE, held(), 0),
        ("dual-read", f"{BASE}/", held(), 0),
        ("offload", "s3://aws_default@artifacts", held(old=3), 0),  # above both of them
        ("inline", None, held(), 2),
        ("inline", BASE, held(old=3), 5),
        ("inline", None, held(0, None, old=3), 3),
        ("misconfigured", "", held(), 2),
        ("misconfigured", "xcom", held(), 2),
        ("misconfigured", BASE, held(), 0),  # the threshold is no number
        ("offload", BASE, held(old=3), 3),
        ("offload", "s3://aws_default@artifacts/xc", held(), 2),  # a name that only begins like it
        ("offload", "s3://other@artifacts/xcom", held(), 2),  # another connection
        ("unknown", BASE, held(), 0),
        (None, None, held(), 0),
        ("inline", None, None, 0),
    ],
)
def test_how_many_references_a_reader_gets_as_paths(phase, path, database, count):
    assert path_strings(phase, path, database) == count


@pytest.mark.parametrize(
    ("database", "path"),
    [
        (held(), BASE),
        (held(0), None),
        (held(0, old=1), "s3://aws_default@artifacts/old"),
        (held(2, old=1), "s3://aws_default@artifacts/"),
        (held(2, **{"xcom/v1": 1}), BASE),
        (DatabaseState(references=1, base_path=BASE, elsewhere=(Elsewhere("s3://other@b/x", 1, "d", "r"),)), None),
        (DatabaseState(references=1, base_path=BASE, elsewhere=(Elsewhere("", 1, "d", "r"),)), None),
    ],
)
def test_the_path_under_which_all_of_them_resolve(database, path):
    assert one_path(database) == path


def test_an_answer_travels_as_json():
    from tests.unit.assess.test_status import DATABASE, answer
    from xcomctl.model.status import RunningProcess

    sent = answer(database=DATABASE, processes=2, running=(RunningProcess("scheduler", 7, "inline", None, "path nothing"),))  # fmt: skip
    assert StatusAnswer.from_json(sent.to_json()) == sent
