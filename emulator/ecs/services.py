"""Services: deployments, the scheduler that keeps the wanted number of tasks running, its events, circuit breaker.

The scheduler looks at a service when one of its tasks changes, and at each request.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_services.html
"""

from __future__ import annotations

import copy

from emulator.core import partitions, rules
from emulator.core.rules import AwsError, Call, Params, held, on
from emulator.core.world import ACCOUNT, World
from emulator.ecs import checks, definitions
from emulator.ecs import tasks as ecs_tasks
from emulator.ecs.placement import check_constraints
from emulator.ecs.service_scheduler import (
    SHORTEST_DRAIN,
    Deployment,
    Service,
    counts,
    deploy,
    drain,
    look,
    tasks_of,
    tell,
    threshold,
)
from emulator.ecs.state import (
    FARGATE,
    Cluster,
    Item,
    Task,
    arn,
    checked_tags,
    find_cluster,
    here,
    invalid,
    page,
    short,
    without_none,
)
from emulator.elbv2 import state as elbv2
from emulator.iam import roles as iam_roles

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
        "ecs-079": "UpdateService refuses a service that is gone, and a target group without a load balancer; also where "
        "tasks are asked for again, which no page of AWS's says.",
        "ecs-081": "Availability Zone rebalancing is on by default where it can be; with it no maximumPercent of 100 is taken.",
    }
)
held("ecs-073 ecs-078", "ecs.services: the scheduler")


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


def _unbalanced(scheduling: str, maximum_percent: int, settings: Item) -> str:
    """Why Availability Zones can't be balanced, in AWS's words (the last two in our own); "" where they can.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html"""
    first: Item = next(iter(settings.get("placementStrategy") or []), {})
    if scheduling == "DAEMON":
        return "Availability Zone Rebalancing does not support DAEMON services"
    if maximum_percent <= 100:
        return "Availability Zone Rebalancing does not support maximumPercent <= 100%"
    if first and (first["type"], first.get("field", "").removeprefix("attribute:")) != (
        "spread",
        "ecs.availability-zone",
    ):
        return "Availability Zone Rebalancing does not support this placement strategy"
    if any(
        "ecs.availability-zone" in each.get("expression", "") for each in settings.get("placementConstraints") or []
    ):
        return "Availability Zone Rebalancing does not support this placement constraint"
    return ""


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
    checks.check_strategy(cluster, here(call).providers, strategy)
    fargate = params.get("launchType") == "FARGATE" or any(
        short(one["capacityProvider"]) in FARGATE for one in strategy
    )
    if daemon and (fargate or params.get("placementStrategy") or strategy):
        raise invalid("The daemon scheduling strategy is not supported with Fargate or placement strategies.")
    checks.check_compatible(definition, "FARGATE" if fargate else "EC2")
    checks.check_network(definition, params.get("networkConfiguration"), fargate)
    checks.check_subnets(call.region, params.get("networkConfiguration"))
    check_constraints(params.get("placementConstraints"), params.get("placementStrategy"), cluster)
    if fargate and (params.get("placementConstraints") or params.get("placementStrategy")):
        raise invalid("Placement constraints and strategies are not supported with FARGATE.")
    if not 0 <= (params.get("healthCheckGracePeriodSeconds") or 0) <= 2_147_483_647:
        raise invalid("healthCheckGracePeriodSeconds must be between 0 and 2147483647.")
    checks.check_exec(definition, {}, bool(params.get("enableExecuteCommand")), "The service couldn't be created")
    _check_balancers(call, params.get("loadBalancers") or [], definition)


def _check_roles(call: Call) -> None:
    if not iam_roles.service_linked_role(call.world, "ecs.amazonaws.com"):
        raise invalid(
            "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
        )
    role = call.params.get("role")
    if role and not iam_roles.role_usable(call.world, role):
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


OF_CREATE = "ecs-070 ecs-071 ecs-074 ecs-075 ecs-076 ecs-077 ecs-081 ecs-017 ecs-056 ecs-057 iam-009"


