"""IAM: the roles of instances, in their profiles; and how every other module makes its role, with just what it needs.

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
from aws import Resource, account, call, client, endpoint_tags, every, mine, ours, partition, region, resource, tags
from console import say
from infrastructure.cluster import tag_index

HOST_POLICIES = ("service-role/AmazonEC2ContainerServiceforEC2Role",)
#: what Session Manager needs: https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
SESSION_ACTIONS = [
    "ssm:UpdateInstanceInformation",
    *("ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel"),
    *("ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
]
#: what earlier versions gave for that: with it a host, and a container in host mode, reads all SSM parameters
FORMER_POLICIES = ("AmazonSSMManagedInstanceCore",)
#: what the hosts' role has with HOST_MONITORING=enabled alone
MONITORING_POLICIES = ("CloudWatchAgentServerPolicy",)
#: how long AWS may take to know a new role everywhere: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
PROPAGATION_SECONDS = 120
#: the roles of instances: the cluster's, each in an instance profile
OF_INSTANCES = ("host", "bastion")
#: those and the deadlines': shared by its endpoints
OF_CLUSTER = (*OF_INSTANCES, "stop")
#: the roles that have policies of AWS
WITH_MANAGED = (*OF_INSTANCES, "task-execution")
INLINE_POLICY = "settings"
#: where AWS shows a role's boundary
BOUNDARY = "PermissionsBoundaryArn"
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
    return [each["RoleName"] for each in every(pages, "Roles")] if constants.MAKES_ROLES else []


@functools.cache
def policies(suffix: str) -> aws.look[tuple[list[str], Any]]:
    """The look at what one role may: the ARNs of its managed policies, and our own policy, as both stand."""
    return aws.look(lambda: read_policies(suffix) if role(suffix)() else ([], None))


def looks(*suffixes: str) -> tuple[aws.look[Any], ...]:
    return tuple(each(suffix) for suffix in suffixes for each in (role, policies))


def read_role(role_id: str) -> Any | None:
    """Who has looked at all names is not asked about each."""
    if not constants.MAKES_ROLES or (names.remembers() and role_id not in names()):
        return None
    found = call(client("iam").get_role, gone=GONE)(RoleName=role_id)
    return found["Role"] if found else None


def never_made(suffix: str, in_its_arn: str) -> bool:
    """Of what is made after its role, and goes before it: whether AWS lists neither the role nor the thing's own tags.

    For those who have looked at both lists; else it is asked itself, and so where the role is not ours.
    """
    is_ours = constants.MAKES_ROLES and not constants.ADOPTED_ROLES[suffix]
    if not (is_ours and names.remembers() and tag_index.tagged.remembers()):
        return False
    return role_name(suffix) not in names() and not any(in_its_arn in each.arn for each in tag_index.tagged())


def read_policies(suffix: str) -> tuple[list[str], Any]:
    """Only those of instances and the tasks' have AWS's."""
    role_id = role_name(suffix)
    own = call(client("iam").get_role_policy, gone=GONE)(RoleName=role_id, PolicyName=INLINE_POLICY)
    attached = attached_policies(role_id) if suffix in WITH_MANAGED else []
    return attached, own["PolicyDocument"] if own else None


@functools.cache
def instance_profile(suffix: str) -> aws.look[Any | None]:
    """The look at the profile of our name, whoever's it is."""
    return aws.look(lambda: read_profile(role_name(suffix)))


def read_profile(its_name: str) -> Any | None:
    if not constants.MAKES_ROLES:
        return None
    found = call(client("iam").get_instance_profile, gone=GONE)(InstanceProfileName=its_name)
    return found["InstanceProfile"] if found else None


@aws.look
def service_linked() -> list[str]:
    """The names of the roles with which AWS's own services act in the account."""
    pages = client("iam").get_paginator("list_roles").paginate(PathPrefix="/aws-service-role/")
    return [each["RoleName"] for each in aws.every(pages, "Roles")]


LOOKS = (*looks("host"), instance_profile("host"))


def find() -> Roles:
    """The roles by their names, whether or not they are there."""
    return Roles(named("host").rpartition("/")[2], named("task-execution"), named("task"))


def named(suffix: str) -> str:
    """The role's ARN: of the user's, where a setting names it, else ours."""
    return constants.ADOPTED_ROLES[suffix] or role_arn(role_name(suffix))


def role_name(suffix: str) -> str:
    """Some are the cluster's, every other one the endpoint's."""
    return f"{aws.name(suffix) if suffix in OF_CLUSTER else aws.endpoint_name(suffix)}-{region()}"


