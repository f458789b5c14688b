"""What keeps a service's tasks running: deployments, rolling replacement, backing off, the circuit breaker.

The scheduler looks at a service when one of its tasks changes, and when anything else may have.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html
"""

from __future__ import annotations

import math
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emulator.core import partitions, rules
from emulator.core.rules import AwsError
from emulator.core.world import ACCOUNT, World
from emulator.ecs import life
from emulator.ecs import tasks as ecs_tasks
from emulator.ecs.agent import REGISTERED
from emulator.ecs.placement import obstacle
from emulator.ecs.problems import roles_problem
from emulator.ecs.state import (
    FARGATE,
    Cluster,
    Instance,
    Item,
    Tags,
    Task,
    definition_name,
    merged,
    region_of,
    short,
)
from emulator.ecs.targets import forget_targets, illness, register
from emulator.elbv2 import state as elbv2

SHORTEST_DRAIN = 30
QUICK_TRIES, QUICK, SLOW = 5, 10, 300  # a service that can not place: so often, then so many seconds apart
LONGEST_THROTTLE = 900
SETTLED = 10  # a deployment is complete only when its tasks have stayed up for a moment
CRASH = 30  # a task that ends so soon after it began has failed
NO_ROOM = {
    "RESOURCE:GPU": "has insufficient GPU resource available",
    "RESOURCE:MEMORY": "has insufficient memory available",
    "RESOURCE:CPU": "has insufficient CPU units available",
    "RESOURCE:PORTS": "is already using a port required by your task",
    "ATTRIBUTE": "is missing an attribute required by your task",
    "AGENT": "doesn't have the agent connected",
}
SEE_ALSO = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."


@dataclass
class Deployment:
    """One revision of a service on its way in, in place, or on its way out."""

    id: str
    definition: Item
    created: datetime
    updated: datetime
    revision: str
    arn: str
    launch_type: str | None
    strategy: list[Item]
    network: Item | None
    platform: str | None
    balancers: list[Item]
    status: str = "PRIMARY"
    desired: int = 0
    failed: int = 0
    rollout: str = "IN_PROGRESS"
    reason: str = ""
    finished: datetime | None = None
    source: str | None = None  # the revision that it takes the place of
    broken: bool = False  # the circuit breaker has stopped it

    @property
    def fargate(self) -> bool:
        return self.launch_type == "FARGATE" or any(short(one["capacityProvider"]) in FARGATE for one in self.strategy)


@dataclass
class Service:
    name: str
    arn: str
    region: str
    cluster: str
    created: datetime
    status: str
    desired: int
    scheduling: str
    configuration: Item
    tags: Tags
    settings: Item  # what is only kept and shown
    token: str | None
    asked: Item
    deployments: list[Deployment] = field(default_factory=list)
    history: list[Deployment] = field(default_factory=list)
    events: list[Item] = field(default_factory=list)
    steady: bool = False
    tries: int = 0
    next_try: float = 0.0
    restarts: int = 0
    next_start: float = 0.0
    looking: bool = False
    drained_from: float = 0.0

    @property
    def primary(self) -> Deployment:
        return self.deployments[0]

    @property
    def daemon(self) -> bool:
        return self.scheduling == "DAEMON"

    @property
    def fargate(self) -> bool:
        return self.primary.fargate

    def uses(self, definition: str) -> bool:
        return any(definition_name(one.definition) == definition for one in self.deployments)

    def provider_names(self) -> set[str]:
        return {short(item["capacityProvider"]) for one in self.deployments for item in one.strategy}

    def percent(self, key: str, default: int) -> int:
        value = self.configuration.get(key)
        return default if value is None else int(value)


def tasks_of(world: World, service: Service) -> list[Task]:
    """The tasks of a service that are not STOPPED."""
    cluster = region_of(world, service.region).clusters[service.cluster]
    return list(cluster.serving.get(service.name, {}).values())


