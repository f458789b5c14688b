"""The cluster's hosts as ECS knows them: container instances, with the GPUs that they have and have left.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/create-capacity.html
"""

from typing import Any

from aws import accepted, client
from console import say
from constants import CLUSTER_NAME, GPU_COUNT, INSTANCE_TYPE
from infrastructure import cluster
from infrastructure.checks import gpu_count


def describe(status: str = "ACTIVE") -> list[dict[str, Any]]:
    """The cluster's hosts as ECS knows them."""
    ecs = client("ecs")
    found: list[dict[str, Any]] = []
    for page in ecs.get_paginator("list_container_instances").paginate(
        cluster=CLUSTER_NAME, **({"status": status} if status else {})
    ):
        if page["containerInstanceArns"]:
            described = ecs.describe_container_instances(
                cluster=CLUSTER_NAME, containerInstances=page["containerInstanceArns"]
            )
            found += described["containerInstances"]
    return found


def described_type() -> dict[str, Any]:
    """INSTANCE_TYPE as EC2 describes it."""
    [found] = client("ec2").describe_instance_types(InstanceTypes=[INSTANCE_TYPE])["InstanceTypes"]
    return dict(found)


def gpus(host: dict[str, Any], key: str = "registeredResources") -> list[str]:
    """The ids of the GPUs that a host registered, or has left (remainingResources)."""
    return [gpu for resource in host[key] if resource["name"] == "GPU" for gpu in resource.get("stringSetValue", [])]


def warn_of_missing_gpus(hosts: list[dict[str, Any]]) -> None:
    """A host that registers fewer GPUs than its type has looks healthy, and is not."""
    attributes = {host["ec2InstanceId"]: {a["name"]: a.get("value") for a in host["attributes"]} for host in hosts}
    types = sorted({found["ecs.instance-type"] for found in attributes.values()})
    described = client("ec2").describe_instance_types(InstanceTypes=types)["InstanceTypes"] if types else []
    expected = {each["InstanceType"]: gpu_count(each) for each in described}
    for host in hosts if GPU_COUNT else []:
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
                cluster=CLUSTER_NAME, containerInstance=host["containerInstanceArn"], force=True
            ),
            "InvalidParameterException",
        )
