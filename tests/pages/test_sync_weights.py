"""sync_weights.py: from a folder to the bucket, from there to the volume, once and on a schedule; and what it refuses."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from moto.s3.models import s3_backends

from emulator.core.faults import Fault
from emulator.efs import contents
from emulator.scheduler import schedules
from tests.conftest import ROOT, Runbook

BUCKET = "example-ml-weights"


@pytest.fixture
def ready(endpoints: Runbook) -> Runbook:
    """Endpoint A is registered, and its bucket has two files for it, and one that is B's."""
    endpoints.settings |= {"IMAGE_TAG": "", "IMAGE": "nginx:1.27"}
    endpoints.has_run("create_cluster.py")
    endpoints.settings |= {"ENDPOINT": "a", "SYNC_SCHEDULE": ""}
    endpoints.has_run("register_task_definition.py")
    endpoints.aws("s3").create_bucket(Bucket=BUCKET)
    for key in ("a/model.bin", "a/tokens/words.txt", "b/model.bin"):
        put(endpoints, key, b"first")
    return endpoints


def put(runbook: Runbook, key: str, content: bytes) -> None:
    runbook.aws("s3").put_object(Bucket=BUCKET, Key=key, Body=content)


def keys(runbook: Runbook) -> set[str]:
    return {each["Key"] for each in runbook.aws("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def volume(runbook: Runbook) -> contents.Files:
    """What is in endpoint A's directory of the weights' file system."""
    [point] = [
        point
        for point in runbook.aws("efs").describe_access_points()["AccessPoints"]
        if {"Key": "volume", "Value": "weights"} in point["Tags"]
    ]
    return contents.files_of(runbook.emulator.world, point["FileSystemId"], point["RootDirectory"]["Path"])


def syncs(runbook: Runbook) -> list[Any]:
    ecs = runbook.aws("ecs")
    arns = [
        arn
        for status in ("RUNNING", "STOPPED")
        for arn in ecs.list_tasks(cluster="ml", family="ml-a-sync", desiredStatus=status)["taskArns"]
    ]
    return ecs.describe_tasks(cluster="ml", tasks=arns)["tasks"] if arns else []  # type: ignore[no-any-return]


def inline(runbook: Runbook, role: str) -> list[Any]:
    found = runbook.aws("iam").get_role_policy(RoleName=f"ml-a-{role}-us-east-1", PolicyName="settings")
    return list(found["PolicyDocument"]["Statement"])


def schedule(runbook: Runbook) -> Any:
    return runbook.aws("scheduler").get_schedule(GroupName="ml-a-sync", Name="ml-a-sync")


def started(runbook: Runbook) -> list[str]:
    """The tasks that the schedule has started."""
    group = schedules.groups(runbook.emulator.world, "us-east-1")["ml-a-sync"]
    assert group.schedules["ml-a-sync"].dropped == []
    return group.schedules["ml-a-sync"].started


# ---------------------------------------------------------------------------------------------- the bucket to the volume


def test_the_volume_becomes_what_the_buckets_folder_is(ready: Runbook) -> None:
    ran = ready.run("sync_weights.py")
    assert (ran.code, ran.result["exitCode"], ran.result["downloaded"], ran.result["deleted"]) == (0, 0, 2, 0), ran.err
    assert set(volume(ready)) == {"model.bin", "tokens/words.txt"}
    assert f"log: download: s3://{BUCKET}/a/model.bin to ../mnt/weights/model.bin" in ran.err
    put(ready, "a/model.bin", b"other")  # of the same size, as new weights are
    ready.aws("s3").delete_object(Bucket=BUCKET, Key="a/tokens/words.txt")
    ran = ready.run("sync_weights.py")
    assert (ran.result["downloaded"], ran.result["deleted"]) == (1, 1)
    assert set(volume(ready)) == {"model.bin"}
    ran = ready.run("sync_weights.py")
    assert (ran.result["downloaded"], ran.result["deleted"]) == (0, 0)
    assert "created" not in ran.err and "updated" not in ran.err and "registered" not in ran.err


def test_the_task_may_read_that_folder_and_write_through_that_access_point_alone(ready: Runbook) -> None:
    ready.has_run("sync_weights.py")
    lists, reads, mounts = inline(ready, "sync")
    assert (lists["Resource"], lists["Condition"]["StringLike"]) == (f"arn:aws:s3:::{BUCKET}", {"s3:prefix": "a/*"})
    assert (reads["Action"], reads["Resource"]) == ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/a/*")
    [point] = mounts["Condition"]["StringEquals"]["elasticfilesystem:AccessPointArn"]
    assert point.startswith("arn:aws:elasticfilesystem:")
    [definition] = [ready.aws("ecs").describe_task_definition(taskDefinition="ml-a-sync")["taskDefinition"]]
    [container] = definition["containerDefinitions"]
    assert f"aws s3 sync s3://{BUCKET}/a /mnt/weights --delete" in container["command"][0]
    [task] = syncs(ready)
    [network] = [each for each in task["attachments"] if each["type"] == "ElasticNetworkInterface"]
    assert task["launchType"] == "FARGATE" and network


def test_a_sync_that_fails_says_why(ready: Runbook) -> None:
    ready.has_run("sync_weights.py")
    put(ready, "a/new.bin", b"new")
    iam, role = ready.aws("iam"), {"RoleName": "ml-a-sync-us-east-1"}
    statement = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(**role, PolicyName="theirs", PolicyDocument=text)
    ran = ready.run("sync_weights.py")
    assert (ran.code, ran.result["exitCode"]) == (4, 1)
    assert "the sync failed" in ran.err and "An error occurred (AccessDenied)" in ran.err
    assert "s3:ListBucket" in ran.err and "Traceback" not in ran.err
    iam.attach_role_policy(**role, PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    ran = ready.run("sync_weights.py")
    assert (ran.code, ran.result["exitCode"]) == (1, None), "it can't even mount"
    assert "access denied by server while mounting" in ran.err and "Traceback" not in ran.err


def test_a_sync_that_runs_already_is_waited_for_and_not_doubled(ready: Runbook) -> None:
    ready.has_run("sync_weights.py")
    first = ready.run("sync_weights.py", POLL_SECONDS="1", WAIT_TIMEOUT_SECONDS="5")  # as if it had been killed
    assert "gave up waiting" in first.err
    ran = ready.run("sync_weights.py")
    assert (ran.code, len(syncs(ready))) == (0, 2)
    assert "a sync that runs already" in ran.err


# ---------------------------------------------------------------------------------------------------- the folder


def test_a_folder_is_uploaded_first_but_only_what_differs(ready: Runbook, tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "words.txt").write_bytes(b"first")  # as in the bucket
    (tmp_path / "model.bin").write_bytes(b"other")
    (tmp_path / "large.bin").write_bytes(b"x" * (9 * 2**20))  # in parts
    ran = ready.run("sync_weights.py", WEIGHTS_FOLDER=str(tmp_path))
    assert (ran.code, ran.result["uploaded"], ran.result["uploadedBytes"]) == (0, 2, 5 + 9 * 2**20), ran.err
    assert "uploaded large.bin  9.0 MiB" in ran.err and "words.txt  " not in ran.err
    assert keys(ready) == {"a/model.bin", "a/large.bin", "a/tokens/words.txt", "b/model.bin"}
    assert set(volume(ready)) == {"model.bin", "large.bin", "tokens/words.txt"}
    (tmp_path / "model.bin").unlink()
    ran = ready.run("sync_weights.py", WEIGHTS_FOLDER=str(tmp_path))
    assert (ran.result["uploaded"], ran.result["deleted"]) == (0, 0)  # what left the folder stays in the bucket
    assert "a/model.bin" in keys(ready)


def test_a_file_whose_etag_is_no_md5_is_known_by_the_one_that_was_left_there(ready: Runbook, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"other")
    ready.has_run("sync_weights.py", WEIGHTS_FOLDER=str(tmp_path))
    s3_backends["123456789012"]["aws"].buckets[BUCKET].keys["a/model.bin"]._etag = "of-an-encrypted-object"
    assert ready.run("sync_weights.py", WEIGHTS_FOLDER=str(tmp_path)).result["uploaded"] == 0


def test_an_upload_that_is_denied_is_told_with_the_right_that_lacks(ready: Runbook, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"other")
    ready.emulator.faults.planned.append(Fault("s3:PUT", "denied", times=-1))
    ran = ready.run("sync_weights.py", WEIGHTS_FOLDER=str(tmp_path))
    assert ran.code == 1 and f"your credentials need s3:PutObject on arn:aws:s3:::{BUCKET}/a/*" in ran.err
    assert "Traceback" not in ran.err and syncs(ready) == []


def test_on_a_terminal_the_upload_has_a_bar() -> None:
    code = (
        "import sys, io, console; sys.stderr = type('T', (io.StringIO,), {'isatty': lambda self: True})()\n"
        "with console.bar('uploading', 10) as advance: advance(10)\n"
        "assert '10/10 bytes' in sys.stderr.getvalue(), sys.stderr.getvalue()\n"
    )
    environment = {"CLUSTER_NAME": "gpu", "ENV_FILE": "/dev/null", "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


# -------------------------------------------------------------------------------------------------------- --dry-run


def test_a_dry_run_makes_nothing_and_lets_the_task_tell_what_it_would_do(ready: Runbook, tmp_path: Path) -> None:
    (tmp_path / "new.bin").write_bytes(b"new")
    before, since = ready.account(), len(ready.emulator.calls)
    ran = ready.run("sync_weights.py", "--dry-run", WEIGHTS_FOLDER=str(tmp_path), SYNC_SCHEDULE="every hour")
    assert ran.code == 0, ran.err
    assert "would have uploaded new.bin" in ran.err and "would have created schedule ml-a-sync" in ran.err
    assert "what is on the volume is not known" in ran.err and ran.result["downloaded"] is None
    assert ready.changes(since) == [] and ready.account() == before
    ready.has_run("sync_weights.py")
    put(ready, "a/model.bin", b"other")
    there, since = dict(volume(ready)), len(ready.emulator.calls)
    ran = ready.run("sync_weights.py", "--dry-run")
    assert f"log: (dryrun) download: s3://{BUCKET}/a/model.bin to ../mnt/weights/model.bin" in ran.err
    assert (ran.result["downloaded"], ran.result["deleted"]) == (1, 0)
    assert ready.changes(since) == ["ecs:RunTask"] and volume(ready) == there


# ------------------------------------------------------------------------------------------------------- the schedule


def test_with_a_schedule_new_weights_come_by_themselves(ready: Runbook) -> None:
    ran = ready.run("sync_weights.py", SYNC_SCHEDULE="every 3 minutes")
    assert (ran.code, ran.result["schedule"]) == (0, "rate(3 minutes)"), ran.err
    assert "created schedule ml-a-sync  rate(3 minutes)" in ran.err
    put(ready, "a/new.bin", b"new")
    for _ in range(3):
        ready.settle(120)
    assert "new.bin" in volume(ready)
    assert len(started(ready)) == 2
    target = schedule(ready)["Target"]
    assert target["Arn"] == "arn:aws:ecs:us-east-1:123456789012:cluster/ml"
    assert target["EcsParameters"]["TaskDefinitionArn"].endswith("task-definition/ml-a-sync:1")
    run_task, _, passes = inline(ready, "schedule")
    assert run_task["Resource"] == "arn:aws:ecs:us-east-1:123456789012:task-definition/ml-a-sync:*"
    assert [arn.rpartition("/")[2] for arn in passes["Resource"]] == [
        "ml-a-task-execution-us-east-1",
        "ml-a-sync-us-east-1",
    ]
    trust = ready.aws("iam").get_role(RoleName="ml-a-schedule-us-east-1")["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Condition"]["StringEquals"] == {
        "aws:SourceAccount": "123456789012",
        "aws:SourceArn": "arn:aws:scheduler:us-east-1:123456789012:schedule-group/ml-a-sync",
    }


def test_a_schedule_follows_its_setting_and_a_new_revision_and_goes_with_the_setting(ready: Runbook) -> None:
    ready.has_run("sync_weights.py", SYNC_SCHEDULE="every 10 minutes")
    ran = ready.run("sync_weights.py", SYNC_SCHEDULE="every 10 minutes")
    assert "found schedule ml-a-sync  rate(10 minutes)" in ran.err
    ran = ready.run("sync_weights.py", SYNC_SCHEDULE="every 2 days", WEIGHTS_PREFIX="b")
    assert "updated schedule ml-a-sync  rate(2 days)" in ran.err
    assert schedule(ready)["ScheduleExpression"] == "rate(2 days)"
    assert schedule(ready)["Target"]["EcsParameters"]["TaskDefinitionArn"].endswith("ml-a-sync:2")
    ran = ready.run("sync_weights.py")
    assert "SYNC_SCHEDULE is not set any more" in ran.err and "deleted schedule ml-a-sync" in ran.err
    groups = ready.aws("scheduler").list_schedule_groups()["ScheduleGroups"]
    assert [group["Name"] for group in groups] == ["default"]


def test_a_schedule_group_of_someone_else_is_left_alone(ready: Runbook) -> None:
    ready.aws("scheduler").create_schedule_group(Name="ml-a-sync")
    since = len(ready.emulator.calls)
    ran = ready.run("sync_weights.py", SYNC_SCHEDULE="every hour")
    assert ran.code == 1 and "exists already, and does not bear the tag" in ran.err
    assert ready.changes(since) == []


# ---------------------------------------------------------------------------------------------------------- refused


def test_what_is_wrong_with_the_settings_is_told_at_once(endpoints: Runbook, tmp_path: Path) -> None:
    ran = endpoints.run(
        "sync_weights.py",
        ENDPOINT="a",
        WEIGHTS_BUCKET="",
        WEIGHTS_VOLUME="heavy",
        WEIGHTS_FOLDER=str(tmp_path / "nowhere"),
    )
    assert ran.code == 2
    assert "WEIGHTS_BUCKET: is not set" in ran.err
    assert "WEIGHTS_VOLUME: heavy is none of EFS_VOLUMES: assets, weights" in ran.err
    assert "nowhere is not there" in ran.err
    ran = endpoints.run("sync_weights.py", ENDPOINT="a", SYNC_SCHEDULE="now and then")
    assert ran.code == 2 and "SYNC_SCHEDULE: 'now and then' is no schedule" in ran.err


def test_what_must_be_there_first_is_named(endpoints: Runbook) -> None:
    endpoints.settings |= {"IMAGE_TAG": "", "IMAGE": "nginx:1.27"}
    ran = endpoints.run("sync_weights.py", ENDPOINT="a")
    assert ran.code == 1 and "run create_cluster.py first" in ran.err
    endpoints.has_run("create_cluster.py")
    endpoints.aws("s3").create_bucket(Bucket=BUCKET)
    since = len(endpoints.emulator.calls)
    ran = endpoints.run("sync_weights.py", ENDPOINT="a")
    assert ran.code == 1 and "register_task_definition.py first" in ran.err
    assert endpoints.changes(since) == []


def test_a_bucket_that_is_not_there_or_elsewhere_or_not_ours_is_refused(ready: Runbook) -> None:
    since = len(ready.emulator.calls)
    ran = ready.run("sync_weights.py", WEIGHTS_BUCKET="no-such-bucket-anywhere")
    assert ran.code == 1 and "there is no bucket no-such-bucket-anywhere" in ran.err
    s3_backends.bucket_accounts["weights-of-theirs"] = ("aws", "999999999999")
    ran = ready.run("sync_weights.py", WEIGHTS_BUCKET="weights-of-theirs")
    assert ran.code == 1 and "your credentials need s3:ListBucket on arn:aws:s3:::weights-of-theirs" in ran.err
    assert ready.changes(since) == []
    ready.aws("s3").create_bucket(
        Bucket="far-away-weights", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    ran = ready.run("sync_weights.py", WEIGHTS_BUCKET="far-away-weights")
    assert ran.code == 1 and "far-away-weights is in eu-west-1, but the cluster is in us-east-1" in ran.err


def test_where_there_is_no_file_the_volume_is_erased_only_when_told_so(ready: Runbook, tmp_path: Path) -> None:
    ready.has_run("sync_weights.py")
    for key in ("a/model.bin", "a/tokens/words.txt"):
        ready.aws("s3").delete_object(Bucket=BUCKET, Key=key)
    since = len(ready.emulator.calls)
    for settings in ({}, {"WEIGHTS_FOLDER": str(tmp_path)}, {"SYNC_SCHEDULE": "every hour"}):
        ran = ready.run("sync_weights.py", **settings)
        assert ran.code == 1 and "pass --erase to erase the volume" in ran.err
        assert "would delete everything on the volume weights" in ran.err
    assert ready.changes(since) == [] and len(volume(ready)) == 2
    ran = ready.run("sync_weights.py", "--dry-run")
    assert (ran.code, ran.result["deleted"], len(volume(ready))) == (0, 2, 2)
    assert answered(ready, "b\n").code == 1 and len(volume(ready)) == 2
    assert answered(ready, "a\n").code == 0 and len(volume(ready)) == 0
    assert ready.run("sync_weights.py", "--erase").code == 0


def answered(runbook: Runbook, answer: str) -> Any:
    """The script on a terminal, on which this is typed."""
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    with os.fdopen(theirs) as terminal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", terminal)
        ran = runbook.run("sync_weights.py")
    os.close(ours)
    return ran


def test_an_empty_folder_in_front_of_a_full_bucket_is_a_mistake(ready: Runbook, tmp_path: Path) -> None:
    ran = ready.run("sync_weights.py", "--erase", WEIGHTS_FOLDER=str(tmp_path))
    assert ran.code == 1 and f"has no file in it, while s3://{BUCKET}/a has 2" in ran.err


# ------------------------------------------------------------------------------------------------------ without Fargate


def test_where_tasks_are_on_hosts_it_is_the_same_and_starts_none(runbook: Runbook) -> None:
    runbook.settings |= {"MIN_INSTANCES": "0", "WEIGHTS_BUCKET": BUCKET, "WEIGHTS_VOLUME": "data"}
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.aws("s3").create_bucket(Bucket=BUCKET)
    put(runbook, "model.bin", b"first")
    ran = runbook.run("sync_weights.py", SYNC_SCHEDULE="every hour")
    assert (ran.code, ran.result["source"], ran.result["downloaded"]) == (0, f"s3://{BUCKET}", 1), ran.err
    ran = runbook.run("sync_weights.py", "--dry-run", SYNC_SCHEDULE="every hour")
    assert (ran.code, ran.result["downloaded"]) == (0, 0), ran.err
    described = runbook.aws("scheduler").get_schedule(GroupName="gpu-sync", Name="gpu-sync")
    started = described["Target"]["EcsParameters"]
    assert started["LaunchType"] == "FARGATE" and "CapacityProviderStrategy" not in started
    runbook.settle(3700)
    group = schedules.groups(runbook.emulator.world, "us-east-1")["gpu-sync"].schedules["gpu-sync"]
    assert (len(group.started), group.dropped) == (1, [])
    assert runbook.aws("ec2").describe_instances()["Reservations"] == []


def test_a_schedule_that_started_its_task_on_hosts_starts_it_on_fargate_from_the_next_run_on(runbook: Runbook) -> None:
    runbook.settings |= {"MIN_INSTANCES": "0", "WEIGHTS_BUCKET": BUCKET, "WEIGHTS_VOLUME": "data"}
    runbook.settings["SYNC_SCHEDULE"] = "every hour"
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.aws("s3").create_bucket(Bucket=BUCKET)
    put(runbook, "model.bin", b"first")
    runbook.has_run("sync_weights.py")
    scheduler, its = runbook.aws("scheduler"), {"GroupName": "gpu-sync", "Name": "gpu-sync"}
    found = scheduler.get_schedule(**its)
    strategy = [{"capacityProvider": "gpu-capacity", "weight": 1, "base": 0}]
    parameters = {**found["Target"]["EcsParameters"], "CapacityProviderStrategy": strategy}
    del parameters["LaunchType"], parameters["NetworkConfiguration"]
    kept = {key: found[key] for key in ("ScheduleExpression", "FlexibleTimeWindow", "State")}
    scheduler.update_schedule(**its, **kept, Target={**found["Target"], "EcsParameters": parameters})
    ran = runbook.run("sync_weights.py")
    assert ran.code == 0 and "updated schedule gpu-sync" in ran.err, ran.err
    started = scheduler.get_schedule(**its)["Target"]["EcsParameters"]
    assert started["LaunchType"] == "FARGATE" and "CapacityProviderStrategy" not in started


def test_a_preview_never_runs_what_an_earlier_version_registered_for_hosts(runbook: Runbook) -> None:
    runbook.settings |= {"MIN_INSTANCES": "0", "WEIGHTS_BUCKET": BUCKET, "WEIGHTS_VOLUME": "data"}
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.aws("s3").create_bucket(Bucket=BUCKET)
    put(runbook, "model.bin", b"first")
    container = {"name": "sync", "image": "public.ecr.aws/aws-cli/aws-cli:2.31.0", "memoryReservation": 1024}
    runbook.aws("ecs").register_task_definition(family="gpu-sync", containerDefinitions=[container])
    since = len(runbook.emulator.calls)
    ran = runbook.run("sync_weights.py", "--dry-run")
    assert (ran.code, ran.result["downloaded"], runbook.changes(since)) == (0, None, []), ran.err


def test_a_scheduled_sync_never_empties_the_volume(ready: Runbook) -> None:
    ready.has_run("sync_weights.py", SYNC_SCHEDULE="every 3 minutes")
    before = dict(volume(ready))
    for key in keys(ready):
        ready.aws("s3").delete_object(Bucket=BUCKET, Key=key)
    ready.settle(900)
    assert before and volume(ready) == before
    streams = ready.aws("logs").describe_log_streams(logGroupName="/ecs/ml-a")["logStreams"]
    request = {"logGroupName": "/ecs/ml-a", "startFromHead": True}
    events = [ready.aws("logs").get_log_events(logStreamName=each["logStreamName"], **request) for each in streams]
    told = {event["message"] for each in events for event in each["events"]}
    assert "no file seen in s3://example-ml-weights/a: the volume stays as it is" in told


def test_objects_bear_the_emulated_time(ready: Runbook) -> None:
    ready.settle(7200)
    put(ready, "a/later.bin", b"later")
    written = ready.aws("s3").head_object(Bucket=BUCKET, Key="a/later.bin")["LastModified"]
    assert abs((written - ready.emulator.world.timestamp()).total_seconds()) < 60
