"""The VPC, and public subnets with a way to the internet: hosts and Fargate tasks get public addresses, no NAT to pay.

With VPC_ID nothing here is made, changed or deleted. https://docs.aws.amazon.com/vpc/latest/userguide/what-is-amazon-vpc.html
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import console
import constants
from aws import Problem, accepted, client, insist, name, only, ours, pause, tag_filters, tag_specification, wait
from console import say

#: AWS's refusals while a network interface, or something else, is still in what is to be deleted
IN_USE = ("DependencyViolation", "InvalidGroup.InUse")
GATEWAY_GONE = ("InvalidInternetGatewayID.NotFound",)
#: another run has taken the second one away
SECOND_GONE = (
    *("InvalidVpcID.NotFound", "InvalidRouteTableID.NotFound", "InvalidAllocationID.NotFound"),
    *GATEWAY_GONE,
)


@dataclass
class Network:
    vpc_id: str
    zones: dict[str, str]  # subnet id -> Availability Zone, of the subnets for hosts, tasks and mount targets
    public_subnet_ids: list[str] = field(default_factory=list)  # for what faces the internet

    @property
    def subnet_ids(self) -> list[str]:
        return list(self.zones)


def create(zones: list[str]) -> Network:
    """Make or complete the VPC, its internet gateway, route tables and subnets. Free; takes about 20 seconds."""
    if constants.VPC_ID:
        say("found", f"VPC {constants.VPC_ID}", "adopted, left as it is")
        return adopted()
    vpc_id = create_vpc()
    gateway_id = create_internet_gateway(vpc_id)
    public_table_id = create_route_table(vpc_id, "public")
    add_default_route(public_table_id, GatewayId=gateway_id)
    public = {}
    for number, (block, zone) in enumerate(zip(constants.PUBLIC_SUBNET_CIDRS, zones, strict=False), 1):
        subnet_id, its_zone = create_subnet(vpc_id, f"public-{number}", block, zone, public_table_id)
        make_public(subnet_id)
        public[subnet_id] = its_zone
    private = {}
    for number, (block, zone) in enumerate(zip(constants.PRIVATE_SUBNET_CIDRS, zones, strict=False), 1):
        table_id = create_route_table(vpc_id, f"private-{number}")
        subnet_id, its_zone = create_subnet(vpc_id, f"private-{number}", block, zone, table_id)
        private[subnet_id] = its_zone
    return Network(vpc_id, private or public, list(public))


def find() -> Network | None:
    """The network that `create` made or adopted, or None."""
    if constants.VPC_ID:
        return adopted()
    vpc = find_vpc()
    if not vpc:
        return None
    subnets = client("ec2").describe_subnets(Filters=tag_filters())["Subnets"]
    public = {each["SubnetId"]: each["AvailabilityZone"] for each in subnets if "-public-" in name_of(each)}
    private = {each["SubnetId"]: each["AvailabilityZone"] for each in subnets if "-private-" in name_of(each)}
    return Network(vpc["VpcId"], private or public, list(public))


def required() -> Network:
    """The network, for pages that need one."""
    found = find()
    if not found or not found.zones:
        raise Problem("the network is not there: run create_cluster.py first")
    return found


def adopted() -> Network:
    """The VPC and the subnets that the settings name."""
    subnets = client("ec2").describe_subnets(SubnetIds=constants.WORK_SUBNET_IDS)["Subnets"]
    return Network(
        constants.VPC_ID, {each["SubnetId"]: each["AvailabilityZone"] for each in subnets}, constants.PUBLIC_SUBNET_IDS
    )


def name_of(item: dict[str, Any]) -> str:
    return next((str(tag["Value"]) for tag in item["Tags"] if tag["Key"] == "Name"), "")


def refuse_changes() -> None:
    """What AWS can't change any more is told before anything is changed."""
    vpc = None if constants.VPC_ID else find_vpc()
    if vpc and vpc["CidrBlock"] != constants.VPC_CIDR:
        raise Problem(
            f"VPC_CIDR={constants.VPC_CIDR}, but {vpc['VpcId']} has {vpc['CidrBlock']}, which can't be changed: "
            "set it back, or run delete_cluster.py first"
        )
    subnets = {name_of(each): each for each in client("ec2").describe_subnets(Filters=tag_filters())["Subnets"]}
    for setting, kind, blocks in (
        ("PUBLIC_SUBNET_CIDRS", "public", constants.PUBLIC_SUBNET_CIDRS),
        ("PRIVATE_SUBNET_CIDRS", "private", constants.PRIVATE_SUBNET_CIDRS),
    ):
        for number, block in enumerate(blocks, 1):
            found = subnets.get(name(f"{kind}-{number}"))
            if found and found["CidrBlock"] != block:
                raise Problem(
                    f"{setting}: subnet {number} is to have {block}, but {found['SubnetId']} has {found['CidrBlock']}, "
                    "which can't be changed: set it back, or run delete_cluster.py first"
                )
            zone = constants.AVAILABILITY_ZONES[number - 1 : number]
            if found and zone and [found["AvailabilityZone"]] != zone:
                raise Problem(
                    f"AVAILABILITY_ZONES: subnet {number} is to be in {zone[0]}, but {found['SubnetId']} is in "
                    f"{found['AvailabilityZone']}, which can't be changed: set it back, and add a zone with one more block "
                    f"in {setting}; or run delete_cluster.py first"
                )


