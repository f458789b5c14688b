"""INSTANCE_TYPES: several, in order of preference; a host is of the first that AWS has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Runbook

SEVERAL = {"INSTANCE_TYPES": "g5.xlarge,g6.xlarge"}
REFUSED = {
    "another number of GPUs": (
        {"INSTANCE_TYPES": "g4dn.xlarge,g4dn.12xlarge"},
        "INSTANCE_TYPES: g4dn.12xlarge has 4 GPUs, and g4dn.xlarge has 1: ECS counts hosts; leave it out",
    ),
    "less memory of the GPU": (
        {"INSTANCE_TYPES": "g5.xlarge,g4dn.xlarge"},
        "INSTANCE_TYPES: g4dn.xlarge has a GPU with 16384 MiB, less than the 22888 of g5.xlarge",
    ),
    "another architecture": (
        {"INSTANCE_TYPES": "t3.medium,t4g.medium", "GPU_COUNT": "0"},
        "INSTANCE_TYPES: t4g.medium is arm64, which t3.medium is not",
    ),
    "a task that fits the larger one only": (
        {"INSTANCE_TYPES": "g4dn.2xlarge,g4dn.xlarge", "TASK_MEMORY": "24000"},
        "TASK_MEMORY=24000 does not fit on INSTANCE_TYPES: g4dn.xlarge",
    ),
    "one that AWS has retired": (
        {"INSTANCE_TYPES": "g5.xlarge,p3.2xlarge"},
        "INSTANCE_TYPES: p3.2xlarge does not exist in us-east-1, as EC2 says",
    ),
    "one that its zones do not have": (
        {"INSTANCE_TYPES": "g4dn.xlarge,g5.xlarge", "AVAILABILITY_ZONES": "us-east-1e"},
        "AVAILABILITY_ZONES: us-east-1e does not offer g4dn.xlarge or g5.xlarge",
    ),
}


@pytest.mark.parametrize(("settings", "sentence"), REFUSED.values(), ids=REFUSED)
def test_types_that_do_not_go_together_are_refused_with_the_reason(
    runbook: Runbook, settings: dict[str, str], sentence: str
) -> None:
    ran = runbook.run("create_cluster.py", **settings)
    assert (ran.code, runbook.changes(0)) == (1, [])
    assert sentence in ran.err


def test_the_quota_of_each_family_is_asked_for(runbook: Runbook) -> None:
    runbook.emulator.world.settings.vcpu_quotas["L-417A185B"] = 0
    kinds = {"INSTANCE_TYPES": "g5.48xlarge,p4d.24xlarge", "GPU_COUNT": "8"}
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 192
    ran = runbook.run("create_cluster.py", **kinds)
    assert (ran.code, runbook.changes(0)) == (1, [])
    assert "quota L-417A185B is 0 vCPUs, and one p4d.24xlarge (on-demand) needs 96" in ran.err


def group(runbook: Runbook) -> Any:
    [found] = runbook.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return found


def template(runbook: Runbook) -> Any:
    read = runbook.aws("ec2").describe_launch_template_versions
    [latest] = read(LaunchTemplateName="gpu-hosts", Versions=["$Latest"])["LaunchTemplateVersions"]
    return latest["LaunchTemplateData"]


def test_what_it_costs_before_names_them_all(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py", "--dry-run", **SEVERAL)
    lines = [" ".join(line.split()) for line in ran.err.splitlines()]
    assert "host g5.xlarge 0 to 1 1.006 an hour 1.0060 0.0000 0.00" in lines
    assert "or host g6.xlarge 0 to 1 0.8048 an hour or" in lines


def test_without_capacity_for_the_first_type_the_second_is_taken_and_told(runbook: Runbook) -> None:
    runbook.settings |= SEVERAL
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.emulator.world.settings.without_capacity = ["us-east-1a:g5.xlarge"]
    ran = runbook.run("run_task.py")
    assert ran.code == 0, ran.err
    assert [each["InstanceType"] for each in group(runbook)["Instances"]] == ["g6.xlarge"]
    assert "g6.xlarge in us-east-1a, on demand, $0." in ran.err


@pytest.mark.parametrize(("capacity", "above"), [("on-demand", 100), ("spot", 0)])
def test_the_group_tries_them_in_this_order_and_its_template_asks_for_no_market(
    runbook: Runbook, capacity: str, above: int
) -> None:
    runbook.has_run("create_cluster.py", CAPACITY_TYPE=capacity, **SEVERAL)
    policy = group(runbook)["MixedInstancesPolicy"]
    assert [each["InstanceType"] for each in policy["LaunchTemplate"]["Overrides"]] == ["g5.xlarge", "g6.xlarge"]
    assert policy["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] == above
    assert policy["InstancesDistribution"]["OnDemandAllocationStrategy"] == "prioritized"
    assert "InstanceMarketOptions" not in template(runbook)


def test_another_order_and_one_type_alone_reach_a_group_that_stands_and_hosts_stay_until_they_are_replaced(
    runbook: Runbook,
) -> None:
    runbook.settings["MIN_INSTANCES"] = "1"
    runbook.emulator.world.settings.without_capacity = ["us-east-1a:g5.xlarge"]
    runbook.has_run("create_cluster.py", **SEVERAL)
    ran = runbook.run("create_cluster.py", INSTANCE_TYPES="g5.xlarge,g4dn.2xlarge,g6.xlarge")
    assert "g4dn.2xlarge has a GPU with 16384 MiB" in ran.err
    ran = runbook.run("create_cluster.py", INSTANCE_TYPES="g5.xlarge,g6.2xlarge,g6.xlarge")
    assert "instance types g5.xlarge, g6.2xlarge, g6.xlarge" in ran.err
    ran = runbook.run("create_cluster.py", INSTANCE_TYPES="g5.xlarge,g6.xlarge,g6.2xlarge")
    assert "instance types g5.xlarge, g6.xlarge, g6.2xlarge" in ran.err
    assert "former host" not in ran.err
    runbook.emulator.world.settings.without_capacity = []
    ran = runbook.run("create_cluster.py", INSTANCE_TYPE="g5.xlarge")
    assert "kept 1 former host  python update_cluster.py replaces them" in ran.err
    assert "MixedInstancesPolicy" not in group(runbook)
    assert [each["InstanceType"] for each in group(runbook)["Instances"]] == ["g6.xlarge"]
    assert runbook.run("update_cluster.py", INSTANCE_TYPE="g5.xlarge").code == 0
    runbook.settle()
    assert [each["InstanceType"] for each in group(runbook)["Instances"]] == ["g5.xlarge"]
