"""delete_cluster.py takes away what these names designate, in AWS's order, from any state, and nothing else."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.core.faults import Fault
from emulator.ecr import repositories
from tests.conftest import FARGATE, GPU, READS, ROOT, Runbook
from tests.pages.test_create_cluster import TRUST

ALL = ("create_cluster.py", "register_task_definition.py", "run_task.py")


class Terminal(io.StringIO):
    """Someone at a terminal who types this."""

    def isatty(self) -> bool:
        return True


def names(runbook: Runbook) -> set[str]:
    return set(runbook.account())


# ------------------------------------------------------------------------------------------------------- it asks first


def test_without_a_terminal_and_without_yes_it_refuses(runbook: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    runbook.has_run("create_cluster.py")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    begun = len(runbook.emulator.calls)
    ran = runbook.run("delete_cluster.py")
    assert (ran.code, ran.out, runbook.changes(begun)) == (1, "", [])
    assert "there is no terminal to ask on: pass --yes" in ran.err


@pytest.mark.parametrize("typed", ["", "yes\n", "Gpu\n", "gpu-2\n"])
def test_anything_but_the_name_deletes_nothing(runbook: Runbook, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    runbook.has_run("create_cluster.py")
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    begun = len(runbook.emulator.calls)
    ran = runbook.run("delete_cluster.py")
    assert (ran.code, runbook.changes(begun)) == (1, [])
    assert "that is not the name; nothing was deleted" in ran.err


def test_the_typed_name_deletes_everything(runbook: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = runbook.account()
    runbook.has_run("create_cluster.py")
    monkeypatch.setattr(sys, "stdin", Terminal("gpu\n"))
    ran = runbook.run("delete_cluster.py")
    assert (ran.code, runbook.account()) == (0, empty)
    assert "Type the cluster's name, gpu, to delete all this: " in ran.err


def test_it_lists_what_will_go_with_the_size_of_the_file_system(runbook: Runbook) -> None:
    runbook.has_run(*ALL)
    ran = runbook.run("delete_cluster.py", "--yes")
    listed = [line.strip() for line in ran.err.splitlines() if line.startswith("  ")]
    for kind in ("task ", "task definition gpu:1", "instance i-", "VPC vpc-", "role gpu-host-us-east-1", "cluster gpu"):
        assert any(line.startswith(kind) for line in listed), kind
    assert any(line.startswith("file system fs-") and "with its data, 0.0" in line and "GiB" in line for line in listed)
    assert ran.result["left"] == []


# -------------------------------------------------------------------------------------------------- nothing is left


def test_delete_leaves_the_account_as_it_was(runbook: Runbook) -> None:
    empty = runbook.account()
    runbook.has_run(*ALL, "delete_cluster.py --yes")
    runbook.settle()
    assert runbook.account() == empty


def test_delete_on_fargate_leaves_the_account_as_it_was(fargate: Runbook) -> None:
    empty = fargate.account()
    fargate.has_run(*ALL, "delete_cluster.py --yes")
    fargate.settle()
    assert fargate.account() == empty


def test_second_delete_finds_nothing_and_changes_nothing(runbook: Runbook) -> None:
    runbook.has_run(*ALL, "delete_cluster.py --yes")
    begun = len(runbook.emulator.calls)
    ran = runbook.run("delete_cluster.py", "--yes")
    assert (ran.code, ran.result["deleted"], runbook.changes(begun)) == (0, [], [])
    assert "deleted" not in ran.err


def test_delete_in_an_empty_account_ends_well(runbook: Runbook) -> None:
    ran = runbook.run("delete_cluster.py", "--yes")
    assert (ran.code, runbook.changes(0)) == (0, [])


def test_the_task_definitions_of_the_family_are_deregistered_and_deleted(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.has_run("register_task_definition.py", IMAGE="nvidia/cuda:12.9.0-base-ubuntu24.04")
    runbook.has_run("delete_cluster.py --yes")
    ecs = runbook.aws("ecs")
    for status in ("ACTIVE", "INACTIVE"):
        assert ecs.list_task_definitions(familyPrefix="gpu", status=status)["taskDefinitionArns"] == []


@pytest.mark.parametrize("failing", ["CreateVpc", "CreateAutoScalingGroup", "CreateMountTarget", "CreateCluster"])
def test_a_create_that_failed_half_way_is_undone(runbook: Runbook, failing: str) -> None:
    empty = runbook.account()
    runbook.emulator.faults.planned.append(Fault(failing, "denied"))
    assert runbook.run("create_cluster.py").code == 1
    runbook.has_run("delete_cluster.py --yes")
    runbook.settle()
    assert runbook.account() == empty


def test_create_goes_on_where_a_delete_was_interrupted(runbook: Runbook) -> None:
    runbook.has_run(*ALL)
    expected = names(runbook)
    runbook.emulator.faults.planned.append(Fault("DeleteAutoScalingGroup", "denied"))
    assert runbook.run("delete_cluster.py", "--yes").code == 1
    runbook.has_run(*ALL)
    runbook.settle(60)
    assert names(runbook) == {name.replace("gpu:1", "gpu:2") for name in expected}


def test_create_right_after_the_deletion_of_the_provider_was_asked_for_makes_a_new_one(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    runbook.emulator.faults.planned.append(Fault("DeleteMountTarget", "denied"))
    assert runbook.run("delete_cluster.py", "--yes").code == 1
    runbook.has_run("create_cluster.py")
    [provider] = runbook.aws("ecs").describe_capacity_providers(capacityProviders=["gpu-capacity"])["capacityProviders"]
    assert (provider["status"], provider.get("updateStatus")) != ("INACTIVE", "DELETE_IN_PROGRESS")


# ----------------------------------------------------------------------------------------------------- what is kept


def test_retain_keeps_the_file_system_and_says_what_it_costs_and_how_to_remove_it(runbook: Runbook) -> None:
    runbook.settings["EFS_DELETION_POLICY"] = "Retain"
    system_id = runbook.has_run("create_cluster.py").run("create_cluster.py").result["fileSystemId"]
    ran = runbook.run("delete_cluster.py", "--yes")
    assert (ran.code, ran.result["kept"]) == (0, [system_id])
    [system] = runbook.aws("efs").describe_file_systems()["FileSystems"]
    assert (system["FileSystemId"], system["NumberOfMountTargets"]) == (system_id, 0)
    [line] = [line for line in ran.err.splitlines() if line.startswith("kept")]
    for part in (system_id, "GiB", "still billed", "EFS_DELETION_POLICY=Delete python delete_cluster.py"):
        assert part in line


def test_the_next_create_finds_the_kept_file_system_and_its_directories(runbook: Runbook) -> None:
    runbook.settings["EFS_DELETION_POLICY"] = "Retain"
    first = runbook.has_run("create_cluster.py").run("create_cluster.py").result
    runbook.has_run("delete_cluster.py --yes")
    second = runbook.has_run("create_cluster.py").run("create_cluster.py").result
    for key in ("fileSystemId", "accessPoints"):
        assert second[key] == first[key]
    [target] = runbook.aws("efs").describe_mount_targets(FileSystemId=first["fileSystemId"])["MountTargets"]
    assert target["SubnetId"] == second["subnetIds"][0]


def test_a_kept_file_system_goes_when_a_later_delete_says_so(runbook: Runbook) -> None:
    empty = runbook.account()
    runbook.has_run("create_cluster.py")
    runbook.has_run("delete_cluster.py --yes", EFS_DELETION_POLICY="Retain")
    runbook.has_run("delete_cluster.py --yes", EFS_DELETION_POLICY="Delete")
    assert runbook.account() == empty


def test_a_second_delete_still_names_what_is_kept(runbook: Runbook) -> None:
    runbook.settings["EFS_DELETION_POLICY"] = "Retain"
    runbook.has_run("create_cluster.py", "delete_cluster.py --yes")
    ran = runbook.run("delete_cluster.py", "--yes")
    assert ran.code == 0
    assert ran.result["kept"][0] in ran.err


# --------------------------------------------------------------------------------------------- what is not ours stays


def things_of_others(runbook: Runbook) -> None:
    """What someone else has in the same account, under names that come near ours."""
    ec2, ecs = runbook.aws("ec2"), runbook.aws("ecs")
    vpc_id = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    runbook.settle(60)
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.9.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]
    ec2.create_security_group(GroupName="gpu-hosts", Description="theirs", VpcId=vpc_id)
    data = {"ImageId": "ami-0ca77a28d8801702a", "InstanceType": "t3.micro"}
    ec2.create_launch_template(LaunchTemplateName="gpu", LaunchTemplateData=data)
    runbook.settle(60)
    runbook.aws("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="gpu",
        LaunchTemplate={"LaunchTemplateName": "gpu"},
        MinSize=0,
        MaxSize=0,
        VPCZoneIdentifier=subnet["SubnetId"],
    )
    runbook.aws("iam").create_role(RoleName="gpu-host", AssumeRolePolicyDocument=TRUST)
    runbook.aws("logs").create_log_group(logGroupName="/ecs/gpu-2")
    container = {"name": "theirs", "image": "busybox:1", "memory": 128}
    ecs.register_task_definition(family="gpu", containerDefinitions=[container])
    ecs.register_task_definition(family="gpu-2", containerDefinitions=[container])
    ecs.create_cluster(clusterName="gpu-2")
    runbook.settle(60)


def test_a_delete_leaves_alone_what_others_have_under_names_like_ours(runbook: Runbook) -> None:
    things_of_others(runbook)
    before = runbook.account()
    runbook.has_run(*ALL, "delete_cluster.py --yes")
    runbook.settle()
    assert runbook.account() == before


TAKEN: dict[str, Any] = {
    "cluster": lambda r: r.aws("ecs").create_cluster(clusterName="gpu"),
    "role": lambda r: r.aws("iam").create_role(RoleName="gpu-task-us-east-1", AssumeRolePolicyDocument=TRUST),
    "instance profile": lambda r: r.aws("iam").create_instance_profile(InstanceProfileName="gpu-host-us-east-1"),
    "log group": lambda r: r.aws("logs").create_log_group(logGroupName="/ecs/gpu"),
    "launch template": lambda r: r.aws("ec2").create_launch_template(
        LaunchTemplateName="gpu-hosts", LaunchTemplateData={"InstanceType": "t3.nano"}
    ),
}


@pytest.mark.parametrize("make", TAKEN.values(), ids=TAKEN)
def test_what_bears_our_name_but_not_our_tag_is_left_alone(runbook: Runbook, make: Any) -> None:
    make(runbook)
    runbook.settle()
    before = runbook.account()
    assert runbook.run("create_cluster.py").code == 1
    assert runbook.run("delete_cluster.py", "--yes").code == 0
    runbook.settle()
    assert runbook.account() == before


def test_a_cluster_of_another_owner_with_our_name_keeps_its_services_and_tasks(runbook: Runbook) -> None:
    runbook.settings = dict(FARGATE)
    made = runbook.has_run("create_cluster.py", "register_task_definition.py").run("create_cluster.py").result
    ecs = runbook.aws("ecs")
    network = {"subnets": made["subnetIds"], "securityGroups": made["securityGroupIds"], "assignPublicIp": "ENABLED"}
    about = {"taskDefinition": "api", "networkConfiguration": {"awsvpcConfiguration": network}}
    ecs.create_service(cluster="api", serviceName="theirs", desiredCount=1, **about)
    runbook.settle()
    ecs.untag_resource(resourceArn=made["clusterArn"], tagKeys=["gpu-ecs-cluster"])
    runbook.run("delete_cluster.py", "--yes", WAIT_TIMEOUT_SECONDS="300")  # the network is held by what runs
    [service] = ecs.describe_services(cluster="api", services=["theirs"])["services"]
    assert (service["status"], service["runningCount"]) == ("ACTIVE", 1)
    ran = runbook.run("stop_task.py", "--task", *ecs.list_tasks(cluster="api")["taskArns"])
    assert ran.code == 1 and "is not of this runbook" in ran.err


def test_the_cluster_of_another_name_in_the_same_account_survives(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", CLUSTER_NAME="gpu-2")
    before = runbook.account()
    runbook.has_run(*ALL, "delete_cluster.py --yes")
    runbook.settle()
    assert runbook.account() == before


def test_an_adopted_network_is_as_it_was_after_create_and_delete(adopted: Runbook) -> None:
    ec2 = adopted.aws("ec2")
    group = {"GroupName": "theirs", "Description": "theirs", "VpcId": adopted.settings["VPC_ID"]}
    adopted.settings["SECURITY_GROUP_IDS"] = ec2.create_security_group(**group)["GroupId"]
    adopted.settle(60)
    before = adopted.account()
    adopted.has_run(*ALL)
    kinds = ("VPC", "subnet", "route table", "internet gateway", "security group theirs")
    during = adopted.account()
    assert {key: value for key, value in during.items() if key.startswith(kinds)} == {
        key: value for key, value in before.items() if key.startswith(kinds)
    }
    adopted.has_run("delete_cluster.py --yes")
    adopted.settle()
    assert adopted.account() == before


def test_adopted_roles_are_as_they_were_after_create_and_delete(fargate: Runbook) -> None:
    iam = fargate.aws("iam")
    trust = json.loads(TRUST)
    trust["Statement"][0]["Principal"]["Service"] = "ecs-tasks.amazonaws.com"
    policy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
    for setting, name in (("TASK_EXECUTION_ROLE_ARN", "theirs-execution"), ("TASK_ROLE_ARN", "theirs")):
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        fargate.settings[setting] = made["Arn"]
    iam.attach_role_policy(RoleName="theirs-execution", PolicyArn=policy)
    fargate.settings["EFS_VOLUMES"] = ""
    before = fargate.account()
    fargate.has_run(*ALL, "delete_cluster.py --yes")
    fargate.settle()
    assert fargate.account() == before


def test_an_adopted_file_system_keeps_its_data_and_its_own_mount_targets(runbook: Runbook) -> None:
    efs = runbook.aws("efs")
    system_id = efs.create_file_system(CreationToken="theirs", Encrypted=True)["FileSystemId"]
    runbook.settle(60)
    own = efs.create_access_point(ClientToken="theirs", FileSystemId=system_id)["AccessPointId"]
    runbook.settings["FILE_SYSTEM_ID"] = system_id
    runbook.settings["EFS_DELETION_POLICY"] = "Delete"
    before = runbook.account()
    runbook.has_run("create_cluster.py")
    assert len(efs.describe_access_points(FileSystemId=system_id)["AccessPoints"]) == 2
    runbook.has_run("delete_cluster.py --yes")
    runbook.settle()
    assert runbook.account() == before
    assert [point["AccessPointId"] for point in efs.describe_access_points()["AccessPoints"]] == [own]


# ------------------------------------------------------------------------------------------------- the order of deletes

#: each pair: what must be over before the other is asked for
PAIRS = [
    ("ecs:StopTask", "ecs:DeleteCapacityProvider"),
    ("ecs:StopTask", "autoscaling:DeleteAutoScalingGroup"),
    ("ecs:StopTask", "ecs:DeregisterTaskDefinition"),
    ("ecs:DeregisterTaskDefinition", "ecs:DeleteTaskDefinitions"),
    ("autoscaling:UpdateAutoScalingGroup", "autoscaling:DeleteAutoScalingGroup"),
    ("autoscaling:SetInstanceProtection", "autoscaling:DeleteAutoScalingGroup"),
    ("ecs:PutClusterCapacityProviders", "ecs:DeleteCapacityProvider"),
    ("ecs:DeleteCapacityProvider", "autoscaling:DeleteAutoScalingGroup"),
    ("autoscaling:DeleteAutoScalingGroup", "ec2:DeleteLaunchTemplate"),
    ("autoscaling:DeleteAutoScalingGroup", "ecs:DeleteCluster"),
    ("ecs:DeleteCapacityProvider", "ecs:DeleteCluster"),
    ("efs:DeleteMountTarget", "efs:DeleteFileSystem"),
    ("efs:DeleteMountTarget", "ec2:DeleteSecurityGroup"),
    ("efs:DeleteMountTarget", "ec2:DeleteSubnet"),
    ("autoscaling:DeleteAutoScalingGroup", "ec2:DeleteSecurityGroup"),
    ("ec2:DeleteSecurityGroup", "ec2:DeleteVpc"),
    ("ec2:DeleteSubnet", "ec2:DeleteRouteTable"),
    ("ec2:DeleteSubnet", "ec2:DeleteVpc"),
    ("ec2:DeleteRouteTable", "ec2:DeleteVpc"),
    ("ec2:DetachInternetGateway", "ec2:DeleteInternetGateway"),
    ("ec2:DeleteInternetGateway", "ec2:DeleteVpc"),
    ("ecs:DeleteCluster", "logs:DeleteLogGroup"),
    ("iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"),
    ("iam:DeleteInstanceProfile", "iam:DeleteRole"),
    ("iam:DetachRolePolicy", "iam:DeleteRole"),
    ("iam:DeleteRolePolicy", "iam:DeleteRole"),
    ("autoscaling:DeleteAutoScalingGroup", "iam:DeleteInstanceProfile"),
]


@pytest.fixture(scope="module")
def asked() -> list[tuple[str, str, str]]:
    """The calls of one delete of a cluster with everything in it, in their order: service, operation, AWS's refusal."""
    from emulator.core.wire import Emulator
    from emulator.core.world import VirtualClock

    runbook = Runbook(Emulator(VirtualClock()), dict(GPU)).has_run(*ALL)
    begun = len(runbook.emulator.calls)
    runbook.has_run("delete_cluster.py --yes")
    return list(runbook.emulator.calls[begun:])


