"""How a cluster is shown."""

from __future__ import annotations

import uuid
from collections import Counter

from emulator.ecs import tasks
from emulator.ecs.state import FARGATE, Cluster, Item, without_none


def cluster_view(cluster: Cluster, include: list[str] | None = None) -> Item:
    """A cluster; settings, tags and so on only if they are asked for, as DescribeClusters has it."""
    shown = ("SETTINGS", "TAGS", "CONFIGURATIONS", "ATTACHMENTS") if include is None else tuple(include)
    counts = tasks.statistics(cluster)
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
