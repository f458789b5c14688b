"""list_tasks.py lists what runs in the cluster, and what was told to stop and has not yet."""

from __future__ import annotations

from tests.conftest import Runbook

RUNNING = ("create_cluster.py", "register_task_definition.py", "run_task.py")


def test_it_lists_status_health_since_when_and_where(fargate: Runbook) -> None:
    fargate.settings["TASK_COUNT"] = "2"
    listed = fargate.has_run(*RUNNING).run("list_tasks.py").result["tasks"]
    assert len(listed) == 2
    for task in listed:
        assert (task["lastStatus"], task["healthStatus"]) == ("RUNNING", "UNKNOWN")
        assert (task["availabilityZone"], task["capacityProvider"]) == ("us-east-1a", "FARGATE")
        assert task["since"]
        assert (task["taskDefinition"], task["startedBy"]) == ("api:1", "api/run_task")


def test_a_stopping_task_is_listed_until_it_has_stopped(runbook: Runbook) -> None:
    arn = runbook.has_run(*RUNNING).run("run_task.py").result["tasks"][0]["taskArn"]
    runbook.aws("ecs").stop_task(cluster="gpu", task=arn)
    [task] = runbook.run("list_tasks.py").result["tasks"]
    assert task["desiredStatus"] == "STOPPED"
    assert task["lastStatus"] != "STOPPED"
    runbook.settle()
    assert runbook.run("list_tasks.py").result == {"tasks": []}


def test_without_a_cluster_it_says_what_to_run_first(fargate: Runbook) -> None:
    ran = fargate.run("list_tasks.py")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no cluster api in this region: run create_cluster.py first" in ran.err
