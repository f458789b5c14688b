"""IAM: what is made spreads slowly, names are strict, and the service-linked roles are the account's own.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html#troubleshoot_general_eventual-consistency
"""

from __future__ import annotations

import functools
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator

from emulator.core import partitions
from emulator.core.rules import SENTENCES, STARTERS, AwsError, Call, held, on
from emulator.core.world import ACCOUNT, World

SENTENCES.update(
    {
        "iam-001": "Roles and instance profiles are of use only some ten seconds after they were made or changed.",
        "iam-002": "For a few seconds GetRole may give a new role's unique id (AROA…) where its ARN will stand.",
        "iam-003": "A trust policy can not name a principal that has not spread yet: Invalid principal in policy.",
        "iam-004": "A name is taken once (EntityAlreadyExists), and an instance profile holds one role (LimitExceeded).",
        "iam-005": "A role goes only after its policies and its instance profiles have let go of it: DeleteConflict.",
        "iam-006": "An instance profile goes only after its role was removed: DeleteConflict.",
        "iam-007": "Role names have up to 64 characters, profiles 128, of a small set; case makes no other name.",
        "iam-008": "A service-linked role that exists can not be made again: InvalidInput.",
        "iam-009": "In a new account the first call of a service fails while its service-linked role is being made.",
        "iam-011": "Who hands a role to a service needs iam:PassRole for this role and service: looked at where the caller has a "
        "policy.",
        "iam-boundary": "A permissions boundary is a policy that exists, and a role may what its policies and it allow.",
        "iam-010": "Deleting a service-linked role is a task, and fails while the service has resources.",
    }
)

SPREAD_SECONDS = 10
UNIQUE_ID_SECONDS = 4
LINKED_ROLE_SECONDS = 15
DELETE_TASK_SECONDS = 10

#: service -> the name of its service-linked role
LINKED = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "elasticfilesystem.amazonaws.com": "AWSServiceRoleForAmazonElasticFileSystem",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
    "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
    "spotfleet.amazonaws.com": "AWSServiceRoleForEC2SpotFleet",
    "backup.amazonaws.com": "AWSServiceRoleForBackup",
    "ssm.amazonaws.com": "AWSServiceRoleForAmazonSSM",
    "compute-optimizer.amazonaws.com": "AWSServiceRoleForComputeOptimizer",
    "ecs-compute.amazonaws.com": "AWSServiceRoleForECSCompute",
}
#: what an older account has: each made by the first use of its service
PLANTED = (*tuple(LINKED)[:6], "backup.amazonaws.com")


@dataclass
class State:
    """IAM beside moto: until when each role ("role/x") or profile ("profile/x") is still spreading."""

    spreading: dict[str, float] = field(default_factory=dict)
    unique_id: dict[str, float] = field(default_factory=dict)
    planted: list[str] = field(default_factory=list)
    in_making: set[str] = field(default_factory=set)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)


def state_of(world: World) -> State:
    if "all" not in world.state["iam"]:
        world.state["iam"]["all"] = State()
    state: State = world.state["iam"]["all"]
    return state


def backend() -> Any:
    return iam_backends[ACCOUNT][partitions.here()]


def find_role(name_or_arn: str) -> Any:
    name = name_or_arn.rsplit("/", 1)[-1]
    return next((role for role in backend().roles.values() if role.name == name), None)


def session_arn(role: str | None, session: str) -> str:
    """Who it is that acts with a role."""
    return f"arn:{partitions.here()}:sts::{ACCOUNT}:assumed-role/{(role or '').rpartition('/')[2]}/{session}"


def find_profile(name_or_arn: str) -> Any:
    return backend().instance_profiles.get(name_or_arn.rsplit("/", 1)[-1])


def spread(world: World, what: str, seconds: float = SPREAD_SECONDS) -> None:
    state_of(world).spreading[what] = world.now() + world.clock.delay(seconds)


def has_spread(world: World, what: str) -> bool:
    return state_of(world).spreading.get(what, 0) <= world.now()


# What other services ask.


