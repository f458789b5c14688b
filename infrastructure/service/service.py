"""The ECS service: it keeps DESIRED_COUNT tasks running, registers them with the load balancer, and rolls out revisions.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_services.html
"""

from typing import Any

import aws
import constants
from aws import Problem, Resource, call, client, endpoint_tags, every, mine, ours, resource, wait
from console import how_many, say
from infrastructure.cluster import (
    auto_scaling_group,
    capacity,
    cluster,
    container_instances,
    file_system,
    load_balancer,
    security_groups,
)
from infrastructure.cluster.checks import enough_places, least_places
from infrastructure.service import diagnosis, hosts, scaling, target_group, task_definitions, task_security_group, tasks

#: AWS's refusal while it does not know yet that a rule leads to the target group
NO_BALANCER = "does not have an associated load balancer"
#: there is one of this name, or the client token was used with other parameters
NOT_IDEMPOTENT = "Creation of service was not idempotent"
NO_CLUSTER = "ClusterNotFoundException"
#: changes after which all tasks are new ones
NEW_TASKS = {"taskDefinition", "loadBalancers", "capacityProviderStrategy", "networkConfiguration"}
ENDED = ("ServiceNotFoundException", "ServiceNotActiveException")


@aws.look
def find() -> Any | None:
    """The service of SERVICE_NAME, while it is ACTIVE, whoever's it is."""
    found = described_by_aws([constants.SERVICE_NAME])
    return next((service for service in found if service["status"] == "ACTIVE"), None)


@aws.shared_look
def services() -> list[Any]:
    """The cluster's ACTIVE ones, whoever's they are, with their tags."""
    arns = listed()
    own = find() if constants.SERVICE_NAME in map(tasks.task_id, arns) else None
    others = [each for each in arns if tasks.task_id(each) != constants.SERVICE_NAME]
    tens = [others[start : start + 10] for start in range(0, len(others), 10)]
    return [*([own] if own else []), *(each for ten in aws.side_by_side(described_by_aws, tens) for each in ten)]


def listed() -> list[str]:
    paginator, size = client("ecs").get_paginator("list_services"), {"PageSize": 100}
    pages = paginator.paginate(cluster=constants.CLUSTER_NAME, PaginationConfig=size)  # type: ignore[arg-type]
    return call(every, gone=NO_CLUSTER)(pages, "serviceArns") or []


@aws.look
def targets() -> list[Any]:
    """Where the load balancer reaches its tasks, each with its state and AWS's reason."""
    balanced = find() if constants.LISTENER_PROTOCOL else None
    arns = [each["targetGroupArn"] for each in balanced["loadBalancers"]] if balanced else []
    return [each for arn in arns for each in target_group.health(arn)]


LOOKS = (services,)


def described_by_aws(names: list[str]) -> list[Any]:
    """At most ten, by names or ARNs. A deleted one stays described as DRAINING, then INACTIVE."""
    describe_services = call(client("ecs").describe_services, gone=NO_CLUSTER)
    answer = describe_services(cluster=constants.CLUSTER_NAME, services=names, include=["TAGS"])
    return answer["services"] if answer else []


def required() -> Any:
    if service := find():
        return service
    where = f"in cluster {constants.CLUSTER_NAME}"
    raise Problem(f"there is no service {constants.SERVICE_NAME} {where}: run create_service.py first")


def revision_to_run() -> Any:
    """The newest revision that a person registered; or what the service runs, where that is newer.

    The pipeline registers revisions too, and deploys them itself: one that it could not keep is not brought back. Where
    no service runs, the newest is the newest.
    """
    running, newest = (find() or {}).get("taskDefinition"), task_definitions.newest()
    if newest and is_to_run(newest, running):
        return newest
    for arn in task_definitions.definitions() if newest else ():
        definition = task_definitions.definition(arn)
        if definition and is_to_run(definition, running):
            return definition
        say("found", f"task definition {tasks.task_id(arn)}", "of the pipeline, which does not run: left alone")
    raise Problem(f"no task definition {constants.TASK_FAMILY} is registered: run register_task_definition.py first")


def is_to_run(definition: Any, running: str | None) -> bool:
    return not running or definition["taskDefinitionArn"] == running or not task_definitions.is_pipelines(definition)


def refuse_foreign(service: Any) -> None:
    """Somebody else's, or another endpoint's, which would get our revision in place of its own."""
    if not mine(service):
        whose = "another endpoint's" if ours(service) else "not of this runbook"
        there = f"the service {constants.SERVICE_NAME} exists already, and is {whose}"
        raise Problem(f"{there}: choose another SERVICE_NAME")


