"""Elastic IP addresses and NAT gateways: an address is held by its gateway until that is really gone.

https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
"""

from __future__ import annotations

import types
from typing import Any

from emulator.core import quotas
from emulator.core.rules import SENTENCES, AwsError, Call, on
from emulator.core.world import ACCOUNT, World
from emulator.ec2 import interfaces, network
from emulator.ec2.region import (
    Item,
    backend_of,
    by_keys,
    drop_tags,
    find_subnet,
    hide,
    new_id,
    not_found,
    once,
    page,
    region_of,
    remember,
    select,
    set_tags,
    specified_tags,
    tags_of,
)

SENTENCES.update(
    {
        "ec2-010": "An address in use is not released, and one that a NAT gateway holds is not disassociated by hand.",
        "ec2-011": "A region has five Elastic IP addresses, until more are granted: AddressLimitExceeded.",
        "ec2-012": "A NAT gateway is pending for about a minute and a half.",
        "ec2-013": "Mistakes with a NAT gateway show later, as state failed with a FailureCode.",
        "ec2-014": "A NAT gateway is deleting for a minute, holds its address so long, and is seen as deleted for an hour.",
    }
)

#: states in which a NAT gateway counts against the quota of its zone
COUNTED = ("pending", "available", "deleting")
NAT_SECONDS = 90
NAT_FAILURE_SECONDS = 45
NAT_DELETE_SECONDS = 60
NAT_VISIBLE_SECONDS = 3600


# Addresses.


def find_address(region: str, params: Item) -> Any:
    allocation, public = params.get("AllocationId"), params.get("PublicIp")
    for address in backend_of(region).addresses:
        if (allocation and address.allocation_id == allocation) or (public and address.public_ip == public):
            return address
    if allocation:
        raise not_found(allocation, "eipalloc")
    if public:
        raise AwsError("InvalidAddress.NotFound", f"Address '{public}' not found.")
    raise AwsError("MissingParameter", "Either public IP or allocation id must be specified")


def address_shown(region: str, address: Any) -> Item:
    interface = address.eni
    attached = getattr(interface, "attached", None) or {}
    held = {
        "AssociationId": address.association_id,
        "NetworkInterfaceId": interface.id,
        "NetworkInterfaceOwnerId": ACCOUNT,
        "PrivateIpAddress": interface.private_ip_address,
        **({"InstanceId": attached["InstanceId"]} if attached.get("InstanceId") else {}),
    } if interface else {}  # fmt: skip
    return {
        "AllocationId": address.allocation_id,
        "PublicIp": address.public_ip,
        "Domain": "vpc",
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": region,
        "Tags": tags_of(region, address.allocation_id),
        **held,
    }


@on("ec2", "AllocateAddress", rules="ec2-011 sdk-005")
def allocate_address(call: Call) -> Item:
    """No client token: each call takes another address, up to the quota."""
    backend = backend_of(call.region)
    full = "The maximum number of addresses has been reached."
    quotas.refuse_more(call.world, "L-0263D0A3", len(backend.addresses), "AddressLimitExceeded", full)
    address = backend.allocate_address("vpc")
    address.public_ip = interfaces.public_address()
    set_tags(call.region, address.allocation_id, specified_tags(call.params, "elastic-ip"))
    hide(call.world, call.region, address.allocation_id)
    names = ("PublicIp", "AllocationId", "PublicIpv4Pool", "NetworkBorderGroup", "Domain")
    shown = address_shown(call.region, address)
    return {name: shown[name] for name in names}


@on("ec2", "DescribeAddresses")
def describe_addresses(call: Call) -> Item:
    params = call.params
    found = [find_address(call.region, {"AllocationId": one}) for one in params.get("AllocationIds") or []]
    found += [find_address(call.region, {"PublicIp": one}) for one in params.get("PublicIps") or []]
    if not params.get("AllocationIds") and not params.get("PublicIps"):
        found = list(backend_of(call.region).addresses)
    names = {
        "allocation-id": "AllocationId",
        "association-id": "AssociationId",
        "domain": "Domain",
        "instance-id": "InstanceId",
        "network-border-group": "NetworkBorderGroup",
        "network-interface-id": "NetworkInterfaceId",
        "network-interface-owner-id": "NetworkInterfaceOwnerId",
        "private-ip-address": "PrivateIpAddress",
        "public-ip": "PublicIp",
    }
    items = (address_shown(call.region, one) for one in found)
    return {"Addresses": select(items, params.get("Filters"), by_keys(names))}


@on("ec2", "ReleaseAddress", rules="ec2-010")
def release_address(call: Call) -> Item:
    address = find_address(call.region, call.params)
    if address.association_id:
        raise AwsError("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")
    backend_of(call.region).addresses.remove(address)
    drop_tags(call.region, address.allocation_id)
    return {}


