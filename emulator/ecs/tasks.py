"""Tasks: RunTask and StartTask, where a task goes, its life from PROVISIONING to STOPPED, and what is told of it.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.core import quotas, rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import World
from emulator.ecs import definitions, life
from emulator.ecs.checks import (
    check_common,
    check_compatible,
    check_exec,
    check_fargate_size,
    check_network,
    check_overrides,
    check_run,
    check_strategy,
    check_subnets,
    weight,
)
from emulator.ecs.placement import Demand, book, check_constraints, demand_of, obstacle, overridden, ranked, size
from emulator.ecs.problems import roles_problem
from emulator.ecs.state import (
    FARGATE,
    Cluster,
    Instance,
    Item,
    Tags,
    Task,
    arn,
    checked_tags,
    client_error,
    find_cluster,
    find_task,
    here,
    invalid,
    merged,
    new_id,
    page,
    region_of,
    short,
    without_none,
)
from emulator.iam import caller

rules.SENTENCES.update(
    {
        "ecs-003": "What is missing is told in failures as MISSING; only a missing cluster is an exception.",
        "ecs-017": "Figures of managed scaling and of strategies have their bounds; a strategy needs a weight above 0.",
        "ecs-038": "A task bigger than what an instance registers is never placed; managed scaling buys in vain.",
        "ecs-050": "RunTask for EC2 in a cluster without instances raises InvalidParameterException.",
        "ecs-051": "RunTask answers 200 with failures where no instance has room: RESOURCE:GPU, MEMORY and so on.",
        "ecs-052": "With managed scaling a task waits in PROVISIONING for an instance, and gives up after 20 minutes.",
        "ecs-053": "A cluster holds a limited number of PROVISIONING tasks; one more is a ClientException.",
        "ecs-054": "RunTask starts 1 to 10 tasks, by launch type or by strategy; propagateTags=SERVICE is refused.",
        "ecs-055": "The same client token and parameters give the same tasks, for a day at most and until an hour after "
        "their end; other parameters a ConflictException.",
        "ecs-056": "awsvpc needs a network configuration and the others take none; EC2 gives no public address.",
        "ecs-057": "Fargate takes only definitions that were registered for it.",
        "ecs-058": "RunTask on Fargate takes 20 calls at once and 20 a second; one more is a ThrottlingException.",
        "ecs-059": "For about 2 s after RunTask the task is MISSING.",
        "ecs-060": "A task takes AWS's own time to start: interface, image pull, EFS mount, containers.",
        "ecs-088": "Overrides have up to 8,192 characters of JSON, and name containers of the definition only.",
        "ecs-062": "A stopping task has 30 s to end, then loses its interface; only when STOPPED is its GPU free.",
    }
)

MISSING_SECONDS = 2
RUN_TASK_CALLS = 20
TOKEN_SECONDS = 86400


@dataclass
class Launch:
    """Everything that is to hold for the tasks of one RunTask, StartTask or deployment."""

    definition: Item
    group: str
    started_by: str | None = None
    network: Item | None = None
    overrides: Item = field(default_factory=dict)
    constraints: list[Item] = field(default_factory=list)
    placement: list[Item] = field(default_factory=list)
    tags: Tags = field(default_factory=list)
    platform: str | None = None
    exec_enabled: bool = False
    service: str | None = None
    deployment: str | None = None
    balanced: bool = False

    def demand(self) -> Demand:
        return demand_of(self.definition, self.overrides, self.constraints)


# ------------------------------------------------------------------------------------------------ making tasks


def make(world: World, region: str, cluster: Cluster, launch: Launch, launch_type: str, provider: str | None) -> Task:
    """A new task, not yet anywhere."""
    task = Task(
        arn=arn(region, "task", cluster.name, new_id()),
        region=region,
        cluster=cluster.name,
        definition=launch.definition,
        group=launch.group,
        launch_type=launch_type,
        created=world.timestamp(),
        visible_at=world.now() + world.clock.delay(MISSING_SECONDS),
        provider=provider,
        started_by=launch.started_by,
        network=launch.network,
        overrides=launch.overrides,
        constraints=launch.constraints,
        placement=launch.placement,
        tags=launch.tags,
        platform=launch.platform if launch_type == "FARGATE" else None,
        exec_enabled=launch.exec_enabled,
        service=launch.service,
        deployment=launch.deployment,
        balanced=launch.balanced,
    )
    cluster.tasks[task.id] = task
    if task.service:
        cluster.serving.setdefault(task.service, {})[task.id] = task
    return task


def container_view(task: Task, container: Item) -> Item:
    """One of a task's containers at its beginning."""
    view: Item = {
        "containerArn": arn(task.region, "container", task.cluster, task.id, new_id()),
        "taskArn": task.arn,
        "name": container["name"],
        "image": container["image"],
        "lastStatus": "PENDING",
        "networkInterfaces": [],
        "cpu": str(container.get("cpu") or 0),
    }
    for key in ("memory", "memoryReservation"):
        if container.get(key):
            view[key] = str(container[key])
    if container.get("healthCheck"):
        view["healthStatus"] = "UNKNOWN"
    return view


