"""China, GovCloud and the others have host names, ARNs and services of their own: nothing is spelt as it is in one of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Runbook
from tests.everything import prepared
from tests.laws.test_style import PRODUCT

#: the domains and the partitions in which AWS is: a text of the product names none of them
SPELT = re.compile(r"\bamazonaws\\?\.(com|eu)\b|\barn:aws(-[a-z-]+)?:")
#: where it may: the one function that knows services' names in policies, and what a setting's ARN may look like
KNOWN = {("infrastructure/cluster/roles.py", "principal"), ("constants.py", "")}


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Every text of a module that is no docstring, with the function that it is in."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    manuals = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and is_manual(node)}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {id(each): function.name for function in functions for each in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in manuals:
            yield inside.get(id(node), ""), node.value


def is_manual(node: ast.Module | ast.FunctionDef | ast.ClassDef) -> bool:
    return isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)


@pytest.mark.parametrize("name", PRODUCT)
def test_no_text_spells_the_domain_or_the_arns_of_one_partition(name: str) -> None:
    found = [(name, function, text) for function, text in texts(PRODUCT[name]) if SPELT.search(text)]
    assert [each for each in found if each[:2] not in KNOWN] == []


def test_no_service_but_ec2_can_be_made_another_account_s_deputy(runbook: Runbook) -> None:
    """Each role of ours is taken on by one service, for this account alone; EC2 is not told for whom it does so."""
    prepared(runbook).has_run("create_cluster.py", "create_repository.py", "create_pipeline.py")
    runbook.has_run("register_task_definition.py", "sync_weights.py")
    trusts = {
        role["RoleName"]: role["AssumeRolePolicyDocument"]["Statement"]
        for role in runbook.aws("iam").list_roles()["Roles"]
        if role["Path"] == "/"
    }
    assert len(trusts) == 7
    for name, [statement] in trusts.items():
        condition = statement.get("Condition", {}).get("StringEquals", {})
        of_ec2 = statement["Principal"] == {"Service": "ec2.amazonaws.com"}
        assert (condition.get("aws:SourceAccount") == "123456789012") != of_ec2, name
