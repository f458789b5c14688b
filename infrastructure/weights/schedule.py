"""EventBridge Scheduler: the schedule that repeats the sync of the weights, in a group of its own.

A schedule can bear no tags, its group can. Each time it starts the task of sync.py, whether or not the one before has
ended: Scheduler knows nothing of that. It is free up to 14 million starts a month. Each task costs the minute that it
runs, and behind a NAT gateway the image that Fargate pulls anew each time.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html
"""

from typing import Any

import aws
import constants
from aws import call, client, endpoint_name, endpoint_tags, holds, mine, wait
from console import say
from infrastructure.cluster import roles
from infrastructure.cluster.regions import offered
from infrastructure.weights import sync

ROLE = "schedule"
#: a start that failed is tried again twice within the next minutes; after that the next one is due
RETRY = {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 2}
NOT_THERE = "ResourceNotFoundException"


def its_name() -> str:
    """Of the schedule and of its group."""
    return endpoint_name("sync")


@aws.look
def find_group() -> Any:
    """The group with its tags."""
    scheduler = client("scheduler")
    group = call(scheduler.get_schedule_group, gone=NOT_THERE)(Name=its_name()) if offered("scheduler") else None
    if not group or not group["Arn"]:  # a dry run's stand-in has none
        return None
    found = call(scheduler.list_tags_for_resource, gone=NOT_THERE)(ResourceArn=group["Arn"])
    return {**group, "Tags": found["Tags"] if found else []}


@aws.look
def find() -> Any:
    found = call(client("scheduler").get_schedule, gone=NOT_THERE)(GroupName=its_name(), Name=its_name())
    return found if found and found["Arn"] else None


LOOKS = (find_group, *roles.looks(ROLE))


def create(task_definition_arn: str, where: Any) -> str:
    """Make the schedule that SYNC_SCHEDULE says, or bring it into line. Answers its expression."""
    create_group()
    role_arn = roles.create_role(ROLE, trust(), (), policy())
    scheduler, what, expression = client("scheduler"), f"schedule {its_name()}", constants.SYNC_SCHEDULE
    wanted: Any = {
        "Name": its_name(),
        "GroupName": its_name(),
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
        "Target": target(task_definition_arn, where, role_arn),
    }
    present = find()
    if present and holds(present, wanted):
        say("found", what, expression)
        roles.leave(ROLE)
        return expression
    waiting = f"{what} (AWS sees a new role after some seconds)"
    unknown, seconds = "must allow AWS EventBridge Scheduler to assume the role", roles.PROPAGATION_SECONDS
    if present:
        call(scheduler.update_schedule, waiting, of=find_group(), busy=unknown, seconds=seconds)(**wanted)
    else:
        call(scheduler.create_schedule, waiting, there="ConflictException", busy=unknown, seconds=seconds)(**wanted)
    say("updated" if present else "created", what, expression)
    roles.leave(ROLE)
    return expression


def delete_unwanted() -> None:
    """Without SYNC_SCHEDULE none is left of the one that was."""
    if left_over():
        say("found", f"schedule {its_name()}", "SYNC_SCHEDULE is not set any more")
        delete()


def refuse_foreign() -> None:
    """A group of this name that is not ours is told before anything is made."""
    aws.refuse_foreign(f"schedule group {its_name()}", find_group())


def create_group() -> None:
    """Its name is its own in the region, so that a second create is no second group."""
    group, what = find_group(), f"schedule group {its_name()}"
    if group and group["State"] != "DELETING":
        say("found", what)
        return
    if group:
        wait_gone("the former schedule group")
    create_schedule_group = call(client("scheduler").create_schedule_group, what, there="ConflictException")
    create_schedule_group(Name=its_name(), Tags=endpoint_tags("sync"))
    say("created", what)


def wait_gone(what: str) -> None:
    wait(f"{what} to be gone", lambda: not find_group(), lambda: "it is still being deleted")


def trust() -> dict[str, Any]:
    """Scheduler, for schedules of this group only: https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html"""
    trusted, group_arn = roles.trust("scheduler"), aws.arn("scheduler", f"schedule-group/{its_name()}")
    trusted["Statement"][0]["Condition"]["StringEquals"]["aws:SourceArn"] = group_arn
    return trusted


def policy() -> dict[str, Any]:
    """Starting any revision of that one task definition, in that cluster, with its tags and its two roles."""
    definitions, tasks = f"task-definition/{sync.family()}:*", f"task/{constants.CLUSTER_NAME}/*"
    there = {"ArnEquals": {"ecs:cluster": aws.arn("ecs", f"cluster/{constants.CLUSTER_NAME}")}}
    at_start = {"StringEquals": {"ecs:CreateAction": "RunTask"}}
    its_roles = [roles.find().task_execution_role_arn, roles.named(sync.ROLE)]
    return roles.document(
        {"Action": "ecs:RunTask", "Resource": aws.arn("ecs", definitions), "Condition": there},
        {"Action": "ecs:TagResource", "Resource": aws.arn("ecs", tasks), "Condition": at_start},
        {"Action": "iam:PassRole", "Resource": its_roles, "Condition": roles.passed_to_tasks()},
    )


def target(task_definition_arn: str, where: Any, role_arn: str) -> dict[str, Any]:
    """What is started: the task that sync_weights.py starts, on Fargate, and in the same network."""
    parameters: dict[str, Any] = {
        "TaskDefinitionArn": task_definition_arn,
        "TaskCount": 1,
        "LaunchType": "FARGATE",
        "EnableECSManagedTags": True,
        "PropagateTags": "TASK_DEFINITION",
    }
    inner = {key[0].upper() + key[1:]: value for key, value in where["awsvpcConfiguration"].items()}  # its own capitals
    parameters["NetworkConfiguration"] = {"awsvpcConfiguration": inner}
    cluster_arn = aws.arn("ecs", f"cluster/{constants.CLUSTER_NAME}")
    return {"Arn": cluster_arn, "RoleArn": role_arn, "EcsParameters": parameters, "RetryPolicy": RETRY}


def delete() -> None:
    """The schedule first, so that it starts nothing more; then its group, which takes a while, and its role."""
    group, what = find_group(), f"schedule group {its_name()}"
    scheduler, busy = client("scheduler"), "ConflictException"
    if group and not aws.spare_foreign(what, group):
        if group["State"] != "DELETING" and find():
            call(scheduler.delete_schedule, of=group, gone=NOT_THERE)(GroupName=its_name(), Name=its_name())
            say("deleted", f"schedule {its_name()}")
        if group["State"] != "DELETING":
            call(scheduler.delete_schedule_group, what, of=group, gone=NOT_THERE, busy=busy)(Name=its_name())
        wait_gone(what)
        say("deleted", what)
    if roles.role(ROLE)():
        roles.delete_role(ROLE)


def left_over() -> list[aws.Resource]:
    group, what = find_group(), f"schedule group {its_name()} with its schedule"
    return [*([aws.resource(what, group["Arn"], group)] if mine(group) else []), *roles.roles_left(ROLE)]
