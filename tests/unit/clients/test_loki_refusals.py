"""What is asked again, and what is told in one sentence: by a Loki, or by whatever else answers there."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.support.loki import FakeLoki, Fault, Rules, fake_loki
from tests.support.loki.reading import SECOND, T0, reading
from xcomctl.clients.loki import Login, Loki, LokiError, LokiUnreachable
from xcomctl.errors import UserError
from xcomctl.model.verdicts import Verdict

QUERY = '{namespace="airflow"}'
END = T0 + 3600 * SECOND
LABELS = {"namespace": "airflow"}
SECRET = "hunter2-secret"


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with fake_loki() as served:
        served.push(LABELS, [(T0, "a line")])
        yield served


def texts(reader: Loki, query: str = QUERY) -> list[str]:
    return [line.text for line in reader.lines(query, T0, END)]


def refused(loki: FakeLoki, query: str = QUERY, login: Login | None = None, url: str = "") -> LokiError:
    with reading(loki, login, url=url) as reader, pytest.raises(LokiError) as caught:
        texts(reader, query)
    assert reader.incomplete == []
    for text in (caught.value.message, caught.value.hint, *reader.said):
        assert SECRET not in text
    return caught.value


# --- asking again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(status=429, body="too many outstanding requests", times=3), "busy (429 too many outstanding requests)"),
        (Fault(status=500, body='{"message": "oh no"}', times=3), "failed (500 oh no)"),
        (Fault(status=502, body="<html><head><title>502 Bad Gateway</title>", times=3), "failed (502 502 Bad Gateway)"),
        (Fault(dropped=True, times=3), "broke (Server disconnected"),
        (Fault(cut=True, times=3), "broke ("),
        (Fault(cut=True, unsized=True, times=3), "was cut"),
    ],
)
def test_passing_trouble_is_waited_out_and_told(loki: FakeLoki, fault: Fault, told: str) -> None:
    """Twice as long each time, and never exactly as long as another who waits."""
    with loki.failing(fault), reading(loki) as reader:
        assert texts(reader) == ["a line"] and reader.incomplete == []
    assert len(reader.said) == 3 and all(
        told in said and f"({n} of 8)" in said for n, said in enumerate(reader.said, 1)
    )
    for waited, most in zip(reader.waited, (0.5, 1.0, 2.0), strict=True):
        assert most / 2 <= waited <= most


def test_retry_after_is_heeded_in_seconds_and_as_a_date_within_reason(loki: FakeLoki) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for value, least, most in (("7", 7, 8), (later, 50, 61), ("86400", 120, 121), ("soon", 0, 0.5)):
        with loki.failing(Fault(status=429, headers={"Retry-After": value}, times=1)), reading(loki) as reader:
            assert texts(reader) == ["a line"]
        assert least <= reader.waited[0] <= most, value


def test_an_answer_that_does_not_come_is_told_and_half_of_the_time_asked_for(loki: FakeLoki) -> None:
    with loki.failing(Fault(late_s=60, times=1)), reading(loki, timeout_s=0.3) as reader:
        assert texts(reader) == ["a line"] and reader.incomplete == []
    assert "no answer within 0.3 s" in reader.said[0] and "half" in reader.said[0]
    assert [int(each["end"]) - int(each["start"]) for each in loki.queries()][:2] == [3600 * SECOND, 1800 * SECOND]


def test_who_is_always_slow_is_given_up_on(loki: FakeLoki) -> None:
    with loki.failing(Fault(status=504)), reading(loki) as reader:
        assert texts(reader) == []
    assert len(reader.incomplete) == 1 and "504" in reader.incomplete[0] and len(loki.queries()) == 8


class Forward:
    """A way to Loki that can be made anew as long as ``others`` has some."""

    def __init__(self, *urls: str) -> None:
        self.url, *self.others = urls

    def renew(self) -> bool:
        if not self.others:
            raise UserError("there is no way to Loki any more")
        self.url = self.others.pop(0)
        return True


def test_a_way_that_broke_is_made_anew_and_asked_at_once(loki: FakeLoki) -> None:
    with fake_loki() as gone:
        pass
    said: list[str] = []
    waited: list[float] = []
    with Loki(Forward(gone.url, loki.url), Login(), say=said.append, pause=waited.append) as session:
        assert texts(session) == ["a line"]
    assert len(said) == 1 and "made anew" in said[0] and waited == []


def test_a_way_that_is_silent_is_made_anew_after_the_second_time(loki: FakeLoki) -> None:
    """As a port-forward whose pod has gone: it takes connections, and nothing comes."""
    said: list[str] = []
    with fake_loki() as silent, silent.failing(Fault(late_s=60, path="/")) as fault:
        way = Forward(silent.url, loki.url)
        with Loki(way, Login(), say=said.append, timeout_s=0.3, pause=lambda seconds: None) as session:
            assert texts(session) == ["a line"] and session.incomplete == []
    assert fault.met == 2 and not way.others and any("silent: the way to it was made anew" in each for each in said)


def test_a_way_that_is_silent_in_the_middle_is_made_anew_too(loki: FakeLoki) -> None:
    loki.push(LABELS, [(T0 + n, f"{n}") for n in range(1, 30)])
    with fake_loki(Rules(max_entries=10)) as silent:
        silent.push(LABELS, [(T0, "a line"), *((T0 + n, f"{n}") for n in range(1, 30))])
        way = Forward(silent.url, loki.url)
        with Loki(way, Login(), say=lambda text: None, timeout_s=0.3, pause=lambda seconds: None) as session:
            lines = session.lines(QUERY, T0, END)
            first = next(lines)
            with silent.failing(Fault(late_s=60)) as fault:
                assert [first.text, *(line.text for line in lines)] == ["a line", *map(str, range(1, 30))]
    assert fault.met == 2 and session.incomplete == []


def test_a_query_that_is_slow_now_and_then_needs_no_new_way(loki: FakeLoki) -> None:
    way = Forward(loki.url, "http://127.0.0.1:9")
    with Loki(way, Login(), say=lambda text: None, timeout_s=0.3, pause=lambda seconds: None) as session:
        for _ in range(3):
            with loki.failing(Fault(late_s=60, times=1)):
                assert texts(session) == ["a line"]
    assert way.others


def test_that_there_is_no_way_any_more_is_raised(loki: FakeLoki) -> None:
    loki.rules.max_entries = 10
    loki.push(LABELS, [(T0 + n, f"{n}") for n in range(30)])
    with Loki(Forward(loki.url), Login(), say=lambda text: None) as session:
        lines = session.lines(QUERY, T0, END)
        next(lines)
        with loki.failing(Fault(dropped=True)), pytest.raises(UserError, match="no way to Loki any more"):
            list(lines)
        assert len(session.incomplete) == 1 and "no way to Loki any more" in session.incomplete[0]


# --- one sentence each ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ('{namespace=airflow} |= "x"', '{namespace=airflow} |= "x"\n           ^'),
        ('{namespace="airflow"}\n\t|= x', "\t|= x\n\t   ^"),
        ('{namespace="airflow"} |=', '{namespace="airflow"} |=\n                        ^'),
    ],
)
def test_a_syntax_error_is_lokis_own_with_its_place_marked(loki: FakeLoki, query: str, shown: str) -> None:
    error = refused(loki, query)
    first, _, rest = error.message.partition("\n")
    assert "parse error at line" in first and "syntax error: unexpected" in first
    assert error.verdict is Verdict.REFUSED
    assert rest == shown


def test_what_loki_says_without_a_place_is_told_as_it_is(loki: FakeLoki) -> None:
    assert "queries require at least one regexp or equality matcher" in refused(loki, '{app=~".*"}').message
    # What a query looks for is no limit of Loki's.
    assert "parse error" in refused(loki, '{app=x} |= "query timed out, would read too many bytes"').message
    with loki.failing(Fault(status=400, body="parse error at line 1, col 9: unexpected query timed out")):
        assert "parse error" in refused(loki).message
    assert "error parsing regexp" in refused(loki, '{app="x"} |~ "("').message
    with loki.failing(
        Fault(status=400, body='{"status":"error","errorType":"bad_data","error":"parse error : oh no"}')
    ):
        assert refused(loki).message == "Loki refused the query: parse error : oh no"


def test_a_metric_query_is_none_for_lines(loki: FakeLoki) -> None:
    assert "metric query" in refused(loki, 'sum(rate({app="x"}[1m]))').message


def test_tenants(loki: FakeLoki) -> None:
    loki.rules.tenants = True
    loki.tenant("one").push(LABELS, [(T0, "of one")])
    error = refused(loki)
    assert "told none" in error.message and "--org-id" in error.hint
    with reading(loki, Login(tenant="one")) as reader:
        assert texts(reader) == ["of one"]
    with reading(loki, Login(tenant="two")) as reader:
        assert texts(reader) == []


def test_logins(loki: FakeLoki) -> None:
    loki.rules.login = ("jö", SECRET)
    for login in (None, Login(username="jö", password="wrong"), Login(token=SECRET)):
        error = refused(loki, login=login)
        assert "refused the login: 401 401 Authorization Required" in error.message and "LOKI_USERNAME" in error.hint
    with reading(loki, Login(username="jö", password=SECRET)) as reader:
        assert texts(reader) == ["a line"]
    loki.rules.login, loki.rules.token = None, SECRET
    error = refused(loki, login=Login(token="wrong"), url=loki.url.replace("//", f"//{SECRET}:{SECRET}@"))
    assert "401" in error.message and "LOKI_BEARER_TOKEN" in error.hint
    # The login of a URL does not take the place of the token.
    with reading(loki, Login(token=f"{SECRET}\n"), url=loki.url.replace("//", "//user:pass@")) as reader:
        assert texts(reader) == ["a line"]
    loki.rules.login, loki.rules.token = ("user", "pass"), None
    with reading(loki, url=loki.url.replace("//", "//user:pass@")) as reader:
        assert texts(reader) == ["a line"]
    with pytest.raises(LokiError) as caught:
        reading(loki, Login(token=f"two\n{SECRET}")).__enter__()
    assert SECRET not in caught.value.message and "line break" in caught.value.message
    assert SECRET not in repr(Login(password=SECRET, token=SECRET))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=403, body=f"access denied for {SECRET}"), "does not let this login read here: 403 access denied for ***"),
        (Fault(status=302, headers={"Location": f"https://u:{SECRET}@sso.example/login?token={SECRET}"}),
         "sends on to https://sso.example/login: a login page"),
        (Fault(status=200, body="<!doctype html><title>Sign in &amp; go</title>", headers={"Content-Type": "text/html"}),
         "no Loki: it gave a web page (Sign in & go)"),
        (Fault(status=200, body="hello"), "no Loki: it gave something else (hello)"),
        (Fault(status=200, body='{"metadatabase": {}}', headers={"Content-Type": "application/json"}), "is no Loki"),
        (Fault(status=200, body='{"status": "success", "data": {"resultType": "streams", "result": [{"stream": {}}]}}'),
         "not as its API documents it"),
        (Fault(status=200, body='{"status": "success", "data": []}'), "not as its API documents it"),
        (Fault(status=400, body="<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>"),
         "refused /loki/api/v1/query_range: 400 400 The plain HTTP request was sent to HTTPS port"),
        (Fault(status=404, body="404 page not found"), "There is no Loki at"),
        (Fault(status=501, body="not implemented"), "501 not implemented"),
    ],
)  # fmt: skip
def test_what_is_no_loki_or_does_not_let_us_in(loki: FakeLoki, fault: Fault, words: str) -> None:
    with loki.failing(fault):
        error = refused(loki, login=Login(token=SECRET))
    assert words in error.message and "\n" not in error.message
    assert fault.met == 1


def test_a_wrong_path_and_a_right_one(loki: FakeLoki) -> None:
    loki.rules = Rules(prefix="/loki-of-ours")
    assert "404 for /loki/api/v1/query_range" in refused(loki).message
    with reading(loki, url=f"{loki.url}/loki-of-ours/") as reader:
        assert texts(reader) == ["a line"]


@pytest.mark.parametrize("url", ["", "127.0.0.1:3100", "ftp://127.0.0.1", "http://", "http://[::1", "http://a\nb"])
def test_what_is_no_url(loki: FakeLoki, url: str) -> None:
    assert "is no URL" in refused(loki, url=url or " ").message


def test_nobody_there(loki: FakeLoki) -> None:
    with fake_loki() as gone:
        pass
    error = refused(loki, url=gone.url.replace("//", f"//{SECRET}@"))
    assert isinstance(error, LokiUnreachable) and "asked 3 times" in error.message


def test_proxies_are_heeded_but_not_for_this_machine(loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy here is the fake itself: it is asked for a URL of another host."""
    for name in ("http_proxy", "all_proxy", "no_proxy", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", loki.url)
    with reading(loki) as reader:
        assert texts(reader) == ["a line"]
    asked = len(loki.asked)
    with reading(loki, url="http://loki.invalid") as reader:
        assert texts(reader) == ["a line"]
    assert len(loki.asked) > asked
    monkeypatch.setenv("HTTP_PROXY", f"nonsense://u:{SECRET}@proxy")
    assert "proxies" in refused(loki, url="http://loki.invalid").message


def test_a_ca_file_that_is_none(loki: FakeLoki, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", tmp_path):
        with pytest.raises(LokiError, match="CA file"):
            reading(loki, Login(ca_file=path)).__enter__()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key; made by what an Airflow has for that."""
    program = """if True:
        import datetime, ipaddress, pathlib, sys
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loki")])
        now = datetime.datetime.now(datetime.timezone.utc)
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        pathlib.Path(sys.argv[1]).write_bytes(made.public_bytes(pem))
        pathlib.Path(sys.argv[2]).write_bytes(key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    """
    python = Path(__file__).parents[3] / ".venvs" / "airflow-3.3" / "bin" / "python"
    files = folder / "ca.pem", folder / "key.pem"
    subprocess.run([python, "-c", program, *files], check=True)
    return files


def test_a_ca_of_ones_own(tmp_path: Path) -> None:
    ca_file, key = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(ca_file, key)
    with fake_loki(tls=tls) as loki:
        loki.push(LABELS, [(T0, "a line")])
        error = refused(loki)
        assert "certificate" in error.message and "--ca-cert" in error.hint and not isinstance(error, LokiUnreachable)
        with reading(loki, Login(ca_file=ca_file)) as reader:
            assert texts(reader) == ["a line"]


def test_ctrl_c_ends_a_wait_for_an_answer_at_once(loki: FakeLoki) -> None:
    program = (
        "import sys; from xcomctl.clients.loki import *\n"
        "try:\n"
        "    with Loki(FixedAddress(sys.argv[1]), Login(), say=print) as loki:\n"
        f"        list(loki.lines({QUERY!r}, {T0}, {END}))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    with loki.failing(Fault(late_s=600)) as fault:
        child = subprocess.Popen([sys.executable, "-c", program, loki.url], stdout=subprocess.PIPE, text=True)
        try:
            while not fault.met:
                assert child.poll() is None
                time.sleep(0.01)
            os.kill(child.pid, signal.SIGINT)
            out, _ = child.communicate(timeout=60)  # far less than the answer takes
        finally:
            child.kill()
            child.wait()
    assert out == "interrupted\n"
