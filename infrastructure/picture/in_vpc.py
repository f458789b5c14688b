"""The network of a picture: its zones beside each other, in them the subnets, and in these what runs and costs."""

from datetime import datetime
from typing import Any

import aws
import constants
from infrastructure.cluster import (
    container_instances,
    costs,
    load_balancer,
    mount_targets,
    network,
)
from infrastructure.picture import named, seen, words
from infrastructure.picture.layout import Box, Square
from infrastructure.service import diagnosis, listener_rule, tasks

#: how a target is that is no sign of anything wrong
WELL = ("healthy", "initial", "draining", "unused")
#: a task's box is not narrower; nor a zone's, a target group's, a line's of a list
TASK, HOST, ZONE, GROUP, LINE = 195, 400, 270, 380, 380


def vpc() -> Box:
    """With the load balancer above its zones."""
    zones = sorted({each["AvailabilityZone"] for each in seen.subnets()})
    across = Box("row", children=[zone(each) for each in zones], least=ZONE)
    found: Any = {} if constants.VPC_ID else next(iter(network.vpcs()), {})
    its_id = constants.VPC_ID or found.get("VpcId", "")
    rest = named.in_vpc()
    also = [Box("area", "also in the VPC", children=rest, least=LINE)] if rest else []
    more = [] if constants.VPC_ID else [each["VpcId"] for each in network.vpcs() if each["VpcId"] != its_id]
    two = "this cluster has two: delete the one that is not wanted, or remove its tag"
    second = [Box("thing", f"VPC {each}", aws.arn("ec2", f"vpc/{each}"), wrong=two) for each in sorted(more)]
    told = words.line(f"VPC {its_id}", found.get("CidrBlock", ""), "not of this runbook" if constants.VPC_ID else "")
    its_arn = aws.arn("ec2", f"vpc/{its_id}") if its_id else ""
    return Box("vpc", told, its_arn, children=[*balancer(), across, *also, *second])


def zone(name: str) -> Box:
    def order(each: Any) -> tuple[bool, str, str]:
        return not each.get("MapPublicIpOnLaunch"), each["CidrBlock"], each["SubnetId"]

    found = sorted((each for each in seen.subnets() if each["AvailabilityZone"] == name), key=order)
    return Box("zone", f"Availability Zone {name}", children=[subnet(each) for each in found])


def subnet(each: Any) -> Box:
    """NAT gateways, mount targets, hosts, and tasks that have an address of their own."""
    its_id, kind = each["SubnetId"], "public" if each.get("MapPublicIpOnLaunch") else "private"
    gateways = [gateway(one) for one in seen.gateways() if one["SubnetId"] == its_id]
    targets = [mount_target(one) for one in mount_targets.all_targets() if one["SubnetId"] == its_id]
    hosts = [host(one) for one in seen.our_instances() if one.get("SubnetId") == its_id]
    alone = [one for one in seen.standing_tasks() if not one.get("containerInstanceArn")]
    own = row([task(one) for one in alone if seen.subnet_of(one) == its_id])
    bad = "" if each["State"] in ("available", "pending") else f"its state is {each['State']}"
    told, arn = f"{kind} subnet {each['CidrBlock']}", aws.arn("ec2", f"subnet/{its_id}")
    rows = [*gateways, *targets, *row(hosts, HOST), *own]
    return Box(kind, told, arn, [its_id], wrong=bad, children=rows)


def row(boxes: list[Box], least: int = TASK) -> list[Box]:
    """Beside each other; none where there are none."""
    return [Box("row", children=boxes, least=least)] if boxes else []


def gateway(each: Any) -> Box:
    its_id, state = each["NatGatewayId"], each["State"]
    bad = f"{state}: {each.get('FailureMessage', '')}" if state == "failed" else ""
    arn = aws.arn("ec2", f"natgateway/{its_id}")
    return Box("thing", "NAT gateway", arn, [words.line(its_id, state)], words.price(seen.gateway_rows(each)), bad)


def mount_target(each: Any) -> Box:
    """EFS has no ARN for it."""
    its_id, state = each["MountTargetId"], each["LifeCycleState"]
    told = words.line(f"{each.get('IpAddress', '')} of {each['FileSystemId']}", "" if state == "available" else state)
    bad = "its state is error" if state == "error" else ""
    return Box("item", f"mount target {its_id}", f"mount target {its_id}", [told], wrong=bad)


# --- hosts and tasks


