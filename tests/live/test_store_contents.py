"""Whole objects or none: from a real S3 server behind a proxy that makes it fail, and from a folder.

They are read as an Airflow's own Python reads them, with its file systems.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty_store import (
    CUT,
    GARBAGE,
    NOT_FOUND,
    SLOW,
    STATUS,
    TRUNCATED,
    UNSIZED,
    FaultyStore,
    faulty_store,
)
from tests.support.object_store import alone
from tests.support.reading import Reading, reading
from xcomctl.rehearsal.sandbox.objectstore import BUCKET
from xcomctl.store.content import LARGE, md5_of

MIB = 1 << 20
SMALL = json.dumps({"rows": list(range(500))}).encode()
BIG = b'"' + b"0123456789abcdef" * (5 * MIB // 16) + b'"'
BOMB_SIZE = 32 * MIB
#: What reading costs beside the bytes themselves: buffers of the connection, and of what decompresses (xz: 8 MiB).
SLACK = 16 * MIB


@dataclass(frozen=True)
class World:
    """A context, the store that it sees, and base paths in it: of the store and of a folder."""

    reading: Reading
    store: FaultyStore
    s3: str
    file: str

    def read(self, name: str, limit: int | None = None) -> tuple[Any, list[str]]:
        """What came of reading an object from the store, and the methods of what was asked of it meanwhile."""
        before = len(self.store.requests(name))
        came = self.reading.read(self.s3, name, limit)
        return came, self.store.requests(name)[before:]


@pytest.fixture(scope="module")
def world(airflow_env: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("content")
    home = folder / "home"
    home.mkdir()
    with alone(folder) as server:
        assert server.connection is not None
        extra = json.loads(server.connection["extra"])
        with faulty_store(extra["endpoint_url"]) as store:
            # botocore repeats requests on its own, with pauses of seconds: what is repeated here, s3fs repeats.
            extra |= {"endpoint_url": store.endpoint, "config_kwargs": {"retries": {"max_attempts": 0}}}
            fields = {"conn_type": "aws", "login": server.connection["login"], "extra": extra}
            fields["password"] = server.connection["password"]
            with reading(airflow_env / "bin" / "python", home, {"front": fields}) as context:
                made = World(context, store, f"s3://front@{BUCKET}/xcom", f"file://{folder}/xcom")
                for base_path in (made.s3, made.file):
                    context.write(base_path, "d/r/t/small.json", SMALL)
                    context.write(base_path, "d/r/t/empty.json", b"")
                    context.write(base_path, "d/r/t/big.json", BIG)
                yield made


@pytest.fixture(params=["s3", "file"])
def base_path(request: pytest.FixtureRequest, world: World) -> str:
    return str(getattr(world, request.param))


def zipped(data: bytes) -> bytes:
    """As somebody else's zip would be: what fsspec writes is not compressed at all."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("file", data)
    return into.getvalue()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lzma.compress,
    "zip": zipped,
}


# ---- what is there


def test_an_object_is_read(world: World, base_path: str) -> None:
    came = world.reading.read(base_path, "d/r/t/small.json")
    assert came.is_(SMALL), came
    assert came.calls == 1


def test_an_ordinary_object_costs_one_request(world: World) -> None:
    came, asked = world.read("d/r/t/small.json", 10 * MIB)
    assert came.is_(SMALL), came
    assert asked == ["GET"]


def test_a_large_object_costs_a_second_one_when_its_turn_comes(world: World) -> None:
    assert len(BIG) > LARGE
    came, asked = world.read("d/r/t/big.json")
    assert came.is_(BIG), came
    assert (asked, came.calls) == (["GET", "GET"], 2)


def test_an_empty_object_is_empty(world: World, base_path: str) -> None:
    assert world.reading.read(base_path, "d/r/t/empty.json").is_(b"")
    world.reading.write(base_path, "d/r/t/empty.json.gz", b"")
    assert world.reading.read(base_path, "d/r/t/empty.json.gz").is_(b"")


def test_every_compression_of_the_backend_is_read(world: World, base_path: str) -> None:
    codecs = world.reading.codecs()
    assert set(COMPRESS) <= set(codecs)
    for suffix, codec in codecs.items():
        for name, content in (("small", SMALL), ("big", BIG)):
            world.reading.write(base_path, f"d/r/t/{name}.json.{suffix}", content, codec)
            came = world.reading.read(base_path, f"d/r/t/{name}.json.{suffix}", 6 * MIB)
            assert came.is_(content), (suffix, came)


def test_a_suffix_that_names_no_compression_is_read_as_it_is(world: World, base_path: str) -> None:
    world.reading.write(base_path, "d/r/t/plain.txt", SMALL)
    assert world.reading.read(base_path, "d/r/t/plain.txt").is_(SMALL)


