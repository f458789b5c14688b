"""Which image an endpoint runs: none before the first is built, the deployed one, or the tag that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.codepipeline import pipelines
from emulator.codestar_connections import connections
from emulator.ecr import repositories
from emulator.ecs.state import region_of
from tests.conftest import Runbook

NONE = {"DESIRED_COUNT": "0"}


@pytest.fixture
def ml(endpoints: Runbook) -> Runbook:
    """A cluster, and endpoint A with an empty repository."""
    endpoints.settings["POLL_SECONDS"] = "15"
    endpoints.has_run("create_cluster.py")
    endpoints.settings["ENDPOINT"] = "a"
    return endpoints.has_run("create_repository.py")


def push(runbook: Runbook, *tags: str) -> None:
    for tag in tags:
        repositories.put_image(runbook.emulator.world, "us-east-1", "ml-a", tag)
        runbook.settle(60)


def service(runbook: Runbook) -> Any:
    [found] = runbook.aws("ecs").describe_services(cluster="ml", services=["ml-a"])["services"]
    return found


def limits(runbook: Runbook) -> tuple[int, int]:
    found = runbook.aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")
    [target] = found["ScalableTargets"]
    return target["MinCapacity"], target["MaxCapacity"]


def tag(runbook: Runbook, definition: str = "ml-a") -> str:
    found = runbook.aws("ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
    return str(found["containerDefinitions"][0]["image"]).rpartition(":")[2]


def test_before_the_first_image_a_service_has_no_tasks_and_says_so(ml: Runbook) -> None:
    ml.has_run("register_task_definition.py")
    begun = len(ml.emulator.calls)
    ran = ml.run("create_service.py")
    assert (ran.code, ml.changes(begun)) == (1, [])
    assert (
        "the tag not-built-yet is not in the repository ml-a: it is empty: ENDPOINT=a python push_image.py" in ran.err
    )
    assert "builds one; until a pipeline has, " in ran.err
    assert "DESIRED_COUNT=0 ENDPOINT=a python create_service.py is right" in ran.err
    ran = ml.run("create_service.py", **NONE)
    assert ran.code == 0, ran.err
    assert "paused service ml-a  0 tasks, until the pipeline's next run or update_service.py" in ran.err
    assert limits(ml) == (0, 4)
    ml.settle(7200)
    assert (service(ml)["desiredCount"], service(ml)["pendingCount"]) == (0, 0), "scaling does not raise it"
    begun = len(ml.emulator.calls)
    ml.has_run("create_service.py", **NONE)
    assert ml.changes(begun) == []
    push(ml, "v1")
    ran = ml.run("create_service.py")
    assert "the task definition is from before v1 was built: run register_task_definition.py again" in ran.err
    assert ml.changes(begun) == []
    ml.has_run("register_task_definition.py", "update_service.py")
    assert (service(ml)["runningCount"], limits(ml), tag(ml)) == (2, (2, 4), "v1")
    ml.has_run("update_service.py", **NONE)
    ml.settle(600)
    assert (service(ml)["runningCount"], limits(ml)) == (0, (0, 4)), "a pause"
    ml.has_run("create_service.py", DESIRED_COUNT="3")
    assert (service(ml)["runningCount"], limits(ml)) == (3, (2, 4))


def test_the_first_green_run_of_the_pipeline_brings_the_image_and_the_tasks(ml: Runbook) -> None:
    ml.run("create_pipeline.py")
    ml.has_run("register_task_definition.py")
    ml.has_run("create_service.py", **NONE)
    connections.finish_handshakes(ml.emulator.world)
    ml.has_run("create_pipeline.py")
    ml.settle(1800)
    found = service(ml)
    assert (found["desiredCount"], found["runningCount"]) == (2, 2)
    assert tag(ml, found["taskDefinition"]) not in ("", "not-built-yet")
    ml.has_run("update_service.py")
    assert limits(ml) == (2, 4)


def test_current_is_what_runs_whatever_was_built_or_rolled_back_since(ml: Runbook) -> None:
    push(ml, "v1")
    ml.has_run("register_task_definition.py", "create_service.py")
    push(ml, "v2", "broken-v3")
    ran = ml.run("register_task_definition.py", TASK_MEMORY="4096")
    assert ran.result["image"].endswith("/ml-a:v1"), "what no one has deployed is not brought along"
    ran = ml.run("register_task_definition.py", IMAGE_TAG="broken-v3")
    ran = ml.run("update_service.py", IMAGE_TAG="broken-v3")
    assert ran.code == 1 and "was rolled back to ml-a:1" in ran.err, ran.err
    ran = ml.run("register_task_definition.py", TASK_MEMORY="4096")
    assert ran.result["image"].endswith("/ml-a:v1"), "not the image that was rolled back"
    ml.has_run("register_task_definition.py", IMAGE_TAG="v2").has_run("update_service.py", IMAGE_TAG="v2")
    ran = ml.run("register_task_definition.py", TASK_MEMORY="4096")
    assert ran.result["image"].endswith("/ml-a:v2")
    ml.aws("ecr").batch_delete_image(repositoryName="ml-a", imageIds=[{"imageTag": "v2"}])
    push(ml, "v4")
    ran = ml.run("register_task_definition.py")
    assert ran.result["image"].endswith("/ml-a:v4"), "the newest, since what runs has expired"


def test_current_is_what_the_pipeline_deployed_last(ml: Runbook) -> None:
    ml.run("create_pipeline.py")
    connections.finish_handshakes(ml.emulator.world)
    ml.has_run("create_pipeline.py", "register_task_definition.py", "create_service.py")
    ml.settle(1200)
    first = tag(ml, service(ml)["taskDefinition"])
    pipelines.push(ml.emulator.world, "example/ml-endpoints", "main", "Better", {}, "")
    commit = connections.head(ml.emulator.world, "example/ml-endpoints", "main")
    ml.settle(1800)
    deployed = tag(ml, service(ml)["taskDefinition"])
    assert deployed != first and commit and commit.id.startswith(deployed)
    ran = ml.run("register_task_definition.py", TASK_MEMORY="4096")
    assert ran.result["image"].endswith(f":{deployed}")


def test_a_tag_that_is_not_there_is_refused_naming_those_that_are(ml: Runbook) -> None:
    ran = ml.run("register_task_definition.py", IMAGE_TAG="v9")
    assert "the tag v9 is not in the repository ml-a: it is empty" in ran.err
    push(ml, "v1", "v2")
    ran = ml.run("register_task_definition.py", IMAGE_TAG="v9")
    assert (ran.code, "the tag v9 is not in the repository ml-a: it has v2, v1" in ran.err) == (1, True)
    ml.has_run("register_task_definition.py", IMAGE_TAG="v1").has_run("register_task_definition.py", IMAGE_TAG="v2")
    ml.aws("ecr").batch_delete_image(repositoryName="ml-a", imageIds=[{"imageTag": "v2"}])
    begun = len(ml.emulator.calls)
    ran = ml.run("create_service.py")
    assert (ran.code, ml.changes(begun)) == (1, [])
    assert "the tag v2 is not in the repository ml-a: it has v1" in ran.err
    ml.has_run("create_service.py", **NONE)
    begun = len(ml.emulator.calls)
    ran = ml.run("update_service.py", "--revision", "2")
    assert (ran.code, ml.changes(begun)) == (1, []) and "it has v1" in ran.err
    ml.has_run("update_service.py --revision 1")
    assert service(ml)["runningCount"] == 2


def test_without_a_repository_a_tag_says_what_to_run_first(endpoints: Runbook) -> None:
    endpoints.has_run("create_cluster.py")
    before = endpoints.account()
    ran = endpoints.run("register_task_definition.py", ENDPOINT="a")
    assert "IMAGE_TAG=current: there is no repository ml-a: run create_repository.py first" in ran.err
    assert (ran.code, endpoints.account()) == (1, before)


def test_a_revision_that_the_pipeline_could_not_keep_is_not_brought_back(endpoints: Runbook) -> None:
    endpoints.settings |= {"ENDPOINT": "a", "IMAGE": "nginx:1.27", "IMAGE_TAG": "", "SCALING": "none"}
    endpoints.has_run("create_cluster.py", ENDPOINT="")
    endpoints.has_run("register_task_definition.py", "create_service.py")
    ecs = endpoints.aws("ecs")
    kept = (
        "containerDefinitions",
        "family",
        "taskRoleArn",
        "executionRoleArn",
        "networkMode",
        "cpu",
        "memory",
        "volumes",
    )
    first = ecs.describe_task_definition(taskDefinition="ml-a:1")["taskDefinition"]
    ecs.register_task_definition(**{key: first[key] for key in kept}, requiresCompatibilities=["FARGATE"])
    role = "arn:aws:sts::123456789012:assumed-role/ml-a-pipeline-us-east-1/1"
    region_of(endpoints.emulator.world, "us-east-1").definitions["ml-a"][2]["registeredBy"] = role
    for script in ("create_service.py", "update_service.py"):
        ran = endpoints.run(script, DESIRED_COUNT="3")
        assert "found task definition ml-a:2  of the pipeline, which does not run: left alone" in ran.err
        assert ran.result["taskDefinition"].endswith("task-definition/ml-a:1")
    endpoints.has_run("delete_service.py")
    again = endpoints.run("create_service.py").result["taskDefinition"]  # with nothing that runs the newest counts
    assert again.endswith("ml-a:2")
    assert endpoints.run("update_service.py", "--revision", "1").result["taskDefinition"].endswith("ml-a:1")
    assert endpoints.run("update_service.py", "--revision", "2").result["taskDefinition"].endswith("ml-a:2")
    assert "left alone" not in endpoints.run("create_service.py").err


def test_a_tag_that_is_not_the_revisions_is_refused_before_anything_is_made(endpoints: Runbook) -> None:
    endpoints.settings |= {"ENDPOINT": "a"}
    endpoints.has_run("create_cluster.py", ENDPOINT="")
    endpoints.has_run("create_repository.py", "register_task_definition.py")
    repositories.put_image(endpoints.emulator.world, "us-east-1", "ml-a", "v1")
    before = endpoints.account()
    ran = endpoints.run("create_service.py", IMAGE_TAG="nosuch")
    assert ran.code == 1 and "the tag nosuch is not in the repository ml-a: it has v1" in ran.err
    ran = endpoints.run("create_service.py", IMAGE_TAG="v1")
    assert ran.code == 1 and "IMAGE_TAG=v1, but ml-a:1 has not-built-yet: run register_task_definition.py" in ran.err
    assert endpoints.account() == before
