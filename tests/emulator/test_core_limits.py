"""A call is refused for a text that is too long or has other characters than its service's model allows."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.wire import Emulator
from tests.emulator.common import Client, refused

TOO_LONG: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "a role's description": (
        *("iam", "create_policy", {"PolicyName": "p", "PolicyDocument": "{}", "Description": "d" * 1001}),
        "ValidationError",
    ),
    "a name of a bastion's group": (
        *("autoscaling", "create_auto_scaling_group"),
        {"AutoScalingGroupName": "g" * 256, "MinSize": 0, "MaxSize": 1},
        "ValidationError",
    ),
    "a certificate's token": (
        *("acm", "request_certificate", {"DomainName": "a.example.com", "IdempotencyToken": "t" * 33}),
        "ValidationException",
    ),
    "a repository's name": ("ecr", "create_repository", {"repositoryName": "r" * 257}, "InvalidParameterException"),
    "an alarm's name": ("cloudwatch", "delete_alarms", {"AlarmNames": ["a" * 256]}, "ValidationError"),
}
OTHER_CHARACTERS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "a repository's name": ("ecr", "create_repository", {"repositoryName": "Team/app"}, "InvalidParameterException"),
    "a log group's name": ("logs", "create_log_group", {"logGroupName": "/ecs/a b"}, "InvalidParameterException"),
    "a pipeline's name": ("codepipeline", "start_pipeline_execution", {"name": "a/b"}, "ValidationException"),
    "a file system's id": ("efs", "create_access_point", {"FileSystemId": "fs-1"}, "BadRequest"),
}


@pytest.mark.parametrize(("service", "operation", "given", "code"), TOO_LONG.values(), ids=TOO_LONG)
def test_what_is_too_long_is_refused(
    client: Client, service: str, operation: str, given: dict[str, Any], code: str
) -> None:
    assert refused(getattr(client(service), operation), **given) == code


@pytest.mark.parametrize(("service", "operation", "given", "code"), OTHER_CHARACTERS.values(), ids=OTHER_CHARACTERS)
def test_other_characters_are_refused(
    client: Client, service: str, operation: str, given: dict[str, Any], code: str
) -> None:
    assert refused(getattr(client(service), operation), **given) == code


def test_a_refused_call_has_changed_nothing(emulator: Emulator, client: Client) -> None:
    assert refused(client("logs").create_log_group, logGroupName="g" * 513) == "InvalidParameterException"
    assert client("logs").describe_log_groups()["logGroups"] == []
    assert emulator.calls[-2] == ("logs", "CreateLogGroup", "InvalidParameterException")
