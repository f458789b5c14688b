"""CAPACITY_TYPE=spot-first: a Spot host, and where there is none one on demand; MAX_INSTANCES for both together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulator.core.faults import Fault
from emulator.ecs import spot
from tests.conftest import Runbook

SPOT_FIRST = {"CAPACITY_TYPE": "spot-first", "MAX_INSTANCES": "2"}


@pytest.fixture
def spot_first(runbook: Runbook) -> Runbook:
    runbook.settings |= SPOT_FIRST
    return runbook.has_run("create_cluster.py", "register_task_definition.py")


def no_spot(runbook: Runbook) -> None:
    runbook.emulator.world.settings.without_capacity = ["spot:us-east-1a"]


def groups(runbook: Runbook) -> dict[str, Any]:
    found = runbook.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return {each["AutoScalingGroupName"]: each for each in found}


def sizes(runbook: Runbook) -> list[tuple[int, int]]:
    """Hosts and MaxSize, of Spot and on demand."""
    found = groups(runbook)
    return [(len(found[each]["Instances"]), found[each]["MaxSize"]) for each in ("gpu-hosts", "gpu-hosts-od")]


def providers(runbook: Runbook) -> list[str]:
    ecs = runbook.aws("ecs")
    arns = ecs.list_tasks(cluster="gpu")["taskArns"]
    return sorted(each["capacityProviderName"] for each in ecs.describe_tasks(cluster="gpu", tasks=arns)["tasks"])


def lifecycles(runbook: Runbook) -> list[str]:
    found = runbook.aws("ec2").describe_instances()["Reservations"]
    hosts = [each for one in found for each in one["Instances"] if each["State"]["Name"] == "running"]
    return sorted(each.get("InstanceLifecycle", "on-demand") for each in hosts)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"MIN_INSTANCES": "1"}, "CAPACITY_TYPE: spot-first, but MIN_INSTANCES=1"),
        ({"LAUNCH_TYPE": "FARGATE", "GPU_COUNT": "0"}, "CAPACITY_TYPE: spot-first, but LAUNCH_TYPE=FARGATE"),
    ],
)
def test_what_does_not_go_with_it_is_refused(runbook: Runbook, settings: dict[str, str], sentence: str) -> None:
    ran = runbook.run("create_cluster.py", **{**SPOT_FIRST, **settings})
    assert (ran.code, sentence in ran.err) == (2, True), ran.err


def test_while_there_is_spot_capacity_a_task_runs_on_spot_and_it_is_told(spot_first: Runbook) -> None:
    ran = spot_first.run("run_task.py")
    assert ran.code == 0, ran.err
    assert (lifecycles(spot_first), providers(spot_first)) == (["spot"], ["gpu-capacity"])
    assert "g4dn.xlarge in us-east-1a, on Spot, less than $0.526 an hour" in ran.err
    assert sizes(spot_first) == [(1, 1), (0, 1)]


def test_without_it_the_task_runs_on_demand_and_that_is_told_with_its_price(spot_first: Runbook) -> None:
    no_spot(spot_first)
    ran = spot_first.run("run_task.py")
    assert ran.code == 0, ran.err
    assert (lifecycles(spot_first), providers(spot_first)) == (["on-demand"], ["gpu-capacity-od"])
    assert "found no g4dn.xlarge: us-east-1a UnfulfillableCapacity" in ran.err
    assert "None on Spot. On demand in its place" in ran.err
    assert "WAIT_FOR_CAPACITY" not in ran.err
    assert "g4dn.xlarge in us-east-1a, on demand, $0.526 an hour" in ran.err
    assert sizes(spot_first) == [(0, 0), (1, 2)]


def test_where_spot_has_one_of_two_the_other_is_on_demand_and_never_are_there_more_than_the_most(
    spot_first: Runbook,
) -> None:
    spot_first.emulator.world.settings.vcpu_quotas["L-3819A6DF"] = 4
    ran = spot_first.run("run_task.py", TASK_COUNT="2")
    assert ran.code == 0, ran.err
    assert (lifecycles(spot_first), sizes(spot_first)) == (["on-demand", "spot"], [(1, 1), (1, 1)])
    spot_first.emulator.world.settings.vcpu_quotas["L-3819A6DF"] = 64
    ran = spot_first.run("run_task.py", TASK_COUNT="3", WAIT_TIMEOUT_SECONDS="300")
    assert ran.code == 3, ran.err
    assert sizes(spot_first) == [(1, 1), (1, 1)]


def test_a_host_on_demand_that_is_free_is_taken_before_a_new_one_on_spot(spot_first: Runbook) -> None:
    no_spot(spot_first)
    spot_first.has_run("run_task.py")
    spot_first.emulator.world.settings.without_capacity = []
    spot_first.has_run("stop_task.py --all", KEEP_HOSTS="aws")
    assert spot_first.run("run_task.py").code == 0
    assert lifecycles(spot_first) == ["on-demand"]


def test_a_task_whose_spot_host_is_taken_back_is_started_again_on_demand(spot_first: Runbook) -> None:
    spot_first.settings |= {"RUN_UNTIL": "STOPPED", "RETRIES": "1", "COMMAND": "sleep 600"}
    spot_first.has_run("register_task_definition.py")
    taken: list[str] = []

    def watch(when: str) -> None:
        running = [
            each for each in groups(spot_first)["gpu-hosts"]["Instances"] if each["LifecycleState"] == "InService"
        ]
        tasks = spot_first.aws("ecs").list_tasks(cluster="gpu")["taskArns"]
        if not taken and running and tasks and "RUNNING" in states(spot_first, tasks):
            taken.append(running[0]["InstanceId"])
            no_spot(spot_first)
            spot.interrupt(spot_first.emulator, {"instance": taken[0]})

    spot_first.watch = lambda when: quietly(spot_first, watch, when)
    ran = spot_first.run("run_task.py")
    spot_first.watch = None
    assert ran.code == 0, ran.err
    assert "AWS took its Spot capacity back" in ran.err and "on demand, $0.526" in ran.err


def states(runbook: Runbook, arns: list[str]) -> list[str]:
    return [each["lastStatus"] for each in runbook.aws("ecs").describe_tasks(cluster="gpu", tasks=arns)["tasks"]]


def quietly(runbook: Runbook, watch: Any, when: str) -> None:
    before, runbook.watch = runbook.watch, None
    watch(when)
    runbook.watch = before


def test_a_sweep_has_its_rows_on_both_and_tells_a_price_of_those_on_demand_only(
    spot_first: Runbook, tmp_path: Path
) -> None:
    spot_first.emulator.world.settings.vcpu_quotas["L-3819A6DF"] = 4
    (tmp_path / "rows.csv").write_text("LR\n0.1\n0.2\n")
    command = {"COMMAND": "sleep 600", "MAX_PARALLEL": "2"}
    spot_first.has_run("register_task_definition.py", **command)
    ran = spot_first.run("run_task.py", "--sweep", str(tmp_path / "rows.csv"), **command)
    assert ran.code == 0, ran.err
    priced = [each["usd"] is not None for each in ran.result["rows"]]
    assert sorted(priced) == [False, True], ran.out


def test_where_hosts_can_not_be_asked_for_at_once_they_come_on_demand(spot_first: Runbook) -> None:
    spot_first.emulator.faults.planned.append(Fault("LaunchInstances", "denied", times=-1))
    ran = spot_first.run("run_task.py")
    assert ran.code == 0, ran.err
    assert "hosts could not be asked for at once" in ran.err
    assert set(lifecycles(spot_first)) == {"on-demand"}


def test_a_service_runs_on_demand_also_after_a_run_had_the_only_host_on_spot(runbook: Runbook) -> None:
    served = {"SERVICE_NAME": "api", "LISTENER_PROTOCOL": ""}
    runbook.settings |= {"CAPACITY_TYPE": "spot-first"}
    runbook.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")
    assert sizes(runbook) == [(1, 1), (0, 0)]
    runbook.has_run("stop_task.py --all")
    runbook.settle(300)
    ran = runbook.run("create_service.py", **served)
    assert ran.code == 0, ran.err
    assert (providers(runbook), lifecycles(runbook)) == (["gpu-capacity-od"], ["on-demand"])


def test_hosts_of_both_are_replaced(spot_first: Runbook) -> None:
    spot_first.emulator.world.settings.vcpu_quotas["L-3819A6DF"] = 4
    spot_first.has_run("run_task.py", TASK_COUNT="2")
    before = ids(spot_first)
    spot_first.has_run("stop_task.py --all", KEEP_HOSTS="aws")
    ran = spot_first.run("update_cluster.py", ROOT_VOLUME_GIB="200")
    assert ran.code == 0, ran.err
    assert (ran.result["status"], ran.result["onDemand"]["status"]) == ("Successful", "Successful")
    assert not before & ids(spot_first)


def ids(runbook: Runbook) -> set[str]:
    return {each["InstanceId"] for group in groups(runbook).values() for each in group["Instances"]}


def test_another_s_group_of_that_name_stays_and_hinders_nothing(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", CLUSTER_NAME="other")
    template = {"LaunchTemplateName": "other-hosts", "Version": "$Latest"}
    [subnet] = runbook.aws("ec2").describe_subnets(Filters=[{"Name": "tag:gpu-ecs-cluster", "Values": ["other"]}])[
        "Subnets"
    ]
    runbook.aws("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="gpu-hosts-od",
        LaunchTemplate=template,
        MinSize=0,
        MaxSize=1,
        VPCZoneIdentifier=subnet["SubnetId"],
    )
    runbook.has_run("create_cluster.py", "create_cluster.py", "delete_cluster.py --yes")
    ran = runbook.run("create_cluster.py", **SPOT_FIRST)
    assert (ran.code, "gpu-hosts-od exists already, and does not bear the tag" in ran.err) == (1, True), ran.err
    assert "gpu-hosts-od" in groups(runbook)


def test_all_of_it_goes_with_the_cluster(spot_first: Runbook) -> None:
    spot_first.emulator.world.settings.vcpu_quotas["L-3819A6DF"] = 4
    spot_first.has_run("run_task.py", TASK_COUNT="2")
    spot_first.has_run("delete_cluster.py --yes")
    assert (groups(spot_first), lifecycles(spot_first)) == ({}, [])


def test_another_capacity_type_is_refused_while_hosts_run_on_demand_beside_spot(spot_first: Runbook) -> None:
    no_spot(spot_first)
    spot_first.has_run("run_task.py")
    before = len(spot_first.emulator.calls)
    ran = spot_first.run("create_cluster.py", CAPACITY_TYPE="spot")
    assert (ran.code, spot_first.changes(before)) == (1, [])
    assert "CAPACITY_TYPE=spot, but host i-" in ran.err and "runs as it was before" in ran.err


def test_a_pause_and_a_resume_bring_back_both_groups(spot_first: Runbook) -> None:
    no_spot(spot_first)
    spot_first.has_run("run_task.py")
    before = sizes(spot_first)
    spot_first.has_run("pause_cluster.py")
    assert (sizes(spot_first), lifecycles(spot_first)) == ([(0, 0), (0, 0)], [])
    ran = spot_first.run("resume_cluster.py")
    assert ran.code == 0, ran.err
    assert (sizes(spot_first), lifecycles(spot_first)) == (before, ["on-demand"])
    assert providers(spot_first) == ["gpu-capacity-od"]


def test_a_deadline_ends_the_hosts_of_both(spot_first: Runbook) -> None:
    spot_first.emulator.world.settings.vcpu_quotas["L-3819A6DF"] = 4
    spot_first.settings["MAX_CLUSTER_HOURS"] = "2"
    spot_first.has_run("create_cluster.py")
    spot_first.has_run("run_task.py", TASK_COUNT="2")
    assert lifecycles(spot_first) == ["on-demand", "spot"]
    spot_first.settle(9000)
    assert (groups(spot_first), lifecycles(spot_first)) == ({}, [])
