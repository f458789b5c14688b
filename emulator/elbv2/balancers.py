"""Load balancers: their making and deleting, the network interfaces they own, attributes and tags.

https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
"""

from __future__ import annotations

import random
import re
import uuid

from emulator.core import partitions, quotas
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import World
from emulator.ec2 import interfaces as ec2_interfaces
from emulator.elbv2.state import LoadBalancer, Region, here, invalid, page, settle_use
from emulator.elbv2.target_groups import check_name
from emulator.iam import roles as iam_roles

PROVISIONING, INTERFACES_LINGER = 150, 90
FREE_ADDRESSES, LARGEST_PREFIX = 8, 27
TAGS = 50

#: the hosted zones of Application Load Balancers, for alias records
#: https://docs.aws.amazon.com/general/latest/gr/elb.html
HOSTED_ZONES = {
    "us-east-1": "Z35SXDOTRQ7X7K",
    "us-east-2": "Z3AADJGX6KTTL2",
    "us-west-1": "Z368ELLRRE2KJ0",
    "us-west-2": "Z1H1FL5HABSF5",
    "ca-central-1": "ZQSVJUPU6J1EY",
    "eu-central-1": "Z215JYRZR1TBD5",
    "eu-west-1": "Z32O12XQLNTSW2",
    "eu-west-2": "ZHURV8PSTC4K8",
    "eu-west-3": "Z3Q77PNBQS71R4",
    "eu-north-1": "Z23TAZ6LKFMNIO",
    "ap-northeast-1": "Z14GRHDCWA56QT",
    "ap-northeast-2": "ZWKZPGTI48KDX",
    "ap-southeast-1": "Z1LMS91P8CMLE5",
    "ap-southeast-2": "Z1GM3OXH4ZPM65",
    "ap-south-1": "ZP97RAFLXTNZK",
    "sa-east-1": "Z2P70J7HTTTPLU",
}
NETWORK_HOSTED_ZONES = {"us-east-1": "Z26RNL4JYFTOTI", "us-west-2": "Z18D5FSROUN65G", "eu-west-1": "Z2IFOLAFXWLO4F"}

#: attribute -> default, of an Application Load Balancer
ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "health_check_logs.s3.enabled": "false",
    "health_check_logs.s3.bucket": "",
    "health_check_logs.s3.prefix": "",
    "idle_timeout.timeout_seconds": "60",
    "ipv6.deny_all_igw_traffic": "false",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
#: the same, of a Network Load Balancer
NETWORK_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "dns_record.client_routing_policy": "any_availability_zone",
    "ipv6.deny_all_igw_traffic": "false",
    "load_balancing.cross_zone.enabled": "false",
    "secondary_ips.auto_assigned.per_subnet": "0",
    "zonal_shift.config.enabled": "false",
}


def balancer(call: Call) -> LoadBalancer:
    """The call's load balancer."""
    arn = call.params["LoadBalancerArn"]
    found = here(call.world, call.region).balancers.get(arn)
    if found is None:
        raise AwsError("LoadBalancerNotFound", f"Load balancer '{arn}' not found")
    return found


@on("elbv2", "CreateLoadBalancer", rules="elb-001 elb-002 elb-003 elb-010 elb-scheme")
def create_load_balancer(call: Call) -> Params:
    state, given, name = here(call.world, call.region), call.params, call.params["Name"]
    _check_balancer_name(name)
    kind, scheme = given.get("Type") or "application", given.get("Scheme") or "internet-facing"
    if kind not in ("application", "network"):
        raise AwsError("NotImplemented", f"the emulator does not imitate {kind} load balancers", 501)
    if scheme not in ("internet-facing", "internal"):
        raise AwsError("InvalidScheme", f"The scheme '{scheme}' is not valid")
    subnets = _subnets(call, kind, scheme)
    shown = {
        "LoadBalancerName": name,
        "Scheme": scheme,
        "VpcId": subnets[0]["VpcId"],
        "Type": kind,
        "AvailabilityZones": _zones(subnets),
        "IpAddressType": given.get("IpAddressType") or "ipv4",
    }
    if groups := _groups(call, subnets[0]["VpcId"], kind):
        shown["SecurityGroups"] = groups
    for other in state.balancers.values():
        if other.shown["LoadBalancerName"] == name:
            if any(other.shown.get(key) != value for key, value in shown.items()):
                message = f"A load balancer with the same name '{name}' exists, but with different settings"
                raise AwsError("DuplicateLoadBalancerName", message)
            return {"LoadBalancers": [dict(other.shown)]}
    there = sum(other.shown["Type"] == kind for other in state.balancers.values())
    if kind == "application":
        full = "The maximum number of load balancers has been reached"
        quotas.refuse_more(call.world, "L-53DA6B97", there, "TooManyLoadBalancers", full)
    return {"LoadBalancers": [_make(call, state, shown)]}


