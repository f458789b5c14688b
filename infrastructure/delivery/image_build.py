"""An image of a folder, built and pushed to the endpoint's repository: by a tool on this machine, else by CodeBuild.

What CodeBuild needs is what a pipeline has too: a project with a role, a bucket for the folder, a log group. It is made where
no pipeline stands, stays for the next build, and goes with the repository. A build is paid for by the minute.
https://docs.aws.amazon.com/codebuild/latest/userguide/sample-docker.html
"""

import base64
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import aws
import console
import constants
from aws import Problem, call, client, token, wait
from console import say
from infrastructure.cluster import buckets
from infrastructure.delivery import artifact_bucket, build_context, build_logs, build_project, pipeline, repository
from infrastructure.delivery.build_context import Context

#: they take the same words
TOOLS = ("docker", "podman", "finch", "nerdctl")
#: of the artifacts' bucket
FOLDER = "push-image/"
BUILDSPEC = """\
version: 0.2
phases:
  pre_build:
    commands:
      - aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY_URI%%/*}"
  build:
    commands:
      - docker build --platform "$PLATFORM" --file "$DOCKERFILE" --tag "$REPOSITORY_URI:$IMAGE_TAG" .
      - docker push "$REPOSITORY_URI:$IMAGE_TAG"
"""


def tool() -> str:
    """The first on this machine that works; empty where there is none. One whose daemon does not run is no use."""
    for name in TOOLS:
        if path := shutil.which(name):
            if subprocess.run([path, "info"], capture_output=True, check=False).returncode == 0:
                return path
            say("found", name, f"but `{name} info` fails: it does not run")
    return ""


# ----------------------------------------------------------------------------------------------------- on this machine


