"""What a scaling policy does when its alarm invokes it: steps, and target tracking.

Both begin from the number of tasks that run. One that scales out waits for the cooldown of the last that did, unless it
asks for more; one that scales in waits likewise, and for the end of a deployment.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-auto-scaling.html
"""

from __future__ import annotations

import math
from typing import Any

from botocore.exceptions import ClientError

from emulator.application_autoscaling.scaling import Key, Region, record, region_of, service_of
from emulator.cloudwatch import alarms
from emulator.core import rules
from emulator.core.ask import ask, asking
from emulator.core.rules import AwsError, Call, Params, held
from emulator.core.world import World

rules.SENTENCES["aas-007"] = (
    "A policy starts from the running tasks, stays within the limits and its cooldowns; it never scales in during a "
    "deployment, and target tracking only when all its policies would."
)
held("aas-007", "application_autoscaling.policies")

#: seconds, where a policy says none
COOLDOWN = 300


def run(world: World, region: str, alarm: Any, policy_arn: str, point: float | None) -> None:
    """An alarm that is in ALARM invokes a policy, with its newest data point."""
    here = region_of(world, region)
    found = [(key, policy) for (key, _), policy in here.policies.items() if policy["PolicyARN"] == policy_arn]
    call = asking(world, region, "application-autoscaling")
    for key, policy in found:
        if (service := service_of(call, key[1])) is not None:
            _run(call, here, key, policy, alarm, point, service)


def _run(call: Call, here: Region, key: Key, policy: Params, alarm: Any, point: float | None, service: Params) -> None:
    target, now, desired = here.targets[key], call.world.now(), int(service["desiredCount"])
    running, (until, before) = int(service["runningCount"]), here.scaled_out.get(key, (0.0, 0))
    asked = _asked(call, here, key, policy, alarm, point, running)
    if asked is not None and asked > running and now < until:
        running = before
        asked = _asked(call, here, key, policy, alarm, point, running)
    if asked is None:
        return
    wanted, out = min(max(asked, target["MinCapacity"]), target["MaxCapacity"]), asked > running
    if wanted == desired or (out != (wanted > desired) and desired >= target["MinCapacity"]):
        return
    out = wanted > desired
    if target["SuspendedState"]["DynamicScalingOutSuspended" if out else "DynamicScalingInSuspended"]:
        return
    if not out and (now < here.scaled_in.get(key, 0.0) or _deploys(service)):
        return
    _, cluster, name = key[1].split("/")
    try:
        ask(call, "ecs", "UpdateService", cluster=cluster, service=name, desiredCount=wanted)
    except (AwsError, ClientError):  # it is being deleted
        return
    record(
        call.world,
        here,
        target,
        wanted,
        f"monitor alarm {alarm.name} in state ALARM triggered policy {policy['PolicyName']}",
    )
    if out:
        here.scaled_out[key] = now + _cooldown(policy, "ScaleOutCooldown"), running
        here.scaled_in.pop(key, None)
    else:
        here.scaled_in[key] = now + _cooldown(policy, "ScaleInCooldown")


def _asked(
    call: Call, here: Region, key: Key, policy: Params, alarm: Any, point: float | None, running: int
) -> int | None:
    """How many tasks a policy asks for, limits aside; None: for no change."""
    if policy["PolicyType"] == "StepScaling":
        return _step(policy["StepScalingPolicyConfiguration"], alarm, point, running)
    if alarm.comparison_operator.startswith("Greater"):
        return None if point is None else max(running, _tracked(policy, point, running))
    all_of_them = [each for (of, _), each in here.policies.items() if of == key and _scales_in(each)]
    asked = []
    for each in all_of_them:
        low = each["Alarms"][1]["AlarmName"]
        measured = alarms.last_point(call.world, call.region, low)
        if measured is None or alarms.state_of(call.region, low) != "ALARM":
            return None
        asked.append(_tracked(each, measured, running))
    return min(running, max(asked)) if asked else None


def _scales_in(policy: Params) -> bool:
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration") or {}
    return bool(tracking) and not tracking.get("DisableScaleIn")


def _tracked(policy: Params, point: float, running: int) -> int:
    """So many tasks that each has its share, rounded up; from none a first one."""
    target = policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
    return math.ceil(running * point / target) if running else int(point > 0)


def _step(config: Params, alarm: Any, point: float | None, running: int) -> int | None:
    """The step into which the data point falls; without one (missing data counts as breaching) that at the threshold."""
    above = 0.0 if point is None else point - alarm.threshold
    least, most = float("-inf"), float("inf")
    for step in config["StepAdjustments"]:
        lower, upper = step.get("MetricIntervalLowerBound", least), step.get("MetricIntervalUpperBound", most)
        if lower <= above < upper or lower < above <= upper:
            amount, kind = int(step["ScalingAdjustment"]), config["AdjustmentType"]
            if kind == "PercentChangeInCapacity":
                size = max(abs(int(running * amount / 100)), config.get("MinAdjustmentMagnitude", 1))
                amount = size if amount > 0 else -size
            return amount if kind == "ExactCapacity" else max(0, running + amount)
    return None


def _cooldown(policy: Params, key: str) -> float:
    steps, tracking = (
        policy.get(f"{kind}PolicyConfiguration") or {} for kind in ("StepScaling", "TargetTrackingScaling")
    )
    return float(steps.get("Cooldown", tracking.get(key, COOLDOWN)))


def _deploys(service: Params) -> bool:
    return any(each.get("rolloutState") == "IN_PROGRESS" for each in service["deployments"])


alarms.ACTIONS["autoscaling"] = run
