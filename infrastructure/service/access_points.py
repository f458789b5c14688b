"""EFS access points: a directory for each volume, with the owner that the container's files are to have. Free.

Where endpoints share the file systems each has directories and access points of its own; else they are the cluster's.
https://docs.aws.amazon.com/efs/latest/ug/efs-access-points.html
"""

from typing import Any

import aws
import constants
from aws import Problem, Resource, call, client, every, mine, ours, tags_of, wait
from console import say
from infrastructure.cluster import file_system

#: the tag that says of which volume it is
VOLUME_TAG = "volume"


@aws.shared_look
def all_points() -> list[Any]:
    """Everyone's in this account and region, in whatever state; none where there is no file system."""
    pages = client("efs").get_paginator("describe_access_points").paginate()
    return every(pages, "AccessPoints") if file_system.all_systems() else []


LOOKS = (*file_system.LOOKS, all_points)


def in_state(*states: str) -> dict[str, Any]:
    """Those of this endpoint by the name of their volume; without endpoints the cluster's."""
    used = file_system.ids()
    found = [each for each in all_points() if mine(each) and each["LifeCycleState"] in states]
    return {tags_of(p)[VOLUME_TAG]: p for p in found if VOLUME_TAG in tags_of(p) and p["FileSystemId"] in used}


def find() -> dict[str, Any]:
    return in_state("creating", "available")


def refuse_move() -> None:
    """The data of a volume is where it was. A file system without mount targets was kept when its cluster went."""
    kept = [each["FileSystemId"] for each in file_system.owned() if not each["NumberOfMountTargets"]]
    elsewhere = [p for p in all_points() if ours(p) and p["FileSystemId"] not in (*file_system.ids(), *kept)]
    volumes = [volume["name"] for volume in constants.EFS_VOLUMES]
    for point in [each for each in elsewhere if each["LifeCycleState"] not in file_system.LEAVING]:
        volume, system = tags_of(point).get(VOLUME_TAG), point["FileSystemId"]
        if volume in volumes:
            asked = f"FILE_SYSTEM_ID={constants.FILE_SYSTEM_ID or '(empty)'}"
            at = f"the volume {volume} is on {system}, by access point {point['AccessPointId']}"
            raise Problem(f"{asked}, but {at}: {file_system.MOVE}")


def refuse_changes() -> None:
    """Where the volumes' data is, and whose, can't be changed: told before anything is."""
    refuse_move()
    wanted, points = f"{constants.EFS_UID}:{constants.EFS_GID}", find() if constants.EFS_VOLUMES else {}
    for volume in [volume["name"] for volume in constants.EFS_VOLUMES if volume["name"] in points]:
        point, user = points[volume]["AccessPointId"], points[volume]["PosixUser"]
        owner = f"{user['Uid']}:{user['Gid']}"
        if owner != wanted:
            differs = f"{wanted}, but access point {point} of volume {volume} is for {owner}, which can't be changed"
            raise Problem(f"EFS_UID, EFS_GID: {differs}: set them back, or name the volume otherwise")


def create(file_system_ids: dict[str, str], new: bool = False) -> dict[str, str]:
    """One for each volume, by its name; EFS makes the directory at the first mount, owned by EFS_UID and EFS_GID.

    A cluster that endpoints share has none of its own, and `new` file systems have none yet. Answers volume -> id.
    """
    if constants.CLUSTER_ONLY:
        return {}
    present = {} if new else {volume: point["AccessPointId"] for volume, point in find().items()}
    for volume in present.keys() - file_system_ids.keys():
        say("kept", f"access point {present[volume]}", f"{volume} is none of EFS_VOLUMES; free, and its data stays")
    for volume, file_system_id in file_system_ids.items():
        if volume in present:
            say("found", f"access point {present[volume]}", volume)
            continue
        former = "the former access points to be gone"
        if not new:
            wait(former, lambda: not in_state(*file_system.LEAVING), lambda: "they are still being deleted")
        present[volume] = make(file_system_id, volume)
    return present


def make(file_system_id: str, volume: str) -> str:
    """Its token is the same for the same volume: where another run has just made it, EFS says so, and lists it soon."""
    uid, gid = constants.EFS_UID, constants.EFS_GID
    path = f"/{constants.ENDPOINT}/{volume}" if constants.ENDPOINT else f"/{volume}"
    there, busy = "AccessPointAlreadyExists", file_system.UNREADY
    made = call(client("efs").create_access_point, f"volume {volume}", there=there, busy=busy)(
        ClientToken=aws.token(file_system_id, constants.PREFIX, volume),
        FileSystemId=file_system_id,
        PosixUser={"Uid": uid, "Gid": gid},
        RootDirectory={"Path": path, "CreationInfo": {"OwnerUid": uid, "OwnerGid": gid, "Permissions": "755"}},
        Tags=[*aws.endpoint_tags(f"volume-{volume}"), {"Key": VOLUME_TAG, "Value": volume}],
    )
    if not made:
        found = aws.listed(f"access point of {volume}", lambda: find().get(volume, {}), "EFS")
        return str(found["AccessPointId"])
    say("created", f"access point {made['AccessPointId']}", f"{volume}, owned by {uid}:{gid}")
    return made["AccessPointId"]


def rights(file_system_ids: dict[str, str], points: dict[str, str]) -> dict[str, Any]:
    """A role's to mount and write these volumes, each by its access point alone.

    https://docs.aws.amazon.com/efs/latest/ug/access-points-iam-policy.html
    """
    systems = [aws.arn("elasticfilesystem", f"file-system/{each}") for each in dict.fromkeys(file_system_ids.values())]
    arns = sorted(aws.arn("elasticfilesystem", f"access-point/{points[volume]}") for volume in file_system_ids)
    return {
        "Action": file_system.client_actions(),
        "Resource": systems,
        "Condition": {"StringEquals": {"elasticfilesystem:AccessPointArn": arns}},
    }


def delete() -> None:
    """An endpoint's, or in an adopted file system ours; the directories and their data stay.

    Without endpoints those in a file system of our own go, or stay, with it.
    """
    if not constants.ENDPOINT and not constants.FILE_SYSTEM_ID:
        return
    for volume, point in find().items():
        delete_access_point = call(client("efs").delete_access_point, of=point, gone="AccessPointNotFound")
        delete_access_point(AccessPointId=point["AccessPointId"])
        directory = f"{point['RootDirectory']['Path']} of {point['FileSystemId']}"
        say("deleted", f"access point {point['AccessPointId']}", f"{volume}; its data stays, in {directory}")


def left_over() -> list[Resource]:
    """Those that can still be used; one that is being deleted holds nothing."""
    with_system = not constants.ENDPOINT and not constants.FILE_SYSTEM_ID
    retained = with_system and constants.EFS_DELETION_POLICY == "Retain"
    found = []
    for point in find().values():
        kept = f"free; it stays with its file system {point['FileSystemId']}" if retained else ""
        found.append(aws.resource(f"access point {point['AccessPointId']}", point["AccessPointArn"], point, kept))
    return found
