"""Container instances as the API shows and changes them, and their attributes."""

from __future__ import annotations

from emulator.core import rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.ecs import agent, life
from emulator.ecs import tasks as ecs_tasks
from emulator.ecs.placement import RESERVED_TCP, free_cpu, free_gpus, free_memory, matches, used_ports
from emulator.ecs.state import (
    Cluster,
    Instance,
    Item,
    arn,
    find_cluster,
    invalid,
    page,
    short,
    without_none,
)

rules.SENTENCES.update(
    {
        "ecs-022": "An instance with tasks is deregistered only by force, and its tasks run on unseen.",
        "ecs-023": "DRAINING moves service tasks away and lets those of RunTask run on.",
    }
)


# ------------------------------------------------------------------------------------------------ container instances


def instance_view(call: Call, cluster: Cluster, instance: Instance, include: list[str]) -> Item:
    tasks = [task for task in cluster.active_tasks() if task.instance is instance]
    tcp, udp = used_ports(instance)
    gpus = free_gpus(instance)
    whole = [gpu for gpu in instance.gpus if gpus.get(gpu) == instance.gpu_memory]
    view: Item = {
        "containerInstanceArn": instance.arn,
        "ec2InstanceId": instance.ec2_id,
        "capacityProviderName": ecs_tasks.provider_of(call.world, call.region, cluster, instance),
        "version": instance.version,
        "versionInfo": agent.AGENT,
        "remainingResources": _resources(
            free_cpu(instance), free_memory(instance), sorted(tcp), sorted(udp), whole if instance.gpus else None
        ),
        "registeredResources": _resources(
            instance.cpu, instance.memory, sorted(RESERVED_TCP), [], instance.gpus or None
        ),
        "status": instance.status,
        "agentConnected": instance.connected,
        "runningTasksCount": sum(task.last == "RUNNING" for task in tasks),
        "pendingTasksCount": sum(task.last in ("PENDING", "ACTIVATING", "PROVISIONING") for task in tasks),
        "attributes": [
            {"name": name, **({"value": value} if value else {})} for name, value in sorted(instance.attributes.items())
        ],
        "registeredAt": instance.registered,
        "attachments": [attachment for task in tasks for attachment in task.attachments],
        "tags": instance.tags if "TAGS" in include else [],
    }
    if instance.gpus:
        view["gpuDevices"] = [_gpu(instance, gpu) for gpu in instance.gpus]
    if "CONTAINER_INSTANCE_HEALTH" in include:
        view["healthStatus"] = {"overallStatus": "OK" if instance.connected else "INSUFFICIENT_DATA"}
    return without_none(view)


