"""Deadlines: what they end and when, though the machine that made them is gone; how they are moved, shown and taken away."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from emulator.core.faults import Fault
from emulator.scheduler import schedules
from infrastructure.service import deadlines
from tests.conftest import READS, Runbook
from tests.pictures import Picture, put_back, take

STARTED = ("create_cluster.py", "register_task_definition.py", "run_task.py")
HOUR = 3600


@pytest.fixture
def gpu(runbook: Runbook) -> Runbook:
    """A GPU task, without a file system, which takes no part in this."""
    runbook.settings |= {"EFS_VOLUMES": ""}
    return runbook


def cluster(runbook: Runbook) -> str:
    return runbook.settings.get("CLUSTER_NAME", "ml")


def group(runbook: Runbook) -> schedules.Group | None:
    return schedules.groups(runbook.emulator.world, "us-east-1").get(f"{cluster(runbook)}-stop")


def kinds(runbook: Runbook) -> list[str]:
    """What its schedules end."""
    found = group(runbook)
    return sorted(name.partition("-")[0] for name in found.schedules) if found else []


def instants(runbook: Runbook) -> list[str]:
    found = group(runbook)
    return sorted({each.shown["ScheduleExpression"] for each in found.schedules.values()}) if found else []


def gpu_hosts(runbook: Runbook) -> list[str]:
    """The hosts that run, and cost."""
    states: Any = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    found = runbook.aws("ec2").describe_instances(Filters=states)["Reservations"]
    return [host["InstanceId"] for each in found for host in each["Instances"]]


def running(runbook: Runbook) -> list[str]:
    return list(runbook.aws("ecs").list_tasks(cluster=cluster(runbook))["taskArns"])


def ends_in(runbook: Runbook, hours: float) -> str:
    """The instant that many hours from now, as schedules say it."""
    at = datetime.fromtimestamp(runbook.emulator.world.now() // 60 * 60, timezone.utc) + timedelta(hours=hours)
    return f"{at:%Y-%m-%dT%H:%M:%S}"


# --------------------------------------------------------------------------------------------------- of a task


def test_a_task_is_stopped_and_its_host_goes_by_itself(gpu: Runbook) -> None:
    ran = gpu.has_run(*STARTED[:2], MAX_RUN_HOURS="8").run("run_task.py", MAX_RUN_HOURS="8")
    assert ran.code == 0 and kinds(gpu) == ["stop"], ran.err
    assert "deadline each task  of run_task.py stops 8 h after its start" in ran.err
    arn = ran.result["tasks"][0]["taskArn"]
    looked = gpu.run("describe_task.py", MAX_RUN_HOURS="8")
    assert looked.result["stopsAt"] == instants(gpu)[0][3:-1] + "Z"
    assert f"task {arn[-32:]} stops itself in 7 h 5" in looked.err
    gpu.settle(7.8 * HOUR)
    assert running(gpu) == [arn]
    gpu.settle(HOUR)
    [task] = gpu.aws("ecs").describe_tasks(cluster="gpu", tasks=[arn])["tasks"]
    assert (task["lastStatus"], task["stoppedReason"]) == ("STOPPED", "its deadline: MAX_RUN_HOURS of gpu")
    assert (gpu_hosts(gpu), kinds(gpu)) == ([], [])


def test_a_task_of_before_gets_its_own_and_a_setting_that_changes_moves_it(gpu: Runbook) -> None:
    gpu.has_run(*STARTED)
    gpu.settle(HOUR)
    gpu.has_run("create_cluster.py", MAX_RUN_HOURS="8")
    [first] = instants(gpu)
    gpu.has_run("run_task.py", MAX_RUN_HOURS="9.5")
    [moved] = instants(gpu)
    assert datetime.fromisoformat(moved[3:-1]) - datetime.fromisoformat(first[3:-1]) == timedelta(hours=1.5)
    gpu.has_run("run_task.py", MAX_RUN_HOURS="0.1")  # that is over: as soon as AWS takes it
    gpu.settle(200)
    assert (running(gpu), kinds(gpu)) == ([], [])


def test_what_is_stopped_before_leaves_no_schedule(gpu: Runbook) -> None:
    gpu.settings["MAX_RUN_HOURS"] = "8"
    gpu.has_run(*STARTED)
    gpu.emulator.faults.planned.append(Fault("DeleteSchedule", "ConflictException"))  # while another run changes it
    assert gpu.run("stop_task.py", "--all").code == 0
    assert kinds(gpu) == []


def test_what_has_ended_by_itself_leaves_no_schedule(fargate: Runbook, tmp_path: Any) -> None:
    """Else a page that looks would tell for hours when a task stops that has ended."""
    fargate.settings |= {"EFS_VOLUMES": "", "MAX_RUN_HOURS": "8", "RUN_UNTIL": "STOPPED", "NODE_PORTS": "29500-65535"}
    fargate.settings["COMMAND"] = "sleep 60"
    fargate.has_run(*STARTED[:2])
    rows = tmp_path / "rows.csv"
    rows.write_text("LR\n0.1\n0.2\n")
    for flags in ([], ["--sweep", str(rows)], ["--nodes", "2"]):
        assert fargate.run("run_task.py", *flags).code == 0
        assert kinds(fargate) == [], flags
    assert fargate.run("run_task.py", "--command", "sh -c 'exit 3'").code == 4
    assert kinds(fargate) == []


def test_a_sweep_and_the_nodes_of_a_job_have_one_each(fargate: Runbook, tmp_path: Any) -> None:
    fargate.settings |= {
        "EFS_VOLUMES": "",
        "COMMAND": "sleep infinity",
        "MAX_RUN_HOURS": "8",
        "NODE_PORTS": "29500-65535",
    }
    fargate.has_run(*STARTED[:2])
    rows = tmp_path / "rows.csv"
    rows.write_text("LR\n0.1\n0.2\n")
    fargate.run("run_task.py", "--sweep", str(rows), MAX_PARALLEL="2", RUN_TIMEOUT_SECONDS="100")
    assert kinds(fargate) == ["stop"] * 2
    assert fargate.run("run_task.py", "--nodes", "2", RUN_UNTIL="RUNNING").code == 0
    assert kinds(fargate) == ["stop"] * 4
    fargate.settle(8.2 * HOUR)
    assert (running(fargate), kinds(fargate)) == ([], [])


def test_this_machine_may_die_at_any_call_of_run_task(gpu: Runbook) -> None:
    """At the deadline nothing with a GPU runs, and no schedule is left, though nobody comes any more."""
    gpu.settings["MAX_RUN_HOURS"] = "8"
    gpu.has_run(*STARTED[:2])
    points: dict[str, Picture] = {}

    def watch(when: str) -> None:
        service, operation, _ = gpu.emulator.calls[-1]
        if when == "after" and not operation.startswith(READS):
            points[f"{len(points)} {service}:{operation}"] = take(gpu.emulator)

    gpu.watch = watch
    assert gpu.run("run_task.py").code == 0
    gpu.watch = None
    made = [each.partition(" ")[2] for each in points]
    guarded = ["scheduler:CreateSchedule", "ecs:RunTask", "scheduler:CreateSchedule", "scheduler:DeleteSchedule"]
    assert made == ["autoscaling:LaunchInstances", *guarded]  # a host without a task is ended by ECS
    for point, picture in points.items():
        put_back(gpu.emulator, picture)
        gpu._settle(8.5 * HOUR)
        assert (gpu_hosts(gpu), running(gpu), kinds(gpu)) == ([], [], []), point
    for point, picture in points.items():  # whoever comes next takes over
        put_back(gpu.emulator, picture)
        assert gpu.run("run_task.py").code == 0 and kinds(gpu) == ["stop"], point
        assert len(running(gpu)) == 1
    [died] = [picture for point, picture in points.items() if point.endswith("ecs:RunTask")]
    put_back(gpu.emulator, died)
    assert kinds(gpu) == ["guard"]
    gpu.settle(60)
    gpu.has_run("register_task_definition.py")
    assert kinds(gpu) == ["stop"]
    put_back(gpu.emulator, died)
    gpu.settle(9 * HOUR)  # the guard has acted
    late = gpu.run("run_task.py")
    assert (late.code, kinds(gpu)) == (1, []) and "run create_cluster.py first" in late.err, late.err


# --------------------------------------------------------------------------------------------------- of all


def test_at_the_instant_hosts_services_and_tasks_end_and_data_stays(runbook: Runbook) -> None:
    """Hosts that are protected from scale-in too; the service has no tasks, and scaling does not bring them back."""
    scaled = {"SCALING": "step", "MAX_TASKS": "2", "TASK_CPU": "512", "MIN_TASKS": "1"}
    runbook.settings |= {"MAX_CLUSTER_HOURS": "12", "MIN_INSTANCES": "1", "MAX_INSTANCES": "2", **scaled}
    runbook.has_run(*STARTED[:2])
    ran = runbook.run("create_service.py")
    assert ran.code == 0, ran.err
    runbook.has_run("run_task.py")
    assert kinds(runbook) == ["hosts", "limits", "service", "stop"]
    assert "stops itself in 11 h 5" in runbook.run("describe_service.py").err
    looked = runbook.run("describe_clusters.py")
    assert looked.result["stopsAt"] == f"{instants(runbook)[0][3:-1]}Z"
    runbook.settle(13 * HOUR)
    assert (gpu_hosts(runbook), running(runbook), kinds(runbook)) == ([], [], [])
    found = group(runbook)
    assert found and found.dropped == []
    [service] = runbook.aws("ecs").describe_services(cluster="gpu", services=["gpu"])["services"]
    assert service["desiredCount"] == 0
    assert len(runbook.aws("efs").describe_file_systems()["FileSystems"]) == 1
    late = runbook.run("run_task.py")
    assert late.code == 1 and "the hosts have ended at their deadline: run create_cluster.py first" in late.err
    again = runbook.run("create_cluster.py")
    assert again.code == 0 and len(gpu_hosts(runbook)) == 1, again.err
    assert runbook.run("create_service.py").code == 0
    assert len(running(runbook)) == 1
    runbook.has_run("delete_cluster.py --yes")
    assert group(runbook) is None
    assert "gpu-stop-us-east-1" not in [each["RoleName"] for each in runbook.aws("iam").list_roles()["Roles"]]


def test_it_is_moved_by_the_pages_that_make_something_and_goes_with_its_setting(gpu: Runbook) -> None:
    gpu.settings["MAX_CLUSTER_HOURS"] = "2"
    assert "hosts, services and tasks; what holds data stays\n" in gpu.run("create_cluster.py").err
    gpu.has_run("register_task_definition.py")
    [first] = instants(gpu)
    gpu.run("run_task.py")
    assert instants(gpu) == [first]  # some minutes are not worth it
    gpu.settle(HOUR)
    gpu.has_run("run_task.py")
    [moved] = instants(gpu)
    assert moved > first
    at = ends_in(gpu, 5)
    gpu.has_run("create_cluster.py", MAX_CLUSTER_HOURS="", STOP_AT=f"{at}Z")
    assert (kinds(gpu), instants(gpu)) == (["hosts", "stop"], [f"at({at})"])
    gpu.has_run("create_cluster.py", MAX_CLUSTER_HOURS="")
    assert group(gpu) is None


def test_on_fargate_services_and_tasks_end(fargate: Runbook) -> None:
    fargate.settings |= {"EFS_VOLUMES": "", "COMMAND": "sleep infinity", "MAX_CLUSTER_HOURS": "3", "DESIRED_COUNT": "2"}
    fargate.has_run(*STARTED, "create_service.py")
    assert (kinds(fargate), len(running(fargate))) == (["service", "stop"], 3)
    fargate.settle(3.2 * HOUR)
    assert (kinds(fargate), running(fargate)) == ([], [])
    fargate.has_run("create_service.py", "delete_service.py")
    assert kinds(fargate) == []


def test_a_deadline_of_a_shared_cluster_is_the_cluster_s_and_ends_every_endpoint(endpoints: Runbook) -> None:
    endpoints.settings |= {"MAX_CLUSTER_HOURS": "4", "SYNC_SCHEDULE": "", "MAX_INSTANCES": "2"}
    goes_on = "what holds data stays; NAT gateways, load balancer go on costing\n"
    assert goes_on in endpoints.run("create_cluster.py").err
    its_own = {"IMAGE": "example.com/ml:v1", "IMAGE_TAG": "", "DESIRED_COUNT": "0"}
    for endpoint in "ab":
        endpoints.has_run("register_task_definition.py", "create_service.py", ENDPOINT=endpoint, **its_own)
    assert kinds(endpoints) == ["limits", "limits", "service", "service"]
    endpoints.has_run("delete_service.py", ENDPOINT="a", **its_own)
    assert kinds(endpoints) == ["limits", "service"]
    endpoints.settle(4.2 * HOUR)
    assert kinds(endpoints) == []


# ------------------------------------------------------------------------------------------------ what changes meanwhile


def their_role(runbook: Runbook) -> str:
    """A role for Scheduler that somebody has made, and that may all."""
    may = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    trusts = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trusted, allowed = ({"Version": "2012-10-17", "Statement": [each]} for each in (trusts, may))
    iam = runbook.aws("iam")
    made = iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=json.dumps(trusted))
    iam.put_role_policy(RoleName="theirs", PolicyName="all", PolicyDocument=json.dumps(allowed))
    runbook.settle(60)
    return str(made["Role"]["Arn"])


def acting_roles(runbook: Runbook) -> set[str]:
    found = group(runbook)
    return {each.shown["Target"]["RoleArn"] for each in found.schedules.values()} if found else set()


@pytest.mark.parametrize("page", ["create_cluster.py", "run_task.py"])
def test_every_deadline_acts_with_the_role_of_the_settings_whichever_page_comes_next(gpu: Runbook, page: str) -> None:
    """One whose role is gone would end nothing."""
    theirs = their_role(gpu)
    gpu.settings |= {"MAX_CLUSTER_HOURS": "12"}
    gpu.has_run(*STARTED).has_run(page, STOP_ROLE_ARN=theirs)
    assert (acting_roles(gpu), kinds(gpu)) == ({theirs}, ["hosts", "stop"])
    begun = len(gpu.emulator.calls)
    gpu.has_run("create_cluster.py", STOP_ROLE_ARN=theirs)
    assert gpu.changes(begun) == []
    gpu.has_run(page)
    assert [each.rpartition("/")[2] for each in acting_roles(gpu)] == ["gpu-stop-us-east-1"]
    gpu.settle(13 * HOUR)
    assert (gpu_hosts(gpu), kinds(gpu)) == ([], [])


def test_a_group_that_is_going_holds_no_deadline_and_another_is_made(gpu: Runbook) -> None:
    """As where create_cluster.py was killed while it took the former one away."""
    gpu.settings |= {"MAX_RUN_HOURS": "8"}
    gpu.has_run(*STARTED[:2])
    gpu.aws("scheduler").delete_schedule_group(Name="gpu-stop")
    assert gpu.run("run_task.py").code == 0
    gpu.settle(60)
    assert kinds(gpu) == ["stop"]


def test_a_page_that_gives_a_task_its_deadline_moves_no_other(gpu: Runbook) -> None:
    """A second one of the same task would be left over when the first has acted."""
    gpu.settings |= {"MAX_RUN_HOURS": "24", "MAX_CLUSTER_HOURS": "12"}
    gpu.has_run(*STARTED)
    [instant] = instants(gpu)
    gpu.settle(HOUR)
    gpu.has_run("register_task_definition.py")
    assert (kinds(gpu), instants(gpu)) == (["hosts", "stop"], [instant])


def test_hours_count_from_the_run_and_not_from_each_task_that_it_starts(fargate: Runbook, tmp_path: Any) -> None:
    """A sweep starts no row any more when they are over."""
    fargate.settings |= {"EFS_VOLUMES": "", "COMMAND": "sleep 2400", "MAX_CLUSTER_HOURS": "1", "POLL_SECONDS": "60"}
    fargate.has_run(*STARTED[:2])
    rows = tmp_path / "rows.csv"
    rows.write_text("LR\n0.1\n0.2\n0.3\n")
    over = ends_in(fargate, 1)
    ran = fargate.run("run_task.py", "--sweep", str(rows))
    assert ran.code == 1 and f"all has stopped at its deadline, {over[:-3]}Z: run it again" in ran.err, ran.err
    assert (running(fargate), kinds(fargate)) == ([], [])
    assert ran.err.count("started row") == 2


def test_a_service_that_is_called_as_the_hosts_takes_their_deadline_not_away(gpu: Runbook) -> None:
    gpu.settings |= {"MAX_CLUSTER_HOURS": "12", "SERVICE_NAME": "gpu-hosts", "DESIRED_COUNT": "0"}
    gpu.has_run(*STARTED[:2], "create_service.py", "delete_service.py")
    assert kinds(gpu) == ["hosts"]


def test_a_run_whose_answer_was_lost_behind_a_failure_of_aws_keeps_its_guard(gpu: Runbook) -> None:
    """A task may run for all that; which code AWS has for its failure is no matter."""
    gpu.settings["MAX_RUN_HOURS"] = "8"
    gpu.has_run(*STARTED[:2])
    gpu.emulator.faults.planned.append(Fault("RunTask", "InternalFailure", when="after", times=-1))
    assert gpu.run("run_task.py").code == 1
    assert (len(running(gpu)), kinds(gpu)) == (1, ["guard"])


def test_the_time_left_of_a_service_s_task_is_told(fargate: Runbook) -> None:
    fargate.settings |= {"EFS_VOLUMES": "", "COMMAND": "sleep infinity", "MAX_CLUSTER_HOURS": "3", "DESIRED_COUNT": "1"}
    fargate.has_run(*STARTED[:2], "create_service.py")
    [arn] = running(fargate)
    looked = fargate.run("describe_task.py", "--task", arn)
    assert looked.result["stopsAt"] == f"{instants(fargate)[0][3:-1]}Z"


# --------------------------------------------------------------------------------------------------- what is refused


def test_an_instant_that_is_over_is_refused_before_anything_is_made(gpu: Runbook) -> None:
    begun = len(gpu.emulator.calls)
    ran = gpu.run("create_cluster.py", STOP_AT="2026-01-01T00:00Z")
    assert (ran.code, gpu.changes(begun)) == (1, [])
    assert "STOP_AT=2026-01-01T00:00Z is over: set a later one, or STOP_AT= for none" in ran.err


def test_where_aws_has_no_scheduler_it_is_refused(gpu: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "offered", lambda _: False)
    begun = len(gpu.emulator.calls)
    ran = gpu.run("create_cluster.py", MAX_RUN_HOURS="8")
    assert (ran.code, gpu.changes(begun)) == (1, [])
    assert "EventBridge Scheduler is not offered in us-east-1: MAX_RUN_HOURS asks for that" in ran.err
    assert gpu.run("create_cluster.py").code == 0


def test_a_run_that_aws_refuses_leaves_no_guard(gpu: Runbook) -> None:
    gpu.settings["MAX_RUN_HOURS"] = "8"
    gpu.has_run(*STARTED[:2])
    gpu.emulator.faults.planned.append(Fault("ecs:RunTask", "denied", times=-1))
    assert gpu.run("run_task.py").code == 1
    assert kinds(gpu) == []


@pytest.mark.parametrize("page", ["create_cluster.py", "run_task.py"])
def test_without_the_right_it_is_refused_with_the_setting_that_does_without(gpu: Runbook, page: str) -> None:
    gpu.has_run(*STARTED[: STARTED.index(page)])
    gpu.emulator.faults.planned.append(Fault("scheduler:*", "denied", times=-1))
    begun = len(gpu.emulator.calls)
    ran = gpu.run(page, MAX_RUN_HOURS="8")
    assert (ran.code, gpu.changes(begun)) == (1, []), ran.err
    assert "your credentials may not scheduler:" in ran.err
    assert "MAX_RUN_HOURS asks for that: MAX_RUN_HOURS= does without a deadline" in ran.err
    assert gpu.run(page).code == 0
    looked = gpu.run("list_tasks.py", MAX_RUN_HOURS="8")
    assert looked.code == 0 and "warning the time left is not known: " in looked.err


def test_the_hosts_on_demand_beside_those_on_spot_end_too(gpu: Runbook) -> None:
    gpu.settings |= {"CAPACITY_TYPE": "spot-first", "MAX_RUN_HOURS": "2", "MAX_CLUSTER_HOURS": "3"}
    gpu.has_run(*STARTED)
    assert kinds(gpu) == ["hosts", "hosts", "stop"]
    gpu.settle(3.5 * HOUR)
    assert (gpu_hosts(gpu), running(gpu), kinds(gpu)) == ([], [], [])
    assert gpu.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert gpu.run("create_cluster.py").code == 0
