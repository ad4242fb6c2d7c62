"""Packs the part below the line into a zip, and the one line of Python that takes it in at the other side.

The same files give the same bytes. The files are read, never imported: the desk imports nothing of the far side but
:mod:`xcomctl.model`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import io
import zipfile
from collections.abc import Iterator
from importlib.resources.abc import Traversable

#: The packages that are streamed into contexts. Some come with later issues: what is not there is not packed.
PACKAGES = (
    "agent",
    "airflow_compat",
    "checks",
    "metadata",
    "model",
    "references",
    "rehydrate",
    "roundtrip",
    "sizing",
    "store",
    "sweep",
)

#: What the bootstrap begins its complaint with, for the near end to recognise.
COMPLAINT = "xcomctl-bootstrap: "

#: The program for ``python -c``. It holds no single quote, backslash, dollar sign, backtick or newline, so that any
#: shell passes it on between single quotes. It must run on Pythons that are too old, down to 2.7, to say so. The first
#: statement takes the current directory off the path, where ``-c`` puts it.
BOOTSTRAP = (
    "import sys;sys.path[:]=[p for p in sys.path if p];v=sys.version_info;"
    'v<(3,9) and sys.exit("' + COMPLAINT + 'Python 3.9 or newer is needed, this is %d.%d.%d at %s"'
    "%(v[0],v[1],v[2],sys.executable));"
    'import io,zipfile;r=sys.stdin.buffer.read;z=r(int.from_bytes(r(8),"big"));'
    'exec(compile(zipfile.ZipFile(io.BytesIO(z)).read("xcomctl/agent/boot.py"),"xcomctl/agent/boot.py","exec"),'
    '{"__name__":"xcomctl_boot","ARCHIVE":z})'
)

_EPOCH = (1980, 1, 1, 0, 0, 0)


@functools.cache
def pack() -> bytes:
    """The zip with everything below the line, deterministic."""
    root = importlib.resources.files("xcomctl")
    sources = {"xcomctl/__init__.py": root.joinpath("__init__.py").read_bytes()}
    for package in PACKAGES:
        folder = root.joinpath(package)
        if folder.is_dir():
            sources.update(_sources(folder, f"xcomctl/{package}"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(sources):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, sources[name])
    return buffer.getvalue()


def digest() -> str:
    """What tells two zips apart by what they hold, however they were compressed."""
    with zipfile.ZipFile(io.BytesIO(pack())) as archive:
        text = "".join(f"{entry.filename} {entry.CRC:08x}\n" for entry in archive.infolist())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def framed() -> bytes:
    """What the bootstrap reads: eight bytes of length, then the zip."""
    archive = pack()
    return len(archive).to_bytes(8, "big") + archive


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _sources(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry.read_bytes()
