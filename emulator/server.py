"""The emulator over HTTP, on 127.0.0.1 only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from emulator.faults import ConnectionCut, Fault
from emulator.wire import Emulator
from emulator.world import Clock


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    emulator: Emulator

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/_emulator/"):
            return self._control(body)
        url = f"http://{self.headers.get('Host', '127.0.0.1')}{self.path}"
        try:
            status, headers, content = self.emulator.handle(self.command, url, self.headers, body)
        except ConnectionCut:
            self.close_connection = True
            self.connection.close()
            return None
        self._send(status, headers, content)
        return None

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815

    def _control(self, body: bytes) -> None:
        """Our own side door: the calls seen so far, faults on request, and the account's settings."""
        if self.path == "/_emulator/faults":
            self.emulator.faults.planned.append(Fault(**json.loads(body)))
            self._send(204, {}, b"")
        elif self.path == "/_emulator/calls":
            self._send(200, {"Content-Type": "application/json"}, json.dumps(self.emulator.calls).encode())
        elif self.path == "/_emulator/settings":
            for name, value in json.loads(body).items():
                setattr(self.emulator.world.settings, name, value)
            self._send(204, {}, b"")
        else:
            self._send(404, {}, b"")

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serve(port: int = 0, time_scale: float = 0.0) -> Iterator[tuple[str, Emulator]]:
    """An emulator on a port of 127.0.0.1 (0: a free one), for as long as the block lasts: its URL and itself."""
    emulator = Emulator(Clock(time_scale))
    handler = type("Handler", (_Handler,), {"emulator": emulator})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", emulator
    finally:
        server.shutdown()
        server.server_close()
