"""IAM: a role for the hosts, one with which ECS starts tasks, and one for the task itself, each with just what it needs.

Roles belong to the whole account, so their names bear the region. The service-linked roles are the account's own:
made first where they are missing (a first cluster fails without them), and never deleted.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/security-ecs-iam-role-overview.html
"""

import json
from dataclasses import dataclass
from typing import Any

import constants
from aws import (
    Problem,
    accepted,
    account,
    client,
    endpoint_name,
    endpoint_tags,
    insist,
    missing,
    name,
    ours,
    partition,
    region,
)
from console import say

HOST_POLICIES = ("service-role/AmazonEC2ContainerServiceforEC2Role", "AmazonSSMManagedInstanceCore")
TASK_EXECUTION_POLICIES = ("service-role/AmazonECSTaskExecutionRolePolicy",)
#: how long AWS may take to know a new role everywhere: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
PROPAGATION_SECONDS = 120
TASK_ROLES = ("task-execution", "task")
INLINE_POLICY = "settings"
#: what ECS Exec needs: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
EXEC_ACTIONS = ["CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"]
TABLE_ACTIONS = [
    "GetItem",
    "BatchGetItem",
    "Query",
    "Scan",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "DescribeTable",
]
QUEUE_ACTIONS = [
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "ChangeMessageVisibility",
    "GetQueueAttributes",
    "GetQueueUrl",
]


@dataclass
class Roles:
    instance_profile_name: str
    task_execution_role_arn: str
    task_role_arn: str


def create(file_system_ids: dict[str, str]) -> Roles:
    """Make or complete the hosts' role and instance profile, and the tasks' roles, which endpoints have of their own.

    Free; AWS knows them everywhere about 10 seconds later.
    """
    if constants.LAUNCH_TYPE == "EC2":
        policies = HOST_POLICIES + (("CloudWatchAgentServerPolicy",) if constants.HOST_MONITORING == "enabled" else ())
        create_role("host", service_trust("ec2.amazonaws.com"), policies, None)
        create_instance_profile()
    if not constants.CLUSTER_ONLY:
        create_task_roles(file_system_ids)
    return find()


def create_task_roles(file_system_ids: dict[str, str], access_point_ids: list[str] | None = None) -> None:
    """With which ECS starts the task, and which the task itself has."""
    if not constants.TASK_EXECUTION_ROLE_ARN:
        create_role("task-execution", task_trust(), TASK_EXECUTION_POLICIES, secrets_policy())
    if not constants.TASK_ROLE_ARN:
        create_role("task", task_trust(), (), task_policy(file_system_ids, access_point_ids or []))


def find() -> Roles:
    """The roles as `create` names them, whether or not they are there."""
    prefix = f"arn:{partition()}:iam::{account()}:role/"
    return Roles(
        role_name("host"),
        constants.TASK_EXECUTION_ROLE_ARN or prefix + role_name("task-execution"),
        constants.TASK_ROLE_ARN or prefix + role_name("task"),
    )


def delete() -> None:
    """The profile first, then the roles: each without its policies, as AWS demands."""
    iam = client("iam")
    profile_name = role_name("host")
    profile = find_instance_profile()
    if profile and ours(profile["Tags"]):
        for role in profile["Roles"]:
            accepted(
                lambda: iam.remove_role_from_instance_profile(
                    InstanceProfileName=profile_name, RoleName=role["RoleName"]
                ),
                "NoSuchEntity",
            )
        accepted(lambda: iam.delete_instance_profile(InstanceProfileName=profile_name), "NoSuchEntity")
        say("deleted", f"instance profile {profile_name}")
    delete_role(role_name("host"))
    delete_task_roles()


def delete_task_roles() -> None:
    for suffix in TASK_ROLES:
        delete_role(role_name(suffix))


def create_service_linked_roles() -> None:
    """The roles with which AWS's services act in the account: without them the first cluster of an account fails."""
    iam = client("iam")
    services = {"ecs.amazonaws.com": "AWSServiceRoleForECS"}
    if constants.LAUNCH_TYPE == "EC2":
        services["autoscaling.amazonaws.com"] = "AWSServiceRoleForAutoScaling"
        if constants.CAPACITY_TYPE == "spot":
            services["spot.amazonaws.com"] = "AWSServiceRoleForEC2Spot"
    if constants.LISTENER_PROTOCOL:
        services["elasticloadbalancing.amazonaws.com"] = "AWSServiceRoleForElasticLoadBalancing"
    if constants.SCALING != "none":
        scaling = "AWSServiceRoleForApplicationAutoScaling_ECSService"
        services["ecs.application-autoscaling.amazonaws.com"] = scaling
    for service, role in services.items():
        if missing(lambda: iam.get_role(RoleName=role), "NoSuchEntity"):
            continue
        if accepted(lambda: iam.create_service_linked_role(AWSServiceName=service), "InvalidInput"):
            say("created", f"service-linked role {role}", "the account's own; it stays")


