"""Which images there are in registries outside of the account, for which CPUs, and what is in them.

A few real ones, as those who publish them describe them; a rehearsal adds its own, and asks for each way in which a pull
can fail:

    curl -X POST $AWS_ENDPOINT_URL/_emulator/images -d '{"image": "ghcr.io/team/app:v1", "access": "private"}'

Nothing else is there. No layer is held: an image is its manifest, its configuration, and how many bytes it has.
https://github.com/opencontainers/image-spec/blob/main/spec.md
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from emulator.core import rules
from emulator.core.world import World

rules.SENTENCES.update(
    {
        "ecs-090": "An image for another CPU: 'no matching manifest' at the pull of an index, 'exec format error' at the "
        "start of what is no index.",
        "ecs-091": "A private image outside of ECR is refused at the pull: 401, or 'denied'.",
        "ecs-092": "A command that is not in the image: CannotStartContainerError and exit code 127.",
    }
)

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_HUB = "docker.io"
#: what an image with a shell has besides; of each only that it is there
SHELL = (
    *("sh", "ash", "cat", "chmod", "chown", "date", "echo", "env", "false", "hostname", "ls", "mkdir", "printenv"),
    *("rm", "sleep", "tail", "test", "touch", "true"),
)
#: programs that are no file: those of a shell, and those that the emulator knows to mean something else
BUILT_IN = (":", "cd", "exec", "exit", "export", "set", "test", "out-of-memory")
BOTH = ("linux/amd64", "linux/arm64")
ACCESS = ("public", "private", "limited")


@dataclass(frozen=True)
class Image:
    """One image, the same for each of its platforms."""

    platforms: tuple[str, ...] = ("linux/amd64",)
    index: bool = False  # whether its tag leads to a list of platforms; with two of them it does
    entry_point: tuple[str, ...] = ()
    command: tuple[str, ...] = ("server",)
    #: what it can run; None: whatever it is asked to
    programs: tuple[str, ...] | None = None
    hands_over: bool = False  # the entry point is a script that ends with exec "$@"
    size: int = 300_000_000  # compressed bytes to pull, for one platform
    access: str = "public"  # "private": 401; "limited": 429, the registry has had too many pulls
    demand: str = ""  # NVIDIA_REQUIRE_CUDA: which CUDA its maker demands of the host's driver
    login: str = ""  # of a private one: USER:PASSWORD; "": it takes any

    @property
    def is_index(self) -> bool:
        return self.index or len(self.platforms) > 1

    def has(self, program: str) -> bool:
        """Whether it can run this. The GPU's tools are put into it from outside, where there is a GPU."""
        name = program.rpartition("/")[2]
        return self.programs is None or name in (*self.programs, *BUILT_IN, "nvidia-smi") or program in self.entry_point


#: Entry points and commands as in the Dockerfiles of nginx/docker-nginx, aws/aws-cli and alpine-docker/openssl, read in November
#: 2026; of nvidia/cuda and busybox those of the systems on which they stand. Which tags and platforms there are, and sizes, are
#: no registry's answer: examples and tests name the tags, and sizes are about those of linux/amd64. What is in the images of the
#: two reference deployments no one has published: they run whatever they are asked to.
#: What NVIDIA's images demand of a driver is written as in their Dockerfiles, which have more such lines, for each brand and each
#: branch of drivers: https://gitlab.com/nvidia/container-images/cuda
_DEMAND = "cuda>={} brand=unknown,driver>=550,driver<551 brand=tesla,driver>=550,driver<551 brand=tesla,driver>=565,driver<566"
_CUDA = Image(BOTH, command=("/bin/bash",), programs=(*SHELL, "bash"), size=100_000_000, demand=_DEMAND.format("12.8"))
_NGINX = Image(
    *(
        BOTH,
        True,
        ("/docker-entrypoint.sh",),
        ("nginx", "-g", "daemon off;"),
        (*SHELL, "bash", "nginx"),
        True,
        72_000_000,
    )
)
_OPENSSL = Image(BOTH, entry_point=("openssl",), command=(), programs=(*SHELL, "openssl"), size=8_000_000)
_BUSYBOX = Image(BOTH, command=("sh",), programs=SHELL, size=2_200_000)
_AWS_CLI = Image(
    BOTH, entry_point=("/usr/local/bin/aws",), command=(), programs=(*SHELL, "bash", "aws"), size=130_000_000
)
_TORCH = Image(command=("/bin/bash",), programs=(*SHELL, "bash", "python", "torchrun"), size=3_300_000_000)
_RAY = Image(command=("/bin/bash",), programs=(*SHELL, "bash", "python", "ray"), size=3_000_000_000)
TABLE: dict[str, Image] = {
    **{f"docker.io/nvidia/cuda:{version}-base-ubuntu24.04": _CUDA for version in ("12.8.1", "12.9.0")},
    **{f"docker.io/alpine/openssl:{tag}": _OPENSSL for tag in ("3.3.3", "3.3.4")},
    **{f"docker.io/library/nginx:{tag}": _NGINX for tag in ("1", "1.27", "1.28", "latest")},
    **{f"docker.io/library/busybox:{tag}": _BUSYBOX for tag in ("1", "latest")},
    **{f"public.ecr.aws/aws-cli/aws-cli:{tag}": _AWS_CLI for tag in ("2.31.0", "2.32.0")},
    "docker.io/pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime": _TORCH,
    "docker.io/rayproject/ray:2.49.0-gpu": _RAY,
    "nvcr.io/nvidia/clara-train-sdk:v3.1.01": Image(size=8_100_000_000),
    "nvcr.io/nvidia/clara-train-sdk:v4.1": Image(size=8_900_000_000),
    "public.ecr.aws/j6h6k0h7/ml/sd-apiserver:latest": Image(size=500_000_000),
}


