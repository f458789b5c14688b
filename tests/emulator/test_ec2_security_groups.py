"""Security groups: strict names, rules once, and kept by whatever refers to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.core.wire import Emulator
from emulator.ec2 import interfaces as ec2_interfaces

HTTP = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "web"}]}


def code(call: Callable[..., Any], **params: Any) -> str:
    """The error code that a call is refused with."""
    with pytest.raises(ClientError) as refused:
        call(**params)
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture
def ec2(client: Callable[[str], Any]) -> Any:
    return client("ec2")


@pytest.fixture
def group(emulator: Emulator, ec2: Any) -> Callable[..., str]:
    def make(name: str, **params: Any) -> str:
        made = ec2.create_security_group(GroupName=name, Description="of a test", **params)["GroupId"]
        emulator.world.clock.sleep(5)  # type: ignore[attr-defined]
        return str(made)

    return make


def from_group(group_id: str) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": [{"GroupId": group_id}]}


def test_a_name_is_taken_whatever_its_case(ec2: Any, group: Any) -> None:
    """ec2-018"""
    group("Web")
    assert code(ec2.create_security_group, GroupName="web", Description="d") == "InvalidGroup.Duplicate"


@pytest.mark.parametrize(
    ("name", "description"),
    [("sg-web", "d"), ("web", "a – b"), ("web", "it's"), ("web", "a > b"), ("w" * 256, "d"), ("web", "d" * 256)],
)
def test_names_and_descriptions_have_few_characters(ec2: Any, name: str, description: str) -> None:
    """ec2-019"""
    refused = code(ec2.create_security_group, GroupName=name, Description=description)
    assert refused == "InvalidParameterValue"


def test_descriptions_of_rules_too(ec2: Any, group: Any) -> None:
    """ec2-019"""
    rule = {**HTTP, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "it's"}]}
    refused = code(ec2.authorize_security_group_ingress, GroupId=group("web"), IpPermissions=[rule])
    assert refused == "InvalidParameterValue"


def test_a_rule_that_is_there_refuses_the_whole_call(ec2: Any, group: Any) -> None:
    """ec2-020"""
    web = group("web")
    ec2.authorize_security_group_ingress(GroupId=web, IpPermissions=[HTTP])
    other = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    again = {**HTTP, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    refused = code(ec2.authorize_security_group_ingress, GroupId=web, IpPermissions=[other, again])
    assert refused == "InvalidPermission.Duplicate"
    [shown] = ec2.describe_security_groups(GroupIds=[web])["SecurityGroups"]
    assert [one["FromPort"] for one in shown["IpPermissions"]] == [80]
    assert shown["IpPermissions"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0", "Description": "web"}]


def test_a_rule_that_is_not_there_can_not_be_revoked(ec2: Any, group: Any) -> None:
    web = group("web")
    refused = code(ec2.revoke_security_group_ingress, GroupId=web, IpPermissions=[HTTP])
    assert refused == "InvalidPermission.NotFound"
    ec2.authorize_security_group_ingress(GroupId=web, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.0.0.0/8")
    ec2.revoke_security_group_ingress(GroupId=web, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.0.0.0/8")
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=web, IpPermissions=[everything])
    [shown] = ec2.describe_security_groups(GroupIds=[web])["SecurityGroups"]
    assert shown["IpPermissions"] == [] and shown["IpPermissionsEgress"] == []


def test_rules_have_ids_and_tags(ec2: Any, group: Any) -> None:
    web, task = group("web"), group("task")
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "a", "Value": "b"}]}]
    [made] = ec2.authorize_security_group_ingress(
        GroupId=task, IpPermissions=[from_group(web)], TagSpecifications=tags
    )["SecurityGroupRules"]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [task]}])["SecurityGroupRules"]
    assert {rule["IsEgress"] for rule in rules} == {True, False}
    [found] = ec2.describe_security_group_rules(Filters=[{"Name": "tag:a", "Values": ["b"]}])["SecurityGroupRules"]
    assert found["SecurityGroupRuleId"] == made["SecurityGroupRuleId"]
    assert found["ReferencedGroupInfo"]["GroupId"] == web
    ec2.revoke_security_group_ingress(GroupId=task, SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])
    refused = code(ec2.describe_security_group_rules, SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])
    assert refused == "InvalidSecurityGroupRuleId.NotFound"


def test_a_group_that_another_group_names_stays(ec2: Any, group: Any) -> None:
    """ec2-021"""
    web, task = group("web"), group("task")
    ec2.authorize_security_group_ingress(GroupId=web, IpPermissions=[from_group(web)])
    ec2.authorize_security_group_ingress(GroupId=task, IpPermissions=[from_group(web)])
    with pytest.raises(ClientError) as refused:
        ec2.delete_security_group(GroupId=web)
    assert refused.value.response["Error"]["Code"] == "DependencyViolation"
    assert refused.value.response["Error"]["Message"] == f"resource {web} has a dependent object"
    ec2.revoke_security_group_ingress(GroupId=task, IpPermissions=[from_group(web)])
    ec2.delete_security_group(GroupId=web)
    assert code(ec2.delete_security_group, GroupId=web) == "InvalidGroup.NotFound"


def test_a_group_that_an_interface_wears_stays(emulator: Emulator, ec2: Any, group: Any) -> None:
    """ec2-022"""
    web = group("web")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    made = ec2_interfaces.create_interface(emulator.world, "us-east-1", subnet, [web], "EFS mount target for fs-1")
    assert code(ec2.delete_security_group, GroupId=web) == "DependencyViolation"
    filters = [{"Name": "group-id", "Values": [web]}]
    assert len(ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]) == 1
    ec2_interfaces.delete_interface(emulator.world, "us-east-1", made["NetworkInterfaceId"])
    ec2.delete_security_group(GroupId=web)


def test_the_default_group_can_not_be_deleted(ec2: Any) -> None:
    filters = [{"Name": "group-name", "Values": ["default"]}]
    [default] = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    assert code(ec2.delete_security_group, GroupId=default["GroupId"]) == "CannotDelete"


def test_groups_of_other_vpcs_can_not_be_named(emulator: Emulator, ec2: Any, group: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    emulator.world.clock.sleep(5)  # type: ignore[attr-defined]
    web, other = group("web"), group("web", VpcId=vpc)
    refused = code(ec2.authorize_security_group_ingress, GroupId=web, IpPermissions=[from_group(other)])
    assert refused == "InvalidGroup.NotFound"
