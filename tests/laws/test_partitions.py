"""China, GovCloud and the others have host names, ARNs and services of their own: nothing is spelt as it is in one of them."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from emulator.account import resources
from emulator.core.wire import attach
from tests.conftest import Runbook
from tests.everything import COPY, LIGHT, prepared
from tests.laws.test_style import PRODUCT

#: the domains and the partitions in which AWS is: a text of the product names none of them
SPELT = re.compile(r"\bamazonaws\\?\.(com|eu)\b|\barn:aws(-[a-z-]+)?:")
#: where it may: the one function that knows services' names in policies, and what a setting's ARN may look like
KNOWN = {("infrastructure/cluster/roles.py", "principal"), ("constants.py", "")}


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Every text of a module that is no docstring, with the function that it is in."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, documented) and node.body]
    manuals = {id(each.value) for each in first if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {id(each): function.name for function in functions for each in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in manuals:
            yield inside.get(id(node), ""), node.value


@pytest.mark.parametrize("name", PRODUCT)
def test_no_text_spells_the_domain_or_the_arns_of_one_partition(name: str) -> None:
    found = [(name, function, text) for function, text in texts(PRODUCT[name]) if SPELT.search(text)]
    assert [each for each in found if each[:2] not in KNOWN] == []


def test_no_service_but_ec2_can_be_made_another_account_s_deputy(runbook: Runbook) -> None:
    """Each role of ours is taken on by one service, for this account alone; EC2 is not told for whom it does so."""
    prepared(runbook).has_run("create_cluster.py", "create_repository.py", "create_pipeline.py")
    runbook.has_run("register_task_definition.py", "sync_weights.py", COPY)
    trusts = {
        role["RoleName"]: role["AssumeRolePolicyDocument"]["Statement"]
        for role in runbook.aws("iam").list_roles()["Roles"]
        if role["Path"] == "/"
    }
    assert len(trusts) == 10
    for name, [statement] in trusts.items():
        condition = statement.get("Condition", {}).get("StringEquals", {})
        of_ec2 = statement["Principal"] == {"Service": "ec2.amazonaws.com"}
        assert (condition.get("aws:SourceAccount") == "123456789012") != of_ec2, name


# ------------------------------------------------------------------------------------------------------ the whole runbook

WALK = (
    "create_cluster.py",
    "describe_clusters.py",
    "register_task_definition.py",
    "run_task.py",
    "describe_task.py",
    "describe_costs.py",
    "draw_cluster.py",
    "create_cluster.py",
    "update_cluster.py",
    "stop_task.py --all",
    "delete_cluster.py --yes",
)


def of(runbook: Runbook, region: str) -> Callable[[str], Any]:
    """Clients of the emulated account in another region."""
    session: Any = boto3.Session("emulator", "emulator", region_name=region)
    attach(session, runbook.emulator)
    return functools.cache(session.client)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("region", "partition", "trusted"),
    [
        ("cn-north-1", "aws-cn", "ec2.amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "ec2.amazonaws.com"),
    ],
)
def test_a_gpu_task_runs_in_every_partition_and_all_of_it_goes(
    runbook: Runbook, region: str, partition: str, trusted: str
) -> None:
    client = of(runbook, region)
    before = resources(client)
    runbook.settings |= {"AWS_REGION": region, "HOST_MONITORING": "enabled", "MIN_INSTANCES": "1"}
    told = []
    for page in WALK:
        ran = runbook.run(*page.split())
        assert ran.code == 0, f"{page}: {ran.err}"
        told.append(ran.out + ran.err)
        for role in client("iam").list_roles()["Roles"]:
            assert role["Arn"].startswith(f"arn:{partition}:iam::")
            if role["RoleName"].startswith("gpu-host"):
                [statement] = role["AssumeRolePolicyDocument"]["Statement"]
                assert statement["Principal"] == {"Service": trusted}
    assert not re.search(r"arn:aws:", "".join(told))
    runbook.settle(3600)
    assert resources(client) == before


def test_names_of_hosts_end_as_the_partition_does(runbook: Runbook) -> None:
    runbook.settings = {**LIGHT, "AWS_REGION": "cn-north-1", "HOST_NAME": "", "SCALING": "none"}
    runbook.has_run("create_cluster.py", "register_task_definition.py")
    made = runbook.run("create_service.py").result
    assert made["url"].endswith(".cn-north-1.elb.amazonaws.com.cn")
    assert made["fileSystemDnsName"].endswith(".efs.cn-north-1.amazonaws.com.cn")
    address = runbook.run("create_repository.py").result["repositoryUri"]
    assert address == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/gpu"
    runbook.has_run("delete_service.py", "delete_cluster.py --yes")


def test_what_china_does_not_have_is_told_before_anything_is_made(runbook: Runbook) -> None:
    runbook.settings = {**LIGHT, "AWS_REGION": "cn-north-1"}
    runbook.has_run("create_repository.py")
    begun = len(runbook.emulator.calls)
    ran = runbook.run("create_pipeline.py")
    sentence = (
        "CodeConnections is not offered in cn-north-1, and so no pipeline can be made there: build the image elsewhere"
    )
    assert (ran.code, sentence in ran.err, runbook.changes(begun)) == (1, True, []), ran.err
    runbook.has_run("delete_repository.py", "delete_cluster.py --yes")


def test_a_type_that_the_region_does_not_have_is_told_with_those_that_it_has(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py", "--dry-run", AWS_REGION="cn-north-1", INSTANCE_TYPE="g5.xlarge")
    assert ran.code == 0, ran.err
    ran = runbook.run("create_cluster.py", "--dry-run", AWS_REGION="us-gov-west-1", INSTANCE_TYPE="g5.xlarge")
    assert ran.code == 1 and "INSTANCE_TYPE=g5.xlarge" in ran.err and "it offers g4dn.xlarge, g6.xlarge" in ran.err


def test_keys_of_one_partition_are_of_no_use_in_another(runbook: Runbook) -> None:
    runbook.aws("ec2").create_vpc(CidrBlock="10.0.0.0/16")
    ran = runbook.run("create_cluster.py", AWS_REGION="us-gov-west-1")
    assert (ran.code, "AWS does not accept these credentials" in ran.err) == (1, True), ran.err
