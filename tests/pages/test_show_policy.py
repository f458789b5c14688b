"""show_policy.py: documents that IAM takes, by settings, without a call but that for who one is."""

from __future__ import annotations

import pytest

from tests.conftest import Runbook


def test_it_asks_aws_who_one_is_and_nothing_else(runbook: Runbook) -> None:
    ran = runbook.run("show_policy.py", "--for", "run")
    assert [operation for _, operation, _ in runbook.emulator.calls] == ["GetCallerIdentity"]
    [document] = ran.result["documents"]
    assert document["Version"] == "2012-10-17"
    assert {statement["Effect"] for statement in document["Statement"]} == {"Allow"}
    assert "found policy 1" in ran.err


def test_who_runs_tasks_makes_and_deletes_nothing_of_the_cluster(runbook: Runbook) -> None:
    [document] = runbook.run("show_policy.py", "--for", "run").result["documents"]
    listed = {action for statement in document["Statement"] for action in statement["Action"]}
    assert {"ecs:RunTask", "ecs:StopTask", "ecs:ExecuteCommand", "logs:FilterLogEvents"} <= listed
    assert not {each for each in listed if ":Delete" in each and not each.startswith("scheduler:")}


@pytest.mark.parametrize(
    ("region", "partition", "ec2"),
    [
        ("cn-north-1", "aws-cn", "ec2.amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "ec2.amazonaws.com"),
    ],
)
def test_each_partition_has_its_own_names(runbook: Runbook, region: str, partition: str, ec2: str) -> None:
    ran = runbook.run("show_policy.py", AWS_REGION=region)
    text = str(ran.result["documents"])
    assert text.count("arn:") == text.count(f"arn:{partition}:") > 20
    assert ec2 in text


def test_names_and_path_follow_the_settings(runbook: Runbook) -> None:
    ran = runbook.run(
        "show_policy.py", CLUSTER_NAME="other", ROLE_PATH="/team/", TASK_ROLE_ARN="arn:aws:iam::123456789012:role/own"
    )
    passing = [
        each
        for each in ran.result["documents"][0]["Statement"]
        + ran.result["documents"][1]["Statement"]
        + ran.result["documents"][2]["Statement"]
        if each["Action"] == ["iam:PassRole"]
    ]
    assert passing[0]["Resource"] == [
        "arn:aws:iam::123456789012:role/own",
        "arn:aws:iam::123456789012:role/team/other-*",
    ]


def test_an_unknown_use_is_told(runbook: Runbook) -> None:
    ran = runbook.run("show_policy.py", "--for", "fun")
    assert (ran.code, "--for fun is none of run, create, delete, look, all" in ran.err) == (2, True)