def role_name(suffix: str) -> str:
    """The hosts' role is the cluster's, every other one the endpoint's."""
    return f"{name(suffix) if suffix == 'host' else endpoint_name(suffix)}-{region()}"


def service_trust(service: str) -> dict[str, Any]:
    return document({"Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def task_trust() -> dict[str, Any]:
    """ECS tasks of this account and region only: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cross-service-confused-deputy-prevention.html"""
    condition = {
        "StringEquals": {"aws:SourceAccount": account()},
        "ArnLike": {"aws:SourceArn": f"arn:{partition()}:ecs:{region()}:{account()}:*"},
    }
    return document(
        {"Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole", "Condition": condition}
    )


def secrets_policy() -> dict[str, Any] | None:
    """Reading the secrets that CONTAINER_SECRETS names, and nothing else."""
    statements = []
    for service, action in (("secretsmanager", "secretsmanager:GetSecretValue"), ("ssm", "ssm:GetParameters")):
        arns = sorted(arn for arn in constants.CONTAINER_SECRETS.values() if arn.split(":")[2] == service)
        if arns:
            statements.append({"Action": action, "Resource": arns})
    return document(*statements) if statements else None


def task_policy(file_system_ids: dict[str, str], access_point_ids: list[str]) -> dict[str, Any] | None:
    """What the container itself may do: its file systems, and the buckets, tables and queues that the settings name.

    Where endpoints share the file systems, each only by its own access points, and so in its own directories.
    https://docs.aws.amazon.com/efs/latest/ug/access-points-iam-policy.html
    """
    base = f"arn:{partition()}"
    here = f"{region()}:{account()}"
    statements: list[dict[str, Any]] = []
    if file_system_ids:
        actions = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        arns = [
            f"{base}:elasticfilesystem:{here}:file-system/{each}" for each in dict.fromkeys(file_system_ids.values())
        ]
        statement: dict[str, Any] = {"Action": actions, "Resource": arns if len(arns) > 1 else arns[0]}
        if access_point_ids:
            points = [f"{base}:elasticfilesystem:{here}:access-point/{each}" for each in sorted(access_point_ids)]
            statement["Condition"] = {"StringEquals": {"elasticfilesystem:AccessPointArn": points}}
        statements.append(statement)
    if constants.ENABLE_EXECUTE_COMMAND:
        statements.append({"Action": [f"ssmmessages:{verb}" for verb in EXEC_ACTIONS], "Resource": "*"})
    if constants.TASK_S3_BUCKETS:
        buckets = [f"{base}:s3:::{bucket}" for bucket in constants.TASK_S3_BUCKETS]
        statements.append({"Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": buckets})
        objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        statements.append({"Action": objects, "Resource": [f"{bucket}/*" for bucket in buckets]})
    if constants.TASK_DYNAMODB_TABLES:
        tables = [f"{base}:dynamodb:{here}:table/{table}" for table in constants.TASK_DYNAMODB_TABLES]
        resources = [*tables, *(f"{table}/index/*" for table in tables)]
        statements.append({"Action": [f"dynamodb:{verb}" for verb in TABLE_ACTIONS], "Resource": resources})
    if constants.TASK_SQS_QUEUES:
        queues = [f"{base}:sqs:{here}:{queue}" for queue in constants.TASK_SQS_QUEUES]
        statements.append({"Action": [f"sqs:{verb}" for verb in QUEUE_ACTIONS], "Resource": queues})
    return document(*statements) if statements else None


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy that allows these."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}


def create_role(suffix: str, trust: dict[str, Any], managed: tuple[str, ...], inline: dict[str, Any] | None) -> str:
    """A role, its trust, and exactly these policies of ours: each is checked on every run."""
    iam = client("iam")
    role_id = role_name(suffix)
    role = missing(lambda: iam.get_role(RoleName=role_id)["Role"], "NoSuchEntity")
    if role and not ours(role.get("Tags")):
        raise Problem(f"the role {role_id} exists already, and is not of this runbook: choose another CLUSTER_NAME")
    if not role:
        accepted(
            lambda: iam.create_role(
                RoleName=role_id, AssumeRolePolicyDocument=json.dumps(trust), Tags=endpoint_tags(suffix)
            ),
            "EntityAlreadyExists",
        )
        say("created", f"role {role_id}")
    elif role["AssumeRolePolicyDocument"] != trust:
        iam.update_assume_role_policy(RoleName=role_id, PolicyDocument=json.dumps(trust))
        say("updated", f"role {role_id}", "trust policy")
    else:
        say("found", f"role {role_id}")
    attached = {policy["PolicyArn"] for policy in iam.list_attached_role_policies(RoleName=role_id)["AttachedPolicies"]}
    for policy in managed:
        arn = f"arn:{partition()}:iam::aws:policy/{policy}"
        if arn not in attached:
            iam.attach_role_policy(RoleName=role_id, PolicyArn=arn)
            say("updated", f"role {role_id}", f"may what {policy.split('/')[-1]} says")
    put_inline_policy(role_id, inline)
    return f"arn:{partition()}:iam::{account()}:role/{role_id}"


def put_inline_policy(role_id: str, wanted: dict[str, Any] | None) -> None:
    iam = client("iam")
    present = missing(
        lambda: iam.get_role_policy(RoleName=role_id, PolicyName=INLINE_POLICY)["PolicyDocument"], "NoSuchEntity"
    )
    if wanted and present != wanted:
        iam.put_role_policy(RoleName=role_id, PolicyName=INLINE_POLICY, PolicyDocument=json.dumps(wanted))
        say("updated", f"role {role_id}", "may what the settings name")
    elif present and not wanted:
        accepted(lambda: iam.delete_role_policy(RoleName=role_id, PolicyName=INLINE_POLICY), "NoSuchEntity")
        say("updated", f"role {role_id}", "may no longer what the settings named")


def create_instance_profile() -> str:
    """The wrapper in which EC2 hands the role to a host; it takes one role only."""
    iam = client("iam")
    profile_name = role_name("host")
    profile = find_instance_profile()
    if profile and not ours(profile.get("Tags")):
        raise Problem(
            f"the instance profile {profile_name} exists already, and is not of this runbook: choose another CLUSTER_NAME"
        )
    if profile:
        say("found", f"instance profile {profile_name}")
    else:
        accepted(
            lambda: iam.create_instance_profile(InstanceProfileName=profile_name, Tags=endpoint_tags("host")),
            "EntityAlreadyExists",
        )
        say("created", f"instance profile {profile_name}")
    if not profile or not profile["Roles"]:
        insist(
            f"instance profile {profile_name}",
            lambda: accepted(
                lambda: iam.add_role_to_instance_profile(InstanceProfileName=profile_name, RoleName=profile_name),
                "LimitExceeded",
                "EntityAlreadyExists",
            ),
            "NoSuchEntity",
        )
        say("updated", f"instance profile {profile_name}", "has its role")
    return profile_name


def find_instance_profile() -> dict[str, Any] | None:
    found = missing(lambda: client("iam").get_instance_profile(InstanceProfileName=role_name("host")), "NoSuchEntity")
    return found["InstanceProfile"] if found else None


def delete_role(role_id: str) -> None:
    iam = client("iam")
    role = missing(lambda: iam.get_role(RoleName=role_id)["Role"], "NoSuchEntity")
    if not role:
        return say("already gone", f"role {role_id}")
    if not ours(role.get("Tags")):
        return say("kept", f"role {role_id}", "not of this runbook")
    for policy in iam.list_attached_role_policies(RoleName=role_id)["AttachedPolicies"]:
        accepted(lambda: iam.detach_role_policy(RoleName=role_id, PolicyArn=policy["PolicyArn"]), "NoSuchEntity")
    for policy in iam.list_role_policies(RoleName=role_id)["PolicyNames"]:
        accepted(lambda: iam.delete_role_policy(RoleName=role_id, PolicyName=policy), "NoSuchEntity")
    insist(
        f"role {role_id} to be free",
        lambda: accepted(lambda: iam.delete_role(RoleName=role_id), "NoSuchEntity"),
        "DeleteConflict",
    )
    say("deleted", f"role {role_id}")


def left_over() -> list[str]:
    iam = client("iam")
    profile_name = role_name("host")
    profile = missing(
        lambda: iam.get_instance_profile(InstanceProfileName=profile_name)["InstanceProfile"], "NoSuchEntity"
    )
    left = [f"instance profile {profile_name}"] if profile and ours(profile["Tags"]) else []
    return roles_left("host", *TASK_ROLES) + left


def roles_left(*suffixes: str) -> list[str]:
    iam = client("iam")
    names = [role_name(suffix) for suffix in suffixes]
    roles = [missing(lambda: iam.get_role(RoleName=each)["Role"], "NoSuchEntity") for each in names]
    return [f"role {role['RoleName']}" for role in roles if role and ours(role.get("Tags"))]