@pytest.fixture(scope="module")
def order(asked: list[tuple[str, str, str]]) -> list[str]:
    """Only those that AWS took."""
    return [f"{service}:{operation}" for service, operation, error in asked if not error]


@pytest.mark.parametrize(("earlier", "later"), PAIRS, ids=[f"{a.split(':')[1]}<{b.split(':')[1]}" for a, b in PAIRS])
def test_deletes_come_in_the_order_of_aws(order: list[str], earlier: str, later: str) -> None:
    def last(call: str) -> int:
        return len(order) - 1 - order[::-1].index(call)

    role_by_role = later == "iam:DeleteRole"  # the hosts' own is the last
    assert last(earlier) < (last(later) if role_by_role else order.index(later))


def test_hosts_end_while_tasks_do_and_all_else_ends_meanwhile(clara: Runbook) -> None:
    """AWS alone needs 176 seconds: for the service 72, then for tasks, draining, hosts and their group one after another."""
    clara.has_run("create_cluster.py", "register_task_definition.py", "create_service.py")
    begun = clara.emulator.world.now()
    for script in ("delete_service.py", "delete_cluster.py --yes"):
        assert clara.run(*script.split()).code == 0
    assert clara.emulator.world.now() - begun < 1.1 * 176


def test_a_host_that_comes_into_service_meanwhile_ends_with_the_others(runbook: Runbook) -> None:
    """The group protects each new host from scale-in; ECS, whose provider still stands, lets it go like the others."""
    runbook.has_run("create_cluster.py")
    runbook.aws("autoscaling").set_desired_capacity(AutoScalingGroupName="gpu-hosts", DesiredCapacity=1)
    runbook.settle(40)  # it runs, and is not in service yet
    [group] = runbook.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert [each["LifecycleState"] for each in group["Instances"]] == ["Pending"]
    begun = runbook.emulator.world.now()
    assert runbook.run("delete_cluster.py", "--yes").code == 0
    assert runbook.emulator.world.now() - begun < 160


