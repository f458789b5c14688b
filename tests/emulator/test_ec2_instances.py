"""Launch templates, types, images, and the life of an instance."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.core.faults import Fault
from emulator.core.rules import AwsError
from emulator.core.wire import Emulator
from emulator.ec2 import instances as ec2_instances
from emulator.ec2 import types as ec2_types

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
)


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Code and message that a call is refused with."""
    with pytest.raises(ClientError) as error:
        call(**params)
    told = error.value.response["Error"]
    return str(told["Code"]), str(told["Message"])


@pytest.fixture
def ec2(client: Callable[[str], Any]) -> Any:
    return client("ec2")


@pytest.fixture
def sleep(emulator: Emulator) -> Callable[[float], None]:
    return emulator.world.clock.sleep  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def image(client: Callable[[str], Any]) -> str:
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
    return str(client("ssm").get_parameter(Name=name)["Parameter"]["Value"])


@pytest.fixture
def subnets(ec2: Any) -> dict[str, str]:
    """The default subnets, by zone."""
    return {one["AvailabilityZone"]: one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}


@pytest.fixture
def run(ec2: Any, image: str, sleep: Any) -> Callable[..., Any]:
    def start(**params: Any) -> dict[str, Any]:
        wanted = {"ImageId": image, "InstanceType": "g4dn.xlarge", "MinCount": 1, "MaxCount": 1, **params}
        made: dict[str, Any] = ec2.run_instances(**wanted)["Instances"][0]
        sleep(2)
        return made

    return start


def look(ec2: Any, instance_id: str) -> Any:
    return ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def test_the_name_of_a_template_is_taken_unless_the_token_is_the_same(ec2: Any, sleep: Any) -> None:
    """ec2-028, sdk-005"""
    wanted = {"LaunchTemplateName": "gpu", "LaunchTemplateData": {"InstanceType": "g5.xlarge"}, "ClientToken": "t"}
    made = ec2.create_launch_template(**wanted)["LaunchTemplate"]
    sleep(5)
    assert ec2.create_launch_template(**wanted)["LaunchTemplate"]["LaunchTemplateId"] == made["LaunchTemplateId"]
    taken = refused(ec2.create_launch_template, **{**wanted, "ClientToken": "u"})
    assert taken[0] == "InvalidLaunchTemplateName.AlreadyExistsException"
    assert refused(ec2.create_launch_template, **{**wanted, "LaunchTemplateName": "a b c"})[0] == (
        "InvalidLaunchTemplateName.MalformedException"
    )


def test_a_template_stores_what_does_not_exist(ec2: Any, sleep: Any) -> None:
    """ec2-029"""
    data = {
        "ImageId": "ami-00000000000000000",
        "KeyName": "none",
        "IamInstanceProfile": {"Name": "none"},
        "SecurityGroupIds": ["sg-0"],
        "UserData": base64.b64encode(b"#!/bin/bash").decode(),
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 100, "VolumeType": "gp3"}}],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
    }
    ec2.create_launch_template(LaunchTemplateName="gpu", LaunchTemplateData=data)
    sleep(5)
    [version] = ec2.describe_launch_template_versions(LaunchTemplateName="gpu")["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"] == data
    launch = {"LaunchTemplate": {"LaunchTemplateName": "gpu"}, "MinCount": 1, "MaxCount": 1}
    assert refused(ec2.run_instances, **launch)[0] == "InvalidAMIID.NotFound"