def refuse_closed_port() -> None:
    """Before a security group closes the port at which running tasks get the load balancer's requests."""
    found = find()
    for led_to in [each["containerPort"] for each in (found or {}).get("loadBalancers", []) if mine(found)]:
        if reached_at(found, led_to) not in security_groups.container_ports():
            there = f"the load balancer's requests still lead to port {led_to} of the service {constants.SERVICE_NAME}"
            both = ",".join(map(str, [*(port for _, port in constants.CONTAINER_PORTS), led_to]))
            moved = "until register_task_definition.py and create_service.py have moved them"
            way = f"set CONTAINER_PORTS={both} {moved}, or run {undo()} first"
            raise Problem(f"CONTAINER_PORTS, NETWORK_MODE: {there}, which would be closed: {way}")


def reached_at(found: Any, port: int) -> tuple[int, int]:
    """From, to: where the tasks' hosts, or the tasks themselves, are reached for this port of their container."""
    definition = task_definitions.known(found["taskDefinition"]) or {"containerDefinitions": []}
    mapped = [each for container in definition["containerDefinitions"] for each in container.get("portMappings", [])]
    hosts_port = next((each.get("hostPort", 0) for each in mapped if each["containerPort"] == port), port)
    return (hosts_port, hosts_port) if hosts_port else security_groups.DYNAMIC_PORTS


def refuse_network_mode() -> None:
    """What UpdateService can't change: the kind of the targets, and whether tasks have addresses of their own."""
    found, wanted = find(), constants.NETWORK_MODE == "awsvpc"
    if found and mine(found) and bool(found.get("networkConfiguration")) != wanted:
        runs = (
            f"the service {constants.SERVICE_NAME} runs {'without' if wanted else 'with'} addresses of its tasks' own"
        )
        aws.refuse_change(f"NETWORK_MODE={constants.NETWORK_MODE}", runs, f"run {undo()} first")


def refuse_unfit(definition: Any) -> None:
    """A revision that is not as the settings of the service say: ECS would refuse it after other changes."""
    what, register = tasks.task_id(definition["taskDefinitionArn"]), "run register_task_definition.py first"
    main = [each for each in definition["containerDefinitions"] if each["name"] == constants.CONTAINER_NAME]
    inside = [each["containerPort"] for container in main for each in container.get("portMappings", [])]
    if constants.LISTENER_PROTOCOL and (port := constants.CONTAINER_PORTS[0][1]) not in inside:
        raise Problem(f"CONTAINER_PORTS: {what} has no port {port}: set it back, or {register}")
    if (mode := definition.get("networkMode", "bridge")) != constants.NETWORK_MODE:
        raise Problem(f"NETWORK_MODE={constants.NETWORK_MODE}, but {what} has {mode}: set it back, or {register}")


def tell_former_families() -> None:
    """What a service of the endpoint has run until now, where TASK_FAMILY is another one."""
    ran = [tasks.task_id(each["taskDefinition"]).rpartition(":")[0] for each in services() if mine(each)]
    for family in sorted({*ran} - {constants.TASK_FAMILY}):
        say("kept", f"task definitions of {family}", task_definitions.KEPT)


def former() -> list[Any]:
    """The endpoint's under another SERVICE_NAME."""
    return [each for each in services() if mine(each) and each["serviceName"] != constants.SERVICE_NAME]


def refuse_no_place_beside_former() -> None:
    """A service of a new name starts before the former one ends, so that requests are answered all the while."""
    if not find() and former() and (short := short_of(constants.DESIRED_COUNT - 1)):
        runs = ", ".join(each["serviceName"] for each in former())
        full = f"{runs} of this endpoint runs, and no {short} is free for another service beside it"
        raise Problem(f"SERVICE_NAME={constants.SERVICE_NAME}: {full}: set it back, or run {undo()} first")


def refuse_changes(definition: Any) -> None:
    """Before the first change: what ECS, or a reader of its tasks' port, could not follow."""
    refuse_network_mode()
    refuse_unfit(definition)
    if constants.ENDPOINT and security_groups.closes_ports():
        refuse_closed_port()
    refuse_no_place_beside_former()
    refuse_more_gpus_than_hosts(definition)


def undo() -> str:
    return aws.command("delete_service.py")


