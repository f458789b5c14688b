"""The VPC with its subnets: public ones with a way to the internet, and where settings ask for them private ones.

Free by itself; the private subnets' way out is not: nat_gateways.py. With VPC_ID nothing here is made, changed or deleted.
https://docs.aws.amazon.com/vpc/latest/userguide/what-is-amazon-vpc.html
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aws
import console
import constants
from aws import Problem, Resource, call, client, only, part, tag_filters, tag_specification, tags, tags_of, wait
from console import say

#: AWS's refusals while a network interface, or something else, is still in what is to be deleted
IN_USE = ("DependencyViolation", "InvalidGroup.InUse")
NO_VPC = "InvalidVpcID.NotFound"
NO_GATEWAY = "InvalidInternetGatewayID.NotFound"
NO_TABLE = "InvalidRouteTableID.NotFound"


@dataclass
class Network:
    vpc_id: str
    zones: dict[str, str]  # subnet id -> Availability Zone, of the subnets for hosts, tasks and mount targets
    public_subnet_ids: list[str] = field(default_factory=list)  # for what faces the internet

    @property
    def subnet_ids(self) -> list[str]:
        return list(self.zones)


# --------------------------------------------------------------------------------------------------------------- looks


@aws.look
def vpcs() -> list[Any]:
    return client("ec2").describe_vpcs(Filters=tag_filters())["Vpcs"]


@aws.look
def subnets() -> list[Any]:
    return client("ec2").describe_subnets(Filters=tag_filters())["Subnets"]


@aws.look
def route_tables() -> list[Any]:
    return client("ec2").describe_route_tables(Filters=tag_filters())["RouteTables"]


@aws.look
def internet_gateways() -> list[Any]:
    return client("ec2").describe_internet_gateways(Filters=tag_filters())["InternetGateways"]


@aws.look
def named_subnets() -> list[Any]:
    """Those of WORK_SUBNET_IDS, in an adopted VPC; none where one of them does not exist."""
    describe_subnets = call(client("ec2").describe_subnets, gone="InvalidSubnetID.NotFound")
    found = describe_subnets(SubnetIds=constants.WORK_SUBNET_IDS) if constants.WORK_SUBNET_IDS else None
    return found["Subnets"] if found else []


LOOKS = (vpcs, subnets, route_tables, internet_gateways)


def find() -> Network | None:
    """The network that `create` made or adopted, or None."""
    if constants.VPC_ID:
        return adopted()
    vpc = find_vpc()
    if not vpc:
        return None
    by_part = sorted(subnets(), key=lambda each: (len(part(each)), part(each)))
    public = {each["SubnetId"]: each["AvailabilityZone"] for each in by_part if part(each).startswith("public-")}
    private = {each["SubnetId"]: each["AvailabilityZone"] for each in by_part if part(each).startswith("private-")}
    return Network(vpc["VpcId"], private or public, list(public))


def required() -> Network:
    """The network, for pages that need one."""
    found = find()
    if not found or not found.zones:
        raise Problem("the network is not there: run create_cluster.py first")
    return found


def adopted() -> Network:
    """The VPC and the subnets that the settings name."""
    zones = {each["SubnetId"]: each["AvailabilityZone"] for each in named_subnets()}
    return Network(constants.VPC_ID, zones, constants.PUBLIC_SUBNET_IDS)


def find_vpc() -> Any | None:
    return only([each for each in vpcs() if part(each) == "vpc"], "the VPC", "VpcId")


def refuse_changes() -> None:
    """What AWS can't change any more is told before anything is changed."""
    vpc = None if constants.VPC_ID else find_vpc()
    if vpc and vpc["CidrBlock"] != constants.VPC_CIDR:
        raise Problem(
            f"VPC_CIDR={constants.VPC_CIDR}, but {vpc['VpcId']} has {vpc['CidrBlock']}, which can't be changed: "
            "set it back, or run delete_cluster.py first"
        )
    present = {part(each): each for each in subnets()}
    for setting, kind, blocks in (
        ("PUBLIC_SUBNET_CIDRS", "public", constants.PUBLIC_SUBNET_CIDRS),
        ("PRIVATE_SUBNET_CIDRS", "private", constants.PRIVATE_SUBNET_CIDRS),
    ):
        for number, block in enumerate(blocks, 1):
            found = present.get(f"{kind}-{number}")
            if found and found["CidrBlock"] != block:
                raise Problem(
                    f"{setting}: subnet {number} is to have {block}, but {found['SubnetId']} has {found['CidrBlock']}, "
                    "which can't be changed: set it back, or run delete_cluster.py first"
                )
            zone = constants.AVAILABILITY_ZONES[number - 1 : number]
            if found and zone and [found["AvailabilityZone"]] != zone:
                raise Problem(
                    f"AVAILABILITY_ZONES: subnet {number} is to be in {zone[0]}, but {found['SubnetId']} is in "
                    f"{found['AvailabilityZone']}, which can't be changed: set it back, and add a zone with one more "
                    f"block in {setting}; or run delete_cluster.py first"
                )


