"""What the modules of Elastic Load Balancing share, the health of targets, and what ECS and Auto Scaling ask of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from emulator.core import rules
from emulator.core.rules import AwsError, Call, Params, held
from emulator.core.tags import Tags, bearer
from emulator.core.world import World
from emulator.ec2 import instances as ec2_instances

rules.SENTENCES.update(
    {
        "elb-001": "A new load balancer is 'provisioning' for about 150 s before it is 'active'.",
        "elb-002": "The same load balancer again answers the existing one; the name with other settings is refused.",
        "elb-003": "A load balancer's name, its two zones, their free addresses and the way out are checked.",
        "elb-004": "A target group's name, health check figures, protocol, port and VPC are checked.",
        "elb-005": "The same target group again answers the existing one; the name with other settings is refused.",
        "elb-006": "The same listener again answers the existing one; its port with other settings is refused.",
        "elb-007": "An HTTPS listener takes only an issued certificate of its own Region, and a known TLS policy.",
        "elb-008": "A rule has at most 5 condition values, 5 wildcards and 5 target groups; 100 rules per "
        "load balancer; its priority is its own.",
        "elb-009": "A target group can not be deleted while a listener or rule names it, and for some seconds after.",
        "elb-010": "DeleteLoadBalancer answers at once; the network interfaces stay for about 90 s.",
        "elb-011": "A load balancer with deletion protection is not deleted.",
        "elb-012": "A target becomes healthy after interval x threshold, is unused without a listener, and drains.",
        "elb-014": "The TLS policies are AWS's of September 2025, the recommended TLS13-1-2-Res-PQ-2025-09 among them; a "
        "listener that the API makes without one gets ELBSecurityPolicy-2016-08.",
        "elb-015": "Protocol, port, target type, VPC and protocol version of a target group stay as they were made.",
        "elb-016": "The codes that a health check of an Application Load Balancer waits for are 200 to 499.",
        "elb-017": "A path pattern has up to 128 letters, digits and some signs, a host name pattern fewer signs.",
        "elb-attributes": "Slow start goes with round robin alone, stickiness not with weighted random, and each attribute "
        "has its range.",
        "elb-protocol-version": "HTTP2 and GRPC groups are forwarded to by HTTPS listeners alone, and answer HTTP/1.1 with 464; "
        "GRPC has a method for its health check, and codes 0 to 99.",
        "elb-certificates": "Beside its default one a listener has 25 certificates at most, added one in a call, and shows the one "
        "that a client asks for by SNI.",
        "elb-stickiness": "A sticky target group answers with the cookie AWSALB, and sends who brings it to the same target.",
        "elb-scheme": "An internal load balancer needs no way out and has private addresses alone; its scheme stays.",
        "elb-013": "Throttling and PriorRequestNotComplete come as faults on request, worded as ELB words them.",
    }
)
held("elb-013", "faults.py")
held("elb-stickiness", "front_door.proxy")

#: for how long a target group counts as used after the last listener or rule that named it is gone
RELEASING = 10

#: why a target (world, region, target group, target id, port) fails its health check: reason and description, or None
Illness = Callable[[World, str, Params, str, int], "tuple[str, str] | None"]
#: ECS puts its own here
ILLNESS: Illness = lambda world, region, group, target_id, port: None  # noqa: E731

DESCRIPTIONS = {
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.NotRegistered": "Target is not registered to the target group",
}


@dataclass
class LoadBalancer:
    shown: Params
    attributes: dict[str, str]
    interfaces: dict[str, str]  # subnet -> its network interface


@dataclass
class Listener:
    shown: Params
    attributes: dict[str, str]
    certificates: list[str] = field(default_factory=list)  # those beside the default one


@dataclass
class Target:
    target_id: str
    port: int
    zone: str | None
    since: float  # when its answering, or not answering, began to count
    answers: bool = True
    verdict: str = "initial"  # initial, healthy, unhealthy
    illness: tuple[str, str] | None = None  # the last failed health check: reason and description
    draining_until: float | None = None


@dataclass
class TargetGroup:
    shown: Params
    attributes: dict[str, str]
    targets: dict[tuple[str, int], Target] = field(default_factory=dict)
    used: bool = False  # by a listener or rule, when last looked at
    released: float = float("-inf")  # when the last listener or rule let go of it

    def seconds(self, threshold: str) -> int:
        return int(self.shown["HealthCheckIntervalSeconds"]) * int(self.shown[threshold])


@dataclass
class Region:
    balancers: dict[str, LoadBalancer] = field(default_factory=dict)
    groups: dict[str, TargetGroup] = field(default_factory=dict)
    listeners: dict[str, Listener] = field(default_factory=dict)
    rules: dict[str, Params] = field(default_factory=dict)  # as shown; the default rules too
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    users: dict[str, set[str]] = field(default_factory=dict)  # target group -> the load balancers that forward to it


def here(world: World, region: str) -> Region:
    state: dict[str, Region] = world.state["elbv2"]
    return state.setdefault(region, Region())


def invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)


def page(call: Call, items: list[Params]) -> tuple[list[Params], Params]:
    """One page of the items, and the marker of the next one."""
    start = int(call.params.get("Marker") or 0)
    end = start + int(call.params.get("PageSize") or 400)
    return items[start:end], {"NextMarker": str(end)} if end < len(items) else {}


def named_groups(actions: list[Params]) -> set[str]:
    """The ARNs of the target groups that some actions forward to."""
    forwards = [action for action in actions if action["Type"] == "forward"]
    return {group["TargetGroupArn"] for action in forwards for group in action["ForwardConfig"]["TargetGroups"]}


def balancers_of(region: Region, group_arn: str) -> list[str]:
    """The load balancers whose listeners or rules forward to a target group."""
    return sorted(region.users.get(group_arn, ()))


def tell_certificates(world: World, region: str) -> None:
    """Write down, for ACM to read, which load balancers use which certificate."""
    users: dict[str, set[str]] = defaultdict(set)
    for listener in here(world, region).listeners.values():
        shown = [certificate["CertificateArn"] for certificate in listener.shown.get("Certificates", [])]
        for arn in (*shown, *listener.certificates):
            users[arn].add(listener.shown["LoadBalancerArn"])
    world.state["certificate_users"][region] = {arn: sorted(balancers) for arn, balancers in users.items()}


def settle_use(world: World, region: str) -> None:
    """After listeners or rules changed: which target groups came into use, and which are free now; certificates too."""
    tell_certificates(world, region)
    state = here(world, region)
    state.users = {}
    for rule in state.rules.values():
        balancer = state.listeners[rule["ListenerArn"]].shown["LoadBalancerArn"]
        for arn in named_groups(rule["Actions"]):
            state.users.setdefault(arn, set()).add(balancer)
    for arn, group in state.groups.items():
        if group.used == (arn in state.users):
            continue
        group.used = arn in state.users
        if not group.used:
            group.released = world.now()
        for target in group.targets.values():
            target.since, target.verdict = world.now(), "initial"


def observe(world: World, region: str, group: TargetGroup) -> None:
    """One look at a target group's targets: the health checks that have run by now, and the drains that are over."""
    now, clock = world.now(), world.clock
    for key, target in list(group.targets.items()):
        if target.draining_until is not None:
            if now >= target.draining_until:
                del group.targets[key]
            else:
                world.look_at(target.draining_until)
            continue
        if not group.used:
            continue
        illness = ILLNESS(world, region, group.shown, target.target_id, target.port)
        answers, target.illness = illness is None, illness or target.illness
        if answers != target.answers:
            target.answers, target.since = answers, now
        threshold = "HealthyThresholdCount" if answers else "UnhealthyThresholdCount"
        due = target.since + clock.delay(group.seconds(threshold))
        if now >= due:
            target.verdict = "healthy" if answers else "unhealthy"
        else:
            world.look_at(due)