def refuse_more_gpus_than_hosts(definition: Any) -> None:
    """Before anything is made: a service that can never become stable. One that stands so has what it needs."""
    if (service := find()) and not changes(service, definition["taskDefinitionArn"]):
        return
    if needs_a_place():
        enough_places(container_instances.refuse_without_sharing())


def create(definition: dict[str, Any], target_group_arn: str, group_ids: list[str]) -> None:
    """Make the service, or bring it to this revision and the settings. `group_ids`: the tasks' own security groups."""
    where = task_security_group.placement(group_ids) if constants.NETWORK_MODE == "awsvpc" else None
    auto_scaling_group.share()
    tell_former_families()
    if service := find():
        refuse_foreign(service)
        update(service, definition["taskDefinitionArn"], where, target_group_arn)
        return
    what = f"service {constants.SERVICE_NAME}"
    request: Any = {
        "cluster": constants.CLUSTER_NAME,
        "serviceName": constants.SERVICE_NAME,
        "taskDefinition": definition["taskDefinitionArn"],
        "desiredCount": constants.DESIRED_COUNT,
        "capacityProviderStrategy": capacity.default_strategy(),
        **deployment(0),
        "enableECSManagedTags": True,
        "propagateTags": "SERVICE",
        "enableExecuteCommand": constants.ENABLE_EXECUTE_COMMAND,
        "tags": endpoint_tags("service", "key", "value"),
        "clientToken": aws.token(constants.CLUSTER_NAME, constants.SERVICE_NAME, aws.this_hour()),
    }
    if target_group_arn:
        request["loadBalancers"] = balanced(target_group_arn)
        request["healthCheckGracePeriodSeconds"] = constants.HEALTH_CHECK_GRACE_SECONDS
    if where:
        request["networkConfiguration"] = where
    roles_unseen = ("Unable to assume the service linked role", "verify that the ECS service role")
    busy = (NO_BALANCER, *roles_unseen, "still Draining")
    hosts.bring_for_service(definition, constants.DESIRED_COUNT)
    make = call(client("ecs").create_service, what, there=NOT_IDEMPOTENT, busy=busy)
    if not make(**request):  # another run's, of another revision or other settings
        found = aws.listed(what, find, "ECS")
        refuse_foreign(found)
        update(found, definition["taskDefinitionArn"], where)
        return
    say("created", what, f"{constants.DESIRED_COUNT} tasks of {tasks.task_id(definition['taskDefinitionArn'])}")
    wait(what, find, lambda: "AWS does not list it")


def leave_provider_of_gone(group_arns: dict[str, str]) -> None:
    """Where a group of hosts is a new one, as after a deadline: AWS keeps a capacity provider that a service names.

    create_service.py names the new one: https://github.com/aws/containers-roadmap/issues/838
    """
    gone = {capacity.name_of(each) for each, arn in group_arns.items() if capacity.is_of_another_group(each, arn)}
    for each in services() if gone else ():
        if gone & names_of_providers(each):
            its_name = each["serviceName"]
            leave = call(client("ecs").update_service, f"service {its_name}", of=each)
            request: Any = {"capacityProviderStrategy": [], "forceNewDeployment": True}
            leave(cluster=constants.CLUSTER_NAME, service=its_name, **request)
            say("updated", f"service {its_name}", "its hosts are gone: create_service.py starts it again")


def names_of_providers(service: Any) -> set[str]:
    return {each["capacityProvider"] for each in service.get("capacityProviderStrategy", [])}


def refuse_other_capacity_type() -> None:
    """A service that runs on demand beside Spot, where the settings ask for these two no more: AWS keeps its provider."""
    provider = capacity.name_of("hosts-od")
    for each in services() if capacity.is_to_go("hosts-od") else ():
        if provider in names_of_providers(each):
            way = "run create_service.py with it, which moves the service, and this again"
            setting = f"CAPACITY_TYPE={constants.CAPACITY_TYPE}"
            aws.refuse_change(setting, f"service {each['serviceName']} runs on {provider}", way)


def balanced(target_group_arn: str) -> list[Any]:
    """To which port of which container the load balancer leads: the first of CONTAINER_PORTS."""
    container = {"containerName": constants.CONTAINER_NAME, "containerPort": constants.CONTAINER_PORTS[0][1]}
    return [{"targetGroupArn": target_group_arn, **container}]


