"""ECR: moto's repositories, with checked names; and the images that a push brings, by docker or by a build.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/Welcome.html
"""

from __future__ import annotations

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
from emulator.registry import images
from emulator.registry.http import BLOBS
from emulator.registry.images import Image

rules.SENTENCES.update(
    {
        "ecr-001": "A repository that holds images is deleted only by force.",
        "ecr-002": "A repository's name is lower case and its own: else RepositoryAlreadyExistsException.",
    }
)
held("ecr-001", "moto's DeleteRepository")

#: what a build pushes where nothing else is said; it runs whatever it is asked to
BUILT = Image(size=1_200_000_000)


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
    """An image is as large as its layers; an index as the largest of those to which it leads.
    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageDetail.html"""
    answer = call.proceed()
    backend: Any = ecr_backends[ACCOUNT][call.region]
    for shown in answer["imageDetails"]:
        image = backend.repositories[shown["repositoryName"]]._get_image(None, shown["imageDigest"])
        manifest = json.loads(image.image_manifest)
        known = [images.blobs(call.world).get(each["digest"]) for each in manifest.get("manifests") or []]
        sizes = [_layers(manifest), *(_layers(json.loads(each)) for each in known if each)]
        shown["imageSizeInBytes"] = max(sizes) or shown.get("imageSizeInBytes", 0)
        shown["imageManifestMediaType"] = image.image_manifest_media_type
    return answer


def _layers(manifest: Json) -> int:
    return sum(layer.get("size", 0) for layer in manifest.get("layers") or [])


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
    return find_image(world, region, repository, tag_or_digest) is not None


def repository_policy(region: str, repository: str) -> str | None:
    """Its own policy, where it has one."""
    found: Any = ecr_backends[ACCOUNT][region].repositories.get(repository)
    return found.policy if found else None


def put_image(world: World, region: str, repository: str, tag: str, image: Image = BUILT) -> str:
    """Push an image with this tag, as docker push would: its digest. Raises as PutImage does."""
    backend: Any = ecr_backends[ACCOUNT][region]
    if repository not in backend.repositories:
        message = f"The repository with name '{repository}' does not exist in the registry with id '{ACCOUNT}'"
        raise AwsError("RepositoryNotFoundException", message)
    documents = images.documents(f"{repository}:{tag}:{world.now()}", image)
    manifest = next(iter(documents.values()))[1].decode()
    pushed = backend.put_image(repository, manifest, tag)
    images.blobs(world).update({digest: content for digest, (_, content) in documents.items()})
    pushed.image_pushed_at = int(world.now())
    _scan_on_push(region, repository, {"imageTag": tag})
    digest = str(pushed.get_image_digest())
    _pushed(world)[digest] = image
    return digest


def _pushed(world: World) -> dict[str, Image]:
    """digest -> image of what was pushed here; of what the API was given only its manifest is known."""
    found: dict[str, Image] = world.state["ecr_images"]
    return found


def find_image(world: World, region: str, repository: str, tag_or_digest: str) -> Image | None:
    """What this repository of the account hands out under a tag or digest."""
    found = ecr_backends[ACCOUNT][region].repositories.get(repository)
    for image in found.images if found else ():
        if tag_or_digest in (*image.image_tags, digest := image.get_image_digest()):
            return _pushed(world).get(digest, BUILT)
    return None


@on("ecr", "BatchGetImage")
def batch_get_image(call: Call) -> Params:
    """With the media type of each manifest; the manifests to which an index leads are had by their digests too."""
    answer = call.proceed()
    for shown in answer["images"]:
        shown["imageManifestMediaType"] = json.loads(shown["imageManifest"])["mediaType"]
    for wanted in call.params["imageIds"]:
        digest = wanted.get("imageDigest", "")
        if content := images.blobs(call.world).get(digest):
            answer["images"].append({"imageId": wanted, "imageManifest": content.decode()})
            answer["failures"] = [one for one in answer["failures"] if one["imageId"] != wanted]
    return answer


@on("ecr", "GetDownloadUrlForLayer")
def get_download_url_for_layer(call: Call) -> Params:
    """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetDownloadUrlForLayer.html"""
    digest = call.params["layerDigest"]
    if digest not in images.blobs(call.world):
        raise AwsError("LayersNotFoundException", f"The layer '{digest}' does not exist in the repository")
    host = f"prod-{call.region}{BLOBS}{call.region}.amazonaws.com"
    return {"downloadUrl": f"https://{host}/{call.account}/{digest}", "layerDigest": digest}


@door("GET", "/_emulator/images")
def _images(emulator: Emulator, given: Json) -> Json:
    """Which images there are in registries outside of the account, and what is in them."""
    return images.all_of(emulator.world)


@door("POST", "/_emulator/images")
def _push_image(emulator: Emulator, given: Json) -> Json:
    """Somebody pushes an image to a repository: {"repository": "...", "tag": "..."}, or to a registry: {"image": "..."}."""
    named = ("image", "repository", "tag", "region")
    about = {name: value for name, value in given.items() if name not in named}
    if "image" in given:
        images.add(emulator.world, given["image"], **about)
        return {"image": images.key(*images.parts(given["image"]))}
    made, region = images.described(**about), given.get("region", "us-east-1")
    return {"digest": put_image(emulator.world, region, given["repository"], given.get("tag", "latest"), made)}


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    registry: Any = ecr_backends[ACCOUNT].get(region)
    for repository in registry.repositories.values() if registry else ():
        yield repository.arn, registry.tagger.get_tag_dict_for_resource(repository.arn)
