"""GPU_SHARING=mps: two endpoints on one GPU, each with its part of the memory."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from aws import service_models
from emulator.ecs import agent as ecs_agent
from tests import conftest
from tests.conftest import Runbook

SHARED = {
    "LAUNCH_TYPE": "EC2",
    "NETWORK_MODE": "awsvpc",
    "INSTANCE_TYPE": "g4dn.xlarge",
    "MAX_INSTANCES": "1",
    "TASK_CPU": "",
    "TASK_MEMORY": "6000",
    "DESIRED_COUNT": "1",
    "SCALING": "none",
    "GPU_SHARING": "mps",
    "GPU_MEMORY_MIB": "7000",
    "IMAGE": "nvidia/cuda:12.8.1-base-ubuntu24.04",
    "COMMAND": "sleep infinity",
    "IMAGE_TAG": "",
    "EFS_VOLUMES": "",
}
SERVICE = ("register_task_definition.py", "create_service.py")


@pytest.fixture
def sharing(endpoints: Runbook) -> Runbook:
    endpoints.settings |= SHARED
    return endpoints


@pytest.fixture
def lone(runbook: Runbook) -> Runbook:
    """A cluster without endpoints whose tasks share GPUs."""
    runbook.settings |= {"GPU_SHARING": "mps", "GPU_MEMORY_MIB": "7000", "EFS_VOLUMES": ""}
    return runbook


def devices(runbook: Runbook) -> list[Any]:
    """The GPUs of the only host."""
    ecs = runbook.aws("ecs")
    [cluster] = ecs.list_clusters()["clusterArns"]
    [host] = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
    [described] = ecs.describe_container_instances(cluster=cluster, containerInstances=[host])["containerInstances"]
    return list(described["gpuDevices"])


# ------------------------------------------------------------------------------------------------- two on one GPU


def test_two_endpoints_run_on_one_g4dn_and_a_deploy_says_that_it_has_no_room_beside(sharing: Runbook) -> None:
    sharing.has_run("create_cluster.py")
    for endpoint in ("a", "b"):
        sharing.has_run(*SERVICE, ENDPOINT=endpoint)
    [gpu] = devices(sharing)
    assert (gpu["sharingMode"], gpu["containerCount"]) == ("NVIDIA_MPS", 2)
    assert (gpu["totalMemoryInMiB"], gpu["remainingMemoryInMiB"]) == (15360, 1360)
    services = sharing.aws("ecs").describe_services(cluster="ml", services=["ml-a", "ml-b"])["services"]
    assert [each["runningCount"] for each in services] == [1, 1]
    assert len(sharing.aws("autoscaling").describe_auto_scaling_instances()["AutoScalingInstances"]) == 1

    [host] = sharing.run("describe_clusters.py").result["hosts"]
    shown = {"sharingMode": "NVIDIA_MPS", "totalMemoryInMiB": 15360, "remainingMemoryInMiB": 1360, "containerCount": 2}
    assert host["gpuMemory"] == [shown]

    newer = {"ENDPOINT": "a", "COMMAND": "sleep 86400"}
    sharing.has_run("register_task_definition.py", **newer)
    ran = sharing.run("update_service.py", **newer, ALLOW_DOWNTIME="false")
    assert ran.code == 1
    assert "no GPU would be free for a new task beside 1 running ones" in ran.err
    ran = sharing.run("update_service.py", **newer)
    assert ran.code == 0, ran.err
    assert "warning every GPU is in use:  a deploy stops the old task first" in ran.err


def test_the_container_asks_for_a_part_and_for_no_count(lone: Runbook) -> None:
    lone.has_run("create_cluster.py", GPU_COUNT="0")
    made = lone.run("register_task_definition.py", GPU_COUNT="0").result
    [container] = lone.aws("ecs").describe_task_definition(taskDefinition="gpu")["taskDefinition"][
        "containerDefinitions"
    ]
    part = {"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": 7000}}}
    assert container["resourceRequirements"] == [part]
    assert made["gpuMemoryMib"] == 7000
    ran = lone.run("register_task_definition.py")
    assert "nothing has changed" in ran.err
    [template] = lone.aws("ec2").describe_launch_templates()["LaunchTemplates"]
    name = template["LaunchTemplateName"]
    [version] = lone.aws("ec2").describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Latest"])[
        "LaunchTemplateVersions"
    ]
    [image] = lone.aws("ec2").describe_images(ImageIds=[version["LaunchTemplateData"]["ImageId"]])["Images"]
    assert "-gpu-" in image["Name"]  # the part needs the driver too


def test_two_tasks_share_a_gpu_and_the_third_waits_saying_why(lone: Runbook) -> None:
    lone.has_run("create_cluster.py", "register_task_definition.py")
    lone.has_run("run_task.py", TASK_COUNT="2")
    assert [gpu["containerCount"] for gpu in devices(lone)] == [2]
    ran = lone.run("run_task.py", TASK_COUNT="3", WAIT_TIMEOUT_SECONDS="120")
    assert ran.code == 3
    assert "no GPU has enough memory left: 1360 MiB, the task needs GPU_MEMORY_MIB=7000" in ran.err


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"GPU_MEMORY_MIB": ""}, "GPU_MEMORY_MIB: is not set, but GPU_SHARING=mps: say what each task gets"),
        ({"GPU_SHARING": ""}, "GPU_SHARING: is not set, but GPU_MEMORY_MIB=7000"),
        ({"GPU_COUNT": "2"}, "GPU_COUNT: '2' does not go with GPU_SHARING=mps: a task then has a part of one GPU"),
        (
            {"LAUNCH_TYPE": "FARGATE", "TASK_CPU": "1024", "TASK_MEMORY": "2048"},
            "GPU_SHARING: mps, but LAUNCH_TYPE=FARGATE: Fargate has no GPUs",
        ),
        ({"GPU_SHARING": "timeslicing"}, "GPU_SHARING: 'timeslicing' is unknown"),
    ],
)
def test_settings_that_contradict_each_other_are_told(lone: Runbook, settings: dict[str, str], sentence: str) -> None:
    ran = lone.run("create_cluster.py", **settings)
    assert (ran.code, sentence in ran.err) == (2, True), ran.err
    assert lone.changes(0) == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"GPU_MEMORY_MIB": "20000"},
            "GPU_MEMORY_MIB=20000 is more than a GPU of INSTANCE_TYPE=g4dn.xlarge has: 16384 MiB",
        ),
        ({"INSTANCE_TYPE": "m5.xlarge"}, "INSTANCE_TYPE=m5.xlarge has no NVIDIA GPU"),
        (
            {"INSTANCE_TYPE": "g6f.xlarge"},
            "INSTANCE_TYPE=g6f.xlarge has a part of a GPU, which GPU_SHARING can't share",
        ),
    ],
)
def test_types_that_can_not_share_so_much_are_refused(lone: Runbook, settings: dict[str, str], sentence: str) -> None:
    ran = lone.run("create_cluster.py", **settings)
    assert (ran.code, sentence in ran.err) == (1, True), ran.err
    assert lone.changes(0) == []


def test_more_tasks_than_fit_are_refused_by_memory_and_by_network_interfaces(sharing: Runbook) -> None:
    sharing.has_run("create_cluster.py")
    sharing.has_run("register_task_definition.py", ENDPOINT="a")
    many = {"ENDPOINT": "a", "DESIRED_COUNT": "3", "MAX_TASKS": "3"}
    ran = sharing.run("create_service.py", **many)
    assert ran.code == 1
    assert "DESIRED_COUNT=3 tasks need 3 parts of a GPU with 7000 MiB, but 1 g4dn.xlarge hosts have 2: raise" in ran.err
    ran = sharing.run("create_service.py", **many, GPU_MEMORY_MIB="3000")
    assert ran.code == 1
    assert "DESIRED_COUNT=3 tasks need 3 network interfaces, but 1 g4dn.xlarge hosts have 2: raise" in ran.err
    sharing.aws("ecs").put_account_setting(name="awsvpcTrunking", value="enabled")
    ran = sharing.run("create_service.py", **many, GPU_MEMORY_MIB="3000")
    assert ran.code == 1
    assert "DESIRED_COUNT=3 tasks need 3 places in memory, but 1 g4dn.xlarge hosts have 2: raise" in ran.err
    ran = sharing.run("create_service.py", "--dry-run", **many, GPU_MEMORY_MIB="3000", TASK_MEMORY="5000")
    assert ran.code == 0, ran.err


def test_a_client_that_does_not_know_sharing_is_refused_with_what_to_install(
    lone: Runbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Older(service_models.Models):
        def load_service_model(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
            model = super().load_service_model(service_name, *args, **kwargs)
            if service_name == "ecs" and "shapes" in model:
                model = copy.deepcopy(model)
                del model["shapes"]["ResourceRequirement"]["members"]["sharingStrategy"]
            return model

    lone.has_run("create_cluster.py", GPU_SHARING="", GPU_MEMORY_MIB="")
    calls = len(lone.emulator.calls)
    monkeypatch.setattr(service_models, "read_once", lambda paths: Older([*paths], include_default_search_paths=False))
    monkeypatch.setattr(conftest, "_owner_of_clients", [None])  # what is made from now on knows nothing of it
    for script in ("create_cluster.py", "register_task_definition.py"):
        ran = lone.run(script)
        assert ran.code == 1
        assert "does not know it yet: pip install --upgrade 'boto3>=1.44.5'" in ran.err
    assert lone.changes(calls) == []


def test_hosts_that_can_not_share_are_refused(lone: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ecs_agent.make_instance

    def older(*args: Any) -> Any:
        instance = made(*args)
        instance.attributes.pop("ecs.capability.gpu-sharing-mps", None)
        return instance

    monkeypatch.setattr(ecs_agent, "make_instance", older)
    lone.has_run("create_cluster.py", "register_task_definition.py", MIN_INSTANCES="1")
    ran = lone.run("run_task.py", MIN_INSTANCES="1")
    assert ran.code == 1
    assert (
        "none of the 1 hosts has the attribute ecs.capability.gpu-sharing-mps; their AMI or ECS agent is too" in ran.err
    )


def test_a_gpu_whose_driver_leaves_less_than_is_asked_for_is_refused(lone: Runbook) -> None:
    nearly = {"MIN_INSTANCES": "1", "GPU_MEMORY_MIB": "16000"}  # of 16384 MiB the driver leaves 15360
    lone.has_run("create_cluster.py", "register_task_definition.py", **nearly)
    ran = lone.run("run_task.py", **nearly)
    assert ran.code == 1
    assert "GPU_MEMORY_MIB=16000 is more than a GPU of the hosts has for containers: 15360 MiB" in ran.err
