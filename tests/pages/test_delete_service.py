"""delete_service.py takes down what create_service.py made, in an order in which nothing comes back."""

from __future__ import annotations

import pytest

from tests.conftest import Runbook

SERVED = ("create_cluster.py", "register_task_definition.py", "create_service.py")


def test_scaling_goes_before_the_service_and_the_rule_before_the_target_group(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    calls = len(clara.emulator.calls)
    clara.has_run("delete_service.py")
    order = [change.split(":")[1] for change in clara.changes(calls)]
    assert order.index("DeregisterScalableTarget") < order.index("DeleteService")
    assert order.index("DeleteService") < order.index("DeleteRule") < order.index("DeleteTargetGroup")


def test_the_account_is_as_before_the_service(clara: Runbook) -> None:
    clara.has_run(*SERVED[:2])
    clara.settle()
    before = clara.account()
    clara.has_run("create_service.py", "delete_service.py")
    clara.settle()
    assert clara.account() == before


def test_a_second_run_finds_nothing(clara: Runbook) -> None:
    clara.has_run(*SERVED, "delete_service.py")
    calls = len(clara.emulator.calls)
    ran = clara.run("delete_service.py")
    assert (ran.code, ran.result["left"], clara.changes(calls)) == (0, [], [])
    assert "already gone service clara\n" in ran.err


def test_no_task_runs_when_it_ends(clara: Runbook) -> None:
    clara.has_run(*SERVED, "delete_service.py")
    assert clara.aws("ecs").list_tasks(cluster="clara-train")["taskArns"] == []


def test_it_can_be_made_again(clara: Runbook) -> None:
    clara.has_run(*SERVED, "delete_service.py", "create_service.py")
    [service] = clara.aws("ecs").describe_services(cluster="clara-train", services=["clara"])["services"]
    assert (service["status"], service["runningCount"]) == ("ACTIVE", 1)


def test_a_dry_run_deletes_nothing(clara: Runbook) -> None:
    clara.has_run(*SERVED)
    before = clara.account()
    calls = len(clara.emulator.calls)
    ran = clara.run("delete_service.py", "--dry-run")
    assert (ran.code, clara.changes(calls)) == (0, [])
    assert clara.account() == before


def test_delete_cluster_takes_a_service_with_it(clara: Runbook) -> None:
    before = clara.account()
    clara.has_run(*SERVED, "delete_cluster.py --yes")
    clara.settle()
    assert clara.account() == before


@pytest.mark.parametrize("script", ["delete_service.py", "delete_cluster.py --yes"])
def test_the_service_of_a_former_name_goes_too_with_its_scaling(clara: Runbook, script: str) -> None:
    clara.has_run(*SERVED)
    ran = clara.run(*script.split(), SERVICE_NAME="another")
    assert (ran.code, ran.result["left"]) == (0, []), ran.err
    for sentence in (
        "deleted scaling of clara",
        "deleted service clara  asked for",
        "deleted alarms clara-train-scale-out",
    ):
        assert sentence in ran.err
    assert (
        clara.aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
    )
    clara.settle()
    assert not [name for name in clara.account() if name.startswith(("service ", "target group ", "alarm "))]
