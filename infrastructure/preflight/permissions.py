"""What the caller may do: IAM is asked about every action at once, and EC2 about a few calls as they will be made.

IAM's simulation knows the policies of a user or a role, its permissions boundary, and the organisation's SCPs where they
have no conditions; EC2's DryRun is refused by all that would refuse the call itself.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html,
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

import aws
import constants
from aws import Problem, call, caller, client, explain, message, region
from console import say
from infrastructure.cluster import capacity_reservation, checks, nat_gateways, network, quotas, roles
from infrastructure.preflight import policy
from infrastructure.service import images

#: what is asked about in one call
HUNDRED = 100
#: in so many it is asked again about our own names
CALLS = 5
#: EC2's words for: it would have been done
WOULD = "DryRunOperation"
SCP_WORDS = "service control policy"
#: without these hosts come all the same, only later
AT_ONCE = ("autoscaling:LaunchInstances", "ec2:CreateFleet")
#: how the codes begin with which EC2 refuses a call for what it is, or for whose
REFUSED = ("Unauthorized", "Unsupported", "Invalid", "OptInRequired", "PendingVerification", "Blocked")
SCP, BOUNDARY, DENIED, MISSING = (
    "an SCP of the organisation forbids",
    "the permissions boundary forbids",
    "a policy denies",
    "no policy allows",
)


class Denied(NamedTuple):
    """What may not be done: action -> what forbids it; or why that is not known. And what may be done to ours alone."""

    actions: dict[str, str]
    unknown: str = ""
    to_ours: frozenset[str] = frozenset()


# ------------------------------------------------------------------------------------------------------ what is needed


def pages() -> list[str]:
    """Those that a user of these settings runs, from the first to the last."""
    runs = ["run_task", "stop_task", "describe_task"]
    serves = ["create_service", "update_service", "describe_service", "delete_service"]
    its_name = ["create_dns_record", "delete_dns_record"] if constants.HOST_NAMES else []
    work = serves if constants.LISTENER_PROTOCOL else runs
    return ["create_cluster", "register_task_definition", *work, *its_name, "delete_cluster"]


def only_with() -> dict[str, Any]:
    """Actions that these pages need with some settings alone, as a pattern -> whether the settings are so. The first of
    them the pages do without; the next are of parts that have pages of their own."""
    on_hosts, own_network = constants.LAUNCH_TYPE == "EC2", not constants.VPC_ID
    change = "(Create|Delete|Attach|Detach|Modify|Associate|Disassociate|Allocate|Release|Put|Update)"
    hosts = "iam:.*InstanceProfile|ec2:(RunInstances|CreateFleet|.*LaunchTemplate.*|DescribeInstance.*)"
    return {
        "(pricing|servicequotas|ce):.*|ec2:GetSpotPlacementScores": False,
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
    """The actions of these pages, but those that make the service-linked roles: there is a row of its own for these."""
    listed = {
        action for action, about in policy.table().items() if {*pages()} & policy.pages(about) and "unseen" not in about
    }
    listed -= {"iam:CreateServiceLinkedRole"}
    unwanted = [pattern for pattern, wanted in only_with().items() if not wanted]
    return sorted(each for each in listed if not any(re.fullmatch(pattern, each) for pattern in unwanted))


# ---------------------------------------------------------------------------------------------------------- simulation


@aws.look
def denied() -> Denied:
    """Of the needed actions, and of iam:CreateServiceLinkedRole."""
    found, why = aws.at_best(simulate)
    return found or Denied({}, why)


def simulate() -> Denied:
    """Each hundred in a call, all at the same time. What "*" does not allow is asked about once more with our own names:
    a policy may be for these alone."""
    source, actions = principal(), [*needed(), *(["iam:CreateServiceLinkedRole"] if constants.MAKES_ROLES else [])]
    if source.endswith(":root"):
        return Denied({})
    hundreds = [actions[start : start + HUNDRED] for start in range(0, len(actions), HUNDRED)]
    answers = aws.side_by_side(lambda some: ask(source, some), hundreds)
    found = {action: why for answer in answers for action, why in answer.items()}
    missing = [action for action, why in found.items() if why == MISSING]
    ours = {action: {named(action.partition(":")[0]), *policy.samples(action)} - {""} for action in missing}
    again = [action for action in missing if ours[action]]
    step = -(-len(again) // CALLS) or 1
    parts = [again[start : start + step] for start in range(0, len(again), step)]
    for answer in aws.side_by_side(
        lambda some: ask(source, some, sorted(set().union(*(ours[each] for each in some)))), parts
    ):
        found |= answer
    return Denied(
        {action: why for action, why in found.items() if why},
        to_ours=frozenset(action for action in again if not found[action]),
    )


def ask(source: str, actions: list[str], resources: Sequence[str] = ()) -> dict[str, str]:
    """Action -> what forbids it; "" where it is allowed: on any resource, or on one of these. The context is as of our calls."""
    context: Any = [
        {"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": values}
        for key, kind, values in (
            ("aws:RequestedRegion", "string", [region()]),
            (f"aws:RequestTag/{constants.CLUSTER_TAG}", "string", [constants.CLUSTER_NAME]),
            (f"aws:ResourceTag/{constants.CLUSTER_TAG}", "string", [constants.CLUSTER_NAME]),
            ("aws:TagKeys", "stringList", [*constants.TAGS]),
            *((f"{service}:CreateAction", "string", ["CreateVpc"]) for service in policy.KNOW_CREATIONS),
            ("ecs:cluster", "string", [aws.arn("ecs", f"cluster/{constants.CLUSTER_NAME}")]),
            ("ec2:LaunchTemplate", "string", [aws.arn("ec2", "launch-template/lt-0")]),
            ("iam:PassedToService", "string", [roles.principal("ecs-tasks")]),
            ("iam:AWSServiceName", "string", [roles.principal("ecs")]),
        )
    ]
    pages = client("iam").get_paginator("simulate_principal_policy")
    request: Any = {
        "PolicySourceArn": source,
        "ActionNames": actions,
        **({"ResourceArns": resources} if resources else {}),
    }
    of_all = pages.paginate(**request, ContextEntries=context, PaginationConfig={"PageSize": 1000})
    told = aws.every(of_all, "EvaluationResults")
    found = dict[str, str]()
    for each in told:
        action, why = each["EvalActionName"], why_denied(each)
        found[action] = found.get(action, why) and why
    return found


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
        if action in AT_ONCE:
            say("warning", f"{why} {action}:", "managed scaling brings the hosts, about a minute later")
        elif action != "iam:CreateServiceLinkedRole":  # a row of its own, since it may not be needed
            by_reason[why].append(action)
    if by_reason:
        told = "; ".join(f"{why} {', '.join(sorted(actions))}" for why, actions in by_reason.items())
        raise Problem(f"{told}: get these rights, show_policy.py has them as policies")
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
    if vpc_id := constants.VPC_ID or next((each["VpcId"] for each in vpcs if aws.ours(each)), ""):
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
    if constants.LAUNCH_TYPE == "EC2" and (constants.VPC_ID or default):
        tried += [(ec2.run_instances, request) for request in of_hosts()]
    names = dict.fromkeys(filter(None, aws.side_by_side(lambda each: try_one(*each), tried)))
    return f"EC2 would do {', '.join(names)}" if names else ""


def of_hosts() -> list[dict[str, Any]]:
    """A host of each of our types, on each of the terms on which it may come; in a zone of ours that offers it."""
    image_id, tags = checks.image().get("ImageId"), aws.tag_specification("instance", "hosts")
    block = [(constants.INSTANCE_TYPE, capacity_reservation.BLOCK)] if capacity_reservation.is_block() else []
    found, reserved = list[dict[str, Any]](), capacity_reservation.reservation().get("AvailabilityZone")
    for kind, market in [*checks.launches(), *block] if image_id else ():
        of_host = {"InstanceType": kind, "ImageId": image_id, "MinCount": 1, "MaxCount": 1, "TagSpecifications": tags}
        if market != "on-demand":
            of_host["InstanceMarketOptions"] = {"MarketType": market}
        if reserved:
            target = {"CapacityReservationId": constants.CAPACITY_RESERVATION}
            of_host["CapacityReservationSpecification"] = {"CapacityReservationTarget": target}
        zones = [reserved] if reserved else [zone for zone, kinds in checks.offers().items() if kind in kinds]
        subnets = [each["SubnetId"] for each in network.named_subnets() if each["AvailabilityZone"] in zones]
        if subnets:
            of_host["SubnetId"] = subnets[0]
        elif reserved:
            of_host["Placement"] = {"AvailabilityZone": reserved}
        if subnets or not constants.VPC_ID:  # else the row of the zones tells why
            found.append(of_host)
    return found


def try_one(method: Callable[..., Any], request: dict[str, Any]) -> str:
    """With DryRun EC2 looks at the call, and does not do it. Its name, as AWS writes it; of a host, of which type too."""
    words = "".join(word.capitalize() for word in method.__name__.split("_"))
    if "InstanceType" in request and len(of_hosts()) > 1:
        market = request.get("InstanceMarketOptions", {}).get("MarketType", "on-demand")
        words = f"{words} of {request['InstanceType']} ({market})"
    try:
        call(method, there=WOULD)(**request, DryRun=True)
    except ClientError as error:
        if not aws.code(error).startswith(REFUSED):  # it was too busy, say: the row tells that it could not look
            raise
        if only_from_templates(words, error):
            return ""
        by = ", an SCP of the organisation forbids it" if SCP_WORDS in message(error) else ""
        why = explain(error).partition("\n")[0]  # the rest is long, and encoded
        raise Problem(f"EC2 would refuse {words}: {why}{by}") from error
    return words


def only_from_templates(operation: str, error: ClientError) -> bool:
    """Who may start instances from our launch templates alone, as with show_policy.py, may not try it without one."""
    refused = operation == "RunInstances" and aws.code(error) == "UnauthorizedOperation"
    return refused and SCP_WORDS not in message(error) and "ec2:RunInstances" in denied().to_ours