def update(
    service: Any, task_definition_arn: str, where: dict[str, Any] | None = None, target_group_arn: str = ""
) -> None:
    """Roll out what differs: revision, count, ports, capacity, where tasks are; nothing where nothing does."""
    what, wanted = f"service {constants.SERVICE_NAME}", (task_definition_arn, where, target_group_arn)
    how, changed = {}, changes(service, *wanted)
    if changed.keys() & NEW_TASKS:
        how = deployment(service["runningCount"])
        aws.forget(find)  # another run may have begun it since; what is free is then free for its tasks
        service = required()
        changed = changes(service, *wanted)
    if not changed:
        tell = f"{service['runningCount']} of {service['desiredCount']} tasks run"
        say("found", what, "asleep: a request wakes it" if asleep(service) else tell)
        return
    auto_scaling_group.share()
    request: Any = {"cluster": constants.CLUSTER_NAME, "service": constants.SERVICE_NAME, **changed}
    if "capacityProviderStrategy" in changed:
        request["forceNewDeployment"] = True  # else running tasks stay where they are
    if changed.keys() & NEW_TASKS:
        request |= how
    if not service["desiredCount"] and changed.get("desiredCount"):
        definition = task_definitions.known(task_definition_arn)
        hosts.bring_for_service(definition, changed["desiredCount"])
    call(client("ecs").update_service, what, of=service, busy=NO_BALANCER)(**request)
    say("updated", what, ", ".join(f"{key} {value}" for key, value in changed.items()))


def changes(
    service: Any, task_definition_arn: str, where: dict[str, Any] | None = None, target_group_arn: str = ""
) -> dict[str, Any]:
    """What of the service is not as the settings say."""
    wanted: dict[str, Any] = {"taskDefinition": task_definition_arn, "desiredCount": wanted_count(service)}
    if where:
        wanted["networkConfiguration"] = where
    if constants.LISTENER_PROTOCOL:
        wanted["healthCheckGracePeriodSeconds"] = constants.HEALTH_CHECK_GRACE_SECONDS
        led_to = (
            [target_group_arn] if target_group_arn else [each["targetGroupArn"] for each in service["loadBalancers"]]
        )
        wanted["loadBalancers"] = [each for arn in led_to for each in balanced(arn)]
    wanted["enableExecuteCommand"] = constants.ENABLE_EXECUTE_COMMAND
    wanted["capacityProviderStrategy"] = capacity.default_strategy()
    changed = {key: value for key, value in wanted.items() if not aws.holds(service.get(key), value)}
    if asleep(service) and not changed.keys() & NEW_TASKS:  # what is new is to show that it can run
        changed.pop("desiredCount", None)
    return changed


def asleep(service: Any) -> bool:
    """Scaling has let it go to no task, and wakes it."""
    return constants.SCALING == "requests" and not service["desiredCount"] and scaling.wakes()


def wanted_count(service: Any) -> int:
    """DESIRED_COUNT; but where scaling has started more tasks it knows why, and its limits hold."""
    if constants.SCALING == "none" or not constants.DESIRED_COUNT:
        return constants.DESIRED_COUNT
    return min(max(constants.DESIRED_COUNT, int(service["desiredCount"])), constants.MAX_TASKS)


def deployment(running: int) -> dict[str, Any]:
    """Start the new task first where there is a GPU and a network interface for it; else stop the old one first.

    With every GPU busy, 100 and 200 percent would wait for ever for a place; and AWS, which balances a new service's
    zones unless told not to, balances none of at most 100 percent.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html
    """
    short = short_of(0 if running else constants.DESIRED_COUNT)
    if short and not constants.ALLOW_DOWNTIME:
        beside = f"for a new task beside {running or constants.DESIRED_COUNT} running ones, and ALLOW_DOWNTIME=false"
        raise Problem(f"no {short} would be free {beside}: raise MAX_INSTANCES or CLUSTER_SIZE, or allow it")
    if short:
        say("warning", f"every {short} is in use:", f"a deploy stops the old task first, {outage()}")
    percents = {"minimumHealthyPercent": 0 if short else 100, "maximumPercent": 100 if short else 200}
    return {
        "deploymentConfiguration": {**percents, "deploymentCircuitBreaker": {"enable": True, "rollback": True}},
        "availabilityZoneRebalancing": "DISABLED" if short else "ENABLED",
    }


