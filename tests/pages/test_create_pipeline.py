"""create_pipeline.py: connection, bucket, build project and pipeline, each with just what it needs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from moto.s3.models import s3_backends

from emulator.codepipeline import pipelines
from emulator.codestar_connections import connections
from tests.conftest import ROOT, Runbook

BUCKET = "ml-a-artifacts-123456789012-us-east-1"


@pytest.fixture
def connected(endpoints: Runbook) -> Runbook:
    """Endpoint A with its repository, and a connection whose handshake is finished."""
    endpoints.settings |= {"ENDPOINT": "a", "POLL_SECONDS": "15"}
    connection = endpoints.aws("codeconnections").create_connection(ProviderType="GitHub", ConnectionName="ours")
    connections.finish_handshakes(endpoints.emulator.world)
    endpoints.settings["CONNECTION_ARN"] = connection["ConnectionArn"]
    return endpoints.has_run("create_repository.py")


def statements(runbook: Runbook, role: str) -> list[dict[str, Any]]:
    policy = runbook.aws("iam").get_role_policy(RoleName=role, PolicyName="settings")["PolicyDocument"]
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def newest(runbook: Runbook) -> dict[str, Any]:
    found = runbook.aws("codepipeline").list_pipeline_executions(pipelineName="ml-a")["pipelineExecutionSummaries"]
    newest: dict[str, Any] = found[0]
    return newest


# ------------------------------------------------------------------------------------------------------ the connection


def test_a_connection_is_made_once_and_waits_for_a_person(endpoints: Runbook) -> None:
    endpoints.has_run("create_repository.py", ENDPOINT="a")
    for verb in ("created connection ml-git", ""):
        ran = endpoints.run("create_pipeline.py", ENDPOINT="a")
        assert ran.code == 1 and verb in ran.err
        assert "the connection ml-git is PENDING, and only a person can finish its handshake with GitHub" in ran.err
        assert ran.result["url"] == "https://console.aws.amazon.com/codesuite/settings/connections?region=us-east-1"
    assert "https://console.aws.amazon.com/codesuite/settings/connections?region=us-east-1" in ran.err
    service = endpoints.aws("codeconnections")
    [made] = service.list_connections()["Connections"]
    tags = {
        tag["Key"]: tag["Value"] for tag in service.list_tags_for_resource(ResourceArn=made["ConnectionArn"])["Tags"]
    }
    assert tags == {"gpu-ecs-cluster": "ml", "gpu-ecs-part": "git", "Name": "ml-git"}, "endpoints share it"
    assert endpoints.aws("codepipeline").list_pipelines()["pipelines"] == []
    assert endpoints.aws("s3").list_buckets()["Buckets"] == []
    connections.finish_handshakes(endpoints.emulator.world)
    ran = endpoints.run("create_pipeline.py", ENDPOINT="a")
    assert ran.code == 0 and ran.result["connectionArn"] == made["ConnectionArn"]
    ran = endpoints.run("create_pipeline.py", ENDPOINT="a", CONNECTION_PROVIDER="GitLab")
    assert ran.code == 1 and "CONNECTION_PROVIDER=GitLab, but the connection ml-git leads to GitHub" in ran.err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"SOURCE_REPOSITORY": ""}, "SOURCE_REPOSITORY: is not set: say what to build"),
        (
            {"CONNECTION_ARN": "arn:aws:codeconnections:us-east-1:123456789012:connection/none"},
            "there is no such connection",
        ),
        (
            {"CONNECTION_ARN": "arn:aws:codestar-connections:eu-west-1:123456789012:connection/far"},
            "is of region eu-west-1, not of us-east-1",
        ),
        ({"BUILDSPEC": "no such thing!"}, "BUILDSPEC: 'no such thing!' is not a path"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_made(
    connected: Runbook, change: dict[str, str], sentence: str
) -> None:
    calls = len(connected.emulator.calls)
    ran = connected.run("create_pipeline.py", **change)
    assert ran.code in (1, 2) and sentence in ran.err and "Traceback" not in ran.err
    assert connected.changes(calls) == []


LONG = {"CLUSTER_NAME": "a-rather-long-name-of-it", "AWS_REGION": "ap-northeast-1"}
BUCKET_TOO_LONG = "the name of the pipeline's bucket would have 64 characters, 63 at most"
COMMAND_TOO_LONG = "SERVICE_NAME: a command of the pipeline names it, and would have 1002 characters, 1000 at most"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(LONG, BUCKET_TOO_LONG), ({"SERVICE_NAME": "s" * 177, "SCALING": "step"}, COMMAND_TOO_LONG)],
)
def test_names_that_are_too_long_for_a_pipeline_are_told_before_aws_is_asked(
    connected: Runbook, change: dict[str, str], sentence: str
) -> None:
    calls = len(connected.emulator.calls)
    for page in ("register_task_definition.py", "create_pipeline.py"):
        ran = connected.run(page, **change)
        assert (ran.code, sentence in ran.err) == (2, True), ran.err
    assert len(connected.emulator.calls) == calls


def test_a_region_that_only_the_profile_names_counts_too(connected: Runbook, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nregion = ap-northeast-1\n")
    profile = {**LONG, "AWS_REGION": "(unset)", "AWS_CONFIG_FILE": str(tmp_path / "config")}
    connected.has_run("create_repository.py", **profile)
    calls = len(connected.emulator.calls)
    ran = connected.run("create_pipeline.py", **profile)
    assert (ran.code, "64 characters, 63 at most" in ran.err, connected.changes(calls)) == (1, True, []), ran.err


def test_the_longest_command_of_a_pipeline_is_as_long_as_aws_takes_it(connected: Runbook) -> None:
    its_name = "s" * 176
    connected.has_run(
        "create_pipeline.py",
        SERVICE_NAME=its_name,
        SCALING="step",
        MIN_TASKS="1000",
        MAX_TASKS="1000",
        DESIRED_COUNT="1000",
        WAIT="false",
    )
    stages = connected.aws("codepipeline").get_pipeline(name="ml-a")["pipeline"]["stages"]
    [command] = [text for stage in stages for action in stage["actions"] for text in action.get("commands", [])]
    assert its_name in command and len(command) == 999


def test_an_unfinished_connection_no_repository_and_a_taken_name_are_told_first(endpoints: Runbook) -> None:
    endpoints.settings["ENDPOINT"] = "a"
    ran = endpoints.run("create_pipeline.py")
    assert "there is no repository ml-a for the images: run create_repository.py first" in ran.err
    endpoints.has_run("create_repository.py")
    request = {"ProviderType": "GitHub", "ConnectionName": "theirs"}
    arn = endpoints.aws("codeconnections").create_connection(**request)["ConnectionArn"]
    calls = len(endpoints.emulator.calls)
    ran = endpoints.run("create_pipeline.py", CONNECTION_ARN=arn)
    assert "the connection theirs is PENDING" in ran.err and endpoints.changes(calls) == []
    s3_backends["999999999999"]["aws"].create_bucket(BUCKET, "us-east-1")
    connections.finish_handshakes(endpoints.emulator.world)
    ran = endpoints.run("create_pipeline.py", CONNECTION_ARN=arn)
    assert ran.code == 1 and f"the bucket {BUCKET} belongs to another account" in ran.err


# ------------------------------------------------------------------------------------------------------- what is made


def test_the_pipeline_builds_by_itself_and_a_second_run_changes_nothing(connected: Runbook) -> None:
    ran = connected.run("create_pipeline.py")
    assert ran.code == 0, ran.err
    assert len(ran.result["newestTag"]) == 12, "tagged with the commit"
    made = connected.aws("codepipeline").get_pipeline(name="ml-a")["pipeline"]
    assert made["pipelineType"] == "V2"
    source, build, deploy = (stage["actions"] for stage in made["stages"])
    assert source[0]["configuration"] == {
        "ConnectionArn": connected.settings["CONNECTION_ARN"],
        "FullRepositoryId": "example/ml-endpoints",
        "BranchName": "main",
        "OutputArtifactFormat": "CODEBUILD_CLONE_REF",
        "DetectChanges": "true",
    }
    assert build[0]["configuration"] == {"ProjectName": "ml-a-build"}
    assert [each["actionTypeId"]["provider"] for each in deploy] == ["ECS", "Commands"]
    assert deploy[0]["configuration"] == {
        "ClusterName": "ml",
        "ServiceName": "ml-a",
        "FileName": "imagedefinitions.json",
    }
    [project] = connected.aws("codebuild").batch_get_projects(names=["ml-a-build"])["projects"]
    assert project["environment"]["privilegedMode"] and project["source"]["buildspec"] == "buildspec/a.yml"
    groups = connected.aws("logs").describe_log_groups()["logGroups"]
    assert {group["logGroupName"]: group["retentionInDays"] for group in groups} == {
        "/aws/codebuild/ml-a-build": 7,
        "/aws/codepipeline/ml-a": 7,
    }
    calls = len(connected.emulator.calls)
    again = connected.run("create_pipeline.py")
    assert again.code == 0 and connected.changes(calls) == [], again.err


def test_the_bucket_is_private_encrypted_and_soon_empty(connected: Runbook) -> None:
    connected.has_run("create_pipeline.py", WAIT="false")
    s3 = connected.aws("s3")
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    [rule] = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    [rule] = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"]
    assert rule["ObjectOwnership"] == "BucketOwnerEnforced"
    [statement] = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["Expiration"] == {"Days": 30}
    s3.delete_bucket_policy(Bucket=BUCKET)
    s3.delete_public_access_block(Bucket=BUCKET)
    ran = connected.run("create_pipeline.py", WAIT="false", ARTIFACT_DAYS="3")
    assert f"updated bucket {BUCKET}  objects expire after 3 days" in ran.err
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_policy(Bucket=BUCKET)["Policy"]


def test_each_role_may_do_just_what_it_needs(connected: Runbook) -> None:
    connected.has_run("create_pipeline.py", WAIT="false")
    for role in ("ml-a-build-us-east-1", "ml-a-pipeline-us-east-1"):
        found = statements(connected, role)
        [connection] = [each for each in found if "codeconnections:UseConnection" in each["Action"]]
        assert "codestar-connections:UseConnection" in connection["Action"]
        assert connection["Resource"] == connected.settings["CONNECTION_ARN"]
        wide = {str(each["Action"]) for each in found if each["Resource"] == "*"}
        assert wide <= {"ecr:GetAuthorizationToken", "['ecs:DescribeTaskDefinition', 'ecs:RegisterTaskDefinition']"}
        assert not any("*" in action for each in found for action in each["Action"])
    [passed] = [each for each in found if each["Action"] == "iam:PassRole"]
    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": ["ecs-tasks.amazonaws.com"]}}
    assert [arn.rpartition("/")[2] for arn in passed["Resource"]] == [
        "ml-a-task-execution-us-east-1",
        "ml-a-task-us-east-1",
    ]
    trust = connected.aws("iam").get_role(RoleName="ml-a-build-us-east-1")["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_a_changed_setting_is_applied(connected: Runbook) -> None:
    connected.has_run("create_pipeline.py", WAIT="false")
    ran = connected.run(
        "create_pipeline.py", WAIT="false", BUILD_COMPUTE_TYPE="BUILD_GENERAL1_LARGE", SOURCE_BRANCH="next"
    )
    assert "updated build project ml-a-build  environment" in ran.err and "updated pipeline ml-a  Source" in ran.err
    [project] = connected.aws("codebuild").batch_get_projects(names=["ml-a-build"])["projects"]
    assert project["environment"]["computeType"] == "BUILD_GENERAL1_LARGE"
    ran = connected.run("create_pipeline.py", WAIT="false", SOURCE_BRANCH="next", SCALING="none")
    [command] = connected.aws("codepipeline").get_pipeline(name="ml-a")["pipeline"]["stages"][2]["actions"][1][
        "commands"
    ]
    assert "application-autoscaling" not in command and "updated pipeline ml-a  Deploy" in ran.err


def test_what_is_of_someone_else_is_left_alone(connected: Runbook) -> None:
    connected.has_run("create_pipeline.py", WAIT="false")
    arn = connected.aws("codepipeline").get_pipeline(name="ml-a")["metadata"]["pipelineArn"]
    connected.aws("codepipeline").untag_resource(resourceArn=arn, tagKeys=["gpu-ecs-cluster"])
    calls = len(connected.emulator.calls)
    ran = connected.run("create_pipeline.py")
    assert ran.code == 1 and "the pipeline ml-a exists already, and does not bear the tag gpu-ecs-cluster=ml" in ran.err
    assert connected.changes(calls) == []


def test_it_works_without_endpoints_and_a_dry_run_makes_nothing(fargate: Runbook) -> None:
    fargate.settings |= {"SOURCE_REPOSITORY": "team/api", "BUILDSPEC": "buildspec/a.yml"}
    fargate.has_run("create_repository.py")
    calls = len(fargate.emulator.calls)
    ran = fargate.run("create_pipeline.py", "--dry-run")
    assert ran.code == 0 and "would have created pipeline api" in ran.err, ran.err
    assert fargate.changes(calls) == []
    assert fargate.run("create_pipeline.py").code == 1  # the handshake
    connections.finish_handshakes(fargate.emulator.world)
    assert fargate.run("create_pipeline.py").result["pipelineName"] == "api"
    calls = len(fargate.emulator.calls)
    assert fargate.run("create_pipeline.py", "--dry-run").code == 0
    assert fargate.changes(calls) == []


# -------------------------------------------------------------------------------------------------- builds that fail


def test_a_build_that_fails_is_told_with_the_end_of_its_log_and_tried_again_after_a_change(connected: Runbook) -> None:
    ran = connected.run("create_pipeline.py", BUILDSPEC="buildspec/none.yml")
    assert ran.code == 1
    assert "Build of pipeline ml-a failed: Build terminated with state: FAILED: YAML_FILE_ERROR" in ran.err
    assert "buildspec/none.yml: no such file or directory" in ran.err
    assert ran.result["execution"]["failure"]["log"]
    calls = len(connected.emulator.calls)
    ran = connected.run("create_pipeline.py", BUILDSPEC="buildspec/none.yml")
    assert ran.code == 1 and connected.changes(calls) == [], "nothing has changed: nothing is tried again"
    ran = connected.run("create_pipeline.py")
    assert ran.code == 0 and "started pipeline ml-a  again" in ran.err, ran.err


def test_a_commit_is_not_built_twice(connected: Runbook) -> None:
    """Its tag can't be given again, and the image is there."""
    connected.has_run("create_pipeline.py")
    connected.aws("codepipeline").start_pipeline_execution(name="ml-a")
    assert connected.run("create_pipeline.py").code == 0
    assert len(connected.aws("ecr").describe_images(repositoryName="ml-a")["imageDetails"]) == 1


