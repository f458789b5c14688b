"""What AWS asks for a thing, from its own price list: no price stands in this code.

The list is asked once for each kind of thing, all side by side, and remembered; it is a courtesy: where it does not answer
soon, or may not be read, a page goes on without. It tells none in China and GovCloud, where it is not asked.
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-query-api.html
"""

import functools
import json
import re
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, NamedTuple

import aws
from aws import client, every, partition, region

Attributes = tuple[tuple[str, str], ...]
#: where a person reads them
PAGES = {"aws": "https://aws.amazon.com/ec2/pricing/on-demand/", "aws-cn": "https://www.amazonaws.cn/en/ec2/pricing/"}
#: how a unit is called here -> how one offer and the next spell it
UNITS = {
    "hour": ("Hrs", "hours", "GB-Hours"),
    "month": ("GB-Mo", "GB-month", "GB-Month"),
    "GB": ("GB",),
    "LCU": ("LCU-Hrs",),
    "metric": ("Metrics",),
    "alarm": ("Alarms",),
}
#: how a usage type begins outside us-east-1, and for some things there too; TS- and Outposts- are other things
SHORT_REGION = r"(?:(?:[A-Z]{2,4}[0-9]{1,2}|EU)-)?"


class Item(NamedTuple):
    """One product: how its usage type ends, its unit, what the list is asked for, and what else of its answer it is."""

    service: str
    usage: str
    unit: str
    asked: Attributes = ()
    of: Attributes = ()


class Price(NamedTuple):
    """For one unit; of Spot capacity in the dearest zone, and in the cheapest."""

    amount: float
    currency: str
    lowest: float


def of(**attributes: str) -> Attributes:
    return tuple(attributes.items())


NAT, ALB = of(group="NGW:NatGateway", operation="NatGateway"), of(operation="LoadBalancing:Application")
ADDRESSES, LINUX = of(group="VPCPublicIPv4Address"), of(operatingSystem="Linux", tenancy="Shared")


def disk(kind: str) -> Item:
    """EBS volumes of this type, as gp3."""
    asked = of(productFamily="Storage", volumeApiName=kind)
    return Item("AmazonEC2", f"EBS:VolumeUsage.{kind}", "month", asked)


#: of all that AmazonECS has
FARGATE = of(usagetype="Fargate")
#: metrics and alarms of CloudWatch, in one question
WATCHED = of(usagetype="MonitorUsage")
#: an attribute of which the list is asked for a part
PARTS_OF = ("usagetype",)
ITEMS = {
    "disk": disk("gp3"),
    "NAT gateway": Item("AmazonEC2", "NatGateway-Hours", "hour", NAT),
    "through NAT": Item("AmazonEC2", "NatGateway-Bytes", "GB", NAT),
    "load balancer": Item("AWSELB", "LoadBalancerUsage", "hour", ALB),
    "LCU": Item("AWSELB", "LCUUsage", "LCU", ALB),
    "address": Item("AmazonVPC", "PublicIPv4:InUseAddress", "hour", ADDRESSES),
    "EFS": Item("AmazonEFS", "TimedStorage-ByteHrs", "month"),
    "EFS read": Item("AmazonEFS", "ETDataAccess-Bytes", "GB", of=of(accessType="Read")),
    "EFS written": Item("AmazonEFS", "ETDataAccess-Bytes", "GB", of=of(accessType="Write")),
    "EFS unread": Item("AmazonEFS", "IATimedStorage-ByteHrs", "month"),
    "EFS unread, elastic": Item("AmazonEFS", "IATimedStorage-ET-ByteHrs", "month"),
    "backup": Item("AWSBackup", "WarmStorage-ByteHrs-EFS", "month", of(productFamily="AWS Backup Storage")),
    "vCPU": Item("AmazonECS", "Fargate-vCPU-Hours:perCPU", "hour", FARGATE),
    "GB": Item("AmazonECS", "Fargate-GB-Hours", "hour", FARGATE),
    "vCPU on ARM": Item("AmazonECS", "Fargate-ARM-vCPU-Hours:perCPU", "hour", FARGATE),
    "GB on ARM": Item("AmazonECS", "Fargate-ARM-GB-Hours", "hour", FARGATE),
    "task's disk": Item("AmazonECS", "Fargate-EphemeralStorage-GB-Hours", "hour", FARGATE),
    "logs": Item("AmazonCloudWatch", "DataProcessing-Bytes", "GB", of(productFamily="Data Payload")),
    "stored logs": Item("AmazonCloudWatch", "TimedStorage-ByteHrs", "month", of(productFamily="Storage Snapshot")),
    "metrics": Item("AmazonCloudWatch", "CW:MetricMonitorUsage", "metric", WATCHED),
    "alarms": Item("AmazonCloudWatch", "CW:AlarmMonitorUsage", "alarm", WATCHED),
    "images": Item("AmazonECR", "TimedStorage-ByteHrs", "month", of(productFamily="EC2 Container Registry")),
    "bucket": Item("AmazonS3", "TimedStorage-ByteHrs", "month", of(productFamily="Storage", volumeType="Standard")),
}
#: what the list calls these is not known here, so that their price is never found
ENHANCED = Item("AmazonCloudWatch", "?", "metric", WATCHED)