def create() -> Roles:
    """Make or complete the hosts' role and instance profile. AWS knows them everywhere about 10 seconds later."""
    if constants.LAUNCH_TYPE == "EC2" and not constants.HOST_ROLE:
        monitored = constants.HOST_MONITORING == "enabled"
        wanted = HOST_POLICIES + (MONITORING_POLICIES if monitored else ())
        not_now = FORMER_POLICIES + (() if monitored else MONITORING_POLICIES)
        create_role("host", trust("ec2"), wanted, sessions(), not_now)
        create_instance_profile()
    return find()


def sessions() -> Policy:
    """What Session Manager needs on an instance."""
    return document({"Action": SESSION_ACTIONS, "Resource": "*"})


def create_service_linked_roles(new_cluster: bool, new_hosts: bool, new_balancer: bool) -> None:
    """The roles with which AWS's services act in the account: without them the first cluster of an account fails."""
    if not constants.MAKES_ROLES:
        return
    create = call(client("iam").create_service_linked_role, there="InvalidInput")
    for service, role_id in service_linked_wanted(new_cluster, new_hosts, new_balancer).items():
        if role_id not in service_linked() and create(AWSServiceName=principal(service)):
            say("created", f"service-linked role {role_id}", "the account's own; it stays")


def service_linked_wanted(new_cluster: bool, new_hosts: bool, new_balancer: bool) -> dict[str, str]:
    """Service -> its role, of those that the settings need for what is new. EFS makes its own one by itself."""
    on_hosts = constants.LAUNCH_TYPE == "EC2" and new_hosts
    services = {
        "ecs": ("AWSServiceRoleForECS", new_cluster),
        "autoscaling": ("AWSServiceRoleForAutoScaling", on_hosts),
        "spot": ("AWSServiceRoleForEC2Spot", on_hosts and constants.CAPACITY_TYPE != "on-demand"),
        "elasticloadbalancing": (
            "AWSServiceRoleForElasticLoadBalancing",
            bool(constants.LISTENER_PROTOCOL) and new_balancer,
        ),
        "ecs.application-autoscaling": (SCALING_ROLE, constants.SCALING != "none" and new_cluster),
    }
    return {service: role_id for service, (role_id, needed) in services.items() if needed}


def role_arn(role_id: str, path: str = "") -> str:
    return f"arn:{partition()}:iam::{account()}:role{path or constants.ROLE_PATH}{role_id}"


def principal(service: str) -> str:
    """A service's name in policies: the same everywhere, but that EC2 has one of its own in China.

    https://docs.amazonaws.cn/en_us/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-services
    """
    return f"{service}.amazonaws.com{'.cn' if service == 'ec2' and partition() == 'aws-cn' else ''}"


def trust(service: str, **condition: Any) -> Policy:
    """Only for a service. What others than EC2 do with the role they do for this account alone, not as another's deputy.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html#cross-service-confused-deputy-prevention
    """
    asks = {"StringEquals": {"aws:SourceAccount": account()}, **condition}
    more = {} if service == "ec2" else {"Condition": asks}
    return document({"Principal": {"Service": principal(service)}, "Action": "sts:AssumeRole", **more})


def task_trust() -> Policy:
    """ECS tasks of this account and region only: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cross-service-confused-deputy-prevention.html"""
    return trust("ecs-tasks", ArnLike={"aws:SourceArn": aws.arn("ecs", "*")})


def passed_to_tasks() -> Policy:
    """The condition on which a role may be handed to ECS's tasks, and to no other service."""
    return {"StringEquals": {"iam:PassedToService": [principal("ecs-tasks")]}}


