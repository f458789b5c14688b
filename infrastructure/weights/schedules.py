"""The schedules that start tasks in the cluster, each endpoint's own: disabled for a pause, and enabled again.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-state.html
"""

from typing import Any

import aws
import constants
from aws import call, client, every
from console import say
from infrastructure.cluster import costs
from infrastructure.cluster.prices import ITEMS
from infrastructure.cluster.regions import offered
from infrastructure.weights import copy_task
from infrastructure.weights.schedule import NOT_THERE

#: what AWS tells of a schedule, and takes in no call
TOLD = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")


@aws.shared_look
def listed() -> list[Any]:
    """Those whose target is the cluster, in groups of ours, with their group's tags."""
    if not offered("scheduler"):
        return []
    scheduler, its_cluster = client("scheduler"), aws.arn("ecs", f"cluster/{constants.CLUSTER_NAME}")
    found = every(scheduler.get_paginator("list_schedules").paginate(), "Schedules")
    own = [each for each in found if each.get("Target", {}).get("Arn") == its_cluster]
    names = sorted({each["GroupName"] for each in own})
    its_tags = dict(zip(names, aws.side_by_side(tags_of_group, names), strict=True))
    with_tags = [{**each, "Tags": its_tags[each["GroupName"]]} for each in own]
    return [each for each in with_tags if aws.ours(each)]


def tags_of_group(its_name: str) -> list[Any]:
    """A schedule can bear no tags, its group can."""
    read = call(client("scheduler").list_tags_for_resource, gone=NOT_THERE)
    found = read(ResourceArn=aws.arn("scheduler", f"schedule-group/{its_name}"))
    return [*found["Tags"]] if found else []


LOOKS = (listed,)


def seen() -> dict[str, Any]:
    return {"schedules": [each["Name"] for each in listed() if each["State"] == "ENABLED"]}


def priced() -> costs.Rows:
    """What their tasks cost: each is paid for by the second, and how long one takes no one knows before."""
    count = len(seen()["schedules"])
    sizes = {"vCPU": copy_task.CPU / 1024, "GB": copy_task.MEMORY / 1024} if count else {}
    arm = " on ARM" if constants.CPU_ARCHITECTURE == "ARM64" else ""
    return [
        costs.Row(f"{size:g} {key} of each sync by {count} schedules", ITEMS[key + arm], costs.BY_USE)
        for key, size in sizes.items()
    ]


def take() -> None:
    for each in listed():
        put(each, "DISABLED")


def bring_back(ran: dict[str, Any]) -> None:
    """Only what was enabled."""
    for each in listed():
        if each["Name"] in ran["schedules"]:
            put(each, "ENABLED")


def put(each: Any, state: Any) -> None:
    """UpdateSchedule replaces the whole: what it does not name would be as in a new one."""
    what = f"schedule {each['Name']}"
    if each["State"] == state:
        return
    scheduler = client("scheduler")
    found = call(scheduler.get_schedule, gone=NOT_THERE)(GroupName=each["GroupName"], Name=each["Name"])
    if not found:
        return
    kept: Any = {key: value for key, value in found.items() if key not in TOLD}
    call(scheduler.update_schedule, what, of=each, gone=NOT_THERE)(**kept | {"State": state})
    say("updated", what, str(state))
