"""CAPACITY_RESERVATION: hosts come in what is reserved, and nowhere else. It is looked at here, and never bought or ended.

An On-Demand Capacity Reservation, a Capacity Block, or a resource group of reservations.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/target-capacity-reservations.html
"""

from typing import Any

import aws
import constants
from aws import Problem, call, client
from console import how_many, say

BLOCK = "capacity-block"
#: what a group says that launches wherever there is room
ANYWHERE = {"CapacityReservationPreference": "default"}


@aws.look
def reservation() -> Any:
    """The one that is named; {} where none is, or a group of them."""
    if not constants.CAPACITY_RESERVATION.startswith("cr-"):
        return {}
    describe = call(client("ec2").describe_capacity_reservations, gone="InvalidCapacityReservationId.NotFound")
    found = describe(CapacityReservationIds=[constants.CAPACITY_RESERVATION])
    return next(iter(found["CapacityReservations"]), {}) if found else {}


def is_block() -> bool:
    return bool(reservation().get("ReservationType") == BLOCK)


def specification() -> dict[str, Any]:
    """What the hosts' group says of it."""
    named = constants.CAPACITY_RESERVATION
    if not named:
        return {"CapacityReservationSpecification": ANYWHERE}
    kind = "CapacityReservationIds" if named.startswith("cr-") else "CapacityReservationResourceGroupArns"
    target = {
        "CapacityReservationPreference": "capacity-reservations-only",
        "CapacityReservationTarget": {kind: [named]},
    }
    return {"CapacityReservationSpecification": target}


def is_specified(group: Any) -> bool:
    """Whether the group says so already. AWS may show nothing where it is the default."""
    [wanted] = specification().values()
    return aws.holds(group.get("CapacityReservationSpecification") or ANYWHERE, wanted)


def subnets(zones: dict[str, str]) -> list[str]:
    """Those in which its hosts can be: a reservation is in one zone. `zones`: subnet id -> zone."""
    found = reservation()
    return [each for each, zone in zones.items() if not found or zone == found["AvailabilityZone"]]


def check(zones: list[str], new: bool) -> str:
    """It is there, for hosts like ours, in a zone of ours, and has room for a new cluster's first; its end is told. What is
    free in it, in words; "" where none is named."""
    named = f"CAPACITY_RESERVATION={constants.CAPACITY_RESERVATION}"
    if not constants.CAPACITY_RESERVATION.startswith("cr-"):
        return told(named, "a group of reservations: what is in it is not looked at")
    found = reservation()
    if not found:
        raise Problem(f"{named}: there is no such Capacity Reservation in this account and region")
    starts = f": it starts {in_utc(found['StartDate'])}, run it again then" if found["State"] == "scheduled" else ""
    if found["State"] != "active":
        raise Problem(f"{named} is {found['State']}, not active{starts}")
    kind, zone, platform = found["InstanceType"], found["AvailabilityZone"], found["InstancePlatform"]
    if kind != constants.INSTANCE_TYPE:
        raise Problem(f"{named} is for {kind}, but INSTANCE_TYPE={constants.INSTANCE_TYPE}: set INSTANCE_TYPE={kind}")
    if platform != "Linux/UNIX" or found["Tenancy"] != "default":
        raise Problem(
            f"{named} is for {platform} with {found['Tenancy']} tenancy; hosts are Linux/UNIX with default tenancy"
        )
    if zone not in zones:
        raise Problem(f"{named} is in {zone}, and none of our subnets is: they are in {', '.join(zones)}")
    free, total, wanted = found["AvailableInstanceCount"], found["TotalInstanceCount"], constants.MAX_INSTANCES
    if new and not free:
        raise Problem(
            f"{named} has room for {how_many(total, 'host')}, and others have all of it: end one, or name another"
        )
    if total < wanted:
        say("warning", f"{named} has room for {how_many(total, 'host')},", f"less than MAX_INSTANCES={wanted}")
    return told(named, f"{free} of {total} {kind} free in {zone}{end()}")


def told(named: str, what: str) -> str:
    if not constants.CAPACITY_RESERVATION:
        return ""
    say("found", named, what)
    return what


def end() -> str:
    """When it ends, in words; "" where it has no end.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-blocks.html
    """
    until = reservation().get("EndDate")
    if not until:
        return ""
    taken = "AWS takes its hosts 30 minutes before" if is_block() else "its hosts run on then, on demand"
    return f"; ends {in_utc(until)}; {taken}"


def tell_end() -> None:
    """To those who start something: until when it can run."""
    if constants.CAPACITY_RESERVATION and (told := end()):
        say("found", f"CAPACITY_RESERVATION={constants.CAPACITY_RESERVATION}", told.removeprefix("; "))


def in_utc(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%MZ"))
