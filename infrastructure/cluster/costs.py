"""What is going to cost money, told before it is made: AWS's own price of a host, asked from the Price List API.

https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-query-api.html
"""

import json
import re
from collections import Counter
from typing import Any

import aws
import constants
from aws import partition, region
from console import say

#: where a person reads them; the API tells no price in dollars for China and GovCloud, and is asked for none
PRICES = {"aws": "https://aws.amazon.com/ec2/pricing/on-demand/", "aws-cn": "https://www.amazonaws.cn/en/ec2/pricing/"}
#: what Fargate on Linux and x86 is counted in, as the price list names it: USE1-Fargate-GB-Hours
VCPU_HOURS, GB_HOURS = "Fargate-vCPU-Hours:perCPU", "Fargate-GB-Hours"


def tell_before() -> None:
    """One line: what an hour costs while hosts run, and what costs money although nothing runs."""
    always = standing()
    if constants.LAUNCH_TYPE == "FARGATE":
        idle = f"while no task runs: {always}" if always else "nothing while no task runs"
        say("costs", "each running task, by its vCPU and memory", f"{idle}, and what EFS stores")
        return
    hourly = host_price()
    price = f"${hourly:.3f} an hour on demand" if hourly else f"see {PRICES.get(partition(), PRICES['aws'])}"
    spot = " (spot, for less)" if constants.CAPACITY_TYPE == "spot" else ""
    hosts = f"{constants.MIN_INSTANCES} to {constants.MAX_INSTANCES} {constants.INSTANCE_TYPE}{spot}"
    least = f"{constants.MIN_INSTANCES} hosts" if constants.MIN_INSTANCES else ""
    idle = ", ".join(filter(None, [least, always, "what EFS stores"]))
    say("costs", f"{hosts}, each {price} and {constants.ROOT_VOLUME_GIB} GiB of disk", f"while they run; idle: {idle}")


def standing() -> str:
    """What costs money by the hour though nothing runs: https://aws.amazon.com/elasticloadbalancing/pricing/, and
    https://aws.amazon.com/vpc/pricing/"""
    balancers = ["a load balancer, about $0.02 an hour"] if constants.LISTENER_PROTOCOL else []
    private = 0 if constants.VPC_ID or constants.NAT_GATEWAYS == "none" else len(constants.PRIVATE_SUBNET_CIDRS)
    count = min(private, 1) if constants.NAT_GATEWAYS == "single" else private
    gateways = [f"{count} NAT gateway{'s' if count > 1 else ''}, about $0.05 an hour each"] if count else []
    return ", ".join(balancers + gateways)


@aws.look
def offer() -> Any:
    """INSTANCE_TYPE in AWS's price list; {} where it can't be learned, and on Fargate."""
    return {} if constants.LAUNCH_TYPE == "FARGATE" else offer_of(constants.INSTANCE_TYPE)


def offer_of(kind: str) -> Any:
    """An instance type, Linux, on demand."""
    told = {"instanceType": kind, "operatingSystem": "Linux", "tenancy": "Shared", "capacitystatus": "Used"}
    return next(iter(price_list("AmazonEC2", preInstalledSw="NA", **told)), {})


def price_list(service_code: str, **attributes: str) -> list[Any]:
    """The products of this region with these attributes. A courtesy: none where AWS does not tell them soon."""
    if partition() != "aws":
        return []
    wanted = {"regionCode": region(), **attributes}
    filters: Any = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]

    def read() -> list[Any]:
        answer = aws.courtesy("pricing", "us-east-1").get_products(ServiceCode=service_code, Filters=filters)
        return [json.loads(each) for each in answer["PriceList"]]

    return aws.at_best(read)[0] or []


def price(product: Any) -> float | None:
    """USD per hour, or for what else it is counted in; None where it is told in another way than it is known here."""

    def read() -> float:
        [term] = product["terms"]["OnDemand"].values()
        [dimension] = term["priceDimensions"].values()
        return float(dimension["pricePerUnit"]["USD"])

    return aws.at_best(read)[0]


def host_price() -> float | None:
    """USD per hour; None where it can't be learned."""
    return price(offer())


def hourly(instances: list[Any]) -> float | None:
    """USD of these instances, each at the price of its own type; None where one of them can't be learned."""
    count = Counter(each["InstanceType"] for each in instances)
    others = [kind for kind in count if kind != constants.INSTANCE_TYPE]
    offers = dict(zip(others, aws.side_by_side(offer_of, others), strict=True))
    prices = {kind: price(offers[kind] if kind in offers else offer()) for kind in count}
    if None in prices.values():
        return None
    return round(sum(usd * count[kind] for kind, usd in prices.items() if usd), 4)


def hourly_on_fargate(tasks: list[Any]) -> float | None:
    """USD of these tasks, by the vCPUs and the memory of each: https://aws.amazon.com/fargate/pricing/"""
    if not tasks:
        return 0.0
    listed = {
        each.get("product", {}).get("attributes", {}).get("usagetype", ""): each for each in price_list("AmazonECS")
    }
    per = {re.sub(r"^[A-Z0-9]+-(?=Fargate)", "", usage): price(each) for usage, each in listed.items()}
    vcpu, gib = per.get(VCPU_HOURS), per.get(GB_HOURS)
    if vcpu is None or gib is None:
        return None
    return round(sum(int(each["cpu"]) * vcpu + int(each["memory"]) * gib for each in tasks) / 1024, 4)


def gpus_of_host() -> int | None:
    """How many GPUs the type has; None where the price list does not tell a number: a part of one, or nothing."""
    told = offer().get("product", {}).get("attributes", {}).get("gpu", "")
    return int(told) if told.isdigit() else None
