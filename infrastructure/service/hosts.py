"""Both ends of a host: it is there before the task that it is for, and goes when no task is on it any more.

What comes between is managed scaling's. It would start the host too, a minute later, and end it after 15 idle minutes:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-auto-scaling.html
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

import aws
import constants
from aws import Problem, call, client, code
from console import say
from infrastructure.cluster import auto_scaling_group, capacity, checks, cluster, container_instances, launches
from infrastructure.service import bill, tasks

#: looks at a host that is to end: ECS may count a task that has stopped for some seconds more
LOOKS = 6


# ------------------------------------------------------------------------------------------------------------ the start


@dataclass
class Room:
    """For so many tasks more."""

    free: int  # that find a place on the hosts that have joined
    coming: int  # hosts that have not joined yet
    places_coming: int  # on these
    missing: int  # hosts more that the others want, as far as MAX_INSTANCES lets them come


@dataclass
class Wish:
    """Tasks for which there are to be hosts."""

    definition: Any
    overrides: Any
    count: int
    known: Any  # what was seen when it was decided how many are missing, as in RunTask's token
    together: bool = False  # each on a host of its own, all in one zone
    go_on: bool = False  # also where AWS has no host


def bring_for_service(definition: Any, count: int) -> None:
    """For a service that begins where no host is kept; ECS asks for its hosts again and again."""
    if constants.WAIT and not constants.MIN_INSTANCES:
        bring(Wish(definition, {}, count, (constants.SERVICE_NAME, aws.this_hour()), go_on=True))


def bring(wish: Wish) -> None:
    """The hosts that these tasks want and that are not there: asked for, and waited for until they are in service.

    Only then RunTask: managed scaling, which sees hosts for all that waits, then starts none itself. Where AWS refuses the
    way itself, managed scaling brings them.
    """
    if constants.LAUNCH_TYPE == "FARGATE" or wish.count < 1:
        return
    try:
        if constants.SPOT_FIRST and not wish.go_on:
            wish = replace(wish, count=wish.count - bring_on_spot(wish))
        if wish.count > 0:
            ask_for_hosts(wish, auto_scaling_group.wanted()[-1])
    except Problem as problem:
        if not wish.go_on:
            raise
        say("warning", str(problem))
    except ClientError as error:
        if code(error) not in launches.UNABLE:
            raise
        auto_scaling_group.share()
        later = "managed scaling starts them, about a minute later; from none it starts two where two may be"
        say("warning", f"hosts could not be asked for at once ({aws.explain(error).splitlines()[0]}):", later)


def bring_on_spot(wish: Wish) -> int:
    """With CAPACITY_TYPE=spot-first: how many of the tasks need no new host on demand. One that is there already is taken."""
    on_spot, on_demand = auto_scaling_group.HOSTS
    free = min(wish.count, room_for(wish, auto_scaling_group.described(on_demand)).free)
    rest = replace(wish, count=wish.count - free)
    if not rest.count:
        return free
    auto_scaling_group.share(rest.count)
    try:
        ask_for_hosts(rest, on_spot)
    except Problem as refused:
        why = str(refused).partition(". ")[0]  # what to do about it is for those who want Spot alone
        say("found", f"{why}.", "None on Spot. On demand in its place")
    taken = places_on_spot(rest)
    if taken < rest.count:
        auto_scaling_group.share()
    return free + taken


def places_on_spot(wish: Wish) -> int:
    """For how many tasks there is a place on Spot hosts that are there or come, beside those that wait for one."""
    on_spot = auto_scaling_group.HOSTS[0]
    room = room_for(wish, auto_scaling_group.described(on_spot))
    waiting = [task for task in tasks.going() if waits(task)]
    before: int = sum(task.get("capacityProviderName") == capacity.name_of(on_spot) for task in waiting)
    return max(0, min(wish.count, room.free + room.places_coming - before))


def for_spot(definition: Any, its_overrides: Any, most: int) -> int:
    """How many of the next `most` tasks are to be started on Spot, with CAPACITY_TYPE=spot-first."""
    return places_on_spot(Wish(definition, its_overrides, most, "")) if constants.SPOT_FIRST and most > 0 else 0


def ask_for_hosts(wish: Wish, each: str) -> None:
    """Where no zone has a host, and none is there, it is a Problem, once it was tried for WAIT_FOR_CAPACITY minutes.

    What AWS refuses at first may be its answer to an earlier call with the same token: it is asked once more at once.
    """
    ids, last = list[str](), each == auto_scaling_group.wanted()[-1]
    minutes = constants.WAIT_FOR_CAPACITY if last else 0
    for attempt in range(minutes + 2):
        group = auto_scaling_group.described(each)
        auto_scaling_group.refuse_gone(each)
        room = room_for(wish, group)
        if room.missing < 1:
            break
        about = (wish.definition["taskDefinitionArn"], wish.overrides, wish.known, aws.this_minute() if attempt else "")
        subnet_ids = launches.zones_in_order(group, room.missing, wish.together)
        launched = launches.launch(group, subnet_ids, room.missing, about, wish.together)
        ids += launched.ids
        told = launches.in_words(launched.refusals)
        if launched.ids or room.free or room.coming:
            if told and last and len(launched.ids) < room.missing:
                say("warning", told, "What finds no host now waits for one")
            break
        if attempt and launches.of_quota(launched.refusals):
            raise Problem(told, None, aws.NOT_READY)
        if attempt > minutes:
            raise Problem(f"{told} Or ask again for so many minutes: WAIT_FOR_CAPACITY=30", None, aws.NOT_READY)
        if attempt:
            left = minutes - attempt + 1
            say("waiting", f"for capacity: {told}", f"asked again in a minute, for {left} minutes more")
            aws.pause(60)
    if room.free < wish.count:
        wait_in_service(each, ids)


def room_for(wish: Wish, group: Any) -> Room:
    """What ECS says that hosts have left, of the same things by which it places tasks."""
    hosts = [
        host
        for host in container_instances.describe("")
        if host["ec2InstanceId"] in in_state("", group) or not constants.SPOT_FIRST
    ]
    its_sizes, count = sizes(wish.definition, wish.overrides), wish.count
    most = 1 if wish.together else count
    able = [host for host in hosts if host["status"] == "ACTIVE" and host["agentConnected"]]
    free = sum(min([most, *container_instances.free_places(host, its_sizes).values()]) for host in able)
    of_new = min([most, *checks.least_places(sizes=its_sizes).values()])
    joined = [host["ec2InstanceId"] for host in hosts]
    members = there(group)
    asked = len(members) if constants.SPOT_FIRST else group.get("DesiredCapacity", 0)
    coming = max(len(members), asked) - sum(host in joined for host in members)
    if free + of_new * coming < count and (idle := drained(hosts, group)):
        set_state(idle, "ACTIVE")
        return room_for(wish, group)
    wanted = -(-(count - free) // of_new) - coming if of_new else 0
    return Room(free, coming, of_new * coming, min(wanted, group.get("MaxSize", 0) - group.get("DesiredCapacity", 0)))


def warn_of_too_many(definition: Any, its_overrides: Any) -> None:
    """Copies that all run at a time, and for which there can't be hosts enough; a job may wait for another's end."""
    if constants.LAUNCH_TYPE == "FARGATE" or constants.RUN_UNTIL == "STOPPED":
        return
    limits = checks.least_places(sizes=sizes(definition, its_overrides)).values()
    of_host = min(limits, default=constants.TASK_COUNT)  # nothing limits what asks for nothing
    if of_host * constants.MAX_INSTANCES < constants.TASK_COUNT:
        few = f"TASK_COUNT={constants.TASK_COUNT} is more than MAX_INSTANCES={constants.MAX_INSTANCES} can hold"
        way = "what finds no room waits until WAIT_TIMEOUT_SECONDS; raise MAX_INSTANCES and run create_cluster.py"
        say("warning", f"{few}, {of_host} on a host:", way)


def in_state(state: str, group: Any) -> list[str]:
    """The ids of the hosts that are Pending, InService, or Terminating, each with what follows it."""
    return [each["InstanceId"] for each in group["Instances"] if each["LifecycleState"].startswith(state)]


def there(group: Any) -> list[str]:
    return in_state("Pending", group) + in_state("InService", group)


def drained(hosts: list[Any], group: Any) -> list[Any]:
    """Those in service that take no task though none is on them: `end_idle` was killed there."""
    able = [host for host in hosts if host["status"] == "DRAINING" and host["agentConnected"] and is_empty(host)]
    return [host for host in able if host["ec2InstanceId"] in in_state("InService", group)]


def sizes(definition: Any, its_overrides: Any) -> container_instances.Sizes:
    """GPUs, MiB and CPU units that one task of this revision takes of its host, with what its run overrides."""
    changed = {each["name"]: each for each in its_overrides.get("containerOverrides", [])}
    containers = [{**each, **changed.get(each["name"], {})} for each in definition["containerDefinitions"]]
    asked = [each for one in containers for each in one.get("resourceRequirements", []) if each["type"] == "GPU"]
    gpus = sum(int(each["value"]) if each.get("value", "").isdigit() else 1 for each in asked)
    of_task = {name: int(its_overrides.get(name) or definition.get(name) or 0) for name in ("memory", "cpu")}
    memory = of_task["memory"] or sum(each.get("memoryReservation") or each.get("memory") or 0 for each in containers)
    return gpus, memory, of_task["cpu"] or sum(each.get("cpu") or 0 for each in containers)


def wait_in_service(each: str, ids: list[str]) -> None:
    """Until no host of the group is starting any more, and these were seen there. Its agent joins the cluster later."""
    seen: set[str] = set()

    def settled() -> bool:
        group = auto_scaling_group.described(each)
        seen.update(in_state("", group))
        return seen.issuperset(ids) and not in_state("Pending", group)

    aws.wait("the hosts to be in service", settled, auto_scaling_group.why_no_host)
    if group := auto_scaling_group.find(each):
        launches.protect(group)


# -------------------------------------------------------------------------------------------------------------- the end


@contextlib.contextmanager
def ended_after(one_shot: bool) -> Iterator[None]:
    """Once the work of a `one_shot` run has ended, well or not, idle hosts end, and what still costs is told. Of another
    that fails they stay, and are told. Not where somebody interrupts it."""
    try:
        yield
    except aws.FAILURES:
        aws.at_best(end_and_tell if one_shot else tell_left)  # the run's own failure is told
        raise
    if one_shot:
        end_and_tell()


def tell_left() -> None:
    """What hosts cost, with a task on them or without; on Fargate the tasks that run_task.py started."""
    if constants.LAUNCH_TYPE == "FARGATE":
        aws.pause(tasks.UNSEEN)
        left = tasks.find(startedBy=constants.STARTED_BY)
    else:  # as they were seen after the last that was started
        of_hosts = [group for group in auto_scaling_group.groups() if aws.part(group) != "bastion"]
        left = [host for group in of_hosts for host in there(group)]
    if left:
        bill.tell_tasks(len(left), "stop_task.py --all")


def end_and_tell() -> None:
    end_idle()
    bill.tell_cluster()


def end_idle(never_placed: int = 0) -> None:
    """End each host with no task on it, beyond MIN_INSTANCES, by its name: it is not replaced.

    First it takes no new task (DRAINING), then it is looked at again: where a task came meanwhile, or waits for a host,
    it stays. Killed in between, a host stays DRAINING: the next run takes it, or the next end. `never_placed`: so many
    tasks were stopped that waited for a host. What AWS refuses is no failure of the work that is done.
    """
    if constants.LAUNCH_TYPE == "FARGATE" or constants.KEEP_HOSTS is None:
        return
    try:
        _, why = aws.at_best(lambda: end_now(never_placed))
    except Problem as problem:
        why = str(problem)
    if why:
        by_aws = "managed scaling ends it, about 15 minutes after its last task"
        say("warning", f"an idle host could not be ended ({why.splitlines()[0]}):", by_aws)


def end_now(never_placed: int) -> None:
    keep()
    if found := idle():
        end(found)
    end_absent(never_placed)
    tell_busy()


def end_absent(never_placed: int) -> None:
    """Hosts that ECS does not know: so many, and each that should have joined by now; and those that AWS has not had yet.

    No page of AWS says that managed scaling ends one: it takes the protection from scale-in from those that ECS knows. And
    what a group wants in vain it would start, for no one, as soon as there is some.
    """
    own = [group for group in groups() if aws.ours(group)]
    found = [(group, host) for group in own for host in there(group)]
    known = [host["ec2InstanceId"] for host in container_instances.describe("")] if found else []
    absent = [(group, host) for group, host in found if host not in known]
    if not (absent or any(map(auto_scaling_group.in_vain, own))) or any(map(waits, tasks.find())):
        return
    late = [host for group, host in absent if is_late(group, host)]
    if ids := [*late, *[host for _, host in absent if host not in late][:never_placed]]:
        terminate(ids)
    auto_scaling_group.give_up()


def is_late(group: Any, host: str) -> bool:
    done = auto_scaling_group.activities(group["AutoScalingGroupName"])
    return host in in_state("InService", group) and not auto_scaling_group.is_new(host, done)


def tell_busy() -> None:
    """Whose tasks still run on hosts, which cost on."""
    if placed := [task for task in tasks.find() if task.get("containerInstanceArn")]:
        first, more = placed[0], f", and {len(placed) - 1} more," if placed[1:] else ""
        started_by = first.get("startedBy") or "another"
        what = f"hosts on which task {tasks.task_id(first['taskArn'])}{more} runs"
        say("kept", what, f"of {tasks.revision(first)}, started by {started_by}: they cost on")


def keep() -> None:
    """For KEEP_HOSTS minutes, while there is an idle host."""
    for minute in range(constants.KEEP_HOSTS or 0):
        if not idle():
            return
        say("waiting", "with the end of idle hosts", f"{minute} of KEEP_HOSTS={constants.KEEP_HOSTS} minutes")
        aws.pause(60)


def idle() -> list[Any]:
    """The hosts, as ECS knows them, that may end; none while a task waits for one."""
    found, going = groups(), tasks.going()
    if any(waits(task) for task in going) or not all(map(aws.ours, found)):
        return []
    busy, idle_ones = {task.get("containerInstanceArn") for task in going}, list[Any]()
    free = [host for host in container_instances.describe("") if host["containerInstanceArn"] not in busy]
    for group in found:
        empty = [host for host in free if host["ec2InstanceId"] in in_state("InService", group)]
        idle_ones += empty[: max(0, group["DesiredCapacity"] - group["MinSize"])]
    return idle_ones


def groups() -> list[Any]:
    """Those of the hosts, as they are now."""
    return [auto_scaling_group.described(each) for each in auto_scaling_group.wanted()]


def waits(task: Any) -> bool:
    """For a host, as a task of any kind does that runs on one and has none yet."""
    return bool(task["lastStatus"] == "PROVISIONING" and task.get("launchType") != "FARGATE") and not task.get(
        "containerInstanceArn"
    )


def is_empty(host: Any) -> bool:
    return bool(host["runningTasksCount"] == host["pendingTasksCount"] == 0)


def end(hosts: list[Any]) -> None:
    set_state(hosts, "DRAINING")
    try:
        end_empty([host["containerInstanceArn"] for host in hosts])
    except aws.FAILURES:
        give_back(hosts)
        raise
    give_back(hosts)


def give_back(hosts: list[Any]) -> None:
    """Those of these that do not end take tasks again."""
    in_service = [host for group in groups() for host in in_state("InService", group)]
    if stay := [host for host in hosts if host["ec2InstanceId"] in in_service]:
        set_state(stay, "ACTIVE")
        say("kept", f"host {', '.join(host['ec2InstanceId'] for host in stay)}", "it takes tasks again")


def end_empty(arns: list[str]) -> None:
    """Of these, which take no task any more. Another run's next task, of a sweep, comes within two looks of its own."""
    looks, found = 0, list[Any]()

    def settled() -> bool:
        nonlocal looks
        looks += 1
        found[:] = [host for host in container_instances.describe("") if host["containerInstanceArn"] in arns]
        return all(map(is_empty, found)) or looks >= LOOKS

    aws.pause(tasks.UNSEEN + 2 * constants.POLL_SECONDS)
    aws.wait("the hosts to be empty", settled, str)
    if not any(map(waits, tasks.find())):
        terminate([host["ec2InstanceId"] for host in found if is_empty(host)])


