"""copy_data.py: onto a volume and off it, by bucket and by folder; what it tells, refuses, asks, and leaves."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest
from moto.s3.models import s3_backends

from emulator.core.faults import Fault
from emulator.efs import contents
from tests.conftest import Runbook

BUCKET = "team-data"
SOURCE, INTO = f"s3://{BUCKET}/set", "data:/in"


@pytest.fixture
def ready(runbook: Runbook) -> Runbook:
    """A cluster of hosts of which none runs, a registered task, and a bucket with a folder of two files."""
    runbook.settings |= {"MIN_INSTANCES": "0", "EFS_VOLUMES": "data:/data,more:/more"}
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.aws("s3").create_bucket(Bucket=BUCKET)
    for key in ("set/a.bin", "set/sub/b.bin", "settings.json"):
        put(runbook, key, b"first")
    return runbook


def put(runbook: Runbook, key: str, content: bytes) -> None:
    runbook.aws("s3").put_object(Bucket=BUCKET, Key=key, Body=content)


def keys(runbook: Runbook, bucket: str = BUCKET) -> set[str]:
    return {each["Key"] for each in runbook.aws("s3").list_objects_v2(Bucket=bucket).get("Contents", [])}


def buckets(runbook: Runbook) -> list[str]:
    return [each["Name"] for each in runbook.aws("s3").list_buckets()["Buckets"]]


def volume(runbook: Runbook, name: str = "data") -> contents.Files:
    points = runbook.aws("efs").describe_access_points()["AccessPoints"]
    [point] = [each for each in points if {"Key": "volume", "Value": name} in each["Tags"]]
    return contents.files_of(runbook.emulator.world, point["FileSystemId"], point["RootDirectory"]["Path"])


def write(runbook: Runbook, **files: str) -> None:
    """As a task of the user's would have written there."""
    for name, text in files.items():
        content = text.encode()
        now = runbook.emulator.world.timestamp().timestamp()
        volume(runbook)[f"out/{name}"] = contents.File(len(content), f"of {text}", content, now)


def started(runbook: Runbook) -> list[Any]:
    ecs = runbook.aws("ecs")
    arns = [
        arn
        for status in ("RUNNING", "STOPPED")
        for arn in ecs.list_tasks(cluster="gpu", family="gpu-copy", desiredStatus=status)["taskArns"]
    ]
    return ecs.describe_tasks(cluster="gpu", tasks=arns)["tasks"] if arns else []  # type: ignore[no-any-return]


def policy(runbook: Runbook) -> list[Any]:
    found = runbook.aws("iam").get_role_policy(RoleName="gpu-copy-us-east-1", PolicyName="settings")
    return list(found["PolicyDocument"]["Statement"])


# ------------------------------------------------------------------------------------------------ a bucket and a volume


def test_a_folder_of_a_bucket_comes_onto_the_volume_and_what_differs_once_more(ready: Runbook) -> None:
    ran = ready.run("copy_data.py", SOURCE, INTO)
    told = {name: ran.result[name] for name in ("exitCode", "copied", "copiedBytes", "deleted")}
    assert (ran.code, told) == (0, {"exitCode": 0, "copied": 2, "copiedBytes": 10, "deleted": 0}), ran.err
    assert set(volume(ready)) == {"in/a.bin", "in/sub/b.bin"}
    assert f"log: download: {SOURCE}/a.bin to ../mnt/data/in/a.bin" in ran.err
    put(ready, "set/a.bin", b"newer, and longer")
    ran = ready.run("copy_data.py", SOURCE, INTO)
    assert (ran.result["copied"], ran.result["copiedBytes"]) == (1, 17)
    assert "created" not in ran.err and "updated" not in ran.err and "registered" not in ran.err


def test_it_runs_on_fargate_and_starts_no_host(ready: Runbook) -> None:
    ready.has_run(f"copy_data.py {SOURCE} {INTO}")
    [task] = started(ready)
    assert task["launchType"] == "FARGATE"
    ready.settle(900)
    assert ready.aws("ec2").describe_instances()["Reservations"] == []


def test_what_is_on_the_volume_goes_to_the_bucket(ready: Runbook) -> None:
    write(ready, model="trained", log="epoch 1")
    ran = ready.run("copy_data.py", "data:/out", f"s3://{BUCKET}/results")
    assert (ran.code, ran.result["copied"], ran.result["copiedBytes"]) == (0, 2, 14), ran.err
    assert {"results/model", "results/log"} <= keys(ready)
    found = ready.aws("s3").get_object(Bucket=BUCKET, Key="results/model")["Body"].read()
    assert found == b"trained"
    ran = ready.run("copy_data.py", "data:/out", f"s3://{BUCKET}/results")
    assert (ran.result["copied"], ran.result["copiedBytes"]) == (0, 0)