def document(*statements: Policy) -> Policy:
    """A policy that allows these."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}


def create_role(suffix: str, trusted: Policy, managed: Names, inline: Policy | None, not_now: Names = ()) -> str:
    """A role, its trust, these policies of AWS and not those of `not_now`, and our own: each is checked on every run.

    Policies that someone attached by hand stay. Answers the role's ARN; the user's, where a setting names one.
    """
    if constants.ADOPTED_ROLES[suffix]:
        return named(suffix)
    iam, role_id, found = client("iam"), role_name(suffix), role(suffix)()
    what, text = f"role {role_id}", json.dumps(trusted)
    its_tags = tags(suffix) if suffix in OF_CLUSTER else endpoint_tags(suffix)
    is_new = False
    aws.refuse_foreign(what, found)
    if not found:
        boundary = constants.ROLE_PERMISSIONS_BOUNDARY
        more: Any = {"PermissionsBoundary": boundary} if boundary else {}
        create = call(iam.create_role, there=THERE)
        made = create(RoleName=role_id, Path=constants.ROLE_PATH, AssumeRolePolicyDocument=text, Tags=its_tags, **more)
        is_new = bool(made)
        say("created" if made else "found", what)
        new = {"RoleName": role_id, "Tags": its_tags, "PermissionsBoundary": {BOUNDARY: boundary}}
        found = new if made else aws.listed(what, role(suffix), "IAM")
    elif found["AssumeRolePolicyDocument"] != trusted:
        call(iam.update_assume_role_policy, of=found)(RoleName=role_id, PolicyDocument=text)
        say("updated", what, "trust policy")
    else:
        say("found", what)
    put_boundary(found)
    attached, present = ([], None) if is_new else policies(suffix)()
    attach_policies(found, attached, managed, not_now)
    put_inline_policy(found, present, inline)
    return role_arn(role_id)


def put_boundary(its_role: Any) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html"""
    iam, role_id, wanted = client("iam"), its_role["RoleName"], constants.ROLE_PERMISSIONS_BOUNDARY
    if its_role.get("PermissionsBoundary", {}).get(BOUNDARY, "") == wanted:
        return
    if wanted:
        put = call(iam.put_role_permissions_boundary, f"role {role_id}", of=its_role)
        put(RoleName=role_id, PermissionsBoundary=wanted)
    else:
        call(iam.delete_role_permissions_boundary, of=its_role, gone=GONE)(RoleName=role_id)
    say("updated", f"role {role_id}", f"its boundary is {wanted}" if wanted else "has no boundary any more")


def refuse_other_path(*suffixes: str, undo: str = "run delete_cluster.py first") -> None:
    """AWS moves no role, and gives its name no second time: told before the first change."""
    for found in [role(each)() for each in suffixes if not constants.ADOPTED_ROLES[each]]:
        if found and ours(found) and found["Path"] != constants.ROLE_PATH:
            its_path = f"the role {found['RoleName']} is in {found['Path']}"
            aws.refuse_change(f"ROLE_PATH={constants.ROLE_PATH}", its_path, undo)


def attach_policies(its_role: Any, attached: list[str], managed: Names, not_now: Names) -> None:
    attach, role_id = call(client("iam").attach_role_policy, of=its_role), its_role["RoleName"]
    aws_policy = f"arn:{partition()}:iam::aws:policy"
    for policy in managed:
        if f"{aws_policy}/{policy}" not in attached:
            attach(RoleName=role_id, PolicyArn=f"{aws_policy}/{policy}")
            say("updated", f"role {role_id}", f"may what {policy.split('/')[-1]} says")
    for policy in not_now:
        if f"{aws_policy}/{policy}" in attached:
            detach_policy(its_role, f"{aws_policy}/{policy}")
            say("updated", f"role {role_id}", f"may no longer what {policy.split('/')[-1]} says")


def attached_policies(role_id: str) -> list[str]:
    attached = call(client("iam").list_attached_role_policies, gone=GONE)(RoleName=role_id)
    return [each["PolicyArn"] for each in attached["AttachedPolicies"]] if attached else []


def put_inline_policy(its_role: Any, present: Policy | None, wanted: Policy | None) -> None:
    iam, role_id = client("iam"), its_role["RoleName"]
    if wanted and present != wanted:
        put = call(iam.put_role_policy, of=its_role)
        put(RoleName=role_id, PolicyName=INLINE_POLICY, PolicyDocument=json.dumps(wanted))
        say("updated", f"role {role_id}", "may what its own policy says")
    elif present and not wanted:
        delete_policy(its_role, INLINE_POLICY)
        say("updated", f"role {role_id}", "may no longer what its own policy said")


def create_instance_profile(suffix: str = "host") -> None:
    """The wrapper in which EC2 hands the role to a host; it takes one role only."""
    iam, its_name, its_tags = client("iam"), role_name(suffix), tags(suffix)
    profile: Any = instance_profile(suffix)()
    what = f"instance profile {its_name}"
    aws.refuse_foreign(what, profile)
    made = None
    if not profile:
        create = call(iam.create_instance_profile, there=THERE)
        made = create(InstanceProfileName=its_name, Path=constants.ROLE_PATH, Tags=its_tags)
        profile = {"Roles": [], "Tags": its_tags} if made else aws.listed(what, instance_profile(suffix), "IAM")
    say("created" if made else "found", what)
    if not profile["Roles"]:
        add = call(iam.add_role_to_instance_profile, what, of=profile, there=("LimitExceeded", THERE))
        add(InstanceProfileName=its_name, RoleName=its_name)
        say("updated", what, "has its role")


