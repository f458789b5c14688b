"""Elastic File System: moto makes and deletes everything at once, so all of EFS is imitated here instead.

File systems, mount targets and access points pass through their states; a mount target owns a network interface, which
holds its subnet and security groups until some time after DeleteMountTarget.
https://docs.aws.amazon.com/efs/latest/ug/api-reference.html
"""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models import ec2_backends
from moto.utilities.utils import get_partition

from emulator.core import partitions, quotas, rules
from emulator.core.rules import AwsError, Call, Params, held, on
from emulator.core.tags import Tags, bearer, plain
from emulator.core.world import ACCOUNT, World
from emulator.ec2 import interfaces as ec2_interfaces
from emulator.efs import contents
from emulator.iam import policies as iam_policies
from emulator.iam import roles as iam_roles
from emulator.iam.conditions import several

rules.SENTENCES.update(
    {
        "efs-001": "A new file system is 'creating' for about 8 s before it is 'available'.",
        "efs-002": "Mount targets, access points and policies are refused until the file system is available.",
        "efs-003": "A creation token used before answers FileSystemAlreadyExists with the id of that file system.",
        "efs-004": "Throughput is bursting unless asked for otherwise; maxIO goes with neither elastic nor One Zone; "
        "provisioned needs its figure.",
        "efs-005": "The throughput mode changes, or provisioned throughput sinks, at most once in 24 h.",
        "efs-006": "A mount target is 'creating' for about 90 s, and its DNS name works 90 s after that.",
        "efs-007": "One mount target per Availability Zone, and all of them in one VPC: else MountTargetConflict.",
        "efs-008": "A mount target's subnet, groups and address are checked; with no group named it gets the VPC's "
        "default one.",
        "efs-009": "A deleted mount target is 'deleting' for about 30 s; its network interface goes only then.",
        "efs-010": "DeleteFileSystem is refused while a mount target is there, even a deleting one; access points go "
        "with the file system.",
        "efs-011": "A client token used before answers AccessPointAlreadyExists; a new access point is 'creating'.",
        "efs-012": "A lifecycle policy holds one transition each; Archive needs elastic throughput and comes after IA.",
        "efs-013": "Automatic backups are switched on by ENABLING first, and not in a Region without AWS Backup; the "
        "recovery points outlive the file system.",
        "efs-016": "A creation token, and a client token, has up to 64 characters.",
        "efs-014": "Without a file system policy whoever reaches a mount target mounts / as root, without TLS; with one an "
        "Allow there or in the role is needed, and a Deny in either counts.",
        "efs-015": "Without ClientRootAccess root is squashed, also an access point's user with uid or gid 0: it writes "
        "nothing.",
    }
)

CREATING, DELETING = 8, 10
TARGET_CREATING, TARGET_DNS, TARGET_DELETING = 90, 90, 30
ACCESS_POINT_CREATING, ACCESS_POINT_DELETING = 3, 3
BACKUP_SWITCHING, FIRST_BACKUP = 10, 3600
UPDATING, BETWEEN_CHANGES = 10, 24 * 3600
GROUPS_PER_TARGET, ACCESS_POINTS = 5, 10_000
LONGEST_TOKEN = 64
IA_DAYS = re.compile(r"AFTER_(\d+)_DAYS?")
PATH = re.compile(r"(/|(/(?!\.)+[^$#<>;`|&?{}^*/\n]+){1,4})")
BACKUP_VAULT = "aws/efs/automatic-backup-vault"
#: https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html#default-filesystempolicy
DEFAULT_POLICY = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "elasticfilesystem:Client*"}}


@dataclass
class FileSystem:
    shown: Params
    policy: str | None = None
    lifecycle: list[Params] = field(default_factory=list)
    backup: str = "DISABLED"
    changed: float | None = None  # when the throughput mode last changed, or provisioned throughput last sank


@dataclass
class MountTarget:
    shown: Params
    groups: list[str]
    mountable: float  # from when on its DNS name is known


@dataclass
class Region:
    file_systems: dict[str, FileSystem] = field(default_factory=dict)
    targets: dict[str, MountTarget] = field(default_factory=dict)
    access_points: dict[str, Params] = field(default_factory=dict)
    recovery_points: list[Params] = field(default_factory=list)
    mounts: Counter[bool] = field(default_factory=Counter)  # by a policy: how many were allowed, and refused


def _here(world: World, region: str) -> Region:
    state: dict[str, Region] = world.state["efs"]
    return state.setdefault(region, Region())


def directory_of(world: World, region: str, access_point_id: str) -> str:
    """The directory of the file system that an access point shows as its root."""
    point = _here(world, region).access_points.get(access_point_id) or {}
    return str((point.get("RootDirectory") or {}).get("Path") or "/")


def _hex() -> str:
    return uuid.uuid4().hex[:17]


def _bad(message: str) -> AwsError:
    return AwsError("BadRequest", message)


def _file_system(call: Call, *, available: bool = False) -> FileSystem:
    """The call's file system, by id or ARN."""
    name = str(call.params.get("FileSystemId") or "").rpartition("/")[2]
    found = _here(call.world, call.region).file_systems.get(name)
    if found is None:
        raise AwsError("FileSystemNotFound", f"File system '{name}' does not exist.", 404)
    if available and found.shown["LifeCycleState"] != "available":
        state = found.shown["LifeCycleState"]
        raise AwsError(
            "IncorrectFileSystemLifeCycleState",
            f"The file system '{name}' is in the state '{state}'; it must be 'available' for this operation.",
            409,
        )
    return found


