"""The log groups of the build and of the pipeline's own commands. AWS would make them by itself, and keep them for ever.

https://docs.aws.amazon.com/codebuild/latest/userguide/create-project.html#create-project-console-logs
"""

from typing import Any

from aws import Problem, accepted, account, client, endpoint_name, insist, missing, ours, partition, region
from console import say
from constants import CLUSTER_TAG, ENDPOINT_TAGS, LOG_RETENTION_DAYS, PREFIX

BUILD = f"/aws/codebuild/{endpoint_name('build')}"
#: CodePipeline's own name for the log of its Commands actions
COMMANDS = f"/aws/codepipeline/{PREFIX}"
GROUPS = (BUILD, COMMANDS)


def create() -> None:
    """Make the groups before anything writes, and set for how many days they keep what they get."""
    logs = client("logs")
    for group in GROUPS:
        present = find(group)
        if present and not is_ours(group):
            raise Problem(
                f"the log group {group} exists already, and does not bear the tag {CLUSTER_TAG}: delete it first"
            )
        if not present:
            insist(
                f"log group {group}",
                lambda: accepted(
                    lambda: logs.create_log_group(logGroupName=group, tags=ENDPOINT_TAGS),
                    "ResourceAlreadyExistsException",
                ),
                "OperationAbortedException",
            )
            say("created", f"log group {group}")
        if not present or present.get("retentionInDays") != LOG_RETENTION_DAYS:
            insist(
                f"log group {group}",
                lambda: logs.put_retention_policy(logGroupName=group, retentionInDays=LOG_RETENTION_DAYS),
                "OperationAbortedException",
                "ResourceNotFoundException",
            )
            say("updated", f"log group {group}", f"keeps {LOG_RETENTION_DAYS} days")
        else:
            say("found", f"log group {group}")


def find(group: str) -> dict[str, Any] | None:
    """The group of exactly this name: the API finds by prefix."""
    pages = client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=group)
    return next((each for page in pages for each in page["logGroups"] if each["logGroupName"] == group), None)


def arn(group: str) -> str:
    return f"arn:{partition()}:logs:{region()}:{account()}:log-group:{group}"


def is_ours(group: str) -> bool:
    found = client("logs").list_tags_for_resource(resourceArn=arn(group))["tags"]
    return ours([{"Key": key, "Value": value} for key, value in found.items()])


def tail(group: str, stream: str, lines: int = 10) -> list[str]:
    """The end of a log; nothing where there is none (yet)."""
    request = {"logGroupName": group, "logStreamName": stream, "limit": lines, "startFromHead": False}
    found = missing(lambda: client("logs").get_log_events(**request), "ResourceNotFoundException")
    return [event["message"].rstrip() for event in found["events"]] if found else []


def delete() -> None:
    """After the roles: with them gone, nothing can make the groups again."""
    for group in GROUPS:
        if not find(group):
            say("already gone", f"log group {group}")
        elif not is_ours(group):
            say("kept", f"log group {group}", "not of this runbook")
        else:
            insist(
                f"log group {group}",
                lambda: accepted(
                    lambda: client("logs").delete_log_group(logGroupName=group), "ResourceNotFoundException"
                ),
                "OperationAbortedException",
            )
            say("deleted", f"log group {group}")


def left_over() -> list[str]:
    return [f"log group {group}" for group in GROUPS if find(group) and is_ours(group)]