def groups_deleted(runbook: Runbook) -> list[str]:
    """Their names, in the order in which they went."""
    ran = runbook.run("delete_cluster.py", "--yes")
    assert ran.code == 0, ran.err
    return re.findall(r"^deleted security group sg-\w+ \((.*)\)", ran.err, re.MULTILINE)


def test_a_security_group_goes_after_those_whose_rules_name_it(clara: Runbook) -> None:
    clara.has_run("create_cluster.py")
    begun = len(clara.emulator.calls)
    assert groups_deleted(clara) == [f"clara-train-{each}" for each in ("file-system", "hosts", "load-balancer")]
    assert "ec2:RevokeSecurityGroupIngress" not in clara.changes(begun)


def test_groups_that_name_each_other_go_too(runbook: Runbook) -> None:
    empty = runbook.account()
    runbook.has_run("create_cluster.py")
    ec2 = runbook.aws("ec2")
    ids = {each["GroupName"]: each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]}
    back = {"IpProtocol": "tcp", "FromPort": 9, "ToPort": 9, "UserIdGroupPairs": [{"GroupId": ids["gpu-file-system"]}]}
    ec2.authorize_security_group_ingress(GroupId=ids["gpu-hosts"], IpPermissions=[back])
    itself = {**back, "UserIdGroupPairs": [{"GroupId": ids["gpu-hosts"]}]}
    ec2.authorize_security_group_ingress(GroupId=ids["gpu-hosts"], IpPermissions=[itself])
    runbook.settle()
    assert sorted(groups_deleted(runbook)) == ["gpu-file-system", "gpu-hosts"]
    runbook.settle()
    assert runbook.account() == empty


