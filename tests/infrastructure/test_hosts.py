"""A host comes at once, one for one task, or the reason is told; it goes when no task is on it any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulator.autoscaling import groups
from emulator.core.faults import Fault
from emulator.core.rules import AwsError
from tests.conftest import Runbook
from tests.infrastructure.test_sweeps import Killed
from tests.pages.test_create_cluster import group
from tests.pages.test_run_task import REGISTERED, tasks

STOP = ("stop_task.py", "--all")
ONE_SHOT = ("run_task.py", "--command", "sh -c 'sleep 60'")


@pytest.fixture
def zones(runbook: Runbook) -> Runbook:
    """Two hosts at most, in two zones."""
    runbook.settings |= {"PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24", "MAX_INSTANCES": "2"}
    return runbook.has_run(*REGISTERED)


def hosts(runbook: Runbook, *states: str) -> list[Any]:
    """All that there ever were, or those in these states."""
    found = [each for one in runbook.aws("ec2").describe_instances()["Reservations"] for each in one["Instances"]]
    return [each for each in found if not states or each["State"]["Name"] in states]


def at(runbook: Runbook, operation: str, do: Any, times: int = 1) -> None:
    """Once the page has made this call, so many times."""
    left = [times]

    def watch(when: str) -> None:
        if when == "after" and left[0] and runbook.emulator.calls[-1][1] == operation:
            left[0] -= 1
            do()

    runbook.watch = watch


def now(runbook: Runbook) -> float:
    return runbook.emulator.world.clock.now()


def lacks(runbook: Runbook, *names: str) -> None:
    runbook.emulator.world.settings.without_capacity = [*names]


def seconds_to_run_and_paid(runbook: Runbook) -> tuple[int, int, int]:
    """Of one GPU task from zero and back, in AWS's seconds: until it runs; of hosts paid after its end; and how many hosts."""
    begun = now(runbook)
    arn = runbook.run("run_task.py").result["tasks"][0]["taskArn"]
    runbook.settle(300)
    assert runbook.run(*STOP).code == 0
    [task] = runbook.aws("ecs").describe_tasks(cluster="gpu", tasks=[arn])["tasks"]
    world, left = runbook.emulator.world, hosts(runbook, "pending", "running")
    paid = (now(runbook) - task["stoppedAt"].timestamp()) * len(left)
    while left:
        world.clock.skip(5)
        world.advance()
        paid += 5 * len(left)
        left = hosts(runbook, "pending", "running")
    return round(task["startedAt"].timestamp() - begun), round(paid), len(hosts(runbook))


def test_one_gpu_task_from_zero_and_back(runbook: Runbook) -> None:
    """With managed scaling alone it was 275 s, 1,498 s of two hosts, and two hosts, where two may be (ecs-082, ecs-083)."""
    runbook.settings["MAX_INSTANCES"] = "2"
    runbook.has_run(*REGISTERED).settle(600)
    to_run, paid, count = seconds_to_run_and_paid(runbook)
    print(f"run_task to RUNNING {to_run} s, hosts paid after the end {paid} s, hosts started {count}")
    assert to_run <= 275 - 55
    assert paid < 120
    assert count == 1


def test_managed_scaling_alone_starts_two_and_lets_one_idle_for_15_minutes(runbook: Runbook) -> None:
    """What the two steps are for."""
    runbook.settings |= {"MAX_INSTANCES": "2", "KEEP_HOSTS": "aws"}
    runbook.has_run(*REGISTERED).settle(600)
    runbook.emulator.faults.planned.append(Fault("LaunchInstances", "denied", times=-1))
    to_run, paid, count = seconds_to_run_and_paid(runbook)
    assert (to_run > 260, paid > 900, count) == (True, True, 2)


# ------------------------------------------------------------------------------------------------------------ the start


def test_without_capacity_it_ends_at_once_and_names_each_zone(zones: Runbook) -> None:
    lacks(zones, "us-east-1a", "us-east-1b:g4dn.xlarge")
    refused: list[float] = []
    at(zones, "LaunchInstances", lambda: refused.append(now(zones)), times=9)
    ran = zones.run("run_task.py")
    assert ran.code == 3
    zones_told = "us-east-1a InsufficientInstanceCapacity, us-east-1b InsufficientInstanceCapacity"
    assert f"failed: no g4dn.xlarge: {zones_told}. Name other AVAILABILITY_ZONES, or another INSTANCE_TYPE." in ran.err
    assert (len(refused), now(zones) - refused[-1] < 10) == (4, True)  # twice, for what a token answers for eight hours
    assert (hosts(zones), tasks(zones), group(zones)["DesiredCapacity"]) == ([], [], 0)


