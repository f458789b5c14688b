"""The launch template of the hosts: AMI, instance type, disk, role, and the script that joins them to the cluster.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/launch_container_instance.html
"""

import base64
import re
from typing import Any

import constants
from aws import (
    Problem,
    accepted,
    client,
    holds,
    name,
    ours,
    tags,
)
from console import say
from infrastructure.cluster import monitoring
from infrastructure.cluster.checks import Facts
from infrastructure.cluster.roles import Roles
from infrastructure.cluster.security_groups import SecurityGroups

HOSTS = name("hosts")


def user_data() -> str:
    """What a host runs at its first boot: it tells the ECS agent which cluster to join.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html
    """
    lines = [
        f"ECS_CLUSTER={constants.CLUSTER_NAME}",
        "ECS_AWSVPC_BLOCK_IMDS=true",
        "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=ec2_instance",
    ]
    if constants.GPU_COUNT:
        lines.append("ECS_ENABLE_GPU_SUPPORT=true")
    if constants.CAPACITY_TYPE == "spot":
        lines.append("ECS_ENABLE_SPOT_INSTANCE_DRAINING=true")
    script = "#!/bin/bash\ncat >> /etc/ecs/ecs.config <<'END'\n" + "\n".join(lines) + "\nEND\n"
    return script + (monitoring.INSTALL if monitoring.wanted() else "")


def launch_template_data(facts: Facts, groups: SecurityGroups, roles: Roles) -> dict[str, Any]:
    """IMDSv2 only, and not from containers; a root disk large enough for CUDA images, on the AMI's own root device."""
    [image] = client("ec2").describe_images(ImageIds=[facts.image_id])["Images"] or [{"RootDeviceName": "/dev/xvda"}]
    data: dict[str, Any] = {
        "ImageId": facts.image_id,
        "InstanceType": constants.INSTANCE_TYPE,
        "IamInstanceProfile": {"Name": roles.instance_profile_name},
        "SecurityGroupIds": groups.host_ids,
        "UserData": base64.b64encode(user_data().encode()).decode(),
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
        "BlockDeviceMappings": [
            {
                "DeviceName": image["RootDeviceName"],
                "Ebs": {
                    "VolumeSize": constants.ROOT_VOLUME_GIB,
                    "VolumeType": "gp3",
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            }
        ],
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tags("host")} for kind in ("instance", "volume", "network-interface")
        ],
    }
    if constants.KEY_NAME:
        data["KeyName"] = constants.KEY_NAME
    if constants.CAPACITY_TYPE == "spot":
        data["InstanceMarketOptions"] = {"MarketType": "spot"}
    return data


def create(facts: Facts, groups: SecurityGroups, roles: Roles, newest: bool = False) -> None:
    """Make it, or give it a new version where a setting changed; hosts that run already stay as they are.

    The AMI of a template that is there is kept, unless `newest`: update_cluster.py takes that, and replaces the hosts.
    """
    ec2 = client("ec2")
    wanted = launch_template_data(facts, groups, roles)
    template = find()
    if template and not ours(template.get("Tags")):
        raise Problem(
            f"the launch template {HOSTS} exists already, and is not of this runbook: choose another CLUSTER_NAME"
        )
    if not template:
        made = accepted(
            lambda: ec2.create_launch_template(
                LaunchTemplateName=HOSTS,
                LaunchTemplateData=wanted,
                TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags("hosts")}],
            ),
            "InvalidLaunchTemplateName.AlreadyExistsException",
        )
        return say(
            "created" if made else "found", f"launch template {HOSTS}", f"{constants.INSTANCE_TYPE}, {facts.image_id}"
        )
    latest = ec2.describe_launch_template_versions(LaunchTemplateName=HOSTS, Versions=["$Latest"])
    present = latest["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    if (
        not (constants.AMI_ID or newest)
        and present["ImageId"] != wanted["ImageId"]
        and same_kind(present["ImageId"], wanted["ImageId"])
    ):
        say(
            "found",
            f"AMI {present['ImageId']}",
            f"kept; AWS has published {wanted['ImageId']} since: update_cluster.py takes it",
        )
        wanted["ImageId"] = present["ImageId"]
    changed = sorted(key for key in {*wanted, *present} if not holds(present.get(key), wanted.get(key)))
    if not changed:
        return say("found", f"launch template {HOSTS}", f"{constants.INSTANCE_TYPE}, {wanted['ImageId']}")
    ec2.create_launch_template_version(LaunchTemplateName=HOSTS, LaunchTemplateData=wanted)
    say("updated", f"launch template {HOSTS}", f"{', '.join(changed)}; hosts that run keep what they have")


def same_kind(one: str, other: str) -> bool:
    """Whether two AMIs differ by their date only: AWS publishes new ones every week, with drivers that may jump."""
    names = [image["Name"] for image in client("ec2").describe_images(ImageIds=[one, other])["Images"]]
    return len(names) == 2 and len({re.sub(r"20\d{6}", "", name) for name in names}) == 1


def find() -> dict[str, Any] | None:
    filters = [{"Name": "launch-template-name", "Values": [HOSTS]}]
    found = client("ec2").describe_launch_templates(Filters=filters)["LaunchTemplates"]
    return found[0] if found else None  # a name is given once


def delete() -> None:
    if left_over():
        accepted(
            lambda: client("ec2").delete_launch_template(LaunchTemplateName=HOSTS),
            "InvalidLaunchTemplateName.NotFoundException",
        )
        say("deleted", f"launch template {HOSTS}")


def left_over() -> list[str]:
    template = find()
    return [f"launch template {HOSTS}"] if template and ours(template.get("Tags")) else []