def test_one_object_and_one_file_are_copied_too(ready: Runbook) -> None:
    ran = ready.run("copy_data.py", f"s3://{BUCKET}/settings.json", INTO)
    assert (ran.code, ran.result["copied"], set(volume(ready))) == (0, 1, {"in/settings.json"}), ran.err
    assert "--delete" in ready.run("copy_data.py", f"s3://{BUCKET}/settings.json", INTO, "--delete").err
    ran = ready.run("copy_data.py", "data:/in/settings.json", f"s3://{BUCKET}/back")
    assert (ran.code, ran.result["copied"]) == (0, 1), ran.err
    assert "back/settings.json" in keys(ready)


def test_the_task_may_what_its_copy_needs_and_no_more(ready: Runbook) -> None:
    ready.has_run(f"copy_data.py {SOURCE} {INTO}")
    lists, moves, mounts = policy(ready)
    assert (lists["Action"], lists["Resource"]) == ("s3:ListBucket", f"arn:aws:s3:::{BUCKET}")
    assert lists["Condition"] == {"StringLike": {"s3:prefix": "set/*"}}
    assert (moves["Action"], moves["Resource"]) == (["s3:GetObject"], f"arn:aws:s3:::{BUCKET}/set/*")
    [point] = mounts["Condition"]["StringEquals"]["elasticfilesystem:AccessPointArn"]
    points = ready.aws("efs").describe_access_points()["AccessPoints"]
    assert [each["AccessPointArn"] for each in points if each["RootDirectory"]["Path"] == "/data"] == [point]
    write(ready, model="trained")
    ready.has_run(f"copy_data.py data:/out s3://{BUCKET}/results")
    _, moves, mounts = policy(ready)
    assert moves["Action"] == ["s3:PutObject", "s3:AbortMultipartUpload"]
    assert moves["Resource"] == f"arn:aws:s3:::{BUCKET}/results/*"
    assert "elasticfilesystem:ClientMount" in mounts["Action"]
    assert "elasticfilesystem:ClientWrite" not in mounts["Action"]


def test_what_a_task_writes_is_copied_off_and_the_data_goes_with_its_file_system(ready: Runbook) -> None:
    ready.settings["MIN_INSTANCES"] = "1"
    ready.settings |= {"RUN_UNTIL": "STOPPED", "COMMAND": "sh -c 'echo trained > /data/out/model'", "GPU_COUNT": "0"}
    ready.settings["INSTANCE_TYPE"] = "c6i.large"
    for page in ("update_cluster.py", "register_task_definition.py", "run_task.py"):
        ready.has_run(page)
    ran = ready.run("copy_data.py", "data:/out", f"s3://{BUCKET}/results")
    assert (ran.code, ran.result["copiedBytes"]) == (0, len("trained\n")), ran.err
    ready.has_run("delete_cluster.py --yes")
    assert ready.emulator.world.state["efs_files"] == {}


def test_a_copy_that_fails_tells_its_exit_code_and_why(ready: Runbook) -> None:
    ran = ready.run("copy_data.py", "data:/out", f"s3://{BUCKET}/results")
    assert (ran.code, ran.result["exitCode"], ran.result["copied"]) == (4, 1, 0)
    assert "data:/out is not on the volume: nothing was copied" in ran.err and "Traceback" not in ran.err
    ran = ready.run("copy_data.py", f"s3://{BUCKET}/nothing", INTO)
    assert ran.code == 1 and f"there is no file in s3://{BUCKET}/nothing" in ran.err


def test_a_copy_that_was_cut_short_is_followed_by_the_next_run(ready: Runbook) -> None:
    ready.emulator.faults.planned.append(Fault("ecs:DescribeTasks", "denied", times=-1))
    ran = ready.run("copy_data.py", SOURCE, INTO)
    assert ran.code == 1 and "started task" in ran.err, ran.err
    ready.emulator.faults.planned.clear()
    ready.settle(8)  # AWS lists the task
    ran = ready.run("copy_data.py", SOURCE, INTO)
    assert ran.code == 0 and "a copy that runs already" in ran.err and len(started(ready)) == 1, ran.err