def host(instance: Any) -> Box:
    """With its GPUs, and the tasks on it."""
    its_id, bastion = instance["InstanceId"], aws.part(instance) == "bastion"
    known = {} if bastion else seen.hosts().get(its_id, {})
    place = known.get("containerInstanceArn", "none")
    on_it = [each for each in seen.standing_tasks() if each.get("containerInstanceArn") == place]
    there = container_instances.gpus(known) if known else []
    squares = [gpu(each, known, on_it) for each in there]
    spot = "Spot" if instance.get("InstanceLifecycle") == "spot" else ""
    lines = [
        words.line(its_id, spot, instance.get("PublicIpAddress", "")),
        *state_of_host(instance, known, squares, bastion),
    ]
    bad = "" if bastion else wrong_with_host(instance, known)
    name, arn = f"{'bastion' if bastion else 'host'} {instance['InstanceType']}", aws.arn("ec2", f"instance/{its_id}")
    chips = row([task(each, there) for each in sorted(on_it, key=lambda each: numbers(each, there))])
    return Box("host", name, arn, lines, words.price(seen.host_rows(instance)), bad, squares, chips)


def state_of_host(instance: Any, known: Any, squares: list[Square], bastion: bool) -> list[str]:
    """As ECS tells it; the bastion is not in the cluster."""
    if not known:
        joins = "" if bastion else "not in the cluster yet"
        return [words.line(instance["State"]["Name"], joins)]
    left = {each["name"]: each.get("integerValue", 0) for each in known["remainingResources"]}
    free = f"free {left.get('CPU', 0) / 1024:.3g} vCPU, {left.get('MEMORY', 0) / 1024:.3g} GiB"
    states = [each.state for each in squares]
    count = [f"{states.count(state)} {state}" for state in ("used", "shared", "free") if state in states]
    return [words.line(known["status"], free, f"GPUs {', '.join(count)}" if count else "")]


def wrong_with_host(instance: Any, known: Any) -> str:
    """An agent that is not there, or GPUs that are broken; a new host has some minutes for that.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-health.html
    """
    if not known:
        return "" if seen.is_new(instance) else seen.why_no_host()
    if not known["agentConnected"]:
        return "its ECS agent is not connected: no task starts on it"
    if known.get("healthStatus", {}).get("overallStatus") == "IMPAIRED":
        return "ECS calls it IMPAIRED: terminate it, the Auto Scaling group brings another"
    has, kind = len(container_instances.gpus(known)), instance["InstanceType"]
    should = (costs.gpus_of_host() or 0) if kind == constants.INSTANCE_TYPE else 0
    return f"it registered {has} of the {should} GPUs of a {kind}: terminate it" if has < should else ""


def gpu(its_id: str, known: Any, on_it: list[Any]) -> Square:
    """Used by one task, shared by some, or free."""
    devices = {each["gpuId"]: each for each in container_instances.gpu_devices(known)}
    holders = [tasks.task_id(each["taskArn"])[:8] for each in on_it if its_id in seen.gpus_of(each)]
    shared = devices.get(its_id, {}).get("sharingMode") == "NVIDIA_MPS"
    used = holders or its_id not in container_instances.gpus(known, "remainingResources")
    state = "shared" if shared else "used" if used else "free"
    return Square(state, words.line(its_id, state, " ".join(holders)))


def until(at: datetime) -> str:
    """In UTC; with its day where that is another one."""
    return f"{at:%H:%M}" if at.date() == aws.this_minute().date() else f"{at:%m-%d %H:%M}"


def numbers(task: Any, there: list[str]) -> list[int]:
    """Which of the GPUs of its host it has."""
    return [number for number, gpu_id in enumerate(there) if gpu_id in seen.gpus_of(task)]


def waiting(these: list[Any]) -> list[Box]:
    """Tasks that are nowhere, for each reason in one box; red where no host is on its way for them."""
    reasons: dict[str, list[Any]] = {}
    for each in these:
        reasons.setdefault(seen.reasons().get(seen.alike(each), ""), []).append(each)
    found = []
    for why, some in reasons.items():
        vain = any(each["lastStatus"] == "PROVISIONING" and diagnosis.on_host(each) for each in some)
        bad = why if vain and seen.no_host_comes() else ""
        told = f"{len(some)} tasks wait" if len(some) > 1 else "a task waits"
        told = told if why else "on hosts, or in subnets, that are not of this cluster"
        found.append(
            Box("waiting", told, "", [] if bad else [why], wrong=bad, children=row([task(each, []) for each in some]))
        )
    return found


