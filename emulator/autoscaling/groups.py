"""The groups themselves: members that come and go so that as many run as are wanted, and the record of each attempt.

A group looks after itself between calls: `tick` runs at each request. Calls only change what is wanted.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from emulator.core import partitions
from emulator.core.rules import SENTENCES, STARTERS, AwsError, held
from emulator.core.world import ACCOUNT, World
from emulator.ec2 import instances as ec2_instances
from emulator.ec2 import templates as ec2_templates
from emulator.ec2 import types as ec2_types
from emulator.ec2.instances import STOPPING
from emulator.ec2.region import find_subnet
from emulator.elbv2 import state as elbv2

SENTENCES.update(
    {
        "asg-004": "A group whose instances can not launch says so in its scaling activities only, and tries on.",
        "asg-005": "An instance is Pending for some forty seconds before it is InService.",
        "asg-008": "Instances protected from scale-in stay, whatever the desired capacity is set to.",
        "asg-010": "A termination hook keeps instances in Terminating:Wait until it is completed or its hour is over.",
        "asg-011": "Scale-in protection stays on an instance until someone clears it: no other delete does.",
        "asg-rebalance": "Where one zone has two more than another a group starts one there, beyond its size, and then ends an "
        "unprotected one here; not while AZRebalance is suspended.",
    }
)
held("asg-004 asg-005 asg-008 asg-010 asg-011 asg-rebalance", "autoscaling: the groups' own loop")

Item = dict[str, Any]

#: called with world, region, group, instance id when ECS's own hook holds a terminating member
WAITING: list[Callable[[World, str, str, str], None]] = []
ECS_HOOK = "ecs-managed-draining-termination-hook"

REACTION_SECONDS = 3
WARM_UP_SECONDS = 30  # from EC2's running to the group's InService
RETRY_SECONDS = 30
LONGEST_RETRY_SECONDS = 900
HEALTH_SECONDS = 20
DELETE_SECONDS = 8
REBALANCE_SECONDS = 300  # how long a group looks on is not told by AWS

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
ENDING = "autoscaling:EC2_INSTANCE_TERMINATING"


@dataclass
class Member:
    """An instance as its group sees it."""

    instance_id: str
    instance_type: str
    zone: str
    zone_id: str
    subnet_id: str
    image_id: str
    template: Item
    lifecycle_state: str = "Pending"
    protected: bool = False
    health: str = "Healthy"
    weight: int = 1
    spot: bool = False
    since: float = 0.0
    in_service_at: float = 0.0
    #: hook name -> the token of the action that waits for it
    waiting: dict[str, str] = field(default_factory=dict)
    activity: Item | None = None
    weighted: bool = False

    @property
    def leaving(self) -> bool:
        return self.lifecycle_state.startswith(("Terminat", "Detaching"))


@dataclass
class Group:
    """An Auto Scaling group: what is wanted, what is there, and what has been tried."""

    name: str
    arn: str
    region: str
    min_size: int
    max_size: int
    desired: int
    subnet_ids: list[str]
    zones: list[str]
    created: Any
    launch_template: Item | None = None
    mixed: Item | None = None
    tags: list[Item] = field(default_factory=list)
    new_instances_protected: bool = False
    instances: dict[str, Member] = field(default_factory=dict)
    hooks: dict[str, Item] = field(default_factory=dict)
    status: str | None = None
    activities: list[Item] = field(default_factory=list)
    suspended: dict[str, str] = field(default_factory=dict)
    deletion_protection: str = "none"
    #: the other settings, as they were given
    settings: Item = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    policies: dict[str, Item] = field(default_factory=dict)
    schedule: dict[str, Item] = field(default_factory=dict)
    refreshes: list[Item] = field(default_factory=list)
    cause: str = ""
    due: float = 0.0  # not before then is anything launched or terminated
    failures: int = 0
    failed_in: dict[str, int] = field(default_factory=dict)
    stuck: bool = False
    uneven_since: float | None = None
    #: of LaunchInstances: client token -> when, what was asked, and what was answered
    tokens: dict[str, tuple[float, Item, Item]] = field(default_factory=dict)

    def staying(self) -> list[Member]:
        return [one for one in self.instances.values() if not one.leaving and one.lifecycle_state != "Standby"]

    def capacity(self) -> int:
        return sum(member.weight for member in self.staying())

    def forced(self) -> bool:
        return self.status is not None


def groups(world: World, region: str) -> dict[str, Group]:
    """The groups of a region, by name; those that are being deleted too."""
    regions = world.state["autoscaling"]
    if region not in regions:
        regions[region] = {}
    found: dict[str, Group] = regions[region]
    return found


def wake(world: World, group: Group, cause: str = "", seconds: float = REACTION_SECONDS) -> None:
    """Let the group look at itself soon, for a reason that its activities will give."""
    if cause:
        group.cause = f"At {stamp(world)} {cause}"
    look_in(world, group, seconds)
    group.failures, group.stuck = 0, False


def look_in(world: World, group: Group, seconds: float) -> None:
    """Nothing is launched or terminated before so many seconds are over."""
    group.due = world.now() + world.clock.delay(seconds)
    world.look_at(group.due)


def stamp(world: World) -> str:
    return world.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ")


def find_member(world: World, region: str, instance_id: str) -> tuple[Group, Member] | None:
    for group in groups(world, region).values():
        if instance_id in group.instances:
            return group, group.instances[instance_id]
    return None


# What is changed from outside: by calls, and by ECS.


def hook_of(group: Group, name: str, transition: str, given: Item) -> Item:
    before = group.hooks.get(name, {})
    heartbeat = given.get("HeartbeatTimeout") or before.get("HeartbeatTimeout", 3600)
    hook = {
        "LifecycleHookName": name,
        "AutoScalingGroupName": group.name,
        "LifecycleTransition": transition,
        "HeartbeatTimeout": heartbeat,
        "GlobalTimeout": min(172800, 100 * heartbeat),
        "DefaultResult": given.get("DefaultResult") or before.get("DefaultResult", "ABANDON"),
    }
    others = ("NotificationTargetARN", "RoleARN", "NotificationMetadata")
    return {**hook, **{key: given[key] for key in others if given.get(key)}}


def put_tags(group: Group, tags: list[Item]) -> None:
    for tag in tags:
        if tag["Key"].startswith("aws:"):
            raise AwsError("ValidationError", "Tag keys beginning with aws: are reserved for AWS.")
        full = {
            "ResourceId": group.name,
            "ResourceType": "auto-scaling-group",
            "Key": tag["Key"],
            "Value": tag.get("Value", ""),
            "PropagateAtLaunch": bool(tag.get("PropagateAtLaunch", False)),
        }
        group.tags = [one for one in group.tags if one["Key"] != tag["Key"]] + [full]


def set_desired(world: World, region: str, group_name: str, desired: int) -> None:
    group = groups(world, region)[group_name]
    if desired != group.desired:
        text = f"changing the desired capacity from {group.desired} to {desired}."
        group.desired = desired
        wake(world, group, f"a user request explicitly set group desired capacity {text}")


def set_protection(world: World, region: str, group_name: str, instance_ids: Iterable[str], protected: bool) -> None:
    group = groups(world, region)[group_name]
    for instance_id in instance_ids:
        if instance_id in group.instances:
            group.instances[instance_id].protected = protected
    if not protected and group.stuck:
        wake(world, group)


def complete_lifecycle(world: World, region: str, group_name: str, instance_id: str) -> None:
    """ECS has drained the instance: let its own hook go on."""
    group = groups(world, region).get(group_name)
    if group and instance_id in group.instances:
        complete(world, group, group.instances[instance_id], ECS_HOOK, "CONTINUE")


def add_hook(world: World, region: str, group_name: str, hook_name: str, heartbeat: int = 3600) -> None:
    group = groups(world, region)[group_name]
    group.hooks[hook_name] = hook_of(
        group, hook_name, ENDING, {"HeartbeatTimeout": heartbeat, "DefaultResult": "CONTINUE"}
    )


def add_tag(world: World, region: str, group_name: str, key: str, value: str) -> None:
    group = groups(world, region)[group_name]
    put_tags(group, [{"Key": key, "Value": value, "PropagateAtLaunch": True}])


# The loop.


def tick(world: World) -> None:
    for by_name in list(world.state["autoscaling"].values()):
        for group in list(by_name.values()):
            if group.due <= world.now():
                look_after(world, group)


def look_after(world: World, group: Group) -> None:
    """One look: launch what is missing, end what is too much, carry a refresh on, or finish a delete."""
    if group.forced():
        finish_delete(world, group)
        return
    capacity = group.capacity()
    if capacity < group.desired and "Launch" not in group.suspended:
        launch_missing(world, group)
    elif capacity > group.desired and "Terminate" not in group.suspended:
        end_surplus(world, group)
    elif capacity == group.desired:
        rebalance(world, group)
    carry_on_refresh(world, group)


def rebalance(world: World, group: Group) -> None:
    """Start one where the fewest are. That is one too many: the next look ends one where the most are.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/auto-scaling-benefits.html#AutoScalingBehavior.InstanceUsage
    """
    counts = {subnet_id: members_in(group, subnet_id) for subnet_id in group.subnet_ids}
    even = max(counts.values(), default=0) - min(counts.values(), default=0) < 2
    moving = any(member.lifecycle_state != "InService" for member in group.instances.values())
    if even or moving or {"AZRebalance", "Launch", "Terminate"} & group.suspended.keys():
        group.uneven_since = None
        return
    begun, wait = group.uneven_since, world.clock.delay(REBALANCE_SECONDS)
    if begun is not None and world.now() - begun < wait:
        return
    if begun is not None:
        group.cause = f"At {stamp(world)} the group's instances were not balanced among its zones."
        launch_in(world, group, min(counts, key=lambda each: counts[each]), wants_spot(group))
    group.uneven_since = world.now()
    world.look_at(world.now() + wait)


def finish_delete(world: World, group: Group) -> None:
    for member in list(group.instances.values()):
        if not member.lifecycle_state.startswith(("Terminating:Proceed", "Terminated")):
            end(world, group, member, "a user request deleted the Auto Scaling group")
            proceed_to_end(world, group, member)
    if not group.instances:
        groups(world, group.region).pop(group.name, None)
        gone = world.state["autoscaling_deleted"].setdefault(group.region, [])
        gone[:] = [*gone, *group.activities][-200:]


# Launching.


def launch_missing(world: World, group: Group) -> None:
    while group.capacity() < group.desired:
        before = group.capacity()
        if not launch_one(world, group):
            pause = min(LONGEST_RETRY_SECONDS, RETRY_SECONDS * 2 ** (group.failures // max(1, len(group.subnet_ids))))
            group.failures += 1
            look_in(world, group, pause)
            if not world.clock.scale:
                group.due += 1.0
            return
        group.failures = 0
        if group.capacity() == before:
            return


def launch_one(world: World, group: Group) -> bool:
    """One attempt in the zone with the fewest members; a zone that just failed is tried last."""
    subnet_id = min(group.subnet_ids, key=lambda one: (group.failed_in.get(one, 0), members_in(group, one)))
    spot = wants_spot(group)
    problems = launch_in(world, group, subnet_id, spot)
    if not problems:
        group.failed_in.pop(subnet_id, None)
        return True
    group.failed_in[subnet_id] = group.failed_in.get(subnet_id, 0) + 1
    record_failure(world, group, subnet_id, failure_text(group, problems[0][1], spot))
    return False


def launch_in(world: World, group: Group, subnet_id: str, spot: bool) -> list[tuple[str, AwsError]]:
    """One member in this subnet, of the first type that EC2 launches; else why not, type by type."""
    problems: list[tuple[str, AwsError]] = []
    for override in choices(group):
        spec = override.get("LaunchTemplateSpecification") or launch_template_of(group)
        instance_type = override.get("InstanceType")
        try:
            version = ec2_templates.resolve(world, group.region, spec)
            instance_type = instance_type or version["LaunchTemplateData"].get("InstanceType")
            instance_id = ec2_instances.launch(
                world,
                group.region,
                spec,
                subnet_id,
                instance_tags(group),
                spot,
                override.get("InstanceType"),
                group.settings.get("CapacityReservationSpecification"),
            )
        except AwsError as error:
            problems.append((instance_type or "", error))
            continue
        admit(world, group, instance_id, version, override)
        return []
    return problems or [("", AwsError("InvalidParameterValue", "No instance type meets the instance requirements."))]


def members_in(group: Group, subnet_id: str) -> int:
    return sum(1 for member in group.staying() if member.subnet_id == subnet_id)


def launch_template_of(group: Group) -> Item:
    """Which template the group launches from; it shows id and name, a launch names one of them."""
    template = group.mixed["LaunchTemplate"]["LaunchTemplateSpecification"] if group.mixed else group.launch_template
    return {name: value for name, value in (template or {}).items() if name != "LaunchTemplateName"}


def choices(group: Group) -> list[Item]:
    """The instance types to try, in the order of the overrides; an empty one means the template's own type."""
    overrides = ((group.mixed or {}).get("LaunchTemplate") or {}).get("Overrides") or [{}]
    found: list[Item] = []
    for one in overrides:
        if one.get("InstanceRequirements"):
            names = ec2_types.types_for(one["InstanceRequirements"], group.region)[:20]
            found += [{**one, "InstanceType": name} for name in names]
        else:
            found.append(one)
    return found


