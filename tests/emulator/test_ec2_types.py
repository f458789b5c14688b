"""Instance types: what AWS offers today, and which quota each counts against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emulator.core.wire import Emulator
from emulator.ec2.types import quota_of
from emulator.pricing import prices
from tests.emulator.common import Client, refused

GONE = [
    "p2.xlarge",
    "p3.2xlarge",
    "p3.8xlarge",
    "p3.16xlarge",
    "p3dn.24xlarge",
    "g3.4xlarge",
    "g3s.xlarge",
    "g4ad.xlarge",
]


@pytest.mark.parametrize("name", GONE)
def test_a_type_that_is_gone_does_not_exist_and_is_offered_nowhere(client: Callable[..., Any], name: str) -> None:
    for region in ("us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1"):
        ec2 = client("ec2", region)
        assert refused(ec2.describe_instance_types, InstanceTypes=[name]) == "InvalidInstanceType"
        wanted = {"LocationType": "availability-zone", "Filters": [{"Name": "instance-type", "Values": [name]}]}
        assert ec2.describe_instance_type_offerings(**wanted)["InstanceTypeOfferings"] == []
    assert name not in prices.TYPES


def test_each_type_with_a_price_can_be_had_and_has_what_the_price_list_says(client: Callable[..., Any]) -> None:
    ec2, ohio = client("ec2"), client("ec2", "us-east-2")
    at_home = {each["InstanceType"] for each in ec2.describe_instance_type_offerings()["InstanceTypeOfferings"]}
    for name, (_, cpus, memory, gpus, _) in prices.TYPES.items():
        where = ec2 if name in at_home else ohio
        [one] = where.describe_instance_types(InstanceTypes=[name])["InstanceTypes"]
        assert (one["VCpuInfo"]["DefaultVCpus"], one["MemoryInfo"]["SizeInMiB"]) == (
            cpus,
            int(memory.split()[0]) * 1024,
        )
        cards = one.get("GpuInfo", {}).get("Gpus", [])
        assert sum(card["LogicalGpuCount"] * card["GpuPartitionSize"] for card in cards) == gpus, name


def test_a_part_of_a_gpu_is_described_as_no_whole_one(client: Callable[..., Any]) -> None:
    [one] = client("ec2").describe_instance_types(InstanceTypes=["g6f.large"])["InstanceTypes"]
    [card] = one["GpuInfo"]["Gpus"]
    assert (card["Count"], card["LogicalGpuCount"], card["GpuPartitionSize"]) == (0, 1, 0.125)
    assert card["MemoryInfo"]["SizeInMiB"] == 2861


CODES = {
    "g4dn.xlarge": ("L-DB2E81BA", "L-3819A6DF"),
    "gr6.4xlarge": ("L-DB2E81BA", "L-3819A6DF"),
    "vt1.3xlarge": ("L-DB2E81BA", "L-3819A6DF"),
    "p4d.24xlarge": ("L-417A185B", "L-7212CCBC"),
    "p5en.48xlarge": ("L-417A185B", "L-C4BD4855"),
    "p6-b200.48xlarge": ("L-417A185B", None),
    "inf2.xlarge": ("L-1945791B", "L-B5D1601B"),
    "trn1.2xlarge": ("L-2C3B7624", "L-6B0D517C"),
    "dl1.24xlarge": ("L-6E869C2A", "L-85EED4F7"),
    "f2.6xlarge": ("L-74FC7D96", "L-88CF9481"),
    "x2idn.16xlarge": ("L-7295265B", "L-E3A00192"),
    "u7i-6tb.112xlarge": ("L-43DA4232", None),
    "hpc7a.12xlarge": ("L-F7808C92", None),
    "d3.xlarge": ("L-1216C47A", "L-34B43A08"),
    "im4gn.large": ("L-1216C47A", "L-34B43A08"),
    "mac2.metal": (None, None),
}


@pytest.mark.parametrize(("name", "codes"), CODES.items(), ids=CODES)
def test_a_launch_counts_against_the_quota_of_its_family(
    client: Callable[..., Any], name: str, codes: tuple[str | None, str | None]
) -> None:
    assert (quota_of(name, spot=False), quota_of(name, spot=True)) == codes
    for code in filter(None, codes):
        quota = client("service-quotas").get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]
        assert quota["QuotaCode"] == code


def test_spot_scores_are_told_by_the_ids_of_zones(emulator: Emulator, client: Client) -> None:
    scores = client("ec2").get_spot_placement_scores
    asked = {"InstanceTypes": ["g4dn.xlarge"], "TargetCapacity": 1, "RegionNames": ["us-east-1"]}
    emulator.world.settings.without_capacity = ["us-east-1a", "us-east-1b:g4dn.xlarge"]
    told = scores(**asked, SingleAvailabilityZone=True)["SpotPlacementScores"]
    assert sorted(each["Score"] for each in told)[:3] == [1, 1, 10]
    assert all(each["AvailabilityZoneId"].startswith("use1-az") for each in told)
    assert scores(**asked)["SpotPlacementScores"] == [{"Region": "us-east-1", "Score": 10}]


def test_a_disk_smaller_than_the_image_s_own_is_refused(emulator: Emulator, client: Client) -> None:
    ec2, name = client("ec2"), "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
    image_id = client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    emulator.world.settings.image_gib = 50
    [image] = ec2.describe_images(ImageIds=[image_id])["Images"]
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 50
    disk = [{"DeviceName": image["RootDeviceName"], "Ebs": {"VolumeSize": 40}}]
    host = {"ImageId": image_id, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, "BlockDeviceMappings": disk}
    assert refused(ec2.run_instances, **host) == "InvalidBlockDeviceMapping"
