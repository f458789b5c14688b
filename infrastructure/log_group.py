"""The CloudWatch log group of the containers. It must be there before a task starts, or the task dies at its start.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
"""

from typing import Any

from aws import Problem, accepted, account, client, insist, ours, partition, region
from console import say
from constants import CLUSTER_ONLY, CLUSTER_TAG, ENDPOINT_TAGS, LOG_GROUP, LOG_RETENTION_DAYS


def create() -> str:
    """Make the group, and set for how many days it keeps what it gets. A cluster that endpoints share needs none."""
    if CLUSTER_ONLY:
        return ""
    logs = client("logs")
    group = find()
    if group and not is_ours():
        raise Problem(
            f"the log group {LOG_GROUP} exists already, and does not bear the tag {CLUSTER_TAG}: choose another CLUSTER_NAME"
        )
    if group:
        say("found", f"log group {LOG_GROUP}")
    else:
        insist(
            f"log group {LOG_GROUP}",
            lambda: accepted(
                lambda: logs.create_log_group(logGroupName=LOG_GROUP, tags=ENDPOINT_TAGS),
                "ResourceAlreadyExistsException",
            ),
            "OperationAbortedException",
        )
        say("created", f"log group {LOG_GROUP}")
    if not group or group.get("retentionInDays") != LOG_RETENTION_DAYS:
        insist(
            f"log group {LOG_GROUP}",
            lambda: logs.put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=LOG_RETENTION_DAYS),
            "OperationAbortedException",
            "ResourceNotFoundException",
        )
        say("updated", f"log group {LOG_GROUP}", f"keeps {LOG_RETENTION_DAYS} days")
    return LOG_GROUP


def delete() -> None:
    """Last but for the roles: a container that still writes would make it again."""
    if not find():
        return say("already gone", f"log group {LOG_GROUP}")
    if not is_ours():
        return say("kept", f"log group {LOG_GROUP}", "not of this runbook")
    insist(
        f"log group {LOG_GROUP}",
        lambda: accepted(lambda: client("logs").delete_log_group(logGroupName=LOG_GROUP), "ResourceNotFoundException"),
        "OperationAbortedException",
    )
    say("deleted", f"log group {LOG_GROUP}")


def find() -> dict[str, Any] | None:
    """The group of exactly this name: the API finds by prefix."""
    pages = client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=LOG_GROUP)
    found = [group for page in pages for group in page["logGroups"] if group["logGroupName"] == LOG_GROUP]
    return found[0] if found else None


def is_ours() -> bool:
    arn = f"arn:{partition()}:logs:{region()}:{account()}:log-group:{LOG_GROUP}"
    found = client("logs").list_tags_for_resource(resourceArn=arn)["tags"]
    return ours([{"Key": key, "Value": value} for key, value in found.items()])


def left_over() -> list[str]:
    return [f"log group {LOG_GROUP}"] if find() and is_ours() else []
