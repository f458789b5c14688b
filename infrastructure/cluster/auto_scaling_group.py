"""The Auto Scaling group of the hosts: how many there are, why one does not come, and their replacement.

Its hosts cost; it does not. The bastion's group is made and deleted by the same functions.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/what-is-amazon-ec2-auto-scaling.html
"""

import functools
import time
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

import aws
import console
import constants
from aws import Problem, Resource, call, client, code, every, message, name, ours, part, resource, tags, wait
from console import how_many, say
from infrastructure.cluster import (
    capacity_reservation,
    container_instances,
    costs,
    instance_types,
    launch_template,
    roles,
)
from infrastructure.cluster.network import Network

ENDED_REFRESH = {"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"}
COSTING: Any = ["pending", "running", "shutting-down", "stopping", "stopped"]
#: the hosts' groups: with CAPACITY_TYPE=spot-first the first is on Spot and the second on demand; else there is the first only
HOSTS = ("hosts", "hosts-od")
#: how a host is called that is to end and does not yet
HELD = ("Pending", "InService", "Terminating:Wait")
#: within which a GPU host's agent joins, once it is in service
BOOT_SECONDS = 300
#: for how long ECS may take to let go a host on which nothing runs any more
DRAINING_SECONDS = 120
#: the process by which AWS moves hosts among zones
REBALANCE = "AZRebalance"
SIZES = ("MinSize", "MaxSize", "DesiredCapacity")
#: how it says that there is no such group any more
GONE = "AutoScalingGroup name not found"
#: AWS's refusals while it starts or ends a host of the group
BUSY = ("ResourceContention", "ScalingActivityInProgress")


@aws.look
def groups() -> list[Any]:
    """Those that have the names of ours, whoever's they are."""
    names = [name(each) for each in (*HOSTS, "bastion")]
    return client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=names)["AutoScalingGroups"]


@aws.look
def standing() -> list[Any]:
    """Our hosts and the bastion that are not terminated, and so still cost money or hold the network.

    While a group stands it tells its hosts; what was in one that is going, or gone, EC2 tells.
    """
    if groups() and all(ours(each) and not each.get("Status") for each in groups()):
        return [{**host, "Tags": each["Tags"]} for each in groups() for host in each["Instances"]]
    filters: Any = [*aws.tag_filters(), {"Name": "instance-state-name", "Values": COSTING}]
    pages = client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
    return [host for reservation in every(pages, "Reservations") for host in reservation["Instances"]]


LOOKS = (groups, standing)


def find(each: str = "hosts") -> Any | None:
    return next((found for found in groups() if found["AutoScalingGroupName"] == name(each)), None)


def instances(each: str = "hosts") -> list[Any]:
    """Our hosts, or the bastion."""
    return [host for host in standing() if (part(host) == "bastion") == (each == "bastion")]


def wanted() -> tuple[str, ...]:
    """The hosts' groups that the settings ask for."""
    return HOSTS if constants.SPOT_FIRST else HOSTS[:1]


def on_spot(each: str) -> bool:
    return constants.CAPACITY_TYPE == "spot" or (constants.SPOT_FIRST and each == HOSTS[0])


def is_on_spot(group: Any) -> bool:
    return any(group["AutoScalingGroupName"] == name(each) and on_spot(each) for each in HOSTS)


def stands() -> bool:
    """Whether there are already groups for as many hosts of the types that the settings ask for; on Fargate there is none."""
    found, template = {each: find(each) for each in wanted()}, launch_template.latest_version("hosts")()
    return constants.LAUNCH_TYPE == "FARGATE" or bool(
        all(found.values())
        and sum(group["MaxSize"] for group in found.values() if group) >= constants.MAX_INSTANCES
        and all(launches_these(group, template, on_spot(each)) for each, group in found.items())
    )


def launches_these(group: Any, template: Any, spot: bool) -> bool:
    kinds = instance_types.kinds(group) or [template.get("InstanceType")]
    return kinds == constants.TYPES and instance_types.is_spot(group, template) == spot