def test_another_copy_waits_until_the_one_before_has_ended(ready: Runbook) -> None:
    ready.emulator.faults.planned.append(Fault("ecs:DescribeTasks", "denied", times=-1))
    assert ready.run("copy_data.py", SOURCE, INTO).code == 1
    ready.emulator.faults.planned.clear()
    ready.settle(8)  # AWS lists the task
    ran = ready.run("copy_data.py", SOURCE, "more:/in")
    assert ran.code == 0 and "a copy that began earlier; it must end first" in ran.err, ran.err
    assert len(started(ready)) == 2
    assert set(volume(ready)) == {"in/a.bin", "in/sub/b.bin"} and len(volume(ready, "more")) == 2


# ------------------------------------------------------------------------------------------------------------ --delete


def test_nothing_is_deleted_unless_it_is_listed_and_its_target_named(ready: Runbook) -> None:
    ready.has_run(f"copy_data.py {SOURCE} {INTO}")
    ready.aws("s3").delete_object(Bucket=BUCKET, Key="set/a.bin")
    ready.has_run(f"copy_data.py {SOURCE} {INTO}")
    assert "in/a.bin" in volume(ready)
    ran = ready.run("copy_data.py", SOURCE, INTO, "--delete")
    assert ran.code == 1 and "pass --yes to delete what is listed above" in ran.err
    assert "would be deleted: ../mnt/data/in/a.bin" in ran.err and "in/a.bin" in volume(ready)
    assert answered(ready, "other\n", SOURCE, INTO).code == 1 and "in/a.bin" in volume(ready)
    ran = answered(ready, "data\n", SOURCE, INTO)
    assert (ran.code, ran.result["deleted"], set(volume(ready))) == (0, 1, {"in/sub/b.bin"}), ran.err
    ran = ready.run("copy_data.py", SOURCE, INTO, "--delete")
    assert ran.code == 0 and "nothing that --delete would delete" in ran.err


def test_with_yes_it_deletes_in_the_bucket_without_a_question(ready: Runbook) -> None:
    write(ready, model="trained")
    put(ready, "results/old", b"of last week")
    put(ready, "elsewhere/old", b"of last week")
    ran = ready.run("copy_data.py", "data:/out", f"s3://{BUCKET}/results", "--delete", "--yes")
    assert (ran.code, ran.result["copied"], ran.result["deleted"]) == (0, 1, 1), ran.err
    assert {"results/model", "elsewhere/old"} <= keys(ready) and "results/old" not in keys(ready)
    assert "s3:DeleteObject" in policy(ready)[1]["Action"]


def answered(runbook: Runbook, answer: str, *words: str) -> Any:
    """The script on a terminal, on which this is typed."""
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    with os.fdopen(theirs) as terminal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", terminal)
        ran = runbook.run("copy_data.py", *words, "--delete")
    os.close(ours)
    return ran


# ------------------------------------------------------------------------------------------------------- this machine


def test_a_folder_of_this_machine_goes_by_way_of_a_bucket_that_is_gone_then(ready: Runbook, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.bin").write_bytes(b"local")
    (tmp_path / "sub" / "b.bin").write_bytes(b"x" * (9 * 2**20))  # in parts
    ran = ready.run("copy_data.py", str(tmp_path), INTO)
    assert (ran.code, ran.result["copied"], ran.result["copiedBytes"]) == (0, 2, 5 + 9 * 2**20), ran.err
    assert volume(ready)["in/a.bin"].content == b"local" and "in/sub/b.bin" in volume(ready)
    assert buckets(ready) == [BUCKET]
    assert "created bucket gpu-copy-123456789012-us-east-1" in ran.err and "deleted bucket" in ran.err


def test_results_come_to_this_machine_and_lie_over_what_is_there(ready: Runbook, tmp_path: Path) -> None:
    write(ready, model="trained", log="epoch 1")
    (tmp_path / "log").write_text("epoch 0")
    (tmp_path / "mine").write_text("stays")
    ran = ready.run("copy_data.py", "data:/out", str(tmp_path))
    assert (ran.code, ran.result["downloaded"], ran.result["downloadedBytes"]) == (0, 2, 14), ran.err
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"model": "trained", "log": "epoch 1", "mine": "stays"}
    assert buckets(ready) == [BUCKET]
    ran = ready.run("copy_data.py", "data:/out", str(tmp_path))
    assert (ran.result["downloaded"], buckets(ready)) == (0, [BUCKET])


