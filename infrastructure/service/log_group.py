"""The CloudWatch log group of the containers. It must be there before a task starts, or the task dies at its start.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
"""

from typing import Any

import aws
import constants
import definition
from aws import Problem, Resource, call, client, every
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


def refuse_missing() -> None:
    """Before a definition is registered whose containers log to groups of the user's own; those are his to make."""
    told = []
    for place, options in definition.logs_elsewhere():
        name, its_region = options["awslogs-group"], options.get("awslogs-region") or aws.region()
        logs = client("logs", region_name=its_region)
        listed = every(logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name), "logGroups")
        if name not in [each["logGroupName"] for each in listed]:
            way = f"aws logs create-log-group --log-group-name {name} --region {its_region}"
            told.append(f"TASK_DEFINITION_FILE: {place}: there is no log group {name} in {its_region}: {way}")
    if told:
        raise Problem("\n".join(told))


def delete() -> None:
    """Last but for the roles: a container that still writes would make it again."""
    log_groups.remove(constants.LOG_GROUP)


def tail(group: str, stream: str, region: str = "") -> list[str]:
    """The last lines of a log; none where there is no such log (yet)."""
    get_log_events = call(client("logs", region_name=region).get_log_events, gone=log_groups.GONE)
    found = get_log_events(logGroupName=group, logStreamName=stream, limit=10)
    return [event["message"].rstrip() for event in found["events"]] if found else []


def left_over() -> list[Resource]:
    return log_groups.left_over(constants.LOG_GROUP)