def delete() -> None:
    """Delete subnets, route table, internet gateway and VPC. AWS refuses while a network interface is left in them."""
    if constants.VPC_ID:
        return say("kept", f"VPC {constants.VPC_ID}", "adopted, not ours to delete")
    return insist("the network to be free", delete_parts, *IN_USE, why=lambda: held_by("vpc-id", find_vpc_id()))


def delete_parts() -> None:
    """What of ours is listed now, from the inside out; AWS refuses the first that is still in use."""
    ec2 = client("ec2")
    for subnet in ec2.describe_subnets(Filters=tag_filters())["Subnets"]:
        accepted(lambda: ec2.delete_subnet(SubnetId=subnet["SubnetId"]), "InvalidSubnetID.NotFound")
        say("deleted", f"subnet {subnet['SubnetId']}")
    for table in ec2.describe_route_tables(Filters=tag_filters())["RouteTables"]:
        accepted(lambda: ec2.delete_route_table(RouteTableId=table["RouteTableId"]), "InvalidRouteTableID.NotFound")
        say("deleted", f"route table {table['RouteTableId']}")
    for gateway in ec2.describe_internet_gateways(Filters=tag_filters())["InternetGateways"]:
        delete_internet_gateway(gateway)
    for vpc in ec2.describe_vpcs(Filters=tag_filters())["Vpcs"]:
        accepted(lambda: ec2.delete_vpc(VpcId=vpc["VpcId"]), "InvalidVpcID.NotFound")
        say("deleted", f"VPC {vpc['VpcId']}")


def delete_internet_gateway(gateway: dict[str, Any]) -> None:
    """AWS keeps a gateway attached while a public address is in use in the VPC, of a host or a task that is ending."""
    ec2 = client("ec2")
    gateway_id = gateway["InternetGatewayId"]
    for attachment in gateway["Attachments"]:
        detach = {"InternetGatewayId": gateway_id, "VpcId": attachment["VpcId"]}
        accepted(
            lambda: ec2.detach_internet_gateway(**detach), "Gateway.NotAttached", "InvalidInternetGatewayID.NotFound"
        )
    accepted(lambda: ec2.delete_internet_gateway(InternetGatewayId=gateway_id), "InvalidInternetGatewayID.NotFound")
    say("deleted", f"internet gateway {gateway_id}")


def create_once(
    what: str, find_all: Callable[[], list[str]], make: Callable[[], str], remove: Callable[[str], Any]
) -> str:
    """Make something whose create call knows neither a unique name nor a client token, and end up with one of it.

    AWS may not list yet what another run, or one that was killed, has made a moment ago. After a pause every run sees
    the same list; its first stays, and the others go. `find_all` therefore lists in one order for all.
    """
    made = make()
    pause()
    found = [made] if console.dry_run else find_all() or [made]
    stays = found[0]
    for other in sorted({made, *found} - {stays}):
        accepted(lambda: remove(other), *SECOND_GONE)
    say("created" if stays == made else "found", f"{what} {stays}")
    return stays


def find_vpc_id() -> str:
    vpc = find_vpc()
    return vpc["VpcId"] if vpc else ""


def find_vpc() -> dict[str, Any] | None:
    found = client("ec2").describe_vpcs(Filters=tag_filters("vpc"))["Vpcs"]
    return only(found, "the VPC", lambda vpc: vpc["VpcId"])


