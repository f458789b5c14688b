"""How long AWS itself takes for the Clara example: chains of what AWS can only do one after the other.

Each step's seconds are a constant of the emulator, which says where it has it from, or a setting. Our own calls take no
time here. What takes longest is the critical path: nobody is faster.
"""

from __future__ import annotations

from typing import NamedTuple

from dotenv import dotenv_values

import constants
from emulator.autoscaling import groups
from emulator.ec2 import addresses, instances, network
from emulator.ecs import agent, life, providers
from emulator.efs import file_systems
from emulator.elbv2 import balancers
from emulator.elbv2 import state as elbv2
from rehearse import example_file


class Step(NamedTuple):
    what: str
    seconds: float


Chain = tuple[Step, ...]


def setting(name: str) -> float:
    """What the example's file says, or the default."""
    return float(dotenv_values(example_file("clara-train")).get(name) or constants.KNOWN[name])


NETWORK = (
    Step("the VPC is available", network.PENDING_SECONDS),
    Step("a public subnet in it is available", network.PENDING_SECONDS),
)
#: a host's first boot installs the CloudWatch agent: it needs the way out
HOSTS = (
    *NETWORK,
    Step("a NAT gateway in it is available", addresses.NAT_SECONDS),
    Step("the Auto Scaling group behind it reacts", groups.REACTION_SECONDS),
    Step("a host boots", instances.BOOT_SECONDS),
    Step("its agent joins the cluster, with its GPU", agent.REGISTER_GPU),
)
FILES = (
    *NETWORK,
    Step("a mount target is available", file_systems.TARGET_CREATING),
    Step("its DNS name is known", file_systems.TARGET_DNS),
)
BALANCER = (*NETWORK, Step("the load balancer is active", balancers.PROVISIONING))
TASK = (
    Step("the task is prepared", life.BEFORE_PULL),
    Step("its image is pulled, of gigabytes", life.PULL_GPU),
    Step("its volume is mounted", life.MOUNT["EC2"]),
    Step("its target is healthy", setting("HEALTH_CHECK_INTERVAL") * setting("HEALTHY_THRESHOLD")),
)
SERVICE_ENDS = (
    Step("the task's target drains", setting("DEREGISTRATION_DELAY")),
    Step("the target group is free, its rule being gone", elbv2.RELEASING),
)
VPC_ENDS = Step("the VPC is gone", network.LEAVING_SECONDS)
HOSTS_END = (
    Step("the Auto Scaling group reacts", groups.REACTION_SECONDS),
    Step("the hosts shut down", instances.SHUTDOWN_SECONDS),
)
GROUP_ENDS = (*HOSTS_END, Step("the Auto Scaling group is gone", groups.DELETE_SECONDS))
PROVIDER_ENDS = (
    Step("the capacity provider is gone", providers.DELETING_PROVIDER),
    Step("the Auto Scaling group is gone", groups.DELETE_SECONDS),
)
BALANCER_ENDS = (Step("the load balancer lets its network interfaces go", balancers.INTERFACES_LINGER), VPC_ENDS)
NAT_ENDS = (Step("the NAT gateways are gone", addresses.NAT_DELETE_SECONDS), VPC_ENDS)
FILES_END = (
    Step("the mount targets are gone", file_systems.TARGET_DELETING),
    Step("the file system is gone", file_systems.DELETING),
)

#: what is measured -> the chains that AWS goes through at the same time
CHAINS: dict[str, tuple[Chain, ...]] = {
    "create to hosts joined": (HOSTS, FILES, BALANCER),
    "create to a healthy target": tuple((*chain, *TASK) for chain in (HOSTS, FILES)),
    "delete": tuple(
        (*SERVICE_ENDS, *chain)
        for chain in ((*HOSTS_END, VPC_ENDS), GROUP_ENDS, PROVIDER_ENDS, BALANCER_ENDS, NAT_ENDS, FILES_END)
    ),
}


def seconds(chain: Chain) -> float:
    return sum(step.seconds for step in chain)


def longest(what: str) -> Chain:
    return max(CHAINS[what], key=seconds)


def told() -> str:
    """Each critical path, step by step, and the chains beside it."""
    lines = []
    for what, chains in CHAINS.items():
        critical = longest(what)
        lines.append(f"{what}: {seconds(critical):g} s")
        lines += [f"  {step.seconds:6g}  {step.what}" for step in critical]
        others = sorted((chain for chain in chains if chain is not critical), key=seconds, reverse=True)
        lines += [f"  beside it {seconds(chain):g} s, until {chain[-1].what}" for chain in others]
    return "\n".join(lines)