def ways(these: Iterable[str]) -> costs.Ways:
    """Which hosts come in these groups, as they are by now."""
    template = launch_template.latest_version("hosts")()
    found = [group for each in HOSTS if each in these and (group := find(each))]
    return [
        (kind, instance_types.is_spot(group, template))
        for group in found
        for kind in instance_types.kinds(group) or [template.get("InstanceType", constants.INSTANCE_TYPE)]
    ]


def in_words(each: str = "hosts") -> str:
    group = find(each)
    if not group:
        return "it is gone"
    hosts = ", ".join(f"{host['InstanceId']} is {host['LifecycleState']}" for host in group["Instances"])
    return f"{group.get('Status') or 'it is there'}; {hosts or 'no host is left in it'}"


def create(net: Network) -> dict[str, str]:
    """Ask for the hosts: MIN_INSTANCES of them begin to cost money now. The desired size is ECS's business after that.

    Each group's ARN, or the name of a new one; "" of one that is to go. On Fargate there are no hosts.
    """
    if constants.LAUNCH_TYPE == "FARGATE":
        return {}
    stood, most = [each for each in wanted() if find(each)], limits()
    to_go = {each: "" for each in HOSTS if each not in wanted() and ours(find(each))}
    arns = to_go | {
        each: create_one(each, most[each], net) for each in sorted(wanted(), key=lambda each: -shrinks(each, most))
    }
    if former := [host for each in stood for host in former_hosts(each)]:
        say("kept", how_many(len(former), "former host"), "python update_cluster.py replaces them, one at a time")
    return arns


def create_one(each: str, most: int, net: Network) -> str:
    group, its_sizes = find(each), {"MinSize": constants.MIN_INSTANCES, "MaxSize": most}
    settings: dict[str, Any] = {**its_sizes, "NewInstancesProtectedFromScaleIn": True}
    if constants.CAPACITY_RESERVATION or (group and not capacity_reservation.is_specified(group)):
        settings |= capacity_reservation.specification()
    told = f"{constants.MIN_INSTANCES} to {constants.MAX_INSTANCES} {' or '.join(constants.TYPES)}"
    if constants.SPOT_FIRST:
        told = f"{told} {'on Spot' if on_spot(each) else 'on demand'}, as many in both groups together"
    source = instance_types.source(on_spot(each))
    return put(each, capacity_reservation.subnets(net.zones), settings, tags("host"), told, source)


def leave_unbalanced() -> None:
    """Hosts come where there is room, a job's all in one zone: no balance is wanted among zones.

    AWS, to balance them, starts a host first, beyond MaxSize if need be, and then ends one, within minutes of a launch or an
    end that was asked for. The hosts' protection from scale-in may keep those with tasks; that it keeps AWS from starting
    the other one is not proven, and with GPUs that one costs.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/auto-scaling-benefits.html#AutoScalingBehavior.InstanceUsage,
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TerminateInstanceInAutoScalingGroup.html
    """
    for each in wanted() if constants.LAUNCH_TYPE == "EC2" else ():
        group, what = find(each) or {}, f"Auto Scaling group {name(each)}"
        suspended = [process["ProcessName"] for process in group.get("SuspendedProcesses", [])]
        if (group or console.dry_run) and REBALANCE not in suspended:
            suspend = call(client("autoscaling").suspend_processes, what, of=group or aws.NOTHING, gone=GONE, busy=BUSY)
            suspend(AutoScalingGroupName=name(each), ScalingProcesses=[REBALANCE])
            say("updated", what, "its hosts stay in their zones")


def limits(more_on_spot: int = 0) -> dict[str, int]:
    """The most hosts of each group, MAX_INSTANCES together: with two, Spot has what it has and `more`, the other the rest."""
    if not constants.SPOT_FIRST:
        return {HOSTS[0]: constants.MAX_INSTANCES}
    on_demand = (find(HOSTS[1]) or {"DesiredCapacity": 0})["DesiredCapacity"]
    most = max(0, min(len(there(find(HOSTS[0]))) + more_on_spot, constants.MAX_INSTANCES - on_demand))
    return {HOSTS[0]: most, HOSTS[1]: constants.MAX_INSTANCES - most}


