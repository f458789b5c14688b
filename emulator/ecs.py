"""ECS: clusters, capacity providers, container instances, tags and account settings.

moto's ECS is too far from AWS, so nothing of it is used. The other parts: ecs_definitions, ecs_tasks (and ecs_life,
ecs_placement, ecs_containers, ecs_problems behind it), ecs_services, and ecs_agent, which is what happens on instances.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import copy
import re
import uuid
from collections import Counter
from typing import Any

from emulator import autoscaling, ecs_agent, ecs_life, ecs_tasks, iam, rules
from emulator.ecs_placement import RESERVED_TCP, free_cpu, free_gpus, free_memory, matches, used_ports
from emulator.ecs_state import (
    FARGATE,
    Cluster,
    Instance,
    Item,
    Provider,
    Region,
    Tags,
    arn,
    checked_tags,
    client_error,
    cluster_name,
    find_cluster,
    here,
    invalid,
    later,
    merged,
    now,
    page,
    region_of,
    short,
    without_none,
)
from emulator.rules import AwsError, Call, Params, on
from emulator.world import ACCOUNT, World

rules.SENTENCES.update(
    {
        "ecs-001": "CreateCluster of an ACTIVE cluster answers it unchanged; an INACTIVE one is made anew.",
        "ecs-002": "A new cluster is PROVISIONING for some seconds, and MISSING for the first two.",
        "ecs-004": "PutClusterCapacityProviders is UPDATE_IN_PROGRESS for about 20 s, and refuses changes meanwhile.",
        "ecs-005": "PutClusterCapacityProviders replaces the list; each provider must be ACTIVE.",
        "ecs-006": "A provider that a service or task uses can not be taken off its cluster.",
        "ecs-007": "A provider's name and its Auto Scaling group serve once: the second time is a ClientException.",
        "ecs-008": "A provider's name does not begin with aws, ecs or fargate.",
        "ecs-009": "Managed termination protection needs managed scaling and a group that protects new instances.",
        "ecs-011": "A provider for a group is ACTIVE at once, one for Managed Instances after some 30 s.",
        "ecs-012": "A provider is not deleted while a cluster or a service names it.",
        "ecs-013": "Deleting a provider takes about 25 s, and fails if its group is gone already.",
        "ecs-014": "A cluster is not deleted while instances, services, tasks or an update are in it.",
        "ecs-015": "A deleted cluster can still be described, INACTIVE.",
        "ecs-022": "An instance with tasks is deregistered only by force, and its tasks run on unseen.",
        "ecs-023": "DRAINING moves service tasks away and lets those of RunTask run on.",
    }
)

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
MISSING_SECONDS, PROVISIONING = 2, 10
ATTACHING, DETACHING = 20, 10
DELETING_PROVIDER, MANAGED_PROVIDER = 25, 30
SCALING_DEFAULTS: Item = {
    "status": "DISABLED",
    "targetCapacity": 100,
    "minimumScalingStepSize": 1,
    "maximumScalingStepSize": 10000,
    "instanceWarmupPeriod": 300,
}


# ------------------------------------------------------------------------------------------------ clusters


def cluster_view(cluster: Cluster, include: list[str] | None = None) -> Item:
    """A cluster; settings, tags and so on only if they are asked for, as DescribeClusters has it."""
    shown = ("SETTINGS", "TAGS", "CONFIGURATIONS", "ATTACHMENTS") if include is None else tuple(include)
    counts = ecs_tasks.statistics(cluster)
    active = [service for service in cluster.services.values() if service.status == "ACTIVE"]
    view: Item = {
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": cluster.status,
        "registeredContainerInstancesCount": len(cluster.instances),
        "runningTasksCount": counts["runningEC2TasksCount"] + counts["runningFargateTasksCount"],
        "pendingTasksCount": counts["pendingEC2TasksCount"] + counts["pendingFargateTasksCount"],
        "activeServicesCount": len(active),
        "statistics": _statistics(cluster, counts) if "STATISTICS" in shown else [],
        "tags": cluster.tags if "TAGS" in shown else [],
        "settings": cluster.settings if "SETTINGS" in shown else [],
        "capacityProviders": cluster.providers,
        "defaultCapacityProviderStrategy": cluster.strategy,
        "attachmentsStatus": cluster.attachments_status,
    }
    if "CONFIGURATIONS" in shown and cluster.configuration:
        view["configuration"] = cluster.configuration
    if "ATTACHMENTS" in shown:
        view["attachments"] = _attachments(cluster)
    if cluster.service_connect:
        view["serviceConnectDefaults"] = cluster.service_connect
    return without_none(view)


def _statistics(cluster: Cluster, counts: Counter[str]) -> list[Item]:
    counts = Counter(counts)
    for service in cluster.services.values():
        kind = "Fargate" if service.fargate else "EC2"
        if service.status in ("ACTIVE", "DRAINING"):
            counts[f"{service.status.lower()}{kind}ServiceCount"] += 1
    names = [
        f"{state}{kind}{what}"
        for state, what in (
            ("running", "TasksCount"),
            ("pending", "TasksCount"),
            ("active", "ServiceCount"),
            ("draining", "ServiceCount"),
        )
        for kind in ("EC2", "Fargate")
    ]
    return [{"name": name, "value": str(counts[name])} for name in names]


def _attachments(cluster: Cluster) -> list[Item]:
    """What ECS has made for the cluster's providers: scaling plans, termination hooks."""
    attachments = []
    for name in cluster.providers:
        if name in FARGATE:
            continue
        for kind in ("as_policy", "managed_draining"):
            attachments.append(
                {
                    "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{cluster.arn}{name}{kind}")),
                    "type": kind,
                    "status": "PRECREATED" if name in cluster.joining else "CREATED",
                    "details": [{"name": "capacityProviderName", "value": name}],
                }
            )
    return attachments