def _check_balancer_name(name: str) -> None:
    check_name("The load balancer", name)
    if name.startswith("internal-"):
        raise invalid(f"The load balancer name '{name}' cannot begin with 'internal-'")


def _subnets(call: Call, kind: str, scheme: str) -> list[Params]:
    """The subnets that a load balancer is to stand in: one in each of two zones, with addresses left, and for the
    internet's use with a way there."""
    mappings = call.params.get("SubnetMappings") or []
    wanted = call.params.get("Subnets") or [mapping["SubnetId"] for mapping in mappings]
    if not wanted:
        raise invalid("At least two subnets in two different Availability Zones must be specified")
    filters = [{"Name": "subnet-id", "Values": wanted}]
    known = {subnet["SubnetId"]: subnet for subnet in call.moto("ec2").describe_subnets(Filters=filters)["Subnets"]}
    for name in wanted:
        if name not in known:
            raise AwsError("SubnetNotFound", f"The subnet ID '{name}' does not exist")
    found = [known[name] for name in dict.fromkeys(wanted)]
    if len({subnet["VpcId"] for subnet in found}) > 1:
        raise AwsError("InvalidConfigurationRequest", "All subnets must belong to the same VPC")
    zones = {subnet["AvailabilityZone"] for subnet in found}
    if len(zones) < len(found):
        message = "A load balancer cannot be attached to multiple subnets in the same Availability Zone"
        raise AwsError("InvalidConfigurationRequest", message)
    if kind == "application" and len(zones) < 2:
        raise invalid("At least two subnets in two different Availability Zones must be specified")
    for subnet in found:
        _check_room(subnet)
    if scheme == "internet-facing":
        _check_way_out(call, found)
    return found


def _check_room(subnet: Params) -> None:
    prefix = int(subnet["CidrBlock"].partition("/")[2])
    if subnet["AvailableIpAddressCount"] < FREE_ADDRESSES or prefix > LARGEST_PREFIX:
        raise AwsError(
            "InvalidSubnet",
            f"Not enough IP space available in {subnet['SubnetId']}. "
            f"ELB requires at least {FREE_ADDRESSES} free IP addresses in each subnet.",
        )


def _check_way_out(call: Call, subnets: list[Params]) -> None:
    """An internet-facing load balancer needs an internet gateway in the VPC, and routes to it."""
    ec2, vpc = call.moto("ec2"), subnets[0]["VpcId"]
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    if not ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]:
        raise AwsError("InvalidSubnet", f"VPC {vpc} has no internet gateway")
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    by_subnet = {use.get("SubnetId"): table for table in tables for use in table["Associations"]}
    for subnet in subnets:
        table = by_subnet.get(subnet["SubnetId"]) or by_subnet.get(None) or {"Routes": []}
        if not any(str(route.get("GatewayId", "")).startswith("igw-") for route in table["Routes"]):
            raise AwsError("InvalidSubnet", f"Subnet {subnet['SubnetId']} has no route to an internet gateway")


