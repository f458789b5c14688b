"""What the caller may do: IAM is asked about every action at once, and EC2 about a few calls as they will be made.

IAM's simulation knows the policies of a user or a role, its permissions boundary, and the organisation's SCPs where they
have no conditions; EC2's DryRun is refused by all that would refuse the call itself.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html,
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
"""

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

import aws
import constants
from aws import Problem, call, caller, client, explain, message, region
from console import say
from infrastructure.cluster import checks, nat_gateways, quotas, roles
from infrastructure.service import images

#: the actions of each page, as they were recorded
TABLE = Path(__file__).parents[2] / "docs" / "permissions.md"
ROW = re.compile(r"^\| `(\w+\.py)` \| (.+) \|$", re.MULTILINE)
#: what is asked about in one call
HUNDRED = 100
#: EC2's words for: it would have been done
WOULD = "DryRunOperation"
SCP, BOUNDARY, DENIED, MISSING = (
    "an SCP of the organisation forbids",
    "the permissions boundary forbids",
    "a policy denies",
    "no policy allows",
)


class Denied(NamedTuple):
    """What may not be done: action -> what forbids it; or why that is not known."""

    actions: dict[str, str]
    unknown: str = ""


# ------------------------------------------------------------------------------------------------------ what is needed


def pages() -> list[str]:
    """Those that a user of these settings runs, from the first to the last."""
    runs = ["run_task.py", "stop_task.py", "describe_task.py"]
    serves = ["create_service.py", "update_service.py", "describe_service.py", "delete_service.py"]
    its_name = ["create_dns_record.py", "delete_dns_record.py"] if constants.HOST_NAMES else []
    work = serves if constants.LISTENER_PROTOCOL else runs
    return ["create_cluster.py", "register_task_definition.py", *work, *its_name, "delete_cluster.py"]


def only_with() -> dict[str, Any]:
    """Actions that these pages need with some settings alone, as a pattern -> whether the settings are so. The first of
    them the pages do without; the next are of parts that have pages of their own."""
    on_hosts, own_network = constants.LAUNCH_TYPE == "EC2", not constants.VPC_ID
    change = "(Create|Delete|Attach|Detach|Modify|Associate|Disassociate|Allocate|Release|Put|Update)"
    hosts = "iam:.*InstanceProfile|ec2:(RunInstances|.*LaunchTemplate.*|DescribeInstance.*)"
    return {
        "(pricing|servicequotas|ce):.*|autoscaling:LaunchInstances|ec2:(CreateFleet|GetSpotPlacementScores)": False,
        "codebuild:.*|s3:ListAllMyBuckets|codeconnections:(?!ListConnections).*": False,
        "scheduler:(?!Get).*": constants.MAX_RUN_HOURS or constants.MAX_CLUSTER_HOURS or constants.STOP_AT,
        "codepipeline:(?!ListPipelines|GetPipeline$).*": False,
        ".*:(Untag.*|DeleteTags)|tag:TagResources": bool(constants.EXTRA_TAGS),
        "acm:(?!ListCertificates).*": constants.LISTENER_PROTOCOL == "HTTPS",
        "elasticloadbalancing:(?!Describe).*": bool(constants.LISTENER_PROTOCOL),
        f"autoscaling:(?!Describe).*|ecs:{change}CapacityProvider|ecs:.*ContainerInstance|{hosts}": on_hosts,
        "(application-autoscaling|cloudwatch):(?!Describe).*": constants.SCALING != "none",
        f"ec2:{change}(Vpc|Subnet|InternetGateway|RouteTable|Route)(Attribute)?": own_network,
        f"ec2:{change}(Address|NatGateway|VpcEndpoints?)": own_network and nat_gateways.gateway_names(),
        "ecr:(?!DescribeRepositories).*": constants.IMAGE_TAG or images.ECR.match(images.parts(constants.IMAGE)[0]),
        "route53:.*": constants.HOST_NAMES or constants.CERTIFICATE_DOMAINS,
        "ssm:(Put|Delete).*": constants.HOST_MONITORING == "enabled",
        "elasticfilesystem:(?!Describe).*": bool(constants.EFS_VOLUMES),
        "iam:(?!PassRole).*": constants.MAKES_ROLES,
    }