def counts(tasks: list[Task], deployment: str | None = None) -> tuple[int, int]:
    """How many run, and how many are on their way."""
    mine = [task for task in tasks if deployment in (None, task.deployment)]
    running = sum(task.last == "RUNNING" for task in mine)
    return running, sum(task.last in ("PROVISIONING", "PENDING", "ACTIVATING") for task in mine)


def tell(world: World, service: Service, message: str) -> None:
    """One more event, the newest first; at time scale 0 not the same one again and again."""
    if not world.clock.scale and service.events and service.events[0]["message"] == message:
        return
    service.events.insert(0, {"id": str(uuid.uuid4()), "createdAt": world.timestamp(), "message": message})
    del service.events[100:]


def deploy(world: World, service: Service, definition: Item, **how: Any) -> Deployment:
    """A new PRIMARY deployment; the one before it becomes ACTIVE, and its tasks are replaced."""
    number = str(random.randrange(10**18, 10**19))
    base = f"arn:{partitions.here()}:ecs:{service.region}:{ACCOUNT}"
    before = service.deployments[0] if service.deployments else None
    made = Deployment(
        id=f"ecs-svc/{number}",
        definition=definition,
        created=world.timestamp(),
        updated=world.timestamp(),
        revision=f"{base}:service-revision/{service.cluster}/{service.name}/{number}",
        arn=f"{base}:service-deployment/{service.cluster}/{service.name}/{uuid.uuid4().hex[:21]}",
        desired=service.desired,
        source=before.revision if before else None,
        **how,
    )
    made.reason = f"ECS deployment {made.id} in progress."
    for other in service.deployments:
        other.status = "ACTIVE"
        if other.rollout == "IN_PROGRESS":
            other.finished = world.timestamp()
    service.deployments.insert(0, made)
    service.history.insert(0, made)
    service.steady, service.tries, service.next_try, service.next_start, service.restarts = False, 0, 0.0, 0.0, 0
    return made


# ------------------------------------------------------------------------------------------------ the scheduler


def look(world: World, service: Service, ticking: bool = False) -> None:
    """One look at a service: stop what is too much or ill, start what is missing, and say when all is well."""
    if service.looking or service.status == "INACTIVE":
        return
    service.looking = True
    try:
        if service.status == "DRAINING":
            drain(world, service)
            return
        _stop_ill(world, service)
        if service.daemon:
            _daemon(world, service, ticking)
        else:
            _replica(world, service, ticking)
        _settle(world, service, ticking)
    finally:
        service.looking = False


def drain(world: World, service: Service) -> None:
    """A deleted service: all its tasks stop, and when the last has begun to, it is INACTIVE."""
    tasks = tasks_of(world, service)
    _stop(world, service, [task for task in tasks if task.desired == "RUNNING"])
    leaving = all(task.last in ("STOPPING", "DEPROVISIONING") for task in tasks)
    if leaving and world.now() >= service.drained_from:
        service.status = "INACTIVE"


def healthy(world: World, service: Service, task: Task) -> bool:
    """RUNNING, passing its container health checks, and healthy at its load balancers."""
    if task.last != "RUNNING" or task.desired != "RUNNING":
        return False
    if any(state != "HEALTHY" for state in life.health(task)):
        return False
    return all(_target_state(world, task, target) == "healthy" for target in task.targets)


def _target_state(world: World, task: Task, target: Item) -> str:
    return elbv2.health(world, task.region, target["group"], target["id"], target["port"])[0]


def _stop_ill(world: World, service: Service) -> None:
    """After the grace period, tasks that fail health checks are stopped, and count as failed."""
    grace = world.clock.delay(service.settings.get("healthCheckGracePeriodSeconds") or 0)
    for task in tasks_of(world, service):
        if task.last != "RUNNING" or task.desired != "RUNNING" or life.uptime(world, task) < grace:
            continue
        ill = next((one for one in task.targets if _target_state(world, task, one) == "unhealthy"), None)
        if ill is not None:
            why = elbv2.description(world, task.region, ill["group"], ill["id"], ill["port"])
            tell(
                world,
                service,
                f"(service {service.name}) (port {ill['port']}) is unhealthy in (target-group {ill['group']}) due to "
                f"(reason {why}).",
            )
            reason = f"Task failed ELB health checks in (target-group {ill['group']})"
        elif "UNHEALTHY" in life.health(task):
            tell(world, service, f"(service {service.name}) (task {task.id}) failed container health checks.")
            reason = "Task failed container health checks"
        else:
            continue
        task.failed = True
        _stop(world, service, [task], reason)


