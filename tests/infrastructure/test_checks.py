"""What is looked at before anything is made: a mistake found here costs nothing."""

from __future__ import annotations

import pytest

from emulator.core.faults import Fault
from tests.conftest import Runbook

REFUSED = {
    "a type without a GPU": ({"INSTANCE_TYPE": "t3.micro"}, "INSTANCE_TYPE=t3.micro has no NVIDIA GPU"),
    "too few GPUs": ({"GPU_COUNT": "2"}, "INSTANCE_TYPE=g4dn.xlarge has 1 GPU, but each task needs GPU_COUNT=2"),
    "a GPU that the driver does not serve": ({"INSTANCE_TYPE": "p2.xlarge"}, "INSTANCE_TYPE=p2.xlarge does not exist"),
    "a type that does not exist": ({"INSTANCE_TYPE": "g99.xlarge"}, "INSTANCE_TYPE=g99.xlarge does not exist"),
    "a type that AWS has retired": (
        {"INSTANCE_TYPE": "p3.2xlarge", "TASK_MEMORY": "24576"},
        "INSTANCE_TYPE=p3.2xlarge does not exist in us-east-1, as EC2 says: AWS has retired it, or offers it elsewhere, or "
        "the name is misspelt. For GPU_COUNT=1 and TASK_MEMORY=24576 it offers g6e.xlarge, g4dn.2xlarge, g5.2xlarge",
    ),
    "a retired type with four GPUs": (
        {"INSTANCE_TYPE": "p3.8xlarge", "GPU_COUNT": "4"},
        "For GPU_COUNT=4 it offers g4dn.12xlarge, g5.12xlarge, g6.12xlarge",
    ),
    "a type without a GPU that does not exist": (
        {"INSTANCE_TYPE": "t9.micro", "GPU_COUNT": "0", "TASK_MEMORY": "512"},
        "For TASK_MEMORY=512 it offers t2.micro, t3.micro, t3a.micro",
    ),
    "more than any type has": ({"INSTANCE_TYPE": "p3.2xlarge", "GPU_COUNT": "16"}, "For GPU_COUNT=16 it offers none"),
    "a part of a GPU": (
        {"INSTANCE_TYPE": "g6f.xlarge"},
        "INSTANCE_TYPE=g6f.xlarge has a part of a GPU, 2861 MiB of one L4, and the ECS agent counts whole ones only. "
        "For GPU_COUNT=1 it offers g4dn.xlarge, g5.xlarge, g6.xlarge",
    ),
    "too much memory": ({"TASK_MEMORY": "16384"}, "TASK_MEMORY=16384 does not fit on INSTANCE_TYPE=g4dn.xlarge"),
    "the memory that the host itself needs": (
        {"TASK_MEMORY": "15900"},
        "TASK_MEMORY=15900 does not fit on INSTANCE_TYPE=g4dn.xlarge: of its 16384 MiB a host registers about 15568 with ECS, "
        "the rest is the firmware's and the kernel's",
    ),
    "too many CPU units": ({"TASK_CPU": "8192"}, "TASK_CPU=8192 does not fit on INSTANCE_TYPE=g4dn.xlarge"),
    "an arm type with a GPU": ({"INSTANCE_TYPE": "g5g.xlarge"}, "no ECS GPU AMI for arm64"),
    "a zone that is not there": ({"AVAILABILITY_ZONES": "us-east-1z"}, "AVAILABILITY_ZONES: us-east-1z does not offer"),
    "no such VPC": (
        {"VPC_ID": "vpc-0123456789abcdef0", "SUBNET_IDS": "subnet-0123456789abcdef0"},
        "VPC_ID=vpc-0123456789abcdef0: there is no such VPC in this region",
    ),
    "no such key pair": (
        {"KEY_NAME": "mine", "SSH_ALLOWED_CIDR": "203.0.113.7/32"},
        "KEY_NAME=mine: there is no such key pair in this region",
    ),
    "no such file system": (
        {"FILE_SYSTEM_ID": "fs-0123456789abcdef0"},
        "FILE_SYSTEM_ID=fs-0123456789abcdef0: there is no such file system in this region",
    ),
    "no such role": (
        {"TASK_ROLE_ARN": "arn:aws:iam::123456789012:role/theirs"},
        "TASK_ROLE_ARN=arn:aws:iam::123456789012:role/theirs: there is no such role",
    ),
}