def _target(call: Call) -> MountTarget:
    name = call.params["MountTargetId"]
    found = _here(call.world, call.region).targets.get(name)
    if found is None:
        raise AwsError("MountTargetNotFound", f"Mount target '{name}' does not exist.", 404)
    return found


def _access_point(call: Call) -> Params:
    name = str(call.params["AccessPointId"]).rpartition("/")[2]
    found = _here(call.world, call.region).access_points.get(name)
    if found is None:
        raise AwsError("AccessPointNotFound", f"Access point {name} does not exist.", 404)
    return found


def _targets_of(here: Region, file_system_id: str) -> list[MountTarget]:
    return [target for target in here.targets.values() if target.shown["FileSystemId"] == file_system_id]


def _page(call: Call, items: list[Params], limit: str, token: str, next_token: str) -> Params:
    """One page: the items' part of the answer, and the marker of the next page."""
    try:
        start = int(call.params.get(token) or 0)
    except ValueError:
        raise _bad(f"Invalid {token}.") from None
    end = start + int(call.params.get(limit) or 100)
    return {"items": items[start:end], **({next_token: str(end)} if end < len(items) else {})}


def _tags(tags: list[Params] | None) -> list[Params]:
    for tag in tags or []:
        if tag["Key"].lower().startswith("aws:"):
            raise _bad("Tag keys that start with 'aws:' are reserved.")
    found = {tag["Key"]: tag["Value"] for tag in tags or []}
    if len(found) > 50:
        raise _bad("A resource can have at most 50 tags.")
    return [{"Key": key, "Value": value} for key, value in found.items()]


def _set_tags(shown: Params, tags: list[Params]) -> None:
    """Tags, and the name that EFS takes from the tag 'Name'."""
    shown["Tags"] = tags
    shown.pop("Name", None)
    if name := next((tag["Value"] for tag in tags if tag["Key"] == "Name"), None):
        shown["Name"] = name


# --- file systems


def _check_modes(performance: str, throughput: str, mibps: float | None, one_zone: bool) -> None:
    """What CreateFileSystem and UpdateFileSystem refuse of the modes.
    https://docs.aws.amazon.com/efs/latest/ug/API_CreateFileSystem.html"""
    if throughput not in ("bursting", "provisioned", "elastic"):
        raise _bad(f"Unknown throughput mode: '{throughput}'.")
    if performance not in ("generalPurpose", "maxIO"):
        raise _bad(f"Unknown performance mode: '{performance}'.")
    if performance == "maxIO" and throughput == "elastic":
        raise _bad("The maxIO performance mode is not supported on file systems using Elastic throughput.")
    if performance == "maxIO" and one_zone:
        raise _bad("The maxIO performance mode is not supported on One Zone file systems.")
    if throughput == "provisioned" and mibps is None:
        raise _bad("ProvisionedThroughputInMibps is required if ThroughputMode is set to provisioned.")
    if throughput != "provisioned" and mibps is not None:
        raise _bad("ProvisionedThroughputInMibps can be set only if ThroughputMode is provisioned.")
    if mibps is not None and mibps < 1:
        raise _bad("ProvisionedThroughputInMibps must be at least 1.")
    if mibps is not None and mibps > 3414:
        raise AwsError("ThroughputLimitExceeded", "The throughput limit of the Region has been reached.")


@on("efs", "CreateFileSystem", rules="efs-001 efs-003 efs-004 efs-016 sdk-005")
def create_file_system(call: Call) -> Params:
    given, here = call.params, _here(call.world, call.region)
    token = given.get("CreationToken") or str(uuid.uuid4())
    if len(token) > LONGEST_TOKEN:
        raise _bad(f"A creation token can have up to {LONGEST_TOKEN} characters.")
    for name, other in here.file_systems.items():
        if other.shown["CreationToken"] == token:
            message = f"File system '{name}' already exists with creation token '{token}'"
            raise AwsError("FileSystemAlreadyExists", message, 409, FileSystemId=name)
    performance, throughput = given.get("PerformanceMode", "generalPurpose"), given.get("ThroughputMode", "bursting")
    mibps, zone = given.get("ProvisionedThroughputInMibps"), given.get("AvailabilityZoneName")
    _check_modes(performance, throughput, mibps, bool(zone))
    full = "You have reached the maximum number of file systems for this account."
    quotas.refuse_more(call.world, "L-848C634D", len(here.file_systems), "FileSystemLimitExceeded", full, 403)
    encrypted = bool(given.get("Encrypted"))
    if given.get("KmsKeyId") and not encrypted:
        raise _bad("KmsKeyId can be given only for an encrypted file system.")
    name = f"fs-{_hex()}"
    arn = f"arn:{partitions.here()}:elasticfilesystem:{call.region}:{call.account}:"
    shown = {
        "OwnerId": call.account,
        "CreationToken": token,
        "FileSystemId": name,
        "FileSystemArn": f"{arn}file-system/{name}",
        "CreationTime": call.world.timestamp(),
        "LifeCycleState": "creating",
        "NumberOfMountTargets": 0,
        "SizeInBytes": {"Value": 6144, "ValueInIA": 0, "ValueInStandard": 6144, "ValueInArchive": 0},
        "PerformanceMode": performance,
        "Encrypted": encrypted,
        "ThroughputMode": throughput,
        "FileSystemProtection": {"ReplicationOverwriteProtection": "ENABLED"},
    }
    if encrypted:
        shown["KmsKeyId"] = (
            given.get("KmsKeyId") or f"arn:{partitions.here()}:kms:{call.region}:{call.account}:key/{uuid.uuid4()}"
        )
    if mibps is not None:
        shown["ProvisionedThroughputInMibps"] = mibps
    if zone:
        shown |= {"AvailabilityZoneName": zone, "AvailabilityZoneId": _zone_id(call, zone)}
    _set_tags(shown, _tags(given.get("Tags")))
    made = here.file_systems[name] = FileSystem(shown)
    if given.get("Backup", bool(zone)):
        _switch_backup(call.world, here, made, "ENABLED", CREATING)
    call.world.after(CREATING, _becomes, shown, "creating", "available")
    return dict(shown)


