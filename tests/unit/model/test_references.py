from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.model.references import (
    NO_TASK_ID,
    Kind,
    Layout,
    Owner,
    classify,
    is_alias,
    is_stray_path,
    normalized_base,
    scheme_of,
    written_under,
)

BASE = "s3://s3_conn@bucket/xcom"
UUID4 = "5969db79-f324-4267-bfdd-c041b86d1b29"
RUN = "manual__2026-06-06T00:00:00+00:00"
OWNER = Owner("diagnostic__s42", RUN, "group.discriminate_cell")


def uri(base=BASE, owner=OWNER, tail=UUID4):
    return f"{base}/{owner.dag_id}/{owner.run_id}/{owner.task_id}/{tail}"


ids = st.text(st.characters(codec="utf-8", exclude_characters="/\n"), min_size=1, max_size=30)
run_ids = st.one_of(ids, st.sampled_from(["a b+c:d%20e", "with/a/slash", "a//b", "..", "é?q=1#f"]))
bases = st.sampled_from([BASE, BASE + "/", "s3://bucket", "s3://c@bucket/", "gs://b/x/y", "file:///var/xcom"])


@given(bases, ids, run_ids, ids, st.uuids(version=4), st.sampled_from(["", ".gz", ".bz2", ".zst"]))
def test_a_written_path_is_a_reference_that_names_its_row(base, dag_id, run_id, task_id, unique, suffix):
    owner = Owner(dag_id, run_id, task_id)
    stored = f"{normalized_base(base).rstrip('/')}/{dag_id}/{run_id}/{task_id}/{unique}{suffix}"
    found = classify(stored, base)
    reference = found.reference
    assert found.kind is Kind.REFERENCE and reference is not None
    assert reference.layout is Layout.UUID
    assert (reference.dag_id, reference.run_id, reference.task_id) == (dag_id, run_id, task_id)
    assert reference.object_uri == stored and reference.object_name == f"{unique}{suffix}"
    assert (reference.suffix or "") == suffix.lstrip(".")
    assert not is_alias(reference, owner)
    for other in (
        Owner(dag_id + "x", run_id, task_id),
        Owner(dag_id, run_id + "x", task_id),
        Owner(dag_id, run_id, task_id + "x"),
    ):
        assert is_alias(reference, other)


@pytest.mark.parametrize(
    ("tail", "layout"),
    [(f"ti-{UUID4}/return_value.json", Layout.TASK_INSTANCE), (f"write-{UUID4}/a%2Fb.json.gz", Layout.WRITE)],
)
def test_the_layout_of_airflow_3_4(tail, layout):
    reference = classify(uri(tail=tail), BASE).reference
    assert reference is not None and reference.layout is layout
    assert (reference.dag_id, reference.run_id, reference.task_id) == (OWNER.dag_id, OWNER.run_id, OWNER.task_id)
    assert reference.instance == UUID4
    assert reference.key == ("a/b" if "%2F" in tail else "return_value")
    assert reference.suffix == ("gz" if tail.endswith("gz") else None)
    assert not is_alias(reference, OWNER)
    assert is_alias(reference, Owner(OWNER.dag_id, OWNER.run_id, "another"))


def test_ids_that_airflow_3_4_cut_short_are_compared_as_far_as_they_go():
    tail = f"ti-{UUID4}/return_value.json"
    owner = Owner("d" * 250, "r" * 600, "t" * 250)
    room = 1024 - len(BASE) - 1 - len(tail) - 3
    run_id = "r" * (room - 250 - 250)
    stored = f"{BASE}/{owner.dag_id}/{run_id}/{owner.task_id}/{tail}"
    assert len(stored) == 1024 and len(run_id) < 600
    reference = classify(stored, BASE).reference
    assert reference is not None
    assert not is_alias(reference, owner)
    assert is_alias(reference, Owner("e" * 250, owner.run_id, owner.task_id))
    short = classify(f"{BASE}/{'d' * 10}/{'r' * 10}/{'t' * 10}/{tail}", BASE).reference
    assert short is not None and is_alias(short, Owner("d" * 11, "r" * 10, "t" * 10))


@pytest.mark.parametrize(
    "owner",
    [
        Owner("NO_DAG_ID", RUN, "t"),
        Owner("d", "NO_RUN_ID", "t"),
        Owner("d", RUN, "NO_TASK_ID"),
        Owner("NO_DAG_ID", "NO_RUN_ID", "NO_TASK_ID"),
    ],
)
def test_the_backends_defaults_are_no_alias(owner):
    reference = classify(uri(owner=owner), BASE).reference
    assert reference is not None and not is_alias(reference, Owner("d", RUN, "t"))


