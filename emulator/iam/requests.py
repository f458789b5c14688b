"""What a call asks of IAM: its action, the resources, and the keys that conditions look at.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
Where the resource does not follow from the call's own parameters it is "*", as of calls that IAM knows no resource for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from emulator.core import partitions
from emulator.core.faults import ACTION_PREFIXES
from emulator.core.rules import Call, Params
from emulator.core.tags import BEARERS, plain
from emulator.core.world import ACCOUNT
from emulator.iam import roles, s3_requests
from emulator.iam.conditions import several

#: services that know no resource where something is only looked at
UNDIVIDED = ("ec2", "elbv2", "autoscaling", "application-autoscaling", "cloudwatch")
#: EC2's ids -> the kind in an ARN
EC2_KINDS = {
    "vpc": "vpc",
    "subnet": "subnet",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "i": "instance",
    "rtb": "route-table",
    "nat": "natgateway",
    "igw": "internet-gateway",
    "eipalloc": "elastic-ip",
    "lt": "launch-template",
    "eni": "network-interface",
    "vpce": "vpc-endpoint",
    "vol": "volume",
}
EC2_MADE = {
    "AllocateAddress": "elastic-ip",
    "AuthorizeSecurityGroupIngress": "security-group-rule",
    "CreateNatGateway": "natgateway",
}
#: what an instance is started with and from, of which policies may speak one by one
STARTED = ("instance/*", "network-interface/*", "volume/*")
#: what a call makes, as the end of its ARN, where the call itself is about what stands already
MADE = {
    ("acm", "RequestCertificate"): "certificate/*",
    ("codeconnections", "CreateConnection"): "connection/*",
    ("ecs", "RunTask"): "task/{cluster}/*",
    ("efs", "CreateAccessPoint"): "access-point/*",
    ("elbv2", "CreateListener"): "listener/{under}/*",
    ("elbv2", "CreateRule"): "listener-rule/{under}/*",
}
#: service -> parameter -> how the ARN ends after the account; * where the name is not the whole of it
NAMES: dict[str, dict[str, str]] = {
    "iam": {"RoleName": "role/{}", "InstanceProfileName": "instance-profile/{}", "PolicyName": "policy/{}"},
    "ecr": {"repositoryName": "repository/{}", "repositoryNames": "repository/{}"},
    "efs": {"FileSystemId": "file-system/{}", "AccessPointId": "access-point/{}", "CreationToken": "file-system/*"},
    "logs": {"logGroupName": "log-group:{}:log-stream:"},
    "autoscaling": {
        "AutoScalingGroupName": "autoScalingGroup:*:autoScalingGroupName/{}",
        "AutoScalingGroupNames": "autoScalingGroup:*:autoScalingGroupName/{}",
    },
    "application-autoscaling": {"ResourceId": "scalable-target/*"},
    "cloudwatch": {"AlarmName": "alarm:{}", "AlarmNames": "alarm:{}"},
    "ssm": {"Name": "parameter/{}", "Names": "parameter/{}"},
    "secretsmanager": {"Name": "secret:{}-??????"},
    "codebuild": {"name": "project/{}", "projectName": "project/{}", "names": "project/{}"},
    "codepipeline": {"name": "{}", "pipelineName": "{}"},
    "ecs": {
        "clusterName": "cluster/{}",
        "clusters": "cluster/{}",
        "capacityProvider": "capacity-provider/{}",
    },
}
#: parameters whose ARN says what a call is about, beside those that it only uses
ABOUT = re.compile(
    r"(LoadBalancer|Listener|TargetGroup|Rule|Resource|Certificate|Connection)Arns?|resourceArn|ResourceARN|SecretId|KeyId"
)


def action_of(call: Call, request: Any = None) -> str:
    """The action of the call itself, as policies name it."""
    if call.service == "s3":
        return s3_requests.action_of(request)
    return full_action(f"{call.service}:{call.operation}")


def full_action(action: str) -> str:
    """With the service as policies name it, which boto3 may name otherwise."""
    service, _, name = action.partition(":")
    return f"{ACTION_PREFIXES.get(service, service)}:{name}"


# Resources.


def resources_of(call: Call, request: Any = None) -> list[str]:
    """The ARNs that the call is about, each of which must be allowed."""
    if call.service == "s3":
        return [s3_requests.resource_of(request)]
    if call.service in UNDIVIDED and call.operation.startswith("Describe"):
        return ["*"]
    found = SPECIAL[call.service](call) if call.service in SPECIAL else _named(call)
    return list(dict.fromkeys(found)) or ["*"]


def _arn(call: Call, ending: str, service: str = "") -> str:
    service = service or ACTION_PREFIXES.get(call.service, call.service)
    region = "" if service == "iam" else call.region
    return f"arn:{partitions.here()}:{service}:{region}:{call.account}:{ending}"


def _named(call: Call) -> Iterator[str]:
    """By the ARNs and the names in the parameters that say what the call is about."""
    names = NAMES.get(call.service, {})
    for name, value in call.params.items():
        for text in several(value) if name in names or ABOUT.fullmatch(name) else ():
            if not isinstance(text, str):
                continue
            if text.startswith("arn:"):
                yield text
            elif name in names:
                yield _arn(call, names[name].format(text.lstrip("/") if call.service == "ssm" else text))


def made_by(call: Call, arns: list[str]) -> list[str]:
    """Of all that a call is about, what it makes, and tags: the others stand already."""
    ending = MADE.get((call.service, call.operation))
    if ending is None:
        return [arn for arn in arns if arn.endswith("/*")] if call.service == "ec2" else arns
    cluster = str(call.params.get("cluster") or "default").rpartition("/")[2]
    under = arns[0].split("/", 1)[1] if "{under}" in ending else ""
    return [_arn(call, ending.format(cluster=cluster, under=under))]


def started_by(call: Call) -> tuple[list[str], str]:
    """What ec2:RunInstances is asked about for the sake of an Auto Scaling group, and the launch template's ARN."""
    group = call.world.state["autoscaling"].get(call.region, {}).get(call.params.get("AutoScalingGroupName"))
    given = call.params if any(call.params.get(name) for name in ("LaunchTemplate", "MixedInstancesPolicy")) else {}
    plain, mixed = given.get("LaunchTemplate"), given.get("MixedInstancesPolicy")
    if not given and group is not None:
        plain, mixed = group.launch_template, group.mixed
    wanted = plain or (mixed or {}).get("LaunchTemplate", {}).get("LaunchTemplateSpecification") or {}
    template = _template(call, wanted) or _arn(call, "launch-template/*", "ec2")
    subnets = str(call.params.get("VPCZoneIdentifier") or ",".join(group.subnet_ids if group else [])).split(",")
    others = [*STARTED, *(f"subnet/{subnet_id}" for subnet_id in subnets if subnet_id)]
    return [template, *(_arn(call, each, "ec2") for each in others)], template


