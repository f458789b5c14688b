"""The one-shot task that copies between a folder of a bucket and one of a volume: its role, its task definition, its runs.

One copy at a time: the role may read or write exactly that folder of that bucket, and mount exactly that volume, so that
the next copy takes from it what the one before could. The role and the task definition are free, and stay until
delete_copy.py. https://docs.aws.amazon.com/cli/latest/reference/s3/sync.html
"""

import posixpath
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws
import constants
from aws import Problem, Resource, call, client
from console import say
from infrastructure.cluster import buckets, roles
from infrastructure.service import task_definitions, task_roles, task_security_group, tasks
from infrastructure.weights import copy_task, objects, transfer_bucket

ROLE = "copy"


@dataclass(frozen=True)
class Copy:
    """From where to where, and which way. With a local folder the bucket is transfer_bucket's, the prefix this copy's own."""

    volume: str
    path: str  # in the volume: in/train, or nothing for its root
    bucket: str
    prefix: str  # in the bucket: datasets/a, or nothing for the whole bucket
    folder: Path | None  # on this machine, where one side is
    onto: bool  # whether the volume takes it
    delete: bool  # whether the target loses what the source does not have

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def keys(self) -> str:
        """How the keys of the files in the bucket's folder begin."""
        return f"{self.prefix}/" if self.prefix else ""


def between(source: str, target: str, delete: bool) -> Copy:
    """What the two words of the command line say. One of them is a volume, the other a bucket, or a path on this machine."""
    names = [volume["name"] for volume in constants.EFS_VOLUMES]
    onto, known = not is_volume(source), f"EFS_VOLUMES has {', '.join(names) or 'none'}"
    there, other = (target, source) if onto else (source, target)
    if not is_volume(there) or is_volume(other):
        refuse(
            f"{source} and {target}: one of the two is a volume, as data:/in, the other a bucket or a folder; {known}"
        )
    volume, _, path = there.partition(":")
    if volume not in names:
        refuse(f"{there}: {volume} is none of EFS_VOLUMES: {', '.join(names) or 'none'}")
    if ".." in path.split("/"):
        refuse(f"{there}: a path with .. in it may lead out of the volume")
    inside = posixpath.normpath(f"/{path}").strip("/")
    if other.startswith("s3://"):
        bucket, _, prefix = other.removeprefix("s3://").partition("/")
        if not re.fullmatch(constants.BUCKET_NAME, bucket):
            refuse(f"{other}: {bucket} is no bucket name")
        return Copy(volume, inside, bucket, prefix.strip("/"), None, onto, delete)
    folder = Path(other).expanduser().absolute()
    if onto and not folder.exists():
        refuse(f"{other}: there is no such file or folder on this machine")
    if onto and not objects.files(folder, ""):
        refuse(f"{other}: there is no file in it")
    if folder.is_file() and not onto:
        refuse(f"{other} is a file: name a folder to copy to")
    if delete and not onto:
        refuse("--delete: nothing is deleted on this machine")
    prefix = aws.token(source, target, folder)[:16]
    of_its_own = not onto  # what the last run has left there, and the volume no longer has, is not to come here
    return Copy(volume, inside, transfer_bucket.its_name(), prefix, folder, onto, delete or of_its_own)


def check_role() -> None:
    """Whoever names roles for all else names one for this too: nothing in IAM is asked for or made then."""
    if not constants.MAKES_ROLES and not constants.ADOPTED_ROLES[ROLE]:
        constants.check(SYNC_ROLE_ARN="is not set: name a role for copies too, since no other role is made")


def warn_of_sync(copy: Copy) -> None:
    """The sync of the weights makes its volume what its bucket is."""
    if copy.onto and constants.WEIGHTS_BUCKET and copy.volume == constants.WEIGHTS_VOLUME:
        gone = f"the next sync_weights.py deletes there what {constants.WEIGHTS_BUCKET} does not have"
        say("warning", f"{copy.volume} is WEIGHTS_VOLUME:", gone)


def is_volume(word: str) -> bool:
    return not word.startswith("s3://") and bool(re.match(r"[a-zA-Z0-9][a-zA-Z0-9_-]*:", word))


def refuse(sentence: str) -> None:
    raise Problem(sentence, None, aws.WRONG_SETTING)


@aws.look
def definitions() -> list[Any]:
    return copy_task.definitions(ROLE)


LOOKS = (definitions, *roles.looks(ROLE))


def named_in_full() -> list[Any]:
    """The same with their roles, which AWS's index of tags does not tell."""
    return [task_definitions.definition(each["taskDefinitionArn"]) for each in definitions()]


def present(copy: Copy) -> dict[str, Any]:
    """The files that the bucket has for it, by key: of a folder, or the one object that is named in full."""
    found = objects.listed(copy.bucket, copy.keys)
    head = call(client("s3").head_object, gone=("404", "NoSuchKey"))
    one = head(Bucket=copy.bucket, Key=copy.prefix) if not found and copy.prefix else None
    return {copy.prefix: {"Size": one["ContentLength"], "LastModified": one["LastModified"]}} if one else found


