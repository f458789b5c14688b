"""The VPC with its subnets: public ones with a way to the internet, and where settings ask for them private ones.

Free by itself; the private subnets' way out is not: nat_gateways.py. With VPC_ID nothing here is made, changed or deleted.
https://docs.aws.amazon.com/vpc/latest/userguide/what-is-amazon-vpc.html
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aws
import console
import constants
from aws import (
    Problem,
    Resource,
    call,
    client,
    only,
    part,
    resource,
    tag_filters,
    tag_specification,
    tags,
    this_hour,
    token,
    wait,
)
from console import say

#: AWS's refusals while a network interface, or something else, is still in what is to be deleted
IN_USE = ("DependencyViolation", "InvalidGroup.InUse")
NO_VPC = "InvalidVpcID.NotFound"
NO_SUBNET = "InvalidSubnetID.NotFound"
NO_GATEWAY = "InvalidInternetGatewayID.NotFound"
ASSOCIATED = "Resource.AlreadyAssociated"
NO_TABLE = "InvalidRouteTableID.NotFound"
DNS = ("enableDnsSupport", "enableDnsHostnames")
#: what was looked at so many seconds ago is looked at again before it is made
LATELY = 1.5


@dataclass
class Network:
    vpc_id: str
    zones: dict[str, str]  # subnet id -> Availability Zone, of the subnets for hosts, tasks and mount targets
    public_subnet_ids: list[str] = field(default_factory=list)  # for what faces the internet
    by_part: dict[str, Any] = field(default_factory=dict)  # public-1 and so on -> the subnet
    tables: dict[str, Any] = field(default_factory=dict)  # public, private-1 and so on -> the route table
    made: dict[str, Any] = field(default_factory=dict)  # what `create` found or made of what has no token, by its part

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
    """Those of WORK_SUBNET_IDS, in an adopted VPC."""
    return named(constants.WORK_SUBNET_IDS)


def named(subnet_ids: list[str]) -> list[Any]:
    """These subnets; none where one of them does not exist."""
    found = call(client("ec2").describe_subnets, gone=NO_SUBNET)(SubnetIds=subnet_ids) if subnet_ids else None
    return found["Subnets"] if found else []


def find() -> Network | None:
    """The network that `create` made or adopted, or None."""
    if constants.VPC_ID:
        return adopted()
    vpc = find_vpc()
    by_part = sorted(subnets(), key=lambda each: (len(part(each)), part(each)))
    return of_subnets(vpc["VpcId"], {part(each): each for each in by_part}) if vpc else None


def of_subnets(vpc_id: str, by_part: dict[str, Any]) -> Network:
    """Hosts and tasks are in the private subnets where there are some, else in the public ones."""
    zones = {each: (subnet["SubnetId"], subnet["AvailabilityZone"]) for each, subnet in by_part.items()}
    public = dict(zone for each, zone in zones.items() if each.startswith("public-"))
    private = dict(zone for each, zone in zones.items() if each.startswith("private-"))
    return Network(vpc_id, private or public, list(public), by_part)


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
        aws.refuse_change(f"VPC_CIDR={constants.VPC_CIDR}", f"{vpc['VpcId']} has {vpc['CidrBlock']}")
    present = {part(each): each for each in subnets()}
    for kind, blocks in {"public": constants.PUBLIC_SUBNET_CIDRS, "private": constants.PRIVATE_SUBNET_CIDRS}.items():
        setting = f"{kind.upper()}_SUBNET_CIDRS"
        for number, block in enumerate(blocks, 1):
            found = present.get(f"{kind}-{number}")
            if found and found["CidrBlock"] != block:
                asked = f"{setting}: subnet {number} is to have {block}"
                aws.refuse_change(asked, f"{found['SubnetId']} has {found['CidrBlock']}")
            zone = constants.AVAILABILITY_ZONES[number - 1 : number]
            if found and zone and [found["AvailabilityZone"]] != zone:
                asked = f"AVAILABILITY_ZONES: subnet {number} is to be in {zone[0]}"
                differs = f"{asked}, but {found['SubnetId']} is in {found['AvailabilityZone']}, which can't be changed"
                more = f"add a zone with one more block in {setting}; or run delete_cluster.py first"
                raise Problem(f"{differs}: set it back, and {more}")
        for found in [present[each] for each in present if each.startswith(kind) and not number_in(each, blocks)]:
            there = f"{found['SubnetId']} of {found['CidrBlock']} stands, where hosts, tasks and mount targets are"
            aws.refuse_change(f"{setting} has {len(blocks)} subnets", there)


def number_in(its_part: str, blocks: list[str]) -> bool:
    """Whether there is still a block for public-2."""
    return int(its_part.rpartition("-")[2]) <= len(blocks)


def begin(*more: "Wanted") -> "Asked":
    """Ask for the VPC and its internet gateway, and for what else has neither a name nor a token; `create` goes on."""
    return ask(*more) if constants.VPC_ID else ask((VPC, ["vpc"]), (GATEWAY, ["internet-gateway"]), *more)


def create(zones: list[str], asked: "Asked") -> Network:
    """Complete the VPC and its internet gateway, and make the subnets. Takes about 10 seconds."""
    made = settle(asked)
    if constants.VPC_ID:
        say("found", f"VPC {constants.VPC_ID}", "adopted, left as it is")
        return adopted()
    vpc_id = made["vpc"]["VpcId"]
    complete_vpc(made["vpc"], asked.made.get("vpc", {}).get("VpcId") == vpc_id)
    attach(made["internet-gateway"], vpc_id)
    by_part, listed = {}, subnets()
    for blocks in blocks_by_part():
        for (each, block), zone in zip(blocks.items(), zones, strict=False):
            by_part[each] = create_subnet(vpc_id, each, block, zone, of_part(listed, each))
    ids = [subnet["SubnetId"] for subnet in by_part.values()]
    pending = [subnet["SubnetId"] for subnet in by_part.values() if subnet["State"] != "available"]
    if pending:
        aws.forget(subnets)
        wait("the subnets", lambda: are_available(subnets(), "SubnetId", ids), lambda: "they are still pending")
    net = of_subnets(vpc_id, by_part)
    net.made = made
    return net


def create_routes(net: Network) -> None:
    """The route tables, and which subnet uses which: the public ones lead to the internet gateway."""
    if constants.VPC_ID:
        return
    public, private = blocks_by_part()
    listed = route_tables()
    taken = [one.get("SubnetId", "") for each in listed for one in each["Associations"]]
    present = {each: table_of(listed, each) for each in ("public", *private)}
    net.tables = tables = {each: create_table(net.vpc_id, each, found) for each, found in present.items()}
    add_default_route(tables["public"], GatewayId=net.made["internet-gateway"]["InternetGatewayId"])
    for each, subnet in net.by_part.items():
        associate(subnet, tables.get(each, tables["public"]), taken)
        if each in public:
            make_public(subnet)


def stands() -> bool:
    """Whether there is a subnet for each block of the settings already; adopted ones are looked at each time."""
    wanted = {each for blocks in blocks_by_part() for each in blocks}
    return not constants.VPC_ID and wanted <= {part(subnet) for subnet in subnets()}


def zones() -> list[str]:
    """Those of the subnets, in their order."""
    in_zone = {part(subnet): subnet["AvailabilityZone"] for subnet in subnets()}
    return [in_zone[each] for each in blocks_by_part()[0]]


def blocks_by_part() -> tuple[dict[str, str], dict[str, str]]:
    """The public subnets' blocks and the private ones', by what each is to us."""
    kinds = {"public": constants.PUBLIC_SUBNET_CIDRS, "private": constants.PRIVATE_SUBNET_CIDRS}
    public, private = ({f"{kind}-{n}": block for n, block in enumerate(kinds[kind], 1)} for kind in kinds)
    return public, private


@dataclass(frozen=True)
class Kind:
    """A kind of thing whose create call knows neither a unique name nor a client token."""

    what: str
    key: str  # of its id
    all: aws.look[list[Any]]
    make: Callable[[str], Any]
    remove: Callable[[Any], Any]
    usable: Callable[[list[Any]], list[Any]] = list

    def of_part(self, wanted: str) -> list[Any]:
        """In the order of their ids, the same for every run."""
        found = [each for each in self.all() if part(each) == wanted]
        return self.usable(sorted(found, key=lambda each: str(each[self.key])))

    def told(self, thing: Any, wanted: str) -> str:
        """What a person is told beside its id: its addresses, or which of several it is."""
        return thing.get("CidrBlock") or ("" if wanted == self.what.replace(" ", "-") else wanted)


Wanted = tuple[Kind, list[str]]


@dataclass
class Asked:
    """One thing for each of these parts: listed already, or just made, as other runs may be doing at the same moment."""

    parts: list[tuple[Kind, str]]
    listed: dict[str, list[Any]]
    made: dict[str, Any]
    began: float  # by the monotonic clock, before it was looked whether they are there


def ask(*wanted: Wanted) -> Asked:
    """Make what of these parts is not listed. `settle` goes on."""
    parts = [(kind, each) for kind, names in wanted for each in names]
    listed = {each: kind.of_part(each) for kind, each in parts}
    if not all(listed.values()):  # another run may have made it since this one looked
        aws.forget(*{kind.all for kind, _ in parts if time.monotonic() - kind.all.began > LATELY})
        listed = {each: kind.of_part(each) for kind, each in parts}
    began = min([time.monotonic(), *(kind.all.began for kind, _ in parts)])
    made = {each: {**kind.make(each), "Tags": tags(each)} for kind, each in parts if not listed[each]}
    return Asked(parts, listed, made, began)


def settle(asked: Asked) -> dict[str, Any]:
    """One of each of these parts, the same for all runs: part -> the thing itself.

    AWS lists late what another run, or one that was killed, has made a moment ago. So this waits until it lists what was
    made here, and as long again: then every run sees the same list, of which the first stays and the others go.
    """
    if asked.made and not console.dry_run:
        wait("EC2 to list what was made", lambda: not unlisted(asked), lambda: f"not yet: {', '.join(unlisted(asked))}")
        aws.pause(time.monotonic() - asked.began)
        aws.forget(*(kind.all for kind, _ in asked.parts))
    answer: dict[str, Any] = {}
    for kind, each in asked.parts:
        if each not in asked.made:
            answer[each] = found = only(asked.listed[each], f"{kind.what} {each}", kind.key) or {}
            say("found", f"{kind.what} {found[kind.key]}", kind.told(found, each))
            continue
        made, listed = asked.made[each], [] if console.dry_run else kind.of_part(each)
        answer[each] = stays = (listed or [made])[0]
        for other in {other[kind.key]: other for other in [made, *listed]}.values():
            if other[kind.key] != stays[kind.key]:
                kind.remove(other)
        new = stays[kind.key] == made[kind.key]
        say("created" if new else "found", f"{kind.what} {stays[kind.key]}", kind.told(stays, each))
    return answer


def unlisted(asked: Asked) -> list[str]:
    """The ids of what was made and is not listed yet. What another run has taken away is not waited for for ever."""
    late = []
    for kind, each in [(kind, each) for kind, each in asked.parts if each in asked.made]:
        its_id, listed = asked.made[each][kind.key], kind.of_part(each)
        lost = any(other[kind.key] < its_id or other.get("Attachments") for other in listed)
        over = time.monotonic() - asked.began > 2 * constants.POLL_SECONDS
        if its_id not in [thing[kind.key] for thing in kind.all()] and not (lost and over):
            late.append(its_id)
    return late


def make_vpc(each: str) -> Any:
    specification = tag_specification("vpc", each)
    return client("ec2").create_vpc(CidrBlock=constants.VPC_CIDR, TagSpecifications=specification)["Vpc"]


def complete_vpc(vpc: Any, is_new: bool) -> None:
    """EFS is mounted by its DNS name, so the VPC's DNS must be on: both attributes, one call each."""
    vpc_id = vpc["VpcId"]
    wait(f"VPC {vpc_id}", lambda: are_available(vpcs(), "VpcId", [vpc_id]), lambda: "it is still pending")
    for attribute in [DNS[1]] if is_new else dns_off(vpc_id):  # one is on from the beginning
        request: Any = {"VpcId": vpc_id, f"E{attribute[1:]}": {"Value": True}}
        call(client("ec2").modify_vpc_attribute, of=vpc)(**request)
        say("updated", f"VPC {vpc_id}", f"{attribute} on")


