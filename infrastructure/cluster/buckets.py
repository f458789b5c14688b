"""S3 buckets of our own: private, encrypted, over TLS only, and emptied by S3 itself after some days.

What is in one costs by the GB and month. Bucket names are given once in the whole world, so that ours bear
the account and the region. https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

import aws
from aws import Problem, account, call, client, code, endpoint_tags, holds, mine, region
from console import say

CLOSED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
PRIVATE: Any = dict.fromkeys(CLOSED, True)
ENCRYPTION: Any = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
OWNERSHIP: Any = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
NOT_THERE = "NoSuchBucket"
#: S3 may not know a new bucket everywhere at once, and takes one change of it at a time
ABORTED = "OperationAborted"
BUSY = (NOT_THERE, ABORTED)
#: for how long it may not; a bucket that is not there after that has been taken away by another run
SECONDS = 120
LONGEST = 63
#: files from this size on go up in parts of this size, ten at a time: boto3's own figures, and the AWS CLI's
PART = 8 * 2**20


def its_name(part: str) -> str:
    """Unique in the whole world: it bears the account and the region."""
    return f"{aws.endpoint_name(part)}-{account()}-{region()}".lower()


def arn(name: str) -> str:
    return f"arn:{aws.partition()}:s3:::{name}"


def refuse_long_name(part: str) -> None:
    if len(its_name(part)) > LONGEST:
        long = f"the bucket's name {its_name(part)} would have {len(its_name(part))} characters, {LONGEST} at most"
        raise Problem(f"{long}: choose a shorter CLUSTER_NAME or ENDPOINT")


@functools.cache
def found(part: str) -> aws.look[Any]:
    """The look at one bucket with its tags. One that is another account's, or closed to these credentials, shows none."""
    return aws.look(lambda: read(its_name(part)))


def read(bucket: str) -> Any:
    s3 = client("s3")
    if len(bucket) > LONGEST:
        return None
    try:
        if call(s3.head_bucket, gone=("404", NOT_THERE))(Bucket=bucket, ExpectedBucketOwner=account()) is None:
            return None
    except ClientError as error:
        if code(error) not in ("403", "AccessDenied"):
            raise
        return {"Name": bucket, "Tags": [], "Closed": True}
    told = call(s3.get_bucket_tagging, gone=("NoSuchTagSet", NOT_THERE))(Bucket=bucket)
    return {"Name": bucket, "Tags": told["TagSet"] if told else []}


def make(part: str, days: int, told: str) -> Any:
    """Make the bucket, and bring what protects it into line; S3 deletes what has been in it for so many days."""
    refuse_long_name(part)
    name, bucket = its_name(part), found(part)()
    what = f"bucket {name}"
    if bucket and bucket.get("Closed"):
        once = "bucket names are given once in the whole world, so choose another CLUSTER_NAME"
        raise Problem(f"the {what} belongs to another account, or these credentials may not look at it: {once}")
    aws.refuse_foreign(what, bucket)
    if bucket:
        say("found", what)
    else:
        place: Any = {} if region() == "us-east-1" else {"LocationConstraint": region()}
        place["Tags"] = endpoint_tags(part)
        create = call(client("s3").create_bucket, what, there="BucketAlreadyOwnedByYou", busy=ABORTED)
        create(Bucket=name, ObjectOwnership="BucketOwnerEnforced", CreateBucketConfiguration=place)
        bucket = {"Name": name, "Tags": place["Tags"]}
        say("created", what, told)
    protect(bucket)
    expire(bucket, days)
    return bucket


def protect(bucket: Any) -> None:
    """Each part is looked at on every run, and put where it is not as it should be."""
    s3, name = client("s3"), bucket["Name"]
    what = f"bucket {name}"
    access = call(s3.get_public_access_block, gone=("NoSuchPublicAccessBlockConfiguration", NOT_THERE))(Bucket=name)
    if not access or not holds(access["PublicAccessBlockConfiguration"], PRIVATE):
        put_public_access_block = call(s3.put_public_access_block, what, of=bucket, busy=BUSY, seconds=SECONDS)
        put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=PRIVATE)
        say("updated", what, "closed to the public")
    none = "ServerSideEncryptionConfigurationNotFoundError"
    encryption = call(s3.get_bucket_encryption, gone=(none, NOT_THERE))(Bucket=name)
    if not encryption or not holds(encryption["ServerSideEncryptionConfiguration"], ENCRYPTION):
        put_bucket_encryption = call(s3.put_bucket_encryption, what, of=bucket, busy=BUSY, seconds=SECONDS)
        put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=ENCRYPTION)
        say("updated", what, "encrypted")
    owner = call(s3.get_bucket_ownership_controls, gone=("OwnershipControlsNotFoundError", NOT_THERE))(Bucket=name)
    if not owner or not holds(owner["OwnershipControls"], OWNERSHIP):
        put_bucket_ownership_controls = call(
            s3.put_bucket_ownership_controls, what, of=bucket, busy=BUSY, seconds=SECONDS
        )
        put_bucket_ownership_controls(Bucket=name, OwnershipControls=OWNERSHIP)
        say("updated", what, "its objects are its owner's")
    present = call(s3.get_bucket_policy, gone=("NoSuchBucketPolicy", NOT_THERE))(Bucket=name)
    if not present or not is_policy(present["Policy"], name):
        call(s3.put_bucket_policy, what, of=bucket, busy=BUSY, seconds=SECONDS)(
            Bucket=name, Policy=json.dumps(policy(name))
        )
        say("updated", what, "TLS only")


