"""CloudWatch log groups: made before anything writes, so that they keep what they get for as long as the settings say.

Where one is missing, its writer dies at its start, or makes it by itself, and then it keeps its logs for ever. A group
costs what is stored in it. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html
"""

import functools
from typing import Any

import aws
import constants
from aws import Resource, call, client, every, mine, refuse_foreign, resource, tags_of
from console import say

#: with what AWS lets their names begin: those of containers and hosts, of builds, of a pipeline's commands
ALL = CONTAINERS, BUILDS, COMMANDS = "/ecs", "/aws/codebuild", "/aws/codepipeline"
GONE, BUSY = "ResourceNotFoundException", "OperationAbortedException"


@functools.cache
def groups(kind: str) -> aws.look[dict[str, Any]]:
    """The look at one kind: name -> group, of all whose names begin as ours do; those of a cluster's endpoints too."""
    return aws.look(lambda: read_groups(f"{kind}/{constants.PREFIX}"))


def read_groups(prefix: str) -> dict[str, Any]:
    pages = client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    return {each["logGroupName"]: each for each in every(pages, "logGroups")}


@functools.cache
def its_tags(name: str) -> aws.look[dict[str, str]]:
    """AWS tells tags group by group."""
    return aws.look(lambda: read_tags(name))


def read_tags(name: str) -> dict[str, str]:
    found = call(client("logs").list_tags_for_resource, gone=GONE)(resourceArn=arn(name))
    return found["tags"] if found else {}


def find(name: str) -> Any | None:
    """The group with its tags."""
    kind = next(kind for kind in ALL if name.startswith(f"{kind}/"))
    group = groups(kind)().get(name)
    return {**group, "tags": its_tags(name)()} if group else None


def find_all(*names: str) -> dict[str, Any]:
    return dict(zip(names, aws.side_by_side(find, names), strict=True))


def make(*names: str) -> None:
    """Make them, and set for how many days they keep what they get."""
    logs, days, present = client("logs"), constants.LOG_RETENTION_DAYS, find_all(*names)
    for name, group in present.items():
        what = f"log group {name}"
        refuse_foreign(what, group)
        if group:
            say("found", what)
        else:
            group = make_one(name)
        if group.get("retentionInDays") != days:
            put = call(logs.put_retention_policy, what, of=group, busy=(BUSY, GONE))
            put(logGroupName=name, retentionInDays=days)
            say("updated", what, f"keeps {days} days")


def make_one(name: str) -> Any:
    what, its_tags = f"log group {name}", tags_of(aws.endpoint_tags())
    create = call(client("logs").create_log_group, what, there="ResourceAlreadyExistsException", busy=BUSY)
    made = create(logGroupName=name, tags=its_tags) is not None
    say("created" if made else "found", what)
    return {"tags": its_tags} if made else aws.listed(what, lambda: find(name))


def remove(*names: str) -> None:
    """With what they have kept. After all that writes to them: it would make them again."""
    present = find_all(*names)

    def remove_one(name: str) -> None:
        what, group = f"log group {name}", present[name]
        if not group:
            say("already gone", what)
        elif not aws.spare_foreign(what, group):
            call(client("logs").delete_log_group, what, of=group, gone=GONE, busy=BUSY)(logGroupName=name)
            say("deleted", what)

    aws.side_by_side(remove_one, names)


def left_over(*names: str) -> list[Resource]:
    found = find_all(*names)
    return [resource(f"log group {name}", arn(name), group) for name, group in found.items() if mine(group)]


def arn(name: str) -> str:
    return aws.arn("logs", f"log-group:{name}")