def test_where_their_group_is_gone_nothing_is_started_and_waited_for(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED)
    runbook.aws("autoscaling").delete_auto_scaling_group(AutoScalingGroupName="gpu-hosts", ForceDelete=True)
    runbook.settle(60)
    ran = runbook.run("run_task.py")
    assert (ran.code, tasks(runbook)) == (1, []), ran.err
    assert "failed: there is no Auto Scaling group gpu-hosts: run create_cluster.py" in ran.err


def test_a_zone_without_capacity_is_passed_over(zones: Runbook) -> None:
    lacks(zones, "us-east-1a")
    ran = zones.run("run_task.py")
    assert (ran.code, "waits for one" in ran.err) == (0, False), "its host came from another zone"
    assert [host["Placement"]["AvailabilityZone"] for host in hosts(zones)] == ["us-east-1b"]


def test_what_aws_refused_before_is_no_answer_for_eight_hours(zones: Runbook) -> None:
    lacks(zones, "us-east-1a", "us-east-1b")
    assert zones.run("run_task.py").code == 3
    lacks(zones)
    zones.settle(60)
    assert zones.run("run_task.py").code == 0
    zones.has_run(" ".join(STOP)).settle(7200)  # AWS has forgotten the task, and knows the token
    assert zones.run("run_task.py").code == 0
    assert (len(hosts(zones)), len(hosts(zones, "running"))) == (1, 1)


def test_wait_for_capacity_asks_again(zones: Runbook) -> None:
    lacks(zones, "us-east-1a", "us-east-1b")
    begun, asked = now(zones), [0]

    def until_there_is_some() -> None:
        asked[0] += 1
        if asked[0] == 8:
            lacks(zones)

    at(zones, "LaunchInstances", until_there_is_some, times=9)
    ran = zones.run("run_task.py", WAIT_FOR_CAPACITY="30")
    assert ran.code == 0, ran.err
    assert (len(hosts(zones)), 120 <= now(zones) - begun < 600) == (1, True)
    assert "waiting for capacity: no g4dn.xlarge: us-east-1a" in ran.err


def test_a_quota_that_is_used_up_is_told_at_once(zones: Runbook) -> None:
    zones.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 0
    ran = zones.run("run_task.py", WAIT_FOR_CAPACITY="30")
    assert (ran.code, zones.emulator.calls[-1][1]) == (3, "LaunchInstances")
    assert "VcpuLimitExceeded: You have requested more vCPU" in ran.err
    assert "Ask for a higher quota in the Service Quotas console" in ran.err


def test_who_has_no_right_to_it_waits_for_managed_scaling(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED)
    runbook.emulator.faults.planned.append(Fault("ec2:CreateFleet", "denied", times=-1))
    ran = runbook.run("run_task.py")
    assert ran.code == 0, ran.err
    assert "hosts could not be asked for at once (access denied: your credentials may not ec2:CreateFleet)" in ran.err