# ---- what is not there


def test_a_missing_object(world: World, base_path: str) -> None:
    came = world.reading.read(base_path, "d/r/t/nothing.json")
    assert came.kinds[0] == "FileNotFoundError", came
    assert came.calls == 1


def test_a_bucket_that_is_gone(world: World) -> None:
    came = world.reading.read("s3://front@no-such-bucket/xcom", "d/r/t/small.json")
    assert came.kinds[0] == "FileNotFoundError", came


def test_an_object_that_is_gone_since(world: World) -> None:
    with world.store.failing(NOT_FOUND, "small"):
        assert world.reading.read(world.s3, "d/r/t/small.json").kinds[0] == "FileNotFoundError"


def test_a_folder_is_no_object(world: World) -> None:
    assert "OSError" in world.reading.read(world.file, "d/r").kinds


# ---- a store that fails


def test_a_busy_store_is_asked_again(world: World) -> None:
    with world.store.failing(STATUS, "small", times=2) as fault:
        came, asked = world.read("d/r/t/small.json")
    assert came.is_(SMALL), came
    assert (fault.met, asked, came.calls) == (2, ["GET"] * 3, 1)


def test_a_store_that_stays_busy_has_failed(world: World) -> None:
    with world.store.failing(STATUS, "small"):
        came, asked = world.read("d/r/t/small.json")
    assert came.kinds[0] == "OSError", came
    assert "reduce your request rate" in came.error
    assert set(asked) == {"GET"}


@pytest.mark.parametrize("name", ["small.json", "big.json"])
def test_what_was_cut_is_asked_for_again(world: World, name: str) -> None:
    with world.store.failing(CUT, name, times=2) as fault:
        came, asked = world.read(f"d/r/t/{name}")
    assert came.is_(SMALL if name == "small.json" else BIG), came
    assert fault.met == 2
    assert came.calls == len(asked)


def test_what_is_cut_each_time_is_damaged(world: World) -> None:
    with world.store.failing(CUT, "small"):
        came, _ = world.read("d/r/t/small.json")
    assert came.kinds[0] == "Cut", came
    assert came.error == f"the store gave {len(SMALL) // 2:,} of {len(SMALL):,} bytes, and no more"


@pytest.mark.parametrize("checksums", [True, False], ids=["checksum", "etag"])
@pytest.mark.parametrize("kind", [TRUNCATED, GARBAGE])
@pytest.mark.parametrize("name", ["small.json", "big.json"])
def test_other_bytes_than_were_written_are_damaged(world: World, name: str, kind: str, checksums: bool) -> None:
    with world.store.failing(kind, name, checksums=checksums):
        came, _ = world.read(f"d/r/t/{name}")
    assert came.kinds[0] == "Damaged", came
    assert came.error.startswith("the store gave other bytes than were written: ")
    assert ("ETag" in came.error) is not checksums


def test_a_slow_store_is_waited_for(world: World) -> None:
    with world.store.failing(SLOW, "small"):
        came, asked = world.read("d/r/t/small.json")
    assert came.is_(SMALL), came
    assert asked == ["GET"]


@pytest.mark.parametrize(("name", "content"), [("small.json", SMALL), ("big.json", BIG)])
def test_a_store_that_does_not_tell_the_length(world: World, name: str, content: bytes) -> None:
    with world.store.failing(UNSIZED, name):
        assert world.read(f"d/r/t/{name}")[0].is_(content)
        assert world.read(f"d/r/t/{name}", len(content))[0].is_(content)
        assert world.read(f"d/r/t/{name}", len(content) - 1)[0].kinds[0] == "TooLarge"


# ---- compressed data that is none


CUTS: dict[str, Callable[[bytes], bytes]] = {
    "without its end": lambda data: data[:-1],
    "half": lambda data: data[: len(data) // 2],
    "one byte": lambda data: data[:1],
    "something else": lambda data: SMALL,
    "a byte changed": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0xFF]) + data[len(data) // 2 + 1 :],
}  # fmt: skip


@pytest.mark.parametrize("cut", CUTS)
def test_damaged_compressed_data_is_told_whatever_the_codec_raises(world: World, cut: str) -> None:
    folder = Path(world.file.removeprefix("file://"))
    for suffix, codec in world.reading.codecs().items():
        if cut == "a byte changed" and suffix not in COMPRESS:
            continue  # zstd and lz4 carry no checksum as fsspec writes them
        name = f"d/r/t/damaged.json.{suffix}"
        world.reading.write(world.file, name, SMALL, codec)
        whole = (folder / name).read_bytes()
        for base_path in (world.file, world.s3):
            world.reading.write(base_path, name, CUTS[cut](whole))
            came = world.reading.read(base_path, name)
            assert came.kinds[0] == "Damaged", (suffix, came)
            assert came.error.startswith(f"it is no whole {codec} data: "), came


