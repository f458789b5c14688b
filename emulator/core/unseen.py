"""What has just been made is not known everywhere at once: eventual consistency, for as long as an account's setting says.

For Settings.unseen_seconds after a create call its thing is not found by any later call that names it, and no list shows
it. That the name is taken is known at once: the same create again answers as always, and so do client tokens. What the
emulator hides for some seconds in any account stands in ec2/region.py and elsewhere, and goes on beside this.
https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jmespath  # type: ignore[import-untyped]
from moto.core.utils import get_service_model

from emulator.core import rules
from emulator.core.rules import AwsError, Call, Params
from emulator.core.world import World

rules.held("ec2-002 ec2-003 ecs-002 ecs-059", "core.unseen: settings.unseen_seconds, for whatever is created")


@dataclass(frozen=True)
class Kind:
    """One kind of thing, and how it is told of."""

    service: str
    made_by: str
    noun: str  # <noun>NotFound: what it is called in error codes
    answer: str  # where its ids, ARNs and name are in the answer; `given` are the parameters
    key: str  # under which lists show it
    names: tuple[str, ...]  # the parameters in which its name stands, or several; ids and ARNs are known in all

    @property
    def nouns(self) -> str:
        return re.sub("([^aeiou])y$", r"\1ie", self.noun) + ("es" if self.noun.endswith("s") else "s")

    def listed_by(self, operation: str) -> bool:
        return operation in (f"Describe{self.nouns}", f"List{self.nouns}", f"BatchGet{self.nouns}")


def _kinds() -> Iterator[Kind]:
    for row in TABLE.strip().splitlines():
        service, made_by, noun, answer, key, names = [*row.split(), ""][:6]
        yield Kind(service, made_by, noun, answer, key, tuple(names.split(",")))


TABLE = """
ec2 CreateVpc Vpc Vpc.VpcId VpcId
ec2 CreateSubnet Subnet Subnet.SubnetId SubnetId
ec2 CreateInternetGateway InternetGateway InternetGateway.InternetGatewayId InternetGatewayId
ec2 CreateRouteTable RouteTable RouteTable.RouteTableId RouteTableId
ec2 CreateSecurityGroup SecurityGroup GroupId GroupId
ec2 AllocateAddress Address AllocationId AllocationId
ec2 CreateNatGateway NatGateway NatGateway.NatGatewayId NatGatewayId
ec2 CreateVpcEndpoint VpcEndpoint VpcEndpoint.VpcEndpointId VpcEndpointId
ec2 CreateNetworkInterface NetworkInterface NetworkInterface.NetworkInterfaceId NetworkInterfaceId
ec2 CreateLaunchTemplate LaunchTemplate LaunchTemplate.[LaunchTemplateId,LaunchTemplateName] \
  LaunchTemplateId LaunchTemplateName
ec2 RunInstances Instance Instances[].InstanceId InstanceId
iam CreateRole Role Role.RoleName RoleName RoleName
iam CreateInstanceProfile InstanceProfile InstanceProfile.InstanceProfileName InstanceProfileName InstanceProfileName
iam CreatePolicy Policy Policy.Arn Arn
ecs CreateCluster Cluster cluster.[clusterArn,clusterName] clusterArn cluster,clusterName
ecs CreateService Service service.[serviceArn,serviceName] serviceArn service,serviceName
ecs CreateCapacityProvider CapacityProvider capacityProvider.[capacityProviderArn,name] \
  capacityProviderArn capacityProvider,name
ecs RunTask Task tasks[].taskArn taskArn
efs CreateFileSystem FileSystem FileSystemId FileSystemId
efs CreateMountTarget MountTarget MountTargetId MountTargetId
efs CreateAccessPoint AccessPoint [AccessPointId,AccessPointArn] AccessPointId
elbv2 CreateLoadBalancer LoadBalancer LoadBalancers[].[LoadBalancerArn,LoadBalancerName][] LoadBalancerArn Names
elbv2 CreateTargetGroup TargetGroup TargetGroups[].[TargetGroupArn,TargetGroupName][] TargetGroupArn Names
elbv2 CreateListener Listener Listeners[].ListenerArn ListenerArn
elbv2 CreateRule Rule Rules[].RuleArn RuleArn
autoscaling CreateAutoScalingGroup AutoScalingGroup given.AutoScalingGroupName \
  AutoScalingGroupName AutoScalingGroupName
