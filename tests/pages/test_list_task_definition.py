"""list_task_definition.py lists the family's revisions, newest first."""

from __future__ import annotations

from tests.conftest import Runbook


def test_the_newest_revision_comes_first(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py", "register_task_definition.py")
    fargate.has_run("register_task_definition.py", CONTAINER_ENVIRONMENT="A=1")
    told = fargate.run("list_task_definition.py").result
    prefix = "arn:aws:ecs:us-east-1:123456789012:task-definition/api"
    assert told == {"family": "api", "taskDefinitionArns": [f"{prefix}:2", f"{prefix}:1"]}


def test_the_family_is_exactly_this_one(fargate: Runbook) -> None:
    container = {"name": "theirs", "image": "busybox:1", "memory": 128}
    fargate.aws("ecs").register_task_definition(family="api-2", containerDefinitions=[container])
    assert fargate.run("list_task_definition.py").result["taskDefinitionArns"] == []
