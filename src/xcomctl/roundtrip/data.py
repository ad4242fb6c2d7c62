"""The corpus of data: what tasks hand on as results, large or of types that JSON does not know."""

from __future__ import annotations

import datetime
import decimal
import importlib
import uuid
from collections.abc import Iterator
from typing import Any, Callable

from xcomctl.airflow_compat import assets, deserialization
from xcomctl.roundtrip import samples
from xcomctl.roundtrip.control_flow import Value

#: Depth and size of the large values: beyond any threshold that makes sense, and soon done.
_DEEP = 100
#: The ids of the values that Airflow and the standard library are enough for.
_PLAIN = (
    "large-text", "large-unicode", "large-numbers", "records", "wide", "deep", "datetimes", "times-in-records", "decimal",
    "decimals", "bytes", "uuid", "enum", "dataclass", "dataclasses", "asset",
)  # fmt: skip
_LARGE = 2_000_000


def corpus() -> tuple[Value, ...]:
    """Every value that can be made here, anew. What a library is missing for is in :func:`left_out`.

    This process may read the samples' classes from now on, as a deployment allows its own.
    """
    deserialization.allow(samples.names())
    return tuple(Value(name, made, control_flow=False) for name, made in _made())


def names() -> frozenset[str]:
    """The ids of all values, whether or not they can be made here. Makes none of them."""
    return frozenset((*_PLAIN, *_OPTIONAL))


def left_out() -> tuple[str, ...]:
    """The values that cannot be made here, with the library that is not installed."""
    return tuple(f"{name} ({library})" for name, (library, _) in _OPTIONAL.items() if not _has(library))


def _made() -> Iterator[tuple[str, Any]]:
    yield "large-text", "x" * _LARGE
    yield "large-unicode", "größe \U0001f680 " * 20_000
    yield "large-numbers", [number / 7 for number in range(20_000)]
    yield (
        "records",
        [{"cell": number, "score": number / 3, "name": f"c{number}", "ok": None} for number in range(2_000)],
    )
    yield "wide", {f"key_{number}": number for number in range(5_000)}
    yield "deep", _nested(_DEEP)
    moment = datetime.datetime(2026, 6, 6, 12, tzinfo=datetime.timezone.utc)
    yield "datetimes", [moment + datetime.timedelta(hours=hour) for hour in range(50)]
    yield "times-in-records", [{"at": moment, "day": moment.date(), "took": datetime.timedelta(seconds=1.5)}]
    yield "decimal", decimal.Decimal("12.3450")
    yield "decimals", {"total": decimal.Decimal("1e-7"), "parts": [decimal.Decimal(1), decimal.Decimal("NaN")]}
    yield "bytes", b"\x00\xff\x80abc"
    yield "uuid", uuid.UUID("12345678-1234-5678-1234-567812345678")
    yield "enum", samples.Colour.GREEN
    yield "dataclass", samples.Point(1, "a")
    yield "dataclasses", [samples.Point(number, "a") for number in range(3)]
    yield "asset", assets.asset("probe", "s3://elsewhere/asset.parquet")
    for name, (library, make) in _OPTIONAL.items():
        if _has(library):
            yield name, make()


def _nested(depth: int) -> Any:
    value: Any = {"leaf": [1, None]}
    for level in range(depth):
        value = [value] if level % 2 else {"in": value}
    return value


def _array() -> Any:
    return importlib.import_module("numpy").arange(6.0).reshape(2, 3)


def _frame() -> Any:
    return importlib.import_module("pandas").DataFrame({"cell": [1, 2], "score": [0.5, None], "name": ["a", "b"]})


def _sample(name: str) -> Callable[[], Any]:
    return lambda: getattr(samples, name)(x=1, label="a")


#: Values that need a library: its name, and how they are made.
_OPTIONAL: dict[str, tuple[str, Callable[[], Any]]] = {
    "attrs": ("attrs", _sample("AttrsPoint")),
    "pydantic": ("pydantic", _sample("PydanticPoint")),
    "numpy-array": ("numpy", _array),
    "numpy-number": ("numpy", lambda: importlib.import_module("numpy").int64(7)),
    "pandas-frame": ("pandas", _frame),
}


def _has(library: str) -> bool:
    try:
        importlib.import_module(library)
    except ImportError:
        return False
    return True