def _setting(settings: list[Item] | None) -> list[Item]:
    for setting in settings or []:
        if setting.get("name") != "containerInsights":
            raise invalid("Invalid cluster setting name: only containerInsights is supported.")
        if setting.get("value") not in ("enabled", "disabled", "enhanced"):
            raise invalid("Invalid value for the cluster setting containerInsights: enabled, disabled or enhanced.")
    return copy.deepcopy(settings or [])


@on("ecs", "CreateCluster", rules="ecs-001 ecs-002 iam-009")
def create_cluster(call: Call) -> Params:
    params, region = call.params, here(call)
    if not iam.service_linked_role(call.world, "ecs.amazonaws.com"):
        raise invalid(
            "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
        )
    name = short(params.get("clusterName") or "default")
    if not NAME.fullmatch(name):
        raise invalid("Invalid cluster name: up to 255 letters, numbers, underscores, and hyphens are allowed.")
    cluster = region.clusters.get(name)
    if cluster is not None and cluster.status in ("ACTIVE", "PROVISIONING"):
        return {"cluster": cluster_view(cluster)}
    default = region.account_settings.get("containerInsights", "disabled")
    cluster = Cluster(
        name=name,
        arn=arn(call.region, "cluster", name),
        status="PROVISIONING",
        visible_at=now(call.world) + call.world.clock.delay(MISSING_SECONDS),
        settings=_setting(params.get("settings")) or [{"name": "containerInsights", "value": default}],
        configuration=params.get("configuration") or {},
        tags=checked_tags(params.get("tags")),
        service_connect=params.get("serviceConnectDefaults") or {},
    )
    if params.get("capacityProviders") or params.get("defaultCapacityProviderStrategy"):
        _attach(
            call, cluster, params.get("capacityProviders") or [], params.get("defaultCapacityProviderStrategy") or []
        )
    region.clusters[name] = cluster
    later(call.world, PROVISIONING, _activate, cluster)
    return {"cluster": cluster_view(cluster)}


