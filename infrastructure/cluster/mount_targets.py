"""EFS mount targets: the address of a file system in each subnet, one in a zone, reachable by NFS from our groups only.

Free. https://docs.aws.amazon.com/efs/latest/ug/accessing-fs.html
"""

import time
from collections.abc import Iterable
from typing import Any

import aws
import constants
from aws import Resource, call, client, every, ours, wait
from console import say
from infrastructure.cluster import file_system, security_groups
from infrastructure.cluster.network import Network
from infrastructure.cluster.security_groups import SecurityGroups

TAKEN = "MountTargetConflict"


@aws.look
def all_targets() -> list[Any]:
    """Of the file systems that are used, in whatever state."""
    return read(file_system.ids())


def read(file_system_ids: Iterable[str]) -> list[Any]:
    paginator, listed = client("efs").get_paginator("describe_mount_targets"), call(every, gone=file_system.GONE)
    pages = [paginator.paginate(FileSystemId=each) for each in file_system_ids]
    return [target for each in pages for target in listed(each, "MountTargets") or []]


@aws.look
def groups_by_interface() -> dict[str, list[str]]:
    """The security groups of their network interfaces; none of one that is being made, or unmade."""
    ids = [target["NetworkInterfaceId"] for target in all_targets() if target.get("NetworkInterfaceId")]
    filters: Any = [{"Name": "network-interface-id", "Values": ids}]
    found = client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"] if ids else []
    return {each["NetworkInterfaceId"]: [group["GroupId"] for group in each["Groups"]] for each in found}


LOOKS = (*file_system.LOOKS, *security_groups.LOOKS, all_targets, groups_by_interface)


def targets() -> list[Any]:
    """With the tags of what they belong to, since they bear none: ours is what belongs to a file system of ours.

    In an adopted file system it is ours when it bears our security group.
    """
    owners = {each["FileSystemId"]: each for each in file_system.owned()}
    group = security_groups.find_group("file-system") if constants.FILE_SYSTEM_ID else None
    if constants.FILE_SYSTEM_ID:
        found = [(each, group if group and group["GroupId"] in groups_of(each) else {}) for each in all_targets()]
    else:
        found = [(each, owners.get(each["FileSystemId"], {})) for each in all_targets()]
    return [{**target, "Tags": (owner or {}).get("Tags", [])} for target, owner in found]


def groups_of(target: Any) -> list[str]:
    return groups_by_interface().get(target.get("NetworkInterfaceId", ""), [])


def of_file_systems(ids: list[str]) -> list[Any]:
    return [target for target in targets() if target["FileSystemId"] in ids]


def create(file_system_ids: dict[str, str], net: Network, groups: SecurityGroups, stood: list[str]) -> list[str]:
    """Ask for a mount target of each file system in each subnet; ready after one to two minutes. Answers what is new.

    A file system that did not stand before has none yet.
    """
    systems = {each: of_file_systems([each]) if each in stood else [] for each in file_system_ids.values()}
    return [subnet_id for system in systems for subnet_id in create_for(system, net, groups, systems[system])]