def is_policy(text: str, name: str) -> bool:
    """AWS may write it with other spaces."""
    try:
        return bool(json.loads(text) == policy(name))
    except ValueError:
        return False


def policy(name: str) -> dict[str, Any]:
    """Nothing without TLS, whoever asks: the one statement in which anyone is named, and it refuses."""
    refuse = {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*"}
    which = {"Resource": [arn(name), f"{arn(name)}/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    return {"Version": "2012-10-17", "Statement": [{**refuse, **which}]}


def expire(bucket: Any, days: int) -> None:
    s3, what = client("s3"), f"bucket {bucket['Name']}"
    rule: Any = {
        "ID": "expire",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Days": days},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    get_rules = call(s3.get_bucket_lifecycle_configuration, gone=("NoSuchLifecycleConfiguration", NOT_THERE))
    present = get_rules(Bucket=bucket["Name"])
    if not present or not holds(present["Rules"], [rule]):
        put_rules = call(s3.put_bucket_lifecycle_configuration, what, of=bucket, busy=BUSY, seconds=SECONDS)
        put_rules(Bucket=bucket["Name"], LifecycleConfiguration={"Rules": [rule]})
        say("updated", what, f"objects expire after {days} days")


def transfer(size: int) -> Any:
    """boto3's way to move one file; a large one in parts.

    Of an upload that was killed the parts stay, and cost, until a lifecycle rule of the bucket ends them.
    """
    from boto3.s3.transfer import S3Transfer, TransferConfig

    config: Any = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=size >= PART)
    return S3Transfer(client("s3"), config)


def upload(path: Path, bucket: str, prefix: str, key: str, advance: Callable[[float], None], **extra: Any) -> None:
    """Upload one file. Encrypted by S3, as every new object is; the prefix is what the credentials may write to."""
    from boto3.exceptions import S3UploadFailedError

    try:
        with transfer(path.stat().st_size) as moves:
            moves.upload_file(str(path), bucket, prefix + key, advance, extra)
    except S3UploadFailedError as error:
        denied = "AccessDenied" in str(error)
        right = f"your credentials need s3:PutObject on {arn(bucket)}/{prefix}*" if denied else "run it again"
        raise Problem(f"{path} was not uploaded: {error}: {right}") from error


def remove(part: str) -> None:
    """What is in it first: S3 deletes only an empty bucket."""
    bucket, what = found(part)(), f"bucket {its_name(part)}"
    if not bucket or aws.spare_foreign(what, bucket):
        return
    empty = call(delete_empty, f"{what} to be empty", of=bucket, gone=NOT_THERE, busy=("BucketNotEmpty", ABORTED))
    empty(bucket)
    say("deleted", what)


def delete_empty(bucket: Any) -> None:
    """Every version of every object, and then the bucket; what still writes to it may put one more."""
    delete_objects(bucket, "")
    call(client("s3").delete_bucket, of=bucket)(Bucket=bucket["Name"])


def delete_objects(bucket: Any, prefix: str) -> None:
    """Every version of what begins so, a thousand in a call."""
    s3, name = client("s3"), bucket["Name"]
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name, Prefix=prefix):
        listed: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects: Any = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in listed]
        if objects:
            answer = call(s3.delete_objects, of=bucket)(Bucket=name, Delete={"Objects": objects, "Quiet": True})
            for error in answer.get("Errors", [])[:1]:  # S3 answers 200 all the same
                raise Problem(f"the bucket {name} keeps {error['Key']}: {error['Message']} ({error['Code']})")


def left_over(part: str) -> list[aws.Resource]:
    bucket = found(part)()
    return [aws.resource(f"bucket {its_name(part)}", arn(its_name(part)), bucket)] if mine(bucket) else []
