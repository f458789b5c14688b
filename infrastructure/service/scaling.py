"""How the service's number of tasks follows its load: step scaling on CPU with two alarms, or target tracking.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-auto-scaling.html
"""

from typing import Any

import constants
from aws import accepted, client, endpoint_name, holds, insist
from console import say
from infrastructure import endpoints
from infrastructure.cluster import cluster
from infrastructure.service import service

TARGET = {
    "ServiceNamespace": "ecs",
    "ResourceId": f"service/{constants.CLUSTER_NAME}/{constants.SERVICE_NAME}",
    "ScalableDimension": "ecs:service:DesiredCount",
}
#: policy and alarm -> (change of the count, percent, comparison, minutes)
STEPS = {
    endpoint_name("scale-out"): (1, constants.SCALE_OUT_CPU, "GreaterThanThreshold", 3),
    endpoint_name("scale-in"): (-1, constants.SCALE_IN_CPU, "LessThanThreshold", 10),
}
#: policy -> (metric, percent) of target tracking
TRACKING = {
    endpoint_name("cpu-target"): ("ECSServiceAverageCPUUtilization", constants.SCALE_OUT_CPU),
    endpoint_name("memory-target"): ("ECSServiceAverageMemoryUtilization", constants.SCALE_OUT_MEMORY),
}
#: DESIRED_COUNT=0 is a pause, which scaling must not end
LOWEST = constants.MIN_TASKS if constants.DESIRED_COUNT else 0


def create() -> None:
    """The scalable target, its policies and their alarms; what another SCALING made is taken away."""
    if constants.SCALING == "none":
        return delete()
    scaling = client("application-autoscaling")
    present = find_target()
    if not present or (present["MinCapacity"], present["MaxCapacity"]) != (LOWEST, constants.MAX_TASKS):
        insist(
            "the service to be known to Application Auto Scaling",
            lambda: scaling.register_scalable_target(
                **TARGET, MinCapacity=LOWEST, MaxCapacity=constants.MAX_TASKS, Tags=constants.ENDPOINT_TAGS
            ),
            "ECS service doesn't exist",
            "ConcurrentUpdateException",
        )
        say(
            "updated" if present else "created",
            f"scaling of {constants.SERVICE_NAME}",
            f"{LOWEST} to {constants.MAX_TASKS} tasks",
        )
    wanted = step_policies() if constants.SCALING == "step" else tracking_policies()
    found = {policy["PolicyName"]: policy for policy in policies()}
    for policy in sorted(found.keys() - {each["PolicyName"] for each in wanted}):
        accepted(lambda: scaling.delete_scaling_policy(PolicyName=policy, **TARGET), "ObjectNotFoundException")
        say("deleted", f"scaling policy {policy}")
    if constants.SCALING != "step":
        delete_alarms()
    for each in wanted:
        put_policy(each, found.get(each["PolicyName"]))


def put_policy(wanted: dict[str, Any], present: dict[str, Any] | None) -> None:
    """PutScalingPolicy and PutMetricAlarm replace what has the same name; an alarm is checked on every run."""
    policy = wanted["PolicyName"]
    same = present and all(holds(present.get(key), value) for key, value in wanted.items())
    arn = present["PolicyARN"] if present else ""
    if not same:
        answer = insist(
            f"scaling policy {policy}",
            lambda: client("application-autoscaling").put_scaling_policy(**TARGET, **wanted),
            "ObjectNotFoundException",
            "ConcurrentUpdateException",
        )
        arn = answer["PolicyARN"]
        say("updated" if present else "created", f"scaling policy {policy}")
    if policy in STEPS:
        put_alarm(policy, arn)


def step_policies() -> list[dict[str, Any]]:
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
        {"PolicyName": policy, "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": configuration(change)}
        for policy, (change, *_) in STEPS.items()
    ]


def tracking_policies() -> list[dict[str, Any]]:
    """One for each metric with a target. AWS makes the alarms of target tracking, and takes them away, by itself."""

    def configuration(metric: str, percent: int) -> dict[str, Any]:
        return {
            "TargetValue": float(percent),
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            "ScaleOutCooldown": constants.SCALE_OUT_COOLDOWN,
            "ScaleInCooldown": constants.SCALE_IN_COOLDOWN,
        }

    return [
        {
            "PolicyName": policy,
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": configuration(*target),
        }
        for policy, target in TRACKING.items()
        if target[1]
    ]


def put_alarm(alarm: str, policy_arn: str) -> None:
    _, threshold, comparison, minutes = STEPS[alarm]
    wanted: dict[str, Any] = {
        "AlarmName": alarm,
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
    found = client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    if not found or not holds(found[0], wanted):
        client("cloudwatch").put_metric_alarm(
            **wanted, Tags=[{"Key": key, "Value": value} for key, value in constants.ENDPOINT_TAGS.items()]
        )
        say("updated" if found else "created", f"alarm {alarm}", f"CPU {comparison} {threshold} % for {minutes} min")


def find_target() -> dict[str, Any] | None:
    request = {"ServiceNamespace": "ecs", "ResourceIds": [TARGET["ResourceId"]]}
    found = client("application-autoscaling").describe_scalable_targets(**request)["ScalableTargets"]
    return found[0] if found else None  # one for a service's count


def is_foreign() -> bool:
    """Whether the service of this name is somebody else's, or another endpoint's; then its scaling is too."""
    found = service.find() if cluster.find() else None
    return bool(found and not endpoints.mine(found.get("tags", [])))


def policies() -> list[dict[str, Any]]:
    request = {"ServiceNamespace": "ecs", "ResourceId": TARGET["ResourceId"]}
    found: list[dict[str, Any]] = client("application-autoscaling").describe_scaling_policies(**request)[
        "ScalingPolicies"
    ]
    return found


def delete() -> None:
    """Before the service is scaled to 0: a scalable target would bring it back to MIN_TASKS. Policies go with it."""
    if find_target() and not is_foreign():
        insist(
            f"scaling of {constants.SERVICE_NAME}",
            lambda: accepted(
                lambda: client("application-autoscaling").deregister_scalable_target(**TARGET),
                "ObjectNotFoundException",
            ),
            "ConcurrentUpdateException",
        )
        say("deleted", f"scaling of {constants.SERVICE_NAME}")
    delete_alarms()


def delete_alarms() -> None:
    """Those of the steps; AWS takes away those of target tracking."""
    alarms = our_alarms()
    if alarms:
        client("cloudwatch").delete_alarms(AlarmNames=alarms)
        say("deleted", f"alarms {', '.join(alarms)}")


def our_alarms() -> list[str]:
    found = client("cloudwatch").describe_alarms(AlarmNames=list(STEPS))["MetricAlarms"]
    return [alarm["AlarmName"] for alarm in found]


def left_over() -> list[str]:
    left = [f"scaling of {constants.SERVICE_NAME}"] if find_target() and not is_foreign() else []
    return left + [f"alarm {alarm}" for alarm in our_alarms()]
