"""Why a task does not run, in words with what to do about it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from emulator.core.doors import DOORS
from emulator.registry import images
from tests.conftest import Runbook

REGISTERED = ("create_cluster.py", "register_task_definition.py")


def why_it_failed(runbook: Runbook) -> str:
    ran = runbook.run("run_task.py")
    assert ran.code == 1, ran.out
    return ran.err


def test_a_secret_that_is_not_there_is_told(fargate: Runbook) -> None:
    secrets = fargate.aws("secretsmanager")
    arn = secrets.create_secret(Name="token", SecretString="x")["ARN"]
    fargate.settings["CONTAINER_SECRETS"] = f"TOKEN={arn}"
    fargate.has_run(*REGISTERED)
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    told = why_it_failed(fargate)
    assert "ResourceInitializationError: unable to pull secrets" in told
    assert "can't find the specified secret" in told


def test_a_right_that_somebody_took_from_the_role_is_told_with_its_remedy(fargate: Runbook) -> None:
    arn = fargate.aws("secretsmanager").create_secret(Name="token", SecretString="x")["ARN"]
    fargate.settings["CONTAINER_SECRETS"] = f"TOKEN={arn}"
    iam = fargate.has_run(*REGISTERED).aws("iam")
    iam.delete_role_policy(RoleName="api-task-execution-us-east-1", PolicyName="settings")
    told = why_it_failed(fargate)
    assert f"is not authorized to perform: secretsmanager:GetSecretValue on resource: {arn}" in told
    assert "create_cluster.py gives the role the rights that CONTAINER_SECRETS needs" in told
    fargate.has_run("create_cluster.py", "run_task.py")


def test_a_log_group_that_was_deleted_is_told_with_its_remedy(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED).aws("logs").delete_log_group(logGroupName="/ecs/api")
    told = why_it_failed(fargate)
    assert "The specified log group does not exist" in told
    assert "create_cluster.py makes the log group" in told


def test_nfs_that_is_closed_is_told_with_its_remedy(fargate: Runbook) -> None:
    ec2 = fargate.has_run(*REGISTERED).aws("ec2")
    filters = [{"Name": "group-name", "Values": ["api-file-system"]}]
    [group] = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    told = why_it_failed(fargate)
    assert "Look at the mount targets, and at the security group that lets NFS in" in told
    fargate.has_run("create_cluster.py", "run_task.py")


def test_a_role_that_may_not_mount_is_told_with_its_remedy(fargate: Runbook) -> None:
    iam = fargate.has_run(*REGISTERED).aws("iam")
    iam.delete_role_policy(RoleName="api-task-us-east-1", PolicyName="settings")
    told = why_it_failed(fargate)
    assert "access denied by server while mounting" in told
    assert "The task role's policy, or the file system's, does not let it mount" in told
    fargate.has_run("create_cluster.py", "run_task.py")


def test_a_route_that_is_gone_is_told(fargate: Runbook) -> None:
    ec2 = fargate.has_run(*REGISTERED).aws("ec2")
    filters = [{"Name": "tag:gpu-ecs-cluster", "Values": ["api"]}]
    [table] = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    assert "i/o timeout" in why_it_failed(fargate)
    fargate.has_run("create_cluster.py", "run_task.py")


STOPPED: dict[str, tuple[dict[str, Any], str]] = {
    "a newer CUDA than the driver": (
        {"reason": "OCI runtime: requirement error: unsatisfied condition: cuda>=13.1"},
        "The image wants a newer CUDA than the AMI's driver has",
    ),
    "a full disk": (
        {"reason": "CannotPullContainerError: write /layer.tar: no space left on device"},
        "Raise ROOT_VOLUME_GIB; update_cluster.py brings hosts with it",
    ),
    "out of memory, without a limit of its own": (
        {"reason": "OutOfMemoryError: killed", "exitCode": 137},
        "with more memory",
    ),
    "another CPU, of an index": (
        {"reason": "CannotPullContainerError: no matching manifest for linux/amd64 in the manifest list entries"},
        "The image is for another CPU than the host has: build it for that",
    ),
    "another CPU, on Fargate": (
        {
            "reason": "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'"
        },
        "The image is for another CPU than the host has: build it for that",
    ),
    "credentials that are needed": (
        {
            "reason": 'CannotPullContainerError: Head "https://ghcr.io/v2/team/app/manifests/v1": unauthorized: authentication'
        },
        "The registry has no such image, or wants other credentials: REGISTRY_CREDENTIALS names a secret with them",
    ),
    "credentials that are needed, on Fargate": (
        {
            "reason": "CannotPullContainerError: failed to fetch anonymous token: https://ghcr.io/token: 401 Unauthorized"
        },
        "or wants other credentials",
    ),
    "denied": (
        {
            "reason": "CannotPullContainerError: pull access denied for team/app, repository does not exist or may require"
        },
        "or wants other credentials",
    ),
    "too many pulls": (
        {"reason": "CannotPullContainerError: toomanyrequests: You have reached your pull rate limit."},
        "The registry has had too many pulls from this address: wait",
    ),
    "a command that is not there": (
        {
            "reason": 'CannotStartContainerError: exec: "[vllm,": executable file not found in $PATH: unknown',
            "exitCode": 127,
        },
        "The image has no such program: look at ENTRY_POINT and COMMAND",
    ),
    "a command that a shell does not find": (
        {"reason": "", "exitCode": 127},
        "The image has no such program: look at ENTRY_POINT and COMMAND",
    ),
}


@pytest.mark.parametrize(("container", "hint"), STOPPED.values(), ids=STOPPED)
def test_a_reason_that_users_meet_gets_its_remedy(runbook: Runbook, container: dict[str, Any], hint: str) -> None:
    runbook.run("describe_task.py")  # the product's modules, with these settings
    from infrastructure.service import diagnosis

    task = {
        "lastStatus": "STOPPED",
        "stopCode": "TaskFailedToStart",
        "containerInstanceArn": "arn:host",
        "containers": [{"name": "main", **container}],
    }
    assert hint in diagnosis.why(task)
    assert container["reason"] in diagnosis.why(task)


def test_what_only_the_log_tells_gets_its_remedy_too(fargate: Runbook) -> None:
    """An image that is no index is pulled for whatever CPU it is."""
    images.add(fargate.emulator.world, fargate.settings["IMAGE"])
    fargate.has_run(*REGISTERED)
    images.add(fargate.emulator.world, fargate.settings["IMAGE"], platforms=["linux/arm64"])
    told = fargate.run("run_task.py", RUN_UNTIL="STOPPED").err
    assert "log: exec server: exec format error" in told
    assert "The image is for another CPU than the host has" in told


#: settings that say nothing about a task on Fargate
OF_HOSTS = (
    "INSTANCE_TYPE",
    "AMI_ID",
    "ROOT_VOLUME_GIB",
    "INSTANCES",
    "CLUSTER_SIZE",
    "GPU_",
    "SHARED_MEMORY",
    "KEY_NAME",
)
REASONS = {
    "no space left on device": "Fargate gives a task 20 GiB of disk",
    "OutOfMemoryError: killed": "Raise TASK_MEMORY",
    "Capacity is unavailable at this time": "Try again, or use other zones.",
}


@pytest.mark.parametrize(("reason", "hint"), REASONS.items(), ids=REASONS)
def test_on_fargate_no_hint_names_a_setting_of_hosts(fargate: Runbook, reason: str, hint: str) -> None:
    fargate.run("describe_task.py")
    from infrastructure.service import diagnosis

    task = {
        "lastStatus": "STOPPED",
        "stopCode": "TaskFailedToStart",
        "stoppedReason": reason,
        "containers": [{"name": "main"}],
    }
    told = diagnosis.why(task)
    assert hint in told
    assert not any(name in told for name in OF_HOSTS)


@pytest.mark.parametrize("launched", ["runbook", "fargate"])
def test_each_setting_that_a_hint_names_is_one(request: pytest.FixtureRequest, launched: str) -> None:
    request.getfixturevalue(launched).run("describe_task.py")
    import constants
    from infrastructure.service import diagnosis

    hints = diagnosis.hints(of_host=launched == "runbook")
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", " ".join(hints.values())))
    assert named and named <= constants.KNOWN.keys()


def test_a_spot_host_that_was_taken_back_is_told(runbook: Runbook) -> None:
    runbook.run("describe_task.py")
    from infrastructure.service import diagnosis

    task = {
        "lastStatus": "STOPPED",
        "stopCode": "SpotInterruption",
        "stoppedReason": "Your Spot Task was interrupted.",
        "containerInstanceArn": "arn:host",
        "containers": [{"name": "main", "exitCode": 143}],
    }
    assert diagnosis.why(task).startswith("SpotInterruption: Your Spot Task was interrupted;")


def test_the_page_tells_of_a_task_whose_spot_host_is_gone(runbook: Runbook) -> None:
    runbook.settings["CAPACITY_TYPE"] = "spot"
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.has_run("run_task.py")
    [reservation] = runbook.aws("ec2").describe_instances()["Reservations"]
    host = reservation["Instances"][0]["InstanceId"]
    DOORS["POST", "/_emulator/spot-interruptions"](runbook.emulator, {"instance": host})
    [instance] = runbook.aws("ecs").list_container_instances(cluster="gpu", status="DRAINING")["containerInstanceArns"]
    assert instance
    runbook.settle(600)
    ran = runbook.run("describe_task.py")
    assert f"TerminationNotice: Host EC2 (instance {host}) terminated." in ran.err
