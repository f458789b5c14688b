"""Services: deployments, the scheduler that keeps the wanted number of tasks running, its events, circuit breaker.

The scheduler looks at a service when one of its tasks changes, and at each request.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_services.html
"""

from __future__ import annotations

import copy
import ipaddress
import math
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emulator import ecs_definitions, ecs_life, ecs_tasks, elbv2, iam, rules
from emulator.ecs_agent import REGISTERED
from emulator.ecs_placement import check_constraints, obstacle
from emulator.ecs_problems import roles_problem
from emulator.ecs_state import (
    FARGATE,
    Cluster,
    Instance,
    Item,
    Tags,
    Task,
    arn,
    checked_tags,
    definition_name,
    find_cluster,
    here,
    invalid,
    later,
    merged,
    now,
    page,
    region_of,
    short,
    stamp,
    without_none,
)
from emulator.rules import AwsError, Call, Params, held, on
from emulator.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "ecs-070": "CreateService of an ACTIVE name is refused, unless client token and parameters are the same.",
        "ecs-071": "A service that is still DRAINING can not be created again.",
        "ecs-072": "DeleteService needs desiredCount 0, or force, and no second deployment.",
        "ecs-073": "A deleted service is DRAINING until its tasks stop, then INACTIVE; it is not listed any more.",
        "ecs-074": "A service's target group must be behind a listener or rule already.",
        "ecs-075": "CreateService is refused while the cluster or a role it needs is only being made.",
        "ecs-076": "CreateService checks launch type, count, containers and ports, and the target type.",
        "ecs-077": "The health check grace period is taken with or without a load balancer; it counts with one only.",
        "ecs-078": "A service that can not place tasks says so in its events only, and tries on, ever more rarely.",
        "ecs-079": "UpdateService refuses a service that is gone, and a target group without a load balancer.",
    }
)
held("ecs-073 ecs-078", "ecs_services: the scheduler")

SHORTEST_DRAIN = 10
QUICK_TRIES, QUICK, SLOW = 5, 10, 300  # a service that can not place: so often, then so many seconds apart
LONGEST_THROTTLE = 900
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
    rollback: bool = False

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


# ------------------------------------------------------------------------------------------------ what is refused


def _find(call: Call, cluster: Cluster, name: str) -> Service:
    service: Service | None = cluster.services.get(short(name))
    if service is None:
        raise AwsError("ServiceNotFoundException", "Service not found.")
    return service


def _check_balancers(call: Call, balancers: list[Item], definition: Item) -> None:
    """The load balancers of a service: the target group is behind one, and the container's port is there."""
    containers = {one["name"]: one for one in definition["containerDefinitions"]}
    if len(balancers) > 5:
        raise invalid("A service can have at most 5 target groups.")
    for balancer in balancers:
        name, port = balancer.get("containerName"), balancer.get("containerPort")
        if name not in containers:
            raise invalid(f"The container {name} does not exist in the task definition.")
        if port not in [mapping.get("containerPort") for mapping in containers[name]["portMappings"]]:
            raise invalid(f"The container {name} did not have a container port {port} defined.")
        group_arn = balancer.get("targetGroupArn")
        if not group_arn:
            raise invalid("targetGroupArn should not be null or empty.")
        group = elbv2.target_group(call.world, call.region, group_arn)
        if group is None:
            raise invalid(f"The specified target group does not exist. (targetGroupArn {group_arn})")
        awsvpc = definition.get("networkMode") == "awsvpc"
        kind = group.get("TargetType", "instance")
        if (kind == "ip") != awsvpc:
            mode = definition.get("networkMode") or "bridge"
            raise invalid(
                f"The provided target group {group_arn} has target type {kind}, which is incompatible with the {mode} "
                "network mode specified in the task definition."
            )
        if not elbv2.has_load_balancer(call.world, call.region, group_arn):
            raise invalid(
                f"The target group with targetGroupArn {group_arn} does not have an associated load balancer."
            )


