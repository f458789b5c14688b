"""Capacity Reservations: what is reserved in a zone, and which launches get a place in it.

A launch names its reservation (targeted), or gets a place in any open one that fits. Capacity Blocks are sold elsewhere
(see capacity_blocks.py) and take only launches that ask for their market.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-reservations-launch.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from emulator.core import partitions
from emulator.core.rules import SENTENCES, AwsError, Call, held, on
from emulator.core.world import ACCOUNT, World
from emulator.ec2 import types as ec2_types
from emulator.ec2.region import (
    Item,
    by_keys,
    new_id,
    not_found,
    once,
    page,
    region_of,
    remember,
    select,
    set_tags,
    specified_tags,
    tags_of,
)

SENTENCES.update(
    {
        "ec2-reservation": "A launch that targets a reservation gets a place in it, where type and zone are its own, or fails with "
        "ReservationCapacityExceeded; any other launch takes a place in an open one that fits.",
        "ec2-block": "A Capacity Block takes launches with its market type only, beside the vCPU quota; its hosts are taken "
        "30 minutes before its end.",
    }
)
held("ec2-reservation ec2-block", "ec2.reservations, by each launch")

BLOCK = "capacity-block"
HOLDING = ("pending", "running", "stopping")


def reservations(world: World, region: str) -> dict[str, Item]:
    return region_of(world, region).reservations


def find(world: World, region: str, identifier: str) -> Item:
    if identifier not in reservations(world, region):
        raise not_found(identifier, "cr")
    return reservations(world, region)[identifier]


def is_block(request: Item) -> bool:
    return bool((request.get("InstanceMarketOptions") or {}).get("MarketType") == BLOCK)


def free(world: World, region: str, reservation: Item) -> int:
    its_id = reservation["CapacityReservationId"]
    instances = region_of(world, region).instances.values()
    used = [one for one in instances if one.get("CapacityReservationId") == its_id and one["State"]["Name"] in HOLDING]
    return int(reservation["TotalInstanceCount"]) - len(used)


def place(world: World, region: str, request: Item, zone: str, count: int) -> str | None:
    """The reservation in which a launch gets its places; None: it is an ordinary one. It fails where it targets one in vain.

    The code of that is EC2's own for a targeted launch; how Auto Scaling words it is not known.
    """
    given = request.get("CapacityReservationSpecification") or {}
    target, preference = given.get("CapacityReservationTarget") or {}, given.get("CapacityReservationPreference") or ""
    ids = target.get("CapacityReservationIds") or [target.get("CapacityReservationId")]
    arns = target.get("CapacityReservationResourceGroupArns") or [target.get("CapacityReservationResourceGroupArn")]
    fitting = [one for one in reservations(world, region).values() if fits(one, request, zone)]
    targeted = [one for one in fitting if one["CapacityReservationId"] in ids or {*one["groups"]} & {*arns}]
    opened = [one for one in fitting if one["InstanceMatchCriteria"] == "open"]
    wanted = targeted if any([*ids, *arns]) else opened if preference != "none" else []
    found = next((one for one in wanted if free(world, region, one) >= count), None)
    if found is None and (
        preference == "capacity-reservations-only" or (any([*ids]) and not preference) or is_block(request)
    ):
        raise AwsError(
            "ReservationCapacityExceeded",
            "The requested reservation does not have sufficient compatible and available capacity for this request.",
        )
    return found["CapacityReservationId"] if found else None


def fits(reservation: Item, request: Item, zone: str) -> bool:
    same = (reservation["InstanceType"], reservation["AvailabilityZone"]) == (request.get("InstanceType"), zone)
    block = reservation["ReservationType"] == BLOCK
    spot = (request.get("InstanceMarketOptions") or {}).get("MarketType") == "spot"
    return same and reservation["State"] == "active" and block == is_block(request) and not spot


def make(world: World, region: str, params: Item, kind: str = "default", end: datetime | None = None) -> Item:
    its_id = new_id("cr")
    made: Item = {
        "CapacityReservationId": its_id,
        "OwnerId": ACCOUNT,
        "CapacityReservationArn": f"arn:{partitions.here()}:ec2:{region}:{ACCOUNT}:capacity-reservation/{its_id}",
        "InstanceType": params["InstanceType"],
        "InstancePlatform": params["InstancePlatform"],
        "AvailabilityZone": params["AvailabilityZone"],
        "Tenancy": params.get("Tenancy") or "default",
        "TotalInstanceCount": int(params["InstanceCount"]),
        "EbsOptimized": bool(params.get("EbsOptimized")),
        "State": "active",
        "StartDate": world.timestamp(),
        "CreateDate": world.timestamp(),
        **({"EndDate": end} if end else {}),
        "EndDateType": "limited" if end else "unlimited",
        "InstanceMatchCriteria": params.get("InstanceMatchCriteria") or "open",
        "ReservationType": kind,
        "groups": [],
    }
    reservations(world, region)[its_id] = made
    if end:
        world.after(max(0.0, end.timestamp() - world.now()), expire, made)
    return made


def expire(reservation: Item) -> None:
    """At its end; instances in it run on, on demand. (Those of a block are gone by then.)"""
    if reservation["State"] == "active":
        reservation["State"] = "expired"


def shown(world: World, region: str, reservation: Item) -> Item:
    active = reservation["State"] == "active"
    return {
        **{key: value for key, value in reservation.items() if key != "groups"},
        "AvailableInstanceCount": free(world, region, reservation) if active else 0,
        "Tags": tags_of(region, reservation["CapacityReservationId"]),
    }


@on("ec2", "CreateCapacityReservation", rules="ec2-reservation sdk-005")
def create_capacity_reservation(call: Call) -> Item:
    """There at once, and paid for from then on; where the zone has no capacity it is refused."""
    world, region, params = call.world, call.region, call.params
    if known := once(world, region, "CreateCapacityReservation", params):
        return {"CapacityReservation": shown(world, region, find(world, region, known))}
    kind, zone = params["InstanceType"], params.get("AvailabilityZone") or ""
    if zone not in ec2_types.offered(region).get(kind, set()):
        raise AwsError("Unsupported", f"The requested instance type ({kind}) is not supported in {zone}.")
    if {zone, f"{zone}:{kind}"} & {*world.settings.without_capacity}:
        raise AwsError("InsufficientInstanceCapacity", "Insufficient capacity.", 500)
    made = make(world, region, params, end=params.get("EndDate"))
    set_tags(region, made["CapacityReservationId"], specified_tags(params, "capacity-reservation"))
    remember(world, region, "CreateCapacityReservation", params, made["CapacityReservationId"])
    return {"CapacityReservation": shown(world, region, made)}


KEYS = {
    "instance-type": "InstanceType",
    "availability-zone": "AvailabilityZone",
    "state": "State",
    "reservation-type": "ReservationType",
    "instance-match-criteria": "InstanceMatchCriteria",
}


@on("ec2", "DescribeCapacityReservations")
def describe_capacity_reservations(call: Call) -> Item:
    world, region, params = call.world, call.region, call.params
    wanted: list[Any] = params.get("CapacityReservationIds") or []
    found = [find(world, region, one) for one in wanted] if wanted else list(reservations(world, region).values())
    items = select((shown(world, region, one) for one in found), params.get("Filters"), by_keys(KEYS))
    items, token = page(items, params)
    return {"CapacityReservations": items, **({"NextToken": token} if token else {})}


@on("ec2", "CancelCapacityReservation")
def cancel_capacity_reservation(call: Call) -> Item:
    found = find(call.world, call.region, call.params["CapacityReservationId"])
    if found["ReservationType"] == BLOCK:
        raise AwsError("OperationNotPermitted", "A Capacity Block cannot be cancelled.")
    found["State"] = "cancelled"
    return {"Return": True}
