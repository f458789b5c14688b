"""Describe the cluster: status, hosts, GPUs in all and free, tasks, services, and what an hour of them costs at the moment.

python describe_clusters.py
"""

import sys
from typing import Any

import aws
import constants
from aws import Problem
from infrastructure.cluster import auto_scaling_group, bastion, cluster, container_instances, costs, pause
from infrastructure.service import bill, deadlines


@aws.page(of="cluster")
def describe_clusters() -> dict[str, Any]:
    of_hosts = (auto_scaling_group.standing, costs.offer) if on_hosts() else ()
    reads = (cluster.describe, hosts_in_any_state, deadlines.look, *of_hosts)
    found, hosts, *_ = aws.together(*reads)
    if not found or found["status"] == "INACTIVE":
        status = {"clusterName": constants.CLUSTER_NAME, "status": "INACTIVE" if found else "MISSING"}
        raise Problem(cluster.missing(), status)
    container_instances.warn_of_missing_gpus(hosts)
    connected = [host for host in hosts if host["agentConnected"]]
    running = [] if on_hosts() else bill.running_tasks()
    told = {
        "clusterName": constants.CLUSTER_NAME,
        "status": found["status"],
        **pause.tell(),
        "capacityProviders": found["capacityProviders"],
        "hosts": [row(host) for host in hosts],
        "gpus": sum(len(container_instances.gpus(host)) for host in hosts),
        "gpusFree": sum(len(container_instances.gpus(host, "remainingResources")) for host in connected),
        "runningTasks": found["runningTasksCount"],
        "pendingTasks": found["pendingTasksCount"],
        "activeServices": found["activeServicesCount"],
        **bastion.told(),
        **hourly(running),
        **deadlines.tell(),
    }
    bill.tell_now(lambda: bill.cluster_now(running), bill.STOP)
    return told


def on_hosts() -> bool:
    return constants.LAUNCH_TYPE == "EC2"


def hosts_in_any_state() -> list[Any]:
    return container_instances.describe(status="")


def row(host: Any) -> dict[str, Any]:
    attributes = {each["name"]: each.get("value") for each in host["attributes"]}
    return {
        "ec2InstanceId": host.get("ec2InstanceId"),
        "status": host["status"],
        "agentConnected": host["agentConnected"],
        "instanceType": attributes.get("ecs.instance-type"),
        "availabilityZone": attributes.get("ecs.availability-zone"),
        "gpus": len(container_instances.gpus(host)),
        "gpuMemory": [gpu_memory(gpu) for gpu in container_instances.gpu_devices(host)],
        "runningTasks": host["runningTasksCount"],
    }


def gpu_memory(gpu: Any) -> dict[str, Any]:
    """How one GPU is used: IDLE, DEDICATED to one container, or NVIDIA_MPS, shared; and MiB in all and free to share."""
    kept = ("sharingMode", "totalMemoryInMiB", "remainingMemoryInMiB", "containerCount")
    return {key: gpu[key] for key in kept if key in gpu}


def hourly(running: list[Any]) -> dict[str, float | None]:
    """USD at the on-demand price, each of what it is; None where the price is not known. Hosts count until they are
    terminated, tasks until they are STOPPED."""
    if not on_hosts():
        return {"tasksUsdPerHour": costs.hourly_on_fargate(running)}
    hosts, bastion = auto_scaling_group.instances(), auto_scaling_group.instances("bastion")
    return {"hostsUsdPerHour": costs.hourly(hosts), "bastionUsdPerHour": costs.hourly(bastion)}


if __name__ == "__main__":
    sys.exit(aws.main(describe_clusters, __doc__))
