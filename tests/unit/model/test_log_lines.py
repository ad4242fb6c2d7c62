"""Lines of logs that tell of an XCom gone wrong or of a path taken for data, among all that logs hold."""

from __future__ import annotations

import pytest

from xcomctl.model.log_lines import Logs, telling, told

BASE = "s3://store@bucket/xcom"
PATH = f"{BASE}/dag/run/task/01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    "line",
    [
        "airflow.exceptions.AirflowConfigException: section/key [common.io/xcom_objectstorage_path] not found in config",
        "ImportError: cannot import name 'XComObjectStorageBackend'",
        "[2026-06-06T12:00:00] {taskinstance.py:1} ERROR - could not push the XCom",
        "PermissionError: Access Denied: bucket/xcom/dag/run",
        '  File "/opt/python/airflow/providers/common/io/xcom/backend.py", line 143, in serialize_value',
        '  File "/opt/python/airflow/sdk/execution_time/xcom.py", line 1, in get_one',
        f"INFO - Done. Returned value was: {PATH}",
        f"Running command: ['bash', '-c', 'echo {PATH}']",
    ],
)
def test_what_tells(line):
    assert telling(f"fine\n{line}\nfine", BASE) == [" ".join(line.split())[:200]]


@pytest.mark.parametrize(
    "line",
    [
        "Done. Returned value was: {'error': 'xcom not found'}",
        "Pushing xcom ti=1", "an error of its own: division by zero", "xcomctl-answer: {\"error\": \"xcom\"}",
        f"reading the reports below {BASE}/", 'File "/opt/dags/report.py", line 3, in main',
    ],
)  # fmt: skip
def test_what_does_not(line):
    assert telling(line, BASE) == []


def test_without_a_base_path_errors_still_tell_and_paths_do_not():
    assert telling(f"got {PATH}", "") == []
    assert telling("AirflowConfigException", "") == ["AirflowConfigException"]


def test_a_few_lines_of_one_log_are_quoted_and_cut_short():
    lines = telling("\n".join(f"XCom error {n} " + "x" * 1_000 for n in range(50)), BASE)
    assert len(lines) == 3 and max(map(len, lines)) == 200


@pytest.mark.parametrize("character", ["a", "x", " ", "/", '"'])
def test_a_line_as_long_as_a_large_value_is_read_in_one_go(character):
    """Two million characters: a pattern that looked ahead from each of them would never come back."""
    assert telling(character * 2_000_000, BASE) == []
    assert telling("xcom" + character * 2_000_000, BASE) == []


@pytest.mark.parametrize(
    ("read", "lost", "clean", "said"),
    [
        (["fine"] * 7, 0, True, "the logs of 7 tries"),
        (["fine"] * 5, 0, None, "2 of 7 tries were not read"),
        (["fine"] * 5 + ["*** Log file does not exist"], 1, None, "2 of 7 tries were not read: the worker is gone"),
        (["fine"] * 4 + ["could not push: XCom error"], 2, False, "1 lines; a: could not push: XCom error"),
    ],
)
def test_logs_that_were_not_read_are_never_clean(read, lost, clean, said):
    logs = Logs(7, BASE)
    for log in read:
        logs.add("a", log)
    for _ in range(lost):
        logs.lost("the worker\n is gone")
    assert logs.clean is clean and said in logs.said


@pytest.mark.parametrize(
    "top",
    [
        # 2.11 through its API, and through a context; 3.3's messages.
        "worker-0\n INFO - ::group::Log message source details\n*** Could not read served logs: 404 for xcom_push/run\n INFO - ::endgroup::\n",
        " INFO - ::group::Log message source details\n*** No logs found on s3 for ti=xcom_push\n INFO - ::endgroup::\n",
        "::group::Log message source details\nCould not read served logs: xcom_push not found\n::endgroup::\n",
        "*** Log file does not exist: xcom_push not found\n",
        "\n",
    ],
)
def test_where_a_log_was_looked_for_is_not_in_the_log(top):
    assert told(top) == ""
    said = "[12:00] ERROR - could not push the XCom\n::group::Post\n::endgroup::\ndone"
    assert told(top + said) == said