def _groups(call: Call, vpc_id: str, kind: str) -> list[str]:
    """The security groups; an Application Load Balancer without any gets the default one of its VPC."""
    wanted = call.params.get("SecurityGroups") or []
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}]
    groups = call.moto("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    known = {group["GroupId"]: group["GroupName"] for group in groups}
    for name in wanted:
        if name not in known:
            raise AwsError("InvalidSecurityGroup", f"The security group '{name}' does not exist in '{vpc_id}'")
    if not wanted and kind == "application":
        return [group_id for group_id, name in known.items() if name == "default"]
    return list(dict.fromkeys(wanted))


def _zones(subnets: list[Params]) -> list[Params]:
    zones = [
        {"ZoneName": subnet["AvailabilityZone"], "SubnetId": subnet["SubnetId"], "LoadBalancerAddresses": []}
        for subnet in subnets
    ]
    return sorted(zones, key=lambda zone: str(zone["ZoneName"]))


def _make(call: Call, state: Region, shown: Params) -> Params:
    iam_roles.service_linked_role(call.world, "elasticloadbalancing.amazonaws.com")
    name, identifier = shown["LoadBalancerName"], uuid.uuid4().hex[:16]
    network, region = shown["Type"] == "network", call.region
    part = f"{'net' if network else 'app'}/{name}/{identifier}"
    arn = f"arn:{partitions.here()}:elasticloadbalancing:{region}:{call.account}:loadbalancer/{part}"
    prefix = "internal-" if shown["Scheme"] == "internal" and not network else ""
    number = identifier if network else str(random.randrange(10**8, 10**10))
    domain = f"elb.{region}.{partitions.domain(region)}" if network else f"{region}.elb.{partitions.domain(region)}"
    zones = NETWORK_HOSTED_ZONES if network else HOSTED_ZONES
    shown |= {
        "LoadBalancerArn": arn,
        "DNSName": f"{prefix}{name}-{number}.{domain}",
        "CanonicalHostedZoneId": zones.get(region, "Z35SXDOTRQ7X7K"),
        "CreatedTime": call.world.timestamp(),
        "State": {"Code": "provisioning"},
    }
    made = LoadBalancer(shown, dict(NETWORK_ATTRIBUTES if network else ATTRIBUTES), {})
    state.balancers[arn] = made
    state.tags[arn] = _tag_dict(call.params.get("Tags") or [])
    for zone in shown["AvailabilityZones"]:
        _add_interface(call, made, zone["SubnetId"])
    call.world.after(PROVISIONING, _active, shown)
    return dict(shown)


def _active(shown: Params) -> None:
    shown["State"] = {"Code": "active"}


def _add_interface(call: Call, made: LoadBalancer, subnet_id: str) -> None:
    shown = made.shown
    made.interfaces[subnet_id] = ec2_interfaces.create_interface(
        call.world,
        call.region,
        subnet_id,
        shown.get("SecurityGroups") or [],
        f"ELB {shown['LoadBalancerArn'].partition(':loadbalancer/')[2]}",
        interface_type="network_load_balancer" if shown["Type"] == "network" else "interface",
        requester="amazon-elb",
        public_ip=shown["Scheme"] == "internet-facing",
    )["NetworkInterfaceId"]


def _let_go(world: World, region: str, interfaces: list[str]) -> None:
    """Network interfaces of what is deleted already: they hold subnets, security groups and the gateway a while."""
    for interface in interfaces:
        seconds = INTERFACES_LINGER + world.settings.lingering_interfaces
        world.after(seconds, ec2_interfaces.delete_interface, world, region, interface)


@on("elbv2", "DescribeLoadBalancers")
def describe_load_balancers(call: Call) -> Params:
    given = call.params
    found = [one.shown for one in here(call.world, call.region).balancers.values()]
    for key, field in (("LoadBalancerArns", "LoadBalancerArn"), ("Names", "LoadBalancerName")):
        if wanted := given.get(key):
            found = [shown for shown in found if shown[field] in wanted]
            if missing := [name for name in wanted if name not in {shown[field] for shown in found}]:
                names = f"Load balancers '[{', '.join(missing)}]' not found"
                text = names if key == "Names" else "One or more load balancers not found"
                raise AwsError("LoadBalancerNotFound", text)
    items, more = page(call, found)
    return {"LoadBalancers": items, **more}


@on("elbv2", "DeleteLoadBalancer", rules="elb-010 elb-011")
def delete_load_balancer(call: Call) -> Params:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html"""
    state, arn = here(call.world, call.region), call.params["LoadBalancerArn"]
    if not re.fullmatch(r"arn:[^:]+:elasticloadbalancing:[^:]+:\d{12}:loadbalancer/.+", arn):
        raise invalid(f"'{arn}' is not a valid load balancer ARN")
    found = state.balancers.get(arn)
    if found is None:
        return {}
    if found.attributes["deletion_protection.enabled"] == "true":
        message = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
        raise AwsError("OperationNotPermitted", message)
    del state.balancers[arn]
    listeners = [name for name, one in state.listeners.items() if one.shown["LoadBalancerArn"] == arn]
    ruled = [name for name, rule in state.rules.items() if rule["ListenerArn"] in listeners]
    for name in (arn, *listeners, *ruled):
        state.tags.pop(name, None)
    for name in listeners:
        del state.listeners[name]
    for name in ruled:
        del state.rules[name]
    settle_use(call.world, call.region)
    _let_go(call.world, call.region, list(found.interfaces.values()))
    return {}


# --- changes


@on("elbv2", "SetSecurityGroups")
def set_security_groups(call: Call) -> Params:
    found = balancer(call)
    if not call.params.get("SecurityGroups"):
        raise AwsError("InvalidConfigurationRequest", "At least one security group must be specified")
    groups = _groups(call, found.shown["VpcId"], found.shown["Type"])
    found.shown["SecurityGroups"] = groups
    for interface in found.interfaces.values():
        call.moto("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)
    return {"SecurityGroupIds": groups}


@on("elbv2", "SetSubnets", rules="elb-003 elb-010")
def set_subnets(call: Call) -> Params:
    found = balancer(call)
    subnets = _subnets(call, found.shown["Type"], found.shown["Scheme"])
    if subnets[0]["VpcId"] != found.shown["VpcId"]:
        raise AwsError("InvalidConfigurationRequest", "The subnets must belong to the VPC of the load balancer")
    wanted = [subnet["SubnetId"] for subnet in subnets]
    left = [name for name in found.interfaces if name not in wanted]
    _let_go(call.world, call.region, [found.interfaces.pop(name) for name in left])
    for name in wanted:
        if name not in found.interfaces:
            _add_interface(call, found, name)
    found.shown["AvailabilityZones"] = _zones(subnets)
    return {"AvailabilityZones": found.shown["AvailabilityZones"], "IpAddressType": found.shown["IpAddressType"]}


@on("elbv2", "SetIpAddressType")
def set_ip_address_type(call: Call) -> Params:
    found, wanted = balancer(call), call.params["IpAddressType"]
    if wanted not in ("ipv4", "dualstack", "dualstack-without-public-ipv4"):
        raise invalid(f"The IP address type '{wanted}' is not valid")
    found.shown["IpAddressType"] = wanted
    return {"IpAddressType": wanted}


@on("elbv2", "DescribeLoadBalancerAttributes")
def describe_load_balancer_attributes(call: Call) -> Params:
    return {"Attributes": [{"Key": key, "Value": value} for key, value in balancer(call).attributes.items()]}


@on("elbv2", "ModifyLoadBalancerAttributes")
def modify_load_balancer_attributes(call: Call) -> Params:
    attributes = balancer(call).attributes
    wanted = {attribute["Key"]: attribute.get("Value", "") for attribute in call.params["Attributes"]}
    for key, value in wanted.items():
        if key not in attributes:
            raise invalid(f"Load balancer attribute key '{key}' is not recognized")
        if key.endswith(".enabled") and value not in ("true", "false"):
            raise invalid(f"'{key}' value '{value}' must be one of [true, false]")
        if key == "idle_timeout.timeout_seconds" and not (value.isdigit() and 1 <= int(value) <= 4000):
            raise invalid(f"'{key}' value '{value}' must be between '1-4000' inclusive")
    attributes.update(wanted)
    return describe_load_balancer_attributes(call)


# --- tags, of everything that ELB makes

NOT_FOUND = {
    "loadbalancer": ("LoadBalancerNotFound", "One or more load balancers not found"),
    "targetgroup": ("TargetGroupNotFound", "One or more target groups not found"),
    "listener": ("ListenerNotFound", "One or more listeners not found"),
    "listener-rule": ("RuleNotFound", "One or more rules not found"),
}


def _tag_dict(tags: list[Params]) -> dict[str, str]:
    found = {tag["Key"]: tag.get("Value", "") for tag in tags}
    if len(found) < len(tags):
        raise AwsError("DuplicateTagKeys", "A tag key was specified more than once")
    return found


def _tagged(call: Call) -> list[tuple[str, dict[str, str]]]:
    state = here(call.world, call.region)
    found = []
    for arn in call.params["ResourceArns"]:
        kind = arn.split(":")[5].partition("/")[0] if arn.count(":") >= 5 else ""
        if kind not in NOT_FOUND:
            raise invalid(f"'{arn}' is not a valid ARN")
        known = {**state.balancers, **state.groups, **state.listeners, **state.rules}
        if arn not in known:
            raise AwsError(*NOT_FOUND[kind])
        found.append((arn, state.tags.setdefault(arn, {})))
    return found


@on("elbv2", "AddTags")
def add_tags(call: Call) -> Params:
    added = _tag_dict(call.params["Tags"])
    for _, tags in _tagged(call):
        if len({**tags, **added}) > TAGS:
            raise AwsError("TooManyTags", f"A resource can have at most {TAGS} tags")
        tags.update(added)
    return {}


@on("elbv2", "RemoveTags")
def remove_tags(call: Call) -> Params:
    for _, tags in _tagged(call):
        for key in call.params["TagKeys"]:
            tags.pop(key, None)
    return {}


@on("elbv2", "DescribeTags")
def describe_tags(call: Call) -> Params:
    descriptions = [
        {"ResourceArn": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        for arn, tags in _tagged(call)
    ]
    return {"TagDescriptions": descriptions}
