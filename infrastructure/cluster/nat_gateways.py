"""NAT gateways: the way out of the private subnets, each with an Elastic IP; and a free S3 endpoint for image layers.

A NAT gateway costs money from its first second to its last, so none is made unless there are private subnets.
https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-gateway.html
"""

from typing import Any

import aws
import constants
from aws import Resource, call, client, only, part, region, tag_filters, tag_specification, token, wait
from console import NEW, say
from infrastructure.cluster import network
from infrastructure.cluster.network import Kind, Network, Wanted, add_default_route, as_resources, remove_default_route

ALIVE = ("pending", "available")


@aws.look
def all_gateways() -> list[Any]:
    """Ours in any state; AWS lists a dead one for an hour."""
    return client("ec2").describe_nat_gateways(Filters=tag_filters())["NatGateways"]


@aws.look
def addresses() -> list[Any]:
    return client("ec2").describe_addresses(Filters=tag_filters())["Addresses"]


@aws.look
def s3_endpoints() -> list[Any]:
    found: list[Any] = client("ec2").describe_vpc_endpoints(Filters=tag_filters())["VpcEndpoints"]
    return [each for each in found if each["State"].lower() in ALIVE]


LOOKS = (all_gateways, addresses, s3_endpoints)


def gateways(*states: str) -> list[Any]:
    return [each for each in all_gateways() if each["State"] in (states or ALIVE)]


def find_gateway(each: str) -> Any | None:
    return only([found for found in gateways() if part(found) == each], f"NAT gateway {each}", "NatGatewayId")


def addresses_needed() -> "Wanted":
    """An Elastic IP for each gateway that is still to be made."""
    return ADDRESS, [each for each in gateway_names() if not find_gateway(each)]


def gateway_names() -> list[str]:
    """nat-1 and so on: one in each zone, or a single one."""
    zones = 0 if constants.VPC_ID else len(constants.PRIVATE_SUBNET_CIDRS)
    counts = {"none": 0, "single": min(1, zones), "per-zone": zones}
    return [f"nat-{number}" for number in range(1, counts[constants.NAT_GATEWAYS] + 1)]


def create(net: Network) -> None:
    """Ask for the gateways, one in each zone or a single one; ready after about two minutes."""
    if constants.VPC_ID or not constants.PRIVATE_SUBNET_CIDRS:
        return
    wanted, present = gateway_subnets(net), {each: find_gateway(each) for each in gateway_names()}
    if None in present.values():  # a former one still has the Elastic IP
        wait_gone([gateway["NatGatewayId"] for gateway in gateways("deleting")])
    # with the token of one that is dead AWS would answer that one, for as long as it lists it
    dead = sorted(gateway["NatGatewayId"] for gateway in gateways("failed", "deleted"))
    for each, subnet_id in wanted.items():
        if found := present[each]:
            say("found", f"NAT gateway {found['NatGatewayId']}", found["State"])
            continue
        where = {"SubnetId": subnet_id, "AllocationId": net.made[each]["AllocationId"]}
        its_tags, its_token = tag_specification("natgateway", each), token(*where.values(), *dead)
        made = client("ec2").create_nat_gateway(**where, ClientToken=its_token, TagSpecifications=its_tags)
        say("created", f"NAT gateway {made['NatGateway']['NatGatewayId']}", f"in {subnet_id}")


def wait_ready(net: Network) -> None:
    """Until each is available: only then may a route lead to it. Then the private subnets get their way out.

    What NAT_GATEWAYS no longer asks for goes, once no route leads to it.
    """
    if constants.VPC_ID or not constants.PRIVATE_SUBNET_CIDRS:
        return
    wanted = gateway_subnets(net)
    wait(
        "NAT gateways to be available",
        lambda: sum(gateway["State"] == "available" for gateway in gateways()) >= len(wanted),
        lambda: "; ".join(f"{g['NatGatewayId']} is {g['State']} {g.get('FailureMessage', '')}" for g in all_gateways()),
    )
    for number in range(1, len(constants.PRIVATE_SUBNET_CIDRS) + 1):
        if not wanted:
            remove_default_route(net.tables[f"private-{number}"])
            continue
        gateway = find_gateway(f"nat-{min(number, len(wanted))}") or {"NatGatewayId": NEW}
        add_default_route(net.tables[f"private-{number}"], NatGatewayId=gateway["NatGatewayId"])
    delete_surplus(gateway_names())


def take() -> None:
    """All of them for a while, once nothing needs a way out: no route leads to them then. Others come with other addresses."""
    for table in network.route_tables():
        remove_default_route(table)
    delete_surplus([])


