"""The S3 bucket of the weights: what must hold of it, what is in it, and the upload of a folder to it.

The bucket is the team's own: it is never made here, and nothing in it is ever deleted. A file that was removed from the
folder stays in the bucket, and so on the volume, until it is deleted there: aws s3 rm s3://BUCKET/KEY.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/uploading-downloading-objects.html
"""

import contextlib
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

import console
import constants
from aws import Problem, call, client, code, command, partition, region
from console import say

#: files from this size on go up in parts of this size, ten at a time: boto3's own figures, and the AWS CLI's
PART = 8 * 2**20
MOST_PARTS = 10_000
MD5 = "md5-of-parts"
hashed = functools.partial(hashlib.md5, usedforsecurity=False)


def folder() -> Path:
    return Path(constants.WEIGHTS_FOLDER).expanduser()


def prefix() -> str:
    """How the keys of the weights begin."""
    return f"{constants.WEIGHTS_PREFIX.strip('/')}/" if constants.WEIGHTS_PREFIX else ""


def source() -> str:
    """The bucket and the folder in it, as the AWS CLI writes them."""
    return f"s3://{constants.WEIGHTS_BUCKET}/{prefix()}".rstrip("/")


def check_settings() -> None:
    """What is wrong with the settings of the weights is told, all of it, before AWS is asked for anything."""
    volumes = [volume["name"] for volume in constants.EFS_VOLUMES]
    wrong = {}
    if not constants.WEIGHTS_BUCKET:
        wrong["WEIGHTS_BUCKET"] = (
            f"is not set: name the S3 bucket of the weights; to end the sync: {command('delete_sync.py')}"
        )
    if constants.WEIGHTS_VOLUME not in volumes:
        wrong["WEIGHTS_VOLUME"] = f"{constants.WEIGHTS_VOLUME} is none of EFS_VOLUMES: {', '.join(volumes) or 'none'}"
    if constants.WEIGHTS_FOLDER and not folder().is_dir():
        what = "is a file, not a folder" if folder().exists() else "is not there"
        wrong["WEIGHTS_FOLDER"] = f"{constants.WEIGHTS_FOLDER} {what}"
    constants.check(**wrong)


def arn() -> str:
    return f"arn:{partition()}:s3:::{constants.WEIGHTS_BUCKET}"


def check() -> None:
    """There, ours to read, and in this region: from another one each sync would be slow, and cost."""
    bucket, here = constants.WEIGHTS_BUCKET, region()
    try:
        found = call(client("s3").head_bucket, gone=("404", "NoSuchBucket"))(Bucket=bucket)
    except ClientError as error:
        if code(error) not in ("403", "AccessDenied"):
            raise
        raise Problem(
            f"WEIGHTS_BUCKET: access to {bucket} is denied: your credentials need s3:ListBucket on {arn()}, "
            "or the name is that of another account's bucket"
        ) from error
    if found is None:
        make = f"correct the name, or make it with aws s3 mb s3://{bucket} --region {here}"
        raise Problem(f"WEIGHTS_BUCKET: there is no bucket {bucket}: {make}")
    there = found.get("BucketRegion") or here
    if there != here:
        wrong = f"{bucket} is in {there}, but the cluster is in {here}: use a bucket of {here}"
        raise Problem(f"WEIGHTS_BUCKET: {wrong}")


def objects() -> dict[str, Any]:
    """What is in the bucket's folder, by key; what only stands for a folder is left out, as the AWS CLI does."""
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=constants.WEIGHTS_BUCKET, Prefix=prefix())
    found = [each for page in pages for each in page.get("Contents", [])]
    return {each["Key"]: each for each in found if not each["Key"].endswith("/")}


def files() -> dict[str, Path]:
    """The files of WEIGHTS_FOLDER, by the key that each has in the bucket."""
    found = sorted(path for path in folder().rglob("*") if path.is_file()) if constants.WEIGHTS_FOLDER else []
    return {prefix() + path.relative_to(folder()).as_posix(): path for path in found}


def changed(present: dict[str, Any]) -> dict[str, Path]:
    """The files that the bucket does not have, or has with another content."""
    return {key: path for key, path in files().items() if key not in present or differs(path, present[key])}


def differs(path: Path, found: Any) -> bool:
    """By size, then by MD5: the ETag's, or where the bucket's encryption hides that, the one that `upload` left there."""
    if path.stat().st_size != found["Size"]:
        return True
    here = md5(path)
    if here == found["ETag"].strip('"'):
        return False
    described = client("s3").head_object(Bucket=constants.WEIGHTS_BUCKET, Key=found["Key"])
    return bool(described.get("Metadata", {}).get(MD5) != here)


def md5(path: Path) -> str:
    """The ETag that S3 gives the file: of a file in one piece its MD5, else that of its parts' MD5s, and their number."""
    size, length, parts = path.stat().st_size, PART, []
    while size > length * MOST_PARTS:  # as boto3 does it
        length *= 2
    try:
        with path.open("rb") as file:
            while part := file.read(length):
                parts.append(hashed(part))
    except OSError as error:
        raise Problem(f"WEIGHTS_FOLDER: {path} can't be read: {error.strerror}") from error
    if size < PART:
        return next(iter(parts), hashed(b"")).hexdigest()
    return f"{hashed(b''.join(each.digest() for each in parts)).hexdigest()}-{len(parts)}"


def upload(wanted: dict[str, Path]) -> int:
    """Upload these files, and say how many bytes they are. Encrypted by S3, as every new object is."""
    total = sum(path.stat().st_size for path in wanted.values())
    with progress(total) as advance:
        for key, path in wanted.items():
            if not console.dry_run:
                upload_file(path, key, advance)
            size = in_words(path.stat().st_size)
            say("uploaded", f"{path.relative_to(folder())}", f"{size} to s3://{constants.WEIGHTS_BUCKET}/{key}")
    return total


def upload_file(path: Path, key: str, advance: Callable[[float], None]) -> None:
    """A large one in parts: of a run that was killed they stay, and cost, until a lifecycle rule of the bucket ends them."""
    from boto3.exceptions import S3UploadFailedError
    from boto3.s3.transfer import S3Transfer, TransferConfig

    large, bucket = path.stat().st_size >= PART, constants.WEIGHTS_BUCKET
    config: Any = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=large)
    extra = {"Metadata": {MD5: md5(path)}}
    try:
        with S3Transfer(client("s3"), config) as transfer:
            transfer.upload_file(str(path), bucket, key, advance, extra)
    except S3UploadFailedError as error:
        denied = "AccessDenied" in str(error)
        right = f"your credentials need s3:PutObject on {arn()}/{prefix()}*" if denied else "run it again"
        raise Problem(f"{path} was not uploaded: {error}: {right}") from error


def progress(total: int) -> "contextlib.AbstractContextManager[Callable[[float], None]]":
    """A bar on a terminal; elsewhere the line for each file is enough."""
    return console.bar("uploading", total)


def in_words(size: float) -> str:
    """12.3 MiB"""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
