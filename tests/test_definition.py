"""The settings of a container: where each arrives, what AWS would refuse before any call, and what comes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.registry import images
from tests.conftest import FARGATE, Runbook

REGISTER = ("create_cluster.py", "register_task_definition.py")
APP = "ghcr.io/team/app:v1"


def container(runbook: Runbook, **settings: str) -> dict[str, Any]:
    runbook.settings |= settings
    runbook.has_run(*REGISTER)
    name = runbook.settings["CLUSTER_NAME"]
    found = runbook.aws("ecs").describe_task_definition(taskDefinition=name)["taskDefinition"]
    return {"whole": found, **found["containerDefinitions"][0]}


#: setting -> its text, and what it comes to
ARRIVES: dict[str, tuple[str, Any]] = {
    "STOP_TIMEOUT": ("600", {"stopTimeout": 600}),
    "CONTAINER_USER": ("1000:1000", {"user": "1000:1000"}),
    "WORKING_DIRECTORY": ("/srv", {"workingDirectory": "/srv"}),
    "READONLY_ROOT": ("true", {"readonlyRootFilesystem": True}),
    "INIT": ("true", {"linuxParameters": {"sharedMemorySize": 1024, "initProcessEnabled": True}}),
    "TMPFS": (
        "/tmp:64",
        {"linuxParameters": {"sharedMemorySize": 1024, "tmpfs": [{"containerPath": "/tmp", "size": 64}]}},
    ),
    "CAPABILITIES": (
        "SYS_ADMIN,-NET_RAW",
        {"linuxParameters": {"sharedMemorySize": 1024, "capabilities": {"add": ["SYS_ADMIN"], "drop": ["NET_RAW"]}}},
    ),
    "ULIMITS": (
        "memlock:-1:-1,stack:67108864",
        {
            "ulimits": [
                {"name": "memlock", "softLimit": -1, "hardLimit": -1},
                {"name": "stack", "softLimit": 67108864, "hardLimit": 67108864},
            ]
        },
    ),
    "GPU_COUNT": ("ALL", {"resourceRequirements": [{"type": "GPU", "value": "ALL"}]}),
    "HEALTH_COMMAND": (
        '["nvidia-smi", "-L"]',
        {
            "healthCheck": {
                "command": ["CMD", "nvidia-smi", "-L"],
                **{"interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0},
            }
        },
    ),
}


@pytest.mark.parametrize("setting", ARRIVES)
def test_a_setting_arrives_in_the_container(setting: str, runbook: Runbook) -> None:
    text, wanted = ARRIVES[setting]
    found = container(runbook, **{setting: text})
    assert {key: found.get(key) for key in wanted} == wanted
    before = len(runbook.emulator.calls)
    assert runbook.run("register_task_definition.py").result["revision"] == 1
    assert runbook.changes(before) == []


def test_how_the_log_is_written_is_said(runbook: Runbook) -> None:
    assert container(runbook)["logConfiguration"]["options"]["mode"] == "non-blocking"
    options = container(runbook, LOG_OPTIONS="mode=non-blocking,max-buffer-size=25m")["logConfiguration"]["options"]
    assert (options["mode"], options["max-buffer-size"]) == ("non-blocking", "25m")


def test_a_health_command_is_a_line_for_the_shell(runbook: Runbook) -> None:
    found = container(runbook, HEALTH_COMMAND="test -d /data || exit 1", HEALTH_COMMAND_INTERVAL="10")
    assert found["healthCheck"]["command"] == ["CMD-SHELL", "test -d /data || exit 1"]
    assert found["healthCheck"]["interval"] == 10


ON_FARGATE = {**FARGATE, "IMAGE": "busybox:1"}
#: name of the setting that is told, or more of the sentence -> settings
REFUSED: dict[str, dict[str, str]] = {
    "ULIMITS: memlock, but Fargate lets only nofile": {**ON_FARGATE, "ULIMITS": "memlock:-1:-1"},
    "ULIMITS: 'nofile' has": {"ULIMITS": "nofile"},
    "ULIMITS: nofile has the soft limit 9, above": {"ULIMITS": "nofile:9:8"},
    "CAPABILITIES: adds NET_ADMIN, but Fargate": {**ON_FARGATE, "CAPABILITIES": "NET_ADMIN"},
    "CAPABILITIES: 'NET-ADMIN' has": {"CAPABILITIES": "NET-ADMIN"},
    "STOP_TIMEOUT: 300 is outside 2 to 120": {**ON_FARGATE, "STOP_TIMEOUT": "300"},
    "EPHEMERAL_STORAGE_GIB: '20' is outside 21 to 200": {**ON_FARGATE, "EPHEMERAL_STORAGE_GIB": "20"},
    "EPHEMERAL_STORAGE_GIB: is of Fargate": {"EPHEMERAL_STORAGE_GIB": "30"},
    "CPU_ARCHITECTURE: ARM64, but AWS has no": {"CPU_ARCHITECTURE": "ARM64"},
    "GPU_COMPUTE_PERCENT: 50, but GPU_SHARING": {"GPU_COMPUTE_PERCENT": "50"},
    "GPU_COUNT: '0.25' is a part of a GPU": {"GPU_COUNT": "0.25"},
    "READONLY_ROOT: does not go with": {"READONLY_ROOT": "true", "ENABLE_EXECUTE_COMMAND": "true"},
    "HEALTH_COMMAND_INTERVAL: '1' is outside 5 to 300": {"HEALTH_COMMAND": "true", "HEALTH_COMMAND_INTERVAL": "1"},
    "TMPFS: '/tmp' has '/tmp'; write": {"TMPFS": "/tmp"},
    "REGISTRY_CREDENTIALS: 'us:secret' is not the ARN": {"REGISTRY_CREDENTIALS": "us:secret"},
    "ENVIRONMENT_FILES: 's3://files/a.env' is not": {"ENVIRONMENT_FILES": "s3://files/a.env"},
    "ENVIRONMENT_FILES: has 11 files; 10 at most": {
        "ENVIRONMENT_FILES": ",".join(f"arn:aws:s3:::files/{number}.env" for number in range(11))
    },
    "LOG_OPTIONS: 'mode=fast' has mode=fast; known": {"LOG_OPTIONS": "mode=fast"},
    "LOG_OPTIONS: 'mode=blocking,max-buffer-size=1m' has max": {"LOG_OPTIONS": "mode=blocking,max-buffer-size=1m"},
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_aws_would_refuse_is_told_by_its_setting_before_any_call(told: str, runbook: Runbook) -> None:
    ran = runbook.run("register_task_definition.py", **REFUSED[told])
    assert (ran.code, told in ran.err, runbook.emulator.calls) == (2, True, []), ran.err


def test_fargate_has_a_larger_disk_tmpfs_and_arm_where_they_are_asked_for(fargate: Runbook) -> None:
    more = {"EPHEMERAL_STORAGE_GIB": "50", "TMPFS": "/tmp:64", "CPU_ARCHITECTURE": "ARM64", "IMAGE": "nginx:1"}
    whole = container(fargate, **more, COMMAND="sleep infinity")["whole"]
    assert whole["runtimePlatform"] == {"operatingSystemFamily": "LINUX", "cpuArchitecture": "ARM64"}
    assert whole["ephemeralStorage"] == {"sizeInGiB": 50}
    assert fargate.run("run_task.py").code == 0


def test_an_image_for_the_other_cpu_is_refused(fargate: Runbook) -> None:
    ran = fargate.has_run("create_cluster.py").run("register_task_definition.py", CPU_ARCHITECTURE="ARM64")
    assert (ran.code, "is for linux/amd64, but Fargate tasks are linux/arm64" in ran.err) == (1, True), ran.err


def test_an_image_that_is_too_large_for_fargate_fits_on_a_larger_disk(fargate: Runbook) -> None:
    images.add(fargate.emulator.world, "nvcr.io/team/large:v1", size=25 * 2**30)
    fargate.settings["IMAGE"] = "nvcr.io/team/large:v1"
    ran = fargate.has_run("create_cluster.py").run("register_task_definition.py")
    assert (ran.code, "a Fargate task has 20 GiB" in ran.err) == (1, True)
    assert fargate.run("register_task_definition.py", EPHEMERAL_STORAGE_GIB="100").code == 0


def test_a_host_of_another_cpu_is_refused(runbook: Runbook) -> None:
    settings = {"GPU_COUNT": "0", "INSTANCE_TYPE": "c7i.2xlarge", "CPU_ARCHITECTURE": "ARM64"}
    ran = runbook.run("create_cluster.py", **settings)
    told = "CPU_ARCHITECTURE=ARM64, but INSTANCE_TYPE=c7i.2xlarge is X86_64: set one of them"
    assert (ran.code, told in ran.err, runbook.changes(0)) == (1, True, []), ran.err


def test_a_task_on_arm_runs_on_a_host_of_that_cpu(runbook: Runbook) -> None:
    settings = {"GPU_COUNT": "0", "INSTANCE_TYPE": "m7g.large", "CPU_ARCHITECTURE": "ARM64", "IMAGE": "busybox:1"}
    runbook.settings |= {**settings, "COMMAND": "sleep infinity"}
    assert runbook.has_run(*REGISTER).run("run_task.py").code == 0


def test_all_gpus_of_a_host_are_one_task_s(runbook: Runbook) -> None:
    runbook.settings |= {"GPU_COUNT": "ALL", "INSTANCE_TYPE": "g4dn.12xlarge", "WAIT_TIMEOUT_SECONDS": "900"}
    ran = runbook.has_run(*REGISTER).run("run_task.py")
    told = runbook.run("describe_task.py").result["containers"][0]
    assert (ran.code, len(told["gpuIds"])) == (0, 4), ran.err
    ran = runbook.run("run_task.py", TASK_COUNT="2")
    assert (ran.code, "the task needs all of a host's" in ran.err) == (3, True), ran.err


def test_a_part_of_a_shared_gpu_has_a_part_of_its_compute(runbook: Runbook) -> None:
    found = container(runbook, GPU_SHARING="mps", GPU_MEMORY_MIB="4000", GPU_COMPUTE_PERCENT="25")
    share = {"nvidiaMps": {"memory": 4000, "maxComputePercent": 25}}
    assert found["resourceRequirements"] == [{"type": "GPU", "sharingStrategy": share}]


# --------------------------------------------------------------------------------------------------- what comes of them


def registry(runbook: Runbook, **keys: str) -> str:
    """A private image, and a secret with these keys."""
    images.add(runbook.emulator.world, APP, access="private", login="us:right")
    made = runbook.aws("secretsmanager").create_secret(Name="registry", SecretString=json.dumps(keys))
    runbook.settings |= {"IMAGE": APP, "REGISTRY_CREDENTIALS": made["ARN"]}
    return str(made["ARN"])


def test_an_image_of_a_private_registry_is_pulled_with_the_secret_s_credentials(runbook: Runbook) -> None:
    arn = registry(runbook, username="us", password="right")
    runbook.has_run(*REGISTER)
    iam, role = runbook.aws("iam"), "gpu-task-execution-us-east-1"
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = iam.get_role_policy(RoleName=role, PolicyName=name)
    [statement] = policy["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("secretsmanager:GetSecretValue", [arn])
    assert runbook.run("run_task.py").code == 0


def test_wrong_credentials_are_told_with_their_setting(runbook: Runbook) -> None:
    registry(runbook, username="us", password="wrong")
    ran = runbook.has_run(*REGISTER).run("run_task.py")
    assert (ran.code, "unauthorized" in ran.err, "REGISTRY_CREDENTIALS" in ran.err) == (1, True, True), ran.err
    assert "wrong" not in ran.err


def test_a_secret_that_is_no_registry_s_is_told_before_anything_is_registered(runbook: Runbook) -> None:
    registry(runbook, user="us")
    ran = runbook.has_run("create_cluster.py").run("register_task_definition.py")
    assert (ran.code, "has no JSON key username" in ran.err, "REGISTRY_CREDENTIALS: " in ran.err) == (1, True, True)
    assert runbook.aws("ecs").list_task_definitions()["taskDefinitionArns"] == []


def test_variables_of_a_file_in_s3_are_in_the_container(runbook: Runbook) -> None:
    s3 = runbook.aws("s3")
    s3.create_bucket(Bucket="files")
    s3.put_object(Bucket="files", Key="a.env", Body=b"MODE=fast\n")
    runbook.settings |= {"ENVIRONMENT_FILES": "arn:aws:s3:::files/a.env", "COMMAND": "printenv MODE"}
    ran = runbook.has_run(*REGISTER).run("run_task.py", RUN_UNTIL="STOPPED")
    events = runbook.aws("logs").filter_log_events(logGroupName="/ecs/gpu")["events"]
    assert (ran.code, [each["message"] for each in events]) == (0, ["fast"]), ran.err


def test_a_service_whose_health_command_fails_says_so(fargate: Runbook) -> None:
    fargate.settings |= {"IMAGE": "busybox:1", "COMMAND": "sleep infinity", "HEALTH_COMMAND": "exit 1"}
    fargate.settings |= {"HEALTH_COMMAND_INTERVAL": "5", "CONTAINER_PORTS": "", "HEALTH_CHECK_GRACE_SECONDS": "0"}
    ran = fargate.has_run(*REGISTER).run("create_service.py", WAIT_TIMEOUT_SECONDS="900")
    assert (ran.code != 0, "failed container health checks" in ran.err) == (True, True), ran.err
