"""What show_policy.py shows is enough, page by page, and AWS knows every word of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from emulator.core.doors import DOORS
from emulator.iam import caller
from infrastructure.preflight import policy
from tests import scopes
from tests.conftest import Runbook
from tests.documents import pages

WALKS = {
    "runbook": (
        "create_cluster.py",
        "register_task_definition.py",
        "run_task.py",
        "describe_clusters.py",
        "create_cluster.py --dry-run",
        "stop_task.py --all",
        "delete_cluster.py --yes",
    ),
    "clara": (
        "create_cluster.py",
        "register_task_definition.py",
        "create_service.py",
        "update_service.py",
        "delete_service.py",
        "delete_cluster.py --yes",
    ),
}


def of_page(documents: list[Any], page: str) -> list[Any]:
    """Of the policies for all scripts, what permissions.json says that this one needs."""
    needed = {action for action, about in policy.table().items() if page.removesuffix(".py") in policy.pages(about)}
    return [
        {
            "Statement": [
                {**each, "Action": [one for one in each["Action"] if one in needed]} for each in held["Statement"]
            ]
        }
        for held in documents
    ]


def limit(runbook: Runbook, documents: list[Any] | None) -> None:
    DOORS["POST", "/_emulator/caller"](runbook.emulator, {"policy": documents})


def demanded(runbook: Runbook, page: str, actions: set[str]) -> None:
    """Run it, and note which actions AWS asked about."""
    demand = caller.demand

    def noting(call: Any, action: str, *rest: Any) -> None:
        actions.add(action)
        demand(call, action, *rest)

    with mock.patch.object(caller, "demand", noting):
        ran = runbook.run(*page.split())
    assert ran.code == 0, f"{page}: {ran.err}"


def simulated(runbook: Runbook) -> set[str]:
    """The actions about which check_account.py asks IAM, and finds allowed."""
    asked: set[str] = set()
    answer = runbook.emulator._answer

    def noting(call: Any, *rest: Any) -> Any:
        asked.update(call.params["ActionNames"] if call.operation == "SimulatePrincipalPolicy" else ())
        return answer(call, *rest)

    with mock.patch.object(runbook.emulator, "_answer", noting):
        ran = runbook.run("check_account.py")
    assert ran.code == 0, ran.err
    return asked


TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
#: what the pages do without, and what anyone may ask
COURTESIES = (
    *("pricing:", "servicequotas:", "sts:GetCallerIdentity", "ec2:DescribeImages"),
    *("autoscaling:LaunchInstances", "ec2:CreateFleet", "ec2:GetSpotPlacementScores"),  # managed scaling does without
)


@pytest.mark.parametrize("example", WALKS)
def test_what_is_shown_is_enough_for_each_script_and_reaches_no_stranger(
    example: str, request: pytest.FixtureRequest
) -> None:
    """And the preflight asks IAM about each action that the walk needs, and finds all of them allowed."""
    runbook: Runbook = request.getfixturevalue(example)
    tries = strangers(runbook)
    documents = runbook.run("show_policy.py").result["documents"]
    limit(runbook, documents)
    known, needed = simulated(runbook), set[str]()
    for line in WALKS[example]:
        limit(runbook, of_page(documents, line.split()[0]))
        demanded(runbook, line, needed)
    assert {each for each in needed - known if not each.startswith(COURTESIES)} == set()
    limit(runbook, documents)
    for attempt in tries:
        with pytest.raises(ClientError, match="not authorized to perform"):
            attempt()


def test_what_is_shown_is_enough_for_what_other_settings_change_afterwards(clara: Runbook) -> None:
    """EXTRA_TAGS tags all that stands, and a pause that is made deeper is remembered anew."""
    clara.has_run("create_repository.py", "create_cluster.py", "register_task_definition.py", "create_service.py")
    limit(clara, clara.run("show_policy.py").result["documents"])
    for tags in ("team=vision", ""):
        for line in ("create_cluster.py", "create_repository.py", "create_service.py"):
            ran = clara.run(line, EXTRA_TAGS=tags)
            assert ran.code == 0, f"{line}: {ran.err}"
    ran = clara.run("pause_cluster.py", "--deep")
    assert ran.code == 0, ran.err


def test_no_stored_parameter_but_ours_is_handed_out(runbook: Runbook) -> None:
    """What another keeps in Systems Manager may be a secret: a pause's memory is ours, AMIs are AWS's."""
    for document in runbook.run("show_policy.py").result["documents"]:
        for statement in document["Statement"]:
            if {"ssm:GetParameter", "ssm:GetParameters"} & {*statement["Action"]}:
                own = [arn for arn in statement["Resource"] if arn.split(":")[2] == "ssm"]
                assert len(own) == 3 and not [arn for arn in statement["Resource"] if arn == "*"]


def strangers(runbook: Runbook) -> list[Callable[[], Any]]:
    """What stands beside ours, with another's tag or none, and what would change it."""
    ec2, ecs, efs, iam = (runbook.aws(service) for service in ("ec2", "ecs", "efs", "iam"))
    vpc_id = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    ecs.create_cluster(clusterName="stranger", tags=[{"key": "gpu-ecs-cluster", "value": "stranger"}])
    system_id = efs.create_file_system(CreationToken="stranger")["FileSystemId"]
    its_name = f"{runbook.run('show_policy.py').result['clusterName']}-2-host-us-east-1"
    iam.create_role(RoleName=its_name, AssumeRolePolicyDocument=json.dumps(TRUST))
    mine = [{"ResourceType": "subnet", "Tags": [{"Key": "gpu-ecs-cluster", "Value": "gpu-demo"}]}]
    runbook.settle(60)
    return [
        lambda: ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.99.0.0/24", TagSpecifications=mine),
        lambda: ec2.create_tags(Resources=[vpc_id], Tags=mine[0]["Tags"]),
        lambda: ec2.delete_vpc(VpcId=vpc_id),
        lambda: ecs.delete_cluster(cluster="stranger"),
        lambda: efs.delete_file_system(FileSystemId=system_id),
        lambda: iam.delete_role(RoleName=its_name),
    ]


#: what AWS's list names, and is not asked of these scripts: quotas of other services, and what other parameters would need
OTHERS_NEEDS = {"route53:AssociateVPCWithHostedZone", "iam:PassRole"}


@pytest.mark.parametrize("use", [*policy.USES, "all"])
def test_aws_knows_each_action_and_each_condition(use: str, runbook: Runbook) -> None:
    """By its Service Authorization Reference; and each document is short enough for a managed policy."""
    documents = runbook.run("show_policy.py", "--for", use).result["documents"]
    assert all(policy.size(each) < policy.MOST_CHARACTERS for each in documents)
    for statement in (each for document in documents for each in document["Statement"]):
        asked = {key for each in statement.get("Condition", {}).values() for key in each}
        for action in statement["Action"]:
            keys = {key.replace("gpu-ecs-cluster", "") for key in asked}
            assert keys <= scopes.condition_keys(action), (action, keys)
            needs = {
                each for kind in scopes.known(action)["resource_types"].values() for each in kind["dependent_actions"]
            }
            if not action.startswith("servicequotas:"):
                assert needs - OTHERS_NEEDS <= policy.table().keys(), action


def test_each_page_is_for_some_use() -> None:
    verbs = {verb for those in policy.USES.values() for verb in those}
    assert {page for page in pages() if page.split("_")[0] not in verbs} == set()
