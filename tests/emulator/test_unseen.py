"""Settings.unseen_seconds: what a create call has made is unknown for a while, under each of its names, in every service."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model

from emulator.core.unseen import KINDS
from emulator.core.wire import Emulator
from tests.emulator.common import Client, refused, sleep

SECONDS = 20
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
)


@pytest.fixture
def account(emulator: Emulator, client: Client) -> Client:
    """An account in which it takes 20 s until what was made is seen."""
    emulator.world.settings.unseen_seconds = SECONDS
    return client


def default(client: Client) -> tuple[str, list[str]]:
    ec2 = client("ec2")
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]
    return ec2.describe_vpcs()["Vpcs"][0]["VpcId"], subnets


def made(client: Client) -> dict[str, str]:
    """Some of everything, just made: its ids."""
    ec2, iam, elb, (vpc, subnets) = client("ec2"), client("iam"), client("elbv2"), default(client)
    image = client("ssm").get_parameter(Name="/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id")
    data = {"InstanceType": "t3.micro", "ImageId": image["Parameter"]["Value"]}
    ec2.create_launch_template(LaunchTemplateName="hosts", LaunchTemplateData=data)
    iam.create_role(RoleName="new", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="new")
    client("ecs").create_cluster(clusterName="new")
    client("logs").create_log_group(logGroupName="new")
    group = elb.create_target_group(Name="new", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]
    return {
        "old vpc": vpc,
        "old subnet": subnets[0],
        "old table": ec2.describe_route_tables()["RouteTables"][0]["RouteTableId"],
        "vpc": ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"],
        "subnet": ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.240.0/24")["Subnet"]["SubnetId"],
        "gateway": ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
        "table": ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        "allocation": ec2.allocate_address(Domain="vpc")["AllocationId"],
        "files": client("efs").create_file_system(CreationToken="new")["FileSystemId"],
        "balancer": elb.create_load_balancer(Name="new", Subnets=subnets[:2])["LoadBalancers"][0]["LoadBalancerArn"],
        "group": group["TargetGroupArn"],
    }


def uses(client: Client, ids: dict[str, str]) -> dict[str, tuple[Callable[..., Any], dict[str, Any], str]]:
    """A use of each thing, and how AWS refuses it."""
    ec2, iam, ecs, elb = client("ec2"), client("iam"), client("ecs"), client("elbv2")
    asg, efs, logs = client("autoscaling"), client("efs"), client("logs")
    group = {
        "AutoScalingGroupName": "new",
        "MinSize": 0,
        "MaxSize": 1,
        "LaunchTemplate": {"LaunchTemplateName": "hosts"},
        "VPCZoneIdentifier": ids["old subnet"],
    }
    forward = [{"Type": "forward", "TargetGroupArn": ids["group"]}]
    listener = {"LoadBalancerArn": ids["balancer"], "Protocol": "HTTP", "Port": 80, "DefaultActions": forward}
    providers = {"cluster": "new", "capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": []}
    drain = [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]
    route = {"RouteTableId": ids["old table"], "DestinationCidrBlock": "192.0.2.0/24", "GatewayId": ids["gateway"]}
    new_vpc, files, files_missing = {"VpcId": ids["vpc"]}, {"FileSystemId": ids["files"]}, "FileSystemNotFound"
    profile = {"RoleName": "new", "InstanceProfileName": "new"}
    nat = {"SubnetId": ids["old subnet"], "AllocationId": ids["allocation"]}
    public = {"SubnetId": ids["subnet"], "MapPublicIpOnLaunch": {"Value": True}}
    table = {"SubnetId": ids["old subnet"], "RouteTableId": ids["table"]}
    return {
        "role": (iam.list_attached_role_policies, {"RoleName": "new"}, "NoSuchEntity"),
        "profile": (iam.add_role_to_instance_profile, profile, "NoSuchEntity"),
        "look at a VPC": (
            ec2.describe_vpc_attribute,
            {**new_vpc, "Attribute": "enableDnsSupport"},
            "InvalidVpcID.NotFound",
        ),
        "VPC": (
            ec2.modify_vpc_attribute,
            {**new_vpc, "EnableDnsHostnames": {"Value": True}},
            "InvalidVpcID.NotFound",
        ),
        "subnet in it": (ec2.create_subnet, {**new_vpc, "CidrBlock": "10.9.0.0/24"}, "InvalidVpcID.NotFound"),
        "subnet": (ec2.modify_subnet_attribute, public, "InvalidSubnetID.NotFound"),
        "table": (ec2.associate_route_table, table, "InvalidRouteTableID.NotFound"),
        "gateway": (ec2.create_route, route, "InvalidGatewayID.NotFound"),
        "NAT gateway": (ec2.create_nat_gateway, nat, "InvalidAllocationID.NotFound"),
        "file system": (efs.describe_file_systems, files, files_missing),
        "mount target": (efs.create_mount_target, {**files, "SubnetId": ids["old subnet"]}, files_missing),
        "access point": (efs.create_access_point, files, files_missing),
        "Auto Scaling group": (asg.create_auto_scaling_group, group, "ValidationError"),
        "providers": (ecs.put_cluster_capacity_providers, providers, "ClusterNotFoundException"),
        "listener": (elb.create_listener, listener, "LoadBalancerNotFound"),
        "target group": (
            elb.modify_target_group_attributes,
            {"TargetGroupArn": ids["group"], "Attributes": drain},
            "TargetGroupNotFound",
        ),
        "log group": (
            logs.put_retention_policy,
            {"logGroupName": "new", "retentionInDays": 7},
            "ResourceNotFoundException",
        ),
    }


def code(call: Callable[..., Any], given: dict[str, Any]) -> str:
    try:
        call(**given)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_every_use_is_refused_as_aws_refuses_it_until_it_is_seen(emulator: Emulator, account: Client) -> None:
    all_uses = uses(account, made(account))
    refusals = {what: error for what, (_, _, error) in all_uses.items()}
    assert {what: code(call, given) for what, (call, given, _) in all_uses.items()} == refusals
    sleep(emulator, SECONDS - 1)
    assert {what: code(call, given) for what, (call, given, _) in all_uses.items()} == refusals
    sleep(emulator, 120)
    assert [what for what, (call, given, error) in all_uses.items() if code(call, given) == error] == []


def test_no_list_shows_it_until_it_is_seen(emulator: Emulator, account: Client) -> None:
    made(account)
    lists: dict[str, Callable[[], list[Any]]] = {
        "roles": lambda: [one for one in account("iam").list_roles()["Roles"] if one["RoleName"] == "new"],
        "VPCs": lambda: account("ec2").describe_vpcs()["Vpcs"][1:],
        "templates": lambda: account("ec2").describe_launch_templates()["LaunchTemplates"],
        "clusters": lambda: account("ecs").list_clusters()["clusterArns"],
        "file systems": lambda: account("efs").describe_file_systems()["FileSystems"],
        "load balancers": lambda: account("elbv2").describe_load_balancers()["LoadBalancers"],
        "target groups": lambda: account("elbv2").describe_target_groups()["TargetGroups"],
        "log groups": lambda: account("logs").describe_log_groups(logGroupNamePrefix="new")["logGroups"],
    }
    assert [what for what, look in lists.items() if look()] == []
    sleep(emulator, SECONDS)
    assert [what for what, look in lists.items() if len(look()) != 1] == []


def test_that_a_name_is_taken_is_known_at_once(emulator: Emulator, account: Client) -> None:
    iam, ecs, ec2 = account("iam"), account("ecs"), account("ec2")
    iam.create_role(RoleName="new", AssumeRolePolicyDocument=TRUST)
    assert refused(iam.create_role, RoleName="new", AssumeRolePolicyDocument=TRUST) == "EntityAlreadyExists"
    arn = ecs.create_cluster(clusterName="new")["cluster"]["clusterArn"]
    assert ecs.create_cluster(clusterName="new")["cluster"]["clusterArn"] == arn
    token = {"ClientToken": "t", "VpcId": default(account)[0]}
    made_first = ec2.create_route_table(**token)["RouteTable"]["RouteTableId"]
    assert ec2.create_route_table(**token)["RouteTable"]["RouteTableId"] == made_first


def test_what_ecs_misses_it_says(emulator: Emulator, account: Client) -> None:
    ecs = account("ecs")
    arn = ecs.create_cluster(clusterName="new")["cluster"]["clusterArn"]
    answer = ecs.describe_clusters(clusters=["new"])
    assert (answer["clusters"], answer["failures"]) == ([], [{"arn": arn, "reason": "MISSING"}])
    sleep(emulator, SECONDS)
    assert len(ecs.describe_clusters(clusters=["new"])["clusters"]) == 1


def test_a_cluster_that_was_there_is_not_made_again_by_the_same_call(emulator: Emulator, client: Client) -> None:
    client("ecs").create_cluster(clusterName="old")
    sleep(emulator, 60)
    emulator.world.settings.unseen_seconds = SECONDS
    client("ecs").create_cluster(clusterName="old")
    assert len(client("ecs").describe_clusters(clusters=["old"])["clusters"]) == 1


def test_a_name_that_was_deleted_and_made_again_is_new_again(emulator: Emulator, account: Client) -> None:
    logs = account("logs")
    logs.create_log_group(logGroupName="again")
    sleep(emulator, SECONDS)
    logs.delete_log_group(logGroupName="again")
    logs.create_log_group(logGroupName="again")
    retention = {"logGroupName": "again", "retentionInDays": 7}
    assert refused(logs.put_retention_policy, **retention) == "ResourceNotFoundException"


def test_an_account_without_the_setting_sees_what_it_saw(emulator: Emulator, client: Client) -> None:
    client("iam").create_role(RoleName="new", AssumeRolePolicyDocument=TRUST)
    assert client("iam").list_attached_role_policies(RoleName="new")["AttachedPolicies"] == []


def test_the_table_speaks_of_what_botocore_knows() -> None:
    for service, operation in KINDS:
        assert operation in get_service_model(service).operation_names
    for kind in KINDS.values():
        assert any(map(kind.listed_by, get_service_model(kind.service).operation_names)), kind
