"""A request as moto takes it, without what werkzeug does to every request: most of it no one here looks at."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from moto.core.request import Request as FullRequest
from werkzeug.datastructures import Headers, MultiDict

FORM = "application/x-www-form-urlencoded"


class Request:
    """A POST to a service's one address, which is how most of AWS's protocols ask; anything else, and any property that
    is not here, is looked up in a whole request of moto's."""

    from_wsgi_server = False
    content_encoding = None

    def __init__(self, method: str, url: str, headers: Any, body: bytes | str | None) -> None:
        self._given = method, url, headers, body
        parts = urlsplit(url)
        if method == "POST" and parts.path in ("", "/") and not parts.query and "Content-Encoding" not in headers:
            self._read(f"{parts.scheme}://{parts.netloc}/")

    def _read(self, url: str) -> None:
        self.method, _, headers, body = self._given
        self.raw_url, self.path, self.raw_path, self.query_string = url, "/", "/", b""
        texts = [(name, value.decode() if isinstance(value, bytes) else value) for name, value in headers.items()]
        self.headers = Headers(texts)
        self.content_type: str = self.headers.get("Content-Type", "")
        self.data = body.encode() if isinstance(body, str) else body or b""
        self.form: MultiDict[str, str] = MultiDict()
        self.files: MultiDict[str, Any] = MultiDict()
        self.environ: dict[str, Any] = {}
        if self.content_type.startswith(FORM):
            self.form, self.data = MultiDict(parse_qsl(self.data.decode(), keep_blank_values=True)), b""
        self.values = self.form

    @functools.cached_property
    def _full(self) -> FullRequest:
        return FullRequest.from_primitives(*self._given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._full, name)
