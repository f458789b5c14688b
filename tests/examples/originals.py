"""The systems that the examples stand for, property by property: what they build, where they say so, why ours differs.

originals.json holds their values: of each example its files at one commit, and rows of property, value, FILE:LINE of those
files, and the reason. A value that no line holds, since it is a default, has the line of the resource that does not say
it. What is built here is read from the account of the example's run, by the test that is named after the example.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from emulator.core.wire import Emulator
from emulator.core.world import VirtualClock
from tests.conftest import ROOT, Runbook

DATA: dict[str, Any] = json.loads(Path(__file__).with_name("originals.json").read_text())


AT_COMMIT = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+/blob/[0-9a-f]{40}/\S+")


class Row(NamedTuple):
    what: str
    original: str
    where: str
    why: str


def rows(example: str) -> list[Row]:
    return [Row(*each) for each in DATA[example]["rows"]]


def table(example: str, here: Mapping[str, str]) -> str:
    """The comparison in Markdown, and where the original's files are."""
    lines = [f"| property | {DATA[example]['name']} | here | why it differs |", "| --- | --- | --- | --- |"]
    for row in rows(example):
        places = ", ".join(row.where.split())
        lines.append(f"| {row.what} | {row.original} ({places}) | {here[row.what]} | {row.why} |")
    files = ", ".join(f"[{name}]({url})" for name, url in DATA[example]["files"].items())
    return "\n".join([*lines, "", f"In brackets file and line: {files}."]) + "\n"


def check(example: str, here: Mapping[str, str]) -> None:
    """The table has each property that was read from the account, and no other; what differs has a reason, and only that."""
    told = [row.what for row in rows(example)]
    assert sorted(told) == sorted(here)
    assert [row.what for row in rows(example) if not here[row.what]] == [], "not read from the account"
    unfounded = [
        f"{row.what}: {row.original!r}, here {here[row.what]!r}, why: {row.why!r}"
        for row in rows(example)
        if (row.original != here[row.what]) != bool(row.why)
    ]
    assert unfounded == []


def check_places(example: str) -> None:
    """Each value has a line of a file that is named, at a commit; and each file has such a line."""
    files = DATA[example]["files"]
    used = [place for row in rows(example) for place in row.where.split()]
    assert [place for place in used if not re.fullmatch(r"[\w.-]+:[1-9]\d*", place)] == []
    assert {place.rpartition(":")[0] for place in used} == files.keys()
    assert [
        url
        for url in files.values()
        if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/blob/[0-9a-f]{40}/\S+", url)
    ] == []
    assert [row.what for row in rows(example) if not row.where] == []


def account(example: str) -> Runbook:
    """A new account, and a runbook with the settings of an example."""
    runbook = Runbook(Emulator(VirtualClock()))
    folder, file = ROOT / "examples" / example / ".env", ROOT / "examples" / f"{example}.env"
    runbook.settings = {"ENV_FILE": str(folder if folder.exists() else file)}
    return runbook
