"""XML as the emulator writes it is XML as moto writes it."""

from __future__ import annotations

import pytest
import xmltodict  # type: ignore[import-untyped]

from emulator.core import xml

DOCUMENT = {
    "answer": {
        "@xmlns": "http://example.com/\"&'",
        "list": [1, True, None, '<a>&"', {"inner": "1"}, {}, ""],
        "empty": [],
        "structure": {},
        "nothing": None,
        "text": {"#text": "a & b", "@kind": "1"},
        "bytes": b"bytes",
    }
}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("short", [True, False])
def test_it_is_what_xmltodict_writes(whole: bool, short: bool) -> None:
    options = {"full_document": whole, "short_empty_elements": short}
    assert xml.unparse(DOCUMENT, **options) == xmltodict.unparse(DOCUMENT, **options)