def is_one(copy: Copy, there: dict[str, Any]) -> bool:
    """Whether the source is one object, and no folder."""
    return list(there) == [copy.prefix]


def create(copy: Copy, point: Any, there: dict[str, Any]) -> tuple[str, Any]:
    """The role, a revision of the task definition for that volume, and the way to the file system. Free.

    Once no other copy goes on: what that one may would be taken from it. `there`: what the bucket has for the volume.
    Answers the revision's ARN, and where in the network its tasks run.
    """
    one = is_one(copy, there)
    copy_task.wait_for_others(ROLE, started_by(script(copy, one)))
    role_arn = roles.create_role(ROLE, roles.task_trust(), (), policy(copy, point, one))
    nothing = shlex.join(["echo", "copy_data.py says what is copied"])
    wanted = copy_task.definition(ROLE, copy.volume, point, role_arn, nothing, read_only=not copy.onto)
    found = task_definitions.register(wanted, ROLE)
    task_roles.leave(ROLE, named_in_full)
    return str(found["taskDefinitionArn"]), copy_task.placement(task_security_group.create())


def policy(copy: Copy, point: Any, one: bool) -> dict[str, Any]:
    """Reading, or writing, that folder of that bucket, and mounting that volume: to write only where it takes something."""
    arn = buckets.arn(copy.bucket)
    mounts = copy_task.mounting(copy.volume, point)
    if copy.onto:
        actions = ["s3:GetObject"]
    else:
        actions = ["s3:PutObject", "s3:AbortMultipartUpload", *(["s3:DeleteObject"] if copy.delete else [])]
        mounts["Action"] = [each for each in mounts["Action"] if not each.endswith("ClientWrite")]
    which = copy.prefix if one else copy.keys
    moves = {"Action": actions, "Resource": f"{arn}/{copy_task.literal(which)}{'' if one else '*'}"}
    return roles.document(copy_task.listing(arn, which), moves, mounts)


def script(copy: Copy, one: bool, *flags: str) -> str:
    """What the task does: of a folder what differs, of one file that one. It ends with 1 where there is no source."""
    place, more = copy_task.mounted(copy.volume, copy.path), [*(["--delete"] if copy.delete else []), *flags]
    if copy.onto and one:
        return f"exec {shlex.join(['aws', 's3', 'cp', copy.url, f'{place}/', '--no-progress', *flags])}"
    if copy.onto:
        sync = ["aws", "s3", "sync", copy.url, place, "--exact-timestamps", "--no-progress", *more]
        return copy_task.guarded(copy.url, shlex.join(sync))
    sync = ["aws", "s3", "sync", place, copy.url, "--no-progress", *more]
    file = ["aws", "s3", "cp", place, f"{copy.url}/", "--no-progress", *flags]
    nothing = f"{copy.volume}:/{copy.path} is not on the volume: nothing was copied"
    tests = [shlex.join(["test", flag, place]) for flag in ("-d", "-f")]
    ways = [f"{test} && exec {shlex.join(way)}" for test, way in zip(tests, (sync, file), strict=True)]
    return f"{'; '.join(ways)}; {shlex.join(['echo', nothing])}; exit 1"


def started_by(its_script: str, dry_run: bool = False) -> str:
    return f"{constants.PREFIX}/copy_data/{aws.token(its_script)[:12]}{copy_task.DRY if dry_run else ''}"


def run(copy: Copy, definition_arn: str, where: Any, there: dict[str, Any], newest: Any) -> dict[str, Any]:
    """The copy, to its end, with its bytes: the sizes are those of the objects in the bucket that the log names."""
    command = script(copy, is_one(copy, there))
    done, lines = copy_task.run(ROLE, definition_arn, where, started_by(command), newest, command)
    start, names = f"s3://{copy.bucket}/", copy_task.told(lines, "download" if copy.onto else "upload")
    if copy.onto:
        keys = [each.removeprefix(start).partition(" to ../mnt/")[0] for each in names]
    else:
        keys, there = [each.rpartition(f" to {start}")[2] for each in names], present(copy) if names else {}
    return {**done, "copiedBytes": sum(int(there[key]["Size"]) for key in keys if key in there)}


def would_delete(copy: Copy, definition_arn: str, where: Any, there: dict[str, Any]) -> list[str]:
    """What --delete would delete at the target, as the task itself sees it: it is run with --dryrun."""
    listing = script(copy, is_one(copy, there), "--dryrun")
    marked, seen = started_by(listing, dry_run=True), tasks.all_of(family=copy_task.family(ROLE))
    task_arn = copy_task.start(ROLE, definition_arn, where, marked, seen, listing)
    return copy_task.told(copy_task.follow(ROLE, task_arn)[1], "delete")


def delete() -> None:
    """A copy that runs is stopped. What it has copied stays."""
    copy_task.delete(ROLE, definitions())


def left_over() -> list[Resource]:
    return copy_task.left_over(ROLE, definitions())
