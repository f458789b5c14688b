"""EventBridge Scheduler: what it refuses, and that a schedule starts its task by the clock."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.scheduler import schedules
from tests.conftest import Runbook

GROUP = "arn:aws:scheduler:us-east-1:123456789012:schedule-group/nightly"


@pytest.fixture
def account(fargate: Runbook) -> Runbook:
    """A cluster with a task definition whose task ends by itself, a group, and a role for the schedule."""
    fargate.settings |= {"EFS_VOLUMES": "", "COMMAND": "sleep 5"}
    fargate.has_run("create_cluster.py", "register_task_definition.py")
    fargate.aws("scheduler").create_schedule_group(Name="nightly", Tags=[{"Key": "team", "Value": "ml"}])
    make_role(fargate, "starter")
    fargate.settle(60)
    return fargate


def make_role(runbook: Runbook, name: str, source: str = GROUP, *actions: str) -> None:
    iam = runbook.aws("iam")
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "scheduler.amazonaws.com"},
        "Condition": {"StringEquals": {"aws:SourceArn": source}},
    }
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    allowed = actions or ("ecs:RunTask", "iam:PassRole")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(allowed), "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))


def wanted(runbook: Runbook, role: str = "starter", **changes: Any) -> dict[str, Any]:
    ec2 = runbook.aws("ec2")
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"] if each.get("Tags")]
    target = {
        "Arn": "arn:aws:ecs:us-east-1:123456789012:cluster/api",
        "RoleArn": f"arn:aws:iam::123456789012:role/{role}",
        "EcsParameters": {
            "TaskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/api:1",
            "LaunchType": "FARGATE",
            "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": subnets[:1], "AssignPublicIp": "ENABLED"}},
        },
        "RetryPolicy": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60},
    }
    return {
        "Name": "work",
        "GroupName": "nightly",
        "ScheduleExpression": "rate(5 minutes)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
        **changes,
    }


def seen(runbook: Runbook) -> schedules.Schedule:
    return schedules.groups(runbook.emulator.world, "us-east-1")["nightly"].schedules["work"]


def refusal(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_it_starts_its_task_each_period_until_it_is_deleted(account: Runbook) -> None:
    client = account.aws("scheduler")
    client.create_schedule(**wanted(account))
    account.settle(290)
    assert seen(account).started == []
    account.settle(350)
    assert (len(seen(account).started), seen(account).dropped) == (2, [])
    [task] = account.aws("ecs").describe_tasks(cluster="api", tasks=[seen(account).started[0]])["tasks"]
    assert (task["lastStatus"], task["containers"][0]["exitCode"]) == ("STOPPED", 0)
    client.update_schedule(**wanted(account, ScheduleExpression="rate(1 hour)"))
    account.settle(700)
    assert len(seen(account).started) == 2
    client.update_schedule(**wanted(account, State="DISABLED"))
    account.settle(4000)
    assert len(seen(account).started) == 2
    client.delete_schedule(Name="work", GroupName="nightly")
    assert refusal(client.get_schedule, Name="work", GroupName="nightly").startswith("ResourceNotFoundException")


def test_what_its_role_may_not_do_is_not_done(account: Runbook) -> None:
    make_role(account, "weak", GROUP, "ecs:RunTask")
    account.settle(60)
    account.aws("scheduler").create_schedule(**wanted(account, "weak"))
    account.settle(290)
    account.settle(200)
    assert seen(account).started == []
    assert "is not authorized to perform: iam:PassRole" in seen(account).dropped[0]


def test_a_role_must_have_spread_and_let_this_group_in(account: Runbook) -> None:
    make_role(account, "fresh")
    make_role(account, "other", GROUP.replace("nightly", "daily"))
    create = account.aws("scheduler").create_schedule
    text = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
    assert refusal(create, **wanted(account, "fresh")) == f"ValidationException: {text}"
    account.settle(60)
    assert refusal(create, **wanted(account, "other")) == f"ValidationException: {text}"
    create(**wanted(account, "fresh"))


@pytest.mark.parametrize("expression", ["every 5 minutes", "rate(0 minutes)", "rate(30 seconds)", "rate(0.5 hours)"])
def test_a_rate_is_whole_minutes_hours_or_days(account: Runbook, expression: str) -> None:
    told = refusal(account.aws("scheduler").create_schedule, **wanted(account, ScheduleExpression=expression))
    assert told == f"ValidationException: Invalid Schedule Expression {expression}."


def test_names_are_short_and_given_once(account: Runbook) -> None:
    client = account.aws("scheduler")
    assert refusal(client.create_schedule_group, Name="nightly").startswith("ConflictException")
    assert refusal(client.create_schedule, **wanted(account, Name="w" * 65)).startswith("ValidationException")
    assert refusal(client.create_schedule, **wanted(account, GroupName="weekly")).startswith(
        "ResourceNotFoundException"
    )
    client.create_schedule(**wanted(account))
    assert refusal(client.create_schedule, **wanted(account)).startswith("ConflictException")


def test_a_group_goes_with_its_schedules_and_takes_a_while(account: Runbook) -> None:
    client = account.aws("scheduler")
    client.create_schedule(**wanted(account))
    assert client.list_tags_for_resource(ResourceArn=GROUP)["Tags"] == [{"Key": "team", "Value": "ml"}]
    assert [each["Name"] for each in client.list_schedules(GroupName="nightly")["Schedules"]] == ["work"]
    client.delete_schedule_group(Name="nightly")
    assert client.get_schedule_group(Name="nightly")["State"] == "DELETING"
    assert refusal(client.create_schedule, **wanted(account, Name="more")).startswith("ConflictException")
    account.settle(60)
    assert refusal(client.get_schedule_group, Name="nightly").startswith("ResourceNotFoundException")
    assert refusal(client.delete_schedule_group, Name="default").startswith("ValidationException")
