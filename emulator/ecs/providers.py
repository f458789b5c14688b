"""Capacity providers, and which of them a cluster has.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/clusters.html
"""

from __future__ import annotations

import copy
import re
from typing import Any

from emulator.autoscaling import groups as autoscaling_groups
from emulator.core import rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import World
from emulator.ecs import checks
from emulator.ecs.state import (
    FARGATE,
    Cluster,
    Item,
    Provider,
    Region,
    arn,
    checked_tags,
    client_error,
    find_cluster,
    here,
    invalid,
    page,
    region_of,
    short,
    without_none,
)
from emulator.ecs.views import cluster_view

rules.SENTENCES.update(
    {
        "ecs-004": "PutClusterCapacityProviders is UPDATE_IN_PROGRESS for about 20 s, and refuses changes meanwhile.",
        "ecs-005": "PutClusterCapacityProviders replaces the list; each provider must be ACTIVE.",
        "ecs-006": "A provider that a service or task uses can not be taken off its cluster.",
        "ecs-007": "A provider's name and its Auto Scaling group serve once: the second time is a ClientException.",
        "ecs-008": "A provider's name does not begin with aws, ecs or fargate.",
        "ecs-009": "Managed termination protection needs managed scaling and a group that protects new instances.",
        "ecs-011": "A provider for a group is ACTIVE at once, one for Managed Instances after some 30 s.",
        "ecs-012": "A provider is not deleted while a cluster or a service names it.",
        "ecs-013": "Deleting a provider takes about 25 s, and fails if its group is gone already.",
    }
)

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
ATTACHING, DELETING_PROVIDER, MANAGED_PROVIDER = 20, 25, 30
SCALING_DEFAULTS: Item = {
    "status": "DISABLED",
    "targetCapacity": 100,
    "minimumScalingStepSize": 1,
    "maximumScalingStepSize": 10000,
    "instanceWarmupPeriod": 300,
}


# ------------------------------------------------------------------------------------------------ of a cluster


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
                f"The specified capacity provider '{name}' is not in an ACTIVE state. Specify a valid capacity "
                "provider and try again."
            )
        if provider is not None and provider.scales:
            for other in region.clusters.values():
                if other is not cluster and other.status == "ACTIVE" and name in other.providers:
                    raise invalid(
                        f"The specified capacity provider '{name}' uses managed scaling and is already associated with "
                        f"cluster: {other.name}."
                    )
    trial = Cluster(cluster.name, cluster.arn, "ACTIVE", 0, [], {}, [], providers=names)
    checks.check_strategy(trial, region.providers, strategy)


def _settled(provider: Provider) -> bool:
    return provider.update_status not in ("DELETE_IN_PROGRESS", "CREATE_IN_PROGRESS")


def attach(call: Call, cluster: Cluster, names: list[str], strategy: list[Item]) -> None:
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
    call.world.after(ATTACHING, _attached, cluster)


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
    attach(call, cluster, names, strategy)
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
    group = autoscaling_groups.groups(call.world, call.region).get(name)
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
    autoscaling_groups.add_tag(call.world, call.region, group.name, "AmazonECSManaged", "")
    if provider.draining == "ENABLED":
        autoscaling_groups.add_hook(call.world, call.region, group.name, "ecs-managed-draining-termination-hook", 3600)


def _make_managed(call: Call, provider: Provider, given: Item) -> None:
    """A Managed Instances provider belongs to one cluster, and is PROVISIONING at first."""
    if not call.params.get("cluster"):
        raise invalid("A cluster is required for a Managed Instances capacity provider.")
    cluster = find_cluster(call)
    provider.cluster = cluster.name
    provider.managed = {"propagateTags": "NONE", **copy.deepcopy(given)}
    provider.status, provider.update_status = "PROVISIONING", "CREATE_IN_PROGRESS"
    call.world.after(MANAGED_PROVIDER, _managed_ready, cluster, provider)


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
            autoscaling_groups.add_hook(
                call.world, call.region, group.name, "ecs-managed-draining-termination-hook", 3600
            )
    provider.update_status = "UPDATE_IN_PROGRESS"
    call.world.after(10, _updated, provider)
    return {"capacityProvider": provider_view(provider)}


def _updated(provider: Provider) -> None:
    if provider.update_status == "UPDATE_IN_PROGRESS":
        provider.update_status = "UPDATE_COMPLETE"


@on("ecs", "DeleteCapacityProvider", rules="ecs-012 ecs-013")
def delete_capacity_provider(call: Call) -> Params:
    provider, region = _provider(call, call.params.get("capacityProvider") or ""), here(call)
    if call.world.settings.failing_provider_deletions:
        call.world.settings.failing_provider_deletions -= 1
        provider.update_status = "DELETE_FAILED"
        provider.update_reason = "The capacity provider cannot be deleted because it is associated with a cluster."
        return {"capacityProvider": provider_view(provider)}
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
        call.world.after(DELETING_PROVIDER, _deleted, call.world, call.region, provider)
    return {"capacityProvider": provider_view(provider)}


def _deleted(world: World, region_name: str, provider: Provider) -> None:
    """The end of a provider. Without its group it fails the first time (whether a second try helps is unverified)."""
    gone = provider.managed is None and provider.group not in autoscaling_groups.groups(world, region_name)
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
