"""A task that AWS has ended is started again as often as RETRIES says; one that failed by itself only where it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emulator.core.doors import DOORS
from tests.conftest import Runbook
from tests.pages.test_run_task import REGISTERED, requests, tasks

SPOT = {"CAPACITY_TYPE": "spot", "RUN_UNTIL": "STOPPED", "COMMAND": "sh -c 'sleep 600'"}


@pytest.fixture
def spot(fargate: Runbook) -> Runbook:
    fargate.settings |= SPOT
    return fargate.has_run(*REGISTERED)


def notice(runbook: Runbook, **what: str) -> None:
    DOORS["POST", "/_emulator/spot-interruptions"](runbook.emulator, what)


def interrupting(runbook: Runbook, times: int, notify: Callable[[Any], None]) -> None:
    """So many times, as soon as a task is RUNNING, AWS takes its capacity back."""
    seen: set[str] = set()

    def watch(when: str) -> None:
        clusters = runbook.emulator.world.state["ecs"]["us-east-1"].clusters.values()
        for task in [task for cluster in clusters for task in cluster.tasks.values()]:
            if task.last == "RUNNING" and task.desired == "RUNNING" and task.arn not in seen and len(seen) < times:
                seen.add(task.arn)
                notify(task)

    runbook.watch = watch


def of_fargate(runbook: Runbook) -> Callable[[Any], None]:
    return lambda task: notice(runbook, task=task.arn)


def test_a_spot_interruption_is_named(spot: Runbook) -> None:
    interrupting(spot, 1, of_fargate(spot))
    ran = spot.run("run_task.py")
    assert ran.code == 4
    assert "SpotInterruption: Your Spot Task was interrupted" in ran.err
    assert "AWS took its Spot capacity back: RETRIES=2 starts it again" in ran.err


def test_a_task_that_spot_ended_is_started_again_and_that_is_told(spot: Runbook) -> None:
    interrupting(spot, 2, of_fargate(spot))
    seen = requests(spot)
    ran = spot.run("run_task.py", RETRIES="2")
    assert (ran.code, len(ran.result["tasks"])) == (0, 1), ran.err
    assert ran.err.count("AWS took its Spot capacity back") == 2
    assert "again in 30 s, 1 of RETRIES=2" in ran.err
    assert "again in 60 s, 2 of RETRIES=2" in ran.err
    assert len({request["clientToken"] for request in seen}) == 3
    spot.watch = None
    assert len(tasks(spot, "STOPPED")) == 3


def test_more_often_than_retries_says_it_is_not_started(spot: Runbook) -> None:
    interrupting(spot, 9, of_fargate(spot))
    ran = spot.run("run_task.py", RETRIES="1")
    spot.watch = None
    assert (ran.code, len(tasks(spot, "STOPPED"))) == (4, 2)


def test_a_task_that_ends_well_when_it_is_told_to_has_not_done_its_work(spot: Runbook) -> None:
    """It saved what it had, and ended with 0."""

    def saved(task: Any) -> None:
        notice(spot, task=task.arn)
        for view in task.containers:
            view.update(lastStatus="STOPPED", exitCode=0)

    interrupting(spot, 1, saved)
    ran = spot.run("run_task.py")
    assert ran.code != 0
    assert "SpotInterruption" in ran.err


@pytest.mark.parametrize(("retry_on", "count"), [("spot,host,pull", 1), ("exit", 3)])
def test_its_own_exit_code_is_a_cause_only_where_it_is_named(spot: Runbook, retry_on: str, count: int) -> None:
    ran = spot.run("run_task.py", "--command", "sh -c 'exit 3'", RETRIES="2", RETRY_ON=retry_on)
    assert (ran.code, len(tasks(spot, "STOPPED"))) == (4, count)


def test_an_image_that_can_not_be_pulled_is_a_cause(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py")
    fargate.settings["IMAGE"] = "example.com/does-not-exist:1"
    ran = fargate.has_run("register_task_definition.py").run("run_task.py", RETRIES="2")
    assert (ran.code, len(tasks(fargate, "STOPPED"))) == (1, 3)
    assert "its image could not be pulled  again in 30 s, 1 of RETRIES=2" in ran.err


@pytest.mark.parametrize(
    ("capacity", "words"), [("spot", "AWS took its Spot capacity back"), ("on-demand", "its host ended")]
)
def test_a_host_that_ends_is_a_cause(runbook: Runbook, capacity: str, words: str) -> None:
    runbook.settings |= {
        "CAPACITY_TYPE": capacity,
        "RUN_UNTIL": "STOPPED",
        "COMMAND": "sleep 600",
        "POLL_SECONDS": "20",
    }
    runbook.has_run(*REGISTERED)

    def end(task: Any) -> None:
        if capacity == "spot":
            notice(runbook, instance=task.instance.ec2_id)
        else:
            with runbook.emulator.still():
                runbook.aws("ec2").terminate_instances(InstanceIds=[task.instance.ec2_id])

    interrupting(runbook, 1, end)
    ran = runbook.run("run_task.py", RETRIES="1")
    assert ran.code == 0, ran.err
    assert words in ran.err


def test_killed_between_two_attempts_and_run_again_it_starts_one(spot: Runbook) -> None:
    """The second run sees what the first one saw, and asks for the same."""
    seen = requests(spot)
    interrupting(spot, 1, of_fargate(spot))
    assert spot.run("run_task.py").code == 4  # as if killed before it started the task again
    spot.watch = None
    assert spot.run("run_task.py", "--detach").code == 0
    assert spot.run("run_task.py", "--detach").code == 0  # AWS does not list it yet, or does: there is one
    spot.settle(5)
    assert len(tasks(spot)) == 1
    assert len({request["clientToken"] for request in seen}) == 2