def dns_off(vpc_id: str) -> list[str]:
    """Which of a VPC's two attributes of DNS are off."""
    known = attributes_off()
    return known[vpc_id] if vpc_id in known else read_attributes_off(vpc_id)


@aws.look
def attributes_off() -> dict[str, list[str]]:
    ids = [constants.VPC_ID] if constants.VPC_ID else [vpc["VpcId"] for vpc in vpcs()]
    return {vpc_id: read_attributes_off(vpc_id) for vpc_id in ids}


def read_attributes_off(vpc_id: str) -> list[str]:
    """In an answer their names begin with a capital."""
    describe: Any = call(client("ec2").describe_vpc_attribute, gone=NO_VPC)
    answers = aws.side_by_side(lambda each: describe(VpcId=vpc_id, Attribute=each) or {}, DNS)
    return [each for each, told in zip(DNS, answers, strict=True) if not told.get(f"E{each[1:]}", {}).get("Value")]


LOOKS = (vpcs, subnets, route_tables, internet_gateways, attributes_off)


def are_available(listed: list[Any], key: str, ids: list[str]) -> bool:
    """Just after its creation EC2 may not list a thing at all."""
    return {*ids} <= {each[key] for each in listed if each["State"] == "available"}


def make_gateway(each: str) -> Any:
    specification = tag_specification("internet-gateway", each)
    return client("ec2").create_internet_gateway(TagSpecifications=specification)["InternetGateway"]


