"""The connection is cut after a change took effect, at each kind of change once: nothing fails, and nothing is made twice.

botocore makes the call again, and AWS says that it is there already, or gone, or going.
"""

from __future__ import annotations

import json

import pytest

from emulator.core.faults import Fault
from tests.conftest import READS, Runbook
from tests.everything import LIGHT, PAGES, prepared
from tests.interruptions.test_interruptions import BEFORE, BEFORE_SERVICE, SERVED, differences, has_run, now, run
from tests.pictures import put_back, take

WALKS = {
    **{("runbook", command): before for command, before in BEFORE.items()},
    **{("clara", command): before for command, before in BEFORE_SERVICE.items()},
    ("clara", "create_cluster.py"): (),
    ("clara", "delete_cluster.py --yes"): SERVED,
    ("clara", "pause_cluster.py --deep"): SERVED,
    ("clara", "resume_cluster.py"): (*SERVED, "pause_cluster.py --deep"),
    ("runbook", "resume_cluster.py"): (*BEFORE["stop_task.py --all"], "pause_cluster.py"),
}
#: what the pages of an endpoint make, without one
DELETES = (
    *(
        "delete_dns_record.py",
        "stop_task.py --all",
        "delete_sync.py",
        "delete_copy.py",
        "delete_service.py",
        "delete_pipeline.py",
    ),
    *("delete_repository.py --images", "deregister_task_definition.py", "delete_cluster.py --yes --everything"),
)


def loses_every_answer_once(runbook: Runbook, command: str) -> None:
    """Run it undisturbed, and then, from the same account, so that the first answer of each change is lost."""
    before, start = take(runbook.emulator), len(runbook.emulator.calls)
    assert (ran := run(runbook, command)).code == 0, ran.err
    expected = now(runbook)
    changes = dict.fromkeys((s, o) for s, o, _ in runbook.emulator.calls[start:] if not o.startswith(READS))
    put_back(runbook.emulator, before)
    faults = [Fault(f"{service}:{operation}", "cut", when="after") for service, operation in changes]
    runbook.emulator.faults.planned[:] = faults
    ran = run(runbook, command)
    runbook.emulator.faults.planned.clear()
    assert ran.code == 0, ran.err
    assert [fault.operation for fault in faults if fault.times] == [], "not all were struck"
    assert not (wrong := differences(expected, now(runbook))), json.dumps(wrong, indent=1)[:4000]


@pytest.mark.parametrize(("settings", "command"), WALKS, ids=[f"{s}-{c.split('.')[0]}" for s, c in WALKS])
def test_an_answer_that_is_lost_is_no_failure(request: pytest.FixtureRequest, settings: str, command: str) -> None:
    runbook: Runbook = request.getfixturevalue(settings)
    runbook.settings["POLL_SECONDS"] = "30"
    has_run(runbook, WALKS[settings, command])
    loses_every_answer_once(runbook, command)


def test_nor_is_it_of_any_other_page(runbook: Runbook) -> None:
    """One after the other, each from where the one before has come to."""
    prepared(runbook, LIGHT)
    for command in (*PAGES, *DELETES):
        loses_every_answer_once(runbook, command)


def test_a_capacity_provider_that_is_gone_when_its_deletion_is_asked_for_again_is_no_failure(runbook: Runbook) -> None:
    """AWS has done it before it is asked again, and says that there is none of that name."""
    runbook.has_run("create_cluster.py")
    runbook.emulator.faults.planned.append(Fault("DeleteCapacityProvider", "cut", when="after"))

    def half_a_minute_later(when: str) -> None:
        if when == "before" and runbook.emulator.calls[-1] == ("ecs", "DeleteCapacityProvider", "cut"):
            runbook.settle(30)

    runbook.watch = half_a_minute_later
    ran = runbook.run("delete_cluster.py", "--yes")
    assert ran.code == 0, ran.err
    refused = [code for _, operation, code in runbook.emulator.calls if operation == "DeleteCapacityProvider"]
    assert refused == ["cut", "ClientException"]