def create_vpc() -> str:
    """EFS is mounted by its DNS name, so the VPC's DNS must be on: both attributes, one call each."""
    ec2 = client("ec2")
    vpc = find_vpc()
    if vpc:
        say("found", f"VPC {vpc['VpcId']}", constants.VPC_CIDR)
    vpc_id = (
        vpc["VpcId"]
        if vpc
        else create_once(
            "VPC",
            lambda: sorted(found["VpcId"] for found in ec2.describe_vpcs(Filters=tag_filters("vpc"))["Vpcs"]),
            lambda: ec2.create_vpc(CidrBlock=constants.VPC_CIDR, TagSpecifications=tag_specification("vpc", "vpc"))[
                "Vpc"
            ]["VpcId"],
            lambda vpc_id: ec2.delete_vpc(VpcId=vpc_id),
        )
    )
    wait(f"VPC {vpc_id}", lambda: _state(ec2.describe_vpcs, "vpc-id", vpc_id, "Vpcs"), lambda: "it is still pending")
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
        if not answer.get(attribute[0].upper() + attribute[1:], {}).get("Value"):
            ec2.modify_vpc_attribute(VpcId=vpc_id, **{attribute[0].upper() + attribute[1:]: {"Value": True}})
            say("updated", f"VPC {vpc_id}", f"{attribute} on")
    return str(vpc_id)


def _state(describe: Callable[..., Any], key: str, identifier: str, items: str) -> bool:
    """Whether EC2 lists this id as available; just after its creation it may not list it at all."""
    found = describe(Filters=[{"Name": key, "Values": [identifier]}])[items]
    return bool(found) and found[0]["State"] == "available"


def create_internet_gateway(vpc_id: str) -> str:
    """A VPC takes one gateway. Gateways of ours that are attached to nothing were left by a run that died: they go."""
    ec2 = client("ec2")
    gateways = find_internet_gateways(vpc_id)
    if gateways:
        gateway_id = gateways[0]["InternetGatewayId"]
        say("found", f"internet gateway {gateway_id}")
    else:
        gateway_id = create_once(
            "internet gateway",
            lambda: [gateway["InternetGatewayId"] for gateway in find_internet_gateways(vpc_id)],
            lambda: ec2.create_internet_gateway(
                TagSpecifications=tag_specification("internet-gateway", "internet-gateway")
            )["InternetGateway"]["InternetGatewayId"],
            lambda gateway_id: ec2.delete_internet_gateway(InternetGatewayId=gateway_id),
        )
    for gateway in gateways[1:]:
        delete_internet_gateway(gateway)
    if not gateways or not gateways[0]["Attachments"]:
        attached = insist(
            f"internet gateway {gateway_id}",
            lambda: accepted(
                lambda: ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id),
                "Resource.AlreadyAssociated",
            ),
            "InvalidInternetGatewayID.NotFound",
            "InvalidVpcID.NotFound",
        )
        if attached:
            say("updated", f"internet gateway {gateway_id}", f"attached to {vpc_id}")
    return str(gateway_id)


def find_internet_gateways(vpc_id: str) -> list[dict[str, Any]]:
    """Ours, the one that is attached to the VPC first."""
    found = client("ec2").describe_internet_gateways(Filters=tag_filters("internet-gateway"))["InternetGateways"]
    free = [g for g in found if not g["Attachments"] or g["Attachments"][0]["VpcId"] == vpc_id]
    return sorted(free, key=lambda gateway: (not gateway["Attachments"], gateway["InternetGatewayId"]))


def create_route_table(vpc_id: str, suffix: str) -> str:
    """A table of our own: the VPC's main table stays closed, for whatever is added later."""
    ec2 = client("ec2")

    def find_all() -> list[str]:
        found = ec2.describe_route_tables(Filters=tag_filters(suffix))["RouteTables"]
        return sorted(table["RouteTableId"] for table in found)

    def make() -> str:
        request = {"VpcId": vpc_id, "TagSpecifications": tag_specification("route-table", suffix)}
        made = insist("route table", lambda: ec2.create_route_table(**request), "InvalidVpcID.NotFound")
        return str(made["RouteTable"]["RouteTableId"])

    table_id = only(find_all(), f"route table {suffix}", str)
    if table_id:
        say("found", f"route table {table_id}", suffix)
        return table_id
    return create_once("route table", find_all, make, lambda table_id: ec2.delete_route_table(RouteTableId=table_id))


