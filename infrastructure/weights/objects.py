"""Files of this machine and objects of a bucket: what differs, the upload of the one, the download of the other.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/uploading-downloading-objects.html
"""

import functools
import hashlib
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

import console
from aws import Problem, call, client, code, region
from console import say
from infrastructure.cluster import buckets

MOST_PARTS = 10_000
MD5 = "md5-of-parts"
hashed = functools.partial(hashlib.md5, usedforsecurity=False)


def check(bucket: str, setting: str = "") -> None:
    """There, ours to read, and in this region: from another one each copy would be slow, and cost."""
    here, where = region(), f"{setting}: " if setting else ""
    try:
        found = call(client("s3").head_bucket, gone=("404", buckets.NOT_THERE))(Bucket=bucket)
    except ClientError as error:
        if code(error) not in ("403", "AccessDenied"):
            raise
        raise Problem(
            f"{where}access to {bucket} is denied: your credentials need s3:ListBucket on {buckets.arn(bucket)}, "
            "or the name is that of another account's bucket"
        ) from error
    if found is None:
        make = f"correct the name, or make it with aws s3 mb s3://{bucket} --region {here}"
        raise Problem(f"{where}there is no bucket {bucket}: {make}")
    there = found.get("BucketRegion") or here
    if there != here:
        raise Problem(f"{where}{bucket} is in {there}, but the cluster is in {here}: use a bucket of {here}")


def listed(bucket: str, prefix: str) -> dict[str, Any]:
    """The objects whose keys begin so, by key; what only stands for a folder is left out, as the AWS CLI does."""
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = [each for page in pages for each in page.get("Contents", [])]
    return {each["Key"]: each for each in found if not each["Key"].endswith("/")}


def files(folder: Path, prefix: str) -> dict[str, Path]:
    """The files of a folder, or the one file that it is, by the key that each has in the bucket."""
    if folder.is_file():
        return {prefix + folder.name: folder}
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {prefix + path.relative_to(folder).as_posix(): path for path in found}


def changed(bucket: str, wanted: dict[str, Path], present: dict[str, Any]) -> dict[str, Path]:
    """The files that the bucket does not have, or has with another content."""
    return {key: path for key, path in wanted.items() if key not in present or differs(bucket, path, present[key])}


def differs(bucket: str, path: Path, found: Any) -> bool:
    """By size, then by MD5: the ETag's, or where the bucket's encryption hides that, the one that `upload` left there."""
    if path.stat().st_size != found["Size"]:
        return True
    here = md5(path)
    if here == found["ETag"].strip('"'):
        return False
    described = client("s3").head_object(Bucket=bucket, Key=found["Key"])
    return bool(described.get("Metadata", {}).get(MD5) != here)


def md5(path: Path) -> str:
    """The ETag that S3 gives the file: of a file in one piece its MD5, else that of its parts' MD5s, and their number."""
    size, length, parts = path.stat().st_size, buckets.PART, []
    while size > length * MOST_PARTS:  # as boto3 does it
        length *= 2
    try:
        with path.open("rb") as file:
            while part := file.read(length):
                parts.append(hashed(part))
    except OSError as error:
        raise Problem(f"{path} can't be read: {error.strerror}") from error
    if size < buckets.PART:
        return next(iter(parts), hashed(b"")).hexdigest()
    return f"{hashed(b''.join(each.digest() for each in parts)).hexdigest()}-{len(parts)}"


def upload(bucket: str, prefix: str, wanted: dict[str, Path]) -> int:
    """Upload these files, and say how many bytes they are. Encrypted by S3, as every new object is."""
    total = sum(path.stat().st_size for path in wanted.values())
    with console.bar("uploading", total) as advance:
        for key, path in wanted.items():
            name = key.removeprefix(prefix)
            if not console.dry_run:
                buckets.upload(path, bucket, prefix, name, advance, Metadata={MD5: md5(path)})
            say("uploaded", name, f"{in_words(path.stat().st_size)} to s3://{bucket}/{key}")
    return total


def download(bucket: str, prefix: str, wanted: dict[str, Any], folder: Path) -> int:
    """Download these objects into the folder, over files of the same names, and say how many bytes they are."""
    total = sum(int(each["Size"]) for each in wanted.values())
    with console.bar("downloading", total) as advance:
        for key, found in wanted.items():
            path = folder / key.removeprefix(prefix)
            if not path.resolve().is_relative_to(folder.resolve()):
                raise Problem(f"s3://{bucket}/{key} would be written outside of {folder}: nothing more was downloaded")
            path.parent.mkdir(parents=True, exist_ok=True)
            with buckets.transfer(found["Size"]) as moves:
                moves.download_file(bucket, key, str(path), None, advance)
            say("downloaded", key.removeprefix(prefix), f"{in_words(found['Size'])} to {path}")
    return total


def in_words(size: float) -> str:
    """12.3 MiB"""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