@pytest.mark.parametrize(("settings", "sentence"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_in_a_sentence_before_anything_is_made(
    runbook: Runbook, settings: dict[str, str], sentence: str
) -> None:
    ran = runbook.run("create_cluster.py", **settings)
    assert (ran.code, ran.out, runbook.changes(0)) == (1, "", [])
    assert sentence in ran.err
    assert len(ran.err.splitlines()) <= 3


def test_gpus_on_fargate_are_refused_saying_why(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py", LAUNCH_TYPE="FARGATE", TASK_CPU="256", TASK_MEMORY="512")
    assert (ran.code, runbook.emulator.calls) == (2, [])
    assert "GPU_COUNT: 1, but LAUNCH_TYPE=FARGATE: Fargate has no GPUs" in ran.err


@pytest.mark.parametrize("kind", ["t3.small", "t3.medium", "g4dn.xlarge", "g4dn.2xlarge"])
def test_the_largest_task_that_is_not_refused_finds_its_place(runbook: Runbook, kind: str) -> None:
    runbook.settings |= {"INSTANCE_TYPE": kind, "GPU_COUNT": "1" if kind.startswith("g") else "0"}
    refused = runbook.run("create_cluster.py", TASK_MEMORY="4000000").err
    runbook.settings["TASK_MEMORY"] = refused.partition("registers about ")[2].split()[0]
    ran = runbook.has_run("create_cluster.py", "register_task_definition.py").run("run_task.py")
    assert (ran.code, ran.result["tasks"][0]["lastStatus"]) == (0, "RUNNING")


CODES = [
    ("inf2.xlarge", "on-demand", "L-1945791B"),
    ("inf2.xlarge", "spot", "L-B5D1601B"),
    ("f2.6xlarge", "on-demand", "L-74FC7D96"),
    ("f2.6xlarge", "spot", "L-88CF9481"),
    ("trn1.2xlarge", "on-demand", "L-2C3B7624"),
    ("trn1.2xlarge", "spot", "L-6B0D517C"),
    ("x2idn.16xlarge", "on-demand", "L-7295265B"),
    ("x2idn.16xlarge", "spot", "L-E3A00192"),
    ("p4d.24xlarge", "spot", "L-7212CCBC"),
    ("p5.48xlarge", "spot", "L-C4BD4855"),
    ("p6-b200.48xlarge", "on-demand", "L-417A185B"),
    ("gr6.4xlarge", "spot", "L-3819A6DF"),
    ("im4gn.large", "on-demand", "L-1216C47A"),
]


@pytest.mark.parametrize(("kind", "capacity", "code"), CODES)
def test_each_family_counts_against_a_quota_of_its_own(runbook: Runbook, kind: str, capacity: str, code: str) -> None:
    runbook.emulator.world.settings.vcpu_quotas[code] = 1
    gpus = "1" if kind.startswith(("p", "g")) else "0"
    ran = runbook.run("create_cluster.py", INSTANCE_TYPE=kind, CAPACITY_TYPE=capacity, GPU_COUNT=gpus)
    assert f"the account's quota {code} is 1 vCPUs, and one {kind} ({capacity}) needs" in ran.err


def test_a_family_without_a_quota_that_is_known_is_a_warning(runbook: Runbook) -> None:
    ran = runbook.run("create_cluster.py", INSTANCE_TYPE="p6-b200.48xlarge", CAPACITY_TYPE="spot")
    assert (ran.code, "AWS names no vCPU quota for p6-b200.48xlarge (spot)" in ran.err) == (0, True)


@pytest.mark.parametrize(("capacity", "code"), [("on-demand", "L-DB2E81BA"), ("spot", "L-3819A6DF")])
def test_a_quota_of_zero_is_told_before_anything_is_made(runbook: Runbook, capacity: str, code: str) -> None:
    runbook.emulator.world.settings.vcpu_quotas[code] = 0
    ran = runbook.run("create_cluster.py", CAPACITY_TYPE=capacity)
    assert (ran.code, runbook.changes(0)) == (1, [])
    assert f"the account's quota {code} is 0 vCPUs, and one g4dn.xlarge ({capacity}) needs 4" in ran.err
    assert "Service Quotas console" in ran.err


def test_a_quota_that_is_too_small_for_all_hosts_is_a_warning(runbook: Runbook) -> None:
    runbook.emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 6
    ran = runbook.run("create_cluster.py", MAX_INSTANCES="2")
    assert ran.code == 0
    assert "of 6 vCPUs is not enough for MAX_INSTANCES=2" in ran.err


def test_quotas_that_may_not_be_read_are_a_warning(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("service-quotas:*", "denied", times=-1))
    ran = runbook.run("create_cluster.py")
    assert ran.code == 0
    assert "warning the vCPU quota L-DB2E81BA could not be read" in ran.err


def test_prices_that_may_not_be_read_are_no_obstacle(runbook: Runbook) -> None:
    runbook.emulator.faults.planned.append(Fault("pricing:*", "denied", times=-1))
    ran = runbook.run("create_cluster.py")
    assert ran.code == 0
    assert "https://aws.amazon.com/ec2/pricing/on-demand/" in ran.err


def test_zones_that_do_not_offer_the_type_are_left_out(runbook: Runbook) -> None:
    runbook.emulator.world.settings.vcpu_quotas["L-417A185B"] = 192
    runbook.settings["INSTANCE_TYPE"] = "p6-b200.48xlarge"
    subnet_ids = runbook.has_run("create_cluster.py").run("create_cluster.py").result["subnetIds"]
    ec2 = runbook.aws("ec2")
    offers = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["p6-b200.48xlarge"]}]
    )
    [subnet] = ec2.describe_subnets(SubnetIds=subnet_ids)["Subnets"]
    assert subnet["AvailabilityZone"] in {offer["Location"] for offer in offers["InstanceTypeOfferings"]}


