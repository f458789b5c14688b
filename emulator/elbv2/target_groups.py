"""Target groups, and the targets registered in them (state.py tells their health).

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
"""

from __future__ import annotations

import ipaddress
import re
import uuid

from emulator.core import partitions, quotas
from emulator.core.rules import AwsError, Call, Params, on
from emulator.ec2 import instances as ec2_instances
from emulator.elbv2.state import (
    RELEASING,
    TargetGroup,
    add_target,
    balancers_of,
    drain_target,
    here,
    invalid,
    observe,
    page,
    state_of,
)

PROTOCOLS = ("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC")
HTTP_CODES = re.compile(r"\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*")
GRPC_CODES = re.compile(r"\d{1,2}(-\d{1,2})?(,\d{1,2}(-\d{1,2})?)*")
PRIVATE = [ipaddress.ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]

#: attribute -> default; what AWS answers for a group of an Application Load Balancer
ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "300",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "slow_start.duration_seconds": "0",
    "stickiness.enabled": "false",
    "stickiness.type": "lb_cookie",
    "stickiness.app_cookie.cookie_name": "",
    "stickiness.app_cookie.duration_seconds": "86400",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
#: the same, of a Network Load Balancer
NETWORK_ATTRIBUTES = {
    "deregistration_delay.connection_termination.enabled": "false",
    "deregistration_delay.timeout_seconds": "300",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "preserve_client_ip.enabled": "true",
    "proxy_protocol_v2.enabled": "false",
    "stickiness.enabled": "false",
    "stickiness.type": "source_ip",
    "target_health_state.unhealthy.connection_termination.enabled": "true",
    "target_health_state.unhealthy.draining_interval_seconds": "0",
}
#: attribute -> the range of its value
RANGES = {
    "deregistration_delay.timeout_seconds": (0, 3600),
    "stickiness.lb_cookie.duration_seconds": (1, 604800),
    "stickiness.app_cookie.duration_seconds": (1, 604800),
}
#: attribute -> the values that it can have
VALUES = {
    "load_balancing.algorithm.type": ("round_robin", "least_outstanding_requests", "weighted_random"),
    "load_balancing.algorithm.anomaly_mitigation": ("on", "off"),
    "stickiness.enabled": ("true", "false"),
}
VERSIONS = ("HTTP1", "HTTP2", "GRPC")
STICKINESS = {"application": ("lb_cookie", "app_cookie"), "network": ("source_ip",)}


def _group(call: Call) -> TargetGroup:
    found = here(call.world, call.region).groups.get(call.params["TargetGroupArn"])
    if found is None:
        raise AwsError("TargetGroupNotFound", "One or more target groups not found")
    return found


def check_name(kind: str, name: str) -> None:
    """The names of load balancers and target groups: 32 letters, digits and hyphens, none of those at either end."""
    if len(name) > 32:
        raise invalid(f"{kind} name '{name}' cannot be longer than '32' characters")
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise invalid(
            f"{kind} name '{name}' can only contain characters that are alphanumeric characters or hyphens(-)"
        )
    if name.startswith("-") or name.endswith("-"):
        raise invalid(f"{kind} name '{name}' cannot begin or end with '-'")