def wants_spot(group: Group) -> bool:
    """Should the next instance of a mixed group be a Spot Instance? The base is On-Demand, then a percentage."""
    if not group.mixed:
        return False
    distribution = group.mixed.get("InstancesDistribution") or {}
    base = distribution.get("OnDemandBaseCapacity", 0)
    percentage = distribution.get("OnDemandPercentageAboveBaseCapacity", 100)
    on_demand = sum(member.weight for member in group.staying() if not member.spot)
    above = max(0, group.capacity() - base)
    if on_demand < base:
        return False
    wanted = -(-(above + 1) * percentage // 100)  # AWS rounds in favour of On-Demand
    return bool(on_demand - base >= wanted)


def instance_tags(group: Group) -> dict[str, str]:
    tags = {tag["Key"]: tag.get("Value", "") for tag in group.tags if tag.get("PropagateAtLaunch")}
    return {**tags, "aws:autoscaling:groupName": group.name}


def admit(world: World, group: Group, instance_id: str, version: Item, override: Item) -> None:
    made = ec2_instances.instance(world, group.region, instance_id)
    weight = override.get("WeightedCapacity")
    number = group.capacity()
    member = Member(
        instance_id=instance_id,
        instance_type=made["InstanceType"],
        zone=made["Placement"]["AvailabilityZone"],
        zone_id=made["Placement"]["AvailabilityZoneId"],
        subnet_id=made["SubnetId"],
        image_id=made["ImageId"],
        template={
            "LaunchTemplateId": version["LaunchTemplateId"],
            "LaunchTemplateName": version["LaunchTemplateName"],
            "Version": str(version["VersionNumber"]),
        },
        protected=group.new_instances_protected,
        weight=int(weight or 1),
        weighted=weight is not None,
        spot=made.get("InstanceLifecycle") == "spot",
        since=world.now(),
    )
    group.instances[instance_id] = member
    cause = (
        f"{group.cause}  At {stamp(world)} an instance was started in response to a difference between desired and "
        f"actual capacity, increasing the capacity from {number} to {number + member.weight}."
    )
    member.activity = record(world, group, f"Launching a new EC2 instance: {instance_id}", cause, member.subnet_id)
    member.activity.update(StatusCode="PreInService", Progress=30)


def on_running(world: World, region: str, instance_id: str) -> None:
    found = find_member(world, region, instance_id)
    if found and found[1].lifecycle_state == "Pending":
        group, member = found
        if start_hooks(world, group, member, LAUNCHING):
            member.lifecycle_state = "Pending:Wait"
        else:
            world.after(WARM_UP_SECONDS, enter_service, world, group, member)


def enter_service(world: World, group: Group, member: Member) -> None:
    if not member.lifecycle_state.startswith("Pending"):
        return
    member.lifecycle_state, member.in_service_at = "InService", world.now()
    balance(world, group, member, group.settings.get("TargetGroupARNs") or [], joining=True)
    if member.activity:
        close(world, member.activity, "Successful")


def balance(world: World, group: Group, member: Member, arns: list[str], *, joining: bool) -> None:
    """Register a member with target groups of the group, or let it drain there."""
    for arn in arns:
        found = elbv2.target_group(world, group.region, arn)
        port = int((found or {}).get("Port") or 80)
        change = elbv2.register if joining else elbv2.deregister
        change(world, group.region, arn, member.instance_id, port)


# Scaling in.


def end_surplus(world: World, group: Group) -> None:
    """End unprotected members until the group fits; those that are protected keep it large, and it says so once."""
    while group.capacity() > group.desired:
        free = [one for one in group.staying() if not one.protected and group.capacity() - one.weight >= group.desired]
        if not free:
            protected = [one for one in group.staying() if one.protected]
            if protected and not group.stuck:
                group.stuck = True
                text = (
                    "Could not scale to desired capacity because all remaining instances are protected from scale-in."
                )
                activity = record(world, group, "Terminating EC2 instance", group.cause, protected[0].subnet_id)
                close(world, activity, "Cancelled", text)
            return
        number = group.capacity()
        victim = choose(world, group, free)
        cause = (
            f"an instance was taken out of service in response to a difference between desired and actual capacity, "
            f"shrinking the capacity from {number} to {number - victim.weight}.  At {stamp(world)} instance "
            f"{victim.instance_id} was selected for termination."
        )
        end(world, group, victim, cause)


def choose(world: World, group: Group, free: list[Member]) -> Member:
    """The default termination policy: the fullest zone, then the oldest template version, then the oldest instance."""
    policies = group.settings.get("TerminationPolicies") or ["Default"]
    newest_first = policies[0] == "NewestInstance"
    crowd = {zone: sum(1 for one in group.staying() if one.zone == zone) for zone in group.zones}

    def order(member: Member) -> tuple[int, int, float]:
        age = -member.since if newest_first else member.since
        return (-crowd.get(member.zone, 0), int(member.template["Version"]), age)

    return min(free, key=order)


def end(world: World, group: Group, member: Member, cause: str) -> Item:
    """Take a member out of service: first its termination hooks, then the instance itself."""
    if member.leaving and member.activity:
        return member.activity
    was_pending = member.lifecycle_state.startswith("Pending")
    if was_pending and member.activity:
        close(world, member.activity, "Cancelled")
    member.lifecycle_state = "Terminating"
    member.waiting = {}
    balance(world, group, member, group.settings.get("TargetGroupARNs") or [], joining=False)
    description = f"Terminating EC2 instance: {member.instance_id}"
    text = f"{group.cause}  At {stamp(world)} {cause}" if group.cause else f"At {stamp(world)} {cause}"
    member.activity = record(world, group, description, text, member.subnet_id)
    if not group.forced() and not was_pending and start_hooks(world, group, member, ENDING):
        member.lifecycle_state = "Terminating:Wait"
        if ECS_HOOK in member.waiting:
            for listener in WAITING:
                listener(world, group.region, group.name, member.instance_id)
    else:
        proceed_to_end(world, group, member)
    return member.activity


def proceed_to_end(world: World, group: Group, member: Member) -> None:
    member.waiting = {}
    if any(hook["LifecycleTransition"] == ENDING for hook in group.hooks.values()) or group.forced():
        member.lifecycle_state = "Terminating:Proceed"
    try:
        state = ec2_instances.instance(world, group.region, member.instance_id)["State"]["Name"]
    except AwsError:
        state = "terminated"
    if state == "terminated":
        on_terminated(world, group.region, member.instance_id)
    else:
        ec2_instances.terminate(world, group.region, member.instance_id)


def on_terminating(world: World, region: str, instance_id: str) -> None:
    """An instance that someone else ends: the group finds out by its health check, and replaces it."""
    found = find_member(world, region, instance_id)
    if found and not found[1].leaving:
        group, member = found
        member.health = "Unhealthy"
        world.after(HEALTH_SECONDS, replace_unhealthy, world, group, member)


def replace_unhealthy(world: World, group: Group, member: Member) -> None:
    if member.leaving or member.instance_id not in group.instances or "ReplaceUnhealthy" in group.suspended:
        return
    group.cause = ""
    end(
        world,
        group,
        member,
        "an instance was taken out of service in response to an EC2 health check that indicated it has been "
        "terminated or stopped.",
    )
    group.cause = f"At {stamp(world)} an instance was found to be missing."
    group.due = min(group.due, world.now())


def on_terminated(world: World, region: str, instance_id: str) -> None:
    found = find_member(world, region, instance_id)
    if not found:
        return
    group, member = found
    if not member.leaving:
        replace_unhealthy(world, group, member)
    if member.lifecycle_state == "Terminating:Wait" or instance_id not in group.instances:
        return
    del group.instances[instance_id]
    if member.activity:
        close(world, member.activity, "Successful")
    if group.forced() and not group.instances:
        look_in(world, group, DELETE_SECONDS)


# Lifecycle hooks.


def start_hooks(world: World, group: Group, member: Member, transition: str) -> bool:
    """Let the hooks of a transition hold the member; each on its own clock."""
    for hook in group.hooks.values():
        if hook["LifecycleTransition"] == transition:
            token = str(uuid.uuid4())
            member.waiting[hook["LifecycleHookName"]] = token
            world.after(hook["HeartbeatTimeout"], time_out, world, group, member, hook, token)
    return bool(member.waiting)


def time_out(world: World, group: Group, member: Member, hook: Item, token: str) -> None:
    if member.waiting.get(hook["LifecycleHookName"]) == token:
        complete(world, group, member, hook["LifecycleHookName"], hook["DefaultResult"])


def complete(world: World, group: Group, member: Member, hook_name: str, result: str) -> None:
    """One hook lets go. Abandoning a launch ends the instance; an ending goes on either way."""
    if member.waiting.pop(hook_name, None) is None:
        return
    if result == "ABANDON":
        member.waiting = {}
    if member.waiting:
        return
    if member.lifecycle_state == "Terminating:Wait":
        proceed_to_end(world, group, member)
    elif result == "ABANDON":
        end(world, group, member, "a lifecycle action was abandoned and the instance was taken out of service.")
        wake(world, group)
    else:
        member.lifecycle_state = "Pending:Proceed"
        world.after(REACTION_SECONDS, enter_service, world, group, member)


# Instance refresh: one member after the other is ended, and its replacement awaited.

REFRESH_OPEN = ("Pending", "InProgress", "Cancelling")


def open_refresh(group: Group) -> Item | None:
    return next((one for one in group.refreshes if one["Status"] in REFRESH_OPEN), None)


def carry_on_refresh(world: World, group: Group) -> None:
    refresh = open_refresh(group)
    if refresh is None:
        return
    if refresh["Status"] == "Cancelling":
        refresh.update(Status="Cancelled", EndTime=world.timestamp())
        return
    refresh["Status"] = "InProgress"
    left = [one for one in refresh["left"] if one in group.instances and not group.instances[one].leaving]
    total = refresh["total"] or 1
    refresh["InstancesToUpdate"] = len(left)
    refresh["PercentageComplete"] = 100 * (total - len(left)) // total
    settled = len(group.staying()) >= group.desired and all(m.lifecycle_state == "InService" for m in group.staying())
    if not settled or any(member.leaving for member in group.instances.values()):
        return
    # a new instance is ready InstanceWarmup seconds after it came into service: only then it goes on, or is successful
    warmup = float(refresh["Preferences"].get("InstanceWarmup") or 0)
    new = [member.in_service_at for member in group.staying() if member.in_service_at >= refresh["began"]]
    if new and (rest := max(new) + warmup - world.now()) > 0:
        look_in(world, group, rest)
        return
    if not left:
        refresh.update(Status="Successful", EndTime=world.timestamp(), PercentageComplete=100)
        return
    keeps = (refresh["Preferences"].get("ScaleInProtectedInstances") or "Wait") != "Refresh"
    free = [one for one in left if not (keeps and group.instances[one].protected)]
    if not free:
        refresh["StatusReason"] = "Waiting for instances that are protected from scale in."
        return
    group.cause = ""
    member = group.instances[free[0]]
    end(world, group, member, "an instance was taken out of service in response to an instance refresh.")
    group.cause = f"At {stamp(world)} an instance refresh replaces its instances."


# Activities.


def record(world: World, group: Group, description: str, cause: str, subnet_id: str) -> Item:
    """A new activity, on top of the list: AWS tells the newest first."""
    zone = next((one.zone for one in group.instances.values() if one.subnet_id == subnet_id), "")
    activity: Item = {
        "ActivityId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "Description": description,
        "Cause": cause.strip(),
        "StartTime": world.timestamp(),
        "StatusCode": "InProgress",
        "Progress": 0,
        "Details": f'{{"Subnet ID":"{subnet_id}","Availability Zone":"{zone or zone_of(group, subnet_id)}"}}',
        "AutoScalingGroupARN": group.arn,
    }
    group.activities.insert(0, activity)
    del group.activities[300:]
    return activity


def zone_of(group: Group, subnet_id: str) -> str:
    try:
        return str(find_subnet(group.region, subnet_id).availability_zone)
    except AwsError:
        return ""


def close(world: World, activity: Item, status: str, message: str = "") -> None:
    activity.update(StatusCode=status, Progress=100, EndTime=world.timestamp())
    if message:
        activity["StatusMessage"] = message


def failure_text(group: Group, error: AwsError, spot: bool) -> str:
    """The reason as the activity gives it, with the error code where it says what to do: quota or capacity."""
    if not group.mixed and error.code not in ("VcpuLimitExceeded", "InsufficientInstanceCapacity"):
        return f"{error.message} Launching EC2 instance failed."
    kind = "Spot" if spot else "On-Demand"
    code, message = error.code, error.message
    if spot and code == "InsufficientInstanceCapacity":
        code = "UnfulfillableCapacity"
        message = (
            "Unable to fulfill capacity due to your request configuration. Please adjust your request and try again."
        )
    return f"Could not launch {kind} Instances. {code} - {message} Launching EC2 instance failed."


def record_failure(world: World, group: Group, subnet_id: str, text: str) -> None:
    number = group.capacity()
    cause = (
        f"{group.cause}  At {stamp(world)} an instance was started in response to a difference between desired and "
        f"actual capacity, increasing the capacity from {number} to {number + 1}."
    )
    description = f"Launching a new EC2 instance.  Status Reason: {text}"
    close(world, record(world, group, description, cause, subnet_id), "Failed", text)


def group_arn(region: str, name: str) -> str:
    return f"arn:{partitions.here()}:autoscaling:{region}:{ACCOUNT}:autoScalingGroup:{uuid.uuid4()}:autoScalingGroupName/{name}"


def start(world: World) -> None:
    world.tickers.append(tick)


STARTERS.append(start)
ec2_instances.RUNNING.append(on_running)
ec2_instances.TERMINATING.append(on_terminating)
STOPPING.append(on_terminating)
ec2_instances.TERMINATED.append(on_terminated)
