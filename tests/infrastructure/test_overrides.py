"""A run has a command, variables and sizes of its own; the revision stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Runbook
from tests.pages.test_run_task import REGISTERED, requests, tasks

JOB = {"RUN_UNTIL": "STOPPED", "COMMAND": "sh -c 'sleep 30'", "CONTAINER_ENVIRONMENT": "MODE=slow,LR=0.5"}
SECRET = "arn:aws:ssm:us-east-1:123456789012:parameter/token"


@pytest.fixture
def job(fargate: Runbook) -> Runbook:
    fargate.settings |= JOB
    return fargate


def log_of(runbook: Runbook, task_arn: str) -> list[str]:
    stream = f"main/main/{task_arn.rsplit('/', 1)[-1]}"
    read = runbook.aws("logs").get_log_events(logGroupName="/ecs/api", logStreamName=stream)
    return [event["message"] for event in read["events"]]


def revisions(runbook: Runbook) -> list[str]:
    found: list[str] = runbook.aws("ecs").list_task_definitions(familyPrefix="api")["taskDefinitionArns"]
    return found


def test_a_run_has_its_own_command_and_variables_and_registers_nothing(job: Runbook) -> None:
    job.has_run(*REGISTERED)
    flags = ("--command", "sh -c 'echo $LR $MODE $NOTE'", "--env", "LR=0.1", "--env", "NOTE=a,b=c d")
    ran = job.run("run_task.py", *flags)
    assert ran.code == 0, ran.err
    [told] = ran.result["tasks"]
    assert log_of(job, told["taskArn"]) == ["0.1 slow a,b=c d"]
    assert len(revisions(job)) == 1


def test_words_behind_two_hyphens_are_the_command_as_they_stand(job: Runbook) -> None:
    job.has_run(*REGISTERED)
    ran = job.run("run_task.py", "--env", "A=1", "--", "echo", "two  words", "--env", "$A")
    assert ran.code == 0, ran.err
    [task] = tasks(job, "STOPPED")
    [override] = task["overrides"]["containerOverrides"]
    assert override["command"] == ["echo", "two  words", "--env", "$A"]


def test_a_page_without_such_words_takes_none(job: Runbook) -> None:
    assert job.run("stop_task.py", "--", "echo").code == 2


def test_gpus_memory_and_cpu_of_a_run_count_where_it_is_placed(runbook: Runbook) -> None:
    """The host has 4 GPUs, 48 vCPUs and 192 GiB, of which ECS has some 180."""
    runbook.settings["INSTANCE_TYPE"] = "g4dn.12xlarge"
    runbook.has_run(*REGISTERED)
    ran = runbook.run("run_task.py", "--gpus", "3", "--memory", "100000", "--cpu", "30000")
    assert ran.code == 0, ran.err
    [task] = tasks(runbook)
    assert (len(task["containers"][0]["gpuIds"]), task["memory"], task["cpu"]) == (3, "100000", "30000")
    for flags in (("--gpus", "2"), ("--memory", "100001"), ("--cpu", "30001")):
        ran = runbook.run("run_task.py", *flags, WAIT_TIMEOUT_SECONDS="60")
        assert (ran.code, len(tasks(runbook))) == (3, 2), flags
        assert f"; this run asks for {' '.join(flags)}\n" in ran.err
        runbook.aws("ecs").stop_task(cluster="gpu", task=ran_last(runbook), reason="by hand")
        runbook.settle(60)
    assert runbook.run("run_task.py", "--gpus", "1", "--memory", "50000", "--cpu", "9000").code == 0


def ran_last(runbook: Runbook) -> str:
    return str(max(tasks(runbook), key=lambda task: task["createdAt"])["taskArn"])


def test_where_the_revision_says_the_size_of_the_task_the_task_s_is_another(job: Runbook) -> None:
    job.has_run(*REGISTERED)
    assert job.run("run_task.py", "--cpu", "512", "--memory", "2048").code == 0
    [task] = tasks(job, "STOPPED")
    assert (task["cpu"], task["memory"]) == ("512", "2048")


def test_a_container_with_a_hard_limit_has_another_one(runbook: Runbook, tmp_path: Path) -> None:
    """Of a definition file, which says no size of the task."""
    main = {"name": "work", "image": "example.com/ml:v1", "command": ["sleep", "600"], "memory": 1000}
    path = tmp_path / "definition.json"
    path.write_text(json.dumps({"containerDefinitions": [{**main, "essential": True}]}))
    runbook.settings |= {"TASK_DEFINITION_FILE": str(path), "IMAGE": "", "COMMAND": "", "GPU_COUNT": ""}
    runbook.settings = {name: text for name, text in runbook.settings.items() if text}
    runbook.has_run(*REGISTERED)
    assert runbook.run("run_task.py", "--memory", "3000").code == 0
    [task] = tasks(runbook)
    [override] = task["overrides"]["containerOverrides"]
    assert (override["name"], override["memory"]) == ("work", 3000)


MISTAKES = {
    "--command": (("--command", "sh -c 'x"), "--command: \"sh -c 'x\" can't be split into words"),
    "both": (("--command", "a", "--", "b"), "--command and -- ARGS do not go together"),
    "no pair": (("--env", "A=1", "--env", "hf-QX81zk"), "--env: the 2. of them is not NAME=value"),
    "no name": (("--env", "1A=hf-QX81zk"), "--env: the 1. of them has no name of an environment variable"),
    "twice": (("--env", "A=1", "--env", "A=hf-QX81zk"), "--env: the 2. of them: A is there twice"),
    "secret": (("--env", "TOKEN=hf-QX81zk"), "TOKEN is in CONTAINER_SECRETS too"),
    "gpus": (("--gpus", "many"), "--gpus: 'many' is not a whole number from 0 to 16"),
    "gpus on Fargate": (("--gpus", "1"), "--gpus 1, but LAUNCH_TYPE=FARGATE"),
    "memory": (("--memory", "777"), "--cpu 256 and --memory 777 are no Fargate size"),
    "cpu": (("--cpu", "0"), "--cpu: '0' is outside 128 to 196608"),
    "too long": (("--env", "A=" + "x" * 8192), "characters of JSON; 8192 at most"),
}


@pytest.mark.parametrize(("flags", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_flag_is_told_before_anything_is_started(
    job: Runbook, flags: tuple[str, ...], words: str
) -> None:
    job.aws("ssm").put_parameter(Name="/token", Value="x", Type="SecureString")
    job.settings["CONTAINER_SECRETS"] = f"TOKEN={SECRET}"
    job.has_run(*REGISTERED)
    begun = len(job.emulator.calls)
    ran = job.run("run_task.py", *flags)
    assert (ran.code, job.changes(begun), ran.out) == (2, [], "")
    assert words in ran.err
    assert "hf-QX81zk" not in ran.err


def test_a_part_of_a_gpu_is_no_number_of_gpus(runbook: Runbook) -> None:
    ran = runbook.run("run_task.py", "--gpus", "1", GPU_SHARING="mps", GPU_MEMORY_MIB="7000")
    assert (ran.code, runbook.changes(0)) == (2, [])
    assert "--gpus 1, but GPU_SHARING=mps" in ran.err


def test_hosts_without_gpus_have_none_for_a_run(runbook: Runbook) -> None:
    ran = runbook.run("run_task.py", "--gpus", "1", GPU_COUNT="0")
    assert (ran.code, runbook.changes(0)) == (2, [])
    assert "--gpus 1, but GPU_COUNT=0: the AMI of the hosts is then one without GPUs" in ran.err


def test_gpus_of_the_revision_can_not_be_taken_away(runbook: Runbook) -> None:
    ran = runbook.has_run(*REGISTERED).run("run_task.py", "--gpus", "0")
    assert (ran.code, tasks(runbook)) == (2, [])
    assert "register a revision with GPU_COUNT=0" in ran.err


# ------------------------------------------------------------------------------------------------ what counts as the same


def test_a_run_with_overrides_is_a_job_beside_the_others(fargate: Runbook) -> None:
    fargate.settings["COMMAND"] = "sleep infinity"
    fargate.has_run(*REGISTERED, "run_task.py")
    ran = fargate.run("run_task.py", "--env", "LR=0.1")
    assert (ran.code, len(tasks(fargate)), len(ran.result["tasks"])) == (0, 2, 1)
    assert "not counted: it runs on beside the new ones" in ran.err
    assert fargate.run("run_task.py", "--env", "LR=0.2").code == 0
    assert len(tasks(fargate)) == 3
    begun = len(fargate.emulator.calls)
    again = fargate.run("run_task.py", "--env", "LR=0.1")
    assert (again.result, fargate.changes(begun)) == (ran.result, [])
    plain = fargate.run("run_task.py")
    assert (plain.code, fargate.changes(begun)) == (0, [])
    assert "of api:1 with a command or sizes of its own, not counted" in plain.err


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_starts_no_second_run(job: Runbook, when: str) -> None:
    from emulator.core.faults import Fault

    job.has_run(*REGISTERED)
    seen = requests(job)
    job.emulator.faults.planned.append(Fault("RunTask", "cut", when=when))
    assert job.run("run_task.py", "--env", "LR=0.1").code == 0
    assert len({request["clientToken"] for request in seen}) == 1
    assert len(tasks(job, "STOPPED")) == 1


def test_nothing_of_a_variable_s_value_is_printed_or_stands_in_a_tag(job: Runbook) -> None:
    job.has_run(*REGISTERED)
    flags = ("--env", "TOKEN=hf-QX81zk", "--command", "sh -c 'exit 3'")
    for more in (("--dry-run",), (), ("--detach",)):
        ran = job.run("run_task.py", *flags, *more)
        assert "hf-QX81zk" not in ran.err + ran.out
    assert "hf-QX81zk" not in str([task["tags"] for task in tasks(job, "STOPPED")])


# ------------------------------------------------------------------------------------------------ detached, and how long


def test_detached_it_starts_and_says_how_to_follow(job: Runbook) -> None:
    ran = job.has_run(*REGISTERED).run("run_task.py", "--detach")
    [told] = ran.result["tasks"]
    task_id = told["taskArn"].rsplit("/", 1)[-1]
    assert ran.code == 0
    assert f"next python show_logs.py --follow --task {task_id}" in ran.err
    assert f"python stop_task.py --task {task_id}" in ran.err
    assert "waiting" not in ran.err
    job.settle(5)
    assert [task["taskArn"] for task in tasks(job)] == [told["taskArn"]]


def test_a_training_of_twenty_hours_is_waited_for(job: Runbook) -> None:
    job.settings |= {"POLL_SECONDS": "600"}
    ran = job.has_run(*REGISTERED).run("run_task.py", "--command", "sleep 20h")
    assert (ran.code, ran.result["tasks"][0]["exitCodes"]) == (0, {"main": 0})
    assert "waiting for 1 task to end  (as long as it takes)" in ran.err


def test_a_run_that_has_a_limit_is_given_up_then_and_goes_on(job: Runbook) -> None:
    job.settings |= {"POLL_SECONDS": "60"}
    ran = job.has_run(*REGISTERED).run("run_task.py", "--command", "sleep 20h", RUN_TIMEOUT_SECONDS="3600")
    assert ran.code == 3
    assert (
        "gave up waiting for 1 task to end after 3600 s: it still runs, and costs, until python stop_task.py" in ran.err
    )
    assert len(tasks(job)) == 1
