"""Make the endpoint's pipeline: each push to SOURCE_BRANCH is built, its image pushed to ECR, and deployed.

A connection to the Git host (or CONNECTION_ARN), a bucket for artifacts, a CodeBuild project, the pipeline, and a role
for each of the two. A connection that is made here waits for a person: the page prints where, and ends; run it again
after that. The first execution starts by itself; the page waits until its image is in the repository, 2 to 10 minutes.

    python create_pipeline.py             next: python register_task_definition.py
    python create_pipeline.py --dry-run   what would be created or changed
    WAIT=false python create_pipeline.py  does not wait

Each minute of a build costs, and of another action. To undo: python delete_pipeline.py
"""

import sys
from typing import Any

import aws
import console
import constants
from aws import Problem
from console import say
from infrastructure import parts
from infrastructure.cluster import pause, roles
from infrastructure.delivery import (
    artifact_bucket,
    build_logs,
    build_project,
    connection,
    executions,
    pipeline,
    repository,
)

PARTS = (connection, build_logs, artifact_bucket, build_project, pipeline)


@aws.page(changes=True, undo="delete_pipeline.py", mistakes=constants.too_long_for_a_pipeline)
def create_pipeline() -> dict[str, Any]:
    if not constants.SOURCE_REPOSITORY:
        way = f"for example team/endpoint-a; to end what is built: {aws.command('delete_pipeline.py')}"
        constants.check(SOURCE_REPOSITORY=f"is not set: say what to build, {way}")
    connection.refuse_not_offered()
    parts.look((repository, *PARTS))
    if not repository.find():
        raise Problem(f"there is no repository {repository.its_name()} for the images: run create_repository.py first")
    aws.refuse_foreign(f"pipeline {pipeline.its_name()}", pipeline.find())
    roles.refuse_other_path(pipeline.ROLE, build_project.ROLE, undo=f"run {aws.command('delete_pipeline.py')} first")
    pause.refuse()  # a new pipeline runs at once, and its last command starts the service
    artifact_bucket.refuse_long_name()
    pipeline.refuse_long_command()
    connection_arn = connection.create()
    build_logs.create()
    artifact_bucket.create()
    build_project.create(connection_arn)
    pipeline.create(connection_arn)
    parts.retag(PARTS)
    if constants.WAIT:
        executions.wait_built()
    say("next", aws.command("register_task_definition.py"), f"to undo: {aws.command('delete_pipeline.py')}")
    if console.dry_run:
        return {"pipelineName": pipeline.its_name()}
    return {
        "pipelineName": pipeline.its_name(),
        "connectionArn": connection_arn,
        "repositoryUri": repository.uri(),
        "newestTag": repository.newest_tag(),
        "stages": pipeline.stages(),
        "url": pipeline.console_url(),
    }


if __name__ == "__main__":
    sys.exit(aws.main(create_pipeline, __doc__))
