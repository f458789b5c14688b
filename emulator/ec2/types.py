"""Instance types, where they are offered, what they count against the quotas, and the images they boot from.

The types and offerings are moto's copy of AWS's own answers, of October 2026, less what is GONE. Images are rendered
anew, since moto's lack their date and their real disk.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/retrieve-ecs-optimized_AMI.html
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES, InstanceType
from moto.utilities.utils import load_resource

from emulator.core.rules import SENTENCES, AwsError, Call, on
from emulator.core.world import World
from emulator.ec2.other_partitions import image_of, lender
from emulator.ec2.region import Item, backend_of, by_keys, not_found, page, pattern, select

os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # the images are kept here

SENTENCES.update(
    {"ec2-031": "P2, P3, P3dn, G2, G3 and G4ad are offered nowhere: DescribeInstanceTypes says InvalidInstanceType."}
)
SENTENCES["ec2-spot-score"] = "Spot placement scores tell zones by their ids, and 1 where there is no capacity."

ECS_OWNER = "591542846629"

#: letters of an instance family -> quota code of On-Demand and of Spot vCPUs, "" where there is none:
#: https://docs.aws.amazon.com/general/latest/gr/ec2-service.html
QUOTAS = (
    (("g", "gr", "vt"), "L-DB2E81BA", "L-3819A6DF"),
    (("p",), "L-417A185B", "L-7212CCBC"),
    (("inf",), "L-1945791B", "L-B5D1601B"),
    (("trn",), "L-2C3B7624", "L-6B0D517C"),
    (("dl",), "L-6E869C2A", "L-85EED4F7"),
    (("f",), "L-74FC7D96", "L-88CF9481"),
    (("x",), "L-7295265B", "L-E3A00192"),
    (("hpc",), "L-F7808C92", ""),
    (("u",), "L-43DA4232", ""),
)
STANDARD = ("L-1216C47A", "L-34B43A08")  # families that begin with one of A, C, D, H, I, M, R, T, Z
P5_SPOT = "L-C4BD4855"

#: families that AWS offers nowhere as of November 2026, though moto's copy or an older page may name them -> since when
GONE = {
    "g2": "2024",  # estimate: no Region of moto's copy has it
    "p2": "2024",  # estimate: eksctl-io/eksctl#7826 told its users in June 2024
    "g3": "2025-10-31",  # AWS's notice: SummitRoute/aws_breaking_changes#114
    "g3s": "2025-10-31",
    "p3": "2026-05",  # dstackai/gpuhunt#233: DescribeInstanceTypes knows it no more
    "p3dn": "2026-05",  # the same list of AWS's lacks it; moto's copy still has it in four Regions
    "g4ad": "2026-09",  # vantage-sh/ec2instances.info#996
}


def remove_what_is_gone() -> None:
    """Of moto's copy, which was made before."""
    for name in [name for name in INSTANCE_TYPES if is_gone(name)]:
        del INSTANCE_TYPES[name]
    for regions in INSTANCE_TYPE_OFFERINGS.values():
        for region, rows in regions.items():
            regions[region] = [row for row in rows if not is_gone(row["InstanceType"])]


def is_gone(name: str) -> bool:
    return name.partition(".")[0] in GONE


remove_what_is_gone()


def instance_type(name: str) -> Item | None:
    found: Item | None = INSTANCE_TYPES.get(name)
    return found


def vcpus(name: str) -> int:
    return int((instance_type(name) or {}).get("VCpuInfo", {}).get("DefaultVCpus", 0))


def quota_of(name: str, spot: bool) -> str | None:
    """The quota code that counts the vCPUs of this type; None where AWS's list names none: P6 on Spot, mac."""
    family = name.partition(".")[0]
    letters = re.match(r"[a-z]+", family)
    kind = letters[0] if letters else ""
    if kind == "p" and spot and not family.startswith(("p2", "p3", "p4")):
        return P5_SPOT if family.startswith("p5") else None
    for kinds, on_demand, on_spot in QUOTAS:
        if kind in kinds:
            return (on_spot if spot else on_demand) or None
    return STANDARD[spot] if kind and kind[0] in "acdhimrtz" and kind != "mac" else None


