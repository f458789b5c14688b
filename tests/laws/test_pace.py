"""No correctness hangs on a pause: with any network, and looking seldom or often, the account is the same."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import pytest

from emulator.core.wire import Emulator
from emulator.core.world import VirtualClock
from tests.conftest import GPU, READS, ROOT, Runbook, issued, new_account
from tests.pictures import put_back

#: seconds for a call, POLL_SECONDS
PACES = {
    "as usual": (0.0, "5"),
    "looking often": (0.0, "0.2"),
    "slow and seldom": (0.2, "15"),
    "slow, often": (0.2, "0.2"),
}
CREATE = ("create_cluster.py", "register_task_definition.py")
EXAMPLES = {
    "gpu-cluster": (*CREATE, "run_task.py"),
    "clara-train": (*CREATE, "create_service.py"),
}
UNDO = {"gpu-cluster": ("stop_task.py --all",), "clara-train": ("delete_service.py",)}


def begun(example: str, clock: VirtualClock) -> Runbook:
    emulator = Emulator(clock)
    put_back(emulator, new_account())
    runbook = Runbook(emulator, dict(GPU), remembers=False)
    if example == "clara-train":
        runbook.settings = {"ENV_FILE": str(ROOT / "examples/clara-train.env"), "EFS_DELETION_POLICY": "Delete"}
        runbook.settings["CERTIFICATE_ARN"] = issued(runbook)
    return runbook


def walk(example: str, seconds: float, poll: str, unseen: float = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """The account once all is made, and once all is taken away, with calls that take so long."""
    clock = VirtualClock()
    runbook = begun(example, clock)
    runbook.emulator.world.settings.unseen_seconds = unseen
    runbook.watch = lambda when: clock.sleep(seconds) if when == "before" else None
    told = []
    for commands in (EXAMPLES[example], (*UNDO[example], "delete_cluster.py --yes")):
        for command in commands:
            ran = runbook.run(*command.split(), POLL_SECONDS=poll)
            assert ran.code == 0, ran.err
        runbook.settle()
        told.append(runbook.look())
    return told[0], told[1]


usual = functools.cache(lambda example: walk(example, *PACES["as usual"]))


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("pace", [pace for pace in PACES if pace != "as usual"])
def test_the_same_account_at_any_pace(example: str, pace: str) -> None:
    made, left = walk(example, *PACES[pace])
    assert made == usual(example)[0]
    assert left == usual(example)[1]


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("unseen", [20])
def test_the_same_account_however_late_aws_knows_what_it_has_just_made(example: str, unseen: float) -> None:
    made, left = walk(example, 0.1, "0.2", unseen)
    assert made == usual(example)[0]
    assert left == usual(example)[1]


OF_ENDPOINT = ("create_repository.py", "register_task_definition.py", "create_service.py", "delete_service.py")


def test_no_page_asks_again_and_again_for_what_is_not_there(endpoints: Runbook) -> None:
    """A read that finds nothing is an answer, though something else of that name has just been made."""
    in_vain: dict[str, list[str]] = {}
    for page in ("create_cluster.py", *OF_ENDPOINT):
        more = {"ENDPOINT": "a", "DESIRED_COUNT": "0"} if page in OF_ENDPOINT else {}
        before = len(endpoints.emulator.calls)
        ran = endpoints.run(page, **more)
        assert ran.code == 0, ran.err
        refused = [operation for _, operation, outcome in endpoints.emulator.calls[before:] if outcome]
        reads = Counter(operation for operation in refused if operation.startswith(READS))
        in_vain[page] = [operation for operation, count in reads.items() if count > 6]
    assert not any(in_vain.values()), in_vain