def test_none_is_refused_for_coming_too_early(asked: list[tuple[str, str, str]]) -> None:
    assert [call for call in asked if call[2] and not call[1].startswith(READS)] == []


def test_all_slow_deletes_are_asked_for_before_one_is_waited_for(order: list[str]) -> None:
    asked = [order.index(call) for call in ("ecs:DeleteCapacityProvider", "efs:DeleteMountTarget")]
    between = order[min(asked) : max(asked)]
    assert between.count("ecs:DescribeCapacityProviders") <= 1
    assert order.index("autoscaling:UpdateAutoScalingGroup") < min(asked)


# --------------------------------------------------------------------------------------------------- when it gets stuck


def test_a_stuck_network_interface_is_named_with_its_owner(runbook: Runbook) -> None:
    made = runbook.has_run("create_cluster.py").run("create_cluster.py").result
    interface = runbook.aws("ec2").create_network_interface(
        SubnetId=made["subnetIds"][0], Groups=made["securityGroupIds"], Description="someone's experiment"
    )["NetworkInterface"]
    ran = runbook.run("delete_cluster.py", "--yes", WAIT_TIMEOUT_SECONDS="120")
    assert ran.code == 3
    assert f"VPC {made['vpcId']}" in ran.result["left"]
    assert interface["NetworkInterfaceId"] in ran.err
    assert "someone's experiment" in ran.err
    assert "owner 123456789012" in ran.err