def _resources(cpu: int, memory: int, tcp: list[int], udp: list[int], gpus: list[str] | None) -> list[Item]:
    resources: list[Item] = [
        {"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value}
        for name, value in (("CPU", cpu), ("MEMORY", memory))
    ]
    for name, values in (("PORTS", [str(port) for port in tcp]), ("PORTS_UDP", [str(port) for port in udp])):
        resources.append(_string_set(name, values))
    if gpus is not None:
        resources.append(_string_set("GPU", gpus))
    return resources


def _string_set(name: str, values: list[str]) -> Item:
    return {
        "name": name,
        "type": "STRINGSET",
        "doubleValue": 0.0,
        "longValue": 0,
        "integerValue": 0,
        "stringSetValue": values,
    }


def _gpu(instance: Instance, gpu: str) -> Item:
    """One GPU: idle, shared through MPS, or one container's own."""
    holders = [held.gpus[gpu] for held in instance.held.values() if gpu in held.gpus]
    dedicated = 0 in holders
    return {
        "gpuId": gpu,
        "sharingMode": "DEDICATED" if dedicated else "NVIDIA_MPS" if holders else "IDLE",
        "totalMemoryInMiB": instance.gpu_memory,
        "remainingMemoryInMiB": 0 if dedicated else instance.gpu_memory - sum(holders),
        "containerCount": len(holders),
    }


@on("ecs", "DescribeContainerInstances")
def describe_container_instances(call: Call) -> Params:
    cluster = find_cluster(call, active=False)
    names = call.params.get("containerInstances") or []
    if not names:
        raise invalid("Container instances cannot be empty.")
    if len(names) > 100:
        raise invalid("Container instances cannot have more than 100 elements.")
    shown, failures = [], []
    for name in names:
        instance = cluster.instances.get(short(name))
        if instance is None:
            missing = name if name.startswith("arn:") else arn(call.region, "container-instance", cluster.name, name)
            failures.append({"arn": missing, "reason": "MISSING"})
        else:
            shown.append(instance_view(call, cluster, instance, call.params.get("include") or []))
    return {"containerInstances": shown, "failures": failures}


@on("ecs", "ListContainerInstances")
def list_container_instances(call: Call) -> Params:
    """The instances of a cluster, DRAINING ones too, by status and by an expression of the query language."""
    cluster = find_cluster(call, active=False)
    status, expression = call.params.get("status"), call.params.get("filter")
    arns = [
        instance.arn
        for instance in cluster.instances.values()
        if (not status or instance.status == status) and (not expression or matches(expression, cluster, instance))
    ]
    return page(call, arns, "containerInstanceArns")


def _instance(call: Call, cluster: Cluster, name: str) -> Instance:
    instance = cluster.instances.get(short(name))
    if instance is None:
        raise invalid("Referenced container instance " + short(name) + " not found.")
    return instance


@on("ecs", "UpdateContainerInstancesState", rules="ecs-023")
def update_container_instances_state(call: Call) -> Params:
    cluster, status = find_cluster(call), call.params.get("status")
    names = call.params.get("containerInstances") or []
    if status not in ("ACTIVE", "DRAINING"):
        raise invalid("Container instance status should be one of [ACTIVE, DRAINING]")
    if not 1 <= len(names) <= 10:
        raise invalid("Container instances must be between 1 and 10.")
    shown, failures = [], []
    for name in names:
        instance = cluster.instances.get(short(name))
        if instance is None:
            missing = name if name.startswith("arn:") else arn(call.region, "container-instance", cluster.name, name)
            failures.append({"arn": missing, "reason": "MISSING"})
            continue
        if status == "DRAINING" and instance.status == "ACTIVE":
            agent.drain(call.world, cluster, instance)
        elif status == "ACTIVE" and instance.status == "DRAINING":
            instance.status = "ACTIVE"
            ecs_tasks.place_waiting(call.world, call.region, cluster)
        shown.append(instance_view(call, cluster, instance, []))
    return {"containerInstances": shown, "failures": failures}


@on("ecs", "DeregisterContainerInstance", rules="ecs-021 ecs-022")
def deregister_container_instance(call: Call) -> Params:
    cluster = find_cluster(call)
    instance = _instance(call, cluster, call.params.get("containerInstance") or "")
    tasks = [task for task in cluster.active_tasks() if task.instance is instance]
    if tasks and not call.params.get("force"):
        raise invalid("Found running tasks on the instance.")
    view = instance_view(call, cluster, instance, [])
    for task in tasks:
        life.orphan(call.world, task)
    instance.status = "INACTIVE"
    del cluster.instances[instance.id]
    return {"containerInstance": {**view, "status": "INACTIVE", "agentConnected": False}}


@on("ecs", "UpdateContainerAgent")
def update_container_agent(call: Call) -> Params:
    """The agent of the emulated AMI is always the newest."""
    cluster = find_cluster(call)
    _instance(call, cluster, call.params.get("containerInstance") or "")
    raise AwsError("NoUpdateAvailableException", "There is no update available for your container agent.")


# ------------------------------------------------------------------------------------------------ attributes


@on("ecs", "ListAttributes")
def list_attributes(call: Call) -> Params:
    cluster = find_cluster(call, active=False)
    name, value = call.params.get("attributeName"), call.params.get("attributeValue")
    found = [
        without_none({"name": key, "value": text or None, "targetId": instance.arn})
        for instance in cluster.instances.values()
        for key, text in sorted(instance.attributes.items())
        if (not name or key == name) and (not value or text == value)
    ]
    return page(call, found, "attributes")


@on("ecs", "PutAttributes", "DeleteAttributes")
def change_attributes(call: Call) -> Params:
    """Attributes of one's own on container instances."""
    cluster = find_cluster(call)
    attributes = call.params.get("attributes") or []
    if not 1 <= len(attributes) <= 10:
        raise invalid("Attributes must be between 1 and 10.")
    for attribute in attributes:
        target = attribute.get("targetId") or ""
        instance = cluster.instances.get(short(target))
        if instance is None:
            raise AwsError("TargetNotFoundException", f"The specified target {target} was not found.")
        if attribute["name"].startswith(("ecs.", "com.amazonaws.ecs.")):
            raise invalid("Attribute names that begin with ecs. or com.amazonaws.ecs. are reserved.")
        if call.operation == "PutAttributes":
            instance.attributes[attribute["name"]] = attribute.get("value") or ""
        else:
            instance.attributes.pop(attribute["name"], None)
    return {"attributes": attributes}