@functools.cache
def offered(region: str) -> dict[str, set[str]]:
    """Instance type -> the zones of this region that offer it."""
    zones: dict[str, set[str]] = {}
    for offering in INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, []):
        zones.setdefault(offering["InstanceType"], set()).add(offering["Location"])
    return zones


def types_for(requirements: Item, region: str) -> list[str]:
    """The types that meet attribute-based requirements (vCPUs, memory, accelerators), the smallest first."""
    return sorted(
        (name for name in offered(region) if name in INSTANCE_TYPES and meets(INSTANCE_TYPES[name], requirements)),
        key=lambda name: (vcpus(name), INSTANCE_TYPES[name]["MemoryInfo"]["SizeInMiB"], name),
    )


def meets(item: Item, wanted: Item) -> bool:
    name = item["InstanceType"]
    gpus = (item.get("GpuInfo") or {}).get("Gpus") or []
    values = {
        "VCpuCount": item["VCpuInfo"]["DefaultVCpus"],
        "MemoryMiB": item["MemoryInfo"]["SizeInMiB"],
        "AcceleratorCount": sum(gpu["Count"] for gpu in gpus),
        "AcceleratorTotalMemoryMiB": (item.get("GpuInfo") or {}).get("TotalGpuMemoryInMiB", 0),
    }
    for key, value in values.items():
        bounds = wanted.get(key) or {}
        if value < bounds.get("Min", 0) or value > bounds.get("Max", value):
            return False
    makers = {gpu["Manufacturer"].lower() for gpu in gpus}
    names = {gpu["Name"].lower() for gpu in gpus}
    if not set(wanted.get("AcceleratorManufacturers") or makers) >= makers or (
        wanted.get("AcceleratorManufacturers") and not makers
    ):
        return False
    if wanted.get("AcceleratorNames") and not names & set(wanted["AcceleratorNames"]):
        return False
    if gpus and not any(key.startswith("Accelerator") for key in wanted):
        return False
    if item.get("BareMetal") and wanted.get("BareMetal", "excluded") == "excluded":
        return False
    allowed, excluded = wanted.get("AllowedInstanceTypes") or ["*"], wanted.get("ExcludedInstanceTypes") or []
    return any(pattern(one).match(name) for one in allowed) and not any(pattern(one).match(name) for one in excluded)


@on("ec2", "DescribeInstanceTypes", rules="ec2-031")
def describe_instance_types(call: Call) -> Item:
    """What each type has: vCPUs, memory, GPUs, interfaces. Only types that this region offers, as on AWS."""
    here = offered(call.region)
    wanted = call.params.get("InstanceTypes") or []
    unknown = [name for name in wanted if name not in INSTANCE_TYPES or name not in here]
    if unknown:
        raise AwsError(
            "InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
        )
    found = _types(tuple(wanted) or tuple(sorted(here)), json.dumps(call.params.get("Filters")))
    items, token = page(found, call.params, 100)
    return {"InstanceTypes": items, **({"NextToken": token} if token else {})}


@functools.lru_cache(1_000)
def _types(names: tuple[str, ...], filters: str) -> list[Item]:
    """Those of these types that pass the filters: of eight hundred, which never change."""
    return select([INSTANCE_TYPES[name] for name in names if name in INSTANCE_TYPES], json.loads(filters), type_value)


def type_value(item: Item, name: str) -> Any:
    """The value behind a filter such as vcpu-info.default-vcpus or processor-info.supported-architecture."""
    path = InstanceType._filter_attributes.get(name)
    if path is None:
        return None
    value: Any = item
    for step in path:
        value = (value or {}).get(step)
    return [] if value is None else value


@on("ec2", "DescribeInstanceTypeOfferings", rules="ec2-031")
def describe_instance_type_offerings(call: Call) -> Item:
    """Where a type can be had: in the region, or in which of its zones."""
    kind = call.params.get("LocationType") or "region"
    types = [
        value
        for each in call.params.get("Filters") or []
        if each["Name"] == "instance-type"
        for value in each["Values"]
    ]
    rows = offerings(kind, call.region, tuple(types) if types and not any("*" in one for one in types) else ())
    names = {"instance-type": "InstanceType", "location": "Location"}
    items = select(rows, call.params.get("Filters"), by_keys(names))
    items, token = page(items, call.params)
    return {"InstanceTypeOfferings": items, **({"NextToken": token} if token else {})}


