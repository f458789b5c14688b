"""The S3 bucket in which CodePipeline hands one stage's result to the next: private, encrypted, and soon empty again.

https://docs.aws.amazon.com/codepipeline/latest/userguide/welcome-introducing-artifacts.html
"""

import json
from typing import Any

from botocore.exceptions import ClientError

import aws
import constants
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
LONGEST = 63


def its_name() -> str:
    """Unique in the whole world: it bears the account and the region."""
    return f"{aws.endpoint_name('artifacts')}-{account()}-{region()}".lower()


def arn() -> str:
    return f"arn:{aws.partition()}:s3:::{its_name()}"


def refuse_long_name() -> None:
    if len(its_name()) > LONGEST:
        long = f"the bucket's name {its_name()} would have {len(its_name())} characters, {LONGEST} at most"
        raise Problem(f"{long}: choose a shorter CLUSTER_NAME or ENDPOINT")


@aws.look
def find() -> Any:
    """The bucket with its tags. One that is another account's, or closed to these credentials, shows none."""
    s3, bucket = client("s3"), its_name()
    if len(bucket) > LONGEST:
        return None
    try:
        if call(s3.head_bucket, gone=("404", NOT_THERE))(Bucket=bucket, ExpectedBucketOwner=account()) is None:
            return None
    except ClientError as error:
        if code(error) not in ("403", "AccessDenied"):
            raise
        return {"Name": bucket, "Tags": [], "Closed": True}
    found = call(s3.get_bucket_tagging, gone=("NoSuchTagSet", NOT_THERE))(Bucket=bucket)
    return {"Name": bucket, "Tags": found["TagSet"] if found else []}


LOOKS = (find,)


def create() -> str:
    """Make the bucket, and bring what protects it into line. What is in it costs about $0.023 for a GB in a month."""
    refuse_long_name()
    bucket, what = find(), f"bucket {its_name()}"
    if bucket and bucket.get("Closed"):
        once = "bucket names are given once in the whole world, so choose another CLUSTER_NAME"
        raise Problem(f"the {what} belongs to another account, or these credentials may not look at it: {once}")
    aws.refuse_foreign(what, bucket)
    if bucket:
        say("found", what)
    else:
        place: Any = {} if region() == "us-east-1" else {"LocationConstraint": region()}
        place["Tags"] = endpoint_tags("artifacts")
        make = call(client("s3").create_bucket, what, there="BucketAlreadyOwnedByYou", busy=ABORTED)
        make(Bucket=its_name(), ObjectOwnership="BucketOwnerEnforced", CreateBucketConfiguration=place)
        bucket = {"Name": its_name(), "Tags": place["Tags"]}
        say("created", what, f"for the pipeline's artifacts, kept for {constants.ARTIFACT_DAYS} days")
    protect(bucket)
    expire(bucket)
    return its_name()


def protect(bucket: Any) -> None:
    """Each part is looked at on every run, and put where it is not as it should be."""
    s3, name = client("s3"), bucket["Name"]
    what = f"bucket {name}"
    access = call(s3.get_public_access_block, gone=("NoSuchPublicAccessBlockConfiguration", NOT_THERE))(Bucket=name)
    if not access or not holds(access["PublicAccessBlockConfiguration"], PRIVATE):
        put_public_access_block = call(s3.put_public_access_block, what, of=bucket, busy=BUSY)
        put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=PRIVATE)
        say("updated", what, "closed to the public")
    none = "ServerSideEncryptionConfigurationNotFoundError"
    encryption = call(s3.get_bucket_encryption, gone=(none, NOT_THERE))(Bucket=name)
    if not encryption or not holds(encryption["ServerSideEncryptionConfiguration"], ENCRYPTION):
        put_bucket_encryption = call(s3.put_bucket_encryption, what, of=bucket, busy=BUSY)
        put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=ENCRYPTION)
        say("updated", what, "encrypted")
    owner = call(s3.get_bucket_ownership_controls, gone=("OwnershipControlsNotFoundError", NOT_THERE))(Bucket=name)
    if not owner or not holds(owner["OwnershipControls"], OWNERSHIP):
        put_bucket_ownership_controls = call(s3.put_bucket_ownership_controls, what, of=bucket, busy=BUSY)
        put_bucket_ownership_controls(Bucket=name, OwnershipControls=OWNERSHIP)
        say("updated", what, "its objects are its owner's")
    found = call(s3.get_bucket_policy, gone=("NoSuchBucketPolicy", NOT_THERE))(Bucket=name)
    if not found or not is_policy(found["Policy"]):
        call(s3.put_bucket_policy, what, of=bucket, busy=BUSY)(Bucket=name, Policy=json.dumps(policy()))
        say("updated", what, "TLS only")


def is_policy(text: str) -> bool:
    """AWS may write it with other spaces."""
    try:
        return bool(json.loads(text) == policy())
    except ValueError:
        return False


def policy() -> dict[str, Any]:
    """Nothing without TLS, whoever asks: the one statement in which anyone is named, and it refuses."""
    refuse = {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*"}
    which = {"Resource": [arn(), f"{arn()}/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    return {"Version": "2012-10-17", "Statement": [{**refuse, **which}]}


def expire(bucket: Any) -> None:
    s3, what = client("s3"), f"bucket {bucket['Name']}"
    rule: Any = {
        "ID": "expire",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Days": constants.ARTIFACT_DAYS},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    get_rules = call(s3.get_bucket_lifecycle_configuration, gone=("NoSuchLifecycleConfiguration", NOT_THERE))
    found = get_rules(Bucket=bucket["Name"])
    if not found or not holds(found["Rules"], [rule]):
        put_rules = call(s3.put_bucket_lifecycle_configuration, what, of=bucket, busy=BUSY)
        put_rules(Bucket=bucket["Name"], LifecycleConfiguration={"Rules": [rule]})
        say("updated", what, f"objects expire after {constants.ARTIFACT_DAYS} days")


def delete() -> None:
    """What is in it first: S3 deletes only an empty bucket."""
    bucket, what = find(), f"bucket {its_name()}"
    if not bucket or aws.spare_foreign(what, bucket):
        return
    empty = call(delete_empty, f"{what} to be empty", of=bucket, gone=NOT_THERE, busy=("BucketNotEmpty", ABORTED))
    empty(bucket)
    say("deleted", what)


def delete_empty(bucket: Any) -> None:
    """Every version of every object, and then the bucket; a build that ends meanwhile may still put one."""
    s3, name = client("s3"), bucket["Name"]
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        listed: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects: Any = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in listed]
        if objects:
            answer = call(s3.delete_objects, of=bucket)(Bucket=name, Delete={"Objects": objects, "Quiet": True})
            for error in answer.get("Errors", [])[:1]:  # S3 answers 200 all the same
                raise Problem(f"the bucket {name} keeps {error['Key']}: {error['Message']} ({error['Code']})")
    call(s3.delete_bucket, of=bucket)(Bucket=name)


def left_over() -> list[aws.Resource]:
    bucket = find()
    return [aws.resource(f"bucket {its_name()}", arn(), bucket)] if mine(bucket) else []
