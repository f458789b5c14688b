"""S3: on moto, which gets every request as it came; here what it leaves out of buckets' owners and of their tags.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from moto.s3.models import FakeBucket, s3_backends

from emulator.core import partitions, rules
from emulator.core.rules import ANY, AwsError, Call, Params, held, on
from emulator.core.tags import Tags, bearer
from emulator.core.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "s3-owner": "A bucket's name is given once in the whole world; another account's bucket answers AccessDenied, "
        "and so does an ExpectedBucketOwner that is not its owner.",
        "s3-tags": "CreateBucket takes tags.",
        "s3-tls": "A bucket policy that refuses requests without TLS refuses nothing else.",
    }
)
held("s3-owner s3-tags s3-tls", "every request to S3")


def place(request: Any) -> tuple[str, str]:
    """Bucket and key, from the host or from the path."""
    path = str(request.path).strip("/")
    virtual = re.match(r"(.+)\.s3[.-][\w.-]*amazonaws\.com", str(request.headers.get("Host") or ""))
    if virtual:
        return virtual[1], path
    bucket, _, key = path.partition("/")
    return bucket, key


@on("s3", ANY)
def request_to_s3(call: Call) -> Params:
    request = call.params["request"]
    check(request)
    answer = call.proceed()
    status, headers, body = answer["answer"]
    if body == b"True":  # moto's word for a policy that was put
        answer["answer"] = 204, {**headers, "content-length": "0"}, b""
    tag(request, status)
    stamp(call.world, request, status)
    return answer


def check(request: Any) -> None:
    """Refuse what belongs to someone else. A HEAD has no body, so its code is the number."""
    name, _ = place(request)
    _, owner = s3_backends.bucket_accounts.get(name, (partitions.here(), ACCOUNT))
    expected = request.headers.get("x-amz-expected-bucket-owner") or owner
    if name not in s3_backends.bucket_accounts or (owner == expected == ACCOUNT):
        return
    if creates(request):
        return  # moto says BucketAlreadyExists
    raise AwsError("403" if request.method == "HEAD" else "AccessDenied", "Access Denied", 403)


def creates(request: Any) -> bool:
    return request.method == "PUT" and not request.query_string and not place(request)[1]


def tag(request: Any, status: int) -> None:
    """Remember the tags with which a bucket was made."""
    if status != 200 or not creates(request) or b"<Tag>" not in request.data:
        return
    found = {}
    for each in ElementTree.fromstring(request.data).iter():
        if each.tag.rpartition("}")[2] == "Tag":
            words = {child.tag.rpartition("}")[2]: child.text or "" for child in each}
            found[words["Key"]] = words["Value"]
    backend: Any = s3_backends[ACCOUNT][partitions.here()]
    backend.put_bucket_tagging(place(request)[0], found)


def stamp(world: World, request: Any, status: int) -> None:
    """Give what was written the emulated time of day: moto looks at the real clock."""
    name, key = place(request)
    if status == 200 and key and request.method in ("PUT", "POST"):
        backend: Any = s3_backends[ACCOUNT][partitions.here()]
        written = name in backend.buckets and backend.buckets[name].keys.get(unquote(key))
        if written:
            written.last_modified = world.timestamp().replace(tzinfo=None)


_permission = FakeBucket.get_permission


def get_permission(bucket: Any, action: str, resource: str) -> Any:
    """moto's answer, which knows no conditions, from the statements that mean requests with TLS: all that come here."""
    whole = bucket.policy
    if not whole or b"aws:SecureTransport" not in whole:
        return _permission(bucket, action, resource)
    policy = json.loads(whole)
    kept = [each for each in policy["Statement"] if "aws:SecureTransport" not in json.dumps(each.get("Condition", {}))]
    if not kept:
        bucket.policy = None
    else:
        bucket.policy = json.dumps({**policy, "Statement": kept}).encode()
    try:
        return _permission(bucket, action, resource)
    finally:
        bucket.policy = whole


FakeBucket.get_permission = get_permission  # type: ignore[method-assign]


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    """A bucket is in the index of its own Region only, although its ARN names none."""
    backend: Any = s3_backends[ACCOUNT][partitions.here()]
    for bucket in backend.buckets.values():
        if bucket.region_name == region:
            yield bucket.arn, backend.tagger.get_tag_dict_for_resource(bucket.arn)
