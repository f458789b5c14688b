"""Network interfaces: who holds a subnet, a security group or a public address is always one of them.

They are moto's own objects, so that whatever makes one in moto is seen too; the emulator adds their owner and their
attachment. Those of other services are requester-managed: only their owner can take them away (ec2-023).
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/requester-managed-eni.html
"""

from __future__ import annotations

import ipaddress
import random
from typing import Any

from emulator.core import partitions, quotas
from emulator.core.rules import SENTENCES, AwsError, Call, on
from emulator.core.world import ACCOUNT, World
from emulator.ec2.region import (
    Item,
    backend_of,
    drop_tags,
    find_group,
    find_subnet,
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
        "ec2-023": "Interfaces that belong to another service are neither detached nor deleted by hand: AuthFailure.",
    }
)

#: requester -> what AWS shows as RequesterId and as the owner of the attachment
REQUESTERS = {
    "amazon-elb": ("amazon-elb", "amazon-elb"),
    "amazon-aws": ("739912736471", "amazon-aws"),  # NAT gateways
    "amazon-efs": ("404228044100", "amazon-aws"),
    "amazon-ecs": ("578734482556", "amazon-aws"),
}


def create_interface(
    world: World,
    region: str,
    subnet_id: str,
    group_ids: list[str],
    description: str,
    *,
    interface_type: str = "interface",
    requester: str = "amazon-ecs",
    public_ip: bool = False,
) -> Item:
    """An interface that a service of AWS makes for itself in a subnet: requester-managed and in use at once."""
    interface = plant(world, region, subnet_id, group_ids, description, public_ip=public_ip)
    interface.requester_managed = True
    interface.requester_id, owner = REQUESTERS.get(requester, (requester, requester))
    interface.interface_type = interface_type
    attach(world, interface, {"AttachmentId": new_id("ela-attach"), "DeviceIndex": 1, "InstanceOwnerId": owner})
    return shown(region, interface)


def plant(
    world: World,
    region: str,
    subnet_id: str,
    group_ids: list[str],
    description: str,
    *,
    private_ip: str | None = None,
    public_ip: bool = False,
) -> Any:
    """An unattached interface, as moto's object. No groups: the default group of the VPC, as AWS does."""
    backend = backend_of(region)
    subnet = find_subnet(region, subnet_id)
    for group_id in group_ids:
        if find_group(region, group_id).vpc_id != subnet.vpc_id:
            raise AwsError(
                "InvalidParameterValue",
                f"You have specified two resources that belong to different networks: {group_id} and {subnet_id}.",
            )
    address = private_ip or free_address(region, subnet)
    interface = backend.create_network_interface(subnet, address, group_ids=group_ids, description=description)
    interface.requester_id = None
    interface.attached = None
    interface.public_ip = public_address() if public_ip else None
    return interface


def attach(world: World, interface: Any, facts: Item) -> None:
    """Mark an interface as in use, with what DescribeNetworkInterfaces says of its attachment."""
    interface.status = "in-use"
    interface.attached = {
        "AttachTime": world.timestamp(),
        "DeleteOnTermination": False,
        "NetworkCardIndex": 0,
        "Status": "attached",
        **facts,
    }


def delete_interface(world: World, region: str, interface_id: str) -> None:
    """Take an interface away at once, with what it held. One that is gone already is no error."""
    backend = backend_of(region)
    interface = backend.enis.pop(interface_id, None)
    if interface is None:
        return
    for address in backend.addresses:
        if address.eni is interface:
            address.eni = address.instance = address.association_id = None
    drop_tags(region, interface_id)


def let_go(world: World, region: str, interface_id: str) -> None:
    """Delete an interface whose owner is gone: at once, or after the time that interfaces linger in this account."""
    lingering = world.settings.lingering_interfaces
    if lingering:
        world.after(lingering, delete_interface, world, region, interface_id)
    else:
        delete_interface(world, region, interface_id)


def free_address(region: str, subnet: Any) -> str:
    """A free private address; AWS keeps the first four and the last one of a subnet for itself."""
    network = ipaddress.ip_network(subnet.cidr_block)
    taken = {interface.private_ip_address for interface in interfaces(region) if interface.subnet.id == subnet.id}
    room = network.num_addresses - 5
    if len(taken) >= room:
        raise AwsError(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number of instances.",
        )
    while True:
        address = str(network[4 + random.randrange(room)])
        if address not in taken:
            return address


def public_address() -> str:
    return f"54.{random.randrange(64, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"


def interfaces(region: str) -> list[Any]:
    return list(backend_of(region).enis.values())


def in_subnet(region: str, subnet_id: str) -> list[Any]:
    return [interface for interface in interfaces(region) if interface.subnet.id == subnet_id]


def in_vpc(region: str, vpc_id: str) -> list[Any]:
    return [interface for interface in interfaces(region) if interface.subnet.vpc_id == vpc_id]


