"""Prices."""

from __future__ import annotations

import json
from typing import Any

from tests.emulator.common import Client


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
