"""A bastion: one small host in the public subnets, through which SSH reaches the hosts. Made only when asked for.

Session Manager reaches the hosts without it, and needs no open port.
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager.html
"""

from typing import Any

import constants
from aws import Problem, accepted, client, insist, missing, name, ours, tags, wait
from console import say
from infrastructure.cluster.network import Network
from infrastructure.cluster.security_groups import SecurityGroups

BASTION = name("bastion")
AMI_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


def create(network: Network, groups: SecurityGroups) -> None:
    """A launch template and an Auto Scaling group of one over the public subnets; it costs what a small host costs."""
    if not constants.BASTION_KEY_NAME:
        return
    create_launch_template(groups)
    group = find()
    if group and not ours(group["Tags"]):
        raise Problem(f"the Auto Scaling group {BASTION} exists already, and is not of this runbook")
    if group and not group.get("Status"):
        return say("found", f"Auto Scaling group {BASTION}")
    if group:
        wait(f"the former Auto Scaling group {BASTION} to be gone", lambda: not find(), lambda: "it is still there")
    propagated = [
        {"ResourceType": "auto-scaling-group", "ResourceId": BASTION, "PropagateAtLaunch": True, **tag}
        for tag in tags("bastion")
    ]
    insist(
        f"Auto Scaling group {BASTION}",
        lambda: accepted(
            lambda: client("autoscaling").create_auto_scaling_group(
                AutoScalingGroupName=BASTION,
                LaunchTemplate={"LaunchTemplateName": BASTION, "Version": "$Latest"},
                MinSize=1,
                MaxSize=1,
                DesiredCapacity=1,
                VPCZoneIdentifier=",".join(network.public_subnet_ids),
                Tags=propagated,
            ),
            "AlreadyExists",
        ),
        f"template name {BASTION}, does not exist",
    )
    return say("created", f"Auto Scaling group {BASTION}", f"1 {constants.BASTION_INSTANCE_TYPE}")


def create_launch_template(groups: SecurityGroups) -> None:
    if find_launch_template():
        return say("found", f"launch template {BASTION}")
    ec2 = client("ec2")
    image_id = client("ssm").get_parameter(Name=AMI_PARAMETER)["Parameter"]["Value"]
    data: dict[str, Any] = {
        "ImageId": image_id,
        "InstanceType": constants.BASTION_INSTANCE_TYPE,
        "KeyName": constants.BASTION_KEY_NAME,
        "SecurityGroupIds": groups.bastion_ids,
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags("bastion")} for kind in ("instance", "volume")],
    }
    made = accepted(
        lambda: ec2.create_launch_template(
            LaunchTemplateName=BASTION,
            LaunchTemplateData=data,
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags("bastion")}],
        ),
        "InvalidLaunchTemplateName.AlreadyExistsException",
    )
    return say("created" if made else "found", f"launch template {BASTION}")


def find() -> dict[str, Any] | None:
    found = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[BASTION])["AutoScalingGroups"]
    return found[0] if found else None


def find_launch_template() -> dict[str, Any] | None:
    request = {"LaunchTemplateNames": [BASTION]}
    found = missing(
        lambda: client("ec2").describe_launch_templates(**request), "InvalidLaunchTemplateName.NotFoundException"
    )
    return found["LaunchTemplates"][0] if found and ours(found["LaunchTemplates"][0]["Tags"]) else None


def delete() -> None:
    """Ask for the end of the group and its host."""
    group = find()
    if group and ours(group["Tags"]) and not group.get("Status"):
        insist(
            f"Auto Scaling group {BASTION}",
            lambda: accepted(
                lambda: client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=BASTION, ForceDelete=True),
                "ValidationError",
            ),
            "ScalingActivityInProgress",
            "ResourceInUse",
            "ResourceContention",
        )
        say("deleted", f"Auto Scaling group {BASTION}", "asked for")


def wait_deleted() -> None:
    wait(f"Auto Scaling group {BASTION} to be gone", lambda: not is_there(), lambda: "its host is ending")
    if find_launch_template():
        accepted(
            lambda: client("ec2").delete_launch_template(LaunchTemplateName=BASTION),
            "InvalidLaunchTemplateName.NotFoundException",
        )
        say("deleted", f"launch template {BASTION}")


def is_there() -> bool:
    group = find()
    return group is not None and ours(group["Tags"])


def left_over() -> list[str]:
    left = [f"Auto Scaling group {BASTION}"] if is_there() else []
    return left + ([f"launch template {BASTION}"] if find_launch_template() else [])
