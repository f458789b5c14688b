"""The life of one task once it has a place: interface, pull, mounts, containers, their end, and the way to STOPPED.

Every step is an event some seconds after the one before it; a task that is told to stop skips what has not begun.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable

from emulator.core import partitions
from emulator.core.rules import AwsError, held
from emulator.core.world import World
from emulator.ec2 import interfaces as ec2_interfaces
from emulator.ec2.region import find_subnet
from emulator.ecs import drivers, problems, start_up
from emulator.ecs.containers import PROGRAMS, Place, outcome
from emulator.ecs.placement import dynamic_port, overridden
from emulator.ecs.state import Cluster, Item, Task, new_id, region_of
from emulator.elbv2 import state as elbv2
from emulator.iam.policies import may
from emulator.logs import log_groups

held("ecs-060 ecs-062 efs-006 ecs-052", "ecs.life: the steps of a task")

ATTACH = {"FARGATE": 8, "EC2": 4, "MANAGED_INSTANCES": 4}  # seconds until the interface is there
PULL = {"FARGATE": 30, "EC2": 25, "MANAGED_INSTANCES": 25}  # an image that is not on the machine yet
PULL_GPU = 75  # images for GPUs have gigabytes
PULL_AGAIN = 1
MOUNT = {"FARGATE": 25, "EC2": 6, "MANAGED_INSTANCES": 6}
BEFORE_PULL, START = 3, 2
END_SECONDS, STOP_TIMEOUT = 5, 30
DEPROVISION = 10
ACTIVATE = 4
SSM_AGENT = 20
HEALTH_CHECK = {"interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0}  # as AWS fills them in
CAPACITY_TIMEOUT = 1200
ROUNDS_WITHOUT_TIME = 25  # at time scale 0: so many requests instead of the twenty minutes
STOPPED_VISIBLE = 3600

#: called when a task changes its lastStatus, or turns healthy or unhealthy
CHANGED: list[Callable[[World, Task], None]] = []


def cluster_of(world: World, task: Task) -> Cluster:
    return region_of(world, task.region).clusters[task.cluster]


def enter(world: World, task: Task, status: str) -> None:
    task.last = status
    task.version += 1
    if status == "STOPPED" and task.service:
        cluster_of(world, task).serving[task.service].pop(task.id, None)
    for listener in CHANGED:
        listener(world, task)


def _going(task: Task) -> bool:
    return task.desired == "RUNNING" and task.active


# ------------------------------------------------------------------------------------------------ up


def begin(world: World, task: Task) -> None:
    """A task has its place: the first thing is its network interface, where it gets one."""
    if task.awsvpc:
        attachment = new_id()
        task.attachments = [
            {
                "id": f"{attachment[:8]}-{attachment[8:12]}-{attachment[12:16]}-{attachment[16:20]}-{attachment[20:]}",
                "type": "ElasticNetworkInterface",
                "status": "PRECREATED",
                "details": [{"name": "subnetId", "value": _subnet(world, task)}],
            }
        ]
        world.after(ATTACH[task.launch_type], _attach, world, task)
    else:
        world.after(BEFORE_PULL, _prepare, world, task)


def _subnet(world: World, task: Task) -> str:
    """The subnet for a task's interface: on EC2 one in its instance's zone."""
    subnets: list[str] = (task.network or {}).get("subnets") or []
    if task.instance is not None:
        near = [one for one in subnets if find_subnet(task.region, one).availability_zone == task.zone]
        return (near or subnets)[0]
    taken = [one.subnet for one in cluster_of(world, task).active_tasks() if one.group == task.group]
    return min(subnets, key=taken.count)


def _attach(world: World, task: Task) -> None:
    if not _going(task):
        return
    attachment = task.attachments[0]
    network = task.network or {}
    task.subnet = attachment["details"][0]["value"]
    try:
        subnet = find_subnet(task.region, task.subnet)
        task.interface = ec2_interfaces.create_interface(
            world,
            task.region,
            task.subnet,
            network.get("securityGroups") or [],
            f"arn:{partitions.here()}:ecs:{task.region}:{subnet.owner_id}:attachment/{attachment['id']}",
            public_ip=network.get("assignPublicIp") == "ENABLED",
        )
    except AwsError as error:
        fail(
            world,
            task,
            "Unexpected EC2 error while attempting to Create Network Interface in subnet "
            f"'{task.subnet}': {error.code}",
        )
        return
    task.zone = subnet.availability_zone
    address = task.interface["PrivateIpAddress"]
    attachment["status"] = "ATTACHED"
    attachment["details"] += [
        {"name": "networkInterfaceId", "value": task.interface["NetworkInterfaceId"]},
        {"name": "macAddress", "value": task.interface.get("MacAddress", "")},
        {"name": "privateDnsName", "value": task.interface.get("PrivateDnsName", "")},
        {"name": "privateIPv4Address", "value": address},
    ]
    for container in task.containers:
        container["networkInterfaces"] = [{"attachmentId": attachment["id"], "privateIpv4Address": address}]
    enter(world, task, "PENDING")
    world.after(BEFORE_PULL, _prepare, world, task)


def _prepare(world: World, task: Task) -> None:
    """Secrets, registry logins and the way to them come first; then the images are pulled."""
    if not _going(task):
        return
    task.connected_at = world.timestamp()
    problem = problems.before_pull(world, task)
    task.times["pullStartedAt"] = world.timestamp()
    if problem:
        world.after(problem[0], fail, world, task, problem[1])
        return
    images = {container["image"] for container in task.definition["containerDefinitions"]}
    known = task.instance.images if task.instance else set()
    seconds = PULL_AGAIN
    if images - known:
        seconds = PULL_GPU if any("gpuIds" in view for view in task.containers) else PULL[task.launch_type]
    world.after(seconds, _pulled, world, task)


def _pulled(world: World, task: Task) -> None:
    if not _going(task):
        return
    for container in task.definition["containerDefinitions"]:
        if problem := problems.image_problem(world, task, container):
            fail(world, task, problem, container["name"])
            return
        if task.instance:
            task.instance.images.add(container["image"])
    task.times["pullStoppedAt"] = world.timestamp()
    for view in task.containers:
        view["imageDigest"] = f"sha256:{hashlib.sha256(view['image'].encode()).hexdigest()}"
        view["runtimeId"] = f"{task.id}-{new_id()[:10]}" if task.launch_type == "FARGATE" else new_id() * 2
    volumes = [one for one in task.definition.get("volumes", []) if "efsVolumeConfiguration" in one]
    world.after(MOUNT[task.launch_type] if volumes else START, _mounted, world, task)


def _mounted(world: World, task: Task) -> None:
    if not _going(task):
        return
    if problem := problems.volume_problem(world, task):
        fail(world, task, problem)
        return
    for container, view in zip(_containers(world, task), task.containers, strict=True):
        if problem := problems.log_problem(world, task, container, view["runtimeId"]):
            fail(world, task, problem, container["name"])
            return
    _start_ready(world, task)


# ------------------------------------------------------------------------------------------------ containers


def _start_ready(world: World, task: Task) -> None:
    """Start each container whose dependencies are met; when none is left to start, the task is RUNNING."""
    containers = _containers(world, task)
    views = {view["name"]: view for view in task.containers}
    started = True
    while started and _going(task):
        started = False
        for container in containers:
            if views[container["name"]]["lastStatus"] != "PENDING":
                continue
            states = [_met(views[one["containerName"]], one["condition"]) for one in container.get("dependsOn", [])]
            if False in states:
                fail(world, task, "Task failed to start", container["name"], DEPENDENCY)
                return
            if all(states):
                _start(world, task, container, views[container["name"]])
                started = True
    if _going(task) and all(view["lastStatus"] != "PENDING" for view in task.containers) and task.last == "PENDING":
        _running(world, task)


TIMED_OUT = "dependency graph: container ordering dependency has timed out: startTimeout"
DEPENDENCY = "dependency graph: container ordering dependency not satisfied; a container that it depends on failed"


def _met(view: Item, condition: str) -> bool | None:
    """Is a dependency met? None: not yet; False: it never will be."""
    status = view["lastStatus"]
    if condition == "START":
        return True if status in ("RUNNING", "STOPPED") else None
    if condition == "HEALTHY":
        health = view.get("healthStatus")
        return True if health == "HEALTHY" else False if status == "STOPPED" or health == "UNHEALTHY" else None
    if status != "STOPPED":
        return None
    return condition == "COMPLETE" or view.get("exitCode") == 0


def _containers(world: World, task: Task) -> list[Item]:
    """The containers of a task with what its overrides put in their place, and what their images run by themselves.

    An entry point of the definition takes the place of both that the image has.
    https://docs.docker.com/reference/dockerfile/#understand-how-cmd-and-entrypoint-interact
    """
    found = []
    for container in overridden(task.definition, task.overrides):
        image = problems.image_of(world, container["image"])
        if image is not None and not container.get("entryPoint"):
            command = container.get("command") or list(image.command)
            container = {**container, "entryPoint": list(image.entry_point), "command": command}
        found.append(container)
    return found


def _start(world: World, task: Task, container: Item, view: Item) -> None:
    if problem := problems.start_problem(world, task, container):
        fail(world, task, problem, container["name"])
        view["exitCode"] = 127
        return
    if problem := drivers.problem(world, task, container, problems.image_of(world, container["image"])):
        fail(world, task, problem, container["name"])
        return
    view["lastStatus"] = "RUNNING"
    if task.definition.get("networkMode") != "awsvpc":
        view["networkBindings"] = [_binding(task, mapping) for mapping in container.get("portMappings", [])]
    if task.exec_enabled:
        view["managedAgents"] = [{"name": "ExecuteCommandAgent", "lastStatus": "PENDING"}]
    place = place_of(world, task, container, view)
    result = outcome(container, place)
    view_log = problems.log_stream(task, container, view["runtimeId"])
    for at in sorted({at for at, _ in result.lines}):
        world.after(at, _write, world, task, view_log, [line for when, line in result.lines if when == at])
    if result.code is None:
        _write(world, task, view_log, [f"{container['name']} ({container['image']}) is running (emulated)"])
    else:
        world.after(max(result.seconds, 1), exited, world, task, view, result.code, result.killed)
    if (container.get("healthCheck") or {}).get("command", ["NONE"]) != ["NONE"]:
        _watch_health(world, task, container, view, place)
    if container.get("startTimeout"):
        world.after(container["startTimeout"], _give_up_waiting, world, task, container["name"])


def _give_up_waiting(world: World, task: Task, name: str) -> None:
    """Its startTimeout is over: a container that still waits for it to be healthy, or to end, is not started any more."""
    views = {view["name"]: view for view in task.containers}
    for container in _containers(world, task):
        waits_for = [one for one in container.get("dependsOn", []) if one["containerName"] == name]
        if views[container["name"]]["lastStatus"] == "PENDING" and any(
            not _met(views[name], one["condition"]) for one in waits_for
        ):
            fail(world, task, "Task failed to start", container["name"], TIMED_OUT)
            return


def _binding(task: Task, mapping: Item) -> Item:
    """Where a container port of bridge or host mode is found on the instance."""
    protocol = mapping.get("protocol", "tcp")
    port = mapping.get("hostPort") or 0
    instance = task.instance
    if not port and instance is not None:
        port = dynamic_port(instance, instance.held[task.id], protocol == "udp")
    return {"bindIP": "0.0.0.0", "containerPort": mapping.get("containerPort"), "hostPort": port, "protocol": protocol}


def place_of(world: World, task: Task, container: Item, view: Item) -> Place:
    """Where a container's commands run: those of its start, and those of ECS Exec."""
    said = {pair["name"]: pair.get("value", "") for pair in container.get("environment", [])}
    environment = {**start_up.variables(container), **said}
    environment["AWS_REGION"] = task.region
    instance = task.instance
    name, memory = (instance.gpu_name, instance.gpu_memory) if instance else ("", 0)
    place = Place(environment, view.get("gpuIds", []), name, memory, world.settings.gpu_percent, task.id[:12])
    if image := problems.image_of(world, container["image"]):
        place.has, place.runs = image.has, problems.platform_of(task) in image.platforms
        place.handed_over = image.entry_point if image.hands_over else ()
    place.programs = {name: functools.partial(run, world, task, container) for name, run in PROGRAMS.items()}
    return place


