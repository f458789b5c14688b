"""delete_pipeline.py: pipeline, project, bucket, roles and logs go; what endpoints share and what was built stays."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from moto.s3.models import s3_backends

from tests.conftest import Runbook
from tests.pages.test_describe_pipeline import connect


def account(runbook: Runbook) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(runbook.account(), default=str))
    return found


def test_it_leaves_the_account_as_it_was_and_a_second_run_finds_nothing(endpoints: Runbook) -> None:
    connect(endpoints)
    endpoints.has_run("create_repository.py")
    before = account(endpoints)
    endpoints.has_run("create_pipeline.py")
    assert account(endpoints) != before
    ran = endpoints.run("delete_pipeline.py")
    assert (ran.code, ran.result["left"]) == (0, []), ran.err
    assert "stopped execution" in ran.err, "it waited before Deploy"
    assert account(endpoints) == before
    assert endpoints.aws("ecr").list_images(repositoryName="ml-a")["imageIds"], "what was built stays"
    again = endpoints.run("delete_pipeline.py")
    assert again.code == 0 and "deleted" not in again.err


def test_a_running_build_is_stopped_and_leaves_nothing_behind(endpoints: Runbook) -> None:
    connect(endpoints)
    endpoints.has_run("create_repository.py")
    before = account(endpoints)
    endpoints.has_run("create_pipeline.py", WAIT="false")
    endpoints.settle(40)
    ran = endpoints.run("delete_pipeline.py")
    assert ran.code == 0 and "stopped build ml-a-build:" in ran.err, ran.err
    endpoints.settle(900)
    assert account(endpoints) == before
    assert endpoints.aws("ecr").list_images(repositoryName="ml-a")["imageIds"] == []


def test_the_connection_that_endpoints_share_stays_and_so_does_the_other_pipeline(endpoints: Runbook) -> None:
    from emulator.codestar_connections import connections

    for endpoint in ("a", "b"):
        endpoints.has_run("create_repository.py", ENDPOINT=endpoint)
    assert endpoints.run("create_pipeline.py", ENDPOINT="a").code == 1
    connections.finish_handshakes(endpoints.emulator.world)
    endpoints.has_run("create_pipeline.py", ENDPOINT="a", WAIT="false")
    only_a = account(endpoints)
    endpoints.has_run("create_pipeline.py", ENDPOINT="b", WAIT="false")
    assert len(endpoints.aws("codeconnections").list_connections()["Connections"]) == 1
    endpoints.has_run("delete_pipeline.py", ENDPOINT="b")
    assert account(endpoints) == only_a


def test_a_dry_run_deletes_nothing_and_what_is_of_someone_else_is_kept(endpoints: Runbook) -> None:
    connect(endpoints)
    endpoints.has_run("create_repository.py").has_run("create_pipeline.py", WAIT="false")
    calls = len(endpoints.emulator.calls)
    ran = endpoints.run("delete_pipeline.py", "--dry-run")
    assert ran.code == 0 and "would have deleted pipeline ml-a" in ran.err
    assert endpoints.changes(calls) == []
    bucket = "ml-a-artifacts-123456789012-us-east-1"
    endpoints.aws("s3").delete_bucket_tagging(Bucket=bucket)
    ran = endpoints.run("delete_pipeline.py")
    assert ran.code == 0 and f"kept bucket {bucket}  not of this runbook" in ran.err


def test_a_bucket_of_another_account_and_a_name_that_none_can_have_are_in_no_ones_way(endpoints: Runbook) -> None:
    connect(endpoints)
    bucket = "ml-a-artifacts-123456789012-us-east-1"
    s3_backends["999999999999"]["aws"].create_bucket(bucket, "us-east-1")
    ran = endpoints.run("delete_pipeline.py")
    assert (ran.code, ran.result["left"]) == (0, []) and f"kept bucket {bucket}" in ran.err
    ran = endpoints.run("delete_pipeline.py", CLUSTER_NAME="a-rather-long-name-of-it", AWS_REGION="ap-northeast-1")
    assert (ran.code, ran.result["left"]) == (0, []), ran.err


@pytest.mark.parametrize("known", [False, True])
def test_where_a_service_has_no_address_it_is_not_asked(
    fargate: Runbook, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    def look_up(host: str, port: int) -> list[str]:
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [host]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    ran = fargate.run("delete_pipeline.py", AWS_REGION="ca-west-1")
    assert ran.code == 0 and "already gone pipeline api" in ran.err, ran.err
    asked = {call[0] for call in fargate.emulator.calls}
    assert ({"codepipeline", "codebuild"} <= asked) is known and {"s3", "iam", "logs"} <= asked
