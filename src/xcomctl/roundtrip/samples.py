"""Classes of a task's own, for the corpus of data: Airflow finds them by these names when it reads one back."""

from __future__ import annotations

import enum
import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    """A dataclass."""

    x: int
    label: str


class Colour(enum.Enum):
    """An enumeration."""

    GREEN = "green"


#: Classes that need a library, by their names here; made when they are looked for.
LIBRARIES = {"AttrsPoint": "attrs", "PydanticPoint": "pydantic"}


def names() -> tuple[str, ...]:
    """The full names of all the classes."""
    return tuple(f"{__name__}.{name}" for name in (Point.__name__, Colour.__name__, *LIBRARIES))


def __getattr__(name: str) -> Any:
    """One of :data:`LIBRARIES`' classes. Raises ``AttributeError`` where its library is not installed."""
    if name not in LIBRARIES:
        raise AttributeError(name)
    try:
        library = importlib.import_module(LIBRARIES[name])
    except ImportError as error:
        raise AttributeError(f"{name}: {error}") from error
    if name == "AttrsPoint":
        made: Any = library.make_class(name, ["x", "label"], frozen=True)
    else:
        made = library.create_model(name, x=(int, ...), label=(str, ...))
    made.__module__ = __name__
    globals()[name] = made
    return made