def test_a_delete_that_was_stuck_goes_on_when_it_is_free(runbook: Runbook) -> None:
    empty = runbook.account()
    made = runbook.has_run("create_cluster.py").run("create_cluster.py").result
    ec2 = runbook.aws("ec2")
    request = {"SubnetId": made["subnetIds"][0], "Groups": made["securityGroupIds"]}
    interface = ec2.create_network_interface(**request)["NetworkInterface"]
    assert runbook.run("delete_cluster.py", "--yes", WAIT_TIMEOUT_SECONDS="60").code == 3
    ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    runbook.has_run("delete_cluster.py --yes")
    assert runbook.account() == empty


def test_interfaces_that_linger_are_waited_for(runbook: Runbook) -> None:
    empty = runbook.account()
    runbook.emulator.world.settings.lingering_interfaces = 200
    runbook.has_run(*ALL, "delete_cluster.py --yes")
    assert runbook.account() == empty


def test_a_service_that_someone_made_in_the_cluster_goes_with_it(fargate: Runbook) -> None:
    empty = fargate.account()
    made = fargate.has_run("create_cluster.py", "register_task_definition.py").run("create_cluster.py").result
    network = {
        "subnets": made["subnetIds"],
        "securityGroups": made["securityGroupIds"],
        "assignPublicIp": "ENABLED",
    }
    fargate.aws("ecs").create_service(
        cluster="api",
        serviceName="theirs",
        taskDefinition="api",
        desiredCount=1,
        networkConfiguration={"awsvpcConfiguration": network},
    )
    fargate.settle()
    fargate.has_run("delete_cluster.py --yes")
    fargate.settle()
    assert fargate.account() == empty


def test_a_task_that_was_started_by_hand_is_stopped(runbook: Runbook) -> None:
    empty = runbook.account()
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.aws("ecs").run_task(cluster="gpu", taskDefinition="gpu")
    runbook.settle(60)
    ran = runbook.run("delete_cluster.py", "--yes")
    assert (ran.code, runbook.account()) == (0, empty)
    assert "stopped task" in ran.err