def associate(region: str, address: Any, interface: Any) -> str:
    address.eni, address.association_id = interface, new_id("eipassoc")
    return str(address.association_id)


@on("ec2", "AssociateAddress")
def associate_address(call: Call) -> Item:
    params = call.params
    address = find_address(call.region, params)
    if instance_id := params.get("InstanceId"):
        instance = region_of(call.world, call.region).instances.get(instance_id)
        if instance is None:
            raise not_found(instance_id, "i")
        if instance["State"]["Name"] not in ("running", "stopped"):
            raise AwsError(
                "InvalidInstanceID",
                f"The {instance['State']['Name']} instance '{instance_id}' is not in a valid state for this operation.",
            )
        interface = interfaces.find_interface(call.region, instance["interface"])
    else:
        interface = interfaces.find_interface(call.region, params.get("NetworkInterfaceId") or "")
    vpc_id = interface.subnet.vpc_id
    if not network.gateway_of(call.region, vpc_id):
        raise AwsError("Gateway.NotAttached", f"Network {vpc_id} is not attached to any internet gateway")
    others = [one for one in backend_of(call.region).addresses if one.eni is interface and one is not address]
    if (address.association_id or others) and not params.get("AllowReassociation", True):
        raise AwsError(
            "Resource.AlreadyAssociated",
            f"resource {address.allocation_id} is already associated with associate-id {address.association_id}",
        )
    for other in others:
        other.eni = other.association_id = None
    return {"AssociationId": associate(call.region, address, interface)}


@on("ec2", "DisassociateAddress", rules="ec2-010")
def disassociate_address(call: Call) -> Item:
    association, public = call.params.get("AssociationId"), call.params.get("PublicIp")
    for address in backend_of(call.region).addresses:
        if (association and address.association_id == association) or (public and address.public_ip == public):
            if address.eni is not None and address.eni.requester_managed:
                raise AwsError("AuthFailure", "You do not have permission to access the specified resource.")
            address.eni = address.association_id = None
            return {}
    raise AwsError("InvalidAssociationID.NotFound", f"The association ID '{association}' does not exist")


# NAT gateways.


def find_nat(world: World, region: str, nat_id: str) -> Item:
    """A NAT gateway; the record of one that is deleted or failed goes after about an hour."""
    gateways = region_of(world, region).nat_gateways
    found = gateways.get(nat_id)
    if found is None or (found["gone_at"] is not None and found["gone_at"] <= world.now()):
        raise not_found(nat_id, "nat")
    return found


def nat_shown(region: str, nat: Item) -> Item:
    item = {key: value for key, value in nat.items() if key not in ("gone_at", "allocation")}
    return {**item, "Tags": tags_of(region, nat["NatGatewayId"])}


@on("ec2", "CreateNatGateway", rules="ec2-012 ec2-013 sdk-005")
def create_nat_gateway(call: Call) -> Item:
    """Nearly always a success at first. What is wrong shows when AWS has tried to build the gateway."""
    world, region, params = call.world, call.region, call.params
    if known := once(world, region, "CreateNatGateway", params):
        return {"NatGateway": nat_shown(region, find_nat(world, region, known)), "ClientToken": params["ClientToken"]}
    public = (params.get("ConnectivityType") or "public") == "public"
    if public and not params.get("AllocationId"):
        raise AwsError(
            "MissingParameter",
            "The request must include the AllocationId parameter. Add the required parameter and retry the request.",
        )
    subnet = find_subnet(region, params.get("SubnetId") or "")
    in_zone = [
        each
        for each in region_of(world, region).nat_gateways.values()
        if each["State"] in COUNTED
        and find_subnet(region, each["SubnetId"]).availability_zone == subnet.availability_zone
    ]
    full = f"Performing this operation would exceed the limit of {{limit}} NAT gateways in {subnet.availability_zone}"
    quotas.refuse_more(world, "L-FE5A380F", len(in_zone), "NatGatewayLimitExceeded", full)
    nat: Item = {
        "NatGatewayId": new_id("nat"),
        "CreateTime": world.timestamp(),
        "SubnetId": subnet.id,
        "VpcId": subnet.vpc_id,
        "State": "pending",
        "ConnectivityType": "public" if public else "private",
        "NatGatewayAddresses": [],
        "gone_at": None,
    }
    nat_id = nat["NatGatewayId"]
    region_of(world, region).nat_gateways[nat_id] = nat
    backend_of(region).nat_gateways[nat_id] = types.SimpleNamespace(id=nat_id)
    set_tags(region, nat_id, specified_tags(params, "natgateway"))
    remember(world, region, "CreateNatGateway", params, nat_id)
    hide(world, region, nat_id, 5)
    problem = nat_problem(region, subnet, params.get("AllocationId"), public)
    if problem:
        nat["NatGatewayAddresses"] = [{"AllocationId": params["AllocationId"]}] if public else []
        world.after(NAT_FAILURE_SECONDS, fail_nat, world, nat, *problem)
    else:
        equip_nat(world, region, nat, params)
        world.after(NAT_SECONDS, open_nat, nat)
    token = params.get("ClientToken")
    return {"NatGateway": nat_shown(region, nat), **({"ClientToken": token} if token else {})}


