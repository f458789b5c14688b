"""The evaluator of policies: who may do what on which resource, and on what condition."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.world import ACCOUNT
from emulator.iam.policies import Decision, decide

ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
BUCKET = "arn:aws:s3:::data"


def policy(effect: str = "Allow", action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> Any:
    return {"Statement": {"Effect": effect, "Action": action, "Resource": resource, **more}}


def get(*identity: Any, resource: str = f"{BUCKET}/a", **more: Any) -> Decision:
    return decide("s3:GetObject", resource, identity=identity, principal=ROLE, **more)


def test_who_has_no_policy_may_nothing() -> None:
    denied = get()
    assert (denied.effect, bool(denied)) == ("implicitDeny", False)
    assert denied.reason == "because no identity-based policy allows the s3:GetObject action"


@pytest.mark.parametrize("action", ["*", "s3:*", "s3:Get*", "S3:getobject", "s3:Get?bject", ["s3:X", "s3:GetObject"]])
def test_actions_have_wildcards_and_no_case(action: Any) -> None:
    assert get(policy(action=action))
    assert not get({"Statement": {"Effect": "Allow", "NotAction": action, "Resource": "*"}})


@pytest.mark.parametrize("other", ["s3:GetObjectAcl", "s3:Get", "ec2:GetObject", "s3:get?"])
def test_another_action_is_not_meant(other: str) -> None:
    assert not get(policy(action=other))
    assert get({"Statement": {"Effect": "Allow", "NotAction": other, "Resource": "*"}})


def test_the_right_to_one_resource_is_none_to_another() -> None:
    assert get(policy(resource=f"{BUCKET}/*"))
    assert not get(policy(resource=BUCKET)), "a bucket is not its objects"
    assert not get(policy(resource=f"{BUCKET}/A")), "case counts"
    assert not get({"Statement": {"Effect": "Allow", "Action": "*", "NotResource": f"{BUCKET}/*"}})


def test_a_deny_in_any_policy_wins() -> None:
    assert get(policy(), policy("Deny")).reason == "with an explicit deny in an identity-based policy"
    theirs = policy("Deny", Principal="*")
    assert get(policy(), resource_policy=theirs).reason == "with an explicit deny in a resource-based policy"
    assert get(policy(), policy("Deny")).effect == "explicitDeny"


def test_an_allow_in_the_identitys_or_the_resources_policy_is_enough() -> None:
    assert get(resource_policy=policy(Principal={"AWS": ROLE}))
    assert get(policy(), resource_policy=policy(Principal={"AWS": f"{ROLE}-other"}))
    assert not get(resource_policy=policy(Principal={"AWS": f"{ROLE}-other"}))


def test_everybody_is_also_who_does_not_sign() -> None:
    for everybody in ("*", {"AWS": "*"}):
        assert decide("s3:GetObject", resource_policy=policy(Principal=everybody))
    assert not decide("s3:GetObject", resource_policy=policy(Principal={"AWS": ROOT}))


@pytest.mark.parametrize("account", [ROOT, ACCOUNT])
def test_an_account_leaves_it_to_its_policies_but_denies_to_all_in_it(account: str) -> None:
    assert not get(resource_policy=policy(Principal={"AWS": account}))
    assert get(policy(), resource_policy=policy(Principal={"AWS": account}))
    assert get(policy(), resource_policy=policy("Deny", Principal={"AWS": account})).effect == "explicitDeny"
    assert decide("s3:GetObject", resource_policy=policy(Principal={"AWS": account}), principal=ROOT)


def test_who_is_not_named_is_meant_by_not_principal() -> None:
    theirs = policy("Deny", NotPrincipal={"AWS": [ROLE, ROOT]})
    assert get(policy(), resource_policy=theirs)
    assert not decide("s3:GetObject", identity=[policy()], resource_policy=theirs, principal=f"{ROLE}-other")


def test_a_resource_policy_may_leave_its_resource_out() -> None:
    assert get(resource_policy={"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*"}]})


def test_a_boundary_limits_what_the_policies_allow() -> None:
    assert get(policy(), boundary=[policy()])
    assert get(policy(), boundary=[]).reason == "because no permissions boundary allows the s3:GetObject action"
    assert get(policy(), boundary=[policy("Deny")]).effect == "explicitDeny"
    assert get(policy(action="s3:Put*"), boundary=[policy()]).effect == "implicitDeny"
    theirs = policy(Principal="*")
    assert not get(boundary=[], resource_policy=theirs), "of a role also what the resource's policy allows"
    assert decide("s3:GetObject", boundary=[], resource_policy=theirs, principal=f"arn:aws:iam::{ACCOUNT}:user/me")


HERE: dict[str, Any] = {
    "aws:RequestedRegion": "us-east-1",
    "aws:SecureTransport": "true",
    "aws:TagKeys": ["a", "b"],
    "aws:SourceIp": "10.0.1.7",
    "aws:username": "me*",
    "s3:max-keys": "10",
    "aws:CurrentTime": "2026-11-26T12:00:00+00:00",
    "aws:SourceArn": f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/a/b",
}
MET: list[tuple[str, str, Any]] = [
    ("StringEquals", "aws:requestedregion", ["eu-west-1", "us-east-1"]),
    ("StringNotEquals", "aws:RequestedRegion", ["eu-west-1", "eu-west-2"]),
    ("StringNotEquals", "aws:absent", "x"),
    ("StringEqualsIfExists", "aws:absent", "x"),
    ("StringEqualsIgnoreCase", "aws:RequestedRegion", "US-EAST-1"),
    ("StringLike", "aws:RequestedRegion", "us-*"),
    ("StringNotLike", "aws:RequestedRegion", "eu-*"),
    ("StringEquals", "aws:username", "${aws:username}"),
    ("StringEquals", "aws:username", "me${*}"),
    ("StringLike", "aws:RequestedRegion", "${aws:absent, 'us'}-*"),
    ("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b", "c"]),
    ("ForAllValues:StringEquals", "aws:absent", ["a"]),
    ("ForAnyValue:StringEquals", "aws:TagKeys", ["a", "z"]),
    ("Bool", "aws:SecureTransport", "true"),
    ("Bool", "aws:SecureTransport", True),
    ("BoolIfExists", "aws:absent", "true"),
    ("Null", "aws:absent", "true"),
    ("Null", "aws:username", "false"),
    ("NumericLessThanEquals", "s3:max-keys", "10"),
    ("NumericNotEquals", "s3:max-keys", 11),
    ("DateGreaterThan", "aws:CurrentTime", "2026-01-01T00:00:00+00:00"),
    ("IpAddress", "aws:SourceIp", ["10.0.1.0/24"]),
    ("NotIpAddress", "aws:SourceIp", "10.0.2.0/24"),
    ("ArnLike", "aws:SourceArn", "arn:aws:ecs:*:*:task/*"),
    ("ArnEquals", "aws:SourceArn", "arn:*:ecs:us-east-1:*:task/a/*"),
    ("ArnNotLike", "aws:SourceArn", "arn:aws:ecs:eu-*:*:task/*"),
]
NOT_MET: list[tuple[str, str, Any]] = [
    ("StringEquals", "aws:RequestedRegion", "us-*"),
    ("StringEquals", "aws:absent", ""),
    ("StringNotEquals", "aws:RequestedRegion", ["eu-west-1", "us-east-1"]),
    ("StringEqualsIfExists", "aws:RequestedRegion", "x"),
    ("StringEquals", "aws:username", "me"),
    ("StringLike", "aws:RequestedRegion", "${aws:absent}*"),
    ("ForAllValues:StringEquals", "aws:TagKeys", ["a"]),
    ("ForAnyValue:StringEquals", "aws:TagKeys", ["z"]),
    ("ForAnyValue:StringEquals", "aws:absent", ["z"]),
    ("Bool", "aws:SecureTransport", "false"),
    ("Bool", "aws:absent", "false"),
    ("Null", "aws:absent", "false"),
    ("NumericGreaterThan", "s3:max-keys", "10"),
    ("IpAddress", "aws:SourceIp", "10.0.2.0/24"),
    ("ArnLike", "aws:SourceArn", "arn:aws:*:task/*"),
]


@pytest.mark.parametrize(("operator", "key", "wanted"), MET)
def test_a_condition_that_is_met(operator: str, key: str, wanted: Any) -> None:
    assert get(policy(Condition={operator: {key: wanted}}), context=HERE)


@pytest.mark.parametrize(("operator", "key", "wanted"), NOT_MET)
def test_a_condition_that_is_not_met(operator: str, key: str, wanted: Any) -> None:
    assert not get(policy(Condition={operator: {key: wanted}}), context=HERE)


def test_all_conditions_of_a_statement_must_be_met() -> None:
    both = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}, "Bool": {"aws:SecureTransport": "false"}}
    assert not get(policy(Condition=both), context=HERE)


def test_variables_stand_in_resources_and_their_values_are_no_patterns() -> None:
    mine = policy(resource=f"{BUCKET}/${{aws:username}}/*")
    assert get(mine, resource=f"{BUCKET}/me*/x", context=HERE)
    assert not get(mine, resource=f"{BUCKET}/meager/x", context=HERE)
    assert not get(mine, resource=f"{BUCKET}/me*/x"), "a variable without a value is like nothing"