def role_usable(world: World, role_arn_or_name: str) -> bool:
    """Does the role exist, and have other services heard of it?"""
    plant_linked_roles(world)
    role = find_role(role_arn_or_name)
    if role is None or (role_arn_or_name.startswith("arn:") and role.arn != role_arn_or_name):
        return False
    return has_spread(world, f"role/{role.name}")


def profile_usable(world: World, name_or_arn: str) -> bool:
    """Does the instance profile exist, and has EC2 heard of it? Without a role it is of no use either."""
    profile = find_profile(name_or_arn)
    if profile is None or (name_or_arn.startswith("arn:") and profile.arn != name_or_arn):
        return False
    return has_spread(world, f"profile/{profile.name}")


def profile_role(world: World, name_or_arn: str) -> str | None:
    """The name of the role in an instance profile."""
    profile = find_profile(name_or_arn)
    return str(profile.roles[0].name) if profile is not None and profile.roles else None


def role_policies(world: World, role_name: str) -> set[str]:
    """The names of a role's managed policies, and the texts of its inline ones."""
    role = find_role(role_name)
    if role is None:
        return set()
    return {policy.name for policy in role.managed_policies.values()} | set(role.policies.values())


def service_linked_role(world: World, service: str) -> bool:
    """Is the service-linked role there to be used? Where it is missing, asking makes it: usable some seconds later."""
    plant_linked_roles(world)
    state = state_of(world)
    name = LINKED.get(service)
    if name is None:
        return True
    if find_role(name) is not None:
        return has_spread(world, f"role/{name}")
    if service not in state.in_making:
        state.in_making.add(service)
        world.after(LINKED_ROLE_SECONDS, make_linked_role, world, service)
    return False


held("iam-001", "iam: role_usable and profile_usable, asked by EC2, Auto Scaling and the other services")
held("iam-009", "iam: service_linked_role, asked by the first call of each service")


# Service-linked roles.


def make_linked_role(world: World, service: str, description: str = "") -> Any:
    state_of(world).in_making.discard(service)
    name = LINKED[service]
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return find_role(name) or backend().create_role(
        name,
        json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        f"/aws-service-role/{service}/",
        permissions_boundary=None,
        description=description,
        tags=[],
        max_session_duration="3600",
        linked_service=service,
    )


def plant_linked_roles(world: World) -> None:
    """An account that has been in use has these roles; a new one (settings.service_linked_roles False) has none."""
    state = state_of(world)
    if world.settings.service_linked_roles and not state.planted:
        state.planted = [make_linked_role(world, service).id for service in PLANTED]
    elif not world.settings.service_linked_roles and state.planted:
        for role_id in state.planted:
            backend().roles.pop(role_id, None)
        state.planted = []


@on("iam", "GetRole", "ListRoles", "ListAttachedRolePolicies", "ListRolePolicies", "ListRoleTags")
def with_linked_roles(call: Call) -> dict[str, Any]:
    plant_linked_roles(call.world)
    return call.proceed()


@on("iam", "CreateServiceLinkedRole", rules="iam-008")
def create_service_linked_role(call: Call) -> dict[str, Any]:
    """Made once; the repetition is InvalidInput, with the text of a suffix that few services know."""
    plant_linked_roles(call.world)
    service, suffix = call.params["AWSServiceName"], call.params.get("CustomSuffix")
    if service not in LINKED:
        raise AwsError("InvalidInput", f"Service role for {service} cannot be created. Invalid service name.")
    if suffix:
        raise AwsError("InvalidInput", f"Custom suffix is not allowed for {service}")
    name = LINKED[service]
    if find_role(name) is not None or service in state_of(call.world).in_making:
        raise AwsError(
            "InvalidInput",
            f"Service role name {name} has been taken in this account, please try a different suffix.",
        )
    make_linked_role(call.world, service, call.params.get("Description") or "")
    spread(call.world, f"role/{name}")
    return call.moto("iam").get_role(RoleName=name)  # type: ignore[no-any-return]


