"""The cluster's hosts as ECS knows them: container instances, with the GPUs that they have and have left.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/create-capacity.html
"""

from typing import Any

import aws
import constants
from aws import Problem, call, client, every
from console import say
from infrastructure.cluster import cluster, costs

NO_CLUSTER = "ClusterNotFoundException"
#: a host bears this attribute where its AMI and its ECS agent can share a GPU between tasks
SHARING = "ecs.capability.gpu-sharing-mps"
#: and this one where it carries many interfaces on one trunk
TRUNK = "ecs.awsvpc-trunk-id"
#: how sentences call what TASK_MEMORY and TASK_CPU take
MEMORY, CPU = "place in memory", "share of the CPU"
#: GPUs, MiB and CPU units
Sizes = tuple[int, int, int]


def describe(status: str = "ACTIVE") -> list[Any]:
    """The hosts; AWS changes by itself what they have left."""
    ecs, its_name, arns = client("ecs"), constants.CLUSTER_NAME, listed(status)
    hundreds = [arns[start : start + 100] for start in range(0, len(arns), 100)]
    read = call(ecs.describe_container_instances, gone=NO_CLUSTER)
    answers = [read(cluster=its_name, containerInstances=each) for each in hundreds]
    return every([answer for answer in answers if answer], "containerInstances")


def listed(status: str = "") -> list[str]:
    """Their ARNs; of those in any state but the ones that ECS has forgotten where no status is asked for."""
    pages: Any = client("ecs").get_paginator("list_container_instances")
    of_status = {"status": status} if status else {}
    found = call(every, gone=NO_CLUSTER)
    return found(pages.paginate(cluster=constants.CLUSTER_NAME, **of_status), "containerInstanceArns") or []


@aws.look
def described_types() -> dict[str, Any]:
    """Our types as EC2 describes them, those that this region has; none on Fargate. In a filter an unknown one is no error."""
    if constants.LAUNCH_TYPE == "FARGATE":
        return {}
    of_ours: Any = [{"Name": "instance-type", "Values": constants.TYPES}]
    found = client("ec2").describe_instance_types(Filters=of_ours)["InstanceTypes"]
    return {each["InstanceType"]: each for each in found}


def described_type(kind: str = "") -> Any:
    """The first of our types, unless it is asked for another; {} where this region has none of that name, and on Fargate."""
    return described_types().get(kind or constants.INSTANCE_TYPE, {})


def spelt(kind: str) -> str:
    """How a sentence calls one of our types."""
    return f"INSTANCE_TYPES: {kind}" if constants.INSTANCE_TYPES else f"INSTANCE_TYPE={kind}"


def gpu_count(described: Any) -> int:
    """How many NVIDIA GPUs an instance type has."""
    return sum(card["Count"] for card in nvidia(described))


def gpu_memory(described: Any) -> int:
    """MiB of each of them; the driver keeps some of it."""
    return max((card["MemoryInfo"]["SizeInMiB"] for card in nvidia(described)), default=0)


def nvidia(described: Any) -> list[Any]:
    cards = described.get("GpuInfo", {}).get("Gpus", [])
    return [card for card in cards if card["Manufacturer"].upper() == "NVIDIA"]


def gpus(host: Any, key: str = "registeredResources") -> list[str]:
    """The ids of the GPUs that a host registered, or has left (remainingResources)."""
    return [gpu for resource in host[key] if resource["name"] == "GPU" for gpu in resource.get("stringSetValue", [])]


def gpu_devices(host: Any) -> list[Any]:
    """Its GPUs with their memory, as ECS tells it of hosts that can share them."""
    return list(host.get("gpuDevices", []))


def refuse_without_sharing() -> int:
    """Hosts that can't share a GPU, or whose GPUs are too small. MiB of the largest GPU; 0 while there is no host."""
    hosts, wanted = describe() if constants.GPU_SHARING else [], constants.GPU_MEMORY_MIB
    able = [host for host in hosts if SHARING in [each["name"] for each in host["attributes"]]]
    if hosts and not able:
        raise Problem(
            f"GPU_SHARING={constants.GPU_SHARING}: none of the {len(hosts)} hosts has the attribute {SHARING}; their AMI or "
            "ECS agent is too old: leave AMI_ID empty for the current one, and bring new hosts with update_cluster.py"
        )
    memory = max((gpu["totalMemoryInMiB"] for host in able for gpu in gpu_devices(host)), default=0)
    if able and memory < wanted:
        raise Problem(f"GPU_MEMORY_MIB={wanted} is more than a GPU of the hosts has for containers: {memory} MiB")
    return memory


