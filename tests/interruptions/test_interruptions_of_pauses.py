"""A pause, or a resume, may die at any call: whoever runs it again, or the other one, ends with what was asked for."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.conftest import Runbook
from tests.interruptions.test_interruptions import Deaths, deaths_of, end_of, has_run, now
from tests.pages.test_resume_cluster import kinds, ml
from tests.pictures import put_back

__all__ = ["ml"]
RAN = ("create_cluster.py", "register_task_definition.py", "run_task.py")
PAUSE, DEEP, RESUME = "pause_cluster.py", "pause_cluster.py --deep", "resume_cluster.py"


def wrong(runbook: Runbook, deaths: Deaths, commands: tuple[str, ...], before: Any) -> dict[str, Any]:
    """Where these commands, after a death, do not end with the account as it was."""
    found = {}
    for point, picture in deaths.pictures.items():
        put_back(runbook.emulator, picture)
        *first, last = commands
        has_run(runbook, first)
        answer = end_of(runbook, last)
        if isinstance(answer, str) or kinds(answer) != kinds(before):
            told = {*kinds(answer)} ^ {*kinds(before)} if isinstance(answer, dict) else answer
            found[point] = str(told)
    return found


#: what is run after a death of the pause; the longer way, which that of the hosts goes too, not each time
THEN = [(RESUME,), *([(DEEP, RESUME)] if os.environ.get("EVERY_CALL") else [])]


@pytest.mark.parametrize("then", THEN, ids="-".join)
def test_a_pause_that_died_at_any_call_forgets_nothing(ml: Runbook, then: tuple[str, ...]) -> None:
    before = now(ml)
    deaths = deaths_of(ml, DEEP)
    assert (bad := wrong(ml, deaths, then, before)) == {}, json.dumps(bad, indent=1)[:4000]
    assert len(deaths.pictures) > 10


def test_a_resume_that_died_at_any_call_can_be_run_again(ml: Runbook) -> None:
    before = now(ml)
    has_run(ml, (DEEP,))
    deaths = deaths_of(ml, RESUME)
    assert (bad := wrong(ml, deaths, (RESUME,), before)) == {}, json.dumps(bad, indent=1)[:4000]
    assert len(deaths.pictures) > 10


def test_hosts_and_tasks_come_back_too(runbook: Runbook) -> None:
    runbook.settings["POLL_SECONDS"] = "30"
    has_run(runbook, RAN)
    before = now(runbook)
    deaths = deaths_of(runbook, PAUSE)
    bad = wrong(runbook, deaths, (PAUSE, RESUME), before)
    has_run(runbook, (PAUSE,))
    bad |= wrong(runbook, deaths_of(runbook, RESUME), (RESUME,), before)
    assert bad == {}, json.dumps(bad, indent=1)[:4000]
