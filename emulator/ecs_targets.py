"""Tasks behind load balancers: their registration, and whether a health check gets through to them."""

from __future__ import annotations

import ipaddress
from typing import Any

from emulator import elbv2
from emulator.ecs_problems import task_groups
from emulator.ecs_state import Item, Task
from emulator.rules import Params
from emulator.world import World


def register(world: World, task: Task, balancers: list[Item]) -> None:
    """Put a task's containers behind the target groups of its service."""
    for balancer in balancers:
        view = next(one for one in task.containers if one["name"] == balancer["containerName"])
        if task.awsvpc and task.interface:
            identifier, port = task.interface["PrivateIpAddress"], balancer["containerPort"]
        else:
            bindings = [
                one for one in view.get("networkBindings", []) if one["containerPort"] == balancer["containerPort"]
            ]
            if not bindings or task.instance is None:
                continue
            identifier, port = task.instance.ec2_id, bindings[0]["hostPort"]
        target = {"group": balancer["targetGroupArn"], "id": identifier, "port": port}
        task.targets.append(target)
        world.state["ecs_targets"][task.region, target["group"], identifier, port] = task
        elbv2.register(world, task.region, target["group"], identifier, port)


def forget_targets(world: World, task: Task) -> None:
    for target in task.targets:
        key = (task.region, target["group"], target["id"], target["port"])
        if world.state["ecs_targets"].get(key) is task:
            del world.state["ecs_targets"][key]


def answers(world: World, region: str, group: Params, target_id: str, port: int) -> bool:
    """Does a load balancer's health check get through to a target? An ECS task must run, and let the balancer in."""
    task = world.state["ecs_targets"].get((region, group["TargetGroupArn"], target_id, port))
    if task is None:
        return True  # registered by hand: nothing is known of it
    if task.last not in ("ACTIVATING", "RUNNING", "DEACTIVATING"):
        return False
    if any("unhealthy" in view["image"] for view in task.containers):
        return False  # an image for rehearsals: it runs, and fails its health checks
    return _lets_in(region, world, task, group["TargetGroupArn"], port)


def _lets_in(region: str, world: World, task: Task, group_arn: str, port: int) -> bool:
    """Does one of the target's security groups allow the port from one of the load balancers?"""
    from emulator.ec2_region import backend_of

    state, backend = elbv2.here(world, region), backend_of(region)
    balancers = [state.balancers[one] for one in elbv2.balancers_of(state, group_arn) if one in state.balancers]
    sources = {group for one in balancers for group in one.shown.get("SecurityGroups", [])}
    if not sources:
        return True
    interfaces = [eni for one in balancers for eni in one.interfaces.values()]
    addresses = [backend.enis[eni].private_ip_address for eni in interfaces if eni in backend.enis]
    return any(
        _rule_allows(rule, port, sources, addresses) for group in task_groups(task) for rule in group.ingress_rules
    )


def _rule_allows(rule: Any, port: int, sources: set[str], addresses: list[str]) -> bool:
    if str(rule.ip_protocol) not in ("-1", "tcp", "6"):
        return False
    if str(rule.ip_protocol) != "-1" and not int(rule.from_port or 0) <= port <= int(rule.to_port or 65535):
        return False
    if rule.source_group.get("GroupId") in sources:
        return True
    block = rule.ip_range.get("CidrIp")
    network = ipaddress.ip_network(block, strict=False) if block else None
    return network is not None and any(ipaddress.ip_address(address) in network for address in addresses)
