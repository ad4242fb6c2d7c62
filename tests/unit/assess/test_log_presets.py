"""The ready-made queries: Grafana's grammar takes them, and they find what they are called after and nothing else."""

from __future__ import annotations

import pytest

from tests.support.logql import errors_of
from tests.support.loki.logql import parse
from xcomctl.assess.log_presets import PRESETS, preset, quoted
from xcomctl.cli.logs_options import PRESETS as NAMES
from xcomctl.model.log_lines import telling

RUNBOOK = '{namespace="cvntrade"} |~ "(?i)xcom|AirflowConfigException|XComObjectStorage"'
BASE = "s3://aws_default@artifacts/xcom"
UUID = "056eb067-7391-40c7-8a22-62c49205a3fe"
PATH = f"{BASE}/diagnostic__s42/manual__2026-06-06T12:00:00+00:00/discriminate_cell/{UUID}"

#: Lines as Airflow 2 and 3, boto3, s3fs, gcsfs and adlfs write them, and the presets that are to find each.
LINES = {
    "airflow.exceptions.AirflowConfigException: section/key [common.io/xcom_objectstorage_path] not found in config": {
        "xcom-errors"
    },
    '  File "/home/airflow/.local/lib/python3.11/site-packages/airflow/models/xcom.py", line 241, in get_value': {
        "xcom-errors"
    },
    r'{"event":"Task failed","error_detail":"File \"/opt/airflow/sdk/bases/xcom.py\", line 3"}': {"xcom-errors"},
    "ERROR - Could not serialize the XCom value into JSON. If you are using pickle instead of JSON for XCom": {
        "xcom-errors"
    },
    "TypeError: XComObjectStorageBackend.serialize_value() got an unexpected keyword": {"xcom-errors"},
    f"FileNotFoundError: {PATH}": {"path-handed-over", "xcom-errors"},
    f"ValueError: could not convert string to float: '{PATH}'": {"path-handed-over", "xcom-errors"},
    f"[2026-06-06, 12:00:03 UTC] INFO - Done. Returned value was: {PATH}": {"path-handed-over"},
    f'{{"event":"got {PATH}.gz as input"}}': {"path-handed-over"},
    f"input is {BASE}/d/r/t/ti-{UUID}/return_value.json": {"path-handed-over"},
    "botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the PutObject operation: Access Denied": {
        "store-errors"
    },
    "An error occurred (404) when calling the HeadObject operation: Not Found": {"store-errors"},
    "An error occurred (503) when calling the ListObjectsV2 operation (reached max retries: 4): slow": {"store-errors"},
    'botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: "http://s3:9000/"': {
        "store-errors"
    },
    # The last line of a traceback, of any service: the frames before it tell which, and are found.
    "botocore.exceptions.NoCredentialsError: Unable to locate credentials": set(),
    "s3fs: botocore.exceptions.NoCredentialsError: Unable to locate credentials": {"store-errors"},
    "gcsfs.retry.HttpError: Anonymous caller does not have storage.objects.get access": {"store-errors"},
    "azure.core.exceptions.ResourceNotFoundError: The specified blob does not exist.": {"store-errors"},
    "google.api_core.exceptions.Forbidden: 403 GET https://storage.googleapis.com/storage/v1/b/x/o: denied": {
        "store-errors"
    },
    "urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='s3.eu-central-1.amazonaws.com', port=443)": {
        "store-errors"
    },
    'botocore.exceptions.ConnectTimeoutError: Connect timeout on endpoint URL: "https://artifacts.s3.amazonaws.com/a"': {
        "store-errors"
    },
    "<Error><Code>SlowDown</Code><BucketName>b</BucketName><Resource>/bucket</Resource></Error>": {"store-errors"},
    "An error occurred (InvalidToken) when calling the GetObject operation: malformed": {"store-errors"},
    "ErrorCode:ContainerNotFound": {"store-errors"},
    '  File "/home/airflow/.local/lib/python3.11/site-packages/s3fs/core.py", line 114, in _error_wrapper': {
        "store-errors"
    },
    '{"event":"Task failed","error_detail":[{"frames":[{"filename":"/opt/site-packages/gcsfs/retry.py"}]}]}': {
        "store-errors"
    },
    "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0), of an XCom": {"xcom-errors"},
    'airflow.sdk.exceptions.XComNotFound: XComArg result from a at b with key="c" is not found!': {"xcom-errors"},
    "airflow.sdk.exceptions.XComForMappingNotPushed: did not push XCom for task mapping": {"xcom-errors"},
    "ValueError: XCom not found": {"xcom-errors"},
    "xcom not found: it should be there": {"xcom-errors"},
    r'{"level":"error","event":"Task failed","error_detail":[{"exc_type":"TypeError","exc_value":"XCom"}]}': {
        "xcom-errors"
    },
    r'{"event":"x","error_detail":[{"frames":[{"filename":"/opt/airflow/sdk/bases/xcom.py","lineno":3}]}]}': {
        "xcom-errors"
    },
    r'{"event":"reading failed\nTypeError: not this, in the XCom"}': {"xcom-errors"},
    '10.0.0.1:5 - "GET /execution/xcoms/d/r/t/return_value HTTP/1.1" 500 Internal Server Error': {"xcom-errors"},
    # Nothing of this is a trouble of an XCom.
    "INFO - Task instance is in running state": set(),
    "DEBUG - Pushing xcom return_value": set(),
    f"reading {BASE}/readme.txt": set(),
    "Returned value was: {'error': 'no xcom'}": set(),
    f"xcomctl-answer: error of an xcom at {PATH}": set(),
    f"xcomctl-probe: NoSuchKey {PATH}": set(),
    "An error occurred (Throttling) when calling the SendMessage operation": set(),
    "https://example.org/a/b/c/report.json": set(),
}


