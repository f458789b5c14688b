"""Application Auto Scaling for ECS services: targets, policies with their alarms, scheduled actions.

moto asks its own ECS, which the emulator does not use, so all of it is imitated. What a policy does is in policies.py.
https://docs.aws.amazon.com/autoscaling/application/APIReference/Welcome.html
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from emulator.core import partitions, rules
from emulator.core.ask import ask
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.tags import Tags, bearer
from emulator.core.world import World
from emulator.iam import roles as iam_roles

rules.SENTENCES.update(
    {
        "aas-001": "A service just made is not known to RegisterScalableTarget for some seconds, nor a fresh role; a new "
        "target not to PutScalingPolicy.",
        "aas-002": "RegisterScalableTarget makes or changes, and moves the service's desired count into its bounds.",
        "aas-003": "DeregisterScalableTarget deletes the policies and their alarms; a missing target is "
        "ObjectNotFoundException.",
        "aas-004": "RegisterScalableTarget takes tags only when it makes the target: with them, one that exists is refused.",
    }
)

SERVICE_KNOWN, TARGET_KNOWN = 5, 2
DIMENSION = "ecs:service:DesiredCount"
LINKED_ROLE = (
    "aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService"
)
SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
FIELDS = ("ServiceNamespace", "ResourceId", "ScalableDimension")

Key = tuple[str, str, str]


@dataclass
class Region:
    targets: dict[Key, Params] = field(default_factory=dict)
    known: dict[Key, float] = field(default_factory=dict)  # from when on a target is known to other calls
    policies: dict[tuple[Key, str], Params] = field(default_factory=dict)
    actions: dict[tuple[Key, str], Params] = field(default_factory=dict)
    activities: list[Params] = field(default_factory=list)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    scaled_out: dict[Key, tuple[float, int]] = field(default_factory=dict)  # end of the cooldown, tasks that ran before
    scaled_in: dict[Key, float] = field(default_factory=dict)  # end of the cooldown


def region_of(world: World, region: str) -> Region:
    state: dict[str, Region] = world.state["application-autoscaling"]
    return state.setdefault(region, Region())


def _key(call: Call) -> Key:
    return call.params["ServiceNamespace"], call.params["ResourceId"], call.params.get("ScalableDimension", DIMENSION)


def _not_found(call: Call, what: str) -> AwsError:
    namespace, resource, dimension = _key(call)
    return AwsError(
        "ObjectNotFoundException",
        f"No {what} found for service namespace: {namespace}, resource ID: {resource}, scalable dimension: {dimension}",
    )


def _target(call: Call) -> Params:
    """The call's target, for calls that use one: unknown also for a moment after it was made."""
    here, key = region_of(call.world, call.region), _key(call)
    if key not in here.targets or call.world.now() < here.known[key]:
        namespace, resource, dimension = key
        raise AwsError(
            "ObjectNotFoundException",
            f"No scalable target registered for service namespace: {namespace}, resource ID: {resource}, "
            f"scalable dimension: {dimension}",
        )
    return here.targets[key]


def _page(call: Call, items: list[Params], key: str) -> Params:
    start = int(call.params.get("NextToken") or 0)
    end = start + (call.params.get("MaxResults") or 50)
    return {key: items[start:end], **({"NextToken": str(end)} if end < len(items) else {})}


def _of_call(call: Call, items: list[Params], names: str = "", name: str = "") -> list[Params]:
    """Those that a Describe call asks for, by namespace, resource, dimension and name."""
    given = call.params
    found = [one for one in items if all(given.get(key) in (None, one[key]) for key in FIELDS)]
    return [one for one in found if not given.get(names) or one[name] in given[names]]


# --- targets


