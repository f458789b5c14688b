"""AWS takes Spot capacity back, at two minutes' notice: of a host, or of a task on Fargate Spot.

No API call does that, and so it stands at the side door:
    curl $AWS_ENDPOINT_URL/_emulator/spot-interruptions -d '{"instance": "i-0123456789abcdef0"}'     or {"task": ARN}
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-spot.html
"""

from __future__ import annotations

from emulator.core import rules
from emulator.core.doors import Json, door
from emulator.core.rules import held
from emulator.core.wire import Emulator
from emulator.core.world import World
from emulator.ec2 import instances as ec2_instances
from emulator.ecs import agent, life
from emulator.ecs.state import Task, region_of

rules.SENTENCES["ecs-093"] = (
    "At the notice a Spot host drains, if its agent was told to; two minutes later it ends, and what is still on it "
    "with TerminationNotice. A task on Fargate Spot stops with SpotInterruption."
)
held("ecs-093", "POST /_emulator/spot-interruptions")

NOTICE = 120
#: what tells the agent to watch for the notice
WATCHES = "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true"
REASON = "Your Spot Task was interrupted."


@door("POST", "/_emulator/spot-interruptions")
def interrupt(emulator: Emulator, given: Json) -> Json:
    """AWS takes a Spot Instance back in two minutes: {"instance": "i-..."}; or a task on Fargate Spot: {"task": "arn:..."}."""
    world, region = emulator.world, given.get("region", "us-east-1")
    if "task" in given:
        life.stop(world, _task(world, region, given["task"]), "SpotInterruption", REASON)
        return {}
    machine = ec2_instances.instance(world, region, given["instance"])
    if machine.get("InstanceLifecycle") != "spot":
        raise ValueError(f"{given['instance']} is no Spot Instance")
    found = agent.registered(region_of(world, region), given["instance"])
    if found and WATCHES in (machine.get("UserData") or ""):
        agent.drain(world, *found)
    world.after(NOTICE, ec2_instances.terminate, world, region, given["instance"])
    return {}


def _task(world: World, region: str, arn: str) -> Task:
    tasks = [task for cluster in region_of(world, region).clusters.values() for task in cluster.tasks.values()]
    for task in tasks:
        if task.arn == arn and task.provider == "FARGATE_SPOT":
            return task
    raise ValueError(f"{arn} is no task on Fargate Spot")