def test_one_file_of_this_machine_goes_too(ready: Runbook, tmp_path: Path) -> None:
    (tmp_path / "one.tar").write_bytes(b"packed")
    ran = ready.run("copy_data.py", str(tmp_path / "one.tar"), "data:")
    assert (ran.code, set(volume(ready))) == (0, {"one.tar"}), ran.err


def test_the_bucket_on_the_way_is_private_encrypted_tagged_and_expires(ready: Runbook, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"local")
    ready.emulator.faults.planned.append(Fault("ecs:RunTask", "denied", times=-1))
    assert ready.run("copy_data.py", str(tmp_path), INTO).code == 1
    ready.emulator.faults.planned.clear()
    s3, its = ready.aws("s3"), {"Bucket": "gpu-copy-123456789012-us-east-1"}
    assert all(s3.get_public_access_block(**its)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_encryption(**its)["ServerSideEncryptionConfiguration"]["Rules"]
    assert "aws:SecureTransport" in s3.get_bucket_policy(**its)["Policy"]
    assert {"Key": "gpu-ecs-cluster", "Value": "gpu"} in s3.get_bucket_tagging(**its)["TagSet"]
    [rule] = s3.get_bucket_lifecycle_configuration(**its)["Rules"]
    assert (rule["Expiration"]["Days"], rule["Status"]) == (1, "Enabled")


def test_of_a_copy_that_was_cut_short_the_next_run_goes_on_and_takes_the_bucket_away(
    ready: Runbook, tmp_path: Path
) -> None:
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(name.encode())
    ready.emulator.faults.planned.append(Fault("ecs:RunTask", "denied", times=-1))
    assert ready.run("copy_data.py", str(tmp_path), INTO).code == 1
    ready.emulator.faults.planned.clear()
    (tmp_path / "a.bin").unlink()
    (tmp_path / "c.bin").write_bytes(b"new")
    ran = ready.run("copy_data.py", str(tmp_path), INTO)
    assert (ran.code, ran.result["copied"], set(volume(ready))) == (0, 2, {"in/b.bin", "in/c.bin"}), ran.err
    assert "uploaded c.bin" in ran.err and "uploaded b.bin" not in ran.err
    assert buckets(ready) == [BUCKET]


@pytest.mark.parametrize("undo", ["delete_copy.py", "delete_cluster.py --yes"])
def test_what_was_cut_short_is_undone_with_all_versions(ready: Runbook, tmp_path: Path, undo: str) -> None:
    (tmp_path / "a.bin").write_bytes(b"local")
    ready.emulator.faults.planned.append(Fault("ecs:RunTask", "denied", times=-1))
    assert ready.run("copy_data.py", str(tmp_path), INTO).code == 1
    ready.emulator.faults.planned.clear()
    s3, its_name = ready.aws("s3"), "gpu-copy-123456789012-us-east-1"
    s3.put_bucket_versioning(Bucket=its_name, VersioningConfiguration={"Status": "Enabled"})
    [key] = keys(ready, its_name)
    s3.put_object(Bucket=its_name, Key=key, Body=b"another version")
    s3.delete_object(Bucket=its_name, Key=key)
    ran = ready.run(*undo.split())
    assert (ran.code, ran.result["left"], buckets(ready)) == (0, [], [BUCKET]), ran.err
    roles = [each["RoleName"] for each in ready.aws("iam").list_roles()["Roles"]]
    assert "gpu-copy-us-east-1" not in roles
    assert ready.aws("ecs").list_task_definitions(familyPrefix="gpu-copy")["taskDefinitionArns"] == []


def test_what_another_copy_has_in_the_bucket_stays_there(ready: Runbook, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.bin").write_bytes(b"local")
    ready.emulator.faults.planned.append(Fault("ecs:RunTask", "denied", times=-1))
    assert ready.run("copy_data.py", str(tmp_path / "one"), INTO).code == 1
    ready.emulator.faults.planned.clear()
    ran = ready.run("copy_data.py", str(tmp_path / "two"), INTO)
    assert ran.code == 0 and "kept bucket gpu-copy-123456789012-us-east-1" in ran.err
    assert ready.run("copy_data.py", str(tmp_path / "one"), INTO).code == 0
    assert buckets(ready) == [BUCKET]


# ----------------------------------------------------------------------------------------------------------- --dry-run


def test_a_dry_run_starts_no_task_and_tells_what_it_knows(ready: Runbook, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"local")
    before, since = ready.account(), len(ready.emulator.calls)
    ran = ready.run("copy_data.py", SOURCE, INTO, "--dry-run")
    assert (ran.code, ran.result["files"], ran.result["bytes"]) == (0, 2, 10), ran.err
    assert "which of them the volume has already only the task sees" in ran.err
    ran = ready.run("copy_data.py", str(tmp_path), INTO, "--dry-run")
    assert (ran.code, ran.result["files"], ran.result["bytes"]) == (0, 1, 5), ran.err
    assert "would have uploaded a.bin" in ran.err and "would have created bucket" in ran.err
    ran = ready.run("copy_data.py", "data:/out", SOURCE, "--dry-run")
    assert (ran.code, ran.result["files"]) == (0, None), ran.err
    assert ready.changes(since) == [] and ready.account() == before


# ------------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((SOURCE, "dta:/in"), "dta:/in: dta is none of EFS_VOLUMES: data, more"),
        (("data:/a", "more:/b"), "one of the two is a volume, as data:/in"),
        ((SOURCE, "./here"), "one of the two is a volume, as data:/in"),
        ((SOURCE, "data:/../b"), "a path with .. in it"),
        (("s3://Not_a_bucket/x", INTO), "Not_a_bucket is no bucket name"),
        (("/not/there", INTO), "there is no such file or folder on this machine"),
        (("data:/out", "/not/there", "--delete"), "nothing is deleted on this machine"),
        ((SOURCE,), "required: TARGET"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(
    ready: Runbook, words: tuple[str, ...], told: str
) -> None:
    since = len(ready.emulator.calls)
    ran = ready.run("copy_data.py", *words)
    assert (ran.code, ready.changes(since)) == (2, []) and told in ran.err, ran.err


def test_a_bucket_that_is_not_there_or_elsewhere_or_not_ours_is_refused(ready: Runbook) -> None:
    since = len(ready.emulator.calls)
    ran = ready.run("copy_data.py", "s3://no-such-bucket-anywhere/a", INTO)
    assert ran.code == 1 and "there is no bucket no-such-bucket-anywhere" in ran.err
    s3_backends.bucket_accounts["data-of-theirs"] = ("aws", "999999999999")
    for words in (("s3://data-of-theirs/a", INTO), ("data:/out", "s3://data-of-theirs/a")):
        ran = ready.run("copy_data.py", *words)
        assert ran.code == 1 and "your credentials need s3:ListBucket on arn:aws:s3:::data-of-theirs" in ran.err
    assert ready.changes(since) == []
    ready.aws("s3").create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    ran = ready.run("copy_data.py", "s3://far-away/a", INTO)
    assert ran.code == 1 and "far-away is in eu-west-1, but the cluster is in us-east-1" in ran.err


def test_what_must_be_there_first_is_named(runbook: Runbook) -> None:
    ran = runbook.run("copy_data.py", SOURCE, INTO)
    assert ran.code == 1 and "run create_cluster.py first" in ran.err
    runbook.has_run("create_cluster.py", EFS_VOLUMES="data:/data")
    runbook.aws("s3").create_bucket(Bucket=BUCKET)
    ran = runbook.run("copy_data.py", SOURCE, "more:/in", EFS_VOLUMES="data:/data,more:/more")
    assert ran.code == 1 and "the volume more has no access point yet" in ran.err


def test_who_lets_nothing_be_made_in_iam_names_a_role(ready: Runbook) -> None:
    theirs = {
        name: f"arn:aws:iam::123456789012:role/{name.lower()}" for name in ("TASK_EXECUTION_ROLE_ARN", "TASK_ROLE_ARN")
    }
    ran = ready.run("copy_data.py", SOURCE, INTO, **theirs, HOST_ROLE="their-hosts")
    assert ran.code == 2 and "SYNC_ROLE_ARN: is not set" in ran.err


# ------------------------------------------------------------------------------------------------------ other accounts


def test_an_endpoint_s_copy_reaches_its_own_directory_and_goes_with_the_endpoint(
    endpoints: Runbook, tmp_path: Path
) -> None:
    """Also the bucket of one that was cut short: the cluster stays while it is there."""
    endpoints.settings |= {"IMAGE_TAG": "", "IMAGE": "nginx:1.27", "DESIRED_COUNT": "0"}
    endpoints.has_run("create_cluster.py")
    endpoints.has_run("register_task_definition.py", ENDPOINT="a")
    (tmp_path / "a.bin").write_bytes(b"local")
    ran = endpoints.run("copy_data.py", str(tmp_path), "weights:/in", ENDPOINT="a")
    assert (ran.code, ran.result["copied"]) == (0, 1), ran.err
    assert [directory for _, directory in endpoints.emulator.world.state["efs_files"]] == ["/a/weights"]
    endpoints.emulator.faults.planned.append(Fault("ecs:RunTask", "denied", times=-1))
    assert endpoints.run("copy_data.py", str(tmp_path), "assets:/in", ENDPOINT="a").code == 1
    endpoints.emulator.faults.planned.clear()
    [its_name] = buckets(endpoints)
    its_tags = endpoints.aws("s3").get_bucket_tagging(Bucket=its_name)["TagSet"]
    ran = endpoints.run("delete_endpoint.py", "--yes", ENDPOINT="a")
    assert (ran.code, buckets(endpoints)) == (0, []), ran.err
    endpoints.aws("s3").create_bucket(Bucket=its_name, CreateBucketConfiguration={"Tags": its_tags})
    ran = endpoints.run("delete_cluster.py", "--yes")
    assert ran.code == 1 and f"  a: bucket {its_name}" in ran.err, ran.err
    assert endpoints.run("delete_cluster.py", "--yes", "--everything").code == 0
    assert buckets(endpoints) == []


def test_a_volume_that_the_sync_makes_what_its_bucket_is_is_warned_of(ready: Runbook) -> None:
    synced = {"WEIGHTS_BUCKET": BUCKET, "WEIGHTS_VOLUME": "data"}
    assert "the next sync_weights.py deletes there what" in ready.run("copy_data.py", SOURCE, INTO, **synced).err
    assert "sync_weights.py" not in ready.run("copy_data.py", SOURCE, "more:/in", **synced).err


def test_without_a_way_out_the_task_fails_and_says_so(runbook: Runbook) -> None:
    runbook.settings |= {
        "PUBLIC_SUBNET_CIDRS": "10.0.0.0/24",
        "PRIVATE_SUBNET_CIDRS": "10.0.2.0/24",
        "NAT_GATEWAYS": "none",
        "MIN_INSTANCES": "0",
        "EFS_VOLUMES": "data:/data",
    }
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.aws("s3").create_bucket(Bucket=BUCKET)
    put(runbook, "set/a.bin", b"first")
    ran = runbook.run("copy_data.py", SOURCE, INTO)
    assert ran.code == 1 and "the copy failed: task" in ran.err, ran.err
    assert "Traceback" not in ran.err and ran.result["exitCode"] is None


def test_in_private_subnets_the_task_asks_for_no_public_address(runbook: Runbook) -> None:
    runbook.settings |= {
        "PUBLIC_SUBNET_CIDRS": "10.0.0.0/24",
        "PRIVATE_SUBNET_CIDRS": "10.0.2.0/24",
        "NAT_GATEWAYS": "single",
        "MIN_INSTANCES": "0",
        "EFS_VOLUMES": "data:/data",
        "NETWORK_MODE": "awsvpc",
    }
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    runbook.aws("s3").create_bucket(Bucket=BUCKET)
    put(runbook, "set/a.bin", b"first")
    ran = runbook.run("copy_data.py", SOURCE, INTO)
    assert (ran.code, ran.result["copied"]) == (0, 1), ran.err
    [task] = started(runbook)
    interfaces = runbook.aws("ec2").describe_network_interfaces()["NetworkInterfaces"]
    assert task["launchType"] == "FARGATE" and not [each for each in interfaces if "ecs" in each.get("Description", "")]


def test_delete_copy_stops_a_copy_that_runs_and_leaves_what_was_copied(ready: Runbook) -> None:
    ready.settle()
    before = ready.account()
    ran = ready.run("delete_copy.py")
    assert (ran.code, ran.result) == (0, {"left": []})
    ready.emulator.faults.planned.append(Fault("ecs:DescribeTasks", "denied", times=-1))
    assert ready.run("copy_data.py", SOURCE, INTO).code == 1
    ready.emulator.faults.planned.clear()
    ready.settle(8)  # AWS lists the task
    since = len(ready.emulator.calls)
    ran = ready.run("delete_copy.py", "--dry-run")
    assert ran.code == 0 and "would have deleted role gpu-copy-us-east-1" in ran.err, ran.err
    assert ready.changes(since) == []
    ran = ready.run("delete_copy.py")
    assert (ran.code, ran.result) == (0, {"left": []}), ran.err
    [task] = started(ready)
    assert task["stopCode"] == "UserInitiated"
    ready.settle()
    assert ready.account() == before and keys(ready) == {"set/a.bin", "set/sub/b.bin", "settings.json"}
