"""What time it is at AWS: this machine's clock, unless AWS's is another."""

from __future__ import annotations

import time
import urllib.request
from email.utils import formatdate, parsedate_to_datetime
from types import SimpleNamespace

import pytest

import aws
from aws import clock
from emulator.server import serve


@pytest.mark.parametrize(
    ("headers", "ahead"),
    [
        ({"Date": formatdate(time.time() + 7200, usegmt=True)}, 7200),
        ({"Date": formatdate(time.time() - 7200, usegmt=True)}, -7200),
        ({"Date": formatdate(time.time() + 200, usegmt=True)}, 200),  # AWS tolerates that of a signature
        ({"Date": formatdate(time.time() - 20, usegmt=True)}, 0),  # the answer's way here
        ({"Date": "tomorrow"}, 0),
        ({}, 0),
    ],
)
def test_a_clock_that_is_far_off_is_put_right_by_the_last_answer(
    headers: dict[str, str], ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_ahead", [0.0])
    clock._note(http_response=SimpleNamespace(headers=headers))
    assert aws.now().timestamp() - time.time() == pytest.approx(ahead, abs=5)


def test_the_emulator_tells_its_own_time() -> None:
    with serve(time_scale=1) as (url, emulator):
        emulator.world.clock.skip(86400)
        with urllib.request.urlopen(f"{url}/_emulator/time") as answer:
            told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert told - time.time() == pytest.approx(86400, abs=60)
