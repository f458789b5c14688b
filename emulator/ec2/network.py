"""VPCs, subnets, internet gateways, route tables and VPC endpoints, and the order in which they may go.

moto keeps them. What is added: things are pending for a moment, and nothing goes that something else stands on.
https://docs.aws.amazon.com/vpc/latest/userguide/delete-vpc.html
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

from emulator.core import quotas
from emulator.core.rules import SENTENCES, AwsError, Call, on
from emulator.core.world import World
from emulator.ec2 import interfaces
from emulator.ec2.region import (
    Item,
    backend_of,
    by_keys,
    drop_tags,
    find_subnet,
    find_vpc,
    hide,
    not_found,
    once,
    page,
    region_of,
    remember,
    select,
    unseen,
)

SENTENCES.update(
    {
        "ec2-001": "A new VPC or subnet is pending before it is available.",
        "ec2-004": "DNS support and DNS hostnames are changed one at a time, hostnames need support, and both take time.",
        "ec2-005": "A VPC goes after all that is in it: DependencyViolation; it is still seen for a moment after.",
        "ec2-006": "A subnet goes after the last network interface in it, whoever owns that: DependencyViolation.",
        "ec2-007": "An internet gateway is attached after a moment, and a VPC takes one only.",
        "ec2-008": "An internet gateway can not be detached while a public address is mapped in its VPC.",
        "ec2-009": "An internet gateway is detached before it is deleted; detaching twice is Gateway.NotAttached.",
        "ec2-015": "A second route for the same destination is RouteAlreadyExists.",
        "ec2-016": "A route through a gateway that EC2 does not know (yet) is NotFound; through a dead one a blackhole.",
        "ec2-017": "A route table goes after its subnets have let go of it, the main one only with its VPC.",
    }
)

PENDING_SECONDS = 3
ATTACH_SECONDS = 2
ATTRIBUTE_SECONDS = 4
LEAVING_SECONDS = 3


def depends(kind: str, identifier: str) -> AwsError:
    return AwsError("DependencyViolation", f"The {kind} '{identifier}' has dependencies and cannot be deleted.")


#: filter -> where its value stands in what a Describe shows; a list on the way stands for each of its items
VPC_FILTERS = {
    "cidr": "CidrBlock",
    "cidr-block": "CidrBlock",
    "cidr-block-association.cidr-block": "CidrBlockAssociationSet.CidrBlock",
    "dhcp-options-id": "DhcpOptionsId",
    "is-default": "IsDefault",
    "owner-id": "OwnerId",
    "state": "State",
    "vpc-id": "VpcId",
}
SUBNET_FILTERS = {
    "availability-zone": "AvailabilityZone",
    "availability-zone-id": "AvailabilityZoneId",
    "available-ip-address-count": "AvailableIpAddressCount",
    "cidr": "CidrBlock",
    "cidr-block": "CidrBlock",
    "default-for-az": "DefaultForAz",
    "map-public-ip-on-launch": "MapPublicIpOnLaunch",
    "owner-id": "OwnerId",
    "state": "State",
    "subnet-arn": "SubnetArn",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
}
GATEWAY_FILTERS = {
    "attachment.state": "Attachments.State",
    "attachment.vpc-id": "Attachments.VpcId",
    "internet-gateway-id": "InternetGatewayId",
    "owner-id": "OwnerId",
}
TABLE_FILTERS = {
    "association.gateway-id": "Associations.GatewayId",
    "association.main": "Associations.Main",
    "association.route-table-association-id": "Associations.RouteTableAssociationId",
    "association.route-table-id": "Associations.RouteTableId",
    "association.subnet-id": "Associations.SubnetId",
    "owner-id": "OwnerId",
    "route.destination-cidr-block": "Routes.DestinationCidrBlock",
    "route.gateway-id": "Routes.GatewayId",
    "route.nat-gateway-id": "Routes.NatGatewayId",
    "route.origin": "Routes.Origin",
    "route.state": "Routes.State",
    "route-table-id": "RouteTableId",
    "vpc-id": "VpcId",
}
VOLUME_FILTERS = {
    "attachment.delete-on-termination": "Attachments.DeleteOnTermination",
    "attachment.device": "Attachments.Device",
    "attachment.instance-id": "Attachments.InstanceId",
    "attachment.status": "Attachments.State",
    "availability-zone": "AvailabilityZone",
    "encrypted": "Encrypted",
    "size": "Size",
    "snapshot-id": "SnapshotId",
    "status": "State",
    "volume-id": "VolumeId",
    "volume-type": "VolumeType",
}
ENDPOINT_FILTERS = {
    "service-name": "ServiceName",
    "vpc-endpoint-id": "VpcEndpointId",
    "vpc-endpoint-state": "State",
    "vpc-endpoint-type": "VpcEndpointType",
    "vpc-id": "VpcId",
}


def by_paths(paths: dict[str, str]) -> Callable[[Item, str], Any]:
    def value(item: Item, name: str) -> Any:
        found: list[Any] = [item]
        for step in paths[name].split(".") if name in paths else ():
            found = [one[step] for one in found if one.get(step) is not None]
            found = [inner for one in found for inner in (one if isinstance(one, list) else [one])]
        return found if name in paths else None

    return value


def is_plain_tag(wanted: Item) -> bool:
    """A tag with its exact value, without * and ?."""
    return wanted["Name"].startswith("tag:") and not re.search(r"[^\w-]", "".join(wanted.get("Values", [])))


def described(call: Call, name: str, paths: dict[str, str], amend: Callable[[Item], None] | None = None) -> Item:
    """moto's list with what the emulator knows better, and all of AWS's filters on it."""
    params = dict(call.params)
    filters = params.get("Filters") or []
    # moto takes long to write down what the first filters, where they are plain tags, would drop again
    plain = list(itertools.takewhile(is_plain_tag, filters)) or None
    items = call.proceed(Filters=plain, MaxResults=None, NextToken=None)[name]
    if amend is not None:
        for item in items:
            amend(item)
    items, token = page(select(items, filters, by_paths(paths)), params)
    return {name: items, **({"NextToken": token} if token else {})}


# VPCs.


@on("ec2", "CreateVpc", rules="ec2-001 ec2-002")
def create_vpc(call: Call) -> Item:
    full = "The maximum number of VPCs has been reached."
    quotas.refuse_more(call.world, "L-F678F1CE", len(backend_of(call.region).vpcs), "VpcLimitExceeded", full)
    answer = call.proceed()
    return {"Vpc": pend(call, backend_of(call.region).vpcs[answer["Vpc"]["VpcId"]], answer["Vpc"])}


def pend(call: Call, made: Any, shown: Item) -> Item:
    """Let a new VPC or subnet be pending, and unknown to others, for a moment."""
    made.state = "pending"
    call.world.after(PENDING_SECONDS, settle, made)
    hide(call.world, call.region, made.id, 2)
    return {**shown, "State": "pending"}


def settle(made: Any) -> None:
    made.state = "available"


@on("ec2", "DescribeVpcs")
def describe_vpcs(call: Call) -> Item:
    for vpc_id in call.params.get("VpcIds") or []:
        find_vpc(call.region, vpc_id)
    return described(call, "Vpcs", VPC_FILTERS)


@on("ec2", "ModifyVpcAttribute", rules="ec2-004")
def modify_vpc_attribute(call: Call) -> Item:
    params = call.params
    vpc = find_vpc(call.region, params["VpcId"])
    support, hostnames = params.get("EnableDnsSupport"), params.get("EnableDnsHostnames")
    if support is not None and hostnames is not None:
        raise AwsError(
            "InvalidParameterCombination",
            "The parameters enableDnsSupport and enableDnsHostnames cannot be changed in the same request.",
        )
    wanted: Item = getattr(vpc, "wanted", {})
    has_support = wanted.get("enable_dns_support", str(vpc.enable_dns_support).lower() == "true")
    if hostnames is not None and hostnames["Value"] and not has_support:
        raise AwsError(
            "InvalidParameterCombination",
            f"The VPC {vpc.id} must have DNS support enabled before DNS hostnames can be enabled.",
        )
    given = {"enable_dns_support": support, "enable_dns_hostnames": hostnames}
    given["enable_network_address_usage_metrics"] = params.get("EnableNetworkAddressUsageMetrics")
    vpc.wanted = {**wanted, **{name: one["Value"] for name, one in given.items() if one is not None}}
    call.world.after(ATTRIBUTE_SECONDS, apply_attributes, vpc)
    return {}


def apply_attributes(vpc: Any) -> None:
    for name, value in vpc.wanted.items():
        setattr(vpc, name, str(value).lower())


@on("ec2", "DescribeVpcAttribute")
def describe_vpc_attribute(call: Call) -> Item:
    vpc = find_vpc(call.region, call.params["VpcId"])
    attribute = call.params["Attribute"]
    names = {
        "enableDnsSupport": ("EnableDnsSupport", "enable_dns_support"),
        "enableDnsHostnames": ("EnableDnsHostnames", "enable_dns_hostnames"),
        "enableNetworkAddressUsageMetrics": (
            "EnableNetworkAddressUsageMetrics",
            "enable_network_address_usage_metrics",
        ),
    }
    if attribute not in names:
        raise AwsError("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid.")
    shown, name = names[attribute]
    return {"VpcId": vpc.id, shown: {"Value": str(getattr(vpc, name)).lower() == "true"}}


@on("ec2", "DeleteVpc", rules="ec2-005")
def delete_vpc(call: Call) -> Item:
    """Refused while anything is inside; after that the VPC is still seen for a moment."""
    vpc = find_vpc(call.region, call.params["VpcId"])
    if holds_something(call.region, vpc.id):
        raise depends("vpc", vpc.id)
    region_of(call.world, call.region).leaving.add(vpc.id)
    call.world.after(LEAVING_SECONDS, finish_vpc, call.world, call.region, vpc.id)
    return {}


def holds_something(region: str, vpc_id: str) -> bool:
    backend = backend_of(region)
    subnets = (subnet for zone in backend.subnets.values() for subnet in zone.values())
    return (
        any(subnet.vpc_id == vpc_id for subnet in subnets)
        or any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in backend.internet_gateways.values())
        or any(not group.is_default for group in backend.groups[vpc_id].values())
        or any(table.vpc_id == vpc_id and not table.main_association_id for table in backend.route_tables.values())
        or any(end.vpc_id == vpc_id and end.state != "deleted" for end in backend.vpc_end_points.values())
        or bool(interfaces.in_vpc(region, vpc_id))
    )


def finish_vpc(world: World, region: str, vpc_id: str) -> None:
    backend = backend_of(region)
    region_of(world, region).leaving.discard(vpc_id)
    for table_id in [key for key, table in backend.route_tables.items() if table.vpc_id == vpc_id]:
        del backend.route_tables[table_id]
        drop_tags(region, table_id)
    backend.groups.pop(vpc_id, None)
    backend.vpcs.pop(vpc_id, None)
    backend.network_acls = {key: acl for key, acl in backend.network_acls.items() if acl.vpc_id != vpc_id}
    drop_tags(region, vpc_id)


# Subnets.


@on("ec2", "CreateSubnet", rules="ec2-001 ec2-002")
def create_subnet(call: Call) -> Item:
    """Pending at first. Without a zone AWS picks one; a zone of another region is refused."""
    params = call.params
    find_vpc(call.region, params["VpcId"])
    zones = {zone.name: zone.zone_id for zone in backend_of(call.region).describe_availability_zones()}
    zone = params.get("AvailabilityZone")
    if zone is not None and zone not in zones:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the "
            f"following availability zones: {', '.join(zones)}.",
        )
    if zone is None:
        zone_id = params.get("AvailabilityZoneId")
        zone = next((name for name, known in zones.items() if known == zone_id), next(iter(zones)))
    answer = call.proceed(AvailabilityZone=zone, AvailabilityZoneId=None)
    made = find_subnet(call.region, answer["Subnet"]["SubnetId"])
    made.map_public_ip_on_launch = made.default_for_az = False
    shown = {**answer["Subnet"], "MapPublicIpOnLaunch": False, "DefaultForAz": False}
    return {"Subnet": pend(call, made, shown)}


@on("ec2", "DescribeSubnets")
def describe_subnets(call: Call) -> Item:
    """The free addresses are those that no interface has."""
    for subnet_id in call.params.get("SubnetIds") or []:
        find_subnet(call.region, subnet_id)
    taken: dict[str, int] = {}
    for interface in interfaces.interfaces(call.region):
        taken[interface.subnet.id] = taken.get(interface.subnet.id, 0) + 1

    def count(subnet: Item) -> None:
        size = 2 ** (32 - int(subnet["CidrBlock"].split("/")[1]))
        subnet["AvailableIpAddressCount"] = size - 5 - taken.get(subnet["SubnetId"], 0)

    return described(call, "Subnets", SUBNET_FILTERS, count)


@on("ec2", "DeleteSubnet", rules="ec2-006")
def delete_subnet(call: Call) -> Item:
    """Refused while an interface is inside; the association with a route table goes with the subnet."""
    subnet = find_subnet(call.region, call.params["SubnetId"])
    if interfaces.in_subnet(call.region, subnet.id):
        raise depends("subnet", subnet.id)
    call.proceed()
    for table in backend_of(call.region).route_tables.values():
        for association in [key for key, target in table._associations.items() if target == subnet.id]:
            del table._associations[association]
    drop_tags(call.region, subnet.id)
    return {}


# Internet gateways.


def find_gateway(region: str, gateway_id: str) -> Any:
    gateway = backend_of(region).internet_gateways.get(gateway_id)
    if gateway is None:
        raise not_found(gateway_id, "igw")
    return gateway


@on("ec2", "CreateInternetGateway", rules="ec2-002")
def create_internet_gateway(call: Call) -> Item:
    there, full = (
        len(backend_of(call.region).internet_gateways),
        "The maximum number of internet gateways has been reached.",
    )
    quotas.refuse_more(call.world, "L-A4707A72", there, "InternetGatewayLimitExceeded", full)
    answer = call.proceed()
    hide(call.world, call.region, answer["InternetGateway"]["InternetGatewayId"])
    return answer


@on("ec2", "DescribeInternetGateways", rules="ec2-007")
def describe_internet_gateways(call: Call) -> Item:
    for gateway_id in call.params.get("InternetGatewayIds") or []:
        find_gateway(call.region, gateway_id)
    attaching = region_of(call.world, call.region).attaching

    def tell(gateway: Item) -> None:
        if gateway["InternetGatewayId"] in attaching:
            gateway["Attachments"] = [{**one, "State": "attaching"} for one in gateway["Attachments"]]

    return described(call, "InternetGateways", GATEWAY_FILTERS, tell)


@on("ec2", "AttachInternetGateway", rules="ec2-007")
def attach_internet_gateway(call: Call) -> Item:
    gateway = find_gateway(call.region, call.params["InternetGatewayId"])
    vpc = find_vpc(call.region, call.params["VpcId"])
    if gateway.vpc:
        raise AwsError(
            "Resource.AlreadyAssociated", f"resource {gateway.id} is already attached to network {gateway.vpc.id}"
        )
    if gateway_of(call.region, vpc.id):
        raise AwsError("InvalidParameterValue", f"Network {vpc.id} already has an internet gateway attached")
    gateway.vpc = vpc
    attaching = region_of(call.world, call.region).attaching
    attaching.add(gateway.id)
    call.world.after(ATTACH_SECONDS, attaching.discard, gateway.id)
    return {}


def gateway_of(region: str, vpc_id: str) -> Any:
    """The internet gateway that is attached to a VPC."""
    gateways = backend_of(region).internet_gateways.values()
    return next((gateway for gateway in gateways if gateway.vpc and gateway.vpc.id == vpc_id), None)


@on("ec2", "DetachInternetGateway", rules="ec2-008 ec2-009")
def detach_internet_gateway(call: Call) -> Item:
    gateway = find_gateway(call.region, call.params["InternetGatewayId"])
    vpc_id = call.params["VpcId"]
    find_vpc(call.region, vpc_id)
    if not gateway.vpc or gateway.vpc.id != vpc_id:
        raise AwsError("Gateway.NotAttached", f"resource {gateway.id} is not attached to network {vpc_id}")
    if any(interfaces.association(call.region, one) for one in interfaces.in_vpc(call.region, vpc_id)):
        raise AwsError(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
            "detaching the gateway.",
        )
    gateway.vpc = None
    return {}


@on("ec2", "DeleteInternetGateway", rules="ec2-009")
def delete_internet_gateway(call: Call) -> Item:
    gateway = find_gateway(call.region, call.params["InternetGatewayId"])
    if gateway.vpc:
        raise depends("internetGateway", gateway.id)
    del backend_of(call.region).internet_gateways[gateway.id]
    drop_tags(call.region, gateway.id)
    return {}


# Route tables.


def find_table(region: str, table_id: str) -> Any:
    table = backend_of(region).route_tables.get(table_id)
    if table is None:
        raise not_found(table_id, "rtb")
    return table


@on("ec2", "CreateRouteTable", rules="ec2-002 sdk-005")
def create_route_table(call: Call) -> Item:
    """With a client token that has made one already: that one, as it is now."""
    find_vpc(call.region, call.params["VpcId"])
    if known := once(call.world, call.region, "CreateRouteTable", call.params):
        find_table(call.region, known)
        [shown] = call.moto("ec2").describe_route_tables(RouteTableIds=[known])["RouteTables"]
        return {"RouteTable": shown, "ClientToken": call.params["ClientToken"]}
    answer = call.proceed()
    hide(call.world, call.region, answer["RouteTable"]["RouteTableId"])
    remember(call.world, call.region, "CreateRouteTable", call.params, answer["RouteTable"]["RouteTableId"])
    return answer


@on("ec2", "DescribeRouteTables", rules="ec2-014")
def describe_route_tables(call: Call) -> Item:
    """Routes to a gateway that is gone stay, as blackholes."""
    for table_id in call.params.get("RouteTableIds") or []:
        find_table(call.region, table_id)
    gateways = backend_of(call.region).internet_gateways
    nat_gateways = region_of(call.world, call.region).nat_gateways

    def tell(table: Item) -> None:
        for route in table.get("Routes", []):
            through, nat = route.get("GatewayId", ""), route.get("NatGatewayId")
            attached = gateways[through].vpc if through in gateways else None
            if through.startswith("igw-") and (attached is None or attached.id != table["VpcId"]):
                route["State"] = "blackhole"
            if nat and nat_gateways.get(nat, {}).get("State") not in ("pending", "available"):
                route["State"] = "blackhole"

    return described(call, "RouteTables", TABLE_FILTERS, tell)


@on("ec2", "CreateRoute", "ReplaceRoute", rules="ec2-015 ec2-016")
def create_route(call: Call) -> Item:
    """The gateway must be there, and in the VPC of the table; a destination has one route."""
    table = find_table(call.region, call.params["RouteTableId"])
    gateway_id, nat_id = call.params.get("GatewayId"), call.params.get("NatGatewayId")
    if gateway_id and gateway_id.startswith("igw-"):
        gateway = backend_of(call.region).internet_gateways.get(gateway_id)
        if gateway is None:
            raise unseen("CreateRoute", gateway_id)
        if not gateway.vpc or gateway.vpc.id != table.vpc_id:
            raise AwsError(
                "InvalidParameterValue",
                f"route table {table.id} and network gateway {gateway_id} belong to different networks",
            )
    if nat_id:
        nat = region_of(call.world, call.region).nat_gateways.get(nat_id)
        if nat is None or nat["State"] in ("deleting", "deleted", "failed"):
            raise unseen("CreateRoute", nat_id)
        if nat["VpcId"] != table.vpc_id:
            raise AwsError(
                "InvalidParameterValue", f"route table {table.id} and natGateway {nat_id} belong to different networks"
            )
    destination = call.params.get("DestinationIpv6CidrBlock")
    known = any(route.destination_ipv6_cidr_block == destination for route in table._routes.values())
    if call.operation == "CreateRoute" and destination and known:
        raise AwsError("RouteAlreadyExists", f"The route identified by {destination} already exists.")
    return call.proceed()


@on("ec2", "DeleteRouteTable", rules="ec2-017")
def delete_route_table(call: Call) -> Item:
    table = find_table(call.region, call.params["RouteTableId"])
    if table._associations or table.main_association_id:
        raise depends("routeTable", table.id)
    del backend_of(call.region).route_tables[table.id]
    drop_tags(call.region, table.id)
    return {}


@on("ec2", "AssociateRouteTable")
def associate_route_table(call: Call) -> Item:
    """A subnet has one table of its own: another one is refused, the same one is no change."""
    table, subnet_id = find_table(call.region, call.params["RouteTableId"]), call.params.get("SubnetId")
    if subnet_id and find_subnet(call.region, subnet_id).vpc_id != table.vpc_id:
        raise AwsError(
            "InvalidParameterValue", f"route table {table.id} and subnet {subnet_id} belong to different networks"
        )
    for other in backend_of(call.region).route_tables.values():
        if subnet_id and other is not table and subnet_id in other._associations.values():
            raise AwsError(
                "Resource.AlreadyAssociated",
                f"the specified association for route table {table.id} conflicts with an existing association",
            )
    return {**call.proceed(), "AssociationState": {"State": "associated"}}


@on("ec2", "DisassociateRouteTable", rules="ec2-017")
def disassociate_route_table(call: Call) -> Item:
    wanted = call.params["AssociationId"]
    for table in backend_of(call.region).route_tables.values():
        if table.main_association_id == wanted:
            raise AwsError("InvalidParameterValue", f"cannot disassociate the main route table association {wanted}")
        if wanted in table._associations:
            del table._associations[wanted]
            return {}
    raise AwsError("InvalidAssociationID.NotFound", f"The association ID '{wanted}' does not exist")


# VPC endpoints.


@on("ec2", "CreateVpcEndpoint")
def create_vpc_endpoint(call: Call) -> Item:
    """A gateway endpoint is ready soon; an interface endpoint makes its own interfaces, and takes a minute."""
    params = call.params
    find_vpc(call.region, params["VpcId"])
    for table_id in params.get("RouteTableIds") or []:
        find_table(call.region, table_id)
    gateway = (params.get("VpcEndpointType") or "Gateway") == "Gateway"
    subnets = [] if gateway else params.get("SubnetIds") or []
    answer = call.proceed(SubnetIds=None)
    made = backend_of(call.region).vpc_end_points[answer["VpcEndpoint"]["VpcEndpointId"]]
    made.subnet_ids, made.network_interface_ids = subnets, []
    for subnet_id in subnets:
        interface = interfaces.create_interface(
            call.world,
            call.region,
            subnet_id,
            params.get("SecurityGroupIds") or [],
            f"VPC Endpoint Interface {made.id}",
            interface_type="vpc_endpoint",
            requester="amazon-aws",
        )
        made.network_interface_ids.append(interface["NetworkInterfaceId"])
    made.state = "pending"
    call.world.after(4 if gateway else 60, settle, made)
    shown = {**answer["VpcEndpoint"], "State": "pending", "SubnetIds": subnets}
    return {"VpcEndpoint": {**shown, "NetworkInterfaceIds": list(made.network_interface_ids)}}


@on("ec2", "DescribeVpcEndpoints")
def describe_vpc_endpoints(call: Call) -> Item:
    for endpoint_id in call.params.get("VpcEndpointIds") or []:
        if endpoint_id not in backend_of(call.region).vpc_end_points:
            raise not_found(endpoint_id, "vpce")
    return described(call, "VpcEndpoints", ENDPOINT_FILTERS)


@on("ec2", "DescribeVolumes")
def describe_volumes(call: Call) -> Item:
    for volume_id in call.params.get("VolumeIds") or []:
        if volume_id not in backend_of(call.region).volumes:
            raise not_found(volume_id, "vol")
    return described(call, "Volumes", VOLUME_FILTERS)


@on("ec2", "DeleteVpcEndpoints")
def delete_vpc_endpoints(call: Call) -> Item:
    """They are 'deleting' for a while; unknown ids are told in the answer."""
    backend = backend_of(call.region)
    refused = []
    for endpoint_id in call.params["VpcEndpointIds"]:
        endpoint = backend.vpc_end_points.get(endpoint_id)
        if endpoint is None:
            error = not_found(endpoint_id, "vpce")
            refused.append({"ResourceId": endpoint_id, "Error": {"Code": error.code, "Message": error.message}})
            continue
        endpoint.state = "deleting"
        call.world.after(20, finish_endpoint, call.world, call.region, endpoint)
    return {"Unsuccessful": refused}


def finish_endpoint(world: World, region: str, endpoint: Any) -> None:
    backend = backend_of(region)
    for interface_id in endpoint.network_interface_ids or []:
        interfaces.let_go(world, region, interface_id)
    for table in backend.route_tables.values():
        routes = table._routes
        for key in [one for one, route in routes.items() if getattr(route.gateway, "id", "") == endpoint.id]:
            del routes[key]
    backend.vpc_end_points.pop(endpoint.id, None)
    drop_tags(region, endpoint.id)


# Tags.

KINDS = {
    "vpc": "vpc",
    "subnet": "subnet",
    "igw": "internet-gateway",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "eipalloc": "elastic-ip",
    "lt": "launch-template",
    "nat": "natgateway",
    "i": "instance",
    "eni": "network-interface",
    "vol": "volume",
    "vpce": "vpc-endpoint",
    "ami": "image",
    "key": "key-pair",
    "snap": "snapshot",
    "acl": "network-acl",
    "sir": "spot-instances-request",
}


def exists(world: World, region: str, identifier: str) -> bool:
    """Is there such a thing? Kinds of ids that are not looked after here count as there."""
    backend, own = backend_of(region), region_of(world, region)
    prefix = identifier.split("-")[0]
    simple: dict[str, Any] = {
        "vpc": backend.vpcs,
        "igw": backend.internet_gateways,
        "rtb": backend.route_tables,
        "lt": own.templates,
        "nat": own.nat_gateways,
        "i": own.instances,
        "eni": backend.enis,
        "vol": backend.volumes,
        "vpce": backend.vpc_end_points,
    }
    if prefix in simple:
        return identifier in simple[prefix]
    if prefix == "subnet":
        return any(identifier in subnets for subnets in backend.subnets.values())
    if prefix == "sg":
        return any(identifier in groups for groups in backend.groups.values())
    if prefix == "eipalloc":
        return any(address.allocation_id == identifier for address in backend.addresses)
    return True


@on("ec2", "CreateTags", "DeleteTags", rules="ec2-003")
def change_tags(call: Call) -> Item:
    """Tags of what is there; a deleted tag needs no value, one with a value must match."""
    resources, tags = call.params["Resources"], call.params.get("Tags")
    for one in resources:
        if not exists(call.world, call.region, one):
            raise not_found(one)
    all_tags = backend_of(call.region).tags
    for tag in tags or []:
        if tag["Key"].startswith("aws:"):
            raise AwsError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    for one in resources:
        if call.operation == "CreateTags":
            all_tags[one].update({tag["Key"]: tag.get("Value") or "" for tag in tags or []})
            if sum(not key.startswith("aws:") for key in all_tags[one]) > 50:
                raise AwsError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
            continue
        for key in list(all_tags[one]) if tags is None else [tag["Key"] for tag in tags]:
            value = next((tag.get("Value") for tag in tags or [] if tag["Key"] == key), None)
            if not key.startswith("aws:") and value in (None, all_tags[one].get(key)):
                all_tags[one].pop(key, None)
    return {}


@on("ec2", "DescribeTags")
def describe_tags(call: Call) -> Item:
    names = {"key": "Key", "value": "Value", "resource-id": "ResourceId", "resource-type": "ResourceType"}
    items = []
    for identifier, tags in list(backend_of(call.region).tags.items()):
        if not exists(call.world, call.region, identifier):
            continue
        kind = KINDS.get(identifier.split("-")[0], "")
        for key, value in tags.items():
            row = {"ResourceId": identifier, "ResourceType": kind, "Key": key, "Value": value}
            items.append({**row, "Tags": [{"Key": key, "Value": value}]})
    found = select(items, call.params.get("Filters"), by_keys(names))
    items, token = page([{key: one[key] for key in names.values()} for one in found], call.params)
    return {"Tags": items, **({"NextToken": token} if token else {})}
