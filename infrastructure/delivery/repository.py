"""ECR: the repository of the endpoint's images. It lives on when the service is deleted, since it holds what was built.

A tag is given once and means the same image for ever; old images expire by themselves.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/Repositories.html
"""

import json
import re
from typing import Any

import aws
import constants
from aws import account, call, client, command, endpoint_tags, mine, ours, region
from console import say
from infrastructure.cluster import prices
from infrastructure.cluster.prices import ITEMS

MUTABILITY: Any = "IMMUTABLE"
SCANNING: Any = {"scanOnPush": True}
NOT_THERE = "RepositoryNotFoundException"


def its_name() -> str:
    """Small letters, and no two hyphens in a row: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html"""
    return re.sub("-+", "-", constants.PREFIX.lower())


def uri() -> str:
    """The address to which images are pushed, and from which tasks pull them."""
    return f"{account()}.dkr.ecr.{region()}.{aws.dns_suffix()}/{its_name()}"


@aws.look
def find() -> Any:
    """The repository with its tags, or None."""
    ecr = client("ecr")
    found = call(ecr.describe_repositories, gone=NOT_THERE)(repositoryNames=[its_name()])
    for each in found["repositories"] if found else []:  # a name is given once
        its_tags = call(ecr.list_tags_for_resource, gone=NOT_THERE)(resourceArn=each["repositoryArn"])
        return {**each, "tags": its_tags["tags"]} if its_tags else None
    return None


LOOKS = (find,)


def create() -> dict[str, Any]:
    """Make the repository, and bring its settings and its lifecycle policy into line."""
    ecr, name, what = client("ecr"), its_name(), f"repository {its_name()}"
    present = find()
    aws.refuse_foreign(what, present)
    settings: Any = {"imageTagMutability": MUTABILITY, "imageScanningConfiguration": SCANNING}
    make = call(ecr.create_repository, what, there="RepositoryAlreadyExistsException")
    if present:
        say("found", what)
    elif make(repositoryName=name, **settings, tags=endpoint_tags("repository")):
        say("created", what, "images cost by what is stored")
    present = present or find() or {"tags": endpoint_tags("repository")}  # a dry run's is not listed
    if present.get("imageTagMutability", MUTABILITY) != MUTABILITY:
        call(ecr.put_image_tag_mutability, of=present)(repositoryName=name, imageTagMutability=MUTABILITY)
        say("updated", what, "a tag is given once")
    if present.get("imageScanningConfiguration", SCANNING) != SCANNING:
        call(ecr.put_image_scanning_configuration, of=present)(repositoryName=name, imageScanningConfiguration=SCANNING)
        say("updated", what, "images are scanned when they are pushed")
    wanted = lifecycle()
    found = call(ecr.get_lifecycle_policy, gone=("LifecyclePolicyNotFoundException", NOT_THERE))(repositoryName=name)
    if not found or json.loads(found["lifecyclePolicyText"] or "{}") != wanted:
        call(ecr.put_lifecycle_policy, of=present)(repositoryName=name, lifecyclePolicyText=json.dumps(wanted))
        say("updated", what, f"keeps {constants.IMAGES_KEPT} images")
    return {"repositoryName": name, "repositoryUri": uri()}


def lifecycle() -> dict[str, Any]:
    """The rule for any image must come last: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html"""
    untagged = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1}
    surplus = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": constants.IMAGES_KEPT}
    rules = (("images without a tag", untagged), ("all but the newest images", surplus))
    return {
        "rules": [
            {"rulePriority": number, "description": what, "selection": selection, "action": {"type": "expire"}}
            for number, (what, selection) in enumerate(rules, 1)
        ]
    }


def images() -> list[Any]:
    """What the repository holds, the newest push first; nothing where there is no repository. Pipelines add to it."""
    pages = client("ecr").get_paginator("describe_images").paginate(repositoryName=its_name())
    found = call(aws.every, gone=NOT_THERE)(pages, "imageDetails") or []
    return sorted(found, key=lambda image: image["imagePushedAt"], reverse=True)


def image_tags(limit: int = 0) -> list[str]:
    """Its tags, the newest push first; all of them, or so many."""
    found = [tag for image in images() for tag in sorted(image.get("imageTags", []))]
    return found[: limit or None]


def tagged(tag: str) -> Any | None:
    """The image of this tag."""
    describe_images = call(client("ecr").describe_images, gone=("ImageNotFoundException", NOT_THERE))
    found = describe_images(repositoryName=its_name(), imageIds=[{"imageTag": tag}])
    return next(iter(found["imageDetails"]), None) if found else None


def has_tag(tag: str) -> bool:
    return tagged(tag) is not None


def newest_tag() -> str:
    """The tag that was pushed last; empty where there is no image."""
    return next(iter(image_tags()), "")


def delete(images: bool) -> None:
    """An empty repository goes; one with images only when the user said so, since they can't be had back."""
    present, what = find(), f"repository {its_name()}"
    if not present or aws.spare_foreign(what, present) or (held() and not images):
        return
    delete_it = call(client("ecr").delete_repository, what, of=present, gone=NOT_THERE)
    delete_it(repositoryName=its_name(), force=images)
    say("deleted", what)


def held() -> str:
    """What our repository holds, and what keeping it costs; empty where there is none, or nothing in it."""
    found = images() if ours(find()) else []
    gigabytes = sum(image.get("imageSizeInBytes", 0) for image in found) / 1e9
    count = f"{len(found)} images" if len(found) > 1 else "1 image"
    return f"{count} of {gigabytes:.1f} GB{prices.a_month(ITEMS['images'], gigabytes)}" if found else ""


def left_over() -> list[aws.Resource]:
    """One with images is kept, unless the user says otherwise."""
    found, words = find(), held()
    if not mine(found):
        return []
    page = "delete_repository.py --images" if constants.ENDPOINT else "delete_cluster.py --everything"
    what = f"repository {its_name()}{words and ', ' + words}"
    kept = f"to delete it too: {command(page)}" if words else ""
    return [aws.resource(what, found["repositoryArn"], found, kept)]
