from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.model.redaction import REDACTED, is_secret_name, redact, redact_mapping

S = "hunter2Sx"

SECRET = [
    f"postgresql+psycopg2://airflow:{S}@db:5432/airflow",
    f"postgresql://u:{S}/a@b{S}@h/d",
    f"aws://AKIAIOSFODNN7EXAMPLE:{S}@/?region_name=eu",
    f"redis://:{S}@h/0",
    f"snowflake://u:{S}@acct/db",
    f"AIRFLOW_CONN_S3=aws://a:{S}@/",
    f'AIRFLOW_CONN_S3={{"conn_type": "aws", "password": "{S}"}}',
    f"https://b.s3/x?X-Amz-Signature={S}&a=1",
    f"https://b.s3/x?X-Amz-Security-Token={S}",
    f"https://a.blob/x?sv=1&sig={S}",
    f"https://s/x?X-Goog-Signature={S}",
    f"Authorization: Bearer {S}",
    f"'Authorization': 'Basic {S}='",
    f"Cookie: session={S}",
    f"x-api-key: {S}",
    f"password={S}",
    f"pass: {S}",
    f"DB_PASS={S}",
    f"fernetKey: {S}",
    f"gitSync.sshKey: {S}",
    f"repo: https://{S}@git.example.org/dags",
    f'"password": "{S} and {S}"',
    f"db_password: '{S}'",
    f"AIRFLOW__CORE__FERNET_KEY={S}",
    f"AIRFLOW__API_AUTH__JWT_SECRET={S}",
    f"AWS_SECRET_ACCESS_KEY={S} more",
    f"export API_TOKEN='{S}'",
    f"MY_PASSWORD=two {S}",
    f"--password {S}",
    f"--token={S}",
    f'{{\\"secret_key\\": \\"{S}\\"}}',
    f"Driver=x;PWD={S};UID=a",
    f"host=h password={S} dbname=d",
    f"-----BEGIN RSA PRIVATE KEY-----\n{S}\n-----END RSA PRIVATE KEY-----",
]

HARMLESS = [
    "s3://conn_id@bucket/xcom/d/manual__2026-06-06T00:00:00+00:00/t/5969db79-f324-4267-bfdd-c041b86d1b29.gz",
    "s3://conn@bucket/a:b@c",
    "abfs://container@account.dfs.core.windows.net/x",
    "file:///tmp/x",
    "http://127.0.0.1:8080/api/v2/dags",
    "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH=s3://c@b/xcom",
    "AIRFLOW__CORE__XCOM_BACKEND=airflow.models.xcom.BaseXCom",
    "key=return_value xcom_key=a",
    "skipmixin_key: {'followed': []}",
    "PWD=/home/airflow",
    "max_tokens: 5",
    "monkey=1",
    "KeyError: 'token'",
    "bypass: 5",
    "4 passed, 0 failed",
    "https://git.example.org/dags@main",
]


@pytest.mark.parametrize("text", SECRET)
def test_secrets_go(text):
    for context in (text, f"before\n{text}\nafter", f"  {text}"):
        cleaned = redact(context)
        assert S not in cleaned and REDACTED in cleaned
        assert redact(cleaned) == cleaned
    assert redact(f"before\n{text}\nafter").startswith("before\n") and redact(f"before\n{text}\nafter").endswith(
        "\nafter"
    )


@pytest.mark.parametrize("text", HARMLESS)
def test_the_rest_stays(text):
    assert redact(text) == text


def test_tokens_that_give_themselves_away():
    text = "a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc b AKIAIOSFODNN7EXAMPLE c ghp_" + "a1" * 18
    assert redact(text) == "a *** b *** c ***"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "aws_secret_access_key",
        "aws_access_key_id",
        "fernet_key",
        "jwt_secret",
        "token",
        "Authorization",
        "AIRFLOW_CONN_S3",
    ],
)
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["key", "xcom_key", "primary_key", "path", "backend", "PWD", "tokens", "conn_id"])
def test_names_of_other_things(name):
    assert not is_secret_name(name)


def test_mappings_at_every_depth():
    given_ = {
        "password": "x",
        "deep": [{"api_key": 7, "path": "s3://c@b/x"}, "p://u:w@h"],
        "token": {"header": "a", "ok": True},
        "secret": None,
        "key": "return_value",
        "n": 1,
    }
    assert redact_mapping(given_) == {
        "password": "***",
        "deep": [{"api_key": "***", "path": "s3://c@b/x"}, "p://u:***@h"],
        "token": {"header": "***", "ok": True},
        "secret": None,
        "key": "return_value",
        "n": 1,
    }


@given(st.text(max_size=200))
def test_never_fails(text):
    redact(text)


@given(st.from_regex(r"[A-Za-z0-9!$%^*_+.~-]{6,40}", fullmatch=True))
def test_a_password_in_a_url_never_survives(password):
    assert redact(f"x mysql://user:{password}@host:3306/db y") == f"x mysql://user:{REDACTED}@host:3306/db y"


@pytest.mark.parametrize("unit", ["x", "a-", "a.b:", "\n", "eyJ-", "redis://b:", "password", "_key", "a_key ", "\"'"])
def test_long_texts_take_linear_time(unit):
    redact(unit * (200_000 // len(unit)))  # quadratic rules would take minutes
