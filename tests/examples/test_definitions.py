"""The originals' own task definitions, through TASK_DEFINITION_FILE: registered as they are, and running.

definitions/ holds their values as plain JSON: those of the files that originals.json names, with their parameters' values in
the place of CloudFormation's functions, in the Region of the tests.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.ecr import repositories
from emulator.registry import images
from tests.conftest import Runbook

FILES = Path(__file__).with_name("definitions")
ON_FARGATE = {"CLUSTER_NAME": "own", "LAUNCH_TYPE": "FARGATE", "GPU_COUNT": "0", "ALLOWED_CIDR": "203.0.113.7/32"}
ON_HOSTS = {"CLUSTER_NAME": "own", "EFS_VOLUMES": "", "ALLOWED_CIDR": "203.0.113.7/32"}
SETTINGS: dict[str, dict[str, str]] = {
    "clara": {**ON_HOSTS, "INSTANCE_TYPE": "g4dn.2xlarge"},
    "tensorflow": ON_HOSTS,
    "endpoint": {**ON_FARGATE, "EFS_VOLUMES": "prod-ep-a-assets:/app/assets,prod-ep-a-weights:/app/weights"},
    "apiserver": {**ON_FARGATE, "EFS_VOLUMES": "data:/var/data"},
}
#: what AWS shows of what its owner has left to it, and what only this cluster has
FILLED: dict[str, set[str]] = {
    "clara": {"requiresCompatibilities", "networkMode", "executionRoleArn", "taskRoleArn"},
    "tensorflow": {"requiresCompatibilities", "networkMode", "executionRoleArn", "taskRoleArn"},
    "endpoint": {"executionRoleArn", "taskRoleArn", "runtimePlatform"},
    "apiserver": {"executionRoleArn", "taskRoleArn", "runtimePlatform"},
}


def said(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FILES / f"{name}.json").read_text())
    return found


def prepared(runbook: Runbook, name: str) -> dict[str, Any]:
    """Images and log groups that the definition names: they are its owner's."""
    runbook.settings = {**SETTINGS[name], "TASK_DEFINITION_FILE": str(FILES / f"{name}.json")}
    runbook.settings["EFS_DELETION_POLICY"] = "Delete"
    definition = said(name)
    [container] = definition["containerDefinitions"]
    world = runbook.emulator.world
    if ".dkr.ecr." in container["image"]:
        repository, tag = container["image"].partition("/")[2].split(":")
        runbook.aws("ecr").create_repository(repositoryName=repository)
        repositories.put_image(world, "us-east-1", repository, tag)
    else:
        images.add(world, container["image"])
    options = container.get("logConfiguration", {}).get("options", {})
    if options:
        runbook.regional("logs", options["awslogs-region"]).create_log_group(logGroupName=options["awslogs-group"])
    return definition


def holds(present: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there as it stands; more may be."""
    if isinstance(wanted, dict):
        return all(holds((present or {}).get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(present or []) == len(wanted) and all(map(holds, present or [], wanted))
    return bool(present == wanted)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_definition_of_the_originals_is_registered_as_it_is_and_runs(name: str, runbook: Runbook) -> None:
    wanted = prepared(runbook, name)
    runbook.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    ecs = runbook.aws("ecs")
    [task] = ecs.describe_tasks(cluster="own", tasks=ecs.list_tasks(cluster="own")["taskArns"])["tasks"]
    found = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    assert task["lastStatus"] == "RUNNING"
    if wanted.get("memory") == "2GB":
        wanted["memory"] = "2048"  # as AWS shows it
    assert holds(found, wanted)
    known = {*("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities"), "registeredAt"}
    assert {key for key, value in found.items() if value} - {*wanted, *known, "registeredBy"} == FILLED[name]


@pytest.mark.parametrize("name", SETTINGS)
def test_registered_again_nothing_has_changed(name: str, runbook: Runbook) -> None:
    prepared(runbook, name)
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    before = len(runbook.emulator.calls)
    again = runbook.run("register_task_definition.py")
    assert (again.code, again.result["revision"], runbook.changes(before)) == (0, 1, []), again.err


@pytest.mark.parametrize("name", ["endpoint", "apiserver"])
def test_a_volume_that_says_but_its_name_is_the_one_of_efs_volumes(name: str, runbook: Runbook) -> None:
    wanted = prepared(runbook, name)
    ran = runbook.has_run("create_cluster.py").run("register_task_definition.py")
    found = runbook.aws("ecs").describe_task_definition(taskDefinition=ran.result["taskDefinitionArn"])[
        "taskDefinition"
    ]
    [system] = runbook.aws("efs").describe_file_systems()["FileSystems"]
    points = [each["AccessPointId"] for each in runbook.aws("efs").describe_access_points()["AccessPoints"]]
    for volume in found["volumes"]:
        efs = volume["efsVolumeConfiguration"]
        assert (efs["fileSystemId"], efs["transitEncryption"]) == (system["FileSystemId"], "ENABLED")
        assert efs["authorizationConfig"]["accessPointId"] in points
    assert [each["name"] for each in found["volumes"]] == [each["name"] for each in wanted["volumes"]]


def test_behind_a_load_balancer_the_file_s_container_and_port_get_the_requests(runbook: Runbook) -> None:
    prepared(runbook, "endpoint")
    two = "10.0.0.0/24,10.0.1.0/24"
    runbook.settings |= {"LISTENER_PROTOCOL": "HTTP", "PUBLIC_SUBNET_CIDRS": two, "HEALTH_CHECK_PATH": "/ping"}
    runbook.has_run("create_cluster.py", "register_task_definition.py", "create_service.py")
    service = runbook.run("describe_service.py")
    assert service.code == 0, service.err
    [found] = runbook.aws("ecs").describe_services(cluster="own", services=["prod-ep-a-API"])["services"]
    [led] = found["loadBalancers"]
    assert (led["containerName"], led["containerPort"], found["runningCount"]) == ("ep-a", 8000, 1)
