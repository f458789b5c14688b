"""How the service's number of tasks follows its load: steps or target tracking on its CPU, or on its requests.

With SCALING=requests and MIN_TASKS=0 it goes to no task at all, and a request wakes it: that one, and those of the next
minutes, get 503. An alarm costs by the month.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-auto-scaling.html
"""

from collections.abc import Iterable
from typing import Any

import aws
import constants
from aws import (
    Problem,
    Resource,
    call,
    client,
    endpoint_name,
    endpoint_tags,
    every,
    holds,
    mine,
    ours,
    resource,
    spare_foreign,
)
from console import say
from infrastructure.cluster import load_balancer
from infrastructure.service import listener_rule

PART = "scaling"
#: another change of the same target is going on
BUSY = "ConcurrentUpdateException"
NO_OBJECT = "ObjectNotFoundException"
NO_RESOURCE = "ResourceNotFoundException"
#: what our alarms, and the policies that they invoke, are to us; AWS makes those of target tracking
ALARMS = ("scale-out", "scale-in", "idle", "wake")


def its_target() -> Any:
    its_id = f"{resource_prefix()}{constants.SERVICE_NAME}"
    return {"ServiceNamespace": "ecs", "ResourceId": its_id, "ScalableDimension": "ecs:service:DesiredCount"}


def resource_prefix() -> str:
    return f"service/{constants.CLUSTER_NAME}/"


def service_of(target: Any) -> str:
    return str(target["ResourceId"].removeprefix(resource_prefix()))


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


def wakes() -> bool:
    """Whether a request starts the first task, so that there may be none; it does not end a pause."""
    suspended = (find() or {}).get("SuspendedState", {}).get("DynamicScalingOutSuspended")
    return endpoint_name("wake") in policies() and not suspended


@aws.look
def alarms() -> dict[str, Any]:
    """Those of our names, whoever's they are, by name, with their tags."""
    cloudwatch = client("cloudwatch")
    listed = cloudwatch.describe_alarms(AlarmNames=[endpoint_name(each) for each in ALARMS])["MetricAlarms"]
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
    """Before anything is made: what has our names, and is another's; and requests that are not told apart."""
    if constants.SCALING == "none":
        return
    aws.refuse_foreign(f"scaling of {constants.SERVICE_NAME}", find())
    for name in map(endpoint_name, steps()):
        aws.refuse_foreign(f"alarm {name}", alarms().get(name))
    others = [rule for rule in load_balancer.rules() if not mine(rule)] if "wake" in steps() else []
    if others:
        there = f"the load balancer has a rule to {', '.join(map(listener_rule.leads_to, others))} too"
        raise Problem(f"MIN_TASKS=0, but {there}, whose requests would wake {constants.SERVICE_NAME}: use MIN_TASKS=1")


def loosen() -> None:
    """Before the service's count changes: takes away what another SCALING made, and what would bring a lower count back.

    So no end in between lets a GPU start again. A floor that rises comes after the count, with `create`: the task that
    it asks for is then of the new revision.
    """
    if constants.SCALING == "none":
        delete()
        return
    if (target := find()) and (target["MinCapacity"] > lowest() or paused()):
        register()
    scaling, wanted = client("application-autoscaling"), wanted_policies().keys()
    for name in sorted(policies().keys() - wanted) if target else ():
        delete_policy = call(scaling.delete_scaling_policy, f"scaling policy {name}", of=target, gone=NO_OBJECT)
        delete_policy(PolicyName=name, **its_target())
        say("deleted", f"scaling policy {name}")
    delete_alarms(kept=wanted)


def paused() -> bool:
    """DESIRED_COUNT=0: until there is a count again. An alarm that has seen load, or none, must not end it."""
    return not constants.DESIRED_COUNT


def lowest() -> int:
    return 0 if paused() else constants.MIN_TASKS


def create() -> None:
    """The scalable target, its policies and their alarms; that of a former SERVICE_NAME is taken away. See `loosen`."""
    if constants.SCALING == "none":
        return
    for each in [each for each in targets() if mine(each) and service_of(each) != constants.SERVICE_NAME]:
        deregister(each)
    target, wanted, present = register(), wanted_policies(), policies()
    arns = {name: put_policy(target, each, present.get(name)) for name, each in wanted.items()}
    stood = alarms() if steps() else {}
    for part, (_, alarm) in steps().items():
        name = endpoint_name(part)
        put_alarm(part, {"AlarmName": name, **alarm, "AlarmActions": [arns[name]]}, stood.get(name))


