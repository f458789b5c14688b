"""Faults on request come in the words of the service that is asked, over real HTTP too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError

from emulator.core.faults import Fault
from emulator.core.wire import Emulator, attach
from emulator.core.world import VirtualClock
from emulator.server import serve

Client = Callable[[str], Any]

#: a call of each protocol: ec2, query, json 1.1, rest-json, rest-xml, and json of a service that speaks CBOR too
CALLS: dict[str, Callable[[Client], Any]] = {
    "ec2": lambda client: client("ec2").describe_vpcs(),
    "elbv2": lambda client: client("elbv2").describe_load_balancers(),
    "autoscaling": lambda client: client("autoscaling").describe_auto_scaling_groups(),
    "iam": lambda client: client("iam").list_roles(),
    "ecs": lambda client: client("ecs").create_cluster(clusterName="c"),
    "efs": lambda client: client("efs").describe_file_systems(),
    "logs": lambda client: client("logs").describe_log_groups(),
    "route53": lambda client: client("route53").list_hosted_zones(),
    "cloudwatch": lambda client: client("cloudwatch").describe_alarms(),
    "s3": lambda client: client("s3").list_buckets(),
}
EXPECTED = {
    "throttle": {
        "ec2": ("RequestLimitExceeded", 503),
        "elbv2": ("Throttling", 400),
        "autoscaling": ("Throttling", 400),
        "iam": ("Throttling", 400),
        "ecs": ("ThrottlingException", 400),
        "efs": ("ThrottlingException", 429),
        "logs": ("ThrottlingException", 400),
        "route53": ("Throttling", 400),
        "cloudwatch": ("Throttling", 400),
        "s3": ("SlowDown", 503),
    },
    "denied": {
        "ec2": ("UnauthorizedOperation", 403),
        "elbv2": ("AccessDenied", 403),
        "autoscaling": ("AccessDenied", 403),
        "iam": ("AccessDenied", 403),
        "ecs": ("AccessDeniedException", 400),
        "efs": ("AccessDeniedException", 403),
        "logs": ("AccessDeniedException", 400),
        "route53": ("AccessDenied", 403),
        "s3": ("AccessDenied", 403),
    },
    "expired": {
        "ec2": ("RequestExpired", 400),
        "elbv2": ("ExpiredToken", 403),
        "ecs": ("ExpiredTokenException", 400),
        "efs": ("ExpiredTokenException", 403),
        "s3": ("ExpiredToken", 400),
    },
}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Emulator, Client]]:
    session = boto3.Session(region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})  # type: ignore[typeddict-unknown-key]
    made: dict[str, Any] = {}
    with serve() as (url, emulator):

        def client(name: str) -> Any:
            if name not in made:
                create: Any = session.client
                made[name] = create(name, endpoint_url=url, config=once)
            return made[name]

        yield emulator, client


@pytest.mark.parametrize(
    ("word", "service"), [(word, service) for word, services in EXPECTED.items() for service in services]
)
def test_each_service_says_it_in_its_own_words(served: tuple[Emulator, Client], word: str, service: str) -> None:
    emulator, client = served
    emulator.faults.planned = [Fault(error=word)]
    with pytest.raises(ClientError) as error:
        CALLS[service](client)
    response: Any = error.value.response
    told = response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
    assert told == EXPECTED[word][service]
    assert response["Error"]["Message"]
    CALLS[service](client)


def test_a_refusal_names_action_and_resource(served: tuple[Emulator, Client]) -> None:
    emulator, client = served
    emulator.faults.planned = [Fault("ecs:CreateCluster", "denied")]
    with pytest.raises(ClientError) as error:
        client("ecs").create_cluster(clusterName="c")
    assert error.value.response["Error"]["Message"].startswith(
        "User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: ecs:CreateCluster "
        "on resource: arn:aws:ecs:us-east-1:123456789012:cluster/c"
    )
    emulator.faults.planned = [Fault("elbv2:*", "denied")]
    with pytest.raises(ClientError) as error:
        client("elbv2").describe_load_balancers()
    assert "elasticloadbalancing:DescribeLoadBalancers" in error.value.response["Error"]["Message"]


TAG = {"Key": "k", "Value": "v"}


@pytest.mark.parametrize(
    ("action", "named", "service", "operation", "params"),
    [
        (
            *("ec2:CreateTags", "ec2:CreateTags", "ec2", "create_vpc"),
            {"CidrBlock": "10.0.0.0/16", "TagSpecifications": [{"ResourceType": "vpc", "Tags": [TAG]}]},
        ),
        (
            *("elbv2:AddTags", "elasticloadbalancing:AddTags", "elbv2", "create_target_group"),
            {"Name": "g", "Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1", "Tags": [TAG]},
        ),
        (
            *("iam:TagRole", "iam:TagRole", "iam", "create_role"),
            {"RoleName": "r", "AssumeRolePolicyDocument": "{}", "Tags": [TAG]},
        ),
        (
            *("efs:TagResource", "elasticfilesystem:TagResource", "efs", "create_file_system"),
            {"CreationToken": "t", "Tags": [TAG]},
        ),
        (
            *("cloudwatch:TagResource", "cloudwatch:TagResource", "cloudwatch", "put_metric_alarm"),
            {"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "LessThanThreshold", "Tags": [TAG]},
        ),
        (
            *("ssm:AddTagsToResource", "ssm:AddTagsToResource", "ssm", "put_parameter"),
            {"Name": "p", "Type": "String", "Value": "v", "Tags": [TAG]},
        ),
        (
            *("ec2:CreateNetworkInterface", "ec2:CreateNetworkInterface", "efs", "create_mount_target"),
            {"FileSystemId": "fs-0123456789abcdef0", "SubnetId": "subnet-0123456789abcdef0"},
        ),
        (
            *("ec2:RunInstances", "ec2:RunInstances", "autoscaling", "create_auto_scaling_group"),
            {
                "AutoScalingGroupName": "g",
                "MinSize": 0,
                "MaxSize": 1,
                "LaunchTemplate": {"LaunchTemplateName": "template"},
                "AvailabilityZones": ["us-east-1a"],
            },
        ),
        (
            *("iam:PassRole", "iam:PassRole", "ecs", "register_task_definition"),
            {
                "family": "f",
                "containerDefinitions": [{"name": "a", "image": "i", "memory": 64}],
                "taskRoleArn": "arn:aws:iam::123456789012:role/r",
            },
        ),
    ],
)
def test_an_action_that_a_call_implies_can_be_denied(
    served: tuple[Emulator, Client], action: str, named: str, service: str, operation: str, params: dict[str, Any]
) -> None:
    emulator, client = served
    emulator.faults.planned = [Fault(action, "denied")]
    with pytest.raises(ClientError) as error:
        getattr(client(service), operation)(**params)
    told = error.value.response["Error"]
    assert told["Code"] in ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")
    assert f"is not authorized to perform: {named} on resource" in told["Message"]
    assert emulator.faults.planned[0].times == 0


def test_without_tags_the_tagging_action_is_not_needed(served: tuple[Emulator, Client]) -> None:
    emulator, client = served
    emulator.faults.planned = [Fault("ec2:CreateTags", "denied"), Fault("ec2:CreateTags", "throttle", times=-1)]
    vpc = client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    assert vpc and emulator.faults.planned[0].times == 1


def test_an_exact_code_keeps_its_status_and_message(served: tuple[Emulator, Client]) -> None:
    emulator, client = served
    emulator.faults.planned = [Fault("CreateCluster", "PriorRequestNotComplete", "wait", status=429)]
    with pytest.raises(ClientError) as error:
        client("ecs").create_cluster(clusterName="c")
    response: Any = error.value.response
    assert response["Error"] == {"Code": "PriorRequestNotComplete", "Message": "wait"}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_a_cut_connection_is_seen_as_one(served: tuple[Emulator, Client]) -> None:
    emulator, client = served
    emulator.faults.planned = [Fault("ListRoles", "cut")]
    with pytest.raises(ConnectionClosedError):
        client("iam").list_roles()
    client("iam").list_roles()


@pytest.fixture
def patient() -> Iterator[tuple[Emulator, Client]]:
    """In this process, with boto3's own retries but no waiting between them."""
    emulator = Emulator(VirtualClock())
    session = boto3.Session(region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    detach = attach(session, emulator)
    yield emulator, session.client  # type: ignore[misc]
    detach()


def test_boto3_retries_a_throttle_and_a_cut(patient: tuple[Emulator, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    emulator, client = patient
    emulator.faults.planned = [Fault("DescribeVpcs", "throttle"), Fault("DescribeVpcs", "cut")]
    assert client("ec2").describe_vpcs()["ResponseMetadata"]["RetryAttempts"] == 2
    assert [outcome for _, _, outcome in emulator.calls] == ["RequestLimitExceeded", "cut", ""]


def test_a_token_makes_boto3s_own_retry_harmless_after_a_lost_answer(
    patient: tuple[Emulator, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    emulator, client = patient
    efs = client("efs")
    emulator.faults.planned = [Fault("CreateFileSystem", "cut", when="after")]
    with pytest.raises(ClientError) as error:
        efs.create_file_system(CreationToken="stable")
    assert error.value.response["Error"]["Code"] == "FileSystemAlreadyExists"
    assert len(efs.describe_file_systems()["FileSystems"]) == 1


def test_a_fault_skips_and_repeats(patient: tuple[Emulator, Client]) -> None:
    emulator, client = patient
    emulator.faults.planned = [Fault("ListClusters", "ClientException", skip=1, times=2)]
    outcomes = []
    for _ in range(4):
        try:
            client("ecs").list_clusters()
            outcomes.append("")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
    assert outcomes == ["", "ClientException", "ClientException", ""]
    emulator.faults.planned = [Fault("ListClusters", "ClientException", times=-1)]
    for _ in range(3):
        with pytest.raises(ClientError):
            client("ecs").list_clusters()


@pytest.mark.parametrize("service", CALLS)
def test_somebody_in_between_may_answer_with_a_page(served: tuple[Emulator, Client], service: str) -> None:
    emulator, client = served
    emulator.faults.planned = [Fault(error="page")]
    before = len(emulator.calls)
    with suppress(BotoCoreError, ValueError, KeyError, TypeError):  # as botocore's parsers stumble over it, if they do
        CALLS[service](client)
    assert [outcome for _, _, outcome in emulator.calls[before:]] == ["page"]