def add_default_route(table_id: str, **target: str) -> None:
    """Everything that is not in the VPC goes to this gateway; a dead gateway's route is replaced."""
    ec2 = client("ec2")
    found = ec2.describe_route_tables(Filters=[{"Name": "route-table-id", "Values": [table_id]}])["RouteTables"]
    routes = [route for table in found for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
    if any(route.get(key) == value for route in routes for key, value in target.items()):
        return
    request = {"RouteTableId": table_id, "DestinationCidrBlock": "0.0.0.0/0", **target}
    insist(
        f"route table {table_id}",
        lambda: (
            ec2.replace_route(**request)
            if routes
            else accepted(lambda: ec2.create_route(**request), "RouteAlreadyExists")
        ),
        "InvalidRouteTableID.NotFound",
        "InvalidGatewayID.NotFound",
        "InvalidInternetGatewayID.NotFound",
        "InvalidNatGatewayID.NotFound",
    )
    say("updated", f"route table {table_id}", f"0.0.0.0/0 to {', '.join(target.values())}")


def create_subnet(vpc_id: str, suffix: str, block: str, zone: str, route_table_id: str) -> tuple[str, str]:
    """A subnet that uses this route table: its id, and its zone."""
    ec2 = client("ec2")

    def find_one() -> dict[str, Any] | None:
        found = ec2.describe_subnets(Filters=tag_filters(suffix))["Subnets"]
        return only(found, f"subnet {suffix}", lambda each: each["SubnetId"])

    subnet = find_one()
    if subnet:
        say("found", f"subnet {subnet['SubnetId']}", f"{suffix} {block} {subnet['AvailabilityZone']}")
    else:
        made = _make_subnet(vpc_id, suffix, block, zone)
        subnet = made or wait(f"subnet {block}", find_one, lambda: "AWS does not list it")
        assert subnet
    subnet_id = subnet["SubnetId"]
    wait(f"subnet {subnet_id}", lambda: _state(ec2.describe_subnets, "subnet-id", subnet_id, "Subnets"), str)
    filters = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
    if not ec2.describe_route_tables(Filters=filters)["RouteTables"]:
        request = {"RouteTableId": route_table_id, "SubnetId": subnet_id}
        accepted(lambda: ec2.associate_route_table(**request), "Resource.AlreadyAssociated")
        say("updated", f"subnet {subnet_id}", f"routes of {route_table_id}")
    return subnet_id, subnet["AvailabilityZone"]


def make_public(subnet_id: str) -> None:
    """What starts in it gets a public address."""
    ec2 = client("ec2")
    found = ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": [subnet_id]}])["Subnets"]
    if not all(subnet["MapPublicIpOnLaunch"] for subnet in found) or not found:
        ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})
        say("updated", f"subnet {subnet_id}", "public addresses on")


def _make_subnet(vpc_id: str, suffix: str, block: str, zone: str) -> dict[str, Any] | None:
    """The new subnet, or None where another run has just made it: a block is given once in a VPC."""
    made: list[dict[str, Any]] = []
    ec2 = client("ec2")
    if not accepted(
        lambda: made.append(
            ec2.create_subnet(
                VpcId=vpc_id,
                CidrBlock=block,
                AvailabilityZone=zone,
                TagSpecifications=tag_specification("subnet", suffix),
            )["Subnet"]
        ),
        "InvalidSubnet.Conflict",
    ):
        return None
    say("created", f"subnet {made[0]['SubnetId']}", f"{suffix} {block} {zone}")
    return made[0]


def held_by(key: str, identifier: str) -> str:
    """The network interfaces that hold something, each with the words of its owner."""
    if not identifier:
        return ""
    found = client("ec2").describe_network_interfaces(Filters=[{"Name": key, "Values": [identifier]}])[
        "NetworkInterfaces"
    ]
    names = [
        f"{item['NetworkInterfaceId']} ({item.get('Description') or item.get('InterfaceType', '')}, "
        f"owner {item.get('RequesterId') or item.get('Attachment', {}).get('InstanceOwnerId') or item.get('OwnerId', '')})"
        for item in found
    ]
    return "held by network interface " + ", ".join(names) if names else "no network interface holds it any more"


def left_over() -> list[str]:
    """What of ours EC2 still lists."""
    ec2 = client("ec2")
    lists = {
        "VpcId": ("VPC", ec2.describe_vpcs(Filters=tag_filters())["Vpcs"]),
        "SubnetId": ("subnet", ec2.describe_subnets(Filters=tag_filters())["Subnets"]),
        "RouteTableId": ("route table", ec2.describe_route_tables(Filters=tag_filters())["RouteTables"]),
        "InternetGatewayId": (
            "internet gateway",
            ec2.describe_internet_gateways(Filters=tag_filters())["InternetGateways"],
        ),
    }
    return [f"{kind} {item[key]}" for key, (kind, items) in lists.items() for item in items if ours(item["Tags"])]
