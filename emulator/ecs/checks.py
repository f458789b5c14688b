"""What RunTask, StartTask and the calls for services refuse in the same words."""

from __future__ import annotations

import json

from emulator.core.rules import AwsError, Params
from emulator.ec2.region import backend_of
from emulator.ecs import definitions
from emulator.ecs.placement import size
from emulator.ecs.state import FARGATE, Cluster, Item, Provider, client_error, invalid, short

# ------------------------------------------------------------------------------------------------ what is refused


def check_strategy(cluster: Cluster, providers: dict[str, Provider], strategy: list[Item]) -> None:
    """A capacity provider strategy: its providers belong to the cluster, are of one kind, and one has a weight."""
    names = [item["capacityProvider"] for item in strategy]
    if len(strategy) > 20:
        raise invalid("A capacity provider strategy can contain a maximum of 20 capacity providers.")
    if len(set(names)) < len(names):
        raise invalid("A capacity provider strategy cannot contain duplicate capacity providers.")
    for item in strategy:
        if not 0 <= item.get("weight", 0) <= 1000 or not 0 <= item.get("base", 0) <= 100_000:
            raise invalid("Weight must be between 0 and 1000, base between 0 and 100000.")
        name = short(item["capacityProvider"])
        if name not in cluster.providers or name in cluster.joining:
            raise invalid(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated "
                "with the cluster. Associate the capacity provider with the cluster and try again."
            )
        if name not in FARGATE and (name not in providers or providers[name].status != "ACTIVE"):
            raise invalid(
                f"The specified capacity provider '{name}' is not in an ACTIVE state. Specify a valid capacity "
                "provider and try again."
            )
    kinds = {"FARGATE" if short(name) in FARGATE else "OTHER" for name in names}
    if len(kinds) > 1:
        raise invalid(
            "A capacity provider strategy cannot contain a mix of capacity providers using Auto Scaling groups and "
            "Fargate providers. Specify one or the other and try again."
        )
    if sum(item.get("base", 0) > 0 for item in strategy) > 1:
        raise invalid("Only one capacity provider in a strategy can have a base defined.")
    if strategy and not any(weight(item, strategy) > 0 for item in strategy):
        raise invalid("The specified capacity provider strategy has no capacity provider with a weight above 0.")


def weight(item: Item, strategy: list[Item]) -> int:
    """A provider's weight: 0 unless it is given, but a strategy of one provider needs no figure."""
    return int(item.get("weight", 1 if len(strategy) == 1 else 0))


def check_network(definition: Item, network: Item | None, fargate: bool) -> None:
    vpc = (network or {}).get("awsvpcConfiguration")
    if definition.get("networkMode") != "awsvpc":
        if network:
            raise invalid("Network Configuration is not valid for the given networkMode of this task definition.")
        return
    if not vpc:
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    subnets, groups = vpc.get("subnets") or [], vpc.get("securityGroups") or []
    if not subnets:
        raise invalid("subnets can not be empty.")
    if len(subnets) > 16:
        raise invalid("subnets can have at most 16 items.")
    if len(groups) > 5:
        raise invalid("securityGroups can have at most 5 items.")
    if vpc.get("assignPublicIp") == "ENABLED" and not fargate:
        raise invalid("Assign public IP is not supported for this launch type.")


def check_subnets(region: str, network: Item | None) -> None:
    """The subnets and groups of a network configuration exist, and are of one VPC."""
    vpc = (network or {}).get("awsvpcConfiguration") or {}
    backend = backend_of(region)
    known = {name: subnet for zone in backend.subnets.values() for name, subnet in zone.items()}
    groups = {name: group for in_vpc in backend.groups.values() for name, group in in_vpc.items()}
    vpcs = set()
    for name in vpc.get("subnets") or []:
        if name not in known:
            raise invalid(f"Error retrieving subnet information for [{name}]: The subnet ID '{name}' does not exist")
        vpcs.add(known[name].vpc_id)
    for name in vpc.get("securityGroups") or []:
        if name not in groups:
            raise invalid(
                f"Error retrieving security group information for [{name}]: The security group '{name}' does not exist"
            )
        vpcs.add(groups[name].vpc_id)
    if len(vpcs) > 1:
        raise invalid("All subnets and security groups must belong to the same VPC.")


def check_compatible(definition: Item, launch_type: str) -> None:
    if launch_type not in definition.get("compatibilities", []):
        raise invalid(f"Task definition does not support launch_type {launch_type}.")


def check_exec(definition: Item, overrides: Item, enabled: bool, subject: str) -> None:
    if enabled and not (overrides.get("taskRoleArn") or definition.get("taskRoleArn")):
        raise invalid(
            f"{subject} because a valid taskRoleArn is not being used. Specify a valid task role in your task "
            "definition and try again."
        )


def check_overrides(definition: Item, overrides: Item) -> None:
    names = {container["name"] for container in definition["containerDefinitions"]}
    for change in overrides.get("containerOverrides") or []:
        if change.get("name") not in names:
            raise invalid(
                f"Override for container named {change.get('name')} is not a container in the TaskDefinition."
            )
        for requirement in change.get("resourceRequirements") or []:
            if requirement.get("type") == "GPU":
                try:
                    definitions.gpu_way(requirement)
                except AwsError as error:
                    raise invalid(error.message) from error
    if len(json.dumps(overrides)) > 8192:
        raise invalid("Overrides length must be at most 8192.")


def check_fargate_size(definition: Item, overrides: Item) -> None:
    """A task's size by its overrides is one of Fargate's, as in a definition; it has no GPU there either.

    That RunTask refuses so, and in these words, is proven by nothing that could be read.
    """
    cpu, memory = (overrides.get(key) or definition[key] for key in ("cpu", "memory"))
    if not definitions.fargate_pair(size(cpu, 1024), size(memory, 1024)):
        raise client_error("No Fargate configuration exists for given values.")
    if any(change.get("resourceRequirements") for change in overrides.get("containerOverrides") or []):
        raise client_error("Tasks using the Fargate launch type do not support GPU resource requirements.")


def check_run(params: Params) -> None:
    count = params.get("count", 1)
    if not 1 <= count <= 10:
        raise invalid("Invalid count: count must be between 1 and 10.")
    if params.get("launchType") and params.get("capacityProviderStrategy"):
        raise invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."
        )
    if params.get("launchType") not in (None, "EC2", "FARGATE", "EXTERNAL"):
        raise invalid(
            f"The launch type {params['launchType']} is not supported here; use a capacity provider strategy."
        )
    check_common(params)
    if len(params.get("clientToken") or "") > 64:
        raise invalid("clientToken can be up to 64 characters long.")


def check_common(params: Params) -> None:
    if len(params.get("startedBy") or "") > 128:
        raise invalid("startedBy length must be less than or equal to 128.")
    if params.get("propagateTags") == "SERVICE":
        raise invalid("The propagateTags value SERVICE is not supported for this operation.")
    if (params.get("group") or "").startswith("service:"):
        raise invalid("The group prefix 'service:' is reserved for services.")