@on("application-autoscaling", "RegisterScalableTarget", rules="aas-001 aas-002 aas-004")
def register_scalable_target(call: Call) -> Params:
    """https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html"""
    here, given, key = region_of(call.world, call.region), call.params, _key(call)
    _check_target(call, key)
    known = here.targets.get(key)
    if known is not None and given.get("Tags"):
        raise AwsError(
            "ValidationException",
            "The scalable target that you tried to tag already exists. To update tags on an existing scalable target, use "
            "the TagResource API.",
        )
    if known is None and not {"MinCapacity", "MaxCapacity"} <= given.keys():
        raise AwsError("ValidationException", "MinCapacity and MaxCapacity are required for a new scalable target")
    merged: Params = {
        **(known or {}),
        **{name: value for name, value in given.items() if name in ("MinCapacity", "MaxCapacity")},
    }
    if merged["MinCapacity"] > merged["MaxCapacity"]:
        raise AwsError("ValidationException", "Minimum capacity cannot be greater than maximum capacity")
    merged["SuspendedState"] = {
        **dict.fromkeys(SUSPENSIONS, False),
        **(known or {}).get("SuspendedState", {}),
        **(given.get("SuspendedState") or {}),
    }
    if known is None:
        iam_roles.service_linked_role(call.world, "ecs.application-autoscaling.amazonaws.com")
        identifier = uuid.uuid4().hex[:20]
        merged |= {
            **dict(zip(FIELDS, key, strict=True)),
            "RoleARN": given.get("RoleARN") or f"arn:{partitions.here()}:iam::{call.account}:role/{LINKED_ROLE}",
            "CreationTime": call.world.timestamp(),
            "ScalableTargetARN": f"arn:{partitions.here()}:application-autoscaling:{call.region}:{call.account}:"
            f"scalable-target/{identifier}",
        }
        here.known[key] = call.world.now() + call.world.clock.delay(TARGET_KNOWN)
        here.tags[merged["ScalableTargetARN"]] = dict(given.get("Tags") or {})
    here.targets[key] = merged
    _move_inside(call, here, merged)
    return {"ScalableTargetARN": merged["ScalableTargetARN"]}


def _check_target(call: Call, key: Key) -> None:
    namespace, resource, dimension = key
    if namespace != "ecs" or dimension != DIMENSION or resource.count("/") != 2:
        raise AwsError(
            "ValidationException",
            f"Unsupported service namespace, resource type or scalable dimension: {namespace}, {resource}, {dimension}",
        )
    role = call.params.get("RoleARN", "")
    if role and "aws-service-role" not in role and not iam_roles.role_usable(call.world, role):
        raise AwsError("ValidationException", f"Unable to assume IAM role: {role}")
    if service_of(call, resource) is None:
        raise AwsError("ValidationException", f"ECS service doesn't exist: {resource}")


def service_of(call: Call, resource: str) -> Params | None:
    """The ECS service of a resource id, once Application Auto Scaling knows of it."""
    _, cluster, name = resource.split("/")
    try:
        services = ask(call, "ecs", "DescribeServices", cluster=cluster, services=[name])["services"]
    except (AwsError, ClientError):
        return None
    for service in services:
        known = service["createdAt"].timestamp() + call.world.clock.delay(SERVICE_KNOWN) <= call.world.now()
        if service["status"] == "ACTIVE" and known:
            return dict(service)
    return None


def _move_inside(call: Call, here: Region, target: Params) -> None:
    """Move the service's desired count into the bounds of its target."""
    service = service_of(call, target["ResourceId"])
    if service is None:
        return
    now = service["desiredCount"]
    wanted = min(max(now, target["MinCapacity"]), target["MaxCapacity"])
    if wanted == now:
        return
    _, cluster, name = target["ResourceId"].split("/")
    ask(call, "ecs", "UpdateService", cluster=cluster, service=name, desiredCount=wanted)
    bound = "minimum" if wanted > now else "maximum"
    record(call.world, here, target, wanted, f"{bound} capacity was set to {wanted}")


def record(world: World, here: Region, target: Params, wanted: int, cause: str) -> None:
    """A scaling activity, as it is listed."""
    time = world.timestamp()
    activity = {
        "ActivityId": str(uuid.uuid4()),
        **{key: target[key] for key in FIELDS},
        "Description": f"Setting desired count to {wanted}.",
        "Cause": cause,
        "StartTime": time,
        "EndTime": time,
        "StatusCode": "Successful",
        "StatusMessage": f"Successfully set desired count to {wanted}. Change successfully fulfilled by ecs.",
    }
    here.activities.insert(0, activity)


@on("application-autoscaling", "DescribeScalableTargets", rules="aas-001")
def describe_scalable_targets(call: Call) -> Params:
    here = region_of(call.world, call.region)
    known = [one for key, one in here.targets.items() if call.world.now() >= here.known[key]]
    return _page(call, _of_call(call, known, "ResourceIds", "ResourceId"), "ScalableTargets")


@on("application-autoscaling", "DescribeScalingActivities")
def describe_scaling_activities(call: Call) -> Params:
    return _page(call, _of_call(call, region_of(call.world, call.region).activities), "ScalingActivities")


