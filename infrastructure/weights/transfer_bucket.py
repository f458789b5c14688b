"""The S3 bucket by way of which files of this machine get to a volume, and back: made for one copy, and taken away then.

Where a run was cut short it stays, with what is in it, until the same copy is run again, or delete_copy.py,
delete_endpoint.py or delete_cluster.py; S3 itself deletes what has been in it for a day.
"""

from typing import Any

import aws
from aws import Resource, call, client
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


def present(prefix: str) -> dict[str, Any]:
    """What an interrupted run of the same copy has left there."""
    return call(objects.listed, gone=buckets.NOT_THERE)(its_name(), prefix) or {}


def drop(bucket: Any, keys: set[str]) -> None:
    for key in sorted(keys):
        call(client("s3").delete_object, of=bucket)(Bucket=bucket["Name"], Key=key)


def finish(prefix: str) -> None:
    """Away with what this copy has put there, and with the bucket, unless another copy has something in it."""
    bucket, what, s3 = buckets.found(PART)(), f"bucket {its_name()}", client("s3")
    if not bucket or aws.spare_foreign(what, bucket):
        return
    call(buckets.delete_objects, what, of=bucket, gone=buckets.NOT_THERE)(bucket, prefix)
    list_objects = call(s3.list_objects_v2, gone=buckets.NOT_THERE)
    others = list_objects(Bucket=its_name(), MaxKeys=1)
    if others and others.get("Contents"):
        way = f"it has files of another copy, for a day at most; {aws.command('delete_copy.py')} takes it away"
        say("kept", what, way)
    else:
        delete_bucket = call(s3.delete_bucket, what, of=bucket, gone=buckets.NOT_THERE, busy=buckets.ABORTED)
        delete_bucket(Bucket=its_name())
        say("deleted", what)


def delete() -> None:
    buckets.remove(PART)


def left_over() -> list[Resource]:
    return buckets.left_over(PART)