# ---- limits


def test_a_limit_is_what_an_object_may_have(world: World, base_path: str) -> None:
    assert world.reading.read(base_path, "d/r/t/small.json", len(SMALL)).is_(SMALL)
    came = world.reading.read(base_path, "d/r/t/small.json", len(SMALL) - 1)
    assert (came.kinds[0], came.calls) == ("TooLarge", 1), came
    assert came.error == f"it has more than {len(SMALL) - 1:,} bytes"


@pytest.mark.parametrize("limit", [1_000, LARGE, len(BIG) - 1])
def test_what_is_too_large_is_not_read(world: World, base_path: str, limit: int) -> None:
    came = world.reading.read(base_path, "d/r/t/big.json", limit, measured=True)
    assert (came.kinds[0], came.calls) == ("TooLarge", 1), came
    assert came.peak < 2 * MIB


def test_a_limit_above_a_large_object(world: World, base_path: str) -> None:
    came = world.reading.read(base_path, "d/r/t/big.json", len(BIG), measured=True)
    assert came.is_(BIG), came
    assert came.peak < len(BIG) * 1.5  # it is in memory once


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_bomb_stays_within_the_limit(world: World, suffix: str) -> None:
    bomb = COMPRESS[suffix](b'"' + b"a" * BOMB_SIZE + b'"')
    assert len(bomb) < MIB
    for base_path in (world.s3, world.file):
        world.reading.write(base_path, f"d/r/t/bomb.json.{suffix}", bomb)
        came = world.reading.read(base_path, f"d/r/t/bomb.json.{suffix}", MIB, measured=True)
        assert (came.kinds[0], came.calls) == ("TooLarge", 1), came
        assert came.peak < MIB + SLACK


# ---- threads


def test_small_objects_are_read_side_by_side(world: World, base_path: str) -> None:
    together = world.reading.read_together(base_path, ["d/r/t/small.json"] * 8, meet=True)
    assert all(came.is_(SMALL) for came in together.came), together
    assert together.held == 8


def test_large_objects_are_read_one_at_a_time(world: World, base_path: str) -> None:
    together = world.reading.read_together(base_path, ["d/r/t/big.json"] * 8, meet=False)
    assert all(came.is_(BIG) for came in together.came), together
    assert together.held == 1
    if base_path == world.s3:  # in a folder each thread reads until it is large
        assert together.peak < 2 * len(BIG) + 2 * MIB


def test_objects_that_are_large_when_decompressed_are_read_one_at_a_time(world: World, base_path: str) -> None:
    world.reading.write(base_path, "d/r/t/grows.json.gz", BIG, "gzip")
    together = world.reading.read_together(base_path, ["d/r/t/grows.json.gz"] * 8, meet=False)
    assert all(came.is_(BIG) for came in together.came), together
    assert together.held == 1


def test_a_large_object_that_fails_gives_its_turn_back(world: World) -> None:
    with world.store.failing(GARBAGE, "big.json"):
        together = world.reading.read_together(world.s3, ["d/r/t/big.json"] * 3, meet=False)
    assert [came.kinds[0] for came in together.came] == ["Damaged"] * 3, together
    together = world.reading.read_together(world.s3, ["d/r/t/big.json"] * 2, meet=False)
    assert all(came.is_(BIG) for came in together.came), together


# ---- ETags


def test_the_etag_of_an_object_in_one_piece_is_its_md5(world: World) -> None:
    etag = world.reading.etag(world.s3, "d/r/t/small.json")
    assert md5_of({"ETag": f'"{etag}"'}, BUCKET) == hashlib.md5(SMALL).hexdigest()


@pytest.mark.parametrize(
    ("response", "bucket", "found"),
    [
        ({"ETag": '"' + "0A" * 16 + '"'}, "b", "0a" * 16),
        ({"ETag": "0a" * 16, "ServerSideEncryption": "AES256"}, "b", "0a" * 16),
        ({"ETag": '"' + "0a" * 16 + '-2"'}, "b", None),
        ({"ETag": '"0x8DC"'}, "b", None),
        ({"ETag": '"' + "0a" * 16 + '"', "ServerSideEncryption": "aws:kms"}, "b", None),
        ({"ETag": '"' + "0a" * 16 + '"', "ServerSideEncryption": "aws:kms:dsse"}, "b", None),
        ({"ETag": '"' + "0a" * 16 + '"', "SSECustomerAlgorithm": "AES256"}, "b", None),
        ({"ETag": '"' + "0a" * 16 + '"'}, "b--euw1-az1--x-s3", None),
        ({}, "b", None),
    ],
)
def test_which_etags_are_an_md5(response: dict[str, str], bucket: str, found: str | None) -> None:
    assert md5_of(response, bucket) == found
