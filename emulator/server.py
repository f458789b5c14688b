"""The emulator over HTTP, on 127.0.0.1 only."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from emulator.core.doors import DOORS
from emulator.core.faults import ConnectionCut
from emulator.core.http import LocalServer, read_body
from emulator.core.rules import AwsError
from emulator.core.wire import Emulator
from emulator.core.world import Clock
from emulator.front_door import proxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    emulator: Emulator
    latency: float

    def _serve(self) -> None:
        body = read_body(self)
        if self.path.startswith("/_emulator/"):
            return self._control(body)
        time.sleep(self.latency)  # on its way: others are answered meanwhile
        url = f"http://{self.headers.get('Host', '127.0.0.1')}{self.path}"
        try:
            status, headers, content = self.emulator.handle(self.command, url, self.headers, body)
        except ConnectionCut:
            self.close_connection = True
            return None
        self._send(status, headers, content)
        return None

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815

    def _control(self, body: bytes) -> None:
        """Our own side door; see doors.py."""
        door = DOORS.get((self.command, self.path.partition("?")[0]))
        if door is None:
            known = ", ".join(f"{method} {path}" for path, method in sorted((path, method) for method, path in DOORS))
            return self._json(404, {"error": f"no such door; there are {known}"})
        try:
            given = json.loads(body or b"{}")
            with self.emulator._lock:
                self.emulator.world.advance()
                return self._json(200, door(self.emulator, given))
        except AwsError as error:
            return self._json(error.status, {"error": f"{error.code}: {error.message}"})
        except (ValueError, TypeError, KeyError) as error:
            return self._json(400, {"error": f"{type(error).__name__}: {error}"})

    def _json(self, status: int, answer: Any) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(answer, default=str).encode())

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        length = str(len(content))
        for name, value in headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value  # of what a GET would bring
            elif name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """What time it is at AWS, whose clock may run faster."""
        return super().date_time_string(self.emulator.world.now() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serve(port: int = 0, time_scale: float = 0.0, latency: float = 0.0) -> Iterator[tuple[str, Emulator]]:
    """An emulator on a port of 127.0.0.1 (0: a free one), for as long as the block lasts: its URL and itself.
    Its load balancers answer through the HTTP proxy at emulator.front_door_url. `latency`: the real seconds that each
    request of AWS's APIs is on its way, whatever the time scale."""
    emulator = Emulator(Clock(time_scale))
    handler = type("Handler", (_Handler,), {"emulator": emulator, "latency": latency})
    server = LocalServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        with proxy.opened(emulator):
            yield f"http://127.0.0.1:{server.server_address[1]}", emulator
    finally:
        server.shutdown()
        server.server_close()
