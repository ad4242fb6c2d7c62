"""The journal on a URL: ``file://`` and ``memory://`` for real, and file systems that behave as some do."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xcomctl.journal.errors import JournalError, Locked
from xcomctl.journal.interface import DamagedLine
from xcomctl.journal.local import this_actor
from xcomctl.journal.open import is_url, opened
from xcomctl.journal.remote import RemoteJournal
from xcomctl.model.journal_entry import Actor, JournalEntry, timestamp
from xcomctl.model.redaction import redact_mapping
from xcomctl.model.verdicts import Verdict

AT = "2026-06-06T00:00:00.000000Z"


def entry(at: str = AT, **data) -> JournalEntry:
    return JournalEntry("flip", Actor("ann", "desk", 1), at, verdict=Verdict.OK, plan="ab12", data=data)


class Plain(MemoryFileSystem):
    """A file system without a conditional create: fsspec's own default looks first, and writes then."""

    protocol = "plain"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]


class Ignoring(MemoryFileSystem):
    """A store, or an old package, that overwrites whatever the condition says."""

    protocol = ("ignoring", "s3")
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        return super().pipe_file(path, value)


class OwnWords(MemoryFileSystem):
    """A store that says "there is one" in an error of its own, and whose answers get lost."""

    protocol = ("ownwords", "s3")
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]
    lost = False

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        try:
            super().pipe_file(path, value, mode)
        except FileExistsError:
            raise OSError(errno.EINVAL, "At least one of the pre-conditions you specified did not hold") from None
        if OwnWords.lost:
            raise TimeoutError("no answer")


class Refusal(Exception):
    """What botocore raises."""

    def __init__(self, status: int) -> None:
        super().__init__("At least one of the pre-conditions you specified did not hold")
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


class Slow(MemoryFileSystem):
    """A store that refuses an object that somebody else creates at this moment, and that nobody can read yet."""

    protocol = ("slow", "s3")
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]
    statuses: ClassVar[list[int]] = []

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        if mode == "create" and path.endswith(".json") and Slow.statuses:
            raise OSError(errno.EINVAL, "no") from Refusal(Slow.statuses.pop())
        super().pipe_file(path, value, mode)


class Failing(MemoryFileSystem):
    """A store that cannot be asked, and repeats the secrets that it was given."""

    protocol = ("failing", "s3")

    def _fail(self, *args, **kwargs):
        raise RuntimeError("no credentials in https://user:hunter2@host/\nTraceback follows")

    ls = pipe_file = cat_ranges = cat_file = _fail


for each in (Plain, Ignoring, OwnWords, Slow, Failing):
    fsspec.register_implementation(
        each.protocol if isinstance(each.protocol, str) else each.protocol[0], each, clobber=True
    )


