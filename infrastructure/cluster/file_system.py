"""EFS file systems, one for all volumes or one for each, and their access points: a directory for each volume.

Encrypted. Asked for before the network, since they need nothing from it; mount_targets.py connects the two. Where
endpoints share the cluster they share the file systems too; each has directories and access points of its own.
With FILE_SYSTEM_ID only access points are made in it. https://docs.aws.amazon.com/efs/latest/ug/whatisefs.html
"""

from typing import Any

from botocore.exceptions import ClientError

import constants
from aws import Problem, accepted, client, code, endpoint_tags, insist, missing, name, ours, tags, token, wait
from console import say

LEAVING = ("deleting", "deleted")


def suffix(volume: str) -> str:
    """What the file system of a volume is called; its name is the token by which EFS knows that a second create is the same.

    https://docs.aws.amazon.com/efs/latest/ug/API_CreateFileSystem.html
    """
    return f"file-system-{volume}" if constants.EFS_FILE_SYSTEMS == "per-volume" else "file-system"


def create() -> dict[str, str]:
    """Ask for the file systems; ready some seconds later. They cost nothing while empty. Answers volume -> id."""
    if constants.FILE_SYSTEM_ID and constants.EFS_VOLUMES:
        say("found", f"file system {constants.FILE_SYSTEM_ID}", "adopted")
    present = {} if constants.FILE_SYSTEM_ID else {system["CreationToken"]: system for system in owned()}
    made: dict[str, str] = {}
    for volume in constants.EFS_VOLUMES:
        wanted = suffix(volume["name"])
        if wanted not in made:
            made[wanted] = constants.FILE_SYSTEM_ID or create_file_system(wanted, present.get(name(wanted)))
    return {volume["name"]: made[suffix(volume["name"])] for volume in constants.EFS_VOLUMES}


def create_file_system(suffix: str, system: dict[str, Any] | None) -> str:
    """Find it, or make it, and bring its throughput mode into line."""
    efs = client("efs")
    if system and system["LifeCycleState"] in LEAVING:
        file_system_id = system["FileSystemId"]
        wait(
            "the former file system to be gone", lambda: not exists(file_system_id), lambda: "it is still being deleted"
        )
        system = None
    if system:
        say("found", f"file system {system['FileSystemId']}")
        if system["ThroughputMode"] != constants.EFS_THROUGHPUT_MODE:
            efs.update_file_system(FileSystemId=system["FileSystemId"], ThroughputMode=constants.EFS_THROUGHPUT_MODE)
            say("updated", f"file system {system['FileSystemId']}", f"throughput mode {constants.EFS_THROUGHPUT_MODE}")
        return str(system["FileSystemId"])
    try:
        made = efs.create_file_system(
            CreationToken=name(suffix),
            PerformanceMode=constants.EFS_PERFORMANCE_MODE,
            ThroughputMode=constants.EFS_THROUGHPUT_MODE,
            Encrypted=True,
            Tags=tags(suffix),
        )
    except ClientError as error:
        if code(error) != "FileSystemAlreadyExists":
            raise
        say("found", f"file system {error.response['FileSystemId']}", "made by another run at the same moment")  # type: ignore[typeddict-item]
        return str(error.response["FileSystemId"])  # type: ignore[typeddict-item]
    say("created", f"file system {made['FileSystemId']}", f"{suffix}, encrypted")
    return str(made["FileSystemId"])


def set_policies(file_system_ids: dict[str, str]) -> None:
    """Backups and the move to Infrequent Access, as the settings say; an adopted file system keeps its own.

    https://docs.aws.amazon.com/efs/latest/ug/lifecycle-management-efs.html
    """
    days = (
        f"AFTER_{constants.EFS_INFREQUENT_ACCESS_DAYS}_DAY{'' if constants.EFS_INFREQUENT_ACCESS_DAYS == '1' else 'S'}"
    )
    wanted = [{"TransitionToIA": days}] if constants.EFS_INFREQUENT_ACCESS_DAYS else []
    efs = client("efs")
    for file_system_id in [] if constants.FILE_SYSTEM_ID else dict.fromkeys(file_system_ids.values()):
        wait_available(file_system_id)
        if efs.describe_lifecycle_configuration(FileSystemId=file_system_id)["LifecyclePolicies"] != wanted:
            efs.put_lifecycle_configuration(FileSystemId=file_system_id, LifecyclePolicies=wanted)
            say("updated", f"file system {file_system_id}", f"Infrequent Access: {days if wanted else 'never'}")
        if (constants.EFS_BACKUP == "enabled") != is_backed_up(file_system_id):
            efs.put_backup_policy(FileSystemId=file_system_id, BackupPolicy={"Status": constants.EFS_BACKUP.upper()})
            say("updated", f"file system {file_system_id}", f"daily backups {constants.EFS_BACKUP}")


