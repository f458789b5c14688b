"""What is going to cost money, told before it is made: AWS's own price of a host, asked from the Price List API.

https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-query-api.html
"""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

import aws
import constants
from aws import client, code, partition, region
from console import say


def tell_before() -> None:
    """One line: what an hour costs while hosts run, and what costs money although nothing runs."""
    always = standing()
    if constants.LAUNCH_TYPE == "FARGATE":
        idle = f"while no task runs: {always}" if always else "nothing while no task runs"
        say("costs", "each running task, by its vCPU and memory", f"{idle}, and what EFS stores")
        return
    hourly = host_price()
    price = f"${hourly:.3f} an hour on demand" if hourly else "see https://aws.amazon.com/ec2/pricing/on-demand/"
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
    """INSTANCE_TYPE in AWS's price list, Linux, on demand, in this region; {} where it can't be learned, and on Fargate."""
    if partition() != "aws" or constants.LAUNCH_TYPE == "FARGATE":
        return {}
    where = {"instanceType": constants.INSTANCE_TYPE, "regionCode": region(), "operatingSystem": "Linux"}
    wanted = {**where, "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
    filters: Any = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    try:
        pricing = client("pricing", region_name="us-east-1")
        found = pricing.get_products(ServiceCode="AmazonEC2", Filters=filters, MaxResults=1)["PriceList"]
    except ClientError as error:
        if code(error) not in ("AccessDeniedException", "AccessDenied", "UnrecognizedClientException"):
            raise
        return {}
    except BotoCoreError:  # the price is a courtesy: a network that does not reach us-east-1 is no reason to stop
        return {}
    return json.loads(found[0]) if found else {}


def host_price() -> float | None:
    """USD per hour; None where it can't be learned."""
    if not offer():
        return None
    [term] = offer()["terms"]["OnDemand"].values()
    [dimension] = term["priceDimensions"].values()
    return float(dimension["pricePerUnit"]["USD"])


def gpus_of_host() -> int | None:
    """How many GPUs the type has; None where the price list does not tell a number: a part of one, or nothing."""
    told = offer().get("product", {}).get("attributes", {}).get("gpu", "")
    return int(told) if told.isdigit() else None