def gateway_subnets(net: Network) -> dict[str, str]:
    """Each gateway -> the public subnet in which it is to be."""
    return dict(zip(gateway_names(), net.public_subnet_ids, strict=False))


def make_address(each: str) -> Any:
    """An Elastic IP. Its create call has no token, and a lost address costs money."""
    return client("ec2").allocate_address(Domain="vpc", TagSpecifications=tag_specification("elastic-ip", each))


def create_s3_endpoint(net: Network) -> None:
    """Image layers come from S3: through this endpoint they cost nothing, and pass no NAT gateway."""
    if constants.VPC_ID or not constants.PRIVATE_SUBNET_CIDRS:
        return
    ec2, tables = client("ec2"), [table["RouteTableId"] for table in net.tables.values()]
    endpoint = only(s3_endpoints(), "the S3 endpoint", "VpcEndpointId")
    if not endpoint:
        service, its_tags = f"com.amazonaws.{region()}.s3", tag_specification("vpc-endpoint", "s3")
        request: Any = {"ServiceName": service, "VpcEndpointType": "Gateway", "ClientToken": token(net.vpc_id, "s3")}
        made = ec2.create_vpc_endpoint(VpcId=net.vpc_id, RouteTableIds=tables, TagSpecifications=its_tags, **request)
        say("created", f"S3 endpoint {made['VpcEndpoint']['VpcEndpointId']}", "free")
        return
    if missing := sorted(set(tables) - set(endpoint["RouteTableIds"])):
        call(ec2.modify_vpc_endpoint, of=endpoint)(VpcEndpointId=endpoint["VpcEndpointId"], AddRouteTableIds=missing)
    say("found", f"S3 endpoint {endpoint['VpcEndpointId']}")


def delete() -> None:
    """Ask for the end of gateways and endpoint; they hold their subnets for a minute more."""
    for gateway in gateways():
        ask_for_end(gateway)
    for endpoint in s3_endpoints():
        call(client("ec2").delete_vpc_endpoints, of=endpoint)(VpcEndpointIds=[endpoint["VpcEndpointId"]])
        say("deleted", f"S3 endpoint {endpoint['VpcEndpointId']}")


def delete_surplus(wanted: list[str]) -> None:
    """What is not wanted any more, once no route leads to it; it costs money. Its Elastic IP goes with it."""
    surplus = [gateway for gateway in gateways(*ALIVE, "deleting") if part(gateway) not in wanted]
    for gateway in [each for each in surplus if each["State"] in ALIVE]:
        ask_for_end(gateway)
    wait_gone([gateway["NatGatewayId"] for gateway in surplus])
    for address in [each for each in addresses() if part(each) not in wanted]:
        release(address)


def ask_for_end(gateway: Any) -> None:
    its_id = gateway["NatGatewayId"]
    call(client("ec2").delete_nat_gateway, of=gateway, gone="NatGatewayNotFound")(NatGatewayId=its_id)
    say("deleted", f"NAT gateway {its_id}", "asked for")


def wait_gone(ids: list[str]) -> None:
    def going() -> list[str]:
        return [each["NatGatewayId"] for each in gateways(*ALIVE, "deleting") if each["NatGatewayId"] in ids]

    wait("NAT gateways to be gone", lambda: not going(), lambda: f"{', '.join(going())} still there")


def wait_deleted() -> None:
    """An Elastic IP can be released only when its gateway is gone; until then it costs money."""
    wait_gone([gateway["NatGatewayId"] for gateway in all_gateways()])
    aws.side_by_side(release, addresses())


def release(address: Any) -> None:
    its_id = address["AllocationId"]
    call(client("ec2").release_address, of=address, gone="InvalidAllocationID.NotFound")(AllocationId=its_id)
    say("deleted", f"Elastic IP {its_id}")


def in_use_first(found: list[Any]) -> list[Any]:
    """Another run may have made its gateway with one meanwhile, which AWS then does not release."""
    return sorted(found, key=lambda each: "AssociationId" not in each)


ADDRESS = Kind("Elastic IP", "AllocationId", addresses, make_address, release, in_use_first)


def left_over() -> list[Resource]:
    return as_resources(
        ("NAT gateway", "natgateway", "NatGatewayId", gateways(*ALIVE, "deleting")),
        ("Elastic IP", "elastic-ip", "AllocationId", addresses()),
        ("S3 endpoint", "vpc-endpoint", "VpcEndpointId", s3_endpoints()),
    )
