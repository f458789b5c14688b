"""Capacity Reservations and Capacity Blocks: who gets a place, and what is left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from emulator.core.wire import Emulator
from emulator.ec2 import capacity_blocks
from tests.emulator.common import Client
from tests.emulator.test_autoscaling import Account
from tests.emulator.test_ec2_instances import refused


@pytest.fixture
def ec2(client: Client) -> Any:
    return client("ec2")


@pytest.fixture
def run(client: Client, ec2: Any) -> Callable[..., Any]:
    """Starts one g4dn.xlarge in us-east-1a: the instance."""
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
    image = client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    zones = {one["AvailabilityZone"]: one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}

    def start(**more: Any) -> Any:
        request = {"ImageId": image, "InstanceType": "g4dn.xlarge", "SubnetId": zones["us-east-1a"]}
        return ec2.run_instances(**{**request, "MinCount": 1, "MaxCount": 1, **more})["Instances"][0]

    return start


def reserve(ec2: Any, **more: Any) -> str:
    request = {"InstanceType": "g4dn.xlarge", "InstancePlatform": "Linux/UNIX", "AvailabilityZone": "us-east-1a"}
    made = ec2.create_capacity_reservation(**{**request, "InstanceCount": 1, **more})["CapacityReservation"]
    return str(made["CapacityReservationId"])


def free(ec2: Any, its_id: str) -> int:
    [found] = ec2.describe_capacity_reservations(CapacityReservationIds=[its_id])["CapacityReservations"]
    return int(found["AvailableInstanceCount"])


def target(its_id: str) -> dict[str, Any]:
    return {"CapacityReservationSpecification": {"CapacityReservationTarget": {"CapacityReservationId": its_id}}}


def test_an_open_one_takes_any_launch_that_fits_and_a_targeted_one_only_its_own(
    emulator: Emulator, ec2: Any, run: Callable[..., Any]
) -> None:
    """ec2-reservation"""
    targeted, opened = reserve(ec2, InstanceMatchCriteria="targeted"), reserve(ec2)
    emulator.world.settings.without_capacity = ["us-east-1a"]
    assert run()["CapacityReservationId"] == opened
    assert refused(run)[0] == "InsufficientInstanceCapacity", "the open one is full, and the zone has nothing else"
    first = run(**target(targeted))
    assert (first["CapacityReservationId"], free(ec2, targeted), free(ec2, opened)) == (targeted, 0, 0)
    assert refused(run, **target(targeted))[0] == "ReservationCapacityExceeded"
    emulator.world.clock.sleep(5)  # type: ignore[attr-defined]
    ec2.terminate_instances(InstanceIds=[first["InstanceId"]])
    assert free(ec2, targeted) == 1
    assert refused(run, **target(targeted), InstanceType="g4dn.2xlarge")[0] == "ReservationCapacityExceeded"
    ec2.cancel_capacity_reservation(CapacityReservationId=targeted)
    assert refused(run, **target(targeted))[0] == "ReservationCapacityExceeded"
    unknown = {"CapacityReservationIds": ["cr-0123456789abcdef0"]}
    assert refused(ec2.describe_capacity_reservations, **unknown)[0] == "InvalidCapacityReservationId.NotFound"


def test_what_runs_in_one_that_ends_runs_on(emulator: Emulator, ec2: Any, run: Callable[..., Any]) -> None:
    its_id = reserve(ec2, EndDateType="limited", EndDate=emulator.world.timestamp() + timedelta(hours=1))
    made = run()
    emulator.world.clock.sleep(3700)  # type: ignore[attr-defined]
    [found] = ec2.describe_capacity_reservations(CapacityReservationIds=[its_id])["CapacityReservations"]
    assert found["State"] == "expired"
    [seen] = ec2.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"][0]["Instances"]
    assert seen["State"]["Name"] == "running"


def test_a_block_takes_its_own_market_beside_the_quota_and_its_hosts_go_before_its_end(
    emulator: Emulator, ec2: Any, run: Callable[..., Any]
) -> None:
    """ec2-block"""
    its_id = capacity_blocks.buy(emulator, {"type": "g4dn.xlarge", "zone": "us-east-1a", "hours": 2})["id"]
    emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 4
    assert refused(run, **target(its_id))[0] == "ReservationCapacityExceeded", "without its market type"
    market = {"InstanceMarketOptions": {"MarketType": "capacity-block"}}
    assert refused(run, **market)[0] == "ReservationCapacityExceeded", "without a target"
    made = run(**target(its_id), **market)
    assert made["InstanceLifecycle"] == "capacity-block"
    assert run()["InstanceId"], "the quota is free for others"
    assert refused(ec2.cancel_capacity_reservation, CapacityReservationId=its_id)[0] == "OperationNotPermitted"
    emulator.world.clock.sleep(5500)  # type: ignore[attr-defined]
    [seen] = ec2.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"][0]["Instances"]
    assert seen["State"]["Name"] in ("shutting-down", "terminated")


def test_a_group_with_reservations_only_launches_into_its_own_or_not_at_all(emulator: Emulator, client: Client) -> None:
    """asg-reservation"""
    account = Account(emulator, client)
    reserved = reserve(account.ec2, InstanceMatchCriteria="targeted")
    spec = {"CapacityReservationTarget": {"CapacityReservationIds": [reserved]}}
    wrong = {"CapacityReservationPreference": "none", **spec}
    assert refused(account.create, CapacityReservationSpecification=wrong)[0] == "ValidationError"
    only = {"CapacityReservationPreference": "capacity-reservations-only", **spec}
    account.create(DesiredCapacity=2, CapacityReservationSpecification=only)
    account.sleep(60)
    assert len(account.ids()) == 1
    assert "does not have sufficient compatible and available capacity" in account.activities()[0]["StatusMessage"]
    first = {"CapacityReservationPreference": "capacity-reservations-first", **spec}
    account.asg.update_auto_scaling_group(AutoScalingGroupName="box", CapacityReservationSpecification=first)
    account.sleep(60)
    assert len(account.ids()) == 2