@on("ecs", "CreateService", rules=OF_CREATE)
def create_service(call: Call) -> Params:
    params, world = call.params, call.world
    cluster = find_cluster(call)
    name = params.get("serviceName") or ""
    if not definitions.NAME.fullmatch(name):
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
    definition = definitions.runnable(call, params["taskDefinition"])
    _check_create(call, cluster, definition)
    scheduling = params.get("schedulingStrategy") or "REPLICA"
    configuration = _check_configuration(params.get("deploymentConfiguration") or {}, scheduling)
    unbalanced = _unbalanced(scheduling, configuration["maximumPercent"], params)
    if unbalanced and params.get("availabilityZoneRebalancing") == "ENABLED":
        raise invalid(unbalanced)
    service = Service(
        name=name,
        arn=arn(call.region, "service", cluster.name, name),
        region=call.region,
        cluster=cluster.name,
        created=world.timestamp(),
        status="ACTIVE",
        desired=params.get("desiredCount") or 0,
        scheduling=scheduling,
        configuration=configuration,
        tags=checked_tags(params.get("tags")),
        settings={
            "availabilityZoneRebalancing": "DISABLED" if unbalanced else "ENABLED",
            **{key: params[key] for key in KEPT if key in params},
            "deploymentController": {"type": controller},
        },
        token=params.get("clientToken"),
        asked=asked,
    )
    strategy = ecs_tasks.strategy_of(params, cluster)
    deploy(
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
    world.after(2, look, world, service)
    return {"service": view(world, service, with_tags=True)}


@on("ecs", "UpdateService", rules="ecs-079 ecs-074 ecs-081")
def update_service(call: Call) -> Params:
    params, world = call.params, call.world
    cluster = find_cluster(call)
    service = _find(call, cluster, params.get("service") or "")
    if service.status != "ACTIVE":
        raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
    primary = service.primary
    name = params.get("taskDefinition")
    definition = definitions.runnable(call, name) if name else primary.definition
    network = params.get("networkConfiguration") or primary.network
    balancers = primary.balancers if params.get("loadBalancers") is None else params["loadBalancers"]
    strategy, launch_type = _new_strategy(call, cluster, primary)
    fargate = launch_type == "FARGATE" or any(short(one["capacityProvider"]) in FARGATE for one in strategy)
    checks.check_compatible(definition, "FARGATE" if fargate else "EC2")
    checks.check_network(definition, network, fargate)
    checks.check_subnets(call.region, network)
    if name or "loadBalancers" in params or (params.get("desiredCount") or 0) > service.desired:
        _check_balancers(call, balancers, definition)
    if (params.get("desiredCount") or 0) < 0:
        raise invalid("desiredCount cannot be negative.")
    if "enableExecuteCommand" in params:
        checks.check_exec(definition, {}, bool(params["enableExecuteCommand"]), "The service couldn't be updated")
    changed = {**service.configuration, **(params.get("deploymentConfiguration") or {})}
    configuration = _check_configuration(changed, service.scheduling)
    settings = {**service.settings, **{key: params[key] for key in KEPT if key in params}}
    unbalanced = _unbalanced(service.scheduling, configuration["maximumPercent"], settings)
    if unbalanced and settings["availabilityZoneRebalancing"] == "ENABLED":
        raise invalid(unbalanced)
    service.configuration, service.settings = configuration, settings
    if params.get("desiredCount") is not None and not service.daemon:
        service.desired = primary.desired = params["desiredCount"]
        primary.updated = world.timestamp()
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
        deploy(world, service, definition, **how)
    else:
        primary.strategy, primary.launch_type = strategy, launch_type
    service.tries, service.next_try = 0, 0.0
    world.after(2, look, world, service)
    return {"service": view(world, service, with_tags=True)}


def _new_strategy(call: Call, cluster: Cluster, primary: Deployment) -> tuple[list[Item], str | None]:
    """Strategy and launch type after an update; an empty strategy goes back to the launch type."""
    given = call.params.get("capacityProviderStrategy")
    if given is None:
        return primary.strategy, primary.launch_type
    checks.check_strategy(cluster, here(call).providers, given)
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
        service.drained_from = call.world.now() + call.world.clock.delay(SHORTEST_DRAIN)
        tell(call.world, service, f"(service {service.name}) has begun draining.")
        call.world.after(SHORTEST_DRAIN, look, call.world, service)
        drain(call.world, service)
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


def view(world: World, service: Service, with_tags: bool = False) -> Item:
    tasks, primary = tasks_of(world, service), service.primary
    running, pending = counts(tasks)
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
        "roleArn": f"arn:{partitions.here()}:iam::{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
        "events": service.events[:100],
        "createdAt": service.created,
        "createdBy": f"arn:{partitions.here()}:iam::{ACCOUNT}:user/emulator",
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
    running, pending = counts(tasks, deployment.id)
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
    running, pending = counts(tasks, deployment.id)
    return {
        "arn": deployment.revision,
        "requestedTaskCount": deployment.desired,
        "runningTaskCount": running,
        "pendingTaskCount": pending,
    }


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
                "threshold": threshold(service),
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
