"""Spot capacity that AWS takes back: hosts drain and end, and tasks tell why they stopped."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.doors import DOORS
from emulator.core.wire import Emulator
from tests.emulator.ecs_account import Account

SPOT: Any = {"InstanceMarketOptions": {"MarketType": "spot"}}
WATCHING = "echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config\n"


def notice(emulator: Emulator, **what: str) -> Any:
    return DOORS["POST", "/_emulator/spot-interruptions"](emulator, what)


def test_a_spot_host_drains_at_the_notice_and_ends_two_minutes_later(emulator: Emulator, account: Account) -> None:
    host = account.instance(UserData=account.user_data("main") + WATCHING, **SPOT)
    account.register()
    task = account.run()
    account.wait(task, "RUNNING")
    notice(emulator, instance=host)
    assert (account.host()["status"], account.status(task)) == ("DRAINING", "RUNNING")
    account.sleep(115)
    assert account.status(task) == "RUNNING"
    stopped = account.wait(task, "STOPPED")
    assert stopped["stopCode"] == "TerminationNotice"
    assert stopped["stoppedReason"] == f"Host EC2 (instance {host}) terminated."


def test_an_agent_that_does_not_watch_takes_tasks_until_the_end(emulator: Emulator, account: Account) -> None:
    host = account.instance(**SPOT)
    notice(emulator, instance=host)
    assert account.host()["status"] == "ACTIVE"


def test_only_spot_capacity_is_taken_back(emulator: Emulator, account: Account) -> None:
    with pytest.raises(ValueError, match="is no Spot Instance"):
        notice(emulator, instance=account.instance(wait=10))
    account.register_fargate()
    with pytest.raises(ValueError, match="is no task on Fargate Spot"):
        notice(emulator, task=account.run_fargate())


def test_a_task_on_fargate_spot_stops(emulator: Emulator, account: Account) -> None:
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    account.ecs.put_cluster_capacity_providers(
        cluster="main", capacityProviders=["FARGATE_SPOT"], defaultCapacityProviderStrategy=strategy
    )
    account.sleep(30)
    account.register_fargate()
    task = account.run("fargate", networkConfiguration=account.network())
    account.wait(task, "RUNNING")
    notice(emulator, task=task)
    stopped = account.wait(task, "STOPPED")
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("SpotInterruption", "Your Spot Task was interrupted.")