def ami_name(runbook: Runbook) -> str:
    ec2 = runbook.aws("ec2")
    [latest] = ec2.describe_launch_template_versions(LaunchTemplateName="gpu-hosts", Versions=["$Latest"])[
        "LaunchTemplateVersions"
    ]
    [image] = ec2.describe_images(ImageIds=[latest["LaunchTemplateData"]["ImageId"]])["Images"]
    return str(image["Name"])


def test_a_gpu_type_gets_the_gpu_ami(runbook: Runbook) -> None:
    assert "gpu" in ami_name(runbook.has_run("create_cluster.py"))


def test_a_type_without_gpus_gets_the_ami_without_a_driver(runbook: Runbook) -> None:
    name = ami_name(runbook.has_run("create_cluster.py", GPU_COUNT="0", INSTANCE_TYPE="t3.micro"))
    assert "gpu" not in name
    assert "ecs" in name


def test_the_nearly_free_way_to_try_it_runs_a_task(runbook: Runbook) -> None:
    runbook.settings.update(GPU_COUNT="0", INSTANCE_TYPE="t3.micro", COMMAND="sleep infinity")
    ran = runbook.has_run("create_cluster.py", "register_task_definition.py").run("run_task.py")
    assert (ran.code, ran.result["tasks"][0]["lastStatus"]) == (0, "RUNNING")


# ------------------------------------------------------------------------------------------------------ an adopted VPC


def test_a_vpc_without_dns_names_is_refused(adopted: Runbook) -> None:
    adopted.aws("ec2").modify_vpc_attribute(VpcId=adopted.settings["VPC_ID"], EnableDnsHostnames={"Value": False})
    adopted.settle(60)
    begun = len(adopted.emulator.calls)
    ran = adopted.run("create_cluster.py")
    assert (ran.code, adopted.changes(begun)) == (1, [])
    assert "has enableDnsHostnames off" in ran.err


def test_a_subnet_of_another_vpc_is_refused(adopted: Runbook) -> None:
    ec2 = adopted.aws("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    adopted.settle(60)
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.77.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]
    adopted.settle(60)
    ran = adopted.run("create_cluster.py", SUBNET_IDS=subnet["SubnetId"])
    assert ran.code == 1
    assert f"SUBNET_IDS: {subnet['SubnetId']} belongs to {vpc_id}, not to VPC_ID" in ran.err


def test_two_subnets_in_one_zone_are_refused(adopted: Runbook) -> None:
    request = {"VpcId": adopted.settings["VPC_ID"], "CidrBlock": "172.20.1.0/24", "AvailabilityZone": "us-east-1a"}
    other = adopted.aws("ec2").create_subnet(**request)["Subnet"]["SubnetId"]
    adopted.settle(60)
    ran = adopted.run("create_cluster.py", SUBNET_IDS=f"{adopted.settings['SUBNET_IDS']},{other}")
    assert ran.code == 1
    assert "SUBNET_IDS has two subnets in one zone" in ran.err
