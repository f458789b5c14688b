"""Whether the hosts' NVIDIA driver can run what an image holds: an image says itself which CUDA it demands.

NVIDIA's container toolkit refuses to start a container whose demand is not met ("requirement error: unsatisfied
condition: cuda>=13.1"), after the host was started and the image pulled.
https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
"""

import re
from typing import Any, NamedTuple

import constants
from infrastructure.cluster import checks

#: variables of an image's configuration, or of a container
DEMAND = "NVIDIA_REQUIRE_CUDA"
#: the toolkit's documentation has the first; its maintainer names the second, NVIDIA/nvidia-container-toolkit#152
UNDEMANDING = ("NVIDIA_DISABLE_REQUIRE", "NVIDIA_DISABLE_REQUIRES")
CONDITION = re.compile(r"(cuda|driver|brand|arch)(>=|<=|!=|=|<|>)([\w.]+)", re.IGNORECASE)


class Driver(NamedTuple):
    driver: tuple[int, ...]
    cuda: tuple[int, ...]


#: how the names of ECS's GPU AMIs begin -> what is on them. No API tells it; these are of November 2026:
#: aws/amazon-ecs-ami#619 has 580.126.09 for Amazon Linux 2023, and 550 stays on Amazon Linux 2. CUDA by
#: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/#cuda-toolkit-major-component-versions
OF_AMI = {
    "al2023-ami-ecs-gpu-": Driver((580,), (13, 0)),
    "amzn2-ami-ecs-gpu-": Driver((550,), (12, 4)),
}


def of_hosts() -> Driver | None:
    """Of the AMI of our hosts; None where that is not known, or has none."""
    if constants.LAUNCH_TYPE != "EC2" or not constants.GPU_COUNT:
        return None
    name = checks.image().get("Name", "") if constants.AMI_ID else next(iter(OF_AMI))
    return next((each for begin, each in OF_AMI.items() if name.startswith(begin)), None)


def demand(config: Any) -> str:
    """What an image's configuration demands; "" where it, or the container's environment, says that it counts for nothing."""
    variables = dict(each.split("=", 1) for each in (config.get("config") or {}).get("Env") or [] if "=" in each)
    variables |= constants.CONTAINER_ENVIRONMENT
    if any(variables.get(each, "").lower() in ("1", "true") for each in UNDEMANDING):
        return ""
    return str(variables.get(DEMAND, ""))


def meets(demanded: str, driver: Driver) -> bool:
    """Words are alternatives, and the commas between conditions of one mean that all of them must hold.

    The brand of a GPU is not known here: NVIDIA's own images demand of each brand the same. What is not known of holds.
    """
    return not demanded or any(all(holds(each, driver) for each in word.split(",")) for word in demanded.split())


def holds(condition: str, driver: Driver) -> bool:
    found = CONDITION.fullmatch(condition)
    if not found or found[1].lower() not in Driver._fields or not re.fullmatch(r"[\d.]+", found[3]):
        return True
    has: tuple[int, ...] = getattr(driver, found[1].lower())
    wanted = tuple(map(int, found[3].strip(".").split(".")))
    if len(has) < len(wanted) and has == wanted[: len(has)]:
        return True  # 580, and 580.126 is demanded
    has = has[: len(wanted)]
    return {
        ">=": has >= wanted,
        "<=": has <= wanted,
        ">": has > wanted,
        "<": has < wanted,
        "=": has == wanted,
        "!=": has != wanted,
    }[found[2]]


def least(demanded: str) -> str:
    """The first of the alternatives, which people know: cuda>=12.8"""
    return demanded.split()[0] if demanded else ""


def in_words(driver: Driver) -> str:
    return f"driver {driver.driver[0]}, which is CUDA {'.'.join(map(str, driver.cuda))}"