@on("ec2", "GetSpotPlacementScores", rules="ec2-spot-score")
def get_spot_placement_scores(call: Call) -> Item:
    """The account's score for a zone that has Spot capacity of one of the types, 1 for one that offers them and has none now.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-placement-score.html
    """
    params, without, best = call.params, set(call.world.settings.without_capacity), call.world.settings.spot_score
    if not params.get("InstanceTypes") or params.get("RegionNames") not in (None, [call.region]):
        raise AwsError("InvalidParameterValue", "The emulator scores instance types, in the Region of the call.")
    if not params.get("SingleAvailabilityZone"):
        return {"SpotPlacementScores": [{"Region": call.region, "Score": best}]}
    scores = []
    for zone in backend_of(call.region).describe_availability_zones():
        types = [each for each in params["InstanceTypes"] if zone.name in offered(call.region).get(each, set())]
        has = [each for each in types if not {zone.name, f"spot:{zone.name}", f"{zone.name}:{each}"} & without]
        if types:
            score = {"Region": call.region, "AvailabilityZoneId": zone.zone_id, "Score": best if has else 1}
            scores.append(score)
    return {"SpotPlacementScores": sorted(scores, key=lambda each: -each["Score"])}


@functools.cache
def offerings(kind: str, region: str, types: tuple[str, ...]) -> list[Item]:
    """Of these types, or of all: a region has thousands of rows, and is asked about one type again and again."""
    rows: list[Item] = INSTANCE_TYPE_OFFERINGS.get(kind, {}).get(region, [])
    return [row for row in rows if not types or row["InstanceType"] in types]


@functools.cache
def images(region: str) -> dict[str, Item]:
    """The public images of a region, as describe_images shows them."""
    return {image_id: image_shown(row) for image_id, row in image_rows(region).items()}


@functools.cache
def image_rows(region: str) -> dict[str, Item]:
    """Those images that moto knows, and those that SSM's public parameters name besides."""
    rows: list[Item] = list(load_resource("ec2/resources/amis.json"))
    for folder in ("latest_amis", "ecs/optimized_amis"):
        with contextlib.suppress(FileNotFoundError):
            rows += load_resource(f"ec2/resources/{folder}/{lender(region)}.json")
    found = {row["ami_id"]: row for row in rows}
    with contextlib.suppress(FileNotFoundError):
        for row in named_by_ssm(load_resource(f"ssm/resources/ecs/optimized_amis/{lender(region)}.json")):
            found.setdefault(row["ami_id"], row)
    rows = [{**row, "ami_id": image_of(region, row["ami_id"])} for row in found.values()]
    return {row["ami_id"]: row for row in rows}


def named_by_ssm(node: Any) -> Iterator[Item]:
    """Every image in the tree of public parameters under /aws/service/ecs/optimized-ami."""
    if not isinstance(node, dict):
        return
    value = node.get("Value")
    if isinstance(value, dict) and "image_id" in value:
        name = value.get("image_name") or "amazon-ecs-optimized"
        yield {"ami_id": value["image_id"], "name": name, "owner_id": ECS_OWNER, "description": name}
    for child in node.values():
        yield from named_by_ssm(child)