def test_so_does_who_may_not_start_instances_as_the_answer_tells(
    runbook: Runbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What EC2 refuses is among the answer's errors, zone by zone; it is no lack of capacity."""
    runbook.has_run(*REGISTERED)
    refusal = AwsError("UnauthorizedOperation", "You are not authorized to perform this operation.")
    answers = iter([[("g4dn.xlarge", refusal)]])
    launch_in = groups.launch_in
    monkeypatch.setattr(groups, "launch_in", lambda *asked: next(answers, None) or launch_in(*asked))
    ran = runbook.run("run_task.py")
    assert ran.code == 0, ran.err
    assert "hosts could not be asked for at once (access denied: your credentials may not" in ran.err


def test_where_there_is_no_such_operation_managed_scaling_brings_the_host(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED)
    runbook.emulator.faults.planned.append(Fault("LaunchInstances", "InvalidAction", times=-1))
    ran = runbook.run("run_task.py")
    assert (ran.code, "managed scaling starts them" in ran.err) == (0, True), ran.err


@pytest.mark.parametrize(
    "error", ["ResourceContention", "IdempotentCallInProgress", "IdempotentParameterMismatch", "cut"]
)
def test_what_passes_is_asked_again_and_starts_one(runbook: Runbook, error: str) -> None:
    runbook.has_run(*REGISTERED)
    when = "after" if error == "cut" else "before"
    runbook.emulator.faults.planned.append(Fault("LaunchInstances", error, when=when))
    assert runbook.run("run_task.py", MAX_INSTANCES="2").code == 0
    assert len(hosts(runbook)) == 1


def test_spot_begins_where_aws_sees_the_best_chance(zones: Runbook) -> None:
    zones.has_run("create_cluster.py", CAPACITY_TYPE="spot")
    lacks(zones, "us-east-1a")
    ran = zones.run("run_task.py", CAPACITY_TYPE="spot")
    assert ran.code == 0, ran.err
    asked = [each for each in zones.emulator.calls if each[1] == "LaunchInstances"]
    assert (len(asked), [host["Placement"]["AvailabilityZone"] for host in hosts(zones)]) == (1, ["us-east-1b"])


def test_as_many_hosts_come_as_tasks_want_and_no_more(zones: Runbook) -> None:
    ran = zones.run("run_task.py", TASK_COUNT="3", WAIT_TIMEOUT_SECONDS="400")
    assert ran.code == 3  # the third finds none
    assert sorted(host["Placement"]["AvailabilityZone"] for host in hosts(zones)) == ["us-east-1a", "us-east-1b"]


def test_a_host_with_room_is_taken(runbook: Runbook) -> None:
    runbook.settings |= {"INSTANCE_TYPE": "g4dn.12xlarge", "MAX_INSTANCES": "2"}
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 96
    runbook.has_run(*REGISTERED, "run_task.py")
    assert runbook.run("run_task.py", "--gpus", "3").code == 0
    assert len(hosts(runbook)) == 1
    ran = runbook.run("run_task.py", "--gpus", "4")
    assert (ran.code, len(hosts(runbook))) == (0, 2), ran.err


def test_a_dry_run_starts_nothing_and_says_what(runbook: Runbook) -> None:
    ran = runbook.has_run(*REGISTERED).run("run_task.py", "--dry-run")
    assert (ran.code, hosts(runbook)) == (0, [])
    assert "would have started host (new)" in ran.err


def test_the_hosts_are_protected_whatever_aws_does(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED)
    autoscaling = runbook.aws("autoscaling")

    def unprotect() -> None:
        for host in runbook.emulator.world.state["autoscaling"]["us-east-1"]["gpu-hosts"].instances.values():
            host.protected = False

    at(runbook, "LaunchInstances", unprotect)
    assert runbook.run("run_task.py").code == 0
    assert [each["ProtectedFromScaleIn"] for each in group(runbook)["Instances"]] == [True]
    assert autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]


def test_a_service_from_zero_has_one_host_for_one_task(zones: Runbook) -> None:
    zones.has_run("create_service.py")
    assert len(hosts(zones)) == 1
    zones.has_run("update_service.py", DESIRED_COUNT="0")
    zones.settle(2000)
    assert hosts(zones, "running") == []
    assert zones.run("update_service.py").code == 0
    assert (len(hosts(zones)), len(hosts(zones, "running"))) == (2, 1)


def test_a_service_waits_for_its_host_where_there_is_none_now(zones: Runbook) -> None:
    lacks(zones, "us-east-1a", "us-east-1b")
    ran = zones.run("create_service.py", WAIT_TIMEOUT_SECONDS="60")
    assert (ran.code, "warning no g4dn.xlarge: us-east-1a Insufficient" in ran.err) == (3, True), ran.err
    [service] = zones.aws("ecs").describe_services(cluster="gpu", services=["gpu"])["services"]
    assert service["desiredCount"] == 1


def test_a_sweep_and_a_job_on_two_hosts_have_theirs_and_no_more(zones: Runbook, tmp_path: Path) -> None:
    job = {"NETWORK_MODE": "awsvpc", "NODE_PORTS": "29500-65535", "RUN_UNTIL": "STOPPED", "COMMAND": "sleep 60"}
    zones.settings |= {**job, "MAX_INSTANCES": "4", "IMAGE": "example.com/ml:v1"}
    zones.has_run("create_cluster.py", "register_task_definition.py")
    assert zones.run("run_task.py", "--nodes", "2").code == 0
    assert len({host["Placement"]["AvailabilityZone"] for host in hosts(zones)}) == 1
    assert len(hosts(zones)) == 2
    (tmp_path / "rows.csv").write_text("LR\n0.1\n0.2\n0.3\n")
    zones.settle(300)
    assert zones.run("run_task.py", "--sweep", str(tmp_path / "rows.csv"), MAX_PARALLEL="2").code == 0
    zones.settle(300)
    assert (len(hosts(zones)), hosts(zones, "running")) == (4, [])


