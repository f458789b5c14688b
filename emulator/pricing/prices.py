"""The price list, as far as a GPU cluster needs it: fixed, dated tables, this of instance types and sample.py of all else.

On-demand USD per hour for Linux in us-east-1, as instances.vantage.sh copied them from AWS's price list by 2026-01-21
(tsaol/aws-gpu, data/all_gpu_instances.js; T, M, C and R as they are since 2018); AWS has told of no change of these
until November 2026. Other Regions by a rounded factor, so they are near, not exact.
https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
"""

from __future__ import annotations

import functools
import hashlib
import json

from emulator.core.rules import AwsError, Call, Params, on
from emulator.pricing.sample import ROWS, Row

DATE = "2026-01-21"
#: Regions that have an endpoint of the price list
ENDPOINTS = ("us-east-1", "eu-central-1", "ap-south-1")

#: type -> USD per hour, vCPUs, memory, GPUs (a part of one: 0.125), memory of one GPU
TYPES: dict[str, tuple[float, int, str, float, str]] = {
    "t3.micro": (0.0104, 2, "1 GiB", 0, ""),
    "t3.small": (0.0208, 2, "2 GiB", 0, ""),
    "t3.medium": (0.0416, 2, "4 GiB", 0, ""),
    "t3.large": (0.0832, 2, "8 GiB", 0, ""),
    "t3.xlarge": (0.1664, 4, "16 GiB", 0, ""),
    "m5.large": (0.096, 2, "8 GiB", 0, ""),
    "m5.xlarge": (0.192, 4, "16 GiB", 0, ""),
    "m5.2xlarge": (0.384, 8, "32 GiB", 0, ""),
    "c5.large": (0.085, 2, "4 GiB", 0, ""),
    "c5.xlarge": (0.17, 4, "8 GiB", 0, ""),
    "c5.2xlarge": (0.34, 8, "16 GiB", 0, ""),
    "c5.4xlarge": (0.68, 16, "32 GiB", 0, ""),
    "r5.large": (0.126, 2, "16 GiB", 0, ""),
    "g4dn.xlarge": (0.526, 4, "16 GiB", 1, "16 GB"),
    "g4dn.2xlarge": (0.752, 8, "32 GiB", 1, "16 GB"),
    "g4dn.4xlarge": (1.204, 16, "64 GiB", 1, "16 GB"),
    "g4dn.8xlarge": (2.176, 32, "128 GiB", 1, "16 GB"),
    "g4dn.12xlarge": (3.912, 48, "192 GiB", 4, "16 GB"),
    "g4dn.16xlarge": (4.352, 64, "256 GiB", 1, "16 GB"),
    "g4dn.metal": (7.824, 96, "384 GiB", 8, "16 GB"),
    "g5.xlarge": (1.006, 4, "16 GiB", 1, "24 GB"),
    "g5.2xlarge": (1.212, 8, "32 GiB", 1, "24 GB"),
    "g5.4xlarge": (1.624, 16, "64 GiB", 1, "24 GB"),
    "g5.8xlarge": (2.448, 32, "128 GiB", 1, "24 GB"),
    "g5.12xlarge": (5.672, 48, "192 GiB", 4, "24 GB"),
    "g5.16xlarge": (4.096, 64, "256 GiB", 1, "24 GB"),
    "g5.24xlarge": (8.144, 96, "384 GiB", 4, "24 GB"),
    "g5.48xlarge": (16.288, 192, "768 GiB", 8, "24 GB"),
    "g6.xlarge": (0.8048, 4, "16 GiB", 1, "24 GB"),
    "g6.2xlarge": (0.9776, 8, "32 GiB", 1, "24 GB"),
    "g6.4xlarge": (1.3232, 16, "64 GiB", 1, "24 GB"),
    "g6.8xlarge": (2.0144, 32, "128 GiB", 1, "24 GB"),
    "g6.12xlarge": (4.6016, 48, "192 GiB", 4, "24 GB"),
    "g6.16xlarge": (3.3968, 64, "256 GiB", 1, "24 GB"),
    "g6.24xlarge": (6.6752, 96, "384 GiB", 4, "24 GB"),
    "g6.48xlarge": (13.3504, 192, "768 GiB", 8, "24 GB"),
    "g6e.xlarge": (1.861, 4, "32 GiB", 1, "48 GB"),
    "g6e.2xlarge": (2.24208, 8, "64 GiB", 1, "48 GB"),
    "g6e.4xlarge": (3.00424, 16, "128 GiB", 1, "48 GB"),
    "g6e.8xlarge": (4.52856, 32, "256 GiB", 1, "48 GB"),
    "g6e.12xlarge": (10.49264, 48, "384 GiB", 4, "48 GB"),
    "g6e.16xlarge": (7.57719, 64, "512 GiB", 1, "48 GB"),
    "g6e.24xlarge": (15.06559, 96, "768 GiB", 4, "48 GB"),
    "g6e.48xlarge": (30.13118, 192, "1536 GiB", 8, "48 GB"),
    "gr6.4xlarge": (1.5392, 16, "128 GiB", 1, "24 GB"),
    "gr6.8xlarge": (2.4464, 32, "256 GiB", 1, "24 GB"),
    "g6f.large": (0.202, 2, "8 GiB", 0.125, "3 GB"),
    "g6f.xlarge": (0.2375, 4, "16 GiB", 0.125, "3 GB"),
    "g6f.2xlarge": (0.475, 8, "32 GiB", 0.25, "6 GB"),
    "g6f.4xlarge": (0.95, 16, "64 GiB", 0.5, "12 GB"),
    "gr6f.4xlarge": (1.066, 16, "128 GiB", 0.5, "12 GB"),
    "g7e.2xlarge": (3.36312, 8, "64 GiB", 1, "96 GB"),
    "g7e.12xlarge": (8.28608, 48, "512 GiB", 2, "96 GB"),
    "p4d.24xlarge": (21.957642, 96, "1152 GiB", 8, "40 GB HBM2"),
    "p4de.24xlarge": (27.44705, 96, "1152 GiB", 8, "80 GB HBM2"),
    "p5.4xlarge": (6.88, 16, "256 GiB", 1, "80 GB HBM3"),
    "p5.48xlarge": (55.04, 192, "2048 GiB", 8, "80 GB HBM3"),
    "p5en.48xlarge": (63.296, 192, "2048 GiB", 8, "141 GB HBM3"),
    "p6-b200.48xlarge": (113.9328, 192, "2048 GiB", 8, "180 GB HBM3"),
}
#: Region -> how what is counted there begins
PREFIXES = {
    **{"us-east-1": "USE1", "us-east-2": "USE2", "us-west-2": "USW2", "eu-west-1": "EU", "eu-central-1": "EUC1"},
    **{"eu-west-2": "EUW2", "ap-northeast-1": "APN1", "ap-southeast-2": "APS2"},
}
#: Region -> its name in the price list, and its factor
REGIONS: dict[str, tuple[str, float]] = {
    "us-east-1": ("US East (N. Virginia)", 1.0),
    "us-east-2": ("US East (Ohio)", 1.0),
    "us-west-2": ("US West (Oregon)", 1.0),
    "eu-west-1": ("EU (Ireland)", 1.12),
    "eu-central-1": ("EU (Frankfurt)", 1.25),
    "eu-west-2": ("EU (London)", 1.17),
    "ap-northeast-1": ("Asia Pacific (Tokyo)", 1.35),
    "ap-southeast-2": ("Asia Pacific (Sydney)", 1.3),
}
FAMILIES = {"t": "General purpose", "m": "General purpose", "c": "Compute optimized", "r": "Memory optimized"}
#: what makes several products of one type: operating system, tenancy, capacity status, factor of the price
VARIANTS = (
    ("Linux", "Shared", "Used", 1.0),
    ("Linux", "Shared", "AllocatedCapacityReservation", 0.0),
    ("Linux", "Shared", "UnusedCapacityReservation", 1.0),
    ("Linux", "Dedicated", "Used", 1.06),
    ("Windows", "Shared", "Used", 1.35),
)


