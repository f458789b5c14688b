"""Whether images are where tasks would pull them from, run on our hosts' CPU, and fit the disk: asked before they are registered.

ECR tells it by its API, a public registry as it tells Docker. One that does not answer within SECONDS, or answers oddly,
leaves the image unchecked, and the page goes on.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import json
import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode, urljoin

from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

import aws
import constants
import definition
from aws import Problem, call
from console import say
from infrastructure.cluster import container_instances, parameters
from infrastructure.service import drivers

T = TypeVar("T")
#: for all that a registry is asked about the images of a page, side by side
SECONDS = 3
#: registries that tell anyone what they hold -> the host that does; Docker Hub's is another than in an image's name
PUBLIC = {"docker.io": "registry-1.docker.io"} | {
    host: host for host in ("public.ecr.aws", "nvcr.io", "ghcr.io", "quay.io")
}
#: account and region; https://docs.aws.amazon.com/general/latest/gr/ecr.html
ECR = re.compile(r"(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.[a-z0-9.-]+")
#: an index lists a manifest for each platform; a manifest lists the layers of one
KINDS: list[Any] = [
    *("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"),
    *("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"),
]
#: of what AWS's hosts are
PLATFORMS = ("linux/amd64", "linux/arm64")
#: how registries say that there is no such image
UNKNOWN = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND")
#: GiB that a Fargate task has: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html
FARGATE_DISK = 20
GIB = 2**30


class Found(NamedTuple):
    """What is known of an image; and in words what is not, or is wrong."""

    platforms: tuple[str, ...] = ()  # linux/amd64; none where it is not told
    size: int = 0  # bytes to pull, compressed; 0 where it is not told
    demand: str = ""  # which CUDA it demands of the host's driver: cuda>=12.8
    missing: str = ""
    private: str = ""
    unchecked: str = ""


#: of an image that ECS pulls with the credentials of a secret, which is not read here
SECRET = Found(unchecked="it is pulled with credentials that are not looked at")


def parts(image: str) -> tuple[str, str, str]:
    """Registry, repository, and tag or digest, as Docker reads an image: nginx:1 is docker.io, library/nginx, 1."""
    name, _, digest = image.partition("@")
    stem, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        stem, tag = name, "latest"
    host, slash, rest = stem.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "docker.io", stem if slash else f"library/{stem}"
    return host, rest, digest or tag


@aws.look
def named() -> dict[str, Found]:
    """What is known of the images that the settings name, all asked at the same time; a tag of ours is not known yet."""
    wanted = [] if constants.IMAGE_TAG else [constants.IMAGE]
    wanted += [constants.CERTIFICATE_IMAGE] if constants.CONTAINER_CERTIFICATE else []
    wanted = list(dict.fromkeys([*wanted, *(image for image, _ in definition.sidecar_images())]))
    with_credentials = definition.images_with_credentials()
    told = aws.side_by_side(lambda each: SECRET if each in with_credentials else ask(each), wanted)
    return dict(zip(wanted, told, strict=True))


def check(image: str = "") -> None:
    """Refuse what can't be pulled or run, before anything is registered; tell what is not known. `image`: one of IMAGE_TAG."""
    for each, found in {**named(), **({image: ask(image)} if image else {})}.items():
        if found.missing:
            raise Problem(f"{spelt(each)}: {found.missing}")
        if found.private or found.unchecked:
            say("warning" if found.private else "unchecked", f"{spelt(each)}:", found.private or found.unchecked)
            continue
        refuse_platform(each, found)
        refuse_size(each, found)
        refuse_driver(each, found)
        cpu = "" if found.platforms else "; for which CPU it was not told"
        say("found", f"image {each}", f"{found.size / 1e9:.1f} GB to pull{cpu}")


def spelt(image: str) -> str:
    """With the setting that names it."""
    names = [name for name in ("IMAGE", "CERTIFICATE_IMAGE") if getattr(constants, name) == image]
    places = [place for each, place in definition.sidecar_images() if each == image]
    if names:
        places = [constants.FROM_FILE[each] for each in names if each in constants.FROM_FILE]
    if places:
        return f"TASK_DEFINITION_FILE: {places[0]} {image}"
    return f"{names[0]}={image}" if names else f"image {image}"


def platform() -> str:
    """What our tasks run on. AWS has no GPU AMI for arm64, and Fargate is asked for X86_64, unless CPU_ARCHITECTURE asks."""
    if constants.CPU_ARCHITECTURE:
        return "linux/arm64" if constants.CPU_ARCHITECTURE == "ARM64" else "linux/amd64"
    if constants.LAUNCH_TYPE == "FARGATE" or constants.GPU_COUNT:
        return "linux/amd64"
    described = container_instances.described_type()
    return "linux/arm64" if described and parameters.on_arm(described) else "linux/amd64"