def parts(image: str) -> tuple[str, str, str]:
    """(registry, repository, tag or digest) as Docker reads an image: nginx is docker.io, library/nginx, latest."""
    name, _, reference = image.partition("@")
    stem, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        name, reference = stem, reference or tag
    host, slash, rest = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = DOCKER_HUB, name if slash else f"library/{name}"
    return host, rest, reference or "latest"


def key(host: str, repository: str, reference: str) -> str:
    """An image as containerd writes it: docker.io/library/nginx:latest."""
    return f"{host}/{repository}{'@' if reference.startswith('sha256:') else ':'}{reference}"


def added(world: World) -> dict[str, Image]:
    """Those that a rehearsal or a test has put there."""
    found: dict[str, Image] = world.state["registry"]
    return found


def described(**about: Any) -> Image:
    """An image with these fields, as JSON tells them."""
    if about.get("access", "public") not in ACCESS:
        raise ValueError(f"access is one of {', '.join(ACCESS)}")
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in about.items()}
    return Image(**fields)


def add(world: World, image: str, **about: Any) -> None:
    """Let there be this image in its registry, and be as is said here: Image's fields."""
    added(world)[key(*parts(image))] = described(**about)


def held(world: World, host: str, repository: str, reference: str) -> tuple[Image, tuple[str, bytes]] | None:
    """An image by its tag or a digest of it, and what that leads to: its media type, and its content."""
    tags = tags_of(world, host, repository)
    if reference in tags:
        return tags[reference], next(iter(documents(f"{host}/{repository}:{reference}", tags[reference]).values()))
    for tag, image in tags.items():
        if found := documents(f"{host}/{repository}:{tag}", image).get(reference):
            return image, found
    return None


def find(world: World, image: str) -> Image | None:
    """What a name leads to, as Docker reads it."""
    host, repository, reference = parts(image)
    named = key(host, repository, reference)
    if found := added(world).get(named) or TABLE.get(named):
        return found
    by_digest = held(world, host, repository, reference) if "@" in named else None
    return by_digest[0] if by_digest else None


def blobs(world: World) -> dict[str, bytes]:
    """digest -> content of what ECR holds, but of the layers."""
    found: dict[str, bytes] = world.state["registry_blobs"]
    return found


def tags_of(world: World, host: str, repository: str) -> dict[str, Image]:
    """tag -> image, of one repository."""
    begin, there = f"{host}/{repository}", {**TABLE, **added(world)}
    named = {name.removeprefix(begin): image for name, image in there.items() if name.startswith(begin)}
    return {rest[1:]: image for rest, image in named.items() if rest[:1] in (":", "@")}


def all_of(world: World) -> dict[str, Any]:
    return {name: asdict(image) for name, image in {**TABLE, **added(world)}.items()}


# --- what a registry holds of an image


@functools.lru_cache(1000)
def documents(name: str, image: Image) -> dict[str, tuple[str, bytes]]:
    """digest -> (media type, content): first what the tag leads to, then all to which that leads."""
    children: list[tuple[str, str, bytes]] = []
    configs: list[tuple[str, bytes]] = []
    for platform in image.platforms:
        config, manifest = _one_platform(name, image, platform)
        configs.append(config)
        children.append((platform, *manifest))
    found = {digest: (MANIFEST, content) for _, digest, content in children}
    if image.is_index:
        listed = [_listed(platform, digest, content) for platform, digest, content in children]
        digest, content = _written({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed})
        found = {digest: (INDEX, content), **found}
    return found | {digest: (CONFIG, content) for digest, content in configs}


def _one_platform(name: str, image: Image, platform: str) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    os, _, architecture = platform.partition("/")
    layer = f"sha256:{hashlib.sha256(f'{name} {platform}'.encode()).hexdigest()}"
    variables = [f"NVIDIA_REQUIRE_CUDA={image.demand}"] if image.demand else []
    runs = {"Entrypoint": list(image.entry_point) or None, "Cmd": list(image.command) or None, "Env": variables}
    about = {"architecture": architecture, "os": os, "config": runs, "rootfs": {"type": "layers", "diff_ids": [layer]}}
    config = _written(about)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config[0], "size": len(config[1])},
        "layers": [{"mediaType": LAYER, "digest": layer, "size": image.size}],
    }
    return config, _written(manifest)


def _listed(platform: str, digest: str, content: bytes) -> dict[str, Any]:
    os, _, architecture = platform.partition("/")
    its = {"os": os, "architecture": architecture}
    return {"mediaType": MANIFEST, "digest": digest, "size": len(content), "platform": its}


def _written(document: dict[str, Any]) -> tuple[str, bytes]:
    content = json.dumps(document).encode()
    return f"sha256:{hashlib.sha256(content).hexdigest()}", content
