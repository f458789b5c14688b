"""CloudWatch log groups: made before anything writes, so that they keep what they get for as long as the settings say.

Where one is missing, its writer dies at its start, or makes it by itself, and then it keeps its logs for ever. A group
costs what is stored in it. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html
"""

from typing import Any

import aws
import constants
from aws import Resource, call, client, endpoint_tags, every, mine, part, refuse_foreign, spare_foreign, tags_of, wait
from console import say

#: with what AWS lets their names begin: those of containers and hosts, of builds, of a pipeline's commands
KINDS = ("/ecs", "/aws/codebuild", "/aws/codepipeline")
GONE, BUSY = "ResourceNotFoundException", "OperationAbortedException"


@aws.look
def groups() -> dict[str, Any]:
    """Name -> group with its tags, of all whose names begin as ours do; AWS tells tags group by group."""
    logs = client("logs")
    pages = logs.get_paginator("describe_log_groups")
    list_tags = call(logs.list_tags_for_resource, gone=GONE)
    found: dict[str, Any] = {}
    for kind in KINDS:
        for each in every(pages.paginate(logGroupNamePrefix=f"{kind}/{constants.PREFIX}"), "logGroups"):
            told = list_tags(resourceArn=arn(each["logGroupName"]))
            found[each["logGroupName"]] = {**each, "tags": told["tags"] if told else {}}
    return found


def find(name: str) -> Any | None:
    return groups().get(name)


def make(*names: str) -> None:
    """Make them, and set for how many days they keep what they get."""
    present = groups()
    for name in names:
        make_one(name, present.get(name))


def make_one(name: str, group: Any | None) -> None:
    logs, what = client("logs"), f"log group {name}"
    if group:
        refuse_foreign(what, group)
        say("found", what)
    else:
        create_log_group = call(logs.create_log_group, what, there="ResourceAlreadyExistsException", busy=BUSY)
        its_tags = tags_of(endpoint_tags())
        made = create_log_group(logGroupName=name, tags=its_tags) is not None
        say("created" if made else "found", what)
        group = (
            {"tags": its_tags} if made else wait(what, lambda: groups().get(name, {}), lambda: "AWS does not list it")
        )
        refuse_foreign(what, group)
    if group.get("retentionInDays") != constants.LOG_RETENTION_DAYS:
        put_retention_policy = call(logs.put_retention_policy, what, of=group, busy=(BUSY, GONE))
        put_retention_policy(logGroupName=name, retentionInDays=constants.LOG_RETENTION_DAYS)
        say("updated", what, f"keeps {constants.LOG_RETENTION_DAYS} days")


def remove(*names: str) -> None:
    """With what they have kept. After all that writes to them: it would make them again."""
    present = groups()
    for name in names:
        what, group = f"log group {name}", present.get(name)
        if not group:
            say("already gone", what)
        elif not spare_foreign(what, group):
            call(client("logs").delete_log_group, what, of=group, gone=GONE, busy=BUSY)(logGroupName=name)
            say("deleted", what)


def left_over(*names: str) -> list[Resource]:
    return [
        Resource(f"log group {name}", arn(name), tags_of(group), part(group))
        for name, group in groups().items()
        if name in names and mine(group)
    ]


def arn(name: str) -> str:
    return aws.arn("logs", f"log-group:{name}")