#: What a healthy Airflow, and one with other troubles, says with the same words.
HARMLESS = (
    # airflow/sdk/api/client.py: a key that is absent was pulled, which gives None.
    "2026-06-06T12:00:00.1Z [error    ] XCom not found                 [airflow.sdk.api.client] dag_id=d detail={'detail': "
    "{'reason': 'not_found', 'message': \"XCom with key='k' not found\"}} status_code=404",
    "2026-06-06T12:00:00.1Z [\x1b[31m\x1b[1merror    \x1b[0m] \x1b[1mXCom not found                \x1b[0m [airflow] key=k",
    '{"timestamp":"2026-06-06T12:00:00Z","level":"error","event":"XCom not found","logger":"airflow.sdk.api.client",'
    '"detail":{"detail":{"reason":"not_found","message":"XCom with key=`k` not found"}},"status_code":404}',
    "[2026-06-06T12:00:00.000+0000] {client.py:601} ERROR - XCom not found",
    'INFO:     10.0.0.1:54321 - "GET /execution/xcoms/d/r/t/return_value HTTP/1.1" 404 Not Found',
    'INFO:     10.0.0.1:54321 - "POST /execution/xcoms/d/r/error/return_value HTTP/1.1" 201 Created',
    '{"event":"10.0.0.1 - \\"HEAD /execution/xcoms/d/r/t/k HTTP/1.1\\" 404 Not Found"}',
    'HTTP Request: GET http://api:8080/execution/xcoms/d/r/t/k "HTTP/1.1 404 Not Found"',
    '{"event":"Pushing xcom","level":"info","ti":"RuntimeTaskInstance(task_id=check_error)"}',
    "[info     ] Pushing xcom                   [task] ti=RuntimeTaskInstance(task_id='raise-error', error=None)",
    "INFO - xcom of task_id=check_error read", "INFO - xcom of dag_id=error-handler read",
    '{"event":"xcom read","task_id":"error-check","dag_id":"not.an-error"}',
    "INFO - pulled 3 xcoms of exception_handler",
    # Other services, and other secrets.
    "cryptography.fernet.InvalidToken: the connection of s3://b cannot be read",
    "cryptography.fernet.InvalidToken", "airflow.exceptions.AirflowException: InvalidToken",
    "urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='api.example.org', port=443): Read timed out.",
    "botocore.exceptions.ConnectTimeoutError: Connect timeout on endpoint URL: \"https://sqs.eu-central-1.amazonaws.com/\"",
    "botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the ReceiveMessage operation: no",
    "google.api_core.exceptions.Forbidden: 403 GET https://bigquery.googleapis.com/bigquery/v2/projects/x/jobs",
    "google.auth.exceptions.RefreshError: invalid_grant",
    # A report of somebody else's, with an id as the backend's objects have it.
    f"see https://example.org/a/b/c/{UUID}", f"see http://example.org/a/b/c/d/{UUID}.html",
    rf'{{"event":"see\nhttps://example.org/a/b/c/{UUID}"}}',
)  # fmt: skip


