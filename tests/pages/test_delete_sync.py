"""delete_sync.py: the schedule and the sync go, the weights stay."""

from __future__ import annotations

from tests.conftest import Runbook

BUCKET = "example-ml-weights"


def test_it_takes_away_what_sync_weights_made_and_leaves_the_weights(endpoints: Runbook) -> None:
    endpoints.settings |= {"IMAGE_TAG": "", "IMAGE": "nginx:1.27", "DESIRED_COUNT": "0"}
    endpoints.has_run("create_cluster.py")
    endpoints.settings["ENDPOINT"] = "a"
    endpoints.has_run("register_task_definition.py", "create_service.py")
    s3 = endpoints.aws("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="a/model.bin", Body=b"first")
    endpoints.settle()
    before = endpoints.account()

    ran = endpoints.run("delete_sync.py")
    assert (ran.code, ran.result) == (0, {"left": []}) and "already gone schedule group ml-a-sync" in ran.err
    endpoints.has_run("sync_weights.py")
    assert endpoints.account() != before
    endpoints.settle(190)
    endpoints.settle(10)  # the schedule has just started a sync
    [running] = endpoints.aws("ecs").list_tasks(cluster="ml", family="ml-a-sync")["taskArns"]

    since = len(endpoints.emulator.calls)
    ran = endpoints.run("delete_sync.py", "--dry-run")
    assert ran.code == 0 and "would have deleted schedule ml-a-sync" in ran.err, ran.err
    assert endpoints.changes(since) == []
    ran = endpoints.run("delete_sync.py")
    assert (ran.code, ran.result) == (0, {"left": []}), ran.err
    assert f"stopped task {running.rpartition('/')[2]}" in ran.err
    assert f"kept the weights in s3://{BUCKET}/a and on the volume weights" in ran.err
    endpoints.settle()
    assert endpoints.account() == before
    assert [key for files in endpoints.emulator.world.state["efs_files"].values() for key in files] == ["model.bin"]
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1


def test_a_schedule_group_and_a_role_of_someone_else_stay(endpoints: Runbook) -> None:
    endpoints.settings["ENDPOINT"] = "a"
    endpoints.aws("scheduler").create_schedule_group(Name="ml-a-sync")
    endpoints.aws("iam").create_role(
        RoleName="ml-a-sync-us-east-1",
        AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
        '"Principal": {"Service": "ecs-tasks.amazonaws.com"}}]}',
    )
    ran = endpoints.run("delete_sync.py")
    assert (ran.code, ran.result) == (0, {"left": []})
    assert "kept schedule group ml-a-sync  not of this runbook" in ran.err
    assert "kept role ml-a-sync-us-east-1  not of this runbook" in ran.err