# -------------------------------------------------------------------------------------------------------------- the end


def test_after_a_one_shot_run_its_host_ends(runbook: Runbook) -> None:
    ran = runbook.has_run(*REGISTERED).run(*ONE_SHOT, RUN_UNTIL="STOPPED")
    assert ran.code == 0, ran.err
    runbook.settle(120)
    assert (group(runbook)["Instances"], group(runbook)["DesiredCapacity"]) == ([], 0)


def test_after_one_that_failed_too(runbook: Runbook) -> None:
    ran = runbook.has_run(*REGISTERED).run("run_task.py", "--command", "sh -c 'exit 3'", RUN_UNTIL="STOPPED")
    assert ran.code == 4
    runbook.settle(60)
    assert hosts(runbook, "running") == []


def test_keep_hosts_keeps_them_so_long_or_leaves_them_to_aws(runbook: Runbook) -> None:
    runbook.has_run(*REGISTERED, "run_task.py")
    assert "15 minutes" in runbook.run(*STOP, KEEP_HOSTS="aws").err
    begun = now(runbook)
    ran = runbook.run(*STOP, KEEP_HOSTS="5")
    assert 300 <= now(runbook) - begun < 420
    assert "waiting with the end of idle hosts  4 of KEEP_HOSTS=5 minutes" in ran.err
    runbook.settle(60)
    assert hosts(runbook, "running") == []


def test_minimum_stays(runbook: Runbook) -> None:
    runbook.settings |= {"MIN_INSTANCES": "1", "MAX_INSTANCES": "2", "TASK_COUNT": "2"}
    runbook.has_run(*REGISTERED, "run_task.py", *[" ".join(STOP)]).settle(120)
    assert [each["LifecycleState"] for each in group(runbook)["Instances"]] == ["InService"]
    assert len(hosts(runbook, "running")) == 1
    assert runbook.run("run_task.py", TASK_COUNT="1").code == 0  # it takes tasks
    assert len(hosts(runbook)) == 2


def test_a_host_that_has_not_joined_ends_with_the_task_that_waited_for_it(runbook: Runbook) -> None:
    ran = runbook.has_run(*REGISTERED).run("run_task.py", "--detach")
    assert (ran.code, hosts(runbook, "running") != []) == (0, True)
    runbook.settle(10)  # AWS lists a new task some seconds late
    assert runbook.run(*STOP).code == 0
    runbook.settle(60)
    assert (hosts(runbook, "pending", "running"), group(runbook)["DesiredCapacity"]) == ([], 0)


def test_a_host_that_aws_did_not_have_does_not_come_hours_after_its_task_was_stopped(zones: Runbook) -> None:
    lacks(zones, "us-east-1a", "us-east-1b")
    zones.emulator.faults.planned.append(Fault("LaunchInstances", "denied", times=-1))
    assert zones.run("run_task.py", "--detach").code == 0
    zones.settle(300)
    assert group(zones)["DesiredCapacity"] > 0
    assert zones.run(*STOP).code == 0
    lacks(zones)
    zones.settle(1200)
    assert hosts(zones) == []


def another_task(runbook: Runbook) -> None:
    """Of somebody who uses the cluster too."""
    strategy = [{"capacityProvider": "gpu-capacity", "weight": 1}]
    runbook.aws("ecs").run_task(cluster="gpu", taskDefinition="gpu", startedBy="ann", capacityProviderStrategy=strategy)


@pytest.mark.parametrize("call", ["StopTask", "UpdateContainerInstancesState"])
def test_a_task_that_came_meanwhile_keeps_its_host(runbook: Runbook, call: str) -> None:
    runbook.has_run(*REGISTERED, "run_task.py")
    at(runbook, call, lambda: another_task(runbook))
    ran = runbook.run(*STOP)
    assert ran.code == 0, ran.err
    runbook.watch = None
    runbook.settle(120)
    assert [task["lastStatus"] for task in tasks(runbook)] == ["RUNNING"]
    assert len(hosts(runbook)) == 1
    told = " ".join(runbook.run(*STOP).err.split())
    assert "runs of gpu:1, started by ann: they cost on" in told


