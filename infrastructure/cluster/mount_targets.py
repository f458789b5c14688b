"""EFS mount targets: the address of a file system in each subnet, one in a zone, reachable by NFS from our groups only.

https://docs.aws.amazon.com/efs/latest/ug/accessing-fs.html
"""

import time
from typing import Any

import constants
from aws import accepted, client, insist, missing, wait
from console import say
from infrastructure.cluster import file_system, security_groups
from infrastructure.cluster.network import Network
from infrastructure.cluster.security_groups import SecurityGroups


def create(file_system_ids: dict[str, str], network: Network, groups: SecurityGroups) -> list[str]:
    """Ask for a mount target of each file system in each subnet; ready after one to two minutes. Answers what is new."""
    made: list[str] = []
    for file_system_id in dict.fromkeys(file_system_ids.values()):
        made += create_for(file_system_id, network, groups)
    return made


def create_for(file_system_id: str, network: Network, groups: SecurityGroups) -> list[str]:
    """One file system's. An adopted one may have its own."""
    file_system.wait_available(file_system_id)
    efs = client("efs")

    def leaving() -> list[str]:
        targets = describe(file_system_id)
        return [each["MountTargetId"] for each in targets if each["LifeCycleState"] in ("deleting", "deleted")]

    wait("the former mount targets to be gone", lambda: not leaving(), lambda: f"{', '.join(leaving())} still there")
    present = {target["SubnetId"]: target for target in describe(file_system_id)}
    zones = {target["AvailabilityZoneName"] for target in present.values()}
    made = []
    for subnet_id, zone in network.zones.items():
        if zone in zones:
            say("found", f"mount target in {zone}", file_system_id)
            if (
                present.get(subnet_id, {}).get("LifeCycleState") == "creating"
            ):  # of a run that died: its name is new too
                made.append(subnet_id)
            if not constants.FILE_SYSTEM_ID and subnet_id in present:
                allow_nfs(present[subnet_id], groups)
            continue
        created = accepted(
            lambda: efs.create_mount_target(
                FileSystemId=file_system_id, SubnetId=subnet_id, SecurityGroups=groups.file_system_ids
            ),
            "MountTargetConflict",
        )
        if created:
            say("created", f"mount target in {zone}", f"{file_system_id} in {subnet_id}")
            made.append(subnet_id)
    return made


def allow_nfs(target: dict[str, Any], groups: SecurityGroups) -> None:
    """The mount target bears our group, whoever made it."""
    target_id = target["MountTargetId"]
    present = missing(
        lambda: client("efs").describe_mount_target_security_groups(MountTargetId=target_id)["SecurityGroups"],
        "IncorrectMountTargetState",
    )
    if present is not None and set(present) != set(groups.file_system_ids):
        client("efs").modify_mount_target_security_groups(
            MountTargetId=target_id, SecurityGroups=groups.file_system_ids
        )
        say("updated", f"mount target {target_id}", "security group")


def wait_available(file_system_ids: dict[str, str], made: list[str]) -> float:
    """Until every mount target is available. Returns when their DNS names will be there too, by the monotonic clock.

    https://docs.aws.amazon.com/efs/latest/ug/mounting-fs-mount-helper-ec2-linux.html
    """

    def states() -> dict[str, str]:
        targets = [target for each in dict.fromkeys(file_system_ids.values()) for target in describe(each)]
        return {target["MountTargetId"]: target["LifeCycleState"] for target in targets}

    if file_system_ids:
        wait(
            "mount targets to be available",
            lambda: all(state == "available" for state in states().values()),
            lambda: ", ".join(f"{target} is {state}" for target, state in states().items()),
        )
    return time.monotonic() + (constants.EFS_DNS_SECONDS if made else 0)


def wait_for_dns(ready: float) -> None:
    """A task that starts before a new mount target's DNS name is there dies at its start."""
    seconds = max(0, ready - time.monotonic()) + 60
    wait("the mount targets' DNS names", lambda: time.monotonic() >= ready, lambda: "", seconds=seconds)


def delete() -> None:
    """Ask for the deletion of our file system's mount targets; the adopted one keeps those that it had."""
    for target in owned():
        target_id = target["MountTargetId"]
        if target["LifeCycleState"] in ("deleting", "deleted"):
            continue
        insist(
            f"mount target {target_id}",
            lambda: accepted(lambda: client("efs").delete_mount_target(MountTargetId=target_id), "MountTargetNotFound"),
            "DependencyTimeout",
            "IncorrectMountTargetState",
        )
        say("deleted", f"mount target {target_id}", "asked for")


def wait_deleted() -> None:
    """Their network interfaces hold subnets and security groups until they are gone."""
    wait(
        "mount targets to be gone",
        lambda: not owned(),
        lambda: ", ".join(f"{target['MountTargetId']} is {target['LifeCycleState']}" for target in owned()),
    )


def describe(file_system_id: str) -> list[dict[str, Any]]:
    pages = client("efs").get_paginator("describe_mount_targets").paginate(FileSystemId=file_system_id)
    return [target for page in pages for target in page["MountTargets"]]


def owned() -> list[dict[str, Any]]:
    """The mount targets that `create` made: all of our own file systems; in an adopted one those with our group."""
    found = [missing(lambda: describe(each), "FileSystemNotFound") or [] for each in file_system.ids()]
    targets = [target for each in found for target in each]
    if not constants.FILE_SYSTEM_ID:
        return targets
    group_ids = set(security_groups.find().file_system_ids)
    efs = client("efs")

    def bears_ours(target: dict[str, Any]) -> bool:
        found = missing(
            lambda: efs.describe_mount_target_security_groups(MountTargetId=target["MountTargetId"]),
            "MountTargetNotFound",
            "IncorrectMountTargetState",
        )
        return found is not None and bool(group_ids.intersection(found["SecurityGroups"]))

    return [target for target in targets if bears_ours(target)]


def left_over() -> list[str]:
    return [f"mount target {target['MountTargetId']}" for target in owned()]
