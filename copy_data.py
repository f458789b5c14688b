"""Copy between a volume on EFS and a bucket, or a folder of this machine: data in, results out.

Needs register_task_definition.py. A one-shot task on Fargate copies what differs, beside what runs, and never deletes
unless --delete is given, which lists first and asks. A folder of this machine goes by way of a bucket that is made for
it, and taken away at the end. Prints the files and bytes that were copied, and the task's exit code. A cent or so an
hour and GB; docs/data.md says which way for which size.

    python copy_data.py s3://bucket/prefix data:/in     onto the volume data
    python copy_data.py data:/out s3://bucket/prefix    off it
    python copy_data.py ./dataset data:/in              from this machine; data:/out ./results to it
    python copy_data.py ... --delete                    delete at the target what the source does not have
    python copy_data.py ... --dry-run                   what is there to copy; no task is started

Run again it copies what is missing. To undo, or to stop a copy: python delete_copy.py
"""

import sys
from datetime import datetime, timezone
from pathlib import Path
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
def copy_data(source: str, target: str, delete: bool = False, yes: bool = False) -> dict[str, Any]:
    copy = copies.between(source, target, delete)
    copies.check_role()
    its_parts = PARTS if copy.folder else PARTS[1:]
    parts.look(its_parts, roles.role("task-execution"))
    cluster.required()
    point = copy_task.required_access_point(copy.volume)
    roles.refuse_other_path("task-execution", copies.ROLE, undo=f"run {aws.command('delete_copy.py')} first")
    there, newest = from_here(copy) if copy.folder else from_the_bucket(copy, source)
    one = list(there) == [copy.prefix]
    if one and delete:
        raise Problem(
            f"--delete, but {source} is one object, not a folder: nothing was changed", None, aws.WRONG_SETTING
        )
    script = copies.script(copy, one)
    copy_task.wait_for_others(copies.ROLE, copies.started_by(script))
    definition_arn, where = copies.create(copy, point, one)
    result: dict[str, Any] = {"source": source, "target": target}
    if console.dry_run:
        return result | preview(copy, there)
    if delete and not yes:
        confirm(copy, copies.would_delete(copy, definition_arn, where, one))
    result |= copies.run(copy, definition_arn, where, script, there, newest)
    if copy.folder and not copy.onto:
        result |= fetch(copy, copy.folder)
    if copy.folder:
        transfer_bucket.finish(copy.keys)
    parts.retag(its_parts)
    say("next", aws.command("run_task.py"), f"to undo: {aws.command('delete_copy.py')}")
    return result


def from_the_bucket(copy: Copy, source: str) -> tuple[dict[str, Any], Any]:
    """Its files where the volume takes them, and when one of them was changed last."""
    objects.check(copy.bucket)
    there = copies.present(copy) if copy.onto else {}
    if copy.onto and not there:
        raise Problem(f"there is no file in {source}: nothing was changed")
    return there, max((each["LastModified"] for each in there.values()), default=BEFORE_ALL)


def from_here(copy: Copy) -> tuple[dict[str, Any], Any]:
    """The bucket by way of which it goes, and the files of this machine that are in it then."""
    files = objects.files(copy.folder, copy.keys) if copy.folder and copy.onto else {}
    if copy.onto and not files:
        raise Problem(f"there is no file in {copy.folder}: nothing was changed")
    bucket = transfer_bucket.create()
    present = transfer_bucket.present(copy.keys) if copy.onto else {}
    changed = objects.changed(copy.bucket, files, present)
    objects.upload(copy.bucket, copy.keys, changed)
    transfer_bucket.drop(bucket, present.keys() - files.keys())
    last = max((each["LastModified"] for each in present.values()), default=BEFORE_ALL)
    return {key: {"Size": path.stat().st_size} for key, path in files.items()}, None if changed else last


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


def fetch(copy: Copy, folder: Path) -> dict[str, Any]:
    """From the bucket to this machine, what is not there already."""
    found = objects.listed(copy.bucket, copy.keys)
    wanted = {key: each for key, each in found.items() if not same(copy, folder / key.removeprefix(copy.keys), each)}
    size = objects.download(copy.bucket, copy.keys, wanted, folder)
    return {"downloaded": len(wanted), "downloadedBytes": size}


def same(copy: Copy, path: Path, found: Any) -> bool:
    return path.is_file() and not objects.differs(copy.bucket, path, found)


if __name__ == "__main__":
    sys.exit(aws.main(copy_data, __doc__))