@pytest.fixture(params=["file", "memory", "plain"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path}/shared" if request.param == "file" else f"{request.param}://{uuid.uuid4()}/journal"


def put(url: str, name: str, data: bytes) -> None:
    """An object in its folder of entries, by fsspec alone."""
    with fsspec.open(f"{url}/entries/{name}", "wb") as file:
        file.write(data)


def objects(url: str, below: str = "entries") -> list[str]:
    fs, root = fsspec.core.url_to_fs(f"{url}/{below}")
    return sorted(path.rpartition("/")[2] for path in fs.ls(root, detail=False))


# --- entries ----------------------------------------------------------------------------------------------------------


def test_what_is_appended_is_read_in_order_by_whoever_shares_it(url: str) -> None:
    assert list(opened(url).read()) == []
    for number in range(3):
        opened(url).append(entry(n=number))  # all at the same microsecond
    assert list(opened(url).read()) == [entry(n=number) for number in range(3)]
    assert len(objects(url)) == 3 and all(name.endswith(".json") for name in objects(url))
    assert opened(url + "/").name == url + "/" and list(opened(url + "/").entries()) == list(opened(url).entries())


def test_names_tell_the_time_and_a_clock_that_lags_does_not_rewrite_history(url: str) -> None:
    journal = opened(url)
    journal.append(entry("2026-06-06T14:00:00.000005+02:00", n=0))
    journal.append(entry("2026-06-06T11:59:00Z", n=1))
    journal.append(entry("2026-06-06T12:00:01Z", n=2))
    assert [each.data["n"] for each in journal.entries()] == [0, 1, 2]
    assert [name.partition("-")[0] for name in objects(url)] == [
        "20260606T120000.000005Z",
        "20260606T120000.000006Z",
        "20260606T120001.000000Z",
    ]
    assert [each.at for each in journal.entries()][1] == "2026-06-06T11:59:00Z"


def test_objects_that_are_no_entries_are_reported_kept_and_stop_nothing(url: str) -> None:
    opened(url).append(entry(n=0))
    whole = json.dumps(entry(n=1).to_json()).encode() + b"\n"
    put(url, "20260606T000000.000001Z-torn.json", whole[:40])
    put(url, "20260606T000000.000002Z-end.json", whole[:-1])  # lacks its line's end alone: nothing was lost
    put(url, "20260606T000000.000003Z-empty.json", b"")
    put(url, "later.json", b'{"schema": "xcomctl.journal/9"}\n')
    put(url, "readme.txt", b"\xff\xfe not ours\n")
    opened(url).append(entry(n=2))
    lines = list(opened(url).read())
    damaged = {line.name: line for line in lines if isinstance(line, DamagedLine)}
    assert list(damaged) == [
        "20260606T000000.000001Z-torn.json",
        "20260606T000000.000003Z-empty.json",
        "later.json",
        "readme.txt",
    ]
    assert [line.torn for line in damaged.values()] == [True, True, False, False]
    assert "xcomctl.journal/9" in damaged["later.json"].reason
    assert damaged["later.json"].place == "object later.json"
    # The last one comes after the newest time that there is.
    assert [each.data["n"] for each in opened(url).entries()] == [0, 1, 2]


def test_secrets_never_reach_it(url: str) -> None:
    opened(url).append(entry(url="postgresql://u:hunter2@h/d", password="hunter2"))
    (read,) = opened(url).entries()
    assert read.data == {"url": "postgresql://u:***@h/d", "password": "***"}


def test_reading_goes_on_where_an_entry_was_removed_meanwhile(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/shared"
    for number in range(3):
        opened(url).append(entry(n=number))
    reading = opened(url).read()
    next(reading)
    (tmp_path / "shared" / "entries" / objects(url)[1]).unlink()
    opened(url).append(entry(n=3))
    second, third = reading
    assert isinstance(second, DamagedLine) and "removed" in second.reason
    assert third == entry(n=2)


def test_many_entries_are_read_in_batches(tmp_path: Path) -> None:
    url = f"memory://{uuid.uuid4()}"
    for number in range(250):
        put(url, f"20260606T000000.{number:06}Z-x.json", json.dumps(entry(n=number).to_json()).encode())
    assert [each.data["n"] for each in opened(url).entries()] == list(range(250))


def _append_many(url: str, who: int) -> None:
    for number in range(10):
        opened(url).append(entry(who=who, n=number))


def test_writers_side_by_side_keep_each_others_entries(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/shared"
    writers = [get_context("fork").Process(target=_append_many, args=(url, who)) for who in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = list(opened(url).entries())
    assert len(found) == 40
    for who in range(4):
        assert [each.data["n"] for each in found if each.data["who"] == who] == list(range(10))
    assert [path.name for path in (tmp_path / "shared" / "entries").glob(".*")] == []


texts = st.text(max_size=12)
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False),
              texts, st.sampled_from(["\ud800", "\u2028", "a\nb"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
mappings = st.dictionaries(texts, plain, max_size=3)
entries = st.builds(
    JournalEntry,
    action=texts,
    actor=st.builds(Actor, texts, texts, st.integers(0, 2**31)),
    at=st.datetimes(min_value=datetime(1990, 1, 1), timezones=st.just(UTC)).map(timestamp),  # noqa: DTZ001
    deployment=st.none() | texts,
    versions=st.dictionaries(texts, texts, max_size=2),
    before=st.none() | mappings,
    after=st.none() | mappings,
    plan=st.none() | texts,
    verdict=st.none() | st.sampled_from(Verdict),
    data=mappings,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(given=st.lists(entries, max_size=4))
def test_entries_survive_any_journal(tmp_path: Path, given: list[JournalEntry]) -> None:
    """In a file and on a URL alike: what is read is what was written, less its secrets, in the order of writing."""
    name = uuid.uuid4().hex
    expected = [JournalEntry.from_json(redact_mapping(each.to_json())) for each in given]
    for where in (tmp_path / name, f"file://{tmp_path}/{name}.d", f"memory://{name}"):
        for each in given:
            opened(where).append(each)
        assert list(opened(where).read()) == expected


# --- which journal ----------------------------------------------------------------------------------------------------


def test_what_is_a_url() -> None:
    assert is_url("s3://bucket/x") and is_url("file:///x")
    assert not is_url("journal.jsonl") and not is_url("/a/b") and not is_url(None) and not is_url(Path("s3://b"))


@pytest.mark.parametrize(
    ("url", "said", "hint"),
    [
        ("s3://bucket/xcomctl", "s3fs", "pip install 'xcomctl[journal-s3]'"),
        ("gs://bucket/xcomctl", "gcsfs", "pip install 'xcomctl[journal-gcs]'"),
        ("abfs://container/xcomctl", "adlfs", "pip install 'xcomctl[journal-abfs]'"),
        ("nonsense://bucket/xcomctl", "Protocol not known: nonsense", ""),
        ("s3://", "names no place", "such as s3://bucket/xcomctl"),
        ("file:///", "names no place", "such as s3://bucket/xcomctl"),
        ("simplecache::s3://bucket/x", "one file system", ""),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(url: str, said: str, hint: str) -> None:
    """The desk's own environment has fsspec, for its tests, and no package of a store."""
    with pytest.raises(JournalError) as told:
        opened(url)
    assert said in told.value.message and url in told.value.message and told.value.hint == hint


def test_without_fsspec_the_hint_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from xcomctl.journal.open import opened\n"
        "try: opened('s3://bucket/x')\n"
        "except Exception as error: print(type(error).__name__, error.hint)\n"
        "opened('file://' + sys.argv[1]).read()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, "/nowhere"], capture_output=True, text=True)
    assert done.stdout == "JournalError pip install 'xcomctl[journal-s3]'\n", done.stderr


def test_its_name_has_no_secrets() -> None:
    assert RemoteJournal("memory://user:hunter2@host/x").name == "memory://user:***@host/x"


def test_what_a_package_says_is_one_line_without_secrets() -> None:
    journal = opened("failing://bucket/x")
    for attempt in (lambda: journal.append(entry()), lambda: list(journal.read()), journal.locks):
        with pytest.raises(JournalError) as told:
            attempt()
        assert told.value.message.endswith("no credentials in https://user:***@host/")


# --- the lock on a URL ------------------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "memory", "ownwords"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path}/shared" if request.param == "file" else f"{request.param}://{uuid.uuid4()}/journal"


def test_two_changes_exclude_each_other(shared: str) -> None:
    for _ in range(2):
        with opened(shared).lock(this_actor(), "flip", "prod") as held:
            held.renew()
            with pytest.raises(Locked) as refused, opened(shared).lock(this_actor(), "flip", "prod"):
                pytest.fail("two holders")
            assert refused.value.hint == f"xcomctl journal --last 5 --journal {shared}"
            assert [lock.deployment for lock in opened(shared).locks()] == ["prod"]
        assert opened(shared).locks() == []
    assert list(opened(shared).read()) == []  # a lock is no entry


def test_answers_that_are_lost_do_not_lose_the_lock() -> None:
    url = f"ownwords://{uuid.uuid4()}/journal"
    OwnWords.lost = True
    try:
        with opened(url).lock(this_actor(), "flip", None) as held:
            held.renew()
            with pytest.raises(Locked), opened(url).lock(this_actor(), "flip", None):
                pytest.fail("two holders")
    finally:
        OwnWords.lost = False
    assert opened(url).locks() == []


@pytest.mark.parametrize("status", [409, 412])
def test_who_was_not_the_quicker_one_looks_again_though_nothing_can_be_read_yet(status: int) -> None:
    url = f"slow://{uuid.uuid4()}/journal"
    Slow.statuses[:] = [status, status]
    with opened(url).lock(this_actor(), "flip", None):
        assert Slow.statuses == []


def test_another_refusal_is_told() -> None:
    Slow.statuses[:] = [403]
    with pytest.raises(JournalError), opened(f"slow://{uuid.uuid4()}/journal").lock(this_actor(), "flip", None):
        pytest.fail("pretended")


@pytest.mark.parametrize("scheme", ["plain", "ignoring"])
def test_where_it_cannot_be_relied_on_it_is_refused_and_the_journal_still_works(scheme: str) -> None:
    url = f"{scheme}://{uuid.uuid4()}/journal"
    for _ in range(2):
        with pytest.raises(JournalError) as told, opened(url).lock(this_actor(), "flip", None):
            pytest.fail("pretended")
        assert told.value.verdict.exit_code == 6 and "cannot be kept apart" in told.value.message and told.value.hint
    assert opened(url).locks() == []
    opened(url).append(entry(n=1))
    assert [each.data["n"] for each in opened(url).entries()] == [1]


def test_a_lock_left_on_another_host_is_waited_for_until_it_expires(shared: str) -> None:
    with opened(shared).lock(this_actor(), "flip", None):
        (name,) = [each for each in objects(shared, "locks") if each.startswith("@")]
        fs, root = fsspec.core.url_to_fs(f"{shared}/locks")
        left = json.loads(fs.cat_file(f"{root}/{name}"))
    left |= {"machine": "another", "released": False, "holder": "somebody"}

    def leave(number: int, expires: timedelta) -> None:
        left["expires"] = timestamp(datetime.now(UTC) + expires)
        fs.pipe_file(f"{root}/@{number:012}.json", json.dumps(left).encode())

    leave(98, timedelta(minutes=1))
    with pytest.raises(Locked), opened(shared).lock(this_actor(), "flip", None):
        pytest.fail("robbed")
    leave(99, timedelta(0))
    with opened(shared).lock(this_actor(), "flip", None) as held:
        assert held.took_over is not None and "expired" in held.took_over.abandoned
