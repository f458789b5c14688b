"""The role with which ECS starts a task, and the one that the task itself has: an endpoint's own, else the cluster's.

Free. TASK_EXECUTION_ROLE_ARN and TASK_ROLE_ARN name roles of the user's in their place, which are left as they are.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
"""

from collections.abc import Callable
from typing import Any

import aws
import constants
import definition
from aws import Resource, mine, partition
from infrastructure.cluster import roles
from infrastructure.service import access_points, container_secrets, task_definitions

SUFFIXES = ("task-execution", "task")
EXECUTION_POLICIES = ("service-role/AmazonECSTaskExecutionRolePolicy",)
#: what ECS Exec needs: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
EXEC_ACTIONS = ["CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"]
OBJECT_ACTIONS = ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"]
TABLE_ACTIONS = [
    *("GetItem", "BatchGetItem", "Query", "Scan", "PutItem", "UpdateItem", "DeleteItem"),
    *("BatchWriteItem", "DescribeTable"),
]
QUEUE_ACTIONS = [
    *("SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"),
    *("GetQueueAttributes", "GetQueueUrl"),
]
LOOKS = roles.looks(*SUFFIXES)


def create(file_system_ids: dict[str, str], points: dict[str, str]) -> None:
    """Make or complete both; `points` are the volumes' access points. A cluster that endpoints share has none of its own."""
    if constants.CLUSTER_ONLY:
        return
    roles.create_role("task-execution", roles.task_trust(), EXECUTION_POLICIES, execution_policy())
    roles.create_role("task", roles.task_trust(), (), task_policy(file_system_ids, points))
    for suffix in SUFFIXES:
        leave(suffix, task_definitions.active)


def are_named_rights() -> bool:
    """Whether the settings of the container name what its roles must allow: who changes these need not make the cluster again."""
    named = (
        definition.secrets(),
        definition.environment_files(),
        constants.TASK_S3_BUCKETS,
        constants.TASK_DYNAMODB_TABLES,
        constants.TASK_SQS_QUEUES,
    )
    return any(named)


def leave(suffix: str, active: Callable[[], list[Any]]) -> None:
    """Our own role, in whose place the user's has come. It stays while it is named by a revision that can be run."""
    own = roles.role(suffix)() if constants.ADOPTED_ROLES[suffix] else None
    its_arn = roles.role_arn(own["RoleName"], own["Path"]) if own and mine(own) else ""
    found = active() if its_arn else []
    named = [each for each in found if its_arn in (each.get("executionRoleArn"), each.get("taskRoleArn"))]
    revisions = ", ".join(task_definitions.revision(each["taskDefinitionArn"]) for each in named)
    roles.leave(suffix, f"{revisions} can be run with it; delete_cluster.py deletes it" if named else "")


def execution_policy() -> dict[str, Any] | None:
    """Reading the secrets and the files in S3 that the task definition names, and nothing else.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-execution-IAM-role.html
    """
    statements = container_secrets.rights() if definition.secrets() else []
    if files := sorted({*definition.environment_files()}):
        buckets = sorted({each.partition("/")[0] for each in files})
        statements += [{"Action": "s3:GetObject", "Resource": files}]
        statements += [{"Action": "s3:GetBucketLocation", "Resource": buckets}]
    return roles.document(*statements) if statements else None


def task_policy(file_system_ids: dict[str, str], points: dict[str, str]) -> dict[str, Any] | None:
    """What the container itself may do: its file systems, and the buckets, tables and queues that the settings name."""
    buckets = [f"arn:{partition()}:s3:::{bucket}" for bucket in constants.TASK_S3_BUCKETS]
    tables = [aws.arn("dynamodb", f"table/{table}") for table in constants.TASK_DYNAMODB_TABLES]
    rights: list[tuple[str, list[str], list[str] | str]] = [
        ("ssmmessages", EXEC_ACTIONS, "*" if constants.ENABLE_EXECUTE_COMMAND else ""),
        ("s3", ["ListBucket", "GetBucketLocation"], buckets),
        ("s3", OBJECT_ACTIONS, [f"{bucket}/*" for bucket in buckets]),
        ("dynamodb", TABLE_ACTIONS, [*tables, *(f"{table}/index/*" for table in tables)]),
        ("sqs", QUEUE_ACTIONS, [aws.arn("sqs", queue) for queue in constants.TASK_SQS_QUEUES]),
    ]
    statements = [access_points.rights(file_system_ids, points)] if file_system_ids else []
    statements += [{"Action": [f"{of}:{verb}" for verb in verbs], "Resource": on} for of, verbs, on in rights if on]
    return roles.document(*statements) if statements else None


def delete() -> None:
    for suffix in SUFFIXES:
        roles.delete_role(suffix)


def left_over() -> list[Resource]:
    return roles.roles_left(*SUFFIXES)