@on("application-autoscaling", "DeregisterScalableTarget", rules="aas-003")
def deregister_scalable_target(call: Call) -> Params:
    here, key = region_of(call.world, call.region), _key(call)
    if key not in here.targets:
        raise _not_found(call, "scalable target")
    for policy_key in [one for one in here.policies if one[0] == key]:
        _drop_alarms(call, here.policies.pop(policy_key))
    for action_key in [one for one in here.actions if one[0] == key]:
        del here.actions[action_key]
    here.tags.pop(here.targets.pop(key)["ScalableTargetARN"], None)
    return {}


# --- policies


@on("application-autoscaling", "PutScalingPolicy", rules="aas-001")
def put_scaling_policy(call: Call) -> Params:
    here, given, key = region_of(call.world, call.region), call.params, _key(call)
    _target(call)
    name, known = given["PolicyName"], here.policies.get((key, given["PolicyName"]))
    _check_metric(call, here, key)
    kind = given.get("PolicyType") or (known or {}).get("PolicyType") or "StepScaling"
    config = given.get(f"{kind}PolicyConfiguration") or given.get("TargetTrackingScalingPolicyConfiguration")
    if config is None and known is None:
        raise AwsError("ValidationException", f"A configuration is required for policies of type {kind}")
    if known:
        _drop_alarms(call, known)
    policy = {
        **(known or {"CreationTime": call.world.timestamp()}),
        **{one: given[one] for one in given if one.endswith("Configuration")},
        **dict(zip(FIELDS, key, strict=True)),
        "PolicyName": name,
        "PolicyType": kind,
        "PolicyARN": (known or {}).get("PolicyARN")
        or f"arn:{partitions.here()}:autoscaling:{call.region}:{call.account}:scalingPolicy:{uuid.uuid4()}:"
        f"resource/ecs/{key[1]}:policyName/{name}",
    }
    policy["Alarms"] = _make_alarms(call, policy) if kind == "TargetTrackingScaling" else []
    here.policies[key, name] = policy
    return {"PolicyARN": policy["PolicyARN"], "Alarms": policy["Alarms"]}


def _specification(policy: Params) -> Params:
    """The metric that a policy of target tracking names; no other kind names one."""
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration") or {}
    return tracking.get("PredefinedMetricSpecification") or tracking.get("CustomizedMetricSpecification") or {}


def _check_metric(call: Call, here: Region, key: Key) -> None:
    """https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PredefinedMetricSpecification.html

    The words of the refusals are our own but for the second's."""
    wanted = _specification(call.params)
    kind, label = wanted.get("PredefinedMetricType"), wanted.get("ResourceLabel", "")
    if bool(label) != (kind == "ALBRequestCountPerTarget"):
        raise AwsError(
            "ValidationException", f"ResourceLabel goes with ALBRequestCountPerTarget, and with it alone: {kind}"
        )
    names = {
        name for (of, name), each in here.policies.items() if of == key and wanted and _specification(each) == wanted
    }
    if names - {call.params["PolicyName"]}:
        raise AwsError(
            "ValidationException",
            "Only one TargetTrackingScaling policy for a given metric specification is allowed.",
        )
    service = service_of(call, key[1]) if label else None
    groups = [balancer["targetGroupArn"] for balancer in service["loadBalancers"]] if service else []
    if label and not any(group.endswith(label.partition("/targetgroup/")[2]) for group in groups):
        raise AwsError("ValidationException", f"The target group of {label} is not attached to the ECS service")


#: namespace, name and statistic of the metrics that are predefined for ECS
METRICS = {
    "ECSServiceAverageCPUUtilization": ("AWS/ECS", "CPUUtilization", "Average"),
    "ECSServiceAverageMemoryUtilization": ("AWS/ECS", "MemoryUtilization", "Average"),
    "ALBRequestCountPerTarget": ("AWS/ApplicationELB", "RequestCountPerTarget", "Sum"),
}


