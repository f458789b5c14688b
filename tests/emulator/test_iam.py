"""Roles and instance profiles: slow to spread, strict about names, and deleted in order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.core.wire import Emulator
from emulator.iam import roles as emulated

ECS_TASKS = {"Service": "ecs-tasks.amazonaws.com"}
EXECUTION = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"


def trust(principal: dict[str, Any]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Code and message that a call is refused with."""
    with pytest.raises(ClientError) as error:
        call(**params)
    told = error.value.response["Error"]
    return str(told["Code"]), str(told["Message"])


@pytest.fixture
def iam(client: Callable[[str], Any]) -> Any:
    return client("iam")


@pytest.fixture
def sleep(emulator: Emulator) -> Callable[[float], None]:
    return emulator.world.clock.sleep  # type: ignore[attr-defined, no-any-return]


def create(iam: Any, name: str = "task") -> Any:
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(ECS_TASKS))["Role"]


def test_a_role_is_of_use_after_some_seconds(emulator: Emulator, iam: Any, sleep: Any) -> None:
    """iam-001"""
    arn = create(iam)["Arn"]
    assert not emulated.role_usable(emulator.world, arn)
    assert not emulated.role_usable(emulator.world, "task")
    sleep(11)
    assert emulated.role_usable(emulator.world, arn)
    assert not emulated.role_usable(emulator.world, arn + "x")


def test_a_profile_is_of_use_some_seconds_after_its_role_was_added(emulator: Emulator, iam: Any, sleep: Any) -> None:
    """iam-001"""
    create(iam)
    iam.create_instance_profile(InstanceProfileName="box")
    sleep(11)
    iam.add_role_to_instance_profile(InstanceProfileName="box", RoleName="task")
    assert not emulated.profile_usable(emulator.world, "box")
    sleep(11)
    assert emulated.profile_usable(emulator.world, "box")
    assert emulated.profile_role(emulator.world, "arn:aws:iam::123456789012:instance-profile/box") == "task"


def test_a_new_role_may_show_its_unique_id_for_its_arn(iam: Any, sleep: Any) -> None:
    """iam-002"""
    made = create(iam)
    assert made["Arn"].startswith("arn:")
    assert iam.get_role(RoleName="task")["Role"]["Arn"] == made["RoleId"]
    sleep(5)
    assert iam.get_role(RoleName="task")["Role"]["Arn"] == made["Arn"]


def test_a_trust_policy_can_not_name_a_fresh_role(iam: Any, sleep: Any) -> None:
    """iam-003"""
    arn = create(iam)["Arn"]
    other = {"RoleName": "other", "AssumeRolePolicyDocument": trust({"AWS": arn})}
    error, text = refused(iam.create_role, **other)
    assert error == "MalformedPolicyDocument" and text.startswith("Invalid principal in policy")
    sleep(11)
    iam.create_role(**other)
    wrong = refused(iam.update_assume_role_policy, RoleName="other", PolicyDocument=trust({"AWS": arn + "x"}))
    assert wrong[0] == "MalformedPolicyDocument"


def test_names_are_taken_once_and_profiles_hold_one_role(iam: Any) -> None:
    """iam-004"""
    create(iam)
    create(iam, "second")
    assert refused(create, iam=iam)[0] == "EntityAlreadyExists"
    iam.create_instance_profile(InstanceProfileName="box")
    assert refused(iam.create_instance_profile, InstanceProfileName="box")[0] == "EntityAlreadyExists"
    add = iam.add_role_to_instance_profile
    add(InstanceProfileName="box", RoleName="task")
    assert refused(add, InstanceProfileName="box", RoleName="second")[0] == "LimitExceeded"


def test_a_role_goes_after_all_that_hangs_on_it(iam: Any) -> None:
    """iam-005, iam-006"""
    create(iam)
    iam.attach_role_policy(RoleName="task", PolicyArn=EXECUTION)
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}
    )
    iam.put_role_policy(RoleName="task", PolicyName="logs", PolicyDocument=document)
    iam.create_instance_profile(InstanceProfileName="box")
    iam.add_role_to_instance_profile(InstanceProfileName="box", RoleName="task")
    assert refused(iam.delete_instance_profile, InstanceProfileName="box")[0] == "DeleteConflict"
    for undo, params in (
        (iam.detach_role_policy, {"RoleName": "task", "PolicyArn": EXECUTION}),
        (iam.delete_role_policy, {"RoleName": "task", "PolicyName": "logs"}),
        (iam.remove_role_from_instance_profile, {"RoleName": "task", "InstanceProfileName": "box"}),
    ):
        assert refused(iam.delete_role, RoleName="task")[0] == "DeleteConflict"
        undo(**params)
    iam.delete_role(RoleName="task")
    iam.delete_instance_profile(InstanceProfileName="box")
    assert refused(iam.delete_role, RoleName="task") == (
        "NoSuchEntity",
        "The role with name task cannot be found.",
    )
    assert refused(iam.get_instance_profile, InstanceProfileName="box")[0] == "NoSuchEntity"


