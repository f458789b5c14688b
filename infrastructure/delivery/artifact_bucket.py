"""The S3 bucket in which CodePipeline hands one stage's result to the next: private, encrypted, and soon empty again.

https://docs.aws.amazon.com/codepipeline/latest/userguide/welcome-introducing-artifacts.html
"""

import functools
import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

import constants
from aws import (
    Problem,
    accepted,
    account,
    client,
    code,
    endpoint_name,
    endpoint_tags,
    holds,
    insist,
    missing,
    ours,
    partition,
    region,
)
from console import say

PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
OWNERSHIP = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
LIFECYCLE: dict[str, Any] = {
    "Rules": [
        {
            "ID": "expire",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Days": constants.ARTIFACT_DAYS},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
    ]
}


@functools.cache
def name() -> str:
    """Unique in the whole world: it bears the account and the region."""
    found = f"{endpoint_name('artifacts')}-{account()}-{region()}".lower()
    if len(found) > 63:
        raise Problem(
            f"the bucket's name {found} would have {len(found)} characters, 63 at most: choose a shorter CLUSTER_NAME or ENDPOINT"
        )
    return found


def arn() -> str:
    return f"arn:{partition()}:s3:::{name()}"


def create() -> str:
    """Make the bucket, and bring what protects it into line. What is in it costs about $0.023 for a GB in a month."""
    s3 = client("s3")
    present = find()
    if present and not is_ours():
        raise Problem(f"the bucket {name()} exists already, and is not of this runbook: choose another CLUSTER_NAME")
    if present:
        say("found", f"bucket {name()}")
    else:
        place: dict[str, Any] = {} if region() == "us-east-1" else {"LocationConstraint": region()}
        insist(
            f"bucket {name()}",
            lambda: s3.create_bucket(
                Bucket=name(),
                ObjectOwnership="BucketOwnerEnforced",
                CreateBucketConfiguration={**place, "Tags": endpoint_tags("artifacts")},
            ),
            "OperationAborted",  # it was deleted a moment ago
        )
        say("created", f"bucket {name()}", f"for the pipeline's artifacts, kept for {constants.ARTIFACT_DAYS} days")
    protect()
    return name()


def protect() -> None:
    """Each part is looked at on every run, and put where it is not as it should be."""
    s3 = client("s3")
    parts: tuple[tuple[str, Any, Any, str, Any, str], ...] = (
        (
            "closed to the public",
            s3.get_public_access_block,
            s3.put_public_access_block,
            "PublicAccessBlockConfiguration",
            PRIVATE,
            "NoSuchPublicAccessBlockConfiguration",
        ),
        (
            "encrypted",
            s3.get_bucket_encryption,
            s3.put_bucket_encryption,
            "ServerSideEncryptionConfiguration",
            ENCRYPTION,
            "ServerSideEncryptionConfigurationNotFoundError",
        ),
        (
            "its objects are its owner's",
            s3.get_bucket_ownership_controls,
            s3.put_bucket_ownership_controls,
            "OwnershipControls",
            OWNERSHIP,
            "OwnershipControlsNotFoundError",
        ),
        ("TLS only", s3.get_bucket_policy, s3.put_bucket_policy, "Policy", json.dumps(policy()), "NoSuchBucketPolicy"),
    )
    for what, get, put, key, wanted, absent in parts:
        found = missing(lambda: get(Bucket=name()), absent, "NoSuchBucket")
        if not found or not same(found[key], wanted):
            write(what, lambda: put(Bucket=name(), **{key: wanted}))
    rules = missing(
        lambda: s3.get_bucket_lifecycle_configuration(Bucket=name())["Rules"],
        "NoSuchLifecycleConfiguration",
        "NoSuchBucket",
    )
    if not holds(rules, LIFECYCLE["Rules"]):
        write(
            f"objects expire after {constants.ARTIFACT_DAYS} days",
            lambda: s3.put_bucket_lifecycle_configuration(Bucket=name(), LifecycleConfiguration=LIFECYCLE),
        )


def write(what: str, put: Callable[[], Any]) -> None:
    """S3 may not know a new bucket everywhere at once, and takes one change of it at a time."""
    insist(f"bucket {name()}", put, "NoSuchBucket", "OperationAborted")
    say("updated", f"bucket {name()}", what)


def same(present: Any, wanted: Any) -> bool:
    """A policy is a text, which AWS may write with other spaces."""
    if isinstance(wanted, str):
        return bool(json.loads(present) == json.loads(wanted))
    return holds(present, wanted)


def policy() -> dict[str, Any]:
    """Nothing without TLS, whoever asks: the one statement in which anyone is named, and it refuses."""
    refuse = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn(), f"{arn()}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [refuse]}


def find() -> bool:
    """Whether the bucket is there, and in this account."""
    try:
        client("s3").head_bucket(Bucket=name(), ExpectedBucketOwner=account())
    except ClientError as error:
        if code(error) in ("403", "AccessDenied"):
            raise Problem(
                f"the bucket {name()} belongs to another account, or these credentials may not look at it: bucket "
                "names are given once in the whole world, so choose another CLUSTER_NAME"
            ) from error
        if code(error) not in ("404", "NoSuchBucket"):
            raise
        return False
    return True


def is_ours() -> bool:
    found = missing(lambda: client("s3").get_bucket_tagging(Bucket=name()), "NoSuchTagSet")
    return ours(found["TagSet"] if found else ())


def delete() -> None:
    """What is in it first: S3 deletes only an empty bucket."""
    if not find():
        return say("already gone", f"bucket {name()}")
    if not is_ours():
        return say("kept", f"bucket {name()}", "not of this runbook")
    insist(f"bucket {name()} to be empty", delete_empty, "BucketNotEmpty", "OperationAborted")
    return say("deleted", f"bucket {name()}")


def delete_empty() -> bool:
    """Every version of every object, and then the bucket; a build that ends meanwhile may still put one."""
    s3 = client("s3")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=name())
    for page in missing(lambda: list(pages), "NoSuchBucket") or []:
        objects = [
            {"Key": each["Key"], "VersionId": each["VersionId"]}
            for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        if objects:
            answer = s3.delete_objects(Bucket=name(), Delete={"Objects": objects, "Quiet": True})
            for error in answer.get("Errors", [])[:1]:  # S3 answers 200 all the same
                raise Problem(f"the bucket {name()} keeps {error['Key']}: {error['Message']} ({error['Code']})")
    return accepted(lambda: s3.delete_bucket(Bucket=name()), "NoSuchBucket")


def left_over() -> list[str]:
    return [f"bucket {name()}"] if find() and is_ours() else []
