"""run_task.py brings up TASK_COUNT tasks, once, and waits for them; what AWS did not start is a failure with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.faults import Fault
from emulator.ecs import life
from tests.conftest import Runbook

REGISTERED = ("create_cluster.py", "register_task_definition.py")


def tasks(runbook: Runbook, status: str = "RUNNING") -> list[Any]:
    ecs, cluster = runbook.aws("ecs"), runbook.settings["CLUSTER_NAME"]
    arns = [
        arn
        for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus=status)
        for arn in page["taskArns"]
    ]
    return ecs.describe_tasks(cluster=cluster, tasks=arns, include=["TAGS"])["tasks"] if arns else []  # type: ignore[no-any-return]


def requests(runbook: Runbook) -> list[dict[str, Any]]:
    """The parameters of each RunTask from now on, as they go over the wire."""
    from emulator.core.rules import Call

    seen: list[dict[str, Any]] = []
    before = runbook.emulator.faults.before

    def note(call: Call) -> None:
        if call.operation == "RunTask":
            seen.append(dict(call.params))
        before(call)

    runbook.emulator.faults.before = note  # type: ignore[method-assign]
    return seen


# ----------------------------------------------------------------------------------------------------- it runs


def test_a_task_runs_on_a_gpu_of_a_host_that_came_for_it(runbook: Runbook) -> None:
    ran = runbook.has_run(*REGISTERED).run("run_task.py")
    assert (ran.code, ran.result["tasks"][0]["lastStatus"]) == (0, "RUNNING")
    [task] = tasks(runbook)
    assert (task["lastStatus"], len(task["containers"][0]["gpuIds"])) == ("RUNNING", 1)
    assert task["capacityProviderName"] == "gpu-capacity"


def test_types_that_create_cluster_has_not_brought_yet_are_told(runbook: Runbook) -> None:
    """The table is of the settings, the host of the cluster as it stands."""
    assert "warning" not in runbook.has_run(*REGISTERED).run("run_task.py", "--dry-run").err
    told = "warning g4dn.xlarge is what the cluster's hosts are, the settings say g5.xlarge: "
    assert told in runbook.run("run_task.py", INSTANCE_TYPE="g5.xlarge").err
    runbook.has_run("stop_task.py --all", "create_cluster.py", INSTANCE_TYPE="g5.xlarge")
    ran = runbook.run("run_task.py", INSTANCE_TYPE="g5.xlarge")
    assert "g5.xlarge in us-east-1" in ran.err and "warning" not in ran.err


def test_a_host_that_a_failed_run_leaves_is_told_with_what_ends_it(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED)
    runbook.emulator.faults.planned.append(Fault("RunTask", "denied"))
    ran = runbook.run("run_task.py")
    assert ran.code == 1 and "costs $0.54 an hour now:  1 x host g4dn.xlarge; to stop: python stop_task.py" in ran.err
    assert ran.err.index("costs $0.54") < ran.err.index("failed: "), "the failure stands last"


def test_tasks_on_fargate_that_a_failed_run_leaves_are_told_with_what_stops_them(fargate: Runbook) -> None:
    """RunTask starts ten at once."""
    fargate.has_run(*REGISTERED)
    fargate.emulator.faults.planned.append(Fault("RunTask", "denied", skip=1))
    ran = fargate.run("run_task.py", TASK_COUNT="11")
    assert ran.code == 1 and " an hour now:  10 x task; to stop: python stop_task.py --all" in ran.err, ran.err
    fargate.emulator.faults.planned.append(Fault("RunTask", "denied"))
    fargate.has_run("stop_task.py --all")
    assert "an hour now" not in fargate.run("run_task.py").err, "nothing runs, no sum"


def test_run_task_names_a_strategy_and_no_launch_type(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED)
    seen = requests(runbook)
    runbook.has_run("run_task.py")
    [request] = seen
    assert "launchType" not in request
    assert request["capacityProviderStrategy"] == [{"capacityProvider": "gpu-capacity", "weight": 1, "base": 0}]
    assert len(request["clientToken"]) == 32


def test_run_task_on_fargate_names_a_strategy_and_no_launch_type(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED)
    seen = requests(fargate)
    fargate.has_run("run_task.py", CAPACITY_TYPE="spot")
    [request] = seen
    assert "launchType" not in request
    assert request["capacityProviderStrategy"][0]["capacityProvider"] == "FARGATE_SPOT"
    assert request["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"


def test_a_task_bears_our_tags(fargate: Runbook) -> None:
    fargate.settings["EXTRA_TAGS"] = "team=ml"
    fargate.has_run(*REGISTERED, "run_task.py")
    [task] = tasks(fargate)
    tags = {tag["key"]: tag["value"] for tag in task["tags"]}
    assert (tags["team"], tags["gpu-ecs-cluster"]) == ("ml", "api")


def test_twelve_tasks_are_started_in_batches_of_ten(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED)
    seen = requests(fargate)
    ran = fargate.run("run_task.py", TASK_COUNT="12")
    assert (ran.code, len(ran.result["tasks"])) == (0, 12)
    assert [request["count"] for request in seen] == [10, 2]
    assert [task["lastStatus"] for task in tasks(fargate)] == ["RUNNING"] * 12


def test_more_than_a_hundred_tasks_can_be_started_and_stopped(fargate: Runbook) -> None:
    fargate.settings["POLL_SECONDS"] = "60"
    ran = fargate.has_run(*REGISTERED).run("run_task.py", TASK_COUNT="101")
    assert (ran.code, len(ran.result["tasks"])) == (0, 101)
    assert len(fargate.run("stop_task.py", "--all").result["stopped"]) == 101


def test_without_a_registered_definition_it_says_what_to_run_first(runbook: Runbook) -> None:
    ran = runbook.has_run("create_cluster.py").run("run_task.py")
    assert ran.code == 1
    assert "run register_task_definition.py first" in ran.err


def test_without_a_cluster_it_says_what_to_run_first(runbook: Runbook) -> None:
    ran = runbook.run("run_task.py")
    assert (ran.code, runbook.changes(0)) == (1, [])
    assert "run create_cluster.py first" in ran.err


# -------------------------------------------------------------------------------------------------- once, not twice


def test_running_it_twice_starts_nothing_more(fargate: Runbook) -> None:
    first = fargate.has_run(*REGISTERED).run("run_task.py")
    begun = len(fargate.emulator.calls)
    second = fargate.run("run_task.py")
    assert (second.code, fargate.changes(begun)) == (0, [])
    assert second.result == first.result


def test_a_raised_count_starts_the_difference(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED, "run_task.py")
    seen = requests(fargate)
    ran = fargate.run("run_task.py", TASK_COUNT="3")
    assert (ran.code, len(ran.result["tasks"])) == (0, 3)
    assert [request["count"] for request in seen] == [2]


def test_a_lowered_count_stops_nothing(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED)
    fargate.has_run("run_task.py", TASK_COUNT="2")
    begun = len(fargate.emulator.calls)
    assert fargate.run("run_task.py").code == 0
    assert fargate.changes(begun) == []
    assert len(tasks(fargate)) == 2


def test_a_stopped_task_is_replaced_at_the_next_run(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED, "run_task.py", "stop_task.py --all", "run_task.py")
    assert [task["lastStatus"] for task in tasks(fargate)] == ["RUNNING"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_starts_nothing_twice(fargate: Runbook, when: str) -> None:
    fargate.has_run(*REGISTERED)
    fargate.emulator.faults.planned.append(Fault("RunTask", "cut", when=when))
    ran = fargate.run("run_task.py", TASK_COUNT="2")
    assert (ran.code, len(ran.result["tasks"])) == (0, 2)
    assert len(tasks(fargate)) == 2
    assert [operation for _, operation, _ in fargate.emulator.calls].count("RunTask") == 2


def test_a_lost_answer_in_the_second_batch_starts_nothing_twice(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED)
    fargate.emulator.faults.planned.append(Fault("RunTask", "cut", when="after", skip=1))
    ran = fargate.run("run_task.py", TASK_COUNT="12")
    assert (ran.code, len(tasks(fargate))) == (0, 12)


def test_one_that_lost_all_its_answers_can_be_run_again(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED)
    fargate.emulator.faults.planned.append(Fault("RunTask", "cut", when="after", times=-1))
    ran = fargate.run("run_task.py", TASK_COUNT="2")
    assert ran.code == 1
    assert "can't reach AWS" in ran.err
    fargate.emulator.faults.planned.clear()
    fargate.has_run("run_task.py", TASK_COUNT="2")
    assert len(tasks(fargate)) == 2


# ------------------------------------------------------------------------------------------------- of which revision

JOB_A = {"RUN_UNTIL": "RUNNING", "COMMAND": "sh -c 'echo job-A; sleep 900'"}
JOB_B = {"RUN_UNTIL": "STOPPED", "COMMAND": "sh -c 'echo job-B; exit 3'"}
REGISTERED_ANEW = "register_task_definition.py"


def revisions(runbook: Runbook) -> list[str]:
    return sorted(task["taskDefinitionArn"].rsplit("/", 1)[-1] for task in tasks(runbook))


def test_a_job_is_started_beside_another_job_and_told_with_its_own_exit_code(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED, "run_task.py", **JOB_A)
    ran = fargate.has_run(REGISTERED_ANEW, **JOB_B).run("run_task.py", **JOB_B)
    [told] = ran.result["tasks"]
    assert (ran.code, told["exitCodes"], told["lastStatus"]) == (4, {"main": 3}, "STOPPED")
    assert told["taskDefinitionArn"].endswith("/api:2")
    assert told["imageDigests"]["main"].startswith("sha256:")
    assert "log: job-B" in ran.err
    assert revisions(fargate) == ["api:1"]  # job A goes on


def test_a_task_of_another_revision_does_not_count_and_is_told(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED, "run_task.py")
    ran = fargate.has_run(REGISTERED_ANEW, TASK_MEMORY="1024").run("run_task.py", TASK_MEMORY="1024")
    assert (ran.code, ran.result["taskDefinitionArn"].rsplit("/", 1)[-1]) == (0, "api:2")
    assert "of api:1, not counted: it runs on beside the new ones; --replace would stop it first" in ran.err
    assert revisions(fargate) == ["api:1", "api:2"]


def test_replace_stops_the_old_revision_before_the_new_one_starts(runbook: Runbook) -> None:
    """There is one GPU: beside the old one the new one would find no place."""
    runbook.settings["TASK_FAMILY"] = "work"
    runbook.has_run(*REGISTERED, "run_task.py")
    ran = runbook.has_run(REGISTERED_ANEW, TASK_CPU="1024").run("run_task.py", "--replace", TASK_CPU="1024")
    assert (ran.code, ran.result["tasks"][0]["lastStatus"]) == (0, "RUNNING"), ran.err
    assert revisions(runbook) == ["work:2"]
    [stopped] = tasks(runbook, "STOPPED")
    assert stopped["stoppedReason"] == "run_task.py --replace"
    assert runbook.run("run_task.py", "--replace", TASK_CPU="1024").result == ran.result


def test_a_task_of_another_family_runs_on_even_where_others_are_replaced(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED, "run_task.py", TASK_FAMILY="first")
    fargate.has_run(REGISTERED_ANEW, TASK_FAMILY="second")
    ran = fargate.run("run_task.py", "--replace", TASK_FAMILY="second")
    assert "of first:1, not counted: it runs on beside the new ones\n" in ran.err
    assert revisions(fargate) == ["first:1", "second:1"]


def test_a_job_replaces_none(fargate: Runbook) -> None:
    ran = fargate.has_run(*REGISTERED).run("run_task.py", "--replace", **JOB_B)
    assert (ran.code, ran.out) == (2, "")
    assert "a job is no copy of another job" in ran.err


# ------------------------------------------------------------------------------------------------ failures are failures


def answering(runbook: Runbook, monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any]) -> None:
    """Let AWS answer RunTask so: 200, and yet nothing is started."""
    from emulator.core import rules
    from emulator.core.rules import Call, Params

    left = list(answers)

    def refuse(call: Call) -> Params:
        return left.pop(0) if left else call.proceed()

    monkeypatch.setitem(rules.HANDLERS, ("ecs", "RunTask"), [refuse, *rules.HANDLERS["ecs", "RunTask"]])


FAILURES = {
    "RESOURCE:GPU": "no host has a free GPU",
    "RESOURCE:MEMORY": "no host has that much memory left",
    "RESOURCE:PORTS": "the host port is taken on every host",
    "AGENT": "the ECS agent of the host is not connected",
    "ATTRIBUTE": "no host has what the task definition demands",
}


@pytest.mark.parametrize(("reason", "words"), FAILURES.items(), ids=FAILURES)
def test_a_failure_in_the_answer_is_a_failure(
    fargate: Runbook, monkeypatch: pytest.MonkeyPatch, reason: str, words: str
) -> None:
    fargate.has_run(*REGISTERED)
    answering(fargate, monkeypatch, {"tasks": [], "failures": [{"arn": "arn:x", "reason": reason}]})
    ran = fargate.run("run_task.py")
    assert (ran.code, ran.out) == (1, "")
    assert f"1 of 1 tasks were not started: {reason} ({words})" in ran.err


def test_an_answer_without_tasks_and_without_failures_is_a_failure(
    fargate: Runbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    fargate.has_run(*REGISTERED)
    answering(fargate, monkeypatch, {"tasks": [], "failures": []})
    ran = fargate.run("run_task.py")
    assert (ran.code, ran.out) == (1, "")
    assert "1 of 1 tasks were not started: RunTask started nothing, and gave no reason" in ran.err


def test_a_fargate_shortage_is_tried_again(fargate: Runbook) -> None:
    fargate.has_run(*REGISTERED)
    text = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
    fargate.emulator.faults.planned.append(Fault("RunTask", "ClientException", text, times=2))
    ran = fargate.run("run_task.py")
    assert (ran.code, ran.result["tasks"][0]["lastStatus"]) == (0, "RUNNING")


# -------------------------------------------------------------------------------------------- the reason of one that fails


def test_an_image_that_is_not_there_ends_with_the_reason(fargate: Runbook) -> None:
    fargate.has_run("create_cluster.py")
    fargate.settings["IMAGE"] = "example.com/does-not-exist:1"
    ran = fargate.has_run("register_task_definition.py").run("run_task.py")
    assert (ran.code, ran.out) == (1, "")
    assert "CannotPullContainerError" in ran.err
    assert "Look at IMAGE" in ran.err


def test_a_container_that_ends_at_once_fails_with_its_exit_code_and_its_log(fargate: Runbook) -> None:
    fargate.settings["COMMAND"] = "sh -c 'echo no weights; exit 3'"
    ran = fargate.has_run(*REGISTERED).run("run_task.py")
    if ran.code == 0:  # it ran for a moment
        fargate.settle(60)
        ran = fargate.run("describe_task.py")
        assert "exit code 3" in ran.err
    else:
        assert (ran.code, ran.result["tasks"][0]["exitCodes"]) == (4, {"main": 3})
        assert "exit code 3" in ran.err
        assert "log: no weights" in ran.err


def test_no_capacity_for_the_host_ends_with_the_words_of_the_activity(runbook: Runbook) -> None:
    """Where managed scaling brings the host: LaunchInstances tells it at once, tests/infrastructure/test_hosts.py."""
    runbook.has_run(*REGISTERED)
    runbook.emulator.faults.planned.append(Fault("LaunchInstances", "denied", times=-1))
    runbook.emulator.world.settings.without_capacity = [f"us-east-1{zone}" for zone in "abcdef"]
    ran = runbook.run("run_task.py", WAIT_TIMEOUT_SECONDS="600")
    assert ran.code == 3
    assert "sufficient g4dn.xlarge capacity" in ran.err
    assert "Name other AVAILABILITY_ZONES, or another INSTANCE_TYPE" in ran.err


def test_a_host_that_boots_is_not_suspected(runbook: Runbook) -> None:
    """A GPU host's agent needs up to 5 minutes."""
    ran = runbook.has_run(*REGISTERED).run("run_task.py", POLL_SECONDS="10")
    told = [line for line in ran.err.splitlines() if "its ECS agent" in line]
    assert told
    assert [line for line in told if not line.endswith(": its ECS agent is still to join the cluster")] == []