def register() -> Any:
    """The target with its limits. AWS takes tags only when it makes one, and may not list at once what it has made.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
    """
    target, what = find(), f"scaling of {constants.SERVICE_NAME}"
    suspended = {"DynamicScalingInSuspended": paused(), "DynamicScalingOutSuspended": paused()}
    limits = {"MinCapacity": lowest(), "MaxCapacity": constants.MAX_TASKS, "SuspendedState": suspended}
    if target and holds(target, limits):
        return target
    its_tags = {"Tags": aws.tags_of(endpoint_tags(PART))}

    def make() -> Any:
        there, scaling = find(), client("application-autoscaling")
        request = {**its_target(), **limits, **({} if there else its_tags)}
        return call(scaling.register_scalable_target, what, of=there or aws.NOTHING)(**request)

    unknown = ("ECS service doesn't exist", "that you tried to tag already exists")
    call(make, what, busy=(*unknown, BUSY))()
    told = f"{lowest()} to {constants.MAX_TASKS} tasks{', suspended' if paused() else ''}"
    say("updated" if target else "created", what, told)
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
    """By name: those that alarms of ours invoke, and one for each metric with a target."""
    found = {part: ("StepScaling", configuration) for part, (configuration, _) in steps().items()}
    found |= {part: ("TargetTrackingScaling", configuration) for part, configuration in tracking().items()}
    return {
        endpoint_name(part): {
            "PolicyName": endpoint_name(part),
            "PolicyType": kind,
            f"{kind}PolicyConfiguration": configuration,
        }
        for part, (kind, configuration) in found.items()
    }


def steps() -> dict[str, tuple[Any, Any]]:
    """What policy and alarm are to us -> what the policy does, and the alarm that invokes it."""
    if constants.SCALING == "step":
        high, low = constants.SCALE_OUT_CPU, constants.SCALE_IN_CPU
        return {
            "scale-out": (step(1), on_cpu("GreaterThanThreshold", high, minutes=3)),
            "scale-in": (step(-1), on_cpu("LessThanThreshold", low, minutes=10)),
        }
    if constants.SCALING != "requests":
        return {}
    waking = {} if constants.MIN_TASKS else {"wake": (step(1), refused_request())}
    return {"idle": (to_floor(), no_request()), **waking}


def step(change: int) -> dict[str, Any]:
    bound = "MetricIntervalLowerBound" if change > 0 else "MetricIntervalUpperBound"
    return {
        "AdjustmentType": "ChangeInCapacity",
        "Cooldown": constants.SCALE_OUT_COOLDOWN if change > 0 else constants.SCALE_IN_COOLDOWN,
        "MetricAggregationType": "Average",
        "StepAdjustments": [{bound: 0.0, "ScalingAdjustment": change}],
    }


def to_floor() -> dict[str, Any]:
    """Target tracking can't: without requests its metric is missing. https://github.com/aws/copilot-cli/issues/5854"""
    to = [{"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": constants.MIN_TASKS}]
    return {**step(-1), "AdjustmentType": "ExactCapacity", "StepAdjustments": to}


def tracking() -> dict[str, dict[str, Any]]:
    """AWS makes the alarms of target tracking, and takes them away, by itself."""
    cooldowns = {"ScaleOutCooldown": constants.SCALE_OUT_COOLDOWN, "ScaleInCooldown": constants.SCALE_IN_COOLDOWN}
    if constants.SCALING == "requests":
        label = "/".join(balancer_and_group().values())
        metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
        found = {"requests-target": (constants.REQUESTS_PER_TASK, metric)}
    else:
        percents = {"CPU": constants.SCALE_OUT_CPU, "Memory": constants.SCALE_OUT_MEMORY}
        found = {
            f"{each.lower()}-target": (percent, {"PredefinedMetricType": f"ECSServiceAverage{each}Utilization"})
            for each, percent in (percents if constants.SCALING == "target-tracking" else {}).items()
            if percent
        }
    return {
        part: {"TargetValue": float(target), "PredefinedMetricSpecification": metric, **cooldowns}
        for part, (target, metric) in found.items()
    }


