"""CloudWatch Logs: on moto, which checks less than AWS; and the door through which tasks and builds write their lines.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from moto.logs.models import logs_backends

from emulator.core import rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.tags import Tags, bearer
from emulator.core.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "logs-001": "A log group's name is checked, and the same name again is ResourceAlreadyExistsException.",
        "logs-002": "Only the retention times of AWS's own list are taken.",
        "logs-003": "A deleted group comes back if something that may create it still writes; deletion protection "
        "refuses the delete.",
        "logs-filter": "FilterLogEvents is told names of streams or a prefix, not both; a stream that is not there yet is "
        "ResourceNotFoundException by its name, and nothing by a prefix. Pages may be empty and have a next one.",
        "logs-late": "What a container writes can be read some seconds later, with the time at which it was written.",
    }
)

#: events in a page at most, and the seconds until a container's line can be read. AWS gives no figure for these: the
#: driver sends what it has every five seconds, https://docs.docker.com/engine/logging/drivers/awslogs/
PAGE, LATE_SECONDS = 10_000, 5
RETENTION = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


def _protected(call: Call) -> set[str]:
    """The names of the log groups that must not be deleted."""
    state: dict[str, set[str]] = call.world.state["logs"]
    return state.setdefault(call.region, set())


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[.\-_/#A-Za-z0-9]{1,512}", name):
        raise AwsError(
            "InvalidParameterException",
            f"1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+, and have a length of at most 512",
        )
    if name.startswith("aws/"):
        raise AwsError("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS.")


@on("logs", "CreateLogGroup", rules="logs-001")
def create_log_group(call: Call) -> Params:
    _check_name(call.params["logGroupName"])
    protected = call.params.get("deletionProtectionEnabled")
    answer = call.proceed(deletionProtectionEnabled=None)
    made: Any = logs_backends[ACCOUNT][call.region].groups[call.params["logGroupName"]]
    made.creation_time = call.world.timestamp().replace(tzinfo=None)
    if protected:
        _protected(call).add(call.params["logGroupName"])
    return answer


@on("logs", "PutRetentionPolicy", rules="logs-002")
def put_retention_policy(call: Call) -> Params:
    """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""
    days = call.params["retentionInDays"]
    if days not in RETENTION:
        raise AwsError(
            "InvalidParameterException",
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(map(str, RETENTION))}]",
        )
    return call.proceed()


@on("logs", "PutLogGroupDeletionProtection", rules="logs-003")
def put_log_group_deletion_protection(call: Call) -> Params:
    name = _name(call.params["logGroupIdentifier"])
    if not group_exists(call.world, call.region, name):
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
    if call.params["deletionProtectionEnabled"]:
        _protected(call).add(name)
    else:
        _protected(call).discard(name)
    return {}


def _name(identifier: str) -> str:
    """A log group's name from its name or ARN."""
    return identifier.partition(":log-group:")[2].removesuffix(":*") if ":log-group:" in identifier else identifier


@on("logs", "DeleteLogGroup", rules="logs-003")
def delete_log_group(call: Call) -> Params:
    name = call.params["logGroupName"]
    if name in _protected(call) and group_exists(call.world, call.region, name):
        raise AwsError(
            "ValidationException",
            f"The log group '{name}' cannot be deleted because deletion protection is enabled. "
            "Disable deletion protection first.",
        )
    return call.proceed()


@on("logs", "DescribeLogGroups")
def describe_log_groups(call: Call) -> Params:
    answer = call.proceed()
    for group in answer["logGroups"]:
        group.setdefault("logGroupClass", "STANDARD")
        group["deletionProtectionEnabled"] = group["logGroupName"] in _protected(call)
    return answer


# --- reading


@on("logs", "FilterLogEvents", rules="logs-filter logs-late")
def filter_log_events(call: Call) -> Params:
    """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"""
    asked, backend = call.params, logs_backends[ACCOUNT][call.region]
    names, prefix = asked.get("logStreamNames"), asked.get("logStreamNamePrefix")
    if names and prefix:
        told = "Parameters 'logStreamNames' and 'logStreamNamePrefix' are mutually exclusive."
        raise AwsError("InvalidParameterException", told)
    group = backend.groups.get(_name(asked.get("logGroupName") or asked.get("logGroupIdentifier") or ""))
    if group is None:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
    if any(name not in group.streams for name in names or ()):
        raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
    streams: dict[str, Any] = {
        name: stream
        for name, stream in group.streams.items()
        if name in (names or [name]) and name.startswith(prefix or "")
    }
    first, last, pattern = asked.get("startTime") or 0, asked.get("endTime") or 2**63, asked.get("filterPattern") or ""
    now = call.world.now() * 1000
    found = [
        {**event, "logStreamName": name}
        for name, stream in streams.items()
        for event in stream.filter_log_events(first, last, pattern)
        if event["ingestionTime"] <= now
    ]
    found.sort(key=lambda event: (event["timestamp"], event["ingestionTime"], int(event["eventId"])))
    return _page(found, asked)


def _page(found: list[Params], asked: Params) -> Params:
    """One page of the events: the first of what is long is empty, as AWS may answer while it still searches."""
    begin, limit = int(asked.get("nextToken") or -1), asked.get("limit") or PAGE
    if begin < 0 and len(found) > limit:
        return {"events": [], "searchedLogStreams": [], "nextToken": "0"}
    begin = max(begin, 0)
    more = {"nextToken": str(begin + limit)} if len(found) > begin + limit else {}
    return {"events": found[begin : begin + limit], "searchedLogStreams": [], **more}


# --- for tasks and builds


def group_exists(world: World, region: str, name: str) -> bool:
    """Is there such a log group?"""
    return name in logs_backends[ACCOUNT][region].groups


def create(region: str, name: str) -> None:
    """Make a log group, as a driver does that may."""
    backend: Any = logs_backends[ACCOUNT][region]
    backend.create_log_group(name, {})


def write(world: World, region: str, group: str, stream: str, lines: list[str], *, create_group: bool = False) -> None:
    """Write lines into a stream, which is made when it is missing; the group only for a writer that may create it."""
    backend: Any = logs_backends[ACCOUNT][region]
    if group not in backend.groups:
        if not create_group:
            return
        create(region, group)
    if stream not in backend.groups[group].streams:
        backend.create_log_stream(group, stream)
    now = int(world.now() * 1000)
    events = [{"timestamp": now, "message": line} for line in lines]
    if events:
        kept = backend.groups[group].streams[stream]
        kept.put_log_events(events)
        for event in kept.events[-len(events) :]:
            event.ingestion_time = now + int(1000 * world.clock.delay(LATE_SECONDS))


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    found: Any = logs_backends[ACCOUNT].get(region)
    for group in found.groups.values() if found else ():
        yield group.arn, found.tagger.get_tag_dict_for_resource(group.arn)
