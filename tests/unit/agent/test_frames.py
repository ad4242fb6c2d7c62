"""The frame codec: whatever stands between frames, and however the bytes arrive."""

from __future__ import annotations

import random

import pytest

from xcomctl.model import frames
from xcomctl.model.frames import FrameDecoder, FrameError, encode

ONE = {"kind": "answer", "id": 1, "answer": {"text": "é\ud800 \u0000", "large": 2**70}}
TWO = {"kind": "bye"}


def decode(data: bytes, size: int) -> tuple[list[dict[str, object]], list[str]]:
    noise: list[str] = []
    decoder = FrameDecoder(noise.append)
    payloads = []
    for start in range(0, len(data), size):
        payloads += decoder.feed(data[start : start + size])
    decoder.close()
    return payloads, noise


@pytest.mark.parametrize("size", [1, 2, 7, 8, 19, 20, 21, 64, 10_000])
def test_frames_survive_noise_in_any_pieces(size: int) -> None:
    data = b"motd\r\nlog line without an end" + encode(ONE) + b"[info] amid\n\xff\xfe binary\n" + encode(TWO) + b"after"
    payloads, noise = decode(data, size)
    assert payloads == [ONE, TWO]
    assert noise == ["motd", "log line without an end", "[info] amid", "\ufffd\ufffd binary", "after"]


def test_a_marker_in_the_noise_is_noise() -> None:
    marker = frames.MARKER
    data = marker + b"not a header at all, and long enough" + marker[:3] + marker + encode(ONE) + marker
    payloads, noise = decode(data, 5)
    assert payloads == [ONE]
    assert len(noise) == 2


def test_random_noise_never_makes_or_breaks_a_frame() -> None:
    source = random.Random(7)
    for _ in range(200):
        noise = bytes(source.choice(b"\xffxcomctl\n ") for _ in range(source.randrange(60)))
        payloads, _ = decode(noise + encode(ONE) + noise + encode(TWO), source.randrange(1, 40))
        assert payloads == [ONE, TWO]


def test_a_damaged_payload_is_an_error() -> None:
    frame = bytearray(encode(ONE))
    frame[frames.HEADER_SIZE + 3] ^= 1
    with pytest.raises(FrameError, match="damaged"):
        FrameDecoder().feed(bytes(frame))


def test_what_is_no_message_is_an_error() -> None:
    with pytest.raises(FrameError, match="no message"):
        FrameDecoder().feed(frames.encode_text("[1]"))
    with pytest.raises(FrameError, match="not hold JSON"):
        FrameDecoder().feed(frames.encode_text("{"))
    with pytest.raises(FrameError, match="not a JSON payload"):
        encode({"kind": object()})


def test_the_end_amid_a_frame_can_be_told() -> None:
    decoder = FrameDecoder()
    decoder.feed(encode(ONE)[:-1])
    assert decoder.amid_frame
    decoder.feed(encode(ONE)[-1:])
    assert not decoder.amid_frame


def test_an_endless_line_of_noise_does_not_fill_memory() -> None:
    lines: list[str] = []
    decoder = FrameDecoder(lines.append)
    for _ in range(100):
        decoder.feed(b"x" * 10_000)
    assert sum(map(len, lines)) >= 1_000_000 - frames.MAX_NOISE_LINE
