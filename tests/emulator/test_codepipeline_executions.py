"""Pipelines that act: sources, builds that push, deploys to ECS, commands, and what waits for what."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.codestar_connections import connections
from emulator.core.doors import DOORS
from emulator.core.wire import Emulator
from emulator.core.world import Clock, VirtualClock

Client = Callable[[str], Any]
URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com/app"


def sleep(emulator: Emulator, client: Client, seconds: float) -> None:
    clock = emulator.world.clock
    for _ in range(20):
        if isinstance(clock, VirtualClock):
            clock.sleep(seconds / 20)
        client("sts").get_caller_identity()


SERVICES = ["codebuild.amazonaws.com", "codepipeline.amazonaws.com"]


def make_role(emulator: Emulator, client: Client, name: str, *actions: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": SERVICES}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    arn = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    allow(client, name, *actions)
    sleep(emulator, client, 60)
    return str(arn)


def allow(client: Client, name: str, *actions: str) -> None:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))


def action(name: str, category: str, provider: str, config: dict[str, str], reads: str, writes: str) -> dict[str, Any]:
    return {
        "name": name,
        "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"},
        "configuration": config,
        "inputArtifacts": [{"name": reads}] if reads else [],
        "outputArtifacts": [{"name": writes}] if writes else [],
    }


EVERYTHING = ("s3", "ecr", "codebuild", "codeconnections", "ecs", "logs")


class Team:
    """One pipeline with everything that it needs, and short words for looking at it."""

    def __init__(self, emulator: Emulator, client: Client) -> None:
        self.emulator, self.client = emulator, client
        self.pipelines = client("codepipeline")
        client("s3").create_bucket(Bucket="artifacts")
        client("ecr").create_repository(repositoryName="app", imageTagMutability="IMMUTABLE")
        connection = client("codeconnections").create_connection(ProviderType="GitHub", ConnectionName="c")
        connections.finish_handshakes(emulator.world)
        self.arn = connection["ConnectionArn"]
        self.role = make_role(emulator, client, "team", *(f"{each}:*" for each in EVERYTHING), "iam:PassRole")
        variables = {"REPOSITORY_URI": URI, "REPOSITORY_NAME": "app", "CONTAINER_NAME": "main"}
        client("codebuild").create_project(
            name="app",
            source={"type": "CODEPIPELINE", "buildspec": "buildspec/a.yml"},
            artifacts={"type": "CODEPIPELINE"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "privilegedMode": True,
                "environmentVariables": [{"name": key, "value": value} for key, value in variables.items()],
            },
            serviceRole=self.role,
        )

    def declared(self, *last: dict[str, Any], **changes: Any) -> dict[str, Any]:
        source = {
            "ConnectionArn": self.arn,
            "FullRepositoryId": "team/app",
            "BranchName": "main",
            "OutputArtifactFormat": "CODEBUILD_CLONE_REF",
            "DetectChanges": "true",
        }
        stages = [
            [action("Source", "Source", "CodeStarSourceConnection", source, "", "Code")],
            [action("Build", "Build", "CodeBuild", {"ProjectName": "app"}, "Code", "Built")],
            *([list(last)] if last else []),
        ]
        named = zip(("Source", "Build", "Deploy"), stages, strict=False)
        return {
            "name": "app",
            "roleArn": self.role,
            "artifactStore": {"type": "S3", "location": "artifacts"},
            "pipelineType": "V2",
            "stages": [{"name": name, "actions": actions} for name, actions in named],
            **changes,
        }

    def push(self, **given: Any) -> dict[str, Any]:
        door = DOORS["POST", "/_emulator/pushes"]
        made: dict[str, Any] = door(self.emulator, {"repository": "team/app", **given})
        return made

    def wait(self, seconds: float = 300) -> None:
        sleep(self.emulator, self.client, seconds)

    def statuses(self) -> list[str]:
        found = self.pipelines.list_pipeline_executions(pipelineName="app")["pipelineExecutionSummaries"]
        return [each["status"] for each in found]

    def error(self) -> str:
        """What the newest action that failed says."""
        found = self.pipelines.list_action_executions(pipelineName="app")["actionExecutionDetails"]
        failed = next(each for each in found if each["status"] == "Failed")
        return str(failed["output"]["executionResult"]["errorDetails"]["message"])

    def images(self) -> list[str]:
        return [each["imageTag"] for each in self.client("ecr").list_images(repositoryName="app")["imageIds"]]


@pytest.fixture
def team(emulator: Emulator, client: Client) -> Team:
    return Team(emulator, client)


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**params)
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


def triggered(paths: list[str], action: str = "Source") -> list[dict[str, Any]]:
    push = {"branches": {"includes": ["main"]}, "filePaths": {"includes": paths}}
    return [
        {"providerType": "CodeStarSourceConnection", "gitConfiguration": {"sourceActionName": action, "push": [push]}}
    ]


@pytest.mark.parametrize(
    ("files", "branch", "starts"),
    [
        (("a/Dockerfile",), "main", True),
        (("b/x", "a/deep/er/x"), "main", True),
        (("lib/x",), "main", True),
        (("lib/deeper/x",), "main", False),
        (("b/x", "README.md", "aa/x"), "main", False),
        (("a/Dockerfile",), "develop", False),
        ((), "main", False),
    ],
)
def test_a_push_starts_only_the_pipelines_whose_paths_it_touches(
    team: Team, files: tuple[str, ...], branch: str, starts: bool
) -> None:
    team.pipelines.create_pipeline(pipeline=team.declared(triggers=triggered(["a/**", "lib/*"])))
    team.wait()
    pushed = team.push(branch=branch, files=dict.fromkeys(files, "new"))
    assert bool(pushed["executions"]) == starts
    team.pipelines.update_pipeline(pipeline=team.declared())
    assert bool(team.push(branch=branch)["executions"]) == (branch == "main")


def test_a_trigger_is_of_a_source_action_and_has_few_patterns(team: Team) -> None:
    for wrong in (triggered(["a"], "Build"), triggered(["a"]) * 2, triggered([f"{n}/**" for n in range(9)])):
        code, _ = refused(team.pipelines.create_pipeline, pipeline=team.declared(triggers=wrong))
        assert code in ("InvalidStructureException", "ValidationException")
    first = {"pipelineType": "V1", "triggers": triggered(["a"])}
    assert refused(team.pipelines.create_pipeline, pipeline=team.declared(**first))[0] == "InvalidStructureException"


def test_a_push_is_built_and_its_image_bears_the_commit(team: Team) -> None:
    team.pipelines.create_pipeline(pipeline=team.declared())
    team.wait()
    assert (team.statuses(), len(team.images())) == (["Succeeded"], 1)
    pushed = team.push(message="Better")
    assert [each["pipelineName"] for each in pushed["executions"]] == ["app"]
    team.wait()
    assert team.statuses() == ["Succeeded", "Succeeded"] and pushed["commit"][:12] in team.images()
    newest = team.pipelines.list_pipeline_executions(pipelineName="app")["pipelineExecutionSummaries"][0]
    assert newest["trigger"] == {"triggerType": "WebhookV2", "triggerDetail": team.arn}
    assert newest["sourceRevisions"][0]["revisionId"] == pushed["commit"]
    assert json.loads(newest["sourceRevisions"][0]["revisionSummary"])["CommitMessage"] == "Better"
    keys = [each["Key"].split("/")[1] for each in team.client("s3").list_objects_v2(Bucket="artifacts")["Contents"]]
    assert sorted(set(keys)) == ["Built", "Code"]
    assert team.push(branch="other")["executions"] == [], "another branch"


def test_a_tag_is_given_once(team: Team) -> None:
    team.pipelines.create_pipeline(pipeline=team.declared())
    team.wait()
    team.pipelines.start_pipeline_execution(name="app")
    team.wait()
    assert team.statuses()[0] == "Succeeded", "the buildspec looks first"
    blind = f"docker build -t {URI}:v1 .\ndocker push {URI}:v1"
    team.push(files={"buildspec/a.yml": blind})
    team.wait()
    team.push(message="The same tag")
    team.wait()
    assert team.statuses()[:2] == ["Failed", "Succeeded"]


@pytest.mark.parametrize(
    ("role", "words"),
    [
        (("s3:*", "codebuild:*"), "Unable to use Connection"),
        (("codeconnections:*", "codebuild:*"), "to access the S3 bucket artifacts"),
        (("codeconnections:*", "s3:*"), "is not authorized to perform: codebuild:StartBuild"),
        (("codeconnections:*", "s3:*", "codebuild:*"), "Build terminated with state: FAILED"),
    ],
)
def test_a_role_may_do_what_its_policy_says_and_no_more(team: Team, role: tuple[str, ...], words: str) -> None:
    allow(team.client, "team", *role)
    team.pipelines.create_pipeline(pipeline=team.declared())
    team.wait()
    assert team.statuses() == ["Failed"] and words in team.error()


def test_a_missing_branch_a_missing_buildspec_and_a_bad_commit_fail(team: Team) -> None:
    team.push(branch="other")
    team.pipelines.create_pipeline(pipeline=team.declared())
    team.wait()
    assert team.error() == "[GitHub] No Branch [main] found for FullRepositoryName [team/app]"
    team.push(files={"README": "hello"})
    team.wait()
    build = team.client("codebuild").list_builds()["ids"][0]
    [seen] = team.client("codebuild").batch_get_builds(ids=[build])["builds"]
    contexts = [each for phase in seen["phases"] for each in phase.get("contexts", [])]
    assert contexts[0]["message"].startswith("YAML_FILE_ERROR: ")
    assert [phase["phaseType"] for phase in seen["phases"]][-2:] == ["DOWNLOAD_SOURCE", "COMPLETED"]
    assert team.images() == []


def test_before_a_closed_stage_only_the_newest_waits(team: Team) -> None:
    other = action("Deploy", "Deploy", "S3", {}, "Built", "")
    team.pipelines.create_pipeline(pipeline=team.declared(other))
    stage = {"pipelineName": "app", "stageName": "Deploy", "transitionType": "Inbound"}
    assert refused(team.pipelines.disable_stage_transition, **stage, reason="no: colons")[0] == "ValidationException"
    team.pipelines.disable_stage_transition(**stage, reason="Not yet")
    team.wait()
    team.push()
    team.wait()
    assert team.statuses() == ["InProgress", "Superseded"]
    team.pipelines.enable_stage_transition(**stage)
    team.wait()
    assert team.statuses() == ["Succeeded", "Superseded"]


def test_two_executions_are_not_in_a_stage_at_once(team: Team) -> None:
    team.pipelines.create_pipeline(pipeline=team.declared())
    sleep(team.emulator, team.client, 20)
    team.push()
    sleep(team.emulator, team.client, 30)
    states = team.pipelines.list_action_executions(pipelineName="app")["actionExecutionDetails"]
    assert [each["actionName"] for each in states if each["status"] == "InProgress"] == ["Build"]
    team.wait(600)
    assert team.statuses() == ["Succeeded", "Succeeded"]


def test_what_is_declared_is_checked(team: Team) -> None:
    create = team.pipelines.create_pipeline
    lost = action("Deploy", "Deploy", "S3", {}, "Nowhere", "")
    assert "not declared as Output Artifact" in refused(create, pipeline=team.declared(lost))[1]
    silent = action("Run", "Compute", "Commands", {}, "Built", "")
    code, message = refused(create, pipeline=team.declared(silent))
    assert (code, message) == ("InvalidActionDeclarationException", "Action Run must have a non-empty commands field")
    old = team.declared({**silent, "commands": ["true"]}, pipelineType="V1")
    assert "V2 only" in refused(create, pipeline=old)[1]


def test_a_deploy_needs_its_service_and_its_container(team: Team) -> None:
    deploy = action("Deploy", "Deploy", "ECS", {"ClusterName": "c", "ServiceName": "web"}, "Built", "")
    team.pipelines.create_pipeline(pipeline=team.declared(deploy))
    team.wait()
    assert team.error() == "The AWS ECS service web does not exist"
    ecs = team.client("ecs")
    ecs.create_cluster(clusterName="c")
    team.wait(60)
    container = {"name": "other", "image": "nginx:1.27", "memory": 128}
    definition = ecs.register_task_definition(family="web", containerDefinitions=[container])
    arn = definition["taskDefinition"]["taskDefinitionArn"]
    ecs.create_service(cluster="c", serviceName="web", taskDefinition=arn, desiredCount=0)
    team.push()
    team.wait()
    assert team.error() == "The AWS ECS container main does not exist"


def with_service(team: Team, commands: list[str]) -> None:
    """A service without tasks, and a pipeline that deploys to it and then runs these commands."""
    ecs = team.client("ecs")
    ecs.create_cluster(clusterName="c")
    team.wait(60)
    container = {"name": "main", "image": "nginx:1.27", "memory": 128}
    tags = [{"key": "of", "value": "team"}]
    ecs.register_task_definition(family="web", containerDefinitions=[container], tags=tags)
    ecs.create_service(cluster="c", serviceName="web", taskDefinition="web", desiredCount=0)
    deploy = action("Deploy", "Deploy", "ECS", {"ClusterName": "c", "ServiceName": "web"}, "Built", "")
    run = {**action("Run", "Compute", "Commands", {}, "Built", ""), "runOrder": 2, "commands": commands}
    team.pipelines.create_pipeline(pipeline=team.declared(deploy, run))
    team.wait(900)


def test_a_deploy_registers_the_image_and_a_command_changes_the_service(team: Team) -> None:
    count = "aws ecs describe-services --cluster c --services web --query 'services[0].desiredCount' --output text"
    with_service(
        team, [f'if [ "$({count})" = 0 ]; then aws ecs update-service --cluster c --service web --desired-count 1; fi']
    )
    assert team.statuses() == ["Succeeded"]
    [service] = team.client("ecs").describe_services(cluster="c", services=["web"])["services"]
    assert service["desiredCount"] == 1 and service["taskDefinition"].endswith("web:2")
    found = team.client("ecs").describe_task_definition(taskDefinition="web:2", include=["TAGS"])
    assert found["taskDefinition"]["containerDefinitions"][0]["image"] == f"{URI}:{team.images()[0]}"
    assert found["tags"] == [{"key": "of", "value": "team"}]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("aws application-autoscaling describe-scalable-targets --service-namespace ecs", "AccessDeniedException"),
        ("aws ecs update-service --cluster c --service none --desired-count 1", "ServiceNotFoundException"),
        ("aws ecs update-service --cluster c --service web --count 1", "Unknown options: --count"),
        ("make everything-good", "make: command not found"),
    ],
)
def test_a_command_that_fails_fails_the_action_and_is_in_the_log(team: Team, command: str, words: str) -> None:
    with_service(team, [command])
    assert team.statuses() == ["Failed"] and team.error() == "Build terminated with state: FAILED"
    group = "/aws/codepipeline/app"
    [stream] = team.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    lines = team.client("logs").get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    assert any(words in line["message"] for line in lines), lines


def test_a_revision_that_the_service_leaves_again_fails_the_deploy(team: Team) -> None:
    with_service(team, ["aws ecs update-service --cluster c --service web --desired-count 1"])
    assert team.statuses() == ["Succeeded"]
    team.push()
    team.wait(600)
    assert team.statuses()[0] == "InProgress", "no host for the new task"
    team.client("ecs").update_service(cluster="c", service="web", taskDefinition="web:1")
    team.wait(60)
    assert team.statuses()[0] == "Failed" and "The deployment of web:3 did not succeed" in team.error()


def test_where_time_does_not_count_a_pipeline_runs_too(emulator: Emulator, client: Client) -> None:
    emulator.world.clock = Clock(0)
    team = Team(emulator, client)
    with_service(team, ["aws ecs update-service --cluster c --service web --desired-count 1"])
    assert team.statuses() == ["Succeeded"]


def test_a_deleted_pipeline_goes_no_further(team: Team) -> None:
    team.pipelines.create_pipeline(pipeline=team.declared())
    sleep(team.emulator, team.client, 5)
    team.pipelines.delete_pipeline(name="app")
    team.wait()
    assert team.client("codebuild").list_builds()["ids"] == []