def _zone_id(call: Call, zone: str) -> str:
    for known in call.moto("ec2").describe_availability_zones()["AvailabilityZones"]:
        if known["ZoneName"] == zone:
            return str(known["ZoneId"])
    raise AwsError("UnsupportedAvailabilityZone", f"The Availability Zone '{zone}' is not supported.")


def _becomes(shown: Params, before: str, after: str) -> None:
    if shown["LifeCycleState"] == before:
        shown["LifeCycleState"] = after


@on("efs", "DescribeFileSystems")
def describe_file_systems(call: Call) -> Params:
    given, here = call.params, _here(call.world, call.region)
    if given.get("FileSystemId") and given.get("CreationToken"):
        raise _bad("Only one of FileSystemId and CreationToken can be given.")
    found = [_file_system(call)] if given.get("FileSystemId") else list(here.file_systems.values())
    if given.get("CreationToken"):
        found = [one for one in found if one.shown["CreationToken"] == given["CreationToken"]]
    for one in found:
        one.shown["NumberOfMountTargets"] = len(_targets_of(here, one.shown["FileSystemId"]))
    page = _page(call, [one.shown for one in found], "MaxItems", "Marker", "NextMarker")
    return {"FileSystems": page.pop("items"), **page}


@on("efs", "UpdateFileSystem", rules="efs-004 efs-005")
def update_file_system(call: Call) -> Params:
    """https://docs.aws.amazon.com/efs/latest/ug/API_UpdateFileSystem.html"""
    given, world = call.params, call.world
    found = _file_system(call, available=True)
    shown = found.shown
    mode: str = given.get("ThroughputMode") or shown["ThroughputMode"]
    before = shown.get("ProvisionedThroughputInMibps")
    mibps = given.get("ProvisionedThroughputInMibps", before if mode == "provisioned" else None)
    _check_modes(shown["PerformanceMode"], mode, mibps, "AvailabilityZoneName" in shown)
    if mode == shown["ThroughputMode"] and mibps == before:
        raise _bad("The file system already has these settings.")
    if mode != shown["ThroughputMode"] or (mibps or 0) < (before or 0):
        if found.changed is not None and world.now() < found.changed + BETWEEN_CHANGES:
            raise AwsError(
                "TooManyRequests",
                "You can decrease the provisioned throughput or change the throughput mode of a file system only "
                "once in 24 hours.",
                429,
            )
        found.changed = world.now()
    shown.pop("ProvisionedThroughputInMibps", None)
    shown |= {"ThroughputMode": mode, "LifeCycleState": "updating"}
    if mibps is not None:
        shown["ProvisionedThroughputInMibps"] = mibps
    world.after(UPDATING, _becomes, shown, "updating", "available")
    return dict(shown)


@on("efs", "UpdateFileSystemProtection")
def update_file_system_protection(call: Call) -> Params:
    found = _file_system(call, available=True)
    wanted = call.params.get("ReplicationOverwriteProtection")
    if wanted not in ("ENABLED", "DISABLED", None):
        raise _bad("ReplicationOverwriteProtection is ENABLED or DISABLED.")
    if wanted:
        found.shown["FileSystemProtection"] = {"ReplicationOverwriteProtection": wanted}
    return dict(found.shown["FileSystemProtection"])


@on("efs", "DeleteFileSystem", rules="efs-010")
def delete_file_system(call: Call) -> Params:
    """https://docs.aws.amazon.com/efs/latest/ug/API_DeleteFileSystem.html"""
    here, shown = _here(call.world, call.region), _file_system(call).shown
    name = shown["FileSystemId"]
    if _targets_of(here, name):
        raise AwsError(
            "FileSystemInUse",
            f"The file system '{name}' cannot be deleted because it has mount targets. "
            "You must delete the mount targets, and then try again.",
            409,
        )
    if shown["LifeCycleState"] != "deleting":
        shown["LifeCycleState"] = "deleting"
        for point in here.access_points.values():
            if point["FileSystemId"] == name:
                point["LifeCycleState"] = "deleting"
        call.world.after(DELETING, _file_system_gone, call.world, here, name)
    return {}


def _file_system_gone(world: World, here: Region, name: str) -> None:
    here.file_systems.pop(name, None)
    contents.forget(world, name)
    for point_id in [i for i, point in here.access_points.items() if point["FileSystemId"] == name]:
        del here.access_points[point_id]


