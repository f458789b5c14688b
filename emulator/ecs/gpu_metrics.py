"""What the CloudWatch agent of a host tells of its GPUs: busy while a task has one, else at rest.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-NVIDIA-GPU.html
"""

from __future__ import annotations

from datetime import datetime

from emulator.cloudwatch.metrics import HISTORIES, MINUTE, Series
from emulator.core.world import World
from emulator.ecs.state import Cluster, Instance, region_of


def _history(world: World, region: str, begin: int, end: int) -> Series:
    series: Series = []
    for cluster in region_of(world, region).clusters.values():
        for instance in cluster.instances.values():
            series += _of(world, cluster, instance, begin, end) if instance.watched else []
    return series


def _of(world: World, cluster: Cluster, instance: Instance, begin: int, end: int) -> Series:
    """Its minutes, the last of which has ended."""
    first = -(-max(begin, int(instance.registered.timestamp())) // MINUTE)
    minutes = range(first, min(end, int(world.now())) // MINUTE)
    shared = {
        "InstanceId": instance.ec2_id,
        "InstanceType": instance.type,
        "AutoScalingGroupName": instance.group or "",
    }
    found: Series = []
    for index, gpu in enumerate(instance.gpus):
        spans = [
            _span(task.times)
            for task in cluster.tasks.values()
            for each in task.containers
            if gpu in each.get("gpuIds", ())
        ]
        busy = {m * MINUTE: any(a <= m * MINUTE < b for a, b in spans) for m in minutes}
        points = {at: world.settings.gpu_percent * taken for at, taken in busy.items()}
        dimensions = {**shared, "index": str(index), "name": instance.gpu_name, "arch": "Turing"}
        found.append(("nvidia_smi_utilization_gpu", dimensions, points))
    return found


def _span(times: dict[str, datetime]) -> tuple[float, float]:
    """From when until when a task ran."""
    started, stopped = times.get("startedAt"), times.get("executionStoppedAt") or times.get("stoppedAt")
    return started.timestamp() if started else float("inf"), stopped.timestamp() if stopped else float("inf")


HISTORIES["CWAgent"] = _history