def _check_configuration(configuration: Item, scheduling: str) -> Item:
    """The deployment configuration with its defaults."""
    daemon = scheduling == "DAEMON"
    full: Item = {
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        "maximumPercent": 100 if daemon else 200,
        "minimumHealthyPercent": 0 if daemon else 100,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
        **copy.deepcopy(configuration),
    }
    most, least = full["maximumPercent"], full["minimumHealthyPercent"]
    if least < 0 or most < 0 or (least > 100 and not daemon):
        raise invalid("Both maximumPercent and minimumHealthyPercent must be percentages, the minimum at most 100.")
    if most < 100:
        raise invalid("maximumPercent must be at least 100.")
    if most == 100 and least == 100:
        raise invalid("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
    return full


def _check_create(call: Call, cluster: Cluster, definition: Item) -> None:
    params = call.params
    if params.get("launchType") and params.get("capacityProviderStrategy"):
        raise invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."
        )
    if params.get("launchType") not in (None, "EC2", "FARGATE", "EXTERNAL"):
        raise invalid(
            f"The launch type {params['launchType']} is not supported here; use a capacity provider strategy."
        )
    daemon = params.get("schedulingStrategy") == "DAEMON"
    if not daemon and params.get("desiredCount") is None:
        raise invalid("desiredCount is required when the scheduling strategy is REPLICA.")
    if (params.get("desiredCount") or 0) < 0:
        raise invalid("desiredCount cannot be negative.")
    strategy = ecs_tasks.strategy_of(params, cluster)
    ecs_tasks.check_strategy(cluster, here(call).providers, strategy)
    fargate = params.get("launchType") == "FARGATE" or any(
        short(one["capacityProvider"]) in FARGATE for one in strategy
    )
    if daemon and (fargate or params.get("placementStrategy") or strategy):
        raise invalid("The daemon scheduling strategy is not supported with Fargate or placement strategies.")
    ecs_tasks.check_compatible(definition, "FARGATE" if fargate else "EC2")
    ecs_tasks.check_network(definition, params.get("networkConfiguration"), fargate)
    ecs_tasks.check_subnets(call.region, params.get("networkConfiguration"))
    check_constraints(params.get("placementConstraints"), params.get("placementStrategy"), cluster)
    if fargate and (params.get("placementConstraints") or params.get("placementStrategy")):
        raise invalid("Placement constraints and strategies are not supported with FARGATE.")
    if not 0 <= (params.get("healthCheckGracePeriodSeconds") or 0) <= 2_147_483_647:
        raise invalid("healthCheckGracePeriodSeconds must be between 0 and 2147483647.")
    ecs_tasks.check_exec(definition, {}, bool(params.get("enableExecuteCommand")), "The service couldn't be created")
    _check_balancers(call, params.get("loadBalancers") or [], definition)


def _check_roles(call: Call) -> None:
    if not iam.service_linked_role(call.world, "ecs.amazonaws.com"):
        raise invalid(
            "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
        )
    role = call.params.get("role")
    if role and not iam.role_usable(call.world, role):
        raise invalid(
            "Unable to assume role and validate the specified targetGroupArn. Please verify that the ECS service role "
            "being passed has the proper permissions."
        )


# ------------------------------------------------------------------------------------------------ operations

KEPT = (
    "serviceRegistries",
    "placementConstraints",
    "placementStrategy",
    "healthCheckGracePeriodSeconds",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
    "availabilityZoneRebalancing",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "role",
)


@on("ecs", "CreateService", rules="ecs-070 ecs-071 ecs-074 ecs-075 ecs-076 ecs-077 ecs-017 ecs-056 ecs-057 iam-009")
def create_service(call: Call) -> Params:
    params, world = call.params, call.world
    cluster = find_cluster(call)
    name = params.get("serviceName") or ""
    if not ecs_definitions.NAME.fullmatch(name):
        raise invalid("Invalid service name: up to 255 letters, numbers, underscores, and hyphens are allowed.")
    if len(params.get("clientToken") or "") > 36:
        raise invalid("clientToken can be up to 36 characters long.")
    asked = {key: value for key, value in params.items() if key != "clientToken"}
    known = cluster.services.get(name)
    if known is not None and known.status == "ACTIVE":
        if known.token and known.token == params.get("clientToken") and known.asked == asked:
            return {"service": view(world, known, with_tags=True)}
        raise invalid("Creation of service was not idempotent.")
    if known is not None and known.status == "DRAINING":
        raise invalid("Unable to Start a service that is still Draining.")
    _check_roles(call)
    controller = (params.get("deploymentController") or {}).get("type", "ECS")
    if not params.get("taskDefinition"):
        raise invalid("TaskDefinition is required.")
    definition = ecs_definitions.runnable(call, params["taskDefinition"])
    _check_create(call, cluster, definition)
    scheduling = params.get("schedulingStrategy") or "REPLICA"
    configuration = _check_configuration(params.get("deploymentConfiguration") or {}, scheduling)
    rebalancing = params.get("availabilityZoneRebalancing")
    if rebalancing == "ENABLED" and configuration["maximumPercent"] <= 100:
        raise invalid("Availability Zone Rebalancing does not support maximumPercent <= 100%")
    service = Service(
        name=name,
        arn=arn(call.region, "service", cluster.name, name),
        region=call.region,
        cluster=cluster.name,
        created=stamp(world),
        status="ACTIVE",
        desired=params.get("desiredCount") or 0,
        scheduling=scheduling,
        configuration=configuration,
        tags=checked_tags(params.get("tags")),
        settings={
            "availabilityZoneRebalancing": "DISABLED",
            **{key: params[key] for key in KEPT if key in params},
            "deploymentController": {"type": controller},
        },
        token=params.get("clientToken"),
        asked=asked,
    )
    strategy = ecs_tasks.strategy_of(params, cluster)
    _deploy(
        world,
        service,
        definition,
        launch_type=None if strategy else params.get("launchType") or "EC2",
        strategy=strategy,
        network=params.get("networkConfiguration"),
        platform=params.get("platformVersion"),
        balancers=params.get("loadBalancers") or [],
    )
    cluster.services[name] = service
    later(world, 2, look, world, service)
    return {"service": view(world, service, with_tags=True)}


