"""What the emulator remembers of EC2 in one region beside moto, and what all its EC2 modules share.

moto keeps VPCs, subnets, gateways, route tables, security groups, addresses and network interfaces. Instances, NAT
gateways and launch templates are kept here, in the shape in which boto3 shows them.
"""

from __future__ import annotations

import fnmatch
import functools
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.core.utils import get_service_model
from moto.ec2.models import ec2_backends
from moto.ec2.models.core import TaggedEC2Resource

from emulator.core import partitions
from emulator.core import unseen as core_unseen
from emulator.core.rules import SENTENCES, AwsError, Call, held, on
from emulator.core.tags import Tags, bearer
from emulator.core.world import ACCOUNT, World

SENTENCES.update(
    {
        "ec2-002": "What was just created is NotFound to calls that name it, and missing in lists, for some seconds.",
        "ec2-003": "CreateTags right after a create meets the same NotFound; tags in the create call do not.",
        "ec2-024": "Throttling, RequestLimitExceeded, comes as a fault on request only.",
        "sdk-004": "The waiters for VPCs and subnets give up on that NotFound, those for NAT gateways wait it out.",
    }
)
held("ec2-024", "faults: RequestLimitExceeded on request")
held("sdk-004", "ec2: the NotFound after each create")

Item = dict[str, Any]