def is_backed_up(file_system_id: str) -> bool:
    found = missing(
        lambda: client("efs").describe_backup_policy(FileSystemId=file_system_id)["BackupPolicy"],
        "PolicyNotFound",
        "FileSystemNotFound",
    )
    return bool(found and found["Status"] in ("ENABLED", "ENABLING"))


def refuse_changes() -> None:
    """What AWS can't change any more is told before anything is changed."""
    for system in [] if constants.FILE_SYSTEM_ID or not constants.EFS_VOLUMES else owned():
        if system["LifeCycleState"] == "available" and system["PerformanceMode"] != constants.EFS_PERFORMANCE_MODE:
            raise Problem(
                f"EFS_PERFORMANCE_MODE={constants.EFS_PERFORMANCE_MODE}, but {system['FileSystemId']} has {system['PerformanceMode']}, "
                "which can't be changed: set it back, or move the data and run delete_cluster.py first"
            )
        names = {name(suffix(volume["name"])) for volume in constants.EFS_VOLUMES}
        other_way = {
            name("file-system"),
            *(name(f"file-system-{volume['name']}") for volume in constants.EFS_VOLUMES),
        } - names
        if system["CreationToken"] in other_way:
            holds = "one of them" if constants.EFS_FILE_SYSTEMS == "one" else "them all"
            raise Problem(
                f"EFS_FILE_SYSTEMS={constants.EFS_FILE_SYSTEMS}, but the volumes are on {system['FileSystemId']}, which holds {holds}: "
                "set it back, or move the data and run delete_cluster.py first"
            )
    points = access_points()
    for volume in constants.EFS_VOLUMES:
        point = points.get(volume["name"])
        owner = (
            (point["PosixUser"]["Uid"], point["PosixUser"]["Gid"]) if point else (constants.EFS_UID, constants.EFS_GID)
        )
        if point and owner != (constants.EFS_UID, constants.EFS_GID):
            raise Problem(
                f"EFS_UID, EFS_GID: {constants.EFS_UID}:{constants.EFS_GID}, but access point {point['AccessPointId']} of volume {volume['name']} "
                f"is for {owner[0]}:{owner[1]}, which can't be changed: set them back, or name the volume otherwise"
            )


def create_access_points(file_system_ids: dict[str, str]) -> dict[str, str]:
    """One for each volume, by its name; EFS makes the directory at the first mount, owned by EFS_UID and EFS_GID.

    A cluster that endpoints share has none of its own.
    """
    if constants.CLUSTER_ONLY:
        return {}
    present = access_points(file_system_ids)

    def leaving() -> dict[str, Any]:
        return access_points(file_system_ids, LEAVING)

    for volume, file_system_id in file_system_ids.items():
        point = present.get(volume)
        if not point:
            wait_available(file_system_id)
            wait("the former access points to be gone", lambda: not leaving(), lambda: "they are still being deleted")
            present[volume] = _create_access_point(file_system_id, volume)
            continue
        say("found", f"access point {point['AccessPointId']}", volume)
    return {volume: point["AccessPointId"] for volume, point in present.items()}


def _create_access_point(file_system_id: str, volume: str) -> dict[str, Any]:
    owner = {"Uid": constants.EFS_UID, "Gid": constants.EFS_GID}
    directory = {"OwnerUid": constants.EFS_UID, "OwnerGid": constants.EFS_GID, "Permissions": "755"}
    try:
        made = client("efs").create_access_point(
            ClientToken=token(file_system_id, constants.PREFIX, volume),
            FileSystemId=file_system_id,
            PosixUser=owner,
            RootDirectory={
                "Path": f"/{constants.ENDPOINT}/{volume}" if constants.ENDPOINT else f"/{volume}",
                "CreationInfo": directory,
            },
            Tags=[*endpoint_tags(f"volume-{volume}"), {"Key": "volume", "Value": volume}],
        )
    except ClientError as error:
        if code(error) != "AccessPointAlreadyExists":
            raise
        return {"AccessPointId": error.response["AccessPointId"]}  # type: ignore[typeddict-item]
    say(
        "created",
        f"access point {made['AccessPointId']}",
        f"{volume}, owned by {constants.EFS_UID}:{constants.EFS_GID}",
    )
    return made  # type: ignore[no-any-return]


def wait_available(file_system_id: str) -> None:
    """EFS refuses mount targets and access points until then."""

    def state() -> str:
        found = client("efs").describe_file_systems(FileSystemId=file_system_id)["FileSystems"]
        return str(found[0]["LifeCycleState"])

    wait(f"file system {file_system_id}", lambda: state() == "available", lambda: f"its state is {state()}")


