"""A request as moto takes it, without what werkzeug does to every request: most of it no one here looks at."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from moto.core.request import Request as FullRequest
from werkzeug.datastructures import Headers, MultiDict

FORM = "application/x-www-form-urlencoded"


class Request:
    """A POST to a service's one address, which is how most of AWS's protocols ask; anything else, and any property that
    is not here, is looked up in a whole request of moto's."""

    from_wsgi_server = False
    content_encoding = None
    #: whether it is such a POST
    plain = False
    #: gives the parameters that became this request, where it was made in this process
    parse: Callable[[], Any] | None = None

    def __init__(self, method: str, url: str, headers: Any, body: bytes | str | dict[str, Any] | None) -> None:
        """The body may be a form that is not yet written as one."""
        address = _address(url)
        if method == "POST" and address and "Content-Encoding" not in headers:
            self._read(address, headers, body)
        self._given = method, url, headers, body

    def _read(self, url: str, headers: Any, body: Any) -> None:
        self.plain, self.method = True, "POST"
        self.raw_url, self.path, self.raw_path, self.query_string = url, "/", "/", b""
        self.headers = _headers(tuple(headers.items()))
        self.content_type: str = self.headers.get("Content-Type", "")
        self.form: MultiDict[str, str] = MultiDict()
        self.files: MultiDict[str, Any] = MultiDict()
        self.environ: dict[str, Any] = {}
        if isinstance(body, dict):
            self.form, self.data = MultiDict({name: str(value) for name, value in body.items()}), b""
        else:
            self.data = body.encode() if isinstance(body, str) else bytes(body or b"")
            if self.content_type.startswith(FORM):
                self.form, self.data = MultiDict(parse_qsl(self.data.decode(), keep_blank_values=True)), b""
        self.values = self.form

    @functools.cached_property
    def _full(self) -> FullRequest:
        method, url, headers, body = self._given
        body = urlencode(body, doseq=True) if isinstance(body, dict) else body
        if isinstance(body, str | bytes | bytearray):
            headers = {**headers, "Content-Length": str(len(body.encode() if isinstance(body, str) else body))}
        return FullRequest.from_primitives(method, url, headers, body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._full, name)


@functools.lru_cache(1_000)
def _address(url: str) -> str:
    """A service's one address, as moto writes it; "" for one with a path or a question in it."""
    parts = urlsplit(url)
    return "" if parts.query or parts.path not in ("", "/") else f"{parts.scheme}://{parts.netloc}/"


@functools.lru_cache(1_000)
def _headers(given: tuple[tuple[str, Any], ...]) -> Headers:
    """Which no one changes."""
    return Headers([(name, value.decode() if isinstance(value, bytes) else value) for name, value in given])
