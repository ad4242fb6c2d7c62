"""A deploy of the sandbox as a command, which is what ``xcomctl killswitch --deploy`` takes.

The sandbox's processes are ours, so the command asks us to restart them and waits for the answer.
"""

from __future__ import annotations

import contextlib
import shlex
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from xcomctl.errors import UserError

_ASK = "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);sys.exit(s.recv(1) != b'y')"


@contextlib.contextmanager
def deploying(folder: Path, deploy: Callable[[], object]) -> Iterator[str]:
    """The command, as long as the block lasts; ``deploy`` is called for it, in another thread.

    One deploy runs at a time, and to its end, whoever asked for it has died. The command fails where ``deploy`` raises
    :class:`~xcomctl.errors.UserError`. ``folder`` gets the socket.
    """
    lock = threading.Lock()

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with lock:
                try:
                    deploy()
                    answer = b"y"
                except UserError:
                    answer = b"n"
            self.request.sendall(answer)

    place = folder / "deploy.sock"
    with socketserver.ThreadingUnixStreamServer(str(place), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="xcomctl-deploys")
        thread.start()
        try:
            yield shlex.join([sys.executable, "-c", _ASK, str(place)])
        finally:
            server.shutdown()
            thread.join()
            place.unlink()