def put_on(world: World, cluster: Cluster, task: Task, instance: Instance, demand: Demand) -> None:
    """Place a task on an instance: book what it needs, and let the agent start it."""
    gpus = book(task, instance, demand)
    containers = overridden(task.definition, task.overrides)
    task.containers = [container_view(task, container) for container in containers]
    for view, container in zip(task.containers, containers, strict=True):
        if view["name"] in gpus:
            view["gpuIds"] = list(gpus[view["name"]])
        for requirement in container.get("resourceRequirements", []):
            if requirement.get("sharingStrategy"):
                view["gpuSharingStrategy"] = requirement["sharingStrategy"]
    task.last = "PROVISIONING" if task.awsvpc else "PENDING"
    life.begin(world, task)


def candidates(world: World, region: str, cluster: Cluster, provider: str | None) -> list[Instance]:
    """The instances that a provider (None: the launch type EC2) may use."""
    if provider is None:
        return [instance for instance in cluster.instances.values() if instance.managed is None]
    return [one for one in cluster.instances.values() if provider_of(world, region, cluster, one) == provider]


def provider_of(world: World, region: str, cluster: Cluster, instance: Instance) -> str | None:
    """The capacity provider of the cluster whose Auto Scaling group an instance is in."""
    if instance.managed:
        return instance.managed
    providers = region_of(world, region).providers
    for name in cluster.providers:
        provider = providers.get(name)
        if provider is not None and instance.group and provider.group == instance.group:
            return name
    return None


#: quota-fargate
FARGATE_FULL = "You've reached the limit on the number of vCPUs you can run concurrently"


def _check_fargate_quota(world: World, region: str, launch: Launch, provider: str, count: int = 1) -> None:
    """vCPUs of all Fargate tasks of the region that have not stopped; those on Spot have a quota of their own."""
    spot = provider == "FARGATE_SPOT"
    limit = quotas.limit_of(world, "L-36FBB829" if spot else "L-3032A538")
    running = [
        size(task.overrides.get("cpu") or task.definition["cpu"], 1024)
        for each in region_of(world, region).clusters.values()
        for task in each.tasks.values()
        if task.launch_type == "FARGATE" and task.active and (task.provider == "FARGATE_SPOT") == spot
    ]
    wanted = count * size(launch.overrides.get("cpu") or launch.definition["cpu"], 1024)
    if limit is not None and sum(running) + wanted > limit * 1024:
        raise client_error(FARGATE_FULL)


def place(
    world: World, region: str, cluster: Cluster, launch: Launch, provider: str | None
) -> tuple[Task | None, list[Item]]:
    """One task on an instance of the provider (None: launch type EC2), or the failures that say why not."""
    if provider in FARGATE:
        _check_fargate_quota(world, region, launch, provider)
        task = make(world, region, cluster, launch, "FARGATE", provider)
        task.containers = [container_view(task, one) for one in overridden(task.definition, task.overrides)]
        life.begin(world, task)
        return task, []
    demand = launch.demand()
    instances = candidates(world, region, cluster, provider)
    failures, fitting = [], []
    for instance in instances:
        if instance.status == "DRAINING":
            continue
        reason = obstacle(cluster, instance, demand, launch.group)
        if reason:
            failures.append({"arn": instance.arn, "reason": reason})
        else:
            fitting.append(instance)
    kind = _kind(world, region, provider)
    if fitting:
        task = make(world, region, cluster, launch, kind, provider)
        put_on(world, cluster, task, ranked(cluster, fitting, launch.placement, launch.group)[0], demand)
        return task, []
    known = region_of(world, region).providers.get(provider) if provider else None
    if known is not None and known.scales:
        _check_waiting(world, cluster)
        task = make(world, region, cluster, launch, kind, provider)
        wait(world, cluster, task)
        return task, []
    return None, failures