def with_group(region: str, group_id: str) -> list[Any]:
    return [one for one in interfaces(region) if any(group.id == group_id for group in one._group_set)]


def find_interface(region: str, interface_id: str) -> Any:
    interface = backend_of(region).enis.get(interface_id)
    if interface is None:
        raise not_found(interface_id, "eni")
    return interface


def public_dns(region: str, address: str) -> str:
    name = f"ec2-{address.replace('.', '-')}"
    place = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"{name}.{place}.{partitions.domain(region)}"


def private_dns(region: str, address: str) -> str:
    name = f"ip-{address.replace('.', '-')}"
    return f"{name}.ec2.internal" if region == "us-east-1" else f"{name}.{region}.compute.internal"


def association(region: str, interface: Any) -> Item | None:
    """The public address of an interface: an Elastic IP, or one that AWS lends while the interface lives."""
    backend = backend_of(region)
    for address in backend.addresses:
        if address.eni is interface:
            return {
                "AllocationId": address.allocation_id,
                "AssociationId": address.association_id,
                "IpOwnerId": ACCOUNT,
                "PublicDnsName": public_dns(region, address.public_ip),
                "PublicIp": address.public_ip,
            }
    if not interface.public_ip:
        return None
    return {
        "IpOwnerId": "amazon",
        "PublicDnsName": public_dns(region, interface.public_ip),
        "PublicIp": interface.public_ip,
    }


def groups_shown(interface: Any) -> list[dict[str, str]]:
    return [{"GroupId": group.id, "GroupName": group.name} for group in interface._group_set]


def shown(region: str, interface: Any) -> Item:
    """An interface as describe_network_interfaces shows it."""
    public = association(region, interface)
    address = {
        "Primary": True,
        "PrivateDnsName": private_dns(region, interface.private_ip_address),
        "PrivateIpAddress": interface.private_ip_address,
        **({"Association": public} if public else {}),
    }
    zone = interface.subnet.availability_zone
    return {
        **({"Association": public} if public else {}),
        **({"Attachment": dict(interface.attached)} if getattr(interface, "attached", None) else {}),
        "AvailabilityZone": zone,
        "AvailabilityZoneId": interface.subnet.availability_zone_id,
        "Description": interface.description,
        "Groups": groups_shown(interface),
        "InterfaceType": interface.interface_type,
        "Ipv6Addresses": [],
        "MacAddress": interface.mac_address,
        "NetworkInterfaceId": interface.id,
        "OwnerId": ACCOUNT,
        "PrivateDnsName": address["PrivateDnsName"],
        "PrivateIpAddress": interface.private_ip_address,
        "PrivateIpAddresses": [address],
        "RequesterId": interface.requester_id or ACCOUNT,
        "RequesterManaged": bool(interface.requester_managed),
        "SourceDestCheck": interface.source_dest_check,
        "Status": interface.status,
        "SubnetId": interface.subnet.id,
        "TagSet": tags_of(region, interface.id),
        "VpcId": interface.subnet.vpc_id,
    }


#: filter -> where its value stands in what is shown
FILTERS = {
    "association.allocation-id": ("Association", "AllocationId"),
    "association.association-id": ("Association", "AssociationId"),
    "association.ip-owner-id": ("Association", "IpOwnerId"),
    "association.public-ip": ("Association", "PublicIp"),
    "association.public-dns-name": ("Association", "PublicDnsName"),
    "addresses.association.public-ip": ("Association", "PublicIp"),
    "addresses.private-ip-address": ("PrivateIpAddress",),
    "addresses.primary": ("Primary",),
    "attachment.attachment-id": ("Attachment", "AttachmentId"),
    "attachment.attach-time": ("Attachment", "AttachTime"),
    "attachment.delete-on-termination": ("Attachment", "DeleteOnTermination"),
    "attachment.device-index": ("Attachment", "DeviceIndex"),
    "attachment.instance-id": ("Attachment", "InstanceId"),
    "attachment.instance-owner-id": ("Attachment", "InstanceOwnerId"),
    "attachment.status": ("Attachment", "Status"),
    "availability-zone": ("AvailabilityZone",),
    "availability-zone-id": ("AvailabilityZoneId",),
    "description": ("Description",),
    "interface-type": ("InterfaceType",),
    "mac-address": ("MacAddress",),
    "network-interface-id": ("NetworkInterfaceId",),
    "owner-id": ("OwnerId",),
    "private-dns-name": ("PrivateDnsName",),
    "private-ip-address": ("PrivateIpAddress",),
    "requester-id": ("RequesterId",),
    "requester-managed": ("RequesterManaged",),
    "source-dest-check": ("SourceDestCheck",),
    "status": ("Status",),
    "subnet-id": ("SubnetId",),
    "vpc-id": ("VpcId",),
}


def filter_value(item: Item, name: str) -> Any:
    if name == "group-id":
        return [group["GroupId"] for group in item["Groups"]]
    if name == "group-name":
        return [group["GroupName"] for group in item["Groups"]]
    if name not in FILTERS:
        return None
    value: Any = item
    for step in FILTERS[name]:
        value = (value or {}).get(step)
    return [] if value is None else value