def nat_problem(region: str, subnet: Any, allocation: str | None, public: bool) -> tuple[str, str] | None:
    """FailureCode and FailureMessage of a gateway that AWS will not get to work."""
    if public:
        address = next((one for one in backend_of(region).addresses if one.allocation_id == allocation), None)
        if address is None:
            text = f"Elastic IP address {allocation} could not be associated with this NAT gateway"
            return "InvalidAllocationID.NotFound", text
        if address.association_id:
            return "Resource.AlreadyAssociated", f"Elastic IP address {allocation} is already associated"
        if not network.gateway_of(region, subnet.vpc_id):
            return "Gateway.NotAttached", f"Network {subnet.vpc_id} has no Internet gateway attached"
    try:
        interfaces.free_address(region, subnet)
    except AwsError:
        text = "Subnet has insufficient free addresses to create this NAT gateway"
        return "InsufficientFreeAddressesInSubnet", text
    return None


def equip_nat(world: World, region: str, nat: Item, params: Item) -> None:
    """Its interface stands in the subnet from the beginning, and holds the address."""
    shown = interfaces.create_interface(
        world,
        region,
        nat["SubnetId"],
        [],
        f"Interface for NAT Gateway {nat['NatGatewayId']}",
        interface_type="nat_gateway",
        requester="amazon-aws",
    )
    interface = interfaces.find_interface(region, shown["NetworkInterfaceId"])
    interface._group_set, interface.source_dest_check = [], False
    held = {"NetworkInterfaceId": interface.id, "PrivateIp": interface.private_ip_address, "IsPrimary": True}
    if params.get("AllocationId"):
        address = find_address(region, params)
        association = associate(region, address, interface)
        held.update(AllocationId=address.allocation_id, PublicIp=address.public_ip, AssociationId=association)
    nat["NatGatewayAddresses"] = [{**held, "Status": "succeeded"}]


def open_nat(nat: Item) -> None:
    if nat["State"] == "pending":
        nat["State"] = "available"


def fail_nat(world: World, nat: Item, code: str, message: str) -> None:
    nat.update(State="failed", FailureCode=code, FailureMessage=message)
    nat["gone_at"] = world.now() + NAT_VISIBLE_SECONDS


@on("ec2", "DeleteNatGateway", rules="ec2-014")
def delete_nat_gateway(call: Call) -> Item:
    nat = find_nat(call.world, call.region, call.params["NatGatewayId"])
    if nat["State"] in ("pending", "available", "failed"):
        nat.update(State="deleting", DeleteTime=call.world.timestamp(), gone_at=None)
        call.world.after(NAT_DELETE_SECONDS, finish_nat, call.world, call.region, nat)
    return {"NatGatewayId": nat["NatGatewayId"]}


def finish_nat(world: World, region: str, nat: Item) -> None:
    nat["State"] = "deleted"
    nat["gone_at"] = world.now() + NAT_VISIBLE_SECONDS
    for held in nat["NatGatewayAddresses"]:
        interface = backend_of(region).enis.get(held.get("NetworkInterfaceId", ""))
        for address in backend_of(region).addresses:
            if interface is not None and address.eni is interface:
                address.eni = address.association_id = None
        if interface is not None:
            interfaces.let_go(world, region, interface.id)


@on("ec2", "DescribeNatGateways", rules="ec2-014")
def describe_nat_gateways(call: Call) -> Item:
    """Dead ones are among them for about an hour: look at the state."""
    gateways = region_of(call.world, call.region).nat_gateways
    now = call.world.now()
    for nat_id in [key for key, nat in gateways.items() if nat["gone_at"] is not None and nat["gone_at"] <= now]:
        del gateways[nat_id]
        backend_of(call.region).nat_gateways.pop(nat_id, None)
        drop_tags(call.region, nat_id)
    wanted = call.params.get("NatGatewayIds")
    found = [find_nat(call.world, call.region, one) for one in wanted] if wanted else list(gateways.values())
    names = {"nat-gateway-id": "NatGatewayId", "state": "State", "subnet-id": "SubnetId", "vpc-id": "VpcId"}
    items = select((nat_shown(call.region, one) for one in found), call.params.get("Filter"), by_keys(names))
    items, token = page(items, call.params)
    return {"NatGateways": items, **({"NextToken": token} if token else {})}
