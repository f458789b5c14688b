"""Bring the weights to the volume on EFS: from a folder to the bucket, and from the bucket to the volume.

Needs register_task_definition.py. With WEIGHTS_FOLDER, its files that differ are uploaded first. Then a one-shot task
on Fargate makes the volume what the bucket's folder is (aws s3 sync --delete), and its log and its result are shown; a
cent or so. With SYNC_SCHEDULE a schedule repeats it from then on; without, a schedule that is there is deleted. Prints
what was uploaded, downloaded and deleted. Where there is no file to sync, --delete would erase the volume: this asks.

    python sync_weights.py             next: python create_service.py
    python sync_weights.py --dry-run   what would be uploaded; and what the task would do, told by the task itself: it is
                                       run with --dryrun once it has been registered, reads, and changes nothing
    python sync_weights.py --erase     do not ask before the volume is erased

Syncs do not overlap if SYNC_SCHEDULE is longer than a sync takes. Where they do, one deletes the other's unfinished
files: that one ends with an error, and the next run puts it right. Each run's log is in the endpoint's log group, in a
stream sync/sync/TASK. To undo: python delete_sync.py
"""

import sys
from datetime import datetime, timezone
from typing import Any

import aws
import console
import constants
from aws import Problem, dry_run
from console import say
from infrastructure import parts
from infrastructure.cluster import cluster, costs, pause, roles
from infrastructure.weights import copy_task, schedule, source_bucket, sync

#: when a bucket without a file was changed last
BEFORE_ALL = datetime.fromtimestamp(0, timezone.utc)

PARTS = (sync, schedule)


@aws.page(changes=True, undo="delete_sync.py", erase="do not ask before a volume is erased")
def sync_weights(erase: bool = False) -> dict[str, Any]:
    source_bucket.check_settings()
    parts.look(PARTS, roles.role("task-execution"))
    cluster.required()
    pause.refuse()
    source_bucket.check()
    point = sync.required_access_point()
    schedule.refuse_foreign()
    roles.refuse_other_path(
        "task-execution", sync.ROLE, schedule.ROLE, undo=f"run {aws.command('delete_sync.py')} first"
    )
    if not constants.SYNC_SCHEDULE:
        schedule.delete_unwanted()
    present = source_bucket.present()
    confirm(len(present), erase)
    changed = source_bucket.changed(present)
    result = {"source": source_bucket.source(), "volume": constants.WEIGHTS_VOLUME, "uploaded": len(changed)}
    if constants.WEIGHTS_FOLDER and not changed:
        files = f"{len(source_bucket.files())} files of {constants.WEIGHTS_FOLDER}"
        say("found", files, f"all in {source_bucket.source()} already")
    result["uploadedBytes"] = source_bucket.upload(changed)
    if console.dry_run:
        result |= preview()
    definition_arn, where = sync.create(point)
    if not console.dry_run:
        newest = None if changed else max((each["LastModified"] for each in present.values()), default=BEFORE_ALL)
        result |= sync.run(definition_arn, where, newest, erase=not present and not changed)
    result["schedule"] = schedule.create(definition_arn, where) if constants.SYNC_SCHEDULE else None
    parts.retag(PARTS)
    following = "create_service.py" if constants.LISTENER_PROTOCOL else "run_task.py"
    if rows := costs.of_schedule(copy_task.CPU, copy_task.MEMORY):
        what = f"a sync by {constants.SYNC_SCHEDULE}, if each takes a minute"
        costs.tell_now(what, rows, aws.command("delete_sync.py"))
    say("next", aws.command(following), f"to undo: {aws.command('delete_sync.py')}")
    return result


def preview() -> dict[str, Any]:
    """What the sync would change on the volume, which only a task can see: one that is told to change nothing."""
    with dry_run.suspended():
        seen = sync.preview()
    if not seen:
        say("found", "no sync yet", "what is on the volume is not known: the first sync makes it what the bucket is")
    return seen or {"downloaded": None, "deleted": None}


def confirm(there: int, erase: bool) -> None:
    """A source without a file makes --delete erase the volume; that is wanted seldom, and asked for."""
    files, folder, source = len(source_bucket.files()), constants.WEIGHTS_FOLDER, source_bucket.source()
    if folder and not files and there:
        way = "put the weights there, or set WEIGHTS_FOLDER= to sync the bucket as it is"
        raise Problem(f"WEIGHTS_FOLDER: {folder} has no file in it, while {source} has {there}: {way}")
    if files or there:
        return
    empty = f"{folder} and {source} have" if folder else f"{source} has"
    say("warning", f"{empty} no file", f"the sync would delete everything on the volume {constants.WEIGHTS_VOLUME}")
    if erase or console.dry_run:
        return
    if not sys.stdin or not sys.stdin.isatty():
        way = "pass --erase to erase the volume, or put the weights there first"
        raise Problem(f"there is no terminal to ask on: {way}")
    what = f"endpoint's name, {constants.ENDPOINT}" if constants.ENDPOINT else f"cluster's name, {constants.PREFIX}"
    console.show(f"Type the {what}, to erase the volume: ", end="")
    if sys.stdin.readline().strip() != (constants.ENDPOINT or constants.PREFIX):
        raise Problem("that is not the name; nothing was changed")


if __name__ == "__main__":
    sys.exit(aws.main(sync_weights, __doc__))