def refuse_platform(image: str, found: Found) -> None:
    if not found.platforms or {*PLATFORMS} <= {*found.platforms}:
        return
    if platform() not in found.platforms:
        hosts = "Fargate tasks are" if constants.LAUNCH_TYPE == "FARGATE" else f"hosts of {constants.INSTANCE_TYPE} are"
        build = f"docker build --platform {platform()} makes one that runs"
        raise Problem(f"{spelt(image)} is for {', '.join(found.platforms)}, but {hosts} {platform()}: {build}")


def refuse_size(image: str, found: Found) -> None:
    """Unpacked it is larger than what is pulled, about twice; for a while the disk holds both."""
    on_fargate = constants.LAUNCH_TYPE == "FARGATE"
    fargate_disk = constants.EPHEMERAL_STORAGE_GIB or FARGATE_DISK
    disk, size = fargate_disk if on_fargate else constants.ROOT_VOLUME_GIB, found.size / GIB
    has = f"a Fargate task has {disk} GiB" if on_fargate else f"the disk has ROOT_VOLUME_GIB={disk}"
    if constants.INSTANCE_STORE and (described := container_instances.described_types()):
        gigabytes = {
            kind: each.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0) for kind, each in described.items()
        }
        least = min(gigabytes, key=lambda kind: gigabytes[kind])
        disk = int(gigabytes[least] * 1e9 / GIB)
        has = f"the instance store of {least} has {disk} GiB"
    if size > disk:
        raise Problem(f"{spelt(image)} has {size:.0f} GiB before it is unpacked, and {has}")
    if 3 * size > disk:
        say("warning", f"{spelt(image)} may not fit:", f"about {3 * size:.0f} GiB while it is unpacked, and {has}")


def refuse_driver(image: str, found: Found) -> None:
    """The image says which CUDA it demands; on a driver that has less no container of it starts that has a GPU."""
    others = [constants.CERTIFICATE_IMAGE, *(other for other, _ in definition.sidecar_images())]
    if not found.demand or not constants.GPU_COUNT or image in others:
        return
    driver, wants = drivers.of_hosts(), drivers.least(found.demand)
    if not driver:
        say("unchecked", f"{spelt(image)} demands {wants}:", f"which driver AMI_ID={constants.AMI_ID} has is not known")
    elif not drivers.meets(found.demand, driver):
        has = f"{spelt(image)} demands {wants}, and the hosts' AMI has {drivers.in_words(driver)}"
        way = "take an image of that CUDA or an older one, or an AMI_ID with a newer driver"
        raise Problem(
            f"{has}: {way}; {drivers.UNDEMANDING[0]}=true in CONTAINER_ENVIRONMENT lets it start all the same"
        )


# ------------------------------------------------------------------------------------------------------------- asking


def ask(image: str) -> Found:
    host, repository, reference = parts(image)
    if of_ecr := ECR.fullmatch(host):
        return in_ecr(of_ecr[1], of_ecr[2], repository, reference)
    if host not in PUBLIC:
        return Found(unchecked=f"{host} is none of the registries that are asked: {', '.join(PUBLIC)}")
    found, why = in_time(lambda: in_registry(host, repository, reference))
    return found or Found(unchecked=f"{host} {why}")


def in_time(read: Callable[[], T]) -> tuple[T | None, str]:
    """What `read` answers, or why there is nothing. In a thread that the page leaves behind: a name that no DNS server
    answers holds it longer than the timeouts of a socket."""
    ended: list[tuple[T | None, str]] = [(None, f"did not answer within {SECONDS} s")]

    def answer() -> None:
        try:
            ended.append((read(), ""))
        except (BotoCoreError, OSError, LookupError, TypeError, ValueError, AttributeError) as error:
            ended.append((None, f"did not answer as a registry does: {error}"))

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return ended[-1]


def get(url: str, **headers: str) -> AWSResponse:
    """What a registry answers, by way of proxies and AWS_CA_BUNDLE. It may lead to its storage, which must not get our token."""
    verify = aws.session().get_config_variable("ca_bundle") or True
    for _ in range(3):
        http = URLLib3Session(verify, get_environ_proxies(url), timeout=SECONDS)
        answer = http.send(AWSRequest("GET", url, headers=headers).prepare())
        if answer.status_code not in (301, 302, 303, 307, 308):
            break
        url, headers = urljoin(url, answer.headers["Location"]), {}
    return answer