def _stop(world: World, service: Service, tasks: list[Task], reason: str = "") -> None:
    if not tasks:
        return
    for target in [target for task in tasks for target in task.targets]:
        tell(world, service, f"(service {service.name}) deregistered 1 targets in (target-group {target['group']})")
    if any(task.targets for task in tasks):
        tell(world, service, f"(service {service.name}) has begun draining connections on {len(tasks)} tasks.")
    for task in tasks:
        because = reason or f"Scaling activity initiated by (deployment {service.primary.id})"
        life.stop(world, task, "ServiceSchedulerInitiated", because)
    names = " ".join(f"(task {task.id})" for task in tasks)
    tell(world, service, f"(service {service.name}) has stopped {len(tasks)} running tasks: {names}.")


def _replica(world: World, service: Service, ticking: bool) -> None:
    primary, desired = service.primary, service.desired
    alive = [task for task in tasks_of(world, service) if task.desired == "RUNNING"]
    fresh = [task for task in alive if task.deployment == primary.id and not _leaving(task)]
    old = [task for task in alive if task not in fresh]
    _stop(world, service, _surplus(world, service, fresh, len(fresh) - desired))
    upper = desired * service.percent("maximumPercent", 200) // 100
    lower = math.ceil(desired * service.percent("minimumHealthyPercent", 100) / 100)
    missing = 0 if primary.broken else max(0, desired - len(fresh))
    started = _start(world, service, min(missing, upper - len(alive)), ticking) if missing else 0
    blocked = missing > started
    if world.clock.scale or ticking or not desired:
        _replace(world, service, old, alive, lower if blocked else max(lower, desired))


def _leaving(task: Task) -> bool:
    """Its instance is DRAINING: the task is to be replaced."""
    return task.instance is not None and task.instance.status == "DRAINING"


def _surplus(world: World, service: Service, fresh: list[Task], count: int) -> list[Task]:
    """Too many tasks: those that do not run yet go first, then the newest; protected ones stay."""
    if count <= 0:
        return []
    free = [task for task in fresh if not (task.protected_until and task.protected_until > world.timestamp())]
    free.sort(key=lambda task: (task.last == "RUNNING", -task.created.timestamp()))
    return free[:count]


def _replace(world: World, service: Service, old: list[Task], alive: list[Task], keep: int) -> None:
    """Stop tasks of earlier deployments as far as enough healthy ones remain."""
    well = sum(
        task in old or life.uptime(world, task) >= world.clock.delay(SETTLED)
        for task in alive
        if healthy(world, service, task)
    )
    going = []
    for task in sorted(old, key=lambda task: healthy(world, service, task)):
        if task.protected_until and task.protected_until > world.timestamp():
            continue
        if not healthy(world, service, task):
            going.append(task)
        elif well > keep:
            well -= 1
            going.append(task)
    _stop(world, service, going)


def _launch(world: World, service: Service, deployment: Deployment) -> ecs_tasks.Launch:
    settings = service.settings
    handed: Tags = []
    if settings.get("propagateTags") == "SERVICE":
        handed = service.tags
    elif settings.get("propagateTags") == "TASK_DEFINITION":
        handed = region_of(world, service.region).definition_tags[deployment.definition["taskDefinitionArn"]]
    own: Tags = []
    if settings.get("enableECSManagedTags"):
        own = [
            {"key": "aws:ecs:clusterName", "value": service.cluster},
            {"key": "aws:ecs:serviceName", "value": service.name},
        ]
    return ecs_tasks.Launch(
        definition=deployment.definition,
        group=f"service:{service.name}",
        started_by=deployment.id,
        network=(deployment.network or {}).get("awsvpcConfiguration"),
        constraints=settings.get("placementConstraints") or [],
        placement=settings.get("placementStrategy") or [],
        tags=merged(handed, own),
        platform=deployment.platform,
        exec_enabled=bool(settings.get("enableExecuteCommand")),
        service=service.name,
        deployment=deployment.id,
        balanced=bool(deployment.balancers),
    )


