"""ECR: the repository of the endpoint's images. It lives on when the service is deleted, since it holds what was built.

A tag is given once and means the same image for ever; old images expire by themselves.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/Repositories.html
"""

import json
import re
from typing import Any

import constants
from aws import Problem, accepted, account, client, command, endpoint_tags, missing, ours, partition, region
from console import say

#: small letters, and no two hyphens in a row: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
NAME = re.sub("-+", "-", constants.PREFIX.lower())
MUTABILITY = "IMMUTABLE"
SCANNING = {"scanOnPush": True}
#: the rule for any image must come last: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "images without a tag",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 1,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 2,
            "description": "all but the newest images",
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": constants.IMAGES_KEPT},
            "action": {"type": "expire"},
        },
    ]
}
#: US dollars for a GB in a month, in most regions: https://aws.amazon.com/ecr/pricing/
GB_MONTH = 0.10


def create() -> dict[str, Any]:
    """Make the repository, and bring its settings and its lifecycle policy into line."""
    ecr = client("ecr")
    repository = find()
    if repository and not is_ours(repository["repositoryArn"]):
        raise Problem(f"the repository {NAME} exists already, and is not of this runbook: choose another CLUSTER_NAME")
    if repository:
        say("found", f"repository {NAME}")
    elif accepted(
        lambda: ecr.create_repository(
            repositoryName=NAME,
            imageTagMutability=MUTABILITY,
            imageScanningConfiguration=SCANNING,
            tags=endpoint_tags(),
        ),
        "RepositoryAlreadyExistsException",
    ):
        say("created", f"repository {NAME}", "images cost about $0.10 for a GB in a month")
    if repository and repository["imageTagMutability"] != MUTABILITY:
        ecr.put_image_tag_mutability(repositoryName=NAME, imageTagMutability=MUTABILITY)
        say("updated", f"repository {NAME}", "a tag is given once")
    if repository and repository["imageScanningConfiguration"] != SCANNING:
        ecr.put_image_scanning_configuration(repositoryName=NAME, imageScanningConfiguration=SCANNING)
        say("updated", f"repository {NAME}", "images are scanned when they are pushed")
    if lifecycle() != LIFECYCLE:
        ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(LIFECYCLE))
        say("updated", f"repository {NAME}", f"keeps {constants.IMAGES_KEPT} images")
    return {"repositoryName": NAME, "repositoryUri": uri()}


def lifecycle() -> dict[str, Any]:
    codes = "LifecyclePolicyNotFoundException", "RepositoryNotFoundException"
    found = missing(lambda: client("ecr").get_lifecycle_policy(repositoryName=NAME), *codes)
    policy: dict[str, Any] = json.loads((found and found["lifecyclePolicyText"]) or "{}")
    return policy


def find() -> dict[str, Any] | None:
    found = missing(lambda: client("ecr").describe_repositories(repositoryNames=[NAME]), "RepositoryNotFoundException")
    return found["repositories"][0] if found else None  # a name is given once


def is_ours(arn: str) -> bool:
    return ours(client("ecr").list_tags_for_resource(resourceArn=arn)["tags"])


def uri() -> str:
    """The address to which images are pushed, and from which tasks pull them."""
    suffix = "amazonaws.com.cn" if partition() == "aws-cn" else "amazonaws.com"
    return f"{account()}.dkr.ecr.{region()}.{suffix}/{NAME}"


def images() -> list[dict[str, Any]]:
    """What the repository holds, the newest push first; nothing where there is no repository."""
    pages = client("ecr").get_paginator("describe_images").paginate(repositoryName=NAME)
    found = missing(lambda: [image for page in pages for image in page["imageDetails"]], "RepositoryNotFoundException")
    return sorted(found or [], key=lambda image: image["imagePushedAt"], reverse=True)


def image_tags(limit: int = 0) -> list[str]:
    """Its tags, the newest push first; all of them, or so many."""
    found = [tag for image in images() for tag in sorted(image.get("imageTags", []))]
    return found[:limit] if limit else found


def has_tag(tag: str) -> bool:
    request = {"repositoryName": NAME, "imageIds": [{"imageTag": tag}]}
    codes = "ImageNotFoundException", "RepositoryNotFoundException"
    return missing(lambda: client("ecr").describe_images(**request), *codes) is not None


def newest_tag() -> str:
    """The tag that was pushed last; empty where there is no image."""
    return next(iter(image_tags()), "")


def delete(with_images: bool) -> None:
    """An empty repository goes; one with images only when the user said so, since they can't be had back."""
    repository = find()
    if not repository:
        return say("already gone", f"repository {NAME}")
    if not is_ours(repository["repositoryArn"]):
        return say("kept", f"repository {NAME}", "not of this runbook")
    if not with_images and (held := images()):
        raise Problem(
            f"the repository {NAME} holds {in_words(held)}; to delete them too: {command('delete_repository.py --images')}"
        )
    accepted(
        lambda: client("ecr").delete_repository(repositoryName=NAME, force=with_images), "RepositoryNotFoundException"
    )
    return say("deleted", f"repository {NAME}")


def in_words(held: list[dict[str, Any]]) -> str:
    """How many images these are, and what keeping them costs."""
    gigabytes = sum(image.get("imageSizeInBytes", 0) for image in held) / 1e9
    count = f"{len(held)} images" if len(held) > 1 else "1 image"
    return f"{count} of {gigabytes:.1f} GB, about ${gigabytes * GB_MONTH:.2f} a month"


def left_over() -> list[str]:
    repository = find()
    return [f"repository {NAME}"] if repository and is_ours(repository["repositoryArn"]) else []
