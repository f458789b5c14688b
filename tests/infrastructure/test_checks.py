"""What is looked at before anything is made: a mistake found here costs nothing."""

from __future__ import annotations

import pytest

from emulator.core.faults import Fault
from tests.conftest import Runbook

REFUSED = {
    "a type without a GPU": ({"INSTANCE_TYPE": "t3.micro"}, "INSTANCE_TYPE=t3.micro has no NVIDIA GPU"),
    "too few GPUs": ({"GPU_COUNT": "2"}, "INSTANCE_TYPE=g4dn.xlarge has 1 GPUs, but each task needs GPU_COUNT=2"),
    "a GPU that the driver does not serve": ({"INSTANCE_TYPE": "p2.xlarge"}, "does not serve its GPU"),
    "a type that does not exist": ({"INSTANCE_TYPE": "g99.xlarge"}, "INSTANCE_TYPE=g99.xlarge does not exist"),
    "too much memory": ({"TASK_MEMORY": "16384"}, "TASK_MEMORY=16384 does not fit on INSTANCE_TYPE=g4dn.xlarge"),
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
    runbook.settings["INSTANCE_TYPE"] = "p3.2xlarge"
    subnet_ids = runbook.has_run("create_cluster.py").run("create_cluster.py").result["subnetIds"]
    ec2 = runbook.aws("ec2")
    offers = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["p3.2xlarge"]}]
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
