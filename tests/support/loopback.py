"""An HTTP server of the tests: many connections at once, and its end waits for none of them."""

from __future__ import annotations

from http.server import ThreadingHTTPServer


class LoopbackServer(ThreadingHTTPServer):
    """With a backlog for a client that opens all of its connections at once."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
