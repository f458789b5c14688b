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


# ---------------------------------------------------------------------------------------- once, and any call of AWS's


def once(runbook: Runbook, api: str, members: dict[str, Any], role: str = "stopper", **changes: Any) -> dict[str, Any]:
    """A schedule for two minutes from now."""
    at = runbook.emulator.world.in_seconds(120)
    target = {
        "Arn": f"arn:aws:scheduler:::aws-sdk:{api}",
        "RoleArn": f"arn:aws:iam::123456789012:role/{role}",
        "Input": json.dumps(members),
        "RetryPolicy": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60},
    }
    return {
        **{"Name": "work", "GroupName": "nightly", "ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})"},
        **{"FlexibleTimeWindow": {"Mode": "OFF"}, "ActionAfterCompletion": "DELETE", "Target": target},
        **changes,
    }


@pytest.fixture
def running(account: Runbook) -> tuple[Runbook, str]:
    """A task that runs, and a role that may stop it."""
    account.has_run("register_task_definition.py", "run_task.py", COMMAND="sleep infinity")
    make_role(account, "stopper", GROUP, "ecs:StopTask")
    account.settle(60)
    return account, account.aws("ecs").list_tasks(cluster="api")["taskArns"][0].rpartition("/")[2]


def test_once_it_makes_a_call_of_aws_and_is_gone(running: tuple[Runbook, str]) -> None:
    runbook, task = running
    client, ecs = runbook.aws("scheduler"), runbook.aws("ecs")
    stop = once(runbook, "ecs:stopTask", {"Cluster": "api", "Task": task, "Reason": "it is late"})
    client.create_schedule(**stop)
    client.create_schedule(**{**stop, "Name": "paused", "State": "DISABLED"})
    client.create_schedule(**{**stop, "Name": "kept", "ActionAfterCompletion": "NONE"})
    runbook.settle(100)
    assert ecs.describe_tasks(cluster="api", tasks=[task])["tasks"][0]["desiredStatus"] == "RUNNING"
    runbook.settle(100)
    found = ecs.describe_tasks(cluster="api", tasks=[task])["tasks"][0]
    assert (found["desiredStatus"], found["stoppedReason"]) == ("STOPPED", "it is late")
    assert [each["Name"] for each in client.list_schedules(GroupName="nightly")["Schedules"]] == ["paused", "kept"]


@pytest.mark.parametrize(
    ("role", "members", "why"),
    [
        (
            "starter",
            {"Cluster": "api", "Task": "{task}"},
            "is not authorized to perform: ecs:StopTask on resource: arn:",
        ),
        ("stopper", {"cluster": "api", "Task": "{task}"}, "has no member cluster"),
        ("stopper", {"Cluster": "other", "Task": "{task}"}, "ClusterNotFoundException"),
    ],
)
def test_what_it_can_t_do_is_dropped(
    running: tuple[Runbook, str], role: str, members: dict[str, str], why: str
) -> None:
    """Members are spelt in PascalCase, as https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html."""
    runbook, task = running
    given = {name: text.format(task=task) for name, text in members.items()}
    runbook.aws("scheduler").create_schedule(**once(runbook, "ecs:stopTask", given, role))
    runbook.settle(200)
    group = schedules.groups(runbook.emulator.world, "us-east-1")["nightly"]
    assert why in group.dropped[0] and not group.schedules
    assert runbook.aws("ecs").list_tasks(cluster="api")["taskArns"]


def test_an_instant_that_is_over_and_a_call_that_is_none_are_refused(running: tuple[Runbook, str]) -> None:
    runbook, task = running
    create, stop = runbook.aws("scheduler").create_schedule, {"Cluster": "api", "Task": task}
    missing = "Invalid RequestJson provided. Reason Request payload is missing the following field(s): Task."
    for api, members, changes, why in (
        ("ecs:stopTask", stop, {"ScheduleExpression": "at(2020-01-01T00:00:00)"}, "Invalid Schedule Expression"),
        ("ecs:stopTask", stop, {"ScheduleExpression": "at(2099-02-30T00:00:00)"}, "Invalid Schedule Expression"),
        ("ecs:stopTask", stop, {"ScheduleExpressionTimezone": "Mars/North"}, "Invalid ScheduleExpressionTimezone"),
        ("ecs:stopTask", {"cluster": "api", "task": task}, {}, missing),
        ("ecs:haltTask", stop, {}, "haltTask is not a supported api for ecs."),
        ("ecs:listTasks", {}, {}, "ListTasks is not a supported api for ecs."),
    ):
        assert refusal(create, **once(runbook, api, members, **changes)).startswith(f"ValidationException: {why}")
    there = once(runbook, "ecs:stopTask", stop, ScheduleExpressionTimezone="Asia/Tokyo")  # nine hours ago, in Tokyo
    assert "is in the past" in refusal(create, **there)
    create(**{**there, "ScheduleExpressionTimezone": "America/New_York"})  # in five hours or so
    runbook.settle(600)
    assert runbook.aws("ecs").list_tasks(cluster="api")["taskArns"]


def test_many_are_listed_page_by_page(running: tuple[Runbook, str]) -> None:
    runbook, task = running
    client = runbook.aws("scheduler")
    for number in range(5):
        client.create_schedule(**once(runbook, "ecs:stopTask", {"Task": task}, Name=f"n{number}"))
    first = client.list_schedules(GroupName="nightly", MaxResults=2)
    assert [each["Name"] for each in first["Schedules"]] == ["n0", "n1"]
    pages = client.get_paginator("list_schedules").paginate(GroupName="nightly", MaxResults=2)
    assert len([each for page in pages for each in page["Schedules"]]) == 5


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
