"""Nothing that bears another owner's tags is changed or deleted, whatever its name is; with any feature on or off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import GPU, Runbook
from tests.everything import PAGES, prepared, tag, tagged

DELETES = [
    *("delete_service.py", "delete_sync.py", "delete_pipeline.py", "delete_repository.py --images"),
    *("delete_dns_record.py", "deregister_task_definition.py", "stop_task.py --all", "delete_cluster.py --yes"),
    "delete_cluster.py --yes --everything",
]


def now(runbook: Runbook) -> Any:
    return json.loads(json.dumps(runbook.account(), default=str))


def of_another(runbook: Runbook) -> None:
    """Everything of the cluster gets another owner; a user of ours finds these names in his account."""
    for arn, tags in tagged(runbook).items():
        if tags.get("gpu-ecs-cluster") == "gpu":
            tag(runbook, arn, {"gpu-ecs-cluster": "theirs"})
    runbook.settle(3600)


@pytest.mark.parametrize("command", DELETES)
@pytest.mark.parametrize("settings", ["all on", "all off"])
def test_a_page_that_deletes_leaves_them_alone(runbook: Runbook, command: str, settings: str) -> None:
    prepared(runbook).has_run(*PAGES)
    runbook.once(("of another",), lambda: of_another(runbook))
    before = now(runbook)
    if settings == "all off":
        runbook.settings = dict(GPU)
    script, *flags = command.split()
    ran = runbook.run(script, *flags)
    assert "Traceback" not in ran.err
    assert now(runbook) == before, ran.err


#: a kind of resource with a name of its own, by a part of its ARN -> the page that would make it
NAMED = {
    ":role/gpu-host-": "create_cluster.py",
    ":role/gpu-task-": "create_cluster.py",
    ":instance-profile/": "create_cluster.py",
    ":log-group:/ecs/gpu/hosts/messages": "create_cluster.py",
    ":cluster/": "create_cluster.py",
    ":launch-template/": "create_cluster.py",
    ":autoScalingGroupName/gpu-hosts": "create_cluster.py",
    ":autoScalingGroupName/gpu-bastion": "create_cluster.py",
    ":capacity-provider/": "create_cluster.py",
    ":loadbalancer/": "create_cluster.py",
    ":listener/": "create_cluster.py",
    ":parameter/": "create_cluster.py",
    ":security-group/": "create_cluster.py",
    ":targetgroup/": "create_service.py",
    ":service/gpu/": "create_service.py",
    ":alarm:": "create_service.py",
    ":scalable-target/": "create_service.py",
    ":repository/": "create_repository.py",
    ":s3:::": "create_pipeline.py",
    ":project/": "create_pipeline.py",
    ":codepipeline:": "create_pipeline.py",
    ":schedule-group/": "sync_weights.py",
}


@pytest.mark.parametrize("piece", NAMED)
def test_a_page_that_creates_refuses_a_name_that_is_another_s(runbook: Runbook, piece: str) -> None:
    prepared(runbook).has_run(*PAGES)
    theirs = [arn for arn, tags in tagged(runbook).items() if piece in arn and tags.get("gpu-ecs-cluster") == "gpu"]
    assert theirs, sorted(tagged(runbook))
    for arn in theirs:
        tag(runbook, arn, {"gpu-ecs-cluster": "theirs"})
    runbook.settle()
    ran = runbook.run(NAMED[piece], EXTRA_TAGS="team=ml", LOG_RETENTION_DAYS="7", SCALE_OUT_CPU="50", IDLE_TIMEOUT="90")
    after = tagged(runbook)
    assert (ran.code, "exists already" in ran.err) == (1, True), ran.err[-600:]
    assert [after[arn]["gpu-ecs-cluster"] for arn in theirs] == ["theirs"] * len(theirs)
    assert [arn for arn in theirs if "team" in after[arn]] == []
