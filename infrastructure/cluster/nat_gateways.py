"""NAT gateways: the way out of the private subnets, each with an Elastic IP; and a free S3 endpoint for image layers.

A NAT gateway costs money from its first second to its last, so none is made unless there are private subnets.
https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-gateway.html
"""

from typing import Any

import constants
from aws import accepted, client, only, region, tag_filters, tag_specification, token, wait
from console import NEW, say
from infrastructure.cluster.network import Network, add_default_route, create_once, name_of

ALIVE = ("pending", "available")


def create(network: Network) -> None:
    """Ask for the gateways, one in each zone or a single one; ready after about two minutes."""
    if constants.VPC_ID or not constants.PRIVATE_SUBNET_CIDRS:
        return
    create_s3_endpoint(network)
    for number, subnet_id in enumerate(gateway_subnets(network), 1):
        gateway = find_gateway(number)
        if gateway:
            say("found", f"NAT gateway {gateway['NatGatewayId']}", gateway["State"])
            continue
        address_id = create_address(number)
        # with the token of one that is dead AWS would answer that one, for as long as it lists it
        dead = sorted(each["NatGatewayId"] for each in gateways(()) if each["State"] in ("failed", "deleted"))
        made = client("ec2").create_nat_gateway(
            SubnetId=subnet_id,
            AllocationId=address_id,
            ClientToken=token(subnet_id, address_id, *dead),
            TagSpecifications=tag_specification("natgateway", f"nat-{number}"),
        )
        say("created", f"NAT gateway {made['NatGateway']['NatGatewayId']}", f"in {subnet_id}")


def wait_ready(network: Network) -> None:
    """Until each is available: only then may a route lead to it. Then the private subnets get their way out."""
    if constants.VPC_ID or not constants.PRIVATE_SUBNET_CIDRS or constants.NAT_GATEWAYS == "none":
        return
    wanted = len(gateway_subnets(network))
    wait(
        "NAT gateways to be available",
        lambda: sum(gateway["State"] == "available" for gateway in gateways()) >= wanted,
        lambda: "; ".join(f"{g['NatGatewayId']} is {g['State']} {g.get('FailureMessage', '')}" for g in gateways(())),
    )
    for number in range(1, len(constants.PRIVATE_SUBNET_CIDRS) + 1):
        gateway = find_gateway(min(number, wanted)) or {"NatGatewayId": NEW}
        tables = client("ec2").describe_route_tables(Filters=tag_filters(f"private-{number}"))["RouteTables"]
        for table in tables:
            add_default_route(table["RouteTableId"], NatGatewayId=gateway["NatGatewayId"])
    delete_surplus(wanted)


def delete_surplus(wanted: int) -> None:
    """What NAT_GATEWAYS no longer asks for, once no route leads to it; it costs money. Its Elastic IP goes with it."""
    surplus = [gateway for gateway in gateways() if int(name_of(gateway).rsplit("-", 1)[-1]) > wanted]
    if not surplus:
        return
    ids = [gateway["NatGatewayId"] for gateway in surplus]
    for gateway_id in ids:
        accepted(lambda: client("ec2").delete_nat_gateway(NatGatewayId=gateway_id), "NatGatewayNotFound")
        say("deleted", f"NAT gateway {gateway_id}", "asked for")
    going = ("pending", "available", "deleting")
    wait(
        "NAT gateways to be gone",
        lambda: not [each for each in gateways(going) if each["NatGatewayId"] in ids],
        lambda: f"{', '.join(ids)} still there",
    )
    for each in surplus:
        for address in each["NatGatewayAddresses"]:
            accepted(
                lambda: client("ec2").release_address(AllocationId=address["AllocationId"]),
                "InvalidAllocationID.NotFound",
            )
            say("deleted", f"Elastic IP {address['AllocationId']}")


def gateway_subnets(network: Network) -> list[str]:
    """The public subnets in which a gateway is to be."""
    counts = {"none": 0, "single": 1, "per-zone": len(constants.PRIVATE_SUBNET_CIDRS)}
    return network.public_subnet_ids[: counts[constants.NAT_GATEWAYS]]


