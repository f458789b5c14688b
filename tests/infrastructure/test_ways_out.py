"""Hosts and tasks without a way to AWS are told before they cost: an internet gateway serves only public addresses."""

from __future__ import annotations

import pytest

from tests.conftest import FARGATE, Runbook
from tests.examples.test_existing_vpc import existing, refused  # noqa: F401 - a fixture

AWSVPC = "tasks on hosts get no public address, and no way out"


def test_an_internet_gateway_is_no_way_out_without_public_addresses(adopted: Runbook) -> None:
    subnet_id = adopted.settings["SUBNET_IDS"]
    adopted.aws("ec2").modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": False})
    refused(
        adopted, f"SUBNET_IDS: {subnet_id} has no way out: its route leads to an internet gateway", MIN_INSTANCES="0"
    )


def test_nor_is_it_one_for_private_subnets(existing: Runbook) -> None:  # noqa: F811
    public = existing.settings["PUBLIC_SUBNET_IDS"]
    refused(existing, "no public address", PRIVATE_SUBNET_IDS=public)


def beside(runbook: Runbook, public: bool) -> str:
    """Another subnet of the adopted VPC, in the next zone, behind the same internet gateway."""
    ec2, vpc_id = runbook.aws("ec2"), runbook.settings["VPC_ID"]
    request = {"VpcId": vpc_id, "CidrBlock": "172.20.1.0/24", "AvailabilityZone": "us-east-1b"}
    made = str(ec2.create_subnet(**request)["Subnet"]["SubnetId"])
    runbook.settle(60)
    ec2.modify_subnet_attribute(SubnetId=made, MapPublicIpOnLaunch={"Value": public})
    runbook.settle(60)
    return made


@pytest.mark.parametrize("launch_type", ["EC2", "FARGATE"])
def test_subnets_that_are_named_later_are_looked_at_too(adopted: Runbook, launch_type: str) -> None:
    if launch_type == "FARGATE":
        named = {each: adopted.settings[each] for each in ("VPC_ID", "SUBNET_IDS")}
        adopted.settings = {**FARGATE, **named}
    first, other = adopted.settings["SUBNET_IDS"], beside(adopted.has_run("create_cluster.py"), public=False)
    if launch_type == "FARGATE":  # a task asks for an address itself: only without a route it has no way
        close(adopted, other)
    refused(adopted, f"SUBNET_IDS: {other} has no way out", SUBNET_IDS=f"{first},{other}")
    refused(adopted, f"SUBNET_IDS: {other} has no way out", SUBNET_IDS=other)


def close(runbook: Runbook, subnet_id: str) -> None:
    """A route table of its own, without a route."""
    ec2, vpc_id = runbook.aws("ec2"), runbook.settings["VPC_ID"]
    table_id = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    runbook.settle(60)
    ec2.associate_route_table(RouteTableId=table_id, SubnetId=subnet_id)
    runbook.settle(60)


def test_a_service_of_tasks_with_an_address_of_their_own_is_told_too(existing: Runbook) -> None:  # noqa: F811
    public = existing.settings["PUBLIC_SUBNET_IDS"]
    for subnet_id in public.split(","):
        existing.aws("ec2").modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})
    existing.settle(60)
    existing.settings |= {"NETWORK_MODE": "awsvpc", "SUBNET_IDS": public, "PRIVATE_SUBNET_IDS": ""}
    existing.has_run("create_cluster.py", "register_task_definition.py")
    ran = existing.run("create_service.py", "--dry-run")
    assert (ran.code, AWSVPC in ran.err) == (0, True), ran.err


def test_endpoints_for_ecs_are_a_way_out(adopted: Runbook) -> None:
    subnet_id, vpc_id = adopted.settings["SUBNET_IDS"], adopted.settings["VPC_ID"]
    ec2 = adopted.aws("ec2")
    ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": False})
    for service in ("ecs", "ecs-agent", "ecs-telemetry"):
        refused(adopted, "has no way out")  # all three are needed
        name = f"com.amazonaws.us-east-1.{service}"
        ec2.create_vpc_endpoint(VpcEndpointType="Interface", VpcId=vpc_id, ServiceName=name, SubnetIds=[subnet_id])
        adopted.settle(60)
    ran = adopted.run("create_cluster.py", MIN_INSTANCES="1")  # which waits for the host
    assert ran.code == 0, ran.err


def test_private_subnets_without_a_nat_gateway_are_told(runbook: Runbook) -> None:
    private = {"PRIVATE_SUBNET_CIDRS": "10.0.2.0/24,10.0.3.0/24", "PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24"}
    told = runbook.run("create_cluster.py", "--dry-run", NAT_GATEWAYS="none", **private).err
    assert "NAT_GATEWAYS=none: the private subnets have no way out" in told
    assert "no way out" not in runbook.run("create_cluster.py", "--dry-run", **private).err


@pytest.mark.parametrize("settings", ["runbook", "adopted"])
def test_tasks_with_an_address_of_their_own_in_public_subnets_are_told(
    settings: str, request: pytest.FixtureRequest
) -> None:
    runbook: Runbook = request.getfixturevalue(settings)
    runbook.settings["NETWORK_MODE"] = "awsvpc"
    for command in ("create_cluster.py", "register_task_definition.py", "run_task.py"):
        ran = runbook.run(command)
        assert (ran.code, AWSVPC in ran.err) == (0, True), ran.err


def test_tasks_in_private_subnets_are_not(clara: Runbook) -> None:
    assert "no way out" not in clara.has_run("create_cluster.py").run("register_task_definition.py").err
