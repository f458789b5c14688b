"""IAM: the hosts' role with its instance profile; and how every other module makes its role, with just what it needs.

Free. Roles belong to the whole account, so their names bear the region. The service-linked roles are the account's own:
made first where they are missing (a first cluster fails without them), and never deleted.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/security-ecs-iam-role-overview.html
"""

import functools
import json
from dataclasses import dataclass
from typing import Any

import aws
import constants
from aws import Resource, account, call, client, endpoint_tags, every, ours, partition, region, resource, tags
from console import say

HOST_POLICIES = ("service-role/AmazonEC2ContainerServiceforEC2Role", "AmazonSSMManagedInstanceCore")
#: what the hosts' role has with HOST_MONITORING=enabled alone
MONITORING_POLICIES = ("CloudWatchAgentServerPolicy",)
#: how long AWS may take to know a new role everywhere: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
PROPAGATION_SECONDS = 120
INLINE_POLICY = "settings"
SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_ECSService"
GONE = "NoSuchEntity"
THERE = "EntityAlreadyExists"
Policy = dict[str, Any]
Names = tuple[str, ...]


@dataclass
class Roles:
    instance_profile_name: str
    task_execution_role_arn: str
    task_role_arn: str


@functools.cache
def role(suffix: str) -> aws.look[Any | None]:
    """The look at one role, whoever's it is: IAM lists none by their tags."""
    return aws.look(lambda: read_role(role_name(suffix)))


@aws.shared_look
def names() -> list[str]:
    """Those of all roles of the account, a thousand in a call."""
    pages = client("iam").get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1000})
    return [each["RoleName"] for each in every(pages, "Roles")]


def read_role(role_id: str) -> Any | None:
    """Who has looked at all names is not asked about each."""
    if names.remembers() and role_id not in names():
        return None
    found = call(client("iam").get_role, gone=GONE)(RoleName=role_id)
    return found["Role"] if found else None


@aws.look
def instance_profile() -> Any | None:
    """The profile of our name, whoever's it is."""
    found = call(client("iam").get_instance_profile, gone=GONE)(InstanceProfileName=role_name("host"))
    return found["InstanceProfile"] if found else None


LOOKS = (role("host"), instance_profile)


def find() -> Roles:
    """The roles by their names, whether or not they are there."""
    return Roles(
        role_name("host"),
        constants.TASK_EXECUTION_ROLE_ARN or role_arn(role_name("task-execution")),
        constants.TASK_ROLE_ARN or role_arn(role_name("task")),
    )


def role_name(suffix: str) -> str:
    """The hosts' role is the cluster's, every other one the endpoint's."""
    return f"{aws.name(suffix) if suffix == 'host' else aws.endpoint_name(suffix)}-{region()}"


def create() -> Roles:
    """Make or complete the hosts' role and instance profile. AWS knows them everywhere about 10 seconds later."""
    if constants.LAUNCH_TYPE == "EC2":
        monitored = constants.HOST_MONITORING == "enabled"
        more, not_now = (MONITORING_POLICIES, ()) if monitored else ((), MONITORING_POLICIES)
        create_role("host", service_trust("ec2.amazonaws.com"), HOST_POLICIES + more, None, not_now)
        create_instance_profile()
    return find()


def create_service_linked_roles() -> None:
    """The roles with which AWS's services act in the account: without them the first cluster of an account fails."""
    on_hosts = constants.LAUNCH_TYPE == "EC2"
    services = {
        "ecs": ("AWSServiceRoleForECS", True),
        "autoscaling": ("AWSServiceRoleForAutoScaling", on_hosts),
        "spot": ("AWSServiceRoleForEC2Spot", on_hosts and constants.CAPACITY_TYPE == "spot"),
        "elasticloadbalancing": ("AWSServiceRoleForElasticLoadBalancing", bool(constants.LISTENER_PROTOCOL)),
        "ecs.application-autoscaling": (SCALING_ROLE, constants.SCALING != "none"),
    }
    create = call(client("iam").create_service_linked_role, there="InvalidInput")
    for service, (role_id, needed) in services.items():
        if needed and not read_role(role_id) and create(AWSServiceName=f"{service}.amazonaws.com"):
            say("created", f"service-linked role {role_id}", "the account's own; it stays")


def role_arn(role_id: str) -> str:
    return f"arn:{partition()}:iam::{account()}:role/{role_id}"


def service_trust(service: str, **more: Any) -> Policy:
    return document({"Principal": {"Service": service}, "Action": "sts:AssumeRole", **more})


def task_trust() -> Policy:
    """ECS tasks of this account and region only: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cross-service-confused-deputy-prevention.html"""
    condition = {"StringEquals": {"aws:SourceAccount": account()}, "ArnLike": {"aws:SourceArn": aws.arn("ecs", "*")}}
    return service_trust("ecs-tasks.amazonaws.com", Condition=condition)