# --------------------------------------------------------------------------------------------- endpoints that share it

SMALL = {"IMAGE_TAG": "", "IMAGE": "example.com/ml:v1", "DESIRED_COUNT": "0", "POLL_SECONDS": "15"}


def test_it_refuses_while_endpoints_are_left_naming_them_and_the_commands(endpoints: Runbook) -> None:
    endpoints.settings |= SMALL
    endpoints.has_run("create_cluster.py")
    for endpoint in "ab":
        endpoints.has_run("register_task_definition.py", "create_service.py", ENDPOINT=endpoint)
    begun = len(endpoints.emulator.calls)
    for settings in ({}, {"SHARED_CLUSTER": "false"}):  # also where that setting was forgotten
        ran = endpoints.run("delete_cluster.py", "--yes", **settings)
        assert (ran.code, ran.out, endpoints.changes(begun)) == (1, "", [])
        for endpoint in "ab":
            assert f"\n  ENDPOINT={endpoint} python delete_endpoint.py" in ran.err
            [stands] = [line for line in ran.err.splitlines() if line.startswith(f"  {endpoint}: ")]
            assert "security group sg-" in stands and f"service ml-{endpoint}" in stands
        assert "or all at once, with their images: python delete_cluster.py --everything" in ran.err
    endpoints.has_run("delete_endpoint.py --yes", ENDPOINT="a")
    ran = endpoints.run("delete_cluster.py", "--yes")
    assert ran.code == 1 and "ENDPOINT=b python" in ran.err and "ENDPOINT=a python" not in ran.err


#: what a deletion of an endpoint that died may have left
REMAINS: dict[str, Any] = {
    "role": lambda r, tags: r.aws("iam").create_role(
        RoleName="ml-a-task-us-east-1", AssumeRolePolicyDocument=TRUST, Tags=tags
    ),
    "log group": lambda r, tags: r.aws("logs").create_log_group(
        logGroupName="/aws/codebuild/ml-a-build", tags={each["Key"]: each["Value"] for each in tags}
    ),
    "bucket": lambda r, tags: (
        r.aws("s3").create_bucket(Bucket="ml-a-artifacts-123456789012-us-east-1"),
        r.aws("s3").put_bucket_tagging(Bucket="ml-a-artifacts-123456789012-us-east-1", Tagging={"TagSet": tags}),
    ),
    "target group": lambda r, tags: r.aws("elbv2").create_target_group(
        Name="ml-a-tg",
        Protocol="HTTP",
        Port=80,
        TargetType="ip",
        VpcId=r.aws("ec2").describe_vpcs()["Vpcs"][0]["VpcId"],
        Tags=tags,
    ),
}


@pytest.mark.parametrize("kind", REMAINS)
def test_it_sees_whatever_is_left_of_an_endpoint(endpoints: Runbook, kind: str) -> None:
    REMAINS[kind](endpoints, [{"Key": "gpu-ecs-cluster", "Value": "ml"}, {"Key": "gpu-ecs-endpoint", "Value": "a"}])
    ran = endpoints.run("delete_cluster.py", "--yes")
    assert (ran.code, f"\n  a: {kind} " in ran.err) == (1, True), ran.err


@pytest.mark.parametrize("file", [None, "TASK_CPU=7\n"])
def test_an_endpoint_whose_file_is_gone_or_wrong_is_seen_all_the_same(
    endpoints: Runbook, tmp_path: Path, file: str | None
) -> None:
    shared = (ROOT / "examples" / "ml-endpoints" / ".env").read_text()
    (tmp_path / ".env").write_text(shared.replace("CONTAINER_PORTS=8000\n", ""))
    if file:
        (tmp_path / "endpoints").mkdir()
        (tmp_path / "endpoints" / "a.env").write_text(file)
    endpoints.settings["ENV_FILE"] = str(tmp_path / ".env")
    REMAINS["log group"](
        endpoints, [{"Key": f"gpu-ecs-{k}", "Value": v} for k, v in (("cluster", "ml"), ("endpoint", "a"))]
    )
    endpoints.settle()  # AWS's index of tags is late
    ran = endpoints.run("delete_cluster.py", "--yes")
    assert (ran.code, "\n  a: log group /aws/codebuild/ml-a-build" in ran.err) == (1, True), ran.err


def test_what_another_cluster_of_a_longer_name_has_is_no_endpoint(endpoints: Runbook) -> None:
    tags = [{"Key": "gpu-ecs-cluster", "Value": "ml-a"}]
    for make in REMAINS.values():
        make(endpoints, tags)
    assert endpoints.run("delete_cluster.py", "--yes").code == 0


