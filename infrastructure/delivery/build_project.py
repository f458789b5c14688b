"""CodeBuild: the project that builds the endpoint's image from its buildspec, and pushes it to the repository.

A build is paid for by the minute; the project itself is free.
https://docs.aws.amazon.com/codebuild/latest/userguide/sample-docker.html
"""

from typing import Any

import aws
import constants
from aws import Resource, call, client, endpoint_name, endpoint_tags, holds, mine, wait
from console import say
from infrastructure.cluster import log_groups, roles
from infrastructure.cluster.regions import offered
from infrastructure.delivery import artifact_bucket, build_logs, repository
from infrastructure.service import log_group

ROLE = "build"
#: what docker push and pull ask of a repository: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
PUSH = [
    *("BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"),
    *("PutImage", "BatchGetImage", "GetDownloadUrlForLayer", "DescribeImages"),
]
LOG_ACTIONS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
NOT_ASSUMED = "not authorized to perform: sts:AssumeRole"
#: for how long a service may not know a new role yet
ROLE_SECONDS = 300


def its_name() -> str:
    return endpoint_name("build")


@aws.look
def find() -> Any:
    """The project, which shows its tags."""
    if not offered("codebuild") or roles.never_made(ROLE, f":project/{its_name()}"):
        return None
    found = client("codebuild").batch_get_projects(names=[its_name()])["projects"]
    return next(iter(found), None)  # a name is given once


LOOKS = (find, *roles.looks(ROLE))


def logs_statement(group: str) -> dict[str, Any]:
    arn = log_groups.arn(group)
    return {"Action": LOG_ACTIONS, "Resource": [arn, f"{arn}:*"]}


def connection_statement(connection_arn: str) -> dict[str, Any]:
    """By both of the service's names: an ARN of either is checked against the action of its own."""
    actions = ["codestar-connections:UseConnection", "codeconnections:UseConnection"]
    return {"Action": actions, "Resource": connection_arn}


def objects_statement(*actions: str) -> dict[str, Any]:
    return {"Action": [f"s3:{action}" for action in actions], "Resource": f"{artifact_bucket.arn()}/*"}


def create_role(connection_arn: str) -> str:
    """Clone the source where there is a connection to it, read and write artifacts, push to the repository, write the log."""
    repository_arn = aws.arn("ecr", f"repository/{repository.its_name()}")
    policy = roles.document(
        *([connection_statement(connection_arn)] if connection_arn else []),
        objects_statement("GetObject", "GetObjectVersion", "PutObject"),
        {"Action": ["s3:GetBucketAcl", "s3:GetBucketLocation"], "Resource": artifact_bucket.arn()},
        {"Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Action": [f"ecr:{action}" for action in PUSH], "Resource": repository_arn},
        logs_statement(build_logs.of_builds()),
    )
    return roles.create_role(ROLE, roles.trust("codebuild"), (), policy)


def settings(role_arn: str, source: dict[str, str] | None) -> Any:
    variables = {
        "AWS_DEFAULT_REGION": aws.region(),
        "REPOSITORY_URI": repository.uri(),
        "REPOSITORY_NAME": repository.its_name(),
        "CONTAINER_NAME": constants.CONTAINER_NAME,
    }
    return {
        "source": source or {"type": "CODEPIPELINE", "buildspec": constants.BUILDSPEC},
        "artifacts": {"type": "NO_ARTIFACTS" if source else "CODEPIPELINE"},
        "environment": {
            "type": "ARM_CONTAINER" if "aarch64" in constants.BUILD_IMAGE else "LINUX_CONTAINER",
            "image": constants.BUILD_IMAGE,
            "computeType": constants.BUILD_COMPUTE_TYPE,
            "privilegedMode": True,  # docker needs it
            "environmentVariables": [
                {"name": key, "value": text, "type": "PLAINTEXT"} for key, text in variables.items()
            ],
        },
        "serviceRole": role_arn,
        "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": build_logs.of_builds()}},
    }


def create(connection_arn: str, source: dict[str, str] | None = None) -> None:
    """Make the project with its role, or bring it to the settings. IAM's news of a new role reaches CodeBuild late.

    Its source is the pipeline, or `source`: what image_build.py has put into the bucket.
    """
    codebuild, what, present = client("codebuild"), f"build project {its_name()}", find()
    aws.refuse_foreign(what, present)
    wanted = settings(create_role(connection_arn), source)
    waiting, there = f"role {roles.role_name(ROLE)} to be known to CodeBuild", "ResourceAlreadyExistsException"
    if not present:
        make = call(codebuild.create_project, waiting, there=there, busy=NOT_ASSUMED, seconds=ROLE_SECONDS)
        make(name=its_name(), **wanted, tags=endpoint_tags("build", "key", "value"))
        say("created", what, f"{constants.BUILD_IMAGE} builds {'the folder' if source else constants.BUILDSPEC}")
    elif changed := [key for key, value in wanted.items() if not holds(present.get(key), value)]:
        update = call(codebuild.update_project, waiting, of=present, busy=NOT_ASSUMED, seconds=ROLE_SECONDS)
        update(name=its_name(), **wanted)
        say("updated", what, ", ".join(changed))
    else:
        say("found", what)


def newest_builds() -> list[Any]:
    """The newest hundred, the newest first."""
    codebuild = client("codebuild")
    read = call(codebuild.list_builds_for_project, gone="ResourceNotFoundException")
    listed = read(projectName=its_name(), sortOrder="DESCENDING")
    ids = listed["ids"][:100] if listed else []
    return codebuild.batch_get_builds(ids=ids)["builds"] if ids else []


def running() -> list[str]:
    """The ids of the builds that have not ended."""
    return [build["id"] for build in newest_builds() if build["buildStatus"] == "IN_PROGRESS"]


def stop(project: Any) -> None:
    """Running builds: they would go on writing to the bucket and to the log."""
    for build in running():
        call(client("codebuild").stop_build, f"build {build}", of=project)(id=build)
        say("stopped", f"build {build}")
    wait("builds to stop", lambda: not running(), lambda: ", ".join(running()))


def delete() -> None:
    project, what = find(), f"build project {its_name()}"
    if project and not aws.spare_foreign(what, project):
        stop(project)
        call(client("codebuild").delete_project, what, of=project)(name=its_name())
        say("deleted", what)
    if roles.role(ROLE)():
        roles.delete_role(ROLE)


def left_over() -> list[Resource]:
    found = find()
    projects = [aws.resource(f"build project {its_name()}", found["arn"], found)] if mine(found) else []
    return projects + roles.roles_left(ROLE)


def build_log(build_id: str) -> tuple[str, list[str]]:
    """Why a build failed, in AWS's words, and the end of its log."""
    build: Any = next(iter(client("codebuild").batch_get_builds(ids=[build_id])["builds"]), {})
    contexts = [context for phase in build.get("phases", []) for context in phase.get("contexts", [])]
    reason = next((each["message"] for each in contexts if each.get("message")), "")
    place = build.get("logs", {})
    return reason, log_group.tail(place["groupName"], place["streamName"]) if place.get("streamName") else []
