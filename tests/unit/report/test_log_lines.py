"""Lines of logs in each form: nothing of them drives the terminal, no secret is in them, nothing else is changed."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.model.redaction import redact
from xcomctl.report.log_lines import JsonLogLines, JsonReport, Lines, RawLines, TextLines
from xcomctl.report.log_redaction import Labels, may_hold_one, redacted

AT_NS = 1_780_747_200_123_456_789
LABELS = {"namespace": "airflow", "pod": "scheduler-0", "container": "scheduler", "stream": "stdout"}


@dataclass(frozen=True)
class Line:
    text: str
    labels: Mapping[str, str] = field(default_factory=lambda: LABELS)
    at_ns: int = AT_NS
    metadata: Mapping[str, str] = field(default_factory=dict)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def text_of(line: Line, stream: io.StringIO | None = None, **options: object) -> str:
    stream = stream if stream is not None else io.StringIO()
    words: dict[str, object] = {"labels": None, "without": (), "flush": False, **options}
    TextLines(stream, **words).add(line)  # type: ignore[arg-type]
    return stream.getvalue()


def test_text() -> None:
    assert text_of(Line("hello")) == "2026-06-06T12:00:00.123Z scheduler-0/scheduler hello\n"
    assert text_of(Line("hello", {"pod": "p"})) == "2026-06-06T12:00:00.123Z p hello\n"
    assert text_of(Line("hello", {"b": '"', "a": "1"})) == '2026-06-06T12:00:00.123Z {a="1", b="\\""} hello\n'
    assert text_of(Line("hello", {})) == "2026-06-06T12:00:00.123Z hello\n"
    assert text_of(Line("a\n  b\n")) == "2026-06-06T12:00:00.123Z scheduler-0/scheduler a\n  b\n"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"labels": []}, ""),
        ({"labels": ["stream", "nowhere"]}, '{stream="stdout"} '),
        ({"without": ["container"]}, "scheduler-0 "),
        ({"without": ["pod", "namespace", "stream"]}, '{container="scheduler"} '),
        ({"labels": ["pod", "stream"], "without": ["pod"]}, '{stream="stdout"} '),
    ],
)
def test_which_labels_are_shown(options: dict[str, object], shown: str) -> None:
    assert text_of(Line("hello"), **options) == f"2026-06-06T12:00:00.123Z {shown}hello\n"


def test_colours_are_for_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[34m2026" in text_of(Line("hello"), Terminal()) and "\x1b" not in text_of(Line("hello"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in text_of(Line("hello"), Terminal())


def test_a_line_does_not_drive_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    evil = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J\u202e"
    for stream in (io.StringIO(), Terminal()):
        assert text_of(Line(evil, {"pod": "p\x1b[2J"}), stream).count("\x1b") == 0
    assert "red \\x1b]0;title\\x07" in text_of(Line(evil))
    raw, terminal = io.StringIO(), Terminal()
    RawLines(raw, flush=False).add(Line(evil))
    RawLines(terminal, flush=False).add(Line(evil))
    assert raw.getvalue() == evil + "\n" and "\x1b" not in terminal.getvalue()


def test_a_stream_that_is_no_unicode_gets_ascii() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    TextLines(stream, labels=None, without=(), flush=True).add(Line("grün … ok", {"pod": "ü"}))
    assert stream.buffer.getvalue() == b"2026-06-06T12:00:00.123Z \\xfc gr\\xfcn ... ok\n"  # type: ignore[attr-defined]


def test_json_lines_say_all_of_it() -> None:
    stream = io.StringIO()
    writer = JsonLogLines(stream, flush=True)
    writer.add(Line('a "b"\n\x1b[0m', metadata={"trace_id": "7"}))
    writer.end({"never": "shown"})
    (record,) = map(json.loads, stream.getvalue().splitlines())
    assert record == {
        "timestamp": "2026-06-06T12:00:00.123456789Z", "labels": LABELS, "line": 'a "b"\n\x1b[0m', "metadata": {"trace_id": "7"},
    }  # fmt: skip


@pytest.mark.parametrize("number", [0, 1, 2])
def test_one_object(number: int) -> None:
    stream = io.StringIO()
    writer = JsonReport(stream, "xcomctl.logs/1")
    for _ in range(number):
        writer.add(Line("x"))
    assert number or not stream.getvalue()
    writer.end({"count": number, "verdict": "ok"})
    record = json.loads(stream.getvalue())
    assert [line["line"] for line in record.pop("lines")] == ["x"] * number
    assert record == {"schema": "xcomctl.logs/1", "count": number, "verdict": "ok"}


@pytest.mark.parametrize("form", ["text", "raw", "jsonl", "json"])
def test_no_secret_is_in_them(form: str) -> None:
    stream = io.StringIO()
    writers: dict[str, Lines] = {
        "text": TextLines(stream, labels=["note"], without=(), flush=False), "raw": RawLines(stream, flush=False),
        "jsonl": JsonLogLines(stream, flush=False), "json": JsonReport(stream, "s"),
    }  # fmt: skip
    line = Line("connect postgresql://u:hunter2@db/x AKIAABCDEFGHIJKLMNOP", {"note": "https://me:hunter2@l"})
    writers[form].add(line)
    writers[form].end({})
    assert "hunter2" not in stream.getvalue() and "AKIAA" not in stream.getvalue() and "***" in stream.getvalue()
    assert form in ("text", "raw") or '"redacted": true' in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "jsonl", "json"])
def test_a_label_that_is_called_a_secret_is_one(form: str) -> None:
    """``| json`` makes labels of what a line has fields of."""
    stream = io.StringIO()
    writers: dict[str, Lines] = {
        "text": TextLines(stream, labels=None, without=(), flush=False),
        "jsonl": JsonLogLines(stream, flush=False), "json": JsonReport(stream, "s"),
    }  # fmt: skip
    labels, metadata = {"db_password": "hunter2", "job": "airflow"}, {"api_key": "hunter2"}
    for line in (Line("fine", labels), Line("fine", labels), Line("fine", {"job": "a"}, metadata=metadata), Line("fine", {"job": "b"})):  # fmt: skip
        writers[form].add(line)
    writers[form].end({})
    text = stream.getvalue()
    assert "hunter2" not in text and "airflow" in text and text.count("***") == (2 if form == "text" else 3)
    assert form == "text" or text.count('"redacted": true') == 3


def test_labels_are_remembered_by_what_they_are() -> None:
    known = Labels()
    for number in range(3000):  # their ids come again
        assert known.redacted({"pod": str(number), "token": "x"}) == {"pod": str(number), "token": "***"}


SECRETS = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "AIRFLOW_CONN_X='s3://a'", "redis://u:p/w@h",
    "https://tok@git", ";PWD=x", "?X-Amz-Signature=1", "&sig=1", "&GoogleAccessId=1", "&Key-Pair-Id=1", "X-Amz-Security-Token=1&a",
    "Authorization: Basic x", "Set-Cookie: a=b", "bearer abcdefghijklmnop1234", "api_key=1", "--fernet-key abc", "my_key: v",
    '"aws_secret_access_key": "x"', "DB_PASS=1", "passphrase = x", "AKIAABCDEFGHIJKLMNOP", "ASIAABCDEFGHIJKLMNOP", "AROAABCDEFGHIJKLMNOP",
    "AIDAABCDEFGHIJKLMNOP", "eyJhbGciOi.eyJhbGciOi.x", "ghp_abcdefghijklmnopqrstu", "ghs_abcdefghijklmnopqrstu",
    "github_pat_abcdefghijklmnopqrstu", "glpat-abcdefghijklmnopq", "xoxb-abcdefghijk", "ya29.abcdefghijk", "credentials=1",
    "client_secret=1", "access_key_id=1", "session.token=1",
)  # fmt: skip
HARMLESS = (
    "key=return_value",
    "the task passed",
    "s3://conn@bucket/x",
    "12:00:00",
    "[INFO]",
    "ERROR - xcom",
    "://",
    "@",
    "\n",
    " ",
    "=",
    "ü",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_every_kind_of_secret_is_looked_for(secret: str) -> None:
    assert redact(secret) != secret and may_hold_one(secret)
    assert redacted(f"a {secret} b") == redact(f"a {secret} b")


@given(st.lists(st.sampled_from((*SECRETS, *HARMLESS)) | st.text(max_size=8), max_size=8), st.sampled_from(("", " ")))
def test_what_is_passed_over_holds_none(parts: list[str], between: str) -> None:
    text = between.join(parts)
    assert redacted(text) == redact(text)