logs CreateLogGroup LogGroup given.logGroupName logGroupName logGroupName
ecr CreateRepository Repository repository.[repositoryArn,repositoryName] repositoryArn repositoryName
acm RequestCertificate Certificate CertificateArn CertificateArn
codebuild CreateProject Project project.[arn,name] arn projectName,names
codepipeline CreatePipeline Pipeline pipeline.name name pipelineName,name
codeconnections CreateConnection Connection ConnectionArn ConnectionArn
scheduler CreateSchedule Schedule given.Name Name Name
scheduler CreateScheduleGroup ScheduleGroup given.Name Name Name,GroupName
"""
KINDS = {(kind.service, kind.made_by): kind for kind in _kinds()}
#: parameters that many things are named in: meant is what the operation is called after
COMMON = ("Names", "names", "Name", "name")
#: service -> those whose things it looks for when a call of its own names them; others take them as they are given
LOOKS_FOR = {
    "elbv2": ("ec2", "acm"),
    "efs": ("ec2",),
    "autoscaling": ("ec2", "elbv2"),
    "ecs": ("ec2", "elbv2", "autoscaling"),
}
#: what is not among the things that a call names
ASIDE = ("Filters", "Filter", "filters", "Tags", "tags", "TagSpecifications", "LaunchTemplateData", "ClientToken")
#: service and noun, or service alone -> code and message, where botocore's model of the operation names no error for it
ERRORS = {
    "autoscaling LaunchTemplate": (
        "ValidationError",
        "You must use a valid fully-formed launch template. The specified launch template, {}, does not exist.",
    ),
    "autoscaling AutoScalingGroup": (
        "ValidationError",
        "AutoScalingGroup name not found - AutoScalingGroup: {} not found",
    ),
    "autoscaling Subnet": ("ValidationError", "The subnet ID '{}' does not exist"),
    "autoscaling": ("ValidationError", "{} does not exist"),
    "elbv2 SecurityGroup": ("InvalidSecurityGroup", "The security group '{}' does not exist"),
    "elbv2 Vpc": ("ValidationError", "The VPC ID '{}' is not found"),
    "elbv2": ("ValidationError", "'{}' is not found"),
    "ecs CapacityProvider": (
        "InvalidParameterException",
        "The specified capacity provider '{}' is not in an ACTIVE state. Specify a valid capacity provider and try again.",
    ),
    "ecs AutoScalingGroup": (
        "ClientException",
        "The specified Auto Scaling group ARN is invalid: the Auto Scaling group cannot be found. Specify a valid Auto "
        "Scaling group ARN and try again.",
    ),
    "ecs TargetGroup": ("InvalidParameterException", "The specified target group does not exist. (targetGroupArn {})"),
    "ecs": ("InvalidParameterException", "{} does not exist"),
    "codebuild": ("ResourceNotFoundException", "{} does not exist"),
}
#: a service that words its errors itself, given the operation, the kind's noun, and the id or name (EC2: they are in no model)
WORDED: dict[str, Callable[[str, str, str], AwsError]] = {}
GENERAL = re.compile("NoSuchEntity|ResourceNotFound|ObjectNotFound")
EVERYWHERE = re.compile(r"arn:.*|[a-z]+-[0-9a-f]{8,17}")


@dataclass
class Fresh:
    kind: Kind
    region: str
    until: float


def pass_on(call: Call) -> Params:
    """The answer to a call, in which nothing is known yet of what has just been made."""
    given, waiting = call.params, _waiting(call)
    for text, fresh in waiting:
        if not (call.reads and fresh.kind.listed_by(call.operation) and not _refuses(call, fresh.kind)):
            raise _not_found(call, fresh.kind, text)
    answer = call.proceed()
    if call.reads and call.world.settings.unseen_seconds:
        answer = _unlisted(call, answer, bool(waiting))
    elif call.operation.startswith("Delete"):
        _forget(call, given)
    if kind := KINDS.get((call.service, call.operation)):
        _remember(call, kind, {**answer, "given": given})
    return answer


def _fresh(world: World) -> dict[str, list[Fresh]]:
    state: dict[str, list[Fresh]] = world.state["unseen"]
    return state


def _remember(call: Call, kind: Kind, answer: Params) -> None:
    """Made now, unless it had been made before and the call has only answered with it."""
    found = jmespath.search(kind.answer, answer)
    until = call.world.now() + call.world.clock.delay(call.world.settings.unseen_seconds)
    for text in filter(None, found if isinstance(found, list) else [found]):
        known = _fresh(call.world).setdefault(text, [])
        if not any(one.kind is kind and one.region == call.region for one in known):
            known.append(Fresh(kind, call.region, until))


def _forget(call: Call, given: Params) -> None:
    """What is deleted may be made again under its name."""
    for _, text in _texts(given):
        known = _fresh(call.world).get(text, [])
        known[:] = [one for one in known if call.operation != f"Delete{one.kind.noun}"]


def _waiting(call: Call) -> list[tuple[str, Fresh]]:
    """What a call names and can't be seen yet."""
    if not call.world.settings.unseen_seconds:
        return []
    return [
        (text, one)
        for key, text in _texts(call.params)
        for one in _fresh(call.world).get(text, ())
        if one.until > call.world.now() and one.region == call.region and _means(call, one.kind, key, text)
    ]


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in the parameters, with the name of the parameter; subnets of an Auto Scaling group stand in one text."""
    if isinstance(value, str):
        yield from ((key, one) for one in value.split(","))
    for one in value if isinstance(value, list) else ():
        yield from _texts(one, key)
    for name, one in value.items() if isinstance(value, dict) else ():
        if name not in ASIDE:
            yield from _texts(one, name)


def _means(call: Call, kind: Kind, key: str, text: str) -> bool:
    """Is it this thing that a parameter names, and does the service look for it?"""
    if call.service != kind.service and kind.service not in LOOKS_FOR.get(call.service, ()):
        return False
    if EVERYWHERE.fullmatch(text):
        return True
    if (call.service, call.operation) == (kind.service, kind.made_by) or not {key, key[:-1]} & {*kind.names}:
        return False
    return key not in COMMON or call.operation.endswith((kind.noun, kind.nouns))


def _unlisted(call: Call, answer: Params, named: bool) -> Params:
    """The answer without what can't be seen yet; where ECS tells what it misses, it tells that."""
    now = call.world.now()
    left_out: list[str] = []
    for kind in {fresh.kind for known in _fresh(call.world).values() for fresh in known}:
        if kind.service != call.service or not kind.listed_by(call.operation):
            continue
        hidden = {
            text
            for text, known in _fresh(call.world).items()
            if any(one.kind is kind and one.until > now and one.region == call.region for one in known)
        }
        answer = _without(answer, kind.key, hidden, left_out)
    if named and "failures" in answer:
        answer["failures"] = [*answer["failures"], *({"arn": arn, "reason": "MISSING"} for arn in left_out)]
    return answer


