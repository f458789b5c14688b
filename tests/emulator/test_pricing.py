"""Prices."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.emulator.common import Client, refused


def test_the_price_of_a_gpu_instance(client: Client) -> None:
    filters = {"instanceType": "g4dn.xlarge", "regionCode": "us-east-1", "operatingSystem": "Linux"}
    exact = {**filters, "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}

    def products(wanted: dict[str, str]) -> list[Any]:
        terms = [{"Type": "TERM_MATCH", "Field": key, "Value": value} for key, value in wanted.items()]
        return [
            json.loads(one)
            for one in client("pricing").get_products(ServiceCode="AmazonEC2", Filters=terms)["PriceList"]
        ]

    [one] = products(exact)
    [term] = one["terms"]["OnDemand"].values()
    [dimension] = term["priceDimensions"].values()
    assert float(dimension["pricePerUnit"]["USD"]) == 0.526 and dimension["unit"] == "Hrs"
    assert len(products(filters)) > 1
    assert products({**exact, "instanceType": "g9.huge"}) == []
    by_place = {key: value for key, value in exact.items() if key != "regionCode"} | {"location": "EU (Ireland)"}
    assert len(products(by_place)) == 1


def test_the_price_of_a_task_on_fargate(client: Client) -> None:
    terms: Any = [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"}]
    found = client("pricing").get_products(ServiceCode="AmazonECS", Filters=terms)["PriceList"]
    products = {each["product"]["attributes"]["usagetype"]: each for each in map(json.loads, found)}
    [term] = products["USE1-Fargate-vCPU-Hours:perCPU"]["terms"]["OnDemand"].values()
    [dimension] = term["priceDimensions"].values()
    assert (float(dimension["pricePerUnit"]["USD"]), dimension["unit"]) == (0.04048, "hours")
    assert "USE1-Fargate-GB-Hours" in products


def test_spot_prices_are_told_by_zone_and_those_before_too(client: Client) -> None:
    ask = client("ec2").describe_spot_price_history
    request: Any = {"InstanceTypes": ["g4dn.xlarge"], "ProductDescriptions": ["Linux/UNIX"]}
    now = ask(**request, StartTime=datetime.now(timezone.utc))["SpotPriceHistory"]
    zones = [each["AvailabilityZone"] for each in now]
    assert len(zones) == len({*zones}) > 1
    assert all(0.1 < float(each["SpotPrice"]) < 0.526 for each in now) and len({each["SpotPrice"] for each in now}) > 1
    assert len(ask(**request)["SpotPriceHistory"]) == 2 * len(now)
    assert ask(**{**request, "ProductDescriptions": ["Windows"]})["SpotPriceHistory"] == []


def test_the_bill_is_told_by_day_and_service_and_an_inactive_tag_finds_nothing(client: Client) -> None:
    ce, today = client("ce"), datetime.now(timezone.utc).date()
    request: Any = {
        "TimePeriod": {"Start": str(today - timedelta(days=2)), "End": str(today + timedelta(days=1))},
        "Granularity": "DAILY",
        "Metrics": ["UnblendedCost"],
        "Filter": {"Tags": {"Key": "team", "Values": ["ml"]}},
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}],
    }
    assert [day["Groups"] for day in ce.get_cost_and_usage(**request)["ResultsByTime"]] == [[], [], []]
    backwards = {"Start": str(today), "End": str(today)}
    assert refused(ce.get_cost_and_usage, **{**request, "TimePeriod": backwards}) == "ValidationException"
