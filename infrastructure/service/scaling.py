"""How the service's number of tasks follows its load: step scaling on CPU with two alarms, or target tracking.

An alarm costs about $0.10 a month. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-auto-scaling.html
"""

from typing import Any

import aws
import constants
from aws import Resource, call, client, endpoint_name, endpoint_tags, every, holds, mine, part, spare_foreign, tags_of
from console import say

PART = "scaling"
#: another change of the same target is going on
BUSY = "ConcurrentUpdateException"
NO_OBJECT = "ObjectNotFoundException"
NO_RESOURCE = "ResourceNotFoundException"


def its_target() -> Any:
    return {
        "ServiceNamespace": "ecs",
        "ResourceId": f"{resource_prefix()}{constants.SERVICE_NAME}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }


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


def limits() -> tuple[int, int]:
    """DESIRED_COUNT=0 is a pause, which scaling must not end."""
    return constants.MIN_TASKS if constants.DESIRED_COUNT else 0, constants.MAX_TASKS


# --------------------------------------------------------------------------------------------------------------- looks


@aws.look
def targets() -> list[Any]:
    """The scalable targets of the cluster's services, whoever's they are, with their tags."""
    scaling = client("application-autoscaling")
    pages = scaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace="ecs")
    listed = [each for each in every(pages, "ScalableTargets") if each["ResourceId"].startswith(resource_prefix())]
    tags_for = call(scaling.list_tags_for_resource, gone=NO_RESOURCE)
    found = [(each, tags_for(ResourceARN=each["ScalableTargetARN"])) for each in listed]
    return [{**each, "Tags": answer["Tags"]} for each, answer in found if answer]


@aws.look
def policies() -> dict[str, Any]:
    """Those of the service, by name. They bear no tags: they are their target's."""
    pages = client("application-autoscaling").get_paginator("describe_scaling_policies")
    target = its_target()
    found = every(pages.paginate(ServiceNamespace="ecs", ResourceId=target["ResourceId"]), "ScalingPolicies")
    return {policy["PolicyName"]: policy for policy in found}


@aws.look
def alarms() -> dict[str, Any]:
    """Those of our names, whoever's they are, by name, with their tags."""
    cloudwatch = client("cloudwatch")
    listed = cloudwatch.describe_alarms(AlarmNames=[endpoint_name(each) for each in steps()])["MetricAlarms"]
    tags_for = call(cloudwatch.list_tags_for_resource, gone=NO_RESOURCE)
    found = [(each, tags_for(ResourceARN=each["AlarmArn"])) for each in listed]
    return {each["AlarmName"]: {**each, "Tags": answer["Tags"]} for each, answer in found if answer}


LOOKS = (targets, alarms)


def find() -> Any | None:
    """The service's target, whoever's it is: a service's count has one."""
    return next((each for each in targets() if service_of(each) == constants.SERVICE_NAME), None)


# -------------------------------------------------------------------------------------------------------------- create


def refuse_taken() -> None:
    """Before anything is made: what has our names, and is another's."""
    if constants.SCALING == "none":
        return
    aws.refuse_foreign(f"scaling of {constants.SERVICE_NAME}", find())
    for name, alarm in alarms().items() if constants.SCALING == "step" else ():
        aws.refuse_foreign(f"alarm {name}", alarm)


def create() -> None:
    """The scalable target, its policies and their alarms; what another SCALING made is taken away."""
    if constants.SCALING == "none":
        delete()
        return
    target = register()
    wanted = step_policies() if constants.SCALING == "step" else tracking_policies()
    present = policies()
    for name in sorted(present.keys() - {each["PolicyName"] for each in wanted}):
        delete_scaling_policy = call(
            client("application-autoscaling").delete_scaling_policy, f"scaling policy {name}", of=target, gone=NO_OBJECT
        )
        delete_scaling_policy(PolicyName=name, **its_target())
        say("deleted", f"scaling policy {name}")
    if constants.SCALING != "step":
        delete_alarms()
    arns = {each["PolicyName"]: put_policy(target, each, present.get(each["PolicyName"])) for each in wanted}
    for each in steps() if constants.SCALING == "step" else ():
        put_alarm(each, arns[endpoint_name(each)])


def register() -> Any:
    """The target with its limits. AWS takes tags only when it makes one, and may not list at once what it has made.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
    """
    target, what = find(), f"scaling of {constants.SERVICE_NAME}"
    lowest, highest = limits()
    if target and (target["MinCapacity"], target["MaxCapacity"]) == (lowest, highest):
        return target
    its_tags = {"Tags": tags_of(endpoint_tags(PART))}

    def make() -> Any:
        there = find()
        request = {**its_target(), "MinCapacity": lowest, "MaxCapacity": highest, **({} if there else its_tags)}
        return call(client("application-autoscaling").register_scalable_target, what, of=there or aws.NOTHING)(
            **request
        )

    unknown = ("ECS service doesn't exist", "that you tried to tag already exists")
    call(make, what, busy=(*unknown, BUSY))()
    say("updated" if target else "created", what, f"{lowest} to {highest} tasks")
    return target or its_tags