def _activate(cluster: Cluster) -> None:
    if cluster.status == "PROVISIONING":
        cluster.status = "ACTIVE"


@on("ecs", "DescribeClusters", rules="ecs-002 ecs-003 ecs-015")
def describe_clusters(call: Call) -> Params:
    names = call.params.get("clusters") or ["default"]
    if len(names) > 100:
        raise invalid("Clusters cannot have more than 100 elements.")
    clusters, failures = [], []
    for name in names:
        cluster = here(call).clusters.get(short(name))
        if cluster is None or now(call.world) < cluster.visible_at:
            missing = name if name.startswith("arn:") else arn(call.region, "cluster", name)
            failures.append({"arn": missing, "reason": "MISSING"})
        else:
            clusters.append(cluster_view(cluster, call.params.get("include") or []))
    return {"clusters": clusters, "failures": failures}


@on("ecs", "ListClusters")
def list_clusters(call: Call) -> Params:
    return page(call, [one.arn for one in here(call).clusters.values() if one.status != "INACTIVE"], "clusterArns")


@on("ecs", "UpdateCluster", "UpdateClusterSettings")
def update_cluster(call: Call) -> Params:
    cluster = find_cluster(call)
    if call.operation == "UpdateClusterSettings" and not call.params.get("settings"):
        raise invalid("Settings cannot be empty.")
    if "settings" in call.params:
        cluster.settings = _setting(call.params["settings"])
    if "configuration" in call.params:
        cluster.configuration = call.params["configuration"]
    if "serviceConnectDefaults" in call.params:
        cluster.service_connect = call.params["serviceConnectDefaults"]
    return {"cluster": cluster_view(cluster)}


