"""The log groups of the build and of the pipeline's own commands. AWS would make them by itself, and keep them for ever.

https://docs.aws.amazon.com/codebuild/latest/userguide/create-project.html#create-project-console-logs
"""

import constants
from aws import client, endpoint_name, missing
from infrastructure.service import log_group

BUILD = f"/aws/codebuild/{endpoint_name('build')}"
#: CodePipeline's own name for the log of its Commands actions
COMMANDS = f"/aws/codepipeline/{constants.PREFIX}"
GROUPS = (BUILD, COMMANDS)


def create() -> None:
    """Before anything writes."""
    for group in GROUPS:
        log_group.create_group(group)


def tail(group: str, stream: str, lines: int = 10) -> list[str]:
    """The end of a log; nothing where there is none (yet)."""
    request = {"logGroupName": group, "logStreamName": stream, "limit": lines, "startFromHead": False}
    found = missing(lambda: client("logs").get_log_events(**request), "ResourceNotFoundException")
    return [event["message"].rstrip() for event in found["events"]] if found else []


def delete() -> None:
    """After the roles: with them gone, nothing can make the groups again."""
    for group in GROUPS:
        log_group.delete_group(group)


def left_over() -> list[str]:
    return log_group.left_over(*GROUPS)
