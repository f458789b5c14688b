"""Capacity Blocks: hosts for a time, paid up front. Nobody buys one here: it stands at the side door, as do groups of reservations.

    curl $AWS_ENDPOINT_URL/_emulator/capacity-blocks \\
        -d '{"type": "p5.48xlarge", "zone": "us-east-1a", "count": 1, "hours": 24}'
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-blocks.html
"""

from __future__ import annotations

from emulator.core.doors import Json, door
from emulator.core.wire import Emulator
from emulator.core.world import World
from emulator.ec2 import instances as ec2_instances
from emulator.ec2 import reservations
from emulator.ec2.region import region_of

#: so many seconds before the end of a block its instances are taken
TAKEN_BEFORE = 1800


@door("POST", "/_emulator/capacity-blocks")
def buy(emulator: Emulator, given: Json) -> Json:
    """A block that begins now: {"type": "p5.48xlarge", "zone": "us-east-1a", "count": 1, "hours": 24}. Answers its id."""
    world, region = emulator.world, given.get("region", "us-east-1")
    seconds = given.get("hours", 24) * 3600
    params = {
        "InstanceType": given["type"],
        "InstancePlatform": "Linux/UNIX",
        "AvailabilityZone": given["zone"],
        "InstanceCount": given.get("count", 1),
        "InstanceMatchCriteria": "targeted",
    }
    made = reservations.make(world, region, params, reservations.BLOCK, world.in_seconds(seconds))
    world.after(max(0, seconds - TAKEN_BEFORE), take, world, region, made["CapacityReservationId"])
    return {"id": made["CapacityReservationId"]}


def take(world: World, region: str, its_id: str) -> None:
    for one in list(region_of(world, region).instances.values()):
        if one.get("CapacityReservationId") == its_id:
            ec2_instances.terminate(world, region, one["InstanceId"])


@door("POST", "/_emulator/capacity-reservation-groups")
def group(emulator: Emulator, given: Json) -> Json:
    """Put reservations into a resource group: {"group": "arn:...", "reservations": ["cr-..."]}."""
    world, region = emulator.world, given.get("region", "us-east-1")
    for its_id in given["reservations"]:
        reservations.find(world, region, its_id)["groups"].append(given["group"])
    return {}
