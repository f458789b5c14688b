"""update_cluster.py brings the hosts to the settings and the newest AMI, one at a time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Runbook

PARAMETER = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"


def hosts(runbook: Runbook) -> list[Any]:
    filters = [{"Name": "instance-state-name", "Values": ["running"]}]
    found = runbook.aws("ec2").describe_instances(Filters=filters)["Reservations"]
    return [host for reservation in found for host in reservation["Instances"]]


def test_hosts_are_replaced_one_at_a_time_when_a_setting_changed(clara: Runbook) -> None:
    clara.has_run("create_cluster.py")
    before = {host["InstanceId"] for host in hosts(clara)}
    ran = clara.run("update_cluster.py", ROOT_VOLUME_GIB="200")
    found = clara.aws("autoscaling").describe_instance_refreshes(AutoScalingGroupName="clara-train-hosts")
    [refresh] = found["InstanceRefreshes"]
    assert (ran.code, ran.result["status"]) == (0, "Successful")
    assert refresh["Preferences"]["MinHealthyPercentage"] == 50
    assert before & {host["InstanceId"] for host in hosts(clara)} == set()
    assert len(hosts(clara)) == 2


def test_the_newest_ami_is_taken(clara: Runbook) -> None:
    newest = clara.aws("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    filters = [{"Name": "name", "Values": ["al2023-ami-ecs-gpu-hvm-*"]}]
    published = clara.aws("ec2").describe_images(Filters=filters)["Images"]
    other = next(image["ImageId"] for image in published if image["ImageId"] != newest)
    clara.has_run("create_cluster.py", AMI_ID=other)
    ran = clara.run("update_cluster.py")
    assert ran.code == 0, ran.err
    assert {host["ImageId"] for host in hosts(clara)} == {newest}


def test_hosts_that_are_right_already_stay(clara: Runbook) -> None:
    clara.has_run("create_cluster.py")
    before = {host["InstanceId"] for host in hosts(clara)}
    clara.has_run("update_cluster.py")
    assert {host["InstanceId"] for host in hosts(clara)} == before


def test_the_service_runs_on_afterwards(clara: Runbook) -> None:
    clara.has_run("create_cluster.py", "register_task_definition.py", "create_service.py")
    clara.has_run("update_cluster.py", ROOT_VOLUME_GIB="200")
    clara.settle()
    [service] = clara.aws("ecs").describe_services(cluster="clara-train", services=["clara"])["services"]
    assert service["runningCount"] == 1


def test_without_hosts_there_is_nothing_to_replace(runbook: Runbook) -> None:
    ran = runbook.has_run("create_cluster.py").run("update_cluster.py")
    assert (ran.code, ran.result["status"]) == (0, None)


def test_a_dry_run_replaces_nothing(clara: Runbook) -> None:
    clara.has_run("create_cluster.py")
    before = {host["InstanceId"] for host in hosts(clara)}
    calls = len(clara.emulator.calls)
    ran = clara.run("update_cluster.py", "--dry-run", ROOT_VOLUME_GIB="200")
    assert (ran.code, clara.changes(calls)) == (0, []), ran.err
    assert {host["InstanceId"] for host in hosts(clara)} == before


def test_a_host_that_does_not_join_stops_the_refresh_and_the_others_stay(clara: Runbook) -> None:
    """AWS itself calls a refresh successful whose instances run."""
    clara.has_run("create_cluster.py")
    before = {host["InstanceId"]: host["ImageId"] for host in hosts(clara)}
    clara.emulator.world.settings.agents_register = False
    ran = clara.run("update_cluster.py", ROOT_VOLUME_GIB="200")
    assert (ran.code, ran.out) == (1, "")
    assert "is stopped, 1 of 2 hosts are as before" in ran.err
    assert "its ECS agent has not joined the cluster" in ran.err
    assert f"to go back: AMI_ID={min(before.values())} python update_cluster.py" in ran.err
    clara.settle(3600)
    found = clara.aws("autoscaling").describe_instance_refreshes(AutoScalingGroupName="clara-train-hosts")
    assert [each["Status"] for each in found["InstanceRefreshes"]] == ["Cancelled"]
    assert len(before.keys() & {host["InstanceId"] for host in hosts(clara)}) == 1


def test_a_single_host_that_does_not_join_is_no_success(clara: Runbook) -> None:
    clara.settings |= {"CLUSTER_SIZE": "1", "DESIRED_COUNT": "1"}
    clara.has_run("create_cluster.py")
    clara.emulator.world.settings.agents_register = False
    ran = clara.run("update_cluster.py", ROOT_VOLUME_GIB="200")
    assert (ran.code, ran.out) == (1, "")
    assert "its ECS agent has not joined the cluster" in ran.err


@pytest.mark.parametrize(("instance_type", "lost"), [("g4dn.xlarge", 1), ("g4dn.12xlarge", 1)])
def test_a_host_with_too_few_gpus_stops_the_refresh_too(runbook: Runbook, instance_type: str, lost: int) -> None:
    """Its agent is connected, so that only its GPUs tell."""
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 1000.0
    runbook.settings |= {"INSTANCE_TYPE": instance_type, "CLUSTER_SIZE": "2"}
    runbook.has_run("create_cluster.py")
    before = {host["InstanceId"]: host["ImageId"] for host in hosts(runbook)}
    runbook.emulator.world.settings.lost_gpus = lost
    ran = runbook.run("update_cluster.py", ROOT_VOLUME_GIB="200")
    [new] = {host["InstanceId"] for host in hosts(runbook)} - before.keys()
    count = 1 if instance_type == "g4dn.xlarge" else 4
    assert (ran.code, ran.out) == (1, "")
    assert "is stopped, 1 of 2 hosts are as before" in ran.err
    assert f"host {new} registered {count - lost} of {count} GPUs of a {instance_type}" in ran.err
    assert f"to go back: AMI_ID={min(before.values())} python update_cluster.py" in ran.err