def here(program: str, context: Context, platform: str, image: str) -> None:
    """The password of ECR is good for twelve hours; the tool keeps it where it keeps others."""
    build_context.warn_of_settings(context.folder)
    name, registry = Path(program).name, image.partition("/")[0]
    data = client("ecr").get_authorization_token()["authorizationData"]
    secret = base64.b64decode(next(iter(data))["authorizationToken"]).decode().partition(":")[2]
    login = [program, "login", "--username", "AWS", "--password-stdin", registry]
    ran = subprocess.run(login, input=secret, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Problem(f"{name} login {registry} ended with {ran.returncode}: {ran.stderr.strip()}")
    dockerfile = context.folder / context.dockerfile
    build = ["build", "--platform", platform, "--file", str(dockerfile), "--tag", image, str(context.folder)]
    for words in (build, ["push", image]):
        tell_output(program, words)
    say("uploaded", f"image {image}", f"built by {name}")


def tell_output(program: str, words: list[str]) -> None:
    """Run it, and show what it writes as it comes."""
    command, last = [program, *words], ""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as begun:
        for line in begun.stdout or ():
            last = line.strip() or last
            console.show(f"  {line.rstrip()}")
    if begun.returncode:
        raise Problem(f"{Path(program).name} {words[0]} ended with {begun.returncode}: {last}")


# --------------------------------------------------------------------------------------------------------- by CodeBuild


def there(context: Context, platform: str, image: str) -> None:
    """Run again after it was cut short, it follows the build that it began."""
    refuse_other_cpu(platform)
    name = f"{image.rpartition(':')[2]}.zip"
    build_logs.create()
    artifact_bucket.create()
    upload(context, name)
    source = f"{artifact_bucket.its_name()}/{FOLDER}{name}"
    if not (pipeline.find() and build_project.find()):
        build_project.create("", {"type": "S3", "location": source, "buildspec": BUILDSPEC})
    follow(start(source, context.dockerfile, platform, image), image.rpartition(":")[2])
    if not pipeline.find():
        say(
            "kept",
            f"build project {build_project.its_name()} and bucket {artifact_bucket.its_name()}",
            "for the next build",
        )


def delete() -> None:
    """What the builds needed, unless a pipeline needs it too. The log groups last: with the role gone nothing writes."""
    if not pipeline.find():
        build_project.delete()
        artifact_bucket.delete()
        build_logs.delete()


def refuse_other_cpu(platform: str) -> None:
    """It builds for the CPU that it runs on. An adopted set of roles has none for it unless it is named."""
    arm = "aarch64" in constants.BUILD_IMAGE
    if arm != platform.endswith("arm64"):
        other = "aws/codebuild/standard:8.0" if arm else "aws/codebuild/amazonlinux-aarch64-standard:3.0"
        raise Problem(
            f"BUILD_IMAGE={constants.BUILD_IMAGE} builds for another CPU than {platform}: BUILD_IMAGE={other} does"
        )
    if not constants.MAKES_ROLES and not constants.BUILD_ROLE_ARN:
        raise Problem("no role is made with these settings, and BUILD_ROLE_ARN names none: CodeBuild needs one")


def upload(context: Context, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        zipped = Path(folder) / "source.zip"
        build_context.zip_into(context, zipped)
        size = zipped.stat().st_size
        if not console.dry_run:
            with console.bar("uploading the folder", size) as advance:
                buckets.upload(zipped, artifact_bucket.its_name(), FOLDER, name, advance)
    say("uploaded", f"{context.folder}", f"{len(context.files)} files, {size / 1e6:.1f} MB zipped")


def start(source: str, dockerfile: str, platform: str, image: str) -> str:
    """The id of the build of this image that runs already, or of a new one.

    The overrides are for a project of the pipeline; that one whose source is CODEPIPELINE takes them is the API's word, and
    was not tried. https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
    """
    uri, _, its_tag = image.rpartition(":")
    known = of_tag(its_tag)
    if running := next((each["id"] for each in known if each["buildStatus"] == "IN_PROGRESS"), ""):
        say("found", f"build {running}", "it runs already")
        return running
    values = {"REPOSITORY_URI": uri, "IMAGE_TAG": its_tag, "DOCKERFILE": dockerfile, "PLATFORM": platform}
    variables: Any = [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in values.items()]
    begin = call(
        client("codebuild").start_build,
        "the build",
        of=build_project.find() or aws.NOTHING,
        busy=build_project.NOT_ASSUMED,
    )
    begun = begin(
        projectName=build_project.its_name(),
        sourceTypeOverride="S3",
        sourceLocationOverride=source,
        artifactsOverride={"type": "NO_ARTIFACTS"},
        buildspecOverride=BUILDSPEC,
        environmentVariablesOverride=variables,
        idempotencyToken=token(image, sorted(each["id"] for each in known)),
    )["build"]
    say("started", f"build {begun['id']}", "2 to 10 minutes, each of them paid for")
    return begun["id"]


def of_tag(its_tag: str) -> list[Any]:
    """The project's builds of this tag, the newest first."""
    variable = {"name": "IMAGE_TAG", "value": its_tag}
    found = build_project.newest_builds()
    return [
        each for each in found if any(aws.holds(one, variable) for one in each["environment"]["environmentVariables"])
    ]


def follow(build_id: str, its_tag: str) -> None:
    """Until it has ended. One that failed is told with AWS's reason and the end of its log.

    A tag is given once: where another run has pushed it meanwhile, this build fails, and all is well.
    """
    seen: dict[str, Any] = {}

    def ended() -> bool:
        seen.update(next(iter(client("codebuild").batch_get_builds(ids=[build_id])["builds"]), {}))
        return bool(seen.get("buildStatus", "IN_PROGRESS") != "IN_PROGRESS")

    wait(f"build {build_id} to end", ended, lambda: f"it is in its phase {seen.get('currentPhase', 'SUBMITTED')}")
    if not console.dry_run and seen["buildStatus"] != "SUCCEEDED" and not repository.has_tag(its_tag):
        reason, lines = build_project.build_log(build_id)
        log = "".join(f"\n  log: {line}" for line in lines)
        raise Problem(f"build {build_id} {seen['buildStatus']}: {reason}{log}")


def pushed(image: str) -> dict[str, Any]:
    """The image as the repository has it."""
    found = repository.tagged(image.rpartition(":")[2])
    if not found:
        raise Problem(f"{image} was pushed, but the repository does not have it: push it again")
    return {"image": image, "imageDigest": found["imageDigest"], "imageSizeInBytes": found["imageSizeInBytes"]}
