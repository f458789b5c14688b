"""The CloudWatch log group of the containers. It must be there before a task starts, or the task dies at its start.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
"""

from typing import Any

import constants
from aws import Resource
from infrastructure.cluster import log_groups

LOOKS = (log_groups.groups,)


def create() -> str:
    """A cluster that endpoints share needs none: each endpoint has its own."""
    if constants.CLUSTER_ONLY:
        return ""
    log_groups.create(constants.LOG_GROUP)
    return constants.LOG_GROUP


def delete() -> None:
    """Last but for the roles: a container that still writes would make it again."""
    log_groups.delete(constants.LOG_GROUP)


def find() -> Any | None:
    return log_groups.find(constants.LOG_GROUP)


# --- TEMPORARY, until delivery/build_logs.py and build_project.py call log_groups by themselves

create_group, delete_group, arn = log_groups.create, log_groups.delete, log_groups.arn


def left_over(*names: str) -> list[Resource]:
    return log_groups.left_over(*(names or [constants.LOG_GROUP]))