@on("iam", "DeleteServiceLinkedRole", rules="iam-010")
def delete_service_linked_role(call: Call) -> dict[str, Any]:
    """Only starts a task, which asks the service whether it still needs the role."""
    plant_linked_roles(call.world)
    role = existing_role(call.params["RoleName"])
    service = linked_service(role)
    if service is None:
        raise AwsError("InvalidInput", f"{role.name} is not a service-linked role.")
    task = f"task/aws-service-role/{service}/{role.name}/{uuid.uuid4()}"
    state_of(call.world).tasks[task] = {"Status": "IN_PROGRESS"}
    call.world.after(DELETE_TASK_SECONDS, finish_deletion, call.world, task, role, service)
    return {"DeletionTaskId": task}


def finish_deletion(world: World, task: str, role: Any, service: str) -> None:
    outcome = state_of(world).tasks[task]
    used = [{"Region": region, "Resources": arns} for region, arns in used_by(world, service)]
    if used:
        reason = "A service-linked role cannot be deleted while resources of the service use it."
        outcome.update(Status="FAILED", Reason={"Reason": reason, "RoleUsageList": used})
    else:
        outcome["Status"] = "SUCCEEDED"
        backend().roles.pop(role.id, None)


def used_by(world: World, service: str) -> Iterator[tuple[str, list[str]]]:
    """Region and ARNs of what keeps a service-linked role in use, for the services where it is known."""
    kept: dict[str, tuple[str, str]] = {
        "autoscaling.amazonaws.com": ("autoscaling", ""),
        "ecs.amazonaws.com": ("ecs", "clusters"),
        "elasticloadbalancing.amazonaws.com": ("elbv2", "balancers"),
        "elasticfilesystem.amazonaws.com": ("efs", "file_systems"),
    }
    state, what = kept.get(service, ("", ""))
    for region, held_there in world.state[state].items() if state else ():
        things = getattr(held_there, what, {}) if what else held_there
        names = [name for name, one in things.items() if getattr(one, "status", "ACTIVE") != "INACTIVE"]
        if names:
            yield region, names


@on("iam", "GetServiceLinkedRoleDeletionStatus", rules="iam-010")
def get_service_linked_role_deletion_status(call: Call) -> dict[str, Any]:
    task = state_of(call.world).tasks.get(call.params["DeletionTaskId"])
    if task is None:
        raise AwsError("NoSuchEntity", f"The deletion task {call.params['DeletionTaskId']} cannot be found.", 404)
    return task


def linked_service(role: Any) -> str | None:
    match = re.fullmatch(r"/aws-service-role/(.+)/", role.path)
    return match[1] if match else None


@on(
    "iam",
    "DeleteRole",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "PutRolePolicy",
    "DeleteRolePolicy",
    "UpdateAssumeRolePolicy",
)
def keep_linked_roles(call: Call) -> dict[str, Any]:
    """Service-linked roles are the services' own; a missing role is told by its name."""
    plant_linked_roles(call.world)
    role = existing_role(call.params["RoleName"])
    if linked_service(role) is not None:
        raise AwsError(
            "UnmodifiableEntity",
            f"Cannot perform the operation on the protected role '{role.name}' - this role is only modifiable by AWS",
        )
    return call.proceed()


# Roles and instance profiles.


def existing_role(name: str) -> Any:
    role = find_role(name)
    if role is None:
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    return role


def existing_profile(name: str) -> Any:
    profile = find_profile(name)
    if profile is None:
        raise AwsError("NoSuchEntity", f"Instance Profile {name} cannot be found.", 404)
    return profile


def check_name(field_name: str, name: str, longest: int) -> None:
    if len(name) > longest:
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{name}' at '{field_name}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {longest}",
        )
    if not re.fullmatch(r"[\w+=,.@-]+", name, re.ASCII):
        raise AwsError(
            "ValidationError",
            f"The specified value for {field_name} is invalid. It must contain only alphanumeric characters and/or the "
            "following: +=,.@_-",
        )