def delete() -> None:
    """With EFS_DELETION_POLICY=Delete the file systems and all their data; otherwise they are kept, and named."""
    if constants.FILE_SYSTEM_ID:
        delete_access_points()
        return say("kept", f"file system {constants.FILE_SYSTEM_ID}", "adopted, not ours to delete")
    systems = owned()
    if not systems:
        return say("already gone", "file system")
    if constants.EFS_DELETION_POLICY == "Retain":
        for system in systems:
            say("kept", f"file system {system['FileSystemId']}", how_to_remove(system))
        return None
    for system in systems:
        file_system_id = system["FileSystemId"]
        kept = "; its backups stay in AWS Backup, and cost" if is_backed_up(file_system_id) else ""
        insist(
            f"file system {file_system_id} to be free",
            lambda: accepted(
                lambda: client("efs").delete_file_system(FileSystemId=file_system_id), "FileSystemNotFound"
            ),
            "FileSystemInUse",
            "IncorrectFileSystemLifeCycleState",
        )
        say("deleted", f"file system {file_system_id}", f"with its data{kept}")
    wait("the file systems to be gone", lambda: not owned(), lambda: "they are still being deleted")
    return None


def delete_access_points() -> None:
    """The endpoint's, or in an adopted file system ours; the directories and their data stay."""
    for volume, point in access_points().items():
        accepted(lambda: client("efs").delete_access_point(AccessPointId=point["AccessPointId"]), "AccessPointNotFound")
        directory = f"{point['RootDirectory']['Path']} of {point['FileSystemId']}"
        say("deleted", f"access point {point['AccessPointId']}", f"{volume}; its data stays, in {directory}")


def gib(system: dict[str, Any]) -> str:
    return f"{system['SizeInBytes']['Value'] / 2**30:.2f} GiB"


def how_to_remove(system: dict[str, Any]) -> str:
    return (
        f"{gib(system)}, still billed (about $0.30 per GiB and month in us-east-1); "
        "to delete it with its data: EFS_DELETION_POLICY=Delete python delete_cluster.py"
    )


def owned() -> list[dict[str, Any]]:
    """The file systems that `create` made, in whatever state."""
    pages = client("efs").get_paginator("describe_file_systems").paginate()
    found = [system for page in pages for system in page["FileSystems"] if ours(system["Tags"])]
    return sorted(found, key=lambda system: str(system["CreationToken"]))


def exists(file_system_id: str) -> bool:
    found = missing(
        lambda: client("efs").describe_file_systems(FileSystemId=file_system_id)["FileSystems"], "FileSystemNotFound"
    )
    return any(system["LifeCycleState"] != "deleted" for system in found or [])


def volume_ids() -> dict[str, str]:
    """The file system of each volume that has one, by the volume's name."""
    if constants.FILE_SYSTEM_ID:
        return {volume["name"]: constants.FILE_SYSTEM_ID for volume in constants.EFS_VOLUMES}
    present = {system["CreationToken"]: system["FileSystemId"] for system in owned()} if constants.EFS_VOLUMES else {}
    wanted = {volume["name"]: name(suffix(volume["name"])) for volume in constants.EFS_VOLUMES}
    return {volume: present[its_name] for volume, its_name in wanted.items() if its_name in present}


def ids() -> list[str]:
    """Each file system that is used, once: our own, or the adopted one."""
    return [constants.FILE_SYSTEM_ID] if constants.FILE_SYSTEM_ID else [system["FileSystemId"] for system in owned()]


def access_points(
    file_system_ids: dict[str, str] | None = None, states: tuple[str, ...] = ("creating", "available")
) -> dict[str, dict[str, Any]]:
    """Our access points, those of the endpoint where there are endpoints, by the name of their volume."""
    found: dict[str, dict[str, Any]] = {}
    for file_system_id in dict.fromkeys(ids() if file_system_ids is None else file_system_ids.values()):
        pages = client("efs").get_paginator("describe_access_points").paginate(FileSystemId=file_system_id)
        for point in missing(lambda: [p for page in pages for p in page["AccessPoints"]], "FileSystemNotFound") or []:
            words = {tag["Key"]: tag["Value"] for tag in point["Tags"]}
            mine = ours(point["Tags"]) and words.get(constants.ENDPOINT_TAG, "") == constants.ENDPOINT
            if mine and "volume" in words and point["LifeCycleState"] in states:
                found[words["volume"]] = point
    return found


def access_points_left() -> list[str]:
    return [f"access point {point['AccessPointId']}" for point in access_points().values()]


def left_over() -> list[str]:
    """A file system that should be gone; a kept one is no left-over."""
    if constants.FILE_SYSTEM_ID or constants.EFS_DELETION_POLICY == "Retain":
        return []
    return [f"file system {system['FileSystemId']} with its data, {gib(system)}" for system in owned()]
