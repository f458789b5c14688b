"""CloudWatch: alarms. Those that lead to a scaling policy are evaluated once a minute, on the emulator's clock.

Their metrics are those that the emulator knows (metrics.py); all other alarms stay as moto has them. Without time
(scale 0) none is evaluated.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from emulator.cloudwatch.metrics import MINUTE, value
from emulator.core import rules
from emulator.core.rules import AwsError, Call, Params, held, on
from emulator.core.tags import Tags, bearer
from emulator.core.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "cw-001": "PutMetricAlarm makes or replaces; a new alarm begins as INSUFFICIENT_DATA. Tags count for a new one only.",
        "cw-002": "DeleteAlarms takes at most 100 names, one composite alarm among them, and skips what is not there.",
        "cw-003": "An alarm is evaluated once a minute over its periods; data that is missing counts as it says; a scaling "
        "policy is invoked in each minute in which it is in ALARM.",
    }
)
held("cw-003", "cloudwatch.alarms: once a minute")

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
#: CloudWatch looks at some data points more than an alarm wants, to do without those that are missing
SPARE = 2
#: (world, Region, alarm, ARN of the action, newest data point) -> what an alarm does, by the service in the ARN
Action = Callable[[World, str, Any, str, "float | None"], None]
ACTIONS: dict[str, Action] = {}


@dataclass
class Region:
    points: dict[str, list[float | None]] = field(default_factory=dict)  # by alarm, the newest last
    watching: bool = False


def _here(world: World, region: str) -> Region:
    regions: dict[str, Region] = world.state["cloudwatch"]
    return regions.setdefault(region, Region())


def _alarms(region: str) -> dict[str, Any]:
    found: Any = cloudwatch_backends[ACCOUNT][region]
    return dict(found.alarms)


def _actions(alarm: Any) -> list[str]:
    return [arn for arn in alarm.alarm_actions or [] if arn.split(":")[2] in ACTIONS]


@on("cloudwatch", "PutMetricAlarm", rules="cw-001")
def put_metric_alarm(call: Call) -> Params:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    name = call.params["AlarmName"]
    known = _alarms(call.region).get(name)
    state = known.state_value if known else "INSUFFICIENT_DATA"
    answer = call.proceed(**({"Tags": None} if known else {}))
    alarm = _alarms(call.region)[name]
    alarm.state_value = state
    here = _here(call.world, call.region)
    if not known or _measured(known) != _measured(alarm):
        here.points.pop(name, None)
    if call.world.clock.scale and not here.watching and _actions(alarm):
        here.watching = True
        call.world.after(MINUTE - call.world.now() % MINUTE, _every_minute, call.world, call.region)
    return answer


@on("cloudwatch", "DeleteAlarms", rules="cw-002")
def delete_alarms(call: Call) -> Params:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html"""
    names = call.params["AlarmNames"]
    if len(names) > 100:
        raise AwsError(
            "ValidationError",
            "1 validation error detected: Value at 'alarmNames' failed to satisfy constraint: "
            "Member must have length less than or equal to 100",
        )
    alarms = _alarms(call.region)
    if sum(1 for name in names if name in alarms and alarms[name].rule) > 1:
        raise AwsError("ValidationError", "Only one composite alarm can be deleted at a time")
    for name in names:
        _here(call.world, call.region).points.pop(name, None)
    return call.proceed()


# --- what an alarm sees, and does


def _every_minute(world: World, region: str) -> None:
    here = _here(world, region)
    watched = [alarm for alarm in _alarms(region).values() if _actions(alarm) and alarm.period in (MINUTE, None, 0)]
    here.watching = bool(watched)
    if not watched:
        return
    world.after(MINUTE, _every_minute, world, region)
    for alarm in watched:
        points = here.points.setdefault(alarm.name, [])
        points.append(_point(world, region, alarm))
        del points[: -(alarm.evaluation_periods + SPARE)]
        state = _state(alarm, points)
        if state != alarm.state_value:
            alarm.update_state(f"Threshold Crossed: {points}, threshold {alarm.threshold}", "{}", state)
    for alarm in watched:
        if alarm.state_value == "ALARM" and alarm.actions_enabled:
            for arn in _actions(alarm):
                ACTIONS[arn.split(":")[2]](world, region, alarm, arn, last_point(world, region, alarm.name))


def _measured(alarm: Any) -> dict[str, Any]:
    """What an alarm looks at: one metric, or some, by their ids in its expression."""
    queries = {query.id: query.metric_stat.metric for query in alarm.metric_data_queries if query.metric_stat}
    return {
        name: (one.namespace, one.metric_name, tuple((each.name, each.value) for each in one.dimensions))
        for name, one in (queries or {"": alarm}).items()
    }


def _expression(alarm: Any) -> dict[str, float]:
    """Factors by id, of a sum such as `a * 0 + b`: no other metric math is known here. Without one, the metric itself."""
    found = [query.expression for query in alarm.metric_data_queries if query.expression]
    terms = [term.partition("*") for text in found for term in text.split("+")]
    return {name.strip(): float(factor or 1) for name, _, factor in terms} or dict.fromkeys(_measured(alarm), 1.0)


def _point(world: World, region: str, alarm: Any) -> float | None:
    """Its data point of the minute that has ended. In a sum a metric that is missing counts as 0, beside one that is not.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#metric-math-syntax"""
    factors = _expression(alarm)
    found = {
        name: value(world, region, space, metric, dict(named))
        for name, (space, metric, named) in _measured(alarm).items()
    }
    told = [point * factors[name] for name, point in found.items() if point is not None]
    return sum(told) if told else None


def last_point(world: World, region: str, name: str) -> float | None:
    points = _here(world, region).points.get(name)
    return points[-1] if points else None


def state_of(region: str, name: str) -> str:
    alarm = _alarms(region).get(name)
    return alarm.state_value if alarm else ""


def _state(alarm: Any, points: list[float | None]) -> str:
    """OK, ALARM or INSUFFICIENT_DATA, by the newest data points, or by those that are there and how the rest counts.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html#alarms-and-missing-data"""
    wanted, treatment = alarm.evaluation_periods, alarm.treat_missing_data or "missing"
    needed, before = alarm.datapoints_to_alarm or wanted, str(alarm.state_value)
    breaches = COMPARISONS[alarm.comparison_operator]
    told = [breaches(point, alarm.threshold) for point in points if point is not None][-wanted:]
    missing = wanted - len(told)
    if not told and treatment in ("missing", "ignore"):
        return "INSUFFICIENT_DATA" if treatment == "missing" else before
    if sum(told) + (missing if treatment == "breaching" else 0) >= needed:
        return "ALARM"
    if missing and treatment in ("missing", "ignore") and all(told):
        since = next(age for age, point in enumerate(points) if point is not None)
        return "ALARM" if treatment == "missing" and len(points) - since >= wanted else before
    return "OK"


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    found: Any = cloudwatch_backends[ACCOUNT].get(region)
    for one in found.iter_tagged_resources() if found else ():
        yield one.arn, one.tags