def there(group: Any | None) -> list[Any]:
    """Its hosts that are not on their way out."""
    return [
        host for host in (group or {"Instances": []})["Instances"] if not host["LifecycleState"].startswith("Terminat")
    ]


def shrinks(each: str, most: dict[str, int]) -> int:
    """By how many hosts the most of a group becomes less: that one is changed first."""
    return int((find(each) or {"MaxSize": 0})["MaxSize"]) - most[each]


def share(more_on_spot: int = 0) -> None:
    """Move the limit between the two groups, for so many hosts more on Spot. What Spot is asked for in vain is given up."""
    if not constants.SPOT_FIRST or constants.LAUNCH_TYPE == "FARGATE":
        return
    aws.forget(groups)
    most = limits(more_on_spot)
    for each in sorted(HOSTS, key=lambda each: -shrinks(each, most)):
        group = find(each)
        if not group or (group["MaxSize"] == most[each] and not asks_in_vain(each, group)):
            continue
        less: Any = {"DesiredCapacity": group["DesiredCapacity"] - in_vain(group)} if asks_in_vain(each, group) else {}
        what = f"Auto Scaling group {name(each)}"
        update = call(client("autoscaling").update_auto_scaling_group, what, of=group, busy=BUSY)
        update(AutoScalingGroupName=name(each), MaxSize=most[each], **less)
        say("updated", what, f"MaxSize {most[each]}")


def asks_in_vain(each: str, group: Any) -> bool:
    """Whether it wants more Spot hosts than came: AWS would go on trying, beside those that come on demand in their place."""
    return each == HOSTS[0] and in_vain(group) > 0


def in_vain(group: Any) -> int:
    """How many hosts it wants beyond its MinSize that have not come."""
    return max(0, int(group["DesiredCapacity"]) - max(len(there(group)), int(group["MinSize"])))


def give_up() -> None:
    """No group wants any more what has not come."""
    for each in wanted():
        if (group := described(each)) and ours(group) and in_vain(group):
            resize(each, {"DesiredCapacity": group["DesiredCapacity"] - in_vain(group)})


def put(
    each: str,
    subnet_ids: list[str],
    settings: dict[str, Any],
    its_tags: list[Any],
    told: str,
    source: dict[str, Any] | None = None,
) -> str:
    """Make it, or bring its sizes, subnets and types into line. Its ARN; its name where it is new, which ECS takes as well."""
    what, group = f"Auto Scaling group {name(each)}", find(each)
    source = source or {"LaunchTemplate": {"LaunchTemplateName": name(each), "Version": "$Latest"}}
    aws.refuse_foreign(what, group)
    wanted = {**settings, "VPCZoneIdentifier": ",".join(subnet_ids)}
    if group and group.get("Status"):
        wait(f"the former {what} to be gone", lambda: not find(each), lambda: in_words(each))
        group = None
    if not group:
        return make(each, {**wanted, **source}, its_tags, told)
    say("found", what)
    changes = {key: value for key, value in wanted.items() if not aws.holds(group.get(key), value)}
    if set(group["VPCZoneIdentifier"].split(",")) == set(subnet_ids):
        changes.pop("VPCZoneIdentifier", None)  # in another order
    if not instance_types.is_source(group, source):
        changes |= source
    desired = min(max(group["DesiredCapacity"], wanted["MinSize"]), wanted["MaxSize"])
    if changes and desired != group["DesiredCapacity"]:
        changes["DesiredCapacity"] = desired
    if changes:
        update = call(client("autoscaling").update_auto_scaling_group, what, of=group, busy=BUSY)
        update(AutoScalingGroupName=name(each), **changes)
        say("updated", what, ", ".join(in_short(key, value) for key, value in changes.items()))
    return str(group["AutoScalingGroupARN"])