def test_a_template_has_versions(ec2: Any, sleep: Any) -> None:
    ec2.create_launch_template(LaunchTemplateName="gpu", LaunchTemplateData={"InstanceType": "g5.xlarge"})
    sleep(5)
    ec2.create_launch_template_version(
        LaunchTemplateName="gpu", SourceVersion="1", LaunchTemplateData={"ImageId": "ami-1"}
    )
    versions = ec2.describe_launch_template_versions(LaunchTemplateName="gpu")["LaunchTemplateVersions"]
    assert [(one["VersionNumber"], one["DefaultVersion"]) for one in versions] == [(2, False), (1, True)]
    assert versions[0]["LaunchTemplateData"] == {"InstanceType": "g5.xlarge", "ImageId": "ami-1"}
    ec2.modify_launch_template(LaunchTemplateName="gpu", DefaultVersion="2")
    [template] = ec2.describe_launch_templates(LaunchTemplateNames=["gpu"])["LaunchTemplates"]
    assert (template["DefaultVersionNumber"], template["LatestVersionNumber"]) == (2, 2)
    ec2.delete_launch_template(LaunchTemplateName="gpu")
    gone = refused(ec2.describe_launch_templates, LaunchTemplateNames=["gpu"])
    assert gone[0] == "InvalidLaunchTemplateName.NotFoundException"
    gone = refused(ec2.describe_launch_templates, LaunchTemplateIds=[template["LaunchTemplateId"]])
    assert gone[0] == "InvalidLaunchTemplateId.NotFound"


def test_an_instance_boots_and_ends_slowly(ec2: Any, run: Any, sleep: Any, subnets: dict[str, str]) -> None:
    """ec2-030"""
    group = ec2.create_security_group(GroupName="box", Description="d")["GroupId"]
    sleep(5)
    made = run(SubnetId=subnets["us-east-1a"], SecurityGroupIds=[group])
    assert made["State"]["Name"] == "pending"
    sleep(12)
    running = look(ec2, made["InstanceId"])
    assert running["State"]["Name"] == "running" and running["PublicIpAddress"]
    [change] = ec2.terminate_instances(InstanceIds=[made["InstanceId"]])["TerminatingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "shutting-down")
    sleep(30)
    assert look(ec2, made["InstanceId"])["State"]["Name"] == "shutting-down"
    assert refused(ec2.delete_security_group, GroupId=group)[0] == "DependencyViolation"
    assert refused(ec2.delete_subnet, SubnetId=subnets["us-east-1a"])[0] == "DependencyViolation"
    sleep(60)
    ended = look(ec2, made["InstanceId"])
    assert ended["State"]["Name"] == "terminated" and "PublicIpAddress" not in ended
    assert ec2.describe_volumes()["Volumes"] == []
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnets["us-east-1a"])
    sleep(3600)
    gone = refused(ec2.describe_instances, InstanceIds=[made["InstanceId"]])
    assert gone[0] == "InvalidInstanceID.NotFound"


def test_an_instance_is_what_was_asked_for(ec2: Any, run: Any, sleep: Any, client: Any) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    made = run(
        UserData="#!/bin/bash\necho hello",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 100, "VolumeType": "gp3"}}],
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
        InstanceMarketOptions={"MarketType": "spot"},
    )
    found = look(ec2, made["InstanceId"])
    assert found["Tags"] == tags and found["InstanceLifecycle"] == "spot"
    assert found["MetadataOptions"]["HttpTokens"] == "required", "the image of Amazon Linux 2023 asks for it"
    [volume] = ec2.describe_volumes(Filters=[{"Name": "tag:a", "Values": ["b"]}])["Volumes"]
    assert volume["Size"] == 100 and volume["Attachments"][0]["InstanceId"] == made["InstanceId"]
    data = ec2.describe_instance_attribute(InstanceId=made["InstanceId"], Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(data) == b"#!/bin/bash\necho hello"
    sleep(130)
    [status] = ec2.describe_instance_status(InstanceIds=[made["InstanceId"]])["InstanceStatuses"]
    assert status["InstanceStatus"]["Status"] == "ok"
    assert "Linux version" in ec2.get_console_output(InstanceId=made["InstanceId"])["Output"]
    names = [{"Name": "instance-state-name", "Values": ["running"]}, {"Name": "tag:a", "Values": ["b*"]}]
    assert len(ec2.describe_instances(Filters=names)["Reservations"]) == 1


def test_the_profile_must_have_spread(ec2: Any, run: Any, client: Any, sleep: Any) -> None:
    """ec2-027, iam-001"""
    text = "Value (box) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
    profile = {"Name": "box"}
    assert refused(run, IamInstanceProfile=profile) == ("InvalidParameterValue", text)
    iam = client("iam")
    iam.create_role(RoleName="box", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="box")
    sleep(11)
    assert "has no associated IAM Roles" in refused(run, IamInstanceProfile=profile)[1]
    iam.add_role_to_instance_profile(InstanceProfileName="box", RoleName="box")
    sleep(5)
    assert refused(run, IamInstanceProfile=profile) == ("InvalidParameterValue", text)
    sleep(6)
    assert run(IamInstanceProfile=profile)["IamInstanceProfile"]["Arn"].endswith("instance-profile/box")


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "image"}, "InvalidAMIID.Malformed"),
        ({"KeyName": "none"}, "InvalidKeyPair.NotFound"),
        ({"SecurityGroupIds": ["sg-0"]}, "InvalidGroup.NotFound"),
        ({"SubnetId": "subnet-0"}, "InvalidSubnetID.NotFound"),
        ({"InstanceType": "g99.xlarge"}, "InvalidParameterValue"),
        ({"InstanceType": "g5g.xlarge"}, "InvalidParameterValue"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}]}, "InvalidBlockDeviceMapping"),
        ({"DryRun": True}, "DryRunOperation"),
        ({"LaunchTemplate": {"LaunchTemplateName": "none"}}, "InvalidLaunchTemplateName.NotFoundException"),
    ],
)
def test_a_launch_checks_what_it_names(run: Any, params: dict[str, Any], error: str) -> None:
    assert refused(run, **params)[0] == error


