"""What China and GovCloud offer: instance types, zones and images, of which moto knows the zones alone.

Families as cfn-lint 1.51.0 lists them for each Region, from AWS's own price lists (aws_ec2_instance/instancetype_enum.json,
August 2026), as far as moto knows the types; each is taken to be in every zone. The images are us-east-1's by other ids.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from moto.ssm.models import ParameterDict

#: the Region whose images and public parameters the others are given
LENDER = "us-east-1"
COMMON = "c5 c5a c5d c6g c6gn c6i c7g d2 g4dn i3 i3en i4i inf1 m5 m5a m5d m6g m6i m7g r5 r5a r5d r6g r6gd r6i r7g t3 t3a t4g x1"
#: the Region -> the families that it offers
FAMILIES = {
    "cn-north-1": f"{COMMON} g5 r3 r4 m3 m4 c3 c4 t1 t2 x2idn x2iedn",
    "cn-northwest-1": f"{COMMON} g5 p4d c6gd c6in r4 m4 c4 t2 x2idn x2iedn z1d",
    "us-gov-west-1": f"{COMMON} g6 gr6 p4d p5 p5en c5n c6gd c6in m5n m5dn m7i m7i-flex r5n r5dn r7i hpc6a t2 x2idn x2iedn",
    "us-gov-east-1": f"{COMMON} g6 gr6 c5n c6gd c6in m5n m5dn m7i m7i-flex r5n r5dn r7i hpc6a x2idn x2iedn",
}
AMI = re.compile(r"\bami-[0-9a-f]{8,17}\b")


def add_offerings() -> None:
    for region, families in FAMILIES.items():
        types = [name for name in INSTANCE_TYPES if name.partition(".")[0] in families.split()]
        zones = RegionsAndZonesBackend.zones[region]
        places = {
            "region": [region],
            "availability-zone": [zone.name for zone in zones],
            "availability-zone-id": [zone.zone_id for zone in zones],
        }
        for kind, names in places.items():
            INSTANCE_TYPE_OFFERINGS[kind][region] = [
                {"InstanceType": name, "Location": place, "LocationType": kind} for name in types for place in names
            ]


def image_of(region: str, text: str) -> str:
    """A text with the ids that its images have in this Region."""
    if region not in FAMILIES:
        return text
    return AMI.sub(lambda match: f"ami-0{hashlib.sha256(f'{region} {match[0]}'.encode()).hexdigest()[:16]}", text)


def lender(region: str) -> str:
    """Of which Region moto has a copy of AWS's own lists."""
    return LENDER if region in FAMILIES else region


_parameters: Any = ParameterDict
_load_latest, _load_tree = _parameters._load_latest_amis, _parameters._load_tree_parameters


def _borrowed(self: Any, load: Any, *path: str) -> None:
    region = self.region_name
    self.region_name = lender(region)
    try:
        load(self, *(each.replace(region, self.region_name) for each in path))
    finally:
        self.region_name = region
    for versions in self.values() if region in FAMILIES else ():
        for each in versions:
            each.value = image_of(region, str(each.value))


_parameters._load_latest_amis = lambda self: _borrowed(self, _load_latest)
_parameters._load_tree_parameters = lambda self, path: _borrowed(self, _load_tree, path)
add_offerings()