def leave(suffix: str, in_use: str = "") -> None:
    """Our own role, in whose place the user's has come: it goes, unless it is `in_use`, in words."""
    own = role(suffix)() if constants.ADOPTED_ROLES[suffix] else None
    if not (ours if suffix in OF_CLUSTER else mine)(own):
        return
    if in_use:
        say("kept", f"role {role_name(suffix)}", f"free; {in_use}")
    elif suffix in OF_INSTANCES:
        delete_of_instances(suffix)
    else:
        delete_role(suffix)


def leave_host() -> None:
    """The same with its profile, once the launch template names the user's. Hosts keep the one that they began with."""
    profile = instance_profile("host")() if constants.HOST_ROLE else None
    pages = client("ec2").get_paginator("describe_instances")
    filters: Any = (
        [{"Name": "iam-instance-profile.arn", "Values": [profile["Arn"]]}] if profile and ours(profile) else []
    )
    found = every(pages.paginate(Filters=filters), "Reservations") if filters else []
    standing = [host for each in found for host in each["Instances"] if host["State"]["Name"] != "terminated"]
    leave("host", f"{len(standing)} hosts have it, until update_cluster.py" if standing else "")


def delete() -> None:
    delete_of_instances("host")


def delete_of_instances(suffix: str) -> None:
    """The profile first, then the role: each without what is in it, as AWS demands."""
    iam, its_name = client("iam"), role_name(suffix)
    profile = instance_profile(suffix)()
    if profile and not aws.spare_foreign(f"instance profile {its_name}", profile):
        remove_role = call(iam.remove_role_from_instance_profile, of=profile, gone=GONE)
        for each in profile["Roles"]:
            remove_role(InstanceProfileName=its_name, RoleName=each["RoleName"])
        call(iam.delete_instance_profile, of=profile, gone=GONE)(InstanceProfileName=its_name)
        say("deleted", f"instance profile {its_name}")
    delete_role(suffix)


def delete_role(suffix: str) -> None:
    """Without what is in it, as AWS demands: first what we know to be there, then what else someone put there."""
    role_id, found = role_name(suffix), role(suffix)()
    if not found or aws.spare_foreign(f"role {role_id}", found):
        return
    attached, own = policies(suffix)()
    empty_role(found, attached, [INLINE_POLICY] if own else [])
    delete = call(delete_with_all, f"role {role_id} to be free", of=found, gone=GONE, busy="DeleteConflict")
    delete(found)
    say("deleted", f"role {role_id}")


def delete_with_all(its_role: Any) -> None:
    iam, role_id = client("iam"), its_role["RoleName"]
    delete = call(iam.delete_role, of=its_role, there="DeleteConflict")
    if not delete(RoleName=role_id):
        inline = call(iam.list_role_policies, gone=GONE)(RoleName=role_id)
        empty_role(its_role, attached_policies(role_id), inline["PolicyNames"] if inline else [])
        call(iam.delete_role, of=its_role)(RoleName=role_id)


def empty_role(its_role: Any, attached: list[str], inline: list[str]) -> None:
    aws.side_by_side(lambda policy: detach_policy(its_role, policy), attached)
    aws.side_by_side(lambda policy: delete_policy(its_role, policy), inline)


def detach_policy(its_role: Any, arn: str) -> None:
    call(client("iam").detach_role_policy, of=its_role, gone=GONE)(RoleName=its_role["RoleName"], PolicyArn=arn)


def delete_policy(its_role: Any, policy: str) -> None:
    call(client("iam").delete_role_policy, of=its_role, gone=GONE)(RoleName=its_role["RoleName"], PolicyName=policy)


def left_over(suffix: str = "host") -> list[Resource]:
    left, profile = roles_left(suffix), instance_profile(suffix)()
    if profile and ours(profile):
        left.append(resource(f"instance profile {role_name(suffix)}", profile["Arn"], profile))
    return left


def roles_left(*suffixes: str) -> list[Resource]:
    """Those of these roles that stand, and are ours. For some seconds a new one shows another id where its ARN will be."""
    found = [role(suffix)() or {} for suffix in suffixes]
    arns = [role_arn(each.get("RoleName", ""), each.get("Path", "/")) for each in found]
    return [
        resource(f"role {each['RoleName']}", arn, each) for each, arn in zip(found, arns, strict=True) if ours(each)
    ]