def test_repositories_that_outlive_their_endpoints_are_named_with_their_cost_and_the_command(
    endpoints: Runbook,
) -> None:
    endpoints.settings |= SMALL
    empty = endpoints.account()
    endpoints.has_run("create_cluster.py")
    endpoints.has_run("create_repository.py", "register_task_definition.py", ENDPOINT="b")
    repositories.put_image(endpoints.emulator.world, "us-east-1", "ml-b", "v1")
    endpoints.has_run("delete_endpoint.py --yes", ENDPOINT="b")
    for _ in range(2):  # it still costs the second time
        ran = endpoints.run("delete_cluster.py", "--yes")
        assert (ran.code, ran.result["kept"]) == (0, ["ml-b"]), ran.err
        held = "repository ml-b, 1 image of 1.2 GB, about $0.12 a month"
        assert f"  kept: {held}" in ran.err
        assert f"kept {held}  to delete it too: ENDPOINT=b python delete_repository.py --images" in ran.err
        assert "next 0 resources left but the kept repositories" in ran.err
    endpoints.has_run("delete_repository.py --images", ENDPOINT="b")
    ran = endpoints.run("delete_cluster.py", "--yes")
    assert (ran.result["kept"], "found nothing of a cluster" in ran.err) == ([], True)
    assert endpoints.account() == empty


# ---------------------------------------------------------------------------------------- pages that run other pages


def test_everything_goes_at_once(endpoints: Runbook) -> None:
    endpoints.settings |= SMALL
    before = endpoints.account()
    endpoints.has_run("create_cluster.py")
    endpoints.has_run("create_repository.py", "register_task_definition.py", "create_service.py", ENDPOINT="a")
    endpoints.has_run("create_repository.py", ENDPOINT="b")
    for endpoint in "ab":
        repositories.put_image(endpoints.emulator.world, "us-east-1", f"ml-{endpoint}", "v1")
    made = endpoints.account()
    ran = endpoints.run("delete_cluster.py", "--everything", "--dry-run")
    assert (ran.code, endpoints.account(), "kept: " in ran.err) == (0, made, False), ran.err
    ran = endpoints.run("delete_cluster.py", "--everything", "--yes")
    assert (ran.code, ran.result["kept"], ran.result["left"]) == (0, [], []), ran.err
    assert "endpoint a  delete_endpoint.py --images" in ran.err
    endpoints.settle()
    assert endpoints.account() == before


@pytest.mark.parametrize("settings", ["runbook", "fargate", "clara"])
def test_what_never_was_is_not_told_to_be_gone(settings: str, request: pytest.FixtureRequest) -> None:
    runbook: Runbook = request.getfixturevalue(settings)
    for page in ("delete_cluster.py --everything --yes", "delete_cluster.py --yes"):
        runbook.has_run("create_cluster.py")
        assert "already gone" not in runbook.run(*page.split()).err


