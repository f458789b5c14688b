"""Roles with just the actions that they need; the task's own apart from the one that starts it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.iam.policies import may
from tests.conftest import Runbook
from tests.examples.test_endpoints import small
from tests.pages.test_create_cluster import TRUST
from tests.standing import standing

__all__ = ["small"]  # a fixture


def inline(runbook: Runbook, role: str) -> Any:
    found = runbook.aws("iam").get_role_policy(RoleName=role, PolicyName="settings")["PolicyDocument"]
    return found["Statement"]


def attached(runbook: Runbook, role: str) -> set[str]:
    found = runbook.aws("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return {policy["PolicyName"] for policy in found}


def test_each_role_has_just_its_own_policies(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    assert attached(runbook, "gpu-host-us-east-1") == {"AmazonEC2ContainerServiceforEC2Role"}
    assert attached(runbook, "gpu-task-execution-us-east-1") == {"AmazonECSTaskExecutionRolePolicy"}
    assert attached(runbook, "gpu-task-us-east-1") == set()


def test_a_secrets_json_key_stage_and_version_are_no_part_of_what_iam_is_asked_about(fargate: Runbook) -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html"""
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:theirs-AbCdEf"
    named = f"USER={secret}:user::,PASSWORD={secret}:password:AWSCURRENT:,OLD={secret}::AWSPREVIOUS:"
    fargate.has_run("create_cluster.py", CONTAINER_SECRETS=named)
    [statement] = inline(fargate, "api-task-execution-us-east-1")
    assert (statement["Action"], statement["Resource"]) == ("secretsmanager:GetSecretValue", [secret])


def test_the_task_may_mount_and_write_its_own_file_system_by_its_access_points_and_no_other(runbook: Runbook) -> None:
    result = runbook.has_run("create_cluster.py").run("create_cluster.py").result
    [statement] = inline(runbook, "gpu-task-us-east-1")
    arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:"
    assert statement["Resource"] == [f"{arn}file-system/{result['fileSystemId']}"]
    points = [f"{arn}access-point/{each}" for each in result["accessPoints"].values()]
    assert statement["Condition"] == {"StringEquals": {"elasticfilesystem:AccessPointArn": points}}


@pytest.mark.parametrize(("user", "as_root"), [("0:0", True), ("1000:0", True), ("0:1000", True), ("1000:1000", False)])
def test_the_task_has_root_access_only_where_root_owns_its_files(runbook: Runbook, user: str, as_root: bool) -> None:
    uid, gid = user.split(":")
    runbook.has_run("create_cluster.py", EFS_UID=uid, EFS_GID=gid)
    [statement] = inline(runbook, "gpu-task-us-east-1")
    more = ["elasticfilesystem:ClientRootAccess"] if as_root else []
    assert statement["Action"] == ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite", *more]


def test_buckets_tables_and_queues_are_named_one_by_one(fargate: Runbook) -> None:
    fargate.settings.update(TASK_S3_BUCKETS="weights", TASK_DYNAMODB_TABLES="jobs", TASK_SQS_QUEUES="work")
    fargate.has_run("create_cluster.py")
    text = json.dumps(inline(fargate, "api-task-us-east-1"))
    for arn in (
        "arn:aws:s3:::weights",
        "arn:aws:s3:::weights/*",
        "arn:aws:dynamodb:us-east-1:123456789012:table/jobs",
        "arn:aws:sqs:us-east-1:123456789012:work",
    ):
        assert f'"{arn}"' in text
    assert '"*"' not in text


