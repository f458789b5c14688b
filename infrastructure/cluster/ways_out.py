"""Whether hosts and tasks reach AWS from their subnets: one that does not never joins, and costs all the same.

A route to an internet gateway serves only what has a public address; a NAT gateway, or ECS's endpoints in the VPC, serve
all. Reads only.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/networking-outbound.html
"""

from typing import Any

import aws
import constants
from aws import Problem, client
from console import say
from infrastructure.cluster import auto_scaling_group, mount_targets, network


@aws.look
def tables() -> list[Any]:
    """The route tables of an adopted VPC."""
    filters: Any = [{"Name": "vpc-id", "Values": [constants.VPC_ID]}]
    return client("ec2").describe_route_tables(Filters=filters)["RouteTables"] if constants.VPC_ID else []


def check(new: bool) -> None:
    """Before hosts come to subnets: an adopted one without a way out is refused; private ones of ours without it are told.

    Adopted ones are looked at while the cluster is `new`, and where the settings name others than it is in.
    """
    warn_of_tasks()
    if not constants.VPC_ID:
        if constants.PRIVATE_SUBNET_CIDRS and constants.NAT_GATEWAYS == "none":
            way = "hosts and tasks there need ECS's endpoints in the VPC, or NAT_GATEWAYS=single"
            say("warning", "NAT_GATEWAYS=none: the private subnets have no way out:", way)
        return
    if not new and not moved():
        return
    setting = "PRIVATE_SUBNET_IDS" if constants.PRIVATE_SUBNET_IDS else "SUBNET_IDS"
    lacking = {each["SubnetId"]: why for each in network.named_subnets() if (why := lacks(each))}
    for subnet_id, why in lacking.items():
        if not has_endpoints():
            raise Problem(f"{setting}: {subnet_id} {why}")


def moved() -> bool:
    """Whether the settings name a subnet that hosts are not in; on Fargate mount targets, where there are any, tell it."""
    wanted = {*constants.WORK_SUBNET_IDS}
    if constants.LAUNCH_TYPE == "FARGATE":
        targets = {each["SubnetId"] for each in mount_targets.all_targets()}
        return bool(targets) and not wanted <= targets
    group = auto_scaling_group.find()
    return not group or not wanted <= {*group["VPCZoneIdentifier"].split(",")}


def has_endpoints() -> bool:
    """The three by which an agent finds its cluster without the internet.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
    """
    filters: Any = [{"Name": "vpc-id", "Values": [constants.VPC_ID]}]
    found = client("ec2").describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
    return {"ecs", "ecs-agent", "ecs-telemetry"} <= {each["ServiceName"].rpartition(".")[2] for each in found}


def lacks(subnet: Any) -> str:
    """Why a host in this subnet would not reach AWS, in words; "" where it does. A Fargate task asks for an address itself."""
    route = default_route(subnet["SubnetId"])
    needs = "it needs a route to a NAT gateway, or endpoints for ECS"
    if not route:
        return f"has no way out: {needs}"
    asks = constants.LAUNCH_TYPE == "FARGATE" and not constants.PRIVATE_SUBNET_IDS
    if not is_public(route) or asks or (constants.LAUNCH_TYPE == "EC2" and subnet["MapPublicIpOnLaunch"]):
        return ""
    return f"has no way out: its route leads to an internet gateway, but what is in it gets no public address; {needs}"


def default_route(subnet_id: str) -> Any | None:
    own = [each for each in tables() if any(one.get("SubnetId") == subnet_id for one in each["Associations"])]
    main = [each for each in tables() if any(one.get("Main") for one in each["Associations"])]
    routes = [route for table in own or main for route in table["Routes"] if route.get("State") == "active"]
    return next((route for route in routes if route.get("DestinationCidrBlock") == "0.0.0.0/0"), None)


def is_public(route: Any) -> bool:
    return str(route.get("GatewayId", "")).startswith("igw-")


def warn_of_tasks() -> None:
    """On a host ECS gives an awsvpc task no public address: what runs in it then reaches the VPC only.

    Its image, its secrets and its logs go by the host's interface.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-networking-awsvpc.html
    """
    if constants.LAUNCH_TYPE != "EC2" or constants.NETWORK_MODE != "awsvpc":
        return
    routes = [default_route(each) for each in constants.WORK_SUBNET_IDS]
    public = (
        any(route and is_public(route) for route in routes) if constants.VPC_ID else not constants.PRIVATE_SUBNET_CIDRS
    )
    if public:
        way = "name private subnets with a NAT gateway, or use NETWORK_MODE=bridge"
        say(
            "warning",
            "NETWORK_MODE=awsvpc in public subnets: tasks on hosts get no public address, and no way out:",
            way,
        )
