"""stop_task.py stops one task or all of ours, and waits: until it is STOPPED a task holds its GPU."""

from __future__ import annotations

import pytest

from tests.conftest import Runbook
from tests.pages.test_run_task import tasks

RUNNING = ("create_cluster.py", "register_task_definition.py", "run_task.py")


def test_all_stops_every_task_that_run_task_started_and_waits_until_they_have(fargate: Runbook) -> None:
    fargate.settings["TASK_COUNT"] = "3"
    ran = fargate.has_run(*RUNNING).run("stop_task.py", "--all")
    assert (ran.code, len(ran.result["stopped"])) == (0, 3)
    assert [task["lastStatus"] for task in tasks(fargate, "STOPPED")] == ["STOPPED"] * 3


def test_one_is_stopped_by_its_id_and_the_others_run_on(fargate: Runbook) -> None:
    fargate.settings["TASK_COUNT"] = "2"
    arn, other = [task["taskArn"] for task in fargate.has_run(*RUNNING).run("run_task.py").result["tasks"]]
    ran = fargate.run("stop_task.py", "--task", arn.rsplit("/", 1)[-1])
    assert (ran.code, [each["taskArn"] for each in ran.result["stopped"]]) == (0, [arn])
    assert [task["taskArn"] for task in tasks(fargate)] == [other]


def test_a_stopped_task_has_given_its_gpu_back(runbook: Runbook) -> None:
    runbook.has_run(*RUNNING)
    assert runbook.run("describe_clusters.py").result["gpusFree"] == 0
    runbook.has_run("stop_task.py --all")
    assert runbook.run("describe_clusters.py").result["gpusFree"] == 1


def test_it_tells_stop_code_reason_and_exit_codes(fargate: Runbook) -> None:
    [told] = fargate.has_run(*RUNNING).run("stop_task.py", "--all").result["stopped"]
    assert (told["stopCode"], told["stoppedReason"], told["exitCodes"]) == (
        "UserInitiated",
        "stop_task.py",
        {"main": 143},
    )


def test_a_second_stop_finds_nothing_and_changes_nothing(fargate: Runbook) -> None:
    fargate.has_run(*RUNNING, "stop_task.py --all")
    begun = len(fargate.emulator.calls)
    ran = fargate.run("stop_task.py", "--all")
    assert (ran.code, ran.result, fargate.changes(begun)) == (0, {"stopped": []}, [])


def test_a_second_stop_waits_for_those_that_are_stopping(fargate: Runbook) -> None:
    arn = fargate.has_run(*RUNNING).run("run_task.py").result["tasks"][0]["taskArn"]
    fargate.aws("ecs").stop_task(cluster="api", task=arn, reason="by hand")
    ran = fargate.run("stop_task.py", "--all")
    assert [each["taskArn"] for each in ran.result["stopped"]] == [arn]
    assert [task["lastStatus"] for task in tasks(fargate, "STOPPED")] == ["STOPPED"]


def test_a_task_that_someone_else_started_runs_on(fargate: Runbook) -> None:
    made = fargate.has_run(*RUNNING).run("create_cluster.py").result
    network = {"subnets": made["subnetIds"], "securityGroups": made["securityGroupIds"], "assignPublicIp": "ENABLED"}
    theirs = fargate.aws("ecs").run_task(
        cluster="api", taskDefinition="api", networkConfiguration={"awsvpcConfiguration": network}
    )["tasks"][0]["taskArn"]
    fargate.settle()
    fargate.has_run("stop_task.py --all")
    assert [task["taskArn"] for task in tasks(fargate)] == [theirs]


@pytest.mark.parametrize("flags", [(), ("--all", "--task", "x")], ids=["neither", "both"])
def test_it_wants_to_know_which(fargate: Runbook, flags: tuple[str, ...]) -> None:
    ran = fargate.run("stop_task.py", *flags)
    assert (ran.code, ran.out, fargate.changes(0)) == (2, "", [])
    assert "say which: --task ID for one, or --all" in ran.err


def test_a_task_that_is_not_there_is_a_sentence(fargate: Runbook) -> None:
    ran = fargate.has_run("create_cluster.py").run("stop_task.py", "--task", "0123456789abcdef0123456789abcdef")
    assert ran.code == 1
    assert "there is no task 0123456789abcdef0123456789abcdef in cluster api" in ran.err


def test_it_says_whose_tasks_it_stops(fargate: Runbook) -> None:
    fargate.has_run(*RUNNING)
    fargate.has_run("register_task_definition.py", "run_task.py", TASK_MEMORY="1024")
    ran = fargate.run("stop_task.py", "--all")
    told = [(each["taskDefinition"], each["startedBy"]) for each in ran.result["stopped"]]
    assert sorted(told) == [("api:1", "api/run_task"), ("api:2", "api/run_task")]
    assert "of api:1, started by api/run_task" in ran.err
    assert "tasks that run_task.py started for cluster api" in fargate.run("stop_task.py", "--all").err