# ---------------------------------------------------------------------------------------------------- the first deploy


def test_a_deploy_waits_until_there_is_a_service_and_then_starts_it(connected: Runbook) -> None:
    connected.has_run("create_pipeline.py")
    state = connected.aws("codepipeline").get_pipeline_state(name="ml-a")["stageStates"][2]
    assert not state["inboundTransitionState"]["enabled"]
    image = {"IMAGE_TAG": "", "IMAGE": "nginx:1.27"}
    connected.has_run("create_cluster.py", ENDPOINT="(unset)")
    connected.has_run("register_task_definition.py", **image)
    connected.has_run("create_service.py", DESIRED_COUNT="0", **image)
    for _ in range(20):
        connected.settle(60)
    assert newest(connected)["status"] == "Succeeded"
    ecs = connected.aws("ecs")
    [service] = ecs.describe_services(cluster="ml", services=["ml-a"])["services"]
    assert (service["desiredCount"], service["runningCount"]) == (2, 2)
    found = ecs.describe_task_definition(taskDefinition=service["taskDefinition"], include=["TAGS"])
    [tag] = connected.aws("ecr").list_images(repositoryName="ml-a")["imageIds"]
    shown = found["taskDefinition"]["containerDefinitions"][0]["image"]
    assert shown == f"123456789012.dkr.ecr.us-east-1.amazonaws.com/ml-a:{tag['imageTag']}"
    scaling = connected.aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")
    [target] = scaling["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"], any(target["SuspendedState"].values())) == (2, 4, False)
    about = {key: target[key] for key in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
    suspended = {"DynamicScalingInSuspended": True}
    connected.aws("application-autoscaling").register_scalable_target(**about, SuspendedState=suspended)
    ecs.update_service(cluster="ml", service="ml-a", desiredCount=3)
    pipelines.push(connected.emulator.world, "example/ml-endpoints", "main", "Better", {}, "")
    for _ in range(30):
        connected.settle(60)
    assert newest(connected)["status"] == "Succeeded"
    [service] = ecs.describe_services(cluster="ml", services=["ml-a"])["services"]
    assert service["desiredCount"] == 3, "a service that runs keeps its count"


def test_a_service_of_another_name_is_told_to_need_the_pipeline_again(connected: Runbook) -> None:
    connected.has_run("create_cluster.py", ENDPOINT="(unset)")
    image = {"IMAGE": "example.com/ml:v1", "IMAGE_TAG": "", "SCALING": "none", "WAIT": "false"}
    connected.has_run("create_pipeline.py", "register_task_definition.py", **image)
    again = "run ENDPOINT=a python create_pipeline.py, so that it deploys to other"
    for name, told in (("", False), ("other", True)):
        ran = connected.run("create_service.py", **image, SERVICE_NAME=name, DESIRED_COUNT="0")
        assert (ran.code, again in ran.err) == (0, told), ran.err
    assert "warning pipeline ml-a deploys to service ml-a: " in ran.err
    connected.has_run("create_pipeline.py", **image, SERVICE_NAME="other")
    assert again not in connected.run("create_service.py", **image, SERVICE_NAME="other", DESIRED_COUNT="0").err


def test_a_way_into_deploy_that_a_person_closed_stays_closed(connected: Runbook) -> None:
    connected.has_run("create_pipeline.py", WAIT="false")
    codepipeline = connected.aws("codepipeline")
    stage = {"pipelineName": "ml-a", "stageName": "Deploy", "transitionType": "Inbound"}
    codepipeline.disable_stage_transition(**stage, reason="Friday")
    connected.has_run("create_pipeline.py", WAIT="false")
    state = codepipeline.get_pipeline_state(name="ml-a")["stageStates"][2]["inboundTransitionState"]
    assert state["disabledReason"] == "Friday"


# ------------------------------------------------------------------------------------- what runs in someone else's shell


def shell(tmp_path: Path, script: str, commands: dict[str, str], **environment: str) -> tuple[int, list[str]]:
    """Run a script in bash where `aws` and `docker` are these scripts: its code, and how they were called."""
    for name, text in commands.items():
        program = tmp_path / name
        program.write_text(f'#!/bin/bash\necho "{name} $*" >> {tmp_path}/calls\n{text}\n')
        program.chmod(0o755)
    (tmp_path / "calls").write_text("")
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **environment}
    ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=variables, check=False, capture_output=True)
    return ran.returncode, (tmp_path / "calls").read_text().splitlines()