def host(kind: str) -> Item:
    """An instance type on demand, Linux."""
    asked = of(instanceType=kind, capacitystatus="Used", preInstalledSw="NA")
    return Item("AmazonEC2", f"BoxUsage:{kind}", "hour", (*LINUX, *asked))


@functools.cache
def products(service: str, asked: Attributes) -> aws.look[tuple[list[Any], str]]:
    """The look at what the list has of this; and why it tells nothing, in words."""
    return aws.steady_look(lambda: read(service, asked))


def read(service: str, asked: Attributes) -> tuple[list[Any], str]:
    if partition() != "aws":
        return [], f"the price list is not asked in {partition()}"
    wanted = {"regionCode": region(), **dict(asked)}
    filters: Any = [
        {"Type": "CONTAINS" if field in PARTS_OF else "TERM_MATCH", "Field": field, "Value": value}
        for field, value in wanted.items()
    ]
    request: Any = {"ServiceCode": service, "Filters": filters}

    def told() -> list[Any]:
        pages = aws.courtesy("pricing", "us-east-1").get_paginator("get_products").paginate(**request)
        return [json.loads(each) for each in every(pages, "PriceList")]

    found, why = aws.at_best(told)
    return found or [], why


def ask(items: Iterable[Item]) -> None:
    """All that is not known yet, at the same time."""
    aws.look_at(*dict.fromkeys(products(each.service, each.asked) for each in items))


def found(item: Item) -> list[Any]:
    """The product, alone in a list; none where the list does not tell it."""
    return [each for each in products(item.service, item.asked)()[0] if is_of(item, each)]


def is_of(item: Item, product: Any) -> bool:
    attributes = product.get("product", {}).get("attributes", {}) if isinstance(product, dict) else {}
    usage = re.fullmatch(SHORT_REGION + re.escape(item.usage), attributes.get("usagetype", ""))
    return bool(usage) and all(attributes.get(key) == value for key, value in item.of)


def price(item: Item) -> Price | None:
    """Of its first tier that costs something; None where it can't be learned, or the list tells more than one."""

    def told() -> Price:
        [product] = found(item)
        [term] = product["terms"]["OnDemand"].values()
        rates = [each for each in term["priceDimensions"].values() if each["unit"] in UNITS[item.unit]]
        tiers = sorted((float(each["beginRange"]), *only(each["pricePerUnit"])) for each in rates)
        return next(Price(amount, currency, amount) for _, amount, currency in tiers if amount)

    def only(per_unit: dict[str, str]) -> tuple[float, str]:
        [(currency, amount)] = per_unit.items()
        return float(amount), currency

    return aws.at_best(told)[0]


def money(amount: float, currency: str) -> str:
    """$1.94, or 13.80 CNY."""
    digits = f"{amount:.2f}" if amount >= 0.01 or not amount else f"{amount:.4f}"
    return f"${digits}" if currency == "USD" else f"{digits} {currency}"


def a_month(item: Item, gigabytes: float) -> str:
    """What storing so much costs, in words; "" where the price is not known."""
    known = price(item)
    return f", about {money(gigabytes * known.amount, known.currency)} a month" if known else ""


@functools.cache
def spot_history(kind: str) -> aws.look[tuple[dict[str, float], str]]:
    """The look at what Spot capacity of this type costs now, zone -> USD an hour; and why that is not told, in words."""
    return aws.steady_look(lambda: read_spot(kind))


def read_spot(kind: str) -> tuple[dict[str, float], str]:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html"""
    request: Any = {"InstanceTypes": [kind], "ProductDescriptions": ["Linux/UNIX"]}

    def told() -> dict[str, float]:
        answer = client("ec2").describe_spot_price_history(**request, StartTime=datetime.now(timezone.utc))
        rows = sorted(answer["SpotPriceHistory"], key=lambda each: each["Timestamp"])
        return {each["AvailabilityZone"]: float(each["SpotPrice"]) for each in rows}  # the newest of each zone

    if partition() != "aws":
        return {}, f"the price list is not asked in {partition()}"
    known, why = aws.at_best(told)
    return known or {}, why


def spot(kind: str, zones: Iterable[str] = ()) -> Price | None:
    """Between the cheapest and the dearest of these zones, or of all; AWS tells it in USD."""
    wanted, known = [*zones], spot_history(kind)()[0]
    amounts = sorted(amount for zone, amount in known.items() if not wanted or zone in wanted)
    return Price(amounts[-1], "USD", amounts[0]) if amounts else None
