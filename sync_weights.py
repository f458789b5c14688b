"""Bring the weights to the volume on EFS: from a folder to the bucket, and from the bucket to the volume.

Needs register_task_definition.py. With WEIGHTS_FOLDER, its files that differ are uploaded first. Then a one-shot task
makes the volume what the bucket's folder is (aws s3 sync --delete), and its log and its result are shown; a cent or so.
With SYNC_SCHEDULE a schedule repeats it from then on; without, a schedule that is there is deleted. Prints what was
uploaded, downloaded and deleted. Where there is no file to sync, --delete would erase the volume: this asks.

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
import dry_run
from aws import Problem
from console import say
from constants import ENDPOINT, LISTENER_PROTOCOL, PREFIX, SYNC_SCHEDULE, WEIGHTS_FOLDER, WEIGHTS_VOLUME
from infrastructure import bucket, cluster, schedule, weights

#: when a bucket without a file was changed last
BEFORE_ALL = datetime.fromtimestamp(0, timezone.utc)


def sync_weights(erase: bool = False) -> dict[str, Any]:
    bucket.check_settings()
    cluster.required()
    bucket.check()
    point = weights.required_access_point()
    schedule.refuse_foreign()
    if not SYNC_SCHEDULE:
        schedule.delete_unwanted()
    present = bucket.objects()
    confirm(len(present), erase)
    changed = bucket.changed(present)
    result = {"source": bucket.SOURCE, "volume": WEIGHTS_VOLUME, "uploaded": len(changed)}
    if WEIGHTS_FOLDER and not changed:
        say("found", f"{len(bucket.files())} files of {WEIGHTS_FOLDER}", f"all in {bucket.SOURCE} already")
    result["uploadedBytes"] = bucket.upload(changed)
    if console.dry_run:
        result |= preview()
    definition_arn, where = weights.create(point)
    if not console.dry_run:
        newest = None if changed else max((each["LastModified"] for each in present.values()), default=BEFORE_ALL)
        result |= weights.run(definition_arn, where, newest, erase=not present and not changed)
    result["schedule"] = schedule.create(definition_arn, where) if SYNC_SCHEDULE else None
    following = "create_service.py" if LISTENER_PROTOCOL else "run_task.py"
    say("next", f"python {following}", "to undo: python delete_sync.py")
    return result


def preview() -> dict[str, Any]:
    """What the sync would change on the volume, which only a task can see: one that is told to change nothing."""
    with dry_run.suspended():
        seen = weights.preview()
    if not seen:
        say("found", "no sync yet", "what is on the volume is not known: the first sync makes it what the bucket is")
    return seen or {"downloaded": None, "deleted": None}


def confirm(there: int, erase: bool) -> None:
    """A source without a file makes --delete erase the volume; that is wanted seldom, and asked for."""
    files = len(bucket.files())
    if WEIGHTS_FOLDER and not files and there:
        raise Problem(
            f"WEIGHTS_FOLDER: {WEIGHTS_FOLDER} has no file in it, while {bucket.SOURCE} has {there}: put the weights there, "
            "or set WEIGHTS_FOLDER= to sync the bucket as it is"
        )
    if files or there:
        return
    empty = f"{WEIGHTS_FOLDER} and {bucket.SOURCE} have" if WEIGHTS_FOLDER else f"{bucket.SOURCE} has"
    say("warning", f"{empty} no file", f"the sync would delete everything on the volume {WEIGHTS_VOLUME}")
    if erase or console.dry_run:
        return
    if not sys.stdin or not sys.stdin.isatty():
        raise Problem(
            "there is no terminal to ask on: pass --erase to erase the volume, or put the weights there first"
        )
    what = f"endpoint's name, {ENDPOINT}" if ENDPOINT else f"cluster's name, {PREFIX}"
    print(f"Type the {what}, to erase the volume: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != (ENDPOINT or PREFIX):
        raise Problem("that is not the name; nothing was changed")


if __name__ == "__main__":
    sys.exit(aws.main(sync_weights, __doc__, changes=True, erase="do not ask before a volume is erased"))