def in_short(key: str, value: Any) -> str:
    if key == "CapacityReservationSpecification":
        return f"CAPACITY_RESERVATION={constants.CAPACITY_RESERVATION}"
    return f"instance types {', '.join(constants.TYPES)}" if isinstance(value, dict) else f"{key} {value}"


def make(each: str, wanted: Any, its_tags: list[Any], told: str) -> str:
    """EC2 does not know a new instance profile for some seconds, and says so in one particular text."""
    its_name, what = name(each), f"Auto Scaling group {name(each)}"
    fresh = f"{what} (a new instance profile takes some seconds)"
    unknown = ("Invalid IAM Instance Profile", "ServiceLinkedRoleFailure")
    where: Any = {"ResourceType": "auto-scaling-group", "ResourceId": its_name, "PropagateAtLaunch": True}
    autoscaling, busy, limit = client("autoscaling"), (*unknown, "ResourceContention"), roles.PROPAGATION_SECONDS
    create = call(autoscaling.create_auto_scaling_group, fresh, there="AlreadyExists", busy=busy, seconds=limit)
    made = create(
        AutoScalingGroupName=its_name,
        DesiredCapacity=wanted["MinSize"],
        **{**wanted, "Tags": [{**where, **tag} for tag in its_tags]},
    )
    say("found" if made is None else "created", what, told)
    if made is None:
        found = aws.listed(what, functools.partial(find, each), "Auto Scaling") or {}
        return str(found["AutoScalingGroupARN"])
    return its_name


def former_hosts(each: str) -> list[Any]:
    """Those that are not of the latest version of the launch template, or of a type that is not ours any more."""
    group, template = find(each), launch_template.find("hosts" if each in HOSTS else each)
    hosts, latest = (group["Instances"], str(template["LatestVersionNumber"])) if group and template else ([], "")
    former = [host for host in hosts if host.get("LaunchTemplate", {}).get("Version") != latest]
    return former or [host for host in hosts if each in HOSTS and host["InstanceType"] not in constants.TYPES]


def refresh(each: str = "hosts") -> dict[str, Any]:
    """Replace the hosts whose launch template is not the latest, one at a time, and wait for it. Protected ones too.

    All of them where one is of a type that the settings do not name any more: a template's version does not tell that.

    AWS calls it successful when instances run; a host of ours is to have joined the cluster with all its GPUs. AWS waits
    longer than that takes before it goes on to the next host, and where one does not join it is stopped meanwhile.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-instance-refresh.html
    """
    group, its_name = find(each), name(each)
    hosts: list[Any] = group["Instances"] if group else []
    former = [host["InstanceId"] for host in hosts]
    count = len(former)
    if not count:
        say("found", f"Auto Scaling group {its_name}", "no host to replace")
        return {"refreshId": None, "status": None}
    healthy, what = 100 * (count - 1) // count, f"instance refresh of {its_name}"
    matching = each not in HOSTS or all(host["InstanceType"] in constants.TYPES for host in hosts)
    preferences: Any = {
        "SkipMatching": matching,
        "ScaleInProtectedInstances": "Refresh",
        "MinHealthyPercentage": healthy,
    }
    if each in HOSTS:
        preferences["InstanceWarmup"] = BOOT_SECONDS + 2 * int(constants.POLL_SECONDS)
    start = call(client("autoscaling").start_instance_refresh, what, of=group, there="InstanceRefreshInProgress")
    start(AutoScalingGroupName=its_name, Preferences=preferences)
    say("started", what, f"{how_many(count, 'host')}, one at a time")
    watch = Watch(each, group, former)

    def over() -> bool:
        if each in HOSTS:
            watch.refuse_silent()
        return last_refresh(each)["Status"] in ENDED_REFRESH and not watch.silent

    wait(what, over, lambda: refresh_in_words(each), seconds=count * constants.WAIT_TIMEOUT_SECONDS)
    last = last_refresh(each)
    if last["Status"] in ENDED_REFRESH - {"Successful"}:
        raise Problem(f"the {what} ended as {refresh_in_words(each)}{watch.way_back()}")
    return {"refreshId": last.get("InstanceRefreshId"), "status": last["Status"]}


