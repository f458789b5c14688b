"""What registries answer to `docker pull` and to whoever asks as it does: the distribution API, with its tokens.

Without a token a registry answers 401 and says where one is had. Those of whom a tool may want to know differ in what they
say of an image that is not there: Docker Hub, ghcr.io, nvcr.io and quay.io do not tell a missing repository from a private
one. https://github.com/opencontainers/distribution-spec/blob/main/spec.md,
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

from emulator.core.world import World
from emulator.registry import images
from emulator.registry.images import DOCKER_HUB

Answer = tuple[int, dict[str, str], bytes]

#: host of the API -> registry, where its tokens are had, and what it calls itself there. nvcr.io names no service:
#: https://github.com/sapcc/keppel/pull/731
REGISTRIES = {
    "registry-1.docker.io": (DOCKER_HUB, "https://auth.docker.io/token", "registry.docker.io"),
    "public.ecr.aws": ("public.ecr.aws", "https://public.ecr.aws/token/", "public.ecr.aws"),
    "nvcr.io": ("nvcr.io", "https://nvcr.io/proxy_auth", ""),
    "ghcr.io": ("ghcr.io", "https://ghcr.io/token", "ghcr.io"),
    "quay.io": ("quay.io", "https://quay.io/v2/auth", "quay.io"),
}
#: host -> paths under which tokens are had
TOKENS = {urlsplit(realm).hostname: urlsplit(realm).path for _, realm, _ in REGISTRIES.values()}
#: where ECR keeps layers and configurations; its API gives the whole URL
BLOBS = "-starport-layer-bucket.s3."


def serves(host: str) -> bool:
    return host in REGISTRIES or host in TOKENS or BLOBS in host


def answer(world: World, method: str, url: str, headers: dict[str, str]) -> Answer | None:
    """The answer to one request; None where no such host is imitated. `headers` by their names in small letters."""
    asked = urlsplit(url)
    host = asked.hostname or ""
    if BLOBS in host:
        content = images.blobs(world).get(asked.path.rpartition("/")[2])
        return (200, {}, content) if content is not None else (404, {}, b"")
    if TOKENS.get(host) == asked.path:
        scope = parse_qs(asked.query).get("scope", [""])[0]  # anyone is given one, whatever it is good for
        return 200, {"Content-Type": "application/json"}, json.dumps({"token": f"for {scope}"}).encode()
    if host not in REGISTRIES:
        return (404, {}, b"") if host in TOKENS else None
    return _of_registry(world, host, asked.path, headers.get("authorization", ""))


def _of_registry(world: World, host: str, path: str, authorization: str) -> Answer:
    registry, realm, service = REGISTRIES[host]
    words = path.removeprefix("/v2/").split("/")
    repository, kind, reference = "/".join(words[:-2]), words[-2] if len(words) > 2 else "", words[-1]
    if not authorization.startswith("Bearer "):
        named = f',service="{service}"' if service else ""
        challenge = f'Bearer realm="{realm}"{named},scope="repository:{repository}:pull"'
        return _error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": challenge})
    if kind not in ("manifests", "blobs"):
        return _error(404, "NAME_UNKNOWN", "404 page not found")
    there, found = images.tags_of(world, registry, repository), images.held(world, registry, repository, reference)
    if not there and registry != "public.ecr.aws":
        return _error(401, "UNAUTHORIZED", "authentication required")
    if found is None:
        return _error(404, "MANIFEST_UNKNOWN" if there else "NAME_UNKNOWN", "manifest unknown")
    image, (media_type, content) = found
    if image.access == "limited":
        return _error(429, "TOOMANYREQUESTS", "You have reached your unauthenticated pull rate limit.")
    if image.access == "private":
        return _error(401, "UNAUTHORIZED", "authentication required")
    return 200, {"Content-Type": media_type}, content


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Answer:
    told = {"errors": [{"code": code, "message": message, "detail": None}]}
    return status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(told).encode()
