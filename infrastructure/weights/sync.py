"""The one-shot task that syncs the bucket's weights to their volume on EFS: its role, its task definition, its runs.

copy_task.py starts and follows it. The container is the AWS CLI's own, and its command is

    aws s3 sync s3://BUCKET/PREFIX /mnt/VOLUME --delete --exact-timestamps --no-progress

after a look whether there is anything under PREFIX: where someone has emptied it, a scheduled run would empty the volume.
Without --exact-timestamps the CLI takes a file of the same size for the same file, and new weights mostly have the size
of the old ones. Each file is written beside its place and then moved there, so that no reader meets half of one.
https://docs.aws.amazon.com/cli/latest/reference/s3/sync.html
"""

import shlex
from datetime import datetime
from typing import Any

import aws
import constants
from aws import Resource
from console import say
from infrastructure.cluster import roles, security_groups
from infrastructure.service import task_definitions, task_roles, task_security_group, tasks
from infrastructure.weights import copy_task, source_bucket

ROLE = "sync"


def family() -> str:
    return copy_task.family(ROLE)


def started_by(dry_run: bool = False) -> str:
    return f"{constants.PREFIX}/sync_weights{copy_task.DRY if dry_run else ''}"


@aws.look
def definitions() -> list[Any]:
    return copy_task.definitions(ROLE)


LOOKS = (definitions, *roles.looks(ROLE))


def named_in_full() -> list[Any]:
    """The same with their roles, which AWS's index of tags does not tell."""
    return [task_definitions.definition(each["taskDefinitionArn"]) for each in definitions()]


def required_access_point() -> Any:
    return copy_task.required_access_point(constants.WEIGHTS_VOLUME)


def create(point: Any) -> tuple[str, Any]:
    """The role, a revision of the task definition that is as the settings say, and the way to the file system. Free.

    Answers the revision's ARN, and where in the network its tasks run.
    """
    role_arn, before = roles.create_role(ROLE, roles.task_trust(), (), policy(point)), definitions()[:1]
    wanted = copy_task.definition(ROLE, constants.WEIGHTS_VOLUME, point, role_arn, guarded())
    found = task_definitions.register(wanted, ROLE)
    task_roles.leave(ROLE, named_in_full)
    for arn in {each["taskDefinitionArn"] for each in before} - {found["taskDefinitionArn"]}:
        tell_former_volume(task_definitions.definition(arn) or {})
    return str(found["taskDefinitionArn"]), copy_task.placement(task_security_group.create())


def tell_former_volume(former: Any) -> None:
    """Where the last revision filled another volume."""
    for name in [each["name"] for each in former.get("volumes", []) if each["name"] != constants.WEIGHTS_VOLUME]:
        costs = "they cost, by what is stored on EFS, until a task that mounts it deletes them"
        say("kept", f"the weights on the volume {name}", costs)


def policy(point: Any) -> dict[str, Any]:
    """Reading that folder of that bucket, and writing through that access point; nothing else."""
    prefix = source_bucket.prefix()
    reads = {"Action": "s3:GetObject", "Resource": f"{source_bucket.arn()}/{copy_task.literal(prefix)}*"}
    mounts = copy_task.mounting(constants.WEIGHTS_VOLUME, point)
    return roles.document(copy_task.listing(source_bucket.arn(), prefix), reads, mounts)


def command(*flags: str) -> str:
    what = [source_bucket.source(), copy_task.mounted(constants.WEIGHTS_VOLUME)]
    return shlex.join(["aws", "s3", "sync", *what, "--delete", "--exact-timestamps", "--no-progress", *flags])


def guarded() -> str:
    """Not where there is no file: a scheduled run would empty the volume."""
    return copy_task.guarded(source_bucket.source(), command())


def run(definition_arn: str, where: Any, newest: datetime | None, erase: bool) -> dict[str, Any]:
    """One sync, to its end. `newest`: when the bucket was changed last; None when this run has done so just now."""
    instead = command() if erase else ""
    return copy_task.run(ROLE, definition_arn, where, started_by(), newest, instead)[0]


def preview() -> dict[str, Any] | None:
    """The task with --dryrun, which reads and changes nothing; None while there is no such task, or no way for it."""
    found, known = task_definitions.definition(family()), security_groups.find()
    on_fargate = found and "FARGATE" in found.get("requiresCompatibilities", [])  # earlier versions ran it on a host
    if not found or not on_fargate or not (known.task_ids or known.host_ids):
        return None
    say("found", f"task definition {tasks.task_id(found['taskDefinitionArn'])}", "run with --dryrun, for about a cent")
    where, seen, dry = copy_task.placement([]), tasks.all_of(family=family()), started_by(dry_run=True)
    arn = copy_task.start(ROLE, found["taskDefinitionArn"], where, dry, seen, command("--dryrun"))
    return copy_task.follow(ROLE, arn)[0]


def delete() -> None:
    """What is on the volume and in the bucket stays."""
    copy_task.delete(ROLE, definitions())


def left_over() -> list[Resource]:
    return copy_task.left_over(ROLE, definitions())
