"""ECR: moto's repositories, with checked names; and the images that a push brings, by docker or by a build.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from moto.ecr.models import ecr_backends

from emulator.core import rules
from emulator.core.doors import Json, door
from emulator.core.rules import AwsError, Call, Params, held, on
from emulator.core.tags import Tags, bearer
from emulator.core.wire import Emulator
from emulator.core.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "ecr-001": "A repository that holds images is deleted only by force.",
        "ecr-002": "A repository's name is lower case and its own: else RepositoryAlreadyExistsException.",
    }
)
held("ecr-001", "moto's DeleteRepository")

#: bytes of an emulated image: its one layer
LAYER = 1_200_000_000


@on("ecr", "CreateRepository", rules="ecr-002")
def create_repository(call: Call) -> Params:
    name = call.params["repositoryName"]
    pattern = r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*"
    if not re.fullmatch(pattern, name) or not 2 <= len(name) <= 256:
        raise AwsError(
            "InvalidParameterException",
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: "
            f"'must satisfy regular expression '{pattern}''",
        )
    return call.proceed()


@on("ecr", "DescribeImages")
def describe_images(call: Call) -> Params:
    """An image is as large as its layers."""
    answer = call.proceed()
    backend: Any = ecr_backends[ACCOUNT][call.region]
    for shown in answer["imageDetails"]:
        image = backend.repositories[shown["repositoryName"]]._get_image(None, shown["imageDigest"])
        layers = json.loads(image.image_manifest).get("layers") or []
        shown["imageSizeInBytes"] = sum(layer.get("size", 0) for layer in layers) or shown.get("imageSizeInBytes", 0)
    return answer


@on("ecr", "PutImage")
def put_image_call(call: Call) -> Params:
    """A pushed image is scanned, if its repository wants that."""
    answer = call.proceed()
    _scan_on_push(call.region, call.params["repositoryName"], answer["image"]["imageId"])
    return answer


def _scan_on_push(region: str, repository: str, image_id: Params) -> None:
    backend: Any = ecr_backends[ACCOUNT][region]
    found = backend.repositories[repository]
    image = found._get_image(image_id.get("imageTag"), image_id.get("imageDigest"))
    if found.image_scanning_configuration.get("scanOnPush") and not image.last_scan:
        backend.start_image_scan(found.registry_id, repository, image_id)


def repository_has_image(world: World, region: str, repository: str, tag_or_digest: str) -> bool:
    """Can this repository of the account hand out such an image?"""
    found = ecr_backends[ACCOUNT][region].repositories.get(repository)
    if found is None:
        return False
    return any(tag_or_digest in (*image.image_tags, image.get_image_digest()) for image in found.images)


def put_image(world: World, region: str, repository: str, tag: str) -> str:
    """Push an image with this tag, as docker push would: its digest. Raises as PutImage does."""
    backend: Any = ecr_backends[ACCOUNT][region]
    if repository not in backend.repositories:
        message = f"The repository with name '{repository}' does not exist in the registry with id '{ACCOUNT}'"
        raise AwsError("RepositoryNotFoundException", message)
    content = hashlib.sha256(f"{repository}:{tag}:{world.now()}".encode()).hexdigest()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 7023, "digest": content},
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": LAYER,
                "digest": f"sha256:{content}",
            }
        ],
    }
    image = backend.put_image(repository, json.dumps(manifest), tag)
    image.image_pushed_at = int(world.now())
    _scan_on_push(region, repository, {"imageTag": tag})
    return str(image.get_image_digest())


@door("POST", "/_emulator/images")
def _push_image(emulator: Emulator, given: Json) -> Json:
    """Somebody pushes an image to a repository: {"repository": "...", "tag": "..."}."""
    region = given.get("region", "us-east-1")
    return {"digest": put_image(emulator.world, region, given["repository"], given.get("tag", "latest"))}


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    registry: Any = ecr_backends[ACCOUNT].get(region)
    for repository in registry.repositories.values() if registry else ():
        yield repository.arn, registry.tagger.get_tag_dict_for_resource(repository.arn)