@on("elbv2", "CreateTargetGroup", rules="elb-004 elb-005 elb-016 elb-protocol-version")
def create_target_group(call: Call) -> Params:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html"""
    state, given = here(call.world, call.region), call.params
    name = given["Name"]
    check_name("Target group", name)
    shown = {"TargetGroupName": name, **_place(call), **_health_check(call)}
    _check_health_check(shown)
    for other in state.groups.values():
        if other.shown["TargetGroupName"] == name:
            if {key: value for key, value in other.shown.items() if key != "TargetGroupArn"} != shown:
                message = f"A target group with the same name '{name}' exists, but with different settings"
                raise AwsError("DuplicateTargetGroupName", message)
            return {"TargetGroups": [_shown(call, other)]}
    full = "The maximum number of target groups has been reached"
    quotas.refuse_more(call.world, "L-B22855CB", len(state.groups), "TooManyTargetGroups", full)
    part = f"targetgroup/{name}/{uuid.uuid4().hex[:16]}"
    arn = f"arn:{partitions.here()}:elasticloadbalancing:{call.region}:{call.account}:{part}"
    network = shown.get("Protocol") not in ("HTTP", "HTTPS", None)
    made = TargetGroup({"TargetGroupArn": arn, **shown}, dict(NETWORK_ATTRIBUTES if network else ATTRIBUTES))
    state.groups[arn] = made
    state.tags[arn] = {tag["Key"]: tag.get("Value", "") for tag in given.get("Tags") or []}
    return {"TargetGroups": [_shown(call, made)]}


def _place(call: Call) -> Params:
    """Type, protocol, port and VPC of a new target group."""
    given = call.params
    kind = given.get("TargetType") or "instance"
    if kind not in ("instance", "ip", "lambda", "alb"):
        raise invalid(f"Target type '{kind}' must be one of 'instance, ip, lambda, alb'")
    if kind == "lambda":
        for key, name in (("Protocol", "Protocol"), ("Port", "Port"), ("VpcId", "VPC ID")):
            if given.get(key) is not None:
                raise invalid(f"{name} cannot be specified for target groups with target type 'lambda'")
        return {"TargetType": kind}
    for key, name in (("Protocol", "protocol"), ("Port", "port"), ("VpcId", "VPC ID")):
        if given.get(key) is None:
            raise invalid(f"A {name} must be specified")
    if given["Protocol"] not in PROTOCOLS:
        raise invalid(
            f"1 validation error detected: Value '{given['Protocol']}' at 'protocol' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(PROTOCOLS)}]"
        )
    if not 1 <= given["Port"] <= 65535:
        raise invalid(f"Port '{given['Port']}' must be between '1' and '65535'")
    filters = [{"Name": "vpc-id", "Values": [given["VpcId"]]}]
    if not call.moto("ec2").describe_vpcs(Filters=filters)["Vpcs"]:
        raise invalid(f"The VPC ID '{given['VpcId']}' is not found")
    placed = {key: given[key] for key in ("Protocol", "Port", "VpcId")} | {"TargetType": kind}
    if given["Protocol"] in ("HTTP", "HTTPS"):
        placed["ProtocolVersion"] = given.get("ProtocolVersion") or "HTTP1"
        if placed["ProtocolVersion"] not in VERSIONS:
            raise invalid(f"Protocol version '{placed['ProtocolVersion']}' must be one of '{', '.join(VERSIONS)}'")
    elif given.get("ProtocolVersion"):
        raise invalid(f"Protocol version cannot be specified for target groups with the protocol '{given['Protocol']}'")
    return {**placed, "IpAddressType": given.get("IpAddressType") or "ipv4"}


def _health_check(call: Call) -> Params:
    """The health check's settings of a new target group, with AWS's defaults."""
    given = call.params
    over_http = given.get("Protocol") in ("HTTP", "HTTPS", None)
    is_lambda = given.get("TargetType") == "lambda"
    protocol = given.get("HealthCheckProtocol") or ("HTTP" if over_http else "TCP")
    shown = {
        "HealthCheckEnabled": given.get("HealthCheckEnabled", not is_lambda),
        "HealthCheckIntervalSeconds": given.get("HealthCheckIntervalSeconds", 35 if is_lambda else 30),
        "HealthCheckTimeoutSeconds": given.get(
            "HealthCheckTimeoutSeconds", 30 if is_lambda else 5 if over_http else 6 if protocol == "HTTP" else 10
        ),
        "HealthyThresholdCount": given.get("HealthyThresholdCount", 5),
        "UnhealthyThresholdCount": given.get("UnhealthyThresholdCount", 2),
    }
    if not is_lambda:
        shown |= {"HealthCheckProtocol": protocol, "HealthCheckPort": given.get("HealthCheckPort") or "traffic-port"}
    if protocol != "TCP":
        grpc = given.get("ProtocolVersion") == "GRPC"
        shown["HealthCheckPath"] = given.get("HealthCheckPath") or ("/AWS.ALB/healthcheck" if grpc else "/")
        shown["Matcher"] = given.get("Matcher") or ({"GrpcCode": "12"} if grpc else {"HttpCode": "200"})
    elif given.get("HealthCheckPath") or given.get("Matcher"):
        raise invalid("A health check path or matcher cannot be specified for health checks of protocol 'TCP'")
    return shown


def _check_health_check(shown: Params) -> None:
    """The figures of a health check.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html"""
    figures = (
        ("HealthCheckIntervalSeconds", "Health check interval", 5, 300),
        ("HealthCheckTimeoutSeconds", "Health check timeout", 2, 120),
        ("HealthyThresholdCount", "Healthy threshold count", 2, 10),
        ("UnhealthyThresholdCount", "Unhealthy threshold count", 2, 10),
    )
    for key, name, low, high in figures:
        if not low <= shown[key] <= high:
            raise invalid(f"{name} '{shown[key]}' must be between '{low}' and '{high}' inclusive")
    timeout, interval = shown["HealthCheckTimeoutSeconds"], shown["HealthCheckIntervalSeconds"]
    if timeout >= interval:
        raise invalid(f"Health check timeout '{timeout}' must be smaller than the interval '{interval}'")
    path = shown.get("HealthCheckPath", "/")
    if not re.fullmatch(r"/[\x21-\x7e]*", path) or len(path) > 1024:
        raise invalid(
            f"Health check path '{path}' must begin with a '/' character and can only contain printable ASCII "
            "characters, without spaces"
        )
    if shown.get("Protocol") in ("HTTP", "HTTPS") and shown.get("HealthCheckProtocol") not in ("HTTP", "HTTPS"):
        raise invalid("Health check protocol 'TCP' is not supported for target groups with the HTTP or HTTPS protocol")
    port = shown.get("HealthCheckPort", "traffic-port")
    if port != "traffic-port" and not (port.isdigit() and 1 <= int(port) <= 65535):
        raise invalid(f"Health check port '{port}' must be 'traffic-port' or in the range [1-65535]")
    _check_matcher(shown)
    if codes := (shown.get("Matcher") or {}).get("HttpCode"):
        highest = 499 if shown.get("Protocol") in ("HTTP", "HTTPS", None) else 599
        numbers = [int(code) for code in re.findall(r"\d+", codes)]
        if not HTTP_CODES.fullmatch(codes) or not all(200 <= number <= highest for number in numbers):
            raise invalid(f"Health check matcher HTTP code '{codes}' must be within '200-{highest}' inclusive")


def _check_matcher(shown: Params) -> None:
    """Codes of the protocol that the group speaks. AWS's words for it are proven by nothing."""
    grpc, matcher = shown.get("ProtocolVersion") == "GRPC", shown.get("Matcher") or {}
    if grpc and not re.fullmatch(r"/[^/]+/[^/]+", shown.get("HealthCheckPath", "")):
        raise invalid(f"Health check path '{shown['HealthCheckPath']}' must have the format /package.service/method")
    if matcher and ("GrpcCode" in matcher) != grpc:
        kinds = ("gRPC", "HTTP") if grpc else ("HTTP", "gRPC")
        raise invalid(f"A health check matcher of this target group takes {kinds[0]} codes, not {kinds[1]} codes")
    numbers = [int(code) for code in re.findall(r"\d+", matcher.get("GrpcCode", ""))]
    if grpc and matcher and (not GRPC_CODES.fullmatch(matcher["GrpcCode"]) or max(numbers) > 99):
        raise invalid(f"Health check matcher gRPC code '{matcher['GrpcCode']}' must be within '0-99' inclusive")


