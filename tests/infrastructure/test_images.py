"""An image is looked up before it is registered: what is not there, or does not run or fit, is refused; the rest is told."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore
import pytest

from emulator.core.faults import Fault
from emulator.ecr import repositories
from emulator.ecr.repositories import BUILT
from emulator.registry import http as registries
from emulator.registry import images
from emulator.server import serve
from tests.conftest import ROOT, Ran, Runbook

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
ARM = ("linux/arm64",)


@pytest.fixture
def cluster(runbook: Runbook) -> Runbook:
    return runbook.has_run("create_cluster.py")


@pytest.fixture
def ecr(cluster: Runbook) -> Runbook:
    """With a repository called app."""
    cluster.aws("ecr").create_repository(repositoryName="app")
    return cluster


def add(runbook: Runbook, image: str, **about: Any) -> str:
    images.add(runbook.emulator.world, image, **about)
    return image


def refused(runbook: Runbook, image: str, **settings: str) -> str:
    """Before anything is changed."""
    begun = len(runbook.emulator.calls)
    ran = runbook.run("register_task_definition.py", IMAGE=image, **settings)
    assert (ran.code, runbook.changes(begun)) == (1, []), ran.err
    return ran.err


def registered(runbook: Runbook, image: str, **settings: str) -> Ran:
    ran = runbook.run("register_task_definition.py", IMAGE=image, **settings)
    assert ran.code == 0, ran.err
    return ran


# ------------------------------------------------------------------------------------------------------ public ones


@pytest.mark.parametrize("host", [registry for registry, _, _ in registries.REGISTRIES.values()])
def test_a_public_registry_is_asked(cluster: Runbook, host: str) -> None:
    image = add(cluster, f"{host}/team/app:v1", size=2_500_000_000, platforms=["linux/amd64", "linux/arm64"])
    assert f"found image {image}  2.5 GB to pull" in registered(cluster, image).err
    assert f"IMAGE={host}/team/app:v2: {host} has no such image" in refused(cluster, f"{host}/team/app:v2")


DOCKER_HUB = (
    *("nginx:1.27", "library/nginx:1.27", "docker.io/library/nginx:1.27"),
    "nvidia/cuda:12.9.0-base-ubuntu24.04",
)


@pytest.mark.parametrize("name", DOCKER_HUB)
def test_docker_hub_is_meant_where_no_registry_is_named(cluster: Runbook, name: str) -> None:
    assert f"found image {name}  0.1 GB to pull" in registered(cluster, name).err


def test_an_image_by_its_digest_is_found(cluster: Runbook) -> None:
    held = images.find(cluster.emulator.world, "nginx:1.27")
    assert held
    digest = next(iter(images.documents("docker.io/library/nginx:1.27", held)))
    assert "0.1 GB to pull" in registered(cluster, f"nginx@{digest}").err
    assert "has no such image" in refused(cluster, f"nginx@sha256:{'0' * 64}")


def test_a_private_one_is_told_and_registered_all_the_same(cluster: Runbook) -> None:
    """A host may have credentials of its own."""
    for image in (add(cluster, "nvcr.io/nim/model:1", access="private"), "ghcr.io/nobody/nothing:1"):
        err = registered(cluster, image).err
        assert (
            f"warning IMAGE={image}:  {image.partition('/')[0]} has no such image, or wants credentials for it" in err
        )
        assert "push_image.py" in err


@pytest.mark.parametrize("image", ["quay.io/team/app:limited", "registry.example.com:5000/team/app:v1"])
def test_where_nothing_is_told_an_image_is_unchecked_in_one_line(cluster: Runbook, image: str) -> None:
    add(cluster, image, access="limited")
    assert registered(cluster, image).err.count("unchecked IMAGE=") == 1


def test_an_odd_answer_is_no_failure(cluster: Runbook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A captive portal's, a proxy's, a 404 of a web server's."""
    for answer in (
        (200, {}, b"<html>"),
        (404, {}, b"<html>"),
        (407, {}, b""),
        (302, {"Location": "/"}, b""),
        (200, {}, b"[]"),
        (401, {}, b""),
        (401, {"WWW-Authenticate": 'Basic realm="proxy"'}, b""),
    ):
        monkeypatch.setattr(registries, "answer", lambda *_, told=answer: told)
        assert "unchecked IMAGE=nginx:1.27:" in registered(cluster, "nginx:1.27").err


