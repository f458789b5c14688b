"""push_image.py: a folder becomes an image in the account's repository, by a tool of this machine or by CodeBuild."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from moto.s3.models import s3_backends

from emulator.codestar_connections import connections
from emulator.core.faults import Fault
from emulator.ecr.repositories import put_image
from infrastructure.delivery import build_context
from tests.conftest import Runbook

REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/gpu"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    app = tmp_path / "app"
    (app / "src").mkdir(parents=True)
    (app / "Dockerfile").write_text("FROM nvidia/cuda:12.8.1-base-ubuntu24.04\nCOPY . /app\n")
    (app / "src" / "train.py").write_text("print(1)\n")
    return app


@pytest.fixture
def alone(runbook: Runbook, tmp_path: Path) -> Runbook:
    """A machine with git, and without any tool that builds images."""
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.symlink_to("/usr/bin/git")
    runbook.settings["PATH"] = str(git.parent)
    return runbook


def tags(runbook: Runbook) -> list[str]:
    images = runbook.aws("ecr").describe_images(repositoryName="gpu")["imageDetails"]
    return [tag for each in images for tag in each.get("imageTags", [])]


def last(err: str) -> str:
    return err.splitlines()[-1]


# ---------------------------------------------------------------------------------------------------------- CodeBuild


def test_without_a_tool_codebuild_builds_it_and_all_of_it_goes_with_the_repository(
    alone: Runbook, folder: Path
) -> None:
    before = alone.account()
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert ran.code == 0, ran.err
    [tag] = tags(alone)
    assert tag.startswith("folder-") and ran.result["image"] == f"{REPOSITORY}:{tag}"
    assert ran.result["imageDigest"].startswith("sha256:")
    assert last(ran.err) == f"IMAGE={REPOSITORY}:{tag}"
    assert "none of docker, podman, finch, nerdctl that runs here:" in ran.err
    alone.has_run("delete_repository.py --images")
    assert alone.account() == before


def test_the_image_that_it_names_is_one_that_a_task_can_run(alone: Runbook, folder: Path) -> None:
    image = alone.run("push_image.py", "--dockerfile", str(folder)).result["image"]
    alone.settings |= {"IMAGE": image, "EFS_VOLUMES": ""}
    alone.has_run("create_cluster.py", "register_task_definition.py", "run_task.py")


def test_where_the_tag_is_a_setting_it_says_that(endpoints: Runbook, folder: Path) -> None:
    endpoints.settings |= {"PATH": "/nowhere", "ENDPOINT": "a"}
    ran = endpoints.run("push_image.py", "--dockerfile", str(folder))
    assert ran.code == 0, ran.err
    tag = ran.result["image"].rpartition(":")[2]
    assert "with this line in endpoints/a.env:" in ran.err and last(ran.err) == f"IMAGE_TAG={tag}"


def test_where_no_role_may_be_made_one_must_be_named(alone: Runbook, folder: Path) -> None:
    arn = "arn:aws:iam::123456789012:role/mine"
    alone.settings |= {"HOST_ROLE": "mine", "TASK_EXECUTION_ROLE_ARN": arn, "TASK_ROLE_ARN": arn}
    since = len(alone.emulator.calls)
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert ran.code == 1 and "BUILD_ROLE_ARN names none: CodeBuild needs one" in ran.err, ran.err
    assert not [each for each in alone.changes(since) if each.startswith(("s3", "codebuild", "iam", "logs"))]


def test_what_was_pushed_already_is_not_built_again(alone: Runbook, folder: Path) -> None:
    first = alone.run("push_image.py", "--dockerfile", str(folder)).result["image"]
    since = len(alone.emulator.calls)
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert ran.result["image"] == first and "of these very files" in ran.err
    assert alone.changes(since) == []
    (folder / "src" / "train.py").write_text("print(2)\n")
    assert alone.run("push_image.py", "--dockerfile", str(folder)).result["image"] != first
    assert len(tags(alone)) == 2


def test_the_line_that_it_says_may_go_into_the_same_folder(alone: Runbook, folder: Path) -> None:
    """Into .env, which may hold secrets besides: it is neither sent nor a reason to build again."""
    line = last(alone.run("push_image.py", "--dockerfile", str(folder)).err)
    (folder / ".env").write_text(f"CLUSTER_NAME=gpu\n{line}\n")
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert last(ran.err) == line and "of these very files" in ran.err
    assert ".env" not in build_context.files(folder, "Dockerfile")


def test_a_build_that_fails_is_told_with_its_log_and_the_next_one_is_another(alone: Runbook, folder: Path) -> None:
    def lose(when: str) -> None:
        """The folder, once it is uploaded."""
        if when == "before" and alone.emulator.calls[-1:] and alone.emulator.calls[-1][1] == "ListBuildsForProject":
            for bucket in s3_backends["123456789012"]["aws"].buckets.values():
                bucket.keys.clear()

    alone.watch = lose
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert (ran.code, ran.out) == (1, "") and "FAILED: error while downloading key" in ran.err, ran.err
    assert "log: [Container] Phase complete: DOWNLOAD_SOURCE State: FAILED" in ran.err
    assert "what it made so far stays" not in ran.err
    alone.watch = None
    assert alone.run("push_image.py", "--dockerfile", str(folder)).code == 0
    assert len(alone.aws("codebuild").list_builds()["ids"]) == 2 and len(tags(alone)) == 1


def test_aws_s_refusal_of_a_build_is_told(alone: Runbook, folder: Path) -> None:
    alone.emulator.faults.planned.append(Fault("codebuild:StartBuild", "denied"))
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert ran.code == 1 and "StartBuild" in ran.err


def test_run_again_it_follows_the_build_that_it_began(alone: Runbook, folder: Path) -> None:
    cut = alone.run("push_image.py", "--dockerfile", str(folder), WAIT_TIMEOUT_SECONDS="20")
    assert cut.code == 3 and "gave up waiting for build" in cut.err
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert ran.code == 0 and "it runs already" in ran.err, ran.err
    assert [each[1] for each in alone.emulator.calls].count("StartBuild") == 1


def test_beside_a_pipeline_its_project_builds_and_stays(alone: Runbook, folder: Path) -> None:
    alone.settings |= {"SOURCE_REPOSITORY": "team/app", "CONNECTION_ARN": connection(alone), "WAIT": "false"}
    alone.has_run("create_repository.py", "create_pipeline.py")
    before = alone.account()
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert ran.code == 0, ran.err
    after = alone.account()
    assert after.keys() == before.keys()
    project = alone.aws("codebuild").batch_get_projects(names=["gpu-build"])["projects"][0]
    assert project["source"]["type"] == "CODEPIPELINE"


def connection(runbook: Runbook) -> str:
    made = runbook.aws("codeconnections").create_connection(ProviderType="GitHub", ConnectionName="mine")
    connections.finish_handshakes(runbook.emulator.world)
    return str(made["ConnectionArn"])


def test_what_is_uploaded_is_the_folder_without_what_dockerignore_names(alone: Runbook, folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "big.bin").write_bytes(b"0" * 100)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    (folder / ".dockerignore").write_text("data\n")
    alone.emulator.faults.planned.append(Fault("codebuild:StartBuild", "denied"))
    assert alone.run("push_image.py", "--dockerfile", str(folder)).code == 1
    [bucket] = s3_backends["123456789012"]["aws"].buckets.values()
    [zipped] = bucket.keys.values()
    names = zipfile.ZipFile(io.BytesIO(zipped.value)).namelist()
    assert sorted(names) == [".dockerignore", "Dockerfile", "src/train.py"]
    alone.has_run("delete_repository.py --images")
    assert not s3_backends["123456789012"]["aws"].buckets


def test_a_dry_run_makes_nothing(alone: Runbook, folder: Path) -> None:
    before, since = alone.account(), len(alone.emulator.calls)
    ran = alone.run("push_image.py", "--dockerfile", str(folder), "--dry-run")
    assert ran.code == 0, ran.err
    assert "would have created repository gpu" in ran.err and "would have started build (new)" in ran.err
    assert alone.changes(since) == [] and alone.account() == before


def test_for_arm_the_build_image_must_be_arms(alone: Runbook, folder: Path) -> None:
    alone.settings |= {"GPU_COUNT": "0", "INSTANCE_TYPE": "t4g.medium"}
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert ran.code == 1
    assert "builds for another CPU than linux/arm64: BUILD_IMAGE=aws/codebuild/amazonlinux-aarch64" in ran.err


def test_without_a_dockerfile_nothing_is_asked_of_aws(alone: Runbook, tmp_path: Path) -> None:
    ran = alone.run("push_image.py", "--dockerfile", str(tmp_path))
    assert (ran.code, ran.out) == (2, "") and f"there is no file {tmp_path}/Dockerfile" in ran.err


# ------------------------------------------------------------------------------------------------- a tool of this machine


@pytest.fixture
def docker(alone: Runbook, tmp_path: Path) -> Path:
    """A docker that writes down its words; what it pushes is in the repository at the next call of AWS."""
    script = tmp_path / "bin" / "docker"
    script.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/words\n'
        f'case "$1" in login) /bin/cat > {tmp_path}/password;; build) echo "step 1/2"; exit $(/bin/cat {tmp_path}/code);; esac\n'
    )
    script.chmod(0o755)
    (tmp_path / "code").write_text("0")

    def push(when: str) -> None:
        words = (tmp_path / "words").read_text().split() if (tmp_path / "words").exists() else []
        if when == "before" and "push" in words:
            (tmp_path / "words").rename(tmp_path / "pushed")
            put_image(alone.emulator.world, "us-east-1", "gpu", words[-1].rpartition(":")[2])

    alone.watch = push
    return tmp_path


def test_docker_of_this_machine_builds_and_pushes(alone: Runbook, docker: Path, folder: Path) -> None:
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert ran.code == 0, ran.err
    image = ran.result["image"]
    info, login, build, push = (docker / "pushed").read_text().splitlines()
    assert (info, push) == ("info", f"push {image}")
    assert login == f"login --username AWS --password-stdin {REPOSITORY.partition('/')[0]}"
    assert build == f"build --platform linux/amd64 --file {folder}/Dockerfile --tag {image} {folder}"
    assert "step 1/2" in ran.err and last(ran.err) == f"IMAGE={image}"
    password = (docker / "password").read_text()
    assert password and password not in ran.err + ran.out
    assert "codebuild" not in {service for service, _, _ in alone.emulator.calls}


@pytest.mark.parametrize(("ignore", "told"), [("", True), (".env\n", False)])
def test_settings_that_docker_would_send_are_warned_of(
    alone: Runbook, docker: Path, folder: Path, ignore: str, told: bool
) -> None:
    (folder / ".env").write_text("CLUSTER_NAME=gpu\n")
    (folder / ".dockerignore").write_text(ignore)
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert (f"{folder}/.env is sent to the build" in ran.err) is told, ran.err


def test_a_build_here_that_fails_pushes_nothing(alone: Runbook, docker: Path, folder: Path) -> None:
    (docker / "code").write_text("17")
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert (ran.code, ran.out) == (1, "") and "docker build ended with 17: step 1/2" in ran.err
    assert "what it made so far stays, and may cost, until" not in ran.err
    assert tags(alone) == []


def test_a_docker_that_does_not_run_is_passed_over(alone: Runbook, tmp_path: Path, folder: Path) -> None:
    for name, code in (("docker", 1), ("podman", 0)):
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\n[ "$1" = info ] && exit {code}\nexit 9\n')
        script.chmod(0o755)
    ran = alone.run("push_image.py", "--dockerfile", str(folder))
    assert ran.code == 1 and "`docker info` fails: it does not run" in ran.err and "podman login" in ran.err


# -------------------------------------------------------------------------------------------------------------- context


def files(folder: Path, ignore: str, *paths: str) -> list[str]:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    (folder / ".dockerignore").write_text(ignore)
    return [each for each in build_context.files(folder, "Dockerfile") if each in paths]


@pytest.mark.parametrize(
    ("ignore", "kept"),
    [
        ("", ["a.py", "b/a.py", "b/c/d.txt", "e.md"]),
        ("*.py", ["b/a.py", "b/c/d.txt", "e.md"]),
        ("**/*.py", ["b/c/d.txt", "e.md"]),
        ("b", ["a.py", "e.md"]),
        ("/b/c\n# e.md\n", ["a.py", "b/a.py", "e.md"]),
        ("b/*\n!b/a.py", ["a.py", "b/a.py", "e.md"]),
        ("*\n!e.md", ["e.md"]),
        ("?.[mp]?", ["b/a.py", "b/c/d.txt"]),
        ("./b/", ["a.py", "e.md"]),
    ],
)
def test_dockerignore_is_read_as_docker_reads_it(tmp_path: Path, ignore: str, kept: list[str]) -> None:
    assert files(tmp_path, ignore, "a.py", "b/a.py", "b/c/d.txt", "e.md") == kept


def test_the_tag_is_the_commit_and_the_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> str:
        ran = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    monkeypatch.setenv("HOME", str(tmp_path))
    before = build_context.tag(build_context.find(str(folder)), "linux/amd64")
    assert before.startswith("folder-")
    git("init")
    git("add", ".")
    git("-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-m", "first")
    committed = build_context.tag(build_context.find(str(folder)), "linux/amd64")
    assert committed.startswith(git("rev-parse", "--short=12", "HEAD") + "-")
    assert build_context.tag(build_context.find(str(folder)), "linux/arm64") != committed
    (folder / "src" / "train.py").chmod(0o755)
    changed = build_context.tag(build_context.find(str(folder)), "linux/amd64")
    assert changed.startswith("folder-") and changed != before


def test_a_dockerfile_of_the_current_folder_has_that_as_its_context(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "docker").mkdir()
    (folder / "docker" / "gpu.Dockerfile").write_text("FROM scratch\n")
    monkeypatch.chdir(folder)
    found: Any = build_context.find("docker/gpu.Dockerfile")
    assert (found.folder, found.dockerfile) == (folder, "docker/gpu.Dockerfile")
    assert "src/train.py" in found.files
    monkeypatch.chdir("/usr")
    found = build_context.find(str(folder / "Dockerfile"))
    assert (found.folder, found.dockerfile) == (folder, "Dockerfile")