@on("ecs", "DeleteCluster", rules="ecs-014 ecs-015")
def delete_cluster(call: Call) -> Params:
    cluster = find_cluster(call, active=False)
    if cluster.attachments_status == "UPDATE_IN_PROGRESS":
        raise AwsError("UpdateInProgressException", "The Cluster cannot be deleted while an update is in progress.")
    if any(service.status != "INACTIVE" for service in cluster.services.values()):
        raise AwsError("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
    if cluster.instances:
        raise AwsError(
            "ClusterContainsContainerInstancesException",
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        )
    if cluster.active_tasks():
        raise AwsError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
    if any(one.cluster == cluster.name and one.status != "INACTIVE" for one in here(call).providers.values()):
        raise AwsError(
            "ClusterContainsCapacityProviderException",
            "The Cluster cannot be deleted while Cluster Scoped Capacity Providers are attached to the cluster.",
        )
    if [name for name in cluster.providers if name not in FARGATE]:
        cluster.status = "DEPROVISIONING"
        later(call.world, DETACHING, _deactivate, cluster)
    else:
        _deactivate(cluster)
    return {"cluster": cluster_view(cluster)}


def _deactivate(cluster: Cluster) -> None:
    cluster.status = "INACTIVE"
    cluster.providers, cluster.strategy, cluster.tags = [], [], []


# ------------------------------------------------------------------------------------------------ providers of a cluster


def _check_providers(call: Call, cluster: Cluster, names: list[str], strategy: list[Item]) -> None:
    region = here(call)
    if len(names) > 20:
        raise invalid("A cluster can have a maximum of 20 capacity providers associated with it.")
    if len(set(names)) < len(names):
        raise invalid("The capacity providers of a cluster cannot be given twice.")
    for name in names:
        provider = region.providers.get(name)
        good = name in FARGATE or (provider is not None and provider.status == "ACTIVE" and _settled(provider))
        if not good or (provider is not None and provider.cluster not in (None, cluster.name)):
            raise invalid(
                f"The specified capacity provider '{name}' is not in an ACTIVE state. Specify a valid capacity provider "
                "and try again."
            )
        if provider is not None and provider.scales:
            for other in region.clusters.values():
                if other is not cluster and other.status == "ACTIVE" and name in other.providers:
                    raise invalid(
                        f"The specified capacity provider '{name}' uses managed scaling and is already associated with "
                        f"cluster: {other.name}."
                    )
    trial = Cluster(cluster.name, cluster.arn, "ACTIVE", 0, [], {}, [], providers=names)
    ecs_tasks.check_strategy(trial, region.providers, strategy)


def _settled(provider: Provider) -> bool:
    return provider.update_status not in ("DELETE_IN_PROGRESS", "CREATE_IN_PROGRESS")


def _attach(call: Call, cluster: Cluster, names: list[str], strategy: list[Item]) -> None:
    """Give a cluster its list of providers; what ECS makes for them takes a while."""
    names = [short(name) for name in names]
    _check_providers(call, cluster, names, strategy)
    cluster.joining = {name for name in names if name not in cluster.providers and name not in FARGATE}
    cluster.providers = names
    cluster.strategy = [
        {"capacityProvider": short(one["capacityProvider"]), "weight": one.get("weight", 0), "base": one.get("base", 0)}
        for one in strategy
    ]
    if len(cluster.strategy) == 1 and "weight" not in strategy[0]:
        cluster.strategy[0]["weight"] = 1
    cluster.attachments_status = "UPDATE_IN_PROGRESS"
    later(call.world, ATTACHING, _attached, cluster)


def _attached(cluster: Cluster) -> None:
    cluster.joining = set()
    cluster.attachments_status = "UPDATE_COMPLETE"


@on("ecs", "PutClusterCapacityProviders", rules="ecs-004 ecs-005 ecs-006")
def put_cluster_capacity_providers(call: Call) -> Params:
    cluster = find_cluster(call, active=False)
    if cluster.status != "ACTIVE":
        raise client_error("Cluster was not ACTIVE.")
    if cluster.attachments_status == "UPDATE_IN_PROGRESS":
        raise AwsError(
            "UpdateInProgressException",
            "The specified cluster is in a busy state. Cannot update the capacity providers of the cluster while "
            "another update is in progress.",
        )
    names = call.params.get("capacityProviders")
    strategy = call.params.get("defaultCapacityProviderStrategy")
    if names is None or strategy is None:
        raise invalid("capacityProviders and defaultCapacityProviderStrategy are required.")
    for name in set(cluster.providers) - {short(one) for one in names}:
        if _in_use(cluster, name):
            raise AwsError("ResourceInUseException", "The specified capacity provider is in use and cannot be removed.")
    _attach(call, cluster, names, strategy)
    return {"cluster": cluster_view(cluster)}


def _in_use(cluster: Cluster, name: str) -> bool:
    services = any(name in one.provider_names() for one in cluster.services.values() if one.status != "INACTIVE")
    return services or any(task.provider == name for task in cluster.active_tasks())


# ------------------------------------------------------------------------------------------------ capacity providers


def provider_view(provider: Provider, with_tags: bool = True) -> Item:
    view: Item = {
        "capacityProviderArn": provider.arn,
        "name": provider.name,
        "status": provider.status,
        "cluster": provider.cluster,
        "updateStatus": provider.update_status,
        "updateStatusReason": provider.update_reason,
        "tags": provider.tags if with_tags else [],
    }
    if provider.managed is not None:
        view["managedInstancesProvider"] = provider.managed
        view["type"] = "MANAGED_INSTANCES"
    else:
        view["type"] = "EC2_AUTOSCALING"
        view["autoScalingGroupProvider"] = {
            "autoScalingGroupArn": provider.group_arn,
            "managedScaling": provider.scaling,
            "managedTerminationProtection": provider.protection,
            "managedDraining": provider.draining,
        }
    return without_none(view)


def _fargate_view(region: Region, name: str, with_tags: bool) -> Item:
    return {
        "capacityProviderArn": arn(region.name, "capacity-provider", name),
        "name": name,
        "status": "ACTIVE",
        "type": name,
        "tags": region.fargate_tags.get(name, []) if with_tags else [],
    }


def _checked_scaling(given: Item | None) -> Item:
    scaling = {**SCALING_DEFAULTS, **(given or {})}
    if not 1 <= scaling["targetCapacity"] <= 100:
        raise invalid("The managed scaling targetCapacity must be between 1 and 100.")
    least, most = scaling["minimumScalingStepSize"], scaling["maximumScalingStepSize"]
    if not 1 <= least <= 10000 or not 1 <= most <= 10000 or least > most:
        raise invalid("The managed scaling step sizes must be between 1 and 10000, the minimum not above the maximum.")
    if not 0 <= scaling["instanceWarmupPeriod"] <= 10000:
        raise invalid("The managed scaling instanceWarmupPeriod must be between 0 and 10000.")
    if scaling["status"] not in ("ENABLED", "DISABLED"):
        raise invalid("The managed scaling status must be ENABLED or DISABLED.")
    return scaling


def _check_protection(protection: str, scaling: Item, group: Any) -> None:
    if protection not in ("ENABLED", "DISABLED"):
        raise invalid("The managed termination protection must be ENABLED or DISABLED.")
    if protection == "DISABLED":
        return
    start = "The managed termination protection setting for the capacity provider is invalid. To enable managed "
    if scaling["status"] != "ENABLED":
        raise client_error(f"{start}termination protection for a capacity provider, managed scaling must be enabled.")
    unprotected = any(not one.protected and not one.leaving for one in group.instances.values())
    if not group.new_instances_protected or unprotected:
        raise client_error(
            f"{start}termination protection for a capacity provider, the Auto Scaling group must have instance "
            "protection from scale in enabled."
        )


def _group(call: Call, name_or_arn: str) -> Any:
    name = name_or_arn.rpartition("autoScalingGroupName/")[2]
    group = autoscaling.groups(call.world, call.region).get(name)
    if group is None or (name_or_arn.startswith("arn:") and group.arn != name_or_arn) or group.status is not None:
        raise client_error(
            "The specified Auto Scaling group ARN is invalid: the Auto Scaling group cannot be found. Specify a valid "
            "Auto Scaling group ARN and try again."
        )
    return group


@on("ecs", "CreateCapacityProvider", rules="ecs-007 ecs-008 ecs-009 ecs-010 ecs-011 ecs-017")
def create_capacity_provider(call: Call) -> Params:
    params, region = call.params, here(call)
    name = params.get("name") or ""
    if not NAME.fullmatch(name) or name.lower().startswith(("aws", "ecs", "fargate")):
        raise invalid(
            "The specified capacity provider name is invalid. Up to 255 characters are allowed, including letters "
            '(upper and lowercase), numbers, underscores, and hyphens. The name cannot be prefixed with "aws", '
            '"ecs", or "fargate". Specify a valid name and try again.'
        )
    if name in region.providers and region.providers[name].status != "INACTIVE":
        raise client_error(
            "The specified capacity provider already exists. To change the configuration of an existing capacity "
            "provider, update the capacity provider."
        )
    tags = checked_tags(params.get("tags"))
    provider = Provider(name, arn(call.region, "capacity-provider", name), tags)
    given, managed = params.get("autoScalingGroupProvider"), params.get("managedInstancesProvider")
    if bool(given) == bool(managed):
        raise invalid("Specify either an Auto Scaling group provider or a Managed Instances provider, and try again.")
    if managed:
        _make_managed(call, provider, managed)
    else:
        _make_for_group(call, provider, given or {})
    region.providers[name] = provider
    return {"capacityProvider": provider_view(provider)}


def _make_for_group(call: Call, provider: Provider, given: Item) -> None:
    group = _group(call, given.get("autoScalingGroupArn") or "")
    for other in here(call).providers.values():
        if other.group_arn == group.arn and other.status != "INACTIVE":
            raise client_error(
                "The specified Auto Scaling group ARN is already being used by another capacity provider. Specify a "
                "unique Auto Scaling group ARN and try again."
            )
    provider.group_arn = group.arn
    provider.scaling = _checked_scaling(given.get("managedScaling"))
    provider.protection = given.get("managedTerminationProtection") or "DISABLED"
    provider.draining = given.get("managedDraining") or "ENABLED"
    _check_protection(provider.protection, provider.scaling, group)
    autoscaling.add_tag(call.world, call.region, group.name, "AmazonECSManaged", "")
    if provider.draining == "ENABLED":
        autoscaling.add_hook(call.world, call.region, group.name, "ecs-managed-draining-termination-hook", 3600)


def _make_managed(call: Call, provider: Provider, given: Item) -> None:
    """A Managed Instances provider belongs to one cluster, and is PROVISIONING at first."""
    if not call.params.get("cluster"):
        raise invalid("A cluster is required for a Managed Instances capacity provider.")
    cluster = find_cluster(call)
    provider.cluster = cluster.name
    provider.managed = {"propagateTags": "NONE", **copy.deepcopy(given)}
    provider.status, provider.update_status = "PROVISIONING", "CREATE_IN_PROGRESS"
    later(call.world, MANAGED_PROVIDER, _managed_ready, cluster, provider)


def _managed_ready(cluster: Cluster, provider: Provider) -> None:
    if provider.status == "PROVISIONING":
        provider.status, provider.update_status = "ACTIVE", "CREATE_COMPLETE"
        if provider.name not in cluster.providers:
            cluster.providers.append(provider.name)


@on("ecs", "DescribeCapacityProviders", rules="ecs-013")
def describe_capacity_providers(call: Call) -> Params:
    region, names = here(call), call.params.get("capacityProviders") or []
    with_tags = "TAGS" in (call.params.get("include") or [])
    if len(names) > 100:
        raise invalid("Capacity providers cannot have more than 100 elements.")
    shown, failures = [], []
    wanted = names or [*FARGATE, *(one.name for one in region.providers.values() if one.status != "INACTIVE")]
    cluster = short(call.params.get("cluster") or "")
    for name in wanted:
        provider = region.providers.get(short(name))
        if short(name) in FARGATE:
            shown.append(_fargate_view(region, short(name), with_tags))
        elif provider is None:
            missing = name if name.startswith("arn:") else arn(call.region, "capacity-provider", name)
            failures.append({"arn": missing, "reason": "MISSING"})
        elif not cluster or provider.cluster in (None, cluster):
            shown.append(provider_view(provider, with_tags))
    answer = page(call, shown, "capacityProviders", default=100 if names else 10)
    return {**answer, "failures": failures}


def _provider(call: Call, name: str) -> Provider:
    if short(name) in FARGATE:
        raise invalid(f"The capacity provider {short(name)} is reserved and cannot be modified or deleted.")
    provider = here(call).providers.get(short(name))
    if provider is None or provider.status == "INACTIVE":
        raise client_error("The specified capacity provider does not exist. Specify a valid name or ARN and try again.")
    return provider


def _clusters_with(region: Region, name: str) -> list[Cluster]:
    return [one for one in region.clusters.values() if name in one.providers and one.status != "INACTIVE"]


@on("ecs", "UpdateCapacityProvider", rules="ecs-004 ecs-009 ecs-017")
def update_capacity_provider(call: Call) -> Params:
    provider = _provider(call, call.params.get("name") or "")
    busy = any(one.attachments_status == "UPDATE_IN_PROGRESS" for one in _clusters_with(here(call), provider.name))
    if busy or provider.update_status in ("UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
        raise AwsError(
            "UpdateInProgressException", "The capacity provider cannot be updated while an update is in progress."
        )
    if provider.managed is not None:
        provider.managed.update(call.params.get("managedInstancesProvider") or {})
    else:
        given = call.params.get("autoScalingGroupProvider") or {}
        group = _group(call, provider.group_arn or "")
        scaling = _checked_scaling({**provider.scaling, **(given.get("managedScaling") or {})})
        protection = given.get("managedTerminationProtection") or provider.protection
        _check_protection(protection, scaling, group)
        provider.scaling, provider.protection = scaling, protection
        provider.draining = given.get("managedDraining") or provider.draining
        if provider.draining == "ENABLED":
            autoscaling.add_hook(call.world, call.region, group.name, "ecs-managed-draining-termination-hook", 3600)
    provider.update_status = "UPDATE_IN_PROGRESS"
    later(call.world, 10, _updated, provider)
    return {"capacityProvider": provider_view(provider)}


def _updated(provider: Provider) -> None:
    if provider.update_status == "UPDATE_IN_PROGRESS":
        provider.update_status = "UPDATE_COMPLETE"


@on("ecs", "DeleteCapacityProvider", rules="ecs-012 ecs-013")
def delete_capacity_provider(call: Call) -> Params:
    provider, region = _provider(call, call.params.get("capacityProvider") or ""), here(call)
    for cluster in _clusters_with(region, provider.name):
        if provider.managed is None:
            raise client_error(
                "The capacity provider cannot be deleted because it is associated with cluster: "
                f"{cluster.name}. Remove the capacity provider from the cluster and try again."
            )
    for cluster in region.clusters.values():
        if _in_use(cluster, provider.name):
            raise client_error(
                "The capacity provider cannot be deleted because it is in use by a service or task in cluster: "
                f"{cluster.name}."
            )
    if provider.update_status != "DELETE_IN_PROGRESS":
        provider.update_status, provider.update_reason = "DELETE_IN_PROGRESS", None
        if provider.managed is not None:
            provider.status = "DEPROVISIONING"
        later(call.world, DELETING_PROVIDER, _deleted, call.world, call.region, provider)
    return {"capacityProvider": provider_view(provider)}


def _deleted(world: World, region_name: str, provider: Provider) -> None:
    """The end of a provider. Without its group it fails, the first time: the rest of ECS's own cleaning is in the group."""
    gone = provider.managed is None and provider.group not in autoscaling.groups(world, region_name)
    if gone and not provider.failed_before:
        provider.failed_before = True
        provider.update_status = "DELETE_FAILED"
        provider.update_reason = (
            "The capacity provider cannot be deleted because its Auto Scaling group cannot be found. Try again."
        )
        return
    provider.status, provider.update_status = "INACTIVE", "DELETE_COMPLETE"
    for cluster in region_of(world, region_name).clusters.values():
        if provider.managed is not None and provider.name in cluster.providers:
            cluster.providers.remove(provider.name)


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
        "versionInfo": ecs_agent.AGENT,
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
            ecs_agent.drain(call.world, cluster, instance)
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
        ecs_life.orphan(call.world, task)
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


# ------------------------------------------------------------------------------------------------ tags


def _tag_place(call: Call, resource: str) -> tuple[Any, str]:
    """What holds a resource's tags (an object and the attribute's name, or a dict and its key)."""
    region, parts = here(call), resource.partition(":ecs:")[2].split(":", 2)
    if len(parts) < 3 or parts[0] != call.region:
        raise invalid("Invalid resource ARN: Long arn format must be used for tagging operations")
    kind, _, rest = parts[2].partition("/")
    names = rest.split("/")
    holder: Any = None
    if kind == "cluster":
        holder = region.clusters.get(names[0])
        if holder is not None and holder.status == "INACTIVE":
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
    elif kind == "capacity-provider":
        if names[0] in FARGATE:
            return region.fargate_tags, names[0]
        holder = region.providers.get(names[0])
    elif kind == "task-definition":
        if resource in region.definition_tags:
            return region.definition_tags, resource
    elif kind in ("task", "service", "container-instance") and len(names) == 2:
        cluster = region.clusters.get(names[0])
        kinds = {"task": "tasks", "service": "services", "container-instance": "instances"}
        holder = getattr(cluster, kinds[kind]).get(names[1]) if cluster is not None else None
    if holder is None:
        what = {"cluster": "ClusterNotFoundException", "service": "ServiceNotFoundException"}
        if kind in what:
            raise AwsError(what[kind], f"{kind.capitalize()} not found.")
        raise invalid(f"The specified {kind} is not found. Specify a valid ARN and try again.")
    return holder, "tags"


def _tags(place: tuple[Any, str]) -> Tags:
    holder, key = place
    tags: Tags = holder.get(key, []) if isinstance(holder, dict) else getattr(holder, key)
    return tags


def _keep_tags(place: tuple[Any, str], tags: Tags) -> None:
    holder, key = place
    if isinstance(holder, dict):
        holder[key] = tags
    else:
        setattr(holder, key, tags)


@on("ecs", "TagResource")
def tag_resource(call: Call) -> Params:
    place = _tag_place(call, call.params.get("resourceArn") or "")
    _keep_tags(place, merged(_tags(place), checked_tags(call.params.get("tags"))))
    return {}


@on("ecs", "UntagResource")
def untag_resource(call: Call) -> Params:
    place, keys = _tag_place(call, call.params.get("resourceArn") or ""), call.params.get("tagKeys") or []
    _keep_tags(place, [tag for tag in _tags(place) if tag["key"] not in keys])
    return {}


@on("ecs", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> Params:
    return {"tags": _tags(_tag_place(call, call.params.get("resourceArn") or ""))}


# ------------------------------------------------------------------------------------------------ account settings

ACCOUNT_SETTINGS = {
    "serviceLongArnFormat": "enabled",
    "taskLongArnFormat": "enabled",
    "containerInstanceLongArnFormat": "enabled",
    "awsvpcTrunking": "disabled",
    "containerInsights": "disabled",
    "fargateFIPSMode": "disabled",
    "tagResourceAuthorization": "off",
    "fargateTaskRetirementWaitPeriod": "7",
    "guardDutyActivate": "off",
    "defaultLogDriverMode": "non-blocking",
}


def _account_setting(name: str, value: str) -> Item:
    return {"name": name, "value": value, "principalArn": f"arn:aws:iam::{ACCOUNT}:root", "type": "user"}


@on("ecs", "PutAccountSetting", "PutAccountSettingDefault", "DeleteAccountSetting")
def put_account_setting(call: Call) -> Params:
    name, settings = call.params.get("name") or "", here(call).account_settings
    if name not in ACCOUNT_SETTINGS:
        raise invalid(f"Invalid account setting name: {name}.")
    if call.operation == "DeleteAccountSetting":
        settings.pop(name, None)
    elif name.endswith("LongArnFormat") and call.params.get("value") != "enabled":
        raise invalid("You cannot opt out of the long ARN format.")
    else:
        settings[name] = call.params.get("value") or ""
    return {"setting": _account_setting(name, settings.get(name, ACCOUNT_SETTINGS[name]))}


@on("ecs", "ListAccountSettings")
def list_account_settings(call: Call) -> Params:
    own = here(call).account_settings
    values = {**ACCOUNT_SETTINGS, **own} if call.params.get("effectiveSettings") else own
    name, value = call.params.get("name"), call.params.get("value")
    found = [
        _account_setting(key, text)
        for key, text in sorted(values.items())
        if (not name or key == name) and (not value or text == value)
    ]
    return page(call, found, "settings", default=10)


@on("ecs", "DiscoverPollEndpoint")
def discover_poll_endpoint(call: Call) -> Params:
    """Where the agent asks for work; the emulator's agents do not."""
    host = f"https://ecs-a-1.{call.region}.amazonaws.com/"
    return {"endpoint": host, "telemetryEndpoint": host.replace("ecs-a", "ecs-t")}


@on("ecs", "RegisterContainerInstance")
def register_container_instance(call: Call) -> Params:
    """Only the agent on an instance calls this, with the instance's own signed identity."""
    cluster = here(call).clusters.get(cluster_name(call))
    if cluster is None or cluster.status != "ACTIVE":
        raise client_error("Cluster not found.")
    raise client_error("The instance identity document signature could not be verified.")