# What `_get_full_path` did on 2.11.2 and 3.3.2: resolves to an object below the base, or does not.
@pytest.mark.parametrize(
    "value",
    [
        f"{BASE}/d/r/t/u",
        f"{BASE}//d/r/t/u",
        f"{BASE}/../d/r",
        f"{BASE}/d/r a+b:c%20d/t/u",
        f"{BASE}/d/r?q=1#f/t/u",
        f"{BASE}/d\n/r/t/u",
        f"{BASE}/d/r/t/u\n",
        BASE,
        BASE + "/",
    ],
)
def test_below_the_base_path(value):
    found = classify(value, BASE)
    assert found.kind is Kind.REFERENCE and found.reference is not None
    assert found.reference.uri == value
    assert found.reference.layout is Layout.OTHER
    assert is_alias(found.reference, OWNER)


@pytest.mark.parametrize(
    "value",
    [
        "s3://s3_conn@bucket/xcomx/d/r/t/u",
        "s3://other@bucket/xcom/d/r/t/u",
        "s3://bucket/xcom/d/r/t/u",
        "gs://s3_conn@bucket/xcom/d/r/t/u",
        "s3a://s3_conn@bucket/xcom/d/r/t/u",
        "S3://s3_conn@bucket/xcom/d/r/t/u",
        "s3://S3_CONN@bucket/xcom/d",
        "s3://s3_conn@bucket//xcom/d/r/t/u",
        "s3://s3_conn@bucket",
        "s3://",
        "git://github.com/x/y",
        "https://a/b",
        "file:///tmp/x",
    ],
)
def test_foreign(value):
    assert classify(value, BASE).kind is Kind.FOREIGN


@pytest.mark.parametrize(
    "value",
    [
        "",
        "hello",
        "bucket/xcom/d",
        "/bucket/xcom/d",
        "note: see below",
        "a:b",
        "://x",
        "s3://[bad/x",
        "20260606",
        '{"a": "s3://s3_conn@bucket/xcom/d"}',
        " " + BASE + "/d/r/t/u",
    ],
)
def test_plain(value):
    assert classify(value, BASE).kind is Kind.PLAIN


def test_doubled_slashes_behind_the_base_name_the_same_object():
    reference = classify(uri().replace(BASE + "/", BASE + "//"), BASE + "/").reference
    assert reference is not None and reference.object_uri == uri() and not is_alias(reference, OWNER)


@given(st.text(max_size=80), bases)
def test_any_text_is_something(value, base):
    found = classify(value, base)
    assert (found.reference is not None) is (found.kind is Kind.REFERENCE)
    scheme_of(value)
    is_stray_path(value, OWNER)


@pytest.mark.parametrize("folder", ["", "/", "xcom/", "/opt/airflow/xcom/"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_a_misconfigured_writer_leaves_is_recognized(folder, suffix):
    path = f"{folder}{OWNER.dag_id}/{OWNER.run_id}/{OWNER.task_id}/{UUID4}{suffix}"
    assert is_stray_path(path, OWNER)
    assert not is_stray_path(path, Owner("another", RUN, OWNER.task_id))
    assert classify(path, BASE).kind is Kind.PLAIN
    assert not is_stray_path("x" + path, OWNER) or folder


def test_a_reference_is_no_stray_path():
    assert not is_stray_path(uri(), OWNER)
    assert not is_stray_path(uri(base="file:///x"), OWNER)
    assert UUID(UUID4).version == 4


@given(bases, ids, run_ids, ids, st.uuids(version=4), st.sampled_from(["", ".gz"]))
def test_a_foreign_path_gives_away_the_base_under_which_its_row_wrote_it(base, dag_id, run_id, task_id, unique, suffix):
    under = normalized_base(base).rstrip("/")
    stored = f"{under}/{dag_id}/{run_id}/{task_id}/{unique}{suffix}"
    assert classify(stored, "s3://another/base").kind is Kind.FOREIGN
    assert written_under(stored, Owner(dag_id, run_id, task_id)) == under
    # The backend writes NO_TASK_ID for a row of any task.
    assert (written_under(stored, Owner(dag_id, run_id, task_id + "x")) is None) == (task_id != NO_TASK_ID)


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (uri(tail=f"ti-{UUID4}/return_value.json"), BASE),
        (uri(tail=f"write-{UUID4}/a%2Fb.json.gz"), BASE),
        (uri(owner=Owner("NO_DAG_ID", RUN, OWNER.task_id)), BASE),
        (uri(base=uri(tail="x")), uri(tail="x")),  # the last place counts
        (uri(tail="report.csv"), None),
        (uri(tail=f"{UUID4}/part-0"), None),
        (uri(owner=Owner("another", RUN, OWNER.task_id)), None),
        (uri(base="https:"), None),
        (uri(base="https:/"), None),
        (uri(base="/var/xcom"), None),
        (uri(base="see s3://bucket"), None),
        ("https://airflow.apache.org/", None),
        ("", None),
    ],
)
def test_only_a_layout_of_the_backend_with_the_rows_own_ids_was_written_by_it(value, base):
    assert written_under(value, OWNER) == base