def test_a_name_of_which_nothing_exists_is_no_clean_up(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py").settle()
    ran = runbook.run("delete_cluster.py", "--yes", CLUSTER_NAME="gpuu")
    assert (ran.code, ran.result["deleted"]) == (0, []), ran.err
    assert (
        "found nothing of a cluster gpuu in account 123456789012, region us-east-1:  the tags there name gpu\n"
        in ran.err
    )
    assert len(ran.err.splitlines()) == 2, "the first line, and that sentence alone"
    elsewhere = runbook.run("delete_cluster.py", "--yes", AWS_REGION="eu-west-1")
    assert elsewhere.code == 0, elsewhere.err
    assert (
        "nothing of a cluster gpu in account 123456789012, region eu-west-1:  no tag there names another one"
        in elsewhere.err
    )


def test_a_second_time_says_that_nothing_is_there_any_more(runbook: Runbook) -> None:
    ran = runbook.has_run("create_cluster.py", "delete_cluster.py --yes").run("delete_cluster.py", "--yes")
    assert (ran.code, "0 resources left" in ran.err) == (0, False)
    assert "found nothing of a cluster gpu in" in ran.err
    runbook.has_run("create_cluster.py")
    ran = runbook.run("delete_cluster.py", "--yes", EFS_DELETION_POLICY="Retain")
    ran = runbook.run("delete_cluster.py", "--yes", EFS_DELETION_POLICY="Retain")
    assert "next 0 resources left but the kept file systems" in ran.err


FAILING = {"MIN_INSTANCES": "1", "ON_FAILURE": "delete", "POLL_SECONDS": "30"}


def test_a_failed_create_is_undone_where_a_setting_says_so(runbook: Runbook) -> None:
    before = runbook.account()
    runbook.emulator.world.settings.agents_register = False
    ran = runbook.run("create_cluster.py", **FAILING)
    assert (ran.code, ran.out) == (3, ""), ran.err
    assert "warning it failed:  what this run made is deleted, since ON_FAILURE=delete" in ran.err
    assert "its ECS agent has not joined the cluster" in ran.err, "and why"
    runbook.settle()
    assert runbook.account() == before


@pytest.mark.parametrize(
    "operation",
    [
        *(
            "CreateFileSystem",
            "CreateVpc",
            "CreateCluster",
            "CreateMountTarget",
            "CreateAccessPoint",
            "AttachRolePolicy",
        ),
        *("CreateAutoScalingGroup", "PutClusterCapacityProviders"),
    ],
)
def test_whatever_fails_of_a_first_create_it_is_undone(runbook: Runbook, operation: str) -> None:
    before = runbook.account()
    runbook.emulator.faults.planned.append(Fault(operation, "denied"))
    ran = runbook.run("create_cluster.py", **FAILING)
    assert (ran.code, ran.out) == (1, ""), ran.err
    assert "access denied" in ran.err[ran.err.index("failed:") :]
    assert f":{operation}\n" in ran.err[ran.err.index("failed:") :], "the call that failed, not one of its undoing"
    runbook.settle()
    assert runbook.account() == before


def test_what_fails_before_the_first_change_deletes_nothing(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("DescribeVpcs", "denied", times=-1))
    ran = runbook.run("create_cluster.py", **FAILING)
    assert ran.code == 1
    assert "what this run made is deleted" not in ran.err
    assert runbook.changes(0) == []


def test_a_run_that_did_not_make_the_cluster_undoes_nothing(runbook: Runbook) -> None:
    made = runbook.has_run("create_cluster.py").account()
    runbook.emulator.faults.planned.append(Fault("UpdateAutoScalingGroup", "denied", times=-1))
    ran = runbook.run("create_cluster.py", **FAILING)
    assert ran.code == 1
    assert "what this run made is deleted" not in ran.err
    assert runbook.account() == made


def test_what_another_page_has_made_before_keeps_all(runbook: Runbook) -> None:
    runbook.has_run("create_repository.py")
    runbook.emulator.faults.planned.append(Fault("CreateMountTarget", "denied"))
    ran = runbook.run("create_cluster.py", **FAILING)
    assert ran.code == 1
    assert "and what this run made is not all deleted: it did not make repository" in ran.err
    assert len(runbook.aws("ecr").describe_repositories()["repositories"]) == 1
    assert runbook.aws("ecs").describe_clusters(clusters=["gpu"])["clusters"][0]["status"] == "ACTIVE"


def test_what_could_not_be_undone_is_told_with_the_reason_of_the_failure(runbook: Runbook) -> None:
    runbook.emulator.world.settings.agents_register = False
    runbook.emulator.faults.planned.append(Fault("DeleteCluster", "ClusterContainsTasksException", "busy", times=-1))
    ran = runbook.run("create_cluster.py", **FAILING)
    assert (ran.code, ran.out) == (1, "")
    told = ran.err[ran.err.index("failed:") :]
    assert "its ECS agent has not joined the cluster" in told
    assert "and what this run made is not all deleted: gave up waiting for cluster gpu to be empty" in told


def test_data_that_was_there_before_a_failed_create_stays(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    runbook.has_run("delete_cluster.py --yes", EFS_DELETION_POLICY="Retain")
    runbook.emulator.world.settings.agents_register = False
    assert runbook.run("create_cluster.py", **FAILING).code == 3
    [kept] = runbook.aws("efs").describe_file_systems()["FileSystems"]
    assert kept["LifeCycleState"] == "available"


@pytest.mark.parametrize("failures", [1, 3])
def test_a_capacity_provider_that_aws_fails_to_delete_is_asked_for_again(runbook: Runbook, failures: int) -> None:
    """AWS answers 200, and leaves it ACTIVE and DELETE_FAILED."""
    before = runbook.account()
    runbook.has_run("create_cluster.py")
    runbook.emulator.world.settings.failing_provider_deletions = failures
    ran = runbook.run("delete_cluster.py", "--yes")
    assert (ran.code, runbook.account()) == (0, before), ran.err


def test_one_that_aws_never_deletes_ends_with_its_words(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    runbook.emulator.world.settings.failing_provider_deletions = 10**6
    ran = runbook.run("delete_cluster.py", "--yes")
    assert ran.code == 3
    assert "gave up waiting for capacity provider gpu-capacity to be gone" in ran.err
    assert "DELETE_FAILED The capacity provider cannot be deleted because it is associated" in ran.err


@pytest.mark.parametrize(
    "operation", ["DeleteSubnet", "DeleteVpc", "DeleteFileSystem", "DeleteRole", "DeregisterTaskDefinition"]
)
@pytest.mark.parametrize("error", ["denied", "DependencyViolation", "expired"])
def test_a_deletion_that_fails_tells_what_is_left_and_that_it_goes_on(
    runbook: Runbook, operation: str, error: str
) -> None:
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.emulator.faults.planned.append(Fault(operation, error, times=-1))
    ran = runbook.run("delete_cluster.py", "--yes", WAIT_TIMEOUT_SECONDS="60")
    runbook.emulator.faults.planned.clear()
    assert ran.code in (1, 3), ran.err
    if error != "expired":  # who is not known any more can't ask what is left
        assert "run python delete_cluster.py again, it goes on" in ran.err
        assert ran.result["left"]
        assert all(each in ran.err for each in ran.result["left"])
    assert runbook.run("delete_cluster.py", "--yes").result["left"] == []