def state_of(group: TargetGroup, target: Target | None) -> tuple[str, str, str]:
    """State, reason and description of a target, as DescribeTargetHealth tells them."""
    state, reason = "healthy", ""
    if target is None:
        state, reason = "unused", "Target.NotRegistered"
    elif target.draining_until is not None:
        state, reason = "draining", "Target.DeregistrationInProgress"
    elif not group.used:
        state, reason = "unused", "Target.NotInUse"
    elif target.verdict == "initial":
        state, reason = "initial", "Elb.RegistrationInProgress"
    elif target.verdict == "unhealthy" and target.illness:
        return "unhealthy", *target.illness
    return state, reason, DESCRIPTIONS.get(reason, "")


def add_target(world: World, group: TargetGroup, target_id: str, port: int, zone: str | None = None) -> None:
    known = group.targets.get((target_id, port))
    if known is None or known.draining_until is not None:
        group.targets[target_id, port] = Target(target_id, port, zone, world.now())


def drain_target(world: World, group: TargetGroup, key: tuple[str, int]) -> None:
    """Deregistered: a target in use drains for the group's delay first, any other is gone at once."""
    target = group.targets.get(key)
    if target is None or target.draining_until is not None:
        return
    if group.used:
        delay = float(group.attributes["deregistration_delay.timeout_seconds"])
        target.draining_until = world.now() + world.clock.delay(delay)
    else:
        del group.targets[key]