@functools.cache
def _products() -> list[tuple[dict[str, str], Row]]:
    """The attributes of each instance type's products, and each as a row."""
    return [
        (
            told,
            Row("AmazonEC2", "Compute Instance", told["usagetype"], "Hrs", TYPES[name][0] * factor * variant[3], told),
        )
        for name in TYPES
        for region, (_, factor) in REGIONS.items()
        for variant in VARIANTS
        for told in [_attributes(name, region, variant)]
    ]


@functools.cache
def _sampled(service: str) -> list[tuple[dict[str, str], Row]]:
    """Each product of a service in the sample, of each Region: its attributes, and the row with the price there."""
    found = []
    for region, (location, factor) in REGIONS.items():
        for row in [row for row in ROWS if row.service == service]:
            bare = row.usage.removeprefix("USE1-")
            usage = row.usage if region == "us-east-1" else f"{PREFIXES[region]}-{bare}"
            place = {"location": location, "locationType": "AWS Region", "regionCode": region}
            attributes = {"servicecode": service, **place, "operation": "", "usagetype": usage, **row.attributes}
            tiers = {begin: price * factor for begin, price in row.tiers.items()}
            found.append((attributes, row._replace(price=row.price * factor, tiers=tiers)))
    return found


@functools.cache
def _offer(service: str) -> list[tuple[dict[str, str], Row]]:
    return [*(_products() if service == "AmazonEC2" else ()), *_sampled(service)]


#: the services whose prices are known
OFFERS = tuple(dict.fromkeys(row.service for row in ROWS))