def _shown(call: Call, group: TargetGroup) -> Params:
    arns = balancers_of(here(call.world, call.region), group.shown["TargetGroupArn"])
    return {**group.shown, "LoadBalancerArns": arns}


@on("elbv2", "DescribeTargetGroups")
def describe_target_groups(call: Call) -> Params:
    state, given = here(call.world, call.region), call.params
    groups = list(state.groups.values())
    if given.get("TargetGroupArns"):
        groups = [group for arn, group in state.groups.items() if arn in given["TargetGroupArns"]]
        missing = set(given["TargetGroupArns"]) - {group.shown["TargetGroupArn"] for group in groups}
    elif given.get("Names"):
        groups = [group for group in groups if group.shown["TargetGroupName"] in given["Names"]]
        missing = set(given["Names"]) - {group.shown["TargetGroupName"] for group in groups}
    else:
        missing = set()
    if missing:
        raise AwsError("TargetGroupNotFound", "One or more target groups not found")
    shown = [_shown(call, group) for group in groups]
    if arn := given.get("LoadBalancerArn"):
        if arn not in state.balancers:
            raise AwsError("LoadBalancerNotFound", f"Load balancer '{arn}' not found")
        shown = [one for one in shown if arn in one["LoadBalancerArns"]]
    items, more = page(call, shown)
    return {"TargetGroups": items, **more}


