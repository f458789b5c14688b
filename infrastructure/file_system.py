"""The EFS file system and, for each volume of EFS_VOLUMES, an access point: a directory with an owner of its own.

Encrypted. Asked for before the network, since it needs nothing from it; mount_targets.py connects the two.
With FILE_SYSTEM_ID only access points are made in it. https://docs.aws.amazon.com/efs/latest/ug/whatisefs.html
"""

from typing import Any

from botocore.exceptions import ClientError

from aws import Problem, accepted, client, code, insist, missing, name, ours, tags, token, wait
from console import say
from constants import (
    EFS_DELETION_POLICY,
    EFS_GID,
    EFS_PERFORMANCE_MODE,
    EFS_THROUGHPUT_MODE,
    EFS_UID,
    EFS_VOLUMES,
    FILE_SYSTEM_ID,
)

#: the one by which EFS itself knows that a second create is the same: https://docs.aws.amazon.com/efs/latest/ug/API_CreateFileSystem.html
CREATION_TOKEN = name("file-system")


def create() -> str:
    """Ask for the file system; it is ready some seconds later. Costs nothing while it is empty. No volumes: none."""
    if FILE_SYSTEM_ID or not EFS_VOLUMES:
        if FILE_SYSTEM_ID:
            say("found", f"file system {FILE_SYSTEM_ID}", "adopted")
        return FILE_SYSTEM_ID
    efs = client("efs")
    system = find()
    if system and system["LifeCycleState"] in ("deleting", "deleted"):
        wait("the former file system to be gone", lambda: not find(), lambda: "it is still being deleted")
        system = None
    if system:
        say("found", f"file system {system['FileSystemId']}")
        if system["ThroughputMode"] != EFS_THROUGHPUT_MODE:
            efs.update_file_system(FileSystemId=system["FileSystemId"], ThroughputMode=EFS_THROUGHPUT_MODE)
            say("updated", f"file system {system['FileSystemId']}", f"throughput mode {EFS_THROUGHPUT_MODE}")
        return str(system["FileSystemId"])
    try:
        made = efs.create_file_system(
            CreationToken=CREATION_TOKEN,
            PerformanceMode=EFS_PERFORMANCE_MODE,
            ThroughputMode=EFS_THROUGHPUT_MODE,
            Encrypted=True,
            Tags=tags("file-system"),
        )
    except ClientError as error:
        if code(error) != "FileSystemAlreadyExists":
            raise
        say("found", f"file system {error.response['FileSystemId']}", "made by another run at the same moment")  # type: ignore[typeddict-item]
        return str(error.response["FileSystemId"])  # type: ignore[typeddict-item]
    say("created", f"file system {made['FileSystemId']}", "encrypted")
    return str(made["FileSystemId"])


def refuse_changes() -> None:
    """What AWS can't change any more is told before anything is changed."""
    system = None if FILE_SYSTEM_ID or not EFS_VOLUMES else find()
    if system and system["LifeCycleState"] == "available" and system["PerformanceMode"] != EFS_PERFORMANCE_MODE:
        raise Problem(
            f"EFS_PERFORMANCE_MODE={EFS_PERFORMANCE_MODE}, but {system['FileSystemId']} has {system['PerformanceMode']}, "
            "which can't be changed: set it back, or move the data and run delete_cluster.py first"
        )
    points = access_points(find_id()) if EFS_VOLUMES and find_id() else {}
    for volume in EFS_VOLUMES:
        point = points.get(volume["name"])
        owner = (point["PosixUser"]["Uid"], point["PosixUser"]["Gid"]) if point else (EFS_UID, EFS_GID)
        if point and owner != (EFS_UID, EFS_GID):
            raise Problem(
                f"EFS_UID, EFS_GID: {EFS_UID}:{EFS_GID}, but access point {point['AccessPointId']} of volume {volume['name']} "
                f"is for {owner[0]}:{owner[1]}, which can't be changed: set them back, or name the volume otherwise"
            )


def create_access_points(file_system_id: str) -> dict[str, str]:
    """One for each volume, by its name; EFS makes the directory at the first mount, owned by EFS_UID and EFS_GID."""
    if not file_system_id:
        return {}
    wait_available(file_system_id)
    present = access_points(file_system_id)
    for volume in EFS_VOLUMES:
        point = present.get(volume["name"])
        if not point:
            present[volume["name"]] = _create_access_point(file_system_id, volume["name"])
            continue
        say("found", f"access point {point['AccessPointId']}", volume["name"])
    return {volume: point["AccessPointId"] for volume, point in present.items()}


