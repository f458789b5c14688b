"""The S3 bucket of the weights: what the settings say of it, and what is in it.

The bucket is the team's own: it is never made here, and nothing in it is ever deleted. A file that was removed from the
folder stays in the bucket, and so on the volume, until it is deleted there: aws s3 rm s3://BUCKET/KEY.
"""

from pathlib import Path
from typing import Any

import constants
from aws import command
from infrastructure.cluster import buckets
from infrastructure.weights import objects


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
    return buckets.arn(constants.WEIGHTS_BUCKET)


def check() -> None:
    objects.check(constants.WEIGHTS_BUCKET, "WEIGHTS_BUCKET")


def present() -> dict[str, Any]:
    """What is in the bucket's folder, by key."""
    return objects.listed(constants.WEIGHTS_BUCKET, prefix())


def files() -> dict[str, Path]:
    """The files of WEIGHTS_FOLDER, by the key that each has in the bucket."""
    return objects.files(folder(), prefix()) if constants.WEIGHTS_FOLDER else {}


def changed(there: dict[str, Any]) -> dict[str, Path]:
    """The files that the bucket does not have, or has with another content."""
    return objects.changed(constants.WEIGHTS_BUCKET, files(), there)


def upload(wanted: dict[str, Path]) -> int:
    return objects.upload(constants.WEIGHTS_BUCKET, prefix(), wanted)
