"""pause_cluster.py: nothing runs any more, what ran is remembered, and what still costs is told."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest

from emulator.core.faults import Fault
from tests.conftest import Runbook
from tests.infrastructure.test_hosts import at
from tests.test_aws import another_run

RAN = ("create_cluster.py", "register_task_definition.py", "run_task.py")
SERVED = (*RAN[:2], "create_service.py")
PAUSE = "pause_cluster.py"


def running(runbook: Runbook) -> list[str]:
    """What costs by the hour: hosts that are not terminated, and tasks that are not told to stop."""
    reservations = runbook.aws("ec2").describe_instances()["Reservations"]
    hosts = [host for each in reservations for host in each["Instances"] if host["State"]["Name"] != "terminated"]
    tasks = runbook.aws("ecs").list_tasks(cluster=runbook.settings.get("CLUSTER_NAME", "clara-train"))["taskArns"]
    return [*(each["InstanceId"] for each in hosts), *tasks]


def test_nothing_runs_any_more_and_nothing_comes_back_by_itself(runbook: Runbook) -> None:
    runbook.settings.update(MIN_INSTANCES="1", BASTION_KEY_NAME="ops", BASTION_ALLOWED_CIDR="198.51.100.7/32")
    runbook.aws("ec2").create_key_pair(KeyName="ops")
    before = runbook.has_run(*RAN).account()
    assert len(running(runbook)) == 3
    paused = runbook.run(PAUSE)
    assert (paused.code, paused.result["tasks"]) == (0, 1), paused.err
    runbook.settle(3600)
    assert running(runbook) == []
    groups = runbook.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert {(each["MinSize"], each["MaxSize"], each["DesiredCapacity"]) for each in groups} == {(0, 0, 0)}
    assert before.keys() - runbook.account().keys() == {
        *("instance gpu-bastion", "instance gpu-host", "task gpu:1"),
        *("network interface of a host", "network interface of a host (again)"),
    }
    assert "costs nothing by the hour now: " in paused.err and "until python delete_cluster.py" in paused.err
    assert "python resume_cluster.py  brings back what ran" in paused.err


@pytest.mark.parametrize(("error", "told"), [("denied", "ssm:PutParameter"), ("InvalidKeyId", "ssm PutParameter")])
def test_what_may_not_be_remembered_is_not_paused(fargate: Runbook, error: str, told: str) -> None:
    before = fargate.has_run(*RAN).account()
    fargate.emulator.faults.planned.append(Fault("PutParameter", error, times=-1))
    ran = fargate.run(PAUSE)
    assert ran.code == 1 and told in ran.err and "nothing was paused" in ran.err
    assert (fargate.account(), fargate.run("run_task.py").code) == (before, 0)


def test_who_may_not_remember_takes_no_pause_of_another_away(fargate: Runbook) -> None:
    fargate.has_run(*RAN, PAUSE)
    paused = fargate.account()
    fargate.aws("ssm").delete_parameter(Name="gpu-ecs-paused-api")
    fargate.emulator.faults.planned.append(Fault("PutParameter", "denied", times=-1))
    ran = fargate.run(PAUSE)
    assert ran.code == 1 and "nothing was paused" not in ran.err
    assert paused.keys() - fargate.account().keys() == {"SSM parameter gpu-ecs-paused-api"}
    assert "paused since" in fargate.run("run_task.py").err


def test_a_service_stays_at_0_whatever_its_scaling_wants(clara: Runbook) -> None:
    assert clara.has_run(*SERVED).run(PAUSE).code == 0
    clara.settle(1800)
    assert running(clara) == []
    [target] = clara.aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 0) and {*target["SuspendedState"].values()} == {True}


def test_a_second_pause_says_that_it_is_paused_and_forgets_nothing(fargate: Runbook) -> None:
    before = fargate.has_run(*RAN).account()
    first = fargate.has_run(PAUSE).account()
    again = fargate.run(PAUSE)
    assert "paused since 20" in again.err and "nothing changed" in again.err
    assert (again.result["tasks"], fargate.account()) == (1, first)
    assert fargate.has_run("resume_cluster.py").account() == before


def test_others_tasks_and_services_stop_too_and_are_told(fargate: Runbook) -> None:
    fargate.has_run(*RAN)
    ecs = fargate.aws("ecs")
    [arn] = ecs.list_tasks(cluster="api")["taskArns"]
    [task] = ecs.describe_tasks(cluster="api", tasks=[arn])["tasks"]
    subnet = next(each["value"] for each in task["attachments"][0]["details"] if each["name"] == "subnetId")
    named = [{"Name": "group-name", "Values": ["api-tasks"]}]
    groups = fargate.aws("ec2").describe_security_groups(Filters=named)["SecurityGroups"]
    inside = {"subnets": [subnet], "securityGroups": [groups[0]["GroupId"]], "assignPublicIp": "ENABLED"}
    where = {"awsvpcConfiguration": inside}
    how = {"cluster": "api", "taskDefinition": "api", "launchType": "FARGATE", "networkConfiguration": where}
    ecs.run_task(**how, startedBy="somebody")
    ecs.create_service(**how, serviceName="theirs", desiredCount=2)
    fargate.settle()
    paused = fargate.run(PAUSE)
    assert "started by somebody:  it does not come back" in paused.err
    assert (running(fargate), paused.result["services"], paused.result["tasks"]) == ([], {"theirs": 2}, 1)
    assert fargate.run("resume_cluster.py").result["services"] == {"theirs": 2}
    fargate.settle()
    assert len(running(fargate)) == 3


def test_a_job_on_several_hosts_is_told_to_be_started_anew(fargate: Runbook) -> None:
    """Its nodes know each other by addresses that are theirs no more."""
    fargate.settings["NODE_PORTS"] = "29500-65535"
    paused = fargate.has_run(*RAN[:2], "run_task.py --nodes 2").run(PAUSE)
    assert paused.err.count("a node of a job on several hosts:  it does not come back") == 2, paused.err
    assert (running(fargate), fargate.run("resume_cluster.py").result["tasks"]) == ([], [])


def test_what_a_run_was_given_is_encrypted_and_never_told(fargate: Runbook) -> None:
    ran = fargate.has_run(*RAN[:2]).run("run_task.py", "--env", "KEY=hunter2")
    assert ran.code == 0
    paused = fargate.run(PAUSE)
    [parameter] = fargate.aws("ssm").describe_parameters()["Parameters"]
    assert parameter["Type"] == "SecureString"
    value = fargate.aws("ssm").get_parameter(Name=parameter["Name"])["Parameter"]["Value"]
    resumed = fargate.run("resume_cluster.py")
    assert resumed.code == 0, resumed.err
    assert "hunter2" not in paused.err + paused.out + resumed.err + resumed.out + value
    [arn] = fargate.aws("ecs").list_tasks(cluster="api")["taskArns"]
    [task] = fargate.aws("ecs").describe_tasks(cluster="api", tasks=[arn])["tasks"]
    assert task["overrides"]["containerOverrides"] == [
        {"name": "main", "environment": [{"name": "KEY", "value": "hunter2"}]}
    ]
    assert fargate.aws("ssm").describe_parameters()["Parameters"] == []
    counted = fargate.run("run_task.py", "--env", "KEY=hunter2")
    assert "it counts" in counted.err and counted.code == 0


def test_pages_that_start_something_say_that_it_is_paused(fargate: Runbook) -> None:
    paused = fargate.has_run(*RAN, PAUSE).account()
    for page in ("create_cluster.py", "run_task.py", "create_service.py"):
        ran = fargate.run(page, LOG_RETENTION_DAYS="7")
        assert ran.code == 1 and "the cluster api is paused since 20" in ran.err, ran.err
        assert "run resume_cluster.py" in ran.err
    assert fargate.account() == paused
    assert fargate.run("describe_clusters.py").result["pausedSince"].startswith("20")


@pytest.mark.parametrize("flags", ["", " --deep"])
def test_a_paused_cluster_can_be_deleted(clara: Runbook, flags: str) -> None:
    empty = clara.account()
    clara.settings["EFS_DELETION_POLICY"] = "Delete"
    ran = clara.has_run(*SERVED, PAUSE + flags).run("delete_cluster.py", "--yes")
    assert ran.code == 0, ran.err
    clara.settle()
    assert clara.account() == empty


def test_a_deep_pause_takes_what_costs_by_the_hour(endpoints: Runbook) -> None:
    endpoints.has_run("create_cluster.py")
    paused = endpoints.run(PAUSE, "--deep")
    assert paused.code == 0, paused.err
    left = {each.partition(" ")[0] for each in endpoints.account()}
    assert not {"load", "NAT", "Elastic", "listener"} & left
    assert "costs nothing by the hour now: " in paused.err
    shallow = endpoints.run("describe_clusters.py")
    assert shallow.code == 0, shallow.err


def test_a_pause_that_is_there_can_go_deeper(endpoints: Runbook) -> None:
    before = endpoints.has_run("create_cluster.py").account()
    costs = "an hour now:  1 x NAT gateway, 1 x load balancer; to stop: python pause_cluster.py --deep"
    assert costs in endpoints.run(PAUSE).err
    assert endpoints.run(PAUSE, "--deep").code == 0
    assert endpoints.run("resume_cluster.py").code == 0
    assert endpoints.account() == before


def test_what_would_not_come_back_is_not_taken(clara: Runbook) -> None:
    clara.settings["LOAD_BALANCER_PROTECTION"] = "on"
    before = clara.has_run("create_cluster.py").account()
    ran = clara.run(PAUSE, "--deep")
    assert (
        ran.code == 1
        and "--deep, but the load balancer clara-train-alb is protected: run create_cluster.py with" in ran.err
    ), ran.err
    assert clara.account() == before


def test_a_dry_run_changes_nothing(clara: Runbook) -> None:
    before = clara.has_run(*SERVED).account()
    ran = clara.run(PAUSE, "--deep", "--dry-run")
    assert ran.code == 0 and "would have updated service" in ran.err, ran.err
    assert clara.account() == before
    paused = clara.has_run(PAUSE).account()
    ran = clara.run("resume_cluster.py", "--dry-run")
    assert ran.code == 0 and "would have updated service" in ran.err, ran.err
    assert clara.account() == paused
    assert clara.run(PAUSE, "--deep").code == 0
    assert clara.run("resume_cluster.py", "--dry-run").code == 0


def test_more_than_can_be_remembered_is_told_before_anything_ends(fargate: Runbook) -> None:
    noise = base64.b64encode(random.Random(1).randbytes(5900)).decode()
    assert fargate.has_run(*RAN[:2]).run("run_task.py", "--env", f"NOISE={noise}").code == 0
    before = fargate.account()
    ran = fargate.run(PAUSE)
    assert ran.code == 1 and "too much runs to remember it all" in ran.err, ran.err
    assert fargate.account() == before


def test_what_another_keeps_under_that_name_is_left_alone(fargate: Runbook) -> None:
    fargate.has_run(*RAN)
    fargate.aws("ssm").put_parameter(Name="gpu-ecs-paused-api", Value="theirs", Type="String")
    before = fargate.account()
    ran = fargate.run(PAUSE)
    assert ran.code == 1 and "SSM parameter gpu-ecs-paused-api" in ran.err, ran.err
    assert fargate.account() == before


def test_without_a_cluster_there_is_nothing_to_pause(runbook: Runbook) -> None:
    before = runbook.account()
    for page in (PAUSE, "resume_cluster.py"):
        ran = runbook.run(page)
        assert (ran.code, runbook.account()) == (1, before) and "there is no cluster gpu" in ran.err


def test_what_was_started_a_moment_before_is_paused_too(fargate: Runbook) -> None:
    """AWS lists it some seconds late."""
    fargate.has_run(*RAN[:2], "run_task.py --detach")
    paused = fargate.run(PAUSE)
    fargate.settle(60)
    assert (paused.result["tasks"], running(fargate)) == (1, [])


@pytest.mark.parametrize("paused_at", ["RunTask", "DescribeTasks"])
def test_a_sweep_that_goes_on_elsewhere_starts_nothing_more(fargate: Runbook, tmp_path: Path, paused_at: str) -> None:
    fargate.settings |= {"COMMAND": "sleep 600", "POLL_SECONDS": "30"}
    fargate.has_run(*RAN[:2])
    rows = tmp_path / "rows.csv"
    rows.write_text("LR\n0.1\n0.2\n0.3\n")
    ends: list[tuple[int, str]] = []
    at(fargate, paused_at, lambda: ends.append(another_run(fargate, PAUSE)))
    ran = fargate.run("run_task.py", "--sweep", str(rows))
    fargate.watch = None
    assert [code for code, _ in ends] == [0], ends
    assert (ran.code, "the cluster api is paused since 20" in ran.err) == (1, True), ran.err
    assert running(fargate) == []
