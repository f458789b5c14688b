"""CloudWatch: moto's alarms, and how a new one begins.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/Welcome.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from emulator.core import rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.tags import Tags, bearer
from emulator.core.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "cw-001": "PutMetricAlarm makes or replaces; a new alarm begins as INSUFFICIENT_DATA.",
        "cw-002": "DeleteAlarms takes at most 100 names, one composite alarm among them, and skips what is not there.",
    }
)


@on("cloudwatch", "PutMetricAlarm", rules="cw-001")
def put_metric_alarm(call: Call) -> Params:
    alarms: Any = cloudwatch_backends[call.account][call.region].alarms
    name = call.params["AlarmName"]
    known = alarms.get(name)
    state = known.state_value if known else "INSUFFICIENT_DATA"
    answer = call.proceed()
    alarms[name].state_value = state
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
    alarms: Any = cloudwatch_backends[call.account][call.region].alarms
    if sum(1 for name in names if name in alarms and alarms[name].rule) > 1:
        raise AwsError("ValidationError", "Only one composite alarm can be deleted at a time")
    return call.proceed()


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    found: Any = cloudwatch_backends[ACCOUNT].get(region)
    for one in found.iter_tagged_resources() if found else ():
        yield one.arn, one.tags
