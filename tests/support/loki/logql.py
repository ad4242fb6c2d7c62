"""As much of LogQL as queries of this project need: stream selectors, and filters of lines. Python's ``re`` for RE2."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_TOKENS = re.compile(
    r'(?P<blank>\s+|#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)'
    r"|(?P<operator>\|=|\|~|!=|!~|=~|[={},()|\[\]])|(?P<other>.)",
    re.DOTALL,
)
#: What stands before a metric query's parenthesis.
_METRICS = frozenset({"sum", "count", "topk", "rate", "count_over_time", "bytes_over_time", "bytes_rate"})
_SHOWN = {"string": "STRING", "name": "IDENTIFIER"}


class ParseError(Exception):
    """What is wrong with a query, as Loki says it."""


@dataclass(frozen=True)
class Query:
    """A parsed query; ``metric`` ones are known as such and not evaluated."""

    matchers: tuple[tuple[str, str, str], ...]
    filters: tuple[tuple[str, tuple[str, ...]], ...]
    metric: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a stream is meant; regular expressions hold for the whole value, a missing label is empty."""
        return all(_holds(labels.get(name, ""), operator, value) for name, operator, value in self.matchers)

    def keeps(self) -> Callable[[str], bool]:
        """Whether a line is kept."""
        tests = [
            (operator[0] == "|", [_test(operator, value) for value in values]) for operator, values in self.filters
        ]
        return lambda line: all(any(test(line) for test in each) is wanted for wanted, each in tests)


def _test(operator: str, value: str) -> Callable[[str], bool]:
    if operator.endswith("="):
        return lambda line: value in line
    pattern = re.compile(value)
    return lambda line: pattern.search(line) is not None


def _holds(value: str, operator: str, wanted: str) -> bool:
    if operator in ("=", "!="):
        return (value == wanted) is (operator == "=")
    return (re.fullmatch(wanted, value) is not None) is (operator == "=~")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def shown(self) -> str:
        return _SHOWN.get(self.kind, self.text or "$end")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [
            _Token(str(found.lastgroup), found[0], found.start())
            for found in _TOKENS.finditer(text)
            if found.lastgroup != "blank"
        ]
        self._tokens.append(_Token("end", "", len(text)))
        self._next = 0

    def query(self) -> Query:
        if self._peek().kind == "name" and self._peek().text in _METRICS:
            return Query((), (), metric=True)
        depth = 0
        while self._peek().text == "(":
            self._take("(")
            depth += 1
        matchers = self._selector()
        filters = []
        while self._peek().text in ("|=", "!=", "|~", "!~"):
            operator = self._take().text
            values = [self._string()]
            while self._peek().text == "or":
                self._take()
                values.append(self._string())
            filters.append((operator, tuple(values)))
        for _ in range(depth):
            self._take(")")
        if self._peek().kind != "end":
            raise self._unexpected(self._peek())
        _check([value for _, operator, value in matchers if "~" in operator])
        _check([value for operator, values in filters if "~" in operator for value in values])
        return Query(tuple(matchers), tuple(filters))

    def _selector(self) -> list[tuple[str, str, str]]:
        self._take("{")
        matchers: list[tuple[str, str, str]] = []
        while self._peek().text != "}":
            if matchers:
                self._take(",")
            name = self._take(kind="name").text
            operator = self._take()
            if operator.text not in ("=", "!=", "=~", "!~"):
                raise self._unexpected(operator, "= or != or =~ or !~")
            matchers.append((name, operator.text, self._string()))
        self._take("}")
        return matchers

    def _string(self) -> str:
        token = self._take(kind="string")
        if token.text.startswith("`"):
            return token.text[1:-1]
        value: str = json.loads(token.text)
        return value

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, text: str = "", kind: str = "") -> _Token:
        token = self._peek()
        if token.kind == "other" and token.text in '"`':
            raise self._error(token, "literal not terminated")
        if (text and token.text != text) or (kind and token.kind != kind):
            raise self._unexpected(token, text or _SHOWN[kind])
        self._next += 1
        return token

    def _unexpected(self, token: _Token, expecting: str = "") -> ParseError:
        more = f", expecting {expecting}" if expecting else ""
        return self._error(token, f"syntax error: unexpected {token.shown}{more}")

    def _error(self, token: _Token, message: str) -> ParseError:
        before = self._text[: token.at]
        line, column = before.count("\n") + 1, token.at - (before.rfind("\n") + 1) + 1
        return ParseError(f"parse error at line {line}, col {column}: {message}")


def _check(patterns: list[str]) -> None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ParseError(f"parse error : error parsing regexp: {error}: `{pattern}`") from None


def parse(text: str) -> Query:
    """The query. Raises :class:`ParseError` with Loki's words."""
    query = _Parser(text).query()
    telling = [matcher for matcher in query.matchers if matcher[1] in ("=", "=~") and not _holds("", *matcher[1:])]
    if not telling and not query.metric:
        raise ParseError(
            "parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible "
            'value. For instance, app=~".*" does not meet this requirement, but app=~".+" will'
        )
    return query