def test_a_wait_that_is_over_says_what_holds_the_task(runbook: Runbook) -> None:
    runbook.emulator.world.settings.agents_register = False
    ran = runbook.has_run(*REGISTERED).run("run_task.py", WAIT_TIMEOUT_SECONDS="600")
    assert ran.code == 3
    assert "gave up waiting for 1 task to run after 600 s" in ran.err
    assert "its ECS agent has not joined the cluster" in ran.err


# ------------------------------------------------------------------------------------------------------ one-shot tasks


def test_a_task_that_does_its_work_ends_with_its_exit_code(fargate: Runbook) -> None:
    fargate.settings.update(RUN_UNTIL="STOPPED", COMMAND="sh -c 'sleep 60; exit 0'")
    ran = fargate.has_run(*REGISTERED).run("run_task.py")
    assert ran.code == 0
    [task] = ran.result["tasks"]
    assert (task["lastStatus"], task["exitCodes"]) == ("STOPPED", {"main": 0})
    assert tasks(fargate, "STOPPED")[0]["containers"][0]["exitCode"] == 0


def test_a_task_that_fails_ends_with_exit_4_and_tells_its_code_and_its_log(fargate: Runbook) -> None:
    fargate.settings.update(RUN_UNTIL="STOPPED", COMMAND="sh -c 'echo out of luck; sleep 30; exit 42'")
    ran = fargate.has_run(*REGISTERED).run("run_task.py")
    assert (ran.code, ran.result["tasks"][0]["exitCodes"]) == (4, {"main": 42})
    assert "exit code 42" in ran.err
    assert "log: out of luck" in ran.err


