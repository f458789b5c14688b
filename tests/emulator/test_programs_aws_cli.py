"""The AWS CLI in a container: `aws s3 sync` compares, copies and deletes, as far as the task's role may."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.efs import contents
from tests.conftest import Runbook

LOGS = {
    "logDriver": "awslogs",
    "options": {"awslogs-group": "/ecs/api", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "sync"},
}


@pytest.fixture
def account(fargate: Runbook) -> Runbook:
    fargate.settings["TASK_S3_BUCKETS"] = "weights"
    fargate.has_run("create_cluster.py", "register_task_definition.py")
    fargate.aws("s3").create_bucket(Bucket="weights")
    for key in ("v1/a", "v1/b", "v2/c"):
        fargate.aws("s3").put_object(Bucket="weights", Key=key, Body=b"12345")
    return fargate


def volume(runbook: Runbook) -> contents.Files:
    [point] = runbook.aws("efs").describe_access_points()["AccessPoints"]
    return contents.files_of(runbook.emulator.world, point["FileSystemId"], point["RootDirectory"]["Path"])


def sync(runbook: Runbook, *words: str, readonly: bool = False) -> tuple[int, list[str]]:
    """Exit code and log of a task that runs `aws s3 sync` with these words."""
    return runs(runbook, "aws", "s3", "sync", *words, readonly=readonly)


def shell(runbook: Runbook, script: str, readonly: bool = False) -> tuple[int, list[str]]:
    return runs(runbook, "sh", "-c", script, readonly=readonly)


def keys(runbook: Runbook) -> dict[str, bytes]:
    s3 = runbook.aws("s3")
    found = s3.list_objects_v2(Bucket="weights").get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket="weights", Key=each["Key"])["Body"].read() for each in found}


def runs(runbook: Runbook, *words: str, readonly: bool = False) -> tuple[int, list[str]]:
    ecs = runbook.aws("ecs")
    present = ecs.describe_task_definition(taskDefinition="api")["taskDefinition"]
    kept = ("cpu", "memory", "networkMode", "executionRoleArn", "taskRoleArn", "volumes", "requiresCompatibilities")
    container: Any = {
        "name": "cli",
        "image": "public.ecr.aws/aws-cli/aws-cli:2.31.0",
        "entryPoint": [words[0]],
        "command": [*words[1:]],
        "mountPoints": [{"sourceVolume": "data", "containerPath": "/mnt/data", "readOnly": readonly}],
        "logConfiguration": LOGS,
    }
    ecs.register_task_definition(family="cli", containerDefinitions=[container], **{key: present[key] for key in kept})
    ec2 = runbook.aws("ec2")
    group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["api-tasks"]}])["SecurityGroups"][0]
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"] if each.get("Tags")]
    network = {"subnets": subnets[:1], "securityGroups": [group["GroupId"]], "assignPublicIp": "ENABLED"}
    task = ecs.run_task(
        cluster="api",
        taskDefinition="cli",
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
    )["tasks"][0]["taskArn"]
    runbook.settle(300)
    [ended] = ecs.describe_tasks(cluster="api", tasks=[task])["tasks"]
    stream = f"sync/cli/{task.rpartition('/')[2]}"
    logs = runbook.aws("logs")
    streams = logs.describe_log_streams(logGroupName="/ecs/api", logStreamNamePrefix=stream)["logStreams"]
    events = logs.get_log_events(logGroupName="/ecs/api", logStreamName=stream)["events"] if streams else []
    return ended["containers"][0]["exitCode"], [event["message"] for event in events]


def test_it_downloads_what_differs_and_deletes_only_when_told(account: Runbook) -> None:
    code, lines = sync(account, "s3://weights/v1", "/mnt/data", "--dryrun")
    assert (code, lines[0]) == (0, "(dryrun) download: s3://weights/v1/a to ../mnt/data/a")
    assert volume(account) == {}
    assert sync(account, "s3://weights/v1", "/mnt/data")[0] == 0
    assert set(volume(account)) == {"a", "b"}
    assert sync(account, "s3://weights/v1", "/mnt/data") == (0, [])
    assert sync(account, "s3://weights/v2/", "/mnt/data") == (0, ["download: s3://weights/v2/c to ../mnt/data/c"])
    assert set(volume(account)) == {"a", "b", "c"}
    code, lines = sync(account, "s3://weights/v2", "/mnt/data", "--delete")
    assert (code, lines) == (0, ["delete: ../mnt/data/a", "delete: ../mnt/data/b"])


def test_a_newer_object_of_the_same_size_needs_exact_timestamps(account: Runbook) -> None:
    sync(account, "s3://weights/v1", "/mnt/data")
    account.aws("s3").put_object(Bucket="weights", Key="v1/a", Body=b"54321")
    assert sync(account, "s3://weights/v1", "/mnt/data") == (0, [])
    _, lines = sync(account, "s3://weights/v1", "/mnt/data", "--exact-timestamps")
    assert lines == ["download: s3://weights/v1/a to ../mnt/data/a"]


def test_what_fails_is_told_as_the_cli_tells_it(account: Runbook) -> None:
    missing = "fatal error: An error occurred (NoSuchBucket) when calling the ListObjectsV2 operation: "
    assert sync(account, "s3://no-such-weights", "/mnt/data") == (1, [f"{missing}The specified bucket does not exist"])
    assert sync(account, "s3://weights", "/mnt/data", "--purge") == (252, ["Unknown options: --purge"])
    code, lines = sync(account, "s3://weights/v1", "/mnt/data", readonly=True)
    assert code == 1 and lines[0].startswith("download failed: s3://weights/v1/a to ../mnt/data/a [Errno 30] Read-only")
    iam = account.aws("iam")
    policy = iam.get_role_policy(RoleName="api-task-us-east-1", PolicyName="settings")["PolicyDocument"]
    policy["Statement"] = [each for each in policy["Statement"] if "s3:ListBucket" not in each["Action"]]
    iam.put_role_policy(RoleName="api-task-us-east-1", PolicyName="settings", PolicyDocument=json.dumps(policy))
    code, lines = sync(account, "s3://weights/v1", "/mnt/data")
    assert code == 1 and "(AccessDenied) when calling the ListObjectsV2 operation" in lines[0]
    assert 's3:ListBucket on resource: "arn:aws:s3:::weights"' in lines[0]


def test_root_without_root_access_writes_nothing(account: Runbook) -> None:
    """The access point's user is root: its writes are those of nobody."""
    iam, its = account.aws("iam"), {"RoleName": "api-task-us-east-1", "PolicyName": "settings"}
    policy = iam.get_role_policy(**its)["PolicyDocument"]
    for statement in policy["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != "elasticfilesystem:ClientRootAccess"]
    iam.put_role_policy(**its, PolicyDocument=json.dumps(policy))
    code, lines = sync(account, "s3://weights/v1", "/mnt/data")
    assert (code, lines[0]) == (
        1,
        "download failed: s3://weights/v1/a to ../mnt/data/a [Errno 13] Permission denied: '/mnt/data/a'",
    )
    assert volume(account) == {}


# ------------------------------------------------------------------------------------------- the other way, and one file


def test_what_one_task_writes_the_next_one_uploads(account: Runbook) -> None:
    assert shell(account, "echo trained > /mnt/data/out/model && touch /mnt/data/out/done") == (0, [])
    code, lines = sync(account, "/mnt/data/out", "s3://weights/results", "--dryrun")
    assert (code, lines[1]) == (0, "(dryrun) upload: ../mnt/data/out/model to s3://weights/results/model")
    assert sync(account, "/mnt/data/out", "s3://weights/results")[0] == 0
    assert (keys(account)["results/model"], keys(account)["results/done"]) == (b"trained\n", b"")
    assert sync(account, "/mnt/data/out", "s3://weights/results") == (0, [])
    assert shell(account, "echo further > /mnt/data/out/model")[0] == 0  # of the same size, but newer
    code, lines = sync(account, "/mnt/data/out/", "s3://weights/results/")
    assert (code, lines) == (0, ["upload: ../mnt/data/out/model to s3://weights/results/model"])


def test_a_part_of_the_volume_is_synced_and_no_other_part_deleted(account: Runbook) -> None:
    assert shell(account, "touch /mnt/data/keep /mnt/data/in/old")[0] == 0
    code, lines = sync(account, "s3://weights/v1", "/mnt/data/in", "--delete")
    assert code == 0 and "delete: ../mnt/data/in/old" in lines
    assert set(volume(account)) == {"keep", "in/a", "in/b"}
    code, lines = sync(account, "/mnt/data/in", "s3://weights/v2", "--delete")
    assert (code, "delete: s3://weights/v2/c" in lines) == (0, True)
    assert set(keys(account)) == {"v1/a", "v1/b", "v2/a", "v2/b"}


def test_one_file_is_copied_under_its_own_name_or_another(account: Runbook) -> None:
    assert runs(account, "aws", "s3", "cp", "s3://weights/v1/a", "/mnt/data/in/") == (
        0,
        ["download: s3://weights/v1/a to ../mnt/data/in/a"],
    )
    assert runs(account, "aws", "s3", "cp", "/mnt/data/in/a", "s3://weights/v3/")[0] == 0
    assert runs(account, "aws", "s3", "cp", "/mnt/data/in/a", "s3://weights/other")[0] == 0
    assert {"v3/a", "other"} <= set(keys(account))
    code, lines = runs(account, "aws", "s3", "cp", "s3://weights/nowhere", "/mnt/data/")
    assert code == 1 and "HeadObject" in lines[0]
    assert runs(account, "aws", "s3", "cp", "/mnt/data/nowhere", "s3://weights/")[0] == 255


def test_a_role_that_may_not_write_or_delete_is_told_so(account: Runbook) -> None:
    assert shell(account, "touch /mnt/data/out/model")[0] == 0
    iam, its = account.aws("iam"), {"RoleName": "api-task-us-east-1", "PolicyName": "settings"}
    policy = iam.get_role_policy(**its)["PolicyDocument"]
    for statement in policy["Statement"]:
        if "s3:PutObject" in statement["Action"]:
            statement["Action"] = ["s3:GetObject"]
    iam.put_role_policy(**its, PolicyDocument=json.dumps(policy))
    code, lines = sync(account, "/mnt/data/out", "s3://weights/v1", "--delete")
    assert code == 1 and len(lines) == 3, lines
    assert any(line.startswith("delete failed: s3://weights/v1/a") for line in lines)
    assert any(line.startswith("upload failed: ../mnt/data/out/model to s3://weights/v1/model") for line in lines)


def test_a_shell_sees_the_volume(account: Runbook) -> None:
    assert shell(account, "test -d /mnt/data/out")[0] == 1
    assert shell(account, "touch /mnt/data/out/model; test -d /mnt/data/out && test -f /mnt/data/out/model")[0] == 0
    assert shell(account, "test -f /mnt/data/out")[0] == 1
    assert shell(account, "rm -r /mnt/data/out; test -e /mnt/data/out")[0] == 1
    assert shell(account, "touch /mnt/data/x", readonly=True) == (
        1,
        ["sh: can't create /mnt/data/x: Read-only file system"],
    )


def test_the_data_goes_with_its_file_system(account: Runbook) -> None:
    assert shell(account, "touch /mnt/data/x")[0] == 0
    assert volume(account)
    account.has_run("delete_cluster.py --yes")
    assert account.emulator.world.state["efs_files"] == {}