def _start(world: World, service: Service, count: int, ticking: bool) -> int:
    """Start up to so many tasks of the primary deployment; how many have been placed, or wait for managed scaling."""
    if count <= 0 or world.now() < max(service.next_try, service.next_start):
        return 0
    if not world.clock.scale and service.restarts and not ticking:
        return 0  # without time, tasks that end at once are started again once a request, not for ever
    deployment = service.primary
    cluster = region_of(world, service.region).clusters[service.cluster]
    launch = _launch(world, service, deployment)
    if problem := roles_problem(world, deployment.definition, {}):
        tell(world, service, f"(service {service.name}) failed to launch a task with (error {problem}).")
        _back_off(world, service)
        return 0
    started: list[Task] = []
    for _ in range(count):
        task, failures = _place(world, service, cluster, launch, deployment)
        if task is None:
            tell(world, service, _no_room(service, deployment, failures))
            _back_off(world, service)
            break
        started.append(task)
    if started:
        names = " ".join(f"(task {task.id})" for task in started)
        tell(world, service, f"(service {service.name}) has started {len(started)} tasks: {names}.")
        service.steady = False
    if len(started) == count:
        service.tries = 0
    return len(started)


def _place(
    world: World, service: Service, cluster: Cluster, launch: ecs_tasks.Launch, deployment: Deployment
) -> tuple[Task | None, list[Item]]:
    target: str | None = "FARGATE" if deployment.launch_type == "FARGATE" else None
    if deployment.strategy:
        present = Counter(task.provider or "" for task in tasks_of(world, service) if task.deployment == deployment.id)
        [target] = ecs_tasks.shares(deployment.strategy, 1, present)
    try:
        task, failures = ecs_tasks.place(world, service.region, cluster, launch, target)
    except AwsError as error:
        return None, [{"reason": error.message}]
    if task is not None and not deployment.strategy:
        task.provider = None
    return task, failures


def _no_room(service: Service, deployment: Deployment, failures: list[Item]) -> str:
    """The event for a task that could not be placed, with the instance that came closest."""
    if any(each.get("reason") == ecs_tasks.FARGATE_FULL for each in failures):
        return f"(service {service.name}) was unable to place a task. Reason: {ecs_tasks.FARGATE_FULL}. {SEE_ALSO}"
    start = (
        f"(service {service.name}) was unable to place a task because no container instance met all of its "
        "requirements."
    )
    if not failures:
        where = "capacity provider" if deployment.strategy else "cluster"
        return f"{start} Reason: No Container Instances were found in your {where}. {SEE_ALSO}"
    order = list(NO_ROOM)
    best = min(failures, key=lambda one: order.index(one["reason"]) if one["reason"] in order else len(order))
    if "arn" not in best:
        return f"{start} Reason: {best['reason']} {SEE_ALSO}"
    text = NO_ROOM.get(best["reason"], f'encountered error "{best["reason"]}"')
    return f"{start} The closest matching container-instance {short(best['arn'])} {text}. {SEE_ALSO}"


def _back_off(world: World, service: Service) -> None:
    """Try again soon at first, then every five minutes."""
    service.tries += 1
    pause = QUICK if service.tries <= QUICK_TRIES else SLOW
    if world.clock.scale:
        service.next_try = world.now() + pause
        world.after(pause, look, world, service)