#: prefix of an id -> the error code for an id that does not exist, and how its message calls the thing
NOT_FOUND = {
    "vpc": ("InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"),
    "subnet": ("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    "igw": ("InvalidInternetGatewayID.NotFound", "The internetGateway ID '{}' does not exist"),
    "rtb": ("InvalidRouteTableID.NotFound", "The routeTable ID '{}' does not exist"),
    "sg": ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    "eipalloc": ("InvalidAllocationID.NotFound", "The allocation ID '{}' does not exist"),
    "lt": ("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID {}, does not exist."),
    "nat": ("NatGatewayNotFound", "The Nat Gateway {} was not found"),
    "i": ("InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"),
    "eni": ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{}' does not exist"),
    "vol": ("InvalidVolume.NotFound", "The volume '{}' does not exist."),
    "vpce": ("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '{}' does not exist"),
    "ami": ("InvalidAMIID.NotFound", "The image id '[{}]' does not exist"),
    "key": ("InvalidKeyPair.NotFound", "The key pair '{}' does not exist"),
    "cr": ("InvalidCapacityReservationId.NotFound", "The Capacity Reservation ID '{}' does not exist"),
    "snap": ("InvalidSnapshot.NotFound", "The snapshot '{}' does not exist."),
}


#: prefix of an id -> what the thing is called in an ARN
KINDS = {
    "vpc": "vpc",
    "subnet": "subnet",
    "igw": "internet-gateway",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "eipalloc": "elastic-ip",
    "nat": "natgateway",
    "lt": "launch-template",
    "i": "instance",
    "vol": "volume",
    "eni": "network-interface",
    "vpce": "vpc-endpoint",
    "ami": "image",
    "snap": "snapshot",
    "cr": "capacity-reservation",
    "acl": "network-acl",
    "dopt": "dhcp-options",
    "key": "key-pair",
    "sir": "spot-instances-request",
    "pl": "prefix-list",
}


@dataclass
class Region:
    """EC2 in one region, as far as moto does not hold it."""

    #: ids that were just created and can not be seen yet (ec2-002)
    hidden: set[str] = field(default_factory=set)
    #: ids that are deleted, but still seen in Describe for a moment (ec2-005)
    leaving: set[str] = field(default_factory=set)
    #: (internet gateway, VPC) pairs whose attachment is under way
    attaching: set[str] = field(default_factory=set)
    instances: dict[str, Item] = field(default_factory=dict)
    nat_gateways: dict[str, Item] = field(default_factory=dict)
    templates: dict[str, Item] = field(default_factory=dict)
    reservations: dict[str, Item] = field(default_factory=dict)
    #: (operation, client token) -> the parameters it came with, and what was answered
    tokens: dict[tuple[str, str], tuple[Item, Any]] = field(default_factory=dict)


def region_of(world: World, region: str) -> Region:
    regions = world.state["ec2"]
    if region not in regions:
        regions[region] = Region()
        equip_default_vpc(backend_of(region))
    found: Region = regions[region]
    return found


def equip_default_vpc(backend: Any) -> None:
    """A default VPC comes with an internet gateway and a route to it; moto's has none."""
    for vpc in backend.vpcs.values():
        if vpc.is_default and not backend.internet_gateways:
            gateway = backend.create_internet_gateway()
            backend.attach_internet_gateway(gateway.id, vpc.id)
            main = next(table for table in backend.route_tables.values() if table.vpc_id == vpc.id)
            backend.create_route(main.id, "0.0.0.0/0", gateway_id=gateway.id)


def quick_tags(resource: Any) -> list[dict[str, str]]:
    """moto looks for the tags of one resource with regular expressions over all tags there are; one look will do."""
    tags = resource.ec2_backend.tags.get(resource.id) or {}
    return [{"resource_id": resource.id, "key": key, "value": value} for key, value in tags.items()]


TaggedEC2Resource.get_tags = quick_tags


def backend_of(region: str) -> Any:
    return ec2_backends[ACCOUNT][region]


def not_found(identifier: str, prefix: str = "") -> AwsError:
    """The error for an id that does not exist; `prefix` where the id itself is not to be trusted."""
    code, text = NOT_FOUND.get(prefix or identifier.split("-")[0], ("InvalidID", "The ID '{}' is not valid"))
    return AwsError(code, text.format(identifier))


def new_id(prefix: str) -> str:
    return f"{prefix}-{random.getrandbits(68):017x}"


def hide(world: World, region: str, identifier: str, seconds: float = 3) -> None:
    """Let a new id be unknown to other calls for a moment: what AWS calls eventual consistency."""
    hidden = region_of(world, region).hidden
    hidden.add(identifier)
    world.after(seconds, hidden.discard, identifier)


def tags_of(region: str, identifier: str) -> list[dict[str, str]]:
    tags = backend_of(region).tags.get(identifier) or {}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def set_tags(region: str, identifier: str, tags: Iterable[dict[str, str]]) -> None:
    backend_of(region).tags[identifier].update({tag["Key"]: tag.get("Value", "") for tag in tags})


def drop_tags(region: str, identifier: str) -> None:
    backend_of(region).tags.pop(identifier, None)


def specified_tags(params: Item, resource_type: str) -> list[dict[str, str]]:
    """The tags that TagSpecifications give to one type of resource."""
    specifications = params.get("TagSpecifications") or []
    return [tag for spec in specifications if spec.get("ResourceType") == resource_type for tag in spec.get("Tags", [])]


@functools.lru_cache(maxsize=2048)
def pattern(value: str) -> re.Pattern[str]:
    """A value of a filter: * stands for any text, ? for one character, \\* for a star itself."""
    value = value.replace("[", "[[]")
    return re.compile(fnmatch.translate(value))


def matches(filters: list[Item] | None, values: Callable[[str], Any], tags: list[dict[str, str]]) -> bool:
    """Does one thing pass all filters? `values(name)` gives its value or values for a filter; None: unknown filter."""
    for wanted in filters or []:
        name = wanted["Name"]
        if name.startswith("tag:"):
            found: Any = [tag["Value"] for tag in tags if tag["Key"] == name[4:]]
        elif name == "tag-key":
            found = [tag["Key"] for tag in tags]
        elif name == "tag-value":
            found = [tag["Value"] for tag in tags]
        else:
            found = values(name)
        if found is None:
            raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
        texts = [text(value) for value in (found if isinstance(found, (list, set, tuple)) else [found])]
        if not any(pattern(str(value)).match(one) for value in wanted.get("Values", []) for one in texts):
            return False
    return True


def select(
    items: Iterable[Item], filters: list[Item] | None, value: Callable[[Item, str], Any], tags: str = "Tags"
) -> list[Item]:
    """Those of the shown things that pass the filters; `value(item, filter name)` as in `matches`."""
    if not filters:
        return list(items)
    return [one for one in items if matches(filters, functools.partial(value, one), one.get(tags) or [])]


def by_keys(keys: dict[str, str]) -> Callable[[Item, str], Any]:
    """Values of filters that are plain keys of what is shown; a key that is missing there fits nothing."""

    def value(item: Item, name: str) -> Any:
        return item.get(keys[name], []) if name in keys else None

    return value


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def page(items: list[Any], params: Item, most: int = 1000) -> tuple[list[Any], str | None]:
    """One page of an answer, and the token for the next one."""
    start = int(params.get("NextToken") or 0)
    size = params.get("MaxResults") or params.get("MaxRecords") or most
    end = start + size
    return items[start:end], str(end) if end < len(items) else None


def once(world: World, region: str, operation: str, params: Item) -> Any:
    """What a client token already led to; with other parameters the token is refused."""
    token = params.get("ClientToken")
    if not token:
        return None
    known = region_of(world, region).tokens.get((operation, token))
    if known is None:
        return None
    if known[0] != params:
        raise AwsError(
            "IdempotentParameterMismatch",
            "The client token you have provided is associated with a resource that has different parameters",
        )
    return known[1]


def remember(world: World, region: str, operation: str, params: Item, answer: Any) -> None:
    if token := params.get("ClientToken"):
        region_of(world, region).tokens[operation, token] = (dict(params), answer)


def find_subnet(region: str, subnet_id: str) -> Any:
    for subnets in backend_of(region).subnets.values():
        if subnet_id in subnets:
            return subnets[subnet_id]
    raise not_found(subnet_id, "subnet")


def find_group(region: str, group_id: str) -> Any:
    for groups in backend_of(region).groups.values():
        if group_id in groups:
            return groups[group_id]
    raise not_found(group_id, "sg")


def find_vpc(region: str, vpc_id: str) -> Any:
    vpc = backend_of(region).vpcs.get(vpc_id)
    if vpc is None:
        raise not_found(vpc_id, "vpc")
    return vpc


# What stands in front of every EC2 call.

#: where the answer of a Describe holds its things, and the key of their id
LISTS = {
    "DescribeVpcs": ("Vpcs", "VpcId"),
    "DescribeSubnets": ("Subnets", "SubnetId"),
    "DescribeInternetGateways": ("InternetGateways", "InternetGatewayId"),
    "DescribeRouteTables": ("RouteTables", "RouteTableId"),
    "DescribeSecurityGroups": ("SecurityGroups", "GroupId"),
    "DescribeSecurityGroupRules": ("SecurityGroupRules", "GroupId"),
    "DescribeAddresses": ("Addresses", "AllocationId"),
    "DescribeNatGateways": ("NatGateways", "NatGatewayId"),
}


def identifiers(value: Any) -> Iterator[str]:
    """Every text in the parameters of a call, but for its filters and tags: an id of something is among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from identifiers(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name not in ("Filters", "Filter", "TagSpecifications", "Tags", "LaunchTemplateData"):
                yield from identifiers(one)


@on("ec2", *get_service_model("ec2").operation_names, rules="ec2-002 ec2-003")
def not_seen_yet(call: Call) -> Item:
    """Names in a call what was made a moment ago: NotFound. A list without ids just does not show it yet."""
    region = region_of(call.world, call.region)
    check_tags(call)
    if call.params.get("DryRun") and call.operation != "RunInstances":
        raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
    if not region.hidden and not region.leaving:
        return make_once(call)
    describes = call.operation.startswith("Describe")
    for one in identifiers(call.params):
        if one in region.hidden or (one in region.leaving and not describes):
            raise unseen(call.operation, one)
    hidden = set(region.hidden)  # what this call makes is in its own answer
    answer = make_once(call)
    if call.operation in LISTS:
        name, key = LISTS[call.operation]
        answer[name] = [item for item in answer.get(name, []) if item.get(key) not in hidden]
    return answer


#: what else may be tagged by a create call than the thing that it makes
MAKES = {
    "CreateVpc": ("vpc",),
    "CreateSubnet": ("subnet",),
    "CreateInternetGateway": ("internet-gateway",),
    "CreateRouteTable": ("route-table",),
    "CreateSecurityGroup": ("security-group",),
    "AuthorizeSecurityGroupIngress": ("security-group-rule",),
    "AuthorizeSecurityGroupEgress": ("security-group-rule",),
    "AllocateAddress": ("elastic-ip",),
    "CreateNatGateway": ("natgateway",),
    "CreateLaunchTemplate": ("launch-template",),
    "CreateVpcEndpoint": ("vpc-endpoint",),
    "CreateNetworkInterface": ("network-interface",),
    "CreateKeyPair": ("key-pair",),
    "ImportKeyPair": ("key-pair",),
    "RunInstances": ("instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"),
}


def check_tags(call: Call) -> None:
    """TagSpecifications of a create call are for what it makes, and leave the prefix aws: alone."""
    for specification in call.params.get("TagSpecifications") or []:
        kind = specification.get("ResourceType")
        if call.operation in MAKES and kind not in MAKES[call.operation]:
            raise AwsError(
                "InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation."
            )
        for tag in specification.get("Tags") or []:
            if str(tag.get("Key", "")).lower().startswith("aws:"):
                raise AwsError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")


#: creates with a client token that moto leaves aside
TOKENS = ("CreateRouteTable", "CreateVpcEndpoint", "CreateVolume", "CreateNetworkAcl", "CreateManagedPrefixList")


def make_once(call: Call) -> Item:
    """A create call with the token of an earlier one gives that one's answer."""
    if call.operation not in TOKENS:
        return call.proceed()
    params = dict(call.params)
    answer = once(call.world, call.region, call.operation, params)
    if answer is None:
        answer = call.proceed()
        remember(call.world, call.region, call.operation, params, answer)
    return dict(answer)


def unseen(operation: str, identifier: str) -> AwsError:
    """CreateRoute has codes of its own for gateways (ec2-016)."""
    error = not_found(identifier)
    if operation in ("CreateRoute", "ReplaceRoute"):
        if identifier.startswith("nat-"):
            return AwsError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{identifier}' does not exist")
        if identifier.startswith("igw-"):
            return AwsError("InvalidGatewayID.NotFound", f"The gateway ID '{identifier}' does not exist")
    return error


def _worded(operation: str, noun: str, identifier: str) -> AwsError:
    """For core.unseen: the error for what has been made a moment ago; a launch template may be named instead."""
    if noun == "LaunchTemplate" and not identifier.startswith("lt-"):
        message = f"At least one of the launch templates specified in the request does not exist: {identifier}"
        return AwsError("InvalidLaunchTemplateName.NotFoundException", message)
    return unseen(operation, identifier)


core_unseen.WORDED["ec2"] = _worded


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    """What has tags. moto would set up a whole Region to be asked: only where there is something already."""
    found = ec2_backends[ACCOUNT].get(region)
    for name, tags in found.tags.items() if found else ():
        if kind := KINDS.get(name.rpartition("-")[0]):
            yield f"arn:{partitions.here()}:ec2:{region}:{ACCOUNT}:{kind}/{name}", tags