@pytest.mark.parametrize("endpoint", ["a", "b"])
def test_the_buildspec_pushes_an_image_tagged_with_the_commit_once(tmp_path: Path, endpoint: str) -> None:
    spec = yaml.safe_load((ROOT / "examples" / "ml-endpoints" / "buildspec" / f"{endpoint}.yml").read_text())
    commands = [command for phase in spec["phases"].values() for command in phase["commands"]]
    script = "\n".join(f"{{\n{command}\n}} || exit 1" for command in commands)  # CodeBuild looks at each one's code
    uri = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/ml-{endpoint}"
    environment = {
        "REPOSITORY_URI": uri,
        "REPOSITORY_NAME": f"ml-{endpoint}",
        "CONTAINER_NAME": "main",
        "CODEBUILD_RESOLVED_SOURCE_VERSION": "0123456789abcdef0123",
        **spec["env"]["variables"],
    }
    absent = {"aws": '[ "$2" = get-login-password ]', "docker": "cat > /dev/null"}
    code, calls = shell(tmp_path, script, absent, **environment)
    image = f"{uri}:0123456789ab"
    assert (code, calls[-2:]) == (
        0,
        [f"docker build --pull --file {endpoint}/Dockerfile --tag {image} .", f"docker push {image}"],
    )
    login = f"docker login --username AWS --password-stdin {uri.partition('/')[0]}"
    assert login in calls
    written = json.loads((tmp_path / "imagedefinitions.json").read_text())
    assert written == [{"name": "main", "imageUri": image}]
    code, calls = shell(tmp_path, script, {**absent, "aws": "exit 0"}, **environment)
    assert code == 0 and not any("docker push" in call for call in calls), "it is there already"
    broken = {**absent, "docker": '[ "$1" = login ]'}
    assert shell(tmp_path, script, broken, **environment)[0] != 0


def test_the_command_starts_only_a_service_without_tasks(connected: Runbook, tmp_path: Path) -> None:
    connected.has_run("create_pipeline.py", WAIT="false")
    [command] = connected.aws("codepipeline").get_pipeline(name="ml-a")["pipeline"]["stages"][2]["actions"][1][
        "commands"
    ]
    assert "\n" not in command and len(command) <= 1000
    code, calls = shell(tmp_path, command, {"aws": "echo 2"})
    assert (code, len(calls)) == (0, 1)
    code, calls = shell(tmp_path, command, {"aws": "echo 0"})
    assert code == 0
    assert calls[1].startswith(
        "aws ecs update-service --region us-east-1 --cluster ml --service ml-a --desired-count 2"
    )
    assert calls[2].endswith("--min-capacity 2 --max-capacity 4")