def test_the_names_of_the_options_are_those() -> None:
    assert tuple(each.name for each in PRESETS) == NAMES


def test_the_grammar_takes_them() -> None:
    namespaces = ("airflow", 'a"b\\c`d', "ü\n")
    bases = (None, BASE, "s3://c.d+e@b(1)/x[y]{2}|z^$*?", "file:///opt/a b/`xcom`", "gs://b/\\x")
    queries = [preset(each.name, namespace, base) for each in PRESETS for namespace in namespaces for base in bases]
    assert dict(zip(queries, errors_of(queries), strict=True)) == {query: [] for query in queries}
    for query in queries:
        # What the grammar does not look into: regular expressions, as far as Python's are RE2's, which parse() compiles.
        assert any(parse(query).matches({"namespace": namespace}) for namespace in namespaces)


def test_the_grammar_refuses_what_is_wrong() -> None:
    right, *wrong = errors_of([RUNBOOK, '{namespace="x" |~ "a"', '{namespace="x"} |~ (a', "{namespace=x}"])
    assert right == [] and all(wrong)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("base", [None, BASE])
def test_what_they_find(line: str, base: str | None) -> None:
    found = {each.name for each in PRESETS if parse(preset(each.name, "airflow", base)).keeps()(line)}
    assert found == LINES[line]


@pytest.mark.parametrize("line", [line for line, names in LINES.items() if "path-handed-over" not in names])
def test_xcom_errors_are_those_that_verify_looks_for(line: str) -> None:
    """``verify --logs`` reads the same lines out of Airflow's own logs, where a frame begins its line."""
    found = parse(preset("xcom-errors", "airflow", None)).keeps()(line)
    assert found or not telling(line, BASE)


@pytest.mark.parametrize("line", HARMLESS)
@pytest.mark.parametrize("base", [None, BASE])
def test_what_is_harmless(line: str, base: str | None) -> None:
    assert [each.name for each in PRESETS if parse(preset(each.name, "airflow", base)).keeps()(line)] == []


def test_objects_are_known_by_the_base_path_as_clients_name_it() -> None:
    line, timeout = "FileNotFoundError: offload/values/d/r/t/x", "ReadTimeoutError: http://minio:9000/offload/values/d"
    found = {
        base: [each.name for each in PRESETS for said in (line, timeout) if parse(preset(each.name, "a", base)).keeps()(said)]
        for base in (None, "s3://c@offload/values", "s3://offload/values/", "s3://other/values")
    }  # fmt: skip
    assert (
        found.pop("s3://c@offload/values")
        == found.pop("s3://offload/values/")
        == ["xcom-errors"] * 2 + ["store-errors"]
    )
    assert list(found.values()) == [[], []]


@pytest.mark.parametrize(
    "url", ["s3://c@b", "gs://b", "hdfs://name:8020", "abfss://c@a.dfs.core.windows.net", "h3://x"]
)
def test_any_store_s_path_counts_where_no_base_path_is_known(url: str) -> None:
    for line in (f"{url}/d/r/t/{UUID}", rf'{{"event":"got\n{url}/x/d/r/t/{UUID}"}}'):
        assert parse(preset("path-handed-over", "a", None)).keeps()(line), line


def test_a_base_path_that_is_known_is_the_only_one() -> None:
    elsewhere = PATH.replace("artifacts", "artefacts")
    assert parse(preset("path-handed-over", "a", None)).keeps()(elsewhere)
    assert not parse(preset("path-handed-over", "a", BASE)).keeps()(elsewhere)
    assert parse(preset("path-handed-over", "a", f"{BASE}/")).keeps()(PATH)


def test_strings() -> None:
    texts = ("plain", 'a "b"', "a\\b", "a`b", '`"\\', "a\nb", "\t", "ü", "a\r")
    queries = [f"{{a={quoted(text)}}}" for text in texts]
    assert errors_of(queries) == [[] for _ in queries]
    for text, query in zip(texts, queries, strict=True):
        assert parse(query).matches({"a": text}), query