def in_registry(host: str, repository: str, reference: str) -> Found:
    """With a token that anyone is given: https://distribution.github.io/distribution/spec/auth/token/"""
    address, headers = f"https://{PUBLIC[host]}/v2/{repository}", {"Accept": ", ".join(KINDS)}
    answer = get(f"{address}/manifests/{reference}", **headers)
    if answer.status_code == 401 and (given := token(answer.headers["WWW-Authenticate"])):
        headers |= {"Authorization": f"Bearer {given}"}
        answer = get(f"{address}/manifests/{reference}", **headers)
    if answer.status_code in (401, 403):
        wants = f"{host} has no such image, or wants credentials for it: REGISTRY_CREDENTIALS names a secret with them;"
        return Found(private=f"{wants} one in this account's ECR needs none, push_image.py")
    if answer.status_code == 404 and any(each["code"] in UNKNOWN for each in json.loads(answer.content)["errors"]):
        return Found(missing=f"{host} has no such image: look at its name and its tag")
    if answer.status_code != 200:
        return Found(unchecked=f"{host} answered {answer.status_code}")
    return described(
        answer.content,
        lambda digest: get(f"{address}/manifests/{digest}", **headers).content,
        lambda digest: get(f"{address}/blobs/{digest}", **headers).content,
    )


def token(challenge: str) -> str:
    """From where the registry says; "" where it gives none to anyone. nvcr.io names no service."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.startswith("Bearer") or not said["realm"].startswith("https://"):
        raise ValueError(f"it wants {challenge}")
    asked = urlencode({name: said[name] for name in ("service", "scope") if name in said})
    answer = get(f"{said['realm']}?{asked}")
    given = {"token": ""} if answer.status_code in (401, 403) else json.loads(answer.content)
    return str(given["token"] if "token" in given else given["access_token"])


def in_ecr(account: str, region: str, repository: str, reference: str) -> Found:
    """By ECR's API, with the caller's own rights: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html"""
    ecr, where = aws.courtesy("ecr", region), {"registryId": account, "repositoryName": repository}

    def manifests(**wanted: str) -> list[bytes] | None:
        get_images = call(ecr.batch_get_image, gone="RepositoryNotFoundException")
        found = get_images(**where, imageIds=[wanted], acceptedMediaTypes=KINDS)
        return None if found is None else [each["imageManifest"].encode() for each in found["images"]]

    def config(digest: str) -> bytes:
        url = ecr.get_download_url_for_layer(**where, layerDigest=digest)["downloadUrl"]
        return in_time(lambda: get(url).content)[0] or b"{}"

    def read() -> Found:
        found = manifests(**{"imageDigest" if ":" in reference else "imageTag": reference})
        if found is None:
            return Found(
                missing=f"there is no repository {repository} in {region}: push_image.py makes one, with an image in it"
            )
        if not found:
            push = "push_image.py builds one of a Dockerfile, and says the IMAGE line"
            return Found(missing=f"the repository {repository} in {region} has no {reference}: {push}")
        return described(found[0], lambda digest: (manifests(imageDigest=digest) or [b"{}"])[0], config)

    found, why = aws.at_best(read)
    return found or Found(unchecked=why)


def described(manifest: bytes, manifest_of: Callable[[str], bytes], config_of: Callable[[str], bytes]) -> Found:
    """For which platforms an image is, and how much there is to pull: of an index that of one of its platforms."""
    told = json.loads(manifest)
    if "manifests" in told:
        listed = {of(each.get("platform", {})): each["digest"] for each in told["manifests"]}
        known = {platform: digest for platform, digest in listed.items() if "unknown" not in platform}
        one = json.loads(manifest_of(known.get(PLATFORMS[0]) or next(iter(known.values()))))
        return Found(tuple(known), layers(one), demand_of(one, config_of))
    config = json.loads(config_of(told["config"]["digest"]))
    platform = of(config)
    return Found(() if "unknown" in platform else (platform,), layers(told), drivers.demand(config))


def demand_of(manifest: Any, config_of: Callable[[str], bytes]) -> str:
    """Of one of an index's images; asked where tasks have GPUs. A registry that does not tell it is no reason to stop."""
    if not constants.GPU_COUNT:
        return ""
    found, _ = aws.at_best(lambda: drivers.demand(json.loads(config_of(manifest["config"]["digest"]))))
    return found or ""


def of(about: dict[str, str]) -> str:
    """linux/amd64; what signatures and the like are for is unknown."""
    return f"{about.get('os', 'unknown')}/{about.get('architecture', 'unknown')}"


def layers(manifest: dict[str, Any]) -> int:
    return sum(each["size"] for each in manifest.get("layers", []))