def check_trust(world: World, document: str) -> None:
    """A trust policy is JSON of the right form, and names principals that IAM knows everywhere by now."""
    try:
        policy = json.loads(document)
    except ValueError:
        raise AwsError("MalformedPolicyDocument", "This policy contains invalid Json") from None
    IAMTrustPolicyDocumentValidator(document).validate()
    statements = policy.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal") or {}
        for kind, named in principal.items() if isinstance(principal, dict) else []:
            for one in named if isinstance(named, list) else [named]:
                if not principal_known(world, kind, one):
                    raise AwsError("MalformedPolicyDocument", f'Invalid principal in policy: "{kind.upper()}":"{one}"')


def principal_known(world: World, kind: str, principal: str) -> bool:
    if kind == "Service":
        ending = r"(\.cn)?" if partitions.here() == "aws-cn" else ""
        return bool(re.fullmatch(rf"[a-z0-9.-]+\.amazonaws\.com{ending}", principal))
    own = re.fullmatch(rf"arn:{partitions.here()}:iam::{ACCOUNT}:(role|user)/(?:.*/)?([^/]+)", principal)
    if kind != "AWS" or not own:
        return True
    if own[1] == "role":
        return role_usable(world, principal)
    return any(user.name == own[2] for user in backend().users.values()) and has_spread(world, f"user/{own[2]}")


@on("iam", "CreateRole", rules="iam-002 iam-003 iam-004 iam-007 iam-012 iam-boundary")
def create_role(call: Call) -> dict[str, Any]:
    name = call.params["RoleName"]
    check_name("roleName", name, 64)
    plant_linked_roles(call.world)
    if any(role.name.lower() == name.lower() for role in backend().roles.values()):
        raise AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", 409)
    check_trust(call.world, call.params["AssumeRolePolicyDocument"])
    check_path(call)
    check_boundary(call)
    answer = call.proceed()
    spread(call.world, f"role/{name}")
    state_of(call.world).unique_id[name] = call.world.now() + call.world.clock.delay(UNIQUE_ID_SECONDS)
    return answer


def check_path(call: Call) -> None:
    path = call.params.get("Path") or "/"
    if not re.fullmatch(r"/|/[!-~]{1,510}/", path) or path.startswith("/aws-service-role/"):
        raise AwsError("ValidationError", "The specified value for path is invalid. It must begin and end with /.")


def check_boundary(call: Call) -> None:
    """A boundary is a managed policy that there is: AWS's own, or the account's."""
    arn = call.params.get("PermissionsBoundary")
    if not arn:
        return
    plant_policy(arn)
    if arn not in backend().managed_policies:
        raise AwsError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", 404)


@on("iam", "PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary", rules="iam-boundary")
def role_permissions_boundary(call: Call) -> dict[str, Any]:
    role = existing_role(call.params["RoleName"])
    if call.operation.startswith("Delete") and not role.permissions_boundary_arn:
        text = f"The role with name {role.name} does not have a permissions boundary set."
        raise AwsError("NoSuchEntity", text, 404)
    check_boundary(call)
    return call.proceed()


@on("iam", "CreateUser")
def create_user(call: Call) -> dict[str, Any]:
    answer = call.proceed()
    spread(call.world, f"user/{call.params['UserName']}")
    return answer


@on("iam", "GetRole", rules="iam-002")
def get_role(call: Call) -> dict[str, Any]:
    name = call.params["RoleName"]
    existing_role(name)
    answer = call.proceed()
    if state_of(call.world).unique_id.get(name, 0) > call.world.now():
        answer["Role"]["Arn"] = answer["Role"]["RoleId"]
    return answer


@on("iam", "GetRolePolicy", "DeleteRolePolicy")
def role_policy(call: Call) -> dict[str, Any]:
    """What is missing is the policy, and the role is not named: https://github.com/aws/aws-cli/issues/6139"""
    role = find_role(call.params["RoleName"])
    if role is not None and call.params["PolicyName"] not in role.policies:
        text = f"The role policy with name {call.params['PolicyName']} cannot be found."
        raise AwsError("NoSuchEntity", text, 404)
    return call.proceed()


@on("iam", "ListAttachedRolePolicies", "ListRolePolicies", "ListInstanceProfilesForRole", "UpdateRole", "TagRole")
def role_must_exist(call: Call) -> dict[str, Any]:
    existing_role(call.params["RoleName"])
    return call.proceed()