def _create_access_point(file_system_id: str, volume: str) -> dict[str, Any]:
    owner = {"Uid": EFS_UID, "Gid": EFS_GID}
    directory = {"OwnerUid": EFS_UID, "OwnerGid": EFS_GID, "Permissions": "755"}
    try:
        made = client("efs").create_access_point(
            ClientToken=token(file_system_id, volume),
            FileSystemId=file_system_id,
            PosixUser=owner,
            RootDirectory={"Path": f"/{volume}", "CreationInfo": directory},
            Tags=[*tags(f"volume-{volume}"), {"Key": "volume", "Value": volume}],
        )
    except ClientError as error:
        if code(error) != "AccessPointAlreadyExists":
            raise
        return {"AccessPointId": error.response["AccessPointId"]}  # type: ignore[typeddict-item]
    say("created", f"access point {made['AccessPointId']}", f"{volume}, owned by {EFS_UID}:{EFS_GID}")
    return made  # type: ignore[no-any-return]


def wait_available(file_system_id: str) -> None:
    """EFS refuses mount targets and access points until then."""

    def state() -> str:
        found = client("efs").describe_file_systems(FileSystemId=file_system_id)["FileSystems"]
        return str(found[0]["LifeCycleState"])

    wait(f"file system {file_system_id}", lambda: state() == "available", lambda: f"its state is {state()}")


def delete() -> None:
    """With EFS_DELETION_POLICY=Delete the file system and all its data; otherwise it is kept, and named."""
    system = find()
    if FILE_SYSTEM_ID:
        return delete_access_points()
    if not system:
        return say("already gone", "file system")
    file_system_id = system["FileSystemId"]
    if EFS_DELETION_POLICY == "Retain":
        return say("kept", f"file system {file_system_id}", how_to_remove(system))
    insist(
        f"file system {file_system_id} to be free",
        lambda: accepted(lambda: client("efs").delete_file_system(FileSystemId=file_system_id), "FileSystemNotFound"),
        "FileSystemInUse",
        "IncorrectFileSystemLifeCycleState",
    )
    wait(f"file system {file_system_id} to be gone", lambda: not find(), lambda: "it is still being deleted")
    say("deleted", f"file system {file_system_id}")


def delete_access_points() -> None:
    """In an adopted file system only what we made goes; the directories and their data stay."""
    for volume, point in access_points(FILE_SYSTEM_ID).items():
        accepted(lambda: client("efs").delete_access_point(AccessPointId=point["AccessPointId"]), "AccessPointNotFound")
        say("deleted", f"access point {point['AccessPointId']}", f"{volume}; its data stays on {FILE_SYSTEM_ID}")
    say("kept", f"file system {FILE_SYSTEM_ID}", "adopted, not ours to delete")


def gib(system: dict[str, Any]) -> str:
    return f"{system['SizeInBytes']['Value'] / 2**30:.2f} GiB"


def how_to_remove(system: dict[str, Any]) -> str:
    return (
        f"{gib(system)}, still billed (about $0.30 per GiB and month in us-east-1); "
        "to delete it with its data: EFS_DELETION_POLICY=Delete python delete_cluster.py"
    )


def find() -> dict[str, Any] | None:
    """The file system that `create` made, in whatever state."""
    found = missing(
        lambda: client("efs").describe_file_systems(CreationToken=CREATION_TOKEN)["FileSystems"], "FileSystemNotFound"
    )
    systems = [system for system in found or [] if ours(system["Tags"])]
    return systems[0] if systems else None  # EFS allows one for a creation token


def find_id() -> str:
    system = None if FILE_SYSTEM_ID else find()
    return FILE_SYSTEM_ID or (system["FileSystemId"] if system else "")


def access_points(file_system_id: str) -> dict[str, dict[str, Any]]:
    """Our access points by the name of their volume."""
    pages = client("efs").get_paginator("describe_access_points").paginate(FileSystemId=file_system_id)
    found: dict[str, dict[str, Any]] = {}
    for page in pages:
        for point in page["AccessPoints"]:
            volume = {tag["Key"]: tag["Value"] for tag in point["Tags"]}.get("volume")
            if volume and ours(point["Tags"]) and point["LifeCycleState"] in ("creating", "available"):
                found[volume] = point
    return found


def left_over() -> list[str]:
    """A file system that should be gone; a kept one is no left-over."""
    system = None if FILE_SYSTEM_ID or EFS_DELETION_POLICY == "Retain" else find()
    return [f"file system {system['FileSystemId']} with its data, {gib(system)}"] if system else []
