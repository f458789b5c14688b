"""The NVIDIA driver of a host, and what the container toolkit refuses to start on it.

An image says in NVIDIA_REQUIRE_CUDA which drivers it can live with: words are alternatives, commas join what must hold at
once. The brand of a GPU is not imitated: NVIDIA's own images demand the same of each.
https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
"""

from __future__ import annotations

import operator
import re

from emulator.core import rules
from emulator.core.world import World
from emulator.ec2 import instances
from emulator.ec2.types import image_rows
from emulator.ecs.state import Item, Task
from emulator.registry.images import Image

rules.SENTENCES["gpu-demand"] = (
    "A container with a GPU does not start where its image demands a newer CUDA than the host's driver has; "
    "NVIDIA_DISABLE_REQUIRE lets it start."
)
rules.held("gpu-demand", "ecs.drivers: when a container starts")

#: how an AMI's name begins -> driver and CUDA: aws/amazon-ecs-ami#619, and 550 on Amazon Linux 2
DRIVERS = {"amzn2-": ((550,), (12, 4)), "": ((580,), (13, 0))}
TESTS = {">=": operator.ge, "<=": operator.le, "<": operator.lt, ">": operator.gt, "=": operator.eq, "!=": operator.ne}
#: as Docker tells it, after NVIDIA/nvidia-container-toolkit#152. Which exit code ECS shows is not proven: none.
REFUSAL = (
    "CannotStartContainerError: Error response from daemon: failed to create task for container: failed to create shim "
    "task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: "
    "error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy' nvidia-container-cli: "
    "requirement error: unsatisfied condition: {condition}, please update your driver to a newer version, or use an earlier "
    "cuda container: unknown"
)


def problem(world: World, task: Task, container: Item, image: Image | None) -> str | None:
    """Why a container with a GPU does not start on the driver of its host."""
    needs = [each["type"] for each in container.get("resourceRequirements") or []]
    if task.instance is None or "GPU" not in needs or image is None:
        return None
    variables = {each["name"]: each["value"] for each in container.get("environment") or []}
    demand = variables.get("NVIDIA_REQUIRE_CUDA", image.demand)
    off = any(variables.get(f"NVIDIA_DISABLE_{end}", "").lower() in ("1", "true") for end in ("REQUIRE", "REQUIRES"))
    driver, cuda = _of_host(world, task)
    if off or not demand or any(_met(word, driver, cuda) for word in demand.split()):
        return None
    return REFUSAL.format(condition=demand.split()[0])


def _of_host(world: World, task: Task) -> tuple[tuple[int, ...], tuple[int, ...]]:
    host = instances.known(world, task.region, task.instance.ec2_id) if task.instance else {}
    name = str((image_rows(task.region).get(host.get("ImageId", "")) or {}).get("name") or "")
    return next(found for begin, found in DRIVERS.items() if name.startswith(begin))


def _met(word: str, driver: tuple[int, ...], cuda: tuple[int, ...]) -> bool:
    for condition in word.split(","):
        found = re.fullmatch(r"(cuda|driver)(>=|<=|!=|=|<|>)([\d.]+)", condition, re.IGNORECASE)
        if found is None:
            continue
        wanted = tuple(map(int, found[3].split(".")))
        has = cuda if found[1].lower() == "cuda" else driver
        if not TESTS[found[2]](has[: len(wanted)], wanted[: len(has)]):
            return False
    return True
