"""deregister_task_definition.py undoes register_task_definition.py, and stops where something still needs it."""

from __future__ import annotations

from tests.conftest import Runbook
from tests.examples.test_endpoints import account, of, small, with_everything

__all__ = ["small"]  # a fixture


def test_the_revisions_go_and_a_second_run_finds_none(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    before = account(runbook)
    runbook.has_run("register_task_definition.py")
    runbook.has_run("register_task_definition.py", IMAGE="nvidia/cuda:12.9.0-base-ubuntu24.04")
    begun = len(runbook.emulator.calls)
    ran = runbook.run("deregister_task_definition.py", "--dry-run")
    assert (ran.code, runbook.changes(begun)) == (0, []), ran.err
    ran = runbook.run("deregister_task_definition.py")
    assert (ran.code, ran.result) == (0, {"family": "gpu", "left": []})
    assert "deregistered task definition gpu:2" in ran.err and "deleted 2 task definitions of gpu" in ran.err
    assert account(runbook) == before
    begun = len(runbook.emulator.calls)
    assert runbook.run("deregister_task_definition.py").code == 0 and runbook.changes(begun) == []


def test_what_register_made_for_an_endpoint_goes_and_the_other_endpoints_stays(small: Runbook) -> None:
    small.has_run("register_task_definition.py", ENDPOINT="a")
    before = account(small)
    small.has_run("register_task_definition.py", ENDPOINT="b")
    assert account(small).keys() - before.keys() == {
        "access point ml-b-volume-assets",
        "access point ml-b-volume-weights",
        "log group /ecs/ml-b",
        "role ml-b-task-execution-us-east-1",
        "role ml-b-task-us-east-1",
        "task definition ml-b:1",
    }
    small.has_run("deregister_task_definition.py", ENDPOINT="b")
    small.settle(60)
    assert account(small) == before


def test_it_stops_while_the_service_or_the_sync_needs_it(endpoints: Runbook) -> None:
    ml = with_everything(endpoints).has_run("create_cluster.py")
    ml.settings |= {"ENDPOINT": "a", "WAIT": "false", "IMAGE_TAG": "", "IMAGE": "example.com/ml:v1"}
    ml.has_run("register_task_definition.py", "sync_weights.py", "create_service.py")
    begun = len(ml.emulator.calls)
    ran = ml.run("deregister_task_definition.py")
    assert (ran.code, ml.changes(begun)) == (1, [])
    assert "the service ml-a runs ml-a: run delete_service.py first" in ran.err
    ml.has_run("delete_service.py")
    begun = len(ml.emulator.calls)
    ran = ml.run("deregister_task_definition.py")
    assert (ran.code, ml.changes(begun)) == (1, [])
    assert "the sync of the weights needs what would go (schedule group ml-a-sync" in ran.err
    ml.has_run("delete_sync.py", "deregister_task_definition.py")
    ml.settle(60)
    assert of("a", account(ml)) == {}


def test_revisions_of_somebody_else_in_the_family_stay(fargate: Runbook) -> None:
    container = {"name": "theirs", "image": "busybox:1", "memory": 128}
    fargate.aws("ecs").register_task_definition(family="api", containerDefinitions=[container])
    before = account(fargate)
    fargate.has_run("create_cluster.py", "register_task_definition.py", "deregister_task_definition.py")
    fargate.has_run("delete_cluster.py --yes")
    fargate.settle()
    assert account(fargate) == before


def pipelines(runbook: Runbook) -> str:
    """A revision as a pipeline's deploy registers it: without tags, with the task's role."""
    arn = runbook.aws("iam").get_role(RoleName="api-task-us-east-1")["Role"]["Arn"]
    container = {"name": "api", "image": "busybox:1", "memory": 128}
    made = runbook.aws("ecs").register_task_definition(family="api", taskRoleArn=arn, containerDefinitions=[container])
    return str(made["taskDefinition"]["taskDefinitionArn"])


def test_a_revision_without_tags_is_ours_as_its_role_is(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py", "register_task_definition.py")
    arn = pipelines(fargate)
    ran = fargate.run("deregister_task_definition.py")
    assert (ran.code, ran.result) == (0, {"family": "api", "left": []}), ran.err
    assert f"deregistered task definition {arn.rpartition('/')[2]}" in ran.err
    assert "deleted 2 task definitions of api" in ran.err


def test_a_revision_without_tags_is_not_ours_where_the_role_of_our_name_is_anothers(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py")
    arn = pipelines(fargate)
    fargate.aws("iam").untag_role(RoleName="api-task-us-east-1", TagKeys=["gpu-ecs-cluster"])
    begun = len(fargate.emulator.calls)
    ran = fargate.run("deregister_task_definition.py")
    assert (ran.code, fargate.changes(begun)) == (0, []), ran.err
    assert fargate.aws("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]["status"] == "ACTIVE"