@on("elbv2", "ModifyTargetGroup", rules="elb-004 elb-015 elb-016")
def modify_target_group(call: Call) -> Params:
    group = _group(call)
    changed = {**group.shown, **{key: value for key, value in call.params.items() if key != "TargetGroupArn"}}
    _check_health_check(changed)
    group.shown.update(changed)
    return {"TargetGroups": [_shown(call, group)]}


@on("elbv2", "DeleteTargetGroup", rules="elb-009")
def delete_target_group(call: Call) -> Params:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteTargetGroup.html"""
    state, arn = here(call.world, call.region), call.params["TargetGroupArn"]
    if not re.fullmatch(r"arn:[^:]+:elasticloadbalancing:[^:]+:\d{12}:targetgroup/[^/]+/[0-9a-f]+", arn):
        raise invalid(f"'{arn}' is not a valid target group ARN")
    group = state.groups.get(arn)
    if group is None:
        return {}
    if group.used or call.world.now() < group.released + call.world.clock.delay(RELEASING):
        raise AwsError("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    del state.groups[arn]
    state.tags.pop(arn, None)
    return {}


# --- attributes


@on("elbv2", "DescribeTargetGroupAttributes")
def describe_target_group_attributes(call: Call) -> Params:
    return {"Attributes": [{"Key": key, "Value": value} for key, value in _group(call).attributes.items()]}


@on("elbv2", "ModifyTargetGroupAttributes", rules="elb-attributes")
def modify_target_group_attributes(call: Call) -> Params:
    group = _group(call)
    network = group.shown.get("Protocol") not in ("HTTP", "HTTPS", None)
    for attribute in call.params["Attributes"]:
        key, value = attribute["Key"], attribute["Value"]
        if key not in group.attributes:
            raise invalid(f"Target group attribute key '{key}' is not recognized")
        low, high = RANGES.get(key, (0, 0))
        if high and not (value.isdigit() and low <= int(value) <= high):
            raise invalid(f"'{key}' value '{value}' must be between '{low}-{high}' inclusive")
        if key == "slow_start.duration_seconds" and not (value == "0" or (value.isdigit() and 30 <= int(value) <= 900)):
            raise invalid(f"'{key}' value '{value}' must be 0 or between '30-900' inclusive")
        kinds = STICKINESS["network" if network else "application"]
        if key == "stickiness.type" and value not in kinds:
            protocol = group.shown.get("Protocol")
            message = f"Stickiness type '{value}' is not supported for target groups with the {protocol} protocol"
            raise AwsError("InvalidConfigurationRequest", message)
        if value not in VALUES.get(key, (value,)):
            raise invalid(f"'{key}' value '{value}' must be one of '{', '.join(VALUES[key])}'")
    changed = group.attributes | {attribute["Key"]: attribute["Value"] for attribute in call.params["Attributes"]}
    _check_together(changed)
    group.attributes.update(changed)
    return describe_target_group_attributes(call)


def _check_together(attributes: dict[str, str]) -> None:
    """https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/3686,
    https://github.com/hashicorp/terraform-provider-aws/pull/35083 and
    https://github.com/code-dot-org/code-dot-org/pull/51253 have seen these."""
    algorithm = attributes.get("load_balancing.algorithm.type", "round_robin")
    slow, sticky = attributes.get("slow_start.duration_seconds", "0") != "0", attributes["stickiness.enabled"] == "true"
    mitigates = attributes.get("load_balancing.algorithm.anomaly_mitigation") == "on"
    wrong = {
        "You cannot enable both slow start mode and least outstanding requests": slow
        and algorithm == "least_outstanding_requests",
        "You cannot enable both slow start and weighted random algorithm on a target group": slow
        and algorithm == "weighted_random",
        "You cannot have both stickiness and weighted random algorithm enabled on the same target group.": sticky
        and algorithm == "weighted_random",
        "You can enable anomaly mitigation only with the weighted random algorithm": mitigates
        and algorithm != "weighted_random",
    }
    for message in [message for message, holds in wrong.items() if holds]:
        raise AwsError("InvalidConfigurationRequest", message)


