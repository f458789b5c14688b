"""SSH: only through a bastion, only where one is asked for; Session Manager without it."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.iam.policies import may
from tests.conftest import Runbook

BASTION = {"BASTION_KEY_NAME": "ops", "BASTION_ALLOWED_CIDR": "198.51.100.7/32", "KEY_NAME": "ops"}


@pytest.fixture
def keyed(clara: Runbook) -> Runbook:
    """With a key pair in the account."""
    clara.aws("ec2").create_key_pair(KeyName="ops")
    return clara


def ssh_from(runbook: Runbook, group_name: str) -> tuple[list[str], list[str]]:
    """From which CIDR blocks and which groups a group lets SSH in."""
    filters = [{"Name": "group-name", "Values": [group_name]}]
    [group] = runbook.aws("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    rules = [rule for rule in group["IpPermissions"] if rule["FromPort"] <= 22 <= rule["ToPort"]]
    blocks = [block["CidrIp"] for rule in rules for block in rule["IpRanges"]]
    return blocks, [pair["GroupId"] for rule in rules for pair in rule["UserIdGroupPairs"]]


def bastions(runbook: Runbook, name: str = "clara-train-bastion") -> list[Any]:
    filters = [
        {"Name": "tag:Name", "Values": [name]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    found = runbook.aws("ec2").describe_instances(Filters=filters)["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


def test_no_bastion_is_made_unless_it_is_asked_for(clara: Runbook) -> None:
    clara.has_run("create_cluster.py")
    assert bastions(clara) == []
    assert ssh_from(clara, "clara-train-hosts") == ([], [])


def test_one_small_host_in_a_public_subnet(keyed: Runbook) -> None:
    keyed.has_run("create_cluster.py", **BASTION)
    [host] = bastions(keyed)
    assert (host["InstanceType"], host["KeyName"], host["MetadataOptions"]["HttpTokens"]) == (
        "t3.micro",
        "ops",
        "required",
    )
    assert host["PublicIpAddress"]


def test_its_address_is_told_by_both_pages_that_tell_of_the_cluster(keyed: Runbook) -> None:
    made = keyed.run("create_cluster.py", **BASTION).result
    [host] = bastions(keyed)
    told = keyed.run("describe_clusters.py", **BASTION).result
    assert made["bastionPublicIp"] == told["bastionPublicIp"] == host["PublicIpAddress"]
    assert "bastionPublicIp" not in keyed.run("describe_clusters.py").result


def test_it_has_a_public_address_in_subnets_that_give_none(adopted: Runbook) -> None:
    ec2 = adopted.aws("ec2")
    ec2.create_key_pair(KeyName="ops")
    where = {"VpcId": adopted.settings["VPC_ID"], "CidrBlock": "172.20.9.0/24", "AvailabilityZone": "us-east-1b"}
    subnet = ec2.create_subnet(**where)["Subnet"]
    adopted.settle(60)
    made = adopted.run("create_cluster.py", **BASTION, PUBLIC_SUBNET_IDS=subnet["SubnetId"]).result
    [host] = bastions(adopted, "gpu-bastion")
    assert (host["SubnetId"], subnet["MapPublicIpOnLaunch"]) == (subnet["SubnetId"], False)
    assert made["bastionPublicIp"] == host["PublicIpAddress"]


def test_session_manager_reaches_the_bastion_too_and_its_role_may_nothing_else(keyed: Runbook) -> None:
    keyed.has_run("create_cluster.py", **BASTION)
    [host] = bastions(keyed)
    [role] = keyed.aws("iam").get_instance_profile(InstanceProfileName="clara-train-bastion-us-east-1")[
        "InstanceProfile"
    ]["Roles"]
    attached = keyed.aws("iam").list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
    assert host["IamInstanceProfile"]["Arn"].endswith("instance-profile/clara-train-bastion-us-east-1")
    assert attached == []
    may_what = {each: may(role["RoleName"], each, "*") for each in ("ssmmessages:OpenDataChannel", "ssm:GetParameter")}
    assert may_what == {"ssmmessages:OpenDataChannel": True, "ssm:GetParameter": False}


def test_a_bastion_that_is_no_longer_wanted_goes_with_its_role(keyed: Runbook) -> None:
    keyed.has_run("create_cluster.py", **BASTION).has_run("create_cluster.py")
    keyed.settle()
    assert [name for name in keyed.account() if "bastion" in name] == []


def test_its_group_keeps_one_in_both_zones(keyed: Runbook) -> None:
    keyed.has_run("create_cluster.py", **BASTION)
    request = {"AutoScalingGroupNames": ["clara-train-bastion"]}
    [group] = keyed.aws("autoscaling").describe_auto_scaling_groups(**request)["AutoScalingGroups"]
    assert (group["MinSize"], group["MaxSize"], len(group["AvailabilityZones"])) == (1, 1, 2)


def test_ssh_comes_to_the_bastion_from_its_cidr_and_to_the_hosts_from_the_bastion(keyed: Runbook) -> None:
    keyed.has_run("create_cluster.py", **BASTION)
    [host] = bastions(keyed)
    [group] = host["SecurityGroups"]
    assert ssh_from(keyed, "clara-train-bastion") == (["198.51.100.7/32"], [])
    assert ssh_from(keyed, "clara-train-hosts") == ([], [group["GroupId"]])


def test_the_bastion_goes_with_the_cluster(keyed: Runbook) -> None:
    before = keyed.account()
    keyed.has_run("create_cluster.py", "delete_cluster.py --yes", **BASTION)
    keyed.settle()
    assert keyed.account() == before


def test_a_second_create_changes_nothing(keyed: Runbook) -> None:
    keyed.has_run("create_cluster.py", **BASTION)
    calls = len(keyed.emulator.calls)
    keyed.has_run("create_cluster.py", **BASTION)
    assert keyed.changes(calls) == []


@pytest.mark.parametrize("setting", ["BASTION_KEY_NAME", "BASTION_ALLOWED_CIDR"])
def test_a_bastion_needs_both_settings(clara: Runbook, setting: str) -> None:
    ran = clara.run("create_cluster.py", **{setting: BASTION[setting]})
    assert ran.code == 2
    assert "BASTION_KEY_NAME go together: a bastion needs both" in ran.err


@pytest.mark.parametrize("setting", ["BASTION_KEY_NAME", "KEY_NAME"])
def test_a_key_pair_that_does_not_exist_is_refused_before_anything_is_made(keyed: Runbook, setting: str) -> None:
    before = keyed.account()
    ran = keyed.run("create_cluster.py", **{**BASTION, setting: "nobody"})
    assert ran.code == 1
    assert f"{setting}=nobody: there is no such key pair in this region" in ran.err
    assert keyed.account() == before


def test_session_manager_reaches_the_hosts_in_any_case(clara: Runbook) -> None:
    clara.has_run("create_cluster.py")
    [role] = [name for name in clara.account() if name.startswith("role clara-train-host")]
    for action in ("ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:OpenDataChannel"):
        assert may(role.split()[1], action, "*")


def test_a_changed_type_is_a_new_version_of_its_template_and_a_new_host(keyed: Runbook) -> None:
    keyed.has_run("create_cluster.py", **BASTION)
    ran = keyed.run("create_cluster.py", **BASTION, BASTION_INSTANCE_TYPE="t3.small")
    assert "updated launch template clara-train-bastion  InstanceType" in ran.err
    assert "started instance refresh of clara-train-bastion" in ran.err
    request = {"LaunchTemplateName": "clara-train-bastion", "Versions": ["$Latest"]}
    [latest] = keyed.aws("ec2").describe_launch_template_versions(**request)["LaunchTemplateVersions"]
    assert latest["LaunchTemplateData"]["InstanceType"] == "t3.small"
    assert [host["InstanceType"] for host in bastions(keyed)] == ["t3.small"]


def test_a_new_host_that_does_not_pass_its_status_checks_is_no_success(keyed: Runbook) -> None:
    """AWS calls the refresh successful as soon as it runs."""
    keyed.has_run("create_cluster.py", **BASTION)
    keyed.emulator.world.settings.checks_pass = False
    ran = keyed.run("create_cluster.py", **BASTION, BASTION_INSTANCE_TYPE="t3.small")
    [host] = bastions(keyed)
    assert (ran.code, ran.out) == (1, "")
    assert f"the new bastion {host['InstanceId']} runs, but its status checks fail" in ran.err
    assert "to go back: BASTION_INSTANCE_TYPE=t3.micro python create_cluster.py" in ran.err
    keyed.emulator.world.settings.checks_pass = True
    keyed.has_run("create_cluster.py", **BASTION)
    assert [host["InstanceType"] for host in bastions(keyed)] == ["t3.micro"]


def test_a_template_of_another_owner_with_its_name_is_refused_and_stays(keyed: Runbook) -> None:
    keyed.has_run("create_cluster.py", "delete_cluster.py --yes")
    ec2 = keyed.aws("ec2")
    data = {"ImageId": "ami-0ca77a28d8801702a", "InstanceType": "t3.micro"}
    ec2.create_launch_template(LaunchTemplateName="clara-train-bastion", LaunchTemplateData=data)
    keyed.settle()
    before = keyed.account()
    ran = keyed.run("create_cluster.py", **BASTION)
    assert ran.code == 1
    assert "launch template clara-train-bastion exists already, and does not bear the tag" in ran.err
    keyed.has_run("delete_cluster.py --yes", **BASTION)
    keyed.settle()
    assert keyed.account() == before


def test_the_bastion_costs_what_its_own_type_does_and_hosts_without_it(keyed: Runbook) -> None:
    keyed.has_run("create_cluster.py", **BASTION, CLUSTER_SIZE="")
    assert len(bastions(keyed)) == 1
    told = keyed.run("describe_clusters.py", **BASTION, CLUSTER_SIZE="").result
    assert (told["hostsUsdPerHour"], told["bastionUsdPerHour"]) == (0.0, 0.0104)
