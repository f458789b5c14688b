"""Copy between a volume on EFS and a bucket, or a folder of this machine: data in, results out.

Needs create_cluster.py, and with an ENDPOINT register_task_definition.py. A one-shot task on Fargate copies what
differs, beside what runs, and never deletes unless --delete is given, which lists first and asks. A folder of this
machine goes by way of a bucket that is made for it, and taken away at the end. Prints the files and bytes that were
copied, and the task's exit code. The task costs while it runs; docs/data.md says what EFS takes, and which way
is for which size.

    python copy_data.py s3://bucket/prefix data:/in     onto the volume data
    python copy_data.py data:/out s3://bucket/prefix    off it
    python copy_data.py ./dataset data:/in              from this machine
    python copy_data.py data:/out ./results             to this machine
    python copy_data.py ... --delete                    delete at the target what the source does not have
    python copy_data.py ... --dry-run                   what is there to copy; no task is started

Run again it copies what is missing. To undo, or to stop a copy: python delete_copy.py
"""

import sys
from datetime import datetime, timezone
from typing import Any

import aws
import console
from aws import Problem
from console import say
from infrastructure import parts
from infrastructure.cluster import cluster, roles
from infrastructure.weights import copies, copy_task, objects, transfer_bucket
from infrastructure.weights.copies import Copy

#: when a source was changed last of which that is not known
BEFORE_ALL = datetime.fromtimestamp(0, timezone.utc)

PARTS = (transfer_bucket, copies)


@aws.page(
    changes=True,
    undo="delete_copy.py",
    source=("", "what is copied: s3://bucket/prefix, volume:/path, or a file or folder of this machine"),
    target=("", "where to: volume:/path, s3://bucket/prefix, or a folder of this machine"),
    delete="delete at the target what the source does not have; lists it first, and asks",
    yes="do not list, do not ask",
)
def copy_data(
    source: str, target: str, delete: bool = False, yes: bool = False, once_more: bool = True
) -> dict[str, Any]:
    """The source first, then the task, which is waited for; a bucket on the way goes last."""
    copy = copies.between(source, target, delete)
    copies.check_role()
    its_parts = PARTS if copy.folder else PARTS[1:]
    parts.look(its_parts, roles.role("task-execution"))
    cluster.required()
    point = copy_task.required_access_point(copy.volume)
    roles.refuse_other_path("task-execution", copies.ROLE, undo=f"run {aws.command('delete_copy.py')} first")
    copies.warn_of_sync(copy)
    try:
        bucket = transfer_bucket.create() if copy.folder else None
        there, newest = look_at_source(copy, bucket, delete)
        definition_arn, where = copies.create(copy, point, there)
        if console.dry_run:
            return {"source": source, "target": target, **preview(copy, there)}
        if delete and not yes:
            confirm(copy, copies.would_delete(copy, definition_arn, where, there))
        result = copies.run(copy, definition_arn, where, there, newest)
        if copy.folder and not copy.onto:
            result |= transfer_bucket.download(copy.keys, copy.folder)
    except Problem as problem:
        if not (once_more and copy.folder and transfer_bucket.was_taken_away(problem)):
            raise
        say("found", f"no bucket {copy.bucket} any more", "another run of the same copy took it away: once more")
        return copy_data(source, target, delete, yes, once_more=False)
    if copy.folder:
        transfer_bucket.finish(copy.keys)
    parts.retag(its_parts)
    say("next", aws.command("run_task.py"), f"to undo: {aws.command('delete_copy.py')}")
    return {"source": source, "target": target, **result}


def look_at_source(copy: Copy, bucket: Any, delete: bool) -> tuple[dict[str, Any], Any]:
    """The files that the volume is to take, in the bucket then, and when one of them came last; None: just now."""
    if copy.folder:
        return transfer_bucket.upload(bucket, copy.folder, copy.keys) if copy.onto else ({}, BEFORE_ALL)
    objects.check(copy.bucket)
    there = copies.present(copy) if copy.onto else {}
    if copy.onto and not there:
        raise Problem(f"there is no file in {copy.url}: nothing was changed")
    if delete and copies.is_one(copy, there):
        one = f"--delete, but {copy.url} is one object, not a folder: nothing was changed"
        raise Problem(one, None, aws.WRONG_SETTING)
    return there, max((each["LastModified"] for each in there.values()), default=BEFORE_ALL)


def preview(copy: Copy, there: dict[str, Any]) -> dict[str, Any]:
    """No task is started under --dry-run, and only a task sees what is on the volume."""
    if not copy.onto:
        say("found", f"the volume {copy.volume}", "what is on it only the task sees: nothing is known before it runs")
        return {"files": None, "bytes": None}
    size = sum(int(each["Size"]) for each in there.values())
    has = f"{objects.in_words(size)}; which of them the volume has already only the task sees"
    say("found", f"{len(there)} files to copy", has)
    return {"files": len(there), "bytes": size}


def confirm(copy: Copy, doomed: list[str]) -> None:
    """What would be deleted at the target is listed; it goes on only when the target's name has been typed."""
    for each in doomed:
        console.show(f"  would be deleted: {each}")
    if not doomed:
        say("found", "nothing that --delete would delete")
        return
    what, name = ("volume", copy.volume) if copy.onto else ("bucket", copy.bucket)
    if not sys.stdin or not sys.stdin.isatty():
        raise Problem("there is no terminal to ask on: pass --yes to delete what is listed above")
    console.show(f"Type the {what}'s name, {name}, to delete these {len(doomed)}: ", end="")
    if sys.stdin.readline().strip() != name:
        raise Problem("that is not the name; nothing was copied or deleted")


if __name__ == "__main__":
    sys.exit(aws.main(copy_data, __doc__))
