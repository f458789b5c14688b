"""What a load balancer has counted: the requests that came in through the front door, by minute.

A load balancer reports only while requests flow through it. RequestCount is of those for which it could choose a target,
and is there while targets are registered; HTTPCode_ELB_503_Count only where it is not 0.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
"""

from __future__ import annotations

from collections import Counter

from emulator.cloudwatch.metrics import SOURCES, Dimensions, minute_before
from emulator.core import rules
from emulator.core.rules import held
from emulator.core.world import World
from emulator.elbv2.state import here, state_of

rules.SENTENCES["elb-018"] = (
    "A load balancer reports metrics only of minutes in which it got requests; RequestCount is of those that found a target."
)
held("elb-018", "elbv2.metrics")

#: how many minutes are kept: an alarm asks for the last one alone
KEPT = 3
#: what is counted beside the requests of a target group
ALL, REFUSED = "requests", "503"


def count(world: World, region: str, balancer_arn: str, what: str = ALL) -> None:
    """One more request at a load balancer; `what` is the ARN of the target group that got it, or REFUSED."""
    minutes: dict[int, Counter[tuple[str, str, str]]] = world.state["requests"]
    now = minute_before(world.now()) + 1
    if now not in minutes:
        minutes[now] = Counter()
        for old in [each for each in minutes if each <= now - KEPT]:
            del minutes[old]
    minutes[now][region, suffix(balancer_arn), what if what in (ALL, REFUSED) else suffix(what)] += 1


def suffix(arn: str) -> str:
    """The end of an ARN, by which metrics name it: app/NAME/ID, targetgroup/NAME/ID."""
    return arn.split(":", 5)[5].removeprefix("loadbalancer/")


def to_group(world: World, region: str, group_arn: str) -> int:
    """The requests that a target group got in the minute that has ended."""
    counted = world.state["requests"].get(minute_before(world.now()), {})
    return sum(number for (where, _, what), number in counted.items() if (where, what) == (region, suffix(group_arn)))


def _value(world: World, region: str, metric: str, dimensions: Dimensions) -> float | None:
    counted = world.state["requests"].get(minute_before(world.now()), {})
    group, balancer = dimensions.get("TargetGroup"), dimensions.get("LoadBalancer")
    found = {what: number for (where, at, what), number in counted.items() if (where, balancer or at) == (region, at)}
    if not found:
        return None
    requests: float = found.get(group or "", 0)
    if metric == "HTTPCode_ELB_503_Count" and not group:
        return found.get(REFUSED)
    targets = [
        state_of(each, target)[0]
        for arn, each in here(world, region).groups.items()
        if suffix(arn) == group
        for target in each.targets.values()
    ]
    if metric not in ("RequestCount", "RequestCountPerTarget") or not targets:
        return None
    return requests / (targets.count("healthy") or len(targets)) if metric == "RequestCountPerTarget" else requests


SOURCES["AWS/ApplicationELB"] = _value