def _daemon(world: World, service: Service, ticking: bool) -> None:
    """One task on each instance that can take it."""
    cluster = region_of(world, service.region).clusters[service.cluster]
    deployment = service.primary
    launch = _launch(world, service, deployment)
    demand = launch.demand()
    tasks = tasks_of(world, service)
    old = [task for task in tasks if task.desired == "RUNNING" and (task.deployment != deployment.id or _leaving(task))]
    _stop(world, service, old)
    taken = {id(task.instance) for task in tasks}
    free: list[Instance] = [
        one
        for one in cluster.instances.values()
        if id(one) not in taken and obstacle(cluster, one, demand, launch.group) is None
    ]
    staying = {id(task.instance) for task in tasks if task.desired == "RUNNING"}
    service.desired = deployment.desired = len(staying) + len(free)
    if not world.clock.scale and service.restarts and not ticking:
        return
    for instance in free:
        task = ecs_tasks.make(world, service.region, cluster, launch, "EC2", None)
        ecs_tasks.put_on(world, cluster, task, instance, demand)
        tell(world, service, f"(service {service.name}) has started 1 tasks: (task {task.id}).")
        service.steady = False


def _settle(world: World, service: Service, ticking: bool) -> None:
    """Let go of deployments without tasks; when the primary one is complete and healthy, say so."""
    tasks, primary = tasks_of(world, service), service.primary
    busy = {task.deployment for task in tasks if task.last not in ("STOPPING", "DEPROVISIONING")}
    fresh = [task for task in tasks if task.deployment == primary.id and task.desired == "RUNNING"]
    well = [task for task in fresh if healthy(world, service, task)]
    if any(life.uptime(world, task) >= CRASH for task in well) and not primary.broken and world.clock.scale:
        primary.failed = 0 if _resets(service) else primary.failed
    complete = len(well) == len(fresh) == service.desired and not primary.broken
    if primary.rollout == "IN_PROGRESS" and complete:
        complete = all(life.uptime(world, task) >= SETTLED for task in well) if world.clock.scale else ticking
    others = [one for one in service.deployments[1:] if one.id in busy]
    if complete or primary.rollout == "COMPLETED":
        for gone in service.deployments[1:]:
            if gone not in others:
                gone.status = "INACTIVE"
        service.deployments = [primary, *others]
    if not complete or others:
        if not complete:
            service.steady = False
        return
    if primary.rollout == "IN_PROGRESS":
        primary.rollout, primary.reason = "COMPLETED", f"ECS deployment {primary.id} completed."
        primary.finished = primary.updated = world.timestamp()
        tell(world, service, f"(service {service.name}) (deployment {primary.id}) deployment completed.")
    if not service.steady:
        service.steady = True
        tell(world, service, f"(service {service.name}) has reached a steady state.")


# ------------------------------------------------------------------------------------------------ what happens to tasks


def _changed(world: World, task: Task) -> None:
    """A task of a service has changed: register it, count its failure, look at the service."""
    if task.service is None:
        return
    service = region_of(world, task.region).clusters[task.cluster].services.get(task.service)
    if service is None:
        return
    if task.last == "ACTIVATING":
        deployment = next((one for one in service.history if one.id == task.deployment), service.primary)
        register(world, task, deployment.balancers)
        for target in task.targets:
            tell(world, service, f"(service {service.name}) registered 1 targets in (target-group {target['group']})")
    if task.last == "RUNNING":
        for seconds in {SETTLED, CRASH, service.settings.get("healthCheckGracePeriodSeconds") or 0}:
            world.look_at(world.now() + seconds)
    if task.last == "STOPPED":
        forget_targets(world, task)
        _count_failure(world, service, task)
    look(world, service)