def test_one_that_ended_hours_before_the_other_is_not_waited_for_for_ever(fargate: Runbook) -> None:
    """AWS forgets it after an hour."""
    fargate.settings.update(RUN_UNTIL="STOPPED", COMMAND="sleep 3h", TASK_COUNT="2", POLL_SECONDS="60")
    fargate.has_run(*REGISTERED)
    ended: list[str] = []

    def watch(when: str) -> None:
        world = fargate.emulator.world
        running = [
            task for task in world.state["ecs"]["us-east-1"].clusters["api"].tasks.values() if task.last == "RUNNING"
        ]
        if running and not ended:
            ended.append(running[0].arn)
            life.exited(world, running[0], running[0].containers[0], 0, "")

    fargate.watch = watch
    ran = fargate.run("run_task.py", RUN_TIMEOUT_SECONDS="36000")
    fargate.watch = None
    assert ran.code == 0, ran.err
    assert [task["exitCodes"] for task in ran.result["tasks"]] == [{"main": 0}] * 2
    assert ended[0] in [task["taskArn"] for task in ran.result["tasks"]]


def test_one_that_ended_while_this_machine_slept_is_told(fargate: Runbook) -> None:
    fargate.settings.update(RUN_UNTIL="STOPPED", COMMAND="sleep 600", POLL_SECONDS="30")
    fargate.has_run(*REGISTERED)

    def watch(when: str) -> None:
        world = fargate.emulator.world
        if any(task.last == "RUNNING" for task in world.state["ecs"]["us-east-1"].clusters["api"].tasks.values()):
            fargate.watch = None
            fargate._settle(3 * 3600)

    fargate.watch = watch
    ran = fargate.run("run_task.py")
    assert ran.code == 1
    assert "has ended more than an hour ago, and AWS has forgotten how" in ran.err


