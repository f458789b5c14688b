"""CAPACITY_RESERVATION: hosts come in what is reserved, and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from emulator.ec2 import capacity_blocks
from tests.conftest import Runbook

GROUP = "arn:aws:resource-groups:us-east-1:123456789012:group/ours"


def reserve(runbook: Runbook, kind: str = "g4dn.xlarge", zone: str = "us-east-1a", **more: Any) -> str:
    request = {"InstanceType": kind, "InstancePlatform": "Linux/UNIX", "AvailabilityZone": zone, "InstanceCount": 1}
    made = runbook.aws("ec2").create_capacity_reservation(**request, InstanceMatchCriteria="targeted", **more)
    return str(made["CapacityReservation"]["CapacityReservationId"])


def block(runbook: Runbook, hours: float = 24) -> str:
    wanted = {"type": "g4dn.xlarge", "zone": "us-east-1a", "count": 1, "hours": hours}
    return str(capacity_blocks.buy(runbook.emulator, wanted)["id"])


def host(runbook: Runbook) -> Any:
    found = runbook.aws("ec2").describe_instances()["Reservations"]
    [running] = [each for one in found for each in one["Instances"] if each["State"]["Name"] == "running"]
    return running


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"CAPACITY_TYPE": "spot"}, "CAPACITY_RESERVATION: is set, but CAPACITY_TYPE=spot"),
        ({"INSTANCE_TYPES": "g5.xlarge,g6.xlarge"}, "CAPACITY_RESERVATION: is of one type, but INSTANCE_TYPES names"),
        ({"LAUNCH_TYPE": "FARGATE", "GPU_COUNT": "0"}, "CAPACITY_RESERVATION: is set, but LAUNCH_TYPE=FARGATE"),
        ({"CAPACITY_RESERVATION": "lr-1"}, "CAPACITY_RESERVATION: 'lr-1' is not cr-... or a resource group's ARN"),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_call(
    runbook: Runbook, settings: dict[str, str], sentence: str
) -> None:
    ran = runbook.run("create_cluster.py", **{"CAPACITY_RESERVATION": "cr-0123456789abcdef0", **settings})
    assert (ran.code, runbook.emulator.calls) == (2, [])
    assert sentence in ran.err


def test_one_that_is_not_for_these_hosts_is_refused_with_the_reason_and_nothing_is_made(runbook: Runbook) -> None:
    end = runbook.emulator.world.timestamp() + timedelta(minutes=1)
    over = reserve(runbook, EndDate=end, EndDateType="limited")
    runbook.settle(120)
    full = reserve(runbook)
    spec = {"CapacityReservationTarget": {"CapacityReservationId": full}}
    image = runbook.aws("ec2").describe_images(Owners=["amazon"])["Images"]
    x86 = next(each["ImageId"] for each in image if each["Architecture"] == "x86_64")
    subnets = runbook.aws("ec2").describe_subnets()["Subnets"]
    zone = next(each["SubnetId"] for each in subnets if each["AvailabilityZone"] == "us-east-1a")
    request = {"ImageId": x86, "InstanceType": "g4dn.xlarge", "SubnetId": zone, "MinCount": 1, "MaxCount": 1}
    runbook.aws("ec2").run_instances(**request, CapacityReservationSpecification=spec)
    elsewhere = {"CAPACITY_RESERVATION": reserve(runbook, zone="us-east-1b"), "AVAILABILITY_ZONES": "us-east-1a"}
    before = len(runbook.emulator.calls)
    for settings, sentence in [
        ({"CAPACITY_RESERVATION": "cr-0123456789abcdef0"}, "there is no such Capacity Reservation"),
        ({"CAPACITY_RESERVATION": over}, f"CAPACITY_RESERVATION={over} is expired, not active"),
        ({"CAPACITY_RESERVATION": reserve(runbook, "g5.xlarge")}, "is for g5.xlarge, but INSTANCE_TYPE=g4dn.xlarge"),
        (elsewhere, "is in us-east-1b, and none of our subnets is: they are in us-east-1a"),
        ({"CAPACITY_RESERVATION": full}, "has room for 1 host, and others have all of it"),
    ]:
        ran = runbook.run("create_cluster.py", **settings)
        assert (ran.code, sentence in ran.err) == (1, True), ran.err
    assert set(runbook.changes(before)) == {"ec2:CreateCapacityReservation"}


def test_hosts_come_in_it_though_the_zone_has_no_other_capacity_and_in_its_zone_only(runbook: Runbook) -> None:
    reserved = reserve(runbook, zone="us-east-1b")
    runbook.emulator.world.settings.without_capacity = ["us-east-1a", "us-east-1b"]
    runbook.settings |= {"CAPACITY_RESERVATION": reserved, "MIN_INSTANCES": "1"}
    ran = runbook.run("create_cluster.py", PUBLIC_SUBNET_CIDRS="10.0.0.0/24,10.0.1.0/24")
    assert ran.code == 0, ran.err
    assert f"CAPACITY_RESERVATION={reserved}  1 of 1 g4dn.xlarge free in us-east-1b" in ran.err
    assert (host(runbook)["CapacityReservationId"], host(runbook)["Placement"]["AvailabilityZone"]) == (
        reserved,
        "us-east-1b",
    )


def test_a_block_needs_no_quota_and_its_end_is_told(runbook: Runbook) -> None:
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 0
    runbook.settings |= {"CAPACITY_RESERVATION": block(runbook), "MIN_INSTANCES": "1"}
    ran = runbook.run("create_cluster.py")
    assert ran.code == 0, ran.err
    assert 0 < float(ran.err.partition(" an hour now")[0].rpartition("$")[2]) < 0.1, (
        "disk and address; its host is paid"
    )
    end = runbook.aws("ec2").describe_capacity_reservations()["CapacityReservations"][0]["EndDate"]
    assert f"ends {end:%Y-%m-%dT%H:%MZ}; AWS takes its hosts 30 minutes before" in ran.err
    assert host(runbook)["InstanceLifecycle"] == "capacity-block"
    assert "GetServiceQuota" not in [operation for _, operation, _ in runbook.emulator.calls]
    runbook.has_run("register_task_definition.py")
    ran = runbook.run("run_task.py")
    assert f"ends {end:%Y-%m-%dT%H:%MZ}; AWS takes its hosts 30 minutes before" in ran.err
    runbook.has_run("delete_cluster.py --yes")
    [kept] = runbook.aws("ec2").describe_capacity_reservations()["CapacityReservations"]
    assert kept["State"] == "active", "what was paid for is not ours to end"


def test_without_room_the_reason_is_told(runbook: Runbook) -> None:
    runbook.settings |= {"CAPACITY_RESERVATION": block(runbook, 2), "WAIT_TIMEOUT_SECONDS": "300"}
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.settle(2 * 3600)
    ran = runbook.run("run_task.py")
    assert ran.code != 0
    assert "CAPACITY_RESERVATION is full, or has ended: name another one, or none." in ran.err


def test_a_group_of_reservations_is_named_as_it_is(runbook: Runbook) -> None:
    reserved = reserve(runbook)
    capacity_blocks.group(runbook.emulator, {"group": GROUP, "reservations": [reserved]})
    ran = runbook.run("create_cluster.py", CAPACITY_RESERVATION=GROUP, MIN_INSTANCES="1")
    assert ran.code == 0, ran.err
    assert "a group of reservations: what is in it is not looked at" in ran.err
    assert host(runbook)["CapacityReservationId"] == reserved
