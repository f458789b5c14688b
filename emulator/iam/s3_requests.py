"""What a request of S3 asks of IAM: it is not decoded, so that method, path and query tell.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

import functools
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from moto.core.utils import get_service_model

from emulator.core import partitions

#: S3's operations -> their actions, where they are called otherwise
S3_ACTIONS = {
    "ListBuckets": "ListAllMyBuckets",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "HeadObject": "GetObject",
    "DeleteObjects": "DeleteObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketTagging": "PutBucketTagging",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
}
ON_OBJECTS = ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload", "ListMultipartUploadParts")


@functools.cache
def _operations() -> list[tuple[str, bool, frozenset[str], str]]:
    """Method, whether a key is named, the words of the query, and the operation: those with most words first."""
    model, found = get_service_model("s3"), []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path, _, query = http["requestUri"].partition("?")
        words = frozenset(word for word, _ in parse_qsl(query, keep_blank_values=True) if word != "x-id")
        found.append((str(http["method"]), "{Key+}" in path, words, name))
    return sorted(found, key=lambda each: (-len(each[2]), each[3] in ("CopyObject", "ListObjects", "CreateSession")))


def place_of(request: Any) -> tuple[str, str]:
    """Bucket and key that a request names."""
    host = urlsplit(request.url if hasattr(request, "url") else request.raw_url).netloc
    path = request.path.lstrip("/")
    if match := re.match(r"(.+?)\.s3[.-]", host):
        return match[1], path
    bucket, _, key = path.partition("/")
    return bucket, key


def action_of(request: Any) -> str:
    return f"s3:{_action(request)}"


def _action(request: Any) -> str:
    bucket, key = place_of(request)
    query = request.query_string
    words = {
        word for word, _ in parse_qsl(query.decode() if isinstance(query, bytes) else query, keep_blank_values=True)
    }
    if not bucket:
        return "ListAllMyBuckets"
    fitting = (
        name
        for method, of_object, needed, name in _operations()
        if method == request.method and of_object == bool(key) and needed <= words and name != "ListBuckets"
    )
    name = next(fitting, request.method)
    return S3_ACTIONS.get(name, name)


def tags(request: Any) -> dict[str, str]:
    """The tags in the body of CreateBucket."""
    body = request.data if hasattr(request, "data") else request.body
    text = body.decode() if isinstance(body, bytes) else str(body or "")
    return dict(re.findall(r"<Tag><Key>([^<]*)</Key><Value>([^<]*)</Value></Tag>", text))


def resource_of(request: Any) -> str:
    """A bucket, an object of it, or where the objects stand in the body any of them."""
    bucket, key = place_of(request)
    on_objects = _action(request) in ON_OBJECTS
    return f"arn:{partitions.here()}:s3:::{bucket}{f'/{key or chr(42)}' if on_objects else ''}" if bucket else "*"
