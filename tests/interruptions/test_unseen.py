"""For a while after its creation AWS does not know a thing, wherever it is named: pages end as if it knew at once.

https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Runbook
from tests.everything import LIGHT, PAGES, prepared
from tests.interruptions.test_interruptions import now
from tests.interruptions.test_lost_answers import DELETES
from tests.pictures import put_back, take

GPU_PAGES = ("create_cluster.py", "register_task_definition.py", "run_task.py")
GPU_DELETES = ("stop_task.py --all", "delete_cluster.py --yes")


def ended(runbook: Runbook, commands: tuple[str, ...], seconds: float) -> dict[str, Any]:
    """Run these one right after the other; the account afterwards, once all is known."""
    runbook.emulator.world.settings.unseen_seconds = seconds
    for command in commands:
        script, *flags = command.split()
        ran = runbook.run(script, *flags)
        assert ran.code == 0, f"{command}: {ran.err}"
    runbook.emulator.world.settings.unseen_seconds = 0
    found: dict[str, Any] = now(runbook)
    return found


@pytest.mark.parametrize("seconds", [3, 25])
@pytest.mark.parametrize("settings", ["gpu", "everything"])
def test_what_aws_does_not_know_yet_is_made_once_and_taken_away(runbook: Runbook, settings: str, seconds: int) -> None:
    pages, deletes = (GPU_PAGES, GPU_DELETES) if settings == "gpu" else (tuple(PAGES), DELETES)
    if settings == "everything":
        prepared(runbook, LIGHT)
    before = take(runbook.emulator)
    expected = ended(runbook, pages, 0)
    put_back(runbook.emulator, before)
    found = ended(runbook, pages, seconds)
    assert sorted(found) == sorted(expected)
    taken = ended(runbook, deletes, seconds)
    put_back(runbook.emulator, before)
    assert taken.keys() - now(runbook).keys() == set()