def document(*statements: Policy) -> Policy:
    """A policy that allows these."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}


def create_role(suffix: str, trust: Policy, managed: Names, inline: Policy | None, not_now: Names = ()) -> str:
    """A role, its trust, these policies of AWS and not those of `not_now`, and our own: each is checked on every run.

    Policies that someone attached by hand stay. Answers the role's ARN.
    """
    iam, role_id, found = client("iam"), role_name(suffix), role(suffix)()
    what, text, its_tags = f"role {role_id}", json.dumps(trust), endpoint_tags(suffix)
    aws.refuse_foreign(what, found)
    if not found:
        create = call(iam.create_role, there=THERE)
        made = create(RoleName=role_id, AssumeRolePolicyDocument=text, Tags=its_tags)
        say("created" if made else "found", what)
        found = {"RoleName": role_id, "Tags": its_tags} if made else aws.listed(what, role(suffix), "IAM")
    elif found["AssumeRolePolicyDocument"] != trust:
        call(iam.update_assume_role_policy, of=found)(RoleName=role_id, PolicyDocument=text)
        say("updated", what, "trust policy")
    else:
        say("found", what)
    if managed or not_now:
        attach_policies(found, managed, not_now)
    put_inline_policy(found, inline)
    return role_arn(role_id)


def attach_policies(its_role: Any, managed: Names, not_now: Names) -> None:
    attach, role_id = call(client("iam").attach_role_policy, of=its_role), its_role["RoleName"]
    attached, aws_policy = attached_policies(role_id), f"arn:{partition()}:iam::aws:policy"
    for policy in managed:
        if f"{aws_policy}/{policy}" not in attached:
            attach(RoleName=role_id, PolicyArn=f"{aws_policy}/{policy}")
            say("updated", f"role {role_id}", f"may what {policy.split('/')[-1]} says")
    for policy in not_now:
        if f"{aws_policy}/{policy}" in attached:
            detach_policy(its_role, f"{aws_policy}/{policy}")
            say("updated", f"role {role_id}", f"may no longer what {policy.split('/')[-1]} says")


def attached_policies(role_id: str) -> list[str]:
    attached = client("iam").list_attached_role_policies(RoleName=role_id)["AttachedPolicies"]
    return [each["PolicyArn"] for each in attached]


def inline_policies(role_id: str) -> list[str]:
    return client("iam").list_role_policies(RoleName=role_id)["PolicyNames"]


def put_inline_policy(its_role: Any, wanted: Policy | None) -> None:
    iam, role_id = client("iam"), its_role["RoleName"]
    found = call(iam.get_role_policy, gone=GONE)(RoleName=role_id, PolicyName=INLINE_POLICY)
    present = found["PolicyDocument"] if found else None
    if wanted and present != wanted:
        put = call(iam.put_role_policy, of=its_role)
        put(RoleName=role_id, PolicyName=INLINE_POLICY, PolicyDocument=json.dumps(wanted))
        say("updated", f"role {role_id}", "may what the settings name")
    elif present and not wanted:
        delete_policy(its_role, INLINE_POLICY)
        say("updated", f"role {role_id}", "may no longer what the settings named")


def create_instance_profile() -> None:
    """The wrapper in which EC2 hands the role to a host; it takes one role only."""
    iam, its_name = client("iam"), role_name("host")
    profile: Any = instance_profile()
    what = f"instance profile {its_name}"
    aws.refuse_foreign(what, profile)
    made = None
    if not profile:
        create = call(iam.create_instance_profile, there=THERE)
        made = create(InstanceProfileName=its_name, Tags=tags("host"))
        profile = {"Roles": [], "Tags": tags("host")} if made else aws.listed(what, instance_profile, "IAM")
    say("created" if made else "found", what)
    if not profile["Roles"]:
        add = call(iam.add_role_to_instance_profile, what, of=profile, there=("LimitExceeded", THERE), busy=GONE)
        add(InstanceProfileName=its_name, RoleName=its_name)
        say("updated", what, "has its role")


def delete() -> None:
    """The profile first, then the role: each without what is in it, as AWS demands."""
    iam, its_name = client("iam"), role_name("host")
    profile = instance_profile()
    if profile and not aws.spare_foreign(f"instance profile {its_name}", profile):
        remove_role = call(iam.remove_role_from_instance_profile, of=profile, gone=GONE)
        for each in profile["Roles"]:
            remove_role(InstanceProfileName=its_name, RoleName=each["RoleName"])
        call(iam.delete_instance_profile, of=profile, gone=GONE)(InstanceProfileName=its_name)
        say("deleted", f"instance profile {its_name}")
    delete_role("host")


def delete_role(suffix: str) -> None:
    """Without what is in it, whoever put it there, as AWS demands."""
    role_id, found = role_name(suffix), role(suffix)()
    if not found:
        say("already gone", f"role {role_id}")
        return
    if aws.spare_foreign(f"role {role_id}", found):
        return
    iam = client("iam")
    aws.side_by_side(lambda policy: detach_policy(found, policy), attached_policies(role_id))
    aws.side_by_side(lambda policy: delete_policy(found, policy), inline_policies(role_id))
    call(iam.delete_role, f"role {role_id} to be free", of=found, gone=GONE, busy="DeleteConflict")(RoleName=role_id)
    say("deleted", f"role {role_id}")


def detach_policy(its_role: Any, arn: str) -> None:
    call(client("iam").detach_role_policy, of=its_role, gone=GONE)(RoleName=its_role["RoleName"], PolicyArn=arn)


def delete_policy(its_role: Any, policy: str) -> None:
    call(client("iam").delete_role_policy, of=its_role, gone=GONE)(RoleName=its_role["RoleName"], PolicyName=policy)


def left_over() -> list[Resource]:
    left, profile = roles_left("host"), instance_profile()
    if profile and ours(profile):
        left.append(resource(f"instance profile {role_name('host')}", profile["Arn"], profile))
    return left


def roles_left(*suffixes: str) -> list[Resource]:
    """Those of these roles that stand, and are ours. For some seconds a new one shows another id where its ARN will be."""
    found = [role(suffix)() or {} for suffix in suffixes]
    return [resource(f"role {each['RoleName']}", role_arn(each["RoleName"]), each) for each in found if ours(each)]
