"""CloudWatch Logs checks names and retention, keeps protected groups, and shows the lines that tasks write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.core.wire import Emulator
from emulator.logs import log_groups as emulated_logs

Client = Callable[[str], Any]


@pytest.fixture
def logs(client: Client) -> Any:
    return client("logs")


def refused(call: Callable[..., Any], **kwargs: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**kwargs)
    return str(error.value.response["Error"]["Code"])


def test_a_log_group_exists_once(logs: Any) -> None:
    logs.create_log_group(logGroupName="/ecs/app", tags={"Project": "x"})
    assert refused(logs.create_log_group, logGroupName="/ecs/app") == "ResourceAlreadyExistsException"
    arn = logs.describe_log_groups()["logGroups"][0]["logGroupArn"]
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"Project": "x"}


@pytest.mark.parametrize("name", ["aws/mine", "with space", "x" * 513, "a:b"])
def test_names_of_log_groups_are_checked(logs: Any, name: str) -> None:
    assert refused(logs.create_log_group, logGroupName=name) == "InvalidParameterException"


def test_only_the_retention_times_of_the_list_are_taken(logs: Any) -> None:
    logs.create_log_group(logGroupName="g")
    assert refused(logs.put_retention_policy, logGroupName="g", retentionInDays=42) == "InvalidParameterException"
    logs.put_retention_policy(logGroupName="g", retentionInDays=30)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 30
    assert refused(logs.put_retention_policy, logGroupName="h", retentionInDays=30) == "ResourceNotFoundException"


def test_a_protected_group_is_not_deleted(logs: Any) -> None:
    logs.create_log_group(logGroupName="g", deletionProtectionEnabled=True)
    assert logs.describe_log_groups()["logGroups"][0]["deletionProtectionEnabled"] is True
    assert refused(logs.delete_log_group, logGroupName="g") == "ValidationException"
    logs.put_log_group_deletion_protection(logGroupIdentifier="g", deletionProtectionEnabled=False)
    logs.delete_log_group(logGroupName="g")
    assert refused(logs.delete_log_group, logGroupName="g") == "ResourceNotFoundException"


def test_lines_that_are_written_can_be_read(emulator: Emulator, logs: Any) -> None:
    logs.create_log_group(logGroupName="g")
    emulated_logs.write(emulator.world, "us-east-1", "g", "task/1", ["one", "two"])
    events = logs.get_log_events(logGroupName="g", logStreamName="task/1", startFromHead=True)["events"]
    assert [event["message"] for event in events] == ["one", "two"]
    emulator.world.clock.skip(5)
    found = logs.filter_log_events(logGroupName="g", filterPattern="two")["events"]
    assert [event["message"] for event in found] == ["two"]


def test_a_writer_recreates_a_deleted_group_only_if_it_may(emulator: Emulator, logs: Any) -> None:
    emulated_logs.write(emulator.world, "us-east-1", "g", "s", ["lost"])
    assert not emulated_logs.group_exists(emulator.world, "us-east-1", "g")
    emulated_logs.write(emulator.world, "us-east-1", "g", "s", ["kept"], create_group=True)
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == ["g"]


def test_filter_log_events_takes_names_or_a_prefix_and_knows_only_streams_that_are_there(logs: Any) -> None:
    """moto takes no prefix at all."""
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="web/web/1")
    assert refused(logs.filter_log_events, logGroupName="h") == "ResourceNotFoundException"
    assert (
        refused(logs.filter_log_events, logGroupName="g", logStreamNames=["web/web/2"]) == "ResourceNotFoundException"
    )
    both = {"logStreamNames": ["web/web/1"], "logStreamNamePrefix": "web"}
    assert refused(logs.filter_log_events, logGroupName="g", **both) == "InvalidParameterException"
    assert logs.filter_log_events(logGroupName="g", logStreamNamePrefix="web/web/2")["events"] == []


def test_a_line_can_be_read_some_seconds_after_it_was_written(emulator: Emulator, logs: Any) -> None:
    logs.create_log_group(logGroupName="g")
    emulated_logs.write(emulator.world, "us-east-1", "g", "task/1", ["one"])
    assert logs.filter_log_events(logGroupName="g")["events"] == []
    written = int(emulator.world.now() * 1000)
    emulator.world.clock.skip(5)
    [event] = logs.filter_log_events(logGroupName="g", startTime=written)["events"]
    assert (event["message"], event["timestamp"], event["logStreamName"]) == ("one", written, "task/1")
    assert logs.filter_log_events(logGroupName="g", startTime=written + 1)["events"] == []


def test_the_first_page_of_a_long_log_is_empty_and_has_a_next_one(
    emulator: Emulator, logs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulated_logs, "PAGE", 2)
    logs.create_log_group(logGroupName="g")
    emulated_logs.write(emulator.world, "us-east-1", "g", "task/1", ["one", "two", "three"])
    emulator.world.clock.skip(5)
    pages = [
        [each["message"] for each in page["events"]]
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName="g")
    ]
    assert pages == [[], ["one", "two"], ["three"]]