def anything(call: Call, service: str) -> str:
    """What is done in the caller's name to a resource that his call does not name: of a service, in this Region."""
    return _arn(call, "*", service)


def launched(call: Call) -> str:
    return _arn(call, "instance/*", "ec2")


def tags_of_template(call: Call, arn: str) -> dict[str, str]:
    """The tags that the newest version of a launch template puts on what is started from it: whoever has it started needs
    ec2:CreateTags. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
    """
    held = call.world.state["ec2"].get(call.region)
    template = held.templates.get(arn.rpartition("/")[2]) if held else None
    if template is None:
        return {}
    return tags_in(template["Versions"][template["LatestVersionNumber"]]["LaunchTemplateData"])


def _template(call: Call, named: Params) -> str:
    """The ARN of a launch template, by its id or its name."""
    held = call.world.state["ec2"].get(call.region)
    for template in held.templates.values() if held else ():
        if {named.get("LaunchTemplateId"), named.get("LaunchTemplateName")} & {
            template["LaunchTemplateId"],
            template["LaunchTemplateName"],
        }:
            return _arn(call, f"launch-template/{template['LaunchTemplateId']}", "ec2")
    return ""


def _ec2(call: Call) -> Iterator[str]:
    if call.operation == "CreateRoute":
        yield _arn(call, f"route-table/{call.params['RouteTableId']}")
        return
    if "LaunchTemplateName" in call.params and (found := _template(call, call.params)):
        yield found
    if call.operation == "RunInstances":
        yield from (_arn(call, each) for each in STARTED)
    noun = re.sub(r"(?<!^)(?=[A-Z])", "-", call.operation.removeprefix("Create")).lower()
    made = EC2_MADE.get(call.operation) or (call.operation.startswith("Create") and noun)
    if made in EC2_KINDS.values() and (made != "security-group-rule" or tags_in(call.params)):
        yield _arn(call, f"{made}/*")
    for value in call.params.values():
        for text in several(value):
            match = re.fullmatch(r"([a-z]+)-[0-9a-f]{8,}", text) if isinstance(text, str) else None
            if match and match[1] in EC2_KINDS:
                yield _arn(call, f"{EC2_KINDS[match[1]]}/{text}")