def test_names_are_short_of_few_characters_and_of_one_case(iam: Any) -> None:
    """iam-007"""
    assert refused(create, iam=iam, name="r" * 65)[0] == "ValidationError"
    assert refused(create, iam=iam, name="a role")[0] == "ValidationError"
    assert refused(iam.create_instance_profile, InstanceProfileName="p" * 129)[0] == "ValidationError"
    create(iam, "Task")
    assert refused(create, iam=iam, name="task")[0] == "EntityAlreadyExists"


def test_a_service_linked_role_is_made_once(emulator: Emulator, iam: Any) -> None:
    """iam-008"""
    arn = iam.get_role(RoleName="AWSServiceRoleForECS")["Role"]["Arn"]
    assert arn.endswith(":role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS")
    assert refused(iam.create_service_linked_role, AWSServiceName="ecs.amazonaws.com") == (
        "InvalidInput",
        "Service role name AWSServiceRoleForECS has been taken in this account, please try a different suffix.",
    )
    assert emulated.service_linked_role(emulator.world, "ecs.amazonaws.com")
    assert refused(iam.delete_role, RoleName="AWSServiceRoleForECS")[0] == "UnmodifiableEntity"


def test_a_new_account_has_no_service_linked_roles(emulator: Emulator, iam: Any, sleep: Any) -> None:
    """iam-009"""
    emulator.world.settings.service_linked_roles = False
    assert refused(iam.get_role, RoleName="AWSServiceRoleForECS")[0] == "NoSuchEntity"
    assert not emulated.service_linked_role(emulator.world, "ecs.amazonaws.com"), "the first use makes it"
    sleep(20)
    iam.get_role(RoleName="AWSServiceRoleForECS")
    assert emulated.service_linked_role(emulator.world, "ecs.amazonaws.com")
    iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    assert not emulated.service_linked_role(emulator.world, "autoscaling.amazonaws.com")
    sleep(11)
    assert emulated.service_linked_role(emulator.world, "autoscaling.amazonaws.com")


def test_deleting_a_service_linked_role_is_a_task(iam: Any, sleep: Any) -> None:
    """iam-010"""
    task = iam.delete_service_linked_role(RoleName="AWSServiceRoleForEC2Spot")["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "IN_PROGRESS"
    iam.get_role(RoleName="AWSServiceRoleForEC2Spot")
    sleep(11)
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    assert refused(iam.get_role, RoleName="AWSServiceRoleForEC2Spot")[0] == "NoSuchEntity"


@pytest.mark.parametrize(
    "name",
    [
        "service-role/AmazonECSTaskExecutionRolePolicy",
        "service-role/AmazonEC2ContainerServiceforEC2Role",
        "AmazonSSMManagedInstanceCore",
        "CloudWatchAgentServerPolicy",
    ],
)
def test_policies_of_aws_can_be_attached(emulator: Emulator, iam: Any, name: str) -> None:
    create(iam)
    iam.attach_role_policy(RoleName="task", PolicyArn=f"arn:aws:iam::aws:policy/{name}")
    iam.attach_role_policy(RoleName="task", PolicyArn=f"arn:aws:iam::aws:policy/{name}")
    [found] = iam.list_attached_role_policies(RoleName="task")["AttachedPolicies"]
    assert found["PolicyName"] == name.rsplit("/")[-1]
    assert emulated.role_policies(emulator.world, "task") == {name.rsplit("/")[-1]}


def test_an_unknown_policy_can_not(iam: Any) -> None:
    create(iam)
    unknown = "arn:aws:iam::aws:policy/NoSuchPolicyAnywhere"
    assert refused(iam.attach_role_policy, RoleName="task", PolicyArn=unknown)[0] == "NoSuchEntity"
    assert refused(iam.detach_role_policy, RoleName="task", PolicyArn=EXECUTION)[0] == "NoSuchEntity"
    assert refused(iam.attach_role_policy, RoleName="none", PolicyArn=EXECUTION)[0] == "NoSuchEntity"


def test_a_policy_of_ones_own_goes_after_it_was_detached(iam: Any) -> None:
    """iam-005"""
    create(iam)
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = iam.create_policy(PolicyName="read", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="task", PolicyArn=arn)
    assert refused(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
    iam.detach_role_policy(RoleName="task", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    assert refused(iam.delete_policy, PolicyArn=arn)[0] == "NoSuchEntity"