def outage() -> str:
    """For how long no task answers where the old one is stopped first: it finishes its requests, the new one must start.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#deregistration-delay
    """
    if not constants.LISTENER_PROTOCOL:
        return "with an outage until the new one runs"
    healthy_after = constants.HEALTHY_THRESHOLD * constants.HEALTH_CHECK_INTERVAL
    started = f"for the new one's start and {healthy_after} s of health checks"
    return f"with an outage of DEREGISTRATION_DELAY={constants.DEREGISTRATION_DELAY} s, and {started}"


def needs_a_place() -> bool:
    """Whether a host takes only so many of its tasks."""
    sized = constants.GPU_COUNT or constants.HOST_MEMORY or constants.HOST_CPU
    return constants.LAUNCH_TYPE == "EC2" and bool(sized or constants.NETWORK_MODE == "awsvpc")


def short_of(beside: int) -> str:
    """What one task more, beside so many that are still to start, would lack with all the hosts that may come; "" for nothing."""
    if not needs_a_place():
        return ""
    hosts = [host for host in container_instances.describe() if host["agentConnected"]]
    free = [container_instances.free_places(host) for host in hosts]
    new = least_places(container_instances.refuse_without_sharing())
    free += [new] * max(0, constants.MAX_INSTANCES - len(hosts))
    if sum(min(each.values(), default=beside + 1) for each in free) > beside:
        return ""
    known = ("GPU", "network interface", container_instances.MEMORY, container_instances.CPU)
    limiting = [what for what in known if any(what in each for each in free)]
    return next((what for what in limiting if sum(each.get(what, 0) for each in free) <= beside), "GPU")


def wait_stable(task_definition_arn: str) -> None:
    """Until one deployment, of this revision, is COMPLETED, all its tasks run, and all targets are healthy.

    Tells each event of the service as it comes. A rollback of the circuit breaker is a failure, though all is stable.
    """
    told: set[str] = set()

    def look() -> bool:
        service = find()
        if not service:  # ECS does not show it yet
            return False
        news = [event for event in service.get("events", []) if event["id"] not in told]
        for event in reversed(news if told else []):  # what the first look finds is history
            say("event", event["message"])
        told.update(["the first look", *(event["id"] for event in news)])
        refuse_failure(service, task_definition_arn)
        return is_stable(service, task_definition_arn)

    def done() -> tuple[int, int]:
        service = required()
        there = healthy() if constants.LISTENER_PROTOCOL else service["runningCount"]
        return min(there, service["desiredCount"]), service["desiredCount"]

    wait(f"service {constants.SERVICE_NAME} to be stable", look, lambda: why_not_stable(required()), done=done)


def is_stable(service: Any, task_definition_arn: str) -> bool:
    deployed = [(each["taskDefinition"], each.get("rolloutState")) for each in service["deployments"]]
    return (
        deployed == [(task_definition_arn, "COMPLETED")]
        and service["runningCount"] == service["desiredCount"]
        and (not constants.LISTENER_PROTOCOL or healthy() >= service["desiredCount"])
    )


def healthy() -> int:
    """How many of its targets can answer now."""
    return sum(each["state"] == "healthy" for each in targets())


def refuse_failure(service: Any, task_definition_arn: str) -> None:
    """A deployment that has failed, or was rolled back: what was asked for, what runs, and why."""
    own = [each for each in service["deployments"] if each["taskDefinition"] == task_definition_arn]
    others = [each for each in service["deployments"] if each not in own]
    deploy = f"the deploy of {tasks.task_id(task_definition_arn)}"
    for back in [tasks.task_id(each["taskDefinition"]) for each in others if each["status"] == "PRIMARY"]:
        if int(back.rpartition(":")[2]) > int(task_definition_arn.rpartition(":")[2]):
            raise Problem(f"{deploy} was overtaken by one of {back}: {aws.command('describe_service.py')} shows it")
        raise Problem(f"{deploy} was rolled back to {back}: {why_not_stable(service)}")
    if any(each.get("rolloutState") == "FAILED" for each in own):
        raise Problem(f"{deploy} failed: {why_not_stable(service)}")


