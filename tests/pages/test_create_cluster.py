"""create_cluster.py completes what is missing, brings what is there into line, and changes nothing that is right."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.faults import Fault
from tests.conftest import Runbook

TRUST = (
    '{"Version": "2012-10-17", "Statement": '
    '[{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
)
EFS_ON = {"EFS_PERFORMANCE_MODE": "maxIO", "EFS_THROUGHPUT_MODE": "bursting"}


def group(runbook: Runbook) -> Any:
    [found] = runbook.aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["gpu-hosts"])[
        "AutoScalingGroups"
    ]
    return found


def template(runbook: Runbook) -> Any:
    [latest] = runbook.aws("ec2").describe_launch_template_versions(
        LaunchTemplateName="gpu-hosts", Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    return latest["LaunchTemplateData"]


def provider(runbook: Runbook) -> Any:
    [found] = runbook.aws("ecs").describe_capacity_providers(capacityProviders=["gpu-capacity"])["capacityProviders"]
    return found["autoScalingGroupProvider"]


def file_system(runbook: Runbook) -> Any:
    [found] = runbook.aws("efs").describe_file_systems()["FileSystems"]
    return found


def open_to(runbook: Runbook, name: str) -> list[tuple[int, str]]:
    """The port and the CIDR block of each inbound rule of a group."""
    [found] = runbook.aws("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])[
        "SecurityGroups"
    ]
    return [(rule["FromPort"], block["CidrIp"]) for rule in found["IpPermissions"] for block in rule["IpRanges"]]


def tags_of(runbook: Runbook, resource_id: str) -> dict[str, str]:
    found = runbook.aws("ec2").describe_tags(Filters=[{"Name": "resource-id", "Values": [resource_id]}])["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}


# ------------------------------------------------------------------------------------------------- again and again


def test_the_first_line_says_account_region_and_cluster(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py")
    where = "account 123456789012  region us-east-1  cluster gpu"
    assert ran.err.splitlines()[0] == f"{where}  caller user/emulator  settings /dev/null"
    assert ran.result["clusterArn"] == "arn:aws:ecs:us-east-1:123456789012:cluster/gpu"


@pytest.mark.parametrize("settings", [{}, {"MIN_INSTANCES": "1"}, {"CAPACITY_TYPE": "spot"}], ids=str)
def test_second_create_changes_nothing_and_says_so(runbook: Runbook, settings: dict[str, str]) -> None:
    first = runbook.run("create_cluster.py", **settings)
    begun = len(runbook.emulator.calls)
    second = runbook.run("create_cluster.py", **settings)
    assert (second.code, runbook.changes(begun)) == (0, [])
    assert second.result == first.result
    verbs = {line.split()[0] for line in second.err.splitlines()[1:]}
    assert verbs <= {"costs", "found", "nothing", "next"}
    assert "nothing changed" in second.err


def test_second_create_on_fargate_changes_nothing_and_says_so(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py")
    begun = len(fargate.emulator.calls)
    second = fargate.run("create_cluster.py")
    assert (second.code, fargate.changes(begun)) == (0, [])
    assert "nothing changed" in second.err


def test_second_create_is_quick_and_waits_for_nothing(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    begun = runbook.emulator.world.now()
    assert "waiting" not in runbook.run("create_cluster.py").err
    assert runbook.emulator.world.now() == begun


def test_a_create_that_changed_something_does_not_say_that_it_changed_nothing(runbook: Runbook) -> None:
    assert "nothing changed" not in runbook.run("create_cluster.py").err
    assert "nothing changed" not in runbook.run("create_cluster.py", MAX_INSTANCES="2").err


def test_create_with_tasks_running_leaves_the_hosts_alone(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    begun = len(runbook.emulator.calls)
    assert runbook.run("create_cluster.py").code == 0
    assert runbook.changes(begun) == []
    assert group(runbook)["DesiredCapacity"] == 1


# -------------------------------------------------------------------------------------------------- it converges

CONVERGES: dict[str, tuple[dict[str, str], Any, Any]] = {
    "MAX_INSTANCES of the group": ({"MAX_INSTANCES": "3"}, lambda r: group(r)["MaxSize"], 3),
    "MIN_INSTANCES": ({"MIN_INSTANCES": "1"}, lambda r: (group(r)["MinSize"], group(r)["DesiredCapacity"]), (1, 1)),
    "INSTANCE_TYPE": ({"INSTANCE_TYPE": "g5.xlarge"}, lambda r: template(r)["InstanceType"], "g5.xlarge"),
    "ROOT_VOLUME_GIB": (
        {"ROOT_VOLUME_GIB": "200"},
        lambda r: template(r)["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"],
        200,
    ),
    "CAPACITY_TYPE": (
        {"CAPACITY_TYPE": "spot"},
        lambda r: template(r)["InstanceMarketOptions"]["MarketType"],
        "spot",
    ),
    "LOG_RETENTION_DAYS": (
        {"LOG_RETENTION_DAYS": "7"},
        lambda r: r.aws("logs").describe_log_groups()["logGroups"][0]["retentionInDays"],
        7,
    ),
    "CONTAINER_INSIGHTS": (
        {"CONTAINER_INSIGHTS": "disabled"},
        lambda r: r.aws("ecs").describe_clusters(clusters=["gpu"], include=["SETTINGS"])["clusters"][0]["settings"],
        [{"name": "containerInsights", "value": "disabled"}],
    ),
    "EFS_THROUGHPUT_MODE": (
        {"EFS_THROUGHPUT_MODE": "bursting"},
        lambda r: file_system(r)["ThroughputMode"],
        "bursting",
    ),
    "EFS_VOLUMES": (
        {"EFS_VOLUMES": "data:/data,assets:/assets"},
        lambda r: sorted(
            point["RootDirectory"]["Path"] for point in r.aws("efs").describe_access_points()["AccessPoints"]
        ),
        ["/assets", "/data"],
    ),
    "CONTAINER_PORTS": (
        {"CONTAINER_PORTS": "8080:80", "ALLOWED_CIDR": "198.51.100.0/24"},
        lambda r: open_to(r, "gpu-hosts"),
        [(8080, "198.51.100.0/24")],
    ),
}


@pytest.mark.parametrize(("settings", "look", "expected"), CONVERGES.values(), ids=CONVERGES)
def test_a_changed_setting_is_brought_into_line(
    runbook: Runbook, settings: dict[str, str], look: Any, expected: Any
) -> None:
    runbook.has_run("create_cluster.py")
    runbook.has_run("create_cluster.py", **settings)
    runbook.settle()
    assert look(runbook) == expected
    begun = len(runbook.emulator.calls)
    assert runbook.run("create_cluster.py", **settings).code == 0
    assert runbook.changes(begun) == []


def test_a_changed_allowed_cidr_closes_the_old_one(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py")
    assert open_to(fargate, "api-tasks") == [(9090, "203.0.113.7/32")]
    fargate.has_run("create_cluster.py", ALLOWED_CIDR="198.51.100.0/24")
    assert open_to(fargate, "api-tasks") == [(9090, "198.51.100.0/24")]


def test_ssh_is_open_to_its_cidr_alone_and_closed_again_without_it(runbook: Runbook) -> None:
    runbook.aws("ec2").create_key_pair(KeyName="mine")
    runbook.has_run("create_cluster.py", KEY_NAME="mine", SSH_ALLOWED_CIDR="203.0.113.7/32")
    assert open_to(runbook, "gpu-hosts") == [(22, "203.0.113.7/32")]
    assert template(runbook)["KeyName"] == "mine"
    runbook.has_run("create_cluster.py")
    assert open_to(runbook, "gpu-hosts") == []
    assert "KeyName" not in template(runbook)


def test_a_smaller_maximum_takes_the_desired_size_with_it(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", MIN_INSTANCES="2", MAX_INSTANCES="2")
    runbook.has_run("create_cluster.py", MIN_INSTANCES="0", MAX_INSTANCES="1")
    assert (group(runbook)["MaxSize"], group(runbook)["DesiredCapacity"]) == (1, 1)


def test_changed_extra_tags_reach_what_is_there(runbook: Runbook) -> None:
    vpc_id = runbook.has_run("create_cluster.py").run("create_cluster.py").result["vpcId"]
    ran = runbook.run("create_cluster.py", EXTRA_TAGS="team=ml")
    assert ran.code == 0, ran.err
    assert tags_of(runbook, vpc_id)["team"] == "ml"
    tagged = runbook.aws("iam").list_role_tags(RoleName="gpu-task-us-east-1")["Tags"]
    assert {"Key": "team", "Value": "ml"} in tagged
    assert {"Key": "team", "Value": "ml"} in file_system(runbook)["Tags"]
    begun = len(runbook.emulator.calls)
    assert runbook.run("create_cluster.py", EXTRA_TAGS="team=ml").code == 0
    assert runbook.changes(begun) == []


# --------------------------------------------------------------------------------------------- it repairs by itself


def test_a_role_that_lost_its_policy_gets_it_back(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    iam = runbook.aws("iam")
    [policy] = iam.list_attached_role_policies(RoleName="gpu-task-execution-us-east-1")["AttachedPolicies"]
    iam.detach_role_policy(RoleName="gpu-task-execution-us-east-1", PolicyArn=policy["PolicyArn"])
    runbook.has_run("create_cluster.py")
    assert iam.list_attached_role_policies(RoleName="gpu-task-execution-us-east-1")["AttachedPolicies"] == [policy]


def test_a_deleted_mount_target_comes_back(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    efs = runbook.aws("efs")
    system_id = file_system(runbook)["FileSystemId"]
    [target] = efs.describe_mount_targets(FileSystemId=system_id)["MountTargets"]
    efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    runbook.settle()
    runbook.has_run("create_cluster.py")
    [again] = efs.describe_mount_targets(FileSystemId=system_id)["MountTargets"]
    assert (again["LifeCycleState"], again["SubnetId"]) == ("available", target["SubnetId"])


def test_a_cluster_that_was_deleted_by_hand_is_made_anew(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    ecs = runbook.aws("ecs")
    ecs.put_cluster_capacity_providers(cluster="gpu", capacityProviders=[], defaultCapacityProviderStrategy=[])
    runbook.settle()
    ecs.delete_cluster(cluster="gpu")
    runbook.has_run("create_cluster.py")
    [found] = ecs.describe_clusters(clusters=["gpu"])["clusters"]
    assert (found["status"], found["capacityProviders"]) == ("ACTIVE", ["gpu-capacity"])


def test_a_group_that_was_deleted_by_hand_comes_back_with_its_provider(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    runbook.aws("autoscaling").delete_auto_scaling_group(AutoScalingGroupName="gpu-hosts", ForceDelete=True)
    runbook.settle()
    runbook.has_run("create_cluster.py")
    assert provider(runbook)["autoScalingGroupArn"] == group(runbook)["AutoScalingGroupARN"]


# ------------------------------------------------------------------------------------- what can't be changed is refused

REFUSED = {
    "VPC_CIDR": ({"VPC_CIDR": "10.1.0.0/16", "PUBLIC_SUBNET_CIDRS": "10.1.0.0/24"}, "VPC_CIDR=10.1.0.0/16"),
    "PUBLIC_SUBNET_CIDRS": ({"PUBLIC_SUBNET_CIDRS": "10.0.9.0/24"}, "PUBLIC_SUBNET_CIDRS"),
    "EFS_PERFORMANCE_MODE": (EFS_ON, "EFS_PERFORMANCE_MODE=maxIO"),
    "EFS_UID": ({"EFS_UID": "1000"}, "EFS_UID"),
    "EFS_GID": ({"EFS_GID": "1000"}, "EFS_GID"),
}


@pytest.mark.parametrize(("settings", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_setting_that_aws_can_not_change_is_refused_before_any_change(
    runbook: Runbook, settings: dict[str, str], sentence: str
) -> None:
    runbook.has_run("create_cluster.py")
    begun = len(runbook.emulator.calls)
    ran = runbook.run("create_cluster.py", **settings, MAX_INSTANCES="5")
    assert (ran.code, ran.out, runbook.changes(begun)) == (1, "", [])
    assert sentence in ran.err
    assert "can't be changed" in ran.err


def test_two_vpcs_of_ours_stop_it_with_both_ids(runbook: Runbook) -> None:
    vpc_id = runbook.has_run("create_cluster.py").run("create_cluster.py").result["vpcId"]
    tags = [{"Key": key, "Value": value} for key, value in tags_of(runbook, vpc_id).items()]
    specification = [{"ResourceType": "vpc", "Tags": tags}]
    made = runbook.aws("ec2").create_vpc(CidrBlock="10.5.0.0/16", TagSpecifications=specification)["Vpc"]
    runbook.settle()
    begun = len(runbook.emulator.calls)
    ran = runbook.run("create_cluster.py")
    assert (ran.code, runbook.changes(begun)) == (1, [])
    assert vpc_id in ran.err
    assert made["VpcId"] in ran.err


def test_two_security_groups_of_ours_stop_it_with_both_ids(runbook: Runbook) -> None:
    [group_id] = runbook.has_run("create_cluster.py").run("create_cluster.py").result["securityGroupIds"]
    ec2 = runbook.aws("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    runbook.settle()
    other = ec2.create_security_group(GroupName="gpu-hosts", Description="another", VpcId=vpc_id)["GroupId"]
    runbook.settle()
    ec2.create_tags(
        Resources=[other], Tags=[{"Key": key, "Value": value} for key, value in tags_of(runbook, group_id).items()]
    )
    ran = runbook.run("create_cluster.py")
    assert ran.code == 1
    assert group_id in ran.err
    assert other in ran.err


# ------------------------------------------------------------------------------------------- names that others have

TAKEN: dict[str, tuple[Any, str]] = {
    "cluster": (lambda r: r.aws("ecs").create_cluster(clusterName="gpu"), "the cluster gpu exists already"),
    "role": (
        lambda r: r.aws("iam").create_role(RoleName="gpu-task-us-east-1", AssumeRolePolicyDocument=TRUST),
        "the role gpu-task-us-east-1 exists already",
    ),
    "log group": (
        lambda r: r.aws("logs").create_log_group(logGroupName="/ecs/gpu"),
        "the log group /ecs/gpu exists already",
    ),
}


@pytest.mark.parametrize(("make", "sentence"), TAKEN.values(), ids=TAKEN)
def test_a_name_that_is_anothers_is_not_taken_over(runbook: Runbook, make: Any, sentence: str) -> None:
    make(runbook)
    runbook.settle()
    ran = runbook.run("create_cluster.py")
    assert ran.code == 1
    assert sentence in ran.err
    assert "choose another CLUSTER_NAME" in ran.err


def test_a_launch_template_of_anothers_is_not_taken_over(runbook: Runbook) -> None:
    ec2 = runbook.aws("ec2")
    ec2.create_launch_template(LaunchTemplateName="gpu-hosts", LaunchTemplateData={"InstanceType": "t3.nano"})
    runbook.settle()
    ran = runbook.run("create_cluster.py")
    assert ran.code == 1
    assert "the launch template gpu-hosts exists already, and does not bear the tag gpu-ecs-cluster=gpu" in ran.err
    assert "Traceback" not in ran.err


def test_a_security_group_of_anothers_in_an_adopted_vpc_is_not_taken_over(adopted: Runbook) -> None:
    ec2 = adopted.aws("ec2")
    vpc_id = adopted.settings["VPC_ID"]
    group_id = ec2.create_security_group(GroupName="gpu-hosts", Description="theirs", VpcId=vpc_id)["GroupId"]
    ran = adopted.run("create_cluster.py", CONTAINER_PORTS="8080:80", ALLOWED_CIDR="203.0.113.7/32")
    assert ran.code == 1
    assert f"{group_id} (gpu-hosts) exists already, and does not bear the tag gpu-ecs-cluster=gpu" in ran.err
    assert open_to(adopted, "gpu-hosts") == []


# ------------------------------------------------------------------------------------------------------- a new account


def test_a_new_account_gets_its_service_linked_roles_first(runbook: Runbook) -> None:
    runbook.emulator.world.settings.service_linked_roles = False
    ran = runbook.run("create_cluster.py", CAPACITY_TYPE="spot")
    assert ran.code == 0, ran.err
    names = {role["RoleName"] for role in runbook.aws("iam").list_roles()["Roles"]}
    assert {
        "AWSServiceRoleForECS",
        "AWSServiceRoleForAutoScaling",
        "AWSServiceRoleForEC2Spot",
    } <= names
    assert runbook.changes(0)[0] == "iam:CreateServiceLinkedRole"


def test_delete_leaves_the_service_linked_roles(runbook: Runbook) -> None:
    runbook.emulator.world.settings.service_linked_roles = False
    runbook.has_run("create_cluster.py", "delete_cluster.py --yes")
    names = {role["RoleName"] for role in runbook.aws("iam").list_roles()["Roles"]}
    assert "AWSServiceRoleForECS" in names


def test_the_race_of_a_new_instance_profile_is_ridden_out(runbook: Runbook) -> None:
    text = (
        "You must use a valid fully-formed launch template. Value (gpu-host) for parameter iamInstanceProfile.name is "
        "invalid. Invalid IAM Instance Profile name"
    )
    runbook.emulator.faults.planned.append(Fault("CreateAutoScalingGroup", "ValidationError", text, times=3))
    ran = runbook.run("create_cluster.py")
    assert ran.code == 0, ran.err
    assert group(runbook)["MaxSize"] == 1


def test_another_validation_error_is_not_ridden_out(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("CreateAutoScalingGroup", "ValidationError", "no such thing"))
    ran = runbook.run("create_cluster.py")
    assert ran.code == 1
    assert "no such thing" in ran.err
    assert [outcome for _, operation, outcome in runbook.emulator.calls if operation == "CreateAutoScalingGroup"] == [
        "ValidationError"
    ]


# --------------------------------------------------------------------------------------------------- order of waiting


def test_everything_is_asked_for_before_the_slow_things_are_waited_for(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py")
    lines = ran.err.splitlines()
    waits = [number for number, line in enumerate(lines) if line.startswith("waiting for")]
    created = [number for number, line in enumerate(lines) if line.startswith("created")]
    assert waits[0] > created[-1]
    assert lines.index(next(line for line in lines if line.startswith("created file system"))) < lines.index(
        next(line for line in lines if line.startswith("created VPC"))
    )


def test_min_instances_waits_for_its_host_to_join(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", MIN_INSTANCES="1")
    [arn] = runbook.aws("ecs").list_container_instances(cluster="gpu")["containerInstanceArns"]
    hosts = runbook.aws("ecs").describe_container_instances(cluster="gpu", containerInstances=[arn])
    assert hosts["containerInstances"][0]["agentConnected"]


def test_a_host_that_does_not_join_ends_the_wait_with_the_reason(runbook: Runbook) -> None:
    runbook.emulator.world.settings.agents_register = False
    ran = runbook.run("create_cluster.py", MIN_INSTANCES="1", WAIT_TIMEOUT_SECONDS="600")
    assert ran.code == 3
    assert "gave up waiting for 1 host to join the cluster" in ran.err
    assert "its ECS agent has not joined the cluster" in ran.err