def _deploy(world: World, service: Service, definition: Item, **how: Any) -> Deployment:
    """A new PRIMARY deployment; the one before it becomes ACTIVE, and its tasks are replaced."""
    number = str(random.randrange(10**18, 10**19))
    base = f"arn:aws:ecs:{service.region}:{ACCOUNT}"
    before = service.deployments[0] if service.deployments else None
    made = Deployment(
        id=f"ecs-svc/{number}",
        definition=definition,
        created=stamp(world),
        updated=stamp(world),
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
            other.finished = stamp(world)
    service.deployments.insert(0, made)
    service.history.insert(0, made)
    service.steady, service.tries, service.next_try, service.next_start, service.restarts = False, 0, 0.0, 0.0, 0
    return made


@on("ecs", "UpdateService", rules="ecs-079 ecs-074")
def update_service(call: Call) -> Params:
    params, world = call.params, call.world
    cluster = find_cluster(call)
    service = _find(call, cluster, params.get("service") or "")
    if service.status != "ACTIVE":
        raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
    primary = service.primary
    name = params.get("taskDefinition")
    definition = ecs_definitions.runnable(call, name) if name else primary.definition
    network = params.get("networkConfiguration") or primary.network
    balancers = primary.balancers if params.get("loadBalancers") is None else params["loadBalancers"]
    strategy, launch_type = _new_strategy(call, cluster, primary)
    fargate = launch_type == "FARGATE" or any(short(one["capacityProvider"]) in FARGATE for one in strategy)
    ecs_tasks.check_compatible(definition, "FARGATE" if fargate else "EC2")
    ecs_tasks.check_network(definition, network, fargate)
    ecs_tasks.check_subnets(call.region, network)
    if name or "loadBalancers" in params:
        _check_balancers(call, balancers, definition)
    if (params.get("desiredCount") or 0) < 0:
        raise invalid("desiredCount cannot be negative.")
    if "enableExecuteCommand" in params:
        ecs_tasks.check_exec(definition, {}, bool(params["enableExecuteCommand"]), "The service couldn't be updated")
    if "deploymentConfiguration" in params:
        changed = {**service.configuration, **params["deploymentConfiguration"]}
        service.configuration = _check_configuration(changed, service.scheduling)
    service.settings.update({key: params[key] for key in KEPT if key in params})
    if params.get("desiredCount") is not None and not service.daemon:
        service.desired = primary.desired = params["desiredCount"]
        primary.updated = stamp(world)
        service.steady = False
    how = {
        "launch_type": launch_type,
        "strategy": strategy,
        "network": network,
        "platform": params.get("platformVersion") or primary.platform,
        "balancers": balancers,
    }
    same = definition is primary.definition and all(
        getattr(primary, key) == value for key, value in how.items() if key not in ("strategy", "launch_type")
    )
    if params.get("forceNewDeployment") or not same:
        _deploy(world, service, definition, **how)
    else:
        primary.strategy, primary.launch_type = strategy, launch_type
    service.tries, service.next_try = 0, 0.0
    later(world, 2, look, world, service)
    return {"service": view(world, service, with_tags=True)}


def _new_strategy(call: Call, cluster: Cluster, primary: Deployment) -> tuple[list[Item], str | None]:
    """Strategy and launch type after an update; an empty strategy goes back to the launch type."""
    given = call.params.get("capacityProviderStrategy")
    if given is None:
        return primary.strategy, primary.launch_type
    ecs_tasks.check_strategy(cluster, here(call).providers, given)
    return given, None if given else ("FARGATE" if primary.fargate else "EC2")


@on("ecs", "DeleteService", rules="ecs-072 ecs-073")
def delete_service(call: Call) -> Params:
    cluster = find_cluster(call)
    service = _find(call, cluster, call.params.get("service") or "")
    if service.status == "INACTIVE":
        raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
    if not call.params.get("force"):
        if service.desired > 0 and not service.daemon:
            raise invalid("The service cannot be stopped while it is scaled above 0.")
        if len(service.deployments) > 1:
            raise invalid("The service cannot be stopped while deployments are active.")
    if service.status == "ACTIVE":
        service.status = "DRAINING"
        service.desired = service.primary.desired = 0
        service.drained_from = now(call.world) + call.world.clock.delay(SHORTEST_DRAIN)
        _event(call.world, service, f"(service {service.name}) has begun draining.")
        later(call.world, SHORTEST_DRAIN, look, call.world, service)
        _drain(call.world, service)
    return {"service": view(call.world, service, with_tags=True)}


@on("ecs", "DescribeServices", rules="ecs-003 ecs-073")
def describe_services(call: Call) -> Params:
    cluster = find_cluster(call, active=False)
    names = call.params.get("services") or []
    if not names:
        raise invalid("Services cannot be empty.")
    if len(names) > 10:
        raise invalid("Services cannot have more than 10 elements.")
    with_tags = "TAGS" in (call.params.get("include") or [])
    services, failures = [], []
    for name in names:
        service = cluster.services.get(short(name))
        if service is None:
            missing = name if name.startswith("arn:") else arn(call.region, "service", cluster.name, name)
            failures.append({"arn": missing, "reason": "MISSING"})
        else:
            services.append(view(call.world, service, with_tags))
    return {"services": services, "failures": failures}


@on("ecs", "ListServices", rules="ecs-073")
def list_services(call: Call) -> Params:
    """The ACTIVE services, ten a page unless more are asked for."""
    cluster = find_cluster(call, active=False)
    kind, scheduling = call.params.get("launchType"), call.params.get("schedulingStrategy")
    arns = [
        service.arn
        for service in cluster.services.values()
        if service.status == "ACTIVE"
        and (not kind or kind == ("FARGATE" if service.fargate else "EC2"))
        and (not scheduling or scheduling == service.scheduling)
    ]
    return page(call, arns, "serviceArns", default=10)


# ------------------------------------------------------------------------------------------------ what is told


def _tasks(world: World, service: Service) -> list[Task]:
    """The tasks of a service that are not STOPPED."""
    cluster = region_of(world, service.region).clusters[service.cluster]
    return [task for task in cluster.tasks.values() if task.service == service.name and task.active]


def _counts(tasks: list[Task], deployment: str | None = None) -> tuple[int, int]:
    """How many run, and how many are on their way."""
    mine = [task for task in tasks if deployment in (None, task.deployment)]
    running = sum(task.last == "RUNNING" for task in mine)
    return running, sum(task.last in ("PROVISIONING", "PENDING", "ACTIVATING") for task in mine)


def view(world: World, service: Service, with_tags: bool = False) -> Item:
    tasks, primary = _tasks(world, service), service.primary
    running, pending = _counts(tasks)
    settings = {key: value for key, value in service.settings.items() if key in SHOWN}
    shown: Item = {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": arn(service.region, "cluster", service.cluster),
        "loadBalancers": primary.balancers,
        "serviceRegistries": [],
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": running,
        "pendingCount": pending,
        "launchType": primary.launch_type,
        "taskDefinition": primary.definition["taskDefinitionArn"],
        "deploymentConfiguration": service.configuration,
        "deployments": [_deployment_view(one, tasks) for one in service.deployments if service.status != "INACTIVE"],
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
        "events": service.events[:100],
        "createdAt": service.created,
        "createdBy": f"arn:aws:iam::{ACCOUNT}:user/emulator",
        "placementConstraints": [],
        "placementStrategy": [],
        "networkConfiguration": primary.network,
        "schedulingStrategy": service.scheduling,
        "enableECSManagedTags": False,
        "propagateTags": "NONE",
        "enableExecuteCommand": False,
        "tags": service.tags if with_tags else [],
        "currentServiceDeployment": primary.arn if primary.rollout == "IN_PROGRESS" else None,
        "currentServiceRevisions": [_revision_summary(one, tasks) for one in service.deployments],
        **settings,
    }
    if primary.strategy:
        shown["capacityProviderStrategy"] = primary.strategy
    if primary.fargate:
        shown["platformVersion"] = primary.platform or "LATEST"
        shown["platformFamily"] = "Linux"
    if primary.balancers:
        shown.setdefault("healthCheckGracePeriodSeconds", 0)
    return without_none(shown)


SHOWN = tuple(key for key in (*KEPT, "deploymentController") if key not in ("role", "serviceConnectConfiguration"))


def _deployment_view(deployment: Deployment, tasks: list[Task]) -> Item:
    running, pending = _counts(tasks, deployment.id)
    shown: Item = {
        "id": deployment.id,
        "status": deployment.status,
        "taskDefinition": deployment.definition["taskDefinitionArn"],
        "desiredCount": deployment.desired,
        "pendingCount": pending,
        "runningCount": running,
        "failedTasks": deployment.failed,
        "createdAt": deployment.created,
        "updatedAt": deployment.updated,
        "launchType": deployment.launch_type,
        "networkConfiguration": deployment.network,
        "rolloutState": deployment.rollout,
        "rolloutStateReason": deployment.reason,
    }
    if deployment.strategy:
        shown["capacityProviderStrategy"] = deployment.strategy
    if deployment.fargate:
        shown["platformVersion"], shown["platformFamily"] = "1.4.0", "Linux"
    return without_none(shown)


def _revision_summary(deployment: Deployment, tasks: list[Task]) -> Item:
    running, pending = _counts(tasks, deployment.id)
    return {
        "arn": deployment.revision,
        "requestedTaskCount": deployment.desired,
        "runningTaskCount": running,
        "pendingTaskCount": pending,
    }


def _event(world: World, service: Service, message: str) -> None:
    """One more event, the newest first; at time scale 0 not the same one again and again."""
    if not world.clock.scale and service.events and service.events[0]["message"] == message:
        return
    service.events.insert(0, {"id": str(uuid.uuid4()), "createdAt": stamp(world), "message": message})
    del service.events[100:]


# ------------------------------------------------------------------------------------------------ deployments, told


def _status(deployment: Deployment, service: Service) -> str:
    if deployment.broken:
        breaker = service.configuration["deploymentCircuitBreaker"]
        newer = service.history.index(deployment) > 0 or deployment is not service.primary
        if not breaker.get("rollback"):
            return "STOPPED"
        return "ROLLBACK_SUCCESSFUL" if newer and service.steady else "ROLLBACK_IN_PROGRESS"
    if deployment.rollout == "COMPLETED":
        return "SUCCESSFUL"
    return "IN_PROGRESS" if deployment is service.primary else "STOPPED"


def _history_view(service: Service, deployment: Deployment, brief: bool) -> Item:
    status = _status(deployment, service)
    shown: Item = {
        "serviceDeploymentArn": deployment.arn,
        "serviceArn": service.arn,
        "clusterArn": arn(service.region, "cluster", service.cluster),
        "createdAt": deployment.created,
        "startedAt": deployment.created,
        "finishedAt": deployment.finished,
        "status": status,
        "statusReason": deployment.reason if status != "SUCCESSFUL" else None,
    }
    if brief:
        return without_none({**shown, "targetServiceRevisionArn": deployment.revision})
    breaker = service.configuration["deploymentCircuitBreaker"]
    shown.update(
        {
            "updatedAt": deployment.updated,
            "sourceServiceRevisions": [{"arn": deployment.source}] if deployment.source else [],
            "targetServiceRevision": {"arn": deployment.revision, "requestedTaskCount": deployment.desired},
            "deploymentConfiguration": service.configuration,
            "deploymentCircuitBreaker": {
                "status": "TRIGGERED" if deployment.broken else "MONITORING" if breaker["enable"] else "DISABLED",
                "failureCount": deployment.failed,
                "threshold": _threshold(service),
            },
        }
    )
    if deployment.broken and breaker.get("rollback") and deployment.source:
        shown["rollback"] = {"reason": deployment.reason, "serviceRevisionArn": deployment.source}
    return without_none(shown)


@on("ecs", "ListServiceDeployments")
def list_service_deployments(call: Call) -> Params:
    cluster = find_cluster(call, active=False)
    service = _find(call, cluster, call.params.get("service") or "")
    wanted = call.params.get("status") or []
    shown = [_history_view(service, one, brief=True) for one in service.history]
    return page(call, [one for one in shown if not wanted or one["status"] in wanted], "serviceDeployments")


def _all_deployments(call: Call) -> list[tuple[Service, Deployment]]:
    services = [one for cluster in here(call).clusters.values() for one in cluster.services.values()]
    return [(service, one) for service in services for one in service.history]


@on("ecs", "DescribeServiceDeployments")
def describe_service_deployments(call: Call) -> Params:
    known = {one.arn: (service, one) for service, one in _all_deployments(call)}
    names = call.params.get("serviceDeploymentArns") or []
    return {
        "serviceDeployments": [_history_view(*known[name], brief=False) for name in names if name in known],
        "failures": [{"arn": name, "reason": "MISSING"} for name in names if name not in known],
    }


@on("ecs", "DescribeServiceRevisions")
def describe_service_revisions(call: Call) -> Params:
    known = {one.revision: (service, one) for service, one in _all_deployments(call)}
    names = call.params.get("serviceRevisionArns") or []
    shown = []
    for name in names:
        if name not in known:
            continue
        service, deployment = known[name]
        revision = {
            "serviceRevisionArn": name,
            "serviceArn": service.arn,
            "clusterArn": arn(service.region, "cluster", service.cluster),
            "taskDefinition": deployment.definition["taskDefinitionArn"],
            "capacityProviderStrategy": deployment.strategy,
            "launchType": deployment.launch_type,
            "loadBalancers": deployment.balancers,
            "networkConfiguration": deployment.network,
            "containerImages": [
                {"containerName": one["name"], "image": one["image"]}
                for one in deployment.definition["containerDefinitions"]
            ],
            "guardDutyEnabled": False,
            "createdAt": deployment.created,
        }
        shown.append(without_none(revision))
    return {
        "serviceRevisions": shown,
        "failures": [{"arn": name, "reason": "MISSING"} for name in names if name not in known],
    }


# ------------------------------------------------------------------------------------------------ the scheduler


def look(world: World, service: Service, ticking: bool = False) -> None:
    """One look at a service: stop what is too much or ill, start what is missing, and say when all is well."""
    if service.looking or service.status == "INACTIVE":
        return
    service.looking = True
    try:
        if service.status == "DRAINING":
            _drain(world, service)
            return
        _stop_ill(world, service)
        if service.daemon:
            _daemon(world, service)
        else:
            _replica(world, service, ticking)
        _settle(world, service)
    finally:
        service.looking = False


def _drain(world: World, service: Service) -> None:
    """A deleted service: all its tasks stop, and when the last has begun to, it is INACTIVE."""
    tasks = _tasks(world, service)
    _stop(world, service, [task for task in tasks if task.desired == "RUNNING"])
    leaving = all(task.last in ("STOPPING", "DEPROVISIONING") for task in tasks)
    if leaving and now(world) >= service.drained_from:
        service.status = "INACTIVE"


def healthy(world: World, service: Service, task: Task) -> bool:
    """RUNNING, passing its container health checks, and healthy at its load balancers."""
    if task.last != "RUNNING" or task.desired != "RUNNING":
        return False
    states = [view["healthStatus"] for view in task.containers if "healthStatus" in view]
    if any(state != "HEALTHY" for state in states):
        return False
    return all(_target_state(world, task, target) == "healthy" for target in task.targets)


def _target_state(world: World, task: Task, target: Item) -> str:
    return elbv2.health(world, task.region, target["group"], target["id"], target["port"])[0]


def _stop_ill(world: World, service: Service) -> None:
    """After the grace period, tasks that fail health checks are stopped, and count as failed."""
    grace = world.clock.delay(service.settings.get("healthCheckGracePeriodSeconds") or 0)
    for task in _tasks(world, service):
        if task.last != "RUNNING" or task.desired != "RUNNING" or ecs_life.uptime(world, task) < grace:
            continue
        ill = next((one for one in task.targets if _target_state(world, task, one) == "unhealthy"), None)
        if ill is not None:
            _event(
                world,
                service,
                f"(service {service.name}) (port {ill['port']}) is unhealthy in (target-group {ill['group']}) due to "
                "(reason Health checks failed).",
            )
            reason = f"Task failed ELB health checks in (target-group {ill['group']})"
        elif any(view.get("healthStatus") == "UNHEALTHY" for view in task.containers):
            _event(world, service, f"(service {service.name}) (task {task.id}) failed container health checks.")
            reason = "Task failed container health checks"
        else:
            continue
        task.failed = True
        _stop(world, service, [task], reason)


def _stop(world: World, service: Service, tasks: list[Task], reason: str = "") -> None:
    if not tasks:
        return
    for target in [target for task in tasks for target in task.targets]:
        _event(world, service, f"(service {service.name}) deregistered 1 targets in (target-group {target['group']})")
    if any(task.targets for task in tasks):
        _event(world, service, f"(service {service.name}) has begun draining connections on {len(tasks)} tasks.")
    for task in tasks:
        because = reason or f"Scaling activity initiated by (deployment {service.primary.id})"
        ecs_life.stop(world, task, "ServiceSchedulerInitiated", because)
    names = " ".join(f"(task {task.id})" for task in tasks)
    _event(world, service, f"(service {service.name}) has stopped {len(tasks)} running tasks: {names}.")


def _replica(world: World, service: Service, ticking: bool) -> None:
    primary, desired = service.primary, service.desired
    alive = [task for task in _tasks(world, service) if task.desired == "RUNNING"]
    fresh = [task for task in alive if task.deployment == primary.id and not _leaving(task)]
    old = [task for task in alive if task not in fresh]
    _stop(world, service, _surplus(world, service, fresh, len(fresh) - desired))
    upper = desired * service.percent("maximumPercent", 200) // 100
    lower = math.ceil(desired * service.percent("minimumHealthyPercent", 100) / 100)
    missing = 0 if primary.broken else max(0, desired - len(fresh))
    started = _start(world, service, min(missing, upper - len(alive)), ticking) if missing else 0
    blocked = missing > started
    _replace(world, service, old, alive, lower if blocked else max(lower, desired))


def _leaving(task: Task) -> bool:
    """Its instance is DRAINING: the task is to be replaced."""
    return task.instance is not None and task.instance.status == "DRAINING"


def _surplus(world: World, service: Service, fresh: list[Task], count: int) -> list[Task]:
    """Too many tasks: those that do not run yet go first, then the newest; protected ones stay."""
    if count <= 0:
        return []
    free = [task for task in fresh if not (task.protected_until and task.protected_until > stamp(world))]
    free.sort(key=lambda task: (task.last == "RUNNING", -task.created.timestamp()))
    return free[:count]


def _replace(world: World, service: Service, old: list[Task], alive: list[Task], keep: int) -> None:
    """Stop tasks of earlier deployments as far as enough healthy ones remain."""
    well = sum(healthy(world, service, task) for task in alive if task.desired == "RUNNING")
    going = []
    for task in sorted(old, key=lambda task: healthy(world, service, task)):
        if task.protected_until and task.protected_until > stamp(world):
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
    if count <= 0 or now(world) < max(service.next_try, service.next_start):
        return 0
    if not world.clock.scale and service.restarts and not ticking:
        return 0  # without time, tasks that end at once are started again once a request, not for ever
    deployment = service.primary
    cluster = region_of(world, service.region).clusters[service.cluster]
    launch = _launch(world, service, deployment)
    if problem := roles_problem(world, deployment.definition, {}):
        _event(world, service, f"(service {service.name}) failed to launch a task with (error {problem}).")
        _back_off(world, service)
        return 0
    started: list[Task] = []
    for _ in range(count):
        task, failures = _place(world, service, cluster, launch, deployment)
        if task is None:
            _event(world, service, _no_room(service, deployment, failures))
            _back_off(world, service)
            break
        started.append(task)
    if started:
        names = " ".join(f"(task {task.id})" for task in started)
        _event(world, service, f"(service {service.name}) has started {len(started)} tasks: {names}.")
        service.steady = False
    if len(started) == count:
        service.tries = 0
    return len(started)


def _place(
    world: World, service: Service, cluster: Cluster, launch: ecs_tasks.Launch, deployment: Deployment
) -> tuple[Task | None, list[Item]]:
    target: str | None = "FARGATE" if deployment.launch_type == "FARGATE" else None
    if deployment.strategy:
        present = Counter(task.provider or "" for task in _tasks(world, service) if task.deployment == deployment.id)
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
        service.next_try = now(world) + pause
        later(world, pause, look, world, service)


def _daemon(world: World, service: Service) -> None:
    """One task on each instance that can take it."""
    cluster = region_of(world, service.region).clusters[service.cluster]
    deployment = service.primary
    launch = _launch(world, service, deployment)
    demand = launch.demand()
    tasks = _tasks(world, service)
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
    if not world.clock.scale and service.restarts:
        free = free[:0] if service.restarts > 10 else free
    for instance in free:
        task = ecs_tasks.make(world, service.region, cluster, launch, "EC2", None)
        ecs_tasks.put_on(world, cluster, task, instance, demand)
        _event(world, service, f"(service {service.name}) has started 1 tasks: (task {task.id}).")
        service.steady = False


def _settle(world: World, service: Service) -> None:
    """Let go of deployments without tasks; when the primary one is complete and healthy, say so."""
    tasks, primary = _tasks(world, service), service.primary
    busy = {task.deployment for task in tasks if task.last not in ("STOPPING", "DEPROVISIONING")}
    fresh = [task for task in tasks if task.deployment == primary.id and task.desired == "RUNNING"]
    well = [task for task in fresh if healthy(world, service, task)]
    if any(ecs_life.uptime(world, task) >= CRASH for task in well) and not primary.broken and world.clock.scale:
        primary.failed = 0 if _resets(service) else primary.failed
    complete = len(well) == len(fresh) == service.desired and not primary.broken
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
        primary.finished = primary.updated = stamp(world)
        _event(world, service, f"(service {service.name}) (deployment {primary.id}) deployment completed.")
    if not service.steady:
        service.steady = True
        _event(world, service, f"(service {service.name}) has reached a steady state.")


# ------------------------------------------------------------------------------------------------ what happens to tasks


def _changed(world: World, task: Task) -> None:
    """A task of a service has changed: register it, count its failure, look at the service."""
    if task.service is None:
        return
    service = region_of(world, task.region).clusters[task.cluster].services.get(task.service)
    if service is None:
        return
    if task.last == "ACTIVATING":
        _register(world, service, task)
    if task.last == "STOPPED":
        _forget_targets(world, task)
        _count_failure(world, service, task)
    look(world, service)


def _register(world: World, service: Service, task: Task) -> None:
    """Put a task's containers behind the service's target groups."""
    deployment = next((one for one in service.history if one.id == task.deployment), service.primary)
    for balancer in deployment.balancers:
        view = next(one for one in task.containers if one["name"] == balancer["containerName"])
        if task.awsvpc and task.interface:
            identifier, port = task.interface["PrivateIpAddress"], balancer["containerPort"]
        else:
            bindings = [
                one for one in view.get("networkBindings", []) if one["containerPort"] == balancer["containerPort"]
            ]
            if not bindings or task.instance is None:
                continue
            identifier, port = task.instance.ec2_id, bindings[0]["hostPort"]
        target = {"group": balancer["targetGroupArn"], "id": identifier, "port": port}
        task.targets.append(target)
        world.state["ecs_targets"][task.region, target["group"], identifier, port] = task
        elbv2.register(world, task.region, target["group"], identifier, port)
        _event(world, service, f"(service {service.name}) registered 1 targets in (target-group {target['group']})")


def _forget_targets(world: World, task: Task) -> None:
    for target in task.targets:
        key = (task.region, target["group"], target["id"], target["port"])
        if world.state["ecs_targets"].get(key) is task:
            del world.state["ecs_targets"][key]


def _count_failure(world: World, service: Service, task: Task) -> None:
    """A task has ended. If it was not ECS or the user who stopped it, starting slows down, and the breaker counts."""
    service.tries, service.next_try = 0, 0.0
    if task.stop_code == "UserInitiated" or (task.stop_code == "ServiceSchedulerInitiated" and not task.failed):
        return
    service.restarts += 1
    if not task.failed and ecs_life.uptime(world, task) > CRASH + 10:
        return
    deployment = next((one for one in service.deployments if one.id == task.deployment), None)
    if deployment is None:
        return
    deployment.failed += 1
    deployment.updated = stamp(world)
    breaker = service.configuration["deploymentCircuitBreaker"]
    if breaker.get("enable") and deployment.failed >= _threshold(service) and deployment.rollout == "IN_PROGRESS":
        _break(world, service, deployment, health=task.times.get("startedAt") is not None)
        return
    if deployment.failed >= 3:
        _event(
            world, service, f"(service {service.name}) is unable to consistently start tasks successfully. {SEE_ALSO}"
        )
    pause = min(10 * 2 ** max(0, deployment.failed - 3), LONGEST_THROTTLE)
    if world.clock.scale:
        service.next_start = now(world) + pause
        later(world, pause, look, world, service)


def _threshold(service: Service) -> int:
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
    deployment.finished = deployment.updated = stamp(world)
    _event(world, service, f"(service {service.name}) (deployment {deployment.id}) deployment failed: {text}.")
    before = next((one for one in service.history if one.rollout == "COMPLETED"), None)
    if not service.configuration["deploymentCircuitBreaker"].get("rollback") or before is None:
        return
    _event(world, service, f"(service {service.name}) rolling back to deployment {before.id}.")
    deployment.status, before.status = "ACTIVE", "PRIMARY"
    before.rollout, before.desired, before.updated = "IN_PROGRESS", service.desired, stamp(world)
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
    """At each request."""
    for region in world.state["ecs"].values():
        for cluster in region.clusters.values():
            for service in cluster.services.values():
                if service.status != "INACTIVE":
                    look(world, service, ticking=True)


def answers(world: World, region: str, group: Params, target_id: str, port: int) -> bool:
    """Does a load balancer's health check get through to a target? An ECS task must run, and let the balancer in."""
    task = world.state["ecs_targets"].get((region, group["TargetGroupArn"], target_id, port))
    if task is None:
        return True  # registered by hand: nothing is known of it
    if task.last not in ("ACTIVATING", "RUNNING", "DEACTIVATING"):
        return False
    if any("unhealthy" in view["image"] for view in task.containers):
        return False  # an image for rehearsals: it runs, and fails its health checks
    return _lets_in(region, world, task, group["TargetGroupArn"], port)


def _lets_in(region: str, world: World, task: Task, group_arn: str, port: int) -> bool:
    """Does one of the target's security groups allow the port from one of the load balancers?"""
    from emulator.ec2_region import backend_of
    from emulator.ecs_problems import task_groups

    state, backend = elbv2.here(world, region), backend_of(region)
    balancers = [state.balancers[one] for one in elbv2.balancers_of(state, group_arn) if one in state.balancers]
    sources = {group for one in balancers for group in one.shown.get("SecurityGroups", [])}
    if not sources:
        return True
    interfaces = [eni for one in balancers for eni in one.interfaces.values()]
    addresses = [backend.enis[eni].private_ip_address for eni in interfaces if eni in backend.enis]
    return any(
        _rule_allows(rule, port, sources, addresses) for group in task_groups(task) for rule in group.ingress_rules
    )


def _rule_allows(rule: Any, port: int, sources: set[str], addresses: list[str]) -> bool:
    if str(rule.ip_protocol) not in ("-1", "tcp", "6"):
        return False
    if str(rule.ip_protocol) != "-1" and not int(rule.from_port or 0) <= port <= int(rule.to_port or 65535):
        return False
    if any(one.get("GroupId") in sources for one in rule.source_groups):
        return True
    blocks = [ipaddress.ip_network(one["CidrIp"], strict=False) for one in rule.ip_ranges if one.get("CidrIp")]
    return any(ipaddress.ip_address(address) in block for block in blocks for address in addresses)


def start(world: World) -> None:
    world.tickers.append(tick)


rules.STARTERS.append(start)
ecs_life.CHANGED.append(_changed)
REGISTERED.append(_capacity_changed)
elbv2.HEALTHY = answers