def terminate(ids: list[str]) -> None:
    """Each by its own group; what they leave free is free for both."""
    for group in groups():
        terminate_of(group, [host for host in ids if host in in_state("", group)])
    auto_scaling_group.share()


def terminate_of(group: Any, ids: list[str]) -> None:
    """Ask for the end of these, none of which is replaced. Protection is from scale-in, and that is none.

    That AWS ends a protected one so is not proven: it would be a ValidationError, and the host stays for managed scaling.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html
    """
    what = f"Auto Scaling group {group.get('AutoScalingGroupName')}"
    autoscaling, gone, busy = client("autoscaling"), "ValidationError", auto_scaling_group.BUSY
    ask = call(autoscaling.terminate_instance_in_auto_scaling_group, what, of=group, gone=gone, busy=busy)
    for host_id in ids:
        if ask(InstanceId=host_id, ShouldDecrementDesiredCapacity=True):
            say("deleted", f"host {host_id}", "asked for: no task is on it")


def set_state(hosts: list[Any], status: Any) -> None:
    """Ten at a time. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-draining.html"""
    update = call(client("ecs").update_container_instances_state, "the hosts", of=cluster.required())
    arns = [host["containerInstanceArn"] for host in hosts if host["status"] != status or status == "ACTIVE"]
    for start in range(0, len(arns), 10):
        update(cluster=constants.CLUSTER_NAME, containerInstances=arns[start : start + 10], status=status)
