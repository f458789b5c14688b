"""What the emulator remembers of ECS in one region, and what all its ECS modules share: ARNs, look-ups, pages, time.

moto's ECS is not asked for anything: clusters, definitions, tasks and services are all kept here.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emulator.core import partitions
from emulator.core.rules import AwsError, Call
from emulator.core.tags import bearer, plain
from emulator.core.world import ACCOUNT, World

Item = dict[str, Any]
Tags = list[dict[str, str]]

FARGATE = ("FARGATE", "FARGATE_SPOT")


@dataclass
class Held:
    """What one task has booked on its container instance."""

    cpu: int = 0
    memory: int = 0
    gpus: dict[str, int] = field(default_factory=dict)  # GPU id -> MiB of its memory; 0: the whole GPU
    tcp: set[int] = field(default_factory=set)
    udp: set[int] = field(default_factory=set)
    interfaces: int = 0


@dataclass
class Instance:
    """A container instance: an EC2 instance on which the agent has registered."""

    arn: str
    ec2_id: str
    type: str
    zone: str
    subnet: str
    group: str | None  # its Auto Scaling group
    role: str | None
    cpu: int
    memory: int
    gpus: list[str]
    gpu_memory: int
    interfaces: int  # how many tasks may have an interface of their own here
    attributes: dict[str, str]
    registered: datetime
    tags: Tags
    status: str = "ACTIVE"
    connected: bool = True
    silent: bool = False  # its agent was disconnected before it was terminated
    version: int = 1
    held: dict[str, Held] = field(default_factory=dict)  # by task id
    images: set[str] = field(default_factory=set)  # pulled before, so there at once
    managed: str | None = None  # the Managed Instances provider that it belongs to
    gpu_name: str = ""
    watched: bool = False  # the CloudWatch agent runs on it
    disk: float = 0  # GiB under Docker; 0: it is not looked at

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]


@dataclass
class Task:
    arn: str
    region: str
    cluster: str
    definition: Item
    group: str
    launch_type: str
    created: datetime
    visible_at: float
    provider: str | None = None
    started_by: str | None = None
    network: Item | None = None
    overrides: Item = field(default_factory=dict)
    constraints: list[Item] = field(default_factory=list)
    placement: list[Item] = field(default_factory=list)
    tags: Tags = field(default_factory=list)
    platform: str | None = None
    exec_enabled: bool = False
    last: str = "PROVISIONING"
    desired: str = "RUNNING"
    instance: Instance | None = None
    zone: str | None = None
    subnet: str | None = None
    interface: Item | None = None
    containers: list[Item] = field(default_factory=list)
    attachments: list[Item] = field(default_factory=list)
    times: dict[str, datetime] = field(default_factory=dict)
    stop_code: str | None = None
    stopped_reason: str | None = None
    exec_ready: float | None = None  # when the SSM agent in it can be reached
    targets: list[Item] = field(default_factory=list)  # where a service has registered it
    service: str | None = None
    deployment: str | None = None
    balanced: bool = False  # its service puts it behind a load balancer
    failed: bool = False  # never came up, or failed its health checks: counts for the circuit breaker
    connected_at: datetime | None = None
    protected_until: datetime | None = None
    rounds: int = 0  # at time scale 0: how often it has been looked at for capacity
    version: int = 1

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def active(self) -> bool:
        return self.last != "STOPPED"

    @property
    def awsvpc(self) -> bool:
        return bool(self.definition.get("networkMode") == "awsvpc")


@dataclass
class Cluster:
    name: str
    arn: str
    status: str
    visible_at: float
    settings: list[Item]
    configuration: Item
    tags: Tags
    service_connect: Item = field(default_factory=dict)
    providers: list[str] = field(default_factory=list)
    strategy: list[Item] = field(default_factory=list)
    attachments_status: str | None = None
    joining: set[str] = field(default_factory=set)  # providers that are only being attached
    instances: dict[str, Instance] = field(default_factory=dict)  # by id
    tasks: dict[str, Task] = field(default_factory=dict)  # by id
    serving: dict[str, dict[str, Task]] = field(default_factory=dict)  # service -> its tasks that are not STOPPED
    waiting: list[Task] = field(default_factory=list)  # PROVISIONING until there is capacity
    services: dict[str, Any] = field(default_factory=dict)  # name -> service_scheduler.Service
    tokens: dict[str, tuple[Item, list[str], float]] = field(default_factory=dict)  # what for, the tasks, since when

    def active_tasks(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.active]


@dataclass
class Provider:
    name: str
    arn: str
    tags: Tags
    status: str = "ACTIVE"
    update_status: str | None = None
    update_reason: str | None = None
    group_arn: str | None = None
    scaling: Item = field(default_factory=dict)
    protection: str = "DISABLED"
    draining: str = "DISABLED"
    managed: Item | None = None  # of a Managed Instances provider
    cluster: str | None = None  # likewise
    failed_before: bool = False
    empty_since: dict[str, float] = field(default_factory=dict)  # instance id -> since when it has had no task

    @property
    def group(self) -> str:
        """Name of its Auto Scaling group."""
        return (self.group_arn or "").rpartition("autoScalingGroupName/")[2]

    @property
    def scales(self) -> bool:
        return self.managed is not None or self.scaling.get("status") == "ENABLED"


@dataclass
class Region:
    name: str
    clusters: dict[str, Cluster] = field(default_factory=dict)
    providers: dict[str, Provider] = field(default_factory=dict)
    fargate_tags: dict[str, Tags] = field(default_factory=dict)
    definitions: dict[str, dict[int, Item]] = field(default_factory=dict)
    definition_tags: dict[str, Tags] = field(default_factory=dict)
    last_revision: dict[str, int] = field(default_factory=dict)
    account_settings: dict[str, str] = field(default_factory=dict)
    booting: dict[str, float] = field(default_factory=dict)  # EC2 instance id -> when its agent next tries
    last_scaling: float = 0.0


def region_of(world: World, region: str) -> Region:
    regions: dict[str, Region] = world.state["ecs"]
    if region not in regions:
        regions[region] = Region(region)
    return regions[region]


def here(call: Call) -> Region:
    return region_of(call.world, call.region)


# ------------------------------------------------------------------------------------------------ errors


def invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)


def client_error(message: str) -> AwsError:
    return AwsError("ClientException", message)


# ------------------------------------------------------------------------------------------------ names


def arn(region: str, kind: str, *names: str) -> str:
    return f"arn:{partitions.here()}:ecs:{region}:{ACCOUNT}:{kind}/" + "/".join(names)


def new_id() -> str:
    return uuid.uuid4().hex


def short(name_or_arn: str) -> str:
    """The last part of an ARN, or a name as it is."""
    return name_or_arn.rpartition("/")[2]


def cluster_name(call: Call) -> str:
    return short(call.params.get("cluster") or "default")


def find_cluster(call: Call, *, active: bool = True) -> Cluster:
    """The cluster that the call names; without a name it is the one called default."""
    region = here(call)
    cluster = region.clusters.get(cluster_name(call))
    if cluster is None:
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    if cluster.status == "INACTIVE":
        raise AwsError("ClusterNotFoundException", "The referenced cluster was inactive.")
    if active and cluster.status != "ACTIVE":
        raise AwsError("ClusterNotFoundException", "Cluster not found.")
    return cluster


def find_task(cluster: Cluster, name: str, world: World) -> Task | None:
    """A task by id or ARN; just after RunTask it is not found yet (eventual consistency)."""
    if ":task/" in name and f"task/{cluster.name}/" not in name:
        return None
    task = cluster.tasks.get(short(name))
    return task if task is not None and world.now() >= task.visible_at else None


def definition_name(definition: Item) -> str:
    return f"{definition['family']}:{definition['revision']}"


# ------------------------------------------------------------------------------------------------ tags, pages


def checked_tags(tags: Tags | None) -> Tags:
    """The tags of a call: at most 50, no key twice, and none in AWS's own namespace."""
    tags = [{"key": tag.get("key", ""), "value": tag.get("value", "")} for tag in tags or []]
    keys = [tag["key"] for tag in tags]
    if len(tags) > 50:
        raise invalid("The maximum number of tags has been reached: 50.")
    if len(set(keys)) < len(keys):
        raise invalid("Duplicate tag keys are not allowed.")
    if any(key.lower().startswith("aws:") for key in keys):
        raise invalid("Tag keys cannot start with aws:.")
    return tags