class Watch:
    """The new hosts of a refresh, until each has joined the cluster."""

    def __init__(self, each: str, group: Any, former: list[str]) -> None:
        self.each, self.group, self.former = each, group, former
        self.silent: dict[str, float] = {}  # in service, and not joined: since when, as far as it was seen

    def refuse_silent(self) -> None:
        """Stop the refresh where a host has not joined within BOOT_SECONDS: the next one would not either."""
        group, now = described(self.each), time.monotonic()
        new = [host["InstanceId"] for host in group["Instances"] if host["LifecycleState"] == "InService"]
        joined = {
            host["ec2InstanceId"] for host in container_instances.describe() if container_instances.is_usable(host)
        }
        silent = [host for host in new if host not in joined and host not in self.former]
        self.silent = {host: self.silent.get(host, now) for host in silent}
        late = [host for host, since in self.silent.items() if now - since >= BOOT_SECONDS]
        if not late or console.dry_run:
            return
        what = f"the instance refresh of {name(self.each)}"
        stop = call(
            client("autoscaling").cancel_instance_refresh, what, of=self.group, gone="ActiveInstanceRefreshNotFound"
        )
        stop(AutoScalingGroupName=name(self.each))
        now_there = [host["InstanceId"] for host in described(self.each)["Instances"]]
        left = sum(host in self.former for host in now_there)
        told = (
            f"{what} is stopped, {left} of {len(self.former)} hosts are as before: host {', '.join(late)} is in service"
        )
        raise Problem(
            f"{told}, but not usable: {container_instances.why_unusable(late) or why_no_host()}{self.way_back()}"
        )

    def way_back(self) -> str:
        """The AMI of the hosts as they were."""
        versions = {host.get("LaunchTemplate", {}).get("Version") for host in self.group["Instances"]} - {None}
        amis = [launch_template.image_of(version) for version in sorted(versions, key=int)[:1]]
        return "".join(f"; to go back: AMI_ID={ami} python update_cluster.py, and the settings of then" for ami in amis)


def described(each: str = "hosts") -> Any:
    """The group of the hosts as it is now: AWS changes it."""
    aws.forget(groups)
    return find(each) or {"Instances": []}


def last_refresh(each: str = "hosts") -> Any:
    describe = client("autoscaling").describe_instance_refreshes
    found: list[Any] = [*describe(AutoScalingGroupName=name(each))["InstanceRefreshes"]]
    return found[0] if found else {"Status": "unknown"}


def refresh_in_words(each: str = "hosts") -> str:
    seen = last_refresh(each)
    return f"{seen['Status']}, {seen.get('PercentageComplete', 0)} % {seen.get('StatusReason', '')}".strip()


def wait_joined() -> None:
    """Until as many hosts as the group wants have joined the cluster. On Fargate there is none."""
    connected: list[Any] = []

    def joined() -> bool:
        aws.forget(groups)
        wanted = sum(group["DesiredCapacity"] for each in HOSTS if (group := find(each)))
        connected[:] = [host for host in container_instances.describe() if host["agentConnected"]]
        return len(connected) >= int(wanted)

    wait("hosts to join the cluster again", joined, why_no_host)


def why_no_host() -> str:
    """What AWS knows of hosts that do not come, of each group that wants one."""
    wanting = [each for each in HOSTS if (group := find(each)) and group["DesiredCapacity"]]
    return "; ".join(map(why_no_host_of, wanting or HOSTS[:1]))