def needed() -> list[str]:
    """The actions of these pages, and those that make the service-linked roles; none where their list is not here."""
    rows = dict(ROW.findall(TABLE.read_text())) if TABLE.exists() else {}
    listed = {
        f"{service}:{action}"
        for page in pages()
        for service, actions in (part.split(": ") for part in rows.get(page, "").split("; ") if part)
        for action in actions.split(", ")
    }
    unwanted = [pattern for pattern, wanted in only_with().items() if not wanted]
    return sorted(each for each in listed if not any(re.fullmatch(pattern, each) for pattern in unwanted))


# ---------------------------------------------------------------------------------------------------------- simulation


@aws.look
def denied() -> Denied:
    """Of the needed actions, and of iam:CreateServiceLinkedRole."""
    if not needed():
        return Denied({}, f"the list of actions, {TABLE.name}, is not here")
    found, why = aws.at_best(simulate)
    return Denied(found or {}, why.partition("\n")[0])


def simulate() -> dict[str, str]:
    """Each hundred in a call, all at the same time. What "*" does not allow is asked about once more with our own names:
    a policy may be for these alone."""
    source, actions = principal(), [*needed(), *(["iam:CreateServiceLinkedRole"] if constants.MAKES_ROLES else [])]
    if source.endswith(":root"):
        return {}
    hundreds = [actions[start : start + HUNDRED] for start in range(0, len(actions), HUNDRED)]
    answers = aws.side_by_side(lambda some: ask(source, some), hundreds)
    found = {action: why for answer in answers for action, why in answer.items()}
    by_service: dict[str, list[str]] = defaultdict(list)
    for action, why in found.items():
        if why == MISSING and named(action.partition(":")[0]):
            by_service[action.partition(":")[0]].append(action)
    for answer in aws.side_by_side(lambda service: ask(source, by_service[service], named(service)), by_service):
        found |= answer
    return {action: why for action, why in found.items() if why}


def ask(source: str, actions: list[str], resource: str = "") -> dict[str, str]:
    """Action -> what forbids it; "" where it is allowed: on any resource, or on this one. The context is as of our calls."""
    context: Any = [
        {"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": values}
        for key, kind, values in (
            ("aws:RequestedRegion", "string", [region()]),
            (f"aws:RequestTag/{constants.CLUSTER_TAG}", "string", [constants.CLUSTER_NAME]),
            (f"aws:ResourceTag/{constants.CLUSTER_TAG}", "string", [constants.CLUSTER_NAME]),
            ("aws:TagKeys", "stringList", [*constants.TAGS]),
            ("ec2:CreateAction", "string", ["CreateVpc"]),
            ("iam:PassedToService", "string", [roles.principal("ecs-tasks")]),
            ("iam:AWSServiceName", "string", [roles.principal("ecs")]),
        )
    ]
    pages = client("iam").get_paginator("simulate_principal_policy")
    request: Any = {
        "PolicySourceArn": source,
        "ActionNames": actions,
        **({"ResourceArns": [resource]} if resource else {}),
    }
    told = aws.every(pages.paginate(**request, ContextEntries=context), "EvaluationResults")
    return {each["EvalActionName"]: why_denied(each) for each in told}


def why_denied(result: Any) -> str:
    if result["EvalDecision"] == "allowed":
        return ""
    if not result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True):
        return SCP
    if not result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary", True):
        return BOUNDARY
    return DENIED if result["EvalDecision"] == "explicitDeny" else MISSING


def principal() -> str:
    """The user, or the role that is taken on: a session does not tell the role's path, IAM does."""
    arn = str(caller()["Arn"])
    if ":assumed-role/" not in arn:
        return arn
    return client("iam").get_role(RoleName=arn.split("/")[1])["Role"]["Arn"]


