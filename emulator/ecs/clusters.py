"""Clusters, the tags of whatever ECS has, and account settings."""

from __future__ import annotations

import copy
import re
from typing import Any

from emulator.core import partitions, rules
from emulator.core.rules import AwsError, Call, Params, on
from emulator.core.world import ACCOUNT
from emulator.ecs.providers import attach
from emulator.ecs.state import (
    FARGATE,
    Cluster,
    Item,
    Tags,
    arn,
    checked_tags,
    client_error,
    cluster_name,
    find_cluster,
    here,
    invalid,
    merged,
    page,
    short,
)
from emulator.ecs.views import cluster_view
from emulator.iam import roles as iam_roles

rules.SENTENCES.update(
    {
        "ecs-001": "CreateCluster of an ACTIVE cluster answers it unchanged; an INACTIVE one is made anew.",
        "ecs-002": "A new cluster is PROVISIONING for some seconds, and MISSING for the first two.",
        "ecs-014": "A cluster is not deleted while instances, services, tasks or an update are in it.",
        "ecs-015": "A deleted cluster can still be described, INACTIVE.",
    }
)

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
MISSING_SECONDS, PROVISIONING = 2, 10
DETACHING = 10


# ------------------------------------------------------------------------------------------------ clusters


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
    if not iam_roles.service_linked_role(call.world, "ecs.amazonaws.com"):
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
        visible_at=call.world.now() + call.world.clock.delay(MISSING_SECONDS),
        settings=_setting(params.get("settings")) or [{"name": "containerInsights", "value": default}],
        configuration=params.get("configuration") or {},
        tags=checked_tags(params.get("tags")),
        service_connect=params.get("serviceConnectDefaults") or {},
    )
    if params.get("capacityProviders") or params.get("defaultCapacityProviderStrategy"):
        attach(
            call, cluster, params.get("capacityProviders") or [], params.get("defaultCapacityProviderStrategy") or []
        )
    region.clusters[name] = cluster
    call.world.after(PROVISIONING, _activate, cluster)
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
        if cluster is None or call.world.now() < cluster.visible_at:
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
    if cluster.active_tasks():
        raise AwsError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
    if cluster.instances:
        raise AwsError(
            "ClusterContainsContainerInstancesException",
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        )
    if any(one.cluster == cluster.name and one.status != "INACTIVE" for one in here(call).providers.values()):
        raise AwsError(
            "ClusterContainsCapacityProviderException",
            "The Cluster cannot be deleted while Cluster Scoped Capacity Providers are attached to the cluster.",
        )
    if [name for name in cluster.providers if name not in FARGATE]:
        cluster.status = "DEPROVISIONING"
        call.world.after(DETACHING, _deactivate, cluster)
    else:
        _deactivate(cluster)
    return {"cluster": cluster_view(cluster)}


def _deactivate(cluster: Cluster) -> None:
    cluster.status = "INACTIVE"
    cluster.providers, cluster.strategy, cluster.tags = [], [], []


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
    return {
        "name": name,
        "value": value,
        "principalArn": f"arn:{partitions.here()}:iam::{ACCOUNT}:root",
        "type": "user",
    }


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
    host = f"https://ecs-a-1.{call.region}.{partitions.domain(call.region)}/"
    return {"endpoint": host, "telemetryEndpoint": host.replace("ecs-a", "ecs-t")}


@on("ecs", "RegisterContainerInstance")
def register_container_instance(call: Call) -> Params:
    """Only the agent on an instance calls this, with the instance's own signed identity."""
    cluster = here(call).clusters.get(cluster_name(call))
    if cluster is None or cluster.status != "ACTIVE":
        raise client_error("Cluster not found.")
    raise client_error("The instance identity document signature could not be verified.")