def _ecs(call: Call) -> Iterator[str]:
    """Services and tasks are named in their cluster."""
    given, inner = call.params, {"service": "service", "services": "service", "serviceName": "service"}
    inner |= {"task": "task", "tasks": "task", "containerInstances": "container-instance"}
    cluster = str(given.get("cluster") or "default").rpartition("/")[2]
    found = [
        text if text.startswith("arn:") else _arn(call, f"{kind}/{cluster}/{text}")
        for name, kind in inner.items()
        for text in several(given.get(name))
    ]
    if found:
        yield from found
    elif call.operation in ("CreateCapacityProvider", "UpdateCapacityProvider"):
        yield _arn(call, f"capacity-provider/{given['name']}")
    elif "taskDefinitions" in given:
        for text in given["taskDefinitions"]:
            yield text if text.startswith("arn:") else _arn(call, f"task-definition/{text}")
    elif call.operation in ("RunTask", "RegisterTaskDefinition"):
        family = str(given.get("family") or given.get("taskDefinition", ""))
        yield (
            family
            if family.startswith("arn:")
            else _arn(call, f"task-definition/{family}{'' if ':' in family else ':*'}")
        )
    elif given.get("cluster"):
        yield _arn(call, f"cluster/{cluster}")
    else:
        yield from _named(call)


def _iam(call: Call) -> Iterator[str]:
    """A role has its path in its ARN, and a list of roles is about the path that it lists."""
    if call.operation == "ListRoles":
        yield _arn(call, f"role{call.params.get('PathPrefix', '/')}")
    elif call.operation == "CreateServiceLinkedRole":
        service = call.params["AWSServiceName"]
        yield linked_role_arn(service)
    elif "InstanceProfileName" in call.params:
        profile = roles.find_profile(call.params["InstanceProfileName"])
        path = call.params.get("Path", "/")
        yield profile.arn if profile else _arn(call, f"instance-profile{path}{call.params['InstanceProfileName']}")
    elif "RoleName" in call.params and (role := roles.find_role(call.params["RoleName"])):
        yield role.arn
    elif "PolicyArn" in call.params and "RoleName" not in call.params:
        yield call.params["PolicyArn"]
    else:
        path = call.params.get("Path", "/")
        yield from (text.replace(":role/", f":role{path}") for text in _named(call))


def linked_role_arn(service: str) -> str:
    name = roles.LINKED.get(service, service)
    return f"arn:{partitions.here()}:iam::{ACCOUNT}:role/aws-service-role/{service}/{name}"


def _efs(call: Call) -> Iterator[str]:
    """A mount target is its file system's."""
    held = call.world.state["efs"].get(call.region)
    target = held.targets.get(call.params.get("MountTargetId")) if held else None
    if target is not None:
        yield _arn(call, f"file-system/{target.shown['FileSystemId']}")
    yield from _named(call)


def _elbv2(call: Call) -> Iterator[str]:
    name, kind = call.params.get("Name"), "net" if call.params.get("Type") == "network" else "app"
    if name and call.operation in ("CreateLoadBalancer", "CreateTargetGroup"):
        yield _arn(call, f"loadbalancer/{kind}/{name}/*" if "Balancer" in call.operation else f"targetgroup/{name}/*")
    yield from _named(call)


def _route53(call: Call) -> Iterator[str]:
    for name in ("HostedZoneId", "Id"):
        if name in call.params:
            yield f"arn:{partitions.here()}:route53:::hostedzone/{str(call.params[name]).rpartition('/')[2]}"


