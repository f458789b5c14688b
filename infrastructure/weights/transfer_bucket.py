"""The S3 bucket by way of which files of this machine get to a volume, and back: made for one copy, and taken away then.

Where a run was cut short it stays, with what is in it, until the same copy is run again, or delete_copy.py,
delete_endpoint.py or delete_cluster.py; S3 itself deletes what has been in it for a day.
"""

from pathlib import Path
from typing import Any

import aws
from aws import Problem, Resource, call, client
from console import say
from infrastructure.cluster import buckets
from infrastructure.weights import objects

PART = "copy"
DAYS = 1
LOOKS = (buckets.found(PART),)


def its_name() -> str:
    return buckets.its_name(PART)


def create() -> Any:
    return buckets.make(PART, DAYS, "for this one copy")


def upload(bucket: Any, folder: Path, prefix: str) -> tuple[dict[str, Any], Any]:
    """The files of this machine that are there then, and when one of them came last; None: just now.

    Of an interrupted run of the same copy what is the same is not uploaded again, and what is not wanted any more goes.
    """
    files, s3 = objects.files(folder, prefix), client("s3")
    present = call(objects.listed, gone=buckets.NOT_THERE)(its_name(), prefix) or {}
    changed = objects.changed(its_name(), files, present)
    objects.upload(its_name(), prefix, changed)
    for key in sorted(present.keys() - files.keys()):
        call(s3.delete_object, of=bucket, gone=buckets.NOT_THERE)(Bucket=its_name(), Key=key)
    last = None if changed else max(each["LastModified"] for each in present.values())
    return {key: {"Size": path.stat().st_size} for key, path in files.items()}, last


def was_taken_away(problem: Problem) -> bool:
    """By another run of the same copy, which had ended: S3's word for it is in the problem, or in the task's log there."""
    return buckets.NOT_THERE in str(problem)


def download(prefix: str, folder: Path) -> dict[str, Any]:
    """To this machine, what is not there already."""
    found = call(objects.listed, gone=buckets.NOT_THERE)(its_name(), prefix)
    if found is None:
        raise Problem(f"{its_name()} is not there any more: {buckets.NOT_THERE}")
    paths = {key: folder / key.removeprefix(prefix) for key in found}
    there = {key: path for key, path in paths.items() if path.is_file()}
    wanted = {key: found[key] for key in found.keys() - there.keys() | objects.changed(its_name(), there, found).keys()}
    size = objects.download(its_name(), prefix, dict(sorted(wanted.items())), folder)
    return {"downloaded": len(wanted), "downloadedBytes": size}


def finish(prefix: str) -> None:
    """Away with what this copy has put there, and with the bucket, unless another copy has something in it."""
    bucket, what, s3 = buckets.found(PART)(), f"bucket {its_name()}", client("s3")
    if not bucket or aws.spare_foreign(what, bucket):
        return
    call(buckets.delete_objects, what, of=bucket, gone=buckets.NOT_THERE)(bucket, prefix)
    list_versions = call(s3.list_object_versions, gone=buckets.NOT_THERE)
    there: Any = list_versions(Bucket=its_name(), MaxKeys=1) or {}
    if there.get("Versions") or there.get("DeleteMarkers"):
        way = f"it has files of another copy, for a day at most; {aws.command('delete_copy.py')} takes it away"
        say("kept", what, way)
        return
    more = "BucketNotEmpty"  # since that look: then the other copy takes it away
    delete_bucket = call(s3.delete_bucket, what, of=bucket, gone=buckets.NOT_THERE, there=more, busy=buckets.ABORTED)
    if delete_bucket(Bucket=its_name()):
        say("deleted", what)


def delete() -> None:
    buckets.remove(PART)


def left_over() -> list[Resource]:
    return buckets.left_over(PART)