# --- targets


@on("elbv2", "RegisterTargets", rules="elb-012")
def register_targets(call: Call) -> Params:
    group = _group(call)
    for target in call.params["Targets"]:
        _check_target(call, group, target)
    for target in call.params["Targets"]:
        port = target.get("Port") or group.shown.get("Port") or 0
        add_target(call.world, group, target["Id"], port, target.get("AvailabilityZone"))
    return {}


def _check_target(call: Call, group: TargetGroup, target: Params) -> None:
    kind, name = group.shown["TargetType"], target["Id"]
    if kind == "instance":
        _check_instance(call, group, name)
    elif kind == "ip":
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            raise invalid(f"The IP address '{name}' is not a valid IPv4 address") from None
        vpcs = call.moto("ec2").describe_vpcs(VpcIds=[group.shown["VpcId"]])["Vpcs"]
        blocks = [ipaddress.ip_network(part["CidrBlock"]) for vpc in vpcs for part in vpc["CidrBlockAssociationSet"]]
        if not any(address in block for block in blocks) and (
            not any(address in block for block in PRIVATE) or target.get("AvailabilityZone") != "all"
        ):
            raise invalid(
                f"The IP address '{name}' must be within a subnet of the VPC, or, with Availability Zone 'all', "
                "in a private range outside of it"
            )


def _check_instance(call: Call, group: TargetGroup, instance_id: str) -> None:
    try:
        instance = ec2_instances.instance(call.world, call.region, instance_id)
    except AwsError:
        instance = {}
    if not instance or instance.get("VpcId", group.shown["VpcId"]) != group.shown["VpcId"]:
        raise AwsError("InvalidTarget", f"The following targets are not in the target group VPC: '{instance_id}'")
    if instance["State"]["Name"] != "running":
        message = f"The following targets are not in a running state and cannot be registered: '{instance_id}'"
        raise AwsError("InvalidTarget", message)


@on("elbv2", "DeregisterTargets", rules="elb-012")
def deregister_targets(call: Call) -> Params:
    group = _group(call)
    for target in call.params["Targets"]:
        for key in list(group.targets):
            if key[0] == target["Id"] and target.get("Port") in (None, key[1]):
                drain_target(call.world, group, key)
    return {}


@on("elbv2", "DescribeTargetHealth", rules="elb-012")
def describe_target_health(call: Call) -> Params:
    group = _group(call)
    observe(call.world, call.region, group)
    wanted = call.params.get("Targets")
    if wanted:
        keys = [(target["Id"], target.get("Port") or group.shown.get("Port") or 0) for target in wanted]
    else:
        keys = list(group.targets)
    return {"TargetHealthDescriptions": [_health(group, key) for key in keys]}


def _health(group: TargetGroup, key: tuple[str, int]) -> Params:
    state, reason, description = state_of(group, group.targets.get(key))
    health = {"State": state}
    if reason:
        health |= {"Reason": reason, "Description": description}
    port = group.shown.get("HealthCheckPort", "traffic-port")
    target = {"Id": key[0], "Port": key[1]}
    known = group.targets.get(key)
    if known and known.zone:
        target["AvailabilityZone"] = known.zone
    return {
        "Target": target,
        "HealthCheckPort": str(key[1]) if port == "traffic-port" else port,
        "TargetHealth": health,
    }
