"""Cost Explorer: what was billed, by day, for what bears a tag; a day late, and only for tags that were activated.

What was billed a person says by the side door, since nothing here is billed:

    curl -X POST $AWS_ENDPOINT_URL/_emulator/bill -d '{"tag": "gpu-ecs-cluster", "value": "gpu", "day": "2026-11-25",
        "service": "Amazon Elastic Compute Cloud - Compute", "amount": 1.5}'

https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetCostAndUsage.html, and
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/custom-tags.html
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from emulator.core import rules
from emulator.core.doors import Json, door
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.wire import Emulator

rules.SENTENCES.update(
    {
        "bill-tags": "GetCostAndUsage finds nothing by a tag that was not activated for cost allocation: a day without groups, "
        "and no error; what the day is still to end for is Estimated.",
    }
)
DIMENSIONS = ("AZ", "INSTANCE_TYPE", "LINKED_ACCOUNT", "OPERATION", "REGION", "SERVICE", "USAGE_TYPE")


@door("POST", "/_emulator/bill")
def _bill(emulator: Emulator, given: Json) -> Json:
    """Something was billed."""
    emulator.world.state["ce"].setdefault("rows", []).append(given)
    return given


@on("ce", "UpdateCostAllocationTagsStatus")
def update_cost_allocation_tags_status(call: Call) -> Params:
    active = call.world.state["ce"].setdefault("active", [])
    for each in call.params["CostAllocationTagsStatus"]:
        if each["Status"] == "Active" and each["TagKey"] not in active:
            active.append(each["TagKey"])
        if each["Status"] == "Inactive" and each["TagKey"] in active:
            active.remove(each["TagKey"])
    return {"Errors": []}


@on("ce", "ListCostAllocationTags")
def list_cost_allocation_tags(call: Call) -> Params:
    wanted = call.params.get("TagKeys")
    active = call.world.state["ce"].get("active", [])
    known = {*active, *(row["tag"] for row in call.world.state["ce"].get("rows", []))}
    return {
        "CostAllocationTags": [
            {"TagKey": key, "Type": "UserDefined", "Status": "Active" if key in active else "Inactive"}
            for key in sorted(known)
            if wanted is None or key in wanted
        ]
    }


@on("ce", "GetCostAndUsage", rules="bill-tags")
def get_cost_and_usage(call: Call) -> Params:
    """By day or by month, of a tag's values, together or by service."""
    first, end = (date.fromisoformat(call.params["TimePeriod"][each]) for each in ("Start", "End"))
    groups, today = call.params.get("GroupBy") or [], call.world.timestamp().date()
    if end <= first:
        raise AwsError("ValidationException", "Start date (and hour) should be before end date (and hour)")
    if first > today:
        raise AwsError("ValidationException", "Start date cannot be after the current date")
    if any(each["Type"] == "DIMENSION" and each["Key"] not in DIMENSIONS for each in groups):
        raise AwsError("ValidationException", f"Invalid dimension: {groups[0]['Key']}")
    metrics = call.params["Metrics"]
    days = [first + timedelta(days=number) for number in range((end - first).days)]
    periods = [(day, day + timedelta(days=1)) for day in days]
    if call.params["Granularity"] == "MONTHLY":
        periods = [(first, end)]
    return {
        "GroupDefinitions": groups,
        "DimensionValueAttributes": [],
        "ResultsByTime": [_period(call, begin, until, metrics, bool(groups), today) for begin, until in periods],
    }


def _period(call: Call, begin: date, until: date, metrics: list[str], grouped: bool, today: date) -> Params:
    sums: dict[str, float] = {}
    for row in _billed(call):
        if str(begin) <= row["day"] < str(until):
            sums[row["service"]] = sums.get(row["service"], 0.0) + row["amount"]
    shown: Params = {"TimePeriod": {"Start": str(begin), "End": str(until)}, "Estimated": until >= today}
    if grouped:
        found = [{"Keys": [service], "Metrics": _amounts(metrics, amount)} for service, amount in sorted(sums.items())]
        return {**shown, "Total": {}, "Groups": found}
    return {**shown, "Total": _amounts(metrics, sum(sums.values())), "Groups": []}


def _amounts(metrics: list[str], amount: float) -> Params:
    return {metric: {"Amount": f"{amount:.10f}", "Unit": "USD"} for metric in metrics}


def _billed(call: Call) -> list[dict[str, Any]]:
    """The rows that the filter passes; those of a tag only where it is active."""
    state, wanted = call.world.state["ce"], (call.params.get("Filter") or {}).get("Tags")
    rows: list[dict[str, Any]] = state.get("rows", [])
    if wanted is None:
        return rows
    if wanted["Key"] not in state.get("active", []):
        return []
    return [row for row in rows if row["tag"] == wanted["Key"] and row["value"] in wanted["Values"]]
