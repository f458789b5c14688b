"""Projects and builds."""

from __future__ import annotations

import io
import zipfile

import pytest
from botocore.exceptions import ClientError

from emulator.core.wire import Emulator
from emulator.ecr import repositories
from tests.emulator.common import Client, project, refused, role, sleep


def test_a_fresh_role_can_not_be_assumed_by_codebuild_yet(emulator: Emulator, client: Client) -> None:
    codebuild = client("codebuild")
    missing = "arn:aws:iam::123456789012:role/builder"
    with pytest.raises(ClientError) as error:
        codebuild.create_project(**project(missing))
    told = error.value.response["Error"]
    assert told["Code"] == "InvalidInputException"
    assert told["Message"] == f"CodeBuild is not authorized to perform: sts:AssumeRole on {missing}"
    arn = role(emulator, client, "codebuild.amazonaws.com")
    codebuild.create_project(**project(arn))
    assert refused(codebuild.create_project, **project(arn)) == "ResourceAlreadyExistsException"
    gpu = project(arn, type="LINUX_GPU_CONTAINER", computeType="BUILD_GENERAL1_MEDIUM")
    assert refused(codebuild.create_project, **{**gpu, "name": "gpu"}) == "InvalidInputException"
    assert refused(codebuild.create_project, **{**project(arn), "name": "a b"}) == "InvalidInputException"
    codebuild.delete_project(name="app")
    codebuild.delete_project(name="app")


def test_a_build_walks_through_its_phases_and_pushes(emulator: Emulator, client: Client) -> None:
    codebuild, arn = client("codebuild"), role(emulator, client, "codebuild.amazonaws.com")
    client("ecr").create_repository(repositoryName="app")
    spec = "docker build -t $REPO:$TAG .\ndocker push 123456789012.dkr.ecr.us-east-1.amazonaws.com/$REPO:$TAG"
    codebuild.create_project(**project(arn, spec))
    variables = [{"name": "REPO", "value": "app"}, {"name": "TAG", "value": "v1"}]
    build = codebuild.start_build(projectName="app", environmentVariablesOverride=variables)["build"]
    assert build["buildStatus"] == "IN_PROGRESS"
    sleep(emulator, 40)
    [seen] = codebuild.batch_get_builds(ids=[build["id"]])["builds"]
    assert seen["currentPhase"] == "BUILD" and not seen["buildComplete"]
    sleep(emulator, 100)
    [seen] = codebuild.batch_get_builds(ids=[build["id"]])["builds"]
    assert (seen["currentPhase"], seen["buildStatus"]) == ("COMPLETED", "SUCCEEDED")
    lines = client("logs").get_log_events(
        logGroupName="/aws/codebuild/app", logStreamName=build["id"].partition(":")[2], startFromHead=True
    )["events"]
    assert lines[0]["message"] == "[Container] Entering phase PROVISIONING"
    assert repositories.repository_has_image(emulator.world, "us-east-1", "app", "v1")
    codebuild.delete_project(name="app")
    assert codebuild.list_builds()["ids"] == [build["id"]]


ARM, X86 = "aws/codebuild/amazonlinux-aarch64-standard:3.0", "aws/codebuild/standard:8.0"


@pytest.mark.parametrize(("kind", "cpu"), [("LINUX_CONTAINER", "amd64"), ("ARM_CONTAINER", "arm64")])
def test_docker_builds_for_the_machine_that_it_is_on(emulator: Emulator, client: Client, kind: str, cpu: str) -> None:
    codebuild, arn = client("codebuild"), role(emulator, client, "codebuild.amazonaws.com")
    client("ecr").create_repository(repositoryName="app")
    spec = "docker push 123456789012.dkr.ecr.us-east-1.amazonaws.com/app:v1"
    codebuild.create_project(**project(arn, spec, type=kind, image=ARM if cpu == "arm64" else X86))
    codebuild.start_build(projectName="app")
    sleep(emulator, 200)
    client("ecr").describe_images(repositoryName="app")
    found = repositories.find_image(emulator.world, "us-east-1", "app", "v1")
    assert found and found.platforms == (f"linux/{cpu}",)