def why_no_host_of(each: str) -> str:
    """The group's last failed activity, or an agent that does not join. None is suspected within BOOT_SECONDS after its host
    came into service."""
    group, its_name = find(each), name(each)
    if not group or group.get("Status"):
        return missing(each)
    silent = {host["InstanceId"]: host["LifecycleState"] for host in group["Instances"]}
    done = activities(its_name)
    if done and done[0]["StatusCode"] == "Failed":
        text = done[0].get("StatusMessage", "")
        return f"the Auto Scaling group could not launch a host: {text} {advice(text)}".strip()
    for host in container_instances.describe(status=""):
        if host["agentConnected"]:
            silent.pop(host["ec2InstanceId"], None)
    if not silent:
        sizes = f"{group['DesiredCapacity']} hosts of at most {group['MaxSize']}"
        return f"the Auto Scaling group {its_name} wants {sizes}, and has none that is starting"
    new = [host for host, state in silent.items() if state.startswith("Pending") or is_new(host, done)]
    if new:
        states = [f"host {host} is {silent[host]}" for host in new]
        return f"{', '.join(states)}: its ECS agent is still to join the cluster"
    written = client("ec2").get_console_output(InstanceId=min(silent)).get("Output") or ""  # AWS may not have it yet
    lines = [line for line in written.strip().splitlines() if line.strip()]
    return (
        f"host {', '.join(silent)} runs, but its ECS agent has not joined the cluster (a GPU host needs up to 5 minutes; "
        "then look at its way to the internet, its role, its user data, and /var/log/ecs/ecs-agent.log)"
        + "".join(f"; its console ends with: {line}" for line in lines[-1:])
    )


def missing(each: str) -> str:
    return f"there is no Auto Scaling group {name(each)}: run create_cluster.py"


def refuse_gone(each: str) -> None:
    """No host comes from one that is not there, or is on its way out, as after a deadline."""
    if (find(each) or {"Status": "gone"}).get("Status"):
        raise Problem(missing(each))


def activities(its_name: str) -> list[Any]:
    """What a group has done last, the newest first."""
    describe = client("autoscaling").describe_scaling_activities
    return [*describe(AutoScalingGroupName=its_name, MaxRecords=100)["Activities"]]


def is_new(host_id: str, done: list[Any]) -> bool:
    """Whether it has come into service within the last BOOT_SECONDS: the end of the activity that launched it."""
    launched = [each for each in done if each["Description"].endswith(f": {host_id}") and each.get("EndTime")]
    return any((aws.now() - each["EndTime"]).total_seconds() < BOOT_SECONDS for each in launched[-1:])


def advice(text: str) -> str:
    """The setting to change, for the two reasons that users meet most."""
    if constants.CAPACITY_RESERVATION and ("eservation" in text or "capacity" in text):
        return "CAPACITY_RESERVATION is full, or has ended: name another one, or none."
    if "vCPU" in text:
        return "Ask for a higher quota in the Service Quotas console."
    if "capacity" in text:
        return "Name other AVAILABILITY_ZONES, or another INSTANCE_TYPE."
    return ""


def sizes() -> dict[str, Any]:
    """Of each group, how many hosts it is to have."""
    named = {each: group for each in (*HOSTS, "bastion") if (group := find(each)) and ours(group)}
    return {each: {key: group[key] for key in SIZES} for each, group in named.items() if not group.get("Status")}


def empty(each: str = "hosts") -> None:
    """Ask for the end of all hosts: no host protected from scale-in, and sizes to 0."""
    for one in HOSTS if each == "hosts" else (each,):
        if (group := find(one)) and ours(group):
            unprotect(group)
        resize(one, dict.fromkeys(SIZES, 0))


def resize(each: str, wanted: dict[str, int]) -> None:
    what, group = f"Auto Scaling group {name(each)}", find(each)
    if not group or not ours(group) or group.get("Status") or all(group[key] == wanted[key] for key in wanted):
        return
    update = call(client("autoscaling").update_auto_scaling_group, what, of=group, gone=GONE, busy=BUSY)
    update(AutoScalingGroupName=name(each), **wanted)  # type: ignore[arg-type]
    say("updated", what, f"{how_many(wanted['DesiredCapacity'], 'host')} wanted")


