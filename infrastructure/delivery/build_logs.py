"""The log groups of the build and of the pipeline's own commands. AWS would make them by itself, and keep them for ever.

https://docs.aws.amazon.com/codebuild/latest/userguide/create-project.html#create-project-console-logs
"""

from typing import Any

import aws
import constants
from aws import Resource, endpoint_name
from infrastructure.cluster import log_groups


def of_builds() -> str:
    return f"/aws/codebuild/{endpoint_name('build')}"


def of_commands() -> str:
    """CodePipeline's own name for the log of its Commands actions."""
    return f"/aws/codepipeline/{constants.PREFIX}"


@aws.look
def standing() -> dict[str, Any]:
    return log_groups.find_all(of_builds(), of_commands())


LOOKS = (standing,)


def create() -> None:
    """Before anything writes."""
    log_groups.make(of_builds(), of_commands())


def delete() -> None:
    """After the roles: with them gone, nothing can make the groups again."""
    log_groups.remove(*standing())


def left_over() -> list[Resource]:
    return log_groups.left_over(of_builds(), of_commands())
