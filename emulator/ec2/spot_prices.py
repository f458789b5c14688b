"""What Spot capacity costs, zone by zone: a steady part of the price on demand, another in each zone.

Real prices move slowly, with supply and demand; here they stand still, so that tests can count with them.
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html
"""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

from emulator.core import rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import World
from emulator.ec2 import types as ec2_types
from emulator.pricing import prices

rules.SENTENCES.update(
    {
        "spot-prices": "DescribeSpotPriceHistory tells, from a StartTime of now on, the price of each zone that offers the "
        "type, with the time since which it stands; without one, those before it too.",
    }
)
#: part of the price on demand in a Region's first zone, its second and so on
PARTS = (0.31, 0.34, 0.38, 0.30, 0.42, 0.36)
PRODUCTS = ("Linux/UNIX", "Linux/UNIX (Amazon VPC)")
#: for how long a price has stood
HOURS = 3


@on("ec2", "DescribeSpotPriceHistory", rules="spot-prices")
def describe_spot_price_history(call: Call) -> Params:
    wanted = call.params
    if int(wanted.get("MaxResults") or 1000) < 1:
        raise AwsError("InvalidParameterValue", "MaxResults is out of range")
    filters = {each["Name"]: each["Values"] for each in wanted.get("Filters") or []}
    kinds = wanted.get("InstanceTypes") or filters.get("instance-type") or sorted(prices.TYPES)
    told = wanted.get("ProductDescriptions") or filters.get("product-description") or PRODUCTS
    zone = wanted.get("AvailabilityZone")
    return {
        "NextToken": "",
        "SpotPriceHistory": [
            row
            for kind in kinds
            for place in sorted(ec2_types.offered(call.region).get(kind, set()))
            if zone in (None, place) and kind in prices.TYPES and {*told} & {*PRODUCTS}
            for row in _history(call.world, call.region, kind, place, wanted.get("StartTime"))
        ],
    }


def price(region: str, kind: str, zone: str) -> float:
    """USD an hour."""
    return round(prices.on_demand(region, kind) * PARTS[ord(zone[-1]) % len(PARTS)], 6)


def _history(world: World, region: str, kind: str, zone: str, start: Any) -> list[Params]:
    """The price that stands, and one that was before it."""
    row: dict[str, Any] = {"AvailabilityZone": zone, "InstanceType": kind, "ProductDescription": "Linux/UNIX"}
    since = world.timestamp() - timedelta(hours=HOURS)
    now = price(region, kind, zone)
    rows = [{**row, "SpotPrice": f"{now:.6f}", "Timestamp": since}]
    if start is None or start.replace(tzinfo=timezone.utc) < since:
        rows.append({**row, "SpotPrice": f"{now * 1.1:.6f}", "Timestamp": since - timedelta(hours=8)})
    return rows