@on("ec2", "DescribeNetworkInterfaces")
def describe_network_interfaces(call: Call) -> Item:
    """All interfaces, those of other services too; an unknown id is an error, a filter that fits nothing is not."""
    wanted = call.params.get("NetworkInterfaceIds")
    found = [find_interface(call.region, one) for one in wanted] if wanted else interfaces(call.region)
    shown_all = (shown(call.region, one) for one in found)
    items = select(shown_all, call.params.get("Filters"), filter_value, "TagSet")
    items, token = page(items, call.params)
    return {"NetworkInterfaces": items, **({"NextToken": token} if token else {})}


#: the quota that they count against
INTERFACES = "L-DF5E4CA3"


def count(region: str) -> int:
    """Of all that there are in the region, whoever owns them."""
    return len(backend_of(region).enis)


@on("ec2", "CreateNetworkInterface")
def create_network_interface(call: Call) -> Item:
    known = once(call.world, call.region, "CreateNetworkInterface", call.params)
    if known:
        return {"NetworkInterface": shown(call.region, find_interface(call.region, known))}
    full = "The maximum number of network interfaces has been reached."
    quotas.refuse_more(call.world, INTERFACES, count(call.region), "NetworkInterfaceLimitExceeded", full)
    interface = plant(
        call.world,
        call.region,
        call.params["SubnetId"],
        call.params.get("Groups") or [],
        call.params.get("Description") or "",
        private_ip=call.params.get("PrivateIpAddress"),
    )
    set_tags(call.region, interface.id, specified_tags(call.params, "network-interface"))
    remember(call.world, call.region, "CreateNetworkInterface", call.params, interface.id)
    return {"NetworkInterface": {**shown(call.region, interface), "Status": "pending"}}


@on("ec2", "DeleteNetworkInterface", rules="ec2-023")
def delete_network_interface(call: Call) -> Item:
    interface = find_interface(call.region, call.params["NetworkInterfaceId"])
    if interface.requester_managed:
        raise AwsError("AuthFailure", "You do not have permission to access the specified resource.")
    if getattr(interface, "attached", None):
        raise AwsError("InvalidParameterValue", f"Network interface '{interface.id}' is currently in use.")
    delete_interface(call.world, call.region, interface.id)
    return {}


@on("ec2", "AttachNetworkInterface")
def attach_network_interface(call: Call) -> Item:
    interface = find_interface(call.region, call.params["NetworkInterfaceId"])
    instance = region_of(call.world, call.region).instances.get(call.params["InstanceId"])
    if instance is None:
        raise not_found(call.params["InstanceId"], "i")
    if getattr(interface, "attached", None):
        raise AwsError("InvalidParameterValue", f"Network interface '{interface.id}' is currently in use.")
    attachment = new_id("eni-attach")
    attach(
        call.world,
        interface,
        {
            "AttachmentId": attachment,
            "DeviceIndex": call.params["DeviceIndex"],
            "InstanceId": instance["InstanceId"],
            "InstanceOwnerId": ACCOUNT,
        },
    )
    return {"AttachmentId": attachment, "NetworkCardIndex": 0}


@on("ec2", "DetachNetworkInterface", rules="ec2-023")
def detach_network_interface(call: Call) -> Item:
    """Your own interfaces only, and never the first one of an instance."""
    wanted = call.params["AttachmentId"]
    for interface in interfaces(call.region):
        attached = getattr(interface, "attached", None)
        if not attached or attached["AttachmentId"] != wanted:
            continue
        if interface.requester_managed:
            raise AwsError("AuthFailure", "You do not have permission to access the specified resource.")
        if attached["DeviceIndex"] == 0:
            raise AwsError(
                "OperationNotPermitted",
                f"The network interface at device index 0 and networkCard index 0 cannot be detached. {interface.id}",
            )
        interface.attached = None
        interface.status = "available"
        return {}
    raise AwsError("InvalidAttachmentID.NotFound", f"The attachment '{wanted}' does not exist.")


@on("ec2", "ModifyNetworkInterfaceAttribute")
def modify_network_interface_attribute(call: Call) -> Item:
    interface = find_interface(call.region, call.params["NetworkInterfaceId"])
    if interface.requester_managed:
        raise AwsError("AuthFailure", "You do not have permission to access the specified resource.")
    if groups := call.params.get("Groups"):
        interface._group_set = [find_group(call.region, group) for group in groups]
    if "SourceDestCheck" in call.params:
        interface.source_dest_check = call.params["SourceDestCheck"]["Value"]
    if "Description" in call.params:
        interface.description = call.params["Description"]["Value"]
    attachment = call.params.get("Attachment") or {}
    if getattr(interface, "attached", None) and "DeleteOnTermination" in attachment:
        interface.attached["DeleteOnTermination"] = attachment["DeleteOnTermination"]
    return {}