def _kind(world: World, region: str, provider: str | None) -> str:
    known = region_of(world, region).providers.get(provider) if provider else None
    return "MANAGED_INSTANCES" if known is not None and known.managed else "EC2"


def _check_waiting(world: World, cluster: Cluster) -> None:
    if len(cluster.waiting) >= world.settings.provisioning_tasks:
        raise client_error(
            "You've reached the limit on the number of tasks that can be in the PROVISIONING state in a cluster."
        )


def wait(world: World, cluster: Cluster, task: Task) -> None:
    """Let a task wait in PROVISIONING for capacity."""
    cluster.waiting.append(task)
    if world.clock.scale:
        life.give_up_later(world, cluster, task)


def place_waiting(world: World, region: str, cluster: Cluster) -> None:
    """Capacity has changed: place the tasks that have waited for it, the oldest first."""
    for task in list(cluster.waiting):
        if task.desired == "STOPPED" or not task.active:
            cluster.waiting.remove(task)
            continue
        demand = demand_of(task.definition, task.overrides, task.constraints)
        fitting = [
            instance
            for instance in candidates(world, region, cluster, task.provider)
            if instance.status == "ACTIVE" and obstacle(cluster, instance, demand, task.group) is None
        ]
        if fitting:
            cluster.waiting.remove(task)
            put_on(world, cluster, task, ranked(cluster, fitting, task.placement, task.group)[0], demand)


def shares(strategy: list[Item], count: int, present: Counter[str] | None = None) -> list[str]:
    """Which provider each of `count` more tasks goes to: the base first, then by weight."""
    counts: Counter[str] = Counter(present or {})
    chosen = []
    for _ in range(count):
        base = next((one for one in strategy if counts[short(one["capacityProvider"])] < one.get("base", 0)), None)
        if base is None:
            weighted = [one for one in strategy if weight(one, strategy) > 0]
            base = min(
                weighted,
                key=lambda one: (
                    (counts[short(one["capacityProvider"])] - one.get("base", 0) + 1) / weight(one, strategy),
                    -weight(one, strategy),
                ),
            )
        name = short(base["capacityProvider"])
        counts[name] += 1
        chosen.append(name)
    return chosen


def _freed(world: World, task: Task) -> None:
    if task.last == "STOPPED":
        place_waiting(world, task.region, life.cluster_of(world, task))


life.CHANGED.append(_freed)


# ------------------------------------------------------------------------------------------------ operations


def passed(call: Call) -> list[Item]:
    """The roles that RunTask hands to ECS are named in the task definition, or in its overrides."""
    definition = definitions.find(here(call), call.params["taskDefinition"])
    return [{**(definition or {}), **(call.params.get("overrides") or {})}]


caller.PASSING["ecs", "RunTask"] = passed


def launch_tags(call: Call, definition: Item, cluster: Cluster) -> Tags:
    """The tags of a task: its definition's if they are to be handed on, ECS's own, and those of the call."""
    params = call.params
    tags = checked_tags(params.get("tags"))
    handed = here(call).definition_tags[definition["taskDefinitionArn"]]
    return merged(
        handed if params.get("propagateTags") == "TASK_DEFINITION" else [],
        [{"key": "aws:ecs:clusterName", "value": cluster.name}] if params.get("enableECSManagedTags") else [],
        tags,
    )


