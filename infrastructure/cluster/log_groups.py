"""CloudWatch log groups: made before anything writes, so that they keep what they get for as long as the settings say.

Where one is missing, its writer dies at its start, or makes it by itself, and then it keeps its logs for ever. A group
costs what is stored in it. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html
"""

import functools
from typing import Any

import aws
import console
import constants
from aws import Resource, call, client, every, mine, refuse_foreign, resource, tags_of
from console import say

#: with what AWS lets their names begin: those of containers and hosts, of builds, of a pipeline's commands
CONTAINERS, BUILDS, COMMANDS = "/ecs", "/aws/codebuild", "/aws/codepipeline"
GONE, BUSY = "ResourceNotFoundException", "OperationAbortedException"


@functools.cache
def groups(kind: str) -> aws.look[dict[str, Any]]:
    """The look at one kind: name -> group with its tags, of all whose names begin as ours do."""
    return aws.look(lambda: read_groups(f"{kind}/{constants.PREFIX}"))


def read_groups(prefix: str) -> dict[str, Any]:
    """AWS tells tags group by group."""
    logs = client("logs")
    listed = every(logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix), "logGroups")
    list_tags = call(logs.list_tags_for_resource, gone=GONE)
    told = aws.side_by_side(lambda each: list_tags(resourceArn=arn(each["logGroupName"])), listed)
    return {
        each["logGroupName"]: {**each, "tags": its_tags["tags"] if its_tags else {}}
        for each, its_tags in zip(listed, told, strict=True)
    }


def kind_of(name: str) -> str:
    return next(kind for kind in (CONTAINERS, BUILDS, COMMANDS) if name.startswith(f"{kind}/"))


def find(name: str) -> Any | None:
    return groups(kind_of(name))().get(name)


def make(*names: str) -> None:
    """Make them, and set for how many days they keep what they get."""
    logs, days = client("logs"), constants.LOG_RETENTION_DAYS
    for name in names:
        what, known = f"log group {name}", groups(kind_of(name))()
        group = known.get(name)
        refuse_foreign(what, group)
        if group:
            say("found", what)
        else:
            group = make_one(name)
        if group.get("retentionInDays") != days:
            put = call(logs.put_retention_policy, what, of=group, busy=(BUSY, GONE))
            put(logGroupName=name, retentionInDays=days)
            say("updated", what, f"keeps {days} days")
        if not console.dry_run:
            groups(kind_of(name)).learn({**known, name: {**group, "retentionInDays": days}})


def make_one(name: str) -> Any:
    what, its_tags = f"log group {name}", tags_of(aws.endpoint_tags())
    create = call(client("logs").create_log_group, what, there="ResourceAlreadyExistsException", busy=BUSY)
    made = create(logGroupName=name, tags=its_tags) is not None
    say("created" if made else "found", what)
    return {"tags": its_tags} if made else aws.listed(what, lambda: find(name))


def remove(*names: str) -> None:
    """With what they have kept. After all that writes to them: it would make them again."""
    for name, group in {name: find(name) for name in names}.items():
        what = f"log group {name}"
        if not group:
            say("already gone", what)
        elif not aws.spare_foreign(what, group):
            call(client("logs").delete_log_group, what, of=group, gone=GONE, busy=BUSY)(logGroupName=name)
            say("deleted", what)


def left_over(*names: str) -> list[Resource]:
    found = {name: find(name) for name in names}
    return [resource(f"log group {name}", arn(name), group) for name, group in found.items() if mine(group)]


def arn(name: str) -> str:
    return aws.arn("logs", f"log-group:{name}")
