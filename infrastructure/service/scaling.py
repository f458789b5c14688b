"""How the service's number of tasks follows its load: step scaling on CPU with two alarms, or target tracking.

An alarm costs about $0.10 a month. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-auto-scaling.html
"""

from typing import Any

import aws
import constants
from aws import Resource, call, client, endpoint_name, endpoint_tags, every, holds, mine, ours, resource, spare_foreign
from console import say

PART = "scaling"
#: another change of the same target is going on
BUSY = "ConcurrentUpdateException"
NO_OBJECT = "ObjectNotFoundException"
NO_RESOURCE = "ResourceNotFoundException"


def its_target() -> Any:
    its_id = f"{resource_prefix()}{constants.SERVICE_NAME}"
    return {"ServiceNamespace": "ecs", "ResourceId": its_id, "ScalableDimension": "ecs:service:DesiredCount"}


def resource_prefix() -> str:
    return f"service/{constants.CLUSTER_NAME}/"


def service_of(target: Any) -> str:
    return str(target["ResourceId"].removeprefix(resource_prefix()))


def steps() -> dict[str, tuple[int, int, Any, int]]:
    """What policy and alarm are to us -> change of the count, percent, comparison, minutes."""
    return {
        "scale-out": (1, constants.SCALE_OUT_CPU, "GreaterThanThreshold", 3),
        "scale-in": (-1, constants.SCALE_IN_CPU, "LessThanThreshold", 10),
    }


@aws.shared_look
def targets() -> list[Any]:
    """The scalable targets of the cluster's services, whoever's they are, with their tags."""
    scaling = client("application-autoscaling")
    pages = scaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace="ecs")
    listed = [each for each in every(pages, "ScalableTargets") if each["ResourceId"].startswith(resource_prefix())]
    return with_tags(listed, "ScalableTargetARN", scaling.list_tags_for_resource)


@aws.look
def policies() -> dict[str, Any]:
    """Those of the service, by name. They bear no tags: they are their target's."""
    pages = client("application-autoscaling").get_paginator("describe_scaling_policies")
    found = pages.paginate(ServiceNamespace="ecs", ResourceId=its_target()["ResourceId"])
    return {policy["PolicyName"]: policy for policy in every(found, "ScalingPolicies")}


@aws.look
def alarms() -> dict[str, Any]:
    """Those of our names, whoever's they are, by name, with their tags."""
    cloudwatch = client("cloudwatch")
    listed = cloudwatch.describe_alarms(AlarmNames=[endpoint_name(each) for each in steps()])["MetricAlarms"]
    found = with_tags(listed, "AlarmArn", cloudwatch.list_tags_for_resource)
    return {alarm["AlarmName"]: alarm for alarm in found}


LOOKS = (targets, alarms)


def with_tags(things: list[Any], key: str, read: Any) -> list[Any]:
    """These services show tags apart, resource by resource. What is gone meanwhile is left out."""
    answers = aws.side_by_side(lambda each: call(read, gone=NO_RESOURCE)(ResourceARN=each[key]), things)
    return [{**each, "Tags": answer["Tags"]} for each, answer in zip(things, answers, strict=True) if answer]


def find() -> Any | None:
    """The service's target, whoever's it is: a service's count has one."""
    return next((each for each in targets() if service_of(each) == constants.SERVICE_NAME), None)


def refuse_taken() -> None:
    """Before anything is made: what has our names, and is another's."""
    if constants.SCALING == "none":
        return
    aws.refuse_foreign(f"scaling of {constants.SERVICE_NAME}", find())
    for name, alarm in alarms().items() if constants.SCALING == "step" else ():
        aws.refuse_foreign(f"alarm {name}", alarm)


def create() -> None:
    """The scalable target, its policies and their alarms; what another SCALING or SERVICE_NAME made is taken away."""
    if constants.SCALING == "none":
        delete()
        return
    for each in [each for each in targets() if mine(each) and service_of(each) != constants.SERVICE_NAME]:
        deregister(each)
    target, scaling = register(), client("application-autoscaling")
    wanted, present = wanted_policies(), policies()
    for name in sorted(present.keys() - wanted.keys()):
        delete_policy = call(scaling.delete_scaling_policy, f"scaling policy {name}", of=target, gone=NO_OBJECT)
        delete_policy(PolicyName=name, **its_target())
        say("deleted", f"scaling policy {name}")
    if constants.SCALING != "step":
        delete_alarms()
    arns = {name: put_policy(target, each, present.get(name)) for name, each in wanted.items()}
    stood = alarms() if constants.SCALING == "step" else {}
    for each in steps() if constants.SCALING == "step" else ():
        put_alarm(each, arns[endpoint_name(each)], stood.get(endpoint_name(each)))


def register() -> Any:
    """The target with its limits. AWS takes tags only when it makes one, and may not list at once what it has made.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
    """
    target, what = find(), f"scaling of {constants.SERVICE_NAME}"
    # DESIRED_COUNT=0 is a pause, which scaling must not end
    lowest, highest = constants.MIN_TASKS if constants.DESIRED_COUNT else 0, constants.MAX_TASKS
    limits = {"MinCapacity": lowest, "MaxCapacity": highest}
    if target and holds(target, limits):
        return target
    its_tags = {"Tags": aws.tags_of(endpoint_tags(PART))}

    def make() -> Any:
        there, scaling = find(), client("application-autoscaling")
        request = {**its_target(), **limits, **({} if there else its_tags)}
        return call(scaling.register_scalable_target, what, of=there or aws.NOTHING)(**request)

    unknown = ("ECS service doesn't exist", "that you tried to tag already exists")
    call(make, what, busy=(*unknown, BUSY))()
    say("updated" if target else "created", what, f"{lowest} to {highest} tasks")
    return target or its_tags


