"""torchrun and ray in emulated containers, as far as it takes several of them to find each other.

Node 0 listens at its task's address. The others reach it there if its task's security groups let them in at that port:
else they fail as they would. What is computed then takes a minute; a Ray node with --block runs until it is stopped.
https://docs.pytorch.org/docs/stable/elastic/run.html  https://docs.ray.io/en/latest/cluster/cli.html
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models import ec2_backends

from emulator.core import rules
from emulator.core.rules import held
from emulator.core.world import ACCOUNT, World
from emulator.ecs import life
from emulator.ecs.containers import PROGRAMS, Outcome
from emulator.ecs.problems import log_stream
from emulator.ecs.state import Item, Task
from emulator.logs import log_groups

rules.SENTENCES["nodes-001"] = (
    "torchrun and ray reach node 0 only where its task's security groups let them in at its port; else they give up."
)
held("nodes-001", "programs.launchers")

WORK, EACH = 60.0, 5.0  # AWS seconds that the work takes, and between two attempts to connect
#: torch/distributed/elastic/rendezvous/static_tcp_rendezvous.py
TORCH_TIMEOUT = 600.0
#: supposed: after its first connection has failed Ray was seen to give up within a minute
RAY_TIMEOUT = 60.0
#: (Region, address, port) -> the ranks that have come there, and the task that listens
Meetings = dict[tuple[str, str, int], "tuple[Task, set[int]]"]


def torchrun(world: World, task: Task, container: Item, words: list[str]) -> Outcome:
    given = options(words)
    try:
        nodes, rank = int(given.get("nnodes", "1").split(":")[0]), int(given.get("node-rank", "0"))
        port = int(given.get("master-port", "29500"))
    except ValueError:
        return Outcome([(1.0, f"torchrun: error: argument: invalid int value: {' '.join(words)}")], 1.0, 2)
    if nodes < 2:
        return Outcome(seconds=WORK)
    if task.desired != "RUNNING":  # it is asked what it does when it is told to stop
        return Outcome(code=None)
    if rank == 0:
        listen(world, task, port)
    about = (given.get("master-addr", "127.0.0.1"), port, rank, nodes)
    world.after(1, _meet, world, task, container, about, world.now() + world.clock.delay(TORCH_TIMEOUT))
    return Outcome(code=None)


def ray(world: World, task: Task, container: Item, words: list[str]) -> Outcome:
    given, blocks = options(words[1:]), "--block" in words
    if words[:1] != ["start"]:
        return Outcome([(1.0, f"ray {' '.join(words)} (emulated)")], 1.0)
    if task.desired != "RUNNING":
        return Outcome(code=None)
    if "--head" in words:
        port = int(given.get("port", "6379"))
        listen(world, task, port)
        line = f"Ray runtime started at {address_of(task)}:{port}."
        return Outcome([(2.0, line)], 2.0, None if blocks else 0)
    host, _, port = given.get("address", "").partition(":")  # type: ignore[assignment]
    about = (host, int(str(port) or 6379), -1, 0)
    world.after(1, _join, world, task, container, about, world.now() + world.clock.delay(RAY_TIMEOUT))
    return Outcome(code=None)


PROGRAMS.update(torchrun=torchrun, ray=ray)


def options(words: list[str]) -> dict[str, str]:
    """--name=value and --name value, up to the script; - and _ in a name are the same."""
    found, at = {}, 0
    while at < len(words) and words[at].startswith("--"):
        name, equals, value = words[at][2:].partition("=")
        if not equals and at + 1 < len(words) and not words[at + 1].startswith("--"):
            at += 1
            value = words[at]
        found[name.replace("_", "-")] = value
        at += 1
    return found


# ------------------------------------------------------------------------------------------------------------ meetings


def meetings(world: World) -> Meetings:
    found: Meetings = world.state["meetings"]
    return found


def address_of(task: Task) -> str:
    return str(task.interface["PrivateIpAddress"]) if task.interface else "127.0.0.1"


def listen(world: World, task: Task, port: int) -> None:
    meetings(world)[task.region, address_of(task), port] = (task, {0})


def reached(world: World, task: Task, host: str, port: int) -> tuple[Task, set[int]] | None:
    """Who listens there, if this task reaches it."""
    own = host in ("127.0.0.1", "localhost", address_of(task))
    found = meetings(world).get((task.region, address_of(task) if own else host, port))
    if found is None or not found[0].active or not (own or lets_in(found[0], task, port)):
        return None
    return found


def lets_in(listener: Task, caller: Task, port: int) -> bool:
    """Do the listener's groups allow TCP from one of the caller's at this port?"""
    groups, backend = groups_of(caller), ec2_backends[ACCOUNT][listener.region]
    found: list[Any] = [backend.get_security_group_from_id(each) for each in groups_of(listener)]
    return any(
        rule.source_group.get("GroupId") in groups
        and (str(rule.ip_protocol) == "-1" or int(rule.from_port) <= port <= int(rule.to_port))
        for group in found
        if group
        for rule in group.ingress_rules
    )


def groups_of(task: Task) -> list[str]:
    return (task.network or {}).get("securityGroups") or []


def _meet(world: World, task: Task, container: Item, about: tuple[str, int, int, int], until: float) -> None:
    """Come to node 0, and wait there for all the others; then the work is done."""
    host, port, rank, nodes = about
    found = reached(world, task, host, port)
    if found:
        found[1].add(rank)
    if found and len(found[1]) == nodes:
        _say(world, task, container, f"[rank {rank}] {nodes} nodes have met at {host}:{port}")
        world.after(WORK, _end, world, task, container, 0)
    elif world.now() >= until:
        late = f"The client socket has timed out after {TORCH_TIMEOUT:.0f}000ms while trying to connect to ({host}, {port})."
        if found:
            came = f"{len(found[1])}/{nodes} clients joined."
            late = f"Timed out after {TORCH_TIMEOUT + 1:.0f} seconds waiting for clients. {came}"
        _say(world, task, container, f"torch.distributed.DistNetworkError: {late}")
        _end(world, task, container, 1)
    elif task.active and task.desired == "RUNNING":
        world.after(EACH, _meet, world, task, container, about, until)


def _join(world: World, task: Task, container: Item, about: tuple[str, int, int, int], until: float) -> None:
    """Come to a Ray head, and stay."""
    host, port, _, _ = about
    if found := reached(world, task, host, port):
        found[1].add(len(found[1]))
        _say(world, task, container, f"Ray runtime started; it has joined {host}:{port}.")
    elif world.now() >= until:
        _say(world, task, container, f"Failed to connect to GCS at address {host}:{port}: TimedOut")
        _end(world, task, container, 1)
    elif task.active and task.desired == "RUNNING":
        world.after(EACH, _join, world, task, container, about, until)


def _view(task: Task, container: Item) -> Item | None:
    return next((view for view in task.containers if view["name"] == container["name"]), None)


def _say(world: World, task: Task, container: Item, line: str) -> None:
    view = _view(task, container)
    place = log_stream(task, container, view["runtimeId"]) if view else None
    if place and log_groups.group_exists(world, place[0], place[1]):
        log_groups.write(world, *place, [line])


def _end(world: World, task: Task, container: Item, code: int) -> None:
    if view := _view(task, container):
        life.exited(world, task, view, code, "")