def unprotect(group: Any) -> None:
    """ECS protects its hosts from scale-in and never takes that back; a protected host would stay, and cost, for ever.

    AWS refuses this for a host that is starting or leaving; ForceDelete ends that one too.
    """
    settled = [host for host in group["Instances"] if host["LifecycleState"] == "InService"]
    protected = [host["InstanceId"] for host in settled if host["ProtectedFromScaleIn"]]
    set_instance_protection = call(client("autoscaling").set_instance_protection, of=group)
    its_name = group["AutoScalingGroupName"]
    for start in range(0, len(protected), 50):
        ids = protected[start : start + 50]
        try:
            set_instance_protection(AutoScalingGroupName=its_name, InstanceIds=ids, ProtectedFromScaleIn=False)
        except ClientError as error:
            left = ("not part of Auto Scaling group", "not in InService", GONE)
            if code(error) != "ValidationError" or not any(text in message(error) for text in left):
                raise


def wait_drained(seconds: float = DRAINING_SECONDS) -> None:
    """Until ECS has moved all tasks off the hosts that end, and lets them go: AWS holds them in Terminating:Wait so long.

    One that was still starting is protected when it comes into service. After DRAINING_SECONDS the deletion of the group
    lets them go.
    """
    limit = time.monotonic() + seconds

    def held(each: str) -> list[str]:
        group = find(each)
        hosts = group["Instances"] if group and ours(group) and not group.get("Status") else []
        if hosts and not console.dry_run:
            unprotect(group)
        return [host["InstanceId"] for host in hosts if host["LifecycleState"] in HELD]

    def over() -> bool:
        return not any(map(held, HOSTS)) or time.monotonic() >= limit

    wait("ECS to let the hosts go", over, lambda: "; ".join(in_words(each) for each in HOSTS if find(each)))


def delete() -> None:
    """Ask for the group's end, with its hosts, once its capacity provider is gone: AWS can't delete that after it."""
    for each in HOSTS:
        if group := ask_for_end(each):
            hosts = len(group["Instances"])
            its_hosts = f"asked for, with {how_many(hosts, 'host')}" if hosts else "asked for"
            say("deleted", f"Auto Scaling group {name(each)}", its_hosts)


def wait_terminated() -> None:
    """Until the last host, and the bastion, are gone; then ECS's memory of them goes too."""
    if standing() or any(map(find, (*HOSTS, "bastion"))):
        aws.forget(standing)  # they end by themselves
    wait("hosts to be terminated", lambda: not standing(), still_there)
    container_instances.deregister()


def wait_deleted() -> None:
    for each in HOSTS:
        wait_gone(each)


def still_there() -> str:
    return f"{', '.join(host['InstanceId'] for host in standing())} still there"


def ask_for_end(each: str = "hosts") -> Any | None:
    """With ForceDelete, which drops what holds its hosts back. Answers the group that goes."""
    what, group = f"Auto Scaling group {name(each)}", find(each)
    if not group or aws.spare_foreign(what, group):
        return None
    if not group.get("Status"):
        busy = (*BUSY, "ResourceInUse")
        end = call(client("autoscaling").delete_auto_scaling_group, what, of=group, gone="ValidationError", busy=busy)
        end(AutoScalingGroupName=name(each), ForceDelete=True)
    return group


def wait_gone(each: str = "hosts") -> None:
    wait(f"Auto Scaling group {name(each)} to be gone", lambda: not ours(find(each)), lambda: in_words(each))


def left_over(each: str = "hosts") -> list[Resource]:
    hosts = {host["InstanceId"]: host for host in instances(each)}
    left = [resource(f"instance {its_id}", aws.arn("ec2", f"instance/{its_id}"), hosts[its_id]) for its_id in hosts]
    for one in HOSTS if each == "hosts" else (each,):
        if (group := find(one)) and ours(group):
            left.append(resource(f"Auto Scaling group {name(one)}", group["AutoScalingGroupARN"], group))
    return left