@pytest.mark.parametrize(
    ("key", "files", "status", "phase"),
    [
        ("app.zip", ("Dockerfile", "app.py"), "SUCCEEDED", "COMPLETED"),
        ("app.zip", ("app.py",), "FAILED", "BUILD"),
        ("other.zip", ("Dockerfile",), "FAILED", "DOWNLOAD_SOURCE"),
    ],
)
def test_a_build_of_a_zip_in_s3_needs_the_zip_and_its_dockerfile(
    emulator: Emulator, client: Client, key: str, files: tuple[str, ...], status: str, phase: str
) -> None:
    codebuild, arn = client("codebuild"), role(emulator, client, "codebuild.amazonaws.com")
    client("ecr").create_repository(repositoryName="app")
    client("s3").create_bucket(Bucket="sources")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for each in files:
            archive.writestr(each, each)
    client("s3").put_object(Bucket="sources", Key="app.zip", Body=zipped.getvalue())
    spec = 'docker build --file "$DOCKERFILE" .\ndocker push 123456789012.dkr.ecr.us-east-1.amazonaws.com/app:v1'
    codebuild.create_project(**project(arn, spec))
    variables = [{"name": "DOCKERFILE", "value": "Dockerfile"}]
    source = {"sourceTypeOverride": "S3", "sourceLocationOverride": f"sources/{key}"}
    build = codebuild.start_build(projectName="app", environmentVariablesOverride=variables, **source)["build"]["id"]
    sleep(emulator, 200)
    [seen] = codebuild.batch_get_builds(ids=[build])["builds"]
    failed = [each["phaseType"] for each in seen["phases"] if each.get("phaseStatus") == "FAILED"]
    assert (seen["buildStatus"], [*failed, seen["currentPhase"]][0]) == (status, phase)
    assert repositories.repository_has_image(emulator.world, "us-east-1", "app", "v1") is (status == "SUCCEEDED")


def test_docker_needs_privileged_mode(emulator: Emulator, client: Client) -> None:
    codebuild, arn = client("codebuild"), role(emulator, client, "codebuild.amazonaws.com")
    codebuild.create_project(**project(arn, "docker build .", privilegedMode=False))
    build = codebuild.start_build(projectName="app")["build"]["id"]
    sleep(emulator, 200)
    assert codebuild.batch_get_builds(ids=[build])["builds"][0]["buildStatus"] == "FAILED"


def test_a_role_that_trusts_another_account_s_builds_is_no_help(emulator: Emulator, client: Client) -> None:
    codebuild, arn = client("codebuild"), role(emulator, client, "codebuild.amazonaws.com", source="999999999999")
    assert refused(codebuild.create_project, **project(arn)) == "InvalidInputException"


@pytest.mark.parametrize(
    ("image", "kind", "taken"),
    [
        (ARM, "ARM_CONTAINER", True),
        (ARM, "LINUX_CONTAINER", False),
        (X86, "ARM_CONTAINER", False),
        ("example.com/mine-for-aarch64:v1", "LINUX_CONTAINER", True),
    ],
)
def test_a_curated_image_and_the_type_of_its_environment_go_together(
    emulator: Emulator, client: Client, image: str, kind: str, taken: bool
) -> None:
    arn = role(emulator, client, "codebuild.amazonaws.com")
    wanted = project(arn, image=image, type=kind)
    if taken:
        client("codebuild").create_project(**wanted)
        return
    with pytest.raises(ClientError) as error:
        client("codebuild").create_project(**wanted)
    told = f"AWS CodeBuild curated image {image} is not supported for projects with environment type {kind}"
    assert told in error.value.response["Error"]["Message"]
