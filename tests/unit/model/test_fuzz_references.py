"""Stored texts of any shape: what a path may lead to is decided before anything is opened."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xcomctl.model.references import (
    Kind,
    Owner,
    classify,
    escapes,
    is_alias,
    is_stray_path,
    might_escape,
    normalized_base,
    scheme_of,
    written_under,
)
from xcomctl.references.scan import kind_of

UUID = "01234567-89ab-cdef-0123-456789abcdef"
FOLDER = "/data/xcom"
BASES = st.sampled_from(
    ["s3://store@bucket/xcom", "s3://bucket", "gs://bucket/a/b/", f"file://{FOLDER}", f"local://{FOLDER}/"]
)
#: What paths are made of, and what breaks them.
NAMES = st.sampled_from(
    ["..", ".", "", "a", "dag", "run", "task", UUID, f"{UUID}.gz", f"ti-{UUID}", "k.json", "\x00", "%2e%2e", "\ud800",
     "a?b", "a#b", " ", "\n", "\t..", "..\n", "\\..", "ü🚀", "s3:", "xcom", "data"]
)  # fmt: skip
PATHS = st.lists(NAMES, max_size=9).map("/".join)
TEXTS = st.text() | PATHS
HEADS = st.sampled_from(
    [
        "",
        "/",
        "//",
        "file://",
        "FILE://",
        "local://",
        "file:",
        "\tfile://",
        "fi\nle://",
        "s3://",
        "s3a://",
        "s3://x@",
        "x",
    ]
)
OWNERS = st.builds(Owner, TEXTS, TEXTS, TEXTS)


@given(value=TEXTS | st.tuples(HEADS, BASES, PATHS).map("".join), base=BASES, owner=OWNERS)
@example(value="s3://[", base="s3://bucket", owner=Owner("", "", ""))
@example(value="http://\u2100.com/x", base="s3://bucket", owner=Owner("", "", ""))
def test_any_text_is_something(value, base, owner):
    found = classify(value, base)
    assert (found.reference is not None) == (found.kind is Kind.REFERENCE)
    assert kind_of(value, base, owner) in ("reference", "alias", "foreign", None)
    assert written_under(value, owner) is None or value.startswith(written_under(value, owner))
    assert is_stray_path(value, owner) in (True, False)
    assert might_escape(value, base) in (True, False)
    if found.reference is not None:
        assert is_alias(found.reference, owner) in (True, False)
        assert value.startswith(normalized_base(base).rstrip("/"))


@given(base=BASES, slashes=st.sampled_from(["/", "//", "///"]), path=PATHS | st.text())
def test_what_does_not_escape_stays_below_the_base_path(base, slashes, path):
    found = classify(f"{normalized_base(base).rstrip('/')}{slashes}{path}", base).reference
    assert found is not None
    if escapes(found):
        return
    folder = "/root/folder"
    resolved = posixpath.normpath(f"{folder}/{found.relative}")
    assert resolved.startswith(f"{folder}/") and resolved == f"{folder}/{found.relative}"
    assert "\x00" not in resolved


@pytest.mark.parametrize(
    "path",
    ["../secret", "dag/../../secret", "./x", "a/./b", "a//b", "a/", "", "a\x00b", "..", "dag/run/task/.."],
)
def test_what_escapes(path):
    found = classify(f"s3://store@bucket/xcom/{path}", "s3://store@bucket/xcom").reference
    assert found is not None and escapes(found)


@given(head=HEADS, slashes=st.sampled_from(["", "/", "//"]), path=PATHS)
def test_whatever_names_the_base_path_in_another_way_and_has_dots_is_not_opened(head, slashes, path):
    """To the backend it may be relative, and what it opens is the base path joined with all of the text."""
    value = f"{head}{FOLDER}{slashes}{path}"
    base = f"file://{FOLDER}"
    if scheme_of(value) is None or classify(value, base).reference is not None or might_escape(value, base):
        return
    joined = posixpath.normpath(f"{FOLDER}/{value}")
    assert joined.startswith(f"{FOLDER}/") and "\x00" not in joined


@pytest.mark.parametrize(
    ("value", "base"),
    [
        # Each of these is opened by the backend of one line or both, under a base path that it was not written under.
        ("local:///data/xcom/../secret", "file:///data/xcom"),
        ("file:/data/xcom/../secret", "file:///data/xcom"),
        ("file://x@/data/xcom/../secret", "file:///data/xcom"),
        ("file://///data//xcom/../secret", "file:///data/xcom"),
        ("\tfile:///data/xcom/../secret", "file:///data/xcom"),
        ("fi\nle:///da\tta/xcom/.\t./secret", "file:///data/xcom"),
        ("s3a://store@bucket/xcom/../secret", "s3://store@bucket/xcom"),
        ("s3://other@bucket/xcom/a/../../secret", "s3://store@bucket/xcom"),
        # No base path to us, and one to the backend, which opens the file outside of it.
        ("file:///data/xcom/../secret", "file:/data/xcom"),
    ],
)
def test_other_names_of_the_base_path(value, base):
    assert classify(value, base).reference is None or base == "file:/data/xcom"
    assert might_escape(value, base)


@pytest.mark.parametrize(
    "value", ["https://example.org/a/../b", "note: see ../x", "../data/xcom", "s3://elsewhere/../x"]
)
def test_other_dots_are_values(value):
    assert not might_escape(value, "s3://store@bucket/xcom")
    assert not might_escape(value, "")
