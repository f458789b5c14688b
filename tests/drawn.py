"""The pictures in docs/pictures: what draw_cluster.py draws of an example, with ids, addresses and times of their own.

So that a picture is the same at each run, and yet looks like a real one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta

from tests.conftest import ROOT, Runbook
from tests.pictures import put_back, take

FOLDER = ROOT / "docs" / "pictures"
EXAMPLES = ("gpu-cluster", "apiserver", "clara-train", "ml-endpoints")
ACCOUNT = "123456789012"
#: when they were drawn
SEEN = datetime(2026, 11, 26, 14, 0)
WHEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?= UTC)")
UNTIL = re.compile(r"until (\d\d-\d\d )?\d\d:\d\d")
ADDRESS = re.compile(r"(?<![\d.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\d./])")
NUMBER = re.compile(r"(?<=-alb-)\w+")
ZONE = re.compile(r"(?<=hostedzone/)Z\w+")
ID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b[0-9a-f]{8,40}\b")


def draw(runbook: Runbook) -> str:
    """Some minutes later, when AWS's index of tags knows everything; the account is left as it was."""
    before = take(runbook.emulator)
    runbook.settle(300)
    ran = runbook.run("draw_cluster.py")
    put_back(runbook.emulator, before)
    assert ran.code == 0, ran.err
    return steady(ran.out)


def steady(picture: str) -> str:
    """Ids, addresses and times that are the same at each run; ids of the same length."""
    picture = WHEN.sub(each_once(moment), UNTIL.sub("until 23:59", picture))
    picture = ADDRESS.sub(each_once(address), picture)
    picture = ZONE.sub("Z0123456789ABCDEFGHIJ", picture)
    return NUMBER.sub("1234567890", ID.sub(each_once(digits), picture))


def moment(number: int, _: str) -> str:
    """First when it was drawn, and then what comes hours later."""
    return f"{SEEN + timedelta(hours=12 * (number > 1), minutes=number - 1):%Y-%m-%d %H:%M}"


def address(number: int, found: str) -> str:
    return f"10.0.0.{number + 4}" if found.startswith("10.") else f"203.0.113.{number + 4}"


def digits(number: int, found: str) -> str:
    """As many hexadecimal ones, and with the same hyphens."""
    fresh = iter(hashlib.sha256(str(number).encode()).hexdigest())
    return "".join("-" if each == "-" else next(fresh) for each in found)


def each_once(make: Callable[[int, str], str]) -> Callable[[re.Match[str]], str]:
    """What stands for each that is found: the same for the same; for the first part of one that was found, that one's."""
    known = {ACCOUNT: ACCOUNT}

    def replaced(match: re.Match[str]) -> str:
        whole = next((each for each in known if each.startswith(match[0])), "")
        if not whole:
            whole, known[match[0]] = match[0], make(len(known), match[0])
        return known[whole][: len(match[0])] if whole != match[0] else known[whole]

    return replaced
