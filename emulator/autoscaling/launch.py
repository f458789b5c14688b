"""LaunchInstances: a group's instances at once, in one zone, or the reason, type by type.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/launch-instances-synchronously.html
No group here has a warm pool, with which AWS refuses it. Proven by nothing: that an attempt in vain is told in the group's
activities too, and how AWS words it where MaxSize is in the way.
"""

from __future__ import annotations

from typing import Any

from emulator.autoscaling import groups as engine
from emulator.autoscaling.calls import find_open
from emulator.autoscaling.groups import Group, Item
from emulator.core.rules import SENTENCES, AwsError, Call, on
from emulator.ec2 import templates as ec2_templates
from emulator.ec2.region import find_subnet
from emulator.iam import caller

SENTENCES["asg-016"] = (
    "LaunchInstances answers at once with instances or errors, and raises the desired capacity by what it has launched."
)
#: for so long a token answers what it answered before
TOKEN_SECONDS = 8 * 3600
MOST = 100


def passed(call: Call) -> list[Item]:
    """The role that the instances are given is in the template of the group."""
    group = engine.groups(call.world, call.region).get(call.params["AutoScalingGroupName"])
    spec = engine.launch_template_of(group) if group else {}
    return [ec2_templates.resolve(call.world, call.region, spec)["LaunchTemplateData"]] if spec else []


caller.PASSING["autoscaling", "LaunchInstances"] = passed


@on("autoscaling", "LaunchInstances", rules="asg-016")
def launch_instances(call: Call) -> Item:
    params, world = call.params, call.world
    group = find_open(call, params["AutoScalingGroupName"])
    if answer := before(call, group):
        return answer
    count = int(params["RequestedCapacity"])
    subnet_id = place(group, params)
    check(group, count)
    text = f"a user request launched {count} instances"
    group.cause = f"At {engine.stamp(world)} {text}."
    instances: list[Item] = []
    errors: list[Item] = []
    for _ in range(count):
        if problems := engine.launch_in(world, group, subnet_id, engine.wants_spot(group)):
            errors = [error_of(group, subnet_id, *problem) for problem in problems]
            told = engine.failure_text(group, problems[0][1], is_spot(call, group))
            engine.record_failure(world, group, subnet_id, told)
            break
        group.desired += 1
        collect(instances, list(group.instances.values())[-1])
    if errors and is_spot(call, group):
        for each in errors:
            each["MarketType"] = "Spot"
            if each["ErrorCode"] == "InsufficientInstanceCapacity":
                each["ErrorCode"] = "UnfulfillableCapacity"
    if instances:
        group.failures = 0
    answer = {"AutoScalingGroupName": group.name, "Instances": instances, "Errors": errors}
    if token := params.get("ClientToken"):
        answer["ClientToken"] = token
        group.tokens[token] = (world.now(), dict(params), answer)
    if params.get("RetryStrategy") == "retry-with-group-configuration" and len(errors):
        group.desired += count - sum(len(each["InstanceIds"]) for each in instances)
        engine.wake(world, group, f"{text}, not all of which could be launched at once.")
    return answer


def before(call: Call, group: Group) -> Item | None:
    """What the token answered; with other parameters it is refused."""
    at, asked, answer = group.tokens.get(call.params.get("ClientToken") or "", (0.0, {}, None))
    if answer is None or call.world.now() - at >= TOKEN_SECONDS:
        return None
    if asked != call.params:
        told = "The client token was used before, with other parameters."
        raise AwsError("IdempotentParameterMismatch", told)
    return answer


def place(group: Group, params: Item) -> str:
    """The one subnet; a group in several zones must be told which."""
    subnets, zones = params.get("SubnetIds") or [], params.get("AvailabilityZones") or []
    for name, given in (("SubnetIds", subnets), ("AvailabilityZones", zones)):
        if len(given) > 1:
            raise AwsError("ValidationError", f"Only one value may be specified for {name}.")
    zone_of = {each: str(find_subnet(group.region, each).availability_zone) for each in group.subnet_ids}
    fitting = [
        each for each in group.subnet_ids if each in (subnets or [each]) and zone_of[each] in (zones or zone_of[each])
    ]
    if not subnets and not zones and len(set(zone_of.values())) > 1:
        told = "A group in several Availability Zones needs the zone or the subnet of the launch."
        raise AwsError("ValidationError", told)
    if not fitting:
        raise AwsError("ValidationError", "The subnet or the Availability Zone is not one of the Auto Scaling group's.")
    return fitting[0]


def check(group: Group, count: int) -> None:
    distribution = (group.mixed or {}).get("InstancesDistribution") or {}
    share = distribution.get("OnDemandPercentageAboveBaseCapacity", 100)
    if group.mixed and (0 < share < 100 or (share == 0 and distribution.get("OnDemandBaseCapacity", 0))):
        told = "LaunchInstances does not support a mixed instances policy of both On-Demand and Spot Instances."
        raise AwsError("UnsupportedOperation", told)
    if count > MOST:
        raise AwsError("ValidationError", f"At most {MOST} instances can be launched at once.")
    if group.desired + count > group.max_size:
        told = f"{count} more than desired-size={group.desired} would be above max-size={group.max_size}"
        raise AwsError("ValidationError", f"AutoScalingGroup {group.name}: {told}.")


def is_spot(call: Call, group: Group) -> bool:
    """All of the group's instances are: by its policy, or by its template."""
    if group.mixed:
        return engine.wants_spot(group)
    version = ec2_templates.resolve(call.world, call.region, engine.launch_template_of(group))
    return (version["LaunchTemplateData"].get("InstanceMarketOptions") or {}).get("MarketType") == "spot"


def collect(instances: list[Item], member: engine.Member) -> None:
    """One more, among those of the same type."""
    alike = [each for each in instances if each["InstanceType"] == member.instance_type]
    if alike:
        alike[0]["InstanceIds"].append(member.instance_id)
        return
    made = {
        "InstanceType": member.instance_type,
        "MarketType": "Spot" if member.spot else "OnDemand",
        "SubnetId": member.subnet_id,
        "AvailabilityZone": member.zone,
        "AvailabilityZoneId": member.zone_id,
        "InstanceIds": [member.instance_id],
    }
    instances.append(made)


def error_of(group: Group, subnet_id: str, instance_type: str, problem: AwsError) -> dict[str, Any]:
    subnet = find_subnet(group.region, subnet_id)
    return {
        "InstanceType": instance_type,
        "MarketType": "OnDemand",
        "SubnetId": subnet_id,
        "AvailabilityZone": subnet.availability_zone,
        "AvailabilityZoneId": subnet.availability_zone_id,
        "ErrorCode": problem.code,
        "ErrorMessage": problem.message,
    }
