"""What ECS tells CloudWatch of a service: how much of its tasks' CPU and memory is used.

Both are shares of what is reserved. What containers do is not known here: each task uses a little at rest, and each
request that the load balancer has passed to it a fixed amount of CPU (the account's settings).
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html
"""

from __future__ import annotations

from emulator.cloudwatch.metrics import MINUTE, SOURCES, Dimensions
from emulator.core import rules
from emulator.core.rules import held
from emulator.core.world import World
from emulator.ecs.placement import size
from emulator.ecs.service_scheduler import Service, tasks_of
from emulator.ecs.state import Task, region_of
from emulator.elbv2 import metrics as elbv2_metrics

rules.SENTENCES.update(
    {
        "aas-005": "At 0 tasks a service has no CPUUtilization: its alarms have insufficient data, and nothing wakes it.",
        "aas-006": "CPUUtilization is of what the tasks reserve; a container without CPU units counts as 2 of them.",
    }
)
held("aas-005 aas-006", "ecs.metrics")

#: CPU units that a task uses at rest, and those that a container has which reserves none
AT_REST, LEAST_UNITS = 60, 2
#: how much of its memory a task uses; and how many MiB where there is no limit
MEMORY_PERCENT, UNLIMITED_MIB = 50, 1024


def _cpu(world: World, service: Service, tasks: list[Task]) -> float:
    groups = [balancer["targetGroupArn"] for balancer in service.primary.balancers]
    requests = sum(elbv2_metrics.to_group(world, service.region, group) for group in groups)
    used = AT_REST * len(tasks) + requests * world.settings.request_cpu_seconds * 1024 / MINUTE
    return 100 * min(used, sum(map(_most, tasks))) / sum(map(_reserved, tasks))


def _reserved(task: Task) -> int:
    own = [int(each.get("cpu") or 0) or LEAST_UNITS for each in task.definition["containerDefinitions"]]
    return size(task.definition.get("cpu"), 1024) or sum(own)


def _most(task: Task) -> int:
    """What it can use: the units of the task are a limit; without these it has all of its host."""
    return size(task.definition.get("cpu"), 1024) or (task.instance.cpu if task.instance else _reserved(task))


def _memory(task: Task) -> float:
    reserved = sum(int(each.get("memoryReservation") or 0) for each in task.definition["containerDefinitions"])
    return 100 * UNLIMITED_MIB / reserved if reserved and not task.definition.get("memory") else MEMORY_PERCENT


def _value(world: World, region: str, metric: str, dimensions: Dimensions) -> float | None:
    cluster = region_of(world, region).clusters.get(dimensions.get("ClusterName", ""))
    service = cluster.services.get(dimensions.get("ServiceName", "")) if cluster else None
    running = [task for task in tasks_of(world, service) if task.last == "RUNNING"] if service else []
    if not service or not running:
        return None
    if metric == "CPUUtilization":
        return _cpu(world, service, running)
    return sum(map(_memory, running)) / len(running) if metric == "MemoryUtilization" else None


SOURCES["AWS/ECS"] = _value