def test_the_token_is_not_sent_to_where_a_registry_stores_things(
    cluster: Runbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, whole = [], registries.answer

    def answer(world: Any, method: str, url: str, headers: dict[str, str]) -> Any:
        asked.append((url, "authorization" in headers))
        if "/blobs/" in url and "registry-1" in url:
            return 307, {"Location": url.replace("registry-1.docker.io", "quay.io")}, b""
        return (
            (200, {}, b'{"os": "linux", "architecture": "amd64"}')
            if "quay.io" in url
            else whole(world, method, url, headers)
        )

    monkeypatch.setattr(registries, "answer", answer)
    registered(cluster, add(cluster, "team/app:v1"))
    assert [with_token for url, with_token in asked if "quay.io" in url] == [False]


# ------------------------------------------------------------------------------------------------------ CPU and size


def test_an_image_for_another_cpu_is_refused(cluster: Runbook) -> None:
    for image in (add(cluster, "team/arm:v1", platforms=ARM), add(cluster, "team/arm:v2", platforms=ARM, index=True)):
        told = refused(cluster, image)
        assert f"IMAGE={image} is for linux/arm64, but hosts of g4dn.xlarge are linux/amd64" in told
        assert "docker build --platform linux/amd64" in told


def test_on_fargate_too(fargate: Runbook) -> None:
    image = add(fargate.has_run("create_cluster.py"), "team/arm:v1", platforms=ARM)
    assert "but Fargate tasks are linux/amd64" in refused(fargate, image)


def test_hosts_of_another_cpu_want_their_own_images(runbook: Runbook) -> None:
    runbook.settings |= {"INSTANCE_TYPE": "m7g.large", "GPU_COUNT": "0"}
    image = add(runbook.has_run("create_cluster.py"), "team/arm:v1", platforms=ARM)
    registered(runbook, image)
    assert "but hosts of m7g.large are linux/arm64" in refused(runbook, add(runbook, "team/intel:v1"))
    registered(runbook, "nginx:1.27")


def test_an_image_larger_than_the_disk_is_refused_and_a_large_one_told(cluster: Runbook) -> None:
    image = add(cluster, "team/large:v1", size=40 * 2**30)
    told = refused(cluster, image, ROOT_VOLUME_GIB="30")
    assert f"IMAGE={image} has 40 GiB before it is unpacked, and the disk has ROOT_VOLUME_GIB=30" in told
    told = registered(cluster, image, ROOT_VOLUME_GIB="100").err
    assert "may not fit:  about 120 GiB while it is unpacked, and the disk has ROOT_VOLUME_GIB=100" in told
    assert "may not fit" not in registered(cluster, image, ROOT_VOLUME_GIB="200").err


def test_fargate_s_disk_is_its_own(fargate: Runbook) -> None:
    image = add(fargate.has_run("create_cluster.py"), "team/large:v1", size=40 * 2**30)
    assert "and a Fargate task has 20 GiB" in refused(fargate, image)


def test_the_image_that_makes_the_certificate_is_looked_up_too(clara: Runbook) -> None:
    clara.has_run("create_cluster.py")
    told = refused(
        clara, clara.settings.get("IMAGE", "nvcr.io/nvidia/clara-train-sdk:v3.1.01"), CERTIFICATE_IMAGE="nginx:0"
    )
    assert "CERTIFICATE_IMAGE=nginx:0: docker.io has no such image" in told


# ------------------------------------------------------------------------------------------------------ ECR


def test_an_image_in_ecr_is_looked_up_with_its_cpu_and_size(ecr: Runbook) -> None:
    world = ecr.emulator.world
    repositories.put_image(world, "us-east-1", "app", "v1")
    repositories.put_image(world, "us-east-1", "app", "both", replace(BUILT, platforms=("linux/amd64", *ARM)))
    repositories.put_image(world, "us-east-1", "app", "mac", replace(BUILT, platforms=ARM))
    for tag in ("v1", "both"):
        assert f"found image {REGISTRY}/app:{tag}  1.2 GB to pull" in registered(ecr, f"{REGISTRY}/app:{tag}").err
    assert "is for linux/arm64, but hosts of g4dn.xlarge" in refused(ecr, f"{REGISTRY}/app:mac")


def test_a_tag_or_repository_that_is_not_in_ecr_is_refused_with_what_to_do(ecr: Runbook) -> None:
    told = refused(ecr, f"{REGISTRY}/app:v1")
    assert (
        "the repository app in us-east-1 has no v1: push_image.py builds one of a Dockerfile, and says the IMAGE line"
        in told
    )
    told = refused(ecr, f"{REGISTRY}/other:v1")
    assert "there is no repository other in us-east-1: push_image.py makes one, with an image in it" in told
    elsewhere = f"{REGISTRY.replace('us-east-1', 'eu-west-1')}/app:v1"
    assert "there is no repository app in eu-west-1" in refused(ecr, elsewhere)


def test_ecr_is_known_by_its_hosts_in_every_partition(cluster: Runbook) -> None:
    from infrastructure.service.images import ECR

    partitions = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())["partitions"]
    suffixes = [each["outputs"][key] for each in partitions for key in ("dnsSuffix", "dualStackDnsSuffix")]
    assert len(suffixes) > 10
    for suffix in suffixes:
        for service in ("dkr.ecr", "dkr-ecr", "dkr.ecr-fips"):
            found = ECR.fullmatch(f"123456789012.{service}.eu-west-1.{suffix}")
            assert found and found.groups() == ("123456789012", "eu-west-1"), suffix


