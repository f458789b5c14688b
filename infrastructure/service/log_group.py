"""The CloudWatch log group of the containers. It must be there before a task starts, or the task dies at its start.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
"""

from typing import Any

import constants
from aws import Problem, accepted, account, client, insist, ours, partition, region
from console import say


def create() -> str:
    """The containers' own. A cluster that endpoints share needs none."""
    return "" if constants.CLUSTER_ONLY else create_group(constants.LOG_GROUP)


def create_group(name: str) -> str:
    """Make a group, and set for how many days it keeps what it gets."""
    logs = client("logs")
    group = find(name)
    if group and not is_ours(name):
        raise Problem(
            f"the log group {name} exists already, and does not bear the tag {constants.CLUSTER_TAG}: choose another CLUSTER_NAME"
        )
    if group:
        say("found", f"log group {name}")
    else:
        insist(
            f"log group {name}",
            lambda: accepted(
                lambda: logs.create_log_group(logGroupName=name, tags=constants.ENDPOINT_TAGS),
                "ResourceAlreadyExistsException",
            ),
            "OperationAbortedException",
        )
        say("created", f"log group {name}")
    if not group or group.get("retentionInDays") != constants.LOG_RETENTION_DAYS:
        insist(
            f"log group {name}",
            lambda: logs.put_retention_policy(logGroupName=name, retentionInDays=constants.LOG_RETENTION_DAYS),
            "OperationAbortedException",
            "ResourceNotFoundException",
        )
        say("updated", f"log group {name}", f"keeps {constants.LOG_RETENTION_DAYS} days")
    return name


def delete() -> None:
    """Last but for the roles: a container that still writes would make it again."""
    delete_group(constants.LOG_GROUP)


def delete_group(name: str) -> None:
    if not find(name):
        return say("already gone", f"log group {name}")
    if not is_ours(name):
        return say("kept", f"log group {name}", "not of this runbook")
    insist(
        f"log group {name}",
        lambda: accepted(lambda: client("logs").delete_log_group(logGroupName=name), "ResourceNotFoundException"),
        "OperationAbortedException",
    )
    return say("deleted", f"log group {name}")


def find(name: str = constants.LOG_GROUP) -> dict[str, Any] | None:
    """The group of exactly this name: the API finds by prefix."""
    pages = client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    return next((each for page in pages for each in page["logGroups"] if each["logGroupName"] == name), None)


def arn(name: str) -> str:
    return f"arn:{partition()}:logs:{region()}:{account()}:log-group:{name}"


def is_ours(name: str) -> bool:
    found = client("logs").list_tags_for_resource(resourceArn=arn(name))["tags"]
    return ours([{"Key": key, "Value": value} for key, value in found.items()])


def left_over(*names: str) -> list[str]:
    return [f"log group {name}" for name in names or [constants.LOG_GROUP] if find(name) and is_ours(name)]