# --- mount targets


def _subnet(call: Call, subnet_id: str) -> Params:
    found = call.moto("ec2").describe_subnets(Filters=[{"Name": "subnet-id", "Values": [subnet_id]}])["Subnets"]
    if not found:
        raise AwsError("SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist")
    return dict(found[0])


def _groups(call: Call, vpc_id: str, wanted: list[str]) -> list[str]:
    """The security groups of a mount target; with none wanted, the VPC's default one."""
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}]
    if not wanted:
        filters.append({"Name": "group-name", "Values": ["default"]})
    known = [group["GroupId"] for group in call.moto("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]]
    if len(wanted) > GROUPS_PER_TARGET:
        raise AwsError(
            "SecurityGroupLimitExceeded", f"A mount target can have at most {GROUPS_PER_TARGET} security groups."
        )
    for group_id in wanted:
        if group_id not in known:
            raise AwsError("SecurityGroupNotFound", f"The SecurityGroup '{group_id}' does not exist in '{vpc_id}'")
    return list(wanted) or known[:1]


@on("efs", "CreateMountTarget", rules="efs-002 efs-006 efs-007 efs-008")
def create_mount_target(call: Call) -> Params:
    """https://docs.aws.amazon.com/efs/latest/ug/API_CreateMountTarget.html"""
    given, here = call.params, _here(call.world, call.region)
    file_system = _file_system(call, available=True).shown
    subnet = _subnet(call, given["SubnetId"])
    zone = subnet["AvailabilityZone"]
    if file_system.get("AvailabilityZoneName", zone) != zone:
        raise AwsError("AvailabilityZonesMismatch", "The mount target must be in the file system's Availability Zone.")
    for other in _targets_of(here, file_system["FileSystemId"]):
        if other.shown["VpcId"] != subnet["VpcId"]:
            raise AwsError("MountTargetConflict", "requested subnet for new mount target is not in the same VPC", 409)
        if other.shown["AvailabilityZoneName"] == zone:
            raise AwsError("MountTargetConflict", "mount target already exists in this AZ", 409)
    groups = _groups(call, subnet["VpcId"], given.get("SecurityGroups") or [])
    _check_address(call, subnet, given.get("IpAddress"))
    full = "The account has as many network interfaces in this Region as it can have."
    there = ec2_interfaces.count(call.region)
    quotas.refuse_more(call.world, ec2_interfaces.INTERFACES, there, "NetworkInterfaceLimitExceeded", full, 409)
    iam_roles.service_linked_role(call.world, "elasticfilesystem.amazonaws.com")
    name = f"fsmt-{_hex()}"
    interface = ec2_interfaces.create_interface(
        call.world,
        call.region,
        subnet["SubnetId"],
        groups,
        f"EFS mount target for {file_system['FileSystemId']} ({name})",
        requester="amazon-efs",
    )
    shown = {
        "OwnerId": call.account,
        "MountTargetId": name,
        "FileSystemId": file_system["FileSystemId"],
        "SubnetId": subnet["SubnetId"],
        "LifeCycleState": "creating",
        "IpAddress": given.get("IpAddress") or interface["PrivateIpAddress"],
        "NetworkInterfaceId": interface["NetworkInterfaceId"],
        "AvailabilityZoneId": subnet.get("AvailabilityZoneId", ""),
        "AvailabilityZoneName": zone,
        "VpcId": subnet["VpcId"],
    }
    world = call.world
    here.targets[name] = MountTarget(shown, groups, world.now() + world.clock.delay(TARGET_CREATING + TARGET_DNS))
    world.after(TARGET_CREATING, _becomes, shown, "creating", "available")
    return dict(shown)


def _check_address(call: Call, subnet: Params, wanted: str | None) -> None:
    if subnet["AvailableIpAddressCount"] < 1:
        raise AwsError(
            "NoFreeAddressesInSubnet", f"The subnet '{subnet['SubnetId']}' does not have any free IP addresses", 409
        )
    if wanted is None:
        return
    if ipaddress.ip_address(wanted) not in ipaddress.ip_network(subnet["CidrBlock"]):
        raise _bad(f"The address {wanted} is not in the range of the subnet '{subnet['SubnetId']}'.")
    filters = [
        {"Name": "subnet-id", "Values": [subnet["SubnetId"]]},
        {"Name": "addresses.private-ip-address", "Values": [wanted]},
    ]
    if call.moto("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]:
        raise AwsError("IpAddressInUse", f"The address {wanted} is in use.", 409)


@on("efs", "DescribeMountTargets")
def describe_mount_targets(call: Call) -> Params:
    given, here = call.params, _here(call.world, call.region)
    if sum(1 for key in ("FileSystemId", "MountTargetId", "AccessPointId") if given.get(key)) != 1:
        raise _bad("Specify exactly one of FileSystemId, MountTargetId and AccessPointId.")
    if given.get("MountTargetId"):
        found = [_target(call)]
    elif given.get("AccessPointId"):
        found = _targets_of(here, _access_point(call)["FileSystemId"])
    else:
        found = _targets_of(here, _file_system(call).shown["FileSystemId"])
    page = _page(call, [target.shown for target in found], "MaxItems", "Marker", "NextMarker")
    return {"MountTargets": page.pop("items"), **page}


@on("efs", "DescribeMountTargetSecurityGroups")
def describe_mount_target_security_groups(call: Call) -> Params:
    return {"SecurityGroups": list(_settled(_target(call)).groups)}


@on("efs", "ModifyMountTargetSecurityGroups", rules="efs-008")
def modify_mount_target_security_groups(call: Call) -> Params:
    target = _settled(_target(call))
    target.groups = _groups(call, target.shown["VpcId"], call.params.get("SecurityGroups") or [])
    interface = target.shown["NetworkInterfaceId"]
    call.moto("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=target.groups)
    return {}


def _settled(target: MountTarget) -> MountTarget:
    if target.shown["LifeCycleState"] == "deleting":
        raise AwsError("IncorrectMountTargetState", "The mount target is being deleted.", 409)
    return target


@on("efs", "DeleteMountTarget", rules="efs-009")
def delete_mount_target(call: Call) -> Params:
    """https://docs.aws.amazon.com/efs/latest/ug/API_DeleteMountTarget.html"""
    shown = _target(call).shown
    if shown["LifeCycleState"] != "deleting":
        shown["LifeCycleState"] = "deleting"
        call.world.after(TARGET_DELETING, _target_gone, call.world, call.region, shown)
    return {}


def _target_gone(world: World, region: str, shown: Params) -> None:
    _here(world, region).targets.pop(shown["MountTargetId"], None)
    interface = shown["NetworkInterfaceId"]
    if world.settings.lingering_interfaces:
        world.after(world.settings.lingering_interfaces, ec2_interfaces.delete_interface, world, region, interface)
    else:
        ec2_interfaces.delete_interface(world, region, interface)


# --- access points


@on("efs", "CreateAccessPoint", rules="efs-002 efs-011 sdk-005")
def create_access_point(call: Call) -> Params:
    """https://docs.aws.amazon.com/efs/latest/ug/API_CreateAccessPoint.html"""
    given, here = call.params, _here(call.world, call.region)
    token = given.get("ClientToken") or str(uuid.uuid4())
    if len(token) > LONGEST_TOKEN:
        raise _bad(f"A client token can have up to {LONGEST_TOKEN} characters.")
    file_system = _file_system(call).shown["FileSystemId"]
    for name, other in here.access_points.items():
        if other["ClientToken"] == token:
            message = f"An access point with the client token '{token}' already exists: {name}"
            raise AwsError("AccessPointAlreadyExists", message, 409, AccessPointId=name)
    _file_system(call, available=True)
    root = given.get("RootDirectory") or {}
    if not PATH.fullmatch(root.get("Path", "/")):
        raise _bad(f"Invalid root directory path: '{root['Path']}'.")
    if sum(1 for point in here.access_points.values() if point["FileSystemId"] == file_system) >= ACCESS_POINTS:
        raise AwsError("AccessPointLimitExceeded", "The file system has as many access points as it can have.", 403)
    name = f"fsap-{_hex()}"
    arn = f"arn:{get_partition(call.region)}:elasticfilesystem:{call.region}:{call.account}:access-point/{name}"
    shown = {
        "ClientToken": token,
        "AccessPointId": name,
        "AccessPointArn": arn,
        "FileSystemId": file_system,
        "RootDirectory": {**root, "Path": root.get("Path", "/")},
        "OwnerId": call.account,
        "LifeCycleState": "creating",
    }
    if given.get("PosixUser"):
        shown["PosixUser"] = given["PosixUser"]
    _set_tags(shown, _tags(given.get("Tags")))
    here.access_points[name] = shown
    call.world.after(ACCESS_POINT_CREATING, _becomes, shown, "creating", "available")
    return dict(shown)


@on("efs", "DescribeAccessPoints")
def describe_access_points(call: Call) -> Params:
    given, here = call.params, _here(call.world, call.region)
    if given.get("AccessPointId") and given.get("FileSystemId"):
        raise _bad("Only one of AccessPointId and FileSystemId can be given.")
    if given.get("AccessPointId"):
        found = [_access_point(call)]
    elif given.get("FileSystemId"):
        name = _file_system(call).shown["FileSystemId"]
        found = [point for point in here.access_points.values() if point["FileSystemId"] == name]
    else:
        found = list(here.access_points.values())
    page = _page(call, found, "MaxResults", "NextToken", "NextToken")
    return {"AccessPoints": page.pop("items"), **page}


@on("efs", "DeleteAccessPoint")
def delete_access_point(call: Call) -> Params:
    shown = _access_point(call)
    shown["LifeCycleState"] = "deleting"
    points = _here(call.world, call.region).access_points
    call.world.after(ACCESS_POINT_DELETING, _access_point_gone, points, shown["AccessPointId"])
    return {}


def _access_point_gone(points: dict[str, Params], name: str) -> None:
    points.pop(name, None)


# --- lifecycle, backups, the file system's policy


def _days(rule: str) -> int:
    match = IA_DAYS.fullmatch(rule)
    if match is None:
        raise _bad(f"Unknown transition rule: '{rule}'.")
    return int(match[1])


@on("efs", "PutLifecycleConfiguration", rules="efs-002 efs-012")
def put_lifecycle_configuration(call: Call) -> Params:
    """https://docs.aws.amazon.com/efs/latest/ug/API_PutLifecycleConfiguration.html"""
    found = _file_system(call, available=True)
    policies = call.params.get("LifecyclePolicies") or []
    wanted: dict[str, str] = {}
    for policy in policies:
        if len(policy) != 1:
            raise _bad("Each LifecyclePolicy object must hold exactly one transition.")
        if wanted.keys() & policy.keys():
            raise _bad("A transition can be given only once.")
        wanted.update(policy)
    archive, rarely = wanted.get("TransitionToArchive"), wanted.get("TransitionToIA")
    if archive:
        shown = found.shown
        if shown["ThroughputMode"] != "elastic" or shown["PerformanceMode"] != "generalPurpose":
            raise _bad("TransitionToArchive needs Elastic throughput and the generalPurpose performance mode.")
        if rarely and _days(archive) <= _days(rarely):
            raise _bad("TransitionToArchive must be later than TransitionToIA.")
    if rarely:
        _days(rarely)
    found.lifecycle = policies
    return {"LifecyclePolicies": policies}


@on("efs", "DescribeLifecycleConfiguration")
def describe_lifecycle_configuration(call: Call) -> Params:
    return {"LifecyclePolicies": _file_system(call).lifecycle}


@on("efs", "PutBackupPolicy", rules="efs-002 efs-013")
def put_backup_policy(call: Call) -> Params:
    found = _file_system(call, available=True)
    wanted = call.params["BackupPolicy"]["Status"]
    if call.region in call.world.settings.regions_without_backup:
        raise AwsError("ValidationException", "AWS Backup is not supported in this Region.")
    if wanted not in ("ENABLED", "DISABLED"):
        raise _bad("The backup policy's status is ENABLED or DISABLED.")
    if found.backup != wanted:
        _switch_backup(call.world, _here(call.world, call.region), found, wanted, BACKUP_SWITCHING)
    return {"BackupPolicy": {"Status": found.backup}}


def _switch_backup(world: World, here: Region, found: FileSystem, wanted: str, seconds: float) -> None:
    found.backup = {"ENABLED": "ENABLING", "DISABLED": "DISABLING"}[wanted]
    world.after(seconds, _backup_switched, world, here, found, wanted)


def _backup_switched(world: World, here: Region, found: FileSystem, wanted: str) -> None:
    if found.backup == {"ENABLED": "ENABLING", "DISABLED": "DISABLING"}[wanted]:
        found.backup = wanted
        if wanted == "ENABLED":
            world.after(FIRST_BACKUP, _back_up, world, here, found)


def _back_up(world: World, here: Region, found: FileSystem) -> None:
    """The first automatic backup: a recovery point that stays, and costs, when the file system is gone."""
    shown = found.shown
    if found.backup != "ENABLED" or shown["FileSystemId"] not in here.file_systems:
        return
    region = shown["FileSystemArn"].split(":")[3]
    vault = f"arn:{partitions.here()}:backup:{region}:{ACCOUNT}:backup-vault:{BACKUP_VAULT}"
    point = {
        "RecoveryPointArn": f"arn:{partitions.here()}:backup:{region}:{ACCOUNT}:recovery-point:{uuid.uuid4()}",
        "BackupVaultName": BACKUP_VAULT,
        "BackupVaultArn": vault,
        "ResourceArn": shown["FileSystemArn"],
        "ResourceType": "EFS",
        "Status": "COMPLETED",
        "CreationDate": world.timestamp(),
        "BackupSizeInBytes": shown["SizeInBytes"]["Value"],
        "IsEncrypted": True,
    }
    here.recovery_points.append(point)


@on("efs", "DescribeBackupPolicy")
def describe_backup_policy(call: Call) -> Params:
    return {"BackupPolicy": {"Status": _file_system(call).backup}}


@on("backup", "ListRecoveryPointsByBackupVault", rules="efs-013")
def list_recovery_points_by_backup_vault(call: Call) -> Params:
    if call.params["BackupVaultName"] != BACKUP_VAULT:
        return call.proceed()
    return {"RecoveryPoints": _here(call.world, call.region).recovery_points}


@on("backup", "ListRecoveryPointsByResource", rules="efs-013")
def list_recovery_points_by_resource(call: Call) -> Params:
    points = _here(call.world, call.region).recovery_points
    return {"RecoveryPoints": [point for point in points if point["ResourceArn"] == call.params["ResourceArn"]]}


@on("backup", "DeleteRecoveryPoint", rules="efs-013")
def delete_recovery_point(call: Call) -> Params:
    here = _here(call.world, call.region)
    kept = [point for point in here.recovery_points if point["RecoveryPointArn"] != call.params["RecoveryPointArn"]]
    if len(kept) == len(here.recovery_points):
        raise AwsError("ResourceNotFoundException", "The recovery point does not exist.")
    here.recovery_points = kept
    return {}


@on("efs", "PutFileSystemPolicy", rules="efs-002 efs-014")
def put_file_system_policy(call: Call) -> Params:
    found = _file_system(call, available=True)
    try:
        policy = json.loads(call.params["Policy"])
        statements = several(policy["Statement"])
        valid = all(
            {"Effect", "Action", "Principal"} <= {key.removeprefix("Not") for key in each} for each in statements
        )
    except (ValueError, TypeError, KeyError):
        raise AwsError("InvalidPolicyException", "The policy is not a valid policy document.") from None
    if not statements or not valid:
        raise AwsError("InvalidPolicyException", "The policy holds no statement, or one that lacks something.")
    found.policy = json.dumps(_in_another_order(policy))
    return {"FileSystemId": found.shown["FileSystemId"], "Policy": found.policy}


def _in_another_order(policy: Any) -> Any:
    """EFS keeps what a policy says, not how: https://github.com/crossplane-contrib/provider-upjet-aws/pull/2188"""
    if isinstance(policy, dict):
        return {key: _in_another_order(value) for key, value in policy.items()}
    return [_in_another_order(each) for each in reversed(policy)] if isinstance(policy, list) else policy


@on("efs", "DescribeFileSystemPolicy")
def describe_file_system_policy(call: Call) -> Params:
    found = _file_system(call)
    if found.policy is None:
        raise AwsError("PolicyNotFound", f"No policy is set for file system '{found.shown['FileSystemId']}'.", 404)
    return {"FileSystemId": found.shown["FileSystemId"], "Policy": found.policy}


@on("efs", "DeleteFileSystemPolicy")
def delete_file_system_policy(call: Call) -> Params:
    _file_system(call, available=True).policy = None
    return {}


# --- tags, and what is only looked at


def _tagged(call: Call) -> Params:
    """The resource of a tagging call: a file system or an access point, by id or ARN."""
    name = str(call.params["ResourceId"]).rpartition("/")[2]
    call.params |= {"FileSystemId": name, "AccessPointId": name}
    return _access_point(call) if name.startswith("fsap-") else _file_system(call).shown


@on("efs", "TagResource")
def tag_resource(call: Call) -> Params:
    shown = _tagged(call)
    _set_tags(shown, _tags([*shown["Tags"], *call.params["Tags"]]))
    return {}


@on("efs", "UntagResource")
def untag_resource(call: Call) -> Params:
    shown = _tagged(call)
    _set_tags(shown, [tag for tag in shown["Tags"] if tag["Key"] not in call.params["TagKeys"]])
    return {}


@on("efs", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> Params:
    page = _page(call, _tagged(call)["Tags"], "MaxResults", "NextToken", "NextToken")
    return {"Tags": page.pop("items"), **page}


@on("efs", "CreateTags", "DeleteTags", "DescribeTags")
def old_tag_calls(call: Call) -> Params:
    """The tag calls of before 2019, for file systems only."""
    shown = _file_system(call).shown
    if call.operation == "CreateTags":
        _set_tags(shown, _tags([*shown["Tags"], *call.params["Tags"]]))
    elif call.operation == "DeleteTags":
        _set_tags(shown, [tag for tag in shown["Tags"] if tag["Key"] not in call.params["TagKeys"]])
    else:
        return {"Tags": shown["Tags"]}
    return {}


@on("efs", "DescribeReplicationConfigurations")
def describe_replication_configurations(call: Call) -> Params:
    if call.params.get("FileSystemId"):
        name = _file_system(call).shown["FileSystemId"]
        raise AwsError("ReplicationNotFound", f"No replication configuration exists for file system '{name}'.", 404)
    return {"Replications": []}


@on("efs", "DescribeAccountPreferences", "PutAccountPreferences")
def account_preferences(call: Call) -> Params:
    return {"ResourceIdPreference": {"ResourceIdType": "LONG_ID", "Resources": ["FILE_SYSTEM", "MOUNT_TARGET"]}}


@on("efs", "CreateReplicationConfiguration", "DeleteReplicationConfiguration")
def not_imitated(call: Call) -> Params:
    raise AwsError("NotImplemented", f"the emulator does not imitate efs {call.operation}", 501)


# --- for ECS: can a task mount this?

held("efs-006 efs-014 efs-015", "efs.mount_problem")
FAILED = "failed to invoke EFS utils commands to set up EFS volumes: stderr: "
DENIED = (
    f"{FAILED}b'mount.nfs4: access denied by server while mounting {{}}' "
    ": unsuccessful EFS utils command execution; code: 32"
)


def mount_problem(
    world: World,
    region: str,
    volume: dict[str, Any],
    subnet_id: str,
    zone: str,
    task_group_ids: list[str],
    role: str | None = None,
) -> str | None:
    """Why a task in that subnet, with those security groups and this role, can not mount this efsVolumeConfiguration
    (the text that ECS puts after 'ResourceInitializationError: '), or None if it can."""
    here, name = _here(world, region), volume.get("fileSystemId", "")
    unresolved = (
        f'{FAILED}Failed to resolve "{name}.efs.{region}.{partitions.domain(region)}" - check that your file system ID is correct, '
        "and ensure that the VPC has an EFS mount target for this file system ID. "
        "See https://docs.aws.amazon.com/console/efs/mount-dns-name for more detail. "
        ": unsuccessful EFS utils command execution; code: 1"
    )
    if name not in here.file_systems or not _resolves(here, world, region, name, subnet_id, zone):
        return unresolved
    if not any(_lets_in(region, target, subnet_id, task_group_ids) for target in _mountable(here, world, name, zone)):
        return f"{FAILED}mount.nfs4: Connection timed out : unsuccessful EFS utils command execution; code: 32"
    return _access_problem(here, volume) or _policy_problem(world, region, volume, role)


def _mountable(here: Region, world: World, name: str, zone: str) -> list[MountTarget]:
    return [
        target
        for target in _targets_of(here, name)
        if target.shown["AvailabilityZoneName"] == zone
        and target.shown["LifeCycleState"] == "available"
        and target.mountable <= world.now()
    ]


def _resolves(here: Region, world: World, region: str, name: str, subnet_id: str, zone: str) -> bool:
    """Is the file system's DNS name known there: a mount target of the zone, in a VPC with DNS switched on."""
    backend: Any = ec2_backends[ACCOUNT][region]
    subnet = backend.get_subnet(subnet_id)
    vpc = backend.get_vpc(subnet.vpc_id)
    dns = [str(value).lower() == "true" for value in (vpc.enable_dns_support, vpc.enable_dns_hostnames)]
    in_vpc = [target for target in _mountable(here, world, name, zone) if target.shown["VpcId"] == subnet.vpc_id]
    return all(dns) and bool(in_vpc)


def _lets_in(region: str, target: MountTarget, subnet_id: str, task_group_ids: list[str]) -> bool:
    """Do the mount target's groups allow TCP 2049 from one of the task's groups, or from its subnet?"""
    backend: Any = ec2_backends[ACCOUNT][region]
    subnet = ipaddress.IPv4Network(backend.get_subnet(subnet_id).cidr_block)
    for group_id in target.groups:
        group = backend.get_security_group_from_id(group_id)
        for rule in group.ingress_rules if group else []:
            block = rule.ip_range.get("CidrIp")
            from_subnet = block and subnet.subnet_of(ipaddress.IPv4Network(block, strict=False))
            if _covers_nfs(rule) and (from_subnet or rule.source_group.get("GroupId") in task_group_ids):
                return True
    return False


def _covers_nfs(rule: Any) -> bool:
    protocol = str(rule.ip_protocol)
    if protocol == "-1":
        return True
    return protocol in ("tcp", "6") and int(rule.from_port) <= 2049 <= int(rule.to_port)


def _access_problem(here: Region, volume: Params) -> str | None:
    """The access point and IAM part of the mount: the point must be there, and IAM works over TLS only."""
    access = volume.get("authorizationConfig") or {}
    point_id = access.get("accessPointId")
    if point_id:
        point = here.access_points.get(point_id)
        if point is None or point["FileSystemId"] != volume["fileSystemId"] or point["LifeCycleState"] != "available":
            return DENIED.format("127.0.0.1:/")
    if (point_id or access.get("iam") == "ENABLED") and not _tls(volume):
        return f'{FAILED}The "tls" option is required when mounting via "iam" or an access point; code: 1'
    return None


def _policy_problem(world: World, region: str, volume: Params, role: str | None) -> str | None:
    allowed, here = client_may("ClientMount", world, region, volume, role), _here(world, region)
    here.mounts[allowed] += here.file_systems[volume["fileSystemId"]].policy is not None
    if allowed:
        return None
    server = "127.0.0.1" if _tls(volume) else f"{volume['fileSystemId']}.efs.{region}.amazonaws.com"
    return DENIED.format(f"{server}:{volume.get('rootDirectory') or '/'}")


def _tls(volume: Params) -> bool:
    return volume.get("transitEncryption") == "ENABLED"


def mounts_by_policy(world: World) -> tuple[int, int]:
    """How many mounts the policies allowed, and how many they refused, of file systems that have one."""
    found = sum((here.mounts for here in world.state["efs"].values()), Counter[bool]())
    return found[True], found[False]


def client_may(action: str, world: World, region: str, volume: Params, role: str | None) -> bool:
    """Whether a task with this role may do this by its efsVolumeConfiguration: what its role's policies and the file
    system's own say. Who mounts without IAM is nobody."""
    here, access = _here(world, region), volume.get("authorizationConfig") or {}
    file_system = here.file_systems[volume["fileSystemId"]]
    context = {
        "aws:SecureTransport": str(_tls(volume)).lower(),
        "elasticfilesystem:AccessedViaMountTarget": "true",
    }
    if point := here.access_points.get(access.get("accessPointId", "")):
        context["elasticfilesystem:AccessPointArn"] = point["AccessPointArn"]
    return bool(
        iam_policies.decide_for_role(
            role if access.get("iam") == "ENABLED" else None,
            f"elasticfilesystem:{action}",
            file_system.shown["FileSystemArn"],
            context,
            file_system.policy or DEFAULT_POLICY,
        )
    )


def write_problem(world: World, region: str, volume: Params, role: str | None) -> str:
    """The error of a container that writes there, or "" where it can. Without an access point's user it is root.

    https://docs.aws.amazon.com/efs/latest/ug/enforce-identity-access-points.html
    """
    point = _here(world, region).access_points.get((volume.get("authorizationConfig") or {}).get("accessPointId", ""))
    user = (point or {}).get("PosixUser") or {"Uid": 0, "Gid": 0}
    if not client_may("ClientWrite", world, region, volume, role):
        return "[Errno 30] Read-only file system"
    if 0 in (user["Uid"], user["Gid"]) and not client_may("ClientRootAccess", world, region, volume, role):
        return "[Errno 13] Permission denied"
    return ""


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    """File systems and access points; mount targets have no tags."""
    if found := world.state["efs"].get(region):
        for one in found.file_systems.values():
            yield one.shown["FileSystemArn"], plain(one.shown["Tags"])
        for point in found.access_points.values():
            yield point["AccessPointArn"], plain(point["Tags"])
