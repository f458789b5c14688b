"""Hosts and tasks without a way to AWS are told before they cost: an internet gateway serves only public addresses."""

from __future__ import annotations

import pytest

from tests.conftest import Runbook
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


def test_endpoints_for_ecs_are_a_way_out(adopted: Runbook) -> None:
    subnet_id, vpc_id = adopted.settings["SUBNET_IDS"], adopted.settings["VPC_ID"]
    ec2 = adopted.aws("ec2")
    ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": False})
    name = "com.amazonaws.us-east-1.ecs-agent"
    ec2.create_vpc_endpoint(VpcEndpointType="Interface", VpcId=vpc_id, ServiceName=name, SubnetIds=[subnet_id])
    adopted.settle(60)
    assert adopted.run("create_cluster.py", "--dry-run").code == 0


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
