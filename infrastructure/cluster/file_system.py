"""EFS file systems, one for all volumes or one for each; endpoints that share the cluster share them too.

Encrypted, and with a policy: mounted over TLS and by an access point only, by roles that may. Asked for before the
network, since they need nothing from it; mount_targets.py connects the two, and infrastructure/service/access_points.py
makes the directories. With FILE_SYSTEM_ID nothing here is made, changed or deleted.
https://docs.aws.amazon.com/efs/latest/ug/whatisefs.html
"""

import functools
import json
from typing import Any

import aws
import constants
from aws import Problem, Resource, call, client, every, name, ours, refuse_foreign, resource, tags, wait
from console import say
from infrastructure.cluster import prices

LEAVING = ("deleting", "deleted")
MOVE = "set it back, or move the data and run delete_cluster.py first"
GONE = "FileSystemNotFound"
#: EFS's refusal while a file system is being made: for some seconds
UNREADY = "IncorrectFileSystemLifeCycleState"
DELETE = "to delete it with its data: EFS_DELETION_POLICY=Delete python delete_cluster.py"
KEPT = f"still billed; {DELETE}"
CLIENT_ACTIONS = [f"elasticfilesystem:{each}" for each in ("ClientMount", "ClientWrite", "ClientRootAccess")]
Policies = tuple[list[Any], bool, Any]


@aws.shared_look
def all_systems() -> list[Any]:
    """Every file system of the account in this region, in whatever state: EFS lists none by their tags."""
    return every(client("efs").get_paginator("describe_file_systems").paginate(), "FileSystems")


@aws.look
def policies() -> dict[str, Policies]:
    """Of each of our own file systems: how files move to cheaper storage, whether AWS Backup keeps them, who may mount it."""
    found = [each["FileSystemId"] for each in owned() if each["LifeCycleState"] not in LEAVING]
    return dict(zip(found, aws.side_by_side(read_policies, found), strict=True))


def read_policies(file_system_id: str) -> Policies:
    moves, backed_up, policy = aws.together(
        *(functools.partial(read, file_system_id) for read in (read_moves, is_backed_up, read_policy))
    )
    return moves, backed_up, policy


def read_moves(file_system_id: str) -> list[Any]:
    found = call(client("efs").describe_lifecycle_configuration, gone=GONE)(FileSystemId=file_system_id)
    return list(found["LifecyclePolicies"]) if found else []


def is_backed_up(file_system_id: str) -> bool:
    read = call(client("efs").describe_backup_policy, gone=("PolicyNotFound", GONE))
    found = read(FileSystemId=file_system_id)
    return bool(found and found["BackupPolicy"].get("Status") in ("ENABLED", "ENABLING"))


def read_policy(file_system_id: str) -> Any | None:
    """The file system policy; None: AWS's default one, by which whoever reaches a mount target mounts it as root."""
    read = call(client("efs").describe_file_system_policy, gone=("PolicyNotFound", GONE))
    found = read(FileSystemId=file_system_id)
    return json.loads(found["Policy"]) if found else None


LOOKS = (all_systems,)


def owned() -> list[Any]:
    """The file systems that `create` made, in whatever state."""
    return sorted((each for each in all_systems() if ours(each)), key=lambda each: str(each["CreationToken"]))


def volume_ids() -> dict[str, str]:
    """The file system of each volume that has one, by the volume's name."""
    wanted = {volume["name"]: name(suffix(volume["name"])) for volume in constants.EFS_VOLUMES}
    if constants.FILE_SYSTEM_ID or not wanted:
        return dict.fromkeys(wanted, constants.FILE_SYSTEM_ID)
    present = {each["CreationToken"]: each["FileSystemId"] for each in owned()}
    return {volume: present[its_name] for volume, its_name in wanted.items() if its_name in present}


def ids() -> list[str]:
    """Each file system that is used, once: our own, or the adopted one."""
    return [constants.FILE_SYSTEM_ID] if constants.FILE_SYSTEM_ID else [each["FileSystemId"] for each in owned()]


def suffix(volume: str) -> str:
    """What the file system of a volume is called; its name is the token by which EFS knows that a second create is the same.

    https://docs.aws.amazon.com/efs/latest/ug/API_CreateFileSystem.html
    """
    return f"file-system-{volume}" if constants.EFS_FILE_SYSTEMS == "per-volume" else "file-system"


def of_name(its_name: str) -> Any | None:
    """The file system that has this token, which is given once in an account."""
    for found in [each for each in all_systems() if each["CreationToken"] == its_name]:
        refuse_foreign(f"file system {found['FileSystemId']} ({its_name})", found)
        return found
    return None


