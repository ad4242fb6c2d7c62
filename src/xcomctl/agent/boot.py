"""Makes the streamed zip importable and starts the agent.

The bootstrap of :mod:`xcomctl.deployment.bundle` executes this file's text with the zip's bytes as ``ARCHIVE``. The zip
is imported from a file in memory, because a read-only disk must do; where the platform has none, from a private
temporary file.
"""

from __future__ import annotations

import os
import sys


def importable(archive: bytes) -> "tuple[str, str | None]":
    """Where the zip can be imported from, for ``sys.path``, and the file that has to be deleted at the end, if any.

    A file that is reached through its descriptor needs no name: it goes away with the process, however that ends.
    """
    through_descriptor = os.path.isdir("/proc/self/fd")
    memfd_create = getattr(os, "memfd_create", None)
    if memfd_create is not None and through_descriptor:
        try:
            handle: int = memfd_create("xcomctl")
        except OSError:  # an old kernel or a seccomp profile
            pass
        else:
            _write(handle, archive)
            return "/proc/self/fd/%d" % handle, None
    import tempfile

    try:
        handle, path = tempfile.mkstemp(prefix="xcomctl-", suffix=".zip")
        _write(handle, archive)
    except OSError as error:
        sys.exit("xcomctl-bootstrap: neither a file in memory nor a temporary file can be had here: %s" % error)
    if through_descriptor:
        os.unlink(path)
        return "/proc/self/fd/%d" % handle, None
    os.close(handle)
    return path, path


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def run(archive: bytes) -> None:
    """Become the agent. Does not return.

    It ends without Python's own ending: Airflow registers exit handlers that talk to its database, and nothing of ours
    is left to do.
    """
    place, left_behind = importable(archive)
    sys.path.insert(0, place)
    status = 1
    try:
        from xcomctl.agent.main import main

        status = main()
    finally:
        if sys.exc_info()[0] is not None:
            import traceback

            traceback.print_exc()
        if left_behind is not None:
            os.unlink(left_behind)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "xcomctl_boot":
    run(globals().pop("ARCHIVE"))
