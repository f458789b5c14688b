"""What the containers of tasks have written, from CloudWatch Logs: all containers, in order of time, no line twice.

A line can be read some seconds after it was written, and lines of another container may come before it. So each look goes
back over LATE_SECONDS, and what was told is known by its id.
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

import heapq
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple

import aws
import console
import constants
from aws import call, client
from infrastructure.cluster import log_groups
from infrastructure.service import task_definitions, tasks

#: how far back each look goes for lines that come late; AWS gives no bound
LATE_SECONDS = 60
#: after the end of a task its last lines are there: the driver sends what it has every five seconds
LAST_SECONDS = 10


class Stream(NamedTuple):
    """Where one container of a task writes."""

    group: str
    name: str
    label: str  # the container's name; of several tasks the task's id before it


@dataclass
class Told:
    """What of the logs was told so far, and of which lines: from `since` on (seconds since 1970), that match `pattern`."""

    since: float = 0
    pattern: re.Pattern[str] = re.compile("")
    show: Callable[[str, str, str], None] = console.log
    newest: int = 0  # in milliseconds, as AWS has it
    seen: dict[str, int] = field(default_factory=dict)  # an event's id -> its time
    lines: int = 0
    goes_on: bool = False  # one of the tasks had not stopped at the last look
    definitions: dict[str, Any] = field(default_factory=dict)


def follow(told: Told, found: list[Any]) -> None:
    """Tell what is new in the logs of these tasks; when the last of them has just ended, also what comes late."""
    tell(told, found)
    went_on, told.goes_on = told.goes_on, any(task["lastStatus"] != "STOPPED" for task in found)
    if went_on and not told.goes_on:
        aws.pause(LAST_SECONDS)
        tell(told, found)


def tell(told: Told, found: list[Any]) -> None:
    """What was not told yet. Streams are merged as they are read: a long log is never held as a whole."""
    begin = max(int(told.since * 1000), told.newest - LATE_SECONDS * 1000)
    told.seen = {event_id: at for event_id, at in told.seen.items() if at >= begin}
    read = [events(stream, begin) for stream in streams(told, found)]
    for at, event_id, label, message in heapq.merge(*read, key=lambda event: event[0]):
        if event_id in told.seen:
            continue
        told.seen[event_id], told.newest = at, max(at, told.newest)
        if told.pattern.search(message):
            told.lines += 1
            told.show(in_words(at), label, message)


def events(stream: Stream, begin: int) -> Iterator[tuple[int, str, str, str]]:
    """In order of time, page by page. By a prefix: one that is not there yet has no events, by its name it is an error."""
    read: Any = call(client("logs").filter_log_events, gone=log_groups.GONE)
    request: dict[str, Any] = {"logGroupName": stream.group, "logStreamNamePrefix": stream.name, "startTime": begin}
    while page := read(**request):
        for event in page["events"]:
            yield event["timestamp"], event["eventId"], stream.label, event["message"].rstrip("\r\n")
        if not page.get("nextToken"):
            break
        request["nextToken"] = page["nextToken"]


def streams(told: Told, found: list[Any]) -> list[Stream]:
    """By each task's own definition; a container that writes elsewhere has none.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
    """
    listed = []
    for task in found:
        arn, task_id = task["taskDefinitionArn"], tasks.task_id(task["taskArn"])
        if arn not in told.definitions:
            told.definitions[arn] = task_definitions.definition(arn) or {}
        for each in told.definitions[arn].get("containerDefinitions", []):
            options = each.get("logConfiguration", {}).get("options", {})
            label = each["name"] if len(found) == 1 else f"{task_id[:8]}/{each['name']}"
            if "awslogs-group" in options and (prefix := options.get("awslogs-stream-prefix")):
                listed.append(Stream(options["awslogs-group"], f"{prefix}/{each['name']}/{task_id}", label))
    return listed


def chosen(task: str) -> list[Any]:
    """The task that was named; else those of the family that are to run; else the one that stopped last, within the hour."""
    if task:
        found = tasks.describe([task])
    else:
        found = tasks.find(family=constants.TASK_FAMILY) or tasks.find("STOPPED", family=constants.TASK_FAMILY)
        newest = sorted(found, key=lambda each: each["createdAt"])
        found = newest if any(map(tasks.goes_on, newest)) else newest[-1:]
    if not found:
        which = f"task {task}" if task else f"task of {constants.TASK_FAMILY}"
        lists = f"list_tasks.py lists those that there are in cluster {constants.CLUSTER_NAME}"
        raise aws.Problem(f"there is no {which}; AWS forgets a stopped one after an hour: {lists}")
    return found


def ago(seconds: float) -> float:
    return aws.now().timestamp() - seconds


def in_words(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