def all_groups(world: World) -> Iterator[tuple[str, TargetGroup]]:
    for region, state in world.state["elbv2"].items():
        for group in state.groups.values():
            yield region, group


def _check_health(world: World) -> None:
    for region, group in all_groups(world):
        if group.targets:
            observe(world, region, group)


def _instance_goes(world: World, region: str, instance_id: str) -> None:
    """A terminating instance is deregistered from its target groups."""
    for group in here(world, region).groups.values():
        for key in [key for key in group.targets if key[0] == instance_id]:
            drain_target(world, group, key)


@rules.STARTERS.append
def _start(world: World) -> None:
    world.tickers.append(_check_health)
    if _instance_goes not in ec2_instances.TERMINATING:
        ec2_instances.TERMINATING.append(_instance_goes)


# --- for ECS and Auto Scaling


def target_group(world: World, region: str, arn: str) -> Params | None:
    """A target group as DescribeTargetGroups shows it, or None."""
    state = here(world, region)
    group = state.groups.get(arn)
    return None if group is None else {**group.shown, "LoadBalancerArns": balancers_of(state, arn)}


def has_load_balancer(world: World, region: str, target_group_arn: str) -> bool:
    """Does a listener or rule of some load balancer forward to this target group?"""
    return bool(balancers_of(here(world, region), target_group_arn))


def register(world: World, region: str, target_group_arn: str, target_id: str, port: int) -> None:
    """Register a target; no error if it, or not even the group, is there."""
    if group := here(world, region).groups.get(target_group_arn):
        add_target(world, group, target_id, port)


def deregister(world: World, region: str, target_group_arn: str, target_id: str, port: int) -> None:
    """Let a target drain for the group's deregistration delay; no error if it is not there."""
    if group := here(world, region).groups.get(target_group_arn):
        drain_target(world, group, (target_id, port))


def health(world: World, region: str, target_group_arn: str, target_id: str, port: int) -> tuple[str, str]:
    """State and reason of a target, as DescribeTargetHealth tells them."""
    group = here(world, region).groups.get(target_group_arn)
    if group is None:
        return "unused", "Target.NotRegistered"
    if not world.clock.scale:  # no health check has been due between two requests
        observe(world, region, group)
    return state_of(group, group.targets.get((target_id, port)))[:2]


def description(world: World, region: str, target_group_arn: str, target_id: str, port: int) -> str:
    """Why a target is not healthy, in DescribeTargetHealth's words."""
    group = here(world, region).groups.get(target_group_arn)
    return state_of(group, group.targets.get((target_id, port)))[2] if group else ""


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, Tags]]:
    if region in world.state["elbv2"]:
        yield from here(world, region).tags.items()
