"""Nothing is open to the world unless a setting says so, and NFS is open to hosts and tasks alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Runbook
from tests.examples.test_endpoints import small
from tests.pages.test_create_cluster import open_to
from tests.standing import standing

__all__ = ["small"]  # a fixture


def group(runbook: Runbook, name: str) -> Any:
    filters = [{"Name": "group-name", "Values": [name]}]
    [found] = runbook.aws("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return found


def test_by_default_no_port_is_open(runbook: Runbook) -> None:
    assert group(runbook.has_run("create_cluster.py"), "gpu-hosts")["IpPermissions"] == []


def test_nfs_is_open_to_the_hosts_alone(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    [rule] = group(runbook, "gpu-file-system")["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"], rule["Ipv6Ranges"]) == (2049, 2049, [], [])
    [source] = rule["UserIdGroupPairs"]
    assert source["GroupId"] == group(runbook, "gpu-hosts")["GroupId"]


def test_nfs_is_open_to_hosts_and_tasks_that_have_an_address_of_their_own(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", NETWORK_MODE="awsvpc")
    [rule] = group(runbook, "gpu-file-system")["IpPermissions"]
    sources = {pair["GroupId"] for pair in rule["UserIdGroupPairs"]}
    assert sources == {group(runbook, name)["GroupId"] for name in ("gpu-hosts", "gpu-tasks")}


def test_the_mount_targets_bear_the_groups_that_lets_nfs_in(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    efs = runbook.aws("efs")
    [system] = efs.describe_file_systems()["FileSystems"]
    [target] = efs.describe_mount_targets(FileSystemId=system["FileSystemId"])["MountTargets"]
    groups = efs.describe_mount_target_security_groups(MountTargetId=target["MountTargetId"])["SecurityGroups"]
    assert groups == [group(runbook, "gpu-file-system")["GroupId"]]


def test_a_mount_target_that_was_given_another_group_gets_ours_back(runbook: Runbook) -> None:
    made = runbook.has_run("create_cluster.py").run("create_cluster.py").result
    efs = runbook.aws("efs")
    [target] = efs.describe_mount_targets(FileSystemId=made["fileSystemId"])["MountTargets"]
    efs.modify_mount_target_security_groups(
        MountTargetId=target["MountTargetId"], SecurityGroups=made["securityGroupIds"]
    )
    runbook.has_run("create_cluster.py")
    groups = efs.describe_mount_target_security_groups(MountTargetId=target["MountTargetId"])["SecurityGroups"]
    assert groups == [group(runbook, "gpu-file-system")["GroupId"]]


def test_a_lost_nfs_rule_comes_back(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    found = group(runbook, "gpu-file-system")
    runbook.aws("ec2").revoke_security_group_ingress(GroupId=found["GroupId"], IpPermissions=found["IpPermissions"])
    runbook.has_run("create_cluster.py")
    assert group(runbook, "gpu-file-system")["IpPermissions"] == found["IpPermissions"]


def test_a_rule_that_someone_added_by_hand_stays(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py")
    rule = {"IpProtocol": "tcp", "FromPort": 8443, "ToPort": 8443, "IpRanges": [{"CidrIp": "198.51.100.1/32"}]}
    runbook.aws("ec2").authorize_security_group_ingress(
        GroupId=group(runbook, "gpu-hosts")["GroupId"], IpPermissions=[rule]
    )
    runbook.has_run("create_cluster.py")
    assert open_to(runbook, "gpu-hosts") == [(8443, "198.51.100.1/32")]


PORTS: dict[str, tuple[dict[str, str], list[tuple[int, int]]]] = {
    "a host port": ({"CONTAINER_PORTS": "8080:80"}, [(8080, 8080)]),
    "a dynamic port": ({"CONTAINER_PORTS": "80"}, [(32768, 65535)]),
    "host mode": ({"CONTAINER_PORTS": "80", "NETWORK_MODE": "host"}, [(80, 80)]),
    "awsvpc": ({"CONTAINER_PORTS": "80", "NETWORK_MODE": "awsvpc"}, []),
}


@pytest.mark.parametrize(("settings", "ports"), PORTS.values(), ids=PORTS)
def test_the_hosts_are_open_where_the_containers_ports_are(
    runbook: Runbook, settings: dict[str, str], ports: list[tuple[int, int]]
) -> None:
    runbook.has_run("create_cluster.py", **settings, ALLOWED_CIDR="203.0.113.7/32")
    rules = group(runbook, "gpu-hosts")["IpPermissions"]
    assert [(rule["FromPort"], rule["ToPort"]) for rule in rules] == ports
    assert {block["CidrIp"] for rule in rules for block in rule["IpRanges"]} <= {"203.0.113.7/32"}


def test_an_awsvpc_task_is_open_in_its_own_group(runbook: Runbook) -> None:
    runbook.has_run("create_cluster.py", CONTAINER_PORTS="80", NETWORK_MODE="awsvpc", ALLOWED_CIDR="203.0.113.7/32")
    assert open_to(runbook, "gpu-tasks") == [(80, "203.0.113.7/32")]


def test_adopted_groups_are_on_hosts_and_are_the_source_of_nfs(adopted: Runbook) -> None:
    ec2 = adopted.aws("ec2")
    request = {"GroupName": "theirs", "Description": "theirs", "VpcId": adopted.settings["VPC_ID"]}
    adopted.settings["SECURITY_GROUP_IDS"] = theirs = ec2.create_security_group(**request)["GroupId"]
    adopted.settle(60)
    adopted.has_run("create_cluster.py")
    [rule] = group(adopted, "gpu-file-system")["IpPermissions"]
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [theirs]
    assert group(adopted, "theirs")["IpPermissions"] == []


# ----------------------------------------------------------------------------------------------------------- endpoints


def nfs_from(runbook: Runbook) -> set[str]:
    """The names of the groups whose bearers reach the mount targets."""
    rules = [rule for rule in group(runbook, "ml-file-system")["IpPermissions"] if rule["FromPort"] == 2049]
    ids = [pair["GroupId"] for rule in rules for pair in rule["UserIdGroupPairs"]]
    found = runbook.aws("ec2").describe_security_groups(GroupIds=ids)["SecurityGroups"] if ids else []
    return {str(each["GroupName"]) for each in found}


def test_each_endpoint_has_its_group_and_its_nfs_rule_which_no_other_script_touches(small: Runbook) -> None:
    assert nfs_from(small) == set()
    served = ("register_task_definition.py", "create_service.py")
    paused = {"DESIRED_COUNT": "0"}
    small.has_run(*served, ENDPOINT="a", **paused)
    small.has_run(*served, ENDPOINT="b", CONTAINER_PORTS="9000", **paused)
    assert nfs_from(small) == {"ml-a-tasks", "ml-b-tasks"}
    ports = [rule["FromPort"] for name in "ab" for rule in group(small, f"ml-{name}-tasks")["IpPermissions"]]
    assert ports == [8000, 9000]
    begun = len(small.emulator.calls)
    small.has_run("create_cluster.py")
    assert small.changes(begun) == [], "the cluster leaves the endpoints' rules alone"
    found = group(small, "ml-file-system")
    small.aws("ec2").revoke_security_group_ingress(GroupId=found["GroupId"], IpPermissions=found["IpPermissions"])
    small.has_run("create_service.py", ENDPOINT="a", **paused)
    assert nfs_from(small) == {"ml-a-tasks"}, "each sees to its own"
    small.has_run("create_service.py", ENDPOINT="b", CONTAINER_PORTS="9000", **paused)
    by_hand = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "IpRanges": [{"CidrIp": "10.0.0.9/32"}]}
    small.aws("ec2").authorize_security_group_ingress(GroupId=found["GroupId"], IpPermissions=[by_hand])
    small.has_run("delete_service.py", ENDPOINT="b")
    assert nfs_from(small) == {"ml-a-tasks"}
    [rule] = group(small, "ml-file-system")["IpPermissions"]
    assert [block["CidrIp"] for block in rule["IpRanges"]] == ["10.0.0.9/32"], "made by hand: not ours to take away"


def test_what_an_endpoint_has_is_listed_for_it_alone(small: Runbook) -> None:
    for endpoint in "ab":
        small.has_run("register_task_definition.py", "create_service.py", ENDPOINT=endpoint, DESIRED_COUNT="0")
    found = standing(small, "service.task_security_group", ENDPOINT="a")
    group_id = group(small, "ml-a-tasks")["GroupId"]
    [nfs] = [what for what in found if f"of {group(small, 'ml-file-system')['GroupId']}" in what]
    assert f"security group {group_id} (ml-a-tasks)" in found and "security-group-rule/sgr-" in found[nfs]["arn"]
    assert {each["tags"]["gpu-ecs-endpoint"] for each in found.values()} == {"a"}
    assert standing(small, "service.task_security_group") == {}
    small.has_run("delete_service.py", ENDPOINT="a")
    assert standing(small, "service.task_security_group", ENDPOINT="a") == {}
    assert len(standing(small, "service.task_security_group", ENDPOINT="b")) == len(found)