def named(service: str) -> str:
    """One resource of ours, for services whose resources have names; "" for the others."""
    endings = {
        "ecs": f"cluster/{constants.CLUSTER_NAME}",
        "autoscaling": f"autoScalingGroup:*:autoScalingGroupName/{aws.name('hosts')}",
        "logs": f"log-group:{constants.LOG_GROUP}:*",
        "elasticloadbalancing": f"loadbalancer/app/{aws.name('alb')}/*",
        "iam": f"role{constants.ROLE_PATH}{aws.name('host')}-{region()}",
    }
    if service not in endings:
        return ""
    whole = aws.arn(service, endings[service])
    return whole.replace(f":{region()}:", "::", 1) if service == "iam" else whole


def check() -> str:
    """Every action that the scripts need is allowed. Who may not ask IAM that is told so, and goes on."""
    found = denied()
    if found.unknown:
        say("warning", "could not look:", found.unknown)
        return ""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for action, why in found.actions.items():
        if action != "iam:CreateServiceLinkedRole":  # a row of its own, since it may not be needed
            by_reason[why].append(action)
    if by_reason:
        told = "; ".join(f"{why} {', '.join(sorted(actions))}" for why, actions in by_reason.items())
        raise Problem(f"{told}: get these rights, docs/permissions.md has them for each script")
    return f"{len(needed())} actions are allowed"


# ------------------------------------------------------------------------------------------------------------- dry run


def dry_run() -> str:
    """EC2 says of a call whether it would be refused: for want of a right, by an SCP, for the type or the AMI."""
    tried: list[tuple[Callable[..., Any], dict[str, Any]]] = []
    ec2, vpcs = client("ec2"), quotas.every_vpc()
    default = [each["VpcId"] for each in vpcs if each.get("IsDefault")]
    if not constants.VPC_ID:
        tags = aws.tag_specification("vpc", "vpc")
        tried.append((ec2.create_vpc, {"CidrBlock": constants.VPC_CIDR, "TagSpecifications": tags}))
    if vpc_id := constants.VPC_ID or next((each["VpcId"] for each in vpcs), ""):
        group = {"GroupName": aws.name("preflight"), "Description": "never made", "VpcId": vpc_id}
        tried.append(
            (
                ec2.create_security_group,
                {**group, "TagSpecifications": aws.tag_specification("security-group", "hosts")},
            )
        )
    if nat_gateways.gateway_names():
        tags = aws.tag_specification("elastic-ip", "nat-1")
        tried.append((ec2.allocate_address, {"Domain": "vpc", "TagSpecifications": tags}))
    subnets = constants.WORK_SUBNET_IDS[:1]
    if constants.LAUNCH_TYPE == "EC2" and (subnets or default) and (image_id := checks.image().get("ImageId")):
        of_host: dict[str, Any] = {"InstanceType": constants.INSTANCE_TYPE, "ImageId": image_id}
        of_host |= {"SubnetId": subnets[0]} if subnets else {}
        tags = aws.tag_specification("instance", "hosts")
        tried.append((ec2.run_instances, {**of_host, "MinCount": 1, "MaxCount": 1, "TagSpecifications": tags}))
    names = aws.side_by_side(lambda each: try_one(*each), tried)
    return f"EC2 would do {', '.join(names)}" if names else ""


def try_one(method: Callable[..., Any], request: dict[str, Any]) -> str:
    """With DryRun EC2 looks at the call, and does not do it. Its name, as AWS writes it."""
    words = "".join(word.capitalize() for word in method.__name__.split("_"))
    try:
        call(method, there=WOULD)(**request, DryRun=True)
    except ClientError as error:
        by = ", an SCP of the organisation forbids it" if "service control policy" in message(error) else ""
        why = explain(error).partition("\n")[0]  # the rest is long, and encoded
        raise Problem(f"EC2 would refuse {words}: {why}{by}") from error
    return words