@on("iam", "UpdateAssumeRolePolicy", rules="iam-003")
def update_assume_role_policy(call: Call) -> dict[str, Any]:
    check_trust(call.world, call.params["PolicyDocument"])
    return call.proceed()


@on("iam", "CreateInstanceProfile", rules="iam-001 iam-004 iam-007 iam-012")
def create_instance_profile(call: Call) -> dict[str, Any]:
    name = call.params["InstanceProfileName"]
    check_name("instanceProfileName", name, 128)
    if any(one.lower() == name.lower() for one in backend().instance_profiles):
        raise AwsError("EntityAlreadyExists", f"Instance Profile {name} already exists.", 409)
    check_path(call)
    spread(call.world, f"profile/{name}")
    return call.proceed()


@on("iam", "AddRoleToInstanceProfile", rules="iam-001 iam-004")
def add_role_to_instance_profile(call: Call) -> dict[str, Any]:
    name = call.params["InstanceProfileName"]
    profile = existing_profile(name)
    existing_role(call.params["RoleName"])
    if profile.roles:
        raise AwsError("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1", 409)
    spread(call.world, f"profile/{name}")
    return call.proceed()


@on("iam", "RemoveRoleFromInstanceProfile", "GetInstanceProfile", "DeleteInstanceProfile", rules="iam-006")
def profile_must_exist(call: Call) -> dict[str, Any]:
    profile = existing_profile(call.params["InstanceProfileName"])
    role = call.params.get("RoleName")
    if role and not any(one.name == role for one in profile.roles):
        raise AwsError("NoSuchEntity", f"The role with name {role} cannot be found in {profile.name}.", 404)
    return call.proceed()


@on("iam", "DeleteRole", rules="iam-005")
def delete_role(call: Call) -> dict[str, Any]:
    """What hangs on the role goes first; moto refuses as AWS does. The name is free again at once."""
    answer = call.proceed()
    state_of(call.world).spreading.pop(f"role/{call.params['RoleName']}", None)
    return answer


# AWS's own policies, made known to moto when one is asked for: there are more than a thousand.


@functools.cache
def aws_policies() -> dict[str, dict[str, Any]]:
    policies = json.loads(aws_managed_policies_data)
    return {f"{data['Path']}{name}": {**data, "name": name} for name, data in policies.items()}


def plant_policy(arn: str) -> None:
    if arn.startswith(f"arn:{partitions.here()}:iam::aws:policy/") and arn not in backend().managed_policies:
        data = aws_policies().get(arn.partition(":policy")[2])
        if data:
            policy = AWSManagedPolicy.from_data(data["name"], ACCOUNT, partitions.home(), data)
            backend().managed_policies[arn] = policy


@on(
    "iam",
    "AttachRolePolicy",
    "AttachUserPolicy",
    "AttachGroupPolicy",
    "DetachRolePolicy",
    "GetPolicy",
    "GetPolicyVersion",
    "ListPolicyVersions",
    "ListEntitiesForPolicy",
)
def with_aws_policy(call: Call) -> dict[str, Any]:
    plant_policy(call.params["PolicyArn"])
    return call.proceed()


@on("iam", "DeletePolicy", rules="iam-005")
def delete_policy(call: Call) -> dict[str, Any]:
    """A policy of one's own goes after everything has let go of it, and its other versions have gone."""
    arn = call.params["PolicyArn"]
    policy = backend().managed_policies.get(arn)
    if policy is None:
        raise AwsError("NoSuchEntity", f"Policy {arn} was not found.", 404)
    if policy.attachment_count > 0:
        raise AwsError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
    if len(policy.versions) > 1:
        raise AwsError(
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy.",
            409,
        )
    return call.proceed()


@on("iam", "ListPolicies")
def list_policies(call: Call) -> dict[str, Any]:
    if call.params.get("Scope") != "Local" and not call.params.get("OnlyAttached"):
        for path in aws_policies():
            plant_policy(f"arn:{partitions.here()}:iam::aws:policy{path}")
    return call.proceed()


def start(world: World) -> None:
    state_of(world)


STARTERS.append(start)
