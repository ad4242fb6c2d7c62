"""What a reader under the object-storage backend gets for an inline string that looks like a URL."""

from __future__ import annotations

import functools
from typing import Optional

from xcomctl.airflow_compat import loading


@functools.cache
def unreadable(scheme: str) -> Optional[str]:
    """Why every read of an inline string with this scheme fails (3.x), ``None`` when the string is handed over (F38).

    The backend asks of each string whether it is a path below the base path, and goes on with the string itself only if
    that raises a ``TypeError`` or a ``ValueError``. A file system that fsspec knows and whose package is missing raises
    an ``ImportError``; fsspec's caches, which wrap another file system, an ``IndexError``. So this asks the same
    question, of paths that need no connection, instead of keeping a list that ends with the next package.
    """
    path_class = loading.module("airflow.sdk").ObjectStoragePath
    try:
        path_class(f"{scheme}://x").is_relative_to(path_class("file:///x"))
    except (TypeError, ValueError):
        return None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
