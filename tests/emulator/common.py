"""What the tests of several services ask for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.core.wire import Emulator

Client = Callable[[str], Any]


def sleep(emulator: Emulator, seconds: float) -> None:
    emulator.world.clock.sleep(seconds)  # type: ignore[attr-defined]


def refused(call: Callable[..., Any], **kwargs: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**kwargs)
    return str(error.value.response["Error"]["Code"])


def role(emulator: Emulator, client: Client, service: str, name: str = "builder", source: str = "") -> str:
    """A role that a service, or some, may use, spread already; for the account `source` alone, where one is given."""
    statement: Any = {"Effect": "Allow", "Principal": {"Service": service.split()}, "Action": "sts:AssumeRole"}
    if source:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": source}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    use = {
        "Effect": "Allow",
        "Action": ["codestar-connections:UseConnection", "s3:*", "ecr:*", "codebuild:*", "logs:*"],
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [use]})
    client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
    sleep(emulator, 30)
    return str(arn)


def change(client: Client, zone: str, *changes: tuple[str, Any]) -> Any:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record} for action, record in changes]}
    return client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]


def record(name: str, value: str, kind: str = "A", ttl: int = 60) -> Any:
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value}]}


def project(role_arn: str, buildspec: str = "version: 0.2", **changes: Any) -> dict[str, Any]:
    environment = {
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/standard:7.0",
        "computeType": "BUILD_GENERAL1_SMALL",
        "privilegedMode": True,
        **changes,
    }
    return {
        "name": "app",
        "source": {"type": "NO_SOURCE", "buildspec": buildspec},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": environment,
        "serviceRole": role_arn,
    }


def alarm(client: Client, name: str, **changes: Any) -> None:
    settings = {"EvaluationPeriods": 1, "Period": 60, "Threshold": 1.0, "Statistic": "Sum", **changes}
    client("cloudwatch").put_metric_alarm(
        AlarmName=name, ComparisonOperator="GreaterThanThreshold", MetricName="m", Namespace="n", **settings
    )


def action(category: str, provider: str, **configuration: str) -> dict[str, Any]:
    kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {"name": category, "actionTypeId": kind, "configuration": configuration, "runOrder": 1}
