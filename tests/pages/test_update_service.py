"""update_service.py rolls out a revision or a count, also where every GPU is busy, and tells a rollback as a failure."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from emulator.front_door.proxy import Request, route
from tests.conftest import Runbook
from tests.pictures import put_back, take

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")
NEXT = {"IMAGE": "nvcr.io/nvidia/clara-train-sdk:v4.1"}


def service(runbook: Runbook) -> Any:
    [found] = runbook.aws("ecs").describe_services(cluster="clara-train", services=["clara"])["services"]
    return found


def revision(runbook: Runbook) -> str:
    return str(service(runbook)["taskDefinition"].rsplit("/", 1)[-1])


def kill(runbook: Runbook, begun: int, number: int, when: str) -> None:
    """The script dies after so many changes."""
    if when == "after" and len(runbook.changes(begun)) >= number:
        runbook.watch = None
        raise KeyboardInterrupt


def test_a_new_image_is_rolled_out(clara: Runbook) -> None:
    clara.has_run(*SERVED).has_run("register_task_definition.py", **NEXT)
    ran = clara.run("update_service.py")
    [task_arn] = clara.aws("ecs").list_tasks(cluster="clara-train")["taskArns"]
    [task] = clara.aws("ecs").describe_tasks(cluster="clara-train", tasks=[task_arn])["tasks"]
    assert (ran.code, revision(clara)) == (0, "clara:2")
    assert NEXT["IMAGE"] in [each["image"] for each in task["containers"]]
    assert [target["state"] for target in ran.result["targets"]].count("healthy") == 1


def test_an_earlier_revision_can_be_brought_back(clara: Runbook) -> None:
    clara.has_run(*SERVED).has_run("register_task_definition.py", **NEXT).has_run("update_service.py")
    clara.has_run("update_service.py --revision 1")
    assert revision(clara) == "clara:1"


def test_another_count_is_brought_about(clara: Runbook) -> None:
    ran = clara.has_run(*SERVED).run("update_service.py", DESIRED_COUNT="2")
    assert (ran.code, service(clara)["runningCount"]) == (0, 2)
    assert len([target for target in ran.result["targets"] if target["state"] == "healthy"]) == 2


def test_a_deploy_finishes_although_every_gpu_is_busy(clara: Runbook) -> None:
    clara.has_run(*SERVED, DESIRED_COUNT="2").has_run("register_task_definition.py", **NEXT)
    ran = clara.run("update_service.py", DESIRED_COUNT="2")
    found = service(clara)["deploymentConfiguration"]
    assert (ran.code, revision(clara), service(clara)["runningCount"]) == (0, "clara:2", 2)
    assert (found["minimumHealthyPercent"], found["maximumPercent"]) == (0, 100)
    assert service(clara)["availabilityZoneRebalancing"] == "DISABLED"
    assert "warning every GPU is in use" in ran.err


def test_an_outage_is_told_with_its_length_and_lasts_no_less(clara: Runbook) -> None:
    clara.settings |= {"DEREGISTRATION_DELAY": "400", "DESIRED_COUNT": "2"}
    clara.has_run(*SERVED).has_run("register_task_definition.py", **NEXT)
    [balancer] = clara.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    request = Request("GET", "https", balancer["DNSName"], 443, "clara.example.com", "/docs/")
    lost: list[float] = []
    assert route(clara.emulator, request).status == 200

    def watch(when: str) -> None:
        if when == "after" and route(clara.emulator, request).status != 200:
            lost.append(clara.emulator.world.clock.now())

    clara.watch = watch
    ran = clara.run("update_service.py")
    told = "with an outage of DEREGISTRATION_DELAY=400 s, and for the new one's start and 60 s of health checks"
    assert told in ran.err
    assert 400 + 60 <= lost[-1] - lost[0] <= 400 + 60 + 300


def test_a_deploy_with_an_outage_is_refused_where_it_is_not_allowed(clara: Runbook) -> None:
    clara.has_run(*SERVED, DESIRED_COUNT="2").has_run("register_task_definition.py", **NEXT)
    ran = clara.run("update_service.py", DESIRED_COUNT="2", ALLOW_DOWNTIME="false")
    assert (ran.code, revision(clara)) == (1, "clara:1")
    assert "no GPU would be free for a new task beside 2 running ones, and ALLOW_DOWNTIME=false" in ran.err


def test_a_rollback_is_a_failure_that_names_both_revisions(clara: Runbook) -> None:
    clara.has_run(*SERVED).has_run("register_task_definition.py", IMAGE="example.com/unhealthy:v1")
    ran = clara.run("update_service.py")
    clara.settle()
    assert (ran.code, ran.out) == (1, "")
    assert "the deploy of clara:2 was rolled back to clara:1: " in ran.err
    assert (revision(clara), service(clara)["runningCount"]) == ("clara:1", 1)


def test_nothing_changes_where_nothing_is_new(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    calls = len(clara.emulator.calls)
    ran = clara.run("update_service.py")
    assert (ran.code, clara.changes(calls)) == (0, [])


def test_without_a_wait_it_ends_while_the_deploy_goes_on(clara: Runbook) -> None:
    clara.has_run(*SERVED).has_run("register_task_definition.py", **NEXT)
    ran = clara.run("update_service.py", WAIT="false")
    assert ran.code == 0
    assert "IN_PROGRESS" in [each["rolloutState"] for each in ran.result["deployments"]]


def test_a_dry_run_changes_nothing(clara: Runbook) -> None:
    clara.has_run(*SERVED).has_run("register_task_definition.py", **NEXT)
    clara.run("update_service.py", "--dry-run")
    assert revision(clara) == "clara:1"


def test_it_needs_a_service_and_a_revision_that_exists(clara: Runbook) -> None:
    clara.has_run(*SERVED[:2])
    assert "there is no service clara in cluster clara-train" in clara.run("update_service.py").err
    clara.has_run("create_service.py")
    ran = clara.run("update_service.py", "--revision", "9")
    assert (ran.code, "there is no revision 9 of clara" in ran.err) == (1, True)


def test_a_count_that_scaling_has_raised_is_left_to_it(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", "register_task_definition.py", "create_service.py")
    clara.aws("ecs").update_service(cluster="clara-train", service="clara", desiredCount=2)
    clara.settle(120)
    for script in ("create_service.py", "update_service.py"):
        assert clara.run(script).result["desiredCount"] == 2
    assert clara.run("update_service.py", SCALING="none").result["desiredCount"] == 1


def test_a_deploy_for_which_there_is_room_lets_aws_balance_the_zones_again(clara: Runbook) -> None:
    clara.has_run(*SERVED, DESIRED_COUNT="2").has_run("register_task_definition.py", **NEXT)
    clara.has_run("update_service.py", DESIRED_COUNT="2")
    clara.has_run("update_service.py", SCALING="none").settle()
    clara.has_run("register_task_definition.py", TASK_MEMORY="20000")
    clara.has_run("update_service.py", SCALING="none", TASK_MEMORY="20000")
    found = service(clara)
    assert (found["deploymentConfiguration"]["maximumPercent"], found["availabilityZoneRebalancing"]) == (
        200,
        "ENABLED",
    )


REQUESTS = {"SCALING": "requests", "REQUESTS_PER_TASK": "10"}


@pytest.mark.parametrize(("before", "settings"), [({}, {}), ({}, {"SCALING": "none"}), (REQUESTS, REQUESTS)])
def test_a_pause_that_is_cut_short_never_lets_a_gpu_start_again(
    clara: Runbook, before: dict[str, str], settings: dict[str, str]
) -> None:
    clara.has_run(*SERVED, **before).settle(1800)
    picture, begun = take(clara.emulator), len(clara.emulator.calls)
    clara.has_run("update_service.py", DESIRED_COUNT="0", **settings)
    changes = len(clara.changes(begun))
    assert changes >= 2
    for number in range(1, changes + 1):
        put_back(clara.emulator, picture)
        clara.watch = functools.partial(kill, clara, begun, number)
        clara.run("update_service.py", DESIRED_COUNT="0", **settings)
        clara.watch = None
        left = service(clara)["desiredCount"]
        clara.settle(1800)
        assert service(clara)["desiredCount"] <= left, f"after change {number}: {clara.changes(begun)[:number]}"
    assert left == 0
