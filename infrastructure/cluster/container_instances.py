"""The cluster's hosts as ECS knows them: container instances, with the GPUs that they have and have left.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/create-capacity.html
"""

from typing import Any

import constants
from aws import Problem, accepted, client
from console import say
from infrastructure.cluster import cluster
from infrastructure.cluster.checks import gpu_count

#: a host bears this attribute where its AMI and its ECS agent can share a GPU between tasks
SHARING = "ecs.capability.gpu-sharing-mps"
#: and this one where it carries many interfaces on one trunk
TRUNK = "ecs.awsvpc-trunk-id"


def describe(status: str = "ACTIVE") -> list[dict[str, Any]]:
    """The cluster's hosts as ECS knows them."""
    ecs = client("ecs")
    found: list[dict[str, Any]] = []
    for page in ecs.get_paginator("list_container_instances").paginate(
        cluster=constants.CLUSTER_NAME, **({"status": status} if status else {})
    ):
        if page["containerInstanceArns"]:
            described = ecs.describe_container_instances(
                cluster=constants.CLUSTER_NAME, containerInstances=page["containerInstanceArns"]
            )
            found += described["containerInstances"]
    return found


def described_type() -> dict[str, Any]:
    """INSTANCE_TYPE as EC2 describes it."""
    [found] = client("ec2").describe_instance_types(InstanceTypes=[constants.INSTANCE_TYPE])["InstanceTypes"]
    return dict(found)


def gpus(host: dict[str, Any], key: str = "registeredResources") -> list[str]:
    """The ids of the GPUs that a host registered, or has left (remainingResources)."""
    return [gpu for resource in host[key] if resource["name"] == "GPU" for gpu in resource.get("stringSetValue", [])]


def gpu_devices(host: dict[str, Any]) -> list[dict[str, Any]]:
    """Its GPUs with their memory, as ECS tells it of hosts that can share them."""
    return list(host.get("gpuDevices", []))


def refuse_without_sharing() -> int:
    """Hosts that can't share a GPU, or whose GPUs are too small. MiB of the largest GPU; 0 while there is no host."""
    hosts = describe() if constants.GPU_SHARING else []
    able = [host for host in hosts if SHARING in [each["name"] for each in host["attributes"]]]
    if hosts and not able:
        raise Problem(
            f"GPU_SHARING={constants.GPU_SHARING}: none of the {len(hosts)} hosts has the attribute {SHARING}; their AMI or ECS agent "
            "is too old: leave AMI_ID empty for the current one, and bring new hosts with update_cluster.py"
        )
    memory = max((gpu["totalMemoryInMiB"] for host in able for gpu in gpu_devices(host)), default=0)
    if able and memory < constants.GPU_MEMORY_MIB:
        raise Problem(
            f"GPU_MEMORY_MIB={constants.GPU_MEMORY_MIB} is more than a GPU of the hosts has for containers: {memory} MiB"
        )
    return memory


def free_places(host: dict[str, Any], described: dict[str, Any]) -> dict[str, int]:
    """How many tasks more find a place on a host, by each of the things that limit it; as checks.places."""
    found: dict[str, int] = {}
    if constants.GPU_SHARING:
        shared = [gpu["remainingMemoryInMiB"] for gpu in gpu_devices(host) if gpu["sharingMode"] != "DEDICATED"]
        found["GPU"] = sum(free // constants.GPU_MEMORY_MIB for free in shared)
    elif constants.GPU_COUNT:
        found["GPU"] = len(gpus(host, "remainingResources")) // constants.GPU_COUNT
    if constants.NETWORK_MODE == "awsvpc" and TRUNK not in [each["name"] for each in host["attributes"]]:
        tasks = host["runningTasksCount"] + host["pendingTasksCount"]  # each has one, and the host its own
        found["network interface"] = described["NetworkInfo"]["MaximumNetworkInterfaces"] - 1 - tasks
    return found


def warn_of_missing_gpus(hosts: list[dict[str, Any]]) -> None:
    """A host that registers fewer GPUs than its type has looks healthy, and is not."""
    attributes = {host["ec2InstanceId"]: {a["name"]: a.get("value") for a in host["attributes"]} for host in hosts}
    types = sorted({found["ecs.instance-type"] for found in attributes.values()})
    described = client("ec2").describe_instance_types(InstanceTypes=types)["InstanceTypes"] if types else []
    expected = {each["InstanceType"]: gpu_count(each) for each in described}
    for host in hosts if constants.GPU_COUNT else []:
        host_type = attributes[host["ec2InstanceId"]]["ecs.instance-type"]
        if len(gpus(host)) < expected[host_type]:
            say(
                "warning",
                f"host {host['ec2InstanceId']} registered {len(gpus(host))} of the {expected[host_type]} GPUs of a {host_type}:",
                "terminate it, the Auto Scaling group brings another",
            )


def deregister() -> None:
    """ECS forgets a terminated host after some minutes; the cluster can't go before that, so tell it now."""
    if not cluster.find():
        return
    for host in describe(status=""):
        accepted(
            lambda: client("ecs").deregister_container_instance(
                cluster=constants.CLUSTER_NAME, containerInstance=host["containerInstanceArn"], force=True
            ),
            "InvalidParameterException",
        )