def test_what_the_settings_no_longer_name_is_taken_back(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py", TASK_S3_BUCKETS="weights")
    fargate.has_run("create_cluster.py")
    assert "s3" not in json.dumps(inline(fargate, "api-task-us-east-1"))


def test_the_instance_profile_holds_the_hosts_role(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    iam = runbook.aws("iam")
    profile = iam.get_instance_profile(InstanceProfileName="gpu-host-us-east-1")["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == ["gpu-host-us-east-1"]


def test_an_empty_instance_profile_gets_its_role_back(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    iam = runbook.aws("iam")
    names = {"InstanceProfileName": "gpu-host-us-east-1", "RoleName": "gpu-host-us-east-1"}
    iam.remove_role_from_instance_profile(**names)
    runbook.has_run("create_cluster.py")
    profile = iam.get_instance_profile(InstanceProfileName="gpu-host-us-east-1")["InstanceProfile"]
    assert len(profile["Roles"]) == 1


def test_a_changed_trust_policy_is_put_right(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    iam = runbook.aws("iam")
    before = iam.get_role(RoleName="gpu-task-us-east-1")["Role"]["AssumeRolePolicyDocument"]
    theirs = json.dumps(before).replace("ecs-tasks.amazonaws.com", "lambda.amazonaws.com")
    iam.update_assume_role_policy(RoleName="gpu-task-us-east-1", PolicyDocument=theirs)
    runbook.has_run("create_cluster.py")
    assert iam.get_role(RoleName="gpu-task-us-east-1")["Role"]["AssumeRolePolicyDocument"] == before


def test_only_ecs_tasks_of_this_account_and_region_take_the_task_roles(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    role = runbook.aws("iam").get_role(RoleName="gpu-task-us-east-1")["Role"]
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_arns_are_of_the_partition_of_the_region(fargate: Runbook) -> None:
    fargate.settings["AWS_REGION"] = "cn-north-1"
    ran = fargate.run("create_cluster.py", "--dry-run")
    assert ran.code == 0, ran.err
    assert ran.result["taskRoleArn"].startswith("arn:aws-cn:iam::123456789012:role/")


def test_roles_and_profile_bear_our_tags(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", EXTRA_TAGS="team=ml")
    iam = runbook.aws("iam")
    for suffix in ("host", "task-execution", "task"):
        assert {"Key": "team", "Value": "ml"} in iam.list_role_tags(RoleName=f"gpu-{suffix}-us-east-1")["Tags"]
    profile = iam.get_instance_profile(InstanceProfileName="gpu-host-us-east-1")["InstanceProfile"]
    assert {"Key": "team", "Value": "ml"} in profile["Tags"]


def test_the_host_role_survives_a_stranger_policy_at_delete(runbook: Runbook) -> None:
    """A policy that someone attached by hand does not keep the role from going."""
    empty = runbook.account()
    policy = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    runbook.has_run("create_cluster.py")
    runbook.aws("iam").attach_role_policy(RoleName="gpu-host-us-east-1", PolicyArn=policy)
    runbook.has_run("delete_cluster.py --yes")
    assert runbook.account() == empty


def test_what_monitoring_needed_is_taken_back_without_it_and_what_someone_attached_stays(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", HOST_MONITORING="enabled")
    assert "CloudWatchAgentServerPolicy" in attached(runbook, "gpu-host-us-east-1")
    by_hand = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    runbook.aws("iam").attach_role_policy(RoleName="gpu-host-us-east-1", PolicyArn=by_hand)
    runbook.has_run("create_cluster.py")
    assert attached(runbook, "gpu-host-us-east-1") == {
        "AmazonEC2ContainerServiceforEC2Role",
        "AmazonS3ReadOnlyAccess",
    }


def test_the_hosts_role_opens_sessions_and_reads_no_parameters(runbook: Runbook) -> None:
    """Also where an earlier version gave it AWS's own policy for that: what a host may, a container in host mode may."""
    role, former = "gpu-host-us-east-1", "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    runbook.has_run("create_cluster.py")
    runbook.aws("iam").attach_role_policy(RoleName=role, PolicyArn=former)
    assert may(role, "ssm:GetParameter", "*")
    runbook.has_run("create_cluster.py")
    assert may(role, "ssmmessages:OpenDataChannel", "*")
    assert may(role, "ecs:RegisterContainerInstance", "*")
    assert not any(may(role, f"{action}", "*") for action in ("ssm:GetParameter", "s3:GetObject", "iam:PassRole"))


def test_an_instance_profile_of_somebody_else_is_neither_changed_nor_deleted(runbook: Runbook) -> None:
    iam, name = runbook.aws("iam"), {"InstanceProfileName": "gpu-host-us-east-1"}
    iam.create_instance_profile(**name)
    iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    iam.add_role_to_instance_profile(**name, RoleName="theirs")
    ran = runbook.run("create_cluster.py")
    assert ran.code == 1
    assert "the instance profile gpu-host-us-east-1 exists already, and does not bear the tag" in ran.err
    ran = runbook.run("delete_cluster.py", "--yes")
    assert (ran.code, "kept instance profile gpu-host-us-east-1  not of this runbook" in ran.err) == (0, True), ran.err
    found = iam.get_instance_profile(**name)["InstanceProfile"]
    assert [role["RoleName"] for role in found["Roles"]] == ["theirs"]


def test_roles_and_profile_are_listed_with_arn_tags_and_part(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    found = standing(runbook, "cluster.roles", "service.task_roles")
    base = "arn:aws:iam::123456789012"
    assert {what: (each["arn"], each["part"]) for what, each in found.items()} == {
        "role gpu-host-us-east-1": (f"{base}:role/gpu-host-us-east-1", "host"),
        "instance profile gpu-host-us-east-1": (f"{base}:instance-profile/gpu-host-us-east-1", "host"),
        "role gpu-task-execution-us-east-1": (f"{base}:role/gpu-task-execution-us-east-1", "task-execution"),
        "role gpu-task-us-east-1": (f"{base}:role/gpu-task-us-east-1", "task"),
    }
    assert {each["tags"]["gpu-ecs-cluster"] for each in found.values()} == {"gpu"}


# ----------------------------------------------------------------------------------------------------------- endpoints


def points(runbook: Runbook, endpoint: str) -> list[str]:
    tag = {"Key": "gpu-ecs-endpoint", "Value": endpoint}
    found = runbook.aws("efs").describe_access_points()["AccessPoints"]
    return sorted(each["AccessPointArn"] for each in found if tag in each["Tags"])


def test_an_endpoints_task_mounts_by_its_own_access_points_alone(small: Runbook) -> None:
    """Both endpoints are on the same file systems; what keeps them apart is the access point."""
    for endpoint in "ab":
        small.has_run("register_task_definition.py", ENDPOINT=endpoint)
    systems = [each["FileSystemArn"] for each in small.aws("efs").describe_file_systems()["FileSystems"]]
    for mine, other in (("a", "b"), ("b", "a")):
        [statement] = inline(small, f"ml-{mine}-task-us-east-1")
        assert sorted(statement["Resource"]) == sorted(systems)
        assert statement["Action"] == [f"elasticfilesystem:Client{each}" for each in ("Mount", "Write", "RootAccess")]
        key = "elasticfilesystem:AccessPointArn"
        assert statement["Condition"] == {"StringEquals": {key: points(small, mine)}}
        for verb in ("ClientMount", "ClientWrite"):
            action, role = f"elasticfilesystem:{verb}", f"ml-{mine}-task-us-east-1"
            assert all(may(role, action, system, {key: arn}) for system in systems for arn in points(small, mine))
            assert not any(may(role, action, system, {key: arn}) for system in systems for arn in points(small, other))
            assert not any(may(role, action, system) for system in systems), "nor the root, without an access point"
    begun = len(small.emulator.calls)
    small.has_run("register_task_definition.py", ENDPOINT="b")
    assert small.changes(begun) == []


def test_an_endpoints_roles_are_its_own_and_the_cluster_has_none(small: Runbook) -> None:
    roles = {role["RoleName"] for role in small.aws("iam").list_roles()["Roles"] if role["RoleName"].startswith("ml-")}
    assert roles == set()
    assert small.run("create_cluster.py").result["taskRoleArn"] is None
    small.has_run("register_task_definition.py", ENDPOINT="a", TASK_S3_BUCKETS="of-a")
    small.has_run("register_task_definition.py", ENDPOINT="b", TASK_S3_BUCKETS="of-b")
    assert "of-a" not in json.dumps(inline(small, "ml-b-task-us-east-1"))
    tags = small.aws("iam").list_role_tags(RoleName="ml-b-task-us-east-1")["Tags"]
    assert {"Key": "gpu-ecs-endpoint", "Value": "b"} in tags