def _scheduler(call: Call) -> Iterator[str]:
    name = call.params.get("Name", "*")
    group = "ScheduleGroup" in call.operation
    yield _arn(
        call, f"schedule-group/{name}" if group else f"schedule/{call.params.get('GroupName', 'default')}/{name}"
    )


def _autoscaling(call: Call) -> Iterator[str]:
    """A group has its number in its ARN once it is there; an instance is its group's."""
    groups = call.world.state["autoscaling"].get(call.region, {}).values()
    named = [call.params.get("AutoScalingGroupName"), *(tag.get("ResourceId") for tag in call.params.get("Tags") or [])]
    found = [each.arn for each in groups if each.name in named or call.params.get("InstanceId") in each.instances]
    yield from found or _named(call)


def _scaling(call: Call) -> Iterator[str]:
    """A scalable target that is there has an ARN that does not tell what it is."""
    held = call.world.state["application-autoscaling"].get(call.region)
    given = call.params
    key = (given.get("ServiceNamespace"), given.get("ResourceId"), given.get("ScalableDimension"))
    target = held.targets.get(key) if held else None
    yield from [target["ScalableTargetARN"]] if target else _named(call)


def _codepipeline(call: Call) -> Iterator[str]:
    pipeline = call.params.get("pipeline") or {}
    yield from [_arn(call, pipeline["name"])] if pipeline else _named(call)


SPECIAL = {
    "application-autoscaling": _scaling,
    "autoscaling": _autoscaling,
    "ec2": _ec2,
    "ecs": _ecs,
    "efs": _efs,
    "elbv2": _elbv2,
    "iam": _iam,
    "route53": _route53,
    "scheduler": _scheduler,
    "codepipeline": _codepipeline,
}


# The request context.


def tags_in(params: Params) -> dict[str, str]:
    """The tags that a call puts on something, however it spells them."""
    found: dict[str, str] = {}
    for name in ("Tags", "tags", "TagSpecifications", "TagSpecification"):
        for each in params.get(name) or [] if isinstance(params.get(name), list) else []:
            found |= plain([each]) if "Key" in each or "key" in each else plain(each.get("Tags") or [])
        if isinstance(params.get(name), dict):
            found |= params[name]
    return found


def context_of(call: Call, user: str) -> dict[str, str | list[str]]:
    """What conditions may look at, of any call."""
    tags = tags_in(call.params)
    cluster = call.params.get("cluster")
    return {
        "aws:RequestedRegion": call.region,
        "aws:PrincipalArn": user,
        "aws:PrincipalAccount": call.account,
        "aws:PrincipalType": "User",
        "aws:username": user.rpartition("/")[2],
        "aws:SecureTransport": "true",
        "aws:SourceIp": "203.0.113.7",
        "aws:CurrentTime": call.world.timestamp().isoformat(),
        **{f"aws:RequestTag/{name}": text for name, text in tags.items()},
        **({"aws:TagKeys": list(tags)} if tags else {}),
        **({"ecs:cluster": _arn(call, f"cluster/{cluster.rpartition('/')[2]}")} if isinstance(cluster, str) else {}),
    }


def resource_tags(call: Call, arn: str) -> dict[str, str]:
    """The tags of what stands, under each of the names that conditions have for them."""
    if not arn.startswith("arn:") or arn.endswith("*"):
        return {}
    own, its_name = arn.split(":")[2], arn.rpartition("/")[2]
    tags: Iterable[dict[str, str]] = []
    if own == "iam":
        found = roles.find_profile(arn) if ":instance-profile/" in arn else roles.find_role(arn)
        held = found.tags if found is not None else []
        tags = held.values() if isinstance(held, dict) else held
    elif own == "autoscaling":
        group = call.world.state["autoscaling"].get(call.region, {}).get(its_name)
        tags = group.tags if group is not None else []
    by_arn = (each for bearer in BEARERS for each in bearer(call.world, call.region))
    bare = arn.removesuffix(":log-stream:")
    found_tags = plain(tags) or next((tags for its_arn, tags in by_arn if its_arn == bare), {})
    return {f"{prefix}:ResourceTag/{key}": text for prefix in ("aws", own) for key, text in found_tags.items()}