@pytest.mark.parametrize("call", ["UpdateContainerInstancesState", "TerminateInstanceInAutoScalingGroup", "ListTasks"])
def test_who_may_not_end_a_host_leaves_it_to_managed_scaling(runbook: Runbook, call: str) -> None:
    runbook.has_run(*REGISTERED, "run_task.py")
    skip = 4 if call == "ListTasks" else 0
    runbook.emulator.faults.planned.append(Fault(call, "denied", times=-1, skip=skip))
    ran = runbook.run(*STOP)
    assert (ran.code, "managed scaling ends it, about 15 minutes after its last task" in ran.err) == (0, True), ran.err
    [host] = runbook.run("describe_clusters.py").result["hosts"]
    assert host["status"] == "ACTIVE"


@pytest.mark.parametrize(("command", "code"), [("sleep 60", 0), ("sh -c 'exit 3'", 4)])
def test_a_job_ends_as_it_ended_though_its_host_could_not_be_ended(runbook: Runbook, command: str, code: int) -> None:
    runbook.has_run(*REGISTERED)
    runbook.emulator.faults.planned.append(Fault("UpdateContainerInstancesState", "ServerException", times=-1))
    ran = runbook.run("run_task.py", "--command", command, RUN_UNTIL="STOPPED")
    assert (ran.code, len(ran.result["tasks"])) == (code, 1), ran.err
    assert "warning an idle host could not be ended (" in ran.err


def test_a_host_that_never_joins_ends_with_the_rest(runbook: Runbook) -> None:
    """Managed scaling never ends it: ECS takes the protection from scale-in from hosts that it knows."""
    runbook.has_run(*REGISTERED)
    runbook.settings["WAIT_TIMEOUT_SECONDS"] = "400"
    runbook.emulator.world.settings.agents_register = False
    assert runbook.run("run_task.py").code == 3
    runbook.settle(7200)
    assert (len(hosts(runbook, "running")), tasks(runbook)) == (1, [])
    ran = runbook.run(*STOP)
    assert ran.code == 0, ran.err
    runbook.settle(60)
    assert (hosts(runbook, "pending", "running"), group(runbook)["DesiredCapacity"]) == ([], 0)


def test_one_that_was_killed_before_the_end_of_its_host_is_made_good(runbook: Runbook) -> None:
    """By the next run, which takes the host, or by the next stop, which ends it."""
    runbook.has_run(*REGISTERED, "run_task.py")

    def die() -> None:
        raise Killed

    for page in (("run_task.py",), STOP):
        at(runbook, "UpdateContainerInstancesState", die)
        with pytest.raises(Killed):
            runbook.run(*STOP)
        runbook.watch = None
        assert [each["status"] for each in runbook.run("describe_clusters.py").result["hosts"]] == ["DRAINING"]
        assert runbook.run(*page).code == 0
    runbook.settle(60)
    assert (len(hosts(runbook)), hosts(runbook, "running")) == (1, [])


def test_hosts_stay_in_the_zone_in_which_there_was_room(runbook: Runbook) -> None:
    """A group that balances its zones starts a host more; one that an earlier version made is told not to."""
    two_zones = {"PUBLIC_SUBNET_CIDRS": "10.0.0.0/24,10.0.1.0/24", "TASK_COUNT": "2", "MAX_INSTANCES": "2"}
    runbook.settings |= two_zones
    runbook.emulator.world.settings.without_capacity = ["us-east-1b"]
    runbook.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    runbook.emulator.world.settings.without_capacity = []
    asg = runbook.aws("autoscaling")
    asg.resume_processes(AutoScalingGroupName="gpu-hosts", ScalingProcesses=["AZRebalance"])
    ran = runbook.run("create_cluster.py")
    assert ran.code == 0 and "its hosts stay in their zones" in ran.err
    runbook.settle(7200)
    [group] = asg.describe_auto_scaling_groups(AutoScalingGroupNames=["gpu-hosts"])["AutoScalingGroups"]
    assert [each["AvailabilityZone"] for each in group["Instances"]] == ["us-east-1a"] * 2
    assert [each["ProcessName"] for each in group["SuspendedProcesses"]] == ["AZRebalance"]
    assert "stay in their zones" not in runbook.run("create_cluster.py").err


def test_more_copies_than_all_hosts_hold_are_told_before_they_start_and_jobs_may_wait_their_turn(
    zones: Runbook,
) -> None:
    told = "TASK_COUNT=3 is more than MAX_INSTANCES=2 can hold"
    assert told in zones.run("run_task.py", "--dry-run", TASK_COUNT="3").err
    assert told not in zones.run("run_task.py", "--dry-run", TASK_COUNT="2").err
    assert told not in zones.run("run_task.py", "--dry-run", TASK_COUNT="3", RUN_UNTIL="STOPPED").err