def balancer_and_group() -> dict[str, str]:
    """As metrics name them: app/NAME/ID and targetgroup/NAME/ID, the ends of their ARNs."""
    balancer = str(load_balancer.required()["LoadBalancerArn"])
    return {
        "LoadBalancer": balancer.partition("loadbalancer/")[2],
        "TargetGroup": listener_rule.group_arn().rpartition(":")[2],
    }


def on_cpu(comparison: Any, percent: int, minutes: int) -> Any:
    return {
        **cpu(),
        **{"Statistic": "Maximum", "Period": 60, "EvaluationPeriods": minutes},
        **{"Threshold": float(percent), "ComparisonOperator": comparison},
        "AlarmDescription": f"CPU {comparison} {percent} % for {minutes} min",
    }


def no_request() -> Any:
    """Minutes in which a task runs, since its CPU is told, and no request is. A sum is that of the metrics that are there.

    Requests that got 503 count: a task is being started for them.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#metric-math-syntax
    """
    counted = {"running": cpu(), "requests": of_balancer("RequestCount", "LoadBalancer", "TargetGroup")}
    if not constants.MIN_TASKS:
        counted["refused"] = of_balancer("HTTPCode_ELB_503_Count", "LoadBalancer")
    stats = {name: {"Metric": each, "Period": 60, "Stat": "Sum"} for name, each in counted.items()}
    queries = [{"Id": name, "MetricStat": each, "ReturnData": False} for name, each in stats.items()]
    expression = " + ".join(counted).replace("running", "running * 0")
    return {
        "Metrics": [*queries, {"Id": "all", "Expression": expression, "ReturnData": True}],
        **{"EvaluationPeriods": constants.IDLE_MINUTES, "Threshold": 1.0, "ComparisonOperator": "LessThanThreshold"},
        "TreatMissingData": "notBreaching",
        "AlarmDescription": f"no request for {constants.IDLE_MINUTES} min: {constants.MIN_TASKS} tasks",
    }


def refused_request() -> Any:
    """RequestCount is of requests that found a task; this one has no dimension for the target group.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
    """
    return {
        **of_balancer("HTTPCode_ELB_503_Count", "LoadBalancer"),
        **{"Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1},
        **{"Threshold": 1.0, "ComparisonOperator": "GreaterThanOrEqualToThreshold"},
        "TreatMissingData": "notBreaching",
        "AlarmDescription": "a request that gets 503 starts a task: a minute for this alarm, then host and container",
    }


def cpu() -> dict[str, Any]:
    """It is told of services that have a task which runs."""
    of_service = {"ClusterName": constants.CLUSTER_NAME, "ServiceName": constants.SERVICE_NAME}
    return metric("AWS/ECS", "CPUUtilization", of_service)


def of_balancer(name: str, *dimensions: str) -> dict[str, Any]:
    found = balancer_and_group()
    return metric("AWS/ApplicationELB", name, {each: found[each] for each in dimensions})


def metric(namespace: str, name: str, dimensions: dict[str, str]) -> dict[str, Any]:
    listed = [{"Name": key, "Value": text} for key, text in dimensions.items()]
    return {"Namespace": namespace, "MetricName": name, "Dimensions": listed}


def put_alarm(part: str, wanted: Any, present: Any | None) -> None:
    """PutMetricAlarm replaces what has the same name, and takes tags only of a new one; it is compared on every run."""
    name = endpoint_name(part)
    if not present or not holds(present, wanted):
        put_metric_alarm = call(client("cloudwatch").put_metric_alarm, f"alarm {name}", of=present or aws.NOTHING)
        its_tags: Any = {} if present else {"Tags": endpoint_tags(part)}
        put_metric_alarm(**wanted, **its_tags)
        say("updated" if present else "created", f"alarm {name}", wanted["AlarmDescription"])


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


def delete_alarms(kept: Iterable[str] = ()) -> None:
    """Those of other steps; AWS takes away those of target tracking."""
    others = {name: alarm for name, alarm in alarms().items() if name not in kept}
    own = {name: alarm for name, alarm in others.items() if not spare_foreign(f"alarm {name}", alarm)}
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