def _write(world: World, task: Task, place: tuple[str, str, str] | None, lines: list[str]) -> None:
    """Into the container's log, for as long as its group is there and the role may write."""
    if place is not None and log_groups.group_exists(world, place[0], place[1]) and problems.may_log(task, place):
        log_groups.write(world, *place, lines)


def _watch_health(world: World, task: Task, container: Item, view: Item, place: Place) -> None:
    """The first check is an interval after the start, each next one an interval after the end of the one before.

    One that takes longer than its timeout has failed; what fails within the start period is not counted. A command that is
    not known here passes. https://docs.docker.com/reference/dockerfile/#healthcheck
    """
    check = {**HEALTH_CHECK, **container["healthCheck"]}
    command = check["command"]
    words = ["sh", "-c", " ".join(command[1:])] if command[0] == "CMD-SHELL" else command[1:]
    result = outcome({"command": words}, place)
    passes = result.code in (None, 0) and result.seconds <= check["timeout"]
    takes = min(result.seconds, check["timeout"])
    every = check["interval"] + takes
    uncounted = 0 if passes else int(check["startPeriod"] // every)
    checks = uncounted + (1 if passes else check["retries"])
    world.after(checks * every, _turn, world, task, view, "HEALTHY" if passes else "UNHEALTHY")


def _turn(world: World, task: Task, view: Item, health: str) -> None:
    """A task of RunTask goes on, however ill; a service stops its own.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
    """
    if not _going(task) or view["lastStatus"] != "RUNNING":
        return
    view["healthStatus"] = health
    _start_ready(world, task)
    enter(world, task, task.last)


def health(task: Task) -> list[str]:
    """Of its essential containers that have a health check."""
    return [
        view["healthStatus"] for view in task.containers if "healthStatus" in view and _essential(task, view["name"])
    ]


def _essential(task: Task, name: str) -> bool:
    return any(one["name"] == name and one.get("essential", True) for one in task.definition["containerDefinitions"])


def _running(world: World, task: Task) -> None:
    """All containers have started. A task behind a load balancer is ACTIVATING until it is registered there."""
    if task.balanced and task.last == "PENDING":
        enter(world, task, "ACTIVATING")
        world.after(ACTIVATE, _running, world, task)
        return
    if not _going(task):
        return
    task.times["startedAt"] = world.timestamp()
    if task.exec_enabled:
        world.after(SSM_AGENT, _exec_agent, world, task)
    enter(world, task, "RUNNING")


CHANNELS = ("ControlChannel", "DataChannel")


def _exec_agent(world: World, task: Task) -> None:
    """The SSM agent reports itself; without the task role's rights, or a way from within the task, it never can."""
    role = task.overrides.get("taskRoleArn") or task.definition.get("taskRoleArn") or ""
    name = str(role).rpartition("/")[2]
    rights = all(may(name, f"ssmmessages:{verb}{kind}") for verb in ("Create", "Open") for kind in CHANNELS)
    works = rights and problems.reaches(world, task, "ssmmessages")
    for container, view in zip(task.definition["containerDefinitions"], task.containers, strict=True):
        good = works and not container.get("readonlyRootFilesystem") and view["lastStatus"] == "RUNNING"
        view["managedAgents"] = [
            {"name": "ExecuteCommandAgent", "lastStatus": "RUNNING", "lastStartedAt": world.timestamp()}
            if good
            else {"name": "ExecuteCommandAgent", "lastStatus": "STOPPED", "reason": "TargetNotConnected"}
        ]


def exited(world: World, task: Task, view: Item, code: int, killed: str) -> None:
    """A container ends by itself; with an essential one the task ends."""
    if not _going(task) or view["lastStatus"] != "RUNNING":
        return
    view["lastStatus"], view["exitCode"] = "STOPPED", code
    if killed:
        view["reason"] = killed
    if _essential(task, view["name"]):
        stop(world, task, "EssentialContainerExited", "Essential container in task exited")
    else:
        _start_ready(world, task)


# ------------------------------------------------------------------------------------------------ down


def stop(world: World, task: Task, code: str, reason: str) -> None:
    """Tell a task to stop: targets drain, containers get SIGTERM, the interface goes, and then it is STOPPED."""
    if task.desired == "STOPPED":
        return
    task.desired = "STOPPED"
    task.stop_code, task.stopped_reason = code, reason
    task.times["stoppingAt"] = world.timestamp()
    task.version += 1
    if not task.instance and task.launch_type != "FARGATE":  # it still waits for capacity
        task.containers = []
        world.after(1, _stopped, world, task)
        return
    world.after(1, _deactivate, world, task)


def _deactivate(world: World, task: Task) -> None:
    delay = _drain_targets(world, task)
    enter(world, task, "DEACTIVATING")
    world.after(delay or 1, _stopping, world, task)


def _drain_targets(world: World, task: Task) -> float:
    """Take a task out of its target groups: for how long they drain."""
    delays = [0.0]
    for target in task.targets:
        elbv2.deregister(world, task.region, target["group"], target["id"], target["port"])
        group = elbv2.here(world, task.region).groups.get(target["group"])
        if group is not None and group.used:
            delays.append(float(group.attributes["deregistration_delay.timeout_seconds"]))
    return max(delays)


def _stopping(world: World, task: Task) -> None:
    enter(world, task, "STOPPING")
    containers, each = _containers(world, task), dict[str, float]()
    for container, view in zip(containers, task.containers, strict=True):
        if view["lastStatus"] != "RUNNING":
            continue
        deaf = outcome(container, place_of(world, task, container, view)).deaf
        timeout = container.get("stopTimeout") or problems.stop_timeout(world, task) or STOP_TIMEOUT
        each[container["name"]] = timeout if deaf else min(timeout, END_SECONDS)
        view["exitCode"] = 137 if deaf else 143
    world.after(max([1.0, *(_ends(name, containers, each) for name in each)]), _containers_stopped, world, task)


def _ends(name: str, containers: list[Item], each: dict[str, float]) -> float:
    """After how many seconds it has stopped: those that depend on it stop first."""
    later = [one["name"] for one in containers if name in [on["containerName"] for on in one.get("dependsOn", [])]]
    return each.get(name, 0.0) + max((_ends(other, containers, each) for other in later), default=0.0)


def _containers_stopped(world: World, task: Task) -> None:
    for view in task.containers:
        view["lastStatus"] = "STOPPED"
        if "healthStatus" in view:
            view["healthStatus"] = "UNKNOWN"
        for agent in view.get("managedAgents", []):
            agent["lastStatus"] = "STOPPED"
    task.times["executionStoppedAt"] = world.timestamp()
    _deprovision(world, task)


def _deprovision(world: World, task: Task) -> None:
    if not task.attachments:
        _stopped(world, task)
        return
    enter(world, task, "DEPROVISIONING")
    world.after(DEPROVISION, _release_interface, world, task)


def _release_interface(world: World, task: Task) -> None:
    if task.interface is not None:
        identifier = task.interface["NetworkInterfaceId"]
        linger = world.settings.lingering_interfaces
        if linger:
            world.after(linger, ec2_interfaces.delete_interface, world, task.region, identifier)
        else:
            ec2_interfaces.delete_interface(world, task.region, identifier)
    for attachment in task.attachments:
        attachment["status"] = "DELETED"
    _stopped(world, task)


def _stopped(world: World, task: Task) -> None:
    """The end: only now is what it held on its instance free."""
    if not task.active:
        return
    task.times["stoppedAt"] = world.timestamp()
    if task.instance is not None and task.id in task.instance.held:
        del task.instance.held[task.id]
        task.instance.version += 1
    enter(world, task, "STOPPED")
    if world.clock.scale:
        world.after(STOPPED_VISIBLE, _forget, world, task)


def _forget(world: World, task: Task) -> None:
    """A stopped task is shown for about an hour."""
    cluster = region_of(world, task.region).clusters.get(task.cluster)
    if cluster is not None:
        cluster.tasks.pop(task.id, None)


def fail(world: World, task: Task, reason: str, container: str = "", detail: str = "") -> None:
    """A task that could not start. `container` is the one that it failed for."""
    if not _going(task):
        return
    task.failed = True
    task.desired = "STOPPED"
    task.stop_code, task.stopped_reason = "TaskFailedToStart", reason
    task.times["stoppingAt"] = world.timestamp()
    for view in task.containers:
        if view["lastStatus"] == "RUNNING":
            view["exitCode"] = 137
        view["lastStatus"] = "STOPPED"
        if view["name"] == container:
            view["reason"] = detail or reason
    task.times["executionStoppedAt"] = world.timestamp()
    world.after(2, _deprovision, world, task)


def host_gone(world: World, task: Task, ec2_id: str) -> None:
    """The instance under a task has been terminated."""
    if not task.active:
        return
    task.desired = "STOPPED"
    task.stop_code = task.stop_code or "TerminationNotice"
    task.stopped_reason = task.stopped_reason or f"Host EC2 (instance {ec2_id}) terminated."
    task.times.setdefault("stoppingAt", world.timestamp())
    task.times.setdefault("executionStoppedAt", world.timestamp())
    for view in task.containers:
        if view["lastStatus"] == "RUNNING":
            view["reason"] = task.stopped_reason
        view["lastStatus"] = "STOPPED"
    _drain_targets(world, task)
    if task.interface is not None:
        _release_interface(world, task)
    else:
        _stopped(world, task)


def orphan(world: World, task: Task) -> None:
    """Its instance has been deregistered by force: ECS forgets the task, whose containers run on unseen."""
    task.desired = "STOPPED"
    task.stop_code, task.stopped_reason = "TerminationNotice", "Container instance was deregistered by force."
    task.times["stoppingAt"] = world.timestamp()
    if task.interface is not None:
        _release_interface(world, task)
    else:
        _stopped(world, task)


# ------------------------------------------------------------------------------------------------ no capacity


def give_up_later(world: World, cluster: Cluster, task: Task) -> None:
    world.after(CAPACITY_TIMEOUT, give_up, world, cluster, task)


def give_up(world: World, cluster: Cluster, task: Task) -> None:
    """Twenty minutes without capacity: the task is STOPPED, with no container to show."""
    if task not in cluster.waiting or not _going(task):
        return
    cluster.waiting.remove(task)
    task.failed = True
    task.desired = "STOPPED"
    task.containers = []
    task.stop_code = "TaskFailedToStart"
    task.stopped_reason = "Task failed to start: no capacity became available for the task in time."
    task.times["stoppingAt"] = world.timestamp()
    _stopped(world, task)


def count_rounds(world: World, cluster: Cluster) -> None:
    """At time scale 0 no time passes: a task has had its twenty minutes after a number of requests."""
    for task in list(cluster.waiting):
        task.rounds += 1
        if task.rounds >= ROUNDS_WITHOUT_TIME:
            give_up(world, cluster, task)


def uptime(world: World, task: Task) -> float:
    """Seconds since the task has been RUNNING. Times of day have no more than microseconds."""
    started = task.times.get("startedAt")
    return round(world.now() - started.timestamp(), 3) if started else 0.0


def lived(task: Task) -> float:
    """For how many seconds a task was RUNNING before it ended."""
    started, ended = task.times.get("startedAt"), task.times.get("stoppingAt")
    return (ended - started).total_seconds() if started and ended else 0.0