def test_a_zone_that_does_not_offer_the_type_is_told(run: Any, subnets: dict[str, str]) -> None:
    error, text = refused(run, SubnetId=subnets["us-east-1e"])
    assert error == "Unsupported" and "us-east-1e" in text and "choosing us-east-1a" in text


def test_the_quota_counts_vcpus(emulator: Emulator, run: Any) -> None:
    """ec2-025"""
    emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 0.0
    error, text = refused(run)
    assert error == "VcpuLimitExceeded"
    assert text.startswith("You have requested more vCPU capacity than your current vCPU limit of 0 allows for the")
    run(InstanceType="t3.micro")
    run(InstanceMarketOptions={"MarketType": "spot"})
    emulator.world.settings.vcpu_quotas["L-DB2E81BA"] = 7.0
    run()
    assert refused(run)[0] == "VcpuLimitExceeded"
    emulator.world.settings.vcpu_quotas["L-3819A6DF"] = 0.0
    assert refused(run, InstanceMarketOptions={"MarketType": "spot"})[0] == "MaxSpotInstanceCountExceeded"


def test_a_zone_may_have_no_capacity(emulator: Emulator, run: Any, subnets: dict[str, str]) -> None:
    """ec2-026"""
    emulator.world.settings.without_capacity = ["us-east-1a:g4dn.xlarge", "us-east-1b"]
    error, text = refused(run, SubnetId=subnets["us-east-1a"])
    assert error == "InsufficientInstanceCapacity"
    assert text.startswith(
        "We currently do not have sufficient g4dn.xlarge capacity in the Availability Zone you requested (us-east-1a)."
    )
    assert "choosing us-east-1c" in text
    assert refused(run, SubnetId=subnets["us-east-1b"], InstanceType="t3.micro")[0] == "InsufficientInstanceCapacity"
    run(SubnetId=subnets["us-east-1a"], InstanceType="t3.micro")


def test_a_run_with_the_same_token_starts_nothing_more(ec2: Any, run: Any) -> None:
    """sdk-005"""
    assert run(ClientToken="t")["InstanceId"] == run(ClientToken="t")["InstanceId"]
    assert refused(run, ClientToken="t", InstanceType="g5.xlarge")[0] == "IdempotentParameterMismatch"