def _count_failure(world: World, service: Service, task: Task) -> None:
    """A task has ended. If it was not ECS or the user who stopped it, starting slows down, and the breaker counts."""
    service.tries, service.next_try = 0, 0.0
    if task.stop_code == "UserInitiated" or (task.stop_code == "ServiceSchedulerInitiated" and not task.failed):
        return
    service.restarts += 1
    if not task.failed and life.lived(task) > CRASH:
        return
    deployment = next((one for one in service.deployments if one.id == task.deployment), None)
    if deployment is None:
        return
    if deployment.broken:
        return
    deployment.failed += 1
    deployment.updated = world.timestamp()
    breaker = service.configuration["deploymentCircuitBreaker"]
    if breaker.get("enable") and deployment.failed >= threshold(service) and deployment.rollout == "IN_PROGRESS":
        _break(world, service, deployment, health="health checks" in (task.stopped_reason or ""))
        return
    if deployment.failed >= 3:
        tell(world, service, f"(service {service.name}) is unable to consistently start tasks successfully. {SEE_ALSO}")
    pause = min(10 * 2 ** max(0, deployment.failed - 3), LONGEST_THROTTLE)
    if world.clock.scale:
        service.next_start = world.now() + pause
        world.after(pause, look, world, service)


def threshold(service: Service) -> int:
    """How many failed tasks break a deployment: half of those wanted, at least 3 and at most 200, unless set."""
    given = service.configuration["deploymentCircuitBreaker"].get("thresholdConfiguration")
    kind, value = (given["type"], given["value"]) if given else ("BOUNDED_PERCENT", 50)
    if kind == "COUNT":
        return int(value)
    count = math.ceil(service.desired * value / 100)
    return max(1, count) if kind == "UNBOUNDED_PERCENT" else max(3, min(200, count))


def _resets(service: Service) -> bool:
    return bool(service.configuration["deploymentCircuitBreaker"].get("resetOnHealthyTask", True))


def _break(world: World, service: Service, deployment: Deployment, health: bool) -> None:
    """The circuit breaker: the deployment has failed; with rollback the last completed one comes back."""
    text = "tasks failed ELB health checks" if health else "tasks failed to start"
    deployment.rollout, deployment.broken = "FAILED", True
    deployment.reason = f"ECS deployment circuit breaker: {text}."
    deployment.finished = deployment.updated = world.timestamp()
    tell(world, service, f"(service {service.name}) (deployment {deployment.id}) deployment failed: {text}.")
    before = next((one for one in service.history if one.rollout == "COMPLETED"), None)
    if not service.configuration["deploymentCircuitBreaker"].get("rollback") or before is None:
        return
    tell(world, service, f"(service {service.name}) rolling back to deployment {before.id}.")
    deployment.status, before.status = "ACTIVE", "PRIMARY"
    before.rollout, before.desired, before.updated = "IN_PROGRESS", service.desired, world.timestamp()
    before.reason = f"ECS deployment circuit breaker: rolling back to deploymentId {before.id}."
    before.failed = 0
    service.deployments = [before, *(one for one in service.deployments if one is not before)]
    service.steady, service.next_start, service.restarts = False, 0.0, 0


def _capacity_changed(world: World, region: str, cluster: Cluster) -> None:
    """An instance has registered: daemons start on it."""
    for service in cluster.services.values():
        if service.daemon:
            look(world, service)


def tick(world: World) -> None:
    """A look at every service: what it has to do with (targets, hosts, settings) may have changed."""
    for region in world.state["ecs"].values():
        for cluster in region.clusters.values():
            for service in cluster.services.values():
                if service.status != "INACTIVE" and not _rests(world, service):
                    look(world, service, ticking=True)


def _rests(world: World, service: Service) -> bool:
    """Has all that it wants, in good health: a look would find nothing to do."""
    [primary, *others], tasks = service.deployments, tasks_of(world, service)
    if others or not service.steady or service.daemon or service.status != "ACTIVE" or primary.failed:
        return False
    return len(tasks) == service.desired and all(
        task.deployment == primary.id and not _leaving(task) and healthy(world, service, task) for task in tasks
    )


def start(world: World) -> None:
    world.tickers.append(tick)


rules.STARTERS.append(start)
life.CHANGED.append(_changed)
REGISTERED.append(_capacity_changed)
elbv2.ILLNESS = illness
