from __future__ import annotations

import pytest

from xcomctl.checks.setting_words import line_for, words
from xcomctl.model.settings import PATH, THRESHOLD


def test_the_threshold_is_written_in_quotes_and_nothing_else_is():
    assert line_for(THRESHOLD, "5") == 'AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD="5"'
    assert line_for(PATH, "s3://c@b/xcom") == "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH=s3://c@b/xcom"


@pytest.mark.parametrize(
    ("text", "source", "said"),
    [
        (None, None, "nothing"),
        ("", "airflow.cfg", "an empty text from airflow.cfg"),
        ("5", None, "5"),
        ("5", "airflow.cfg", "5 from airflow.cfg"),
    ],
)
def test_words(text, source, said):
    assert words(text, source) == said