def image_shown(row: Item) -> Item:
    name = row.get("name") or row["ami_id"]
    windows = "indows" in name
    root = "/dev/sda1" if windows or "ubuntu" in name else "/dev/xvda"
    linux_2023 = name.startswith("al2023")
    digest = hashlib.sha256(row["ami_id"].encode()).hexdigest()
    return {
        "Architecture": row.get("architecture") or ("arm64" if "arm64" in name else "x86_64"),
        "CreationDate": created(name),
        "ImageId": row["ami_id"],
        "ImageLocation": f"amazon/{name}",
        "ImageType": "machine",
        "Public": True,
        "OwnerId": row.get("owner_id") or ECS_OWNER,
        **({"Platform": "windows"} if windows else {}),
        "PlatformDetails": "Windows" if windows else "Linux/UNIX",
        "UsageOperation": "RunInstances:0002" if windows else "RunInstances",
        "State": "available",
        "BlockDeviceMappings": [
            {
                "DeviceName": root,
                "Ebs": {
                    "DeleteOnTermination": True,
                    "Iops": 3000,
                    "SnapshotId": f"snap-0{digest[:16]}",
                    "VolumeSize": 30 if "ecs" in name.lower() or windows else 8,
                    "VolumeType": "gp3",
                    "Throughput": 125,
                    "Encrypted": False,
                },
            }
        ],
        "Description": row.get("description") or name,
        "EnaSupport": True,
        "Hypervisor": "xen",
        "ImageOwnerAlias": "amazon",
        "Name": name,
        "RootDeviceName": root,
        "RootDeviceType": "ebs",
        "SriovNetSupport": "simple",
        "VirtualizationType": row.get("virtualization_type") or "hvm",
        "BootMode": "uefi-preferred",
        **({"ImdsSupport": "v2.0"} if linux_2023 else {}),
        "DeprecationTime": created(name, years=2),
    }


def sized(world: World, image: Item) -> Item:
    """An image with the disk that the account's settings give the ECS-optimized ones."""
    [device] = image["BlockDeviceMappings"]
    if "ecs" not in image["Name"].lower() or device["Ebs"]["VolumeSize"] == world.settings.image_gib:
        return image
    return {
        **image,
        "BlockDeviceMappings": [{**device, "Ebs": {**device["Ebs"], "VolumeSize": world.settings.image_gib}}],
    }


def created(name: str, years: int = 0) -> str:
    """The date that AWS puts into the names of its images."""
    date = re.search(r"(20[12]\d)\.?(0[1-9]|1[0-2])\.?(0[1-9]|[12]\d|3[01])(?!\d)", name)
    year, month, day = date.groups() if date else ("2024", "01", "01")
    return f"{int(year) + years}-{month}-{day}T09:00:00.000Z"


def find_image(region: str, image_id: str) -> Item:
    """An image by its id; AWS tells a malformed id from one that does not exist."""
    if not re.fullmatch(r"ami-[0-9a-f]{8}([0-9a-f]{9})?", image_id):
        raise AwsError("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
    found = images(region).get(image_id)
    if found is None:
        raise not_found(image_id, "ami")
    return found


def ecs_image_kind(image_id: str, region: str | None = None) -> str | None:
    """Is this an ECS-optimized image: "gpu", "cpu", or None for any other image (no agent on it)?"""
    for name in [region] if region else sorted(INSTANCE_TYPE_OFFERINGS["region"], key=lambda one: one != "us-east-1"):
        row = image_rows(name).get(image_id)
        if row:
            text = str(row.get("name") or "").lower()
            return None if "ecs" not in text else "gpu" if "-gpu-" in text else "cpu"
    return None


IMAGE_FILTERS = {
    "architecture": "Architecture",
    "creation-date": "CreationDate",
    "description": "Description",
    "ena-support": "EnaSupport",
    "hypervisor": "Hypervisor",
    "image-id": "ImageId",
    "image-type": "ImageType",
    "is-public": "Public",
    "name": "Name",
    "owner-alias": "ImageOwnerAlias",
    "owner-id": "OwnerId",
    "platform": "Platform",
    "platform-details": "PlatformDetails",
    "root-device-name": "RootDeviceName",
    "root-device-type": "RootDeviceType",
    "state": "State",
    "virtualization-type": "VirtualizationType",
}


@on("ec2", "DescribeImages")
def describe_images(call: Call) -> Item:
    """Amazon's public images. Every id that the SSM parameters of the ECS-optimized AMIs give is among them."""
    params = call.params
    wanted = params.get("ImageIds")
    found = [find_image(call.region, one) for one in wanted] if wanted else list(images(call.region).values())
    if owners := params.get("Owners"):
        found = [one for one in found if one["OwnerId"] in owners or one["ImageOwnerAlias"] in owners]
    items = select((sized(call.world, one) for one in found), params.get("Filters"), by_keys(IMAGE_FILTERS))
    items, token = page(items, params)
    return {"Images": items, **({"NextToken": token} if token else {})}