# -------------------------------------------------------------------------------------------------------------- create


def create(zones: list[str]) -> Network:
    """Make or complete the VPC, its internet gateway, route tables and subnets. Takes about 20 seconds."""
    if constants.VPC_ID:
        say("found", f"VPC {constants.VPC_ID}", "adopted, left as it is")
        return adopted()
    made = one_of_each((VPC, ["vpc"]), (GATEWAY, ["internet-gateway"]))
    vpc_id, gateway = made["vpc"]["VpcId"], made["internet-gateway"]
    complete_vpc(made["vpc"])
    attach(gateway, vpc_id)
    private_parts = [f"private-{number}" for number in range(1, len(constants.PRIVATE_SUBNET_CIDRS) + 1)]
    tables = one_of_each((route_table_of(vpc_id), ["public", *private_parts]))
    add_default_route(tables["public"], GatewayId=gateway["InternetGatewayId"])
    public, private = {}, {}
    for number, (block, zone) in enumerate(zip(constants.PUBLIC_SUBNET_CIDRS, zones, strict=False), 1):
        subnet = create_subnet(vpc_id, f"public-{number}", block, zone)
        associate(subnet, tables["public"])
        make_public(subnet)
        public[subnet["SubnetId"]] = subnet["AvailabilityZone"]
    for each, block, zone in zip(private_parts, constants.PRIVATE_SUBNET_CIDRS, zones, strict=False):
        subnet = create_subnet(vpc_id, each, block, zone)
        associate(subnet, tables[each])
        private[subnet["SubnetId"]] = subnet["AvailabilityZone"]
    return Network(vpc_id, private or public, list(public))


@dataclass(frozen=True)
class Kind:
    """A kind of thing whose create call knows neither a unique name nor a client token."""

    what: str
    key: str  # of its id
    all: Callable[[], list[Any]]
    make: Callable[[str], Any]
    remove: Callable[[Any], Any]

    def of_part(self, wanted: str) -> list[Any]:
        """In the order of their ids, the same for every run."""
        return sorted((each for each in self.all() if part(each) == wanted), key=lambda each: str(each[self.key]))

    def told(self, thing: Any, wanted: str) -> str:
        """What a person is told beside its id: its addresses, or which of several it is."""
        return thing.get("CidrBlock") or ("" if wanted == self.what.replace(" ", "-") else wanted)


def one_of_each(*wanted: tuple[Kind, list[str]]) -> dict[str, Any]:
    """One of each of these parts: found, or made. Part -> the thing itself.

    AWS may not list yet what another run, or one that was killed, has made a moment ago. So all that is missing is made,
    and then paused for once: every run then sees the same list, of which the first stays and the others go.
    """
    parts = [(kind, each) for kind, names in wanted for each in names]
    present = {each: kind.of_part(each) for kind, each in parts}
    if not all(present.values()):
        aws.forget("ec2")  # another run may have made it since this one began
        present = {each: kind.of_part(each) for kind, each in parts}
    made = {each: {**kind.make(each), "Tags": tags(each)} for kind, each in parts if not present[each]}
    if made:
        aws.pause()
    answer: dict[str, Any] = {}
    for kind, each in parts:
        if each not in made:
            answer[each] = found = only(present[each], f"{kind.what} {each}", kind.key) or {}
            say("found", f"{kind.what} {found[kind.key]}", kind.told(found, each))
            continue
        listed = [] if console.dry_run else kind.of_part(each)
        answer[each] = stays = (listed or [made[each]])[0]
        surplus = {other[kind.key]: other for other in [made[each], *listed] if other[kind.key] != stays[kind.key]}
        for other in surplus.values():
            kind.remove(other)
        new = stays[kind.key] == made[each][kind.key]
        say("created" if new else "found", f"{kind.what} {stays[kind.key]}", kind.told(stays, each))
    return answer


def make_vpc(each: str) -> Any:
    specification = tag_specification("vpc", each)
    return client("ec2").create_vpc(CidrBlock=constants.VPC_CIDR, TagSpecifications=specification)["Vpc"]