def put_policy(target: Any, wanted: Any, present: Any | None) -> str:
    """PutScalingPolicy replaces what has the same name. The policy's ARN."""
    if present and holds(present, wanted):
        return str(present["PolicyARN"])
    what = f"scaling policy {wanted['PolicyName']}"
    put_scaling_policy = call(
        client("application-autoscaling").put_scaling_policy, what, of=target, busy=(NO_OBJECT, BUSY)
    )
    made = put_scaling_policy(**its_target(), **wanted)
    say("updated" if present else "created", what)
    return made["PolicyARN"]


def step_policies() -> list[Any]:
    """One task more, one task less."""

    def configuration(change: int) -> dict[str, Any]:
        bound = "MetricIntervalLowerBound" if change > 0 else "MetricIntervalUpperBound"
        return {
            "AdjustmentType": "ChangeInCapacity",
            "Cooldown": constants.SCALE_OUT_COOLDOWN if change > 0 else constants.SCALE_IN_COOLDOWN,
            "MetricAggregationType": "Average",
            "StepAdjustments": [{bound: 0.0, "ScalingAdjustment": change}],
        }

    return [
        {
            "PolicyName": endpoint_name(each),
            "PolicyType": "StepScaling",
            "StepScalingPolicyConfiguration": configuration(change),
        }
        for each, (change, *_) in steps().items()
    ]


def tracking_policies() -> list[Any]:
    """One for each metric with a target. AWS makes the alarms of target tracking, and takes them away, by itself."""

    def configuration(metric: str, percent: int) -> dict[str, Any]:
        return {
            "TargetValue": float(percent),
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            "ScaleOutCooldown": constants.SCALE_OUT_COOLDOWN,
            "ScaleInCooldown": constants.SCALE_IN_COOLDOWN,
        }

    tracking = {
        "cpu-target": ("ECSServiceAverageCPUUtilization", constants.SCALE_OUT_CPU),
        "memory-target": ("ECSServiceAverageMemoryUtilization", constants.SCALE_OUT_MEMORY),
    }
    return [
        {
            "PolicyName": endpoint_name(each),
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": configuration(metric, percent),
        }
        for each, (metric, percent) in tracking.items()
        if percent
    ]


def put_alarm(step: str, policy_arn: str) -> None:
    """PutMetricAlarm replaces what has the same name; an alarm is checked on every run."""
    name, (_, threshold, comparison, minutes) = endpoint_name(step), steps()[step]
    wanted: Any = {
        "AlarmName": name,
        "Namespace": "AWS/ECS",
        "MetricName": "CPUUtilization",
        "Dimensions": [
            {"Name": "ClusterName", "Value": constants.CLUSTER_NAME},
            {"Name": "ServiceName", "Value": constants.SERVICE_NAME},
        ],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": minutes,
        "Threshold": float(threshold),
        "ComparisonOperator": comparison,
        "AlarmActions": [policy_arn],
    }
    present = alarms().get(name)
    if not present or not holds(present, wanted):
        put_metric_alarm = call(client("cloudwatch").put_metric_alarm, f"alarm {name}", of=present or aws.NOTHING)
        put_metric_alarm(**wanted, Tags=endpoint_tags(step))
        say("updated" if present else "created", f"alarm {name}", f"CPU {comparison} {threshold} % for {minutes} min")


# -------------------------------------------------------------------------------------------------------------- delete


def delete() -> None:
    """Before the service is scaled to 0: a scalable target would bring it back to MIN_TASKS. Policies go with it."""
    for target in targets():
        what = f"scaling of {service_of(target)}"
        if mine(target):
            deregister = call(
                client("application-autoscaling").deregister_scalable_target, what, of=target, gone=NO_OBJECT, busy=BUSY
            )
            deregister(**{key: target[key] for key in its_target()})
            say("deleted", what)
        elif service_of(target) == constants.SERVICE_NAME:
            spare_foreign(what, target)
    delete_alarms()


def delete_alarms() -> None:
    """Those of the steps; AWS takes away those of target tracking."""
    own = {name: alarm for name, alarm in alarms().items() if not spare_foreign(f"alarm {name}", alarm)}
    for name, alarm in own.items():
        call(client("cloudwatch").delete_alarms, f"alarm {name}", of=alarm, gone="ResourceNotFound")(AlarmNames=[name])
    if own:
        say("deleted", f"alarms {', '.join(own)}")


def left_over() -> list[Resource]:
    """The endpoint's: the scaling of a former SERVICE_NAME too."""
    of_services = [
        Resource(f"scaling of {service_of(each)}", each["ScalableTargetARN"], tags_of(each), part(each))
        for each in targets()
        if mine(each)
    ]
    return of_services + [
        Resource(f"alarm {name}", alarm["AlarmArn"], tags_of(alarm), part(alarm))
        for name, alarm in alarms().items()
        if mine(alarm)
    ]