def settings_sizes() -> Sizes:
    """What one task takes of its host, as the settings say."""
    return constants.GPU_COUNT, constants.HOST_MEMORY, constants.HOST_CPU


def free_places(host: Any, sizes: Sizes | None = None) -> dict[str, int]:
    """How many tasks more find a place on a host, by each of the things that limit it; as checks.places."""
    found: dict[str, int] = {}
    gpu_count, memory, cpu = sizes or settings_sizes()
    if constants.GPU_SHARING:
        shared = [gpu["remainingMemoryInMiB"] for gpu in gpu_devices(host) if gpu["sharingMode"] != "DEDICATED"]
        found["GPU"] = sum(free // constants.GPU_MEMORY_MIB for free in shared)
    elif gpu_count:
        free = len(gpus(host, "remainingResources"))
        found["GPU"] = int(free == len(gpus(host)) > 0) if constants.ALL_GPUS else free // gpu_count
    left = {each["name"]: each.get("integerValue", 0) for each in host["remainingResources"]}
    if memory:
        found[MEMORY] = left["MEMORY"] // memory
    if cpu:
        found[CPU] = left["CPU"] // cpu
    if constants.NETWORK_MODE == "awsvpc" and TRUNK not in [each["name"] for each in host["attributes"]]:
        tasks = host["runningTasksCount"] + host["pendingTasksCount"]  # each has one, and the host its own
        described = described_type(type_of(host)) or described_type()
        found["network interface"] = described["NetworkInfo"]["MaximumNetworkInterfaces"] - 1 - tasks
    return found


def is_usable(host: Any) -> bool:
    """Whether its agent is connected, and it has registered all the GPUs of its type, where tasks want any."""
    return bool(host["agentConnected"]) and not lacks_gpus(host)


def lacks_gpus(host: Any) -> bool:
    known = type_of(host) in constants.TYPES
    return bool(constants.GPU_COUNT) and known and len(gpus(host)) < gpu_count(described_type())


def why_unusable(host_ids: list[str]) -> str:
    """Of those of these hosts that have joined, and yet lack what they should have."""
    found = [host for host in describe("") if host["ec2InstanceId"] in host_ids and host["agentConnected"]]
    wanted = f"of {gpu_count(described_type())} GPUs of a {' or '.join(constants.TYPES)}"
    told = [f"host {host['ec2InstanceId']} registered {len(gpus(host))} {wanted}" for host in found if lacks_gpus(host)]
    return "; ".join(told)


def warn_of_missing_gpus(hosts: list[Any]) -> None:
    """A host that registers fewer GPUs than its type has looks healthy, and is not."""
    if not constants.GPU_COUNT or not hosts:
        return
    known = gpu_count(described_type()) if described_types.remembers() else costs.gpus_of_host()
    expected = {} if known is None else dict.fromkeys(constants.TYPES, known)
    request: Any = {"InstanceTypes": sorted({type_of(host) for host in hosts} - expected.keys())}
    if request["InstanceTypes"]:  # hosts from before INSTANCE_TYPE was changed, or a price list that can't be read
        described = client("ec2").describe_instance_types(**request)["InstanceTypes"]
        expected |= {each["InstanceType"]: gpu_count(each) for each in described}
    for host in hosts:
        host_id, kind, count = host["ec2InstanceId"], type_of(host), len(gpus(host))
        there = expected[kind]
        if count < there:
            told = f"host {host_id} registered {count} of the {there} GPUs of a {kind}:"
            say("warning", told, "terminate it, the Auto Scaling group brings another")


def type_of(host: Any) -> str:
    return str(next(each["value"] for each in host["attributes"] if each["name"] == "ecs.instance-type"))


def deregister() -> None:
    """ECS forgets a terminated host after some minutes; the cluster can't go before that, so tell it now."""
    found = cluster.of_ours()
    forget_it = call(
        client("ecs").deregister_container_instance, of=found, gone=("InvalidParameterException", NO_CLUSTER)
    )
    for arn in listed() if found else []:
        forget_it(cluster=constants.CLUSTER_NAME, containerInstance=arn, force=True)