def create_address(number: int) -> str:
    """An Elastic IP. Its create call has no token, and a lost address costs money: so look twice."""
    ec2 = client("ec2")

    def find_all() -> list[str]:
        found = ec2.describe_addresses(Filters=tag_filters(f"nat-{number}"))["Addresses"]
        return sorted(address["AllocationId"] for address in found)

    address_id = only(find_all(), f"the Elastic IP of NAT gateway {number}", str)
    return address_id or create_once(
        "Elastic IP",
        find_all,
        lambda: ec2.allocate_address(Domain="vpc", TagSpecifications=tag_specification("elastic-ip", f"nat-{number}"))[
            "AllocationId"
        ],
        lambda address_id: ec2.release_address(AllocationId=address_id),
    )


def gateways(states: tuple[str, ...] = ALIVE) -> list[dict[str, Any]]:
    """Ours in these states (none: in any); AWS lists a dead one for an hour."""
    filters = [*tag_filters(), {"Name": "state", "Values": list(states)}] if states else tag_filters()
    return client("ec2").describe_nat_gateways(Filters=filters)["NatGateways"]  # type: ignore[no-any-return]


def find_gateway(number: int) -> dict[str, Any] | None:
    found = [gateway for gateway in gateways() if name_of(gateway).endswith(f"-nat-{number}")]
    return only(found, f"NAT gateway {number}", lambda gateway: gateway["NatGatewayId"])


def create_s3_endpoint(network: Network) -> None:
    """Image layers come from S3: through this endpoint they cost nothing, and pass no NAT gateway."""
    ec2 = client("ec2")
    tables = [table["RouteTableId"] for table in ec2.describe_route_tables(Filters=tag_filters())["RouteTables"]]
    endpoint = find_s3_endpoint()
    if not endpoint:
        made = ec2.create_vpc_endpoint(
            VpcId=network.vpc_id,
            ServiceName=f"com.amazonaws.{region()}.s3",
            VpcEndpointType="Gateway",
            RouteTableIds=tables,
            ClientToken=token(network.vpc_id, "s3"),
            TagSpecifications=tag_specification("vpc-endpoint", "s3"),
        )
        return say("created", f"S3 endpoint {made['VpcEndpoint']['VpcEndpointId']}", "free")
    missing = sorted(set(tables) - set(endpoint["RouteTableIds"]))
    if missing:
        ec2.modify_vpc_endpoint(VpcEndpointId=endpoint["VpcEndpointId"], AddRouteTableIds=missing)
    return say("found", f"S3 endpoint {endpoint['VpcEndpointId']}")


def find_s3_endpoint() -> dict[str, Any] | None:
    found = client("ec2").describe_vpc_endpoints(Filters=tag_filters("s3"))["VpcEndpoints"]
    alive = [endpoint for endpoint in found if endpoint["State"].lower() in ("pending", "available")]
    return only(alive, "the S3 endpoint", lambda endpoint: endpoint["VpcEndpointId"])


def delete() -> None:
    """Ask for the end of gateways and endpoint; they hold their subnets for a minute more."""
    ec2 = client("ec2")
    for gateway in gateways():
        accepted(lambda: ec2.delete_nat_gateway(NatGatewayId=gateway["NatGatewayId"]), "NatGatewayNotFound")
        say("deleted", f"NAT gateway {gateway['NatGatewayId']}", "asked for")
    endpoint = find_s3_endpoint()
    if endpoint:
        ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
        say("deleted", f"S3 endpoint {endpoint['VpcEndpointId']}")


def wait_deleted() -> None:
    """An Elastic IP can be released only when its gateway is gone; until then it costs money."""
    going = ("pending", "available", "deleting")
    wait("NAT gateways to be gone", lambda: not gateways(going), lambda: f"{len(gateways(going))} still there")
    ec2 = client("ec2")
    for address in ec2.describe_addresses(Filters=tag_filters())["Addresses"]:
        accepted(lambda: ec2.release_address(AllocationId=address["AllocationId"]), "InvalidAllocationID.NotFound")
        say("deleted", f"Elastic IP {address['AllocationId']}")


def left_over() -> list[str]:
    addresses = client("ec2").describe_addresses(Filters=tag_filters())["Addresses"]
    endpoint = find_s3_endpoint()
    left = [f"NAT gateway {gateway['NatGatewayId']}" for gateway in gateways((*ALIVE, "deleting"))]
    left += [f"Elastic IP {address['AllocationId']}" for address in addresses]
    return left + ([f"S3 endpoint {endpoint['VpcEndpointId']}"] if endpoint else [])
