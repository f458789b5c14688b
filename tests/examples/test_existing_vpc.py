"""The Clara Train service in a VPC that is there already: it is checked before anything is made, and left as it was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Runbook

WALK = (
    "create_cluster.py",
    "register_task_definition.py",
    "create_service.py",
    "update_service.py",
    "delete_service.py",
    "delete_cluster.py --yes",
)


def subnet(runbook: Runbook, vpc_id: str, block: str, zone: str) -> str:
    request = {"VpcId": vpc_id, "CidrBlock": block, "AvailabilityZone": f"us-east-1{zone}"}
    return str(runbook.aws("ec2").create_subnet(**request)["Subnet"]["SubnetId"])


def route_table(runbook: Runbook, vpc_id: str, subnets: list[str], **target: str) -> None:
    ec2 = runbook.aws("ec2")
    table_id = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    runbook.settle(60)
    ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", **target)
    for subnet_id in subnets:
        ec2.associate_route_table(RouteTableId=table_id, SubnetId=subnet_id)


def with_network(runbook: Runbook) -> Runbook:
    """A VPC with two public subnets, a NAT gateway, two private subnets, and the security group of a bastion."""
    ec2 = runbook.aws("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    gateway_id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    runbook.settle(60)
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    public = [subnet(runbook, vpc_id, f"10.20.{number}.0/24", zone) for number, zone in enumerate("ab")]
    private = [subnet(runbook, vpc_id, f"10.20.{number}.0/24", zone) for number, zone in enumerate("ab", 10)]
    runbook.settle(60)
    route_table(runbook, vpc_id, public, GatewayId=gateway_id)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    runbook.settle(60)
    nat = ec2.create_nat_gateway(SubnetId=public[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
    runbook.settle()
    route_table(runbook, vpc_id, private, NatGatewayId=nat)
    bastion = ec2.create_security_group(GroupName="their-bastion", Description="SSH", VpcId=vpc_id)["GroupId"]
    runbook.settle()
    subnets = {"PRIVATE_SUBNET_IDS": ",".join(private), "PUBLIC_SUBNET_IDS": ",".join(public)}
    runbook.settings.update(VPC_ID=vpc_id, BASTION_SECURITY_GROUP_ID=bastion, **subnets)
    return runbook


@pytest.fixture
def existing(clara: Runbook) -> Runbook:
    return with_network(clara)


def refused(runbook: Runbook, sentence: str, **settings: str) -> None:
    before = runbook.account()
    ran = runbook.run("create_cluster.py", **settings)
    assert (ran.code, sentence in ran.err) == (1, True), ran.err
    assert runbook.account() == before


def test_the_account_is_the_same_before_and_after_the_whole_walk(existing: Runbook) -> None:
    before = existing.account()
    existing.has_run(*WALK)
    existing.settle()
    assert existing.account() == before


def test_what_was_adopted_is_not_changed_while_the_service_runs(existing: Runbook) -> None:
    before = existing.account()
    existing.has_run(*WALK[:3])
    now = existing.account()
    kinds = ("VPC", "subnet", "route table", "internet gateway", "NAT gateway", "Elastic IP", "security group their")
    adopted = {name: found for name, found in before.items() if name.startswith(kinds)}
    assert {name: now.get(name) for name in adopted} == adopted


def test_hosts_are_in_the_private_subnets_and_the_load_balancer_in_the_public_ones(existing: Runbook) -> None:
    existing.has_run(*WALK[:1])
    [balancer] = existing.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    [group] = existing.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    zones: list[Any] = balancer["AvailabilityZones"]
    assert ",".join(sorted(zone["SubnetId"] for zone in zones)) == ",".join(
        sorted(existing.settings["PUBLIC_SUBNET_IDS"].split(","))
    )
    assert sorted(group["VPCZoneIdentifier"].split(",")) == sorted(existing.settings["PRIVATE_SUBNET_IDS"].split(","))


def test_the_hosts_accept_ssh_from_their_bastion_alone(existing: Runbook) -> None:
    existing.has_run(*WALK[:1])
    filters = [{"Name": "group-name", "Values": ["clara-train-hosts"]}]
    [group] = existing.aws("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    ssh = [rule for rule in group["IpPermissions"] if rule["FromPort"] == 22]
    assert [pair["GroupId"] for rule in ssh for pair in rule["UserIdGroupPairs"]] == [
        existing.settings["BASTION_SECURITY_GROUP_ID"]
    ]
    assert not any(rule["IpRanges"] for rule in ssh)


@pytest.mark.parametrize("setting", ["PRIVATE_SUBNET_IDS", "PUBLIC_SUBNET_IDS", "BASTION_SECURITY_GROUP_ID"])
def test_what_is_of_another_vpc_is_refused(existing: Runbook, setting: str) -> None:
    ec2 = existing.aws("ec2")
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    filters = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    subnets = [each["SubnetId"] for each in ec2.describe_subnets(Filters=filters)["Subnets"]][:2]
    groups = [each["GroupId"] for each in ec2.describe_security_groups(Filters=filters)["SecurityGroups"]]
    value = groups[0] if "GROUP" in setting else ",".join(subnets)
    refused(existing, f"belongs to {vpc['VpcId']}, not to VPC_ID=", **{setting: value})


def test_private_subnets_in_one_zone_are_refused(existing: Runbook) -> None:
    first = existing.settings["PRIVATE_SUBNET_IDS"].split(",")[0]
    refused(existing, "PRIVATE_SUBNET_IDS is in one zone only (us-east-1a)", PRIVATE_SUBNET_IDS=first)


def test_two_public_subnets_in_one_zone_are_refused(existing: Runbook) -> None:
    first = existing.settings["PUBLIC_SUBNET_IDS"].split(",")[0]
    second = subnet(existing, existing.settings["VPC_ID"], "10.20.30.0/24", "a")
    existing.settle(60)
    refused(existing, "PUBLIC_SUBNET_IDS has two subnets in one zone", PUBLIC_SUBNET_IDS=f"{first},{second}")


def test_one_public_subnet_is_a_wrong_setting(existing: Runbook) -> None:
    first = existing.settings["PUBLIC_SUBNET_IDS"].split(",")[0]
    ran = existing.run("create_cluster.py", PUBLIC_SUBNET_IDS=first)
    assert (ran.code, "PUBLIC_SUBNET_IDS: has 1 subnet, but a load balancer needs two" in ran.err) == (2, True)


def test_private_subnets_without_a_way_out_are_refused(existing: Runbook) -> None:
    vpc_id = existing.settings["VPC_ID"]
    closed = [subnet(existing, vpc_id, f"10.20.{number}.0/24", zone) for number, zone in enumerate("ab", 40)]
    existing.settle(60)
    refused(existing, f"{closed[0]} has no way out: it needs a route to a NAT", PRIVATE_SUBNET_IDS=",".join(closed))


@pytest.mark.parametrize("attribute", ["EnableDnsSupport", "EnableDnsHostnames"])
def test_a_vpc_without_dns_is_refused(existing: Runbook, attribute: str) -> None:
    existing.aws("ec2").modify_vpc_attribute(VpcId=existing.settings["VPC_ID"], **{attribute: {"Value": False}})
    existing.settle(60)
    refused(existing, f"has {attribute[0].lower()}{attribute[1:]} off: EFS is found by its DNS name")
