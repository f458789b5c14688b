"""The VPC and its public subnets: one way out, one mount target in each, nothing twice."""

from __future__ import annotations

from typing import Any

from tests.conftest import Runbook

TWO = {"PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24"}


def tagged(runbook: Runbook, call: str, key: str) -> list[Any]:
    ec2 = runbook.aws("ec2")
    found: list[Any] = getattr(ec2, call)(Filters=[{"Name": "tag:gpu-ecs-cluster", "Values": ["gpu"]}])[key]
    return found


def test_each_subnet_has_a_way_to_the_internet_and_gives_public_addresses(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", **TWO)
    [gateway] = tagged(runbook, "describe_internet_gateways", "InternetGateways")
    [table] = tagged(runbook, "describe_route_tables", "RouteTables")
    subnets = tagged(runbook, "describe_subnets", "Subnets")
    assert {route.get("GatewayId") for route in table["Routes"]} >= {gateway["InternetGatewayId"]}
    assert {each["SubnetId"] for each in table["Associations"]} == {subnet["SubnetId"] for subnet in subnets}
    assert all(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2


def test_each_subnet_has_a_mount_target(runbook: Runbook) -> None:
    made = runbook.has_run("create_cluster.py", **TWO).run("create_cluster.py", **TWO).result
    targets = runbook.aws("efs").describe_mount_targets(FileSystemId=made["fileSystemId"])["MountTargets"]
    assert {target["SubnetId"] for target in targets} == set(made["subnetIds"])
    assert {target["LifeCycleState"] for target in targets} == {"available"}


def test_a_subnet_that_is_added_is_used_by_the_hosts_and_has_a_mount_target(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    made = runbook.has_run("create_cluster.py", **TWO).run("create_cluster.py", **TWO).result
    [group] = runbook.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert set(group["VPCZoneIdentifier"].split(",")) == set(made["subnetIds"])
    assert len(made["subnetIds"]) == 2


def test_zones_are_those_that_were_asked_for(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", AVAILABILITY_ZONES="us-east-1b")
    [subnet] = tagged(runbook, "describe_subnets", "Subnets")
    assert subnet["AvailabilityZone"] == "us-east-1b"


def test_the_vpc_has_dns_names_for_efs(runbook: Runbook) -> None:
    vpc_id = runbook.has_run("create_cluster.py").run("create_cluster.py").result["vpcId"]
    ec2 = runbook.aws("ec2")
    for attribute, key in (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")):
        assert ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)[key]["Value"]


def test_the_default_vpc_is_left_alone(runbook: Runbook) -> None:
    def default() -> Any:
        return runbook.aws("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]

    before = default()
    runbook.has_run("create_cluster.py", "delete_cluster.py --yes")
    assert default() == before


def test_everything_in_the_network_bears_our_tags(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", EXTRA_TAGS="team=ml")
    for call, key, count in (
        ("describe_vpcs", "Vpcs", 1),
        ("describe_subnets", "Subnets", 1),
        ("describe_internet_gateways", "InternetGateways", 1),
        ("describe_route_tables", "RouteTables", 1),
        ("describe_security_groups", "SecurityGroups", 2),
        ("describe_launch_templates", "LaunchTemplates", 1),
        ("describe_security_group_rules", "SecurityGroupRules", 1),
    ):
        found = tagged(runbook, call, key)
        assert len(found) == count, call
        assert all({"Key": "team", "Value": "ml"} in item["Tags"] for item in found), call


def test_an_adopted_vpc_runs_a_task(adopted: Runbook) -> None:
    ran = adopted.has_run("create_cluster.py", "register_task_definition.py").run("run_task.py")
    assert (ran.code, ran.result["tasks"][0]["lastStatus"]) == (0, "RUNNING")
    assert adopted.run("describe_task.py").result["privateIp"].startswith("172.20.0.")
    assert tagged(adopted, "describe_vpcs", "Vpcs") == []