def refuse_changes() -> None:
    """What AWS can't change any more, and what is not ours, is told before anything is changed."""
    adopted = constants.FILE_SYSTEM_ID
    for system in [each for each in owned() if adopted and each["FileSystemId"] != adopted]:
        if system["NumberOfMountTargets"]:  # one without them was kept when its cluster went
            raise Problem(f"FILE_SYSTEM_ID={adopted}, but the volumes are on {system['FileSystemId']}: {MOVE}")
    if adopted or not constants.EFS_VOLUMES:
        return
    volumes = [volume["name"] for volume in constants.EFS_VOLUMES]
    names = {name(suffix(volume)) for volume in volumes}
    for its_name in sorted(names):
        of_name(its_name)
    other_way = {name("file-system"), *(name(f"file-system-{volume}") for volume in volumes)} - names
    mode, way = constants.EFS_PERFORMANCE_MODE, constants.EFS_FILE_SYSTEMS
    holds = "one of them" if way == "one" else "them all"
    for system in owned():
        its_id, its_mode = system["FileSystemId"], system["PerformanceMode"]
        if system["LifeCycleState"] == "available" and its_mode != mode:
            raise Problem(f"EFS_PERFORMANCE_MODE={mode}, but {its_id} has {its_mode}, which can't be changed: {MOVE}")
        if system["CreationToken"] in other_way:
            raise Problem(f"EFS_FILE_SYSTEMS={way}, but the volumes are on {its_id}, which holds {holds}: {MOVE}")


def create() -> dict[str, str]:
    """Ask for the file systems; ready some seconds later. They cost nothing while empty. Answers volume -> id."""
    adopted, volumes = constants.FILE_SYSTEM_ID, {each["name"]: suffix(each["name"]) for each in constants.EFS_VOLUMES}
    if adopted and volumes:
        say("found", f"file system {adopted}", "adopted")
    stood = [] if adopted else owned()
    made = {wanted: adopted or create_file_system(wanted) for wanted in dict.fromkeys(volumes.values())}
    for system in [each for each in stood if each["FileSystemId"] not in made.values()]:
        its_price = prices.a_month(prices.ITEMS["EFS"], size(system))
        why = f"none of EFS_VOLUMES is on it; {size(system):.2f} GiB{its_price}, {KEPT}"
        say("kept", f"file system {system['FileSystemId']}", why)
    return {volume: made[wanted] for volume, wanted in volumes.items()}


def size(system: Any) -> float:
    """GiB, as EFS has counted them of late."""
    return float(system["SizeInBytes"]["Value"]) / 2**30


def create_file_system(wanted: str) -> str:
    """Find it, or make it, and bring its throughput mode into line."""
    its_name = name(wanted)
    mode: Any = constants.EFS_THROUGHPUT_MODE

    def leaving() -> bool:
        found = of_name(its_name)
        return bool(found and found["LifeCycleState"] in LEAVING)

    wait("the former file system to be gone", lambda: not leaving(), lambda: "it is still being deleted")
    system = None if leaving() else of_name(its_name)
    if not system:
        return make(wanted)
    what, request = f"file system {system['FileSystemId']}", {"FileSystemId": system["FileSystemId"]}
    say("found", what)
    if system["ThroughputMode"] != mode:
        call(client("efs").update_file_system, what, of=system)(**request, ThroughputMode=mode)
        say("updated", what, f"throughput mode {mode}")
    return str(system["FileSystemId"])


def make(wanted: str) -> str:
    its_name = name(wanted)
    create = call(client("efs").create_file_system, there="FileSystemAlreadyExists")
    modes: Any = {"PerformanceMode": constants.EFS_PERFORMANCE_MODE, "ThroughputMode": constants.EFS_THROUGHPUT_MODE}
    made = create(CreationToken=its_name, Encrypted=True, Tags=tags(wanted), **modes)
    if made:
        say("created", f"file system {made['FileSystemId']}", f"{wanted}, encrypted")
        return made["FileSystemId"]
    found = aws.listed(f"file system {its_name}", lambda: of_name(its_name), "EFS") or {}
    say("found", f"file system {found['FileSystemId']}", "made by another run at the same moment")
    return str(found["FileSystemId"])