def _launch(call: Call, cluster: Cluster, definition: Item) -> Launch:
    params = call.params
    overrides = params.get("overrides") or {}
    check_overrides(definition, overrides)
    check_exec(definition, overrides, bool(params.get("enableExecuteCommand")), "The task couldn't be started")
    return Launch(
        definition=definition,
        group=params.get("group") or f"family:{definition['family']}",
        started_by=params.get("startedBy"),
        network=(params.get("networkConfiguration") or {}).get("awsvpcConfiguration"),
        overrides=overrides,
        constraints=params.get("placementConstraints") or [],
        placement=params.get("placementStrategy") or [],
        tags=launch_tags(call, definition, cluster),
        platform=params.get("platformVersion"),
        exec_enabled=bool(params.get("enableExecuteCommand")),
    )


def strategy_of(params: Params, cluster: Cluster) -> list[Item]:
    """The strategy that counts: the call's, else the cluster's default if no launch type is given."""
    given: list[Item] = params.get("capacityProviderStrategy") or []
    return given or ([] if params.get("launchType") else cluster.strategy)


@on(
    "ecs",
    "RunTask",
    rules="ecs-017 ecs-038 ecs-050 ecs-051 ecs-052 ecs-053 ecs-054 ecs-055 ecs-056 ecs-057 ecs-058 ecs-059 ecs-060 ecs-088 "
    "iam-001",
)
def run_task(call: Call) -> Params:
    params, world = call.params, call.world
    cluster = find_cluster(call)
    check_run(params)
    token = params.get("clientToken")
    asked = {key: value for key, value in params.items() if key != "clientToken"}
    if token in cluster.tokens and not _forgotten(world, cluster, *cluster.tokens[token][1:]):
        return _same_again(cluster, asked, *cluster.tokens[token][:2])
    definition = definitions.runnable(call, params.get("taskDefinition") or "")
    if params.get("launchType") == "FARGATE":
        _throttle(call)
    strategy = strategy_of(params, cluster)
    check_strategy(cluster, here(call).providers, strategy)
    fargate = params.get("launchType") == "FARGATE" or any(
        short(one["capacityProvider"]) in FARGATE for one in strategy
    )
    check_compatible(definition, "FARGATE" if fargate else "EC2")
    check_network(definition, params.get("networkConfiguration"), fargate)
    check_subnets(call.region, params.get("networkConfiguration"))
    if fargate and (params.get("placementConstraints") or params.get("placementStrategy")):
        raise invalid("Placement constraints and strategies are not supported with FARGATE.")
    check_constraints(params.get("placementConstraints"), params.get("placementStrategy"), cluster)
    launch = _launch(call, cluster, definition)
    if fargate:
        check_fargate_size(definition, launch.overrides)
    count = params.get("count", 1)
    targets: list[str | None] = list(shares(strategy, count)) if strategy else [None] * count
    if fargate and not strategy:
        targets = ["FARGATE"] * count
    _check_instances(call, cluster, targets)
    if problem := roles_problem(world, definition, launch.overrides):
        raise client_error(problem)
    for target in {*targets} & {*FARGATE}:
        _check_fargate_quota(world, call.region, launch, str(target), targets.count(target))
    tasks, failures = [], {}
    for target in targets:
        task, failed = place(world, call.region, cluster, launch, target)
        if task is not None:
            task.provider = task.provider if strategy else None
            tasks.append(task)
        failures.update({failure["arn"]: failure for failure in failed})
    if token:
        cluster.tokens[token] = (asked, [task.arn for task in tasks], world.now())
    return {"tasks": [view(task, with_tags=True) for task in tasks], "failures": list(failures.values())}


def _throttle(call: Call) -> None:
    """RunTask on Fargate: a bucket of 20 calls, with 20 more each second of AWS's."""
    world = call.world
    left, since = world.state["ecs_throttle"].get(call.region, (RUN_TASK_CALLS, world.now()))
    left = min(RUN_TASK_CALLS, left + (world.now() - since) * RUN_TASK_CALLS)
    if world.clock.scale and left < 1:
        raise AwsError("ThrottlingException", "Rate exceeded")
    world.state["ecs_throttle"][call.region] = (left - 1, world.now())


def _forgotten(world: World, cluster: Cluster, arns: list[str], since: float) -> bool:
    """A token lives for a day, and no longer than an hour after the end of the last of its tasks, as they are shown.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
    """
    return world.now() - since > TOKEN_SECONDS or not any(short(one) in cluster.tasks for one in arns)


