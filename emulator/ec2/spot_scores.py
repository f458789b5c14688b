"""Spot placement scores: how likely a Spot request would succeed now, 1 to 10 for each zone that offers the types.

The score is the account's setting where there is capacity, and 1 where there is none. Fewer than three types have a low
score on AWS: that is not imitated, since no one has published how low.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-placement-score.html
"""

from __future__ import annotations

from emulator.core.rules import SENTENCES, AwsError, Call, on
from emulator.ec2 import types
from emulator.ec2.region import Item

SENTENCES["ec2-spot-score"] = "Spot placement scores tell zones by their ids, and 1 where there is no capacity."


@on("ec2", "GetSpotPlacementScores", rules="ec2-spot-score")
def get_spot_placement_scores(call: Call) -> Item:
    """Of each zone, or of each Region its best."""
    wanted = call.params.get("InstanceTypes") or []
    if not wanted and not call.params.get("InstanceRequirementsWithMetadata"):
        raise AwsError("MissingParameter", "The request must contain the parameter InstanceTypes")
    settings, found = call.world.settings, []
    zones = call.moto("ec2").describe_availability_zones()["AvailabilityZones"]
    here = call.region in (call.params.get("RegionNames") or [call.region])
    for zone in zones if here else ():
        name = zone["ZoneName"]
        offered = [each for each in wanted if name in types.offered(call.region).get(each, ())]
        lacking = {name, *(f"{name}:{each}" for each in offered)} & {*settings.without_capacity}
        if offered or not wanted:
            score = 1 if lacking else settings.spot_score
            found.append({"Region": call.region, "AvailabilityZoneId": zone["ZoneId"], "Score": score})
    if not call.params.get("SingleAvailabilityZone"):
        best = max((each["Score"] for each in found), default=0)
        found = [{"Region": call.region, "Score": best}] if found else []
    return {"SpotPlacementScores": sorted(found, key=lambda each: -int(each["Score"]))}
