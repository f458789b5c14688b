"""The launch template of the hosts: AMI, instance type, disk, role, and the script that joins them to the cluster.

It costs nothing. The bastion's template is made and deleted by the same functions.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/launch_container_instance.html
"""

import base64
import functools
import json
import re
from typing import Any

import aws
import constants
from aws import Resource, call, client, holds, name, ours, resource, tag_specification, tags
from console import say
from infrastructure.cluster import capacity_reservation, user_data
from infrastructure.cluster.checks import Facts
from infrastructure.cluster.roles import Roles
from infrastructure.cluster.security_groups import SecurityGroups


@aws.look
def templates() -> list[Any]:
    """Those that have the names of ours, whoever's they are."""
    filters: Any = [{"Name": "launch-template-name", "Values": [name("hosts"), name("bastion")]}]
    return client("ec2").describe_launch_templates(Filters=filters)["LaunchTemplates"]


@functools.cache
def latest_version(each: str) -> aws.look[Any]:
    """The look at what a template of ours says now; {} where there is none."""
    return aws.look(lambda: read_latest(name(each)) if find(each) else {})


def read_latest(its_name: str) -> Any:
    found = client("ec2").describe_launch_template_versions(LaunchTemplateName=its_name, Versions=["$Latest"])
    return next((each["LaunchTemplateData"] for each in found["LaunchTemplateVersions"]), {})


def image_of(version: str) -> str:
    """The AMI of one version of the hosts' template."""
    found = client("ec2").describe_launch_template_versions(LaunchTemplateName=name("hosts"), Versions=[version])
    return next((each["LaunchTemplateData"]["ImageId"] for each in found["LaunchTemplateVersions"]), "")


LOOKS = (templates, latest_version("hosts"), latest_version("bastion"))


def find(each: str = "hosts") -> Any | None:
    return next((found for found in templates() if found["LaunchTemplateName"] == name(each)), None)


def latest(each: str = "hosts") -> Any:
    """What its latest version says, or {}; another's is refused."""
    aws.refuse_foreign(f"launch template {name(each)}", find(each))
    return latest_version(each)()


def create(facts: Facts, groups: SecurityGroups, roles: Roles, newest: bool = False) -> None:
    """Make it, or give it a new version where a setting changed; hosts that run already stay as they are.

    The AMI of a template that is there is kept, unless `newest`: update_cluster.py takes that, and replaces the hosts.
    """
    if constants.LAUNCH_TYPE == "FARGATE":
        return
    present, image_id = latest(), facts.image_id
    standing = present.get("ImageId", image_id)
    if standing != image_id and not (constants.AMI_ID or newest) and same_kind(standing, image_id):
        say("found", f"AMI {standing}", f"kept; AWS has published {image_id} since: update_cluster.py takes it")
        image_id = standing
    devices = [each["DeviceName"] for each in present.get("BlockDeviceMappings", []) if standing == image_id]
    device = next(iter(devices), "") or root_device(image_id)
    put("hosts", present, data(image_id, device, groups, roles))


def root_device(image_id: str) -> str:
    """That of Amazon Linux, unless AMI_ID names another image.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html
    """
    images = client("ec2").describe_images(ImageIds=[image_id])["Images"] if constants.AMI_ID else []
    return images[0]["RootDeviceName"] if images else "/dev/xvda"


def put(each: str, present: Any, wanted: Any) -> None:
    """The template as it is wanted; `present` is what its latest version says."""
    ec2, what, detail = client("ec2"), f"launch template {name(each)}", f"{wanted['InstanceType']}, {wanted['ImageId']}"
    request: Any = {"LaunchTemplateName": name(each), "LaunchTemplateData": wanted}
    changed = sorted(key for key in {*wanted, *present} if not holds(present.get(key), wanted.get(key)))
    if not present:
        create = call(ec2.create_launch_template, what, there="InvalidLaunchTemplateName.AlreadyExistsException")
        made = create(**request, TagSpecifications=tag_specification("launch-template", each))
        say("created" if made else "found", what, detail)
    elif changed:
        template: Any = find(each)  # the same change of the same version, by another run, makes no second one
        seen = (template["LaunchTemplateId"], template["LatestVersionNumber"], json.dumps(wanted, sort_keys=True))
        add = call(ec2.create_launch_template_version, what, of=template)
        add(**request, ClientToken=aws.token(*seen))
        say("updated", what, f"{', '.join(changed)}")
    else:
        say("found", what, detail)


def data(image_id: str, device: str, groups: SecurityGroups, roles: Roles) -> Any:
    """A root disk large enough for CUDA images, on the AMI's own root device, and what `host` says."""
    size = {"VolumeSize": constants.ROOT_VOLUME_GIB, "VolumeType": "gp3"}
    disk = {**size, "Encrypted": True, "DeleteOnTermination": True}
    wanted = host(image_id, constants.INSTANCE_TYPE, constants.KEY_NAME, groups.host_ids, "host")
    wanted["IamInstanceProfile"] = {"Name": roles.instance_profile_name}
    wanted["UserData"] = base64.b64encode(user_data.text().encode()).decode()
    wanted["BlockDeviceMappings"] = [{"DeviceName": device, "Ebs": disk}]
    block = capacity_reservation.is_block()
    if block or (constants.CAPACITY_TYPE == "spot" and not constants.MIXED):
        wanted["InstanceMarketOptions"] = {"MarketType": capacity_reservation.BLOCK if block else "spot"}
    return wanted


def host(image_id: str, instance_type: str, key_name: str, group_ids: list[str], its_part: str) -> Any:
    """What any host of ours has: IMDSv2 only, and not from containers; our tags on all that comes with it.

    Groups are of its network interface, where the template says what that is.
    """
    kinds = ("instance", "volume", "network-interface")
    wanted: Any = {
        "ImageId": image_id,
        "InstanceType": instance_type,
        **({"SecurityGroupIds": group_ids} if group_ids else {}),
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags(its_part)} for kind in kinds],
    }
    return {**wanted, "KeyName": key_name} if key_name else wanted


def same_kind(one: str, other: str) -> bool:
    """Whether two AMIs differ by their date only: AWS publishes new ones every week, with drivers that may jump."""
    names = [image["Name"] for image in client("ec2").describe_images(ImageIds=[one, other])["Images"]]
    return len(names) == 2 and len({re.sub(r"20\d{6}", "", name) for name in names}) == 1


def delete(each: str = "hosts") -> None:
    """After the group that launches from it."""
    what, template = f"launch template {name(each)}", find(each)
    if not template or aws.spare_foreign(what, template):
        return
    gone = "InvalidLaunchTemplateName.NotFoundException"
    call(client("ec2").delete_launch_template, what, of=template, gone=gone)(LaunchTemplateName=name(each))
    say("deleted", what)


def left_over(each: str = "hosts") -> list[Resource]:
    found = [(aws.arn("ec2", f"launch-template/{one['LaunchTemplateId']}"), one) for one in [find(each)] if one]
    return [resource(f"launch template {name(each)}", arn, one) for arn, one in found if ours(one)]