def _same_again(cluster: Cluster, asked: Item, before: Item, arns: list[str]) -> Params:
    if asked != before:
        raise AwsError(
            "ConflictException",
            "The provided clientToken is already in use with a different RunTask request.",
            resourceIds=arns,
        )
    tasks = [cluster.tasks[short(one)] for one in arns if short(one) in cluster.tasks]
    return {"tasks": [view(task, with_tags=True) for task in tasks], "failures": []}


def _check_instances(call: Call, cluster: Cluster, targets: list[str | None]) -> None:
    """Without managed scaling there must be instances to look at."""
    for target in set(targets):
        if target in FARGATE:
            continue
        provider = here(call).providers.get(target) if target else None
        if provider is not None and provider.scales:
            continue
        found = candidates(call.world, call.region, cluster, target)
        if all(instance.status == "DRAINING" for instance in found):
            where = "capacity provider" if target else "cluster"
            raise invalid(f"No Container Instances were found in your {where}.")


@on("ecs", "StartTask")
def start_task(call: Call) -> Params:
    """Like RunTask, but the caller names the container instances."""
    params = call.params
    cluster = find_cluster(call)
    names = params.get("containerInstances") or []
    if not 1 <= len(names) <= 10:
        raise invalid("Container instances must be between 1 and 10.")
    check_common(params)
    definition = definitions.runnable(call, params.get("taskDefinition") or "")
    check_compatible(definition, "EC2")
    check_network(definition, params.get("networkConfiguration"), fargate=False)
    check_subnets(call.region, params.get("networkConfiguration"))
    launch = _launch(call, cluster, definition)
    if problem := roles_problem(call.world, definition, launch.overrides):
        raise client_error(problem)
    tasks, failures = [], []
    for name in names:
        instance = cluster.instances.get(short(name))
        demand = launch.demand()
        reason = "MISSING" if instance is None else obstacle(cluster, instance, demand, launch.group)
        if instance is None or reason:
            failed = name if name.startswith("arn:") else arn(call.region, "container-instance", cluster.name, name)
            failures.append({"arn": failed, "reason": reason})
            continue
        task = make(call.world, call.region, cluster, launch, "EC2", None)
        put_on(call.world, cluster, task, instance, demand)
        tasks.append(task)
    return {"tasks": [view(task, with_tags=True) for task in tasks], "failures": failures}


@on("ecs", "StopTask", rules="ecs-062")
def stop_task(call: Call) -> Params:
    cluster = find_cluster(call)
    task = cluster.tasks.get(short(call.params.get("task") or ""))
    if task is None:
        raise invalid("The referenced task was not found.")
    if len(call.params.get("reason") or "") > 1024:
        raise invalid("Reason length must be at most 1024.")
    if task.active and task.desired != "STOPPED":
        life.stop(call.world, task, "UserInitiated", call.params.get("reason") or "Task stopped by user")
    return {"task": view(task)}


# ------------------------------------------------------------------------------------------------ what is told


def view(task: Task, with_tags: bool = False) -> Item:
    """A task as DescribeTasks shows it."""
    instance = task.instance
    shown: Item = {
        "attachments": task.attachments,
        "attributes": [{"name": "ecs.cpu-architecture", "value": _architecture(task)}],
        "availabilityZone": task.zone,
        "capacityProviderName": task.provider,
        "clusterArn": arn(task.region, "cluster", task.cluster),
        "containerInstanceArn": instance.arn if instance else None,
        "containers": task.containers,
        "cpu": task.overrides.get("cpu") or task.definition.get("cpu") or _sum(task, "cpu"),
        "memory": task.overrides.get("memory") or task.definition.get("memory") or _sum(task, "memory"),
        "createdAt": task.created,
        "desiredStatus": task.desired,
        "enableExecuteCommand": task.exec_enabled,
        "group": task.group,
        "healthStatus": _health(task),
        "inferenceAccelerators": [],
        "lastStatus": task.last,
        "launchType": task.launch_type,
        "overrides": {
            "containerOverrides": [{"name": view["name"]} for view in task.containers],
            "inferenceAcceleratorOverrides": [],
            **task.overrides,
        },
        "startedBy": task.started_by,
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
        "tags": task.tags if with_tags else [],
        "taskArn": task.arn,
        "taskDefinitionArn": task.definition["taskDefinitionArn"],
        "version": task.version,
        **task.times,
    }
    if task.connected_at:
        shown["connectivity"] = "CONNECTED"
        shown["connectivityAt"] = task.connected_at
    if task.launch_type == "FARGATE":
        shown["platformVersion"] = "1.4.0" if task.platform in (None, "LATEST") else task.platform
        shown["platformFamily"] = "Linux"
        storage = task.definition.get("ephemeralStorage") or {"sizeInGiB": 20}
        shown["ephemeralStorage"] = storage
        shown["fargateEphemeralStorage"] = storage
    return without_none(shown)


