"""XML as moto's serializers want it written: the same as xmltodict writes, in a tenth of the time."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'


def unparse(document: dict[str, Any], full_document: bool = True, short_empty_elements: bool = False, **_: Any) -> str:
    """Keys are elements, lists are elements of the same name, `@name` is an attribute and `#text` the text."""
    written: list[str] = [HEAD] if full_document else []
    for name, value in document.items():
        _element(written.append, name, value, "/>" if short_empty_elements else None)
    return "".join(written)


def _element(write: Any, name: str, value: Any, empty: str | None) -> None:
    if isinstance(value, dict):
        _structure(write, name, value, empty)
    elif isinstance(value, list | tuple):
        for one in value:
            _element(write, name, one, empty)
    else:
        text = escape(_text(value))
        write(f"<{name}>{text}</{name}>" if text or not empty else f"<{name}{empty}")


def _structure(write: Any, name: str, value: dict[str, Any], empty: str | None) -> None:
    attributes = "".join(f" {key[1:]}={quoteattr(_text(one))}" for key, one in value.items() if key.startswith("@"))
    write(f"<{name}{attributes}")
    inside: list[str] = []
    for key, one in value.items():
        if not key.startswith(("@", "#")):
            _element(inside.append, key, one, empty)
    inside.append(escape(_text(value.get("#text"))))
    text = "".join(inside)
    write(f">{text}</{name}>" if text or not empty else empty)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value.decode() if isinstance(value, bytes) else str(value)