def test_instances_stop_and_start(ec2: Any, run: Any, sleep: Any) -> None:
    instance_id = run()["InstanceId"]
    sleep(20)
    ec2.stop_instances(InstanceIds=[instance_id])
    assert look(ec2, instance_id)["State"]["Name"] == "stopping"
    sleep(40)
    assert look(ec2, instance_id)["State"]["Name"] == "stopped"
    ec2.start_instances(InstanceIds=[instance_id])
    sleep(20)
    assert look(ec2, instance_id)["State"]["Name"] == "running"


def test_types_tell_their_gpus(ec2: Any) -> None:
    found = ec2.describe_instance_types(InstanceTypes=["g4dn.xlarge", "g6f.large", "p5.48xlarge"])["InstanceTypes"]
    gpus = {one["InstanceType"]: one["GpuInfo"]["Gpus"][0] for one in found}
    assert gpus["g4dn.xlarge"]["Manufacturer"] == "NVIDIA" and gpus["g4dn.xlarge"]["Name"] == "T4"
    assert gpus["g4dn.xlarge"]["MemoryInfo"]["SizeInMiB"] == 16384
    assert gpus["p5.48xlarge"]["Count"] == 8
    assert refused(ec2.describe_instance_types, InstanceTypes=["g99.xlarge"])[0] == "InvalidInstanceType"
    filters = [{"Name": "location", "Values": ["us-east-1e"]}, {"Name": "instance-type", "Values": ["g5.*", "g4dn.*"]}]
    offered = ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=filters)
    assert offered["InstanceTypeOfferings"] == []


def test_every_ecs_image_of_the_public_parameters_is_there(client: Any, ec2: Any) -> None:
    kinds = {"amazon-linux-2023": "cpu", "amazon-linux-2023/gpu": "gpu", "amazon-linux-2/gpu": "gpu"}
    kinds |= {"amazon-linux-2023/arm64": "cpu", "amazon-linux-2": "cpu"}
    for name, kind in kinds.items():
        path = f"/aws/service/ecs/optimized-ami/{name}/recommended/image_id"
        image_id = client("ssm").get_parameter(Name=path)["Parameter"]["Value"]
        [image] = ec2.describe_images(ImageIds=[image_id])["Images"]
        assert image["RootDeviceName"] == "/dev/xvda" and image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 30
        assert image["Architecture"] == ("arm64" if "arm64" in name else "x86_64")
        assert ec2_types.ecs_image_kind(image_id) == kind
        assert ("-gpu-" in image["Name"]) == (kind == "gpu")
    assert ec2_types.ecs_image_kind("ami-00000000000000000") is None


def test_other_services_launch_with_the_same_checks(emulator: Emulator, ec2: Any, image: str, sleep: Any) -> None:
    ec2.create_launch_template(
        LaunchTemplateName="gpu",
        LaunchTemplateData={"ImageId": image, "InstanceType": "g4dn.xlarge", "IamInstanceProfile": {"Name": "none"}},
    )
    sleep(5)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    with pytest.raises(AwsError) as error:
        ec2_instances.launch(emulator.world, "us-east-1", {"LaunchTemplateName": "gpu"}, subnet, {})
    assert error.value.code == "InvalidParameterValue"


def test_user_data_of_a_template_is_base64(ec2: Any) -> None:
    data = {"UserData": "#!/bin/bash"}
    error, _ = refused(ec2.create_launch_template, LaunchTemplateName="gpu", LaunchTemplateData=data)
    assert error == "InvalidUserData.Malformed"


def test_throttling_comes_as_a_fault_only(emulator: Emulator, ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """ec2-024"""
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # boto3 tries again
    emulator.faults.planned.append(Fault("DescribeVpcs", "RequestLimitExceeded", times=9, status=503))
    assert refused(ec2.describe_vpcs)[0] == "RequestLimitExceeded"


def test_user_data_of_a_template_is_small(ec2: Any) -> None:
    data = {"UserData": base64.b64encode(b"#!/bin/sh\n" + b"#" * 16384).decode()}
    error, message = refused(ec2.create_launch_template, LaunchTemplateName="gpu", LaunchTemplateData=data)
    assert (error, message) == ("InvalidUserData.Malformed", "User data is limited to 16384 bytes")