def task(each: Any, there: list[str] | None = None) -> Box:
    """With what it waits for, where it does not run; a box of `waiting` tells that. `there`: the GPUs of its host."""
    its_id = tasks.task_id(each["taskArn"])
    ends = [f"until {until(one.at)}" for one in seen.ends() if one.what == f"stop-{its_id}"]
    own = ",".join(map(str, numbers(each, there or [])))
    told = f"{seen.name_of_task(each)} " + words.line(its_id[:8], f"GPU {own}" if own else "")
    why = seen.reasons().get(seen.alike(each), "")
    unwell = "its health check fails" if each.get("healthStatus") == "UNHEALTHY" else ""
    lines = [
        f"{each['lastStatus']}: {why}"
        if each.get("containerInstanceArn") or seen.subnet_of(each)
        else each["lastStatus"]
    ]
    kind, cost = "waiting" if why else "task", words.line(*ends[:1], words.price(seen.task_rows(each)))
    return Box(kind, told, each["taskArn"], lines if why else [], cost, unwell)


# --- the load balancer


def balancer() -> list[Box]:
    """With the target groups, and in each the host names and paths that lead there."""
    found = load_balancer.standing() if seen.has_balancer() else None
    if not found:
        return []
    code, reason = found["State"]["Code"], found["State"].get("Reason", "")
    bad = "" if code in ("active", "provisioning") else f"{code}: {reason}"
    ports = [port(each) for each in sorted(load_balancer.all_listeners(), key=lambda each: int(each["Port"]))]
    lines = [words.line(found["Scheme"], code, *ports), found["DNSName"]]
    zones = f"arn:{aws.partition()}:route53:::hostedzone"
    records = [Box("item", what, f"{zones}/{zone_id}/{what}") for zone_id, what in seen.known_records()]
    groups = Box("row", children=[target_group(each) for each in seen.target_groups()], least=GROUP)
    name, cost = f"Application Load Balancer {found['LoadBalancerName']}", words.price(seen.balancer_rows())
    return [Box("balancer", name, found["LoadBalancerArn"], lines, cost, bad, children=[*records, groups])]


def port(listener: Any) -> str:
    redirects = " redirects" if seen.redirects(listener) else ""
    return f"{listener['Protocol']} {listener['Port']}{redirects}"


def target_group(group: Any) -> Box:
    arn, name = group["TargetGroupArn"], f"target group {group['TargetGroupName']}"
    targets = sorted(seen.health()[arn], key=lambda each: (each["Target"]["Id"], each["Target"].get("Port", 0)))
    states = [each["TargetHealth"]["State"] for each in targets]
    count = ", ".join(f"{states.count(state)} {state}" for state in sorted({*states})) or "none"
    leading = [rule_box(rule, arn) for rule in seen.rules() if next(iter(shares(rule)), "") == arn]
    lines = [words.line(f"{group.get('Protocol', '')} {group.get('Port', '')}", f"targets: {count}")]
    lines += [
        f"{part(rule, arn)} of {listener_rule.leads_from(rule)}" for rule in seen.rules() if arn in [*shares(rule)][1:]
    ]
    return Box("group", name, arn, lines, wrong=wrong_with(targets), children=leading)


def wrong_with(targets: list[Any]) -> str:
    """Those that are not well, each reason once."""
    reasons: dict[str, list[str]] = {}
    for each in targets:
        health, target = each["TargetHealth"], f"{each['Target']['Id']}:{each['Target'].get('Port', '')}"
        if health["State"] not in WELL:
            why = f"{health['State']}: {health.get('Description') or health.get('Reason', '')}"
            reasons.setdefault(why, []).append(target)
    return "\n".join(f"{words.several(names)} {why}" for why, names in reasons.items())


def shares(rule: Any) -> dict[str, int]:
    """The target groups to which a rule leads, with their weights."""
    forward: Any = next((each for each in rule["Actions"] if each["Type"] == "forward"), {})
    groups = forward.get("ForwardConfig", {}).get("TargetGroups") or [forward]
    return {each["TargetGroupArn"]: each.get("Weight", 1) for each in groups if "TargetGroupArn" in each}


def rule_box(rule: Any, arn: str) -> Box:
    """In the box of the first group to which it leads; with the part of its requests that goes there, where it leads to more."""
    return Box("item", words.line(f"rule {listener_rule.leads_from(rule)}", part(rule, arn)), rule["RuleArn"])


def part(rule: Any, arn: str) -> str:
    """How much of a rule's requests goes to this group."""
    weights = shares(rule)
    whole = sum(weights.values())
    return f"{100 * weights[arn] / whole:.0f} %" if len(weights) > 1 and whole else ""