def _metric(policy: Params) -> Params:
    """What the alarms of target tracking look at."""
    wanted = _specification(policy)
    if wanted.get("PredefinedMetricType") not in METRICS:
        named = {key: wanted.get(key) for key in ("Namespace", "MetricName", "Statistic", "Dimensions")}
        return {key: value for key, value in named.items() if value}
    namespace, name, statistic = METRICS[wanted["PredefinedMetricType"]]
    _, cluster, service = policy["ResourceId"].split("/")
    balancer, _, group = wanted.get("ResourceLabel", "").partition("/targetgroup/")
    of_service = {"ClusterName": cluster, "ServiceName": service}
    dimensions = {"TargetGroup": f"targetgroup/{group}", "LoadBalancer": balancer} if group else of_service
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Statistic": statistic,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }


def _make_alarms(call: Call, policy: Params) -> list[Params]:
    """The two alarms that target tracking makes and owns: the high one, then the low one."""
    target = policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
    both = (("AlarmHigh", "GreaterThanThreshold", 3, target), ("AlarmLow", "LessThanThreshold", 15, target * 0.9))
    made = []
    for word, comparison, periods, threshold in both:
        name = f"TargetTracking-{policy['ResourceId']}-{word}-{uuid.uuid4()}"
        ask(
            call,
            "cloudwatch",
            "PutMetricAlarm",
            AlarmName=name,
            AlarmDescription=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy['PolicyARN']}.",
            AlarmActions=[policy["PolicyARN"]],
            **_metric(policy),
            Period=60,
            EvaluationPeriods=periods,
            Threshold=float(threshold),
            ComparisonOperator=comparison,
        )
        arn = f"arn:{partitions.here()}:cloudwatch:{call.region}:{call.account}:alarm:{name}"
        made.append({"AlarmName": name, "AlarmARN": arn})
    return made


def _drop_alarms(call: Call, policy: Params) -> None:
    if names := [alarm["AlarmName"] for alarm in policy["Alarms"]]:
        ask(call, "cloudwatch", "DeleteAlarms", AlarmNames=names)


@on("application-autoscaling", "DescribeScalingPolicies")
def describe_scaling_policies(call: Call) -> Params:
    found = _of_call(call, list(region_of(call.world, call.region).policies.values()), "PolicyNames", "PolicyName")
    return _page(call, found, "ScalingPolicies")


@on("application-autoscaling", "DeleteScalingPolicy", rules="aas-003")
def delete_scaling_policy(call: Call) -> Params:
    policy = region_of(call.world, call.region).policies.pop((_key(call), call.params["PolicyName"]), None)
    if policy is None:
        raise _not_found(call, "scaling policy")
    _drop_alarms(call, policy)
    return {}


# --- scheduled actions: kept, and told, but never run


@on("application-autoscaling", "PutScheduledAction")
def put_scheduled_action(call: Call) -> Params:
    here, given, key = region_of(call.world, call.region), call.params, _key(call)
    _target(call)
    name = given["ScheduledActionName"]
    known = here.actions.get((key, name))
    if known is None and "Schedule" not in given:
        raise AwsError("ValidationException", "Schedule is required for a new scheduled action")
    arn = f"arn:{partitions.here()}:autoscaling:{call.region}:{call.account}:scheduledAction:{uuid.uuid4()}:"
    made = {"CreationTime": call.world.timestamp(), "ScheduledActionARN": f"{arn}scheduledActionName/{name}"}
    here.actions[key, name] = {**(known or made), **given}
    return {}


@on("application-autoscaling", "DescribeScheduledActions")
def describe_scheduled_actions(call: Call) -> Params:
    actions = list(region_of(call.world, call.region).actions.values())
    return _page(call, _of_call(call, actions, "ScheduledActionNames", "ScheduledActionName"), "ScheduledActions")


@on("application-autoscaling", "DeleteScheduledAction")
def delete_scheduled_action(call: Call) -> Params:
    if region_of(call.world, call.region).actions.pop((_key(call), call.params["ScheduledActionName"]), None) is None:
        raise _not_found(call, "scheduled action")
    return {}


# --- tags


@on("application-autoscaling", "TagResource", "UntagResource", "ListTagsForResource")
def tags(call: Call) -> Params:
    arn = call.params["ResourceARN"]
    found = region_of(call.world, call.region).tags.get(arn)
    if found is None:
        raise AwsError("ResourceNotFoundException", f"The resource {arn} was not found")
    found.update(call.params.get("Tags") or {})
    for key in call.params.get("TagKeys") or []:
        found.pop(key, None)
    return {"Tags": found} if call.operation == "ListTagsForResource" else {}


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    if region in world.state["application-autoscaling"]:
        yield from region_of(world, region).tags.items()