def create_for(file_system_id: str, net: Network, groups: SecurityGroups, listed: list[Any]) -> list[str]:
    """One file system's. An adopted one may have its own."""
    efs, busy = client("efs"), file_system.UNREADY

    def leaving() -> list[str]:
        found = of_file_systems([file_system_id])
        return [each["MountTargetId"] for each in found if each["LifeCycleState"] in file_system.LEAVING]

    if any(each["LifeCycleState"] in file_system.LEAVING for each in listed):
        wait(
            "the former mount targets to be gone", lambda: not leaving(), lambda: f"{', '.join(leaving())} still there"
        )
        listed = of_file_systems([file_system_id])
    present = {target["SubnetId"]: target for target in listed}
    zones = {target["AvailabilityZoneName"] for target in present.values()}
    made = []
    for target in [each for each in present.values() if each["SubnetId"] not in net.zones and ours(each)]:
        where = f"in {target['SubnetId']}, where it can't be moved from; free, and reached from all subnets"
        say("kept", f"mount target {target['MountTargetId']}", where)
    for subnet_id, zone in net.zones.items():
        target = present.get(subnet_id)
        if zone not in zones:
            create = call(efs.create_mount_target, f"mount target in {subnet_id}", there=TAKEN, busy=busy)
            if create(FileSystemId=file_system_id, SubnetId=subnet_id, SecurityGroups=groups.file_system_ids):
                say("created", f"mount target in {zone}", f"{file_system_id} in {subnet_id}")
                made.append(subnet_id)
            continue
        say("found", f"mount target in {zone}", file_system_id)
        if target and target["LifeCycleState"] == "creating":  # of a run that died: its name is new too
            made.append(subnet_id)
        if target and not constants.FILE_SYSTEM_ID:
            allow_nfs(target, groups)
    return made


def allow_nfs(target: Any, groups: SecurityGroups) -> None:
    """The mount target bears our group, whoever made it."""
    target_id, present = target["MountTargetId"], groups_of(target)
    if present and set(present) != set(groups.file_system_ids):
        modify = call(client("efs").modify_mount_target_security_groups, of=target)
        modify(MountTargetId=target_id, SecurityGroups=groups.file_system_ids)
        say("updated", f"mount target {target_id}", "security group")


def wait_available(file_system_ids: dict[str, str], made: list[str]) -> float:
    """Until every mount target is available. Returns when their DNS names will be there too, by the monotonic clock.

    https://docs.aws.amazon.com/efs/latest/ug/mounting-fs-mount-helper-ec2-linux.html
    """

    def coming() -> list[Any]:
        return [each for each in read({*file_system_ids.values()}) if each["LifeCycleState"] != "available"]

    if made or any(each["LifeCycleState"] != "available" for each in of_file_systems([*file_system_ids.values()])):
        wait("mount targets to be available", lambda: not coming(), lambda: in_words(coming()))
    return time.monotonic() + (constants.EFS_DNS_SECONDS if made else 0)


def wait_for_dns(ready: float) -> None:
    """A task that starts before a new mount target's DNS name is there dies at its start."""
    seconds = max(0, ready - time.monotonic()) + 60
    wait("the mount targets' DNS names", lambda: time.monotonic() >= ready, lambda: "", seconds=seconds)


def owned() -> list[Any]:
    """All of our own file systems; in an adopted one those with our group."""
    return [target for target in targets() if ours(target)]


def delete() -> None:
    """Ask for the deletion of our file system's mount targets; the adopted one keeps those that it had."""
    efs, gone, busy = client("efs"), "MountTargetNotFound", ("DependencyTimeout", "IncorrectMountTargetState")
    for target in [each for each in owned() if each["LifeCycleState"] not in file_system.LEAVING]:
        what = f"mount target {target['MountTargetId']}"
        delete_it = call(efs.delete_mount_target, what, of=target, gone=gone, busy=busy)
        delete_it(MountTargetId=target["MountTargetId"])
        say("deleted", what, "asked for")


def wait_deleted() -> None:
    """Their network interfaces hold subnets and security groups until they are gone."""
    own = {each["MountTargetId"]: each["FileSystemId"] for each in owned()}

    def left() -> list[Any]:
        return [each for each in read({*own.values()}) if each["MountTargetId"] in own]

    wait("mount targets to be gone", lambda: not left(), lambda: in_words(left()))


def in_words(found: list[Any]) -> str:
    return ", ".join(f"{each['MountTargetId']} is {each['LifeCycleState']}" for each in found)


def left_over() -> list[Resource]:
    """Without an ARN, since EFS has none for them: they can't be tagged."""
    return [Resource(f"mount target {each['MountTargetId']}", "", {}) for each in owned()]