def test_a_one_shot_task_runs_anew_each_time(fargate: Runbook) -> None:
    fargate.settings.update(RUN_UNTIL="STOPPED", COMMAND="sh -c 'sleep 30'")
    first = fargate.has_run(*REGISTERED).run("run_task.py")
    second = fargate.run("run_task.py")
    assert (first.code, second.code) == (0, 0)
    assert first.result["tasks"][0]["taskArn"] != second.result["tasks"][0]["taskArn"]


def test_the_gpu_task_says_what_it_saw(runbook: Runbook) -> None:
    runbook.settings.update(RUN_UNTIL="STOPPED", COMMAND="nvidia-smi -L")
    ran = runbook.has_run(*REGISTERED).run("run_task.py")
    assert (ran.code, ran.result["tasks"][0]["exitCodes"]) == (0, {"main": 0})


def test_an_out_of_memory_task_is_told_what_to_raise(fargate: Runbook) -> None:
    fargate.settings.update(RUN_UNTIL="STOPPED", COMMAND="out-of-memory")
    ran = fargate.has_run(*REGISTERED).run("run_task.py")
    assert (ran.code, ran.result["tasks"][0]["exitCodes"]) == (4, {"main": 137})
    assert "OutOfMemoryError" in ran.err
    assert "Raise TASK_MEMORY" in ran.err
