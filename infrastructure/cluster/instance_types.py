"""Several types of host in one Auto Scaling group, in order of preference, and what they must have in common.

Where INSTANCE_TYPES names one type only there is nothing of this: the launch template says it.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-mixed-instances-groups.html
"""

from typing import Any

import aws
import constants
from aws import Problem, name
from infrastructure.cluster import costs
from infrastructure.cluster.container_instances import described_type, gpu_count, gpu_memory, spelt


def source(spot: bool) -> dict[str, Any]:
    """What the hosts' group launches from: the template, or the template and the types that go before its own.

    On demand AWS takes the first type that it has; on Spot the cheapest of those that it is likely not to take back soon.
    There are no weights: ECS counts hosts.
    """
    template = {"LaunchTemplateName": name("hosts"), "Version": "$Latest"}
    if not constants.MIXED:
        return {"LaunchTemplate": template}
    distribution = {
        "OnDemandAllocationStrategy": "prioritized",
        "OnDemandBaseCapacity": 0,
        "OnDemandPercentageAboveBaseCapacity": 0 if spot else 100,
        "SpotAllocationStrategy": "price-capacity-optimized",
    }
    overrides = [{"InstanceType": kind} for kind in constants.TYPES]
    of_template = {"LaunchTemplateSpecification": template, "Overrides": overrides}
    return {"MixedInstancesPolicy": {"LaunchTemplate": of_template, "InstancesDistribution": distribution}}


def is_source(group: Any, wanted: dict[str, Any]) -> bool:
    """Whether the group launches from that: the types in this order too."""
    [(key, value)] = wanted.items()
    return key in group and aws.holds(group[key], value) and (key == "LaunchTemplate" or kinds(group) == kinds(wanted))


def kinds(group: Any) -> list[str]:
    """Its several types; none where its template says the one."""
    overrides = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("Overrides", [])
    return [each["InstanceType"] for each in overrides]


def is_spot(group: Any, template: Any) -> bool:
    """Whether it launches Spot Instances; `template` is what the latest version of its launch template says."""
    if policy := group.get("MixedInstancesPolicy"):
        return not policy["InstancesDistribution"].get("OnDemandPercentageAboveBaseCapacity", 100)
    return bool(template.get("InstanceMarketOptions", {}).get("MarketType") == "spot")


def refuse_unlike() -> None:
    """ECS scales by what a host is like, and places a task by its GPUs' number: the model of a GPU it does not look at.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-scaling-behavior.html
    """
    first, *others = map(described_type, constants.TYPES)
    its_name, count, memory = first["InstanceType"], gpu_count(first), gpu_memory(first)
    for each in others:
        kind, has = spelt(each["InstanceType"]), each["ProcessorInfo"]["SupportedArchitectures"]
        if not {*has} & {*first["ProcessorInfo"]["SupportedArchitectures"]}:
            raise Problem(f"{kind} is {has[0]}, which {its_name} is not: one AMI is for all of them; leave it out")
        if gpu_count(each) != count:
            raise Problem(
                f"{kind} has {gpu_count(each)} GPUs, and {its_name} has {count}: ECS counts hosts; leave it out"
            )
        if gpu_memory(each) < memory:
            less = f"a GPU with {gpu_memory(each)} MiB, less than the {memory} of {its_name}"
            raise Problem(f"{kind} has {less}: a task may not fit; name the type with the least first, or leave it out")


def terms(kind: str, market: str) -> str:
    """On which terms a host came, in words, and its price where that was not known before. `market`: Spot, or as AWS writes
    on-demand."""
    spot, hourly = market.lower() == "spot", costs.hourly([{"InstanceType": kind}]) if constants.MIXED else None
    price = f"{', less than' if spot else ','} ${hourly:.3f} an hour" if hourly else ""
    return f"{'on Spot' if spot else 'on demand'}{price}"
