"""The DAG files that ship with xcomctl, and the content that is exported: where a file asks for it, with xcomctl in it."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

#: What stands in a file that carries xcomctl, for the zip in base64 and for its digest.
_ARCHIVE, _DIGEST = "@ARCHIVE@", "@DIGEST@"
_LINE = 120
#: Files that are named after xcomctl are called by the rest of their name too.
_PREFIX = "xcomctl_"


def shipped() -> dict[str, Path]:
    """The files, by the ids of their DAGs."""
    return {path.stem: path for path in sorted((Path(__file__).parent.parent / "dags").glob("*.py"))}


def named(name: str) -> str | None:
    """The DAG that a name stands for: its id, or ``canary`` for ``xcomctl_canary``. ``None`` if there is none."""
    files = shipped()
    return next((dag_id for dag_id in (name, _PREFIX + name) if dag_id in files), None)


def names() -> list[str]:
    """The names that a person types, the shortest for each."""
    return sorted(dag_id.removeprefix(_PREFIX) for dag_id in shipped())


def summary(dag_id: str) -> str:
    """One sentence about a DAG."""
    text = ast.get_docstring(ast.parse(shipped()[dag_id].read_text(encoding="utf-8"))) or ""
    first = text.partition("\n\n")[0].replace("\n", " ").strip()
    return first.removeprefix(f"``{dag_id}``:").strip()


@functools.cache
def content(dag_id: str) -> bytes:
    """The file as it is exported: nothing else has to be installed where it is put."""
    text = shipped()[dag_id].read_text(encoding="utf-8")
    if f'"{_DIGEST}"' in text:
        import base64

        from xcomctl.deployment import bundle

        packed = base64.b64encode(bundle.pack()).decode("ascii")
        lines = [packed[start : start + _LINE] for start in range(0, len(packed), _LINE)]
        text = text.replace(f'"{_DIGEST}"', f'"{bundle.digest()}"').replace(_ARCHIVE, "\n" + "\n".join(lines) + "\n")
    return text.encode()
