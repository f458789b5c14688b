"""Pipelines: what is checked, and how one runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.codestar_connections import connections
from emulator.core.wire import Emulator
from tests.emulator.common import Client, action, project, refused, role, sleep


def pipeline(role_arn: str, *stages: list[Any]) -> dict[str, Any]:
    return {
        "name": "p",
        "roleArn": role_arn,
        "artifactStore": {"type": "S3", "location": "bucket"},
        "stages": [{"name": f"stage{n}", "actions": actions} for n, actions in enumerate(stages)],
    }


def test_the_structure_of_a_pipeline_is_checked(emulator: Emulator, client: Client) -> None:
    codepipeline = client("codepipeline")
    source, deploy = [action("Source", "S3")], [action("Deploy", "S3")]
    fresh = pipeline("arn:aws:iam::123456789012:role/builder", source, deploy)
    with pytest.raises(ClientError) as error:
        codepipeline.create_pipeline(pipeline=fresh)
    assert error.value.response["Error"]["Message"] == (
        "CodePipeline is not authorized to perform AssumeRole on role arn:aws:iam::123456789012:role/builder"
    )
    of_builds = role(emulator, client, "codebuild.amazonaws.com", "of-builds")
    of_another = role(emulator, client, "codepipeline.amazonaws.com", "of-another", "999999999999")
    for wrong in (of_builds, of_another):
        assert (
            refused(codepipeline.create_pipeline, pipeline={**fresh, "roleArn": wrong}) == "InvalidStructureException"
        )
    arn = role(emulator, client, "codepipeline.amazonaws.com")
    right = pipeline(arn, source, deploy)
    both = {**right, "artifactStores": {"us-east-1": right["artifactStore"]}}
    for each in (pipeline(arn, source), pipeline(arn, deploy, source), pipeline(arn, source, source), both):
        assert refused(codepipeline.create_pipeline, pipeline=each) == "InvalidStructureException"
    codepipeline.create_pipeline(pipeline=right)
    assert refused(codepipeline.create_pipeline, pipeline=right) == "PipelineNameInUseException"


def executions(client: Client) -> list[str]:
    found = client("codepipeline").list_pipeline_executions(pipelineName="p")["pipelineExecutionSummaries"]
    return [one["status"] for one in found]


def test_a_pipeline_runs_by_itself_and_fails_with_a_pending_connection(emulator: Emulator, client: Client) -> None:
    """A PENDING connection is what is told, also when the role may not use it."""
    codepipeline = client("codepipeline")
    arn = role(emulator, client, "codepipeline.amazonaws.com codebuild.amazonaws.com")
    allowed = client("iam").get_role_policy(RoleName="builder", PolicyName="p")["PolicyDocument"]
    client("iam").delete_role_policy(RoleName="builder", PolicyName="p")
    connection = client("codeconnections").create_connection(ProviderType="GitHub", ConnectionName="c")
    source = action("Source", "CodeStarSourceConnection", ConnectionArn=connection["ConnectionArn"])
    client("codebuild").create_project(**project(arn))
    build = action("Build", "CodeBuild", ProjectName="app")
    codepipeline.create_pipeline(pipeline=pipeline(arn, [source], [build], [action("Deploy", "S3")]))
    assert executions(client) == ["InProgress"]
    sleep(emulator, 60)
    assert executions(client) == ["Failed"]
    state = codepipeline.get_pipeline_state(name="p")["stageStates"][0]["actionStates"][0]["latestExecution"]
    assert state["errorDetails"]["message"] == f"Connection {connection['ConnectionArn']} is not available"
    connections.finish_handshakes(emulator.world)
    client("iam").put_role_policy(RoleName="builder", PolicyName="p", PolicyDocument=json.dumps(allowed))
    sleep(emulator, 30)
    codepipeline.start_pipeline_execution(name="p")
    for _ in range(60):
        sleep(emulator, 5)
        if executions(client)[0] != "InProgress":
            break
    assert executions(client) == ["Succeeded", "Failed"]
    actions = codepipeline.list_action_executions(pipelineName="p")["actionExecutionDetails"]
    assert [one["status"] for one in actions] == ["Succeeded", "Succeeded", "Succeeded", "Failed"]
    assert codepipeline.get_pipeline_state(name="p")["stageStates"][2]["latestExecution"]["status"] == "Succeeded"


def test_an_approval_waits(emulator: Emulator, client: Client) -> None:
    codepipeline, arn = client("codepipeline"), role(emulator, client, "codepipeline.amazonaws.com")
    codepipeline.create_pipeline(
        pipeline=pipeline(arn, [action("Source", "S3")], [action("Approval", "Manual")], [action("Deploy", "S3")])
    )
    sleep(emulator, 3600)
    assert executions(client) == ["InProgress"]
    stage = codepipeline.get_pipeline_state(name="p")["stageStates"][1]
    codepipeline.put_approval_result(
        pipelineName="p",
        stageName="stage1",
        actionName="Approval",
        token=stage["actionStates"][0]["latestExecution"]["token"],
        result={"summary": "yes", "status": "Approved"},
    )
    sleep(emulator, 100)
    assert executions(client) == ["Succeeded"]
