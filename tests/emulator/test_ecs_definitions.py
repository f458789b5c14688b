"""Task definitions: what AWS refuses, revisions, and their end."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.wire import Emulator
from tests.emulator.ecs_account import Client, refused


@pytest.fixture
def ecs(emulator: Emulator, client: Client) -> Any:
    return client("ecs")


def container(**changes: Any) -> dict[str, Any]:
    return {"name": "main", "image": "busybox:1", "memory": 256, **changes}


def register(ecs: Any, *containers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    request = {"family": "work", "containerDefinitions": list(containers) or [container()], **changes}
    return dict(ecs.register_task_definition(**request)["taskDefinition"])


FARGATE = {"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512"}


def gpu(value: str | None = None, **sharing: Any) -> dict[str, Any]:
    requirement: dict[str, Any] = {"type": "GPU"}
    if value is not None:
        requirement["value"] = value
    if sharing:
        requirement["sharingStrategy"] = {"nvidiaMps": sharing}
    return {"resourceRequirements": [requirement]}


def test_every_registration_is_a_new_revision(ecs: Any) -> None:
    assert [register(ecs)["revision"] for _ in range(3)] == [1, 2, 3]
    assert ecs.describe_task_definition(taskDefinition="work")["taskDefinition"]["revision"] == 3
    arns = ecs.list_task_definitions(familyPrefix="work", sort="DESC")["taskDefinitionArns"]
    assert [arn.rpartition(":")[2] for arn in arns] == ["3", "2", "1"]


def test_a_definition_is_shown_with_its_defaults(ecs: Any) -> None:
    shown = register(ecs, container(portMappings=[{"containerPort": 80}]))
    [first] = shown["containerDefinitions"]
    assert first["essential"] is True
    assert first["portMappings"] == [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}]
    assert shown["compatibilities"] == ["EXTERNAL", "EC2"]
    assert "FARGATE" in register(ecs, **FARGATE)["compatibilities"]
    assert "FARGATE" not in register(ecs, networkMode="awsvpc")["compatibilities"]


@pytest.mark.parametrize(
    ("cpu", "memory", "good"),
    [
        ("256", "512", True),
        ("256", "4096", False),
        ("512", "1024", True),
        ("512", "1536", False),
        ("1024", "8192", True),
        ("8192", "16384", True),
        ("8192", "17408", False),
        ("16384", "122880", True),
        ("300", "512", False),
        (".25 vCPU", "0.5 GB", True),
    ],
)
def test_fargate_has_certain_sizes_only(ecs: Any, cpu: str, memory: str, good: bool) -> None:
    size = {**FARGATE, "cpu": cpu, "memory": memory}
    if good:
        register(ecs, container(memory=128), **size)
    else:
        code, message = refused(register, ecs, container(memory=128), **size)
        assert (code, message) == ("ClientException", "No Fargate configuration exists for given values.")


@pytest.mark.parametrize(
    "changes",
    [
        {"networkMode": "bridge"},
        {"cpu": None},
        {"memory": None},
        {"volumes": [{"name": "v", "host": {"sourcePath": "/x"}}]},
        {"ephemeralStorage": {"sizeInGiB": 20}},
        {"ephemeralStorage": {"sizeInGiB": 201}},
        {"containerDefinitions": [container(privileged=True)]},
        {"containerDefinitions": [container(logConfiguration={"logDriver": "json-file"})]},
        {"containerDefinitions": [container(image="123456789012.dkr.ecr.us-east-1.amazonaws.com/x:1")]},
    ],
)
def test_what_fargate_can_not_do(ecs: Any, changes: dict[str, Any]) -> None:
    request = {key: value for key, value in {**FARGATE, **changes}.items() if value is not None}
    assert refused(register, ecs, **request)[0] == "ClientException"


def test_fargate_has_no_gpu(ecs: Any) -> None:
    code, message = refused(register, ecs, container(**gpu("1")), **FARGATE)
    assert code == "ClientException"
    assert message == "Tasks using the Fargate launch type do not support GPU resource requirements."


@pytest.mark.parametrize("value", ["1", "4", "ALL", "0.25"])
def test_gpus_are_a_count_all_or_a_fraction(ecs: Any, value: str) -> None:
    shown = register(ecs, container(**gpu(value)))
    assert shown["containerDefinitions"][0]["resourceRequirements"] == [{"type": "GPU", "value": value}]


@pytest.mark.parametrize("value", ["abc", "0", "-1", "minus", "1.5", "all"])
def test_other_gpu_values_are_refused(ecs: Any, value: str) -> None:
    assert refused(register, ecs, container(**gpu(value)))[0] == "ClientException"


def test_a_gpu_is_shared_instead_of_counted(ecs: Any) -> None:
    shown = register(ecs, container(**gpu(memory=4096, maxComputePercent=50)))
    assert {"name": "ecs.capability.gpu-sharing-mps"} in shown["requiresAttributes"]
    assert refused(register, ecs, container(**gpu("1", memory=4096)))[0] == "ClientException"
    assert refused(register, ecs, container(**gpu()))[0] == "ClientException"
    both = [container(**gpu("1")), container(name="b", **gpu(memory=1024))]
    assert refused(register, ecs, *both)[0] == "ClientException"


@pytest.mark.parametrize(
    ("efs", "good"),
    [
        ({}, True),
        ({"rootDirectory": "/data"}, True),
        ({"authorizationConfig": {"accessPointId": "fsap-1"}}, False),
        ({"authorizationConfig": {"accessPointId": "fsap-1"}, "transitEncryption": "ENABLED"}, True),
        (
            {
                "authorizationConfig": {"accessPointId": "fsap-1"},
                "transitEncryption": "ENABLED",
                "rootDirectory": "/data",
            },
            False,
        ),
        ({"authorizationConfig": {"iam": "ENABLED"}}, False),
        ({"authorizationConfig": {"iam": "ENABLED"}, "transitEncryption": "ENABLED"}, True),
    ],
)
def test_access_points_need_encryption(ecs: Any, efs: dict[str, Any], good: bool) -> None:
    efs = {"fileSystemId": "fs-12345678", **efs}
    volume = {"name": "v", "efsVolumeConfiguration": efs}
    if good:
        [shown] = register(ecs, volumes=[volume])["volumes"]
        assert shown["efsVolumeConfiguration"] == {"rootDirectory": "/", **efs}
    else:
        assert refused(register, ecs, volumes=[volume])[0] == "ClientException"


@pytest.mark.parametrize(
    ("sizes", "task", "good"),
    [
        ({"memory": 256}, {}, True),
        ({"memoryReservation": 256}, {}, True),
        ({}, {}, False),
        ({}, {"memory": "512"}, True),
        ({"memory": 128, "memoryReservation": 256}, {}, False),
        ({"memory": 4}, {}, False),
        ({"memory": 1024}, {"memory": "512"}, False),
    ],
)
def test_memory_is_given_and_fits(ecs: Any, sizes: dict[str, Any], task: dict[str, Any], good: bool) -> None:
    bare = {"name": "main", "image": "busybox", **sizes}
    if good:
        register(ecs, bare, **task)
    else:
        assert refused(register, ecs, bare, **task)[0] == "ClientException"


def test_all_containers_together_fit_into_the_task(ecs: Any) -> None:
    two = [container(memory=300), container(name="b", memory=300)]
    register(ecs, *two, memory="600")
    assert refused(register, ecs, *two, memory="512")[0] == "ClientException"


def test_ports_go_with_the_network_mode(ecs: Any) -> None:
    other = container(portMappings=[{"containerPort": 80, "hostPort": 8080}])
    register(ecs, other)
    for mode in ("awsvpc", "host", "none"):
        assert refused(register, ecs, other, networkMode=mode)[0] == "ClientException"
    shown = register(ecs, container(portMappings=[{"containerPort": 80}]), networkMode="awsvpc")
    assert shown["containerDefinitions"][0]["portMappings"][0]["hostPort"] == 80


@pytest.mark.parametrize(
    "containers",
    [
        [container(essential=False)],
        [container(), container()],
        [container(image="")],
        [container(name="a b")],
        [container(mountPoints=[{"sourceVolume": "no", "containerPath": "/x"}])],
        [container(dependsOn=[{"containerName": "no", "condition": "START"}])],
        [container(dependsOn=[{"containerName": "b", "condition": "SUCCESS"}]), container(name="b")],
        [container(dependsOn=[{"containerName": "b", "condition": "HEALTHY"}]), container(name="b")],
        [
            container(dependsOn=[{"containerName": "b", "condition": "START"}]),
            container(name="b", dependsOn=[{"containerName": "main", "condition": "START"}]),
        ],
        [container(secrets=[{"name": "A", "valueFrom": "x"}])],
    ],
)
def test_containers_that_make_no_sense_are_refused(ecs: Any, containers: list[dict[str, Any]]) -> None:
    assert refused(register, ecs, *containers)[0] == "ClientException"


def test_a_deregistered_revision_is_inactive_and_still_described(ecs: Any) -> None:
    arn = register(ecs)["taskDefinitionArn"]
    register(ecs)
    assert ecs.deregister_task_definition(taskDefinition="work:2")["taskDefinition"]["status"] == "INACTIVE"
    assert ecs.describe_task_definition(taskDefinition="work")["taskDefinition"]["taskDefinitionArn"] == arn
    assert ecs.list_task_definitions(status="INACTIVE")["taskDefinitionArns"] == [arn[:-1] + "2"]
    assert refused(ecs.deregister_task_definition, taskDefinition="work:9")[0] == "ClientException"
    assert refused(ecs.describe_task_definition, taskDefinition="no") == (
        "ClientException",
        "Unable to describe task definition.",
    )


def test_only_inactive_revisions_are_deleted_and_numbers_go_on(emulator: Emulator, ecs: Any) -> None:
    for _ in range(2):
        register(ecs)
    ecs.deregister_task_definition(taskDefinition="work:1")
    answer = ecs.delete_task_definitions(taskDefinitions=["work:1", "work:2", "no:1"])
    assert [one["status"] for one in answer["taskDefinitions"]] == ["DELETE_IN_PROGRESS"]
    assert [failure["arn"].rpartition("/")[2] for failure in answer["failures"]] == ["work:2", "no:1"]
    names = [f"work:{number}" for number in range(11)]
    assert refused(ecs.delete_task_definitions, taskDefinitions=names)[0] == "InvalidParameterException"
    emulator.world.clock.sleep(90)  # type: ignore[attr-defined]
    assert refused(ecs.describe_task_definition, taskDefinition="work:1")[0] == "ClientException"
    assert register(ecs)["revision"] == 3
    ecs.deregister_task_definition(taskDefinition="work:3")
    ecs.delete_task_definitions(taskDefinitions=["work:3"])
    emulator.world.clock.sleep(90)  # type: ignore[attr-defined]
    assert register(ecs)["revision"] == 4


def test_families_are_listed_by_whether_they_are_active(ecs: Any) -> None:
    register(ecs)
    register(ecs, family="other")
    ecs.deregister_task_definition(taskDefinition="other:1")
    assert ecs.list_task_definition_families(status="ACTIVE")["families"] == ["work"]
    assert ecs.list_task_definition_families(status="INACTIVE")["families"] == ["other"]
    assert ecs.list_task_definition_families(familyPrefix="o")["families"] == ["other"]


def test_tags_of_a_definition_come_when_asked_for(ecs: Any) -> None:
    register(ecs, tags=[{"key": "a", "value": "b"}])
    assert "tags" not in ecs.describe_task_definition(taskDefinition="work")
    tags = ecs.describe_task_definition(taskDefinition="work", include=["TAGS"])["tags"]
    assert tags == [{"key": "a", "value": "b"}]