def merged(*layers: Iterable[dict[str, str]]) -> Tags:
    """Tags of several origins in one; the later ones win."""
    found = {tag["key"]: tag["value"] for layer in layers for tag in layer}
    return [{"key": key, "value": value} for key, value in found.items()]


def page(call: Call, items: list[Any], key: str, default: int = 100) -> Item:
    """One page of a list, with the token of the next one."""
    size = call.params.get("maxResults") or default
    if not 1 <= size <= 100:
        raise invalid("maxResults must be between 1 and 100.")
    token = call.params.get("nextToken")
    try:
        start = int(base64.b64decode(token, validate=True).decode().removeprefix("ecs:")) if token else 0
    except (ValueError, UnicodeDecodeError):
        raise invalid("Invalid token.") from None
    answer: Item = {key: items[start : start + size]}
    if start + size < len(items):
        answer["nextToken"] = base64.b64encode(f"ecs:{start + size}".encode()).decode()
    return answer


def without_none(item: Item) -> Item:
    return {key: value for key, value in item.items() if value is not None}


@bearer
def tagged(world: World, region: str) -> Iterator[tuple[str, dict[str, str]]]:
    """What has an ARN of ECS. A task definition that is being deleted has left the index already."""
    state: Region | None = world.state["ecs"].get(region)
    if state is None:
        return
    for provider in state.providers.values():
        yield provider.arn, plain(provider.tags)
    for cluster in state.clusters.values():
        if cluster.status != "INACTIVE":
            yield cluster.arn, plain(cluster.tags)
        for one in (*cluster.services.values(), *cluster.instances.values(), *cluster.active_tasks()):
            if getattr(one, "status", "") != "INACTIVE":
                yield one.arn, plain(one.tags)
    for revisions in state.definitions.values():
        for definition in revisions.values():
            arn = definition["taskDefinitionArn"]
            if definition.get("status") != "DELETE_IN_PROGRESS":
                yield arn, plain(state.definition_tags.get(arn, []))
