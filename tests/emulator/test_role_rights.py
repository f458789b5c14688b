"""ecs-085: what AWS does in a role's name needs the action on that very resource; the same action on another is no right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.core.wire import Emulator
from emulator.ecr.repositories import put_image
from tests.emulator.ecs_account import Account, Client
from tests.emulator.test_codepipeline_executions import Team, action

A = "123456789012"
IMAGE = f"{A}.dkr.ecr.us-east-1.amazonaws.com/app:1"
REPOSITORY = f"arn:aws:ecr:us-east-1:{A}:repository/app"
LOGS = {"awslogs-group": "/work", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}
TOKEN = ("ecr:GetAuthorizationToken", "*")
PULL = (TOKEN, ("ecr:BatchGetImage", REPOSITORY), ("ecr:GetDownloadUrlForLayer", REPOSITORY))
Right = tuple[str, str]


def document(*rights: Right) -> str:
    statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in rights]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def elsewhere(rights: tuple[Right, ...], action: str) -> tuple[Right, ...]:
    """The same rights, but this one on another resource."""
    return tuple((each, f"{resource}-other" if each == action else resource) for each, resource in rights)


@pytest.fixture
def account(emulator: Emulator, client: Client) -> Account:
    made = Account(emulator, client)
    client("ecr").create_repository(repositoryName="app")
    put_image(made.world, "us-east-1", "app", "1")
    made.iam.detach_role_policy(
        RoleName="execution", PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
    )
    return made


@pytest.fixture
def team(emulator: Emulator, client: Client) -> Team:
    return Team(emulator, client)


def may(account: Any, role: str, *rights: Right) -> None:
    account.iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=document(*rights))


def ended(account: Account, task: str) -> str:
    """Why it stopped, or "" where it runs."""
    account.sleep(300)
    found = account.task(task)
    return "" if found["lastStatus"] == "RUNNING" else str(found["stoppedReason"])


def test_fargate_pulls_with_the_execution_roles_rights_to_the_repository(account: Account) -> None:
    account.register_fargate(image=IMAGE)
    may(account, "execution", *PULL)
    assert ended(account, account.run_fargate()) == ""
    may(account, "execution", *PULL[1:])
    assert "is not authorized to perform: ecr:GetAuthorizationToken on resource: *" in ended(
        account, account.run_fargate()
    )
    for action_name in ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"):
        may(account, "execution", *elsewhere(PULL, action_name))
        assert ended(account, account.run_fargate()) == (
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
            f"{IMAGE}: pulling from host {IMAGE.split('/')[0]} failed with status code [manifests 1]: 403 Forbidden"
        )


def test_a_host_pulls_with_the_execution_roles_rights_or_its_own(account: Account) -> None:
    account.instance()
    account.register(container={"image": IMAGE}, executionRoleArn=account.execution_role)
    account.sleep(30)
    may(account, "execution", TOKEN)
    told = ended(account, account.run())
    assert told.startswith("CannotPullContainerError: Error response from daemon: pull access denied for ")
    assert f"is not authorized to perform: ecr:BatchGetImage on resource: {REPOSITORY} because no identity" in told
    may(account, "execution", *PULL)
    assert ended(account, account.run()) == ""
    may(account, "execution", *PULL[1:])
    assert ended(account, account.run()).startswith(
        "CannotPullECRContainerError: AccessDeniedException: User: arn:aws:sts"
    )
    account.register("own", container={"image": IMAGE})
    assert ended(account, account.run("own")) == "", "AmazonEC2ContainerServiceforEC2Role may pull"


def test_a_repositorys_own_policy_is_enough(account: Account, client: Client) -> None:
    account.register_fargate(image=IMAGE)
    may(account, "execution", TOKEN)
    principal = {"AWS": f"arn:aws:iam::{A}:role/execution"}
    statement = {"Sid": "p", "Effect": "Allow", "Principal": principal, "Action": ["ecr:BatchGetImage", "ecr:GetDown*"]}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("ecr").set_repository_policy(repositoryName="app", policyText=text)
    assert ended(account, account.run_fargate()) == ""


def test_a_container_logs_only_into_the_group_that_its_role_may_write(account: Account) -> None:
    account.logs.create_log_group(logGroupName="/work")
    group = f"arn:aws:logs:us-east-1:{A}:log-group:/work"
    account.register_fargate(logConfiguration={"logDriver": "awslogs", "options": LOGS}, command=["echo", "hello"])
    writes: tuple[Right, ...] = (("logs:CreateLogStream", f"{group}:*"), ("logs:PutLogEvents", f"{group}:*"))

    def lines() -> int:
        account.sleep(300)
        return len(account.logs.filter_log_events(logGroupName="/work")["events"])

    may(account, "execution", *((action, resource.replace("/work", "/works")) for action, resource in writes))
    assert f"is not authorized to perform: logs:CreateLogStream on resource: {group}:log-stream:p/main/" in ended(
        account, account.run_fargate()
    )
    may(account, "execution", writes[0])
    account.run_fargate()
    assert lines() == 0, "it runs, and nobody knows what it says"
    may(account, "execution", *writes)
    account.run_fargate()
    assert lines() == 1


def test_a_host_joins_the_cluster_that_its_role_may_register_with(account: Account) -> None:
    account.iam.detach_role_policy(
        RoleName="instances", PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
    )
    agent: tuple[Right, ...] = (
        ("ecs:DiscoverPollEndpoint", "*"),
        ("ecs:RegisterContainerInstance", f"arn:aws:ecs:us-east-1:{A}:cluster/main"),
    )
    may(account, "instances", *elsewhere(agent, "ecs:RegisterContainerInstance"))
    account.instance()
    joined = account.ecs.list_container_instances
    assert joined(cluster="main")["containerInstanceArns"] == []
    may(account, "instances", *agent)
    account.sleep(120)
    assert len(joined(cluster="main")["containerInstanceArns"]) == 1, "the agent tries again"


def test_a_shell_needs_all_four_channels_of_the_task_role(account: Account) -> None:
    role = account.role("shell", "ecs-tasks.amazonaws.com")
    four = tuple(
        (f"ssmmessages:{verb}{kind}", "*") for verb in ("Create", "Open") for kind in ("ControlChannel", "DataChannel")
    )
    account.instance()
    account.register(taskRoleArn=role)
    for rights in (*(tuple(each for each in four if each is not one) for one in four), four):
        may(account, "shell", *rights)
        task = account.run(enableExecuteCommand=True)
        account.sleep(120)
        [agent] = account.task(task)["containers"][0]["managedAgents"]
        assert (agent["lastStatus"] == "RUNNING") == (rights == four)


# ---------------------------------------------------------------------------------------------- builds and pipelines

PUSH = ("BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage")
GROUP = f"arn:aws:logs:us-east-1:{A}:log-group:/aws/codebuild/app"
PROJECT = f"arn:aws:codebuild:us-east-1:{A}:project/app"
BUILD: tuple[Right, ...] = (
    TOKEN,
    *((f"ecr:{each}", REPOSITORY) for each in PUSH),
    *((f"logs:{each}", f"{GROUP}:*") for each in ("CreateLogGroup", "CreateLogStream", "PutLogEvents")),
    ("s3:GetObject", "arn:aws:s3:::artifacts/*"),
    ("s3:PutObject", "arn:aws:s3:::artifacts/*"),
    ("codeconnections:UseConnection", "*"),
)
PIPELINE: tuple[Right, ...] = (("codebuild:StartBuild", PROJECT), ("codebuild:BatchGetBuilds", PROJECT))


def built(team: Team, *rights: Right) -> str:
    """How a push is built by a role that may this: "" where it succeeds, else what is told of it."""
    policy = {"RoleName": "team", "PolicyName": "p", "PolicyDocument": document(*rights)}
    team.client("iam").put_role_policy(**policy)
    team.pipelines.create_pipeline(pipeline=team.declared())
    team.wait()
    if team.statuses() == ["Succeeded"]:
        return ""
    build = team.client("codebuild").list_builds()["ids"]
    if not build:
        return team.error()
    [seen] = team.client("codebuild").batch_get_builds(ids=build)["builds"]
    contexts = [each["message"] for phase in seen["phases"] for each in phase.get("contexts", [])]
    streams = (
        team.client("logs").describe_log_streams if team.client("logs").describe_log_groups()["logGroups"] else None
    )
    logged = (
        team.client("logs").filter_log_events(logGroupName="/aws/codebuild/app")["events"]
        if streams is not None
        else []
    )
    return "\n".join([*contexts, *(each["message"] for each in logged)])


def test_a_build_that_has_each_right_to_the_right_thing_succeeds(team: Team) -> None:
    team.push()
    assert built(team, *BUILD, *PIPELINE) == ""


@pytest.mark.parametrize(
    ("lacking", "told"),
    [
        *((f"ecr:{each}", f"is not authorized to perform: ecr:{each} on resource: {REPOSITORY}") for each in PUSH),
        ("logs:CreateLogStream", "does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams for build"),
        ("logs:CreateLogGroup", f"is not authorized to perform: logs:CreateLogGroup on resource: {GROUP}:log-stream:"),
        ("s3:GetObject", "CLIENT_ERROR: AccessDenied: Access Denied status code: 403 for primary source"),
        ("codebuild:StartBuild", "Error calling startBuild: arn:aws:iam::123456789012:role/team is not authorized"),
        ("codebuild:BatchGetBuilds", "Error calling batchGetBuilds: arn:aws:iam::123456789012:role/team is not"),
    ],
)
def test_a_build_with_a_right_to_something_else_fails(team: Team, lacking: str, told: str) -> None:
    team.push()
    wrong = tuple(
        (each, resource.replace("app", "other").replace("/*", "-other/*") if each == lacking else resource)
        for each, resource in (*BUILD, *PIPELINE)
    )
    assert told in built(team, *wrong)


def test_a_pipeline_looks_at_the_repository_that_its_role_may_see(team: Team) -> None:
    put_image(team.emulator.world, "us-east-1", "app", "1")
    source = action("Source", "Source", "ECR", {"RepositoryName": "app", "ImageTag": "1"}, "", "Image")
    other = action("Approve", "Approval", "Manual", {}, "", "")
    stages = [{"name": "Source", "actions": [source]}, {"name": "Approve", "actions": [other]}]
    for resource, ends in ((f"{REPOSITORY}-other", "Failed"), (REPOSITORY, "InProgress")):
        policy = document(("ecr:DescribeImages", resource))
        team.client("iam").put_role_policy(RoleName="team", PolicyName="p", PolicyDocument=policy)
        if ends == "Failed":
            team.pipelines.create_pipeline(pipeline=team.declared(stages=stages))
        else:
            team.pipelines.start_pipeline_execution(name="app")
        team.wait()
        assert team.statuses()[0] == ends
    assert "have the permissions required to access the Amazon ECR repository app" in team.error()
