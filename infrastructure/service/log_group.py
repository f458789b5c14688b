"""The CloudWatch log group of the containers. It must be there before a task starts, or the task dies at its start.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
"""

from typing import Any

import aws
import constants
from aws import Resource, call, client
from infrastructure.cluster import log_groups


@aws.look
def find() -> Any | None:
    return log_groups.find(constants.LOG_GROUP)


LOOKS = (find,)


def create() -> str:
    """A cluster that endpoints share needs none: each endpoint has its own."""
    if constants.CLUSTER_ONLY:
        return ""
    log_groups.make(constants.LOG_GROUP)
    return constants.LOG_GROUP


def delete() -> None:
    """Last but for the roles: a container that still writes would make it again."""
    log_groups.remove(constants.LOG_GROUP)


def tail(group: str, stream: str) -> list[str]:
    """The last lines of a log; none where there is no such log (yet)."""
    get_log_events = call(client("logs").get_log_events, gone=log_groups.GONE)
    found = get_log_events(logGroupName=group, logStreamName=stream, limit=10)
    return [event["message"].rstrip() for event in found["events"]] if found else []


def left_over() -> list[Resource]:
    return log_groups.left_over(constants.LOG_GROUP)