def attached_first(found: list[Any]) -> list[Any]:
    """Those that are attached to our VPC, or to nothing; once one is attached, only that one."""
    ids = [vpc["VpcId"] for vpc in vpcs()]
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
    what = f"internet gateway {gateway_id}"
    take = call(client("ec2").attach_internet_gateway, what, of=gateway, there=ASSOCIATED)
    if take(InternetGatewayId=gateway_id, VpcId=vpc_id):
        say("updated", what, f"attached to {vpc_id}")


def table_of(listed: list[Any], each: str) -> Any | None:
    return only([table for table in listed if part(table) == each], f"route table {each}", "RouteTableId")


def create_table(vpc_id: str, each: str, found: Any) -> Any:
    """A table of our own: the VPC's main table stays closed, for whatever is added later."""
    if found:
        say("found", f"route table {found['RouteTableId']}", each)
        return found
    request: Any = {"VpcId": vpc_id, "TagSpecifications": tag_specification("route-table", each)}
    create = call(client("ec2").create_route_table, gone=(NO_TABLE, "IdempotentParameterMismatch"))
    made = create(**request, ClientToken=token(vpc_id, each))
    if not made:  # AWS remembers one by this token that someone has deleted
        made = client("ec2").create_route_table(**request, ClientToken=token(vpc_id, each, this_hour()))
    say("created", f"route table {made['RouteTable']['RouteTableId']}", each)
    return made["RouteTable"]


