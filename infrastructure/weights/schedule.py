"""EventBridge Scheduler: the schedule that repeats the sync of the weights, in a group of its own.

A schedule can bear no tags, its group can. Each time it starts the task of weights.py, whether or not the one before has
ended: Scheduler knows nothing of that. It is free up to 14 million starts a month. Each task costs the minute that it
runs, and behind a NAT gateway about half a cent for the image that Fargate pulls anew each time: every 3 minutes that is
some $90 a month, every hour $5.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html
"""

from typing import Any

import constants
from aws import (
    Problem,
    accepted,
    account,
    client,
    endpoint_name,
    endpoint_tags,
    holds,
    insist,
    missing,
    ours,
    partition,
    region,
    wait,
)
from console import say
from infrastructure.cluster import capacity, roles
from infrastructure.weights import sync

NAME = endpoint_name("sync")
ROLE = "schedule"
#: a start that failed is tried again twice within the next minutes; after that the next one is due
RETRY = {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 2}


def create(task_definition_arn: str, where: dict[str, Any]) -> str:
    """Make the schedule that SYNC_SCHEDULE says, or bring it into line. Answers its expression."""
    create_group()
    role_arn = roles.create_role(ROLE, trust(), (), policy())
    scheduler = client("scheduler")
    wanted = {
        "Name": NAME,
        "GroupName": NAME,
        "ScheduleExpression": constants.SYNC_SCHEDULE,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
        "Target": target(task_definition_arn, where, role_arn),
    }
    present = find()
    if present and holds(present, wanted):
        say("found", f"schedule {NAME}", constants.SYNC_SCHEDULE)
        return constants.SYNC_SCHEDULE
    change = scheduler.update_schedule if present else scheduler.create_schedule
    insist(
        f"schedule {NAME} (AWS sees a new role after some seconds)",
        lambda: accepted(lambda: change(**wanted), "ConflictException"),
        "must allow AWS EventBridge Scheduler to assume the role",
        seconds=roles.PROPAGATION_SECONDS,
    )
    say("updated" if present else "created", f"schedule {NAME}", constants.SYNC_SCHEDULE)
    if constants.LAUNCH_TYPE == "EC2" and not constants.MIN_INSTANCES:
        say("warning", "each run needs a host", "with MIN_INSTANCES=0 the schedule alone keeps one up, or starts one")
    return constants.SYNC_SCHEDULE


def delete_unwanted() -> None:
    """Without SYNC_SCHEDULE none is left of the one that was."""
    if left_over():
        say("found", f"schedule {NAME}", "SYNC_SCHEDULE is not set any more")
        delete()


def refuse_foreign() -> None:
    """A group of this name that is not ours is told before anything is made."""
    group = find_group()
    if group and not is_ours(group):
        raise Problem(
            f"the schedule group {NAME} exists already, and does not bear the tag {constants.CLUSTER_TAG}: choose another CLUSTER_NAME"
        )


def create_group() -> None:
    """Its name is its own in the region, so that a second create is no second group."""
    group = find_group()
    if group and group["State"] == "DELETING":
        wait("the former schedule group to be gone", lambda: not find_group(), lambda: "it is still being deleted")
        group = None
    if group:
        return say("found", f"schedule group {NAME}")
    accepted(
        lambda: client("scheduler").create_schedule_group(Name=NAME, Tags=endpoint_tags("sync")), "ConflictException"
    )
    return say("created", f"schedule group {NAME}")


def group_arn() -> str:
    return f"arn:{partition()}:scheduler:{region()}:{account()}:schedule-group/{NAME}"


def trust() -> dict[str, Any]:
    """Scheduler, for schedules of this group only: https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html"""
    trusted = roles.service_trust("scheduler.amazonaws.com")
    for statement in trusted["Statement"]:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account(), "aws:SourceArn": group_arn()}}
    return trusted