def complete_vpc(vpc: Any) -> None:
    """EFS is mounted by its DNS name, so the VPC's DNS must be on: both attributes, one call each."""
    vpc_id = vpc["VpcId"]
    wait(f"VPC {vpc_id}", lambda: is_available(vpcs(), "VpcId", vpc_id), lambda: "it is still pending")
    ec2 = client("ec2")
    turn_on = call(ec2.modify_vpc_attribute, of=vpc)
    support = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute="enableDnsSupport")
    if not support.get("EnableDnsSupport", {}).get("Value"):
        turn_on(VpcId=vpc_id, EnableDnsSupport={"Value": True})
        say("updated", f"VPC {vpc_id}", "enableDnsSupport on")
    names = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute="enableDnsHostnames")
    if not names.get("EnableDnsHostnames", {}).get("Value"):
        turn_on(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
        say("updated", f"VPC {vpc_id}", "enableDnsHostnames on")


def is_available(listed: list[Any], key: str, identifier: str) -> bool:
    """Just after its creation EC2 may not list a thing at all."""
    return any(each[key] == identifier and each["State"] == "available" for each in listed)


def make_gateway(each: str) -> Any:
    specification = tag_specification("internet-gateway", each)
    return client("ec2").create_internet_gateway(TagSpecifications=specification)["InternetGateway"]


def our_gateways() -> list[Any]:
    """Ours that are attached to our VPC, or to nothing; once one is attached, only that one."""
    ids = [vpc["VpcId"] for vpc in vpcs()]
    found = [each for each in internet_gateways() if part(each) == "internet-gateway"]
    attached = [each for each in found if any(one["VpcId"] in ids for one in each["Attachments"])]
    return attached or [each for each in found if not each["Attachments"]]


def attach(gateway: Any, vpc_id: str) -> None:
    """A VPC takes one gateway. Those of ours that are attached to nothing were left by a run that died: they go."""
    gateway_id = gateway["InternetGatewayId"]
    for other in internet_gateways():
        if other["InternetGatewayId"] != gateway_id and not other["Attachments"]:
            delete_internet_gateway(other)
    if gateway.get("Attachments"):
        return
    take = call(
        client("ec2").attach_internet_gateway,
        f"internet gateway {gateway_id}",
        of=gateway,
        there="Resource.AlreadyAssociated",
        busy=(NO_GATEWAY, NO_VPC),
    )
    if take(InternetGatewayId=gateway_id, VpcId=vpc_id):
        say("updated", f"internet gateway {gateway_id}", f"attached to {vpc_id}")


def route_table_of(vpc_id: str) -> Kind:
    """Tables of our own: the VPC's main table stays closed, for whatever is added later."""

    def make(each: str) -> Any:
        create_route_table = call(client("ec2").create_route_table, f"route table {each}", busy=NO_VPC)
        return create_route_table(VpcId=vpc_id, TagSpecifications=tag_specification("route-table", each))["RouteTable"]

    return Kind("route table", "RouteTableId", route_tables, make, delete_route_table)


def add_default_route(table: Any, **target: str) -> None:
    """Everything that is not in the VPC goes to this gateway; a dead gateway's route is replaced."""
    ec2 = client("ec2")
    routes = [route for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
    if any(route.get(key) == value for route in routes for key, value in target.items()):
        return
    request: Any = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0", **target}
    what = f"route table {table['RouteTableId']}"
    unknown = (NO_TABLE, NO_GATEWAY, "InvalidGatewayID.NotFound", "InvalidNatGatewayID.NotFound")
    if routes:
        call(ec2.replace_route, what, of=table, busy=unknown)(**request)
    else:
        call(ec2.create_route, what, of=table, there="RouteAlreadyExists", busy=unknown)(**request)
    say("updated", what, f"0.0.0.0/0 to {', '.join(target.values())}")


def create_subnet(vpc_id: str, each: str, block: str, zone: str) -> Any:
    """The subnet. A block is given once in a VPC: where another run has just made it, AWS says so, and lists it soon."""

    def listed() -> Any:
        found = [subnet for subnet in subnets() if part(subnet) == each]
        return only(found, f"subnet {each}", "SubnetId")

    subnet = listed()
    if subnet:
        say("found", f"subnet {subnet['SubnetId']}", f"{each} {block} {subnet['AvailabilityZone']}")
    else:
        made = call(client("ec2").create_subnet, f"subnet {block}", there="InvalidSubnet.Conflict")(
            VpcId=vpc_id, CidrBlock=block, AvailabilityZone=zone, TagSpecifications=tag_specification("subnet", each)
        )
        subnet = made["Subnet"] if made else wait(f"subnet {block}", listed, lambda: "AWS does not list it")
        if made:
            say("created", f"subnet {subnet['SubnetId']}", f"{each} {block} {zone}")
    subnet_id = subnet["SubnetId"]
    wait(f"subnet {subnet_id}", lambda: is_available(subnets(), "SubnetId", subnet_id), lambda: "it is still pending")
    return subnet


def associate(subnet: Any, table: Any) -> None:
    """The subnet uses this route table."""
    taken = [one.get("SubnetId") for each in route_tables() for one in each["Associations"]]
    if subnet["SubnetId"] not in taken:
        associate_route_table = call(client("ec2").associate_route_table, of=table, there="Resource.AlreadyAssociated")
        associate_route_table(RouteTableId=table["RouteTableId"], SubnetId=subnet["SubnetId"])
        say("updated", f"subnet {subnet['SubnetId']}", f"routes of {table['RouteTableId']}")


def make_public(subnet: Any) -> None:
    """What starts in it gets a public address."""
    if not subnet["MapPublicIpOnLaunch"]:
        modify_subnet_attribute = call(client("ec2").modify_subnet_attribute, of=subnet)
        modify_subnet_attribute(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": True})
        say("updated", f"subnet {subnet['SubnetId']}", "public addresses on")


# -------------------------------------------------------------------------------------------------------------- delete


def delete() -> None:
    """Subnets, route tables, internet gateway and VPC. AWS refuses each while a network interface is left in it."""
    if constants.VPC_ID:
        say("kept", f"VPC {constants.VPC_ID}", "adopted, not ours to delete")
        return
    for subnet in subnets():
        delete_subnet(subnet)
    for table in route_tables():
        delete_route_table(table)
    for gateway in internet_gateways():
        delete_internet_gateway(gateway)
    for vpc in vpcs():
        delete_vpc(vpc)


def delete_subnet(subnet: Any) -> None:
    subnet_id = subnet["SubnetId"]
    call(
        client("ec2").delete_subnet,
        f"subnet {subnet_id} to be free",
        of=subnet,
        gone="InvalidSubnetID.NotFound",
        busy=IN_USE,
        why=lambda: held_by("subnet-id", subnet_id),
    )(SubnetId=subnet_id)
    say("deleted", f"subnet {subnet_id}")


def delete_route_table(table: Any) -> None:
    table_id = table["RouteTableId"]
    call(client("ec2").delete_route_table, f"route table {table_id} to be free", of=table, gone=NO_TABLE, busy=IN_USE)(
        RouteTableId=table_id
    )
    say("deleted", f"route table {table_id}")


def delete_internet_gateway(gateway: Any) -> None:
    """AWS keeps a gateway attached while a public address is in use in the VPC, of a host or a task that is ending."""
    ec2, gateway_id = client("ec2"), gateway["InternetGatewayId"]
    what = f"internet gateway {gateway_id} to be free"
    for each in gateway["Attachments"]:
        call(
            ec2.detach_internet_gateway,
            what,
            of=gateway,
            gone=("Gateway.NotAttached", NO_GATEWAY),
            busy=IN_USE,
            why=lambda: held_by("vpc-id", gateway["Attachments"][0]["VpcId"]),
        )(InternetGatewayId=gateway_id, VpcId=each["VpcId"])
    call(ec2.delete_internet_gateway, what, of=gateway, gone=NO_GATEWAY, busy=IN_USE)(InternetGatewayId=gateway_id)
    say("deleted", f"internet gateway {gateway_id}")


def delete_vpc(vpc: Any) -> None:
    vpc_id = vpc["VpcId"]
    call(
        client("ec2").delete_vpc,
        f"VPC {vpc_id} to be free",
        of=vpc,
        gone=NO_VPC,
        busy=IN_USE,
        why=lambda: held_by("vpc-id", vpc_id),
    )(VpcId=vpc_id)
    say("deleted", f"VPC {vpc_id}")


VPC = Kind("VPC", "VpcId", vpcs, make_vpc, delete_vpc)
GATEWAY = Kind("internet gateway", "InternetGatewayId", our_gateways, make_gateway, delete_internet_gateway)


def held_by(key: str, identifier: str) -> str:
    """The network interfaces that hold something, each with the words of its owner."""
    filters: list[Any] = [{"Name": key, "Values": [identifier]}]
    found: list[Any] = client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    names = [
        f"{item['NetworkInterfaceId']} ({item.get('Description') or item.get('InterfaceType', '')}, "
        f"owner {item.get('RequesterId') or item.get('Attachment', {}).get('InstanceOwnerId') or item.get('OwnerId', '')})"
        for item in found
    ]
    return "held by network interface " + ", ".join(names) if names else "no network interface holds it any more"


def left_over() -> list[Resource]:
    """What of ours stands."""
    kinds = (
        ("VPC", "vpc", "VpcId", vpcs),
        ("subnet", "subnet", "SubnetId", subnets),
        ("route table", "route-table", "RouteTableId", route_tables),
        ("internet gateway", "internet-gateway", "InternetGatewayId", internet_gateways),
    )
    return [
        Resource(f"{what} {each[key]}", aws.arn("ec2", f"{kind}/{each[key]}"), tags_of(each), part(each))
        for what, kind, key, listed in kinds
        for each in listed()
    ]