def why_not_stable(service: Any) -> str:
    """What AWS says: the stopped tasks' reasons and last log lines, the targets' health, the last event."""
    failed = any(each.get("failedTasks", 1) for each in service["deployments"])
    stopped = tasks.find("STOPPED", serviceName=constants.SERVICE_NAME) if failed else []
    ended = [task for task in stopped if task["lastStatus"] == "STOPPED"][:3]
    lines = [line for task in ended[:1] for line in diagnosis.log_tail(task, constants.LOG_GROUP)]
    told = list(dict.fromkeys(diagnosis.why(task, lines) for task in ended))
    killed = [task for task in ended if "health check" in task.get("stoppedReason", "")]
    if killed:
        ages = ", ".join(f"{lived(task):.0f} s" for task in killed)
        grace = f"HEALTH_CHECK_GRACE_SECONDS={constants.HEALTH_CHECK_GRACE_SECONDS}"
        killer = f"the health check of {constants.HEALTH_CHECK_PATH} killed {len(killed)} tasks, {ages} old"
        told.append(f"{killer}: raise {grace} if the container needs longer to start")
    sick = [each for each in targets() if each["reason"]]
    told += [f"target {each['target']} is {each['state']}: {each['reason']}" for each in sick]
    told += [event["message"] for event in service.get("events", [])[:1]]
    told += filter(None, dict.fromkeys(map(diagnosis.why, tasks.find(serviceName=constants.SERVICE_NAME))))
    return "\n  ".join(["; ".join(told) or "it is still starting", *(f"log: {line}" for line in lines)])


def lived(task: dict[str, Any]) -> float:
    """Seconds from its start to its end."""
    begun = task.get("startedAt") or task["createdAt"]
    return float(((task.get("stoppingAt") or task.get("stoppedAt") or begun) - begun).total_seconds())


def described() -> dict[str, Any]:
    """What describe_service.py prints, and create_service.py and update_service.py at their end."""
    service = required()
    domain = f"efs.{aws.region()}.{aws.dns_suffix()}"
    names = {volume: f"{each}.{domain}" for volume, each in file_system.volume_ids().items()}
    kept = ("status", "taskDefinition", "desiredCount", "runningCount")
    of_each = (*kept, "pendingCount", "rolloutState", "rolloutStateReason")
    return {
        "serviceName": constants.SERVICE_NAME,
        "url": load_balancer.url() or None,
        "fileSystemDnsName": next(iter(names.values()), None),
        "fileSystemDnsNames": names,
        **{key: service[key] for key in kept},
        "deployments": [{key: each[key] for key in of_each if key in each} for each in service["deployments"]],
        "targets": targets(),
        "events": [event["message"] for event in service.get("events", [])[:5]],
    }


def delete_former(found: list[Any]) -> None:
    """Those of another SERVICE_NAME, once the new one answers; a deletion of the cluster waits for their end."""
    for service in found:
        name, what = service["serviceName"], f"service {service['serviceName']}"
        if not constants.WAIT:
            say("kept", what, "its tasks run, and cost; create_service.py with WAIT=true deletes it")
            continue
        end = call(client("ecs").delete_service, what, of=service, gone=ENDED)
        end(cluster=constants.CLUSTER_NAME, service=name, force=True)
        say("deleted", what, f"{constants.SERVICE_NAME} is in its place")


def delete(with_cluster: bool = False) -> None:
    """Ask its tasks to leave, deregistering them first; then wait until AWS has forgotten it.

    The endpoint's, that of a former SERVICE_NAME too. `with_cluster`: every one that is in it, whoever made it, since each
    would keep the cluster, and cost.
    """
    its_cluster: Any = cluster.of_ours() if with_cluster else "any"
    # one that an interrupted run has asked to end is waited for too; the cluster's own deletion waits for it anyway
    names = set() if with_cluster else {constants.SERVICE_NAME}
    for service in services() if its_cluster else ():
        name, what = service["serviceName"], f"service {service['serviceName']}"
        if not with_cluster and not mine(service):
            if name == constants.SERVICE_NAME:
                say("kept", what, "not of this runbook, or of another endpoint")
            continue
        owner = its_cluster if with_cluster else service
        end = call(
            client("ecs").delete_service, what, of=owner, gone=(*ENDED, NO_CLUSTER), busy="deployments are active"
        )
        end(cluster=constants.CLUSTER_NAME, service=name, force=True)
        say("deleted", what, "asked for")
        names.add(name)

    def draining() -> list[str]:
        going = [each for each in described_by_aws(sorted(names)[:10]) if each["status"] == "DRAINING"]
        return [f"{each['serviceName']}: {how_many(each['runningCount'], 'task')} still run" for each in going]

    if names:
        wait(f"service {' and '.join(sorted(names))} to end", lambda: not draining(), lambda: "; ".join(draining()))


def left_over() -> list[Resource]:
    """The endpoint's: that of a former SERVICE_NAME too."""
    return [resource(f"service {each['serviceName']}", each["serviceArn"], each) for each in services() if mine(each)]