def _architecture(task: Task) -> str:
    wanted = (task.definition.get("runtimePlatform") or {}).get("cpuArchitecture")
    return "arm64" if wanted == "ARM64" else "x86_64"


def _sum(task: Task, key: str) -> str:
    containers = overridden(task.definition, task.overrides)
    if key == "cpu":
        return str(sum(container.get("cpu") or 0 for container in containers))
    return str(sum(container.get("memoryReservation") or container.get("memory") or 0 for container in containers))


def _health(task: Task) -> str:
    """By its essential containers: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html"""
    states = set(life.health(task))
    return "UNHEALTHY" if "UNHEALTHY" in states else "HEALTHY" if states == {"HEALTHY"} else "UNKNOWN"


@on("ecs", "DescribeTasks", rules="ecs-003 ecs-059 ecs-061")
def describe_tasks(call: Call) -> Params:
    cluster = find_cluster(call, active=False)
    names = call.params.get("tasks") or []
    if not names:
        raise invalid("Tasks cannot be empty.")
    if len(names) > 100:
        raise invalid("Tasks cannot have more than 100 elements.")
    with_tags = "TAGS" in (call.params.get("include") or [])
    tasks, failures = [], []
    for name in names:
        task = find_task(cluster, name, call.world)
        if task is None:
            missing = name if name.startswith("arn:") else arn(call.region, "task", cluster.name, name)
            failures.append({"arn": missing, "reason": "MISSING"})
        else:
            tasks.append(view(task, with_tags))
    return {"tasks": tasks, "failures": failures}


@on("ecs", "ListTasks")
def list_tasks(call: Call) -> Params:
    """Tasks by what was wanted of them: without desiredStatus those that are to run."""
    params = call.params
    cluster = find_cluster(call, active=False)
    wanted = params.get("desiredStatus") or "RUNNING"
    if wanted not in ("RUNNING", "PENDING", "STOPPED"):
        raise invalid(f"Invalid desiredStatus: {wanted}.")
    conditions: list[Callable[[Task], bool]] = [
        lambda task: task.desired == wanted,
        lambda task: call.world.now() >= task.visible_at,
    ]
    if name := params.get("serviceName"):
        service = cluster.services.get(short(name))
        if service is None:
            raise AwsError("ServiceNotFoundException", "Service not found.")
        conditions.append(lambda task: task.service == service.name)
    if family := params.get("family"):
        conditions.append(lambda task: task.definition["family"] == family)
    if started := params.get("startedBy"):
        conditions.append(lambda task: task.started_by == started)
    if kind := params.get("launchType"):
        conditions.append(lambda task: task.launch_type == kind)
    if name := params.get("containerInstance"):
        instance = cluster.instances.get(short(name))
        if instance is None:
            raise invalid("Container instance not found.")
        conditions.append(lambda task: task.instance is instance)
    arns = [task.arn for task in cluster.tasks.values() if all(condition(task) for condition in conditions)]
    return page(call, arns, "taskArns")


def statistics(cluster: Cluster) -> Counter[str]:
    """How many tasks run and wait, by launch type."""
    counts: Counter[str] = Counter()
    for task in cluster.active_tasks():
        kind = "Fargate" if task.launch_type == "FARGATE" else "EC2"
        if task.last == "RUNNING":
            counts[f"running{kind}TasksCount"] += 1
        elif task.last in ("PROVISIONING", "PENDING", "ACTIVATING"):
            counts[f"pending{kind}TasksCount"] += 1
    return counts
