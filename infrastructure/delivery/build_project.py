"""CodeBuild: the project that builds the endpoint's image from its buildspec, and pushes it to the repository.

A build is paid for by the minute, about $0.01 on BUILD_GENERAL1_MEDIUM; the project itself is free.
https://docs.aws.amazon.com/codebuild/latest/userguide/sample-docker.html
"""

from typing import Any

import console
import constants
from aws import Problem, accepted, account, client, endpoint_name, endpoint_tags, holds, insist, ours, partition, region
from aws import wait as wait_for
from console import say
from infrastructure.cluster import roles
from infrastructure.delivery import artifact_bucket, build_logs, repository
from infrastructure.service import log_group

NAME = endpoint_name("build")
ROLE = "build"
#: what docker push and pull ask of a repository: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
PUSH = [
    "BatchCheckLayerAvailability",
    "InitiateLayerUpload",
    "UploadLayerPart",
    "CompleteLayerUpload",
    "PutImage",
    "BatchGetImage",
    "GetDownloadUrlForLayer",
    "DescribeImages",
]
LOG_ACTIONS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
NOT_ASSUMED = "not authorized to perform: sts:AssumeRole"


def logs_statement(group: str) -> dict[str, Any]:
    arn = log_group.arn(group)
    return {"Action": LOG_ACTIONS, "Resource": [arn, f"{arn}:*"]}


def connection_statement(connection_arn: str) -> dict[str, Any]:
    """By both of the service's names: an ARN of either is checked against the action of its own."""
    actions = ["codestar-connections:UseConnection", "codeconnections:UseConnection"]
    return {"Action": actions, "Resource": connection_arn}


def objects_statement(*actions: str) -> dict[str, Any]:
    return {"Action": [f"s3:{action}" for action in actions], "Resource": f"{artifact_bucket.arn()}/*"}


def create_role(connection_arn: str) -> str:
    """Clone the source, read and write artifacts, push to the one repository, write the log."""
    trust = roles.service_trust("codebuild.amazonaws.com")
    trust["Statement"][0]["Condition"] = {"StringEquals": {"aws:SourceAccount": account()}}
    repository_arn = f"arn:{partition()}:ecr:{region()}:{account()}:repository/{repository.NAME}"
    policy = roles.document(
        connection_statement(connection_arn),
        objects_statement("GetObject", "GetObjectVersion", "PutObject"),
        {"Action": ["s3:GetBucketAcl", "s3:GetBucketLocation"], "Resource": artifact_bucket.arn()},
        {"Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Action": [f"ecr:{action}" for action in PUSH], "Resource": repository_arn},
        logs_statement(build_logs.BUILD),
    )
    return roles.create_role(ROLE, trust, (), policy)


def settings(role_arn: str) -> dict[str, Any]:
    variables = {
        "AWS_DEFAULT_REGION": region(),
        "REPOSITORY_URI": repository.uri(),
        "REPOSITORY_NAME": repository.NAME,
        "CONTAINER_NAME": constants.CONTAINER_NAME,
    }
    return {
        "source": {"type": "CODEPIPELINE", "buildspec": constants.BUILDSPEC},
        "artifacts": {"type": "CODEPIPELINE"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": constants.BUILD_IMAGE,
            "computeType": constants.BUILD_COMPUTE_TYPE,
            "privilegedMode": True,  # docker needs it
            "environmentVariables": [
                {"name": key, "value": value, "type": "PLAINTEXT"} for key, value in variables.items()
            ],
        },
        "serviceRole": role_arn,
        "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": build_logs.BUILD}},
    }


def create(connection_arn: str) -> None:
    """Make the project with its role, or bring it to the settings."""
    role_arn = create_role(connection_arn)
    wanted = settings(role_arn)
    present = find()
    if present and not ours(present.get("tags")):
        raise Problem(
            f"the build project {NAME} exists already, and is not of this runbook: choose another CLUSTER_NAME"
        )
    if not present:
        tags = endpoint_tags("build", "key", "value")
        request_of_role(
            lambda: accepted(
                lambda: client("codebuild").create_project(name=NAME, **wanted, tags=tags),
                "ResourceAlreadyExistsException",
            )
        )
        return say("created", f"build project {NAME}", f"{constants.BUILD_IMAGE} builds {constants.BUILDSPEC}")
    changed = [key for key, value in wanted.items() if not holds(present.get(key), value)]
    if changed:
        request_of_role(lambda: client("codebuild").update_project(name=NAME, **wanted))
        return say("updated", f"build project {NAME}", ", ".join(changed))
    return say("found", f"build project {NAME}")


def request_of_role(call: Any) -> None:
    """IAM's news of a new role reaches CodeBuild some seconds later."""
    insist(f"role {roles.role_name(ROLE)} to be known to CodeBuild", call, NOT_ASSUMED, seconds=300)


def find() -> dict[str, Any] | None:
    found = client("codebuild").batch_get_projects(names=[NAME])["projects"]
    return found[0] if found else None  # a name is given once


def running() -> list[str]:
    """The ids of the builds that have not ended."""
    if not find():
        return []
    ids = client("codebuild").list_builds_for_project(projectName=NAME, sortOrder="DESCENDING")["ids"][:100]
    found = client("codebuild").batch_get_builds(ids=ids)["builds"] if ids else []
    return [build["id"] for build in found if build["buildStatus"] == "IN_PROGRESS"]


def stop() -> None:
    """Running builds: they would go on writing to the bucket and to the log."""
    for build in running():
        client("codebuild").stop_build(id=build)
        say("stopped", f"build {build}")
    if not console.dry_run:
        wait_for("builds to stop", lambda: not running(), lambda: ", ".join(running()))


def delete() -> None:
    project = find()
    if not project:
        say("already gone", f"build project {NAME}")
    elif not ours(project.get("tags")):
        return say("kept", f"build project {NAME}", "not of this runbook")
    else:
        stop()
        client("codebuild").delete_project(name=NAME)
        say("deleted", f"build project {NAME}")
    return roles.delete_role(roles.role_name(ROLE))


def left_over() -> list[str]:
    project = find()
    mine = [f"build project {NAME}"] if project and ours(project.get("tags")) else []
    return mine + roles.roles_left(ROLE)


def build_log(build_id: str) -> tuple[str, list[str]]:
    """Why a build failed, in AWS's words, and the end of its log."""
    [build] = client("codebuild").batch_get_builds(ids=[build_id])["builds"] or [{}]
    contexts = [context for phase in build.get("phases", []) for context in phase.get("contexts", [])]
    reason = next((each["message"] for each in contexts if each.get("message")), "")
    place = build.get("logs", {})
    if not place.get("streamName"):
        return reason, []
    return reason, build_logs.tail(place["groupName"], place["streamName"])
