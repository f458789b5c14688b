"""Tasks behind load balancers: their registration, and what they answer to a health check or to anybody's request."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from emulator.core.rules import Params
from emulator.core.world import World
from emulator.ec2.region import backend_of
from emulator.ecs.problems import task_groups
from emulator.ecs.state import Item, Task
from emulator.elbv2 import state as elbv2


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
        target = {"group": balancer["targetGroupArn"], "id": identifier, "port": port, "container": view["name"]}
        task.targets.append(target)
        world.state["ecs_targets"][task.region, target["group"], identifier, port] = task
        elbv2.register(world, task.region, target["group"], identifier, port)


def forget_targets(world: World, task: Task) -> None:
    for target in task.targets:
        key = (task.region, target["group"], target["id"], target["port"])
        if world.state["ecs_targets"].get(key) is task:
            del world.state["ecs_targets"][key]


@dataclass
class Reply:
    """What comes back from a target; the load balancer's own 502 and 504 if nothing does."""

    status: int
    task: Task | None = None  # None: a target that was registered by hand
    image: str = ""

    @property
    def connected(self) -> bool:
        return self.status not in (502, 504)


def reply(world: World, region: str, group: Params, target_id: str, port: int, path: str, asked: int = 0) -> Reply:
    """What a target answers to a GET of this path. A task must run, and let the load balancer in. `asked`: at another port.

    What a container knows of paths is not modelled: each is answered with 200, but for those of the settings'
    unknown_paths. An image with "broken" in its tag answers 500 to all, one with "unhealthy" in its name 503 to its
    health check.
    """
    task = world.state["ecs_targets"].get((region, group["TargetGroupArn"], target_id, port))
    if task is None:
        return Reply(404 if path in world.settings.unknown_paths else 200)
    names = [one["container"] for one in task.targets if (one["id"], one["port"]) == (target_id, port)]
    image = next((view["image"] for view in task.containers if view["name"] in names), "")
    if task.last not in ("ACTIVATING", "RUNNING", "DEACTIVATING"):
        return Reply(502, task, image)
    if not _lets_in(region, world, task, group["TargetGroupArn"], asked or port):
        return Reply(504, task, image)
    if asked and asked not in _ports(task):
        return Reply(502, task, image)
    if "broken" in image.partition("@")[0].rpartition("/")[2].partition(":")[2]:
        return Reply(500, task, image)
    if path in world.settings.unknown_paths:
        return Reply(404, task, image)
    ill = "unhealthy" in image and path == group.get("HealthCheckPath", path)
    return Reply(503 if ill else 200, task, image)


def _ports(task: Task) -> set[int]:
    """Where the containers of a task can be reached: their own ports, or those of the host."""
    if task.awsvpc:
        mapped = [each for one in task.definition["containerDefinitions"] for each in one.get("portMappings", [])]
        return {each["containerPort"] for each in mapped}
    return {each["hostPort"] for view in task.containers for each in view.get("networkBindings", [])}


def illness(world: World, region: str, group: Params, target_id: str, port: int) -> tuple[str, str] | None:
    """Why a target fails its health check, as reason and description; None: it passes.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/check-target-health.html"""
    path = group.get("HealthCheckPath", "/").partition("?")[0]
    asked = group.get("HealthCheckPort", "traffic-port")
    got = reply(world, region, group, target_id, port, path, 0 if asked == "traffic-port" else int(asked))
    if got.status == 504:
        return "Target.Timeout", "Request timed out"
    if got.status == 502:
        return "Target.FailedHealthChecks", "Health checks failed"
    accepted = (group.get("Matcher") or {}).get("HttpCode")
    if "GrpcCode" in (group.get("Matcher") or {}) and got.status != 200:
        return "Target.ResponseCodeMismatch", "Health checks failed with these codes: [14]"  # of gRPC: unavailable
    if got.status == 200 or accepted is None or _accepts(accepted, got.status):
        return None  # 200 stands for whatever the container would answer here
    return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{got.status}]"


def _accepts(codes: str, status: int) -> bool:
    """Is a status among a matcher's codes, such as 200,301 or 200-299?"""
    ranges = [re.findall(r"\d+", part) for part in codes.split(",")]
    return any(int(found[0]) <= status <= int(found[-1]) for found in ranges)


def _lets_in(region: str, world: World, task: Task, group_arn: str, port: int) -> bool:
    """Does one of the target's security groups allow the port from one of the load balancers?"""
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
