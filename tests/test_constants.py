"""Every mistake in the settings is told in a sentence, all at once, with exit code 2, before the first AWS call."""

from __future__ import annotations

import pytest

from tests.conftest import Runbook

MISTAKES = {
    "CLUSTER_NAME is missing": ({"CLUSTER_NAME": "(unset)"}, "CLUSTER_NAME: is not set"),
    "CLUSTER_NAME is too long": ({"CLUSTER_NAME": "a" * 29}, "has 29 characters; 28 at most"),
    "CLUSTER_NAME has odd characters": ({"CLUSTER_NAME": "a_b!"}, "is not letters, digits and hyphens"),
    "CLUSTER_NAME begins with ecs": ({"CLUSTER_NAME": "ecs-demo"}, "which AWS keeps for itself"),
    "not a CIDR": ({"VPC_CIDR": "10.0.0.0"}, "VPC_CIDR: '10.0.0.0' is outside /16 to /28"),
    "not a CIDR at all": ({"VPC_CIDR": "here"}, "VPC_CIDR: 'here' is not a CIDR block"),
    "CIDR with host bits": ({"ALLOWED_CIDR": "10.0.0.5/16"}, "ALLOWED_CIDR: '10.0.0.5/16' is not a CIDR block"),
    "CIDR too large": ({"VPC_CIDR": "10.0.0.0/15"}, "is outside /16 to /28"),
    "subnet outside the VPC": (
        {"PUBLIC_SUBNET_CIDRS": "10.1.0.0/24"},
        "10.1.0.0/24 is not inside VPC_CIDR=10.0.0.0/16",
    ),
    "subnets overlap": ({"PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.0.0/25"}, "overlap"),
    "no subnet": ({"PUBLIC_SUBNET_CIDRS": ""}, "PUBLIC_SUBNET_CIDRS: is empty"),
    "zones do not match": ({"AVAILABILITY_ZONES": "us-east-1a,us-east-1b"}, "names 2 zones for 1"),
    "a Fargate pair that does not exist": (
        {"LAUNCH_TYPE": "FARGATE", "GPU_COUNT": "0", "TASK_CPU": "256", "TASK_MEMORY": "8192"},
        "TASK_MEMORY: 8192 does not go with TASK_CPU=256 on Fargate: 512 to 2048",
    ),
    "a Fargate size that does not exist": (
        {"LAUNCH_TYPE": "FARGATE", "GPU_COUNT": "0", "TASK_CPU": "300"},
        "TASK_CPU: 300 is not a Fargate size",
    ),
    "GPUs on Fargate": ({"LAUNCH_TYPE": "FARGATE", "GPU_COUNT": "1"}, "Fargate has no GPUs"),
    "port out of range": ({"CONTAINER_PORTS": "70000"}, "has a port out of range"),
    "port of the ECS agent": ({"CONTAINER_PORTS": "51678:80"}, "takes host port 51678"),
    "port without an allowed CIDR": ({"CONTAINER_PORTS": "9090"}, "ALLOWED_CIDR: is not set"),
    "unknown launch type": ({"LAUNCH_TYPE": "LAMBDA"}, "LAUNCH_TYPE: 'LAMBDA' is unknown: use EC2 or FARGATE"),
    "a volume that can't be read": ({"EFS_VOLUMES": "data"}, "has a volume that can't be read: 'data'"),
    "a volume twice": ({"EFS_VOLUMES": "a:/x,a:/y"}, "EFS_VOLUMES: has the name a twice"),
    "not a number": ({"MAX_INSTANCES": "many"}, "MAX_INSTANCES: 'many' is not a whole number"),
    "minimum over maximum": ({"MIN_INSTANCES": "3"}, "MIN_INSTANCES: 3 is more than MAX_INSTANCES=1"),
    "an image without a tag": ({"IMAGE": "nvidia/cuda"}, "names no tag and no digest"),
    "retention that Logs does not know": ({"LOG_RETENTION_DAYS": "42"}, "LOG_RETENTION_DAYS: 42 is not one"),
    "environment that can't be read": ({"CONTAINER_ENVIRONMENT": "A"}, "is not NAME=value: 'A'"),
    "a secret in plain text": ({"CONTAINER_SECRETS": "KEY=hunter2"}, "is not the ARN of a Secrets Manager secret"),
    "SSH without a CIDR": ({"KEY_NAME": "mine"}, "SSH_ALLOWED_CIDR: is not set, but KEY_NAME is"),
    "subnets without their VPC": ({"SUBNET_IDS": "subnet-0a1b2c3d"}, "VPC_ID: is empty, but SUBNET_IDS is set"),
    "maxIO with elastic": ({"EFS_PERFORMANCE_MODE": "maxIO"}, "elastic does not go with EFS_PERFORMANCE_MODE=maxIO"),
    "a misspelt setting": ({"INSTNACE_TYPE": "g5.xlarge"}, "INSTNACE_TYPE: is no setting; did you mean INSTANCE_TYPE?"),
    "a tag of AWS's own": ({"EXTRA_TAGS": "aws:x=1"}, "the tag 'aws:x' can't be set"),
}


@pytest.mark.parametrize(("settings", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_a_sentence_and_exit_code_2_and_no_call(
    runbook: Runbook, settings: dict[str, str], sentence: str
) -> None:
    ran = runbook.run("create_cluster.py", **settings)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert not runbook.emulator.calls


def test_all_mistakes_are_told_at_once(runbook: Runbook) -> None:
    ran = runbook.run("run_task.py", CLUSTER_NAME="(unset)", MAX_INSTANCES="x", LAUNCH_TYPE="y", IMAGE="z")
    assert ran.code == 2
    assert [line.split(":")[0] for line in ran.err.splitlines()] == [
        "CLUSTER_NAME",
        "LAUNCH_TYPE",
        "MAX_INSTANCES",
        "IMAGE",
    ]


def test_help_needs_no_settings(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py", "--help", CLUSTER_NAME="(unset)")
    assert ran.code == 0
    assert "--dry-run" in ran.out