def _without(value: Any, key: str, hidden: set[str], left_out: list[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(one, key, hidden, left_out) for name, one in value.items()}
    if not isinstance(value, list):
        return value
    kept = []
    for one in value:
        its = one.get(key) if isinstance(one, dict) else one
        if isinstance(its, str) and its in hidden:
            left_out.append(its)
        else:
            kept.append(_without(one, key, hidden, left_out))
    return kept


@functools.cache
def _modelled(service: str, operation: str, noun: str, own: bool) -> tuple[str, int] | None:
    """The code and HTTP status of the operation's error for a thing that is not there."""
    for shape in get_service_model(service).operation_model(operation).error_shapes:
        told = shape.metadata.get("error", {})
        code = told.get("code") or shape.name
        if code.startswith(f"{noun}NotFound") or (own and GENERAL.match(code)):
            return code, int(told.get("httpStatusCode") or 400)
    return None


def _refuses(call: Call, kind: Kind) -> bool:
    """Has the service an error for this, so that even a read of it fails?"""
    own = call.service == kind.service
    return call.service in WORDED or bool(_modelled(call.service, call.operation, kind.noun, own))


def _not_found(call: Call, kind: Kind, text: str) -> AwsError:
    if call.service in WORDED:
        return WORDED[call.service](call.operation, kind.noun, text)
    if found := _modelled(call.service, call.operation, kind.noun, call.service == kind.service):
        words = re.sub("(?<=[a-z])(?=[A-Z])", " ", kind.noun).lower()
        return AwsError(found[0], f"The {words} {text} cannot be found.", found[1])
    code, message = ERRORS.get(f"{call.service} {kind.noun}") or ERRORS.get(call.service) or DEFAULT
    return AwsError(code, message.format(text))


DEFAULT = ("ValidationException", "{} does not exist")