def put_policy(target: Any, wanted: Any, present: Any | None) -> str:
    """PutScalingPolicy replaces what has the same name. The policy's ARN."""
    if present and holds(present, wanted):
        return str(present["PolicyARN"])
    what = f"scaling policy {wanted['PolicyName']}"
    scaling, later = client("application-autoscaling"), (NO_OBJECT, BUSY)
    made = call(scaling.put_scaling_policy, what, of=target, busy=later)(**its_target(), **wanted)
    say("updated" if present else "created", what)
    return made["PolicyARN"]


def wanted_policies() -> dict[str, Any]:
    """By name: one task more and one less; or one for each metric with a target."""
    if constants.SCALING == "step":
        kind, found = "StepScaling", {each: step(change) for each, (change, *_) in steps().items()}
    else:
        kind, found = "TargetTrackingScaling", tracking()
    named = {endpoint_name(each): configuration for each, configuration in found.items()}
    return {
        name: {"PolicyName": name, "PolicyType": kind, f"{kind}PolicyConfiguration": configuration}
        for name, configuration in named.items()
    }


def step(change: int) -> dict[str, Any]:
    bound = "MetricIntervalLowerBound" if change > 0 else "MetricIntervalUpperBound"
    return {
        "AdjustmentType": "ChangeInCapacity",
        "Cooldown": constants.SCALE_OUT_COOLDOWN if change > 0 else constants.SCALE_IN_COOLDOWN,
        "MetricAggregationType": "Average",
        "StepAdjustments": [{bound: 0.0, "ScalingAdjustment": change}],
    }


def tracking() -> dict[str, dict[str, Any]]:
    """AWS makes the alarms of target tracking, and takes them away, by itself."""
    cooldowns = {"ScaleOutCooldown": constants.SCALE_OUT_COOLDOWN, "ScaleInCooldown": constants.SCALE_IN_COOLDOWN}
    targets = {"CPU": constants.SCALE_OUT_CPU, "Memory": constants.SCALE_OUT_MEMORY}
    return {
        f"{metric.lower()}-target": {
            "TargetValue": float(percent),
            "PredefinedMetricSpecification": {"PredefinedMetricType": f"ECSServiceAverage{metric}Utilization"},
            **cooldowns,
        }
        for metric, percent in targets.items()
        if percent
    }


def put_alarm(step: str, policy_arn: str, present: Any) -> None:
    """PutMetricAlarm replaces what has the same name; an alarm is checked on every run."""
    name, (_, threshold, comparison, minutes) = endpoint_name(step), steps()[step]
    of_service = {"ClusterName": constants.CLUSTER_NAME, "ServiceName": constants.SERVICE_NAME}
    wanted: Any = {
        "AlarmName": name,
        "Namespace": "AWS/ECS",
        "MetricName": "CPUUtilization",
        "Dimensions": [{"Name": key, "Value": text} for key, text in of_service.items()],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": minutes,
        "Threshold": float(threshold),
        "ComparisonOperator": comparison,
        "AlarmActions": [policy_arn],
    }
    if not present or not holds(present, wanted):
        put_metric_alarm = call(client("cloudwatch").put_metric_alarm, f"alarm {name}", of=present or aws.NOTHING)
        put_metric_alarm(**wanted, Tags=endpoint_tags(step))
        say("updated" if present else "created", f"alarm {name}", f"CPU {comparison} {threshold} % for {minutes} min")


def delete() -> None:
    """Before the service is scaled to 0: a scalable target would bring it back to MIN_TASKS. Policies go with it."""
    for target in targets():
        if mine(target):
            deregister(target)
        elif service_of(target) == constants.SERVICE_NAME:
            spare_foreign(f"scaling of {service_of(target)}", target)
    delete_alarms()


def deregister(target: Any) -> None:
    what = f"scaling of {service_of(target)}"
    scaling = client("application-autoscaling")
    end = call(scaling.deregister_scalable_target, what, of=target, gone=NO_OBJECT, busy=BUSY)
    end(**{key: target[key] for key in its_target()})
    say("deleted", what)


def delete_alarms() -> None:
    """Those of the steps; AWS takes away those of target tracking."""
    own = {name: alarm for name, alarm in alarms().items() if not spare_foreign(f"alarm {name}", alarm)}
    what, foreign_first = f"alarms {', '.join(own)}", min(own.values(), key=ours, default=None)
    delete_them = call(client("cloudwatch").delete_alarms, what, of=foreign_first, gone="ResourceNotFound")
    if own and not delete_them(AlarmNames=[*own]):  # where one of them is gone AWS deletes none
        for name in own:
            delete_them(AlarmNames=[name])
    if own:
        say("deleted", f"alarms {', '.join(own)}")


def left_over() -> list[Resource]:
    """The endpoint's: the scaling of a former SERVICE_NAME too."""
    found = [(f"scaling of {service_of(each)}", each["ScalableTargetARN"], each) for each in targets()]
    found += [(f"alarm {name}", alarm["AlarmArn"], alarm) for name, alarm in alarms().items()]
    return [resource(*each) for each in found if mine(each[2])]
