"""Where Loki is, and who we are to it: a login goes to no other Loki than the one that it was given for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xcomctl.assess.loki_login import Options, address, login, where
from xcomctl.deployment.loki_entry import LokiEntry
from xcomctl.errors import UserError

ENVIRONMENT = {
    "LOKI_ADDR": "http://addr:3100", "LOKI_ORG_ID": "t", "LOKI_USERNAME": "u", "LOKI_PASSWORD": "p", "OTHER": "other-p",
}  # fmt: skip
ENTRY = LokiEntry(url="https://entry", tenant="their", username="them", password_env="OTHER")


def login_of(options: Options, entry: LokiEntry | None, environment: dict[str, str]) -> Any:
    return login(where(options, entry, environment), options, environment)


def test_what_names_it_by_precedence() -> None:
    assert where(Options(url="http://o", service="s"), ENTRY, ENVIRONMENT).url == "http://o"
    assert where(Options(service="ns/s"), ENTRY, ENVIRONMENT).service == "ns/s"
    assert where(Options(), ENTRY, ENVIRONMENT).url == "http://addr:3100"
    assert where(Options(), ENTRY, {}).url == "https://entry"
    assert where(Options(), LokiEntry(service="s:80", namespace="ns"), {}).service == "ns/s:80"
    assert where(Options(), LokiEntry(service="ns/s"), {}).service == "ns/s"
    found = where(Options(), None, {"LOKI_ADDR": ""})
    assert found.url is found.service is found.entry is None


def test_a_login_belongs_to_what_named_the_address() -> None:
    ours = login_of(Options(), ENTRY, ENVIRONMENT)
    assert (ours.tenant, ours.username, ours.password, ours.token) == ("t", "u", "p", None)
    theirs = login_of(Options(), ENTRY, {name: value for name, value in ENVIRONMENT.items() if name != "LOKI_ADDR"})
    assert (theirs.tenant, theirs.username, theirs.password, theirs.token) == ("their", "them", "other-p", None)
    anonymous = login_of(Options(), LokiEntry(url="http://e"), {"LOKI_USERNAME": "u", "LOKI_PASSWORD": "p", "LOKI_BEARER_TOKEN": "x"})  # fmt: skip
    assert (anonymous.username, anonymous.password, anonymous.token) == (None, None, None)
    assert login_of(Options(tenant="mine"), ENTRY, {"OTHER": "x"}).tenant == "mine"


SECRETS = {"LOKI_USERNAME": "u", "LOKI_PASSWORD": "p"}
ADDRESS = {"LOKI_ADDR": "http://addr:3100"}


@pytest.mark.parametrize(
    ("options", "environment", "sent"),
    [
        (Options(), SECRETS | ADDRESS, ("u", "p", None)),
        (Options(url="http://o"), SECRETS, ("u", "p", None)),
        (Options(service="ns/s"), SECRETS, ("u", "p", None)),
        (Options(url="http://addr:3100/loki/api/v1"), SECRETS | ADDRESS, ("u", "p", None)),
        (Options(url="http://o"), SECRETS | ADDRESS, None),
        (Options(url="http://o"), SECRETS | {"LOKI_ADDR": "no address"}, None),
        (Options(service="ns/s"), {"LOKI_BEARER_TOKEN": "x"} | ADDRESS, None),
        (Options(service="ns/s"), {"LOKI_BEARER_TOKEN_FILE": "/nowhere"} | ADDRESS, None),
        (Options(), SECRETS, None),
        (Options(), {"LOKI_BEARER_TOKEN": "x"}, None),
        (Options(username="me"), SECRETS | {"LOKI_BEARER_TOKEN": "x"}, ("me", "p", None)),
        (Options(url="http://o", username="me"), SECRETS | ADDRESS, ("me", "p", None)),
    ],
)
def test_the_environments_login_goes_where_it_was_meant_for(
    options: Options, environment: dict[str, str], sent: tuple[str | None, ...] | None
) -> None:
    said: list[str] = []
    found = login(where(options, None, environment), options, environment, said.append)
    assert (found.username, found.password, found.token) == (sent or (None, None, None))
    assert len(said) == (sent is None)
    if sent is None:
        assert "not sent to" in said[0] and "--username" in said[0] and "LOKI_" in said[0]


def test_an_option_that_says_who_we_are_wins(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-option")
    found = login_of(Options(token_file=file), None, SECRETS)
    assert (found.username, found.password, found.token) == (None, None, "from-option")
    entry = LokiEntry(url="https://e", token_env="UNSET")
    found = login_of(Options(username="me"), entry, {"LOKI_PASSWORD": "p"})
    assert (found.username, found.password, found.token) == ("me", "p", None)


def test_tokens(tmp_path: Path) -> None:
    file, other = tmp_path / "token", tmp_path / "other"
    file.write_text("from-file\n")
    other.write_text("from-option\n")
    at = Options(url="http://o")
    assert login_of(at, None, {"LOKI_BEARER_TOKEN": "direct", "LOKI_BEARER_TOKEN_FILE": str(file)}).token == "direct"
    assert login_of(at, None, {"LOKI_BEARER_TOKEN_FILE": str(file)}).token == "from-file"
    assert login_of(Options(url="http://o", token_file=other), None, {"LOKI_BEARER_TOKEN": "x"}).token == "from-option"
    assert login_of(Options(token_file=other), LokiEntry(url="http://e"), {}).token == "from-option"
    assert login_of(Options(), LokiEntry(url="http://e", token_env="T"), {"T": "named"}).token == "named"


def test_a_user_in_the_address_is_taken_out_of_it() -> None:
    options = Options(url="https://me:s%40cret@loki.example.org:8443/prefix/")
    found = login_of(options, None, {})
    assert (found.username, found.password) == ("me", "s@cret")
    said: list[str] = []
    with address(where(options, None, {}), None, said.append) as way:
        assert way.url == "https://loki.example.org:8443/prefix"
    assert "s%40cret" not in "".join(said) and "me" not in said[0].split("//")[1]
    assert "s@cret" not in repr(found)


@pytest.mark.parametrize(
    ("url", "meant"),
    [("http://l:3100/", "http://l:3100"), ("http://l/loki/api/v1/", "http://l"), ("http://l/x/loki/api/v1", "http://l/x"), ("http://[::1]:3100", "http://[::1]:3100")],
)  # fmt: skip
def test_addresses(url: str, meant: str) -> None:
    with address(where(Options(url=url), None, {}), None, lambda text: None) as way:
        assert way.url == meant


@pytest.mark.parametrize("url", ["loki:3100", "ftp://l", "http://", "http://l:99999", "http://l:x", "http://l?a=b", "http://l#f", "", "http://u:hidden@l?x", "http://u:hidden@[bad", "ops:hidden@loki:3100", "https://u:hi/hidden@h:3100", "https://u:1/hidden@h:3100", "https://hidden@loki/x@y", "https://hidden%40loki:x", "u@v:hidden@x"])  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    place = where(Options(url=url), None, {})
    with pytest.raises(UserError, match="is no address of a Loki") as caught, address(place, None, lambda text: None):
        pass
    assert "hidden" not in f"{caught.value.message}{caught.value.hint}" and caught.value.verdict.exit_code == 6


@pytest.mark.parametrize(
    ("options", "entry", "environment", "said"),
    [
        (Options(url="http://o", username="u"), None, {}, "no password for Loki's user u"),
        (Options(url="http://o"), None, {"LOKI_USERNAME": "u", "LOKI_PASSWORD": "p", "LOKI_BEARER_TOKEN": "x"}, "two logins"),
        (Options(url="https://HIDDEN@loki"), None, {}, "a user in the address of Loki and no password"),
        (Options(url="http://o", username="u", token_file=Path(__file__)), None, {}, "two logins"),
        (Options(), ENTRY, {}, "the deployment's login for Loki is in OTHER"),
        (Options(url="http://o", ca_file=Path("/nowhere/ca")), None, {}, "no CA file /nowhere/ca"),
        (Options(url="http://o", token_file=Path("/nowhere/t")), None, {}, "cannot read the bearer token from /nowhere/t"),
    ],
)  # fmt: skip
def test_logins_that_are_none(
    options: Options, entry: LokiEntry | None, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        login_of(options, entry, environment)
    assert "HIDDEN" not in f"{caught.value.message}{caught.value.hint}" and caught.value.verdict.exit_code == 5