def policy() -> dict[str, Any]:
    """Starting any revision of that one task definition, in that cluster, with its tags and its two roles."""
    here = f"arn:{partition()}:ecs:{region()}:{account()}"
    cluster_arn = f"{here}:cluster/{constants.CLUSTER_NAME}"
    task_role = f"arn:{partition()}:iam::{account()}:role/{roles.role_name(sync.ROLE)}"
    statements: list[dict[str, Any]] = [
        {
            "Action": "ecs:RunTask",
            "Resource": f"{here}:task-definition/{sync.FAMILY}:*",
            "Condition": {"ArnEquals": {"ecs:cluster": cluster_arn}},
        },
        {
            "Action": "ecs:TagResource",
            "Resource": f"{here}:task/{constants.CLUSTER_NAME}/*",
            "Condition": {"StringEquals": {"ecs:CreateAction": "RunTask"}},
        },
        {
            "Action": "iam:PassRole",
            "Resource": [roles.find().task_execution_role_arn, task_role],
            "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        },
    ]
    return roles.document(*statements)


def target(task_definition_arn: str, where: dict[str, Any], role_arn: str) -> dict[str, Any]:
    """What is started: the task that sync_weights.py starts, on the same capacity and in the same network."""
    parameters: dict[str, Any] = {
        "TaskDefinitionArn": task_definition_arn,
        "TaskCount": 1,
        "CapacityProviderStrategy": capacity.default_strategy(),
        "EnableECSManagedTags": True,
        "PropagateTags": "TASK_DEFINITION",
    }
    if where:  # with Scheduler's own capitals
        inner = {key[0].upper() + key[1:]: value for key, value in where["awsvpcConfiguration"].items()}
        parameters["NetworkConfiguration"] = {"awsvpcConfiguration": inner}
    return {
        "Arn": f"arn:{partition()}:ecs:{region()}:{account()}:cluster/{constants.CLUSTER_NAME}",
        "RoleArn": role_arn,
        "EcsParameters": parameters,
        "RetryPolicy": RETRY,
    }


def find() -> dict[str, Any] | None:
    found = missing(lambda: client("scheduler").get_schedule(GroupName=NAME, Name=NAME), "ResourceNotFoundException")
    return dict(found) if found and found["Arn"] else None  # a dry run's stand-in has none


def find_group() -> dict[str, Any] | None:
    found = missing(lambda: client("scheduler").get_schedule_group(Name=NAME), "ResourceNotFoundException")
    return dict(found) if found and found["Arn"] else None


def is_ours(group: dict[str, Any]) -> bool:
    found = missing(
        lambda: client("scheduler").list_tags_for_resource(ResourceArn=group["Arn"]), "ResourceNotFoundException"
    )
    return found is not None and ours(found["Tags"])


def delete() -> None:
    """The schedule first, so that it starts nothing more; then its group, which takes a while, and its role."""
    group = find_group()
    if group and not is_ours(group):
        return say("kept", f"schedule group {NAME}", "not of this runbook")
    if group and find():
        accepted(lambda: client("scheduler").delete_schedule(GroupName=NAME, Name=NAME), "ResourceNotFoundException")
        say("deleted", f"schedule {NAME}")
    if group and group["State"] != "DELETING":
        insist(
            f"schedule group {NAME}",
            lambda: accepted(lambda: client("scheduler").delete_schedule_group(Name=NAME), "ResourceNotFoundException"),
            "ConflictException",
        )
    if group:
        wait(f"schedule group {NAME} to be gone", lambda: not find_group(), lambda: "it is still being deleted")
        say("deleted", f"schedule group {NAME}")
    else:
        say("already gone", f"schedule group {NAME}")
    return roles.delete_role(roles.role_name(ROLE))


def left_over() -> list[str]:
    group = find_group()
    schedules = [f"schedule group {NAME} with its schedule"] if group and is_ours(group) else []
    return schedules + roles.roles_left(ROLE)
