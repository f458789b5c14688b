"""The caller's own policy: what it does not allow is refused in AWS's words, with all that a call implies."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.core.doors import DOORS
from emulator.core.wire import Emulator
from emulator.iam import requests, s3_requests
from tests.emulator.ecs_account import Account, Client, trust

USER = "arn:aws:iam::123456789012:user/emulator"
Limit = Callable[..., Any]


@pytest.fixture
def limit(emulator: Emulator) -> Limit:
    """Gives the caller these statements, and no other right; without any he may everything again."""

    def given(*statements: dict[str, Any]) -> Any:
        policy = {"Version": "2012-10-17", "Statement": list(statements)} if statements else None
        return DOORS["POST", "/_emulator/caller"](emulator, {"policy": policy})

    return given


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**params)
    told = error.value.response["Error"]
    return str(told["Code"]), str(told["Message"])


def denied(action: str, resource: str) -> str:
    return (
        f"User: {USER} is not authorized to perform: {action} on resource: {resource} because no identity-based policy "
        f"allows the {action} action"
    )


#: what is asked -> code, action and resource of the refusal; None: S3, which says it in short
WORDS: dict[str, tuple[Callable[[Client], Any], str, str, str]] = {
    "ec2": (
        lambda c: c("ec2").create_vpc(CidrBlock="10.0.0.0/16"),
        "UnauthorizedOperation",
        "ec2:CreateVpc",
        "ec2:R:A:vpc/*",
    ),
    "ec2 reads": (lambda c: c("ec2").describe_vpcs(), "UnauthorizedOperation", "ec2:DescribeVpcs", "*"),
    "ecs": (
        lambda c: c("ecs").update_service(cluster="c", service="s", desiredCount=1),
        "AccessDeniedException",
        "ecs:UpdateService",
        "ecs:R:A:service/c/s",
    ),
    "ecs cluster": (
        lambda c: c("ecs").create_cluster(clusterName="c"),
        "AccessDeniedException",
        "ecs:CreateCluster",
        "ecs:R:A:cluster/c",
    ),
    "iam": (lambda c: c("iam").get_role(RoleName="r"), "AccessDenied", "iam:GetRole", "iam::A:role/r"),
    "efs": (
        lambda c: c("efs").delete_file_system(FileSystemId="fs-0123456789abcdef0"),
        "AccessDeniedException",
        "elasticfilesystem:DeleteFileSystem",
        "elasticfilesystem:R:A:file-system/fs-0123456789abcdef0",
    ),
    "elbv2": (
        lambda c: c("elbv2").describe_load_balancers(),
        "AccessDenied",
        "elasticloadbalancing:DescribeLoadBalancers",
        "*",
    ),
    "autoscaling": (
        lambda c: c("autoscaling").delete_auto_scaling_group(AutoScalingGroupName="g"),
        "AccessDenied",
        "autoscaling:DeleteAutoScalingGroup",
        "autoscaling:R:A:autoScalingGroup:*:autoScalingGroupName/g",
    ),
    "logs": (
        lambda c: c("logs").delete_log_group(logGroupName="/g"),
        "AccessDeniedException",
        "logs:DeleteLogGroup",
        "logs:R:A:log-group:/g:log-stream:",
    ),
    "route53": (
        lambda c: c("route53").list_resource_record_sets(HostedZoneId="Z1"),
        "AccessDenied",
        "route53:ListResourceRecordSets",
        "route53:::hostedzone/Z1",
    ),
    "tags": (
        lambda c: c("resourcegroupstaggingapi").get_resources(),
        "AccessDeniedException",
        "tag:GetResources",
        "*",
    ),
    "ssm": (
        lambda c: c("ssm").put_parameter(Name="/a/b", Value="x", Type="String"),
        "AccessDeniedException",
        "ssm:PutParameter",
        "ssm:R:A:parameter/a/b",
    ),
    "s3": (lambda c: c("s3").create_bucket(Bucket="b0b"), "AccessDenied", "s3:CreateBucket", "s3:::b0b"),
}


@pytest.mark.parametrize("service", WORDS)
def test_each_service_refuses_in_its_own_words(limit: Limit, client: Client, service: str) -> None:
    limit(allow("sts:*"))
    ask, code, action, ending = WORDS[service]
    resource = (
        "*" if ending == "*" else "arn:aws:" + ending.replace(":R:", ":us-east-1:").replace(":A:", ":123456789012:")
    )
    told = refused(lambda: ask(client))
    assert told[0] == code
    assert denied(action, resource) in told[1]
    if code == "UnauthorizedOperation":
        assert re.match(r"You are not authorized to perform this operation\. .* Encoded authorization failure", told[1])
    limit(allow(action, resource))
    try:
        ask(client)
    except ClientError as error:
        assert error.response["Error"]["Code"] != code
    limit({**allow(action, resource), "Effect": "Deny"}, allow("*"))
    assert refused(lambda: ask(client))[1].count("with an explicit deny in an identity-based policy") == 1


def test_who_may_nothing_may_ask_who_he_is(limit: Limit, client: Client) -> None:
    limit({**allow("*"), "Effect": "Deny"})
    assert client("sts").get_caller_identity()["Arn"] == USER


def test_without_a_policy_everything_is_allowed(limit: Limit, client: Client) -> None:
    assert limit() == {"arn": USER, "policy": None}
    client("ecs").create_cluster(clusterName="c")


def test_tags_on_create_are_authorised_too(limit: Limit, client: Client) -> None:
    """tag-004"""
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "team", "Value": "ml"}]}]

    def create() -> Any:
        return client("ec2").create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags)

    limit(allow("ec2:CreateVpc"))
    client("ec2").create_vpc(CidrBlock="10.0.0.0/16")
    assert denied("ec2:CreateTags", "arn:aws:ec2:us-east-1:123456789012:vpc/*") in refused(create)[1]
    for key, value, code in (("ec2:CreateAction", "CreateVpc", ""), ("ec2:CreateAction", "CreateSubnet", "no")):
        condition = {"Condition": {"StringEquals": {key: value}}}
        limit(allow("ec2:CreateVpc"), allow("ec2:CreateTags", **condition))
        assert (refused(create)[0] if code else create()) is not None
    wanted = {"Condition": {"StringEquals": {"aws:RequestTag/team": "search"}}}
    limit(allow("ec2:CreateVpc", **wanted), allow("ec2:CreateTags"))
    assert refused(create)[0] == "UnauthorizedOperation"


def test_tags_by_arn_need_the_right_of_the_resources_own_service_too(limit: Limit, client: Client) -> None:
    arn = client("ecs").create_cluster(clusterName="c")["cluster"]["clusterArn"]
    tagging = client("resourcegroupstaggingapi")
    tag, untag = {"ResourceARNList": [arn], "Tags": {"team": "ml"}}, {"ResourceARNList": [arn], "TagKeys": ["team"]}
    for call, given, verb in (
        (tagging.tag_resources, tag, "TagResource"),
        (tagging.untag_resources, untag, "UntagResource"),
    ):
        limit(allow("tag:*"))
        failed = call(**given)["FailedResourcesMap"][arn]
        assert (failed["ErrorCode"], failed["ErrorMessage"]) == ("AccessDeniedException", denied(f"ecs:{verb}", arn))
        limit(allow("tag:*"), allow(f"ecs:{verb}", arn))
        assert call(**given)["FailedResourcesMap"] == {}


def test_what_stands_is_changed_by_its_tags(limit: Limit, client: Client) -> None:
    for team in ("ml", "search"):
        client("ecs").create_cluster(clusterName=team, tags=[{"key": "team", "value": team}])
    limit(allow("ecs:DeleteCluster", Condition={"StringEquals": {"aws:ResourceTag/team": "ml"}}))
    client("ecs").delete_cluster(cluster="ml")
    assert refused(client("ecs").delete_cluster, cluster="search")[0] == "AccessDeniedException"


def test_ec2_knows_the_tags_of_a_request_only_of_what_it_makes(
    limit: Limit, client: Client, emulator: Emulator
) -> None:
    """A subnet with our tag may be made in a VPC that bears it, and by the same words in no other."""
    tags = [{"Key": "team", "Value": "ml"}]
    specified = [{"ResourceType": "vpc", "Tags": tags}]
    ours = client("ec2").create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=specified)["Vpc"]["VpcId"]
    theirs = client("ec2").create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    emulator.world.clock.sleep(60)  # type: ignore[attr-defined]
    new = {"Condition": {"StringEquals": {"aws:RequestTag/team": "ml"}}}
    standing = {"Condition": {"StringEquals": {"aws:ResourceTag/team": "ml"}}}
    limit(allow(["ec2:CreateSubnet", "ec2:CreateTags"], **new), allow("ec2:CreateSubnet", **standing))
    specification = [{"ResourceType": "subnet", "Tags": tags}]
    client("ec2").create_subnet(VpcId=ours, CidrBlock="10.1.1.0/24", TagSpecifications=specification)
    told = refused(
        lambda: client("ec2").create_subnet(VpcId=theirs, CidrBlock="10.2.1.0/24", TagSpecifications=specification)
    )
    assert denied("ec2:CreateSubnet", f"arn:aws:ec2:us-east-1:123456789012:vpc/{theirs}") in told[1]


def test_a_group_s_instances_are_asked_about_one_by_one_with_their_launch_template(
    limit: Limit, account: Account
) -> None:
    """tag-005: instances, volumes and subnets; and the template itself, by its tags."""
    account.auto_scaling_group()
    template = "arn:aws:ec2:us-east-1:123456789012:launch-template/*"
    of_template = {"Condition": {"ArnLike": {"ec2:LaunchTemplate": template}}}
    others = [f"arn:aws:ec2:*:*:{kind}/*" for kind in ("instance", "network-interface", "subnet", "volume")]
    change = {"AutoScalingGroupName": "workers", "LaunchTemplate": {"LaunchTemplateName": "workers"}}
    rest = allow(["autoscaling:*", "iam:PassRole", "ec2:CreateTags"])
    for resources in (others, [template]):
        limit(rest, allow("ec2:RunInstances", resources, **(of_template if resources == others else {})))
        assert "ec2:RunInstances" in refused(account.asg.update_auto_scaling_group, **change)[1]
    limit(rest, allow("ec2:RunInstances", others, **of_template), allow("ec2:RunInstances", [template]))
    account.asg.update_auto_scaling_group(**change)


def test_tags_of_a_service_s_own_create_call_may_be_allowed_there_alone(limit: Limit, client: Client) -> None:
    """tag-004: elasticfilesystem:CreateAction, by the name that policies have for the service."""
    tags = [{"Key": "team", "Value": "ml"}]
    at_creation = {"Condition": {"Null": {"elasticfilesystem:CreateAction": "false"}}}
    limit(allow("elasticfilesystem:CreateFileSystem"), allow("elasticfilesystem:TagResource", **at_creation))
    system_id = client("efs").create_file_system(CreationToken="a", Tags=tags)["FileSystemId"]
    assert refused(client("efs").tag_resource, ResourceId=system_id, Tags=tags)[0] == "AccessDeniedException"


def test_a_bucket_s_tags_are_authorised_too(limit: Limit, client: Client) -> None:
    """tag-004"""
    limit(allow("s3:CreateBucket"))
    request = {"Bucket": "bucket", "CreateBucketConfiguration": {"Tags": [{"Key": "team", "Value": "ml"}]}}
    assert "s3:TagResource" in refused(client("s3").create_bucket, **request)[1]
    client("s3").create_bucket(Bucket="bucket")


def test_a_role_is_handed_over_only_by_who_may(limit: Limit, account: Account) -> None:
    """iam-011, tag-005: RunTask hands over the roles of its task definition."""
    account.register_fargate()
    network = {"launchType": "FARGATE", "networkConfiguration": account.network()}
    run = {"cluster": "main", "taskDefinition": "fargate", **network}
    limit(allow("ecs:*"))
    role = "arn:aws:iam::123456789012:role/execution"
    assert refused(account.ecs.run_task, **run) == ("AccessDeniedException", denied("iam:PassRole", role))
    to = {"Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}}
    for passing in (
        allow("iam:PassRole", f"{role}-other", **to),
        allow("iam:PassRole", role, Condition={"Null": {"iam:PassedToService": "true"}}),
    ):
        limit(allow("ecs:*"), passing)
        assert denied("iam:PassRole", role) in refused(account.ecs.run_task, **run)[1]
        assert denied("iam:PassRole", role) in refused(account.register_fargate)[1]
    limit(allow("ecs:*"), allow("iam:PassRole", role, **to))
    account.run_fargate()


def test_a_group_hands_over_its_launch_templates_role(limit: Limit, account: Account) -> None:
    """tag-005: ec2:RunInstances too."""
    limit(allow(["ec2:CreateLaunchTemplate", "ssm:*", "autoscaling:*"]))
    with pytest.raises(ClientError, match=r"ec2:RunInstances on resource"):
        account.auto_scaling_group()
    limit(allow(["ec2:*", "autoscaling:*"]))
    group = {"AutoScalingGroupName": "workers", "MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": account.a}
    group["LaunchTemplate"] = {"LaunchTemplateName": "workers"}
    role = "arn:aws:iam::123456789012:role/instances"
    assert refused(account.asg.create_auto_scaling_group, **group)[1] == denied("iam:PassRole", role)
    limit(allow(["ec2:*", "autoscaling:*"]), allow("iam:PassRole", role))
    account.asg.create_auto_scaling_group(**group)


def test_launch_instances_needs_all_that_is_done_in_the_callers_name(limit: Limit, account: Account) -> None:
    """asg-016"""
    account.auto_scaling_group()
    request = {"AutoScalingGroupName": "workers", "RequestedCapacity": 1, "SubnetIds": [account.a]}
    fleet = ("ec2:CreateFleet", "ec2:DescribeLaunchTemplateVersions", "ec2:RunInstances", "ec2:CreateTags")
    for action in ("autoscaling:LaunchInstances", *fleet, "iam:PassRole"):
        limit(allow("*"), {**allow(action), "Effect": "Deny"})
        code, told = refused(account.asg.launch_instances, **request)
        assert (code, f"not authorized to perform: {action}" in told) == ("AccessDenied", True), told
    limit(allow(["autoscaling:LaunchInstances", *fleet, "iam:PassRole"]))
    assert account.asg.launch_instances(**request)["Errors"] == []


def test_the_first_of_its_kind_makes_a_service_linked_role(emulator: Emulator, limit: Limit, client: Client) -> None:
    emulator.world.settings.service_linked_roles = False
    limit(allow("ecs:*"))
    role = "arn:aws:iam::123456789012:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
    assert denied("iam:CreateServiceLinkedRole", role) in refused(client("ecs").create_cluster, clusterName="c")[1]
    limit(
        allow("ecs:*"),
        allow("iam:CreateServiceLinkedRole", Condition={"StringEquals": {"iam:AWSServiceName": "ecs.amazonaws.com"}}),
    )
    assert refused(client("ecs").create_cluster, clusterName="c")[0] == "InvalidParameterException", "it is being made"


def test_a_mount_target_is_its_file_systems(limit: Limit, account: Account, client: Client) -> None:
    """tag-005: EC2's right too, since its interface goes in the caller's name."""
    efs = client("efs")
    system = efs.create_file_system(CreationToken="x")
    account.sleep(30)
    target = efs.create_mount_target(FileSystemId=system["FileSystemId"], SubnetId=account.a)["MountTargetId"]
    account.sleep(120)
    delete = {"MountTargetId": target}
    limit(allow("elasticfilesystem:*", f"{system['FileSystemArn']}0"), allow("ec2:*"))
    told = denied("elasticfilesystem:DeleteMountTarget", system["FileSystemArn"])
    assert refused(efs.delete_mount_target, **delete) == ("AccessDeniedException", told)
    limit(allow("elasticfilesystem:*", system["FileSystemArn"]))
    anything, elsewhere = (f"arn:aws:ec2:{region}:123456789012:*" for region in ("us-east-1", "eu-west-1"))
    assert denied("ec2:DeleteNetworkInterface", anything) in refused(efs.delete_mount_target, **delete)[1]
    limit(allow("elasticfilesystem:*", system["FileSystemArn"]), allow("ec2:DeleteNetworkInterface", elsewhere))
    assert denied("ec2:DeleteNetworkInterface", anything) in refused(efs.delete_mount_target, **delete)[1]
    limit(allow("elasticfilesystem:*", system["FileSystemArn"]), allow("ec2:DeleteNetworkInterface"))
    efs.delete_mount_target(**delete)


def test_a_dry_run_of_ec2_tells_it(limit: Limit, client: Client) -> None:
    create, request = client("ec2").create_vpc, {"CidrBlock": "10.0.0.0/16", "DryRun": True}
    assert refused(create, **request)[0] == "DryRunOperation"
    limit(allow("ecs:*"))
    assert refused(create, **request)[0] == "UnauthorizedOperation"
    limit(allow("ec2:CreateVpc"))
    assert refused(create, **request)[0] == "DryRunOperation"
    assert len(client("ec2").describe_vpcs()["Vpcs"]) == 1 if limit() else True


def test_simulation_tells_what_the_caller_may(limit: Limit, client: Client) -> None:
    def simulated(source: str, *actions: str, **more: Any) -> list[str]:
        found = client("iam").simulate_principal_policy(PolicySourceArn=source, ActionNames=[*actions], **more)
        return [each["EvalDecision"] for each in found["EvaluationResults"]]

    asked = ("ecs:RunTask", "ecs:StopTask", "ec2:CreateVpc")
    assert simulated(USER, *asked) == ["allowed"] * 3
    limit(
        allow("iam:Simulate*"), allow("ecs:*", "arn:aws:ecs:*:*:task*/a*"), {**allow("ecs:StopTask"), "Effect": "Deny"}
    )
    arn = "arn:aws:ecs:us-east-1:123456789012:task/a/1"
    assert simulated(USER, *asked, ResourceArns=[arn]) == ["allowed", "explicitDeny", "implicitDeny"]
    limit()
    client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust("ecs-tasks.amazonaws.com"))
    condition = {"StringEquals": {"s3:prefix": "a"}}
    document = json.dumps({"Statement": [allow("s3:ListBucket", Condition=condition)], "Version": "2012-10-17"})
    client("iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document)
    entry = {"ContextKeyName": "s3:prefix", "ContextKeyValues": ["a"], "ContextKeyType": "string"}
    role = "arn:aws:iam::123456789012:role/r"
    assert simulated(role, "s3:ListBucket", ContextEntries=[entry]) == ["allowed"]
    assert simulated(role, "s3:ListBucket") == ["implicitDeny"]


S3: dict[str, Callable[[Any], Any]] = {
    "s3:ListAllMyBuckets *": lambda s3: s3.list_buckets(),
    "s3:ListBucket bucket": lambda s3: (s3.head_bucket(Bucket="bucket"), s3.list_objects_v2(Bucket="bucket")),
    "s3:ListBucketVersions bucket": lambda s3: s3.list_object_versions(Bucket="bucket"),
    "s3:PutObject bucket/a/b": lambda s3: s3.put_object(Bucket="bucket", Key="a/b", Body=b""),
    "s3:GetObject bucket/a/b": lambda s3: (
        s3.get_object(Bucket="bucket", Key="a/b"),
        s3.head_object(Bucket="bucket", Key="a/b"),
    ),
    "s3:PutEncryptionConfiguration bucket": lambda s3: s3.delete_bucket_encryption(Bucket="bucket"),
    "s3:PutBucketPublicAccessBlock bucket": lambda s3: s3.delete_public_access_block(Bucket="bucket"),
    "s3:GetBucketTagging bucket": lambda s3: s3.get_bucket_tagging(Bucket="bucket"),
    "s3:PutBucketPolicy bucket": lambda s3: s3.put_bucket_policy(Bucket="bucket", Policy='{"Version": "2012-10-17"}'),
    "s3:PutLifecycleConfiguration bucket": lambda s3: s3.delete_bucket_lifecycle(Bucket="bucket"),
    "s3:DeleteObject bucket/*": lambda s3: s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "a"}]}),
    "s3:DeleteBucket bucket": lambda s3: s3.delete_bucket(Bucket="bucket"),
}


@pytest.mark.parametrize("asked", S3)
def test_a_request_of_s3_tells_its_action_and_resource(
    client: Client, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    client("s3").create_bucket(Bucket="bucket")
    client("s3").put_object(Bucket="bucket", Key="a/b", Body=b"")
    seen: set[str] = set()
    action_of = s3_requests.action_of

    def told(request: Any) -> str:
        action: str = action_of(request)
        seen.add(f"{action} {s3_requests.resource_of(request).removeprefix('arn:aws:s3:::')}")
        return action

    monkeypatch.setattr(s3_requests, "action_of", told)
    emulated = Emulator._answer

    def answer(emulator: Emulator, call: Any, *rest: Any) -> Any:
        requests.action_of(call, rest[1])
        return emulated(emulator, call, *rest)

    monkeypatch.setattr(Emulator, "_answer", answer)
    with contextlib.suppress(ClientError):
        S3[asked](client("s3"))
    assert seen == {asked}


@pytest.fixture
def account(emulator: Emulator, client: Client) -> Account:
    return Account(emulator, client)


def test_an_scp_refuses_what_policies_allow_and_the_simulation_knows_it(
    limit: Limit, client: Client, emulator: Emulator
) -> None:
    """But for statements with a condition, which the simulation does not look at."""
    vpc = {"Effect": "Deny", "Action": "ec2:CreateVpc", "Resource": "*"}
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}
    run = {"Effect": "Deny", "Action": "ecs:CreateCluster", "Resource": "*", "Condition": elsewhere}
    DOORS["POST", "/_emulator/caller"](emulator, {"scp": {"Statement": [allow("*"), vpc, run]}})
    code, told = refused(client("ec2").create_vpc, CidrBlock="10.0.0.0/16", DryRun=True)
    assert (code, "with an explicit deny in a service control policy" in told) == ("UnauthorizedOperation", True)
    assert refused(client("ecs").create_cluster, clusterName="a")[0] == "AccessDeniedException"
    asked = {"PolicySourceArn": USER, "ActionNames": ["ec2:CreateVpc", "ecs:CreateCluster"]}
    found = client("iam").simulate_principal_policy(**asked)["EvaluationResults"]
    by_scp = [(each["EvalDecision"], each["OrganizationsDecisionDetail"]["AllowedByOrganizations"]) for each in found]
    assert by_scp == [("explicitDeny", False), ("allowed", True)]
    DOORS["POST", "/_emulator/caller"](emulator, {"scp": {"Statement": [allow("ecs:*")]}})
    assert "no service control policy allows" in refused(client("ec2").create_vpc, CidrBlock="10.0.0.0/16")[1]


def test_who_has_taken_on_a_role_is_told_without_its_path(limit: Limit, client: Client, emulator: Emulator) -> None:
    client("iam").create_role(RoleName="r", Path="/team/", AssumeRolePolicyDocument=trust("ecs-tasks.amazonaws.com"))
    DOORS["POST", "/_emulator/caller"](emulator, {"role": "r", "policy": {"Statement": [allow("iam:*")]}})
    assert client("sts").get_caller_identity()["Arn"] == "arn:aws:sts::123456789012:assumed-role/r/emulator"
    asked = {"PolicySourceArn": "arn:aws:iam::123456789012:role/team/r", "ActionNames": ["iam:GetRole", "ecs:RunTask"]}
    found = client("iam").simulate_principal_policy(**asked)["EvaluationResults"]
    assert [each["EvalDecision"] for each in found] == ["allowed", "implicitDeny"]
