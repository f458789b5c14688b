"""The emulator over HTTP, on 127.0.0.1 only."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from emulator.faults import ConnectionCut, Fault
from emulator.rules import AwsError
from emulator.wire import Emulator
from emulator.world import Clock

Json = dict[str, Any]


class LocalServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    parts = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    while request.rfile.readline().strip():  # trailers
        pass
    return b"".join(parts)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    emulator: Emulator

    def _serve(self) -> None:
        body = read_body(self)
        if self.path.startswith("/_emulator/"):
            return self._control(body)
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
        """Our own side door; see DOORS."""
        door = DOORS.get((self.command, self.path.partition("?")[0]))
        if door is None:
            known = ", ".join(f"{method} {path}" for method, path in DOORS)
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

    def log_message(self, format: str, *args: Any) -> None:
        pass


# --- the side door: what no AWS API does, but a rehearsal needs


def _plan_fault(emulator: Emulator, given: Json) -> Json:
    emulator.faults.planned.append(Fault(**given))
    return {}


def _drop_faults(emulator: Emulator, given: Json) -> Json:
    emulator.faults.planned.clear()
    return {}


def _drop_calls(emulator: Emulator, given: Json) -> Json:
    emulator.calls.clear()
    return {}


def _set_settings(emulator: Emulator, given: Json) -> Json:
    settings = emulator.world.settings
    known = {field.name for field in fields(settings)}
    if unknown := given.keys() - known:
        raise ValueError(f"no such setting: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    for name, value in given.items():
        setattr(settings, name, value)
    return asdict(settings)


def _push_image(emulator: Emulator, given: Json) -> Json:
    from emulator import others

    region = given.get("region", "us-east-1")
    return {"digest": others.put_image(emulator.world, region, given["repository"], given.get("tag", "latest"))}


def _finish_handshakes(emulator: Emulator, given: Json) -> Json:
    from emulator import connections

    return {"available": connections.finish_handshakes(emulator.world, given.get("arn"))}


def _push_commit(emulator: Emulator, given: Json) -> Json:
    from emulator import pipelines

    message, files, fails = given.get("message", "A change"), given.get("files", {}), given.get("fails", "")
    return pipelines.push(emulator.world, given["repository"], given.get("branch", "main"), message, files, fails)


def _issue_certificate(emulator: Emulator, given: Json) -> Json:
    from emulator import dns

    dns.issue(emulator.world, given["arn"].split(":")[3], given["arn"])
    return {}


#: method and path -> what is done: the calls seen so far, faults, the account's settings, and what people do by hand
DOORS: dict[tuple[str, str], Callable[[Emulator, Json], Any]] = {
    ("GET", "/_emulator/calls"): lambda emulator, given: emulator.calls,
    ("DELETE", "/_emulator/calls"): _drop_calls,
    ("GET", "/_emulator/faults"): lambda emulator, given: [asdict(fault) for fault in emulator.faults.planned],
    ("POST", "/_emulator/faults"): _plan_fault,
    ("DELETE", "/_emulator/faults"): _drop_faults,
    ("GET", "/_emulator/settings"): lambda emulator, given: asdict(emulator.world.settings),
    ("POST", "/_emulator/settings"): _set_settings,
    ("GET", "/_emulator/time"): lambda emulator, given: {
        "now": emulator.world.now(),
        "scale": emulator.world.clock.scale,
    },
    ("GET", "/_emulator/front-door"): lambda emulator, given: {"url": emulator.front_door_url},
    ("GET", "/_emulator/certificate-authority"): lambda emulator, given: {"path": emulator.certificate_authority},
    ("POST", "/_emulator/images"): _push_image,
    ("POST", "/_emulator/connections"): _finish_handshakes,
    ("POST", "/_emulator/certificates"): _issue_certificate,
    ("POST", "/_emulator/pushes"): _push_commit,
}


@contextmanager
def serve(port: int = 0, time_scale: float = 0.0) -> Iterator[tuple[str, Emulator]]:
    """An emulator on a port of 127.0.0.1 (0: a free one), for as long as the block lasts: its URL and itself.
    Its load balancers answer through the HTTP proxy at emulator.front_door_url."""
    from emulator import front_door

    emulator = Emulator(Clock(time_scale))
    handler = type("Handler", (_Handler,), {"emulator": emulator})
    server = LocalServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        with front_door.opened(emulator):
            yield f"http://127.0.0.1:{server.server_address[1]}", emulator
    finally:
        server.shutdown()
        server.server_close()