def test_ecr_costs_two_calls_at_most(ecr: Runbook) -> None:
    repositories.put_image(ecr.emulator.world, "us-east-1", "app", "v1")
    begun = len(ecr.emulator.calls)
    registered(ecr, f"{REGISTRY}/app:v1")
    asked = [operation for service, operation, _ in ecr.emulator.calls[begun:] if service == "ecr"]
    assert asked == ["BatchGetImage", "GetDownloadUrlForLayer"]


@pytest.mark.parametrize("error", ["denied", "throttle", "unavailable", "cut"])
def test_without_the_right_to_look_into_ecr_an_image_is_unchecked(ecr: Runbook, error: str) -> None:
    repositories.put_image(ecr.emulator.world, "us-east-1", "app", "v1")
    ecr.emulator.faults.planned.append(Fault("ecr:*", error, times=-1))
    assert registered(ecr, f"{REGISTRY}/app:v1").err.count("unchecked IMAGE=") == 1


def test_the_tag_that_a_build_for_arm_pushed_is_refused(endpoints: Runbook) -> None:
    endpoints.has_run("create_cluster.py")
    endpoints.settings["ENDPOINT"] = "a"
    endpoints.has_run("create_repository.py")
    repositories.put_image(endpoints.emulator.world, "us-east-1", "ml-a", "v1", replace(BUILT, platforms=ARM))
    ran = endpoints.run("register_task_definition.py", IMAGE_TAG="v1")
    assert (ran.code, "ml-a:v1 is for linux/arm64" in ran.err) == (1, True), ran.err


# ------------------------------------------------------------------------------------------------------ over a real network


def process(url: str, **settings: str) -> tuple[str, float]:
    """What asking about the settings' images tells, in a process of its own, and how long it took."""
    code = "import aws, sys; from infrastructure.service import images; print(images.ask(sys.argv[1]))"
    environment = {
        "PATH": os.environ["PATH"],
        "CLUSTER_NAME": "gpu",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
    }
    environment |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "ENV_FILE": "/dev/null", **settings}
    command = [sys.executable, "-c", code, "nginx:1.27"]
    begun = time.monotonic()
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, time.monotonic() - begun


def test_the_front_door_leads_to_registries_as_a_proxy_does() -> None:
    with serve() as (url, emulator):
        proxy = {"https_proxy": emulator.front_door_url, "no_proxy": "127.0.0.1"}
        told, _ = process(url, **proxy, AWS_CA_BUNDLE=emulator.certificate_authority)
        assert "linux/amd64" in told and "size=72000000" in told
        told, _ = process(url, **proxy)
        assert "CERTIFICATE_VERIFY_FAILED" in told, "a stranger's certificate is told, and is no failure"


def test_who_does_not_answer_costs_three_seconds() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        told, seconds = process("http://127.0.0.1:1", https_proxy=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "docker.io did not answer" in told
    assert seconds < 3 + 5, "with the start of a process on a busy machine"
