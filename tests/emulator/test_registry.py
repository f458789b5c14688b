"""Images: which there are, what registries tell of them, and how a task fails whose image is not there or does not run."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any

import pytest

from emulator.core.wire import Emulator
from emulator.ecr import repositories
from emulator.ecr.repositories import BUILT
from emulator.registry import http, images
from emulator.server import serve
from tests.emulator.common import Client
from tests.emulator.ecs_account import Account

ARM = ("linux/arm64",)
APP = "ghcr.io/team/app:v1"


def ask(emulator: Emulator, url: str, **headers: str) -> Any:
    answered = http.answer(emulator.world, "GET", url, headers)
    assert answered
    return answered


def test_a_registry_wants_a_token_and_says_where_it_is_had(emulator: Emulator) -> None:
    url = "https://registry-1.docker.io/v2/library/nginx/manifests/1.27"
    status, headers, _ = ask(emulator, url)
    assert (status, headers["WWW-Authenticate"]) == (
        401,
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"',
    )
    token = json.loads(ask(emulator, "https://auth.docker.io/token?service=x&scope=y")[2])["token"]
    status, headers, body = ask(emulator, url, authorization=f"Bearer {token}")
    assert (status, headers["Content-Type"]) == (200, images.INDEX)
    listed = json.loads(body)["manifests"]
    assert [each["platform"]["architecture"] for each in listed] == ["amd64", "arm64"]
    manifest = json.loads(ask(emulator, url.replace("1.27", listed[1]["digest"]), authorization="Bearer t")[2])
    digest = manifest["config"]["digest"]
    config = json.loads(ask(emulator, url.replace("manifests/1.27", f"blobs/{digest}"), authorization="Bearer t")[2])
    assert (config["architecture"], config["config"]["Entrypoint"]) == ("arm64", ["/docker-entrypoint.sh"])


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("registry-1.docker.io/v2/library/nginx/manifests/0", 404),
        ("registry-1.docker.io/v2/library/nothing/manifests/1", 401),
        ("public.ecr.aws/v2/nobody/nothing/manifests/1", 404),
        ("ghcr.io/v2/team/app/manifests/private", 401),
        ("ghcr.io/v2/team/app/manifests/limited", 429),
    ],
)
def test_what_is_not_there_or_not_for_anyone(emulator: Emulator, url: str, status: int) -> None:
    for access in ("private", "limited"):
        images.add(emulator.world, f"ghcr.io/team/app:{access}", access=access)
    answered, _, body = ask(emulator, f"https://{url}", authorization="Bearer t")
    assert (answered, len(json.loads(body)["errors"])) == (status, 1)


# --- a task whose image is not there, or does not run


WORDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "private": (
        {"access": "private"},
        'Head "https://ghcr.io/v2/team/app/manifests/v1": unauthorized: authentication required',
        "failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token?scope=repository",
    ),
    "too many pulls": ({"access": "limited"}, "daemon: toomanyrequests: You have reached", "429 Too Many Requests"),
    "another CPU": (
        {"platforms": ARM, "index": True},
        "no matching manifest for linux/amd64 in the manifest list entries",
        "image Manifest does not contain descriptor matching platform 'linux/amd64'",
    ),
}


@pytest.mark.parametrize(("about", "docker", "containerd"), WORDS.values(), ids=WORDS)
def test_each_way_in_which_a_pull_fails_is_worded(host: Account, about: Any, docker: str, containerd: str) -> None:
    images.add(host.world, APP, **about)
    host.register(container={"image": APP})
    host.register_fargate(image=APP)
    for task, words in ((host.run(), docker), (host.run_fargate(), containerd)):
        found = host.wait(task, "STOPPED")
        assert found["stopCode"] == "TaskFailedToStart"
        assert found["stoppedReason"].startswith("CannotPullContainerError: ") and words in found["stoppedReason"]


def test_an_unknown_tag_and_an_unknown_repository_differ(host: Account) -> None:
    for image, words in (
        ("nginx:0", "manifest for nginx:0 not found"),
        ("team/none:1", "pull access denied for team/none"),
    ):
        host.register(container={"image": image})
        assert words in host.wait(host.run(), "STOPPED")["stoppedReason"]


def test_an_image_of_one_other_cpu_is_pulled_and_can_not_be_run(host: Account) -> None:
    images.add(host.world, APP, platforms=ARM)
    host.logs.create_log_group(logGroupName="g")
    options = {"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}
    logging = {"logDriver": "awslogs", "options": options}
    host.register(container={"image": APP, "logConfiguration": logging}, executionRoleArn=host.execution_role)
    found = host.wait(host.run(), "STOPPED")
    assert (found["stopCode"], found["containers"][0]["exitCode"]) == ("EssentialContainerExited", 1)
    [stream] = host.logs.describe_log_streams(logGroupName="g")["logStreams"]
    events = host.logs.get_log_events(logGroupName="g", logStreamName=stream["logStreamName"])["events"]
    assert [event["message"] for event in events] == ["exec server: exec format error"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["[vllm,", "serve]"], 'exec: "[vllm,": executable file not found in $PATH: unknown'),
        (["/opt/start.sh"], 'exec: "/opt/start.sh": stat /opt/start.sh: no such file or directory: unknown'),
    ],
)
def test_a_command_that_is_not_in_the_image_does_not_start(host: Account, command: list[str], words: str) -> None:
    host.register(container={"image": "busybox:1", "command": command})
    found = host.wait(host.run(), "STOPPED")
    assert found["stoppedReason"].startswith("CannotStartContainerError: ") and found["stoppedReason"].endswith(words)
    assert found["containers"][0]["exitCode"] == 127


@pytest.mark.parametrize(
    ("container", "code"),
    [
        ({"image": "busybox:1", "command": ["sh", "-c", "vllm serve"]}, 127),
        ({"image": "nginx:1", "command": ["vllm"]}, 127),
        ({"image": "busybox:1"}, 0),
        ({"image": "alpine/openssl:3.3.3", "command": ["req"]}, 0),
        ({"image": "alpine/openssl:3.3.3", "entryPoint": ["sh", "-c"], "command": ["exit 3"]}, 3),
    ],
)
def test_entry_point_and_command_are_the_image_s_where_the_definition_has_none(
    host: Account, container: Any, code: int
) -> None:
    host.register(container=container)
    found = host.wait(host.run(), "STOPPED")
    assert (found["stopCode"], found["containers"][0]["exitCode"]) == ("EssentialContainerExited", code)


def test_an_entry_point_alone_leaves_nothing_of_the_image_s_command(host: Account) -> None:
    host.register(container={"image": "nginx:1", "entryPoint": ["sleep"], "command": ["1"]})
    assert host.wait(host.run(), "STOPPED")["containers"][0]["exitCode"] == 0


# --- in ECR


def test_ecr_tells_manifests_their_kind_and_size(emulator: Emulator, client: Client) -> None:
    ecr = client("ecr")
    ecr.create_repository(repositoryName="app")
    repositories.put_image(emulator.world, "us-east-1", "app", "one")
    repositories.put_image(emulator.world, "us-east-1", "app", "two", replace(BUILT, platforms=("linux/amd64", *ARM)))
    for tag, kind in (("one", images.MANIFEST), ("two", images.INDEX)):
        [image] = ecr.batch_get_image(repositoryName="app", imageIds=[{"imageTag": tag}])["images"]
        [detail] = ecr.describe_images(repositoryName="app", imageIds=[{"imageTag": tag}])["imageDetails"]
        assert image["imageManifestMediaType"] == detail["imageManifestMediaType"] == kind
        assert json.loads(image["imageManifest"])["mediaType"] == kind
        assert detail["imageSizeInBytes"] == BUILT.size
    [listed, _] = json.loads(image["imageManifest"])["manifests"]
    found = ecr.batch_get_image(repositoryName="app", imageIds=[{"imageDigest": listed["digest"]}])
    manifest = json.loads(found["images"][0]["imageManifest"])
    digest = manifest["config"]["digest"]
    url = ecr.get_download_url_for_layer(repositoryName="app", layerDigest=digest)["downloadUrl"]
    assert json.loads(ask(emulator, url)[2])["architecture"] == "amd64"
    gone = ecr.batch_get_image(repositoryName="app", imageIds=[{"imageTag": "three"}])
    assert (gone["images"], gone["failures"][0]["failureCode"]) == ([], "ImageNotFound")


def test_an_image_can_be_put_there_by_hand() -> None:
    with serve() as (url, emulator):

        def post(**given: Any) -> Any:
            asked = urllib.request.Request(f"{url}/_emulator/images", json.dumps(given).encode(), method="POST")
            with urllib.request.urlopen(asked) as answer:
                return json.load(answer)

        assert post(image="team/app:v1", platforms=["linux/arm64"]) == {"image": "docker.io/team/app:v1"}
        found = images.find(emulator.world, "team/app:v1")
        assert found and found.platforms == ARM
        with pytest.raises(urllib.error.HTTPError):
            post(image="team/app:v1", access="sometimes")
        with urllib.request.urlopen(f"{url}/_emulator/images") as answer:
            assert {"docker.io/team/app:v1", "docker.io/library/nginx:1.27"} <= json.load(answer).keys()