def add_default_route(table: Any, **target: str) -> None:
    """Everything that is not in the VPC goes to this gateway; a dead gateway's route is replaced."""
    ec2 = client("ec2")
    routes = [route for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
    if any(route.get(key) == value for route in routes for key, value in target.items()):
        return
    request: Any = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0", **target}
    what = f"route table {table['RouteTableId']}"
    if routes:
        call(ec2.replace_route, what, of=table)(**request)
    else:
        call(ec2.create_route, what, of=table, there="RouteAlreadyExists")(**request)
    say("updated", what, f"0.0.0.0/0 to {', '.join(target.values())}")


def remove_default_route(table: Any) -> None:
    """One to a NAT gateway; what it led to is to go."""
    what = f"route table {table['RouteTableId']}"
    if any(each.get("NatGatewayId") for each in table["Routes"]):
        delete_route = call(client("ec2").delete_route, what, of=table, gone="InvalidRoute.NotFound")
        delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
        say("updated", what, "no way out any more")


def of_part(listed: list[Any], each: str) -> Any | None:
    return only([subnet for subnet in listed if part(subnet) == each], f"subnet {each}", "SubnetId")


def create_subnet(vpc_id: str, each: str, block: str, zone: str, found: Any) -> Any:
    """The subnet. A block is given once in a VPC: where another run has just made it, AWS says so, and lists it soon."""
    if found:
        say("found", f"subnet {found['SubnetId']}", f"{each} {block} {found['AvailabilityZone']}")
        return found
    made = call(client("ec2").create_subnet, f"subnet {block}", there="InvalidSubnet.Conflict")(
        VpcId=vpc_id, CidrBlock=block, AvailabilityZone=zone, TagSpecifications=tag_specification("subnet", each)
    )
    if not made:
        return aws.listed(f"subnet {block}", lambda: of_part(subnets(), each))
    say("created", f"subnet {made['Subnet']['SubnetId']}", f"{each} {block} {zone}")
    return made["Subnet"]


def associate(subnet: Any, table: Any, taken: list[str]) -> None:
    """The subnet uses this route table; `taken` are those that use one already."""
    if subnet["SubnetId"] not in taken:
        use = call(client("ec2").associate_route_table, of=table, there=ASSOCIATED)
        use(RouteTableId=table["RouteTableId"], SubnetId=subnet["SubnetId"])
        say("updated", f"subnet {subnet['SubnetId']}", f"routes of {table['RouteTableId']}")


def make_public(subnet: Any) -> None:
    """What starts in it gets a public address."""
    if not subnet["MapPublicIpOnLaunch"]:
        modify = call(client("ec2").modify_subnet_attribute, of=subnet)
        modify(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": True})
        say("updated", f"subnet {subnet['SubnetId']}", "public addresses on")


def delete() -> None:
    """Subnets, route tables, internet gateway and VPC. AWS refuses each while a network interface is left in it."""
    if constants.VPC_ID:
        say("kept", f"VPC {constants.VPC_ID}", "adopted, not ours to delete")
        return
    aws.side_by_side(delete_subnet, subnets())
    aws.side_by_side(delete_route_table, route_tables())
    for gateway in internet_gateways():
        delete_internet_gateway(gateway)
    for vpc in vpcs():
        delete_vpc(vpc)


def delete_subnet(subnet: Any) -> None:
    its_id = subnet["SubnetId"]
    what, why = f"subnet {its_id} to be free", lambda: held_by("subnet-id", its_id)
    call(client("ec2").delete_subnet, what, of=subnet, gone=NO_SUBNET, busy=IN_USE, why=why)(SubnetId=its_id)
    say("deleted", f"subnet {its_id}")


def delete_route_table(table: Any) -> None:
    its_id = table["RouteTableId"]
    what = f"route table {its_id} to be free"
    call(client("ec2").delete_route_table, what, of=table, gone=NO_TABLE, busy=IN_USE)(RouteTableId=its_id)
    say("deleted", f"route table {its_id}")


def delete_internet_gateway(gateway: Any) -> None:
    """AWS keeps a gateway attached while a public address is in use in the VPC, of a host or a task that is ending."""
    ec2, its_id, vpc_ids = client("ec2"), gateway["InternetGatewayId"], [at["VpcId"] for at in gateway["Attachments"]]
    what, why = f"internet gateway {its_id} to be free", lambda: held_by("vpc-id", next(iter(vpc_ids), ""))
    gone = ("Gateway.NotAttached", NO_GATEWAY)
    for vpc_id in vpc_ids:
        detach = call(ec2.detach_internet_gateway, what, of=gateway, gone=gone, busy=IN_USE, why=why)
        detach(InternetGatewayId=its_id, VpcId=vpc_id)
    call(ec2.delete_internet_gateway, what, of=gateway, gone=NO_GATEWAY, busy=IN_USE)(InternetGatewayId=its_id)
    say("deleted", f"internet gateway {its_id}")


def delete_vpc(vpc: Any) -> None:
    its_id = vpc["VpcId"]
    what, why = f"VPC {its_id} to be free", lambda: held_by("vpc-id", its_id)
    call(client("ec2").delete_vpc, what, of=vpc, gone=NO_VPC, busy=IN_USE, why=why)(VpcId=its_id)
    say("deleted", f"VPC {its_id}")


VPC = Kind("VPC", "VpcId", vpcs, make_vpc, delete_vpc)
GATEWAY = Kind(
    "internet gateway", "InternetGatewayId", internet_gateways, make_gateway, delete_internet_gateway, attached_first
)


def holders(key: str, identifier: str) -> list[str]:
    """The network interfaces that hold something, each with the words of its owner."""
    filters: Any = [{"Name": key, "Values": [identifier]}]
    names = []
    for each in client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]:
        owner = each.get("RequesterId") or each.get("Attachment", {}).get("InstanceOwnerId") or each.get("OwnerId", "")
        words = f"{each.get('Description') or each.get('InterfaceType', '')}, owner {owner}"
        names.append(f"{each['NetworkInterfaceId']} ({words})")
    return names


def held_by(key: str, identifier: str) -> str:
    names = holders(key, identifier)
    return "held by network interface " + ", ".join(names) if names else "no network interface holds it any more"


def left_over() -> list[Resource]:
    return as_resources(
        ("VPC", "vpc", "VpcId", vpcs()),
        ("subnet", "subnet", "SubnetId", subnets()),
        ("route table", "route-table", "RouteTableId", route_tables()),
        ("internet gateway", "internet-gateway", "InternetGatewayId", internet_gateways()),
    )


def as_resources(*kinds: tuple[str, str, str, list[Any]]) -> list[Resource]:
    """What EC2 lists: what a kind is for a person, what in ARNs, where its ids are, and those that there are."""
    return [
        resource(f"{what} {each[key]}", aws.arn("ec2", f"{kind}/{each[key]}"), each)
        for what, kind, key, listed in kinds
        for each in listed
    ]
