"""register_task_definition.py says what runs; a revision that is already right is used again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Runbook


def definition(runbook: Runbook, family: str = "") -> dict[str, Any]:
    answer = runbook.aws("ecs").describe_task_definition(
        taskDefinition=family or runbook.settings["CLUSTER_NAME"], include=["TAGS"]
    )
    return {**answer["taskDefinition"], "tags": answer["tags"]}


def registered(runbook: Runbook, **settings: str) -> dict[str, Any]:
    """The task definition that these settings give."""
    runbook.settings.update(settings)
    return definition(runbook.has_run("create_cluster.py", "register_task_definition.py"))


# -------------------------------------------------------------------------------------------------------------- what


@pytest.mark.parametrize("mode", ["bridge", "host", "awsvpc"])
def test_a_container_that_reaches_the_hosts_role_is_told(runbook: Runbook, mode: str) -> None:
    ran = runbook.has_run("create_cluster.py").run("register_task_definition.py", NETWORK_MODE=mode)
    assert (ran.code, "may what the host's role may" in ran.err) == (0, mode == "host"), ran.err


def test_gpus_memory_and_shared_memory_are_asked_for(runbook: Runbook) -> None:
    found = registered(runbook, TASK_MEMORY="8192", TASK_CPU="2048")
    [container] = found["containerDefinitions"]
    assert container["resourceRequirements"] == [{"type": "GPU", "value": "1"}]
    assert container["linuxParameters"]["sharedMemorySize"] == 2048
    assert (found["cpu"], found["memory"], found["requiresCompatibilities"]) == ("2048", "8192", ["EC2"])


SHARED = {"1024 with a GPU": ({}, 1024), "as asked": ({"SHARED_MEMORY_MIB": "4096"}, 4096)}


@pytest.mark.parametrize(("settings", "mib"), SHARED.values(), ids=SHARED)
def test_shared_memory_without_task_memory_is(runbook: Runbook, settings: dict[str, str], mib: int) -> None:
    [container] = registered(runbook, **settings)["containerDefinitions"]
    assert container["linuxParameters"]["sharedMemorySize"] == mib


def test_without_gpus_none_is_asked_for(runbook: Runbook) -> None:
    [container] = registered(runbook, GPU_COUNT="0", INSTANCE_TYPE="t3.micro")["containerDefinitions"]
    assert not container.get("resourceRequirements")
    assert not (container.get("linuxParameters") or {}).get("sharedMemorySize")


def test_on_fargate_the_pair_the_network_and_the_roles_are_there(fargate: Runbook) -> None:
    found = registered(fargate, TASK_CPU="4096", TASK_MEMORY="8192")
    assert (found["cpu"], found["memory"], found["networkMode"]) == ("4096", "8192", "awsvpc")
    assert found["requiresCompatibilities"] == ["FARGATE"]
    assert found["executionRoleArn"].endswith("role/api-task-execution-us-east-1")
    assert found["taskRoleArn"].endswith("role/api-task-us-east-1")


def test_each_volume_has_its_own_access_point_encrypted_on_the_way_with_iam(runbook: Runbook) -> None:
    found = registered(runbook, EFS_VOLUMES="weights:/app/weights:ro,assets:/app/assets")
    points = {
        point["RootDirectory"]["Path"]: point["AccessPointId"]
        for point in runbook.aws("efs").describe_access_points()["AccessPoints"]
    }
    for volume in found["volumes"]:
        configuration = volume["efsVolumeConfiguration"]
        assert configuration["transitEncryption"] == "ENABLED"
        assert configuration["authorizationConfig"] == {"accessPointId": points[f"/{volume['name']}"], "iam": "ENABLED"}
    assert len(found["volumes"]) == 2


def test_a_volume_is_read_only_where_asked(runbook: Runbook) -> None:
    found = registered(runbook, EFS_VOLUMES="weights:/app/weights:ro,assets:/app/assets")
    assert found["containerDefinitions"][0]["mountPoints"] == [
        {"sourceVolume": "weights", "containerPath": "/app/weights", "readOnly": True},
        {"sourceVolume": "assets", "containerPath": "/app/assets", "readOnly": False},
    ]


def test_without_volumes_there_is_no_file_system(runbook: Runbook) -> None:
    assert registered(runbook, EFS_VOLUMES="")["volumes"] == []
    assert runbook.aws("efs").describe_file_systems()["FileSystems"] == []


def test_logs_go_to_the_group_that_is_there(runbook: Runbook) -> None:
    [container] = registered(runbook)["containerDefinitions"]
    options = container["logConfiguration"]["options"]
    assert (options["awslogs-group"], options["awslogs-region"]) == ("/ecs/gpu", "us-east-1")
    [group] = runbook.aws("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/ecs/gpu", 30)


def test_a_log_group_that_was_deleted_is_made_again_first(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py").aws("logs").delete_log_group(logGroupName="/ecs/gpu")
    runbook.has_run("register_task_definition.py")
    [group] = runbook.aws("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/ecs/gpu", 30)


def test_environment_secrets_command_and_entry_point_are_passed_on(fargate: Runbook) -> None:
    arn = fargate.aws("secretsmanager").create_secret(Name="token", SecretString="x")["ARN"]
    found = registered(
        fargate,
        CONTAINER_ENVIRONMENT=r"SD_API_TRANSPORT=1,LIST=a\,b",
        CONTAINER_SECRETS=f"HF_TOKEN={arn}",
        ENTRY_POINT="/bin/sh -c",
        COMMAND="'echo hello; sleep 1'",
    )
    [container] = found["containerDefinitions"]
    assert {each["name"]: each["value"] for each in container["environment"]} == {
        "SD_API_TRANSPORT": "1",
        "LIST": "a,b",
    }
    assert container["secrets"] == [{"name": "HF_TOKEN", "valueFrom": arn}]
    assert (container["entryPoint"], container["command"]) == (["/bin/sh", "-c"], ["echo hello; sleep 1"])


def test_the_execution_role_may_read_exactly_the_secrets_that_are_named(fargate: Runbook) -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-abc123"
    fargate.has_run("create_cluster.py", CONTAINER_SECRETS=f"HF_TOKEN={arn}")
    iam = fargate.aws("iam")
    policy = iam.get_role_policy(RoleName="api-task-execution-us-east-1", PolicyName="settings")["PolicyDocument"]
    assert policy["Statement"] == [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": [arn]}]


def test_tags_are_on_the_revision(fargate: Runbook) -> None:
    tags = {tag["key"]: tag["value"] for tag in registered(fargate, EXTRA_TAGS="team=ml,owner=ann")["tags"]}
    assert (tags["team"], tags["owner"], tags["gpu-ecs-cluster"]) == ("ml", "ann", "api")


# --------------------------------------------------------------------------------------------------------- again


def test_registering_twice_keeps_one_revision(runbook: Runbook) -> None:
    registered(runbook)
    begun = len(runbook.emulator.calls)
    ran = runbook.run("register_task_definition.py")
    assert (ran.code, ran.result["revision"], runbook.changes(begun)) == (0, 1, [])
    assert "found task definition gpu:1  nothing has changed" in ran.err


def test_registering_twice_keeps_one_revision_with_everything_set(fargate: Runbook) -> None:
    arn = "arn:aws:ssm:us-east-1:123456789012:parameter/token"
    fargate.aws("ssm").put_parameter(Name="token", Value="x", Type="SecureString")
    fargate.settings.update(CONTAINER_ENVIRONMENT="B=2,A=1", CONTAINER_SECRETS=f"T={arn}", COMMAND="serve --fast")
    fargate.settings.update(EFS_VOLUMES="b:/b,a:/a:ro", CONTAINER_PORTS="9090,9091")
    registered(fargate)
    assert fargate.run("register_task_definition.py").result["revision"] == 1


CHANGES = {
    "IMAGE": "nvidia/cuda:12.9.0-base-ubuntu24.04",
    "COMMAND": "nvidia-smi",
    "ENTRY_POINT": "/bin/sh",
    "CONTAINER_ENVIRONMENT": "A=1",
    "TASK_MEMORY": "4096",
    "TASK_CPU": "1024",
    "SHARED_MEMORY_MIB": "2048",
    "NETWORK_MODE": "host",
}


def test_each_changed_setting_gives_a_new_revision(runbook: Runbook) -> None:
    registered(runbook)
    for number, (setting, value) in enumerate(CHANGES.items(), 2):
        runbook.settings[setting] = value
        assert runbook.run("register_task_definition.py").result["revision"] == number, setting
    for setting in CHANGES:  # and back: what is left out again is a change too
        del runbook.settings[setting]
    assert runbook.run("register_task_definition.py").result["revision"] == len(CHANGES) + 2


def test_a_changed_tag_is_set_on_the_revision_that_is_there(runbook: Runbook) -> None:
    found = registered(runbook)
    ran = runbook.run("register_task_definition.py", EXTRA_TAGS="team=ml")
    assert (ran.code, ran.result["revision"]) == (0, 1), ran.err
    shown = runbook.aws("ecs").describe_task_definition(taskDefinition="gpu:1", include=["TAGS"])["tags"]
    assert {"key": "team", "value": "ml"} in shown
    assert {tag["key"] for tag in found["tags"]} < {tag["key"] for tag in shown}


def test_a_revision_of_anothers_is_not_taken_for_ours(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py", "register_task_definition.py")
    ours = definition(fargate)
    kept = (
        "family",
        "containerDefinitions",
        "volumes",
        "networkMode",
        "cpu",
        "memory",
        "requiresCompatibilities",
        "executionRoleArn",
    )
    fargate.aws("ecs").register_task_definition(**{key: ours[key] for key in kept})
    assert fargate.run("register_task_definition.py").result["revision"] == 3


def test_a_volume_without_its_access_point_says_what_to_run(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    ran = runbook.run("register_task_definition.py", EFS_VOLUMES="data:/data,assets:/assets")
    assert ran.code == 1
    assert "assets has no access point yet: run create_cluster.py again" in ran.err


def test_the_result_is_what_the_next_command_needs(fargate: Runbook) -> None:
    result = fargate.has_run("create_cluster.py").run("register_task_definition.py").result
    assert result["taskDefinitionArn"] == "arn:aws:ecs:us-east-1:123456789012:task-definition/api:1"
    assert json.loads(json.dumps(result)) == result


def test_with_exec_a_first_process_looks_after_what_a_shell_leaves(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py")
    arn = fargate.run("register_task_definition.py", ENABLE_EXECUTE_COMMAND="true").result["taskDefinitionArn"]
    [container] = fargate.aws("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"][
        "containerDefinitions"
    ]
    assert container["linuxParameters"]["initProcessEnabled"] is True
    again = fargate.run("register_task_definition.py", ENABLE_EXECUTE_COMMAND="true")
    assert "nothing has changed" in again.err


@pytest.mark.parametrize("count", [1, 7])
def test_a_former_family_is_told_once_by_the_page_itself(runbook: Runbook, count: int) -> None:
    runbook.has_run("create_cluster.py")
    for number in range(count):
        runbook.has_run("register_task_definition.py", LOG_RETENTION_DAYS="30", COMMAND=f"sleep {number}")
    runbook.settle(300)  # AWS's index of tags is a minute or two late
    ran = runbook.run("register_task_definition.py", TASK_FAMILY="other")
    assert (ran.code, "kept task definitions of gpu  free;" in ran.err) == (0, True), ran.err
    assert "kept" not in runbook.run("register_task_definition.py", TASK_FAMILY="other").err
    assert len(runbook.aws("ecs").list_task_definitions(familyPrefix="gpu")["taskDefinitionArns"]) == count


def test_one_of_which_nothing_is_left_is_not(runbook: Runbook) -> None:
    """The index lists for a while what is gone."""
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.settle(300)
    runbook.has_run("deregister_task_definition.py")
    ran = runbook.run("register_task_definition.py", TASK_FAMILY="other")
    assert (ran.code, "kept" in ran.err) == (0, False), ran.err
