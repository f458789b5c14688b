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
    ("told", "ahead"),
    [
        (7200, 7200),
        (-7200, -7200),
        (200, 200),  # AWS tolerates that of a signature
        (-20, 0),  # the answer's way here
        ("tomorrow", 0),
        (None, 0),
    ],
)
def test_a_clock_that_is_off_is_put_right_by_the_last_answer(
    told: float | str | None, ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    date = told if isinstance(told, str) else formatdate(time.time() + (told or 0), usegmt=True)
    monkeypatch.setattr(clock, "_ahead", [0.0])
    clock._note(http_response=SimpleNamespace(headers={} if told is None else {"Date": date}))
    assert aws.now().timestamp() - time.time() == pytest.approx(ahead, abs=5)


def test_the_emulator_tells_its_own_time() -> None:
    with serve(time_scale=1) as (url, emulator):
        emulator.world.clock.skip(86400)
        with urllib.request.urlopen(f"{url}/_emulator/time") as answer:
            told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert told - time.time() == pytest.approx(86400, abs=60)