def set_policies(file_system_ids: dict[str, str], stood: list[str]) -> None:
    """Who may mount them, backups, and the move to Infrequent Access; an adopted file system keeps its own.

    A new one, which did not stand before, has none of these.

    https://docs.aws.amazon.com/efs/latest/ug/lifecycle-management-efs.html
    """
    efs, number, backup = client("efs"), constants.EFS_INFREQUENT_ACCESS_DAYS, constants.EFS_BACKUP
    days = f"AFTER_{number}_DAY{'' if number == '1' else 'S'}"
    wanted: list[Any] = [{"TransitionToIA": days}] if number else []
    status: Any = backup.upper()
    present = policies() if stood else {}
    for its_id in [] if constants.FILE_SYSTEM_ID else dict.fromkeys(file_system_ids.values()):
        what, request = f"file system {its_id}", {"FileSystemId": its_id}
        moves, backed_up, policy = present.get(its_id, ([], False, None))
        rules = mount_rules(its_id)
        closed = is_same(policy, rules)
        if moves == wanted and (backup == "enabled") == backed_up and closed:
            continue
        found = next((each for each in owned() if each["FileSystemId"] == its_id), None) if stood else None
        system = found or {**request, "Tags": tags()}  # this run made it
        if not closed:
            put_policy = call(efs.put_file_system_policy, of=system, busy=UNREADY)
            put_policy(FileSystemId=its_id, Policy=json.dumps(rules))
            say("updated", what, "mounted over TLS and by an access point only, by roles that may")
        if moves != wanted:
            put = call(efs.put_lifecycle_configuration, of=system, busy=UNREADY)
            put(**request, LifecyclePolicies=wanted)
            say("updated", what, f"Infrequent Access: {days if wanted else 'never'}")
        if (backup == "enabled") != backed_up:
            put_backup_policy = call(efs.put_backup_policy, of=system, busy=UNREADY)
            put_backup_policy(**request, BackupPolicy={"Status": status})
            say("updated", what, f"daily backups {backup}")


def mount_rules(file_system_id: str) -> dict[str, Any]:
    """The file system policy. It allows nothing: with one in force AWS's default is over, which lets anybody in as root,
    and who may mount, and by which access point, is said by each role's own policy. That alone binds nobody who has
    wider rights, so it denies everybody what is not encrypted, not by a mount target, or not by an access point.

    No endpoint is named, so that none changes it. Of a client EFS knows these keys only, and none of its principal.
    https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html
    """
    points = aws.arn("elasticfilesystem", "access-point/*")
    unless: dict[str, dict[str, Any]] = {
        "OnlyByAccessPoint": {"StringNotLike": {"elasticfilesystem:AccessPointArn": points}},
        "OnlyByMountTarget": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "false"}},
        "OnlyOverTls": {"Bool": {"aws:SecureTransport": "false"}},
    }
    everybody = {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": CLIENT_ACTIONS,
        "Resource": aws.arn("elasticfilesystem", f"file-system/{file_system_id}"),
    }
    statements = [{"Sid": sid, **everybody, "Condition": condition} for sid, condition in unless.items()]
    return {"Version": "2012-10-17", "Statement": statements}


def client_actions() -> list[str]:
    """What who mounts needs. As root only where that is whose files they are: else EFS takes who writes there for nobody.

    https://docs.aws.amazon.com/efs/latest/ug/enforce-identity-access-points.html
    """
    return CLIENT_ACTIONS if 0 in (constants.EFS_UID, constants.EFS_GID) else CLIENT_ACTIONS[:2]


def is_same(policy: Any, wanted: Any) -> bool:
    """EFS may show a policy in another order: https://github.com/crossplane-contrib/provider-upjet-aws/pull/2188"""
    return aws.holds(policy, wanted) and aws.holds(wanted, policy)


def delete() -> None:
    """Ask for their end, once their mount targets are gone.

    With EFS_DELETION_POLICY=Delete the file systems and all their data; otherwise they are kept, and named.
    """
    if constants.FILE_SYSTEM_ID:
        say("kept", f"file system {constants.FILE_SYSTEM_ID}", "adopted, not ours to delete")
        return
    if constants.EFS_DELETION_POLICY == "Retain":
        return
    efs, busy = client("efs"), ("FileSystemInUse", "IncorrectFileSystemLifeCycleState")
    for system in [each for each in owned() if each["LifeCycleState"] not in LEAVING]:
        what, its_id = f"file system {system['FileSystemId']}", system["FileSystemId"]
        kept = "; its backups stay in AWS Backup, and cost" if is_backed_up(its_id) else ""
        call(efs.delete_file_system, f"{what} to be free", of=system, gone=GONE, busy=busy)(FileSystemId=its_id)
        say("deleted", what, f"with its data{kept}")


def wait_deleted() -> None:
    if constants.EFS_DELETION_POLICY == "Delete" and not constants.FILE_SYSTEM_ID:
        wait("the file systems to be gone", lambda: not owned(), lambda: "they are still being deleted")


def left_over() -> list[Resource]:
    """Our own; with EFS_DELETION_POLICY=Retain they are kept."""
    data, kept = ("", KEPT) if constants.EFS_DELETION_POLICY == "Retain" else (" with its data", "")
    left = []
    for each in [] if constants.FILE_SYSTEM_ID else owned():
        what = f"file system {each['FileSystemId']}{data}, {size(each):.2f} GiB"
        left.append(resource(what, each["FileSystemArn"], each, kept))
    return left