def _attributes(name: str, region: str, variant: tuple[str, str, str, float]) -> dict[str, str]:
    _, vcpus, memory, gpus, gpu_memory = TYPES[name]
    system, tenancy, capacity, _ = variant
    usage = "UnusedBox" if capacity == "UnusedCapacityReservation" else "BoxUsage"
    attributes = {
        "servicecode": "AmazonEC2",
        "servicename": "Amazon Elastic Compute Cloud",
        "instanceType": name,
        "instanceFamily": FAMILIES.get(name[0], "GPU instance"),
        "currentGeneration": "Yes",
        "vcpu": str(vcpus),
        "memory": memory,
        "location": REGIONS[region][0],
        "locationType": "AWS Region",
        "regionCode": region,
        "operatingSystem": system,
        "tenancy": tenancy,
        "capacitystatus": capacity,
        "preInstalledSw": "NA",
        "licenseModel": "No License required",
        "marketoption": "OnDemand",
        "operation": "RunInstances" if system == "Linux" else "RunInstances:0002",
        "usagetype": f"{usage}:{name}" if region == "us-east-1" else f"{PREFIXES[region]}-{usage}:{name}",
    }
    if gpus:
        attributes |= {"gpu": str(gpus), "gpuMemory": gpu_memory}
    return attributes


def _written(attributes: dict[str, str], row: Row) -> str:
    """One product as the price list writes it: JSON in a string."""
    kinds = ("usagetype", "operation", "accessType", "operatingSystem", "tenancy", "capacitystatus", "regionCode")
    key = "/".join(attributes[name] for name in kinds if name in attributes)
    sku = hashlib.sha256(f"{row.family}/{key}".encode()).hexdigest()[:16].upper()
    term = f"{sku}.JRTCKXETXF"
    begins = sorted({0: row.price, **row.tiers}.items())
    ends = [str(begin) for begin, _ in begins[1:]] + ["Inf"]
    dimensions = {
        f"{term}.{number:010}": {
            "unit": row.unit,
            "beginRange": str(begin),
            "endRange": end,
            "description": f"${price:.10g} per {row.unit} of {attributes['usagetype']}",
            "appliesTo": [],
            "rateCode": f"{term}.{number:010}",
            "pricePerUnit": {"USD": f"{price:.10f}"},
        }
        for number, ((begin, price), end) in enumerate(zip(begins, ends, strict=True))
    }
    offer = {
        "priceDimensions": dimensions,
        "sku": sku,
        "effectiveDate": f"{DATE}T00:00:00Z",
        "offerTermCode": "JRTCKXETXF",
        "termAttributes": {},
    }
    product: Params = {"attributes": attributes, "sku": sku}
    if row.family:
        product["productFamily"] = row.family
    return json.dumps(
        {
            "product": product,
            "serviceCode": attributes["servicecode"],
            "terms": {"OnDemand": {term: offer}},
            "version": DATE.replace("-", ""),
            "publicationDate": f"{DATE}T00:00:00Z",
        }
    )


def _service(call: Call) -> None:
    if call.region not in ENDPOINTS:
        raise AwsError("UnknownEndpoint", f"The price list has no endpoint in {call.region}: use us-east-1", 404)
    if call.params.get("ServiceCode") not in (None, *OFFERS):
        raise AwsError("NotFoundException", f"Service {call.params['ServiceCode']} not found")


@functools.lru_cache(1_000)
def _price_lists(service: str, filters: tuple[tuple[str, str, str], ...]) -> list[str]:
    """The products that pass the filters, as they are written: pages ask for the same ones again and again."""
    return [_written(*one) for one in _offer(service) if all(_passes(*one, *wanted) for wanted in filters)]


def _passes(attributes: dict[str, str], row: Row, of: str, kind: str, text: str) -> bool:
    value = attributes.get(of, "" if of != "productFamily" else row.family)
    if kind in ("TERM_MATCH", "EQUALS"):
        return value.lower() == text.lower()
    if kind == "CONTAINS":
        return text.lower() in value.lower()
    if kind in ("ANY_OF", "NONE_OF"):
        return (value in text.split(",")) == (kind == "ANY_OF")
    raise AwsError("InvalidParameterException", f"Unknown filter type: {kind}")


@on("pricing", "GetProducts")
def get_products(call: Call) -> Params:
    """Several products for one type, unless the filters name system, tenancy and capacity status too."""
    _service(call)
    filters = tuple((each["Field"], each["Type"], each["Value"]) for each in call.params.get("Filters") or [])
    found = _price_lists(call.params["ServiceCode"], filters)
    start = int(call.params.get("NextToken") or 0)
    end = start + (call.params.get("MaxResults") or 100)
    more = {"NextToken": str(end)} if end < len(found) else {}
    return {"FormatVersion": "aws_v1", "PriceList": found[start:end], **more}


@on("pricing", "DescribeServices")
def describe_services(call: Call) -> Params:
    _service(call)
    wanted = call.params.get("ServiceCode")
    told = [{"ServiceCode": of, "AttributeNames": sorted(_offer(of)[0][0])} for of in OFFERS]
    return {"Services": [each for each in told if wanted in (None, each["ServiceCode"])], "FormatVersion": "aws_v1"}


@on("pricing", "GetAttributeValues")
def get_attribute_values(call: Call) -> Params:
    _service(call)
    products = _offer(call.params["ServiceCode"])
    values = sorted({one[0].get(call.params["AttributeName"], "") for one in products} - {""})
    return {"AttributeValues": [{"Value": value} for value in values]}


def on_demand(region: str, kind: str) -> float:
    """USD an hour of an instance type with Linux."""
    return TYPES[kind][0] * REGIONS.get(region, ("", 1.3))[1]
