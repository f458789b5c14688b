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
ALL = CONTAINERS, BUILDS, COMMANDS = "/ecs", "/aws/codebuild", "/aws/codepipeline"
GONE, BUSY = "ResourceNotFoundException", "OperationAbortedException"


@functools.cache
def groups(kind: str) -> aws.look[dict[str, Any]]:
    """The look at one kind: name -> group, of all whose names begin as ours do."""
    return aws.look(lambda: read_groups(f"{kind}/{constants.PREFIX}"))


def read_groups(prefix: str) -> dict[str, Any]:
    listed = every(client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix), "logGroups")
    return {each["logGroupName"]: each for each in listed}


@functools.cache
def group(name: str) -> aws.look[Any | None]:
    """The look at one group with its tags: AWS tells these group by group."""
    return aws.look(lambda: read_group(name))


def read_group(name: str) -> Any | None:
    found = groups(kind_of(name))().get(name)
    told = call(client("logs").list_tags_for_resource, gone=GONE)(resourceArn=arn(name)) if found else None
    return {**found, "tags": told["tags"] if told else {}} if found else None


def kind_of(name: str) -> str:
    return next(kind for kind in ALL if name.startswith(f"{kind}/"))


def find(name: str) -> Any | None:
    return group(name)()


def find_all(*names: str) -> dict[str, Any]:
    """Those of these names that there are."""
    found = zip(names, aws.side_by_side(find, names), strict=True)
    return {name: each for name, each in found if each}


def make(*names: str) -> None:
    """Make them, and set for how many days they keep what they get."""
    logs, days, known = client("logs"), constants.LOG_RETENTION_DAYS, {name: find(name) for name in names}
    listed = {kind: groups(kind)() for kind in map(kind_of, names)}
    for name, found in known.items():
        what = f"log group {name}"
        refuse_foreign(what, found)
        if found:
            say("found", what)
        else:
            found = make_one(name)
        if found.get("retentionInDays") != days:
            put = call(logs.put_retention_policy, what, of=found, busy=(BUSY, GONE))
            put(logGroupName=name, retentionInDays=days)
            say("updated", what, f"keeps {days} days")
        known[name] = {**found, "retentionInDays": days}
    for name in names if not console.dry_run else ():
        listed[kind_of(name)][name] = known[name]
        groups(kind_of(name)).learn(listed[kind_of(name)])
        group(name).learn(known[name])


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
        what, found = f"log group {name}", present.get(name)
        if found and not aws.spare_foreign(what, found):
            call(client("logs").delete_log_group, what, of=found, gone=GONE, busy=BUSY)(logGroupName=name)
            say("deleted", what)

    aws.side_by_side(remove_one, names)


def left_over(*names: str) -> list[Resource]:
    found = find_all(*names)
    return [resource(f"log group {name}", arn(name), group) for name, group in found.items() if mine(group)]


def arn(name: str) -> str:
    return aws.arn("logs", f"log-group:{name}")
