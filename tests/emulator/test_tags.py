"""Which tags a call may bring: their length, their characters, how many, and no key twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.emulator.common import Client, refused

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def pairs(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def creations(client: Client, tags: list[dict[str, str]]) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Service -> a call that makes something with these tags."""
    small = [{"key": tag["Key"], "value": tag["Value"]} for tag in tags]
    by_name = {tag["Key"]: tag["Value"] for tag in tags}
    role = {"RoleName": "r", "AssumeRolePolicyDocument": TRUST, "Tags": tags}
    vpc = {"CidrBlock": "10.0.0.0/16", "TagSpecifications": [{"ResourceType": "vpc", "Tags": tags}]}
    return {
        "iam": (client("iam").create_role, role),
        "ecs": (client("ecs").create_cluster, {"clusterName": "c", "tags": small}),
        "efs": (client("efs").create_file_system, {"CreationToken": "t", "Tags": tags}),
        "logs": (client("logs").create_log_group, {"logGroupName": "g", "tags": by_name}),
        "ec2": (client("ec2").create_vpc, vpc),
        "ecr": (client("ecr").create_repository, {"repositoryName": "repo", "tags": tags}),
    }


def answers(client: Client, tags: list[dict[str, str]], *services: str) -> dict[str, str]:
    calls = creations(client, tags)
    return {service: refused(calls[service][0], **calls[service][1]) for service in services}


STRICT = {"iam": "ValidationError", "ecs": "InvalidParameterException", "efs": "BadRequest"}
STRICT["logs"] = "InvalidParameterException"
ALL = STRICT | {"ec2": "InvalidParameterValue", "ecr": "InvalidTagParameterException"}


@pytest.mark.parametrize("sign", [",", "(", "#", "'", "ä\n", "😀"])
def test_most_services_take_letters_digits_spaces_and_few_signs(client: Client, sign: str) -> None:
    assert answers(client, pairs(note=f"a{sign}"), *STRICT) == STRICT


def test_letters_of_any_script_and_the_signs_are_taken(client: Client) -> None:
    for call, params in creations(client, pairs(**{"cost center": "Köln 7_.:/=+-@", "日本": ""})).values():
        call(**params)


def test_ec2_takes_any_character(client: Client) -> None:
    call, params = creations(client, pairs(note="a, (b)"))["ec2"]
    assert call(**params)["Vpc"]["Tags"] == pairs(note="a, (b)")


@pytest.mark.parametrize(
    "tags",
    [
        pairs(**{"k" * 129: "v"}),
        pairs(key="v" * 257),
        pairs(**{"aws:cost": "v"}),
        [*pairs(**{f"k{number}": "" for number in range(51)})],
    ],
    ids=["a long key", "a long value", "a key of AWS's own", "51 tags"],
)
def test_long_tags_many_tags_and_those_of_aws_are_refused(client: Client, tags: list[dict[str, str]]) -> None:
    assert answers(client, tags, *ALL) == ALL


def test_the_keys_of_a_role_are_equal_without_regard_to_case(client: Client) -> None:
    tags = pairs(name="a", Name="b")
    assert answers(client, tags, "iam") == {"iam": "InvalidInput"}
    call, params = creations(client, tags)["ecs"]
    assert len(call(**params)["cluster"]["tags"]) == 2


def test_tags_that_come_later_are_judged_too(client: Client) -> None:
    iam = client("iam")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    assert refused(iam.tag_role, RoleName="r", Tags=pairs(note="a;b")) == "ValidationError"
    assert refused(iam.create_role, RoleName="R", AssumeRolePolicyDocument=TRUST) == "EntityAlreadyExists"
